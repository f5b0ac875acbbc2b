"""Pure image functions: conversion from and to [-1, 1], resizing, augmentation of batches."""

import math

import numpy as np
import tensorflow as tf

from tfgan_zoo.errors import UserError


def to_float(images):
    """Convert uint8 or uint16 images to float32 in [-1, 1], as a tensor."""
    images = tf.convert_to_tensor(images)
    return scale_to_unit_range(tf.cast(images, tf.float32), images.dtype.max)


def to_float_array(images):
    """Convert uint8 or uint16 images to float32 in [-1, 1], as a NumPy array.

    This is `to_float` for the threads of the input pipeline, where one image at a time is handled:
    there a TensorFlow operation would cost more than the computation.
    """
    return scale_to_unit_range(images.astype(np.float32), np.iinfo(images.dtype).max)


def scale_to_unit_range(values, maximum):
    return values / (maximum / 2) - 1.0


def to_uint8(images):
    """Convert float images in [-1, 1] to uint8, rounded and clipped: the inverse of `to_float`."""
    return to_integers(images, tf.uint8)


def to_integers(images, dtype):
    """Convert float images in [-1, 1] to uint8 or uint16, rounded and clipped."""
    half = tf.as_dtype(dtype).max / 2
    values = tf.round((tf.cast(images, tf.float32) + 1.0) * half)
    return tf.cast(tf.clip_by_value(values, 0.0, 2.0 * half), dtype)


def crop_and_resize(images, size, channels):
    """Crop to the center square, resize to size x size and convert between gray and RGB.

    Resizing is bicubic with antialiasing.

    Args:
        images: uint8 (h, w, c) or (n, h, w, c), c 1 or 3.
        size: Pixels of a side of the square result.
        channels: 1 or 3.

    Returns:
        uint8 (..., size, size, channels).

    Raises:
        UserError: A number of channels is not 1 or 3.
    """
    if images.shape[-1] not in (1, 3) or channels not in (1, 3):
        raise UserError(
            "images of datasets must have 1 or 3 channels, "
            f"got {images.shape[-1]} and model.channels={channels}."
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
    """Resize one image: uint8 or uint16 (h, w, c) -> the same type (height, width, c).

    Bicubic resizing is antialiased. An image of the right size is returned as it is.
    """
    if image.shape[:2] == (height, width):
        return image
    antialias = method == "bicubic"
    with tf.device("/cpu:0"):  # the accelerator is for the model
        resized = tf.image.resize(image, (height, width), method, antialias=antialias).numpy()
    return np.clip(np.round(resized), 0, np.iinfo(image.dtype).max).astype(image.dtype)


def crop_center(image, axis, fraction):
    """Crop one axis of an image to a fraction of its pixels, at least one, around the center."""
    length = image.shape[axis]
    count = max(1, int(length * fraction))
    return image.take(range((length - count) // 2, (length + count) // 2), axis)


def resize_longer_side(image, length, min_side=32):
    """Resize one image so that its longer side has `length` pixels, keeping the aspect ratio.

    Args:
        image: uint8 (h, w, c).
        length: Pixels of the longer side; more where the shorter side would be below `min_side`.
            An image that is then longer than 16 times both is cropped around its center.
        min_side: Minimum pixels of either side.

    Returns:
        uint8 (h', w', c).
    """
    factor = max(length / max(image.shape[:2]), min_side / min(image.shape[:2]))
    longer, limit = factor * max(image.shape[:2]), 16 * max(length, min_side)
    if factor > 1 and longer > limit:  # 3000x1 pixels would become 96000x32
        image = crop_center(image, np.argmax(image.shape[:2]), limit / longer)
    return resize(image, *(round(side * factor) for side in image.shape[:2]))


def mirror_indices(length, multiple, minimum=0):
    """Return indices that extend an axis to a multiple by mirroring it at both ends.

    The border itself is not repeated.

    Args:
        length: Length of the axis, at least 1; an int or an int32 scalar.
        multiple: The extended length is a multiple of this.
        minimum: Minimum of the extended length; a multiple too.

    Returns:
        A pair: int32 indices (max(-(-length // multiple) * multiple, minimum),), and the position
        at which the axis itself begins among them.

    Example:
        >>> mirror_indices(3, 4)[0].numpy().tolist(), mirror_indices(3, 8)[0].numpy().tolist()
        ([0, 1, 2, 1], [2, 1, 0, 1, 2, 1, 0, 1])
    """
    total = tf.maximum((length + multiple - 1) // multiple * multiple, minimum)
    start = (total - length) // 2
    period = tf.maximum(2 * length - 2, 1)
    # Take the absolute value first: ONNX rounds the remainder of a negative number differently.
    position = tf.abs(tf.range(total) - start) % period
    return tf.minimum(position, period - position), start


def apply_at_any_size(function, images, multiple, smallest=0):
    """Apply a function that needs sides of a multiple to images of any size.

    The images are extended by mirroring at their borders; the result is cropped back.

    Args:
        function: A function of a tensor (n, h, w, c) -> (n, h, w, c').
        images: (n, h, w, c).
        multiple: The function accepts sides that are multiples of this.
        smallest: The smallest side that the function accepts, a multiple too.

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
    """Set each pixel to 255 with probability value / 255, else to 0.

    Args:
        images: uint8 array.
        seed: Determines the result.

    Returns:
        uint8 array of the same shape.
    """
    draws = np.random.default_rng(seed).integers(0, 255, images.shape, dtype=np.uint8)  # 0 ... 254
    return np.where(draws < images, np.uint8(255), np.uint8(0))


def random_flip(images, draws):
    """Mirror images left to right where their draw is below 1/2.

    Args:
        images: (n, h, w, c).
        draws: (n,), uniform in [0, 1).

    Returns:
        (n, h, w, c).
    """
    return tf.where((draws < 0.5)[:, None, None, None], tf.reverse(images, axis=[2]), images)


def rotate_and_zoom(images, draws, rotate, zoom):
    """Rotate about the center and enlarge, then crop at random to the old size.

    All of it is one bilinear resampling. Pixels from outside of the image are mirrored.

    Args:
        images: float32 (n, h, w, c).
        draws: float32 (n, 4), uniform in [0, 1): angle, scale, and the crop's position in x and y.
        rotate: Maximum angle in degrees, in either direction.
        zoom: Maximum enlargement, as a fraction.

    Returns:
        float32 (n, h, w, c).
    """
    height, width = images.shape[1:3]
    angle = (2.0 * draws[:, 0] - 1.0) * (rotate * math.pi / 180.0)
    scale = 1.0 + zoom * draws[:, 1]
    cos, sin = tf.cos(angle) / scale, tf.sin(angle) / scale
    center_x, center_y = (width - 1) / 2, (height - 1) / 2
    # Output pixel (x, y) is read at R (x - center) / scale + center + shift. The shift stays within
    # the margin that the enlargement cuts off.
    shift_x = (draws[:, 2] - 0.5) * (1.0 - 1.0 / scale) * width
    shift_y = (draws[:, 3] - 0.5) * (1.0 - 1.0 / scale) * height
    zeros = tf.zeros_like(cos)
    first_row = (cos, -sin, center_x - cos * center_x + sin * center_y + shift_x)
    second_row = (sin, cos, center_y - sin * center_x - cos * center_y + shift_y)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack((*first_row, *second_row, zeros, zeros), axis=1),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
