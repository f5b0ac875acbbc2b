"""Load models from the Hugging Face Hub, and upload them.

An address is hf://USER/MODEL, or hf://USER/MODEL@REVISION for a branch, tag or commit. The
repository has the files of an exported SavedModel, and SHA256SUMS, which is checked after every
download. The extra hub (the package huggingface_hub) does the transfer. It reads the token of
`hf auth login` or HF_TOKEN, and the address of another server from HF_ENDPOINT.
"""

import fnmatch
import hashlib
import json
import os
import pathlib
import re

from tfgan_zoo.errors import UserError, first_line

SUMS = "SHA256SUMS"  # the format of the command sha256sum
MODEL_FILES = (  # the files of an exported SavedModel; no others are uploaded
    "saved_model.pb",
    "fingerprint.pb",
    "variables/*",
    "assets/*",
    "experiment.json",
    "README.md",
    "samples.png",
)
# A pathlib.Path of an address has one slash: hf:/USER/MODEL.
ADDRESS = re.compile(r"hf://?(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")


def is_address(source):
    """Return True if a source is an address of the Hub."""
    return str(source).startswith("hf:/")


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


def parse_upload_address(address):
    """Return the repository of an address without a revision.

    Raises:
        UserError: the address is not of the form hf://USER/MODEL.
    """
    repository, revision = parse_address(address)
    if revision:
        raise UserError(f"push uploads to the main branch: leave out @{revision}, got {address}.")
    return repository


def load_library():
    """Import and return huggingface_hub.

    Raises:
        UserError: it is not installed.
    """
    try:
        import huggingface_hub.errors
    except ImportError as error:
        raise UserError(
            f'hf:// needs the extra hub: pip install "tfgan_zoo[hub]" ({error}).'
        ) from None
    return huggingface_hub


def download(address):
    """Download a model into the cache of huggingface_hub, unless it is there already.

    Only the files that SHA256SUMS lists are downloaded.

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
    options = {"revision": revision, "endpoint": os.environ.get("HF_ENDPOINT")}
    try:
        sums = read_sums(library.hf_hub_download(repository, SUMS, **options), address)
        names = [SUMS, *sums]
        folder = library.snapshot_download(repository, allow_patterns=names, **options)
    except UserError:
        raise
    except library.errors.RemoteEntryNotFoundError:
        raise UserError(
            f"{address} has no {SUMS}, so it was not uploaded with tfgan-zoo push. Download its "
            "files and load the folder, if you trust them."
        ) from None
    except Exception as error:  # network, host and disk raise errors of many types
        raise UserError(f"{address} cannot be downloaded: {describe(error)}") from error
    check_sums(pathlib.Path(folder), address)
    return pathlib.Path(folder)


def describe(error):
    """Return the type and the first line of an error, whose type often says more."""
    return f"{type(error).__name__}: {first_line(error)}"


def files_of(folder):
    """Return {name: path} of all files in a folder, without SHA256SUMS."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    return {name: path for name, path in files.items() if path.is_file() and name != SUMS}


def is_model_file(name):
    """Return True if a file of this name can be part of an exported SavedModel."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in MODEL_FILES)


def contents_to_upload(folder):
    """Return {name: bytes} of the files of an exported SavedModel with a model card.

    In experiment.json and in the model card, absolute paths of this machine are replaced by their
    last component.
    """
    contents = {
        name: path.read_bytes() for name, path in files_of(folder).items() if is_model_file(name)
    }
    if "experiment.json" in contents:
        values = json.loads(contents["experiment.json"])
        paths = {}  # {path: last component}
        for section in ("model", "data", "train"):
            for field, value in values.get(section, {}).items():
                if isinstance(value, str) and os.path.isabs(value):
                    paths[value] = values[section][field] = pathlib.Path(value).name
        if paths:
            contents["experiment.json"] = json.dumps(values, indent=2).encode()
        for path in sorted(paths, key=len, reverse=True):  # a path before its parents
            card = contents["README.md"].replace(path.encode(), paths[path].encode())
            contents["README.md"] = card
    return contents


def sums_of(contents):
    """Return the text of SHA256SUMS for files {name: bytes}."""
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    return "".join(f"{sha256}  {name}\n" for name, sha256 in sums.items())


def read_sums(path, address):
    """Read SHA256SUMS: {name: SHA-256}.

    Raises:
        UserError: it does not list saved_model.pb.
    """
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    sums = {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}
    if "saved_model.pb" not in sums:
        raise UserError(f"{SUMS} of {address} does not list saved_model.pb, so it is not a model.")
    return sums


def check_sums(folder, address):
    """Check that a folder has the files that its SHA256SUMS lists, and no others.

    Raises:
        UserError: SHA256SUMS does not list a file, or a file is missing or different.
    """
    sums = read_sums(folder / SUMS, address)
    advice = f"Delete {folder} and load it again."
    unlisted = files_of(folder).keys() - sums.keys() - {".gitattributes"}
    if unlisted:
        raise UserError(f"{SUMS} of {address} does not list {min(unlisted)}. {advice}")
    for name, sha256 in sums.items():
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise UserError(
                f"{name} of {address} does not have the SHA-256 that {SUMS} states. {advice}"
            )


def push(folder, address, private: bool = False):
    """Upload the folder of an exported SavedModel with its model card, in one commit.

    Files of an earlier model that this one does not have are deleted from the repository. Absolute
    paths in experiment.json and in the card are shortened to their last component.

    Args:
        folder: folder of the SavedModel.
        address: hf://USER/MODEL. The repository is created if it does not exist.
        private: whether the repository must be private.

    Returns:
        The web address of the commit.

    Raises:
        UserError: the extra is not installed, the address has a revision, `folder` is not a
            SavedModel with a model card, the repository exists and is public although `private` is
            True, or the upload failed.
    """
    repository = parse_upload_address(address)
    folder = pathlib.Path(folder)
    for name in ("saved_model.pb", "README.md"):
        if not (folder / name).is_file():
            raise UserError(f"{folder} needs a SavedModel and its model card, {name} is missing.")
    contents = contents_to_upload(folder)
    contents[SUMS] = sums_of(contents).encode()
    library = load_library()
    api = library.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        info = api.repo_info(repository)
        if private and not info.private:
            raise UserError(
                f"{address} exists and is public: choose another name, or leave out --private."
            )
        old = [file.rfilename for file in info.siblings]
        commit = api.create_commit(
            repository,
            [
                *(library.CommitOperationAdd(*item) for item in contents.items()),
                *(
                    library.CommitOperationDelete(name)
                    for name in old
                    if is_model_file(name) and name not in contents
                ),
            ],
            commit_message="Upload a model of tfgan_zoo",
        )
    except UserError:
        raise
    except Exception as error:  # network, host and permissions raise errors of many types
        raise UserError(f"{address} cannot be written: {describe(error)}") from error
    return commit.commit_url
