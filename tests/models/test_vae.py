"""VAE: likelihoods by hand, options, and the likelihood estimate of a model with a known one."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from helpers import fit, images, make

from tfgan_zoo import losses
from tfgan_zoo.data.transforms import to_uint8
from tfgan_zoo.errors import UserError
from tfgan_zoo.metrics import likelihood
from tfgan_zoo.models.latent import network_inputs
from tfgan_zoo.models.vae import VAE, VAEConfig, active_units


def test_bernoulli_likelihood_by_hand():
    """Pixels 1, 0, 1 with probabilities .8, .3, .5: log(.8 * .7 * .5)."""
    p = np.array([[0.8, 0.3, 0.5]])
    value = losses.bernoulli_log_likelihood(np.array([[1.0, 0.0, 1.0]]), np.log(p / (1 - p)))
    np.testing.assert_allclose(value, [np.log(0.8 * 0.7 * 0.5)], rtol=1e-6)
    assert np.isfinite(
        losses.bernoulli_log_likelihood(np.ones((1, 2)), np.full((1, 2), -200.0))
    ).all()


def test_gaussian_likelihood_is_scipys():
    x, mean = np.random.default_rng(0).normal(size=(2, 3, 4, 4, 1))
    expected = scipy.stats.norm(mean, 0.3).logpdf(x).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(
        losses.gaussian_log_likelihood(x, mean, [np.log(0.3)]), expected, rtol=1e-5
    )


def test_gaussian_kl_by_hand_and_by_sampling():
    np.testing.assert_allclose(
        losses.gaussian_kl([[1.0, 0.0]], [[0.0, np.log(4.0)]]),
        [[0.5, 0.5 * (4 - 1 - np.log(4))]],
        rtol=1e-6,
    )
    mean, log_variance = 0.7, -1.2
    z = np.random.default_rng(0).normal(mean, np.exp(log_variance / 2), 400_000)
    sampled = np.mean(
        scipy.stats.norm(mean, np.exp(log_variance / 2)).logpdf(z) - scipy.stats.norm().logpdf(z)
    )
    assert float(losses.gaussian_kl(mean, log_variance)) == pytest.approx(sampled, abs=0.005)


@pytest.mark.parametrize("samples", [1, 5])
def test_likelihood_of_a_linear_gaussian_model_is_the_exact_one(samples):
    """For x = W z + s noise, p(x) = N(0, W W' + s^2 I).

    With the true posterior as q, every importance weight is p(x).
    """
    rng = np.random.default_rng(0)
    s, lengths = 0.5, np.array([3.0, 2.0, 0.5])
    # Orthogonal columns, so that the true posterior is diagonal.
    w = np.linalg.qr(rng.normal(size=(256, 3)))[0] * lengths
    variance = 1 / (1 + lengths**2 / s**2)
    model = VAE(
        VAEConfig(image_size=16, channels=1, latent_dim=3, width=2, likelihood="gaussian", sigma=s)
    )

    class Encoder:
        def __call__(self, x, training=False):
            mean = tf.reshape(x, (-1, 256)) @ tf.constant(w * variance / s**2, tf.float32)
            return mean, tf.ones_like(mean) * tf.constant(np.log(variance), tf.float32)

    class Decoder:
        def __call__(self, z, training=False):
            return [
                tf.reshape(z @ tf.constant(w.T, tf.float32), (-1, 16, 16, 1)),
                tf.constant([np.log(s)], tf.float32),
            ]

    x = rng.normal(size=(4, 3)) @ w.T + s * rng.normal(size=(4, 256))
    x = x.reshape(4, 16, 16, 1).astype("float32")
    noise = rng.normal(size=(samples, 4, 3)).astype("float32")
    densities = VAE.densities(
        Stub(model, Encoder(), Decoder()), tf.constant(x), [], tf.constant(noise)
    )
    log_likelihood, log_ratio, kl, mean = (part.numpy() for part in densities)
    exact = scipy.stats.multivariate_normal(np.zeros(256), w @ w.T + s**2 * np.eye(256)).logpdf(
        x.reshape(4, 256)
    )
    np.testing.assert_allclose(
        likelihood.importance_weighted_nll(log_likelihood + log_ratio), -exact, rtol=1e-4
    )
    assert kl.shape == mean.shape == (4, 3)


class Stub:
    """The likelihood code of a VAE with other networks."""

    def __init__(self, model, encoder, decoder):
        self.config, self.encoder, self.decoder = model.config, encoder, decoder
        self.log_likelihood, self.decode = model.log_likelihood, decoder


def test_nll_is_below_the_negative_elbo():
    model = make("vae_tiny")
    x = (images(model, 8) > 0).astype("float32")
    noise = np.random.default_rng(0).normal(size=(50, 8, 8)).astype("float32")
    log_likelihood, log_ratio, kl, _ = (
        part.numpy() for part in model.densities(tf.constant(x), [], tf.constant(noise))
    )
    elbo = log_likelihood.mean(axis=0) - kl.sum(axis=1)
    assert np.all(likelihood.importance_weighted_nll(log_likelihood + log_ratio) < -elbo + 0.05)


def test_loss_is_the_negative_elbo_and_the_elbo_is_its_sum():
    history = {name: value[0] for name, value in fit(make("vae_tiny"), steps=1).items()}
    assert history["elbo"] == pytest.approx(-history["reconstruction"] - history["kl"], rel=1e-5)
    assert history["vae"] == pytest.approx(-history["elbo"], rel=1e-5)


def first_losses(*overrides):
    return {name: value[0] for name, value in fit(make("vae_tiny", *overrides), steps=1).items()}


def test_options_change_the_loss():
    plain = first_losses()
    beta = first_losses("model.kl_weight=4")
    assert beta["vae"] == pytest.approx(plain["reconstruction"] + 4 * plain["kl"], rel=1e-5)
    warmup = first_losses("model.kl_warmup=10")
    assert warmup["vae"] == pytest.approx(plain["reconstruction"], rel=1e-5)  # weight 0 at step 0
    bits = first_losses("model.free_bits=100")
    assert bits["vae"] == pytest.approx(plain["reconstruction"] + 8 * 100, rel=1e-5)
    assert bits["kl"] == pytest.approx(plain["kl"], rel=1e-5)


def test_kl_weight_grows_linearly_and_stays():
    model = make("vae_tiny", "model.kl_warmup=4", "model.kl_weight=0.5")
    weights = []
    for step in (0, 1, 2, 4, 9):
        model.step.assign(step)
        weights.append(float(model.kl_weight()))
    assert weights == pytest.approx([0, 0.125, 0.25, 0.5, 0.5])


def test_learned_sigma_changes_and_a_fixed_one_does_not():
    learned = make("vae_tiny", "model.likelihood=gaussian")
    fixed = make("vae_tiny", "model.likelihood=gaussian", "model.sigma=0.1")
    for model, start in ((learned, np.log(0.5)), (fixed, np.log(0.1))):
        scale = model.decoder.get_layer("log_sigma")
        assert float(scale.weight[0]) == pytest.approx(start)
        fit(model)
        assert (float(scale.weight[0]) == pytest.approx(start)) == (model is fixed)
    with pytest.raises(UserError, match="sigma must be 0 unless likelihood=gaussian"):
        VAEConfig(sigma=0.1)


@pytest.mark.slow
def test_learned_sigma_converges_to_the_deviation_of_the_residuals():
    model = VAE(
        VAEConfig(
            image_size=16,
            channels=1,
            latent_dim=2,
            width=2,
            hidden=4,
            likelihood="gaussian",
            learning_rate=0.03,
        )
    )
    model.compile(xla="off")
    noise = np.random.default_rng(0).normal(0, 0.1, (32, 16, 16, 1)).astype("float32")
    x = np.full((32, 16, 16, 1), 0.2, "float32") + noise
    model.fit(x, batch_size=32, epochs=400, verbose=0)
    sigma = float(np.exp(model.decoder.get_layer("log_sigma").weight[0]))
    assert sigma == pytest.approx(0.05, rel=0.15)  # 0.1 in [-1, 1] is 0.05 in [0, 1]


def test_decay_follows_a_cosine_to_zero():
    model = make("vae_tiny", "model.decay_steps=8")
    rates = []
    for _ in range(2):
        fit(model, steps=4)
        rates.append(float(model.vae_optimizer.learning_rate))
    assert rates == pytest.approx([0.5e-3, 0.0], abs=1e-9)


def test_a_conditional_vae_reconstructs_with_labels():
    model = make("vae_tiny", "model.classes=10", "model.learning_rate=0.05")
    fit(model, steps=10)
    x = ((images(model, 4) + 1) * 127.5).astype("uint8")
    assert not np.array_equal(
        model.reconstruct(x, [1, 2, 3, 4]), model.reconstruct(x, [5, 6, 7, 8])
    )
    assert model.encode(x, [1, 2, 3, 4])[0].shape == (4, 8)


def test_encoding_depends_on_the_image_and_signatures_agree(tmp_path):
    from tfgan_zoo.saving.exported import load_exported
    from tfgan_zoo.saving.saved_model import save_signatures

    for classes in (0, 10):
        model = make("vae_tiny", f"model.classes={classes}")
        fit(model)
        labels = [1, 2, 3] if classes else None
        x = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1)).astype("uint8")
        folder = tmp_path / str(classes)
        save_signatures(model, folder)
        saved = load_exported(folder)
        assert {"serving_default", "sample", "encode", "decode", "reconstruct"} <= set(
            saved.signatures
        )
        for ours, theirs in zip(model.encode(x, labels), saved.encode(x, labels), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
        difference = model.reconstruct(x, labels).astype(int) - saved.reconstruct(x, labels)
        assert np.abs(difference).max() <= 1
        assert np.abs(np.diff(model.encode(x, labels)[0], axis=0)).max() > 1e-6


@pytest.mark.parametrize("classes", [0, 10])
def test_call_and_predict_reconstruct(classes):
    model = make("vae_tiny", f"model.classes={classes}")
    x = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 1), np.uint8)
    labels = [3, 1, 4, 1, 5] if classes else None
    inputs = network_inputs(x / np.float32(127.5) - 1, *model.condition(labels, 5))
    expected = model.reconstruct(x, labels)
    for result in (model(inputs).numpy(), model.predict(inputs, verbose=0)):
        assert result.dtype == np.float32
        np.testing.assert_array_equal(to_uint8(result), expected)
    if not classes:
        dataset = tf.data.Dataset.from_tensor_slices(inputs).batch(2)
        np.testing.assert_array_equal(to_uint8(model.predict(dataset, verbose=0)), expected)
        with pytest.raises(
            UserError, match=r"got codes of shape \(3, 8\): generate .*\.$"
        ) as error:
            model(tf.zeros((3, 8)))
        assert "\n" not in str(error.value)


def test_diagnose_posterior_collapse():
    model = make("vae_tiny")
    model.step.assign(500)
    assert not model.diagnose({"active_units": 3.0})
    advice = model.diagnose({"active_units": 0.4})["collapse"]
    assert "0.4 of 8 latent dimensions are active" in advice
    model.step.assign(10)
    assert not model.diagnose({"active_units": 0.4})
    mean = np.random.default_rng(0).normal(0, [1.0, 0.2, 0.05], (1000, 3)).astype("float32")
    assert float(active_units(mean)) == 2


@pytest.mark.parametrize("network", ["perceptron", "convolutional"])
def test_networks_and_sizes(network):
    config = VAEConfig(image_size=20, channels=3, latent_dim=5, network=network, width=2, hidden=7)
    model = VAE(config)
    assert model.generate_tensor(tf.zeros((2, 5))).shape == (2, 20, 20, 3)
    assert model(tf.zeros((2, 20, 20, 3))).shape == (2, 20, 20, 3)
    dense = [layer.units for layer in model.encoder.layers if isinstance(layer, keras.layers.Dense)]
    assert dense == [7, 5, 5]


def test_perceptron_is_the_reference_network():
    model = VAE(VAEConfig(network="perceptron"))
    counts = 784 * 400 + 400 + 2 * (400 * 40 + 40) + 40 * 400 + 400 + 400 * 784 + 784
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == counts == 676_864


def test_training_lowers_the_loss_on_real_digits():
    from tfgan_zoo.config import DataConfig
    from tfgan_zoo.data import pipeline
    from tfgan_zoo.data.datasets import load_images

    config = DataConfig(dataset="digits", binarize="resampled")
    model = make("vae_tiny", "model.learning_rate=0.01", "model.hidden=32")
    digits = load_images(config, 16, 1)
    batches = pipeline.batches(digits, config, 0, 64, steps_per_epoch=28)
    history = model.fit(batches, steps_per_epoch=28, epochs=8, verbose=0, shuffle=False).history
    assert history["elbo"][-1] > history["elbo"][0] + 30
