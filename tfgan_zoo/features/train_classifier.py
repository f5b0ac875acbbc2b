"""Train a classifier of the metrics, a small convolutional network, on MNIST or Fashion-MNIST.

    python -m tfgan_zoo.features.train_classifier mnist -o digit_classifier.keras
    python -m tfgan_zoo.features.train_classifier fashion_mnist -o fashion_classifier.keras

trains it on the 60,000 training images in 5 min on 2 CPU cores, and prints its accuracy on the
10,000 test images and the file's SHA-256. The files of the package were trained by these commands;
`metric_networks.py` contains their hashes. The penultimate layer has 64 features per image, for
the Frechet distance, KID, precision and recall. The classifier score and the class histogram are
computed from the softmax.
"""

import argparse
import hashlib
import pathlib

import keras

from tfgan_zoo.config import DataConfig
from tfgan_zoo.data import pipeline, transforms
from tfgan_zoo.data.datasets import load_images
from tfgan_zoo.files import atomic_write

BATCH_SIZE = 128
AUGMENTATION = {  # dataset: (fields of `DataConfig`, pixels by which images are moved)
    "mnist": ({"rotate": 10, "zoom": 0.1}, 2),
    "fashion_mnist": ({"flip": True}, 0),  # its images are aligned
}


def build_classifier():
    """Build the classifier: three convolutions, two dense layers, 102,314 parameters.

    Returns:
        A `keras.Model` from images (n, 28, 28, 1) in [-1, 1] to [features (n, 64), logits (n, 10)].
    """
    image = keras.Input((28, 28, 1), name="image")
    x = keras.layers.MaxPooling2D()(block(image, 32, 5))  # (n, 14, 14, 32)
    x = keras.layers.MaxPooling2D()(block(x, 64, 3))  # (n, 7, 7, 64)
    x = keras.layers.GlobalAveragePooling2D()(block(x, 128, 3))  # (n, 128)
    features = keras.layers.Dense(64, activation="relu", name="features")(x)
    logits = keras.layers.Dense(10, name="logits")(features)
    return keras.Model(image, [features, logits], name="classifier")


def block(x, width, kernel_size):
    x = keras.layers.Conv2D(
        width, kernel_size, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)
    return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.99)(x))


def train(dataset, epochs, seed, data_dir=""):
    """Train the classifier on images that are augmented as in `AUGMENTATION`.

    Args:
        dataset: "mnist" or "fashion_mnist".
        epochs: number of epochs.
        seed: seed of the first weights, of the order and of the augmentation.
        data_dir: the tensorflow-datasets directory; "": its default.

    Returns:
        (model, accuracy on the test images).
    """
    keras.utils.set_random_seed(seed)
    fields, pixels = AUGMENTATION[dataset]
    config = DataConfig(dataset=dataset, path=data_dir, **fields)
    images = load_images(config, 28, 1)
    steps = pipeline.steps_per_epoch(images, BATCH_SIZE)
    move = keras.layers.RandomTranslation(pixels / 28, pixels / 28, fill_mode="nearest", seed=seed)
    batches = pipeline.batches(images, config, seed, BATCH_SIZE, steps_per_epoch=steps, labels=True)
    batches = batches.map(lambda x, y: (move(x, training=True), y))

    model = build_classifier()
    classifier = keras.Model(model.input, model.get_layer("logits").output)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    classifier.fit(batches, epochs=epochs, steps_per_epoch=steps, verbose=2)

    test = load_images(DataConfig(dataset=dataset, path=data_dir, split="test"), 28, 1)
    _, accuracy = classifier.evaluate(
        transforms.to_float(test.images), test.labels, batch_size=500, verbose=0
    )
    return model, accuracy


def main():
    parser = argparse.ArgumentParser(description="Train a classifier of the metrics.")
    parser.add_argument("dataset", choices=AUGMENTATION)
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--data-dir", default="", help="the tensorflow-datasets directory (default: its own)"
    )
    options = parser.parse_args()
    model, accuracy = train(options.dataset, options.epochs, options.seed, options.data_dir)
    with atomic_write(options.output) as partial:
        model.save(partial)
    sha256 = hashlib.sha256(options.output.read_bytes()).hexdigest()
    print(f"test accuracy {accuracy:.4f}, {options.output} sha256 {sha256}")


if __name__ == "__main__":
    main()
