"""Damaged files and outputs that cannot be written: every command says so in one line."""

import json
import os
import pathlib
import shutil

import pytest
from PIL import Image

from tfgan_zoo import cli
from tfgan_zoo.checkpoints import CheckpointFolder
from tfgan_zoo.training.train import train

SHORT = ["train.epochs=1", "train.steps_per_epoch=2", "train.sample_count=4", "data.limit=64"]
STORED = {
    "task": "generate",
    "preset": "vae_tiny",
    "weights_sha256": "0" * 64,
    "step": 2,
    "settings": {"n_generated": 50},
    "warnings": [],
    "scores": {"frechet_distance": {"value": 1.5, "real_reference": 0.5, "details": None}},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Run directory of a VAE with an evaluation and an imported.json."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    train("vae_tiny", *SHORT, run_dir=folder)
    (folder / "evaluation").mkdir()
    (folder / "evaluation/scores.json").write_text(json.dumps(STORED), encoding="utf-8")
    return folder


@pytest.fixture
def run(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(finished, tmp_path / "run")


DAMAGES = {
    "list": lambda content: b"[1, 2]",
    "null": lambda content: b"null",
    "UTF-16": lambda content: content.decode("latin-1").encode("utf-16"),
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "zeros": lambda content: bytes(len(content)),
}
READERS = {  # file of the run: commands that read it
    "experiment.json": [
        "train run",
        "train run --dry-run",
        "sample run",
        "interpolate run",
        "reconstruct run",
        "evaluate run",
        "report run",
        "export run -o out",
        "export run --format tflite",
        "translate run nothing.png -o out",
        "stylize nothing.png --preset run",
    ],
    "result.json": ["report run"],
    "evaluation/scores.json": ["report run"],
    "metrics.csv": ["report run", "train run"],
    "samples/epoch_0001.png": ["report run"],
    "saved_model/saved_model.pb": ["sample run/saved_model", "reconstruct run/saved_model"],
    "saved_model/experiment.json": ["reconstruct run/saved_model", "evaluate run/saved_model"],
    "saved_model/variables/variables.index": ["sample run/saved_model"],
    "saved_model/variables/variables.data-00000-of-00001": ["sample run/saved_model"],
}


def check_failure(command, name, capsys):
    """Check that a command fails in one line that names a file."""
    try:
        code = cli.main(command.split())
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code in (1, 2), error
    if command != "train run":  # which first prints what is trained
        assert error.count("\n") == 1, error
    error = error.splitlines()[-1]
    assert error.startswith("tfgan-zoo: error: ") and name in error, error
    assert "TFGAN_ZOO_TRACEBACK" not in error and "Traceback" not in error, error
    return error


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_named(run, name, damage, capsys):
    if (name, damage) == ("metrics.csv", "empty"):
        pytest.skip("an empty metrics.csv is a run without a finished epoch")
    file = run / name
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    for command in READERS[name]:
        check_failure(command, name.split("/")[0], capsys)


@pytest.mark.parametrize("name", ["result.json", "imported.json", "evaluation/scores.json"])
def test_export_names_a_damaged_file(run, name, capsys):
    (run / name).write_text("[]")
    error = check_failure("export run -o out", name, capsys)
    assert "is damaged (it must be a JSON object, got [])" in error
    assert not (run.parent / "out").exists()


@pytest.mark.parametrize(
    "field",
    [
        {"preset": 3},
        {"kind": ["VAE"]},
        {"kind": "XYZ"},
        {"model": None},
        {"model": {"width": None}},
        {"model": {"image_size": 10**12}},
        {"data": []},
        {"train": "epochs"},
        {"train": {"seed": 10**400}},
    ],
)
def test_a_wrong_value_in_the_experiment_names_the_file(run, field, capsys):
    file = run / "experiment.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **field}))
    for command in ("train run", "sample run", "report run"):
        error = check_failure(command, "run/experiment.json: ", capsys)
        (name,), (value,) = field, field.values()
        assert (next(iter(value)) if isinstance(value, dict) else name) in error


@pytest.mark.parametrize(
    "field",
    [
        {"weights_sha256": 3},
        {"settings": []},
        {"warnings": None},
        {"scores": None},
        {"scores": {"l1": None}},
        {"scores": {"l1": {"value": "many"}}},
        {"scores": {"l1": {"value": 1.0, "baselines": 3}}},
        {"step": "last"},
    ],
)
def test_a_wrong_value_in_an_evaluation_names_the_file(run, field, capsys):
    (run / "evaluation/scores.json").write_text(json.dumps({**STORED, **field}))
    check_failure("report run", "evaluation/scores.json is damaged", capsys)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half", b"\x89HDF\r\n\x1a\n", b"x" * 100])
def test_damaged_networks_are_named(tmp_path, monkeypatch, content, run, capsys):
    for name in ("net.keras", "net.h5"):
        (tmp_path / name).write_bytes(content)
        check_failure(f"evaluate run --features {name}", name, capsys)
        check_failure(f"stylize china --style mosaic --features {name}", name, capsys)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half", b"x" * 100])
def test_damaged_checkpoints_of_pytorch_are_named(tmp_path, monkeypatch, content, capsys):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.pth").write_bytes(content)
    check_failure("import-torch net.pth --preset pix2pix_tiny -o imported", "net.pth", capsys)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device", "a.png"), "a.png cannot be used: No space left"),
        (OSError(28, "No space left on device"), "the disk is full ([Errno 28] No space left"),
        (RuntimeError("b.index; No space left on device"), "the disk is full (b.index; No space"),
        (PermissionError(13, "Permission denied", "a"), "a cannot be used: Permission denied"),
    ],
)
def test_errors_of_the_disk_are_failures_of_one_line(error, message, monkeypatch, capsys):
    def run(options):
        raise error

    monkeypatch.setitem(cli.COMMANDS, "list", (*cli.COMMANDS["list"][:-1], run))
    assert message in check_failure("list", "", capsys)
    assert cli.main(["list"]) == 1


def test_a_full_disk_during_training_says_which_epochs_are_saved(tmp_path, monkeypatch, capsys):
    save = CheckpointFolder.save

    def save_once(self, checkpoint, epoch):
        if epoch == 2:
            raise OSError(28, "No space left on device", "ckpt-2")
        save(self, checkpoint, epoch)

    monkeypatch.setattr(CheckpointFolder, "save", save_once)
    folder = tmp_path / "run"
    assert cli.main(["train", "gan_tiny", "--run-dir", str(folder)]) == 1
    error = capsys.readouterr().err
    assert f"stopped; 1 of 2 epochs are saved. To resume: tfgan-zoo train {folder}" in error
    assert error.endswith("ckpt-2 cannot be used: No space left on device\n")


@pytest.mark.slow
def test_names_that_cannot_be_used_are_named(run, capsys):
    os.symlink("loop", run.parent / "loop")
    Image.new("RGB", (64, 64)).save(run.parent / "a.png")
    long = "x" * 300
    for name in ("loop", long, f"{long}.png", "a.png/b"):
        for command in (
            f"sample {name}",
            f"sample run -o {name}/a.png",
            f"train gan_tiny --run-dir {name}",
            f"evaluate run -o {name}",
            f"report {name}",
            f"report run -o {name}/a.html",
            f"export run -o {name}/a",
            f"export {name}",
            f"data check {name}",
            f"stylize {name} --style mosaic",
            f"stylize a.png --style {name}",
            f"stylize a.png --style mosaic -o {name}/a.png",
            f"train dcgan_folder_64 data.path={name}",
            f"reconstruct run {name}",
        ):
            check_failure(command, name.split("/")[0], capsys)


def test_outputs_that_cannot_be_written_are_refused(run, capsys):
    pathlib.Path("file").write_text("precious")
    pathlib.Path("folder.png").mkdir()
    pathlib.Path("folder.html").mkdir()
    pathlib.Path("model.tflite").mkdir()
    for command, name in [
        ("sample run -o folder.png --overwrite", "folder.png"),
        ("interpolate run -o file/a.png", "file"),
        ("evaluate run -o file", "file"),
        ("evaluate run -o file/a", "file"),
        ("report run -o folder.html --overwrite", "folder.html"),
        ("export run -o file", "file"),
        ("export run -o file/a", "file"),
        ("export run --format tflite -o model.tflite --overwrite", "model.tflite"),
        ("train gan_tiny --run-dir file", "file"),
        ("train gan_tiny --run-dir file/a", "file"),
        ("train gan_tiny --run-dir /dev/null", "/dev/null"),
    ]:
        check_failure(command, name, capsys)
    assert pathlib.Path("file").read_text() == "precious"
