# %% [markdown]
# # 9. Your own images
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/09_your_own_images.ipynb)
#
# A folder of pictures is a data set. This notebook makes one (so that it runs everywhere), checks it, trains on it, and shows what to
# do with few images. On your machine, begin at "Check" with your own folder.

# %%
FULL = False  # True: 64 pixels, the whole of dcgan_folder_64 (a GPU is advised)

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
# ## A folder
#
# Pictures of three kinds, drawn by rules of ours, one sub-folder a kind: sub-folders are classes. Files may be JPEG, PNG, BMP, GIF or
# WebP, of any size. As in real life some are broken, and some are there twice.

# %%
import pathlib
import shutil

import numpy as np
from PIL import Image as Picture

from tfgan_zoo.data import builtin_images

folder = pathlib.Path("pictures")
count = choose(12, 120, 400)
for kind in builtin_images.STYLES:
    (folder / kind).mkdir(parents=True, exist_ok=True)
    whole = Picture.fromarray(builtin_images.style_image(kind, 512, seed=1))
    random = np.random.default_rng(0)
    for i in range(count):
        left, top = random.integers(0, 512 - 96, 2)
        suffix = ("jpg", "png", "webp")[i % 3]
        whole.crop((left, top, left + 96, top + 96)).save(
            folder / kind / f"{i:03}.{suffix}", quality=92
        )
shutil.copy(folder / "mosaic" / "000.jpg", folder / "mosaic" / "a copy.jpg")
(folder / "strokes" / "broken.jpg").write_bytes((folder / "strokes" / "000.jpg").read_bytes()[:700])
print(len(list(folder.rglob("*.*"))), "files")

# %% [markdown]
# ## Check
#
# Before any training, look the folder over. `tfgan-zoo data check pictures` on the command line.

# %%
from tfgan_zoo.data import check

found = check.check_folder(folder)
print(check.summary(found))

# %% [markdown]
# Why it matters: a broken file would stop a training in the middle (here it is left out, and said so); duplicates make a model learn
# those pictures by heart; and a picture that is in the training *and* the test set makes every score a lie.

# %%
(folder / "strokes" / "broken.jpg").unlink()
(folder / "mosaic" / "a copy.jpg").unlink()
print(check.check_folder(folder)["warnings"] or "nothing more to say")

# %% [markdown]
# ## Train
#
# A preset for folders, and what is different here: size, width, number of epochs. Everything is a field, `section.field=value`. Above
# what it learns from, below what comes out.

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
# Colours and a grid: not much. Is it too short a training, too few images, or both?
#
# ## Few images
#
# With few images $D$ learns them by heart. It then knows every real image at a glance and refuses all else, however good. One sees it
# in the logits: they part, while the samples do not get better. Augmenting the real images alone would make $G$ draw the augmentation,
# too.
#
# **DiffAugment** (Zhao et al. 2020) shows *both* real and fake images to $D$ through the same kinds of random change $T$, which
# gradients pass. With a logit $l(x)$ and the non-saturating loss:
#
# $$L_D = \mathbb{E}\, \mathrm{softplus}\bigl(-l(T(x))\bigr) + \mathbb{E}\, \mathrm{softplus}\bigl(l(T(G(z)))\bigr), \qquad
# L_G = \mathbb{E}\, \mathrm{softplus}\bigl(-l(T(G(z)))\bigr).$$

# %%
from tfgan_zoo.models.adversarial import AdversarialModel
from tfgan_zoo.models.diff_augment import diff_augment

show_source(AdversarialModel.judge, diff_augment)

# %% [markdown]
# The very same training, with images that are shifted before $D$ looks at them.

# %%
run = train_run("own", "dcgan_folder_64", *folder_data, *sizes, "model.diff_augment=translation")
show_images(tfgan_zoo.load(run).sample(36, seed=0), columns=12)
h = read_losses(run)
plot_curves(
    {
        "real minus fake logit": {
            "as they are": np.subtract(plain_losses["real_logits"], plain_losses["fake_logits"]),
            "DiffAugment": np.subtract(h["real_logits"], h["fake_logits"]),
        },
        "G's loss": {"as they are": plain_losses["generator"], "DiffAugment": h["generator"]},
    }
)

# %% [markdown]
# The logits are held together, and $G$ is taught something in every step. Kinds and colours begin to show; the dark lead of the
# mosaics and the whirls of the strokes take longer than this.
#
# What else helps with few images: `data.flip=true` where left and right do not matter (this preset has it), `data.zoom=0.1`, a smaller
# `model.width`, `train.best` with `train.evaluate_every` to keep the best epoch, and cropping pictures of one kind alike.
#
# What to expect: some hundred pictures of one kind, centred alike, work with these remedies; some thousands are comfortable; a hundred
# holiday photographs of everything do not work.
#
# ## By class
#
# The same folder for a conditional model: the sub-folders are the labels.

# %%
by_kind = [
    "model.channels=3",
    f"model.classes={len(builtin_images.STYLES)}",
    "model.discriminator_condition=projection",
]
run = train_run(
    "own_kinds",
    "cgan_digits",
    *folder_data,
    *sizes,
    *by_kind,
    "model.diff_augment=translation",
    "train.sample_count=30",
)
model = tfgan_zoo.load(run)
print("rows:", ", ".join(real.classes))
show_images(model.sample(36, seed=0, labels=np.repeat(np.arange(3), 12)), columns=12)

# %% [markdown]
# ## By numbers
#
# More than one label a picture, or numbers: a file `labels.csv` in the folder, with a header, then the path and the numbers in each
# line. The model takes them with `model.condition=vector`.

# %%
lines = ["path,red,green,blue"]
for path in sorted(folder.rglob("*.*")):
    with Picture.open(path) as picture:
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
# Pix2Pix needs pairs, and makes them by itself from single photographs: colouring (`data.derive=grey`), drawing to photograph
# (`edges`), sharpening (`lowres`).

# %%
from tfgan_zoo.data.datasets import load_evaluation_images

photographs = pathlib.Path("photographs")
photographs.mkdir(exist_ok=True)
for i in range(12):
    Picture.fromarray(builtin_images.photograph_crop(i, 128)).save(
        photographs / f"{i:02}.jpg", quality=92
    )
for derive in ("grey", "edges", "lowres"):
    one = [
        f"data.path={photographs}",
        f"data.derive={derive}",
        "model.x_channels=1" if derive != "lowres" else "model.x_channels=3",
    ]
    fixed_images = load_evaluation_images(
        tfgan_zoo.experiment("pix2pix_folder_128", *one), "train", 3
    )
    row = [side for i in range(3) for side in fixed_images.evaluation_images(i)]
    print(derive)
    show_images([np.broadcast_to(image, (128, 128, 3)) for image in row], columns=6)

# %% [markdown]
# ## A run is a folder
#
# Stop a training at any time and go on later; ask a finished one for more epochs. `report` makes one HTML page of a run, to send to
# somebody.

# %%
from tfgan_zoo.tools.report import write_report

page = write_report(run)
print(f"{page.relative_to('.')}: {page.stat().st_size / 1000:.0f} kB")
print("\n".join(sorted(path.name for path in run.iterdir())))

# %% [markdown]
# ## Exercises
#
# 1. Train on photographs of your own, 64 pixels: `tfgan-zoo train dcgan_folder_64 data.path=...`. First check the folder.
# 2. How few digits can you go down to with DiffAugment? Measure with notebook 8, and look for copies.
# 3. `labels.csv` with the mean colour of each picture, as above: train on it, and ask for red mosaics.
# 4. Two folders, `cyclegan_folder_256`: which unwanted difference between them would CycleGAN translate?
