"""Where images come from, and how they reach a model: bytes -> uint8 -> float32 in [-1, 1], as a `tf.data.Dataset`.

A batch is a function of (seed, epoch, position) alone, so a resumed run sees what an uninterrupted one would have seen, and several
workers see together what one would have seen alone.
"""

import dataclasses

import numpy as np

from tfgan_zoo.data import builtin_images, domains, image_folder, tfds, transforms
from tfgan_zoo.errors import UserError, check_choice


@dataclasses.dataclass
class ImageData:
    """Decoded images, or the files to decode in every epoch where they do not fit in memory."""

    name: str
    images: np.ndarray | None  # uint8 (n, s, s, c)
    labels: np.ndarray | None  # int64 (n,), or float32 (n, k) for vectors
    classes: list  # names of the classes, or of the vectors' entries
    files: list | None = None
    shape: tuple = ()  # (s, s, c)

    def __len__(self):
        return len(self.files if self.images is None else self.images)

    def evaluation_images(self, i):
        """Image i as it is: a tuple of one uint8 (s, s, c)."""
        return (
            self.images[i]
            if self.images is not None
            else image_folder.decode_square(self.files[i], self.shape[0], self.shape[2]),
        )

    @property
    def description(self):
        kind = "classes" if self.labels is None or self.labels.ndim == 1 else "labels an image"
        classes = f", {len(self.classes)} {kind}" if self.classes else ""
        place = "in memory" if self.images is not None else "decoded in every epoch"
        return (
            f"{self.name}: {len(self):,} images{classes}, {'x'.join(map(str, self.shape))}, {place}"
        )


def load_digits(config, image_size, channels):
    """scikit-learn's real handwritten digits: 1,797 of 8x8 pixels and 17 levels (UCI's Optical Recognition, test set), with a margin."""
    if config.split != "train":
        raise UserError(f"digits has no test split, received data.split={config.split!r}")
    from sklearn.datasets import load_digits as bundled

    digits = bundled()
    levels = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    levels = np.pad(levels, ((0, 0), (1, 1), (1, 1), (0, 0)))  # their strokes touch the border
    return to_image_data(
        config,
        levels,
        digits.target.astype(np.int64),
        [str(i) for i in range(10)],
        image_size,
        channels,
    )


def load_tfds(config, image_size, channels):
    """A data set of tensorflow-datasets; data.path is its directory."""
    return to_image_data(
        config, *tfds.load_arrays(config.dataset, config.path, config.split), image_size, channels
    )


def to_image_data(config, images, labels, classes, image_size, channels):
    end = config.limit or len(images)
    parts = [
        transforms.crop_and_resize(images[i : min(i + 4096, end)], image_size, channels).numpy()
        for i in range(0, min(end, len(images)), 4096)
    ]
    images = np.concatenate(parts)
    return ImageData(config.dataset, images, labels[: len(images)], classes, shape=images.shape[1:])


def load_stacked_mnist(config, image_size, channels):
    """MNIST's digits in threes, one in each channel, 1,000 classes (Metz et al. 2017); which ones is drawn by a fixed seed."""
    if channels != 3:
        raise UserError(f"stacked_mnist has 3 channels, received model.channels={channels}")
    images, labels, _ = tfds.load_arrays("mnist", config.path, config.split)
    orders = [np.random.default_rng(channel).permutation(len(images)) for channel in range(3)]
    stacked = np.concatenate([images[order] for order in orders], axis=-1)
    combined = sum(labels[order] * 10**channel for channel, order in enumerate(orders))
    return to_image_data(
        config, stacked, combined, [f"{i:03}"[::-1] for i in range(1000)], image_size, channels
    )


def load_folder(config, image_size, channels):
    """A folder of pictures; data.path is the folder, sub-folders are classes, or a labels.csv has vectors."""
    paths, labels, classes = image_folder.list_labeled_images(config.path)
    paths = paths[: config.limit or None]
    fits = len(paths) * image_size * image_size * channels <= config.cache_gb * 2**30
    images, good = image_folder.decode_all(paths, image_size, channels, keep=fits)
    files = [str(paths[i]) for i in good]
    return ImageData(
        "folder",
        images,
        labels[good] if labels is not None else None,
        classes,
        files,
        (image_size, image_size, channels),
    )


def load_photographs(config, image_size, channels):
    """Pieces of the two photographs that come with scikit-learn (see embedded.py), 400 unless data.limit says otherwise."""
    if channels != 3 or config.split != "train":
        raise UserError(
            f"photographs has 3 channels and no test split, received channels={channels}, data.split={config.split!r}"
        )
    images = np.stack(
        [builtin_images.photograph_crop(i, image_size) for i in range(config.limit or 400)]
    )
    return ImageData("photographs", images, None, [], shape=images.shape[1:])


DATASETS = {  # of images; those of two domains are in domains.py
    "digits": load_digits,
    "mnist": load_tfds,
    "fashion_mnist": load_tfds,
    "cifar10": load_tfds,
    "stacked_mnist": load_stacked_mnist,
    "photographs": load_photographs,
    "folder": load_folder,
}
WITH_TEST_SPLIT = ("mnist", "fashion_mnist", "cifar10", "stacked_mnist")

LICENSES = {
    "digits": "CC BY 4.0 (E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI)",
    "mnist": "CC BY-SA 3.0 as usually given (Y. LeCun, C. Cortes, C. Burges)",
    "stacked_mnist": "CC BY-SA 3.0 as usually given (Y. LeCun, C. Cortes, C. Burges)",
    "fashion_mnist": "MIT (Zalando Research)",
    "cifar10": "none stated by the authors (A. Krizhevsky, 2009)",
    "facades_synthetic": "MIT (drawn by tfgan_zoo)",
    "photographs": "CC BY 2.0 (danielbuechele, vultilion), styles drawn by tfgan_zoo",
}


def load_for_experiment(experiment):
    """The data of an experiment as its model wants it: `ImageData`, or `domains.Domains` for translation."""
    if experiment.data_kind == "images":
        return load_images(experiment.data, experiment.model.image_size, experiment.model.channels)
    return domains.load_domains(experiment.data, experiment.model, experiment.data_kind)


def load_evaluation_images(experiment, split, limit, kind=None):
    """Images of a model's data to look at or to measure, with `evaluation_images(i)`, which neither crops at random nor mirrors: `domains.Domains`, or
    for a model of single images `ImageData`.

    Where training resizes to a little more than the crop, these are resized to the crop itself (as in the authors' code).

    Args:
        experiment: an `Experiment` of a model that makes images of images.
        split: train, val or test.
        limit: how many at most.
        kind: "pairs" or "domains"; the model's where missing.
    """
    if experiment.data_kind == "images":
        return load_images(
            dataclasses.replace(experiment.data, limit=limit), experiment.model.image_size, 3
        )
    size = experiment.data.load_size or experiment.model.image_size
    config = dataclasses.replace(experiment.data, split=split, limit=limit, load_size=size)
    return domains.load_domains(config, experiment.model, kind or experiment.data_kind)


def load_images(config, image_size, channels):
    """The images of `config.dataset`, decoded to the model's size.

    Args:
        config: a `DataConfig`.
        image_size: pixels, square.
        channels: 1 or 3.

    Returns:
        `ImageData`.

    Raises:
        UserError: unknown data set, no data, or none that can be read.
    """
    check_choice("data.dataset", config.dataset, DATASETS)
    check_choice("data.split", config.split, ("train", "test"))
    data = DATASETS[config.dataset](config, image_size, channels)
    if config.binarize == "static":
        if data.images is None:
            raise UserError(
                "data.binarize=static needs the images in memory: raise data.cache_gb, or use data.binarize=resampled"
            )
        data.images = transforms.binarize(data.images, config.binarize_seed)
    return data
