"""DiffAugment: differentiable augmentation of the real and fake images that a discriminator sees.

Paper: Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020, arXiv
2006.10738. The constants are those of the authors' code for images in [-1, 1],
github.com/mit-han-lab/data-efficient-gans, DiffAugment_tf.py.
"""

import tensorflow as tf

from tfgan_zoo.errors import UserError, check_choice


def diff_augment(images, policy, seed, fill=-1.0):
    """Apply random distortions through which gradients flow back to the images.

    Every image has its own random numbers. The policies are:

    - color: add U(-.5, .5), then multiply the saturation by U(0, 2), then the contrast by
      U(.5, 1.5). Saturation is relative to a pixel's mean over the channels, so it has no effect
      on one channel. Contrast is relative to the image's mean. Values are not clipped.
    - translation: shift by up to 1/8 of the size, in whole pixels.
    - cutout: fill a square of half the size, with its center anywhere.

    Args:
        images: float (n, h, w, c) in [-1, 1], with static h, w and c.
        policy: a tuple or a comma-separated string of color, translation and cutout, applied in
            this order.
        seed: int32 tensor (2,), not negative. Equal seeds give equal distortions, also under XLA.
            Use another seed for each step and replica.
        fill: value of the pixels that translation and cutout leave empty. -1 is black, the
            background of MNIST. The authors use 0, middle gray.

    Returns:
        Images of the same shape and dtype.

    Raises:
        UserError: the policy has an unknown name, or the images are not of rank 4 with static h,
            w and c.
    """
    policy = policy_names(policy)
    if images.shape.rank != 4 or None in images.shape[1:]:
        raise UserError(f"images must be (n, h, w, c) with static h, w, c, got {images.shape}.")
    x = tf.cast(images, tf.float32)
    # XLA draws the same integers as the plain graph, but not the same floats.
    draws = tf.random.stateless_uniform((7, tf.shape(x)[0]), seed, 0, UNIT, tf.int32)
    draws = {"color": draws[:3], "translation": draws[3:5], "cutout": draws[5:]}
    for name in policy:
        x = POLICIES[name](x, draws[name], fill)
    return tf.ensure_shape(tf.cast(x, images.dtype), images.shape)


def policy_names(policy):
    """Return the names in a policy, a tuple or a comma-separated string.

    Raises:
        UserError: an unknown name.
    """
    if isinstance(policy, str):
        policy = [name.strip() for name in policy.split(",") if name.strip()]
    for name in policy:
        check_choice("diff_augment", name, tuple(POLICIES))
    return policy


def color(x, draws, fill):
    """Change brightness, saturation and contrast. `fill` is not used."""
    # In [0, 1), each (n, 1, 1, 1).
    brightness, saturation, contrast = tf.unstack(
        tf.cast(draws, tf.float32)[..., None, None, None] / UNIT
    )
    x = x + brightness - 0.5
    mean = tf.reduce_mean(x, axis=3, keepdims=True)
    x = mean + (x - mean) * (2.0 * saturation)
    mean = tf.reduce_mean(x, axis=(1, 2, 3), keepdims=True)
    return mean + (x - mean) * (0.5 + contrast)


def translation(x, draws, fill):
    """Shift: y[i, j] = x[i + di, j + dj], with uniform integers di, dj in +-size / 8.

    Pixels that come from outside the image get the value `fill`.
    """
    sources, inside = [], []
    for size, draw in zip(x.shape[1:3], tf.unstack(draws[..., None]), strict=True):
        limit = round_half_up(size / 8)
        source = tf.range(size) + draw % (2 * limit + 1) - limit  # (n, size)
        sources.append(tf.clip_by_value(source, 0, size - 1))
        inside.append((source >= 0) & (source < size))
    rows, columns = sources
    shifted = tf.gather(x, rows, axis=1, batch_dims=1)
    shifted = tf.gather(shifted, columns, axis=2, batch_dims=1)
    return tf.where(rectangle(*inside), shifted, fill)


def cutout(x, draws, fill):
    """Fill a rectangle of half the height and width.

    Up to half of its height and width may be outside the image.
    """
    covered = []
    for size, draw in zip(x.shape[1:3], tf.unstack(draws[..., None]), strict=True):
        length = round_half_up(size / 2)
        # Position of each pixel relative to the start of the rectangle: (n, size).
        offset = tf.range(size) - draw % (size + 1 - length % 2) + length // 2
        covered.append((offset >= 0) & (offset < length))
    return tf.where(rectangle(*covered), fill, x)


UNIT = 2**24  # upper bound of the random integers
POLICIES = {"color": color, "translation": translation, "cutout": cutout}


def rectangle(rows, columns):
    """Combine boolean masks of rows (n, h) and of columns (n, w) into one, (n, h, w, 1)."""
    return (rows[:, :, None] & columns[:, None, :])[..., None]


def round_half_up(x):
    return int(x + 0.5)
