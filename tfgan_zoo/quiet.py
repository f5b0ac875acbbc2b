"""Suppress the start-up messages of TensorFlow and of the converters.

Used by the command line, the notebooks and Python programs.
"""

import contextlib
import logging
import os
import sys
import tempfile
import warnings

from tfgan_zoo.tpu import check_libtpu


@contextlib.contextmanager
def redirect_native_stderr(file):
    """Redirect file descriptor 2 to `file`: C++ code writes to it without Python's `sys.stderr`."""
    sys.stderr.flush()
    stderr = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def start_tensorflow():
    """Import TensorFlow without its messages about oneDNN, CUDA and logging.

    The messages are printed if the import fails.

    Raises:
        UserError: the installed libtpu would abort the process.
    """
    check_libtpu()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with tempfile.TemporaryFile() as messages:
        try:
            # C++ code writes some messages before any log level applies.
            with redirect_native_stderr(messages):
                import tensorflow as tf

                tf.config.list_physical_devices()
        except BaseException:
            messages.seek(0)
            os.write(2, messages.read())
            raise


def ensure_tensorflow():
    """Call `start_tensorflow` unless the program has imported TensorFlow already."""
    if "tensorflow" not in sys.modules:
        start_tensorflow()


@contextlib.contextmanager
def silence_native_output():
    """Suppress warnings, log messages and native stderr output, for example of converters.

    Exceptions are raised as usual.
    """
    level = logging.root.manager.disable
    with (
        open(os.devnull, "w", encoding="utf-8") as null,
        warnings.catch_warnings(action="ignore"),
        redirect_native_stderr(null),
    ):
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(level)
