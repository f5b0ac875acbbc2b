"""What distribution itself costs: the same global batch on one device, on 2 replicas and on 2 workers, of the same CPU cores.

Not run by the tests:

    python tests/benchmarks/scaling.py [PRESET ...] [--rounds 5]

All of them share this machine, so that without any overhead all would take the same time. They are measured in turn, round by round;
medians and quartiles of the ratios are printed. Below stands, by calculation alone, how the bytes that 8 devices exchange in a step (all
gradients, by a ring) compare with the operations of the step.
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
TWO = ("data.batch_size=2",)  # where the preset has one image, which cannot be shared
SECONDS = 3.0  # of a turn
DEVICES = {  # peak operations/s in the precision of training, bytes/s of one device to the others: of the makers' data sheets
    "8 A100 (bfloat16, NVLink)": (312e12, 300e9),
    "8 A100 (bfloat16, PCIe 4)": (312e12, 32e9),
    "TPU v5e-8 (bfloat16, ICI)": (197e12, 200e9),
}
UTILISATION = 0.4  # of the peak, which convolutions reach at large batches


def work(connection, preset, overrides, strategy, replicas, cluster):
    """Steps of a model under a strategy."""
    if cluster:
        os.environ["TF_CONFIG"] = cluster
    import tensorflow as tf

    from tfgan_zoo import presets
    from tfgan_zoo.runs import build_model
    from tfgan_zoo.tools.flops import flops
    from tfgan_zoo.training import distribute

    experiment = presets.experiment(preset, *overrides)
    place = distribute.make_strategy(strategy, replicas)
    model = build_model(experiment, place)
    batch = compare.synthetic(experiment.kind, experiment.model, experiment.data.batch_size)

    def batches(shard=0, shards=1):
        part = experiment.data.batch_size // shards
        shares = tf.nest.map_structure(lambda x: x[shard * part : (shard + 1) * part], batch)
        return tf.data.Dataset.from_tensors(shares).repeat()

    function, iterator = (
        model.make_train_function(),
        iter(distribute.distribute_dataset(place, batches)),
    )
    for _ in range(3):
        function(iterator)
    told = None
    if replicas == 0 and not cluster:
        specs = tf.nest.map_structure(
            lambda x: tf.TensorSpec(x.shape, x.dtype), next(iter(batches()))
        )
        graph = tf.function(
            lambda batch: model.train_step(batch), autograph=False
        ).get_concrete_function(specs)
        parameters = sum(
            v.numpy().size for variables in model.player_variables().values() for v in variables
        )
        told = {
            "flops": sum(flops(graph).values()) / experiment.data.batch_size,
            "bytes": 4 * parameters,
        }
    connection.send(told)
    while steps := connection.recv():
        begin = time.perf_counter()
        for _ in range(steps):
            function(iterator)
        connection.send(time.perf_counter() - begin)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Workers:
    """Two processes of a cluster: a step is one of both."""

    def __init__(self, preset, overrides):
        hosts = [f"localhost:{port}" for port in free_ports(2)]
        tasks = [
            json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": i}})
            for i in range(2)
        ]
        make = functools.partial(
            compare.Worker, f"{preset}, 2 workers", work, preset, overrides, "multiworker", 0
        )
        self.both = [make(task, wait=False) for task in tasks]
        for worker in self.both:
            worker.remark = worker.answer()

    def ask(self, steps):
        for worker in self.both:
            worker.connection.send(steps)
        return max(worker.answer() for worker in self.both)

    def end(self):
        for worker in self.both:
            worker.end()


def measure(preset, overrides, rounds):
    """({way: seconds of a step in every round}, what the single device told)."""
    ways = {
        "1 device": compare.Worker(f"{preset}, 1 device", work, preset, overrides, "cpu", 0, ""),
        "2 replicas": compare.Worker(
            f"{preset}, 2 replicas", work, preset, overrides, "mirrored", 2, ""
        ),
        "2 workers": Workers(preset, overrides),
    }
    steps = max(2, round(SECONDS / (ways["1 device"].ask(2) / 2)))
    taken = {name: np.zeros(rounds) for name in ways}
    for i in range(rounds):
        for name, way in ways.items():
            taken[name][i] = way.ask(steps) / steps
    for way in ways.values():
        way.end()
    return taken, ways["1 device"].remark


def calculated(told, batch):
    """Of every machine the milliseconds of computing and of exchanging, on 8 devices with a batch of the preset's size each."""
    for name, (peak, bandwidth) in DEVICES.items():
        compute, exchange = (
            1e3 * told["flops"] * batch / (peak * UTILISATION),
            1e3 * told["bytes"] * 2 * 7 / 8 / bandwidth,
        )
        yield f"{name}: {compute:.2f} + {exchange:.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("presets", nargs="*", default=PRESETS)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    from tfgan_zoo import presets

    print(
        "| preset, global batch | 1 device, ms | 2 replicas / 1 | 2 workers / 1 | MB exchanged | ms of computing + exchanging on 8 |"
    )
    print("|---|---|---|---|---|---|")
    for preset in options.presets:
        overrides = TWO if presets.experiment(preset).data.batch_size % 2 else ()
        batch = presets.experiment(preset, *overrides).data.batch_size
        taken, told = measure(preset, overrides, options.rounds)
        single = taken.pop("1 device")
        ratios = [compare.spread(compare.middle(found / single), 2) for found in taken.values()]
        cells = [f"{preset}, {batch}", compare.spread(compare.middle(1e3 * single), 1), *ratios]
        print(
            f"| {' | '.join(cells)} | {told['bytes'] / 1e6:.1f} | {'; '.join(calculated(told, batch))} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
