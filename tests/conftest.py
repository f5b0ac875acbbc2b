"""Two logical CPUs for MirroredStrategy with two replicas, and fixtures over the tiny presets."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import pytest
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

from helpers import LATENT, STYLE, TINY, TRANSLATION  # noqa: E402 (after the devices)


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
