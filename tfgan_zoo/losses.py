"""Losses as pure functions: tensors in, float32 tensors out.

An adversarial objective is a pair of functions. The discriminator D minimizes
`<name>_discriminator(real_logits, fake_logits, label_smoothing)`, the generator G minimizes
`<name>_generator(real_logits, fake_logits)`. Most losses of G do not depend on the real logits.
Logits are D's raw outputs of any shape. They are cast to float32.

Label smoothing is one-sided (Salimans et al. 2016, arXiv 1606.03498): the target is
1 - label_smoothing for real images and always 0 for fake images. TF-GAN smooths differently: its
`label_smoothing=0.25` gives the target 0.875, which is `label_smoothing=0.125` here. `UserError` is
raised for a value outside [0, 1), and for any value but 0 with the objectives of
`WITHOUT_TARGETS`.
"""

import math
from typing import NamedTuple

import keras
import tensorflow as tf

from tfgan_zoo.errors import UserError

# --- Adversarial objectives.


def non_saturating_discriminator(real_logits, fake_logits, label_smoothing=0.0):
    """Cross-entropy of D.

    -mean[t log s(real) + (1 - t) log(1 - s(real))] - mean log(1 - s(fake)), where s is the sigmoid
    and t = 1 - label_smoothing.

    Reference:
        Goodfellow et al. 2014, Generative Adversarial Networks, arXiv 1406.2661, equation 1.
    """
    real, fake, target = as_float(real_logits), as_float(fake_logits), real_target(label_smoothing)
    real_loss = tf.reduce_mean(tf.nn.softplus(real) - target * real)
    return real_loss + tf.reduce_mean(tf.nn.softplus(fake))


def non_saturating_generator(real_logits, fake_logits):
    """Non-saturating loss of G, -mean log s(fake) (arXiv 1406.2661, section 3).

    Its gradient stays near 1 while D classifies the fakes correctly.
    """
    return tf.reduce_mean(tf.nn.softplus(-as_float(fake_logits)))


minimax_discriminator = non_saturating_discriminator  # the two objectives differ only in G's loss


def minimax_generator(real_logits, fake_logits):
    """Minimax loss of G, mean log(1 - s(fake)) (arXiv 1406.2661, equation 1).

    Its gradient vanishes while D classifies the fakes correctly.
    """
    return -tf.reduce_mean(tf.nn.softplus(as_float(fake_logits)))


def least_squares_discriminator(real_logits, fake_logits, label_smoothing=0.0):
    """Least-squares loss of D on raw logits, mean (real - t)^2 / 2 + mean fake^2 / 2.

    The target t is 1 - label_smoothing.

    Reference:
        Mao et al. 2017, Least Squares Generative Adversarial Networks, arXiv 1611.04076,
        equation 9.
    """
    real, fake, target = as_float(real_logits), as_float(fake_logits), real_target(label_smoothing)
    return 0.5 * tf.reduce_mean(tf.square(real - target)) + 0.5 * tf.reduce_mean(tf.square(fake))


def least_squares_generator(real_logits, fake_logits):
    """Least-squares loss of G, mean (fake - 1)^2 / 2 (arXiv 1611.04076, equation 9)."""
    return 0.5 * tf.reduce_mean(tf.square(as_float(fake_logits) - 1.0))


def hinge_discriminator(real_logits, fake_logits, label_smoothing=0.0):
    """Hinge loss of D, mean max(0, 1 - real) + mean max(0, 1 + fake).

    label_smoothing must be 0.

    Reference:
        Lim, Ye 2017, Geometric GAN, arXiv 1705.02894.
    """
    check_no_smoothing("hinge", label_smoothing)
    real_loss = tf.reduce_mean(tf.nn.relu(1.0 - as_float(real_logits)))
    return real_loss + tf.reduce_mean(tf.nn.relu(1.0 + as_float(fake_logits)))


def hinge_generator(real_logits, fake_logits):
    """Hinge loss of G, -mean fake (Miyato et al. 2018, arXiv 1802.05957, equation 17)."""
    return -tf.reduce_mean(as_float(fake_logits))


def wasserstein_discriminator(real_logits, fake_logits, label_smoothing=0.0):
    """Wasserstein loss of the critic D, mean fake - mean real.

    label_smoothing must be 0.

    Reference:
        Arjovsky et al. 2017, Wasserstein GAN, arXiv 1701.07875.
    """
    check_no_smoothing("wasserstein", label_smoothing)
    return tf.reduce_mean(as_float(fake_logits)) - tf.reduce_mean(as_float(real_logits))


wasserstein_generator = hinge_generator  # -mean fake (arXiv 1701.07875, algorithm 1)


def relativistic_discriminator(real_logits, fake_logits, label_smoothing=0.0):
    """Relativistic paired loss of D, -mean log s(real - fake), where s is the sigmoid.

    The i-th real image is compared with the i-th generated one. Only the difference of their logits
    matters, so logits have no absolute scale. label_smoothing must be 0.

    Reference:
        Jolicoeur-Martineau 2018, The relativistic discriminator, arXiv 1807.00734. Huang et al.
        2024, arXiv 2501.05441, combine it with `r1_r2_penalty`.
    """
    check_no_smoothing("relativistic", label_smoothing)
    return tf.reduce_mean(tf.nn.softplus(as_float(fake_logits) - as_float(real_logits)))


def relativistic_generator(real_logits, fake_logits):
    """Relativistic paired loss of G, -mean log s(fake - real) (arXiv 1807.00734)."""
    return tf.reduce_mean(tf.nn.softplus(as_float(real_logits) - as_float(fake_logits)))


class AdversarialObjective(NamedTuple):
    """The loss functions of both players."""

    discriminator: object  # (real_logits, fake_logits, label_smoothing=0.0) -> scalar
    generator: object  # (real_logits, fake_logits) -> scalar


OBJECTIVES = {
    "non_saturating": AdversarialObjective(non_saturating_discriminator, non_saturating_generator),
    "minimax": AdversarialObjective(minimax_discriminator, minimax_generator),
    "least_squares": AdversarialObjective(least_squares_discriminator, least_squares_generator),
    "hinge": AdversarialObjective(hinge_discriminator, hinge_generator),
    "wasserstein": AdversarialObjective(wasserstein_discriminator, wasserstein_generator),
    "relativistic": AdversarialObjective(relativistic_discriminator, relativistic_generator),
}
WITHOUT_TARGETS = ("hinge", "wasserstein", "relativistic")  # objectives without target labels


def as_float(x):
    return tf.cast(x, tf.float32)


def real_target(label_smoothing):
    if not 0.0 <= label_smoothing < 1.0:
        raise UserError(f"label_smoothing must be in [0, 1), got {label_smoothing!r}.")
    return 1.0 - label_smoothing


def check_no_smoothing(objective, label_smoothing):
    if label_smoothing:
        raise UserError(
            f"label_smoothing must be 0 with objective={objective}, which has no target labels, "
            f"got {label_smoothing!r}."
        )


# --- Penalties on D's gradient.


def gradient_penalty(critic, real, fake, alpha, target=1.0):
    """Gradient penalty, mean (||grad D(x)||_2 - target)^2 at x = alpha real + (1 - alpha) fake.

    The norm is over all axes except the batch.

    Args:
        critic: a function from images to logits.
        real: real images (n, ...) of any rank.
        fake: generated images, of the same shape.
        alpha: (n, 1, ...) of the images' rank, uniform in [0, 1], one number per image.
        target: the norm that costs nothing.

    Reference:
        Gulrajani et al. 2017, Improved Training of Wasserstein GANs, arXiv 1704.00028, equation 3.
    """
    real, fake, alpha = as_float(real), as_float(fake), as_float(alpha)
    squared_norms = squared_gradient_norms(critic, alpha * real + (1.0 - alpha) * fake)
    norms = tf.sqrt(squared_norms + 1e-12)  # the root has no finite gradient at 0
    return tf.reduce_mean(tf.square(norms - target))


def r1_penalty(critic, real):
    """R1 penalty, mean ||grad D(real)||_2^2 / 2, for images of any rank.

    Reference:
        Mescheder et al. 2018, Which Training Methods for GANs do actually Converge?,
        arXiv 1801.04406, equation 9 with gamma = 1.
    """
    return 0.5 * tf.reduce_mean(squared_gradient_norms(critic, as_float(real)))


def r1_r2_penalty(critic, real, fake):
    """R1 and R2 penalties, mean ||grad D(real)||_2^2 / 2 + mean ||grad D(fake)||_2^2 / 2.

    R2 is the R1 penalty of generated images. No gradient reaches the generator.

    Reference:
        Mescheder et al. 2018, arXiv 1801.04406, equations 9 and 10 with gamma = 1; Huang et al.
        2024, The GAN is dead; long live the GAN!, arXiv 2501.05441.
    """
    return r1_penalty(critic, real) + r1_penalty(critic, tf.stop_gradient(fake))


def squared_gradient_norms(critic, images):
    """Return ||gradient of the critic at each image||_2^2: (n, ...) -> float32 (n,)."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        logits = as_float(critic(images))
    return tf.reduce_sum(tf.square(tape.gradient(logits, images)), axis=range(1, images.shape.rank))


# --- Likelihoods and divergences of variational models, in nats.


def bernoulli_log_likelihood(x, logits):
    """Log-likelihood of binary pixels, sum of x log s(l) + (1 - x) log(1 - s(l)): (n, ...) -> (n,).

    s is the sigmoid. It is a likelihood only for x in {0, 1}.

    Reference:
        Kingma, Welling 2013, Auto-Encoding Variational Bayes, arXiv 1312.6114, equation 11.
    """
    x, logits = as_float(x), as_float(logits)
    return tf.reduce_sum(x * logits - tf.nn.softplus(logits), axis=range(1, logits.shape.rank))


def gaussian_log_likelihood(x, mean, log_sigma):
    """Log-likelihood of pixels under independent normal distributions: (n, ...) -> (n,).

    The sum over pixels of -((x - mean) / sigma)^2 / 2 - log sigma - log(2 pi) / 2 (arXiv
    1312.6114, equation 12).

    Args:
        x: pixels (n, ...).
        mean: of the same shape.
        log_sigma: logarithm of the standard deviation, of a shape that broadcasts.
    """
    x, mean, log_sigma = as_float(x), as_float(mean), as_float(log_sigma)
    squares = -0.5 * tf.square((x - mean) * tf.exp(-log_sigma))
    log_density = squares - log_sigma - 0.5 * math.log(2.0 * math.pi)
    return tf.reduce_sum(log_density, axis=range(1, log_density.shape.rank))


def gaussian_kl(mean, log_variance):
    """KL(N(mean, e^log_variance) || N(0, 1)) of every latent dimension: (n, d) -> (n, d).

    See arXiv 1312.6114, appendix B.
    """
    mean, log_variance = as_float(mean), as_float(log_variance)
    return -0.5 * (1.0 + log_variance - tf.square(mean) - tf.exp(log_variance))


# --- Criteria of image translation, for real or fake images alone.


def cross_entropy(logits, target):
    """Cross-entropy of logits l with a number t, mean of -t log s(l) - (1 - t) log(1 - s(l)).

    s is the sigmoid.

    Reference:
        Isola et al. 2016, Image-to-Image Translation with Conditional Adversarial Networks,
        arXiv 1611.07004, equation 1.
    """
    logits = as_float(logits)
    return tf.reduce_mean(tf.nn.softplus(logits) - target * logits)


def squared_error(logits, target):
    """Mean squared error between logits and a constant target.

    Reference:
        Mao et al. 2017, arXiv 1611.04076; Zhu et al. 2017, arXiv 1703.10593, section 4.
    """
    return tf.reduce_mean(tf.square(as_float(logits) - target))


# Without the factor 1/2 of OBJECTIVES: the models weight D's loss themselves.
CRITERIA = {"cross_entropy": cross_entropy, "least_squares": squared_error}


def absolute_error(a, b):
    """Mean absolute error, mean |a - b| over all elements.

    It is the L1 term of arXiv 1611.07004, equation 3, and of arXiv 1703.10593, equation 2.
    """
    return tf.reduce_mean(tf.abs(as_float(a) - as_float(b)))


# --- Perceptual losses.


def gram_matrix(features, weights=None):
    """Gram matrix, the mean of f f^T over all positions: (n, h, w, c) -> (n, c, c).

    The paper has the sum over positions. The mean does not depend on the image size.

    Args:
        features: activations of a layer, (n, h, w, c).
        weights: (h, w), the weight of each position. Default: equal weights. They should add up to
            1: then the Gram matrix of a region does not depend on the size of the region.

    Returns:
        float32 tensor (n, c, c).

    Reference:
        Gatys et al. 2016, Image Style Transfer Using Convolutional Neural Networks, equation 3.
    """
    f = as_float(features)
    shape = tf.shape(f)
    flat = tf.reshape(f, (shape[0], -1, f.shape[-1]))
    if weights is None:
        return gram_of_flat(flat) / tf.cast(shape[1] * shape[2], tf.float32)
    return tf.matmul(flat * tf.reshape(weights, (1, -1, 1)), flat, transpose_a=True)


@tf.custom_gradient
def gram_of_flat(flat):
    """Return F^T F: (n, p, c) -> (n, c, c).

    Its own gradient takes one matrix product. TensorFlow's gradient of the product takes two.
    """

    def gradient(upstream):
        return tf.matmul(flat, upstream + tf.linalg.matrix_transpose(upstream))

    return tf.matmul(flat, flat, transpose_a=True), gradient


def relative_error(output, target):
    """Relative squared error, mean (output - target)^2 / mean target^2.

    It is 0 for equal tensors and 1 for an output of zeros, for any layer, network or size.
    """
    output, target = as_float(output), as_float(target)
    return tf.reduce_mean(tf.square(output - target)) / tf.maximum(
        tf.reduce_mean(tf.square(target)), 1e-12
    )


def total_variation(images):
    """Total variation of images (n, h, w, c).

    mean (x[i + 1, j] - x[i, j])^2 + mean (x[i, j + 1] - x[i, j])^2.
    """
    n, height, width, channels = keras.ops.shape(images)
    rows, columns = (n, height - 1, width, channels), (n, height, width - 1, channels)
    # tf.slice, because the gradient of images[:, 1:] runs on one core.
    differences = (
        tf.slice(images, (0, 1, 0, 0), rows) - tf.slice(images, (0, 0, 0, 0), rows),
        tf.slice(images, (0, 0, 1, 0), columns) - tf.slice(images, (0, 0, 0, 0), columns),
    )
    return tf.add_n([tf.reduce_mean(tf.square(as_float(difference))) for difference in differences])
