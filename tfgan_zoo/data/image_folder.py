"""Folders of images of any format and size, read with Pillow."""

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
# Exceptions that Pillow raises for broken files.
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
# Descriptions of color profiles that need no conversion.
SRGB = ("sRGB", "sRGB IEC61966-2.1", "sRGB built-in", "sRGB2014")
MODES_WITH_ALPHA = ("LA", "PA", "RGBA", "RGBa", "La")


def list_images(folder, suffixes=(*SUFFIXES, ".npy")):
    """List the image files in a folder and its subfolders, sorted by name.

    Raises:
        UserError: The folder has no image file.
    """
    paths = sorted(
        path
        for path in pathlib.Path(folder).rglob("*")
        if path.suffix.lower() in suffixes and path.is_file()
    )
    if not paths:
        raise UserError(
            f"the folder must have images ({', '.join(suffixes)}), got {str(folder)!r}."
        )
    return paths


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
    with file.open(newline="", encoding="utf-8-sig") as lines:
        (_, *names), *rows = csv.reader(lines)
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


def read_image(path, channels):
    """Read an image at its own size, rotated upright as its EXIF data says.

    Transparent images are composited on white unless RGBA is requested. Images of 32-bit integers
    are read as 8 or 16 bits, depending on their largest value.

    Args:
        path: An image file, or a .npy file with an array (h, w) or (h, w, channels) of uint8 or
            uint16, with any number of channels.
        channels: 1 (gray), 3 (RGB) or 4 (RGBA). For a .npy file, the array's number of channels.

    Returns:
        uint8 (h, w, channels), or uint16 for gray images of 16 bits per pixel.

    Raises:
        OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError: The file cannot be read
            (`UNREADABLE`).
    """
    if pathlib.Path(path).suffix.lower() == ".npy":
        return read_array(path, channels)
    if channels not in (1, 3, 4):
        raise ValueError(
            f"image files have 1, 3 or 4 channels; use .npy files for others, got {channels}."
        )
    with Image.open(path) as image:
        # Older versions of Pillow read a PNG of 16 bits as 32 bits.
        has_16_bits = image.mode.startswith("I;16") or image.format == "PNG"
        image = ImageOps.exif_transpose(image)
        if image.mode == "F":
            raise ValueError(
                "the range of floating-point pixels is unknown: convert them to 16 bits or to a "
                ".npy file."
            )
        if image.mode.startswith("I"):
            return read_integers(image, channels, has_16_bits)
        image = to_srgb(image, path)
        has_alpha = image.mode in MODES_WITH_ALPHA or "transparency" in image.info
        if channels != 4 and has_alpha:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        pixels = np.asarray(image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels]))
    return pixels.reshape((*pixels.shape[:2], -1))


def read_array(path, channels):
    """Read a .npy file with an array (h, w) or (h, w, channels) of uint8 or uint16."""
    try:
        with open(path, "rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # NumPy's header parser raises many types for a broken header
        raise ValueError(f"not an array: {error}") from error
    array = array[..., None] if array.ndim == 2 else array
    has_shape = array.ndim == 3 and array.shape[2] == channels and array.size
    if not has_shape or array.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"arrays must be uint8 or uint16 of shape (h, w, {channels}), "
            f"got {array.dtype} {array.shape}."
        )
    return array


def read_integers(image, channels, has_16_bits):
    """Convert a Pillow image of 16-bit or 32-bit integers to uint16 (h, w, channels)."""
    values = np.asarray(image)  # Pillow's convert would clip at 255
    low, high = values.min(), values.max()
    if low < 0 or high > 65535:
        raise ValueError(f"pixels must be from 0 to 65535, got {low} to {high}.")
    scale = 1 if has_16_bits or high > 255 else 257
    values = (values * scale).astype(np.uint16)[..., None]
    alpha = [np.full_like(values, 65535)] if channels == 4 else []
    return np.concatenate([values.repeat(min(channels, 3), axis=-1), *alpha], axis=-1)


def to_srgb(image, path):
    """Convert the colors of a Pillow image to sRGB, which networks and screens expect.

    Images without a color profile are assumed to be in sRGB.
    """
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK"):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if ImageCms.getProfileDescription(source).strip() in SRGB:
            return image
        colors = image if image.mode == "CMYK" else image.convert("RGB")
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(colors, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        logging.getLogger("tfgan_zoo").warning(
            "%s: ignored its unusable color profile (%s)", path, first_line(error)
        )
        return image
    if image.mode == "RGBA":
        converted.putalpha(image.getchannel("A"))
    return converted


def to_8_bits(pixels):
    """Convert uint16 pixels to uint8, rounded; return uint8 pixels unchanged."""
    return np.round(pixels / 257).astype(np.uint8) if pixels.dtype == np.uint16 else pixels


def decode_square(path, size, channels):
    """Read an image, crop it to a square and resize it: uint8 (size, size, channels)."""
    return transforms.crop_and_resize(to_8_bits(read_image(path, channels)), size, channels).numpy()


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
            pixels = decode_square(path, size, channels)
        except UNREADABLE as error:
            return None, f"{path} ({first_line(error)})"
        return (pixels if keep else True), None

    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = list(pool.map(decode, paths))
    readable = [i for i, (pixels, _) in enumerate(results) if pixels is not None]
    warn_unreadable([problem for _, problem in results if problem], len(readable))
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
