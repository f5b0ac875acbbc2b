"""Device strategies: the devices, the dataset of each replica, and the chief of a cluster."""

import os
import pathlib
import platform

import keras
import tensorflow as tf

from tfgan_zoo.errors import UserError
from tfgan_zoo.tpu import explain_failure, find_tpu

TF_CONFIG_EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
)
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}  # in /proc/cpuinfo


def make_strategy(name="auto", replicas=0):
    """Create the `tf.distribute.Strategy` for train.strategy and train.replicas.

    Call it before TensorFlow uses a device.

    Args:
        name: "auto" (a TPU if there is one, otherwise all GPUs, otherwise the CPU), "cpu",
            "mirrored", "multiworker" (the cluster of TF_CONFIG) or "tpu".
        replicas: number of devices for "mirrored"; 0: all. Without GPUs they are logical CPUs.

    Raises:
        UserError: the devices do not exist.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if name == "auto":
        name = "tpu" if find_tpu() else "mirrored" if len(gpus) > 1 or replicas > 1 else "default"
    if replicas and name != "mirrored":
        raise UserError(
            "train.replicas needs train.strategy=mirrored, "
            f"got replicas={replicas} with strategy={name}."
        )
    if name == "default":
        return tf.distribute.get_strategy()
    if name == "cpu":
        return tf.distribute.OneDeviceStrategy("/cpu:0")
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(
            mirrored_devices(gpus, replicas), cross_device_ops=None if gpus else reduce_on_cpu()
        )
    if name == "multiworker":
        if "TF_CONFIG" not in os.environ:
            raise UserError(
                "train.strategy=multiworker needs the environment variable TF_CONFIG, for example "
                f"'{TF_CONFIG_EXAMPLE}'."
            )
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tpu_strategy()


def mirrored_devices(gpus, replicas):
    """Return the names of the devices for a mirrored strategy; create logical CPUs if needed."""
    if gpus:
        if replicas > len(gpus):
            raise UserError(
                f"train.replicas must be at most {len(gpus)}, the number of GPUs, got {replicas}."
            )
        return [f"/gpu:{i}" for i in range(replicas or len(gpus))]
    count = replicas or 1
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * count
    try:
        tf.config.set_logical_device_configuration(cpu, devices)
    except RuntimeError:  # too late to change it, but there may already be enough
        if len(tf.config.list_logical_devices("CPU")) < count:
            raise UserError(
                "replicas on CPUs must be created before TensorFlow uses the CPU, "
                f"got train.replicas={count}. Train in a new process."
            ) from None
    return [f"/cpu:{i}" for i in range(count)]


def reduce_on_cpu():
    """Return cross-device operations that sum on the first CPU."""
    return tf.distribute.ReductionToOneDevice(reduce_to_device="/cpu:0")


def tpu_strategy():
    """Create a strategy for the TPU of this machine (Colab, Kaggle, a TPU VM).

    Raises:
        UserError: no TPU, a TensorFlow without TPU support, or a TPU that is in use.
    """
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise UserError(explain_failure(str(error), find_tpu())) from error
    return tf.distribute.TPUStrategy(resolver)


def fast_precision(strategy="auto"):
    """Return the precision of train.precision=auto: mixed_bfloat16 where the device computes in it.

    These are TPUs, GPUs of compute capability 8.0 (Ampere) and later, and x86 CPUs with AVX512-BF16
    or AMX under Linux, where the instructions can be read from /proc/cpuinfo. With several GPUs all
    of them must have it. Everywhere else it is float32: bfloat16 is emulated there, and slower.

    Args:
        strategy: value of train.strategy; "cpu" ignores GPUs and TPUs, "multiworker" is float32.

    Returns:
        "mixed_bfloat16" or "float32".
    """
    if strategy == "multiworker":
        return "float32"
    gpus = tf.config.list_physical_devices("GPU") if strategy != "cpu" else []
    if strategy == "tpu" or (strategy == "auto" and find_tpu()):
        is_fast = True
    elif gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        is_fast = all(gpu.get("compute_capability", (0, 0)) >= (8, 0) for gpu in details)
    else:
        is_fast = not cpu_flags().isdisjoint(BFLOAT16_FLAGS)
    return "mixed_bfloat16" if is_fast else "float32"


def resolve_precision(experiment):
    """Replace train.precision=auto by the precision for this machine.

    The run directory records it, so that another machine resumes with the same.
    """
    if experiment.train.precision != "auto":
        return experiment
    precision = fast_precision(experiment.train.strategy)
    return experiment.override(f"train.precision={precision}")


def cpu_flags(path="/proc/cpuinfo"):
    """Return the set of instruction sets of the CPU; empty if Linux does not list them."""
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except OSError:  # not Linux
        return set()
    lists = [line.partition(":")[2] for line in text.splitlines() if line.startswith("flags")]
    return set(lists[0].split()) if lists else set()


def is_chief(strategy):
    """Return True if this process writes files: all but the other workers of a cluster."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return True
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type or resolver.task_type == "chief":
        return True
    has_chief = "chief" in resolver.cluster_spec().jobs
    return resolver.task_type == "worker" and resolver.task_id == 0 and not has_chief


def distribute_dataset(strategy, make_dataset):
    """Create the dataset that `fit` takes under a strategy.

    Args:
        strategy: a `tf.distribute.Strategy`.
        make_dataset: function (shard, shards) -> `tf.data.Dataset` of a part of each global batch.

    Returns:
        A `tf.data.Dataset`, or a distributed dataset if there are several replicas.
    """
    if strategy.num_replicas_in_sync == 1 and not isinstance(strategy, tf.distribute.TPUStrategy):
        return make_dataset(0, 1)

    def worker_dataset(context):
        """Interleave the parts of this worker's replicas: replica r of the cluster reads part r."""
        replicas = strategy.num_replicas_in_sync // context.num_input_pipelines
        first = context.input_pipeline_id * replicas
        parts = [make_dataset(first + i, strategy.num_replicas_in_sync) for i in range(replicas)]
        if replicas == 1:
            return parts[0]
        order = tf.data.Dataset.range(replicas).repeat()
        return tf.data.Dataset.choose_from_datasets(parts, order)

    return strategy.distribute_datasets_from_function(worker_dataset)


def describe_machine():
    """Return one line about devices and versions, for model cards."""
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    devices = ", ".join(gpus) or f"{os.cpu_count()} {platform.machine()} CPU cores"
    return (
        f"{devices}, {platform.system()}, Python {platform.python_version()}, "
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}"
    )
