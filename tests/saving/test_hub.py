"""Trained presets: those of the repository, and from an address for those who have the package alone."""

import hashlib
import shutil

import pytest
from helpers import ROOT, module_of

from tfgan_zoo.errors import UserError
from tfgan_zoo.saving import hub
from tfgan_zoo.saving.exported import load, load_experiment

SAVED_MODELS = ROOT / "saved_models"
TRAINED = sorted(path.parent.name for path in SAVED_MODELS.glob("*/saved_model.pb"))


@pytest.fixture(scope="module")
def publish():
    return module_of(SAVED_MODELS / "publish.py")


@pytest.fixture
def elsewhere(publish, tmp_path, monkeypatch):
    """As if the package had been installed without the repository: nothing at hand, an archive at an address."""
    monkeypatch.setattr(hub, "pretrained_folder", lambda name: None)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    publish.archive(SAVED_MODELS / "cgan_mnist", tmp_path / "cgan_mnist.zip")
    return tmp_path


def test_published_archives_are_those_of_this_folder(publish, tmp_path):
    found = {
        name: publish.archive(SAVED_MODELS / name, tmp_path / f"{name}.zip") for name in TRAINED
    }
    assert found == hub.checksums(), "run: python saved_models/publish.py --archives DIR"


def test_trained_presets_are_small():
    assert (
        sum(file.stat().st_size for file in SAVED_MODELS.rglob("*") if file.is_file()) < 60 * 2**20
    )


def test_archives_are_the_same_whenever_they_are_made(publish, tmp_path):
    copy = tmp_path / "cgan_mnist"
    shutil.copytree(SAVED_MODELS / "cgan_mnist", copy)  # other times, perhaps another order
    sums = [
        publish.archive(folder, tmp_path / f"{i}.zip")
        for i, folder in enumerate((SAVED_MODELS / "cgan_mnist", copy))
    ]
    assert sums[0] == sums[1] == hashlib.sha256((tmp_path / "0.zip").read_bytes()).hexdigest()


def test_a_published_preset_is_fetched_and_used(elsewhere, monkeypatch):
    monkeypatch.setenv("TFGAN_ZOO_URL", elsewhere.as_uri())
    assert load("cgan_mnist").sample(2, labels=[3, 8]).shape == (2, 28, 28, 1)
    assert load_experiment("cgan_mnist").kind == "CGAN"
    monkeypatch.delenv("TFGAN_ZOO_URL")
    assert load("cgan_mnist").path.is_relative_to(
        elsewhere / "keras"
    )  # what is at hand is not fetched again


def test_without_an_address_the_error_says_what_to_do(elsewhere, monkeypatch):
    monkeypatch.delenv("TFGAN_ZOO_URL", raising=False)
    with pytest.raises(
        UserError, match=r"cgan_mnist is not at hand: set TFGAN_ZOO_URL .* TFGAN_ZOO_SAVED_MODELS"
    ):
        load("cgan_mnist")


def test_another_archive_than_was_published_is_refused(elsewhere, monkeypatch):
    monkeypatch.setenv("TFGAN_ZOO_URL", elsewhere.as_uri())
    (elsewhere / "cgan_mnist.zip").write_bytes(b"something else")
    with pytest.raises(UserError, match=r"could not be had from file:.*cgan_mnist.zip: .*hash"):
        load("cgan_mnist")
    assert not list((elsewhere / "keras").rglob("*.zip"))


def test_an_address_without_the_archive_is_a_clear_error(elsewhere, monkeypatch):
    monkeypatch.setenv("TFGAN_ZOO_URL", (elsewhere / "nothing").as_uri())
    with pytest.raises(UserError, match="could not be had from file:"):
        load("cgan_mnist")
