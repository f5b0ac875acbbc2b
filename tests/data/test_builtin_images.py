"""Built-in style images, and style images from files."""

import numpy as np
import pytest
from PIL import Image

from tfgan_zoo.data import builtin_images
from tfgan_zoo.data.builtin_images import load_style_image
from tfgan_zoo.errors import UserError

CONTENT = builtin_images.photograph("china")[100:148, 200:264]  # 48x64


def test_styles_are_loaded_by_name_or_from_a_file(tmp_path):
    np.testing.assert_array_equal(
        load_style_image("strokes", 64), builtin_images.style_image("strokes", 64)
    )
    Image.fromarray(CONTENT).save(tmp_path / "p.png")
    np.testing.assert_array_equal(load_style_image(str(tmp_path / "p.png")), CONTENT)
    assert load_style_image(str(tmp_path / "p.png"), 128).shape == (96, 128, 3)
    with pytest.raises(UserError, match="a style must be .* mosaic, .*'nothing.jpg'"):
        load_style_image("nothing.jpg")


def test_built_in_styles_are_always_the_same():
    for name in builtin_images.STYLES:
        first = builtin_images.style_image(name, 96)
        assert first.dtype == np.uint8 and first.shape == (96, 96, 3) and first.std() > 20
        np.testing.assert_array_equal(first, builtin_images.style_image(name, 96))
        assert not np.array_equal(first, builtin_images.style_image(name, 96, seed=1))
    with pytest.raises(UserError, match="Unknown style 'mosaik'. Did you mean mosaic"):
        builtin_images.style_image("mosaik")
