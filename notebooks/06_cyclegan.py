# %% [markdown]
# # 6. CycleGAN: unpaired image-to-image translation
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/06_cyclegan.ipynb)
#
# Pairs of a photograph and a painting of the same scene do not exist. Two sets of **unpaired
# images** do. CycleGAN learns mappings between two domains, in both directions.
#
# Paper: Zhu, Park, Isola, Efros, *Unpaired Image-to-Image Translation using Cycle-Consistent
# Adversarial Networks*, 2017, [arXiv 1703.10593](https://arxiv.org/abs/1703.10593).

# %%
FULL = False  # True: the real preset cyclegan_facades_synthetic (64 pixels; 45 minutes on two CPU cores)
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
# A discriminator for the domain $Y$ can force $G$ to generate images that look like $Y$. It cannot
# force $G(x)$ to depend on $x$: without pairs, a mapping that returns *any* zebra for every horse
# satisfies it.
#
# So CycleGAN also learns the inverse mapping $F: Y \to X$ and requires cycle consistency:
#
# $$L_\text{cycle} = \mathbb{E}\,\|F(G(x)) - x\|_1 + \mathbb{E}\,\|G(F(y)) - y\|_1.$$
#
# For a perfect cycle, $G(x)$ must contain the information of $x$. With least-squares losses in both
# directions,
#
# $$\min_{G, F} \; \mathbb{E}\,(D_Y(G(x)) - 1)^2 + \mathbb{E}\,(D_X(F(y)) - 1)^2 + 10 \, L_\text{cycle} + 5 \, L_\text{identity},$$
#
# where the identity loss $\mathbb{E}\,\|G(y) - y\|_1 + \mathbb{E}\,\|F(x) - x\|_1$ keeps images
# that are already in the target domain unchanged. It preserves colors.
#
# The objective does *not* say which translation is correct. If $G$ exchanges plaster and stone and
# $F$ exchanges them again, all losses are minimal.

# %%
from tfgan_zoo.models import cyclegan

show_source(cyclegan.CycleGAN.compute_losses)

# %% [markdown]
# The four networks form two variants: both generators, and both discriminators. The discriminators
# are trained on a **history** of 50 generated images, not only on the newest ones. Otherwise
# training may oscillate: $D$ forgets what it had learned to reject.

# %%
from tfgan_zoo.models.blocks import resnet_generator

show_source(cyclegan.ImagePool.call, resnet_generator)

# %% [markdown]
# ## Data
#
# Label maps, and photographs of *other* facades. The two rows are the two domains. The images of a
# column do not belong together.

# %%
from tfgan_zoo.data.datasets import load_for_experiment

preset = choose("cyclegan_tiny", "cyclegan_facades_synthetic", "cyclegan_facades_synthetic")
small = ["model.image_size=32", "model.width=16", "model.blocks=3", "data.limit=400"]
sizes = choose(
    [], [*small, "train.epochs=4", "model.constant_epochs=2", "model.decay_epochs=2"], []
)
experiment = tfgan_zoo.experiment(preset, *sizes)
domains = load_for_experiment(experiment)
show_images([domains.evaluation_images(i)[side] for side in (0, 1) for i in range(10)], columns=10)

# %% [markdown]
# ## Training
#
# The sample grids show six rows: $x$, $G(x)$, $F(G(x))$, then $y$, $F(y)$, $G(F(y))$. The third row
# should equal the first, the sixth the fourth.

# %%
run = train_run("cyclegan", preset, *sizes)
show_samples(run, count=2)

# %%
h = read_losses(run)
plot_curves(
    {
        "adversarial losses": {"D": h["discriminator"], "G and F": h["adversarial"]},
        "cycle and identity losses": {"cycle": h["cycle"], "identity": h["identity"]},
    }
)

# %% [markdown]
# The cycle loss must fall, but it says nothing about the translation: it is 0 for the identity
# mapping. For least squares, a discriminator that returns 1/2 for everything has a loss of $\frac14
# + \frac14$ over both discriminators. Far below, the discriminators are too strong.
#
# ## Evaluation
#
# The ground truth is usually unknown. Here the facades are synthetic, so the test set has a ground
# truth, which training never uses. The color baseline uses pairs; `cycle_l1` is the error after a
# full cycle.

# %%
result = evaluate_run(run, samples=choose(50, 50, 100))

# %% [markdown]
# After one minute at 32 pixels, the *mean image* still has the smaller error, and only copying is
# clearly worse. The sample grids show what has been learned: sky becomes sky, walls become walls,
# rows of windows become rows of windows, all of them blurred. The real preset reaches a mean error
# of 17.0 from labels to photographs after 45 minutes (best baseline: 20.1).
#
# ## What can go wrong
#
# ### Without cycle consistency
#
# `model.cycle_weight=0` also disables the identity loss, whose weight is relative to it. Everything
# else is equal, from the same initial weights.

# %%
import numpy as np

from tfgan_zoo.data.datasets import load_evaluation_images

steps = choose(2, 400, 1500)
short = [*sizes, f"train.steps_per_epoch={steps}", "train.epochs=1"]
test = load_evaluation_images(experiment, "test", 10)
x, y = (np.stack([test.evaluation_images(i)[side] for i in range(10)]) for side in (0, 1))
rows = [x]
for name, change in {
    "with cycle loss": "model.cycle_weight=10",
    "without cycle loss": "model.cycle_weight=0",
}.items():
    variant, losses = train_in_memory(preset, *short, change)
    translated = variant.translate(x)
    cycled = variant.translate(translated, "yx")
    rows += [translated, cycled]
    error = np.abs(translated.astype(int) - y).mean()
    cycle_error = np.abs(cycled.astype(int) - x).mean()
    print(f"{name:<20} mean error {error:5.1f}   cycle error {cycle_error:5.1f}   (of 255)")
print("from top: x, G(x) and F(G(x)) with cycle loss, the same without, ground truth")
show_images(np.concatenate([*rows, y]), columns=10)

# %% [markdown]
# Without cycle consistency all translations look the same for every input, because $D$ checks
# texture only. With it, roofs and floors are at the correct positions, although faint.
#
# ### Hidden information
#
# A well-trained CycleGAN can reconstruct $x$ from an image $G(x)$ in which $x$ is not visible: $G$
# hides $x$ in faint, high-frequency patterns (Chu et al. 2017, *CycleGAN, a Master of
# Steganography*). A simple test adds invisible noise to $G(x)$ and measures the error of the
# reconstruction.

# %%
model = tfgan_zoo.load(run)
translated = model.translate(x)
for levels in (0, 2, 8, 24):
    noise = np.random.default_rng(0).normal(0, levels, translated.shape) if levels else 0.0
    disturbed = np.clip(np.round(translated + noise), 0, 255).astype(np.uint8)
    cycle_error = np.abs(model.translate(disturbed, "yx").astype(int) - x).mean()
    print(f"noise of {levels:2} levels: cycle error {cycle_error:.1f} of 255")

# %% [markdown]
# If the error grows by far more than the noise, $G(x)$ contained hidden information. After this
# short training there is hardly any. Repeat the test with `FULL = True`.
#
# ### Other symptoms
#
# - $G(x) = x$: cycle and identity losses are 0, and $D$ detects the generated images. The cycle
#   weight is too large, or the training too short.
# - Inverted colors: dark becomes bright in one direction, and bright becomes dark in the other. Use
#   another seed, or the identity loss.
# - Unwanted changes: the two domains differ in something that was not intended, such as season,
#   crop or black borders. CycleGAN translates this difference as well.
#
# ## Exercises
#
# 1. `model.identity_weight=0`: what happens to colors?
# 2. `model.pool_size=0` with three seeds each. Is the result worse, or only noisier?
# 3. In direction `yx` every photograph has *one* correct output, in direction `xy` there are many.
#    Where does the score table show this?
# 4. Two sets of your own images: `tfgan-zoo train cyclegan_folder_256 data.path=paintings
#    data.path_y=photos`.
