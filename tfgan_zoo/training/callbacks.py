"""What happens around the steps of a run: progress, files, checkpoints, and the alarms. Only the chief has those that write."""

import csv
import math
import shutil
import sys
import time

import keras
import numpy as np

from tfgan_zoo.runs import best_epoch, format_duration, log, read_metrics
from tfgan_zoo.visualize import save_grid


class UnhealthyError(RuntimeError):
    """Training was stopped because a loss is NaN or infinite."""


class Progress(keras.callbacks.Callback):
    """Lines on stderr with the losses, images/s and the time left, one an epoch but at most one in 3 seconds; on a terminal the last
    line also moves within the epoch."""

    def __init__(self, steps, batch_size, epochs):
        super().__init__()
        self.steps, self.batch_size, self.epochs = steps, batch_size, epochs

    def on_train_begin(self, logs=None):
        self.done, self.measured, self.said = 0, None, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.epoch_begin, self.shown = epoch, time.time(), time.time()

    def on_train_batch_end(self, batch, logs=None):
        self.done += self.model.steps_per_execution
        if self.measured is None:  # the first call builds the graph and tells nothing about speed
            self.measured = (time.time(), self.done)
        if sys.stderr.isatty() and time.time() - self.shown > 0.5:
            self.shown = time.time()
            print(
                f"\r\033[K{self.line(logs, batch + 1)}  step {batch + 1}/{self.steps}",
                end="",
                file=sys.stderr,
                flush=True,
            )

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = time.time() - self.epoch_begin
        logs["images_per_second"] = self.steps * self.batch_size / logs["seconds"]
        if time.time() - self.said > 3 or epoch + 1 == self.epochs:
            self.said = time.time()
            log(("\r\033[K" if sys.stderr.isatty() else "") + self.line(logs, self.steps))

    def line(self, logs, step):
        start, first = self.measured
        rate = (self.done - first) / max(time.time() - start, 1e-9)  # steps a second
        left = (self.epochs - self.epoch) * self.steps - step
        losses = "  ".join(
            f"{name} {value:.3f}"
            for name, value in logs.items()
            if name not in ("seconds", "images_per_second")
        )
        speed = (
            f"{rate * self.batch_size:,.0f} images/s  {format_duration(left / rate)} left"
            if rate
            else ""
        )
        return f"epoch {self.epoch + 1}/{self.epochs}  {losses}  {speed}"


class HealthGuard(keras.callbacks.Callback):
    """Stops at the first loss that is NaN or infinite, before anything of it is saved.

    Raises:
        UnhealthyError: names the loss and the step.
    """

    def on_train_batch_end(self, batch, logs=None):
        for name, value in logs.items():
            if not math.isfinite(value):
                step = int(self.model.step.numpy())
                raise UnhealthyError(f"the loss {name} became {value} at step {step}")


class FailureWarnings(keras.callbacks.Callback):
    """Says what the model finds wrong with an epoch (`ZooModel.diagnose`), each kind of trouble once."""

    def __init__(self):
        super().__init__()
        self.said = set()

    def on_epoch_end(self, epoch, logs=None):
        for kind, warning in self.model.diagnose(logs).items():
            if kind not in self.said:
                self.said.add(kind)
                log(f"warning: {warning}")


class Samples(keras.callbacks.Callback):
    """Writes samples/epoch_0001.png ..., the same noise in every epoch, or the same images to translate (`fixed_images`)."""

    def __init__(self, folder, settings, fixed_images):
        super().__init__()
        self.folder, self.settings, self.fixed_images = folder, settings, fixed_images

    def on_epoch_end(self, epoch, logs=None):
        self.epoch, self.written = (
            epoch + 1,
            (epoch + 1) % self.settings.sample_every == 0 or epoch + 1 == self.settings.epochs,
        )
        if self.written:
            self.write()

    def on_train_end(self, logs=None):
        if not self.written:  # training stopped early
            self.write()

    def write(self):
        images, columns = self.model.sample_grid(
            self.settings.sample_count, self.settings.seed, self.fixed_images
        )
        save_grid(images, self.folder / f"epoch_{self.epoch:04}.png", columns)


class Evaluation(keras.callbacks.Callback):
    """Measures the model every few epochs and after the last one; the scores join the epoch's row as eval_<score>."""

    def __init__(self, evaluator, metrics, every, epochs):
        super().__init__()
        self.evaluator, self.metrics, self.every, self.epochs = evaluator, metrics, every, epochs

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every == 0 or epoch + 1 == self.epochs:
            scores = self.evaluator.measure(self.model, self.metrics)
            logs.update({f"eval_{name}": score.value for name, score in scores.items()})
            log(
                f"epoch {epoch + 1}  "
                + "  ".join(format_score(name, score) for name, score in scores.items())
            )


def format_score(name, score):
    return f"{name} {score.value:.4g}" + (
        "" if score.real_reference is None else f" (real {score.real_reference:.4g})"
    )


class KeepBest(keras.callbacks.Callback):
    """Keeps the epoch with the best score in a run directory of its own, and stops when it has not been beaten for long.

    Args:
        score: a column of metrics.csv.
        lower: whether lower is better.
        patience: evaluations without a better one before training stops; 0: never.
        checkpoint: a `tf.train.Checkpoint`.
        manager: a `tf.train.CheckpointManager` in <folder>/checkpoints.
        run: the run directory.
    """

    def __init__(self, score, lower, patience, checkpoint, manager, run):
        super().__init__()
        self.score, self.lower, self.patience = score, lower, patience
        self.checkpoint, self.manager, self.run = checkpoint, manager, run

    def on_epoch_end(self, epoch, logs=None):
        if self.score not in logs:
            return
        best, since = best_epoch(read_metrics(self.run / "metrics.csv"), self.score, self.lower)
        if best == epoch + 1:
            self.checkpoint.epoch.assign(epoch + 1)
            self.manager.save(checkpoint_number=epoch + 1)
            for name in ("experiment.json", "metrics.csv"):
                shutil.copy(self.run / name, self.run / "best" / name)
        elif self.patience and since >= self.patience:
            log(
                f"stopping: {self.score} has been best after epoch {best}, {since} evaluations ago (kept in {self.run / 'best'})"
            )
            self.model.stop_training = True


class MetricsCSV(keras.callbacks.Callback):
    """Appends a row an epoch to metrics.csv; a resumed run drops the rows after its checkpoint."""

    def __init__(self, path, first_epoch):
        super().__init__()
        self.path = path
        rows = (
            [row for row in read_metrics(path) if int(row["epoch"]) <= first_epoch]
            if path.exists()
            else []
        )
        if rows:
            self.write(rows)
        else:
            path.unlink(missing_ok=True)

    def write(self, rows):
        partial = self.path.with_suffix(".partial")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(
                file, fieldnames=list(dict.fromkeys(name for row in rows for name in row))
            )  # scores come later
            writer.writeheader()
            writer.writerows(rows)
        partial.replace(self.path)

    def on_epoch_end(self, epoch, logs=None):
        row = {
            "epoch": epoch + 1,
            "step": int(self.model.step.numpy()),
            **{k: f"{float(v):.6g}" for k, v in logs.items()},
        }
        self.write([*(read_metrics(self.path) if self.path.exists() else []), row])


class Checkpoints(keras.callbacks.Callback):
    """Saves everything that a run needs to go on, after the epoch's other files are written.

    TensorFlow writes a checkpoint under a temporary name and then renames its state file, so that a kill leaves the previous one usable.

    Args:
        checkpoint: a `tf.train.Checkpoint` with an `epoch` variable.
        manager: its `tf.train.CheckpointManager`.
    """

    def __init__(self, checkpoint, manager):
        super().__init__()
        self.checkpoint, self.manager = checkpoint, manager

    def on_epoch_end(self, epoch, logs=None):
        bad = [w.path for w in self.model.weights if not np.isfinite(w.numpy()).all()]
        if bad:
            raise UnhealthyError(
                f"the weight {bad[0]} became NaN or infinite by step {int(self.model.step.numpy())}"
            )
        self.checkpoint.epoch.assign(epoch + 1)
        self.manager.save(checkpoint_number=epoch + 1)
