"""Metrics of stylized images."""

import numpy as np
import pytest
from PIL import Image

from tfgan_zoo.data import builtin_images
from tfgan_zoo.errors import UserError
from tfgan_zoo.evaluation import evaluate
from tfgan_zoo.evaluation.style import StyleComparison, style_metrics, style_network

CONTENT = builtin_images.photograph("china")[100:148, 200:264]  # 48x64


def test_metrics_tell_style_from_content():
    network = style_network("random", width=4)
    strokes = builtin_images.style_image("strokes", 64)[:48]
    both = np.uint8((CONTENT.astype(int) + strokes) // 2)
    images = {"content": CONTENT, "style": strokes, "both": both}
    of_content, of_style, of_both = style_metrics(network, images, CONTENT, strokes).values()
    assert of_content["content"] == 0 and of_content["ssim"] == 1 and of_style["style"] == 0
    assert (
        0 < of_both["style"] < of_content["style"] and 0 < of_both["content"] < of_style["content"]
    )


def test_a_comparison_has_the_baselines():
    style = builtin_images.style_image("strokes", 64)
    metrics = StyleComparison(style, style_network("random", width=4))(CONTENT, CONTENT)
    assert metrics["result"] == metrics["content image"]
    assert metrics["content image"]["content"] == 0
    assert metrics["style image"]["style"] < metrics["content image"]["style"]


PHOTOGRAPHS = ("data.dataset=photographs", "data.path=")


def test_a_pretrained_style_is_evaluated_with_the_file_of_its_painting(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"got 'starry_night.jpg' .* Set model.style=PATH to its"):
        evaluate("fast_starry_night", *PHOTOGRAPHS)
    assert not list(tmp_path.iterdir())
    Image.fromarray(builtin_images.style_image("strokes", 64)).save("painting.png")
    scores, settings = [], []
    for style in ("painting.png", "hatching"):
        options = {"samples": 1, "features": "random"}
        result = evaluate("fast_starry_night", *PHOTOGRAPHS, f"model.style={style}", **options)
        scores.append(result["scores"]["style"]["value"])
        settings.append(result["settings"]["style_sha256"])
    assert scores[0] != scores[1] and settings[0] != settings[1]


@pytest.mark.parametrize(
    ("source", "override", "message"),
    [
        (
            "adain_folder_128",
            "model.style=mosaic",
            "is for a model of one style, got 'adain_folder",
        ),
        ("dcgan_mnist", "model.style=mosaic", "is for a model of one style, got 'dcgan_mnist'"),
        ("fast_mosaic", "model.width=8", "of the data alone .*, and model.style=PATH, got model.w"),
    ],
)
def test_other_overrides_of_the_model_raise(source, override, message, tmp_path):
    with pytest.raises(UserError, match=message):
        evaluate(source, override, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
