"""Folders of pictures of any kind and size, read with Pillow."""

import concurrent.futures
import csv
import io
import logging
import pathlib

import numpy as np
from PIL import Image, ImageCms, ImageOps

from tfgan_zoo.data import transforms
from tfgan_zoo.errors import UserError, first_line

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombError,
)  # what Pillow raises for broken files


def list_images(folder, suffixes=(*SUFFIXES, ".npy")):
    """The picture files in a folder and its sub-folders, in order of their names.

    Raises:
        UserError: there is none.
    """
    paths = sorted(
        path
        for path in pathlib.Path(folder).rglob("*")
        if path.suffix.lower() in suffixes and path.is_file()
    )
    if not paths:
        raise UserError(
            f"no pictures ({', '.join(suffixes)}) in the folder, received {str(folder)!r}"
        )
    return paths


def list_labeled_images(folder):
    """The picture files of a folder in order of their names, with labels from its labels.csv or its sub-folders.

    Args:
        folder: a directory; pictures in sub-folders (of any depth) are labelled by the first one. If it has a file labels.csv, that gives
            a vector of numbers for every picture instead: the first column is the path within the folder, the others are the numbers.

    Returns:
        (paths, labels, names): int64 (n,) and the classes' names, or float32 (n, k) and the columns' names, or None and none.

    Raises:
        UserError: no folder, no picture in it, or a labels.csv that does not fit.
    """
    root = pathlib.Path(folder)
    if not folder or not root.is_dir():
        raise UserError(
            f"data.path must be a folder of pictures, received data.path={str(folder)!r}"
        )
    paths = list_images(root, SUFFIXES)
    if (root / "labels.csv").is_file():
        return paths, *read_label_vectors(root, paths)
    classes = sorted({path.relative_to(root).parts[0] for path in paths if path.parent != root})
    if not classes or any(path.parent == root for path in paths):
        return paths, None, []
    labels = np.array([classes.index(path.relative_to(root).parts[0]) for path in paths], np.int64)
    return paths, labels, classes


def read_label_vectors(root, paths):
    """The rows of labels.csv in the order of the pictures: float32 (n, k), and the names of the k columns."""
    file = root / "labels.csv"
    with file.open(newline="", encoding="utf-8-sig") as lines:
        (_, *names), *rows = csv.reader(lines)
    found = {}
    for number, row in enumerate(rows, 2):
        try:
            found[row[0]] = np.array(row[1:], np.float32)
        except (IndexError, ValueError) as error:
            raise UserError(
                f"line {number} of {file} must be a path and {len(names)} numbers, received {row} ({error})"
            ) from None
        if found[row[0]].shape != (len(names),) or not np.isfinite(found[row[0]]).all():
            raise UserError(
                f"line {number} of {file} must be a path and {len(names)} numbers, received {row}"
            )
    missing = [name for path in paths if (name := path.relative_to(root).as_posix()) not in found]
    if missing:
        raise UserError(
            f"{file} has no line for {len(missing)} pictures, the first being {missing[0]}"
        )
    return np.stack([found[path.relative_to(root).as_posix()] for path in paths]), names


def read_image(path, channels):
    """A picture as it is, but turned upright: uint8 (h, w, channels), or uint16 where a grey one has 16 bits a pixel.

    Args:
        path: a picture file; or a .npy file with an array (h, w) or (h, w, channels) of uint8 or uint16, for any number of channels.
        channels: 1 (grey), 3 (RGB), 4 (RGBA); else of an array. Where the picture is transparent it is put on white, unless RGBA is
            wanted. Pictures of integers of 32 bits are taken as of 8 or 16 bits, by their largest value.

    Raises:
        OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError: the file cannot be read (`UNREADABLE`).
    """
    if pathlib.Path(path).suffix.lower() == ".npy":
        try:
            with open(path, "rb") as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
        except Exception as error:  # of a broken header NumPy raises whatever Python's tokenizer, eval or the allocation did
            raise ValueError(f"not an array: {error}") from error
        array = array[..., None] if array.ndim == 2 else array
        if (
            array.ndim != 3
            or array.shape[2] != channels
            or array.dtype not in (np.uint8, np.uint16)
            or not array.size
        ):
            raise ValueError(
                f"uint8 or uint16 of shape (h, w, {channels}) is needed, received {array.dtype} {array.shape}"
            )
        return array
    if channels not in (1, 3, 4):
        raise ValueError(
            f"pictures have 1, 3 or 4 channels (other numbers come from .npy files), received channels={channels}"
        )
    with Image.open(path) as picture:
        deep = (
            picture.mode.startswith("I;16") or picture.format == "PNG"
        )  # older Pillow gives 16 bits of a PNG as 32
        picture = ImageOps.exif_transpose(picture)
        if picture.mode == "F":
            raise ValueError(
                "the range of floating-point pixels is not known: make 16 bits of them, or a .npy file"
            )
        if picture.mode.startswith("I"):  # Pillow's convert would clip at 255
            values = np.asarray(picture)
            if values.min() < 0 or values.max() > 65535:
                raise ValueError(
                    f"pixels from 0 to 65535 are needed, received {values.min()} to {values.max()}"
                )
            values = (values * (1 if deep or values.max() > 255 else 257)).astype(np.uint16)[
                ..., None
            ]
            opaque = [np.full_like(values, 65535)] if channels == 4 else []
            return np.concatenate([values.repeat(min(channels, 3), axis=-1), *opaque], axis=-1)
        picture = to_srgb(picture, path)
        if channels != 4 and (
            picture.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in picture.info
        ):
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        pixels = np.asarray(picture.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels]))
    return pixels.reshape((*pixels.shape[:2], -1))


SRGB = (
    "sRGB",
    "sRGB IEC61966-2.1",
    "sRGB built-in",
    "sRGB2014",
)  # what profiles of nothing to do are called


def to_srgb(picture, path):
    """A Pillow image with its colours in sRGB, which networks and screens expect; pictures without a profile are taken to be in it."""
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "RGBA", "CMYK"):
        return picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if ImageCms.getProfileDescription(source).strip() in SRGB:
            return picture
        colours = picture if picture.mode == "CMYK" else picture.convert("RGB")
        converted = ImageCms.profileToProfile(
            colours, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError) as error:
        logging.getLogger("tfgan_zoo").warning(
            "%s: its colour profile is of no use and was left out (%s)", path, first_line(error)
        )
        return picture
    if picture.mode == "RGBA":
        converted.putalpha(picture.getchannel("A"))
    return converted


def to_8_bits(pixels):
    """uint16 -> uint8, rounded; uint8 as it is."""
    return np.round(pixels / 257).astype(np.uint8) if pixels.dtype == np.uint16 else pixels


def decode_square(path, size, channels):
    """One picture as uint8 (size, size, channels): see `read`, then cropped to a square, resized."""
    return transforms.crop_and_resize(to_8_bits(read_image(path, channels)), size, channels).numpy()


def decode_all(paths, size, channels, keep):
    """Decodes every picture in threads, in order.

    Args:
        paths: the files.
        size, channels: of the result.
        keep: whether to keep the pixels (else the files are only tried).

    Returns:
        (uint8 array (n, size, size, channels) or None, indices of readable files).

    Raises:
        UserError: no file can be read.
    """

    def attempt(path):
        try:
            pixels = decode_square(path, size, channels)
        except UNREADABLE as error:
            return None, f"{path} ({first_line(error)})"
        return (pixels if keep else True), None

    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = list(pool.map(attempt, paths))
    good = [i for i, (pixels, _) in enumerate(results) if pixels is not None]
    bad = [problem for _, problem in results if problem]
    warn_unreadable(bad, len(good))
    return (np.stack([results[i][0] for i in good]) if keep else None), good


def warn_unreadable(bad, good):
    """Says which files could not be read.

    Args:
        bad: a line for each.
        good: how many could be read.

    Raises:
        UserError: none could.
    """
    if bad:
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        logging.getLogger("tfgan_zoo").warning(
            "skipped %d unreadable files: %s%s", len(bad), "; ".join(bad[:5]), more
        )
    if not good:
        raise UserError(f"none of {len(bad)} pictures can be read, the first one being {bad[0]}")
