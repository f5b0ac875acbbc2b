"""The network to look at style through that comes with the package: VGG19 to block5_conv1, a quarter as wide, trained by us.

    python -m tfgan_zoo.small_vgg TEACHER.keras FOLDER [FOLDER ...] -o small_vgg.npz

trains it from random weights to see what a teacher sees (Hinton et al. 2015, Distilling the Knowledge in a Neural Network, arXiv
1503.02531): any Keras model of RGB images in [0, 1] with VGG19's layer names and these widths, through which ImageNet has been seen. Its
features at every layer that style transfer uses are compared, on crops of the folders' pictures. The last tenth of every folder is held
out: the error that is printed is of them.

The file that the package ships was made so in 9 minutes on two CPU cores (its first weights had no seed yet), of 45 photographs and 135
paintings of CycleGAN's data sets, with the network of Wang et al. 2020 (Collaborative Distillation for Ultra-Resolution Universal Style
Transfer, arXiv 2003.08436) as the teacher. On the 20 pictures held out its squared errors are from 0.09 (block3_conv1) to 0.22
(block5_conv1) of the variance.
"""

import argparse
import hashlib
import pathlib
import time

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.config import DataConfig
from tfgan_zoo.data import pipeline
from tfgan_zoo.data.datasets import ImageData, load_images
from tfgan_zoo.features.vgg import SMALL_VGG_WIDTH, build_vgg19, load_perceptual_network
from tfgan_zoo.layers import BatchNormalization
from tfgan_zoo.optimizers import Adam

LAYERS = (
    "block1_conv1",
    "block2_conv1",
    "block2_conv2",
    "block3_conv1",
    "block3_conv3",
    "block4_conv1",
    "block4_conv2",
    "block5_conv1",
)
SIZE, BATCH_SIZE = 128, 8  # pixels of a crop, crops of a step


def distill(teacher, folders, steps, seed):
    """Trains the network.

    Args:
        teacher: the path of a Keras model.
        folders: of pictures.
        steps: of `BATCH_SIZE` crops.
        seed: decides the first weights, the order and the crops.

    Returns:
        (the network, its relative squared error at every layer on pictures held out: 1 is no better than the teacher's mean feature).
    """
    keras.utils.set_random_seed(seed)
    learner = with_batch_norm(build_vgg19(LAYERS, "max", SMALL_VGG_WIDTH))
    weights = learner.trainable_variables
    optimizer = Adam(keras.optimizers.schedules.CosineDecay(5e-3, steps))
    optimizer.build(weights)
    look = load_perceptual_network(teacher, LAYERS)
    pictures = [
        load_images(DataConfig(dataset="folder", path=str(folder)), 2 * SIZE, 3).images
        for folder in folders
    ]
    scales = {
        layer: tf.math.reduce_std(found)
        for layer, found in look(
            next(iter(random_crops(pictures, slice(None, -1), 1, seed)))
        ).items()
    }

    def taught(images):
        """What the teacher sees, in units of every layer's deviation: only how features relate matters to style."""
        return {layer: found / scales[layer] for layer, found in look(images).items()}

    @tf.function(autograph=False)
    def step(images):
        with tf.GradientTape() as tape:
            errors = relative_errors(learner(images, training=True), taught(images))
            loss = tf.add_n(errors)
        optimizer.apply(tape.gradient(loss, [variable.value for variable in weights]))
        return tf.stack(errors)

    begin, mean = time.time(), np.ones(len(LAYERS))
    for i, images in enumerate(random_crops(pictures, slice(None, -1), steps, seed)):
        mean += (step(images).numpy() - mean) / min(i + 1, 100)
        if i % 100 == 99:
            print(f"step {i + 1}, {time.time() - begin:.0f} s: {mean.round(3)}", flush=True)
    student = without_batch_norm(learner)
    test = [
        relative_errors(student(images), taught(images))
        for images in random_crops(pictures, slice(-1, None), 20, seed)
    ]
    return student, dict(zip(LAYERS, np.mean(test, axis=0), strict=True))


def with_batch_norm(network):
    """The network with batch norm between every convolution and its ReLU, with which it learns in far fewer steps."""
    outputs = {network.input: network.input}
    found = {}
    for layer in network.layers[1:]:
        x = outputs[layer.input]
        if isinstance(layer, keras.layers.Conv2D):
            convolution = keras.layers.Conv2D(
                layer.filters, 3, use_bias=False, kernel_initializer="he_normal", name=layer.name
            )
            found[layer.name] = x = keras.layers.ReLU()(
                BatchNormalization(momentum=0.98, epsilon=1e-5, name=f"{layer.name}_norm")(
                    convolution(x)
                )
            )
        else:
            x = type(layer).from_config(layer.get_config())(x)
        outputs[layer.output] = x
    return keras.Model(network.input, [found[layer] for layer in LAYERS])


def without_batch_norm(learner):
    """The plain network that computes the same."""
    network = build_vgg19(LAYERS, "max", SMALL_VGG_WIDTH)
    for layer in network.layers:
        if layer.weights:
            (kernel,), norm = (
                learner.get_layer(layer.name).get_weights(),
                learner.get_layer(f"{layer.name}_norm"),
            )
            gamma, beta, mean, variance = norm.get_weights()
            factor = gamma / np.sqrt(variance + norm.epsilon)
            layer.set_weights([kernel * factor, beta - mean * factor])
    return network


def relative_errors(found, wanted):
    """Of every layer the mean squared error relative to the variance of what is wanted."""

    def relative(a, b):
        return tf.reduce_mean(tf.square(a - b)) / (
            tf.reduce_mean(tf.math.reduce_variance(b, (0, 1, 2))) + 1e-6
        )

    return [relative(a, wanted[layer]) for layer, a in zip(LAYERS, found, strict=True)]


def random_crops(pictures, part, steps, seed):
    """Batches in [-1, 1] of crops from some tenths of every folder's pictures."""
    config = DataConfig(dataset="folder", flip=True, zoom=0.3, batch_size=BATCH_SIZE)
    tenths = [np.concatenate(np.array_split(images, 10)[part]) for images in pictures]
    images = ImageData("pictures", np.concatenate(tenths), None, [], shape=(2 * SIZE, 2 * SIZE, 3))
    random = tf.random.Generator.from_seed(seed)

    def crop(batch):
        corner = random.uniform((2,), 0, SIZE + 1, tf.int32)
        return tf.slice(batch, (0, corner[0], corner[1], 0), (BATCH_SIZE, SIZE, SIZE, 3))

    batches = pipeline.batches(
        images, config, seed, BATCH_SIZE, steps_per_epoch=max(1, len(images.images) // BATCH_SIZE)
    )
    return batches.map(crop).take(steps)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Trains the small network to look at style through."
    )
    parser.add_argument(
        "teacher",
        help="a Keras model of RGB images in [0, 1] with VGG19's layer names and 16, 32, 64, 128, 128 channels",
    )
    parser.add_argument("folders", nargs="+", type=pathlib.Path, help="of pictures")
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path("small_vgg.npz"))
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    network, errors = distill(options.teacher, options.folders, options.steps, options.seed)
    values = {
        f"{layer.name}/{i}": value.astype(np.float16)
        for layer in network.layers
        for i, value in enumerate(layer.get_weights())
    }
    np.savez_compressed(options.output, **values)
    print(", ".join(f"{layer} {error:.3f}" for layer, error in errors.items()))
    print(f"{options.output} sha256 {hashlib.sha256(options.output.read_bytes()).hexdigest()}")
