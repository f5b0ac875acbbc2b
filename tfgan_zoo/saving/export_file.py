"""Export a trained model as one file: TFLite, ONNX or OpenVINO (which has two files).

The file is run and compared with the model before it gets its name. Images are uint8 as in our
SavedModels; z and conditions (one-hot rows, or weights of the classes) are float32.

TFLite: one image at a time. The signatures are `generate`, `stylize`, or `translate_xy` and
`translate_yx`, for one height and width or for any. ONNX and OpenVINO: any number of images,
translations and stylizations of any size (padded and cropped inside the graph). Such a file has
one graph and therefore one direction.

The computation is float32, also for models trained in mixed precision: TFLite has no 16-bit
MatMul and Conv2D, and ONNX does not support bfloat16 there.
"""

import pathlib
import typing

import numpy as np
import tensorflow as tf

from tfgan_zoo.data import transforms
from tfgan_zoo.data.datasets import load_evaluation_images
from tfgan_zoo.data.transforms import to_float, to_uint8
from tfgan_zoo.errors import UserError, check_choice
from tfgan_zoo.files import atomic_write, check_output_files
from tfgan_zoo.models.base import ZooModel
from tfgan_zoo.saving.exported import Exported, load, load_experiment
from tfgan_zoo.saving.onnx import convert_to_onnx
from tfgan_zoo.saving.openvino import convert_to_openvino
from tfgan_zoo.saving.tflite import convert_to_tflite


class Format(typing.NamedTuple):
    """File format.

    Attributes:
        convert: function (functions, precision, calibration) -> ({suffix: content}, run).
        suffixes: suffixes of its files. The first is that of the file that programs load.
        precisions: precisions of the weights, the default first.
        fixed_shapes: True if a file is for one image of one size unless requested otherwise.
    """

    convert: typing.Callable
    suffixes: tuple[str, ...]
    precisions: tuple[str, ...]
    fixed_shapes: bool = False


FORMATS = {
    "tflite": Format(
        convert_to_tflite, (".tflite",), ("float32", "float16", "int8_weights", "int8"), True
    ),
    "onnx": Format(convert_to_onnx, (".onnx",), ("float32",)),
    "openvino": Format(convert_to_openvino, (".xml", ".bin"), ("float32", "float16")),
}
ANY_SIZE = "any"
CALIBRATION_INPUTS = 32  # codes or images that determine the ranges of int8 values
MAX_MEAN_DIFFERENCE = 16  # levels of 255; images with a larger difference are useless
MEASURED_INPUTS = 8  # others, whose outputs are compared


class Exports(typing.NamedTuple):
    """Result of an export.

    Attributes:
        path: the file that programs load.
        max_difference: largest difference between its images and the model's, in levels of 255.
        mean_difference: mean difference, in levels of 255.
    """

    path: pathlib.Path
    max_difference: int
    mean_difference: float


def export_file(source, output, format: str, *overrides, **options) -> pathlib.Path:
    """Export a trained model as one file; see `export_and_measure`.

    Returns:
        The path of the file.
    """
    return export_and_measure(source, output, format, *overrides, **options).path


def export_and_measure(
    source,
    output,
    format: str,
    *overrides,
    size=None,
    direction: str = "xy",
    precision: str = "float32",
    overwrite: bool = False,
) -> Exports:
    """Export a trained model as one file, and compare its images with the model's.

    Args:
        source: As for `load`: a run directory, a SavedModel, a .keras file or a pretrained preset;
            or a `ZooModel`.
        output: File to write. Its suffix must be that of the format.
        format: "tflite", "onnx" or "openvino". OpenVINO writes a second file, with suffix .bin.
        *overrides: strings `data.field=value`: images for the calibration of int8. Default: the
            training data.
        size: (height, width) of translations or stylizations, or "any". Defaults to the model's
            image_size for TFLite and to any size for the other formats.
        direction: "xy" or "yx", for translation models in ONNX and OpenVINO. A TFLite file has all
            directions.
        precision: Precision of the weights, "float32", "float16" (TFLite, OpenVINO),
            "int8_weights" or "int8" (TFLite; int8 is also the precision of activations).
        overwrite: Whether an existing file may be replaced.

    Returns:
        `Exports`. The differences of int8 are those of typical images, which were not used for the
        calibration. The other precisions are compared on random inputs.

    Raises:
        UserError: Invalid arguments, a file that exists, a model that the format cannot
            represent, no images for the calibration, or a precision that changes the images by
            more than 16/255 on average.
        RuntimeError: The images of a float32 file differ from the model's by more than 1/255.
    """
    output = pathlib.Path(output)

    # Check the arguments.
    check_choice("format", format, FORMATS)
    suffixes, precisions = FORMATS[format].suffixes, FORMATS[format].precisions
    check_choice(f"precision of {format}", precision, precisions)
    if overrides and precision != "int8":
        raise UserError(
            f"{overrides[0]} is for the calibration of int8, got precision={precision}."
        )
    if output.suffix.lower() != suffixes[0]:
        raise UserError(f"output must be a file such as model{suffixes[0]}, got {output}.")
    if not output.absolute().parent.is_dir():
        raise UserError(f"the folder of the output does not exist, got {output}.")
    paths = {suffix: output.with_suffix(suffix) for suffix in suffixes[1:]} | {suffixes[0]: output}
    check_output_files(paths.values(), overwrite)

    # Convert the model. On the CPU, where float32 is exact: GPUs may round it to TF32.
    with tf.device("CPU"):
        model = load_in_float32(source)
        functions = EXPORTED_FUNCTIONS[model.task](model, format, size, direction)
        calibration, measured = [], examples(model, functions)
        if precision == "int8":
            experiment = None if model is source else load_experiment(source)
            inputs = typical_inputs(model, functions, experiment, overrides)
            # Half of the inputs if there are fewer images than needed.
            count = min(MEASURED_INPUTS, len(inputs) // len(functions) // 2) * len(functions)
            measured, calibration = inputs[:count], inputs[count:]
        files, run_file = FORMATS[format].convert(functions, precision, calibration)

        # Compare the file with the model. A sum in another order may round to the next level.
        differences = []
        for name, inputs in measured:
            images = run_file(name, inputs).astype(int)
            differences.append(np.abs(images - model_images(model, name, inputs)))
            if precision == "float32" and differences[-1].max() > 1:
                raise RuntimeError(
                    f"{name} of the {format} file differs from the model by "
                    f"{differences[-1].max()}/255."
                )

    largest = max(int(difference.max()) for difference in differences)
    mean = float(np.mean([difference.mean() for difference in differences]))
    if mean > MAX_MEAN_DIFFERENCE:
        raise UserError(
            f"{precision} changes the images by {mean:.0f} of 255 levels on average. Choose "
            "another precision, such as int8_weights or float16."
        )

    for suffix, path in paths.items():
        with atomic_write(path) as partial:
            partial.write_bytes(files[suffix])
    return Exports(output, largest, mean)


def load_in_float32(source):
    """Load a `ZooModel` with its float32 weights and without the casts of mixed precision."""
    model = source if isinstance(source, ZooModel) else load(source)
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
    batch_size = 1 if FORMATS[format].fixed_shapes else None
    specs = [tf.TensorSpec((batch_size, *spec.shape[1:]), spec.dtype, spec.name) for spec in specs]
    return {"generate": (function, specs)}


def translation_functions(model, format, size, direction):
    """Return the functions of a translation model's file: {name: (function, input specs)}."""
    if format != "tflite" or direction != "xy":
        model.channels(direction)  # raises an error if the model does not have this direction
    if format == "tflite" and direction != "xy":
        raise UserError(
            f"a TFLite file has all directions of a model: leave direction out, got {direction}."
        )
    config = model.config
    if model.stochastic:
        raise UserError(
            f"a model with dropout at test time cannot be exported, got format={format}. "
            "Export a SavedModel, or set model.test_dropout to false in the run's experiment.json "
            "(no weight depends on it)."
        )
    size = resolve_size(size, format, config.image_size, config.multiple, config.smallest)
    batch_size = 1 if FORMATS[format].fixed_shapes else None

    def function_of(direction):
        def translate(images):
            x = to_float(images)
            if size:
                y = model.generator_of(direction)(x, training=False)
            else:
                y = model.map(x, direction)
            return {"translated": to_uint8(y)}  # ONNX needs another name than the input's

        shape = (1, *size) if size else (batch_size, None, None)
        channels, _ = model.channels(direction)
        return translate, [tf.TensorSpec((*shape, channels), tf.uint8, "images")]

    directions = model.directions if format == "tflite" else [direction]
    return {f"translate_{direction}": function_of(direction) for direction in directions}


def stylization_functions(model, format, size, direction):
    """Return the functions of a stylization model's file: {name: (function, input specs)}."""
    check_no_direction(direction)
    size = resolve_size(size, format, model.config.image_size, model.multiple, model.smallest)
    batch_size = 1 if FORMATS[format].fixed_shapes else None
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

    shape = (1, *size, 3) if size else (batch_size, None, None, 3)
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


def resolve_size(size, format, image_size, multiple, smallest):
    """Return the (height, width) of the images of a file, or None for any size.

    Args:
        size: (height, width), "any", or None for the default of the format.
        format: a key of `FORMATS`.
        image_size: of the model.
        multiple: see `check_size`.
        smallest: see `check_size`.

    Raises:
        UserError: another value, or as `check_size`.
    """
    if size is None and FORMATS[format].fixed_shapes:
        size = (image_size, image_size)
    if size is None or size == ANY_SIZE:
        return None
    is_pair = isinstance(size, (tuple, list)) and len(size) == 2
    if not is_pair or not all(isinstance(side, int) for side in size):
        raise UserError(f'size must be (height, width) or "any", got {size!r}.')
    check_size(tuple(size), multiple, smallest)
    return tuple(size)


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


def examples(model, functions):
    """Return random inputs of each function of a file: list of (name, {input name: array})."""
    inputs = []
    for name, (_, specs) in functions.items():
        if name == "generate":
            inputs += code_inputs(model, name, specs, 8)
        else:
            # Noise, because instance norm amplifies rounding errors without bounds on a flat color.
            inputs.append(
                (name, {spec.name: random_input(spec, i) for i, spec in enumerate(specs)})
            )
    return inputs


def code_inputs(model, name, specs, count):
    """Return `count` codes, with labels if the model has classes, in batches of the function."""
    arrays = [model.latent(count, seed=1).numpy(), *model.condition(None, count)]
    size = specs[0].shape[0] or count
    return [
        (name, {spec.name: array[i : i + size] for spec, array in zip(specs, arrays, strict=True)})
        for i in range(0, count, size)
    ]


def random_input(spec, seed):
    """Return a random array for an input spec: uint8 images, or floats between 0 and 1."""
    random = np.random.default_rng(seed)
    # Where the size is free, the sides are not multiples of any stride.
    free_shape = (2, 52, 75, 0)
    shape = [side or free for side, free in zip(spec.shape, free_shape, strict=False)]
    if spec.dtype == tf.uint8:
        return random.integers(0, 256, shape, np.uint8)
    return random.uniform(size=shape).astype(np.float32)


def typical_inputs(model, functions, experiment, overrides):
    """Return inputs as in training: a list of (name, inputs), one code or image per entry.

    Args:
        model: `ZooModel`.
        functions: {name: (function, input specs)} of the file.
        experiment: `Experiment` of the model; None for a .keras file.
        overrides: list of `data.field=value`.

    Raises:
        UserError: images are needed, and the experiment is missing, or its data cannot be loaded
            or are fewer than two.
    """
    count = CALIBRATION_INPUTS + MEASURED_INPUTS
    if model.task == "generate":
        ((name, (_, specs)),) = functions.items()
        return code_inputs(model, name, specs, count)
    if experiment is None:
        raise UserError(
            "int8 is calibrated on training images, so it needs a run directory or a pretrained "
            "preset, got a file without an experiment."
        )
    data = load_evaluation_images(experiment.override(*overrides), "train", count)
    if len(data) < 2:
        raise UserError(
            f"int8 needs at least one image for the calibration and another one to measure the "
            f"difference, got {len(data)}. Use other images, such as data.dataset=photographs."
        )
    return [
        (name, image_inputs(name, specs, data.evaluation_images(i)))
        for i in range(min(count, len(data)))
        for name, (_, specs) in functions.items()
    ]


def image_inputs(name, specs, images):
    """Return the inputs of a function for the image, or the images of two domains, of an item."""
    images = [to_uint8(to_float(image)).numpy() for image in images]
    values = {
        "images": images[1] if name == "translate_yx" else images[0],
        "styles": images[-1],
        "weights": np.ones(1, np.float32),
        "alpha": np.array(1.0, np.float32),
    }
    inputs = {spec.name: values[spec.name] for spec in specs}
    for spec in specs:
        if spec.dtype == tf.uint8:
            image = inputs[spec.name]
            height, width = (a or b for a, b in zip(spec.shape[1:3], image.shape, strict=False))
            inputs[spec.name] = transforms.resize(image, height, width)[None]
    return inputs


def model_images(model, name, inputs):
    """Return the model's uint8 images for the inputs of a function of a file."""
    if name == "generate":
        return model.generate(*inputs.values())
    images = inputs["images"]
    if name != "stylize":
        return model.translate(images, name.removeprefix("translate_"))
    styles = ()
    if model.takes_styles:
        styles = (list(inputs["styles"]), float(inputs["alpha"]), inputs["weights"])
    return np.stack([model.stylize(image, *styles) for image in images])
