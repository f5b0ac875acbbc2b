"""GAN and DCGAN against their papers, and every option shown to change what it should."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import fit, images, make

from tfgan_zoo import presets
from tfgan_zoo.config import UserError
from tfgan_zoo.models import DCGAN, GAN, DCGANConfig, GANConfig, dcgan, gan
from tfgan_zoo.models.base import follow


def shapes(network, kind):
    return [layer.output.shape[1:] for layer in network.layers if isinstance(layer, kind)]


def test_dcgan_is_figure_1_of_the_paper():
    config = DCGANConfig()
    generator = dcgan.generator(config)
    assert shapes(generator, keras.layers.Reshape) == [(4, 4, 1024)]
    assert shapes(generator, keras.layers.Conv2DTranspose) == [(8, 8, 512), (16, 16, 256), (32, 32, 128), (64, 64, 3)]
    discriminator = dcgan.discriminator(config)
    assert shapes(discriminator, keras.layers.Conv2D) == [(32, 32, 128), (16, 16, 256), (8, 8, 512), (4, 4, 1024)]
    # by hand: dense 100*16384, convolutions 25*in*out, the last one with 3 biases, batch norm 2 per channel
    generator_count = 100 * 16384 + 25 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3) + 3 + 2 * (1024 + 512 + 256 + 128)
    assert sum(int(np.prod(v.shape)) for v in generator.trainable_variables) == generator_count
    discriminator_count = 25 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024) + 128 + 2 * (256 + 512 + 1024) + 16 * 1024 + 1
    assert sum(int(np.prod(v.shape)) for v in discriminator.trainable_variables) == discriminator_count


def test_dcgan_guidelines_of_section_3():
    generator, discriminator = dcgan.generator(DCGANConfig(width=4)), dcgan.discriminator(DCGANConfig(width=4))
    assert not [
        x for n in (generator, discriminator) for x in n.layers if isinstance(x, (keras.layers.MaxPooling2D, keras.layers.UpSampling2D))
    ]
    assert all(x.negative_slope == pytest.approx(0.2) for x in discriminator.layers if isinstance(x, keras.layers.LeakyReLU))
    assert len(shapes(generator, keras.layers.BatchNormalization)) == 4  # all but the output
    assert len(shapes(discriminator, keras.layers.BatchNormalization)) == 3  # all but the input (and the single logit)
    assert generator.layers[-1].activation is keras.activations.tanh
    assert discriminator.layers[-1].activation is keras.activations.linear


def test_dcgan_initial_weights_and_optimizer_are_the_papers():
    keras.utils.set_random_seed(0)
    model = DCGAN(DCGANConfig(image_size=32, width=32))
    model.compile()
    kernels = [v for v in model.trainable_variables if v.path.endswith("kernel")]
    assert len(kernels) == 8
    for kernel in kernels:
        assert np.std(kernel.numpy()) == pytest.approx(0.02, rel=0.1)
    for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
        assert isinstance(optimizer, keras.optimizers.Adam)
        assert (float(optimizer.learning_rate), optimizer.beta_1, optimizer.beta_2) == (pytest.approx(2e-4), 0.5, 0.999)


@pytest.mark.parametrize("size, start, count", [(16, 4, 2), (28, 4, 3), (30, 4, 3), (48, 3, 4), (64, 4, 4), (100, 4, 5), (128, 4, 5)])
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
def test_dcgan_refuses_other_sizes(size):
    with pytest.raises(UserError, match=rf"from 16 to 128, received image_size={size}"):
        DCGANConfig(image_size=size)


def test_gan_networks_are_the_authors_for_mnist():
    model = GAN(GANConfig())
    assert shapes(model.generator, keras.layers.Dense) == [(1200,), (1200,), (784,)]
    assert shapes(model.discriminator, keras.layers.Reshape) == [(240, 5), (240, 5)]
    counts = {name: sum(int(np.prod(v.shape)) for v in variables) for name, variables in model.player_variables().items()}
    generator = 100 * 1200 + 1200 + 1200 * 1200 + 1200 + 1200 * 784 + 784
    discriminator = 784 * 1200 + 1200 + 240 * 1200 + 1200 + 240 + 1
    assert counts == {"generator": generator, "discriminator": discriminator}


def test_maxout_is_the_largest_of_its_pieces():
    keras.utils.set_random_seed(0)
    x = keras.Input((3,))
    model = keras.Model(x, gan.maxout(GANConfig(maxout_units=2, maxout_pieces=4), x))
    kernel, bias = model.get_weights()
    inputs = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    expected = (inputs @ kernel + bias).reshape(5, 2, 4).max(axis=-1)
    np.testing.assert_allclose(model(inputs), expected, atol=1e-6)


def losses_of(name, *overrides, steps=1):
    """The mean losses of the first steps from the same weights, over the same images."""
    model = make(name, *overrides)
    return model, {key: value[0] for key, value in fit(model, steps=steps).items()}


OBJECTIVES = ["non_saturating", "minimax", "least_squares", "hinge", "wasserstein"]


def test_every_objective_is_another_game():
    first = {name: losses_of("dcgan_tiny", f"model.objective={name}")[1] for name in OBJECTIVES}
    # equal weights, noise and images: equal logits, other losses (minimax shares D's, Wasserstein shares the hinge's G)
    assert len({round(losses["real_logits"], 6) for losses in first.values()}) == 1
    assert len({round(losses["discriminator"], 5) for losses in first.values()}) == 4
    assert len({round(losses["generator"], 5) for losses in first.values()}) == 4
    fake = first["wasserstein"]["fake_logits"]
    assert first["wasserstein"]["generator"] == pytest.approx(-fake, abs=1e-6)
    assert first["minimax"]["generator"] < 0 < first["non_saturating"]["generator"]


def test_label_smoothing_changes_the_discriminators_loss_only():
    plain, smooth = (losses_of("dcgan_tiny", f"model.label_smoothing={x}")[1] for x in (0, 0.25))
    # t log s(x) + (1 - t) log(1 - s(x)) differs by (1 - t) x from log s(x)
    assert smooth["discriminator"] - plain["discriminator"] == pytest.approx(0.25 * plain["real_logits"], abs=1e-5)
    assert smooth["generator"] == pytest.approx(plain["generator"], abs=1e-6)


@pytest.mark.parametrize("kind", ["gradient", "r1"])
def test_penalties_are_added_with_their_weight(kind):
    overrides = ["model.discriminator_norm=none", f"model.penalty={kind}"]
    light, heavy = (losses_of("dcgan_tiny", *overrides, f"model.penalty_weight={w}")[1] for w in (0, 100))
    assert light["penalty"] == pytest.approx(heavy["penalty"], abs=1e-6)
    assert light["penalty"] > 0
    assert heavy["discriminator"] == pytest.approx(light["discriminator"] + 100 * heavy["penalty"], rel=1e-4)


def test_gradient_penalty_pulls_the_slope_to_one():
    overrides = ["model.discriminator_norm=none", "model.objective=wasserstein", "model.learning_rate=0.002", "model.penalty=gradient"]
    free = losses_of("dcgan_tiny", *overrides, "model.penalty_weight=0", steps=40)[0]
    held = losses_of("dcgan_tiny", *overrides, "model.penalty_weight=10", steps=40)[0]
    # Measured: 0.83. Weights perturbed by one part in 1e-6 move it by 4e-3.
    assert slope(held) == pytest.approx(1, abs=0.4)
    assert slope(free) > 2 * slope(held)


def slope(model):
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
    with pytest.raises(UserError, match="discriminator_steps=3 needs batches of a fixed size that it divides, received a batch of 16"):
        fit(model)


@pytest.mark.parametrize("name", ["dcgan_tiny", "gan_tiny"])
def test_spectral_norm_bounds_the_discriminator(name):
    options = ["model.objective=wasserstein", "model.learning_rate=0.01"]
    normed, free = (make(name, f"model.discriminator_norm={norm}", *options) for norm in ("spectral", "none"))
    assert np.isfinite(list(fit(normed, steps=30).values())).all()
    fit(free, steps=30)
    gap = {id(m): np.ptp(m.discriminator(images(m, 64)).numpy()) for m in (normed, free)}
    distance = np.linalg.norm(images(normed, 64).reshape(64, -1)[:, None] - images(normed, 64).reshape(64, -1)[None], axis=-1).max()
    assert gap[id(normed)] < 2.5 * distance  # Lipschitz with a constant of about 1 (2 for strided kernels as matrices)
    assert gap[id(normed)] < gap[id(free)]


def test_diff_augment_is_what_the_discriminator_sees():
    plain, augmented = (make("dcgan_tiny", f"model.diff_augment={policy}") for policy in ("", "color,translation,cutout"))
    real = tf.constant(images(plain, 16))
    seen = augmented.judge(real, [], "augment real 0")
    assert not np.allclose(seen, plain.judge(real, [], "augment real 0"), atol=1e-6)
    np.testing.assert_array_equal(seen, augmented.judge(real, [], "augment real 0"))
    assert not np.allclose(seen, augmented.judge(real, [], "augment fake 0"), atol=1e-6)
    assert np.isfinite(list(fit(augmented).values())).all()


def test_ema_follows_the_generator_and_makes_the_samples():
    model = make("dcgan_tiny", "model.ema_decay=0.9")
    start = [w.numpy() for w in model.generator.weights]
    fit(model, steps=1)
    moved = 0
    for before, now, average in zip(start, model.generator.weights, model.generator_average.weights, strict=True):
        np.testing.assert_allclose(average.numpy(), 0.9 * before + 0.1 * now.numpy(), atol=1e-6, err_msg=now.path)
        moved += "moving" in now.path and not np.allclose(before, now.numpy())
    assert moved == 4  # means and variances of two batch norms are averaged too
    z = model.latent(2, 0)
    np.testing.assert_array_equal(model(z), model.generator_average(z, training=False))
    assert not np.allclose(model(z), model.generator(z, training=False), atol=1e-7)


def test_follow_by_hand():
    a, b = (keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)]) for _ in range(2))
    a.set_weights([np.array([[1.0]])])
    b.set_weights([np.array([[5.0]])])
    follow(a, b, 0.75)
    np.testing.assert_allclose(a.get_weights()[0], [[2.0]])


def test_gan_drops_out_in_training_only():
    model = make("gan_tiny")
    x = tf.constant(images(model, 8))
    np.testing.assert_array_equal(model.discriminator(x), model.discriminator(x))
    assert not np.allclose(model.discriminator(x, training=True), model.discriminator(x, training=True))


def test_diagnosis_of_a_discriminator_that_has_won():
    model = make("dcgan_tiny")
    assert model.diagnose({"real_logits": 1.0, "fake_logits": -2.0}) == {}
    won = model.diagnose({"real_logits": 9.0, "fake_logits": -8.0})
    assert won.keys() == {"saturation"} and "mean logits of 9.0 for real and -8.0 for generated" in won["saturation"]
    assert make("dcgan_tiny", "model.objective=wasserstein").diagnose({"real_logits": 9.0, "fake_logits": -8.0}) == {}
    model.step.assign(500)  # its samples are still the grey of the first step
    assert model.diagnose({"real_logits": 1.0, "fake_logits": -2.0}).keys() == {"collapse"}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"objective": "hinges"}, r"did you mean hinge\?"),
        ({"penalty": "gradient"}, "set model.discriminator_norm=none or spectral"),
        ({"objective": "hinge", "label_smoothing": 0.1}, "hinge has no targets to smooth"),
        ({"ema_decay": 1.0}, r"ema_decay must be in \[0, 1\), received ema_decay=1.0"),
        ({"width": 0}, "width must be at least 1, received width=0"),
        ({"discriminator_steps": 0}, "discriminator_steps must be at least 1"),
    ],
)
def test_bad_configurations_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        DCGANConfig(**change)


def test_model_learns_what_a_picture_is():
    """After some epochs the samples are closer to the data's mean image than noise is: a step that does nothing would fail here."""
    model = make("dcgan_tiny", "model.learning_rate=0.002")
    real = np.repeat(images(model, 1), 16, axis=0)
    model.fit(tf.data.Dataset.from_tensors(real).repeat(), steps_per_epoch=150, verbose=0, shuffle=False)
    samples = model.sample(16).astype("float32") / 127.5 - 1
    assert np.abs(samples - real).mean() < 0.5 * np.abs(real - real.mean()).mean()


def test_learning_rates_decay_to_zero_together():
    model = make("dcgan_tiny", "model.decay_steps=4", "model.discriminator_steps=2")
    for expected in (1e-4, 0.0):
        fit(model, steps=2)
        for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
            assert float(optimizer.learning_rate) == pytest.approx(expected, abs=1e-9)


def test_settings_that_need_each_other_come_in_any_order():
    needy, needed = "model.penalty=gradient", "model.discriminator_norm=none"
    assert presets.experiment("dcgan_tiny", needy, needed) == presets.experiment("dcgan_tiny", needed, needy)
    with pytest.raises(UserError, match="set model.discriminator_norm=none"):
        presets.experiment("dcgan_tiny", needy)


def test_the_discriminator_may_have_a_rate_of_its_own():
    model = make("dcgan_tiny", "model.learning_rate=0.01", "model.discriminator_learning_rate=0.004", "model.decay_steps=10")
    assert float(model.generator_optimizer.learning_rate) == pytest.approx(0.01)
    assert float(model.discriminator_optimizer.learning_rate) == pytest.approx(0.004)
    assert float(make("dcgan_tiny", "model.learning_rate=0.01").discriminator_optimizer.learning_rate) == pytest.approx(0.01)


def test_short_codes_are_lengthened_at_test_time_alone():
    z = tf.constant([[0.3, 0.0, -0.4, 0.0], [3.0, 0.0, -4.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    longer, plain = (make("dcgan_tiny", "model.latent_dim=4", f"model.min_latent_length={length}") for length in (2, 0))
    np.testing.assert_allclose(longer(z)[0], plain(z * 4.0)[0], rtol=1e-4, atol=1e-9)  # of length 0.5
    np.testing.assert_allclose(longer(z)[1:], plain(z)[1:], rtol=1e-4, atol=1e-9)
    assert np.abs(longer(z)[0] - plain(z)[0]).max() > 0.5 * np.abs(plain(z)[0]).max()
    np.testing.assert_array_equal(longer(z, training=True), plain(z, training=True))
    assert longer.digest() == plain.digest()  # it has no weights
