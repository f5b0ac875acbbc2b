"""Images of two domains for translation models: pairs, or unpaired images.

Images are decoded and resized once, and cropped and flipped anew in every epoch. An item of a
source is a tuple of images of one height and width: (x, y) for pairs, (x,) or (y,) for unpaired
images. Images are uint8, or uint16 if the file has 16 bits per channel, until a batch is built.

Layouts of a folder, in the order in which they are tried. Letter case does not matter.

- Two folders named as in `DOMAIN_NAMES`: with splits (trainA and trainB, train_A and train_B,
  train/A and train/B, each with test instead of train, or val), or without (A and B, in which
  there may be folders train and test). Pairs are the files of equal name.
- Pairs of files in one folder whose names end as in `DOMAIN_NAMES`: 1_A.png and 1_B.png.
- Pairs side by side, A in the left half: images about twice as wide as high.

Instead, data.path and data.path_y may name the two folders, or data.derive may compute x from y.
For the last three there may be folders train and test (or val).
"""

import concurrent.futures
import dataclasses
import functools
import logging
import math
import os
import pathlib
import re

import numpy as np
import tensorflow as tf
from PIL import Image, ImageFilter

from tfgan_zoo.data import builtin_images, emoji, facades, image_file, image_folder, tfds
from tfgan_zoo.data.hed_edges import hed_edges, load_hed
from tfgan_zoo.data.image_folder import ALTERNATIVES, SPLIT_FOLDERS
from tfgan_zoo.data.pipeline import LoadedData
from tfgan_zoo.data.transforms import crop_center, resize, to_float_array
from tfgan_zoo.errors import UserError, check_range, first_line, join_names

NUM_FACADES = 400  # default number of training pairs of facades_synthetic, that of CMP facades
NUM_CROPS = 120  # default number of training images of photographs, and of styles
NUM_TEST_FACADES = 100  # test pairs of facades_synthetic
LOAD_SCALE = 286 / 256  # size before the crop, relative to it (Isola et al. 2016, section 6.2)
MAX_CROPS = 16  # the longest side that an image is enlarged to, in sides of a crop
MAX_SYNTHETIC = 100_000  # images that are drawn
DOMAIN_NAMES = (  # names of the folders of A (x) and B (y), in lower case
    ("a", "b"),  # CycleGAN and pix2pix
    ("label", "img"),  # pix2pixHD
    ("input", "target"),
    ("x", "y"),
)
DOMAIN = re.compile(  # a folder's relative path, such as "trainA", "test_label", "train/A" and "B"
    rf"(?:({'|'.join(name for names in SPLIT_FOLDERS.values() for name in names)})[_/]?)?"
    rf"({'|'.join(name for names in DOMAIN_NAMES for name in names)})",
    re.IGNORECASE,
)
LAYOUTS = (
    "trainA and trainB, train_A and train_B, train/A and train/B, or A and B (or, instead of A and "
    f"B, {', '.join(' and '.join(names) for names in DOMAIN_NAMES[1:])})"
)
SIDE_BY_SIDE_RATIOS = (1.8, 2.8)  # of width to height: halves of up to 4:3
MAX_SIZES = 100  # number of images whose size decides whether they are pairs side by side
SPLIT_SEEDS = {"train": 0, "test": 1, "val": 2}  # of synthetic images
# Datasets whose test images show the same objects in both domains, also if training is unpaired.
WITH_TEST_PAIRS = ("facades_synthetic", "emoji")


class CachedItems:
    """Lazily decoded items, cached in memory if they fit.

    All items are decoded once when the object is created, so that unreadable files are reported
    before training.

    Args:
        name: description of the items, such as "pairs by file name".
        entries: what `decode` takes, such as paths. Unreadable entries are left out.
        decode: function entry -> tuple of arrays; called in several threads.
        cache_gb: GiB of decoded items that are kept in memory. If there are more, all items are
            decoded again in every epoch.

    Raises:
        UserError: if no entry can be decoded.
    """

    def __init__(self, name, entries, decode, cache_gb):
        self.name, self.entries, self.decode = name, [], decode
        items, size, problems, peak = [], 0, [], 0
        with concurrent.futures.ThreadPoolExecutor() as pool:
            decoded = pool.map(self.try_decode, entries)
            for entry, (item, problem) in zip(entries, decoded, strict=True):
                if problem:
                    problems.append(problem)
                    continue
                self.entries.append(entry)
                size += sum(image.nbytes for image in item)
                peak = max(peak, *map(image_file.peak_of_16_bits, item))
                if size <= cache_gb * 2**30:
                    items.append(item)
                else:
                    items.clear()
        self.files = [
            part
            for entry in self.entries
            for part in (entry if isinstance(entry, tuple) else (entry,))
            if isinstance(part, str | os.PathLike)
        ]
        image_folder.warn_unreadable(problems, len(self.entries))
        image_file.warn_bit_depth(peak)
        self.in_memory = size <= cache_gb * 2**30
        if self.in_memory:
            self.entries, self.decode = items, lambda item: item

    def try_decode(self, entry):
        try:
            return self.decode(entry), None
        except Exception as error:  # broken files cause many kinds of exceptions
            file = entry[0] if isinstance(entry, tuple) else entry
            return None, f"{file} ({first_line(error)})"

    def __len__(self):
        return len(self.entries)

    def __getitem__(self, i):
        item, problem = self.try_decode(self.entries[i])
        if problem:
            raise UserError(f"an image can no longer be read: {problem}. Train again without it.")
        return item


@dataclasses.dataclass
class Domains(LoadedData):
    """Images of two domains: one source of pairs, or one source for each domain.

    Attributes:
        name: name of the dataset.
        sources: one `CachedItems` of pairs (x, y), or two of (x,) and (y,).
        channels: numbers of channels of x and of y.
        size: side of a crop in pixels; 0: images keep their sizes.
    """

    name: str
    sources: tuple
    channels: tuple
    size: int
    labels = None
    classes = ()

    @property
    def paired(self):
        return len(self.sources) == 1

    @property
    def sizes(self):
        return [len(source) for source in self.sources]

    @property
    def files(self):
        return [file for source in self.sources for file in source.files]

    @property
    def description(self):
        counts = " and ".join(f"{size:,}" for size in self.sizes)
        shape = f"{self.size}x{self.size}" if self.size else "of their own sizes"
        in_memory = all(source.in_memory for source in self.sources)
        return (
            f"{self.name}: {counts} {self.sources[0].name}, {shape}, "
            f"{self.channels[0]} to {self.channels[1]} channels, "
            f"{'in memory' if in_memory else 'decoded in every epoch'}"
        )

    def evaluation_images(self, i):
        """Return x and y of item i, center-cropped: uint8 or uint16 arrays (h, w, c).

        Of unpaired images, the smaller domain repeats.
        """
        images = [image for source in self.sources for image in source[i % len(source)]]
        return tuple(crop_and_flip(image, self.size, (0.5, 0.5, 1.0)) for image in images)

    def batch_loader(self, config, batch_size, labels):
        """Return a function that loads batches of pairs (x, y); see `LoadedData.batch_loader`.

        There are no labels. x and y are float32 (batch_size, s, s, c) in [-1, 1].
        """

        def crop_and_stack(indices, draws):  # NumPy arrays (n, sources) and (n, sources, 3)
            draws = draws if config.flip else np.maximum(draws, (0, 0, 1))
            pairs = [
                [
                    to_float_array(crop_and_flip(image, self.size, draw))
                    for source, i, draw in zip(self.sources, *item, strict=True)
                    for image in source[i]
                ]
                for item in zip(indices, draws, strict=True)
            ]
            return tuple(np.stack(images) for images in zip(*pairs, strict=True))

        def load_batch(indices, draw):
            draws = draw((len(self.sources), 3))
            batch = tf.numpy_function(crop_and_stack, [indices, draws], (tf.float32, tf.float32))
            side = self.size or None
            return tuple(
                tf.ensure_shape(images, (batch_size, side, side, channels))
                for images, channels in zip(batch, self.channels, strict=True)
            )

        return load_batch


def load_domains(config, model, kind):
    """Load the images of a dataset of two domains.

    Args:
        config: a `DataConfig`.
        model: a `TranslationConfig`, for its image size and channels.
        kind: "pairs" or "domains" (unpaired images).

    Returns:
        `Domains`.

    Raises:
        UserError: if the dataset is unknown, the settings do not fit it, or no image can be read.
    """
    check_data_config(config, model, kind)
    channels = (model.x_channels, model.y_channels)
    load_size = config.load_size or round(model.image_size * LOAD_SCALE)
    resizer = Resize(config.preprocess, config.resize, load_size, model.image_size, model.multiple)
    dataset = "cycle_gan/" if config.dataset.startswith("cycle_gan/") else config.dataset
    if dataset not in LOADERS:
        raise UserError(
            "translation needs a dataset of two domains: facades_synthetic, photographs, emoji, "
            f"folder or cycle_gan/..., got data.dataset={config.dataset!r}."
        )
    sources = LOADERS[dataset](config, resizer, channels, kind)
    size = model.image_size if config.preprocess.endswith("crop") else 0
    return Domains(config.dataset, sources, channels, size)


def check_data_config(config, model, kind):
    """Check that a `DataConfig` suits a translation model; see `load_domains`.

    Raises:
        UserError: if it does not.
    """
    channels = f"x_channels={model.x_channels} and y_channels={model.y_channels}"
    if config.rotate or config.zoom or config.binarize != "none":
        raise UserError(
            "rotate, zoom and binarize are not supported for translation (random crops and "
            f"data.flip are), got rotate={config.rotate}, zoom={config.zoom}, "
            f"binarize={config.binarize}."
        )
    if (config.derive or config.path_y) and config.dataset != "folder":
        raise UserError(
            "data.derive and data.path_y are for folders, "
            f"got data.dataset={config.dataset}. Set data.dataset=folder."
        )
    crops = config.preprocess.endswith("crop")
    if crops and 0 < config.load_size < model.image_size:
        raise UserError(
            f"data.load_size must be at least the crop size of {model.image_size} pixels, "
            f"got {config.load_size}."
        )
    if not crops and kind == "domains":
        # CycleGAN keeps a history of images, and concatenates x and y.
        raise UserError(
            "unpaired images need crops of one size, got "
            f"data.preprocess={config.preprocess}. "
            "Choose resize_and_crop, crop or scale_width_and_crop."
        )
    if not crops and config.batch_size != 1:
        raise UserError(
            "images of different sizes need data.batch_size=1, "
            f"got data.preprocess={config.preprocess}."
        )
    if config.derive and not {model.x_channels, model.y_channels} <= {1, 3}:
        raise UserError(f"data.derive needs 1 channel (gray) or 3 (RGB), got {channels}.")


# --- Resizing and cropping


@dataclasses.dataclass(frozen=True)
class Resize:
    """Resize images before they are cropped.

    Attributes:
        mode: `DataConfig.preprocess`.
        method: "bicubic" with antialiasing, or "nearest".
        load_size: side or width in pixels to resize to.
        crop: side of the crop in pixels.
        multiple: sides of images that are not cropped are multiples of this.
    """

    mode: str
    method: str
    load_size: int
    crop: int
    multiple: int

    def __call__(self, *images):
        """Resize images of one size to one size.

        A long and thin image that would be enlarged to more than MAX_CROPS crops is cropped around
        its center first: an image of 3000x1 pixels would take gigabytes.
        """
        shape = images[0].shape[:2]
        target, limit = self.target_size(*shape), MAX_CROPS * max(self.load_size, self.crop)
        if max(target) > limit and math.prod(target) > math.prod(shape):
            axis = target.index(max(target))
            images = [crop_center(image, axis, limit / target[axis]) for image in images]
        height, width = self.target_size(*images[0].shape[:2])
        return tuple(resize(image, height, width, self.method) for image in images)

    @property
    def readable_side(self):
        """The `side` to pass to `read_image`; 0: decode the whole image.

        A JPEG file is decoded faster at a part of its size. Where the size of the result depends on
        the exact size of the image, or pixels are selected, images are decoded whole.
        """
        exact = self.mode != "resize_and_crop" or self.method == "nearest"
        return 0 if exact else self.load_size

    def target_size(self, height, width):
        """Return the (height, width) that an image is resized to."""
        if self.mode == "resize_and_crop":
            return self.load_size, self.load_size
        if self.mode.startswith("scale_width"):
            height, width = height * self.load_size / width, self.load_size
        if self.mode.endswith("crop"):  # enlarge images that are smaller than the crop
            scale = max(1.0, self.crop / min(height, width))
            return round(height * scale), round(width * scale)
        return tuple(
            max(1, round(side / self.multiple)) * self.multiple for side in (height, width)
        )


def crop_and_flip(image, size, draws):
    """Crop to size x size and flip horizontally.

    Args:
        image: array (h, w, c).
        size: side of the crop in pixels; 0: no crop.
        draws: three numbers in [0, 1): the position of the crop from top to bottom and from left
            to right; the image is flipped if the third is below 1/2.
    """
    if size:
        top, left = (
            math.floor(float(draw) * (side - size + 1))
            for draw, side in zip(draws, image.shape[:2], strict=False)
        )
        image = image[top : top + size, left : left + size]
    return image[:, ::-1] if draws[2] < 0.5 else image


# --- Sources. Each function returns the list of `CachedItems` of a dataset: one of pairs, or two.


def facade_items(config, resizer, channels, kind):
    """Draw synthetic facades: x is the label map, y the photograph.

    Unpaired training images show different facades in the two domains. Test images show the same.
    """
    if channels != (3, 3):
        raise UserError(
            "facades_synthetic has 3 channels, "
            f"got x_channels={channels[0]} and y_channels={channels[1]}."
        )
    check_range(0, MAX_SYNTHETIC, **{"data.limit": config.limit})
    train, seed = config.split == "train", SPLIT_SEEDS[config.split]
    count = config.limit or (NUM_FACADES if train else NUM_TEST_FACADES)
    count = count if train else min(count, NUM_TEST_FACADES)
    size = resizer.target_size(resizer.load_size, resizer.load_size)[0]

    def pair(index):
        return swap_for_direction(facades.pair(index, size, seed=seed), config.direction)

    if kind == "pairs":
        return [CachedItems("pairs", range(count), pair, config.cache_gb)]
    y_indices = range(count, 2 * count) if train else range(count)
    return [
        unpaired_items(range(count), lambda index: pair(index)[:1], config),
        unpaired_items(y_indices, lambda index: pair(index)[1:], config),
    ]


def photograph_items(config, resizer, channels, kind):
    """Draw crops of the built-in photographs (x) and random styles (y), for AdaIN."""
    if channels != (3, 3) or kind != "domains":
        raise UserError(
            "photographs are unpaired RGB images, "
            f"got x_channels={channels[0]}, y_channels={channels[1]} for {kind}."
        )
    check_range(0, MAX_SYNTHETIC, **{"data.limit": config.limit})
    seed, count = SPLIT_SEEDS[config.split], config.limit or NUM_CROPS
    size = resizer.target_size(resizer.load_size, resizer.load_size)[0]
    return [
        unpaired_items(range(count), lambda i, draw=draw: (draw(i, size, seed),), config)
        for draw in (builtin_images.photograph_crop, builtin_images.random_style)
    ]


def emoji_items(config, resizer, channels, kind):
    """Load emoji: x is Noto's design, y Twemoji's.

    Unpaired training images show different emoji in the two domains. Test images show the same.
    """
    if not {*channels} <= {1, 3}:
        raise UserError(
            "emoji has 3 channels, or 1 as gray, "
            f"got x_channels={channels[0]} and y_channels={channels[1]}."
        )
    data = emoji.load(config.path, config.split)
    unpaired = kind == "domains" and config.split == "train"
    a, b = data.halves() if unpaired else (data, data)
    images = [side[: config.limit or None] for side in (a.noto, b.twemoji)]
    images, channels = (swap_for_direction(pair, config.direction) for pair in (images, channels))

    def convert(image, side):
        return convert_channels(image, channels[side])

    if kind == "pairs":
        return [
            CachedItems(
                "pairs",
                range(len(images[0])),
                lambda i: resizer(*(convert(images[side][i], side) for side in (0, 1))),
                config.cache_gb,
            )
        ]
    return [
        unpaired_items(images[side], lambda image, s=side: resizer(convert(image, s)), config)
        for side in (0, 1)
    ]


def folder_items(config, resizer, channels, kind):
    """Load image files from folders, in one of the layouts of this module's docstring."""
    channels_a, channels_b = swap_for_direction(channels, config.direction)
    listings = [list_domain_images(*folders, config) for folders in find_folders(config)]
    if kind == "domains":
        if len(listings) < 2:
            raise UserError(
                f"unpaired images need two folders: data.path with {LAYOUTS}, or data.path_y, "
                f"got data.path={config.path!r} with {describe_subfolders(config.path)}."
            )
        sources = []
        for listing, num_channels in zip(listings, (channels_a, channels_b), strict=True):
            _, files, has_test = listing
            decode = functools.partial(read_unpaired, num_channels=num_channels, resizer=resizer)
            sources.append(unpaired_items(hold_out(files, has_test, config), decode, config))
        return swap_for_direction(sources, config.direction)

    folder, entries, _ = listings[0]
    if config.derive:
        if config.derive == "hed":
            load_hed()  # reports a missing package
        name = f"pairs by data.derive={config.derive}"
        read = functools.partial(read_derived_pair, method=config.derive)
    elif len(listings) == 2:
        name, read = "pairs by file name", read_pair_of_files
        entries = match_by_name(folder, entries, *listings[1][:2])
    elif pairs := match_by_suffix(entries):
        if warning := unmatched_warning(pairs, entries):
            logging.getLogger("tfgan_zoo").warning("%s", warning)
        name, read, entries = "pairs by suffix", read_pair_of_files, pairs
    else:
        check_side_by_side(config.path, entries)
        name, read = "pairs side by side (left half, right half)", read_pair_side_by_side
    entries = hold_out(entries, any(has_test for *_, has_test in listings), config)

    def decode(entry):
        pair = read(entry, channels_a, channels_b, resizer)
        return swap_for_direction(pair, config.direction)

    return [CachedItems(name, entries, decode, config.cache_gb)]


def tfds_items(config, resizer, channels, kind):
    """Load the unpaired domains of cycle_gan of tensorflow-datasets."""
    if kind == "pairs":
        raise UserError(
            f"{config.dataset} has no pairs, got data.dataset={config.dataset!r}. "
            "Use a CycleGAN preset."
        )
    if not {*channels} <= {1, 3}:
        raise UserError(
            f"{config.dataset} has 3 channels, or 1 as gray, "
            f"got x_channels={channels[0]} and y_channels={channels[1]}."
        )
    sources = []
    domain_channels = swap_for_direction(channels, config.direction)
    for letter, num_channels in zip("AB", domain_channels, strict=True):
        split = ("train" if config.split == "train" else "test") + letter
        images = tfds.load_domain(config.dataset, config.path, split)[: config.limit or None]

        def decode(image, num_channels=num_channels):
            return resizer(convert_channels(image, num_channels))

        sources.append(unpaired_items(images, decode, config))
    return swap_for_direction(sources, config.direction)


LOADERS = {
    "facades_synthetic": facade_items,
    "photographs": photograph_items,
    "emoji": emoji_items,
    "folder": folder_items,
    "cycle_gan/": tfds_items,  # followed by the name of a dataset
}


def unpaired_items(entries, decode, config):
    """Return the `CachedItems` of one domain, with half of data.cache_gb."""
    return CachedItems("unpaired images", entries, decode, config.cache_gb / 2)


def swap_for_direction(pair, direction):
    """Return (x, y) for (A, B), or (A, B) for (x, y): swapped for direction "yx"."""
    return tuple(pair) if direction == "xy" else tuple(pair[::-1])


# --- Image files


def find_folders(config):
    """Find the folders with training images and test images by their names.

    Returns:
        A list of (folder, test folders), see `with_test_folders`: for A and B, or one for all
        images.

    Raises:
        UserError: if data.path or data.path_y is not a folder, or they do not fit together.
    """
    root = existing_folder("path", config.path)
    if config.derive and config.path_y:
        raise UserError(
            "data.derive computes x from the images of data.path, "
            f"got data.path_y={config.path_y!r} too. Leave out one of them."
        )
    if config.derive:
        return [with_test_folders(root)]
    if config.path_y:
        other = existing_folder("path_y", config.path_y)
        if root.resolve() in other.resolve().parents or other.resolve() in root.resolve().parents:
            raise UserError(
                "data.path and data.path_y must not contain each other, "
                f"got data.path={config.path!r}, data.path_y={config.path_y!r}."
            )
        return [with_test_folders(root), with_test_folders(other)]
    return find_layout(root) or [with_test_folders(root)]


def domain_of(folder):
    """Return (names, index, split) of a domain's folder, by its relative path; else None.

    "testB" is (("a", "b"), 1, "test"), "A" is (("a", "b"), 0, "").
    """
    match = DOMAIN.fullmatch(folder)
    if not match:
        return None
    split, name = image_folder.split_of(match[1] or ""), match[2].lower()
    names = next(names for names in DOMAIN_NAMES if name in names)
    return names, names.index(name), split


def find_layout(root):
    """Find the two domains in a folder by the names of its subfolders.

    Returns:
        [(folder, test folders)] of A and B, see `with_test_folders`; None if there are none.
    """
    folders = subfolders(root)
    folders |= {
        f"{name}/{inner}": path
        for name, folder in folders.items()
        if image_folder.split_of(name)
        for inner, path in subfolders(folder).items()
    }
    domains = {domain_of(name): folder for name, folder in folders.items()}
    for names in DOMAIN_NAMES:
        if all((names, i, "train") in domains for i in (0, 1)):
            return [
                (
                    domains[names, i, "train"],
                    {s: domains[names, i, s] for s in ("val", "test") if (names, i, s) in domains},
                )
                for i in (0, 1)
            ]
        if all((names, i, "") in domains for i in (0, 1)):
            return [with_test_folders(domains[names, i, ""]) for i in (0, 1)]
    return None


def subfolders(folder):
    """Return {name: path} of the subfolders, sorted by name, without hidden and system folders."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir())
    paths = {name: pathlib.Path(folder, name) for name in names}
    return {
        name: path
        for name, path in paths.items()
        if not image_folder.is_system_path(pathlib.PurePath(name))
    }


def describe_subfolders(folder):
    """Return the names of the subfolders for an error message."""
    names = list(subfolders(folder))
    return f"the subfolders {join_names(names)}" if names else "no subfolders"


def existing_folder(field, folder):
    """Return a folder as a path; raise `UserError` if it does not exist."""
    if not folder or not pathlib.Path(folder).is_dir():
        raise UserError(f"data.{field} must be a folder of images, got data.{field}={folder!r}.")
    return pathlib.Path(folder)


def with_test_folders(folder):
    """Return the folder of training images, FOLDER/train if it exists, and the test folders.

    Returns:
        (folder, {"val" or "test": folder}).
    """
    folders = subfolders(folder)
    names = [name for name in folders if image_folder.split_of(name)]
    image_folder.check_splits(folder, names)
    splits = {image_folder.split_of(name): folders[name] for name in names}
    return splits.pop("train", folder), splits


def list_domain_images(folder, test_folders, config):
    """List the image files of a split.

    Returns:
        The folder of the split, its files, and whether there is a separate test folder.

    Raises:
        UserError: if there are no files.
    """
    if test_folders and config.split != "train":
        test = next(
            test_folders[name] for name in ALTERNATIVES[config.split] if name in test_folders
        )
        return test, image_folder.list_images(test), True
    files = [
        path
        for path in image_folder.list_images(folder)
        if set(test_folders.values()).isdisjoint(path.parents)
    ]
    if not files:
        raise UserError(
            f"{folder} must have training images, got only test images. Add training images."
        )
    return folder, files, bool(test_folders)


def match_by_name(folder_a, files_a, folder_b, files_b):
    """Match the files of two folders whose relative paths are equal except for the suffix.

    Files without a partner are left out, with a warning.

    Returns:
        A list of (file of A, file of B).

    Raises:
        UserError: if there are no pairs.
    """
    partners = {path.relative_to(folder_b).with_suffix(""): path for path in files_b}
    names = [path.relative_to(folder_a).with_suffix("") for path in files_a]
    pairs = [
        (path, partners[name])
        for path, name in zip(files_a, names, strict=True)
        if name in partners
    ]
    if not pairs:
        raise UserError(
            f"the files of a pair must have equal names, got none in {folder_a} and {folder_b} "
            f"(first name: {names[0]})."
        )
    unmatched = sorted(set(names) ^ set(partners))
    if unmatched:
        logging.getLogger("tfgan_zoo").warning(
            "%d files of %s and %s have no partner of the same name, the first being %s",
            len(unmatched),
            folder_a,
            folder_b,
            unmatched[0],
        )
    return pairs


def match_by_suffix(files):
    """Match files whose names differ in a suffix of `DOMAIN_NAMES`: 1_A.png and 1_B.png.

    Files without a partner are left out, see `unmatched_warning`.

    Returns:
        A list of (file of A, file of B), empty unless at least half of the files have a partner.
    """
    for names in DOMAIN_NAMES:
        domains = ({}, {})
        for path in files:
            stem, _, suffix = path.stem.rpartition("_")
            if stem and suffix.lower() in names:
                domains[names.index(suffix.lower())][path.with_name(stem)] = path
        pairs = [
            (path, domains[1][name]) for name, path in domains[0].items() if name in domains[1]
        ]
        if pairs and 4 * len(pairs) >= len(files):
            return pairs
    return []


def unmatched_warning(pairs, files):
    """Return a sentence about the files that `match_by_suffix` has left out, or an empty string."""
    single = sorted({*files} - {path for pair in pairs for path in pair})
    if not single:
        return ""
    example = " and ".join(path.name for path in pairs[0])
    return (
        f"{len(single)} of {len(files)} files have no partner (pairs are such as {example}), "
        f"the first being {single[0]}"
    )


def check_side_by_side(folder, files):
    """Raise `UserError` unless most images are about twice as wide as high."""
    step = -(-len(files) // MAX_SIZES)
    sizes = list(filter(None, map(image_file.read_size, files[::step])))
    wide = [size for size in sizes if is_side_by_side(*size)]
    if 2 * len(wide) < len(sizes):
        example = "x".join(map(str, next(size for size in sizes if size not in wide)))
        raise UserError(
            f"data.path has no known layout of pairs: {LAYOUTS}; files such as 1_A.png and "
            "1_B.png; or pairs side by side, in images about twice as wide as high. Got "
            f"data.path={str(folder)!r} with {describe_subfolders(folder)} and images such as "
            f"{example}. If each domain has a folder, set data.path and data.path_y."
        )


def is_side_by_side(width, height):
    """Return True if an image may be a pair side by side."""
    low, high = SIDE_BY_SIDE_RATIOS
    return low <= width / height <= high


def hold_out(entries, has_test, config):
    """Return the entries of the split, at most data.limit.

    Without a separate test folder, the fraction data.holdout of the entries is held out as test
    images: a random selection, always the same one.
    """
    if not has_test:
        count = min(math.ceil(config.holdout * len(entries)), len(entries) - 1)
        if config.split != "train" and not count:
            raise UserError(
                "there are no test images, "
                f"got data.path={config.path!r} and data.holdout={config.holdout}. "
                "Add a folder test, or at least two images and data.holdout above 0."
            )
        held_out = set(np.random.default_rng(0).permutation(len(entries))[:count].tolist())
        test = config.split != "train"
        entries = [entry for i, entry in enumerate(entries) if (i in held_out) == test]
    return entries[: config.limit or None]


def read_unpaired(path, num_channels, resizer):
    return resizer(image_file.read_image(path, num_channels, resizer.readable_side, min))


def read_derived_pair(path, channels_a, channels_b, resizer, method):
    # Resize first: edges and gray values are those at the model's resolution.
    (photo,) = resizer(image_file.read_image(path, channels_b, resizer.readable_side, min))
    return derive(photo, method, channels_a), photo


def read_pair_of_files(paths, channels_a, channels_b, resizer):
    a = image_file.read_image(paths[0], channels_a)
    try:
        b = image_file.read_image(paths[1], channels_b)
    except image_file.ImageError as error:
        raise ValueError(f"{error}: {paths[1]}") from None
    if a.shape[:2] != b.shape[:2]:
        raise ValueError(f"{a.shape[1]}x{a.shape[0]}, but {paths[1]} is {b.shape[1]}x{b.shape[0]}")
    return resizer(a, b)


def read_pair_side_by_side(path, channels_a, channels_b, resizer):
    a = image_file.read_image(path, channels_a)
    b = image_file.read_image(path, channels_b) if channels_b != channels_a else a
    middle, remainder = divmod(a.shape[1], 2)
    if remainder or not is_side_by_side(a.shape[1], a.shape[0]):
        raise ValueError(
            "side by side needs an even width of about twice the height, "
            f"got {a.shape[1]}x{a.shape[0]}"
        )
    return resizer(a[:, :middle], b[:, middle:])


def convert_channels(image, channels):
    """Convert between gray and RGB.

    Args:
        image: uint8 or uint16 (h, w, c).
        channels: number of channels of the result.

    Returns:
        The same dtype, (h, w, channels).

    Raises:
        ValueError: if the numbers of channels differ and are not 1 and 3.
    """
    if image.shape[-1] == channels:
        return image
    if channels == 1 and image.shape[-1] == 3:
        return np.round(image @ np.array([0.299, 0.587, 0.114])).astype(image.dtype)[..., None]
    if channels == 3 and image.shape[-1] == 1:
        return image.repeat(3, axis=-1)
    raise ValueError(f"it has {image.shape[-1]} channels where {channels} are needed")


# --- Pairs from single photographs


def derive(photo, method, channels):
    """Derive the input x from a photograph y, for learning to reconstruct the photograph.

    Args:
        photo: uint8 or uint16 (h, w, 1 or 3).
        method: `DataConfig.derive`: "gray" (gray values), "edges" (dark lines on white), "hed" (the
            same by a trained network), or "lowres" (a quarter of the resolution, resized back).
        channels: number of channels of the result, 1 or 3.

    Returns:
        Array (h, w, channels) with the dtype of `photo`, but always uint8 for edges.
    """
    if method == "lowres":
        height, width = photo.shape[:2]
        small = resize(photo, max(1, height // 4), max(1, width // 4))
        return convert_channels(resize(small, height, width), channels)
    if method == "hed":
        edges = hed_edges(convert_channels(image_file.to_8_bits(photo), 3))
        return convert_channels(edges, channels)
    gray = convert_channels(photo, 1)
    if method == "edges":  # dark where the gradient of the smoothed brightness is large
        gray = Image.fromarray(image_file.to_8_bits(gray)[..., 0])
        smooth = np.asarray(gray.filter(ImageFilter.GaussianBlur(1.0)), np.float32)
        gradient = np.hypot(*np.gradient(smooth))
        gray = (255.0 * (1.0 - np.clip(gradient / 40.0, 0.0, 1.0))).round()
        gray = gray.astype(np.uint8)[..., None]
    return convert_channels(gray, channels)
