# %% [markdown]
# # 2. DCGAN: convolutional networks
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/02_dcgan.ipynb)
#
# The objective is that of notebook 1. Both networks are now convolutional, and follow a recipe with
# which GANs first trained reliably on images.
#
# Paper: Radford, Metz, Chintala, *Unsupervised Representation Learning with Deep Convolutional
# Generative Adversarial Networks*, 2015, [arXiv 1511.06434](https://arxiv.org/abs/1511.06434).

# %%
FULL = False  # True: the real preset dcgan_mnist (downloads MNIST once; 21 minutes on two CPU cores, a few on a GPU)
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
# ## Architecture
#
# 1. No pooling. $D$ downsamples with convolutions of stride 2, $G$ upsamples with *transposed*
#    convolutions of stride 2.
# 2. No hidden dense layers: $z$ is projected to a small feature map with many channels, and all
#    other layers are convolutions.
# 3. Batch normalization in both networks, except at the output of $G$ and at the input of $D$.
# 4. ReLU in $G$ with $\tanh$ at the output, leaky ReLU in $D$.
# 5. Initial weights from $N(0, 0.02^2)$, Adam with learning rate 0.0002 and $\beta_1 = 0.5$.
#
# Each item is one line of the source:

# %%
from tfgan_zoo.models import dcgan

show_source(dcgan.generator, dcgan.discriminator)

# %% [markdown]
# A convolution of stride 2 maps $2s \times 2s$ pixels to $s \times s$ values. Written as a matrix
# product, it is $y = C x$. The transposed convolution multiplies by $C^\top$ and maps $s \times s$
# back to $2s \times 2s$: every input value adds the kernel, scaled by this value, to the output.
# Where the kernels of adjacent values overlap, they are summed.
#
# The feature map shapes for the image size of this notebook:

# %%
import tensorflow as tf

from tfgan_zoo.runs import build_model

preset = choose("dcgan_tiny", "dcgan_digits", "dcgan_mnist")
overrides = choose([], ["model.width=16", "train.epochs=40", "train.sample_every=4"], [])
experiment = tfgan_zoo.experiment(preset, *overrides)
model = build_model(experiment, tf.distribute.get_strategy())
for network in (model.generator, model.discriminator):
    print(f"{network.name}: {network.count_params():,} parameters")
    for layer in network.layers:
        if "conv" in layer.name or "dense" in layer.name or "reshape" in layer.name:
            print(f"    {type(layer).__name__:<18} {layer.output.shape}")

# %% [markdown]
# The losses are those of notebook 1, and `train_step` is shared by GAN, DCGAN and CGAN. The paper
# overrides the networks, not the objective.

# %%
show_source(dcgan.DCGAN.compute_losses)

# %% [markdown]
# ## Training
#
# `ema_decay` is an option that the paper does not have: samples come from an exponential moving
# average of the weights of $G$, $\bar\theta \leftarrow 0.995\,\bar\theta + 0.005\,\theta$. The
# weights oscillate around a good solution, and their average is closer to it. The first samples are
# nearly empty because the average still contains the initial weights.

# %%
run = train_run("dcgan", preset, *overrides)
show_samples(run, share=0.25)

# %%
h = read_losses(run)
plot_curves(
    {
        "losses": {"D": h["discriminator"], "G": h["generator"]},
        "mean logits": {"real": h["real_logits"], "fake": h["fake_logits"]},
    }
)

# %%
model = tfgan_zoo.load(run)
show_images(model.sample(64, seed=1), columns=16)

# %% [markdown]
# Compared with notebook 1, strokes are smooth and the background is black, because a convolution
# treats all positions equally. With its full training, `dcgan_mnist` reaches a classifier score of
# 9.31 (real images: 9.80). Notebook 8 explains these metrics.
#
# ## Latent interpolation
#
# Has $G$ memorized the training images, or does it generate plausible images between two digits?
# Interpolate between two codes $z$ and look. Linear interpolation is not the best way: a draw from
# $N(0, I)$ in $d$ dimensions has a norm near $\sqrt d$, and the midpoint of a line is shorter, so
# it is a code that $G$ has never seen. Spherical interpolation preserves the norm.

# %%
import numpy as np

from tfgan_zoo.inference.latent_walk import interpolate, latent_walk

for path in ("spherical", "linear"):
    z = interpolate(np.asarray(model.latent(2, seed=3)), 9, path)
    print(path, "- norms of z:", np.linalg.norm(z, axis=1).round(1))
show_images(latent_walk(model, path="spherical", rows=4, steps=14, seed=2), columns=14)

# %% [markdown]
# ## What can go wrong
#
# ### Checkerboard artifacts
#
# The kernels of a transposed convolution overlap. If the kernel size is not a multiple of the
# stride, some pixels receive more contributions than their neighbors: between 4 and 9 for a 5x5
# kernel with stride 2. With input and kernel equal to one, the pattern becomes visible (Odena et
# al. 2016). Training can learn to compensate it and mostly does, but early samples and flat areas
# often show a trace.

# %%
import keras

ones = tf.ones((1, 8, 8, 1))
for size in (5, 4):
    counts = keras.layers.Conv2DTranspose(
        1, size, strides=2, padding="same", kernel_initializer="ones"
    )(ones)[:, 3:-3, 3:-3]
    values = sorted(set(counts.numpy().ravel().astype(int).tolist()))
    print(f"kernel {size}x{size}: contributions per pixel {values}")
    show_images((counts.numpy() * 25).astype(np.uint8), width=100)

# %% [markdown]
# The same in an untrained $G$ with both kernel sizes: the standard deviation of each pixel over 500
# images. The grid of the 5x5 kernel is present before training. Solutions are a kernel size that is
# a multiple of the stride (`model.kernel_size=4`), or resizing followed by a convolution, which
# Pix2Pix and CycleGAN offer as `model.upsampling=resize`.

# %%
deviations = []
for size in (5, 4):
    keras.utils.set_random_seed(0)
    untrained = dcgan.DCGAN(
        dcgan.DCGANConfig(image_size=32, channels=1, width=16, kernel_size=size)
    )
    deviation = untrained(untrained.latent(500, seed=0), training=True).numpy().std(axis=0)
    deviations.append((255 * deviation / deviation.max()).astype(np.uint8))
show_images(deviations, columns=2, width=400)

# %% [markdown]
# ### High learning rate, missing batch normalization
#
# The paper reports that the usual learning rate of Adam, 0.001, was too high. The next cell
# compares the recipe with a learning rate of 0.005 and with a $D$ without batch normalization. Look
# at the samples first, then at the curves: do the curves predict the samples?

# %%
short = [*overrides, "model.ema_decay=0", f"train.epochs={choose(1, 12, 2)}"]
variants = {
    "recipe": [],
    "rate 0.005": ["model.learning_rate=0.005"],
    "no norm in D": ["model.discriminator_norm=none"],
}
histories = {}
for name, extra in variants.items():
    variant, histories[name] = train_in_memory(preset, *short, *extra)
    print(name)
    show_images(variant.sample(16, seed=0), columns=16)

# %%
plot_curves(
    {
        "real minus fake logit": {
            name: np.subtract(h["real_logits"], h["fake_logits"]) for name, h in histories.items()
        },
        "loss of G": {name: h["generator"] for name, h in histories.items()},
    }
)

# %% [markdown]
# Without batch normalization in $D$ all samples are nearly equal: mode collapse. Its curves look
# the most stable of all, with similar logits and a low loss of $G$. Batch normalization lets $D$
# see the whole batch, and a batch of equal images is easy to detect. The high learning rate works
# here, with frayed strokes.
#
# These are single runs of a few seconds. They show that the variants differ, but cannot rank them.
# Ranking objectives or norms needs several seeds and the metrics of notebook 8.
#
# ## Exercises
#
# 1. Set `model.kernel_size=4` for the whole training. Can you see a difference? Can you measure one
#    (notebook 8)?
# 2. Batch normalization mixes the images of a batch. Which penalty on $D$ is therefore not possible
#    with it? Try `model.penalty=r1`, and read the error message.
# 3. Train `model.objective=hinge` and `least_squares` with three seeds each (`train.seed=1`). Is
#    the difference between objectives larger than that between seeds?
# 4. Interpolate linearly: `latent_walk(model, path="linear")`. In 100 dimensions, what is the norm
#    of the midpoint?
# 5. Latent arithmetic: take the mean $z$ of some threes, subtract that of some ones, add that of
#    other ones.
