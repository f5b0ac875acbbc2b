# %% [markdown]
# # 8. Evaluation: metrics for generated images
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/08_evaluation.ipynb)
#
# **You will learn** to write the usual metrics of generated images in NumPy (Fréchet distance,
# kernel distance, precision and recall), what each of them detects and what it misses, and how to
# evaluate a training so that the numbers can be trusted.
#
# **Prerequisites**: mean and covariance. Notebook 2 (DCGAN) for the last part.
# **Time**: 2 minutes on two CPU cores.
#
# The loss of a GAN is no measure of quality, and 64 samples do not show what is missing. So one
# computes metrics. Every metric has failure cases. This notebook first applies the metrics to
# points in the plane, then to **real images with known defects**, and at last to a model.

# %%
FULL = False  # True: MNIST instead of the embedded digits (downloaded once), 10,000 images each
DRIVE = False  # True on Colab: write runs to Google Drive; after a disconnect run all cells again

# %% jupyter={"source_hidden": true} tags=["setup"]
# @title Install tfgan_zoo if it is missing, for example on Colab { display-mode: "form" }
import importlib.util
import subprocess
import sys

REPOSITORY = "https://github.com/tfgan-zoo/tfgan_zoo"
if importlib.util.find_spec("tfgan_zoo") is None:
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", f"git+{REPOSITORY}"]
    subprocess.run(pip, check=True)
    subprocess.run([sys.executable, "-m", "tfgan_zoo.tools.install"], check=True)


# %%
import matplotlib.pyplot as plt
import numpy as np

import tfgan_zoo
from tfgan_zoo.tools.notebook import (
    choose,
    evaluate_run,
    plot_curves,
    read_losses,
    set_up,
    show_animation,
    show_diagram,
    show_image,
    show_images,
    show_rows,
    train_run,
)

set_up(full=FULL, drive=DRIVE)


# %% [markdown]
# ## The idea
#
# Pixels of two image sets cannot be compared one by one, because a generated image has no right
# answer. So a network, trained to classify, turns each image into a vector of features. Similar
# images get similar features. A metric compares the two *clouds* of vectors.

# %%
show_diagram(
    {
        "real": (0, 1.6, "real images", "#cfe3f5"),
        "fake": (0, 0, "generated images", "#f5d0d0"),
        "network": (1.7, 0.8, "frozen\nclassifier", "#e5e5e5"),
        "a": (3.3, 1.6, "features of\nreal images", "#cfe3f5"),
        "b": (3.3, 0, "features of\ngenerated images", "#f5d0d0"),
        "distance": (5.2, 1.6, "distance of the clouds:\nFréchet, kernel", "#fbe3b5"),
        "overlap": (5.2, 0, "overlap of the clouds:\nprecision, recall", "#fbe3b5"),
        "margin": (5.6, 0.8, ""),
    },
    [
        ("real", "network"),
        ("fake", "network"),
        ("network", "a"),
        ("network", "b"),
        ("a", "distance"),
        ("b", "distance"),
        ("a", "overlap"),
        ("b", "overlap"),
    ],
    caption="All metrics of this notebook compare features, not pixels.",
    size=(9.5, 2.8),
)

# %% [markdown]
# ## The math
#
# Let $\phi(x) \in \mathbb{R}^d$ be the features of an image.
#
# **Fréchet distance** (Heusel et al. 2017; with features of Inception it is called FID): the
# distance between two Gaussians with the means $\mu$ and covariances $C$ of the clouds,
#
# $$\|\mu_r - \mu_g\|^2 + \operatorname{tr}\bigl(C_r + C_g - 2 (C_r C_g)^{1/2}\bigr).$$
#
# **Kernel distance** (KID, Binkowski et al. 2018): with the kernel $k(a, b) = (a \cdot b / d +
# 1)^3$,
#
# $$\mathbb{E}\, k(a, a') + \mathbb{E}\, k(b, b') - 2\, \mathbb{E}\, k(a, b), \qquad a \ne a',\; b
# \ne b'.$$
#
# It assumes no Gaussians and is unbiased, so it may be slightly negative.
#
# **Precision and recall** (Kynkäänniemi et al. 2019). Around each point lies a ball. Its radius is
# the distance to the $k$-th nearest neighbor of the same cloud. *Precision* is the fraction of
# generated points inside a ball of a real one: are the images good? *Recall* is the fraction of
# real points inside a ball of a generated one: is everything covered?
#
# ## From scratch
#
# The square root of a matrix with SciPy would be `scipy.linalg.sqrtm`. It is not needed: $C_r C_g$
# has the same eigenvalues as the symmetric matrix $C_r^{1/2} C_g C_r^{1/2}$, and the trace of the
# root is the sum of their roots.


# %%
# Metrics of two clouds of points.
def symmetric_root(matrix):
    """Return the square root of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def frechet_distance(a, b):
    """Return the Fréchet distance of two clouds of points (n, d) and (m, d)."""
    root = symmetric_root(np.cov(a.T))
    values = np.linalg.eigvalsh(root @ np.cov(b.T) @ root)  # of cov(a) cov(b)
    traces = np.trace(np.cov(a.T)) + np.trace(np.cov(b.T))
    distance = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    return distance + traces - 2 * np.sum(np.sqrt(np.maximum(values, 0)))


def kernel_distance(a, b):
    """Return the unbiased squared maximum mean discrepancy with a cubic kernel."""

    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    def mean_of_different(k):
        return (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))

    inside = mean_of_different(kernel(a, a)) + mean_of_different(kernel(b, b))
    return inside - 2 * kernel(a, b).mean()


def distances(a, b):
    """Return the distance of each point of a to each point of b: (n, m)."""
    squares = np.sum(a**2, 1)[:, None] + np.sum(b**2, 1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0))


def precision_recall(real, generated, k=5):
    """Return precision and recall."""
    real_radius = np.sort(distances(real, real), axis=1)[:, k]  # column 0 is the point itself
    generated_radius = np.sort(distances(generated, generated), axis=1)[:, k]
    between = distances(real, generated)
    precision = np.mean(np.any(between < real_radius[:, None], axis=0))
    recall = np.mean(np.any(between < generated_radius[None], axis=1))
    return precision, recall


# %% [markdown]
# In the plane one can see what the numbers mean. The real points are three clusters, as if there
# were three classes of images.

# %%
random = np.random.default_rng(0)
centers = np.array([[-3, 0], [3, 0], [0, 4]])


def clusters(count, used=(0, 1, 2), spread=0.7):
    return centers[random.choice(used, count)] + random.normal(0, spread, (count, 2))


real = clusters(300)
generated = {
    "good": clusters(300),
    "a class is missing": clusters(300, used=(0, 1)),
    "too little variety": clusters(300, spread=0.15),
    "bad images": clusters(300, spread=2.0),
}
figure, panels = plt.subplots(1, 4, figsize=(12, 3.4), dpi=65, sharex=True, sharey=True)
for axes, (name, points) in zip(panels, generated.items(), strict=True):
    precision, recall = precision_recall(real, points)
    axes.scatter(*real.T, 6, label="real")
    axes.scatter(*points.T, 6, label="generated")
    axes.set_title(
        f"{name}\nFréchet {frechet_distance(real, points):.2f}\n"
        f"precision {precision:.2f}, recall {recall:.2f}"
    )
panels[0].legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# *Precision falls if points are where no real points are. Recall falls if real points are not
# covered. The Fréchet distance rises in both cases and does not say why. It sees means and
# covariances only: shrunken clusters, a clear defect, have a distance of nearly 0.*
#
# ## The same with the package
#
# The functions of the package give the same numbers. They are faster for large sets (in blocks, on
# the GPU), and estimate standard errors.

# %%
from tfgan_zoo.metrics import classifier_score, frechet, kernel, memorization, neighbors

a, b = real, generated["bad images"]
scores = neighbors.precision_recall_density_coverage(a, b)
print(f"Fréchet   {frechet_distance(a, b):.6f}   package {frechet.frechet_distance(a, b):.6f}")
print(f"kernel    {kernel_distance(a, b):.6f}   package {kernel.kernel_distance(a, b)[0]:.6f}")
print("precision and recall", precision_recall(a, b), "package", scores)

# %% [markdown]
# The package also has **density** and **coverage** (Naeem et al. 2020), which are robust to
# outliers, and the **classifier score** (Salimans et al. 2016; with Inception: IS), $\exp
# \mathbb{E}_x \mathrm{KL}(p(y|x) \,\|\, p(y))$. The score is high if each image is clearly of one
# class and all classes occur. It uses no real images.
#
# ## Images with known defects
#
# The features come from a digit classifier that is part of the package. Each row shows one typical
# defect of a generator.

# %%
import tensorflow as tf

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
reference_features = network(reference)[0]
print(
    f"{half} real images as the reference, {len(other)} others; "
    f"{reference_features.shape[1]} features"
)


def blur(images):
    return tf.nn.avg_pool2d(tf.cast(images, tf.float32), 3, 1, "SAME").numpy().astype(np.uint8)


noise = random.normal(0, 40, other.shape)
variants = {
    "other real images": other,
    "blurred": blur(other),
    "noise added": np.clip(other + noise, 0, 255).astype(np.uint8),
    "5 of 10 classes": other[labels < 5],
    "30 images, copied": other[random.integers(0, 30, len(other))],
    "the training images": reference[random.permutation(half)],
}
show_rows(
    {name: variant[:14] for name, variant in variants.items()},
    caption="Real images with one defect in each row.",
)

# %%
print(f"{'':<22}{'Fréchet':>9}{'KID':>8}{'score':>7}{'precision':>11}{'recall':>8}{'coverage':>10}")
for name, variant in variants.items():
    features, probabilities = network(variant)
    score = classifier_score(probabilities)[0]
    coverage = neighbors.precision_recall_density_coverage(reference_features, features)["coverage"]
    precision, recall = precision_recall(reference_features, features)
    distance = frechet_distance(reference_features, features)
    kid = kernel_distance(reference_features, features)
    print(
        f"{name:<22}{distance:9.2f}{kid:8.2f}{score:7.2f}{precision:11.2f}{recall:8.2f}"
        f"{coverage:10.2f}"
    )

# %% [markdown]
# Column by column:
#
# - The first row is the **real reference**: other real images instead of generated ones. Its
#   distance is not 0, because both sets are finite. A score means something only next to this row.
# - Five of ten classes: *precision* does not change, *recall* and *coverage* fall. The *Fréchet
#   distance* rises without saying why.
# - 30 images, copied many times: the *classifier score* remains high. It asks for clear images of
#   many classes, and 30 images are enough for that. *Recall* is 0.
# - The training images themselves have the best scores of all, better than the real reference.
#   **None of these metrics detects a copy.**
# - Blur and noise: their effect depends on what the network was trained on. This classifier has
#   never seen a gray background, so noise, which hardly disturbs a person, has by far the worst
#   scores. A metric depends on its feature extractor.
#
# ## What can go wrong
#
# ### Different numbers of images
#
# The Fréchet distance between two samples of the *same* distribution is not 0, and it grows as the
# number of images falls.

# %%
counts = [n for n in (30, 60, 120, 250, 500, 900, 2500, 10_000) if n <= half]
other_features = network(other)[0]
pairs = {n: (reference_features[:n], other_features[:n]) for n in counts}
plot_curves(
    {
        "Fréchet distance, real to real": {
            "biased": [(n, frechet_distance(*pair)) for n, pair in pairs.items()]
        },
        "kernel distance, real to real": {
            "unbiased": [(n, kernel_distance(*pair)) for n, pair in pairs.items()]
        },
    },
    x="images on either side",
    caption="Two halves of the same real images. The scales differ.",
)

# %% [markdown]
# So a model evaluated with 50,000 images has a better Fréchet distance than the *same* model with
# 5,000. Compare scores at equal numbers of images only. The kernel distance has no such bias: it
# is close to 0 for every number of images.
#
# ### Memorization
#
# To detect copies, compute the distance to the nearest training image. The reference is the same
# distance for *held-out real images*.

# %%
for name in ("other real images", "30 images, copied", "the training images"):
    nearest = memorization.nearest_images(variants[name][:300], reference)[0]
    print(f"{name:<22} median {np.median(nearest):.2f}, smallest {nearest.min():.2f}")

# %% [markdown]
# The 30 copied images are held-out images. They are copies of each other, not of training images,
# so their distances are like those of other real images.
#
# ### Metrics that reward blur
#
# Translations (notebooks 5 and 6) have a ground truth, so images can be compared pixel by pixel,
# with PSNR and SSIM. Which image is worse: one that is shifted by one pixel, or one that is
# blurred?

# %%
from tfgan_zoo.data import builtin_images
from tfgan_zoo.metrics import similarity

photo = builtin_images.photograph("china")[100:228, 200:328]
shifted, blurred = np.roll(photo, 1, axis=1), blur(photo[None])[0]
for name, image in {"shifted by a pixel": shifted, "blurred": blurred}.items():
    psnr, ssim = (
        similarity.psnr(photo[None], image[None])[0],
        similarity.ssim(photo[None], image[None])[0],
    )
    print(f"{name:<20} PSNR {psnr:.1f} dB   SSIM {ssim:.3f}")
show_images(
    [photo, shifted, blurred],
    columns=3,
    width=900,
    caption="The photograph, shifted by a pixel, blurred.",
)

# %% [markdown]
# A person prefers the shifted image. PSNR and SSIM prefer the blurred one, because they compare
# pixels at the same position. Report them together with baselines, and look at the images.
#
# ## Evaluate a training
#
# A short DCGAN training with evaluation. `train.best` keeps the epoch with the best score instead
# of the last one.

# %%
preset = choose("dcgan_tiny", "dcgan_digits", "dcgan_mnist")
every = choose(2, 4, 1)
run = train_run(
    "measured",
    preset,
    *choose([], ["model.width=16", "train.epochs=36", "train.sample_every=4"], []),
    f"train.evaluate_every={every}",
    "train.evaluate_metrics=frechet_distance,precision,recall,coverage",
    f"train.evaluate_samples={choose(50, 500, 2000)}",
    "train.best=frechet_distance",
)
show_animation(run, share=0.375, caption="Samples from the first epoch to the last.")

# %%
h = read_losses(run)


def at_epochs(values):
    return [(every * (i + 1), value) for i, value in enumerate(values)]


plot_curves(
    {
        "losses": {"D": h["discriminator"], "G": h["generator"]},
        "Fréchet distance": {"samples": at_epochs(h["eval_frechet_distance"])},
        "fractions": {
            name: at_epochs(h[f"eval_{name}"]) for name in ("precision", "recall", "coverage")
        },
    },
    caption="The losses do not show the progress. The metrics do.",
)

# %% [markdown]
# The next cell computes all metrics at the end of the training. `real images` is the real
# reference.

# %%
result = evaluate_run(run, samples=choose(50, 800, 10_000))
for warning in result["warnings"]:
    print("warning:", warning)

# %% [markdown]
# Evaluation also writes an image of the generated images that are nearest to a training image. Are
# these copies? They are similar, but so are two real digits of 8x8 pixels. The table has the
# reference: the same distance between real images.

# %%
from PIL import Image as PillowImage

from tfgan_zoo.runs import read_experiment

(path,) = (run / "evaluation").glob("*_seed0_*_nearest.png")
scale = 112 // read_experiment(run).model.image_size  # the file has enlarged pixels
show_image(
    np.asarray(PillowImage.open(path))[::scale, ::scale],
    caption="Generated images above, the nearest training images below.",
)

# %% [markdown]
# ## Guidelines
#
# 1. Report a score with the number of images, the feature extractor and the real reference.
# 2. One seed cannot rank two methods. Train with three seeds.
# 3. Report precision *and* recall.
# 4. Select the epoch on other images than the ones used for the reported score.
# 5. Check for copies of training images.
#
# ## Exercises
#
# 1. In the plane, build a cloud of generated points with Fréchet distance near 0 and precision
#    below 0.5.
# 2. Find a set of images with a classifier score near 10 that contains no digit.
# 3. Plot the Fréchet distance over $1/n$ and extrapolate to $1/n = 0$ (Chong & Forsyth 2020).
# 4. Two evaluations with the same seed are equal. How much do they differ for seeds 0, 1 and 2?
# 5. Why does precision use the radius of the *real* point, and not a fixed radius?
#
# <details>
# <summary>Solutions</summary>
#
# 1. One Gaussian with the mean and the covariance of the real points:
#    `random.multivariate_normal(real.mean(0), np.cov(real.T), 300)`. The distance compares nothing
#    else. Most points lie between the clusters, where no real point is.
# 2. Start from ten noise images, one per class, and maximize the probability of the class by
#    gradient ascent on the pixels: adversarial examples. The score sees probabilities only.
# 3. `np.polyfit(1 / np.array(counts), [frechet_distance(*p) for p in pairs.values()], 1)[1]` is the
#    value at $1/n = 0$. For two halves of the same data it is near 0, while the distance itself is
#    not.
# 4. `evaluate_run(run, seed=1)`. The difference shows which digits of a score are noise.
# 5. The density of the points varies. Where real images are rare, a generated image may be farther
#    away and still be plausible.
#
# </details>
#
# ## What next
#
# - [Notebook 9](09_your_own_images.ipynb): train on your own images, and evaluate.
# - Exercise across notebooks: evaluate the GAN, the CGAN and the VAE of notebooks 1, 3 and 4. Which
#   one has the best precision, which one the best recall?
