"""Folders of images: files that are not data, classes and splits."""

import types

import pytest
from PIL import Image

from tfgan_zoo.config import DataConfig
from tfgan_zoo.data import check, domains
from tfgan_zoo.data.datasets import load_images
from tfgan_zoo.inference.image_files import plan_jobs

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
