"""evaluate(source): how good a model's images are, every score beside the same score of real images.

Generated images are uint8, made and looked at a batch at a time; their features are kept, they themselves are not. For one seed the
result is the same whatever the batch size, and it holds no times or paths.
"""

import dataclasses
import functools
import hashlib
import json
import pathlib
import typing

import numpy as np
import tensorflow as tf

from tfgan_zoo import data, export, features, fidelity, metrics, pictures, presets, style_scores
from tfgan_zoo.config import Experiment, UserError, check_at_least, check_choice
from tfgan_zoo.metrics.classifier_score import expected_for_perfect
from tfgan_zoo.scores import Score

BATCH = 500  # images in memory at once
NEIGHBOURS = 5  # k of precision, recall, density and coverage
NEAREST = 1000  # images whose nearest training image is looked for
DIGIT_SETS = ("digits", "mnist", "stacked_mnist")  # what the shipped classifier can read


class Looked(typing.NamedTuple):
    """What is kept of many images."""

    features: np.ndarray  # float32 (n, d)
    probabilities: np.ndarray | None  # float32 (n, classes)
    digits: np.ndarray | None  # of stacked digits: what is read in each channel, (n, 3)


class Evaluator:
    """The real images' side of every comparison, looked at once, for any number of models.

    The reference is the test split where the data set has one, and the floor compares as many training images with it. Without a test
    split, reference and floor are disjoint halves of the images.

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

    def __init__(self, config, image_size, channels, samples=10_000, seed=0, network="auto", importance_samples=200):
        check_at_least(50, samples=samples)
        check_at_least(0, seed=seed)
        check_at_least(1, importance_samples=importance_samples)
        if config.split != "train":
            raise UserError(f"the test images must be ones that the model never saw, received data.split={config.split!r}")
        self.config, self.samples, self.seed, self.importance_samples = config, samples, seed, importance_samples
        self.network_name = ("digits" if config.dataset in DIGIT_SETS else "inception") if network == "auto" else network
        config = dataclasses.replace(config, binarize="none")
        self.training = in_memory(config, image_size, channels)
        generator = np.random.default_rng(seed)
        order = generator.permutation(len(self.training))
        if config.dataset in data.WITH_TEST_SPLIT:
            self.split = "test"
            self.held_out = in_memory(dataclasses.replace(config, split="test", limit=0), image_size, channels)
            self.chosen = generator.permutation(len(self.held_out))[:samples]  # of the whole that the reference is taken from
            self.reference = pick(self.held_out, self.chosen)
            self.other = pick(self.training, order[:samples])
        else:
            self.split, self.held_out, half = "train, halved", None, len(order) // 2
            self.chosen = order[:half][:samples]
            self.reference, self.other = pick(self.training, self.chosen), pick(self.training, order[half:][:samples])

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
            "n_floor": len(self.other),
            "seed": self.seed,
        }
        if any(METRICS[name].of == "features" for name in names):
            network = self.network
            settings["features"] = {"network": network.name, "sha256": network.sha256, "resizer": network.resizer}
        if "likelihood" in names:
            settings["importance_samples"] = self.importance_samples
            settings["binarisation"] = f"static, seed {self.config.binarize_seed}"
            settings["binarisation_in_training"] = self.config.binarize
        return settings

    @functools.cached_property
    def network(self):
        return features.load(self.network_name)

    @property
    def reads_labels(self):
        """Whether the feature network's classes are the data's."""
        own = self.network_name == "digits"
        return self.config.dataset in DIGIT_SETS if own else self.network.classes == len(self.training.classes) > 0

    @functools.cached_property
    def real(self):
        return self.look(batches_of(self.reference.images))

    @functools.cached_property
    def floor(self):
        return self.look(batches_of(self.other.images))

    def look(self, batches):
        """Runs batches of uint8 images through the feature network."""
        parts = []
        for images in batches:
            if self.stacked:  # every channel is a digit of its own
                channels = [self.network(images[..., channel : channel + 1]) for channel in range(3)]
                digits = None
                if self.network.classes:
                    digits = np.stack([probabilities.argmax(axis=1) for _, probabilities in channels], axis=1)
                parts.append((np.concatenate([part for part, _ in channels], axis=1), None, digits))
            else:
                parts.append((*self.network(images), None))
        return Looked(*(None if column[0] is None else np.concatenate(column) for column in zip(*parts, strict=True)))

    @property
    def stacked(self):
        return self.config.dataset == "stacked_mnist"

    def labels(self, model):
        """The labels to generate for: those of the reference; None for an unconditional model."""
        if not model.classes:
            return None
        known = self.reference.labels if self.reference.labels is not None else np.arange(model.classes)
        return np.resize(known, (self.samples, *known.shape[1:]))  # again and again

    def generated(self, model, samples=None):
        """Batches of generated images (the first so many); an image does not depend on the size of its batch."""
        z, labels = np.asarray(model.latent(self.samples, self.seed))[:samples], self.labels(model)
        for i in range(0, len(z), BATCH):
            yield model.generate(z[i : i + BATCH], None if labels is None else labels[: len(z)][i : i + BATCH])

    def names(self, model, wanted=None):
        """The metrics to measure: those that are wanted, or all that can be measured here.

        Raises:
            UserError: an unknown one, or one that cannot be measured for this model and data.
        """
        for name in wanted or []:
            check_choice("metric", name, METRICS)
            if METRICS[name].obstacle(self, model):
                raise UserError(f"{METRICS[name].obstacle(self, model)}, received metric={name!r}")
        return list(wanted or [name for name, metric in METRICS.items() if not metric.obstacle(self, model)])

    def measure(self, model, names, picture=None):
        """The scores of a model.

        Args:
            model: a `LatentModel`, or an exported one.
            names: in METRICS.
            picture: a path for the picture of the closest pairs of the metric memorisation; none is written where it is missing.

        Returns:
            `{name of the score: Score}`.
        """
        looked = self.look(self.generated(model)) if any(METRICS[name].of == "features" for name in names) else None
        scores = {}
        for name in names:
            more = {"picture": picture} if name == "memorisation" else {}
            scores |= METRICS[name].function(self, looked if METRICS[name].of == "features" else model, **more)
        return scores

    def warnings(self, names):
        found = []
        if self.samples < 5000 and any(METRICS[name].of == "features" for name in names):
            best = expected_for_perfect(self.samples, self.network.classes) if self.network.classes else None
            found.append(
                f"{self.samples} samples are few: expect the Frechet distance to be too high by about its floor"
                f"{f', the classifier score to be at most {best:.2f}' if best else ''}; published numbers use 10,000 or 50,000"
            )
        if len(self.reference) < self.samples or len(self.other) < self.samples:
            found.append(
                f"there are only {len(self.reference)} real images to compare with and {len(self.other)} for the floor, "
                f"for {self.samples} generated ones: both are further off than at equal numbers"
            )
        return found


# --- the metrics, each from what was looked at to named scores


def frechet(evaluator, looked):
    real, floor = evaluator.real.features, evaluator.floor.features
    return {"frechet_distance": Score(metrics.frechet_distance(real, looked.features), metrics.frechet_distance(real, floor))}


def kernel(evaluator, looked):
    real, floor = evaluator.real.features, evaluator.floor.features
    value, error = metrics.kernel_distance(real, looked.features, seed=evaluator.seed)
    floor, floor_error = metrics.kernel_distance(real, floor, seed=evaluator.seed)
    return {"kernel_distance": Score(value, floor, details={"standard_error": error, "floor_standard_error": floor_error})}


def classifier_score(evaluator, looked):
    scores = {}
    for splits in (1, 10):
        value, deviation = metrics.classifier_score(looked.probabilities, splits, evaluator.seed)
        floor, _ = metrics.classifier_score(evaluator.real.probabilities, splits, evaluator.seed)
        details = {"splits": splits, "standard_deviation": deviation} if splits > 1 else {"splits": 1}
        scores["classifier_score" if splits == 1 else f"classifier_score_{splits}_splits"] = Score(value, floor, details=details)
    return scores


def precision_recall(evaluator, looked):
    found = metrics.neighbour_scores(evaluator.real.features, looked.features, NEIGHBOURS)
    floor = metrics.neighbour_scores(evaluator.real.features, evaluator.floor.features, NEIGHBOURS)
    return {name: Score(found[name], floor[name], details={"k": NEIGHBOURS, "inside": "<="}) for name in found}


def classes(evaluator, looked):
    """Counts of what is read; every class of the real images counts one more, so that the divergence is finite."""
    count = evaluator.network.classes
    generated, floor = (metrics.class_histogram(each.probabilities.argmax(axis=1), count) for each in (looked, evaluator.floor))
    read = np.concatenate([evaluator.real.probabilities.argmax(axis=1), np.arange(count)])
    real = metrics.class_histogram(read, count)
    there = real > 1 / len(read)
    return {
        "class_kl": Score(
            metrics.kl_divergence(generated, real),
            metrics.kl_divergence(floor, real),
            details={"generated": generated.tolist(), "real": real.tolist()},
        ),
        "missing_classes": Score(int(np.sum((generated == 0) & there)), int(np.sum((floor == 0) & there))),
    }


def label_accuracy(evaluator, looked):
    """The fraction of images that are read as the label they were generated for."""
    labels = evaluator.reference.labels
    value = metrics.label_accuracy(looked.probabilities, np.resize(labels, evaluator.samples))
    return {"label_accuracy": Score(value, metrics.label_accuracy(evaluator.real.probabilities, labels))}


def modes(evaluator, looked):
    found, floor = metrics.stacked_modes(looked.digits), metrics.stacked_modes(evaluator.floor.digits)
    return {"modes": Score(found["modes"], floor["modes"], details={"of": 1000}), "modes_kl": Score(found["kl"], floor["kl"])}


def memorisation(evaluator, model, picture=None):
    """Distances to the nearest training image; real ones are held-out images, or without a test split training images themselves."""
    training = evaluator.training.images
    if evaluator.held_out is not None:
        real, _ = metrics.nearest(evaluator.reference.images[:NEAREST], training)
    else:
        real, _ = metrics.nearest(training[:NEAREST], training, skip_self=True)
    images = np.concatenate(list(evaluator.generated(model, NEAREST)))
    distances, index = metrics.nearest(images, training)
    threshold = np.quantile(real, 0.01)
    details = {"n": len(distances), "real": "held-out images" if evaluator.held_out is not None else "training images, themselves left out"}
    if picture is not None:
        closest = np.argsort(distances)[:16]
        pictures.save_grid(np.concatenate([images[closest], training[index[closest]]]), picture, columns=len(closest))
    return {
        "nearest_training_distance": Score(float(np.median(distances)), float(np.median(real)), details=details),
        "closer_than_1_percent_of_real": Score(float(np.mean(distances < threshold)), float(np.mean(real < threshold)), details=details),
    }


def reconstruction(evaluator, model):
    labels, scores = evaluator.reference.labels, {"psnr": [], "ssim": []}
    for i, images in enumerate(batches_of(evaluator.reference.images)):
        again = model.reconstruct(images, labels[i * BATCH :][: len(images)] if model.classes else None)
        scores["psnr"].extend(np.minimum(metrics.psnr(images, again), 100.0))  # infinite for equal images
        scores["ssim"].extend(metrics.ssim(images, again))
    return {name: Score(float(np.mean(found)), details={"of": "reconstructions"}) for name, found in scores.items()}


def likelihood(evaluator, model):
    """ELBO and its parts, and the importance-weighted bound, on the reference images, in nats an image."""
    images = evaluator.reference.images
    if model.config.likelihood == "bernoulli":  # the whole set first, so that an image has one binarisation whichever are chosen
        whole = evaluator.held_out if evaluator.held_out is not None else evaluator.training
        images = data.transforms.binarize(whole.images, evaluator.config.binarize_seed)[evaluator.chosen]
    labels = model.condition(evaluator.reference.labels if model.classes else None, len(images))
    densities = tf.function(model.densities)
    columns = []
    for i in range(0, len(images), 100):
        x = tf.constant(images[i : i + 100] / np.float32(255))
        noise = tf.random.stateless_normal((evaluator.importance_samples, len(x), model.config.latent_dim), (evaluator.seed, i))
        parts = densities(x, [tf.constant(y[i : i + 100]) for y in labels], noise)
        log_likelihood, log_ratio, kl, mean = (part.numpy().astype(np.float64) for part in parts)
        nll = metrics.importance_weighted_nll(log_likelihood + log_ratio)
        columns.append((nll, -log_likelihood.mean(axis=0), kl.sum(axis=1), mean))
    nll, reconstruction, kl, mean = (np.concatenate(column) for column in zip(*columns, strict=True))
    reconstruction, kl = reconstruction.mean(), kl.mean()
    return {
        "nll": Score(float(nll.mean())),
        "elbo": Score(float(-reconstruction - kl)),
        "elbo_reconstruction": Score(float(reconstruction)),
        "elbo_kl": Score(float(kl)),
        "active_units": Score(int(np.sum(mean.var(axis=0) > 0.01)), details={"of": model.config.latent_dim}),
    }


class Metric(typing.NamedTuple):
    function: typing.Callable
    obstacle: typing.Callable  # (evaluator, model) -> why it cannot be measured, or None
    better: dict  # the scores by which an epoch can be the best one, and whether "lower" or "higher" is better
    of: str = "features"  # of generated images, or of the "model" itself


def always(evaluator, model):
    return None


def needs_classifier(evaluator, model):
    return None if evaluator.network.classes and not evaluator.stacked else "this needs a feature network that classifies whole images"


def needs_reader(evaluator, model):
    return needs_classifier(evaluator, model) or (
        None if evaluator.reads_labels else "this needs a feature network of the data's own classes"
    )


def needs_labels(evaluator, model):
    if not model.classes or evaluator.reference.labels is None or evaluator.reference.labels.ndim > 1:
        return "this is for conditional models, and images of labelled classes"
    return needs_reader(evaluator, model)


def needs_stacked(evaluator, model):
    return None if evaluator.stacked and evaluator.network.classes == 10 else "this is for stacked digits (data.dataset=stacked_mnist)"


def needs_encoder(evaluator, model):
    return None if hasattr(model, "reconstruct") else "this is for models that encode images, such as VAE"


def needs_densities(evaluator, model):
    return None if hasattr(model, "densities") else "this needs the run directory of a model with densities, such as VAE"


METRICS = {
    "frechet": Metric(frechet, always, {"frechet_distance": "lower"}),
    "kid": Metric(kernel, always, {"kernel_distance": "lower"}),
    "classifier_score": Metric(classifier_score, needs_classifier, {"classifier_score": "higher"}),
    "precision_recall": Metric(precision_recall, always, dict.fromkeys(("precision", "recall", "density", "coverage"), "higher")),
    "classes": Metric(classes, needs_reader, {"class_kl": "lower"}),
    "label_accuracy": Metric(label_accuracy, needs_labels, {"label_accuracy": "higher"}),
    "modes": Metric(modes, needs_stacked, {"modes": "higher", "modes_kl": "lower"}),
    "memorisation": Metric(memorisation, always, {}, of="model"),
    "reconstruction": Metric(reconstruction, needs_encoder, {"psnr": "higher", "ssim": "higher"}, of="model"),
    "likelihood": Metric(likelihood, needs_densities, {"nll": "lower", "elbo": "higher"}, of="model"),
}


def evaluator_for(experiment, model, samples=10_000, seed=0, network="auto", importance_samples=200, validate=False):
    """The `Evaluator` of an experiment, for translation its `fidelity.Fidelity`, for style its `style_scores.StyleScores`; all have names,
    measure, settings and warnings.

    `validate` is for choosing an epoch: of validation images where there are some, and without baselines.
    """
    if experiment.task == "translate":
        return fidelity.Fidelity(experiment, samples, seed, validate)
    if experiment.task == "stylize":
        return style_scores.StyleScores(experiment, samples, seed, network, validate)
    height, _, channels = model.image_shape
    return Evaluator(experiment.data, height, channels, samples, seed, network, importance_samples)


def metric_names(task):
    """What can be measured of models for a task (see `Experiment.task`)."""
    return list({"generate": METRICS, "translate": fidelity.BETTER, "stylize": style_scores.BETTER}[task])


def better(score, names, task="generate"):
    """Whether a score is better "lower" or "higher".

    Args:
        score: its name.
        names: the metrics that are measured.
        task: what the model is for.

    Raises:
        UserError: none of the named metrics gives it.
    """
    if task == "stylize":
        directions = {name: style_scores.BETTER[name] for name in names}
    elif task == "translate":
        directions = {name + end: way for name, way in fidelity.BETTER.items() if name in names for end in ("", "_yx")}
    else:
        directions = {key: way for name in names for key, way in METRICS[name].better.items()}
    check_choice("score", score, directions)
    return directions[score]


def evaluate(source, *overrides, metrics=None, samples=10_000, seed=0, network="auto", importance_samples=200, output=None):
    """Measures a model and stores the scores.

    Args:
        source: a run directory (its last checkpoint), an exported SavedModel or a trained preset.
        *overrides: strings `data.field=value`, e.g. where the data is on this machine.
        metrics: names in METRICS; all that can be measured where missing.
        samples, seed, network, importance_samples: see `Evaluator`.
        output: the folder for the JSON file and the picture; RUN/evaluation, or evaluation/NAME for what is no run.

    Returns:
        A dict: preset, weights_sha256, step, settings, warnings, scores `{name: {value, floor, details}}`. The same is in the file
        named by the settings, along with what was measured earlier with the same settings.

    Raises:
        UserError: a mistake that the message says how to mend.
    """
    if any(not override.startswith("data.") for override in overrides):
        raise UserError(f"evaluate takes overrides of the data alone (data.field=value), received {' '.join(overrides)}")
    model = export.load(source)
    experiment = export.experiment_of(source)
    if experiment is None and not any(override.startswith("data.dataset=") for override in overrides):
        raise UserError(f"{source} does not say what it was trained on: add data.dataset=...")
    if experiment is None and not hasattr(model, "sample"):
        raise UserError(f"an exported model of images needs its experiment.json beside it, received {str(source)!r}")
    experiment = (experiment or Experiment("", "", None)).override(*overrides)
    evaluator = evaluator_for(experiment, model, samples, seed, network, importance_samples)
    names = evaluator.names(model, metrics)
    about = {
        "preset": experiment.preset or None,
        "weights_sha256": model.digest(),
        "step": int(model.step) if hasattr(model, "step") else None,
        "settings": evaluator.settings(names),
        "warnings": evaluator.warnings(names),
    }
    folder = folder_for(source, output)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"n{samples}_seed{seed}_{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:8]}"
    scores = evaluator.measure(model, names, folder / f"{name}_nearest.png")
    file = folder / f"{name}.json"
    earlier = json.loads(file.read_text())["scores"] if file.is_file() else {}
    result = {**about, "scores": {**earlier, **{key: dataclasses.asdict(score) for key, score in scores.items()}}}
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n")
    partial.replace(file)
    return {**result, "scores": {key: result["scores"][key] for key in scores}}


def folder_for(source, output=None):
    """Where the scores of a source are stored."""
    path = pathlib.Path(source)
    return pathlib.Path(output or (path / "evaluation" if presets.is_run(path) else pathlib.Path("evaluation") / path.name))


def in_memory(config, image_size, channels):
    images = data.load(config, image_size, channels)
    if images.images is None:
        raise UserError("evaluation needs the real images in memory: raise data.cache_gb, or take fewer with data.limit")
    return images


def pick(images, index):
    """Some of a data set's images."""
    labels = images.labels[index] if images.labels is not None else None
    return dataclasses.replace(images, images=images.images[index], labels=labels, files=None)


def batches_of(images):
    return (images[i : i + BATCH] for i in range(0, len(images), BATCH))
