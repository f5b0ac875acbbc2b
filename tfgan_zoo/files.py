"""Atomic writes: a file is written completely or not at all, also in a power cut."""

import contextlib
import errno
import itertools
import os
import pathlib
import re
import shutil
import sys
import time

COUNTER = itertools.count()  # makes temporary names unique within the process
LEFTOVER = re.compile(r"\.\d+\.\d+\.partial.*")  # temporary names of `atomic_write`

# Errors of network disks, such as a mounted Google Drive, that often disappear after a moment.
TRANSIENT_ERRORS = {
    getattr(errno, name)
    for name in (
        *("EIO", "ENOTCONN", "ESTALE", "ETIMEDOUT", "EAGAIN", "EBUSY", "ENXIO", "ENODEV"),
        *("ENOENT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ECONNRESET"),
    )
    if hasattr(errno, name)
}
RETRY_DELAYS = (1, 2, 5, 10, 30, 60)  # seconds


@contextlib.contextmanager
def atomic_write(path):
    """Yield a temporary path to write to, and rename it to `path` on success.

    The temporary file is in the same folder and has the same suffix, which image and array writers
    need. Its name is short, since that of `path` may be as long as the file system allows. If the
    block raises an error, it is deleted, and an existing file at `path` stays as it was. Contents
    and name are flushed to the disk, so that a power cut leaves the old file or the new one.

    Args:
        path: the file to write.

    Yields:
        The path of the temporary file, a `pathlib.Path`.
    """
    path = pathlib.Path(path)
    partial = path.with_name(f".{os.getpid()}.{next(COUNTER)}.partial{path.suffix}")
    try:
        yield partial
        flush_to_disk(partial)
        partial.replace(path)
        flush_to_disk(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(folder):
    """Yield a temporary folder to fill, and put it in the place of `folder` on success.

    An existing folder is renamed first and deleted last, so that a complete one exists at any
    moment, if not under its name.

    Args:
        folder: the folder to write.

    Yields:
        The path of the temporary folder, in the same parent folder.
    """
    folder = pathlib.Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    number = next(COUNTER)
    partial = folder.with_name(f".{os.getpid()}.{number}.partial")
    previous = folder.with_name(f".{os.getpid()}.{number}.partial-previous")
    partial.mkdir()
    try:
        yield partial
        for path in [*partial.rglob("*"), partial]:
            flush_to_disk(path)
        if folder.exists():
            folder.rename(previous)
        partial.rename(folder)
        flush_to_disk(folder.parent)
    finally:
        for path in (partial, previous):
            shutil.rmtree(path, ignore_errors=True)


def flush_to_disk(path):
    """Wait until a file, or the names in a folder, are on the disk."""
    if os.name == "nt":  # opens no folders, and flushes only files that are open for writing
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems without this operation
            raise
    finally:
        os.close(descriptor)


def write_text(path, text):
    """Write UTF-8 text and a final newline atomically; create missing parent folders."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def retry(write):
    """Call a function that writes files; if the disk does not answer, wait and call it again.

    Args:
        write: function without arguments. It may be called several times.

    Raises:
        OSError: the error is not one of a disk that is away for a moment, such as a full disk, or
            it remains for two minutes.
    """
    for delay in RETRY_DELAYS:
        try:
            return write()
        except OSError as error:
            if error.errno not in TRANSIENT_ERRORS:
                raise
            print(f"warning: {error}; trying again in {delay} s", file=sys.stderr, flush=True)
            time.sleep(delay)
    return write()


def remove_leftovers(folder):
    """Delete the temporary files and folders that a killed process left in a folder.

    Call it only if no other process writes to the folder.
    """
    for path in pathlib.Path(folder).glob(".*.partial*"):
        if LEFTOVER.fullmatch(path.name):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
