"""Augmentation inside the game: the discriminator sees real and fake images through the same differentiable distortions."""

import tensorflow as tf

from tfgan_zoo.errors import UserError, check_choice


def diff_augment(images, policy, seed, fill=-1.0):
    """DiffAugment: random distortions through which gradients flow back to the images; every image draws its own.

    color: x + U(-.5, .5), then saturation times U(0, 2) about the pixel's mean over the channels (nothing on one channel),
    then contrast times U(.5, 1.5) about the image's mean; not clipped. translation: by up to 1/8 of the size, in whole
    pixels. cutout: a square of half the size, its centre anywhere. These are the constants of the authors' code on images in
    [-1, 1], so the brightness shift is a quarter of the range.

    Args:
        images: float (n, h, w, c) in [-1, 1]; h, w and c static.
        policy: some of color, translation, cutout, applied in the order given: a tuple or a comma-separated string.
        seed: int32 (2,), not negative. Equal seeds give equal distortions, also under XLA: take another one for each step and replica.
        fill: what translation and cutout leave: -1 is black, the background of MNIST; the authors' 0 is mid-grey.

    Returns:
        Images of the same shape and dtype.

    Raises:
        UserError: an unknown name in the policy, or images that are not of rank 4 with static h, w, c.

    Reference:
        Zhao et al. 2020, Differentiable Augmentation for Data-Efficient GAN Training, arXiv 2006.10738;
        github.com/mit-han-lab/data-efficient-gans, DiffAugment_tf.py.
    """
    names = (
        [name.strip() for name in policy.split(",") if name.strip()]
        if isinstance(policy, str)
        else policy
    )
    for name in names:
        check_choice("policy", name, tuple(POLICIES))
    if images.shape.rank != 4 or None in images.shape[1:]:
        raise UserError(
            f"images must be (n, h, w, c) with static h, w, c, received images.shape={images.shape}"
        )
    x = tf.cast(images, tf.float32)
    draws = tf.random.stateless_uniform(
        (7, tf.shape(x)[0]), seed, 0, UNIT, tf.int32
    )  # integers: XLA draws the same
    draws = {"color": draws[:3], "translation": draws[3:5], "cutout": draws[5:]}
    for name in names:
        x = POLICIES[name](x, draws[name], fill)
    return tf.ensure_shape(tf.cast(x, images.dtype), images.shape)


def color(x, draws, fill):
    """Brightness, saturation, contrast; `fill` has no part in it."""
    brightness, saturation, contrast = tf.unstack(
        tf.cast(draws, tf.float32)[..., None, None, None] / UNIT
    )  # in [0, 1)
    x = x + brightness - 0.5
    mean = tf.reduce_mean(x, axis=3, keepdims=True)
    x = mean + (x - mean) * (2.0 * saturation)
    mean = tf.reduce_mean(x, axis=(1, 2, 3), keepdims=True)
    return mean + (x - mean) * (0.5 + contrast)


def translation(x, draws, fill):
    """y[i, j] = x[i + di, j + dj], di and dj uniform integers in +-size / 8; `fill` where that is outside."""
    sources, inside = [], []
    for size, draw in zip(x.shape[1:3], tf.unstack(draws[..., None]), strict=True):
        most = round_half_up(size / 8)
        source = tf.range(size) + draw % (2 * most + 1) - most  # (n, size)
        sources.append(tf.clip_by_value(source, 0, size - 1))
        inside.append((source >= 0) & (source < size))
    moved = tf.gather(
        tf.gather(x, sources[0], axis=1, batch_dims=1), sources[1], axis=2, batch_dims=1
    )
    return tf.where(rectangle(*inside), moved, fill)


def cutout(x, draws, fill):
    """`fill` in a rectangle of half the height and width; up to half of either may be beyond the border."""
    covered = []
    for size, draw in zip(x.shape[1:3], tf.unstack(draws[..., None]), strict=True):
        length = round_half_up(size / 2)
        offset = (
            tf.range(size) - draw % (size + 1 - length % 2) + length // 2
        )  # (n, size): how far into the hole
        covered.append((offset >= 0) & (offset < length))
    return tf.where(rectangle(*covered), fill, x)


UNIT = 2**24  # draws are integers below this
POLICIES = {"color": color, "translation": translation, "cutout": cutout}


def rectangle(rows, columns):
    """(n, h) and (n, w) -> (n, h, w, 1): true where both are."""
    return (rows[:, :, None] & columns[:, None, :])[..., None]


def round_half_up(x):
    return int(x + 0.5)
