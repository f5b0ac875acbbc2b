# %% [markdown]
# # 7. Style transfer
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/07_style_transfer.ipynb)
#
# Three papers with one objective, each faster than the one before:
#
# 1. Gatys et al. 2016: optimize the **image itself**. Any style, minutes per image. [arXiv
#    1508.06576](https://arxiv.org/abs/1508.06576)
# 2. Johnson et al. 2016: train a **network** for one style. Milliseconds per image. [arXiv
#    1603.08155](https://arxiv.org/abs/1603.08155)
# 3. Huang & Belongie 2017 (AdaIN): train a network for **any** style. [arXiv
#    1703.06868](https://arxiv.org/abs/1703.06868)

# %%
FULL = False  # True: pictures of 384 pixels, the real presets fast_mosaic and adain_photographs (half an hour and more on two CPU cores)
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
    show_source,
    train_run,
)

set_up(full=FULL, drive=DRIVE)


# %% [markdown]
# ## Content and style features
#
# All three extract features with a pretrained convolutional network, VGG19. Let $F^l(x)$ be the
# features of layer $l$: $h w$ positions, $c$ channels.
#
# - **Content**: the features $F^l(x)$ of a deep layer, with their positions.
# - **Style**: the Gram matrix $G^l(x) = \frac{1}{hw} \sum_\text{positions} F F^\top$, the
#   correlations between channels. The sum over positions removes the position.
#
# The network here is part of the package (`features="medium"`): VGG16 with half of the width, pruned
# and trained by knowledge distillation. `features="imagenet"` is VGG19 itself (Keras downloads it
# once). `features="random"` has random weights, which still capture colors and simple patterns.
#
# The content is a photograph that comes with scikit-learn, the style a synthetic mosaic.

# %%
import dataclasses

from tfgan_zoo.data import builtin_images
from tfgan_zoo.data.transforms import resize, resize_longer_side

size = choose(48, 160, 384)
content = resize_longer_side(builtin_images.photograph("china"), size)
styles = {name: builtin_images.style_image(name, size) for name in builtin_images.STYLES}
height, width = content.shape[:2]


def side_by_side(*images, columns=0):
    """Show images of any size, resized to the content."""
    show_images(
        [resize(image, height, width) for image in images], columns or len(images), width=640
    )


side_by_side(content, *styles.values())

# %% [markdown]
# This experiment shows the difference between the two kinds of features. Rolling the mosaic by half
# of its width moves every pixel and keeps the style. `relative_error` is 0 for equal features, and
# 1 if the features are compared with zeros.

# %%
import numpy as np

from tfgan_zoo import losses
from tfgan_zoo.data.transforms import to_float
from tfgan_zoo.models.stylization import CONTENT_LAYERS, STYLE_LAYERS

config = tfgan_zoo.experiment("gatys").model
extract_features = config.feature_network((*STYLE_LAYERS, *CONTENT_LAYERS))
mosaic = styles["mosaic"]
features = {
    name: extract_features(to_float(image)[None])
    for name, image in {
        "mosaic": mosaic,
        "rolled": np.roll(mosaic, size // 2, axis=1),
        "strokes": styles["strokes"],
    }.items()
}
for name in ("rolled", "strokes"):
    gram_errors = [
        losses.relative_error(
            losses.gram_matrix(features[name][layer]), losses.gram_matrix(features["mosaic"][layer])
        )
        for layer in STYLE_LAYERS
    ]
    feature_error = losses.relative_error(
        features[name]["block4_conv2"], features["mosaic"]["block4_conv2"]
    )
    print(f"{name:<8} Gram matrices {np.mean(gram_errors):.4f}, features {feature_error:.4f}")

# %% [markdown]
# ## 1. Gatys: optimize the image
#
# $$\min_x \; \alpha \sum_{l \in C} \bigl|F^l(x) - F^l(\text{content})\bigr|^2 + \beta \sum_{l \in S} \bigl|G^l(x) -
# G^l(\text{style})\bigr|^2 + \gamma \, \mathrm{TV}(x)$$
#
# The trainable weights are the pixels of one image. The objective is in `losses_of_image`, the
# descent by L-BFGS (as in the paper) or Adam in `optimize`, and `stylize` repeats it from coarse to
# fine sizes:

# %%
from tfgan_zoo.models.style_transfer import StyleTransfer

show_source(
    StyleTransfer.losses_of_image,
    StyleTransfer.style_loss,
    StyleTransfer.content_loss,
    losses.gram_matrix,
    StyleTransfer.optimize,
    StyleTransfer.lbfgs_iterates,
    StyleTransfer.stylize,
)

# %% [markdown]
# The image starts as a small copy of the content and grows. Its composition is settled where an
# iteration is cheap.

# %%
import time

history = []
settings = {"iterations": choose(2, 40, 60), "smallest": choose(32, 96, 128)}
gatys = StyleTransfer(dataclasses.replace(config, **settings))
begin = time.time()
stylized = gatys.stylize(content, [mosaic], on_iteration=lambda state: history.append(state.losses))
print(f"{time.time() - begin:.0f} s")
side_by_side(content, stylized, mosaic)
plot_curves(
    {"relative errors": {name: [v[name] for v in history] for name in ("style", "content")}},
    "iteration",
    log=True,
)

# %% [markdown]
# The style error falls by more than two orders of magnitude, and the content error rises. The curves jump
# where the image grows.
#
# ### One loss term alone
#
# Starting from noise. With the style term alone the result is a texture: it has everything of the
# mosaic except positions. With the content term alone, through a shallow and a deep layer, the
# result shows what the features of a layer still contain.

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
        StyleTransfer(dataclasses.replace(config, **alone, **overrides)).stylize(content, [mosaic])
        for overrides in variants.values()
    )
)

# %% [markdown]
# A shallow layer preserves nearly the whole photograph. A deep layer preserves shapes and loses
# exact colors. The preset uses both as content layers.
#
# ### Content weight
#
# Only the ratio of the weights matters. From left to right: content weight 0.05, 0.5, 5.

# %%
configs = [
    dataclasses.replace(config, **settings, content_weight=weight)
    for weight in choose([0.5], [0.05, 0.5, 5.0], [0.05, 0.5, 5.0])
]
side_by_side(*(StyleTransfer(c).stylize(content, [styles["strokes"]]) for c in configs))

# %% [markdown]
# This ratio is the most frequent problem. With too little content weight, the image is a texture in
# the colors of the style. With too much, it is the photograph with slightly changed colors. For
# speckles, increase `variation_weight`. For strokes that are too coarse or too fine, change
# `style_scale`.
#
# ## 2. Fast style transfer: train a network for one style
#
# Optimizing every image separately is inefficient if the style is always the same. Johnson et al.
# train a network $f$ on many photographs, with the same loss for its output:
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
# After 500 steps of a small network on crops of 64 pixels, the result shows the photograph,
# stripes, and some colors of the mosaic. The preset takes 2,000 steps with a larger network, in
# five minutes. If its pretrained model is available, the next cell shows its result:

# %%
from tfgan_zoo.saving import hub

if hub.pretrained_folder("fast_mosaic"):
    trained = tfgan_zoo.load("fast_mosaic")
    side_by_side(trained.stylize(content), trained.stylize(flower))

# %% [markdown]
# ## 3. AdaIN: train a network for any style
#
# The mean and the standard deviation of each channel describe the style of a layer more briefly
# than a Gram matrix. AdaIN normalizes the features of the content and gives them the statistics of
# the style,
#
# $$t = \sigma(f(y)) \, \frac{f(x) - \mu(f(x))}{\sigma(f(x))} + \mu(f(y)),$$
#
# and trains a decoder $g$ that maps such features to an image. No weight belongs to one style: the
# style enters at test time, as statistics.

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
# This is the result after one minute of training. Which part limits it? Since the style enters as
# statistics, its strength can be reduced: `alpha=0` decodes the features of the content without any
# style. From left to right: 0, 0.5, 1.

# %%
side_by_side(*(any_style.stylize(content, [mosaic], alpha=alpha) for alpha in (0.0, 0.5, 1.0)))

# %% [markdown]
# Without style there are only outlines, so the decoder is the limit. It must first learn to invert
# the encoder, from deep features to pixels, and one minute is not enough. Always check `alpha=0`
# first. The style weight is lower here than in the preset, so that the decoder does not learn
# patterns before it learns to reconstruct.
#
# `adain_folder_128` was trained for longer, on 45 photographs and 135 paintings, and has seen none
# of these images. Alpha 0, 0.5, 1:

# %%
if hub.pretrained_folder("adain_folder_128"):
    any_style = tfgan_zoo.load("adain_folder_128")
    side_by_side(*(any_style.stylize(content, [mosaic], alpha=alpha) for alpha in (0.0, 0.5, 1.0)))

# %% [markdown]
# ## Comparison
#
# The style error (Gram matrices) and the content error of each method, with the content image and
# the style image as a reference. The comparison is not fair: Gatys' method minimizes this loss for
# this image, the others use one forward pass.

# %%
from tfgan_zoo.evaluation.style import StyleComparison

compare = StyleComparison(mosaic, extract_features)
results = {
    "Gatys": stylized,
    "fast": fast.stylize(content),
    "AdaIN": any_style.stylize(content, [mosaic]),
}
row = "{0:<16}{style:8.3f}{content:9.3f}{ssim:7.3f}"
print(f"{'':<16}{'style':>8}{'content':>9}{'SSIM':>7}")
for name, image in results.items():
    scores = compare(image, content)
    print(row.format(name, **scores["result"]))
for name in ("content image", "style image"):
    print(row.format(name, **scores[name]))

# %% [markdown]
# ## Exercises
#
# 1. Use `features="random"` in `dataclasses.replace(config, ...)`. What does a trained network
#    capture that a random one does not?
# 2. Show that the Gram matrix does not change if positions are permuted. Do the mean and the
#    standard deviation of AdaIN change?
# 3. `style_scale=0.5` gives finer strokes. Why, if the style does not depend on positions?
# 4. `tfgan-zoo stylize photo.jpg --style sky.jpg sea.jpg --mask sky.png sea.png`: one style per
#    region.
# 5. `any_style.stylize(content, [mosaic, strokes], style_weights=(1, 3))`: what is blended, images
#    or statistics?
# 6. `--colors keep` keeps the colors of the photograph. What does `--colors match` do, and when is
#    it better?
