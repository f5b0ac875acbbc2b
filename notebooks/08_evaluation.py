# %% [markdown]
# # 8. Evaluation: metrics for generated images
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/08_evaluation.ipynb)
#
# The loss of a GAN is no measure of quality, and 64 samples do not show what is missing. So one
# computes metrics. Every metric has failure cases. This notebook first applies the metrics to
# **real images with known defects**, then to a model.

# %%
FULL = False  # True: MNIST in place of the embedded digits (downloads it once), 10,000 images on either side
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
import tfgan_zoo
from tfgan_zoo.tools.notebook import (
    choose,
    evaluate_run,
    plot_curves,
    read_losses,
    set_up,
    show_image,
    show_images,
    show_source,
    train_run,
)

set_up(full=FULL, drive=DRIVE)


# %% [markdown]
# ## Metrics
#
# A network extracts features $\phi(x) \in \mathbb{R}^d$ from $n$ real and $m$ generated images. The
# metrics compare the two sets of features.
#
# **Fréchet distance** (Heusel et al. 2017; with Inception features it is called FID) between two
# Gaussians with the same means and covariances:
#
# $$\|\mu_r - \mu_g\|^2 + \operatorname{tr}\bigl(C_r + C_g - 2 (C_r C_g)^{1/2}\bigr).$$
#
# **Kernel distance** (KID, Binkowski et al. 2018): the squared MMD with the kernel $k(a, b) = (a
# \cdot b / d + 1)^3$. It assumes no Gaussians and is unbiased, so it may be slightly negative.
#
# **Classifier score** (IS, Salimans et al. 2016): $\exp \mathbb{E}_x \mathrm{KL}(p(y|x) \,\|\,
# p(y))$. It is high if each image is clearly of one class and all classes occur. The maximum is the
# number of classes. It uses no real images.
#
# **Precision and recall** (Kynkäänniemi et al. 2019). Around each image lies a ball with the
# distance to its 5th nearest neighbor of the same set as radius. Precision is the fraction of
# generated images inside a ball of a real one. Recall is the fraction of real images inside a ball
# of a generated one. **Density** and **coverage** (Naeem et al. 2020) are variants that are robust
# to outliers.

# %%
from tfgan_zoo.metrics import classifier_score, frechet, neighbors

show_source(frechet.frechet_distance, classifier_score, neighbors.precision_recall_density_coverage)

# %% [markdown]
# The features come from a digit classifier that is part of the package.

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
reference_features = network(reference)[0]
print(
    f"{half} real images as the reference, {len(other)} others to modify; features of {reference_features.shape[1]} numbers"
)

# %% [markdown]
# ## Known defects
#
# Each row shows one typical defect of a generator.

# %%
import tensorflow as tf

random = np.random.default_rng(1)
blurred = tf.nn.avg_pool2d(tf.cast(other, tf.float32), 3, 1, "SAME").numpy()
variants = {
    "other real images": other,
    "blurred": blurred.astype(np.uint8),
    "noise added": np.clip(other + random.normal(0, 40, other.shape), 0, 255).astype(np.uint8),
    "5 of 10 classes": other[labels < 5],
    "30 images, copied": other[random.integers(0, 30, len(other))],
    "the training images": reference[random.permutation(half)],
}
print("\n".join(variants))
show_images(np.concatenate([variant[:14] for variant in variants.values()]), columns=14)

# %%
from tfgan_zoo.metrics import kernel

print(
    f"{'':<22}{'Fréchet':>9}{'KID':>8}{'score':>7}{'precision':>11}{'recall':>8}{'density':>9}{'coverage':>10}"
)
for name, variant in variants.items():
    features, probabilities = network(variant)
    score = classifier_score(probabilities)[0]
    scores = neighbors.precision_recall_density_coverage(reference_features, features)
    distance = frechet.frechet_distance(reference_features, features)
    kid = kernel.kernel_distance(reference_features, features)[0]
    print(
        f"{name:<22}{distance:9.2f}{kid:8.2f}{score:7.2f}"
        f"{scores['precision']:11.2f}{scores['recall']:8.2f}"
        f"{scores['density']:9.2f}{scores['coverage']:10.2f}"
    )

# %% [markdown]
# Column by column:
#
# - The first row is the **real reference**: other real images instead of generated ones. Its
#   distance is not 0, because both sets are finite. A model can have a lower distance by chance, or
#   because it generates exactly the label proportions of the test images. `evaluate` prints this
#   reference for every score.
# - Five of ten classes: *precision* does not change, *recall* and *coverage* fall. The *Fréchet
#   distance* rises without saying why.
# - 30 images, copied many times: the *classifier score* remains high. It asks for clear images of
#   many classes, and 30 images are enough for that. *Recall* is 0: hardly any real image is near
#   one of the 30.
# - The training images themselves have the best scores of all, better than the real reference.
#   **None of these metrics detects a copy.**
# - Blur and noise: their effect depends on what the network was trained on. This classifier has
#   never seen a gray background, so noise, which hardly disturbs a person, has by far the worst
#   scores. A metric depends on its feature extractor.
#
# ## Number of images
#
# The Fréchet distance between two samples of the *same* distribution is not 0, and it grows as the
# number of images falls. So compare scores at equal numbers of images only.

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
# A model evaluated with 50,000 images has a better Fréchet distance than the same model with 5,000.
# The kernel distance has no such bias: it varies around 0 for every number of images (note the
# different scales).
#
# ## Memorization
#
# To detect memorization, compute the distance to the nearest training image. The reference is the
# same distance for *held-out real images*.

# %%
from tfgan_zoo.metrics import memorization

for name in ("other real images", "30 images, copied", "the training images"):
    distances, _ = memorization.nearest_images(variants[name][:300], reference)
    print(
        f"{name:<22} median distance to the nearest training image {np.median(distances):.2f}, nearest {distances.min():.2f}"
    )

# %% [markdown]
# ## Evaluate a model
#
# A short DCGAN training with evaluation. `train.best` keeps the epoch with the best score instead
# of the last one.

# %%
preset = choose("dcgan_tiny", "dcgan_digits", "dcgan_mnist")
every = choose(2, 4, 1)
evaluation = [
    f"train.evaluate_every={every}",
    "train.evaluate_metrics=frechet_distance,classifier_score,precision,recall,coverage",
    f"train.evaluate_samples={choose(50, 500, 2000)}",
    "train.best=frechet_distance",
]
run = train_run(
    "measured",
    preset,
    *choose([], ["model.width=16", "train.epochs=32", "train.sample_every=4"], []),
    *evaluation,
)
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
    }
)

# %% [markdown]
# The losses become constant long before the images stop improving. The next cell computes all
# metrics at the end of the training. `real images` is the real reference.

# %%
result = evaluate_run(run, samples=choose(50, 800, 10_000))
for warning in result["warnings"]:
    print("warning:", warning)

# %% [markdown]
# Evaluation also writes an image of the generated images that are nearest to a training image:
# generated images above, their neighbors below. Are these copies? They are similar, but so are two
# real digits of 8x8 pixels. The table shows the reference: the median distance to the nearest
# training image is larger than between real images, and no distance is below the 1st percentile of
# those.

# %%
from PIL import Image as PillowImage

(path,) = (run / "evaluation").glob("*_nearest.png")
show_image(np.asarray(PillowImage.open(path))[::3, ::3])

# %% [markdown]
# ## Paired metrics: PSNR and SSIM
#
# Translations (notebooks 5 and 6) have a ground truth, so images can be compared pixel by pixel.
# These metrics have failure cases as well. Which image is worse: one that is shifted by one pixel,
# or one that is blurred?

# %%
from tfgan_zoo.data import builtin_images
from tfgan_zoo.metrics import similarity

photo = builtin_images.photograph("china")[100:228, 200:328]
shifted = np.roll(photo, 1, axis=1)
blurred_photo = (
    tf.nn.avg_pool2d(tf.cast(photo[None], tf.float32), 3, 1, "SAME").numpy()[0].astype(np.uint8)
)
for name, image in {"shifted by a pixel": shifted, "blurred": blurred_photo}.items():
    psnr, ssim = (
        similarity.psnr(photo[None], image[None])[0],
        similarity.ssim(photo[None], image[None])[0],
    )
    print(f"{name:<20} PSNR {psnr:.1f} dB   SSIM {ssim:.3f}")
show_images([photo, shifted, blurred_photo], columns=3, width=450)

# %% [markdown]
# A person prefers the shifted image. PSNR and SSIM prefer the blurred one, because they compare
# pixels at the same position. They penalize correct textures at slightly different positions and
# reward blur. Report them together with baselines, and look at the images.
#
# ## Guidelines
#
# 1. Report a score with the number of images, the feature extractor and the real reference.
# 2. One seed cannot rank two methods. Train with three seeds.
# 3. Report precision *and* recall.
# 4. Select the epoch on other images than the ones used for the reported score, if possible.
# 5. Check for copies of training images.
#
# ## Exercises
#
# 1. Evaluate the GAN, CGAN and VAE of the other notebooks. Which one has the best precision, which
#    one the best recall? Why?
# 2. Find a set of images with a classifier score near 10 that contains no digit. Start from noise
#    and maximize the score.
# 3. Two evaluations with the same seed are equal. How much do they differ for seeds 0, 1 and 2
#    (`seed=`)?
# 4. Plot the Fréchet distance over $1/n$ and extrapolate to $1/n = 0$ (Chong & Forsyth 2020).
