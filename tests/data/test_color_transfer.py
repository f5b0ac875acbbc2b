"""Color transfer between images, and color profiles of files."""

import numpy as np
from PIL import Image, ImageCms

from tfgan_zoo.data import builtin_images, image_file
from tfgan_zoo.data.color_transfer import LUMA, keep_colors, match_color_statistics

CONTENT = builtin_images.photograph("china")[100:148, 200:264]  # 48x64


def test_kept_colors_have_the_images_brightness_and_the_contents_hue():
    other = builtin_images.style_image("strokes", 64)[:48]
    recolored = keep_colors(other, CONTENT)
    np.testing.assert_allclose(recolored @ LUMA, other @ LUMA, atol=1.1)
    np.testing.assert_array_equal(keep_colors(CONTENT, CONTENT), CONTENT)
    red = np.full((2, 2, 3), (200, 20, 20), np.uint8)
    assert (np.diff(keep_colors(np.full((2, 2, 3), 90, np.uint8), red)[0, 0].astype(int)) < 0)[0]


def test_matched_colors_have_the_targets_mean_and_covariance():
    random = np.random.default_rng(0)
    image = random.normal(120, 15, (60, 70, 3)) @ [[1, 0.2, 0], [0, 1, 0], [0.3, 0, 0.8]]
    image, target = (
        np.clip(image, 0, 255).astype(np.uint8),
        np.clip(random.normal((90, 120, 150), (10, 20, 5), (50, 50, 3)), 0, 255).astype(np.uint8),
    )
    matched = match_color_statistics(image, target).reshape(-1, 3)
    np.testing.assert_allclose(matched.mean(0), target.reshape(-1, 3).mean(0), atol=0.3)
    np.testing.assert_allclose(
        np.cov(matched, rowvar=False), np.cov(target.reshape(-1, 3), rowvar=False), atol=3
    )


def test_a_color_profile_is_converted_to_srgb(tmp_path):
    """In a linear profile gray 55 is as bright as 128 in sRGB."""
    linear = tmp_path / "linear.png"
    profile = linear_profile()
    Image.new("RGB", (4, 4), (55, 55, 55)).save(linear, icc_profile=profile)
    assert np.abs(image_file.read_image(linear, 3).astype(int) - 128).max() <= 2
    Image.new("RGBA", (4, 4), (55, 55, 55, 7)).save(linear, icc_profile=profile)
    assert (
        np.abs(image_file.read_image(linear, 4)[0, 0].astype(int) - (128, 128, 128, 7)).max() <= 2
    )
    Image.new("RGB", (4, 4), (55, 55, 55)).save(
        linear, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    )
    assert np.abs(image_file.read_image(linear, 3).astype(int) - 55).max() <= 1
    Image.new("RGB", (4, 4), (55, 55, 55)).save(linear, icc_profile=b"no profile")
    np.testing.assert_array_equal(image_file.read_image(linear, 3), 55)


def linear_profile():
    """Return an sRGB profile with linear curves; its name still contains sRGB."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for i in range(int.from_bytes(profile[128:132])):
        entry = profile[132 + 12 * i : 144 + 12 * i]
        offset = int.from_bytes(entry[4:8])
        if entry[:4] in (b"rTRC", b"gTRC", b"bTRC"):
            profile[offset : offset + 12] = b"curv" + bytes(8)
    return bytes(profile).replace(
        "sRGB built-in".encode("utf-16-be"), "sRGB linear-1".encode("utf-16-be")
    )
