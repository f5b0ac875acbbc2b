"""Measuring models: deterministic, independent of batch sizes, worse for worse images, and honest about what it compares."""

import dataclasses
import hashlib
import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import SHARED, make, run_cli
from PIL import Image

from tfgan_zoo.config import DataConfig
from tfgan_zoo.data import transforms
from tfgan_zoo.data.datasets import load_images
from tfgan_zoo.errors import UserError
from tfgan_zoo.evaluation import evaluate, generation
from tfgan_zoo.evaluation.generation import (
    METRICS,
    GenerationEvaluator,
    likelihood_metric,
    modes_metric,
)
from tfgan_zoo.features import metric_networks
from tfgan_zoo.features.metric_networks import (
    DIGITS_ACCURACY,
    DIGITS_FILE,
    DIGITS_SHA256,
    load_metric_network,
)
from tfgan_zoo.runs import best_epoch, read_metrics
from tfgan_zoo.saving.exported import load
from tfgan_zoo.training.train import train

MNIST = SHARED / "mnist"
DIGITS = DataConfig(dataset="digits")


@pytest.fixture(scope="module")
def evaluator():
    return GenerationEvaluator(DIGITS, 32, 1, samples=400)


class Fixed:
    """A stand-in for a model that generates given images."""

    classes = 0

    def __init__(self, images):
        self.images = images

    def latent(self, n, seed):
        return np.arange(n)[:, None]

    def generate(self, z, labels=None):
        return self.images[z[:, 0] % len(self.images)]


def scores(
    evaluator, images, names=("frechet", "kid", "classifier_score", "precision_recall", "classes")
):
    return {name: score.value for name, score in evaluator.measure(Fixed(images), names).items()}


def test_real_images_reach_the_floor(evaluator):
    found = evaluator.measure(
        Fixed(evaluator.other.images),
        ["frechet", "kid", "classifier_score", "precision_recall", "classes"],
    )
    for name in (
        "frechet_distance",
        "kernel_distance",
        "precision",
        "recall",
        "density",
        "coverage",
        "class_kl",
        "missing_classes",
    ):
        assert found[name].value == pytest.approx(found[name].real_reference, abs=1e-6), name
    assert found["coverage"].value > 0.9
    assert found["frechet_distance"].value > 0


def test_every_score_gets_worse_as_images_get_worse(evaluator):
    real = evaluator.other.images
    rng = np.random.default_rng(0)

    def noised(amount):
        return np.clip(real + rng.normal(0, amount, real.shape), 0, 255).astype(np.uint8)

    def blurred(size):
        small = [
            Image.fromarray(image[..., 0])
            .resize((size, size), Image.Resampling.BILINEAR)
            .resize((32, 32))
            for image in real
        ]
        return np.stack([np.asarray(image) for image in small])[..., None]

    few = real[evaluator.other.labels < 4]
    for worse in (
        [real, noised(20), noised(60)],
        [real, blurred(10), blurred(6)],
        [real, few, few[:3]],
    ):
        found = [scores(evaluator, images) for images in worse]
        for better, worse_one in itertools.pairwise(found):
            assert worse_one["frechet_distance"] > better["frechet_distance"]
            assert worse_one["kernel_distance"] > better["kernel_distance"]
            assert worse_one["coverage"] < better["coverage"] or worse_one["coverage"] == 0
            assert worse_one["classifier_score"] < better["classifier_score"]
            assert worse_one["class_kl"] > better["class_kl"]
    assert scores(evaluator, few)["missing_classes"] >= 3
    assert scores(evaluator, few)["precision"] > 0.9 > 0.6 > scores(evaluator, few)["recall"]


def test_copies_of_training_images_are_found(evaluator, tmp_path):
    path = tmp_path / "nearest.png"
    copied = evaluator.measure(Fixed(evaluator.training.images), ["memorisation"], path)
    assert copied["nearest_training_distance"].value == 0
    assert copied["closer_than_1_percent_of_real"].value == 1
    assert copied["closer_than_1_percent_of_real"].real_reference == pytest.approx(0.01, abs=0.005)
    sheet = np.asarray(Image.open(path))
    assert sheet.shape[1] > sheet.shape[0]
    noise = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 1)).astype(np.uint8)
    fresh = evaluator.measure(Fixed(noise), ["memorisation"])
    assert fresh["closer_than_1_percent_of_real"].value == 0
    assert (
        fresh["nearest_training_distance"].value > fresh["nearest_training_distance"].real_reference
    )


def test_result_does_not_depend_on_the_batch_size(evaluator, monkeypatch):
    model = make("dcgan_tiny", "model.image_size=32")
    whole = evaluator.measure(model, ["frechet", "precision_recall", "classifier_score"])
    monkeypatch.setattr(generation, "BATCH_SIZE", 33)
    parts = evaluator.measure(model, ["frechet", "precision_recall", "classifier_score"])
    for name in whole:
        assert parts[name].value == pytest.approx(whole[name].value, rel=1e-4, abs=1e-9), name


def test_conditional_models_are_asked_for_the_datas_labels(evaluator, monkeypatch):
    monkeypatch.setattr(generation, "BATCH_SIZE", 33)

    class Labelled(Fixed):
        classes = 10

        def generate(self, z, labels=None):
            assert len(labels) == len(z)
            real = evaluator.other
            return np.stack(
                [
                    real.images[np.flatnonzero(real.labels == label)[i % 20]]
                    for i, label in enumerate(labels)
                ]
            )

    found = evaluator.measure(Labelled(None), ["label_accuracy"])
    assert found["label_accuracy"].value > 0.7
    assert found["label_accuracy"].real_reference > 0.7
    wrong = evaluator.measure(
        Fixed(evaluator.other.images), ["label_accuracy"]
    )  # takes no notice of what is asked for
    assert wrong["label_accuracy"].value < 0.2
    np.testing.assert_array_equal(evaluator.labels(Labelled(None)), evaluator.reference.labels)


def test_settings_name_everything(evaluator):
    settings = evaluator.settings(METRICS)
    assert settings["n_generated"] == settings["n_reference"] == settings["n_real_reference"] == 400
    assert settings["split"] == "train, halved"
    assert settings["features"]["sha256"] == DIGITS_SHA256
    assert "antialias" in settings["features"]["resizer"]
    assert settings["importance_samples"] == 200 and settings["binarisation"] == "static, seed 0"
    assert "features" not in evaluator.settings(["likelihood"])
    assert "400 samples are few" in evaluator.warnings(["kid"])[0]
    assert (
        "only 898 real images"
        in GenerationEvaluator(DIGITS, 32, 1, samples=1000).warnings(["kid"])[1]
    )
    reference = {image.tobytes() for image in evaluator.reference.images}
    assert not reference & {image.tobytes() for image in evaluator.other.images}


def test_likelihood_of_a_vae_is_measured_on_binarised_images():
    model = make("vae_tiny")
    evaluator = GenerationEvaluator(
        DataConfig(dataset="digits", binarize="resampled"), 16, 1, samples=50, importance_samples=20
    )
    found = evaluator.measure(model, ["likelihood", "reconstruction"])
    assert found["elbo"].value == pytest.approx(
        -found["elbo_reconstruction"].value - found["elbo_kl"].value, rel=1e-9
    )
    assert found["nll"].value < -found["elbo"].value + 0.05
    assert evaluator.settings(["likelihood"])["binarisation_in_training"] == "resampled"
    assert (
        100 < found["nll"].value < 256
    )  # an untrained decoder says nearly log 2 for each of 256 pixels
    assert (
        evaluator.reference.images.max() == 255 and len(np.unique(evaluator.reference.images)) > 2
    )
    assert -1 < found["ssim"].value < 1


def test_stacked_digits_are_read_channel_by_channel():
    evaluator = GenerationEvaluator(DIGITS, 32, 1, samples=300)
    evaluator.config = dataclasses.replace(DIGITS, dataset="stacked_mnist")
    digits = evaluator.other.images
    stacked = np.concatenate([digits[:200], digits[50:250], digits[100:300]], axis=-1)
    looked = evaluator.compute_activations([stacked[:120], stacked[120:]])
    single = evaluator.network(digits)[1].argmax(axis=1)
    np.testing.assert_array_equal(
        looked.digits, np.stack([single[:200], single[50:250], single[100:300]], axis=1)
    )
    assert looked.features.shape == (200, 192)
    evaluator.real_reference = looked
    found = modes_metric(evaluator, looked)
    assert found["modes"].value == len(np.unique(looked.digits, axis=0))


def test_metrics_that_do_not_apply_are_refused_by_name(evaluator):
    gan = make("gan_tiny", "model.image_size=32")
    assert evaluator.names(gan) == [
        "frechet",
        "kid",
        "classifier_score",
        "precision_recall",
        "classes",
        "memorisation",
    ]
    for name, reason in [
        ("likelihood", "densities"),
        ("reconstruction", "encode"),
        ("modes", "stacked"),
        ("label_accuracy", "conditional"),
    ]:
        with pytest.raises(UserError, match=f"{reason}.*received metric='{name}'"):
            evaluator.names(gan, [name])
    with pytest.raises(UserError, match="did you mean kid"):
        evaluator.names(gan, ["fid"])


# --- feature networks


def test_the_digit_classifier_is_the_pinned_one_and_small():
    assert hashlib.sha256(DIGITS_FILE.read_bytes()).hexdigest() == DIGITS_SHA256
    assert DIGITS_FILE.stat().st_size < 1_000_000
    network = load_metric_network("digits")
    embedded = load_images(DIGITS, 32, 1)
    found, probabilities = network(embedded.images)
    assert found.shape == (1797, 64) and found.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (
        np.mean(probabilities.argmax(axis=1) == embedded.labels) > 0.75
    )  # of other digits, of 8x8 pixels
    small, _ = network(embedded.images, batch_size=100)
    np.testing.assert_allclose(small, found, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(
    not MNIST.is_dir(), reason="the original files of MNIST are not beside this checkout"
)
def test_the_digit_classifier_reads_mnists_test_images():
    import gzip

    read = lambda name: np.frombuffer(gzip.decompress((MNIST / name).read_bytes()), np.uint8)  # noqa: E731
    images = read("t10k-images-idx3-ubyte.gz")[16:].reshape(-1, 28, 28, 1)
    labels = read("t10k-labels-idx1-ubyte.gz")[8:]
    accuracy = np.mean(load_metric_network("digits")(images)[1].argmax(axis=1) == labels)
    assert accuracy == pytest.approx(DIGITS_ACCURACY, abs=2e-4)
    assert accuracy >= 0.993


def test_a_damaged_classifier_is_refused(tmp_path, monkeypatch):
    damaged = tmp_path / "digit_classifier.keras"
    damaged.write_bytes(DIGITS_FILE.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(metric_networks, "DIGITS_FILE", damaged)
    with pytest.raises(UserError, match="is damaged"):
        load_metric_network("digits")


def test_any_keras_model_can_be_looked_through(tmp_path, evaluator):
    image = keras.Input((16, 16, 3))
    maps = keras.layers.Conv2D(5, 3)(image)
    keras.Model(image, maps).save(tmp_path / "maps.keras")
    network = load_metric_network(str(tmp_path / "maps.keras"))
    images = evaluator.other.images[:7]
    found, probabilities = network(images)
    assert found.shape == (7, 5) and probabilities is None and network.size == 16
    seen = transforms.to_float(transforms.crop_and_resize(images, 16, 3))
    np.testing.assert_allclose(
        found, np.mean(network.network(seen), axis=(1, 2)), rtol=1e-4, atol=1e-5
    )
    (tmp_path / "text.keras").write_text("no model")
    with pytest.raises(UserError, match="not a Keras model"):
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
    other = evaluate(run, samples=100, seed=1, metrics=["frechet"])
    assert other["scores"].keys() == {"frechet_distance"}
    assert (
        other["scores"]["frechet_distance"]["value"]
        != result["scores"]["frechet_distance"]["value"]
    )
    assert file.read_text() == text and len(list((run / "evaluation").glob("*.json"))) == 2
    evaluate(run, samples=100, seed=1, metrics=["kid"])
    stored = [json.loads(path.read_text()) for path in (run / "evaluation").glob("*seed1*.json")]
    assert [set(each["scores"]) for each in stored] == [{"frechet_distance", "kernel_distance"}]


def test_evaluate_a_saved_model_knows_its_data(run, tmp_path):
    of_run = evaluate(run, samples=100, metrics=["frechet"])
    of_saved = evaluate(run / "saved_model", samples=100, metrics=["frechet"], output=tmp_path)
    assert of_saved["settings"] == of_run["settings"]
    values = [each["scores"]["frechet_distance"]["value"] for each in (of_run, of_saved)]
    assert values[0] == pytest.approx(values[1], rel=0.02)  # images within one level


def test_evaluate_command(run, tmp_path):
    done = run_cli(
        "evaluate",
        run,
        "--samples",
        100,
        "--metrics",
        "frechet,classes,label_accuracy",
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
    shown = run_cli("evaluate", run, "--samples", 100, "--metrics", "frechet", cwd=tmp_path)
    assert "frechet_distance" in shown.stdout and "features: digits" in shown.stdout
    for wrong, reason in [
        (["--metrics", "fid"], "did you mean kid"),
        (["--samples", "5"], "samples must be at least 50"),
        (["model.width=3"], "overrides of the data alone"),
        (["--features", "nothing"], "features must be"),
    ]:
        refused = run_cli("evaluate", run, *wrong, cwd=tmp_path)
        assert (
            refused.returncode == 2
            and reason in refused.stderr
            and "Traceback" not in refused.stderr
        )


# --- during training

WATCHED = [
    "train.evaluate_every=2",
    "train.evaluate_samples=100",
    "train.best=frechet_distance",
    "train.steps_per_epoch=4",
]


def test_scores_join_metrics_and_the_best_epoch_is_kept(tmp_path):
    run = tmp_path / "run"
    result = train(
        "dcgan_tiny", *WATCHED, "train.epochs=5", "model.learning_rate=0.005", run_dir=run
    )
    rows = read_metrics(run / "metrics.csv")
    column = [row["eval_frechet_distance"] for row in rows]
    assert [bool(value) for value in column] == [False, True, False, True, True]
    best = min((float(value), epoch) for epoch, value in enumerate(column, 1) if value)[1]
    assert result["best_epoch"] == best
    assert int(load(run / "best").step) == 4 * best
    again = evaluate(run / "best", samples=100, metrics=["frechet"])
    assert again["scores"]["frechet_distance"]["value"] == pytest.approx(
        float(column[best - 1]), rel=1e-4
    )
    assert (run / "losses.png").is_file()


def test_training_stops_when_the_score_gets_no_better_and_stays_stopped(tmp_path, capsys):
    run = tmp_path / "run"
    options = [
        *WATCHED[1:],
        "train.evaluate_every=1",
        "train.patience=2",
        "train.epochs=50",
        "train.sample_every=20",
        "model.learning_rate=0",
        "model.ema_decay=0.5",
    ]
    result = train(
        "gan_tiny", *options, run_dir=run
    )  # it learns nothing, so the first epoch stays the best
    assert result["epochs"] == 3 and result["best_epoch"] == 1
    assert [path.name for path in (run / "samples").iterdir()] == ["epoch_0003.png"]
    again = train(run)
    assert again["epochs"] == 3 and again["weights_sha256"] == result["weights_sha256"]
    assert "stopped early after epoch 3" in capsys.readouterr().err
    assert train(run, "train.patience=3")["epochs"] == 4


def test_evaluation_does_not_touch_training(tmp_path):
    watched = train("dcgan_tiny", *WATCHED, "train.epochs=2", run_dir=tmp_path / "a")
    plain = train("dcgan_tiny", "train.epochs=2", "train.steps_per_epoch=4", run_dir=tmp_path / "b")
    assert watched["weights_sha256"] == plain["weights_sha256"]


def test_an_interrupted_run_keeps_its_best(tmp_path):
    whole = train("dcgan_tiny", *WATCHED, "train.epochs=4", run_dir=tmp_path / "whole")
    train("dcgan_tiny", *WATCHED, "train.epochs=2", run_dir=tmp_path / "parts")
    parts = train(tmp_path / "parts", "train.epochs=4")
    assert parts["best_epoch"] == whole["best_epoch"]
    assert (
        load(tmp_path / "parts/best").weights_sha256()
        == load(tmp_path / "whole/best").weights_sha256()
    )


@pytest.mark.parametrize(
    "wrong, reason",
    [
        (["train.best=frechet_distance"], "needs train.evaluate_every"),
        (["train.best=frechet", "train.evaluate_every=1"], "did you mean frechet_distance"),
        (["train.patience=2"], "needs train.best"),
        (["train.evaluate_every=1", "train.evaluate_metrics=fid"], "did you mean kid"),
        (["train.evaluate_every=1", "train.best=nll"], "score must be one of frechet_distance"),
        (
            [
                "train.evaluate_every=1",
                "train.evaluate_metrics=label_accuracy",
                "train.best=label_accuracy",
            ],
            "conditional models",
        ),
    ],
)
def test_wrong_settings_are_refused_before_training(tmp_path, wrong, reason):
    with pytest.raises(UserError, match=reason):
        train("dcgan_tiny", *wrong, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_best_epoch():
    rows = [{"epoch": str(i), "s": value} for i, value in enumerate(["3", "", "1", "1", "2"], 1)]
    assert best_epoch(rows, "s", lower=True) == (3, 2)
    assert best_epoch(rows, "s", lower=False) == (1, 3)
    assert best_epoch(rows, "t", lower=True) == (None, 0)


def test_an_image_has_one_binarisation_whichever_are_chosen():
    def seen(seed):
        class Model:
            classes = 0
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
            likelihood_metric(evaluator, Model())
        finally:
            tf.config.run_functions_eagerly(False)
        return dict(zip(evaluator.chosen.tolist(), np.concatenate(images), strict=True))

    one, two = seen(0), seen(1)
    both = one.keys() & two.keys()
    assert len(both) > 50
    static = load_images(dataclasses.replace(DIGITS, binarize="static"), 16, 1).images
    for i in both:
        np.testing.assert_array_equal(one[i], two[i])
        np.testing.assert_array_equal(one[i], static[i] / 255)


def test_a_conditional_vae_is_measured_with_its_labels(monkeypatch):
    """The labels of every batch are its own: with labels of other images reconstructions get worse."""
    model = make("vae_tiny", "model.classes=10", "model.learning_rate=0.01", "model.hidden=32")
    embedded = load_images(DIGITS, 16, 1)
    model.fit(
        transforms.to_float(embedded.images), embedded.labels, batch_size=64, epochs=6, verbose=0
    )
    evaluator = GenerationEvaluator(DIGITS, 16, 1, samples=200, importance_samples=5)
    whole = evaluator.measure(model, ["reconstruction", "likelihood"])
    monkeypatch.setattr(generation, "BATCH_SIZE", 33)
    parts = evaluator.measure(model, ["reconstruction", "likelihood"])
    for name in whole:
        assert parts[name].value == pytest.approx(whole[name].value, rel=1e-4), name
    evaluator.reference.labels = np.roll(evaluator.reference.labels, 33)
    wrong = evaluator.measure(model, ["reconstruction", "likelihood"])
    assert wrong["nll"].value > whole["nll"].value + 0.1
    assert wrong["psnr"].value < whole["psnr"].value


def test_reconstructions_of_worse_models_score_worse(evaluator):
    class Noisy(Fixed):
        def __init__(self, amount):
            self.amount = amount

        def reconstruct(self, images, labels=None):
            noise = np.random.default_rng(len(images)).normal(0, self.amount, images.shape)
            return np.clip(images + noise, 0, 255).astype(np.uint8)

    perfect, little, much = (
        evaluator.measure(Noisy(amount), ["reconstruction"]) for amount in (0, 10, 50)
    )
    assert perfect["psnr"].value == 100 and perfect["ssim"].value == pytest.approx(1)
    for name in ("psnr", "ssim"):
        assert perfect[name].value > little[name].value > much[name].value


def test_labels_of_other_classes_are_not_read(tmp_path):
    image = keras.Input((28, 28, 1))
    flat = keras.layers.Flatten()(image)
    keras.Model(image, [flat, keras.layers.Dense(12)(flat)]).save(tmp_path / "other.keras")
    evaluator = GenerationEvaluator(
        DIGITS, 32, 1, samples=100, network=str(tmp_path / "other.keras")
    )
    conditional = make("cgan_tiny", "model.image_size=32")
    assert evaluator.names(conditional) == [
        "frechet",
        "kid",
        "classifier_score",
        "precision_recall",
        "memorisation",
    ]


def test_inception_that_is_not_at_hand_is_a_plain_error(monkeypatch):
    def fail(**options):
        raise OSError("URL fetch failure")

    monkeypatch.setattr(keras.applications, "InceptionV3", fail)
    with pytest.raises(
        UserError, match="could not be downloaded by Keras.*received: URL fetch failure"
    ):
        load_metric_network("inception")


def test_a_model_of_the_test_images_is_not_measured_on_them():
    with pytest.raises(UserError, match="received data.split='test'"):
        GenerationEvaluator(DataConfig(dataset="mnist", split="test"), 28, 1)


def test_results_with_other_settings_do_not_share_a_file(tmp_path):
    train("vae_tiny", "train.epochs=1", run_dir=tmp_path / "run")
    for options in ({"importance_samples": 2}, {"importance_samples": 3}):
        evaluate(tmp_path / "run", samples=50, metrics=["likelihood"], **options)
    evaluate(
        tmp_path / "run",
        "data.limit=1000",
        samples=50,
        metrics=["likelihood"],
        importance_samples=3,
    )
    evaluate(
        tmp_path / "run",
        "data.binarize_seed=1",
        samples=50,
        metrics=["likelihood"],
        importance_samples=3,
    )
    assert len(list((tmp_path / "run/evaluation").glob("*.json"))) == 4
