"""The order of a data set's items, a function of (seed, epoch) alone, and the stream of batches in that order."""

import tensorflow as tf


def order(items, size, seed, epoch):
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
        return tf.random.experimental.stateless_shuffle(tf.range(items, dtype=tf.int64), tf.stack([seed, epoch * rounds + i]))

    return tf.reshape(tf.map_fn(shuffled, tf.range(rounds, dtype=tf.int64)), [-1])[:size]


def stream(sizes, fetch, seed, batch_size, share, first_epoch, steps_per_epoch):
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
        columns = [order(size, steps_per_epoch * batch_size, own, epoch) for size, own in zip(sizes, seeds, strict=True)]
        rows = tf.reshape(tf.stack(columns, -1), (steps_per_epoch, batch_size, -1))[:, share]
        return tf.data.Dataset.from_tensor_slices((rows, epoch * steps_per_epoch + tf.range(steps_per_epoch, dtype=tf.int64)))

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    dataset = tf.data.Dataset.range(first_epoch, 2**31 - 1).flat_map(indices)
    dataset = dataset.map(fetch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)
