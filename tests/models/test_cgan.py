"""Test how the networks of CGAN take the condition."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import arrays, fit, images, make

from tfgan_zoo import presets
from tfgan_zoo.errors import UserError
from tfgan_zoo.models.cgan import CGANConfig
from tfgan_zoo.saving.exported import load_exported
from tfgan_zoo.saving.saved_model import save_signatures

CONDITIONS = ("plane", "projection", "auxiliary")


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_trains_both_networks(condition):
    model = make("cgan_tiny", f"model.discriminator_condition={condition}")
    before = {name: [w.numpy() for w in ws] for name, ws in model.player_variables().items()}
    losses = fit(model, steps=2)
    assert np.isfinite([values[0] for values in losses.values()]).all()
    for name, weights in model.player_variables().items():
        assert all((w.numpy() != old).any() for w, old in zip(weights, before[name], strict=True))


@pytest.mark.parametrize("condition", CONDITIONS)
def test_only_an_auxiliary_discriminator_ignores_the_condition(condition):
    model = make("cgan_tiny", f"model.discriminator_condition={condition}")
    x = tf.constant(images(model, 4))
    logits = [
        model.discriminate(x, tf.one_hot([label] * 4, 10), stream="real", training=False)
        for label in (1, 2)
    ]
    assert logits[0].shape == (4, 1)
    assert np.allclose(*logits) == (condition == "auxiliary")


def test_losses_of_the_auxiliary_classifier_by_hand():
    options = ("model.discriminator_condition=auxiliary", "model.classification_weight=0.25")
    model = make("cgan_tiny", *options)
    x, labels = arrays(model, 8)
    y = tf.one_hot(labels, 10)
    losses = model.compute_losses((tf.constant(x), y), training=False)

    def softmax_error(output):
        logits = np.asarray(output, np.float64)[:, 1:]
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        return -np.log(probabilities[np.arange(8), labels]).mean()

    def cross_entropy(output, target):  # of the logit in the first column
        probability = 1 / (1 + np.exp(-np.asarray(output, np.float64)[:, 0]))
        return -np.log(probability if target else 1 - probability).mean()

    z = model.noise((8, model.config.latent_dim), stream="z")
    real = model.discriminator(x, training=False)
    fake = model.discriminator(model.generator((z, y), training=False), training=False)
    expected = {
        "discriminator": cross_entropy(real, 1)
        + cross_entropy(fake, 0)
        + 0.25 * softmax_error(real),
        "generator": cross_entropy(fake, 1) + 0.25 * softmax_error(fake),
        "real_class_error": softmax_error(real),
        "fake_class_error": softmax_error(fake),
    }
    for name, value in expected.items():
        assert float(losses[name]) == pytest.approx(value, rel=1e-4), name


def test_the_classifier_learns_the_classes():
    """Images of one gray level per class."""
    model = make(
        "cgan_tiny",
        *("model.discriminator_condition=auxiliary", "model.classes=2"),
        *("model.classification_weight=10", "model.learning_rate=0.002"),
    )
    labels = np.arange(64) % 2
    gray = np.where(labels, 0.8, -0.8).astype(np.float32)
    x = np.broadcast_to(gray[:, None, None, None], (64, 16, 16, 1))
    data = tf.data.Dataset.from_tensor_slices((x, labels)).batch(16).repeat()
    history = model.fit(data, steps_per_epoch=40, epochs=2, shuffle=False, verbose=0).history
    first, last = history["real_class_error"]
    assert last < 0.5 * first
    samples = model.sample(8, seed=0, labels=[0, 1]).astype(float).mean((1, 2, 3))
    assert samples[1::2].mean() > samples[::2].mean() + 20  # generated classes differ as they do


@pytest.mark.parametrize(
    "change, message",
    [
        ({"discriminator_condition": "plan"}, r"Did you mean plane\?"),
        (
            {"discriminator_condition": "auxiliary", "condition": "vector"},
            "auxiliary needs one class per image",
        ),
        ({"classification_weight": -1.0}, "classification_weight must be between 0 and"),
    ],
)
def test_invalid_configurations_raise_an_error(change, message):
    with pytest.raises(UserError, match=message):
        CGANConfig(**change)


def test_an_auxiliary_discriminator_is_saved(tmp_path):
    model = make("cgan_tiny", "model.discriminator_condition=auxiliary")
    fit(model, steps=1)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.weights_sha256() == model.weights_sha256()


def test_a_model_with_clusters_is_rebuilt_from_its_float16_export(tmp_path):
    """Its `sample` also reads the sizes of the clusters, which are integers."""
    model = make("cgan_tiny", "model.condition=cluster")
    model.set_cluster_sizes(np.arange(40) % 10)
    save_signatures(model, tmp_path, compact=True)
    exported = load_exported(tmp_path)
    experiment = presets.experiment("cgan_tiny", "model.condition=cluster")
    (tmp_path / "experiment.json").write_text(experiment.to_json())
    rebuilt = exported.zoo_model
    np.testing.assert_array_equal(rebuilt.cluster_sizes.numpy(), [4] * 10)
    np.testing.assert_allclose(
        rebuilt.sample(4, seed=0).astype(int), model.sample(4, seed=0), atol=1
    )
