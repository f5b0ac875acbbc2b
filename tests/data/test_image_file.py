import functools
import io
import itertools
import logging
import random
import struct
import zlib

import numpy as np
import pytest
from helpers import run_cli
from PIL import Image

from tfgan_zoo import presets
from tfgan_zoo.config import DataConfig
from tfgan_zoo.data import domains, image_file, image_folder, transforms
from tfgan_zoo.data.builtin_images import load_style_image
from tfgan_zoo.data.check import check_folder, summary
from tfgan_zoo.data.datasets import load_images
from tfgan_zoo.errors import UserError

PHOTO = Image.fromarray(np.tile(np.arange(0, 240, 10, np.uint8)[:, None], (1, 16)))  # 16x24


def jpeg(entries=(), order="<", tail=bytes(60)):
    """Return a JPEG file with the EXIF entries (tag, type, count, 4 bytes)."""
    stream = io.BytesIO()
    PHOTO.convert("RGB").save(stream, "JPEG", quality=95)
    image = stream.getvalue()
    fields = [struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries]
    header = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    exif = b"Exif\0\0" + header + struct.pack(order + "H", len(fields)) + b"".join(fields) + tail
    return image[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + image[2:]


def odd_exif(orientation=6):
    """Return entries that Pillow cannot write again: a resolution with a zero denominator."""
    return [
        (0x112, 3, 1, struct.pack("<HH", orientation, 0)),
        (0x11A, 10, 1, struct.pack("<I", 38)),
    ]


def bomb(width, height):
    """Return a PNG file of a few bytes whose header claims a size."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(100))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


# --- EXIF


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_every_exif_orientation_is_applied(orientation, suffix, tmp_path):
    array = np.asarray(PHOTO)
    upright = {
        2: array[:, ::-1],
        3: array[::-1, ::-1],
        4: array[::-1],
        5: array.T,
        6: array.T[:, ::-1],
        7: array[::-1, ::-1].T,
        8: array.T[::-1],
    }
    exif = Image.Exif()
    exif[0x112] = orientation
    file = tmp_path / f"x.{suffix}"
    PHOTO.convert("RGB").save(file, exif=exif, quality=100)
    expected = upright.get(orientation, array).astype(int)
    image = image_file.read_image(file, 1)[..., 0]
    assert image.shape == expected.shape and abs(image - expected).max() <= 4


def test_odd_exif_values_do_not_matter_anywhere(tmp_path, caplog):
    (tmp_path / "phone.jpg").write_bytes(jpeg(odd_exif()))
    PHOTO.convert("RGB").save(tmp_path / "x.png")
    assert image_file.read_image(tmp_path / "phone.jpg", 3).shape == (16, 24, 3)
    report = check_folder(tmp_path)
    assert report["unreadable"] == [] and report["rotated"] == 1
    assert len(load_images(DataConfig(dataset="folder", path=str(tmp_path)), 16, 3)) == 2
    assert load_style_image(str(tmp_path / "phone.jpg"), 48).shape == (32, 48, 3)
    assert "unreadable" not in caplog.text


@pytest.mark.filterwarnings("ignore::UserWarning")  # pytest resets the filter of image_file
def test_orientation_is_found_behind_a_broken_entry(tmp_path):
    beyond_the_end = (0x10F, 2, 99, struct.pack("<I", 2**31))
    (tmp_path / "x.jpg").write_bytes(jpeg([beyond_the_end, *odd_exif()]))
    assert image_file.read_image(tmp_path / "x.jpg", 3).shape == (16, 24, 3)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_random_exif_entries_never_make_an_image_unreadable(tmp_path):
    draw = random.Random(0)
    file = tmp_path / "x.jpg"
    tags = [0x10F, 0x112, 0x11A, 0x128, 0x132, 0x201, 0x8769, 0x8825, 0x9286, 0xA005, 0xC4A5]
    for _ in range(300):
        order = draw.choice("<>")
        orientation = draw.randint(1, 8)
        entries = [(0x112, 3, 1, struct.pack(order + "HH", orientation, 0))] + [
            (
                draw.choice(tags),
                draw.randint(0, 17),
                draw.choice([0, 1, 2, 3, 100, 2**31, 2**32 - 1]),
                bytes([0, 0, draw.choice([0, 255]), draw.randint(0, 90)])[:: draw.choice([1, -1])],
            )
            for _ in range(draw.randint(0, 6))
        ]
        file.write_bytes(jpeg(entries, order, bytes(draw.choices([0, 255, 7], k=90))))
        shape = (24, 16, 3) if orientation < 5 else (16, 24, 3)
        assert image_file.read_image(file, 3).shape == shape


def test_the_command_line_is_silent_about_odd_exif_values(tmp_path):
    truncated = (0x8769, 4, 1, struct.pack("<I", 60))
    (tmp_path / "x.jpg").write_bytes(jpeg([*odd_exif(), truncated], tail=b""))
    (tmp_path / "y.tif").write_bytes(b"")
    PHOTO.save(tmp_path / "y.tif", tiffinfo={270: "text"})
    result = run_cli("data", "check", tmp_path)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert "2 of them readable" in result.stdout


# --- Size


def test_images_have_no_limit_of_pixels(tmp_path, monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    file = tmp_path / "x.png"
    PHOTO.save(file)
    assert image_file.read_image(file, 1).shape == (24, 16, 1)
    assert check_folder(tmp_path)["unreadable"] == []
    assert Image.MAX_IMAGE_PIXELS == 10 and not recwarn.list
    with pytest.raises(image_file.ImageError, match="it has 16x24 pixels, more than"):
        image_file.read_image(file, 1, max_pixels=100)


@pytest.mark.parametrize("side", [60_000, 2**31 - 1])
def test_absurd_sizes_are_one_clear_error(side, tmp_path, caplog):
    (tmp_path / "bomb.png").write_bytes(bomb(side, side))
    with pytest.raises(image_file.ImageError, match=f"header claims {side}x{side} pixels, which"):
        image_file.read_image(tmp_path / "bomb.png", 3)
    with pytest.raises(image_file.ImageError):  # plausible, but the file is cut
        (tmp_path / "cut.png").write_bytes(bomb(5000, 5000))
        image_file.read_image(tmp_path / "cut.png", 3)
    PHOTO.save(tmp_path / "x.png")
    with caplog.at_level(logging.WARNING, "tfgan_zoo"):
        assert len(load_images(DataConfig(dataset="folder", path=str(tmp_path)), 16, 3)) == 1
    assert "skipped 2 unreadable files" in caplog.text and "bomb.png (its header" in caplog.text


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_large_images_are_reduced_to_twice_the_side(mode, tmp_path, monkeypatch):
    monkeypatch.setattr(image_file, "LARGE", 1000)
    ramp = np.tile(np.linspace(0, 255, 160).astype(np.uint8), (90, 1))
    if mode == "I;16":
        picture = Image.fromarray(ramp * np.uint16(257))
    else:
        picture = Image.fromarray(np.stack([ramp] * 3, -1)).convert(mode)
    file = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    picture.save(file)
    for channels, (side, measure, shape) in itertools.product(
        (1, 3, 4), [(20, max, (23, 40)), (20, min, (45, 80)), (70, max, (90, 160))]
    ):
        image = image_file.read_image(file, channels, side, measure)
        assert image.shape == (*shape, channels)
        columns = image_file.to_8_bits(image)[..., 0].mean(0)
        step = 160 // shape[1]
        margin = 80 if mode in ("1", "P") else 4  # these modes are dithered
        assert abs(columns - ramp[0].reshape(-1, step).mean(1)).max() <= margin
    picture.convert("RGB").save(tmp_path / "x.jpg", quality=95)
    if mode != "I;16":
        assert image_file.read_image(tmp_path / "x.jpg", 3, 5).shape == (6, 10, 3)


@pytest.mark.parametrize("orientation", [1, 6])
def test_jpeg_files_are_decoded_at_a_part_of_their_size(orientation, tmp_path):
    large = PHOTO.resize((1200, 900), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[image_file.ORIENTATION] = orientation
    large.save(tmp_path / "x.jpg", quality=95, exif=exif)
    large.save(tmp_path / "x.png", exif=exif)
    whole = image_file.read_image(tmp_path / "x.jpg", 3)
    part = image_file.read_image(tmp_path / "x.jpg", 3, 100, min)  # 900 / 4 is 2.25 times the side
    upright = (900, 1200) if orientation == 1 else (1200, 900)
    assert whole.shape == (*upright, 3)
    assert part.shape == (upright[0] // 4, upright[1] // 4, 3)
    assert image_file.read_image(tmp_path / "x.jpg", 3, 300, min).shape == whole.shape
    assert image_file.read_image(tmp_path / "x.png", 3, 100, min).shape == whole.shape
    # After the resize that follows, the difference is small: mean 0.3 levels measured.
    a, b = (image_file.to_square(pixels, 100, 3).astype(int) for pixels in (whole, part))
    assert np.abs(a - b).mean() < 1.0


def test_a_thin_jpeg_file_is_decoded(tmp_path):
    Image.new("RGB", (3000, 5), "red").save(tmp_path / "x.jpg")
    height, width, _ = image_file.read_image(tmp_path / "x.jpg", 3, 128).shape
    assert height >= 1 and width >= 256


def test_compositing_and_rounding_are_exact():
    values = np.random.default_rng(0).integers(0, 256, (40, 30, 4)).astype(np.uint8)
    alpha = values[..., 3:] / 255
    expected = np.round(values[..., :3] * alpha + 255 * (1 - alpha))
    np.testing.assert_array_equal(image_file.composite_on_white(values), expected)
    deep = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    np.testing.assert_array_equal(image_file.to_8_bits(deep), np.round(deep / 257))


def test_long_thin_images_are_cropped_before_they_are_enlarged():
    thin = np.full((1, 3000, 3), 200, np.uint8)
    thin[:, 1500] = 0
    resized = transforms.resize_longer_side(thin, 64)
    assert resized.shape == (32, 1024, 3) and resized[:, 500:524].min() < 100
    assert transforms.resize_longer_side(thin, 64, 1).shape == (1, 3000, 3)  # not enlarged
    assert transforms.resize_longer_side(thin[:, 1490:1510], 40).shape == (32, 640, 3)


# --- Formats


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_integers_of_32_bits_are_refused_like_floating_point(dtype, tmp_path):
    for values in ([[0, 255]], [[0, 256]]):
        Image.fromarray(np.array(values, dtype)).save(tmp_path / "x.tif")
        with pytest.raises(image_file.ImageError, match="unknown: convert them to 16 bits"):
            image_file.read_image(tmp_path / "x.tif", 1)


def test_12_bits_in_16_are_reported(tmp_path, caplog):
    for i, peak in enumerate((4095, 3000)):
        values = np.linspace(0, peak, 1024).astype(np.uint16).reshape(32, 32)
        Image.fromarray(values).save(tmp_path / f"{i}.png")
    expected = "reach only 6.2 % of the range (up to 4095 of 65535): multiply them by 16"
    with caplog.at_level(logging.WARNING, "tfgan_zoo"):
        load_images(DataConfig(dataset="folder", path=str(tmp_path)), 16, 1)
    assert expected in caplog.text
    assert expected in summary(check_folder(tmp_path))
    caplog.clear()
    Image.fromarray(np.full((32, 32), 40000, np.uint16)).save(tmp_path / "2.png")
    load_images(DataConfig(dataset="folder", path=str(tmp_path)), 16, 1)
    assert "reach only" not in caplog.text + summary(check_folder(tmp_path))


def test_jfif_and_avif_are_read(tmp_path):
    PHOTO.save(tmp_path / "x.jfif", "JPEG")
    suffixes = {".jfif"}
    if ".avif" in image_file.SUFFIXES:
        PHOTO.convert("RGB").save(tmp_path / "x.avif")
        suffixes.add(".avif")
    report = check_folder(tmp_path)
    assert report["files"] == len(suffixes) and not report["unreadable"] + report["wrong_suffix"]


@pytest.mark.parametrize("suffix", ["gif", "webp", "tif"])
def test_frames_that_are_left_out_are_reported_once(suffix, tmp_path, caplog):
    frames = [Image.new("L", (32, 32), level) for level in (0, 100, 200)]
    for name in "ab":
        frames[0].save(tmp_path / f"{name}.{suffix}", save_all=True, append_images=frames[1:])
    with caplog.at_level(logging.WARNING, "tfgan_zoo"):
        for name in "aab":
            assert image_file.read_image(tmp_path / f"{name}.{suffix}", 1).max() <= 2
    assert caplog.text.count("only the first of 3 frames or pages") == 1
    assert f"2 of 2 files have several frames or pages (first: a.{suffix})" in summary(
        check_folder(tmp_path)
    )


def test_files_of_other_formats_are_reported_once(tmp_path, caplog):
    for name in ("a.png", "b.HEIC", "c.heic", "labels.csv", ".hidden", "README", "d.npy"):
        (tmp_path / name).write_bytes(b"")
    with caplog.at_level(logging.WARNING, "tfgan_zoo"):
        for _ in range(2):
            assert [path.name for path in image_folder.list_images(tmp_path)] == ["a.png", "d.npy"]
    assert caplog.text.count("other formats left out: 3 (2 .heic, 1 README)") == 1


@pytest.mark.parametrize("kind", ["images", "domains"])
def test_an_image_that_disappears_in_training_is_named(kind, tmp_path):
    PHOTO.convert("RGB").save(tmp_path / "x.png")
    if kind == "images":
        config = DataConfig(dataset="folder", path=str(tmp_path), cache_gb=0)
        data = load_images(config, 16, 3)
    else:
        read = functools.partial(image_file.read_image, channels=3)
        data = domains.CachedItems("images", [tmp_path / "x.png"], lambda path: (read(path),), 0)
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"can no longer be read: .*x.png \(cannot identify"):
        data.evaluation_images(0) if kind == "images" else data[0]


def test_images_of_datasets_are_square_and_have_1_or_3_channels(tmp_path):
    PHOTO.convert("RGBA").save(tmp_path / "x.png")
    with pytest.raises(UserError, match=r"channels must be 1 \(gray\) or 3 \(RGB\) .*, got 4"):
        load_images(DataConfig(dataset="folder", path=str(tmp_path)), 16, 4)
    with pytest.raises(UserError, match="got '64x128'. Images are cropped to squares"):
        presets.experiment("dcgan_folder_64", "model.image_size=64x128")


def test_every_unreadable_file_is_an_image_error(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"no image")
    with pytest.raises(image_file.ImageError, match="cannot identify"):
        image_file.read_image(tmp_path / "x.jpg", 3)
    with pytest.raises(image_file.ImageError, match="No such file"):
        image_file.read_image(tmp_path / "y.jpg", 3)
    with pytest.raises(image_file.ImageError, match="not a regular file"):
        image_file.read_image(tmp_path, 3)
    with pytest.raises(image_file.ImageError, match="1, 3 or 4 channels"):
        image_file.read_image(tmp_path / "x.jpg", 2)
