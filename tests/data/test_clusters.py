"""Clusters of images as labels: k-means, the data option, and models that draw clusters."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import make
from PIL import Image

from tfgan_zoo import presets
from tfgan_zoo.config import DataConfig
from tfgan_zoo.data.clusters import ImageClusters
from tfgan_zoo.data.datasets import load_images
from tfgan_zoo.errors import UserError
from tfgan_zoo.evaluation import evaluator_for
from tfgan_zoo.inference.latent_walk import latent_walk
from tfgan_zoo.models.latent import draw_clusters
from tfgan_zoo.saving.exported import load
from tfgan_zoo.training.prepare import describe, prepare
from tfgan_zoo.training.train import train

CLUSTERS = ["data.clusters=7", "model.classes=7", "model.condition=cluster"]


def noisy_images(count, seed=0):
    """Return `count` noisy copies of three patterns, and the number of each image's pattern."""
    rng = np.random.default_rng(seed)
    patterns = np.random.default_rng(9).integers(50, 200, (3, 6, 5, 1))
    kinds = rng.integers(0, 3, count)
    return (patterns[kinds] + rng.integers(-9, 10, (count, 6, 5, 1))).astype(np.uint8), kinds


def test_clusters_are_groups_of_similar_images():
    images, kinds = noisy_images(90)
    clusters = ImageClusters(images, 3)
    labels = clusters.labels(images)
    assert labels.dtype == np.int64
    assert len({*zip(labels.tolist(), kinds.tolist(), strict=True)}) == 3  # one kind per cluster
    np.testing.assert_array_equal(ImageClusters(images, 3).labels(images), labels)
    new_images, new_kinds = noisy_images(30, seed=1)
    number = {kind: labels[kinds == kind][0] for kind in range(3)}
    assert clusters.labels(new_images).tolist() == [number[kind] for kind in new_kinds]


def test_there_are_enough_different_images():
    images, _ = noisy_images(8)
    with pytest.raises(UserError, match="most the number of images, which is 8, got 9"):
        ImageClusters(images, 9)
    with pytest.raises(UserError, match="different images, of which there are about 2, got 3"):
        ImageClusters(images[[0, 0, 0, 1, 1]], 3)


def test_clusters_replace_the_labels_of_a_dataset():
    digits = load_images(DataConfig("digits", limit=600), 16, 1)
    data = load_images(DataConfig("digits", limit=600, clusters=30), 16, 1)
    assert data.description == "digits: 600 images, 30 clusters, 16x16x1, in memory"
    assert data.classes == [] and data.sha256() != digits.sha256()
    assert np.bincount(data.labels).shape == (30,)
    of_most = [np.bincount(digits.labels[data.labels == i]).max() for i in range(30)]
    assert sum(of_most) / 600 > 0.75  # measured 0.94


def test_other_splits_get_the_clusters_of_the_training_images(tmp_path):
    levels = {"train": [0, 0, 100, 200, 200], "test": [200, 95, 5]}
    for split, grays in levels.items():
        (tmp_path / split).mkdir()
        for i, gray in enumerate(grays):
            image = Image.fromarray(np.full((8, 8), gray, np.uint8))
            image.save(tmp_path / split / f"{i}.png")
    dark, _, middle, light, _ = load_images(
        DataConfig("folder", path=str(tmp_path), clusters=3), 8, 1
    ).labels
    test = load_images(DataConfig("folder", path=str(tmp_path), clusters=3, split="test"), 8, 1)
    assert test.labels.tolist() == [light, middle, dark]
    with pytest.raises(UserError, match="data.clusters needs the images in memory"):
        load_images(DataConfig("folder", path=str(tmp_path), clusters=3, cache_gb=0.0), 8, 1)


@pytest.mark.parametrize(
    ("preset", "overrides", "message"),
    [
        ("cgan_tiny", ["data.clusters=7"], "data.clusters needs a conditional model"),
        ("gan_tiny", ["data.clusters=7"], "got data.clusters=7 with GAN"),
        ("cgan_tiny", CLUSTERS[1:], "model.classes=7 needs data.clusters=7, got data.clusters=0"),
        ("cgan_tiny", [*CLUSTERS[1:], "data.clusters=8"], "needs data.clusters=7, got .*=8"),
        ("vae_tiny", ["model.condition=cluster"], "condition=cluster needs classes"),
    ],
)
def test_settings_that_do_not_fit_raise_an_error(preset, overrides, message):
    with pytest.raises(UserError, match=message):
        describe(preset, *overrides)


def test_clusters_are_drawn_by_their_share():
    draws = draw_clusters(np.array([0, 30, 10, 0]), 8000, seed=3).numpy()
    counts = np.bincount(draws, minlength=4)
    assert counts[0] == counts[3] == 0
    assert abs(counts[1] - 6000) < 5 * np.sqrt(8000 * 0.75 * 0.25)  # five standard deviations
    np.testing.assert_array_equal(draw_clusters(np.array([0, 30, 10, 0]), 8000, seed=3), draws)
    assert (draw_clusters(np.array([0, 30, 10, 0]), 8000, seed=4).numpy() != draws).any()


def test_a_clustered_model_generates_like_an_unconditional_one(tmp_path):
    """The shares of the clusters are part of the run, the SavedModel and the Keras file."""
    short = ["train.epochs=1", "data.limit=64"]
    run = tmp_path / "run"
    result = train("cgan_tiny", *CLUSTERS, *short, run_dir=run)
    assert result["data"] == "digits: 64 images, 7 clusters, 16x16x1, in memory"
    assert "class_names" not in result
    labels = load_images(DataConfig("digits", limit=64, clusters=7), 16, 1).labels
    model, exported = load(run), load(run / "saved_model")
    np.testing.assert_array_equal(model.cluster_sizes.numpy(), np.bincount(labels))
    keras_model = keras.models.load_model(run / "model.keras")
    drawn = model.default_labels(50, seed=5).numpy()
    assert len(np.unique(drawn)) > 3
    for copy in (model, exported, keras_model):
        assert copy.clustered
        np.testing.assert_array_equal(copy.default_labels(50, seed=5), drawn)
        images = copy.sample(50, seed=5).astype(int)
        assert np.abs(images - model.sample(50, seed=5, labels=drawn)).max() <= 1
        walk = latent_walk(copy, rows=3, steps=4, seed=2)
        assert walk.shape == (12, 16, 16, 1)
    outputs = exported.signatures["sample"](n=tf.constant(50), seed=tf.constant(5))["images"]
    assert np.abs(outputs.numpy().astype(int) - model.sample(50, seed=5)).max() <= 1
    three = exported.sample(4, labels=[3]).astype(int)
    assert np.abs(three - model.sample(4, labels=[3])).max() <= 1
    card = (run / "saved_model" / "README.md").read_text()
    assert "one of 7 k-means clusters of the training images" in card
    assert "unconditional-image-generation" in card
    assert "clusters" in json.loads((run / "experiment.json").read_text())["data"]

    # Evaluation: the labels are not digits.
    evaluator = evaluator_for(presets.experiment("cgan_tiny", *CLUSTERS), exported, samples=60)
    names = evaluator.names(exported)
    assert "label_accuracy" not in names and {"classifier_score", "class_kl"} < set(names)
    with pytest.raises(UserError, match="label_accuracy needs a conditional model, with classes"):
        evaluator.names(exported, ["label_accuracy"])
    np.testing.assert_array_equal(evaluator.labels(exported), exported.default_labels(60, seed=0))
    scores = evaluator.measure(exported, ["classifier_score", "class_kl"])
    assert 1 <= scores["classifier_score"].value <= 10


def test_a_clustered_vae_reconstructs_with_the_cluster_of_each_image():
    experiment = presets.experiment("vae_tiny", *CLUSTERS, "data.limit=120")
    prepared = prepare(experiment)
    model = make("vae_tiny", *CLUSTERS[1:])
    model.set_cluster_sizes(prepared.data.labels)
    evaluator = evaluator_for(experiment, model, samples=60)
    labels = evaluator.reference_labels(model)
    np.testing.assert_array_equal(labels, prepared.data.labels[evaluator.reference_index])
    assert evaluator.measure(model, ["psnr"])["psnr"].value > 0
    # Other training images have other clusters.
    fewer = evaluator_for(experiment.override("data.limit=110"), model, samples=60)
    with pytest.raises(UserError, match="the clusters of the model belong to its training images"):
        fewer.reference_labels(model)
