"""Datasets of tensorflow-datasets: read, downloaded, or prepared from the original files."""

import contextlib
import logging
import pathlib
import socket
import sys
import tempfile
import urllib.request

import numpy as np

from tfgan_zoo.errors import UserError, check_choice, first_line

DOWNLOAD_HOSTS = {
    "mnist": "storage.googleapis.com",
    "fashion_mnist": "fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "cifar10": "www.cs.toronto.edu",
    "cycle_gan": "efrosgans.eecs.berkeley.edu",
}
IDX_FILES = [
    f"{part}-{kind}-ubyte.gz"
    for part in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
]
ORIGINAL_FILES = {
    "mnist": IDX_FILES,
    "fashion_mnist": IDX_FILES,
    "cifar10": ["cifar-10-binary.tar.gz"],
}


def import_tfds():
    """Import tensorflow-datasets, which takes seconds, and silence its progress bars and notes."""
    import tensorflow_datasets

    if not hasattr(tensorflow_datasets, "builder"):  # it hides the error of its own import
        raise UserError(
            "tensorflow-datasets does not work with the installed packages; "
            "with TensorFlow 2.19: pip install 'tensorflow-metadata<1.18'."
        )
    tensorflow_datasets.disable_progress_bar()
    for name in ("absl", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return tensorflow_datasets


def load_arrays(name, data_dir, split):
    """Load a split of a labeled dataset.

    Args:
        name: mnist, fashion_mnist or cifar10.
        data_dir: The tensorflow-datasets directory; "" for its default.
        split: train or test.

    Returns:
        (uint8 images (n, h, w, c), int64 labels (n,), class names).

    Raises:
        UserError: The dataset is not prepared and cannot be downloaded, or it is damaged.
    """
    library = import_tfds()
    files = ", ".join(ORIGINAL_FILES[name])
    alternative = f"tfgan-zoo data prepare {name} --from DIR with the original files {files}"
    builder = build_dataset(library, name, data_dir, DOWNLOAD_HOSTS[name], alternative)
    dataset = builder.as_dataset(
        split=split, as_supervised=True, shuffle_files=False, batch_size=4096
    )
    images, labels = zip(*library.as_numpy(dataset), strict=True)
    images, labels = np.concatenate(images), np.concatenate(labels).astype(np.int64)
    check_count(f"{name} in {builder.data_dir}", len(images), builder.info.splits[split])
    return images, labels, builder.info.features["label"].names


def load_domain(name, data_dir, split):
    """Load one domain of an unpaired dataset.

    Args:
        name: cycle_gan/horse2zebra, or another configuration of cycle_gan.
        data_dir: The tensorflow-datasets directory; "" for its default.
        split: trainA, trainB, testA or testB.

    Returns:
        A list of uint8 images (h, w, 3), always in the same order.

    Raises:
        UserError: The name is unknown, the dataset is not prepared and cannot be downloaded, or it
            is damaged.
    """
    library = import_tfds()
    configs = library.builder_cls("cycle_gan").builder_configs
    check_choice("data.dataset", name, [f"cycle_gan/{config}" for config in configs])
    alternative = (
        f"unpack {name.partition('/')[2]}.zip from the authors and set data.dataset=folder "
        "data.path=DIR, the folder that has trainA and trainB"
    )
    builder = build_dataset(library, name, data_dir, DOWNLOAD_HOSTS["cycle_gan"], alternative)
    images = []
    if split in builder.info.splits and builder.info.splits[split].num_examples:
        dataset = builder.as_dataset(split=split, shuffle_files=False)
        images = [example["image"] for example in library.as_numpy(dataset)]
    check_count(
        f"{split} of {name} in {builder.data_path}", len(images), builder.info.splits.get(split)
    )
    return images


def check_count(source, count, split_info):
    """Raise `UserError` unless a split is complete and not empty."""
    expected = split_info.num_examples if split_info else 0
    if not count or count != expected:
        raise UserError(
            f"{source} is damaged: it must have {expected or 'any'} images, got {count}. "
            "Prepare the dataset again."
        )


def build_dataset(library, name, data_dir, host, alternative):
    """Return the builder of a dataset, downloaded if it is not prepared yet.

    Args:
        library: `import_tfds()`.
        name: Name in tensorflow-datasets.
        data_dir: The tensorflow-datasets directory; "" for its default.
        host: Host that the download needs.
        alternative: What to do without a network connection, for the error message.

    Raises:
        UserError: The dataset cannot be downloaded.
    """
    builder = library.builder(name, data_dir=data_dir or None)
    if builder.data_path.exists():
        return builder
    try:
        if not urllib.request.getproxies():
            # Without a network this fails at once, while the download would retry for minutes.
            socket.getaddrinfo(host, 443)
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare()
    except Exception as error:  # any failure of network, host or disk: say what to do instead
        raise UserError(
            f"{name} is not prepared in {builder.data_dir} and could not be downloaded "
            f"({first_line(error)}). Connect to the network once, or: {alternative}."
        ) from error
    return builder


def prepare(name, source, data_dir=""):
    """Prepare a dataset from its original files, without a network connection.

    `source` is passed to tensorflow-datasets as its manual folder.

    Args:
        name: mnist, fashion_mnist or cifar10.
        source: The folder that has the original files.
        data_dir: The tensorflow-datasets directory; "" for its default.

    Returns:
        One line that says what was prepared, and where.

    Raises:
        UserError: The name is unknown, or files are missing or damaged.
    """
    check_choice("name", name, ORIGINAL_FILES)
    files, source = ORIGINAL_FILES[name], pathlib.Path(source)
    missing = [file for file in files if not (source / file).is_file()]
    if missing:
        raise UserError(
            f"{name} needs the original files {', '.join(files)}; "
            f"missing in {source}: {', '.join(missing)}."
        )
    library = import_tfds()
    builder = library.builder(name, data_dir=data_dir or None)
    config = library.download.DownloadConfig(
        manual_dir=str(source.absolute()), try_download_gcs=False
    )
    try:
        # Unpack into a new folder: the library would use a file of the same name that another data
        # set has left in its own. Keep stdout for the answer of the command.
        with tempfile.TemporaryDirectory() as unpacked, contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare(download_dir=unpacked, download_config=config)
    except library.core.download.download_manager.NonMatchingChecksumError as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"a file in {source} is not the original one: {reason}") from error
    splits = builder.info.splits.items()
    sizes = ", ".join(f"{split} {info.num_examples:,}" for split, info in splits)
    return f"{name}: {sizes} images in {builder.data_path}"
