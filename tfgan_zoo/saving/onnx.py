"""Convert functions to an ONNX file."""

import tensorflow as tf

from tfgan_zoo.errors import UserError
from tfgan_zoo.quiet import silence_native_output

OPSET = 17  # version of the operators: ONNX 1.12 of 2022 and later, ONNX Runtime 1.12 and later
AXIS_NAMES = {  # of axes whose size is not fixed; of other tensors: n, height, width
    "styles": ("m", "style_height", "style_width"),
    "weights": ("m",),
}


def convert_to_onnx(functions, precision="float32", calibration=()):
    """Convert a function to an ONNX file.

    Args:
        functions: {name: (function, input specs)} with one entry.
        precision: "float32".
        calibration: not used.

    Returns:
        (files, run): {".onnx": content}, and the function `run(name, inputs)` that runs it on a
        dict of arrays.

    Raises:
        UserError: tf2onnx or onnxruntime is not installed.
    """
    try:
        import onnxruntime
        import tf2onnx
    except ImportError as error:
        raise UserError(
            f'ONNX needs the extra onnx: pip install "tfgan_zoo[onnx]" ({error}).'
        ) from None

    ((function, specs),) = functions.values()
    with silence_native_output():
        graph = tf.function(function, input_signature=specs)
        onnx_model, _ = tf2onnx.convert.from_function(graph, specs, opset=OPSET)
        for tensor in (*onnx_model.graph.input, *onnx_model.graph.output):
            names = AXIS_NAMES.get(tensor.name, ("n", "height", "width"))
            for axis, name in zip(tensor.type.tensor_type.shape.dim, names, strict=False):
                if not axis.HasField("dim_value"):
                    axis.dim_param = name
        content = onnx_model.SerializeToString()
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return {".onnx": content}, lambda name, inputs: session.run(None, inputs)[0]
