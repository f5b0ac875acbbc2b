"""Outputs: none is replaced unless it may be, and each is written completely or not at all."""

import contextlib
import errno
import itertools
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time

from tfgan_zoo.errors import FailureError, UserError, first_line, shortened

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
    except OSError as error:
        if error.filename is None:  # of a full disk, for example
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_text(path, text):
    """Write UTF-8 text and a final newline atomically; create missing parent folders.

    Bytes of file names that are not UTF-8 are written as escapes.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


@contextlib.contextmanager
def atomic_folder(folder, overwrite=False):
    """Yield an empty temporary folder to fill, and rename it to `folder` on success.

    It is inside of `.NAME.xxxxxxxx.partial`, beside `folder`. An existing folder is moved there
    before the new one gets its name, and deleted afterwards. If the process is killed, the next
    call for the same folder moves the old one back, if there is no new one, and deletes the rest.
    It never deletes temporary folders of processes that still run, because they are locked.

    Args:
        folder: the folder to write. Missing parent folders are created.
        overwrite: whether a folder that is not empty may be replaced.

    Yields:
        The path of the temporary folder, a `pathlib.Path`.

    Raises:
        UserError: the folder exists at the end, and may not be replaced.
    """
    import filelock  # takes a third of the start of the command

    folder = pathlib.Path(os.path.realpath(folder))  # `resolve` raises for a loop of links
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_leftover_folders(folder)
    temporary = pathlib.Path(tempfile.mkdtemp(".partial", f".{folder.name}.", folder.parent))
    lock = filelock.FileLock(temporary / "lock")
    try:
        with contextlib.suppress(NotImplementedError, OSError):  # a file system without locks
            lock.acquire(timeout=0)
        new = temporary / "new"
        new.mkdir()  # with the permissions of any other folder, unlike `temporary`
        yield new
        for path in [*new.rglob("*"), new]:
            flush_to_disk(path)
        if overwrite and folder.exists():
            folder.rename(temporary / "old")
        try:
            new.rename(folder)
        except OSError:
            check_overwrite([folder], overwrite)
            raise
        flush_to_disk(folder.parent)
    finally:
        lock.release()
        remove_temporary_folder(temporary, folder)


def remove_leftover_folders(folder):
    """Remove the temporary folders of `atomic_folder` whose processes were killed."""
    import filelock

    name = re.compile(rf"\.{re.escape(folder.name)}\.\w{{8}}\.partial")
    for path in folder.parent.iterdir():
        if name.fullmatch(path.name):
            lock = filelock.FileLock(path / "lock")
            try:
                lock.acquire(timeout=0)
            except (NotImplementedError, OSError):  # its process runs, or it is not ours
                continue
            lock.release()
            remove_temporary_folder(path, folder)


def remove_temporary_folder(temporary, folder):
    """Delete a temporary folder of `atomic_folder`; the old folder in it replaces a missing one."""
    if not folder.exists():
        with contextlib.suppress(FileNotFoundError):
            (temporary / "old").rename(folder)
    shutil.rmtree(temporary, ignore_errors=True)


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


@contextlib.contextmanager
def without_wildcards(folder):
    """Yield the path of a folder, or of a temporary copy if the path looks like a pattern.

    TensorFlow expands wildcards in the path of a checkpoint, so it does not find "runs [1]/ckpt-1".
    """
    if set(str(folder)).isdisjoint("*?["):
        yield pathlib.Path(folder)
        return
    with tempfile.TemporaryDirectory(prefix="tfgan-zoo-") as temporary:
        yield pathlib.Path(shutil.copytree(folder, pathlib.Path(temporary, "copy")))


@contextlib.contextmanager
def explain_damage(path, advice):
    """Name a file, and what to do, in the errors that its content causes in the block.

    Args:
        path: the file.
        advice: one sentence.

    Raises:
        UserError: the error was a `UserError`.
        FailureError: the error was of another type, which a damaged file may cause.
        OSError: the file cannot be read.
    """
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except (FailureError, MemoryError, OSError):
        raise
    except Exception as error:
        is_internal = isinstance(error, (AttributeError, LookupError, TypeError))
        reason = "values are missing or of a wrong type" if is_internal else first_line(error)
        raise FailureError(f"{path} is damaged ({reason}). {advice}") from error


def read_json(path, advice):
    """Read a JSON object; the arguments and errors are those of `explain_damage`."""
    with explain_damage(path, advice):
        values = json.loads(pathlib.Path(path).read_text(encoding="utf-8-sig"))
        if not isinstance(values, dict):
            raise ValueError(f"it must be a JSON object, got {shortened(values)}")
        return values


def check_overwrite(paths, overwrite):
    """Raise `UserError` if any of the outputs exists and may not be replaced."""
    existing = [path for path in paths if os.path.lexists(path)]
    if existing and not overwrite:
        count = f" ({len(existing)} of {len(paths)} outputs do)" if len(paths) > 1 else ""
        raise UserError(
            f"{existing[0]} already exists{count}. Choose another output, or pass --overwrite."
        )


def check_output_files(paths, overwrite):
    """Check before the work that files can be written.

    Raises:
        UserError: a file exists and may not be replaced, is a folder, or its folder cannot be
            written to.
    """
    check_overwrite(paths, overwrite)
    for path in paths:
        if path.is_dir():
            raise UserError(f"{path} is a folder, but must be a file. Choose another output.")
    for folder in {path.parent for path in paths}:
        check_output_folder(folder)


def check_output_folder(folder):
    """Raise `UserError` if a folder, which may not exist yet, cannot be written to."""
    folder = pathlib.Path(folder)
    parent = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"the output must be in a writable folder, got {parent}.")


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
    """Delete the temporary files that a killed process left in a folder.

    Call it only if no other process writes to the folder.
    """
    for path in pathlib.Path(folder).glob(".*.partial*"):
        if LEFTOVER.fullmatch(path.name):
            path.unlink(missing_ok=True)
