# %% [markdown]
# # 5. Pix2Pix: translating images, learnt from pairs
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/05_pix2pix.ipynb)
#
# Label map to photograph, drawing to shoe, grey to colour: one network for all of them, if there are **pairs** to learn from. The
# condition of notebook 3 becomes a whole image.
#
# Paper: Isola, Zhu, Zhou, Efros, *Image-to-Image Translation with Conditional Adversarial Networks*, 2016,
# [arXiv 1611.07004](https://arxiv.org/abs/1611.07004).
#
# The data are facades drawn by rules of ours: label maps and their "photographs", without end and without a download. The right answer
# is known, so translations can be scored.

# %%
FULL = False  # True: the real preset pix2pix_facades_synthetic (128 pixels; 15 minutes on two CPU cores)

# %% jupyter={"source_hidden": true} tags=["setup"]
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
from tfgan_zoo.data.datasets import load_evaluation_images, load_for_experiment
from tfgan_zoo.metrics.score import format_table
from tfgan_zoo.models import pix2pix
from tfgan_zoo.models.blocks import patch_discriminator
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


# %% [markdown]
# ## The idea
#
# Why not simply minimise the error $\mathbb{E}\,\|y - G(x)\|_1$? Because a label map does not say where exactly the shadow falls.
# Where several answers are possible, the one with the least absolute error is their median: a blur that no photograph shows. A
# discriminator knows at once that photographs are not blurred. So the error keeps $G$ near the truth, and $D$ makes it choose:
#
# $$\min_G \max_D \; \mathbb{E} \log D(x, y) + \mathbb{E} \log\bigl(1 - D(x, G(x))\bigr) + \lambda \, \mathbb{E} \, \|y - G(x)\|_1,
# \qquad \lambda = 100.$$
#
# Two more ideas make it work:
#
# - **U-Net.** Input and output have their edges in the same places. Skip connections carry them past the bottleneck.
# - **PatchGAN.** $D$ gives a logit for every patch (70 pixels in the paper), not one for the image. The large forms are the $L_1$
#   term's business; $D$ looks after texture, with fewer parameters and for images of any size.
#
# There is no $z$ here: the noise is dropout in $G$.

# %%


show(pix2pix.Pix2Pix.compute_losses, pix2pix.generator)

# %% [markdown]
# $D$ sees $x$ beside $y$, as more channels: it judges whether the answer is real *and* whether it is an answer to this question.

# %%


show(patch_discriminator)

# %% [markdown]
# ## The data
#
# Above the label maps, below what belongs to them. These are test images, which no training sees.

# %%
preset = choose("pix2pix_tiny", "pix2pix_facades_synthetic", "pix2pix_facades_synthetic")
small = [
    "model.image_size=64",
    "model.downs=6",
    "model.receptive_field=34",
    "train.evaluate_every=0",
    "train.best=",
]
sizes = choose(
    [],
    [*small, "data.limit=800", "train.epochs=4", "model.constant_epochs=2", "model.decay_epochs=2"],
    [],
)
experiment = tfgan_zoo.experiment(preset, *sizes)
test = load_evaluation_images(experiment, "test", 8)
questions, answers = (
    np.stack([test.evaluation_images(i)[side] for i in range(8)]) for side in (0, 1)
)
look([*questions, *answers], columns=8)

# %% [markdown]
# ## Training
#
# One image a step, as in the paper. The pages show, from top: $x$, $G(x)$, the truth.

# %%
run = train("pix2pix", preset, *sizes)
look_back(run, count=2)

# %%
h = losses_of(run)
curves(
    {
        "D, and G's adversarial term": {"D": h["discriminator"], "G": h["adversarial"]},
        "mean |y - G(x)| in [-1, 1]": {"L1": h["l1"]},
    }
)

# %% [markdown]
# Here one curve can be read directly: the $L_1$ term is a distance to the truth. $D$'s loss is halved (the authors' choice, to slow it
# down), so that "knows nothing" is 0.69.
#
# ## How good is it?
#
# `evaluate` compares with the truth, and with **simple ways** that need no network: copy the input; always give the mean image;
# replace every colour by the mean colour that training pairs have in its place; match the histogram. A network that does not beat them
# has learnt nothing worth its time.

# %%


with contextlib.redirect_stderr(sys.stdout):
    result = tfgan_zoo.evaluate(run, samples=choose(50, 50, 100))
print(format_table(result))

# %% [markdown]
# `l1` is in levels of 255. A minute of training beats the simple ways here, at 64 pixels; the real preset has 128 and reaches 11.4,
# where the best of them has 20.3.
# The first page is soft and faintly striped (upsampling, see notebook 2); walls and roofs come first, the panes of the windows last.
#
# ## What goes wrong, and how one sees it
#
# ### One term without the other
#
# Three short trainings: the error alone (a weight so large that the adversarial term is nothing beside it: Adam does not care about
# the scale of a loss), the game alone, and both.

# %%
steps = choose(2, 400, 1500)
short = [*sizes, f"train.steps_per_epoch={steps}", "train.epochs=1"]
variants = {
    "L1 alone": "model.l1_weight=100000",
    "game alone": "model.l1_weight=0",
    "both": "model.l1_weight=100",
}
rows = [questions]
for name, change in variants.items():
    player, _ = quick(preset, *short, change)
    found = player.translate(questions)
    error = np.abs(found.astype(int) - answers).mean()
    print(f"{name:<12} mean error {error:.1f} of 255")
    rows.append(found)
print("from top:", ", ".join(["question", *variants, "truth"]))
look(np.concatenate([*rows, answers]), columns=8)

# %% [markdown]
# Look at textures and at edges. The error alone is smooth. The game alone has contrast, a grid, and is the farthest from the truth.
# And both? So early there is hardly a difference to the error alone: with $\lambda = 100$ it is the error that leads at first, and the
# game refines. The pages of the longer training show what it adds; the paper's figure 4 compares at the end.
#
# ### "The same image comes out differently every time"
#
# The authors' code leaves dropout on at test time (it is the model's only noise), and batch norm as in training. Users took it for a
# bug. Here a translation is a function of the image, unless one asks for the noise. How much does it change?

# %%
player, _ = quick(preset, *short, "model.test_dropout=true")
first, second = (player.translate(questions, seed=seed).astype(int) for seed in (0, 1))
print(f"between two draws of dropout: {np.abs(first - second).mean():.1f} levels of 255")
print(f"between a draw and the truth: {np.abs(first - answers).mean():.1f} levels of 255")

# %% [markdown]
# Little, as the paper says of its own noise: $G$ learns to ignore it. One answer to each question, although many are possible: that is
# a limit of the method, not a mistake of the training.
#
# ### Other signs
#
# - The same blot in every output: $G$ ignores the input. Look at whether the outputs differ as the inputs do.
# - A regular grid: checkerboards of the transposed convolutions (notebook 2). `model.upsampling=resize` has none.
# - Black or grey images from the first epoch on: batch norm at a bottleneck of one pixel and one image a batch erases everything (the
#   mean of one number is that number). The generator above has none there.
#
# ## Any size, tiles, your own pictures
#
# A translation takes any size and gives it back. `tfgan-zoo translate RUN photos -o out` does it for files and folders.

# %%
wide = np.concatenate([questions[0], questions[1][:, :23]], axis=1)[:-5]
print(wide.shape, "->", tfgan_zoo.load(run).translate(wide).shape)

# %% [markdown]
# ## Exercises
#
# 1. `data.direction=yx`: photographs to labels. Which way is easier, and why? (`evaluate` counts right labels.)
# 2. `model.receptive_field=1` (a "PixelGAN") and `16`: what can $D$ no longer enforce?
# 3. Remove the skips in your mind: how many numbers does the innermost layer have? Could it hold an image?
# 4. Colour your own photographs: `tfgan-zoo train pix2pix_folder_128 data.path=photos data.derive=grey model.x_channels=1`.
