# %% [markdown]
# # 5. Pix2Pix: paired image-to-image translation
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/05_pix2pix.ipynb)
#
# Label map to photograph, drawing to shoe, grayscale to color: one network architecture for all of
# them, trained on **pairs**. The condition of notebook 3 becomes an image.
#
# Paper: Isola, Zhu, Zhou, Efros, *Image-to-Image Translation with Conditional Adversarial
# Networks*, 2016, [arXiv 1611.07004](https://arxiv.org/abs/1611.07004).
#
# The dataset consists of synthetic facades: label maps and their "photographs", generated without a
# download. The ground truth is known, so translations can be scored.

# %%
FULL = False  # True: the real preset pix2pix_facades_synthetic (128 pixels; 15 minutes on two CPU cores)
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
    show_images,
    show_samples,
    show_source,
    train_in_memory,
    train_run,
)

set_up(full=FULL, drive=DRIVE)


# %% [markdown]
# ## Objective
#
# Why not minimize the error $\mathbb{E}\,\|y - G(x)\|_1$ alone? A label map does not determine the
# exact position of a shadow. If several outputs are possible, the one with the least absolute error
# is their median: a blur that no photograph shows. A discriminator detects blur easily. So the L1
# error keeps $G$ near the ground truth, and $D$ makes its outputs sharp:
#
# $$\min_G \max_D \; \mathbb{E} \log D(x, y) + \mathbb{E} \log\bigl(1 - D(x, G(x))\bigr) + \lambda \, \mathbb{E} \, \|y - G(x)\|_1,
# \qquad \lambda = 100.$$
#
# Two architectures are important:
#
# - **U-Net.** Input and output have edges at the same positions. Skip connections pass them around
#   the bottleneck.
# - **PatchGAN.** $D$ returns one logit per patch (70 pixels in the paper) instead of one per image.
#   The L1 term covers large structures. $D$ covers texture, has fewer parameters, and accepts
#   images of any size.
#
# There is no $z$: the noise is dropout in $G$.

# %%
from tfgan_zoo.models import pix2pix

show_source(pix2pix.Pix2Pix.compute_losses, pix2pix.generator)

# %% [markdown]
# $D$ receives $x$ and $y$ concatenated along the channels. It discriminates whether the output is
# real *and* whether it belongs to this input.

# %%
from tfgan_zoo.models.blocks import patch_discriminator

show_source(patch_discriminator)

# %% [markdown]
# ## Data
#
# Label maps in the first row, their photographs in the second. These are test images, which
# training never uses.

# %%
import numpy as np

from tfgan_zoo.data.datasets import load_evaluation_images

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
inputs, targets = (np.stack([test.evaluation_images(i)[side] for i in range(8)]) for side in (0, 1))
show_images([*inputs, *targets], columns=8)

# %% [markdown]
# ## Training
#
# The batch size is one image, as in the paper. The sample grids show $x$, $G(x)$ and the ground
# truth, from top to bottom.

# %%
run = train_run("pix2pix", preset, *sizes)
show_samples(run, count=2)

# %%
h = read_losses(run)
plot_curves(
    {
        "loss of D, adversarial loss of G": {"D": h["discriminator"], "G": h["adversarial"]},
        "mean |y - G(x)| in [-1, 1]": {"L1": h["l1"]},
    }
)

# %% [markdown]
# The L1 term is a distance to the ground truth and can be read directly. The loss of $D$ is halved,
# as the authors do to slow $D$ down, so the value for $D = 1/2$ is 0.69.
#
# ## Evaluation
#
# `evaluate_run` calls `tfgan_zoo.evaluate`. It compares translations with the ground truth, and
# with **baselines** that need no network: copy the input; the mean image; replace every color by
# the mean color that training pairs have at the same positions; histogram matching. A network must
# be better than all of them.

# %%
result = evaluate_run(run, samples=choose(50, 50, 100))

# %% [markdown]
# `l1` is in levels of 255. One minute of training is better than the baselines at 64 pixels. The
# real preset has 128 pixels and reaches 11.4 (best baseline: 20.3). The first sample grid is
# blurred and shows faint stripes from upsampling (notebook 2). Walls and roofs appear first, window
# panes last.
#
# ## What can go wrong
#
# ### One loss term alone
#
# Three short trainings: L1 alone (a weight so large that the adversarial term is negligible; the
# scale of a loss does not matter to Adam), adversarial loss alone, and both.

# %%
steps = choose(2, 400, 1500)
short = [*sizes, f"train.steps_per_epoch={steps}", "train.epochs=1"]
variants = {
    "L1 alone": "model.l1_weight=100000",
    "adversarial alone": "model.l1_weight=0",
    "both": "model.l1_weight=100",
}
rows = [inputs]
for name, change in variants.items():
    variant, _ = train_in_memory(preset, *short, change)
    outputs = variant.translate(inputs)
    error = np.abs(outputs.astype(int) - targets).mean()
    print(f"{name:<18} mean error {error:.1f} of 255")
    rows.append(outputs)
print("from top:", ", ".join(["input", *variants, "ground truth"]))
show_images(np.concatenate([*rows, targets]), columns=8)

# %% [markdown]
# Compare textures and edges. L1 alone is smooth. The adversarial loss alone has contrast, a grid,
# and the largest error. With both there is hardly a difference to L1 alone at this early stage:
# with $\lambda = 100$ the L1 term dominates at first. The sample grids of the longer training show
# what the adversarial term adds, and figure 4 of the paper compares the variants after full
# training.
#
# ### Noise at test time
#
# The code of the authors keeps dropout active at test time, because it is the only noise of the
# model, and batch normalization in training mode. Then one image is translated differently each
# time. Here a translation is a deterministic function of the image unless
# `model.test_dropout=true`. How large is the difference?

# %%
variant, _ = train_in_memory(preset, *short, "model.test_dropout=true")
first, second = (variant.translate(inputs, seed=seed).astype(int) for seed in (0, 1))
print(f"between two draws of dropout: {np.abs(first - second).mean():.1f} levels of 255")
print(f"between a draw and the ground truth: {np.abs(first - targets).mean():.1f} levels of 255")

# %% [markdown]
# The difference is small. The paper reports the same: $G$ learns to ignore the noise. So the model
# gives one output per input, although many are possible. This is a limitation of the method, not a
# failure of the training.
#
# ### Other symptoms
#
# - The same blob in every output: $G$ ignores the input. Check whether outputs differ as inputs do.
# - A regular grid: checkerboard artifacts of transposed convolutions (notebook 2).
#   `model.upsampling=resize` has none.
# - Black or gray images from the first epoch on: batch normalization at a bottleneck of one pixel
#   and one image per batch removes everything, because the mean of one number is that number. The
#   generator above has none there.
#
# ## Any size, tiles, your own images
#
# A translation accepts any image size and returns the same size. `tfgan-zoo translate RUN photos -o
# out` translates files and folders.

# %%
wide = np.concatenate([inputs[0], inputs[1][:, :23]], axis=1)[:-5]
print(wide.shape, "->", tfgan_zoo.load(run).translate(wide).shape)

# %% [markdown]
# ## Exercises
#
# 1. `data.direction=yx`: photographs to labels. Which direction is easier, and why? `evaluate`
#    reports the fraction of correct labels.
# 2. `model.receptive_field=1` (PixelGAN) and `16`: which structures can $D$ no longer enforce?
# 3. Without skip connections, how many numbers would the innermost layer have? Could it represent
#    an image?
# 4. Colorize your own photographs: `tfgan-zoo train pix2pix_folder_128 data.path=photos
#    data.derive=gray model.x_channels=1`.
