"""Two logical CPUs for the whole session (a MirroredStrategy of two replicas in one process), and helpers that many tests share."""

import functools
import importlib.util
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgan_zoo import presets
from tfgan_zoo.models import MODELS

tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)

TINY = [name for name in presets.PRESETS if name.endswith("_tiny")]
LATENT, TRANSLATION, STYLE = (
    [name for name in TINY if presets.experiment(name).task == task] for task in ("generate", "translate", "stylize")
)


def make(name, *overrides, dtype="float32", **compile_options):
    """A compiled model of a tiny preset, always from the same initial weights."""
    experiment = presets.experiment(name, *overrides)
    keras.utils.set_random_seed(experiment.train.seed)
    model = MODELS[experiment.kind](experiment.model, dtype=dtype)
    model.compile(**{"xla": "off", **compile_options})
    return model


def images(model, n=64, seed=0):
    """Smooth random images in [-1, 1] of the model's size: float32 (n, s, s, c)."""
    config = model.config
    coarse = np.random.default_rng(seed).uniform(-1, 1, (n, 4, 4, getattr(config, "channels", 3))).astype("float32")
    return tf.image.resize(coarse, (config.image_size, config.image_size)).numpy()


def arrays(model, n=64):
    """What the model trains on: images, (images, labels) for a conditional model, (x, y) for translation and AdaIN."""
    if hasattr(model.config, "data_kind"):
        return images(model, n), images(model, n, seed=1)
    return (images(model, n), np.arange(n) % model.classes) if model.wants_labels else images(model, n)


def batches(model, batch_size=16, data=None):
    data = arrays(model) if data is None else data
    return tf.data.Dataset.from_tensor_slices(data).batch(batch_size, drop_remainder=True).repeat()


def fit(model, steps=4, epochs=1, batch_size=16):
    """Trains on the test images; returns the history."""
    return model.fit(batches(model, batch_size), steps_per_epoch=steps, epochs=epochs, shuffle=False, verbose=0).history


def run_cli(*arguments, cwd=None, env=None, timeout=300):
    """The installed command in a process of its own."""
    command = pathlib.Path(sys.executable).with_name("tfgan-zoo")
    environment = {name: value for name, value in os.environ.items() if name not in ("TF_CPP_MIN_LOG_LEVEL", "PYTHONPATH")}
    return subprocess.run(
        [str(command), *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env={**environment, **(env or {})}, timeout=timeout
    )


@functools.cache
def bfloat16_kernels_are_hidden():
    """Return True where ONEDNN_MAX_CPU_ISA hides AVX-512 from oneDNN but not from TensorFlow.

    TensorFlow then asks oneDNN for bfloat16 kernels that it does not have.
    """
    if "ONEDNN_MAX_CPU_ISA" not in os.environ:
        return False
    statistics = dict.fromkeys(("scale", "offset", "mean", "variance"), tf.ones(3))
    try:
        tf.raw_ops.FusedBatchNormV3(x=tf.ones((2, 2, 2, 3), "bfloat16"), is_training=False, **statistics)
    except tf.errors.AbortedError:
        return True
    return False


@pytest.fixture(autouse=True)
def skip_hidden_bfloat16_kernels(request):
    parameters = request.node.callspec.params.values() if hasattr(request.node, "callspec") else ()
    bfloat16 = any(isinstance(value, str) and value == "mixed_bfloat16" for value in parameters)
    if bfloat16 and bfloat16_kernels_are_hidden():
        pytest.skip("ONEDNN_MAX_CPU_ISA hides the bfloat16 kernels")


@pytest.fixture(params=TINY)
def tiny(request):
    return request.param


@pytest.fixture(params=LATENT)
def latent_tiny(request):
    return request.param


@pytest.fixture(params=TRANSLATION)
def translation_tiny(request):
    return request.param


@pytest.fixture(params=STYLE)
def stylize_tiny(request):
    return request.param


def module_of(path):
    """A Python file outside of the package, as a module of its own."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
