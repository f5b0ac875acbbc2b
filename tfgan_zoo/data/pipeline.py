"""Batches of training images as a `tf.data.Dataset`: order, shards and augmentation.

A batch is a function of (seed, epoch, position) alone. A resumed run therefore sees the batches of
an uninterrupted run, and several workers together see the batches that one worker would see.
"""

import abc
import hashlib
import os

import tensorflow as tf

from tfgan_zoo.data import transforms
from tfgan_zoo.errors import UserError

# Streams of random numbers: mixed into the seed, so that they are independent of the order.
AUGMENTATION = 0x6175676D
BINARIZATION = 0x62696E61
SOURCE_STRIDE = 0x9E3779B1  # between the seeds of the sources' orders


class LoadedData(abc.ABC):
    """The images of a dataset, in memory or decoded on demand: what training and evaluation use.

    Attributes:
        name: The dataset's name.
        files: Paths of the image files, or None for other sources.
        labels: int64 (n,), float32 (n, k) for vectors, or None.
        classes: Names of the classes, or of the vectors' entries.
    """

    @property
    @abc.abstractmethod
    def sizes(self):
        """Return the number of items of each source; sources are shuffled independently."""

    @property
    @abc.abstractmethod
    def description(self):
        """Return one line for progress output, reports and model cards."""

    @abc.abstractmethod
    def evaluation_images(self, i):
        """Return item i without augmentation: a tuple of arrays (h, w, c), uint8 or uint16."""

    @abc.abstractmethod
    def batch_loader(self, config, batch_size, labels):
        """Return the function that loads one batch; it is traced into the `tf.data` pipeline.

        Args:
            config: A `DataConfig`, for its augmentation.
            batch_size: Items per batch.
            labels: Whether the batch is (images, labels).

        Returns:
            A function (indices, draw) -> batch. `indices` is int64 (batch_size, number of sources).
            `draw(shape, stream)` returns uniform random numbers in [0, 1), (batch_size, *shape).
        """

    def sha256(self):
        """Return a SHA-256 that identifies the data, wherever its files are.

        It depends on the names and sizes of the files, in their order, and on the labels. The
        pixels are not read, because they may be decoded differently on another machine.
        """
        digest = hashlib.sha256(f"{self.name} {self.sizes} {list(self.classes)}".encode())
        if self.labels is not None:
            digest.update(self.labels.tobytes())
        for file in self.files or ():
            digest.update(os.fsencode(os.path.basename(file)))
            digest.update(f" {os.path.getsize(file)}\n".encode())
        return digest.hexdigest()

    def __len__(self):
        return max(self.sizes)  # an epoch shows every image of the largest source


def steps_per_epoch(data, batch_size):
    """Return the number of whole batches in an epoch.

    Raises:
        UserError: There are fewer images than one batch needs.
    """
    if len(data) < batch_size:
        raise UserError(
            "data.batch_size must be at most the number of images, "
            f"which is {len(data)} for {data.name}, got {batch_size}."
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
    """Return an endless stream of batches.

    Args:
        data: `LoadedData`, such as `ImageData` or `Domains`.
        config: The `DataConfig`, for its augmentation.
        seed: Determines order and augmentation.
        batch_size: Size of the global batch, over all shards.
        first_epoch: Epoch that the stream begins with, 0 for the first.
        steps_per_epoch: Batches in an epoch; each epoch has its own order.
        shard: Index of the part of every global batch to return.
        shards: Number of parts.
        labels: Whether to return (images, labels).

    Returns:
        `tf.data.Dataset` of float32 (batch_size / shards, s, s, c) in [-1, 1]. For `Domains` its
        elements are pairs (x, y) of such tensors.
    """
    seed = int(seed) % 2**31
    shard_size = batch_size // shards
    share = slice(shard * shard_size, (shard + 1) * shard_size)
    load_batch = data.batch_loader(config, shard_size, labels)

    def epoch_indices(epoch):
        seeds = [(seed + SOURCE_STRIDE * i) % 2**31 for i in range(len(data.sizes))]
        columns = [
            epoch_order(size, steps_per_epoch * batch_size, source_seed, epoch)
            for size, source_seed in zip(data.sizes, seeds, strict=True)
        ]
        indices = tf.reshape(tf.stack(columns, -1), (steps_per_epoch, batch_size, -1))[:, share]
        steps = epoch * steps_per_epoch + tf.range(steps_per_epoch, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices((indices, steps))

    def load(indices, step):
        def draw(shape, stream=AUGMENTATION):
            # Draw for the global batch, so that an image's augmentation does not depend on shards.
            step_seed = tf.stack([seed ^ stream, step])
            return tf.random.stateless_uniform((batch_size, *shape), step_seed)[share]

        return load_batch(indices, draw)

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    dataset = tf.data.Dataset.range(first_epoch, 2**31 - 1).flat_map(epoch_indices)
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)


def epoch_order(num_items, length, seed, epoch):
    """Return the indices of an epoch: a random permutation, or several if the epoch is longer.

    Args:
        num_items: Number of items of the source.
        length: Number of indices in an epoch.
        seed: int in [0, 2^31).
        epoch: int64 scalar tensor.

    Returns:
        int64 (length,).
    """
    rounds = -(-length // num_items)

    def permutation(i):
        return tf.random.experimental.stateless_shuffle(
            tf.range(num_items, dtype=tf.int64), tf.stack([seed, epoch * rounds + i])
        )

    permutations = tf.map_fn(permutation, tf.range(rounds, dtype=tf.int64))
    return tf.reshape(permutations, [-1])[:length]


def augment(images, config, draw):
    """Rotate, zoom, flip and binarize a batch as `config` says.

    Args:
        images: float32 (n, h, w, c) in [-1, 1].
        config: A `DataConfig`.
        draw: Returns uniform random numbers, see `LoadedData.batch_loader`.

    Returns:
        float32 (n, h, w, c) in [-1, 1].
    """
    draws = draw((5,))
    if config.rotate or config.zoom:
        images = transforms.rotate_and_zoom(images, draws[:, :4], config.rotate, config.zoom)
    if config.flip:
        images = transforms.random_flip(images, draws[:, 4])
    if config.binarize == "resampled":
        probabilities = (images + 1.0) / 2.0
        images = tf.where(draw(images.shape[1:], BINARIZATION) < probabilities, 1.0, -1.0)
    return images
