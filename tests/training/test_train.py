"""Test runs: their files, resuming, and stopping."""

import csv
import dataclasses
import json
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import run_cli
from PIL import Image

from tfgan_zoo import presets
from tfgan_zoo.config import DataConfig
from tfgan_zoo.data import datasets
from tfgan_zoo.errors import UserError
from tfgan_zoo.runs import read_experiment
from tfgan_zoo.saving.exported import load
from tfgan_zoo.training import callbacks
from tfgan_zoo.training.callbacks import UnhealthyError
from tfgan_zoo.training.prepare import prepare
from tfgan_zoo.training.train import overfitting_callbacks, train

SHORT = ["train.epochs=3", "train.steps_per_epoch=4", "data.limit=128", "train.sample_count=9"]


def test_files_of_a_run(tmp_path, capsys):
    run = tmp_path / "run"
    result = train("dcgan_tiny", *SHORT, run_dir=run)
    assert read_experiment(run) == presets.experiment("dcgan_tiny", *SHORT)
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "4"), ("2", "8"), ("3", "12")]
    assert {
        "generator",
        "discriminator",
        "real_logits",
        "fake_logits",
        "seconds",
        "images_per_second",
    } < rows[0].keys()
    assert [path.name for path in sorted((run / "samples").iterdir())] == [
        f"epoch_000{i}.png" for i in (1, 2, 3)
    ]
    with Image.open(run / "samples.gif") as animation:
        assert animation.n_frames == 3
    assert (run / "losses.png").stat().st_size > 5000
    model = load(run)
    assert (
        model.weights_sha256()
        == result["weights_sha256"]
        == json.loads((run / "result.json").read_text())["weights_sha256"]
    )
    exported = load(run / "saved_model")
    assert np.abs(exported.sample(4, seed=3).astype(int) - model.sample(4, seed=3)).max() <= 1
    card = (run / "saved_model" / "README.md").read_text()
    assert "`tfgan-zoo train dcgan_tiny data.limit=128 train.epochs=3 train.sample_count=9`" in card
    assert result["weights_sha256"] in card
    assert "epoch 3/3" in capsys.readouterr().err


def test_files_of_a_translation_run(tmp_path):
    run = tmp_path / "run"
    result = train("pix2pix_tiny", "train.evaluate_every=1", "train.best=l1", run_dir=run)
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert {"generator", "discriminator", "adversarial", "l1", "eval_l1"} < rows[0].keys()
    best = min((float(row["eval_l1"]), int(row["epoch"])) for row in rows)[1]
    assert result["best_epoch"] == best
    assert int(load(run / "best").step) == 4 * best
    with Image.open(run / "samples/epoch_0002.png") as grid:
        assert grid.size == (4 * 66 + 2, 3 * 66 + 2)  # input, output and target of 4 held-out pairs
    model, exported = load(run), load(run / "saved_model")
    image = np.random.default_rng(0).integers(0, 256, (50, 33, 3), np.uint8)
    assert np.abs(exported.translate(image).astype(int) - model.translate(image)).max() <= 1
    assert (run / "saved_model/samples.png").read_bytes() == (
        run / "samples/epoch_0002.png"
    ).read_bytes()
    card = (run / "saved_model" / "README.md").read_text()
    assert (
        "Pix2Pix, 64x64, 3 to 3 channels" in card
        and "translate_xy" in card
        and "MIT (drawn by tfgan_zoo)" in card
    )


@pytest.mark.usefixtures("checkpoints_only")
def test_samples_use_the_same_noise_in_every_epoch(tmp_path):
    train(
        "dcgan_tiny",
        *SHORT,
        "model.learning_rate=0",
        "model.ema_decay=0.5",
        run_dir=tmp_path / "run",
    )
    one, three = (
        np.asarray(Image.open(tmp_path / f"run/samples/epoch_000{i}.png")).astype(int)
        for i in (1, 3)
    )
    assert one.shape == three.shape
    assert np.abs(one - three).mean() < 12  # only batch norm's statistics change


# State of every kind that has to be saved: schedules, averages, dropout's counters, image pools.
STATEFUL = {
    "vae_tiny": ["model.decay_steps=12"],
    "pix2pix_tiny": [
        "model.constant_epochs=1",
        "model.decay_epochs=2",
        "train.evaluate_every=1",
        "train.best=l1",
    ],
    "cyclegan_tiny": ["model.constant_epochs=1", "model.decay_epochs=2", "model.pool_size=5"],
    # Clusters are computed again, and an interval of 3 does not divide the 4 steps of an epoch.
    "cgan_tiny": [
        *("data.clusters=7", "model.classes=7", "model.condition=cluster"),
        *("model.discriminator_norm=none", "model.objective=relativistic"),
        *("model.penalty=r1_r2", "model.penalty_interval=3", "model.ema_decay=0.9"),
    ],
}


@pytest.mark.parametrize(
    "name", ["dcgan_tiny", "gan_tiny", "cgan_tiny", "vae_tiny", "pix2pix_tiny", "cyclegan_tiny"]
)
@pytest.mark.usefixtures("checkpoints_only")
def test_a_resumed_run_ends_with_the_same_bits(name, tmp_path):
    overrides = STATEFUL.get(name, ["model.ema_decay=0.9"])
    whole = train(name, *SHORT, *overrides, run_dir=tmp_path / "whole")
    train(name, *SHORT[1:], *overrides, "train.epochs=1", run_dir=tmp_path / "parts")
    parts = train(tmp_path / "parts", "train.epochs=3")
    assert parts["weights_sha256"] == whole["weights_sha256"]
    assert len((tmp_path / "parts/metrics.csv").read_text().splitlines()) == 4


@pytest.mark.usefixtures("checkpoints_only")
def test_weights_depend_on_the_seed_only(tmp_path):
    digests = [
        train("dcgan_tiny", *SHORT, f"train.seed={s}", run_dir=tmp_path / str(i))["weights_sha256"]
        for i, s in enumerate([0, 0, 1])
    ]
    assert digests[0] == digests[1] != digests[2]


def test_training_a_finished_run_changes_nothing(tmp_path):
    first = train("dcgan_tiny", *SHORT, run_dir=tmp_path)
    before = (tmp_path / "metrics.csv").read_text()
    again = train("dcgan_tiny", *SHORT, run_dir=tmp_path)
    assert again["weights_sha256"] == first["weights_sha256"]
    assert (tmp_path / "metrics.csv").read_text() == before


@pytest.mark.usefixtures("checkpoints_only")
def test_another_experiment_in_the_run_directory_raises_an_error_with_the_differences(tmp_path):
    train("dcgan_tiny", *SHORT, run_dir=tmp_path)
    with pytest.raises(
        UserError, match=r"model.width is 4 there and 8 here; train.seed is 0 there and 5 here"
    ):
        train("dcgan_tiny", *SHORT, "model.width=8", "train.seed=5", run_dir=tmp_path)
    with pytest.raises(UserError, match=r"train.epochs is 3 there and 2 here"):
        train("dcgan_tiny", *SHORT[1:], "train.epochs=2", run_dir=tmp_path)


def test_a_directory_with_other_files_raises_an_error(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="has files but no experiment.json"):
        train("dcgan_tiny", *SHORT, run_dir=tmp_path)
    with pytest.raises(UserError, match="--run-dir must be a folder"):
        train("dcgan_tiny", run_dir=tmp_path / "thesis.tex")


@pytest.mark.usefixtures("checkpoints_only")
def test_rows_after_the_checkpoint_are_dropped(tmp_path):
    """A run that is killed between row and checkpoint repeats the epoch, which has one row."""
    train("dcgan_tiny", *SHORT[1:], "train.epochs=1", run_dir=tmp_path)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("2,8,9,9,9,9,9,9\n")
    train(tmp_path, "train.epochs=2")
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert rows[1]["generator"] != "9"


@pytest.mark.usefixtures("checkpoints_only")
def test_an_infinite_loss_stops_the_run_and_keeps_the_checkpoint(tmp_path):
    settings = ["train.steps_per_epoch=4", "model.objective=wasserstein"]
    train("dcgan_tiny", *settings, "train.epochs=1", run_dir=tmp_path)
    healthy = load(tmp_path).weights_sha256()
    experiment = json.loads((tmp_path / "experiment.json").read_text())
    experiment["model"]["learning_rate"] = 1e30
    (tmp_path / "experiment.json").write_text(json.dumps(experiment))
    # The checkpoint contains the learning rate. So a new run tests the stop, and the old run tests
    # that its checkpoint is kept.
    with pytest.raises(
        UnhealthyError,
        match=r"the loss \w+ became (nan|-?inf) at step \d+; the last healthy checkpoint is none",
    ):
        train("dcgan_tiny", *settings, "model.learning_rate=1e30", run_dir=tmp_path / "unhealthy")
    assert not list((tmp_path / "unhealthy/checkpoints").glob("*.index"))
    assert load(tmp_path).weights_sha256() == healthy


def test_each_warning_is_printed_once(capsys):
    class Model:
        def diagnose(self, losses):
            return {"trouble": f"loss {losses['loss']}"} if losses["loss"] > 1 else {}

    callback = callbacks.FailureWarnings()
    callback.set_model(Model())
    for loss in (0, 2, 3):
        callback.on_epoch_end(0, {"loss": loss})
    assert capsys.readouterr().err == "warning: loss 2\n"


@pytest.mark.usefixtures("checkpoints_only")
def test_steps_per_execution_that_does_not_divide_the_epoch_is_lowered(tmp_path, capsys):
    one = train("dcgan_tiny", "train.epochs=1", "train.steps_per_epoch=6", run_dir=tmp_path / "one")
    four = train(
        "dcgan_tiny",
        "train.epochs=1",
        "train.steps_per_epoch=6",
        "train.steps_per_execution=4",
        run_dir=tmp_path / "four",
    )
    assert "using 3" in capsys.readouterr().err
    assert one["weights_sha256"] == four["weights_sha256"]
    assert four["metrics"]["step"] == 6


@pytest.mark.usefixtures("checkpoints_only")
def test_tensorboard_logs(tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    train("dcgan_tiny", *SHORT, "train.tensorboard=true", run_dir=tmp_path)
    assert list((tmp_path / "tensorboard").rglob("events.out.*"))


@pytest.mark.slow
def test_killed_three_times_the_run_ends_with_the_same_bits(tmp_path):
    """Send SIGKILL at three random moments, also while a checkpoint is written; then resume."""
    command = [
        "train",
        "gan_tiny",
        "train.epochs=60",
        "train.steps_per_epoch=8",
        "model.ema_decay=0.9",
        "train.sample_every=60",
        "--json",
    ]
    whole = json.loads(run_cli(*command, "--run-dir", tmp_path / "whole").stdout)
    program = [
        str(pathlib.Path(sys.executable).with_name("tfgan-zoo")),
        *command,
        "--run-dir",
        str(tmp_path / "killed"),
    ]
    metrics = tmp_path / "killed/metrics.csv"
    random = np.random.default_rng(time.time_ns())
    moments = sorted(
        zip(random.integers(1, 50, 3).tolist(), random.uniform(0, 0.1, 3).tolist(), strict=True)
    )
    for epochs, moment in moments:
        process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (
            metrics.exists() and len(metrics.read_text().splitlines()) > epochs
        ):
            time.sleep(0.005)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the run was over before it could be killed"
    end = json.loads(run_cli(*command, "--run-dir", tmp_path / "killed").stdout)
    assert end["weights_sha256"] == whole["weights_sha256"], moments


def test_ctrl_c_prints_how_to_resume(tmp_path):
    program = [
        str(pathlib.Path(sys.executable).with_name("tfgan-zoo")),
        "train",
        "dcgan_tiny",
        "train.epochs=500",
        "--run-dir",
        str(tmp_path),
    ]
    process = subprocess.Popen(
        program,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # background jobs, such as in CI, start with SIGINT ignored
    for line in process.stderr:
        if line.startswith("epoch"):
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert f"To resume: tfgan-zoo train {tmp_path}" in errors


@pytest.mark.parametrize(
    ("preset", "overrides"),
    [
        ("dcgan_tiny", []),
        ("cgan_tiny", ["data.clusters=5", "model.classes=5", "model.condition=cluster"]),
    ],
)
@pytest.mark.usefixtures("checkpoints_only")
def test_overfitting_is_measured_with_held_out_images(preset, overrides, tmp_path, monkeypatch):
    def load_digits_as_mnist(config, image_size, channels):
        digits = datasets.load_digits(DataConfig("digits"), image_size, channels)
        part = slice(900) if config.split == "train" else slice(900, None)
        images, labels = digits.images[part], digits.labels[part]
        return dataclasses.replace(digits, name="mnist", images=images, labels=labels)

    monkeypatch.setitem(datasets.DATASETS, "mnist", load_digits_as_mnist)
    overrides = ["data.dataset=mnist", "train.epochs=2", *overrides]
    prepared = prepare(presets.experiment(preset, *overrides))
    (callback,) = overfitting_callbacks(prepared)
    for batch, (images, labels) in (
        (callback.training, (prepared.data.images, prepared.data.labels)),
        (callback.held_out, (load_digits_as_mnist(DataConfig(split="test"), 16, 1).images, None)),
    ):
        pixels, *condition = batch if isinstance(batch, tuple) else [batch]
        pixels = np.round(127.5 * (pixels.numpy() + 1)).astype(np.uint8)
        assert len(pixels) == 512 and len(condition) == prepared.model.needs_labels
        places = {image.tobytes(): i for i, image in enumerate(images)}
        index = [places[image.tobytes()] for image in pixels]  # raises if one is not there
        if condition:
            expected = prepared.data.clusters.labels(images) if labels is None else labels
            np.testing.assert_array_equal(condition[0], expected[index])
    if preset == "dcgan_tiny":
        result = train(prepared.experiment, run_dir=tmp_path)
        assert {"train_logits", "held_out_logits"} < result["metrics"].keys()
        assert overfitting_callbacks(prepare(presets.experiment(preset))) == []
