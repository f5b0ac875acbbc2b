"""Keras callbacks of a run: progress lines, files, checkpoints and health checks.

Only the chief of a cluster has the callbacks that write files. Their order matters, see
`train.chief_callbacks`.
"""

import csv
import math
import shutil
import signal
import sys
import threading
import time

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.errors import UnhealthyError
from tfgan_zoo.files import atomic_write, retry
from tfgan_zoo.runs import (
    BEST,
    EXPERIMENT,
    METRICS,
    best_epoch,
    format_duration,
    log,
    read_metrics,
)
from tfgan_zoo.visualize import image_grid, save_grid

LOG_INTERVAL = 3.0  # minimum number of seconds between two progress lines
REFRESH_INTERVAL = 0.5  # seconds between updates of the line on a terminal
CLEAR_LINE = "\r\033[K"

now = time.perf_counter  # unlike time.time, it never goes back


class Progress(keras.callbacks.Callback):
    """Print losses, images/s and the remaining time on stderr.

    There is one line per epoch, but at most one in 3 seconds. On a terminal the last line is also
    updated within the epoch. At the end of an epoch, seconds and images_per_second are added to the
    logs.

    Args:
        steps: steps per epoch.
        batch_size: images per step.
        epochs: number of the last epoch.
    """

    def __init__(self, steps, batch_size, epochs):
        super().__init__()
        self.steps, self.batch_size, self.epochs = steps, batch_size, epochs

    def on_train_begin(self, logs=None):
        self.steps_done, self.speed_start, self.last_log = 0, None, -LOG_INTERVAL
        self.players = list(self.model.players())

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.epoch_begin, self.last_refresh = epoch, now(), now()

    def on_train_batch_end(self, batch, logs=None):
        self.steps_done += self.model.steps_per_execution
        if self.speed_start is None:
            # Measure the speed after the first call, which builds the graph.
            self.speed_start = (now(), self.steps_done)
        if sys.stderr.isatty() and now() - self.last_refresh > REFRESH_INTERVAL:
            self.last_refresh = now()
            line = self.line(logs, batch + 1)
            print(CLEAR_LINE + line, end="", file=sys.stderr, flush=True)

    def on_epoch_end(self, epoch, logs=None):
        logs.pop("loss", None)  # the loss of the only player, which the logs have by its name
        logs["seconds"] = max(now() - self.epoch_begin, 1e-6)
        logs["images_per_second"] = self.steps * self.batch_size / logs["seconds"]
        if now() - self.last_log > LOG_INTERVAL or epoch + 1 == self.epochs:
            self.last_log = now()
            log((CLEAR_LINE if sys.stderr.isatty() else "") + self.line(logs, self.steps))

    def line(self, logs, step):
        """Return the line after `step` steps of the epoch.

        The losses of the players come first, in the order of the model. On a terminal that is too
        narrow, the last losses are left out, then the speed and the time: a line that wraps cannot
        be replaced.
        """
        start, first = self.speed_start
        steps_per_second = (self.steps_done - first) / max(now() - start, 1e-9)
        progress = [f"epoch {self.epoch + 1}/{self.epochs}"]
        if step < self.steps:
            progress.append(f"step {step}/{self.steps}")
        names = [name for name in logs if name not in ("loss", "seconds", "images_per_second")]
        names.sort(key=lambda name: [*self.players, name].index(name))  # stable
        losses = [f"{name} {logs[name]:.4g}" for name in names]
        speed = []
        if steps_per_second:
            left = ((self.epochs - self.epoch) * self.steps - step) / steps_per_second
            unit = "min" if left < 3600 else "h"
            speed = [
                f"{format_duration(left)} {unit} left",
                f"{steps_per_second * self.batch_size:,.0f} images/s",
            ]
        width = shutil.get_terminal_size().columns - 1  # a full line may wrap
        if sys.stderr.isatty():
            while len("  ".join([*progress, *losses, *speed])) > width and (losses or speed):
                (losses or speed).pop()
        return "  ".join([*progress, *losses, *speed])[: width if sys.stderr.isatty() else None]


class StopOnInterrupt(keras.callbacks.Callback):
    """End training between two steps after Ctrl-C; a second Ctrl-C ends the process at once.

    An exception at any moment could be raised inside TensorFlow's C++ code, which turns it into a
    `SystemError`.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
    """

    def on_train_begin(self, logs=None):
        self.interrupted = False
        self.previous = None
        if threading.current_thread() is threading.main_thread():
            self.previous = signal.signal(signal.SIGINT, self.handle)

    def handle(self, number, frame):
        """Remember the signal, and let the next one end the process."""
        self.interrupted = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def on_train_batch_end(self, batch, logs=None):
        if self.interrupted:
            raise KeyboardInterrupt

    def restore(self):
        """Handle Ctrl-C as before training."""
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)


class HealthGuard(keras.callbacks.Callback):
    """Stop training at the first loss or weight that is NaN or infinite.

    Losses are checked in every step, weights at the end of an epoch, before anything is saved.

    Raises:
        UnhealthyError: the message names the loss or the weight, and the step.
    """

    def on_train_batch_end(self, batch, logs=None):
        for name, value in logs.items():
            if not math.isfinite(value):
                step = int(self.model.step.numpy())
                raise UnhealthyError(f"the loss {name} became {value} at step {step}")

    def on_epoch_end(self, epoch, logs=None):
        for weight in self.model.weights:
            if not np.isfinite(weight.numpy()).all():
                step = int(self.model.step.numpy())
                raise UnhealthyError(
                    f"the weight {weight.path} became NaN or infinite by step {step}"
                )


class FailureWarnings(keras.callbacks.Callback):
    """Print each training failure that `ZooModel.diagnose` detects, once per kind of failure."""

    def __init__(self):
        super().__init__()
        self.reported = set()

    def on_epoch_end(self, epoch, logs=None):
        for kind, warning in self.model.diagnose(logs).items():
            if kind not in self.reported:
                self.reported.add(kind)
                log(f"warning: {warning}")


class Samples(keras.callbacks.Callback):
    """Write sample grids from the same input in every epoch: epoch_0001.png ...

    Args:
        folder: the folder to write to.
        settings: a `TrainConfig`: sample_every, sample_count, epochs and seed.
        fixed_images: images to translate or stylize, see `load_evaluation_images`; None for models
            that generate images from noise.
        logs: folder to which the grids are also written as TensorBoard logs, or None.
    """

    def __init__(self, folder, settings, fixed_images, logs=None):
        super().__init__()
        self.folder, self.settings, self.fixed_images = folder, settings, fixed_images
        self.logs, self.writer = logs, None

    def on_epoch_end(self, epoch, logs=None):
        self.epoch = epoch + 1
        is_last = self.epoch == self.settings.epochs
        self.written = self.epoch % self.settings.sample_every == 0 or is_last
        if self.written:
            self.write()

    def on_train_end(self, logs=None):
        if not self.written:  # training stopped early
            self.write()

    def write(self):
        """Write the grid of the current epoch."""
        images, columns = self.model.sample_grid(
            self.settings.sample_count, self.settings.seed, self.fixed_images
        )
        path = self.folder / f"epoch_{self.epoch:04}.png"
        retry(lambda: save_grid(images, path, columns))
        if self.logs:
            self.writer = self.writer or tf.summary.create_file_writer(str(self.logs))
            grid = image_grid(images, columns)
            with self.writer.as_default(step=self.epoch):
                tf.summary.image("samples", grid.reshape(1, *grid.shape[:2], -1))
                self.writer.flush()


class Overfitting(keras.callbacks.Callback):
    """Add the statistics of `AdversarialModel.overfitting` to the logs of every epoch.

    Args:
        training: a batch of training images, as the model's `fit` takes it.
        held_out: a batch of real images that are not trained on.
    """

    def __init__(self, training, held_out):
        super().__init__()
        self.training, self.held_out = training, held_out

    def on_epoch_end(self, epoch, logs=None):
        logs.update(self.model.overfitting(self.training, self.held_out))


class Evaluation(keras.callbacks.Callback):
    """Evaluate the model every few epochs and after the last one; add eval_<score> to the logs.

    Args:
        evaluator: an `Evaluator`.
        metrics: names of metrics.
        every: epochs between evaluations.
        epochs: number of the last epoch.
    """

    def __init__(self, evaluator, metrics, every, epochs):
        super().__init__()
        self.evaluator, self.metrics, self.every, self.epochs = evaluator, metrics, every, epochs

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every == 0 or epoch + 1 == self.epochs:
            scores = self.evaluator.measure(self.model, self.metrics)
            logs.update({f"eval_{name}": score.value for name, score in scores.items()})
            formatted = (format_score(name, score) for name, score in scores.items())
            log(f"epoch {epoch + 1}  {'  '.join(formatted)}")


def format_score(name, score):
    """Return "name value (real value)"."""
    reference = score.real_reference
    return f"{name} {score.value:.4g}" + ("" if reference is None else f" (real {reference:.4g})")


class MetricsCSV(keras.callbacks.Callback):
    """Append one row per epoch to metrics.csv. A resumed run drops the rows after its checkpoint.

    Args:
        path: the file.
        first_epoch: number of finished epochs.
    """

    def __init__(self, path, first_epoch):
        super().__init__()
        self.path = path
        self.rows = [row for row in read_metrics(path) if int(row["epoch"]) <= first_epoch]
        retry(self.write if self.rows else lambda: path.unlink(missing_ok=True))

    def write(self):
        """Write all rows; columns that appear later, such as scores, are empty in earlier rows."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        with (
            atomic_write(self.path) as partial,
            partial.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, fieldnames=columns)
            writer.writeheader()
            writer.writerows(self.rows)

    def on_epoch_end(self, epoch, logs=None):
        values = {name: f"{float(value):.6g}" for name, value in logs.items()}
        self.rows.append({"epoch": epoch + 1, "step": int(self.model.step.numpy()), **values})
        retry(self.write)


class KeepBest(keras.callbacks.Callback):
    """Keep the epoch with the best score in a run directory of its own; stop early if configured.

    Args:
        score: a column of metrics.csv.
        lower: True if lower is better.
        patience: number of evaluations without improvement after which training stops; 0: never.
        checkpoint: a `tf.train.Checkpoint` with an `epoch` variable.
        folder: a `CheckpointFolder` of RUN/best/checkpoints.
        run: the run directory.
    """

    def __init__(self, score, lower, patience, checkpoint, folder, run):
        super().__init__()
        self.score, self.lower, self.patience = score, lower, patience
        self.checkpoint, self.folder, self.run = checkpoint, folder, run

    def on_epoch_end(self, epoch, logs=None):
        if self.score not in logs:
            return
        rows = read_metrics(self.run / METRICS)
        best, evaluations_since = best_epoch(rows, self.score, self.lower)
        if best == epoch + 1:
            self.checkpoint.epoch.assign(epoch + 1)
            self.folder.save(self.checkpoint, epoch + 1)
            for name in (EXPERIMENT, METRICS):
                retry(lambda name=name: self.copy(name))
        elif self.patience and evaluations_since >= self.patience:
            log(
                f"stopping early: the best {self.score} is from epoch {best}, "
                f"{evaluations_since} evaluations ago (saved in {self.run / BEST})"
            )
            self.model.stop_training = True

    def copy(self, name):
        """Copy a file of the run to the best epoch's run directory."""
        with atomic_write(self.run / BEST / name) as partial:
            shutil.copyfile(self.run / name, partial)


class Checkpoints(keras.callbacks.Callback):
    """Save everything that a resumed run needs, after the other files of the epoch are written.

    If the process is killed meanwhile, the previous checkpoint stays valid.

    Args:
        checkpoint: a `tf.train.Checkpoint` with an `epoch` variable.
        folder: a `CheckpointFolder`.
    """

    def __init__(self, checkpoint, folder):
        super().__init__()
        self.checkpoint, self.folder = checkpoint, folder

    def on_epoch_end(self, epoch, logs=None):
        self.checkpoint.epoch.assign(epoch + 1)
        self.folder.save(self.checkpoint, epoch + 1)
