"""How near translations come to the truth, beside what simple ways reach that need no network.

Truth is known for pairs, and for unpaired facades_synthetic, whose test shows both sides of the same facades. Where it is not, only
the way there and back can be compared with where it began.

Baselines: `copy`, the input itself; `mean`, the mean image of the target domain; `colours`, each colour becomes the mean of what training
pairs show in its place (the best that can be done pixel by pixel; it sees pairs, which CycleGAN does not); `histogram`, the input with the
target domain's histogram in every channel.
"""

import dataclasses
import functools

import numpy as np

from tfgan_zoo import data, metrics
from tfgan_zoo.config import UserError, check_at_least, check_choice
from tfgan_zoo.data import facades
from tfgan_zoo.data.domains import as_channels
from tfgan_zoo.scores import Score

TRAINING = 400  # training images that baselines are made from, at most


def l1(truth, found):
    """Mean absolute difference in levels of 255."""
    return float(np.mean(np.abs(truth.astype(np.float64) - found)))


def psnr(truth, found):
    return float(np.mean(np.minimum(metrics.psnr(truth[None], found[None]), 100.0)))  # infinite for equal images


def ssim(truth, found):
    return float(np.mean(metrics.ssim(truth[None], found[None])))


def label_accuracy(truth, found):
    """The share of pixels whose nearest label colour is the right one."""
    return float(np.mean(facades.classes_of(truth) == facades.classes_of(found)))


MEASURES = {"l1": l1, "psnr": psnr, "ssim": ssim, "label_accuracy": label_accuracy}
BETTER = {"l1": "lower", "psnr": "higher", "ssim": "higher", "label_accuracy": "higher", "cycle_l1": "lower"}


class Fidelity:
    """The held-out images with their truth, and the baselines, for any number of models.

    Args:
        experiment: an `Experiment` of a translation model.
        samples: test images at most.
        seed: of the model's noise, if it has any.

    Raises:
        UserError: no test images.
    """

    def __init__(self, experiment, samples=10_000, seed=0):
        check_at_least(1, samples=samples)
        check_at_least(0, seed=seed)
        self.experiment, self.seed = experiment, seed
        config = experiment.data
        self.test = data.load_for(
            experiment, split="test", load_size=experiment.model.image_size, limit=min(samples, config.limit or samples)
        )
        self.truth = self.test.paired or config.dataset == "facades_synthetic"
        self.labels = config.dataset == "facades_synthetic" and ("x" if config.direction == "xy" else "y")  # the domain of label maps

    @functools.cached_property
    def stills(self):
        """(x, y) of every test image."""
        return [self.test.still(i) for i in range(len(self.test))]

    @functools.cached_property
    def training(self):
        """Training images x and y, as many of each, or pairs."""
        experiment = self.experiment
        changes = {"split": "train", "load_size": experiment.model.image_size, "limit": min(TRAINING, experiment.data.limit or TRAINING)}
        kind = data.load_for(experiment, **changes)
        return [kind.still(i) for i in range(len(kind))]

    def names(self, model, wanted=None):
        """The measures that apply: those of the truth if it is known, else the way there and back.

        Raises:
            UserError: one that does not apply.
        """
        possible = [name for name in MEASURES if self.truth and (name != "label_accuracy" or self.labels)]
        possible += ["cycle_l1"] if len(model.directions) == 2 else []
        if not possible:
            raise UserError("there is no truth to compare with, and no way back")
        for name in wanted or []:
            check_choice("metric", name, possible)
        return list(wanted or possible)

    def measure(self, model, names, picture=None):
        """The scores: of direction xy under the measure's name, of yx with _yx behind it."""
        scores = {}
        for direction in model.directions:
            source, target = (0, 1) if direction == "xy" else (1, 0)
            found = [model.translate(pair[source], direction, self.seed) for pair in self.stills]
            end = "" if direction == "xy" else "_yx"
            for name in names:
                if name == "cycle_l1":
                    back = "yx" if direction == "xy" else "xy"
                    values = [l1(pair[source], model.translate(each, back)) for pair, each in zip(self.stills, found, strict=True)]
                    scores[name + end] = Score(float(np.mean(values)), details={"n": len(values)})
                elif name != "label_accuracy" or self.labels == "xy"[target]:
                    measure = MEASURES[name]
                    values = [measure(pair[target], each) for pair, each in zip(self.stills, found, strict=True)]
                    scores[name + end] = Score(
                        float(np.mean(values)), baselines=self.baselines(direction, name), details={"n": len(values)}
                    )
        return scores

    @functools.cache  # noqa: B019, an evaluator lives as long as the process
    def baselines(self, direction, name):
        """What the simple ways reach: {name: number}."""
        source, target = (0, 1) if direction == "xy" else (1, 0)
        measure, found = MEASURES[name], {}
        for way, translate in self.simple(direction).items():
            found[way] = float(np.mean([measure(pair[target], translate(pair[source])) for pair in self.stills]))
        return found

    @functools.cache  # noqa: B019
    def simple(self, direction):
        """The simple ways of a direction as functions of an image: {name: function}."""
        source, target = (0, 1) if direction == "xy" else (1, 0)
        inputs, targets = [pair[source] for pair in self.training], [pair[target] for pair in self.training]
        channels = targets[0].shape[-1]
        ways = {}
        if {inputs[0].shape[-1], channels} <= {1, 3}:
            ways["copy"] = lambda image: as_channels(image, channels)
        if len({image.shape for image in targets}) == 1:
            mean = np.round(np.mean(targets, axis=0)).astype(np.uint8)
            ways["mean"] = lambda image: mean
        pairs = self.pairs_of_training()
        if pairs:
            ways["colours"] = colour_table([pair[source] for pair in pairs], [pair[target] for pair in pairs])
        if inputs[0].shape[-1] == channels:
            ways["histogram"] = histogram_match(targets)
        return ways

    def pairs_of_training(self):
        """The training pairs; of facades_synthetic also where the model sees none."""
        if self.test.paired:
            return self.training
        if self.experiment.data.dataset != "facades_synthetic":
            return []
        model = self.experiment.model
        config = dataclasses.replace(
            self.experiment.data, load_size=model.image_size, limit=min(TRAINING, self.experiment.data.limit or TRAINING)
        )
        pairs = data.domains.load(config, model, "pairs")
        return [pairs.still(i) for i in range(len(pairs))]

    def settings(self, names):
        """What the scores are measured with."""
        config = self.experiment.data
        return {
            "data": self.test.description,
            "direction": config.direction,
            "n_generated": len(self.test),
            "n_training_for_baselines": len(self.training),
            "seed": self.seed,
        }

    def warnings(self, names):
        if len(self.test) >= 50:
            return []
        return [f"{len(self.test)} test images are few: expect the scores to change by some percent with others"]


def colour_table(inputs, targets, levels=16):
    """A function that gives each colour the mean colour that the targets show in its place.

    Args:
        inputs, targets: lists of pairs of uint8 images (h, w, c), (h, w, c').
        levels: of each channel that are told apart; a colour that was never seen takes the nearest one that was.

    Returns:
        A function, uint8 (h, w, c) -> uint8 (h, w, c').
    """
    seen = np.concatenate([image.reshape(-1, image.shape[-1]) for image in inputs]).astype(np.int64) * levels // 256
    values = np.concatenate([image.reshape(-1, image.shape[-1]) for image in targets]).astype(np.float64)
    colours, index = np.unique(seen, axis=0, return_inverse=True)
    index = index.reshape(-1)
    counts = np.bincount(index)
    means = np.stack([np.bincount(index, weights=channel) / counts for channel in values.T], axis=1)

    def translate(image):
        wanted, where = np.unique(image.reshape(-1, image.shape[-1]).astype(np.int64) * levels // 256, axis=0, return_inverse=True)
        nearest = [np.argmin(np.sum((colours - colour) ** 2, axis=1)) for colour in wanted]
        return np.round(means[nearest][where.reshape(-1)]).astype(np.uint8).reshape((*image.shape[:2], -1))

    return translate


def histogram_match(targets):
    """A function that gives an image the histogram of all targets together, channel by channel: uint8 (h, w, c) -> uint8 (h, w, c)."""
    sorted_targets = [
        np.sort(np.concatenate([image[..., channel].ravel() for image in targets])) for channel in range(targets[0].shape[-1])
    ]

    def translate(image):
        out = np.empty_like(image)
        for channel, wanted in enumerate(sorted_targets):
            _, inverse, counts = np.unique(image[..., channel], return_inverse=True, return_counts=True)
            middle = (np.cumsum(counts) - counts / 2) / counts.sum()  # equal values stay equal
            matched = wanted[np.minimum((middle * len(wanted)).astype(int), len(wanted) - 1)]
            out[..., channel] = matched[inverse.reshape(image.shape[:2])]
        return out

    return translate
