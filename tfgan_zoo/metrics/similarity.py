"""How alike two images are, pixel for pixel: PSNR, SSIM and MS-SSIM of pairs, by TensorFlow's functions."""

import numpy as np
import tensorflow as tf

from tfgan_zoo.errors import UserError


def psnr(a, b):
    """Peak signal-to-noise ratio of pairs of uint8 images, 10 log10(255^2 / mean squared error) in dB: (n, h, w, c) -> (n,)."""
    return tf.image.psnr(*as_image_pairs(a, b, 1), max_val=255.0).numpy()


def ssim(a, b):
    """Structural similarity of pairs of uint8 images, 11x11 Gaussian window of 1.5 pixels: (n, h, w, c) -> (n,).

    Reference: Wang et al. 2004, Image Quality Assessment: From Error Visibility to Structural Similarity.
    """
    return tf.image.ssim(*as_image_pairs(a, b, 11), max_val=255.0).numpy()


def ms_ssim(a, b):
    """SSIM over 5 scales, for images of at least 176 pixels (Wang et al. 2003): (n, h, w, c) -> (n,)."""
    return tf.image.ssim_multiscale(*as_image_pairs(a, b, 176), max_val=255.0).numpy()


def as_image_pairs(a, b, minimum):
    a, b = np.asarray(a), np.asarray(b)
    if (
        a.shape != b.shape
        or a.ndim != 4
        or min(a.shape[1:3]) < minimum
        or a.dtype != np.uint8
        or b.dtype != np.uint8
    ):
        shapes = f"{a.dtype} {a.shape} and {b.dtype} {b.shape}"
        raise UserError(
            f"two batches of uint8 images of one shape, of at least {minimum} pixels, are needed, received {shapes}"
        )
    return tf.cast(a, tf.float32), tf.cast(b, tf.float32)
