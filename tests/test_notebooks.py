"""Notebooks: each matches its source, was executed without problems, and runs in its fast form."""

import pathlib
import sys
import types

import nbformat
import pytest
from helpers import ROOT, module_of

from tfgan_zoo.errors import UserError
from tfgan_zoo.tools import notebook

FOLDER = ROOT / "notebooks"
make = module_of(FOLDER / "make.py")
SOURCES = {source.stem: source for source in make.sources()}


def test_every_source_has_a_notebook():
    assert len(SOURCES) == 11
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_notebook_matches_its_source(name):
    """python notebooks/make.py writes the notebook of a source; --text if only text has changed."""
    source = SOURCES[name]
    assert source.read_text() == make.with_setup(source.read_text()), (
        "setup_cell.py has changed: run python notebooks/make.py"
    )
    expected, executed = make.read(source), nbformat.read(source.with_suffix(".ipynb"), 4)
    nbformat.validate(executed)
    assert [(cell.cell_type, cell.source, cell.id) for cell in executed.cells] == [
        (c.cell_type, c.source, c.id) for c in expected.cells
    ]
    assert executed.metadata == expected.metadata


@pytest.mark.parametrize("name", SOURCES)
def test_notebook_was_executed_and_shows_images(name):
    executed = nbformat.read(SOURCES[name].with_suffix(".ipynb"), 4)
    assert make.find_problems(name, executed) == []
    mime_types = {
        mime_type
        for cell in executed.cells
        for output in cell.get("outputs", ())
        for mime_type in output.get("data", {})
    }
    assert mime_types & {"image/png", "image/jpeg"}
    assert "FULL = False" in make.code(executed)[0]
    assert "DRIVE = False" in make.code(executed)[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_notebook_runs_in_fast_form(name):
    assert make.find_problems(name, make.execute(SOURCES[name], fast=True, timeout=600)) == []


def test_runs_are_on_google_drive_if_requested(monkeypatch, tmp_path):
    with pytest.raises(UserError, match="DRIVE must be False outside of Google Colab, got True"):
        notebook.set_up(drive=True)
    mounted = []
    colab = types.ModuleType("google.colab")
    colab.drive = types.SimpleNamespace(mount=mounted.append)
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    assert notebook.mount_drive() == pathlib.Path("/content/drive/MyDrive")
    assert mounted == ["/content/drive"]

    monkeypatch.setattr(notebook, "mount_drive", lambda: tmp_path)
    monkeypatch.setenv("TFGAN_ZOO_FAST", "1")
    notebook.set_up(drive=True)
    options = ["gan_tiny", "train.steps_per_epoch=2", "train.sample_count=4"]
    run = notebook.train_run("stopped", *options, "train.epochs=1")
    assert run == tmp_path / "tfgan_zoo_runs/stopped_fast"
    notebook.train_run("stopped", *options, "train.epochs=2")  # as after a disconnect
    assert (run / "samples/epoch_0002.png").is_file()
    notebook.set_up()
