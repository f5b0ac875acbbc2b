"""Compare the training step of our models with a tutorial's (tutorial.py) and with PyTorch's.

Not run by the tests:

    python tests/benchmarks/compare.py [MODEL ...] [--rounds 7] [--steps N] [--single] [--json]
        [--precision float32] [--xla auto] [--minimum RATIO]

Each implementation runs in its own process. It is warmed up, then performs a number of steps on
request and is idle in between: ours, tutorial, PyTorch, ours, ... Ratios are computed within each
round, so that other load on the machine affects all implementations equally. The output has
medians and, in parentheses, quartiles. Batches are fixed arrays in memory. Our step is called as
`fit` calls it, with one step per execution.

On a busy machine use `--single`: one thread each, and processor time instead of wall-clock time.
PyTorch's threads (OpenMP) wait for each other by spinning, so other work slows them down much more
than proportionally.

On a GPU all of them use it. `--precision` and `--xla` are those of our step; PyTorch computes in
bfloat16 (autocast) for mixed_bfloat16 and otherwise in float32, the tutorial always in float32.
With `--minimum` the exit code is 1 if a median ratio is lower: a check against large regressions.

`Gatys` compares the seconds until the image has the loss that PyTorch's L-BFGS reaches in 100
iterations, tracing included. Without PyTorch its column is empty.
"""

import argparse
import dataclasses
import importlib.util
import json
import multiprocessing
import os
import time
import types

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

SETUPS = {
    "GAN": ("gan_mnist", ()),
    "DCGAN": ("dcgan_mnist", ()),
    "CGAN": ("cgan_mnist", ()),
    "VAE": ("vae_mnist", ()),
    "Pix2Pix": ("pix2pix_folder_256", ()),
    "CycleGAN": (
        "cyclegan_folder_256",
        ("model.image_size=128", "model.width=32", "model.blocks=6"),
    ),
    "FastStyle": (
        "fast_folder_256",
        ("model.features=random", "model.features_width=64", "data.batch_size=1"),
    ),
    "Gatys": ("gatys", ()),
}
IMPLEMENTATIONS = ("ours", "tutorial", "pytorch")
SECONDS = 2.0  # approximate duration of the steps of one round
GATYS = {"size": 256, "iterations": 100, "limit": 400}  # evaluations of L-BFGS, and of Adam
GATYS_OPTIMIZERS = {"pytorch_lbfgs": "L-BFGS", "pytorch_adam": "Adam"}


def synthetic(kind, config, batch_size):
    """Return a fixed random batch for a model."""
    random = np.random.default_rng(0)

    def images(channels):
        shape = (batch_size, config.image_size, config.image_size, channels)
        return random.uniform(-1, 1, shape).astype(np.float32)

    if kind in ("Pix2Pix", "CycleGAN"):
        return images(config.x_channels), images(config.y_channels)
    if kind == "VAE":
        return np.where(images(config.channels) > 0.6, 1, -1).astype(np.float32)
    if kind == "CGAN":
        return images(config.channels), random.integers(0, config.classes, batch_size)
    return images(config.channels)


# --- Workers. Each is a process with one implementation of one model.


def ours(kind, config, batch, precision, xla):
    """Return our training step as `fit` calls it, and the number of parameters by player."""
    import tensorflow as tf

    from tfgan_zoo.models import MODELS

    model = MODELS[kind](config, dtype=precision)
    model.compile(xla=xla)
    function = model.make_train_function()
    iterator = iter(tf.data.Dataset.from_tensors(batch).repeat())
    counts = {
        player: sum(variable.numpy().size for variable in variables)
        for player, variables in model.player_variables().items()
    }
    return lambda: function(iterator), counts


def prepare(form, kind, values, batch, options):
    """Return (step, number of parameters by player, remark about the implementation)."""
    if form == "pytorch":
        import pytorch
        import torch

        step, counts, variant = pytorch.make(
            kind,
            types.SimpleNamespace(**values),
            batch,
            int(options.single),
            options.precision == "mixed_bfloat16",
        )
        return step, counts, f"torch {torch.__version__}, {kind}: {variant}"
    import keras
    import tensorflow as tf

    if options.single:
        one_thread(tf)
    from tfgan_zoo.config import from_dict
    from tfgan_zoo.models import MODELS

    fields = {field.name for field in dataclasses.fields(MODELS[kind].Config)}
    config = from_dict(
        MODELS[kind].Config, {name: value for name, value in values.items() if name in fields}
    )
    if form == "ours":
        step, counts = ours(kind, config, batch, options.precision, options.xla)
    else:
        import tutorial

        step, counts = tutorial.make(kind, config, batch)

    def finished_step():  # a GPU only starts its kernels
        step()
        tf.test.experimental.sync_devices()

    remark = f"tensorflow {tf.__version__}, keras {keras.__version__}"
    has_gpu = tf.config.list_physical_devices("GPU")
    return finished_step if has_gpu else step, counts, remark


def one_thread(tf):
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def clock(single):
    """Return the function for processor time or for wall-clock time."""
    return time.process_time if single else time.perf_counter


def work(connection, form, kind, values, batch, options):
    """Perform as many steps as requested and send the seconds, until 0 is received."""
    step, counts, remark = prepare(form, kind, values, batch, options)
    for _ in range(3):
        step()
    connection.send((counts, remark))
    now = clock(options.single)
    while steps := connection.recv():
        begin = now()
        for _ in range(steps):
            step()
        connection.send(now() - begin)


class Worker:
    """A process that runs `function` and answers requests."""

    def __init__(self, name, function, *arguments, wait=True):
        context = multiprocessing.get_context("spawn")
        self.name, (self.connection, child) = name, context.Pipe()
        self.process = context.Process(target=function, args=(child, *arguments), daemon=True)
        self.process.start()
        child.close()
        self.remark = self.receive() if wait else None

    def receive(self):
        try:
            return self.connection.recv()
        except EOFError:
            raise SystemExit(f"{self.name} failed") from None

    def ask(self, request):
        self.connection.send(request)
        return self.receive()

    def end(self):
        self.connection.send(None)
        self.process.join()


# --- Models


def quartiles(values):
    """Return {median, lower, upper quartile}."""
    lower, median, upper = np.quantile(values, (0.25, 0.5, 0.75))
    return {"median": float(median), "lower": float(lower), "upper": float(upper)}


def compare_steps(kind, forms, options):
    """Compare one model: {milliseconds of each implementation, ratios to ours, ...}."""
    from tfgan_zoo import presets

    preset, overrides = SETUPS[kind]
    experiment = presets.experiment(preset, *overrides)
    config, batch_size = experiment.model, experiment.data.batch_size
    batch, values = synthetic(kind, config, batch_size), dataclasses.asdict(config)
    workers = {}
    for form in forms:
        extra = pytorch_options(kind, config) if form == "pytorch" else {}
        workers[form] = Worker(
            f"{kind}, {form}", work, form, kind, {**values, **extra}, batch, options
        )
    parameters = workers["ours"].remark[0]
    for form, worker in workers.items():
        if worker.remark[0] != parameters:
            raise SystemExit(f"{kind}: ours has {parameters} parameters, {form} {worker.remark[0]}")
    steps = options.steps or max(3, round(SECONDS / (workers["ours"].ask(2) / 2)))
    seconds = {form: [] for form in forms}
    for _ in range(options.rounds):
        for form in forms:
            seconds[form].append(workers[form].ask(steps) / steps)
    for worker in workers.values():
        worker.end()
    ratios = {
        form: [a / b for a, b in zip(seconds[form], seconds["ours"], strict=True)]
        for form in forms
        if form != "ours"
    }
    return {
        "model": kind,
        "preset": " ".join((preset, *overrides)),
        "batch": batch_size,
        "parameters": parameters,
        "rounds": options.rounds,
        "steps": steps,
        "milliseconds": {
            form: quartiles([1000 * value for value in values]) for form, values in seconds.items()
        },
        "ratios": {form: quartiles(values) for form, values in ratios.items()},
        "remarks": [worker.remark[1] for worker in workers.values()],
    }


def pytorch_options(kind, config):
    """Return values for pytorch.py, which does not import TensorFlow."""
    if kind != "FastStyle":
        return {}
    from tfgan_zoo.data.builtin_images import load_style_image

    style = load_style_image(config.style, config.style_size)[None] / np.float32(127.5) - 1
    return {"style_image": style}


# --- Gatys


def work_gatys_ours(connection, config, content, style, single):
    """Send VGG19's weights, then [(seconds, loss at full size)] of one image per request."""
    import keras
    import tensorflow as tf

    from tfgan_zoo.models.style_transfer import StyleTransfer

    if single:
        one_thread(tf)
    now = clock(single)
    model = StyleTransfer(config)
    layers = model.extract_features.network.layers
    weights = {layer.name: layer.get_weights() for layer in layers if layer.weights}
    connection.send((weights, f"tensorflow {tf.__version__}, keras {keras.__version__}"))
    while connection.recv():
        begin, curve = now(), []

        def see(state):
            if state.image.shape[1:3] == content.shape[:2]:
                curve.append((now() - begin, state.losses["image"]))  # noqa: B023 (used up before they change)

        model.stylize(content, [style], on_iteration=see)
        connection.send(curve)


def work_gatys_pytorch(connection, values, weights, levels, single):
    """Answer requests (optimizer, iterations, target) with [(seconds, loss)]."""
    import pytorch
    import torch

    if single:
        torch.set_num_threads(1)
    config, now = types.SimpleNamespace(**values), clock(single)
    pytorch.gatys(config, weights, levels[:1], "adam", 2, None, now)
    connection.send((None, f"torch {torch.__version__}, {torch.get_num_threads()} threads"))
    while request := connection.recv():
        connection.send(pytorch.gatys(config, weights, levels, *request, now))


def compare_gatys(rounds, single):
    """Compare the seconds until the same loss."""
    from tfgan_zoo import presets
    from tfgan_zoo.data import builtin_images, transforms

    config = dataclasses.replace(presets.experiment("gatys").model, features="random")
    content = transforms.resize_longer_side(builtin_images.photograph("china"), GATYS["size"])
    style = transforms.resize_longer_side(builtin_images.style_image("mosaic", 512), GATYS["size"])
    our_worker = Worker("Gatys, ours", work_gatys_ours, config, content, style, single)
    batches = [image[None] / np.float32(127.5) - 1 for image in (content, style)]
    pytorch_worker = Worker(
        "Gatys, pytorch",
        work_gatys_pytorch,
        dataclasses.asdict(config),
        our_worker.remark[0],
        [tuple(batches)],
        single,
    )
    seconds, never = {"ours": [], "pytorch_lbfgs": [], "pytorch_adam": []}, set()
    for _ in range(rounds):
        curves = {"pytorch_lbfgs": pytorch_worker.ask(("lbfgs", GATYS["iterations"], None))}
        target = min(loss for _, loss in curves["pytorch_lbfgs"])
        curves["pytorch_adam"] = pytorch_worker.ask(("adam", GATYS["limit"], target))
        curves["ours"] = our_worker.ask(True)
        for form, curve in curves.items():
            reached = [moment for moment, loss in curve if loss <= target]
            seconds[form].append(reached[0] if reached else curve[-1][0])
            never |= set() if reached else {form}
    for worker in (our_worker, pytorch_worker):
        worker.end()
    ratios = {
        form: [a / b for a, b in zip(values, seconds["ours"], strict=True)]
        for form, values in seconds.items()
        if form != "ours"
    }
    return {
        "model": "Gatys",
        "preset": "gatys model.features=random",
        "loss": target,
        "never": sorted(never),  # did not reach the loss; their seconds are those of all iterations
        "rounds": rounds,
        "milliseconds": {
            form: quartiles([1000 * value for value in values]) for form, values in seconds.items()
        },
        "ratios": {form: quartiles(values) for form, values in ratios.items()},
        "remarks": [our_worker.remark[1], pytorch_worker.remark[1]],
    }


# --- Output


def format_quartiles(values, digits):
    median, lower, upper = (f"{values[name]:.{digits}f}" for name in ("median", "lower", "upper"))
    return f"{median} ({lower} to {upper})"


def table_row(result):
    ratio = {form: format_quartiles(value, 2) for form, value in result["ratios"].items()}
    if result["model"] == "Gatys":
        name, cells = f"Gatys, until loss {result['loss']:.3f}", ["", ""]
        prefix = {form: "more than " if form in result["never"] else "" for form in ratio}
        cells[1] = ", ".join(
            f"{name} {prefix[form]}{ratio[form]}" for form, name in GATYS_OPTIMIZERS.items()
        )
    else:
        name, cells = (
            f"{result['model']} (batch {result['batch']})",
            [ratio.get(form, "") for form in IMPLEMENTATIONS[1:]],
        )
    return (
        f"| {name} | {format_quartiles(result['milliseconds']['ours'], 1)} | {' | '.join(cells)} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help=f"one of {', '.join(SETUPS)}; default: all"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--steps",
        type=int,
        default=0,
        help=f"steps per round; default: about {SECONDS:.0f} seconds",
    )
    parser.add_argument(
        "--single",
        action="store_true",
        help="one thread each, and processor time: for busy machines",
    )
    parser.add_argument(
        "--json", action="store_true", help="print a line of JSON per model instead of the table"
    )
    parser.add_argument(
        "--precision",
        default="float32",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
        help="of our step, and of PyTorch's if it is mixed_bfloat16",
    )
    parser.add_argument("--xla", default="auto", choices=("auto", "on", "off"), help="of our step")
    parser.add_argument(
        "--minimum", type=float, default=0.0, help="exit with 1 if a median ratio is lower"
    )
    options = parser.parse_args()
    unknown = set(options.models) - set(SETUPS)
    if unknown:
        parser.error(f"models are {', '.join(SETUPS)}, got {', '.join(sorted(unknown))}")
    forms = IMPLEMENTATIONS if importlib.util.find_spec("torch") else IMPLEMENTATIONS[:2]
    if not options.json:
        print("| model | ours, ms | tutorial / ours | PyTorch / ours |\n|---|---|---|---|")
    remarks, slow = [], []
    for kind in options.models or SETUPS:
        if kind == "Gatys" and "pytorch" not in forms:
            continue  # nothing to compare with
        if kind == "Gatys":
            result = compare_gatys(options.rounds, options.single)
        else:
            result = compare_steps(kind, forms, options)
        print(json.dumps(result) if options.json else table_row(result), flush=True)
        remarks = list(dict.fromkeys((*remarks, *result["remarks"])))
        slow += [
            f"{kind}: {form} / ours is {ratio['median']:.2f}"
            for form, ratio in result["ratios"].items()
            if ratio["median"] < options.minimum
        ]
    if not options.json:
        threads = "one thread each, processor time" if options.single else "all used"
        print(
            f"\n{os.cpu_count()} CPU cores, {threads}; {'; '.join(remarks)}; "
            f"medians over {options.rounds} rounds (quartiles)"
        )
        if "pytorch" not in forms:
            print("PyTorch is not installed: its column is empty, Gatys is left out.")
    if slow:
        raise SystemExit(f"ratios below {options.minimum}: {'; '.join(slow)}")


if __name__ == "__main__":
    main()
