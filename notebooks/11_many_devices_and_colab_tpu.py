# %% [markdown]
# # 11. Multiple devices and TPUs
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/tfgan-zoo/tfgan_zoo/blob/main/notebooks/11_many_devices_and_colab_tpu.ipynb)
#
# **You will learn** how synchronous training on several devices works, to write a training step for
# two replicas, to find the two bugs that no error message reports, and to use the package on GPUs,
# TPUs and several machines.
#
# **Prerequisites**: notebook 1 (GAN).
# **Time**: 1 minute on two CPU cores.
#
# All experiments run everywhere: two logical CPUs replace two devices. They are not faster, but
# behave like two devices.

# %%
FULL = False  # True: dcgan_mnist (downloads MNIST once); on Colab choose a GPU or TPU runtime first
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
    show_animation,
    show_diagram,
    show_images,
    train_in_memory,
    train_run,
)

set_up(full=FULL, drive=DRIVE)


# %% [markdown]
# ## The idea
#
# Every replica (device) has a copy of the weights and computes the gradient for its part of the
# batch. The gradients are added over all replicas (*all-reduce*), and each replica applies the same
# sum. So the copies stay equal, although no weight is ever sent.

# %%
show_diagram(
    {
        "batch": (0, 1, "global batch\n64 images", "#cfe3f5"),
        "part0": (1.6, 2, "images 0 to 31", "#cfe3f5"),
        "part1": (1.6, 0, "images 32 to 63", "#cfe3f5"),
        "g0": (3.3, 2, "replica 0:\nweights, gradient", "#e5e5e5"),
        "g1": (3.3, 0, "replica 1:\nweights, gradient", "#e5e5e5"),
        "sum": (5.0, 1, "sum of the\ngradients", "#fbe3b5"),
        "w0": (6.6, 2, "replica 0:\nsame update", "#e5e5e5"),
        "w1": (6.6, 0, "replica 1:\nsame update", "#e5e5e5"),
    },
    [
        ("batch", "part0"),
        ("batch", "part1"),
        ("part0", "g0"),
        ("part1", "g1"),
        ("g0", "sum"),
        ("g1", "sum"),
        ("sum", "w0"),
        ("sum", "w1"),
    ],
    caption="Synchronous data parallelism, the algorithm of `MirroredStrategy` and `TPUStrategy`.",
    size=(11, 2.8),
)

# %% [markdown]
# ## The math
#
# With $R$ replicas of equal parts, and losses that are means over images,
#
# $$L = \frac1n \sum_{i=1}^n \ell_i = \frac1R \sum_{r=1}^R L_r, \qquad \nabla L = \sum_{r=1}^R
# \nabla \frac{L_r}{R}.$$
#
# Gradients are *summed* over replicas, so each replica must divide its loss by $R$. Otherwise the
# gradient is $R$ times too large.
#
# ## From scratch: a step on two replicas
#
# Logical devices are created, and a TPU is initialized, before TensorFlow uses any device. So this
# is the first cell that uses TensorFlow.

# %%
import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.tpu import find_tpu
from tfgan_zoo.training import distribute

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
if find_tpu():
    distribute.tpu_strategy()  # initializes the TPU
print(distribute.describe_machine())
print("GPUs:", len(tf.config.list_physical_devices("GPU")), "  a TPU:", bool(find_tpu()))

# %% [markdown]
# A regression problem, small and with fixed data, so that results can be compared exactly: once
# with the whole batch on one device, once with half of it on each of two replicas.

# %%
random = np.random.default_rng(0)
x = random.normal(size=(20, 64, 8)).astype(np.float32)  # 20 batches of 64 points
y = np.sin(x.sum(axis=-1, keepdims=True))
STRATEGY = tf.distribute.MirroredStrategy(
    ["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice("CPU:0")
)


def make_network(optimizer):
    """Return a small network, always with the same initial weights, and an optimizer."""
    keras.utils.set_random_seed(0)
    layers = [keras.Input((8,)), keras.layers.Dense(32, "tanh"), keras.layers.Dense(1)]
    network = keras.Sequential(layers)
    optimizer = optimizer(0.05)
    optimizer.build(network.trainable_variables)
    return network, optimizer


def train_on_one_device(optimizer):
    """Return the weights after a step of each batch."""
    network, optimizer = make_network(optimizer)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(network(x) - y))
        weights = network.trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)

    for batch in zip(x, y, strict=True):
        step(*batch)
    return network.get_weights()


def train_on_two_replicas(optimizer, divide=True):
    """The same on two replicas."""
    with STRATEGY.scope():  # every variable is created on each replica
        network, optimizer = make_network(optimizer)

    def replica_step(x, y):
        """Run on each replica, with its part of the batch."""
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(network(x) - y))
            if divide:
                loss /= STRATEGY.num_replicas_in_sync
        weights = network.trainable_variables
        # The optimizer adds the gradients of all replicas, then each replica updates its copy.
        optimizer.apply(tape.gradient(loss, weights), weights)

    @tf.function
    def step(x, y):
        STRATEGY.run(replica_step, (x, y))

    dataset = tf.data.Dataset.from_tensor_slices((x, y)).unbatch().batch(64)  # global batches
    for batch in STRATEGY.experimental_distribute_dataset(dataset):  # cuts each one in two
        step(*batch)
    return network.get_weights()


def distance(a, b):
    """Return the sum of the absolute differences of two lists of weights."""
    return sum(np.abs(one - other).sum() for one, other in zip(a, b, strict=True))


for optimizer in (keras.optimizers.SGD, keras.optimizers.Adam):
    start, weights = make_network(optimizer)[0].get_weights(), train_on_one_device(optimizer)
    for divide in (True, False):
        error = distance(weights, train_on_two_replicas(optimizer, divide))
        error /= distance(weights, start)  # relative to the length of the training
        print(f"{optimizer.__name__:<5} loss divided by R: {divide!s:<6} error {error:.5f}")

# %% [markdown]
# With the division, two replicas end with the weights of one device, up to rounding.
# Without it, SGD takes steps that are twice as large. **Adam hides this bug**, because the scale of
# a loss hardly matters to it. So test with SGD.
#
# ### Noise on replicas
#
# A GAN draws noise in each step. Two replicas with the same noise generate the same images twice,
# and no error reports it. The remedy: random numbers that are a function of seed, step *and
# replica*.


# %%
@tf.function
def draw():
    def replica_noise():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        same = tf.random.stateless_normal((3,), (0, 17))  # seed 0, step 17
        different = tf.random.stateless_normal((3,), tf.stack([replica, 17]))
        return same, different

    return STRATEGY.run(replica_noise)


same, different = draw()
for replica in (0, 1):
    print(
        f"replica {replica}: without its number {same.values[replica].numpy().round(3)}, "
        f"with its number {different.values[replica].numpy().round(3)}"
    )

# %% [markdown]
# ### Several steps per call
#
# A fast device waits for Python between two steps. If one call of a graph executes many steps, it
# waits once. `steps_per_execution` of Keras does this:

# %%
import time

network, optimizer = make_network(keras.optimizers.SGD)
dataset = tf.data.Dataset.from_tensor_slices((x, y)).cache().repeat()


def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(network(x) - y))
    weights = network.trainable_variables
    optimizer.apply(tape.gradient(loss, weights), weights)


@tf.function
def many_steps(iterator, steps):
    for _ in tf.range(steps):  # a loop inside of the graph
        train_step(*next(iterator))


total = choose(20, 600, 2000)
for steps in (1, 10):
    iterator = iter(dataset)
    many_steps(iterator, tf.constant(steps))  # the first call traces the graph
    begin = time.perf_counter()
    for _ in range(total // steps):
        many_steps(iterator, tf.constant(steps))
    milliseconds = 1000 * (time.perf_counter() - begin) / total
    print(f"{steps:2} steps per call: {milliseconds:.2f} ms per step")

# %% [markdown]
# For such a small network, Python costs more than the step itself. For a large network on a CPU
# nothing is gained.
#
# ## The same with the package
#
# `train.strategy=auto` uses a TPU if there is one, else all GPUs, else the CPU.
#
# | from scratch | package |
# |---|---|
# | `STRATEGY.run`, distributed dataset | `train.strategy=mirrored`, `tpu` or `multiworker` |
# | `loss /= num_replicas_in_sync` | in `ZooModel.descend`, the only place that does it |
# | noise from seed, step and replica | `ZooModel.noise` |
# | `many_steps` | `train.steps_per_execution=10` |
#
# `data.batch_size` is the global batch size, so the number of devices changes no hyperparameter.

# %%
preset = choose("gan_tiny", "gan_digits", "dcgan_mnist")
short = choose([], ["train.epochs=36", "train.sample_every=4"], ["train.epochs=2"])
if find_tpu():
    strategy = ["train.strategy=tpu"]
elif tf.config.list_physical_devices("GPU"):
    strategy = ["train.strategy=mirrored"]  # all GPUs
else:
    strategy = ["train.strategy=mirrored", "train.replicas=2"]
run = train_run("replicas", preset, *short, *strategy)
show_animation(run, share=0.5, caption="A GAN that is trained on two replicas.")

# %% [markdown]
# Does each replica receive its part, and are the parts together the global batch? The data are a
# function of seed, epoch and position alone, so this can be checked exactly.

# %%
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
# Training on one device for comparison. The curves have the same shape but different values,
# because the noise differs.

# %%
single = train_run("one_device", preset, *short, "train.strategy=cpu")
one, both = read_losses(single), read_losses(run)
plot_curves(
    {
        name: {"one device": one[name], "replicas": both[name]}
        for name in ("discriminator", "generator")
    },
    caption="Losses of D and G on one device and on two replicas.",
)

# %% [markdown]
# Batch normalization uses the statistics of *the part of a replica*. With 64 images on 8 replicas,
# these are the statistics of 8 images. Use a large batch per replica, or a normalization that does
# not mix images.
#
# ## Resume a training
#
# Preemptible machines stop without notice. A resumed run must end with the same weights as an
# uninterrupted one. Here: two epochs and then two more, compared with four epochs at once. And
# `steps_per_execution` must not change the weights either.

# %%
import json


def weights_of(run):
    """Return the SHA-256 of the trained weights of a run."""
    return json.loads((run / "result.json").read_text())["weights_sha256"]


for epochs in (2, 4):
    resumed = train_run("stopped", "gan_tiny", f"train.epochs={epochs}", "train.strategy=cpu")
at_once = train_run("at_once", "gan_tiny", "train.epochs=4", "train.strategy=cpu")
several = train_run(
    "several", "gan_tiny", "train.epochs=4", "train.strategy=cpu", "train.steps_per_execution=4"
)
print("resumed: bit-identical weights:", weights_of(resumed) == weights_of(at_once))
print("4 steps per call: bit-identical weights:", weights_of(several) == weights_of(at_once))

# %% [markdown]
# ## XLA
#
# XLA compiles the whole step into one program. TPUs require it, GPUs become faster, CPUs often
# become slower, so `train.xla=auto` disables it there. The first step is slow (compilation), and
# every new shape is compiled again. Therefore all shapes in a training step are static.

# %%
for xla in ("off", "on"):
    begin = time.perf_counter()
    _, history = train_in_memory(
        "gan_tiny", f"train.xla={xla}", f"train.epochs={choose(2, 10, 20)}"
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


command = "-m tfgan_zoo train gan_tiny train.strategy=multiworker --run-dir runs/cluster --json"
cluster = {"worker": [f"localhost:{port}" for port in free_ports(2)]}
workers = []
for index in range(choose(0, 2, 2)):
    configuration = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
    environment = {**os.environ, "TF_CONFIG": configuration, "CUDA_VISIBLE_DEVICES": "-1"}
    workers.append(
        subprocess.Popen(
            [sys.executable, *command.split()],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
    )
for index, worker in enumerate(workers):
    result = json.loads(worker.communicate(timeout=900)[0])
    digest, writes = result["weights_sha256"][:16], "metrics" in result
    print(f"worker {index}: {result['epochs']} epochs, weights {digest}, writes metrics: {writes}")

# %% [markdown]
# Both workers have equal weights. Only the first one writes files.
#
# ## What goes wrong
#
# - **SGD diverges on 8 devices, Adam does not**: loss not divided by the number of replicas. Fix:
#   divide, test with SGD.
# - **Samples have less variety on several devices**: the same noise on every replica. Fix:
#   replica number in the seed.
# - **It is not faster (`images_per_second` in `metrics.csv`)**: small network: Python. Fix:
#   `train.steps_per_execution`.
# - **It is not faster, large network**: waits for the data. Fix: images in memory, cache,
#   prefetch.
# - **Error: the batch size must be a multiple of the replicas**: parts must be equal. Fix: change
#   `data.batch_size`.
# - **NaN with `mixed_float16`**: values outside the range of float16. Fix: `mixed_bfloat16` if
#   the device has it.
# - **Results differ from those of one device**: noise and batch normalization are per replica.
#   Fix: compare with SGD, fixed noise, no batch normalization.
#
# ## Exercises
#
# 1. Why does Adam hide the missing division? When does it not?
# 2. In `train_on_two_replicas`, give the replicas parts of different sizes (40 and 24). Which
#    division is right now?
# 3. Add `keras.layers.BatchNormalization` to `make_network`, and call it with `training=True`. Are
#    the weights still equal?
# 4. Train `dcgan_mnist` on a GPU with `steps_per_execution` 1 and 10 (`train.steps_per_epoch=930`).
#    How many images per second do you get?
# 5. By how much does R1 (`model.penalty=r1`) increase the time per step on one device?
#
# <details>
# <summary>Solutions</summary>
#
# 1. Adam divides the mean of the gradients by the root of the mean of their squares. A factor 2
#    cancels, except for its constant `epsilon`. It does not cancel with weight decay, gradient
#    clipping or several losses of which only one is scaled.
# 2. Each replica's sum of errors must be divided by the *global* batch size:
#    `tf.reduce_sum(errors) / 64`. This form is always right, also for the last, smaller batch.
# 3. No. Each replica normalizes with the statistics of its 32 points. `synchronized=True` of the
#    layer computes them over all replicas.
# 4. Read `images_per_second` in `metrics.csv`. Small networks on fast GPUs gain most.
# 5. R1 needs the gradient of a gradient of $D$: `tfgan-zoo benchmark dcgan_mnist model.penalty=r1`.
#
# </details>
#
# ## What next
#
# - [Notebook 9](09_your_own_images.ipynb): the input pipeline, the most frequent reason of a
#   waiting device.
# - `tfgan-zoo benchmark`: speed of training and inference on your machine.
