"""One training step of our models beside the straightforward form of a tutorial (tutorial.py) and PyTorch (pytorch.py).

Not run by the tests:

    python tests/benchmarks/compare.py [MODEL ...] [--rounds 7] [--steps N] [--single] [--json]

Every form runs in a process of its own, which is warmed up, then does so many steps when asked and is idle in between: ours, tutorial,
PyTorch, ours, ... The ratios are taken round by round, so that what else the machine does falls on all of them alike; what is
printed are medians and, in brackets, quartiles. Batches are fixed arrays in memory. Ours is driven as `fit` drives it, one step an
execution.

On a busy machine use `--single`: one thread for each, and the processor's time in place of the clock's. PyTorch's threads (OpenMP) wait
for each other by spinning, so that beside other work its times on the clock grow out of all proportion.

`Gatys` compares the seconds until the picture has the loss that 100 iterations of PyTorch's L-BFGS reach, tracing included.
Without PyTorch its column is missing.
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
FORMS = ("ours", "tutorial", "pytorch")
SECONDS = 2.0  # of a turn, about
GATYS = {"size": 256, "iterations": 100, "limit": 400}  # evaluations of L-BFGS, and of Adam
GATYS_FORMS = {"pytorch_lbfgs": "L-BFGS", "pytorch_adam": "Adam"}


def synthetic(kind, config, batch_size):
    """A batch as the model takes it, always the same."""
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


# --- workers: each is a process with one form of one model


def ours(kind, config, batch):
    """Our step as `fit` does it."""
    import tensorflow as tf

    from tfgan_zoo.models import MODELS

    model = MODELS[kind](config)
    model.compile()
    function, iterator = (
        model.make_train_function(),
        iter(tf.data.Dataset.from_tensors(batch).repeat()),
    )
    return lambda: function(iterator), {
        name: sum(v.numpy().size for v in found) for name, found in model.player_variables().items()
    }


def prepare(form, kind, values, batch, single):
    """(step, parameters of every player, what there is to say about the form)."""
    if form == "pytorch":
        import pytorch
        import torch

        step, counts, variant = pytorch.make(
            kind, types.SimpleNamespace(**values), batch, int(single)
        )
        return step, counts, f"torch {torch.__version__}, {kind}: {variant}"
    import keras
    import tensorflow as tf

    if single:
        one_thread(tf)
    from tfgan_zoo.config import from_dict
    from tfgan_zoo.models import MODELS

    known = {field.name for field in dataclasses.fields(MODELS[kind].Config)}
    config = from_dict(
        MODELS[kind].Config, {name: value for name, value in values.items() if name in known}
    )
    if form == "ours":
        maker = ours
    else:
        from tutorial import make as maker
    return *maker(kind, config, batch), f"tensorflow {tf.__version__}, keras {keras.__version__}"


def one_thread(tf):
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def clock(single):
    """Of the process alone, or the one on the wall."""
    return time.process_time if single else time.perf_counter


def work(connection, form, kind, values, batch, single):
    """Does so many steps as it is asked for, and answers with the seconds."""
    step, counts, remark = prepare(form, kind, values, batch, single)
    for _ in range(3):
        step()
    connection.send((counts, remark))
    now = clock(single)
    while steps := connection.recv():
        begin = now()
        for _ in range(steps):
            step()
        connection.send(now() - begin)


class Worker:
    """A process that waits for its turn."""

    def __init__(self, name, function, *arguments, wait=True):
        context = multiprocessing.get_context("spawn")
        self.name, (self.connection, theirs) = name, context.Pipe()
        self.process = context.Process(target=function, args=(theirs, *arguments), daemon=True)
        self.process.start()
        theirs.close()
        self.remark = self.answer() if wait else None

    def answer(self):
        try:
            return self.connection.recv()
        except EOFError:
            raise SystemExit(f"{self.name} failed") from None

    def ask(self, request):
        self.connection.send(request)
        return self.answer()

    def end(self):
        self.connection.send(None)
        self.process.join()


# --- models


def middle(values):
    """{median, lower, upper quartile}."""
    lower, median, upper = np.quantile(values, (0.25, 0.5, 0.75))
    return {"median": float(median), "lower": float(lower), "upper": float(upper)}


def compare_steps(kind, forms, rounds, steps, single):
    """One model: {milliseconds of each form, ratios to ours, ...}."""
    from tfgan_zoo import presets

    preset, overrides = SETUPS[kind]
    experiment = presets.experiment(preset, *overrides)
    config, batch_size = experiment.model, experiment.data.batch_size
    batch, values = synthetic(kind, config, batch_size), dataclasses.asdict(config)
    workers = {}
    for form in forms:
        extra = for_pytorch(kind, config) if form == "pytorch" else {}
        workers[form] = Worker(
            f"{kind}, {form}", work, form, kind, {**values, **extra}, batch, single
        )
    parameters = workers["ours"].remark[0]
    for form, worker in workers.items():
        if worker.remark[0] != parameters:
            raise SystemExit(f"{kind}: ours has {parameters} parameters, {form} {worker.remark[0]}")
    steps = steps or max(3, round(SECONDS / (workers["ours"].ask(2) / 2)))
    seconds = {form: [] for form in forms}
    for _ in range(rounds):
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
        "rounds": rounds,
        "steps": steps,
        "milliseconds": {
            form: middle([1000 * each for each in found]) for form, found in seconds.items()
        },
        "ratios": {form: middle(found) for form, found in ratios.items()},
        "remarks": [worker.remark[1] for worker in workers.values()],
    }


def for_pytorch(kind, config):
    """What PyTorch's side cannot know by itself, since it does not import TensorFlow."""
    if kind != "FastStyle":
        return {}
    from tfgan_zoo.data.builtin_images import load_style_image
    from tfgan_zoo.models import fast_style

    style = load_style_image(config.style, config.style_size)[None] / np.float32(127.5) - 1
    return {
        "style_image": style,
        "style_layers": fast_style.STYLE_LAYERS,
        "content_layer": fast_style.CONTENT_LAYER,
    }


# --- Gatys


def work_gatys_ours(connection, config, content, style, single):
    """Answers every request with [(seconds, loss at full size)] of our way with a picture; at first with VGG19's weights."""
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


def work_gatys_pytorch(connection, values, weights, content, style, single):
    """Answers (optimizer, iterations, target) with [(seconds, loss)]."""
    import pytorch
    import torch

    if single:
        torch.set_num_threads(1)
    config, now = types.SimpleNamespace(**values), clock(single)
    pytorch.gatys(config, weights, content, style, "adam", 2, None, now)
    connection.send((None, f"torch {torch.__version__}, {torch.get_num_threads()} threads"))
    while request := connection.recv():
        connection.send(pytorch.gatys(config, weights, content, style, *request, now))


def compare_gatys(rounds, single):
    """Seconds until the same loss."""
    from tfgan_zoo import presets
    from tfgan_zoo.data import builtin_images, transforms

    config = dataclasses.replace(presets.experiment("gatys").model, features="random")
    content = transforms.resize_longer_side(builtin_images.photograph("china"), GATYS["size"])
    style = transforms.resize_longer_side(builtin_images.style_image("mosaic", 512), GATYS["size"])
    we = Worker("Gatys, ours", work_gatys_ours, config, content, style, single)
    batches = [image[None] / np.float32(127.5) - 1 for image in (content, style)]
    they = Worker(
        "Gatys, pytorch",
        work_gatys_pytorch,
        dataclasses.asdict(config),
        we.remark[0],
        *batches,
        single,
    )
    seconds, never = {"ours": [], "pytorch_lbfgs": [], "pytorch_adam": []}, set()
    for _ in range(rounds):
        curves = {"pytorch_lbfgs": they.ask(("lbfgs", GATYS["iterations"], None))}
        target = min(loss for _, loss in curves["pytorch_lbfgs"])
        curves["pytorch_adam"] = they.ask(("adam", GATYS["limit"], target))
        curves["ours"] = we.ask(True)
        for form, curve in curves.items():
            reached = [moment for moment, loss in curve if loss <= target]
            seconds[form].append(reached[0] if reached else curve[-1][0])
            never |= set() if reached else {form}
    for worker in (we, they):
        worker.end()
    ratios = {
        form: [a / b for a, b in zip(found, seconds["ours"], strict=True)]
        for form, found in seconds.items()
        if form != "ours"
    }
    return {
        "model": "Gatys",
        "preset": "gatys model.features=random",
        "loss": target,
        "never": sorted(never),  # came as low: their seconds are those until they gave up
        "rounds": rounds,
        "milliseconds": {
            form: middle([1000 * each for each in found]) for form, found in seconds.items()
        },
        "ratios": {form: middle(found) for form, found in ratios.items()},
        "remarks": [we.remark[1], they.remark[1]],
    }


# --- the page


def spread(found, digits):
    return (
        f"{found['median']:.{digits}f} ({found['lower']:.{digits}f} to {found['upper']:.{digits}f})"
    )


def row(found):
    ratio = {form: spread(value, 2) for form, value in found["ratios"].items()}
    if found["model"] == "Gatys":
        name, cells = f"Gatys, until loss {found['loss']:.3f}", ["", ""]
        more = {form: "more than " if form in found["never"] else "" for form in ratio}
        cells[1] = ", ".join(
            f"{name} {more[form]}{ratio[form]}" for form, name in GATYS_FORMS.items()
        )
    else:
        name, cells = (
            f"{found['model']} (batch {found['batch']})",
            [ratio.get(form, "") for form in FORMS[1:]],
        )
    return f"| {name} | {spread(found['milliseconds']['ours'], 1)} | {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help=f"of {', '.join(SETUPS)}; all where missing"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--steps",
        type=int,
        default=0,
        help=f"in a turn; about {SECONDS:.0f} seconds' worth where missing",
    )
    parser.add_argument(
        "--single",
        action="store_true",
        help="one thread each, and processor time: for busy machines",
    )
    parser.add_argument(
        "--json", action="store_true", help="a line of JSON for every model in place of the table"
    )
    options = parser.parse_args()
    unknown = set(options.models) - set(SETUPS)
    if unknown:
        parser.error(f"models are {', '.join(SETUPS)}, received {', '.join(sorted(unknown))}")
    forms = FORMS if importlib.util.find_spec("torch") else FORMS[:2]
    if not options.json:
        print("| model | ours, ms | tutorial / ours | PyTorch / ours |\n|---|---|---|---|")
    remarks = []
    for kind in options.models or SETUPS:
        if kind == "Gatys" and "pytorch" not in forms:
            continue  # there is nothing to compare with
        if kind == "Gatys":
            found = compare_gatys(options.rounds, options.single)
        else:
            found = compare_steps(kind, forms, options.rounds, options.steps, options.single)
        print(json.dumps(found) if options.json else row(found), flush=True)
        remarks = list(dict.fromkeys((*remarks, *found["remarks"])))
    if not options.json:
        how = "one thread each, processor time" if options.single else "all of them"
        print(
            f"\n{os.cpu_count()} CPU cores, {how}; {'; '.join(remarks)}; medians over {options.rounds} rounds (quartiles)"
        )
        if "pytorch" not in forms:
            print("PyTorch is not installed: its column is empty, and Gatys is left out")


if __name__ == "__main__":
    main()
