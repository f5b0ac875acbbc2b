"""Metrics for image-to-image translation: paired, unpaired and cyclic, with trivial baselines.

Paired metrics (L1, PSNR, SSIM) compare each translation with the true one. It is known for pairs,
and for unpaired facades_synthetic and emoji, whose test split shows the same objects in both
domains.

Distances (Frechet, kernel) need no pairs. They compare the features of all translations with those
of the test images of the target domain. A distance does not notice a translation that belongs to
another input. Its real reference is the distance of training images of the target domain, as many
as there are test images but at most BASELINE_IMAGES.

cycle_l1 compares the cycle x -> y -> x with its input. Images of 16 bits are compared at 8 bits.

Baselines, which need no network:

- `copy`: the input itself.
- `mean`: the mean image of the target domain.
- `colors`: each color is replaced by the mean color of the targets at the same pixels of training
  pairs. Except for the rounding of `color_table`, this is the least squared error that a function
  of single pixels can reach. It uses pairs, which CycleGAN does not.
- `histogram`: the input with the histogram of the target domain in every channel.
"""

import collections
import functools
import itertools

import numpy as np

from tfgan_zoo.data import domains, facades, transforms
from tfgan_zoo.data.color_transfer import histogram_matcher
from tfgan_zoo.data.datasets import load_evaluation_images
from tfgan_zoo.errors import MAX_TRAIN_SEED, UserError, check_choice, check_range
from tfgan_zoo.evaluation.evaluator import Evaluator, images_sha256
from tfgan_zoo.features.metric_networks import load_metric_network
from tfgan_zoo.metrics import frechet, kernel, similarity
from tfgan_zoo.metrics.score import Score

BASELINE_IMAGES = 400  # maximum number of training images for the baselines


def pair_l1(truth, translated):
    """Return the mean absolute error of an image, in levels of 0 to 255."""
    return float(np.mean(np.abs(truth.astype(np.float64) - translated)))


def pair_psnr(truth, translated):
    """Return the PSNR of an image in dB, at most MAX_PSNR."""
    psnr = similarity.psnr(truth[None], translated[None])
    return float(np.mean(np.minimum(psnr, similarity.MAX_PSNR)))


def pair_ssim(truth, translated):
    """Return the SSIM of an image."""
    return float(np.mean(similarity.ssim(truth[None], translated[None])))


def pair_label_accuracy(truth, translated):
    """Return the fraction of pixels whose nearest label color is that of the true label map."""
    labels, predicted = facades.nearest_classes(truth), facades.nearest_classes(translated)
    return float(np.mean(labels == predicted))


PAIRED_METRICS = {
    "l1": pair_l1,
    "psnr": pair_psnr,
    "ssim": pair_ssim,
    "label_accuracy": pair_label_accuracy,
}
DISTANCES = ("frechet_distance", "kernel_distance")
TRANSLATION_METRICS = {
    "l1": "lower",
    "psnr": "higher",
    "ssim": "higher",
    "label_accuracy": "higher",
    "frechet_distance": "lower",
    "kernel_distance": "lower",
    "cycle_l1": "lower",
}
BATCH_SIZE = 50  # images whose features are extracted at once
FEW_FOR_FRECHET = 1000  # images with 128 features: see the warning
DIRECTION_SUFFIX = {"xy": "", "yx": "_yx"}  # of a score's name


class TranslationEvaluator(Evaluator):
    """Metrics of translation models on held-out images, with baselines.

    One evaluator can measure any number of models.

    Args:
        experiment: an `Experiment` of a translation model.
        samples: maximum number of test images.
        seed: seed of the noise of a stochastic model, and of the selection of real images.
        features: name or path for `load_metric_network`; "auto": small.
        validate: if True, use validation images and compute no baselines or real references.

    Raises:
        UserError: if there are no test images.
    """

    metrics = TRANSLATION_METRICS

    @classmethod
    def create(cls, experiment, model, options):
        return cls(experiment, options.samples, options.seed, options.features, options.validate)

    @classmethod
    def better(cls, names):
        return {
            name + suffix: better
            for name, better in super().better(names).items()
            for suffix in DIRECTION_SUFFIX.values()
        }

    def __init__(self, experiment, samples=10_000, seed=0, features="auto", validate=False):
        check_range(1, 10**6, samples=samples)
        check_range(0, MAX_TRAIN_SEED, seed=seed)
        config = experiment.data
        if config.split != "train":
            raise UserError(
                "data.split must be train, because evaluation uses the test split, "
                f"got {config.split!r}. Leave out data.split."
            )
        self.experiment, self.seed, self.validate = experiment, seed, validate
        split = "val" if validate else "test"
        limit = min(samples, config.limit or samples)
        self.test = load_evaluation_images(experiment, split, limit)
        self.network_name = "small" if features == "auto" else features
        self.has_truth = self.test.paired or config.dataset in domains.WITH_TEST_PAIRS
        self.label_domain = None  # the domain of label maps
        if config.dataset == "facades_synthetic":
            self.label_domain = "x" if config.direction == "xy" else "y"
        self.baseline_cache = {}  # {direction: {baseline: function}}
        self.score_cache = {}  # {(direction, metric): {baseline: value}}
        self.feature_cache = {}  # {0 or 1: features of the test images of x or y}
        self.reference_cache = {}  # {direction: {metric: value}}

    def names(self, model, requested=None):
        """Return the metrics that apply to a model: all, or the requested ones.

        Metrics of pairs need true translations. Distances need gray or RGB images, two or more in
        each domain. cycle_l1 needs a model with both directions.

        Raises:
            UserError: if no metric or a requested one does not apply.
        """
        applicable = [
            name
            for name in (*PAIRED_METRICS, *DISTANCES)
            if any(self.applies(name, direction) for direction in model.directions)
        ]
        if len(model.directions) == 2:
            applicable.append("cycle_l1")
        if not applicable:
            raise UserError(
                "no metric applies: a model without an inverse direction needs true translations, "
                "or two gray or RGB images of each domain, "
                f"got {self.test.description}. Evaluate on pairs."
            )
        for name in requested or []:
            check_choice("metric", name, applicable)
        return list(requested or applicable)

    def applies(self, name, direction):
        """Return True if a metric applies to a direction."""
        if name == "cycle_l1":
            return True
        if name in DISTANCES:
            _, target = source_and_target(direction)
            return self.test.channels[target] in (1, 3) and min(self.test.sizes) > 1
        return self.has_truth and (name != "label_accuracy" or self.label_domain == direction[1])

    def score_names(self, model, names):
        """Return the names of the scores that `measure` returns for these metrics."""
        return [
            name + DIRECTION_SUFFIX[direction]
            for direction in model.directions
            for name in names
            if self.applies(name, direction)
        ]

    def measure(self, model, names, image_path=None):
        """Compute the metrics of a model, averaged over the test images.

        Args:
            model: a translation model.
            names: metrics, from `names`.
            image_path: not used; other evaluators write an image there.

        Returns:
            {name: `Score`}; the names of scores of direction yx end with _yx.
        """
        scores = {}
        for direction in model.directions:
            applicable = [name for name in names if self.applies(name, direction)]
            values = self.method_scores(
                direction,
                applicable,
                lambda image, direction=direction: model.translate(image, direction, self.seed),
                lambda image, back=direction[::-1]: model.translate(image, back, self.seed),
            )
            baselines, references = {}, {}
            if not self.validate:
                baselines = self.baseline_scores(direction, applicable)
                references = self.real_references(direction, applicable)
            for name, (value, details) in values.items():
                scores[name + DIRECTION_SUFFIX[direction]] = Score(
                    value, references.get(name), baselines.get(name), details
                )
        return scores

    def method_scores(self, direction, names, translate, translate_back=None):
        """Compute metrics of any method of translation.

        Args:
            direction: "xy" or "yx".
            names: metrics that apply to the direction.
            translate: function from an image to its translation.
            translate_back: function for the inverse direction, for cycle_l1.

        Returns:
            {name: (value, details)}, in the order of the names.
        """
        source, target = source_and_target(direction)
        values = {name: [] for name in names if name not in DISTANCES}

        def translations():
            """Translate the test images, and compare each translation with its truth or input."""
            for pair in evaluation_pairs(self.test, source):
                translated = translate(pair[source])
                for name in values:
                    if name == "cycle_l1":
                        values[name].append(pair_l1(pair[source], translate_back(translated)))
                    else:
                        values[name].append(PAIRED_METRICS[name](pair[target], translated))
                yield translated

        distances = {}
        if len(values) < len(names):
            distances = self.distances(direction, self.features(translations()))
        elif values:
            collections.deque(translations(), maxlen=0)
        means = {
            name: (float(np.mean(numbers)), {"n": len(numbers)}) for name, numbers in values.items()
        }
        return {name: {**means, **distances}[name] for name in names}

    def distances(self, direction, features):
        """Compute distances to the target domain's test images: {name: (value, details)}.

        Args:
            direction: "xy" or "yx".
            features: float32 (n, d), from `features`.
        """
        real = self.test_features(source_and_target(direction)[1])
        value, error = kernel.kernel_distance(real, features, seed=self.seed)
        details = {"n": len(features), "n_real": len(real)}
        return {
            "frechet_distance": (frechet.frechet_distance(real, features), details),
            "kernel_distance": (value, {**details, "standard_error": error}),
        }

    @functools.cached_property
    def network(self):
        """The feature network of the distances."""
        return load_metric_network(self.network_name)

    def features(self, images):
        """Return the features of uint8 images (h, w, c): float32 (n, d).

        Images that follow each other and have one size are one batch.
        """
        parts = []
        for _, group in itertools.groupby(images, key=np.shape):
            while batch := list(itertools.islice(group, BATCH_SIZE)):
                parts.append(self.network(np.stack(batch))[0])
        return np.concatenate(parts)

    def test_features(self, side):
        """Return the features of the test images of one side of a pair (x, y): float32 (n, d)."""
        if side not in self.feature_cache:
            images = (pair[side] for pair in evaluation_pairs(self.test, side))
            self.feature_cache[side] = self.features(images)
        return self.feature_cache[side]

    def real_references(self, direction, names):
        """Return the distances of training images of the target domain: {name: value}.

        As many images are compared as the model translates, at most `BASELINE_IMAGES`. A
        domain with fewer than two training images has no reference.
        """
        names = [name for name in names if name in DISTANCES]
        if names and direction not in self.reference_cache:
            source, target = source_and_target(direction)
            images = [pair[target] for pair in evaluation_pairs(self.training, target)]
            if len(images) < 2:  # too few for a distance
                return {}
            order = np.random.default_rng(self.seed).permutation(len(images))
            count = len(self.test.sources[0 if self.test.paired else source])
            features = self.features(images[i] for i in order[: max(2, count)])
            self.reference_cache[direction] = {
                name: value for name, (value, _) in self.distances(direction, features).items()
            }
        return {name: self.reference_cache[direction][name] for name in names}

    def baseline_scores(self, direction, names):
        """Return the scores of the baselines: {metric: {baseline: value}}."""
        names = [name for name in names if name != "cycle_l1"]
        missing = [name for name in names if (direction, name) not in self.score_cache]
        for baseline, translate in self.baselines(direction).items() if missing else ():
            for name, (value, _) in self.method_scores(direction, missing, translate).items():
                self.score_cache.setdefault((direction, name), {})[baseline] = value
        return {name: self.score_cache[direction, name] for name in names}

    def baselines(self, direction):
        """Return the baselines of a direction as functions of an image: {name: function}."""
        if direction in self.baseline_cache:
            return self.baseline_cache[direction]
        source, target = source_and_target(direction)
        inputs, outputs = self.test.channels[source], self.test.channels[target]
        baselines = {}
        if inputs == outputs or {inputs, outputs} == {1, 3}:
            baselines["copy"] = lambda image: domains.convert_channels(image, outputs)
        if self.test.size:  # all images have one size
            mean = mean_image(pair[target] for pair in evaluation_pairs(self.training, target))
            baselines["mean"] = lambda image: mean
        if inputs <= 4 and self.has_truth:
            baselines["colors"] = color_table(
                (pair[source], pair[target]) for pair in evaluation_pairs(self.pairs, source)
            )
        if inputs == outputs:
            baselines["histogram"] = histogram_matcher(
                pair[target] for pair in evaluation_pairs(self.training, target)
            )
        self.baseline_cache[direction] = baselines
        return baselines

    @functools.cached_property
    def training(self):
        """Training images for the baselines, as the model sees them."""
        limit = self.experiment.data.limit or BASELINE_IMAGES
        return load_evaluation_images(self.experiment, "train", min(BASELINE_IMAGES, limit))

    @functools.cached_property
    def pairs(self):
        """The training images as pairs. A model of unpaired facades does not see these pairs."""
        if self.training.paired:
            return self.training
        return load_evaluation_images(self.experiment, "train", len(self.training), "pairs")

    def settings(self, names):
        """Return the settings that the scores depend on, as a JSON-serializable dict."""
        distances = [name for name in names if name in DISTANCES]
        training = [self.training] if self.has_truth or distances else []
        images = (
            image
            for data in (self.test, *training)
            for i in range(len(data))
            for image in data.evaluation_images(i)
        )
        settings = {
            "data": self.test.description,
            "images_sha256": images_sha256(images),
            "direction": self.experiment.data.direction,
            "n_generated": len(self.test),
            "n_training_for_baselines": sum(map(len, training)),
            "seed": self.seed,
        }
        if distances:
            settings["features"] = {
                "network": self.network.name,
                "sha256": self.network.sha256,
                "resizer": self.network.resizer,
            }
        return settings

    def warnings(self, names):
        """Return warnings about the reliability of the scores, as a list of sentences."""
        warnings = []
        if len(self.test) < 50:
            warnings.append(
                f"{len(self.test)} test images are few: "
                "expect the scores to change by some percent with other images"
            )
        if "frechet_distance" in names and min(self.test.sizes) < FEW_FOR_FRECHET:
            warnings.append(
                f"{min(self.test.sizes)} test images are few for a Frechet distance: "
                "expect it to be too high by about its real reference"
            )
        if not self.has_truth:
            warnings.append(
                "there are no pairs to compare with: cycle_l1 measures the inverse mapping only, "
                "and is 0 for a model that copies its input"
            )
        return warnings


def source_and_target(direction):
    """Return the positions of the input and of the truth of a direction in a pair (x, y)."""
    return (0, 1) if direction == "xy" else (1, 0)


def evaluation_pairs(data, side):
    """Yield pairs (x, y) of uint8 (h, w, c), with every image of one side of `Domains` once."""
    # len(data) is that of the larger domain, which would repeat images of the smaller one.
    for i in range(len(data.sources[0 if data.paired else side])):
        yield tuple(
            transforms.to_uint8(transforms.to_float(image)).numpy()
            for image in data.evaluation_images(i)
        )


# --- Baselines


def mean_image(images):
    """Return the mean of images of one shape, as uint8."""
    total, count = 0.0, 0
    for image in images:
        total, count = total + image, count + 1
    return np.round(total / count).astype(np.uint8)


def color_table(pairs, levels=16):
    """Return a function that replaces each color by the mean color of its targets.

    The targets of a color are the pixels at the same positions of the second images of the pairs.

    Args:
        pairs: iterable of uint8 images (h, w, c), (h, w, c').
        levels: number of levels per channel that are distinguished. A color that does not occur
            in the pairs is treated as the nearest color that does.

    Returns:
        A function, uint8 (h, w, c) -> uint8 (h, w, c').
    """

    def color_indices(image):
        """Return the index of each pixel's rounded color, (h * w,)."""
        channels = np.moveaxis(image.astype(np.int64) * levels // 256, -1, 0)
        return np.ravel_multi_index(channels, (levels,) * image.shape[-1]).ravel()

    # Sum the target colors of each input color.
    counts, sums = 0, 0.0
    for image, target in pairs:
        indices, num_colors = color_indices(image), levels ** image.shape[-1]
        counts = counts + np.bincount(indices, minlength=num_colors)
        channels = np.moveaxis(target, -1, 0)
        sums = sums + np.stack(
            [np.bincount(indices, channel.ravel(), num_colors) for channel in channels]
        )
    shape = (levels,) * image.shape[-1]
    occupied = np.flatnonzero(counts)
    table_colors = np.stack(np.unravel_index(occupied, shape))
    means = np.round(sums[:, occupied] / counts[occupied]).astype(np.uint8)

    def translate(image):
        indices, inverse = np.unique(color_indices(image), return_inverse=True)
        nearest = [
            np.argmin(np.sum((table_colors - color[:, None]) ** 2, axis=0))
            for color in np.stack(np.unravel_index(indices, shape), 1)
        ]
        return means[:, nearest][:, inverse].T.reshape((*image.shape[:2], -1))

    return translate
