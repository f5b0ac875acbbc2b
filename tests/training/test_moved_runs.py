"""Runs that are resumed where the data, the devices or the working directory are different."""

import json
import math
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from tfgan_zoo import presets
from tfgan_zoo.errors import UserError
from tfgan_zoo.training.train import train

pytestmark = pytest.mark.usefixtures("checkpoints_only")

SHORT_RUN = ["train.steps_per_epoch=2", "train.sample_count=4"]
FOLDER = ["data.dataset=folder", "data.batch_size=4", *SHORT_RUN]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the working directory, with ten images in data/."""
    monkeypatch.chdir(tmp_path)
    for i in range(10):
        path = tmp_path / f"data/{'ab'[i % 2]}/{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return tmp_path


def test_a_run_with_moved_data_continues_with_the_same_weights(folder, capsys):
    expected = train(
        "cgan_tiny", *FOLDER, "data.path=data", "train.epochs=2", run_dir=folder / "expected"
    )
    train("cgan_tiny", *FOLDER, "data.path=data", "train.epochs=1", run_dir=folder / "run")
    shutil.move(folder / "data", folder / "moved")
    shutil.move(folder / "run", folder / "moved_run")
    capsys.readouterr()
    result = train(folder / "moved_run", "data.path=moved", "train.epochs=2")
    assert result["weights_sha256"] == expected["weights_sha256"]
    old, new = str(folder / "data"), str(folder / "moved")
    assert f"data.path changed from {old!r} to {new!r}" in capsys.readouterr().err


def test_a_relative_path_of_data_holds_in_any_working_directory(folder, monkeypatch):
    train("gan_tiny", *FOLDER, "data.path=data/a", "train.epochs=1", run_dir=folder / "run")
    (folder / "other").mkdir()
    monkeypatch.chdir(folder / "other")
    assert train(folder / "run", "train.epochs=2")["epochs"] == 2


def test_other_data_raises_an_error(folder):
    train("cgan_tiny", *FOLDER, "data.path=data", "train.epochs=1", run_dir=folder / "run")
    for change in ("another image", "a removed image", "another label"):
        changed = shutil.copytree(folder / "data", folder / change)
        if change == "another image":
            Image.new("L", (17, 17)).save(changed / "a/0.png")
        elif change == "a removed image":
            (changed / "a/0.png").unlink()
        else:
            (changed / "a/0.png").rename(changed / "b/0.png")
        message = "was trained with other images .* train.start="
        with pytest.raises(UserError, match=message) as error:
            train(folder / "run", f"data.path={changed}", "train.epochs=2")
        assert "\n" not in str(error.value)
    assert train(folder / "run", "train.epochs=2")["epochs"] == 2


def test_domains_with_moved_folders_continue(folder):
    paths = ["data.path=data/a", "data.path_y=data/b", "data.batch_size=1"]
    options = ["data.dataset=folder", *paths, *SHORT_RUN, "train.epochs=1"]
    train("cyclegan_tiny", *options, run_dir=folder / "run")
    shutil.move(folder / "data", folder / "moved")
    moved = ["data.path=moved/a", "data.path_y=moved/b"]
    assert train(folder / "run", *moved, "train.epochs=2")["epochs"] == 2
    with pytest.raises(UserError, match="was trained with other images"):
        swapped = ["data.path=moved/b", "data.path_y=moved/a"]
        train(folder / "run", *swapped, "train.epochs=2")


def test_a_style_image_is_identified_by_its_content(folder):
    Image.radial_gradient("L").convert("RGB").save(folder / "style.png")
    options = ["model.style=style.png", *SHORT_RUN, "train.epochs=1"]
    train("fast_tiny", *options, run_dir=folder / "run")
    assert json.loads((folder / "run/experiment.json").read_text())["model"]["style"] == str(
        folder / "style.png"
    )
    shutil.move(folder / "style.png", folder / "moved.png")
    Image.linear_gradient("L").convert("RGB").save(folder / "style.png")
    with pytest.raises(UserError, match=r"another model.style, got .*style.png"):
        train(folder / "run", "train.epochs=2")
    assert train(folder / "run", "model.style=moved.png", "train.epochs=2")["epochs"] == 2


def test_fields_of_devices_and_output_may_change(tmp_path, capsys):
    train("gan_tiny", *SHORT_RUN, "train.epochs=1", run_dir=tmp_path / "run")
    changes = ["train.xla=on", "train.strategy=cpu", "train.steps_per_execution=2"]
    changes += ["train.sample_every=2", "data.cache_gb=1"]
    assert train(tmp_path / "run", *changes, "train.epochs=2")["epochs"] == 2
    assert "train.xla changed from 'auto' to 'on'" in capsys.readouterr().err
    assert json.loads((tmp_path / "run/experiment.json").read_text())["train"]["xla"] == "on"
    with pytest.raises(UserError, match=r"model.width is .* there and 8 here"):
        train(tmp_path / "run", "model.width=8", "train.epochs=3")


def test_a_run_without_data_json_is_resumed(tmp_path):
    train("gan_tiny", *SHORT_RUN, "train.epochs=1", run_dir=tmp_path)
    (tmp_path / "data.json").unlink()
    assert train(tmp_path, "train.epochs=2")["epochs"] == 2


@pytest.mark.slow
def test_a_run_continues_with_another_number_of_replicas(tmp_path):
    # CycleGAN has the most state: four networks, and a history of images on every replica.
    for epochs, count in enumerate((2, 1, 2), 1):
        devices = ["train.strategy=mirrored", f"train.replicas={count}", f"train.epochs={epochs}"]
        options = [*SHORT_RUN, "model.decay_epochs=0", *devices]
        result = train("cyclegan_tiny" if epochs == 1 else tmp_path, *options, run_dir=tmp_path)
    assert result["epochs"] == 3 and all(map(math.isfinite, result["metrics"].values()))


def test_a_run_killed_before_its_first_epoch_is_started_again(tmp_path, monkeypatch):
    def kill(path, text):
        raise KeyboardInterrupt

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr("tfgan_zoo.training.train.write_text", kill)  # of data.json
        train("gan_tiny", *SHORT_RUN, "train.epochs=1", run_dir=tmp_path)
    assert train("gan_tiny", *SHORT_RUN, "train.epochs=1", run_dir=tmp_path)["epochs"] == 1


def test_names_that_are_not_utf8_do_not_stop_a_run(folder):
    path = folder / "data/a/0.png"
    path.rename(path.with_name(os.fsdecode(b"caf\xe9.png")))
    train("gan_tiny", *FOLDER, "data.path=data/a", "train.epochs=1", run_dir=folder / "run")


def test_addresses_of_buckets_are_kept():
    experiment = presets.experiment("dcgan_mnist", "data.path=gs://bucket/tfds")
    assert experiment.with_absolute_paths().data.path == "gs://bucket/tfds"


def test_without_data_json_another_style_raises_an_error(folder):
    options = [*SHORT_RUN, "train.epochs=1"]
    Image.radial_gradient("L").convert("RGB").save(folder / "style.png")
    train("fast_tiny", *options, "model.style=style.png", run_dir=folder / "run")
    (folder / "run/data.json").unlink()
    with pytest.raises(UserError, match="model.style is .* there and mosaic here"):
        train(folder / "run", "model.style=mosaic")
