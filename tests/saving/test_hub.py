"""Pretrained presets: those of the repository, and downloaded ones for an installed package."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from helpers import ROOT, module_of
from PIL import Image

from tfgan_zoo import train
from tfgan_zoo.errors import UserError
from tfgan_zoo.saving import hub
from tfgan_zoo.saving.exported import load, load_experiment

SAVED_MODELS = ROOT / "saved_models"
PRETRAINED = sorted(path.parent.name for path in SAVED_MODELS.glob("*/saved_model.pb"))


@pytest.fixture(scope="module")
def publish():
    return module_of(SAVED_MODELS / "publish.py")


@pytest.fixture
def without_repository(publish, tmp_path, monkeypatch):
    """Simulate a package installed without the repository, and an archive at an address."""
    monkeypatch.setattr(hub, "pretrained_folder", lambda name: None)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    publish.archive(SAVED_MODELS / "cgan_mnist", tmp_path / "cgan_mnist.zip")
    return tmp_path


def test_checksums_are_those_of_the_repositorys_folders(publish, tmp_path):
    archives = {
        name: publish.archive(SAVED_MODELS / name, tmp_path / f"{name}.zip") for name in PRETRAINED
    }
    assert archives == hub.checksums(), "run: python saved_models/publish.py --archives DIR"


def test_pretrained_presets_need_less_than_60_mib():
    assert (
        sum(file.stat().st_size for file in SAVED_MODELS.rglob("*") if file.is_file()) < 60 * 2**20
    )


def test_archives_are_reproducible(publish, tmp_path):
    copy = tmp_path / "cgan_mnist"
    shutil.copytree(SAVED_MODELS / "cgan_mnist", copy)  # other times and another order
    sums = [
        publish.archive(folder, tmp_path / f"{i}.zip")
        for i, folder in enumerate((SAVED_MODELS / "cgan_mnist", copy))
    ]
    assert sums[0] == sums[1] == hashlib.sha256((tmp_path / "0.zip").read_bytes()).hexdigest()


def test_published_preset_is_downloaded_once(without_repository, monkeypatch):
    monkeypatch.setenv("TFGAN_ZOO_URL", without_repository.as_uri())
    assert load("cgan_mnist").sample(2, labels=[3, 8]).shape == (2, 28, 28, 1)
    assert load_experiment("cgan_mnist").kind == "CGAN"
    monkeypatch.delenv("TFGAN_ZOO_URL")
    # Without the address, the cached copy is loaded.
    assert load("cgan_mnist").path.is_relative_to(without_repository / "keras")


def test_two_first_uses_at_once_and_leftovers_of_a_killed_one(without_repository, monkeypatch):
    monkeypatch.setenv("TFGAN_ZOO_URL", without_repository.as_uri())
    folder = without_repository / "keras/tfgan_zoo"
    unpacked = folder / f"cgan_mnist-{hub.checksums()['cgan_mnist'][:12]}"
    leftover = folder / f".{unpacked.name}.abcd_123.partial"
    (leftover / "new").mkdir(parents=True)
    unpack = shutil.unpack_archive

    def unpack_after_another_process(archive, target):
        unpack(archive, unpacked)
        unpack(archive, target)

    monkeypatch.setattr(shutil, "unpack_archive", unpack_after_another_process)
    assert hub.download("cgan_mnist") == unpacked / "cgan_mnist"
    assert (unpacked / "cgan_mnist/saved_model.pb").is_file()
    assert list(folder.iterdir()) == [unpacked]


def test_presets_that_are_not_complete_are_not_published(publish, tmp_path, monkeypatch):
    monkeypatch.setattr(publish, "FOLDER", tmp_path)
    for name in ("cgan_mnist", "cgan_mnist.partial", "gan_mnist"):
        shutil.copytree(SAVED_MODELS / "cgan_mnist", tmp_path / name)
    (tmp_path / "gan_mnist/README.md").unlink()
    assert publish.complete_presets() == [tmp_path / "cgan_mnist"]


def test_missing_address_raises(without_repository, monkeypatch):
    monkeypatch.delenv("TFGAN_ZOO_URL", raising=False)
    with pytest.raises(
        UserError,
        match=r"cgan_mnist is not on this machine: set TFGAN_ZOO_URL .* TFGAN_ZOO_SAVED_MODELS",
    ):
        load("cgan_mnist")


def test_wrong_checksum_raises(without_repository, monkeypatch):
    monkeypatch.setenv("TFGAN_ZOO_URL", without_repository.as_uri())
    (without_repository / "cgan_mnist.zip").write_bytes(b"something else")
    with pytest.raises(
        UserError, match=r"could not be downloaded from file:.*cgan_mnist.zip: .*hash"
    ):
        load("cgan_mnist")
    assert not list((without_repository / "keras").rglob("*.zip"))


def test_missing_archive_raises(without_repository, monkeypatch):
    monkeypatch.setenv("TFGAN_ZOO_URL", (without_repository / "nothing").as_uri())
    with pytest.raises(UserError, match="could not be downloaded from file:"):
        load("cgan_mnist")


def test_published_presets_have_no_paths_of_this_machine(publish, tmp_path, monkeypatch):
    painting = tmp_path / "secret" / "painting.png"
    painting.parent.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(painting)
    run = tmp_path / "run"
    train("fast_tiny", f"model.style={painting}", "train.epochs=1", run_dir=run)
    monkeypatch.setattr(publish, "FOLDER", tmp_path)
    folder = publish.export_preset(run)
    assert json.loads((folder / "experiment.json").read_text())["model"]["style"] == "painting.png"
    for name in ("experiment.json", "README.md"):
        assert "secret" not in (folder / name).read_text(encoding="utf-8")
    assert load(folder).stylize(np.zeros((32, 32, 3), np.uint8)).shape == (32, 32, 3)
