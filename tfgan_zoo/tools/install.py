"""Install the packages that tfgan_zoo needs on this machine, with the matching TensorFlow.

    pip install --no-deps git+https://github.com/tfgan-zoo/tfgan_zoo
    python -m tfgan_zoo.tools.install

A TPU needs `tensorflow-tpu` instead of `tensorflow`, which the requirements of a package cannot
express. On other machines an installed TensorFlow stays, because it fits the CUDA libraries. Needs
the standard library only.
"""

import argparse
import importlib.metadata
import re
import shlex
import shutil
import subprocess
import sys

from tfgan_zoo.tpu import LIBTPU, TENSORFLOW_TPU, find_tpu, installed_version


def pip_commands(requirements, tpu, nvidia_gpu, version_of=installed_version):
    """Return the arguments of the `pip` commands to run, in order.

    Args:
        requirements: the requirements of tfgan_zoo, without those of its extras.
        tpu: whether the machine has a TPU.
        nvidia_gpu: whether the machine has an NVIDIA GPU.
        version_of: function package name -> version or None.
    """
    others = [text for text in requirements if not re.match(r"tensorflow\b(?!-)", text)]
    (tensorflow,) = set(requirements) - set(others)
    installed, protobuf = version_of("tensorflow"), version_of("protobuf")
    if protobuf and int(protobuf.split(".")[0]) < 6:
        # Colab's image for GPUs. Later ones need protobuf 6.31, but do not require it
        # (tensorflow/metadata#68): tensorflow-datasets cannot be imported with them.
        others.append("tensorflow-metadata<1.18")
    if tpu:
        uninstall = [["uninstall", "-q", "-y", "tensorflow"]] if installed else []
        # pip would warn that tfgan_zoo requires tensorflow, which tensorflow-tpu provides.
        options = ["-q", "--no-warn-conflicts"]
        return [*uninstall, ["install", *options, TENSORFLOW_TPU, LIBTPU, *others]]
    if installed:
        return [["install", "-q", tensorflow, f"tensorflow=={installed}", *others]]
    if nvidia_gpu:
        tensorflow = tensorflow.replace("tensorflow", "tensorflow[and-cuda]", 1)
    return [["install", "-q", tensorflow, *others]]


def main():
    """Print and run the pip commands."""
    parser = argparse.ArgumentParser(
        prog="python -m tfgan_zoo.tools.install",
        description="Install the packages that tfgan_zoo needs, with the TensorFlow for this "
        "machine: tensorflow-tpu on a TPU, otherwise the installed one or the newest.",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the commands only")
    options = parser.parse_args()
    requirements = [
        text for text in importlib.metadata.requires("tfgan_zoo") if "extra ==" not in text
    ]
    evidence = find_tpu()
    print(f"TPU: {evidence}" if evidence else "no TPU found", flush=True)
    nvidia_gpu = shutil.which("nvidia-smi") is not None
    for arguments in pip_commands(requirements, bool(evidence), nvidia_gpu):
        print("pip", shlex.join(arguments), flush=True)
        if not options.dry_run:
            code = subprocess.run([sys.executable, "-m", "pip", *arguments]).returncode
            if code:
                raise SystemExit(code)


if __name__ == "__main__":
    main()
