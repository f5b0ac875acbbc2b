"""Find pretrained presets, or download them once and verify their checksum.

`published.json` has the SHA-256 of every preset's archive; `saved_models/publish.py` writes it.
The environment variable TFGAN_ZOO_URL is the address (https:// or file://) of the folder with the
archives. TFGAN_ZOO_SAVED_MODELS is a local folder with unpacked presets.
"""

import contextlib
import json
import os
import pathlib
import shutil
import sys

from tfgan_zoo.errors import UserError, first_line
from tfgan_zoo.files import atomic_folder
from tfgan_zoo.presets import PRESETS
from tfgan_zoo.saving import hugging_face

CHECKSUM_FILE = pathlib.Path(__file__).parent / "published.json"
CHECKOUT_FOLDER = pathlib.Path(__file__).parent.parent.parent / "saved_models"


def pretrained_folder(name):
    """Return the folder of a preset's SavedModel on this machine, or None.

    The folders searched are $TFGAN_ZOO_SAVED_MODELS, ./saved_models and the repository's.
    """
    for parent in (os.environ.get("TFGAN_ZOO_SAVED_MODELS"), "saved_models", CHECKOUT_FOLDER):
        if not parent or name not in PRESETS:
            continue
        folder = pathlib.Path(parent) / name
        if (folder / "saved_model.pb").is_file():
            return folder
    return None


def checksums():
    """Return {preset: SHA-256 of its archive PRESET.zip}."""
    return json.loads(CHECKSUM_FILE.read_text(encoding="utf-8"))


def find_or_download(name):
    """Return the folder of a SavedModel; download it if needed.

    Args:
        name: a preset, or an address of the Hugging Face Hub such as hf://user/model.

    Returns:
        The folder, or None for a preset that is not published, and for other names.

    Raises:
        UserError: as `download` or `hugging_face.download`.
    """
    if hugging_face.is_address(name):
        return hugging_face.download(name)
    folder = pretrained_folder(name)
    if folder is None and name in checksums():
        folder = download(name)
    return folder


def download(name):
    """Download a published preset into Keras' cache, unless it is there already.

    Args:
        name: One of `checksums`.

    Returns:
        The folder of its SavedModel.

    Raises:
        UserError: TFGAN_ZOO_URL is not set, the download failed, or the checksum is wrong.
    """
    sha256 = checksums()[name]
    home = pathlib.Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    unpacked = home / "tfgan_zoo" / f"{name}-{sha256[:12]}"  # one folder for each version
    if unpacked.is_dir():
        return unpacked / name
    address = os.environ.get("TFGAN_ZOO_URL")
    if not address:
        raise UserError(
            f"the pretrained preset {name} is not on this machine: set TFGAN_ZOO_URL to the "
            f"address of a folder with {name}.zip, set TFGAN_ZOO_SAVED_MODELS to a folder with "
            f"{name}, or train it with: tfgan-zoo train {name}"
        )
    import keras  # slow to import

    source = f"{address.rstrip('/')}/{name}.zip"
    try:
        # Keras prints its progress to stdout, which belongs to the command's result.
        to_stderr = contextlib.redirect_stdout(sys.stderr)
        with to_stderr, atomic_folder(unpacked) as partial:
            archive = keras.utils.get_file(
                "archive.zip",
                source,
                file_hash=sha256,
                hash_algorithm="sha256",
                cache_dir=partial,
                cache_subdir=".",
            )
            shutil.unpack_archive(archive, partial)
            os.remove(archive)
    except Exception as error:  # network, host and disk raise errors of many types
        if unpacked.is_dir():  # another process has downloaded it in the meantime
            return unpacked / name
        raise UserError(
            f"the pretrained preset {name} could not be downloaded from {source}: "
            f"{first_line(error)}"
        ) from error
    return unpacked / name
