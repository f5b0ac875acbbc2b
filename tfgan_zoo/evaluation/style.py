"""Evaluate how well stylized images match a style and keep their content.

`style` is the relative error of the Gram matrices of five layers, `content` that of the features of
block4_conv2. Both are 0 for equal images and 1 for features that are all 0 (see
`losses.relative_error`). `ssim` is the structural similarity to the content.

Baselines: the content image, whose content error is 0, and the style image resized to the
content's size, whose style error is close to 0.
"""

import numpy as np

from tfgan_zoo.data import transforms
from tfgan_zoo.data.datasets import load_evaluation_images
from tfgan_zoo.data.transforms import resize, resize_longer_side
from tfgan_zoo.errors import UserError, check_choice, check_range
from tfgan_zoo.evaluation.evaluator import Evaluator, images_sha256
from tfgan_zoo.features.vgg import load_perceptual_network
from tfgan_zoo.losses import gram_matrix, relative_error
from tfgan_zoo.metrics import similarity
from tfgan_zoo.metrics.score import Score
from tfgan_zoo.models.stylization import CONTENT_LAYERS, STYLE_LAYERS

STYLIZATION_METRICS = {"style": "lower", "content": "lower", "ssim": "higher"}
RESULT, BASELINES = "result", ("content image", "style image")


def style_metrics(extract_features, images, content, style):
    """Compute the metrics of images with the same content and style.

    Args:
        extract_features: a `PerceptualNetwork` with STYLE_LAYERS and CONTENT_LAYERS.
        images: {name: uint8 (h, w, 3)}.
        content: uint8 (h, w, 3).
        style: uint8 (h', w', 3).

    Returns:
        {name: {"style", "content", "ssim"}}.
    """

    def features_of(image):
        return extract_features(transforms.to_float(image)[None])

    content_features, style_features = features_of(content), features_of(style)
    style_grams = {layer: gram_matrix(style_features[layer]) for layer in STYLE_LAYERS}

    def metrics_of(image):
        features = content_features if image is content else features_of(image)
        style_errors = [
            relative_error(gram_matrix(features[layer]), style_grams[layer])
            for layer in STYLE_LAYERS
        ]
        content_errors = [
            relative_error(features[layer], content_features[layer]) for layer in CONTENT_LAYERS
        ]
        return {
            "style": float(np.mean(style_errors)),
            "content": float(np.mean(content_errors)),
            "ssim": float(similarity.ssim(image[None], content[None])[0]),
        }

    return {name: metrics_of(image) for name, image in images.items()}


def with_baselines(result, content, style):
    """Return a stylized image and the baselines of its size: {name: uint8 (h, w, 3)}."""
    return {
        RESULT: result,
        "content image": content,
        "style image": resize(style, *content.shape[:2]),
    }


class StyleComparison:
    """Metrics of one stylized image and of its baselines, for any stylization method.

    Args:
        style: uint8 (h, w, 3); the first one if there are several.
        extract_features: a `PerceptualNetwork`; one with random weights if None.
    """

    def __init__(self, style, extract_features=None):
        self.style, self.extract_features = style, extract_features or style_network("random")

    def __call__(self, result, content):
        """Return {"result", "content image", "style image": {metric: value}}.

        Args:
            result: uint8 (h, w, 3), the stylized image.
            content: uint8 (h, w, 3).
        """
        # 512 pixels suffice for the metrics and bound the memory.
        longer_side = min(max(content.shape), 512)
        result, content, style = (
            resize_longer_side(image, longer_side) for image in (result, content, self.style)
        )
        images = with_baselines(result, content, self.style)
        return style_metrics(self.extract_features, images, content, style)


def style_network(name, pooling="max", width=32):
    """Load the feature network of the metrics.

    Args:
        name: see `features.vgg.load_perceptual_network`.
        pooling: max or average.
        width: channels of the first block if the name is random.

    Returns:
        A `PerceptualNetwork` with STYLE_LAYERS and CONTENT_LAYERS.
    """
    layers = (*STYLE_LAYERS, *CONTENT_LAYERS)
    return load_perceptual_network(name, layers, pooling, width if name == "random" else 64)


class StylizationEvaluator(Evaluator):
    """Metrics of stylization models on held-out contents, and styles if the model takes any.

    Args:
        experiment: the `Experiment` of a stylization model.
        samples: maximum number of contents; at most 100 are used.
        seed: recorded in the settings; the metrics have no randomness.
        extract_features: name of the feature network; "auto": that of the experiment's model.
        validate: use validation images instead of test images.
    """

    metrics = STYLIZATION_METRICS

    @classmethod
    def create(cls, experiment, model, options):
        return cls(experiment, options.samples, options.seed, options.features, options.validate)

    def __init__(self, experiment, samples=10_000, seed=0, extract_features="auto", validate=False):
        check_range(1, 10**6, samples=samples)
        self.experiment, self.seed, config = experiment, seed, experiment.model
        split = "val" if validate else "test"
        try:
            self.style = config.style_image()
        except UserError as error:
            raise UserError(
                f"the metrics compare with the style image of the training: {error} "
                "Set model.style=PATH to its file."
            ) from None
        self.images = load_evaluation_images(experiment, split, min(samples, 100))
        name = config.features if extract_features == "auto" else extract_features
        self.extract_features = style_network(name, config.pooling, config.features_width)

    def names(self, model, requested=None):
        for name in requested or []:
            check_choice("metric", name, STYLIZATION_METRICS)
        return list(requested or STYLIZATION_METRICS)

    def measure(self, model, names, image_path=None):
        """Compute metrics: {name: `Score`}, means over the contents."""
        metrics_of_images = []
        for i in range(len(self.images)):
            content, *styles = self.images.evaluation_images(i)
            if model.takes_styles:
                style, result = styles[0], model.stylize(content, styles)
            else:
                style, result = self.style, model.stylize(content)
            images = with_baselines(result, content, style)
            metrics_of_images.append(style_metrics(self.extract_features, images, content, style))

        def mean(image, name):
            return float(np.mean([metrics[image][name] for metrics in metrics_of_images]))

        return {
            name: Score(
                mean(RESULT, name),
                baselines={baseline: mean(baseline, name) for baseline in BASELINES},
                details={"n": len(self.images)},
            )
            for name in names
        }

    def settings(self, names):
        """Return the settings that determine the scores, as a dict for JSON."""
        images = (
            image for i in range(len(self.images)) for image in self.images.evaluation_images(i)
        )
        return {
            "data": self.images.description,
            "images_sha256": images_sha256(images),
            "n_generated": len(self.images),
            **({} if self.style is None else {"style_sha256": images_sha256([self.style])}),
            "features": {
                "network": self.extract_features.name,
                "sha256": self.extract_features.sha256,
            },
            "seed": self.seed,
        }
