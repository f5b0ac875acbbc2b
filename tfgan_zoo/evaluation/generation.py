"""evaluate(source): how good a model's images are, every score beside the same score of real images.

Generated images are uint8, made and activations at a batch at a time; their features are kept, they themselves are not. For one seed the
result is the same whatever the batch size, and it holds no times or paths.
"""

import dataclasses
import functools
import hashlib
import typing

import numpy as np
import tensorflow as tf

from tfgan_zoo.data import transforms
from tfgan_zoo.data.datasets import WITH_TEST_SPLIT, load_images
from tfgan_zoo.errors import UserError, check_at_least, check_choice
from tfgan_zoo.features.metric_networks import load_metric_network
from tfgan_zoo.metrics import (
    classes,
    classifier_score,
    frechet,
    kernel,
    likelihood,
    memorization,
    modes,
    neighbors,
    similarity,
)
from tfgan_zoo.metrics.classifier_score import expected_for_perfect
from tfgan_zoo.metrics.score import Score
from tfgan_zoo.visualize import save_grid

BATCH_SIZE = 500  # images in memory at once
NUM_NEIGHBORS = 5  # k of precision, recall, density and coverage
MEMORIZATION_SAMPLES = 1000  # images whose nearest training image is activations for
DIGIT_SETS = ("digits", "mnist", "stacked_mnist")  # what the shipped classifier can read


class Activations(typing.NamedTuple):
    """What is kept of many images."""

    features: np.ndarray  # float32 (n, d)
    probabilities: np.ndarray | None  # float32 (n, classes)
    digits: np.ndarray | None  # of stacked digits: what is read in each channel, (n, 3)


class GenerationEvaluator:
    """The real images' side of every comparison, activations at once, for any number of models.

    The reference is the test split where the data set has one, and the real_reference compares as many training images with it. Without a test
    split, reference and real_reference are disjoint halves of the images.

    Args:
        config: a `DataConfig`; its augmentation is left aside, and its binarisation but for likelihoods.
        image_size, channels: of the model.
        samples: images on either side.
        seed: of the noise, the labels and every random choice.
        network: a name or path for `features.load`; "auto": digits for digits, else inception.
        importance_samples: draws of z an image for the likelihood.

    Raises:
        UserError: no data, no such feature network, or too few samples to measure anything.
    """

    def __init__(
        self,
        config,
        image_size,
        channels,
        samples=10_000,
        seed=0,
        network="auto",
        importance_samples=200,
    ):
        check_at_least(50, samples=samples)
        check_at_least(0, seed=seed)
        check_at_least(1, importance_samples=importance_samples)
        if config.split != "train":
            raise UserError(
                f"the test images must be ones that the model never saw, received data.split={config.split!r}"
            )
        self.config, self.samples, self.seed, self.importance_samples = (
            config,
            samples,
            seed,
            importance_samples,
        )
        self.network_name = (
            ("digits" if config.dataset in DIGIT_SETS else "inception")
            if network == "auto"
            else network
        )
        config = dataclasses.replace(config, binarize="none")
        self.training = load_in_memory(config, image_size, channels)
        generator = np.random.default_rng(seed)
        order = generator.permutation(len(self.training))
        if config.dataset in WITH_TEST_SPLIT:
            self.split = "test"
            self.held_out = load_in_memory(
                dataclasses.replace(config, split="test", limit=0), image_size, channels
            )
            self.chosen = generator.permutation(len(self.held_out))[
                :samples
            ]  # of the whole that the reference is taken from
            self.reference = take(self.held_out, self.chosen)
            self.other = take(self.training, order[:samples])
        else:
            self.split, self.held_out, half = "train, halved", None, len(order) // 2
            self.chosen = order[:half][:samples]
            self.reference, self.other = (
                take(self.training, self.chosen),
                take(self.training, order[half:][:samples]),
            )

    def settings(self, names):
        """What the scores of these metrics are measured with."""
        sha = hashlib.sha256(self.reference.images.tobytes())
        sha.update(self.training.images.tobytes())
        settings = {
            "data": self.training.name,
            "images_sha256": sha.hexdigest(),
            "split": self.split,
            "n_generated": self.samples,
            "n_reference": len(self.reference),
            "n_real_reference": len(self.other),
            "seed": self.seed,
        }
        if any(METRICS[name].of == "features" for name in names):
            network = self.network
            settings["features"] = {
                "network": network.name,
                "sha256": network.sha256,
                "resizer": network.resizer,
            }
        if "likelihood" in names:
            settings["importance_samples"] = self.importance_samples
            settings["binarisation"] = f"static, seed {self.config.binarize_seed}"
            settings["binarisation_in_training"] = self.config.binarize
        return settings

    @functools.cached_property
    def network(self):
        return load_metric_network(self.network_name)

    @property
    def reads_labels(self):
        """Whether the feature network's classes are the data's."""
        own = self.network_name == "digits"
        return (
            self.config.dataset in DIGIT_SETS
            if own
            else self.network.classes == len(self.training.classes) > 0
        )

    @functools.cached_property
    def real(self):
        return self.compute_activations(image_batches(self.reference.images))

    @functools.cached_property
    def floor(self):
        return self.compute_activations(image_batches(self.other.images))

    def compute_activations(self, batches):
        """Runs batches of uint8 images through the feature network."""
        parts = []
        for images in batches:
            if self.stacked:  # every channel is a digit of its own
                channels = [
                    self.network(images[..., channel : channel + 1]) for channel in range(3)
                ]
                digits = None
                if self.network.classes:
                    digits = np.stack(
                        [probabilities.argmax(axis=1) for _, probabilities in channels], axis=1
                    )
                parts.append((np.concatenate([part for part, _ in channels], axis=1), None, digits))
            else:
                parts.append((*self.network(images), None))
        return Activations(
            *(
                None if column[0] is None else np.concatenate(column)
                for column in zip(*parts, strict=True)
            )
        )

    @property
    def stacked(self):
        return self.config.dataset == "stacked_mnist"

    def labels(self, model):
        """The labels to generate for: those of the reference; None for an unconditional model."""
        if not model.classes:
            return None
        known = (
            self.reference.labels if self.reference.labels is not None else np.arange(model.classes)
        )
        return np.resize(known, (self.samples, *known.shape[1:]))  # again and again

    def generated(self, model, samples=None):
        """Batches of generated images (the first so many); an image does not depend on the size of its batch."""
        z, labels = np.asarray(model.latent(self.samples, self.seed))[:samples], self.labels(model)
        for i in range(0, len(z), BATCH_SIZE):
            yield model.generate(
                z[i : i + BATCH_SIZE],
                None if labels is None else labels[: len(z)][i : i + BATCH_SIZE],
            )

    def names(self, model, wanted=None):
        """The metrics to measure: those that are wanted, or all that can be measured here.

        Raises:
            UserError: an unknown one, or one that cannot be measured for this model and data.
        """
        for name in wanted or []:
            check_choice("metric", name, METRICS)
            if METRICS[name].obstacle(self, model):
                raise UserError(f"{METRICS[name].obstacle(self, model)}, received metric={name!r}")
        return list(
            wanted or [name for name, metric in METRICS.items() if not metric.obstacle(self, model)]
        )

    def measure(self, model, names, picture=None):
        """The scores of a model.

        Args:
            model: a `LatentModel`, or an exported one.
            names: in METRICS.
            picture: a path for the picture of the closest pairs of the metric memorisation; none is written where it is missing.

        Returns:
            `{name of the score: Score}`.
        """
        activations = (
            self.compute_activations(self.generated(model))
            if any(METRICS[name].of == "features" for name in names)
            else None
        )
        scores = {}
        for name in names:
            more = {"picture": picture} if name == "memorisation" else {}
            scores |= METRICS[name].function(
                self, activations if METRICS[name].of == "features" else model, **more
            )
        return scores

    def warnings(self, names):
        found = []
        if self.samples < 5000 and any(METRICS[name].of == "features" for name in names):
            best = (
                expected_for_perfect(self.samples, self.network.classes)
                if self.network.classes
                else None
            )
            found.append(
                f"{self.samples} samples are few: expect the Frechet distance to be too high by about its real_reference"
                f"{f', the classifier score to be at most {best:.2f}' if best else ''}; published numbers use 10,000 or 50,000"
            )
        if len(self.reference) < self.samples or len(self.other) < self.samples:
            found.append(
                f"there are only {len(self.reference)} real images to compare with and {len(self.other)} for the real_reference, "
                f"for {self.samples} generated ones: both are further off than at equal numbers"
            )
        return found


# --- the metrics, each from what was activations at to named scores


def frechet_metric(evaluator, activations):
    real, real_reference = evaluator.real.features, evaluator.real_reference.features
    return {
        "frechet_distance": Score(
            frechet.frechet_distance(real, activations.features),
            frechet.frechet_distance(real, real_reference),
        )
    }


def kernel_metric(evaluator, activations):
    real, real_reference = evaluator.real.features, evaluator.real_reference.features
    value, error = kernel.kernel_distance(real, activations.features, seed=evaluator.seed)
    real_reference, real_reference_error = kernel.kernel_distance(
        real, real_reference, seed=evaluator.seed
    )
    return {
        "kernel_distance": Score(
            value,
            real_reference,
            details={
                "standard_error": error,
                "real_reference_standard_error": real_reference_error,
            },
        )
    }


def classifier_score_metric(evaluator, activations):
    scores = {}
    for splits in (1, 10):
        value, deviation = classifier_score(activations.probabilities, splits, evaluator.seed)
        real_reference, _ = classifier_score(evaluator.real.probabilities, splits, evaluator.seed)
        details = (
            {"splits": splits, "standard_deviation": deviation} if splits > 1 else {"splits": 1}
        )
        scores["classifier_score" if splits == 1 else f"classifier_score_{splits}_splits"] = Score(
            value, real_reference, details=details
        )
    return scores


def precision_recall_metric(evaluator, activations):
    found = neighbors.precision_recall_density_coverage(
        evaluator.real.features, activations.features, NUM_NEIGHBORS
    )
    real_reference = neighbors.precision_recall_density_coverage(
        evaluator.real.features, evaluator.real_reference.features, NUM_NEIGHBORS
    )
    return {
        name: Score(found[name], real_reference[name], details={"k": NUM_NEIGHBORS, "inside": "<="})
        for name in found
    }


def classes_metric(evaluator, activations):
    """Counts of what is read; every class of the real images counts one more, so that the divergence is finite."""
    count = evaluator.network.classes
    generated, real_reference = (
        classes.class_histogram(each.probabilities.argmax(axis=1), count)
        for each in (activations, evaluator.real_reference)
    )
    read = np.concatenate([evaluator.real.probabilities.argmax(axis=1), np.arange(count)])
    real = classes.class_histogram(read, count)
    there = real > 1 / len(read)
    return {
        "class_kl": Score(
            classes.kl_divergence(generated, real),
            classes.kl_divergence(real_reference, real),
            details={"generated": generated.tolist(), "real": real.tolist()},
        ),
        "missing_classes": Score(
            int(np.sum((generated == 0) & there)), int(np.sum((real_reference == 0) & there))
        ),
    }


def label_accuracy_metric(evaluator, activations):
    """The fraction of images that are read as the label they were generated for."""
    labels = evaluator.reference.labels
    value = classes.label_accuracy(activations.probabilities, np.resize(labels, evaluator.samples))
    return {
        "label_accuracy": Score(value, classes.label_accuracy(evaluator.real.probabilities, labels))
    }


def modes_metric(evaluator, activations):
    found, real_reference = (
        modes.stacked_modes(activations.digits),
        modes.stacked_modes(evaluator.real_reference.digits),
    )
    return {
        "modes": Score(found["modes"], real_reference["modes"], details={"of": 1000}),
        "modes_kl": Score(found["kl"], real_reference["kl"]),
    }


def memorization_metric(evaluator, model, picture=None):
    """Distances to the nearest training image; real ones are held-out images, or without a test split training images themselves."""
    training = evaluator.training.images
    if evaluator.held_out is not None:
        real, _ = memorization.nearest_images(
            evaluator.reference.images[:MEMORIZATION_SAMPLES], training
        )
    else:
        real, _ = memorization.nearest_images(
            training[:MEMORIZATION_SAMPLES], training, skip_self=True
        )
    images = np.concatenate(list(evaluator.generated(model, MEMORIZATION_SAMPLES)))
    distances, index = memorization.nearest_images(images, training)
    threshold = np.quantile(real, 0.01)
    details = {
        "n": len(distances),
        "real": "held-out images"
        if evaluator.held_out is not None
        else "training images, themselves left out",
    }
    if picture is not None:
        closest = np.argsort(distances)[:16]
        save_grid(
            np.concatenate([images[closest], training[index[closest]]]),
            picture,
            columns=len(closest),
        )
    return {
        "nearest_training_distance": Score(
            float(np.median(distances)), float(np.median(real)), details=details
        ),
        "closer_than_1_percent_of_real": Score(
            float(np.mean(distances < threshold)), float(np.mean(real < threshold)), details=details
        ),
    }


def reconstruction_metric(evaluator, model):
    labels, scores = evaluator.reference.labels, {"psnr": [], "ssim": []}
    for i, images in enumerate(image_batches(evaluator.reference.images)):
        again = model.reconstruct(
            images, labels[i * BATCH_SIZE :][: len(images)] if model.classes else None
        )
        scores["psnr"].extend(
            np.minimum(similarity.psnr(images, again), 100.0)
        )  # infinite for equal images
        scores["ssim"].extend(similarity.ssim(images, again))
    return {
        name: Score(float(np.mean(found)), details={"of": "reconstructions"})
        for name, found in scores.items()
    }


def likelihood_metric(evaluator, model):
    """ELBO and its parts, and the importance-weighted bound, on the reference images, in nats an image."""
    images = evaluator.reference.images
    if (
        model.config.likelihood == "bernoulli"
    ):  # the whole set first, so that an image has one binarisation whichever are chosen
        whole = evaluator.held_out if evaluator.held_out is not None else evaluator.training
        images = transforms.binarize(whole.images, evaluator.config.binarize_seed)[evaluator.chosen]
    labels = model.condition(evaluator.reference.labels if model.classes else None, len(images))
    densities = tf.function(model.densities)
    columns = []
    for i in range(0, len(images), 100):
        x = tf.constant(images[i : i + 100] / np.float32(255))
        noise = tf.random.stateless_normal(
            (evaluator.importance_samples, len(x), model.config.latent_dim), (evaluator.seed, i)
        )
        parts = densities(x, [tf.constant(y[i : i + 100]) for y in labels], noise)
        log_likelihood, log_ratio, kl, mean = (part.numpy().astype(np.float64) for part in parts)
        nll = likelihood.importance_weighted_nll(log_likelihood + log_ratio)
        columns.append((nll, -log_likelihood.mean(axis=0), kl.sum(axis=1), mean))
    nll, reconstruction, kl, mean = (
        np.concatenate(column) for column in zip(*columns, strict=True)
    )
    reconstruction, kl = reconstruction.mean(), kl.mean()
    return {
        "nll": Score(float(nll.mean())),
        "elbo": Score(float(-reconstruction - kl)),
        "elbo_reconstruction": Score(float(reconstruction)),
        "elbo_kl": Score(float(kl)),
        "active_units": Score(
            int(np.sum(mean.var(axis=0) > 0.01)), details={"of": model.config.latent_dim}
        ),
    }


class Metric(typing.NamedTuple):
    function: typing.Callable
    obstacle: typing.Callable  # (evaluator, model) -> why it cannot be measured, or None
    better: dict  # the scores by which an epoch can be the best one, and whether "lower" or "higher" is better
    of: str = "features"  # of generated images, or of the "model" itself


def always(evaluator, model):
    return None


def needs_classifier(evaluator, model):
    return (
        None
        if evaluator.network.classes and not evaluator.stacked
        else "this needs a feature network that classifies whole images"
    )


def needs_reader(evaluator, model):
    return needs_classifier(evaluator, model) or (
        None if evaluator.reads_labels else "this needs a feature network of the data's own classes"
    )


def needs_labels(evaluator, model):
    if (
        not model.classes
        or evaluator.reference.labels is None
        or evaluator.reference.labels.ndim > 1
    ):
        return "this is for conditional models, and images of labelled classes"
    return needs_reader(evaluator, model)


def needs_stacked(evaluator, model):
    return (
        None
        if evaluator.stacked and evaluator.network.classes == 10
        else "this is for stacked digits (data.dataset=stacked_mnist)"
    )


def needs_encoder(evaluator, model):
    return None if model.encodes else "this is for models that encode images, such as VAE"


def needs_densities(evaluator, model):
    return (
        None
        if model.has_likelihood
        else "this needs the run directory of a model with densities, such as VAE"
    )


METRICS = {
    "frechet": Metric(frechet_metric, always, {"frechet_distance": "lower"}),
    "kid": Metric(kernel_metric, always, {"kernel_distance": "lower"}),
    "classifier_score": Metric(
        classifier_score_metric, needs_classifier, {"classifier_score": "higher"}
    ),
    "precision_recall": Metric(
        precision_recall_metric,
        always,
        dict.fromkeys(("precision", "recall", "density", "coverage"), "higher"),
    ),
    "classes": Metric(classes_metric, needs_reader, {"class_kl": "lower"}),
    "label_accuracy": Metric(label_accuracy_metric, needs_labels, {"label_accuracy": "higher"}),
    "modes": Metric(modes_metric, needs_stacked, {"modes": "higher", "modes_kl": "lower"}),
    "memorisation": Metric(memorization_metric, always, {}, of="model"),
    "reconstruction": Metric(
        reconstruction_metric, needs_encoder, {"psnr": "higher", "ssim": "higher"}, of="model"
    ),
    "likelihood": Metric(
        likelihood_metric, needs_densities, {"nll": "lower", "elbo": "higher"}, of="model"
    ),
}


def load_in_memory(config, image_size, channels):
    images = load_images(config, image_size, channels)
    if images.images is None:
        raise UserError(
            "evaluation needs the real images in memory: raise data.cache_gb, or take fewer with data.limit"
        )
    return images


def take(images, index):
    """Some of a data set's images."""
    labels = images.labels[index] if images.labels is not None else None
    return dataclasses.replace(images, images=images.images[index], labels=labels, files=None)


def image_batches(images):
    return (images[i : i + BATCH_SIZE] for i in range(0, len(images), BATCH_SIZE))
