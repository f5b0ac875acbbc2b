# @title Setup: install tfgan_zoo if it is missing, import helper functions { display-mode: "form" }
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys

REPOSITORY = "https://github.com/tfgan-zoo/tfgan_zoo"

if importlib.util.find_spec("tfgan_zoo") is None:  # for example on Colab
    pip = [sys.executable, "-m", "pip"]
    tensorflow = [d.version for d in importlib.metadata.distributions(name="tensorflow")][:1]
    on_tpu = os.path.exists("/dev/accel0") or any(
        name in os.environ for name in ("TPU_NAME", "TPU_ACCELERATOR_TYPE", "COLAB_TPU_1VM")
    )
    if on_tpu:  # the newest TensorFlow has no TPU build, and tensorflow-tpu must replace tensorflow
        libtpu = "https://storage.googleapis.com/libtpu-tf-releases/index.html"
        packages = ["tensorflow-datasets", "tensorflow-metadata<1.18", "importlib_resources"]
        packages += ["scikit-learn", "matplotlib", "pillow", "jinja2", "keras>=3.15,<4"]
        subprocess.run([*pip, "uninstall", "-q", "-y", "tensorflow"], check=True)
        subprocess.run([*pip, "install", "-q", "tensorflow-tpu==2.19.1", "-f", libtpu], check=True)
        subprocess.run([*pip, "install", "-q", *packages], check=True)
        subprocess.run([*pip, "install", "-q", "--no-deps", f"git+{REPOSITORY}"], check=True)
    else:  # keep the installed TensorFlow, which fits the CUDA of this machine
        pins = [f"tensorflow=={version}" for version in tensorflow]
        if tensorflow and tensorflow[0].startswith("2.19."):
            pins.append("tensorflow-metadata<1.18")
        extra = "[cuda]" if shutil.which("nvidia-smi") and not tensorflow else ""
        package = f"tfgan_zoo{extra} @ git+{REPOSITORY}"
        subprocess.run([*pip, "install", "-q", package, *pins], check=True)

import tfgan_zoo
from tfgan_zoo.tools.notebook import (
    choose,
    evaluate_run,
    plot_curves,
    read_losses,
    set_up,
    show_image,
    show_images,
    show_samples,
    show_source,
    train_in_memory,
    train_run,
)

set_up(full=FULL)
