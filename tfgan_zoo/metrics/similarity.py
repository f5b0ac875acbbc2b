"""Pixelwise similarity of image pairs: PSNR and SSIM, computed by TensorFlow."""

import numpy as np
import tensorflow as tf

from tfgan_zoo.errors import UserError

MAX_PSNR = 100.0  # dB, reported for equal images instead of infinity


def psnr(a, b):
    """Compute the peak signal-to-noise ratio of image pairs, 10 log10(255^2 / MSE), in dB.

    Args:
        a: uint8 (n, h, w, c).
        b: uint8 (n, h, w, c).

    Returns:
        float32 (n,); infinite for equal images.
    """
    return tf.image.psnr(*as_image_pairs(a, b, 1), max_val=255.0).numpy()


def ssim(a, b):
    """Compute the structural similarity of image pairs, with an 11x11 Gaussian window (sigma 1.5).

    Reference: Wang et al. 2004, Image Quality Assessment: From Error Visibility to Structural
    Similarity.

    Args:
        a: uint8 (n, h, w, c).
        b: uint8 (n, h, w, c).

    Returns:
        float32 (n,), at most 1.
    """
    return tf.image.ssim(*as_image_pairs(a, b, 11), max_val=255.0).numpy()


def as_image_pairs(a, b, minimum):
    """Return two batches of uint8 images as float32 tensors.

    Raises:
        UserError: not uint8, different shapes, or sides shorter than `minimum` pixels.
    """
    a, b = np.asarray(a), np.asarray(b)
    if (
        a.shape != b.shape
        or a.ndim != 4
        or min(a.shape[1:3]) < minimum
        or a.dtype != np.uint8
        or b.dtype != np.uint8
    ):
        raise UserError(
            f"two batches of uint8 images of one shape, of at least {minimum} pixels, are needed, "
            f"got {a.dtype} {a.shape} and {b.dtype} {b.shape}."
        )
    return tf.cast(a, tf.float32), tf.cast(b, tf.float32)
