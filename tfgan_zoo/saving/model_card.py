"""The model card that goes with an exported model: a Markdown page made of what the run directory knows, and nothing else."""

import inspect
import json
import math
import sys

from tfgan_zoo import __version__, presets
from tfgan_zoo.data.datasets import LICENSES
from tfgan_zoo.metrics.score import describe_settings, score_columns
from tfgan_zoo.runs import format_duration, read_experiment, read_metrics


def model_card(run, model, compact=False):
    """The Markdown page about a run's model: what, data, command, seed, time, machine, numbers.

    Args:
        run: the run directory, a `pathlib.Path`.
        model: its model.
        compact: whether weights are stored as float16.
    """
    experiment = read_experiment(run)
    result = read_json(run / "result.json")
    changed = experiment.differences(presets.experiment(experiment.preset))
    command = " ".join(
        [
            "tfgan-zoo train",
            experiment.preset,
            *(f"{name}={mine}" for name, (mine, _) in changed.items()),
        ]
    )
    rows = read_metrics(run / "metrics.csv") if (run / "metrics.csv").is_file() else []
    about = inspect.getdoc(sys.modules[type(model).__module__]).split("\n\n")
    parameters = ", ".join(
        f"{name} {sum(math.prod(v.shape) for v in found):,}"
        for name, found in model.player_variables().items()
    )
    signatures = ", ".join(
        f"`{name}({', '.join(spec.name for spec in specs)})`"
        for name, (_, specs) in model.signatures().items()
    )
    describe = {
        "generate": generation_card,
        "translate": translation_card,
        "stylize": stylization_card,
    }[experiment.task]
    shape, use, more, limits = describe(experiment, model)
    facts = {
        "model": f"{experiment.kind}, {shape}",
        "trainable parameters": parameters,
        **{
            f"generator {way} from": describe_import(origin)
            for way, origin in read_json(run / "imported.json").items()
        },
    }
    if rows:
        seconds = sum(float(row["seconds"]) for row in rows)
        facts |= {
            "data": result.get("data", experiment.data.dataset),
            "licence of the data": LICENSES.get(experiment.data.dataset, "the owner's"),
            "command": f"`{command}`",
            "seed": experiment.train.seed,
            "training": f"{rows[-1]['epoch']} epochs, {rows[-1]['step']} steps, {format_duration(seconds)}",
            "machine": result.get("machine", "unknown"),
        }
    halves = "weights as float16; the images by which the export was compared differ from the trained model's by 1 level of 255 at most"
    stored = {"stored": halves} if compact else {}
    facts |= {
        "weights (SHA-256)": f"`{model.weights_sha256()}`",
        **stored,
        "made by": f"tfgan_zoo {__version__}",
    }
    told = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    picture = (
        "![samples](samples.png)\n\n"
        if model.task == "generate" or (run / "samples").is_dir()
        else ""
    )
    return f"""# {experiment.preset}

{about[0]}

{about[1]}

{picture}| | |
|---|---|
{told}
{losses_table(rows)}{scores_table(run, model)}
## Use

With TensorFlow alone:

```python
import tensorflow as tf

model = tf.saved_model.load("{experiment.preset}")
{use}
```

Signatures: {signatures}. {more}

## Limits

{limits}
"""


def read_json(path):
    return json.loads(path.read_text()) if path.is_file() else {}


def describe_import(origin):
    return f"PyTorch, {origin['checkpoint']} (SHA-256 `{origin['sha256']}`)"


def losses_table(rows):
    """The last row of metrics.csv as Markdown."""
    if not rows:
        return ""
    skipped = ("epoch", "step", "seconds", "images_per_second")
    numbers = "\n".join(
        f"| {name} | {value} |" for name, value in rows[-1].items() if value and name not in skipped
    )
    return f"""
Means over the last epoch, which tell whether training is in balance, not how good the images are (`eval_`: scores at its end):

| | |
|---|---|
{numbers}
"""


def generation_card(experiment, model):
    """What a card says of a model of latent codes: its shape, its use in Python and elsewhere, its limits."""
    config = experiment.model
    by_label = model.classes and config.condition == "label"
    labels = (
        f", labels=tf.{'range' if by_label else 'eye'}({model.classes})" if model.classes else ""
    )
    return (
        f"{config.image_size}x{config.image_size}x{config.channels}",
        f'images = model.signatures["sample"](n=tf.constant(64), seed=tf.constant(0){labels})["images"]  # uint8 (64, s, s, c)',
        f"z is float32 (n, {config.latent_dim}) from N(0, 1), images are uint8. With tfgan_zoo:\n"
        f"`tfgan-zoo sample DIRECTORY {f'--labels 0-{model.classes - 1}' if by_label else '-n 64'} --seed 0 -o samples.png`.",
        "It makes images like those it was trained on and nothing else; rare kinds of image may be missing among its samples.",
    )


def translation_card(experiment, model):
    """The same of a translation model."""
    config = experiment.model
    seed = ", seed=tf.constant(0)" if model.stochastic else ""
    return (
        f"{config.image_size}x{config.image_size}, {config.x_channels} to {config.y_channels} channels",
        f'translated = model.signatures["translate"](images=images{seed})["images"]  # uint8 (n, h, w, c)',
        "Images are uint8 of any height and width. With tfgan_zoo: `tfgan-zoo translate DIRECTORY picture.png -o out.png`.",
        f"It was trained on crops of {config.image_size} pixels, and knows things at the size that they have there. It translates images "
        "like those it was trained on; others come out as something of that kind too.",
    )


def stylization_card(experiment, model):
    """The same of a model of style."""
    more = (
        ", styles=styles, weights=tf.ones(len(styles)), alpha=1.0"
        if len(model.signatures()["stylize"][1]) > 1
        else ""
    )
    styles = "" if more == "" else " --style painting.jpg"
    return (
        f"{experiment.model.image_size}x{experiment.model.image_size}",
        f'stylized = model.signatures["stylize"](images=images{more})["images"]  # uint8 (n, h, w, 3)',
        f"Images are uint8 of any height and width. With tfgan_zoo: `tfgan-zoo stylize picture.png --preset DIRECTORY{styles}`.",
        f"It was trained on pieces of {experiment.model.image_size} pixels, and a stroke has the size that it has there: shrink or "
        "enlarge a picture first for finer or coarser ones.",
    )


def scores_table(run, model):
    """The scores of this model that `evaluate` has stored in the run, as Markdown; of several evaluations the one with the most images."""
    stored = [json.loads(path.read_text()) for path in sorted((run / "evaluation").glob("*.json"))]
    stored = [result for result in stored if result["weights_sha256"] == model.weights_sha256()]
    if not stored:
        return ""
    result = max(stored, key=lambda result: result["settings"]["n_generated"])
    columns = list(score_columns(result))
    rows = []
    for name, score in result["scores"].items():
        cells = [
            "" if value is None else f"{value:.4g}"
            for value in score_columns(result, score).values()
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return f"""
`tfgan-zoo evaluate`: {". ".join(describe_settings(result["settings"]))}.

| score | {" | ".join(columns)} |
|---|{"---|" * len(columns)}
{chr(10).join(rows)}
"""
