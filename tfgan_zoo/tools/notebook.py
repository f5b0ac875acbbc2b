"""Helper functions for the notebooks: train, read results, show images, animations and diagrams.

A notebook calls `set_up` first. It needs IPython, which every Jupyter kernel has.
"""

import contextlib
import inspect
import io
import os
import pathlib
import subprocess
import sys
import textwrap

import numpy as np
from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

import tfgan_zoo
from tfgan_zoo.quiet import start_tensorflow

start_tensorflow()  # silences its messages, so it comes before the imports that need TensorFlow

import tensorflow as tf

from tfgan_zoo.errors import UserError
from tfgan_zoo.files import atomic_folder
from tfgan_zoo.metrics.score import format_scores
from tfgan_zoo.runs import read_experiment, read_metrics
from tfgan_zoo.saving.hub import pretrained_folder
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
        source = textwrap.dedent(inspect.getsource(item)).strip()
        link = f"[{path}]({REPOSITORY}/blob/main/{path})"
        display(Markdown(f"{link}\n```python\n{source}\n```"))


def show_caption(text):
    """Show a caption in italics below a picture; nothing if the text is empty."""
    if text:
        display(Markdown(f"*{text}*"))


def show_image(image, width=760, caption=""):
    """Show one image, enlarged by whole pixels.

    Gray images are stored as PNG with 32 levels, color images as JPEG, to keep notebooks small.

    Args:
        image: uint8 (h, w) or (h, w, 3).
        width: largest width on the page in pixels.
        caption: text below the image, Markdown.
    """
    scale, file = enlargement(image, width), io.BytesIO()
    if image.ndim == 2:
        enlarged = PillowImage.fromarray(reduce_levels(image).repeat(scale, 0).repeat(scale, 1))
        enlarged.save(file, "PNG", optimize=True)
        display(Image(file.getvalue()))
    else:
        PillowImage.fromarray(image).save(file, "JPEG", quality=85)
        display(Image(file.getvalue(), width=scale * image.shape[1]))
    show_caption(caption)


def enlargement(image, width):
    """Return the integer factor, 1 to 6, by which an image is shown in `width` pixels."""
    return min(6, max(1, width // image.shape[1]))


def reduce_levels(image):
    """Round a gray image to 32 levels, which makes its PNG file smaller."""
    return (np.round(image / 255 * 31) * 255 // 31).astype(np.uint8)


def show_images(images, columns=0, width=760, caption=""):
    """Show a grid of images.

    Args:
        images: array or list of images, uint8 (n, h, w, c).
        columns: number of columns, 0 for a square grid.
        width: largest width on the page in pixels.
        caption: text below the grid, Markdown.
    """
    show_image(image_grid(np.stack(images), columns), width, caption)


def show_rows(rows, width=760, caption=""):
    """Show rows of images with a label on the left of each row.

    Args:
        rows: {label: uint8 images (n, h, w, c)}. All rows have equal shapes. A label may have
            several lines.
        width: largest width of the images on the page in pixels.
        caption: text below the rows, Markdown.

    Raises:
        ValueError: the rows have different shapes.
    """
    shapes = {label: np.shape(images) for label, images in rows.items()}
    if len(set(shapes.values())) != 1:
        raise ValueError(f"rows must have equal shapes, got {shapes}.")
    count = len(next(iter(rows.values())))
    grid = image_grid(np.concatenate([np.asarray(images) for images in rows.values()]), count)
    scale = enlargement(grid, width)
    grid = (reduce_levels(grid) if grid.ndim == 2 else grid).repeat(scale, 0).repeat(scale, 1)

    font = ImageFont.load_default(14 if scale > 1 else 11)
    measure = ImageDraw.Draw(PillowImage.new("L", (1, 1)))
    boxes = [measure.multiline_textbbox((0, 0), label, font=font) for label in rows]
    margin = 8 + round(max(box[2] for box in boxes))
    space = [(0, 0), (margin, 0), (0, 0)][: grid.ndim]
    page = PillowImage.fromarray(np.pad(grid, space, constant_values=255))
    draw, height = ImageDraw.Draw(page), grid.shape[0] / len(rows)
    for number, label in enumerate(rows):
        draw.multiline_text((2, (number + 0.5) * height), label, fill=0, font=font, anchor="lm")
    file, shown_width = io.BytesIO(), None
    if grid.ndim == 2:
        page.save(file, "PNG", optimize=True)
    elif scale > 1:  # few colors, and JPEG would blur the edges of enlarged pixels
        page.quantize(64, dither=PillowImage.Dither.NONE).save(file, "PNG", optimize=True)
    else:
        page.save(file, "JPEG", quality=75)
        shown_width = round(page.width * min(2.0, max(1.0, width / grid.shape[1])))
    display(Image(file.getvalue(), width=shown_width))
    show_caption(caption)


def sample_grids(run, count, share=1.0):
    """Read evenly spaced sample grids of a run.

    Args:
        run: run directory.
        count: largest number of grids.
        share: upper share of each grid to return, in (0, 1].

    Returns:
        List of uint8 grids (h, w) or (h, w, 3) in the size of the model, in the order of epochs.
    """
    paths = sorted((run / "samples").glob("epoch_*.png"))
    # `save_grid` has enlarged small images to about 112 pixels: undo it.
    scale = max(1, 112 // read_experiment(run).model.image_size)
    grids = []
    for index in sorted({round(i) for i in np.linspace(0, len(paths) - 1, count)}):
        grid = np.asarray(PillowImage.open(paths[index]))[::scale, ::scale]
        grids.append(grid[: round(len(grid) * share)])
    return grids


def show_animation(source, count=10, share=1.0, columns=0, width=480, seconds=6.0, caption=""):
    """Show a training as an animation: sample grids from the first epoch to the last.

    The animation is an animated PNG file, which Jupyter, Colab, GitHub and browsers play.

    Args:
        source: run directory, or a list of batches of images, uint8 (n, h, w, c).
        count: largest number of frames.
        share: upper share of each grid of a run to show, in (0, 1].
        columns: number of columns of the batches; 0: a grid that is wider than high.
        width: largest width on the page in pixels.
        seconds: duration, plus 2 seconds for the last frame.
        caption: text below the animation, Markdown.
    """
    if isinstance(source, list):
        indices = sorted({round(i) for i in np.linspace(0, len(source) - 1, count)})
        frames = [image_grid(source[i], columns or grid_columns(len(source[i]))) for i in indices]
    else:
        frames = sample_grids(source, count, share)
    scale = enlargement(frames[0], width)
    data = animated_png(frames, seconds)
    display(Image(data, width=scale * frames[0].shape[1]))
    show_caption(caption)


def grid_columns(n):
    """Return the number of columns of a grid of n images: 2 to 4 times as wide as high."""
    return next(c for c in (n // 2, n // 3, n // 4, n) if c and n % c == 0)


def animated_png(frames, seconds):
    """Encode images as an animated PNG file that loops.

    Args:
        frames: list of uint8 images of one shape, (h, w) or (h, w, 3). Gray images are reduced to
            16 levels, color images to 64 colors, to keep notebooks small.
        seconds: duration, plus 2 seconds for the last frame.

    Returns:
        The file as bytes.
    """
    # The frames of a PNG file share one palette.
    if frames[0].ndim == 2:
        images = [PillowImage.fromarray(np.uint8(np.round(frame / 17.0))) for frame in frames]
        for image in images:
            image.putpalette(np.repeat(np.arange(16) * 17, 3).tolist())
    else:
        palette = PillowImage.fromarray(np.concatenate(frames)).quantize(64)
        no_dither = PillowImage.Dither.NONE
        images = [
            PillowImage.fromarray(frame).quantize(palette=palette, dither=no_dither)
            for frame in frames
        ]
    durations = [int(1000 * seconds / len(images))] * (len(images) - 1) + [2000]
    file = io.BytesIO()
    images[0].save(
        file,
        "PNG",
        save_all=True,
        append_images=images[1:],
        duration=durations,
        loop=0,
        bits=4 if frames[0].ndim == 2 else 8,
    )
    return file.getvalue()


def show_diagram(boxes, arrows, caption="", size=(9.0, 2.6)):
    """Draw a diagram of boxes and arrows.

    Args:
        boxes: {name: (x, y, text)} or {name: (x, y, text, color)}. x and y are the center of the
            box, in units of about one box. Without a color the text has no box.
        arrows: list of (from, to) or (from, to, text), names of boxes.
        caption: text below the diagram, Markdown.
        size: width and height in inches.
    """
    figure = Figure(figsize=size, dpi=80, layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    patches = {}
    for name, (x, y, text, *color) in boxes.items():
        style = {"boxstyle": "round,pad=0.5", "edgecolor": "0.3", "facecolor": "none"}
        style |= {"facecolor": color[0]} if color else {"edgecolor": "none"}
        patches[name] = axes.text(x, y, text, ha="center", va="center", fontsize=11, bbox=style)
    points = np.array([box[:2] for box in boxes.values()], float)
    axes.set_xlim(points[:, 0].min() - 0.6, points[:, 0].max() + 0.6)
    axes.set_ylim(points[:, 1].min() - 0.6, points[:, 1].max() + 0.6)
    for start, end, *text in arrows:
        (x0, y0), (x1, y1) = (patches[name].get_position() for name in (start, end))
        figure.draw_without_rendering()  # places the boxes, whose edges the arrows touch
        axes.annotate(
            "",
            (x1, y1),
            (x0, y0),
            arrowprops={
                "arrowstyle": "-|>",
                "color": "0.2",
                "patchA": patches[start].get_bbox_patch(),
                "patchB": patches[end].get_bbox_patch(),
                "shrinkA": 2,
                "shrinkB": 2,
            },
        )
        if text:
            x, y = (x0 + x1) / 2, (y0 + y1) / 2
            axes.text(x, y + 0.08, text[0], ha="center", va="bottom", fontsize=10, color="0.2")
    show_figure(figure, caption)


def load_pretrained(name):
    """Load a pretrained preset. If it is not on this machine, download the project's repository.

    The repository (about 70 MB) has all pretrained presets. It is cloned into ~/.cache/tfgan_zoo,
    and cloned again if that clone is older than the preset. With the environment variable
    TFGAN_ZOO_URL the preset alone is downloaded.

    Args:
        name: a preset with "yes" in the column "trained" of `tfgan-zoo list`.

    Returns:
        What `tfgan_zoo.load(name)` returns.

    Raises:
        UserError: git is missing or the download failed.
    """
    if pretrained_folder(name) or os.environ.get("TFGAN_ZOO_URL"):
        return tfgan_zoo.load(name)
    # SavedModels are programs, so the folder must be one that only the user can write to.
    clone = pathlib.Path("~/.cache/tfgan_zoo/repository").expanduser()
    folder = clone / "saved_models" / name
    if not folder.is_dir():
        command = ["git", "clone", "-q", "--depth", "1", REPOSITORY]
        try:
            with atomic_folder(clone, overwrite=True) as partial:
                subprocess.run([*command, str(partial)], check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
            raise UserError(
                f"the pretrained preset {name} could not be downloaded from {REPOSITORY} "
                f"({reason}). Check the network, or train it with: tfgan-zoo train {name}"
            ) from None
    return tfgan_zoo.load(folder)


def show_figure(figure, caption=""):
    """Show a Matplotlib figure as a PNG file with 64 colors.

    Args:
        figure: a `matplotlib.figure.Figure`.
        caption: text below the figure, Markdown.
    """
    file, reduced = io.BytesIO(), io.BytesIO()
    figure.savefig(file)
    picture = PillowImage.open(file).convert("RGB").quantize(64, dither=PillowImage.Dither.NONE)
    picture.save(reduced, "PNG", optimize=True)
    display(Image(reduced.getvalue()))
    show_caption(caption)


def plot_curves(panels, x="epoch", log=False, caption=""):
    """Plot curves in panels side by side.

    Args:
        panels: {title: {label: values}}; values are a list of numbers, one per epoch, or an array
            (n, 2) of pairs (x, y).
        x: label of the x axis.
        log: whether the y axis is logarithmic.
        caption: text below the plot, Markdown.
    """
    figure = Figure(figsize=(4.4 * len(panels), 3.0), dpi=80, layout="constrained")
    plots = np.atleast_1d(figure.subplots(1, len(panels)))
    for axes, (title, curves) in zip(plots, panels.items(), strict=True):
        for label, values in curves.items():
            points = np.array(values if np.ndim(values) == 2 else list(enumerate(values, 1)), float)
            axes.plot(*points.T, label=label, marker="." if len(points) < 12 else None)
        axes.set(title=title, xlabel=x, yscale="log" if log else "linear")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    show_figure(figure, caption)


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
