"""From an experiment to data, model, steps and batches."""

import dataclasses
import math

import tensorflow as tf

from tfgan_zoo import presets
from tfgan_zoo.config import Experiment
from tfgan_zoo.data import pipeline
from tfgan_zoo.data.datasets import load_for_experiment
from tfgan_zoo.errors import UserError
from tfgan_zoo.evaluation import check_evaluation
from tfgan_zoo.runs import build_model, is_run_directory, read_experiment


def describe(source, *overrides):
    """What `train` would do, without training: experiment, data, steps and parameters."""
    experiment = resolve_experiment(source, *overrides)
    check_evaluation(experiment)
    images = load_for_experiment(experiment)
    model = build_model(experiment, tf.distribute.get_strategy())
    model.check_epochs(experiment.train.epochs)
    check_labels(images, model)
    steps = experiment.train.steps_per_epoch or pipeline.steps_per_epoch(
        images, experiment.data.batch_size * model.batches_per_step
    )
    parameters = {
        name: sum(math.prod(v.shape) for v in variables)
        for name, variables in model.player_variables().items()
    }
    return {
        "experiment": dataclasses.asdict(experiment),
        "data": images.description,
        "steps_per_epoch": steps,
        "parameters": parameters,
    }


def resolve_experiment(source, *overrides):
    """The experiment that a preset's name, an `Experiment` or a run directory stands for."""
    if not isinstance(source, Experiment):
        source = (
            read_experiment(source) if is_run_directory(source) else presets.experiment(str(source))
        )
    source.check_trains()
    return source.override(*overrides)


def check_labels(images, model):
    """Refuses to train a conditional model on images without labels, or on more classes than it has."""
    if not model.needs_labels:
        return
    if images.labels is None:
        raise UserError(
            f"{type(model).__name__} needs labels, which {images.name} lacks: put its pictures into one sub-folder a class, or add a "
            "labels.csv"
        )
    vectors, wanted = images.labels.ndim == 2, model.config.condition
    if vectors != (wanted == "vector"):
        kind = "vectors" if vectors else "classes"
        raise UserError(
            f"{images.name} has {kind}: use model.condition={'vector' if vectors else 'label'}, received condition={wanted}"
        )
    if len(images.classes) > model.classes or (vectors and len(images.classes) < model.classes):
        raise UserError(
            f"{images.name} has {len(images.classes)} {'columns' if vectors else 'classes'}, received classes={model.classes}"
        )
