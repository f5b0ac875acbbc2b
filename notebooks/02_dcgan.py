# %% [markdown]
# # 2. DCGAN: convolutional networks
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/02_dcgan.ipynb)
#
# **You will learn**
#
# - how a transposed convolution turns a small feature map into a large image;
# - to write a DCGAN, generator, discriminator and training step, in plain Keras;
# - to train the same model with one command, and to load a pretrained one;
# - to recognize checkerboard artifacts and mode collapse.
#
# **Prerequisites:** notebook [1](01_gan.ipynb) (the two losses of a GAN), and what a convolution
# and a gradient are. **Time:** 30 minutes of reading, 2 minutes of computation on two CPU cores.
#
# Paper: Radford, Metz, Chintala, *Unsupervised Representation Learning with Deep Convolutional
# Generative Adversarial Networks*, 2015, [arXiv 1511.06434](https://arxiv.org/abs/1511.06434).

# %%
FULL = False  # True: the real preset dcgan_mnist (downloads MNIST once; 83 minutes on two CPU cores, a few on a GPU)
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
    load_pretrained,
    plot_curves,
    read_losses,
    set_up,
    show_animation,
    show_diagram,
    show_images,
    show_rows,
    train_in_memory,
    train_run,
)

set_up(full=FULL, drive=DRIVE)


# %% [markdown]
# ## The idea
#
# The generator $G$ of notebook 1 has one weight for every pair of a hidden unit and a pixel. It has
# to learn separately for each position what a stroke looks like. A convolution uses the *same*
# small kernel at every position. So DCGAN uses convolutions in both networks:
#
# - The **discriminator** $D$ halves the image until 4x4 positions are left, and gives one number:
#   is the image real?
# - The **generator** $G$ does the reverse. It begins with a 4x4 map that is computed from $z$, 64
#   independent random numbers from $N(0, 1)$, and doubles it until it has the size of an image.
#
# Earlier attempts with deep convolutional GANs did not train. The contribution of the paper is a
# recipe that does:
#
# | rule | generator | discriminator |
# |---|---|---|
# | change of size | transposed convolution, stride 2 | convolution, stride 2 (no pooling) |
# | dense layers | only from $z$ to the 4x4 map | only from the 4x4 map to the logit |
# | batch normalization | all layers but the output | all layers but the first |
# | activation | ReLU, $\tanh$ at the output | leaky ReLU, slope 0.2 |
# | initial kernels of convolutions, optimizer | $N(0, 0.02^2)$; Adam, rate 0.0002, $\beta_1 = 0.5$ | the same |

# %%
orange, blue, gray = "#ffd8a8", "#a5d8ff", "#e9ecef"
show_diagram(
    {
        "z": (0, 1, "z\n64 numbers"),
        "g1": (1.3, 1, "4x4\n64 channels", orange),
        "g2": (2.6, 1, "8x8\n32 channels", orange),
        "g3": (3.9, 1, "16x16\n16 channels", orange),
        "image": (5.3, 0.45, "image\n32x32", gray),
        "real": (6.6, 0.45, "real image\n32x32", gray),
        "d1": (3.9, 0, "16x16\n16 channels", blue),
        "d2": (2.6, 0, "8x8\n32 channels", blue),
        "d3": (1.3, 0, "4x4\n64 channels", blue),
        "logit": (0, 0, "logit\n1 number"),
    },
    [
        ("z", "g1"),
        ("g1", "g2"),
        ("g2", "g3"),
        ("g3", "image"),
        ("image", "d1"),
        ("real", "image", "or"),
        ("d1", "d2"),
        ("d2", "d3"),
        ("d3", "logit"),
    ],
    caption="The networks of this notebook. Orange: the generator doubles the size with transposed "
    "convolutions. Blue: the discriminator halves it with convolutions of stride 2.",
    size=(9.5, 3),
)

# %% [markdown]
# ## The math
#
# **Losses.** They are those of notebook 1. $D$ returns a logit $l$; $\sigma(l)$ is the probability
# that the image is real.
#
# $$L_D = -\mathbb{E} \log \sigma(l_\text{real}) - \mathbb{E} \log\bigl(1 - \sigma(l_\text{fake})\bigr), \qquad
# L_G = -\mathbb{E} \log \sigma(l_\text{fake}).$$
#
# **Transposed convolution.** A convolution is linear. With the image as a vector $x$, it is a
# matrix product $y = C x$. With stride 2, $C$ maps $2s \times 2s$ pixels to $s \times s$ values. The transposed convolution
# multiplies by $C^\top$ and maps $s \times s$ values to $2s \times 2s$ pixels. In other words:
# every input value adds the kernel, scaled by this value, to the output. Where kernels overlap,
# they are added. Check it with one input value, which gives one kernel. Then set a second value,
# `one_value[0, 1, 2] = 1.0`: the kernels overlap in one column.

# %%
import keras
import numpy as np
import tensorflow as tf
from keras import layers

one_value = np.zeros((1, 4, 4, 1), "float32")
one_value[0, 1, 1] = 1.0
kernel = np.arange(1, 10, dtype="float32").reshape(3, 3, 1, 1)
upsample = layers.Conv2DTranspose(1, 3, strides=2, padding="same", use_bias=False)
upsample.build(one_value.shape)
upsample.set_weights([kernel])
print("input 4x4, all zero except one value; output 8x8:")
print(upsample(one_value).numpy()[0, :, :, 0].astype(int))

# %% [markdown]
# **Batch normalization** subtracts the mean of each channel over the batch and all positions,
# divides by the standard deviation, and then applies a learned scale and shift. It keeps
# activations and gradients in a usable range in every layer. The shift replaces the bias of the
# layer before. With `training=False` it uses running averages of the training, with weight 0.9
# (`momentum`), so a sample does not depend on the other samples of its batch. It is absent at the
# output of $G$ and at the input of $D$, because there it would remove the brightness of the images.
#
# ## From scratch
#
# The data: 1,797 handwritten digits, enlarged from 8x8 to 32x32 pixels. Values are scaled to
# $[-1, 1]$, the range of $\tanh$.

# %%
from tfgan_zoo.data.datasets import load_for_experiment

digits = load_for_experiment(tfgan_zoo.experiment("dcgan_digits")).images  # uint8 (1797, 32, 32, 1)
show_images(digits[:20], columns=10, caption="Real images.")
real_images = digits.astype("float32") / 127.5 - 1.0
batches = tf.data.Dataset.from_tensor_slices(real_images).shuffle(2000).repeat()
batches = batches.batch(32, drop_remainder=True).prefetch(2)

# %% [markdown]
# The networks are written with plain Keras layers. Compare each line with the table above.

# %%
LATENT_DIM, WIDTH = 64, 16


def convolution(layer, channels, kernel_size=5, **options):
    """Return a convolution or transposed convolution with stride 2 and the paper's weights."""
    init = keras.initializers.RandomNormal(stddev=0.02)
    return layer(
        channels, kernel_size, strides=2, padding="same", kernel_initializer=init, **options
    )


def build_generator(kernel_size=5):
    return keras.Sequential(
        [
            keras.Input((LATENT_DIM,)),  # z
            layers.Dense(4 * 4 * 4 * WIDTH, use_bias=False),
            layers.Reshape((4, 4, 4 * WIDTH)),  # (n, 4, 4, 64)
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            convolution(layers.Conv2DTranspose, 2 * WIDTH, kernel_size, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),  # (n, 8, 8, 32)
            convolution(layers.Conv2DTranspose, WIDTH, kernel_size, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),  # (n, 16, 16, 16)
            convolution(layers.Conv2DTranspose, 1, kernel_size, activation="tanh"),
        ],  # (n, 32, 32, 1)
        name="generator",
    )


def build_discriminator():
    return keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            convolution(layers.Conv2D, WIDTH),
            layers.LeakyReLU(0.2),  # (n, 16, 16, 16)
            convolution(layers.Conv2D, 2 * WIDTH, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.LeakyReLU(0.2),  # (n, 8, 8, 32)
            convolution(layers.Conv2D, 4 * WIDTH, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.LeakyReLU(0.2),  # (n, 4, 4, 64)
            layers.Flatten(),
            layers.Dense(1),  # logit
        ],
        name="discriminator",
    )


keras.utils.set_random_seed(0)
generator, discriminator = build_generator(), build_discriminator()
print(f"generator: {generator.count_params():,} parameters")
print(f"discriminator: {discriminator.count_params():,} parameters")

# %% [markdown]
# One training step, in this order:
#
# 1. Draw $z$ and generate a batch of images.
# 2. Compute the logits of real and generated images, then both losses.
# 3. Differentiate $L_D$ with respect to the weights of $D$ only, and $L_G$ with respect to the
#    weights of $G$ only.
# 4. One step of Adam for each network.
#
# The loss of $G$ depends on the weights of $D$ too, but its gradient is applied to $G$ alone.

# %%
g_optimizer = keras.optimizers.Adam(2e-4, beta_1=0.5)
d_optimizer = keras.optimizers.Adam(2e-4, beta_1=0.5)
cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)


@tf.function
def train_step(real):
    z = tf.random.normal((32, LATENT_DIM))
    with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
        fake = generator(z, training=True)
        real_logits = discriminator(real, training=True)
        fake_logits = discriminator(fake, training=True)
        d_loss = cross_entropy(tf.ones_like(real_logits), real_logits) + cross_entropy(
            tf.zeros_like(fake_logits), fake_logits
        )
        g_loss = cross_entropy(tf.ones_like(fake_logits), fake_logits)  # G wants "real"
    g_gradients = g_tape.gradient(g_loss, generator.trainable_variables)
    d_gradients = d_tape.gradient(d_loss, discriminator.trainable_variables)
    g_optimizer.apply(g_gradients, generator.trainable_variables)
    d_optimizer.apply(d_gradients, discriminator.trainable_variables)
    return d_loss, g_loss


# %% [markdown]
# Train, and generate images from the *same* $z$ again and again. So each position shows how one
# image develops.


# %%
def to_uint8(images):
    return np.uint8(np.round((np.clip(images, -1, 1) + 1) * 127.5))


steps = choose(4, 1500, 1500)
fixed_z = tf.random.normal((20, LATENT_DIM), seed=1)
frames, history = [], []
for step, real in enumerate(batches.take(steps)):
    history.append([float(loss) for loss in train_step(real)])
    if step % (steps // 4) == steps // 4 - 1:
        d_loss, g_loss = np.mean(history[-100:], axis=0)
        print(f"step {step + 1}: loss of D {d_loss:.2f}, loss of G {g_loss:.2f}")
    if (step + 1) % max(1, steps // 20) == 0:
        frames.append(to_uint8(generator(fixed_z, training=False)))

show_animation(frames, width=720, caption="The training of your DCGAN: 20 fixed codes.")
show_images(frames[-1], columns=10, caption="The last frame.")

# %% [markdown]
# First there is noise with a grid, then the same bar for all codes, then blobs, strokes and digits.
# After so few steps some digits are still malformed. Two networks and a training step of 15 lines
# are all that a DCGAN needs.
#
# ## The same with the package
#
# `tfgan-zoo train dcgan_digits model.width=16` trains the same networks. An argument `section.name=value`
# changes a setting. In Python the command is one call:

# %%
preset = choose("dcgan_tiny", "dcgan_digits", "dcgan_mnist")
overrides = choose([], ["model.width=16", "train.epochs=24", "train.sample_every=2"], [])
run = train_run("dcgan", preset, *overrides)

# %% [markdown]
# | your code | package |
# |---|---|
# | `build_generator`, `build_discriminator` | [models/dcgan.py](../tfgan_zoo/models/dcgan.py): the same layers, for any image size |
# | `train_step` | `compute_losses` in the same file, `train_step` in [adversarial.py](../tfgan_zoo/models/adversarial.py) |
# | `cross_entropy(...)` | `model.objective=non_saturating`; other objectives are other values |
# | `LATENT_DIM`, `WIDTH`, learning rates | `model.latent_dim`, `model.width`, `model.learning_rate` |
# | loop, pictures | `tfgan-zoo train`: checkpoints, resuming, curves, sample grids, several GPUs, TPU |
#
# One difference is in the samples. The package can generate with an **average of the weights** of
# $G$, $\bar\theta \leftarrow d\,\bar\theta + (1 - d)\,\theta$ with $d$ rising to 0.995
# (`model.ema_decay`). The weights oscillate around a good solution, and their average is closer to
# it. The paper does not have it.
#
# ## The training, animated
#
# Every run has its sample grids in `samples/`, and `samples.gif` shows them as an animation.

# %%
show_animation(
    run,
    share=0.5,
    width=560,
    caption="Sample grids of the run.",
)

# %%
h = read_losses(run)
plot_curves(
    {
        "losses": {"D": h["discriminator"], "G": h["generator"]},
        "mean logits": {"real": h["real_logits"], "fake": h["fake_logits"]},
    },
    caption="The balance between the networks. It does not measure the quality of the images.",
)

# %% [markdown]
# ## A pretrained model
#
# `dcgan_mnist` is a wider network with 100 random numbers per image, trained with the same code
# on 60,000 digits for 83 minutes on two CPU cores, next to other work. A digit classifier gives its
# samples a score of 8.76 (real images: 9.80). Some samples are between two digits: $G$ is continuous, so it
# must also generate something between the classes. Notebook
# [8](08_evaluation.ipynb) explains the score.

# %%
pretrained = load_pretrained("dcgan_mnist")
show_images(pretrained.sample(36, seed=1), columns=12, caption="Samples of `dcgan_mnist`.")

# %% [markdown]
# Has $G$ memorized training images, or does it generate plausible images between two digits? Move
# from one code $z$ to another and look. A straight line is not the best path. A draw from $N(0, I)$
# in $d$ dimensions has a norm near $\sqrt d$, and the middle of a line is shorter. If $d$ is large,
# like your 64, $G$ has hardly ever seen such a code. **Spherical interpolation** preserves the norm.

# %%
from tfgan_zoo.inference.latent_walk import latent_walk

show_images(
    latent_walk(pretrained, path="spherical", rows=4, steps=12, seed=2),
    columns=12,
    caption="Spherical interpolation between two codes per row.",
)

# %% [markdown]
# Strokes bend, close and open. Most steps are gradual, and few of the images between two digits are
# broken. This suggests that $G$ did not just store images. A search for the nearest training images
# is the stronger test (notebook 8).
#
# ## What goes wrong
#
# ### Checkerboard artifacts
#
# The kernels of a transposed convolution overlap. If the kernel size is not a multiple of the
# stride, some pixels receive more contributions than their neighbors: between 4 and 9 for a 5x5
# kernel with stride 2 (Odena et al. 2016). The next cell counts them, with inputs and kernels equal
# to one. Then it measures how much each pixel varies over 500 images of your *untrained* generator.

# %%
counts, deviations = {}, {}
for size in (5, 4):
    ones = layers.Conv2DTranspose(1, size, strides=2, padding="same", kernel_initializer="ones")
    count = ones(tf.ones((1, 16, 16, 1))).numpy()
    print(f"kernel {size}x{size}: contributions per pixel", np.unique(count[:, 4:-4, 4:-4]))
    keras.utils.set_random_seed(0)
    images = build_generator(size)(tf.random.normal((500, LATENT_DIM), seed=0), training=True)
    deviation = images.numpy().std(axis=0)
    counts[size] = np.uint8(count[0] * 28)
    deviations[size] = np.uint8(255 * deviation / deviation.max())
show_rows(
    {f"kernel {size}x{size}": [counts[size], deviations[size]] for size in (5, 4)},
    width=420,
    caption="Left: number of contributions per pixel. Right: standard deviation of each pixel over "
    "images of an untrained generator.",
)

# %% [markdown]
# The pixels of the 5x5 kernel vary in a grid before training, more weakly than the counts, because
# random kernels average out in part. Training learns to compensate it and mostly
# does, but early samples often show a trace: look at the first frames of your animation. Solutions
# are a kernel size that is a multiple of the stride (`model.kernel_size=4`), or resizing followed
# by a convolution.
#
# ### Mode collapse
#
# In a mode collapse $G$ maps nearly all codes to a few images. Batch normalization in $D$ does more
# than scale activations: it lets $D$ see the whole batch, and a batch of equal images is easy to detect. The next cell trains briefly with and without it.

# %%
short = [*overrides, "model.ema_decay=0", f"train.epochs={choose(1, 10, 2)}"]
histories, rows = {}, {}
for name, norm in {"batch norm in D": "batch", "no norm in D": "none"}.items():
    variant, histories[name] = train_in_memory(preset, *short, f"model.discriminator_norm={norm}")
    images = variant.sample(200, seed=0)
    rows[name.replace(" in", "\nin")] = images[:10]
    print(f"{name}: mean standard deviation of a pixel {images.std(axis=0).mean():.1f} of 255")
print(f"real images: {digits.std(axis=0).mean():.1f} of 255")
show_rows(rows, width=700, caption="Samples of ten different codes after a short training.")
plot_curves(
    {
        "real minus fake logit": {
            name: np.subtract(h["real_logits"], h["fake_logits"]) for name, h in histories.items()
        },
        "loss of G": {name: h["generator"] for name, h in histories.items()},
    },
    caption="The curves of both trainings.",
)

# %% [markdown]
# Without normalization the samples hardly depend on $z$: **mode collapse**. The curves mislead: the
# collapsed training has a small gap of the logits and a loss of $G$ near $\ln 2 = 0.69$, as if $D$
# could not tell the images from real ones. How one sees it: look at many samples of different $z$, and compare their standard deviation
# with that of real images. These are single short runs. Ranking two variants needs several seeds
# and the metrics of notebook 8.
#
# | symptom | probable cause | try |
# |---|---|---|
# | all samples equal | mode collapse | batch or spectral norm in $D$, another seed |
# | loss of $G$ low, blobs or equal samples | $D$ too weak | higher rate of $D$ |
# | loss of $D$ near 0 for many epochs, noise as samples | $D$ too strong | lower rate of $D$, `model.diff_augment=translation,cutout` |
# | regular grid | kernel size 5, stride 2 | `model.kernel_size=4` |
#
# ## Exercises
#
# Try each of them before you open the solution.
#
# 1. How many parameters does the last layer of your generator have? And a dense layer from the
#    16x16x16 map to the 32x32 image?
# 2. Set `kernel_size=4` in `build_generator` and train again: run the cells of the networks, of the
#    training step and of the training. What changes in the first frames?
# 3. The gradient of $L_G$ passes through $D$. What happens if you write
#    `discriminator(tf.stop_gradient(fake))` for both losses?
# 4. Interpolate linearly: `latent_walk(pretrained, path="linear")`. For two independent codes in 64
#    dimensions, what is the norm of the midpoint?
# 5. Train your own DCGAN with the discriminator's learning rate ten times smaller and ten times
#    larger. Which one fails, and how do you notice?
#
# <details>
# <summary>Solutions</summary>
#
# **1.** $5 \cdot 5 \cdot 16 \cdot 1 + 1 = 401$ parameters. The dense layer would have $4096 \cdot
# 1024 + 1024 = 4{,}195{,}328$, more than ten thousand times as many. The convolution shares its
# weights between positions.
#
# **2.** The regular grid of the first frames disappears, as in the untrained network above. The
# training compensates most of it anyway, so the last frames differ less.
#
# **3.** The gradient of $L_G$ with respect to $G$ is `None`, and `apply` raises an error:
# $G$ receives its only signal through $D$.
#
# **4.** Two independent codes are nearly orthogonal with norms near 8. The midpoint has a norm near
# $\sqrt{8^2 + 8^2} / 2 = 8 / \sqrt 2 \approx 5.7$. The codes of `dcgan_mnist` have 100 dimensions
# and norms near 10.
#
# **5.** Usually the slow $D$: its gradients describe an older $G$, and the samples are blobs or
# collapse. A fast $D$ shows in its loss, which approaches 0, while the loss of $G$ grows. Look at
# the samples and at both losses together.
#
# </details>
#
# ## What next
#
# - Notebook [3](03_cgan.ipynb): request a digit, with a conditional GAN.
# - Notebook [8](08_evaluation.ipynb): measure the quality of the samples.
# - Notebook [9](09_your_own_images.ipynb): train a DCGAN on your own images.
