"""Datasets by name: decode images of any source to the size and channels of a model."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from tfgan_zoo.data import (
    builtin_images,
    domains,
    emoji,
    image_file,
    image_folder,
    pipeline,
    tfds,
    transforms,
)
from tfgan_zoo.data.clusters import ImageClusters
from tfgan_zoo.errors import UserError, check_choice, check_range, join_names

NUM_PHOTOGRAPH_CROPS = 400  # images of photographs unless data.limit is set


@dataclasses.dataclass
class ImageData(pipeline.LoadedData):
    """Square images of one size: in memory, or as files that are decoded in every epoch."""

    name: str
    images: np.ndarray | None  # uint8 (n, s, s, c); None: decode `files`
    labels: np.ndarray | None  # int64 (n,), or float32 (n, k) for vectors
    classes: list  # names of the classes, or of the vectors' entries
    files: list | None = None
    shape: tuple = ()  # (s, s, c)
    label_advice: str = ""  # why a folder has no labels, and what to do
    clusters: ImageClusters | None = None  # the clusters that the labels stand for, if they do

    @property
    def sizes(self):
        return [len(self.files if self.images is None else self.images)]

    @property
    def description(self):
        kind = "classes" if self.labels is None or self.labels.ndim == 1 else "labels per image"
        classes = f", {len(self.classes)} {kind}" if self.classes else ""
        if self.clusters:
            classes = f", {self.clusters.count} clusters"
        place = "in memory" if self.images is not None else "decoded in every epoch"
        shape = "x".join(map(str, self.shape))
        return f"{self.name}: {len(self):,} images{classes}, {shape}, {place}"

    def evaluation_images(self, i):
        """Return image i without augmentation: a tuple of one uint8 (s, s, c)."""
        return (self.decode(self.files[i]) if self.images is None else self.images[i],)

    def decode(self, path):
        try:
            return image_file.decode_square(path, self.shape[0], self.shape[2])
        except image_file.ImageError as error:
            raise UserError(
                f"an image can no longer be read: {path} ({error}). Train again without it."
            ) from None

    def batch_loader(self, config, batch_size, labels):
        """See `LoadedData.batch_loader`: batches of float32 (batch_size, s, s, c) in [-1, 1]."""
        # Create the constants outside of the traced function: a graph holds at most 2 GB.
        with tf.device("/cpu:0"):  # the accelerator is for the model
            items = tf.constant(self.files if self.images is None else self.images)
            all_labels = tf.constant(np.zeros(0, np.int64) if self.labels is None else self.labels)

        def decode(path):
            return tf.numpy_function(lambda path: self.decode(path.decode()), [path], tf.uint8)

        def load_batch(indices, draw):
            rows = indices[:, 0]
            images = tf.gather(items, rows)
            if self.images is None:
                images = tf.map_fn(decode, images, fn_output_signature=tf.uint8)
            images = transforms.to_float(tf.ensure_shape(images, (batch_size, *self.shape)))
            images = pipeline.augment(images, config, draw)
            return (images, tf.gather(all_labels, rows)) if labels else images

        return load_batch


def load_digits(config, image_size, channels):
    """Load scikit-learn's handwritten digits, with a margin of one pixel.

    They are the test set of UCI's Optical Recognition of Handwritten Digits: 1,797 images of 8x8
    pixels and 17 gray levels.
    """
    if config.split != "train":
        raise UserError(f"digits has no test split: set data.split=train, got {config.split!r}.")
    from sklearn.datasets import load_digits as load_sklearn_digits

    digits = load_sklearn_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    images = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))  # strokes touch the border
    labels, classes = digits.target.astype(np.int64), [str(i) for i in range(10)]
    return to_image_data(config, images, labels, classes, image_size, channels)


def load_tfds(config, image_size, channels):
    """Load a dataset of tensorflow-datasets from its directory data.path."""
    arrays = tfds.load_arrays(config.dataset, config.path, config.split)
    return to_image_data(config, *arrays, image_size, channels)


def to_image_data(config, images, labels, classes, image_size, channels):
    """Return `ImageData` of arrays: cropped and resized to the model's size, up to data.limit.

    Args:
        config: A `DataConfig`.
        images: uint8 (n, h, w, c), c 1 or 3.
        labels: int64 (n,).
        classes: Names of the classes.
        image_size: Pixels of a side of the square result.
        channels: 1 or 3.
    """
    count, block = config.limit or len(images), 4096
    blocks = [
        transforms.crop_and_resize(images[i : min(i + block, count)], image_size, channels).numpy()
        for i in range(0, min(count, len(images)), block)
    ]
    images = np.concatenate(blocks)
    return ImageData(config.dataset, images, labels[: len(images)], classes, shape=images.shape[1:])


def load_stacked_mnist(config, image_size, channels):
    """Load MNIST digits stacked in threes, one per channel: 1,000 classes (Metz et al. 2017).

    A fixed seed determines which digits are stacked.
    """
    if channels != 3:
        raise UserError(f"stacked_mnist has 3 channels, got model.channels={channels}.")
    images, labels, _ = tfds.load_arrays("mnist", config.path, config.split)
    orders = [np.random.default_rng(channel).permutation(len(images)) for channel in range(3)]
    images = np.concatenate([images[order] for order in orders], axis=-1)
    labels = sum(labels[order] * 10**channel for channel, order in enumerate(orders))
    classes = [f"{i:03}"[::-1] for i in range(1000)]
    return to_image_data(config, images, labels, classes, image_size, channels)


def load_folder(config, image_size, channels):
    """Load the images in the folder data.path.

    Labels come from labels.csv or from the subfolders, see `image_folder.list_labeled_images`.

    Raises:
        UserError: There are no images.
    """
    paths, labels, classes, advice = image_folder.list_labeled_images(config.path, config.split)
    paths = paths[: config.limit or None]
    shape = (image_size, image_size, channels)
    in_memory = len(paths) * np.prod(shape) <= config.cache_gb * 2**30
    images, readable = image_folder.decode_all(paths, image_size, channels, keep=in_memory)
    if labels is not None and labels.ndim == 1:
        unreadable = sorted({*labels[: len(paths)]} - {*labels[readable]})
        if unreadable:
            names = join_names([classes[i] for i in unreadable])
            labels, classes = None, []
            advice = (
                f"The images of some classes cannot be read: {names}. Replace the images, or "
                "delete these folders."
            )
    labels = None if labels is None else labels[readable]
    files = [str(paths[i]) for i in readable]
    return ImageData("folder", images, labels, classes, files, shape, advice)


def load_photographs(config, image_size, channels):
    """Load random crops of the photographs that come with scikit-learn, see `builtin_images`.

    There are 400 unless data.limit is set.
    """
    if channels != 3:
        raise UserError(f"photographs has 3 channels, got model.channels={channels}.")
    if config.split != "train":
        raise UserError(
            f"photographs has no test split: set data.split=train, got {config.split!r}."
        )
    check_range(0, domains.MAX_SYNTHETIC, **{"data.limit": config.limit})
    count = config.limit or NUM_PHOTOGRAPH_CROPS
    images = np.stack([builtin_images.photograph_crop(i, image_size) for i in range(count)])
    return ImageData("photographs", images, None, [], shape=images.shape[1:])


def load_emoji(config, image_size, channels):
    """Load emoji in one design, with their categories as classes, see `emoji`."""
    data, design = emoji.load(config.path, config.split), config.dataset.partition("/")[2]
    images = getattr(data, design)
    return to_image_data(config, images, data.labels, data.classes, image_size, channels)


DATASETS = {  # of single images; domains.py has those of two domains
    "digits": load_digits,
    "mnist": load_tfds,
    "fashion_mnist": load_tfds,
    "cifar10": load_tfds,
    "stacked_mnist": load_stacked_mnist,
    "photographs": load_photographs,
    "emoji/noto": load_emoji,
    "emoji/twemoji": load_emoji,
    "folder": load_folder,
}
WITH_TEST_SPLIT = (
    *("mnist", "fashion_mnist", "cifar10", "stacked_mnist"),
    *("emoji/noto", "emoji/twemoji"),
)

LICENSES = {
    "digits": "CC BY 4.0 (E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI)",
    "mnist": "CC BY-SA 3.0 as usually given (Y. LeCun, C. Cortes, C. Burges)",
    "stacked_mnist": "CC BY-SA 3.0 as usually given (Y. LeCun, C. Cortes, C. Burges)",
    "fashion_mnist": "MIT (Zalando Research)",
    "cifar10": "none stated by the authors (A. Krizhevsky, 2009)",
    "facades_synthetic": "MIT (drawn by tfgan_zoo)",
    "photographs": "CC BY 2.0 (danielbuechele, vultilion), styles drawn by tfgan_zoo",
    "emoji": "; ".join(emoji.LICENSES.values()),
    **{f"emoji/{design}": license for design, license in emoji.LICENSES.items()},
}


def prepare(name, source, data_dir=""):
    """Prepare a dataset from its original files, without a network connection.

    Args:
        name: mnist, fashion_mnist, cifar10 or emoji.
        source: The folder that has the original files.
        data_dir: The tensorflow-datasets directory; "" for its default.

    Returns:
        Text that says what was prepared, and where.

    Raises:
        UserError: The name is unknown, or files are missing or damaged.
    """
    check_choice("name", name, (*tfds.ORIGINAL_FILES, "emoji"))
    if name == "emoji":
        return emoji.prepare(source, data_dir)
    return tfds.prepare(name, source, data_dir)


def load_images(config, image_size, channels):
    """Load the images of `config.dataset`, decoded to the model's size.

    Args:
        config: A `DataConfig`.
        image_size: Pixels of a side; images are square.
        channels: 1 or 3.

    Returns:
        `ImageData`.

    Raises:
        UserError: The dataset is unknown, has no image that can be read, or the number of channels
            is not 1 or 3.
    """
    check_choice("data.dataset", config.dataset, DATASETS)
    if channels not in (1, 3):
        raise UserError(
            f"model.channels must be 1 (gray) or 3 (RGB) for datasets, got {channels}. "
            "Transparent images are composited on white."
        )
    splits = ("train", "test", "val") if config.dataset == "folder" else ("train", "test")
    check_choice("data.split", config.split, splits)
    data = DATASETS[config.dataset](config, image_size, channels)
    if config.clusters:
        data = with_cluster_labels(data, config, image_size, channels)
    if config.binarize == "static":
        if data.images is None:
            raise UserError(
                "data.binarize=static needs the images in memory, "
                f"got data.cache_gb={config.cache_gb}. "
                "Increase data.cache_gb or use data.binarize=resampled."
            )
        data.images = transforms.binarize(data.images, config.binarize_seed)
    return data


def with_cluster_labels(data, config, image_size, channels):
    """Return `ImageData` whose labels are the nearest clusters of the training images.

    Args:
        data: `ImageData` of `config.split`.
        config: A `DataConfig`. The clusters are those of its training split, without binarization.
        image_size: Pixels of a side.
        channels: 1 or 3.

    Raises:
        UserError: The images do not fit in memory, or there are fewer than clusters.
    """
    training = data
    if config.split != "train":
        train = dataclasses.replace(config, split="train", clusters=0, binarize="none")
        training = load_images(train, image_size, channels)
    if data.images is None or training.images is None:
        raise UserError(
            "data.clusters needs the images in memory: increase data.cache_gb, or use fewer with "
            f"data.limit, got data.cache_gb={config.cache_gb}."
        )
    clusters = ImageClusters(training.images, config.clusters)
    labels = clusters.labels(data.images)
    return dataclasses.replace(data, labels=labels, classes=[], clusters=clusters)


def load_held_out(experiment, training):
    """Load real images that are not trained on, with the condition that training would give them.

    Args:
        experiment: An `Experiment` of a model of single images.
        training: `ImageData`, its training images.

    Returns:
        `ImageData` of the test split. None without a test split, if training uses it, or if the
        images of a batch are binarized.
    """
    config, model = experiment.data, experiment.model
    if config.dataset not in WITH_TEST_SPLIT or config.split != "train":
        return None
    if config.binarize == "resampled":
        return None
    test = load_single_images(dataclasses.replace(config, split="test", clusters=0), model)
    if training.clusters is None:
        return test
    labels = training.clusters.labels(test.images)
    return dataclasses.replace(test, labels=labels, classes=[], clusters=training.clusters)


def load_for_experiment(experiment):
    """Load the training data of an experiment.

    Args:
        experiment: An `Experiment`.

    Returns:
        `ImageData`, or `domains.Domains` for models of two domains.

    Raises:
        UserError: See `load_images` and `domains.load_domains`.
    """
    return LOADERS[experiment.data_kind](experiment.data, experiment.model)


def load_evaluation_images(experiment, split, limit, kind=None):
    """Load images without random augmentation, for evaluation and sample grids.

    Training resizes pairs and domains to slightly more than the crop. Here they are resized to the
    crop itself, as in the authors' code.

    Args:
        experiment: An `Experiment` of a model whose input are images.
        split: train, val or test. Models of single images use the training split.
        limit: Maximum number of images.
        kind: A `data_kind` ("pairs" or "domains") to use instead of the model's.

    Returns:
        `ImageData` or `domains.Domains`, for their `evaluation_images(i)`.
    """
    kind = kind or experiment.data_kind
    config = EVALUATION_CONFIGS[kind](experiment.data, experiment.model, split)
    return LOADERS[kind](dataclasses.replace(config, limit=limit), experiment.model)


def load_single_images(config, model):
    return load_images(config, model.image_size, model.channels)


def resize_to_crop(config, model, split):
    size = config.load_size or model.image_size
    return dataclasses.replace(config, split=split, load_size=size)


LOADERS = {  # ModelConfig.data_kind: function (config, model) -> LoadedData
    "images": load_single_images,
    "pairs": functools.partial(domains.load_domains, kind="pairs"),
    "domains": functools.partial(domains.load_domains, kind="domains"),
}
EVALUATION_CONFIGS = {  # ModelConfig.data_kind: function (config, model, split) -> DataConfig
    "images": lambda config, model, split: config,  # most of these datasets have no test split
    "pairs": resize_to_crop,
    "domains": resize_to_crop,
}
