"""How well pictures have taken on a style and kept their content; `tfgan-zoo evaluate` for models of style.

`style` is the error of the Gram matrices of five layers, `content` that of block4_conv2, both relative (0 for the same, 1 for nothing at
all; see `losses.relative_error`), and `ssim` the structural similarity to the content. Baselines: the content itself, which has all of
the content and nothing of the style, and the style itself, resized, which is the other way round.
"""

import hashlib

import numpy as np

from tfgan_zoo.data import transforms
from tfgan_zoo.data.builtin_images import load_style_image
from tfgan_zoo.data.datasets import load_evaluation_images
from tfgan_zoo.data.transforms import resize, resize_longer_side
from tfgan_zoo.errors import check_at_least, check_choice
from tfgan_zoo.evaluation.evaluator import Evaluator
from tfgan_zoo.features.vgg import load_perceptual_network
from tfgan_zoo.losses import gram_matrix, relative_error
from tfgan_zoo.metrics import similarity
from tfgan_zoo.metrics.score import Score
from tfgan_zoo.models.stylization import CONTENT_LAYERS, STYLE_LAYERS

STYLIZATION_METRICS = {"style": "lower", "content": "lower", "ssim": "higher"}


def style_metrics(extract_features, pictures, content, style):
    """The scores of pictures of one content and style, both of which are looked at once.

    Args:
        extract_features: a `features.PerceptualNetwork` with STYLE_LAYERS and CONTENT_LAYERS.
        pictures: {name: uint8 (h, w, 3)}.
        content: uint8 (h, w, 3).
        style: uint8 (h', w', 3).

    Returns:
        {name: {"style", "content", "ssim"}}.
    """
    kept, wanted = (
        extract_features(transforms.to_float(image)[None]) for image in (content, style)
    )
    wanted = [gram_matrix(wanted[layer]) for layer in STYLE_LAYERS]

    def scores(picture):
        found = kept if picture is content else extract_features(transforms.to_float(picture)[None])
        return {
            "style": float(
                np.mean(
                    [
                        relative_error(gram_matrix(found[layer]), g)
                        for layer, g in zip(STYLE_LAYERS, wanted, strict=True)
                    ]
                )
            ),
            "content": float(
                np.mean([relative_error(found[layer], kept[layer]) for layer in CONTENT_LAYERS])
            ),
            "ssim": float(similarity.ssim(picture[None], content[None])[0]),
        }

    return {name: scores(picture) for name, picture in pictures.items()}


class StyleComparison:
    """The scores of pictures in a style, beside those of the content and of the style itself: what any way to stylise can be compared by.

    Args:
        style: uint8 (h, w, 3); of several the first.
        extract_features: the network to extract_features through; ours with random weights where it is missing.
    """

    def __init__(self, style, extract_features=None):
        self.style, self.extract_features = style, extract_features or style_network("random")

    def __call__(self, made, content):
        # of at most 512 pixels: a style has no detail that tells more, and memory is bounded
        longer = min(max(content.shape), 512)
        made, content = resize_longer_side(made, longer), resize_longer_side(content, longer)
        ways = {
            "picture": made,
            "content image": content,
            "style image": resize(self.style, *content.shape[:2]),
        }
        style = resize_longer_side(
            self.style, longer
        )  # strokes of the size that they have in the picture
        return style_metrics(self.extract_features, ways, content, style)


def style_network(name, pooling="max", width=32):
    """The network to extract_features through; see `features.perceptual`."""
    return load_perceptual_network(
        name, (*STYLE_LAYERS, *CONTENT_LAYERS), pooling, width if name == "random" else 64
    )


class StylizationEvaluator(Evaluator):
    """Contents, and styles if the model takes any, for any number of models.

    Args:
        experiment: an `Experiment` of a model of style.
        samples: contents at most.
        extract_features: the network to extract_features through; the model's own for "auto".
        validate: whether to take validation images.
    """

    metrics = STYLIZATION_METRICS

    @classmethod
    def create(cls, experiment, model, options):
        return cls(experiment, options.samples, options.seed, options.network, options.validate)

    def __init__(self, experiment, samples=10_000, seed=0, extract_features="auto", validate=False):
        check_at_least(1, samples=samples)
        self.experiment, self.seed, config = experiment, seed, experiment.model
        self.contents = load_evaluation_images(
            experiment, "val" if validate else "test", min(samples, 100)
        )
        self.style = (
            load_style_image(config.style, config.style_size) if hasattr(config, "style") else None
        )
        self.extract_features = style_network(
            config.features if extract_features == "auto" else extract_features,
            config.pooling,
            config.features_width,
        )

    def names(self, model, wanted=None):
        for name in wanted or []:
            check_choice("metric", name, STYLIZATION_METRICS)
        return list(wanted or STYLIZATION_METRICS)

    def measure(self, model, names, picture=None):
        """{name: `scores.Score`}, means over the contents."""
        found = {way: [] for way in ("value", "content image", "style image")}
        for i in range(len(self.contents)):
            content, *styles = self.contents.evaluation_images(i)
            style = styles[0] if styles else self.style
            made = model.stylize(content, styles) if styles else model.stylize(content)
            ways = {
                "value": made,
                "content image": content,
                "style image": resize(style, *content.shape[:2]),
            }
            for way, scores in style_metrics(self.extract_features, ways, content, style).items():
                found[way].append(scores)
        means = {
            way: {name: float(np.mean([each[name] for each in scores])) for name in names}
            for way, scores in found.items()
        }
        return {
            name: Score(
                means["value"][name],
                baselines={way: means[way][name] for way in list(found)[1:]},
                details={"n": len(self.contents)},
            )
            for name in names
        }

    def settings(self, names):
        """What the scores are measured with."""
        sha = hashlib.sha256()
        for i in range(len(self.contents)):
            for image in self.contents.evaluation_images(i):
                sha.update(np.ascontiguousarray(image))
        return {
            "data": self.contents.description,
            "images_sha256": sha.hexdigest(),
            "n_generated": len(self.contents),
            "features": {
                "network": self.extract_features.name,
                "sha256": self.extract_features.sha256,
            },
            "seed": self.seed,
        }
