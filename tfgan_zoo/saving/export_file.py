"""A trained model as one file for phones and other runtimes, compared with the model before the file gets its name.

Images are uint8 as in our SavedModels, z and conditions (one-hot rows, or weights of the classes) float32.
TFLite: one image at a time; signatures `generate`, or `translate_xy` and `translate_yx` at one height and width.
ONNX: any number of images, translations of any sizes (padded and cropped inside); one graph a file, so one direction.
Everything is float32 inside, also after training in mixed precision: TFLite has no 16-bit MatMul and Conv2D, ONNX none of bfloat16.
"""

import pathlib

import numpy as np
import tensorflow as tf

from tfgan_zoo.data.transforms import to_float, to_uint8
from tfgan_zoo.errors import UserError, check_choice
from tfgan_zoo.quiet import silence_native_output
from tfgan_zoo.runs import is_run_directory, load_model
from tfgan_zoo.saving.onnx import convert_to_onnx
from tfgan_zoo.saving.tflite import convert_to_tflite


def export_file(run, output, format, size=None, direction="xy"):
    """Exports a run's model as one file.

    Args:
        run: a run directory.
        output: the file, new; its suffix is the format.
        format: "tflite" or "onnx".
        size: (height, width) of translations; where missing, the model's image_size for TFLite and any size for ONNX.
        direction: of translations, "xy" or "yx"; a TFLite file has all that the model has.

    Returns:
        The path of the file.

    Raises:
        UserError: a mistake that the message says how to mend, or a model that the format cannot hold; nothing is written.
        RuntimeError: the file's images differ from the model's by more than 1 level of 255; nothing is written.
    """
    run, output = pathlib.Path(run), pathlib.Path(output)
    check_choice("format", format, FORMATS)
    if output.suffix.lower() != f".{format}":
        raise UserError(f"the output must be a file such as model.{format}, received {output}")
    if output.exists() or not output.absolute().parent.is_dir():
        raise UserError(
            f"{output} is already there"
            if output.exists()
            else f"the folder of the output does not exist, received {output}"
        )
    if not is_run_directory(run):
        raise UserError(f"a run directory (with experiment.json) is needed, received {str(run)!r}")
    with (
        tf.device("CPU"),
        silence_native_output(),
    ):  # where the file's float32 is the model's: GPUs round it (TF32)
        model = load_model(run)
        if model.dtype_policy.name != "float32":  # the casts go, the weights are float32 anyway
            weights, model = model.get_weights(), type(model)(model.config, dtype="float32")
            model.set_weights(weights)
        functions = exported_functions(model, format, size, direction)
        content, results = FORMATS[format](functions)
        for name, (_, specs) in functions.items():
            inputs, wanted = example_inputs(model, name, specs)
            worst = np.abs(results(name, inputs).astype(int) - wanted).max()
            if (
                worst > 1
            ):  # 1 comes of sums in another order: a value between two levels is rounded either way
                raise RuntimeError(
                    f"{name} of the {format} file differs from the model by {worst} levels of 255"
                )
    partial = output.with_name(f"{output.name}.partial")
    try:
        partial.write_bytes(content)
        partial.rename(output)
    finally:
        partial.unlink(missing_ok=True)
    return output


def exported_functions(model, format, size, direction):
    """What the file can do: {name: (function, its input specs)}."""
    if model.task == "stylize":
        raise UserError(f"models of style are exported as a SavedModel, received format={format}")
    if model.task == "generate":
        if size or direction != "xy":
            raise UserError(
                f"size and direction are for models that translate images, received size={size}, direction={direction}"
            )
        function, specs = model.signatures()["blend" if model.classes else "serving_default"]
        n = 1 if format == "tflite" else None
        return {
            "generate": (
                function,
                [tf.TensorSpec((n, *spec.shape[1:]), spec.dtype, spec.name) for spec in specs],
            )
        }
    model.channels(direction)  # refuses a direction that the model does not have
    config = model.config
    if model.stochastic:
        raise UserError(
            f"{format} has no random numbers of a seed, which this model draws at test time: export a SavedModel, or if it is "
            "model.test_dropout and no model.latent_dim, write false for it in the run's experiment.json, no weight depends on it"
        )
    size = size or ((config.image_size, config.image_size) if format == "tflite" else None)
    fits = size and tuple(
        max(-(-side // config.multiple) * config.multiple, config.multiple, config.smallest)
        for side in size
    )
    if size and fits != tuple(size):
        raise UserError(
            f"sides must be multiples of {config.multiple}, and at least {max(config.multiple, config.smallest)}: the next size is "
            f"{fits[0]}x{fits[1]}, received {size[0]}x{size[1]}"
        )

    def function_of(direction):
        def translate(images):
            x = to_float(images)
            y = (
                model.generator_of(direction)(x, training=False)
                if size
                else model.map(x, direction)
            )
            return {"translated": to_uint8(y)}  # ONNX wants another name than the input's

        shape = (1, *size) if size else (None, None, None)
        return translate, [
            tf.TensorSpec((*shape, model.channels(direction)[0]), tf.uint8, "images")
        ]

    return {
        f"translate_{each}": function_of(each)
        for each in (model.directions if format == "tflite" else [direction])
    }


def example_inputs(model, name, specs):
    """Inputs of a function, {name: array}, and what the model makes of them, uint8."""
    if name == "generate":
        inputs = [model.latent(8, seed=1).numpy(), *model.condition(None, 8)]
        return {
            spec.name: array for spec, array in zip(specs, inputs, strict=True)
        }, model.generate(*inputs)
    # Where it is free, sides that no network needs. Noise: on one flat colour instance norm magnifies rounding errors without bounds.
    shape = [fixed or free for fixed, free in zip(specs[0].shape, (2, 52, 75, 0), strict=True)]
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return {"images": images}, model.translate(images, name.removeprefix("translate_"))


FORMATS = {"tflite": convert_to_tflite, "onnx": convert_to_onnx}
