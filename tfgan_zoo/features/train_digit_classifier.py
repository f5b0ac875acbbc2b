"""The classifier of digits that the metrics look through: a small convolutional network trained on MNIST's 60,000 training images.

    python -m tfgan_zoo.digit_classifier -o digit_classifier.keras

trains it (about five minutes on two cores) and prints its accuracy on the 10,000 test images and the file's SHA-256. The file that the
package ships was made so; `tfgan_zoo.features` pins its hash. Its penultimate layer, 64 numbers an image, gives the features for
Frechet distance, KID and precision/recall; its softmax the classifier score and the class histogram.
"""

import argparse
import hashlib
import pathlib

import keras

from tfgan_zoo.config import DataConfig
from tfgan_zoo.data import pipeline, transforms
from tfgan_zoo.data.datasets import load_images

BATCH_SIZE = 128


def digit_classifier():
    """image (n, 28, 28, 1) in [-1, 1] -> [features (n, 64), logits (n, 10)]: three convolutions, two dense layers, 102,314 parameters."""
    image = keras.Input((28, 28, 1), name="image")
    x = keras.layers.MaxPooling2D()(block(image, 32, 5))  # (n, 14, 14, 32)
    x = keras.layers.MaxPooling2D()(block(x, 64, 3))  # (n, 7, 7, 64)
    x = keras.layers.GlobalAveragePooling2D()(block(x, 128, 3))  # (n, 128)
    features = keras.layers.Dense(64, activation="relu", name="features")(x)
    logits = keras.layers.Dense(10, name="logits")(features)
    return keras.Model(image, [features, logits], name="digit_classifier")


def block(x, width, kernel_size):
    x = keras.layers.Conv2D(
        width, kernel_size, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)
    return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.99)(x))


def train(epochs, seed, data_dir=""):
    """Trains the classifier, each image rotated by up to 10 degrees, enlarged by up to 10 % and moved by up to 2 pixels.

    Returns:
        (the model, its accuracy on the test images).
    """
    keras.utils.set_random_seed(seed)
    config = DataConfig(dataset="mnist", path=data_dir, rotate=10, zoom=0.1)
    images = load_images(config, 28, 1)
    steps = pipeline.steps_per_epoch(images, BATCH_SIZE)
    move = keras.layers.RandomTranslation(2 / 28, 2 / 28, fill_mode="nearest", seed=seed)
    batches = pipeline.batches(images, config, seed, BATCH_SIZE, steps_per_epoch=steps, labels=True)
    batches = batches.map(lambda x, y: (move(x, training=True), y))

    model = digit_classifier()
    classify = keras.Model(model.input, model.get_layer("logits").output)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classify.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    classify.fit(batches, epochs=epochs, steps_per_epoch=steps, verbose=2)

    test = load_images(DataConfig(dataset="mnist", path=data_dir, split="test"), 28, 1)
    _, accuracy = classify.evaluate(
        transforms.to_float(test.images), test.labels, batch_size=500, verbose=0
    )
    return model, accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Trains the digit classifier of the metrics on MNIST."
    )
    parser.add_argument(
        "-o", "--output", type=pathlib.Path, default=pathlib.Path("digit_classifier.keras")
    )
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--data-dir", default="", help="the tensorflow-datasets directory (default: its own)"
    )
    options = parser.parse_args()
    model, accuracy = train(options.epochs, options.seed, options.data_dir)
    model.save(options.output)
    print(
        f"test accuracy {accuracy:.4f}, {options.output} sha256 {hashlib.sha256(options.output.read_bytes()).hexdigest()}"
    )
