"""TPU detection, and the packages that TensorFlow needs on a TPU.

Imports the standard library only, so that it runs before TensorFlow is imported or installed.
"""

import glob
import importlib.metadata
import os
import re

from tfgan_zoo.errors import UserError

# TensorFlow 2.21 has no TPU build. With libtpu 0.0.40 and later, `import tensorflow` of this build
# aborts the process (0.0.14 to 0.0.31 were tested).
TENSORFLOW_TPU = "tensorflow-tpu==2.20.0"
LIBTPU = "libtpu>=0.0.14,<0.0.32"
LIBTPU_RANGE = ((0, 0, 14), (0, 0, 32))
INSTALL_COMMAND = "python -m tfgan_zoo.tools.install"

# Set by TPU VMs and Kubernetes (the first two) and by Colab.
ENVIRONMENT_VARIABLES = ("TPU_NAME", "TPU_ACCELERATOR_TYPE", "COLAB_TPU_1VM")
GOOGLE_PCI_VENDOR = "0x1ae0"

# Lines of TensorFlow's error messages before the reason.
UNINFORMATIVE = re.compile(
    r"^(Graph execution error|Detected at node .*):|^<stack traces|\(most recent"
)


def find_tpu(root="/", environ=os.environ):
    """Return the evidence that this machine has a TPU: a device file or an environment variable.

    TPU v2 to v4 are `/dev/accel0` and so on. Later ones (v5e, v5p, v6e) are VFIO groups: a TPU is
    the group N of `/dev/vfio/N` that contains a PCI device of Google. Other hardware uses VFIO,
    too.

    Args:
        root: folder that contains `dev` and `sys`.
        environ: environment variables.

    Returns:
        For example "/dev/accel0" or "TPU_NAME", or None without a TPU.
    """
    for device in sorted(glob.glob("dev/accel[0-9]*", root_dir=root)):
        return f"/{device}"
    for device in sorted(glob.glob("dev/vfio/[0-9]*", root_dir=root)):
        group = f"sys/kernel/iommu_groups/{os.path.basename(device)}/devices/*/vendor"
        for vendor in glob.glob(group, root_dir=root):
            with open(os.path.join(root, vendor), encoding="ascii", errors="replace") as file:
                if file.read().strip().lower() == GOOGLE_PCI_VENDOR:
                    return f"/{device}"
    return next((name for name in ENVIRONMENT_VARIABLES if environ.get(name)), None)


def installed_version(package):
    """Return the version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_libtpu(version_of=installed_version):
    """Raise `UserError` if the installed libtpu would abort the process at `import tensorflow`."""
    tensorflow_tpu, libtpu = version_of("tensorflow-tpu"), version_of("libtpu")
    if not tensorflow_tpu or not libtpu:
        return
    version = tuple(int(number) for number in re.findall(r"\d+", libtpu)[:3])
    lowest, limit = LIBTPU_RANGE
    if not lowest <= version < limit:
        raise UserError(
            f"libtpu {libtpu} aborts the import of tensorflow-tpu {tensorflow_tpu}. "
            f'Install another one: pip install "{LIBTPU}"'
        )


def explain_failure(reason, evidence, version_of=installed_version):
    """Return one line that explains why no TPU could be initialized.

    Args:
        reason: message of TensorFlow's error.
        evidence: result of `find_tpu`.
        version_of: function package name -> version or None.
    """
    tensorflow, tensorflow_tpu = version_of("tensorflow"), version_of("tensorflow-tpu")
    if evidence is None:
        return (
            "no TPU found: there is no /dev/accel*, no VFIO group with a Google device, and none "
            f"of {', '.join(ENVIRONMENT_VARIABLES)} is set. Choose a machine with a TPU (Colab: "
            "Runtime > Change runtime type), or another train.strategy."
        )
    if tensorflow and tensorflow_tpu:
        return (
            f"no TPU could be initialized: tensorflow {tensorflow} and tensorflow-tpu "
            f"{tensorflow_tpu} are both installed and overwrite each other's files. Run: pip "
            f"uninstall -y tensorflow tensorflow-tpu && {INSTALL_COMMAND}"
        )
    if not tensorflow_tpu:
        return (
            f"no TPU could be initialized: {evidence} is a TPU, but tensorflow {tensorflow} has no "
            f"TPU support. Run: {INSTALL_COMMAND}"
        )
    if re.search(r"already in use|resource busy|permission_denied: open", reason, re.I):
        process = re.search(r"pid (\d+)", reason)
        owner = f"process {process[1]}" if process else "another process"
        return (
            f"the TPU {evidence} is used by {owner}. End it (in a notebook: restart the kernel of "
            "the other notebook), then try again."
        )
    lines = [line.strip() for line in reason.splitlines()]
    details = [line for line in lines if line and not UNINFORMATIVE.search(line)]
    detail = (details or ["no reason given"])[0][:300]
    if evidence in ENVIRONMENT_VARIABLES:
        return f"{evidence} is set, but no TPU device was found, and none answers: {detail}"
    return f"the TPU {evidence} could not be initialized: {detail}"
