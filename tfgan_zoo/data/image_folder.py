"""Folders of images of any format and size."""

import collections
import concurrent.futures
import csv
import logging
import os
import pathlib
import shlex

import numpy as np

from tfgan_zoo.data import image_file
from tfgan_zoo.data.image_file import SUFFIXES
from tfgan_zoo.errors import UserError, first_line, join_names

# Files and folders that operating systems and programs add, in lower case.
SYSTEM_NAMES = ("__macosx", "@eadir", "thumbs.db", "desktop.ini")

# Names of the folders of each split, in lower case.
SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
# For each data.split the splits to search, since many datasets have only one besides train.
ALTERNATIVES = {"train": ("train",), "val": ("val", "test"), "test": ("test", "val")}

folders_with_other_files = set()  # those that `warn_left_out` has named


def list_files(folder):
    """List the files in a folder and its subfolders, sorted by name.

    Hidden files and folders, such as .ipynb_checkpoints, and those of operating systems, such as
    __MACOSX, are not data. Everything that reads a folder of images uses this list.

    Returns:
        (files of the user, hidden files and files of operating systems).
    """
    root = pathlib.Path(folder)
    files, system_files = [], []
    for path in sorted(root.rglob("*")):
        if path.is_file():
            (system_files if is_system_path(path.relative_to(root)) else files).append(path)
    return files, system_files


def is_system_path(path):
    """Return True if a part of a relative path is hidden or was added by an operating system."""
    return any(part.startswith(".") or part.lower() in SYSTEM_NAMES for part in path.parts)


def list_images(folder, suffixes=(*SUFFIXES, ".npy")):
    """List the image files in a folder and its subfolders, sorted by name; see `list_files`.

    Raises:
        UserError: The folder has no image file.
    """
    files, _ = list_files(folder)
    paths = [path for path in files if path.suffix.lower() in suffixes]
    warn_left_out(folder, sorted({*files} - {*paths}))
    if not paths:
        raise UserError(
            f"the folder must have images ({', '.join(suffixes)}), got {str(folder)!r}."
        )
    return paths


def warn_left_out(folder, files):
    """Log the number of files of each suffix that are not read, once for each folder."""
    suffixes = collections.Counter(
        path.suffix.lower() or path.name for path in files if path.name != "labels.csv"
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


def list_labeled_images(folder, split="train"):
    """List the image files of a split of a folder sorted by name, with their labels.

    Args:
        folder: A directory. Images in its subfolders of any depth are labeled by the first
            subfolder. Above these class folders there may be folders of splits, see
            `find_splits`. A file labels.csv instead gives every image a vector of numbers: its
            first column is the path within the folder, the other columns are the numbers.
        split: "train", "val" or "test". A folder without splits has only "train". Of val and
            test, one stands for the other if it is missing.

    Returns:
        (paths, labels, names, problem). Labels are int64 (n,) with the names of the classes, or
        float32 (n, k) with the names of the columns, or None with no names and a sentence that says
        why there are none.

    Raises:
        UserError: The folder or the split does not exist or has no images, or labels.csv does not
            match them.
    """
    root = pathlib.Path(folder)
    if not folder or not root.is_dir():
        raise UserError(f"data.path must be a folder of images, got {str(folder)!r}.")
    paths = list_images(root, SUFFIXES)
    splits = find_splits(root, paths)
    # All splits together have the classes, so that a class has the same number in each.
    depth = 1 if splits else 0
    parts = [path.relative_to(root).parts for path in paths]
    classes = sorted({names[depth] for names in parts if len(names) > depth + 1})
    place = choose_split(root, splits, split)
    if splits:
        paths = [path for path in paths if place in path.parents]
    for labels_folder in dict.fromkeys((place, root)):
        if (labels_folder / "labels.csv").is_file():
            return paths, *read_label_vectors(labels_folder, paths), ""
    if not classes:
        problem = "Put the images of each class into a subfolder of its own, or add a labels.csv."
        return paths, None, [], problem
    loose = [path for path in paths if path.parent == place]
    if loose:
        more = f" (and {len(loose) - 1} more)" if len(loose) > 1 else ""
        problem = (
            f"{loose[0]}{more} is not in a class folder ({join_names(classes)}): move it into one, "
            "or delete it."
        )
        return paths, None, [], problem
    labels = [classes.index(path.relative_to(place).parts[0]) for path in paths]
    return paths, np.array(labels, np.int64), classes, ""


def split_of(name):
    """Return "train", "val" or "test" for the name of a split's folder in any case, else ""."""
    return next((split for split, names in SPLIT_FOLDERS.items() if name.lower() in names), "")


def find_splits(root, paths):
    """Find the subfolders that are splits: no subfolder with images has another name.

    A folder that has train, bus and car has three classes.

    Args:
        root: The folder.
        paths: Paths of its images.

    Returns:
        {split: name of its folder}, empty if the subfolders are not splits.

    Raises:
        UserError: There are several splits and other subfolders.
    """
    names = sorted({path.relative_to(root).parts[0] for path in paths if path.parent != root})
    splits = {split_of(name): name for name in reversed(names) if split_of(name)}
    other_folders = [name for name in names if not split_of(name)]
    if splits and other_folders:
        if "train" in splits and len(splits) > 1:
            raise UserError(
                f"{root} has the splits {join_names(sorted(splits.values()))} and other folders "
                f"with images: {join_names(other_folders)}. Move these elsewhere, or use "
                f"{shlex.quote('data.path=' + str(root / splits['train']))}."
            )
        return {}
    check_splits(root, [name for name in names if split_of(name)])
    loose = [path for path in paths if path.parent == root]
    if splits and loose:
        logging.getLogger("tfgan_zoo").warning(
            "%s: left out %d images that are in no split (%s), the first being %s",
            *(root, len(loose), ", ".join(sorted(splits.values())), loose[0].name),
        )
    return splits


def check_splits(root, names):
    """Raise `UserError` if two of the folders are the same split, such as val and validation."""
    splits = collections.Counter(map(split_of, names))
    double = [name for name in names if splits[split_of(name)] > 1]
    if double:
        raise UserError(
            f"{root} has several folders of the same split: {join_names(double)}. Move their "
            "images into one folder."
        )


def choose_split(root, splits, split):
    """Return the folder of a split: one of `find_splits`, or the root for "train" without splits.

    Raises:
        UserError: The split does not exist.
    """
    if split == "train" and not splits:
        return root
    for name in ALTERNATIVES[split]:
        if name in splits:
            return root / splits[name]
    expected = " or ".join(ALTERNATIVES[split])
    raise UserError(
        f"data.split={split} needs a folder {expected} in data.path, got {str(root)!r} with "
        f"{join_names(sorted(splits.values())) or 'no folders of splits'}."
    )


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
            header, *rows = csv.reader(lines)
            _, *names = header
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{file} must be UTF-8 text with commas: save it as CSV in UTF-8 ({first_line(error)})."
        ) from None
    except ValueError:
        header, names = [], []
    if not names:
        raise UserError(f"the first line of {file} must name a path and numbers, got {header}.")
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
