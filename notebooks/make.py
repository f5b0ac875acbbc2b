"""Makes the notebooks: executes the sources NN_name.py (jupytext's percent form) into NN_name.ipynb, with what they print and draw.

    python notebooks/make.py [NAME ...]

The second cell of code, which installs and defines helpers, is the same in all: it is written in setup_cell.py and copied into the
sources first. A notebook runs in an empty folder of its own. Needs the extra dev.
"""

import argparse
import os
import pathlib
import re
import sys
import tempfile
import time

import jupytext
import nbclient
import nbformat

HERE = pathlib.Path(__file__).parent
REPOSITORY = re.search(r'^REPOSITORY = "(.*)"$', (HERE / "setup_cell.py").read_text(), re.M)[1]
SETUP = '# %% jupyter={"source_hidden": true} tags=["setup"]\n'
BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/{place})"
LARGEST = 400_000  # bytes of a notebook
FOREIGN = re.compile(r"/(?:work|tmp|opt|home|root|usr|mnt|var|Users)/")  # paths of a machine


def sources(names=()):
    """The sources, or those that the names begin with."""
    found = [
        path
        for path in sorted(HERE.glob("[0-9][0-9]_*.py"))
        if not names or path.stem.startswith(tuple(names))
    ]
    if not found:
        raise SystemExit(f"no notebook begins with {', '.join(names)}")
    return found


def badge(name):
    """The line that opens a notebook in Colab."""
    return BADGE.format(
        place=f"{REPOSITORY.removeprefix('https://github.com/')}/blob/main/notebooks/{name}.ipynb"
    )


def with_setup(text):
    """A source with the setup cell of today."""
    setup = SETUP + (HERE / "setup_cell.py").read_text().strip() + "\n\n\n"
    before, found, after = text.partition(SETUP)
    if not found:
        raise SystemExit(f"there is no cell {SETUP!r}")
    return before + setup + after[re.search(r"^# %%", after, re.M).start() :]


def read(source):
    """The notebook of a source, without outputs."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{source.stem[:2]}-{number:03}"  # always the same ones
    notebook.metadata = {
        "jupytext": {"formats": "ipynb,py:percent"},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "colab": {"provenance": []},
    }
    return nbformat.from_dict({**notebook, "nbformat": 4, "nbformat_minor": 5})


def execute(source, fast=False, timeout=3600):
    """The notebook of a source, executed in an empty folder.

    Args:
        source: a path.
        fast: whether to run the tests' form, of seconds.
        timeout: seconds that a cell may take.

    Raises:
        nbclient.exceptions.CellExecutionError: with the cell's traceback.
    """
    notebook = read(source)
    environment = {**os.environ, "TFGAN_ZOO_FAST": "1" if fast else "0", "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory() as folder:
        client = nbclient.NotebookClient(
            notebook,
            timeout=timeout,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            record_timing=False,
            coalesce_streams=True,
        )
        client.execute(env=environment)
    notebook.metadata = read(source).metadata  # the kernel has told of itself
    return notebook


def with_text(source):
    """The notebook as it is, with the text of its source.

    Raises:
        SystemExit: the code has changed, so it has to run again.
    """
    notebook, before = read(source), nbformat.read(source.with_suffix(".ipynb"), 4)
    if code(notebook) != code(before):
        raise SystemExit(f"{source.name} has other code than its notebook: it has to run again")
    outputs = [cell for cell in before.cells if cell.cell_type == "code"]
    for cell, old in zip(
        [cell for cell in notebook.cells if cell.cell_type == "code"], outputs, strict=True
    ):
        cell.outputs, cell.execution_count = old.outputs, old.execution_count
    return notebook


def code(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def complaints(name, notebook):
    """What must not be in a notebook: errors, notes on stderr, paths of a machine, cells that did not run, too much."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "error" or output.get("name") == "stderr":
                found.append(
                    f"{cell.id} has {output.get('text') or output.get('evalue')!r} as its {output.get('name', 'error')}"
                )
        if cell.cell_type == "code" and cell.execution_count is None:
            found.append(f"{cell.id} has not been run")
        if FOREIGN.search(
            str(
                [
                    output
                    for output in cell.get("outputs", ())
                    if "image/png" not in output.get("data", {})
                ]
            )
        ):
            found.append(f"{cell.id} tells of a path of the machine")
        if FOREIGN.search(cell.source.replace("/dev/", "")):
            found.append(f"{cell.id} names a path of the machine")
    if badge(name) not in notebook.cells[0].source:
        found.append(f"the first cell lacks {badge(name)}")
    if len(nbformat.writes(notebook)) > LARGEST:
        found.append(f"{len(nbformat.writes(notebook)):,} bytes are more than {LARGEST:,}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="what names of notebooks begin with (default: all)"
    )
    parser.add_argument(
        "--sources", action="store_true", help="only put setup_cell.py into the sources"
    )
    parser.add_argument(
        "--text", action="store_true", help="only take over text that has changed, run nothing"
    )
    parser.add_argument(
        "--fast", action="store_true", help="run in the tests' form, and write nothing"
    )
    options = parser.parse_args()
    wrong = False
    for source in sources(options.names):
        if not options.fast:
            source.write_text(with_setup(source.read_text()))
        if options.sources:
            continue
        begin = time.time()
        try:
            notebook = with_text(source) if options.text else execute(source, options.fast)
        except nbclient.exceptions.CellExecutionError as error:
            print(f"{source.stem}: {error}", flush=True)
            wrong = True
            continue
        found = complaints(source.stem, notebook)
        if not options.fast:
            nbformat.write(notebook, source.with_suffix(".ipynb"))
        size = len(nbformat.writes(notebook))
        print(
            f"{source.stem}: {time.time() - begin:.0f} s, {size / 1000:.0f} kB",
            *found,
            sep="\n    ",
            flush=True,
        )
        wrong = wrong or bool(found)
    sys.exit(wrong)


if __name__ == "__main__":
    main()
