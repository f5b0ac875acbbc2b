"""train(experiment, run_dir): from an experiment to a run directory, the only caller of `fit`. Started again, it goes on."""

import json
import math
import pathlib
import shutil
import tempfile
import time

import keras
import tensorflow as tf

from tfgan_zoo import presets
from tfgan_zoo.config import Experiment
from tfgan_zoo.data import pipeline
from tfgan_zoo.data.datasets import load_evaluation_images, load_for_experiment
from tfgan_zoo.errors import UserError, check_choice
from tfgan_zoo.evaluation import (
    best_score,
    check_evaluation,
    evaluator_for,
    metrics_of,
    stopped_early,
)
from tfgan_zoo.files import write_text
from tfgan_zoo.runs import (
    best_epoch,
    build_model,
    format_duration,
    is_run_directory,
    log,
    read_experiment,
    read_metrics,
)
from tfgan_zoo.saving.saved_model import export
from tfgan_zoo.training import callbacks, distribute
from tfgan_zoo.training.prepare import check_labels, resolve_experiment
from tfgan_zoo.visualize import save_animation, save_curves


def train(source, *overrides, run_dir=None):
    """Trains a preset, or goes on with a run.

    The run directory holds experiment.json, metrics.csv, samples/, checkpoints/, model.keras, saved_model/ (with a model card),
    losses.png, samples.gif and result.json; with train.best also best/, a run directory of the best epoch. Killed at any moment and started
    again, it loses at most the epoch at work, and on CPU it ends with the very weights of a run that was never interrupted.

    Args:
        source: the name of a preset, an `Experiment`, or an existing run directory to go on with.
        *overrides: strings `section.field=value`.
        run_dir: where everything goes; runs/<preset> where it is missing.

    Returns:
        A dict: run_dir, preset, epochs, seconds (of training), metrics (means over the last epoch), weights_sha256, machine.

    Raises:
        UserError: a mistake that the message says how to mend.
        callbacks.UnhealthyError: a loss became NaN or infinite; the last healthy checkpoint is kept.
    """
    experiment = resolve_experiment(source, *overrides)
    if run_dir is None and not isinstance(source, Experiment) and is_run_directory(source):
        run_dir = source
    run = pathlib.Path(run_dir or pathlib.Path("runs") / experiment.preset)
    settings = experiment.train
    check_same_experiment(run, experiment)
    strategy = distribute.make_strategy(settings.strategy, settings.replicas)
    chief = distribute.is_chief(strategy)
    replicas = strategy.num_replicas_in_sync
    if experiment.data.batch_size % replicas:
        raise UserError(
            f"data.batch_size must be a multiple of the {replicas} replicas, received batch_size={experiment.data.batch_size} "
            "(or train on one device, with train.strategy=mirrored train.replicas=1)"
        )
    if settings.tensorboard:
        check_tensorboard()
    check_evaluation(experiment)

    images = load_for_experiment(experiment)
    model = build_model(experiment, strategy)
    model.check_epochs(settings.epochs)
    check_labels(images, model)
    batch_size = experiment.data.batch_size * model.batches_per_step
    steps = settings.steps_per_epoch or pipeline.steps_per_epoch(images, batch_size)
    if model.steps_per_execution != math.gcd(steps, model.steps_per_execution):
        model.steps_per_execution = max(
            n for n in range(1, settings.steps_per_execution + 1) if steps % n == 0
        )
        log(
            f"train.steps_per_execution={settings.steps_per_execution} does not divide {steps} steps: using {model.steps_per_execution}"
        )

    checkpoint = tf.train.Checkpoint(model=model, epoch=tf.Variable(0, dtype=tf.int64))
    manager = tf.train.CheckpointManager(checkpoint, str(run / "checkpoints"), max_to_keep=2)
    if manager.latest_checkpoint:
        checkpoint.restore(manager.latest_checkpoint).assert_existing_objects_matched()
    first_epoch = int(checkpoint.epoch.numpy())

    if chief:
        evaluations = evaluation_callbacks(
            experiment, model
        )  # before anything is written: they may refuse
        fixed_images = (
            None
            if experiment.task == "generate"
            else load_evaluation_images(experiment, "val", settings.sample_count)
        )
        write_text(run / "experiment.json", experiment.to_json())
        (run / "samples").mkdir(exist_ok=True)
        changed = (
            experiment.differences(presets.experiment(experiment.preset))
            if experiment.preset in presets.PRESETS
            else {}
        )
        log(
            f"{experiment.preset}{''.join(f' {name}={mine}' for name, (mine, _) in changed.items())}"
        )
        log(
            f"{images.description}; {steps} steps of {batch_size} an epoch; {distribute.describe_machine()}"
        )
        if (
            experiment.task == "translate"
            and settings.epochs < experiment.model.constant_epochs + experiment.model.decay_epochs
        ):
            log(
                "the learning rate will not have fallen to its end: see model.constant_epochs and model.decay_epochs"
            )
        done = stopped_early(run, experiment)
        going_on = f"{'stopped early' if done else 'going on'} after epoch {first_epoch}"
        log(f"{going_on if first_epoch else 'starting'} in {run}")
        watchers = [
            callbacks.HealthGuard(),
            callbacks.Progress(steps, batch_size, settings.epochs),
            callbacks.FailureWarnings(),
            callbacks.Samples(run / "samples", settings, fixed_images),
            *evaluations,
            callbacks.MetricsCSV(run / "metrics.csv", first_epoch),
        ]
        if settings.best:
            keeper = tf.train.CheckpointManager(
                checkpoint, str(run / "best" / "checkpoints"), max_to_keep=1
            )
            watchers.append(
                callbacks.KeepBest(
                    *best_score(experiment), settings.patience, checkpoint, keeper, run
                )
            )
        if settings.tensorboard:
            watchers.append(
                keras.callbacks.TensorBoard(str(run / "tensorboard"), write_graph=False)
            )
        watchers.append(callbacks.Checkpoints(checkpoint, manager))
    else:
        # TensorFlow wants every worker to take part in saving; only the chief's files are kept.
        folder = tempfile.mkdtemp(prefix="tfgan-zoo-worker-")
        worker_manager = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=1)
        watchers = [callbacks.HealthGuard(), callbacks.Checkpoints(checkpoint, worker_manager)]

    if first_epoch < settings.epochs and not stopped_early(run, experiment):
        dataset = distribute.distribute_dataset(
            strategy,
            lambda shard, shards: pipeline.batches(
                images,
                experiment.data,
                settings.seed,
                batch_size,
                first_epoch,
                steps_per_epoch=steps,
                shard=shard,
                shards=shards,
                labels=model.needs_labels,
            ),
        )
        try:
            model.fit(
                dataset,
                epochs=settings.epochs,
                initial_epoch=first_epoch,
                steps_per_epoch=steps,
                callbacks=watchers,
                shuffle=False,
                verbose=0,
            )
        except KeyboardInterrupt:
            done = int(checkpoint.epoch.numpy())
            log(
                f"\nstopped; {done} of {settings.epochs} epochs are saved. To go on: tfgan-zoo train {run}"
            )
            raise
        except callbacks.UnhealthyError as error:
            kept = manager.latest_checkpoint or "none: no epoch was finished"
            raise callbacks.UnhealthyError(
                f"{error}; the last healthy checkpoint is {kept}"
            ) from None
        finally:
            if not chief:
                shutil.rmtree(folder, ignore_errors=True)
    if not chief:
        return {
            "run_dir": str(run),
            "preset": experiment.preset,
            "epochs": settings.epochs,
            "weights_sha256": model.weights_sha256(),
        }
    return write_results(run, experiment, model, images)


def write_results(run, experiment, model, images):
    """Writes what a finished run ends with, and says where it is."""
    begin = time.time()
    rows = read_metrics(run / "metrics.csv")
    partial = run / "partial.keras"
    model.save(partial)
    partial.replace(run / "model.keras")
    save_curves(rows, run / "losses.png", experiment.preset)
    save_animation(sorted((run / "samples").glob("epoch_*.png")), run / "samples.gif")
    result = {
        "run_dir": str(run),
        "preset": experiment.preset,
        "epochs": int(rows[-1]["epoch"]),
        "seconds": round(sum(float(row["seconds"]) for row in rows), 1),
        "metrics": {
            name: float(value)
            for name, value in rows[-1].items()
            if value and name not in ("epoch", "seconds")
        },
        **(
            {"best_epoch": best_epoch(rows, *best_score(experiment))[0]}
            if experiment.train.best
            else {}
        ),
        "weights_sha256": model.weights_sha256(),
        "data": images.description,
        "machine": distribute.describe_machine(),
    }
    write_text(run / "result.json", json.dumps(result, indent=2))
    export(run, run / "saved_model", replace=True)
    log(
        f"trained {result['epochs']} epochs in {format_duration(result['seconds'])}, finished in {time.time() - begin:.0f} s more"
    )
    return result


def summary(result):
    """Where everything of a finished run is, for people."""
    run = pathlib.Path(result["run_dir"])
    samples = sorted((run / "samples").glob("epoch_*.png"))[-1]
    experiment = read_experiment(run)
    style = " --style PAINTING" if experiment.data_kind == "domains" else ""
    use = {
        "generate": f"sample {run} -n 100 --seed 1 -o more.png",
        "translate": f"translate {run} PICTURE -o translated.png",
        "stylize": f"stylize PICTURE --preset {run}{style} -o stylized.png",
    }[experiment.task]
    return "\n".join(
        [
            f"samples      {samples}   (all epochs: {run / 'samples.gif'})",
            f"losses       {run / 'losses.png'}, {run / 'metrics.csv'}",
            f"SavedModel   {run / 'saved_model'}   (model card: {run / 'saved_model' / 'README.md'})",
            f"Keras model  {run / 'model.keras'}",
            f"more images  tfgan-zoo {use}",
        ]
    )


def check_same_experiment(run, experiment):
    """Refuses to mix two experiments in one run directory; only more epochs and another patience are welcome."""
    if not (run / "experiment.json").is_file():
        if run.is_dir() and any(run.iterdir()):
            raise UserError(f"{run} has files but no experiment.json: choose another --run-dir")
        return
    before = read_experiment(run)
    different = experiment.differences(before)
    if (
        different.keys() <= {"train.epochs", "train.patience"}
        and experiment.train.epochs >= before.train.epochs
    ):
        return
    if different:
        lines = "; ".join(
            f"{name} is {theirs!r} there and {mine!r} here"
            for name, (mine, theirs) in different.items()
        )
        raise UserError(
            f"{run} holds another experiment: {lines}. Choose another --run-dir, or go on with: tfgan-zoo train {run}"
        )


def evaluation_callbacks(experiment, model):
    """The callback that measures the model from time to time, if the experiment wants it."""
    settings = experiment.train
    if not settings.evaluate_every:
        return []
    options = (settings.evaluate_samples, settings.seed, settings.evaluate_features)
    evaluator = evaluator_for(experiment, model, *options, validate=True)
    names = evaluator.names(model, metrics_of(experiment))  # refuses what cannot be measured
    if settings.best and experiment.task != "generate":
        check_choice(
            "train.best (of train.evaluate_metrics)",
            settings.best,
            evaluator.score_names(model, names),
        )
    return [callbacks.Evaluation(evaluator, names, settings.evaluate_every, settings.epochs)]


def check_tensorboard():
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        raise UserError(
            'train.tensorboard needs the extra: pip install "tfgan_zoo[tensorboard]"'
        ) from None
