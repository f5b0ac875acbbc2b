"""Convert functions to a TFLite file."""

import tempfile

import tensorflow as tf

from tfgan_zoo.errors import UserError
from tfgan_zoo.quiet import silence_native_output
from tfgan_zoo.saving.saved_model import write_saved_model

FLOAT_OPERATORS = (  # that are not quantized: normalization, and the conversion to uint8
    *("MEAN", "SUM", "SQUARED_DIFFERENCE", "RSQRT", "SQRT", "MUL", "ADD", "SUB", "DIV"),
    *("TANH", "LOGISTIC", "MIRROR_PAD"),
)


def convert_to_tflite(functions, precision="float32", calibration=()):
    """Convert functions to one TFLite file with a signature for each.

    Only built-in operators are used, no TensorFlow operators of the Flex delegate.

    Args:
        functions: {name: (function, input specs)}.
        precision: "float32"; "float16" for weights of half the size; "int8_weights" for 8-bit
            weights, with activations in float32 between the operators; "int8" for 8-bit weights
            and activations of convolutions and matrix products.
        calibration: list of (name, inputs) with typical inputs of each function, for int8.

    Returns:
        (files, run): {".tflite": content}, and the function `run(name, inputs)` that runs a
        signature on a dict of arrays.

    Raises:
        UserError: ai-edge-litert is not installed.
    """
    interpreter_class = load_interpreter_class()
    with tempfile.TemporaryDirectory() as folder, silence_native_output():
        write_saved_model(functions, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        is_calibrated = precision == "int8"
        content = quantize(converter, calibration) if is_calibrated else converter.convert()
    interpreter = interpreter_class(model_content=content)

    def run(name, inputs):
        with silence_native_output():  # the first call prints which delegate it uses
            (output,) = interpreter.get_signature_runner(name)(**inputs).values()
        return output

    return {".tflite": content}, run


def quantize(converter, calibration):
    """Convert to 8-bit weights and activations, with normalization and arithmetic in float32.

    In 8 bits, the variances of normalization layers are so inexact that the images are useless.

    Args:
        converter: a `tf.lite.TFLiteConverter`.
        calibration: see `convert_to_tflite`.

    Returns:
        The bytes of the file.
    """

    def dataset():
        return iter(calibration)

    converter.representative_dataset = dataset
    # The debugger is the documented way to exclude operators from quantization.
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter,
        debug_dataset=dataset,
        debug_options=tf.lite.experimental.QuantizationDebugOptions(
            denylisted_ops=list(FLOAT_OPERATORS)
        ),
    )
    return debugger.get_nondebug_quantized_model()


def load_interpreter_class():
    """Return the `Interpreter` of LiteRT, which runs TFLite files.

    Raises:
        UserError: ai-edge-litert is not installed.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise UserError(
            f'TFLite needs the extra tflite: pip install "tfgan_zoo[tflite]" ({error}).'
        ) from None
    return Interpreter
