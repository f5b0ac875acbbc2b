"""Translate image files: sizes, names, bit depths, existing files, tiles and failures."""

import itertools
import json
import os
import tracemalloc
import types

import numpy as np
import pytest
import tensorflow as tf
from helpers import make, run_cli
from PIL import Image

from tfgan_zoo import cli, presets
from tfgan_zoo.data import transforms
from tfgan_zoo.data.tiles import apply_in_tiles, tile_weights
from tfgan_zoo.errors import UserError, check_choice
from tfgan_zoo.inference import image_files
from tfgan_zoo.inference.image_files import plan_jobs
from tfgan_zoo.inference.translate import translate
from tfgan_zoo.saving.exported import load, load_exported
from tfgan_zoo.saving.saved_model import save_signatures
from tfgan_zoo.training.train import train


class NegativeModel:
    """A model whose y is the negative of x; channels are cut off or repeated."""

    def __init__(self, x=3, y=3, directions=("xy",)):
        self.x, self.y, self.directions, self.inputs = x, y, directions, []
        self.config = types.SimpleNamespace(multiple=1, smallest=0)

    def channels(self, direction):
        check_choice("direction", direction, self.directions)
        return (self.x, self.y) if direction == "xy" else (self.y, self.x)

    def translate(self, image, direction="xy", seed=0):
        self.inputs.append(image)
        channels = self.channels(direction)[1]
        return np.iinfo(image.dtype).max - np.take(
            image, np.arange(channels) % image.shape[-1], axis=-1
        )

    def map(self, images, direction="xy", seed=0):
        """Translate float images, as the tiles of large images are."""

        def translate(batch):
            images = [
                self.translate(image, direction) for image in transforms.to_uint8(batch).numpy()
            ]
            return transforms.to_float_array(np.stack(images))

        translated = tf.numpy_function(translate, [images], tf.float32)
        return tf.ensure_shape(translated, (*images.shape[:3], self.channels(direction)[1]))


def noise(height, width, channels=3, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(
        0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True
    )


def save(path, image=None):
    """Write an image, by default of noise, and return it."""
    image = noise(9, 13) if image is None else image
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, image)
    else:
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(path)
    return image


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def photos(tmp_path):
    """Write a folder with subfolders, in which two files have the same name."""
    folder = tmp_path / "photos"
    for name in ("a.png", "trip/a.png", "trip/day 2/b.jpg"):
        save(folder / name)
    (folder / "trip/notes.txt").write_text("not an image")
    return folder


# --- Tiles


def test_weights_of_two_tiles_by_hand():
    (first, rising), (second, falling) = tile_weights(10, 6, 2)
    assert (first, second) == (0, 4)
    np.testing.assert_array_equal(rising, np.float32([1, 1, 1, 1, 0.75, 0.25]))
    np.testing.assert_array_equal(falling, np.float32([0.25, 0.75, 1, 1, 1, 1]))
    (_, left), (_, right) = tile_weights(
        7, 6, 2
    )  # 5 pixels are shared, the weights change over the middle 2
    np.testing.assert_array_equal(left, np.float32([1, 1, 1, 0.5, 0, 0]))
    np.testing.assert_array_equal(right, np.float32([0, 0, 0.5, 1, 1, 1]))


@pytest.mark.parametrize("overlap", [0, 1, 5, 8, 15])
@pytest.mark.parametrize("length", [1, 7, 15, 16, 17, 24, 31, 32, 33, 100])
def test_weights_sum_to_one_and_change_in_small_steps(length, overlap):
    total, whole = np.zeros(length), []
    for begin, weight in tile_weights(length, 16, overlap):
        assert len(weight) == min(16, length) and weight.min() >= 0 and begin >= 0
        total[begin : begin + len(weight)] += weight
        whole.append(np.pad(weight, (begin, length - begin - len(weight))))
    np.testing.assert_allclose(total, 1, atol=1e-6)
    begins = [begin for begin, _ in tile_weights(length, 16, overlap)]
    assert begins[0] == 0 and begins[-1] == max(0, length - 16)
    assert all(after - before <= 16 - overlap for before, after in itertools.pairwise(begins))
    if overlap and length > 1:
        assert np.abs(np.diff(whole)).max() <= 1 / overlap + 1e-6


def test_tiles_are_blended_linearly():
    values = iter([0, 100])
    out = apply_in_tiles(
        lambda part: np.full_like(part, next(values)), np.zeros((4, 10, 1), np.uint8), 6, 2
    )
    np.testing.assert_array_equal(out[..., 0], [[0, 0, 0, 0, 25, 75, 100, 100, 100, 100]] * 4)
    values = iter([0, 80, 160, 240])  # left to right, then down
    out = apply_in_tiles(
        lambda part: np.full_like(part, next(values)), np.zeros((10, 10, 1), np.uint8), 6, 2
    )
    np.testing.assert_array_equal(
        out[3:7, 3:7, 0],
        [[0, 20, 60, 80], [40, 60, 100, 120], [120, 140, 180, 200], [160, 180, 220, 240]],
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    "size",
    [
        (16, 16),
        (15, 17),
        (16, 17),
        (17, 16),
        (17, 17),
        (1, 300),
        (300, 1),
        (3, 90),
        (50, 61),
        (8, 32),
    ],
)
@pytest.mark.parametrize("overlap", [0, 4, 7, 15])
def test_identity_in_tiles_returns_the_image(size, overlap, dtype):
    image, sizes = noise(*size, dtype=dtype), []
    out = apply_in_tiles(lambda part: sizes.append(part.shape[:2]) or part, image, 16, overlap)
    np.testing.assert_array_equal(out, image)
    assert out.dtype == dtype
    if size[0] * size[1] <= 256:
        assert sizes == [size]
    else:
        assert len(sizes) > 1 and max(map(max, sizes)) <= 16


def test_tiles_equal_the_whole_for_receptive_fields_within_half_the_overlap():
    def blur(image):  # 3x3 with zero padding
        padded = np.pad(image.astype(np.float64), ((1, 1), (1, 1), (0, 0)))
        return np.round(
            sum(
                padded[y : y + len(image), x : x + image.shape[1]]
                for y in range(3)
                for x in range(3)
            )
            / 9
        ).astype(np.uint8)

    image = noise(41, 50)  # tiles of 20 share more than 4 pixels here, so their ends have weight 0
    np.testing.assert_array_equal(apply_in_tiles(blur, image, 20, 4), blur(image))


def test_tiles_may_change_the_number_of_channels():
    model, image = NegativeModel(3, 5), noise(30, 20)
    out = apply_in_tiles(model.translate, image, 8, 2)
    np.testing.assert_array_equal(out, 255 - image[..., [0, 1, 2, 0, 1]])


def test_tiles_do_not_need_a_float_copy_of_the_image():
    image = np.zeros((6000, 200, 3), np.uint8)
    tracemalloc.start()
    apply_in_tiles(lambda part: part, image, 64, 16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert image.nbytes < peak < 1.3 * image.nbytes


# --- Input and output files


def test_folders_keep_names_and_subfolders(photos, tmp_path):
    calls = []
    result = translate(
        NegativeModel(),
        [photos],
        tmp_path / "out",
        progress=lambda *arguments: calls.append(arguments),
    )
    assert files_in(tmp_path / "out") == ["a.png", "trip/a.png", "trip/day 2/b.jpg"]
    assert [record["input"] for record in result["translated"]] == [
        str(photos / name) for name in files_in(tmp_path / "out")
    ]
    assert result["translated"][0] == {
        "input": str(photos / "a.png"),
        "output": str(tmp_path / "out/a.png"),
        "width": 13,
        "height": 9,
    }
    assert result["failed"] == []
    np.testing.assert_array_equal(pixels(tmp_path / "out/trip/a.png"), 255 - noise(9, 13))
    assert calls == [
        (i, 3, photos / name) for i, name in enumerate(["a.png", "trip/a.png", "trip/day 2/b.jpg"])
    ]


def test_patterns_keep_the_folders_after_their_fixed_part(photos, tmp_path, monkeypatch):
    out = tmp_path / "out"
    jobs = plan_jobs([str(photos / "**/*.png")], out, (".png",))
    assert [str(target.relative_to(out)) for _, target in jobs] == ["a.png", "trip/a.png"]
    monkeypatch.chdir(tmp_path)
    assert [str(target) for _, target in plan_jobs(["*/trip/*"], out, (".png",))] == [
        str(out / "photos/trip/a.png")
    ]
    assert [
        str(target)
        for _, target in plan_jobs(["photos/tri?/a.png", "photos/a.png"], out, (".png",))
    ] == [
        str(out / "trip/a.png"),
        str(out / "a.png"),
    ]


def test_output_of_one_image_is_a_file_or_a_folder(photos, tmp_path):
    source = photos / "a.png"
    for output, expected in [
        ("b.png", "b.png"),
        ("new/deep/b.webp", "new/deep/b.webp"),
        ("folder", "folder/a.png"),
    ]:
        result = translate(NegativeModel(), [source], tmp_path / output)
        assert (
            result["translated"][0]["output"] == str(tmp_path / expected)
            and (tmp_path / expected).is_file()
        )
    (tmp_path / "there.png").mkdir()
    translate(NegativeModel(), [source], tmp_path / "there.png")
    assert (tmp_path / "there.png/a.png").is_file()
    translate(
        NegativeModel(), [photos / "trip/day 2"], tmp_path / "alone.png"
    )  # a folder with one image
    assert (tmp_path / "alone.png").is_file()


def test_a_file_that_is_given_twice_is_translated_once(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(photos)
    model = NegativeModel()
    result = translate(
        model,
        ["photos/a.png", photos / "trip/../a.png", "photos/a.*", tmp_path / "link/a.png"],
        "out",
    )
    assert len(result["translated"]) == len(model.inputs) == 1


def test_results_are_not_inputs_of_the_next_call(photos):
    for output in (photos / "out", photos / "trip/out"):
        first = translate(NegativeModel(), [photos], output)
        assert files_in(output) == ["a.png", "trip/a.png", "trip/day 2/b.jpg"]
        again = translate(NegativeModel(), [photos], output, overwrite=True)
        assert again == first
        assert len(plan_jobs([str(photos / "**/*.*")], output, (".png", ".jpg"))) == 3
        for file in files_in(output):
            (output / file).unlink()
    assert (
        len(plan_jobs([photos], photos.parent, (".png", ".jpg"))) == 3
    )  # an output that contains the input leaves out nothing
    save(photos / "out/a.png")
    with pytest.raises(UserError, match="outside of the output"):
        plan_jobs([photos / "out/*.png", photos / "*/a.gif"], photos / "elsewhere", (".png",))


def test_output_file_in_the_input_folder(photos):
    source = photos / "trip/day 2"
    for overwrite in (False, True):
        result = translate(NegativeModel(), [source], source / "b_out.jpg", overwrite=overwrite)
        assert [record["input"] for record in result["translated"]] == [str(source / "b.jpg")]


@pytest.mark.parametrize(
    ("sources", "output", "message"),
    [
        (["nothing.png"], "out", "no such image, folder .* got 'nothing.png'"),
        (["photos/*.gif"], "out", "no such image, folder .* got 'photos/\\*.gif'"),
        (["empty"], "out", "the folder must have images .*, got 'empty'"),
        (
            ["photos/a.png", "photos/trip/a.png"],
            "out",
            "photos/a.png and photos/trip/a.png have the same output out/a.png. Convert them",
        ),
        (
            ["photos/trip", "photos"],
            "out",
            "photos/trip/a.png and photos/a.png have the same output out/a.png",
        ),
        (
            ["photos"],
            "photos",
            "photos/a.png is an input, and its result would replace it, got -o photos",
        ),
        (["photos/a.png"], "photos/a.png", "is an input"),
        (["photos/a.png"], "photos/trip/../a.png", "is an input"),
        (["out/trip/a.png", "photos/*/a.png"], "out", "out/trip/a.png is an input"),
        (["photos"], "out.png", "the output of 3 images must be a folder, got -o out.png"),
        (
            ["photos/a.png"],
            "out.gif",
            r"the output of 1 image must be a file .* \(.png, .jpg.*got -o out.gif",
        ),
        (["photos/a.png"], "out.pgn", "a folder without a dot in its name"),
        (
            ["photos"],
            "file",
            "the output must be in a writable folder, got file",
        ),
        (
            ["photos/a.png"],
            "file/b.png",
            "the output must be in a writable folder, got file",
        ),
    ],
)
def test_wrong_files_raise_an_error_before_any_translation(
    photos, tmp_path, monkeypatch, sources, output, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("precious")
    if "out/trip/a.png" in sources:
        save(tmp_path / "out/trip/a.png")
    before, model = files_in(tmp_path), NegativeModel()
    with pytest.raises(UserError, match=message):
        translate(model, sources, output, overwrite=True)
    assert not model.inputs and files_in(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"direction": "yx"}, "direction must be one of xy, got 'yx'"),
        ({"tile": 64, "overlap": 64}, "larger than overlap, got tile=64 and overlap=64"),
        ({"tile": -1}, "tile must be between 0 and .*, got -1"),
        ({"tile": 1}, "tile must be at least 32 pixels or 0, got 1"),
        ({"seed": 2**31}, "seed must be between 0 and 2147483647, got 2147483648"),
    ],
)
def test_wrong_options_raise_an_error(photos, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        translate(NegativeModel(), [photos], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_existing_outputs_are_kept_unless_overwrite_is_set(photos, tmp_path):
    out, model = tmp_path / "out", NegativeModel()
    (out / "trip/day 2").mkdir(parents=True)
    (out / "trip/day 2/b.jpg").write_text("precious")
    with pytest.raises(
        UserError,
        match=r"b.jpg already exists \(1 of 3 outputs do\). Choose another output, or pass --over",
    ):
        translate(model, [photos], out)
    assert not model.inputs and files_in(out) == [
        "trip/day 2/b.jpg"
    ]  # the error is raised before the first translation
    assert (out / "trip/day 2/b.jpg").read_text() == "precious"
    translate(model, [photos], out, overwrite=True)
    assert pixels(out / "trip/day 2/b.jpg").shape == (9, 13, 3)
    (out / "a.png").unlink()
    (out / "a.png").symlink_to(tmp_path / "not there")  # a link, even if it is broken
    with pytest.raises(UserError, match="already exists"):
        translate(model, [photos / "a.png"], out)
    (out / "a.png").unlink()
    (out / "a.png").mkdir()
    with pytest.raises(UserError, match=r"a.png is a folder, but must be a file"):
        translate(model, [photos], out, overwrite=True)


def test_overwriting_replaces_a_link_and_not_its_target(photos, tmp_path):
    (tmp_path / "mine.png").write_text("precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.png").symlink_to(tmp_path / "mine.png")
    translate(NegativeModel(), [photos / "a.png"], tmp_path / "out", overwrite=True)
    assert (tmp_path / "mine.png").read_text() == "precious" and not (
        tmp_path / "out/a.png"
    ).is_symlink()


ODD_NAMES = [
    "a b#%&é日本.png",
    "-o.png",
    "x[1]*?.png",
    "two\nlines.png",
    os.fsdecode(b"\xff\xfe.png"),
    "n" * 251 + ".png",
    "UP.PNG",
]


def test_odd_names_are_kept(tmp_path):
    for i, name in enumerate(ODD_NAMES):
        save(tmp_path / "in" / name, noise(3, 4, seed=i))
    result = translate(NegativeModel(), [tmp_path / "in"], tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == sorted(ODD_NAMES)
    for i, name in enumerate(ODD_NAMES):
        np.testing.assert_array_equal(pixels(tmp_path / "out" / name), 255 - noise(3, 4, seed=i))
    json.dumps(result)
    one = translate(
        NegativeModel(), [tmp_path / "in" / "x[1]*?.png"], tmp_path / "one.png"
    )  # a file name that looks like a pattern
    assert one["translated"][0]["output"] == str(tmp_path / "one.png")


def test_hidden_files_are_translated_if_they_are_named(tmp_path):
    save(tmp_path / "in" / ".hidden.png", noise(3, 4))
    save(tmp_path / "in" / "a.png", noise(3, 4))
    translate(NegativeModel(), [tmp_path / "in"], tmp_path / "out")
    assert os.listdir(tmp_path / "out") == ["a.png"]
    translate(NegativeModel(), [tmp_path / "in" / ".hidden.png"], tmp_path / "one.png")
    assert (tmp_path / "one.png").is_file()


def test_links_are_read_and_broken_links_are_left_out(photos, tmp_path):
    (photos / "link.png").symlink_to("trip/a.png")
    (photos / "broken.png").symlink_to("nowhere.png")
    (photos / "trip/loop").symlink_to(photos)
    translate(NegativeModel(), [photos], tmp_path / "out")
    assert files_in(tmp_path / "out") == ["a.png", "link.png", "trip/a.png", "trip/day 2/b.jpg"]


# --- Files that cannot be read or written


def test_unreadable_files_do_not_stop_the_others(photos, tmp_path):
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (photos / "cut.jpg").write_bytes((photos / "trip/day 2/b.jpg").read_bytes()[:300])
    (photos / "empty.npy").write_bytes(b"")
    np.savez(photos / "several.npz", a=np.zeros(3))
    (photos / "several.npz").rename(photos / "several.npy")
    save(photos / "floats.npy", np.zeros((4, 4, 3), np.float32))
    save(photos / "gray.npy", noise(4, 4, 1))
    save(photos / "none.npy", noise(0, 4))
    result = translate(NegativeModel(), [photos], tmp_path / "out")
    unreadable = [
        "broken.png",
        "cut.jpg",
        "empty.npy",
        "floats.npy",
        "gray.npy",
        "none.npy",
        "several.npy",
    ]
    assert [record["input"] for record in result["failed"]] == [
        str(photos / name) for name in unreadable
    ]
    assert all(record["error"] and "\n" not in record["error"] for record in result["failed"])
    errors = {
        name: record["error"] for name, record in zip(unreadable, result["failed"], strict=True)
    }
    assert "got float32 (4, 4, 3)" in errors["floats.npy"] and "(0, 4, 3)" in errors["none.npy"]
    assert files_in(tmp_path / "out") == ["a.png", "trip/a.png", "trip/day 2/b.jpg"]


def test_too_little_memory_for_one_image_does_not_stop_the_others(photos, tmp_path):
    save(photos / "large.png", noise(50, 60))

    class SmallMemoryModel(NegativeModel):
        def translate(self, image, direction="xy", seed=0):
            if image.size > 100 * 100:
                raise MemoryError("out of memory")  # becomes a ResourceExhaustedError in a graph
            return super().translate(image, direction, seed)

    result = translate(SmallMemoryModel(), [photos], tmp_path / "out", tile=60, overlap=8)
    assert (
        len(result["translated"]) == 4
    )  # 50 x 60 are no more than 60 x 60, but hold 9,000 numbers
    result = translate(
        SmallMemoryModel(),
        [photos, save_large(photos.parent / "large2.png")],
        tmp_path / "more",
        tile=70,
        overlap=8,
    )
    assert result["failed"] == [
        {
            "input": str(photos.parent / "large2.png"),
            "error": "70x70 pixels need more memory than is available: choose a tile below 70",
        }
    ]
    assert len(result["translated"]) == 4
    result = translate(
        SmallMemoryModel(), [photos.parent / "large2.png"], tmp_path / "third", tile=40, overlap=8
    )
    np.testing.assert_array_equal(
        pixels(tmp_path / "third/large2.png"), 255 - pixels(photos.parent / "large2.png")
    )


def save_large(path):
    save(path, noise(70, 70))
    return path


def test_an_image_too_large_for_its_format_is_reported(tmp_path):
    save(tmp_path / "in/a.webp", noise(4, 9000))
    save(tmp_path / "in/b.png")
    result = translate(
        NegativeModel(), [tmp_path / "in"], tmp_path / "out", compare=True
    )  # wider than WebP allows
    assert [record["input"] for record in result["failed"]] == [str(tmp_path / "in/a.webp")]
    assert (
        "18000x4 pixels do not fit into a.webp" in result["failed"][0]["error"]
        and ".png" in result["failed"][0]["error"]
    )
    assert files_in(tmp_path / "out") == ["b.png"]


def test_a_full_disk_keeps_finished_and_existing_files(photos, tmp_path, monkeypatch):
    out = tmp_path / "out"
    save(out / "trip/a.png", noise(2, 2))
    before, write, calls = (out / "trip/a.png").read_bytes(), Image.Image.save, itertools.count()

    def fails(picture, file, **options):
        write(picture, file, **options)
        if next(calls) == 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fails)
    with pytest.raises(
        OSError, match=r"No space left on device; 1 of 3 images were converted: '.*trip/a.png'"
    ):
        translate(NegativeModel(), [photos], out, overwrite=True)
    assert files_in(out) == ["a.png", "trip/a.png"]
    assert (out / "trip/a.png").read_bytes() == before


def test_an_interruption_leaves_no_partial_file(photos, tmp_path, monkeypatch):
    def interrupted(file, image):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        translate(NegativeModel(), [photos / "a.png"], tmp_path / "out/a.npy")
    assert files_in(tmp_path / "out") == []


# --- Pixels


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".npy"])
def test_gray_images_keep_16_bits_if_the_file_can_hold_them(tmp_path, suffix):
    deep = noise(5, 7, 1, np.uint16)
    save(tmp_path / f"a{suffix}", deep)
    translate(NegativeModel(1, 1), [tmp_path / f"a{suffix}"], tmp_path / f"b{suffix}")
    translated = (
        np.load(tmp_path / f"b{suffix}")
        if suffix == ".npy"
        else pixels(tmp_path / f"b{suffix}")[..., None]
    )
    assert translated.dtype == np.uint16
    np.testing.assert_array_equal(translated, 65535 - deep)


def test_16_bits_become_8_if_the_file_cannot_hold_them(tmp_path):
    deep = np.uint16([[[0], [128], [129], [257 * 7], [65535]]])  # half of 257 is rounded to even
    save(tmp_path / "a.png", deep)
    translate(NegativeModel(1, 1), [tmp_path / "a.png"], tmp_path / "b.bmp")
    np.testing.assert_array_equal(pixels(tmp_path / "b.bmp"), [[255, 255, 254, 248, 0]])
    model = NegativeModel(1, 3)  # color images are written with 8 bits
    translate(model, [tmp_path / "a.png"], tmp_path / "c.png")
    assert model.inputs[0].dtype == np.uint8 and pixels(tmp_path / "c.png").shape == (1, 5, 3)
    translate(NegativeModel(1, 3), [tmp_path / "a.png"], tmp_path / "c.npy")
    assert np.load(tmp_path / "c.npy").dtype == np.uint16


@pytest.mark.parametrize(
    ("x", "y", "name", "expected"),
    [
        (3, 1, "a.jpg", "a.jpg"),
        (3, 3, "a.gif", "a.png"),
        (3, 4, "a.jpg", "a.png"),
        (3, 4, "a.webp", "a.webp"),
        (3, 2, "a.png", "a.npy"),
        (5, 5, "a.npy", "a.npy"),
        (5, 3, "a.npy", "a.npy"),
        (3, 3, "photo", "photo.png"),
    ],
)
def test_suffixes_that_cannot_hold_the_result_are_changed(tmp_path, x, y, name, expected):
    if name == "photo":
        save(tmp_path / "p.png")
        (tmp_path / "p.png").rename(tmp_path / "photo")
    else:
        save(tmp_path / name, noise(6, 4, x))
    result = translate(NegativeModel(x, y), [tmp_path / name], tmp_path / "out")
    assert result["failed"] == [] and files_in(tmp_path / "out") == [expected]
    translated = (
        np.load(tmp_path / "out" / expected)
        if expected.endswith("npy")
        else pixels(tmp_path / "out" / expected)
    )
    assert translated.shape == ((6, 4) if y == 1 else (9, 13, y) if name == "photo" else (6, 4, y))
    if y not in (1, 3):
        with pytest.raises(UserError, match="the output of 1 image must be"):
            translate(NegativeModel(x, y), [tmp_path / name], tmp_path / "out.jpg")


def test_transparent_images_are_composited_on_white(tmp_path):
    image = np.zeros((2, 2, 4), np.uint8)
    image[0, :, 0], image[:, 0, 3] = 200, 255  # red above black; the right half is transparent
    save(tmp_path / "a.png", image)
    model = NegativeModel()
    translate(model, [tmp_path / "a.png"], tmp_path / "b.png")
    np.testing.assert_array_equal(model.inputs[0], [[[200, 0, 0], [255] * 3], [[0] * 3, [255] * 3]])
    translate(NegativeModel(4, 4), [tmp_path / "a.png"], tmp_path / "c.png")
    np.testing.assert_array_equal(pixels(tmp_path / "c.png"), 255 - image)


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # rotated by 90 degrees
    Image.fromarray(noise(10, 30)).save(tmp_path / "a.jpg", exif=exif)
    result = translate(NegativeModel(), [tmp_path / "a.jpg"], tmp_path / "b.png")
    assert (result["translated"][0]["width"], result["translated"][0]["height"]) == (10, 30)
    assert pixels(tmp_path / "b.png").shape == (30, 10, 3)


@pytest.mark.parametrize(("x", "y"), [(3, 3), (1, 3), (3, 1), (1, 1), (5, 2)])
def test_compare_shows_input_and_output(tmp_path, x, y):
    image = save(tmp_path / "a.npy", noise(6, 4, x))
    result = translate(NegativeModel(x, y), [tmp_path / "a.npy"], tmp_path / "out", compare=True)
    assert result["translated"][0]["width"] == 4  # of the translation, not of the comparison
    sheet, out = pixels(tmp_path / "out/a.png"), 255 - np.take(image, np.arange(y) % x, axis=-1)
    assert sheet.shape == (6, 8, 3)
    for shown, expected in ((sheet[:, :4], image), (sheet[:, 4:], out)):
        if expected.shape[-1] == 1:
            np.testing.assert_array_equal(shown, expected.repeat(3, axis=-1))
        else:
            np.testing.assert_array_equal(shown[..., : expected.shape[-1]], expected[..., :3])
    with pytest.raises(UserError, match="got -o .*b.npy"):
        translate(NegativeModel(x, y), [tmp_path / "a.npy"], tmp_path / "b.npy", compare=True)


def test_images_larger_than_a_tile_are_translated_in_tiles(tmp_path):
    image, model = save(tmp_path / "a.png", noise(40, 70)), NegativeModel()
    translate(model, [tmp_path / "a.png"], tmp_path / "b.png", tile=32, overlap=8)
    np.testing.assert_array_equal(pixels(tmp_path / "b.png"), 255 - image)
    shapes = [part.shape for part in model.inputs]
    assert shapes[-6:] == [(32, 32, 3)] * 6  # after those that are measured
    assert all(part.size <= 32 * 32 * 3 for part in model.inputs)
    model.inputs.clear()
    translate(model, [tmp_path / "a.png"], tmp_path / "c.png", tile=0)
    assert len(model.inputs) == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (37, 1), (70, 33)])
def test_translation_in_tiles_keeps_the_image_size(translation_tiny, tmp_path, size):
    save(tmp_path / "a.png", noise(*size))
    translate(make(translation_tiny), [tmp_path / "a.png"], tmp_path / "b.png", tile=32, overlap=8)
    assert pixels(tmp_path / "b.png").shape == (*size, 3)


# --- Command line


def untrained(name, folder):
    """Write a run directory of a preset with its initial weights."""
    experiment = presets.experiment(name)
    checkpoint = tf.train.Checkpoint(model=make(name))
    tf.train.CheckpointManager(checkpoint, str(folder / "checkpoints"), max_to_keep=1).save(
        checkpoint_number=1
    )
    (folder / "experiment.json").write_text(experiment.to_json())
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translate") / "run"
    train(
        "cyclegan_tiny",
        "train.epochs=1",
        "train.steps_per_epoch=2",
        "train.sample_count=1",
        run_dir=folder,
    )
    return folder


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    folder = tmp_path_factory.mktemp("others")
    return {name: untrained(name, folder / name) for name in ("pix2pix_tiny", "dcgan_tiny")}


def command(*arguments):
    return cli.main(["translate", *map(str, arguments)])


def test_command_in_its_own_process(run, photos, tmp_path):
    (photos / "broken.png").write_text("not an image")
    done = run_cli("translate", run, "photos", "-o", "out", "--json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    result = json.loads(done.stdout)
    assert [record["output"] for record in result["translated"]] == [
        "out/a.png",
        "out/trip/a.png",
        "out/trip/day 2/b.jpg",
    ]
    left_out, warning, error = done.stderr.splitlines()
    assert left_out == "photos: files of other formats left out: 1 (1 .txt)"
    assert warning.startswith("warning: photos/broken.png was not translated (")
    assert error == "tfgan-zoo: error: 1 of 4 images could not be translated: photos/broken.png"
    model, image = load(run), noise(9, 13)
    np.testing.assert_array_equal(
        pixels(tmp_path / "out/a.png"), model.translate(image)
    )  # equal in another process


def test_single_file_in_both_directions_and_side_by_side(run, photos, tmp_path, capsys):
    model = load(run)
    for extra, expected in (
        ([], model.translate(noise(9, 13))),
        (["--direction", "yx"], model.translate(noise(9, 13), "yx")),
    ):
        assert command(run, photos / "a.png", "-o", tmp_path / "b.png", "--overwrite", *extra) == 0
        output = capsys.readouterr().out
        assert output == f"1 image translated into {tmp_path / 'b.png'}\n"
        np.testing.assert_array_equal(pixels(tmp_path / "b.png"), expected)
    assert command(run, photos / "a.png", "-o", tmp_path / "b.png") == 2
    assert capsys.readouterr().err.endswith(
        "b.png already exists. Choose another output, or pass --overwrite.\n"
    )
    assert command(run, photos / "a.png", "-o", tmp_path / "c.png", "--compare") == 0
    np.testing.assert_array_equal(
        pixels(tmp_path / "c.png"),
        np.concatenate([noise(9, 13), model.translate(noise(9, 13))], axis=1),
    )


def test_exported_model_in_tiles_equals_the_run_to_one_level(run, tmp_path, capsys):
    save(tmp_path / "in/large.png", noise(70, 90))
    Image.fromarray(noise(20, 31, 1, np.uint16)[..., 0]).save(
        tmp_path / "in/deep.png"
    )  # the exported model takes 8 bits only
    outputs = []
    for source in (run, run / "saved_model"):
        out = tmp_path / f"out{len(outputs)}"
        assert (
            command(source, str(tmp_path / "in/*.png"), "-o", out, "--tile", 48, "--overlap", 16)
            == 0
        )
        assert files_in(out) == ["deep.png", "large.png"] and capsys.readouterr().err == ""
        outputs.append([pixels(out / name).astype(int) for name in files_in(out)])
    for translated, exported in zip(*outputs, strict=True):
        assert np.abs(translated - exported).max() <= 1
    assert outputs[0][1].shape == (70, 90, 3)


def test_exported_models_convert_16_bits_to_8(tmp_path):
    model = make("cyclegan_tiny", "model.x_channels=1", "model.y_channels=1")
    save_signatures(model, tmp_path / "saved")
    save(tmp_path / "a.png", noise(20, 31, 1, np.uint16))
    translate(load_exported(tmp_path / "saved"), [tmp_path / "a.png"], tmp_path / "b.png")
    assert pixels(tmp_path / "b.png").dtype == np.uint8
    translate(model, [tmp_path / "a.png"], tmp_path / "c.png")
    assert pixels(tmp_path / "c.png").dtype == np.uint16
    assert np.abs(pixels(tmp_path / "c.png") / 257 - pixels(tmp_path / "b.png")).max() < 4


def test_wrong_use_is_a_one_line_error(run, others, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/a.png").write_text("not an image")
    before = files_in(tmp_path)
    for arguments, message in [
        (
            [others["pix2pix_tiny"], "photos", "-o", "out", "--direction", "yx"],
            "direction must be one of xy, got 'yx'",
        ),
        ([others["dcgan_tiny"], "photos", "-o", "out"], "Use tfgan-zoo sample"),
        (["dcgan_tiny", "photos", "-o", "out"], "not pretrained"),
        ([run, "photos", "nothing.png", "-o", "out"], "got 'nothing.png'"),
        ([run, "photos", "-o", "out.png"], "must be a folder"),
        (
            [run, "photos", "-o", "out", "--tile", "100", "--overlap", "128"],
            "larger than overlap, got tile=100 and overlap=128",
        ),
    ]:
        assert command(*arguments) == 2, message
        error = capsys.readouterr().err
        assert message in error and "Traceback" not in error
        assert error.splitlines()[-1].startswith("tfgan-zoo: error: ")
    assert files_in(tmp_path) == before


def test_a_folder_of_damaged_images_is_a_failure_that_names_them(others, tmp_path, capsys):
    for i in range(7):
        (tmp_path / f"bad\x1b[31m{i}.png").write_text("not an image")
    assert command(others["pix2pix_tiny"], tmp_path, "-o", tmp_path / "out") == 1
    captured = capsys.readouterr()
    assert "0 images translated" in captured.out and "\x1b" not in captured.err
    *warnings, last = captured.err.splitlines()
    assert len(warnings) == 7
    assert last.startswith("tfgan-zoo: error: 7 of 7 images could not be translated: ")
    assert last.endswith("bad\\x1b[31m4.png and 2 more")


@pytest.mark.parametrize("large", [image_files.LARGE_IMAGE, 0])
def test_records_are_in_order_and_failures_are_independent(tmp_path, monkeypatch, large):
    """Images are read and written in the background; large ones are alone in memory."""
    monkeypatch.setattr(image_files, "LARGE_IMAGE", large)
    for i in range(6):
        Image.fromarray(np.full((8, 9, 3), i, np.uint8)).save(tmp_path / f"{i}.png")
    write_image, progress_calls = image_files.write_image, []

    def read(source, target):
        if source.stem == "1":
            raise ValueError("half a file")
        return np.asarray(Image.open(source))

    def convert(image, target):
        if image[0, 0, 0] == 3:
            raise MemoryError
        return 10 * image, {"level": int(image[0, 0, 0])}

    def write(image, path):
        if path.stem == "2":
            raise image_files.FormatError("too colorful")
        write_image(image, path)

    monkeypatch.setattr(image_files, "write_image", write)
    arguments = ([tmp_path], tmp_path / "out", (".png",), read, convert, "less")
    converted, failed = image_files.convert_images(
        *arguments, progress=lambda number, count, path: progress_calls.append((number, count))
    )
    assert [record["level"] for record in converted] == [0, 4, 5]
    assert progress_calls == [(i, 6) for i in range(6)]
    assert [record["error"] for record in failed] == [
        "half a file",
        "too colorful",
        "9x8 pixels need more memory than is available: choose less",
    ]
    assert (np.asarray(Image.open(tmp_path / "out" / "5.png")) == 50).all()

    def full(image, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(image_files, "write_image", full)
    with pytest.raises(
        OSError, match=r"No space left on device; 0 of 6 images were converted: '.*0.png'"
    ):
        image_files.convert_images(*arguments, overwrite=True)
