"""Keras models under XLA and tf.distribute."""

import contextlib

import keras
import tensorflow as tf

from tfgan_zoo.errors import UserError


class RunningMeans:
    """Means over the steps of an epoch, on the host in double precision."""

    def __init__(self):
        self.totals, self.steps = {}, 0

    def add(self, sums, steps):
        self.steps += steps
        for name, value in sums.items():
            self.totals[name] = self.totals.get(name, 0.0) + float(value)
        return {name: total / self.steps for name, total in self.totals.items()}


def spread_overflow(gradients):
    """Gradients that are NaN on all replicas if they are not finite on one: each replica's optimizer skips a step by what it sees."""
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
    overflows = tf.distribute.get_replica_context().all_reduce(
        tf.distribute.ReduceOp.SUM, tf.cast(~finite, tf.float32)
    )
    return [
        tf.where(overflows > 0, tf.constant(float("nan"), gradient.dtype), gradient)
        for gradient in gradients
    ]


def check_float_images(data):
    """The images of a batch: float, without labels.

    Raises:
        UserError: images that are not floating point (the models take [-1, 1], see `tfgan_zoo.data.transforms.to_float`).
    """
    images = data[0] if isinstance(data, (tuple, list)) else data
    if not images.dtype.is_floating:
        raise UserError(f"images must be float32 in [-1, 1], received dtype={images.dtype.name}")
    return images


def batch_size_of(batch):
    """The number of examples: a Python integer where it is static, else a scalar tensor."""
    return batch.shape[0] if batch.shape[0] is not None else tf.shape(batch)[0]


@contextlib.contextmanager
def dtype_policy_scope(policy):
    """Layers made inside have this dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
