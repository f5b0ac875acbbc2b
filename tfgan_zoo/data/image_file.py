"""Read one image file, of any format and size, with Pillow.

Images have no limit but the memory: reading takes about 10 bytes per pixel for a moment, 16 if the
image is transparent, and the file's size. Images of more than `LARGE` pixels are read one at a
time. Of the metadata, only the EXIF orientation and the color profile are read, and neither can
make an image unreadable.
"""

import contextlib
import io
import logging
import pathlib
import struct
import threading
import warnings

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError, features

from tfgan_zoo.data import transforms
from tfgan_zoo.errors import first_line

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
if features.check("avif"):  # depends on how Pillow was built
    SUFFIXES += (".avif",)
# Descriptions of color profiles that need no conversion.
SRGB = ("sRGB", "sRGB IEC61966-2.1", "sRGB built-in", "sRGB2014")
MODES_WITH_ALPHA = ("LA", "PA", "RGBA", "RGBa", "La")
LARGE = 2**24  # pixels (4096x4096)
# A file that claims more pixels than both is damaged. A PNG file of one color has 8,000 per byte.
PLAUSIBLE_PIXELS = 2**28
PLAUSIBLE_PIXELS_PER_BYTE = 2**14
ORIENTATION = 0x0112  # the EXIF tag
TRANSPOSE = {  # EXIF orientation: how to turn the stored image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

large_image_lock = threading.Lock()
pixel_limit_lock = threading.Lock()
folders_with_animations = set()  # those that `warn_if_animated` has named
# Pillow warns of odd metadata, such as "Corrupt EXIF data", which are of no interest here.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


class ImageError(ValueError):
    """An image file that cannot be read. The message does not name the file."""


def read_image(path, channels, side=0, measure=max, max_pixels=None):
    """Read an image, rotated upright as its EXIF data says.

    Transparent images are composited on white unless RGBA is requested. Of an animation or a file
    of several pages, the first one is read, and the log says so.

    Args:
        path: An image file, or a .npy file with an array (h, w) or (h, w, channels) of uint8 or
            uint16, with any number of channels.
        channels: 1 (gray), 3 (RGB) or 4 (RGBA). For a .npy file, the array's number of channels.
        side: Pixels of a side to which the image will be resized, or 0. JPEG files are then decoded
            at 1/2, 1/4 or 1/8 of their size if at least twice this side remains, which makes
            photographs of 12 megapixels 3 to 8 times as fast. Files of more than `LARGE` pixels are
            reduced to at least twice this side, to save memory.
        measure: The side that is meant: max (the longer one) or min (the shorter one).
        max_pixels: Maximum number of pixels of an image file, or None.

    Returns:
        uint8 (h, w, channels), or uint16 for gray images of 16 bits per pixel.

    Raises:
        ImageError: The file cannot be read.
    """
    try:
        if pathlib.Path(path).suffix.lower() == ".npy":
            return read_array(path, channels)
        if channels not in (1, 3, 4):
            raise ImageError(
                f"image files have 1, 3 or 4 channels; use .npy files for others, got {channels}."
            )
        with open_image(path, max_pixels) as image:
            is_large = image.width * image.height > LARGE
            with large_image_lock if is_large else contextlib.nullcontext():
                warn_if_animated(image, path)
                shrink_jpeg(image, side, measure)
                return decode(image, path, channels, side if is_large else 0, measure)
    except ImageError:
        raise
    except MemoryError:
        raise ImageError("the image needs more memory than is available") from None
    except Exception as error:  # Pillow raises many types for broken files
        raise ImageError(first_line(error)) from error


def open_image(path, max_pixels=None):
    """Open an image file with Pillow without decoding it.

    Args:
        path: An image file.
        max_pixels: Maximum number of pixels, or None. Pillow's own limit does not apply.

    Returns:
        A Pillow image.

    Raises:
        ImageError: It is not an image, or it has too many pixels.
    """
    path = pathlib.Path(path)
    if path.exists() and not path.is_file():  # a FIFO would block
        raise ImageError("it is not a regular file")
    content = path.read_bytes()
    try:
        # Pillow's limit is global, so it is lifted for this call only.
        with pixel_limit_lock:
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(io.BytesIO(content))
            finally:
                Image.MAX_IMAGE_PIXELS = limit
    except UnidentifiedImageError:
        raise ImageError("cannot identify image file") from None
    width, height = image.size
    if width * height > (max_pixels or np.inf):
        raise ImageError(
            f"it has {width}x{height} pixels, more than {max_pixels / 1e6:.0f} megapixels"
        )
    if width * height > max(PLAUSIBLE_PIXELS, PLAUSIBLE_PIXELS_PER_BYTE * len(content)):
        raise ImageError(
            f"its header claims {width}x{height} pixels, which is implausible for "
            f"{len(content):,} bytes"
        )
    return image


def read_size(path):
    """Return (width, height) of an upright image, or None if the file cannot be read."""
    try:
        if pathlib.Path(path).suffix.lower() == ".npy":
            height, width = np.load(path, mmap_mode="r").shape[:2]
            return width, height
        with open_image(path) as image:
            width, height = image.size
            return (height, width) if orientation_of(image) >= 5 else (width, height)
    except Exception:  # broken files cause many kinds of exceptions
        return None


def orientation_of(image):
    """Return the EXIF orientation of a Pillow image: 1 (upright) to 8, 1 for any other value."""
    try:
        if "exif" in image.info:
            orientation = find_orientation(image.info["exif"].removeprefix(b"Exif\0\0"))
        else:  # TIFF files, or XMP
            orientation = image.getexif().get(ORIENTATION)
        return orientation if orientation in TRANSPOSE else 1
    except Exception:  # broken metadata cause many kinds of exceptions
        return 1


def find_orientation(exif):
    """Return the orientation in EXIF data, None if it has none; ignore all other entries.

    Pillow stops at the first broken entry, which may be before the orientation.

    Args:
        exif: bytes, beginning with the byte order.
    """
    order = {b"II": "<", b"MM": ">"}[exif[:2]]
    (start,) = struct.unpack_from(f"{order}4xI", exif)
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    for i in range(count):
        entry = start + 2 + 12 * i
        tag, kind = struct.unpack_from(f"{order}HH", exif, entry)
        if tag == ORIENTATION:
            integer = {1: "B", 3: "H", 4: "I"}[kind]
            return struct.unpack_from(order + integer, exif, entry + 8)[0]
    return None


def is_animated(image):
    """Return True if a Pillow image has several frames or pages; call it before `image.load`."""
    try:  # cameras append previews to a .jpg, which makes its format MPO
        return image.format != "MPO" and getattr(image, "is_animated", False)
    except Exception:
        return False


def warn_if_animated(image, path):
    """Log that only the first frame or page is read, once for each folder."""
    path = pathlib.Path(path)
    if is_animated(image) and path.parent not in folders_with_animations:
        folders_with_animations.add(path.parent)
        logging.getLogger("tfgan_zoo").warning(
            "%s: only the first of %d frames or pages is read, as of all such files in its folder",
            path,
            image.n_frames,
        )


def shrink_jpeg(image, side, measure):
    """Let an open Pillow image, if it is a JPEG, be decoded to at least twice `side`; 0: whole."""
    if side and image.format in ("JPEG", "MPO"):
        factor = max(1, measure(image.size) // (2 * side))
        image.draft(None, tuple(max(1, side // factor) for side in image.size))


def decode(image, path, channels, side, measure):
    """Decode an open Pillow image; see `read_image`. It is reduced to at least twice `side`."""
    image.load()
    orientation = orientation_of(image)  # after `load`, which turns TIFF images upright
    if image.mode == "F":
        raise ImageError(
            "the range of floating-point pixels is unknown: convert them to 16 bits or to a .npy "
            "file"
        )
    if image.mode.startswith("I"):
        # Older versions of Pillow read a PNG of 16 bits as 32 bits.
        if not image.mode.startswith("I;16") and image.format != "PNG":
            raise ImageError(
                "the range of 32-bit or signed integers is unknown: convert them to 16 bits or to "
                "a .npy file"
            )
        image = reduce(image.convert("I"), side, measure) if side else image
        return decode_integers(transpose(image, orientation), channels)

    image = to_srgb(image, path)
    has_alpha = image.mode in MODES_WITH_ALPHA or "transparency" in image.info
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    if has_alpha:
        image = convert(image, "RGBA")
    elif side:
        image = convert(image, mode)
    image = reduce(image, side, measure)
    if has_alpha and channels != 4:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    pixels = np.asarray(transpose(convert(image, mode), orientation))
    return pixels.reshape((*pixels.shape[:2], -1))


def convert(image, mode):
    """Convert a Pillow image; Pillow itself would copy it if it has the mode already."""
    return image if image.mode == mode else image.convert(mode)


def reduce(image, side, measure):
    """Reduce a Pillow image by a whole factor to at least twice `side`; 0: leave it as it is."""
    factor = measure(image.size) // (2 * side) if side else 1
    return image.reduce(factor) if factor > 1 else image


def transpose(image, orientation):
    """Turn a Pillow image upright. Its metadata stays behind."""
    return image.transpose(TRANSPOSE[orientation]) if orientation in TRANSPOSE else image


def decode_integers(image, channels):
    """Convert a Pillow image of 16-bit integers to uint16 (h, w, channels)."""
    values = np.asarray(image).astype(np.uint16)[..., None]  # Pillow's convert would clip at 255
    alpha = [np.full_like(values, 65535)] if channels == 4 else []
    return np.concatenate([values.repeat(min(channels, 3), axis=-1), *alpha], axis=-1)


def read_array(path, channels):
    """Read a .npy file with an array (h, w) or (h, w, channels) of uint8 or uint16."""
    try:
        with open(path, "rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except MemoryError:
        raise
    except Exception as error:  # NumPy's header parser raises many types for a broken header
        raise ImageError(f"not an array: {error}") from error
    array = array[..., None] if array.ndim == 2 else array
    has_shape = array.ndim == 3 and array.shape[2] == channels and array.size
    if not has_shape or array.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"arrays must be uint8 or uint16 of shape (h, w, {channels}), "
            f"got {array.dtype} {array.shape}."
        )
    return array


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
    except MemoryError:
        raise
    except Exception as error:
        logging.getLogger("tfgan_zoo").warning(
            "%s: ignored its unusable color profile (%s)", path, first_line(error)
        )
        return image
    if image.mode == "RGBA":
        converted.putalpha(image.getchannel("A"))
    return converted


def to_8_bits(pixels):
    """Convert uint16 pixels to uint8, rounded; return uint8 pixels unchanged."""
    if pixels.dtype != np.uint16:
        return pixels
    out = np.empty(pixels.shape, np.uint8)
    for row, values in zip(out, pixels, strict=True):  # row by row, to save memory
        row[:] = np.round(values / 257)
    return out


def composite_on_white(image):
    """Put an image with an alpha channel on white: uint8 (h, w, 4) -> (h, w, 3)."""
    out = np.empty((*image.shape[:2], 3), np.uint8)
    for row, values in zip(out, image, strict=True):  # row by row, to save memory
        alpha = values[:, 3:] / 255.0
        row[:] = np.round(values[:, :3] * alpha + 255.0 * (1.0 - alpha))
    return out


def peak_of_16_bits(pixels):
    """Return the largest value of uint16 pixels, 0 for uint8 pixels."""
    return int(pixels.max()) if pixels.dtype == np.uint16 else 0


def warn_bit_depth(peak):
    """Log the sentence of `bit_depth_warning`, if any."""
    if warning := bit_depth_warning(peak):
        logging.getLogger("tfgan_zoo").warning("%s", warning)


def bit_depth_warning(peak):
    """Return a sentence if the largest value of 16-bit images uses at most 14 of the bits.

    Args:
        peak: The largest value; 0 if there are no such images.

    Returns:
        The sentence, or an empty string.
    """
    if not 0 < peak < 2**14:
        return ""
    return (
        f"the values of the 16-bit images reach only {100 * peak / 65535:.2g} % of the range "
        f"(up to {peak} of 65535): multiply them by {2 ** (16 - peak.bit_length())}"
    )


def to_square(pixels, size, channels):
    """Crop an image to a square and resize it: uint8 (size, size, channels).

    Args:
        pixels: uint8 or uint16 (h, w, c), c 1 or 3.
        size: Pixels of a side of the square.
        channels: 1 or 3.
    """
    return transforms.crop_and_resize(to_8_bits(pixels), size, channels).numpy()


def decode_square(path, size, channels):
    """Read an image, crop it to a square and resize it: uint8 (size, size, channels)."""
    return to_square(read_image(path, channels, size, min), size, channels)
