"""Count what a training step launches: TensorFlow's operations, and the kernels that XLA makes.

    python tests/benchmarks/kernels.py [PRESET ...]

Not run by the tests. XLA compiles the step for the GPU if there is one, otherwise for the CPU with
its own kernels. A kernel is an instruction of the compiled program that computes: a fusion, a
product, a convolution, a call of a library, a reduction, a sort or a copy. A loop counts once.
`transfers` are instructions that move data between host and device within the step; there should be
none.
"""

import argparse
import collections
import os
import re
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

from tfgan_zoo import presets
from tfgan_zoo.tools import benchmark
from tfgan_zoo.tools.flops import called_functions, count_in_graph
from tfgan_zoo.training.prepare import prepare

PRESETS = ("gan_mnist", "dcgan_mnist", "vae_mnist", "pix2pix_facades_synthetic", "fast_mosaic")
KERNELS = {
    *("fusion", "dot", "convolution", "custom-call", "reduce", "reduce-window", "scatter"),
    *("select-and-scatter", "sort", "copy", "transpose", "rng-bit-generator", "while", "call"),
}
TRANSFERS = {"infeed", "outfeed", "send", "recv", "send-done", "recv-done"}
INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.-]+ = .*? ([a-z][\w-]*)\(", re.M)


def one_unless_it_calls(operation):
    """Count an operation as 1, and one that calls functions as 0: their operations count."""
    return {"operations": 0 if called_functions(operation) else 1}


def entry_computation(program):
    """Return the text of the main computation of a compiled program."""
    return re.search(r"^ENTRY .*?^}", program, re.M | re.S)[0]


def measure(name):
    """Return a row of the table."""
    experiment = presets.experiment(name)
    data, _ = benchmark.load_or_synthesize(experiment)
    prepared = prepare(experiment, data=data)
    batch = next(iter(prepared.batches()))
    model = prepared.model
    model.train_step(batch)  # creates what is created once
    plain = tf.function(model.train_step, autograph=False).get_concrete_function(batch)
    compiled = tf.function(model.train_step, autograph=False, jit_compile=True)
    begin = time.perf_counter()
    program = compiled.experimental_get_compiler_ir(batch)(stage="optimized_hlo")
    seconds = time.perf_counter() - begin
    kinds = collections.Counter(INSTRUCTION.findall(entry_computation(program)))
    kernels = sum(kinds[kind] for kind in KERNELS)
    transfers = sum(kinds[kind] for kind in TRANSFERS)
    device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    operations = count_in_graph(plain.graph, one_unless_it_calls)["operations"]
    return f"| {name} | {operations:,} | {kernels:,} | {transfers} | {seconds:.0f} s, {device} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("presets", nargs="*", default=PRESETS)
    options = parser.parse_args()
    print("| preset | operations | kernels after XLA | transfers | compiled in |")
    print("|---|---|---|---|---|")
    for name in options.presets:
        print(benchmark.run_in_process(None, measure, name), flush=True)


if __name__ == "__main__":
    main()
