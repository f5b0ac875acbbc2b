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
# @title Setup: install tfgan_zoo if it is missing, import helper functions { display-mode: "form" }
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys

REPOSITORY = "https://github.com/tfgan-zoo/tfgan_zoo"

if importlib.util.find_spec("tfgan_zoo") is None:  # for example on Colab
    pip = [sys.executable, "-m", "pip"]
    tensorflow = [d.version for d in importlib.metadata.distributions(name="tensorflow")][:1]
    on_tpu = os.path.exists("/dev/accel0") or any(
        name in os.environ for name in ("TPU_NAME", "TPU_ACCELERATOR_TYPE", "COLAB_TPU_1VM")
    )
    if on_tpu:  # the newest TensorFlow has no TPU build, and tensorflow-tpu must replace tensorflow
        libtpu = "https://storage.googleapis.com/libtpu-tf-releases/index.html"
        packages = ["tensorflow-datasets", "tensorflow-metadata<1.18", "importlib_resources"]
        packages += ["scikit-learn", "matplotlib", "pillow", "keras>=3.15,<4"]
        subprocess.run([*pip, "uninstall", "-q", "-y", "tensorflow"], check=True)
        subprocess.run([*pip, "install", "-q", "tensorflow-tpu==2.19.1", "-f", libtpu], check=True)
        subprocess.run([*pip, "install", "-q", *packages], check=True)
        subprocess.run([*pip, "install", "-q", "--no-deps", f"git+{REPOSITORY}"], check=True)
    else:  # keep the installed TensorFlow, which fits the CUDA of this machine
        pins = [f"tensorflow=={version}" for version in tensorflow]
        if tensorflow and tensorflow[0].startswith("2.19."):
            pins.append("tensorflow-metadata<1.18")
        extra = "[cuda]" if shutil.which("nvidia-smi") and not tensorflow else ""
        package = f"tfgan_zoo{extra} @ git+{REPOSITORY}"
        subprocess.run([*pip, "install", "-q", package, *pins], check=True)

import tfgan_zoo
from tfgan_zoo.tools.notebook import (
    choose,
    evaluate_run,
    plot_curves,
    read_losses,
    set_up,
    show_image,
    show_images,
    show_samples,
    show_source,
    train_in_memory,
    train_run,
)

set_up(full=FULL)


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
from tfgan_zoo.metrics import classifier_score, frechet, neighbors

show_source(frechet.frechet_distance, classifier_score, neighbors.precision_recall_density_coverage)

# %% [markdown]
# The network is our digit classifier, which comes with the package.

# %%
import numpy as np

from tfgan_zoo.data.datasets import load_images
from tfgan_zoo.features.metric_networks import load_metric_network

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
import tensorflow as tf

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
show_images(np.concatenate([some[:14] for some in damaged.values()]), columns=14)

# %%
from tfgan_zoo.metrics import kernel

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
plot_curves(
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
from tfgan_zoo.metrics import memorization

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
run = train_run(
    "measured",
    preset,
    *choose([], ["model.width=16", "train.epochs=32", "train.sample_every=4"], []),
    *measured,
)
h = read_losses(run)


def at_epochs(values):
    return [(every * (i + 1), value) for i, value in enumerate(values)]


plot_curves(
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
import sys

result = evaluate_run(run, samples=choose(50, 800, 10_000))
for warning in result["warnings"]:
    print("warning:", warning)

# %% [markdown]
# With the table comes a picture of the generated images that are nearest to a training image: above ours, below theirs. Are these
# copies? They are much alike; but so are two real digits of 8x8 pixels, and the table says how much: the median distance to the
# nearest training image is larger than between real images, and none is nearer than the nearest 1 % of those.

# %%
from PIL import Image as Picture

(picture,) = (run / "evaluation").glob("*_nearest.png")
show_image(np.asarray(Picture.open(picture))[::3, ::3])

# %% [markdown]
# ## When the truth is known: PSNR and SSIM
#
# Translations (notebooks 5 and 6) have a right answer, and then one can compare pixel by pixel. This has traps of its own. What is
# worse, a picture that is shifted by one pixel, or one that is blurred?

# %%
from tfgan_zoo.data import builtin_images
from tfgan_zoo.metrics import similarity

photo = builtin_images.photograph("china")[100:228, 200:328]
shifted = np.roll(photo, 1, axis=1)
soft = tf.nn.avg_pool2d(tf.cast(photo[None], tf.float32), 3, 1, "SAME").numpy()[0].astype(np.uint8)
for name, found in {"shifted by a pixel": shifted, "blurred": soft}.items():
    psnr, ssim = (
        similarity.psnr(photo[None], found[None])[0],
        similarity.ssim(photo[None], found[None])[0],
    )
    print(f"{name:<20} PSNR {psnr:.1f} dB   SSIM {ssim:.3f}")
show_images([photo, shifted, soft], columns=3, width=450)

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
