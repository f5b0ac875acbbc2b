# %% [markdown]
# # 3. CGAN: conditional generation
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/03_cgan.ipynb)
#
# **You will learn**
#
# - to request a specific digit from a GAN, by passing a label to both networks;
# - two ways to pass a label to a discriminator, and to write one of them in plain Keras;
# - to separate content from label: the same $z$ for all labels, one label between two others;
# - to measure with a classifier what the losses do not show.
#
# **Prerequisites:** notebooks [1](01_gan.ipynb) and [2](02_dcgan.ipynb). **Time:** 25 minutes of
# reading, 2 minutes of computation on two CPU cores.
#
# Paper: Mirza, Osindero, *Conditional Generative Adversarial Nets*, 2014, [arXiv
# 1411.1784](https://arxiv.org/abs/1411.1784).

# %%
FULL = False  # True: the real preset cgan_mnist (downloads MNIST once; 9 minutes on two CPU cores)
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
    train_run,
)

set_up(full=FULL, drive=DRIVE)


# %% [markdown]
# ## The idea
#
# A GAN generates *some* digit. To request a specific one, both networks receive its label $y$. $G$
# generates an image *for* a label. $D$ discriminates real pairs of image and label from generated
# pairs.
#
# $G$ is never told directly that its image must match the label. $D$ enforces it: all real pairs
# match, so a realistic three with the label 8 is easy to detect as generated.

# %%
orange, blue, gray = "#ffd8a8", "#a5d8ff", "#e9ecef"
show_diagram(
    {
        "z": (0, 1.5, "z\nrandom numbers"),
        "y": (0, 0.25, "y\nlabel", "#b2f2bb"),
        "G": (1.5, 1, "generator G", orange),
        "fake": (2.9, 1, "G(z, y)", gray),
        "real": (2.9, 1.9, "x, real image\nwith label y", gray),
        "D": (4.4, 1, "discriminator D", blue),
        "p": (5.9, 1, "is the pair\n(image, label)\nreal?"),
    },
    [("z", "G"), ("y", "G"), ("y", "D"), ("G", "fake"), ("fake", "D"), ("real", "D"), ("D", "p")],
    caption="A conditional GAN. The label enters both networks.",
    size=(9, 3),
)

# %% [markdown]
# ## The math
#
# $$\min_G \max_D \; \mathbb{E}_{x, y} \log D(x, y) + \mathbb{E}_{z, y} \log\bigl(1 - D(G(z, y), y)\bigr).$$
#
# By the argument of notebook 1, applied to each $y$ separately, the optimum is reached when
# $G(\cdot, y)$ has the distribution of the real images with label $y$.
#
# A label is a one-hot vector $y$. How does it enter the networks?
#
# - $G$ concatenates $z$ with a learned **embedding** of $y$: a matrix times $y$, which is one row
#   of a table per class.
# - $D$ can receive one more channel with a learned map per class (a **plane**), as in the paper.
# - Or $D$ uses a **projection** (Miyato & Koyama 2018). Let $\phi(x)$ be the features of the image
#   before the last layer:
#
# $$\text{logit} = \psi(\phi(x)) + \langle V y, \phi(x) \rangle.$$
#
# The first term scores whether the image is real. The second is a linear classifier: row $y$ of $V$
# scores whether the features match the label.
#
# ## From scratch
#
# The data: the digits of notebook 1, 16x16 pixels, with their labels.

# %%
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfgan_zoo.data.datasets import load_for_experiment

data = load_for_experiment(tfgan_zoo.experiment("cgan_digits", "model.image_size=16"))
digits, labels = data.images, data.labels  # uint8 (1797, 16, 16, 1), integers (1797,)
real_images = digits.astype("float32") / 127.5 - 1.0
print("labels:", labels[:16])
show_images(digits[:16], columns=16, caption="The first images.")

# %% [markdown]
# The networks are small DCGANs with a second input. In the generator two lines are new, in the
# discriminator three.

# %%
LATENT_DIM, WIDTH, CLASSES = 32, 16, 10
init = keras.initializers.RandomNormal(stddev=0.02)
options = {"kernel_size": 4, "strides": 2, "padding": "same", "kernel_initializer": init}


def norm():
    return layers.BatchNormalization(momentum=0.9)


def build_generator():
    z, y = keras.Input((LATENT_DIM,)), keras.Input((CLASSES,))
    embedding = layers.Dense(LATENT_DIM, use_bias=False)(y)  # new: one row of a table per class
    x = layers.Concatenate()([z, embedding])  # new
    x = layers.Dense(4 * 4 * 4 * WIDTH, use_bias=False)(x)
    x = layers.Reshape((4, 4, 4 * WIDTH))(x)  # (n, 4, 4, 64)
    x = layers.ReLU()(norm()(x))
    x = layers.Conv2DTranspose(2 * WIDTH, use_bias=False, **options)(x)
    x = layers.ReLU()(norm()(x))  # (n, 8, 8, 32)
    image = layers.Conv2DTranspose(1, activation="tanh", **options)(x)  # (n, 16, 16, 1)
    return keras.Model([z, y], image)


def build_discriminator():
    image, y = keras.Input((16, 16, 1)), keras.Input((CLASSES,))
    x = layers.LeakyReLU(0.2)(layers.Conv2D(2 * WIDTH, **options)(image))  # (n, 8, 8, 32)
    x = layers.Conv2D(4 * WIDTH, use_bias=False, **options)(x)
    x = layers.LeakyReLU(0.2)(norm()(x))  # (n, 4, 4, 64)
    features = layers.Flatten()(x)  # phi(x)
    row = layers.Dense(4 * 4 * 4 * WIDTH, use_bias=False, kernel_initializer=init)(y)  # new: V y
    match = layers.Dot(axes=1)([row, features])  # new: <V y, phi(x)>
    return keras.Model([image, y], layers.Add()([layers.Dense(1)(features), match]))  # new: sum


# %% [markdown]
# The training step is that of notebook 2, with $y$ passed to every network. The generated images
# get the labels of the real batch. Everything is in one function, because we will train twice.

# %%
cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)


def train(labels, steps):
    """Return the trained generator, the losses (steps, 2), and images of fixed codes."""
    keras.utils.set_random_seed(0)
    generator, discriminator = build_generator(), build_discriminator()
    g_optimizer = keras.optimizers.Adam(5e-4, beta_1=0.5)
    d_optimizer = keras.optimizers.Adam(5e-4, beta_1=0.5)
    one_hot = np.eye(CLASSES, dtype="float32")[labels]
    batches = tf.data.Dataset.from_tensor_slices((real_images, one_hot)).shuffle(2000).repeat()

    @tf.function
    def train_step(real, y):
        z = tf.random.normal((32, LATENT_DIM))
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            fake = generator([z, y], training=True)
            real_logits = discriminator([real, y], training=True)
            fake_logits = discriminator([fake, y], training=True)
            d_loss = cross_entropy(tf.ones_like(real_logits), real_logits) + cross_entropy(
                tf.zeros_like(fake_logits), fake_logits
            )
            g_loss = cross_entropy(tf.ones_like(fake_logits), fake_logits)
        g_gradients = g_tape.gradient(g_loss, generator.trainable_variables)
        d_gradients = d_tape.gradient(d_loss, discriminator.trainable_variables)
        g_optimizer.apply(g_gradients, generator.trainable_variables)
        d_optimizer.apply(d_gradients, discriminator.trainable_variables)
        return d_loss, g_loss

    fixed_z = np.repeat(np.random.default_rng(1).normal(size=(2, LATENT_DIM)), CLASSES, axis=0)
    losses, frames = [], []
    for step, batch in enumerate(batches.batch(32, drop_remainder=True).take(steps)):
        losses.append([float(loss) for loss in train_step(*batch)])
        if step % max(1, steps // 10) == 0 or step == steps - 1:
            frames.append(generate(generator, fixed_z, [*range(CLASSES)] * 2))
    return generator, np.array(losses), frames


def generate(generator, z, labels):
    """Return uint8 images (n, 16, 16, 1)."""
    y = np.eye(CLASSES, dtype="float32")[labels]
    images = generator([np.asarray(z, "float32"), y]).numpy()
    return np.uint8(np.round((np.clip(images, -1, 1) + 1) * 127.5))


steps = choose(4, 1500, 1500)
generator, losses, frames = train(labels, steps)
show_animation(
    frames,
    width=720,
    caption="The training of your CGAN. Labels 0 to 9 from left to right, one code per row.",
)

# %% [markdown]
# Now request digits. Each row has one label, each column one $z$. If $G$ separates the content of
# the label from the content of $z$, slant and stroke width are constant along a column.

# %%
codes = np.random.default_rng(0).normal(size=(10, LATENT_DIM))
images = generate(generator, np.tile(codes, (10, 1)), np.repeat(np.arange(10), 10))
show_images(images, columns=10, width=560, caption="Rows: labels. Columns: codes $z$.")

# %% [markdown]
# ## Measure it
#
# The losses of a GAN do not say whether the labels are obeyed. A classifier does. It was trained on
# other handwriting (MNIST).

# %%
from tfgan_zoo.features.metric_networks import load_metric_network
from tfgan_zoo.metrics.classes import label_accuracy

classifier = load_metric_network("digits")
test_codes = np.random.default_rng(2).normal(size=(500, LATENT_DIM))
test_labels = np.repeat(np.arange(10), 50)


def accuracy(generator):
    images = generate(generator, test_codes, test_labels)
    return label_accuracy(classifier(images)[1], test_labels)


print(f"your CGAN: {accuracy(generator):.0%} of 500 samples show the requested label")
print(f"real images: {label_accuracy(classifier(digits)[1], labels):.0%}, chance: 10%")

# %% [markdown]
# ## The same with the package
#
# `tfgan-zoo train cgan_digits` trains a CGAN on the 32-pixel digits. The options below make it
# smaller, choose the projection, and let the classifier read samples during the training.

# %%
preset = choose("cgan_tiny", "cgan_digits", "cgan_mnist")
small = ["model.width=16", "model.discriminator_condition=projection", "model.ema_decay=0.99"]
sizes = choose([], [*small, "train.epochs=21", "train.sample_every=3"], [])
every = choose(2, 3, 1)
metrics = ["train.evaluate_metrics=label_accuracy", "train.evaluate_samples=500"]
run = train_run("cgan", preset, *sizes, *metrics, f"train.evaluate_every={every}")

# %% [markdown]
# | your code | package |
# |---|---|
# | `build_generator`, `build_discriminator` | [models/cgan.py](../tfgan_zoo/models/cgan.py), for any image size |
# | `row`, `match` | `model.discriminator_condition=projection`; `plane` is the paper's |
# | `train_step` | `compute_losses` in cgan.py; the labels of the real batch go to both networks |
# | `generate(generator, z, labels)` | `model.generate(z, labels)`, or `tfgan-zoo sample RUN --labels 3,8` |
# | `accuracy` | `train.evaluate_metrics=label_accuracy`, `tfgan-zoo evaluate RUN` |
#
# ## The training, animated

# %%
show_animation(
    run,
    share=0.5,
    width=560,
    caption="Sample grids of the run. Each code keeps its label during the whole training.",
)
h = read_losses(run)
plot_curves(
    {
        "losses": {"D": h["discriminator"], "G": h["generator"]},
        "fraction with the requested label": {
            "generated": [
                (every * (i + 1), value) for i, value in enumerate(h["eval_label_accuracy"])
            ]
        },
    },
    caption="The losses reach their balance early and change little afterwards. The accuracy "
    "measures the images: it rises from chance level to nearly all.",
)

# %% [markdown]
# ## A pretrained model
#
# `cgan_mnist` was trained on 60,000 digits for 9 minutes on two CPU cores. The classifier reads the
# requested label in 99.0 % of its samples (real images: 99.4 %).

# %%
pretrained = load_pretrained("cgan_mnist")
z = np.tile(np.asarray(pretrained.latent(12, seed=0)), (10, 1))
show_images(
    pretrained.generate(z, np.repeat(np.arange(10), 12)),
    columns=12,
    caption="`cgan_mnist`: one label per row, one code per column.",
)

# %% [markdown]
# $y$ is a vector, so it can lie between two labels. $G$ was trained on the corners of this simplex
# only; its output in between is an extrapolation.

# %%
from tfgan_zoo.inference.latent_walk import latent_walk

show_images(
    latent_walk(pretrained, rows=4, steps=12, seed=0, labels=[3, 8]),
    columns=12,
    caption="From label 3 to label 8, with one code per row.",
)

# %% [markdown]
# ## What goes wrong
#
# ### Labels without information
#
# What happens if the labels are wrong? Train on the same images with shuffled labels. $D$ cannot
# use them, so $G$ need not follow them.

# %%
shuffled_labels = np.random.default_rng(0).permutation(labels)
shuffled, shuffled_losses, _ = train(shuffled_labels, steps)
print(f"trained on shuffled labels: {accuracy(shuffled):.0%} show the requested label")
rows = {"true\nlabels": generate(generator, codes, np.arange(10))}
for i in range(3):
    rows[f"shuffled\ncodes {i + 1}"] = generate(shuffled, test_codes[50 * i :][:10], np.arange(10))
show_rows(
    rows,
    width=600,
    caption="Requested: 0 to 9 from left to right. After the training with shuffled labels, the digit "
    "depends on the code instead of the label.",
)


def smooth(values):
    width = min(50, len(values))
    return np.convolve(values, np.ones(width) / width, mode="valid")


plot_curves(
    {
        f"loss of {network}": {
            "true": smooth(losses[:, i]),
            "shuffled": smooth(shuffled_losses[:, i]),
        }
        for i, network in enumerate("DG")
    },
    x="step",
    caption="Losses, averaged over 50 steps.",
)

# %% [markdown]
# The samples look like digits, and the losses like those of any other run. Nothing in them shows
# that the labels were wrong. How one sees it: measure the accuracy. Near 10 % it is chance.
#
# ### Mode collapse within a class
#
# With labels, $G$ can cover all ten classes and still generate each of them in nearly one way,
# independent of $z$. The standard deviation of the samples of one label shows it, compared with
# that of real images.

# %%
samples = generate(generator, test_codes, test_labels)
print("label             " + "".join(f"{label:6}" for label in range(10)))
for name, images, of in [("generated", samples, test_labels), ("real", digits, labels)]:
    values = [images[of == label].std(axis=0).mean() for label in range(10)]
    print(f"{name:<18}" + "".join(f"{value:6.1f}" for value in values))
show_rows(
    {
        "real\nsevens": digits[labels == 7][:10],
        "generated\nsevens": samples[test_labels == 7][:10],
    },
    width=600,
    caption="Ten real and ten generated images of one label.",
)

# %% [markdown]
# The generated images of a label vary less than the real ones. A conditional GAN that is trained
# longer on more images varies more: `cgan_mnist` has a recall of 0.88 (real images: 0.95, see
# notebook [8](08_evaluation.ipynb)).
#
# ### Invalid labels
#
# An invalid label raises an error.

# %%
try:
    pretrained.sample(4, labels=[12])
except tfgan_zoo.UserError as error:
    print(error)

# %% [markdown]
# ## Exercises
#
# Try each of them before you open the solution.
#
# 1. Request half a three and half an eight: `pretrained.generate(z, y)` with vectors $y$ of length
#    10. What does 1.5 times a three look like?
# 2. Remove `match` from your discriminator, so that it does not see $y$. What accuracy do you
#    expect?
# 3. Write the `plane`: a dense layer maps $y$ to 16x16 numbers, which become a second channel of
#    the image.
# 4. How many numbers has $V$ in your discriminator? And how many has the plane?
# 5. Why does knowing the class make training easier? After equal numbers of steps
#    [docs/results.md](../docs/results.md) reports a Fréchet distance of 0.44 for CGAN and
#    1.25 for DCGAN.
#
# <details>
# <summary>Solutions</summary>
#
# **1.** `y = np.zeros((12, 10), "float32"); y[:, [3, 8]] = 0.5` gives digits between both, as in
# the middle of the interpolation. With `y[:, 3] = 1.5` the embedding is 1.5 times as long as in
# training: mostly still a three, with exaggerated features.
#
# **2.** About 10 %, as with shuffled labels. $G$ receives the label but has no reason to use it.
#
# **3.** `plane = layers.Reshape((16, 16, 1))(layers.Dense(256, use_bias=False)(y))`, then
# `x = layers.Concatenate()([image, plane])` before the first convolution. The logit is
# `layers.Dense(1)(features)`.
#
# **4.** $10 \cdot 1024 = 10{,}240$ for $V$, and $10 \cdot 256 = 2{,}560$ for the plane.
#
# **5.** The distribution of all digits has ten separated parts, and $G$ is continuous in $z$:
# between two parts it must generate mixtures. With a label, each part has its own input, and $z$
# only has to describe the variation within a class.
#
# </details>
#
# ## What next
#
# - Notebook [5](05_pix2pix.ipynb): the condition is a whole image.
# - Notebook [8](08_evaluation.ipynb): Fréchet distance, precision and recall.
# - Notebook [9](09_your_own_images.ipynb): classes of your own images, or continuous conditions
#   (`model.condition=vector`).
