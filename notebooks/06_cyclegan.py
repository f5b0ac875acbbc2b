# %% [markdown]
# # 6. CycleGAN: unpaired image-to-image translation
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/06_cyclegan.ipynb)
#
# **You will learn**
#
# - to translate between two sets of images without any pairs, in both directions;
# - why adversarial losses alone are not enough, and what cycle consistency adds;
# - to write a CycleGAN, four networks and one training step, in plain Keras;
# - to use and to evaluate a pretrained CycleGAN.
#
# **Prerequisites:** notebooks [1](01_gan.ipynb) and [5](05_pix2pix.ipynb). **Time:** 30 minutes of
# reading, 2 minutes of computation on two CPU cores.
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
    load_pretrained,
    plot_curves,
    set_up,
    show_animation,
    show_diagram,
    show_rows,
    train_run,
)

set_up(full=FULL, drive=DRIVE)


# %% [markdown]
# ## The idea
#
# Pairs of a photograph and a painting of the same scene do not exist. Two sets of **unpaired
# images** do. A discriminator for the domain $Y$ can force $G$ to generate images that look like
# $Y$. It cannot force $G(x)$ to depend on $x$: a mapping that returns *any* zebra for every horse
# satisfies it.
#
# So CycleGAN also learns the inverse mapping $F: Y \to X$ and requires **cycle consistency**: $F$
# must reconstruct $x$ from $G(x)$. Then $G(x)$ must contain the information of $x$.

# %%
orange, blue, gray = "#ffd8a8", "#a5d8ff", "#e9ecef"
show_diagram(
    {
        "x": (0, 1, "x", gray),
        "G": (1.1, 1, "G", orange),
        "gx": (2.2, 1, "G(x)", gray),
        "F": (3.3, 1, "F", orange),
        "fgx": (4.5, 1, "F(G(x))", gray),
        "dy": (2.2, 0, "$D_Y$: real y?", blue),
        "equal": (4.5, 0, "equal to x?", "#b2f2bb"),
        "y": (6.0, 1, "y", gray),
        "F2": (7.1, 1, "F", orange),
        "fy": (8.2, 1, "F(y)", gray),
        "G2": (9.3, 1, "G", orange),
        "gfy": (10.5, 1, "G(F(y))", gray),
        "dx": (8.2, 0, "$D_X$: real x?", blue),
        "equal2": (10.5, 0, "equal to y?", "#b2f2bb"),
    },
    [
        ("x", "G"),
        ("G", "gx"),
        ("gx", "F"),
        ("F", "fgx"),
        ("gx", "dy"),
        ("fgx", "equal"),
        ("y", "F2"),
        ("F2", "fy"),
        ("fy", "G2"),
        ("G2", "gfy"),
        ("fy", "dx"),
        ("gfy", "equal2"),
    ],
    caption="The two cycles. Blue: adversarial losses. Green: cycle consistency. Both G are the same "
    "network, and both F.",
    size=(11, 2.2),
)

# %% [markdown]
# ## The math
#
# $$L_\text{cycle} = \mathbb{E}\,\|F(G(x)) - x\|_1 + \mathbb{E}\,\|G(F(y)) - y\|_1.$$
#
# With least-squares losses in both directions, the generators minimize
#
# $$\mathbb{E}\,(D_Y(G(x)) - 1)^2 + \mathbb{E}\,(D_X(F(y)) - 1)^2 + 10 \, L_\text{cycle} + 5 \, L_\text{identity},$$
#
# where the identity loss $\mathbb{E}\,\|G(y) - y\|_1 + \mathbb{E}\,\|F(x) - x\|_1$ keeps images
# that are already in the target domain unchanged. It preserves colors. The discriminator $D_Y$
# minimizes $\mathbb{E}\,(D_Y(y) - 1)^2 + \mathbb{E}\,D_Y(G(x))^2$, and $D_X$ likewise.
#
# The objective does *not* say which translation is correct. If $G$ exchanges plaster and stone and
# $F$ exchanges them again, all losses are minimal.
#
# ## From scratch
#
# A problem that is small enough for a minute on a CPU: white digits on black, and *other* digits,
# written with blue ink on yellow paper. No image occurs in both sets. The rule between the domains
# is known to us, but not to the networks, so we can measure the error of a translation.

# %%
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfgan_zoo.data.datasets import load_evaluation_images, load_for_experiment

gray_digits = load_for_experiment(tfgan_zoo.experiment("gan_digits")).images / 255.0
paper, ink = np.array([250, 220, 120]), np.array([30, 60, 160])
white_on_black = np.repeat(gray_digits, 3, axis=-1).astype("float32") * 2.0 - 1.0
ink_on_paper = ((paper + (ink - paper) * gray_digits) / 127.5 - 1.0).astype("float32")

train_x, train_y = white_on_black[:850], ink_on_paper[850:1700]
test_x, test_y = white_on_black[1700:], ink_on_paper[1700:]  # pairs, for measuring only


def to_uint8(images):
    return np.uint8(np.round((np.clip(images, -1, 1) + 1) * 127.5))


show_rows(
    {"domain X": to_uint8(train_x[:10]), "domain Y": to_uint8(train_y[:10])},
    width=660,
    caption="The two domains. The images of a column do not belong together.",
)


# %% [markdown]
# The generators are small ResNets: a convolution, two residual blocks, a convolution. The
# discriminators are PatchGANs (notebook 5).


# %%
def build_generator(width=16):
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(width, 3, padding="same", activation="relu")(image)
    for _ in range(2):  # residual blocks
        block = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        x = layers.Add()([x, layers.Conv2D(width, 3, padding="same")(block)])
    return keras.Model(image, layers.Conv2D(3, 3, padding="same", activation="tanh")(x))


def build_discriminator(width=16):
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(width, 4, strides=2, padding="same"),
            layers.LeakyReLU(0.2),  # (n, 8, 8, 16)
            layers.Conv2D(2 * width, 4, strides=2, padding="same"),
            layers.LeakyReLU(0.2),  # (n, 4, 4, 32)
            layers.Conv2D(1, 3, padding="same"),  # one output per patch
        ]
    )


# %% [markdown]
# One training step for all four networks. Both generators share one loss and one optimizer, and so
# do both discriminators.


# %%
def squared_error(outputs, target):
    return tf.reduce_mean(tf.square(outputs - target))


def l1(a, b):
    return tf.reduce_mean(tf.abs(a - b))


def train(steps, cycle_weight=10.0, identity_weight=5.0):
    """Return the generators G and F, the losses, and translations of test images over time."""
    keras.utils.set_random_seed(0)
    g, f = build_generator(), build_generator()
    d_x, d_y = build_discriminator(), build_discriminator()
    generator_weights = g.trainable_variables + f.trainable_variables
    discriminator_weights = d_x.trainable_variables + d_y.trainable_variables
    g_optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5)
    d_optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5)

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            fake_y, fake_x = g(x), f(y)
            cycle = l1(f(fake_y), x) + l1(g(fake_x), y)
            identity = l1(g(y), y) + l1(f(x), x)
            adversarial = squared_error(d_y(fake_y), 1.0) + squared_error(d_x(fake_x), 1.0)
            g_loss = adversarial + cycle_weight * cycle + identity_weight * identity
            d_loss = squared_error(d_y(y), 1.0) + squared_error(d_y(fake_y), 0.0)
            d_loss += squared_error(d_x(x), 1.0) + squared_error(d_x(fake_x), 0.0)
        g_gradients = g_tape.gradient(g_loss, generator_weights)
        d_gradients = d_tape.gradient(d_loss, discriminator_weights)
        g_optimizer.apply(g_gradients, generator_weights)
        d_optimizer.apply(d_gradients, discriminator_weights)
        return d_loss, adversarial, cycle, identity

    random = np.random.default_rng(0)
    losses, frames = [], []
    for step in range(steps):
        # Draw from the two domains independently: the images are not paired.
        x, y = (images[random.integers(0, 850, 8)] for images in (train_x, train_y))
        losses.append([float(loss) for loss in train_step(x, y)])
        if step % max(1, steps // 9) == 0 or step == steps - 1:
            gx, fy = g(test_x[:10]), f(test_y[10:20])
            frames.append([test_x[:10], gx, f(gx), test_y[10:20], fy, g(fy)])
    frames = [to_uint8(np.concatenate(frame)) for frame in frames]
    return g, f, np.array(losses), frames


def errors(g, f):
    """Return the mean errors of G(x) and of F(G(x)) on the test images, in levels of 255."""
    gx = g(test_x)
    return [127.5 * float(l1(a, b)) for a, b in ((gx, test_y), (f(gx), test_x))]


steps = choose(2, 800, 800)
g, f, losses, frames = train(steps)
print("mean error of G(x) {:.1f}, of the cycle F(G(x)) {:.1f} of 255".format(*errors(g, f)))
mean_image = np.broadcast_to(train_y.mean(axis=0), test_y.shape)
print(f"for comparison, error of the mean image: {127.5 * float(l1(mean_image, test_y)):.1f}")

# %% [markdown]
# ## The training, animated

# %%
show_animation(
    frames,
    columns=10,
    width=560,
    caption="From top: x, G(x), F(G(x)); y, F(y), G(F(y)). The third row should equal the first, the "
    "sixth the fourth.",
)
rows = frames[-1].reshape(6, 10, 16, 16, 3)
show_rows(
    dict(zip(["x", "G(x)", "F(G(x))", "y", "F(y)", "G(F(y))"], rows, strict=True)),
    width=660,
    caption="The last frame. All images are test images.",
)


def smooth(values):
    width = min(25, len(values))
    return np.convolve(values, np.ones(width) / width, mode="valid")


plot_curves(
    {
        "adversarial losses": {"D": smooth(losses[:, 0]), "G and F": smooth(losses[:, 1])},
        "cycle and identity losses": {
            "cycle": smooth(losses[:, 2]),
            "identity": smooth(losses[:, 3]),
        },
    },
    x="step",
    caption="The cycle loss must fall, but it says nothing about the translation: it is 0 for the "
    "identity mapping. Discriminators that return 1/2 for everything have a loss of 1.",
)

# %% [markdown]
# $G$ has learned to write with ink on paper without a single pair.
#
# ## The same with the package
#
# `tfgan-zoo train cyclegan_facades_synthetic` translates between label maps and photographs of
# *other* facades. It takes 45 minutes on two CPU cores. Here it runs for a moment, to show the call
# and the files. Do not expect results at 32 pixels.

# %%
preset = choose("cyclegan_tiny", "cyclegan_facades_synthetic", "cyclegan_facades_synthetic")
brief = [
    "model.image_size=32",
    "model.width=16",
    "model.blocks=3",
    "data.limit=100",
    "train.epochs=2",
    "model.constant_epochs=1",
    "model.decay_epochs=1",
]
run = train_run("cyclegan", preset, *choose([], brief, []))
print("files:", *sorted(path.name for path in run.glob("[a-z]*")))

# %% [markdown]
# | your code | package |
# |---|---|
# | `build_generator` | `resnet_generator` in [blocks.py](../tfgan_zoo/models/blocks.py), with two convolutions of stride 2 and 6 or 9 blocks |
# | `train_step` | `compute_losses` in [models/cyclegan.py](../tfgan_zoo/models/cyclegan.py); the same losses |
# | `cycle_weight`, `identity_weight` | `model.cycle_weight=10`, `model.identity_weight=0.5` (relative to the cycle weight) |
# | the newest generated images for $D$ | a history of 50 images (`ImagePool`), so that $D$ does not forget what it had learned to reject |
# | `g(x)`, `f(y)` | `model.translate(images)`, `model.translate(images, "yx")` |
#
# ## A pretrained model
#
# The same preset after 40 epochs. The facades are synthetic, so the test set has a ground truth,
# which training never uses.

# %%
pretrained = load_pretrained("cyclegan_facades_synthetic")
experiment = tfgan_zoo.experiment("cyclegan_facades_synthetic")
test = load_evaluation_images(experiment, "test", 50)
x, y = (np.stack([test.evaluation_images(i)[side] for i in range(50)]) for side in (0, 1))
gx, fy = pretrained.translate(x[:5]), pretrained.translate(y[:5], "yx")
show_rows(
    {
        "x": x[:5],
        "G(x)": gx,
        "ground\ntruth": y[:5],
        "F(G(x))": pretrained.translate(gx, "yx"),
    },
    width=720,
    caption="Label maps to photographs with `cyclegan_facades_synthetic`. G chooses the material of "
    "the walls itself: the label map does not determine it.",
)
show_rows(
    {"y": y[:5], "F(y)": fy, "ground\ntruth": x[:5], "G(F(y))": pretrained.translate(fy)},
    width=720,
    caption="Photographs to label maps. Each photograph has one correct label map, and the errors are "
    "visible: confused labels keep the cycle consistent.",
)

# %% [markdown]
# **Score it.** The evaluation compares the translations with the ground truth, and with baselines
# that need no network. The baseline `colors` uses pairs. `cycle_l1` is the error after a full
# cycle. Lines that end in `_yx` are photographs to label maps.

# %%
result = evaluate_run(
    "cyclegan_facades_synthetic", metrics=["l1", "cycle_l1"], samples=choose(4, 50, 100)
)

# %% [markdown]
# Without any pair, label maps to photographs are better than the best baseline, which uses pairs.
# In the other direction the color baseline is better: a label map has few colors, and each of them
# corresponds to a mean color of the photographs.
#
# ## What goes wrong
#
# ### Without cycle consistency
#
# Train your networks again without the cycle loss and the identity loss, from the same initial
# weights.

# %%
g_free, f_free, losses_free, frames_free = train(steps, cycle_weight=0.0, identity_weight=0.0)
for name, networks in {"with": (g, f), "without": (g_free, f_free)}.items():
    error, cycle_error = errors(*networks)
    print(f"{name:<8} error of G(x) {error:5.1f}   error of F(G(x)) {cycle_error:5.1f}   (of 255)")
free_rows = frames_free[-1].reshape(6, 10, 16, 16, 3)
show_rows(
    {
        "x": rows[0],
        "G(x) with\ncycle loss": rows[1],
        "G(x)\nwithout": free_rows[1],
        "F(G(x))\nwithout": free_rows[2],
        "ground\ntruth": to_uint8(test_y[:10]),
    },
    width=600,
    caption="With and without cycle consistency.",
)

# %% [markdown]
# Without the cycle loss, $D_Y$ alone decides what is good. The convolutions are local, so the
# strokes stay where they are, but ink and paper have wrong colors, and both errors are more than
# twice as large. With networks that see the whole image, nothing would keep the digit itself. How
# one sees it without a ground truth: measure the cycle error, and check that different inputs give
# different outputs.
#
# ### Other symptoms
#
# | symptom | probable cause | try |
# |---|---|---|
# | $G(x) = x$ | cycle weight too large, or training too short | `model.cycle_weight=5`, more epochs |
# | inverted colors in both directions | the cycle is consistent, the translation wrong | another `train.seed`, the identity loss |
# | unwanted changes | the domains differ in something else, such as season, crop or borders | choose images that differ in nothing else |
# | loss of $D$ near 0 | discriminators too strong | `model.receptive_field=34`, more images |
#
# ## Exercises
#
# Try each of them before you open the solution.
#
# 1. `train(steps, identity_weight=0.0)`: is the identity loss needed here?
# 2. Show that $L_\text{cycle} = 0$ does not imply a correct translation. Give $G$ and $F$ with
#    $L_\text{cycle} = 0$ and wrong colors.
# 3. Why does the loss of $D$ have the value 1 for outputs of 1/2?
# 4. Add a second difference between the domains: rotate all images of $Y$ by 90 degrees. Which part
#    of your generator prevents the translation?
# 5. Train on two sets of your own images.
#
# <details>
# <summary>Solutions</summary>
#
# **1.** Hardly: compare the errors. The adversarial loss determines the colors, because all images
# of $Y$ have the same two. The identity loss matters where many colors are possible, as in
# paintings.
#
# **2.** $G(x) = -x$ and $F(y) = -y$, in $[-1, 1]$: both invert the colors, and $F(G(x)) = x$.
#
# **3.** Each of the four terms is $(1/2)^2 = 1/4$: real and generated images, two discriminators.
#
# **4.** The receptive field. Six convolutions of 3x3 pixels see at most 13x13 pixels around
# a position, but a rotation moves a pixel of the border by up to 15 pixels. Convolutions with
# stride 2, as in the package, enlarge the field.
#
# **5.** `tfgan-zoo train cyclegan_folder_256 data.path=paintings data.path_y=photos`.
#
# </details>
#
# ## What next
#
# - Notebook [7](07_style_transfer.ipynb): the style of *one* image.
# - [Image-to-image translation](../docs/image_to_image.md): your own domains, tiles for large
#   images.
