"""Transfer the colors of one image to another, for uint8 images (h, w, 3)."""

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114])  # weights of red, green and blue (ITU-R BT.601)


def keep_colors(image, content):
    """Combine the brightness of one image with the colors of another image of the same size.

    Colors that are out of range at the new brightness are desaturated, so that the brightness is
    exact. Gatys et al. 2016, arXiv 1606.05897, section 5.2.

    Args:
        image: uint8 (h, w, 3), which gives the brightness.
        content: uint8 (h, w, 3), which gives the colors.

    Returns:
        uint8 (h, w, 3).
    """
    chroma = np.asarray(content, np.float64) - (content @ LUMA)[..., None]  # has a luma of 0
    luma = (image @ LUMA)[..., None]
    limit = np.where(chroma > 0, 255.0 - luma, luma) / np.maximum(np.abs(chroma), 1e-9)
    saturation = np.minimum(1.0, limit.min(axis=-1, keepdims=True))
    return np.round(luma + chroma * saturation).astype(np.uint8)


def match_color_statistics(image, target):
    """Give an image the mean and covariance of another image's colors by one linear map.

    Gatys et al. 2016, arXiv 1606.05897, section 5.1.

    Args:
        image: uint8 (h, w, 3).
        target: uint8 (h', w', 3).

    Returns:
        uint8 (h, w, 3).
    """
    mean, _, inverse_root = color_statistics(image)
    target_mean, target_root, _ = color_statistics(target)
    matched = (image.reshape(-1, 3) - mean) @ (inverse_root @ target_root) + target_mean
    return np.clip(np.round(matched), 0, 255).astype(np.uint8).reshape(image.shape)


def color_statistics(image):
    """Return the mean color, the square root of the color covariance, and the root's inverse."""
    pixels = image.reshape(-1, 3).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(pixels, rowvar=False) + 1e-3 * np.eye(3))
    root = (vectors * np.sqrt(values)) @ vectors.T
    inverse_root = (vectors / np.sqrt(values)) @ vectors.T
    return pixels.mean(axis=0), root, inverse_root


def histogram_matcher(images):
    """Return a function that gives an image the joint histogram of `images` in each channel.

    A level becomes the level of the same rank. Pixels of equal level get the level at the middle of
    their ranks.

    Args:
        images: iterable of uint8 images (h, w, c).

    Returns:
        A function, uint8 (h, w, c) -> uint8 (h, w, c).
    """
    counts = sum(channel_histograms(image) for image in images)
    ranks = counts.cumsum(axis=1)  # number of pixels that are at most as bright

    def translate(image):
        out = np.empty_like(image)
        for channel, histogram in enumerate(channel_histograms(image)):
            middle = (histogram.cumsum() - histogram / 2) / histogram.sum()
            middle = (middle * ranks[channel, -1]).astype(np.int64)
            # Levels that occur in the image are at most 255; others may be 256 and are not used.
            levels = np.searchsorted(ranks[channel], middle, side="right")
            out[..., channel] = levels[image[..., channel]]
        return out

    return translate


def channel_histograms(image):
    """Count the pixels of each level in each channel: uint8 (h, w, c) -> (c, 256)."""
    channels = np.moveaxis(image, -1, 0)
    return np.stack([np.bincount(channel.ravel(), minlength=256) for channel in channels])
