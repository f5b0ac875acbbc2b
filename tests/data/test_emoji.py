"""Emoji: prepare two generated packages, and load their pairs, domains and categories."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tfgan_zoo import cli
from tfgan_zoo.config import DataConfig
from tfgan_zoo.data import datasets, domains, emoji
from tfgan_zoo.errors import FailureError, UserError
from tfgan_zoo.models.cyclegan import CycleGANConfig

TONES = ("1F3FB", "1F3FF")
MODEL = CycleGANConfig(image_size=64, width=4, blocks=1, receptive_field=34)


def write_png(path, color):
    """Write a transparent image of 64 pixels with an opaque square in a color."""
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[16:48, 16:48] = (*color, 255)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Write both packages: 60 objects, 10 hands in 3 tones each, and one patch of skin color.

    The red and the green level of an image are the number of its emoji in emoji.json. The blue
    level is 0 for Noto and 200 for Twemoji.
    """
    root, entries = tmp_path_factory.mktemp("packages"), []
    for i in range(71):
        category = "Objects" if i < 60 else "People & Body" if i < 70 else "Component"
        codes = [f"{0x1F500 + i:X}"]
        codes += [f"{codes[0]}-{tone}" for tone in TONES] if category == "People & Body" else []
        variants = [
            {
                "unified": code,
                "image": f"{code.lower()}.png",
                "has_img_google": True,
                "has_img_twitter": i != 7,  # drawn by one team only
            }
            for code in codes
        ]
        skins = dict(zip(TONES, variants[1:], strict=False))
        entries.append({**variants[0], "category": category, "skin_variations": skins})
    for blue, name in ((0, "google"), (200, "twitter")):
        images = root / f"emoji-datasource-{name}" / "img" / name / "64"
        images.mkdir(parents=True)
        (images.parents[2] / "emoji.json").write_text(json.dumps(entries))
        for i, entry in enumerate(entries):
            for variant in (entry, *entry["skin_variations"].values()):
                if variant[f"has_img_{name}"]:
                    write_png(images / variant["image"], (i, i, blue))
    return root


@pytest.fixture(scope="module")
def prepared(packages, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("prepared")
    assert (
        cli.main(["data", "prepare", "emoji", "--from", str(packages), f"--data-dir={data_dir}"])
        == 0
    )
    return data_dir


def numbers(images):
    """Return the numbers of the emoji that images (n, 64, 64, 3) show."""
    return np.asarray(images)[:, 32, 32, 0].tolist()


def test_prepare_prints_the_sizes_and_the_licenses(packages, tmp_path, capsys):
    arguments = ["data", "prepare", "emoji", "--from", str(packages), f"--data-dir={tmp_path}"]
    assert cli.main(arguments) == 0
    first, *licenses = capsys.readouterr().out.splitlines()
    sizes = [len(emoji.load(tmp_path, split).labels) for split in emoji.SPLITS]
    train, val, test = sizes
    path = tmp_path / "emoji" / "emoji.npz"
    assert first == f"emoji: train {train}, val {val}, test {test} pairs of images in {path}"
    assert sum(sizes) == 59 + 30 and 40 < train < 89 and val and test
    assert "Apache License 2.0" in licenses[0] and "CC BY 4.0" in licenses[1]
    assert (path.parent / "LICENSES.txt").read_text().splitlines() == licenses
    assert "CC BY 4.0" in datasets.LICENSES["emoji"] and "Apache" in datasets.LICENSES["emoji"]
    assert datasets.LICENSES["emoji/noto"] == licenses[0]


def test_pairs_show_one_emoji_on_white_and_its_variants_are_in_one_split(prepared):
    splits = {}
    for split in emoji.SPLITS:
        data = emoji.load(prepared, split)
        assert numbers(data.noto) == numbers(data.twemoji)
        assert not data.noto[:, 32, 32, 2].any() and set(data.twemoji[:, 32, 32, 2]) == {200}
        assert (data.noto[:, 0] == 255).all() and (data.twemoji[:, :, 0] == 255).all()
        assert data.classes == ["Objects", "People & Body"]
        assert [number >= 60 for number in numbers(data.noto)] == data.labels.tolist()
        splits[split] = numbers(data.noto)
    assert not set(splits["train"]) & set(splits["val"] + splits["test"])
    assert not set(splits["val"]) & set(splits["test"])
    objects = [i for i in range(60) if i != 7]
    people = [i for i in range(60, 70) for _ in range(3)]
    assert sorted(splits["train"] + splits["val"] + splits["test"]) == objects + people
    assert splits["train"] != sorted(splits["train"])  # so that data.limit selects at random


@pytest.mark.parametrize(
    ("unified", "group"),
    [
        ("1F44D", "1F44D"),
        ("1F468-200D-1F373", "1F9D1-1F373"),  # man cook
        ("1F9D1-200D-1F373", "1F9D1-1F373"),  # cook
        ("1F3C3-200D-2640-FE0F-200D-27A1-FE0F", "1F3C3"),  # woman running, facing right
        ("27A1-FE0F", "27A1-FE0F"),  # the arrow itself
        ("1F46C", "1F9D1-1F91D"),  # men holding hands
        ("1F9D1-200D-1F91D-200D-1F9D1", "1F9D1-1F91D"),  # people holding hands
        ("1F468-200D-2764-FE0F-200D-1F468", "1F9D1-2764"),
        ("1F491", "1F9D1-2764"),
        ("1F468-200D-1F469-200D-1F466-200D-1F466", "1F9D1-1F9D2"),  # family of four
        ("1F46A", "1F9D1-1F9D2"),
    ],
)
def test_group_of_variants(unified, group):
    assert emoji.group_of(unified) == group


def test_few_variants_of_one_emoji_are_tested():
    group = next(f"group {i}" for i in range(100) if emoji.split_of(f"group {i}") == "test")
    other = next(f"group {i}" for i in range(100) if emoji.split_of(f"group {i}") == "train")
    groups = np.array([group] * 20 + [other] * 20)
    images = np.zeros((40, 64, 64, 3), np.uint8)
    data = emoji.Emoji(images, images, np.arange(40), [], groups)
    assert data.split("test").labels.tolist() == list(range(emoji.MAX_HELD_OUT))
    assert data.split("train").labels.tolist() == list(range(20, 40))
    assert not data.split("val").labels.size


def test_unpaired_training_images_show_different_emoji_and_test_images_the_same(prepared):
    def load(split, kind="domains", **options):
        config = DataConfig(
            dataset="emoji", path=str(prepared), split=split, load_size=64, **options
        )
        return domains.load_domains(config, MODEL, kind)

    def shown(data, side):
        return numbers([data.sources[side][i][0] for i in range(len(data.sources[side]))])

    train, test, pairs = load("train"), load("test"), load("train", "pairs")
    assert not set(shown(train, 0)) & set(shown(train, 1))
    assert sum(train.sizes) == pairs.sizes[0] and min(train.sizes) > 15
    assert shown(test, 0) == shown(test, 1)
    assert pairs.description == (f"emoji: {len(pairs)} pairs, 64x64, 3 to 3 channels, in memory")
    x, y = pairs.evaluation_images(0)
    assert (x[32, 32, 2], y[32, 32, 2]) == (0, 200) and x[32, 32, 0] == y[32, 32, 0]
    y, x = load("train", "pairs", direction="yx").evaluation_images(0)
    assert (x[32, 32, 2], y[32, 32, 2]) == (0, 200)
    assert load("train", limit=5).sizes == [5, 5]


def test_categories_are_the_labels_of_single_images(prepared):
    for design, blue in (("noto", 0), ("twemoji", 200)):
        config = DataConfig(dataset=f"emoji/{design}", path=str(prepared), split="test")
        data = datasets.load_images(config, 32, 3)
        assert data.images.shape[1:] == (32, 32, 3) and set(data.images[:, 16, 16, 2]) == {blue}
        assert data.classes == ["Objects", "People & Body"]
        assert data.labels.tolist() == emoji.load(prepared, "test").labels.tolist()
    with pytest.raises(UserError, match="Unknown data.dataset 'emoji'. Did you mean emoji/noto"):
        datasets.load_images(DataConfig(dataset="emoji", path=str(prepared)), 32, 3)


def test_emoji_that_are_not_prepared_or_damaged_are_an_error(prepared, tmp_path):
    with pytest.raises(UserError, match="not prepared in .*npm install .*data prepare emoji"):
        emoji.load(tmp_path)
    (tmp_path / "emoji").mkdir()
    content = emoji.prepared_file(prepared).read_bytes()
    emoji.prepared_file(tmp_path).write_bytes(content[: len(content) // 2])
    with pytest.raises(FailureError, match=r"emoji.npz is damaged .*Prepare the emoji again"):
        emoji.load(tmp_path)


def test_wrong_or_incomplete_packages_are_an_error(packages, tmp_path):
    def message(root, data_dir=tmp_path / "out"):
        with pytest.raises((UserError, FailureError)) as error:
            emoji.prepare(root, data_dir)
        return str(error.value)

    assert "got '/no/folder' without emoji-datasource-google. Get them" in message("/no/folder")
    root = shutil.copytree(packages, tmp_path / "copy")
    twitter = root / "emoji-datasource-twitter"
    images = twitter / "img" / "twitter" / "64"
    first = images / "1f500.png"

    Image.new("RGB", (72, 72)).save(first)
    assert f"must have 64x64 pixels, got 72x72 in {first}" in message(root)
    first.write_bytes(b"no image")
    assert f"{first} cannot be read" in message(root)
    first.unlink()
    assert "has 88 of 89 images (missing: 1f500.png). Unpack" in message(root)
    (twitter / "emoji.json").write_text("[]")
    assert f"{twitter / 'emoji.json'} is damaged (it lists no emoji)" in message(root)
    entries = json.loads((root / "emoji-datasource-google" / "emoji.json").read_text())
    (twitter / "emoji.json").write_text(json.dumps(entries[1:]))
    assert "both packages must have the same version" in message(root)
    (twitter / "emoji.json").write_text('[{"image": 3}]')
    assert "is damaged (values are missing or of a wrong type)" in message(root)
    (twitter / "emoji.json").unlink()
    assert f"{twitter} is incomplete: it has no emoji.json" in message(root)
    shutil.rmtree(images)
    assert "without emoji-datasource-twitter/img/twitter/64." in message(root)
    shutil.rmtree(twitter)
    assert "without emoji-datasource-twitter." in message(root)
    assert not (tmp_path / "out").exists()
