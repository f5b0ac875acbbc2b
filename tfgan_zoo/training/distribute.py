"""From the name of a strategy to devices: the only place of the zoo that knows them."""

import os
import platform

import tensorflow as tf

from tfgan_zoo.errors import UserError, first_line


def make_strategy(name="auto", replicas=0):
    """The `tf.distribute.Strategy` for `train.strategy` and `train.replicas`. Call it before TensorFlow touches a device.

    Args:
        name: "auto" (a TPU if there is one, else all GPUs, else the CPU), "cpu", "mirrored", "multiworker" (the cluster of TF_CONFIG)
            or "tpu".
        replicas: for "mirrored": how many devices, 0 for all; on a machine without GPUs so many logical CPUs.

    Raises:
        UserError: the devices are not there.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if name == "auto":
        name = "tpu" if has_tpu() else "mirrored" if len(gpus) > 1 or replicas > 1 else "default"
    if replicas and name != "mirrored":
        raise UserError(
            f"train.replicas is for train.strategy=mirrored, received replicas={replicas} with strategy={name}"
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
                "train.strategy=multiworker needs the environment variable TF_CONFIG, e.g. "
                '\'{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}\', received TF_CONFIG=None'
            )
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tpu_strategy()


def mirrored_devices(gpus, replicas):
    if gpus:
        if replicas > len(gpus):
            raise UserError(f"there are {len(gpus)} GPUs, received train.replicas={replicas}")
        return [f"/gpu:{i}" for i in range(replicas or len(gpus))]
    count = replicas or 1
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * count
        )
    except RuntimeError:  # too late to change it; enough may be there already
        if len(tf.config.list_logical_devices("CPU")) < count:
            raise UserError(
                f"TensorFlow already uses the CPU as one device: ask for replicas first thing in the process, received replicas={count}"
            ) from None
    return [f"/cpu:{i}" for i in range(count)]


def reduce_on_cpu():
    return tf.distribute.ReductionToOneDevice(reduce_to_device="/cpu:0")


def has_tpu():
    return bool(
        os.environ.get("TPU_NAME")
        or os.environ.get("TPU_ACCELERATOR_TYPE")
        or os.path.exists("/dev/accel0")
    )


def tpu_strategy():
    """A strategy for the TPU of this machine (Colab, Kaggle, a TPU VM), the form that these document since 2025."""
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError) as error:
        raise UserError(
            f"no TPU could be initialised; it needs tensorflow-tpu in place of tensorflow (see the README), received: {first_line(error)}"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def is_chief(strategy):
    """Whether this process writes files: true except for the other workers of a cluster."""
    resolver = (
        strategy.cluster_resolver
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        else None
    )
    return (
        resolver is None
        or not resolver.task_type
        or (resolver.task_type in ("chief", "worker") and first_of_cluster(resolver))
    )


def first_of_cluster(resolver):
    return resolver.task_type == "chief" or (
        resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs
    )


def distribute_dataset(strategy, make_dataset):
    """The data set that `fit` takes under a strategy.

    Args:
        strategy: a `tf.distribute.Strategy`.
        make_dataset: a function `(shard, shards) -> tf.data.Dataset` of the shard's part of every global batch.
    """
    if strategy.num_replicas_in_sync == 1 and not isinstance(strategy, tf.distribute.TPUStrategy):
        return make_dataset(0, 1)

    def worker_dataset(context):
        """This worker's replicas take turns: replica r of the cluster reads part r of each global batch."""
        replicas = strategy.num_replicas_in_sync // context.num_input_pipelines
        first = context.input_pipeline_id * replicas
        parts = [make_dataset(first + i, strategy.num_replicas_in_sync) for i in range(replicas)]
        return (
            parts[0]
            if replicas == 1
            else tf.data.Dataset.choose_from_datasets(
                parts, tf.data.Dataset.range(replicas).repeat()
            )
        )

    return strategy.distribute_datasets_from_function(worker_dataset)


def describe_machine():
    """One line about where this runs, for model cards."""
    import keras

    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    devices = ", ".join(gpus) or f"{os.cpu_count()} {platform.machine()} CPU cores"
    return f"{devices}, {platform.system()}, Python {platform.python_version()}, TensorFlow {tf.__version__}, Keras {keras.__version__}"
