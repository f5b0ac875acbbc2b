"""Trained presets for those who installed the package without its repository: downloaded once, and checked.

`published.json` has the SHA-256 of every preset's archive; `saved_models/publish.py` writes it. The address of the folder with the archives
is the user's to give, in the environment variable TFGAN_ZOO_URL (https:// or file://).
"""

import contextlib
import json
import os
import pathlib
import sys

from tfgan_zoo import presets
from tfgan_zoo.config import UserError, first_line

INDEX = pathlib.Path(__file__).parent / "published.json"


def checksums():
    """{preset: SHA-256 of its archive <preset>.zip}."""
    return json.loads(INDEX.read_text())


def folder(name):
    """The folder of a trained preset's SavedModel: one that is there, else a published one, else None; see `fetch`."""
    return presets.trained(name) or (fetch(name) if name in checksums() else None)


def fetch(name):
    """The folder of a published preset's SavedModel, downloaded into Keras' cache unless it is there already.

    Args:
        name: one of `checksums`.

    Raises:
        UserError: no address is given, nothing can be had there, or something else than was published.
    """
    import keras

    address, sha256 = os.environ.get("TFGAN_ZOO_URL"), checksums()[name]
    if not address:
        raise UserError(
            f"the trained preset {name} is not at hand: set TFGAN_ZOO_URL to the address of a folder with {name}.zip, "
            f"TFGAN_ZOO_SAVED_MODELS to a folder with {name}, or train it with: tfgan-zoo train {name}"
        )
    source = f"{address.rstrip('/')}/{name}.zip"
    file = f"{name}-{sha256[:12]}.zip"  # another version, another file
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras says there that it downloads
            unpacked = keras.utils.get_file(file, source, file_hash=sha256, hash_algorithm="sha256", cache_subdir="tfgan_zoo", extract=True)
    except Exception as error:  # whatever the network, the host or the disk did
        raise UserError(f"the trained preset {name} could not be had from {source}: {first_line(error)}") from error
    return pathlib.Path(unpacked) / name
