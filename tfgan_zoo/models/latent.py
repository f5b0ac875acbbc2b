"""What the models with a latent code share, GANs and VAEs: drawing z, labels as conditions, samples, signatures.

z is float32 (n, latent_dim) from N(0, I). A conditional model (`config.classes` > 0) also takes a condition, float32 (n, classes):
one-hot for a class, or any vector (several classes at once, a mixture of two, continuous features).
"""

import dataclasses
import functools

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.config import ModelConfig
from tfgan_zoo.data.transforms import to_uint8
from tfgan_zoo.errors import UserError, check_at_least, check_choice
from tfgan_zoo.models.base import ZooModel
from tfgan_zoo.models.replicated import check_float_images


@dataclasses.dataclass(frozen=True)
class ConditionConfig(ModelConfig):
    """The fields of a conditional model."""

    classes: int = 10  # or the length of the vectors
    condition: str = (
        "label"  # integer labels; or vector: multi-hot or continuous, float32 (n, classes)
    )

    def check_condition(self):
        check_at_least(0, classes=self.classes)
        check_choice("condition", self.condition, ("label", "vector"))


class LatentModel(ZooModel):
    """A model with `call(z)`, or `call((z, condition))` if it is conditional, giving images in [-1, 1]."""

    @property
    def classes(self):
        """The length of the condition; 0 for an unconditional model."""
        return self.config.classes

    @property
    def needs_labels(self):
        return bool(self.classes)

    def unpack_batch(self, data):
        """A training batch as (images,), or (images, condition) for a conditional model.

        Raises:
            UserError: images that are not floating point, or no labels for a conditional model.
        """
        if not self.classes:
            return (check_float_images(data),)
        if not isinstance(data, (tuple, list)) or len(data) < 2:
            raise UserError(
                f"{type(self).__name__} needs batches (images, labels), received a batch without labels"
            )
        return check_float_images(data), self.condition_tensor(data[1])

    def condition_tensor(self, labels):
        """Labels of a batch as the networks take them: float32 (n, classes).

        A label outside of 0 ... classes - 1 becomes NaN, which stops training at once; a graph cannot refuse it.

        Raises:
            UserError: vectors of another length, or not what `config.condition` says.
        """
        if self.config.condition == "vector":
            if labels.shape.rank != 2 or labels.shape[1] != self.classes:
                raise UserError(
                    f"condition=vector needs labels of shape (n, {self.classes}), received labels of shape {tuple(labels.shape)}"
                )
            return tf.cast(labels, tf.float32)
        if not labels.dtype.is_integer or labels.shape.rank != 1:
            raise UserError(
                f"condition=label needs integers (n,), received {labels.dtype.name} labels of shape {tuple(labels.shape)}"
            )
        known = tf.logical_and(labels >= 0, labels < self.classes)
        return tf.where(known[:, None], tf.one_hot(labels, self.classes), float("nan"))

    @property
    def image_shape(self):
        """(height, width, channels)."""
        return (self.config.image_size, self.config.image_size, self.config.channels)

    def condition(self, labels, n):
        """The condition of n images as a list with one float32 array (n, classes), an empty one for an unconditional model."""
        return condition_inputs(labels, n, self.classes)

    def latent(self, n, seed):
        """n draws of z for an integer seed: float32 (n, latent_dim)."""
        return sample_latent(n, self.config.latent_dim, seed)

    def generate(self, z, labels=None):
        """The images of given codes.

        Args:
            z: float32 (n, latent_dim).
            labels: for a conditional model: integers (n,), or float32 (n, classes); where missing, the classes take turns.

        Returns:
            uint8 array (n, s, s, c).

        Raises:
            UserError: codes or labels that do not fit the model.
        """
        z = check_codes(z, self.config.latent_dim)
        return map_batches(self.graph, z, *self.condition(labels, len(z)))

    @functools.cached_property
    def graph(self):
        """(z, condition if there is one) -> uint8 images."""
        specs = [
            tf.TensorSpec((None, size)) for size in (self.config.latent_dim, self.classes) if size
        ]
        return tf.function(
            lambda *inputs: to_uint8(self(network_inputs(*inputs))), input_signature=specs
        )

    def sample(self, n, seed=0, labels=None):
        """Generated images.

        Args:
            n: how many.
            seed: an integer; the same one gives the same images.
            labels: for a conditional model: integers or vectors, in turn if they are fewer than n; all classes in turn where missing.

        Returns:
            uint8 array (n, s, s, c).
        """
        return self.generate(self.latent(n, seed), cycle_labels(labels, n))

    def reference_outputs(self):
        """What an exported copy must make alike."""
        return self.sample(16, seed=1)

    def sample_grid(self, count, seed, fixed_images):
        """A picture of what the model has learnt: (images, columns), 0 columns for a square."""
        return self.sample(count, seed=seed), 0

    def signatures(self):
        """What an exported model can do: `{name: (function, its input specs)}`."""
        z = tf.TensorSpec((None, self.config.latent_dim), tf.float32, "z")
        n, seed = tf.TensorSpec((), tf.int32, "n"), tf.TensorSpec((), tf.int32, "seed")
        if not self.classes:
            return {
                "serving_default": (lambda z: {"images": to_uint8(self(z))}, [z]),
                "sample": (
                    lambda n, seed: {"images": to_uint8(self(self.latent(n, seed)))},
                    [n, seed],
                ),
            }

        def blend(z, labels):
            return {"images": to_uint8(self((z, labels)))}

        def serve(z, labels):
            return blend(z, self.condition_tensor(labels))

        def sample(n, seed, labels):
            turns = tf.gather(labels, tf.range(n) % tf.shape(labels)[0])
            return serve(self.latent(n, seed), turns)

        vectors = tf.TensorSpec((None, self.classes), tf.float32, "labels")
        labels = (
            vectors
            if self.config.condition == "vector"
            else tf.TensorSpec((None,), tf.int32, "labels")
        )
        return {
            "serving_default": (serve, [z, labels]),
            "sample": (sample, [n, seed, labels]),
            "blend": (
                blend,
                [z, vectors],
            ),  # several classes at once: one-hot rows, or weights of the classes
        }


def check_codes(z, size):
    """Codes as float32 (n, size).

    Raises:
        UserError: none, or of another size.
    """
    z = np.asarray(z, np.float32)
    if z.ndim != 2 or z.shape[1] != size or not len(z):
        raise UserError(
            f"codes must be float32 (n, {size}), n at least 1, received z of shape {z.shape}"
        )
    return z


def sample_latent(n, size, seed):
    """n draws from N(0, I) for an integer seed: float32 (n, size)."""
    return tf.random.stateless_normal((n, size), tf.stack([tf.cast(seed, tf.int64), 0]))


def network_inputs(first, *condition):
    """The inputs of a network: the tensor alone, or with its condition."""
    return (first, *condition) if condition else first


def map_batches(function, *arrays, size=256):
    """A function of batches over whole arrays, as one NumPy array."""
    parts = [
        function(*(tf.convert_to_tensor(array[i : i + size]) for array in arrays))
        for i in range(0, len(arrays[0]), size)
    ]
    return np.concatenate([np.asarray(part) for part in parts])


def cycle_labels(labels, n):
    """Labels repeated in turn until there are n."""
    return None if labels is None else np.asarray(labels)[np.arange(n) % len(labels)]


def condition_inputs(labels, n, classes):
    """The condition of n images as a list with one float32 array (n, classes), or none for an unconditional model.

    Raises:
        UserError: labels that do not fit.
    """
    if not classes:
        if labels is not None:
            raise UserError(
                f"this model is not conditional: leave out labels (cgan_mnist takes them), received labels={np.unique(labels).tolist()}"
            )
        return []
    labels = np.arange(n) % classes if labels is None else np.asarray(labels)
    if labels.ndim < 2 and np.issubdtype(labels.dtype, np.integer):
        wrong = np.unique(labels[(labels < 0) | (labels >= classes)]).tolist()
        if wrong:
            raise UserError(
                f"labels must be integers from 0 to {classes - 1}, received {', '.join(map(str, wrong))}"
            )
        if labels.shape != (n,):
            raise UserError(
                f"labels must be {n} integers, one for each image, received {labels.size}"
            )
        return [keras.utils.to_categorical(labels, classes).astype(np.float32)]
    if labels.shape != (n, classes):
        raise UserError(
            f"label vectors must be of shape {(n, classes)}, received labels of shape {labels.shape}"
        )
    return [labels.astype(np.float32)]
