"""Problems that `check_folder` must find in a folder of images, and those that it must not find."""

import json
import os

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tfgan_zoo.data import check
from tfgan_zoo.data.check import check_folder, summary
from tfgan_zoo.errors import UserError


def cloud(seed, size=(96, 96)):
    """Return an image of smooth colored noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def save(image, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def warnings_with(result, text):
    return [warning for warning in result["warnings"] if text in warning]


@pytest.fixture
def clean(tmp_path):
    """Return a folder of 40 different images."""
    for seed in range(40):
        save(cloud(seed), tmp_path / f"{seed:02}.png")
    return tmp_path


def test_a_folder_without_problems(clean):
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
        "layout",
        "groups",
        "sizes",
        "modes",
        "formats",
        "rotated",
    }
    assert json.loads(json.dumps(result)) == result
    assert summary(result).endswith("no problems found")


def test_exact_duplicates_have_the_same_pixels_in_any_format_and_mode(clean):
    save(cloud(3), clean / "copy.bmp")
    save(cloud(3).convert("RGBA"), clean / "sub" / "copy.webp", lossless=True, exact=True)
    save(cloud(4, (48, 48)), clean / "smaller.png")
    result = check_folder(clean)
    assert result["exact_duplicates"] == [["03.png", "copy.bmp", "sub/copy.webp"]]
    # Exact duplicates are not near duplicates too.
    assert [pair[:2] for pair in result["near_duplicates"]] == [["04.png", "smaller.png"]]
    assert warnings_with(
        result,
        "2 of 43 images are exact copies of others (first: copy.bmp is 03.png)",
    )


def test_transparent_images_are_compared_with_their_alpha_channel(tmp_path):
    for name, seed in (("a", 0), ("b", 1), ("same", 0)):
        image = Image.new("RGBA", (96, 96), "white")  # without alpha all are white
        image.putalpha(cloud(seed).convert("L"))
        save(image, tmp_path / f"{name}.png")
    assert check_folder(tmp_path)["exact_duplicates"] == [["a.png", "same.png"]]


CHANGES = {
    "saved again": lambda image: image,
    "lighter": lambda image: ImageEnhance.Brightness(image).enhance(1.06),
    "half size": lambda image: image.resize((48, 48), Image.Resampling.LANCZOS),
}


@pytest.mark.parametrize("change", CHANGES)
def test_near_duplicates(change, clean):
    for seed in range(0, 40, 4):
        save(CHANGES[change](cloud(seed)), clean / "z" / f"{seed:02}.jpg", quality=60)
    result = check_folder(clean)
    assert [pair[:2] for pair in result["near_duplicates"]] == [
        [f"{seed:02}.png", f"z/{seed:02}.jpg"] for seed in range(0, 40, 4)
    ]
    assert all(0 <= distance <= check.MAX_BITS for *_, distance in result["near_duplicates"])
    assert result["exact_duplicates"] == []
    assert warnings_with(
        result,
        "10 of 50 images are near duplicates of others (first: z/00.jpg is like 00.png)",
    )


def test_crops_mirror_images_and_swapped_colors_are_not_near_duplicates(clean):
    save(cloud(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT), clean / "mirror.png")
    save(cloud(1).crop((20, 20, 96, 96)), clean / "crop.png")
    save(Image.merge("RGB", cloud(2).split()[::-1]), clean / "colors.png")
    assert check_folder(clean)["near_duplicates"] == []


def test_blank_images_are_not_near_duplicates(tmp_path):
    for i in range(12):
        flat = Image.new("RGB", (64, 64), (20 * i, 255 - 20 * i, 100))
        save(flat, tmp_path / f"flat{i:02}.jpg")
        halves = flat.resize((128, 64))
        halves.paste((240, 240, 20 * i), (64, 0, 128, 64))
        save(halves, tmp_path / "halves" / f"{i:02}.jpg")
    save(Image.new("RGB", (64, 64), (0, 255, 100)), tmp_path / "again.jpg")
    result = check_folder(tmp_path)
    assert result["near_duplicates"] == []
    assert result["exact_duplicates"] == [["again.jpg", "flat00.jpg"]]


def test_near_duplicates_across_blocks_give_one_entry_per_image(tmp_path):
    thumbnails = [np.asarray(cloud(i % 7, (32, 32))) for i in range(600)]
    records = {
        f"{i:03}": {"digest": i, "thumbnail": thumbnail} for i, thumbnail in enumerate(thumbnails)
    }
    near, _ = check.find_near_duplicates(records, {i: [path] for i, path in enumerate(records)})
    assert near == [[f"{i % 7:03}", f"{i:03}", 0] for i in range(7, 600)]


def test_broken_files_are_unreadable_and_formats_are_read_from_the_content(clean):
    whole = save(cloud(50, (256, 256)), clean / "whole.jpg").read_bytes()
    (clean / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (clean / "text.png").write_text("not an image")
    (clean / "empty.gif").touch()
    save(cloud(51), clean / "really_png.jpg", format="PNG")
    save(cloud(52), clean / "fine.JPEG")
    preview = {"format": "MPO", "save_all": True, "append_images": [cloud(54)]}
    save(cloud(53), clean / "camera.jpg", **preview)  # as cameras do: not a wrong suffix
    (clean / "notes.txt").write_text("not an image")
    (clean / "labels.csv").write_text("file,a")
    result = check_folder(clean)
    assert [problem["path"] for problem in result["unreadable"]] == [
        "cut.jpg",
        "empty.gif",
        "text.png",
    ]
    assert "truncated" in result["unreadable"][0]["error"]
    assert all(problem["error"] for problem in result["unreadable"])
    assert result["wrong_suffix"] == ["really_png.jpg"]
    assert result["ignored"] == ["notes.txt"]
    assert result["files"] == 47 and sum(result["sizes"].values()) == 44
    assert result["formats"]["MPO"] == 1
    assert warnings_with(result, "3 of 47 files cannot be read (first: cut.jpg)")


def test_a_folder_of_broken_files_only(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "x.png").touch()
    result = check_folder(tmp_path)
    assert result["sizes"] == {} and len(result["unreadable"]) == 1
    assert "1 image files, 0 of them readable" in summary(result)


def test_rotation_by_exif_counts_for_size_and_pixels(tmp_path):
    for orientation in (1, 6):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(cloud(0, (80, 40)), tmp_path / f"{orientation}.png", exif=exif)
    save(cloud(0, (80, 40)).transpose(Image.Transpose.ROTATE_270), tmp_path / "upright.png")
    result = check_folder(tmp_path)
    assert result["rotated"] == 1
    assert result["sizes"] == {"40x80": 2, "80x40": 1}
    assert result["exact_duplicates"] == [["6.png", "upright.png"]]


def test_modes(tmp_path):
    deep = np.asarray(cloud(0).convert("L")).astype(np.uint16) * 257
    save(Image.fromarray(deep), tmp_path / "deep.png")
    for mode, seed in (("L", 0), ("RGBA", 1), ("CMYK", 2), ("P", 3)):
        save(cloud(seed).convert(mode), tmp_path / f"{mode}.{'jpg' if mode == 'CMYK' else 'png'}")
    result = check_folder(tmp_path)
    assert result["modes"] == {"CMYK": 1, "L": 1, "P": 1, "RGBA": 1, "I;16": 1}
    # The same image in 8 and 16 bits.
    assert result["near_duplicates"] == [["L.png", "deep.png", 0]]
    assert result["exact_duplicates"] == []


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "val"), ("trainA", "testA"), ("train", "valid"), ("Training", "test")],
)
def test_test_images_among_the_training_images(train, test, clean):
    for seed in range(40):
        (clean / (train if seed < 30 else test)).mkdir(exist_ok=True)
        (clean / f"{seed:02}.png").rename(clean / (train if seed < 30 else test) / f"{seed:02}.png")
    assert check_folder(clean)["train_test_duplicates"] == []
    save(cloud(5), clean / test / "exact.bmp")
    save(cloud(5), clean / test / "exact2.bmp")
    save(cloud(6, (64, 64)), clean / test / "near.jpg", quality=80)
    save(cloud(33), clean / test / "own.bmp")  # a copy of another test image
    result = check_folder(clean)
    pairs = [["05.png", "exact.bmp"], ["05.png", "exact2.bmp"], ["06.png", "near.jpg"]]
    assert result["train_test_duplicates"] == [[f"{train}/{a}", f"{test}/{b}"] for a, b in pairs]
    assert warnings_with(
        result,
        "3 of 14 test images are also training images, exactly or nearly "
        f"(first: {test}/exact.bmp is {train}/05.png)",
    )


def test_a_blank_image_in_both_splits_and_file_names_that_begin_with_train(tmp_path):
    for path in ("train/a.png", "test/b.png"):
        save(Image.new("L", (64, 64), 9), tmp_path / path)
    assert check_folder(tmp_path)["train_test_duplicates"] == [["train/a.png", "test/b.png"]]
    for path in ("train_a.png", "test_b.png"):
        save(cloud(0), tmp_path / "flat" / path)
    assert check_folder(tmp_path / "flat")["train_test_duplicates"] == []


def test_domains(tmp_path):
    for seed in range(22):
        save(cloud(seed), tmp_path / "trainA" / f"a{seed:02}.png")
    assert warnings_with(check_folder(tmp_path), "trainA has 22 images and trainB 0")
    for seed in range(100, 102):
        save(cloud(seed), tmp_path / "trainB" / f"b{seed}.png")
    save(cloud(200), tmp_path / "testA" / "t.png")
    save(cloud(201), tmp_path / "testB" / "u.png")
    result = check_folder(tmp_path)
    assert result["groups"] == {"testA": 1, "testB": 1, "trainA": 22, "trainB": 2}
    # Neither the balance of testA and trainA nor the missing pairs are problems.
    assert result["warnings"] == warnings_with(result, "trainA has 22 images, trainB only 2")
    save(cloud(202), tmp_path / "trainB" / "c.png")
    assert check_folder(tmp_path)["warnings"] == []


def test_pairs_by_name_may_be_equal_but_need_a_partner(tmp_path):
    for seed in range(5):
        save(cloud(seed), tmp_path / "A" / f"{seed}.png")
        save(cloud(seed), tmp_path / "B" / f"{seed}.jpg", quality=70)
    result = check_folder(tmp_path)
    assert result["near_duplicates"] == [] and result["warnings"] == []
    save(cloud(7), tmp_path / "B" / "7.png")
    assert warnings_with(
        check_folder(tmp_path),
        "1 of 11 images in A and B have no partner of the same name (first: B/7.png)",
    )


def test_classes_of_train_and_test(tmp_path):
    counts = {"train/cat": 11, "train/dog": 11, "test/cat": 1, "test/dog": 1}
    for offset, (label, count) in enumerate(counts.items()):
        for i in range(count):
            save(cloud(100 * offset + i), tmp_path / label / f"{i:02}.png")
    result = check_folder(tmp_path)
    assert result["groups"] == dict(sorted(counts.items())) and result["warnings"] == []
    save(cloud(0), tmp_path / "train" / "dog" / "copy.png")
    assert warnings_with(
        check_folder(tmp_path),
        "1 of 25 images occur in several classes or domains "
        "(first: train/cat/00.png = train/dog/copy",
    )
    save(cloud(999), tmp_path / "loose.png")
    assert warnings_with(
        check_folder(tmp_path),
        "1 of 26 images are outside of the subfolders (first: loose.png)",
    )


LAYOUTS = {
    "domains train_A (x) and train_B (y)": ["train_A/1.png", "train_B/1.png", "test_A/2.png"],
    "domains train/Label (x) and train/Img (y)": ["train/Label/1.png", "train/Img/1.png"],
    "2 pairs by suffix, such as 1_A.png (x) and 1_B.png (y)": [
        *("1_A.png", "1_B.png", "2_A.png", "2_B.png"),
    ],
    "2 classes: cat, dog": ["Train/cat/1.png", "Train/dog/2.png", "Validation/dog/3.png"],
    "3 classes: A, B, C": ["A/1.png", "B/1.png", "C/1.png"],
    "images without labels": ["1.png", "2.png"],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, tmp_path):
    for seed, name in enumerate(LAYOUTS[layout]):
        save(cloud(seed), tmp_path / name)
    result = check_folder(tmp_path)
    assert result["layout"] == layout and f"layout: {layout}" in summary(result).splitlines()
    missing = warnings_with(result, "test_A has 1 images and test_B 0: add the second domain")
    assert result["warnings"] == missing and bool(missing) == ("train_A" in layout)


def test_wide_images_may_be_pairs_side_by_side(tmp_path):
    save(cloud(0, (128, 64)), tmp_path / "1.png")
    assert check_folder(tmp_path)["layout"].endswith(
        "or pairs side by side (left half x, right half y)"
    )
    save(cloud(1, (64, 64)), tmp_path / "2.png")
    assert check_folder(tmp_path)["layout"] == "images without labels"


def test_the_error_that_training_would_raise_is_a_warning(tmp_path):
    for seed, name in enumerate(["train/1.png", "test/2.png", "more/3.png"]):
        save(cloud(seed), tmp_path / name)
    result = check_folder(tmp_path)
    assert result["layout"] == "unknown"
    assert warnings_with(result, "has the splits test, train and other folders with images: more")


def test_the_images_of_a_pair_by_suffix_are_not_compared(tmp_path):
    for seed in range(3):
        save(cloud(seed), tmp_path / f"{seed}_A.png")
        save(cloud(seed), tmp_path / f"{seed}_B.jpg", quality=70)
    assert check_folder(tmp_path)["near_duplicates"] == []
    save(cloud(1), tmp_path / "3.jpg", quality=60)
    result = check_folder(tmp_path)
    assert [pair[1] for pair in result["near_duplicates"]] == ["3.jpg"]
    assert warnings_with(result, "1 of 7 files have no partner (pairs are such as 0_A.png and 0_B")


def test_small_images_and_unusual_aspect_ratios(clean):
    save(cloud(70, (20, 20)), clean / "tiny.png")
    save(cloud(71, (200, 100)), clean / "wide.png")
    save(cloud(72, (200, 200)), clean / "large.png")
    result = check_folder(clean)
    assert warnings_with(
        result, "1 of 43 images have a side of less than 32 pixels (first: tiny.png)"
    )
    assert warnings_with(
        result,
        "1 of 43 images have another aspect ratio than most in their folder (first: wide.png)",
    )
    assert len(result["warnings"]) == 2


def test_small_images_of_one_size_give_no_warning(tmp_path):
    for seed in range(3):
        save(cloud(seed, (28, 28)), tmp_path / f"{seed}.png")
    assert check_folder(tmp_path)["warnings"] == []


def test_the_summary_has_the_numbers_and_ten_examples(clean):
    for seed in range(13):
        save(cloud(seed), clean / "copies" / f"{seed:02}.bmp")
    text = summary(check_folder(clean))
    for line in (
        f"{clean}: 53 image files, 53 of them readable",
        "groups: . (40), copies (13)",
        "sizes: 96x96 (53)",
    ):
        assert line in text.splitlines()
    assert "formats: PNG (40), BMP (13)" in text
    for part in ("exact duplicates (13):", "  09.png = copies/09.bmp", "  and 3 more"):
        assert part in text
    assert "10.png" not in text
    assert "warnings (3):" in text and "  13 of 53 images are exact copies" in text
    assert "no problems found" not in text


def test_errors(tmp_path):
    with pytest.raises(UserError, match="FOLDER must be a folder of images, got '.*missing'"):
        check_folder(tmp_path / "missing")
    (tmp_path / "x.txt").touch()
    with pytest.raises(UserError, match="FOLDER must have images .*, got '"):
        check_folder(str(tmp_path))


@pytest.mark.skipif(
    os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0,
    reason="root may read every file",
)
def test_a_file_without_permission_is_unreadable(clean):
    (clean / "00.png").chmod(0)
    assert [problem["path"] for problem in check_folder(clean)["unreadable"]] == ["00.png"]
