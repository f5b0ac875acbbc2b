# %% [markdown]
# # 1. GAN: generator and discriminator
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/01_gan.ipynb)
#
# A **generator** $G$ maps random numbers $z$ to an image $G(z)$. A **discriminator** $D$ estimates
# the probability that an image is real. $D$ is trained to distinguish real from generated images.
# $G$ is trained to make $D$ classify its images as real. $G$ never sees a real image: it learns
# from the gradients of $D$ only.
#
# Paper: Goodfellow et al., *Generative Adversarial Networks*, 2014, [arXiv
# 1406.2661](https://arxiv.org/abs/1406.2661).
#
# This notebook trains a GAN on 1,797 real handwritten digits, explains its curves, and shows three
# typical failures.

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
# $D(x)$ is a probability. Let $p$ be the distribution of real images and $q$ that of generated
# images. The objective of the paper is
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
# the paper recommends the non-saturating loss instead:
#
# $$L_G = -\mathbb{E} \log \sigma(l_\text{fake}) \qquad (\log 2 \approx 0.693 \text{ for } D(x) = 1/2).$$
#
# The next plot shows why. It has the gradient of both losses with respect to the logit of a
# generated image. At the beginning of training, $D$ recognizes generated images ($l < 0$). There
# the gradient of the minimax loss is almost 0, so $G$ learns least when its images are worst.

# %%
import numpy as np
import tensorflow as tf

from tfgan_zoo.losses import OBJECTIVES

logits = tf.linspace(-8.0, 8.0, 100)
gradients = {}
for name in ("minimax", "non_saturating"):
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = OBJECTIVES[name].generator(None, logits) * len(logits)  # the loss is a mean
    gradients[name] = np.stack([logits, tape.gradient(loss, logits)], axis=1)
plot_curves({"gradient of the loss of G": gradients}, x="logit of a generated image")

# %% [markdown]
# ## Losses and training step
#
# `compute_losses` follows the paper: $z$, $G(z)$, the logits of real and generated images, and one
# loss per network. `train_step` is shared by GAN, DCGAN and CGAN. `descend` takes one optimizer
# step for every network along its own loss, both **from the same point**, so one pass of $G$ serves
# both losses. The paper updates $G$ after $D$; the docstring of the model lists this deviation. The
# other lines of `train_step` are options of later papers, which are off here.

# %%
from tfgan_zoo.models import gan
from tfgan_zoo.models.adversarial import AdversarialModel

show_source(gan.GAN.compute_losses, AdversarialModel.train_step)

# %% [markdown]
# The losses are pure functions of logits. $\log(1 + e^l)$ is called softplus, and $-\log \sigma(l)
# = \mathrm{softplus}(-l)$.

# %%
from tfgan_zoo import losses

show_source(losses.non_saturating_discriminator, losses.non_saturating_generator)

# %% [markdown]
# The networks are multilayer perceptrons without convolutions. `maxout` is the maximum of several
# linear functions, which the authors use in $D$.

# %%
show_source(gan.generator, gan.discriminator)

# %% [markdown]
# ## Before training
#
# Real images, and images of an untrained $G$ for 16 draws of $z$. `sample` takes a seed: the same
# seed gives the same images.

# %%
from tfgan_zoo.data.datasets import load_for_experiment
from tfgan_zoo.runs import build_model

preset = choose("gan_tiny", "gan_digits", "gan_mnist")
experiment = tfgan_zoo.experiment(preset)
real = load_for_experiment(experiment)
print(real.description)
show_images(real.images[:32], columns=16)

untrained = build_model(experiment, tf.distribute.get_strategy())
show_images(untrained.sample(16, seed=0), columns=16)

# %% [markdown]
# ## Training
#
# One call trains the model and writes everything about the run into a folder. It is equal to the
# command `tfgan-zoo train gan_digits`.

# %%
run = train_run("gan", preset, *choose([], ["train.epochs=300", "train.sample_every=10"], []))

# %% [markdown]
# Images of the same $z$ in several epochs: first a blob in the center of the image, then strokes,
# then digits.

# %%
show_samples(run, share=0.25)

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
#
# Always check the samples as well.

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
    }
)

# %%
model = tfgan_zoo.load(run)
show_images(model.sample(64, seed=1), columns=16)

# %% [markdown]
# Most digits are readable. Some are smudged, and the background is noisy: a perceptron has to learn
# for every pixel separately that the border is black. The convolutions of the next notebook fix
# this. Some digits are more frequent than others, which is a mild form of mode collapse.
#
# ## What can go wrong
#
# Three short trainings. `train_in_memory` trains without writing files.

# %%
epochs = f"train.epochs={choose(2, 60, 20)}"
balanced, balanced_losses = train_in_memory(preset, epochs)
# A learning rate of D that is 20 times smaller.
weak, weak_losses = train_in_memory(preset, epochs, "model.discriminator_learning_rate=1e-5")
saturated, saturated_losses = train_in_memory(
    preset, epochs, "model.learning_rate=5e-3", "model.discriminator_learning_rate=2e-4"
)

print("mean standard deviation of a pixel over 200 samples, in levels of 255")
print(f"real images: {real.images.std(axis=0).mean():.1f}")
for name, model in {"balanced": balanced, "weak D": weak, "high rate of G": saturated}.items():
    images = model.sample(200, seed=0)
    print(f"{name}: {images.std(axis=0).mean():.1f}")
    show_images(images[:16], columns=16)

# %%
histories = {"balanced": balanced_losses, "weak D": weak_losses, "high rate of G": saturated_losses}
plot_curves(
    {
        "loss of D": {name: h["discriminator"] for name, h in histories.items()},
        "real minus fake logit": {
            name: np.subtract(h["real_logits"], h["fake_logits"]) for name, h in histories.items()
        },
    }
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
# `train` prints a warning in both cases. It calls this method after every epoch:

# %%
show_source(AdversarialModel.diagnose)
for name, model in {"balanced": balanced, "high rate of G": saturated}.items():
    print(name, model.diagnose({key: values[-1] for key, values in histories[name].items()}))

# %% [markdown]
# ## Exercises
#
# 1. Train with `model.objective=minimax`. On this small problem it works nearly as well. When
#    should the gradient plot predict a problem, and why does it not occur here? Check how negative
#    the logits of generated images become.
# 2. Train with `model.latent_dim=2`. What does the GAN lose? Show the latent plane with `tfgan-zoo
#    interpolate runs/... --path manifold`.
# 3. Repair the collapsed GAN without changing the learning rates: try
#    `model.discriminator_steps=5`.
# 4. Derive $D^*$: for one $x$, maximize $p \log d + q \log(1 - d)$ over $d$.
# 5. Set `FULL = True`, and compare the background noise of the MNIST digits.
