"""GAN and DCGAN against their papers, and the effect of every option of adversarial training."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import arrays, fit, images, make

from tfgan_zoo import presets
from tfgan_zoo.errors import UserError
from tfgan_zoo.models import dcgan, gan
from tfgan_zoo.models.base import batch_size_of, update_ema
from tfgan_zoo.models.dcgan import DCGAN, DCGANConfig
from tfgan_zoo.models.gan import GAN, GANConfig
from tfgan_zoo.models.latent import network_inputs


def shapes(network, kind):
    return [layer.output.shape[1:] for layer in network.layers if isinstance(layer, kind)]


def test_dcgan_has_the_shapes_of_figure_1():
    config = DCGANConfig()
    generator = dcgan.generator(config)
    assert shapes(generator, keras.layers.Reshape) == [(4, 4, 1024)]
    assert shapes(generator, keras.layers.Conv2DTranspose) == [
        (8, 8, 512),
        (16, 16, 256),
        (32, 32, 128),
        (64, 64, 3),
    ]
    discriminator = dcgan.discriminator(config)
    assert shapes(discriminator, keras.layers.Conv2D) == [
        (32, 32, 128),
        (16, 16, 256),
        (8, 8, 512),
        (4, 4, 1024),
    ]
    # Count by hand: dense 100 * 16384, convolutions 25 * in * out, 3 biases at the output, and
    # batch norm 2 per channel.
    generator_count = (
        100 * 16384
        + 25 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3)
        + 3
        + 2 * (1024 + 512 + 256 + 128)
    )
    assert sum(int(np.prod(v.shape)) for v in generator.trainable_variables) == generator_count
    discriminator_count = (
        25 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024)
        + 128
        + 2 * (256 + 512 + 1024)
        + 16 * 1024
        + 1
    )
    assert (
        sum(int(np.prod(v.shape)) for v in discriminator.trainable_variables) == discriminator_count
    )


def test_dcgan_guidelines_of_section_3():
    config = DCGANConfig(width=4)
    generator, discriminator = dcgan.generator(config), dcgan.discriminator(config)
    for network in (generator, discriminator):
        assert not shapes(network, keras.layers.MaxPooling2D)
        assert not shapes(network, keras.layers.UpSampling2D)
    activations = [x for x in discriminator.layers if isinstance(x, keras.layers.LeakyReLU)]
    assert len(activations) == 4
    assert all(layer.negative_slope == pytest.approx(0.2) for layer in activations)
    # Batch norm everywhere except at G's output and at D's input and logit.
    assert len(shapes(generator, keras.layers.BatchNormalization)) == 4
    assert len(shapes(discriminator, keras.layers.BatchNormalization)) == 3
    assert generator.layers[-1].activation is keras.activations.tanh
    assert discriminator.layers[-1].activation is keras.activations.linear


def test_dcgan_initial_weights_and_optimizer():
    keras.utils.set_random_seed(0)
    model = DCGAN(DCGANConfig(image_size=32, width=32))
    model.compile()
    kernels = [v for v in model.trainable_variables if v.path.endswith("kernel")]
    assert len(kernels) == 8
    for kernel in kernels:
        assert np.std(kernel.numpy()) == pytest.approx(0.02, rel=0.1)
    for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
        assert isinstance(optimizer, keras.optimizers.Adam)
        assert (float(optimizer.learning_rate), optimizer.beta_1, optimizer.beta_2) == (
            pytest.approx(2e-4),
            0.5,
            0.999,
        )


@pytest.mark.parametrize(
    "size, start, count",
    [(16, 4, 2), (28, 4, 3), (30, 4, 3), (48, 3, 4), (64, 4, 4), (100, 4, 5), (128, 4, 5)],
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_dcgan_sizes_and_channels(size, start, count, channels):
    config = DCGANConfig(image_size=size, channels=channels, width=2, latent_dim=4)
    generator, discriminator = dcgan.generator(config), dcgan.discriminator(config)
    assert shapes(generator, keras.layers.Reshape)[0][:2] == (start, start)
    assert len(shapes(generator, keras.layers.Conv2DTranspose)) == count
    image = generator(tf.zeros((2, 4)))
    assert image.shape == (2, size, size, channels)
    assert discriminator(image).shape == (2, 1)


@pytest.mark.parametrize("size", [7, 15, 129, 256])
def test_dcgan_rejects_other_sizes(size):
    with pytest.raises(UserError, match=rf"image_size must be between 16 and 128, got {size}"):
        DCGANConfig(image_size=size)


def test_gan_has_the_authors_networks_for_mnist():
    model = GAN(GANConfig())
    assert shapes(model.generator, keras.layers.Dense) == [(1200,), (1200,), (784,)]
    assert shapes(model.discriminator, keras.layers.Reshape) == [(240, 5), (240, 5)]
    counts = {
        name: sum(int(np.prod(v.shape)) for v in variables)
        for name, variables in model.player_variables().items()
    }
    generator = 100 * 1200 + 1200 + 1200 * 1200 + 1200 + 1200 * 784 + 784
    discriminator = 784 * 1200 + 1200 + 240 * 1200 + 1200 + 240 + 1
    assert counts == {"generator": generator, "discriminator": discriminator}


def test_maxout_is_the_maximum_of_its_pieces():
    keras.utils.set_random_seed(0)
    x = keras.Input((3,))
    model = keras.Model(x, gan.maxout(GANConfig(maxout_units=2, maxout_pieces=4), x))
    kernel, bias = model.get_weights()
    inputs = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    expected = (inputs @ kernel + bias).reshape(5, 2, 4).max(axis=-1)
    np.testing.assert_allclose(model(inputs), expected, atol=1e-6)


def train_from_start(name, *overrides, steps=1):
    """Train from fixed initial weights on fixed images. Return the model and its mean losses."""
    model = make(name, *overrides)
    return model, {key: value[0] for key, value in fit(model, steps=steps).items()}


def first_losses(name, *overrides):
    return train_from_start(name, *overrides)[1]


OBJECTIVES = [
    *("non_saturating", "minimax", "least_squares", "hinge", "wasserstein", "relativistic")
]


def test_objectives_have_different_losses():
    first = {name: first_losses("dcgan_tiny", f"model.objective={name}") for name in OBJECTIVES}
    # Weights, noise and images are equal, so the logits are equal. minimax has the same loss of D
    # as non_saturating, and wasserstein has the same loss of G as hinge.
    assert len({round(losses["real_logits"], 6) for losses in first.values()}) == 1
    assert len({round(losses["discriminator"], 5) for losses in first.values()}) == 5
    assert len({round(losses["generator"], 5) for losses in first.values()}) == 5
    fake = first["wasserstein"]["fake_logits"]
    assert first["wasserstein"]["generator"] == pytest.approx(-fake, abs=1e-6)
    assert first["minimax"]["generator"] < 0 < first["non_saturating"]["generator"]


def test_label_smoothing_changes_only_the_loss_of_the_discriminator():
    plain, smooth = (first_losses("dcgan_tiny", f"model.label_smoothing={x}") for x in (0, 0.25))
    # t log s(x) + (1 - t) log(1 - s(x)) and log s(x) differ by (1 - t) x.
    assert smooth["discriminator"] - plain["discriminator"] == pytest.approx(
        0.25 * plain["real_logits"], abs=1e-5
    )
    assert smooth["generator"] == pytest.approx(plain["generator"], abs=1e-6)


@pytest.mark.parametrize("kind", ["gradient", "r1", "r1_r2"])
def test_penalties_are_added_with_their_weight(kind):
    overrides = ["model.discriminator_norm=none", f"model.penalty={kind}"]
    light, heavy = (
        first_losses("dcgan_tiny", *overrides, f"model.penalty_weight={w}") for w in (0, 100)
    )
    assert light["penalty"] == pytest.approx(heavy["penalty"], abs=1e-6)
    assert light["penalty"] > 0
    assert heavy["discriminator"] == pytest.approx(
        light["discriminator"] + 100 * heavy["penalty"], rel=1e-4
    )


R3GAN = (
    "model.discriminator_norm=none",
    "model.objective=relativistic",
    "model.penalty=r1_r2",
)


@pytest.mark.parametrize("name", ["gan_tiny", "dcgan_tiny", "cgan_tiny"])
def test_the_relativistic_losses_compare_pairs_of_logits(name):
    """All models report a mean over pairs of a real image and a generated one."""
    model = make(name, *R3GAN)
    batch = model.unpack_batch(tf.nest.map_structure(tf.constant, arrays(model, 16)))
    real, *condition = batch
    z = model.noise((16, model.config.latent_dim), "z")
    fake = model.generator(network_inputs(z, *condition), training=True)
    logits = [
        model.discriminate(images, *condition, stream="real", training=False)
        for images in (real, fake)
    ]
    losses, difference = model.adversarial_losses(*logits), np.subtract(*logits)
    assert difference.std() > 1e-3 * abs(difference.mean())
    for player, sign in (("discriminator", -1), ("generator", 1)):
        expected = np.log1p(np.exp(sign * difference)).mean()
        assert float(losses[player]) == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(list(fit(model, steps=2).values())).all()


@pytest.mark.parametrize(
    "options", [{}, {"run_eagerly": True}, {"xla": "on"}, {"steps_per_execution": 2}]
)
def test_penalty_interval_is_the_number_of_steps_between_penalties(options):
    """With an interval of 3 the steps 0 and 3 have a penalty, however the step is compiled."""
    model = make("dcgan_tiny", *R3GAN, "model.penalty_interval=3", **options)
    steps = model.steps_per_execution
    penalties = fit(model, epochs=6 // steps, steps=steps)["penalty"]
    expected = np.reshape([True, False, False] * 2, (-1, steps)).any(axis=1)
    assert [penalty > 0 for penalty in penalties] == expected.tolist()


def test_penalty_interval_multiplies_the_penalty():
    lazy = make("dcgan_tiny", *R3GAN, "model.penalty_interval=3")
    always, without = make("dcgan_tiny", *R3GAN), make("dcgan_tiny", *R3GAN[:2])
    batch = tf.constant(images(lazy, 16))

    def gradient(model, step):
        """Return the gradient of D's loss in a training step."""
        model.step.assign(step)
        variables = model.player_variables()["discriminator"]
        with tf.GradientTape() as tape:
            loss = model.compute_losses((batch,))["discriminator"]
        return np.concatenate([np.ravel(g) for g in tape.gradient(loss, variables)])

    for step, factor in ((0, 3), (1, 0), (2, 0), (3, 3)):
        plain = gradient(without, step)
        expected = plain + factor * (gradient(always, step) - plain)
        tolerance = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(gradient(lazy, step), expected, rtol=0, atol=tolerance)
    # An evaluation has the penalty of every batch, whatever the training step.
    lazy.step.assign(1)
    penalties = [float(model.test_step(batch)["penalty"]) for model in (lazy, always)]
    assert penalties[0] == pytest.approx(penalties[1], rel=1e-5)


def test_gradient_penalty_brings_the_gradient_norm_to_one():
    overrides = [
        "model.discriminator_norm=none",
        "model.objective=wasserstein",
        "model.learning_rate=0.002",
        "model.penalty=gradient",
    ]
    without, penalized = (
        train_from_start("dcgan_tiny", *overrides, f"model.penalty_weight={weight}", steps=40)[0]
        for weight in (0, 10)
    )
    # Measured: 0.83. Weights perturbed by one part in 1e-6 move it by 4e-3.
    assert mean_gradient_norm(penalized) == pytest.approx(1, abs=0.4)
    assert mean_gradient_norm(without) > 2 * mean_gradient_norm(penalized)


def mean_gradient_norm(model):
    x = tf.constant(images(model, 16))
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = model.discriminator(x)
    return float(tf.reduce_mean(tf.norm(tf.reshape(tape.gradient(logits, x), (16, -1)), axis=1)))


def test_discriminator_steps_move_the_discriminator_more_often():
    model = make("dcgan_tiny", "model.discriminator_steps=4")
    assert model.batches_per_step == 4
    fit(model, steps=2, batch_size=64)
    assert int(model.generator_optimizer.iterations.numpy()) == 2
    assert int(model.discriminator_optimizer.iterations.numpy()) == 8


def test_discriminator_steps_need_divisible_batches():
    model = make("dcgan_tiny", "model.discriminator_steps=3")
    message = "the batch size must be fixed and a multiple of discriminator_steps=3, got 16"
    with pytest.raises(UserError, match=message):
        fit(model)


def test_a_subclass_overrides_compute_losses_alone():
    """Relativistic losses, with two steps of D. Each sub-step has noise of its own."""
    codes = []

    class RelativisticGAN(GAN):
        def compute_losses(self, batch):
            (real,) = batch
            z = self.noise((batch_size_of(real), self.config.latent_dim), stream="z")
            codes.append(z.numpy())
            fake = self.generator(z, training=True)
            difference = self.discriminate(real, stream="real") - self.discriminate(
                fake, stream="fake"
            )
            return {
                "discriminator": tf.reduce_mean(tf.nn.softplus(-difference)),
                "generator": tf.reduce_mean(tf.nn.softplus(difference)),
            }

    config = presets.experiment("gan_tiny", "model.discriminator_steps=2").model
    model = RelativisticGAN(config)
    model.compile(xla="off", run_eagerly=True)
    before = model.generator.get_weights()
    history = fit(model, steps=1)
    assert history.keys() == {"discriminator", "generator"}
    assert int(model.generator_optimizer.iterations.numpy()) == 1
    assert int(model.discriminator_optimizer.iterations.numpy()) == 2
    assert not np.array_equal(before[0], model.generator.get_weights()[0])
    model.step.assign(0)
    assert [code.shape for code in codes] == [(8, 8), (8, 8)]
    for substep, code in enumerate(codes):
        np.testing.assert_array_equal(code, model.noise((8, 8), f"z {substep}"))


@pytest.mark.parametrize("name", ["dcgan_tiny", "gan_tiny"])
def test_spectral_norm_bounds_the_discriminator(name):
    options = ["model.objective=wasserstein", "model.learning_rate=0.01"]
    normed, free = (
        make(name, f"model.discriminator_norm={norm}", *options) for norm in ("spectral", "none")
    )
    assert np.isfinite(list(fit(normed, steps=30).values())).all()
    fit(free, steps=30)
    x = images(normed, 64)
    normed_range, free_range = (np.ptp(model.discriminator(x).numpy()) for model in (normed, free))
    pixels = x.reshape(64, -1)
    distance = np.linalg.norm(pixels[:, None] - pixels[None], axis=-1).max()
    # The Lipschitz constant is about 1, up to 2 for strided kernels as matrices.
    assert normed_range < 2.5 * distance
    assert normed_range < free_range


def test_the_discriminator_sees_augmented_images():
    plain, augmented = (
        make("dcgan_tiny", f"model.diff_augment={policy}")
        for policy in ("", "color,translation,cutout")
    )
    real = tf.constant(images(plain, 16))
    logits = augmented.discriminate(real, stream="real")
    assert not np.allclose(logits, plain.discriminate(real, stream="real"), atol=1e-6)
    np.testing.assert_array_equal(logits, augmented.discriminate(real, stream="real"))
    assert not np.allclose(logits, augmented.discriminate(real, stream="fake"), atol=1e-6)
    assert np.isfinite(list(fit(augmented).values())).all()


def test_samples_come_from_the_ema_of_the_generator():
    model = make("dcgan_tiny", "model.ema_decay=0.9")
    start = [w.numpy() for w in model.generator.weights]
    fit(model, steps=1)
    np.testing.assert_array_equal(start[0], make("dcgan_tiny").generator.get_weights()[0])
    changed_statistics = 0
    for before, now, average in zip(
        start, model.generator.weights, model.generator_average.weights, strict=True
    ):
        np.testing.assert_allclose(
            average.numpy(), 0.1 * before + 0.9 * now.numpy(), atol=1e-6, err_msg=now.path
        )
        changed_statistics += "moving" in now.path and not np.allclose(before, now.numpy())
    assert changed_statistics == 4  # means and variances of two batch norm layers
    z = model.latent(2, 0)
    np.testing.assert_array_equal(model(z), model.generator_average(z, training=False))
    assert not np.allclose(model(z), model.generator(z, training=False), atol=1e-7)


def test_update_ema_by_hand():
    a, b = (
        keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        for _ in range(2)
    )
    a.set_weights([np.array([[1.0]])])
    b.set_weights([np.array([[5.0]])])
    update_ema(a, b, 0.75, updates=0)  # d = 1 / 10
    np.testing.assert_allclose(a.get_weights()[0], [[0.1 * 1 + 0.9 * 5]], rtol=1e-6)
    update_ema(a, b, 0.75, updates=8)  # d = 9 / 18
    np.testing.assert_allclose(a.get_weights()[0], [[0.5 * 4.6 + 0.5 * 5]], rtol=1e-6)
    update_ema(a, b, 0.75, updates=tf.constant(100))  # d = 0.75
    np.testing.assert_allclose(a.get_weights()[0], [[0.75 * 4.8 + 0.25 * 5]], rtol=1e-6)


def test_gan_has_dropout_in_training_only():
    model = make("gan_tiny")
    x = tf.constant(images(model, 8))
    np.testing.assert_array_equal(model.discriminator(x), model.discriminator(x))
    assert not np.allclose(
        model.discriminator(x, training=True), model.discriminator(x, training=True)
    )


def test_diagnose_a_discriminator_that_has_won_and_mode_collapse():
    model = make("dcgan_tiny")
    assert model.diagnose({"real_logits": 1.0, "fake_logits": -2.0}) == {}
    won = {"real_logits": 9.0, "fake_logits": -8.0}
    failures = model.diagnose(won)
    assert failures.keys() == {"saturation"}
    assert "mean logits of 9.0 for real and -8.0 for generated" in failures["saturation"]
    assert make("dcgan_tiny", "model.objective=wasserstein").diagnose(won) == {}
    # Only the difference of the logits has a meaning, and label smoothing is not available.
    relativistic = make("dcgan_tiny", *R3GAN)
    assert relativistic.diagnose({"real_logits": 30.0, "fake_logits": 25.0}) == {}
    failures = relativistic.diagnose({"real_logits": 30.0, "fake_logits": 15.0})
    assert "a larger model.penalty_weight" in failures["saturation"]
    assert "label_smoothing" not in failures["saturation"]
    model.step.assign(500)  # the samples are as gray as at the first step
    assert model.diagnose({"real_logits": 1.0, "fake_logits": -2.0}).keys() == {"collapse"}


@pytest.mark.parametrize("name", ["dcgan_tiny", "cgan_tiny"])
def test_overfitting_compares_training_and_held_out_images(name):
    model = make(name)
    training, held_out = arrays(model, 8), images(model, 8, seed=1)
    if model.needs_labels:
        held_out = (held_out, training[1])
    training, held_out = (tf.nest.map_structure(tf.constant, x) for x in (training, held_out))

    # The means by hand.
    before = model.weights_sha256()
    statistics = model.overfitting(training, held_out)
    assert model.weights_sha256() == before
    real, *condition = model.unpack_batch(training)
    fake = model.generator(network_inputs(model.latent(8, 0), *condition))
    train, test, generated = (
        float(tf.reduce_mean(model.discriminator(network_inputs(x, *condition))))
        for x in (real, model.unpack_batch(held_out)[0], fake)
    )
    expected = {"train_logits": train, "held_out_logits": test}
    if train > generated:
        expected["overfitting"] = (train - test) / (train - generated)
    assert statistics == pytest.approx(expected, rel=1e-4, abs=1e-6)

    # Mean logits of training, held-out and generated images, and (t - h) / (t - g).
    for logits, r in (((5, 5, -3), 0), ((5, 1, -3), 0.5), ((5, -3, -3), 1), ((5, 9, 5), None)):
        values = dict(zip((1.0, 2.0, 3.0), map(float, logits), strict=True))
        model.discriminate = lambda x, *y, v=values, **kw: v[float(x[0, 0, 0, 0])] + 0 * x[:, 0, 0]
        model.generator = lambda inputs, training: tf.fill(real.shape, 3.0)
        model.unpack_batch = lambda data: (tf.fill(real.shape, data), *condition)
        statistics = model.overfitting(1.0, 2.0)
        assert (statistics["train_logits"], statistics["held_out_logits"]) == logits[:2]
        assert statistics.get("overfitting") == r


@pytest.mark.parametrize(
    "change, message",
    [
        ({"objective": "hinges"}, r"Did you mean hinge\?"),
        ({"penalty": "gradient"}, "set model.discriminator_norm=none or spectral"),
        (
            {"objective": "hinge", "label_smoothing": 0.1},
            "label_smoothing must be 0 with objective=hinge",
        ),
        (
            {"objective": "relativistic", "label_smoothing": 0.1},
            "label_smoothing must be 0 with objective=relativistic",
        ),
        ({"penalty": "r1_r2"}, "set model.discriminator_norm=none or spectral"),
        ({"penalty_interval": 4}, "penalty_interval=4 needs a penalty"),
        ({"penalty_interval": 0}, "penalty_interval must be between 1 and"),
        ({"ema_decay": 1.0}, r"ema_decay must be in \[0, 1\), got 1.0"),
        ({"width": 0}, "width must be between 1 and"),
        ({"discriminator_steps": 0}, "discriminator_steps must be between 1 and"),
    ],
)
def test_invalid_configurations_raise_an_error(change, message):
    with pytest.raises(UserError, match=message):
        DCGANConfig(**change)


def test_training_brings_samples_close_to_the_data():
    """The data are copies of one image, so the samples must become similar to it."""
    model = make("dcgan_tiny", "model.learning_rate=0.002")
    real = np.repeat(images(model, 1), 16, axis=0)
    model.fit(
        tf.data.Dataset.from_tensors(real).repeat(), steps_per_epoch=150, verbose=0, shuffle=False
    )
    samples = model.sample(16).astype("float32") / 127.5 - 1
    assert np.abs(samples - real).mean() < 0.5 * np.abs(real - real.mean()).mean()


def test_learning_rates_decay_to_zero_together():
    model = make("dcgan_tiny", "model.decay_steps=4", "model.discriminator_steps=2")
    for expected in (1e-4, 0.0):
        fit(model, steps=2)
        for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
            assert float(optimizer.learning_rate) == pytest.approx(expected, abs=1e-9)


def test_dependent_overrides_work_in_any_order():
    penalty, norm = "model.penalty=gradient", "model.discriminator_norm=none"
    assert presets.experiment("dcgan_tiny", penalty, norm) == presets.experiment(
        "dcgan_tiny", norm, penalty
    )
    with pytest.raises(UserError, match="set model.discriminator_norm=none"):
        presets.experiment("dcgan_tiny", penalty)


def test_the_discriminator_can_have_its_own_learning_rate():
    model = make(
        "dcgan_tiny",
        "model.learning_rate=0.01",
        "model.discriminator_learning_rate=0.004",
        "model.decay_steps=10",
    )
    assert float(model.generator_optimizer.learning_rate) == pytest.approx(0.01)
    assert float(model.discriminator_optimizer.learning_rate) == pytest.approx(0.004)
    equal = make("dcgan_tiny", "model.learning_rate=0.01")
    assert float(equal.discriminator_optimizer.learning_rate) == pytest.approx(0.01)


def test_short_codes_are_scaled_at_inference_only():
    z = tf.constant([[0.3, 0.0, -0.4, 0.0], [3.0, 0.0, -4.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    scaled, plain = (
        make("dcgan_tiny", "model.latent_dim=4", f"model.min_latent_length={length}")
        for length in (2, 0)
    )
    # The first code has length 0.5.
    np.testing.assert_allclose(scaled(z)[0], plain(z * 4.0)[0], rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(scaled(z)[1:], plain(z)[1:], rtol=1e-4, atol=1e-9)
    assert np.abs(scaled(z)[0] - plain(z)[0]).max() > 0.5 * np.abs(plain(z)[0]).max()
    np.testing.assert_array_equal(scaled(z, training=True), plain(z, training=True))
    assert scaled.weights_sha256() == plain.weights_sha256()  # the layer has no weights
