"""Two logical CPUs for MirroredStrategy with two replicas, and fixtures over the tiny presets."""

import functools
import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# One thread per operation: two processes share the cores, and the networks are small.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
# No LLVM optimizations: a test with XLA mostly compiles.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import pytest

from tfgan_zoo.quiet import start_tensorflow

start_tensorflow()  # without a search for garbage

import tensorflow as tf  # noqa: E402

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

from helpers import LATENT, STYLE, TINY, TRANSLATION  # noqa: E402 (after the devices)

gc.freeze()  # the objects of Keras, too


@functools.cache
def bfloat16_kernels_are_hidden():
    """Return True where ONEDNN_MAX_CPU_ISA hides AVX-512 from oneDNN but not from TensorFlow.

    TensorFlow then asks oneDNN for bfloat16 kernels that it does not have.
    """
    if "ONEDNN_MAX_CPU_ISA" not in os.environ:
        return False
    statistics = dict.fromkeys(("scale", "offset", "mean", "variance"), tf.ones(3))
    x = tf.ones((2, 2, 2, 3), "bfloat16")
    try:
        tf.raw_ops.FusedBatchNormV3(x=x, is_training=False, **statistics)
    except tf.errors.AbortedError:
        return True
    return False


@pytest.fixture(autouse=True)
def skip_hidden_bfloat16_kernels(request):
    parameters = request.node.callspec.params.values() if hasattr(request.node, "callspec") else ()
    bfloat16 = any(isinstance(value, str) and value == "mixed_bfloat16" for value in parameters)
    if bfloat16 and bfloat16_kernels_are_hidden():
        pytest.skip("ONEDNN_MAX_CPU_ISA hides the bfloat16 kernels")


@pytest.fixture
def checkpoints_only(monkeypatch):
    """Let `train` end without a SavedModel, a .keras file and curves: half of a short training."""
    for name in ("export", "save_curves", "save_keras_model"):
        monkeypatch.setattr(f"tfgan_zoo.training.train.{name}", lambda *args, **kwargs: None)


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
