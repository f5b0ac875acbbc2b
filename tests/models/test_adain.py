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


def test_identity_loss_is_the_error_of_both_reconstructions():
    x, y = (
        tf.random.stateless_uniform((2, 32, side, 3), (1, side), -1.0, 1.0) for side in (32, 48)
    )
    config = adain.AdaINConfig(image_size=32, features_width=4, identity_weight=2.0)
    model = adain.AdaIN(config)
    losses = {name: float(value) for name, value in model.compute_losses((x, y)).items()}
    expected = np.mean(
        [np.abs(model.decode(model.encode(images)) - images).mean() for images in (x, y)]
    )
    assert losses["identity"] == pytest.approx(expected, rel=1e-4)
    total = losses["content"] + 10.0 * losses["style"] + 2.0 * losses["identity"]
    assert losses["decoder"] == pytest.approx(total, rel=1e-5)


def test_structure_loss_ignores_the_color_of_features():
    """It compares normalized features: their mean and standard deviation do not matter."""
    model = adain.AdaIN(adain.AdaINConfig(image_size=32, features_width=4))
    x = tf.constant(CONTENT[None] / np.float32(127.5) - 1.0)
    features = model.extract_features(x)
    changed = {layer: 3.0 * values + 5.0 for layer, values in features.items()}
    assert float(model.structure_loss(changed, x)) < 1e-3
    mirrored = model.extract_features(x[:, :, ::-1])
    assert float(model.structure_loss(mirrored, x)) > 0.1


def test_all_losses_of_later_papers_train_together():
    options = {
        "structure_weight": 1.0,
        "identity_weight": 1.0,
        "identity_features_weight": 1.0,
        "variation_weight": 1.0,
        "jitter": 8,
        "upsampling": "bilinear",
        "loss_features": "random",
    }
    overrides = [f"model.{name}={value}" for name, value in options.items()]
    model = make("adain_tiny", *overrides)
    batch = [tf.random.stateless_uniform((2, 32, 32, 3), (i, 0), -1.0, 1.0) for i in (1, 2)]
    dataset = tf.data.Dataset.from_tensors(tuple(batch)).repeat()
    history = model.fit(dataset, steps_per_epoch=5, epochs=4, verbose=0, shuffle=False).history
    assert history["decoder"][-1] < history["decoder"][0]
    names = {"content", "style", "structure", "identity", "identity_features", "variation"}
    assert names < set(history)


def test_random_shift_cuts_one_window_out_of_all_batches():
    model = make("adain_tiny", "model.jitter=8")
    rows, columns = np.mgrid[0:32, 0:32].astype(np.float32)
    images = tf.constant(np.stack([rows, columns, rows], axis=-1)[None])
    corners = set()
    for step in range(20):
        model.step.assign(step)
        a, b = model.random_shift(images, 2.0 * images)
        assert a.shape == (1, 24, 24, 3)
        np.testing.assert_array_equal(2.0 * a, b)
        top, left = a[0, 0, 0, :2].numpy()
        np.testing.assert_array_equal(a[0], images[0, int(top) :, int(left) :][:24, :24])
        corners.add((top, left))
    assert len(corners) > 10 and max(max(corner) for corner in corners) <= 8


def test_bilinear_upsampling_works_at_any_size():
    model = adain.AdaIN(adain.AdaINConfig(image_size=32, features_width=4, upsampling="bilinear"))
    assert model.stylize(CONTENT, [STYLE]).shape == CONTENT.shape
    with pytest.raises(UserError, match="upsampling must be one of nearest, bilinear, got .cubic"):
        adain.AdaINConfig(upsampling="cubic")
