"""The order of a data set's items: a function of (seed, epoch) alone."""

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
