"""Models with a latent code: labels as conditions, samples and latent interpolation."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import fit, make

from tfgan_zoo.errors import UserError
from tfgan_zoo.inference.latent_walk import (
    check_encoder,
    interpolate,
    latent_walk,
    manifold,
    reconstruction_grid,
    traverse,
)
from tfgan_zoo.models.cgan import CGAN, CGANConfig
from tfgan_zoo.models.vae import VAE, VAEConfig
from tfgan_zoo.saving.exported import load_exported
from tfgan_zoo.saving.saved_model import save_signatures


@pytest.fixture(scope="module")
def cgan():
    model = make("cgan_tiny", "model.learning_rate=0.01")
    fit(model, steps=10)
    return model


@pytest.fixture(scope="module")
def saved(cgan, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    save_signatures(cgan, folder / "model")
    return load_exported(folder / "model")


def test_labels_change_the_image_and_are_repeated_in_turn(cgan):
    z = np.repeat(cgan.latent(1, 0), 3, axis=0)
    images = cgan.generate(z, [3, 8, 3])
    np.testing.assert_array_equal(images[0], images[2])
    assert not np.array_equal(images[0], images[1])
    np.testing.assert_array_equal(
        cgan.sample(5, 1, labels=[3, 8]), cgan.generate(cgan.latent(5, 1), [3, 8, 3, 8, 3])
    )
    np.testing.assert_array_equal(
        cgan.sample(12, 1), cgan.generate(cgan.latent(12, 1), [*range(10), 0, 1])
    )


def test_a_one_hot_vector_equals_its_label(cgan):
    z = cgan.latent(2, 0)
    np.testing.assert_array_equal(
        cgan.generate(z, [3, 8]), cgan.generate(z, np.eye(10, dtype="float32")[[3, 8]])
    )


@pytest.mark.parametrize("labels", [[10, 0], [-1, 0], [1], np.zeros((2, 9), "float32")])
def test_unsuitable_labels_raise_an_error(cgan, saved, labels):
    for model in (cgan, saved):
        with pytest.raises(UserError, match="labels must be|label vectors must be"):
            model.generate(model.latent(2, 0), labels)


def test_an_unconditional_model_takes_no_labels():
    with pytest.raises(UserError, match="not conditional"):
        make("gan_tiny").sample(2, labels=[1])


def test_a_conditional_model_needs_labels_to_train():
    with pytest.raises(ValueError, match=r"needs batches \(images, labels\)"):
        make("cgan_tiny").fit(
            tf.data.Dataset.from_tensors(np.zeros((4, 16, 16, 1), "float32")),
            verbose=0,
            shuffle=False,
        )


def test_exported_conditional_model_agrees(cgan, saved):
    assert saved.classes == 10 and saved.image_shape == (16, 16, 1)
    for labels in ([1, 2, 3], np.full((3, 10), 0.1, "float32")):
        difference = cgan.generate(cgan.latent(3, 0), labels).astype(int) - saved.generate(
            saved.latent(3, 0), labels
        )
        assert np.abs(difference).max() <= 1
    raw = saved.signatures["sample"](
        n=tf.constant(5), seed=tf.constant(2), labels=tf.constant([7, 1])
    )["images"]
    assert np.abs(raw.numpy().astype(int) - cgan.sample(5, 2, labels=[7, 1])).max() <= 1


@pytest.mark.parametrize("kind, config", [(CGAN, CGANConfig), (VAE, VAEConfig)])
def test_vectors_as_conditions_train_and_export(kind, config, tmp_path):
    """Multi-hot attributes instead of labels."""
    model = kind(
        config(image_size=16, channels=1, latent_dim=4, width=2, classes=6, condition="vector")
    )
    model.compile(xla="off")
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (16, 16, 16, 1)).astype("float32")
    y = rng.integers(0, 2, (16, 6)).astype("float32")
    history = model.fit(x, y, batch_size=8, verbose=0).history
    assert np.isfinite(list(history.values())).all()
    save_signatures(model, tmp_path / "saved")
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    images = loaded.signatures["sample"](
        n=tf.constant(4), seed=tf.constant(0), labels=tf.constant(y[:2])
    )["images"]
    assert np.abs(images.numpy().astype(int) - model.sample(4, 0, labels=y[:2])).max() <= 1


def test_spherical_interpolation_keeps_the_length_and_the_ends():
    ends = np.random.default_rng(0).normal(size=(6, 50))
    ends /= np.linalg.norm(ends, axis=1, keepdims=True) / 7
    for path in ("spherical", "linear"):
        walk = interpolate(ends, 9, path).reshape(3, 9, 50)
        np.testing.assert_allclose(walk[:, 0], ends[:3], atol=1e-5)
        np.testing.assert_allclose(walk[:, -1], ends[3:], atol=1e-5)
        middle = np.linalg.norm(walk[:, 4], axis=1)
        assert np.all(abs(middle - 7) < 1e-4) if path == "spherical" else np.all(middle < 6.5)


def test_spherical_interpolation_of_opposite_or_equal_codes_is_finite():
    for last in (-2.0, 2.0):
        walk = interpolate(np.array([[1.0], [last]]), 5, "spherical")
        np.testing.assert_allclose(walk[:, 0], np.linspace(1, last, 5), atol=1e-6)


def test_unknown_labels_become_nan_and_wrong_shapes_raise_an_error(cgan):
    condition = cgan.condition_tensor(tf.constant([3, 10, -1])).numpy()
    np.testing.assert_array_equal(condition[0], np.eye(10)[3])
    assert np.isnan(condition[1:]).all()
    vector = make("cgan_tiny", "model.condition=vector", "model.classes=3")
    np.testing.assert_array_equal(
        vector.condition_tensor(tf.constant([[1, 0, 1]])), [[1.0, 0.0, 1.0]]
    )
    np.testing.assert_array_equal(vector.condition([[1, 0, 1]], 1)[0], [[1.0, 0.0, 1.0]])
    for model, wrong in (
        (vector, tf.constant([1, 2])),
        (vector, tf.ones((2, 4))),
        (cgan, tf.ones((2, 10))),
    ):
        with pytest.raises(UserError, match="labels must be"):
            model.condition_tensor(wrong)


def test_interpolation_between_two_classes_at_fixed_z(cgan, saved):
    images = latent_walk(cgan, rows=2, steps=5, seed=3, labels=[1, 7])
    z = cgan.latent(2, 3)
    np.testing.assert_array_equal(images[[0, 5]], cgan.generate(z, [1, 1]))
    np.testing.assert_array_equal(images[[4, 9]], cgan.generate(z, [7, 7]))
    assert (
        np.abs(
            images.astype(int) - latent_walk(saved, rows=2, steps=5, seed=3, labels=[1, 7])
        ).max()
        <= 1
    )


def test_every_row_of_an_interpolation_has_its_own_class(cgan):
    images = latent_walk(cgan, rows=3, steps=2, seed=0)
    ends = cgan.latent(6, 0)
    np.testing.assert_array_equal(images[::2], cgan.generate(ends[:3], [0, 1, 2]))
    one = latent_walk(cgan, rows=3, steps=2, seed=0, labels=[4])
    np.testing.assert_array_equal(one[::2], cgan.generate(ends[:3], [4, 4, 4]))


def test_traversal_changes_one_dimension_per_row():
    model = make("vae_tiny")
    z = traverse(model, 4, 7, 0, None).reshape(4, 7, 8)
    for row in z:
        moving = np.ptp(row, axis=0) > 0
        assert moving.sum() == 1
        np.testing.assert_allclose(row[:, moving][:, 0], np.linspace(-3, 3, 7), atol=1e-6)
    assert len({int(np.flatnonzero(np.ptp(row, axis=0))[0]) for row in z}) == 4
    with pytest.raises(UserError, match="8 dimensions"):
        latent_walk(model, "traversal", rows=9)


def test_manifold_is_a_grid_of_quantiles():
    flat = make("vae_tiny", "model.latent_dim=2")
    z, rows, columns = manifold(flat, 5)
    assert (rows, columns) == (5, 5)
    np.testing.assert_allclose(z[12], [0, 0], atol=1e-6)
    np.testing.assert_allclose(z[0], [-2.0537, 2.0537], atol=1e-3)  # the 2 % and 98 % quantiles
    assert latent_walk(flat, "manifold", steps=5).shape == (25, 16, 16, 1)
    with pytest.raises(UserError, match="2 dimensions"):
        latent_walk(make("vae_tiny"), "manifold")


def test_unsuitable_labels_of_an_interpolation_raise_an_error():
    model = make("gan_tiny")
    for labels in ([1], [1, 2], [1, 2, 3]):
        with pytest.raises(UserError, match="label"):
            latent_walk(model, labels=labels)
    with pytest.raises(UserError, match="a traversal takes one label"):
        latent_walk(make("cgan_tiny"), "traversal", labels=[1, 2])


def test_reconstructions_are_below_their_originals():
    model = make("vae_tiny")
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 1)).astype(np.uint8)
    grid = reconstruction_grid(model, images, columns=3)
    reconstructions = model.reconstruct(images)
    np.testing.assert_array_equal(grid[:3], images[:3])
    np.testing.assert_array_equal(grid[3:6], reconstructions[:3])
    np.testing.assert_array_equal(grid[6:8], images[3:])
    np.testing.assert_array_equal(grid[9:11], reconstructions[3:])
    assert np.all(grid[[8, 11]] == 255)
    with pytest.raises(UserError, match="needs an autoencoder such as vae_mnist, got 'gan_tiny'"):
        check_encoder(make("gan_tiny"), "gan_tiny")


def test_codes_of_another_size_raise_an_error(cgan, saved):
    for model in (cgan, saved):
        for z in (
            np.zeros((4, 3)),
            np.zeros((0, cgan.config.latent_dim)),
            np.zeros(cgan.config.latent_dim),
        ):
            with pytest.raises(UserError, match=r"codes z must be float32 \(n, \d+\) with n > 0"):
                model.generate(z)
