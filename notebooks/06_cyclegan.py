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
from tfgan_zoo.models import cyclegan

show_source(cyclegan.CycleGAN.compute_losses)

# %% [markdown]
# Four networks, two players. The discriminators look at a **history** of 50 images, not only at the newest: otherwise the players run
# in circles, $D$ forgetting what it had already learnt to refuse.

# %%
from tfgan_zoo.models.blocks import resnet_generator

show_source(cyclegan.ImagePool.call, resnet_generator)

# %% [markdown]
# ## Two heaps
#
# Label maps, and photographs of *other* facades. The rows are two heaps; a column has nothing in common.

# %%
from tfgan_zoo.data.datasets import load_for_experiment

preset = choose("cyclegan_tiny", "cyclegan_facades_synthetic", "cyclegan_facades_synthetic")
small = ["model.image_size=32", "model.width=16", "model.blocks=3", "data.limit=400"]
sizes = choose(
    [], [*small, "train.epochs=4", "model.constant_epochs=2", "model.decay_epochs=2"], []
)
experiment = tfgan_zoo.experiment(preset, *sizes)
heaps = load_for_experiment(experiment)
show_images([heaps.evaluation_images(i)[side] for side in (0, 1) for i in range(10)], columns=10)

# %% [markdown]
# ## Training
#
# The pages show six rows: $x$, $G(x)$, $F(G(x))$, then $y$, $F(y)$, $G(F(y))$. The third should come back to the first, the sixth to
# the fourth.

# %%
run = train_run("cyclegan", preset, *sizes)
show_samples(run, count=2)

# %%
h = read_losses(run)
plot_curves(
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
import sys

result = evaluate_run(run, samples=choose(50, 50, 100))

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
import numpy as np

from tfgan_zoo.data.datasets import load_evaluation_images

steps = choose(2, 400, 1500)
short = [*sizes, f"train.steps_per_epoch={steps}", "train.epochs=1"]
test = load_evaluation_images(experiment, "test", 10)
x, y = (np.stack([test.evaluation_images(i)[side] for i in range(10)]) for side in (0, 1))
rows = [x]
for name, change in {
    "with the cycle": "model.cycle_weight=10",
    "without": "model.cycle_weight=0",
}.items():
    player, losses = train_in_memory(preset, *short, change)
    there = player.translate(x)
    back = player.translate(there, "yx")
    rows += [there, back]
    print(
        f"{name:<15} truth {np.abs(there.astype(int) - y).mean():5.1f}   home again {np.abs(back.astype(int) - x).mean():5.1f}   (of 255)"
    )
print("from top: x, with the cycle there and back, without it there and back, the truth")
show_images(np.concatenate([*rows, y]), columns=10)

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
