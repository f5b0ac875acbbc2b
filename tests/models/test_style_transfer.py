"""Gatys' style transfer: objective, gradient and descent, compared with NumPy and differences."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgan_zoo import losses
from tfgan_zoo.data import builtin_images, transforms
from tfgan_zoo.errors import UserError
from tfgan_zoo.models.style_transfer import (
    StyleTransfer,
    StyleTransferConfig,
    crop,
    mirror,
    pyramid_sizes,
)
from tfgan_zoo.models.stylization import CONTENT_LAYERS, STYLE_LAYERS

SMALL = StyleTransferConfig(features_width=4, iterations=6, smallest=32)
CONTENT = builtin_images.photograph("china")[100:148, 200:264]  # 48x64
STYLE = builtin_images.style_image("mosaic", 64)


def to_batch(image):
    return transforms.to_float(image)[None]


def losses_and_gradient(image, content=CONTENT, styles=(STYLE,), config=SMALL, **options):
    """Losses and gradient of an image float32 (1, h, w, 3), by a new model."""
    model = StyleTransfer(config)
    targets = model.targets(to_batch(content), [to_batch(style) for style in styles], **options)
    return model.losses_and_gradient(tf.constant(image), targets)


def noisy(content, deviation):
    noise = np.random.default_rng(0).normal(0, deviation, (1, *content.shape))
    return np.clip(to_batch(content) + noise, -1, 1).astype("float32")


# --- objective and gradient


def test_gradient_equals_finite_differences():
    image = noisy(CONTENT, 0.3)
    config = dataclasses.replace(SMALL, pooling="average", content_weight=1.0)
    values, gradient = losses_and_gradient(image, config=config)
    # Along the gradient the difference is far above the rounding errors.
    direction = gradient / np.linalg.norm(gradient)
    step = 1e-2
    plus, minus = (
        float(losses_and_gradient(image + sign * step * direction, config=config)[0]["image"])
        for sign in (1, -1)
    )
    np.testing.assert_allclose((plus - minus) / (2 * step), np.sum(gradient * direction), rtol=0.02)
    weighted_sum = (
        config.content_weight * values["content"]
        + config.style_weight * values["style"]
        + config.variation_weight * values["variation"]
    )
    np.testing.assert_allclose(values["image"], weighted_sum, rtol=1e-6)


def test_losses_equal_numpy():
    image = tf.clip_by_value(to_batch(CONTENT) + 0.2, -1, 1)
    values, _ = losses_and_gradient(image)
    network = SMALL.feature_network(SMALL.feature_layers)
    features, content_features, style_features = (
        {layer: value.numpy().astype(np.float64) for layer, value in network(batch).items()}
        for batch in (image, to_batch(CONTENT), to_batch(STYLE))
    )

    def gram(f):
        return np.einsum("nhwi,nhwj->nij", f, f) / (f.shape[1] * f.shape[2])

    def error(a, b):
        return np.mean((a - b) ** 2) / np.mean(b**2)

    style = np.mean(
        [error(gram(features[layer]), gram(style_features[layer])) for layer in STYLE_LAYERS]
    )
    content = error(features[CONTENT_LAYERS[0]], content_features[CONTENT_LAYERS[0]])
    np.testing.assert_allclose(values["style"], style, rtol=1e-4)
    np.testing.assert_allclose(values["content"], content, rtol=1e-4)


@pytest.mark.parametrize("masked", [False, True])
def test_gradient_in_tiles_equals_that_of_the_whole_image(masked):
    """Several tiles, and sides that the strides do not divide."""
    content = builtin_images.photograph("china")[:230, :309]
    image = tf.constant(noisy(content, 0.2))
    styles = [to_batch(STYLE), to_batch(builtin_images.style_image("strokes", 80))]
    lower = np.tri(230, 309, dtype=np.float32)
    masks = [lower, 1 - lower] if masked else None
    model = StyleTransfer(SMALL)
    whole, tiled = (
        model.targets(to_batch(content), styles, masks=masks, tile=tile) for tile in (0, 64)
    )
    assert len(whole.tiles) == 1 and len(tiled.tiles) == 20
    values, gradient = model.losses_and_gradient(image, whole)
    tiled_values, tiled_gradient = model.losses_and_gradient(image, tiled)
    for name in values:
        np.testing.assert_allclose(tiled_values[name], values[name], rtol=1e-4)
    np.testing.assert_allclose(tiled_gradient, gradient, atol=1e-5 * np.abs(gradient).max())


def test_two_styles_have_the_gradient_of_their_blend():
    """Weighted sum of two styles' errors, each divided by the blend's mean square."""
    a, b = STYLE, builtin_images.style_image("strokes", 64)
    image = to_batch(CONTENT)
    config = dataclasses.replace(SMALL, content_weight=0.0, variation_weight=0.0, style_weight=1.0)
    _, gradient = losses_and_gradient(image, styles=[a, b], config=config, style_weights=[3, 1])
    network = SMALL.feature_network(SMALL.feature_layers)
    grams_a, grams_b = (
        [losses.gram_matrix(network(to_batch(style))[layer]) for layer in STYLE_LAYERS]
        for style in (a, b)
    )
    with tf.GradientTape() as tape:
        tape.watch(image)
        grams = [losses.gram_matrix(network(image)[layer]) for layer in STYLE_LAYERS]
        total = 0.0
        for gram, gram_a, gram_b in zip(grams, grams_a, grams_b, strict=True):
            scale = tf.reduce_mean(tf.square(0.75 * gram_a + 0.25 * gram_b))
            error_a, error_b = (tf.reduce_mean(tf.square(gram - g)) for g in (gram_a, gram_b))
            total += (0.75 * error_a + 0.25 * error_b) / scale / len(grams)
    np.testing.assert_allclose(
        gradient, tape.gradient(total, image), rtol=1e-3, atol=1e-4 * np.abs(gradient).max()
    )


def test_a_mask_limits_a_style_to_its_region():
    """The gradient is 0 outside of the receptive field of the region."""
    mask = np.zeros((256, 64), np.float32)
    mask[:64] = 1
    content = np.ascontiguousarray(builtin_images.photograph("china")[:256, :64])
    config = dataclasses.replace(SMALL, content_weight=0.0, variation_weight=0.0)
    _, gradient = losses_and_gradient(to_batch(content), content, config=config, masks=[mask])
    assert np.abs(gradient[0, :64]).max() > 0
    assert np.abs(gradient[0, 64 + 96 :]).max() == 0


# --- the model


def test_fit_moves_the_image_within_its_range():
    model = StyleTransfer(dataclasses.replace(SMALL, image_size=48))
    model.compile(xla="off")
    before = model.image.pixels.numpy()
    content, style = (image[:48, :48] for image in (CONTENT, STYLE))
    pairs = tf.data.Dataset.from_tensors((to_batch(content), to_batch(style))).repeat()
    history = model.fit(pairs, steps_per_epoch=5, epochs=2, verbose=0, shuffle=False).history
    assert history["image"][1] < history["image"][0]
    assert np.abs(model.image.pixels.numpy()).max() <= 1
    assert np.abs(model.image.pixels.numpy() - before).max() > 0.01


def test_a_train_step_is_a_step_along_the_gradient_of_the_objective():
    """With SGD: the step with the known gradient equals that of `compute_losses`."""
    model = StyleTransfer(dataclasses.replace(SMALL, image_size=32))
    batch = to_batch(CONTENT[:32, :32]), to_batch(STYLE[:32, :32])
    targets = model.unpack_batch(batch)
    with tf.GradientTape() as tape:
        loss = model.compute_losses(targets)["image"]
    gradient = tape.gradient(loss, model.image.pixels.value)
    before = model.image.pixels.numpy()
    model.compile(xla="off", image_optimizer=keras.optimizers.SGD(1e-3))
    model.train_step(batch)
    np.testing.assert_allclose(
        model.image.pixels.numpy(), before - 1e-3 * gradient.numpy(), rtol=1e-5, atol=1e-6
    )


# --- the descent


@pytest.mark.slow
def test_lbfgs_beats_adam_and_both_descend():
    ratios = {}
    for optimizer in ("lbfgs", "adam"):
        config = dataclasses.replace(SMALL, optimizer=optimizer, iterations=30, smallest=64)
        first = float(losses_and_gradient(to_batch(CONTENT), config=config)[0]["image"])
        states = []
        image = StyleTransfer(config).stylize(CONTENT, [STYLE], on_iteration=states.append)
        ratios[optimizer] = states[-1].losses["image"] / first
        assert image.shape == CONTENT.shape and image.dtype == np.uint8
        np.testing.assert_array_equal(image, transforms.to_uint8(states[-1].image)[0])
    assert ratios["lbfgs"] < 0.8 * ratios["adam"] < 0.2


def test_adam_moves_the_models_image_by_train_steps():
    config = dataclasses.replace(SMALL, optimizer="adam", iterations=3, smallest=64)
    model = StyleTransfer(config)
    model.stylize(CONTENT, [STYLE])
    margin = 2 * config.margin
    assert model.image.pixels.shape == (1, 48 + margin, 64 + margin, 3)
    assert [weight.path for weight in model.trainable_weights] == [model.image.pixels.path]
    assert int(model.step.numpy()) == 3


def test_sizes_grow_by_the_square_root_of_two():
    assert pyramid_sizes((300, 512), 128) == [
        (75, 128),
        (106, 181),
        (150, 256),
        (212, 362),
        (300, 512),
    ]
    assert pyramid_sizes((100, 120), 128) == [(100, 120)]
    assert pyramid_sizes((40, 512), 128) == [(40, 512)]  # no side is below 32


@pytest.mark.parametrize("init", ["content", "noise", "style"])
def test_the_result_depends_on_the_arguments_only(init):
    config = dataclasses.replace(SMALL, init=init)
    first, again, other = (
        StyleTransfer(config).stylize(CONTENT, [STYLE], seed=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == (init != "noise")


def test_the_margin_mirrors_the_image_and_is_cropped():
    image = np.arange(5 * 6 * 3).reshape(5, 6, 3)
    canvas = mirror(image, 2)
    assert canvas.shape == (9, 10, 3)
    np.testing.assert_array_equal(canvas[2:-2, 0], image[:, 2])  # the border is not repeated
    np.testing.assert_array_equal(canvas[-1, 2:-2], image[-3])
    np.testing.assert_array_equal(crop(canvas[None], 2)[0], image)
    states = []
    model = StyleTransfer(dataclasses.replace(SMALL, margin=3))
    result = model.stylize(CONTENT, [STYLE], on_iteration=states.append)
    height, width = CONTENT.shape[:2]
    assert states[-1].canvas.shape == (1, height + 6, width + 6, 3)
    np.testing.assert_array_equal(transforms.to_uint8(states[-1].image)[0], result)


def test_a_descent_is_resumed_from_its_state():
    """At the same size and iteration, with the best image."""
    states = []
    model = StyleTransfer(SMALL)
    model.stylize(CONTENT, [STYLE], on_iteration=states.append)
    assert [(s.scale, s.iteration) for s in states] == [(s, i) for s in (0, 1) for i in range(1, 7)]
    later = []
    model.stylize(CONTENT, [STYLE], state=states[8], on_iteration=later.append)
    assert [(s.scale, s.iteration) for s in later] == [(1, 4), (1, 5), (1, 6)]
    assert later[-1].losses["image"] < states[8].losses["image"]
    finished = model.stylize(CONTENT, [STYLE], state=states[-1], on_iteration=later.append)
    np.testing.assert_array_equal(finished, transforms.to_uint8(states[-1].image)[0])
    assert len(later) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style_weights": [1, 2]}, "a finite number of at least 0 for each of 1 styles"),
        ({"style_weights": [-1]}, "at least 0"),
        ({"style_weights": [np.nan]}, "finite number of at least 0"),
        ({"style_weights": [np.inf]}, "finite number of at least 0"),
        ({"style_scale": 0}, "style_scale must be between 0.05 and 20, got 0"),
        ({"tile": 100}, "tile must be a multiple of 16 pixels or 0, got 100"),
        ({"masks": []}, "one mask for each style, got 0 masks"),
        ({"masks": [np.ones((3, 3), np.uint8)]}, "A mask must have the content's size"),
        ({"masks": [np.zeros((48, 64), np.uint8)]}, "A mask must have white pixels"),
    ],
)
def test_invalid_arguments_raise_errors(options, message):
    with pytest.raises(UserError, match=message):
        StyleTransfer(SMALL).stylize(CONTENT, [STYLE], **options)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_an_infinite_loss_raises_an_error():
    config = dataclasses.replace(SMALL)
    object.__setattr__(config, "style_weight", 1e39)  # more than a config allows
    with pytest.raises(UserError, match="The loss must be finite, got (inf|nan)"):
        StyleTransfer(config).stylize(CONTENT, [STYLE])
