"""The pip commands for every kind of machine, and real installations on Colab's packages."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest
from helpers import ROOT

from tfgan_zoo import tpu
from tfgan_zoo.tools import install

REQUIREMENTS = ["keras<4,>=3.15", "tensorflow<2.22,>=2.19", "tensorflow-datasets<5,>=4.9.9"]
OTHERS = [REQUIREMENTS[0], REQUIREMENTS[2]]


@pytest.mark.parametrize(
    ("machine", "installed", "expected"),
    [
        ("cpu", None, [["install", "-q", REQUIREMENTS[1], *OTHERS]]),
        ("gpu", None, [["install", "-q", "tensorflow[and-cuda]<2.22,>=2.19", *OTHERS]]),
        ("gpu", "2.20.0", [["install", "-q", REQUIREMENTS[1], "tensorflow==2.20.0", *OTHERS]]),
        (
            "tpu",
            None,
            [["install", "-q", "--no-warn-conflicts", tpu.TENSORFLOW_TPU, tpu.LIBTPU, *OTHERS]],
        ),
        (
            "tpu",
            "2.20.0",
            [
                ["uninstall", "-q", "-y", "tensorflow"],
                ["install", "-q", "--no-warn-conflicts", tpu.TENSORFLOW_TPU, tpu.LIBTPU, *OTHERS],
            ],
        ),
    ],
)
def test_pip_commands(machine, installed, expected):
    commands = install.pip_commands(
        REQUIREMENTS, machine == "tpu", machine == "gpu", {"tensorflow": installed}.get
    )
    assert commands == expected


def test_metadata_fits_an_old_protobuf():
    def packages(version):
        installed = {"tensorflow": "2.20.0", "protobuf": version}.get
        return install.pip_commands(REQUIREMENTS, False, True, installed)[0]

    assert "tensorflow-metadata<1.18" in packages("5.29.6")
    assert "tensorflow-metadata<1.18" not in packages("6.31.1")


def python_313():
    """Return the path of a Python 3.13 that runs, on the PATH or installed by pyenv, or None."""
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
    for path in [shutil.which("python3.13"), *pyenv.glob("versions/3.13.*/bin/python")]:
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return path
    return None


@pytest.fixture
def colab(request, tmp_path):
    """Return (image, run): an environment with Colab's packages and tfgan_zoo without its needs.

    `run` runs a program of the environment in an empty folder.
    """
    image, python = request.param, python_313()
    if not os.environ.get("TFGAN_ZOO_TEST_COLAB"):
        pytest.skip("installs 2 GB: set TFGAN_ZOO_TEST_COLAB=1, as .ci/run does")
    if python is None:
        pytest.skip("no Python 3.13, which Colab has")
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True)
    (tmp_path / "work").mkdir()
    source = tmp_path / "source"
    shutil.copytree(ROOT / "tfgan_zoo", source / "tfgan_zoo")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "TPU_NAME")
    }
    environment["TPU_SKIP_MDS_QUERY"] = "1"  # no metadata server: the import would wait for it

    def run(program, *arguments, fails=False, **extra):
        process = subprocess.run(
            [tmp_path / "venv" / "bin" / program, *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path / "work",
            env={**environment, **extra},
            timeout=1200,
        )
        assert (process.returncode != 0) == fails, process.stdout + process.stderr
        return process.stdout + process.stderr

    run("pip", "install", "-q", "-r", ROOT / "tests" / f"colab_{image}.txt")
    run("pip", "install", "-q", "--no-deps", source)
    return image, run


def versions(run):
    """Return the installed packages: name -> version."""
    packages = run("pip", "list", "--format=json", "--disable-pip-version-check")
    packages = json.loads(packages[packages.index("[{") : packages.rindex("}]") + 2])
    return {row["name"].lower().replace("_", "-"): row["version"] for row in packages}


# Trains in a folder whose operations fail now and then, killed in the second epoch, or to the end.
FLAKY = """
import os, signal, sys
sys.path.append(sys.argv[1])
import keras, tfgan_zoo
from helpers import FlakyDirectory
from tfgan_zoo import files

class Kill(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.step == 6:
            os.kill(os.getpid(), signal.SIGKILL)

files.RETRY_DELAYS = (0,) * 40
flaky = FlakyDirectory(os.path.abspath("flaky"), 0.03)
options = ["train.epochs=3", "train.steps_per_epoch=4"]
callbacks = [Kill()] if sys.argv[2] == "kill" else []
tfgan_zoo.train("dcgan_tiny", *options, run_dir=os.path.abspath("flaky"), callbacks=callbacks)
print(flaky.failures, "failures")
"""


@pytest.mark.slow
@pytest.mark.parametrize("colab", ["tpu", "gpu"], indirect=True)
def test_installation_on_colab(colab, tmp_path):
    """As a notebook does it: install, train, resume on a flaky disk, export, load, use TFDS."""
    image, run = colab
    pinned = versions(run)
    on_tpu = {"TPU_NAME": "local"} if image == "tpu" else {}
    output = run("python", "-m", "tfgan_zoo.tools.install", **on_tpu)
    assert "ERROR" not in output
    installed = versions(run)
    changed = {name for name in pinned if installed.get(name) != pinned[name]}
    # Colab's Keras is older than the one that tfgan_zoo needs. With the old protobuf of the GPU
    # image, Colab's tensorflow-metadata cannot be imported.
    assert changed == {"keras"} | ({"tensorflow-metadata"} if image == "gpu" else set())
    assert installed.get("tensorflow") == {"tpu": None, "gpu": "2.20.0"}[image]
    assert installed.get("tensorflow-tpu") == {"tpu": "2.20.0", "gpu": None}[image]

    run("tfgan-zoo", "train", "dcgan_tiny", "train.epochs=1", "--run-dir", "run")
    run("tfgan-zoo", "train", "run", "train.epochs=2")
    for preset in ("pix2pix_tiny", "cyclegan_tiny"):
        run("tfgan-zoo", "train", preset, "train.epochs=1", "train.steps_per_epoch=1")
    run("python", "-c", FLAKY, ROOT / "tests", "kill", fails=True)
    assert "resuming after epoch 1" in run("python", "-c", FLAKY, ROOT / "tests", "resume")
    short = ("train.epochs=3", "train.steps_per_epoch=4")
    run("tfgan-zoo", "train", "dcgan_tiny", *short, "--run-dir", "steady")
    flaky, steady = (
        json.loads((tmp_path / "work" / name / "result.json").read_text())["weights_sha256"]
        for name in ("flaky", "steady")
    )
    assert flaky == steady
    run("tfgan-zoo", "export", "run", "-o", "exported")
    run("tfgan-zoo", "sample", "exported", "-n", "4", "-o", "four.png")
    run("python", "-c", "import tensorflow_datasets; tensorflow_datasets.builder('mnist')")
    if image == "tpu":
        command = ("tfgan-zoo", "train", "dcgan_tiny", "train.strategy=tpu")
        explained = run(*command, fails=True, **on_tpu)
        assert "TPU_NAME is set, but no TPU device was found" in explained
        run("pip", "install", "-q", "libtpu==0.0.52", "--no-deps")
        explained = run("tfgan-zoo", "train", "dcgan_tiny", "--dry-run", fails=True)
        assert "libtpu 0.0.52 aborts the import" in explained
