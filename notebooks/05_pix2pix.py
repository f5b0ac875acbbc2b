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
from tfgan_zoo.models import pix2pix

show_source(pix2pix.Pix2Pix.compute_losses, pix2pix.generator)

# %% [markdown]
# $D$ sees $x$ beside $y$, as more channels: it judges whether the answer is real *and* whether it is an answer to this question.

# %%
from tfgan_zoo.models.blocks import patch_discriminator

show_source(patch_discriminator)

# %% [markdown]
# ## The data
#
# Above the label maps, below what belongs to them. These are test images, which no training sees.

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
questions, answers = (
    np.stack([test.evaluation_images(i)[side] for i in range(8)]) for side in (0, 1)
)
show_images([*questions, *answers], columns=8)

# %% [markdown]
# ## Training
#
# One image a step, as in the paper. The pages show, from top: $x$, $G(x)$, the truth.

# %%
run = train_run("pix2pix", preset, *sizes)
show_samples(run, count=2)

# %%
h = read_losses(run)
plot_curves(
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
import sys

result = evaluate_run(run, samples=choose(50, 50, 100))

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
    player, _ = train_in_memory(preset, *short, change)
    found = player.translate(questions)
    error = np.abs(found.astype(int) - answers).mean()
    print(f"{name:<12} mean error {error:.1f} of 255")
    rows.append(found)
print("from top:", ", ".join(["question", *variants, "truth"]))
show_images(np.concatenate([*rows, answers]), columns=8)

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
player, _ = train_in_memory(preset, *short, "model.test_dropout=true")
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
