"""Colours of one picture given to another, as functions of uint8 images (h, w, 3)."""

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue (ITU-R BT.601)


def keep_colors(image, content):
    """The brightness of one image with the colours of another of the same size (Gatys et al. 2016, arXiv 1606.05897, section 5.2).

    Where the colours do not go with so much brightness they are paled, so that the brightness stays.
    """
    shade = (
        np.asarray(content, np.float64) - (content @ LUMA)[..., None]
    )  # what is not brightness; its own luma is 0
    light = (image @ LUMA)[..., None]
    room = np.where(shade > 0, 255.0 - light, light) / np.maximum(np.abs(shade), 1e-9)
    return np.round(light + shade * np.minimum(1.0, room.min(axis=-1, keepdims=True))).astype(
        np.uint8
    )


def match_color_statistics(image, target):
    """The image with the mean and the covariance of another's colours, by one linear map of all pixels (the same paper, section 5.1)."""
    (mean, _, inverse), (wanted, root, _) = color_statistics(image), color_statistics(target)
    matched = (image.reshape(-1, 3) - mean) @ (inverse @ root) + wanted
    return np.clip(np.round(matched), 0, 255).astype(np.uint8).reshape(image.shape)


def color_statistics(image):
    """Mean of the colours, the square root of their covariance and its inverse."""
    pixels = image.reshape(-1, 3).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(pixels, rowvar=False) + 1e-3 * np.eye(3))
    return (
        pixels.mean(axis=0),
        (vectors * np.sqrt(values)) @ vectors.T,
        (vectors / np.sqrt(values)) @ vectors.T,
    )


def histogram_matcher(images):
    """A function that gives an image the histogram of all these together, channel by channel: uint8 (h, w, c) -> uint8 (h, w, c).

    A level becomes the one of the same rank, equal levels together the one in their middle.
    """
    counts = sum(channel_histograms(image) for image in images)
    ranks = counts.cumsum(axis=1)  # how many pixels are at most so bright

    def translate(image):
        out = np.empty_like(image)
        for channel, own in enumerate(channel_histograms(image)):
            middle = ((own.cumsum() - own / 2) / own.sum() * ranks[channel, -1]).astype(np.int64)
            levels = np.searchsorted(ranks[channel], middle, side="right")
            out[..., channel] = levels[
                image[..., channel]
            ]  # at most 255, but for levels that no pixel has
        return out

    return translate


def channel_histograms(image):
    """How many pixels have each level, by channel: uint8 (h, w, c) -> (c, 256)."""
    return np.stack(
        [np.bincount(channel.ravel(), minlength=256) for channel in np.moveaxis(image, -1, 0)]
    )
