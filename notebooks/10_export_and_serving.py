# %% [markdown]
# # 10. Export and serving
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/10_export_and_serving.ipynb)
#
# **You will learn** to export a trained network so that others can run it without your code: as a
# SavedModel with signatures (for a server), as TFLite (for a phone) and as ONNX (for other
# runtimes), and to verify at every step that its images are the same.
#
# **Prerequisites**: a Keras model that you have trained; notebook 3 (CGAN) for the second half.
# **Time**: 1 minute on two CPU cores.

# %%
FULL = False  # True: train the preset cgan_mnist (downloads MNIST once; 9 minutes on two CPU cores)
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
from tfgan_zoo.tools.notebook import (
    choose,
    load_pretrained,
    set_up,
    show_animation,
    show_diagram,
    show_images,
    show_rows,
    train_run,
)

set_up(full=FULL, drive=DRIVE)


# %% [markdown]
# ## The idea
#
# A Keras file stores weights and the *names* of layers. To load it, one needs the code of these
# layers. A **SavedModel** stores weights and *graphs*: the recorded operations of a function. To
# load it, one needs TensorFlow, in Python, C++, Java or Go, or TensorFlow Serving. A function that
# is exported under a name, with named inputs and outputs of fixed types, is called a **signature**.

# %%
show_diagram(
    {
        "code": (0, 1, "Python code\n+ weights", "#cfe3f5"),
        "saved": (1.9, 1, "SavedModel:\ngraphs + weights", "#fbe3b5"),
        "lite": (3.9, 2, "TFLite: phone", "#e5e5e5"),
        "server": (3.9, 1, "TensorFlow Serving: REST, gRPC", "#e5e5e5"),
        "onnx": (3.9, 0, "ONNX: other runtimes, browser", "#e5e5e5"),
        "margin": (4.6, 1, ""),
    },
    [
        ("code", "saved", "trace"),
        ("saved", "lite"),
        ("saved", "server"),
        ("saved", "onnx"),
    ],
    caption="A function is traced once. What is exported is the trace, not the code.",
    size=(9.5, 2.8),
)

# %% [markdown]
# ## From scratch: a SavedModel with signatures
#
# We need something to export: a small generator of digits that trains in seconds. An autoencoder
# compresses digits of 8x8 pixels to 16 numbers. Then a Gaussian is fitted to the codes of each
# class: with mean $\mu_k$ and covariance $C_k = L_k L_k^\top$, a new code of class $k$ is
# $\mu_k + 0.7\, L_k \varepsilon$ with $\varepsilon \sim N(0, I)$. The factor 0.7 avoids outliers.
# The decoder makes the code an image.

# %%
import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
pixels, labels = load_digits(return_X_y=True)
pixels = (pixels / 8.0 - 1.0).astype(np.float32)  # (1797, 64) in [-1, 1]

encoder = keras.Sequential([keras.layers.Dense(128, "relu"), keras.layers.Dense(16)])
decoder = keras.Sequential([keras.layers.Dense(128, "relu"), keras.layers.Dense(64, "tanh")])
autoencoder = keras.Sequential([keras.Input((64,)), encoder, decoder])
autoencoder.compile("adam", "mse")
history = autoencoder.fit(pixels, pixels, 64, epochs=choose(2, 60, 200), verbose=0).history
print(f"mean squared error {history['loss'][0]:.3f} -> {history['loss'][-1]:.3f}")

codes = encoder.predict(pixels, verbose=0)
means = np.stack([codes[labels == k].mean(axis=0) for k in range(10)])
roots = np.stack(
    [np.linalg.cholesky(np.cov(codes[labels == k].T) + 1e-4 * np.eye(16)) for k in range(10)]
)


# %% [markdown]
# The exported object is a `tf.Module`. Its methods take and return **what the outside
# world has**: integer labels, a seed, uint8 images. The range $[-1, 1]$ and the enlargement to
# 32x32 pixels remain inside, so nobody can get them wrong. `input_signature` fixes types and
# shapes; `None` is any size. Random numbers are a function of the seed (`stateless_normal`), so
# that equal requests get equal answers.


# %%
# The exported object.
class DigitGenerator(tf.Module):
    def __init__(self, encoder, decoder, means, roots):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.means = tf.Variable(means, dtype=tf.float32, trainable=False)
        self.roots = tf.Variable(roots, dtype=tf.float32, trainable=False)

    def to_images(self, flat):
        """(n, 64) in [-1, 1] -> uint8 (n, 32, 32, 1)."""
        images = tf.image.resize(tf.reshape(flat, (-1, 8, 8, 1)), (32, 32), "bilinear")
        return tf.cast(tf.round((tf.clip_by_value(images, -1.0, 1.0) + 1.0) * 127.5), tf.uint8)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int32, "labels"),
            tf.TensorSpec([], tf.int32, "seed"),
        ]
    )
    def sample(self, labels, seed):
        noise = tf.random.stateless_normal((tf.size(labels), 16), tf.stack([seed, 0]))
        spread = 0.7 * tf.linalg.matvec(tf.gather(self.roots, labels), noise)  # fewer outliers
        return {"images": self.to_images(self.decoder(tf.gather(self.means, labels) + spread))}

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.uint8, "images")])
    def reconstruct(self, images):
        flat = tf.reshape(tf.cast(images, tf.float32) / 127.5 - 1.0, (-1, 64))
        return {"images": self.to_images(self.decoder(self.encoder(flat)))}


module = DigitGenerator(encoder, decoder, means, roots)
tf.saved_model.save(
    module, "digits/1", signatures={"sample": module.sample, "reconstruct": module.reconstruct}
)
rows = {f"seed {seed}": module.sample(tf.range(10), seed)["images"] for seed in (0, 1, 2)}
show_rows(rows, width=900, caption="Samples of the classes 0 to 9 for three seeds.")

# %% [markdown]
# Now load it where none of the code above exists: in another process. This is the test that
# matters. In the notebook, everything is imported already, and a missing piece goes unnoticed.

# %%
import subprocess
import sys

program = """
import sys
import numpy as np
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
sample = model.signatures["sample"]
images = sample(labels=tf.range(10), seed=tf.constant(1))["images"].numpy()
np.save(sys.argv[2], images)
print(sorted(model.signatures), images.dtype, images.shape)
"""


def run_elsewhere(program, *arguments):
    """Run a Python program in a new process and print what it prints."""
    process = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    print(process.stdout, end="")


run_elsewhere(program, "digits/1", "elsewhere.npy")
difference = np.load("elsewhere.npy").astype(int) - module.sample(tf.range(10), 1)["images"]
print("largest difference:", np.abs(difference).max(), "of 255 levels")

# %% [markdown]
# Equal seeds give equal images, so a service can reproduce every response. A
# difference of one level would be allowed, because another batch size may sum in another order.
#
# ### What goes wrong
#
# A signature rejects inputs of another type or shape. The error names the expected ones:

# %%
try:
    module.reconstruct(tf.zeros((1, 28, 28, 1), tf.uint8))
except (TypeError, ValueError) as error:
    print(type(error).__name__ + ":", str(error).strip().splitlines()[0][:200])

# %% [markdown]
# What it cannot reject: a value that was computed in Python during tracing. It is stored as a
# constant. Here the noise is drawn once, when the function is traced, so both calls print the same:


# %%
# A mistake: random numbers of NumPy.
class Frozen(tf.Module):
    @tf.function(input_signature=[])
    def noise(self):
        return {"noise": tf.constant(np.random.normal(size=3))}  # Python, not TensorFlow


frozen = Frozen()
for _ in range(2):
    print(frozen.noise()["noise"].numpy())

# %% [markdown]
# - **Images differ from training**: range $[0, 1]$, $[-1, 1]$ or uint8. Fix: a uint8 interface
#   has one range only.
# - **Images differ between calls**: dropout or batch normalization in training mode. Fix: call
#   with `training=False`, compare two calls.
# - **Every response has the same noise**: NumPy or `random` inside of the traced function. Fix:
#   `tf.random.stateless_...` with a seed as an input.
# - **It does not load elsewhere**: custom Python layers in a `.keras` file. Fix: SavedModel,
#   tested in another process.
# - **The first request is slow**: the graph is optimized for each new shape. Fix: send one
#   request of each size at the start.
#
# ## The same with the package
#
# Every run of the package ends with a folder `saved_model/` of this form. All pretrained presets
# are such folders. Here is a pretrained CGAN:

# %%
exported = load_pretrained("cgan_mnist")
for name in exported.signatures:
    inputs = ", ".join(
        f"{key}: {spec.dtype.name} {spec.shape}" for key, spec in exported.inputs(name).items()
    )
    outputs = ", ".join(
        f"{key}: {spec.dtype.name} {spec.shape}"
        for key, spec in exported.signatures[name].structured_outputs.items()
    )
    print(f"{name}({inputs})\n    -> {outputs}")
show_images(
    exported.sample(20, seed=7, labels=np.arange(10)),
    columns=10,
    caption="Samples of the pretrained `cgan_mnist`.",
)

# %% [markdown]
# The signature `sample` is that of our module, with one more input. `blend` takes weights of
# classes instead of a label. It can be used for a transition from 3 to 8:

# %%
z = exported.latent(12, seed=5)
frames = []
for weight in np.linspace(0, 1, choose(3, 15, 30)):
    weights = np.zeros((12, 10), np.float32)
    weights[:, 3], weights[:, 8] = 1 - weight, weight
    blended = exported.signatures["blend"](z=tf.constant(z), labels=tf.constant(weights))
    frames.append(blended["images"].numpy())
show_animation(frames, count=15, seconds=3, caption="`blend`: from class 3 to class 8.")

# %% [markdown]
# ## Train and export a run
#
# A short training. A finished run has three forms of the model:
#
# | | content | required to load it |
# |---|---|---|
# | `checkpoints/` | weights and optimizer states, to resume training | this package |
# | `model.keras` | networks and configuration | this package and Keras |
# | `saved_model/` | the generator, as graphs with named inputs | **TensorFlow alone** |

# %%
preset = choose("cgan_tiny", "cgan_digits", "cgan_mnist")
small = ["model.width=16", "model.discriminator_condition=projection", "model.ema_decay=0.99"]
run = train_run(
    "to_export", preset, *choose([], [*small, "train.epochs=14", "train.sample_every=2"], [])
)
show_animation(run, share=0.4, caption="The training of the run to export.")
print("\n".join(sorted(path.name + "/" * path.is_dir() for path in run.iterdir())))

# %% [markdown]
# `saved_model/` also has a **model card**: data and license, the training command, usage,
# limitations, and the SHA-256 of the trained weights, so that nobody has to guess which training a
# file comes from.

# %%
import json

card = (run / "saved_model" / "README.md").read_text()
table = [line for line in card.splitlines() if line.startswith("|")]
print("\n".join(table)[:1500])
result = json.loads((run / "result.json").read_text())
print("\nthe weights of the run are in the card:", result["weights_sha256"] in card)

# %% [markdown]
# ## Serving
#
# TensorFlow Serving loads a folder, which must be named by a version number, and offers REST and
# gRPC:
#
# ```sh
# docker run -p 8501:8501 -v "$PWD/digits:/models/digits" -e MODEL_NAME=digits tensorflow/serving
# curl -d '{"signature_name": "sample", "inputs": {"labels": [3, 8], "seed": 7}}' \
#     http://localhost:8501/v1/models/digits:predict
# ```
#
# The body of a request names a signature and its inputs. The next cell replaces the server by a
# Python function: it receives the JSON that `curl` sends, and returns the JSON that a client reads.

# %%
loaded = tf.saved_model.load("digits/1")


def respond(body):
    """Return the JSON response to the JSON body of a request."""
    request = json.loads(body)
    signature = loaded.signatures[request["signature_name"]]
    specs = signature.structured_input_signature[1]
    inputs = {
        name: tf.constant(value, specs[name].dtype) for name, value in request["inputs"].items()
    }
    return json.dumps({"outputs": signature(**inputs)["images"].numpy().tolist()})


response = respond('{"signature_name": "sample", "inputs": {"labels": [3, 8, 3, 8], "seed": 7}}')
print(f"{len(response):,} characters of JSON:", response[:60], "...")
show_images(
    np.array(json.loads(response)["outputs"], np.uint8),
    columns=4,
    width=560,
    caption="The response.",
)

# %% [markdown]
# JSON needs about six characters per pixel. A real service would send PNG files, or the bytes of
# gRPC.
#
# ### Batch size and speed
#
# One image per call is inefficient. Batches increase the latency for a client and reduce the work
# per image.

# %%
import time

for n in choose((1, 8), (1, 4, 16, 64), (1, 4, 16, 64, 256)):
    z, digits = exported.latent(n, 0), tf.zeros(n, tf.int32)
    exported(z, labels=digits)  # the first call of a size is slower
    begin = time.perf_counter()
    repeats = choose(1, 10, 50)
    for _ in range(repeats):
        exported(z, labels=digits)
    milliseconds = 1000 * (time.perf_counter() - begin) / repeats
    print(f"batch size {n:3}: {milliseconds:6.1f} ms per batch, {milliseconds / n:6.2f} per image")

# %% [markdown]
# ## TFLite and ONNX
#
# **TFLite** for phones and small devices: one file. From scratch, it is a converter and an
# interpreter. The interpreter is the package `ai-edge-litert` (the extra `tflite`). Older versions
# of TensorFlow have it too:

# %%
from tfgan_zoo.quiet import silence_native_output

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    Interpreter = tf.lite.Interpreter

with silence_native_output():
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [loaded.signatures["reconstruct"]], loaded
    )
    content = converter.convert()
    interpreter = Interpreter(model_content=content)
    reconstruct = interpreter.get_signature_runner()
    digit = ((pixels[:1].reshape(1, 8, 8, 1) + 1) * 127.5).astype(np.uint8)
    lite = reconstruct(images=digit)["images"]
difference = np.abs(lite.astype(int) - module.reconstruct(digit)["images"]).max()
print(f"{len(content) / 1000:.0f} kB, largest difference {difference} of 255 levels")

# %% [markdown]
# With the package it is one function or command (`tfgan-zoo export RUN --format tflite`). It
# compares the images of the file with those of the model before it writes the file. Without the
# extra `tflite`, an error message says how to install it.

# %%
from tfgan_zoo.saving.export_file import export_file

try:
    lite = export_file(run, run / "model.tflite", "tflite", overwrite=True)
    print(f"{lite.name}: {lite.stat().st_size / 1e6:.2f} MB")
except tfgan_zoo.UserError as error:
    print(error)

# %% [markdown]
# **ONNX** for other runtimes and browsers. It needs the extra `onnx`.

# %%
try:
    print(export_file(run, run / "model.onnx", "onnx", overwrite=True).name)
except tfgan_zoo.UserError as error:
    print(error)

# %% [markdown]
# ## Export of translation models
#
# Translation and style models are exported in the same way, for images of any height and width.
# The graph pads the image to the multiple of pixels that the network needs, and crops the result.

# %%
from tfgan_zoo.data import builtin_images
from tfgan_zoo.data.transforms import resize_longer_side

stylizer = load_pretrained("fast_mosaic")
for size in (200, 321):
    image = resize_longer_side(builtin_images.photograph("china"), size)
    stylized = stylizer.stylize(image)
    print(image.shape, "->", stylized.shape)
show_images([image, stylized], columns=2, width=900, caption="The exported `fast_mosaic`.")

# %% [markdown]
# ## Exercises
#
# 1. Add a signature `blend(weights, seed)` to `DigitGenerator`: weights of classes (n, 10) instead
#    of labels.
# 2. Encode the response as PNG in the signature itself. How many bytes does it save?
# 3. What happens if `sample` uses `tf.random.normal` instead of `tf.random.stateless_normal`?
# 4. Why does the TFLite file of a translation model have a fixed size unless `--size any` is given?
# 5. Load the SavedModel from C++, Java or Go.
#
# <details>
# <summary>Solutions</summary>
#
# 1. `means = tf.matmul(weights, self.means)` and
#    `roots = tf.einsum("nk,kij->nij", weights, self.roots)`, then as in `sample`. Its
#    `TensorSpec` is `([None, 10], tf.float32, "weights")`.
# 2. Return `{"png": tf.map_fn(tf.io.encode_png, images, fn_output_signature=tf.string)}`. It saves
#    most of the JSON, which has about six characters per pixel.
# 3. Each call gives other images, and no request can be repeated. With `set_seed` before the
#    export it gives the same sequence after each start of the server.
# 4. TFLite plans the memory of all tensors when it loads the file (`allocate_tensors`). A
#    SavedModel allocates in each call. `tfgan-zoo export RUN --format tflite --size 128x256` fixes
#    it.
# 5. All of them have `LoadSavedModel` or a similar function, and call a signature by its name.
#
# </details>
#
# ## What next
#
# - [Notebook 11](11_many_devices_and_colab_tpu.ipynb): train on several devices.
# - `tfgan-zoo demo`: try all pretrained models in a browser.
