"""Atomic writes: a file is written completely or not at all."""

import contextlib
import itertools
import os
import pathlib

COUNTER = itertools.count()  # makes temporary names unique within the process


@contextlib.contextmanager
def atomic_write(path):
    """Yield a temporary path to write to, and rename it to `path` on success.

    The temporary file is in the same folder and has the same suffix, which image and array writers
    need. Its name is short, since that of `path` may be as long as the file system allows. If the
    block raises an error, it is deleted, and an existing file at `path` stays as it was.

    Args:
        path: the file to write.

    Yields:
        The path of the temporary file, a `pathlib.Path`.
    """
    path = pathlib.Path(path)
    partial = path.with_name(f".{os.getpid()}.{next(COUNTER)}.partial{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path, text):
    """Write UTF-8 text and a final newline atomically; create missing parent folders."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")
