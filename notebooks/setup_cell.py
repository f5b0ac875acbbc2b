# @title Setup: installs tfgan_zoo where it is missing, and defines a few helpers { display-mode: "form" }
import contextlib
import importlib.metadata
import importlib.util
import inspect
import io
import os
import pathlib
import shutil
import subprocess
import sys

REPOSITORY = "https://github.com/tfgan-zoo/tfgan_zoo"
FAST = (
    os.environ.get("TFGAN_ZOO_FAST") == "1"
)  # the tests of this notebook: a few steps of tiny networks, whose pictures show nothing

if importlib.util.find_spec("tfgan_zoo") is None:  # on Colab, say
    pip = [sys.executable, "-m", "pip"]
    tensorflow = [d.version for d in importlib.metadata.distributions(name="tensorflow")][:1]
    on_tpu = any(
        name in os.environ for name in ("TPU_NAME", "TPU_ACCELERATOR_TYPE", "COLAB_TPU_1VM")
    ) or os.path.exists("/dev/accel0")
    if on_tpu:  # the newest TensorFlow has no TPU build, and the one that has must not stand beside the other
        libtpu = "https://storage.googleapis.com/libtpu-tf-releases/index.html"
        others = [
            "tensorflow-datasets",
            "tensorflow-metadata<1.18",
            "importlib_resources",
            "scikit-learn",
            "matplotlib",
            "pillow",
        ]
        subprocess.run([*pip, "uninstall", "-q", "-y", "tensorflow"], check=True)
        subprocess.run([*pip, "install", "-q", "tensorflow-tpu==2.19.1", "-f", libtpu], check=True)
        subprocess.run([*pip, "install", "-q", "keras>=3.15,<4", *others], check=True)
        subprocess.run([*pip, "install", "-q", "--no-deps", f"git+{REPOSITORY}"], check=True)
    else:  # a TensorFlow that is there stays: it fits the machine's CUDA
        kept = [f"tensorflow=={version}" for version in tensorflow]
        older = (
            ["tensorflow-metadata<1.18"] if tensorflow and tensorflow[0].startswith("2.19.") else []
        )
        extra = "[cuda]" if shutil.which("nvidia-smi") and not tensorflow else ""
        subprocess.run(
            [*pip, "install", "-q", f"tfgan_zoo{extra} @ git+{REPOSITORY}", *kept, *older],
            check=True,
        )

import tfgan_zoo
from tfgan_zoo.data import pipeline
from tfgan_zoo.data.datasets import load_for_experiment
from tfgan_zoo.quiet import start_tensorflow
from tfgan_zoo.runs import build_model, read_experiment, read_metrics
from tfgan_zoo.training.train import train
from tfgan_zoo.visualize import image_grid

start_tensorflow()  # without its notes

import numpy as np
import tensorflow as tf
from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure
from PIL import Image as Picture

tf.get_logger().setLevel("ERROR")


def choose(fast, normal, full):
    """One of three sizes: for the tests, for two CPU cores and two minutes, for the real thing."""
    return full if FULL else fast if FAST else normal


def show(*things):
    """The source of functions, methods or classes, as it is in the package that runs here."""
    for thing in things:
        path = inspect.getsourcefile(thing)
        path = path[path.rindex("tfgan_zoo" + os.sep) :].replace(os.sep, "/")
        display(
            Markdown(
                f"[{path}]({REPOSITORY}/blob/main/{path})\n```python\n{inspect.cleandoc(inspect.getsource(thing))}\n```"
            )
        )


def draw(sheet, width=720):
    """Shows an image uint8 (h, w) or (h, w, 3), enlarged to at most so wide, in few bytes: grey ones in 32 levels, others as JPEG."""
    times, file = min(6, max(1, width // sheet.shape[1])), io.BytesIO()
    if sheet.ndim == 2:
        sheet = (np.round(sheet / 255 * 31) * 255 // 31).astype(np.uint8)
        Picture.fromarray(sheet.repeat(times, 0).repeat(times, 1)).save(file, "PNG", optimize=True)
        display(Image(file.getvalue()))
    else:
        Picture.fromarray(sheet).save(file, "JPEG", quality=85)
        display(Image(file.getvalue(), width=times * sheet.shape[1]))


def look(images, columns=0, width=720):
    """Images uint8 (n, h, w, c) side by side."""
    draw(image_grid(np.stack(images), columns), width)


def look_back(run, count=4, share=1.0):
    """Some pages of RUN/samples, from the first epoch to the last: the upper share of each."""
    found = sorted((run / "samples").glob("epoch_*.png"))
    times = max(1, 112 // read_experiment(run).model.image_size)  # the pages are enlarged
    for path in [
        found[i] for i in sorted({round(i) for i in np.linspace(0, len(found) - 1, count)})
    ]:
        print("epoch", int(path.stem.removeprefix("epoch_")))
        page = np.asarray(Picture.open(path))[::times, ::times]
        draw(page[: round(len(page) * share)], 480)


def curves(panels, x="epoch", log=False):
    """Panels side by side: {title: {line: numbers, or pairs (x, number)}}."""
    figure, file = (
        Figure(figsize=(3.6 * len(panels), 2.5), dpi=75, layout="constrained"),
        io.BytesIO(),
    )
    for axes, (title, lines) in zip(
        np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True
    ):
        for name, values in lines.items():
            points = np.array(values if np.ndim(values) == 2 else list(enumerate(values, 1)), float)
            axes.plot(*points.T, label=name, marker="." if len(points) < 12 else None)
        axes.set(title=title, xlabel=x, yscale="log" if log else "linear")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(file)
    display(Image(file.getvalue()))


def train(name, preset, *changes):
    """`tfgan-zoo train PRESET ...` into runs/NAME_SIZE, which is returned; called again, it finds the run finished."""
    run = pathlib.Path("runs") / f"{name}_{choose('fast', 'normal', 'full')}"
    with contextlib.redirect_stderr(sys.stdout):
        train(preset, *changes, run_dir=run)
    return run


def losses_of(run):
    """The columns of RUN/metrics.csv: {name: numbers by epoch}."""
    rows = read_metrics(run / "metrics.csv")
    return {name: [float(row[name]) for row in rows if row[name]] for name in rows[0]}


def quick(preset, *changes):
    """A model of a preset after its training, and its losses {name: numbers by epoch}; nothing is written."""
    experiment = tfgan_zoo.experiment(preset, *changes)
    images, settings = load_for_experiment(experiment), experiment.train
    model = build_model(experiment, tf.distribute.get_strategy())
    size = experiment.data.batch_size * model.batches_per_step
    steps = settings.steps_per_epoch or pipeline.steps_per_epoch(images, size)
    batches = pipeline.batches(
        images,
        experiment.data,
        settings.seed,
        size,
        steps_per_epoch=steps,
        labels=model.needs_labels,
    )
    return model, model.fit(
        batches, steps_per_epoch=steps, epochs=settings.epochs, shuffle=False, verbose=0
    ).history
