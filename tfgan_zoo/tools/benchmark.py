"""How fast presets train and make images on this machine: the step alone, `fit` with its pipeline, the model in use and its SavedModel.

Every preset has a process of its own, so that its memory is its own. Other work on a machine slows down whatever is measured at the moment:
what is compared is measured in turn, in short rounds, and ratios are taken within a round.
"""

import concurrent.futures
import dataclasses
import functools
import gc
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
import tensorflow as tf

from tfgan_zoo import presets
from tfgan_zoo.data import builtin_images, pipeline, tfds
from tfgan_zoo.data.datasets import ImageData, load_for_experiment
from tfgan_zoo.errors import UserError, first_line
from tfgan_zoo.models.style_transfer import StyleTransfer, as_batch
from tfgan_zoo.runs import build_model, log
from tfgan_zoo.saving.exported import load_exported
from tfgan_zoo.saving.saved_model import save_signatures
from tfgan_zoo.tools.flops import flops
from tfgan_zoo.training import distribute
from tfgan_zoo.training.prepare import check_labels

DEFAULT = (
    *("gan_mnist", "dcgan_mnist", "cgan_mnist", "vae_mnist", "pix2pix_facades_synthetic"),
    *("cyclegan_facades_synthetic", "fast_mosaic", "gatys"),
)
ROUNDS = 9
SAMPLES = 64  # images at once of a model that makes them from nothing
CONTENT_SIZE = 256  # pixels of a picture that is painted by optimisation
COLUMNS = (  # heading, width, what of a row
    ("preset", -28, lambda row: row["preset"]),
    ("batch", 6, lambda row: row["batch_size"]),
    ("step images/s", 24, lambda row: format_quartiles(row["step"]["images_per_second"])),
    ("ms", 8, lambda row: row["step"]["ms"]["median"]),
    ("fit images/s", 13, lambda row: row["fit"]["images_per_second"]["median"]),
    ("stall %", 20, lambda row: format_quartiles(row["stall_percent"])),
    ("first step s", 13, lambda row: row["first_step_seconds"]),
    ("MiB", 7, lambda row: row["peak_memory_mib"]),
    ("MFLOP/image", 13, lambda row: row["flops_per_image"] / 1e6),
    ("GFLOP/s", 9, lambda row: row["gflops_per_second"]["median"]),
    ("of machine %", 14, lambda row: 100 * row["fraction"]["median"]),
    ("use images/s", 13, lambda row: row["use"]["model"]["images_per_second"]["median"]),
    ("SavedModel", 11, lambda row: row["use"]["saved_model"]["images_per_second"]["median"]),
)


def benchmark(names=(), overrides=(), seconds=20, tell=lambda line: None, start=None):
    """Measures presets, one after another.

    Args:
        names: of presets; those of `DEFAULT` where there are none.
        overrides: strings `section.field=value`, for all of them.
        seconds: about how long a preset is measured, besides what it takes to build; half of it is for training.
        tell: a function that takes each line of a table as soon as it is known.
        start: a function that every process calls before it imports TensorFlow.

    Returns:
        A dict for JSON: machine, versions, seconds, presets: a list of what `measure` returns, or of preset and error where
        that went wrong.

    Raises:
        UserError: an unknown preset, field or value, before anything is measured; or what is wrong with the only preset.
    """
    names = names or DEFAULT
    for name in names:
        presets.experiment(name, *overrides)
    tell(distribute.describe_machine())
    tell("".join(aligned(heading, width) for heading, width, _ in COLUMNS))
    rows = []
    for name in names:
        try:
            rows.append(run_in_process(start, measure, name, overrides, seconds))
        except Exception as error:  # the others' numbers are worth having
            if isinstance(error, UserError) and len(names) == 1:
                raise
            rows.append({"preset": name, "error": first_line(error)})
        tell(line(rows[-1]) if "error" not in rows[-1] else f"{name}: {rows[-1]['error']}")
    versions = {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }
    return {"machine": machine(), "versions": versions, "seconds": seconds, "presets": rows}


def run_in_process(start, function, *arguments):
    """What a function returns in a new process."""
    with concurrent.futures.ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), start
    ) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except concurrent.futures.process.BrokenProcessPool:
            raise RuntimeError(
                f"the process that measured {arguments[0]} was killed (out of memory?)"
            ) from None


def measure(name, overrides=(), seconds=20):
    """One preset in this process.

    Returns:
        A dict for JSON: images per second and milliseconds of a step, of `fit`, of the pipeline alone and of use, each as the median and
        quartiles of rounds; the stall of `fit`; floating-point operations an image, their rate, and what that is of the machine's.
    """
    experiment = presets.experiment(name, *overrides)
    found = {
        "preset": name,
        "overrides": list(overrides),
        "model": experiment.kind,
        "image_size": experiment.model.image_size,
    }
    train = measure_training if experiment.model.trains else measure_optimization
    with tempfile.TemporaryDirectory() as folder:
        return {**found, **train(experiment, seconds / 2, pathlib.Path(folder))}


# --- what is measured


def measure_training(experiment, seconds, folder):
    """The rows of a model that is trained."""
    settings = experiment.train
    strategy = distribute.make_strategy(settings.strategy, settings.replicas)
    images, synthetic = load_or_synthesize(experiment)

    begin = time.perf_counter()
    model = build_model(experiment, strategy)
    check_labels(images, model)
    batch_size = experiment.data.batch_size * model.batches_per_step
    steps = settings.steps_per_epoch or pipeline.steps_per_epoch(images, batch_size)

    def batches(shard=0, shards=1):
        options = {
            "steps_per_epoch": steps,
            "shard": shard,
            "shards": shards,
            "labels": model.needs_labels,
        }
        return pipeline.batches(images, experiment.data, settings.seed, batch_size, **options)

    stream = distribute.distribute_dataset(strategy, batches)
    kept = iter(
        distribute.distribute_dataset(
            strategy, lambda *shard: batches(*shard).take(1).cache().repeat()
        )
    )
    step = model.make_train_function()
    step(kept)
    first = time.perf_counter() - begin

    fit = functools.partial(seconds_of_fit, model, stream)
    fit(1)
    memory = {"peak_memory_mib": peak_memory(), "gpu_peak_memory_mib": gpu_peak_memory()}
    ways = {
        "step": timed(lambda: step(kept)),
        "fit": fit,
        "pipeline": lambda count: timed(functools.partial(next, iter(stream)))(count),
    }
    taken = measure_interleaved({**ways, **machine_calls()}, seconds)
    n = batch_size * model.steps_per_execution  # images of a call
    part = tf.nest.map_structure(
        lambda x: tf.TensorSpec(x.shape, x.dtype),
        next(iter(batches(0, strategy.num_replicas_in_sync))),
    )
    whole = tf.function(lambda batch: strategy.run(model.train_step, (batch,)), autograph=False)
    counted = flops(whole.get_concrete_function(part))
    return {
        "data": images.description
        if not synthetic
        else f"synthetic in place of {experiment.data.dataset}",
        "synthetic": synthetic,
        "batch_size": batch_size,
        "first_step_seconds": short(first),
        **memory,
        **{name: speed(taken[name], n) for name in ("step", "fit")},
        "pipeline": speed(taken["pipeline"], batch_size),
        "stall_percent": quartiles(100 * (1 - taken["step"] / taken["fit"])),
        **rates(counted, batch_size, model.steps_per_execution, taken),
        "use": measure_inference(model, seconds, folder),
    }


def measure_optimization(experiment, seconds, folder):
    """The rows of a model that is optimised anew for each picture: its step is a value and gradient, its use a whole picture."""
    begin = time.perf_counter()
    content, style = (
        builtin_images.photograph_crop(0, CONTENT_SIZE),
        builtin_images.style_image("mosaic", CONTENT_SIZE),
    )
    model = StyleTransfer(experiment.model)
    pixels = as_batch(content)
    targets = model.targets(pixels, [as_batch(style)])
    step = timed(lambda: model.losses_and_gradient(pixels, targets))
    step(1)
    first = time.perf_counter() - begin
    memory = {"peak_memory_mib": peak_memory(), "gpu_peak_memory_mib": gpu_peak_memory()}
    taken = measure_interleaved({"step": step, **machine_calls()}, seconds)
    begin = time.perf_counter()
    model.stylize(content, [style])
    whole = speed(np.array([time.perf_counter() - begin]), 1)
    found = {
        "image_size": CONTENT_SIZE,
        "batch_size": 1,
        "first_step_seconds": short(first),
        **memory,
        "step": speed(taken["step"], 1),
    }
    step = tf.function(
        lambda image: model.objective_and_gradient(image, *targets.whole())
    )  # traced anew, for this size alone
    counted = flops(step.get_concrete_function(tf.TensorSpec(pixels.shape, pixels.dtype)))
    return {
        **found,
        **rates(counted, 1, 1, taken),
        "use": {"what": "stylize", "images": 1, "model": whole},
    }


def measure_inference(model, seconds, folder):
    """The model as its users call it, beside its SavedModel."""
    what, n, use = inference_call(model)
    save_signatures(model, folder)
    exported = load_exported(folder)
    taken = measure_interleaved(
        {"model": timed(lambda: use(model)), "saved_model": timed(lambda: use(exported))}, seconds
    )
    faster = quartiles(taken["model"] / taken["saved_model"])
    return {
        "what": what,
        "images": n,
        **{name: speed(found, n) for name, found in taken.items()},
        "saved_model_times_as_fast": faster,
    }


def inference_call(model):
    """(what a model does, of how many images at once, a function of it or of its SavedModel that does)."""
    if model.task == "generate":
        return "sample", SAMPLES, lambda model: model.sample(SAMPLES)
    translates = model.task == "translate"
    shape = (
        model.config.image_size,
        model.config.image_size,
        model.channels("xy")[0] if translates else 3,
    )
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    if translates:
        return "translate", 1, lambda model: model.translate(picture)
    return (
        "stylize",
        1,
        lambda model: model.stylize(picture, *([[picture]] if model.takes_styles else [])),
    )


def load_or_synthesize(experiment):
    """The data of an experiment, or, where it would have to be downloaded or its folder is not given, images of the model's shape;
    and whether it is these."""
    config, model = experiment.data, experiment.model
    if not is_missing(config):
        return load_for_experiment(experiment), False
    log(
        f"{experiment.preset}: {config.dataset} is not at hand (data.path says where it is): measured with synthetic images in its place"
    )
    if experiment.task != "generate":
        other = {"translate": "facades_synthetic", "stylize": "photographs"}[experiment.task]
        config = dataclasses.replace(
            config, dataset=other, derive="", path_y="", limit=max(16, config.batch_size)
        )
        return load_for_experiment(dataclasses.replace(experiment, data=config)), True
    shape, needed = (
        (model.image_size, model.image_size, model.channels),
        config.batch_size * getattr(model, "discriminator_steps", 1),
    )
    random, count = (
        np.random.default_rng(0),
        max(needed, min(config.limit or 8192, 2**28 // math.prod(shape))),
    )
    classes = model.classes
    labels = np.arange(count) % classes if classes else None
    if classes and model.condition == "vector":
        labels = np.eye(classes, dtype=np.float32)[labels]
    names = [str(i) for i in range(classes)]
    return ImageData(
        "synthetic", random.integers(0, 256, (count, *shape), np.uint8), labels, names, shape=shape
    ), True


def is_missing(config):
    """Whether a data set is not on this machine."""
    name = {"stacked_mnist": "mnist"}.get(config.dataset, config.dataset)
    if name not in tfds.DOWNLOAD_HOSTS and not name.startswith("cycle_gan/"):
        return name == "folder" and not config.path
    try:
        return not tfds.import_tfds().builder(name, data_dir=config.path or None).data_path.exists()
    except ValueError:  # a misspelt part of cycle_gan, which loading refuses in better words
        return False


# --- time


def measure_interleaved(ways, seconds):
    """The seconds of a call of every way, {name: array (ROUNDS,)}, measured in turn.

    Args:
        ways: {name: function(count) -> seconds of so many calls}.
        seconds: about how long all of it takes.
    """
    counts = {name: calls_within(way, seconds / ROUNDS / len(ways)) for name, way in ways.items()}
    taken = {name: np.zeros(ROUNDS) for name in ways}
    for i in range(ROUNDS):
        for name, way in ways.items():
            taken[name][i] = way(counts[name]) / counts[name]
    return taken


def calls_within(way, seconds):
    """How many calls take so long, at least 1."""
    count = 1
    way(count)  # may build a graph
    while (taken := way(count)) < seconds / 4:
        count *= 2
    return max(1, round(count * seconds / taken))


def warmup_calls(count):
    """Calls before the measured ones, in which caches and pipelines come to what they are in the long run."""
    return 1 + count // 4


def timed(call):
    """A way of `race`: calls, at the end of which the devices have finished."""

    def way(count):
        for _ in range(warmup_calls(count)):
            call()
        tf.test.experimental.sync_devices()
        begin = time.perf_counter()
        for _ in range(count):
            call()
        tf.test.experimental.sync_devices()
        return time.perf_counter() - begin

    return way


class Stopwatch(keras.callbacks.Callback):
    """The seconds of `fit` behind its first calls of the train function."""

    def __init__(self, lead):
        super().__init__()
        self.lead, self.ends = lead, []

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(time.perf_counter())

    @property
    def seconds(self):
        return self.ends[-1] - self.ends[self.lead - 1]


def seconds_of_fit(model, stream, count):
    """How long so many calls of the train function take within `fit`, with a new pipeline: it does not work while others are measured."""
    watch = Stopwatch(warmup_calls(count))
    steps = (warmup_calls(count) + count) * model.steps_per_execution
    model.fit(stream, steps_per_epoch=steps, callbacks=[watch], shuffle=False, verbose=0)
    gc.collect()  # Keras' iterator is in a cycle, and its threads read ahead as long as it lives
    return watch.seconds


# --- the machine


def machine_calls():
    """Ways of `race`: what this machine reaches in products of matrices and in convolutions, in float32."""
    square, images = tf.random.normal((2048, 2048)), tf.random.normal((8, 64, 64, 128))
    kernel = tf.random.normal((3, 3, 128, 128))
    return {
        "matrix": timed(lambda: tf.matmul(square, square)),
        "convolution": timed(lambda: tf.nn.conv2d(images, kernel, 1, "SAME")),
    }


MACHINE_FLOPS = {"matrix": 2 * 2048**3, "convolution": 2 * 8 * 64 * 64 * 3 * 3 * 128 * 128}


def machine():
    """What it is that was measured on."""
    info = pathlib.Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.*)$", info.read_text(), re.M) if info.is_file() else []
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = {
        kind: int(os.environ.get(f"TF_NUM_{kind.upper()}OP_THREADS", 0)) or cores
        for kind in ("intra", "inter")
    }
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    cpu = names[0].strip() if names else platform.processor()
    return {
        "system": platform.platform(),
        "cpu": cpu,
        "cores": cores,
        "threads": threads,
        "gpus": gpus,
    }


def peak_memory():
    """The largest resident set of this process so far, in MiB; None where there is no /proc."""
    status = pathlib.Path(
        "/proc/self/status"
    )  # getrusage would also count what the parent had when it began this process
    return (
        round(int(re.search(r"VmHWM:\s*(\d+) kB", status.read_text())[1]) / 2**10)
        if status.is_file()
        else None
    )


def gpu_peak_memory():
    """The most that TensorFlow has had in use on the first GPU, in MiB; None without one."""
    return (
        round(tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20)
        if tf.config.list_logical_devices("GPU")
        else None
    )


# --- numbers


def rates(counted, images, steps, taken):
    """What a step computes (of so many images, and so many steps a call), and how fast beside the machine."""
    total = sum(counted.values())
    yardstick = "convolution" if any("Conv" in kind for kind in counted) else "matrix"
    speeds = {
        way: each / taken[way] / 1e9
        for way, each in {"step": total * steps, **MACHINE_FLOPS}.items()
    }
    known = math.isfinite(total)
    return {
        "flops_per_image": round(total / images) if known else None,
        "flops_of_step": {kind: each for kind, each in counted.items() if math.isfinite(each)},
        "gflops_per_second": quartiles(speeds["step"]) if known else None,
        "machine_gflops_per_second": {way: quartiles(speeds[way]) for way in MACHINE_FLOPS},
        "fraction": quartiles(speeds["step"] / speeds[yardstick]) if known else None,
        "fraction_of": yardstick,
    }


def speed(taken, images):
    """Seconds a call, for so many images -> images a second and milliseconds a call."""
    return {"images_per_second": quartiles(images / taken), "ms": quartiles(1000 * taken)}


def quartiles(values):
    low, median, high = (short(value) for value in np.quantile(values, (0.25, 0.5, 0.75)))
    return {"median": median, "low": low, "high": high}


def short(value):
    return float(f"{value:.4g}")


# --- the table


def line(row):
    """A row as a line of the table, with - for what it does not have."""
    cells = []
    for _, width, of in COLUMNS:
        try:
            cells.append(aligned(of(row), width))
        except (KeyError, TypeError):
            cells.append(aligned("-", width))
    return "".join(cells)


def aligned(cell, width):
    cell = "-" if cell is None else cell
    text = (
        f"{cell:,.{0 if abs(cell) >= 100 else 1 if abs(cell) >= 10 else 2}f}"
        if isinstance(cell, float)
        else str(cell)
    )
    return text.ljust(-width) if width < 0 else text.rjust(width)


def format_quartiles(found):
    """`1,234 (1,200-1,260)`: the median and the quartiles."""
    return "{} ({}-{})".format(
        *(aligned(found[name], 0).strip() for name in ("median", "low", "high"))
    )
