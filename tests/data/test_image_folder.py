"""Folders of images: files that are not data, classes and splits."""

import types

import pytest
from PIL import Image

from tfgan_zoo import presets
from tfgan_zoo.config import DataConfig
from tfgan_zoo.data import check, domains
from tfgan_zoo.data.datasets import load_images
from tfgan_zoo.errors import UserError
from tfgan_zoo.inference.image_files import plan_jobs
from tfgan_zoo.training.prepare import prepare

SYSTEM_FILES = (
    ".ipynb_checkpoints/1-checkpoint.png",
    "cats/.ipynb_checkpoints/1-checkpoint.png",
    "__MACOSX/cats/1.png",
    "cats/@eaDir/1.png/thumbnail.jpg",
    "cats/._1.png",
    ".hidden.png",
)
OTHER_SYSTEM_FILES = ("cats/Thumbs.db", "dogs/desktop.ini", "cats/.DS_Store")


def save(folder, *names, size=(16, 16)):
    """Write images of different gray levels."""
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, 20 * i).save(folder / name)
    return folder


def load(folder, **changes):
    return load_images(DataConfig(dataset="folder", path=str(folder), **changes), 16, 1)


def load_domains(folder, kind="domains", **changes):
    model = types.SimpleNamespace(image_size=16, x_channels=1, y_channels=1, multiple=4)
    config = DataConfig(
        **{"dataset": "folder", "path": str(folder), "batch_size": 1, "holdout": 0.0, **changes}
    )
    return domains.load_domains(config, model, kind)


# --- Files that are not data


@pytest.fixture
def animals(tmp_path):
    """Return a folder of two classes, with files of operating systems and programs."""
    folder = save(tmp_path, *SYSTEM_FILES, "cats/1.png", "cats/2.png", "dogs/1.png")
    (folder / "cats/._1.png").write_bytes(b"not an image")
    for name in OTHER_SYSTEM_FILES:
        (folder / name).touch()
    return folder


def test_hidden_and_system_files_are_no_images_and_their_folders_are_no_classes(animals, caplog):
    data = load(animals)
    assert data.classes == ["cats", "dogs"] and data.labels.tolist() == [0, 0, 1]
    assert not caplog.records


def test_hidden_and_system_files_are_not_in_domains(animals, caplog):
    data = load_domains(animals / "cats", path_y=str(animals / "dogs"))
    assert data.sizes == [2, 1] and not caplog.records


def test_hidden_and_system_files_are_not_converted(animals, tmp_path):
    names = ["cats/1.png", "cats/2.png", "dogs/1.png"]
    for source in (animals, animals / "**" / "*"):
        jobs = plan_jobs([str(source)], tmp_path / "out", (".png",))
        assert [path.relative_to(animals).as_posix() for path, _ in jobs] == names


def test_check_lists_hidden_and_system_files_as_ignored(animals):
    result = check.check_folder(animals)
    assert result["groups"] == {"cats": 2, "dogs": 1} and not result["unreadable"]
    assert result["ignored"] == sorted([*SYSTEM_FILES, *OTHER_SYSTEM_FILES])
    assert "  cats/Thumbs.db" in check.summary(result).splitlines()


def test_a_hidden_folder_can_be_read_by_its_own_path(tmp_path):
    folder = save(tmp_path / ".cache", "a/1.png", "b/1.png")
    assert load(folder).classes == ["a", "b"]


# --- Classes


def prepare_cgan(folder, *overrides):
    experiment = presets.experiment(
        "cgan_tiny",
        *("data.dataset=folder", f"data.path={folder}", "data.batch_size=1", *overrides),
    )
    return prepare(experiment)


def test_an_image_beside_class_folders_is_an_error_that_names_it(tmp_path):
    folder = save(tmp_path, "cats/1.png", "dogs/1.png", "preview.png", "z.png")
    message = (
        r"without labels. .*preview.png \(and 1 more\) is not in a class folder \(cats, dogs\)"
    )
    with pytest.raises(UserError, match=message):
        prepare_cgan(folder)
    assert len(load(folder)) == 4  # an unconditional model needs no labels


def test_a_folder_without_classes_is_an_error(tmp_path):
    with pytest.raises(UserError, match="without labels. Put the images of each class into a sub"):
        prepare_cgan(save(tmp_path, "1.png"))


def test_errors_about_the_number_of_classes_list_the_names(tmp_path):
    names = [f"class {i:02}" for i in range(12)]
    folder = save(tmp_path, *(f"{name}/1.png" for name in names))
    message = r"at least 12 for folder \(class 00, .* class 09 and 2 more\), got 10"
    with pytest.raises(UserError, match=message):
        prepare_cgan(folder)


def test_a_class_without_readable_images_is_an_error_that_names_it(tmp_path, caplog):
    folder = save(tmp_path, "cats/1.png", "dogs/1.png", "owls/1.png")
    (folder / "dogs/1.png").write_bytes(b"not an image")
    (folder / "notes").mkdir()
    (folder / "notes/1.txt").touch()
    with pytest.raises(UserError, match="images of some classes cannot be read: dogs. Replace the"):
        prepare_cgan(folder)
    unlabeled = load(folder)  # for models without labels
    assert (len(unlabeled), unlabeled.labels, unlabeled.classes) == (2, None, [])
    assert load(folder, limit=1).classes == ["cats", "dogs", "owls"]


# --- Splits


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "test"), ("Training", "Testing"), ("train", "validation"), ("TRAIN", "val")],
)
def test_splits_above_the_classes_are_not_classes(train, test, tmp_path):
    folder = save(
        tmp_path, f"{train}/cats/1.png", f"{train}/dogs/2.png", f"{train}/owls/3.png",
        f"{test}/dogs/4.png", f"{test}/owls/5.png",
    )  # fmt: skip
    data = load(folder)
    assert data.classes == ["cats", "dogs", "owls"] and data.labels.tolist() == [0, 1, 2]
    for split in ("test", "val"):
        data = load(folder, split=split)
        assert data.classes == ["cats", "dogs", "owls"] and data.labels.tolist() == [1, 2]
        assert data.images[:, 0, 0, 0].tolist() == [60, 80]


def test_each_of_three_splits_is_selected_by_its_name(tmp_path):
    names = ["train/a/1.png", "train/b/1.png", "test/a/1.png", "valid/b/1.png"]
    folder = save(tmp_path, *names)
    values = {
        split: load(folder, split=split).images[:, 0, 0, 0].tolist()
        for split in ("train", "test", "val")
    }
    assert values == {"train": [0, 20], "test": [40], "val": [60]}


def test_splits_without_classes_have_no_labels(tmp_path):
    folder = save(tmp_path, "train/1.png", "train/2.png", "test/3.png")
    assert load(folder).sizes == [2] and load(folder).labels is None
    assert load(folder, split="test").sizes == [1]


def test_images_in_no_split_are_left_out_with_a_warning(tmp_path, caplog):
    folder = save(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png", "preview.png")
    assert load(folder).classes == ["a", "b"]
    assert "left out 1 images that are in no split (test, train)" in caplog.text
    assert "preview.png" in caplog.text


def test_a_class_may_have_the_name_of_a_split(tmp_path):
    assert load(save(tmp_path, "train/1.png", "bus/1.png", "car/1.png")).classes == [
        "bus", "car", "train",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "split", "message"),
    [
        (
            ["train/a/1.png", "test/a/1.png", "more/a/1.png"],
            "train",
            "has the splits test, train and other folders with images: more. .*data.path=.*train",
        ),
        (["a/1.png", "b/1.png"], "test", "needs a folder test or val .* with no folders of splits"),
        (["test/a/1.png", "val/a/1.png"], "train", "needs a folder train .* with test, val"),
        (["train/1.png", "training/2.png"], "train", "of the same split: train, training. Move"),
        (["train/a/1.png"], "val", "data.split=val needs a folder val or test .* with train"),
    ],
)
def test_errors_of_splits(names, split, message, tmp_path):
    with pytest.raises(UserError, match=message):
        load(save(tmp_path, *names), split=split)


def test_labels_csv_may_be_in_the_split_or_above_it(tmp_path):
    folder = save(tmp_path, "train/1.png", "test/2.png")
    (folder / "labels.csv").write_text("file,gray\ntrain/1.png,0.5\ntest/2.png,1.5\n")
    assert load(folder).labels.tolist() == [[0.5]] and load(folder).classes == ["gray"]
    assert load(folder, split="test").labels.tolist() == [[1.5]]
    (folder / "train/labels.csv").write_text("file,level\n1.png,2.5\n")
    assert load(folder).labels.tolist() == [[2.5]] and load(folder).classes == ["level"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "first line of .*labels.csv must name a path and numbers, got .."),
        (b"file\n1.png\n", "must name a path and numbers, got .'file'."),
        ("file,größe\n1.png,1\n".encode("cp1252"), "labels.csv must be UTF-8 text"),
    ],
)
def test_a_labels_csv_without_a_header_or_in_another_encoding_is_an_error(
    content, message, tmp_path
):
    save(tmp_path, "1.png")
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        load(tmp_path)


# --- Brackets in names


def test_folders_and_files_with_brackets_in_their_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = save(tmp_path / "set [1]", "cats[a]/1 [x].png", "dogs*/2.png")
    assert load("set [1]").classes == ["cats[a]", "dogs*"]
    assert load_domains("set [1]/cats[a]", path_y=str(folder / "dogs*")).sizes == [1, 1]
    for source, names in [
        ("set [1]", ["cats[a]/1 [x].png", "dogs*/2.png"]),
        ("set [1]/*/*.png", ["cats[a]/1 [x].png", "dogs*/2.png"]),
        ("set [1]/cats[a]/1 [x].png", ["1 [x].png"]),
        ("set [1]/cats[a]/1 [x]*", ["1 [x].png"]),  # no file matches it as a pattern
        ("set [1]/dogs*/[12].png", ["2.png"]),
    ]:
        jobs = plan_jobs([source], tmp_path / "out", (".jpg", ".png"))
        outputs = [target.relative_to(tmp_path / "out").as_posix() for _, target in jobs]
        assert outputs == names, source
