"""Notebooks: each matches its source, was executed without problems, and runs in its fast form."""

import nbformat
import pytest
from helpers import ROOT, module_of

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
    expected, notebook = make.read(source), nbformat.read(source.with_suffix(".ipynb"), 4)
    nbformat.validate(notebook)
    assert [(cell.cell_type, cell.source, cell.id) for cell in notebook.cells] == [
        (c.cell_type, c.source, c.id) for c in expected.cells
    ]
    assert notebook.metadata == expected.metadata


@pytest.mark.parametrize("name", SOURCES)
def test_notebook_was_executed_and_shows_images(name):
    notebook = nbformat.read(SOURCES[name].with_suffix(".ipynb"), 4)
    assert make.find_problems(name, notebook) == []
    types = {
        mime_type
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        for mime_type in output.get("data", {})
    }
    assert types & {"image/png", "image/jpeg"}
    assert "FULL = False" in make.code(notebook)[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_notebook_runs_in_fast_form(name):
    assert make.find_problems(name, make.execute(SOURCES[name], fast=True, timeout=600)) == []
