"""report(run): one HTML page about a run, made of nothing but the run's files; the page needs no network and no other file."""

import base64
import dataclasses
import html
import io
import json
import math
import pathlib
import shlex
import statistics

import numpy as np
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import nonsingular
from PIL import Image

from tfgan_zoo import __version__, presets
from tfgan_zoo.config import flatten
from tfgan_zoo.errors import UserError
from tfgan_zoo.evaluation import best_score, stopped_early
from tfgan_zoo.files import write_text
from tfgan_zoo.runs import (
    best_epoch,
    format_duration,
    is_run_directory,
    read_experiment,
    read_metrics,
)
from tfgan_zoo.visualize import curve_panels

MAX_SAMPLE_GRIDS = 20  # sample pages at most
MAX_IMAGE_SIZE = (1200, 12_000)  # pixels of an embedded picture; WebP ends at 16,383
LOSSLESS_BYTES = 100_000  # bytes; a picture that would need more is stored with small losses
STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5d6370; --line: #d8dbe0; --back: #fff; --card: #f4f5f7; --mark: #fff3c4;
  --c0: #2563eb; --c1: #d9480f; --c2: #0b8457; --c3: #b5179e; --c4: #7048e8; --c5: #0c8599; --c6: #a16207; --c7: #c92a2a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e7ea; --soft: #9aa0ab; --line: #383c44; --back: #15171b; --card: #1f2228; --mark: #4a3f14;
    --c0: #74a7ff; --c1: #ff922b; --c2: #40c98f; --c3: #f783dc; --c4: #b197fc; --c5: #3bc9db; --c6: #f2c037; --c7: #ff8787; } }
body { margin: 0 auto; max-width: 1060px; padding: 1rem; background: var(--back); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1, h2, h3, p, dl, dd, figure { margin: 0; overflow-wrap: anywhere; } h2 { margin: 2.5rem 0 .5rem; } h3 { margin: 1.5rem 0 .3rem; }
.soft, dt, figcaption, th { color: var(--soft); font-size: .85rem; font-weight: normal; } .changed { background: var(--mark); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .6rem; margin-top: 1rem; }
dl div, pre { background: var(--card); border-radius: .5rem; padding: .5rem .8rem; } .wide { grid-column: 1 / -1; }
table { border-collapse: collapse; margin: .4rem 0; font-variant-numeric: tabular-nums; font-size: .9rem; } .scroll { overflow-x: auto; }
th, td { padding: .15rem 1.2rem .15rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; } input { width: 100%; }
img { max-width: 100%; height: auto; margin: 0 auto; } img:not([hidden]) { display: block; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem 2rem; }
svg { width: 100%; display: block; } svg text { font-size: 12px; fill: var(--soft); } svg line { stroke: var(--line); }
polyline { fill: none; stroke-linecap: round; } .key { display: inline-block; width: 1.3em; border-top: 3px solid; margin: .25em .3em; }
"""
SCRIPT = """
const slider = document.getElementById("slider"), pages = [...document.querySelectorAll("#pages img")];
slider.hidden = pages.length < 2;
slider.oninput = () => {
  pages.forEach((page, i) => { page.hidden = i != slider.value });
  document.getElementById("shown").textContent = pages[slider.value].alt;
};
"""


def write_report(run, output=None):
    """Writes the page about a run, finished or not: pictures, curves, scores, configuration.

    Args:
        run: a run directory.
        output: the HTML file; RUN/report.html where it is missing.

    Returns:
        The path of the page.

    Raises:
        UserError: not a run directory, no finished epoch, or an output that is no HTML file.
    """
    run = pathlib.Path(run)
    output = pathlib.Path(output or run / "report.html")
    if not is_run_directory(run):
        raise UserError(f"a run directory (with experiment.json) is needed, received {str(run)!r}")
    if output.suffix != ".html" or output.is_dir():
        raise UserError(f"a report is one file that ends in .html, received {str(output)!r}")
    rows = read_metrics(run / "metrics.csv") if (run / "metrics.csv").is_file() else []
    if not rows:
        raise UserError(
            f"{run} has no finished epoch to report on; go on with: tfgan-zoo train {run}"
        )
    text = render(run, read_experiment(run), rows)
    write_text(
        output, text.encode("ascii", "xmlcharrefreplace").decode()
    )  # plain ASCII, whatever the machine's encoding
    return output


def render(run, experiment, rows):
    last, epochs = int(rows[-1]["epoch"]), experiment.train.epochs
    result = (
        json.loads((run / "result.json").read_text()) if (run / "result.json").is_file() else {}
    )
    if result.get("epochs") != last or (last < epochs and not stopped_early(run, experiment)):
        result = {}  # none yet, or from before the run got more epochs
    state = f"epoch {last} of {epochs}, not finished"
    if result:
        state = (
            f"finished: {last} epochs"
            if last == epochs
            else f"stopped early after epoch {last} of {epochs}"
        )
    name = html.escape(
        " · ".join(dict.fromkeys((experiment.preset or experiment.kind, run.resolve().name)))
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title><style>{STYLE}</style>
</head>
<body>
<h1>{name}</h1>
<p class="soft">{html.escape(f"{experiment.kind} · {experiment.data.dataset} · {state}")}</p>
{key_numbers(run, experiment, rows, result)}
{samples(run)}
<h2>Curves</h2>
<div class="columns">{"".join(curve(rows, names) for names in curve_panels(rows))}</div>
<h2>Last epoch</h2>
<p class="soft">Means over the epoch, which tell whether training is in balance, not how good the images are; eval_: scores at its end.</p>
{table(("", "value", "of epoch"), last_values(rows))}
{evaluations(run, result)}
{configuration(experiment)}
<p class="soft">made by tfgan_zoo {__version__} from the files of the run directory</p>
</body>
</html>"""


def key_numbers(run, experiment, rows, result):
    rates = [float(row["images_per_second"]) for row in rows]
    facts = {
        "epochs": f"{rows[-1]['epoch']} of {experiment.train.epochs}",
        "steps": format_number(rows[-1]["step"]),
        "time of training": format_duration(sum(float(row["seconds"]) for row in rows)),
        "images/s (median)": format_number(statistics.median(rates)),
        "seed": experiment.train.seed,
    }
    if experiment.train.best:
        column, lower = best_score(experiment)
        best, _ = best_epoch(rows, column, lower)
        facts["best epoch"] = (
            best and f"{best} ({column}{', kept in best/' if (run / 'best').is_dir() else ''})"
        )
    wide = {
        "data": result.get("data"),
        "machine": result.get("machine"),
        "weights (SHA-256)": result.get("weights_sha256"),
    }
    cards = [
        f'<div class="{"wide" if title in wide else "number"}"><dt>{title}</dt><dd>{html.escape(str(fact))}</dd></div>'
        for title, fact in {**facts, **wide}.items()
        if fact is not None
    ]
    return f'<dl class="cards">{"".join(cards)}</dl>'


def samples(run):
    """Sample pages, evenly chosen over the epochs; the newest one is shown, also without JavaScript."""
    found = sorted(
        (int(path.stem.removeprefix("epoch_")), path)
        for path in (run / "samples").glob("epoch_*.png")
    )
    if not found:
        return ""
    chosen = [
        found[i]
        for i in sorted(
            {round(i) for i in np.linspace(0, len(found) - 1, min(MAX_SAMPLE_GRIDS, len(found)))}
        )
    ]
    end = len(chosen) - 1
    images = "\n".join(
        embed(path, f"epoch {epoch}", hidden=i < end) for i, (epoch, path) in enumerate(chosen)
    )
    return f"""<h2>Pictures over time</h2>
<p><label for="slider" id="shown">epoch {chosen[-1][0]}</label></p>
<input type="range" id="slider" min="0" max="{end}" value="{end}" autocomplete="off" hidden>
<div id="pages">{images}</div>
<script>{SCRIPT}</script>"""


def embed(path, text, hidden=False):
    """A picture file as an img element that holds its bytes."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail(MAX_IMAGE_SIZE, Image.Resampling.LANCZOS)
    for options in ({"lossless": True}, {"quality": 80}):
        packed = io.BytesIO()
        picture.save(packed, "WEBP", **options)
        if packed.tell() <= LOSSLESS_BYTES:
            break
    source = f"data:image/webp;base64,{base64.b64encode(packed.getvalue()).decode()}"
    size = f'width="{picture.width}" height="{picture.height}"'
    return f'<img src="{source}" {size} alt="{html.escape(text)}"{" hidden" if hidden else ""}>'


def curve(rows, names, left=62, right=460, top=8, bottom=212):
    """Columns over the steps as SVG, in the colours of the page."""
    lines = {
        name: [(int(row["step"]), float(row[name])) for row in rows if row[name]] for name in names
    }
    lines = {name: [(x, y) for x, y in line if math.isfinite(y)] for name, line in lines.items()}
    values, steps = [y for line in lines.values() for _, y in line] or [0.0], int(rows[-1]["step"])
    low, *_, high = ticks = MaxNLocator(5).tick_values(*nonsingular(min(values), max(values), 0.05))

    def place(x, y):
        return left + x / steps * (right - left), bottom - (y - low) / (high - low) * (bottom - top)

    parts, keys = (
        [f'<text x="{(left + right) / 2}" y="{bottom + 36}" text-anchor="middle">step</text>'],
        [],
    )
    for tick in ticks:
        y = f"{place(0, tick)[1]:.1f}"
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<text x="{left - 6}" y="{y}" dy="4" text-anchor="end">{round(tick / (high - low), 9) * (high - low):,.6g}</text>'
        )
    for tick in MaxNLocator(4, integer=True).tick_values(0, steps):
        if 0 <= tick <= steps:
            parts.append(
                f'<text x="{place(tick, low)[0]:.1f}" y="{bottom + 18}" text-anchor="middle">{format_number(tick)}</text>'
            )
    for i, (name, line) in enumerate(lines.items()):
        colour, width = f"var(--c{i % 8})", 1.7 if len(line) > 1 else 7  # one point is a dot
        points = " ".join(
            "{:.1f},{:.1f}".format(*place(*point))
            for point in (line if len(line) > 1 else line * 2)
        )
        parts.append(
            f'<polyline points="{points}" style="stroke: {colour}; stroke-width: {width}"/>'
        )
        keys.append(f'<span class="key" style="border-color: {colour}"></span>{html.escape(name)}')
    label = html.escape(f"{', '.join(names)} over the steps")
    return f"""<figure><figcaption>{" ".join(keys)}</figcaption>
<svg viewBox="0 0 {right + 20} {bottom + 40}" role="img" aria-label="{label}">{"".join(parts)}</svg></figure>"""


def last_values(rows):
    """(column, value, epoch); of a score that was not measured in the last epoch, the newest one."""
    found = {name: next((row for row in reversed(rows) if row[name]), None) for name in rows[0]}
    return [(name, format_number(row[name]), row["epoch"]) for name, row in found.items() if row]


def evaluations(run, result):
    """What `evaluate` has stored about the run and, if it kept one, about its best epoch."""
    parts = []
    for path in [
        path
        for folder in (run, run / "best")
        for path in sorted((folder / "evaluation").glob("*.json"))
    ]:
        stored = json.loads(path.read_text())
        weights = stored["weights_sha256"]
        last = ", the run's last" if weights == result.get("weights_sha256") else ""
        text = "the generated images nearest to a training image, above those training images"
        pictures = [
            embed(picture, text) for picture in path.parent.glob(f"{path.stem}_nearest.png")
        ]
        parts.append(f"""<h3>{html.escape(str(path.relative_to(run)))}</h3>
<p class="soft">step {format_number(stored["step"])}, weights {html.escape(weights[:12])}{last}</p>
{"".join(f"<p>warning: {html.escape(warning)}</p>" for warning in stored["warnings"])}
{table(*score_table(stored))}
{"".join(f"<figure>{picture}<figcaption>{text}</figcaption></figure>" for picture in pictures)}
{table(("measured with", ""), [(name, format_value(value)) for name, value in flatten(stored["settings"]).items()])}""")
    return "\n".join(["<h2>Evaluation</h2>", *parts]) if parts else ""


def score_table(stored):
    """Head and rows: every score beside what it can be compared with, real images or simple ways, and what else was stored of it."""
    floors = any(score.get("real_reference") is not None for score in stored["scores"].values())
    known = {name: score.get("details") or {} for name, score in stored["scores"].items()}
    ways = {
        name: score.get("baselines") or known[name].get("baselines") or {}
        for name, score in stored["scores"].items()
    }
    columns = list(dict.fromkeys(way for each in ways.values() for way in each))
    rows = []
    for name, score in stored["scores"].items():
        details = {
            key: value for key, value in known[name].items() if not isinstance(value, (list, dict))
        }
        told = ", ".join(
            f"{key} {format_number(value) if isinstance(value, (int, float)) else value}"
            for key, value in details.items()
        )
        compared = [
            *([score.get("real_reference")] if floors else []),
            *(ways[name].get(way) for way in columns),
        ]
        rows.append((name, *map(format_number, [score["value"], *compared]), told))
    value = "translated" if stored["settings"].get("direction") else "generated"
    return ("score", value, *(["real images"] if floors else []), *columns, ""), rows


def configuration(experiment):
    """Every field of the experiment, those that differ from the preset marked, and the command that makes this run."""
    fields, changed = flatten(dataclasses.asdict(experiment)), {}
    command = f"<p>There is no preset {html.escape(repr(experiment.preset))} to compare with.</p>"
    if experiment.preset in presets.PRESETS:
        changed = experiment.differences(presets.experiment(experiment.preset))
        overrides = [
            shlex.quote(f"{name}={format_value(mine)}") for name, (mine, _) in changed.items()
        ]
        command = f"<pre>{html.escape(' '.join(['tfgan-zoo train', experiment.preset, *overrides]))}</pre>"
    tables = []
    for section in dict.fromkeys(name.rpartition(".")[0] for name in fields):
        names = [name for name in fields if name.rpartition(".")[0] == section]
        rows = [
            (
                name,
                format_value(fields[name]),
                f"preset: {format_value(changed[name][1])}" if name in changed else "",
            )
            for name in names
        ]
        tables.append(
            table(
                (section or "experiment", "", ""), rows, marked=[name in changed for name in names]
            )
        )
    return "\n".join(
        ["<h2>Configuration</h2>", command, '<div class="columns">', *tables, "</div>"]
    )


def table(head, rows, marked=None):
    """An HTML table of texts, which are escaped here."""
    lines = [f"<tr>{''.join(f'<th>{html.escape(cell)}</th>' for cell in head)}</tr>"]
    for row, mark in zip(rows, marked or [False] * len(rows), strict=True):
        start = '<tr class="changed">' if mark else "<tr>"
        lines.append(f"{start}{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>")
    return f'<div class="scroll"><table>{"".join(lines)}</table></div>'


def format_number(value):
    """A number, or the text of one, for people."""
    if value is None:
        return "–"
    value = float(value)
    return f"{value:,.0f}" if value.is_integer() or abs(value) >= 1000 else f"{value:.4g}"


def format_value(value):
    """A field's value as an override spells it."""
    return value if isinstance(value, str) else json.dumps(value)
