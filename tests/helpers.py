"""Helpers of many tests: compiled tiny models, data to train them on, the command."""

import builtins
import contextlib
import errno
import importlib.util
import io
import os
import pathlib
import random
import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo import cli, presets
from tfgan_zoo.models import MODELS

ROOT = pathlib.Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"  # real datasets, not part of the repository

TINY = [name for name in presets.PRESETS if name.endswith("_tiny")]
LATENT, TRANSLATION, STYLE = (
    [
        name
        for name in TINY
        if presets.experiment(name).task == task and presets.experiment(name).model.trains
    ]
    for task in ("generate", "translate", "stylize")
)


def make(name, *overrides, dtype="float32", **compile_options):
    """Return a compiled model of a tiny preset with fixed initial weights."""
    experiment = presets.experiment(name, *overrides)
    keras.utils.set_random_seed(experiment.train.seed)
    model = MODELS[experiment.kind](experiment.model, dtype=dtype)
    model.compile(**{"xla": "off", **compile_options})
    return model


def images(model, n=64, seed=0):
    """Return smooth random images of the model's size: float32 (n, s, s, c) in [-1, 1]."""
    config = model.config
    shape = (n, 4, 4, getattr(config, "channels", 3))
    coarse = np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")
    return tf.image.resize(coarse, (config.image_size, config.image_size)).numpy()


def arrays(model, n=64):
    """Return training data of the model.

    Images, (images, labels) for a conditional model, or (x, y) for translation and AdaIN.
    """
    if model.config.data_kind != "images":
        return images(model, n), images(model, n, seed=1)
    if model.needs_labels:
        return images(model, n), np.arange(n) % model.classes
    return images(model, n)


def batches(model, batch_size=16, data=None):
    """Return an endless dataset of batches of `data`, or of the test images."""
    dataset = tf.data.Dataset.from_tensor_slices(arrays(model) if data is None else data)
    return dataset.batch(batch_size, drop_remainder=True).repeat()


def fit(model, steps=4, epochs=1, batch_size=16):
    """Train on the test images and return the history."""
    return model.fit(
        batches(model, batch_size), steps_per_epoch=steps, epochs=epochs, shuffle=False, verbose=0
    ).history


def run_here(*arguments, cwd=None):
    """Run the command in this process, which saves the seconds that TensorFlow takes to start.

    Returns:
        The same as `run_cli`, without what TensorFlow itself writes.
    """
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        contextlib.chdir(cwd or pathlib.Path.cwd()),
    ):
        try:
            code = cli.main([*map(str, arguments)])
        except SystemExit as stop:
            code = stop.code
    return subprocess.CompletedProcess(arguments, code, stdout.getvalue(), stderr.getvalue())


def run_cli(*arguments, cwd=None, env=None, timeout=300):
    """Run the installed command in a new process."""
    command = pathlib.Path(sys.executable).with_name("tfgan-zoo")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("TF_CPP_MIN_LOG_LEVEL", "PYTHONPATH")
    }
    return subprocess.run(
        [str(command), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**environment, **(env or {})},
        timeout=timeout,
    )


def module_of(path):
    """Import a Python file outside of the package as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class FlakyDirectory:
    """Makes a share of the file operations in a folder fail, as on a mounted network disk.

    Args:
        folder: the folder.
        share: probability that an operation fails, from a fixed seed.
        patch: function (module, name, function) that replaces an operation.
    """

    OPERATIONS = [(builtins, "open"), (io, "open")] + [
        (os, name) for name in ("open", "replace", "rename", "mkdir", "unlink")
    ]

    def __init__(self, folder, share, patch=setattr):
        self.folder, self.share = str(folder), share
        self.random, self.failures = random.Random(0), 0
        for module, name in self.OPERATIONS:
            patch(module, name, self.unreliable(getattr(module, name)))

    def unreliable(self, function):
        """Return a function that sometimes raises an error instead of calling `function`."""

        def call(path, *args, **kwargs):
            inside = isinstance(path, str | os.PathLike) and str(path).startswith(self.folder)
            if inside and self.random.random() < self.share:
                self.failures += 1
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
            return function(path, *args, **kwargs)

        return call
