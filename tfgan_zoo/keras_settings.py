"""Check of the global Keras settings that would change every network."""

import keras

from tfgan_zoo.errors import UserError

REQUIRED = {  # setting in keras.json and in keras.config: the value of this package's networks
    "image_data_format": "channels_last",
    "floatx": "float32",
}


def check_keras_settings():
    """Raise `UserError` for a global setting that this package's networks are not made for.

    The settings come from keras.json in the user's folder ~/.keras, or from `keras.config`.
    """
    for name, required in REQUIRED.items():
        value = getattr(keras.config, name)()
        if value != required:
            raise UserError(
                f"the Keras setting {name} must be {required}, got {value}: change it in keras.json"
                f" in ~/.keras (or $KERAS_HOME), or call keras.config.set_{name}({required!r})."
            )
