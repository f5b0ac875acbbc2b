"""Runs that were damaged, killed or started twice: nothing is lost, nothing starts over."""

import dataclasses
import errno
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from helpers import FlakyDirectory

from tfgan_zoo import files, presets
from tfgan_zoo.errors import FailureError, UserError
from tfgan_zoo.runs import best_epoch, lock_run, read_metrics
from tfgan_zoo.saving.exported import load
from tfgan_zoo.training import callbacks
from tfgan_zoo.training.callbacks import UnhealthyError
from tfgan_zoo.training.train import train

SHORT = ["train.steps_per_epoch=2", "data.limit=64", "train.sample_count=4"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return (run directory, result) of two epochs, and the weights after three."""
    folder = tmp_path_factory.mktemp("finished")
    result = train("gan_tiny", *SHORT, "train.epochs=2", run_dir=folder / "run")
    longer = train("gan_tiny", *SHORT, "train.epochs=3", run_dir=folder / "longer")
    return folder / "run", result["weights_sha256"], longer["weights_sha256"]


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished[0], tmp_path / "run")


def content(run):
    return {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}


@pytest.mark.parametrize("state", [bytes(100), b"", None])
def test_a_damaged_state_file_does_not_restart_the_run(run, finished, state, capsys):
    if state is None:
        (run / "checkpoints/checkpoint").unlink()
    else:
        (run / "checkpoints/checkpoint").write_bytes(state)
    result = train(run, "train.epochs=3")
    assert "resuming after epoch 2" in capsys.readouterr().err
    assert result["weights_sha256"] == finished[2]


def test_the_checkpoint_before_a_damaged_one_gives_the_same_weights(run, finished, capsys):
    (run / "checkpoints/ckpt-2.index").write_bytes(b"")
    result = train(run, "train.epochs=3")
    error = capsys.readouterr().err
    assert "ckpt-2 is not readable" in error and "resuming after epoch 1" in error
    assert result["weights_sha256"] == finished[2]
    assert [row["epoch"] for row in read_metrics(run / "metrics.csv")] == ["1", "2", "3"]


def test_results_without_checkpoints_are_not_overwritten(run):
    shutil.rmtree(run / "checkpoints")
    before = content(run)
    with pytest.raises(UserError, match="has results, but no checkpoint"):
        train(run, "train.epochs=3")
    assert content(run) == before


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_cut_last_row_of_the_metrics_is_trained_again(run, finished, cut):
    metrics = run / "metrics.csv"
    metrics.write_bytes(metrics.read_bytes()[:-cut])
    assert len(read_metrics(metrics)) == 1
    assert train(run)["weights_sha256"] == finished[1]
    assert [row["epoch"] for row in read_metrics(metrics)] == ["1", "2"]


def test_another_damaged_row_raises_an_error_that_names_the_file(run):
    metrics = run / "metrics.csv"
    header, first, second = metrics.read_text().splitlines()
    metrics.write_text("\n".join([header, first[:10], second]) + "\n")
    with pytest.raises(FailureError, match=r"metrics.csv is damaged, got the row"):
        train(run)


def test_a_broken_sample_grid_is_left_out_of_the_animation(run):
    (run / "samples/epoch_0001.png").write_bytes(b"\x89PNG broken")
    (run / "samples.gif").unlink()
    train(run)
    assert (run / "samples.gif").is_file()


def test_a_directory_of_a_run_killed_in_its_first_write_can_be_used(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".123.0.partial.json").write_text("{")
    train("gan_tiny", *SHORT, "train.epochs=1", run_dir=tmp_path)
    assert not list(tmp_path.glob("*.partial*")) and not list(tmp_path.glob(".*.partial*"))


def test_two_processes_cannot_train_in_one_directory(run):
    before = content(run)
    with lock_run(run), pytest.raises(UserError, match="another process trains in"):
        train(run, "train.epochs=3")
    assert content(run) == before
    train(run, "train.epochs=3")


def test_weights_that_are_not_finite_are_never_the_best(tmp_path, monkeypatch):
    run, overrides = tmp_path / "run", ["train.evaluate_every=1", "train.best=l1"]
    overrides += ["train.steps_per_epoch=2", "train.sample_count=1"]
    train("pix2pix_tiny", *overrides, "train.epochs=1", run_dir=run)
    best, rows = load(run / "best").weights_sha256(), read_metrics(run / "metrics.csv")
    batch_end = callbacks.HealthGuard.on_train_batch_end

    def break_a_weight(self, batch, logs=None):
        batch_end(self, batch, logs)
        weight = self.model.weights[3]
        weight.assign(np.full(weight.shape, np.nan, np.float32))

    monkeypatch.setattr(callbacks.HealthGuard, "on_train_batch_end", break_a_weight)
    with pytest.raises(UnhealthyError, match=r"the (weight|loss) .* became"):
        train(run, "train.epochs=2", "train.steps_per_epoch=2")
    assert load(run / "best").weights_sha256() == best
    assert read_metrics(run / "metrics.csv") == rows
    assert not (run / "samples/epoch_0002.png").exists()


def test_nan_scores_never_win():
    rows = [{"epoch": str(i), "s": s} for i, s in enumerate(["nan", "2", "-inf", "1", "inf"], 1)]
    assert best_epoch(rows, "s", lower=True) == (4, 0)
    assert best_epoch(rows, "s", lower=False) == (2, 1)
    assert best_epoch(rows[:1], "s", lower=True) == (None, 0)


def test_an_experiment_of_an_unknown_preset_trains_to_its_model_card(tmp_path):
    experiment = presets.experiment("gan_tiny", *SHORT, "train.epochs=1")
    train(dataclasses.replace(experiment, preset="mine"), run_dir=tmp_path / "run")
    assert "mine" in (tmp_path / "run/saved_model/README.md").read_text(encoding="utf-8")


def test_a_finished_run_says_so(run, capsys):
    train(run)
    assert f"all 2 epochs are trained in {run}" in capsys.readouterr().err


def test_a_clock_that_stands_still(tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "now", lambda: 5.0)
    train("gan_tiny", *SHORT, "train.epochs=1", run_dir=tmp_path / "run")


def test_ctrl_c_is_handled_between_steps():
    callback = callbacks.StopOnInterrupt()
    before = signal.getsignal(signal.SIGINT)
    callback.on_train_begin()
    try:
        callback.on_train_batch_end(0)
        os.kill(os.getpid(), signal.SIGINT)  # nothing is raised here
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL  # a second one ends the process
        with pytest.raises(KeyboardInterrupt):
            callback.on_train_batch_end(1)
    finally:
        callback.restore()
    assert signal.getsignal(signal.SIGINT) == before


# Trains one more epoch in a process that dies, or whose disk is full, at its N-th replaced file.
FAULTY = """
    import errno, os, pathlib, signal, sys
    from tfgan_zoo.training.train import train

    run, number, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    replace, count = pathlib.Path.replace, 0

    def faulty(self, target):
        global count
        count += 1
        if count == number:
            if kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(self, target)

    pathlib.Path.replace = faulty
    train(run, "train.epochs=3")
"""


@pytest.mark.parametrize(
    ("number", "kind"), [(1, "kill"), (3, "full"), (4, "kill"), (5, "kill"), (7, "full")]
)
def test_killed_or_with_a_full_disk_it_ends_with_the_same_bits(run, finished, number, kind):
    arguments = [sys.executable, "-c", textwrap.dedent(FAULTY), run, str(number), kind]
    process = subprocess.run(arguments, capture_output=True, text=True)
    assert process.returncode == (-signal.SIGKILL if kind == "kill" else 1), process.stderr
    if kind == "full":
        assert os.strerror(errno.ENOSPC) in process.stderr
    assert train(run, "train.epochs=3")["weights_sha256"] == finished[2]
    assert not [file for file in run.rglob(".*.partial*")]


def test_a_disk_that_fails_now_and_then_delays_the_run_only(
    finished, tmp_path, monkeypatch, capsys
):
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.setattr(files, "RETRY_DELAYS", (0,) * 40)
    flaky = FlakyDirectory(run, 0.03, monkeypatch.setattr)
    options = [*SHORT, "train.epochs=3"]
    result = train("gan_tiny", *options, run_dir=run)
    assert flaky.failures > 5, flaky.failures
    error = capsys.readouterr().err
    assert "trying again in" in error
    assert result["weights_sha256"] == finished[2]
    monkeypatch.undo()
    assert [row["epoch"] for row in read_metrics(run / "metrics.csv")] == ["1", "2", "3"]
    assert load(run / "saved_model").sample(1).shape == load(run).sample(1).shape
