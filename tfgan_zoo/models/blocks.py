"""Building blocks of convolutional networks: DCGAN, U-Net, ResNet and PatchGAN."""

import keras

from tfgan_zoo.errors import UserError, check_choice
from tfgan_zoo.layers import (
    BatchNormalization,
    Cropping2D,
    InstanceNormalization,
    ReflectionPadding,
    SpectralNormalization,
    UpsamplingConv2DTranspose,
)

# --- DCGAN blocks (Radford et al. 2015, arXiv 1511.06434, section 3), also used by later papers.


def feature_map_sizes(image_size, width):
    """Return the sizes and channels of DCGAN's feature maps, from the image inwards.

    The size is halved (rounded up) until it is at most 5 pixels. The channels are doubled each
    time, up to 8 * width.

    Args:
        image_size: int, pixels.
        width: int, channels of the first feature map.

    Returns:
        A list of (size, channels). For 64 pixels and width 128: (32, 128), (16, 256), (8, 512),
        (4, 1024). For 28 pixels the sizes are 14, 7, 4.

    Raises:
        UserError: image_size is not in 16 ... 128.
    """
    if not 16 <= image_size <= 128:
        raise UserError(f"image_size must be between 16 and 128, got {image_size}.")
    maps, size = [], image_size
    while size > 5:
        size = -(-size // 2)
        maps.append((size, width * min(2 ** len(maps), 8)))
    return maps


def dcgan_init(layer, *args, spectral=False, use_bias=True, **options):
    """Create a layer with DCGAN's initial weights, N(0, 0.02^2) (section 4).

    Args:
        layer: a Keras layer class with a kernel.
        *args: positional arguments of the layer.
        spectral: if True, wrap the layer in spectral normalization.
        use_bias: whether the layer, or its wrapper, has a bias.
        **options: keyword arguments of the layer.

    Returns:
        A Keras layer.
    """
    options["kernel_initializer"] = keras.initializers.RandomNormal(stddev=0.02)
    if spectral:
        return SpectralNormalization(layer(*args, use_bias=False, **options), use_bias=use_bias)
    return layer(*args, use_bias=use_bias, **options)


def batch_norm():
    """Create batch norm with the constants of DCGAN's authors: gamma ~ N(1, 0.02^2)."""
    gamma = keras.initializers.RandomNormal(mean=1.0, stddev=0.02)
    return BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma)


def project(x, size, width):
    """Map (n, d) to (n, size, size, width): "project and reshape" (Figure 1).

    The layer has no bias, because batch norm follows.
    """
    x = dcgan_init(keras.layers.Dense, size * size * width, use_bias=False)(x)
    return keras.layers.Reshape((size, size, width))(x)


def crop(x, size):
    """Crop a feature map (n, s, s, c) at the bottom and right to (n, size, size, c)."""
    excess = x.shape[1] - size
    return Cropping2D(((0, excess), (0, excess)))(x) if excess else x


def transposed_convolution(x, width, kernel_size, size, use_bias=True):
    """Map (n, s, s, c) to (n, size, size, width), where size is 2 s or 2 s - 1."""
    options = {"strides": 2, "padding": "same", "use_bias": use_bias}
    return crop(dcgan_init(keras.layers.Conv2DTranspose, width, kernel_size, **options)(x), size)


def convolution(x, width, kernel_size, norm):
    """Map (n, s, s, c) to (n, s / 2, s / 2, width), with norm "batch", "none" or "spectral"."""
    options = {"strides": 2, "padding": "same", "use_bias": norm != "batch"}
    spectral = norm == "spectral"
    x = dcgan_init(keras.layers.Conv2D, width, kernel_size, spectral=spectral, **options)(x)
    return batch_norm()(x) if norm == "batch" else x


# --- the blocks of Pix2Pix and CycleGAN, with the authors' padding: their weights fit (see torch_weights.py)


def norm_layer(kind, at_test="running"):
    """A norm for one image at a time: "instance", without parameters; or "batch" (see `BatchNormalization` for `at_test`)."""
    if kind == "instance":
        return InstanceNormalization()
    gamma = keras.initializers.RandomNormal(mean=1.0, stddev=0.02)
    return BatchNormalization(at_test, momentum=0.9, epsilon=1e-5, gamma_initializer=gamma)


def downsample(width, use_bias=True):
    """A 4x4 convolution: (n, h, w, c) -> (n, h / 2, w / 2, width), h and w even."""
    return dcgan_init(keras.layers.Conv2D, width, 4, strides=2, padding="same", use_bias=use_bias)


def pad_then_conv(x, layer, size, padding=keras.layers.ZeroPadding2D):
    """A convolution without padding of its own, after `size` pixels on every side."""
    return layer(padding(size)(x))


def upsample(x, width, kernel_size, upsampling, use_bias=True):
    """(n, h, w, c) -> (n, 2 h, 2 w, width) by a transposed convolution of 3x3 or 4x4, or by "resize": nearest neighbours, then 3x3.

    The second has no checkerboard pattern to begin with (Odena et al. 2016, Deconvolution and Checkerboard Artifacts).
    """
    if upsampling == "resize":
        x = keras.layers.UpSampling2D(2)(x)
        return pad_then_conv(
            x, dcgan_init(keras.layers.Conv2D, width, 3, use_bias=use_bias), 1, ReflectionPadding
        )
    if kernel_size == 4:
        return dcgan_init(
            keras.layers.Conv2DTranspose, width, 4, strides=2, padding="same", use_bias=use_bias
        )(x)
    return dcgan_init(UpsamplingConv2DTranspose, width, use_bias=use_bias)(x)


RECEPTIVE_FIELDS = {
    1: 0,
    16: 1,
    34: 2,
    70: 3,
    142: 4,
    286: 5,
}  # pixels that a logit of the PatchGAN sees: its convolutions of stride 2


def patch_discriminator(channels, width, receptive_field, norm_kind, name, slope=0.2):
    """PatchGAN: image (n, h, w, channels) in [-1, 1] -> a logit for every patch, (n, h', w', 1); 256 pixels and field 70: 30x30.

    Args:
        channels: of the input, a condition's included.
        width: channels of the first convolution.
        receptive_field: 1 (PixelGAN), 16, 34, 70, 142 or 286 pixels.
        norm_kind: "batch" or "instance".
        name: of the network.
        slope: of the leaky ReLUs.

    Returns:
        A built `keras.Model` for any image size.

    Reference:
        Isola et al. 2016, Image-to-Image Translation with Conditional Adversarial Networks, arXiv 1611.07004, section 6.1.2.
    """
    check_choice("receptive_field", receptive_field, RECEPTIVE_FIELDS)
    biased = norm_kind == "instance"  # batch norm has a bias of its own
    layers = RECEPTIVE_FIELDS[receptive_field]

    image = keras.Input((None, None, channels), name="image")
    if not layers:  # 1x1 convolutions only
        x = keras.layers.LeakyReLU(slope)(dcgan_init(keras.layers.Conv2D, width, 1)(image))
        x = norm_layer(norm_kind)(dcgan_init(keras.layers.Conv2D, 2 * width, 1, use_bias=biased)(x))
        x = dcgan_init(keras.layers.Conv2D, 1, 1, use_bias=biased)(keras.layers.LeakyReLU(slope)(x))
    else:
        x = keras.layers.LeakyReLU(slope)(downsample(width)(image))  # (n, 128, 128, 64), no norm
        for layer in range(1, layers):
            x = norm_layer(norm_kind)(
                downsample(width * min(2**layer, 8), biased)(x)
            )  # (n, 64, 64, 128), (n, 32, 32, 256)
            x = keras.layers.LeakyReLU(slope)(x)
        last = dcgan_init(keras.layers.Conv2D, width * min(2**layers, 8), 4, use_bias=biased)
        x = keras.layers.LeakyReLU(slope)(
            norm_layer(norm_kind)(pad_then_conv(x, last, 1))
        )  # (n, 31, 31, 512)
        x = pad_then_conv(x, dcgan_init(keras.layers.Conv2D, 1, 4), 1)  # (n, 30, 30, 1)
    logits = keras.layers.Activation("linear", dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name=name)


def resnet_generator(config, channels=None, name="generator"):
    """(n, h, w, c) -> (n, h, w, c') in [-1, 1]: two halvings, residual blocks, two doublings (section 7.2), h and w multiples of 4.

    Args:
        config: a `CycleGANConfig`.
        channels: of input and output; the config's x and y where missing.
        name: of the network.

    Returns:
        A built `keras.Model` for any image size.
    """
    inputs, outputs = channels or (config.x_channels, config.y_channels)
    biased = config.norm == "instance"  # batch norm has a bias of its own

    def normed(x):
        return norm_layer(config.norm, config.test_norm)(x)

    def convolution(width, size, strides=1):
        return dcgan_init(keras.layers.Conv2D, width, size, strides=strides, use_bias=biased)

    def residual(x):
        y = keras.layers.ReLU()(
            normed(pad_then_conv(x, convolution(4 * config.width, 3), 1, ReflectionPadding))
        )
        y = normed(pad_then_conv(y, convolution(4 * config.width, 3), 1, ReflectionPadding))
        return keras.layers.Add()([x, y])

    image = keras.Input((None, None, inputs), name="image")
    x = keras.layers.ReLU()(
        normed(pad_then_conv(image, convolution(config.width, 7), 3, ReflectionPadding))
    )  # (n, 256, 256, 64)
    for width in (2 * config.width, 4 * config.width):  # (n, 128, 128, 128), (n, 64, 64, 256)
        x = keras.layers.ReLU()(normed(pad_then_conv(x, convolution(width, 3, strides=2), 1)))
    for _ in range(config.blocks):  # (n, 64, 64, 256)
        x = residual(x)
    for width in (2 * config.width, config.width):  # (n, 128, 128, 128), (n, 256, 256, 64)
        x = keras.layers.ReLU()(normed(upsample(x, width, 3, config.upsampling, biased)))
    x = pad_then_conv(
        x, dcgan_init(keras.layers.Conv2D, outputs, 7), 3, ReflectionPadding
    )  # (n, 256, 256, 3)
    out = keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(image, out, name=name)
