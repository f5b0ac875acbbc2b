"""Train the small VGG-19 of the package by knowledge distillation.

The small network is VGG-19 to block5_conv1, a quarter as wide.

    python -m tfgan_zoo.features.distill_vgg TEACHER.keras FOLDER [FOLDER ...] -o small_vgg.npz

trains it from random weights to reproduce a teacher's features (Hinton et al. 2015, Distilling the
Knowledge in a Neural Network, arXiv 1503.02531). The teacher is any Keras model of RGB images in
[0, 1] with VGG-19's layer names and the widths of the small network, trained on ImageNet or
distilled from such a network. Features are compared at every layer that style transfer uses, on
crops of the folders' images. The last tenth of every folder is held out for the error that is
printed at the end.

The file of the package was trained in 9 min on 2 CPU cores, before the first weights had a seed.
The images were 45 photographs and 135 paintings of CycleGAN's datasets. The teacher was the
network of Wang et al. 2020 (Collaborative Distillation for Ultra-Resolution Universal Style
Transfer, arXiv 2003.08436). On the 20 held-out images the squared errors are between 0.09
(block3_conv1) and 0.22 (block5_conv1) of the variance.
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
from tfgan_zoo.files import atomic_write
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
SIZE = 128  # side of a crop in pixels
BATCH_SIZE = 8  # crops per step


def distill(teacher, folders, steps, seed):
    """Train the small network.

    Args:
        teacher: path of a Keras model.
        folders: folders of images.
        steps: number of steps of `BATCH_SIZE` crops.
        seed: seed of the first weights, of the order and of the crops.

    Returns:
        (network, {layer: relative squared error on held-out images}). An error of 1 is that of the
        teacher's mean feature.
    """
    keras.utils.set_random_seed(seed)
    student = with_batch_norm(build_vgg19(LAYERS, "max", SMALL_VGG_WIDTH))
    weights = student.trainable_variables
    optimizer = Adam(keras.optimizers.schedules.CosineDecay(5e-3, steps))
    optimizer.build(weights)
    teacher_network = load_perceptual_network(teacher, LAYERS)
    image_arrays = [
        load_images(DataConfig(dataset="folder", path=str(folder)), 2 * SIZE, 3).images
        for folder in folders
    ]
    training_part, held_out_part = slice(None, -1), slice(-1, None)
    first_crops = next(iter(random_crops(image_arrays, training_part, 1, seed)))
    scales = {
        layer: tf.math.reduce_std(features)
        for layer, features in teacher_network(first_crops).items()
    }

    def normalized_teacher(images):
        """Return the teacher's features, normalized by each layer's standard deviation."""
        return {layer: f / scales[layer] for layer, f in teacher_network(images).items()}

    @tf.function(autograph=False)
    def step(images):
        with tf.GradientTape() as tape:
            errors = relative_errors(student(images, training=True), normalized_teacher(images))
            loss = tf.add_n(errors)
        optimizer.apply(tape.gradient(loss, [variable.value for variable in weights]))
        return tf.stack(errors)

    # Train, and print the mean errors of about the last 100 steps.
    begin, mean = time.time(), np.ones(len(LAYERS))
    for i, images in enumerate(random_crops(image_arrays, training_part, steps, seed)):
        mean += (step(images).numpy() - mean) / min(i + 1, 100)
        if i % 100 == 99:
            print(f"step {i + 1}, {time.time() - begin:.0f} s: {mean.round(3)}", flush=True)

    # Measure the errors on held-out images.
    network = without_batch_norm(student)
    errors = [
        relative_errors(network(images), normalized_teacher(images))
        for images in random_crops(image_arrays, held_out_part, 20, seed)
    ]
    return network, dict(zip(LAYERS, np.mean(errors, axis=0), strict=True))


def with_batch_norm(network):
    """Add batch normalization between each convolution and its ReLU: it needs far fewer steps."""
    tensors = {network.input: network.input}
    outputs = {}
    for layer in network.layers[1:]:
        x = tensors[layer.input]
        if isinstance(layer, keras.layers.Conv2D):
            x = keras.layers.Conv2D(
                layer.filters, 3, use_bias=False, kernel_initializer="he_normal", name=layer.name
            )(x)
            x = BatchNormalization(momentum=0.98, epsilon=1e-5, name=f"{layer.name}_norm")(x)
            x = keras.layers.ReLU()(x)
            outputs[layer.name] = x
        else:
            x = type(layer).from_config(layer.get_config())(x)
        tensors[layer.output] = x
    return keras.Model(network.input, [outputs[layer] for layer in LAYERS])


def without_batch_norm(student):
    """Fold batch normalization into the convolutions: a plain network with the same outputs."""
    network = build_vgg19(LAYERS, "max", SMALL_VGG_WIDTH)
    for layer in network.layers:
        if layer.weights:
            (kernel,) = student.get_layer(layer.name).get_weights()
            norm = student.get_layer(f"{layer.name}_norm")
            gamma, beta, mean, variance = norm.get_weights()
            factor = gamma / np.sqrt(variance + norm.epsilon)
            layer.set_weights([kernel * factor, beta - mean * factor])
    return network


def relative_errors(outputs, targets):
    """Return the mean squared error of every layer, relative to the variance of the target."""

    def relative_error(output, target):
        variance = tf.reduce_mean(tf.math.reduce_variance(target, (0, 1, 2)))
        return tf.reduce_mean(tf.square(output - target)) / (variance + 1e-6)

    return [
        relative_error(output, targets[layer])
        for layer, output in zip(LAYERS, outputs, strict=True)
    ]


def random_crops(image_arrays, part, steps, seed):
    """Return batches of random crops in [-1, 1].

    Args:
        image_arrays: list of uint8 (n, 2 SIZE, 2 SIZE, 3), one for each folder.
        part: slice of the ten tenths of every folder.
        steps: number of batches.
        seed: seed of the order and of the crops.
    """
    config = DataConfig(dataset="folder", flip=True, zoom=0.3, batch_size=BATCH_SIZE)
    tenths = [np.concatenate(np.array_split(images, 10)[part]) for images in image_arrays]
    data = ImageData("images", np.concatenate(tenths), None, [], shape=(2 * SIZE, 2 * SIZE, 3))
    random = tf.random.Generator.from_seed(seed)

    def crop(batch):
        corner = random.uniform((2,), 0, SIZE + 1, tf.int32)
        return tf.slice(batch, (0, corner[0], corner[1], 0), (BATCH_SIZE, SIZE, SIZE, 3))

    steps_per_epoch = max(1, len(data.images) // BATCH_SIZE)
    batches = pipeline.batches(data, config, seed, BATCH_SIZE, steps_per_epoch=steps_per_epoch)
    return batches.map(crop).take(steps)


def main():
    parser = argparse.ArgumentParser(description="Train the small feature network by distillation.")
    parser.add_argument(
        "teacher",
        help="Keras model of RGB images in [0, 1] with VGG-19's layer names and 16, 32, 64, 128 "
        "and 128 channels",
    )
    parser.add_argument("folders", nargs="+", type=pathlib.Path, help="folders of images")
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
    with atomic_write(options.output) as partial:
        np.savez_compressed(partial, **values)
    print(", ".join(f"{layer} {error:.3f}" for layer, error in errors.items()))
    print(f"{options.output} sha256 {hashlib.sha256(options.output.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
