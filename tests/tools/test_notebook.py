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


def test_diagram_is_a_picture(shown):
    boxes = {"a": (0, 0, "z"), "b": (1, 0, "G", "orange")}
    notebook.show_diagram(boxes, [("a", "b", "to")], size=(4, 1))
    picture = np.asarray(Image.open(io.BytesIO(shown[0].data)).convert("RGB"))
    assert picture.shape == (80, 320, 3)
    assert (picture == (255, 165, 0)).all(axis=-1).sum() > 300  # the orange box


def test_pretrained_preset_is_cloned_if_it_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(notebook, "pretrained_folder", lambda name: None)
    monkeypatch.setattr(notebook.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(notebook.tfgan_zoo, "load", lambda source: source)
    monkeypatch.delenv("TFGAN_ZOO_URL", raising=False)
    monkeypatch.setattr(notebook, "REPOSITORY", str(tmp_path / "none"))
    with pytest.raises(UserError, match="gan_mnist could not be downloaded"):
        notebook.load_pretrained("gan_mnist")

    folder = tmp_path / "origin" / "saved_models" / "gan_mnist"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"1")
    git = ["git", "-C", str(tmp_path / "origin"), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "models"]):
        subprocess.run([*git, *arguments], check=True)
    monkeypatch.setattr(notebook, "REPOSITORY", (tmp_path / "origin").as_uri())
    for _ in range(2):  # the second call finds the clone
        loaded = notebook.load_pretrained("gan_mnist")
        assert (loaded / "saved_model.pb").read_bytes() == b"1"
