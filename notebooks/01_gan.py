# %% [markdown]
# # 1. GAN: two networks play a game
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/01_gan.ipynb)
#
# A **generator** $G$ turns random numbers $z$ into an image $G(z)$. A **discriminator** $D$ looks at an image and says how sure it is
# that the image is real. $D$ is trained to tell the two kinds apart, $G$ is trained to be taken for real. Nobody tells $G$ what a
# digit looks like: all it ever learns comes through $D$.
#
# Paper: Goodfellow et al., *Generative Adversarial Networks*, 2014, [arXiv 1406.2661](https://arxiv.org/abs/1406.2661).
#
# You will train a GAN on 1,797 real handwritten digits, read its curves, and then break it in three ways, on purpose.

# %%
FULL = False  # True: the real preset gan_mnist (downloads MNIST once; 6.5 minutes on two CPU cores)

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
# ## The game
#
# $D(x)$ is a probability. With $p$ the distribution of real images and $q$ that of generated ones, the paper's two players want
#
# $$\min_G \max_D \; V(D, G) = \mathbb{E}_{x \sim p} \log D(x) + \mathbb{E}_{z} \log\bigl(1 - D(G(z))\bigr).$$
#
# Suppose $G$ stands still. Then the best $D$ is known in closed form,
#
# $$D^*(x) = \frac{p(x)}{p(x) + q(x)},$$
#
# and what it leaves to $G$ is $V(D^*, G) = 2 \, \mathrm{JSD}(p, q) - \log 4$, with the Jensen-Shannon divergence, which is 0 only for
# $p = q$. So the game has the right winner: at its end $G$ makes real-looking images, and $D$ says $1/2$ to everything.
#
# In code $D$ gives a **logit** $l$, and the sigmoid $\sigma(l) = D(x)$ is part of the loss. $D$ descends
#
# $$L_D = -\mathbb{E} \log \sigma(l_\text{real}) - \mathbb{E} \log\bigl(1 - \sigma(l_\text{fake})\bigr), \qquad
# L_D = 2 \log 2 \approx 1.386 \text{ where } D \text{ knows nothing.}$$
#
# $G$ could descend $\mathbb{E} \log(1 - \sigma(l_\text{fake}))$, the game as it stands. The paper says in section 3 why it is better
# off with
#
# $$L_G = -\mathbb{E} \log \sigma(l_\text{fake}) \qquad (\log 2 \approx 0.693 \text{ where } D \text{ knows nothing}).$$
#
# The next picture shows the reason: the slope of both losses, as $G$ feels it. While $D$ is sure that the fakes are fake ($l < 0$, the
# beginning of every training), the first one is flat: $G$ learns least when it is worst.

# %%
import numpy as np
import tensorflow as tf

from tfgan_zoo.losses import OBJECTIVES

logits = tf.linspace(-8.0, 8.0, 100)
slopes = {}
for name in ("minimax", "non_saturating"):
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = OBJECTIVES[name].generator(logits) * len(logits)  # the loss is a mean
    slopes[name] = np.stack([logits, tape.gradient(loss, logits)], axis=1)
plot_curves({"slope of G's loss": slopes}, x="logit of a generated image")

# %% [markdown]
# ## The training step
#
# This is the step that trains every adversarial model of the zoo, from the source itself. Read `losses` first: `z`, `fake`, the logits
# of both kinds, and one loss for each player. `descend` moves every player along its own loss, both **from the same point**: one pass
# of $G$ serves both. The rest are options which later papers added, all off here.

# %%
from tfgan_zoo.models.adversarial import AdversarialModel

show_source(AdversarialModel.compute_losses, AdversarialModel.train_step)

# %% [markdown]
# The losses themselves are pure functions of logits. $\log(1 + e^l)$ is called softplus, and $-\log \sigma(l) = \mathrm{softplus}(-l)$.

# %%
from tfgan_zoo import losses

show_source(losses.non_saturating_discriminator, losses.non_saturating_generator)

# %% [markdown]
# The networks are perceptrons: no convolution yet, every pixel is connected with everything. `maxout` is the largest of several linear
# functions, the authors' choice for $D$.

# %%
from tfgan_zoo.models import gan

show_source(gan.generator, gan.discriminator)

# %% [markdown]
# ## Before training
#
# The real images, and what an untrained $G$ makes of 16 draws of $z$. `sample` takes a seed: the same seed, the same images.

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
# One call trains, and writes everything about the run into a folder. It is what the command `tfgan-zoo train gan_digits` does.

# %%
run = train_run("gan", preset, *choose([], ["train.epochs=300", "train.sample_every=10"], []))

# %% [markdown]
# The same noise in some of the epochs. First a cloud in the middle of the image, where all digits have ink; then strokes; then digits.

# %%
show_samples(run, share=0.25)

# %% [markdown]
# ## What to look at while it trains
#
# The losses of a GAN are **no measure of quality**: each is measured against an opponent that changes. What they tell is the balance.
#
# - Healthy: $D$'s loss below 1.386 and well above 0, $G$'s above 0.693; the mean logits some units apart, real above 0 and fake below.
# - $D$'s loss near 0, logits ever further apart: $D$ has won, $G$ is left with nothing to learn from.
# - $D$'s loss near 1.386 with bad images: $D$ sees nothing, so it teaches nothing.
#
# Always look at the samples as well.

# %%
h = read_losses(run)
plot_curves(
    {
        "losses": {
            "D": h["discriminator"],
            "G": h["generator"],
            "D knows nothing": [1.386] * len(h["generator"]),
        },
        "mean logits": {"real": h["real_logits"], "fake": h["fake_logits"]},
    }
)

# %%
model = tfgan_zoo.load(run)
show_images(model.sample(64, seed=1), columns=16)

# %% [markdown]
# Readable digits, some smudges, and noise in the black: a perceptron has to learn for every pixel by itself that the border is black.
# The next notebook mends that. Also count the kinds: some digits come more often than others, which is mode collapse in its mild form.
#
# ## What goes wrong, and how one sees it
#
# Three short trainings. `quick` trains without writing anything.

# %%
epochs = f"train.epochs={choose(2, 60, 20)}"
balanced, balanced_losses = train_in_memory(preset, epochs)
weak, weak_losses = train_in_memory(
    preset, epochs, "model.discriminator_learning_rate=1e-5"
)  # D is 20 times slower
dead, dead_losses = train_in_memory(
    preset, epochs, "model.learning_rate=5e-3", "model.discriminator_learning_rate=2e-4"
)  # G leaps

print(f"real images: a pixel deviates by {real.images.std(axis=0).mean():.1f} of 255 levels")
for name, player in {"balanced": balanced, "weak D": weak, "G leaps": dead}.items():
    images = player.sample(200, seed=0)
    print(
        f"{name}: over 200 samples a pixel deviates by {images.std(axis=0).mean():.1f} of 255 levels"
    )
    show_images(images[:16], columns=16)

# %%
compared = {"balanced": balanced_losses, "weak D": weak_losses, "G leaps": dead_losses}
plot_curves(
    {
        "D's loss": {name: h["discriminator"] for name, h in compared.items()},
        "real minus fake logit": {
            name: np.subtract(h["real_logits"], h["fake_logits"]) for name, h in compared.items()
        },
    }
)

# %% [markdown]
# - **Weak discriminator: mode collapse.** $G$ moves to whatever $D$ likes best at the moment, whatever $z$ is, and $D$ takes too long
#   to notice. Its loss falls towards 1.386 and stays above: no better than guessing, on paper the end of the game, in fact its
#   opposite. The samples tell, and so does their deviation: the nearer to 0, the more they are all one.
# - **G leaps: a dead game.** $G$'s first leaps have driven its $\tanh$ into pure black and white. $D$ knows these images at a glance:
#   the logits part by tens, $D$'s loss is 0 to all digits. The non-saturating loss still has slope $-1$ in the logit, but on its way
#   to $G$'s weights the gradient has to pass the $\tanh$, which is flat there. $G$ never comes back.
#
# `train` warns of both. This is the check; `diagnose` runs after every epoch.

# %%
show_source(AdversarialModel.diagnose)
for name, player in {"balanced": balanced, "G leaps": dead}.items():
    print(name, player.diagnose({key: values[-1] for key, values in compared[name].items()}))

# %% [markdown]
# ## Exercises
#
# 1. Train with `model.objective=minimax`. On this small problem it works nearly as well. Where should the picture of the slopes hurt
#    it, and why does it not here? (Look at the logits of the fakes: how far below 0 do they get?)
# 2. `model.latent_dim=2`: what does the GAN lose? Walk through the plane: `tfgan-zoo interpolate runs/... --path manifold`.
# 3. Bring the collapsed GAN back to life without touching the learning rates: try `model.discriminator_steps=5`.
# 4. Derive $D^*$: for one $x$, maximise $p \log d + q \log(1 - d)$ over $d$.
# 5. Set `FULL = True`, and compare the noise in the black of MNIST's digits.
