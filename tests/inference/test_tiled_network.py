"""Large images in tiles: equal to the whole image, also with norms that depend on the image."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import make

from tfgan_zoo.data import builtin_images, transforms
from tfgan_zoo.data.tiles import apply_in_tiles, pad_to_multiple, tile_weights
from tfgan_zoo.errors import UserError
from tfgan_zoo.inference.stylize import network_stylizer
from tfgan_zoo.inference.tiled_network import TiledNetwork
from tfgan_zoo.inference.translate import translate
from tfgan_zoo.layers import image_statistics, moments_per_image
from tfgan_zoo.presets import experiment
from tfgan_zoo.saving.exported import load, load_exported
from tfgan_zoo.saving.saved_model import save_signatures


def drawing(height=150, width=300):
    """Return an image that is a colored texture on the left and nearly blank on the right."""
    random = np.random.default_rng(0)
    image = random.normal(230, 1, (height, width, 3))
    coarse = random.integers(0, 256, (height // 10, height // 10, 3)).astype("float32")
    texture = tf.image.resize(coarse, (height - 20, height - 20)).numpy()
    image[10 : height - 10, 10 : height - 10] = texture
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def convert(model, image, tile, tmp_path):
    """Translate or stylize an image in tiles."""
    if model.task == "stylize":
        return network_stylizer(model, tile=tile)(image, None)[0]
    np.save(tmp_path / "image.npy", image)
    result = translate(
        model, [tmp_path / "image.npy"], tmp_path / "out.npy", tile=tile, overlap=16, overwrite=True
    )
    assert not result["failed"], result
    return np.load(tmp_path / "out.npy")


def error(result, whole):
    return np.abs(result.astype(int) - whole.astype(int)).mean()


# --- Placement


@pytest.mark.parametrize("overlap", [0, 3, 8, 17])
@pytest.mark.parametrize("length", [8, 32, 40, 72, 256])
def test_tiles_begin_at_multiples(length, overlap):
    tiles = tile_weights(length, 32, overlap, 8)
    assert all(start % 8 == 0 and len(weights) == min(32, length) for start, weights in tiles)
    total = np.zeros(length)
    for start, weights in tiles:
        total[start : start + len(weights)] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert tiles[-1][0] + len(tiles[-1][1]) == length


@pytest.mark.parametrize(("tile", "side"), [(37, 32), (32, 32), (20, 32), (9, 32)])
def test_sides_of_tiles_are_multiples_and_larger_than_the_overlap(tile, side):
    sizes, image = [], np.zeros((64, 96, 1), np.uint8)
    apply_in_tiles(lambda part: sizes.append(part.shape[:2]) or part, image, tile, 16 - 8, 16)
    assert set(sizes) == {(side, side)}


def test_padding_is_that_of_the_whole_image():
    model, image = make("cyclegan_tiny"), drawing(37, 42)
    padded, top, left = pad_to_multiple(image, 4, 8)
    assert padded.shape == (40, 44, 3)
    np.testing.assert_array_equal(padded[top : top + 37, left : left + 42], image)
    whole = model.translate(padded)[top : top + 37, left : left + 42]
    np.testing.assert_array_equal(model.translate(image), whole)
    assert pad_to_multiple(padded, 4, 8)[0] is padded


# --- Statistics


def test_statistics_replace_those_of_the_image():
    model, image = make("fast_tiny", "model.output_scale=1.0"), drawing(64, 64)
    calls = []

    def moments(x):
        calls.append(x.shape[-1])
        return moments_per_image(x)

    x = tf.constant(image[None] / 127.5 - 1.0, tf.float32)
    expected = model.stylize_tensor(x)
    with image_statistics(moments):
        same = model.stylize_tensor(x)
    with image_statistics(lambda x: (0.0, 1.0)):
        other = model.stylize_tensor(x)
    np.testing.assert_allclose(same, expected, atol=1e-4)
    assert np.abs(other - expected).mean() > 0.05
    norms = [layer for layer in model.generator.layers if "normalization" in layer.name]
    assert calls == [layer.gamma.shape[0] for layer in norms]


def test_the_statistics_of_an_image_of_patches_are_exact():
    """Where the patches are the whole image and the shrunk image is the image, nothing is lost."""
    model, image = make("cyclegan_tiny"), drawing(128, 128)
    network = TiledNetwork(lambda images, seed: model.map(images), 4, 8)
    measured = network.measure(image, 128, tf.constant(0))
    exact = []
    with image_statistics(lambda x: exact.append(moments_per_image(x)) or exact[-1]):
        model.map(tf.constant(image[None] / 127.5 - 1.0, tf.float32))
    exact = np.concatenate([np.reshape(layer, (2, -1)) for layer in exact], axis=1)
    np.testing.assert_allclose(measured, exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "settings", "factor"),
    [
        ("cyclegan_tiny", [], 0.4),  # measured: 0.18
        ("cyclegan_tiny", ["model.norm=batch"], 0.4),  # 0.12
        ("pix2pix_tiny", [], 0.7),  # 0.38
        ("fast_tiny", [], 0.4),  # 0.17
    ],
)
def test_tiles_are_nearer_to_the_whole_image_than_with_their_own_statistics(
    name, settings, factor, tmp_path
):
    model, image = make(name, *settings), drawing()
    whole, tiled = (convert(model, image, tile, tmp_path) for tile in (0, 128))
    function = model.stylize if model.task == "stylize" else model.translate
    np.testing.assert_array_equal(whole, function(image))  # not in tiles: the network as it is
    alone = apply_in_tiles(function, image, 128, 16)
    assert error(tiled, whole) < factor * error(alone, whole)


def test_running_statistics_need_no_measurement(tmp_path):
    model, image = make("pix2pix_tiny", "model.test_norm=running"), drawing()
    whole, tiled = (convert(model, image, tile, tmp_path) for tile in (0, 128))
    assert error(tiled, whole) < 0.1
    network = TiledNetwork(lambda images, seed: model.map(images), model.config.multiple, 0)
    assert network.measure(drawing(128, 256), 128, tf.constant(0)).shape == (2, 0)


def test_tiles_of_deep_images_keep_16_bits(tmp_path):
    model = make("cyclegan_tiny")
    deep = drawing().astype(np.uint16) * 257
    result = convert(model, deep, 128, tmp_path)
    assert result.dtype == np.uint16 and len(np.unique(result)) > 256
    assert np.abs(result / 257 - convert(model, drawing(), 128, tmp_path)).max() < 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["cyclegan_facades_synthetic", "pix2pix_facades_synthetic", "fast_mosaic"]
)
def test_pretrained_presets_in_tiles(name, tmp_path):
    """At most 5 levels of 255; 1 to 2 with the default tiles of 1024 pixels."""
    photograph = transforms.resize(builtin_images.photograph("flower"), 600, 900)
    model = load(name)
    whole, tiled = (convert(model, photograph, tile, tmp_path) for tile in (0, 512))
    assert error(tiled, whole) < 5


# --- Exported models


@pytest.mark.parametrize(
    ("name", "settings", "compact"),
    [
        ("cyclegan_tiny", [], False),
        ("pix2pix_tiny", ["model.test_norm=running"], False),
        ("pix2pix_tiny", ["model.test_norm=running"], True),
        ("fast_tiny", [], True),
    ],
)
def test_exported_models_are_rebuilt_for_tiles(name, settings, compact, tmp_path):
    model, image = make(name, *settings), drawing(100, 210)
    save_signatures(model, tmp_path / "saved", compact)
    exported = load_exported(tmp_path / "saved")
    with pytest.raises(UserError, match="experiment.json is missing, so the model"):
        _ = exported.zoo_model
    (tmp_path / "saved/experiment.json").write_text(experiment(name, *settings).to_json())
    result = convert(exported, image, 96, tmp_path)
    if compact:  # weights differ by their rounding
        assert error(result, convert(model, image, 96, tmp_path)) < 1
    else:
        np.testing.assert_array_equal(result, convert(model, image, 96, tmp_path))


def test_an_experiment_of_another_model_raises_an_error(tmp_path):
    save_signatures(make("pix2pix_tiny"), tmp_path)
    exported = load_exported(tmp_path)
    for name, settings in (
        ("cyclegan_tiny", []),
        ("pix2pix_tiny", ["model.width=8"]),
        ("pix2pix_tiny", ["model.slope=0.5"]),  # same weights, other images
    ):
        (tmp_path / "experiment.json").write_text(experiment(name, *settings).to_json())
        with pytest.raises(UserError, match="is not the experiment of this SavedModel"):
            _ = exported.zoo_model
