"""Notebooks: each matches its source, was executed without problems, and runs in its fast form."""

import ast
import configparser
import importlib.metadata
import pathlib
import re
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


def required_imports(text):
    """Return the top-level names that a Python file imports, except in `try` with ImportError."""
    tree, optional = ast.parse(text), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(
            "ImportError" in ast.unparse(handler) for handler in node.handlers
        ):
            optional |= {id(child) for part in node.body for child in ast.walk(part)}
    names = set()
    for node in ast.walk(tree):
        if id(node) not in optional and isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        if id(node) not in optional and isinstance(node, ast.ImportFrom):
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize(
    "source",
    [*SOURCES.values(), pathlib.Path(notebook.__file__)],
    ids=lambda source: source.stem,
)
def test_packages_are_installed_by_the_setup_cell(source):
    """The setup cell installs the requirements of the package, without extras."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    lines = parser["options"]["install_requires"].split("\n")
    installed = {re.match(r"[\w.-]+", line)[0].lower() for line in lines if line}
    assert {"tensorflow", "keras", "numpy"} <= installed
    distributions = importlib.metadata.packages_distributions()
    for name in required_imports(source.read_text()) - sys.stdlib_module_names:
        if name not in ("tfgan_zoo", "IPython"):  # every Jupyter kernel has IPython
            assert installed & {d.lower() for d in distributions[name]}, name


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
