"""Feature networks: the packaged small VGG, and files that are not what their names say."""

import keras
import numpy as np
import pytest

from tfgan_zoo.data.transforms import to_float
from tfgan_zoo.errors import UserError
from tfgan_zoo.features.metric_networks import SMALL_LAYERS, load_metric_network
from tfgan_zoo.features.vgg import load_perceptual_network


@pytest.mark.parametrize(
    "load", [load_metric_network, lambda path: load_perceptual_network(path, ["block1_conv1"])]
)
def test_other_files_named_keras_raise_an_error(load, tmp_path):
    image = keras.Input((16, 16, 3))
    keras.Model(image, keras.layers.Conv2D(2, 3)(image)).save(tmp_path / "old.h5")
    path = (tmp_path / "old.h5").rename(tmp_path / "net.keras")
    with pytest.raises(UserError, match=r"net.keras \(it is an HDF5 file: rename it to .h5"):
        load(str(path))
    path.write_text("text")
    with pytest.raises(UserError, match=r"net.keras \(it is not a zip archive"):
        load(str(path))


def test_small_network_averages_vgg_features_of_images_of_any_size():
    network = load_metric_network("small")
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    features, probabilities = network(images)
    (maps,) = load_perceptual_network("small", SMALL_LAYERS)(to_float(images)).values()
    np.testing.assert_allclose(features, np.mean(maps, axis=(1, 2)), rtol=1e-4, atol=1e-5)
    assert probabilities is None and network.resizer == "none"
    tall = np.concatenate([images[:, :1], images, images[:, :1]], axis=1)  # cropped to its center
    np.testing.assert_allclose(network(tall)[0], features, rtol=1e-4, atol=1e-5)
    gray = images[:1, ..., :1]
    np.testing.assert_allclose(
        network(gray)[0], network(gray.repeat(3, axis=-1))[0], rtol=1e-4, atol=1e-5
    )
