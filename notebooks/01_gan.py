# %% [markdown]
# # 1. GAN: two networks play a game
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/01_gan.ipynb)
#
# A **generator** $G$ turns random numbers $z$ into an image $G(z)$. A **discriminator** $D$ looks at an image and says how sure it is
# that the image is real. $D$ is trained to tell the two kinds apart, $G$ is trained to be taken for real. Nobody tells $G$ what a
# digit looks like: all it ever learns comes through $D$.
#
# Paper: Goodfellow et al., *Generative Adversarial Networks*, 2014, [arXiv 1406.2661](https://arxiv.org/abs/1406.2661).
#
# You will train a GAN on 1,797 real handwritten digits, read its curves, and then break it in three ways, on purpose.

# %%
FULL = False  # True: the real preset gan_mnist (downloads MNIST once; 6.5 minutes on two CPU cores)

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
from tfgan_zoo import losses
from tfgan_zoo.data import pipeline
from tfgan_zoo.data.datasets import load_for_experiment
from tfgan_zoo.losses import OBJECTIVES
from tfgan_zoo.models import gan
from tfgan_zoo.models.adversarial import AdversarialModel
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
# ## The game
#
# $D(x)$ is a probability. With $p$ the distribution of real images and $q$ that of generated ones, the paper's two players want
#
# $$\min_G \max_D \; V(D, G) = \mathbb{E}_{x \sim p} \log D(x) + \mathbb{E}_{z} \log\bigl(1 - D(G(z))\bigr).$$
#
# Suppose $G$ stands still. Then the best $D$ is known in closed form,
#
# $$D^*(x) = \frac{p(x)}{p(x) + q(x)},$$
#
# and what it leaves to $G$ is $V(D^*, G) = 2 \, \mathrm{JSD}(p, q) - \log 4$, with the Jensen-Shannon divergence, which is 0 only for
# $p = q$. So the game has the right winner: at its end $G$ makes real-looking images, and $D$ says $1/2$ to everything.
#
# In code $D$ gives a **logit** $l$, and the sigmoid $\sigma(l) = D(x)$ is part of the loss. $D$ descends
#
# $$L_D = -\mathbb{E} \log \sigma(l_\text{real}) - \mathbb{E} \log\bigl(1 - \sigma(l_\text{fake})\bigr), \qquad
# L_D = 2 \log 2 \approx 1.386 \text{ where } D \text{ knows nothing.}$$
#
# $G$ could descend $\mathbb{E} \log(1 - \sigma(l_\text{fake}))$, the game as it stands. The paper says in section 3 why it is better
# off with
#
# $$L_G = -\mathbb{E} \log \sigma(l_\text{fake}) \qquad (\log 2 \approx 0.693 \text{ where } D \text{ knows nothing}).$$
#
# The next picture shows the reason: the slope of both losses, as $G$ feels it. While $D$ is sure that the fakes are fake ($l < 0$, the
# beginning of every training), the first one is flat: $G$ learns least when it is worst.

# %%


logits = tf.linspace(-8.0, 8.0, 100)
slopes = {}
for name in ("minimax", "non_saturating"):
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = OBJECTIVES[name].generator(logits) * len(logits)  # the loss is a mean
    slopes[name] = np.stack([logits, tape.gradient(loss, logits)], axis=1)
curves({"slope of G's loss": slopes}, x="logit of a generated image")

# %% [markdown]
# ## The training step
#
# This is the step that trains every adversarial model of the zoo, from the source itself. Read `losses` first: `z`, `fake`, the logits
# of both kinds, and one loss for each player. `descend` moves every player along its own loss, both **from the same point**: one pass
# of $G$ serves both. The rest are options which later papers added, all off here.

# %%


show(AdversarialModel.compute_losses, AdversarialModel.train_step)

# %% [markdown]
# The losses themselves are pure functions of logits. $\log(1 + e^l)$ is called softplus, and $-\log \sigma(l) = \mathrm{softplus}(-l)$.

# %%


show(losses.non_saturating_discriminator, losses.non_saturating_generator)

# %% [markdown]
# The networks are perceptrons: no convolution yet, every pixel is connected with everything. `maxout` is the largest of several linear
# functions, the authors' choice for $D$.

# %%


show(gan.generator, gan.discriminator)

# %% [markdown]
# ## Before training
#
# The real images, and what an untrained $G$ makes of 16 draws of $z$. `sample` takes a seed: the same seed, the same images.

# %%
preset = choose("gan_tiny", "gan_digits", "gan_mnist")
experiment = tfgan_zoo.experiment(preset)
real = load_for_experiment(experiment)
print(real.description)
look(real.images[:32], columns=16)

untrained = build_model(experiment, tf.distribute.get_strategy())
look(untrained.sample(16, seed=0), columns=16)

# %% [markdown]
# ## Training
#
# One call trains, and writes everything about the run into a folder. It is what the command `tfgan-zoo train gan_digits` does.

# %%
run = train("gan", preset, *choose([], ["train.epochs=300", "train.sample_every=10"], []))

# %% [markdown]
# The same noise in some of the epochs. First a cloud in the middle of the image, where all digits have ink; then strokes; then digits.

# %%
look_back(run, share=0.25)

# %% [markdown]
# ## What to look at while it trains
#
# The losses of a GAN are **no measure of quality**: each is measured against an opponent that changes. What they tell is the balance.
#
# - Healthy: $D$'s loss below 1.386 and well above 0, $G$'s above 0.693; the mean logits some units apart, real above 0 and fake below.
# - $D$'s loss near 0, logits ever further apart: $D$ has won, $G$ is left with nothing to learn from.
# - $D$'s loss near 1.386 with bad images: $D$ sees nothing, so it teaches nothing.
#
# Always look at the samples as well.

# %%
h = losses_of(run)
curves(
    {
        "losses": {
            "D": h["discriminator"],
            "G": h["generator"],
            "D knows nothing": [1.386] * len(h["generator"]),
        },
        "mean logits": {"real": h["real_logits"], "fake": h["fake_logits"]},
    }
)

# %%
model = tfgan_zoo.load(run)
look(model.sample(64, seed=1), columns=16)

# %% [markdown]
# Readable digits, some smudges, and noise in the black: a perceptron has to learn for every pixel by itself that the border is black.
# The next notebook mends that. Also count the kinds: some digits come more often than others, which is mode collapse in its mild form.
#
# ## What goes wrong, and how one sees it
#
# Three short trainings. `quick` trains without writing anything.

# %%
epochs = f"train.epochs={choose(2, 60, 20)}"
balanced, balanced_losses = quick(preset, epochs)
weak, weak_losses = quick(
    preset, epochs, "model.discriminator_learning_rate=1e-5"
)  # D is 20 times slower
dead, dead_losses = quick(
    preset, epochs, "model.learning_rate=5e-3", "model.discriminator_learning_rate=2e-4"
)  # G leaps

print(f"real images: a pixel deviates by {real.images.std(axis=0).mean():.1f} of 255 levels")
for name, player in {"balanced": balanced, "weak D": weak, "G leaps": dead}.items():
    images = player.sample(200, seed=0)
    print(
        f"{name}: over 200 samples a pixel deviates by {images.std(axis=0).mean():.1f} of 255 levels"
    )
    look(images[:16], columns=16)

# %%
compared = {"balanced": balanced_losses, "weak D": weak_losses, "G leaps": dead_losses}
curves(
    {
        "D's loss": {name: h["discriminator"] for name, h in compared.items()},
        "real minus fake logit": {
            name: np.subtract(h["real_logits"], h["fake_logits"]) for name, h in compared.items()
        },
    }
)

# %% [markdown]
# - **Weak discriminator: mode collapse.** $G$ moves to whatever $D$ likes best at the moment, whatever $z$ is, and $D$ takes too long
#   to notice. Its loss falls towards 1.386 and stays above: no better than guessing, on paper the end of the game, in fact its
#   opposite. The samples tell, and so does their deviation: the nearer to 0, the more they are all one.
# - **G leaps: a dead game.** $G$'s first leaps have driven its $\tanh$ into pure black and white. $D$ knows these images at a glance:
#   the logits part by tens, $D$'s loss is 0 to all digits. The non-saturating loss still has slope $-1$ in the logit, but on its way
#   to $G$'s weights the gradient has to pass the $\tanh$, which is flat there. $G$ never comes back.
#
# `train` warns of both. This is the check; `diagnose` runs after every epoch.

# %%
show(AdversarialModel.diagnose)
for name, player in {"balanced": balanced, "G leaps": dead}.items():
    print(name, player.diagnose({key: values[-1] for key, values in compared[name].items()}))

# %% [markdown]
# ## Exercises
#
# 1. Train with `model.objective=minimax`. On this small problem it works nearly as well. Where should the picture of the slopes hurt
#    it, and why does it not here? (Look at the logits of the fakes: how far below 0 do they get?)
# 2. `model.latent_dim=2`: what does the GAN lose? Walk through the plane: `tfgan-zoo interpolate runs/... --path manifold`.
# 3. Bring the collapsed GAN back to life without touching the learning rates: try `model.discriminator_steps=5`.
# 4. Derive $D^*$: for one $x$, maximise $p \log d + q \log(1 - d)$ over $d$.
# 5. Set `FULL = True`, and compare the noise in the black of MNIST's digits.
