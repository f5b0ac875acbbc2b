"""Write a Hugging Face Space that serves the demo of trained models.

A Space is a repository whose program Hugging Face runs. This one has README.md with the settings of
the Space, app.py, requirements.txt, and the SavedModels in the folder models.
"""

import importlib.metadata
import pathlib
import tempfile

from tfgan_zoo import presets
from tfgan_zoo.errors import UserError, join_names
from tfgan_zoo.files import atomic_folder, atomic_write, write_text
from tfgan_zoo.runs import SAVED_MODEL
from tfgan_zoo.saving import hub, hugging_face
from tfgan_zoo.saving.exported import load
from tfgan_zoo.saving.saved_model import saved_model_folder
from tfgan_zoo.tools import demo

MODELS = "models"
PYTHON_VERSION = "3.12"
README = """---
title: tfgan_zoo
emoji: 🎨
colorFrom: indigo
colorTo: gray
sdk: gradio
sdk_version: {gradio}
python_version: "{python}"
app_file: app.py
license: mit
short_description: Classic image-generating networks
---

Demo of {names}, trained with [tfgan_zoo]({repository}).
The model cards are in the folder `{models}`. Written by `tfgan-zoo demo --export-space`.
"""
APP = '''"""Demo of models trained with tfgan_zoo."""

import os
import pathlib

from tfgan_zoo.tools import demo

NAMES = {names}

os.chdir(pathlib.Path(__file__).resolve().parent / "{models}")  # the names are its folders

if __name__ == "__main__":
    port = int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
    page, _ = demo.serve(NAMES, host="0.0.0.0", port=port, only_runs=True)
    page.block_thread()
'''


def model_name(source):
    """Return the name of a model of a Space: of its folder, or of the run that has it."""
    path = pathlib.Path(source).resolve()
    folder = path.parent if path.name == SAVED_MODEL else path
    return folder.name.partition("@")[0]


def write_space(folder, sources=()):
    """Write the files of a Space.

    Args:
        folder: Folder to write, a new or an empty one.
        sources: Run directories, SavedModels, pretrained presets or addresses of the Hub. Defaults
            to the pretrained presets on this machine. Runs are exported with float16 weights.

    Returns:
        The list of the names of the models.

    Raises:
        UserError: The folder is not empty, a source is not a model, two have the same name, or
            Gradio is not installed.
    """
    folder = pathlib.Path(folder)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UserError(f"a Space is written to a new or an empty folder, got {folder}.")
    try:
        gradio_version = importlib.metadata.version("gradio")
    except importlib.metadata.PackageNotFoundError as error:
        raise UserError(
            f'a Space needs the extra demo: pip install "tfgan_zoo[demo]" ({error}).'
        ) from None
    sources = list(map(str, sources)) or [
        name for name in presets.PRESETS if hub.pretrained_folder(name)
    ]
    names = list(map(model_name, sources))
    for name in names:
        if names.count(name) > 1:
            raise UserError(
                f"models of a Space need different names, got {name!r} twice. Rename a folder."
            )
    if not names:
        raise UserError("no pretrained preset is on this machine: name a run or a SavedModel.")

    with atomic_folder(folder) as space:
        for source, name in zip(sources, names, strict=True):
            with tempfile.TemporaryDirectory() as temporary:
                model = saved_model_folder(source, temporary, compact=True)
                if not (model / "README.md").is_file():
                    raise UserError(f"{source} needs its model card, README.md is missing.")
                demo.check_channels(source, load(model))
                for file, content in hugging_face.contents_to_upload(model).items():
                    path = space / MODELS / name / file
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with atomic_write(path) as partial:
                        partial.write_bytes(content)
        values = {"models": MODELS, "repository": demo.REPOSITORY, "names": join_names(names)}
        readme = README.format(gradio=gradio_version, python=PYTHON_VERSION, **values)
        write_text(space / "README.md", readme.rstrip("\n"))
        write_text(space / "app.py", APP.format(names=names, models=MODELS).rstrip("\n"))
        write_text(space / "requirements.txt", f"tfgan_zoo[demo] @ git+{demo.REPOSITORY}")
    return names
