"""Evaluator: the interface that the evaluators of all tasks share."""

import abc
import dataclasses
import hashlib
import typing

import numpy as np


@dataclasses.dataclass(frozen=True)
class EvaluationOptions:
    """Options of an evaluation. A task ignores those that its metrics do not use."""

    samples: int = 10_000  # number of generated images, or at most this many test images
    seed: int = 0  # decides the noise, the labels and every random choice
    features: str = "auto"  # feature extractor of the metrics: a name or the path of a Keras model
    importance_samples: int = 200  # draws of z per image for the likelihood
    validate: bool = False  # for selecting an epoch: validation images if any, and no baselines


class Evaluator(abc.ABC):
    """Metrics with the data of one experiment, for any number of models.

    Models are compared with test images. Models that generate images from a dataset without a test
    split are compared with training images.

    A metric has one score of the same name, unless `score_names` returns others, such as one for
    each direction of a translation.
    """

    metrics: typing.ClassVar[dict]  # {metric: "lower" or "higher" is better; None: neither}
    needs_experiment: typing.ClassVar[bool] = True  # False: the data and a SavedModel suffice

    @classmethod
    @abc.abstractmethod
    def create(cls, experiment, model, options):
        """Create the evaluator.

        Args:
            experiment: an `Experiment`.
            model: a model of this task, or an exported one.
            options: `EvaluationOptions`.
        """

    @abc.abstractmethod
    def names(self, model, requested=None):
        """Return the metrics to compute: the requested ones, or all that apply to the model.

        Raises:
            UserError: an unknown metric, or one that does not apply to this model and data.
        """

    @abc.abstractmethod
    def measure(self, model, names, image_path=None):
        """Compute metrics.

        Args:
            model: a model of this task, or an exported one.
            names: metrics, from `names`.
            image_path: path for an image that belongs to a metric; None: do not write it.

        Returns:
            `{score: Score}`.
        """

    @abc.abstractmethod
    def settings(self, names):
        """Return the settings that determine the scores, as a dict for JSON."""

    def score_names(self, model, names):
        """Return the names of the scores that `measure` computes for these metrics."""
        return list(names)

    def warnings(self, names):
        """Return a list of sentences about what makes the scores less reliable."""
        return []

    @classmethod
    def better(cls, names):
        """Return `{score: "lower" or "higher"}` of the scores that can select the best epoch."""
        return {name: cls.metrics[name] for name in names if cls.metrics[name]}


def images_sha256(images):
    """Return the SHA-256 over the pixels of images, in order.

    Args:
        images: iterable of arrays, each an image or a batch of images.
    """
    sha = hashlib.sha256()
    for image in images:
        sha.update(np.ascontiguousarray(image))
    return sha.hexdigest()
