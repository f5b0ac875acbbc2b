"""AdaIN (Huang & Belongie 2017)."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import make

from tfgan_zoo.data import builtin_images
from tfgan_zoo.errors import UserError
from tfgan_zoo.features.vgg import load_perceptual_network
from tfgan_zoo.models import adain

CONTENT = builtin_images.photograph("china")[100:148, 200:264]  # 48x64
STYLE = builtin_images.style_image("mosaic", 64)


def test_adain_has_the_mean_and_std_of_the_style():
    random = np.random.default_rng(0)
    x, y = random.normal(2, 3, (2, 5, 7, 4)), random.normal(-1, 0.5, (2, 6, 3, 4))
    t = adain.adain(x, adain.mean_and_std(x), adain.mean_and_std(y)).numpy()
    np.testing.assert_allclose(t.mean((1, 2)), y.mean((1, 2)), atol=1e-6)
    np.testing.assert_allclose(t.std((1, 2)), y.std((1, 2)), rtol=1e-4)
    expected = (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True) * y.std(
        (1, 2), keepdims=True
    ) + y.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(t, expected, atol=1e-4)


def test_decoder_and_encoder_have_the_papers_parameters():
    assert adain.decoder((64, 128, 256, 512)).count_params() == 3_505_219
    encoder = load_perceptual_network("random", adain.LAYERS, width=64).network
    assert encoder.count_params() == 3_505_728 and not encoder.trainable_variables
    assert (
        load_perceptual_network("random", ["block5_conv2"], width=64).network.count_params()
        == 15_304_768
    )  # no deeper than needed


def test_alpha_and_weights_blend_styles():
    model = make("adain_tiny")
    a, b = STYLE, builtin_images.style_image("strokes", 64)
    np.testing.assert_array_equal(
        model.stylize(CONTENT, [a, b], style_weights=[1, 0]), model.stylize(CONTENT, [a])
    )
    np.testing.assert_array_equal(
        model.stylize(CONTENT, [a], alpha=0.0), model.stylize(CONTENT, [b], alpha=0.0)
    )
    assert not np.array_equal(model.stylize(CONTENT, [a]), model.stylize(CONTENT, [b]))
    for options, message in (
        ({"alpha": 1.5}, "alpha must be in"),
        ({"style_weights": [1]}, "a finite number of at least 0 for each of 2 styles"),
        ({"style_weights": [np.nan, 1]}, "a finite number of at least 0 for each of 2 styles"),
    ):
        with pytest.raises(UserError, match=message):
            model.stylize(CONTENT, [a, b], **options)


def test_the_loss_of_a_constant_style_is_finite():
    """Errors are divided by the variance of its features, which is almost 0."""
    model = adain.AdaIN(adain.AdaINConfig(image_size=32, features_width=4))
    x = tf.constant(np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)), tf.float32)
    losses = model.compute_losses((x, tf.ones((1, 32, 32, 3))))
    assert 0 < float(losses["decoder"]) < 1e4
