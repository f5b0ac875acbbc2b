"""Export a trained model as one TFLite or ONNX file.

The file is run and compared with the model before it gets its name. Images are uint8 as in our
SavedModels; z and conditions (one-hot rows, or weights of the classes) are float32.

TFLite: one image at a time. The signatures are `generate`, or `translate_xy` and `translate_yx`
for one height and width. ONNX: any number of images, translations and stylizations of any size
(padded and cropped inside the graph). A file has one graph and therefore one direction.

The computation is float32, also for models trained in mixed precision: TFLite has no 16-bit
MatMul and Conv2D, and ONNX does not support bfloat16 there.
"""

import pathlib

import numpy as np
import tensorflow as tf

from tfgan_zoo.data.transforms import to_float, to_uint8
from tfgan_zoo.errors import UserError, check_choice
from tfgan_zoo.files import atomic_write, check_output_files
from tfgan_zoo.saving.exported import Exported, load
from tfgan_zoo.saving.onnx import convert_to_onnx
from tfgan_zoo.saving.tflite import convert_to_tflite

FORMATS = {"tflite": convert_to_tflite, "onnx": convert_to_onnx}


def export_file(
    source, output, format: str, size=None, direction: str = "xy", overwrite: bool = False
) -> pathlib.Path:
    """Export a trained model as one file.

    Args:
        source: As for `load`: a run directory, a SavedModel, a .keras file or a pretrained preset.
        output: File to write. Its suffix must be the format.
        format: "tflite" or "onnx".
        size: (height, width) of translations or stylizations. Defaults to the model's image_size
            for TFLite and to any size for ONNX.
        direction: "xy" or "yx", for translation models. A TFLite file has all directions.
        overwrite: Whether an existing file may be replaced.

    Returns:
        The path of the file.

    Raises:
        UserError: Invalid arguments, a file that exists, or a model that the format cannot
            represent.
        RuntimeError: The file's images differ from the model's by more than 1/255.
    """
    output = pathlib.Path(output)

    # Check the arguments.
    check_choice("format", format, FORMATS)
    if output.suffix.lower() != f".{format}":
        raise UserError(f"output must be a file such as model.{format}, got {output}.")
    if not output.absolute().parent.is_dir():
        raise UserError(f"the folder of the output does not exist, got {output}.")
    check_output_files([output], overwrite)

    # Convert the model. On the CPU, where float32 is exact: GPUs may round it to TF32.
    with tf.device("CPU"):
        model = load_in_float32(source)
        functions = EXPORTED_FUNCTIONS[model.task](model, format, size, direction)
        content, run_file = FORMATS[format](functions)

        # Compare the file with the model. A sum in another order may round to the next level.
        for name, (_, specs) in functions.items():
            inputs, expected = example_inputs(model, name, specs)
            difference = np.abs(run_file(name, inputs).astype(int) - expected).max()
            if difference > 1:
                raise RuntimeError(
                    f"{name} of the {format} file differs from the model by {difference}/255."
                )

    with atomic_write(output) as partial:
        partial.write_bytes(content)
    return output


def load_in_float32(source):
    """Load a `ZooModel` with its float32 weights and without the casts of mixed precision."""
    model = load(source)
    if isinstance(model, Exported):
        model = model.zoo_model
    if model.dtype_policy.name == "float32":
        return model
    float32_model = type(model)(model.config, dtype="float32")
    float32_model.set_weights(model.get_weights())
    return float32_model


def generation_functions(model, format, size, direction):
    """Return the functions of a generative model's file: {name: (function, input specs)}."""
    if size:
        raise UserError(
            f"size is an option of translation and stylization models, got size={size}."
        )
    check_no_direction(direction)
    function, specs = model.signatures()["blend" if model.classes else "serving_default"]
    batch_size = 1 if format == "tflite" else None
    specs = [tf.TensorSpec((batch_size, *spec.shape[1:]), spec.dtype, spec.name) for spec in specs]
    return {"generate": (function, specs)}


def translation_functions(model, format, size, direction):
    """Return the functions of a translation model's file: {name: (function, input specs)}."""
    if format == "onnx" or direction != "xy":
        model.channels(direction)  # raises an error if the model does not have this direction
    config = model.config
    if model.stochastic:
        raise UserError(
            f"a model with dropout at test time cannot be exported, got format={format}. "
            "Export a SavedModel, or set model.test_dropout to false in the run's experiment.json "
            "(no weight depends on it)."
        )
    if not size and format == "tflite":
        size = (config.image_size, config.image_size)
    if size:
        check_size(tuple(size), config.multiple, config.smallest)

    def function_of(direction):
        def translate(images):
            x = to_float(images)
            if size:
                y = model.generator_of(direction)(x, training=False)
            else:
                y = model.map(x, direction)
            return {"translated": to_uint8(y)}  # ONNX needs another name than the input's

        shape = (1, *size) if size else (None, None, None)
        channels, _ = model.channels(direction)
        return translate, [tf.TensorSpec((*shape, channels), tf.uint8, "images")]

    directions = model.directions if format == "tflite" else [direction]
    return {f"translate_{direction}": function_of(direction) for direction in directions}


def stylization_functions(model, format, size, direction):
    """Return the functions of a stylization model's file: {name: (function, input specs)}."""
    check_no_direction(direction)
    if not size and format == "tflite":
        size = (model.config.image_size, model.config.image_size)
    if size:
        check_size(tuple(size), model.multiple, model.smallest)
    stylize_images = model.stylize_batch
    if size:  # no padding

        def stylize_images(images, *args):
            return to_uint8(model.stylize_tensor(to_float(images), *args))

    def stylize(images):
        return {"stylized": stylize_images(images)}  # ONNX needs another name than the input's

    def stylize_with_styles(images, styles, weights, alpha):
        weights = (weights / tf.reduce_sum(weights))[:, None, None, None]
        style = tf.reduce_sum(weights * model.moments_of_batch(styles), axis=1, keepdims=True)
        return {"stylized": stylize_images(images, model.moments_of_batch(images), style, alpha)}

    shape = (1, *size, 3) if size else (None, None, None, 3)
    specs = [tf.TensorSpec(shape, tf.uint8, "images")]
    if not model.takes_styles:
        return {"stylize": (stylize, specs)}
    specs += [
        tf.TensorSpec(shape, tf.uint8, "styles"),
        tf.TensorSpec(shape[:1], tf.float32, "weights"),
        tf.TensorSpec((), tf.float32, "alpha"),
    ]
    return {"stylize": (stylize_with_styles, specs)}


def check_no_direction(direction):
    """Raise a `UserError` for a direction other than the default."""
    if direction != "xy":
        raise UserError(f"direction is an option of translation models, got direction={direction}.")


def check_size(size, multiple, smallest):
    """Raise a `UserError` unless a network accepts images of (height, width) without padding."""
    smallest = max(multiple, smallest)
    height, width = (max(-(-side // multiple) * multiple, smallest) for side in size)
    if size != (height, width):
        raise UserError(
            f"sides must be multiples of {multiple}, and at least {smallest}, got "
            f"{size[0]}x{size[1]}. The next size is {height}x{width}."
        )


EXPORTED_FUNCTIONS = {
    "generate": generation_functions,
    "translate": translation_functions,
    "stylize": stylization_functions,
}


def example_inputs(model, name, specs):
    """Return inputs of a function and the model's output for them.

    Args:
        model: `ZooModel`.
        name: Name of the function in the file.
        specs: Its input specs.

    Returns:
        ({input name: array}, uint8 images).
    """
    if name == "generate":
        arrays = [model.latent(8, seed=1).numpy(), *model.condition(None, 8)]
        inputs = {spec.name: array for spec, array in zip(specs, arrays, strict=True)}
        return inputs, model.generate(*arrays)
    # Noise, because instance norm amplifies rounding errors without bounds on a flat color.
    # Where the size is free, the sides are not multiples of any stride.
    inputs = {spec.name: random_input(spec, seed) for seed, spec in enumerate(specs)}
    images = inputs["images"]
    if name != "stylize":
        return inputs, model.translate(images, name.removeprefix("translate_"))
    styles = ()
    if model.takes_styles:
        styles = (list(inputs["styles"]), float(inputs["alpha"]), inputs["weights"])
    return inputs, np.stack([model.stylize(image, *styles) for image in images])


def random_input(spec, seed):
    """Return a random array for an input spec: uint8 images, or floats between 0 and 1."""
    random = np.random.default_rng(seed)
    free_shape = (2, 52, 75, 0)
    shape = [side or free for side, free in zip(spec.shape, free_shape, strict=False)]
    if spec.dtype == tf.uint8:
        return random.integers(0, 256, shape, np.uint8)
    return random.uniform(size=shape).astype(np.float32)
