"""Overhead of distribution: one global batch on one device, 2 replicas and 2 workers of one CPU.

The tests do not run it:

    python tests/benchmarks/scaling.py [PRESET ...] [--rounds 5]

All configurations share the CPU cores of this machine, so without any overhead all would take the
same time. They are measured in turn, round by round. The medians and quartiles of the ratios are
printed. The last column is calculated, not measured: on 8 devices, the time of a step's operations
and the time of exchanging all gradients by a ring all-reduce.
"""

import argparse
import functools
import json
import os
import socket
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import compare
import numpy as np

PRESETS = (
    "gan_mnist",
    "dcgan_mnist",
    "vae_mnist",
    "pix2pix_folder_256",
    "cyclegan_facades_synthetic",
)
BATCH_OF_TWO = ("data.batch_size=2",)  # for presets with a batch of one image
SECONDS = 3.0  # per configuration and round
# From the manufacturers' data sheets: peak operations/s, bytes/s from one device to the others.
DEVICES = {
    "8 A100 (bfloat16, NVLink)": (312e12, 300e9),
    "8 A100 (bfloat16, PCIe 4)": (312e12, 32e9),
    "TPU v5e-8 (bfloat16, ICI)": (197e12, 200e9),
}
UTILIZATION = 0.4  # fraction of the peak that convolutions reach at large batches
BYTES_PER_PARAMETER = 4
HEADINGS = (
    "preset, global batch",
    "1 device, ms",
    "2 replicas / 1 device",
    "2 workers / 1 device",
    "MB exchanged",
    "ms of computing + exchanging on 8 devices",
)


def work(connection, preset, overrides, strategy_name, replicas, cluster):
    """Run training steps in a process of its own.

    It first sends the size of the model (on one device, otherwise None). Then it receives numbers
    of steps and answers each with the seconds that they took, until it receives None.
    """
    if cluster:
        os.environ["TF_CONFIG"] = cluster
    import tensorflow as tf

    from tfgan_zoo import presets
    from tfgan_zoo.runs import build_model
    from tfgan_zoo.tools.flops import flops
    from tfgan_zoo.training import distribute

    experiment = presets.experiment(preset, *overrides)
    batch_size = experiment.data.batch_size
    strategy = distribute.make_strategy(strategy_name, replicas)
    model = build_model(experiment, strategy)
    batch = compare.synthetic(experiment.kind, experiment.model, batch_size)

    def batches(shard=0, shards=1):
        size = batch_size // shards
        rows = slice(shard * size, (shard + 1) * size)
        part = tf.nest.map_structure(lambda x: x[rows], batch)
        return tf.data.Dataset.from_tensors(part).repeat()

    step = model.make_train_function()
    iterator = iter(distribute.distribute_dataset(strategy, batches))
    for _ in range(3):
        step(iterator)

    size = None
    if replicas == 0 and not cluster:
        specs = tf.nest.map_structure(
            lambda x: tf.TensorSpec(x.shape, x.dtype), next(iter(batches()))
        )
        train_step = tf.function(lambda batch: model.train_step(batch), autograph=False)
        graph = train_step.get_concrete_function(specs)
        players = model.player_variables().values()
        parameters = sum(v.numpy().size for variables in players for v in variables)
        size = {
            "flops_per_image": sum(flops(graph).values()) / batch_size,
            "bytes": BYTES_PER_PARAMETER * parameters,
        }
    connection.send(size)

    while steps := connection.recv():
        begin = time.perf_counter()
        for _ in range(steps):
            step(iterator)
        connection.send(time.perf_counter() - begin)


def free_ports(count):
    """Return free ports of localhost."""
    sockets = [socket.socket() for _ in range(count)]
    for free_socket in sockets:
        free_socket.bind(("localhost", 0))
    ports = [free_socket.getsockname()[1] for free_socket in sockets]
    for free_socket in sockets:
        free_socket.close()
    return ports


class Cluster:
    """Two worker processes that take each step together."""

    def __init__(self, preset, overrides):
        hosts = [f"localhost:{port}" for port in free_ports(2)]
        configs = [
            json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": i}})
            for i in range(2)
        ]
        start = functools.partial(
            compare.Worker, f"{preset}, 2 workers", work, preset, overrides, "multiworker", 0
        )
        self.workers = [start(config, wait=False) for config in configs]
        for worker in self.workers:
            worker.answer()

    def ask(self, steps):
        """Take steps; return the seconds of the slower worker."""
        for worker in self.workers:
            worker.connection.send(steps)
        return max(worker.answer() for worker in self.workers)

    def end(self):
        """End both processes."""
        for worker in self.workers:
            worker.end()


def measure(preset, overrides, rounds):
    """Measure all configurations in turn.

    Returns:
        ({configuration: seconds per step in each round}, size of the model from `work`).
    """

    def start(name, strategy_name, replicas):
        arguments = (preset, overrides, strategy_name, replicas, "")
        return compare.Worker(f"{preset}, {name}", work, *arguments)

    configurations = {
        "1 device": start("1 device", "cpu", 0),
        "2 replicas": start("2 replicas", "mirrored", 2),
        "2 workers": Cluster(preset, overrides),
    }
    single = configurations["1 device"]
    steps = max(2, round(SECONDS / (single.ask(2) / 2)))
    seconds = {name: np.zeros(rounds) for name in configurations}
    for i in range(rounds):
        for name, configuration in configurations.items():
            seconds[name][i] = configuration.ask(steps) / steps
    for configuration in configurations.values():
        configuration.end()
    return seconds, single.remark


def calculated_times(size, batch_size):
    """Yield the calculated milliseconds of computing and exchanging for each kind of 8 devices.

    Each device has a batch of `batch_size` images.
    """
    for name, (peak, bandwidth) in DEVICES.items():
        compute = 1e3 * size["flops_per_image"] * batch_size / (peak * UTILIZATION)
        exchange = 1e3 * size["bytes"] * 2 * 7 / 8 / bandwidth  # ring all-reduce of 8 devices
        yield f"{name}: {compute:.2f} + {exchange:.2f}"


def main():
    """Print a Markdown table, one row per preset."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("presets", nargs="*", default=PRESETS)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    from tfgan_zoo import presets

    print(f"| {' | '.join(HEADINGS)} |")
    print("|---" * len(HEADINGS) + "|")
    for preset in options.presets:
        overrides = BATCH_OF_TWO if presets.experiment(preset).data.batch_size % 2 else ()
        batch_size = presets.experiment(preset, *overrides).data.batch_size
        seconds, size = measure(preset, overrides, options.rounds)
        single = seconds.pop("1 device")
        cells = [
            f"{preset}, {batch_size}",
            compare.spread(compare.middle(1e3 * single), 1),
            *(compare.spread(compare.middle(other / single), 2) for other in seconds.values()),
            f"{size['bytes'] / 1e6:.1f}",
            "; ".join(calculated_times(size, batch_size)),
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
