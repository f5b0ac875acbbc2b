"""Train an experiment in a run directory, or resume a run."""

import contextlib
import json
import os
import pathlib
import shlex
import tempfile
import time
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.checkpoints import CheckpointFolder
from tfgan_zoo.config import FILES, FOLDERS, Experiment
from tfgan_zoo.data.datasets import load_evaluation_images, load_held_out
from tfgan_zoo.data.transforms import to_float
from tfgan_zoo.errors import FailureError, UserError, join_names, shell_command
from tfgan_zoo.evaluation import (
    best_score,
    check_evaluation,
    run_evaluator,
    stopped_early,
)
from tfgan_zoo.files import (
    LEFTOVER,
    atomic_write,
    check_output_folder,
    read_json,
    remove_leftovers,
    retry,
    write_text,
)
from tfgan_zoo.runs import (
    ANIMATION,
    BEST,
    CHECKPOINTS,
    CURVES,
    DATA,
    EXPERIMENT,
    KERAS_MODEL,
    LOCK,
    METRICS,
    RESULT,
    SAMPLES,
    SAVED_MODEL,
    TENSORBOARD,
    best_epoch,
    format_duration,
    is_run_directory,
    lock_run,
    log,
    read_experiment,
    read_metrics,
    write_experiment,
)
from tfgan_zoo.saving.model_card import format_value, train_arguments
from tfgan_zoo.saving.saved_model import export
from tfgan_zoo.training import distribute
from tfgan_zoo.training.callbacks import (
    Checkpoints,
    Evaluation,
    FailureWarnings,
    HealthGuard,
    KeepBest,
    MetricsCSV,
    Overfitting,
    Progress,
    Samples,
    StopOnInterrupt,
    UnhealthyError,
)
from tfgan_zoo.training.prepare import check_tensorboard, prepare, resolve_experiment
from tfgan_zoo.training.start import start_from
from tfgan_zoo.visualize import save_animation, save_curves


def train(
    source: str | os.PathLike | Experiment,
    *overrides: str,
    run_dir: str | os.PathLike | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> dict:
    """Train a preset, or resume a run.

    The files of the run directory are listed in `tfgan_zoo.runs`. A run can be killed at any
    moment and resumed. At most the unfinished epoch is lost. On CPU the final weights are bit for
    bit those of an uninterrupted run. A run may be moved, with its data, to another folder or
    machine: the overrides of `RESUME_FIELDS` are allowed in a resumed run.

    Args:
        source: name of a preset, an `Experiment`, or a run directory to resume.
        *overrides: strings `section.field=value`.
        run_dir: the run directory; None: runs/<preset>, or `source` if it is a run directory.
        callbacks: Keras callbacks, as for `fit`. At the end of an epoch they are called after the
            evaluation. Numbers that they add to the logs are written to metrics.csv. Their state is
            not saved: a resumed run begins with new callbacks.

    Returns:
        A dict: run_dir, preset, epochs, seconds (training time), metrics (means over the last
        epoch), best_epoch (with train.best), class_names (of a conditional model), weights_sha256,
        data, machine. In a cluster only the chief returns all of it.

    Raises:
        UserError: an error that the user can correct.
        UnhealthyError: a loss or a weight became NaN or infinite. The last healthy
            checkpoint is kept.
    """
    # 1. Resolve the experiment and check what can be checked before anything is loaded.
    experiment = resolve_experiment(source, *overrides)
    run = run_directory(source, experiment, run_dir)
    check_same_experiment(run, experiment)
    check_output_folder(run)
    check_evaluation(experiment)
    check_tensorboard(experiment)

    # 2. Prepare devices, data, model and steps.
    settings = experiment.train
    strategy = distribute.make_strategy(settings.strategy, settings.replicas)
    prepared = prepare(experiment, strategy)
    model = prepared.model
    set_steps_per_execution(model, prepared.steps_per_epoch)

    with contextlib.ExitStack() as stack:
        # 3. Lock the run directory and restore the latest checkpoint.
        chief = distribute.is_chief(strategy)
        if chief:  # only the chief writes files
            evaluation = evaluation_callbacks(experiment, model)
            run.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock_run(run))
            clean_up(run)
        checkpoint = tf.train.Checkpoint(model=model, epoch=tf.Variable(0, dtype=tf.int64))
        first_epoch = restore_latest(run, checkpoint)
        if chief and first_epoch:
            check_same_data(run, prepared)
        if settings.start and not first_epoch:
            names = start_from(model, settings.start)
            log(f"starting from the weights of {settings.start}: {', '.join(names)}")

        # 4. Create the callbacks.
        if chief:
            run_callbacks = chief_callbacks(
                prepared, run, checkpoint, first_epoch, [*evaluation, *callbacks]
            )
            begin_run(prepared, run, first_epoch)
        else:
            # TensorFlow requires every worker to take part in saving. Discard the worker's files.
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tfgan-zoo-worker-"))
            run_callbacks = [
                HealthGuard(),
                *callbacks,
                Checkpoints(checkpoint, CheckpointFolder(folder, keep=1)),
            ]

        # 5. Fit and finish.
        if first_epoch < settings.epochs and not stopped_early(run, experiment):
            fit(prepared, run, run_callbacks, first_epoch)
        return finish(prepared, run) if chief else worker_result(prepared, run)


# --- 1. resolve and check

# Fields that may change when a run is resumed: its length, the place of its data, and the devices,
# speed and output, which are not part of the experiment.
RESUME_FIELDS = {
    *("train.epochs", "train.patience"),
    *FOLDERS,  # with the same content, see `check_same_data`
    *FILES,
    *("train.strategy", "train.replicas", "train.xla", "train.steps_per_execution"),
    *("train.sample_every", "train.tensorboard", "data.cache_gb"),
}


def run_directory(source, experiment, run_dir):
    """Return the path of the run directory."""
    if run_dir is None and not isinstance(source, Experiment) and is_run_directory(source):
        return pathlib.Path(source)
    return pathlib.Path(run_dir or pathlib.Path("runs", experiment.preset))


def check_same_experiment(run, experiment):
    """Raise `UserError` if the run directory holds another experiment.

    The `RESUME_FIELDS` may differ, but the number of epochs must not be lower.
    """
    if run.exists() and not run.is_dir():
        raise UserError(f"--run-dir must be a folder, got the file {run}")
    if not (run / EXPERIMENT).is_file():
        if run.is_dir() and any(not is_own_leftover(file) for file in run.iterdir()):
            raise UserError(f"{run} has files but no experiment.json: choose another --run-dir")
        return
    before = read_experiment(run).with_absolute_paths()
    differences = experiment.differences(before)
    if experiment.train.epochs >= before.train.epochs:
        # Runs of older versions have no data.json, so the content of files is not known.
        allowed = RESUME_FIELDS if (run / DATA).is_file() else RESUME_FIELDS.difference(FILES)
        differences = {k: v for k, v in differences.items() if k not in allowed}
    if not differences:
        return
    lines = "; ".join(
        f"{name} is {format_value(old)} there and {format_value(new)} here"
        for name, (new, old) in differences.items()
    )
    raise UserError(
        f"{run} holds another experiment: {lines}. Choose another --run-dir, or resume the run "
        f"with: {shell_command('train', run)}"
    )


def is_own_leftover(file):
    """Return True for a file that a run killed before its first epoch may have left."""
    return file.name == LOCK or LEFTOVER.fullmatch(file.name)


# --- 2. prepare


def set_steps_per_execution(model, steps):
    """Lower the model's `steps_per_execution` to a number that divides the steps of an epoch."""
    requested = model.steps_per_execution
    model.steps_per_execution = max(n for n in range(1, requested + 1) if steps % n == 0)
    if model.steps_per_execution != requested:
        log(
            f"train.steps_per_execution={requested} does not divide {steps} steps: "
            f"using {model.steps_per_execution}"
        )


# --- 3. lock and restore


def clean_up(run):
    """Delete temporary files that a failed or killed training left in the run directory."""
    for folder in (run, run / SAMPLES, run / CHECKPOINTS, run / BEST, run / BEST / CHECKPOINTS):
        retry(lambda folder=folder: remove_leftovers(folder))


def data_record(prepared):
    """Return what data.json holds: {"data" or field: SHA-256 of its content}."""
    return {"data": prepared.data.sha256(), **prepared.experiment.file_contents()}


def check_same_data(run, prepared):
    """Raise `UserError` if a run is resumed with other training data, style or feature network.

    Runs of older versions have no data.json. They are not checked.
    """
    if not (run / DATA).is_file():
        return
    before = read_json(run / DATA, "Delete it to resume without the check of the data.")
    now = data_record(prepared)
    for name in before:
        if before[name] == now.get(name):
            continue
        if name == "data":
            difference = "other images (the names, sizes or labels of the files differ)"
            value = prepared.data.description
        else:
            difference = f"another {name}"
            value = prepared.experiment.fields()[name]
        start = shlex.quote(f"train.start={run}")
        raise UserError(
            f"{run} was trained with {difference}, got {value}. Start a new run from its weights "
            f"in another --run-dir: {start}"
        )


def restore_latest(run, checkpoint):
    """Restore the latest checkpoint of a run and return its epoch, 0 for a new run.

    If the last row of metrics.csv is lost, the checkpoint before it is restored, so that its epoch
    is trained again.

    Raises:
        UserError: no checkpoint is readable, or there are results but no checkpoint.
    """
    rows = read_metrics(run / METRICS)
    recorded = int(rows[-1]["epoch"]) if rows else None
    epoch = CheckpointFolder(run / CHECKPOINTS).restore(checkpoint, log, before=recorded)
    # A run that was killed in its first epoch may have one row and no checkpoint.
    if epoch is None and (len(rows) > 1 or (run / RESULT).exists()):
        raise UserError(
            f"{run} has results, but no checkpoint in {run / CHECKPOINTS}: they were deleted or "
            "damaged. Train in another run directory, or delete this one."
        )
    return epoch or 0


# --- 4. callbacks


def no_images(experiment):
    """Return None: the sample grids are generated from noise."""
    return None


def validation_images(experiment):
    """Return the validation images that the sample grids show in every epoch."""
    return load_evaluation_images(experiment, "val", experiment.train.sample_count)


FIXED_IMAGES = {  # by task: the input of the sample grids
    "generate": no_images,
    "translate": validation_images,
    "stylize": validation_images,
}


def chief_callbacks(prepared, run, checkpoint, first_epoch, callbacks):
    """Return the callbacks of the process that writes the run's files.

    Their order is a contract. `HealthGuard` is first, so that nothing unhealthy is written. At the
    end of an epoch each one may use what those before it wrote:
    `Progress` adds seconds and images_per_second to the logs, `Overfitting` the mean logits of
    training and held-out images, `Evaluation` adds eval_..., the
    user's callbacks may add more, and `MetricsCSV` writes all of them as the epoch's row.
    `KeepBest` reads the file with that row. `Checkpoints` is last, so that a checkpoint exists only
    for epochs whose files are complete.

    Args:
        prepared: a `Prepared`.
        run: the run directory.
        checkpoint: a `tf.train.Checkpoint` with an `epoch` variable.
        first_epoch: number of finished epochs.
        callbacks: the result of `evaluation_callbacks`, and the user's.
    """
    experiment = prepared.experiment
    settings = experiment.train
    fixed_images = FIXED_IMAGES[experiment.task](experiment)
    keep_best, tensorboard, logs = [], [], None
    if settings.best:
        best = CheckpointFolder(run / BEST / CHECKPOINTS, keep=1)
        score, lower = best_score(experiment)
        keep_best = [KeepBest(score, lower, settings.patience, checkpoint, best, run)]
    if settings.tensorboard:
        logs = run / TENSORBOARD / "samples"
        tensorboard = [keras.callbacks.TensorBoard(str(run / TENSORBOARD), write_graph=False)]
    return [
        HealthGuard(),
        Progress(prepared.steps_per_epoch, prepared.batch_size, settings.epochs),
        FailureWarnings(),
        Samples(run / SAMPLES, settings, fixed_images, logs),
        *overfitting_callbacks(prepared),
        *callbacks,
        MetricsCSV(run / METRICS, first_epoch),
        *keep_best,
        *tensorboard,
        Checkpoints(checkpoint, CheckpointFolder(run / CHECKPOINTS)),
    ]


OVERFITTING_IMAGES = 512  # training images, and held-out images, of the statistic


def overfitting_callbacks(prepared):
    """Return the callback that measures overfitting, in a list; or an empty list.

    It needs a model with a discriminator, and real images that are not trained on.
    """
    if not prepared.model.measures_overfitting:
        return []
    held_out = load_held_out(prepared.experiment, prepared.data)
    if held_out is None:
        return []

    def batch(data):
        index = np.random.default_rng(0).permutation(len(data))[:OVERFITTING_IMAGES]
        images = to_float(tf.constant(data.images[index]))
        if not prepared.model.needs_labels:
            return images
        return images, tf.constant(data.labels[index])

    return [Overfitting(batch(prepared.data), batch(held_out))]


def evaluation_callbacks(experiment, model):
    """Return the callback that evaluates the model during training, in a list; or an empty list.

    Raises:
        UserError: a metric that does not apply to the model or the data.
    """
    settings = experiment.train
    evaluator, names = run_evaluator(experiment, model)
    if not evaluator:
        return []
    return [Evaluation(evaluator, names, settings.evaluate_every, settings.epochs)]


def begin_run(prepared, run, first_epoch):
    """Write experiment.json and log what is about to be trained."""
    experiment, epochs = prepared.experiment, prepared.experiment.train.epochs
    if first_epoch:
        for name, (new, old) in experiment.differences(read_experiment(run)).items():
            log(f"{name} changed from {old!r} to {new!r}")
    # experiment.json is first: a directory without it is not a run.
    retry(lambda: write_experiment(run, experiment, prepared.class_names))
    if not first_epoch or not (run / DATA).is_file():  # else `check_same_data` has compared it
        record = json.dumps(data_record(prepared), indent=2)
        retry(lambda: write_text(run / DATA, record))
    retry(lambda: (run / SAMPLES).mkdir(exist_ok=True))
    here = f"={os.getcwd()}{os.sep}"  # paths are absolute, which is long to read
    log(shlex.join(argument.replace(here, "=") for argument in train_arguments(experiment)))
    log(
        f"{prepared.data.description}; {prepared.steps_per_epoch} steps of {prepared.batch_size} "
        f"images per epoch; {distribute.describe_machine()}"
    )
    names = prepared.class_names
    if names:
        kind = "labels per image" if prepared.data.labels.ndim == 2 else "classes"
        log(f"{len(names)} {kind}: {join_names(names, limit=100)}")
    warning = prepared.model.epochs_warning(epochs)
    if warning:
        log(f"warning: {warning}")
    if not first_epoch:
        log(f"starting in {run}")
    elif stopped_early(run, experiment):
        log(f"stopped early after epoch {first_epoch} in {run}")
    elif first_epoch >= epochs:
        log(f"all {epochs} epochs are trained in {run}")
    else:
        log(f"resuming after epoch {first_epoch} in {run}")


# --- 5. fit and finish


def fit(prepared, run, run_callbacks, first_epoch):
    """Train from `first_epoch` on. After Ctrl-C or with a full disk, log which epochs are saved."""
    epochs = prepared.experiment.train.epochs
    interrupt = StopOnInterrupt()
    try:
        prepared.model.fit(
            prepared.dataset(first_epoch),
            epochs=epochs,
            initial_epoch=first_epoch,
            steps_per_epoch=prepared.steps_per_epoch,
            callbacks=[interrupt, *run_callbacks],
            shuffle=False,
            verbose=0,
        )
    except (KeyboardInterrupt, OSError):
        saved = max(CheckpointFolder(run / CHECKPOINTS).epochs(), default=0)
        resume = shell_command("train", run)
        log(f"\nstopped; {saved} of {epochs} epochs are saved. To resume: {resume}")
        raise
    except UnhealthyError as error:
        paths = [*CheckpointFolder(run / CHECKPOINTS).epochs().values()]
        latest = paths[0] if paths else "none, because no epoch was finished"
        raise UnhealthyError(f"{error}; the last healthy checkpoint is {latest}") from None
    finally:
        interrupt.restore()


def finish(prepared, run):
    """Write the files of a finished run and return its result; see `train`.

    The SavedModel is exported from the run directory and not from the model in memory. So the model
    that is exported and verified is the one in the checkpoint.
    """
    begin = time.time()
    experiment, model = prepared.experiment, prepared.model
    rows = read_metrics(run / METRICS)
    if not rows:
        raise FailureError(
            f"{run / METRICS} is damaged: it has no epoch, but the checkpoints have. Copy it from "
            "a backup, or train further epochs with train.epochs."
        )
    samples = sorted((run / SAMPLES).glob("epoch_*.png"))
    retry(lambda: save_keras_model(model, run / KERAS_MODEL))
    retry(lambda: save_curves(rows, run / CURVES, experiment.preset))
    retry(lambda: save_animation(samples, run / ANIMATION))
    last = rows[-1]
    result = {
        "run_dir": str(run),
        "preset": experiment.preset,
        "epochs": int(last["epoch"]),
        "seconds": round(sum(float(row["seconds"]) for row in rows), 1),
        "metrics": {
            name: float(value)
            for name, value in last.items()
            if value and name not in ("epoch", "seconds")
        },
    }
    if experiment.train.best:
        result["best_epoch"], _ = best_epoch(rows, *best_score(experiment))
    if prepared.class_names:
        result["class_names"] = list(prepared.class_names)
    result |= {
        "weights_sha256": model.weights_sha256(),
        "data": prepared.data.description,
        "machine": distribute.describe_machine(),
    }
    retry(lambda: write_text(run / RESULT, json.dumps(result, indent=2)))
    retry(lambda: export(run, run / SAVED_MODEL, overwrite=True))
    clean_up(run)
    log(
        f"trained {result['epochs']} epochs in {format_duration(result['seconds'])}, "
        f"wrote the results in {time.time() - begin:.0f} s"
    )
    return result


def save_keras_model(model, path):
    """Write a model as a Keras file."""
    with atomic_write(path) as partial:
        model.save(partial)


def worker_result(prepared, run):
    """Return the result of a worker that is not the chief."""
    return {
        "run_dir": str(run),
        "preset": prepared.experiment.preset,
        "epochs": prepared.experiment.train.epochs,
        "weights_sha256": prepared.model.weights_sha256(),
    }


USE = {  # by task: how to use a trained model on the command line
    "generate": lambda run, style: ("sample", run, "-n", 100, "--seed", 1, "-o", "more.png"),
    "translate": lambda run, style: ("translate", run, "IMAGE", "-o", "translated.png"),
    "stylize": lambda run, style: (
        *("stylize", "IMAGE", "--preset", run, *style, "-o", "stylized.png"),
    ),
}


def summary(result):
    """Return lines with the paths of a finished run's files and a command that uses the model."""
    run = pathlib.Path(result["run_dir"])
    experiment = read_experiment(run)
    latest = max((run / SAMPLES).glob("epoch_*.png"), default=run / SAMPLES)
    style = ("--style", "PAINTING") if experiment.data_kind == "domains" else ()
    use = shell_command(*USE[experiment.task](run, style))
    saved_model = run / SAVED_MODEL
    return "\n".join(
        [
            f"samples      {latest}   (all epochs: {run / ANIMATION})",
            f"losses       {run / CURVES}, {run / METRICS}",
            f"SavedModel   {saved_model}   (model card: {saved_model / 'README.md'})",
            f"Keras model  {run / KERAS_MODEL}",
            f"more images  {use}",
        ]
    )
