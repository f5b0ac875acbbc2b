"""Metrics of stylized images."""

import numpy as np

from tfgan_zoo.data import builtin_images
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
