"""Strength of regular pixel patterns, which networks that upsample leave in their images."""

import numpy as np

from tfgan_zoo.errors import UserError

PERIODS = 8  # pixels: the longest period that is searched, that of three upsampling layers
SMALLEST = 64  # pixels of a side


def grid_strength(image):
    """Measure a pattern with a period of 2, 2.7, 4 or 8 pixels along rows or columns, in dB.

    Such a pattern is a narrow peak of the power spectrum at 1/8, 2/8, 3/8 or 4/8 cycles per pixel.
    The strength is the highest of these peaks relative to the median power of its neighborhood.
    Photographs and paintings have about 0 to 3 dB. A pattern of 6 dB and more is visible. An image
    of a brick wall or of hatching has a high value without any fault.

    Args:
        image: uint8 (h, w, 3), at least 64 pixels on each side.

    Returns:
        float, at least 0.
    """
    image = np.asarray(image)
    if image.ndim != 3 or min(image.shape[:2]) < SMALLEST:
        raise UserError(
            f"an image (h, w, 3) of at least {SMALLEST} pixels on each side is needed, "
            f"got {image.shape}."
        )
    gray = image.astype(np.float64) @ (0.299, 0.587, 0.114)
    return float(max(0.0, *row_peaks(gray), *row_peaks(gray.T)))


def row_peaks(gray):
    """Return the peaks of the mean power spectrum of all rows, in dB: (h, w) -> list of 4."""
    width = gray.shape[1] // (2 * PERIODS) * 2 * PERIODS  # the peaks are at whole frequencies
    rows = gray[:, :width] - gray[:, :width].mean(axis=1, keepdims=True)
    power = np.square(np.abs(np.fft.rfft(rows * np.hanning(width), axis=1))).mean(axis=0)
    peaks = []
    for i in range(1, PERIODS // 2 + 1):
        center = i * width // PERIODS
        peak = power[center - 1 : center + 2].max()  # the window spreads it over three frequencies
        near = np.concatenate([power[center - 8 : center - 2], power[center + 3 : center + 9]])
        peaks.append(10.0 * np.log10((peak + 1e-9) / (np.median(near) + 1e-9)))
    return peaks
