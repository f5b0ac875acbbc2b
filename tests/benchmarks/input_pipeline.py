"""Rate of the input pipeline alone, next to the rate that one TPU v5e core would consume.

The tests do not run it:

    python tests/benchmarks/input_pipeline.py [PRESET ...] [--seconds 5]

The measured rate is that of the CPUs of this machine. The TPU's rate is calculated from the
operations of a training step and the peak of the data sheet. It is an upper bound: networks for
small images are limited by the start of their operations instead.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
from scaling import DEVICES, UTILIZATION

from tfgan_zoo import presets
from tfgan_zoo.tools.benchmark import DEFAULT_PRESETS
from tfgan_zoo.tools.flops import flops
from tfgan_zoo.training.prepare import prepare

PRESETS = [name for name in DEFAULT_PRESETS if presets.experiment(name).model.trains]
PEAK, _ = DEVICES["TPU v5e-8 (bfloat16, ICI)"]


def rate_of_pipeline(prepared, seconds):
    """Return the images/s that the pipeline yields, after a warm-up."""
    stream = iter(prepared.batches())
    for _ in range(10):
        next(stream)
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        next(stream)
        count += 1
    return count * prepared.batch_size / (time.perf_counter() - begin)


def rate_of_tpu(prepared):
    """Return the images/s of a step at `UTILIZATION` of a TPU v5e's peak."""
    batch = next(iter(prepared.batches()))
    step = tf.function(prepared.model.train_step, autograph=False).get_concrete_function(batch)
    operations = sum(flops(step).values()) / prepared.batch_size
    return PEAK * UTILIZATION / operations


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("presets", nargs="*", default=PRESETS)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    print("| preset | pipeline, images/s | TPU v5e at most, images/s |\n|---|---|---|")
    for name in options.presets:
        prepared = prepare(presets.experiment(name))
        pipeline, tpu = rate_of_pipeline(prepared, options.seconds), rate_of_tpu(prepared)
        print(f"| `{name}` | {pipeline:,.0f} | {tpu:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
