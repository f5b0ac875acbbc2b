"""AdaIN: any picture in the style of any other, in one pass.

Paper: Huang, Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", 2017, arXiv 1703.06868.

    t = AdaIN(f(x), f(y)) = std(f(y)) (f(x) - mean(f(x))) / std(f(x)) + mean(f(y))     x: content, y: style, f: VGG19 to block4_conv1
    min over g:  E  |f(g(t)) - t|^2 + b sum over layers |mean(F(g(t))) - mean(F(y))|^2 + |std(F(g(t))) - std(F(y))|^2

Step: the encoder f is frozen; the decoder g moves along the gradient of the weighted sum.

Deviations from the paper: errors divided by the variance of the target's features, so that weights mean the same through every network
(not by their mean square, which in random networks is nearly all mean, and says nothing of what is where); the encoder may be any that has
the layers, and the decoder is its mirror image behind a constant factor.

Presets: adain_folder_256 (the paper's form, for two folders), adain_folder_128 (through our small network, in minutes on a CPU; the README
has numbers), adain_photographs (embedded data).
"""

import dataclasses
import functools

import keras
import tensorflow as tf

from tfgan_zoo.data.transforms import to_float
from tfgan_zoo.errors import UserError
from tfgan_zoo.layers import ReflectionPadding
from tfgan_zoo.models.replicated import check_float_images
from tfgan_zoo.models.stylization import (
    StylizationConfig,
    StylizationModel,
    check_image,
    reference_stylizations,
    stylize_with_statistics,
)
from tfgan_zoo.optimizers import Adam

LAYERS = (
    "block1_conv1",
    "block2_conv1",
    "block3_conv1",
    "block4_conv1",
)  # the last one is decoded from


@dataclasses.dataclass(frozen=True)
class AdaINConfig(StylizationConfig):
    learning_rate: float = 1e-4  # Adam, at first
    decay: float = 5e-5  # the rate falls as 1 / (1 + decay step)

    data_kind = "domains"
    x_channels = y_channels = 3
    multiple = 1


def adain(content, style):
    """Content features with the style features' mean and deviation in every channel: (n, h, w, c), (n, h', w', c) -> (n, h, w, c)."""
    mean, deviation = mean_and_std(content)
    wanted_mean, wanted_deviation = mean_and_std(style)
    return (content - mean) / deviation * wanted_deviation + wanted_mean


def mean_and_std(features):
    """Mean and standard deviation over the pixels: (n, 1, 1, c) each."""
    mean, variance = tf.nn.moments(features, (1, 2), keepdims=True)
    return mean, tf.sqrt(variance + 1e-5)


def normalized_distance(found, wanted, features):
    """Mean squared distance, in units of the variance of some features; of flat ones, a hundredth of their mean square."""
    variance = tf.reduce_mean(tf.square(mean_and_std(features)[1]))
    return tf.reduce_mean(tf.square(found - wanted)) / tf.maximum(
        variance, 0.01 * tf.reduce_mean(tf.square(features))
    )


def statistics_distance(found, wanted):
    """That of means and deviations, halved."""
    return (
        tf.add_n(
            [
                normalized_distance(a, b, wanted)
                for a, b in zip(mean_and_std(found), mean_and_std(wanted), strict=True)
            ]
        )
        / 2.0
    )


def decoder(widths):
    """Features (n, h, w, widths[3]) -> image (n, 8 h, 8 w, 3), about [-1, 1].

    Args:
        widths: the channels of the encoder's four layers, from the image on: 64, 128, 256, 512 for VGG19.

    Returns:
        A built `keras.Model` for any image size.
    """
    w1, w2, w3, w4 = widths

    def convolution(x, width, activation="relu"):
        return keras.layers.Conv2D(width, 3, activation=activation)(ReflectionPadding(1)(x))

    features = x = keras.Input((None, None, w4), name="features")
    x = keras.layers.UpSampling2D()(convolution(x, w3))  # (n, 64, 64, 256)
    for _ in range(3):
        x = convolution(x, w3)
    x = keras.layers.UpSampling2D()(convolution(x, w2))  # (n, 128, 128, 128)
    x = convolution(x, w2)
    x = keras.layers.UpSampling2D()(convolution(x, w1))  # (n, 256, 256, 64)
    x = convolution(x, w1)
    image = keras.layers.Activation("linear", dtype="float32")(convolution(x, 3, None))
    return keras.Model(features, image, name="decoder")


@keras.saving.register_keras_serializable("tfgan_zoo")
class AdaIN(StylizationModel):
    """An encoder, frozen, and a decoder for any style (Huang & Belongie 2017, arXiv 1703.06868)."""

    Config = AdaINConfig
    multiple = 8
    takes_styles = True

    def build_networks(self):
        self.extract_features = self.config.feature_network(LAYERS)
        self.encoder = self.extract_features.network
        self.decoder = decoder([output.shape[-1] for output in self.encoder.outputs])
        noise = tf.random.stateless_uniform((1, 64, 64, 3), (0, 0), -1.0, 1.0)
        size = tf.sqrt(
            tf.reduce_mean(tf.square(self.encode(noise)))
        )  # hundreds, of which the decoder's ReLUs would die
        self.factor = self.add_weight(
            name="factor", shape=(), initializer="ones", trainable=False, autocast=False
        )
        self.factor.assign(1.0 / size)

    def decode(self, features, training=False):
        """g: features that are no larger than an image's values go through the decoder."""
        return self.decoder(self.factor * features, training=training)

    def players(self):
        return {"decoder": [self.decoder]}

    def make_optimizer(self, player):
        rate = self.config.learning_rate
        return Adam(
            keras.optimizers.schedules.InverseTimeDecay(rate, 1, self.config.decay)
            if self.config.decay
            else rate
        )

    def unpack_batch(self, data):
        """A training batch as (content, style)."""
        if not isinstance(data, (tuple, list)) or len(data) != 2:
            raise UserError(
                f"AdaIN needs batches (content, style) of images, received {type(data).__name__}"
            )
        return tuple(check_float_images(images) for images in data)

    def encode(self, images):
        """The features of the layer that is decoded from."""
        return self.extract_features(tf.cast(images, tf.float32))[LAYERS[-1]]

    def compute_losses(self, batch):
        x, y = batch
        style = self.extract_features(tf.cast(y, tf.float32))
        target = tf.stop_gradient(adain(self.encode(x), style[LAYERS[-1]]))  # t
        found = self.extract_features(
            tf.cast(self.decode(target, training=True), tf.float32)
        )  # F(g(t))
        content_loss = normalized_distance(found[LAYERS[-1]], target, target)
        style_loss = tf.add_n(
            [statistics_distance(found[layer], style[layer]) for layer in LAYERS]
        ) / len(LAYERS)
        total = self.config.content_weight * content_loss + self.config.style_weight * style_loss
        return {"decoder": total, "content": content_loss, "style": style_loss}

    def call(self, batch, training=False):
        """(content, style) -> the content in the style, float32 in [-1, 1]."""
        x, y = self.unpack_batch(batch)
        return tf.clip_by_value(
            self.decode(adain(self.encode(x), self.encode(y)), training), -1.0, 1.0
        )

    def paint(self, images, own, style, alpha):
        """Content float32 (n, h, w, 3), its moments and a style's (both (2, 1, 1, c)) -> float32 (n, h, w, 3)."""
        content = self.encode(images)
        target = (content - own[0]) / own[1] * style[1] + style[0]
        return self.decode(alpha * target + (1.0 - alpha) * content)

    def moments(self, image):
        """Mean and standard deviation of a picture's features, uint8 (h, w, 3) -> float32 array (2, 1, 1, c)."""
        check_image(image, least=32)
        return self.moments_graph(image).numpy()

    def stylize(self, image, styles, alpha=1.0, style_weights=None, own=None):
        """A picture in the style of others.

        Args:
            image: uint8 (h, w, 3), of any size.
            styles: a list of uint8 (h', w', 3), of at least 32 pixels to each side.
            alpha: from 0, the content as the decoder gives it back, to 1, all of the style (section 6.4).
            style_weights: how much each style counts; all alike where it is missing.
            own: `moments` of the picture that this is a part of, if it is one.

        Returns:
            uint8 (h, w, 3).

        Raises:
            UserError: no such pictures, weights or alpha.
        """
        return stylize_with_statistics(
            self.moments, self.graph, image, styles, alpha, style_weights, own
        )

    def moments_of(self, image):
        return tf.stack([part[0] for part in mean_and_std(self.encode(to_float(image)[None]))])

    @functools.cached_property
    def moments_graph(self):
        return tf.function(
            self.moments_of, input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)]
        )

    @functools.cached_property
    def graph(self):
        found = tf.TensorSpec((2, 1, 1, self.encoder.outputs[-1].shape[-1]), tf.float32)
        return tf.function(
            self.apply,
            input_signature=[
                tf.TensorSpec((None, None, 3), tf.uint8),
                found,
                found,
                tf.TensorSpec(()),
            ],
        )

    def reference_outputs(self):
        """What an exported copy must make alike."""
        return reference_stylizations(self)

    def signatures(self):
        """What an exported model can do: `{name: (function, its input specs)}`."""

        def stylize(images, styles, weights, alpha):
            parts = tf.map_fn(
                self.moments_of, styles, fn_output_signature=tf.float32
            )  # (m, 2, 1, 1, c)
            style = tf.tensordot(weights / tf.reduce_sum(weights), parts, 1)
            return {
                "images": tf.map_fn(
                    lambda image: self.apply(image, self.moments_of(image), style, alpha), images
                )
            }

        def paint(image, own, style, alpha):
            return {"image": self.apply(image, own, style, alpha)}

        several, one = (tf.TensorSpec((*(None,) * n, 3), tf.uint8) for n in (3, 2))
        found = tf.TensorSpec((2, 1, 1, self.encoder.outputs[-1].shape[-1]), tf.float32)
        named = {
            "images": several,
            "styles": several,
            "weights": tf.TensorSpec((None,)),
            "alpha": tf.TensorSpec(()),
        }
        parts = {"image": one, "own": found, "style": found, "alpha": tf.TensorSpec(())}

        def specs(inputs):
            return [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in inputs.items()]

        whole = (stylize, specs(named))
        return {
            "stylize": whole,
            "serving_default": whole,
            "moments": (lambda image: {"moments": self.moments_of(image)}, specs({"image": one})),
            "paint": (paint, specs(parts)),
        }
