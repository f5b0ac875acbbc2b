"""Data sets of tensorflow-datasets: read where they are prepared, downloaded or prepared from one's own files where not."""

import contextlib
import logging
import pathlib
import socket
import sys
import tempfile
import urllib.request

import numpy as np

from tfgan_zoo.errors import UserError, check_choice, first_line

IDX_FILES = [
    f"{part}-{kind}-ubyte.gz"
    for part in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
]
DOWNLOAD_HOSTS = {
    "mnist": "storage.googleapis.com",
    "fashion_mnist": "fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "cifar10": "www.cs.toronto.edu",
    "cycle_gan": "efrosgans.eecs.berkeley.edu",
}
FILES = {"mnist": IDX_FILES, "fashion_mnist": IDX_FILES, "cifar10": ["cifar-10-binary.tar.gz"]}


def import_tfds():
    """tensorflow-datasets, imported late (it takes seconds), without its progress bars and notes."""
    import tensorflow_datasets

    if not hasattr(tensorflow_datasets, "builder"):  # it swallows the error of its own import
        cure = "pip install 'tensorflow-metadata<1.18'"
        raise UserError(
            f"tensorflow-datasets does not start with the packages installed here; with TensorFlow 2.19: {cure}"
        )
    tensorflow_datasets.disable_progress_bar()
    for chatty in ("absl", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    return tensorflow_datasets


def load_arrays(name, data_dir, split):
    """A whole split.

    Args:
        name: mnist, fashion_mnist or cifar10.
        data_dir: the tensorflow-datasets directory; "" for its default.
        split: train or test.

    Returns:
        (uint8 images (n, h, w, c), int64 labels (n,), class names).

    Raises:
        UserError: not prepared, and it cannot be downloaded.
    """
    library = import_tfds()
    way_out = (
        f"tfgan-zoo data prepare {name} --from DIR with the original files {', '.join(FILES[name])}"
    )
    builder = build_dataset(library, name, data_dir, DOWNLOAD_HOSTS[name], way_out)
    count = builder.info.splits[split].num_examples
    dataset = builder.as_dataset(
        split=split, as_supervised=True, shuffle_files=False, batch_size=4096
    )
    images, labels = zip(*library.as_numpy(dataset), strict=True)
    images, labels = np.concatenate(images), np.concatenate(labels).astype(np.int64)
    if len(images) != count:
        raise UserError(
            f"{name} in {builder.data_dir} is damaged: {count} images expected, received {len(images)}"
        )
    return images, labels, builder.info.features["label"].names


def load_domain(name, data_dir, split):
    """One domain of a data set without pairs.

    Args:
        name: cycle_gan/horse2zebra, or another one of cycle_gan.
        data_dir: the tensorflow-datasets directory; "" for its default.
        split: trainA, trainB, testA or testB.

    Returns:
        A list of uint8 images (h, w, 3), always in the same order.

    Raises:
        UserError: unknown name, not prepared and it cannot be downloaded, or damaged.
    """
    library = import_tfds()
    check_choice(
        "data.dataset",
        name,
        [f"cycle_gan/{config}" for config in library.builder_cls("cycle_gan").builder_configs],
    )
    way_out = f"unpack {name.partition('/')[2]}.zip of the authors and set data.dataset=folder data.path=DIR, where it has trainA and trainB"
    builder = build_dataset(library, name, data_dir, DOWNLOAD_HOSTS["cycle_gan"], way_out)
    count = builder.info.splits[split].num_examples if split in builder.info.splits else 0
    images = (
        [
            example["image"]
            for example in library.as_numpy(builder.as_dataset(split=split, shuffle_files=False))
        ]
        if count
        else []
    )
    if len(images) != count or not count:
        raise UserError(
            f"{split} of {name} in {builder.data_path} is damaged: {count or 'some'} images expected, received {len(images)}"
        )
    return images


def build_dataset(library, name, data_dir, host, way_out):
    """The builder of a data set, downloaded if it is not prepared yet.

    Raises:
        UserError: it cannot be downloaded; the message ends with another way out.
    """
    builder = library.builder(name, data_dir=data_dir or None)
    if not builder.data_path.exists():
        try:
            if (
                not urllib.request.getproxies()
            ):  # without a network this fails at once, where the download tries for minutes
                socket.getaddrinfo(host, 443)
            with contextlib.redirect_stdout(sys.stderr):
                builder.download_and_prepare()
        except Exception as error:  # whatever the network, the host or the disk did: the user needs the two ways out
            cause = first_line(error)
            raise UserError(
                f"{name} is not prepared in {builder.data_dir} and could not be downloaded ({cause}). Connect to the network once, or: "
                f"{way_out}"
            ) from error
    return builder


def prepare(name, source, data_dir=""):
    """Prepares a data set from its original files, with no network, through the manual folder of tensorflow-datasets.

    Args:
        name: mnist, fashion_mnist or cifar10.
        source: the folder that has the original files.
        data_dir: the tensorflow-datasets directory; "" for its default.

    Returns:
        One line: what was prepared, and where.

    Raises:
        UserError: unknown name, missing or damaged files.
    """
    check_choice("name", name, FILES)
    missing = [file for file in FILES[name] if not (pathlib.Path(source) / file).is_file()]
    if missing:
        raise UserError(
            f"{name} needs the original files {', '.join(FILES[name])}; missing in {source}: {', '.join(missing)}"
        )
    library = import_tfds()
    builder = library.builder(name, data_dir=data_dir or None)
    config = library.download.DownloadConfig(
        manual_dir=str(pathlib.Path(source).absolute()), try_download_gcs=False
    )
    try:
        # A folder of its own for what is unpacked: the library would take a file of the same name that another data set has left there.
        with (
            tempfile.TemporaryDirectory() as unpacked,
            contextlib.redirect_stdout(sys.stderr),
        ):  # stdout is for our own answer
            builder.download_and_prepare(download_dir=unpacked, download_config=config)
    except library.core.download.download_manager.NonMatchingChecksumError as error:
        raise UserError(
            f"a file in {source} is not the original one: {' '.join(str(error).split())[:300]}"
        ) from error
    sizes = ", ".join(
        f"{split} {info.num_examples:,}" for split, info in builder.info.splits.items()
    )
    return f"{name}: {sizes} images in {builder.data_path}"
