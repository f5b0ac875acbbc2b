# %% [markdown]
# # 9. Train on your own images
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/09_your_own_images.ipynb)
#
# **You will learn** to turn a folder of image files into batches with `tf.data`, to find the
# defects of a folder before they spoil a training, to train on it, and what helps when there are
# few images.
#
# **Prerequisites**: notebook 2 (DCGAN).
# **Time**: 2 minutes on two CPU cores.
#
# A folder of image files is a dataset. This notebook draws one, so that it runs everywhere. To use
# your own images, set `folder` in the first cell of "From scratch". The cells before it change only
# the folder that the notebook draws.

# %%
FULL = False  # True: 64 pixels, the whole of dcgan_folder_64 (a GPU is advised)
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
import pathlib
import shutil

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

import tfgan_zoo
from tfgan_zoo.tools.notebook import (
    choose,
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
# Training needs batches: float arrays of one shape, in $[-1, 1]$, in a new random order in each
# epoch. Files are JPEG or PNG, of any size, on a disk. A *pipeline* converts one into the other
# while the network computes, so that the network never waits.

# %%
show_diagram(
    {
        "files": (0, 0, "files\nJPEG, PNG", "#cfe3f5"),
        "decode": (1.3, 0, "decode,\ncrop, resize", "#e5e5e5"),
        "cache": (2.6, 0, "cache\n(uint8)", "#fbe3b5"),
        "shuffle": (3.8, 0, "shuffle", "#e5e5e5"),
        "augment": (5.0, 0, "augment,\nto [-1, 1]", "#e5e5e5"),
        "batch": (6.2, 0, "batch,\nprefetch", "#e5e5e5"),
        "train": (7.5, 0, "training\nstep", "#f5d0d0"),
    },
    [
        ("files", "decode"),
        ("decode", "cache"),
        ("cache", "shuffle"),
        ("shuffle", "augment"),
        ("augment", "batch"),
        ("batch", "train"),
    ],
    caption="What is left of the cache runs once. What is right of it runs in every epoch.",
    size=(11, 1.5),
)

# %% [markdown]
# ## Create a folder
#
# Faces in three moods, one subfolder per class: subfolders are classes. One file is broken and one
# is a duplicate, as happens in practice.

# %%
MOODS = ("happy", "sad", "surprised")


def draw_face(mood, random, size=96):
    """Return a face in random colors, at a random place: a PIL image."""
    s = 4 * size  # drawn larger and reduced, for smooth edges
    background, skin, eyes = (
        tuple(int(v) for v in random.integers(low, high, 3))
        for low, high in ((20, 120), (150, 256), (0, 60))
    )
    image = PillowImage.new("RGB", (s, s), background)
    draw = ImageDraw.Draw(image)
    r = s * random.uniform(0.34, 0.44)
    x, y = s / 2 + random.uniform(-0.04, 0.04, 2) * s
    draw.ellipse((x - r, y - r, x + r, y + r), skin)
    eye = r * random.uniform(0.12, 0.18)
    for side in (-0.38, 0.38):
        cx, cy = x + side * r, y - 0.25 * r
        draw.ellipse((cx - eye, cy - 1.3 * eye, cx + eye, cy + 1.3 * eye), eyes)
    w, line = r * random.uniform(0.4, 0.55), round(0.12 * r)
    if mood == "happy":
        draw.arc((x - w, y - 0.2 * r, x + w, y + 0.65 * r), 20, 160, eyes, line)
    elif mood == "sad":
        draw.arc((x - w, y + 0.3 * r, x + w, y + 1.1 * r), 200, 340, eyes, line)
    else:
        draw.ellipse((x - 0.22 * r, y + 0.2 * r, x + 0.22 * r, y + 0.7 * r), eyes)
    return image.resize((size, size), PillowImage.Resampling.LANCZOS)


faces = pathlib.Path("pictures")
random = np.random.default_rng(0)
for mood in MOODS:
    (faces / mood).mkdir(parents=True, exist_ok=True)
    for i in range(choose(12, 50, 400)):
        face = draw_face(mood, random, size=int(random.integers(80, 129)))
        face.save(faces / mood / f"{i:03}.{('jpg', 'png')[i % 2]}", quality=92)
shutil.copy(faces / "happy" / "000.jpg", faces / "happy" / "a copy.jpg")
(faces / "sad" / "broken.jpg").write_bytes((faces / "sad" / "000.jpg").read_bytes()[:700])
print(len(list(faces.rglob("*.*"))), "files")

# %% [markdown]
# ## Check the folder
#
# Check a folder before training. On the command line: `tfgan-zoo data check pictures`.

# %%
from tfgan_zoo.data import check

result = check.check_folder(faces)
print(check.summary(result))

# %% [markdown]
# The near duplicates are two faces that look similar, and both may stay. The other problems matter.
# A broken file stops a pipeline of your own in the middle of an epoch.
# Duplicates make a model memorize these images. An image in the training *and* the test set makes
# every score wrong.

# %%
(faces / "sad" / "broken.jpg").unlink()
(faces / "happy" / "a copy.jpg").unlink()
print(check.check_folder(faces)["warnings"] or "no warnings")

# %% [markdown]
# ## From scratch: a pipeline with tf.data
#
# The order of the operations decides about the speed. Decoding is slow and always gives the same
# result, so it comes before `cache`. Augmentation is random, so it comes after it. The cache holds
# uint8, which needs a quarter of the memory of float32.

# %%
import time

import tensorflow as tf

IMAGE_SIZE = choose(16, 32, 64)
folder = faces  # for your own images: pathlib.Path("path of the folder")


def list_files(folder):
    """Return the paths and the labels of the images, and the classes: each subfolder is one."""
    suffixes = (".jpg", ".jpeg", ".png")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    names = [path.parent.relative_to(folder).as_posix() for path in paths]  # "." without subfolders
    classes, labels = np.unique(names, return_inverse=True)
    return [str(path) for path in paths], labels, classes.tolist()


def decode(path, label):
    """Read a file as uint8 (IMAGE_SIZE, IMAGE_SIZE, 3): the central square, resized."""
    image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    side = tf.minimum(height, width)
    image = tf.image.crop_to_bounding_box(
        image, (height - side) // 2, (width - side) // 2, side, side
    )
    image = tf.image.resize(image, (IMAGE_SIZE, IMAGE_SIZE), antialias=True)
    return tf.cast(tf.round(tf.clip_by_value(image, 0, 255)), tf.uint8), label


def augment(image, label):
    """Convert to float32 in [-1, 1], and mirror half of the images."""
    return tf.image.random_flip_left_right(tf.cast(image, tf.float32) / 127.5 - 1.0), label


def make_pipeline(folder, batch_size, cache=True, seed=0):
    """Return an endless `tf.data.Dataset` of (images, labels)."""
    paths, labels, _ = list_files(folder)
    dataset = tf.data.Dataset.from_tensor_slices((paths, labels))
    dataset = dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.cache() if cache else dataset
    dataset = dataset.shuffle(len(paths), seed=seed)  # all of it: a new order in each epoch
    dataset = dataset.repeat().map(augment, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.batch(batch_size, drop_remainder=True)  # static shapes, as XLA needs
    return dataset.prefetch(tf.data.AUTOTUNE)  # prepare a batch while the last one is used


images, labels = next(iter(make_pipeline(folder, 24)))
print(
    images.dtype, images.shape, "range", float(tf.reduce_min(images)), float(tf.reduce_max(images))
)
show_images(
    tf.cast((images + 1) * 127.5, tf.uint8),
    columns=12,
    caption="One batch. Always look at one: wrong colors, stretched or empty images are seen here.",
)
classes = list_files(folder)[2]
print("labels:", [classes[i] for i in labels[:12].numpy()])

# %% [markdown]
# How much does the cache gain?

# %%
for cache in (False, True):
    batches = iter(make_pipeline(folder, 24, cache))
    for _ in range(len(list_files(folder)[0]) // 24 + 2):
        next(batches)  # the first epoch fills the cache
    begin = time.perf_counter()
    repeats = choose(2, 30, 30)
    for _ in range(repeats):
        next(batches)
    seconds = time.perf_counter() - begin
    print(f"cache={cache!s:<5} {24 * repeats / seconds:8.0f} images per second")

# %% [markdown]
# ### Train on the pipeline
#
# Models of the package are Keras models: `fit` takes the pipeline. A DCGAN needs no labels, so they
# are dropped.

# %%
from tfgan_zoo.runs import build_model

options = [
    f"data.path={folder}",
    f"model.image_size={IMAGE_SIZE}",
    *choose(
        ["model.width=4", "data.batch_size=8", "train.epochs=2", "train.steps_per_epoch=2"],
        [
            "model.width=16",
            "data.batch_size=32",
            "train.epochs=40",
            "train.steps_per_epoch=20",
            "model.learning_rate=5e-4",
        ],
        ["train.epochs=300", "data.batch_size=64"],
    ),
    "model.ema_decay=0.98",
    "train.sample_every=4",
]
experiment = tfgan_zoo.experiment("dcgan_folder_64", *options)
plain = build_model(experiment, tf.distribute.get_strategy())
dataset = make_pipeline(folder, experiment.data.batch_size).map(lambda images, labels: images)
history = plain.fit(
    dataset,
    epochs=experiment.train.epochs,
    steps_per_epoch=experiment.train.steps_per_epoch or 20,
    verbose=0,
).history
show_images(plain.sample(24, seed=0), columns=12, caption="Samples after training on our pipeline.")

# %% [markdown]
# ## What goes wrong with few images
#
# 150 images are few. $D$ memorizes them: it recognizes every real image and rejects everything
# else. The logits show it: they move apart, while the samples do not improve. If only the real
# images are augmented, $G$ learns to generate the augmentation as well.
#
# **DiffAugment** (Zhao et al. 2020) applies random, differentiable transformations $T$ to *both*
# real and generated images before $D$. With a logit $l(x)$ and the non-saturating loss:
#
# $$L_D = \mathbb{E}\, \mathrm{softplus}\bigl(-l(T(x))\bigr) + \mathbb{E}\,
# \mathrm{softplus}\bigl(l(T(G(z)))\bigr), \qquad
# L_G = \mathbb{E}\, \mathrm{softplus}\bigl(-l(T(G(z)))\bigr).$$
#
# A random translation in a few lines. $T$ must be differentiable, because the gradient of $L_G$
# passes through it. `tf.gather` and padding are.


# %%
# One transformation of DiffAugment.
def translate(images, ratio=0.125):
    """Move each image by up to a fraction of its size; what becomes visible is 0."""
    n, size = images.shape[0], images.shape[1]
    shift = round(ratio * size)
    padded = tf.pad(images, ((0, 0), (shift, shift), (shift, shift), (0, 0)))
    for axis in (1, 2):  # rows, columns
        start = tf.random.uniform((n, 1), 0, 2 * shift + 1, tf.int32)
        padded = tf.gather(padded, start + tf.range(size), axis=axis, batch_dims=1)
    return padded


moved = [tf.cast((translate(images) + 1) * 127.5, tf.uint8)[:8] for _ in range(2)]
show_rows(
    {"real": tf.cast((images + 1) * 127.5, tf.uint8)[:8], "T(real)": moved[0], "again": moved[1]},
    caption="The transformation T: the same images, translated at random.",
)

# %% [markdown]
# ## The same with the package
#
# The preset reads the folder itself, and `model.diff_augment` adds the transformation. The
# pipeline of the package has three more properties: a batch is a function of seed, epoch and
# position, so that a resumed training sees the same batches; several workers get parts of it; and
# folders larger than the memory are decoded on demand. It reads WebP, BMP and GIF as well.

# %%
run = train_run("own", "dcgan_folder_64", *options, "model.diff_augment=translation")
show_animation(run, count=6, share=0.25, width=720, caption="Training with DiffAugment.")
show_images(
    tfgan_zoo.load(run).sample(24, seed=0), columns=12, caption="Samples after DiffAugment."
)

# %%
h = read_losses(run)
plot_curves(
    {
        "real minus fake logit": {
            "no augmentation": np.subtract(history["real_logits"], history["fake_logits"]),
            "DiffAugment": np.subtract(h["real_logits"], h["fake_logits"]),
        },
        "loss of G": {"no augmentation": history["generator"], "DiffAugment": h["generator"]},
    },
    caption="The distance of the logits measures how well D separates real from generated images.",
)

# %% [markdown]
# With DiffAugment the logits stay closer together, so $G$ receives useful gradients for longer. In
# this short training it has a price: the samples are less sharp. The paper reports its gain for
# long trainings.
#
# Other options for few images: `data.flip=true` for images without a left and right (this preset
# has it), `data.zoom=0.1`, a smaller `model.width`, `train.best` with `train.evaluate_every` to
# keep the best epoch, and cropping all images in the same way.
#
# Some hundreds of images of one kind, centered in the same way, work with these options. Some
# thousands are better. A hundred photographs of different scenes do not work.
#
# - **The first epoch is slow, the others fast**: files are decoded once, then cached. Fix:
#   nothing to fix.
# - **Every epoch is slow**: data larger than the memory, or no cache. Fix: smaller files
#   (`tfgan-zoo data`), SSD.
# - **Faces are stretched**: resized without a crop. Fix: crop the central square first.
# - **Samples are all gray or too bright**: range: $[0, 1]$ or 0 to 255 instead of $[-1, 1]$. Fix:
#   print the minimum and maximum of a batch.
# - **Samples show only some of the classes**: shuffle buffer smaller than the folder, files
#   sorted by class. Fix: shuffle the whole list.
# - **Samples equal training images**: too few images. Fix: see notebook 8, memorization.
#
# ## Labels and numbers
#
# Subfolders are labels for a conditional model:
#
# ```sh
# tfgan-zoo train cgan_digits data.dataset=folder data.path=pictures model.channels=3 \
#     model.classes=3 model.discriminator_condition=projection --run-dir runs/moods
# ```
#
# For more than one label per image, or for numbers, write a file `labels.csv` into the folder: a
# header, then the path and the numbers in each line. The model needs `model.condition=vector`. The
# cell writes the file into a copy of the folder.

# %%
from tfgan_zoo.data.datasets import load_images

numbered = pathlib.Path("pictures with numbers")
shutil.copytree(folder, numbered, dirs_exist_ok=True)
lines = ["path,red,green,blue"]
for path in map(pathlib.Path, list_files(numbered)[0]):
    with PillowImage.open(path) as picture:
        mean = np.asarray(picture.convert("RGB")).mean(axis=(0, 1)) / 255
    lines.append(
        f"{path.relative_to(numbered).as_posix()}," + ",".join(f"{value:.2f}" for value in mean)
    )
print("\n".join(lines[:4]))
(numbered / "labels.csv").write_text("\n".join(lines) + "\n")
numbers = load_images(tfgan_zoo.DataConfig(dataset="folder", path=str(numbered)), 32, 3)
print(numbers.description)

# %% [markdown]
# ## Pairs from single photographs
#
# Pix2Pix needs pairs, and can derive them from single photographs: colorization
# (`data.derive=gray`), edges to photograph (`edges`), super-resolution (`lowres`).

# %%
from tfgan_zoo.data import builtin_images
from tfgan_zoo.data.datasets import load_evaluation_images

photographs = pathlib.Path("photographs")
photographs.mkdir(exist_ok=True)
for i in range(12):
    PillowImage.fromarray(builtin_images.photograph_crop(i, 128)).save(
        photographs / f"{i:02}.jpg", quality=92
    )
rows = {}
for derive in ("gray", "edges", "lowres"):
    overrides = [
        f"data.path={photographs}",
        f"data.derive={derive}",
        "model.x_channels=1" if derive != "lowres" else "model.x_channels=3",
    ]
    fixed_images = load_evaluation_images(
        tfgan_zoo.experiment("pix2pix_folder_128", *overrides), "train", 2
    )
    pairs = [side for i in range(2) for side in fixed_images.evaluation_images(i)]
    rows[derive] = [np.broadcast_to(image, (128, 128, 3)) for image in pairs]
show_rows(rows, width=800, caption="Two pairs (x, y) of each kind.")

# %% [markdown]
# ## The run directory
#
# A training can be stopped at any time and resumed. A finished run can be continued with more
# epochs. `write_report` writes one HTML page about a run.

# %%
from tfgan_zoo.tools.report import write_report

path = write_report(run)
print(f"{path.relative_to('.')}: {path.stat().st_size / 1000:.0f} kB")
print("\n".join(sorted(file.name for file in run.iterdir())))

# %% [markdown]
# ## Exercises
#
# 1. In `make_pipeline`, apply `augment` before `cache`, directly after `decode`. What changes, and
#    how do you see it?
# 2. Replace `shuffle(len(paths))` by `shuffle(10)`. Print the labels of the first batches.
# 3. Apply `translate` to the real images only. What does $G$ learn?
# 4. How few images are enough? Train with 10 images per class, and check for copies with notebook
#    8.
# 5. Train a conditional model on the folder, and generate surprised faces.
# 6. Two folders, `cyclegan_folder_256`: which unwanted difference between them would CycleGAN
#    translate?
#
# <details>
# <summary>Solutions</summary>
#
# 1. Each image is mirrored once and for all: the cache stores the random result. Collect the
#    images of two epochs: they are the same, in another order. The memory also grows by a factor of
#    4, because float32 is stored.
# 2. The paths are sorted by class, so the first batches contain *happy* faces only. $G$ and $D$
#    forget the other classes in the meantime.
# 3. Translated faces with gray borders. $D$ accepts them as real, so they are the right answer.
# 4. Copy the files 000 to 009 of each class with `shutil.copytree(folder, "few",
#    ignore=shutil.ignore_patterns("0[1-9]*", "[1-9]*"))`, then add `"data.path=few"` to
#    `train_run`. (`data.limit=30` would take the first 30 paths, which are all *happy*.) $D$
#    memorizes 30 images within a few epochs. With DiffAugment it takes longer, and the samples
#    become copies: small distances to the nearest training image.
# 5. The command above, then `tfgan-zoo sample runs/moods --labels surprised`.
# 6. Any systematic one: size, camera, light, background, JPEG quality. $D$ uses whatever separates
#    the folders.
#
# </details>
#
# ## What next
#
# - [Notebook 8](08_evaluation.ipynb): evaluate the result.
# - [Notebook 10](10_export_and_serving.ipynb): export it.
# - `tfgan-zoo train dcgan_folder_64 data.path=...`: your own images with 64 pixels. Check the
#   folder first.
