"""Images of two domains for translation: pairs, or two heaps without pairs. They are decoded and resized once, cropped and mirrored anew
in every epoch.

An item of a source is a tuple of images of one height and width: (x, y) of pairs, (x,) or (y,) of a heap. Images are uint8, or uint16
where a file has 16 bits a pixel, until a batch is made.
"""

import concurrent.futures
import dataclasses
import logging
import math
import pathlib

import numpy as np
import tensorflow as tf
from PIL import Image, ImageFilter

from tfgan_zoo.data import builtin_images, facades, image_folder, tfds
from tfgan_zoo.data.pipeline import LoadedData
from tfgan_zoo.data.transforms import resize, to_float_array
from tfgan_zoo.errors import UserError, first_line

NUM_FACADES = 400  # training pairs of facades_synthetic unless data.limit says otherwise, as many as CMP's facades
NUM_CROPS = 120  # training images of photographs, and styles, unless data.limit says otherwise
NUM_TEST_FACADES = 100  # test pairs of facades_synthetic
LOAD_SCALE = 286 / 256  # the size to resize to for a crop of 1 (Isola et al. 2016, section 6.2)
TEST_FOLDERS = ("test", "val", "valid")  # what a folder of test pictures may be called


class CachedItems:
    """Items that `decode` makes of entries (in several threads): kept if they fit in memory, else made again in every epoch."""

    def __init__(self, name, entries, decode, cache_gb):
        self.name, self.entries, self.decode = name, [], decode
        items, size, bad = [], 0, []
        with (
            concurrent.futures.ThreadPoolExecutor() as pool
        ):  # all are tried now, so that a broken file is no surprise in the night
            for entry, (item, problem) in zip(
                entries, pool.map(self.attempt, entries), strict=True
            ):
                if problem:
                    bad.append(problem)
                    continue
                self.entries.append(entry)
                size += sum(image.nbytes for image in item)
                if size <= cache_gb * 2**30:
                    items.append(item)
                else:
                    items.clear()
        image_folder.warn_unreadable(bad, len(self.entries))
        self.in_memory = size <= cache_gb * 2**30
        if self.in_memory:
            self.entries, self.decode = items, lambda item: item

    def attempt(self, entry):
        try:
            return self.decode(entry), None
        except image_folder.UNREADABLE as error:
            file = entry[0] if isinstance(entry, tuple) else entry
            return None, f"{file} ({first_line(error)})"

    def __len__(self):
        return len(self.entries)

    def __getitem__(self, i):
        return self.decode(self.entries[i])


@dataclasses.dataclass
class Domains(LoadedData):
    """One source of pairs, or a source for each domain."""

    name: str
    sources: tuple
    channels: tuple  # of x and y
    size: int  # of a crop; 0: images keep their sizes
    labels = None
    classes = ()

    @property
    def paired(self):
        return len(self.sources) == 1

    @property
    def sizes(self):
        return [len(source) for source in self.sources]

    @property
    def description(self):
        counts = " and ".join(f"{len(source):,}" for source in self.sources)
        shape = f"{self.size}x{self.size}" if self.size else "of their own sizes"
        place = (
            "in memory"
            if all(source.in_memory for source in self.sources)
            else "decoded in every epoch"
        )
        return f"{self.name}: {counts} {self.sources[0].name}, {shape}, {self.channels[0]} to {self.channels[1]} channels, {place}"

    def evaluation_images(self, i):
        """Item i, not mirrored, cropped at the centre: x and y, each uint8 (or uint16) (h, w, c)."""
        images = [image for source in self.sources for image in source[i % len(source)]]
        return tuple(crop_and_flip(image, self.size, (0.5, 0.5, 1.0)) for image in images)

    def batch_loader(self, config, batch_size, labels):
        """See `LoadedData.batch_loader`: batches of pairs (x, y), and no labels.

        x and y are float32 (batch_size, s, s, c) in [-1, 1].
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
        received = f"rotate={config.rotate}, zoom={config.zoom}, binarize={config.binarize}"
        raise UserError(
            f"rotate, zoom and binarize are not for translation (crops and data.flip are), received {received}"
        )
    if (config.derive or config.path_y) and config.dataset != "folder":
        raise UserError(
            f"data.derive and data.path_y are for folders: set data.dataset=folder, received data.dataset={config.dataset}"
        )
    channels = (model.x_channels, model.y_channels)
    crops = config.preprocess.endswith("crop")
    if crops and 0 < config.load_size < model.image_size:
        raise UserError(
            f"crops of {model.image_size} pixels need at least as large a data.load_size, received {config.load_size}"
        )
    if (
        not crops and kind == "domains"
    ):  # CycleGAN keeps a history of images, and passes x and y together
        received = f"data.preprocess={config.preprocess}"
        raise UserError(
            f"unpaired images need crops of one size: resize_and_crop, crop or scale_width_and_crop, received {received}"
        )
    if not crops and config.batch_size != 1:
        raise UserError(
            f"images of different sizes need data.batch_size=1, received data.preprocess={config.preprocess}"
        )
    if config.derive and not set(channels) <= {1, 3}:
        raise UserError(
            f"data.derive is for grey and RGB, received x_channels={channels[0]} and y_channels={channels[1]}"
        )
    fit = Resize(
        config.preprocess,
        config.resize,
        config.load_size or round(model.image_size * LOAD_SCALE),
        model.image_size,
        model.multiple,
    )
    if config.dataset == "facades_synthetic":
        sources = facade_items(config, fit, channels, kind)
    elif config.dataset == "photographs":
        sources = photograph_items(config, fit, channels, kind)
    elif config.dataset == "folder":
        sources = folder_items(config, fit, channels, kind)
    elif config.dataset.startswith("cycle_gan/"):
        sources = tfds_items(config, fit, channels, kind)
    else:
        names = "facades_synthetic, photographs, folder or cycle_gan/..."
        raise UserError(
            f"translation needs a data set of two domains: {names}, received data.dataset={config.dataset!r}"
        )
    return Domains(config.dataset, sources, channels, model.image_size if crops else 0)


# --- what to do with an image before it is cropped


@dataclasses.dataclass(frozen=True)
class Resize:
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
            return self.load_size, self.load_size
        if self.mode.startswith("scale_width"):
            height, width = height * self.load_size / width, self.load_size
        if self.mode.endswith("crop"):  # an image that is too small is enlarged
            scale = max(1.0, self.crop / min(height, width))
            return round(height * scale), round(width * scale)
        return tuple(
            max(1, round(side / self.multiple)) * self.multiple for side in (height, width)
        )


def crop_and_flip(image, size, draws):
    """A crop of size x size, at draws[0] and draws[1] of what there is room for, mirrored left and right if draws[2] is below 1/2."""
    if size:
        top, left = (
            math.floor(float(draw) * (side - size + 1))
            for draw, side in zip(draws, image.shape[:2], strict=False)
        )
        image = image[top : top + size, left : left + size]
    return image[:, ::-1] if draws[2] < 0.5 else image


# --- where images come from


def facade_items(config, fit, channels, kind):
    """Our own facades: x their label maps, y their photographs; test pairs have a seed of their own."""
    if channels != (3, 3):
        raise UserError(
            f"facades_synthetic has 3 channels, received x_channels={channels[0]} and y_channels={channels[1]}"
        )
    test = config.split != "train"
    town = {"train": 0, "test": 1, "val": 2}[config.split]
    count = (
        min(config.limit or NUM_TEST_FACADES, NUM_TEST_FACADES)
        if test
        else config.limit or NUM_FACADES
    )
    size = fit.target(fit.load_size, fit.load_size)[0]

    def pair(index):
        return swap_for_direction(facades.pair(index, size, seed=town), config.direction)

    if kind == "pairs":
        return [CachedItems("pairs", range(count), pair, config.cache_gb)]
    second = (
        range(count) if test else range(count, 2 * count)
    )  # the test shows both sides of the same facades
    return [
        CachedItems(
            "unpaired images", range(count), lambda index: pair(index)[:1], config.cache_gb / 2
        ),
        CachedItems("unpaired images", second, lambda index: pair(index)[1:], config.cache_gb / 2),
    ]


def photograph_items(config, fit, channels, kind):
    """For AdaIN: x pieces of two photographs, y styles drawn by us (see embedded.py)."""
    if channels != (3, 3) or kind != "domains":
        raise UserError(
            f"photographs are RGB images in two heaps, received x_channels={channels[0]}, y_channels={channels[1]} for {kind}"
        )
    seed = {"train": 0, "test": 1, "val": 2}[config.split]
    size = fit.target(fit.load_size, fit.load_size)[0]
    return [
        CachedItems(
            "unpaired images",
            range(config.limit or NUM_CROPS),
            lambda i, make=make: (make(i, size, seed),),
            config.cache_gb / 2,
        )
        for make in (builtin_images.photograph_crop, builtin_images.random_style)
    ]


def folder_items(config, fit, channels, kind):
    """Pictures in folders, where `layout` finds them. Pairs: A derived from B with data.derive; of two folders, the files of one name;
    of one folder, A on the left and B on the right of each picture."""
    channels_a, channels_b = swap_for_direction(channels, config.direction)
    found = [list_domain_images(*place, config) for place in find_folders(config)]

    def reader(wanted):
        return lambda path: fit(image_folder.read_image(path, wanted))

    def derived(path):
        (photo,) = fit(image_folder.read_image(path, channels_b))
        return derive(photo, config.derive, channels_a), photo

    def by_name(paths):
        a, b = (
            image_folder.read_image(paths[0], channels_a),
            image_folder.read_image(paths[1], channels_b),
        )
        if a.shape[:2] != b.shape[:2]:
            raise ValueError(
                f"{a.shape[1]}x{a.shape[0]}, but {paths[1]} is {b.shape[1]}x{b.shape[0]}"
            )
        return fit(a, b)

    def side_by_side(path):
        a = image_folder.read_image(path, channels_a)
        b = image_folder.read_image(path, channels_b) if channels_b != channels_a else a
        middle, rest = divmod(a.shape[1], 2)
        if rest:
            raise ValueError(
                f"side by side means an even width, received {a.shape[1]}x{a.shape[0]}"
            )
        return fit(a[:, :middle], b[:, middle:])

    if kind == "domains":
        if len(found) < 2:
            layouts = "trainA and trainB, train/A and train/B, or A and B"
            raise UserError(
                f"two domains are needed: data.path with {layouts}, or data.path_y too, received data.path={config.path!r}"
            )
        sources = [
            CachedItems(
                "unpaired images",
                hold_out(files, apart, config),
                reader(wanted),
                config.cache_gb / 2,
            )
            for (_, files, apart), wanted in zip(found, (channels_a, channels_b), strict=True)
        ]
        return swap_for_direction(sources, config.direction)
    folder, entries, _ = found[0]
    if config.derive:
        how, decode = f"pairs by data.derive={config.derive}", derived
    elif len(found) == 2:
        how, decode, entries = (
            "pairs by file name",
            by_name,
            match_by_name(folder, entries, *found[1][:2]),
        )
    else:
        how, decode = "pairs side by side", side_by_side
    entries = hold_out(entries, any(apart for *_, apart in found), config)
    return [
        CachedItems(
            how,
            entries,
            lambda entry: swap_for_direction(decode(entry), config.direction),
            config.cache_gb,
        )
    ]


def find_folders(config):
    """Where the pictures are, by what is there: [(folder, folders of its tests if there are any)] of A and B, or of all pictures."""

    def existing(name):
        folder = getattr(config, name)
        if not folder or not pathlib.Path(folder).is_dir():
            raise UserError(
                f"data.{name} must be a folder of pictures, received data.{name}={folder!r}"
            )
        return pathlib.Path(folder)

    def inside(folder):
        return folder / "train" if (folder / "train").is_dir() else folder, [
            folder / test for test in TEST_FOLDERS
        ]

    root = existing("path")
    if config.derive and config.path_y:
        raise UserError(
            f"data.derive makes x from the pictures of data.path, received data.path_y={config.path_y!r} too"
        )
    if config.derive:
        return [inside(root)]
    if config.path_y:
        other = existing("path_y")
        if root.resolve() in other.resolve().parents or other.resolve() in root.resolve().parents:
            raise UserError(
                f"neither domain may lie in the other's folder, received data.path={config.path!r}, data.path_y={config.path_y!r}"
            )
        return [inside(root), inside(other)]
    for form in ("{}{}", "{}/{}"):  # trainA or train/A
        if (root / form.format("train", "A")).is_dir():
            return [
                (
                    root / form.format("train", x),
                    [root / form.format(test, x) for test in TEST_FOLDERS],
                )
                for x in "AB"
            ]
    return [inside(root / "A"), inside(root / "B")] if (root / "A").is_dir() else [inside(root)]


def list_domain_images(folder, tests, config):
    """(the folder of the split, its pictures, whether test pictures are kept apart)."""
    preferred = tests[1:] + tests[:1] if config.split == "val" else tests
    test = next((test for test in preferred if test.is_dir()), None)
    if test and config.split != "train":
        return test, image_folder.list_images(test), True
    files = [
        path for path in image_folder.list_images(folder) if set(tests).isdisjoint(path.parents)
    ]
    if not files:
        raise UserError(f"all pictures in {folder} are test pictures")
    return folder, files, test is not None


def match_by_name(folder_a, files_a, folder_b, files_b):
    """The files of one name, but for the suffix, in both folders: [(file of A, file of B)]."""
    named = {path.relative_to(folder_b).with_suffix(""): path for path in files_b}
    names = [path.relative_to(folder_a).with_suffix("") for path in files_a]
    pairs = [
        (path, named[name]) for path, name in zip(files_a, names, strict=True) if name in named
    ]
    if not pairs:
        raise UserError(
            f"no file of {folder_a} has one of the same name in {folder_b}, so there are no pairs, {names[0]} being the first"
        )
    alone = sorted(set(names) ^ set(named))
    if alone:
        message = "%d files of %s and %s have no partner of the same name, the first being %s"
        logging.getLogger("tfgan_zoo").warning(message, len(alone), folder_a, folder_b, alone[0])
    return pairs


def hold_out(entries, apart, config):
    """The entries of the split: all if test pictures are kept apart, else without a share of data.holdout (the same ones every time), or
    that share; up to data.limit."""
    if not apart:
        count = min(math.ceil(config.holdout * len(entries)), len(entries) - 1)
        if config.split != "train" and not count:
            raise UserError(
                "there are no test pictures: a folder test, or two pictures and data.holdout above 0, are needed, received "
                f"data.path={config.path!r} and data.holdout={config.holdout}"
            )
        drawn = set(np.random.default_rng(0).permutation(len(entries))[:count].tolist())
        entries = [
            entry for i, entry in enumerate(entries) if (i in drawn) == (config.split != "train")
        ]
    return entries[: config.limit or None]


def tfds_items(config, fit, channels, kind):
    """The unpaired domains of tensorflow-datasets' cycle_gan."""
    if kind == "pairs":
        raise UserError(
            f"{config.dataset} has no pairs: use a CycleGAN preset, received data.dataset={config.dataset!r}"
        )
    if not {*channels} <= {1, 3}:
        raise UserError(
            f"{config.dataset} has 3 channels, or 1 as grey, received x_channels={channels[0]} and y_channels={channels[1]}"
        )
    sources = []
    for letter, wanted in zip("AB", swap_for_direction(channels, config.direction), strict=True):
        split = ("train" if config.split == "train" else "test") + letter
        images = tfds.load_domain(config.dataset, config.path, split)[: config.limit or None]
        sources.append(
            CachedItems(
                "unpaired images",
                images,
                lambda image, wanted=wanted: fit(convert_channels(image, wanted)),
                config.cache_gb / 2,
            )
        )
    return swap_for_direction(sources, config.direction)


def swap_for_direction(pair, direction):
    """(x, y) of (A, B), and the other way round."""
    return tuple(pair) if direction == "xy" else tuple(pair[::-1])


def convert_channels(image, channels):
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
        photo: uint8 or uint16 (h, w, 1 or 3).
        how: grey, edges or lowres.
        channels: of the result, 1 or 3.

    Returns:
        The same type, but always uint8 for edges, (h, w, channels).
    """
    if how == "lowres":
        height, width = photo.shape[:2]
        small = resize(photo, max(1, height // 4), max(1, width // 4))
        return convert_channels(resize(small, height, width), channels)
    grey = convert_channels(photo, 1)
    if how == "edges":  # dark lines where the smoothed brightness changes fast
        grey = image_folder.to_8_bits(grey)
        smooth = np.asarray(
            Image.fromarray(grey[..., 0]).filter(ImageFilter.GaussianBlur(1.0)), np.float32
        )
        slope = np.hypot(*np.gradient(smooth))
        grey = (255.0 * (1.0 - np.clip(slope / 40.0, 0.0, 1.0))).round().astype(np.uint8)[..., None]
    return convert_channels(grey, channels)
