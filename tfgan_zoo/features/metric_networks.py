"""Feature networks for metrics: from uint8 images to features and class probabilities."""

import contextlib
import dataclasses
import hashlib
import pathlib
import sys
import typing
import zipfile

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.data import transforms
from tfgan_zoo.errors import UserError, first_line
from tfgan_zoo.keras_settings import check_keras_settings

SMALL_LAYERS = ("block5_conv1",)  # its distances rank the epochs of CycleGAN best, of blocks 3 to 5


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A classifier of the package, trained by `tfgan_zoo.features.train_classifier` with seed 0."""

    file: pathlib.Path
    sha256: str
    description: str
    accuracy: float  # on the 10,000 test images of the dataset that it was trained on
    datasets: tuple[str, ...]  # datasets with its classes


FOLDER = pathlib.Path(__file__).parent
CLASSIFIERS = {
    "digits": Classifier(
        FOLDER / "digit_classifier.keras",
        "8602e459660f855b272516093a6a21084f8a556f93c8ce39eff3e499150f4ce4",
        "tfgan_zoo's MNIST classifier",
        0.9940,
        ("digits", "mnist", "stacked_mnist"),
    ),
    "fashion": Classifier(
        FOLDER / "fashion_classifier.keras",
        "4f6ddf6052e167f425b76a3bae3f15c398137fea38345bb521affe0e07cd3e8d",
        "tfgan_zoo's Fashion-MNIST classifier",
        0.9234,
        ("fashion_mnist",),
    ),
}


def default_features(dataset):
    """Return the name of the feature network for a dataset: a classifier with its classes.

    Datasets without a classifier in the package have "inception".
    """
    fitting = [name for name, network in CLASSIFIERS.items() if dataset in network.datasets]
    return fitting[0] if fitting else "inception"


@dataclasses.dataclass
class FeatureNetwork:
    """Frozen feature extractor for metrics.

    Call it with uint8 images (n, h, w, c), c 1 or 3, of any number and size. It returns (features,
    probabilities): float32 (n, d), and float32 (n, classes) or None. Images are resized by
    antialiased bicubic interpolation and rounded to uint8 before they are scaled.

    Attributes:
        name: name with the origin of the weights.
        sha256: of the file, or of the weights if Keras downloads them.
        network: `keras.Model` from images in [-1, 1] to features, or to [features, logits].
        size: side of the network's images in pixels; None: any.
        channels: 1 or 3.
        classes: number of classes; 0: the network has no logits.
        final_softmax: True if the second output is probabilities, not logits.
    """

    name: str
    sha256: str
    network: typing.Any
    size: int | None
    channels: int
    classes: int
    final_softmax: bool = False

    def __post_init__(self):
        self.compiled = tf.function(
            lambda x: self.network(x, training=False), reduce_retracing=True
        )

    @property
    def resizer(self):
        """Description of how images are resized."""
        return f"bicubic with antialias to {self.size}, rounded to uint8" if self.size else "none"

    def __call__(self, images, batch_size=256):
        outputs = [
            self.extract_batch(images[i : i + batch_size])
            for i in range(0, len(images), batch_size)
        ]
        features, probabilities = zip(*outputs, strict=True)
        return np.concatenate(features), np.concatenate(probabilities) if self.classes else None

    def extract_batch(self, images):
        """Return (features, probabilities) of one batch; see the class."""
        size = self.size or min(images.shape[1:3])
        images = transforms.crop_and_resize(images, size, self.channels)
        try:
            outputs = self.compiled(transforms.to_float(images))
        except (ValueError, tf.errors.InvalidArgumentError) as error:
            shape = tuple(images.shape[1:])
            raise UserError(
                f"{self.name} cannot process images of shape {shape}: {first_line(error)}"
            ) from error
        features, logits = outputs if isinstance(outputs, (list, tuple)) else (outputs, None)
        if features.shape.rank > 2:  # average feature maps over the image
            features = tf.reduce_mean(features, axis=range(1, features.shape.rank - 1))
        if logits is None:
            return features.numpy(), None
        probabilities = logits if self.final_softmax else tf.nn.softmax(logits)
        return features.numpy(), probabilities.numpy()


def load_metric_network(name):
    """Load a feature network for metrics.

    Args:
        name: "digits" or "fashion" (classifiers of MNIST and Fashion-MNIST, included in the
            package), "inception" (Keras' InceptionV3 with ImageNet weights, which Keras downloads
            once), "small" (a small VGG for photographs, included in the package), or the path of a
            Keras model from images in [-1, 1] to features, or to features and logits. Feature maps
            are averaged over the image.

    Returns:
        A `FeatureNetwork`.

    Raises:
        UserError: an unknown name, a missing or damaged file, or weights that cannot be downloaded.
    """
    check_keras_settings()
    if name in CLASSIFIERS:
        return load_classifier(name)
    if name == "inception":
        return load_inception()
    if name == "small":
        return load_small()
    if pathlib.Path(name).is_file():
        return load_metric_network_file(pathlib.Path(name))
    raise UserError(
        "features must be digits, fashion, inception, small, or the path of a Keras model, "
        f"got {name!r}."
    )


def load_classifier(name):
    classifier = CLASSIFIERS[name]
    sha256 = check_sha256(classifier.file, classifier.sha256)
    network = keras.models.load_model(classifier.file, compile=False)
    return FeatureNetwork(f"{name}: {classifier.description}", sha256, network, 28, 1, 10)


def load_inception():
    """Load Keras' InceptionV3.

    Its weights are not those of the 2015 network that papers use for the FID and the Inception
    score, so its numbers differ from theirs.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras prints the download's progress
            network = keras.applications.InceptionV3(
                weights="imagenet", classifier_activation="softmax"
            )
    except Exception as error:  # of the network, the host or the disk
        raise UserError(
            "features=inception needs the weights of InceptionV3, which could not be downloaded "
            f"({first_line(error)}). Connect to the network once, put Keras' file into "
            "~/.keras/models, or choose other features: digits, fashion, or the path of a "
            "Keras model."
        ) from error
    both = keras.Model(network.input, [network.get_layer("avg_pool").output, network.output])
    name = "keras-inception-v3: Keras' ImageNet weights, not the network of the papers' FID"
    return FeatureNetwork(name, weights_sha256(network), both, 299, 3, 1000, final_softmax=True)


def load_small():
    """Load the small VGG of the package, whose features are averaged over the image."""
    from tfgan_zoo.features import vgg  # here, because it imports this module

    network = vgg.load_perceptual_network("small", SMALL_LAYERS)
    outputs = keras.layers.Concatenate()(
        [keras.layers.GlobalAveragePooling2D()(x) for x in tf.nest.flatten(network.network.outputs)]
    )
    pooled = keras.Model(network.network.input, outputs)
    return FeatureNetwork(network.name, network.sha256, pooled, None, 3, 0)


def load_keras_file(path):
    """Load a Keras model from a file, not compiled.

    Raises:
        Exception: many types, of Keras; `ValueError` for a .keras file that is none.
    """
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):  # Keras says "File not found"
        with path.open("rb") as file:
            is_hdf5 = file.read(4) == b"\x89HDF"
        raise ValueError(
            "it is an HDF5 file: rename it to .h5, load that with Keras and save it as .keras"
            if is_hdf5
            else "it is not a zip archive, as .keras files are"
        )
    return keras.models.load_model(path, compile=False)


def load_metric_network_file(path):
    try:
        network = load_keras_file(path)
        shape = network.input_shape
        size, channels = shape[1], shape[3]
    except Exception as error:  # damaged files cause many types of errors
        raise UserError(
            f"features must be the path of a Keras model of images, got {path} "
            f"({first_line(error)})."
        ) from error
    outputs = network.outputs
    if len(outputs) > 2 or channels not in (1, 3):
        raise UserError(
            "features must be a model from images of 1 or 3 channels to features, or to "
            f"features and logits, got {path} with input {shape} and "
            f"{len(outputs)} outputs."
        )
    classes = outputs[1].shape[-1] if len(outputs) == 2 else 0
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return FeatureNetwork(path.name, sha256, network, size, channels, classes)


def weights_sha256(network):
    """Return the SHA-256 of all weights of a network, in order."""
    digest = hashlib.sha256()
    for weight in network.get_weights():
        digest.update(weight.tobytes())
    return digest.hexdigest()


def check_sha256(path, expected):
    """Return a file's SHA-256.

    Raises:
        UserError: the SHA-256 is not the expected one.
    """
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 != expected:
        raise UserError(
            f"{path} is damaged: its SHA-256 must be {expected}, got {sha256}. "
            "Install tfgan_zoo again."
        )
    return sha256
