"""The progress line of training on terminals of any width."""

import sys

import pytest

from tfgan_zoo.training import callbacks

LOSSES = {"adversarial": 0.012345, "discriminator": 123.456, "generator": 1.234567}
LOSSES |= {f"term_{i}": 1.234567 for i in range(6)}
ORDERED = ["generator 1.235", "discriminator 123.5", "adversarial 0.01235"]
ORDERED += [f"term_{i} 1.235" for i in range(6)]


def progress_line(monkeypatch, columns, step, seconds=10.0):
    """Return the line after 50 steps of 16 images in these seconds."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(callbacks, "now", lambda: seconds)
    progress = callbacks.Progress(steps=100, batch_size=16, epochs=5)
    progress.epoch, progress.steps_done, progress.speed_start = 1, 50, (0.0, 0)
    progress.players = ["generator", "discriminator"]
    return progress.line({**LOSSES, "seconds": 1.0, "images_per_second": 2.0}, step)


@pytest.mark.parametrize("columns", [10, 25, 40, 60, 80, 124])
def test_line_fits_a_terminal(monkeypatch, columns):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    line = progress_line(monkeypatch, columns, 50)
    assert len(line) < columns and line.startswith("epoch 2/5  step 50/100"[: columns - 1])
    parts = line.split("  ")
    assert ("1:10 min left" in parts) == (columns >= 40)
    if columns >= 60:  # the last losses are left out, not what comes after them
        assert line.endswith("1:10 min left  80 images/s")
        assert parts[2:-2] == ORDERED[: len(parts) - 4]
    assert len(parts) == {10: 1, 25: 2, 40: 3, 60: 4, 80: 5, 124: 8}[columns]


def test_line_is_complete_without_a_terminal(monkeypatch):
    line = progress_line(monkeypatch, 40, 100)
    assert line == "  ".join(["epoch 2/5", *ORDERED, "1:00 min left", "80 images/s"])
    line = progress_line(monkeypatch, 40, 100, seconds=1000.0)
    assert line.endswith("1:40:00 h left  1 images/s")
