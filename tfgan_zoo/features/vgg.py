"""VGG networks for perceptual losses."""

import contextlib
import dataclasses
import functools
import math
import pathlib
import sys
import typing

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.errors import UserError, check_choice, first_line
from tfgan_zoo.features.metric_networks import check_sha256, weights_sha256
from tfgan_zoo.layers import ReflectionPadding

VGG19_BLOCKS = (
    2,
    2,
    4,
    4,
    4,
)  # convolutions in each block (Simonyan & Zisserman 2014, arXiv 1409.1556, column E)
SMALL_VGG_FILE = (
    pathlib.Path(__file__).parent / "small_vgg.npz"
)  # made by python -m tfgan_zoo.small_vgg
SMALL_VGG_SHA256 = "34d9ad5fda55831ef4621cc711bb80fca83388e4eb9543387724bb5adc45b141"
SMALL_VGG_WIDTH = 16  # channels of its first block
CAFFE_MEAN = (
    123.68,
    116.779,
    103.939,
)  # of ImageNet's red, green and blue, in 0 ... 255, as VGG19 was trained


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
        return dict(
            zip(
                self.layers,
                tf.nest.flatten(self.network(self.preprocess(images), training=False)),
                strict=True,
            )
        )


def load_perceptual_network(weights, layers, pooling="max", width=64):
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
        return load_keras_file(pathlib.Path(weights), layers, pooling)
    if weights != "random" and width != 64:
        raise UserError(
            f"only random weights come in other widths than 64, received width={width} with {weights!r}"
        )
    if weights == "small":
        return PerceptualNetwork(
            "vgg19: small",
            SMALL_VGG_SHA256,
            load_small_vgg(layers, pooling),
            tuple(layers),
            lambda images: images,
        )
    network = build_vgg19(layers, pooling, width)
    if weights == "imagenet":
        network = load_imagenet_weights(network)
    elif weights != "random":
        load_weight_file(network, pathlib.Path(weights))
    return PerceptualNetwork(
        f"vgg19: {weights}", weights_sha256(network), network, tuple(layers), caffe_preprocess
    )


def caffe_preprocess(images):
    """[-1, 1] RGB -> what VGG19 was trained on: BGR in 0 ... 255, less ImageNet's mean."""
    return ((images + 1.0) * 127.5 - CAFFE_MEAN)[..., ::-1]


def build_vgg19(layers, pooling, width):
    """VGG19's convolutions as a `keras.Model` from `caffe` images to the named layers."""
    convolutions = {
        f"block{b}_conv{i}" for b, count in enumerate(VGG19_BLOCKS, 1) for i in range(1, count + 1)
    }
    for layer in layers:
        check_choice("a layer", layer, sorted(convolutions))
    image = keras.Input((None, None, 3))
    pool = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}[pooling]
    x, found = image, {}
    for block, count in enumerate(VGG19_BLOCKS, 1):
        for i in range(1, count + 1):
            name, channels = f"block{block}_conv{i}", width * min(2 ** (block - 1), 8)
            start = keras.initializers.HeNormal(seed=100 * block + i)
            padded = ReflectionPadding(1, dtype="float32")(x)
            convolution = keras.layers.Conv2D(
                channels, 3, activation="relu", kernel_initializer=start, dtype="float32", name=name
            )
            found[name] = x = convolution(padded)
        x = pool(2, dtype="float32", name=f"block{block}_pool")(x)
    network = keras.Model(image, [found[layer] for layer in layers])
    network.trainable = False
    return network


def load_small_vgg(layers, pooling):
    """The network that comes with the package."""
    check_sha256(SMALL_VGG_FILE, SMALL_VGG_SHA256)
    network = build_vgg19(layers, pooling, SMALL_VGG_WIDTH)
    with np.load(SMALL_VGG_FILE) as values:
        for layer in network.layers:
            if layer.weights:
                if f"{layer.name}/0" not in values:
                    raise UserError(
                        f"the small network ends at block5_conv1, received layers={tuple(layers)}"
                    )
                layer.set_weights(
                    [values[f"{layer.name}/{i}"].astype(np.float32) for i in range(2)]
                )
    return network


def load_imagenet_weights(network):
    """The network with Keras' ImageNet weights of VGG19."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras says there that it downloads
            trained = keras.applications.VGG19(include_top=False, weights="imagenet")
    except Exception as error:  # whatever the network, the host or the disk did
        raise UserError(
            "the weights of VGG19 are not at hand and could not be downloaded by Keras: connect to the network once, put Keras' file into "
            f"~/.keras/models, give the path of a file of weights, or choose small or random, received: {first_line(error)}"
        ) from error
    return copy_weights(network, trained)


def load_weight_file(network, path):
    """The network with the weights of a file."""
    trained = keras.applications.VGG19(include_top=False, weights=None)
    try:
        trained.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        wanted = "random, small, imagenet, a .keras model or a .h5 file of VGG19's weights without the top"
        raise UserError(
            f"features must be {wanted}, received {str(path)!r} ({first_line(error)})"
        ) from error
    return copy_weights(network, trained)


def copy_weights(network, trained):
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(trained.get_layer(layer.name).get_weights())
    return network


def load_keras_file(path, layers, pooling):
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
            return keras.layers.AveragePooling2D(
                **{name: config[name] for name in ("pool_size", "strides", "padding", "name")}
            )

        found, whole = whole, keras.models.clone_model(whole, clone_function=averaged)
        whole.set_weights(found.get_weights())
    network = keras.Model(whole.input, [whole.get_layer(layer).output for layer in layers])
    network.trainable = False
    try:
        found = tf.nest.flatten(network(tf.zeros((1, 64, 64, 3))))
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        raise UserError(
            f"{path} does not take RGB images of any size ({first_line(error)})"
        ) from error
    for layer, maps in zip(layers, found, strict=True):
        if maps.shape.rank != 4 or 64 % maps.shape[1] or maps.shape[1] != maps.shape[2]:
            raise UserError(
                f"the layer {layer} of {path} makes {tuple(maps.shape[1:])} of 64x64 pixels: padded convolutions are needed"
            )
    return PerceptualNetwork(
        path.stem,
        weights_sha256(network),
        network,
        tuple(layers),
        lambda images: (images + 1.0) / 2.0,
    )
