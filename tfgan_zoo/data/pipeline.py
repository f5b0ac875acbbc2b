"""The order of a data set's items, a function of (seed, epoch) alone, and the stream of batches in that order."""

import numpy as np
import tensorflow as tf

from tfgan_zoo.data import domains, image_folder, transforms
from tfgan_zoo.errors import UserError


def steps_per_epoch(data, batch_size):
    """Whole batches in an epoch.

    Raises:
        UserError: fewer images than one batch.
    """
    if len(data) < batch_size:
        raise UserError(
            f"{data.name} has {len(data)} images, fewer than one step takes: lower data.batch_size, received {batch_size}"
        )
    return len(data) // batch_size


def batches(
    data,
    config,
    seed,
    batch_size,
    first_epoch=0,
    *,
    steps_per_epoch,
    shard=0,
    shards=1,
    labels=False,
):
    """An endless stream of batches, from the start of an epoch on.

    Args:
        data: from `load`.
        config: the `DataConfig` (its augmentation).
        seed: decides order and augmentation.
        batch_size: of the global batch, over all shards.
        first_epoch: where to start, 0 for the first.
        steps_per_epoch: batches in an epoch; every epoch has an order of its own.
        shard, shards: which part of every global batch this is.
        labels: whether to yield (images, labels).

    Returns:
        `tf.data.Dataset` of float32 (batch_size / shards, s, s, c) in [-1, 1]; of pairs (x, y) of them for `domains.Domains`.
    """
    if isinstance(data, domains.Domains):
        options = {"steps_per_epoch": steps_per_epoch, "shard": shard, "shards": shards}
        return domain_batches(data, config, seed, batch_size, first_epoch, **options)
    part = batch_size // shards
    share = slice(shard * part, (shard + 1) * part)
    seed = int(seed) % 2**31

    with tf.device("/cpu:0"):
        pixels = tf.constant(data.images) if data.images is not None else tf.constant(data.files)
        classes = tf.constant(data.labels if data.labels is not None else np.zeros(0, np.int64))

    def decode(path):
        return image_folder.decode_square(path.decode(), data.shape[0], data.shape[2])

    def fetch(rows, step):
        indices = rows[:, 0]
        if data.images is not None:
            images = tf.gather(pixels, indices)
        else:
            images = tf.map_fn(
                lambda path: tf.numpy_function(decode, [path], tf.uint8),
                tf.gather(pixels, indices),
                fn_output_signature=tf.uint8,
            )
        images = augment(transforms.to_float(tf.ensure_shape(images, (part, *data.shape))), step)
        return (images, tf.gather(classes, indices)) if labels else images

    def augment(images, step):
        # drawn for the whole global batch, so that an image's draws do not depend on the shards
        draws = tf.random.stateless_uniform((batch_size, 5), tf.stack([seed ^ 0x6175676D, step]))[
            share
        ]
        if config.rotate or config.zoom:
            images = transforms.rotate_and_zoom(images, draws[:, :4], config.rotate, config.zoom)
        images = transforms.random_flip(images, draws[:, 4]) if config.flip else images
        if config.binarize == "resampled":
            draws = tf.random.stateless_uniform(
                (batch_size, *data.shape), tf.stack([seed ^ 0x62696E61, step])
            )
            images = tf.where(draws[share] < (images + 1.0) / 2.0, 1.0, -1.0)
        return images

    return batch_stream([len(data)], fetch, seed, batch_size, share, first_epoch, steps_per_epoch)


def epoch_order(items, size, seed, epoch):
    """The indices of an epoch: every item once in a random order, and again in other orders if the epoch is longer.

    Args:
        items: how many there are.
        size: indices in an epoch.
        seed: int in [0, 2^31).
        epoch: int64 scalar tensor.

    Returns:
        int64 (size,).
    """
    rounds = -(-size // items)

    def shuffled(i):
        return tf.random.experimental.stateless_shuffle(
            tf.range(items, dtype=tf.int64), tf.stack([seed, epoch * rounds + i])
        )

    return tf.reshape(tf.map_fn(shuffled, tf.range(rounds, dtype=tf.int64)), [-1])[:size]


def batch_stream(sizes, fetch, seed, batch_size, share, first_epoch, steps_per_epoch):
    """An endless stream of batches, from the start of an epoch on.

    Args:
        sizes: how many items each source has; every one gets an order of its own.
        fetch: makes a batch of indices, int64 (n, number of sources), and the step's number, int64.
        seed: int in [0, 2^31).
        batch_size: of the global batch, over all shards.
        share: a slice, the n rows of every global batch that are wanted here.
        first_epoch, steps_per_epoch: see `tfgan_zoo.data.batches`.

    Returns:
        `tf.data.Dataset` of what fetch gives.
    """

    def indices(epoch):
        seeds = [(seed + 0x9E3779B1 * i) % 2**31 for i in range(len(sizes))]
        columns = [
            epoch_order(size, steps_per_epoch * batch_size, own, epoch)
            for size, own in zip(sizes, seeds, strict=True)
        ]
        rows = tf.reshape(tf.stack(columns, -1), (steps_per_epoch, batch_size, -1))[:, share]
        return tf.data.Dataset.from_tensor_slices(
            (rows, epoch * steps_per_epoch + tf.range(steps_per_epoch, dtype=tf.int64))
        )

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    dataset = tf.data.Dataset.range(first_epoch, 2**31 - 1).flat_map(indices)
    dataset = dataset.map(fetch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)


def domain_batches(
    data, config, seed, batch_size, first_epoch=0, *, steps_per_epoch, shard=0, shards=1
):
    """An endless stream of batches (x, y), from the start of an epoch on; see `tfgan_zoo.data.batches`.

    The two heaps of unpaired domains have orders of their own; in an epoch every image of the larger one is seen.

    Returns:
        `tf.data.Dataset` of pairs of float32 (batch_size / shards, s, s, c) in [-1, 1].
    """
    part = batch_size // shards
    share = slice(shard * part, (shard + 1) * part)
    seed = int(seed) % 2**31

    def gather(chosen, draws):
        x, y = [], []
        for rows, draw in zip(
            chosen, draws if config.flip else np.maximum(draws, (0, 0, 1)), strict=True
        ):
            images = [
                domains.crop_and_flip(image, data.size, draw[i])
                for i, source in enumerate(data.sources)
                for image in source[rows[i]]
            ]
            x.append(transforms.to_float_array(images[0]))
            y.append(transforms.to_float_array(images[1]))
        return np.stack(x), np.stack(y)

    def fetch(chosen, step):
        # drawn for the whole global batch, so that an image's draws do not depend on the shards
        shape = (batch_size, len(data.sources), 3)
        draws = tf.random.stateless_uniform(shape, tf.stack([seed ^ 0x6175676D, step]))[share]
        x, y = tf.numpy_function(gather, [chosen, draws], (tf.float32, tf.float32))
        side = data.size or None
        return tf.ensure_shape(x, (part, side, side, data.channels[0])), tf.ensure_shape(
            y, (part, side, side, data.channels[1])
        )

    return batch_stream(
        [len(source) for source in data.sources],
        fetch,
        seed,
        batch_size,
        share,
        first_epoch,
        steps_per_epoch,
    )
