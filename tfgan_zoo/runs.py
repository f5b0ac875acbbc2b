"""The run directory: experiment.json, metrics.csv, checkpoints, and the model that they describe."""

import csv
import json
import pathlib
import sys

import keras
import tensorflow as tf

from tfgan_zoo.errors import UserError
from tfgan_zoo.models import MODELS
from tfgan_zoo.presets import experiment_from_dict


def log(line):
    print(line, file=sys.stderr, flush=True)


def format_duration(seconds):
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def best_epoch(rows, score, lower):
    """(the epoch with the best score, how many evaluations came after it) of metrics.csv's rows; (None, 0) without any."""
    found = [
        (float(row[score]) * (1 if lower else -1), int(row["epoch"]))
        for row in rows
        if row.get(score)
    ]
    if not found:
        return None, 0
    best = min(found)[1]  # of equal ones the first
    return best, sum(epoch > best for _, epoch in found)


def read_metrics(path):
    """The rows of a metrics.csv as dicts of strings."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def load_model(run):
    experiment = read_experiment(run)
    latest = tf.train.latest_checkpoint(str(run / "checkpoints"))
    if latest is None:
        raise UserError(
            f"{run} has no checkpoint yet: no epoch was finished; go on with: tfgan-zoo train {run}"
        )
    try:
        model = MODELS[experiment.kind](experiment.model, dtype=experiment.train.precision)
    except UserError as error:  # AdaIN's encoder comes from a file
        saved = run / "saved_model"
        more = f"; {saved} has all that is needed" if (saved / "saved_model.pb").is_file() else ""
        raise UserError(f"{error}{more}") from None
    tf.train.Checkpoint(model=model).restore(
        latest
    ).assert_existing_objects_matched().expect_partial()
    return model


def is_run_directory(path):
    """Whether a path is a run directory; an exported SavedModel has an experiment.json too."""
    path = pathlib.Path(path)
    return (path / "experiment.json").is_file() and not (path / "saved_model.pb").is_file()


def read_experiment(run):
    """The experiment of a run directory or an exported SavedModel."""
    path = pathlib.Path(run) / "experiment.json"
    try:
        return experiment_from_dict(json.loads(path.read_text()))
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is not JSON ({error})") from None


def build_model(experiment, strategy):
    with strategy.scope():
        keras.utils.set_random_seed(experiment.train.seed)
        model = MODELS[experiment.kind](experiment.model, dtype=experiment.train.precision)
        model.compile(
            xla=experiment.train.xla,
            steps_per_execution=experiment.train.steps_per_execution,
            seed=experiment.train.seed,
        )
    return model
