"""DCGAN: two convolutional networks play the adversarial game, and images of up to 128 pixels come out.

Paper: Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
2015, arXiv 1511.06434.

    D: max  E log D(x) + E log(1 - D(G(z)))
    G: max  E log D(G(z))                      (non-saturating; other objectives by config)

Step: Goodfellow et al. 2014, Algorithm 1, one step of D and one of G: `train_step` in adversarial.py, whole on one screen.

Deviations from the paper: z is Gaussian, not uniform (common practice since, and spherical interpolation needs it); images of 28 to 56
pixels start from 4 to 7 pixels and have fewer stages; at most 8 * width channels.

Presets: dcgan_digits (embedded data, readable digits in 92 s on two cores), dcgan_mnist (trained, in saved_models), dcgan_fashion_mnist,
dcgan_cifar10, and dcgan_folder_64, the paper's form for a folder of pictures.
"""

import dataclasses

import keras

from tfgan_zoo.config import UserError, check_at_least, check_choice
from tfgan_zoo.layers import SpectralNormalization
from tfgan_zoo.models.adversarial import AdversarialConfig, AdversarialModel


@dataclasses.dataclass(frozen=True)
class DCGANConfig(AdversarialConfig):
    width: int = 128  # channels at half the image's size; doubled at every halving, up to 8 * width (Figure 1: 128 ... 1024)
    kernel_size: int = 5  # pixels (Figure 1)
    discriminator_norm: str = "batch"  # batch (section 3), none, or spectral (Miyato et al. 2018)

    def __post_init__(self):
        super().__post_init__()
        check_at_least(1, width=self.width, kernel_size=self.kernel_size)
        check_choice("discriminator_norm", self.discriminator_norm, ("batch", "none", "spectral"))
        stages(self.image_size)


def stages(image_size):
    """How often a stride of 2 fits between the image and the smallest map, 4 to 7 pixels wide: 28 -> 2 (from 7), 64 -> 4 (from 4)."""
    count, size = 0, image_size
    while size > 7 and size % 2 == 0:
        count, size = count + 1, size // 2
    if not 4 <= size <= 7 or not 2 <= count <= 5 or image_size > 128:
        sizes = sorted(start * 2**count for start in (4, 5, 6, 7) for count in (2, 3, 4, 5) if start * 2**count <= 128)
        raise UserError(f"image_size must be one of {', '.join(map(str, sizes))}, received image_size={image_size}")
    return count


def widths(config):
    """Channels from the image inwards: (128, 256, 512, 1024) for 64 pixels."""
    return [config.width * min(2**i, 8) for i in range(stages(config.image_size))]


def linear(layer, *args, spectral=False, use_bias=True, **options):
    """A layer with the paper's initial weights, N(0, 0.02) (section 4), and spectral normalisation if asked for."""
    options["kernel_initializer"] = keras.initializers.RandomNormal(stddev=0.02)
    if spectral:
        return SpectralNormalization(layer(*args, use_bias=False, **options), use_bias=use_bias)
    return layer(*args, use_bias=use_bias, **options)


def transposed_convolution(config, width, use_bias=True):
    return linear(keras.layers.Conv2DTranspose, width, config.kernel_size, strides=2, padding="same", use_bias=use_bias)


def batch_norm():
    gamma = keras.initializers.RandomNormal(mean=1.0, stddev=0.02)
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma)


def generator(config):
    """z (n, latent_dim) -> image (n, s, s, c) in [-1, 1]. Fractionally-strided convolutions, batch norm, ReLU, tanh (section 3).

    Args:
        config: a `DCGANConfig`.

    Returns:
        A built `keras.Model`; 64 pixels: 4x4x1024 -> 8x8x512 -> 16x16x256 -> 32x32x128 -> 64x64x3 (Figure 1).
    """
    first, *inner = reversed(widths(config))
    start = config.image_size // 2 ** stages(config.image_size)

    z = keras.Input((config.latent_dim,), name="z")
    x = linear(keras.layers.Dense, start * start * first, use_bias=False)(z)  # "project and reshape"
    x = keras.layers.Reshape((start, start, first))(x)  # (n, 4, 4, 1024)
    x = keras.layers.ReLU()(batch_norm()(x))
    for width in inner:  # (n, 8, 8, 512), (n, 16, 16, 256), (n, 32, 32, 128)
        x = transposed_convolution(config, width, use_bias=False)(x)
        x = keras.layers.ReLU()(batch_norm()(x))
    x = transposed_convolution(config, config.channels)(x)  # (n, 64, 64, 3); no batch norm at the output
    image = keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(z, image, name="generator")


def discriminator(config):
    """image (n, s, s, c) in [-1, 1] -> logit (n, 1). Strided convolutions, batch norm, LeakyReLU(0.2), no pooling (section 3).

    Args:
        config: a `DCGANConfig`.

    Returns:
        A built `keras.Model`; 64 pixels: 64x64x3 -> 32x32x128 -> 16x16x256 -> 8x8x512 -> 4x4x1024 -> 1.
    """
    image = keras.Input((config.image_size, config.image_size, config.channels), name="image")
    spectral = config.discriminator_norm == "spectral"
    x = image
    for stage, width in enumerate(widths(config)):  # (n, 32, 32, 128), (n, 16, 16, 256), (n, 8, 8, 512), (n, 4, 4, 1024)
        normed = config.discriminator_norm == "batch" and stage > 0  # no batch norm at the input
        x = linear(keras.layers.Conv2D, width, config.kernel_size, strides=2, padding="same", use_bias=not normed, spectral=spectral)(x)
        x = keras.layers.LeakyReLU(0.2)(batch_norm()(x) if normed else x)
    x = linear(keras.layers.Dense, 1, spectral=spectral)(keras.layers.Flatten()(x))
    logit = keras.layers.Activation("linear", dtype="float32", name="logit")(x)  # the sigmoid is part of the loss
    return keras.Model(image, logit, name="discriminator")


@keras.saving.register_keras_serializable("tfgan_zoo")
class DCGAN(AdversarialModel):
    """Deep convolutional GAN (Radford et al. 2015, arXiv 1511.06434).

    Example:
        >>> model = DCGAN(DCGANConfig(image_size=28, channels=1, width=8))
        >>> model(keras.ops.zeros((2, 100))).shape
        TensorShape([2, 28, 28, 1])
    """

    Config = DCGANConfig

    def build_generator(self):
        return generator(self.config)

    def build_discriminator(self):
        return discriminator(self.config)
