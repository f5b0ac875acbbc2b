"""Convert functions to a TFLite file."""

import tempfile
import types

import numpy as np
import tensorflow as tf

from tfgan_zoo.saving.saved_model import save_signatures


def convert_to_tflite(functions):
    """A file's bytes, and the function (name, inputs) -> images that runs them, one by one."""
    with tempfile.TemporaryDirectory() as folder:
        save_signatures(types.SimpleNamespace(signatures=lambda: functions), folder)
        content = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(functions)
        ).convert()
    interpreter = tf.lite.Interpreter(model_content=content)

    def results(name, inputs):
        run = interpreter.get_signature_runner(name)
        rows = [dict(zip(inputs, row, strict=True)) for row in zip(*inputs.values(), strict=True)]
        return np.concatenate(
            [
                image
                for row in rows
                for image in run(**{key: part[None] for key, part in row.items()}).values()
            ]
        )

    return content, results
