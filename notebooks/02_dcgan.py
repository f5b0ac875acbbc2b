# %% [markdown]
# # 2. DCGAN: the game with convolutions
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/02_dcgan.ipynb)
#
# The game is that of notebook 1. What changes is who plays it: both networks are convolutional, put together by a recipe that made GANs
# train on images at all.
#
# Paper: Radford, Metz, Chintala, *Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks*, 2015,
# [arXiv 1511.06434](https://arxiv.org/abs/1511.06434).

# %%
FULL = False  # True: the real preset dcgan_mnist (downloads MNIST once; 21 minutes on two CPU cores, a few on a GPU)

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
# ## The recipe
#
# 1. No pooling. $D$ halves the image by convolutions of stride 2, $G$ doubles its maps by *transposed* convolutions of stride 2.
# 2. No hidden dense layers: $z$ is projected to a small map with many channels, and from there on it is convolutions.
# 3. Batch norm in both, but not at $G$'s output and not at $D$'s input.
# 4. ReLU in $G$ with $\tanh$ at the end, leaky ReLU in $D$.
# 5. Weights from $N(0, 0.02^2)$, Adam with learning rate 0.0002 and $\beta_1 = 0.5$.
#
# Each is a line below.

# %%
from tfgan_zoo.models import dcgan

show_source(dcgan.generator, dcgan.discriminator)

# %% [markdown]
# A convolution of stride 2 maps $2s \times 2s$ pixels to $s \times s$ values; written as a matrix, $y = C x$. The transposed
# convolution multiplies by $C^\top$ and leads back from $s \times s$ to $2s \times 2s$: every value of the small map paints its kernel
# into the large one, and where the painted patches overlap, they add up.
#
# The shapes on the way, for the size that we train here:

# %%
import tensorflow as tf

from tfgan_zoo.runs import build_model

preset = choose("dcgan_tiny", "dcgan_digits", "dcgan_mnist")
changes = choose([], ["model.width=16", "train.epochs=40", "train.sample_every=4"], [])
experiment = tfgan_zoo.experiment(preset, *changes)
model = build_model(experiment, tf.distribute.get_strategy())
for network in (model.generator, model.discriminator):
    print(f"{network.name}: {network.count_params():,} parameters")
    for layer in network.layers:
        if "conv" in layer.name or "dense" in layer.name or "reshape" in layer.name:
            print(f"    {type(layer).__name__:<18} {layer.output.shape}")

# %% [markdown]
# The training step is the very same as for perceptrons: `AdversarialModel.train_step`. That is the point of the paper, too: a recipe
# for networks, not another game.

# %%
from tfgan_zoo.models.adversarial import AdversarialModel

show_source(AdversarialModel.train_step)

# %% [markdown]
# ## Training
#
# `ema_decay` is one thing that the paper does not have: samples come from a running average of $G$'s weights,
# $\bar\theta \leftarrow 0.995\,\bar\theta + 0.005\,\theta$. $G$ circles around a good place, its average sits in the middle. That is
# why the first samples look empty: the average is still mostly the beginning.

# %%
run = train_run("dcgan", preset, *changes)
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
# Compare with notebook 1: the strokes are smooth and the background is black, since a convolution treats all places alike. What so
# short a training cannot show is how far it gets: `dcgan_mnist` reaches a classifier score of 9.31, where real images have 9.80
# (notebook 8 says what these numbers are).
#
# ## Walks
#
# Is there anything between two digits, or has $G$ learnt the training images by heart? Walk from one $z$ to another and look. A
# straight line is not the best way: a draw from $N(0, I)$ in $d$ dimensions has a length near $\sqrt d$, and the middle of a straight
# line is shorter, a kind of $z$ that $G$ has never seen. The spherical walk keeps the length.

# %%
import numpy as np

from tfgan_zoo.inference.latent_walk import interpolate, latent_walk

for path in ("spherical", "linear"):
    z = interpolate(np.asarray(model.latent(2, seed=3)), 9, path)
    print(path, "- lengths of z on the way:", np.linalg.norm(z, axis=1).round(1))
show_images(latent_walk(model, path="spherical", rows=4, steps=14, seed=2), columns=14)

# %% [markdown]
# ## What goes wrong, and how one sees it
#
# ### Checkerboards
#
# A transposed convolution paints overlapping patches. Where kernel size is no multiple of the stride, some pixels are painted more
# often than their neighbours: with 5x5 and stride 2 between 4 and 9 times. Paint ones on ones, and the pattern shows (Odena et al.
# 2016). Training can learn to even it out, and mostly does, but early samples and flat areas often keep a trace.

# %%
import keras

ones = tf.ones((1, 8, 8, 1))
for size in (5, 4):
    painted = keras.layers.Conv2DTranspose(
        1, size, strides=2, padding="same", kernel_initializer="ones"
    )(ones)[:, 3:-3, 3:-3]
    print(
        f"kernel {size}x{size}: pixels are painted {sorted(set(painted.numpy().ravel().astype(int).tolist()))} times"
    )
    show_images((painted.numpy() * 25).astype(np.uint8), width=100)

# %% [markdown]
# The same in an untrained $G$, with either kernel: how much each pixel deviates over 500 images. The grid of the 5x5 kernel is there
# before anything is learnt. Ways out: a kernel that the stride divides (`model.kernel_size=4`), or to enlarge first and convolve then,
# which Pix2Pix and CycleGAN offer as `model.upsampling=resize`.

# %%
deviations = []
for size in (5, 4):
    keras.utils.set_random_seed(0)
    fresh = dcgan.DCGAN(dcgan.DCGANConfig(image_size=32, channels=1, width=16, kernel_size=size))
    deviation = fresh(fresh.latent(500, seed=0), training=True).numpy().std(axis=0)
    deviations.append((255 * deviation / deviation.max()).astype(np.uint8))
show_images(deviations, columns=2, width=400)

# %% [markdown]
# ### Too fast, and without the recipe
#
# The paper reports that Adam's usual learning rate of 0.001 was too high. Here are 0.005, and the recipe without batch norm in $D$,
# beside the recipe. Look at the samples first, then at the curves: would you have guessed from those?

# %%
short = [*changes, "model.ema_decay=0", f"train.epochs={choose(1, 12, 2)}"]
variants = {
    "recipe": [],
    "rate 0.005": ["model.learning_rate=0.005"],
    "no norm in D": ["model.discriminator_norm=none"],
}
histories = {}
for name, more in variants.items():
    player, histories[name] = train_in_memory(preset, *short, *more)
    print(name)
    show_images(player.sample(16, seed=0), columns=16)

# %%
plot_curves(
    {
        "real minus fake logit": {
            name: np.subtract(h["real_logits"], h["fake_logits"]) for name, h in histories.items()
        },
        "G's loss": {name: h["generator"] for name, h in histories.items()},
    }
)

# %% [markdown]
# Without batch norm in $D$ all samples are nearly one image: mode collapse. Yet its curves look the calmest of all, logits close
# together and a low loss of $G$. Batch norm lets $D$ see a batch as a whole, and a batch of twins gives itself away. The high rate has
# got along here, with frayed strokes.
#
# One run each, of seconds: enough to see that they differ, not enough to rank them. Which objective or norm is best is a question of
# many seeds and of the measures of notebook 8.
#
# ## Exercises
#
# 1. `model.kernel_size=4` in the whole training. Can you see a difference? Can you measure one (notebook 8)?
# 2. Batch norm mixes the images of a batch. Which penalty on $D$ can therefore not go with it? Try `model.penalty=r1`, and read the
#    error.
# 3. `model.objective=hinge`, `least_squares`: train each with three seeds (`train.seed=1`). Is the difference between objectives
#    larger than that between seeds?
# 4. A walk along a straight line: `explore.walk(model, path="linear")`. With 100 dimensions, how long is the middle of the line?
# 5. Latent arithmetic: the mean $z$ of some threes, minus that of some ones, plus that of other ones.
