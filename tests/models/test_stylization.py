"""Losses of style transfer, compared with NumPy."""

import numpy as np
import tensorflow as tf

from tfgan_zoo import losses


def test_gram_is_the_mean_of_outer_products():
    f = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype("float32")
    expected = np.mean(
        [f[:, i, j, :, None] * f[:, i, j, None, :] for i in range(3) for j in range(5)], axis=0
    )
    np.testing.assert_allclose(losses.gram_matrix(f), expected, rtol=1e-5, atol=1e-6)
    tiled = np.tile(f, (1, 2, 3, 1))  # the size does not matter
    np.testing.assert_allclose(losses.gram_matrix(tiled), expected, rtol=1e-5, atol=1e-6)
    weights = np.zeros((3, 5), "float32")
    weights[1, 2] = 1
    np.testing.assert_allclose(
        losses.gram_matrix(f, weights), f[:, 1, 2, :, None] * f[:, 1, 2, None, :], rtol=1e-5
    )


def test_the_gradient_of_gram_matrices_equals_that_of_a_plain_sum():
    f = tf.random.stateless_normal((2, 3, 4, 5), (1, 2))
    upstream = tf.random.stateless_normal((2, 5, 5), (3, 4))  # not symmetric
    gradients = []
    for gram in (losses.gram_matrix, lambda f: tf.einsum("nhwc,nhwd->ncd", f, f) / 12.0):
        with tf.GradientTape() as tape:
            tape.watch(f)
            total = tf.reduce_sum(gram(f) * upstream)
        gradients.append(tape.gradient(total, f))
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-6)


def test_relative_error_by_hand():
    assert float(losses.relative_error([1.0, 2.0], [1.0, 2.0])) == 0
    assert float(losses.relative_error([0.0, 0.0], [3.0, 4.0])) == 1
    np.testing.assert_allclose(losses.relative_error([1.0, 5.0], [3.0, 4.0]), 5 / 25)
    np.testing.assert_allclose(losses.relative_error([10.0, 50.0], [30.0, 40.0]), 5 / 25)


def test_total_variation_by_hand():
    image = np.array([[1, 4], [3, 3], [0, 7]], "float32")[None, ..., None]
    np.testing.assert_allclose(
        losses.total_variation(image), (4 + 1 + 9 + 16) / 4 + (9 + 0 + 49) / 3
    )
