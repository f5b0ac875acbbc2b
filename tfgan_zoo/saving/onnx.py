"""Convert functions to an ONNX file."""

import tensorflow as tf

from tfgan_zoo.errors import UserError


def convert_to_onnx(functions):
    """A file's bytes, and the function (name, inputs) -> images that runs them."""
    try:
        import onnxruntime
        import tf2onnx
    except ImportError as error:
        raise UserError(f'ONNX needs the extra: pip install "tfgan_zoo[onnx]" ({error})') from None

    ((function, specs),) = functions.values()
    made, _ = tf2onnx.convert.from_function(tf.function(function, input_signature=specs), specs)
    for tensor in (*made.graph.input, *made.graph.output):
        for axis, name in zip(
            tensor.type.tensor_type.shape.dim, ("n", "height", "width"), strict=False
        ):
            if not axis.HasField("dim_value"):
                axis.dim_param = name
    content = made.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return content, lambda name, inputs: session.run(None, inputs)[0]
