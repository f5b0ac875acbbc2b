"""The progress line of training on terminals of any width."""

import sys

import pytest

from tfgan_zoo.training import callbacks

LOSSES = {f"discriminator_loss_{i}": 1.234567 for i in range(6)}


def progress_line(monkeypatch, columns, *more):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(callbacks, "now", lambda: 10.0)
    progress = callbacks.Progress(steps=100, batch_size=16, epochs=5)
    progress.epoch, progress.steps_done, progress.speed_start = 1, 50, (0.0, 0)
    return progress.line(LOSSES, 50, *more)


@pytest.mark.parametrize("columns", [10, 40, 60, 80, 124])
def test_line_fits_a_terminal(monkeypatch, columns):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    line = progress_line(monkeypatch, columns, "step 50/100")
    assert len(line) < columns and line.startswith("epoch 2/5"[: columns - 1])
    if columns >= 80:  # the losses are left out, not what comes after them
        assert line.endswith("80 images/s  1:10 left  step 50/100")


def test_line_is_complete_without_a_terminal(monkeypatch):
    line = progress_line(monkeypatch, 40)
    losses = "  ".join(f"{name} 1.235" for name in LOSSES)
    assert line == f"epoch 2/5  {losses}  80 images/s  1:10 left"
