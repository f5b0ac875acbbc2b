# %% [markdown]
# # 7. Style transfer: a picture in the style of another
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/07_style_transfer.ipynb)
#
# Three papers, one idea, ever faster:
#
# 1. Gatys et al. 2016: the **picture itself** is optimised. Any style, minutes a picture.
#    [arXiv 1508.06576](https://arxiv.org/abs/1508.06576)
# 2. Johnson et al. 2016: a **network** learns to do it for one style. Milliseconds a picture.
#    [arXiv 1603.08155](https://arxiv.org/abs/1603.08155)
# 3. Huang & Belongie 2017 (AdaIN): a network for **any** style. [arXiv 1703.06868](https://arxiv.org/abs/1703.06868)

# %%
FULL = False  # True: pictures of 384 pixels, the real presets fast_mosaic and adain_photographs (half an hour and more on two CPU cores)

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
# ## Looking through a network
#
# All three look at pictures through a convolutional network, VGG19. Let $F^l(x)$ be the features of layer $l$: $h w$ places, $c$
# channels.
#
# - **Content** is what is where: $F^l(x)$ itself, of a deep layer.
# - **Style** is what goes with what, wherever it is: the Gram matrix $G^l(x) = \frac{1}{hw} \sum_\text{places} F F^\top$, how often
#   which channels fire together. The sum over places is what forgets the place.
#
# The network here comes with the package: VGG19's form, a quarter as wide, trained to see what a larger one sees. VGG19 itself is
# `features="imagenet"` (Keras downloads it once); `features="random"` has random weights, through which colours and patterns still get.
#
# The pictures: a photograph that comes with scikit-learn, and a mosaic drawn by a rule of ours.

# %%
import dataclasses

from tfgan_zoo.data import builtin_images
from tfgan_zoo.data.transforms import resize, resize_longer_side

size = choose(48, 160, 384)
content = resize_longer_side(builtin_images.photograph("china"), size)
styles = {name: builtin_images.style_image(name, size) for name in builtin_images.STYLES}
height, width = content.shape[:2]


def side_by_side(*images, columns=0):
    """Pictures of any size, as high as the content."""
    show_images(
        [resize(image, height, width) for image in images], columns or len(images), width=640
    )


side_by_side(content, *styles.values())

# %% [markdown]
# A small experiment on what the two see. Roll the mosaic by half its width: every pixel is somewhere else, the style is the same.
# `relative_error` is 0 for equal things and 1 for nothing at all.

# %%
import numpy as np

from tfgan_zoo import losses
from tfgan_zoo.data.transforms import to_float
from tfgan_zoo.models.stylization import CONTENT_LAYERS, STYLE_LAYERS

config = tfgan_zoo.experiment("gatys").model
seen = config.feature_network((*STYLE_LAYERS, *CONTENT_LAYERS))
mosaic = styles["mosaic"]
found = {
    name: seen(to_float(image)[None])
    for name, image in {
        "mosaic": mosaic,
        "rolled": np.roll(mosaic, size // 2, axis=1),
        "strokes": styles["strokes"],
    }.items()
}
for name in ("rolled", "strokes"):
    grams = [
        losses.relative_error(
            losses.gram_matrix(found[name][layer]), losses.gram_matrix(found["mosaic"][layer])
        )
        for layer in STYLE_LAYERS
    ]
    features = losses.relative_error(found[name]["block4_conv2"], found["mosaic"]["block4_conv2"])
    print(
        f"{name:<8} beside the mosaic: Gram matrices {np.mean(grams):.4f}, features in their places {features:.4f}"
    )

# %% [markdown]
# ## 1. Gatys: the picture is the player
#
# $$\min_x \; \alpha \sum_{l \in C} \bigl|F^l(x) - F^l(\text{content})\bigr|^2 + \beta \sum_{l \in S} \bigl|G^l(x) -
# G^l(\text{style})\bigr|^2 + \gamma \, \mathrm{TV}(x)$$
#
# In the words of this zoo: there is one player, and its weights are the pixels. The optimiser is L-BFGS, as in the paper.

# %%
from tfgan_zoo.models.style_transfer import ImageVariable, Objective

show_source(Objective.compute_losses, Objective.weigh, ImageVariable, losses.gram_matrix)

# %% [markdown]
# Go. The picture begins as the content, small, and grows: what it is about is settled where a step costs little.

# %%
from tfgan_zoo.models.style_transfer import transfer_style

history = []
settings = {"iterations": choose(2, 40, 60), "smallest": choose(32, 96, 128)}
painting = transfer_style(
    content,
    [mosaic],
    dataclasses.replace(config, **settings),
    progress=lambda now, of, iteration, values: history.append(values),
)
print(f"{painting.seconds:.0f} s")
side_by_side(content, painting.picture, mosaic)
plot_curves(
    {"relative errors": {name: [v[name] for v in history] for name in ("style", "content")}},
    "iteration",
    log=True,
)

# %% [markdown]
# The style's error falls by three orders of magnitude, at the price of the content; it jumps where the picture grows.
#
# ### One term alone
#
# From noise, with the style alone: a texture, which has everything of the mosaic but its places. And with the content alone, through a
# shallow and a deep layer: what does a layer still know?

# %%
alone = {
    "init": "noise",
    "smallest": size,
    "iterations": choose(2, 40, 100),
    "variation_weight": 0.0,
}
variants = {
    "style alone": {"content_weight": 0.0},
    "content alone, block2_conv2": {"style_weight": 0.0, "content_layers": ("block2_conv2",)},
    "content alone, block4_conv2": {"style_weight": 0.0, "content_layers": ("block4_conv2",)},
}
print(", ".join(variants))
side_by_side(
    *(
        transfer_style(content, [mosaic], dataclasses.replace(config, **alone, **changes)).picture
        for changes in variants.values()
    )
)

# %% [markdown]
# A shallow layer keeps nearly the photograph. The deep layer keeps shapes and loses exact colours. Our preset has both as content.
#
# ### The one dial
#
# Only the ratio of the weights matters. From left: content weight 0.05, 0.5, 5.

# %%
weights = [
    dataclasses.replace(config, **settings, content_weight=weight)
    for weight in choose([0.5], [0.05, 0.5, 5.0], [0.05, 0.5, 5.0])
]
side_by_side(*(transfer_style(content, [styles["strokes"]], each).picture for each in weights))

# %% [markdown]
# What goes wrong here is mostly this dial: too little content, and the picture is a texture in the style's colours; too much, and it
# is the photograph with a filter. Speckles: more `variation_weight`. Strokes too coarse or too fine: `style_scale`.
#
# ## 2. Fast style transfer: a network learns it
#
# Optimising each picture anew is a waste, if the style stays. Johnson et al. train a network $f$ on many photographs, with the very
# same loss on its output:
#
# $$\min_f \; \mathbb{E}_x \; \text{content}(f(x), x) + \text{style}(f(x)) + \mathrm{TV}(f(x)).$$

# %%
from tfgan_zoo.models import fast_style

show_source(fast_style.FastStyle.compute_losses)

# %%
preset = choose("fast_tiny", "fast_mosaic", "fast_mosaic")
small = ["model.image_size=64", "model.width=12", "model.blocks=2", "model.style_size=192"]
run = train_run(
    "fast", preset, *choose([], [*small, "train.epochs=5", "train.steps_per_epoch=100"], [])
)
fast = tfgan_zoo.load(run)
flower = resize_longer_side(builtin_images.photograph("flower"), size)
side_by_side(content, fast.stylize(content), flower, fast.stylize(flower))

# %%
h = read_losses(run)
print(
    "epoch by epoch: "
    + ", ".join(f"{name} {[round(value, 3) for value in h[name]]}" for name in ("style", "content"))
)

# %% [markdown]
# 500 steps of a small network on pieces of 64 pixels: something of the photograph, stripes, and colours that are the mosaic's only in
# part. The preset takes 2,000 steps with a larger one, five minutes; if it is at hand, this is what it makes:

# %%
from tfgan_zoo.saving import hub

if hub.pretrained_folder("fast_mosaic"):
    trained = tfgan_zoo.load("fast_mosaic")
    side_by_side(trained.stylize(content), trained.stylize(flower))

# %% [markdown]
# ## 3. AdaIN: any style
#
# The style of a layer can be said even more briefly than by a Gram matrix: by mean and deviation of each channel. Take the content's
# features and give them those of the style's,
#
# $$t = \sigma(f(y)) \, \frac{f(x) - \mu(f(x))}{\sigma(f(x))} + \mu(f(y)),$$
#
# and train a decoder $g$ to make a picture of such features. Nothing in it belongs to one style: that comes in at test time, as
# numbers.

# %%
from tfgan_zoo.models import adain

show_source(adain.adain, adain.AdaIN.compute_losses)

# %%
preset = choose("adain_tiny", "adain_photographs", "adain_photographs")
small = ["model.image_size=64", "model.style_weight=0.5", "data.batch_size=4"]
run = train_run(
    "adain",
    preset,
    *choose(
        [], [*small, "train.epochs=6", "train.steps_per_epoch=100", "train.sample_every=6"], []
    ),
)
any_style = tfgan_zoo.load(run)
side_by_side(mosaic, any_style.stylize(content, [mosaic]), any_style.stylize(flower, [mosaic]))

# %% [markdown]
# This is what an AdaIN looks like after a minute. Which part is to blame? Since style is numbers, it can be turned down:
# `alpha=0` is the content as the decoder gives it back, with no style at all. From left: 0, 0.5, 1.

# %%
side_by_side(*(any_style.stylize(content, [mosaic], alpha=alpha) for alpha in (0.0, 0.5, 1.0)))

# %% [markdown]
# Already without style there are only outlines. So the decoder is to blame: before anything else it has to learn to invert the
# encoder, deep features to pixels, and a minute does not do it. Always look at `alpha=0` first. (The weight of the style is lower here
# than in the preset, lest the decoder draw patterns before it can draw anything.)
#
# `adain_folder_128` was trained for longer, on 45 photographs and 135 paintings, and knows none of these pictures. Alpha 0, 0.5, 1:

# %%
if hub.pretrained_folder("adain_folder_128"):
    any_style = tfgan_zoo.load("adain_folder_128")
    side_by_side(*(any_style.stylize(content, [mosaic], alpha=alpha) for alpha in (0.0, 0.5, 1.0)))

# %% [markdown]
# ## Side by side
#
# How near each way comes to the style (Gram matrices) and to the content, beside the content itself and the style itself. Do not take
# it for a race: the optimiser had this very loss, for this very picture, and the others have one pass.

# %%
from tfgan_zoo.evaluation.style import StyleComparison

judge = StyleComparison(mosaic, seen)
made = {
    "Gatys": painting.picture,
    "fast": fast.stylize(content),
    "AdaIN": any_style.stylize(content, [mosaic]),
}
print(f"{'':<16}{'style':>8}{'content':>9}{'SSIM':>7}")
for name, picture in made.items():
    told = judge(picture, content)
    print("{0:<16}{style:8.3f}{content:9.3f}{ssim:7.3f}".format(name, **told["picture"]))
for name in ("content image", "style image"):
    print("{0:<16}{style:8.3f}{content:9.3f}{ssim:7.3f}".format(name, **told[name]))

# %% [markdown]
# ## Exercises
#
# 1. `features="random"` in `dataclasses.replace(config, ...)`: what does a trained network see that a random one does not?
# 2. Show that the Gram matrix does not change if places are permuted. Does AdaIN's mean and deviation?
# 3. `style_scale=0.5`: finer strokes. Why does that work, if style forgets the place?
# 4. `tfgan-zoo stylize photo.jpg --style sky.jpg sea.jpg --mask sky.png sea.png`: each region its own style.
# 5. `any_style.stylize(content, [mosaic, strokes], style_weights=(1, 3))`: what is blended, pictures or moments?
# 6. `colors=keep`: the photograph's own colours. Which other way is there (`match`), and when is it better?
