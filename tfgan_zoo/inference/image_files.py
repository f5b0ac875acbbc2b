"""Picture files in, picture files out, one after another: which files, where to, and what may go wrong with one of many."""

import concurrent.futures
import contextlib
import glob
import itertools
import os
import pathlib
import threading

import numpy as np
import tensorflow as tf
from PIL import Image

from tfgan_zoo.data import image_folder
from tfgan_zoo.errors import UserError, first_line

IMAGE_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
LARGE_IMAGE = 2**26  # numbers of a picture; 22 megapixels of colours


def convert_images(sources, output, suffixes, read, make, smaller, overwrite=False, progress=None):
    """Makes a picture of every picture.

    Args:
        sources, output: see `plan`.
        suffixes: those that may be written, the first one in place of others.
        read: (path, path to write) -> what `make` takes.
        make: (what was read, path to write) -> uint8 or uint16 (h, w, c) to write, and a dict of what to say about it.
        smaller: what to choose where memory does not suffice.
        overwrite: whether files that are already there may be replaced.
        progress: a function (number done, number of all, path), called before each picture.

    Returns:
        (done, failed): lists of dicts, [{input, output, width, height, ...}], and [{input, error}] of files that cannot be read, held in
        memory or held by their format.

    Raises:
        UserError: no pictures, or an output that is already there or cannot be written.
    """
    jobs = plan_jobs(sources, pathlib.Path(output), suffixes)
    check_targets([target for _, target in jobs], overwrite)
    done, failed = {}, {}  # by number

    @contextlib.contextmanager
    def noted(number, height, width):
        """What goes wrong with one picture is told in the end, but that a disk is full or closed ends it all."""
        source, target = jobs[number]
        try:
            yield
        except (MemoryError, tf.errors.ResourceExhaustedError):
            reason = f"{width}x{height} pixels need more memory than there is: choose {smaller}"
            failed[number] = {"input": str(source), "error": reason}
        except (FormatError, UserError) as error:
            failed[number] = {"input": str(source), "error": str(error)}
        except OSError as error:
            kept = f"{len(done)} of {len(jobs)} are done and kept"
            raise UserError(
                f"{target} cannot be written ({error.strerror}), {kept}, received -o {output}"
            ) from None

    def finish(number, height, width, made, told):
        source, target = jobs[number]
        with noted(number, height, width):
            write_image(made, target)
            done[number] = {
                "input": str(source),
                "output": str(target),
                "width": width,
                "height": height,
                **told,
            }

    def begin(number):
        return reader.submit(read, *jobs[number]) if number < len(jobs) else None

    with (
        concurrent.futures.ThreadPoolExecutor(1) as reader,
        concurrent.futures.ThreadPoolExecutor(1) as writer,
    ):
        reading, writing = begin(0), writer.submit(lambda: None)
        try:
            for number, (source, target) in enumerate(jobs):
                if progress:
                    progress(number, len(jobs), source)
                image = None
                try:
                    image = reading.result()
                except Exception as error:  # broken files make readers raise all sorts of things
                    reason = (
                        "its pixels need more memory than there is"
                        if isinstance(error, MemoryError)
                        else first_line(error)
                    )
                    failed[number] = {"input": str(source), "error": reason}
                reading = None
                # The next picture is read and the last one written while this one is made, but large ones are in memory alone.
                large = image is not None and image.size > LARGE_IMAGE
                if large or writing.done():
                    writing.result()
                if not large:
                    reading = begin(number + 1)
                made = None
                if image is not None:
                    (height, width), told = image.shape[:2], {}
                    with noted(number, height, width):
                        made, told = make(image, target)
                image = None
                writing.result()  # at most one picture waits to be written
                if made is not None:
                    writing = writer.submit(finish, number, height, width, made, told)
                    if told.get("finished") is False:  # stopped by Ctrl-C: the others are not begun
                        break
                if large:
                    made = None
                    writing.result()
                    reading = begin(number + 1)
        finally:
            writing.result()
    return [done[number] for number in sorted(done)], [failed[number] for number in sorted(failed)]


def suffixes_for_channels(channels):
    """The suffixes of files that can hold so many channels, the first one being the one to choose."""
    if channels in (1, 3):
        return (*IMAGE_FORMATS, ".npy")
    return (".png", ".webp", ".tif", ".tiff", ".npy") if channels == 4 else (".npy",)


def holds_16_bits(path, channels):
    return path.suffix.lower() in (
        (".npy", ".png", ".tif", ".tiff") if channels == 1 else (".npy",)
    )


def plan_jobs(sources, output, suffixes):
    """The pairs (file to read, file to write).

    Args:
        sources: paths of pictures (or .npy arrays), folders (with their sub-folders) or glob patterns.
        output: for one picture a file or a folder; for several a folder, in which names and sub-folders are kept. What is within it is
            no input. A name whose suffix cannot hold the result, such as .gif, gets the first one that can.
        suffixes: those that may be written, the first one in place of others.

    Raises:
        UserError: no files, two inputs for one output, or an output that would replace an input.
    """
    found = [pair for source in sources for pair in find_files(str(source), output)]
    single = len(found) == 1 and output.suffix.lower() in suffixes and not output.is_dir()
    known = {*image_folder.SUFFIXES, ".npy"}
    if (
        not single
        and not output.is_dir()
        and (output.suffix.lower() in known if len(found) > 1 else output.suffix)
    ):
        wanted = (
            "a folder"
            if len(found) > 1
            else f"a folder that is there or has no dot, or a file ({', '.join(suffixes)})"
        )
        raise UserError(
            f"the output of {len(found)} picture{'s'[: len(found) > 1]} must be {wanted}, received -o {output}"
        )
    inputs, jobs = {os.path.realpath(source) for source, _ in found}, {}
    for source, name in found:
        name = name if name.suffix.lower() in suffixes else name.with_suffix(suffixes[0])
        target = output if single else output / name
        if os.path.realpath(target) in inputs:
            raise UserError(
                f"{target} is an input, which its translation would replace: choose another output, received -o {output}"
            )
        if not os.path.samefile(jobs.setdefault(target, source), source):
            raise UserError(
                f"{jobs[target]} and {source} would both become {target}: make them in two calls, into two outputs"
            )
    return [(source, target) for target, source in jobs.items()]


def find_files(source, output):
    """The files that a source names, each with its name in the output: that within the folder, or within the fixed part of a pattern.

    Whatever lies in the output is left out, lest what was made is taken for an input the next time.
    """
    path = pathlib.Path(source)
    if path.is_file():
        return [(path, pathlib.Path(path.name))]
    if path.is_dir():
        root, files = path, image_folder.list_images(path)
    else:
        root = pathlib.Path(
            *itertools.takewhile(lambda part: not set(part) & set("*?["), path.parts)
        )
        files = [pathlib.Path(match) for match in sorted(glob.glob(source, recursive=True))]
        files = [
            file
            for file in files
            if file.is_file() and file.suffix.lower() in (*image_folder.SUFFIXES, ".npy")
        ]
    made = output.resolve()
    if root.resolve() in made.parents:
        files = [
            file
            for file in files
            if made not in ((place := file.parent.resolve()) / file.name, place, *place.parents)
        ]
    if not files:
        raise UserError(
            f"there is no such picture, folder or pattern with pictures (outside of the output), received {source!r}"
        )
    return [(file, file.relative_to(root)) for file in files]


def check_targets(targets, overwrite):
    """Raises `UserError` for outputs that are already there or cannot be written, as far as one can know before the work."""
    taken = [target for target in targets if os.path.lexists(target)]
    if taken and not overwrite:
        raise UserError(
            f"{taken[0]} is already there ({len(taken)} of {len(targets)} outputs): choose another output, or --overwrite"
        )
    for target in taken:
        if target.is_dir():
            raise UserError(f"{target} is a folder, where a file must go: choose another output")
    for folder in {target.parent for target in targets}:
        there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise UserError(
                f"the output must go into a folder that can be written to, received {there}"
            )


class FormatError(Exception):
    """A picture that its file format cannot hold."""


def write_image(image, path):
    """Writes a file, and its folder, whole or not at all.

    Raises:
        UnfitError: more pixels than the format can hold.
        OSError: of the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(
        f".{os.getpid()}.{threading.get_ident()}.partial"
    )  # short: the name itself may be as long as the disk allows
    try:
        with partial.open("wb") as file:
            if path.suffix.lower() == ".npy":
                np.save(file, image)
            else:
                picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
                kind = IMAGE_FORMATS[path.suffix.lower()]
                picture.save(
                    file, format=kind, **({"quality": 95} if kind in ("JPEG", "WEBP") else {})
                )
        partial.replace(path)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) is None:  # Pillow's own, not the disk's
            height, width = image.shape[:2]
            raise FormatError(
                f"{width}x{height} pixels do not fit into {path.name} ({error}): choose an output with .png"
            ) from None
        raise
    finally:
        partial.unlink(missing_ok=True)
