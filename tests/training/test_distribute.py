"""Test device strategies and clusters. test_contract.py tests replicas in one process."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest
import tensorflow as tf
from helpers import run_cli

from tfgan_zoo.errors import UserError
from tfgan_zoo.training import distribute

SHORT = ["train.epochs=2", "train.steps_per_epoch=4", "train.sample_count=4"]


def test_strategies_by_name():
    assert distribute.make_strategy("auto").num_replicas_in_sync == 1
    assert type(distribute.make_strategy("cpu")) is tf.distribute.OneDeviceStrategy
    assert distribute.make_strategy("mirrored", 2).num_replicas_in_sync == 2


def test_unavailable_replicas_raise_an_error():
    with pytest.raises(UserError, match="got replicas=2 with strategy=cpu"):
        distribute.make_strategy("cpu", 2)
    with pytest.raises(UserError, match="before TensorFlow uses the CPU.*got train.replicas=5"):
        distribute.make_strategy("mirrored", 5)


def test_a_distributed_batch_is_the_global_batch_in_order():
    strategy = distribute.make_strategy("mirrored", 2)
    whole = tf.data.Dataset.range(100).batch(4)

    def part(shard, shards):
        return whole.map(lambda batch: tf.split(batch, shards)[shard])

    iterator = iter(distribute.distribute_dataset(strategy, part))
    for expected in whole.take(3):
        parts = strategy.experimental_local_results(next(iterator))
        assert tf.concat(parts, 0).numpy().tolist() == expected.numpy().tolist()


@pytest.mark.parametrize(
    ("flags", "gpus", "strategy", "expected"),
    [
        ({"avx2", "avx512f", "avx512_bf16"}, [], "auto", "mixed_bfloat16"),
        ({"amx_bf16"}, [], "mirrored", "mixed_bfloat16"),
        ({"avx512f", "avx512_vnni"}, [], "auto", "float32"),
        (set(), [], "auto", "float32"),
        (set(), [], "tpu", "mixed_bfloat16"),
        ({"amx_bf16"}, [], "multiworker", "float32"),
        ({"amx_bf16"}, [(7, 5)], "auto", "float32"),  # a T4
        (set(), [(8, 0), (9, 0)], "auto", "mixed_bfloat16"),
        (set(), [(9, 0), (7, 0)], "auto", "float32"),
        (set(), [(9, 0)], "cpu", "float32"),
    ],
)
def test_automatic_precision(flags, gpus, strategy, expected, monkeypatch):
    devices = {"GPU": [{"compute_capability": value} for value in gpus]}
    monkeypatch.setattr(distribute, "cpu_flags", lambda: flags)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: devices.get(kind, []))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: device)
    assert distribute.fast_precision(strategy) == expected


def test_flags_of_the_cpu(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("model name\t: A\nflags\t\t: fpu avx2 avx512_bf16\nflags\t\t: fpu\n")
    assert distribute.cpu_flags(path) == {"fpu", "avx2", "avx512_bf16"}
    path.write_text("processor\t: 0\nFeatures\t: asimd\n")  # ARM
    assert distribute.cpu_flags(path) == set()
    assert distribute.cpu_flags(tmp_path / "none") == set()


@pytest.mark.parametrize("xla, steps_per_execution", [("off", 1), ("on", 4)])
def test_two_replicas_on_the_command_line(xla, steps_per_execution, tmp_path):
    overrides = [
        "train.strategy=mirrored",
        "train.replicas=2",
        f"train.xla={xla}",
        f"train.steps_per_execution={steps_per_execution}",
    ]
    done = run_cli(
        "train", "dcgan_tiny", *SHORT, *overrides, "--run-dir", tmp_path / "run", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["metrics"]["step"] == 8


@pytest.mark.parametrize("preset, xla", [("dcgan_tiny", "off"), ("cgan_tiny", "on")])
def test_two_workers_end_with_equal_weights_and_only_the_chief_writes(preset, xla, tmp_path):
    """Train in two processes on localhost; a resumed run ends like an uninterrupted one."""
    evaluation = (
        ["train.evaluate_every=1", "train.evaluate_samples=50", "train.best=frechet_distance"]
        if preset == "cgan_tiny"
        else []
    )
    whole = workers(tmp_path / "whole", preset, f"train.xla={xla}", *SHORT, *evaluation)
    assert whole[0]["weights_sha256"] == whole[1]["weights_sha256"]
    assert "metrics" in whole[0] and "metrics" not in whole[1]
    if xla == "off":
        workers(tmp_path / "parts", preset, "train.xla=off", *SHORT[1:], "train.epochs=1")
        parts = workers(tmp_path / "parts", preset, "train.xla=off", *SHORT)
        assert (
            parts[0]["weights_sha256"] == parts[1]["weights_sha256"] == whole[0]["weights_sha256"]
        )


def workers(run, preset, *overrides):
    """Train with two workers; return both JSON results."""
    sockets = [socket.socket() for _ in range(2)]
    for s in sockets:
        s.bind(("localhost", 0))
    addresses = [f"localhost:{s.getsockname()[1]}" for s in sockets]
    for s in sockets:
        s.close()
    processes = []
    for index in range(2):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        program = str(pathlib.Path(sys.executable).with_name("tfgan-zoo"))
        command = [
            program,
            "train",
            preset,
            "train.strategy=multiworker",
            *overrides,
            "--run-dir",
            str(run),
            "--json",
        ]
        environment = {**os.environ, "TF_CONFIG": json.dumps(cluster)}
        processes.append(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
            )
        )
    outputs = [process.communicate(timeout=240) for process in processes]
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors
    return [json.loads(output) for output, _ in outputs]
