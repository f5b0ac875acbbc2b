"""Write an HTML page about a run, from the files of its run directory.

The page is one file and loads nothing else: images and curves are embedded.
"""

import base64
import io
import os
import pathlib
import re
import statistics

import jinja2
import markupsafe
import numpy as np
from PIL import Image

from tfgan_zoo import __version__, presets
from tfgan_zoo.config import flatten
from tfgan_zoo.errors import FailureError, UserError, first_line, join_names, shell_command
from tfgan_zoo.evaluation import best_score, stopped_early
from tfgan_zoo.files import check_output_files, write_text
from tfgan_zoo.metrics.score import VALUE_COLUMNS, format_details
from tfgan_zoo.runs import (
    BEST,
    EVALUATION,
    METRICS,
    SAMPLES,
    best_epoch,
    format_duration,
    is_run_directory,
    open_evaluation,
    read_experiment,
    read_metrics,
    read_result,
)
from tfgan_zoo.saving.model_card import changed_fields, format_value, train_command
from tfgan_zoo.visualize import curve_panels, curves_svg

TEMPLATE = "report.html.j2"
MAX_SAMPLE_GRIDS = 20
MAX_IMAGE_SIZE = (1200, 12_000)  # pixels of an embedded image; WebP allows up to 16,383
LOSSLESS_BYTES = 100_000  # an image that needs more is compressed with losses
NEAREST_CAPTION = (
    "the generated images that are nearest to a training image, above those training images"
)


def write_report(run, output=None, overwrite: bool = False) -> pathlib.Path:
    """Write the page about a run, finished or not: samples, curves, scores, configuration.

    Args:
        run: Run directory.
        output: HTML file to write. Defaults to RUN/report.html, which is always replaced.
        overwrite: Whether `output` may be replaced.

    Returns:
        The path of the page.

    Raises:
        UserError: `run` is not a run directory or has no finished epoch, or `output` is not an
            HTML file or exists.
    """
    run = pathlib.Path(run)
    overwrite = overwrite or not output
    output = pathlib.Path(output or run / "report.html")
    if not is_run_directory(run):
        raise UserError(f"a run directory (with experiment.json) is needed, got {str(run)!r}.")
    if output.suffix != ".html" or output.is_dir():
        raise UserError(f"output must be a file that ends in .html, got {str(output)!r}.")
    check_output_files([output], overwrite)
    rows = read_metrics(run / METRICS)
    if not rows:
        raise UserError(
            f"{run / METRICS} has no finished epoch: continue with: {shell_command('train', run)}"
        )
    page = render(run, read_experiment(run), rows)
    # ASCII, so that the page does not depend on the machine's encoding.
    write_text(output, page.encode("ascii", "xmlcharrefreplace").decode())
    return output


def render(run, experiment, rows):
    """Return the page's HTML for a run, its experiment and the rows of its metrics.csv."""
    result = current_result(run, experiment, rows)
    loader = jinja2.FileSystemLoader(pathlib.Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    folder = os.path.basename(os.path.realpath(run))
    names = dict.fromkeys((experiment.preset or experiment.kind, folder))
    state = training_state(experiment, rows, result)
    return environment.get_template(TEMPLATE).render(
        title=" · ".join(names),
        subtitle=f"{experiment.kind} · {experiment.data.dataset} · {state}",
        facts=facts(run, experiment, rows, result),
        samples=sample_images(run),
        curves=[embedded_curves(rows, panel) for panel in curve_panels(rows)],
        last_values=last_values(rows),
        evaluations=evaluations(run, experiment.task, result),
        command=train_command(experiment) if experiment.preset in presets.PRESETS else None,
        preset=repr(experiment.preset),
        configuration=configuration(experiment),
        version=__version__,
    )


def current_result(run, experiment, rows):
    """Return result.json; empty if training has not finished, or was continued after it."""
    result = read_result(run)
    last = int(rows[-1]["epoch"])
    finished = last >= experiment.train.epochs or stopped_early(run, experiment)
    return result if result.get("epochs") == last and finished else {}


def training_state(experiment, rows, result):
    last, epochs = int(rows[-1]["epoch"]), experiment.train.epochs
    if not result:
        return f"epoch {last} of {epochs}, not finished"
    if last == epochs:
        return f"finished: {last} epochs"
    return f"stopped early after epoch {last} of {epochs}"


def facts(run, experiment, rows, result):
    """Return the key facts of a run: [{name, value, wide}]."""
    rates = [float(row["images_per_second"]) for row in rows]
    narrow = {
        "epochs": f"{rows[-1]['epoch']} of {experiment.train.epochs}",
        "steps": format_number(rows[-1]["step"]),
        "training time": format_duration(sum(float(row["seconds"]) for row in rows)),
        "images/s (median)": format_number(statistics.median(rates)),
        "seed": experiment.train.seed,
    }
    if experiment.train.best:
        column, lower = best_score(experiment)
        epoch, _ = best_epoch(rows, column, lower)
        saved = f", saved in {BEST}/" if (run / BEST).is_dir() else ""
        narrow["best epoch"] = epoch and f"{epoch} ({column}{saved})"
    wide = {
        "data": result.get("data"),
        "classes": join_names(result.get("class_names", []), limit=100) or None,
        "machine": result.get("machine"),
        "weights (SHA-256)": result.get("weights_sha256"),
    }
    return [
        {"name": name, "value": value, "wide": name in wide}
        for name, value in {**narrow, **wide}.items()
        if value is not None
    ]


def sample_images(run):
    """Return at most MAX_SAMPLE_GRIDS sample grids, evenly spaced over the epochs."""
    paths = {
        int(path.stem.removeprefix("epoch_")): path for path in (run / SAMPLES).glob("epoch_*.png")
    }
    if not paths:
        return []
    epochs = sorted(paths)
    positions = np.linspace(0, len(epochs) - 1, min(MAX_SAMPLE_GRIDS, len(epochs)))
    chosen = [epochs[i] for i in sorted({round(position) for position in positions})]
    return [embedded_image(paths[epoch], f"epoch {epoch}") for epoch in chosen]


def embedded_image(path, text):
    """Return an image file for an `img` element: its data URL, width, height and text."""
    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except Exception as error:  # damaged files cause many types of errors
        raise FailureError(
            f"{path} is damaged ({first_line(error)}). Delete it and write the report again."
        ) from error
    image.thumbnail(MAX_IMAGE_SIZE, Image.Resampling.LANCZOS)
    for options in ({"lossless": True}, {"quality": 80}):
        content = io.BytesIO()
        image.save(content, "WEBP", **options)
        if content.tell() <= LOSSLESS_BYTES:
            break
    source = f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"
    return {"source": source, "width": image.width, "height": image.height, "text": text}


def embedded_curves(rows, names):
    """Return columns of metrics.csv over the steps as an `svg` element."""
    svg = curves_svg(rows, [names])
    # Remove what an SVG file needs and an element of a page does not: header, metadata, ids.
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg ") :], flags=re.S)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    label = markupsafe.escape(f"{', '.join(names)} by step")
    return markupsafe.Markup(svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))


def last_values(rows):
    """Return table rows (column, value, epoch) with the newest value of each column."""
    table = []
    for name in rows[0]:
        newest = next((row for row in reversed(rows) if row[name]), None)
        if newest:
            table.append(table_row(name, format_number(newest[name]), newest["epoch"]))
    return table


def evaluations(run, task, result):
    """Return the stored evaluations of a run and of its best epoch."""
    paths = [
        path
        for folder in (run, run / BEST)
        for path in sorted((folder / EVALUATION).glob("*.json"))
    ]
    return [evaluation(run, path, task, result) for path in paths]


def evaluation(run, path, task, result):
    """Return one stored evaluation for the page."""
    with open_evaluation(path) as stored:
        sha256 = stored["weights_sha256"]
        last = ", the last of the run" if sha256 == result.get("weights_sha256") else ""
        head, scores = score_table(stored, task)
        settings = flatten(stored["settings"])
        nearest = path.with_name(f"{path.stem}_nearest.png")
        return {
            "path": str(path.relative_to(run)),
            "weights": f"step {format_number(stored['step'])}, weights {sha256[:12]}{last}",
            "warnings": list(stored["warnings"]),
            "head": head,
            "scores": scores,
            "images": [embedded_image(nearest, NEAREST_CAPTION)] if nearest.is_file() else [],
            "settings": [table_row(name, format_value(value)) for name, value in settings.items()],
        }


def score_table(stored, task):
    """Return (head, rows) of a stored evaluation: metric, value, references and details."""
    scores = stored["scores"]
    has_reference = any(score.get("real_reference") is not None for score in scores.values())
    details = {name: score.get("details") or {} for name, score in scores.items()}
    baselines = {
        name: score.get("baselines") or details[name].get("baselines") or {}
        for name, score in scores.items()
    }
    columns = list(dict.fromkeys(name for values in baselines.values() for name in values))
    rows = []
    for name, score in scores.items():
        values = [score["value"]]
        if has_reference:
            values.append(score.get("real_reference"))
        values += [baselines[name].get(column) for column in columns]
        rows.append(table_row(name, *map(format_number, values), format_details(details[name])))
    reference = ["real images"] if has_reference else []
    return ("metric", VALUE_COLUMNS[task], *reference, *columns, ""), rows


def configuration(experiment):
    """Return the experiment's fields by section; those that differ from the preset are marked."""
    changed = changed_fields(experiment)
    sections = {}
    for name, value in experiment.fields().items():
        default = f"preset: {format_value(changed[name][1])}" if name in changed else ""
        row = table_row(name, format_value(value), default, changed=name in changed)
        sections.setdefault(name.rpartition(".")[0] or "experiment", []).append(row)
    return [{"name": name, "fields": rows} for name, rows in sections.items()]


def table_row(*cells, changed=False):
    return {"cells": cells, "changed": changed}


def format_number(value):
    """Format a number, or the text of one, for reading."""
    if value is None:
        return "–"
    value = float(value)
    return f"{value:,.0f}" if value.is_integer() or abs(value) >= 1000 else f"{value:.4g}"
