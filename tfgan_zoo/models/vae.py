"""VAE: image generation by an encoder and a decoder that maximize a bound on the likelihood.

Paper: Kingma, Welling, "Auto-Encoding Variational Bayes", 2013, arXiv 1312.6114.

    max  ELBO = E_q(z|x) log p(x|z) - KL(q(z|x) || p(z)) <= log p(x)
    p(z) = N(0, I),  q(z|x) = N(mean(x), diag variance(x))

Training step: draw z = mean + sigma * noise (reparameterization, section 2.4; L = 1 sample,
section 2.3). Minimize -ELBO with one step of Adam. The ELBO is summed over pixels and latent
dimensions and averaged over images.

Options from later papers: `kl_weight` (beta-VAE, Higgins et al. 2017), `kl_warmup` (Bowman et al.
2015), `free_bits` (Kingma et al. 2016, arXiv 1606.04934), and `classes`, a label as a condition of
both networks (Kingma et al. 2014, arXiv 1406.5298, model M2 with known labels).

Deviations from the paper:

- ReLU and 400 hidden units replace tanh and 500, as in the reference networks of later papers.
- Adam replaces Adagrad, because it needs less tuning.
- By default the networks are convolutional, with DCGAN's blocks (batch norm, LeakyReLU). They
  reach a higher likelihood. network=perceptron gives the paper's kind.
- likelihood=gaussian has one sigma for all pixels, learned or fixed. In the paper the decoder
  outputs one per pixel (appendix C.2).
- No weight decay. The paper has a prior N(0, I) on the weights (section 5).

Inside the model pixels x are in [0, 1]. A Bernoulli likelihood needs black and white pixels (see
`data.binarize`).

Presets: vae_mnist_perceptron (the reference network, 89.9 nats on test images), vae_mnist
(convolutional, 85.1 nats), vae_digits, vae_fashion_mnist.
"""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.data.transforms import to_float
from tfgan_zoo.errors import MAX_COUNT, MAX_FLOAT, UserError, check_choice, check_range
from tfgan_zoo.layers import LearnedScalar
from tfgan_zoo.losses import bernoulli_log_likelihood, gaussian_kl, gaussian_log_likelihood
from tfgan_zoo.model_methods import map_batches
from tfgan_zoo.models.base import batch_size_of, cosine_decay
from tfgan_zoo.models.blocks import (
    batch_norm,
    convolution,
    feature_map_sizes,
    project,
    transposed_convolution,
)
from tfgan_zoo.models.inputs import check_images, format_shape, parts_of
from tfgan_zoo.models.latent import ConditionConfig, LatentModel, network_inputs
from tfgan_zoo.optimizers import Adam


@dataclasses.dataclass(frozen=True)
class VAEConfig(ConditionConfig):
    """Defaults: a convolutional VAE for binarized MNIST."""

    image_size: int = 28  # pixels, square
    channels: int = 1  # of the images
    latent_dim: int = 40  # length of z
    network: str = "convolutional"  # or perceptron (the paper's, appendix C)
    width: int = 32  # convolutional: channels of the largest map, doubled per stage
    kernel_size: int = 4  # pixels
    hidden: int = 400  # units of the dense hidden layer, in the encoder and in the decoder
    likelihood: str = "bernoulli"  # or gaussian (appendix C.1 and C.2)
    sigma: float = 0.0  # gaussian: deviation of pixels in [0, 1]; 0: one learned number
    kl_weight: float = 1.0  # beta
    kl_warmup: int = 0  # steps over which the KL's weight grows from 0 to kl_weight
    free_bits: float = 0.0  # nats of KL per latent dimension that cost nothing, mean over a batch
    classes: int = 0  # length of the condition; 0: unconditional
    learning_rate: float = 1e-3  # of Adam
    decay_steps: int = 0  # steps over which the rate falls to 0 along a cosine; 0: constant

    task = "generate"

    def __post_init__(self):
        self.check_condition()
        check_range(1, 256, image_size=self.image_size)
        check_range(1, 64, channels=self.channels)
        check_range(1, 10_000, latent_dim=self.latent_dim, hidden=self.hidden)
        check_range(1, 1024, width=self.width)
        check_range(1, 31, kernel_size=self.kernel_size)
        check_range(0, MAX_FLOAT, sigma=self.sigma, kl_weight=self.kl_weight)
        check_range(0, MAX_FLOAT, free_bits=self.free_bits, learning_rate=self.learning_rate)
        check_range(0, MAX_COUNT, kl_warmup=self.kl_warmup, decay_steps=self.decay_steps)
        check_choice("network", self.network, ("convolutional", "perceptron"))
        check_choice("likelihood", self.likelihood, ("bernoulli", "gaussian"))
        if self.sigma and self.likelihood == "bernoulli":
            raise UserError(f"sigma must be 0 unless likelihood=gaussian, got {self.sigma}.")
        if self.network == "convolutional":
            feature_map_sizes(self.image_size, self.width)  # raises for an unsuitable size


def encoder(config):
    """Build q(z|x): x, and y if conditional -> mean and log variance.

    Args:
        config: a `VAEConfig`.

    Returns:
        A built `keras.Model`. Inputs: x (n, s, s, c) in [0, 1], y (n, classes). Outputs: two
        float32 tensors (n, latent_dim).
    """
    x = image = keras.Input((config.image_size, config.image_size, config.channels), name="image")
    condition = condition_input(config)
    if config.network == "convolutional":  # (n, 14, 14, 32), (n, 7, 7, 64), (n, 4, 4, 128)
        for _, width in feature_map_sizes(config.image_size, config.width):
            x = keras.layers.LeakyReLU(0.2)(convolution(x, width, config.kernel_size, "batch"))
    x = keras.layers.Flatten()(x)  # (n, 2048)
    x = hidden_layer(config, x, condition)  # (n, 400)
    mean = keras.layers.Dense(config.latent_dim, name="mean", dtype="float32")(x)
    log_variance = keras.layers.Dense(config.latent_dim, name="log_variance", dtype="float32")(x)
    return keras.Model(network_inputs(image, *condition), [mean, log_variance], name="encoder")


def decoder(config):
    """Build p(x|z): z, and y if conditional -> logits, or mean and log sigma, of the pixels.

    Args:
        config: a `VAEConfig`.

    Returns:
        A built `keras.Model`. Inputs: z (n, latent_dim), y (n, classes). Output: float32
        (n, s, s, c), and with a Gaussian likelihood also log sigma (1,).
    """
    shape = (config.image_size, config.image_size, config.channels)
    z = keras.Input((config.latent_dim,), name="z")
    condition = condition_input(config)
    x = hidden_layer(config, z, condition)  # (n, 400)
    if config.network == "convolutional":
        kernel_size = config.kernel_size
        (first_size, first_width), *stages = reversed(
            feature_map_sizes(config.image_size, config.width)
        )
        x = batch_norm()(project(x, first_size, first_width))  # (n, 4, 4, 128)
        x = keras.layers.LeakyReLU(0.2)(x)
        for size, width in stages:  # (n, 7, 7, 64), (n, 14, 14, 32)
            x = batch_norm()(transposed_convolution(x, width, kernel_size, size, use_bias=False))
            x = keras.layers.LeakyReLU(0.2)(x)
        x = transposed_convolution(x, config.channels, kernel_size, config.image_size)
    else:
        x = keras.layers.Reshape(shape)(keras.layers.Dense(math.prod(shape))(x))
    # (n, 28, 28, 1)
    parameters = [keras.layers.Activation("linear", dtype="float32", name="location")(x)]
    if config.likelihood == "gaussian":
        log_sigma = LearnedScalar(
            math.log(config.sigma or 0.5), trainable=not config.sigma, name="log_sigma"
        )
        parameters.append(log_sigma(parameters[0]))
    return keras.Model(network_inputs(z, *condition), parameters, name="decoder")


def condition_input(config):
    return [keras.Input((config.classes,), name="condition")] if config.classes else []


def hidden_layer(config, x, condition):
    """Apply the dense hidden layer, which also receives the condition."""
    x = keras.layers.Concatenate()([x, *condition]) if condition else x
    if config.network == "perceptron":
        return keras.layers.Dense(config.hidden, activation="relu")(x)
    x = batch_norm()(keras.layers.Dense(config.hidden, use_bias=False)(x))
    return keras.layers.LeakyReLU(0.2)(x)


@keras.saving.register_keras_serializable("tfgan_zoo")
class VAE(LatentModel):
    """Variational auto-encoder (Kingma & Welling 2013, arXiv 1312.6114).

    `call` and `predict` reconstruct images: they encode them and decode the mean codes. They take
    float32 images (n, s, s, c) in [-1, 1], or (images, condition) if the model is conditional, with
    a condition float32 (n, classes). `generate` and `sample` generate images from codes.

    Example:
        >>> model = VAE(VAEConfig(latent_dim=2, width=4, hidden=16))
        >>> model(keras.ops.zeros((3, 28, 28, 1))).shape
        TensorShape([3, 28, 28, 1])
        >>> model.generate(np.zeros((3, 2))).shape
        (3, 28, 28, 1)
    """

    Config = VAEConfig
    encodes = True
    has_likelihood = True

    def build_networks(self):
        self.encoder = encoder(self.config)
        self.decoder = decoder(self.config)

    def players(self):
        return {"vae": [self.encoder, self.decoder]}

    def make_optimizer(self, player):
        return Adam(cosine_decay(self.config.learning_rate, self.config.decay_steps))

    def compute_losses(self, batch, training=True):
        image, *condition = batch
        x = (image + 1.0) / 2.0
        mean, log_variance = self.encoder(
            network_inputs(x, *condition), training=training
        )  # q(z|x)
        noise = self.noise((batch_size_of(x), self.config.latent_dim), stream="z")
        z = mean + tf.exp(0.5 * log_variance) * noise
        parameters = self.decode(network_inputs(z, *condition), training=training)  # p(x|z)
        reconstruction = -tf.reduce_mean(self.log_likelihood(x, parameters))
        kl = tf.reduce_mean(gaussian_kl(mean, log_variance), axis=0)  # (latent_dim,)
        penalty = self.kl_weight() * tf.reduce_sum(tf.maximum(kl, self.config.free_bits))
        return {
            "vae": reconstruction + penalty,
            "elbo": -reconstruction - tf.reduce_sum(kl),
            "reconstruction": reconstruction,
            "kl": tf.reduce_sum(kl),
            "active_units": active_units(mean),
        }

    def kl_weight(self):
        """Return beta, which grows linearly during the warm-up."""
        weight, steps = self.config.kl_weight, self.config.kl_warmup
        if not steps:
            return weight
        return weight * tf.minimum(1.0, tf.cast(self.step.value, tf.float32) / steps)

    def decode(self, inputs, training=False):
        """Return the parameters of p(x|z) as a list: logits, or mean and log sigma."""
        parameters = self.decoder(inputs, training=training)
        return parameters if isinstance(parameters, list) else [parameters]  # Keras unwraps one

    def log_likelihood(self, x, parameters):
        """Return log p(x|z) in nats, (n,), of x in [0, 1] by the parameters of p(x|z)."""
        if self.config.likelihood == "bernoulli":
            return bernoulli_log_likelihood(x, *parameters)
        return gaussian_log_likelihood(x, *parameters)

    def call(self, inputs, training=False):
        """Reconstruct images in [-1, 1], or (images, condition), from the mean of q(z|x)."""
        images, *condition = parts_of(inputs)
        if images.shape.rank == 2:
            raise UserError(
                "VAE(images) reconstructs images, got codes of shape "
                f"{format_shape(images.shape)}: generate images with generate(z)."
            )
        x = (check_images(images, self.image_shape) + 1.0) / 2.0
        mean, _ = self.encoder(network_inputs(x, *condition), training=training)
        return self.generate_tensor(network_inputs(mean, *condition), training=training)

    def call_specs(self):
        condition = [tf.TensorSpec((None, self.classes))] if self.classes else []
        return network_inputs(tf.TensorSpec((None, *self.image_shape)), *condition)

    def generate_tensor(self, inputs, training=False):
        """Return the mean of p(x|z) as images in [-1, 1], from z or from (z, condition)."""
        location, *_ = self.decode(inputs, training=training)
        if self.config.likelihood == "bernoulli":
            return 2.0 * tf.sigmoid(location) - 1.0
        return 2.0 * tf.clip_by_value(location, 0.0, 1.0) - 1.0

    def encode(self, images, labels=None):
        """Return q(z|x) of images.

        Args:
            images: uint8 (n, s, s, c).
            labels: as for `generate`.

        Returns:
            Mean and log variance, two float32 arrays (n, latent_dim).
        """
        outputs = map_batches(
            lambda images, *condition: tf.concat(self.encode_tensor(images, *condition), axis=1),
            images,
            *self.condition(labels, len(images)),
        )
        return np.split(outputs, 2, axis=1)

    def encode_tensor(self, images, *condition):
        x = (to_float(images) + 1.0) / 2.0
        return self.encoder(network_inputs(x, *condition))

    def reconstruct(self, images, labels=None):
        """Encode images and decode their mean codes: uint8 (n, s, s, c) -> uint8 (n, s, s, c)."""
        mean, _ = self.encode(images, labels)
        return self.generate(mean, labels)

    def densities(self, x, condition, noise):
        """Return the terms of a likelihood estimate, for z = mean + sigma * noise.

        Args:
            x: float32 (n, s, s, c) in [0, 1], binarized for a Bernoulli likelihood.
            condition: a list with one float32 tensor (n, classes), or an empty list.
            noise: float32 (k, n, latent_dim) from N(0, 1), k samples per image.

        Returns:
            log p(x|z) (k, n), log p(z) - log q(z|x) (k, n), the KL of every latent dimension
            (n, latent_dim), and the mean of q(z|x) (n, latent_dim).
        """
        mean, log_variance = self.encoder(network_inputs(x, *condition))

        def sample_densities(noise):
            z = mean + tf.exp(0.5 * log_variance) * noise
            log_ratios = 0.5 * (tf.square(noise) - tf.square(z) + log_variance)
            parameters = self.decode(network_inputs(z, *condition))
            return self.log_likelihood(x, parameters), tf.reduce_sum(log_ratios, axis=1)

        dtypes = (tf.float32, tf.float32)
        log_likelihood, log_ratio = tf.map_fn(sample_densities, noise, fn_output_signature=dtypes)
        return log_likelihood, log_ratio, gaussian_kl(mean, log_variance), mean

    def diagnose(self, losses):
        """Detect posterior collapse: latent dimensions that the decoder ignores."""
        active, total = losses["active_units"], self.config.latent_dim
        if self.step < 500 or active >= max(1, 0.1 * total):
            return {}
        return {
            "collapse": f"posterior collapse: {active:.1f} of {total} latent dimensions are "
            "active, the decoder ignores the others. Try model.kl_warmup=5000, "
            "model.free_bits=0.1 or a lower model.kl_weight"
        }

    def signatures(self):
        """Return the functions of an exported model: `{name: (function, [input specs])}`.

        In addition to those of every latent model: `decode` (the same as `serving_default`),
        `encode` and `reconstruct`, both from uint8 images.
        """
        shared = super().signatures()
        decode, (_, *labels) = shared["serving_default"]
        images = tf.TensorSpec((None, *self.image_shape), tf.uint8, "images")

        def encode(images, *labels):
            condition = [self.condition_tensor(label) for label in labels]
            mean, log_variance = self.encode_tensor(images, *condition)
            return {"mean": mean, "log_variance": log_variance}

        def reconstruct(images, *labels):
            return decode(encode(images, *labels)["mean"], *labels)

        return {
            **shared,
            "decode": shared["serving_default"],
            "encode": (encode, [images, *labels]),
            "reconstruct": (reconstruct, [images, *labels]),
        }


def active_units(mean):
    """Count the latent dimensions that differ between images.

    A dimension is active if the variance of mean(x) over images is above 0.01 (Burda et al. 2015,
    section 5).
    """
    return tf.reduce_sum(tf.cast(tf.math.reduce_variance(mean, axis=0) > 0.01, tf.float32))
