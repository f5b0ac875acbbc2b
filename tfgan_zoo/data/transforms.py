"""Pure image functions: bytes of images to model input and back, and augmentation of whole batches."""

import math

import numpy as np
import tensorflow as tf

from tfgan_zoo.errors import UserError


def to_float_array(image):
    """uint8 or uint16 -> float32 in [-1, 1]."""
    return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max / 2) - np.float32(1.0)


def to_float(images):
    """uint8 0 ... 255 (or uint16 0 ... 65535) -> float32 -1 ... 1."""
    images = tf.convert_to_tensor(images)
    return tf.cast(images, tf.float32) / (images.dtype.max / 2) - 1.0


def to_uint8(images):
    """float in [-1, 1] -> uint8, rounded and clipped: the inverse of `to_float`."""
    return to_integers(images, tf.uint8)


def to_integers(images, dtype):
    """float in [-1, 1] -> uint8 or uint16, rounded and clipped."""
    half = tf.as_dtype(dtype).max / 2
    return tf.cast(
        tf.clip_by_value(tf.round((tf.cast(images, tf.float32) + 1.0) * half), 0.0, 2.0 * half),
        dtype,
    )


def crop_and_resize(images, size, channels):
    """Centre crop to a square, then bicubic with antialias to size x size, then grey <-> RGB.

    Args:
        images: uint8 (h, w, c) or (n, h, w, c), c 1 or 3.
        size: pixels of the square result.
        channels: 1 or 3.

    Returns:
        uint8 (..., size, size, channels).

    Raises:
        UserError: another number of channels.
    """
    if images.shape[-1] not in (1, 3) or channels not in (1, 3):
        raise UserError(
            f"images from data sets have 1 or 3 channels, received {images.shape[-1]} and model.channels={channels}"
        )
    height, width = images.shape[-3], images.shape[-2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    images = tf.convert_to_tensor(images[..., top : top + side, left : left + side, :])
    if side != size:
        resized = tf.image.resize(images, (size, size), method="bicubic", antialias=True)
        images = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
    if images.shape[-1] == 3 and channels == 1:
        return tf.image.rgb_to_grayscale(images)
    return tf.image.grayscale_to_rgb(images) if images.shape[-1] < channels else images


def resize(image, height, width, method="bicubic"):
    """One image, uint8 or uint16 (h, w, c) -> (height, width, c)."""
    if image.shape[:2] == (height, width):
        return image
    with tf.device("/cpu:0"):  # the accelerator is for the model
        resized = tf.image.resize(
            image, (height, width), method, antialias=method == "bicubic"
        ).numpy()
    return np.clip(np.round(resized), 0, np.iinfo(image.dtype).max).astype(image.dtype)


def resize_longer_side(image, longer, least=32):
    """One image with its longer side so long, but both sides at least 32: uint8 (h, w, c) -> (h', w', c)."""
    factor = max(longer / max(image.shape[:2]), least / min(image.shape[:2]))
    return resize(image, *(round(side * factor) for side in image.shape[:2]))


def mirror_indices(length, multiple, minimum=0):
    """Indices that enlarge an axis to a multiple by mirroring it at both ends, the border itself not repeated.

    Args:
        length: of the axis, at least 1; an int or an int32 scalar.
        multiple: of the result's length.
        minimum: the result's length at least, a multiple too.

    Returns:
        int32 indices (-(-length // multiple) * multiple,), and where the axis itself begins among them.

    Example:
        >>> mirror_indices(3, 4)[0].numpy().tolist(), mirror_indices(3, 8)[0].numpy().tolist()
        ([0, 1, 2, 1], [2, 1, 0, 1, 2, 1, 0, 1])
    """
    total = tf.maximum((length + multiple - 1) // multiple * multiple, minimum)
    start = (total - length) // 2
    period = tf.maximum(2 * length - 2, 1)
    place = (
        tf.abs(tf.range(total) - start) % period
    )  # of no negative number: ONNX would round it the other way
    return tf.minimum(place, period - place), start


def apply_at_any_size(function, images, multiple, smallest=0):
    """A function of images whose sides are multiples of a number, on images of any size: mirrored at the borders, and cropped back.

    Args:
        function: a tensor (n, h, w, c) -> (n, h, w, c').
        images: (n, h, w, c).
        multiple, smallest: sides that the function takes are multiples of this, and at least that.

    Returns:
        (n, h, w, c').
    """
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    rows, top = mirror_indices(height, multiple, smallest)
    columns, left = mirror_indices(width, multiple, smallest)
    padded = tf.gather(tf.gather(images, rows, axis=1), columns, axis=2)
    padded.set_shape((images.shape[0], None, None, images.shape[3]))
    return function(padded)[:, top : top + height, left : left + width]


def binarize(images, seed):
    """Each pixel becomes 255 with probability value / 255, else 0: uint8 array -> uint8 array, the same one for the same seed."""
    draws = np.random.default_rng(seed).integers(0, 255, images.shape, dtype=np.uint8)  # 0 ... 254
    return np.where(draws < images, np.uint8(255), np.uint8(0))


def random_flip(images, draws):
    """Mirrors left and right where the image's draw, uniform in [0, 1), is below 1/2: (n, h, w, c), (n,) -> (n, h, w, c)."""
    return tf.where((draws < 0.5)[:, None, None, None], tf.reverse(images, axis=[2]), images)


def rotate_and_zoom(images, draws, rotate, zoom):
    """Rotates about the centre and enlarges, then crops at random to the old size: one bilinear resampling for all of it.

    Args:
        images: float32 (n, h, w, c).
        draws: float32 (n, 4), uniform in [0, 1): angle, scale, and where to crop.
        rotate: up to so many degrees either way; what comes from outside is the mirror image.
        zoom: enlarge by up to this fraction.

    Returns:
        float32 (n, h, w, c).
    """
    height, width = images.shape[1:3]
    angle = (2.0 * draws[:, 0] - 1.0) * (rotate * math.pi / 180.0)
    scale = 1.0 + zoom * draws[:, 1]
    cos, sin = tf.cos(angle) / scale, tf.sin(angle) / scale
    center_x, center_y = (width - 1) / 2, (height - 1) / 2
    # output pixel (x, y) is read at R (x - center) / scale + center + shift; the shift stays inside of what the scale cut off
    shift_x = (draws[:, 2] - 0.5) * (1.0 - 1.0 / scale) * width
    shift_y = (draws[:, 3] - 0.5) * (1.0 - 1.0 / scale) * height
    zeros = tf.zeros_like(cos)
    first_row = (cos, -sin, center_x - cos * center_x + sin * center_y + shift_x)
    second_row = (sin, cos, center_y - sin * center_x - cos * center_y + shift_y)
    transforms = tf.stack((*first_row, *second_row, zeros, zeros), axis=1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
