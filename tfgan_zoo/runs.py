"""The run directory: the names of its files, and the experiment, metrics and model in it.

    experiment.json   the complete experiment and the names of the classes of a conditional model,
                      also in every exported SavedModel
    data.json         SHA-256 of the training data and of a style image or feature network
    metrics.csv       one row per epoch: means of the losses, scores as eval_...
    samples/          epoch_0001.png ..., sample grids
    checkpoints/      the latest two checkpoints: model, optimizers and epoch
    best/             a run directory of the best epoch (train.best)
    evaluation/       scores by tfgan-zoo evaluate
    tensorboard/      logs (train.tensorboard)
    .lock             locked by the process that trains
    imported.json     the origin of imported generators, by direction (import-torch)

A finished run also has:

    result.json       final losses, time, SHA-256 of the weights, machine
    model.keras       the Keras model
    saved_model/      the exported SavedModel with its model card
    losses.png        curves of metrics.csv
    samples.gif       the sample grids of all epochs
"""

import contextlib
import csv
import dataclasses
import json
import math
import pathlib
import sys

import filelock

from tfgan_zoo.checkpoints import CheckpointFolder
from tfgan_zoo.errors import FailureError, UserError, shell_command, shortened
from tfgan_zoo.files import explain_damage, read_json, retry, write_text
from tfgan_zoo.presets import experiment_from_dict

EXPERIMENT = "experiment.json"
DATA = "data.json"
METRICS = "metrics.csv"
SAMPLES = "samples"
CHECKPOINTS = "checkpoints"
BEST = "best"
EVALUATION = "evaluation"
TENSORBOARD = "tensorboard"
IMPORTED = "imported.json"
RESULT = "result.json"
KERAS_MODEL = "model.keras"
SAVED_MODEL = "saved_model"
CURVES = "losses.png"
ANIMATION = "samples.gif"
LOCK = ".lock"

EXPERIMENT_ADVICE = "Copy it from a backup. The run directory and its SavedModel have the same one."


def is_run_directory(path):
    """Return True if a path is a run directory.

    An exported SavedModel, which also has an experiment.json, is not.
    """
    path = pathlib.Path(path)
    return (path / EXPERIMENT).is_file() and not (path / "saved_model.pb").is_file()


def read_experiment(run):
    """Read the `Experiment` of a run directory or an exported SavedModel.

    Raises:
        UserError: experiment.json has unknown fields or wrong values.
        FailureError: experiment.json is damaged.
    """
    path = pathlib.Path(run) / EXPERIMENT
    with explain_damage(path, EXPERIMENT_ADVICE):
        return experiment_from_dict(read_experiment_file(run))


def read_experiment_file(run):
    """Return the dict in experiment.json; raise `FailureError` if it is not a JSON object."""
    path = pathlib.Path(run) / EXPERIMENT
    return read_json(path, EXPERIMENT_ADVICE)


def write_experiment(folder, experiment, class_names=()):
    """Write experiment.json.

    Args:
        folder: a run directory or the folder of a SavedModel, a `pathlib.Path`.
        experiment: an `Experiment`.
        class_names: the names of the classes. They are a fact about the data and not a part of the
            experiment.
    """
    values = dataclasses.asdict(experiment)
    names = {"class_names": list(class_names)} if class_names else {}
    write_text(folder / EXPERIMENT, json.dumps({**values, **names}, indent=2))


def read_class_names(folder):
    """Return the names of the classes in experiment.json as a tuple; empty if there are none."""
    if not (pathlib.Path(folder) / EXPERIMENT).is_file():
        return ()
    with explain_damage(pathlib.Path(folder) / EXPERIMENT, EXPERIMENT_ADVICE):
        return tuple(map(str, read_experiment_file(folder).get("class_names", [])))


def read_metrics(path):
    """Read the rows of a metrics.csv as dicts of strings; an empty list without a file.

    A last row that a power cut has cut off is left out.

    Raises:
        FailureError: another row is not valid.
    """
    if not pathlib.Path(path).is_file():
        return []
    text = retry(pathlib.Path(path).read_bytes).decode("utf-8", errors="replace")
    advice = "Copy it from a backup, or delete its damaged rows."
    with explain_damage(path, advice):
        reader = csv.DictReader(text.splitlines())
        rows = list(reader)
        if reader.fieldnames and "epoch" not in reader.fieldnames:
            raise ValueError(f"it has no column epoch, got {shortened(reader.fieldnames)}")
    if rows and not (text.endswith("\n") and is_valid_row(rows[-1])):
        rows.pop()
    for row in rows:
        if not is_valid_row(row):
            values = ",".join(map(str, row.values()))
            raise FailureError(f"{path} is damaged, got the row {shortened(values)}. {advice}")
    return rows


def is_valid_row(row):
    """Return True if a row of metrics.csv has an epoch, and only numbers and empty cells."""
    try:
        int(row["epoch"])
        for value in row.values():
            float("0" if value == "" else value)
    except (KeyError, TypeError, ValueError):
        return False
    return True


def best_epoch(rows, score, lower):
    """Find the epoch with the best score.

    Args:
        rows: rows of metrics.csv.
        score: a column, such as "eval_frechet_distance".
        lower: True if lower is better.

    Returns:
        (epoch, number of evaluations since then); (None, 0) if no row has the score. Of several
        epochs with the same score it is the first. NaN and infinity are no scores.
    """
    sign = 1 if lower else -1
    scores = [
        (sign * float(row[score]), int(row["epoch"]))
        for row in rows
        if row.get(score) and math.isfinite(float(row[score]))
    ]
    if not scores:
        return None, 0
    _, best = min(scores)
    return best, sum(epoch > best for _, epoch in scores)


def build_model(experiment, strategy):
    """Build and compile the model of an experiment; the initial weights depend on train.seed.

    Args:
        experiment: an `Experiment`.
        strategy: a `tf.distribute.Strategy`.

    Returns:
        A compiled `ZooModel`.
    """
    import keras  # slow to import

    from tfgan_zoo.models import MODELS

    settings = experiment.train
    if settings.precision == "auto":
        raise UserError(
            "train.precision=auto is replaced before a model is built: see "
            "tfgan_zoo.training.distribute.resolve_precision, or choose float32."
        )
    with strategy.scope():
        keras.utils.set_random_seed(settings.seed)
        model = MODELS[experiment.kind](experiment.model, dtype=settings.precision)
        model.compile(
            xla=settings.xla, steps_per_execution=settings.steps_per_execution, seed=settings.seed
        )
    return model


def load_model(run):
    """Load the model of a run directory with the weights of the latest checkpoint.

    Args:
        run: a run directory, a `pathlib.Path`.

    Returns:
        A `ZooModel`, not compiled.

    Raises:
        UserError: the checkpoint or a file that the model needs is missing, or the model is neither
            trained nor imported.
    """
    import tensorflow as tf

    from tfgan_zoo.models import MODELS  # imports Keras, which is slow

    experiment = read_experiment(run)
    checkpoints = CheckpointFolder(run / CHECKPOINTS)
    if not checkpoints.epochs():
        raise UserError(
            f"{run} has no checkpoint yet, because no epoch was finished. "
            f"Resume the run with: {shell_command('train', run)}"
        )
    try:
        model = MODELS[experiment.kind](experiment.model, dtype=experiment.train.precision)
    except UserError as error:  # the file of AdaIN's encoder is missing
        saved = run / SAVED_MODEL
        has_saved = (saved / "saved_model.pb").is_file()
        hint = f" {saved} contains all weights." if has_saved else ""
        raise UserError(f"{error}{hint}") from None
    epoch = checkpoints.restore(tf.train.Checkpoint(model=model), log)
    if epoch == 0:  # the checkpoint of an import, before the first epoch
        imports = read_imports(run)
        if not imports:
            raise UserError(
                f"{run} is not trained yet. Train it with: {shell_command('train', run)}"
            )
        model.keep_directions(imports, run)
    if model.needs_labels:
        model.class_names = read_class_names(run)
    return model


def read_imports(run):
    """Return {direction: origin} of the generators that were imported into a run directory."""
    path = run / IMPORTED
    if not path.is_file():
        return {}
    advice = "Import the generators again, into another run directory."
    imports = read_json(path, advice)
    with explain_damage(path, advice):
        return {
            direction: {
                "checkpoint": str(origin["checkpoint"]),
                "sha256": str(origin["sha256"]),
                "discriminator": bool(origin.get("discriminator", False)),
            }
            for direction, origin in imports.items()
        }


def read_result(run):
    """Return the content of result.json, {} without the file."""
    path = run / RESULT
    advice = f"Delete it. It is written again by: {shell_command('train', run)}"
    return read_json(path, advice) if path.is_file() else {}


@contextlib.contextmanager
def open_evaluation(path):
    """Yield the content of a file of evaluation/; errors in the block name the file.

    Raises:
        FailureError: the file is damaged.
    """
    advice = "Delete it and evaluate again."
    with explain_damage(path, advice):
        yield read_json(path, advice)


@contextlib.contextmanager
def lock_run(run):
    """Lock a run directory for this process; the lock ends with the process.

    Raises:
        UserError: another process has locked it.
    """
    lock = filelock.FileLock(run / LOCK, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise UserError(f"another process trains in {run}: wait for it, or stop it.") from None
    except (NotImplementedError, OSError) as error:  # some network disks have no locks
        log(f"warning: {run} cannot be locked ({error}): do not train in it twice at the same time")
    try:
        yield
    finally:
        lock.release()


def log(line):
    """Print a line on stderr."""
    print(line, file=sys.stderr, flush=True)


def format_duration(seconds):
    """Return seconds as "m:ss" or "h:mm:ss"."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
