"""Strength of regular pixel patterns."""

import numpy as np
import pytest

from tfgan_zoo.data import builtin_images
from tfgan_zoo.errors import UserError
from tfgan_zoo.metrics.grid import grid_strength


@pytest.mark.parametrize("period", [2, 4, 8])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_pattern_is_found_in_noise(period, axis):
    """A cosine of amplitude a in white noise of variance s^2 has a known signal-to-noise ratio."""
    amplitude, sigma, size = 6.0, 20.0, 256
    cosine = amplitude * np.cos(2 * np.pi * np.arange(size) / period + 0.3)
    noise = np.random.default_rng(0).normal(128, sigma, (size, size))
    pattern = np.broadcast_to(cosine, (size, size))
    gray = noise + (pattern if axis else pattern.T)
    image = np.repeat(gray[..., None], 3, axis=2)
    # Power of the window's sum over that of its squares. At half a cycle per pixel, a cosine is
    # real: its amplitude is a cos(0.3), and its power is not divided between two frequencies.
    window = np.hanning(size)
    power = (amplitude * np.cos(0.3)) ** 2 if period == 2 else amplitude**2 / 4
    signal = power * window.sum() ** 2
    expected = 10 * np.log10(1 + signal / (sigma**2 * np.square(window).sum()))
    assert grid_strength(image) == pytest.approx(expected, abs=0.7)
    assert grid_strength(np.repeat(noise[..., None], 3, axis=2)) < 1.5


def test_photographs_have_no_pattern_and_a_striped_one_does():
    image = builtin_images.photograph("flower")
    assert grid_strength(image) < 3
    striped = image.copy()
    striped[:, ::4] = (0.85 * striped[:, ::4]).astype(np.uint8)  # every fourth column is darker
    assert grid_strength(striped) > 6
    with pytest.raises(UserError, match=r"at least 64 pixels on each side is needed, got \(63, 6"):
        grid_strength(image[:63, :64])
    assert grid_strength(np.zeros((64, 64, 3), np.uint8)) == 0
