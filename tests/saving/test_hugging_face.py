"""Models on the Hugging Face Hub, with a local server that speaks the protocol of the Hub."""

import base64
import hashlib
import http.server
import json
import shutil
import sys
import threading
import typing

import numpy as np
import pytest
from helpers import ROOT

from tfgan_zoo import load
from tfgan_zoo.cli import main
from tfgan_zoo.errors import UserError
from tfgan_zoo.saving import hugging_face

CGAN = ROOT / "saved_models" / "cgan_mnist"


class Hub(http.server.BaseHTTPRequestHandler):
    """The requests that huggingface_hub sends for one repository, me/digits."""

    files: typing.ClassVar = {}  # {name: content}

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
            etag = f'"{hashlib.sha1(self.files[name]).hexdigest()}"'
            self.answer(self.files[name], ETag=etag, X_Repo_Commit=self.commit)
        elif path.startswith("/api/models/me/digits") and self.files:
            names = [{"rfilename": name} for name in self.files]
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": "0"}
                for name, content in self.files.items()
            ]
            info = {"id": "me/digits", "sha": self.commit, "siblings": names, "private": False}
            self.answer(tree if "/tree/" in path else info)
        else:
            self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")

    do_HEAD = do_GET  # noqa: N815 (the name that the base class calls)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        url = f"http://{self.headers['Host']}/me/digits"
        if self.path == "/api/repos/create":
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
            self.answer({"commitUrl": f"{url}/commit/{self.commit}", "commitOid": self.commit})
        else:  # /api/validate-yaml
            self.answer({"errors": [], "warnings": []})


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Start a hub without models; return its {file name: content}."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(Hub, "files", {})
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
    images = load("hf://me/digits").sample(2, seed=1, labels=[3, 8])
    np.testing.assert_array_equal(images, load("cgan_mnist").sample(2, seed=1, labels=[3, 8]))


def test_a_changed_file_raises_an_error(server):
    hugging_face.push(CGAN, "hf://me/digits")
    server["experiment.json"] += b" "
    with pytest.raises(UserError, match=r"experiment.json of hf://me/digits does not have the SHA"):
        hugging_face.download("hf://me/digits")
    del server["SHA256SUMS"]
    with pytest.raises(UserError, match="was not uploaded with tfgan-zoo push"):
        hugging_face.download("hf://me/digits")


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
