"""TPU detection on fake /dev and /sys trees, and the messages about TPUs that do not work."""

import re
import subprocess
import sys

import pytest
from helpers import ROOT
from packaging.requirements import Requirement

from tfgan_zoo import quiet, tpu
from tfgan_zoo.errors import UserError


@pytest.fixture
def machine(tmp_path):
    """Return a function that creates the files of a machine: path -> text."""

    def create(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return create


def vfio(group, vendor):
    """Return the files of a VFIO group with one PCI device, as on a v6e machine."""
    device = f"sys/kernel/iommu_groups/{group}/devices/0000:00:0{group + 4}.0/vendor"
    return {f"dev/vfio/{group}": "", "dev/vfio/vfio": "", device: vendor + "\n"}


GOOGLE, NVIDIA = "0x1ae0", "0x10de"


@pytest.mark.parametrize(
    ("files", "environ", "expected"),
    [
        pytest.param({}, {}, None, id="cpu"),
        pytest.param({"dev/nvidia0": ""}, {}, None, id="gpu"),
        pytest.param({"dev/accel0": "", "dev/accel1": ""}, {}, "/dev/accel0", id="v2 to v4"),
        pytest.param({"dev/accel/accel0": ""}, {}, None, id="accelerator of another vendor"),
        pytest.param(vfio(0, GOOGLE), {}, "/dev/vfio/0", id="v5e and v6e, Kaggle"),
        pytest.param({"dev/vfio/vfio": ""}, {}, None, id="vfio module without a group"),
        pytest.param(vfio(0, NVIDIA), {}, None, id="GPU passed through by vfio"),
        pytest.param({**vfio(0, NVIDIA), **vfio(3, GOOGLE)}, {}, "/dev/vfio/3", id="both"),
        pytest.param(
            {"dev/vfio/0": "", **{k: v for k, v in vfio(1, GOOGLE).items() if "sys" in k}},
            {},
            None,
            id="Google's network card, not a vfio group",
        ),
        pytest.param({"dev/vfio/0": ""}, {}, None, id="vfio without /sys"),
        pytest.param({}, {"COLAB_TPU_1VM": "1"}, "COLAB_TPU_1VM", id="Colab"),
        pytest.param({}, {"TPU_NAME": "local"}, "TPU_NAME", id="TPU VM"),
        pytest.param(
            {}, {"TPU_ACCELERATOR_TYPE": "v5e-1"}, "TPU_ACCELERATOR_TYPE", id="Kubernetes"
        ),
        pytest.param({}, {"TPU_NAME": ""}, None, id="empty variable"),
    ],
)
def test_detection(machine, files, environ, expected):
    assert tpu.find_tpu(machine(files), environ) == expected


def versions(**installed):
    return {name.replace("_", "-"): version for name, version in installed.items()}.get


@pytest.mark.parametrize("libtpu", ["0.0.14", "0.0.21.1", "0.0.31", None])
def test_tested_libtpu_is_accepted(libtpu):
    tpu.check_libtpu(versions(tensorflow_tpu="2.20.0", libtpu=libtpu))
    tpu.check_libtpu(versions(tensorflow="2.21.0", libtpu="0.0.52"))  # JAX's, not TensorFlow's


@pytest.mark.parametrize("libtpu", ["0.0.13", "0.0.40", "0.0.52", "0.1.0", "0.0.32.dev1"])
def test_libtpu_that_aborts_the_process_raises(libtpu):
    with pytest.raises(UserError, match=f"libtpu {libtpu} aborts .* pip install .libtpu>=0.0.14,<"):
        tpu.check_libtpu(versions(tensorflow_tpu="2.20.0", libtpu=libtpu))


def test_libtpu_is_checked_before_tensorflow_is_imported(monkeypatch):
    def refuse():
        raise UserError("checked")

    monkeypatch.setattr(quiet, "check_libtpu", refuse)
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # importing it would raise ImportError
    with pytest.raises(UserError, match="checked"):
        quiet.start_tensorflow()


def test_the_range_and_the_requirement_agree():
    lowest, limit = (".".join(map(str, version)) for version in tpu.LIBTPU_RANGE)
    requirement = Requirement(tpu.LIBTPU)
    assert str(requirement.specifier) in (f">={lowest},<{limit}", f"<{limit},>={lowest}")


# The message of tensorflow-tpu 2.20.0 with libtpu 0.0.21.1 on a machine without a TPU.
NO_DEVICE = (
    "Graph execution error:\n\nDetected at node disconnect_tpu_host/_1 defined at (most recent "
    "call last):\n<stack traces unavailable>\nRET_CHECK failure (tpu_node_interfaces.cc:432) \n"
)


@pytest.mark.parametrize(
    ("reason", "evidence", "installed", "message"),
    [
        ("Graph execution error:\n\nno TPU", None, {"tensorflow": "2.21.0"}, "^no TPU found"),
        (
            "No OpKernel was registered to support Op 'ConfigureDistributedTPU'",
            "/dev/accel0",
            {"tensorflow": "2.21.0"},
            "tensorflow 2.21.0 has no TPU support. Run: python -m tfgan_zoo.tools.install",
        ),
        (
            "No OpKernel was registered to support Op 'ConfigureDistributedTPU'",
            "/dev/accel0",
            {"tensorflow": "2.21.0", "tensorflow_tpu": "2.20.0"},
            "are both installed",
        ),
        (
            "ABORTED: The TPU is already in use by process with pid 2718466. Not attempting",
            "/dev/vfio/0",
            {"tensorflow_tpu": "2.20.0"},
            "the TPU /dev/vfio/0 is used by process 2718466",
        ),
        (
            "Graph execution error:\n\nopen(/dev/vfio/0): Device or resource busy",
            "/dev/vfio/0",
            {"tensorflow_tpu": "2.20.0"},
            "used by another process",
        ),
        (
            NO_DEVICE,
            "/dev/vfio/0",
            {"tensorflow_tpu": "2.20.0"},
            "the TPU /dev/vfio/0 could not be initialized: RET_CHECK failure",
        ),
        (
            NO_DEVICE,
            "TPU_NAME",
            {"tensorflow_tpu": "2.20.0"},
            "TPU_NAME is set, but no TPU device was found, and none answers: RET_CHECK failure",
        ),
    ],
)
def test_failures_are_explained_in_one_line(reason, evidence, installed, message):
    explanation = tpu.explain_failure(reason, evidence, versions(**installed))
    assert re.search(message, explanation) and "\n" not in explanation


def test_detection_and_installation_need_neither_tensorflow_nor_other_packages():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('tensorflow', 'keras', 'numpy', 'PIL')));"
        "from tfgan_zoo.tools import install; install.find_tpu()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "path", ["README.md", "docs/colab.md", "notebooks/setup_cell.py", "tests/colab_tpu.txt"]
)
def test_documents_name_the_versions_of_the_package(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    for requirement in re.findall(r"tensorflow-tpu==[\d.]+\d", text):
        assert requirement == tpu.TENSORFLOW_TPU
    for requirement in re.findall(r"libtpu[<>][=\d.,<>]+\d", text):
        assert requirement == tpu.LIBTPU
    for version in re.findall(r"libtpu==([\d.]+\d)", text):
        tpu.check_libtpu(versions(tensorflow_tpu="2.20.0", libtpu=version))
