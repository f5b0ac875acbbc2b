"""Build the notebooks: execute the sources NN_name.py and write NN_name.ipynb with all outputs.

    python notebooks/make.py [NAME ...]

The sources have the percent format of jupytext. The setup cell is the same in all notebooks: it is
written in setup_cell.py and copied into the sources first. A notebook runs in an empty folder of
its own. Needs the extra dev.
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
COLAB = "https://colab.research.google.com"
BADGE = f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({COLAB}/github/{{path}})"
MAX_BYTES = 500_000  # of a notebook
LOCAL_PATH = re.compile(r"/(?:work|tmp|opt|home|root|usr|mnt|var|Users)/")


def sources(names=()):
    """Return the paths of the sources whose names start with one of `names`, default all."""
    paths = [
        path
        for path in sorted(HERE.glob("[0-9][0-9]_*.py"))
        if not names or path.stem.startswith(tuple(names))
    ]
    if not paths:
        raise SystemExit(f"no notebook starts with {', '.join(names)}")
    return paths


def badge(name):
    """Return the Markdown link that opens a notebook in Colab."""
    repository = REPOSITORY.removeprefix("https://github.com/")
    return BADGE.format(path=f"{repository}/blob/main/notebooks/{name}.ipynb")


def with_setup(text):
    """Return the text of a source with the current setup cell."""
    setup = SETUP + (HERE / "setup_cell.py").read_text().strip() + "\n\n\n"
    before, separator, after = text.partition(SETUP)
    if not separator:
        raise SystemExit(f"the source must have a cell {SETUP!r}")
    return before + setup + after[re.search(r"^# %%", after, re.M).start() :]


def read(source):
    """Return the notebook of a source, without outputs."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{source.stem[:2]}-{number:03}"  # reproducible ids
    notebook.metadata = {
        "jupytext": {"formats": "ipynb,py:percent"},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "colab": {"provenance": []},
    }
    return nbformat.from_dict({**notebook, "nbformat": 4, "nbformat_minor": 5})


def execute(source, fast=False, timeout=3600):
    """Return the notebook of a source, executed in an empty folder.

    Args:
        source: path of a source.
        fast: whether trainings take a few steps only, as in the tests.
        timeout: largest duration of a cell in seconds.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed; the message has its traceback.
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
    notebook.metadata = read(source).metadata  # without what the kernel added
    return notebook


def with_text(source):
    """Return the existing notebook with the current text of its source.

    Raises:
        SystemExit: the code has changed, so that the notebook must be executed.
    """
    notebook, before = read(source), nbformat.read(source.with_suffix(".ipynb"), 4)
    if code(notebook) != code(before):
        raise SystemExit(f"the code of {source.name} has changed: execute it without --text")
    outputs = [cell for cell in before.cells if cell.cell_type == "code"]
    for cell, old in zip(
        [cell for cell in notebook.cells if cell.cell_type == "code"], outputs, strict=True
    ):
        cell.outputs, cell.execution_count = old.outputs, old.execution_count
    return notebook


def code(notebook):
    """Return the sources of the code cells."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def find_problems(name, notebook):
    """Return the problems of an executed notebook: errors, stderr, local paths, size."""
    problems = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "error" or output.get("name") == "stderr":
                problems.append(
                    f"{cell.id}: {output.get('name', 'error')} output "
                    f"{output.get('text') or output.get('evalue')!r}"
                )
        if cell.cell_type == "code" and cell.execution_count is None:
            problems.append(f"{cell.id} was not executed")
        outputs = [
            output
            for output in cell.get("outputs", ())
            # Base64 text may contain anything.
            if not {"image/png", "image/jpeg"} & output.get("data", {}).keys()
        ]
        if LOCAL_PATH.search(str(outputs)):
            problems.append(f"{cell.id} shows a path of this machine")
        if LOCAL_PATH.search(cell.source.replace("/dev/", "")):
            problems.append(f"{cell.id} has a path of this machine")
    if badge(name) not in notebook.cells[0].source:
        problems.append(f"the first cell must have {badge(name)}")
    if len(nbformat.writes(notebook)) > MAX_BYTES:
        problems.append(f"{len(nbformat.writes(notebook)):,} bytes, the limit is {MAX_BYTES:,}")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="start of the name of a notebook (default: all)"
    )
    parser.add_argument(
        "--sources", action="store_true", help="only copy setup_cell.py into the sources"
    )
    parser.add_argument(
        "--text", action="store_true", help="only update changed text, execute nothing"
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        help="execute a few steps only, as in the tests, and write nothing",
    )
    options = parser.parse_args()
    failed = False
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
            failed = True
            continue
        problems = find_problems(source.stem, notebook)
        if not options.fast:
            nbformat.write(notebook, source.with_suffix(".ipynb"))
        size = len(nbformat.writes(notebook))
        print(
            f"{source.stem}: {time.time() - begin:.0f} s, {size / 1000:.0f} kB",
            *problems,
            sep="\n    ",
            flush=True,
        )
        failed = failed or bool(problems)
    sys.exit(failed)


if __name__ == "__main__":
    main()
