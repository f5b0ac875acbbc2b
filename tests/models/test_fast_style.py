"""Fast style transfer (Johnson et al. 2016)."""

import math

import numpy as np
import pytest
import tensorflow as tf
from helpers import make

from tfgan_zoo.data import builtin_images, transforms
from tfgan_zoo.models import fast_style
from tfgan_zoo.models.fast_style import FastStyleConfig


@pytest.mark.parametrize(
    ("width", "blocks", "count"), [(32, 5, 1_679_235), (16, 5, 424_899), (8, 5, 108_771)]
)
def test_the_generator_has_the_papers_parameters(width, blocks, count):
    network = fast_style.generator(FastStyleConfig(width=width, blocks=blocks))
    assert sum(math.prod(v.shape) for v in network.trainable_variables) == count
    assert network(np.zeros((1, 32, 48, 3), "float32")).shape == (1, 32, 48, 3)


def test_training_lowers_the_loss():
    """In 60 steps of the tiny network the weighted loss falls by a quarter (measured: 46 %)."""
    model = make("fast_tiny", "data.limit=8")
    images = np.stack([builtin_images.photograph_crop(i, 32) for i in range(8)])
    dataset = tf.data.Dataset.from_tensors(transforms.to_float(images)).repeat()
    history = model.fit(dataset, steps_per_epoch=10, epochs=6, verbose=0, shuffle=False).history[
        "generator"
    ]
    assert history[-1] < 0.75 * history[0]


def test_output_scale_is_a_factor_before_tanh():
    """Runs from before the field have no factor: its default is 1."""
    assert FastStyleConfig().output_scale == 1.0
    plain, scaled = (
        fast_style.generator(FastStyleConfig(width=4, blocks=1, output_scale=scale))
        for scale in (1.0, 0.05)
    )
    scaled.set_weights(plain.get_weights())
    x = transforms.to_float(builtin_images.photograph_crop(0, 32))[None]
    np.testing.assert_allclose(
        np.arctanh(scaled(x)), 0.05 * np.arctanh(plain(x)), rtol=1e-3, atol=1e-5
    )
