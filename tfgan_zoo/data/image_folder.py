"""Folders of images of any format and size."""

import collections
import concurrent.futures
import csv
import logging
import os
import pathlib

import numpy as np

from tfgan_zoo.data import image_file
from tfgan_zoo.data.image_file import SUFFIXES
from tfgan_zoo.errors import UserError, first_line

folders_with_other_files = set()  # those that `warn_left_out` has named


def list_images(folder, suffixes=(*SUFFIXES, ".npy")):
    """List the image files in a folder and its subfolders, sorted by name.

    Raises:
        UserError: The folder has no image file.
    """
    files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    paths = [path for path in files if path.suffix.lower() in suffixes]
    warn_left_out(folder, sorted({*files} - {*paths}))
    if not paths:
        raise UserError(
            f"the folder must have images ({', '.join(suffixes)}), got {str(folder)!r}."
        )
    return paths


def warn_left_out(folder, files):
    """Log the number of files of each suffix that are not read, once for each folder."""
    names = [path.name for path in files if not path.name.startswith(".")]
    suffixes = collections.Counter(
        pathlib.PurePath(name).suffix.lower() or name for name in names if name != "labels.csv"
    )
    key = pathlib.Path(os.path.realpath(folder))
    if suffixes and key not in folders_with_other_files:
        folders_with_other_files.add(key)
        counts = [f"{count} {suffix}" for suffix, count in suffixes.most_common(5)]
        more = ["others"] if len(suffixes) > 5 else []
        logging.getLogger("tfgan_zoo").warning(
            "%s: files of other formats left out: %d (%s)",
            folder,
            suffixes.total(),
            ", ".join(counts + more),
        )


def list_labeled_images(folder):
    """List the image files of a folder sorted by name, with their labels.

    Args:
        folder: A directory. Images in subfolders of any depth are labeled by the first subfolder.
            A file labels.csv instead gives every image a vector of numbers: its first column is the
            path within the folder, the other columns are the numbers.

    Returns:
        (paths, labels, names). Labels are int64 (n,) with the names of the classes, or float32
        (n, k) with the names of the columns, or None with no names.

    Raises:
        UserError: The folder does not exist or has no images, or labels.csv does not match them.
    """
    root = pathlib.Path(folder)
    if not folder or not root.is_dir():
        raise UserError(f"data.path must be a folder of images, got {str(folder)!r}.")
    paths = list_images(root, SUFFIXES)
    if (root / "labels.csv").is_file():
        return paths, *read_label_vectors(root, paths)
    classes = sorted({path.relative_to(root).parts[0] for path in paths if path.parent != root})
    if not classes or any(path.parent == root for path in paths):
        return paths, None, []
    labels = np.array([classes.index(path.relative_to(root).parts[0]) for path in paths], np.int64)
    return paths, labels, classes


def read_label_vectors(root, paths):
    """Read labels.csv in the order of the images.

    Args:
        root: The folder of the images and of labels.csv.
        paths: Paths of the images.

    Returns:
        float32 (n, k), and the names of the k columns.
    """
    file = root / "labels.csv"
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            (_, *names), *rows = csv.reader(lines)
    except (ValueError, csv.Error) as error:
        raise UserError(
            f"{file} must be UTF-8 text that begins with a line of column names "
            f"({first_line(error)})."
        ) from None
    vectors = {}
    for number, row in enumerate(rows, 2):
        expected = f"line {number} of {file} must be a path and {len(names)} finite numbers"
        try:
            path, vector = row[0], np.array(row[1:], np.float32)
        except (IndexError, ValueError) as error:
            raise UserError(f"{expected}, got {row} ({error}).") from None
        if vector.shape != (len(names),) or not np.isfinite(vector).all():
            raise UserError(f"{expected}, got {row}.")
        vectors[path] = vector
    keys = [path.relative_to(root).as_posix() for path in paths]
    missing = [key for key in keys if key not in vectors]
    if missing:
        raise UserError(f"{file} has no line for {len(missing)} images (first: {missing[0]}).")
    return np.stack([vectors[key] for key in keys]), names


def decode_all(paths, size, channels, keep):
    """Decode every image, in several threads.

    Args:
        paths: Image files.
        size: Pixels of a side of the decoded squares.
        channels: 1 or 3.
        keep: Whether to return the pixels; else the files are only checked.

    Returns:
        uint8 (n, size, size, channels) or None, and the indices of the n readable files.

    Raises:
        UserError: No file can be read.
    """

    def decode(path):
        try:
            pixels = image_file.read_image(path, channels, size, min)
            square = image_file.to_square(pixels, size, channels)
        except Exception as error:  # broken files cause many kinds of exceptions
            return None, 0, f"{path} ({first_line(error)})"
        return (square if keep else True), image_file.peak_of_16_bits(pixels), None

    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = list(pool.map(decode, paths))
    readable = [i for i, (pixels, *_) in enumerate(results) if pixels is not None]
    warn_unreadable([problem for *_, problem in results if problem], len(readable))
    image_file.warn_bit_depth(max(peak for _, peak, _ in results))
    return (np.stack([results[i][0] for i in readable]) if keep else None), readable


def warn_unreadable(problems, num_readable):
    """Log a warning that names the files that could not be read.

    Args:
        problems: One line for each unreadable file.
        num_readable: Number of readable files.

    Raises:
        UserError: No file can be read.
    """
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        logging.getLogger("tfgan_zoo").warning(
            "skipped %d unreadable files: %s%s", len(problems), "; ".join(problems[:5]), more
        )
    if not num_readable:
        raise UserError(f"none of {len(problems)} images can be read (first: {problems[0]}).")
