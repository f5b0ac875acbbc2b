"""The losses of the zoo as pure functions: tensors in, float32 out.

Every adversarial objective is a pair. The discriminator D and the generator G both descend: `<name>_discriminator(real_logits,
fake_logits, label_smoothing)` and `<name>_generator(fake_logits)`. Logits are D's raw outputs of any shape; they are cast
to float32. Label smoothing is one-sided (Salimans et al. 2016, arXiv 1606.03498): real images have the target
1 - label_smoothing, fakes always 0; a smoothing outside [0, 1), or any for an objective without targets (hinge, Wasserstein),
raises `UserError`. (TF-GAN's `label_smoothing=.25` means the target .875: here .125.)
"""

import math
from typing import NamedTuple

import keras
import tensorflow as tf

from tfgan_zoo.errors import UserError


def non_saturating_discriminator(real_logits, fake_logits, label_smoothing=0.0):
    """-mean[t log s(real) + (1 - t) log(1 - s(real))] - mean log(1 - s(fake)), s the sigmoid, t = 1 - label_smoothing.

    Reference:
        Goodfellow et al. 2014, Generative Adversarial Networks, arXiv 1406.2661, equation 1.
    """
    real, fake, target = as_float(real_logits), as_float(fake_logits), real_target(label_smoothing)
    return tf.reduce_mean(tf.nn.softplus(real) - target * real) + tf.reduce_mean(
        tf.nn.softplus(fake)
    )


def non_saturating_generator(fake_logits):
    """-mean log s(fake): its gradient stays near 1 while D is sure that the fakes are fake (arXiv 1406.2661, section 3)."""
    return tf.reduce_mean(tf.nn.softplus(-as_float(fake_logits)))


minimax_discriminator = non_saturating_discriminator  # the two games differ only in what G does


def minimax_generator(fake_logits):
    """mean log(1 - s(fake)): the two-player value itself, which saturates while D wins (arXiv 1406.2661, equation 1)."""
    return -tf.reduce_mean(tf.nn.softplus(as_float(fake_logits)))


def least_squares_discriminator(real_logits, fake_logits, label_smoothing=0.0):
    """mean (real - t)^2 / 2 + mean fake^2 / 2 on raw logits, t = 1 - label_smoothing (Mao et al. 2017, arXiv 1611.04076, equation 9)."""
    real, fake, target = as_float(real_logits), as_float(fake_logits), real_target(label_smoothing)
    return 0.5 * tf.reduce_mean(tf.square(real - target)) + 0.5 * tf.reduce_mean(tf.square(fake))


def least_squares_generator(fake_logits):
    """mean (fake - 1)^2 / 2 (arXiv 1611.04076, equation 9)."""
    return 0.5 * tf.reduce_mean(tf.square(as_float(fake_logits) - 1.0))


def hinge_discriminator(real_logits, fake_logits, label_smoothing=0.0):
    """mean max(0, 1 - real) + mean max(0, 1 + fake) (Lim & Ye 2017, arXiv 1705.02894); label_smoothing must be 0."""
    check_no_smoothing("hinge", label_smoothing)
    return tf.reduce_mean(tf.nn.relu(1.0 - as_float(real_logits))) + tf.reduce_mean(
        tf.nn.relu(1.0 + as_float(fake_logits))
    )


def hinge_generator(fake_logits):
    """-mean fake (Miyato et al. 2018, arXiv 1802.05957, equation 17)."""
    return -tf.reduce_mean(as_float(fake_logits))


def wasserstein_discriminator(real_logits, fake_logits, label_smoothing=0.0):
    """mean fake - mean real (Arjovsky et al. 2017, arXiv 1701.07875); label_smoothing must be 0."""
    check_no_smoothing("wasserstein", label_smoothing)
    return tf.reduce_mean(as_float(fake_logits)) - tf.reduce_mean(as_float(real_logits))


wasserstein_generator = hinge_generator  # -mean fake (arXiv 1701.07875, algorithm 1)


class Objective(NamedTuple):
    discriminator: object  # (real_logits, fake_logits, label_smoothing=0.0) -> scalar
    generator: object  # fake_logits -> scalar


OBJECTIVES = {
    "non_saturating": Objective(non_saturating_discriminator, non_saturating_generator),
    "minimax": Objective(minimax_discriminator, minimax_generator),
    "least_squares": Objective(least_squares_discriminator, least_squares_generator),
    "hinge": Objective(hinge_discriminator, hinge_generator),
    "wasserstein": Objective(wasserstein_discriminator, wasserstein_generator),
}


def gradient_penalty(critic, real, fake, alpha, target=1.0):
    """mean (||grad D(x)||_2 - target)^2 at x = alpha real + (1 - alpha) fake, the norm over all axes but the batch.

    Args:
        critic: a function, images -> logits.
        real, fake: images (n, ...), any rank.
        alpha: (n, 1, ...) of the images' rank, uniform in [0, 1], one draw per image.
        target: the slope that costs nothing.

    Reference:
        Gulrajani et al. 2017, Improved Training of Wasserstein GANs, arXiv 1704.00028, equation 3.
    """
    real, fake, alpha = as_float(real), as_float(fake), as_float(alpha)
    norms = tf.sqrt(
        squared_slopes(critic, alpha * real + (1.0 - alpha) * fake) + 1e-12
    )  # the root has no slope at 0
    return tf.reduce_mean(tf.square(norms - target))


def r1_penalty(critic, real):
    """mean ||grad D(real)||_2^2 / 2 (Mescheder et al. 2018, arXiv 1801.04406, equation 9 with gamma = 1), images of any rank."""
    return 0.5 * tf.reduce_mean(squared_slopes(critic, as_float(real)))


def squared_slopes(critic, images):
    """||grad of critic at each image||_2^2: (n, ...) -> (n,) float32."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        logits = as_float(critic(images))
    return tf.reduce_sum(tf.square(tape.gradient(logits, images)), axis=range(1, images.shape.rank))


def as_float(x):
    return tf.cast(x, tf.float32)


def real_target(label_smoothing):
    if not 0.0 <= label_smoothing < 1.0:
        raise UserError(
            f"label_smoothing must be in [0, 1), received label_smoothing={label_smoothing!r}"
        )
    return 1.0 - label_smoothing


def check_no_smoothing(objective, label_smoothing):
    if label_smoothing:
        raise UserError(
            f"the {objective} objective has no labels to smooth, received label_smoothing={label_smoothing!r}"
        )


# --- likelihoods and divergences of variational models, in nats: one number an image (or a latent dimension)


def bernoulli_log_likelihood(x, logits):
    """sum over pixels of x log s(l) + (1 - x) log(1 - s(l)), s the sigmoid: (n, ...) -> (n,). A likelihood for x in {0, 1} only.

    Reference:
        Kingma & Welling 2013, Auto-Encoding Variational Bayes, arXiv 1312.6114, equation 11.
    """
    x, logits = as_float(x), as_float(logits)
    return tf.reduce_sum(x * logits - tf.nn.softplus(logits), axis=range(1, logits.shape.rank))


def gaussian_log_likelihood(x, mean, log_sigma):
    """sum over pixels of -((x - mean) / sigma)^2 / 2 - log sigma - log(2 pi) / 2: (n, ...) -> (n,) (arXiv 1312.6114, equation 12).

    Args:
        x, mean: any shape (n, ...).
        log_sigma: the standard deviation's logarithm, of a shape that broadcasts.
    """
    x, mean, log_sigma = as_float(x), as_float(mean), as_float(log_sigma)
    density = (
        -0.5 * tf.square((x - mean) * tf.exp(-log_sigma))
        - log_sigma
        - 0.5 * math.log(2.0 * math.pi)
    )
    return tf.reduce_sum(density, axis=range(1, density.shape.rank))


def gaussian_kl(mean, log_variance):
    """KL(N(mean, e^log_variance) || N(0, 1)) of every latent dimension: (n, d) -> (n, d) (arXiv 1312.6114, appendix B)."""
    mean, log_variance = as_float(mean), as_float(log_variance)
    return -0.5 * (1.0 + log_variance - tf.square(mean) - tf.exp(log_variance))


# --- the criteria of image translation, one side of the game at a time


def cross_entropy(logits, target):
    """mean of -t log s(l) - (1 - t) log(1 - s(l)), s the sigmoid, t a number (Isola et al. 2016, arXiv 1611.07004, equation 1)."""
    logits = as_float(logits)
    return tf.reduce_mean(tf.nn.softplus(logits) - target * logits)


def squared_error(logits, target):
    """mean (l - t)^2, the target t a number (Mao et al. 2017, arXiv 1611.04076; Zhu et al. 2017, arXiv 1703.10593, section 4)."""
    return tf.reduce_mean(tf.square(as_float(logits) - target))


CRITERIA = {"cross_entropy": cross_entropy, "least_squares": squared_error}


def absolute_error(a, b):
    """mean |a - b| over all elements (the L1 terms of arXiv 1611.07004, equation 3, and arXiv 1703.10593, equation 2)."""
    return tf.reduce_mean(tf.abs(as_float(a) - as_float(b)))


def gram_matrix(features, weights=None):
    """G = F^T F / (h w), how often which channels fire together: (n, h, w, c) -> (n, c, c) (Gatys et al. 2016, equation 3).

    The mean over positions, not the sum, so that it means the same at every size.

    Args:
        features: of a layer.
        weights: (h, w), how much each position counts; all alike where it is missing. They should add up to 1: then a region's Gram
            matrix does not depend on how large the region is.
    """
    f = as_float(features)
    shape = tf.shape(f)
    flat = tf.reshape(f, (shape[0], -1, f.shape[-1]))
    if weights is None:
        return gram_of_flat(flat) / tf.cast(shape[1] * shape[2], tf.float32)
    return tf.matmul(flat * tf.reshape(weights, (1, -1, 1)), flat, transpose_a=True)


@tf.custom_gradient
def gram_of_flat(flat):
    """F^T F, (n, p, c) -> (n, c, c); its gradient takes one product, where that of a product of two takes two."""
    return tf.matmul(flat, flat, transpose_a=True), lambda upstream: tf.matmul(
        flat, upstream + tf.linalg.matrix_transpose(upstream)
    )


def relative_error(found, target):
    """mean (found - target)^2 / mean target^2: 0 where they agree, 1 for nothing at all, whatever the layer, network or size."""
    found, target = as_float(found), as_float(target)
    return tf.reduce_mean(tf.square(found - target)) / tf.maximum(
        tf.reduce_mean(tf.square(target)), 1e-12
    )


def total_variation(images):
    """mean (x[i + 1, j] - x[i, j])^2 + mean (x[i, j + 1] - x[i, j])^2, of images (n, h, w, c)."""
    n, height, width, channels = keras.ops.shape(images)
    down, across = (n, height - 1, width, channels), (n, height, width - 1, channels)
    differences = (  # tf.slice: the gradient of images[:, 1:] takes one core
        tf.slice(images, (0, 1, 0, 0), down) - tf.slice(images, (0, 0, 0, 0), down),
        tf.slice(images, (0, 0, 1, 0), across) - tf.slice(images, (0, 0, 0, 0), across),
    )
    return tf.add_n([tf.reduce_mean(tf.square(as_float(difference))) for difference in differences])
