"""VAE: an encoder and a decoder trained together to describe the data, and to make more of it.

Paper: Kingma, Welling, "Auto-Encoding Variational Bayes", 2013, arXiv 1312.6114.

    max  ELBO = E_q(z|x) log p(x|z) - KL(q(z|x) || p(z)) <= log p(x),   p(z) = N(0, I),  q(z|x) = N(mean(x), diag variance(x))

Step: z = mean + sigma * noise, one draw an image (section 2.4, L = 1); one step of Adam along -ELBO, summed over pixels and latent
dimensions, averaged over images.

Options from later papers: kl_weight (beta-VAE, Higgins et al. 2017), KL warm-up (Bowman et al. 2015), free bits (Kingma et al. 2016,
arXiv 1606.04934), labels as a condition of both networks (Kingma et al. 2014, arXiv 1406.5298, M2 with the class known).

Deviations from the paper: ReLU for tanh and 400 hidden units (later papers' reference), Adam for Adagrad; the convolutional networks
(batch norm, LeakyReLU) are DCGAN's. Pixels are x in [0, 1] inside; a Bernoulli likelihood wants them binarised (data.binarize).

Presets: vae_mnist_perceptron (the reference network: 89.9 nats on test images), vae_mnist (convolutional: 85.1 nats), vae_digits,
vae_fashion_mnist.
"""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.data.transforms import to_float
from tfgan_zoo.errors import UserError, check_at_least, check_choice
from tfgan_zoo.layers import LearnedScalar
from tfgan_zoo.losses import bernoulli_log_likelihood, gaussian_kl, gaussian_log_likelihood
from tfgan_zoo.models.base import cosine_decay
from tfgan_zoo.models.blocks import (
    batch_norm,
    convolution,
    feature_map_sizes,
    project,
    transposed_convolution,
)
from tfgan_zoo.models.latent import ConditionConfig, LatentModel, map_batches, network_inputs
from tfgan_zoo.models.replicated import batch_size_of
from tfgan_zoo.optimizers import Adam


@dataclasses.dataclass(frozen=True)
class VAEConfig(ConditionConfig):
    image_size: int = 28  # pixels, square
    channels: int = 1
    latent_dim: int = 40
    network: str = "convolutional"  # or perceptron (the paper's, appendix C)
    width: int = 32  # convolutional: channels at half the image's size, doubled at every halving
    kernel_size: int = 4  # pixels
    hidden: int = 400  # units of the dense hidden layer on either side
    likelihood: str = "bernoulli"  # of black and white pixels (see data.binarize), or gaussian (appendix C.1, C.2)
    sigma: float = 0.0  # gaussian: the pixels' standard deviation, in units of the range [0, 1]; 0: one number that is learned
    kl_weight: float = 1.0  # beta
    kl_warmup: int = 0  # steps over which the KL's weight grows from 0 to kl_weight
    free_bits: float = 0.0  # nats of KL that a latent dimension may use for nothing, in the mean over a replica's batch
    classes: int = 0  # conditional on a label or vector if more than 0
    learning_rate: float = 1e-3  # Adam
    decay_steps: int = (
        0  # steps over which the learning rate falls to 0 along a cosine; 0: it stays
    )

    task = "generate"

    def __post_init__(self):
        self.check_condition()
        check_at_least(
            1, image_size=self.image_size, channels=self.channels, latent_dim=self.latent_dim
        )
        check_at_least(1, width=self.width, kernel_size=self.kernel_size, hidden=self.hidden)
        check_at_least(
            0,
            sigma=self.sigma,
            kl_weight=self.kl_weight,
            kl_warmup=self.kl_warmup,
            free_bits=self.free_bits,
        )
        check_at_least(0, learning_rate=self.learning_rate, decay_steps=self.decay_steps)
        check_choice("network", self.network, ("convolutional", "perceptron"))
        check_choice("likelihood", self.likelihood, ("bernoulli", "gaussian"))
        if self.sigma and self.likelihood == "bernoulli":
            raise UserError(f"sigma is for likelihood=gaussian, received sigma={self.sigma}")
        if self.network == "convolutional":
            feature_map_sizes(self.image_size, self.width)  # refuses sizes that do not fit


def encoder(config):
    """x (n, s, s, c) in [0, 1], and y (n, classes) if conditional -> mean, log variance of q(z|x), each float32 (n, latent_dim).

    Args:
        config: a `VAEConfig`.

    Returns:
        A built `keras.Model`.
    """
    image = keras.Input((config.image_size, config.image_size, config.channels), name="image")
    condition = condition_inputs_of(config)
    x = image
    if config.network == "convolutional":
        for _, width in feature_map_sizes(
            config.image_size, config.width
        ):  # (n, 14, 14, 32), (n, 7, 7, 64), (n, 4, 4, 128)
            x = keras.layers.LeakyReLU(0.2)(convolution(x, width, config.kernel_size, "batch"))
    x = hidden_layer(config, keras.layers.Flatten()(x), condition)  # (n, 400)
    mean = keras.layers.Dense(config.latent_dim, name="mean", dtype="float32")(x)
    log_variance = keras.layers.Dense(config.latent_dim, name="log_variance", dtype="float32")(x)
    return keras.Model(network_inputs(image, *condition), [mean, log_variance], name="encoder")


def decoder(config):
    """z (n, latent_dim), and y (n, classes) if conditional -> p(x|z)'s parameters: logits, or mean and log sigma, (n, s, s, c).

    Args:
        config: a `VAEConfig`.

    Returns:
        A built `keras.Model` with one or two outputs.
    """
    shape = (config.image_size, config.image_size, config.channels)
    z = keras.Input((config.latent_dim,), name="z")
    condition = condition_inputs_of(config)
    x = hidden_layer(config, z, condition)  # (n, 400)
    if config.network == "convolutional":
        (start, first), *inner = reversed(feature_map_sizes(config.image_size, config.width))
        x = keras.layers.LeakyReLU(0.2)(batch_norm()(project(x, start, first)))  # (n, 4, 4, 128)
        for size, width in inner:  # (n, 7, 7, 64), (n, 14, 14, 32)
            x = keras.layers.LeakyReLU(0.2)(
                batch_norm()(
                    transposed_convolution(x, width, config.kernel_size, size, use_bias=False)
                )
            )
        x = transposed_convolution(
            x, config.channels, config.kernel_size, config.image_size
        )  # (n, 28, 28, 1)
    else:
        x = keras.layers.Reshape(shape)(keras.layers.Dense(math.prod(shape))(x))
    location = keras.layers.Activation("linear", dtype="float32", name="location")(x)
    if config.likelihood == "bernoulli":
        return keras.Model(network_inputs(z, *condition), location, name="decoder")
    log_sigma = LearnedScalar(
        math.log(config.sigma or 0.5), trainable=not config.sigma, name="log_sigma"
    )(location)
    return keras.Model(network_inputs(z, *condition), [location, log_sigma], name="decoder")


def condition_inputs_of(config):
    return [keras.Input((config.classes,), name="condition")] if config.classes else []


def hidden_layer(config, x, condition):
    """The dense hidden layer, which also sees the condition."""
    x = keras.layers.Concatenate()([x, *condition]) if condition else x
    if config.network == "perceptron":
        return keras.layers.Dense(config.hidden, activation="relu")(x)
    return keras.layers.LeakyReLU(0.2)(
        batch_norm()(keras.layers.Dense(config.hidden, use_bias=False)(x))
    )


@keras.saving.register_keras_serializable("tfgan_zoo")
class VAE(LatentModel):
    """Variational auto-encoder (Kingma & Welling 2013, arXiv 1312.6114).

    Example:
        >>> model = VAE(VAEConfig(latent_dim=2, width=4, hidden=16))
        >>> model(keras.ops.zeros((3, 2))).shape
        TensorShape([3, 28, 28, 1])
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

    def call(self, inputs, training=False):
        """z, or (z, condition) -> the mean image of p(x|z) in [-1, 1]."""
        location, *_ = self.decode(inputs, training=training)
        mean = (
            tf.sigmoid(location)
            if self.config.likelihood == "bernoulli"
            else tf.clip_by_value(location, 0.0, 1.0)
        )
        return 2.0 * mean - 1.0

    def decode(self, inputs, training=False):
        """The parameters of p(x|z) as a list: logits, or mean and log sigma."""
        parameters = self.decoder(inputs, training=training)
        return parameters if isinstance(parameters, list) else [parameters]

    def train_step(self, data):
        return self.report(**self.descend(lambda: self.compute_losses(self.unpack_batch(data))))

    def compute_losses(self, batch):
        image, *condition = batch
        x = (image + 1.0) / 2.0
        mean, log_variance = self.encoder(network_inputs(x, *condition), training=True)  # q(z|x)
        z = mean + tf.exp(0.5 * log_variance) * self.noise(
            (batch_size_of(x), self.config.latent_dim), stream="z"
        )
        parameters = self.decode(network_inputs(z, *condition), training=True)  # p(x|z)
        reconstruction = -tf.reduce_mean(self.log_likelihood(x, parameters))
        kl = tf.reduce_mean(gaussian_kl(mean, log_variance), axis=0)  # (latent_dim,)
        return {
            "vae": reconstruction
            + self.kl_weight() * tf.reduce_sum(tf.maximum(kl, self.config.free_bits)),
            "elbo": -reconstruction - tf.reduce_sum(kl),
            "reconstruction": reconstruction,
            "kl": tf.reduce_sum(kl),
            "active_units": active_units(mean),
        }

    def kl_weight(self):
        """beta, after the warm-up."""
        weight, steps = self.config.kl_weight, self.config.kl_warmup
        return (
            weight * tf.minimum(1.0, tf.cast(self.step.value, tf.float32) / steps)
            if steps
            else weight
        )

    def log_likelihood(self, x, parameters):
        """log p(x|z) in nats, x in [0, 1]: (n,)."""
        return (
            bernoulli_log_likelihood(x, *parameters)
            if self.config.likelihood == "bernoulli"
            else gaussian_log_likelihood(x, *parameters)
        )

    def diagnose(self, losses):
        """Warns of posterior collapse: latent dimensions that the decoder does not use."""
        if self.step < 500 or losses["active_units"] >= max(1, 0.1 * self.config.latent_dim):
            return {}
        return {
            "collapse": f"posterior collapse: {losses['active_units']:.1f} of {self.config.latent_dim} latent dimensions are active, the "
            "decoder ignores the others. Try model.kl_warmup=5000, model.free_bits=0.1 or a lower model.kl_weight"
        }

    def encode(self, images, labels=None):
        """q(z|x) of images.

        Args:
            images: uint8 (n, s, s, c).
            labels: as for `generate`.

        Returns:
            mean and log variance, each a float32 array (n, latent_dim).
        """
        condition = self.condition(labels, len(images))
        both = map_batches(
            lambda image, *y: tf.concat(
                self.encoder(network_inputs((to_float(image) + 1.0) / 2.0, *y)), 1
            ),
            images,
            *condition,
        )
        return np.split(both, 2, axis=1)

    def reconstruct(self, images, labels=None):
        """The images as their mean codes decode: uint8 (n, s, s, c) -> uint8 (n, s, s, c)."""
        return self.generate(self.encode(images, labels)[0], labels)

    def densities(self, x, condition, noise):
        """What a likelihood is estimated from, for z = mean + sigma * noise.

        Args:
            x: float32 (n, s, s, c) in [0, 1], binarised for a Bernoulli likelihood.
            condition: a list with one float32 (n, classes), or an empty one.
            noise: float32 (k, n, latent_dim) from N(0, 1): k samples an image.

        Returns:
            log p(x|z) (k, n), log p(z) - log q(z|x) (k, n), KL of every dimension (n, latent_dim), mean (n, latent_dim).
        """
        mean, log_variance = self.encoder(network_inputs(x, *condition))

        def of_sample(noise):
            z = mean + tf.exp(0.5 * log_variance) * noise
            prior_over_posterior = 0.5 * tf.reduce_sum(
                tf.square(noise) - tf.square(z) + log_variance, axis=1
            )
            return self.log_likelihood(
                x, self.decode(network_inputs(z, *condition))
            ), prior_over_posterior

        log_likelihood, log_ratio = tf.map_fn(
            of_sample, noise, fn_output_signature=(tf.float32, tf.float32)
        )
        return log_likelihood, log_ratio, gaussian_kl(mean, log_variance), mean

    def signatures(self):
        """Those of every latent model; `decode`, the same as serving_default; and `encode` and `reconstruct` from uint8 images."""
        config = self.config
        images = tf.TensorSpec(
            (None, config.image_size, config.image_size, config.channels), tf.uint8, "images"
        )
        shared = super().signatures()
        decode, (_, *labels) = shared["serving_default"]

        def encode(images, *labels):
            condition = [self.condition_tensor(label) for label in labels]
            mean, log_variance = self.encoder(
                network_inputs((to_float(images) + 1.0) / 2.0, *condition)
            )
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
    """How many latent dimensions tell images apart: the variance of mean(x) over images is above 0.01 (Burda et al. 2015, section 5)."""
    return tf.reduce_sum(tf.cast(tf.math.reduce_variance(mean, axis=0) > 0.01, tf.float32))
