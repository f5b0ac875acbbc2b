"""Keep TensorFlow's start-up messages off the terminal."""

import contextlib
import logging
import os
import sys
import tempfile
import warnings


def start_tensorflow():
    """Imports TensorFlow without its notes about oneDNN, CUDA and logging, which would bury ours; its own errors are shown."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    sys.stderr.flush()
    with tempfile.TemporaryFile() as notes:
        stderr = os.dup(2)
        os.dup2(
            notes.fileno(), 2
        )  # these notes are written by C++, before any level of logging applies
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except BaseException:
            notes.seek(0)
            os.write(stderr, notes.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@contextlib.contextmanager
def silence_native_output():
    """Keeps the converters' notes, some of them C++'s, off the terminal; what goes wrong they raise."""
    level, stderr = logging.root.manager.disable, os.dup(2)
    with open(os.devnull, "w") as nowhere, warnings.catch_warnings(action="ignore"):
        logging.disable(logging.WARNING)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            logging.disable(level)
