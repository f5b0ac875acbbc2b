# %% [markdown]
# # 11. Many devices, and Colab's TPU
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/11_many_devices_and_colab_tpu.ipynb)
#
# The same command trains on a laptop, on eight GPUs, on two machines or on a TPU. This notebook shows what has to be right for that,
# by experiments that run everywhere: two logical CPUs stand in for two devices. They are not faster, they just behave like two.

# %%
FULL = False  # True: dcgan_mnist in place of a tiny network (downloads MNIST once); on Colab choose a GPU or TPU runtime first

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
# ## What is here?

# %%
import tensorflow as tf

from tfgan_zoo.training import distribute

print(distribute.describe_machine())
print("GPUs:", len(tf.config.list_physical_devices("GPU")), "  a TPU:", distribute.has_tpu())

# %% [markdown]
# `train.strategy=auto` takes a TPU if there is one, else all GPUs, else the CPU. This function is the only place that knows devices.

# %%
show_source(distribute.make_strategy)

# %% [markdown]
# ## Two replicas
#
# Every replica has a copy of the weights and sees **its part of the global batch**. `data.batch_size` is the global one, so going from
# one device to four changes no hyper-parameter. With $R$ replicas and losses that are means,
#
# $$L = \frac1n \sum_{i=1}^n \ell_i = \frac1R \sum_{r=1}^R L_r, \qquad \nabla L = \sum_{r=1}^R \nabla \frac{L_r}{R}.$$
#
# Gradients are *summed* over replicas, so each replica must divide its loss by $R$. Forget it, and the gradient is $R$ times too
# large. Adam hides the mistake (it does not care about the scale), SGD does not. It is done in one place of the zoo, `descend`:

# %%
from tfgan_zoo.models.base import ZooModel

show_source(ZooModel.descend)

# %% [markdown]
# This has to be the first training of the process: devices must be divided, and a TPU be started, before TensorFlow uses any.

# %%
preset = choose("gan_tiny", "gan_digits", "dcgan_mnist")
short = choose([], ["train.epochs=12", "train.sample_every=6"], ["train.epochs=2"])
if distribute.has_tpu():
    strategy = ["train.strategy=tpu"]
elif tf.config.list_physical_devices("GPU"):
    strategy = ["train.strategy=mirrored"]  # all GPUs
else:
    strategy = ["train.strategy=mirrored", "train.replicas=2"]
run = train_run("replicas", preset, *short, *strategy)

# %% [markdown]
# Does each replica see its part, and do the parts make the whole? The data are a function of seed, epoch and position alone, so this
# can be checked exactly.

# %%
import numpy as np

from tfgan_zoo.data import pipeline
from tfgan_zoo.data.datasets import load_for_experiment

experiment = tfgan_zoo.experiment(preset)
images = load_for_experiment(experiment)
arguments = (images, experiment.data, 0, experiment.data.batch_size)
whole = next(iter(pipeline.batches(*arguments, steps_per_epoch=4)))
parts = [
    next(iter(pipeline.batches(*arguments, steps_per_epoch=4, shard=i, shards=2))) for i in (0, 1)
]
print("global batch", whole.shape, "parts", [part.shape for part in parts])
print("together they are the global batch:", bool(np.all(tf.concat(parts, 0) == whole)))

# %% [markdown]
# And the noise? It must be *different* on each replica: two that draw the same $z$ do the same work twice, and no error says so. Here
# it depends on seed, step, replica and a name, with nothing to store.

# %%
show_source(ZooModel.noise, ZooModel.seed_of)

# %% [markdown]
# One device beside the two replicas. The curves agree in the large and not in the numbers: the noise is another one.

# %%
single = train_run("one_device", preset, *short, "train.strategy=cpu")
one, both = read_losses(single), read_losses(run)
plot_curves(
    {
        name: {"one device": one[name], "replicas": both[name]}
        for name in ("discriminator", "generator")
    }
)

# %% [markdown]
# Batch norm is worth a thought: each replica normalises by *its* part. With 64 images on 8 replicas these are 8 images' statistics.
# Keep the part of a replica large, or use a norm that does not mix images.
#
# ## Stopped, and gone on
#
# Cheap machines are taken away without notice. A run that was killed and goes on must end as if nothing had happened. Here: two epochs
# and then two more, beside four at once.

# %%
import json

for epochs in (2, 4):
    parted = train_run("stopped", "gan_tiny", f"train.epochs={epochs}", "train.strategy=cpu")
at_once = train_run("at_once", "gan_tiny", "train.epochs=4", "train.strategy=cpu")
digests = [
    json.loads((each / "result.json").read_text())["weights_sha256"] for each in (parted, at_once)
]
print("the same weights, to the bit:", digests[0] == digests[1])

# %% [markdown]
# ## Fewer, larger calls
#
# A fast device waits for Python. `steps_per_execution=10` makes ten steps in one call of the graph. It changes nothing else, and that
# can be checked as well.

# %%
import time

found = {}
for steps in (1, 4):
    begin = time.perf_counter()
    model, _ = train_in_memory(
        "gan_tiny", f"train.steps_per_execution={steps}", f"train.epochs={choose(2, 40, 40)}"
    )
    found[steps] = model.weights_sha256()
    print(f"{steps} steps a call: {time.perf_counter() - begin:.1f} s")
print("the same weights, to the bit:", found[1] == found[4])

# %% [markdown]
# Here, on a CPU, there may be nothing to gain: it does not wait for Python as a GPU does.
#
# ## XLA
#
# XLA compiles the whole step into one program. TPUs run nothing else; GPUs gain; CPUs often lose, so `train.xla=auto` is off there.
# The first step takes long (compilation), and every new shape compiles again: that is why all shapes in the zoo's steps are static.

# %%
for xla in ("off", "on"):
    begin = time.perf_counter()
    _, history = train_in_memory(
        "gan_tiny", f"train.xla={xla}", f"train.epochs={choose(2, 20, 20)}"
    )
    print(
        f"xla {xla:<4} {time.perf_counter() - begin:5.1f} s in all   D's loss at the end {history['discriminator'][-1]:.6f}"
    )

# %% [markdown]
# The same loss up to rounding.
#
# ## Half the bits
#
# `train.precision=mixed_bfloat16` (TPU, newer GPUs) or `mixed_float16` (GPUs): networks compute in 16 bits, weights and losses stay in
# 32. float16 has a small range, so its loss is scaled up before the gradient and down after it; bfloat16 has the range of float32 and
#    needs none.

# %%
from tfgan_zoo.runs import build_model

for precision in ("float32", "mixed_bfloat16", "mixed_float16"):
    experiment = tfgan_zoo.experiment("dcgan_tiny", f"train.precision={precision}")
    model = build_model(experiment, tf.distribute.get_strategy())
    layer = next(layer for layer in model.generator.layers if "conv" in layer.name)
    dtypes = f"computes in {layer.compute_dtype:<9} weights {layer.variable_dtype}   images {model(model.latent(2, 0)).dtype.name}"
    print(f"{precision:<15} {dtypes}   {type(model.generator_optimizer).__name__}")

# %% [markdown]
# ## A TPU
#
# On Colab: *Runtime > Change runtime type > TPU*, then run this notebook from the top (the other notebooks are made for CPU and GPU).
# The setup cell has put `tensorflow-tpu` in the place of TensorFlow: the newest TensorFlow has no TPU build, and the two must not
# stand side by side. The strategy is `TPUStrategy`, a step is one XLA program with static shapes, and many steps go into one call,
# since the TPU would wait for Python otherwise.

# %%
if distribute.has_tpu():
    on_tpu = [
        "train.strategy=tpu",
        "train.precision=mixed_bfloat16",
        "train.steps_per_execution=28",
    ]
    run = train_run("tpu", "dcgan_digits", *on_tpu, "train.epochs=40", "train.sample_every=10")
    show_images(tfgan_zoo.load(run).sample(32, seed=0), columns=16)
else:
    print("no TPU here")

# %% [markdown]
# To be honest about it: we have no TPU. What is tested is that every step of every model lowers to one XLA module with static shapes,
# and the same code on two replicas. If this cell fails for you, please tell us.
#
# ## Several machines
#
# Each runs the same command, with a `TF_CONFIG` that says who is in the cluster and which of them it is; the run folder is on a shared
# disk. Here two processes on this machine play two machines.

# %%
import os
import socket
import subprocess
import sys


def free_ports(count):
    """Ports of this machine that nobody listens to."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


command = [
    "-m",
    "tfgan_zoo",
    "train",
    "gan_tiny",
    "train.strategy=multiworker",
    "--run-dir",
    "runs/cluster",
    "--json",
]
cluster = {"worker": [f"localhost:{port}" for port in free_ports(2)]}
workers = []
for index in range(choose(0, 2, 2)):
    configuration = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
    environment = {**os.environ, "TF_CONFIG": configuration, "CUDA_VISIBLE_DEVICES": "-1"}
    workers.append(
        subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
    )
for index, worker in enumerate(workers):
    result = json.loads(worker.communicate(timeout=300)[0])
    print(
        f"worker {index}: {result['epochs']} epochs, weights {result['weights_sha256'][:16]}, writes metrics: {'metrics' in result}"
    )

# %% [markdown]
# Equal weights on both, and the first one alone writes files.
#
# ## When it goes wrong
#
# - **It is not faster.** Look at `images_per_second` in `metrics.csv`. Small networks are limited by Python:
#   `train.steps_per_execution`. Larger ones by the data: are the images in memory?
# - **A device is idle.** Is `data.batch_size` a multiple of the number of replicas? (Otherwise the command refuses.)
# - **NaN in float16.** Use `mixed_bfloat16`, where the device has it.
# - **Other results than on one device.** Noise and batch norm are per replica. To compare, use SGD, fixed noise and no batch norm: the
#   tests of this project do just that.
#
# ## Exercises
#
# 1. In `descend`, leave out the division by the number of replicas. With which optimizer would you notice, and how?
# 2. Train `dcgan_mnist` on Colab's GPU with `steps_per_execution` 1 and 10 (`train.steps_per_epoch=930`). What are the images per
#    second?
# 3. What does R1 (`model.penalty=r1`) cost on one device, in time a step?
