"""Scores: the values of metrics with their references, and tables of them."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Score:
    """A metric's value with the values to compare it with."""

    value: float
    real_reference: float | None = None  # the same score of real images; None if undefined
    baselines: dict | None = None  # scores of methods without a network: {baseline: value}
    details: dict | None = None  # numbers that belong to the value, such as its standard error


def format_scores(result):
    """Format the result of `evaluate` as a table of scores, followed by the settings."""
    columns = score_columns(result["task"], result)
    lines = [f"{'metric':<32}" + "".join(f"{name:>14}" for name in columns)]
    for name, score in result["scores"].items():
        values = score_columns(result["task"], result, score).values()
        cells = "".join(f"{'-' if value is None else f'{value:.4f}':>14}" for value in values)
        lines.append(f"{name:<32}{cells}  {format_details(score['details'])}".rstrip())
    return "\n".join([*lines, *describe_settings(result["task"], result["settings"])])


def format_details(details):
    """Return the details of a score that are numbers or texts, such as "k 5, error 0.012"."""
    return ", ".join(
        f"{name} {format_detail(value)}"
        for name, value in (details or {}).items()
        if isinstance(value, (int, float, str))
    )


def format_detail(value):
    """Return a detail as text, a float with two digits and without an exponent."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else value
    if 0 < abs(value) < 1e-4:
        return "below 0.0001" if value > 0 else "above -0.0001"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"


def score_columns(task, result, score=None):
    """Return the columns of a table of scores as `{column: value}`.

    Args:
        task: "generate", "translate" or "stylize".
        result: a dict as `evaluate` returns.
        score: one of its scores; without one, all values are None.

    Returns:
        A dict. The value is None for a column that the score does not have.
    """
    score = score or {"value": None, "real_reference": None, "baselines": None}
    columns = {VALUE_COLUMNS[task]: score["value"]}
    if any(other["real_reference"] is not None for other in result["scores"].values()):
        columns["real images"] = score["real_reference"]
    for other in result["scores"].values():
        for name in other["baselines"] or {}:
            columns[name] = (score["baselines"] or {}).get(name)
    return columns


def describe_settings(task, settings):
    """Return the settings of an evaluation as a list of lines."""
    return SETTINGS_LINES[task](settings)


def generation_settings(settings):
    test = settings["split"] == "test"
    lines = [
        f"{settings['n_generated']:,} generated images (seed {settings['seed']}), compared with "
        f"{settings['n_reference']:,} {'test' if test else 'training'} images of "
        f"{settings['data']}. Real reference of the distances: {settings['n_real_reference']:,} "
        f"{'' if test else 'other '}training images."
    ]
    if "features" in settings:
        lines.append(f"{describe_network(settings)}, resized: {settings['features']['resizer']}")
    if "binarization" in settings:
        lines.append(
            f"likelihood: {settings['importance_samples']} importance samples, binarization: "
            f"{settings['binarization']} (in training: {settings['binarization_in_training']})"
        )
    return lines


def translation_settings(settings):
    training = settings["n_training_for_baselines"]
    baselines = f"; baselines from {training} training images" if training else ""
    lines = [f"{settings['data']}, the test split{baselines}"]
    if "features" in settings:
        lines.append(f"{describe_network(settings)}, resized: {settings['features']['resizer']}")
    return lines


def stylization_settings(settings):
    return [f"{settings['data']}; {describe_network(settings)}"]


def describe_network(settings):
    network = settings["features"]
    return f"features: {network['network']} ({network['sha256'][:12]})"


VALUE_COLUMNS = {"generate": "generated", "translate": "translated", "stylize": "stylized"}
SETTINGS_LINES = {
    "generate": generation_settings,
    "translate": translation_settings,
    "stylize": stylization_settings,
}
