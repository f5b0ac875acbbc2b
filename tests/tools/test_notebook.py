"""Helper functions of the notebooks."""

import io
import subprocess

import numpy as np
import pytest
from PIL import Image

from tfgan_zoo.errors import UserError
from tfgan_zoo.losses import OBJECTIVES
from tfgan_zoo.models.adversarial import AdversarialModel
from tfgan_zoo.tools import notebook


@pytest.fixture
def shown(monkeypatch):
    """The objects that the notebook would display."""
    objects = []
    monkeypatch.setattr(notebook, "display", objects.append)
    return objects


def test_source_keeps_the_indentation_of_function_bodies(shown):
    notebook.show_source(OBJECTIVES["hinge"].generator, AdversarialModel.players)
    function, method = (item.data for item in shown)
    assert "[tfgan_zoo/losses.py](" in function
    assert "\ndef players(self):\n    return {" in method
    assert "\n    " in function


def test_animation_has_all_frames_and_loops():
    frames = [np.full((4, 6), level, np.uint8) for level in (0, 17, 255)]
    file = Image.open(io.BytesIO(notebook.animated_png(frames, seconds=3)))
    assert file.n_frames == 3
    assert file.info["loop"] == 0
    for number, frame in enumerate(frames):
        file.seek(number)
        np.testing.assert_array_equal(np.asarray(file.convert("L")), frame)
        assert file.info["duration"] == (2000 if number == 2 else 1000)


def test_animation_of_color_images_has_one_palette():
    colors = np.random.default_rng(0).choice([0, 80, 255], (3, 8, 8, 3)).astype(np.uint8)
    file = Image.open(io.BytesIO(notebook.animated_png(list(colors), seconds=1)))
    for number, frame in enumerate(colors):
        file.seek(number)
        np.testing.assert_array_equal(np.asarray(file.convert("RGB")), frame)  # 27 colors at most


def test_long_animation_is_thinned_out(shown):
    batches = [np.full((6, 8, 8, 1), level * 17, np.uint8) for level in range(16)]
    notebook.show_animation(batches, count=4, caption="training")
    file = Image.open(io.BytesIO(shown[0].data))
    levels = []
    for number in range(file.n_frames):
        file.seek(number)
        levels.append(int(np.asarray(file.convert("L"))[5, 5]) // 17)
    assert levels == [0, 5, 10, 15]
    assert shown[1].data == "*training*"


def test_rows_have_labels_beside_unchanged_images(shown):
    black, white = np.zeros((2, 8, 8, 1), np.uint8), np.full((2, 8, 8, 1), 255, np.uint8)
    notebook.show_rows({"input": black, "output": white}, caption="a *test*")
    page = np.asarray(Image.open(io.BytesIO(shown[0].data)))
    images = page[:, -22 * 6 :]  # two images of 8 pixels and three borders of 2, six times
    assert page.shape[0] == 22 * 6
    assert images[:66].min() == 0
    assert images[72:].min() == 255
    label = page[:, : -22 * 6]
    assert label[:66].min() < 50 and label[66:].min() < 50  # text in both rows
    with pytest.raises(ValueError, match="rows must have equal shapes"):
        notebook.show_rows({"input": black, "output": white[:1]})


@pytest.mark.parametrize(("size", "file_format"), [(16, "PNG"), (300, "JPEG")])
def test_color_rows_are_small_files(shown, size, file_format):
    noise = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype(np.uint8)
    notebook.show_rows({"noise": noise, "black": 0 * noise})
    file = Image.open(io.BytesIO(shown[0].data))
    assert file.format == file_format
    assert len(shown[0].data) < 2 * noise.size


def test_diagram_is_a_picture(shown):
    boxes = {"a": (0, 0, "z"), "b": (1, 0, "G", "orange")}
    notebook.show_diagram(boxes, [("a", "b", "to")], size=(4, 1))
    picture = np.asarray(Image.open(io.BytesIO(shown[0].data)).convert("RGB"))
    assert picture.shape == (80, 320, 3)
    orange = np.abs(picture.astype(int) - (255, 165, 0)).max(axis=-1) < 4  # 64 colors
    assert orange.sum() > 300  # the box


def commit_preset(repository, name):
    """Commit a preset to a git repository, as a file that has the name as its text."""
    folder = repository / "saved_models" / name
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_text(name)
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", name]):
        subprocess.run([*git, *arguments], check=True)


@pytest.fixture
def home(monkeypatch, tmp_path):
    """An empty home folder, and a machine without pretrained presets."""
    monkeypatch.setattr(notebook, "pretrained_folder", lambda name: None)
    monkeypatch.setattr(notebook.tfgan_zoo, "load", lambda source: source)
    monkeypatch.delenv("TFGAN_ZOO_URL", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_pretrained_preset_is_cloned_if_it_is_missing(monkeypatch, tmp_path, home):
    monkeypatch.setattr(notebook, "REPOSITORY", str(tmp_path / "none"))
    with pytest.raises(UserError, match="gan_mnist could not be downloaded"):
        notebook.load_pretrained("gan_mnist")

    commit_preset(tmp_path / "origin", "gan_mnist")
    monkeypatch.setattr(notebook, "REPOSITORY", (tmp_path / "origin").as_uri())
    loaded = notebook.load_pretrained("gan_mnist")
    assert (loaded / "saved_model.pb").read_text() == "gan_mnist"
    assert loaded.is_relative_to(home)  # other users of the machine cannot write there

    monkeypatch.setattr(notebook, "REPOSITORY", str(tmp_path / "none"))
    assert notebook.load_pretrained("gan_mnist") == loaded  # no second clone


def test_clone_that_is_older_than_a_preset_is_replaced(monkeypatch, tmp_path, home):
    origin = tmp_path / "origin"
    monkeypatch.setattr(notebook, "REPOSITORY", origin.as_uri())
    commit_preset(origin, "gan_mnist")
    old = notebook.load_pretrained("gan_mnist")
    commit_preset(origin, "vae_mnist")

    with monkeypatch.context() as offline:
        offline.setattr(notebook, "REPOSITORY", str(tmp_path / "none"))
        with pytest.raises(UserError, match="vae_mnist could not be downloaded"):
            notebook.load_pretrained("vae_mnist")
    assert (old / "saved_model.pb").is_file()  # the old clone is still complete

    new = notebook.load_pretrained("vae_mnist")
    assert (new / "saved_model.pb").read_text() == "vae_mnist"
    assert (old / "saved_model.pb").is_file()
