"""The networks that others look through: from uint8 images to features, and to class probabilities where the network classifies."""

import contextlib
import dataclasses
import hashlib
import pathlib
import sys
import typing

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.data import transforms
from tfgan_zoo.errors import UserError, first_line

DIGITS_FILE = pathlib.Path(__file__).parent / "digit_classifier.keras"
DIGITS_SHA256 = "8602e459660f855b272516093a6a21084f8a556f93c8ce39eff3e499150f4ce4"
DIGITS_ACCURACY = (
    0.9940  # on the 10,000 test images of MNIST: python -m tfgan_zoo.digit_classifier, seed 0
)


@dataclasses.dataclass
class FeatureNetwork:
    """A network to measure through.

    Called with uint8 images (n, h, w, c) of any number and size, c 1 or 3, it gives (features float32 (n, d), probabilities float32
    (n, classes) or None). Images are resized by antialiased bicubic interpolation and rounded to uint8 before they are scaled.
    """

    name: str
    sha256: str  # of the file, or of the weights where there is no one file
    network: typing.Any  # images in [-1, 1] -> features, or features and logits
    size: int | None  # pixels; None: any
    channels: int
    classes: int  # 0: no probabilities
    final_softmax: bool = False  # the second output is probabilities already

    @property
    def resizer(self):
        return f"bicubic with antialias to {self.size}, rounded to uint8" if self.size else "none"

    def __call__(self, images, batch_size=256):
        outputs = [
            self.of_batch(images[i : i + batch_size]) for i in range(0, len(images), batch_size)
        ]
        features, probabilities = zip(*outputs, strict=True)
        return np.concatenate(features), np.concatenate(probabilities) if self.classes else None

    def of_batch(self, images):
        images = transforms.crop_and_resize(images, self.size or images.shape[1], self.channels)
        try:
            outputs = self.compiled(transforms.to_float(images))
        except (ValueError, tf.errors.InvalidArgumentError) as error:
            cause = first_line(error)
            raise UserError(
                f"{self.name} cannot look at images of shape {tuple(images.shape[1:])}: {cause}"
            ) from error
        features, logits = (outputs, None) if not isinstance(outputs, (list, tuple)) else outputs
        if features.shape.rank > 2:
            features = tf.reduce_mean(features, axis=range(1, features.shape.rank - 1))
        probabilities = (
            None
            if logits is None
            else (logits if self.final_softmax else tf.nn.softmax(logits)).numpy()
        )
        return features.numpy(), probabilities

    def __post_init__(self):
        self.compiled = tf.function(
            lambda x: self.network(x, training=False), reduce_retracing=True
        )


def load_metric_network(name):
    """A feature network.

    Args:
        name: "digits" (our classifier of MNIST's digits, shipped with the package), "inception" (Keras' InceptionV3 with ImageNet weights,
            which Keras downloads once), or the path of a Keras model that takes images in [-1, 1] and gives features, or features and
            logits; maps of features are averaged over the image.

    Returns:
        `FeatureNetwork`.

    Raises:
        UserError: no such name or file, a damaged file, or weights that are not at hand.
    """
    if name == "digits":
        return load_digits()
    if name == "inception":
        return load_inception()
    if pathlib.Path(name).is_file():
        return load_keras_file(pathlib.Path(name))
    raise UserError(
        f"features must be digits, inception, or the path of a Keras model, received features={name!r}"
    )


def load_digits():
    sha256 = check_sha256(DIGITS_FILE, DIGITS_SHA256)
    return FeatureNetwork(
        "digits: tfgan_zoo's MNIST classifier",
        sha256,
        keras.models.load_model(DIGITS_FILE, compile=False),
        28,
        1,
        10,
    )


def load_inception():
    """Keras' InceptionV3: other weights and other numbers than the 2015 network of the papers' FID and Inception score."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras says there that it downloads
            network = keras.applications.InceptionV3(
                weights="imagenet", classifier_activation="softmax"
            )
    except Exception as error:  # whatever the network, the host or the disk did
        cause = first_line(error)
        raise UserError(
            "the weights of InceptionV3 are not at hand and could not be downloaded by Keras: connect to the network once, put Keras' file "
            f"into ~/.keras/models, or choose other features (digits, or the path of a Keras model), received: {cause}"
        ) from error
    both = keras.Model(network.input, [network.get_layer("avg_pool").output, network.output])
    name = "keras-inception-v3: Keras' ImageNet weights, not the network of the papers' FID"
    return FeatureNetwork(name, weights_sha256(network), both, 299, 3, 1000, final_softmax=True)


def load_keras_file(path):
    try:
        network = keras.models.load_model(path, compile=False)
        shape = network.input_shape
        size, channels = shape[1], shape[3]
    except (ValueError, OSError, TypeError, AttributeError, IndexError) as error:
        raise UserError(f"{path} is no Keras model of images ({first_line(error)})") from error
    outputs = network.outputs
    if len(outputs) > 2 or channels not in (1, 3):
        raise UserError(
            f"a feature network takes 1 or 3 channels and gives features, or features and logits, received {path} with {shape}"
        )
    classes = outputs[1].shape[-1] if len(outputs) == 2 else 0
    return FeatureNetwork(
        path.name, hashlib.sha256(path.read_bytes()).hexdigest(), network, size, channels, classes
    )


def weights_sha256(network):
    sha = hashlib.sha256()
    for weight in network.get_weights():
        sha.update(weight.tobytes())
    return sha.hexdigest()


def check_sha256(path, wanted):
    """Refuses a file of the package that is not as it was.

    Returns:
        its SHA-256.
    """
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != wanted:
        raise UserError(
            f"{path} is damaged: install tfgan_zoo again; its SHA-256 must be {wanted}, received {found}"
        )
    return found
