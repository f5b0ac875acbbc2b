"""Images of two domains for translation: pairs, or two heaps without pairs. They are decoded and resized once, cropped and mirrored anew
in every epoch.

An item of a source is a tuple of images of one height and width: (x, y) of pairs, (x,) or (y,) of a heap. Images are uint8, or uint16
where a file has 16 bits a pixel, until a batch is made.
"""

import concurrent.futures
import dataclasses
import math
import pathlib

import numpy as np
import tensorflow as tf
from PIL import Image, ImageFilter

from tfgan_zoo.config import UserError, check_choice
from tfgan_zoo.data import facades, folders, prepared
from tfgan_zoo.data.order import order

FACADES = 400  # training pairs of facades_synthetic unless data.limit says otherwise, as many as CMP's facades
HELD_OUT = 100  # test pairs of facades_synthetic
LOAD = 286 / 256  # the size to resize to for a crop of 1 (Isola et al. 2016, section 6.2)


class Source:
    """Items that are decoded when they are first needed, all at once if they fit in memory, else in every epoch."""

    def __init__(self, name, entries, decode, cache_gb):
        self.name, self.entries, self.decode = name, list(entries), decode
        with concurrent.futures.ThreadPoolExecutor() as pool:
            self.items, size = [], 0
            tried = pool.map(self.attempt, self.entries)
            bad = []
            good = []
            for entry, (item, problem) in zip(self.entries, tried, strict=True):
                if problem:
                    bad.append(problem)
                    continue
                good.append(entry)
                size += sum(image.nbytes for image in item)
                if self.items is not None:
                    self.items = [*self.items, item] if size <= cache_gb * 2**30 else None
        self.entries = good
        folders.warn_unreadable(bad, len(good))

    def attempt(self, entry):
        try:
            return self.decode(entry), None
        except folders.UNREADABLE as error:
            return None, f"{entry} ({str(error).splitlines()[0] if str(error) else type(error).__name__})"

    def __len__(self):
        return len(self.entries)

    def __getitem__(self, i):
        return self.items[i] if self.items is not None else self.decode(self.entries[i])


@dataclasses.dataclass
class Domains:
    """One source of pairs, or a source for each domain."""

    name: str
    sources: list
    channels: tuple  # of x and y
    size: int  # of a crop; 0: images keep their sizes
    labels = None
    classes = ()

    @property
    def paired(self):
        return len(self.sources) == 1

    def __len__(self):
        return max(map(len, self.sources))  # an epoch shows all of the longer domain

    @property
    def description(self):
        counts = f"{len(self):,} pairs" if self.paired else "{:,} and {:,} images, unpaired".format(*map(len, self.sources))
        shape = f"{self.size}x{self.size}" if self.size else "of their own sizes"
        place = "in memory" if all(source.items is not None for source in self.sources) else "decoded in every epoch"
        return f"{self.name}: {counts}, {shape}, {self.channels[0]} to {self.channels[1]} channels, {place}"

    def still(self, i):
        """Item i, not mirrored, cropped at the centre: x and y, each uint8 (or uint16) (h, w, c)."""
        images = [image for source in self.sources for image in source[i % len(source)]]
        return tuple(cut(image, self.size, (0.5, 0.5, 1.0)) for image in images)


def load(config, model, kind):
    """The images of `config.dataset` as a translation model wants them.

    Args:
        config: a `DataConfig`.
        model: a `TranslationConfig`.
        kind: "pairs" or "domains".

    Returns:
        `Domains`.

    Raises:
        UserError: unknown data set, no data, or none that can be read.
    """
    if config.rotate or config.zoom or config.binarize != "none":
        raise UserError("rotate, zoom and binarize are not for translation (crops and data.flip are), received one of them")
    check_choice("data.direction", config.direction, ("xy", "yx"))
    channels = (model.x_channels, model.y_channels)
    fits = config.preprocess in ("resize_and_crop", "crop", "scale_width_and_crop")
    if not fits and config.batch_size != 1:
        raise UserError(f"images of different sizes need data.batch_size=1, received data.preprocess={config.preprocess}")
    fit = Fit(config.preprocess, config.resize, config.load_size or round(model.image_size * LOAD), model.image_size, model.multiple)
    if config.dataset == "facades_synthetic":
        sources = facade_sources(config, fit, channels, kind)
    elif config.dataset == "folder":
        sources = folder_sources(config, fit, channels, kind)
    elif config.dataset.startswith("cycle_gan/"):
        sources = prepared_sources(config, fit, channels, kind)
    else:
        names = ", ".join(["facades_synthetic", "folder", "cycle_gan/horse2zebra"])
        raise UserError(f"translation needs a data set of two domains: {names} ..., received data.dataset={config.dataset!r}")
    return Domains(config.dataset, sources, channels, model.image_size if fits else 0)


# --- what to do with an image before it is cropped


@dataclasses.dataclass(frozen=True)
class Fit:
    """The size that an image is brought to."""

    mode: str
    method: str
    load_size: int
    crop: int
    multiple: int

    def __call__(self, *images):
        """Images of one size -> the same resized."""
        height, width = self.target(*images[0].shape[:2])
        return tuple(resize(image, height, width, self.method) for image in images)

    def target(self, height, width):
        if self.mode == "resize_and_crop":
            return max(self.load_size, self.crop), max(self.load_size, self.crop)
        if self.mode.startswith("scale_width"):
            height, width = height * self.load_size / width, self.load_size
        if self.mode.endswith("crop"):  # an image that is too small is enlarged
            scale = max(1.0, self.crop / min(height, width))
            return round(height * scale), round(width * scale)
        return tuple(max(1, round(side / self.multiple)) * self.multiple for side in (height, width))


def resize(image, height, width, method="bicubic"):
    if image.shape[:2] == (height, width):
        return image
    resized = tf.image.resize(image, (height, width), method, antialias=method == "bicubic")
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, np.iinfo(image.dtype).max), image.dtype).numpy()


def cut(image, size, draws):
    """A crop of size x size, at draws[0] and draws[1] of what there is room for, mirrored left and right if draws[2] is below 1/2."""
    if size:
        top, left = (math.floor(draw * (side - size + 1)) for draw, side in zip(draws, image.shape[:2], strict=False))
        image = image[top : top + size, left : left + size]
    return image[:, ::-1] if draws[2] < 0.5 else image


def to_float(image):
    """uint8 or uint16 -> float32 in [-1, 1]."""
    return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max / 2) - np.float32(1.0)


# --- where images come from


def facade_sources(config, fit, channels, kind):
    """Our own facades: x their label maps, y their photographs; test pairs have a seed of their own."""
    if channels != (3, 3):
        raise UserError(f"facades_synthetic has 3 channels, received x_channels={channels[0]} and y_channels={channels[1]}")
    test = config.split == "test"
    count = config.limit or (HELD_OUT if test else FACADES)
    size = fit.target(fit.load_size, fit.load_size)[0]

    def pair(index):
        return swapped(facades.pair(index, size, seed=int(test)), config.direction)

    if kind == "pairs":
        return [Source("pairs", range(count), pair, config.cache_gb)]
    second = range(count) if test else range(count, 2 * count)  # the test shows both sides of the same facades
    return [
        Source("x", range(count), lambda index: pair(index)[:1], config.cache_gb),
        Source("y", second, lambda index: pair(index)[1:], config.cache_gb),
    ]


def folder_sources(config, fit, channels, kind):
    """Folders of pictures: see `find`."""
    a, b, together = find(config, kind)
    first, second = channels if config.direction == "xy" else channels[::-1]

    def read_side_by_side(path):
        both = folders.read(path, max(channels))
        if both.shape[1] % 2:
            raise ValueError(f"side by side means an even width, received {both.shape[1]}x{both.shape[0]}")
        return np.split(both, 2, axis=1)

    def decode_a(path):
        return fit(folders.read(path, first))

    def decode_b(path):
        return fit(folders.read(path, second))

    def derived(path):
        (photo,) = fit(folders.read(path, second))
        return derive(photo, config.derive, first), photo

    def side_by_side(path):
        left, right = read_side_by_side(path)
        return fit(as_channels(left, first), as_channels(right, second))

    def by_name(paths):
        left, right = folders.read(paths[0], first), folders.read(paths[1], second)
        if left.shape[:2] != right.shape[:2]:
            raise ValueError(f"its pair {paths[1]} has another size, {right.shape[1]}x{right.shape[0]}")
        return fit(left, right)

    limit = config.limit or None
    if together:
        decode = {"derived": derived, "side by side": side_by_side, "by name": by_name}[together]
        return [Source("pairs", a[:limit], lambda entry: swapped(decode(entry), config.direction), config.cache_gb)]
    sources = [Source("x", a[:limit], decode_a, config.cache_gb), Source("y", b[:limit], decode_b, config.cache_gb)]
    return sources if config.direction == "xy" else sources[::-1]


def find(config, kind):
    """The files of a split: (files of A, files of B, None) for heaps, or (entries of pairs, None, how they are made).

    Layouts, by what is there: data.derive makes pairs of single photographs; data.path and data.path_y are A and B; data.path has
    trainA, trainB, testA, testB; or A and B; else its pictures are pairs side by side. Pairs of two folders share the file's name
    but for the suffix. Without a folder for tests (test, val or valid) a share of data.holdout is set aside.
    """
    root = pathlib.Path(config.path)
    if not config.path or not root.is_dir():
        raise UserError(f"data.path must be a folder of pictures, received data.path={config.path!r}")
    if config.derive or not (config.path_y or (root / "trainA").is_dir() or (root / "A").is_dir()):
        if kind == "domains" and not config.derive:
            raise UserError(
                "two domains are needed: a folder with trainA and trainB (or A and B), or data.path and data.path_y, received "
                f"data.path={config.path!r}"
            )
        entries = of_split(root, config)
        if kind == "pairs":
            return entries, None, "derived" if config.derive else "side by side"
        raise UserError(f"data.derive makes pairs, which CycleGAN does not take, received data.derive={config.derive!r}")
    if config.path_y:
        a, b = root, pathlib.Path(config.path_y)
        if not b.is_dir():
            raise UserError(f"data.path_y must be a folder of pictures, received data.path_y={config.path_y!r}")
    else:
        a, b = (root / "trainA", root / "trainB") if (root / "trainA").is_dir() else (root / "A", root / "B")
        if not b.is_dir():
            raise UserError(f"{a.name} needs a folder {b.name} beside it, received data.path={config.path!r}")
        if a.name == "trainA":
            found = [(root / f"{name}A", root / f"{name}B") for name in ("test", "val", "valid")]
            test = next((pair for pair in found if pair[0].is_dir() and pair[1].is_dir()), None)
            if test:
                a, b = test if config.split == "test" else (a, b)
                config = dataclasses.replace(config, holdout=0.0, split="train")
    if kind == "pairs":
        files_b = {name_within(b, path): path for path in folders.pictures_in(b)}
        pairs = [(path, files_b[name_within(a, path)]) for path in folders.pictures_in(a) if name_within(a, path) in files_b]
        if not pairs:
            raise UserError(f"no file of {a} has one of the same name in {b}, so there are no pairs")
        return of_holdout(pairs, config), None, "by name"
    return of_split(a, config), of_split(b, config), None


def of_split(root, config):
    """The pictures of a folder for the split: of its own sub-folder, or a share of all."""
    tests = [root / name for name in ("test", "val", "valid") if (root / name).is_dir()]
    if (root / "train").is_dir() and tests:
        return folders.pictures_in(tests[0] if config.split == "test" else root / "train")
    return of_holdout(folders.pictures_in(root / "train" if (root / "train").is_dir() else root), config)


def of_holdout(entries, config):
    """The entries, but for a share of data.holdout (drawn by a fixed seed); for the test split that share."""
    chosen = np.random.default_rng(0).permutation(len(entries))
    held_out = math.ceil(config.holdout * len(entries)) if len(entries) > 1 else 0
    if config.split == "test" and not held_out:
        raise UserError(f"there are no test pictures: a folder test, or data.holdout above 0, is needed, received {config.path!r}")
    keep = set(chosen[:held_out]) if config.split == "test" else set(chosen[held_out:])
    return [entry for i, entry in enumerate(entries) if i in keep]


def name_within(folder, path):
    return path.relative_to(folder).with_suffix("").as_posix()


def prepared_sources(config, fit, channels, kind):
    """The unpaired domains of tensorflow-datasets' cycle_gan."""
    if kind == "pairs":
        raise UserError(f"{config.dataset} has no pairs: use a CycleGAN preset, received data.dataset={config.dataset!r}")
    sources = []
    for letter, wanted in zip("AB", channels if config.direction == "xy" else channels[::-1], strict=True):
        images = prepared.read_domain(config.dataset, config.path, f"{config.split}{letter}")[: config.limit or None]
        sources.append(Source(letter, images, lambda image, wanted=wanted: fit(as_channels(image, wanted)), config.cache_gb))
        sources[-1].entries = range(len(images))
    return sources if config.direction == "xy" else sources[::-1]


def swapped(pair, direction):
    return tuple(pair) if direction == "xy" else tuple(pair[::-1])


def as_channels(image, channels):
    """Grey <-> RGB."""
    if image.shape[-1] == channels:
        return image
    if channels == 1 and image.shape[-1] == 3:
        return np.round(image @ np.array([0.299, 0.587, 0.114])).astype(image.dtype)[..., None]
    if channels == 3 and image.shape[-1] == 1:
        return image.repeat(3, axis=-1)
    raise ValueError(f"it has {image.shape[-1]} channels where {channels} are needed")


# --- pairs from single photographs


def derive(photo, how, channels):
    """What a photograph is to be made from again: its grey values, its edges, or itself at a quarter of the size.

    Args:
        photo: uint8 (h, w, 1 or 3).
        how: grey, edges or lowres.
        channels: of the result, 1 or 3.

    Returns:
        uint8 (h, w, channels).
    """
    if how == "lowres":
        height, width = photo.shape[:2]
        small = resize(photo, max(1, height // 4), max(1, width // 4))
        return as_channels(resize(small, height, width), channels)
    grey = as_channels(photo, 1)
    if how == "edges":  # dark lines where the smoothed brightness changes fast
        smooth = np.asarray(Image.fromarray(grey[..., 0]).filter(ImageFilter.GaussianBlur(1.0)), np.float32)
        slope = np.hypot(*np.gradient(smooth))
        grey = (255.0 * (1.0 - np.clip(slope / 40.0, 0.0, 1.0))).round().astype(np.uint8)[..., None]
    return as_channels(grey, channels)


# --- batches


def batches(data, config, seed, batch_size, first_epoch=0, *, steps_per_epoch, shard=0, shards=1):
    """An endless stream of batches (x, y), from the start of an epoch on; see `tfgan_zoo.data.batches`.

    The two heaps of unpaired domains have orders of their own; in an epoch every image of the larger one is seen.

    Returns:
        `tf.data.Dataset` of pairs of float32 (batch_size / shards, s, s, c) in [-1, 1].
    """
    part = batch_size // shards
    epoch_size = steps_per_epoch * batch_size
    seed = int(seed) % 2**31

    def indices(epoch):
        """(steps_per_epoch, part, number of sources), and the numbers of the steps."""
        columns = [order(len(source), epoch_size, (seed + 0x9E3779B1 * i) % 2**31, epoch) for i, source in enumerate(data.sources)]
        mine = tf.reshape(tf.stack(columns, -1), (steps_per_epoch, batch_size, -1))[:, shard * part : (shard + 1) * part]
        steps = epoch * steps_per_epoch + tf.range(steps_per_epoch, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices((mine, steps))

    def gather(chosen, draws):
        x, y = [], []
        for rows, draw in zip(chosen, draws, strict=True):
            if not config.flip:
                draw[:, 2] = 1.0
            images = [cut(image, data.size, draw[i]) for i, source in enumerate(data.sources) for image in source[rows[i]]]
            x.append(to_float(images[0]))
            y.append(to_float(images[1]))
        return np.stack(x), np.stack(y)

    def fetch(chosen, step):
        # drawn for the whole global batch, so that an image's draws do not depend on the shards
        shape = (batch_size, len(data.sources), 3)
        draws = tf.random.stateless_uniform(shape, tf.stack([seed ^ 0x6175676D, step]))[shard * part : (shard + 1) * part]
        x, y = tf.numpy_function(gather, [chosen, draws], (tf.float32, tf.float32))
        side = data.size or None
        return tf.ensure_shape(x, (part, side, side, data.channels[0])), tf.ensure_shape(y, (part, side, side, data.channels[1]))

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    dataset = tf.data.Dataset.range(first_epoch, 2**31 - 1).flat_map(indices)
    dataset = dataset.map(fetch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)
