"""DiffAugment: the effect of every policy and its random distribution."""

import numpy as np
import pytest
import tensorflow as tf

from tfgan_zoo.errors import UserError
from tfgan_zoo.models.diff_augment import POLICIES, diff_augment

SEED = tf.constant([3, 4])
EVERY = ("color", "translation", "cutout")
IMAGES = tf.random.stateless_uniform((6, 16, 12, 3), (1, 2), -1, 1)


@pytest.mark.parametrize("policy", [("color",), ("translation",), ("cutout",), EVERY])
def test_equal_seeds_give_equal_distortions(policy):
    out = diff_augment(IMAGES, policy, SEED)
    assert out.shape == IMAGES.shape and out.dtype == IMAGES.dtype
    assert (np.abs(out - IMAGES).max(axis=(1, 2, 3)) > 0.05).mean() > 0.6
    np.testing.assert_array_equal(out, diff_augment(IMAGES, ",".join(policy), SEED))
    assert np.abs(out - diff_augment(IMAGES, policy, SEED + 1)).max() > 0.05
    # Every image has its own random numbers.
    copies = tf.repeat(IMAGES[:1], 6, axis=0)
    assert np.ptp(diff_augment(copies, policy, SEED), axis=0).max() > 0.05


@pytest.mark.parametrize("policy", EVERY)
def test_xla_gives_the_same_distortions(policy):
    @tf.function(jit_compile=True)
    def compiled(images, seed):
        return diff_augment(images, policy, seed)

    np.testing.assert_allclose(
        compiled(IMAGES, SEED), diff_augment(IMAGES, policy, SEED), atol=1e-5
    )


def test_no_policy_is_the_identity_and_dtype_is_kept():
    np.testing.assert_array_equal(diff_augment(IMAGES, "", SEED), IMAGES)
    np.testing.assert_array_equal(diff_augment(IMAGES, (), SEED), IMAGES)
    assert diff_augment(tf.cast(IMAGES, tf.float16), EVERY, SEED).dtype == tf.float16


def test_static_shape_with_any_batch():
    traced = tf.function(lambda x: diff_augment(x, EVERY, SEED)).get_concrete_function(
        tf.TensorSpec((None, 8, 8, 1))
    )
    assert traced.structured_outputs.shape.as_list() == [None, 8, 8, 1]


def test_unknown_policy_and_shape_raise_an_error():
    with pytest.raises(UserError, match=r"Did you mean translation"):
        diff_augment(IMAGES, "color, translatoin", SEED)
    with pytest.raises(UserError, match=r"images must be \(n, h, w, c\)"):
        diff_augment(IMAGES[0], "color", SEED)


def test_translation_shifts_by_whole_pixels_up_to_an_eighth():
    n, height, width = 400, 16, 24
    one_hot = tf.pad(
        tf.ones((n, 1, 1, 1)),
        [[0, 0], [8, height - 9], [10, width - 11], [0, 0]],
        constant_values=-1.0,
    )
    out = diff_augment(one_hot, "translation", SEED).numpy()[..., 0]
    index, rows, columns = np.nonzero(out == 1.0)
    np.testing.assert_array_equal(index, np.arange(n))  # one white pixel in every image
    assert ((out == 1.0) | (out == -1.0)).all()
    assert set(rows - 8) == set(range(-2, 3)) and set(columns - 10) == set(range(-3, 4))
    np.testing.assert_allclose(
        [np.mean(rows == 8), np.mean(columns == 10)], [1 / 5, 1 / 7], atol=0.07
    )
    assert abs(np.corrcoef(rows, columns)[0, 1]) < 0.2


@pytest.mark.parametrize("fill", [-1.0, 0.0, 0.25])
def test_fill_is_used(fill):
    ones = tf.ones((300, 16, 16, 2))
    shifted = diff_augment(ones, "translation", SEED, fill=fill).numpy()
    assert set(np.unique(shifted)) == {1.0, fill}
    assert (shifted == fill).mean(axis=(1, 2, 3)).max() == 1 - (14 / 16) ** 2
    cut = diff_augment(ones, "cutout", SEED, fill=fill).numpy() == fill
    areas = cut[..., 0].sum(axis=(1, 2))
    assert (cut[..., 0] == cut[..., 1]).all()
    assert areas.max() == 64 and areas.min() >= 16  # 8 x 8 inside the image, 4 x 4 at a corner
    for mask in cut[:20, :, :, 0]:  # a solid rectangle
        np.testing.assert_array_equal(mask, np.outer(mask.any(axis=1), mask.any(axis=0)))
    borders = (cut[:, :, 0], cut[:, :, -1], cut[:, 0], cut[:, -1])
    assert all(border.any() for border in borders)  # every border is reached


def test_color_statistics():
    gray = tf.zeros((4000, 1, 1, 1))  # saturation and contrast do not change a single gray pixel
    shift = diff_augment(gray, "color", SEED).numpy().ravel()
    assert -0.5 <= shift.min() < -0.49 and 0.49 < shift.max() <= 0.5 and abs(shift.mean()) < 0.02
    # One channel: only the contrast changes differences.
    step = tf.tile(tf.reshape(tf.constant([-0.5, 0.5]), (1, 2, 1, 1)), (4000, 1, 1, 1))
    ratio = np.diff(diff_augment(step, "color", SEED).numpy().reshape(-1, 2))
    assert 0.5 <= ratio.min() < 0.51 and 1.49 < ratio.max() <= 1.5001
    # One pixel of two channels: saturation and contrast.
    colors = tf.tile(tf.reshape(tf.constant([-0.5, 0.5]), (1, 1, 1, 2)), (4000, 1, 1, 1))
    product = np.diff(diff_augment(colors, "color", SEED).numpy().reshape(-1, 2))
    assert 0.0 <= product.min() < 0.01 and 2.7 < product.max() <= 3.0001
    np.testing.assert_allclose(product.mean(), 1.0, atol=0.04)


def test_gradients_flow_to_the_images():
    for policy in EVERY:
        with tf.GradientTape() as tape:
            tape.watch(IMAGES)
            out = diff_augment(IMAGES, policy, SEED)
        gradient = tape.gradient(out, IMAGES, output_gradients=tf.ones_like(out)).numpy()
        if policy == "cutout":  # 1 where the pixel is kept, 0 where it is cut
            np.testing.assert_array_equal(gradient == 1.0, np.asarray(out == IMAGES))
        else:
            assert np.isfinite(gradient).all() and (np.abs(gradient) > 0.1).mean() > 0.6
    assert set(POLICIES) == set(EVERY)
