"""Compare Pix2Pix and CycleGAN with the papers and the authors' code."""

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import arrays, fit, images, make

from tfgan_zoo import presets
from tfgan_zoo.config import from_dict
from tfgan_zoo.data.transforms import mirror_indices
from tfgan_zoo.errors import UserError
from tfgan_zoo.layers import BatchNormalization, Dropout, dropout_at_inference
from tfgan_zoo.losses import absolute_error, cross_entropy, squared_error
from tfgan_zoo.models import pix2pix
from tfgan_zoo.models.blocks import (
    RECEPTIVE_FIELDS,
    norm_layer,
    patch_discriminator,
    resnet_generator,
)
from tfgan_zoo.models.cyclegan import CycleGAN, CycleGANConfig, ImagePool
from tfgan_zoo.models.pix2pix import Pix2Pix, Pix2PixConfig


def num_parameters(network):
    return sum(math.prod(v.shape) for v in network.trainable_variables)


# --- Networks. The expected numbers of parameters were taken from the authors' PyTorch classes.


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (Pix2PixConfig(), 54_413_955),
        (Pix2PixConfig(norm="instance"), 54_409_603),
        (Pix2PixConfig(image_size=128, downs=7), 41_828_995),
        (Pix2PixConfig(image_size=128, downs=7, norm="instance"), 41_825_667),
        (Pix2PixConfig(x_channels=1, y_channels=2), 54_409_858),
    ],
)
def test_unet_has_as_many_parameters_as_the_authors(config, count):
    assert num_parameters(pix2pix.generator(config)) == count


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (CycleGANConfig(), 11_378_179),
        (CycleGANConfig(norm="batch"), 11_383_427),
        (CycleGANConfig(blocks=6), 7_837_699),
        (CycleGANConfig(blocks=6, norm="batch"), 7_841_411),
    ],
)
def test_resnet_has_as_many_parameters_as_the_authors(config, count):
    assert num_parameters(resnet_generator(config)) == count


@pytest.mark.parametrize(
    ("field", "channels", "kind", "count", "side"),
    [
        (70, 3, "instance", 2_764_737, 30),
        (70, 3, "batch", 2_765_633, 30),
        (70, 6, "instance", 2_767_809, 30),
        (70, 6, "batch", 2_768_705, 30),
        (1, 3, "instance", 8_705, 256),
        (1, 6, "batch", 9_024, 256),
        (16, 6, "batch", 139_585, 126),
        (34, 6, "batch", 666_433, 62),
        (142, 6, "batch", 6_964_033, 14),
        (286, 6, "batch", 11_159_361, 6),
    ],
)
def test_patchgan_has_the_parameters_and_output_size_of_the_authors(
    field, channels, kind, count, side
):
    network = patch_discriminator(channels, 64, field, kind, "d")
    assert num_parameters(network) == count
    assert network.compute_output_shape((1, 256, 256, channels)) == (1, side, side, 1)


def test_models_have_as_many_parameters_as_the_authors():
    assert sum(presets.PRESETS["cyclegan_folder_256"]["parameters"].values()) == 28_285_832
    assert sum(presets.PRESETS["pix2pix_folder_256"]["parameters"].values()) == 57_182_660


@pytest.mark.parametrize("field", RECEPTIVE_FIELDS)
def test_receptive_field_of_a_logit(field):
    """Use the gradient of one logit. Norms use running statistics, which have no gradient."""
    network = patch_discriminator(1, 2, field, "batch", "d")
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(
                tf.ones_like(layer.kernel) / layer.kernel.shape[0] ** 2
            )  # positive weights: gradients do not cancel
    side = 2 * field + 64
    image = tf.ones((1, side, side, 1))
    with tf.GradientTape() as tape:
        tape.watch(image)
        logits = network(image, training=False)
        middle = logits[0, logits.shape[1] // 2, logits.shape[2] // 2, 0]
    pixels = np.argwhere(np.abs(tape.gradient(middle, image)[0, :, :, 0]) > 0)
    assert (pixels.max(axis=0) - pixels.min(axis=0) + 1).tolist() == [field, field]


@pytest.mark.parametrize("size", [(64, 64), (64, 128), (192, 64)])
def test_unet_accepts_any_multiple_of_its_stride(size):
    network = pix2pix.generator(
        Pix2PixConfig(image_size=64, downs=6, width=4, x_channels=1, y_channels=2)
    )
    assert network(tf.zeros((1, *size, 1))).shape == (1, *size, 2)


@pytest.mark.parametrize(
    "config",
    [
        Pix2PixConfig(image_size=64, downs=6, width=4),
        CycleGANConfig(image_size=64, blocks=1, width=4),
    ],
)
def test_upsampling_is_transposed_convolution_or_resize(config):
    build = pix2pix.generator if isinstance(config, Pix2PixConfig) else resnet_generator
    for upsampling in ("transposed", "resize"):
        network = build(type(config)(**{**vars(config), "upsampling": upsampling}))
        transposed, resized = (
            any(isinstance(layer, kind) for layer in network.layers)
            for kind in (keras.layers.Conv2DTranspose, keras.layers.UpSampling2D)
        )
        assert transposed == (upsampling == "transposed") and resized == (upsampling == "resize")
        assert network(tf.zeros((1, 64, 64, 3))).shape == (1, 64, 64, 3)


def test_bottleneck_has_a_gradient_with_one_image_per_batch():
    """A norm over the one pixel of the innermost map makes it 0 (the authors' erratum)."""
    x, y = tf.constant(np.random.default_rng(0).uniform(-1, 1, (2, 1, 32, 32, 3)).astype("float32"))
    gradients = {}
    for bottleneck_norm in (False, True):
        network = pix2pix.generator(
            Pix2PixConfig(image_size=32, downs=5, width=4, bottleneck_norm=bottleneck_norm)
        )
        innermost = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)][4]
        with tf.GradientTape() as tape:
            loss = absolute_error(network(x, training=True), y)
        gradients[bottleneck_norm] = np.abs(tape.gradient(loss, innermost.kernel)).max()
    assert gradients[False] > 1e-6
    assert gradients[True] < 1e-9


@pytest.mark.parametrize("kind", ["instance", "batch"])
def test_norms_equal_numpy(kind):
    x = np.random.default_rng(0).normal(3, 2, (4, 5, 6, 7)).astype("float32")
    axes = (1, 2) if kind == "instance" else (0, 1, 2)
    expected = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    layer = norm_layer(kind)
    normalized = layer(x, training=True) if kind == "batch" else layer(x)
    gamma = layer.gamma.numpy() if kind == "batch" else 1.0
    np.testing.assert_allclose(normalized, expected * gamma, atol=1e-5)


def test_batch_norm_uses_image_or_running_statistics_at_test_time():
    x = np.random.default_rng(0).normal(3, 2, (2, 8, 8, 3)).astype("float32")
    image, running = (
        BatchNormalization("image", epsilon=1e-5),
        BatchNormalization("running", epsilon=1e-5),
    )
    np.testing.assert_allclose(
        image(x), (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True), atol=1e-3
    )
    np.testing.assert_array_equal(image(x[:1]), image(x)[:1])  # independent of the other images
    np.testing.assert_allclose(running(x), x, atol=1e-3)  # initial running statistics
    with pytest.raises(UserError, match="at_test must be one of running, image"):
        BatchNormalization("batch")


# --- Losses


def test_criteria_by_hand():
    logits = tf.constant([[0.0, 2.0], [-1.0, 3.0]])
    ce = [math.log(1 + math.exp(value)) for value in (0.0, 2.0, -1.0, 3.0)]
    assert float(cross_entropy(logits, 0.0)) == pytest.approx(sum(ce) / 4, rel=1e-6)
    assert float(cross_entropy(logits, 1.0)) == pytest.approx((sum(ce) - 4.0) / 4, rel=1e-6)
    assert float(squared_error(logits, 1.0)) == pytest.approx((1 + 1 + 4 + 4) / 4, rel=1e-6)
    assert float(squared_error(logits, 0.0)) == pytest.approx((0 + 4 + 1 + 9) / 4, rel=1e-6)
    assert float(absolute_error(logits, tf.ones((2, 2)))) == pytest.approx(
        (1 + 1 + 2 + 2) / 4, rel=1e-6
    )


def batch_of(model, n=3):
    return tuple(tf.constant(array) for array in arrays(model, n))


def test_pix2pix_losses_equal_the_paper():
    model = make("pix2pix_tiny", "model.dropout=0", "model.norm=instance")
    x, y = batch_of(model)
    losses = {name: float(value) for name, value in model.compute_losses((x, y)).items()}
    fake = model.generator(x)
    real_logits, fake_logits = (
        model.discriminator(tf.concat([x, y], -1)),
        model.discriminator(tf.concat([x, fake], -1)),
    )
    l1 = float(np.mean(np.abs(fake - y)))
    softplus = {
        name: np.log1p(np.exp(value))
        for name, value in (("real", -real_logits.numpy()), ("fake", fake_logits.numpy()))
    }
    assert losses["discriminator"] == pytest.approx(
        (softplus["real"].mean() + softplus["fake"].mean()) / 2, rel=1e-4
    )
    adversarial = np.log1p(np.exp(-fake_logits.numpy())).mean()
    assert losses["adversarial"] == pytest.approx(adversarial, rel=1e-4)
    assert losses["l1"] == pytest.approx(l1, rel=1e-4)
    assert losses["generator"] == pytest.approx(adversarial + 100 * l1, rel=1e-4)


def test_cyclegan_losses_equal_the_paper():
    model = make("cyclegan_tiny")
    x, y = batch_of(model)
    losses = {name: float(value) for name, value in model.compute_losses((x, y)).items()}

    def l1(a, b):
        return float(np.mean(np.abs(a - b)))

    def mse(logits, target):
        return float(np.mean((logits - target) ** 2))

    fake_y, fake_x = model.g(x), model.f(y)
    adversarial = mse(model.d_y(fake_y), 1) + mse(model.d_x(fake_x), 1)
    cycle = l1(model.f(fake_y), x) + l1(model.g(fake_x), y)
    identity = l1(model.g(y), y) + l1(model.f(x), x)
    d_y, d_x = (
        mse(d(real), 1) / 2 + mse(d(fake), 0) / 2
        for d, real, fake in ((model.d_y, y, fake_y), (model.d_x, x, fake_x))
    )
    expected = {
        "adversarial": adversarial,
        "cycle": cycle,
        "identity": identity,
        "generator": adversarial + 10 * cycle + 0.5 * 10 * identity,
        "discriminator": d_x + d_y,
    }
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        assert losses[name] == pytest.approx(value, rel=1e-4), name


def test_generator_gradient_includes_both_cycles():
    """Compare with the sum of the terms' gradients. One cycle alone would give half of it."""
    model = make("cyclegan_tiny", "model.identity_weight=0")
    x, y = batch_of(model)
    with tf.GradientTape() as tape:
        loss = model.compute_losses((x, y))["generator"]
    whole = tape.gradient(loss, model.g.trainable_variables)
    terms = [
        lambda: squared_error(model.d_y(model.g(x)), 1.0),
        lambda: 10.0 * absolute_error(model.f(model.g(x)), x),
        lambda: 10.0 * absolute_error(model.g(model.f(y)), y),
    ]
    parts = []
    for term in terms:
        with tf.GradientTape() as tape:
            loss = term()
        parts.append(tape.gradient(loss, model.g.trainable_variables))
        assert max(np.abs(gradient).max() for gradient in parts[-1]) > 1e-4
    for total, *terms in zip(whole, *parts, strict=True):
        np.testing.assert_allclose(total, np.sum(terms, axis=0), atol=2e-5)


@pytest.mark.parametrize("kind", ["instance", "batch"])
def test_fused_passes_equal_separate_passes(kind):
    model = make("cyclegan_tiny", f"model.norm={kind}")
    x, y = batch_of(model)
    fused = model.apply_to_batches(model.g, x, y, training=True)
    separate = [model.g(x, training=True), model.g(y, training=True)]
    for a, b in zip(fused, separate, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_identity_loss_needs_equal_channels():
    with pytest.raises(
        UserError, match=r"got x_channels=1 and y_channels=3. Set model.identity_weight=0"
    ):
        CycleGANConfig(x_channels=1)
    model = CycleGAN(
        CycleGANConfig(
            image_size=32,
            width=4,
            blocks=1,
            receptive_field=16,
            x_channels=1,
            y_channels=4,
            identity_weight=0,
        )
    )
    model.compile(xla="off")
    x, y = tf.zeros((2, 32, 32, 1)), tf.zeros((2, 32, 32, 4))
    assert "identity" not in model.compute_losses((x, y))
    assert model.g(x).shape[-1] == 4 and model.f(y).shape[-1] == 1
    assert model.translate(np.zeros((10, 11, 1), np.uint8)).shape == (10, 11, 4)
    assert model.translate(np.zeros((10, 11, 4), np.uint8), "yx").shape == (10, 11, 1)


# --- History of generated images


def numbered(first, n):
    """Return n images whose pixels all have the number of the image."""
    return tf.reshape(tf.range(first, first + n, dtype=tf.float32), (n, 1, 1, 1)) * tf.ones(
        (n, 2, 2, 3)
    )


def numbers(images):
    return [int(image[0, 0, 0]) for image in images.numpy()]


def test_pool_fills_and_then_swaps_by_its_draws():
    pool = ImagePool(3, (2, 2, 3))
    swap, keep = 0.2, 0.7
    place = {0: 0.1, 1: 0.4, 2: 0.9}
    assert numbers(pool(numbered(0, 2), tf.constant([[swap, place[0]]] * 2))) == [
        0,
        1,
    ]  # filling: nothing is swapped
    # 2 is stored; 3 is returned; 4 replaces 0; 5 replaces 4, which is in the same batch.
    draws = tf.constant([[swap, place[0]], [keep, place[0]], [swap, place[0]], [swap, place[0]]])
    assert numbers(pool(numbered(2, 4), draws)) == [2, 3, 0, 4]
    assert numbers(pool.stored[:3]) == [5, 1, 2]
    assert numbers(pool(numbered(6, 1), tf.constant([[swap, place[2]]]))) == [2]
    assert numbers(pool.stored[:3]) == [5, 1, 6]


def test_pool_equals_the_authors_loop_over_images():
    """Compare with a list that is updated image by image, for batches of many sizes."""
    random = np.random.default_rng(0)
    pool, stored, first = ImagePool(5, (2, 2, 3)), [], 0
    for n in (1, 2, 4, 7, 1, 3, 8, 2):
        draws = random.uniform(size=(n, 2)).astype("float32")
        expected = []
        for i, (coin, place) in enumerate(draws):
            if len(stored) < 5:
                stored.append(first + i)
                expected.append(first + i)
            elif coin < 0.5:
                expected.append(stored[int(place * 5)])
                stored[int(place * 5)] = first + i
            else:
                expected.append(first + i)
        assert numbers(pool(numbered(first, n), tf.constant(draws))) == expected
        assert numbers(pool.stored[: len(stored)]) == stored
        first += n


def test_pool_returns_stored_images_half_of_the_time():
    model = make("cyclegan_tiny")
    pool, old = ImagePool(50, (2, 2, 3)), 0
    for step in range(60):
        model.step.assign(step)
        new = numbered(20 * step, 20)
        returned = pool(new, model.noise((20, 2), "pool", "uniform"))
        old += (
            sum(a != b for a, b in zip(numbers(new), numbers(returned), strict=True))
            if step >= 3
            else 0
        )
    assert 0.45 < old / (57 * 20) < 0.55


def test_pool_of_size_0_returns_every_image():
    pool = ImagePool(0, (2, 2, 3))
    assert numbers(pool(numbered(0, 4), tf.zeros((4, 2)))) == [0, 1, 2, 3]
    assert not pool.weights


# --- Learning rate


def test_learning_rate_equals_the_authors():
    model = Pix2Pix(Pix2PixConfig(image_size=32, downs=5, width=2))
    rates = {epoch: model.learning_rate_in(epoch) / 2e-4 for epoch in (1, 100, 101, 150, 200)}
    assert rates == pytest.approx({1: 1.0, 100: 1.0, 101: 100 / 101, 150: 51 / 101, 200: 1 / 101})


def test_fit_follows_the_schedule_when_resumed():
    model = make("pix2pix_tiny", "model.constant_epochs=1", "model.decay_epochs=3")
    rates = []
    record = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(
            float(model.generator_optimizer.learning_rate)
        )
    )
    data = tf.data.Dataset.from_tensors(arrays(model, 1)).repeat()
    for first, last in ((0, 2), (2, 4)):
        model.fit(
            data,
            steps_per_epoch=1,
            initial_epoch=first,
            epochs=last,
            callbacks=[record],
            verbose=0,
            shuffle=False,
        )
    assert rates == pytest.approx([2e-4, 1.5e-4, 1e-4, 0.5e-4])
    assert float(model.discriminator_optimizer.learning_rate) == pytest.approx(0.5e-4)


def test_custom_optimizers_keep_their_learning_rates(tmp_path):
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.9)
    model = make(
        "pix2pix_tiny",
        generator_optimizer=keras.optimizers.Adam(schedule),
        discriminator_optimizer=keras.optimizers.SGD(0.01),
    )
    fit(model, steps=1, batch_size=4)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    fit(loaded, steps=1, batch_size=4)
    for trained in (model, loaded):
        assert float(trained.discriminator_optimizer.learning_rate) == pytest.approx(0.01)
        assert 9e-4 < float(trained.generator_optimizer.learning_rate) < 1e-3


def test_more_epochs_than_the_schedule_raise_an_error():
    model = make("pix2pix_tiny")
    model.check_epochs(2)
    with pytest.raises(UserError, match=r"decayed to 0 after 2 epochs, got train.epochs=3"):
        model.check_epochs(3)
    make("pix2pix_tiny", "model.decay_epochs=0").check_epochs(1000)


# --- Test time


def test_translation_depends_on_the_image_only(translation_tiny):
    model = make(translation_tiny)
    fit(model, steps=2, batch_size=4)
    inputs = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    before = model.weights_sha256()
    first = model.translate(inputs)
    np.testing.assert_array_equal(first, model.translate(inputs))
    np.testing.assert_array_equal(
        first[1], model.translate(inputs[1])
    )  # independent of other images and of the seed
    np.testing.assert_array_equal(first, model.translate(inputs, seed=5))
    assert model.weights_sha256() == before


def test_test_dropout_depends_on_the_seed():
    model = make("pix2pix_tiny", "model.test_dropout=true")
    fit(model, steps=4, batch_size=4)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    first, again, other = (model.translate(image, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert "seed" in [spec.name for spec in model.signatures()["translate"][1]]


def test_dropout_at_inference_is_limited_to_its_context():
    layer, x = Dropout(0.5, seed=1), tf.ones((1, 1000))
    np.testing.assert_array_equal(layer(x), x)
    with dropout_at_inference(3):
        first, again = layer(x).numpy(), layer(x).numpy()
    with dropout_at_inference(4):
        other = layer(x).numpy()
    with dropout_at_inference(None):
        np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert 0.4 < np.mean(first == 0) < 0.6 and set(np.unique(first)) == {0.0, 2.0}
    assert int(layer.counter) == 0


@pytest.mark.parametrize("size", [(64, 64), (50, 70), (129, 65), (1, 1), (3, 200)])
def test_translation_keeps_the_image_size(translation_tiny, size):
    model = make(translation_tiny)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    translated = model.translate(image)
    assert translated.shape == image.shape and translated.dtype == np.uint8


def test_padding_is_reflection_and_is_cropped_after_translation():
    for length, multiple in ((5, 8), (8, 8), (9, 8), (1, 8), (2, 16), (30, 32)):
        total = -(-length // multiple) * multiple
        index, start = mirror_indices(length, multiple)
        expected = np.pad(np.arange(length), (start, total - length - start), "reflect")
        np.testing.assert_array_equal(index, expected)
    model = make("cyclegan_tiny")
    model.f = lambda x, training: x  # the identity must return the image unchanged
    image = np.random.default_rng(0).integers(0, 256, (2, 45, 71, 3), np.uint8)
    np.testing.assert_array_equal(model.translate(image, "yx"), image)


def test_uint16_images_stay_uint16():
    model = make("cyclegan_tiny")
    image = np.random.default_rng(0).integers(0, 65536, (33, 20, 3), np.uint16)
    deep = model.translate(image)
    assert deep.dtype == np.uint16
    shallow = model.translate((image // 257).astype(np.uint8))
    assert np.abs(deep / 257 - shallow).max() < 8
    assert len(np.unique(deep)) > 1000


def test_wrong_images_raise_an_error(translation_tiny):
    model = make(translation_tiny)
    for image in (
        np.zeros((8, 8, 1), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 3), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
    ):
        with pytest.raises(UserError, match=r"uint8 \(or uint16\) of shape \(h, w, 3\).*got"):
            model.translate(image)
    with pytest.raises(UserError, match="direction must be one of"):
        model.translate(np.zeros((8, 8, 3), np.uint8), "zx")


def test_batches_that_are_not_pairs_raise_an_error(translation_tiny):
    model = make(translation_tiny)
    with pytest.raises(UserError, match=r"needs batches \(x, y\) of images"):
        model.unpack_batch(tf.zeros((1, 64, 64, 3)))
    size = model.config.image_size
    x, y = tf.zeros((1, size, size, 3)), tf.zeros((1, size, size, 1))
    with pytest.raises(UserError, match=rf"y must be \(n, .*, 3\).*got \(1, {size}, {size}, 1\)"):
        model.unpack_batch((x, y))


def test_files_with_the_retired_field_latent_dim_load_if_it_is_0():
    fields = dataclasses.asdict(Pix2PixConfig(image_size=32, downs=5))
    config = from_dict(Pix2PixConfig, {**fields, "latent_dim": 0})
    assert config == Pix2PixConfig(image_size=32, downs=5)
    with pytest.raises(UserError, match="latent_dim is no longer supported .* got latent_dim=3"):
        from_dict(Pix2PixConfig, {**fields, "latent_dim": 3})


@pytest.mark.parametrize(
    ("make_config", "message"),
    [
        (lambda: Pix2PixConfig(image_size=100), "multiple of 256, got 100"),
        (lambda: Pix2PixConfig(downs=4), "downs must be between 5 and 12, got 4"),
        (lambda: CycleGANConfig(image_size=30), "multiple of 4"),
        (
            lambda: CycleGANConfig(receptive_field=71),
            "receptive_field must be one of 1, 16, 34, 70, 142, 286",
        ),
        (
            lambda: CycleGANConfig(image_size=16),
            "image_size=16 is too small .* got receptive_field=70",
        ),
        (lambda: CycleGANConfig(norm="layer"), "norm must be one of"),
        (lambda: Pix2PixConfig(upsampling="bilinear"), "upsampling must be one of"),
        (lambda: Pix2PixConfig(test_norm="batch"), "test_norm must be one of"),
        (lambda: CycleGANConfig(pool_size=-1), "pool_size must be between 0 and 1000, got -1"),
    ],
)
def test_wrong_configurations_raise_an_error(make_config, message):
    with pytest.raises(UserError, match=message):
        make_config()


def test_sample_grid():
    class FixedImages:
        def evaluation_images(self, i):
            return np.full((32, 32, 3), i, np.uint8), np.full((32, 32, 3), 100 + i, np.uint8)

        def __len__(self):
            return 2

    model = make("cyclegan_tiny")
    grid, columns = model.sample_grid(5, 0, FixedImages())
    assert grid.shape == (12, 32, 32, 3) and columns == 2  # 6 rows of 2
    assert grid[:2, 0, 0, 0].tolist() == [0, 1] and grid[6:8, 0, 0, 0].tolist() == [100, 101]
    np.testing.assert_array_equal(grid[2], model.translate(grid[0]))
    np.testing.assert_array_equal(grid[5], model.translate(grid[3], "yx"))
    pairs = make("pix2pix_tiny")
    grid, columns = pairs.sample_grid(5, 0, FixedImages())
    assert grid.shape == (6, 32, 32, 3) and grid[4:6, 0, 0, 0].tolist() == [100, 101]


def test_training_reduces_the_error():
    """Learn a constant shift of brightness. The mean absolute error falls to less than a third."""
    model = make(
        "pix2pix_tiny", "model.decay_epochs=0", "model.learning_rate=2e-3", "model.dropout=0"
    )
    x = images(model, 16) * 0.5
    y = x + 0.4
    before = float(np.mean(np.abs(model(x) - y)))
    model.fit(
        tf.data.Dataset.from_tensors((x, y)).repeat(), steps_per_epoch=60, verbose=0, shuffle=False
    )
    assert float(np.mean(np.abs(model(x, training=True) - y))) < before / 3
