# %% [markdown]
# # 10. Export and serving
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/10_export_and_serving.ipynb)
#
# A trained model is exported so that others can run it: in a server, on a phone, in a browser. This
# notebook exports one model and verifies at every step that its images are the same.

# %%
FULL = False  # True: the real preset cgan_mnist (downloads MNIST once; 9 minutes on two CPU cores)
DRIVE = False  # True on Colab: write runs to Google Drive; after a disconnect run all cells again

# %% jupyter={"source_hidden": true} tags=["setup"]
# @title Install tfgan_zoo if it is missing, for example on Colab { display-mode: "form" }
import importlib.util
import subprocess
import sys

REPOSITORY = "https://github.com/tfgan-zoo/tfgan_zoo"
if importlib.util.find_spec("tfgan_zoo") is None:
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", f"git+{REPOSITORY}"]
    subprocess.run(pip, check=True)
    subprocess.run([sys.executable, "-m", "tfgan_zoo.tools.install"], check=True)


# %%
import tfgan_zoo
from tfgan_zoo.tools.notebook import choose, set_up, show_images, show_source, train_run

set_up(full=FULL, drive=DRIVE)


# %% [markdown]
# ## The files of a run

# %%
preset = choose("cgan_tiny", "cgan_digits", "cgan_mnist")
small = ["model.width=16", "model.discriminator_condition=projection", "model.ema_decay=0.99"]
run = train_run(
    "to_export", preset, *choose([], [*small, "train.epochs=20", "train.sample_every=5"], [])
)
for path in sorted(run.iterdir()):
    print(path.name + ("/" if path.is_dir() else ""))

# %% [markdown]
# A finished run has three forms of the model:
#
# | | content | required to load it |
# |---|---|---|
# | `checkpoints/` | weights and optimizer states, to resume training | this package |
# | `model.keras` | networks and configuration | this package and Keras |
# | `saved_model/` | the generator alone, as graphs with named inputs and outputs | **TensorFlow alone** |
#
# ## The SavedModel
#
# Inside the package, images are floats in $[-1, 1]$. An exported model takes and returns `uint8`
# images, integer labels and a seed. Its functions are called **signatures**:

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
# Signatures are ordinary functions in the code of the model:

# %%
from tfgan_zoo.models.latent import LatentModel
from tfgan_zoo.saving.saved_model import save_signatures

show_source(LatentModel.signatures, save_signatures)

# %% [markdown]
# TensorFlow alone is enough. This process loads the model and never imports this package:

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
process = subprocess.run(
    [sys.executable, "-c", program, run / "saved_model", "other_process.npy"],
    capture_output=True,
    text=True,
    check=True,
)
print(process.stdout)
exported_images, images = (
    np.load("other_process.npy"),
    tfgan_zoo.load(run).sample(20, seed=7, labels=np.arange(10)),
)
print(
    "largest difference from the model:",
    np.abs(exported_images.astype(int) - images).max(),
    "of 255 levels",
)
show_images(exported_images, columns=10)

# %% [markdown]
# Equal seeds give equal images, so a service can reproduce every response. A difference of one
# level would be allowed, because another batch size may sum in another order.
#
# The folder also has a **model card**: data and license, the training command, the SHA-256 of the
# weights, usage, limitations.

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
# TensorFlow Serving loads the folder, which must be named by a version number, and offers REST and
# gRPC:
#
# ```sh
# mkdir -p models/digits && cp -r runs/to_export_normal/saved_model models/digits/1
# docker run -p 8501:8501 -v "$PWD/models:/models" -e MODEL_NAME=digits tensorflow/serving
# curl -d '{"signature_name": "sample", "inputs": {"n": 4, "seed": 7, "labels": [3, 8]}}' \
#     http://localhost:8501/v1/models/digits:predict
# ```
#
# The body of a request names a signature and its inputs. The next cell replaces the server by a
# Python function: it receives the JSON that `curl` sends, and returns the JSON that a client reads.

# %%
import json

import tensorflow as tf


def respond(body):
    """Return the JSON response to the JSON body of a request."""
    request = json.loads(body)
    signature = exported.signatures[request["signature_name"]]
    specs = exported.inputs(request["signature_name"])
    inputs = {
        name: tf.constant(value, specs[name].dtype) for name, value in request["inputs"].items()
    }
    return json.dumps({"outputs": signature(**inputs)["images"].numpy().tolist()})


response = respond('{"signature_name": "sample", "inputs": {"n": 4, "seed": 7, "labels": [3, 8]}}')
print(f"{len(response):,} characters of JSON:", response[:60], "...")
show_images(np.array(json.loads(response)["outputs"], np.uint8), columns=4)

# %% [markdown]
# JSON needs about five characters per pixel. A real service would send PNG files, or the bytes of
# gRPC.
#
# ### Batch size and speed
#
# One image per call is inefficient. Batches increase the latency for a client and reduce the work
# per image.

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
    batch_ms = 1000 * timings[n]
    print(f"batch size {n:3}: {batch_ms:6.1f} ms per batch, {batch_ms / n:6.2f} ms per image")

# %% [markdown]
# ## TFLite and ONNX
#
# **TFLite** for phones and small devices: one file, one image per call. The exporter compares its
# images with the model before it writes the file.

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
# **ONNX** for other runtimes. It needs the extra `onnx`: without it, an error message says how to
# install it.

# %%
try:
    print(export_file(run, run / "model.onnx", "onnx").name)
except tfgan_zoo.UserError as error:
    print(error)

# %% [markdown]
# ## Export of translation models
#
# Translation models are exported in the same way: `translate(images)` takes any height and width.
# The graph pads the image to the multiple of pixels that the network needs, and crops the result.

# %%
translator_run = train_run("translator", "pix2pix_tiny")
translator = tfgan_zoo.load(translator_run / "saved_model")
for height, width in ((64, 64), (50, 83)):
    image = np.zeros((height, width, 3), np.uint8)
    print(image.shape, "->", translator.translate(image).shape)

# %% [markdown]
# ## What can go wrong
#
# - **Images differ from training.** The usual reason is the range: $[0, 1]$, $[-1, 1]$ or uint8. A
#   uint8 interface has only one range.
# - **Images differ between calls.** Dropout or batch normalization is in training mode. Call the
#   model twice and compare. `export` compares with the model and fails if an image differs by more
#   than one level.
# - **The model does not load elsewhere.** Custom layers need their code. A SavedModel contains
#   graphs and needs no code. Test it in a process without your package, as above, and not in the
#   notebook that has everything imported.
# - **Unknown weights.** The model card has the SHA-256 of the trained weights:

# %%
result = json.loads((run / "result.json").read_text())
print("trained:", result["weights_sha256"][:16])
print("in card:", result["weights_sha256"] in card)

# %% [markdown]
# ## Exercises
#
# 1. `blend` takes weights of classes instead of labels. Request a digit that is half 3 and half 8,
#    in JSON.
# 2. Encode the response as PNG in the signature itself (`tf.io.encode_png`). How many bytes does it
#    save?
# 3. `tfgan-zoo export RUN --format tflite --size 128x256` for a Pix2Pix model. Why does TFLite need
#    a size and the SavedModel not?
# 4. Load the SavedModel from C++, Java or Go. All of them can call a signature by its name.
