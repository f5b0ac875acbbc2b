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


def batch_norm(at_test="running"):
    """Create batch norm with gamma ~ N(1, 0.02^2), as DCGAN's authors do, and PyTorch's constants.

    Args:
        at_test: the statistics at inference; see `BatchNormalization`.
    """
    gamma = keras.initializers.RandomNormal(mean=1.0, stddev=0.02)
    return BatchNormalization(at_test, momentum=0.9, epsilon=1e-5, gamma_initializer=gamma)


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


# --- Blocks of Pix2Pix and CycleGAN. The padding is that of the authors' PyTorch code, so that
# their weights can be imported (see saving/torch_weights.py).

# Receptive field of a PatchGAN logit in pixels: number of its stride-2 convolutions.
RECEPTIVE_FIELDS = {1: 0, 16: 1, 34: 2, 70: 3, 142: 4, 286: 5}


def norm_layer(kind, at_test="running"):
    """Return a normalization layer that suits batches of one image.

    Args:
        kind: "instance", without weights; or "batch".
        at_test: the statistics of batch norm at test time; see `BatchNormalization`.
    """
    if kind == "instance":
        return InstanceNormalization()
    return batch_norm(at_test)


def downsample(width, use_bias=True):
    """Return a 4x4 convolution with stride 2: (n, h, w, c) -> (n, h / 2, w / 2, width)."""
    return dcgan_init(keras.layers.Conv2D, width, 4, strides=2, padding="same", use_bias=use_bias)


def pad_then_conv(x, layer, size, padding=keras.layers.ZeroPadding2D):
    """Apply `padding` by `size` pixels on every side, then a convolution without padding."""
    return layer(padding(size)(x))


def upsample(x, width, kernel_size, upsampling, use_bias=True):
    """Double the height and width: (n, h, w, c) -> (n, 2 h, 2 w, width).

    Args:
        x: the input.
        width: number of output channels.
        kernel_size: 3 or 4, of a transposed convolution.
        upsampling: "transposed" convolution; or "resize", which is nearest-neighbor upsampling
            followed by a 3x3 convolution and avoids checkerboard artifacts (Odena et al. 2016,
            Deconvolution and Checkerboard Artifacts).
        use_bias: whether the convolution has a bias.
    """
    if upsampling == "resize":
        x = keras.layers.UpSampling2D(2)(x)
        convolution = dcgan_init(keras.layers.Conv2D, width, 3, use_bias=use_bias)
        return pad_then_conv(x, convolution, 1, ReflectionPadding)
    if kernel_size == 3:
        return dcgan_init(UpsamplingConv2DTranspose, width, use_bias=use_bias)(x)
    options = {"strides": 2, "padding": "same", "use_bias": use_bias}
    return dcgan_init(keras.layers.Conv2DTranspose, width, 4, **options)(x)


def patch_discriminator(channels, width, receptive_field, norm, name, slope=0.2):
    """Build a PatchGAN discriminator (Isola et al. 2016, arXiv 1611.07004, section 6.1.2).

    Args:
        channels: channels of the input, those of a condition included.
        width: channels of the first convolution.
        receptive_field: 1 (PixelGAN), 16, 34, 70, 142 or 286 pixels.
        norm: "batch" or "instance".
        name: name of the network.
        slope: negative slope of the leaky ReLUs.

    Returns:
        A `keras.Model` for images of any size: (n, h, w, channels) in [-1, 1] -> one logit per
        patch (n, h', w', 1). Shapes in the comments are for 256 pixels, width 64 and
        receptive_field 70.
    """
    check_choice("receptive_field", receptive_field, RECEPTIVE_FIELDS)
    # As in the authors' code: no bias with batch norm, also in layers without a norm.
    use_bias = norm == "instance"
    strides = RECEPTIVE_FIELDS[receptive_field]

    image = keras.Input((None, None, channels), name="image")
    if strides == 0:  # PixelGAN: 1x1 convolutions only
        x = dcgan_init(keras.layers.Conv2D, width, 1)(image)  # (n, 256, 256, 64)
        x = keras.layers.LeakyReLU(slope)(x)
        norm_of_hidden = norm_layer(norm)
        x = dcgan_init(keras.layers.Conv2D, 2 * width, 1, use_bias=use_bias)(x)
        x = norm_of_hidden(x)  # (n, 256, 256, 128)
        x = keras.layers.LeakyReLU(slope)(x)
        x = dcgan_init(keras.layers.Conv2D, 1, 1, use_bias=use_bias)(x)  # (n, 256, 256, 1)
    else:
        widths = [width * min(2**level, 8) for level in range(strides + 1)]
        x = downsample(width)(image)  # (n, 128, 128, 64), no norm
        x = keras.layers.LeakyReLU(slope)(x)
        for level in range(1, strides):  # (n, 64, 64, 128), (n, 32, 32, 256)
            x = norm_layer(norm)(downsample(widths[level], use_bias)(x))
            x = keras.layers.LeakyReLU(slope)(x)
        last = dcgan_init(keras.layers.Conv2D, widths[-1], 4, use_bias=use_bias)
        x = norm_layer(norm)(pad_then_conv(x, last, 1))  # (n, 31, 31, 512)
        x = keras.layers.LeakyReLU(slope)(x)
        x = pad_then_conv(x, dcgan_init(keras.layers.Conv2D, 1, 4), 1)  # (n, 30, 30, 1)
    logits = keras.layers.Activation("linear", dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name=name)


def convolution_block(x, width, kernel_size, config, strides=1):
    """Apply padding, a convolution and the norm of a ResNet generator, without an activation.

    Convolutions with stride 1 are padded by reflection, the others with zeros, to keep the size.
    """
    padding = ReflectionPadding if strides == 1 else keras.layers.ZeroPadding2D
    options = {"strides": strides, "use_bias": config.norm == "instance"}
    convolution = dcgan_init(keras.layers.Conv2D, width, kernel_size, **options)
    x = pad_then_conv(x, convolution, kernel_size // 2, padding)
    return norm_layer(config.norm, config.test_norm)(x)


def residual_block(x, width, config):
    """Residual block of a ResNet generator: (n, h, w, width) -> the same shape."""
    y = keras.layers.ReLU()(convolution_block(x, width, 3, config))
    y = convolution_block(y, width, 3, config)
    return keras.layers.Add()([x, y])


def resnet_generator(config, channels=None, name="generator"):
    """Build the ResNet generator of CycleGAN (Zhu et al. 2017, arXiv 1703.10593, section 7.2).

    Args:
        config: a `CycleGANConfig`.
        channels: (input channels, output channels); by default those of x and y.
        name: name of the network.

    Returns:
        A `keras.Model`, (n, h, w, c) -> (n, h, w, c'), both in [-1, 1]. h and w must be multiples
        of 4. Shapes in the comments are for 256 pixels and width 64.
    """
    inputs, outputs = channels or (config.x_channels, config.y_channels)
    width = config.width
    use_bias = config.norm == "instance"  # as in the authors' code: no bias with batch norm

    image = keras.Input((None, None, inputs), name="image")
    x = convolution_block(image, width, 7, config)  # (n, 256, 256, 64)
    x = keras.layers.ReLU()(x)
    for channels in (2 * width, 4 * width):  # (n, 128, 128, 128), (n, 64, 64, 256)
        x = convolution_block(x, channels, 3, config, strides=2)
        x = keras.layers.ReLU()(x)
    for _ in range(config.blocks):  # (n, 64, 64, 256)
        x = residual_block(x, 4 * width, config)
    for channels in (2 * width, width):  # (n, 128, 128, 128), (n, 256, 256, 64)
        x = upsample(x, channels, 3, config.upsampling, use_bias)
        x = norm_layer(config.norm, config.test_norm)(x)
        x = keras.layers.ReLU()(x)
    last = dcgan_init(keras.layers.Conv2D, outputs, 7)
    x = pad_then_conv(x, last, 3, ReflectionPadding)  # (n, 256, 256, 3)
    y = keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(image, y, name=name)
