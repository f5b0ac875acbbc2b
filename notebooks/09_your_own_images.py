# %% [markdown]
# # 9. Train on your own images
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/09_your_own_images.ipynb)
#
# A folder of image files is a dataset. This notebook creates one, so that it runs everywhere,
# checks it, trains on it, and shows what helps with few images. With your own folder, start at
# "Check the folder".

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
import tfgan_zoo
from tfgan_zoo.tools.notebook import (
    choose,
    plot_curves,
    read_losses,
    set_up,
    show_images,
    show_source,
    train_in_memory,
    train_run,
)

set_up(full=FULL, drive=DRIVE)


# %% [markdown]
# ## Create a folder
#
# Synthetic images of three classes, one subfolder per class: subfolders are classes. Files may be
# JPEG, PNG, BMP, GIF or WebP of any size. One file is broken and one is a duplicate, as happens in
# practice.

# %%
import pathlib
import shutil

import numpy as np
from PIL import Image as PillowImage

from tfgan_zoo.data import builtin_images

folder = pathlib.Path("pictures")
count = choose(12, 120, 400)
for kind in builtin_images.STYLES:
    (folder / kind).mkdir(parents=True, exist_ok=True)
    image = PillowImage.fromarray(builtin_images.style_image(kind, 512, seed=1))
    random = np.random.default_rng(0)
    for i in range(count):
        left, top = random.integers(0, 512 - 96, 2)
        suffix = ("jpg", "png", "webp")[i % 3]
        image.crop((left, top, left + 96, top + 96)).save(
            folder / kind / f"{i:03}.{suffix}", quality=92
        )
shutil.copy(folder / "mosaic" / "000.jpg", folder / "mosaic" / "a copy.jpg")
(folder / "strokes" / "broken.jpg").write_bytes((folder / "strokes" / "000.jpg").read_bytes()[:700])
print(len(list(folder.rglob("*.*"))), "files")

# %% [markdown]
# ## Check the folder
#
# Check a folder before training. On the command line: `tfgan-zoo data check pictures`.

# %%
from tfgan_zoo.data import check

result = check.check_folder(folder)
print(check.summary(result))

# %% [markdown]
# These problems matter. A broken file is skipped and reported. Duplicates make a model memorize
# these images. An image in the training *and* the test set makes every score wrong.

# %%
(folder / "strokes" / "broken.jpg").unlink()
(folder / "mosaic" / "a copy.jpg").unlink()
print(check.check_folder(folder)["warnings"] or "no warnings")

# %% [markdown]
# ## Train
#
# A preset for folders, with a different image size, width and number of epochs. Every field can be
# changed with `section.field=value`. The next cell shows training images, then samples.

# %%
from tfgan_zoo.data.datasets import load_images

folder_data = [f"data.path={folder}", "data.dataset=folder"]
sizes = choose(
    [
        "model.width=4",
        "model.image_size=16",
        "data.batch_size=8",
        "train.epochs=2",
        "train.steps_per_epoch=2",
    ],
    [
        "model.width=16",
        "model.image_size=32",
        "data.batch_size=32",
        "train.epochs=80",
        "model.learning_rate=5e-4",
    ],
    ["train.epochs=300", "data.batch_size=64"],
)
sizes += ["model.ema_decay=0.99", "train.sample_every=10"]
size = tfgan_zoo.experiment("dcgan_folder_64", *sizes).model.image_size
real = load_images(tfgan_zoo.DataConfig(dataset="folder", path=str(folder)), size, 3)
show_images(real.images[:: len(real) // 36][:36], columns=12)

plain, plain_losses = train_in_memory("dcgan_folder_64", *folder_data, *sizes)
show_images(plain.sample(36, seed=0), columns=12)

# %% [markdown]
# The samples show colors and a grid only. Either the training is too short, or there are too few
# images.
#
# ## Few images
#
# With few images, $D$ memorizes them. Then it recognizes every real image and rejects everything
# else. The logits show it: they move apart, while the samples do not improve. If only the real
# images are augmented, $G$ learns to generate the augmentation as well.
#
# **DiffAugment** (Zhao et al. 2020) applies random, differentiable transformations $T$ to *both*
# real and generated images before $D$. With a logit $l(x)$ and the non-saturating loss:
#
# $$L_D = \mathbb{E}\, \mathrm{softplus}\bigl(-l(T(x))\bigr) + \mathbb{E}\, \mathrm{softplus}\bigl(l(T(G(z)))\bigr), \qquad
# L_G = \mathbb{E}\, \mathrm{softplus}\bigl(-l(T(G(z)))\bigr).$$

# %%
from tfgan_zoo.models.adversarial import AdversarialModel
from tfgan_zoo.models.diff_augment import diff_augment

show_source(AdversarialModel.discriminate, diff_augment)

# %% [markdown]
# The same training, with all images randomly translated before they reach $D$.

# %%
run = train_run("own", "dcgan_folder_64", *folder_data, *sizes, "model.diff_augment=translation")
show_images(tfgan_zoo.load(run).sample(36, seed=0), columns=12)
h = read_losses(run)
plot_curves(
    {
        "real minus fake logit": {
            "no augmentation": np.subtract(
                plain_losses["real_logits"], plain_losses["fake_logits"]
            ),
            "DiffAugment": np.subtract(h["real_logits"], h["fake_logits"]),
        },
        "loss of G": {"no augmentation": plain_losses["generator"], "DiffAugment": h["generator"]},
    }
)

# %% [markdown]
# The logits stay together, so $G$ receives useful gradients in every step. Classes and colors begin
# to appear. The lines between the tiles of the mosaics and the curved strokes need a longer
# training.
#
# Other options for few images: `data.flip=true` for images without a left and right (this preset
# has it), `data.zoom=0.1`, a smaller `model.width`, `train.best` with `train.evaluate_every` to
# keep the best epoch, and cropping all images in the same way.
#
# Some hundreds of images of one kind, centered in the same way, work with these options. Some
# thousands are better. A hundred photographs of different scenes do not work.
#
# ## Conditional model
#
# The same folder for a conditional model: the subfolders are the labels.

# %%
conditional = [
    "model.channels=3",
    f"model.classes={len(builtin_images.STYLES)}",
    "model.discriminator_condition=projection",
]
run = train_run(
    "own_conditional",
    "cgan_digits",
    *folder_data,
    *sizes,
    *conditional,
    "model.diff_augment=translation",
    "train.sample_count=30",
)
model = tfgan_zoo.load(run)
print("rows:", ", ".join(real.classes))
show_images(model.sample(36, seed=0, labels=np.repeat(np.arange(3), 12)), columns=12)

# %% [markdown]
# ## Vector conditions
#
# For more than one label per image, or for numbers, write a file `labels.csv` into the folder: a
# header, then the path and the numbers in each line. The model needs `model.condition=vector`.

# %%
lines = ["path,red,green,blue"]
for path in sorted(folder.rglob("*.*")):
    with PillowImage.open(path) as picture:
        mean = np.asarray(picture.convert("RGB")).mean(axis=(0, 1)) / 255
    lines.append(
        f"{path.relative_to(folder).as_posix()}," + ",".join(f"{value:.2f}" for value in mean)
    )
print("\n".join(lines[:4]))
(folder / "labels.csv").write_text("\n".join(lines) + "\n")
numbers = load_images(tfgan_zoo.DataConfig(dataset="folder", path=str(folder)), 32, 3)
print(numbers.description)
(folder / "labels.csv").unlink()

# %% [markdown]
# ## Pairs from single photographs
#
# Pix2Pix needs pairs, and can derive them from single photographs: colorization
# (`data.derive=gray`), edges to photograph (`edges`), super-resolution (`lowres`).

# %%
from tfgan_zoo.data.datasets import load_evaluation_images

photographs = pathlib.Path("photographs")
photographs.mkdir(exist_ok=True)
for i in range(12):
    PillowImage.fromarray(builtin_images.photograph_crop(i, 128)).save(
        photographs / f"{i:02}.jpg", quality=92
    )
for derive in ("gray", "edges", "lowres"):
    overrides = [
        f"data.path={photographs}",
        f"data.derive={derive}",
        "model.x_channels=1" if derive != "lowres" else "model.x_channels=3",
    ]
    fixed_images = load_evaluation_images(
        tfgan_zoo.experiment("pix2pix_folder_128", *overrides), "train", 3
    )
    row = [side for i in range(3) for side in fixed_images.evaluation_images(i)]
    print(derive)
    show_images([np.broadcast_to(image, (128, 128, 3)) for image in row], columns=6)

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
# 1. Train on your own photographs with 64 pixels: `tfgan-zoo train dcgan_folder_64 data.path=...`.
#    Check the folder first.
# 2. How few digits are enough with DiffAugment? Evaluate with notebook 8, and check for copies.
# 3. Write `labels.csv` with the mean color of each image, as above. Train on it, and generate red
#    mosaics.
# 4. Two folders, `cyclegan_folder_256`: which unwanted difference between them would CycleGAN
#    translate?
