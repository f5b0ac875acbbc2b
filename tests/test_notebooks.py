"""The notebooks: each is what its source says, has run without a complaint, and runs again from scratch in its fast form."""

import nbformat
import pytest
from helpers import ROOT, module_of

FOLDER = ROOT / "notebooks"
make = module_of(FOLDER / "make.py")
SOURCES = {source.stem: source for source in make.sources()}


def test_there_is_a_notebook_for_every_source_and_no_other():
    assert len(SOURCES) == 11
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_a_notebook_is_what_its_source_says(name):
    """Nobody edits one alone: python notebooks/make.py (--text for text alone) makes the notebook of the source."""
    source = SOURCES[name]
    assert source.read_text() == make.with_setup(source.read_text()), (
        "setup_cell.py has changed: python notebooks/make.py"
    )
    wanted, found = make.read(source), nbformat.read(source.with_suffix(".ipynb"), 4)
    nbformat.validate(found)
    assert [(cell.cell_type, cell.source, cell.id) for cell in found.cells] == [
        (c.cell_type, c.source, c.id) for c in wanted.cells
    ]
    assert found.metadata == wanted.metadata


@pytest.mark.parametrize("name", SOURCES)
def test_a_notebook_has_run_and_shows_pictures(name):
    notebook = nbformat.read(SOURCES[name].with_suffix(".ipynb"), 4)
    assert make.complaints(name, notebook) == []
    kinds = {
        kind
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        for kind in output.get("data", {})
    }
    assert kinds & {"image/png", "image/jpeg"}
    assert "FULL = False" in make.code(notebook)[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_a_notebook_runs_from_scratch(name):
    assert make.complaints(name, make.execute(SOURCES[name], fast=True, timeout=600)) == []
