"""Load models from the Hugging Face Hub, and upload them.

An address is hf://USER/MODEL, or hf://USER/MODEL@REVISION for a branch, tag or commit. The
repository has the files of an exported SavedModel, and SHA256SUMS, which is checked after every
download. The extra hub (the package huggingface_hub) does the transfer. It reads the token of
`hf auth login` or HF_TOKEN, and the address of another server from HF_ENDPOINT.
"""

import hashlib
import os
import pathlib
import re

from tfgan_zoo.errors import UserError, first_line

PREFIX = "hf://"
SUMS = "SHA256SUMS"  # the format of the command sha256sum
ADDRESS = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")


def is_address(source):
    """Return True if a source is an address of the Hub."""
    return str(source).startswith(PREFIX)


def parse_address(address):
    """Return (repository, revision) of an address; the revision is None for the latest.

    Raises:
        UserError: the address is not of the form hf://USER/MODEL@REVISION.
    """
    match = ADDRESS.fullmatch(str(address))
    if not match:
        raise UserError(
            f"an address must be hf://USER/MODEL or hf://USER/MODEL@REVISION, got {address}."
        )
    return match["repo"], match["revision"]


def load_library():
    """Import and return huggingface_hub.

    Raises:
        UserError: it is not installed.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError(
            f'hf:// needs the extra hub: pip install "tfgan_zoo[hub]" ({error}).'
        ) from None
    return huggingface_hub


def download(address):
    """Download a model into the cache of huggingface_hub, unless it is there already.

    Args:
        address: see the top of this file.

    Returns:
        The folder of the SavedModel.

    Raises:
        UserError: the extra is not installed, the download failed, the repository has no
            SHA256SUMS, or a file does not have the SHA-256 in it.
    """
    repository, revision = parse_address(address)
    library = load_library()
    try:
        folder = library.snapshot_download(
            repository, revision=revision, endpoint=os.environ.get("HF_ENDPOINT")
        )
    except Exception as error:  # network, host and disk raise errors of many types
        raise UserError(f"{address} cannot be downloaded: {describe(error)}") from error
    check_sums(pathlib.Path(folder), address)
    return pathlib.Path(folder)


def describe(error):
    """Return the type and the first line of an error, whose type often says more."""
    return f"{type(error).__name__}: {first_line(error)}"


def files_of(folder):
    """Return {name: path} of the files of an exported SavedModel, without SHA256SUMS."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    return {name: path for name, path in files.items() if path.is_file() and name != SUMS}


def sums_of(files):
    """Return the text of SHA256SUMS for files {name: path}."""
    sums = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    return "".join(f"{sha256}  {name}\n" for name, sha256 in sums.items())


def check_sums(folder, address):
    """Check that the files that SHA256SUMS of a folder lists have their SHA-256.

    Raises:
        UserError: SHA256SUMS is missing, or a file is missing or different.
    """
    if not (folder / SUMS).is_file():
        raise UserError(
            f"{address} has no {SUMS}, so it was not uploaded with tfgan-zoo push. Download its "
            "files and load the folder, if you trust them."
        )
    for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
        sha256, _, name = line.partition("  ")
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise UserError(
                f"{name} of {address} does not have the SHA-256 that {SUMS} states. Delete "
                f"{folder} and load it again."
            )


def push(folder, address, private: bool = False):
    """Upload the folder of an exported SavedModel with its model card, in one commit.

    Args:
        folder: folder of the SavedModel.
        address: hf://USER/MODEL. The repository is created if it does not exist.
        private: whether a new repository is private.

    Returns:
        The web address of the commit.

    Raises:
        UserError: the extra is not installed, the address has a revision, `folder` is not a
            SavedModel with a model card, or the upload failed.
    """
    repository, revision = parse_address(address)
    if revision:
        raise UserError(f"push uploads to the main branch: leave out @{revision}, got {address}.")
    folder = pathlib.Path(folder)
    files = files_of(folder)
    missing = [name for name in ("saved_model.pb", "README.md") if name not in files]
    if missing:
        raise UserError(f"{folder} needs a SavedModel and its model card, {missing[0]} is missing.")
    library = load_library()
    operations = [
        library.CommitOperationAdd(name, content)
        for name, content in {**files, SUMS: sums_of(files).encode()}.items()
    ]
    api = library.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        commit = api.create_commit(
            repository, operations, commit_message="Upload a model of tfgan_zoo"
        )
    except Exception as error:  # network, host and permissions raise errors of many types
        raise UserError(f"{address} cannot be written: {describe(error)}") from error
    return commit.commit_url
