# %% [markdown]
# # 1. GAN: generator and discriminator
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/01_gan.ipynb)
#
# **You will learn**
#
# - how two networks that compete learn to generate images;
# - to derive the two losses of a GAN, and why $G$ does not minimize what $D$ maximizes;
# - to write a GAN in plain Keras, and to train the same model with one command;
# - to read the curves of a training, and to recognize its two typical failures.
#
# **Prerequisites:** Python with NumPy, what a dense layer and a gradient are, and expectations
# $\mathbb{E}$. **Time:** 30 minutes of reading, 2 minutes of computation on two CPU cores.
#
# Paper: Goodfellow et al., *Generative Adversarial Networks*, 2014, [arXiv
# 1406.2661](https://arxiv.org/abs/1406.2661).

# %%
FULL = False  # True: the real preset gan_mnist (downloads MNIST once; 6 minutes on two CPU cores)
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
# Given many images, generate new ones of the same kind. A direct loss would have to say how far a
# generated image is from "all images of handwritten digits". Nobody can write this loss. A GAN
# *learns* it:
#
# - The **generator** $G$ maps random numbers $z$ to an image $G(z)$.
# - The **discriminator** $D$ is a classifier. It receives real images and generated ones, and
#   estimates the probability that an image is real.
#
# $D$ is trained to distinguish real from generated images. $G$ is trained to make $D$ classify its
# images as real. $G$ never sees a real image: it learns from the gradients of $D$ only. When $D$
# detects that the digits are blurred, its gradient tells $G$ which pixels to change.

# %%
show_diagram(
    {
        "z": (0, 1, "z\nrandom numbers"),
        "G": (1.4, 1, "generator G", "#ffd8a8"),
        "fake": (2.8, 1, "G(z)\ngenerated image", "#e9ecef"),
        "real": (2.8, 0, "x\nreal image", "#e9ecef"),
        "D": (4.3, 0.5, "discriminator D", "#a5d8ff"),
        "p": (5.8, 0.5, "D(x)\nprobability\nthat x is real"),
    },
    [("z", "G"), ("G", "fake"), ("fake", "D"), ("real", "D"), ("D", "p")],
    caption="A GAN. D learns to give 1 for real and 0 for generated images. G learns to make D give "
    "1 for its images; the gradient flows back from D through the image into G.",
)

# %% [markdown]
# ## The math
#
# Let $p$ be the distribution of real images and $q$ that of generated images. The objective of the
# paper is
#
# $$\min_G \max_D \; V(D, G) = \mathbb{E}_{x \sim p} \log D(x) + \mathbb{E}_{z} \log\bigl(1 - D(G(z))\bigr).$$
#
# For a fixed $G$, the optimal discriminator has a closed form,
#
# $$D^*(x) = \frac{p(x)}{p(x) + q(x)},$$
#
# and with it the objective of $G$ is $V(D^*, G) = 2 \, \mathrm{JSD}(p, q) - \log 4$. The
# Jensen-Shannon divergence is 0 only for $p = q$. So at the optimum the generated images have the
# distribution of the real images, and $D(x) = 1/2$ everywhere.
#
# In code, $D$ returns a **logit** $l$, and the sigmoid $\sigma(l) = D(x)$ is part of the loss. $D$
# minimizes
#
# $$L_D = -\mathbb{E} \log \sigma(l_\text{real}) - \mathbb{E} \log\bigl(1 - \sigma(l_\text{fake})\bigr), \qquad
# L_D = 2 \log 2 \approx 1.386 \text{ for } D(x) = 1/2.$$
#
# $G$ could minimize $\mathbb{E} \log(1 - \sigma(l_\text{fake}))$, the minimax loss. Section 3 of
# the paper recommends the **non-saturating** loss instead:
#
# $$L_G = -\mathbb{E} \log \sigma(l_\text{fake}) \qquad (\log 2 \approx 0.693 \text{ for } D(x) = 1/2).$$
#
# The next plot shows why. It has the gradient of both losses with respect to the logit of a
# generated image. At the beginning of training, $D$ recognizes generated images ($l < 0$). There
# the gradient of the minimax loss is almost 0, so $G$ learns least when its images are worst.

# %%
import keras
import numpy as np
import tensorflow as tf
from keras import layers

logits = tf.linspace(-8.0, 8.0, 100)
with tf.GradientTape(persistent=True) as tape:
    tape.watch(logits)
    minimax = tf.math.log(1.0 - tf.sigmoid(logits))
    non_saturating = -tf.math.log(tf.sigmoid(logits))
gradients = {
    name: np.stack([logits, tape.gradient(loss, logits)], axis=1)
    for name, loss in {"minimax": minimax, "non-saturating": non_saturating}.items()
}
plot_curves(
    {"gradient of the loss of G": gradients},
    x="logit of a generated image",
    caption="Left: images that D recognizes as generated. The minimax loss has no gradient there.",
)

# %% [markdown]
# ## From scratch
#
# The data: 1,797 handwritten digits of 16x16 pixels, scaled to $[-1, 1]$.

# %%
from tfgan_zoo.data.datasets import load_for_experiment

digits = load_for_experiment(tfgan_zoo.experiment("gan_digits")).images  # uint8 (1797, 16, 16, 1)
show_images(digits[:32], columns=16, caption="Real images.")
real_images = digits.astype("float32") / 127.5 - 1.0
batches = tf.data.Dataset.from_tensor_slices(real_images).shuffle(2000).repeat()
batches = batches.batch(64, drop_remainder=True).prefetch(2)

# %% [markdown]
# Both networks are perceptrons. $G$ ends in a $\tanh$, so its pixels are in $[-1, 1]$. Dropout
# makes $D$ less certain.

# %%
LATENT_DIM = 32
keras.utils.set_random_seed(0)

generator = keras.Sequential(
    [
        keras.Input((LATENT_DIM,)),  # z
        layers.Dense(256, activation="relu"),
        layers.Dense(256, activation="relu"),
        layers.Dense(16 * 16, activation="tanh"),
        layers.Reshape((16, 16, 1)),
    ]
)
discriminator = keras.Sequential(
    [
        keras.Input((16, 16, 1)),
        layers.Flatten(),
        layers.Dense(256),
        layers.LeakyReLU(0.2),
        layers.Dropout(0.3),
        layers.Dense(256),
        layers.LeakyReLU(0.2),
        layers.Dropout(0.3),
        layers.Dense(1),  # logit
    ]
)

# %% [markdown]
# The losses are the two formulas above. $-\log \sigma(l)$ is the binary cross-entropy with target
# 1, and $-\log(1 - \sigma(l))$ that with target 0.

# %%
cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)


def discriminator_loss(real_logits, fake_logits):
    real_loss = cross_entropy(tf.ones_like(real_logits), real_logits)
    fake_loss = cross_entropy(tf.zeros_like(fake_logits), fake_logits)
    return real_loss + fake_loss


def generator_loss(fake_logits):
    return cross_entropy(tf.ones_like(fake_logits), fake_logits)  # G wants "real"


g_optimizer = keras.optimizers.Adam(5e-4, beta_1=0.5)
d_optimizer = keras.optimizers.Adam(5e-4, beta_1=0.5)


@tf.function
def train_step(real):
    z = tf.random.normal((64, LATENT_DIM))
    with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
        fake = generator(z, training=True)
        real_logits = discriminator(real, training=True)
        fake_logits = discriminator(fake, training=True)
        d_loss = discriminator_loss(real_logits, fake_logits)
        g_loss = generator_loss(fake_logits)
    # Each loss moves the weights of its own network only.
    d_gradients = d_tape.gradient(d_loss, discriminator.trainable_variables)
    g_gradients = g_tape.gradient(g_loss, generator.trainable_variables)
    d_optimizer.apply(d_gradients, discriminator.trainable_variables)
    g_optimizer.apply(g_gradients, generator.trainable_variables)
    return d_loss, g_loss


# %% [markdown]
# Train, and generate images from the same $z$ again and again.


# %%
def to_uint8(images):
    return np.uint8(np.round((np.clip(images, -1, 1) + 1) * 127.5))


steps = choose(4, 4000, 4000)
fixed_z = tf.random.normal((32, LATENT_DIM), seed=1)
frames, history = [], []
for step, real in enumerate(batches.take(steps)):
    if step % max(1, steps // 20) == 0:
        frames.append(to_uint8(generator(fixed_z)))
    history.append([float(loss) for loss in train_step(real)])
    if step % (steps // 4) == steps // 4 - 1:
        d_loss, g_loss = np.mean(history[-100:], axis=0)
        print(f"step {step + 1}: loss of D {d_loss:.2f}, loss of G {g_loss:.2f}")
frames.append(to_uint8(generator(fixed_z)))

show_animation(frames, width=720, caption="The training of your GAN: 32 fixed codes.")
show_rows(
    {"before": frames[0][:12], "middle": frames[len(frames) // 2][:12], "after": frames[-1][:12]},
    width=660,
    caption="Twelve of the codes before, in the middle of, and after the training.",
)

# %% [markdown]
# First noise, then bright pixels in the center of the image, then strokes, then digits. Your $G$
# has never seen a digit.
#
# ## The same with the package
#
# `tfgan-zoo train gan_digits` trains a GAN of the same kind. In Python the command is one call. It
# writes everything about the run into a folder.

# %%
preset = choose("gan_tiny", "gan_digits", "gan_mnist")
run = train_run("gan", preset, *choose([], ["train.epochs=200", "train.sample_every=10"], []))

# %% [markdown]
# | your code | package |
# |---|---|
# | `generator`, `discriminator` | [models/gan.py](../tfgan_zoo/models/gan.py). $D$ has *maxout* units, as in the paper: the maximum of several linear functions |
# | `discriminator_loss`, `generator_loss` | `model.objective=non_saturating` in [losses.py](../tfgan_zoo/losses.py) |
# | `train_step` | `compute_losses` in gan.py, `train_step` in [adversarial.py](../tfgan_zoo/models/adversarial.py) |
# | learning rates | `model.learning_rate`, `model.discriminator_learning_rate` |
#
# Both update $G$ and $D$ from the same point, so one pass of $G$ serves both losses. Algorithm 1 of
# the paper updates $D$ first and then $G$ on fresh noise.
#
# ## The training, animated

# %%
show_animation(
    run,
    share=0.5,
    width=640,
    caption="Sample grids of the run, epoch by epoch. The codes are fixed.",
)

# %% [markdown]
# ## How to read the curves
#
# The losses of a GAN are **no measure of quality**, because each network is measured against
# another network that changes. They show the balance between the two:
#
# - Balanced: the loss of $D$ is below 1.386 and well above 0, the loss of $G$ is above 0.693, and
#   the mean logits differ by a few units, positive for real and negative for generated images.
# - Loss of $D$ near 0 and logits that move further apart: $D$ is too strong, and its gradients no
#   longer help $G$.
# - Loss of $D$ near 1.386 and bad images: $D$ does not distinguish the images, so $G$ cannot learn
#   from it.

# %%
h = read_losses(run)
plot_curves(
    {
        "losses": {
            "D": h["discriminator"],
            "G": h["generator"],
            "D(x) = 1/2": [1.386] * len(h["generator"]),
        },
        "mean logits": {"real": h["real_logits"], "fake": h["fake_logits"]},
    },
    caption="A balanced training.",
)
model = tfgan_zoo.load(run)
show_images(model.sample(48, seed=1), columns=16, caption="New samples of the trained model.")

# %% [markdown]
# Most digits are readable. Some are smudged, and the background is noisy: a perceptron has to learn
# for every pixel separately that the border is black. The pretrained `gan_mnist` has the same
# networks, only larger, and 60,000 images. Its background is noisy too. The convolutions of
# notebook [2](02_dcgan.ipynb) fix this.

# %%
show_images(
    load_pretrained("gan_mnist").sample(36, seed=0),
    columns=12,
    caption="Samples of the pretrained `gan_mnist` (6 minutes of training on two CPU cores).",
)

# %% [markdown]
# ## What goes wrong
#
# Three short trainings of the same networks: balanced, with a learning rate of $D$ that is 20 times
# smaller, and with a learning rate of $G$ that is 25 times larger.

# %%
epochs = f"train.epochs={choose(2, 50, 20)}"
changes = {
    "balanced": [],
    "weak D": ["model.discriminator_learning_rate=1e-5"],
    "high rate\nof G": ["model.learning_rate=5e-3", "model.discriminator_learning_rate=2e-4"],
}
rows, histories, models = {}, {}, {}
for name, overrides in changes.items():
    models[name], histories[name] = train_in_memory(preset, epochs, *overrides)
    samples = models[name].sample(200, seed=0)
    rows[name] = samples[:12]
    deviation = samples.std(axis=0).mean()
    print(f"{name!r}: mean standard deviation of a pixel {deviation:.1f} of 255")
print(f"real images: {digits.std(axis=0).mean():.1f} of 255")
show_rows(rows, width=660, caption="Samples of twelve different codes.")
plot_curves(
    {
        "loss of D": {name: h["discriminator"] for name, h in histories.items()},
        "real minus fake logit": {
            name: np.subtract(h["real_logits"], h["fake_logits"]) for name, h in histories.items()
        },
    },
    caption="The curves of the three trainings.",
)

# %% [markdown]
# - **Weak discriminator: mode collapse.** $G$ converges to the images that $D$ currently rates
#   best, independent of $z$, and $D$ adapts too slowly. The loss of $D$ approaches 1.386, as at the
#   optimum, although the images are bad. The samples show the collapse, and so does their standard
#   deviation: near 0, all samples are equal.
# - **Generator learning rate too high: saturation.** The first steps drive the $\tanh$ of $G$ to
#   pure black and white. $D$ recognizes these images easily: the logits differ by tens, and the
#   loss of $D$ is 0. The non-saturating loss still has gradient $-1$ with respect to the logit, but
#   the gradient must pass through the $\tanh$, which is flat there. $G$ does not recover.
#
# `tfgan-zoo train` checks for such failures after every epoch and prints a warning. The collapse of
# the weak discriminator is not complete, so there is no warning for it. Always look at the samples.

# %%
for name, model in models.items():
    last = {key: values[-1] for key, values in histories[name].items()}
    print(f"{name!r}:", *model.diagnose(last).values() or ["no problem found"], sep="\n    ")

# %% [markdown]
# ## Exercises
#
# Try each of them before you open the solution.
#
# 1. Derive $D^*$: for one $x$, maximize $p \log d + q \log(1 - d)$ over $d$.
# 2. Change `generator_loss` to the minimax loss and train again. On this small problem it works
#    nearly as well. Why? Print the mean logit of generated images.
# 3. Remove the dropout of your discriminator. What happens to the loss of $D$?
# 4. Train with `LATENT_DIM = 2`. What does the GAN lose?
# 5. Update $G$ and $D$ in turn, as in Algorithm 1 of the paper: first $D$, then $G$ with new $z$.
#
# <details>
# <summary>Solutions</summary>
#
# **1.** The derivative is $p / d - q / (1 - d)$. It is 0 for $d = p / (p + q)$, and the second
# derivative is negative, so this is the maximum.
#
# **2.** `return -cross_entropy(tf.zeros_like(fake_logits), fake_logits)`. The gradient plot predicts
# a problem for logits far below 0. With dropout in $D$ the logits of generated images stay moderate
# (the run above: second panel of its curves). There the two gradients differ by a moderate factor,
# and Adam compensates the scale.
#
# **3.** The loss of $D$ is lower: without dropout it distinguishes the 1,797 training images from
# generated ones more easily, and may memorize them. The gradients help $G$ less.
#
# **4.** With two numbers, $G$ can describe a sheet of images only. Kinds of digits and ways of
# writing compete for it, so the samples are less diverse. For a model of the package, `tfgan-zoo
# interpolate RUN --path manifold` shows the whole plane.
#
# **5.** Compute the loss and the step of $D$ in one tape. Then draw new $z$, and compute
# `generator_loss(discriminator(generator(z)))` in a second tape. A step needs two passes of $G$, so
# it is slower. The images are about as good.
#
# </details>
#
# ## What next
#
# - Notebook [2](02_dcgan.ipynb): convolutions instead of dense layers.
# - Notebook [4](04_vae.ipynb): a model with a loss that measures quality, and without a second
#   network to compete with.
# - Notebook [8](08_evaluation.ipynb): measure the quality of samples.
