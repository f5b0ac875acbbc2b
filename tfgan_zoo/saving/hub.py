"""Trained presets for those who installed the package without its repository: downloaded once, and checked.

`published.json` has the SHA-256 of every preset's archive; `saved_models/publish.py` writes it. The address of the folder with the archives
is the user's to give, in the environment variable TFGAN_ZOO_URL (https:// or file://).
"""

import contextlib
import json
import os
import pathlib
import shutil
import sys
import tempfile

from tfgan_zoo.errors import UserError, first_line
from tfgan_zoo.presets import PRESETS


def pretrained_folder(name):
    """The folder of a trained preset's SavedModel, or None: looked for in $TFGAN_ZOO_SAVED_MODELS, ./saved_models and the checkout."""
    checkout = pathlib.Path(__file__).parent.parent.parent / "saved_models"
    for place in (os.environ.get("TFGAN_ZOO_SAVED_MODELS"), "saved_models", checkout):
        if place and name in PRESETS and (pathlib.Path(place) / name / "saved_model.pb").is_file():
            return pathlib.Path(place) / name
    return None


CHECKSUM_FILE = pathlib.Path(__file__).parent / "published.json"


def checksums():
    """{preset: SHA-256 of its archive <preset>.zip}."""
    return json.loads(CHECKSUM_FILE.read_text())


def find_or_download(name):
    """The folder of a trained preset's SavedModel: one that is there, else a published one, else None; see `fetch`."""
    return pretrained_folder(name) or (download(name) if name in checksums() else None)


def download(name):
    """The folder of a published preset's SavedModel, downloaded into Keras' cache unless it is there already.

    Args:
        name: one of `checksums`.

    Raises:
        UserError: no address is given, nothing can be had there, or something else than was published.
    """
    sha256 = checksums()[name]
    home = pathlib.Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    unpacked = home / "tfgan_zoo" / f"{name}-{sha256[:12]}"  # another version, another folder
    if unpacked.is_dir():
        return unpacked / name
    address = os.environ.get("TFGAN_ZOO_URL")
    if not address:
        raise UserError(
            f"the trained preset {name} is not at hand: set TFGAN_ZOO_URL to the address of a folder with {name}.zip, "
            f"TFGAN_ZOO_SAVED_MODELS to a folder with {name}, or train it with: tfgan-zoo train {name}"
        )
    import keras  # slow to import

    source = f"{address.rstrip('/')}/{name}.zip"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with (
            contextlib.redirect_stdout(sys.stderr),
            tempfile.TemporaryDirectory(dir=home) as partial,
        ):  # Keras says there that it downloads
            archive = keras.utils.get_file(
                "archive.zip",
                source,
                file_hash=sha256,
                hash_algorithm="sha256",
                cache_dir=partial,
                cache_subdir=".",
            )
            shutil.unpack_archive(archive, f"{partial}/unpacked")
            unpacked.parent.mkdir(exist_ok=True)
            os.rename(f"{partial}/unpacked", unpacked)  # whole or not at all
    except Exception as error:  # whatever the network, the host or the disk did
        raise UserError(
            f"the trained preset {name} could not be had from {source}: {first_line(error)}"
        ) from error
    return unpacked / name
