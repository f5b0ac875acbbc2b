# %% [markdown]
# # 11. Multiple devices and TPUs
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/11_many_devices_and_colab_tpu.ipynb)
#
# The same command trains on a laptop, on eight GPUs, on several machines or on a TPU. This notebook
# shows what must be correct for that, with experiments that run everywhere: two logical CPUs
# replace two devices. They are not faster, but behave like two devices.

# %%
FULL = False  # True: dcgan_mnist in place of a tiny network (downloads MNIST once); on Colab choose a GPU or TPU runtime first
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
    plot_curves,
    read_losses,
    set_up,
    show_images,
    show_source,
    train_in_memory,
    train_run,
)

set_up(full=FULL, drive=DRIVE)


# %% [markdown]
# ## Available devices

# %%
import tensorflow as tf

from tfgan_zoo.tpu import find_tpu
from tfgan_zoo.training import distribute

print(distribute.describe_machine())
print("GPUs:", len(tf.config.list_physical_devices("GPU")), "  a TPU:", bool(find_tpu()))

# %% [markdown]
# `train.strategy=auto` uses a TPU if there is one, else all GPUs, else the CPU. Only this function
# depends on the devices:

# %%
show_source(distribute.make_strategy)

# %% [markdown]
# ## Two replicas
#
# Every replica has a copy of the weights and receives **its part of the global batch**.
# `data.batch_size` is the global batch size, so the number of devices changes no hyperparameter.
# With $R$ replicas and losses that are means,
#
# $$L = \frac1n \sum_{i=1}^n \ell_i = \frac1R \sum_{r=1}^R L_r, \qquad \nabla L = \sum_{r=1}^R \nabla \frac{L_r}{R}.$$
#
# Gradients are *summed* over replicas, so each replica must divide its loss by $R$. Otherwise the
# gradient is $R$ times too large. Adam hides the error, because the scale of a loss does not matter
# to it. SGD does not. `descend` is the only place that does it:

# %%
from tfgan_zoo.models.base import ZooModel

show_source(ZooModel.descend)

# %% [markdown]
# This must be the first training of the process: logical devices are created, and a TPU is
# initialized, before TensorFlow uses any device.

# %%
preset = choose("gan_tiny", "gan_digits", "dcgan_mnist")
short = choose([], ["train.epochs=12", "train.sample_every=6"], ["train.epochs=2"])
if find_tpu():
    strategy = ["train.strategy=tpu"]
elif tf.config.list_physical_devices("GPU"):
    strategy = ["train.strategy=mirrored"]  # all GPUs
else:
    strategy = ["train.strategy=mirrored", "train.replicas=2"]
run = train_run("replicas", preset, *short, *strategy)

# %% [markdown]
# Does each replica receive its part, and are the parts together the global batch? The data are a
# function of seed, epoch and position alone, so this can be checked exactly.

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
print("equal to the global batch:", bool(np.all(tf.concat(parts, 0) == whole)))

# %% [markdown]
# Noise must be *different* on each replica. Two replicas with the same $z$ do the same work twice,
# and no error reports it. Here the noise is a function of seed, step, replica and a name, without
# any stored state.

# %%
show_source(ZooModel.noise, ZooModel.seed_of)

# %% [markdown]
# Training on one device for comparison. The curves have the same shape but different values,
# because the noise differs.

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
# Batch normalization uses the statistics of *the part of a replica*. With 64 images on 8 replicas,
# these are the statistics of 8 images. Use a large batch per replica, or a normalization that does
# not mix images.
#
# ## Resume a training
#
# Preemptible machines stop without notice. A resumed run must end with the same weights as an
# uninterrupted one. Here: two epochs and then two more, compared with four epochs at once.

# %%
import json

for epochs in (2, 4):
    resumed = train_run("stopped", "gan_tiny", f"train.epochs={epochs}", "train.strategy=cpu")
uninterrupted = train_run("at_once", "gan_tiny", "train.epochs=4", "train.strategy=cpu")
digests = [
    json.loads((run / "result.json").read_text())["weights_sha256"]
    for run in (resumed, uninterrupted)
]
print("bit-identical weights:", digests[0] == digests[1])

# %% [markdown]
# ## Several steps per call
#
# A fast device waits for Python. `steps_per_execution=10` executes ten steps in one call of the
# graph. It changes nothing else, which can be checked as well.

# %%
import time

digests = {}
for steps in (1, 4):
    begin = time.perf_counter()
    model, _ = train_in_memory(
        "gan_tiny", f"train.steps_per_execution={steps}", f"train.epochs={choose(2, 40, 40)}"
    )
    digests[steps] = model.weights_sha256()
    print(f"{steps} steps per call: {time.perf_counter() - begin:.1f} s")
print("bit-identical weights:", digests[1] == digests[4])

# %% [markdown]
# On a CPU there may be no gain, because it does not wait for Python as a GPU does.
#
# ## XLA
#
# XLA compiles the whole step into one program. TPUs require it, GPUs become faster, CPUs often
# become slower, so `train.xla=auto` disables it there. The first step is slow (compilation), and
# every new shape is compiled again. Therefore all shapes in a training step are static.

# %%
for xla in ("off", "on"):
    begin = time.perf_counter()
    _, history = train_in_memory(
        "gan_tiny", f"train.xla={xla}", f"train.epochs={choose(2, 20, 20)}"
    )
    seconds, loss = time.perf_counter() - begin, history["discriminator"][-1]
    print(f"xla {xla:<4} {seconds:5.1f} s in total   final loss of D {loss:.6f}")

# %% [markdown]
# The losses are equal up to rounding.
#
# ## Mixed precision
#
# `train.precision=mixed_bfloat16` (TPUs, newer GPUs) or `mixed_float16` (GPUs): networks compute
# with 16 bits, weights and losses have 32 bits. float16 has a small range, so its loss is scaled up
# before the gradient and down after it. bfloat16 has the range of float32 and needs no scaling.

# %%
from tfgan_zoo.runs import build_model

for precision in ("float32", "mixed_bfloat16", "mixed_float16"):
    experiment = tfgan_zoo.experiment("dcgan_tiny", f"train.precision={precision}")
    model = build_model(experiment, tf.distribute.get_strategy())
    layer = next(layer for layer in model.generator.layers if "conv" in layer.name)
    dtypes = f"compute {layer.compute_dtype:<9} weights {layer.variable_dtype}"
    images = model(model.latent(2, 0)).dtype.name
    optimizer = type(model.generator_optimizer).__name__
    print(f"{precision:<15} {dtypes}   images {images}   {optimizer}")

# %% [markdown]
# ## TPU
#
# On Colab, choose *Runtime > Change runtime type > TPU*, then run this notebook from the top. The
# first cell installs `tensorflow-tpu` there instead of `tensorflow`: the newest TensorFlow has no
# TPU build, and the two must not be installed together. The strategy is `TPUStrategy`. A step is
# one XLA program with static shapes, and one call executes many steps, because the TPU would wait
# for Python otherwise.

# %%
if find_tpu():
    on_tpu = [
        "train.strategy=tpu",
        "train.precision=mixed_bfloat16",
        "train.steps_per_execution=28",
    ]
    run = train_run("tpu", "dcgan_digits", *on_tpu, "train.epochs=40", "train.sample_every=10")
    show_images(tfgan_zoo.load(run).sample(32, seed=0), columns=16)
else:
    print("no TPU available")

# %% [markdown]
# This cell has not been run on a real TPU. The tests verify that every step of every model compiles
# to one XLA module with static shapes, and run the same code on two replicas. If the cell fails,
# please report it.
#
# ## Several machines
#
# Each machine runs the same command. The variable `TF_CONFIG` names all workers and the index of
# this one. The run directory is on a shared disk. Here two processes on this machine represent two
# machines.

# %%
import os
import socket
import subprocess
import sys


def free_ports(count):
    """Return unused ports of this machine."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
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
    digest, writes = result["weights_sha256"][:16], "metrics" in result
    print(f"worker {index}: {result['epochs']} epochs, weights {digest}, writes metrics: {writes}")

# %% [markdown]
# Both workers have equal weights. Only the first one writes files.
#
# ## What can go wrong
#
# - **It is not faster.** See `images_per_second` in `metrics.csv`. Small networks are limited by
#   Python: use `train.steps_per_execution`. Large ones are limited by the data: are the images in
#   memory?
# - **A device is idle.** `data.batch_size` must be a multiple of the number of replicas; otherwise
#   the command reports an error.
# - **NaN in float16.** Use `mixed_bfloat16` if the device supports it.
# - **Results differ from one device.** Noise and batch normalization are per replica. For a
#   comparison use SGD, fixed noise and no batch normalization, as the tests of this project do.
#
# ## Exercises
#
# 1. In `descend`, remove the division by the number of replicas. With which optimizer would you
#    notice it, and how?
# 2. Train `dcgan_mnist` on a GPU with `steps_per_execution` 1 and 10 (`train.steps_per_epoch=930`).
#    How many images per second do you get?
# 3. By how much does R1 (`model.penalty=r1`) increase the time per step on one device?
