"""A metric's value with its references, and tables of scores."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Score:
    """A metric's value with the values to compare it with."""

    value: float
    real_reference: float | None = None  # score of held-out real images; None if undefined
    baselines: dict | None = None  # scores of methods without a network: {baseline: value}
    details: dict | None = None  # what else belongs to the value, such as its standard error


def format_table(result):
    """Format the result of `evaluate` as a table of scores, followed by the settings."""
    columns = score_columns(result)
    lines = [f"{'score':<32}" + "".join(f"{name:>14}" for name in columns)]
    for name, score in result["scores"].items():
        values = score_columns(result, score).values()
        cells = "".join(f"{'-' if value is None else f'{value:.4f}':>14}" for value in values)
        details = ", ".join(
            f"{key} {value:.2g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in (score["details"] or {}).items()
            if not isinstance(value, list)
        )
        lines.append(f"{name:<32}{cells}  {details}".rstrip())
    return "\n".join([*lines, *describe_settings(result["settings"])])


def score_columns(result, score=None):
    """Return the columns of a table of scores as `{column: value}`.

    Args:
        result: a dict as `evaluate` returns.
        score: one of its scores; without one, all values are None.

    Returns:
        A dict. The value is None for a column that the score does not have.
    """
    score = score or {"value": None, "real_reference": None, "baselines": None}
    baselines = dict.fromkeys(
        name for other in result["scores"].values() for name in other["baselines"] or {}
    )
    translated = "direction" in result["settings"]
    if translated or baselines:
        return {
            "translated" if translated else "stylized": score["value"],
            **{name: (score["baselines"] or {}).get(name) for name in baselines},
        }
    return {"generated": score["value"], "real images": score["real_reference"]}


def describe_settings(settings):
    """Return the settings of an evaluation as a list of lines."""
    if "direction" in settings:
        training = settings["n_training_for_baselines"]
        baselines = f"; baselines from {training} training images" if training else ""
        return [f"{settings['data']}, the test split{baselines}"]
    network = settings.get("features")
    if "n_reference" not in settings:
        return [f"{settings['data']}; features: {network['network']} ({network['sha256'][:12]})"]
    lines = [
        f"{settings['n_generated']:,} generated images, seed {settings['seed']}, compared with "
        f"{settings['n_reference']:,} of {settings['data']} ({settings['split']}); real images: "
        f"{settings['n_real_reference']:,} others"
    ]
    if network:
        lines.append(
            f"features: {network['network']} ({network['sha256'][:12]}), "
            f"resized: {network['resizer']}"
        )
    if "binarization" in settings:
        lines.append(
            f"likelihood: {settings['importance_samples']} importance samples, binarization: "
            f"{settings['binarization']} (in training: {settings['binarization_in_training']})"
        )
    return lines
