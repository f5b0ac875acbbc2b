"""Objectives and penalties against numbers computed by hand or taken from TF-GAN's tests."""

import numpy as np
import pytest
import tensorflow as tf

from tfgan_zoo import losses
from tfgan_zoo.errors import UserError

REAL, FAKE = tf.constant([-5.0, 1.4, 12.5, 2.7]), tf.constant([10.0, 4.4, -5.5, 3.6])
GOLDEN = {  # name: (discriminator, generator)
    "non_saturating": (5.833866, 1.385821),
    "minimax": (5.833866, -4.510821),
    "least_squares": (41.73375, 17.69625),
    "hinge": (6.75, -3.125),
    "wasserstein": (0.225, -3.125),
    # The differences real - fake are -15, -3, 18 and -0.9, and softplus(0.9) = 1.241154:
    # D: (15 + 3.048587 + 0 + 1.241154) / 4, G: (0 + 0.048587 + 18 + 0.341154) / 4.
    "relativistic": (4.822435, 4.597435),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("name", GOLDEN)
def test_golden_values(name, dtype):
    objective, tolerance = losses.OBJECTIVES[name], 1e-3 if dtype == "float16" else 1e-5
    d = objective.discriminator(tf.cast(REAL, dtype), tf.cast(FAKE, dtype))
    g = objective.generator(tf.cast(REAL, dtype), tf.cast(FAKE, dtype))
    assert d.dtype == g.dtype == tf.float32 and d.shape == g.shape == ()
    np.testing.assert_allclose([d, g], GOLDEN[name], rtol=tolerance, atol=tolerance)


def test_every_objective_has_a_golden_value():
    assert set(losses.OBJECTIVES) == set(GOLDEN)


def test_label_smoothing_is_one_sided():
    for name in ("non_saturating", "minimax"):
        np.testing.assert_allclose(
            losses.OBJECTIVES[name].discriminator(REAL, FAKE, 0.125), 6.19637, rtol=1e-5
        )
    # mean((real - 0.9)^2) / 2 = (5.9^2 + .5^2 + 11.6^2 + 1.8^2) / 8
    # mean(fake^2) / 2 = (100 + 19.36 + 30.25 + 12.96) / 8
    np.testing.assert_allclose(
        losses.least_squares_discriminator(REAL, FAKE, 0.1), 172.86 / 8 + 162.57 / 8, rtol=1e-5
    )


@pytest.mark.parametrize("name", GOLDEN)
def test_invalid_smoothing_raises_an_error(name):
    discriminator = losses.OBJECTIVES[name].discriminator
    for value in (-0.1, 1.0) + ((0.1,) if name in losses.WITHOUT_TARGETS else ()):
        with pytest.raises(UserError, match=f"label_smoothing must be .* got {value}"):
            discriminator(REAL, FAKE, label_smoothing=value)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_minimax_saturates_and_non_saturating_does_not(dtype):
    logits = tf.constant([-20.0, -20.0], dtype)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        minimax = losses.minimax_generator(logits, logits)
        non_saturating = losses.non_saturating_generator(logits, logits)
    np.testing.assert_allclose(tape.gradient(minimax, logits) * 2, [-np.exp(-20.0)] * 2, atol=1e-8)
    np.testing.assert_allclose(tape.gradient(non_saturating, logits) * 2, [-1.0, -1.0], atol=1e-3)


def test_extreme_logits_stay_finite():
    huge = tf.constant([-1e4, 1e4])
    for objective in losses.OBJECTIVES.values():
        assert np.isfinite(objective.discriminator(huge, -huge))
        assert np.isfinite(objective.generator(-huge, huge))


def quadratic(weights):
    """D(x) = sum_j w_j x_j^2, so grad D = 2 w x."""
    return lambda x: tf.reduce_sum(weights * tf.square(x), axis=range(1, x.shape.rank))


def test_gradient_penalty_by_hand():
    real, fake = (tf.random.stateless_normal((3, 4), (0, seed)) for seed in (1, 2))
    alpha = tf.constant([[0.0], [0.3], [1.0]])
    # (|(2, 2, 2, 2)| - 1)^2
    linear = losses.gradient_penalty(lambda x: 2 * x, real, fake, alpha)
    np.testing.assert_allclose(linear, 9.0, rtol=1e-5)
    at_target = losses.gradient_penalty(lambda x: 2 * x, real, fake, alpha, target=4.0)
    np.testing.assert_allclose(at_target, 0.0, atol=1e-9)
    # alpha is the weight of the real image: D = x^2 has the gradient 2 |.25 * 8 + .75 * 4| = 10.
    single = losses.gradient_penalty(
        tf.square, tf.constant([[8.0]]), tf.constant([[4.0]]), tf.constant([[0.25]])
    )
    np.testing.assert_allclose(single, 81.0, rtol=1e-5)
    # Each image has its own norm: |(6, 8)| = 10 and 0, so ((10 - 1)^2 + (0 - 1)^2) / 2.
    pair = tf.reshape(tf.constant([3.0, 4.0, 0.0, 0.0]), (2, 2, 1, 1))
    mean = losses.gradient_penalty(quadratic(1.0), pair, pair, tf.ones((2, 1, 1, 1)))
    np.testing.assert_allclose(mean, 41.0, rtol=1e-5)


def test_r1_by_hand():
    for shape in [(2, 2), (2, 1, 2, 1), (2, 1, 1, 2, 1)]:
        real = tf.reshape(tf.constant([3.0, 4.0, 1.0, 0.0]), shape)
        np.testing.assert_allclose(
            losses.r1_penalty(quadratic(1.0), real), 0.5 * (100.0 + 4.0) / 2, rtol=1e-6
        )


def test_r1_r2_by_hand():
    # Squared norms of the gradient 2 x: 100 and 4 for the real images, 16 and 36 for the others.
    real, fake = tf.constant([[3.0, 4.0], [1.0, 0.0]]), tf.Variable([[0.0, 2.0], [3.0, 0.0]])
    with tf.GradientTape() as tape:
        penalty = losses.r1_r2_penalty(quadratic(1.0), real, fake)
    np.testing.assert_allclose(penalty, 0.5 * (104.0 + 52.0) / 2, rtol=1e-6)
    assert tape.gradient(penalty, fake) is None  # the generator does not minimize it


def test_r3gan_losses_agree_with_finite_differences():
    """D(x) = sum_j tanh(x . w_j), a network with curvature, in NumPy with double precision."""
    rng = np.random.default_rng(0)
    w, real, fake = (rng.normal(size=size) for size in ((3, 5), (4, 3), (4, 3)))

    def critic(x):
        return np.tanh(x @ w).sum(axis=1)

    def squared_norms(x, step=1e-5):
        shifts = step * np.eye(3)
        columns = [(critic(x + shift) - critic(x - shift)) / (2 * step) for shift in shifts]
        return np.square(columns).sum(axis=0)

    difference = critic(real) - critic(fake)
    expected = (
        np.mean(np.log1p(np.exp(-difference))),
        np.mean(np.log1p(np.exp(difference))),
        0.5 * np.mean(squared_norms(real)) + 0.5 * np.mean(squared_norms(fake)),
    )
    real, fake, w32 = (tf.constant(array, tf.float32) for array in (real, fake, w))

    def network(x):
        return tf.reduce_sum(tf.tanh(x @ w32), axis=1)

    objective, logits = losses.OBJECTIVES["relativistic"], (network(real), network(fake))
    values = (
        objective.discriminator(*logits),
        objective.generator(*logits),
        losses.r1_r2_penalty(network, real, fake),
    )
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_penalties_have_the_right_second_gradient():
    # D(x) = w . x^2 at x = (3, 4), w = (1, 2), so grad = (6, 16).
    # R1 = (36 w0^2 + 64 w1^2) / 2 and dR1/dw = (36 w0, 64 w1).
    x, w = tf.constant([[3.0, 4.0]]), tf.Variable([1.0, 2.0])

    def second_gradient(penalty):
        def step():
            with tf.GradientTape() as tape:
                value = penalty(quadratic(w))
            return tape.gradient(value, w)

        return step(), tf.function(step)(), tf.function(step, jit_compile=True)()

    norm = np.hypot(6.0, 16.0)
    wgan = 2 * (norm - 1) * np.array([36.0, 128.0]) / norm
    for gradient in second_gradient(lambda critic: losses.r1_penalty(critic, x)):
        np.testing.assert_allclose(gradient, [36.0, 128.0], rtol=1e-5)
    for gradient in second_gradient(lambda critic: losses.r1_r2_penalty(critic, x, 2 * x)):
        np.testing.assert_allclose(gradient, [5 * 36.0, 5 * 128.0], rtol=1e-5)
    for gradient in second_gradient(
        lambda critic: losses.gradient_penalty(critic, x, -x, tf.ones((1, 1)))
    ):
        np.testing.assert_allclose(gradient, wgan, rtol=1e-5)
    for gradient in second_gradient(
        lambda critic: losses.gradient_penalty(critic, 0 * x, 0 * x, tf.ones((1, 1)))
    ):
        assert np.isfinite(gradient).all()  # the square root at 0
