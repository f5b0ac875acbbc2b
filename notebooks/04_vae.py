# %% [markdown]
# # 4. VAE: describing the data, not deceiving a judge
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/04_vae.ipynb)
#
# No game here. A **decoder** says how probable an image is, given a code $z$; an **encoder** says which codes an image may have come
# from. Both are trained together towards one number, a lower bound of $\log p(x)$. So there is a loss that means something, and every
# image has a place.
#
# Paper: Kingma, Welling, *Auto-Encoding Variational Bayes*, 2013, [arXiv 1312.6114](https://arxiv.org/abs/1312.6114).

# %%
FULL = False  # True: the real preset vae_mnist (downloads MNIST once; 19 minutes on two CPU cores)

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
from tfgan_zoo.inference.latent_walk import latent_walk, reconstruct, reconstruction_images
from tfgan_zoo.models import vae
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
# ## The bound
#
# The model is $p(x) = \int p(x|z) \, p(z) \, dz$ with $p(z) = N(0, I)$. The integral has no closed form, and guessing codes at random
# hardly ever hits one that explains $x$. So a second network proposes codes: $q(z|x) = N(\mu(x), \operatorname{diag} \sigma^2(x))$.
# For any such $q$,
#
# $$\log p(x) = \underbrace{\mathbb{E}_{q(z|x)} \log p(x|z) - \mathrm{KL}\bigl(q(z|x) \,\|\, p(z)\bigr)}_{\text{ELBO}}
# + \underbrace{\mathrm{KL}\bigl(q(z|x) \,\|\, p(z|x)\bigr)}_{\ge 0}.$$
#
# The last term is not known, but it is not negative: the ELBO is a lower bound, and we push it up. Its first part wants good
# reconstructions; its second wants all codes together to look like $N(0, I)$, so that one can sample. For Gaussians it is a formula:
#
# $$\mathrm{KL} = \tfrac12 \sum_j \bigl(\mu_j^2 + \sigma_j^2 - \log \sigma_j^2 - 1\bigr).$$
#
# **The reparametrisation.** A draw from $q$ has no gradient. But $z = \mu + \sigma \odot \epsilon$ with $\epsilon \sim N(0, I)$ has:
# the randomness comes from outside, and $\mu$ and $\sigma$ are in an ordinary formula.

# %%


show(
    vae.VAE.train_step, vae.VAE.compute_losses, losses.gaussian_kl, losses.bernoulli_log_likelihood
)

# %% [markdown]
# Pixels are black or white here, drawn anew in every epoch with the grey as probability (`data.binarize=resampled`). Then $p(x|z)$ is
# a coin for each pixel, a *probability* and not a density, and the ELBO is in nats: comparable from paper to paper.
#
# The networks are DCGAN's blocks, $D$ turned into an encoder and $G$ into a decoder.

# %%
show(vae.encoder, vae.decoder)

# %% [markdown]
# ## Training

# %%
preset = choose("vae_tiny", "vae_digits", "vae_mnist")
sizes = choose([], ["train.epochs=24", "train.sample_every=4"], [])
run = train("vae", preset, *sizes)
look_back(run, count=3, share=0.25)

# %%
h = losses_of(run)
curves(
    {
        "ELBO, nats an image": {"ELBO": h["elbo"]},
        "its parts": {"reconstruction": h["reconstruction"], "KL": h["kl"]},
    }
)

# %% [markdown]
# This is a curve to be trusted: higher is better, today and tomorrow. First the reconstructions improve and the KL grows (codes begin
# to carry something), then both find their balance. `active_units` counts the dimensions whose $\mu_j(x)$ differs from image to image:
# here all 16.
#
# Images above, what comes back below; then samples, $z \sim N(0, I)$.

# %%


model = tfgan_zoo.load(run)
images, _ = reconstruction_images(run, model, [], 16, seed=0)
look(reconstruct(model, images), columns=16)
look(model.sample(48, seed=1), columns=16)

# %% [markdown]
# Soft edges are typical of VAEs. The decoder is asked for a probability a pixel; where it is not sure whether a stroke ends here or a
# pixel further, the best answer is grey. A GAN would choose one and be sharp. That some samples are no digit has another reason: codes
# between the regions that training images occupy are drawn, too.
#
# ## What the dimensions mean
#
# One latent dimension a row, from $-3$ to $3$, the others held still.

# %%
look(latent_walk(model, path="traversal", rows=choose(4, 6, 8), steps=13, seed=4), columns=13)

# %% [markdown]
# With two dimensions one can see the whole plane. `manifold` walks it at the quantiles of $N(0, 1)$, so that equal areas have equal
# probability.

# %%
plane, _ = quick(preset, "model.latent_dim=2", f"train.epochs={choose(2, 20, 10)}")
look(latent_walk(plane, path="manifold", steps=11), columns=11, width=500)

# %% [markdown]
# ## What goes wrong, and how one sees it
#
# ### Posterior collapse
#
# The KL costs. If its weight is high, or the decoder is strong enough to do without $z$, the cheapest code is none at all:
# $q(z|x) = N(0, I)$ for every image. The KL is 0, every reconstruction is the mean image, and nothing is wrong with the optimiser.
#
# The weight $\beta$ of the KL (`model.kl_weight`, $\beta$-VAE, Higgins et al. 2017) shows all stages.

# %%
collapse = {}
for beta in choose([1, 30], [0.2, 1, 8, 30], [0.2, 1, 8, 30]):
    player, collapse[beta] = quick(
        preset, *sizes, f"model.kl_weight={beta}", f"train.epochs={choose(2, 12, 5)}"
    )
    last = {name: values[-1] for name, values in collapse[beta].items()}
    print(
        f"beta {beta}: KL {last['kl']:.1f} nats, {last['active_units']:.1f} of {player.config.latent_dim} dimensions active"
    )
    look(np.concatenate([player.reconstruct(images[:8]), player.sample(8, seed=1)]), columns=16)
    for warning in player.diagnose(last).values():
        print("    " + warning)

# %%
curves(
    {
        "KL": {f"beta {beta}": h["kl"] for beta, h in collapse.items()},
        "reconstruction": {f"beta {beta}": h["reconstruction"] for beta, h in collapse.items()},
        "active dimensions": {f"beta {beta}": h["active_units"] for beta, h in collapse.items()},
    }
)

# %% [markdown]
# Left eight reconstructions, right eight samples. A small $\beta$ reconstructs best and samples worst: the codes carry much, and no
# longer look like $N(0, I)$. A large one is the other way round, up to the collapse. Ways out: `model.kl_warmup=5000` lets the weight
# grow from 0, `model.free_bits=0.1` makes so much KL free in every dimension.
#
# ## How good is it, in nats?
#
# The ELBO is a bound. Importance sampling comes nearer to $\log p(x)$ (Burda et al. 2015):
# $\log \frac1k \sum_i p(x|z_i) p(z_i) / q(z_i|x)$ with $z_i \sim q(z|x)$. `evaluate` has it as `nll`.

# %%
with contextlib.redirect_stderr(sys.stdout):
    result = tfgan_zoo.evaluate(
        run,
        metrics=["likelihood"],
        samples=choose(50, 200, 10_000),
        importance_samples=choose(5, 50, 200),
    )
for name, score in result["scores"].items():
    print(f"{name:<20} {score['value']:.2f}")

# %% [markdown]
# These digits have no test split: they are images that the model was trained on, so the number flatters. `FULL = True` uses MNIST's
# test images, where `vae_mnist` reaches 85.1 nats.
#
# ## Exercises
#
# 1. `model.likelihood=gaussian data.binarize=none`: what does the learned `sigma` become? Watch the ELBO leave the range of
#    probabilities.
# 2. `model.classes=10`: a conditional VAE. Which information leaves $z$? (Traverse again.)
# 3. Derive the formula of the KL for one dimension.
# 4. Sample from the codes of the training images instead of $N(0, I)$: `model.generate(mean + noise)`. How much better does it look?
#    What does that say about the prior?
