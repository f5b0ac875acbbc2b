# %% [markdown]
# # 8. How good is it? Measuring generated images
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/08_evaluation.ipynb)
#
# A loss of a GAN says nothing about quality, and looking at 64 samples says nothing about what is missing. So one measures. Every
# measure can be fooled, though, so before you trust an instrument, hold it against things that you know. That is what this notebook
# does: **real images, damaged in known ways**, and then a model.

# %%
FULL = False  # True: MNIST in place of the embedded digits (downloads it once), 10,000 images on either side

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
from tfgan_zoo.data import builtin_images, pipeline
from tfgan_zoo.data.datasets import load_for_experiment, load_images
from tfgan_zoo.features.metric_networks import load_metric_network
from tfgan_zoo.metrics import classifier_score, frechet, kernel, memorization, neighbors, similarity
from tfgan_zoo.metrics.score import format_table
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
# ## The instruments
#
# Images go through a network; what it sees of $n$ real and $m$ generated images, vectors $\phi(x) \in \mathbb{R}^d$, is compared.
#
# **Fréchet distance** (Heusel et al. 2017; with Inception's features it is called FID). As if both were Gaussians:
#
# $$\|\mu_r - \mu_g\|^2 + \operatorname{tr}\bigl(C_r + C_g - 2 (C_r C_g)^{1/2}\bigr).$$
#
# **Kernel distance** (KID, Binkowski et al. 2018). No Gaussians and no bias: the squared MMD with $k(a, b) = (a \cdot b / d + 1)^3$.
# It may be slightly negative.
#
# **Classifier score** (IS, Salimans et al. 2016): $\exp \mathbb{E}_x \mathrm{KL}(p(y|x) \,\|\, p(y))$. Each image clearly of one
# class, all classes there: at most the number of classes. It never looks at a real image.
#
# **Precision and recall** (Kynkäänniemi et al. 2019). A ball around each image, as large as the distance to its 5th neighbour of its
# own kind. Precision: how many generated images lie in a ball of real ones. Recall: how many real ones lie in a ball of generated
# ones. **Density** and **coverage** (Naeem et al. 2020) are the same idea, robust to single outliers.

# %%


show(frechet.frechet_distance, classifier_score, neighbors.precision_recall_density_coverage)

# %% [markdown]
# The network is our digit classifier, which comes with the package.

# %%
size = choose(16, 28, 28)
config = tfgan_zoo.DataConfig(
    dataset=choose("digits", "digits", "mnist"), limit=choose(400, 0, 20_000)
)
images = load_images(config, size, 1)
order = np.random.default_rng(0).permutation(len(images))
half = len(images) // 2
reference, other = images.images[order[:half]], images.images[order[half:]]
labels = images.labels[order[half:]]
network = load_metric_network("digits")
seen = network(reference)[0]
print(
    f"{half} real images as the reference, {len(other)} others to damage; features of {seen.shape[1]} numbers"
)

# %% [markdown]
# ## Known damage
#
# Each row is one way to be a bad generator.

# %%
random = np.random.default_rng(1)
blurred = tf.nn.avg_pool2d(tf.cast(other, tf.float32), 3, 1, "SAME").numpy()
damaged = {
    "other real images": other,
    "blurred": blurred.astype(np.uint8),
    "noise added": np.clip(other + random.normal(0, 40, other.shape), 0, 255).astype(np.uint8),
    "5 of 10 kinds": other[labels < 5],
    "30 images, copied": other[random.integers(0, 30, len(other))],
    "the training images": reference[random.permutation(half)],
}
print("\n".join(damaged))
look(np.concatenate([some[:14] for some in damaged.values()]), columns=14)

# %%
print(
    f"{'':<22}{'Fréchet':>9}{'KID':>8}{'score':>7}{'precision':>11}{'recall':>8}{'density':>9}{'coverage':>10}"
)
for name, some in damaged.items():
    found, probabilities = network(some)
    score = classifier_score(probabilities)[0]
    near = neighbors.precision_recall_density_coverage(seen, found)
    print(
        f"{name:<22}{frechet.frechet_distance(seen, found):9.2f}{kernel.kernel_distance(seen, found)[0]:8.2f}{score:7.2f}"
        f"{near['precision']:11.2f}{near['recall']:8.2f}{near['density']:9.2f}{near['coverage']:10.2f}"
    )

# %% [markdown]
# Read it column by column.
#
# - The first row is the **real reference**: other real images in the generator's place. No model can be expected to do better, and 0 is not to
#   be had. `evaluate` prints this row beside every score.
# - Half of the kinds: *precision* does not notice, *recall* and *coverage* do. The *Fréchet distance* rises, without saying why.
# - 30 images, copied again and again: the *classifier score* is content. It asks for clear images of many classes, and 30 are enough.
#   *Recall* is 0: hardly any real image lies near one of the 30.
# - The training images themselves have the best scores of all, better than the real reference. **None of these measures sees a copy.**
# - Blur and noise: how much they count depends on what the network was trained to ignore. This classifier has never seen a grey
#   background, and so the noise, which no eye minds, has by far the worst scores of all. A measure is a network's opinion.
#
# ## How many images?
#
# The Fréchet distance of two samples of the *same* distribution is not 0, and the fewer images, the larger. So compare at equal
# numbers only.

# %%
counts = [n for n in (30, 60, 120, 250, 500, 900, 2500, 10_000) if n <= half]
pairs = {n: (network(reference[:n])[0], network(other[:n])[0]) for n in counts}
curves(
    {
        "Fréchet distance, real to real": {
            "biased": [(n, frechet.frechet_distance(*pair)) for n, pair in pairs.items()]
        },
        "kernel distance, real to real": {
            "unbiased": [(n, kernel.kernel_distance(*pair)[0]) for n, pair in pairs.items()]
        },
    },
    x="images on either side",
)

# %% [markdown]
# A model that is measured with 50,000 images beats one measured with 5,000 without being better. The kernel distance has no such
# slope: it scatters near 0 at every number (mind the scales).
#
# ## Has it learnt them by heart?
#
# For that one looks at the nearest training image. What is near? As near as *held-out real* images come.

# %%
for name in ("other real images", "30 images, copied", "the training images"):
    distances, _ = memorization.nearest_images(damaged[name][:300], reference)
    print(
        f"{name:<22} median distance to the nearest training image {np.median(distances):.2f}, nearest {distances.min():.2f}"
    )

# %% [markdown]
# ## A model
#
# A short DCGAN, measured while it trains. `train.best` keeps the best epoch, by a score and not by a loss.

# %%
preset = choose("dcgan_tiny", "dcgan_digits", "dcgan_mnist")
every = choose(2, 4, 1)
measured = [
    f"train.evaluate_every={every}",
    "train.evaluate_metrics=frechet,classifier_score,precision_recall",
    f"train.evaluate_samples={choose(50, 500, 2000)}",
    "train.best=frechet_distance",
]
run = train(
    "measured",
    preset,
    *choose([], ["model.width=16", "train.epochs=32", "train.sample_every=4"], []),
    *measured,
)
h = losses_of(run)


def at_epochs(values):
    return [(every * (i + 1), value) for i, value in enumerate(values)]


curves(
    {
        "losses": {"D": h["discriminator"], "G": h["generator"]},
        "Fréchet distance": {"samples": at_epochs(h["eval_frechet_distance"])},
        "of 1": {
            name: at_epochs(h[f"eval_{name}"]) for name in ("precision", "recall", "coverage")
        },
    }
)

# %% [markdown]
# The losses are flat long before the images stop to improve. Now everything that can be measured, once, at the end; `real images` is
# the real reference.

# %%


with contextlib.redirect_stderr(sys.stdout):
    result = tfgan_zoo.evaluate(run, samples=choose(50, 800, 10_000))
print(format_table(result))
for warning in result["warnings"]:
    print("warning:", warning)

# %% [markdown]
# With the table comes a picture of the generated images that are nearest to a training image: above ours, below theirs. Are these
# copies? They are much alike; but so are two real digits of 8x8 pixels, and the table says how much: the median distance to the
# nearest training image is larger than between real images, and none is nearer than the nearest 1 % of those.

# %%
(picture,) = (run / "evaluation").glob("*_nearest.png")
draw(np.asarray(Picture.open(picture))[::3, ::3])

# %% [markdown]
# ## When the truth is known: PSNR and SSIM
#
# Translations (notebooks 5 and 6) have a right answer, and then one can compare pixel by pixel. This has traps of its own. What is
# worse, a picture that is shifted by one pixel, or one that is blurred?

# %%


photo = builtin_images.photograph("china")[100:228, 200:328]
shifted = np.roll(photo, 1, axis=1)
soft = tf.nn.avg_pool2d(tf.cast(photo[None], tf.float32), 3, 1, "SAME").numpy()[0].astype(np.uint8)
for name, found in {"shifted by a pixel": shifted, "blurred": soft}.items():
    psnr, ssim = (
        similarity.psnr(photo[None], found[None])[0],
        similarity.ssim(photo[None], found[None])[0],
    )
    print(f"{name:<20} PSNR {psnr:.1f} dB   SSIM {ssim:.3f}")
look([photo, shifted, soft], columns=3, width=450)

# %% [markdown]
# To the eye the shifted one is perfect. By the numbers it is the worse one: they compare places. So a translator that gets textures
# right in slightly other places is punished, and one that blurs is praised. Report such numbers beside simple ways, and look at the
# pictures.
#
# ## Rules of thumb
#
# 1. A score without the number of images, the network and the real reference is no number.
# 2. One seed cannot rank two methods. Train three times before you say "better".
# 3. Precision *and* recall, never one.
# 4. Choose the epoch on other images than the ones that you report on, if there are any.
# 5. Look for copies.
#
# ## Exercises
#
# 1. Measure GAN, CGAN and VAE of the other notebooks. Which one has the best precision, which one the best recall? Why?
# 2. Find an image set with a classifier score near 10 that contains no digit (start from noise and ascend the score's gradient).
# 3. Two evaluations with one seed are equal. How much do they differ with seeds 0, 1, 2? (`seed=`)
# 4. Plot the Fréchet distance over $1/n$ and extrapolate to $1/n = 0$ (Chong & Forsyth 2020).
