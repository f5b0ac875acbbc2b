"""Importing the package from Python: fast, without Keras, without the messages of TensorFlow."""

import os
import subprocess
import sys

import pytest

from tfgan_zoo.saving import hub


@pytest.mark.parametrize(
    "code",
    [
        "import tfgan_zoo; tfgan_zoo.DCGAN",
        "import tfgan_zoo; tfgan_zoo.train",
        "import tfgan_zoo.models",
        # float16 weights: TensorFlow prints a line about DT_HALF if it was imported first
        "import tfgan_zoo; tfgan_zoo.load('dcgan_mnist').sample(2)",
    ],
)
def test_tensorflow_prints_nothing(code):
    check = "import sys, tensorflow; tensorflow.zeros(1)"
    if code.startswith("import tfgan_zoo;"):
        code = code.replace(";", "; import sys; assert 'tensorflow' not in sys.modules;", 1)
    env = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True, env=env
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_saved_models_are_used_without_keras(tmp_path):
    """Keras takes as long to import as TensorFlow."""
    code = """
import gc, sys
import numpy as np
from PIL import Image
import tfgan_zoo
from tfgan_zoo import cli

assert tfgan_zoo.load("vae_mnist").sample(4).shape == (4, 28, 28, 1)
Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save("in.png")
for command in (
    "sample dcgan_mnist -n 4",
    "sample cgan_mnist --labels 3 -o 3.png",
    "interpolate cgan_mnist --rows 2 --steps 2",
    "translate pix2pix_facades_synthetic in.png -o translated.png",
    "stylize in.png --preset fast_mosaic -o fast.png",
    "stylize in.png --preset adain_folder_128 --style hatching -o adain.png",
):
    assert cli.main(command.split()) == 0, command
slow = {"keras", "matplotlib", "pandas", "sklearn", "tensorflow_datasets"} & set(sys.modules)
assert not slow, slow
assert gc.isenabled()

import h5py, scipy  # postponed, not hidden
import tensorflow as tf
from tensorflow.keras import layers
import keras
assert tf.keras.layers.Dense is keras.layers.Dense is layers.Dense
assert tfgan_zoo.load("dcgan_mnist").zoo_model.sample(2).shape == (2, 28, 28, 1)
"""
    env = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    env["TFGAN_ZOO_SAVED_MODELS"] = str(hub.CHECKOUT_FOLDER)
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=tmp_path
    )
    assert (result.returncode, result.stderr) == (0, "")
