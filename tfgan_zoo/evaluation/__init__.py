"""Evaluate a model. Every metric is also computed on held-out real images or on baselines as a reference."""

import dataclasses
import hashlib
import json
import pathlib

from tfgan_zoo.config import Experiment
from tfgan_zoo.errors import UserError, check_choice
from tfgan_zoo.evaluation.generation import METRICS, GenerationEvaluator
from tfgan_zoo.evaluation.style import STYLIZATION_METRICS, StylizationEvaluator
from tfgan_zoo.evaluation.translation import TRANSLATION_METRICS, TranslationEvaluator
from tfgan_zoo.runs import best_epoch, is_run_directory, read_metrics
from tfgan_zoo.saving.exported import load, load_experiment


def evaluator_for(
    experiment,
    model,
    samples=10_000,
    seed=0,
    network="auto",
    importance_samples=200,
    validate=False,
):
    """The `Evaluator` of an experiment, for translation its `fidelity.Fidelity`, for style its `style_scores.StyleScores`; all have names,
    measure, settings and warnings.

    `validate` is for choosing an epoch: of validation images where there are some, and without baselines.
    """
    if experiment.task == "translate":
        return TranslationEvaluator(experiment, samples, seed, validate)
    if experiment.task == "stylize":
        return StylizationEvaluator(experiment, samples, seed, network, validate)
    height, _, channels = model.image_shape
    return GenerationEvaluator(
        experiment.data, height, channels, samples, seed, network, importance_samples
    )


def metric_names(task):
    """What can be measured of models for a task (see `Experiment.task`)."""
    return list(
        {"generate": METRICS, "translate": TRANSLATION_METRICS, "stylize": STYLIZATION_METRICS}[
            task
        ]
    )


def better_direction(score, names, task="generate"):
    """Whether a score is better "lower" or "higher".

    Args:
        score: its name.
        names: the metrics that are measured.
        task: what the model is for.

    Raises:
        UserError: none of the named metrics gives it.
    """
    if task == "stylize":
        directions = {name: STYLIZATION_METRICS[name] for name in names}
    elif task == "translate":
        directions = {
            name + end: way
            for name, way in TRANSLATION_METRICS.items()
            if name in names
            for end in ("", "_yx")
        }
    else:
        directions = {key: way for name in names for key, way in METRICS[name].better.items()}
    check_choice("score", score, directions)
    return directions[score]


def evaluate(
    source,
    *overrides,
    metrics=None,
    samples=10_000,
    seed=0,
    network="auto",
    importance_samples=200,
    output=None,
):
    """Measures a model and stores the scores.

    Args:
        source: a run directory (its last checkpoint), an exported SavedModel or a trained preset.
        *overrides: strings `data.field=value`, e.g. where the data is on this machine.
        metrics: names in METRICS; all that can be measured where missing.
        samples, seed, network, importance_samples: see `Evaluator`.
        output: the folder for the JSON file and the picture; RUN/evaluation, or evaluation/NAME for what is no run.

    Returns:
        A dict: preset, weights_sha256, step, settings, warnings, scores `{name: {value, real_reference, details}}`. The same is in the file
        named by the settings, along with what was measured earlier with the same settings.

    Raises:
        UserError: a mistake that the message says how to mend.
    """
    if any(not override.startswith("data.") for override in overrides):
        raise UserError(
            f"evaluate takes overrides of the data alone (data.field=value), received {' '.join(overrides)}"
        )
    model = load(source)
    experiment = load_experiment(source)
    if experiment is None and not any(
        override.startswith("data.dataset=") for override in overrides
    ):
        raise UserError(f"{source} does not say what it was trained on: add data.dataset=...")
    if experiment is None and model.task != "generate":
        raise UserError(
            f"an exported model of images needs its experiment.json beside it, received {str(source)!r}"
        )
    experiment = (experiment or Experiment("", "", None)).override(*overrides)
    evaluator = evaluator_for(experiment, model, samples, seed, network, importance_samples)
    names = evaluator.names(model, metrics)
    about = {
        "preset": experiment.preset or None,
        "weights_sha256": model.weights_sha256(),
        "step": int(model.step) if hasattr(model, "step") else None,
        "settings": evaluator.settings(names),
        "warnings": evaluator.warnings(names),
    }
    folder = results_folder(source, output)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"n{samples}_seed{seed}_{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:8]}"
    scores = evaluator.measure(model, names, folder / f"{name}_nearest.png")
    file = folder / f"{name}.json"
    earlier = json.loads(file.read_text())["scores"] if file.is_file() else {}
    result = {
        **about,
        "scores": {**earlier, **{key: dataclasses.asdict(score) for key, score in scores.items()}},
    }
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n")
    partial.replace(file)
    return {**result, "scores": {key: result["scores"][key] for key in scores}}


def results_folder(source, output=None):
    """Where the scores of a source are stored."""
    path = pathlib.Path(source)
    return pathlib.Path(
        output
        or (
            path / "evaluation"
            if is_run_directory(path)
            else pathlib.Path("evaluation") / path.name
        )
    )


def metrics_of(experiment):
    """The metrics that a run is measured with, as a list."""
    if experiment.train.evaluate_metrics:
        return experiment.train.evaluate_metrics.split(",")
    return [{"generate": "frechet", "translate": "l1", "stylize": "style"}[experiment.task]]


def best_score(experiment):
    """The column of metrics.csv by which the best epoch is chosen, and whether lower is better."""
    best = experiment.train.best
    return f"eval_{best}", better_direction(
        best, metrics_of(experiment), experiment.task
    ) == "lower"


def check_evaluation(experiment):
    settings = experiment.train
    for name in metrics_of(experiment):
        check_choice("train.evaluate_metrics", name, metric_names(experiment.task))
    if settings.best:
        best_score(experiment)
        if not settings.evaluate_every:
            raise UserError(
                f"train.best needs train.evaluate_every, received best={settings.best!r} with evaluate_every=0"
            )
    if settings.patience and (not settings.best or settings.strategy == "multiworker"):
        raise UserError(
            f"train.patience needs train.best, and one worker that decides, received patience={settings.patience}"
        )


def stopped_early(run, experiment):
    """Whether the run has ended before its last epoch for want of improvement."""
    settings = experiment.train
    if not settings.patience or not (run / "metrics.csv").is_file():
        return False
    return (
        best_epoch(read_metrics(run / "metrics.csv"), *best_score(experiment))[1]
        >= settings.patience
    )
