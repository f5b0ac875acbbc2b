# %% [markdown]
# # 6. CycleGAN: translating without pairs
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/06_cyclegan.ipynb)
#
# There are no pairs of a photograph and Monet's painting of the same minute. There are two **heaps**. CycleGAN learns to translate
# between them, and back.
#
# Paper: Zhu, Park, Isola, Efros, *Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks*, 2017,
# [arXiv 1703.10593](https://arxiv.org/abs/1703.10593).

# %%
FULL = False  # True: the real preset cyclegan_facades_synthetic (64 pixels; 45 minutes on two CPU cores)

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
from tfgan_zoo.models import cyclegan
from tfgan_zoo.models.blocks import resnet_generator
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
# A discriminator for the domain $Y$ can force $G$ to make images that look like $Y$. It cannot force $G(x)$ to have anything to do
# with $x$: without pairs nobody knows what belongs together. A map that gives every horse *some* zebra would satisfy it.
#
# So learn the way back as well, $F: Y \to X$, and ask that one comes home:
#
# $$L_\text{cycle} = \mathbb{E}\,\|F(G(x)) - x\|_1 + \mathbb{E}\,\|G(F(y)) - y\|_1.$$
#
# To be able to come home, $G(x)$ must still contain $x$. With the least-squares game on both sides,
#
# $$\min_{G, F} \; \mathbb{E}\,(D_Y(G(x)) - 1)^2 + \mathbb{E}\,(D_X(F(y)) - 1)^2 + 10 \, L_\text{cycle} + 5 \, L_\text{identity},$$
#
# where the identity loss $\mathbb{E}\,\|G(y) - y\|_1 + \mathbb{E}\,\|F(x) - x\|_1$ says that what is already there stays as it is (it
# keeps the colours).
#
# Mind what this does *not* say: which translation is right. If plaster and stone change places on the way there and again on the way
# back, all losses are content.

# %%


show(cyclegan.CycleGAN.compute_losses)

# %% [markdown]
# Four networks, two players. The discriminators look at a **history** of 50 images, not only at the newest: otherwise the players run
# in circles, $D$ forgetting what it had already learnt to refuse.

# %%
show(cyclegan.ImagePool.call, resnet_generator)

# %% [markdown]
# ## Two heaps
#
# Label maps, and photographs of *other* facades. The rows are two heaps; a column has nothing in common.

# %%
preset = choose("cyclegan_tiny", "cyclegan_facades_synthetic", "cyclegan_facades_synthetic")
small = ["model.image_size=32", "model.width=16", "model.blocks=3", "data.limit=400"]
sizes = choose(
    [], [*small, "train.epochs=4", "model.constant_epochs=2", "model.decay_epochs=2"], []
)
experiment = tfgan_zoo.experiment(preset, *sizes)
heaps = load_for_experiment(experiment)
look([heaps.evaluation_images(i)[side] for side in (0, 1) for i in range(10)], columns=10)

# %% [markdown]
# ## Training
#
# The pages show six rows: $x$, $G(x)$, $F(G(x))$, then $y$, $F(y)$, $G(F(y))$. The third should come back to the first, the sixth to
# the fourth.

# %%
run = train("cyclegan", preset, *sizes)
look_back(run, count=2)

# %%
h = losses_of(run)
curves(
    {
        "the game": {"D": h["discriminator"], "G, adversarial": h["adversarial"]},
        "there and back": {"cycle": h["cycle"], "identity": h["identity"]},
    }
)

# %% [markdown]
# What to look at: the cycle loss must fall, but it says nothing about the translation (a mere copy has 0). For least squares, $D$ sure
# of nothing gives 1/2 to all, a loss of $2 \cdot \frac14 = 0.5$ for both discriminators together; far below, it has won.
#
# ## How good is it?
#
# Usually nobody knows. Here the facades are drawn, so the test set has the truth, which training never saw. `colours` is the simple
# way that has seen pairs; `cycle_l1` is the way home.

# %%


with contextlib.redirect_stderr(sys.stdout):
    result = tfgan_zoo.evaluate(run, samples=choose(50, 50, 100))
print(format_table(result))

# %% [markdown]
# Be strict with it: after a minute on 32 pixels the *mean image* still has the smaller error, and only the copy is clearly beaten.
# What has been learnt is on the pages: sky to sky, wall to wall, rows of windows to rows of windows, not a single sharp one. The real
# preset reaches a mean error of 17.0 from labels to photographs, below the best simple way (20.1), after 45 minutes.
#
# ## What goes wrong, and how one sees it
#
# ### Without the cycle
#
# `model.cycle_weight=0` (the identity loss goes with it: its weight is relative). All else is equal, from the same initial weights.

# %%
steps = choose(2, 400, 1500)
short = [*sizes, f"train.steps_per_epoch={steps}", "train.epochs=1"]
test = load_evaluation_images(experiment, "test", 10)
x, y = (np.stack([test.evaluation_images(i)[side] for i in range(10)]) for side in (0, 1))
rows = [x]
for name, change in {
    "with the cycle": "model.cycle_weight=10",
    "without": "model.cycle_weight=0",
}.items():
    player, losses = quick(preset, *short, change)
    there = player.translate(x)
    back = player.translate(there, "yx")
    rows += [there, back]
    print(
        f"{name:<15} truth {np.abs(there.astype(int) - y).mean():5.1f}   home again {np.abs(back.astype(int) - x).mean():5.1f}   (of 255)"
    )
print("from top: x, with the cycle there and back, without it there and back, the truth")
look(np.concatenate([*rows, y]), columns=10)

# %% [markdown]
# Without the cycle all translations look alike, whatever the question: the one thing that $D$ asks for is texture. With it, roofs and
# floors are where they belong, if dimly.
#
# ### Hidden messages
#
# A well-trained CycleGAN can come home from an image in which you cannot see what it comes home to: $G$ hides $x$ in faint,
# high-frequency patterns (Chu et al. 2017, *CycleGAN, a Master of Steganography*). The test is simple: disturb $G(x)$ by noise that
# nobody would notice, and see how much worse the way home gets.

# %%
model = tfgan_zoo.load(run)
there = model.translate(x)
for levels in (0, 2, 8, 24):
    noise = np.random.default_rng(0).normal(0, levels, there.shape) if levels else 0.0
    disturbed = np.clip(np.round(there + noise), 0, 255).astype(np.uint8)
    print(
        f"noise of {levels:2} levels: home again within {np.abs(model.translate(disturbed, 'yx').astype(int) - x).mean():.1f} of 255"
    )

# %% [markdown]
# If the error grows by far more than the noise, there was a message. After so little training there is hardly one; repeat it after
# `FULL = True`.
#
# ### Other signs
#
# - $G(x) = x$: the cycle and identity losses are perfect, and $D$ is not fooled. Too much cycle weight, or too short a training.
# - Inverted colours: dark becomes light and light dark, and back. Another seed, or the identity loss.
# - Half of what one wants in both domains: the heaps differ in something that you did not mean (season, crop, black borders). CycleGAN
#   will translate that, too.
#
# ## Exercises
#
# 1. `model.identity_weight=0`: what happens to colours?
# 2. `model.pool_size=0` with three seeds each. Is it worse, or just noisier?
# 3. The way `yx` has *one* right answer a photograph, `xy` many. Where do you see this in the table?
# 4. Two heaps of your own: `tfgan-zoo train cyclegan_folder_256 data.path=paintings data.path_y=photos`.
