"""What a look over a folder of pictures finds, and what it must not find."""

import json
import os

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tfgan_zoo.data import check
from tfgan_zoo.data.check import check_folder, summary
from tfgan_zoo.errors import UserError


def cloud(seed, size=(96, 96)):
    """A picture of smooth coloured noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def put(picture, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path


def warned(result, text):
    return [sentence for sentence in result["warnings"] if text in sentence]


@pytest.fixture
def clean(tmp_path):
    """Forty different pictures."""
    for seed in range(40):
        put(cloud(seed), tmp_path / f"{seed:02}.png")
    return tmp_path


def test_a_clean_folder_gives_no_findings(clean):
    result = check_folder(clean)
    empty = [
        "unreadable",
        "wrong_suffix",
        "ignored",
        "exact_duplicates",
        "near_duplicates",
        "train_test_duplicates",
        "warnings",
    ]
    assert {key: result[key] for key in empty} == {key: [] for key in empty}
    assert (result["folder"], result["files"], result["rotated"]) == (str(clean), 40, 0)
    assert result["groups"] == {".": 40} and result["sizes"] == {"96x96": 40}
    assert result["modes"] == {"RGB": 40} and result["formats"] == {"PNG": 40}
    assert set(result) == {
        *empty,
        "folder",
        "files",
        "groups",
        "sizes",
        "modes",
        "formats",
        "rotated",
    }
    assert json.loads(json.dumps(result)) == result
    assert summary(result).endswith("nothing to mend")


def test_the_same_pixels_are_exact_duplicates_whatever_the_format_and_the_mode(clean):
    put(cloud(3), clean / "copy.bmp")
    put(cloud(3).convert("RGBA"), clean / "sub" / "copy.webp", lossless=True, exact=True)
    put(cloud(4, (48, 48)), clean / "smaller.png")
    result = check_folder(clean)
    assert result["exact_duplicates"] == [["03.png", "copy.bmp", "sub/copy.webp"]]
    assert [pair[:2] for pair in result["near_duplicates"]] == [
        ["04.png", "smaller.png"]
    ]  # and no exact ones again
    assert warned(
        result,
        "2 of 43 pictures can be deleted, being exact copies of others (first: copy.bmp is 03.png)",
    )


def test_transparent_pictures_are_compared_with_their_shape(tmp_path):
    for name, seed in (("a", 0), ("b", 1), ("same", 0)):
        picture = Image.new("RGBA", (96, 96), "white")  # white on white for a reader without alpha
        picture.putalpha(cloud(seed).convert("L"))
        put(picture, tmp_path / f"{name}.png")
    assert check_folder(tmp_path)["exact_duplicates"] == [["a.png", "same.png"]]


def change(picture, how):
    if how == "lighter":
        return ImageEnhance.Brightness(picture).enhance(1.06)
    return picture.resize((48, 48), Image.Resampling.LANCZOS) if how == "half" else picture


@pytest.mark.parametrize("how", ["saved again", "lighter", "half"])
def test_near_duplicates_are_found(how, clean):
    for seed in range(0, 40, 4):
        put(change(cloud(seed), how), clean / "z" / f"{seed:02}.jpg", quality=60)
    result = check_folder(clean)
    assert [pair[:2] for pair in result["near_duplicates"]] == [
        [f"{seed:02}.png", f"z/{seed:02}.jpg"] for seed in range(0, 40, 4)
    ]
    assert all(0 <= distance <= check.NEAR_BITS for *_, distance in result["near_duplicates"])
    assert result["exact_duplicates"] == []
    assert warned(
        result,
        "10 of 50 pictures can hardly be told from another one (first: z/00.jpg is like 00.png)",
    )


def test_other_cuts_mirror_images_and_other_colours_are_no_near_duplicates(clean):
    put(cloud(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT), clean / "mirror.png")
    put(cloud(1).crop((20, 20, 96, 96)), clean / "cut.png")
    put(Image.merge("RGB", cloud(2).split()[::-1]), clean / "colours.png")
    assert check_folder(clean)["near_duplicates"] == []


def test_blank_pictures_are_no_near_duplicates(tmp_path):
    for i in range(12):
        flat = Image.new("RGB", (64, 64), (20 * i, 255 - 20 * i, 100))
        put(flat, tmp_path / f"flat{i:02}.jpg")
        halves = flat.resize((128, 64))
        halves.paste((240, 240, 20 * i), (64, 0, 128, 64))
        put(halves, tmp_path / "halves" / f"{i:02}.jpg")
    put(Image.new("RGB", (64, 64), (0, 255, 100)), tmp_path / "again.jpg")
    result = check_folder(tmp_path)
    assert result["near_duplicates"] == []
    assert result["exact_duplicates"] == [["again.jpg", "flat00.jpg"]]


def test_many_alike_give_one_entry_each_also_across_blocks(tmp_path):
    thumbnails = [np.asarray(cloud(i % 7, (32, 32))) for i in range(600)]
    good = {
        f"{i:03}": {"digest": i, "thumbnail": thumbnail} for i, thumbnail in enumerate(thumbnails)
    }
    near, _ = check.find_near_duplicates(good, {i: [path] for i, path in enumerate(good)})
    assert near == [[f"{i % 7:03}", f"{i:03}", 0] for i in range(7, 600)]


def test_broken_files_are_unreadable_and_others_are_judged_by_content(clean):
    whole = put(cloud(50, (256, 256)), clean / "whole.jpg").read_bytes()
    (clean / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (clean / "text.png").write_text("not a picture")
    (clean / "empty.gif").touch()
    put(cloud(51), clean / "really_png.jpg", format="PNG")
    put(cloud(52), clean / "fine.JPEG")
    put(
        cloud(53), clean / "camera.jpg", format="MPO", save_all=True, append_images=[cloud(54)]
    )  # no wrong suffix: cameras do so
    (clean / "notes.txt").write_text("no picture")
    (clean / "labels.csv").write_text("file,a")
    result = check_folder(clean)
    assert [bad["path"] for bad in result["unreadable"]] == ["cut.jpg", "empty.gif", "text.png"]
    assert "truncated" in result["unreadable"][0]["error"] and all(
        bad["error"] for bad in result["unreadable"]
    )
    assert result["wrong_suffix"] == ["really_png.jpg"]
    assert result["ignored"] == ["notes.txt"]
    assert (
        result["files"] == 47
        and sum(result["sizes"].values()) == 44
        and result["formats"]["MPO"] == 1
    )
    assert warned(result, "3 of 47 files cannot be read (first: cut.jpg)")


def test_a_folder_of_nothing_but_broken_files(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "x.png").touch()
    result = check_folder(tmp_path)
    assert result["sizes"] == {} and len(result["unreadable"]) == 1
    assert "1 picture files, 0 of them readable" in summary(result)


def test_rotation_by_exif_counts_for_size_and_pixels(tmp_path):
    for orientation in (1, 6):
        exif = Image.Exif()
        exif[0x0112] = orientation
        put(cloud(0, (80, 40)), tmp_path / f"{orientation}.png", exif=exif)
    put(cloud(0, (80, 40)).transpose(Image.Transpose.ROTATE_270), tmp_path / "upright.png")
    result = check_folder(tmp_path)
    assert result["rotated"] == 1
    assert result["sizes"] == {"40x80": 2, "80x40": 1}
    assert result["exact_duplicates"] == [["6.png", "upright.png"]]


def test_modes(tmp_path):
    deep = np.asarray(cloud(0).convert("L")).astype(np.uint16) * 257
    put(Image.fromarray(deep), tmp_path / "deep.png")
    for mode, seed in (("L", 0), ("RGBA", 1), ("CMYK", 2), ("P", 3)):
        put(cloud(seed).convert(mode), tmp_path / f"{mode}.{'jpg' if mode == 'CMYK' else 'png'}")
    result = check_folder(tmp_path)
    assert result["modes"] == {"CMYK": 1, "L": 1, "P": 1, "RGBA": 1, "I;16": 1}
    assert result["near_duplicates"] == [
        ["L.png", "deep.png", 0]
    ]  # the same picture in 8 and 16 bits
    assert result["exact_duplicates"] == []


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "val"), ("trainA", "testA"), ("train", "valid"), ("Training", "test")],
)
def test_test_pictures_among_the_training_pictures(train, test, clean):
    for seed in range(40):
        (clean / (train if seed < 30 else test)).mkdir(exist_ok=True)
        (clean / f"{seed:02}.png").rename(clean / (train if seed < 30 else test) / f"{seed:02}.png")
    assert check_folder(clean)["train_test_duplicates"] == []
    put(cloud(5), clean / test / "exact.bmp")
    put(cloud(5), clean / test / "exact2.bmp")
    put(cloud(6, (64, 64)), clean / test / "near.jpg", quality=80)
    put(cloud(33), clean / test / "own.bmp")  # a copy of another test picture
    result = check_folder(clean)
    pairs = [["05.png", "exact.bmp"], ["05.png", "exact2.bmp"], ["06.png", "near.jpg"]]
    assert result["train_test_duplicates"] == [[f"{train}/{a}", f"{test}/{b}"] for a, b in pairs]
    assert warned(
        result,
        f"3 of 14 test pictures can also be found, exactly or nearly, among the training pictures (first: {test}/exact.bmp",
    )


def test_a_flat_picture_in_both_sides_and_files_that_are_only_called_train(tmp_path):
    for path in ("train/a.png", "test/b.png"):
        put(Image.new("L", (64, 64), 9), tmp_path / path)
    assert check_folder(tmp_path)["train_test_duplicates"] == [["train/a.png", "test/b.png"]]
    for path in ("train_a.png", "test_b.png"):
        put(cloud(0), tmp_path / "flat" / path)
    assert check_folder(tmp_path / "flat")["train_test_duplicates"] == []


def test_domains(tmp_path):
    for seed in range(22):
        put(cloud(seed), tmp_path / "trainA" / f"a{seed:02}.png")
    assert warned(check_folder(tmp_path), "trainA has 22 pictures but trainB none")
    for seed in range(100, 102):
        put(cloud(seed), tmp_path / "trainB" / f"b{seed}.png")
    put(cloud(200), tmp_path / "testA" / "t.png")
    put(cloud(201), tmp_path / "testB" / "u.png")
    result = check_folder(tmp_path)
    assert result["groups"] == {"testA": 1, "testB": 1, "trainA": 22, "trainB": 2}
    assert result["warnings"] == [
        warned(result, "trainA has 22 pictures, trainB only 2")[0]
    ]  # not testA against trainA, and no pairs
    put(cloud(202), tmp_path / "trainB" / "c.png")
    assert check_folder(tmp_path)["warnings"] == []


def test_pairs_by_name_may_be_alike_but_not_be_alone(tmp_path):
    for seed in range(5):
        put(cloud(seed), tmp_path / "A" / f"{seed}.png")
        put(cloud(seed), tmp_path / "B" / f"{seed}.jpg", quality=70)
    result = check_folder(tmp_path)
    assert result["near_duplicates"] == [] and result["warnings"] == []
    put(cloud(7), tmp_path / "B" / "7.png")
    assert warned(
        check_folder(tmp_path),
        "1 of 11 pictures in A and B lack a partner of the same name (first: B/7.png)",
    )


def test_classes_of_train_and_test(tmp_path):
    counts = {"train/cat": 11, "train/dog": 11, "test/cat": 1, "test/dog": 1}
    for place, (label, count) in enumerate(counts.items()):
        for i in range(count):
            put(cloud(100 * place + i), tmp_path / label / f"{i:02}.png")
    result = check_folder(tmp_path)
    assert result["groups"] == dict(sorted(counts.items())) and result["warnings"] == []
    put(cloud(0), tmp_path / "train" / "dog" / "copy.png")
    assert warned(
        check_folder(tmp_path),
        "1 of 25 pictures can be found in several classes or domains (first: train/cat/00.png = train/dog/copy",
    )
    put(cloud(999), tmp_path / "loose.png")
    assert warned(
        check_folder(tmp_path),
        "1 of 26 pictures were found beside the sub-folders (first: loose.png)",
    )


def test_tiny_and_odd_pictures(clean):
    put(cloud(70, (20, 20)), clean / "tiny.png")
    put(cloud(71, (200, 100)), clean / "wide.png")
    put(cloud(72, (200, 200)), clean / "large.png")
    result = check_folder(clean)
    assert warned(result, "1 of 43 pictures measure less than 32 pixels (first: tiny.png)")
    assert warned(
        result,
        "1 of 43 pictures differ in shape (width to height) from most others of their folder (first: wide.png)",
    )
    assert len(result["warnings"]) == 2


def test_small_pictures_of_one_size_are_meant_to_be_small(tmp_path):
    for seed in range(3):
        put(cloud(seed, (28, 28)), tmp_path / f"{seed}.png")
    assert check_folder(tmp_path)["warnings"] == []


def test_the_summary_has_the_numbers_and_ten_examples(clean):
    for seed in range(13):
        put(cloud(seed), clean / "copies" / f"{seed:02}.bmp")
    text = summary(check_folder(clean))
    for line in (
        f"{clean}: 53 picture files, 53 of them readable",
        "groups: . (40), copies (13)",
        "sizes: 96x96 (53)",
    ):
        assert line in text.splitlines()
    assert "formats: PNG (40), BMP (13)" in text
    assert (
        "exact duplicates (13):" in text
        and "  09.png = copies/09.bmp" in text
        and "10.png" not in text
        and "  and 3 more" in text
    )
    assert (
        "warnings (3):" in text
        and "  13 of 53 pictures can be deleted" in text
        and "nothing to mend" not in text
    )


def test_errors(tmp_path):
    with pytest.raises(UserError, match="FOLDER must be a folder of pictures, received FOLDER="):
        check_folder(tmp_path / "missing")
    (tmp_path / "x.txt").touch()
    with pytest.raises(UserError, match="FOLDER has no pictures .*received FOLDER="):
        check_folder(str(tmp_path))


@pytest.mark.skipif(
    os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0,
    reason="root may read every file",
)
def test_a_file_without_permission_is_unreadable(clean):
    (clean / "00.png").chmod(0)
    assert [bad["path"] for bad in check_folder(clean)["unreadable"]] == ["00.png"]
