"""Start TensorFlow fast and without its messages; suppress those of the converters.

Used by the command line, the notebooks and Python programs.
"""

import contextlib
import gc
import importlib.machinery
import logging
import os
import sys
import tempfile
import threading
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


class PostponedImports:
    """Import finder that raises `ImportError` for Keras, h5py and SciPy in one thread.

    `import tensorflow` imports Keras, which it does not need, and it continues without it. Keras
    takes longer to import than the rest of TensorFlow. A SavedModel is used without Keras. h5py
    and SciPy are used by an old copy of Keras in TensorFlow only.
    """

    names = ("keras", "h5py", "scipy")

    def __init__(self):
        self.thread = threading.get_ident()

    def find_spec(self, name, path=None, target=None):
        """Return the spec of a postponed module: the true location, but with this loader."""
        if name not in self.names or threading.get_ident() != self.thread:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec:
            spec.loader = self
        return spec

    def create_module(self, spec):
        raise ImportError(f"{spec.name} is imported after TensorFlow.", name=spec.name)

    def exec_module(self, module):
        """Complete the interface of a loader. `create_module` has raised an error before."""


@contextlib.contextmanager
def fast_imports():
    """Postpone the import of Keras in the block, and collect no garbage in it.

    TensorFlow creates a million objects, which exist until the process ends.
    """
    collects, finder = gc.isenabled(), PostponedImports()
    gc.disable()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        if collects:
            gc.enable()


def start_tensorflow(freeze=True):
    """Import TensorFlow without its messages about oneDNN, CUDA and logging, and without Keras.

    The messages are printed if the import fails.

    Args:
        freeze: whether to exclude all existing objects from garbage collection, which saves a
            command the search through those of TensorFlow. A program may have its own objects.

    Raises:
        UserError: the installed libtpu would abort the process.
    """
    check_libtpu()
    is_first = "tensorflow" not in sys.modules
    fast = fast_imports if is_first else contextlib.nullcontext
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with tempfile.TemporaryFile() as messages:
        try:
            # C++ code writes some messages before any log level applies.
            with redirect_native_stderr(messages), fast():
                import tensorflow as tf

                tf.config.list_physical_devices()
        except BaseException:
            messages.seek(0)
            os.write(2, messages.read())
            raise
    if freeze and is_first:
        gc.freeze()


def ensure_tensorflow():
    """Call `start_tensorflow` unless the program has imported TensorFlow already."""
    if "tensorflow" not in sys.modules:
        start_tensorflow(freeze=False)


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
