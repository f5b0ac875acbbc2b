"""AdaIN: any image in the style of any other, in one pass.

Paper: Huang, Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance
Normalization", 2017, arXiv 1703.06868.

    t = AdaIN(f(x), f(y)) = std(f(y)) (f(x) - mean(f(x))) / std(f(x)) + mean(f(y))
    min over g:  E  content_weight |f(g(t)) - t|^2
                    + style_weight mean over layers
                      (|mean(F(g(t))) - mean(F(y))|^2 + |std(F(g(t))) - std(F(y))|^2) / 2

    x: content,  y: style,  f: VGG-19 to block4_conv1,  F: features of all LAYERS,  g: decoder

Step: one step of Adam on the weighted sum. Only the decoder g is trained, the encoder f is frozen.

Deviations from the paper:

- By default the features are those of a random network with VGG-19's layers at half the width,
  which needs no download. features=imagenet is the paper's network.
- Errors are averaged over layers, and over mean and standard deviation. The paper sums them.
- Errors are divided by the variance of the target's features. A weight then means the same for
  every feature network. `losses.relative_error` is not used: it divides by the mean square, which
  is dominated by the mean in random networks.
- The encoder may be any network with these layers. Features are scaled by a constant before the
  decoder, which mirrors the encoder.
- Optional terms of later papers, 0 by default: the identity loss and the structure loss of Park &
  Lee 2019 (Arbitrary Style Transfer with Style-Attentional Networks, arXiv 1812.02342), and the
  total variation.
- Options against patterns of the upsampling layers, off by default: bilinear upsampling, and a
  random shift before the losses.

Presets: adain_folder_256 (as in the paper, for two folders), adain_folder_128 (with the small
network of this package, in minutes on a CPU), adain_photographs (built-in images), adain_tiny (for
tests).
"""

import dataclasses
import functools

import keras
import tensorflow as tf

from tfgan_zoo.config import PERCEPTUAL_NETWORKS, check_features
from tfgan_zoo.data.transforms import to_float
from tfgan_zoo.layers import ReflectionPadding, Upsampling
from tfgan_zoo.losses import absolute_error, total_variation
from tfgan_zoo.model_methods import (
    check_image,
    reference_stylizations,
    stylize_with_statistics,
)
from tfgan_zoo.models.stylization import (
    OnePassConfig,
    StylizationModel,
)
from tfgan_zoo.optimizers import Adam

# The decoder inverts the last layer.
LAYERS = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1")
STRUCTURE_LAYERS = LAYERS[2:]


@dataclasses.dataclass(frozen=True)
class AdaINConfig(OnePassConfig):
    """Training of AdaIN."""

    learning_rate: float = 1e-4  # of Adam, at the first step
    decay: float = 5e-5  # learning rate at a step: learning_rate / (1 + decay * step)
    loss_features: str = ""  # network F of the losses; empty: that of the encoder
    structure_weight: float = 0.0  # of the error of normalized features to those of the content
    identity_weight: float = 0.0  # of the error of g(f(x)) to x and of g(f(y)) to y, in pixels
    identity_features_weight: float = 0.0  # of the same error, in features
    variation_weight: float = 0.0  # of the total variation

    takes_styles = True
    data_kind = "domains"
    x_channels = y_channels = 3
    multiple = 1

    def __post_init__(self):
        super().__post_init__()
        if self.loss_features:
            check_features("loss_features", self.loss_features, PERCEPTUAL_NETWORKS)


def mean_and_std(features):
    """Compute mean and standard deviation over positions: (n, h, w, c) -> (n, 1, 1, c) each."""
    mean, variance = tf.nn.moments(features, (1, 2), keepdims=True)
    return mean, tf.sqrt(variance + 1e-5)


def adain(content, content_statistics, style_statistics):
    """Give features the style's mean and standard deviation in every channel (equation 8).

    Args:
        content: f(x), (n, h, w, c).
        content_statistics: mean and standard deviation of f(x), each (n, 1, 1, c).
        style_statistics: mean and standard deviation of f(y), each (n, 1, 1, c).

    Returns:
        t, (n, h, w, c).
    """
    mean_x, std_x = content_statistics[0], content_statistics[1]
    mean_y, std_y = style_statistics[0], style_statistics[1]
    return (content - mean_x) / std_x * std_y + mean_y


def normalized_distance(output, target, features):
    """Compute the mean squared distance, divided by the variance of features.

    Args:
        output: float32 tensor.
        target: float32 tensor of the same shape.
        features: (n, h, w, c). If they are nearly constant, a hundredth of their mean square is
            used instead of their variance.
    """
    variance = tf.reduce_mean(tf.square(mean_and_std(features)[1]))
    scale = tf.maximum(variance, 0.01 * tf.reduce_mean(tf.square(features)))
    return tf.reduce_mean(tf.square(output - target)) / scale


def statistics_distance(output, target):
    """Compute the mean of the distances between channel means and standard deviations.

    Args:
        output: features (n, h, w, c).
        target: features (n, h', w', c).
    """
    distances = [
        normalized_distance(a, b, target)
        for a, b in zip(mean_and_std(output), mean_and_std(target), strict=True)
    ]
    return tf.add_n(distances) / 2.0


def normalized(features):
    """Give every channel mean 0 and standard deviation 1."""
    mean, std = mean_and_std(features)
    return (features - mean) / std


def decoder(widths, upsampling="nearest"):
    """Build g: features (n, h, w, widths[3]) -> image (n, 8 h, 8 w, 3), about [-1, 1].

    Args:
        widths: channels of the encoder's four layers, from the image on: 64, 128, 256, 512 for
            VGG-19.
        upsampling: nearest or bilinear.

    Returns:
        A `keras.Model` for features of any size.
    """
    w1, w2, w3, w4 = widths

    def convolution(x, width, activation="relu"):
        return keras.layers.Conv2D(width, 3, activation=activation)(ReflectionPadding(1)(x))

    features = x = keras.Input((None, None, w4), name="features")  # (n, 32, 32, 512)
    x = Upsampling(upsampling)(convolution(x, w3))  # (n, 64, 64, 256)
    for _ in range(3):
        x = convolution(x, w3)
    x = Upsampling(upsampling)(convolution(x, w2))  # (n, 128, 128, 128)
    x = convolution(x, w2)
    x = Upsampling(upsampling)(convolution(x, w1))  # (n, 256, 256, 64)
    x = convolution(x, w1)
    image = keras.layers.Activation("linear", dtype="float32")(convolution(x, 3, None))
    return keras.Model(features, image, name="decoder")


@keras.saving.register_keras_serializable("tfgan_zoo")
class AdaIN(StylizationModel):
    """Frozen encoder, and a decoder for any style (Huang & Belongie 2017, arXiv 1703.06868).

    `call` and `predict` take (content, style), float32 (n, h, w, 3) in [-1, 1] each, and return the
    stylized contents, with sides rounded down to multiples of 8.
    """

    Config = AdaINConfig
    multiple = 8

    def build_networks(self):
        self.extract_features = self.config.feature_network(LAYERS)
        self.extract_loss_features = self.extract_features  # F; see `compile`
        self.encoder = self.extract_features.network
        widths = [output.shape[-1] for output in self.encoder.outputs]
        self.decoder = decoder(widths, self.config.upsampling)
        # Features are in the hundreds. Unscaled they would saturate the decoder's ReLUs at 0.
        noise = tf.random.stateless_uniform((1, 64, 64, 3), (0, 0), -1.0, 1.0)
        size = tf.sqrt(tf.reduce_mean(tf.square(self.encode(noise))))
        self.factor = self.add_weight(
            name="factor", shape=(), initializer="ones", trainable=False, autocast=False
        )
        self.factor.assign(1.0 / size)

    def encode(self, images):
        """Compute f: the features of the last layer."""
        return self.extract_features(tf.cast(images, tf.float32))[LAYERS[-1]]

    def decode(self, features, training=False):
        """Compute g: scale the features to about 1 and decode them to images."""
        return self.decoder(self.factor * features, training=training)

    def players(self):
        return {"decoder": [self.decoder]}

    def make_optimizer(self, player):
        rate, decay = self.config.learning_rate, self.config.decay
        if decay:
            rate = keras.optimizers.schedules.InverseTimeDecay(rate, 1, decay)
        return Adam(rate)

    def unpack_batch(self, data):
        return self.content_and_style(data)

    def compile(self, *args, **options):
        """Load the network of the losses and build the optimizer; see `ZooModel.compile`."""
        super().compile(*args, **options)
        if self.config.loss_features:
            features = self.config.loss_features
            self.extract_loss_features = self.config.feature_network(LAYERS, features)

    def compute_losses(self, batch, training=True):
        x, y = (tf.cast(images, tf.float32) for images in batch)
        config, last = self.config, LAYERS[-1]
        content, style = self.encode(x), self.extract_features(y)
        statistics = mean_and_std(content), mean_and_std(style[last])
        t = adain(content, *statistics)
        output = self.decode(t, training=training)
        losses, total = self.identity_losses([(x, content), (y, style[last])], training)
        # Compare features of the same part of g(t) and x.
        output, x_part = self.random_shift(tf.cast(output, tf.float32), x)
        if config.jitter:
            content = self.encode(x_part)
            t = adain(content, *statistics)
        features = self.extract_features(output)
        content_loss = normalized_distance(features[last], t, t)
        # The losses' own network.
        if config.loss_features:
            features, style = self.extract_loss_features(output), self.extract_loss_features(y)
        style_losses = [statistics_distance(features[layer], style[layer]) for layer in LAYERS]
        style_loss = tf.add_n(style_losses) / len(LAYERS)
        losses = {"content": content_loss, "style": style_loss, **losses}
        total += config.content_weight * content_loss + config.style_weight * style_loss
        if config.structure_weight:
            losses["structure"] = self.structure_loss(features, x_part)
            total += config.structure_weight * losses["structure"]
        if config.variation_weight:
            losses["variation"] = total_variation(output)
            total += config.variation_weight * losses["variation"]
        return {"decoder": total, **losses}

    def structure_loss(self, features, x):
        """Return the error of normalized features to those of the content.

        Without mean and standard deviation, features show the structure of an image (Park & Lee
        2019, arXiv 1812.02342, equation 9).
        """
        x_features = self.extract_loss_features(x)
        errors = [
            tf.reduce_mean(tf.square(normalized(features[layer]) - normalized(x_features[layer])))
            for layer in STRUCTURE_LAYERS
        ]
        return tf.add_n(errors) / len(errors)

    def identity_losses(self, images, training):
        """Return ({name: loss}, weighted sum) of the reconstructions g(f(x)) and g(f(y)).

        With equal content and style, AdaIN changes nothing, and the decoder must return the image
        (Park & Lee 2019, arXiv 1812.02342, equation 10).

        Args:
            images: list of (images, their features).
            training: mode of the decoder.
        """
        weights = {
            "identity": self.config.identity_weight,
            "identity_features": self.config.identity_features_weight,
        }
        losses = {name: 0.0 for name, weight in weights.items() if weight}
        if not losses:
            return {}, 0.0
        for image, image_features in images:
            output = tf.cast(self.decode(image_features, training=training), tf.float32)
            if "identity" in losses:
                losses["identity"] += absolute_error(output, image) / 2.0
            if "identity_features" in losses:
                features, targets = self.extract_features(output), self.extract_features(image)
                errors = [normalized_distance(features[x], targets[x], targets[x]) for x in LAYERS]
                losses["identity_features"] += tf.add_n(errors) / (2.0 * len(errors))
        return losses, tf.add_n([weights[name] * loss for name, loss in losses.items()])

    def call(self, batch, training=False):
        """Stylize (content, style): float32 (n, h, w, 3) in [-1, 1]."""
        x, y = self.unpack_batch(batch)
        content, style = self.encode(x), self.encode(y)
        t = adain(content, mean_and_std(content), mean_and_std(style))
        return tf.clip_by_value(self.decode(t, training), -1.0, 1.0)

    def stylize_tensor(self, images, content_statistics, style_statistics, alpha):
        """Stylize images with given statistics.

        Args:
            images: float32 (n, h, w, 3), sides multiples of 8.
            content_statistics: float32 (2, 1, 1, c), see `moments`.
            style_statistics: float32 (2, 1, 1, c).
            alpha: scalar in [0, 1].

        Returns:
            float32 (n, h, w, 3).
        """
        content = self.encode(images)
        t = adain(content, content_statistics, style_statistics)
        return self.decode(alpha * t + (1.0 - alpha) * content)

    def moments(self, image):
        """Compute the statistics of an image's features.

        Args:
            image: uint8 (h, w, 3), at least 32 pixels on each side.

        Returns:
            float32 array (2, 1, 1, c): mean and standard deviation of every channel.
        """
        check_image(image, least=32)
        return self.moments_graph(image).numpy()

    def stylize(self, image, styles, alpha=1.0, style_weights=None, own=None):
        """Give an image the style of others.

        Args:
            image: uint8 (h, w, 3), of any size.
            styles: list of uint8 (h', w', 3), at least 32 pixels on each side.
            alpha: strength of the style (section 6.4). 0: the decoder's reconstruction of the
                image. 1: the full style.
            style_weights: weight of each style; equal weights if None.
            own: `moments` of the whole image if `image` is a tile of it; those of `image` if None.

        Returns:
            uint8 (h, w, 3).

        Raises:
            UserError: invalid images, weights or alpha.
        """
        return stylize_with_statistics(
            self.moments, self.stylize_graph, image, styles, alpha, style_weights, own
        )

    def moments_tensor(self, image):
        """Compute `moments` of a uint8 tensor (h, w, 3)."""
        return self.moments_of_batch(image[None])[:, 0]

    def moments_of_batch(self, images):
        """Compute `moments` of each image: uint8 tensor (n, h, w, 3) -> float32 (2, n, 1, 1, c)."""
        return tf.stack(mean_and_std(self.encode(to_float(images))))

    @functools.cached_property
    def moments_graph(self):
        spec = tf.TensorSpec((None, None, 3), tf.uint8)
        return tf.function(self.moments_tensor, input_signature=[spec])

    @functools.cached_property
    def stylize_graph(self):
        image = tf.TensorSpec((None, None, 3), tf.uint8)
        statistics = tf.TensorSpec((2, 1, 1, self.encoder.outputs[-1].shape[-1]), tf.float32)
        signature = [image, statistics, statistics, tf.TensorSpec(())]
        return tf.function(self.stylize_uint8, input_signature=signature)

    def reference_outputs(self):
        """Return fixed outputs that an exported model must reproduce to within 1/255."""
        return reference_stylizations(self)

    def signatures(self):
        """Return the signatures of the exported model: `{name: (function, input specs)}`."""

        def stylize(images, styles, weights, alpha):
            total = tf.reduce_sum(weights)
            valid = tf.reduce_all(weights >= 0.0) & (total > 0.0) & tf.math.is_finite(total)
            message = "weights must be finite, at least 0 and not only zeros, got"
            tf.debugging.Assert(valid, [message, weights])
            statistics = tf.map_fn(self.moments_tensor, styles, fn_output_signature=tf.float32)
            style = tf.tensordot(weights / total, statistics, 1)

            def stylize_one(image):
                return self.stylize_uint8(image, self.moments_tensor(image), style, alpha)

            return {"images": tf.map_fn(stylize_one, images)}

        def moments(image):
            return {"moments": self.moments_tensor(image)}

        def paint(image, own, style, alpha):
            return {"image": self.stylize_uint8(image, own, style, alpha)}

        def specs(**inputs):
            return [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in inputs.items()]

        images = tf.TensorSpec((None, None, None, 3), tf.uint8)
        image, scalar = tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec(())
        statistics = tf.TensorSpec((2, 1, 1, self.encoder.outputs[-1].shape[-1]), tf.float32)
        stylize_specs = specs(
            images=images, styles=images, weights=tf.TensorSpec((None,)), alpha=scalar
        )
        paint_specs = specs(image=image, own=statistics, style=statistics, alpha=scalar)
        return {
            "stylize": (stylize, stylize_specs),
            "serving_default": (stylize, stylize_specs),
            "moments": (moments, specs(image=image)),
            "paint": (paint, paint_specs),
        }
