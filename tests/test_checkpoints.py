"""Checkpoints that are damaged, incomplete or far away."""

import errno
import os

import numpy as np
import pytest
import tensorflow as tf

from tfgan_zoo import files
from tfgan_zoo.checkpoints import CheckpointFolder
from tfgan_zoo.errors import FailureError


@pytest.fixture
def variable():
    return tf.Variable(np.zeros((20, 30), np.float32))


@pytest.fixture
def saved(variable, tmp_path):
    """Save epochs 1 to 3, in which the variable is filled with the epoch, and keep two."""
    folder, checkpoint = CheckpointFolder(tmp_path / "checkpoints"), tf.train.Checkpoint(v=variable)
    for epoch in (1, 2, 3):
        variable.assign(tf.fill(variable.shape, float(epoch)))
        folder.save(checkpoint, epoch)
    variable.assign(tf.zeros_like(variable))
    return folder, checkpoint


def test_the_newest_are_kept_and_tensorflow_finds_them(saved, variable):
    folder, checkpoint = saved
    assert list(folder.epochs()) == [3, 2]
    assert sorted(file.name for file in folder.folder.iterdir()) == [
        "checkpoint",
        "ckpt-2.data-00000-of-00001",
        "ckpt-2.index",
        "ckpt-3.data-00000-of-00001",
        "ckpt-3.index",
    ]
    assert tf.train.latest_checkpoint(folder.folder) == str(folder.folder / "ckpt-3")
    assert folder.restore(checkpoint, pytest.fail) == 3
    assert variable.numpy().min() == variable.numpy().max() == 3


def test_a_folder_whose_path_looks_like_a_pattern(saved, variable, tmp_path):
    folder, checkpoint = saved
    moved = CheckpointFolder(folder.folder.rename(tmp_path / "run [1]*"))
    assert moved.restore(checkpoint, pytest.fail) == 3
    assert variable.numpy().min() == 3


def damage(data, kind):
    middle = len(data) // 2
    return {
        "empty": b"",
        "half": data[:middle],
        "zeros": bytes(len(data)),
        "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
    }[kind]


@pytest.mark.parametrize("kind", ["empty", "half", "zeros", "flipped", "missing"])
@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_a_damaged_checkpoint_is_replaced_by_the_one_before(saved, variable, suffix, kind):
    folder, checkpoint = saved
    file, warnings = folder.folder / f"ckpt-3{suffix}", []
    if kind == "missing":
        file.unlink()
    else:
        file.write_bytes(damage(file.read_bytes(), kind))
    assert folder.restore(checkpoint, warnings.append) == 2
    assert variable.numpy().min() == variable.numpy().max() == 2
    if kind == "missing":  # as in a process that was killed while it saved
        assert warnings == []
    else:
        (warning,) = warnings
        assert "ckpt-3 is not readable" in warning and "ckpt-2 instead" in warning


@pytest.mark.parametrize("state", [b"", bytes(100), b"\xff\xfe no text", None])
def test_the_state_file_does_not_matter(saved, state):
    folder, checkpoint = saved
    if state is None:
        (folder.folder / "checkpoint").unlink()
    else:
        (folder.folder / "checkpoint").write_bytes(state)
    assert folder.restore(checkpoint, pytest.fail) == 3


def test_without_a_readable_checkpoint_an_error_names_all(saved):
    folder, checkpoint = saved
    for file in folder.folder.glob("*.index"):
        file.write_bytes(b"")
    with pytest.raises(FailureError, match=r"ckpt-3 is not readable .*ckpt-2 is not readable"):
        folder.restore(checkpoint, pytest.fail)
    assert CheckpointFolder(folder.folder / "none").restore(checkpoint, pytest.fail) is None


def test_a_disk_that_is_away_for_a_moment_is_given_time(saved, variable, monkeypatch, capsys):
    folder, checkpoint = saved
    errors = [errno.EIO, errno.ENOTCONN, errno.ENOENT]
    replace = os.replace
    waited = []

    def failing_replace(*arguments):
        if errors:
            raise OSError(errors.pop(), "the disk is away")
        return replace(*arguments)

    monkeypatch.setattr("pathlib.Path.replace", lambda self, target: failing_replace(self, target))
    monkeypatch.setattr(files.time, "sleep", waited.append)
    folder.save(checkpoint, 4)
    assert waited == [1, 2, 5]
    assert capsys.readouterr().err.count("the disk is away") == 3
    assert list(folder.epochs()) == [4, 3]


@pytest.mark.parametrize(("number", "attempts"), [(errno.ENOSPC, 1), (errno.EIO, 7)])
def test_a_full_disk_is_not_tried_again_and_a_dead_one_not_for_ever(number, attempts, monkeypatch):
    calls = []

    def write():
        calls.append(1)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.time, "sleep", lambda seconds: None)
    with pytest.raises(OSError, match=os.strerror(number)):
        files.retry(write)
    assert len(calls) == attempts
