# %% [markdown]
# # 4. VAE: variational auto-encoder
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/04_vae.ipynb)
#
# A VAE has no discriminator. A **decoder** gives the probability of an image for a code $z$. An
# **encoder** gives the codes that an image may have come from. Both are trained together to
# maximize one number, a lower bound of $\log p(x)$. So the loss is a measure of quality, and every
# image has a code.
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
# The model is $p(x) = \int p(x|z) \, p(z) \, dz$ with $p(z) = N(0, I)$. The integral has no closed
# form, and random codes hardly ever explain a given $x$. So a second network proposes codes:
# $q(z|x) = N(\mu(x), \operatorname{diag} \sigma^2(x))$. For any such $q$,
#
# $$\log p(x) = \underbrace{\mathbb{E}_{q(z|x)} \log p(x|z) - \mathrm{KL}\bigl(q(z|x) \,\|\, p(z)\bigr)}_{\text{ELBO}}
# + \underbrace{\mathrm{KL}\bigl(q(z|x) \,\|\, p(z|x)\bigr)}_{\ge 0}.$$
#
# The last term is unknown but not negative, so the ELBO is a lower bound, and training maximizes
# it. Its first term is the reconstruction term. Its second term pulls the distribution of the codes
# to $N(0, I)$, so that one can sample. For Gaussians it has a closed form:
#
# $$\mathrm{KL} = \tfrac12 \sum_j \bigl(\mu_j^2 + \sigma_j^2 - \log \sigma_j^2 - 1\bigr).$$
#
# **Reparametrization.** A sample from $q$ has no gradient. But $z = \mu + \sigma \odot \epsilon$
# with $\epsilon \sim N(0, I)$ is a differentiable function of $\mu$ and $\sigma$.

# %%
from tfgan_zoo import losses
from tfgan_zoo.models import vae
from tfgan_zoo.models.base import ZooModel

show_source(
    ZooModel.train_step, vae.VAE.compute_losses, losses.gaussian_kl, losses.bernoulli_log_likelihood
)

# %% [markdown]
# Pixels are black or white here, drawn again in every epoch with the gray value as probability
# (`data.binarize=resampled`). Then $p(x|z)$ is a Bernoulli distribution per pixel, a *probability*
# and not a density, and the ELBO in nats is comparable between papers.
#
# The networks consist of the blocks of DCGAN: the encoder resembles $D$, the decoder $G$.

# %%
show_source(vae.encoder, vae.decoder)

# %% [markdown]
# ## Training

# %%
preset = choose("vae_tiny", "vae_digits", "vae_mnist")
sizes = choose([], ["train.epochs=24", "train.sample_every=4"], [])
run = train_run("vae", preset, *sizes)
show_samples(run, count=3, share=0.25)

# %%
h = read_losses(run)
plot_curves(
    {
        "ELBO, nats per image": {"ELBO": h["elbo"]},
        "terms of the ELBO": {"reconstruction": h["reconstruction"], "KL": h["kl"]},
    }
)

# %% [markdown]
# This curve measures quality: higher is better. At first the reconstructions improve and the KL
# divergence grows, because the codes begin to carry information. Then both converge. `active_units`
# counts the dimensions whose $\mu_j(x)$ differs between images: all 16 here.
#
# The next cell shows images above their reconstructions, then samples with $z \sim N(0, I)$.

# %%
from tfgan_zoo.inference.latent_walk import reconstruction_grid, reconstruction_images

model = tfgan_zoo.load(run)
images, _ = reconstruction_images(run, model, [], 16, seed=0)
show_images(reconstruction_grid(model, images), columns=16)
show_images(model.sample(48, seed=1), columns=16)

# %% [markdown]
# Blurred edges are typical of VAEs. The decoder returns a probability per pixel. Where the position
# of an edge is uncertain, the optimal value is gray. A GAN would choose one position and be sharp.
# Some samples are no digits for another reason: they come from codes between the regions that
# training images occupy.
#
# ## Latent traversal
#
# Each row varies one latent dimension from $-3$ to $3$ and fixes the others.

# %%
from tfgan_zoo.inference.latent_walk import latent_walk

show_images(
    latent_walk(model, path="traversal", rows=choose(4, 6, 8), steps=13, seed=4), columns=13
)

# %% [markdown]
# With two dimensions the whole latent plane can be shown. `manifold` uses the quantiles of $N(0,
# 1)$, so that equal areas have equal probability.

# %%
plane, _ = train_in_memory(preset, "model.latent_dim=2", f"train.epochs={choose(2, 20, 10)}")
show_images(latent_walk(plane, path="manifold", steps=11), columns=11, width=500)

# %% [markdown]
# ## What can go wrong
#
# ### Posterior collapse
#
# The KL divergence is a cost. If its weight is high, or if the decoder is strong enough without
# $z$, the optimal code carries no information: $q(z|x) = N(0, I)$ for every image. The KL
# divergence is 0, every reconstruction is the mean image, and the optimizer works correctly.
#
# The weight $\beta$ of the KL divergence (`model.kl_weight`, $\beta$-VAE, Higgins et al. 2017)
# shows all stages.

# %%
import numpy as np

collapse = {}
for beta in choose([1, 30], [0.2, 1, 8, 30], [0.2, 1, 8, 30]):
    variant, collapse[beta] = train_in_memory(
        preset, *sizes, f"model.kl_weight={beta}", f"train.epochs={choose(2, 12, 5)}"
    )
    last = {name: values[-1] for name, values in collapse[beta].items()}
    active = f"{last['active_units']:.1f} of {variant.config.latent_dim} dimensions active"
    print(f"beta {beta}: KL {last['kl']:.1f} nats, {active}")
    show_images(
        np.concatenate([variant.reconstruct(images[:8]), variant.sample(8, seed=1)]), columns=16
    )
    for warning in variant.diagnose(last).values():
        print("    " + warning)

# %%
plot_curves(
    {
        "KL": {f"beta {beta}": h["kl"] for beta, h in collapse.items()},
        "reconstruction": {f"beta {beta}": h["reconstruction"] for beta, h in collapse.items()},
        "active dimensions": {f"beta {beta}": h["active_units"] for beta, h in collapse.items()},
    }
)

# %% [markdown]
# Eight reconstructions on the left, eight samples on the right. A small $\beta$ gives the best
# reconstructions and the worst samples: the codes carry much information, and their distribution
# differs from $N(0, I)$. A large $\beta$ has the opposite effect, up to the collapse. Solutions:
# `model.kl_warmup=5000` increases the weight from 0, and `model.free_bits=0.1` does not penalize
# the first 0.1 nats in every dimension.
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
# 1. `model.likelihood=gaussian data.binarize=none`: what value does the learned `sigma` reach? The
#    ELBO is now a density and can be positive.
# 2. `model.classes=10`: a conditional VAE. Which information is no longer in $z$? Use the latent
#    traversal.
# 3. Derive the formula of the KL divergence for one dimension.
# 4. Sample from the codes of the training images instead of $N(0, I)$: `model.generate(mean +
#    noise)`. How much better are the images? What does this say about the prior?
