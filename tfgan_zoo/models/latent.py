"""Models with a latent code (GANs and VAEs): codes, conditions, samples and signatures.

z is float32 (n, latent_dim) from N(0, I). A conditional model (`config.classes` > 0) also takes a
condition, float32 (n, classes). It is one-hot for a class, or any vector: several classes at once,
a mixture of two classes, continuous features.

With `condition="cluster"` the classes are clusters of the training images (`data.clusters`). The
model stores their sizes. Wherever no labels are given, it draws clusters by their share of the
training images, and so generates images like an unconditional model.
"""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from tfgan_zoo.config import ModelConfig
from tfgan_zoo.data.transforms import to_uint8
from tfgan_zoo.errors import UserError, check_choice, check_range
from tfgan_zoo.model_methods import (
    check_codes,
    condition_inputs,
    cycle_labels,
    map_batches,
    sample_latent,
)
from tfgan_zoo.models.base import ZooModel
from tfgan_zoo.models.inputs import (
    check_images,
    check_label_range,
    check_labels,
    check_on_host,
    parts_of,
)


@dataclasses.dataclass(frozen=True)
class ConditionConfig(ModelConfig):
    """Fields of a conditional model's config."""

    classes: int = 10  # or the length of the vectors
    condition: str = "label"  # integers; vector: float32 (n, classes); cluster: see data.clusters

    def check_condition(self):
        check_range(0, 10_000, classes=self.classes)
        check_choice("condition", self.condition, ("label", "vector", "cluster"))
        if self.condition == "cluster" and not self.classes:
            raise UserError(
                "condition=cluster needs classes, the number of clusters, got classes=0."
            )


class LatentModel(ZooModel):
    """A model that generates images from codes.

    `generate_tensor` maps codes to images in [-1, 1] in a graph, `generate` returns uint8 arrays.

    A batch of `fit` has images, float (n, s, s, c) in [-1, 1]. That of a conditional model is
    (images, labels) with integers (n,) or (n, 1), or with `condition="vector"` numbers
    (n, classes). An unconditional model ignores labels.

    Attributes:
        class_names: Names of the classes of a conditional model, or of the entries of its vectors.
            Empty if they are unknown. Wherever labels are integers, they may also be names.
    """

    class_names = ()

    def __init__(self, config=None, dtype=None, **kwargs):
        super().__init__(config, dtype, **kwargs)
        self.cluster_sizes = None
        if self.clustered:
            self.cluster_sizes = self.add_weight(
                name="cluster_sizes",
                shape=(self.classes,),
                dtype="int64",
                initializer="ones",
                trainable=False,
                autocast=False,
            )

    @property
    def clustered(self):
        """True if the labels are clusters of the training images."""
        return bool(self.classes) and self.config.condition == "cluster"

    @property
    def classes(self):
        """Length of the condition, 0 for an unconditional model."""
        return self.config.classes

    @property
    def needs_labels(self):
        """True for a conditional model."""
        return bool(self.classes)

    @property
    def nan_cause(self):
        """Name labels outside the classes as a cause of NaN losses, see `condition_tensor`."""
        if not self.needs_labels or self.config.condition == "vector":
            return ""
        return f". Labels outside 0 to {self.classes - 1} are a possible cause"

    @property
    def image_shape(self):
        """(height, width, channels)."""
        return (self.config.image_size, self.config.image_size, self.config.channels)

    def unpack_batch(self, data):
        """Return a training batch as (images,), or as (images, condition) if conditional.

        Raises:
            UserError: the images or labels have another shape or dtype, or labels are missing.
        """
        parts = data if isinstance(data, (tuple, list)) else [data]
        images = check_images(parts[0], self.image_shape)
        if not self.classes:
            return (images,)
        if len(parts) < 2:
            raise UserError(
                f"{type(self).__name__} needs batches (images, labels), got images without labels."
            )
        return images, self.condition_tensor(parts[1])

    def check_values(self, data):
        checks, labels = super().check_values(data), parts_of(data)[1:2]
        if self.needs_labels and self.config.condition != "vector":
            check = functools.partial(check_label_range, classes=self.classes)
            checks += [check_on_host(check, part) for part in labels if tf.is_tensor(part)]
        return checks

    def get_config(self):
        """Return the constructor's arguments and the names of the classes as plain values."""
        names = {"class_names": list(self.class_names)} if self.class_names else {}
        return {**super().get_config(), **names}

    @classmethod
    def from_config(cls, config):
        """Create the model that `get_config` describes."""
        config = dict(config)
        names = tuple(config.pop("class_names", ()))
        model = super().from_config(config)
        model.class_names = names
        return model

    def condition_tensor(self, labels):
        """Convert the labels of a batch to the networks' input.

        A label outside 0 ... classes - 1 becomes NaN, which stops training at once. A graph cannot
        raise an error for it. The labels of the first batch are checked, see `check_values`.

        Args:
            labels: integers (n,) or (n, 1), or with `config.condition="vector"` numbers
                (n, classes).

        Returns:
            float32 tensor (n, classes).

        Raises:
            UserError: the dtype or shape of the labels does not fit `config.condition`.
        """
        labels = check_labels(labels, self.classes, self.config.condition)
        if self.config.condition == "vector":
            return labels
        in_range = tf.logical_and(labels >= 0, labels < self.classes)
        return tf.where(in_range[:, None], tf.one_hot(labels, self.classes), float("nan"))

    def condition(self, labels, n):
        """Return the condition of n images, in a list that is empty for an unconditional model.

        See `condition_inputs`. Without labels, a clustered model draws them.
        """
        labels = self.default_labels(n) if labels is None else labels
        return condition_inputs(labels, n, self.classes, self.class_names)

    def latent(self, n, seed):
        """Draw n codes z for an integer seed: float32 (n, latent_dim)."""
        return sample_latent(n, self.config.latent_dim, seed)

    def default_labels(self, n, seed=0):
        """Draw the clusters of n images by their share of the training images: int64 (n,).

        A model that is not clustered returns None.
        """
        return draw_clusters(self.cluster_sizes, n, seed) if self.clustered else None

    def set_cluster_sizes(self, labels):
        """Store how many training images each cluster has.

        Args:
            labels: int64 (n,), the clusters of the training images.
        """
        self.cluster_sizes.assign(np.bincount(labels, minlength=self.classes))

    def call_specs(self):
        sizes = [size for size in (self.config.latent_dim, self.classes) if size]
        return network_inputs(*[tf.TensorSpec((None, size)) for size in sizes])

    def generate_tensor(self, inputs):
        """Generate images from codes, in a graph.

        Args:
            inputs: z, float32 (n, latent_dim), or (z, condition) if the model is conditional, with
                a condition float32 (n, classes).

        Returns:
            float32 tensor (n, s, s, c) in [-1, 1].
        """
        return self(inputs)

    def generate(self, z, labels=None):
        """Generate images from codes.

        Args:
            z: float32 (n, latent_dim).
            labels: for a conditional model, integers or names (n,), or float32 (n, classes).
                Default: all classes in turn, or the clusters of `default_labels`.

        Returns:
            uint8 array (n, s, s, c).

        Raises:
            UserError: the codes or labels do not fit the model.
        """
        z = check_codes(z, self.config.latent_dim)
        return map_batches(self.graph, z, *self.condition(labels, len(z)))

    @functools.cached_property
    def graph(self):
        """A `tf.function` from z, or from z and a condition, to uint8 images."""
        sizes = [size for size in (self.config.latent_dim, self.classes) if size]
        return tf.function(
            lambda *inputs: to_uint8(self.generate_tensor(network_inputs(*inputs))),
            input_signature=[tf.TensorSpec((None, size)) for size in sizes],
        )

    def sample(self, n, seed=0, labels=None):
        """Generate n images from random codes.

        Args:
            n: int, the number of images.
            seed: int. The same seed gives the same images. So two calls without a seed return the
                same images: pass another seed for others.
            labels: for a conditional model, integers or names (m,), or vectors (m, classes), used
                in turn if m < n. Default: all classes in turn, or clusters drawn by their share.

        Returns:
            uint8 array (n, s, s, c).
        """
        labels = self.default_labels(n, seed) if labels is None else labels
        return self.generate(self.latent(n, seed), cycle_labels(labels, n))

    def reference_outputs(self):
        """Return fixed-seed outputs that an exported model must reproduce to within 1/255."""
        return self.sample(16, seed=1)

    def sample_grid(self, count, seed, fixed_images):
        """Return images for a run's samples, and the number of columns.

        Args:
            count: int, the number of images.
            seed: int, as for `sample`.
            fixed_images: not used by this kind of model.

        Returns:
            uint8 array (count, s, s, c), and 0, which stands for a square grid.
        """
        return self.sample(count, seed=seed), 0

    def signatures(self):
        """Return the functions of an exported model: `{name: (function, [input specs])}`.

        - `serving_default`: z and labels to images.
        - `sample`: a number of images, a seed and labels to images.
        - `blend`: z and vectors to images, so also a mixture of classes.
        - `draw_labels`: a number and a seed to labels. Only a clustered model has it, and its
          `sample` has no labels.

        An unconditional model has no labels and no `blend`.
        """
        z = tf.TensorSpec((None, self.config.latent_dim), tf.float32, "z")
        n, seed = tf.TensorSpec((), tf.int32, "n"), tf.TensorSpec((), tf.int32, "seed")

        if not self.classes:

            def serve(z):
                return {"images": to_uint8(self.generate_tensor(z))}

            def sample(n, seed):
                return serve(self.latent(n, seed))

            return {"serving_default": (serve, [z]), "sample": (sample, [n, seed])}

        def blend(z, labels):
            return {"images": to_uint8(self.generate_tensor((z, labels)))}

        def serve(z, labels):
            return blend(z, self.condition_tensor(labels))

        def sample(n, seed, labels):
            turns = tf.gather(labels, tf.range(n) % tf.shape(labels)[0])
            return serve(self.latent(n, seed), turns)

        def draw_labels(n, seed):
            return {"labels": self.default_labels(n, seed)}

        def sample_clusters(n, seed):
            return serve(self.latent(n, seed), self.default_labels(n, seed))

        vectors = tf.TensorSpec((None, self.classes), tf.float32, "labels")
        integers = tf.TensorSpec((None,), tf.int32, "labels")
        labels = vectors if self.config.condition == "vector" else integers
        functions = {"serving_default": (serve, [z, labels]), "blend": (blend, [z, vectors])}
        if not self.clustered:
            return {**functions, "sample": (sample, [n, seed, labels])}
        return {
            **functions,
            "sample": (sample_clusters, [n, seed]),
            "draw_labels": (draw_labels, [n, seed]),
        }


def draw_clusters(sizes, n, seed):
    """Draw n clusters with probabilities proportional to their sizes: int64 (n,).

    Args:
        sizes: int64 (k,), the number of training images in each cluster.
        n: int, or an int32 scalar.
        seed: int, or an integer scalar. The codes of `sample_latent` are independent of the draws.
    """
    ends = tf.cumsum(tf.convert_to_tensor(sizes))
    seeds = tf.stack([tf.cast(seed, tf.int64), 1])
    images = tf.random.stateless_uniform((n,), seeds, 0, ends[-1], tf.int64)  # a training image
    return tf.searchsorted(ends, images, side="right", out_type=tf.int64)


def network_inputs(first, *condition):
    """Return the inputs of a network: the tensor alone, or a tuple of it and its condition."""
    return (first, *condition) if condition else first
