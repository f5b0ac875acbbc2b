"""Convert image files to image files: find inputs, choose outputs, read, convert and write."""

import concurrent.futures
import contextlib
import glob
import os
import pathlib

import numpy as np
import tensorflow as tf
from PIL import Image

from tfgan_zoo.data import image_file, image_folder
from tfgan_zoo.errors import UserError, first_line
from tfgan_zoo.files import atomic_write, check_output_files

IMAGE_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
READABLE_SUFFIXES = (*image_file.SUFFIXES, ".npy")
LARGE_IMAGE = 2**26  # values of an image (22 megapixels of RGB) that is alone in memory


def convert_images(
    sources, output, suffixes, read, convert, memory_advice, overwrite=False, progress=None
):
    """Convert image files one after another.

    Args:
        sources: paths, folders or glob patterns; see `plan_jobs`.
        output: a file or a folder; see `plan_jobs`.
        suffixes: suffixes that may be written; the first one replaces any other.
        read: function (input path, output path) -> the input of `convert`, an array (h, w, c).
        convert: function (array, output path) -> (uint8 or uint16 array (h, w, c), details). The
            dict `details` is added to the image's record; `"finished": False` in it means that the
            user interrupted the conversion, so no further image is started.
        memory_advice: what to choose if memory does not suffice, for the error message.
        overwrite: whether existing files may be replaced.
        progress: function (number of images done, number of images, input path), called before
            each image.

    Returns:
        (converted, failed). converted is a list of records {input, output, width, height, ...},
        failed a list of {input, error} for images that cannot be read, do not fit into memory or
        do not fit into their file format.

    Raises:
        UserError: if there are no images, an output exists, or an output cannot be written.
        OSError: if the disk is full or fails.
    """
    jobs = plan_jobs(sources, pathlib.Path(output), suffixes)
    check_output_files([target for _, target in jobs], overwrite)
    return ImageConverter(jobs, read, convert, memory_advice, output).run(progress)


class ImageConverter:
    """Convert a list of image files; read ahead and write behind.

    While one image is converted, one thread reads the next image and another thread writes the
    previous one. An image of more than LARGE_IMAGE values is alone in memory. A failure of one
    image is recorded and the other images are converted. A disk error stops the conversion.

    Args:
        jobs: list of (input path, output path).
        read, convert, memory_advice, output: see `convert_images`.
    """

    def __init__(self, jobs, read, convert, memory_advice, output):
        self.jobs, self.read, self.convert = jobs, read, convert
        self.memory_advice, self.output = memory_advice, output
        self.converted, self.failed = {}, {}  # records by job number, since writing is behind
        self.reading = self.writing = None  # futures

    def run(self, progress=None):
        """Convert all images; return (converted, failed), records in the order of the jobs."""
        with (
            concurrent.futures.ThreadPoolExecutor(1) as self.reader,
            concurrent.futures.ThreadPoolExecutor(1) as self.writer,
        ):
            self.start_reading(0)
            self.writing = self.writer.submit(lambda: None)
            try:
                for number, (source, _) in enumerate(self.jobs):
                    if progress:
                        progress(number, len(self.jobs), source)
                    if not self.run_job(number):
                        break
            finally:
                self.finish_writing()
        return tuple(
            [records[number] for number in sorted(records)]
            for records in (self.converted, self.failed)
        )

    def run_job(self, number):
        """Convert one image and start to write it; return False if the user interrupted it."""
        image = self.finish_reading(number)
        large = image is not None and image.size > LARGE_IMAGE
        if large or self.writing.done():
            self.finish_writing()  # raises disk errors of the previous image
        if not large:
            self.start_reading(number + 1)

        result, details = None, {}
        if image is not None:
            size = image.shape[:2]
            with self.record_failure(number, size):
                result, details = self.convert(image, self.jobs[number][1])
        del image

        self.finish_writing()  # at most one image waits to be written
        if result is not None:
            self.writing = self.writer.submit(self.write, number, size, result, details)
            del result
        if details.get("finished") is False:
            return False
        if large:
            self.finish_writing()
            self.start_reading(number + 1)
        return True

    def start_reading(self, number):
        if number < len(self.jobs):
            self.reading = self.reader.submit(self.read, *self.jobs[number])

    def finish_reading(self, number):
        """Return the image that was read, or record the failure and return None."""
        try:
            return self.reading.result()
        except Exception as error:  # broken files cause many kinds of exceptions
            reason = first_line(error)
            if isinstance(error, MemoryError):
                reason = "the image needs more memory than is available"
            self.add_failure(number, reason)
        finally:
            self.reading = None  # the future must not keep the image in memory

    def write(self, number, size, image, details):
        source, target = self.jobs[number]
        with self.record_failure(number, size):
            write_image(image, target)
            record = {"input": str(source), "output": str(target)}
            self.converted[number] = {**record, "width": size[1], "height": size[0], **details}

    def finish_writing(self):
        self.writing.result()

    @contextlib.contextmanager
    def record_failure(self, number, size):
        """Record the failure of one image and continue; disk errors end the conversion."""
        height, width = size
        try:
            yield
        except (MemoryError, tf.errors.ResourceExhaustedError):
            self.add_failure(
                number,
                f"{width}x{height} pixels need more memory than is available: "
                f"choose {self.memory_advice}",
            )
        except (FormatError, UserError) as error:
            self.add_failure(number, str(error))
        except OSError as error:
            kept = f"{len(self.converted)} of {len(self.jobs)} images were converted"
            path = error.filename or str(self.jobs[number][1])
            raise OSError(error.errno, f"{error.strerror}; {kept}", path) from None

    def add_failure(self, number, reason):
        self.failed[number] = {"input": str(self.jobs[number][0]), "error": reason}


def suffixes_for_channels(channels):
    """Return the suffixes of files that can hold images of `channels` channels, default first."""
    if channels in (1, 3):
        return (*IMAGE_FORMATS, ".npy")
    return (".png", ".webp", ".tif", ".tiff", ".npy") if channels == 4 else (".npy",)


def holds_16_bits(path, channels):
    """Return True if a file with the suffix of `path` can hold 16 bits per channel."""
    suffixes = (".npy", ".png", ".tif", ".tiff") if channels == 1 else (".npy",)
    return path.suffix.lower() in suffixes


def plan_jobs(sources, output, suffixes):
    """Choose an output file for every input file.

    Args:
        sources: paths of images (or .npy arrays), folders (with their subfolders) or glob patterns.
        output: for one image a file or a folder, for several images a folder, in which names and
            subfolders are kept. Files inside of the output folder are not used as inputs. A name
            whose suffix cannot hold the result, such as .gif, gets the first suffix that can.
        suffixes: suffixes that may be written; the first one replaces any other.

    Returns:
        A list of (input path, output path).

    Raises:
        UserError: if there are no files, two inputs have the same output, or an output would
            replace an input.
    """
    inputs = [pair for source in sources for pair in find_files(str(source), output)]
    to_file = len(inputs) == 1 and output.suffix.lower() in suffixes and not output.is_dir()
    if not to_file:
        check_output_folder(output, len(inputs), suffixes)
    input_paths, jobs = {os.path.realpath(source) for source, _ in inputs}, {}
    for source, name in inputs:
        name = name if name.suffix.lower() in suffixes else name.with_suffix(suffixes[0])
        target = output if to_file else output / name
        if os.path.realpath(target) in input_paths:
            raise UserError(
                f"{target} is an input, and its result would replace it, got -o {output}. "
                "Choose another output."
            )
        if not os.path.samefile(jobs.setdefault(target, source), source):
            raise UserError(
                f"{jobs[target]} and {source} have the same output {target}. "
                "Convert them in two calls, with two outputs."
            )
    return [(source, target) for target, source in jobs.items()]


def check_output_folder(output, num_images, suffixes):
    """Raise `UserError` if `output` looks like a file name where a folder is needed."""
    if output.is_dir():
        return
    if num_images > 1 and output.suffix.lower() in READABLE_SUFFIXES:
        raise UserError(f"the output of {num_images} images must be a folder, got -o {output}.")
    if num_images == 1 and output.suffix:
        raise UserError(
            "the output of 1 image must be a file with a supported suffix "
            f"({', '.join(suffixes)}), an existing folder, or a folder without a dot in its name, "
            f"got -o {output}."
        )


def find_files(source, output):
    """List the files that a source names, each with its name in the output.

    The name is relative to the folder, or to the part of a pattern that is an existing folder,
    whose name may have brackets. Hidden files and those of operating systems are left out, and
    files inside of the output, so that results are not inputs of the next call.

    Returns:
        A list of (path, relative path).

    Raises:
        UserError: if there are no files.
    """
    path = pathlib.Path(source)
    if path.is_file():
        return [(path, pathlib.Path(path.name))]
    if path.is_dir():
        root, files = path, image_folder.list_images(path)
    else:
        root = next(parent for parent in path.parents if parent.is_dir())
        files = match_pattern(root, str(path.relative_to(root)))
    output = pathlib.Path(os.path.realpath(output))
    if pathlib.Path(os.path.realpath(root)) in output.parents:
        files = [file for file in files if not is_inside(file, output)]
    if not files:
        raise UserError(
            "no such image, folder with images or pattern that matches images (outside of the "
            f"output), got {source!r}."
        )
    return [(file, file.relative_to(root)) for file in files]


def match_pattern(root, pattern):
    """List the image files in a folder that match a pattern, sorted by name.

    If none does, brackets in the pattern are those of a name, such as "photo [1]*.jpg".
    """
    for form in (pattern, pattern.replace("[", "[[]")):
        matches = map(pathlib.Path, sorted(glob.glob(form, root_dir=root, recursive=True)))
        files = [
            root / path
            for path in matches
            if path.suffix.lower() in READABLE_SUFFIXES
            and (root / path).is_file()
            and not image_folder.is_system_path(path)
        ]
        if files:
            break
    return files


def is_inside(file, output):
    """Return True if `file` is the resolved path `output` or in that folder."""
    folder = file.parent.resolve()  # the file itself may be a link
    return output in (folder / file.name, folder, *folder.parents)


class FormatError(Exception):
    """An image that its file format cannot hold."""


def write_image(image, path):
    """Write an image file atomically; create missing parent folders.

    Args:
        image: uint8 or uint16 array (h, w, c).
        path: the file; its suffix is .npy or one of IMAGE_FORMATS.

    Raises:
        FormatError: if the format cannot hold an image of this size.
        OSError: if the disk cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.suffix.lower()
    try:
        with atomic_write(path) as partial, partial.open("wb") as file:
            if suffix == ".npy":
                np.save(file, image)
            else:
                options = {"quality": 95} if suffix in (".jpg", ".jpeg", ".webp") else {}
                pil_image = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
                pil_image.save(file, format=IMAGE_FORMATS[suffix], **options)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk; Pillow's own errors have no errno
        height, width = image.shape[:2]
        raise FormatError(
            f"{width}x{height} pixels do not fit into {path.name} ({error}): "
            "choose an output with .png"
        ) from None
