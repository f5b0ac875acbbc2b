"""Convert functions to a TFLite file."""

import tempfile

import numpy as np
import tensorflow as tf

from tfgan_zoo.quiet import silence_native_output
from tfgan_zoo.runs import log
from tfgan_zoo.saving.saved_model import write_saved_model


def convert_to_tflite(functions):
    """Convert functions to one TFLite file with a signature for each.

    Args:
        functions: {name: (function, input specs)}. The specs have a batch size of 1.

    Returns:
        (content, run): the bytes of the file, and the function `run(name, inputs)` that runs a
        signature on a dict of arrays (n, ...), one row at a time.
    """
    interpreter_class = load_interpreter_class()
    with tempfile.TemporaryDirectory() as folder, silence_native_output():
        write_saved_model(functions, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        content = converter.convert()
    interpreter = interpreter_class(model_content=content)

    def run(name, inputs):
        rows = [dict(zip(inputs, row, strict=True)) for row in zip(*inputs.values(), strict=True)]
        outputs = []
        with silence_native_output():  # the first call prints which delegate it uses
            runner = interpreter.get_signature_runner(name)
            for row in rows:
                batch_of_one = {key: array[None] for key, array in row.items()}
                outputs += runner(**batch_of_one).values()
        return np.concatenate(outputs)

    return content, run


def load_interpreter_class():
    """Return the `Interpreter` of ai-edge-litert, or TensorFlow's own if it is not installed."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        log(
            "verifying the file with tf.lite.Interpreter, which TensorFlow is going to remove: "
            f'pip install "tfgan_zoo[tflite]" installs its successor ({error})'
        )
        return tf.lite.Interpreter
    return Interpreter
