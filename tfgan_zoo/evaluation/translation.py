"""How near translations come to the truth, beside what simple ways reach that need no network.

Truth is known for pairs, and for unpaired facades_synthetic, whose test shows both sides of the same facades. Where it is not, only
the way there and back can be compared with where it began. Images of 16 bits are compared at 8.

Baselines: `copy`, the input itself; `mean`, the mean image of the target domain; `colours`, each colour becomes the mean of what training
pairs show in its place (the least squared error that one can reach pixel by pixel, but for `colour_table`'s rounding; it sees pairs,
which CycleGAN does not); `histogram`, the input with the target domain's histogram in every channel.
"""

import functools
import hashlib

import numpy as np

from tfgan_zoo.data import domains, facades, transforms
from tfgan_zoo.data.color_transfer import histogram_matcher
from tfgan_zoo.data.datasets import load_evaluation_images
from tfgan_zoo.errors import UserError, check_at_least, check_choice
from tfgan_zoo.evaluation.evaluator import Evaluator
from tfgan_zoo.metrics import similarity
from tfgan_zoo.metrics.score import Score

BASELINE_IMAGES = 400  # training images that baselines are made from, at most


def l1_255(truth, found):
    """Mean absolute difference in levels of 255."""
    return float(np.mean(np.abs(truth.astype(np.float64) - found)))


def paired_psnr(truth, found):
    return float(
        np.mean(np.minimum(similarity.psnr(truth[None], found[None]), 100.0))
    )  # infinite for equal images


def paired_ssim(truth, found):
    return float(np.mean(similarity.ssim(truth[None], found[None])))


def pixel_accuracy(truth, found):
    """The share of pixels whose nearest label colour is the right one."""
    return float(np.mean(facades.nearest_classes(truth) == facades.nearest_classes(found)))


MEASURES = {
    "l1": l1_255,
    "psnr": paired_psnr,
    "ssim": paired_ssim,
    "label_accuracy": pixel_accuracy,
}
TRANSLATION_METRICS = {
    "l1": "lower",
    "psnr": "higher",
    "ssim": "higher",
    "label_accuracy": "higher",
    "cycle_l1": "lower",
}
DIRECTION_SUFFIX = {"xy": "", "yx": "_yx"}  # of a score's name


class TranslationEvaluator(Evaluator):
    """The held-out images with their truth, and the baselines, for any number of models.

    Args:
        experiment: an `Experiment` of a translation model.
        samples: test images at most.
        seed: of the model's noise, if it has any.
        validate: whether to take validation images, and no baselines.

    Raises:
        UserError: no test images.
    """

    metrics = TRANSLATION_METRICS

    @classmethod
    def create(cls, experiment, model, options):
        return cls(experiment, options.samples, options.seed, options.validate)

    @classmethod
    def directions(cls, names):
        return {
            name + suffix: direction
            for name, direction in super().directions(names).items()
            for suffix in DIRECTION_SUFFIX.values()
        }

    def __init__(self, experiment, samples=10_000, seed=0, validate=False):
        check_at_least(1, samples=samples)
        check_at_least(0, seed=seed)
        config = experiment.data
        if config.split != "train":
            raise UserError(
                f"the test images must be ones that the model never saw, received data.split={config.split!r}"
            )
        self.experiment, self.seed = experiment, seed
        self.validate = validate
        self.test = load_evaluation_images(
            experiment, "val" if validate else "test", min(samples, config.limit or samples)
        )
        drawn = config.dataset == "facades_synthetic"
        self.truth = self.test.paired or drawn
        self.labels = (
            ("x" if config.direction == "xy" else "y") if drawn else None
        )  # the domain of label maps
        self.made = {}  # simple ways by direction, when they have been needed
        self.known = {}  # what they reach, by (direction, measure)

    def names(self, model, wanted=None):
        """The measures that apply: those of the truth if it is known, and the way there and back of a model that knows both.

        Raises:
            UserError: one that does not apply, or none does.
        """
        possible = [
            name
            for name in MEASURES
            if any(self.applies(name, direction) for direction in model.directions)
        ]
        possible += ["cycle_l1"] if len(model.directions) == 2 else []
        if not possible:
            raise UserError("there is no truth to compare with, and no way back")
        for name in wanted or []:
            check_choice("metric", name, possible)
        return list(wanted or possible)

    def applies(self, name, direction):
        """Whether translations of a direction have such a score."""
        return name == "cycle_l1" or (
            self.truth and (name != "label_accuracy" or self.labels == direction[1])
        )

    def score_names(self, model, names):
        """What `measure` will call the scores of these measures."""
        return [
            name + DIRECTION_SUFFIX[way]
            for way in model.directions
            for name in names
            if self.applies(name, way)
        ]

    def measure(self, model, names, picture=None):
        """The scores: of direction xy under the measure's name, of yx with _yx behind it."""
        scores = {}
        for direction in model.directions:
            source, target = source_and_target(direction)
            values = {name: [] for name in names if self.applies(name, direction)}
            for pair in images_of_side(self.test, source) if values else ():
                found = model.translate(pair[source], direction, self.seed)
                for name in values:
                    if name == "cycle_l1":
                        values[name].append(
                            l1_255(pair[source], model.translate(found, direction[::-1], self.seed))
                        )
                    else:
                        values[name].append(MEASURES[name](pair[target], found))
            baselines = {} if self.validate else self.baselines(direction, values)
            for name, each in values.items():
                scores[name + DIRECTION_SUFFIX[direction]] = Score(
                    float(np.mean(each)), baselines=baselines.get(name), details={"n": len(each)}
                )
        return scores

    def baselines(self, direction, names):
        """What the simple ways reach: {measure: {way: number}}."""
        source, target = source_and_target(direction)
        names = [name for name in names if name in MEASURES]
        missing = [name for name in names if (direction, name) not in self.known]
        if missing:
            values = {name: {way: [] for way in self.simple(direction)} for name in missing}
            for pair in images_of_side(self.test, source):
                for way, translate in self.simple(direction).items():
                    found = translate(pair[source])
                    for name in missing:
                        values[name][way].append(MEASURES[name](pair[target], found))
            for name in missing:
                self.known[direction, name] = {
                    way: float(np.mean(each)) for way, each in values[name].items()
                }
        return {name: self.known[direction, name] for name in names}

    def simple(self, direction):
        """The simple ways of a direction as functions of an image: {name: function}."""
        if direction in self.made:
            return self.made[direction]
        source, target = source_and_target(direction)
        channels, wanted = self.test.channels[source], self.test.channels[target]
        ways = {}
        if channels == wanted or {channels, wanted} == {1, 3}:
            ways["copy"] = lambda image: domains.convert_channels(image, wanted)
        if self.test.size:  # images of one size
            mean = mean_image(pair[target] for pair in images_of_side(self.training, target))
            ways["mean"] = lambda image: mean
        if channels <= 4:
            ways["colours"] = colour_table(
                (pair[source], pair[target]) for pair in images_of_side(self.pairs, source)
            )
        if channels == wanted:
            ways["histogram"] = histogram_matcher(
                pair[target] for pair in images_of_side(self.training, target)
            )
        self.made[direction] = ways
        return ways

    @functools.cached_property
    def training(self):
        """The training images that baselines are made from, as the model sees them."""
        return load_evaluation_images(
            self.experiment,
            "train",
            min(BASELINE_IMAGES, self.experiment.data.limit or BASELINE_IMAGES),
        )

    @functools.cached_property
    def pairs(self):
        """The same as pairs; of facades_synthetic those that a model of two heaps does not see."""
        return (
            self.training
            if self.training.paired
            else load_evaluation_images(self.experiment, "train", len(self.training), "pairs")
        )

    def settings(self, names):
        """What the scores are measured with."""
        training = [self.training] if self.truth else []
        sha = hashlib.sha256()
        for images in (self.test, *training):
            for i in range(len(images)):
                for image in images.evaluation_images(i):
                    sha.update(np.ascontiguousarray(image))
        return {
            "data": self.test.description,
            "images_sha256": sha.hexdigest(),
            "direction": self.experiment.data.direction,
            "n_generated": len(self.test),
            "n_training_for_baselines": sum(map(len, training)),
            "seed": self.seed,
        }

    def warnings(self, names):
        found = []
        if len(self.test) < 50:
            found.append(
                f"{len(self.test)} test images are few: expect the scores to change by some percent with others"
            )
        if not self.truth:
            found.append(
                "there are no pairs to compare with: cycle_l1 says how well the way back is known, and is 0 for a mere copy"
            )
        return found


def source_and_target(direction):
    """Where input and truth of a direction are in a pair (x, y)."""
    return (0, 1) if direction == "xy" else (1, 0)


def images_of_side(data, side):
    """Every image of one side of `Domains` once, in its pair (x, y), each uint8 (h, w, c)."""
    for i in range(
        len(data.sources[0 if data.paired else side])
    ):  # of two heaps the smaller one would begin again
        yield tuple(
            transforms.to_uint8(transforms.to_float(image)).numpy()
            for image in data.evaluation_images(i)
        )


# --- the simple ways


def mean_image(images):
    """The mean of images of one shape: uint8."""
    total, count = 0.0, 0
    for image in images:
        total, count = total + image, count + 1
    return np.round(total / count).astype(np.uint8)


def colour_table(pairs, levels=16):
    """A function that gives each colour the mean colour that the targets show in its place.

    Args:
        pairs: of uint8 images (h, w, c), (h, w, c').
        levels: of each channel that are told apart; a colour that was never seen takes the nearest one that was.

    Returns:
        A function, uint8 (h, w, c) -> uint8 (h, w, c').
    """

    def rounded(image):
        """The number of each pixel's colour, (h * w,)."""
        return np.ravel_multi_index(
            np.moveaxis(image.astype(np.int64) * levels // 256, -1, 0), (levels,) * image.shape[-1]
        ).ravel()

    counts, sums = 0, 0.0
    for image, target in pairs:
        colours, cells = rounded(image), levels ** image.shape[-1]
        counts = counts + np.bincount(colours, minlength=cells)
        sums = sums + np.stack(
            [np.bincount(colours, channel.ravel(), cells) for channel in np.moveaxis(target, -1, 0)]
        )
    shape = (levels,) * image.shape[-1]
    seen = np.flatnonzero(counts)
    places, means = (
        np.stack(np.unravel_index(seen, shape)),
        np.round(sums[:, seen] / counts[seen]).astype(np.uint8),
    )

    def translate(image):
        wanted, where = np.unique(rounded(image), return_inverse=True)
        nearest = [
            np.argmin(np.sum((places - place[:, None]) ** 2, axis=0))
            for place in np.stack(np.unravel_index(wanted, shape), 1)
        ]
        return means[:, nearest][:, where].T.reshape((*image.shape[:2], -1))

    return translate
