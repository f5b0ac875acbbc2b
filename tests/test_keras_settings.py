"""Global settings of Keras: they change nothing, or raise one line that says what to change."""

import json
import os
import subprocess
import sys

import keras
import pytest
from helpers import make, run_cli

from tfgan_zoo.errors import UserError
from tfgan_zoo.features.metric_networks import load_metric_network
from tfgan_zoo.features.vgg import load_perceptual_network

SETTINGS = [
    ("image_data_format", "channels_first", "channels_last"),
    ("floatx", "float16", "float32"),
    ("floatx", "float64", "float32"),
]


@pytest.fixture(params=SETTINGS, ids=lambda setting: setting[1])
def message(request):
    """Change a setting, and return the expected message."""
    name, value, required = request.param
    change = getattr(keras.config, f"set_{name}")
    change(value)
    yield f"{name} must be {required}, got {value}: change it in keras.json.*set_{name}"
    change(required)


def test_models_raise_an_error(message):
    for name in ("dcgan_tiny", "vae_tiny", "cyclegan_tiny", "adain_tiny"):
        with pytest.raises(UserError, match=message):
            make(name)


def test_feature_networks_raise_an_error(message):
    with pytest.raises(UserError, match=message):
        load_metric_network("digits")
    with pytest.raises(UserError, match=message):
        load_perceptual_network("small", ["block1_conv1"])


@pytest.mark.parametrize(("name", "value", "required"), SETTINGS[:2])
def test_compile_raises_an_error(name, value, required):
    model = make("gan_tiny")
    change = getattr(keras.config, f"set_{name}")
    change(value)
    try:
        with pytest.raises(UserError, match=f"{name} must be {required}"):
            model.compile()
    finally:
        change(required)


def keras_home(tmp_path, **settings):
    """Return the environment of a process with this keras.json."""
    defaults = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}
    (tmp_path / "keras.json").write_text(json.dumps({**defaults, **settings}))
    return {**os.environ, "KERAS_HOME": str(tmp_path)}


def test_epsilon_changes_no_weights(tmp_path):
    code = """
from helpers import fit, make
import keras
print(keras.config.epsilon(), *[
    (fit(model, steps=1, batch_size=4), model.weights_sha256())[1]
    for model in map(make, ("gan_tiny", "vae_tiny"))
])
"""
    tests = os.path.dirname(__file__)
    outputs = []
    for epsilon in (1e-7, 0.1):
        result = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tests,
            env=keras_home(tmp_path, epsilon=epsilon),
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        outputs.append(result.stdout.splitlines()[-1].split())
    assert [output[0] for output in outputs] == ["1e-07", "0.1"]
    assert outputs[0][1:] == outputs[1][1:] and len(outputs[0]) == 3


def test_the_command_prints_one_line(tmp_path):
    env = keras_home(tmp_path, image_data_format="channels_first")
    result = run_cli("train", "gan_tiny", "--run-dir", tmp_path / "run", env=env)
    assert result.returncode == 2
    assert "image_data_format must be channels_last, got channels_first" in result.stderr
    assert len(result.stderr.splitlines()) == 1
