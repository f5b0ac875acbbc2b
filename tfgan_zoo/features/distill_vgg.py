"""Train the medium VGG-16 of the package by channel pruning and knowledge distillation.

The medium network is VGG-16 to block5_conv1, half as wide. Every channel of it reproduces one
channel of the teacher, a VGG-16 of full width:

    python -m tfgan_zoo.features.distill_vgg hed FOLDER [FOLDER ...] -o medium_vgg.npz

1. Pruning (He et al. 2017, Channel Pruning for Accelerating Very Deep Neural Networks, arXiv
   1707.06168, who select by LASSO): a QR decomposition with pivoting selects the half of each
   layer's channels from which the others can be computed best. The next layer's kernel takes the
   least-squares combination of the selected channels instead of those that are removed.
2. Distillation (Hinton et al. 2015, arXiv 1503.02531): all layers are trained together to
   reproduce the teacher's selected channels, on random crops of many scales.

The last tenth of every folder is held out for the errors that are printed at the end. The file of
the package comes from 800 steps on 898 photographs of the ImageNet classes and on 200 images of
CycleGAN's datasets, in 9 min on 2 CPU cores. On the held-out images the errors are between 0.000
(block1_conv1) and 0.070 (block4_conv3).
"""

import argparse
import hashlib
import pathlib
import time

import keras
import numpy as np
import scipy.linalg
import tensorflow as tf

from tfgan_zoo.config import DataConfig
from tfgan_zoo.data import pipeline
from tfgan_zoo.data.datasets import ImageData, load_images
from tfgan_zoo.features.vgg import (
    VGG16_BLOCKS,
    build_vgg,
    layer_names,
    load_perceptual_network,
)
from tfgan_zoo.files import atomic_write
from tfgan_zoo.optimizers import Adam

LAYERS = tuple(layer_names(VGG16_BLOCKS)[: sum(VGG16_BLOCKS[:4]) + 1])  # to block5_conv1
WIDTH = 32  # channels of the first block
SIZE = 128  # side of a crop in pixels
BATCH_SIZE = 8  # crops per step
PRUNING_BATCHES = 25  # batches whose features select the channels
POSITIONS = 20_000  # positions of a layer in these batches


def distill(teacher, folders, steps, seed, learning_rate=3e-5):
    """Train the network.

    Args:
        teacher: feature network as for `load_perceptual_network`, such as "hed".
        folders: folders of images.
        steps: number of steps of `BATCH_SIZE` crops.
        seed: seed of the order, the crops and the positions.
        learning_rate: of Adam at the first step. It falls to 0 along a cosine.

    Returns:
        (network, {layer: relative squared error on held-out images}). An error of 1 is that of the
        teacher's mean feature.
    """
    keras.utils.set_random_seed(seed)
    image_arrays = [
        load_images(DataConfig(dataset="folder", path=str(folder)), 2 * SIZE, 3).images
        for folder in folders
    ]
    training_part, held_out_part = slice(None, -1), slice(-1, None)
    teacher = load_perceptual_network(teacher, LAYERS)
    crops = random_crops(image_arrays, training_part, PRUNING_BATCHES, seed)
    student, channels = prune(teacher, crops, seed)
    weights = student.trainable_variables
    optimizer = Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps))
    optimizer.build(weights)

    def errors_of(images):
        """Return the error of every layer: float32 (layers,)."""
        targets = teacher(images)
        outputs = dict(zip(LAYERS, student(images), strict=True))
        errors = [
            relative_error(outputs[layer], tf.gather(targets[layer], channels[layer], axis=-1))
            for layer in LAYERS
        ]
        return tf.stack(errors)

    @tf.function(autograph=False)
    def step(images):
        with tf.GradientTape() as tape:
            errors = errors_of(images)
            loss = tf.reduce_sum(errors)
        optimizer.apply(tape.gradient(loss, [variable.value for variable in weights]))
        return errors

    def held_out_errors():
        batches = random_crops(image_arrays, held_out_part, 20, seed)
        return np.mean([errors_of(images) for images in batches], axis=0)

    print(f"after pruning: {held_out_errors().round(3)}", flush=True)
    # Train, and print the mean errors of about the last 100 steps.
    begin, mean = time.time(), np.zeros(len(LAYERS))
    for i, images in enumerate(random_crops(image_arrays, training_part, steps, seed)):
        mean += (step(images).numpy() - mean) / min(i + 1, 100)
        if i % 100 == 99:
            print(f"step {i + 1}, {time.time() - begin:.0f} s: {mean.round(3)}", flush=True)
    return student, dict(zip(LAYERS, held_out_errors(), strict=True))


def prune(teacher, batches, seed):
    """Build the network from the teacher's weights.

    Args:
        teacher: `PerceptualNetwork` with VGG-16's layers.
        batches: batches of images (n, SIZE, SIZE, 3) in [-1, 1].
        seed: seed of the positions whose features are compared.

    Returns:
        (network, {layer: indices of the teacher's channels that the network's channels reproduce}).
    """
    random = np.random.default_rng(seed)
    samples = {layer: [] for layer in LAYERS}
    for images in batches:
        for layer, features in teacher(images).items():
            positions = features.numpy().reshape(-1, features.shape[-1])
            count = min(len(positions), POSITIONS // PRUNING_BATCHES)
            samples[layer].append(random.permutation(positions)[:count])
    student = build_vgg(VGG16_BLOCKS, LAYERS, "max", WIDTH)
    student.trainable = True
    channels = {}
    # The image, as a linear function of the network's input, which is in [-1, 1].
    origin = teacher.preprocess(tf.zeros((1, 1, 1, 3))).numpy()[0, 0, 0]
    mixing = teacher.preprocess(tf.eye(3)[None, None]).numpy()[0, 0] - origin  # (3, 3)
    for name in LAYERS:
        kernel, bias = teacher.network.get_layer(name).get_weights()
        # Replace the layer's input by its linear approximation.
        bias = bias + np.einsum("hwio,i->o", kernel, origin)
        kernel = np.einsum("hwio,si->hwso", kernel, mixing)
        # Select the channels, and approximate the layer's output by them.
        features = np.concatenate(samples[name])
        selected = select_channels(features, student.get_layer(name).filters)
        student.get_layer(name).set_weights([kernel[..., selected], bias[selected]])
        channels[name] = selected
        inputs = np.c_[features[:, selected], np.ones(len(features))]
        solution = np.linalg.lstsq(inputs, features, rcond=None)[0]
        mixing, origin = solution[:-1], solution[-1]
    return student, channels


def select_channels(features, count):
    """Return the channels from which the others can be computed best.

    Args:
        features: float32 (positions, channels).
        count: number of channels to select.

    Returns:
        Sorted indices (count,).
    """
    centered = features - features.mean(axis=0)
    _, order = scipy.linalg.qr(centered, mode="r", pivoting=True)
    return np.sort(order[:count])


def relative_error(output, target):
    """Return the mean squared error relative to the variance of the target."""
    variance = tf.reduce_mean(tf.math.reduce_variance(target, (0, 1, 2)))
    return tf.reduce_mean(tf.square(output - target)) / (variance + 1e-6)


def random_crops(image_arrays, part, steps, seed):
    """Return batches of random crops in [-1, 1], of 1/2 to all of an image's side.

    Args:
        image_arrays: list of uint8 (n, 2 SIZE, 2 SIZE, 3), one for each folder.
        part: slice of the ten tenths of every folder.
        steps: number of batches.
        seed: seed of the order and of the crops.
    """
    config = DataConfig(dataset="folder", flip=True, batch_size=BATCH_SIZE)
    tenths = [np.concatenate(np.array_split(images, 10)[part]) for images in image_arrays]
    data = ImageData("images", np.concatenate(tenths), None, [], shape=(2 * SIZE, 2 * SIZE, 3))
    random = tf.random.Generator.from_seed(seed)

    def crop(batch):
        side = random.uniform((), SIZE, 2 * SIZE + 1, tf.int32)
        corner = random.uniform((2,), 0, 2 * SIZE + 1 - side, tf.int32)
        crops = tf.slice(batch, (0, corner[0], corner[1], 0), (BATCH_SIZE, side, side, 3))
        return tf.image.resize(crops, (SIZE, SIZE), antialias=True)

    steps_per_epoch = max(1, len(data.images) // BATCH_SIZE)
    batches = pipeline.batches(data, config, seed, BATCH_SIZE, steps_per_epoch=steps_per_epoch)
    return batches.map(crop).take(steps)


def main():
    parser = argparse.ArgumentParser(description="Train the medium feature network.")
    parser.add_argument(
        "teacher", help="hed, or a Keras model of RGB images in [0, 1] with VGG-16's layers"
    )
    parser.add_argument("folders", nargs="+", type=pathlib.Path, help="folders of images")
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path("medium_vgg.npz"))
    parser.add_argument("--steps", type=int, default=800)
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
