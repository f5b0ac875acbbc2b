"""What the models of style share: the network to look through, and `stylize` for pictures of any size."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfgan_zoo.config import ModelConfig
from tfgan_zoo.data.transforms import apply_at_any_size, resize_longer_side, to_float, to_uint8
from tfgan_zoo.errors import UserError, check_at_least, check_choice
from tfgan_zoo.features.vgg import load_perceptual_network
from tfgan_zoo.models.base import ZooModel
from tfgan_zoo.visualize import pad_to_common_size

STYLE_LAYERS = (
    "block1_conv1",
    "block2_conv1",
    "block3_conv1",
    "block4_conv1",
    "block5_conv1",
)  # Gatys et al. 2016, section 3
CONTENT_LAYERS = ("block4_conv2",)


@dataclasses.dataclass(frozen=True)
class StylizationConfig(ModelConfig):
    """What the networks for style have."""

    image_size: int = (
        256  # pixels of a training crop, square; pictures to stylise may be of any size
    )
    features: str = "random"  # the network to look through: random, small, imagenet, or a file (see features.perceptual)
    features_width: int = 32  # channels of its first block if it is random; VGG19 has 64
    pooling: str = "max"  # or average
    content_weight: float = 1.0
    style_weight: float = 10.0

    task = "stylize"
    channels = 3

    def __post_init__(self):
        check_at_least(32, image_size=self.image_size)
        check_at_least(1, features_width=self.features_width)
        check_choice("pooling", self.pooling, ("max", "average"))
        numbers = {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if isinstance(value, (int, float))
        }
        check_at_least(0, **numbers)

    def feature_network(self, layers):
        """The network to look through, a `features.PerceptualNetwork`."""
        return load_perceptual_network(
            self.features,
            layers,
            self.pooling,
            self.features_width if self.features == "random" else 64,
        )


class StylizationModel(ZooModel):
    """A network that stylises pictures of any size.

    A subclass has `multiple`, of which the sides of its network's images are multiples, and `paint`, from a content image and more to the
    stylised one, float32 (n, h, w, 3) in about [-1, 1].
    """

    multiple = 4
    takes_styles = False  # whether `stylize` takes styles, or the network has learnt one

    def train_step(self, data):
        return self.report(**self.descend(lambda: self.compute_losses(self.unpack_batch(data))))

    def apply(self, image, *more):
        """One picture of any size: uint8 tensor (h, w, 3) and what else `paint` takes -> uint8 (h, w, 3)."""
        out = apply_at_any_size(
            lambda x: self.paint(x, *more), to_float(image)[None], self.multiple, 32
        )
        return to_uint8(out)[0]

    def sample_grid(self, count, seed, fixed_images):
        """A picture of what the model has learnt, (images, columns): contents, styles if there are several, and results below."""
        columns = []
        for i in range(min(count, len(fixed_images))):
            content, *styles = fixed_images.evaluation_images(i)
            columns.append([content, *styles, self.stylize(content, *([styles] if styles else []))])
        return pad_to_common_size(
            [image for row in zip(*columns, strict=True) for image in row]
        ), len(columns)


def check_image(image, name="a picture", least=8):
    """Raises `UserError` unless it is uint8 (h, w, 3) of at least so many pixels to each side."""
    if (
        image.dtype != np.uint8
        or image.ndim != 3
        or image.shape[2] != 3
        or min(image.shape[:2]) < least
    ):
        raise UserError(
            f"{name} must be uint8 (h, w, 3) of at least {least} pixels to each side, received {image.dtype} {image.shape}"
        )


def check_styles(styles, alpha):
    for style in styles or ():
        check_image(style, "a style", 32)
    if not 0.0 <= alpha <= 1.0:
        raise UserError(f"alpha must be in [0, 1], received alpha={alpha}")


def stylize_with_statistics(moments, paint, image, styles, alpha, style_weights, own=None):
    """`AdaIN.stylize` from its two functions: moments of a picture, and (image, its moments, the style's, alpha) -> uint8 (h, w, 3)."""
    check_image(image)
    check_styles(styles, alpha)
    shares = normalized_weights(style_weights, len(styles))
    style = sum(
        share * np.asarray(moments(each)) for share, each in zip(shares, styles, strict=True)
    )
    own = (
        moments(resize_longer_side(image, max(image.shape))) if own is None else own
    )  # a picture of a few pixels is enlarged for it
    return np.asarray(
        paint(
            image, tf.constant(own), tf.constant(style, tf.float32), tf.constant(alpha, tf.float32)
        )
    )


def reference_stylizations(model):
    """A picture of noise, whose sides no network needs, stylised by a model or by an exported one."""
    random = np.random.default_rng(0)
    content, *styles = (
        random.integers(0, 256, size, np.uint8) for size in ((52, 75, 3), (40, 64, 3), (55, 39, 3))
    )
    return (
        model.stylize(content, styles, 0.75, (1.0, 2.0))
        if model.takes_styles
        else model.stylize(content)
    )


def normalized_weights(weights, count):
    """What each of so many styles counts, together 1.

    Raises:
        UserError: another number of weights, a negative one, or nothing but 0.
    """
    weights = [1.0] * count if weights is None else list(weights)
    if not count or len(weights) != count or min(weights) < 0 or not sum(weights):
        raise UserError(
            f"{count} styles need as many weights of at least 0, not all 0, received style_weights={weights}"
        )
    return [weight / sum(weights) for weight in weights]
