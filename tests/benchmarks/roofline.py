"""Show what bounds a training step: its operations or its bytes, next to the machine's rates.

    python tests/benchmarks/roofline.py [PRESET ...] [--seconds 20]

Not run by the tests. For each preset the step, a large convolution, a large matrix product and a
large copy are measured in turn, so that other work slows down all of them.

The operations are those of convolutions and matrix products. The bytes are those that the
operations of the step read and write, if each of them takes its inputs from the memory and returns
its outputs to it. TensorFlow joins some operations, and small tensors stay in the cache, so they
are an upper bound. `state` is the part of trained weights, their gradients and Adam's averages,
which no cache holds for a large network.

A step cannot be faster than its operations at the machine's rate, nor than the state at the
machine's copy rate. The larger of the two is the bound of the table.
"""

import argparse
import math
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from tfgan_zoo import presets
from tfgan_zoo.tools import benchmark
from tfgan_zoo.tools.flops import called_functions, count_in_graph, flops
from tfgan_zoo.training.prepare import prepare

PRESETS = {
    "GAN": "gan_mnist",
    "DCGAN": "dcgan_mnist",
    "CGAN": "cgan_mnist",
    "VAE": "vae_mnist",
    "Pix2Pix, 128 pixels": "pix2pix_facades_synthetic",
    "Pix2Pix, 256 pixels": "pix2pix_folder_256",
    "CycleGAN, 64 pixels": "cyclegan_facades_synthetic",
    "Fast style": "fast_mosaic",
}
COPY_BYTES = 2**28  # of the copied array: more than a cache holds
# Reads and writes of a trained weight's size: the weight in the forward pass and in the gradient
# of its input, its gradient written and read, and the weight, both averages read and written.
PASSES_OF_STATE = 2 + 2 + 6
# Operations that only rename or describe a tensor.
FREE = {
    *("Const", "Placeholder", "Identity", "IdentityN", "Reshape", "ExpandDims", "Squeeze"),
    *("Shape", "ReadVariableOp", "NoOp", "StopGradient", "PreventGradient", "VarHandleOp"),
}


def bytes_of_operation(operation):
    """Return the bytes that an operation reads and writes, {} if it only calls functions."""
    if operation.type in FREE or called_functions(operation):
        return {}
    moved = sum(bytes_of(tensor) for tensor in (*operation.inputs, *operation.outputs))
    is_product = "Conv2D" in operation.type or "MatMul" in operation.type
    return {"products" if is_product else "others": moved}


def bytes_of(tensor):
    """Return the bytes of a tensor, 0 for resources and unknown shapes."""
    if tensor.dtype in (tf.resource, tf.variant, tf.string) or tensor.shape.rank is None:
        return 0
    dimensions = tensor.shape.as_list()
    return 0 if None in dimensions else math.prod(dimensions) * tensor.dtype.size


def copy_timer():
    """Return a timer of the copy of an array in memory, on one thread."""
    source = np.ones(COPY_BYTES, np.uint8)
    target = np.empty_like(source)
    return benchmark.timer(lambda: np.copyto(target, source))


def measure(name, seconds):
    """Return a row of the table, as a dict."""
    experiment = presets.experiment(name)
    data, _ = benchmark.load_or_synthesize(experiment)
    prepared = prepare(experiment, data=data)
    model = prepared.model
    step = model.make_train_function()
    batches = iter(prepared.batches().take(1).cache().repeat())
    batch = next(batches)
    graph = tf.function(model.train_step, autograph=False).get_concrete_function(batch)
    operations = sum(flops(graph).values())
    moved = count_in_graph(graph.graph, bytes_of_operation)
    weights = sum(
        math.prod(variable.shape) * 4
        for variables in model.player_variables().values()
        for variable in variables
    )
    timers = {
        "step": benchmark.timer(lambda: step(batches)),
        "copy": copy_timer(),
        **benchmark.machine_timers(),
    }
    times = benchmark.measure_interleaved(timers, seconds)
    rate = {kind: benchmark.MACHINE_FLOPS[kind] / times[kind] for kind in benchmark.MACHINE_FLOPS}
    return {
        "gflop": operations / 1e9,
        "products": moved["products"] / 1e9,
        "others": moved["others"] / 1e9,
        "state": weights * PASSES_OF_STATE / 1e9,
        "times": times,
        "rate": rate["matrix" if experiment.kind == "GAN" else "convolution"] / 1e9,
        "copy": 2 * COPY_BYTES / times["copy"] / 1e9,  # read and written
    }


def format_row(name, row):
    """Return a row of the Markdown table: medians of the rounds."""
    step = row["times"]["step"]
    by_operations, by_state = row["gflop"] / row["rate"], row["state"] / row["copy"]
    fraction = np.median(np.maximum(by_operations, by_state) / step)
    cells = [
        name,
        f"{row['gflop']:.2f}",
        f"{row['products']:.2f}",
        f"{row['others']:.2f}",
        f"{row['state']:.2f}",
        f"{np.median(row['rate']):.0f}",
        f"{np.median(row['copy']):.1f}",
        f"{1000 * np.median(step):.1f}",
        f"{1000 * np.median(by_operations):.1f}",
        f"{1000 * np.median(by_state):.1f}",
        f"{100 * fraction:.0f} %",
    ]
    return f"| {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("presets", nargs="*", help="default: one for each system")
    parser.add_argument("--seconds", type=float, default=20.0, help="measuring time of a preset")
    options = parser.parse_args()
    names = {name: name for name in options.presets} or PRESETS
    print(
        "| step | GFLOP | GB of products | GB of others | GB of state | machine, GFLOP/s | "
        "machine, GB/s | step, ms | operations, ms | state, ms | bound / step |\n"
        f"|{'---|' * 11}"
    )
    for name, preset in names.items():
        row = benchmark.run_in_process(None, measure, preset, options.seconds)
        print(format_row(name, row), flush=True)


if __name__ == "__main__":
    main()
