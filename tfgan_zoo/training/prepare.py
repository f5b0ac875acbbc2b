"""Prepare an experiment for training: data, model, steps and batches.

Training, `tfgan-zoo train --dry-run`, the benchmark and the notebooks all use `prepare`.
"""

import dataclasses
import math
import pathlib
import typing

import tensorflow as tf

from tfgan_zoo import presets
from tfgan_zoo.config import Experiment
from tfgan_zoo.data import pipeline
from tfgan_zoo.data.datasets import load_for_experiment
from tfgan_zoo.errors import UserError, join_names
from tfgan_zoo.evaluation import check_evaluation, run_evaluator
from tfgan_zoo.models.base import ZooModel
from tfgan_zoo.runs import build_model, is_run_directory, read_experiment
from tfgan_zoo.training import distribute
from tfgan_zoo.training.start import start_from


@dataclasses.dataclass(frozen=True)
class Prepared:
    """An experiment with its data and its compiled model."""

    experiment: Experiment
    strategy: tf.distribute.Strategy
    data: typing.Any  # ImageData, or Domains for pairs and unpaired images
    model: ZooModel
    batch_size: int  # images per training step, over all replicas
    steps_per_epoch: int

    @property
    def class_names(self):
        """Names of the classes, or of the entries of vectors, of a conditional model."""
        return tuple(self.data.classes) if self.model.needs_labels else ()

    def batches(self, first_epoch=0, shard=0, shards=1):
        """Return an endless `tf.data.Dataset` of batches; see `pipeline.batches`.

        Args:
            first_epoch: epoch to start at; 0 is the first.
            shard: which part of each global batch to return.
            shards: number of parts.
        """
        return pipeline.batches(
            self.data,
            self.experiment.data,
            self.experiment.train.seed,
            self.batch_size,
            first_epoch,
            steps_per_epoch=self.steps_per_epoch,
            shard=shard,
            shards=shards,
            labels=self.model.needs_labels,
        )

    def dataset(self, first_epoch=0):
        """Return the batches for `fit`, distributed over the replicas of the strategy."""
        return distribute.distribute_dataset(
            self.strategy, lambda shard, shards: self.batches(first_epoch, shard, shards)
        )


def prepare(
    experiment: Experiment,
    strategy: tf.distribute.Strategy | None = None,
    data: typing.Any = None,
) -> Prepared:
    """Load the data, build the model and count the steps of an experiment.

    Args:
        experiment: an `Experiment`.
        strategy: a `tf.distribute.Strategy`; None: the current one.
        data: the data, if it is already loaded; None: load it.

    Returns:
        `Prepared`.

    Raises:
        UserError: the data, the model, the batch size and the epochs do not fit together.
    """
    strategy = strategy or tf.distribute.get_strategy()
    replicas = max(strategy.num_replicas_in_sync, experiment.train.replicas)
    if experiment.data.batch_size % replicas:
        raise UserError(
            f"data.batch_size must be a multiple of the {replicas} replicas, "
            f"got {experiment.data.batch_size}. To train on one device, set "
            "train.strategy=mirrored train.replicas=1."
        )
    check_clusters(experiment)
    data = load_for_experiment(experiment) if data is None else data
    model = build_model(experiment, strategy)
    model.check_epochs(experiment.train.epochs)
    check_labels(data, model)
    if model.needs_labels:
        model.class_names = tuple(data.classes)
    if model.clustered:
        model.set_cluster_sizes(data.labels)
    batch_size = experiment.data.batch_size * model.batches_per_step
    steps = experiment.train.steps_per_epoch or pipeline.steps_per_epoch(data, batch_size)
    return Prepared(experiment, strategy, data, model, batch_size, steps)


def describe(source, *overrides):
    """Return what `train` would do, without training.

    Args:
        source: as for `train`.
        *overrides: strings `section.field=value`.

    Returns:
        A dict for JSON: experiment, data, class_names of a conditional model, steps_per_epoch, and
        parameters by player.
    """
    experiment = resolve_experiment(source, *overrides)
    check_evaluation(experiment)
    check_tensorboard(experiment)
    prepared = prepare(experiment)
    if experiment.train.start:
        start_from(prepared.model, experiment.train.start)
    run_evaluator(experiment, prepared.model)  # raises for features that do not exist, for example
    parameters = {
        name: sum(math.prod(variable.shape) for variable in variables)
        for name, variables in prepared.model.player_variables().items()
    }
    return {
        "experiment": dataclasses.asdict(experiment),
        "data": prepared.data.description,
        **({"class_names": list(prepared.class_names)} if prepared.class_names else {}),
        "steps_per_epoch": prepared.steps_per_epoch,
        "parameters": parameters,
    }


def resolve_experiment(source, *overrides):
    """Return the `Experiment` of a preset's name, a run directory, or an `Experiment` itself.

    `train.precision=auto` is replaced by the precision for this machine.

    Raises:
        UserError: an unknown preset or override, or a model that is not trained.
    """
    if isinstance(source, Experiment):
        experiment = source
    elif is_run_directory(source):
        experiment = read_experiment(source)
    elif pathlib.Path(source).name != str(source):
        raise UserError(f"a preset or a run directory is needed, got {str(source)!r}.")
    else:
        experiment = presets.experiment(str(source))
    experiment.check_trains()
    return distribute.resolve_precision(experiment.override(*overrides).with_absolute_paths())


def check_tensorboard(experiment):
    """Raise `UserError` if TensorBoard logs are requested and TensorBoard is not installed."""
    if not experiment.train.tensorboard:
        return
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        raise UserError(
            'train.tensorboard needs an extra: pip install "tfgan_zoo[tensorboard]"'
        ) from None


def check_clusters(experiment):
    """Raise `UserError` unless data.clusters is the number of clusters that the model needs."""
    clusters, model = experiment.data.clusters, experiment.model
    needed = model.classes if getattr(model, "condition", "") == "cluster" else 0
    if clusters == needed:
        return
    if needed:
        raise UserError(
            f"model.condition=cluster with model.classes={needed} needs data.clusters={needed}, "
            f"got data.clusters={clusters}."
        )
    raise UserError(
        f"data.clusters needs a conditional model (CGAN or VAE) with model.condition=cluster and "
        f"model.classes={clusters}, got data.clusters={clusters} with {experiment.kind}."
    )


def check_labels(data, model):
    """Raise `UserError` unless the data has the labels that a conditional model needs."""
    if not model.needs_labels:
        return
    if data.labels is None:
        raise UserError(
            f"{type(model).__name__} needs labels, got {data.name} without labels. "
            f"{data.label_advice or 'Choose a dataset with classes.'}"
        )
    vectors, condition = data.labels.ndim == 2, model.config.condition
    if vectors != (condition == "vector"):
        kind, setting = ("vectors", "vector") if vectors else ("classes", "label")
        raise UserError(
            f"model.condition must be {setting} for {data.name}, whose labels are {kind}, "
            f"got {condition}."
        )
    count = len(data.classes)
    if count > model.classes or (vectors and count < model.classes):
        raise UserError(
            f"model.classes must be {'' if vectors else 'at least '}{count} for {data.name} "
            f"({join_names(data.classes)}), got {model.classes}."
        )
