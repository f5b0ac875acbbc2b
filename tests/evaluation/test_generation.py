"""Test the evaluation of generative models and the selection of the best epoch."""

import dataclasses
import gzip
import hashlib
import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import SHARED, make, run_here
from PIL import Image

from tfgan_zoo.config import DataConfig
from tfgan_zoo.data import transforms
from tfgan_zoo.data.datasets import load_images
from tfgan_zoo.errors import UserError
from tfgan_zoo.evaluation import evaluate, generation
from tfgan_zoo.evaluation.generation import (
    METRICS,
    GenerationEvaluator,
    MetricInputs,
    likelihood_metric,
    modes_metric,
)
from tfgan_zoo.features import metric_networks
from tfgan_zoo.features.metric_networks import CLASSIFIERS, load_metric_network
from tfgan_zoo.metrics import neighbors
from tfgan_zoo.runs import best_epoch, read_metrics
from tfgan_zoo.saving.exported import load
from tfgan_zoo.training.train import train

MNIST = SHARED / "mnist"
DIGITS = DataConfig(dataset="digits")
FEATURE_METRICS = (
    "frechet_distance",
    "kernel_distance",
    "classifier_score",
    "precision",
    "recall",
    "density",
    "coverage",
    "class_kl",
    "missing_classes",
)


@pytest.fixture(scope="module")
def evaluator():
    return GenerationEvaluator(DIGITS, 32, 1, samples=400)


class Fixed:
    """A model that generates the images that it is constructed with."""

    classes = 0
    clustered = False

    def __init__(self, images):
        self.images = images

    def latent(self, n, seed):
        return np.arange(n)[:, None]

    def generate(self, z, labels=None):
        return self.images[z[:, 0] % len(self.images)]


def measure_values(evaluator, images, names=FEATURE_METRICS):
    scores = evaluator.measure(Fixed(images), names)
    return {name: score.value for name, score in scores.items()}


def test_real_images_score_like_the_real_reference(evaluator):
    scores = evaluator.measure(Fixed(evaluator.real_reference_images.images), FEATURE_METRICS)
    assert list(scores) == list(FEATURE_METRICS)
    for name in set(FEATURE_METRICS) - {"classifier_score"}:
        score = scores[name]
        assert score.value == pytest.approx(score.real_reference, abs=1e-6), name
    assert scores["coverage"].value > 0.9
    assert scores["frechet_distance"].value > 0


def test_metrics_of_a_group_are_computed_once_and_only_the_requested_ones_returned(
    evaluator, monkeypatch
):
    calls = []
    compute = neighbors.precision_recall_density_coverage

    def counted(*arguments):
        calls.append(arguments)
        return compute(*arguments)

    monkeypatch.setattr(neighbors, "precision_recall_density_coverage", counted)
    scores = evaluator.measure(
        Fixed(evaluator.real_reference_images.images), ["recall", "precision"]
    )
    assert list(scores) == ["recall", "precision"]
    assert len(calls) == 2  # the generated images, and the real reference


def test_scores_get_worse_as_images_get_worse(evaluator):
    real = evaluator.real_reference_images.images
    generator = np.random.default_rng(0)

    def noisy(deviation):
        noise = generator.normal(0, deviation, real.shape)
        return np.clip(real + noise, 0, 255).astype(np.uint8)

    def blurred(size):
        small = [
            Image.fromarray(image[..., 0])
            .resize((size, size), Image.Resampling.BILINEAR)
            .resize((32, 32))
            for image in real
        ]
        return np.stack([np.asarray(image) for image in small])[..., None]

    few_classes = real[evaluator.real_reference_images.labels < 4]
    for image_sets in (
        [real, noisy(20), noisy(60)],
        [real, blurred(10), blurred(6)],
        [real, few_classes, few_classes[:3]],
    ):
        values = [measure_values(evaluator, images) for images in image_sets]
        for better, worse in itertools.pairwise(values):
            assert worse["frechet_distance"] > better["frechet_distance"]
            assert worse["kernel_distance"] > better["kernel_distance"]
            assert worse["coverage"] < better["coverage"] or worse["coverage"] == 0
            assert worse["classifier_score"] < better["classifier_score"]
            assert worse["class_kl"] > better["class_kl"]
    values = measure_values(evaluator, few_classes)
    assert values["missing_classes"] >= 3
    assert values["precision"] > 0.9 > 0.6 > values["recall"]


def test_copies_of_training_images_are_detected(evaluator, tmp_path):
    path = tmp_path / "nearest.png"
    names = ["nearest_training_distance", "closer_than_1_percent_of_real"]
    copied = evaluator.measure(Fixed(evaluator.training.images), names, path)
    assert copied["nearest_training_distance"].value == 0
    assert copied["closer_than_1_percent_of_real"].value == 1
    assert copied["closer_than_1_percent_of_real"].real_reference == pytest.approx(0.01, abs=0.005)
    grid = np.asarray(Image.open(path))
    assert grid.shape[1] > grid.shape[0]
    noise = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 1)).astype(np.uint8)
    fresh = evaluator.measure(Fixed(noise), names)
    assert fresh["closer_than_1_percent_of_real"].value == 0
    assert (
        fresh["nearest_training_distance"].value > fresh["nearest_training_distance"].real_reference
    )


def test_scores_do_not_depend_on_the_batch_size(evaluator, monkeypatch):
    names = ["frechet_distance", "precision", "recall", "classifier_score"]
    model = make("dcgan_tiny", "model.image_size=32")
    whole = evaluator.measure(model, names)
    monkeypatch.setattr(generation, "BATCH_SIZE", 33)
    parts = evaluator.measure(model, names)
    for name in whole:
        assert parts[name].value == pytest.approx(whole[name].value, rel=1e-4, abs=1e-9), name


def test_conditional_models_generate_the_labels_of_the_data(evaluator, monkeypatch):
    monkeypatch.setattr(generation, "BATCH_SIZE", 33)

    class Labeled(Fixed):
        classes = 10

        def generate(self, z, labels=None):
            assert len(labels) == len(z)
            real = evaluator.real_reference_images
            return np.stack(
                [
                    real.images[np.flatnonzero(real.labels == label)[i % 20]]
                    for i, label in enumerate(labels)
                ]
            )

    scores = evaluator.measure(Labeled(None), ["label_accuracy"])
    assert scores["label_accuracy"].value > 0.7
    assert scores["label_accuracy"].real_reference > 0.7
    # This model ignores the labels.
    wrong = evaluator.measure(Fixed(evaluator.real_reference_images.images), ["label_accuracy"])
    assert wrong["label_accuracy"].value < 0.2
    np.testing.assert_array_equal(
        evaluator.labels(Labeled(None)), evaluator.reference_images.labels
    )


def test_settings_describe_the_evaluation(evaluator):
    settings = evaluator.settings(METRICS)
    assert settings["n_generated"] == settings["n_reference"] == settings["n_real_reference"] == 400
    assert settings["split"] == "train, halved"
    assert settings["features"]["sha256"] == CLASSIFIERS["digits"].sha256
    assert "antialias" in settings["features"]["resizer"]
    assert settings["importance_samples"] == 200 and settings["binarization"] == "static, seed 0"
    assert "features" not in evaluator.settings(["nll"])
    assert "400 samples are few" in evaluator.warnings(["kernel_distance"])[0]
    assert (
        "only 898 real images"
        in GenerationEvaluator(DIGITS, 32, 1, samples=1000).warnings(["kernel_distance"])[1]
    )
    reference = {image.tobytes() for image in evaluator.reference_images.images}
    assert not reference & {image.tobytes() for image in evaluator.real_reference_images.images}


def test_likelihood_of_a_vae_uses_binarized_images():
    model = make("vae_tiny")
    evaluator = GenerationEvaluator(
        DataConfig(dataset="digits", binarize="resampled"), 16, 1, samples=50, importance_samples=20
    )
    scores = evaluator.measure(model, ["nll", "elbo", "elbo_reconstruction", "elbo_kl", "ssim"])
    assert scores["elbo"].value == pytest.approx(
        -scores["elbo_reconstruction"].value - scores["elbo_kl"].value, rel=1e-9
    )
    assert scores["nll"].value < -scores["elbo"].value + 0.05
    assert evaluator.settings(["nll"])["binarization_in_training"] == "resampled"
    assert 100 < scores["nll"].value < 256  # untrained: about log 2 for each of 256 pixels
    assert (
        evaluator.reference_images.images.max() == 255
        and len(np.unique(evaluator.reference_images.images)) > 2
    )
    assert -1 < scores["ssim"].value < 1


def test_stacked_digits_are_classified_by_channel():
    evaluator = GenerationEvaluator(DIGITS, 32, 1, samples=300)
    evaluator.config = dataclasses.replace(DIGITS, dataset="stacked_mnist")
    digits = evaluator.real_reference_images.images
    stacked = np.concatenate([digits[:200], digits[50:250], digits[100:300]], axis=-1)
    activations = evaluator.compute_activations([stacked[:120], stacked[120:]])
    single = evaluator.network(digits)[1].argmax(axis=1)
    np.testing.assert_array_equal(
        activations.digits, np.stack([single[:200], single[50:250], single[100:300]], axis=1)
    )
    assert activations.features.shape == (200, 192)
    evaluator.real_reference_activations = activations
    scores = modes_metric(evaluator, MetricInputs(None, activations))
    assert scores["modes"].value == len(np.unique(activations.digits, axis=0))


def test_metrics_that_do_not_apply_raise_an_error(evaluator):
    gan = make("gan_tiny", "model.image_size=32")
    assert set(evaluator.names(gan)) == {
        *FEATURE_METRICS,
        "classifier_score_10_splits",
        "nearest_training_distance",
        "closer_than_1_percent_of_real",
    }
    for name, reason in [
        ("nll", "densities"),
        ("psnr", "encodes images"),
        ("modes", "stacked"),
        ("label_accuracy", "conditional"),
    ]:
        with pytest.raises(UserError, match=f"{name} needs .*{reason}"):
            evaluator.names(gan, [name])
    with pytest.raises(UserError, match="Did you mean frechet_distance"):
        evaluator.names(gan, ["frechet"])


# --- feature networks


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_classifiers_are_pinned_and_small(name):
    classifier = CLASSIFIERS[name]
    assert hashlib.sha256(classifier.file.read_bytes()).hexdigest() == classifier.sha256
    assert classifier.file.stat().st_size < 1_000_000


def test_the_digit_classifier_classifies_other_digits():
    network = load_metric_network("digits")
    embedded = load_images(DIGITS, 32, 1)
    features, probabilities = network(embedded.images)
    assert features.shape == (1797, 64) and features.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    # The images are digits of 8x8 pixels and not from MNIST.
    assert np.mean(probabilities.argmax(axis=1) == embedded.labels) > 0.75
    in_small_batches, _ = network(embedded.images, batch_size=100)
    np.testing.assert_allclose(in_small_batches, features, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "folder", "least"),
    [("digits", "mnist", 0.993), ("fashion", "fashion_mnist", 0.92)],
)
def test_the_classifiers_classify_their_test_images(name, folder, least):
    folder = SHARED / folder
    if not folder.is_dir():
        pytest.skip("the original files are not available")

    def read(name):
        return np.frombuffer(gzip.decompress((folder / name).read_bytes()), np.uint8)

    images = read("t10k-images-idx3-ubyte.gz")[16:].reshape(-1, 28, 28, 1)
    labels = read("t10k-labels-idx1-ubyte.gz")[8:]
    accuracy = np.mean(load_metric_network(name)(images)[1].argmax(axis=1) == labels)
    assert accuracy == pytest.approx(CLASSIFIERS[name].accuracy, abs=2e-4)
    assert accuracy >= least


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        *(("mnist", "digits"), ("stacked_mnist", "digits"), ("fashion_mnist", "fashion")),
        *(("cifar10", "inception"), ("folder", "inception")),
    ],
)
def test_default_features_of_a_dataset(dataset, name):
    assert metric_networks.default_features(dataset) == name


def test_a_damaged_classifier_raises_an_error(tmp_path, monkeypatch):
    damaged = tmp_path / "digit_classifier.keras"
    damaged.write_bytes(CLASSIFIERS["digits"].file.read_bytes()[:-1] + b"x")
    classifier = dataclasses.replace(CLASSIFIERS["digits"], file=damaged)
    monkeypatch.setitem(CLASSIFIERS, "digits", classifier)
    with pytest.raises(UserError, match="is damaged"):
        load_metric_network("digits")


def test_any_keras_model_can_be_a_feature_network(tmp_path, evaluator):
    image = keras.Input((16, 16, 3))
    maps = keras.layers.Conv2D(5, 3)(image)
    keras.Model(image, maps).save(tmp_path / "maps.keras")
    network = load_metric_network(str(tmp_path / "maps.keras"))
    images = evaluator.real_reference_images.images[:7]
    features, probabilities = network(images)
    assert features.shape == (7, 5) and probabilities is None and network.size == 16
    resized = transforms.to_float(transforms.crop_and_resize(images, 16, 3))
    np.testing.assert_allclose(
        features, np.mean(network.network(resized), axis=(1, 2)), rtol=1e-4, atol=1e-5
    )
    (tmp_path / "text.keras").write_text("no model")
    with pytest.raises(UserError, match="features must be the path of a Keras model"):
        load_metric_network(str(tmp_path / "text.keras"))
    with pytest.raises(UserError, match="features must be digits"):
        load_metric_network("nothing")


# --- evaluate, as a function and as a command


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation") / "run"
    train("cgan_tiny", "train.epochs=1", run_dir=folder)
    return folder


def test_evaluate_stores_the_same_result_every_time(run):
    result = evaluate(run, samples=100)
    (file,) = (run / "evaluation").glob("*.json")
    text = file.read_text()
    assert json.loads(text) == result
    assert str(run) not in text and "seconds" not in text
    assert result["weights_sha256"] == load(run).weights_sha256()
    assert (run / "evaluation" / f"{file.stem}_nearest.png").is_file()
    evaluate(run, samples=100)
    assert file.read_text() == text
    other = evaluate(run, samples=100, seed=1, metrics=["frechet_distance"])
    assert other["scores"].keys() == {"frechet_distance"}
    assert (
        other["scores"]["frechet_distance"]["value"]
        != result["scores"]["frechet_distance"]["value"]
    )
    assert file.read_text() == text and len(list((run / "evaluation").glob("*.json"))) == 2
    evaluate(run, samples=100, seed=1, metrics=["kernel_distance"])
    stored = [json.loads(path.read_text()) for path in (run / "evaluation").glob("*seed1*.json")]
    assert [set(result["scores"]) for result in stored] == [{"frechet_distance", "kernel_distance"}]


def test_a_saved_model_is_evaluated_like_its_run(run, tmp_path):
    of_run = evaluate(run, samples=100, metrics=["frechet_distance"])
    of_saved = evaluate(
        run / "saved_model", samples=100, metrics=["frechet_distance"], output=tmp_path
    )
    assert of_saved["settings"] == of_run["settings"]
    values = [result["scores"]["frechet_distance"]["value"] for result in (of_run, of_saved)]
    assert values[0] == pytest.approx(values[1], rel=0.02)  # images within one level


def test_evaluate_command(run, tmp_path):
    done = run_here(
        "evaluate",
        run,
        "--samples",
        100,
        "--metrics",
        "frechet_distance,class_kl,missing_classes,label_accuracy",
        "--json",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result["scores"]) == {
        "frechet_distance",
        "class_kl",
        "missing_classes",
        "label_accuracy",
    }
    assert "warning: 100 samples are few" in done.stderr
    shown = run_here(
        "evaluate", run, "--samples", 100, "--metrics", "frechet_distance", cwd=tmp_path
    )
    assert "frechet_distance" in shown.stdout and "features: digits" in shown.stdout
    for arguments, reason in [
        (["--metrics", "kernel"], "Did you mean kernel_distance"),
        (["--samples", "5"], "samples must be between 50 and"),
        (["model.width=3"], "overrides of the data alone"),
        (["--features", "nothing"], "features must be"),
    ]:
        failed = run_here("evaluate", run, *arguments, cwd=tmp_path)
        assert failed.returncode == 2
        assert reason in failed.stderr and "Traceback" not in failed.stderr


# --- during training

EVALUATED = [
    "train.evaluate_every=2",
    "train.evaluate_samples=100",
    "train.best=frechet_distance",
    "train.steps_per_epoch=4",
]


def test_scores_are_in_metrics_csv_and_the_best_epoch_is_kept(tmp_path):
    run = tmp_path / "run"
    result = train(
        "dcgan_tiny", *EVALUATED, "train.epochs=5", "model.learning_rate=0.005", run_dir=run
    )
    rows = read_metrics(run / "metrics.csv")
    column = [row["eval_frechet_distance"] for row in rows]
    assert [bool(value) for value in column] == [False, True, False, True, True]
    best = min((float(value), epoch) for epoch, value in enumerate(column, 1) if value)[1]
    assert result["best_epoch"] == best
    assert int(load(run / "best").step) == 4 * best
    again = evaluate(run / "best", samples=100, metrics=["frechet_distance"])
    assert again["scores"]["frechet_distance"]["value"] == pytest.approx(
        float(column[best - 1]), rel=1e-4
    )
    assert (run / "losses.png").is_file()


@pytest.mark.usefixtures("checkpoints_only")
def test_early_stopping_ends_a_run_for_good(tmp_path, capsys):
    run = tmp_path / "run"
    options = [
        *EVALUATED[1:],
        "train.evaluate_every=1",
        "train.patience=2",
        "train.epochs=50",
        "train.sample_every=20",
        "model.learning_rate=0",
        "model.ema_decay=0.5",
    ]
    # With a learning rate of 0 the first epoch stays the best.
    result = train("gan_tiny", *options, run_dir=run)
    assert result["epochs"] == 3 and result["best_epoch"] == 1
    assert [path.name for path in (run / "samples").iterdir()] == ["epoch_0003.png"]
    again = train(run)
    assert again["epochs"] == 3 and again["weights_sha256"] == result["weights_sha256"]
    assert "stopped early after epoch 3" in capsys.readouterr().err
    assert train(run, "train.patience=3")["epochs"] == 4


@pytest.mark.usefixtures("checkpoints_only")
def test_evaluation_does_not_change_training(tmp_path):
    evaluated = train("dcgan_tiny", *EVALUATED, "train.epochs=2", run_dir=tmp_path / "a")
    plain = train("dcgan_tiny", "train.epochs=2", "train.steps_per_epoch=4", run_dir=tmp_path / "b")
    assert evaluated["weights_sha256"] == plain["weights_sha256"]


@pytest.mark.usefixtures("checkpoints_only")
def test_a_resumed_run_keeps_its_best_epoch(tmp_path):
    whole = train("dcgan_tiny", *EVALUATED, "train.epochs=4", run_dir=tmp_path / "whole")
    train("dcgan_tiny", *EVALUATED, "train.epochs=2", run_dir=tmp_path / "parts")
    parts = train(tmp_path / "parts", "train.epochs=4")
    assert parts["best_epoch"] == whole["best_epoch"]
    assert (
        load(tmp_path / "parts/best").weights_sha256()
        == load(tmp_path / "whole/best").weights_sha256()
    )


@pytest.mark.parametrize(
    "overrides, reason",
    [
        (["train.best=frechet_distance"], "needs train.evaluate_every"),
        (["train.best=frechet", "train.evaluate_every=1"], "Did you mean frechet_distance"),
        (["train.patience=2"], "needs train.best"),
        (
            ["train.evaluate_every=1", "train.evaluate_metrics=kernel"],
            "Did you mean kernel_distance",
        ),
        (["train.evaluate_every=1", "train.best=nll"], "score must be one of frechet_distance"),
        (
            [
                "train.evaluate_every=1",
                "train.evaluate_metrics=label_accuracy",
                "train.best=label_accuracy",
            ],
            "needs a conditional model",
        ),
    ],
)
def test_wrong_settings_raise_an_error_before_training(tmp_path, overrides, reason):
    with pytest.raises(UserError, match=reason):
        train("dcgan_tiny", *overrides, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_best_epoch():
    rows = [{"epoch": str(i), "s": value} for i, value in enumerate(["3", "", "1", "1", "2"], 1)]
    assert best_epoch(rows, "s", lower=True) == (3, 2)
    assert best_epoch(rows, "s", lower=False) == (1, 3)
    assert best_epoch(rows, "t", lower=True) == (None, 0)


def test_the_binarization_of_an_image_does_not_depend_on_the_selection():
    def binarized_images(seed):
        class Model:
            classes = 0
            clustered = False
            config = make("vae_tiny").config
            condition = staticmethod(lambda labels, n: [])

            def densities(self, x, condition, noise):
                images.append(x.numpy())
                k, n = noise.shape[:2]
                return tf.zeros((k, n)), tf.zeros((k, n)), tf.zeros((n, 8)), tf.zeros((n, 8))

        images = []
        evaluator = GenerationEvaluator(DIGITS, 16, 1, samples=400, seed=seed, importance_samples=1)
        tf.config.run_functions_eagerly(True)
        try:
            likelihood_metric(evaluator, MetricInputs(Model(), None))
        finally:
            tf.config.run_functions_eagerly(False)
        index = evaluator.reference_index.tolist()
        return dict(zip(index, np.concatenate(images), strict=True))

    one, two = binarized_images(0), binarized_images(1)
    both = one.keys() & two.keys()
    assert len(both) > 50
    static = load_images(dataclasses.replace(DIGITS, binarize="static"), 16, 1).images
    for i in both:
        np.testing.assert_array_equal(one[i], two[i])
        np.testing.assert_array_equal(one[i], static[i] / 255)


def test_a_conditional_vae_is_evaluated_with_its_labels(monkeypatch):
    """With the labels of other images the scores get worse."""
    model = make("vae_tiny", "model.classes=10", "model.learning_rate=0.01", "model.hidden=32")
    embedded = load_images(DIGITS, 16, 1)
    model.fit(
        transforms.to_float(embedded.images), embedded.labels, batch_size=64, epochs=6, verbose=0
    )
    evaluator = GenerationEvaluator(DIGITS, 16, 1, samples=200, importance_samples=5)
    whole = evaluator.measure(model, ["psnr", "ssim", "nll", "elbo"])
    monkeypatch.setattr(generation, "BATCH_SIZE", 33)
    parts = evaluator.measure(model, ["psnr", "ssim", "nll", "elbo"])
    for name in whole:
        assert parts[name].value == pytest.approx(whole[name].value, rel=1e-4), name
    evaluator.reference_images.labels = np.roll(evaluator.reference_images.labels, 33)
    wrong = evaluator.measure(model, ["psnr", "ssim", "nll", "elbo"])
    assert wrong["nll"].value > whole["nll"].value + 0.1
    assert wrong["psnr"].value < whole["psnr"].value


def test_worse_reconstructions_score_worse(evaluator):
    class Noisy(Fixed):
        def __init__(self, amount):
            self.amount = amount

        def reconstruct(self, images, labels=None):
            noise = np.random.default_rng(len(images)).normal(0, self.amount, images.shape)
            return np.clip(images + noise, 0, 255).astype(np.uint8)

    perfect, little, much = (
        evaluator.measure(Noisy(amount), ["psnr", "ssim"]) for amount in (0, 10, 50)
    )
    assert perfect["psnr"].value == 100 and perfect["ssim"].value == pytest.approx(1)
    for name in ("psnr", "ssim"):
        assert perfect[name].value > little[name].value > much[name].value


def test_a_classifier_of_other_classes_gives_no_label_metrics(tmp_path):
    image = keras.Input((28, 28, 1))
    flat = keras.layers.Flatten()(image)
    keras.Model(image, [flat, keras.layers.Dense(12)(flat)]).save(tmp_path / "other.keras")
    evaluator = GenerationEvaluator(
        DIGITS, 32, 1, samples=100, features=str(tmp_path / "other.keras")
    )
    conditional = make("cgan_tiny", "model.image_size=32")
    names = evaluator.names(conditional)
    assert "classifier_score" in names
    assert not {"class_kl", "missing_classes", "label_accuracy"} & set(names)


def test_unavailable_inception_raises_an_error(monkeypatch):
    def fail(**options):
        raise OSError("URL fetch failure")

    monkeypatch.setattr(keras.applications, "InceptionV3", fail)
    with pytest.raises(UserError, match="could not be downloaded .URL fetch failure"):
        load_metric_network("inception")


def test_a_model_trained_on_the_test_images_raises_an_error():
    with pytest.raises(UserError, match="data.split must be train.*got 'test'"):
        GenerationEvaluator(DataConfig(dataset="mnist", split="test"), 28, 1)


def test_results_with_other_settings_do_not_share_a_file(tmp_path):
    train("vae_tiny", "train.epochs=1", run_dir=tmp_path / "run")
    for options in ({"importance_samples": 2}, {"importance_samples": 3}):
        evaluate(tmp_path / "run", samples=50, metrics=["nll"], **options)
    evaluate(
        tmp_path / "run",
        "data.limit=1000",
        samples=50,
        metrics=["nll"],
        importance_samples=3,
    )
    evaluate(
        tmp_path / "run",
        "data.binarize_seed=1",
        samples=50,
        metrics=["nll"],
        importance_samples=3,
    )
    assert len(list((tmp_path / "run/evaluation").glob("*.json"))) == 4
