"""Feature networks from files that are not what their names say."""

import keras
import pytest

from tfgan_zoo.errors import UserError
from tfgan_zoo.features.metric_networks import load_metric_network
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
