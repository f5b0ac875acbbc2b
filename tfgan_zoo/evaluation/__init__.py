"""Evaluate a model. Every metric is also computed on real images or on baselines as a reference."""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Sequence

from tfgan_zoo.config import Experiment
from tfgan_zoo.errors import UserError, check_choice
from tfgan_zoo.evaluation.evaluator import EvaluationOptions
from tfgan_zoo.evaluation.generation import GenerationEvaluator
from tfgan_zoo.evaluation.style import StylizationEvaluator
from tfgan_zoo.evaluation.translation import TranslationEvaluator
from tfgan_zoo.files import check_output_folder, write_text
from tfgan_zoo.runs import (
    EVALUATION,
    METRICS,
    best_epoch,
    is_run_directory,
    open_evaluation,
    read_metrics,
)
from tfgan_zoo.saving.exported import load, load_experiment

EVALUATORS = {  # by task
    "generate": GenerationEvaluator,
    "translate": TranslationEvaluator,
    "stylize": StylizationEvaluator,
}
DEFAULT_METRIC = {  # by task: what a run is evaluated by if train.evaluate_metrics is empty
    "generate": "frechet_distance",
    "translate": "l1",
    "stylize": "style",
}


# --- evaluate a trained model


def evaluate(
    source: str | os.PathLike,
    *overrides: str,
    metrics: Sequence[str] | None = None,
    samples: int = 10_000,
    seed: int = 0,
    features: str = "auto",
    importance_samples: int = 200,
    output: str | os.PathLike | None = None,
) -> dict:
    """Evaluate a trained model and store the scores.

    Args:
        source: a run directory (its last checkpoint), an exported SavedModel or a pretrained
            preset.
        *overrides: strings `data.field=value`, for example the path of the data on this machine;
            or `model.style=PATH`, the style image of a model of one style.
        metrics: list of metrics, see `metric_names`; None: all that apply.
        samples: number of generated images, or the maximum number of test images.
        seed: decides the noise, the labels and every random choice.
        features: feature extractor of the metrics. Generation: "digits", "fashion", "inception" or
            the path of a Keras model; "auto": see `features.metric_networks.default_features`.
            Translation: the same or "small"; "auto": small. Stylization: see
            `features.vgg.load_perceptual_network`; "auto": that of the model.
        importance_samples: draws of z per image for the likelihood.
        output: folder for the JSON file and the image of the nearest training images; None:
            RUN/evaluation, or evaluation/NAME for a source that is not a run directory.

    Returns:
        A dict: task, preset, weights_sha256, step, settings, warnings, and scores
        `{name: {value, real_reference, baselines, details}}`. The JSON file contains the same, and
        the scores that were computed earlier with the same settings.

    Raises:
        UserError: an error that the user can correct.
    """
    # Load the model and its experiment.
    if any(not override.startswith(("data.", "model.style=")) for override in overrides):
        raise UserError(
            "evaluate takes overrides of the data alone (data.field=value), and model.style=PATH, "
            f"got {' '.join(overrides)}."
        )
    folder = results_folder(source, output)
    check_output_folder(folder)
    model = load(source)
    experiment = load_experiment(source)
    if experiment is None:
        if EVALUATORS[model.task].needs_experiment:
            raise UserError(
                "evaluation of this model needs experiment.json in the folder of the SavedModel, "
                f"got {str(source)!r}. Copy it from the run directory."
            )
        if not any(override.startswith("data.dataset=") for override in overrides):
            raise UserError(
                f"the dataset of this model is not known, got {str(source)!r}. "
                "Add data.dataset=NAME."
            )
        experiment = Experiment("", "", None)
    style = [override for override in overrides if override.startswith("model.style=")]
    if style and (model.task != "stylize" or model.takes_styles):
        raise UserError(f"{style[0]} is for a model of one style, got {str(source)!r}.")
    experiment = experiment.override(*overrides)

    # Compute the scores.
    options = EvaluationOptions(samples, seed, features, importance_samples)
    evaluator = EVALUATORS[model.task].create(experiment, model, options)
    names = evaluator.names(model, metrics)
    record = {
        "preset": experiment.preset or None,
        "weights_sha256": model.weights_sha256(),
        "step": int(model.step) if is_run_directory(source) else None,
        "settings": evaluator.settings(names),
        "warnings": evaluator.warnings(names),
    }
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(json.dumps(record).encode()).hexdigest()
    stem = f"n{samples}_seed{seed}_{digest[:8]}"
    scores = evaluator.measure(model, names, folder / f"{stem}_nearest.png")
    scores = {name: dataclasses.asdict(score) for name, score in scores.items()}

    # Store them with earlier scores of the same settings.
    file = folder / f"{stem}.json"
    earlier = {}
    if file.is_file():
        with open_evaluation(file) as stored:
            earlier = dict(stored["scores"])
    record = {"task": model.task, **record}
    stored = {**record, "scores": {**earlier, **scores}}
    write_text(file, json.dumps(stored, indent=2, allow_nan=False))
    return {**record, "scores": scores}


def results_folder(source, output=None):
    """Return the folder in which `evaluate` stores the scores of a source."""
    path = pathlib.Path(source)
    default = path / EVALUATION if is_run_directory(path) else pathlib.Path("evaluation", path.name)
    return pathlib.Path(output or default)


def evaluator_for(experiment, model, **options):
    """Return the `Evaluator` for a model of an experiment.

    Args:
        experiment: an `Experiment`.
        model: its model, or an exported one.
        **options: fields of `EvaluationOptions`.
    """
    return EVALUATORS[experiment.task].create(experiment, model, EvaluationOptions(**options))


def metric_names(task):
    """Return the names of the metrics for models of a task."""
    return list(EVALUATORS[task].metrics)


# --- select the best epoch of a run


def better_value(score, names, task="generate"):
    """Return whether "lower" or "higher" values of a score are better.

    Args:
        score: its name.
        names: the metrics that are computed.
        task: "generate", "translate" or "stylize".

    Raises:
        UserError: none of these metrics gives the score.
    """
    better = EVALUATORS[task].better(names)
    check_choice("score", score, better)
    return better[score]


def run_metrics(experiment):
    """Return the metrics that a run is evaluated by during training, as a list.

    Raises:
        UserError: an unknown metric.
    """
    requested = experiment.train.evaluate_metrics
    names = requested.split(",") if requested else [DEFAULT_METRIC[experiment.task]]
    for name in names:
        check_choice("train.evaluate_metrics", name, metric_names(experiment.task))
    return names


def best_score(experiment):
    """Return (column of metrics.csv that selects the best epoch, True if lower is better)."""
    best = experiment.train.best
    better = better_value(best, run_metrics(experiment), experiment.task)
    return f"eval_{best}", better == "lower"


def check_evaluation(experiment):
    """Raise `UserError` for settings of the evaluation during training that do not fit together."""
    settings = experiment.train
    run_metrics(experiment)  # raises for an unknown metric
    if settings.best:
        best_score(experiment)
        if not settings.evaluate_every:
            raise UserError(
                "train.best needs train.evaluate_every, "
                f"got train.best={settings.best} with train.evaluate_every=0."
            )
    if settings.patience and not settings.best:
        raise UserError(f"train.patience needs train.best, got train.patience={settings.patience}.")
    if settings.patience and settings.strategy == "multiworker":
        raise UserError(
            "train.patience is not available with train.strategy=multiworker, "
            f"got train.patience={settings.patience}."
        )


def run_evaluator(experiment, model):
    """Return the evaluator of a run during training, and its metrics; (None, []) without one.

    Raises:
        UserError: a metric or a feature network that does not apply to the model or the data.
    """
    settings = experiment.train
    if not settings.evaluate_every:
        return None, []
    evaluator = evaluator_for(
        experiment,
        model,
        samples=settings.evaluate_samples,
        seed=settings.seed,
        features=settings.evaluate_features,
        validate=True,
    )
    names = evaluator.names(model, run_metrics(experiment))
    evaluator.settings(names)  # raises now, and not at the first evaluation, for missing features
    if settings.best:
        scores = evaluator.score_names(model, names)
        check_choice("train.best (of train.evaluate_metrics)", settings.best, scores)
    return evaluator, names


def stopped_early(run, experiment):
    """Return True if early stopping has ended the run."""
    patience = experiment.train.patience
    if not patience:
        return False
    _, evaluations_since = best_epoch(read_metrics(run / METRICS), *best_score(experiment))
    return evaluations_since >= patience
