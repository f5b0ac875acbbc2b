"""Write the model card of an exported model, from the files of its run directory.

The card is a Markdown page with YAML front matter, as the Hugging Face Hub expects it.
"""

import inspect
import json
import math
import pathlib
import re
import shlex
import sys

import jinja2

from tfgan_zoo import __version__, presets
from tfgan_zoo.data.datasets import LICENSES
from tfgan_zoo.errors import join_names, shell_command
from tfgan_zoo.metrics.score import describe_settings, score_columns
from tfgan_zoo.runs import (
    EVALUATION,
    METRICS,
    SAMPLES,
    format_duration,
    open_evaluation,
    read_class_names,
    read_experiment,
    read_imports,
    read_metrics,
    read_result,
)

TEMPLATE = "model_card.md.j2"
NOT_LOSSES = ("epoch", "step", "seconds", "images_per_second")  # columns of metrics.csv


def model_card(run, model, compact=False, license="unknown"):
    """Render the model card of a run's model.

    Args:
        run: `pathlib.Path` of the run directory.
        model: its `ZooModel`.
        compact: True if the weights are stored as float16.
        license: License of the weights, an identifier of the Hugging Face Hub. The owner of the
            weights chooses it.

    Returns:
        The Markdown text.
    """
    experiment = read_experiment(run)
    rows = read_metrics(run / METRICS)
    losses = last_losses(rows)
    summary, paper, *_ = inspect.getdoc(sys.modules[type(model).__module__]).split("\n\n")
    return (
        environment()
        .get_template(TEMPLATE)
        .render(
            name=experiment.preset,
            license=license,
            summary=summary,
            paper=paper,
            properties=properties(run, experiment, model, rows, compact).items(),
            losses=losses,
            has_evaluations=any(name.startswith("eval_") for name, _ in losses),
            signatures=", ".join(
                f"`{name}({', '.join(spec.name for spec in specs)})`"
                for name, (_, specs) in model.signatures().items()
            ),
            **evaluation_scores(run, model),
            **CARD_TEXTS[model.task](run, experiment, model),
        )
    )


def environment():
    """Return the Jinja2 environment of the package's Markdown templates."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["cell"] = lambda value: str(value).replace("|", "\\|")
    return templates


def properties(run, experiment, model, rows, compact):
    """Return the properties of a model and its training: {name: value}."""
    result = read_result(run)
    parameters = ", ".join(
        f"{player} {sum(math.prod(variable.shape) for variable in variables):,}"
        for player, variables in model.player_variables().items()
    )
    values = {
        "model": f"{experiment.kind}, {SHAPES[model.task](experiment.model)}",
        "trainable parameters": parameters,
    }
    for direction, origin in read_imports(run).items():
        values[f"weights of generator {direction}"] = (
            f"PyTorch, {origin['checkpoint']} (SHA-256 `{origin['sha256']}`)"
        )
    if rows:
        seconds = sum(float(row["seconds"]) for row in rows)
        last, duration = rows[-1], format_duration(seconds)
        duration += " h" if duration.count(":") == 2 else " min"
        values |= {
            "data": result.get("data", experiment.data.dataset),
            **class_table(run),
            "license of the data": LICENSES.get(experiment.data.dataset, "the owner's"),
            "command": code_span(train_command(experiment)),
            "seed": experiment.train.seed,
            "training": f"{last['epoch']} epochs, {last['step']} steps, {duration}",
            "machine": result.get("machine", "unknown"),
        }
    values["weights (SHA-256)"] = f"`{model.weights_sha256()}`"
    if compact:
        values["storage"] = (
            "float16 weights; reference outputs differ from the trained model's by at most 1/255"
        )
    values["created by"] = f"tfgan_zoo {__version__}"
    return values


def class_table(run):
    """Return {"classes": "0 cats, 1 dogs"} for a model with class names, else {}."""
    names = [f"{i} {name}" for i, name in enumerate(read_class_names(run))]
    return {"classes": join_names(names, limit=100)} if names else {}


def train_command(experiment):
    """Return the shell command that trains an experiment."""
    return shell_command("train", *train_arguments(experiment))


def train_arguments(experiment):
    """Return the preset and the overrides of an experiment, as arguments of `tfgan-zoo train`."""
    changes = changed_fields(experiment)
    overrides = [f"{name}={format_value(value)}" for name, (value, _) in changes.items()]
    return [experiment.preset, *overrides]


def changed_fields(experiment):
    """Return the fields that differ from the preset's: {name: (value, value of the preset)}.

    It is empty for an experiment of a preset that this version does not have.
    """
    if experiment.preset not in presets.PRESETS:
        return {}
    return experiment.differences(presets.experiment(experiment.preset))


def code_span(text):
    """Return Markdown that shows a text as code, also if it has backticks."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"`{text}`"


def format_value(value):
    """Format a field's value as in an override, a tuple as [1, 2]."""
    return value if isinstance(value, str) else json.dumps(value)


def last_losses(rows):
    """Return the losses and metrics of the last row of metrics.csv: [(name, value)]."""
    last = rows[-1] if rows else {}
    return [(name, value) for name, value in last.items() if value and name not in NOT_LOSSES]


def evaluation_scores(run, model):
    """Return what `evaluate` stored for this model; of several evaluations the largest."""
    sha256, largest, texts = model.weights_sha256(), -1, {"scores": []}
    for path in sorted((run / EVALUATION).glob("*.json")):
        with open_evaluation(path) as stored:
            settings = stored["settings"]
            if stored["weights_sha256"] == sha256 and settings["n_generated"] > largest:
                largest, texts = settings["n_generated"], score_texts(model.task, stored)
    return texts


def score_texts(task, stored):
    """Return the scores of a stored evaluation, the columns and the settings, as texts."""
    scores = []
    for name, score in stored["scores"].items():
        values = score_columns(task, stored, score).values()
        scores.append((name, *("" if value is None else f"{value:.4g}" for value in values)))
    return {
        "scores": scores,
        "score_columns": ("metric", *score_columns(task, stored)),
        "settings": describe_settings(task, stored["settings"]),
    }


# --- texts by task

SHAPES = {  # of the images, from a model's config
    "generate": lambda config: f"{config.image_size}x{config.image_size}x{config.channels}",
    "translate": lambda config: (
        f"{config.image_size}x{config.image_size}, "
        f"{config.x_channels} to {config.y_channels} channels"
    ),
    "stylize": lambda config: f"{config.image_size}x{config.image_size}",
}


def generation_texts(run, experiment, model):
    labels, options, clusters = "", "-n 64", ""
    if model.clustered:
        clusters = (
            f" The condition is one of {model.classes} k-means clusters of the training images. "
            "`sample` and `draw_labels` draw clusters by their share of these images."
        )
    elif model.classes and experiment.model.condition == "label":
        labels, options = f", labels=tf.range({model.classes})", label_option(run, model.classes)
    elif model.classes:
        labels = f", labels=tf.eye({model.classes})"
    unconditional = not model.classes or model.clustered
    return {
        "has_image": True,
        "pipeline_tag": "unconditional-image-generation" if unconditional else None,
        "tags": ["image-generation", experiment.kind.lower(), "tfgan-zoo"],
        "python": (
            'sample = model.signatures["sample"]\n'
            f"outputs = sample(n=tf.constant(64), seed=tf.constant(0){labels})\n"
            'images = outputs["images"]  # uint8 (n, height, width, channels)'
        ),
        "shell": f"tfgan-zoo sample DIRECTORY {options} --seed 0 -o samples.png",
        "inputs": (
            f"Codes z are float32 (n, {experiment.model.latent_dim}) from N(0, 1). "
            f"Images are uint8.{clusters}"
        ),
        "limitations": (
            "The model generates images like its training data. Rare kinds of images may be "
            "missing from its samples."
        ),
    }


def label_option(run, count):
    """Return the option for one row of samples per class."""
    names, numbers = list(read_class_names(run)), [str(i) for i in range(count)]
    if not names or names == numbers or any("," in name for name in names):
        return f"--labels 0-{count - 1}"
    return f"--labels {shlex.quote(','.join(names[:10]))}"


def translation_texts(run, experiment, model):
    size = experiment.model.image_size
    seed = ", seed=tf.constant(0)" if model.stochastic else ""
    option = "" if "xy" in model.directions else " --direction yx"
    return {
        "has_image": (run / SAMPLES).is_dir(),
        "pipeline_tag": "image-to-image",
        "tags": ["image-translation", experiment.kind.lower(), "tfgan-zoo"],
        "python": (
            "# images: uint8 (n, height, width, channels)\n"
            f'translated = model.signatures["translate"](images=images{seed})["images"]'
        ),
        "shell": f"tfgan-zoo translate DIRECTORY image.png -o translated.png{option}",
        "inputs": "Images are uint8 of any height and width.",
        "limitations": (
            f"The model was trained on crops of {size}x{size} pixels. Objects should have about "
            "the size that they have in the training data. Other kinds of images are translated "
            "as if they belonged to the input domain."
        ),
    }


def stylization_texts(run, experiment, model):
    size = experiment.model.image_size
    images, call, option = "images", "stylize(images=images)", ""
    if model.takes_styles:
        images, option = "images and styles", " --style painting.jpg"
        call = (
            "stylize(\n"
            "    images=images,\n"
            "    styles=styles,\n"
            "    weights=tf.ones(len(styles)),\n"
            "    alpha=tf.constant(1.0),\n"
            ")"
        )
    return {
        "has_image": (run / SAMPLES).is_dir(),
        "pipeline_tag": "image-to-image",
        "tags": ["style-transfer", experiment.kind.lower(), "tfgan-zoo"],
        "python": (
            f"# {images}: uint8 (n, height, width, 3)\n"
            'stylize = model.signatures["stylize"]\n'
            f'stylized = {call}["images"]'
        ),
        "shell": f"tfgan-zoo stylize image.png --preset DIRECTORY{option}",
        "inputs": "Images are uint8 of any height and width.",
        "limitations": (
            f"The model was trained on crops of {size}x{size} pixels, which determines the size "
            "of a stroke in pixels. For finer strokes, enlarge the image first; for coarser "
            "strokes, shrink it."
        ),
    }


CARD_TEXTS = {
    "generate": generation_texts,
    "translate": translation_texts,
    "stylize": stylization_texts,
}
