"""Measure how fast presets train and generate on this machine.

For each preset: the training step alone, `fit` with its input pipeline, inference with the model
and inference with its SavedModel.

Each preset is measured in its own process, so that the peak memory is its own. Other work on the
machine slows down whatever is measured at that moment. Therefore quantities that are compared are
measured in turn, in short rounds, and ratios are computed within a round.
"""

import concurrent.futures
import dataclasses
import functools
import gc
import io
import math
import multiprocessing
import os
import pathlib
import platform
import re
import tempfile
import time

import keras
import numpy as np
import rich.box
import rich.console
import rich.table
import tensorflow as tf

from tfgan_zoo import presets
from tfgan_zoo.data import builtin_images, emoji, tfds
from tfgan_zoo.data.datasets import ImageData, load_for_experiment
from tfgan_zoo.errors import UserError, first_line
from tfgan_zoo.models.adversarial import AdversarialConfig
from tfgan_zoo.models.style_transfer import StyleTransfer, as_batch
from tfgan_zoo.runs import log
from tfgan_zoo.saving.exported import load_exported
from tfgan_zoo.saving.saved_model import save_signatures
from tfgan_zoo.tools.flops import flops
from tfgan_zoo.training import distribute
from tfgan_zoo.training.prepare import prepare

DEFAULT_PRESETS = (
    "gan_mnist",
    "dcgan_mnist",
    "cgan_mnist",
    "vae_mnist",
    "pix2pix_facades_synthetic",
    "cyclegan_facades_synthetic",
    "fast_mosaic",
    "gatys",
)
ROUNDS = 9
NUM_SAMPLES = 64  # images of one call of `sample`
CONTENT_SIZE = 256  # pixels of the image that is optimized by Gatys' method
COLUMNS = {  # heading of the table: function of a row
    "preset": lambda row: row["preset"],
    "batch": lambda row: row["batch_size"],
    "step images/s": lambda row: format_quartiles(row["step"]["images_per_second"]),
    "step ms": lambda row: row["step"]["ms"]["median"],
    "fit images/s": lambda row: row["fit"]["images_per_second"]["median"],
    "stall %": lambda row: format_quartiles(row["stall_percent"]),
    "first step s": lambda row: row["first_step_seconds"],
    "peak MiB": lambda row: row["peak_memory_mib"],
    "MFLOP/image": lambda row: row["flops_per_image"] / 1e6,
    "GFLOP/s": lambda row: row["gflops_per_second"]["median"],
    "% of machine": lambda row: 100 * row["fraction"]["median"],
    "inference images/s": lambda row: row["inference"]["model"]["images_per_second"]["median"],
    "SavedModel images/s": lambda row: row["inference"]["saved_model"]["images_per_second"][
        "median"
    ],
}


def benchmark(names=(), overrides=(), seconds=20, show=lambda line: None, start=None):
    """Measure presets, one after another.

    Args:
        names: Names of presets. Defaults to DEFAULT_PRESETS.
        overrides: Strings `section.field=value` for all of them.
        seconds: Approximate measuring time of a preset, besides the time to build it. Half of it
            is for training, half for inference.
        show: Function that receives lines of text: the machine, the progress and, at the end, the
            table.
        start: Function that every process calls before it imports TensorFlow.

    Returns:
        A dict for JSON: machine, versions, seconds, and presets: a list of the results of
        `measure`, or of {preset, error} where it failed.

    Raises:
        UserError: An unknown preset, field or value, before anything is measured; or the only
            preset cannot be measured.
    """
    names = names or DEFAULT_PRESETS
    for name in names:
        presets.experiment(name, *overrides)
    show(distribute.describe_machine())
    rows = []
    for i, name in enumerate(names, 1):
        show(f"{name} ({i} of {len(names)})")
        try:
            rows.append(run_in_process(start, measure, name, overrides, seconds))
        except Exception as error:  # the results of the other presets are still useful
            if isinstance(error, UserError) and len(names) == 1:
                raise
            rows.append({"preset": name, "error": first_line(error)})
            show(f"{name}: {rows[-1]['error']}")
    show(format_benchmark([row for row in rows if "error" not in row]))
    versions = {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }
    return {"machine": machine(), "versions": versions, "seconds": seconds, "presets": rows}


def run_in_process(start, function, *arguments):
    """Return the result of a function that is called in a new process."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context, start) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except concurrent.futures.process.BrokenProcessPool:
            raise RuntimeError(
                f"the process that measured {arguments[0]} was killed (out of memory?)"
            ) from None


def measure(name, overrides=(), seconds=20):
    """Measure one preset in this process.

    Args:
        name: Name of a preset.
        overrides: Strings `section.field=value`.
        seconds: Approximate measuring time, half of it for training, half for inference.

    Returns:
        A dict for JSON. Images per second and milliseconds of a step, of `fit`, of the input
        pipeline and of inference, each as the median and quartiles over rounds. The share of `fit`
        in which the step waits for data (stall). The floating-point operations of an image, their
        rate, and its fraction of the machine's rate.
    """
    experiment = presets.experiment(name, *overrides)
    row = {
        "preset": name,
        "overrides": list(overrides),
        "model": experiment.kind,
        "image_size": experiment.model.image_size,
    }
    measure_step = measure_training if experiment.model.trains else measure_optimization
    with tempfile.TemporaryDirectory() as folder:
        return {**row, **measure_step(experiment, seconds / 2, pathlib.Path(folder))}


# --- what is measured


def measure_training(experiment, seconds, folder):
    """Measure training and inference of a model that is trained."""
    settings = experiment.train
    strategy = distribute.make_strategy(settings.strategy, settings.replicas)

    data, synthetic = load_or_synthesize(experiment)

    # Build the model and run the first step, which compiles it.
    begin = time.perf_counter()
    prepared = prepare(experiment, strategy, data)
    model, batch_size = prepared.model, prepared.batch_size
    stream = prepared.dataset()
    step = model.make_train_function()
    cached = iter(
        distribute.distribute_dataset(
            strategy, lambda *shard: prepared.batches(0, *shard).take(1).cache().repeat()
        )
    )
    step(cached)
    first_step_seconds = time.perf_counter() - begin

    # Measure the step, `fit` and the pipeline in turn.
    fit = functools.partial(seconds_of_fit, model, stream)
    fit(1)
    memory = {"peak_memory_mib": peak_memory(), "gpu_peak_memory_mib": gpu_peak_memory()}
    timers = {
        "step": timer(lambda: step(cached)),
        "fit": fit,
        "pipeline": lambda count: timer(functools.partial(next, iter(stream)))(count),
    }
    times = measure_interleaved({**timers, **machine_timers()}, seconds)

    # Count the operations of a step on one replica's share of a batch.
    replica_batch = tf.nest.map_structure(
        lambda x: tf.TensorSpec(x.shape, x.dtype),
        next(iter(prepared.batches(0, 0, strategy.num_replicas_in_sync))),
    )
    graph = tf.function(lambda batch: strategy.run(model.train_step, (batch,)), autograph=False)
    counts = flops(graph.get_concrete_function(replica_batch))

    images_per_call = batch_size * model.steps_per_execution
    instead = f"synthetic images instead of {experiment.data.dataset}"
    return {
        "data": instead if synthetic else data.description,
        "synthetic": synthetic,
        "batch_size": batch_size,
        "first_step_seconds": round_digits(first_step_seconds),
        **memory,
        "step": speed(times["step"], images_per_call),
        "fit": speed(times["fit"], images_per_call),
        "pipeline": speed(times["pipeline"], batch_size),
        "stall_percent": quartiles(100 * (1 - times["step"] / times["fit"])),
        **rates(counts, batch_size, model.steps_per_execution, times),
        "inference": measure_inference(model, seconds, folder),
    }


def measure_optimization(experiment, seconds, folder):
    """Measure the optimization of one image. A step computes the losses and their gradient."""
    # Build the model and compute the first gradient.
    begin = time.perf_counter()
    content = builtin_images.photograph_crop(0, CONTENT_SIZE)
    style = builtin_images.style_image("mosaic", CONTENT_SIZE)
    model = StyleTransfer(experiment.model)
    pixels = as_batch(content)
    targets = model.targets(pixels, [as_batch(style)])
    step = timer(lambda: model.losses_and_gradient(pixels, targets))
    step(1)
    first_step_seconds = time.perf_counter() - begin

    # Measure the gradient, then a whole optimization.
    memory = {"peak_memory_mib": peak_memory(), "gpu_peak_memory_mib": gpu_peak_memory()}
    times = measure_interleaved({"step": step, **machine_timers()}, seconds)
    begin = time.perf_counter()
    model.stylize(content, [style])
    seconds_of_stylize = np.array([time.perf_counter() - begin])
    inference = {"command": "stylize", "images": 1, "model": speed(seconds_of_stylize, 1)}

    # Count the operations of the gradient, traced again for this size alone.
    graph = tf.function(lambda image: model.objective_and_gradient(image, *targets.whole()))
    counts = flops(graph.get_concrete_function(tf.TensorSpec(pixels.shape, pixels.dtype)))
    return {
        "image_size": CONTENT_SIZE,
        "batch_size": 1,
        "first_step_seconds": round_digits(first_step_seconds),
        **memory,
        "step": speed(times["step"], 1),
        **rates(counts, 1, 1, times),
        "inference": inference,
    }


def measure_inference(model, seconds, folder):
    """Measure inference with the model and with its SavedModel."""
    command, num_images, call = INFERENCE[model.task](model)
    save_signatures(model, folder)
    exported = load_exported(folder)
    timers = {"model": timer(lambda: call(model)), "saved_model": timer(lambda: call(exported))}
    times = measure_interleaved(timers, seconds)
    return {
        "command": command,
        "images": num_images,
        "model": speed(times["model"], num_images),
        "saved_model": speed(times["saved_model"], num_images),
        "saved_model_times_as_fast": quartiles(times["model"] / times["saved_model"]),
    }


def generation_call(model):
    return "sample", NUM_SAMPLES, lambda model: model.sample(NUM_SAMPLES)


def translation_call(model):
    image = noise_image(model, model.channels("xy")[0])
    return "translate", 1, lambda model: model.translate(image)


def stylization_call(model):
    image = noise_image(model, 3)
    styles = [[image]] if model.takes_styles else []
    return "stylize", 1, lambda model: model.stylize(image, *styles)


INFERENCE = {  # task: function of a model that returns (command, number of images, call)
    "generate": generation_call,
    "translate": translation_call,
    "stylize": stylization_call,
}


def noise_image(model, channels):
    """Return a uint8 image of the size of the training images."""
    shape = (model.config.image_size, model.config.image_size, channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


# --- data


def load_or_synthesize(experiment):
    """Load the data of an experiment, or synthetic data if the dataset is not on this machine.

    Nothing is downloaded. Datasets that would be, and folders without a path, are replaced by
    synthetic images of the model's shape.

    Returns:
        (data, True if it is synthetic).
    """
    config = experiment.data
    if not is_missing(config):
        return load_for_experiment(experiment), False
    log(
        f"{experiment.preset}: {config.dataset} is not on this machine (set data.path), "
        "measuring with synthetic images"
    )
    return SYNTHETIC_DATA[experiment.task](experiment), True


def noise_data(experiment):
    """Return `ImageData` of noise, with labels for a conditional model."""
    config, model = experiment.data, experiment.model
    shape = (model.image_size, model.image_size, model.channels)
    # At least as many images as a training step takes.
    steps = model.discriminator_steps if isinstance(model, AdversarialConfig) else 1
    count = max(config.batch_size * steps, min(config.limit or 8192, 2**28 // math.prod(shape)))
    labels = None
    if model.classes:
        labels = np.arange(count) % model.classes
        if model.condition == "vector":
            labels = np.eye(model.classes, dtype=np.float32)[labels]
    images = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
    names = [str(i) for i in range(model.classes)]
    return ImageData("synthetic", images, labels, names, shape=shape)


def builtin_data(experiment, dataset):
    """Return the images of a dataset of the package that is drawn or included."""
    limit = max(16, experiment.data.batch_size)
    config = dataclasses.replace(
        experiment.data, dataset=dataset, derive="", path_y="", limit=limit
    )
    return load_for_experiment(dataclasses.replace(experiment, data=config))


SYNTHETIC_DATA = {  # task: function of an experiment that returns its data
    "generate": noise_data,
    "translate": functools.partial(builtin_data, dataset="facades_synthetic"),
    "stylize": functools.partial(builtin_data, dataset="photographs"),
}


def is_missing(config):
    """Return True if a dataset is not on this machine."""
    name = {"stacked_mnist": "mnist"}.get(config.dataset, config.dataset)
    if name.startswith("emoji"):
        return not emoji.prepared_file(config.path).is_file()
    if name not in tfds.DOWNLOAD_HOSTS and not name.startswith("cycle_gan/"):
        return name == "folder" and not config.path
    try:
        return not tfds.import_tfds().builder(name, data_dir=config.path or None).data_path.exists()
    except ValueError:  # an unknown part of cycle_gan: loading raises a better error
        return False


# --- time


def measure_interleaved(timers, seconds):
    """Measure several calls in turn.

    Args:
        timers: {name: function(count) -> seconds that `count` calls take}.
        seconds: Approximate time for all of it.

    Returns:
        {name: array (ROUNDS,) of seconds per call}.
    """
    counts = {
        name: calls_within(timer, seconds / ROUNDS / len(timers)) for name, timer in timers.items()
    }
    times = {name: np.zeros(ROUNDS) for name in timers}
    for i in range(ROUNDS):
        for name, timer in timers.items():
            times[name][i] = timer(counts[name]) / counts[name]
    return times


def calls_within(timer, seconds):
    """Return how many calls take about `seconds`, at least 1."""
    count = 1
    timer(count)  # may trace a graph
    while (duration := timer(count)) < seconds / 4:
        count *= 2
    return max(1, round(count * seconds / duration))


def warmup_calls(count):
    """Return the number of calls before `count` measured ones; they fill caches and pipelines."""
    return 1 + count // 4


def timer(call):
    """Return a function(count) that measures `count` calls, until the devices have finished."""

    def seconds_of_calls(count):
        for _ in range(warmup_calls(count)):
            call()
        tf.test.experimental.sync_devices()
        begin = time.perf_counter()
        for _ in range(count):
            call()
        tf.test.experimental.sync_devices()
        return time.perf_counter() - begin

    return seconds_of_calls


class Stopwatch(keras.callbacks.Callback):
    """Measure `fit` after its first `warmup` calls of the train function."""

    def __init__(self, warmup):
        super().__init__()
        self.warmup, self.ends = warmup, []

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(time.perf_counter())

    @property
    def seconds(self):
        return self.ends[-1] - self.ends[self.warmup - 1]


def seconds_of_fit(model, stream, count):
    """Return the seconds of `count` calls of the train function within `fit`.

    The pipeline is new, so that it does not work while other calls are measured.
    """
    stopwatch = Stopwatch(warmup_calls(count))
    steps = (warmup_calls(count) + count) * model.steps_per_execution
    model.fit(stream, steps_per_epoch=steps, callbacks=[stopwatch], shuffle=False, verbose=0)
    gc.collect()  # Keras' iterator is in a cycle, and its threads read ahead as long as it lives
    return stopwatch.seconds


# --- the machine


def machine_timers():
    """Return timers of a large matrix product and a large convolution, in float32."""
    square, images = tf.random.normal((2048, 2048)), tf.random.normal((8, 64, 64, 128))
    kernel = tf.random.normal((3, 3, 128, 128))
    return {
        "matrix": timer(lambda: tf.matmul(square, square)),
        "convolution": timer(lambda: tf.nn.conv2d(images, kernel, 1, "SAME")),
    }


MACHINE_FLOPS = {"matrix": 2 * 2048**3, "convolution": 2 * 8 * 64 * 64 * 3 * 3 * 128 * 128}


def machine():
    """Describe this machine: system, CPU, cores, threads, GPUs."""
    info = pathlib.Path("/proc/cpuinfo")
    cpus = (
        re.findall(r"^model name\s*: (.*)$", info.read_text(encoding="utf-8"), re.M)
        if info.is_file()
        else []
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = {
        kind: int(os.environ.get(f"TF_NUM_{kind.upper()}OP_THREADS", 0)) or cores
        for kind in ("intra", "inter")
    }
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return {
        "system": platform.platform(),
        "cpu": cpus[0].strip() if cpus else platform.processor(),
        "cores": cores,
        "threads": threads,
        "gpus": gpus,
    }


def peak_memory():
    """Return this process' largest resident set so far, in MiB; None without /proc."""
    # getrusage would include the parent's memory at the start of this process.
    status = pathlib.Path("/proc/self/status")
    if not status.is_file():
        return None
    return round(
        int(re.search(r"VmHWM:\s*(\d+) kB", status.read_text(encoding="utf-8"))[1]) / 2**10
    )


def gpu_peak_memory():
    """Return the peak of TensorFlow's memory on the first GPU, in MiB; None without a GPU."""
    if not tf.config.list_logical_devices("GPU"):
        return None
    return round(tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20)


# --- numbers


def rates(counts, images, steps, times):
    """Return the operations of a step and their rate.

    Args:
        counts: {operation: floating-point operations of a step}.
        images: Number of images of a step.
        steps: Number of steps of a call.
        times: {name: seconds per call}, of the step and of `machine_timers`.
    """
    total = sum(counts.values())
    reference = "convolution" if any("Conv" in kind for kind in counts) else "matrix"
    gflops = {
        name: operations / times[name] / 1e9
        for name, operations in {"step": total * steps, **MACHINE_FLOPS}.items()
    }
    finite = math.isfinite(total)
    return {
        "flops_per_image": round(total / images) if finite else None,
        "flops_of_step": {kind: count for kind, count in counts.items() if math.isfinite(count)},
        "gflops_per_second": quartiles(gflops["step"]) if finite else None,
        "machine_gflops_per_second": {name: quartiles(gflops[name]) for name in MACHINE_FLOPS},
        "fraction": quartiles(gflops["step"] / gflops[reference]) if finite else None,
        "fraction_of": reference,
    }


def speed(times, images):
    """Convert seconds per call of `images` images to images/s and ms per call."""
    return {"images_per_second": quartiles(images / times), "ms": quartiles(1000 * times)}


def quartiles(values):
    low, median, high = (round_digits(value) for value in np.quantile(values, (0.25, 0.5, 0.75)))
    return {"median": median, "low": low, "high": high}


def round_digits(value):
    """Round to four significant digits."""
    return float(f"{value:.4g}")


# --- the table


def format_benchmark(rows):
    """Return the rows of measured presets as a table of plain text."""
    table = rich.table.Table(*COLUMNS, box=rich.box.SIMPLE)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*cells(row))
    text = io.StringIO()
    rich.console.Console(file=text, width=1000).print(table)  # no line is wrapped
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines() if line.strip())


def cells(row):
    """Return the cells of a row; "-" for numbers that were not measured for the preset."""
    texts = []
    for column in COLUMNS.values():
        try:
            texts.append(format_cell(column(row)))
        except (KeyError, TypeError):
            texts.append("-")
    return texts


def format_cell(value):
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def format_quartiles(values):
    """Format quartiles as `1,234 (1,200-1,260)`: the median, and the first and third quartile."""
    median, low, high = (format_cell(values[name]) for name in ("median", "low", "high"))
    return f"{median} ({low}-{high})"
