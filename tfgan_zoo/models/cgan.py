"""CGAN: conditional image generation by a GAN whose networks both receive a label.

Paper: Mirza, Osindero, "Conditional Generative Adversarial Nets", 2014, arXiv 1411.1784.

    D: max  E log D(x, y) + E log(1 - D(G(z, y), y))      (equation 2)
    G: max  E log D(G(z, y), y)      (non-saturating; `objective` offers others)

The paper writes D(x|y) for D(x, y).

Training step: Goodfellow et al. 2014, Algorithm 1. Both networks receive the labels y of the real
images. The losses are in `compute_losses` of this file, `train_step` is in adversarial.py.

The condition y is a vector of `classes` numbers: one-hot for a label, or several labels at once, or
continuous features (section 4.2 conditions on such vectors). D takes it as an additional plane of
the image, or by a projection (Miyato & Koyama 2018, arXiv 1802.05637). With `auxiliary` D does not
take it but also classifies the image (AC-GAN: Odena et al. 2017, arXiv 1610.09585):

    D: also min  w E -log C(y|x)      G: also min  w E -log C(y|G(z, y))

with the class probabilities C of D and w = `classification_weight`.

Deviations from the paper:

- The last D step and the G step are computed from the same weights and the same generated images.
  Algorithm 1 updates G after D, on fresh noise.
- The networks are those of DCGAN (Radford et al. 2015), with its optimizer and initial weights.
  The paper has perceptrons (section 4.1).
- z is Gaussian, not uniform: common practice since, and spherical interpolation needs it.
- The projection uses D's last feature map without pooling. Miyato & Koyama sum the map over its
  pixels first.
- The auxiliary classifier learns from real images only. That of Odena et al. also learns from the
  generated ones.

Presets: cgan_mnist (pretrained, 98.96 % of its digits are classified as their label), cgan_digits,
cgan_fashion_mnist, and cgan_mnist_clusters (pretrained, without labels: the classes are clusters of
images).
"""

import dataclasses

import keras
import tensorflow as tf

from tfgan_zoo.errors import MAX_FLOAT, UserError, check_choice, check_range
from tfgan_zoo.models.adversarial import AdversarialConfig, AdversarialModel
from tfgan_zoo.models.base import batch_size_of
from tfgan_zoo.models.blocks import (
    batch_norm,
    convolution,
    dcgan_init,
    feature_map_sizes,
    project,
    transposed_convolution,
)
from tfgan_zoo.models.latent import ConditionConfig


@dataclasses.dataclass(frozen=True)
class CGANConfig(ConditionConfig, AdversarialConfig):
    """Defaults: DCGAN's networks with ten classes."""

    width: int = 128  # channels of the largest map, doubled per stage up to 8 * width
    kernel_size: int = 5  # pixels
    embedding_dim: int = 50  # length of the learned embedding of y that is appended to z
    discriminator_condition: str = "plane"  # or projection, or auxiliary (a classifier)
    classification_weight: float = 1.0  # with discriminator_condition=auxiliary
    discriminator_norm: str = "batch"  # or none, or spectral (Miyato et al. 2018)

    def __post_init__(self):
        super().__post_init__()
        self.check_condition()
        check_range(1, 1024, width=self.width)
        check_range(1, 31, kernel_size=self.kernel_size)
        check_range(1, 10_000, embedding_dim=self.embedding_dim, classes=self.classes)
        check_choice(
            "discriminator_condition",
            self.discriminator_condition,
            ("plane", "projection", "auxiliary"),
        )
        check_range(0, MAX_FLOAT, classification_weight=self.classification_weight)
        if self.discriminator_condition == "auxiliary" and self.condition == "vector":
            raise UserError(
                "discriminator_condition=auxiliary needs one class per image: set "
                "model.discriminator_condition=plane or projection, got condition=vector."
            )
        check_choice("discriminator_norm", self.discriminator_norm, ("batch", "none", "spectral"))
        feature_map_sizes(self.image_size, self.width)  # raises for an unsuitable size


def generator(config):
    """Build G: z (n, latent_dim), y (n, classes) -> image (n, s, s, c) in [-1, 1].

    Args:
        config: a `CGANConfig`.

    Returns:
        A built `keras.Model`. Shapes in the comments are for 28 pixels.
    """
    (first_size, first_width), *stages = reversed(
        feature_map_sizes(config.image_size, config.width)
    )
    kernel_size = config.kernel_size

    z = keras.Input((config.latent_dim,), name="z")
    y = keras.Input((config.classes,), name="condition")
    # A linear map of y. For one-hot y it is a table with a row per class.
    embedding = keras.layers.Dense(config.embedding_dim, use_bias=False, name="embedding")(y)
    x = keras.layers.Concatenate()([z, embedding])  # (n, 150)
    x = project(x, first_size, first_width)  # (n, 4, 4, 512)
    x = keras.layers.ReLU()(batch_norm()(x))
    for size, width in stages:  # (n, 7, 7, 256), (n, 14, 14, 128)
        x = transposed_convolution(x, width, kernel_size, size, use_bias=False)
        x = keras.layers.ReLU()(batch_norm()(x))
    x = transposed_convolution(x, config.channels, kernel_size, config.image_size)  # (n, 28, 28, 1)
    image = keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model((z, y), image, name="generator")


def discriminator(config):
    """Build D: image (n, s, s, c) in [-1, 1], y (n, classes) -> logit (n, 1).

    The logit says whether the image is real and shows what y says. With an auxiliary classifier D
    is image -> (n, 1 + classes): a logit that says whether the image is real, and those of the
    classes.

    Args:
        config: a `CGANConfig`.

    Returns:
        A built `keras.Model`. Shapes in the comments are for 28 pixels.
    """
    size, spectral = config.image_size, config.discriminator_norm == "spectral"
    condition = config.discriminator_condition

    image = keras.Input((size, size, config.channels), name="image")
    y = keras.Input((config.classes,), name="condition")
    x = image
    if condition == "plane":
        plane = keras.layers.Dense(size * size, use_bias=False, name="plane")(y)
        plane = keras.layers.Reshape((size, size, 1))(plane)
        x = keras.layers.Concatenate()([image, plane])  # (n, 28, 28, 2)
    # (n, 14, 14, 128), (n, 7, 7, 256), (n, 4, 4, 512)
    for stage, (_, width) in enumerate(feature_map_sizes(size, config.width)):
        norm = config.discriminator_norm
        if norm == "batch" and stage == 0:  # no batch norm at the input
            norm = "none"
        x = keras.layers.LeakyReLU(0.2)(convolution(x, width, config.kernel_size, norm))
    features = keras.layers.Flatten()(x)  # (n, 8192)
    outputs = 1 + config.classes if condition == "auxiliary" else 1
    logit = dcgan_init(keras.layers.Dense, outputs, spectral=spectral)(features)  # (n, outputs)
    if condition == "projection":  # psi(features) + <V y, features>
        embedding = dcgan_init(
            keras.layers.Dense, features.shape[-1], spectral=spectral, use_bias=False
        )(y)
        product = keras.layers.Dot(axes=1)([embedding, features])
        logit = keras.layers.Add()([logit, product])
    logit = keras.layers.Activation("linear", dtype="float32", name="logit")(logit)
    inputs = image if condition == "auxiliary" else (image, y)
    return keras.Model(inputs, logit, name="discriminator")


@keras.saving.register_keras_serializable("tfgan_zoo")
class CGAN(AdversarialModel):
    """Conditional GAN (Mirza & Osindero 2014, arXiv 1411.1784).

    `call` and `predict` take (z, y), float32 (n, latent_dim) and (n, classes), and return generated
    images, float32 (n, s, s, c) in [-1, 1].

    Example:
        >>> model = CGAN(CGANConfig(image_size=28, channels=1, width=8))
        >>> model.sample(10, seed=0, labels=[3, 8]).shape  # threes and eights in turn
        (10, 28, 28, 1)
    """

    Config = CGANConfig

    def build_networks(self):
        self.generator = generator(self.config)
        self.discriminator = discriminator(self.config)

    def compute_losses(self, batch, training=True):
        real, y = batch  # x, y
        z = self.noise((batch_size_of(real), self.config.latent_dim), stream="z")
        fake = self.generator((z, y), training=training)  # G(z, y)
        # D(x, y) and D(G(z, y), y)
        real_logits, real_classes = self.discriminator_outputs(
            real, y, stream="real", training=training
        )
        fake_logits, fake_classes = self.discriminator_outputs(
            fake, y, stream="fake", training=training
        )
        losses = self.adversarial_losses(real_logits, fake_logits)  # of D and of G
        if self.config.discriminator_condition == "auxiliary":
            weight = self.config.classification_weight
            real_error, fake_error = (  # E -log C(y|x) and E -log C(y|G(z, y))
                tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(y, logits))
                for logits in (real_classes, fake_classes)
            )
            losses["discriminator"] += weight * real_error
            losses["generator"] += weight * fake_error
            losses |= {"real_class_error": real_error, "fake_class_error": fake_error}
        return self.add_penalty(losses, real, fake, y, training=training)

    def discriminator_outputs(self, images, y, *, stream, training=True):
        """Return D's logits and those of its classifier; see `discriminate` for the arguments.

        Returns:
            float32 logits (n, 1), and (n, classes), which is (n, 0) without a classifier.
        """
        condition = () if self.config.discriminator_condition == "auxiliary" else (y,)
        output = super().discriminate(images, *condition, stream=stream, training=training)
        return output[:, :1], output[:, 1:]

    def discriminate(self, images, *condition, stream, training=True):
        return self.discriminator_outputs(images, *condition, stream=stream, training=training)[0]
