# %% [markdown]
# # 4. VAE: describing the data, not deceiving a judge
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/04_vae.ipynb)
#
# No game here. A **decoder** says how probable an image is, given a code $z$; an **encoder** says which codes an image may have come
# from. Both are trained together towards one number, a lower bound of $\log p(x)$. So there is a loss that means something, and every
# image has a place.
#
# Paper: Kingma, Welling, *Auto-Encoding Variational Bayes*, 2013, [arXiv 1312.6114](https://arxiv.org/abs/1312.6114).

# %%
FULL = False  # True: the real preset vae_mnist (downloads MNIST once; 19 minutes on two CPU cores)

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
# ## The bound
#
# The model is $p(x) = \int p(x|z) \, p(z) \, dz$ with $p(z) = N(0, I)$. The integral has no closed form, and guessing codes at random
# hardly ever hits one that explains $x$. So a second network proposes codes: $q(z|x) = N(\mu(x), \operatorname{diag} \sigma^2(x))$.
# For any such $q$,
#
# $$\log p(x) = \underbrace{\mathbb{E}_{q(z|x)} \log p(x|z) - \mathrm{KL}\bigl(q(z|x) \,\|\, p(z)\bigr)}_{\text{ELBO}}
# + \underbrace{\mathrm{KL}\bigl(q(z|x) \,\|\, p(z|x)\bigr)}_{\ge 0}.$$
#
# The last term is not known, but it is not negative: the ELBO is a lower bound, and we push it up. Its first part wants good
# reconstructions; its second wants all codes together to look like $N(0, I)$, so that one can sample. For Gaussians it is a formula:
#
# $$\mathrm{KL} = \tfrac12 \sum_j \bigl(\mu_j^2 + \sigma_j^2 - \log \sigma_j^2 - 1\bigr).$$
#
# **The reparametrisation.** A draw from $q$ has no gradient. But $z = \mu + \sigma \odot \epsilon$ with $\epsilon \sim N(0, I)$ has:
# the randomness comes from outside, and $\mu$ and $\sigma$ are in an ordinary formula.

# %%
from tfgan_zoo import losses
from tfgan_zoo.models import vae

show_source(
    vae.VAE.train_step, vae.VAE.compute_losses, losses.gaussian_kl, losses.bernoulli_log_likelihood
)

# %% [markdown]
# Pixels are black or white here, drawn anew in every epoch with the grey as probability (`data.binarize=resampled`). Then $p(x|z)$ is
# a coin for each pixel, a *probability* and not a density, and the ELBO is in nats: comparable from paper to paper.
#
# The networks are DCGAN's blocks, $D$ turned into an encoder and $G$ into a decoder.

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
        "ELBO, nats an image": {"ELBO": h["elbo"]},
        "its parts": {"reconstruction": h["reconstruction"], "KL": h["kl"]},
    }
)

# %% [markdown]
# This is a curve to be trusted: higher is better, today and tomorrow. First the reconstructions improve and the KL grows (codes begin
# to carry something), then both find their balance. `active_units` counts the dimensions whose $\mu_j(x)$ differs from image to image:
# here all 16.
#
# Images above, what comes back below; then samples, $z \sim N(0, I)$.

# %%
from tfgan_zoo.inference.latent_walk import reconstruct, reconstruction_images

model = tfgan_zoo.load(run)
images, _ = reconstruction_images(run, model, [], 16, seed=0)
show_images(reconstruct(model, images), columns=16)
show_images(model.sample(48, seed=1), columns=16)

# %% [markdown]
# Soft edges are typical of VAEs. The decoder is asked for a probability a pixel; where it is not sure whether a stroke ends here or a
# pixel further, the best answer is grey. A GAN would choose one and be sharp. That some samples are no digit has another reason: codes
# between the regions that training images occupy are drawn, too.
#
# ## What the dimensions mean
#
# One latent dimension a row, from $-3$ to $3$, the others held still.

# %%
from tfgan_zoo.inference.latent_walk import latent_walk

show_images(
    latent_walk(model, path="traversal", rows=choose(4, 6, 8), steps=13, seed=4), columns=13
)

# %% [markdown]
# With two dimensions one can see the whole plane. `manifold` walks it at the quantiles of $N(0, 1)$, so that equal areas have equal
# probability.

# %%
plane, _ = train_in_memory(preset, "model.latent_dim=2", f"train.epochs={choose(2, 20, 10)}")
show_images(latent_walk(plane, path="manifold", steps=11), columns=11, width=500)

# %% [markdown]
# ## What goes wrong, and how one sees it
#
# ### Posterior collapse
#
# The KL costs. If its weight is high, or the decoder is strong enough to do without $z$, the cheapest code is none at all:
# $q(z|x) = N(0, I)$ for every image. The KL is 0, every reconstruction is the mean image, and nothing is wrong with the optimiser.
#
# The weight $\beta$ of the KL (`model.kl_weight`, $\beta$-VAE, Higgins et al. 2017) shows all stages.

# %%
import numpy as np

collapse = {}
for beta in choose([1, 30], [0.2, 1, 8, 30], [0.2, 1, 8, 30]):
    player, collapse[beta] = train_in_memory(
        preset, *sizes, f"model.kl_weight={beta}", f"train.epochs={choose(2, 12, 5)}"
    )
    last = {name: values[-1] for name, values in collapse[beta].items()}
    print(
        f"beta {beta}: KL {last['kl']:.1f} nats, {last['active_units']:.1f} of {player.config.latent_dim} dimensions active"
    )
    show_images(
        np.concatenate([player.reconstruct(images[:8]), player.sample(8, seed=1)]), columns=16
    )
    for warning in player.diagnose(last).values():
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
# Left eight reconstructions, right eight samples. A small $\beta$ reconstructs best and samples worst: the codes carry much, and no
# longer look like $N(0, I)$. A large one is the other way round, up to the collapse. Ways out: `model.kl_warmup=5000` lets the weight
# grow from 0, `model.free_bits=0.1` makes so much KL free in every dimension.
#
# ## How good is it, in nats?
#
# The ELBO is a bound. Importance sampling comes nearer to $\log p(x)$ (Burda et al. 2015):
# $\log \frac1k \sum_i p(x|z_i) p(z_i) / q(z_i|x)$ with $z_i \sim q(z|x)$. `evaluate` has it as `nll`.

# %%
import sys

result = evaluate_run(
    run,
    metrics=["likelihood"],
    samples=choose(50, 200, 10_000),
    importance_samples=choose(5, 50, 200),
)

# %% [markdown]
# These digits have no test split: they are images that the model was trained on, so the number flatters. `FULL = True` uses MNIST's
# test images, where `vae_mnist` reaches 85.1 nats.
#
# ## Exercises
#
# 1. `model.likelihood=gaussian data.binarize=none`: what does the learned `sigma` become? Watch the ELBO leave the range of
#    probabilities.
# 2. `model.classes=10`: a conditional VAE. Which information leaves $z$? (Traverse again.)
# 3. Derive the formula of the KL for one dimension.
# 4. Sample from the codes of the training images instead of $N(0, I)$: `model.generate(mean + noise)`. How much better does it look?
#    What does that say about the prior?
