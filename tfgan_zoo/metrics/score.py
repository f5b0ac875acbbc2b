"""What a measurement gives, and how it is shown."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Score:
    """A number, what it is to be compared with, and what more there is to say."""

    value: float
    real_reference: float | None = (
        None  # what real images reach in its place; None where that has no meaning
    )
    baselines: dict | None = None  # what simple ways reach in its place: name -> number
    details: dict | None = None


def format_table(result):
    """The scores for people, with what they were measured with."""
    settings = result["settings"]
    columns = score_columns(result)
    lines = [f"{'score':<32}" + "".join(f"{name:>14}" for name in columns)]
    for name, score in result["scores"].items():
        cells = "".join(
            f"{'-' if value is None else f'{value:.4f}':>14}"
            for value in score_columns(result, score).values()
        )
        details = {
            key: value
            for key, value in (score["details"] or {}).items()
            if not isinstance(value, list)
        }
        told = ", ".join(
            f"{key} {value:.2g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in details.items()
        )
        lines.append(f"{name:<32}{cells}  {told}".rstrip())
    return "\n".join([*lines, *describe_settings(settings)])


def score_columns(result, score=None):
    """The columns of a table of scores: {name: the score's number there, or None}."""
    score = score or {"value": None, "real_reference": None, "baselines": None}
    baselines = dict.fromkeys(
        name for each in result["scores"].values() for name in each["baselines"] or {}
    )
    if baselines or "direction" in result["settings"]:
        made = "translated" if "direction" in result["settings"] else "stylized"
        return {
            made: score["value"],
            **{name: (score["baselines"] or {}).get(name) for name in baselines},
        }
    return {"generated": score["value"], "real images": score["real_reference"]}


def describe_settings(settings):
    """What scores were measured with, as lines."""
    if settings.get("direction"):
        training = settings["n_training_for_baselines"]
        return [
            f"{settings['data']}, the test split{f'; baselines from {training} training images' if training else ''}"
        ]
    if "n_reference" not in settings:
        return [
            f"{settings['data']}; looked at through {settings['features']['network']} ({settings['features']['sha256'][:12]})"
        ]
    lines = [
        f"{settings['n_generated']:,} generated images, seed {settings['seed']}, against {settings['n_reference']:,} of {settings['data']} "
        f"({settings['split']}); real images: {settings['n_real_reference']:,} others in their place"
    ]
    if "features" in settings:
        network = settings["features"]
        lines.append(
            f"features: {network['network']} ({network['sha256'][:12]}), resized: {network['resizer']}"
        )
    if "binarisation" in settings:
        lines.append(
            f"likelihood: {settings['importance_samples']} importance samples, binarised: {settings['binarisation']} (in training: "
            f"{settings['binarisation_in_training']})"
        )
    return lines
