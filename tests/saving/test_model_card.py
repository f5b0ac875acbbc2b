"""Model cards: front matter, commands, tables and texts of each task."""

import csv
import json
import re
import shlex

import keras
import pytest

from tfgan_zoo import presets
from tfgan_zoo.models import MODELS
from tfgan_zoo.saving.model_card import model_card

ROW = {"epoch": "2", "step": "8", "seconds": "75.5", "images_per_second": "9", "loss": "0.5"}


@pytest.fixture
def make_card(tmp_path):
    """Return a function (preset, *overrides) -> card of an untrained model with metrics."""

    def make_card(preset, *overrides, **options):
        experiment = presets.experiment(preset, *overrides)
        keras.utils.set_random_seed(0)
        model = MODELS[experiment.kind](experiment.model)
        (tmp_path / "experiment.json").write_text(experiment.to_json())
        with open(tmp_path / "metrics.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, ROW)
            writer.writeheader()
            writer.writerow(ROW)
        return model_card(tmp_path, model, **options)

    return make_card


@pytest.mark.parametrize(
    ("preset", "overrides", "pipeline_tag"),
    [
        ("dcgan_tiny", [], "unconditional-image-generation"),
        ("cgan_tiny", [], None),
        ("pix2pix_tiny", [], "image-to-image"),
        ("fast_tiny", [], "image-to-image"),
        ("adain_tiny", [], "image-to-image"),
    ],
)
def test_front_matter_and_texts_of_each_task(preset, overrides, pipeline_tag, make_card):
    card = make_card(preset, *overrides, license="mit")
    _, front_matter, body = card.split("---\n", 2)
    lines = front_matter.splitlines()
    assert lines[:2] == ["license: mit", "library_name: tf-keras"]
    assert (f"pipeline_tag: {pipeline_tag}" in lines) == (pipeline_tag is not None)
    assert "- tfgan-zoo" in lines
    assert body.startswith(f"\n# {preset}\n") and "Paper: " in body
    for heading in ("Training", "Usage", "Limitations"):
        assert f"\n## {heading}\n" in body
    assert "## Evaluation" not in body
    assert "2 epochs, 8 steps, 1:15 min" in body and "| loss | 0.5 |" in body
    assert "\n\n\n" not in body
    (python,) = re.findall(r"```python\n(.*?)```", body, re.S)
    compile(python, "card", "exec")


def test_license_is_the_owners_choice(make_card):
    assert "\nlicense: unknown\n" in make_card("dcgan_tiny")


def test_command_is_quoted(make_card):
    card = make_card("dcgan_tiny", "data.path=my images; it's | here")
    (command,) = re.findall(r"\| command \| `(.*)` \|", card)
    override = shlex.split(command.replace("\\|", "|"))[-1]
    assert override == "data.path=my images; it's | here"


def test_largest_evaluation_of_these_weights_is_shown(make_card, tmp_path):
    card = make_card("dcgan_tiny")
    (sha256,) = re.findall(r"weights \(SHA-256\) \| `(\w+)`", card)
    (tmp_path / "evaluation").mkdir()
    for count, weights in ((10, sha256), (500, sha256), (1000, "other")):
        result = {
            "weights_sha256": weights,
            "settings": {
                "data": "digits",
                "split": "test",
                "n_generated": count,
                "n_reference": 20,
                "n_real_reference": 20,
                "seed": 0,
            },
            "scores": {
                "frechet_distance": {
                    "value": count / 8,
                    "real_reference": 0.25,
                    "baselines": None,
                    "details": None,
                }
            },
        }
        (tmp_path / "evaluation" / f"{count}.json").write_text(json.dumps(result))
    card = make_card("dcgan_tiny")
    settings = "- 500 generated images (seed 0), compared with 20 test images of digits. Real "
    assert settings in card
    assert "| metric | generated | real images |" in card
    assert "| frechet_distance | 62.5 | 0.25 |" in card
