# %% [markdown]
# # 4. VAE: variational auto-encoder
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/04_vae.ipynb)
#
# **You will learn**
#
# - a model with a loss that measures quality: a lower bound of $\log p(x)$;
# - the reparametrization, which makes a random sample differentiable;
# - to write a VAE in plain Keras, and to show its whole latent plane;
# - to recognize posterior collapse, and to report a likelihood in nats.
#
# **Prerequisites:** expectations, the normal distribution, the logarithm of a probability. The
# notebooks before are not required. **Time:** 30 minutes of reading, 2 minutes of computation on
# two CPU cores.
#
# Paper: Kingma, Welling, *Auto-Encoding Variational Bayes*, 2013, [arXiv
# 1312.6114](https://arxiv.org/abs/1312.6114).

# %%
FULL = False  # True: the real preset vae_mnist (downloads MNIST once; 19 minutes on two CPU cores)
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
    read_losses,
    set_up,
    show_animation,
    show_diagram,
    show_figure,
    show_images,
    show_rows,
    train_run,
)

set_up(full=FULL, drive=DRIVE)


# %% [markdown]
# ## The idea
#
# A VAE has no discriminator. A **decoder** maps a code $z$ to the probability of every image: here,
# the probability of each pixel to be white. An **encoder** maps an image to the codes that it may
# have come from: a normal distribution with mean $\mu$ and standard deviation $\sigma$. Both are
# trained together:
#
# - Draw a code from the encoder's distribution, and decode it. The image should be probable:
#   **reconstruction**.
# - The encoder's distributions should together look like $N(0, I)$, so that a random code can be
#   decoded to a new image: **KL divergence**.

# %%
orange, blue, gray = "#ffd8a8", "#a5d8ff", "#e9ecef"
show_diagram(
    {
        "x": (0, 0, "x\nimage", gray),
        "encoder": (1.2, 0, "encoder", blue),
        "moments": (2.3, 0, "$\\mu$, $\\sigma$"),
        "z": (3.5, 0, "z = $\\mu$ + $\\sigma\\,\\epsilon$", "#b2f2bb"),
        "noise": (3.5, 1, "$\\epsilon$ ~ N(0, I)"),
        "decoder": (4.9, 0, "decoder", orange),
        "p": (6.2, 0, "p(x|z)\nprobability\nof each pixel", gray),
    },
    [
        ("x", "encoder"),
        ("encoder", "moments"),
        ("moments", "z"),
        ("noise", "z"),
        ("z", "decoder"),
        ("decoder", "p"),
    ],
    caption="A VAE. To generate, draw z from N(0, I) and use the decoder alone.",
    size=(9.5, 2.2),
)

# %% [markdown]
# ## The math
#
# The model is $p(x) = \int p(x|z) \, p(z) \, dz$ with $p(z) = N(0, I)$. The integral has no closed
# form, and random codes hardly ever explain a given $x$. So the encoder proposes codes: $q(z|x) =
# N(\mu(x), \operatorname{diag} \sigma^2(x))$. For any such $q$,
#
# $$\log p(x) = \underbrace{\mathbb{E}_{q(z|x)} \log p(x|z) - \mathrm{KL}\bigl(q(z|x) \,\|\, p(z)\bigr)}_{\text{ELBO}}
# + \underbrace{\mathrm{KL}\bigl(q(z|x) \,\|\, p(z|x)\bigr)}_{\ge 0}.$$
#
# The last term is unknown but not negative, so the ELBO is a lower bound, and training maximizes
# it. Its first term is the reconstruction term. Its second term pulls the distribution of the codes
# to $N(0, I)$. For Gaussians it has a closed form:
#
# $$\mathrm{KL} = \tfrac12 \sum_j \bigl(\mu_j^2 + \sigma_j^2 - \log \sigma_j^2 - 1\bigr).$$
#
# **Reparametrization.** A sample from $q$ has no gradient. But $z = \mu + \sigma \odot \epsilon$
# with $\epsilon \sim N(0, I)$ is a differentiable function of $\mu$ and $\sigma$.
#
# **Likelihood.** Pixels are black or white here, drawn again in every step with the gray value as
# probability. Then $p(x|z)$ is a Bernoulli distribution per pixel with logit $l$, and $\log p(x|z)$
# is minus the binary cross-entropy, *summed* over the pixels. It is a probability and not a
# density, and the ELBO in nats is comparable between papers.
#
# ## From scratch
#
# The data: 1,797 handwritten digits of 16x16 pixels. Pixels are in $[0, 1]$ in this notebook.

# %%
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfgan_zoo.data.datasets import load_for_experiment

digits = load_for_experiment(tfgan_zoo.experiment("gan_digits")).images  # uint8 (1797, 16, 16, 1)
gray_images = digits.astype("float32") / 255.0
random = np.random.default_rng(0)
black_and_white = random.uniform(size=gray_images.shape) < gray_images
show_rows(
    {"gray": digits[:12], "drawn": np.uint8(black_and_white[:12] * 255)},
    width=660,
    caption="Gray images, and black-and-white images drawn from them.",
)

# %% [markdown]
# Two perceptrons. The encoder returns $\mu$ and $\log \sigma^2$ in one vector; with the logarithm,
# $\sigma$ is positive for any output.


# %%
def build_encoder(latent_dim):
    return keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dense(256, activation="relu"),
            layers.Dense(2 * latent_dim),  # mu and log sigma^2
        ]
    )


def build_decoder(latent_dim):
    return keras.Sequential(
        [
            keras.Input((latent_dim,)),
            layers.Dense(256, activation="relu"),
            layers.Dense(256, activation="relu"),
            layers.Dense(16 * 16),
            layers.Reshape((16, 16, 1)),  # logits
        ]
    )


def elbo_terms(encoder, decoder, images):
    """Return the two terms of the ELBO, for black-and-white images (n, 16, 16, 1)."""
    mean, log_variance = tf.split(encoder(images), 2, axis=1)
    noise = tf.random.normal(tf.shape(mean))
    z = mean + tf.exp(0.5 * log_variance) * noise  # reparametrization
    logits = decoder(z)
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=images, logits=logits)
    reconstruction = -tf.reduce_sum(cross_entropy, axis=(1, 2, 3))  # log p(x|z)
    kl = 0.5 * tf.reduce_sum(mean**2 + tf.exp(log_variance) - log_variance - 1.0, axis=1)
    return tf.reduce_mean(reconstruction), tf.reduce_mean(kl)


# %% [markdown]
# The training step maximizes the ELBO over both networks. `beta` is the weight of the KL
# divergence; 1 is the ELBO, and other values are for an experiment below.


# %%
def train(latent_dim, steps, beta=1.0):
    """Return encoder, decoder, the terms of the ELBO (steps, 2), and images of fixed codes."""
    keras.utils.set_random_seed(0)
    encoder, decoder = build_encoder(latent_dim), build_decoder(latent_dim)
    weights = encoder.trainable_variables + decoder.trainable_variables
    optimizer = keras.optimizers.Adam(1e-3)
    batches = tf.data.Dataset.from_tensor_slices(gray_images).shuffle(2000).repeat().batch(64)

    @tf.function
    def train_step(gray):
        images = tf.cast(tf.random.uniform(tf.shape(gray)) < gray, tf.float32)
        with tf.GradientTape() as tape:
            reconstruction, kl = elbo_terms(encoder, decoder, images)
            loss = -(reconstruction - beta * kl)
        optimizer.apply(tape.gradient(loss, weights), weights)
        return reconstruction, kl

    codes = grid_codes() if latent_dim == 2 else random.normal(size=(30, latent_dim))
    terms, frames = [], []
    for step, gray in enumerate(batches.take(steps)):
        terms.append([float(term) for term in train_step(gray)])
        if step % max(1, steps // 10) == 0 or step == steps - 1:
            frames.append(decode(decoder, codes))
    return encoder, decoder, np.array(terms), frames


def decode(decoder, z):
    """Return the probabilities of the pixels as uint8 images."""
    return np.uint8(np.round(255 * tf.sigmoid(decoder(np.asarray(z, "float32"))).numpy()))


def grid_codes(n=10):
    """Return n x n codes at quantiles of N(0, 1): equal areas have equal probability."""
    quantiles = tf.math.ndtri(np.linspace(0.02, 0.98, n)).numpy()
    return np.stack(np.meshgrid(quantiles, quantiles), axis=-1).reshape(-1, 2)


steps = choose(4, 2000, 2000)
encoder, decoder, terms, frames = train(latent_dim=8, steps=steps)


def smooth(values):
    width = min(50, len(values))
    return np.convolve(values, np.ones(width) / width, mode="valid")


plot_curves(
    {
        "ELBO, nats per image": {"ELBO": smooth(terms[:, 0] - terms[:, 1])},
        "terms of the ELBO": {
            "reconstruction": smooth(terms[:, 0]),
            "KL": smooth(terms[:, 1]),
        },
    },
    x="step",
    caption="Unlike the losses of a GAN, this curve measures quality: higher is better.",
)

# %%
means = tf.split(encoder(gray_images[:12]), 2, axis=1)[0]
show_rows(
    {
        "image": digits[:12],
        "recon-\nstruction": decode(decoder, means),
        "sample": decode(decoder, random.normal(size=(12, 8))),
    },
    width=660,
    caption="Images, their reconstructions, and samples of random codes.",
)

# %% [markdown]
# Blurred edges are typical of VAEs. The decoder returns a probability per pixel. Where the position
# of an edge is uncertain, the optimal value is gray. A GAN would choose one position and be sharp.
# Some samples are no digits for another reason: they come from codes between the regions that
# training images occupy.
#
# ## The training, animated: the latent plane
#
# With two latent dimensions the whole plane can be shown. Watch how the training divides it.

# %%
plane_encoder, plane_decoder, _, plane_frames = train(latent_dim=2, steps=steps)
show_animation(
    plane_frames,
    columns=10,
    width=560,
    caption="The latent plane during the training. Neighboring codes give similar digits.",
)

# %% [markdown]
# The encoder shows the same from the other side: where are the training images? The labels were not
# used for the training.

# %%
from matplotlib.figure import Figure

labels = load_for_experiment(tfgan_zoo.experiment("gan_digits")).labels
plane_means = tf.split(plane_encoder(gray_images), 2, axis=1)[0].numpy()
figure = Figure(figsize=(6.5, 4.5), dpi=80, layout="constrained")
axes = figure.subplots()
points = axes.scatter(*plane_means.T, c=labels, cmap="tab10", s=6)
axes.set(xlabel="$z_1$", ylabel="$z_2$", title="mean of q(z|x) for all training images")
figure.colorbar(points, label="digit")
show_figure(figure, caption="Where the encoder puts the images of each digit.")

# %% [markdown]
# ## The same with the package
#
# `tfgan-zoo train vae_digits` trains a VAE with the convolutional networks of DCGAN, on the digits
# with 32x32 pixels and with 16 latent dimensions.

# %%
preset = choose("vae_tiny", "vae_digits", "vae_mnist")
sizes = choose([], ["train.epochs=16", "train.sample_every=2"], [])
run = train_run("vae", preset, *sizes)
show_animation(run, share=0.5, width=560, caption="Sample grids of the run.")

# %% [markdown]
# | your code | package |
# |---|---|
# | `build_encoder`, `build_decoder` | [models/vae.py](../tfgan_zoo/models/vae.py); `model.network=perceptron` for perceptrons |
# | `elbo_terms` | `compute_losses` in the same file, with `gaussian_kl` and `bernoulli_log_likelihood` of [losses.py](../tfgan_zoo/losses.py) |
# | `tf.random.uniform(...) < gray` | `data.binarize=resampled` |
# | `beta` | `model.kl_weight`; also `model.kl_warmup`, `model.free_bits` |
# | reconstructions, plane | `tfgan-zoo reconstruct RUN`, `tfgan-zoo interpolate RUN --path manifold` |
#
# Both maximize the same bound. The values differ, because an image of 32x32 pixels has four times
# as many pixels to predict.

# %%
h = read_losses(run)
plot_curves(
    {
        "ELBO, nats per image": {"ELBO": h["elbo"]},
        # The package reports -log p(x|z), a loss.
        "terms of the ELBO": {"reconstruction": np.negative(h["reconstruction"]), "KL": h["kl"]},
    },
    caption="First the reconstructions improve and the KL divergence grows: the codes begin to carry "
    "information. Then both converge.",
)

# %% [markdown]
# ## A pretrained model
#
# `vae_mnist` was trained on 60,000 digits for 19 minutes on two CPU cores. The next pictures show
# its samples, and how it reconstructs *our* digits, which are other handwriting than MNIST. Then
# one latent dimension per row varies from $-3$ to $3$, with the others fixed.

# %%
from tfgan_zoo.inference.latent_walk import latent_walk

pretrained = load_pretrained("vae_mnist")
other = load_for_experiment(tfgan_zoo.experiment("vae_digits", "model.image_size=28")).images[:12]
show_images(pretrained.sample(36, seed=1), columns=12, caption="Samples of `vae_mnist`.")
show_rows(
    {"image": other, "recon-\nstruction": pretrained.reconstruct(other)},
    width=740,
    caption="Digits of another dataset and their reconstructions.",
)
show_images(
    latent_walk(pretrained, path="traversal", rows=5, steps=12, seed=4),
    columns=12,
    caption="Latent traversal: the five dimensions that change the image most.",
)

# %% [markdown]
# ## What goes wrong: posterior collapse
#
# The KL divergence is a cost. If its weight is high, or if the decoder is strong enough without
# $z$, the optimal code carries no information: $q(z|x) = N(0, I)$ for every image. The KL
# divergence is 0, every reconstruction is the mean image, and the optimizer works correctly.
#
# The weight $\beta$ of the KL divergence ($\beta$-VAE, Higgins et al. 2017) shows all stages, with
# your code. A dimension is **active** if its $\mu_j(x)$ differs between images (variance above
# 0.01).

# %%
betas = choose([1, 30], [0.2, 1, 3, 30], [0.2, 1, 3, 30])
rows = {"image": np.concatenate([digits[:6], np.full_like(digits[:6], 255)])}
kl_curves, reconstruction_curves = {}, {}
for beta in betas:
    e, d, terms, frames = train(latent_dim=8, steps=choose(4, 800, 2000), beta=beta)
    means = tf.split(e(gray_images), 2, axis=1)[0].numpy()
    active = (means.var(axis=0) > 0.01).sum()
    reconstruction, kl = terms[-50:].mean(axis=0)
    print(
        f"beta {beta:>4}: reconstruction {reconstruction:6.1f}, KL {kl:4.1f} nats, "
        f"{active} of 8 dimensions active"
    )
    rows[f"beta {beta}"] = np.concatenate([decode(d, means[:6]), frames[-1][:6]])
    kl_curves[f"beta {beta}"] = smooth(terms[:, 1])
    reconstruction_curves[f"beta {beta}"] = smooth(terms[:, 0])
show_rows(
    rows,
    width=660,
    caption="Left: six images and their reconstructions. Right: six samples of random codes.",
)
plot_curves(
    {"KL": kl_curves, "reconstruction": reconstruction_curves},
    x="step",
    caption="How one sees the collapse: the KL divergence is 0.",
)

# %% [markdown]
# A small $\beta$ gives the best reconstructions and the worst samples: the codes carry much
# information, and their distribution differs from $N(0, I)$. A large $\beta$ has the opposite
# effect, up to the collapse. Solutions: `model.kl_warmup=5000` increases the weight from 0, and
# `model.free_bits=0.1` does not penalize the first 0.1 nats in every dimension. `tfgan-zoo train`
# prints a warning if dimensions are inactive.
#
# ## Log-likelihood in nats
#
# The ELBO is a lower bound. Importance sampling gives a tighter one (Burda et al. 2015): $\log
# \frac1k \sum_i p(x|z_i) p(z_i) / q(z_i|x)$ with $z_i \sim q(z|x)$. `tfgan_zoo.evaluate` reports it
# as `nll`.

# %%
result = evaluate_run(
    run,
    metrics=["nll", "elbo"],
    samples=choose(50, 200, 10_000),
    importance_samples=choose(5, 50, 200),
)

# %% [markdown]
# This dataset has no test split. The scores are those of training images and therefore too good.
# `FULL = True` uses the test images of MNIST, where `vae_mnist` reaches 85.1 nats.
#
# ## Exercises
#
# Try each of them before you open the solution.
#
# 1. Derive the formula of the KL divergence for one dimension.
# 2. Check the formula by sampling: estimate $\mathbb{E}_q [\log q(z|x) - \log p(z)]$ with 10,000
#    samples for $\mu = 1$, $\sigma = 0.5$.
# 3. Replace the noise in `elbo_terms` by 0. What happens to the KL divergence, and to samples?
# 4. Sample from the codes of the training images instead of $N(0, I)$: decode `means + noise` with
#    the encoder's $\sigma$. How much better are the images? What does this say about the prior?
# 5. Pass the label to both networks. Which information is no longer in $z$?
#
# <details>
# <summary>Solutions</summary>
#
# **1.** $\mathbb{E}_q[\log q - \log p] = \mathbb{E}_q\bigl[-\tfrac12 \log \sigma^2 - \tfrac{(z -
# \mu)^2}{2 \sigma^2} + \tfrac{z^2}{2}\bigr]$. With $\mathbb{E}_q (z - \mu)^2 = \sigma^2$ and
# $\mathbb{E}_q z^2 = \mu^2 + \sigma^2$ this is $\tfrac12 (\mu^2 + \sigma^2 - \log \sigma^2 - 1)$.
#
# **2.** The formula gives $\tfrac12 (1 + 0.25 + \log 4 - 1) = 0.818$. `z = random.normal(1, 0.5,
# 10_000); np.mean(-np.log(0.5) - (z - 1) ** 2 / 0.5 + z**2 / 2)` is close to it.
#
# **3.** The model becomes an auto-encoder. The reconstruction does not depend on $\sigma$, so the
# KL term alone sets it to 1. The means spread to separate the images, nothing fills the space
# between them, and samples become worse.
#
# **4.** They are better: these codes lie where training images are. The average of all $q(z|x)$
# is not equal to $N(0, I)$, so some draws from the prior are codes that the decoder was not trained
# on.
#
# **5.** Concatenate the one-hot label with the flattened image and with $z$. $z$ then describes the
# style only: slant, width, size. In the package: `model.classes=10`, and `tfgan-zoo interpolate RUN
# --path traversal`.
#
# </details>
#
# ## What next
#
# - Notebook [1](01_gan.ipynb): sharp images, without a likelihood.
# - Notebook [8](08_evaluation.ipynb): metrics that compare GANs and VAEs.
