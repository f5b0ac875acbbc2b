"""Evaluation of models that generate images from noise, with real images as the reference.

Generated images are uint8. They are generated and passed through the feature network batch by
batch. Only their features stay in memory. For one seed the result does not depend on the batch
size, and it contains no times or paths.
"""

import dataclasses
import functools
import typing

import numpy as np
import tensorflow as tf

from tfgan_zoo.data import transforms
from tfgan_zoo.data.clusters import ImageClusters
from tfgan_zoo.data.datasets import WITH_TEST_SPLIT, load_images
from tfgan_zoo.errors import MAX_TRAIN_SEED, UserError, check_choice, check_range
from tfgan_zoo.evaluation.evaluator import Evaluator, images_sha256
from tfgan_zoo.features.metric_networks import (
    CLASSIFIERS,
    default_features,
    load_metric_network,
)
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
MEMORIZATION_SAMPLES = 1000  # images whose nearest training image is searched
MEMORIZATION_COLUMNS = 16  # pairs in the image of the nearest training images
LIKELIHOOD_BATCH_SIZE = 100


class Activations(typing.NamedTuple):
    """Features and class probabilities of a set of images."""

    features: np.ndarray  # float32 (n, d)
    probabilities: np.ndarray | None  # float32 (n, classes)
    digits: np.ndarray | None  # stacked digits: predicted class of each channel, (n, 3)


class MetricInputs(typing.NamedTuple):
    """Model, activations and output path that metrics are computed from."""

    model: typing.Any
    activations: Activations | None  # of generated images; None if no requested metric uses them
    image_path: typing.Any = None  # path for the image of the nearest training images, or None


# --- metrics: (evaluator, inputs) -> {metric: Score}


def frechet_metric(evaluator, inputs):
    """Compute the Frechet distance of the features."""
    value, real_reference = (
        frechet.frechet_distance(evaluator.reference_activations.features, activations.features)
        for activations in (inputs.activations, evaluator.real_reference_activations)
    )
    return {"frechet_distance": Score(value, real_reference)}


def kernel_metric(evaluator, inputs):
    """Compute the kernel distance of the features."""
    (value, error), (real_reference, real_reference_error) = (
        kernel.kernel_distance(
            evaluator.reference_activations.features, activations.features, seed=evaluator.seed
        )
        for activations in (inputs.activations, evaluator.real_reference_activations)
    )
    details = {"standard_error": error, "real_reference_standard_error": real_reference_error}
    return {"kernel_distance": Score(value, real_reference, details=details)}


def classifier_score_metric(evaluator, inputs):
    """Compute the classifier score of all images at once, and its mean over ten splits."""
    scores = {}
    for name, splits in (("classifier_score", 1), ("classifier_score_10_splits", 10)):
        value, deviation = classifier_score(
            inputs.activations.probabilities, splits, evaluator.seed
        )
        reference, _ = classifier_score(
            evaluator.reference_activations.probabilities, splits, evaluator.seed
        )
        details = {"splits": splits, **({"standard_deviation": deviation} if splits > 1 else {})}
        scores[name] = Score(value, reference, details=details)
    return scores


def precision_recall_metric(evaluator, inputs):
    """Compute precision, recall, density and coverage of the features."""
    values, references = (
        neighbors.precision_recall_density_coverage(
            evaluator.reference_activations.features, activations.features, NUM_NEIGHBORS
        )
        for activations in (inputs.activations, evaluator.real_reference_activations)
    )
    details = {"k": NUM_NEIGHBORS}
    return {name: Score(values[name], references[name], details=details) for name in values}


def classes_metric(evaluator, inputs):
    """Compare the frequencies of the predicted classes.

    One is added to the count of each class of the real images, so that the divergence is finite.
    """
    count = evaluator.network.classes
    generated, real_reference = (
        classes.class_histogram(activations.probabilities.argmax(axis=1), count)
        for activations in (inputs.activations, evaluator.real_reference_activations)
    )
    predicted = np.concatenate(
        [evaluator.reference_activations.probabilities.argmax(axis=1), np.arange(count)]
    )
    real = classes.class_histogram(predicted, count)
    present = real > 1 / len(predicted)
    return {
        "class_kl": Score(
            classes.kl_divergence(generated, real),
            classes.kl_divergence(real_reference, real),
            details={"generated": generated.tolist(), "real": real.tolist()},
        ),
        "missing_classes": Score(
            int(np.sum((generated == 0) & present)), int(np.sum((real_reference == 0) & present))
        ),
    }


def label_accuracy_metric(evaluator, inputs):
    """Compute the fraction of images whose predicted class is the requested label."""
    labels = evaluator.reference_images.labels
    requested = np.resize(labels, evaluator.samples)
    value = classes.label_accuracy(inputs.activations.probabilities, requested)
    reference = classes.label_accuracy(evaluator.reference_activations.probabilities, labels)
    return {"label_accuracy": Score(value, reference)}


def modes_metric(evaluator, inputs):
    """Count the combinations of stacked digits."""
    generated = modes.stacked_modes(inputs.activations.digits)
    real_reference = modes.stacked_modes(evaluator.real_reference_activations.digits)
    return {
        "modes": Score(generated["modes"], real_reference["modes"], details={"of": 1000}),
        "modes_kl": Score(generated["kl"], real_reference["kl"]),
    }


def memorization_metric(evaluator, inputs):
    """Compare the distances to the nearest training image with those of real images.

    The real images are held-out images, or training images if the dataset has no test split.
    """
    training = evaluator.training.images
    if evaluator.held_out is not None:
        real_images, skip_self = evaluator.reference_images.images, False
        description = "held-out images"
    else:
        real_images, skip_self = training, True
        description = "training images, themselves left out"
    real, _ = memorization.nearest_images(
        real_images[:MEMORIZATION_SAMPLES], training, skip_self=skip_self
    )
    images = np.concatenate(list(evaluator.generated(inputs.model, MEMORIZATION_SAMPLES)))
    distances, index = memorization.nearest_images(images, training)
    if inputs.image_path is not None:
        nearest = np.argsort(distances)[:MEMORIZATION_COLUMNS]
        pairs = np.concatenate([images[nearest], training[index[nearest]]])
        save_grid(pairs, inputs.image_path, columns=len(nearest))
    threshold = np.quantile(real, 0.01)
    details = {"n": len(distances), "real": description}
    return {
        "nearest_training_distance": Score(
            float(np.median(distances)), float(np.median(real)), details=details
        ),
        "closer_than_1_percent_of_real": Score(
            float(np.mean(distances < threshold)), float(np.mean(real < threshold)), details=details
        ),
    }


def reconstruction_metric(evaluator, inputs):
    """Compare the reference images with their reconstructions."""
    model, labels = inputs.model, evaluator.reference_labels(inputs.model)
    psnr, ssim = [], []
    for i, images in enumerate(image_batches(evaluator.reference_images.images)):
        batch_labels = None if labels is None else labels[i * BATCH_SIZE :][: len(images)]
        reconstructions = model.reconstruct(images, batch_labels)
        psnr.extend(np.minimum(similarity.psnr(images, reconstructions), similarity.MAX_PSNR))
        ssim.extend(similarity.ssim(images, reconstructions))
    details = {"of": "reconstructions"}
    return {
        "psnr": Score(float(np.mean(psnr)), details=details),
        "ssim": Score(float(np.mean(ssim)), details=details),
    }


def likelihood_metric(evaluator, inputs):
    """Compute the ELBO, its terms and the importance-weighted bound of the reference images.

    All are means over the images, in nats.
    """
    model, images = inputs.model, evaluator.reference_images.images
    if model.config.likelihood == "bernoulli":
        # Binarize the whole set, so that an image's binarization does not depend on the selection.
        data = evaluator.held_out if evaluator.held_out is not None else evaluator.training
        binarized = transforms.binarize(data.images, evaluator.config.binarize_seed)
        images = binarized[evaluator.reference_index]
    condition = model.condition(evaluator.reference_labels(model), len(images))
    densities = tf.function(model.densities)
    columns = []
    for i in range(0, len(images), LIKELIHOOD_BATCH_SIZE):
        batch = slice(i, i + LIKELIHOOD_BATCH_SIZE)
        x = tf.constant(images[batch] / np.float32(255))
        shape = (evaluator.importance_samples, len(x), model.config.latent_dim)
        noise = tf.random.stateless_normal(shape, (evaluator.seed, i))
        parts = densities(x, [tf.constant(y[batch]) for y in condition], noise)
        log_likelihood, log_ratio, kl, mean = (part.numpy().astype(np.float64) for part in parts)
        nll = likelihood.importance_weighted_nll(log_likelihood + log_ratio)
        columns.append((nll, -log_likelihood.mean(axis=0), kl.sum(axis=1), mean))
    nll, reconstruction, kl, mean = (
        np.concatenate(column) for column in zip(*columns, strict=True)
    )
    reconstruction, kl = reconstruction.mean(), kl.mean()
    active_units = int(np.sum(mean.var(axis=0) > 0.01))
    return {
        "nll": Score(float(nll.mean())),
        "elbo": Score(float(-reconstruction - kl)),
        "elbo_reconstruction": Score(float(reconstruction)),
        "elbo_kl": Score(float(kl)),
        "active_units": Score(active_units, details={"of": model.config.latent_dim}),
    }


# --- requirements: (evaluator, model) -> what is missing for a metric, or None


def lacks_nothing(evaluator, model):
    return None


def lacks_classifier(evaluator, model):
    if evaluator.network.classes and not evaluator.stacked:
        return None
    return "a feature network that classifies whole images"


def lacks_data_classifier(evaluator, model):
    return lacks_classifier(evaluator, model) or (
        None if evaluator.predicts_labels else "a feature network with the classes of the data"
    )


def lacks_labels(evaluator, model):
    real_labels = evaluator.reference_images.labels
    if not model.classes or model.clustered or real_labels is None or real_labels.ndim > 1:
        return "a conditional model, with classes and not clusters, and images with one class each"
    return lacks_data_classifier(evaluator, model)


def lacks_stacked_digits(evaluator, model):
    if evaluator.stacked and evaluator.network.classes == 10:
        return None
    return "stacked digits (data.dataset=stacked_mnist)"


def lacks_encoder(evaluator, model):
    return None if model.encodes else "a model that encodes images, such as VAE"


def lacks_densities(evaluator, model):
    return None if model.has_likelihood else "the run directory of a model with densities (VAE)"


# --- all metrics


@dataclasses.dataclass(frozen=True, eq=False)
class MetricGroup:
    """Metrics that are computed together."""

    compute: typing.Callable  # (evaluator, inputs) -> {metric: Score}
    requirement: typing.Callable  # (evaluator, model) -> what is missing, or None
    better: dict  # {metric: "lower" or "higher" is better; None: no epoch is selected by it}
    uses_features: bool = True  # whether it needs the activations of generated images


LIKELIHOOD = MetricGroup(
    likelihood_metric,
    lacks_densities,
    {
        "nll": "lower",
        "elbo": "higher",
        "elbo_reconstruction": None,
        "elbo_kl": None,
        "active_units": None,
    },
    uses_features=False,
)
GROUPS = (
    MetricGroup(frechet_metric, lacks_nothing, {"frechet_distance": "lower"}),
    MetricGroup(kernel_metric, lacks_nothing, {"kernel_distance": "lower"}),
    MetricGroup(
        classifier_score_metric,
        lacks_classifier,
        {"classifier_score": "higher", "classifier_score_10_splits": None},
    ),
    MetricGroup(
        precision_recall_metric,
        lacks_nothing,
        dict.fromkeys(("precision", "recall", "density", "coverage"), "higher"),
    ),
    MetricGroup(
        classes_metric, lacks_data_classifier, {"class_kl": "lower", "missing_classes": None}
    ),
    MetricGroup(label_accuracy_metric, lacks_labels, {"label_accuracy": "higher"}),
    MetricGroup(modes_metric, lacks_stacked_digits, {"modes": "higher", "modes_kl": "lower"}),
    MetricGroup(
        memorization_metric,
        lacks_nothing,
        {"nearest_training_distance": None, "closer_than_1_percent_of_real": None},
        uses_features=False,
    ),
    MetricGroup(
        reconstruction_metric,
        lacks_encoder,
        {"psnr": "higher", "ssim": "higher"},
        uses_features=False,
    ),
    LIKELIHOOD,
)
METRICS = {name: group for group in GROUPS for name in group.better}


class GenerationEvaluator(Evaluator):
    """Evaluator for models that generate images from noise.

    The reference images are from the test split if the dataset has one. The same number of
    training images is compared with them for the real reference of distances. Without a test split,
    the two sets are disjoint halves of the training images. The real references of the classifier
    score and of the label accuracy are the scores of the reference images themselves.

    Args:
        config: a `DataConfig`. Its augmentation is ignored. Its binarization is used for
            likelihoods only.
        image_size: pixels of a side of the model's images.
        channels: channels of the model's images.
        samples: number of generated images, and maximum number of reference images.
        seed: decides the noise, the labels and every random choice.
        features: name or path for `load_metric_network`; "auto": see `default_features`.
        importance_samples: draws of z per image for the likelihood.

    Raises:
        UserError: no data, no such feature network, or too few samples.
    """

    metrics: typing.ClassVar = {name: group.better[name] for name, group in METRICS.items()}
    needs_experiment = False

    @classmethod
    def create(cls, experiment, model, options):
        height, _, channels = model.image_shape
        return cls(
            experiment.data,
            height,
            channels,
            options.samples,
            options.seed,
            options.features,
            options.importance_samples,
        )

    def __init__(
        self,
        config,
        image_size,
        channels,
        samples=10_000,
        seed=0,
        features="auto",
        importance_samples=200,
    ):
        check_range(50, 10**6, samples=samples)
        check_range(0, MAX_TRAIN_SEED, seed=seed)
        check_range(1, 10**6, importance_samples=importance_samples)
        if config.split != "train":
            raise UserError(
                "data.split must be train, because evaluation uses the test split, "
                f"got {config.split!r}. Leave out data.split."
            )
        self.config, self.samples, self.seed = config, samples, seed
        self.importance_samples, self.clusters = importance_samples, None
        self.network_name = default_features(config.dataset) if features == "auto" else features

        # Split the images into the reference images and those for the real reference.
        config = dataclasses.replace(config, binarize="none", clusters=0)
        self.training = load_in_memory(config, image_size, channels)
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(self.training))
        if config.dataset in WITH_TEST_SPLIT:
            self.split = "test"
            test = dataclasses.replace(config, split="test", limit=0)
            self.held_out = load_in_memory(test, image_size, channels)
            self.reference_index = rng.permutation(len(self.held_out))[:samples]
            self.reference_images = select(self.held_out, self.reference_index)
            self.real_reference_images = select(self.training, order[:samples])
        else:
            self.split, self.held_out, half = "train, halved", None, len(order) // 2
            self.reference_index = order[:half][:samples]
            self.reference_images = select(self.training, self.reference_index)
            self.real_reference_images = select(self.training, order[half:][:samples])

    @functools.cached_property
    def network(self):
        """The feature network."""
        return load_metric_network(self.network_name)

    @functools.cached_property
    def reference_activations(self):
        """Activations of the reference images."""
        return self.compute_activations(image_batches(self.reference_images.images))

    @functools.cached_property
    def real_reference_activations(self):
        """Activations of the real images for the real reference of the distances."""
        return self.compute_activations(image_batches(self.real_reference_images.images))

    @property
    def predicts_labels(self):
        """True if the classes of the feature network are those of the data."""
        if self.network_name in CLASSIFIERS:
            return self.config.dataset in CLASSIFIERS[self.network_name].datasets
        return self.network.classes == len(self.training.classes) > 0

    @property
    def stacked(self):
        """True if each channel of an image is a digit."""
        return self.config.dataset == "stacked_mnist"

    def compute_activations(self, batches):
        """Pass batches of uint8 images through the feature network; return `Activations`."""
        parts = [
            self.stacked_activations(images) if self.stacked else (*self.network(images), None)
            for images in batches
        ]
        return Activations(
            *(
                None if column[0] is None else np.concatenate(column)
                for column in zip(*parts, strict=True)
            )
        )

    def stacked_activations(self, images):
        """Return (features, None, digits) of a batch of stacked digits."""
        channels = [self.network(images[..., i : i + 1]) for i in range(3)]
        features = np.concatenate([features for features, _ in channels], axis=1)
        if not self.network.classes:
            return features, None, None
        digits = [probabilities.argmax(axis=1) for _, probabilities in channels]
        return features, None, np.stack(digits, axis=1)

    def labels(self, model):
        """Return the labels to generate images for; None for an unconditional model.

        They are the labels of the reference images, repeated up to the number of samples. A
        clustered model draws clusters by their share of its training images.
        """
        if not model.classes:
            return None
        if model.clustered:
            return np.asarray(model.default_labels(self.samples, self.seed))
        labels = self.reference_images.labels
        if labels is None:
            labels = np.arange(model.classes)
        return np.resize(labels, (self.samples, *labels.shape[1:]))

    def reference_labels(self, model):
        """Return the condition of the reference images; None for an unconditional model.

        For a clustered model it is the nearest cluster of the training images.
        """
        if not model.clustered:
            return self.reference_images.labels if model.classes else None
        clusters = self.training_clusters(model.classes)
        if (sizes := getattr(model, "cluster_sizes", None)) is not None:  # not a SavedModel
            clusters.check_sizes(sizes)
        return clusters.labels(self.reference_images.images)

    def training_clusters(self, count):
        """Return the clusters of the training images. They are fitted once."""
        if self.clusters is None or self.clusters.count != count:
            self.clusters = ImageClusters(self.training.images, count)
        return self.clusters

    def generated(self, model, count=None):
        """Yield batches of generated images, the first `count` ones.

        An image does not depend on the size of its batch.
        """
        z, labels = np.asarray(model.latent(self.samples, self.seed))[:count], self.labels(model)
        for i in range(0, len(z), BATCH_SIZE):
            batch = slice(i, min(i + BATCH_SIZE, len(z)))
            yield model.generate(z[batch], None if labels is None else labels[batch])

    def names(self, model, requested=None):
        if requested is None:
            return [name for name, group in METRICS.items() if not group.requirement(self, model)]
        for name in requested:
            check_choice("metric", name, METRICS)
            missing = METRICS[name].requirement(self, model)
            if missing:
                raise UserError(
                    f"{name} needs {missing}. Leave it out, got metrics={','.join(requested)}."
                )
        return list(requested)

    def measure(self, model, names, image_path=None):
        groups = [group for group in GROUPS if group.better.keys() & set(names)]
        activations = None
        if any(group.uses_features for group in groups):
            activations = self.compute_activations(self.generated(model))
        inputs = MetricInputs(model, activations, image_path)
        scores = {}
        for group in groups:
            scores |= group.compute(self, inputs)
        return {name: scores[name] for name in names}

    def settings(self, names):
        settings = {
            "data": self.training.name,
            "images_sha256": images_sha256((self.reference_images.images, self.training.images)),
            "split": self.split,
            "n_generated": self.samples,
            "n_reference": len(self.reference_images),
            "n_real_reference": len(self.real_reference_images),
            "seed": self.seed,
        }
        if any(METRICS[name].uses_features for name in names):
            settings["features"] = {
                "network": self.network.name,
                "sha256": self.network.sha256,
                "resizer": self.network.resizer,
            }
        if any(METRICS[name] is LIKELIHOOD for name in names):
            settings["importance_samples"] = self.importance_samples
            settings["binarization"] = f"static, seed {self.config.binarize_seed}"
            settings["binarization_in_training"] = self.config.binarize
        return settings

    def warnings(self, names):
        warnings = []
        if self.samples < 5000 and any(METRICS[name].uses_features for name in names):
            text = (
                f"{self.samples} samples are few: expect the Frechet distance to be too high by "
                "about its real reference"
            )
            if self.network.classes:
                best = expected_for_perfect(self.samples, self.network.classes)
                text += f", and the classifier score to be at most {best:.2f}"
            warnings.append(f"{text}. Published numbers use 10,000 or 50,000 samples.")
        if (
            len(self.reference_images) < self.samples
            or len(self.real_reference_images) < self.samples
        ):
            warnings.append(
                f"there are only {len(self.reference_images)} real images to compare with and "
                f"{len(self.real_reference_images)} for the real reference, for {self.samples} "
                "generated images: both distances are higher than for equal numbers."
            )
        return warnings


def load_in_memory(config, image_size, channels):
    """Load images.

    Raises:
        UserError: they do not fit in data.cache_gb.
    """
    images = load_images(config, image_size, channels)
    if images.images is None:
        raise UserError(
            "evaluation needs the real images in memory: increase data.cache_gb, or use fewer with "
            f"data.limit, got data.cache_gb={config.cache_gb}."
        )
    return images


def select(images, index):
    """Return an `ImageData` of some of the images."""
    labels = images.labels[index] if images.labels is not None else None
    return dataclasses.replace(images, images=images.images[index], labels=labels, files=None)


def image_batches(images):
    """Return an iterator over batches of the images."""
    return (images[i : i + BATCH_SIZE] for i in range(0, len(images), BATCH_SIZE))
