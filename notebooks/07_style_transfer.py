# %% [markdown]
# # 7. Style transfer
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/07_style_transfer.ipynb)
#
# **You will learn** to paint a photograph in the style of another image: why the features of a
# classifier separate content from style, how to optimize the pixels of an image (Gatys et al.), how
# to train a network that does it in milliseconds (Johnson et al.), and how one network serves all
# styles (AdaIN).
#
# **Prerequisites**: convolutions and gradient descent. No other notebook is needed.
# **Time**: 2 minutes on two CPU cores.
#
# 1. Gatys, Ecker, Bethge 2015, [arXiv 1508.06576](https://arxiv.org/abs/1508.06576)
# 2. Johnson, Alahi, Fei-Fei 2016, [arXiv 1603.08155](https://arxiv.org/abs/1603.08155)
# 3. Huang & Belongie 2017 (AdaIN), [arXiv 1703.06868](https://arxiv.org/abs/1703.06868)

# %%
FULL = False  # True: larger images and a longer training (20 minutes and more on two CPU cores)
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
from tfgan_zoo.tools.notebook import (
    choose,
    load_pretrained,
    plot_curves,
    set_up,
    show_animation,
    show_diagram,
    show_images,
)

set_up(full=FULL, drive=DRIVE)


# %% [markdown]
# ## The idea
#
# A network that was trained to recognize objects extracts features. Deep features say *what* is
# *where*: this is the content. Which features occur *together*, wherever they occur, is the style:
# "dark lines next to flat, saturated colors". So: search for an image whose features are those of
# the photograph, and whose feature correlations are those of the style image. The network stays
# frozen. The gradient flows through it into the pixels.

# %%
show_diagram(
    {
        "photo": (0, 2, "photograph", "#cfe3f5"),
        "image": (0, 1, "image x\n(trainable pixels)", "#fbe3b5"),
        "style": (0, 0, "style image", "#f5d0d0"),
        "network": (1.6, 1, "frozen\nVGG network", "#e5e5e5"),
        "content": (3.4, 2, "features F(x) and F(photograph):\ncontent error", "#cfe3f5"),
        "gram": (3.4, 0, "Gram matrices G(x) and G(style):\nstyle error", "#f5d0d0"),
        "loss": (5.4, 1, "loss", "#fbe3b5"),
    },
    [
        ("photo", "network"),
        ("image", "network"),
        ("style", "network"),
        ("network", "content"),
        ("network", "gram"),
        ("content", "loss"),
        ("gram", "loss"),
    ],
    caption="Gatys et al.: the loss is minimized over the pixels of x, by gradient descent.",
    size=(9.0, 2.6),
)

# %% [markdown]
# ## The math
#
# Let $F^l(x)$ be the features of layer $l$: $h w$ positions, $c$ channels.
#
# - **Content**: the features $F^l(x)$ of a deep layer, with their positions.
# - **Style**: the Gram matrix $G^l(x) = \frac{1}{hw} \sum_\text{positions} F F^\top$, the
#   correlations of $c \times c$ pairs of channels. The sum over positions removes the position.
#
# $$\min_x \; \alpha \, \bigl|F^{l_0}(x) - F^{l_0}(\text{photograph})\bigr|^2
# + \beta \sum_{l \in S} \bigl|G^l(x) - G^l(\text{style})\bigr|^2 + \gamma \, \mathrm{TV}(x)$$
#
# The total variation $\mathrm{TV}$, the mean squared difference of neighboring pixels, suppresses
# speckles. We divide each error by the mean square of its target. Then 0 means equal, 1 means "as
# wrong as zeros", and the weights do not depend on the network.
#
# ## From scratch: optimize the image
#
# First the photograph, the style and the feature network. The photograph comes with scikit-learn.
# The style is a drawn mosaic. The network `medium` of the package is VGG-16 at half the width,
# trained to reproduce the features of the large one.

# %%
import time

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.data import builtin_images
from tfgan_zoo.data.transforms import resize, resize_longer_side, to_float, to_uint8
from tfgan_zoo.features.vgg import load_perceptual_network

keras.utils.set_random_seed(0)
size = choose(48, 200, 384)
photo = resize_longer_side(builtin_images.photograph("china"), size)
flower = resize_longer_side(builtin_images.photograph("flower"), size)
style = builtin_images.style_image("mosaic", size)

STYLE_LAYERS = [f"block{i}_conv1" for i in range(1, 6)]
CONTENT_LAYER = "block3_conv1"
features = load_perceptual_network("medium", STYLE_LAYERS, pooling="average")
for name, output in features(to_float(photo)[None]).items():
    print(name, output.shape)


def side_by_side(*images, caption="", columns=0):
    """Show images of any size, resized to that of the photograph."""
    images = [resize(image, *photo.shape[:2]) for image in images]
    show_images(images, columns or len(images), width=940, caption=caption)


side_by_side(photo, style, caption="The photograph and the style.")

# %% [markdown]
# The losses are four short functions.


# %%
# The style and content errors of an image.
def gram_matrix(f):
    """Features (n, h, w, c) -> correlations of channels (n, c, c)."""
    h, w, c = f.shape[1:]
    f = tf.reshape(f, (-1, h * w, c))
    return tf.matmul(f, f, transpose_a=True) / (h * w)


def relative_error(x, target):
    return tf.reduce_mean(tf.square(x - target)) / tf.reduce_mean(tf.square(target))


def total_variation(x):
    return tf.reduce_mean(tf.square(x[:, 1:] - x[:, :-1])) + tf.reduce_mean(
        tf.square(x[:, :, 1:] - x[:, :, :-1])
    )


def losses(x, photo_features, style_grams):
    """Return the content error, the style error and the total variation of images x."""
    f = features(x)
    content_error = relative_error(f[CONTENT_LAYER], photo_features[CONTENT_LAYER])
    style_errors = [relative_error(gram_matrix(f[layer]), style_grams[layer]) for layer in f]
    return content_error, tf.add_n(style_errors) / len(style_errors), total_variation(x)


# %% [markdown]
# The descent. It begins at a small size and ends at the full size: large shapes of the style need
# few pixels, and there an iteration is cheap. Try it with one size, and the sky stays a sky.


# %%
# One step, and the loop over sizes and steps.
def make_step(x, photo, style, content_weight, variation_weight):
    """Return a function that takes one step of Adam on the pixels x."""
    photo_features = features(photo)
    style_grams = {layer: gram_matrix(f) for layer, f in features(style).items()}
    optimizer = keras.optimizers.Adam(0.05)
    optimizer.build([x])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            content, style, variation = losses(x, photo_features, style_grams)
            loss = content_weight * content + style + variation_weight * variation
        optimizer.apply(tape.gradient(loss, [x]), [x])  # the pixels move, not the network
        x.assign(tf.clip_by_value(x, -1.0, 1.0))
        return content, style

    return step


def optimize(photo, style, sizes, steps, content_weight=0.1, variation_weight=0.02):
    """Return the stylized image, uint8, and the history: list of (content, style, image)."""
    x, history = None, []
    for size in sizes:
        p, s = (to_float(resize_longer_side(image, size))[None] for image in (photo, style))
        x = tf.Variable(p if x is None else tf.image.resize(x, p.shape[1:3], "bicubic"))
        step = make_step(x, p, s, content_weight, variation_weight)
        for i in range(steps):
            content, style_error = step()
            image = to_uint8(x)[0].numpy() if i % 5 == 0 else None
            history.append((float(content), float(style_error), image))
    return to_uint8(x)[0].numpy(), history


sizes = choose([32, 48], [64, 128, 200], [64, 128, 256, 384])
begin = time.time()
painted, history = optimize(photo, style, sizes, steps=choose(2, 60, 100))
print(f"{time.time() - begin:.0f} s")
show_images([painted], caption="The photograph as a mosaic.")

# %%
small = (photo.shape[0] // 2, photo.shape[1] // 2)
frames = [resize(image, *small)[None] for *_, image in history if image is not None]
show_animation(frames, count=9, caption="The optimization, from the photograph to the result.")
plot_curves(
    {
        "relative errors": {
            "style": [style_error for _, style_error, _ in history[1:]],
            "content": [content for content, *_ in history[1:]],
        }
    },
    "step",
    log=True,
    caption="The image starts as the photograph: its content error rises while the style error "
    "falls. The curves jump where the image grows.",
)

# %% [markdown]
# ### Does the Gram matrix really ignore positions?
#
# Roll the mosaic by half of its width: every pixel moves, the style does not. Compare with another
# style, brush strokes.

# %%
strokes = builtin_images.style_image("strokes", size)
f_style = features(to_float(style)[None])
for name, image in {"rolled": np.roll(style, size // 2, axis=1), "strokes": strokes}.items():
    f = features(to_float(image)[None])
    grams = [relative_error(gram_matrix(f[n]), gram_matrix(f_style[n])) for n in STYLE_LAYERS]
    features_error = relative_error(f[CONTENT_LAYER], f_style[CONTENT_LAYER])
    print(f"{name:<8} Gram matrices {np.mean(grams):.3f}, features {features_error:.3f}")

# %% [markdown]
# The features of the rolled mosaic are as different as those of another image. Its Gram matrices
# hardly change.
#
# ## From scratch: a network for one style
#
# Optimizing takes many steps **per image**. Johnson et al. train a network $f$ once, with the same
# loss for its output, on many photographs $x$:
#
# $$\min_f \; \mathbb{E}_x \bigl[\alpha \, \text{content}(f(x), x) + \beta \, \text{style}(f(x)) +
# \gamma \, \mathrm{TV}(f(x))\bigr].$$
#
# The network halves the image twice, changes it in residual blocks, and enlarges it twice.
# Instance normalization (`GroupNormalization` with one channel per group) removes the contrast of
# each image, which belongs to the old style. Mirrored borders avoid a frame around the result. The
# factor 0.05 keeps the first steps of Adam from saturating $\tanh$, which leaves blobs of one color.


# %%
# The network and its training images.
def convolution(x, filters, kernel_size, strides=1, normalize=True):
    p = kernel_size // 2
    x = keras.ops.pad(x, ((0, 0), (p, p), (p, p), (0, 0)), "reflect")
    x = keras.layers.Conv2D(filters, kernel_size, strides)(x)
    return keras.layers.GroupNormalization(groups=-1)(x) if normalize else x


def one_pass_network(width):
    """Images (n, h, w, 3) in [-1, 1] -> stylized images. h and w are multiples of 4."""
    relu = keras.ops.relu
    image = keras.Input((None, None, 3))
    x = relu(convolution(image, width, 9))
    x = relu(convolution(x, 2 * width, 3, strides=2))
    x = relu(convolution(x, 4 * width, 3, strides=2))
    for _ in range(3):
        x = x + convolution(relu(convolution(x, 4 * width, 3)), 4 * width, 3)
    for filters in (2 * width, width):
        x = keras.layers.UpSampling2D(interpolation="bilinear")(x)
        x = relu(convolution(x, filters, 3))
    x = 0.05 * convolution(x, 3, 9, normalize=False)
    return keras.Model(image, keras.ops.tanh(x))


def random_crops(photos, size, random, batch=4):
    """Return random square crops of random photographs, half of them mirrored."""
    crops = []
    for _ in range(batch):
        p = photos[random.integers(len(photos))]
        top, left = random.integers(p.shape[0] - size + 1), random.integers(p.shape[1] - size + 1)
        crops.append(p[top : top + size, left : left + size, :: random.choice([-1, 1])])
    return to_float(np.stack(crops))


# %% [markdown]
# Training uses the faster feature network `small`, and crops of the two photographs of
# scikit-learn. The paper has 80,000 photographs and 40,000 steps. This short training is enough to
# see how the network learns: first the shapes, then the colors of the style, last its patterns.

# %%
fast_features = load_perceptual_network("small", STYLE_LAYERS[:4], pooling="average")
photos = [
    resize_longer_side(builtin_images.photograph(name), choose(64, 320, 320))
    for name in builtin_images.PHOTOGRAPHS
]
fast_style = to_float(resize_longer_side(style, choose(48, 192, 192)))[None]
fast_grams = {layer: gram_matrix(f) for layer, f in fast_features(fast_style).items()}
steps, crop = choose(2, 420, 4000), choose(32, 96, 128)

network = one_pass_network(choose(4, 8, 24))
optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps))


@tf.function
def train_step(x):
    with tf.GradientTape() as tape:
        f, f_x = fast_features(network(x, training=True)), fast_features(x)
        content = relative_error(f[CONTENT_LAYER], f_x[CONTENT_LAYER])
        style_errors = [relative_error(gram_matrix(f[n]), fast_grams[n]) for n in fast_grams]
        style_error = tf.add_n(style_errors) / len(style_errors)
        loss = 1.5 * content + 10.0 * style_error
    weights = network.trainable_variables
    optimizer.apply(tape.gradient(loss, weights), weights)
    return content, style_error


def stylize(network, image):
    """Stylize one uint8 image: its sides are cut to multiples of 4."""
    height, width = (side // 4 * 4 for side in image.shape[:2])
    return to_uint8(network(to_float(image[:height, :width])[None])).numpy()[0]


random, begin, curve, frames = np.random.default_rng(0), time.time(), [], []
for i in range(steps):
    curve.append([float(error) for error in train_step(random_crops(photos, crop, random))])
    if i % max(1, steps // 8) == 0 or i == steps - 1:
        frames.append(resize(stylize(network, photo), *small)[None])
print(f"{steps} steps in {time.time() - begin:.0f} s")
print(f"style error {curve[0][1]:.3f} -> {curve[-1][1]:.3f}, content error {curve[-1][0]:.3f}")
show_animation(frames, count=9, caption="The network while it learns.")
side_by_side(stylize(network, photo), stylize(network, flower), caption="After the training.")

# %% [markdown]
# The network has learned colors, contrasts and edges of the mosaic, but not its cells. This is what
# a minute of training gives.
#
# ## The same with the package
#
# - `StyleTransfer` is `optimize` above with L-BFGS, as in the paper, instead of Adam. It also has
#   several styles, masks, original colors, and images of any size in bounded memory.
# - `FastStyle` is `one_pass_network` above, wider, trained for longer and on a folder of
#   photographs, with export.
# - The losses are the same terms, in `models/style_transfer.py` and `models/fast_style.py`.
#
# On the command line:
#
# ```sh
# tfgan-zoo stylize photo.jpg --style painting.jpg                     # Gatys
# tfgan-zoo stylize photo.jpg --preset fast_mosaic                     # one pass
# tfgan-zoo train fast_folder_256 model.style=painting.jpg data.path=photos   # your own style
# ```

# %%
from tfgan_zoo import experiment
from tfgan_zoo.models.style_transfer import StyleTransfer

settings = choose(["model.iterations=2", "model.smallest=32"], ["model.iterations=25"], [])
gatys = StyleTransfer(experiment("gatys", *settings).model)
begin = time.time()
gatys_mosaic, gatys_strokes = (gatys.stylize(photo, [image]) for image in (style, strokes))
print(f"{(time.time() - begin) / 2:.0f} s per image")
side_by_side(
    gatys_mosaic, gatys_strokes, caption="The preset gatys: as a mosaic, and in brush strokes."
)

# %% [markdown]
# L-BFGS estimates the curvature of the loss, so it needs fewer steps than Adam.
#
# ### Pretrained one-pass networks
#
# These networks are part of the project. Add a name of `tfgan-zoo list --trained` or a run
# directory to the list to compare more styles.

# %%
FAST_NETWORKS = ["fast_mosaic", "fast_starry_night", "fast_great_wave"]

for name in FAST_NETWORKS:
    model = load_pretrained(name)
    model.stylize(photo)  # the first call is slower
    begin = time.perf_counter()
    results = [model.stylize(image) for image in (photo, flower)]
    milliseconds = 500 * (time.perf_counter() - begin)
    side_by_side(*results, caption=f"`{name}`: {milliseconds:.0f} ms per image.", columns=2)

# %% [markdown]
# ## AdaIN: one network for any style
#
# A Gram matrix has $c^2$ numbers. AdaIN describes the style of a layer by $2c$: the mean $\mu$ and
# the standard deviation $\sigma$ of each channel. It normalizes the features of the photograph $x$
# and gives them the statistics of the style $y$. A trained decoder $g$ maps the result to an image:
#
# $$t = \sigma(f(y)) \, \frac{f(x) - \mu(f(x))}{\sigma(f(x))} + \mu(f(y)), \qquad
# \text{result} = g(t).$$


# %%
# AdaIN is one line.
def adain(f, f_style):
    """Give the features f (n, h, w, c) the mean and standard deviation of the features f_style."""
    mean, variance = tf.nn.moments(f, (1, 2), keepdims=True)
    style_mean, style_variance = tf.nn.moments(f_style, (1, 2), keepdims=True)
    return tf.sqrt(style_variance) * (f - mean) / tf.sqrt(variance + 1e-5) + style_mean


f_photo = features(to_float(photo)[None])
for layer in STYLE_LAYERS:
    target = gram_matrix(f_style[layer])
    before = relative_error(gram_matrix(f_photo[layer]), target)
    after = relative_error(gram_matrix(adain(f_photo[layer], f_style[layer])), target)
    print(f"{layer}: Gram error {before:.3f} -> {after:.3f}")

# %% [markdown]
# The two statistics alone bring the Gram matrices close to those of the style, without any
# training. What is left are correlations *between* channels: these are the patterns.
#
# The decoder needs a long training on many photographs and paintings. `adain_folder_128` was
# trained for 8 minutes on 45 photographs and 135 paintings. `alpha` mixes the statistics: 0 keeps
# those of the photograph.

# %%
any_style = load_pretrained("adain_folder_128")
adain_mosaic = any_style.stylize(photo, [style])
side_by_side(
    any_style.stylize(photo, [style], alpha=0.0),
    adain_mosaic,
    caption="`adain_folder_128`: alpha 0 (only decoded), mosaic.",
)

# %% [markdown]
# What it does well: the shapes stay, and colors and contrast follow a style that the network has
# never seen, in one pass. What it does badly: no cells of the mosaic, halos along strong edges, and
# a fine grid from the upsampling layers. The grid is there at alpha 0 too, so the decoder is the
# limit, not the style. The network of the paper was trained on 160,000 images with VGG-19.
#
# ## Comparison
#
# The style error and the content error of each result, and its structural similarity (SSIM) to the
# photograph. All are measured with the feature network `medium`. `gatys` minimizes such a loss for
# this one image, so it must win.

# %%
from tfgan_zoo.evaluation.style import StyleComparison, style_network

compare = StyleComparison(style, style_network("medium"))
row = "{0:<26}{style:8.3f}{content:9.3f}{ssim:7.3f}"
print(f"{'':<26}{'style':>8}{'content':>9}{'SSIM':>7}")
results = {
    "optimized, from scratch": painted,
    "gatys": gatys_mosaic,
    "network, from scratch": resize(stylize(network, photo), *photo.shape[:2]),
    "fast_mosaic": load_pretrained("fast_mosaic").stylize(photo),
    "adain_folder_128": adain_mosaic,
}
for name, image in results.items():
    scores = compare(image, photo)
    print(row.format(name, **scores["result"]))
for name in ("content image", "style image"):
    print(row.format(name, **scores[name]))

# %% [markdown]
# The network from scratch has a low style error in its training, and a high one here.
# It was trained with the feature network `small` and on larger images. Errors are only comparable
# if the feature network and the size of the images are equal.
#
# ## What can go wrong
#
# **The ratio of the weights** is the most frequent problem. It is visible in the result: too little
# content weight gives a texture, too much gives the photograph in slightly changed colors.

# %%
weights = choose([0.1], [0.01, 0.1, 1.0], [0.01, 0.1, 1.0])
show_images(
    [
        optimize(photo, style, sizes[:2], choose(2, 40, 100), content_weight=weight)[0]
        for weight in weights
    ],
    columns=len(weights),
    width=800,
    caption="Content weight 0.01, 0.1, 1, at 128 pixels.",
)

# %% [markdown]
# Other problems:
#
# - **Speckles**: nothing limits high frequencies. Fix: more `variation_weight`.
# - **The sky keeps its color**: one size only: gradients of a flat region are small. Fix: start
#   at a small size.
# - **A frame around the result**: zero padding. Fix: mirrored padding.
# - **A checkerboard or a grid**: transposed convolutions, or pooling with maxima. Fix: resize,
#   then convolve; average pooling.
# - **Every photograph gets the same texture**: trained on too few photographs, or too little
#   content weight. Fix: more photographs.
# - **Strokes too large or too small**: the style image has the wrong size. Fix: resize the style
#   image.
#
# ## Exercises
#
# 1. Show on paper that a permutation of the positions does not change the Gram matrix. Does it
#    change the mean and the standard deviation of AdaIN?
# 2. Optimize with the style term alone (`content_weight=0`), starting from noise. What do you get?
# 3. Use the feature network `random` in place of `medium`. What is lost?
# 4. Resize the style image to half its size. Why do the cells of the mosaic become smaller, if the
#    style does not depend on positions?
# 5. Blend two styles in `adain`. What is blended, images or statistics?
#
# <details>
# <summary>Solutions</summary>
#
# 1. $\sum_p F_p F_p^\top$ is a sum over positions, and a sum does not depend on the order. The mean
#    and the standard deviation are sums as well, so they do not change either.
# 2. A texture synthesis: cells and colors of the mosaic, in a new arrangement. In `optimize`, start
#    the first size with `tf.random.uniform(p.shape, -1, 1)` instead of the photograph.
# 3. Colors and simple patterns are still transferred, because random filters have responses to
#    edges and colors. Larger shapes, such as cells and strokes, are lost.
# 4. The Gram matrix ignores *where* features occur, but a feature is itself a small pattern: layer
#    `block3_conv1` covers a window of 24 pixels. The scale of the patterns is part of the style.
# 5. Statistics: pass the weighted means of $\mu(f(y))$ and $\sigma(f(y))$ of both styles. In the
#    package: `any_style.stylize(photo, [style, strokes], style_weights=(1, 3))`.
#
# </details>
#
# ## What next
#
# - [Notebook 9](09_your_own_images.ipynb): train on a folder of your own images.
# - [Notebook 10](10_export_and_serving.ipynb): run a trained network in a server, on a phone or in
#   a browser.
# - `tfgan-zoo stylize --help`: masks, several styles, original colors, large images.
