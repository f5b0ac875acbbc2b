"""Models on the Hugging Face Hub, with a local server that speaks the protocol of the Hub."""

import base64
import hashlib
import http.server
import json
import pathlib
import shutil
import sys
import threading
import typing

import numpy as np
import pytest
from helpers import ROOT
from PIL import Image

from tfgan_zoo import load, presets
from tfgan_zoo.cli import main
from tfgan_zoo.errors import UserError
from tfgan_zoo.saving import hugging_face
from tfgan_zoo.training.train import train

CGAN = ROOT / "saved_models" / "cgan_mnist"


class Hub(http.server.BaseHTTPRequestHandler):
    """The requests that huggingface_hub sends for one repository, me/digits."""

    files: typing.ClassVar = {}  # {name: content}
    private: typing.ClassVar = []  # [True] for a private repository
    downloads: typing.ClassVar = []  # names of the files that were requested

    def log_message(self, *arguments):
        pass

    def answer(self, content, status=200, **headers):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        self.send_response(status)
        headers = {"Content-Length": len(content), **headers}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    @property
    def commit(self):
        return hashlib.sha1(repr(sorted(self.files.items())).encode()).hexdigest()

    def do_GET(self):
        path = self.path.partition("?")[0]
        name = path.partition("/resolve/")[2].partition("/")[2]
        if name in self.files and path.startswith("/me/digits/"):
            self.downloads.append(name)
            etag = f'"{hashlib.sha1(self.files[name]).hexdigest()}"'
            self.answer(self.files[name], ETag=etag, X_Repo_Commit=self.commit)
        elif "/resolve/" in path and self.files:
            self.answer({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")
        elif path.startswith("/api/models/me/digits") and (self.files or self.private):
            names = [{"rfilename": name} for name in self.files]
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": "0"}
                for name, content in self.files.items()
            ]
            info = {"id": "me/digits", "sha": self.commit, "siblings": names}
            info["private"] = self.private == [True]
            self.answer(tree if "/tree/" in path else info)
        else:
            self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")

    do_HEAD = do_GET  # noqa: N815 (the name that the base class calls)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        url = f"http://{self.headers['Host']}/me/digits"
        if self.path == "/api/repos/create":
            if self.private:
                self.answer({"error": "exists", "url": url}, 409)
            else:
                # The old and the new field of the protocol.
                values = json.loads(body)
                self.private.append(values.get("private") or values.get("visibility") == "private")
                self.answer({"url": url})
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]
            self.answer({"files": modes})
        elif "/commit/" in self.path:
            lines = [json.loads(line) for line in body.splitlines()]
            for line in lines:
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    self.files[line["value"]["path"]] = content
                elif line["key"] == "deletedFile":
                    del self.files[line["value"]["path"]]
            self.answer({"commitUrl": f"{url}/commit/{self.commit}", "commitOid": self.commit})
        else:  # /api/validate-yaml
            self.answer({"errors": [], "warnings": []})


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Start a hub without models; return its {file name: content}."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(Hub, "files", {})
    monkeypatch.setattr(Hub, "private", [])
    monkeypatch.setattr(Hub, "downloads", [])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    yield Hub.files
    server.shutdown()
    server.server_close()


def test_a_pushed_model_is_loaded_by_its_address(server, capsys):
    assert main(["push", "cgan_mnist", "hf://me/digits"]) == 0
    assert capsys.readouterr().out.startswith("hf://me/digits (http://127.0.0.1:")
    names = {path.relative_to(CGAN).as_posix() for path in CGAN.rglob("*") if path.is_file()}
    assert server.keys() == {*names, "SHA256SUMS"}
    assert all(server[name] == (CGAN / name).read_bytes() for name in names)
    assert server["README.md"].startswith(b"---\nlicense: ")  # the front matter of the card
    images = load(pathlib.Path("hf://me/digits")).sample(2, seed=1, labels=[3, 8])
    np.testing.assert_array_equal(images, load("cgan_mnist").sample(2, seed=1, labels=[3, 8]))


def test_a_changed_file_raises_an_error(server):
    hugging_face.push(CGAN, "hf://me/digits")
    server["experiment.json"] += b" "
    with pytest.raises(UserError, match=r"experiment.json of hf://me/digits does not have the SHA"):
        hugging_face.download("hf://me/digits")
    del server["SHA256SUMS"]
    with pytest.raises(UserError, match="was not uploaded with tfgan-zoo push"):
        hugging_face.download("hf://me/digits")


def test_only_the_listed_files_are_downloaded(server):
    hugging_face.push(CGAN, "hf://me/digits")
    server["training_images.zip"] = b"large"
    server[".gitattributes"] = b""
    hugging_face.download("hf://me/digits@main")
    assert "training_images.zip" not in Hub.downloads
    assert server.keys() - {"training_images.zip", ".gitattributes"} == set(Hub.downloads)


def test_files_without_a_checksum_raise_an_error(server, tmp_path):
    hugging_face.push(CGAN, "hf://me/digits")
    sums, server["SHA256SUMS"] = server["SHA256SUMS"], b""
    with pytest.raises(UserError, match=r"hf://me/digits does not list saved_model.pb"):
        hugging_face.download("hf://me/digits")
    server["SHA256SUMS"] = sums
    folder = hugging_face.download("hf://me/digits")
    (folder / ".gitattributes").touch()  # a file of every repository
    assert hugging_face.download("hf://me/digits") == folder
    (folder / "variables/variables.data-00001-of-00002").touch()
    with pytest.raises(UserError, match=r"does not list variables/variables.data-00001.* Delete "):
        hugging_face.download("hf://me/digits")


def test_a_push_removes_the_files_of_the_model_before(server, tmp_path):
    hugging_face.push(CGAN, "hf://me/digits")
    server["LICENSE"] = b"of the owner"
    folder = tmp_path / "model"
    shutil.copytree(CGAN, folder, ignore=shutil.ignore_patterns("samples.png"))
    (folder / "notes.txt").write_text("private")
    hugging_face.push(folder, "hf://me/digits")
    assert "samples.png" not in server and "notes.txt" not in server
    assert server["LICENSE"] == b"of the owner"
    hugging_face.download("hf://me/digits")


def test_private_repositories(server):
    assert main(["push", "cgan_mnist", "hf://me/digits", "--private"]) == 0
    assert Hub.private == [True]
    assert main(["push", "cgan_mnist", "hf://me/digits", "--private"]) == 0  # private already


def test_a_private_model_is_not_uploaded_to_a_public_repository(server, capsys):
    Hub.private.append(False)
    assert main(["push", "cgan_mnist", "hf://me/digits", "--private"]) == 2
    assert "hf://me/digits exists and is public: choose another name" in capsys.readouterr().err
    assert not server


def test_a_pushed_run_has_no_paths_of_this_machine(server, tmp_path):
    for i in range(4):
        (tmp_path / "secret/photos").mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"secret/photos/{i}.png")
    data = ["data.dataset=folder", f"data.path={tmp_path / 'secret/photos'}", "data.batch_size=4"]
    short = ["train.epochs=1", "train.steps_per_epoch=1", "train.sample_count=4"]
    run = tmp_path / "run"
    train("gan_tiny", *data, *short, run_dir=run)
    assert main(["push", str(run), "hf://me/digits", "--compact"]) == 0
    assert b"data.path=photos" in server["README.md"] and b"float16" in server["README.md"]
    assert json.loads(server["experiment.json"])["data"]["path"] == "photos"
    assert not [name for name, content in server.items() if str(tmp_path).encode() in content]
    sample = load("hf://me/digits@main").sample(4, seed=1).astype(int)
    assert np.abs(sample - load(run).sample(4, seed=1)).max() <= 1


def test_training_starts_from_an_address(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    experiment = presets.experiment("cgan_mnist", "train.start=hf://me/digits")
    assert experiment.with_absolute_paths().train.start == "hf://me/digits"


def test_a_local_folder_is_pushed_before_the_preset_of_its_name(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "saved_models/gan_mnist", "cgan_mnist")
    assert main(["push", "cgan_mnist", "hf://me/digits"]) == 0
    assert json.loads(server["experiment.json"])["kind"] == "GAN"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cgan_mnist", "hf://me/digits", "--compact"], "--compact is for run directories, got"),
        (["cgan_mnits", "hf://me/digits"], "got 'cgan_mnits'. Did you mean cgan_mnist"),
        (["damaged_run", "hf://me/digits@v1"], "leave out @v1"),
    ],
)
def test_arguments_of_push_are_checked(arguments, message, server, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("damaged_run").mkdir()
    pathlib.Path("damaged_run/experiment.json").touch()
    assert main(["push", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not server


@pytest.mark.parametrize("address", ["hf://digits", "hf://me/digits@", "hf://me/../x", "hf://"])
def test_addresses_are_checked(address):
    with pytest.raises(UserError, match=r"must be hf://USER/MODEL or hf://USER/MODEL@REVISION"):
        hugging_face.parse_address(address)


def test_revisions():
    assert hugging_face.parse_address("hf://me/a.b-c@v1.0") == ("me/a.b-c", "v1.0")
    with pytest.raises(UserError, match="leave out @v1"):
        hugging_face.push(CGAN, "hf://me/digits@v1")


def test_models_that_do_not_exist_and_folders_without_a_card(server, tmp_path):
    with pytest.raises(UserError, match="hf://me/digits cannot be downloaded: ") as error:
        hugging_face.download("hf://me/digits")
    assert "\n" not in str(error.value)
    shutil.copy(CGAN / "saved_model.pb", tmp_path)
    with pytest.raises(UserError, match=r"README.md is missing"):
        hugging_face.push(tmp_path, "hf://me/digits")
    assert not server


def test_the_missing_package_is_named_with_its_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert main(["push", "cgan_mnist", "hf://me/digits"]) == 2
    assert 'pip install "tfgan_zoo[hub]"' in capsys.readouterr().err
