"""Helper functions for the notebooks: train, read results, show images, curves and source code.

A notebook calls `set_up` first. It needs IPython, which every Jupyter kernel has.
"""

import contextlib
import inspect
import io
import os
import pathlib
import sys

import numpy as np
from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure
from PIL import Image as PillowImage

import tfgan_zoo
from tfgan_zoo.quiet import start_tensorflow

start_tensorflow()  # silences its messages, so it comes before the imports that need TensorFlow

import tensorflow as tf

from tfgan_zoo.errors import UserError
from tfgan_zoo.metrics.score import format_scores
from tfgan_zoo.runs import read_experiment, read_metrics
from tfgan_zoo.training.prepare import prepare
from tfgan_zoo.training.train import train
from tfgan_zoo.visualize import image_grid

REPOSITORY = "https://github.com/tfgan-zoo/tfgan_zoo"

_size = "normal"
_runs = pathlib.Path("runs")


def set_up(full=False, drive=False):
    """Choose the size and the place of all trainings of a notebook; silence TensorFlow's warnings.

    Args:
        full: whether to train the real presets instead of short examples. If the environment
            variable TFGAN_ZOO_FAST is 1, as in the tests, trainings take a few steps only.
        drive: whether to write runs to the user's Google Drive, on Colab. A run that ended with its
            session is resumed if the notebook is executed again.
    """
    global _size, _runs
    _runs = mount_drive() / "tfgan_zoo_runs" if drive else pathlib.Path("runs")
    _size = "full" if full else "fast" if os.environ.get("TFGAN_ZOO_FAST") == "1" else "normal"
    tf.get_logger().setLevel("ERROR")


def mount_drive():
    """Mount the user's Google Drive on Colab, and return its folder.

    Raises:
        UserError: the notebook does not run on Colab.
    """
    try:
        from google.colab import drive
    except ImportError:
        raise UserError("DRIVE must be False outside of Google Colab, got True.") from None
    drive.mount("/content/drive")
    return pathlib.Path("/content/drive/MyDrive")


def choose(fast, normal, full):
    """Return one of three values: for tests, for a few minutes on 2 CPU cores, for real use."""
    return {"fast": fast, "normal": normal, "full": full}[_size]


def show_source(*objects):
    """Show the source code of functions, methods or classes, with a link to their file."""
    for item in objects:
        path = inspect.getsourcefile(item)
        path = path[path.rindex("tfgan_zoo" + os.sep) :].replace(os.sep, "/")
        source = inspect.cleandoc(inspect.getsource(item))
        link = f"[{path}]({REPOSITORY}/blob/main/{path})"
        display(Markdown(f"{link}\n```python\n{source}\n```"))


def show_image(image, width=720):
    """Show one image, enlarged by whole pixels.

    Gray images are stored as PNG with 32 levels, color images as JPEG, to keep notebooks small.

    Args:
        image: uint8 (h, w) or (h, w, 3).
        width: largest width on the page in pixels.
    """
    scale, file = min(6, max(1, width // image.shape[1])), io.BytesIO()
    if image.ndim == 2:
        image = (np.round(image / 255 * 31) * 255 // 31).astype(np.uint8)
        enlarged = PillowImage.fromarray(image.repeat(scale, 0).repeat(scale, 1))
        enlarged.save(file, "PNG", optimize=True)
        display(Image(file.getvalue()))
    else:
        PillowImage.fromarray(image).save(file, "JPEG", quality=85)
        display(Image(file.getvalue(), width=scale * image.shape[1]))


def show_images(images, columns=0, width=720):
    """Show a grid of images.

    Args:
        images: array or list of images, uint8 (n, h, w, c).
        columns: number of columns, 0 for a square grid.
        width: largest width on the page in pixels.
    """
    show_image(image_grid(np.stack(images), columns), width)


def show_samples(run, count=4, share=1.0):
    """Show sample grids of a run, from the first epoch to the last.

    Args:
        run: run directory.
        count: number of epochs to show.
        share: upper share of each grid to show, in (0, 1].
    """
    paths = sorted((run / "samples").glob("epoch_*.png"))
    # `save_grid` has enlarged small images to about 112 pixels: undo it.
    scale = max(1, 112 // read_experiment(run).model.image_size)
    for index in sorted({round(i) for i in np.linspace(0, len(paths) - 1, count)}):
        print("epoch", int(paths[index].stem.removeprefix("epoch_")))
        grid = np.asarray(PillowImage.open(paths[index]))[::scale, ::scale]
        show_image(grid[: round(len(grid) * share)], 480)


def plot_curves(panels, x="epoch", log=False):
    """Plot curves in panels side by side.

    Args:
        panels: {title: {label: values}}; values are a list of numbers, one per epoch, or an array
            (n, 2) of pairs (x, y).
        x: label of the x axis.
        log: whether the y axis is logarithmic.
    """
    figure = Figure(figsize=(3.6 * len(panels), 2.5), dpi=75, layout="constrained")
    plots = np.atleast_1d(figure.subplots(1, len(panels)))
    for axes, (title, curves) in zip(plots, panels.items(), strict=True):
        for label, values in curves.items():
            points = np.array(values if np.ndim(values) == 2 else list(enumerate(values, 1)), float)
            axes.plot(*points.T, label=label, marker="." if len(points) < 12 else None)
        axes.set(title=title, xlabel=x, yscale="log" if log else "linear")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    file = io.BytesIO()
    figure.savefig(file)
    display(Image(file.getvalue()))


def train_run(name, preset, *overrides):
    """Train a preset like `tfgan-zoo train`, with progress lines on stdout.

    Called again, it loads the finished run instead of training again.

    Args:
        name: name of the run.
        preset: name of a preset.
        *overrides: strings `section.field=value`.

    Returns:
        The run directory, runs/<name>_<size>, as a path. See `set_up` for runs on Google Drive.
    """
    run = _runs / f"{name}_{_size}"
    with contextlib.redirect_stderr(sys.stdout):  # notebooks show stderr as an error
        train(preset, *overrides, run_dir=run)
    return run


def train_in_memory(preset, *overrides, images=None):
    """Train a preset without writing files.

    Args:
        preset: name of a preset.
        *overrides: strings `section.field=value`.
        images: training data instead of that of the experiment, an `ImageData`.

    Returns:
        The trained model, and its mean losses per epoch as {name: list of floats}.
    """
    prepared = prepare(tfgan_zoo.experiment(preset, *overrides), data=images)
    history = prepared.model.fit(
        prepared.dataset(),
        steps_per_epoch=prepared.steps_per_epoch,
        epochs=prepared.experiment.train.epochs,
        shuffle=False,
        verbose=0,
    )
    return prepared.model, history.history


def read_losses(run):
    """Return the columns of RUN/metrics.csv as {name: list of floats}, one value per epoch."""
    rows = read_metrics(run / "metrics.csv")
    return {name: [float(row[name]) for row in rows if row[name]] for name in rows[0]}


def evaluate_run(run, **options):
    """Evaluate a run with `tfgan_zoo.evaluate`, and print the scores as a table.

    Args:
        run: run directory.
        **options: arguments of `tfgan_zoo.evaluate`.

    Returns:
        The result of `tfgan_zoo.evaluate`, a dict.
    """
    with contextlib.redirect_stderr(sys.stdout):  # notebooks show stderr as an error
        result = tfgan_zoo.evaluate(run, **options)
    print(format_scores(result))
    return result
