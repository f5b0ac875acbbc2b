# %% [markdown]
# # 10. Export and serving: out of the notebook
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/10_export_and_serving.ipynb)
#
# A trained model is worth something when others can run it: in a server, on a phone, in five years. This notebook follows one model on
# its way out, and checks at every step that it still makes the same images.

# %%
FULL = False  # True: the real preset cgan_mnist (downloads MNIST once; 9 minutes on two CPU cores)

# %% jupyter={"source_hidden": true} tags=["setup"]
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
        packages += ["scikit-learn", "matplotlib", "pillow", "keras>=3.15,<4"]
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


# %% [markdown]
# ## A run, and what lies in it

# %%
preset = choose("cgan_tiny", "cgan_digits", "cgan_mnist")
small = ["model.width=16", "model.discriminator_condition=projection", "model.ema_decay=0.99"]
run = train_run(
    "to_export", preset, *choose([], [*small, "train.epochs=20", "train.sample_every=5"], [])
)
for path in sorted(run.iterdir()):
    print(path.name + ("/" if path.is_dir() else ""))

# %% [markdown]
# Three forms of the model are there already:
#
# | | what it is | who needs what to load it |
# |---|---|---|
# | `checkpoints/` | everything, optimizers as well, to go on training | this package |
# | `model.keras` | networks and configuration | this package and Keras |
# | `saved_model/` | the generator alone, as graphs with named inputs and outputs | **TensorFlow alone** |
#
# ## The SavedModel
#
# Inside the zoo images are floats in $[-1, 1]$. The outside world has bytes. So an exported model takes and gives `uint8` images,
# integer labels, and a seed. What it can do is a list of **signatures**:

# %%
exported = tfgan_zoo.load(run / "saved_model")
for name in exported.signatures:
    inputs = ", ".join(
        f"{key}: {spec.dtype.name} {spec.shape}" for key, spec in exported.inputs(name).items()
    )
    outputs = ", ".join(
        f"{key}: {spec.dtype.name} {spec.shape}"
        for key, spec in exported.signatures[name].structured_outputs.items()
    )
    print(f"{name}({inputs})\n    -> {outputs}")

# %% [markdown]
# They are ordinary functions in the model's code:

# %%
from tfgan_zoo.models.latent import LatentModel
from tfgan_zoo.saving.saved_model import save_signatures

show_source(LatentModel.signatures, save_signatures)

# %% [markdown]
# The proof that TensorFlow is enough: another process, which never imports this package.

# %%
import subprocess
import sys

import numpy as np

program = """
import sys
import numpy as np
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
images = model.signatures["sample"](n=tf.constant(20), seed=tf.constant(7), labels=tf.range(10))["images"].numpy()
assert "tfgan_zoo" not in sys.modules and "keras" not in str(type(model))
np.save(sys.argv[2], images)
print(images.dtype, images.shape)
"""
done = subprocess.run(
    [sys.executable, "-c", program, run / "saved_model", "alone.npy"],
    capture_output=True,
    text=True,
    check=True,
)
print(done.stdout)
alone, here = np.load("alone.npy"), tfgan_zoo.load(run).sample(20, seed=7, labels=np.arange(10))
print(
    "largest difference to the model itself:",
    np.abs(alone.astype(int) - here).max(),
    "of 255 levels",
)
show_images(alone, columns=10)

# %% [markdown]
# Equal seeds, equal images: a service can repeat every answer it ever gave. (One level of difference would be allowed: another batch
# size may sum in another order.)
#
# A **model card** lies beside it: data and licence, the command that trained it, the weights' digest, how to use it, its limits.

# %%
from IPython.display import Markdown, display

card = (run / "saved_model" / "README.md").read_text()
display(
    Markdown(
        card.replace("![samples](samples.png)\n\n", "")
        .replace("\n#", "\n####")
        .replace("# ", "#### ", 1)
    )
)

# %% [markdown]
# ## Serving
#
# TensorFlow Serving takes the folder as it is; it wants a number for the version, and then speaks REST and gRPC:
#
# ```sh
# mkdir -p models/digits && cp -r runs/to_export_normal/saved_model models/digits/1
# docker run -p 8501:8501 -v "$PWD/models:/models" -e MODEL_NAME=digits tensorflow/serving
# curl -d '{"signature_name": "sample", "inputs": {"n": 4, "seed": 7, "labels": [3, 8]}}' \
#     http://localhost:8501/v1/models/digits:predict
# ```
#
# The body of a request names the inputs of a signature. Here a stand-in for the server, in pure Python: it is given the JSON that
# `curl` sends, and answers with what a client would read.

# %%
import json

import tensorflow as tf


def answer(body):
    """What a server does with the body of a request: JSON in, JSON out."""
    request = json.loads(body)
    signature = exported.signatures[request["signature_name"]]
    specs = exported.inputs(request["signature_name"])
    given = {
        name: tf.constant(value, specs[name].dtype) for name, value in request["inputs"].items()
    }
    return json.dumps({"outputs": signature(**given)["images"].numpy().tolist()})


reply = answer('{"signature_name": "sample", "inputs": {"n": 4, "seed": 7, "labels": [3, 8]}}')
print(f"{len(reply):,} characters of JSON:", reply[:60], "...")
show_images(np.array(json.loads(reply)["outputs"], np.uint8), columns=4)

# %% [markdown]
# JSON spends about five characters a pixel. Behind a real service you would send PNG, or gRPC's bytes.
#
# ### How fast?
#
# One image at a time wastes the machine. Batches cost a client waiting time and the server less work for each image.

# %%
import time

timings = {}
for n in choose((1, 8), (1, 4, 16, 64, 256), (1, 4, 16, 64, 256)):
    z, digits = exported.latent(n, 0), tf.zeros(n, tf.int32)
    exported(z, labels=digits)  # the first call of a size is slower
    begin = time.perf_counter()
    repeats = choose(1, 20, 50)
    for _ in range(repeats):
        exported(z, labels=digits)
    timings[n] = (time.perf_counter() - begin) / repeats
    print(
        f"batches of {n:3}: {1000 * timings[n]:6.1f} ms a batch, {1000 * timings[n] / n:6.2f} ms an image"
    )

# %% [markdown]
# ## Other forms
#
# **TFLite** for phones and small machines: one file, one image at a time. It is compared with the model before it gets its name.

# %%
from tfgan_zoo.quiet import silence_native_output
from tfgan_zoo.saving.export_file import export_file

lite = run / "model.tflite"
if not lite.exists():
    export_file(run, lite, "tflite")
print(f"{lite.name}: {lite.stat().st_size / 1e6:.2f} MB")

with silence_native_output():
    runner = tf.lite.Interpreter(str(lite)).get_signature_runner("generate")
for name, details in runner.get_input_details().items():
    print(f"    {name}: {details['dtype'].__name__} {details['shape'].tolist()}")

# %% [markdown]
# **ONNX** for other runtimes. It needs the extra `onnx`: where it is missing, the message says so.

# %%
try:
    print(export_file(run, run / "model.onnx", "onnx").name)
except tfgan_zoo.UserError as error:
    print(error)

# %% [markdown]
# ## Images in, images out
#
# Translation models export the same way: `translate(images)` takes any height and width. What the network needs (multiples of some
# number of pixels) is padded and cropped inside the graph, so that nobody outside has to know.

# %%
translator_run = train_run("translator", "pix2pix_tiny")
translator = tfgan_zoo.load(translator_run / "saved_model")
for height, width in ((64, 64), (50, 83)):
    image = np.zeros((height, width, 3), np.uint8)
    print(image.shape, "->", translator.translate(image).shape)

# %% [markdown]
# ## What goes wrong, and how one sees it
#
# - **Different images than in training.** Mostly scaling: $[0, 1]$, $[-1, 1]$ or bytes? Bytes at the border leave no question.
# - **Different images each time.** Dropout or batch norm left in training mode. Call twice, compare. Here `export` compares with the
#   model and refuses to finish if an image differs by more than one level.
# - **It does not load elsewhere.** Custom layers need their code; a SavedModel has graphs and needs none. Test in a process without
#   your package, as above, not in the notebook that has everything imported.
# - **Which weights are these?** The card has a digest of the training's weights:

# %%
result = json.loads((run / "result.json").read_text())
print("trained:", result["weights_sha256"][:16])
print("in card:", result["weights_sha256"] in card)

# %% [markdown]
# ## Exercises
#
# 1. `blend` takes weights of classes in place of labels. Ask for a digit that is half 3 and half 8, in JSON.
# 2. Save the reply as PNG in the signature itself (`tf.io.encode_png`): how many bytes less?
# 3. `tfgan-zoo export RUN --format tflite --size 128x256` of a Pix2Pix. Why does TFLite want a size and the SavedModel not?
# 4. Load the SavedModel from C++, Java or Go. All of them can call a signature by its name.
