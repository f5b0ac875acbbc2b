"""The networks that others look through: from uint8 images to features, and to class probabilities where the network classifies."""

import contextlib
import dataclasses
import functools
import hashlib
import math
import pathlib
import sys
import typing

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.config import UserError, check_choice, first_line
from tfgan_zoo.data import transforms
from tfgan_zoo.layers import ReflectionPadding

VGG19 = (2, 2, 4, 4, 4)  # convolutions in each block (Simonyan & Zisserman 2014, arXiv 1409.1556, column E)
SMALL = pathlib.Path(__file__).parent / "small_vgg.npz"  # made by python -m tfgan_zoo.small_vgg
SMALL_SHA256 = "34d9ad5fda55831ef4621cc711bb80fca83388e4eb9543387724bb5adc45b141"
SMALL_WIDTH = 16  # channels of its first block
CAFFE_MEAN = (123.68, 116.779, 103.939)  # of ImageNet's red, green and blue, in 0 ... 255, as VGG19 was trained
DIGITS = pathlib.Path(__file__).parent / "digit_classifier.keras"
DIGITS_SHA256 = "8602e459660f855b272516093a6a21084f8a556f93c8ce39eff3e499150f4ce4"
DIGITS_ACCURACY = 0.9940  # on the 10,000 test images of MNIST: python -m tfgan_zoo.digit_classifier, seed 0


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
        outputs = [self.of_batch(images[i : i + batch_size]) for i in range(0, len(images), batch_size)]
        features, probabilities = zip(*outputs, strict=True)
        return np.concatenate(features), np.concatenate(probabilities) if self.classes else None

    def of_batch(self, images):
        images = transforms.fit(images, self.size or images.shape[1], self.channels)
        try:
            outputs = self.compiled(transforms.to_float(images))
        except (ValueError, tf.errors.InvalidArgumentError) as error:
            cause = first_line(error)
            raise UserError(f"{self.name} cannot look at images of shape {tuple(images.shape[1:])}: {cause}") from error
        features, logits = (outputs, None) if not isinstance(outputs, (list, tuple)) else outputs
        if features.shape.rank > 2:
            features = tf.reduce_mean(features, axis=range(1, features.shape.rank - 1))
        probabilities = None if logits is None else (logits if self.final_softmax else tf.nn.softmax(logits)).numpy()
        return features.numpy(), probabilities

    def __post_init__(self):
        self.compiled = tf.function(lambda x: self.network(x, training=False), reduce_retracing=True)


def load(name):
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
        return load_file(pathlib.Path(name))
    raise UserError(f"features must be digits, inception, or the path of a Keras model, received features={name!r}")


def load_digits():
    sha256 = check_sha256(DIGITS, DIGITS_SHA256)
    return FeatureNetwork("digits: tfgan_zoo's MNIST classifier", sha256, keras.models.load_model(DIGITS, compile=False), 28, 1, 10)


def load_inception():
    """Keras' InceptionV3: other weights and other numbers than the 2015 network of the papers' FID and Inception score."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras says there that it downloads
            network = keras.applications.InceptionV3(weights="imagenet", classifier_activation="softmax")
    except Exception as error:  # whatever the network, the host or the disk did
        cause = first_line(error)
        raise UserError(
            "the weights of InceptionV3 are not at hand and could not be downloaded by Keras: connect to the network once, put Keras' file "
            f"into ~/.keras/models, or choose other features (digits, or the path of a Keras model), received: {cause}"
        ) from error
    both = keras.Model(network.input, [network.get_layer("avg_pool").output, network.output])
    name = "keras-inception-v3: Keras' ImageNet weights, not the network of the papers' FID"
    return FeatureNetwork(name, weights_sha256(network), both, 299, 3, 1000, final_softmax=True)


def load_file(path):
    try:
        network = keras.models.load_model(path, compile=False)
        shape = network.input_shape
        size, channels = shape[1], shape[3]
    except (ValueError, OSError, TypeError, AttributeError, IndexError) as error:
        raise UserError(f"{path} is no Keras model of images ({first_line(error)})") from error
    outputs = network.outputs
    if len(outputs) > 2 or channels not in (1, 3):
        raise UserError(f"a feature network takes 1 or 3 channels and gives features, or features and logits, received {path} with {shape}")
    classes = outputs[1].shape[-1] if len(outputs) == 2 else 0
    return FeatureNetwork(path.name, hashlib.sha256(path.read_bytes()).hexdigest(), network, size, channels, classes)


def weights_sha256(network):
    sha = hashlib.sha256()
    for weight in network.get_weights():
        sha.update(weight.tobytes())
    return sha.hexdigest()


@dataclasses.dataclass(frozen=True)
class PerceptualNetwork:
    """A network to look at style and content through: float32 images (n, h, w, 3) in [-1, 1] -> {layer: features (n, h', w', c)}."""

    name: str
    sha256: str  # of its weights
    network: typing.Any  # what `preprocess` gives -> a list of features, one for each of `layers`
    layers: tuple
    preprocess: typing.Any  # from images in [-1, 1] to what the network was trained on

    @functools.cached_property
    def floats_per_pixel(self):
        """How many numbers its layers hold together, for each pixel of an image."""
        every = keras.Model(self.network.input, [layer.output for layer in self.network.layers])
        return sum(math.prod(found.shape) for found in every(tf.zeros((1, 64, 64, 3)))) / 64**2

    def __call__(self, images):
        return dict(zip(self.layers, tf.nest.flatten(self.network(self.preprocess(images), training=False)), strict=True))


def perceptual(weights, layers, pooling="max", width=64):
    """VGG19, frozen and cut behind the deepest of the layers asked for.

    Images are mirrored at their borders where the original has zeros, which would leave a frame in what is made through it.

    Args:
        weights: "random" (He-normal, always the same ones), "small" (a quarter as wide and to block5_conv1, trained by us and shipped with
            the package, see small_vgg.py), "imagenet" (Keras downloads 80 MB once), the path of a file of
            VGG19's weights in Keras' form (.h5, without the top), or of any Keras model (.keras) that has the layers and takes RGB in
            [0, 1].
        layers: names such as "block4_conv2"; what they give is taken behind the ReLU.
        pooling: "max", or "average", which Gatys et al. prefer.
        width: channels of the first block, 64 in the paper; with random weights a narrower network does nearly as well.

    Returns:
        `PerceptualNetwork`.

    Raises:
        UserError: no such weights or layers, or weights that are not at hand.
    """
    check_choice("pooling", pooling, ("max", "average"))
    if str(weights).endswith(".keras"):
        return load_perceptual(pathlib.Path(weights), layers, pooling)
    if weights != "random" and width != 64:
        raise UserError(f"only random weights come in other widths than 64, received width={width} with {weights!r}")
    if weights == "small":
        return PerceptualNetwork("vgg19: small", SMALL_SHA256, load_small(layers, pooling), tuple(layers), lambda images: images)
    network = vgg19(layers, pooling, width)
    if weights == "imagenet":
        network = with_imagenet(network)
    elif weights != "random":
        load_vgg19(network, pathlib.Path(weights))
    return PerceptualNetwork(f"vgg19: {weights}", weights_sha256(network), network, tuple(layers), caffe)


def caffe(images):
    """[-1, 1] RGB -> what VGG19 was trained on: BGR in 0 ... 255, less ImageNet's mean."""
    return ((images + 1.0) * 127.5 - CAFFE_MEAN)[..., ::-1]


def vgg19(layers, pooling, width):
    """VGG19's convolutions as a `keras.Model` from `caffe` images to the named layers."""
    convolutions = {f"block{b}_conv{i}" for b, count in enumerate(VGG19, 1) for i in range(1, count + 1)}
    for layer in layers:
        check_choice("a layer", layer, sorted(convolutions))
    image = keras.Input((None, None, 3))
    pool = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}[pooling]
    x, found = image, {}
    for block, count in enumerate(VGG19, 1):
        for i in range(1, count + 1):
            name, channels = f"block{block}_conv{i}", width * min(2 ** (block - 1), 8)
            start = keras.initializers.HeNormal(seed=100 * block + i)
            padded = ReflectionPadding(1, dtype="float32")(x)
            convolution = keras.layers.Conv2D(channels, 3, activation="relu", kernel_initializer=start, dtype="float32", name=name)
            found[name] = x = convolution(padded)
        x = pool(2, dtype="float32", name=f"block{block}_pool")(x)
    network = keras.Model(image, [found[layer] for layer in layers])
    network.trainable = False
    return network


def load_small(layers, pooling):
    """The network that comes with the package."""
    check_sha256(SMALL, SMALL_SHA256)
    network = vgg19(layers, pooling, SMALL_WIDTH)
    with np.load(SMALL) as values:
        for layer in network.layers:
            if layer.weights:
                if f"{layer.name}/0" not in values:
                    raise UserError(f"the small network ends at block5_conv1, received layers={tuple(layers)}")
                layer.set_weights([values[f"{layer.name}/{i}"].astype(np.float32) for i in range(2)])
    return network


def check_sha256(path, wanted):
    """Refuses a file of the package that is not as it was.

    Returns:
        its SHA-256.
    """
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != wanted:
        raise UserError(f"{path} is damaged: install tfgan_zoo again; its SHA-256 must be {wanted}, received {found}")
    return found


def with_imagenet(network):
    """The network with Keras' ImageNet weights of VGG19."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras says there that it downloads
            trained = keras.applications.VGG19(include_top=False, weights="imagenet")
    except Exception as error:  # whatever the network, the host or the disk did
        raise UserError(
            "the weights of VGG19 are not at hand and could not be downloaded by Keras: connect to the network once, put Keras' file into "
            f"~/.keras/models, give the path of a file of weights, or choose small or random, received: {first_line(error)}"
        ) from error
    return take_weights(network, trained)


def load_vgg19(network, path):
    """The network with the weights of a file."""
    trained = keras.applications.VGG19(include_top=False, weights=None)
    try:
        trained.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        wanted = "random, small, imagenet, a .keras model or a .h5 file of VGG19's weights without the top"
        raise UserError(f"features must be {wanted}, received {str(path)!r} ({first_line(error)})") from error
    return take_weights(network, trained)


def take_weights(network, trained):
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(trained.get_layer(layer.name).get_weights())
    return network


def load_perceptual(path, layers, pooling):
    """The named layers of any Keras model of RGB images in [0, 1]."""
    if not path.is_file():
        raise UserError(f"there is no such file of a network, received features={str(path)!r}")
    try:
        whole = keras.models.load_model(path, compile=False)
    except Exception as error:  # a file of anything makes Keras raise anything
        raise UserError(f"{path} is no Keras model ({first_line(error)})") from error
    for layer in layers:
        check_choice("a layer", layer, [found.name for found in whole.layers])
    if pooling == "average":

        def averaged(layer):
            if not isinstance(layer, keras.layers.MaxPooling2D):
                return type(layer).from_config(layer.get_config())
            config = layer.get_config()
            return keras.layers.AveragePooling2D(**{name: config[name] for name in ("pool_size", "strides", "padding", "name")})

        found, whole = whole, keras.models.clone_model(whole, clone_function=averaged)
        whole.set_weights(found.get_weights())
    network = keras.Model(whole.input, [whole.get_layer(layer).output for layer in layers])
    network.trainable = False
    try:
        found = tf.nest.flatten(network(tf.zeros((1, 64, 64, 3))))
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        raise UserError(f"{path} does not take RGB images of any size ({first_line(error)})") from error
    for layer, maps in zip(layers, found, strict=True):
        if maps.shape.rank != 4 or 64 % maps.shape[1] or maps.shape[1] != maps.shape[2]:
            raise UserError(f"the layer {layer} of {path} makes {tuple(maps.shape[1:])} of 64x64 pixels: padded convolutions are needed")
    return PerceptualNetwork(path.stem, weights_sha256(network), network, tuple(layers), lambda images: (images + 1.0) / 2.0)
