"""Importing the package from Python: fast, and without the messages of TensorFlow."""

import os
import subprocess
import sys

import pytest


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
