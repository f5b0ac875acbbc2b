"""Report of a run: complete, self-contained, equal to the run's files, and escaped."""

import base64
import dataclasses
import html.parser
import io
import itertools
import json
import re
import shlex
import shutil
import xml.etree.ElementTree

import pytest
from PIL import Image

from tfgan_zoo import presets
from tfgan_zoo.config import flatten
from tfgan_zoo.errors import FailureError, UserError
from tfgan_zoo.runs import read_experiment, read_metrics
from tfgan_zoo.tools.report import format_number, format_value, write_report
from tfgan_zoo.training import callbacks
from tfgan_zoo.training.train import train
from tfgan_zoo.visualize import curves_svg

VOID = {"meta", "img", "input"}
SHORT = ["train.epochs=3", "train.steps_per_epoch=2", "data.limit=128", "train.sample_count=4"]
SCORED = ["train.evaluate_every=2", "train.evaluate_samples=50", "train.best=frechet_distance"]
EVALUATION = {
    "preset": "dcgan_tiny",
    "weights_sha256": "c0ffee" * 10 + "cafe",
    "step": 6,
    "settings": {
        "data": "digits",
        "n_generated": 1000,
        "seed": 7,
        "features": {"network": "digits & more"},
    },
    "warnings": ["1000 samples are <few>"],
    "scores": {
        "frechet_distance": {"value": 12.345678, "real_reference": 0.25, "details": None},
        "label_accuracy": {
            "value": 0.5,
            "real_reference": None,
            "details": {"baselines": {"copy": 0.125}, "n": 1000, "each": [1, 2]},
        },
        "l1": {
            "value": 31.5,
            "real_reference": None,
            "baselines": {"mean": 64.5},
            "details": {"network": "<b>"},
        },
    },
}


class Page(html.parser.HTMLParser):
    """Tags with attributes, texts, table rows and names of facts; tags must match."""

    def __init__(self, path):
        super().__init__()
        self.open, self.tags, self.texts, self.rows, self.facts = [], [], [], [], []
        self.source = path.read_text()
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open += [] if tag in VOID else [tag]
        self.rows += [[dict(attrs).get("class")]] if tag == "tr" else []
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert tag in VOID or self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        self.facts += [data] if self.open and self.open[-1] == "dt" else []

    @property
    def text(self):
        return "\n".join(self.texts)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def named(self, name):
        """Return the cells of the table rows whose first cell is `name`."""
        return [row[2:] for row in self.rows if row[1] == name]

    def row(self, name):
        """Return the cells of the only row whose first cell is `name`, and if it is marked."""
        (row,) = [row for row in self.rows if row[1] == name]
        return row[2:], row[0] == "changed"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train a GAN with scores and a best epoch, and a VAE without."""
    folder = tmp_path_factory.mktemp("runs")
    train("dcgan_tiny", *SHORT, *SCORED, run_dir=folder / "gan")
    train("vae_tiny", "train.epochs=1", run_dir=folder / "vae")
    return folder


@pytest.fixture
def gan(trained, tmp_path):
    return shutil.copytree(trained / "gan", tmp_path / "gan")


def edit(path, **changes):
    """Change fields of a JSON file: section=dict or name=value."""
    values = json.loads(path.read_text())
    for name, value in changes.items():
        values[name] = {**values[name], **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(values))


@pytest.mark.parametrize("name", ["gan", "vae"])
def test_page_is_self_contained_and_complete(trained, name, tmp_path):
    run = trained / name
    path = write_report(run, tmp_path / "new" / "page.html")
    page = Page(path)
    assert [file.name for file in path.parent.iterdir()] == ["page.html"]
    assert "http" not in page.source and "@import" not in page.source
    assert not re.search(r"url\((?!#)", page.source)
    assert all(
        attributes["src"].startswith("data:image/")
        for _, attributes in page.tags
        if "src" in attributes
    )
    for _, attributes in page.tags:
        assert "href" not in attributes
        assert attributes.get("xlink:href", "#").startswith("#")
    result, rows = json.loads((run / "result.json").read_text()), read_metrics(run / "metrics.csv")
    for fact in (
        result["preset"],
        result["machine"],
        result["data"],
        result["weights_sha256"],
        f"finished: {len(rows)} epochs",
    ):
        assert fact in page.text
    for column, value in rows[-1].items():
        assert page.row(column) == ([format_number(value), rows[-1]["epoch"]], False)
    experiment = read_experiment(run)
    changed = experiment.differences(presets.experiment(experiment.preset))
    for field, value in flatten(dataclasses.asdict(experiment)).items():
        (text, preset), marked = page.row(field)
        assert text == (value if isinstance(value, str) else json.dumps(value))
        assert marked == (field in changed)
        assert preset == (f"preset: {format_value(changed[field][1])}" if marked else "")
    assert len(page.all("img")) == len(list((run / "samples").glob("*.png"))) == len(rows)


def test_images_are_those_of_the_run(trained, tmp_path):
    images = Page(write_report(trained / "gan", tmp_path / "page.html")).all("img")
    assert [image["alt"] for image in images] == ["epoch 1", "epoch 2", "epoch 3"]
    assert ["hidden" in image for image in images] == [True, True, False]
    for i, image in enumerate(images, 1):
        content = base64.b64decode(image["src"].partition("base64,")[2])
        with (
            Image.open(io.BytesIO(content)) as mine,
            Image.open(trained / f"gan/samples/epoch_000{i}.png") as theirs,
        ):
            assert mine.convert("RGB").tobytes() == theirs.convert("RGB").tobytes()


def test_of_many_sample_grids_a_few_are_embedded_and_large_ones_are_reduced(gan, tmp_path):
    for file in (gan / "samples").iterdir():
        file.unlink()
    for epoch in range(5, 12_005, 200):
        Image.effect_noise((2400, 400), 80).save(gan / f"samples/epoch_{epoch:04}.png")
    images = Page(write_report(gan, tmp_path / "page.html")).all("img")
    epochs = [int(image["alt"].split()[1]) for image in images]
    assert (
        len(epochs) == 20 and epochs[0] == 5 and epochs[-1] == 11_805 and epochs == sorted(epochs)
    )
    # 20 of 60 sample grids: every 59 / 19 = 3.1st one.
    assert {b - a for a, b in itertools.pairwise(epochs)} == {600, 800}
    assert {(image["width"], image["height"]) for image in images} == {("1200", "200")}
    assert max(len(image["src"]) for image in images) < 150_000  # lossless: 284,000


def test_curves_have_a_panel_for_losses_logits_and_each_score(trained, tmp_path):
    page = Page(write_report(trained / "gan", tmp_path / "page.html"))
    labels = [svg["aria-label"] for svg in page.all("svg")]
    assert labels[:2] == ["discriminator, generator by step", "fake_logits, real_logits by step"]
    assert labels[2] == "eval_frechet_distance by step"
    assert not {"discriminator", "real_logits", "step"} - set(page.texts)


def curve_points(rows, name):
    """Return the points of a column's curve in an SVG, and the texts of the SVG."""
    svg = xml.etree.ElementTree.fromstring(curves_svg(rows, [[name]]))
    texts = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    (group,) = [element for element in svg.iter() if element.get("id") == name]
    paths = [element.get("d") for element in group if element.get("d")]
    points = re.findall(r"[ML] (\S+) (\S+)", "".join(paths))
    return [(float(x), float(y)) for x, y in points], texts


def test_curves_show_the_columns_of_metrics_csv(trained):
    rows = read_metrics(trained / "gan/metrics.csv")
    points, texts = curve_points(rows, "discriminator")
    x, y = zip(*points, strict=True)
    assert x[2] - x[1] == pytest.approx(x[1] - x[0], abs=0.2)
    losses = [float(row["discriminator"]) for row in rows]
    upward = [-value for value in y]
    assert sorted(range(3), key=losses.__getitem__) == sorted(range(3), key=upward.__getitem__)
    assert "discriminator" in texts and "step" in texts


@pytest.mark.parametrize(
    "values",
    [["5"], ["0", "0"], ["nan", "1"], ["", "2"], ["inf"], ["1e-13", "2e-13"], ["-3000", "1e6"]],
)
def test_curves_of_any_numbers_stay_in_their_panel(values):
    rows = [{"step": str(4 * i + 4), "loss": value} for i, value in enumerate(values)]
    points, texts = curve_points(rows, "loss")
    assert all(0 < x < 432 and 0 < y < 216 for x, y in points)  # 6 x 3 inches in points
    numbers = [text for text in texts if re.match(r"[\d\u2212]", text)]
    assert len(numbers) >= 3
    assert "nan" not in texts and "inf" not in texts


def test_scores_and_the_best_epoch_of_training(trained, tmp_path):
    page = Page(write_report(trained / "gan", tmp_path / "page.html"))
    best = json.loads((trained / "gan/result.json").read_text())["best_epoch"]
    assert f"{best} (eval_frechet_distance, saved in best/)" in page.text
    assert "Evaluation" not in page.texts


def test_command_describes_the_same_run(gan, tmp_path):
    edit(
        gan / "experiment.json",
        data={"path": "my images/it's", "flip": True},
        model={"learning_rate": 1e-5},
    )
    page = Page(write_report(gan, tmp_path / "page.html"))
    (command,) = [text for text in page.texts if text.startswith("tfgan-zoo train")]
    preset, *overrides = shlex.split(command)[2:]
    assert presets.experiment(preset, *overrides) == read_experiment(gan)


def test_unfinished_run_has_no_result(gan):
    (gan / "result.json").unlink()
    rows = (gan / "metrics.csv").read_text().splitlines()
    (gan / "metrics.csv").write_text("\n".join(rows[:2]) + "\n")
    page = Page(write_report(gan))
    assert (gan / "report.html").is_file()
    assert "epoch 1 of 3, not finished" in page.text and "1 of 3" in page.texts
    assert page.facts == ["epochs", "steps", "training time", "images/s (median)", "seed"]
    shutil.rmtree(gan / "samples")
    assert Page(write_report(gan)).all("img") == []


def write_metrics(run, rows):
    callback = callbacks.MetricsCSV(run / "metrics.csv", 3)
    callback.rows = rows
    callback.write()


def test_run_with_more_epochs_than_before_is_not_finished(gan):
    edit(gan / "experiment.json", train={"epochs": 9})
    page = Page(write_report(gan))
    assert "epoch 3 of 9, not finished" in page.text
    assert "weights (SHA-256)" not in page.facts
    edit(gan / "experiment.json", train={"epochs": 9, "patience": 1})
    rows = read_metrics(gan / "metrics.csv")
    rows[1]["eval_frechet_distance"], rows[2]["eval_frechet_distance"] = "1", "2"
    write_metrics(gan, rows)
    assert "stopped early after epoch 3 of 9" in Page(write_report(gan)).text


def test_evaluations_have_references_and_baselines(gan):
    (gan / "evaluation").mkdir()
    (gan / "evaluation" / "n1000_a.json").write_text(json.dumps(EVALUATION))
    last = {
        **EVALUATION,
        "weights_sha256": json.loads((gan / "result.json").read_text())["weights_sha256"],
        "warnings": [],
    }
    last["scores"] = {"precision": {"value": 0.75, "real_reference": None, "details": {"k": 5}}}
    (gan / "best" / "evaluation").mkdir()
    (gan / "best" / "evaluation" / "n1000_b.json").write_text(json.dumps(last))
    Image.new("L", (40, 20), 128).save(gan / "evaluation" / "n1000_a_nearest.png")
    page = Page(write_report(gan))
    assert page.named("metric") == [
        ["generated", "real images", "copy", "mean", ""],
        ["generated", ""],
    ]
    assert page.row("frechet_distance")[0] == ["12.35", "0.25", "–", "–", ""]
    assert page.row("label_accuracy")[0] == ["0.5", "–", "0.125", "–", "n 1,000"]
    assert page.row("l1")[0] == ["31.5", "–", "–", "64.5", "network <b>"]
    assert page.row("precision")[0] == ["0.75", "k 5"]
    assert "warning: 1000 samples are <few>" in page.texts
    assert page.named("features.network") == [["digits & more"]] * 2
    assert "step 6, weights c0ffeec0ffee" in page.texts
    assert f"step 6, weights {last['weights_sha256'][:12]}, the last of the run" in page.texts
    assert len(page.all("img")) == 4 and page.all("img")[-1]["width"] == "40"


def test_texts_of_the_files_are_escaped(gan, tmp_path):
    evil = "\"'><script>alert(1)</script>&amp;"
    edit(gan / "experiment.json", preset=evil, data={"path": evil, "dataset": evil})
    edit(gan / "result.json", machine=evil, data=evil)
    rows = read_metrics(gan / "metrics.csv")
    write_metrics(gan, [{**row, evil: "1", "eval_" + evil: "2"} for row in rows])
    (gan / "evaluation").mkdir()
    scores = {
        evil: {
            "value": 1.0,
            "real_reference": None,
            "details": {evil: evil},
            "baselines": {evil: 1.0},
        }
    }
    stored = {
        "weights_sha256": evil,
        "step": 1,
        "settings": {evil: evil},
        "warnings": [evil],
        "scores": scores,
    }
    (gan / "evaluation" / "<script>alert(1).json").write_text(json.dumps(stored))
    page = Page(write_report(gan, tmp_path / "page.html"))
    assert len(page.all("script")) == 1
    assert "<script>alert" not in page.source
    assert f"{evil} · gan" in page.texts
    assert page.row("data.path") == ([evil, ""], False)
    assert f"This version has no preset {evil!r} to compare with." in page.texts
    edit(gan / "experiment.json", preset="dcgan_tiny")
    assert "<script>alert" not in write_report(gan).read_text()  # the command


def test_report_is_reproducible(gan, tmp_path):
    first = write_report(gan, tmp_path / "a.html").read_bytes()
    assert write_report(str(gan), str(tmp_path / "b.html")).read_bytes() == first
    # A report in the run directory changes nothing.
    assert write_report(gan).read_bytes() == first == write_report(gan).read_bytes()
    assert first.isascii()


def test_invalid_arguments_raise(gan, tmp_path):
    with pytest.raises(UserError, match="a run directory .* is needed, got .*nowhere"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(UserError, match="a run directory"):
        write_report(gan / "saved_model")
    with pytest.raises(UserError, match=r"ends in \.html, got .*page\.pdf"):
        write_report(gan, tmp_path / "page.pdf")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UserError, match=r"ends in \.html, got .*folder\.html"):
        write_report(gan, tmp_path / "folder.html")
    (gan / "metrics.csv").unlink()
    with pytest.raises(
        UserError, match=r"has no finished epoch: continue with: tfgan-zoo train .*gan"
    ):
        write_report(gan)
    assert not (gan / "report.html").exists()


def test_a_named_report_is_replaced_with_overwrite_only(gan, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("precious")
    with pytest.raises(UserError, match=r"page.html already exists. .* pass --overwrite"):
        write_report(gan, page)
    assert page.read_text() == "precious"
    write_report(gan, page, overwrite=True)
    assert page.read_bytes() == write_report(gan).read_bytes() == write_report(gan).read_bytes()


def test_failed_report_leaves_the_previous_one(gan):
    path = write_report(gan)
    before = path.read_bytes()
    (gan / "samples" / "epoch_0002.png").write_bytes(b"not an image")
    with pytest.raises(FailureError, match=r"epoch_0002.png is damaged .*Delete it"):
        write_report(gan)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "value, text",
    [
        (3, "3"),
        ("56220", "56,220"),
        (1234.5, "1,234"),
        (0.12345, "0.1235"),
        ("-1.5", "-1.5"),
        (None, "–"),
        ("nan", "nan"),
        (1e-6, "1e-06"),
    ],
)
def test_format_number(value, text):
    assert format_number(value) == text
