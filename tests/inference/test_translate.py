"""Translating files: sizes, names, depths and what is already there are kept; tiles cannot be told from the whole."""

import itertools
import json
import os
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from helpers import make, run_cli
from PIL import Image

from tfgan_zoo import cli, presets
from tfgan_zoo.data.tiles import apply_in_tiles, tile_weights
from tfgan_zoo.errors import UserError, check_choice
from tfgan_zoo.inference import image_files
from tfgan_zoo.inference.image_files import plan_jobs
from tfgan_zoo.inference.translate import translate
from tfgan_zoo.saving.exported import load, load_exported
from tfgan_zoo.saving.saved_model import save_signatures
from tfgan_zoo.training.train import train


class Negative:
    """A stand-in for a model: y is the negative of x, in the first of x's channels or repeated; yx only if it is asked for."""

    def __init__(self, x=3, y=3, directions=("xy",)):
        self.x, self.y, self.directions, self.seen = x, y, directions, []

    def channels(self, direction):
        check_choice("direction", direction, self.directions)
        return (self.x, self.y) if direction == "xy" else (self.y, self.x)

    def translate(self, image, direction="xy", seed=0):
        self.seen.append(image)
        wanted = self.channels(direction)[1]
        return np.iinfo(image.dtype).max - np.take(
            image, np.arange(wanted) % image.shape[-1], axis=-1
        )


def noise(height, width, channels=3, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(
        0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True
    )


def save(path, image=None):
    """Writes an image, by default one of noise; returns it."""
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
    """A folder with sub-folders, two of whose files have one name."""
    folder = tmp_path / "photos"
    for name in ("a.png", "trip/a.png", "trip/day 2/b.jpg"):
        save(folder / name)
    (folder / "trip/notes.txt").write_text("no picture")
    return folder


# --- tiles


def test_weights_of_two_tiles_by_hand():
    (first, rising), (second, falling) = tile_weights(10, 6, 2)
    assert (first, second) == (0, 4)
    np.testing.assert_array_equal(rising, np.float32([1, 1, 1, 1, 0.75, 0.25]))
    np.testing.assert_array_equal(falling, np.float32([0.25, 0.75, 1, 1, 1, 1]))
    (_, left), (_, right) = tile_weights(
        7, 6, 2
    )  # five pixels are shared, and two in their middle fade
    np.testing.assert_array_equal(left, np.float32([1, 1, 1, 0.5, 0, 0]))
    np.testing.assert_array_equal(right, np.float32([0, 0, 0.5, 1, 1, 1]))


@pytest.mark.parametrize("overlap", [0, 1, 5, 8, 15])
@pytest.mark.parametrize("length", [1, 7, 15, 16, 17, 24, 31, 32, 33, 100])
def test_weights_add_up_to_one_and_change_by_small_steps(length, overlap):
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


def test_tiles_of_different_brightness_meet_in_a_ramp():
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
def test_the_identity_comes_back_exactly(size, overlap, dtype):
    image, seen = noise(*size, dtype=dtype), []
    out = apply_in_tiles(lambda part: seen.append(part.shape[:2]) or part, image, 16, overlap)
    np.testing.assert_array_equal(out, image)
    assert out.dtype == dtype
    if size[0] * size[1] <= 256:
        assert seen == [size]
    else:
        assert len(seen) > 1 and max(map(max, seen)) <= 16


def test_what_sees_no_farther_than_half_the_overlap_cannot_tell_tiles_from_the_whole():
    def blur(image):  # of 3x3, with zeros around, as a network pads
        padded = np.pad(image.astype(np.float64), ((1, 1), (1, 1), (0, 0)))
        return np.round(
            sum(
                padded[y : y + len(image), x : x + image.shape[1]]
                for y in range(3)
                for x in range(3)
            )
            / 9
        ).astype(np.uint8)

    image = noise(41, 50)  # tiles of 20 share more than 4 pixels here, so their ends have no weight
    np.testing.assert_array_equal(apply_in_tiles(blur, image, 20, 4), blur(image))


def test_tiles_may_change_the_number_of_channels():
    model, image = Negative(3, 5), noise(30, 20)
    out = apply_in_tiles(model.translate, image, 8, 2)
    np.testing.assert_array_equal(out, 255 - image[..., [0, 1, 2, 0, 1]])


def test_tiles_need_no_memory_for_floats_of_the_whole():
    image = np.zeros((6000, 200, 3), np.uint8)
    tracemalloc.start()
    apply_in_tiles(lambda part: part, image, 64, 16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert image.nbytes < peak < 1.3 * image.nbytes


# --- which files become which


def test_folders_keep_names_and_sub_folders(photos, tmp_path):
    told = []
    result = translate(
        Negative(), [photos], tmp_path / "out", progress=lambda *arguments: told.append(arguments)
    )
    assert files_in(tmp_path / "out") == ["a.png", "trip/a.png", "trip/day 2/b.jpg"]
    assert [each["input"] for each in result["translated"]] == [
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
    assert told == [
        (i, 3, photos / name) for i, name in enumerate(["a.png", "trip/a.png", "trip/day 2/b.jpg"])
    ]


def test_patterns_keep_the_folders_below_their_fixed_part(photos, tmp_path, monkeypatch):
    out = tmp_path / "out"
    found = plan_jobs([str(photos / "**/*.png")], out, (".png",))
    assert [str(target.relative_to(out)) for _, target in found] == ["a.png", "trip/a.png"]
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


def test_one_picture_into_a_file_or_a_folder(photos, tmp_path):
    source = photos / "a.png"
    for output, wanted in [
        ("b.png", "b.png"),
        ("new/deep/b.webp", "new/deep/b.webp"),
        ("folder", "folder/a.png"),
    ]:
        result = translate(Negative(), [source], tmp_path / output)
        assert (
            result["translated"][0]["output"] == str(tmp_path / wanted)
            and (tmp_path / wanted).is_file()
        )
    (tmp_path / "there.png").mkdir()
    translate(Negative(), [source], tmp_path / "there.png")
    assert (tmp_path / "there.png/a.png").is_file()
    translate(
        Negative(), [photos / "trip/day 2"], tmp_path / "alone.png"
    )  # a folder with one picture
    assert (tmp_path / "alone.png").is_file()


def test_a_file_that_is_named_twice_is_translated_once(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(photos)
    model = Negative()
    result = translate(
        model,
        ["photos/a.png", photos / "trip/../a.png", "photos/a.*", tmp_path / "link/a.png"],
        "out",
    )
    assert len(result["translated"]) == len(model.seen) == 1


def test_what_was_made_is_no_input_the_next_time(photos):
    for output in (photos / "out", photos / "trip/out"):
        first = translate(Negative(), [photos], output)
        assert files_in(output) == ["a.png", "trip/a.png", "trip/day 2/b.jpg"]
        again = translate(Negative(), [photos], output, overwrite=True)
        assert again == first
        assert len(plan_jobs([str(photos / "**/*.*")], output, (".png", ".jpg"))) == 3
        for file in files_in(output):
            (output / file).unlink()
    assert (
        len(plan_jobs([photos], photos.parent, (".png", ".jpg"))) == 3
    )  # an output around the input takes nothing away
    save(photos / "out/a.png")
    with pytest.raises(UserError, match="outside of the output"):
        plan_jobs([photos / "out/*.png", photos / "*/a.gif"], photos / "elsewhere", (".png",))


def test_one_picture_beside_its_translation(photos):
    source = photos / "trip/day 2"
    for overwrite in (False, True):
        result = translate(Negative(), [source], source / "b_out.jpg", overwrite=overwrite)
        assert [each["input"] for each in result["translated"]] == [str(source / "b.jpg")]


@pytest.mark.parametrize(
    ("sources", "output", "message"),
    [
        (["nothing.png"], "out", "no such picture, folder or pattern.*received 'nothing.png'"),
        (["photos/*.gif"], "out", "no such picture, folder or pattern.*received 'photos/\\*.gif'"),
        (["empty"], "out", "the folder must have images .*, got 'empty'"),
        (
            ["photos/a.png", "photos/trip/a.png"],
            "out",
            "photos/a.png and photos/trip/a.png would both become out/a.png: make them in two",
        ),
        (
            ["photos/trip", "photos"],
            "out",
            "photos/trip/a.png and photos/a.png would both become out/a.png",
        ),
        (
            ["photos"],
            "photos",
            "photos/a.png is an input, which its translation would replace.*received -o photos",
        ),
        (["photos/a.png"], "photos/a.png", "is an input"),
        (["photos/a.png"], "photos/trip/../a.png", "is an input"),
        (["out/trip/a.png", "photos/*/a.png"], "out", "out/trip/a.png is an input"),
        (["photos"], "out.png", "the output of 3 pictures must be a folder, received -o out.png"),
        (
            ["photos/a.png"],
            "out.gif",
            r"the output of 1 picture must be .* or a file \(.png, .jpg.*received -o out.gif",
        ),
        (["photos/a.png"], "out.pgn", "a folder that is there or has no dot"),
        (
            ["photos"],
            "file",
            "the output must go into a folder that can be written to, received file",
        ),
        (
            ["photos/a.png"],
            "file/b.png",
            "the output must go into a folder that can be written to, received file",
        ),
    ],
)
def test_wrong_files_are_refused_before_the_work(
    photos, tmp_path, monkeypatch, sources, output, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("precious")
    if "out/trip/a.png" in sources:
        save(tmp_path / "out/trip/a.png")
    before, model = files_in(tmp_path), Negative()
    with pytest.raises(UserError, match=message):
        translate(model, sources, output, overwrite=True)
    assert not model.seen and files_in(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"direction": "yx"}, "direction must be one of xy, got 'yx'"),
        ({"tile": 64, "overlap": 64}, "larger than the overlap, received tile=64 and overlap=64"),
        ({"tile": -1}, "tile must be at least 0, got -1"),
        ({"seed": 2**31}, "a seed must be below 2\\^31, received seed=2147483648"),
    ],
)
def test_wrong_options_are_refused(photos, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        translate(Negative(), [photos], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_outputs_that_are_there_are_kept_unless_told_otherwise(photos, tmp_path):
    out, model = tmp_path / "out", Negative()
    (out / "trip/day 2").mkdir(parents=True)
    (out / "trip/day 2/b.jpg").write_text("precious")
    with pytest.raises(
        UserError,
        match=r"b.jpg is already there \(1 of 3 outputs\): choose another output, or --overwrite",
    ):
        translate(model, [photos], out)
    assert not model.seen and files_in(out) == [
        "trip/day 2/b.jpg"
    ]  # refused before the first, not at the third
    assert (out / "trip/day 2/b.jpg").read_text() == "precious"
    translate(model, [photos], out, overwrite=True)
    assert pixels(out / "trip/day 2/b.jpg").shape == (9, 13, 3)
    (out / "a.png").unlink()
    (out / "a.png").symlink_to(tmp_path / "not there")  # somebody's link, even if it leads nowhere
    with pytest.raises(UserError, match="already there"):
        translate(model, [photos / "a.png"], out)
    (out / "a.png").unlink()
    (out / "a.png").mkdir()
    with pytest.raises(UserError, match=r"a.png is a folder, where a file must go"):
        translate(model, [photos], out, overwrite=True)


def test_an_overwritten_link_is_replaced_not_followed(photos, tmp_path):
    (tmp_path / "mine.png").write_text("precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.png").symlink_to(tmp_path / "mine.png")
    translate(Negative(), [photos / "a.png"], tmp_path / "out", overwrite=True)
    assert (tmp_path / "mine.png").read_text() == "precious" and not (
        tmp_path / "out/a.png"
    ).is_symlink()


ODD = [
    "a b#%&é日本.png",
    "-o.png",
    "x[1]*?.png",
    "two\nlines.png",
    os.fsdecode(b"\xff\xfe.png"),
    ".hidden.png",
    "n" * 251 + ".png",
    "UP.PNG",
]


def test_odd_names_are_kept(tmp_path):
    for i, name in enumerate(ODD):
        save(tmp_path / "in" / name, noise(3, 4, seed=i))
    result = translate(Negative(), [tmp_path / "in"], tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == sorted(ODD)
    for i, name in enumerate(ODD):
        np.testing.assert_array_equal(pixels(tmp_path / "out" / name), 255 - noise(3, 4, seed=i))
    json.dumps(result)
    one = translate(
        Negative(), [tmp_path / "in" / "x[1]*?.png"], tmp_path / "one.png"
    )  # a file that looks like a pattern
    assert one["translated"][0]["output"] == str(tmp_path / "one.png")


def test_links_to_pictures_are_read_and_links_to_nothing_left_out(photos, tmp_path):
    (photos / "link.png").symlink_to("trip/a.png")
    (photos / "broken.png").symlink_to("nowhere.png")
    (photos / "trip/loop").symlink_to(photos)
    translate(Negative(), [photos], tmp_path / "out")
    assert files_in(tmp_path / "out") == ["a.png", "link.png", "trip/a.png", "trip/day 2/b.jpg"]


# --- files that cannot be read or written


def test_unreadable_files_do_not_stop_the_others(photos, tmp_path):
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (photos / "cut.jpg").write_bytes((photos / "trip/day 2/b.jpg").read_bytes()[:300])
    (photos / "empty.npy").write_bytes(b"")
    np.savez(photos / "several.npz", a=np.zeros(3))
    (photos / "several.npz").rename(photos / "several.npy")
    save(photos / "floats.npy", np.zeros((4, 4, 3), np.float32))
    save(photos / "grey.npy", noise(4, 4, 1))
    save(photos / "none.npy", noise(0, 4))
    result = translate(Negative(), [photos], tmp_path / "out")
    bad = [
        "broken.png",
        "cut.jpg",
        "empty.npy",
        "floats.npy",
        "grey.npy",
        "none.npy",
        "several.npy",
    ]
    assert [each["input"] for each in result["failed"]] == [str(photos / name) for name in bad]
    assert all(each["error"] and "\n" not in each["error"] for each in result["failed"])
    errors = {name: each["error"] for name, each in zip(bad, result["failed"], strict=True)}
    assert (
        "received float32 (4, 4, 3)" in errors["floats.npy"] and "(0, 4, 3)" in errors["none.npy"]
    )
    assert files_in(tmp_path / "out") == ["a.png", "trip/a.png", "trip/day 2/b.jpg"]


def test_too_little_memory_for_one_does_not_stop_the_others(photos, tmp_path):
    save(photos / "large.png", noise(50, 60))

    class Small(Negative):
        def translate(self, image, direction="xy", seed=0):
            if image.size > 100 * 100:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
            return super().translate(image, direction, seed)

    result = translate(Small(), [photos], tmp_path / "out", tile=60, overlap=8)
    assert (
        len(result["translated"]) == 4
    )  # 50 x 60 are no more than 60 x 60, but hold 9,000 numbers
    result = translate(
        Small(),
        [photos, save_large(photos.parent / "large2.png")],
        tmp_path / "more",
        tile=70,
        overlap=8,
    )
    assert result["failed"] == [
        {
            "input": str(photos.parent / "large2.png"),
            "error": "70x70 pixels need more memory than there is: choose a tile below 70",
        }
    ]
    assert len(result["translated"]) == 4
    result = translate(
        Small(), [photos.parent / "large2.png"], tmp_path / "third", tile=40, overlap=8
    )
    np.testing.assert_array_equal(
        pixels(tmp_path / "third/large2.png"), 255 - pixels(photos.parent / "large2.png")
    )


def save_large(path):
    save(path, noise(70, 70))
    return path


def test_what_a_format_cannot_hold_leaves_nothing_behind_and_does_not_stop_the_others(tmp_path):
    save(tmp_path / "in/a.webp", noise(4, 9000))
    save(tmp_path / "in/b.png")
    result = translate(
        Negative(), [tmp_path / "in"], tmp_path / "out", compare=True
    )  # twice as wide as WebP can be
    assert [each["input"] for each in result["failed"]] == [str(tmp_path / "in/a.webp")]
    assert (
        "18000x4 pixels do not fit into a.webp" in result["failed"][0]["error"]
        and ".png" in result["failed"][0]["error"]
    )
    assert files_in(tmp_path / "out") == ["b.png"]


def test_a_full_disk_keeps_what_is_done_and_what_was_there(photos, tmp_path, monkeypatch):
    out = tmp_path / "out"
    save(out / "trip/a.png", noise(2, 2))
    before, write, calls = (out / "trip/a.png").read_bytes(), Image.Image.save, itertools.count()

    def fails(picture, file, **options):
        write(picture, file, **options)
        if next(calls) == 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fails)
    with pytest.raises(
        UserError,
        match=r"trip/a.png cannot be written \(No space left on device\), 1 of 3 are done and kept",
    ):
        translate(Negative(), [photos], out, overwrite=True)
    assert files_in(out) == ["a.png", "trip/a.png"]
    assert (out / "trip/a.png").read_bytes() == before


def test_an_interruption_leaves_no_partial_file(photos, tmp_path, monkeypatch):
    def interrupted(file, image):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        translate(Negative(), [photos / "a.png"], tmp_path / "out/a.npy")
    assert files_in(tmp_path / "out") == []


# --- pixels


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".npy"])
def test_grey_of_16_bits_stays_so_where_the_file_can_hold_it(tmp_path, suffix):
    deep = noise(5, 7, 1, np.uint16)
    save(tmp_path / f"a{suffix}", deep)
    translate(Negative(1, 1), [tmp_path / f"a{suffix}"], tmp_path / f"b{suffix}")
    found = (
        np.load(tmp_path / f"b{suffix}")
        if suffix == ".npy"
        else pixels(tmp_path / f"b{suffix}")[..., None]
    )
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, 65535 - deep)


def test_16_bits_become_8_where_the_file_holds_no_more(tmp_path):
    deep = np.uint16([[[0], [128], [129], [257 * 7], [65535]]])  # half of 257 goes to the even one
    save(tmp_path / "a.png", deep)
    translate(Negative(1, 1), [tmp_path / "a.png"], tmp_path / "b.bmp")
    np.testing.assert_array_equal(pixels(tmp_path / "b.bmp"), [[255, 255, 254, 248, 0]])
    model = Negative(1, 3)  # colour pictures of 16 bits are written by nobody here
    translate(model, [tmp_path / "a.png"], tmp_path / "c.png")
    assert model.seen[0].dtype == np.uint8 and pixels(tmp_path / "c.png").shape == (1, 5, 3)
    translate(Negative(1, 3), [tmp_path / "a.png"], tmp_path / "c.npy")
    assert np.load(tmp_path / "c.npy").dtype == np.uint16


@pytest.mark.parametrize(
    ("x", "y", "name", "wanted"),
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
def test_suffixes_that_cannot_hold_the_result_are_changed(tmp_path, x, y, name, wanted):
    if name == "photo":
        save(tmp_path / "p.png")
        (tmp_path / "p.png").rename(tmp_path / "photo")
    else:
        save(tmp_path / name, noise(6, 4, x))
    result = translate(Negative(x, y), [tmp_path / name], tmp_path / "out")
    assert result["failed"] == [] and files_in(tmp_path / "out") == [wanted]
    found = (
        np.load(tmp_path / "out" / wanted)
        if wanted.endswith("npy")
        else pixels(tmp_path / "out" / wanted)
    )
    assert found.shape == ((6, 4) if y == 1 else (9, 13, y) if name == "photo" else (6, 4, y))
    if y not in (1, 3):
        with pytest.raises(UserError, match="the output of 1 picture must be"):
            translate(Negative(x, y), [tmp_path / name], tmp_path / "out.jpg")


def test_transparent_pictures_are_put_on_white(tmp_path):
    image = np.zeros((2, 2, 4), np.uint8)
    image[0, :, 0], image[:, 0, 3] = 200, 255  # red above, black below; the right is transparent
    save(tmp_path / "a.png", image)
    model = Negative()
    translate(model, [tmp_path / "a.png"], tmp_path / "b.png")
    np.testing.assert_array_equal(model.seen[0], [[[200, 0, 0], [255] * 3], [[0] * 3, [255] * 3]])
    translate(Negative(4, 4), [tmp_path / "a.png"], tmp_path / "c.png")
    np.testing.assert_array_equal(pixels(tmp_path / "c.png"), 255 - image)


def test_turned_photographs_come_back_upright(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # turned by a quarter
    Image.fromarray(noise(10, 30)).save(tmp_path / "a.jpg", exif=exif)
    result = translate(Negative(), [tmp_path / "a.jpg"], tmp_path / "b.png")
    assert (result["translated"][0]["width"], result["translated"][0]["height"]) == (10, 30)
    assert pixels(tmp_path / "b.png").shape == (30, 10, 3)


@pytest.mark.parametrize(("x", "y"), [(3, 3), (1, 3), (3, 1), (1, 1), (5, 2)])
def test_compare_shows_input_and_output(tmp_path, x, y):
    image = save(tmp_path / "a.npy", noise(6, 4, x))
    result = translate(Negative(x, y), [tmp_path / "a.npy"], tmp_path / "out", compare=True)
    assert result["translated"][0]["width"] == 4  # of the translation, not of the sheet
    sheet, out = pixels(tmp_path / "out/a.png"), 255 - np.take(image, np.arange(y) % x, axis=-1)
    assert sheet.shape == (6, 8, 3)
    for found, wanted in ((sheet[:, :4], image), (sheet[:, 4:], out)):
        if wanted.shape[-1] == 1:
            np.testing.assert_array_equal(found, wanted.repeat(3, axis=-1))
        else:
            np.testing.assert_array_equal(found[..., : wanted.shape[-1]], wanted[..., :3])
    with pytest.raises(UserError, match="received -o .*b.npy"):
        translate(Negative(x, y), [tmp_path / "a.npy"], tmp_path / "b.npy", compare=True)


def test_pictures_larger_than_a_tile_are_translated_in_tiles(tmp_path):
    image, model = save(tmp_path / "a.png", noise(40, 70)), Negative()
    translate(model, [tmp_path / "a.png"], tmp_path / "b.png", tile=32, overlap=8)
    np.testing.assert_array_equal(pixels(tmp_path / "b.png"), 255 - image)
    assert {part.shape for part in model.seen} == {(32, 32, 3)} and len(model.seen) == 6
    model.seen.clear()
    translate(model, [tmp_path / "a.png"], tmp_path / "c.png", tile=0)
    assert len(model.seen) == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (37, 1), (70, 33)])
def test_a_network_in_tiles_keeps_every_size(translation_tiny, tmp_path, size):
    save(tmp_path / "a.png", noise(*size))
    translate(make(translation_tiny), [tmp_path / "a.png"], tmp_path / "b.png", tile=32, overlap=8)
    assert pixels(tmp_path / "b.png").shape == (*size, 3)


# --- the command


def untrained(name, folder):
    """A run directory of a preset with its initial weights."""
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


def test_the_command_in_a_process_of_its_own(run, photos, tmp_path):
    (photos / "broken.png").write_text("no picture")
    done = run_cli("translate", run, "photos", "-o", "out", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [each["output"] for each in result["translated"]] == [
        "out/a.png",
        "out/trip/a.png",
        "out/trip/day 2/b.jpg",
    ]
    assert (
        done.stderr.count("\n") == 1
        and "photos/broken.png" in done.stderr
        and done.stderr.startswith("warning: ")
    )
    model, image = load(run), noise(9, 13)
    np.testing.assert_array_equal(
        pixels(tmp_path / "out/a.png"), model.translate(image)
    )  # the same in another process


def test_a_single_file_there_and_back_and_side_by_side(run, photos, tmp_path, capsys):
    model = load(run)
    for extra, wanted in (
        ([], model.translate(noise(9, 13))),
        (["--direction", "yx"], model.translate(noise(9, 13), "yx")),
    ):
        assert command(run, photos / "a.png", "-o", tmp_path / "b.png", "--overwrite", *extra) == 0
        told = capsys.readouterr().out
        assert told == f"1 picture translated into {tmp_path / 'b.png'}\n"
        np.testing.assert_array_equal(pixels(tmp_path / "b.png"), wanted)
    assert command(run, photos / "a.png", "-o", tmp_path / "b.png") == 2
    assert capsys.readouterr().err.endswith(
        "b.png is already there (1 of 1 outputs): choose another output, or --overwrite\n"
    )
    assert command(run, photos / "a.png", "-o", tmp_path / "c.png", "--compare") == 0
    np.testing.assert_array_equal(
        pixels(tmp_path / "c.png"),
        np.concatenate([noise(9, 13), model.translate(noise(9, 13))], axis=1),
    )


def test_a_pattern_in_tiles_by_the_exported_model_equals_the_run_to_one_level(
    run, tmp_path, capsys
):
    save(tmp_path / "in/large.png", noise(70, 90))
    Image.fromarray(noise(20, 31, 1, np.uint16)[..., 0]).save(
        tmp_path / "in/deep.png"
    )  # the exported model knows 8 bits alone
    found = []
    for source in (run, run / "saved_model"):
        out = tmp_path / f"out{len(found)}"
        assert (
            command(source, str(tmp_path / "in/*.png"), "-o", out, "--tile", 48, "--overlap", 16)
            == 0
        )
        assert files_in(out) == ["deep.png", "large.png"] and capsys.readouterr().err == ""
        found.append([pixels(out / name).astype(int) for name in files_in(out)])
    for mine, exported in zip(*found, strict=True):
        assert np.abs(mine - exported).max() <= 1
    assert found[0][1].shape == (70, 90, 3)


def test_exported_models_take_16_bits_as_8(tmp_path):
    model = make("cyclegan_tiny", "model.x_channels=1", "model.y_channels=1")
    save_signatures(model, tmp_path / "saved")
    save(tmp_path / "a.png", noise(20, 31, 1, np.uint16))
    translate(load_exported(tmp_path / "saved"), [tmp_path / "a.png"], tmp_path / "b.png")
    assert pixels(tmp_path / "b.png").dtype == np.uint8
    translate(model, [tmp_path / "a.png"], tmp_path / "c.png")
    assert pixels(tmp_path / "c.png").dtype == np.uint16
    assert np.abs(pixels(tmp_path / "c.png") / 257 - pixels(tmp_path / "b.png")).max() < 4


def test_wrong_use_is_one_line(run, others, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/a.png").write_text("no picture")
    before = files_in(tmp_path)
    for arguments, message in [
        (
            [others["pix2pix_tiny"], "photos", "-o", "out", "--direction", "yx"],
            "direction must be one of xy, got 'yx'",
        ),
        ([others["dcgan_tiny"], "photos", "-o", "out"], "use tfgan-zoo sample"),
        (["dcgan_tiny", "photos", "-o", "out"], "is not trained here"),
        ([run, "photos", "nothing.png", "-o", "out"], "received 'nothing.png'"),
        ([run, "photos", "-o", "out.png"], "must be a folder"),
        (
            [run, "photos", "-o", "out", "--tile", "100", "--overlap", "128"],
            "larger than the overlap, received tile=100 and overlap=128",
        ),
        ([run, "photos", "-o", "out", "--seed", str(2**31)], "received seed=2147483648"),
        ([run, "broken", "-o", "out"], "no picture could be"),
    ]:
        assert command(*arguments) == 2, message
        told = capsys.readouterr().err
        assert message in told and "Traceback" not in told
        assert told.splitlines()[-1].startswith("tfgan-zoo: error: ")
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("large", [image_files.LARGE_IMAGE, 0])
def test_folders_are_told_of_in_order_whatever_fails(tmp_path, monkeypatch, large):
    """Pictures are read and written beside each other, large ones alone; what fails does so for itself."""
    monkeypatch.setattr(image_files, "LARGE_IMAGE", large)
    for i in range(6):
        Image.fromarray(np.full((8, 9, 3), i, np.uint8)).save(tmp_path / f"{i}.png")
    real, seen = image_files.write_image, []

    def read(source, target):
        if source.stem == "1":
            raise ValueError("half a file")
        return np.asarray(Image.open(source))

    def make(image, target):
        if image[0, 0, 0] == 3:
            raise MemoryError
        return 10 * image, {"told": int(image[0, 0, 0])}

    def write(image, path):
        if path.stem == "2":
            raise image_files.FormatError("too colourful")
        real(image, path)

    monkeypatch.setattr(image_files, "write_image", write)
    arguments = ([tmp_path], tmp_path / "out", (".png",), read, make, "less")
    done, failed = image_files.convert_images(
        *arguments, progress=lambda number, count, path: seen.append((number, count))
    )
    assert [each["told"] for each in done] == [0, 4, 5] and seen == [(i, 6) for i in range(6)]
    assert [each["error"] for each in failed] == [
        "half a file",
        "too colourful",
        "9x8 pixels need more memory than there is: choose less",
    ]
    assert (np.asarray(Image.open(tmp_path / "out" / "5.png")) == 50).all()

    def full(image, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(image_files, "write_image", full)
    with pytest.raises(
        UserError, match=r"cannot be written \(No space left on device\), 0 of 6 are done"
    ):
        image_files.convert_images(*arguments, overwrite=True)
