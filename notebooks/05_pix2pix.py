# %% [markdown]
# # 5. Pix2Pix: paired image-to-image translation
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/05_pix2pix.ipynb)
#
# **You will learn**
#
# - why the mean error alone gives blurred images, and what a discriminator adds;
# - the two architectures of image translation, U-Net and PatchGAN, in plain Keras;
# - to score translations against baselines that need no network;
# - to translate images of any size with a pretrained model.
#
# **Prerequisites:** notebooks [1](01_gan.ipynb) to [3](03_cgan.ipynb). **Time:** 30 minutes of
# reading, 2 minutes of computation on two CPU cores.
#
# Paper: Isola, Zhu, Zhou, Efros, *Image-to-Image Translation with Conditional Adversarial
# Networks*, 2016, [arXiv 1611.07004](https://arxiv.org/abs/1611.07004).

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
    load_pretrained,
    set_up,
    show_animation,
    show_diagram,
    show_images,
    show_rows,
    train_run,
)

set_up(full=FULL, drive=DRIVE)


# %% [markdown]
# ## The idea
#
# Label map to photograph, drawing to shoe, grayscale to color: one method for all of them, trained
# on **pairs** $(x, y)$. The condition of notebook 3 becomes an image. $G$ translates $x$. $D$
# receives $x$ together with an image, and discriminates whether the image is the real $y$ or
# $G(x)$.
#
# - **U-Net.** Input and output have edges at the same positions. $G$ reduces the image to a small
#   map and enlarges it again; skip connections pass the positions of edges around the bottleneck.
# - **PatchGAN.** $D$ returns one logit per patch instead of one per image. It checks texture, has
#   fewer parameters, and accepts images of any size.

# %%
orange, blue, gray = "#ffd8a8", "#a5d8ff", "#e9ecef"
show_diagram(
    {
        "x": (0, 1.6, "x\nlabel map", gray),
        "d1": (1.2, 1.6, "32x32", orange),
        "d2": (2.1, 0.9, "16x16", orange),
        "d3": (3.0, 0.2, "8x8, 4x4", orange),
        "u2": (3.9, 0.9, "16x16", orange),
        "u1": (4.8, 1.6, "32x32", orange),
        "fake": (6.0, 1.6, "G(x)", gray),
        "pair": (6.0, 0.2, "x and G(x),\nor x and y", gray),
        "D": (7.4, 0.2, "PatchGAN D", blue),
        "logits": (8.8, 0.2, "logits\nof patches"),
    },
    [
        ("x", "d1"),
        ("d1", "d2"),
        ("d2", "d3"),
        ("d3", "u2"),
        ("u2", "u1"),
        ("u1", "fake"),
        ("d1", "u1", "skip connection"),
        ("d2", "u2", "skip"),
        ("fake", "pair"),
        ("pair", "D"),
        ("D", "logits"),
    ],
    caption="The U-Net generator (orange) and the PatchGAN discriminator (blue), for 64x64 pixels.",
    size=(10, 3),
)

# %% [markdown]
# ## The math
#
# Why not minimize the error $\mathbb{E}\,\|y - G(x)\|_1$ alone? A label map does not determine the
# exact position of a shadow. If several outputs are possible, the one with the least absolute error
# is their median: a blur that no photograph shows. A discriminator detects blur easily. So the L1
# error keeps $G$ near the ground truth, and $D$ makes its outputs sharp:
#
# $$\min_G \max_D \; \mathbb{E} \log D(x, y) + \mathbb{E} \log\bigl(1 - D(x, G(x))\bigr) + \lambda \, \mathbb{E} \, \|y - G(x)\|_1,
# \qquad \lambda = 100.$$
#
# There is no $z$. The only noise of the paper's $G$ is dropout, and the authors report that $G$
# learns to ignore it. So the model gives one output per input, although many are possible.
#
# ## From scratch
#
# The data: synthetic facades, label maps and their "photographs", generated without a download. The
# ground truth is known, so translations can be scored. Training never uses the test images.

# %%
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfgan_zoo.data.datasets import load_evaluation_images, load_for_experiment

count = choose(16, 400, 400)
small = ["model.image_size=64", "model.downs=6", "model.receptive_field=34"]
experiment = tfgan_zoo.experiment("pix2pix_facades_synthetic", *small, f"data.limit={count}")
train_pairs = load_for_experiment(experiment)
test_pairs = load_evaluation_images(experiment, "test", 8)


def stack(pairs, n):
    """Return x and y, uint8 (n, 64, 64, 3)."""
    items = [pairs.evaluation_images(i) for i in range(n)]
    return [np.stack([item[side] for item in items]) for side in (0, 1)]


train_x, train_y = stack(train_pairs, count)
test_x, test_y = stack(test_pairs, 8)
show_rows(
    {"x": test_x[:6], "y": test_y[:6]}, width=720, caption="Test pairs: label maps and photographs."
)


# %% [markdown]
# Each `down` halves the map and each `up` doubles it. Instance normalization (a group normalization
# with one group per channel) uses the statistics of each image alone.


# %%
def down(x, width, norm=True):
    x = layers.Conv2D(width, 4, strides=2, padding="same")(x)
    x = layers.GroupNormalization(groups=-1)(x) if norm else x
    return layers.LeakyReLU(0.2)(x)


def up(x, width):
    x = layers.Conv2DTranspose(width, 4, strides=2, padding="same")(x)
    return layers.ReLU()(layers.GroupNormalization(groups=-1)(x))


def build_generator(width=16):
    """Return the U-Net: x (n, 64, 64, 3) -> y (n, 64, 64, 3), both in [-1, 1]."""
    image = keras.Input((64, 64, 3))
    a = down(image, width, norm=False)  # (n, 32, 32, 16)
    b = down(a, 2 * width)  # (n, 16, 16, 32)
    c = down(b, 4 * width)  # (n, 8, 8, 64)
    x = down(c, 4 * width)  # (n, 4, 4, 64)
    x = layers.Concatenate()([up(x, 4 * width), c])  # skip connections
    x = layers.Concatenate()([up(x, 2 * width), b])
    x = layers.Concatenate()([up(x, width), a])  # (n, 32, 32, 32)
    x = layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="tanh")(x)
    return keras.Model(image, x)


def build_discriminator(width=16):
    """Return the PatchGAN: x and y (n, 64, 64, 3) -> logits (n, 14, 14, 1)."""
    x, y = keras.Input((64, 64, 3)), keras.Input((64, 64, 3))
    pair = layers.Concatenate()([x, y])  # (n, 64, 64, 6): the condition is three more channels
    maps = down(down(pair, width, norm=False), 2 * width)  # (n, 16, 16, 32)
    maps = layers.LeakyReLU(0.2)(layers.Conv2D(4 * width, 3, padding="valid")(maps))
    return keras.Model([x, y], layers.Conv2D(1, 3, padding="same")(maps))


# %% [markdown]
# The training step. `l1_weight` and `adversarial_weight` are arguments, because we will compare the
# terms below.

# %%
cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)


def to_float(images):
    return images.astype("float32") / 127.5 - 1.0


def to_uint8(images):
    return np.uint8(np.round((np.clip(images, -1, 1) + 1) * 127.5))


def train(steps, l1_weight=100.0, adversarial_weight=1.0):
    """Return the trained generator and its translations of the test images during training."""
    keras.utils.set_random_seed(0)
    generator, discriminator = build_generator(), build_discriminator()
    g_optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5)
    d_optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5)
    batches = tf.data.Dataset.from_tensor_slices((to_float(train_x), to_float(train_y)))
    batches = batches.shuffle(400).repeat().batch(4)

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            fake = generator(x)
            real_logits, fake_logits = discriminator([x, y]), discriminator([x, fake])
            d_loss = 0.5 * (
                cross_entropy(tf.ones_like(real_logits), real_logits)
                + cross_entropy(tf.zeros_like(fake_logits), fake_logits)
            )
            adversarial = cross_entropy(tf.ones_like(fake_logits), fake_logits)
            l1 = tf.reduce_mean(tf.abs(y - fake))
            g_loss = adversarial_weight * adversarial + l1_weight * l1
        g_gradients = g_tape.gradient(g_loss, generator.trainable_variables)
        d_gradients = d_tape.gradient(d_loss, discriminator.trainable_variables)
        g_optimizer.apply(g_gradients, generator.trainable_variables)
        d_optimizer.apply(d_gradients, discriminator.trainable_variables)
        return d_loss, adversarial, l1

    frames = []
    for step, (x, y) in enumerate(batches.take(steps)):
        losses = train_step(x, y)
        if step % max(1, steps // 8) == 0 or step == steps - 1:
            frames.append(to_uint8(generator(to_float(test_x[:6])).numpy()))
        if step % max(1, steps // 4) == 0 or step == steps - 1:
            d_loss, adversarial, l1 = (float(loss) for loss in losses)
            print(f"step {step + 1}: D {d_loss:.2f}, adversarial {adversarial:.2f}, L1 {l1:.3f}")
    return generator, frames


steps = choose(2, 400, 400)
generator, frames = train(steps)

# %% [markdown]
# ## The training, animated

# %%
show_animation(
    [np.concatenate([test_x[:4], frame[:4], test_y[:4]]) for frame in frames],
    count=7,
    columns=4,
    width=560,
    caption="From top: x, G(x) of your Pix2Pix during the training, ground truth.",
)
show_rows(
    {"x": test_x[:5], "G(x)": frames[-1][:5], "y": test_y[:5]},
    width=640,
    caption="The last frame. None of these images was used for the training.",
)

# %% [markdown]
# Walls, sky and roofs get their colors first, then windows their frames. After 400 steps of four
# images details are missing. The pretrained model below has seen 32,000 images at twice the size.
#
# ## The same with the package
#
# The command is `tfgan-zoo train pix2pix_facades_synthetic`. Here it runs briefly, at 64 pixels.

# %%
preset = choose("pix2pix_tiny", "pix2pix_facades_synthetic", "pix2pix_facades_synthetic")
overrides = [
    *small,
    "data.limit=400",
    "data.batch_size=4",
    "model.learning_rate=1e-3",
    "train.epochs=4",
    "model.constant_epochs=2",
    "model.decay_epochs=2",
    "train.evaluate_every=0",
    "train.best=",
]
run = train_run("pix2pix", preset, *choose([], overrides, []))

# %% [markdown]
# | your code | package |
# |---|---|
# | `build_generator` | `generator` in [models/pix2pix.py](../tfgan_zoo/models/pix2pix.py): any depth (`model.downs`), dropout, batch norm |
# | `build_discriminator` | `patch_discriminator` in [blocks.py](../tfgan_zoo/models/blocks.py): `model.receptive_field=70` in the paper |
# | `train_step` | `compute_losses` in pix2pix.py; the same losses, `model.l1_weight=100` |
# | `to_uint8(generator(...))` | `model.translate(images)`, any image size; `tfgan-zoo translate RUN photos -o out` |
#
# **Score it.** `evaluate_run` calls `tfgan_zoo.evaluate`. It compares translations with the ground
# truth, and with **baselines** that need no network: copy the input; the mean image; replace every
# color by the mean color that training pairs have at the same positions; histogram matching. A
# network must be better than all of them. `l1` is in levels of 255.

# %%
result = evaluate_run(run, metrics=["l1", "psnr", "ssim"], samples=choose(4, 25, 100))

# %% [markdown]
# ## A pretrained model
#
# `pix2pix_facades_synthetic` was trained for 15 minutes on two CPU cores, at 128 pixels. Its error
# is 11.4 levels of 255 (best baseline: 20.3).

# %%
pretrained = load_pretrained("pix2pix_facades_synthetic")
large = load_evaluation_images(tfgan_zoo.experiment("pix2pix_facades_synthetic"), "test", 4)
large_x, large_y = stack(large, 4)
translated = pretrained.translate(large_x)
error = np.abs(translated.astype(int) - large_y).mean()
print(f"mean error of these four images: {error:.1f} of 255")
show_rows(
    {"x": large_x, "G(x)": translated, "y": large_y},
    width=720,
    caption="`pix2pix_facades_synthetic` on test images. Patterns of the plaster and reflections are "
    "not determined by the label map, so G invents them.",
)

# %% [markdown]
# It translates images of any size. Two label maps side by side:

# %%
wide = np.concatenate([large_x[0], large_x[1][:, :100]], axis=1)[:-5]
print(wide.shape, "->", pretrained.translate(wide).shape)
show_images([wide, pretrained.translate(wide)], columns=2, caption="x and G(x).")

# %% [markdown]
# ## What goes wrong
#
# ### One loss term alone
#
# Train your networks with the L1 term alone and with the adversarial term alone, from the same
# initial weights. Two numbers describe the results: the error, and the **contrast** between
# neighboring pixels, which is too small for blurred images.

# %%
variants = {"both": frames[-1]}
for name, weights in {
    "L1 alone": {"adversarial_weight": 0.0},
    "adversarial\nalone": {"l1_weight": 0.0},
}.items():
    print(name.replace("\n", " "))
    variants[name] = train(steps, **weights)[1][-1]


def contrast(images):
    return np.abs(np.diff(images.astype(int), axis=2)).mean()


for name, images in {**variants, "ground truth": test_y[:6]}.items():
    error = np.abs(images.astype(int) - test_y[:6]).mean()
    label = name.replace("\n", " ")
    print(f"{label:<18} error {error:5.1f}   contrast {contrast(images):5.1f}")
show_rows(
    {
        "x": test_x[:5],
        **{name: images[:5] for name, images in variants.items()},
        "y": test_y[:5],
    },
    width=640,
    caption="Translations of five test images after equal numbers of steps.",
)

# %% [markdown]
# L1 alone is smooth: its contrast is lower than that of the ground truth. The adversarial loss
# alone has contrast, but also wrong colors, patterns that do not exist in the data, and a larger
# error. Both together are sharper than L1 alone with nearly the same error. Their contrast is even
# higher than that of the ground truth: look for the fine stripes. Figure 4 of the paper compares
# the variants after full training.
#
# ### Other symptoms
#
# | symptom | probable cause | try |
# |---|---|---|
# | the same blob in every output | $G$ ignores the input | check that outputs differ as inputs do; a higher `model.l1_weight` |
# | regular grid | transposed convolutions (notebook 2) | `model.upsampling=resize` |
# | black or gray images from the first epoch on | batch norm of a 1x1 map with one image removes everything | no norm there (the package's default) |
# | good on training images, bad on others | too few pairs | `data.flip=true`, more images |
#
# ## Exercises
#
# Try each of them before you open the solution.
#
# 1. How many pixels of $x$ does one logit of your discriminator see?
# 2. Remove the skip connections. Before you train: how many numbers has the innermost map, compared
#    with the image?
# 3. Translate photographs to label maps: exchange `x` and `y`. Which direction is easier, and why?
# 4. Let $D$ see $y$ only, without $x$. What can it no longer enforce? Does L1 help?
# 5. Colorize your own photographs with the package.
#
# <details>
# <summary>Solutions</summary>
#
# **1.** From the last layer backwards, a kernel of size $k$ and stride $s$ turns a field of $f$
# pixels into $(f - 1) s + k$: 1, then 3 (3x3), 5 (3x3), 12 (4x4, stride 2), 26 (4x4, stride 2). So
# 26x26 pixels.
#
# **2.** $4 \cdot 4 \cdot 64 = 1{,}024$ numbers, and the image has $64 \cdot 64 \cdot 3 = 12{,}288$.
# The positions of edges get lost, and the outputs are more blurred.
#
# **3.** Photographs to labels, `data.direction=yx`: each photograph has one correct label map. In
# the other direction a label map has many photographs.
#
# **4.** That the output belongs to the input. $D$ then accepts any realistic facade. The L1 term
# still ties the output to $y$, and so to $x$.
#
# **5.** `tfgan-zoo train pix2pix_folder_128 data.path=photos data.derive=gray model.x_channels=1`.
#
# </details>
#
# ## What next
#
# - Notebook [6](06_cyclegan.ipynb): translation without pairs.
# - [Image-to-image translation](../docs/image_to_image.md): your own pairs, tiles for large images.
