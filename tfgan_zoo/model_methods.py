"""Parts of the methods `sample`, `translate` and `stylize` that exported models share with models.

An exported model needs no Keras, whose import takes half of the time of a short command. So nothing
here imports it.
"""

import math

import numpy as np
import tensorflow as tf

from tfgan_zoo.data.transforms import resize_longer_side
from tfgan_zoo.errors import UserError, join_names, suggestion

DIRECTIONS = ("xy", "yx")


# --- latent codes and conditions


def check_codes(z, size):
    """Return codes as a float32 array (n, size).

    Raises:
        UserError: there are no codes, or they have another size.
    """
    z = np.asarray(z, np.float32)
    if z.ndim != 2 or z.shape[1] != size or not len(z):
        raise UserError(f"codes z must be float32 (n, {size}) with n > 0, got shape {z.shape}.")
    return z


def sample_latent(n, size, seed):
    """Draw n codes from N(0, I) for an integer seed: float32 (n, size)."""
    return tf.random.stateless_normal((n, size), tf.stack([tf.cast(seed, tf.int64), 0]))


def map_batches(function, *arrays, size=256):
    """Apply a function to arrays in batches, and return the concatenated result.

    Args:
        function: takes one tensor per array, returns a tensor with the same first dimension.
        *arrays: arrays of equal length.
        size: int, the batch size.

    Returns:
        A NumPy array.
    """
    outputs = [
        function(*(tf.convert_to_tensor(array[i : i + size]) for array in arrays))
        for i in range(0, len(arrays[0]), size)
    ]
    return np.concatenate([np.asarray(output) for output in outputs])


def cycle_labels(labels, n):
    """Repeat labels in turn until there are n."""
    if labels is None:
        return None
    labels = np.atleast_1d(labels)
    return labels[np.arange(n) % len(labels)]


def class_numbers(labels, names):
    """Convert class names to class numbers.

    A number as text is a class number, unless classes are named by other numbers: of the classes
    1, 2 and 3, the label "1" is the first one, whose number is 0.

    Args:
        labels: names, or anything else, which is returned unchanged.
        names: names of the classes, in order; may be empty.

    Returns:
        A list of integers, or `labels`.

    Raises:
        UserError: no class has that name.
    """
    if labels is None or not all(isinstance(label, str) for label in np.ravel(labels)):
        return labels
    labels = np.atleast_1d(labels).astype(str)
    named_by_numbers = any(name.isdecimal() and name != str(i) for i, name in enumerate(names))
    numbers = {name: i for i, name in enumerate(names)}
    for label in np.unique(labels).tolist():
        is_number = label.isdecimal() and len(label) < 10 and not named_by_numbers
        if label not in numbers and not is_number:
            expected = f"one of {join_names(names)}" if names else "numbers: no names are stored"
            hint = suggestion(label, names)
            raise UserError(f"labels must be {expected}, got {label!r}. {hint}".rstrip())
    return [int(numbers.get(label, label)) for label in labels.tolist()]


def condition_inputs(labels, n, classes, names=()):
    """Return the condition of n images, in a list that is empty for an unconditional model.

    Args:
        labels: integers or names (n,), or vectors (n, classes). None: all classes in turn.
        n: int, the number of images.
        classes: int, the length of the condition, 0 for an unconditional model.
        names: names of the classes, or of the entries of vectors; may be empty.

    Returns:
        A list with one float32 array (n, classes), or an empty list.

    Raises:
        UserError: the labels do not fit, or an unconditional model gets labels.
    """
    if not classes:
        if labels is not None:
            raise UserError(
                "labels need a conditional model such as cgan_mnist, this one is not conditional: "
                f"leave them out, got {np.unique(labels).tolist()}."
            )
        return []
    labels = np.arange(n) % classes if labels is None else np.asarray(class_numbers(labels, names))
    if labels.ndim < 2 and np.issubdtype(labels.dtype, np.integer):
        unknown = np.unique(labels[(labels < 0) | (labels >= classes)]).tolist()
        if unknown:
            raise UserError(
                f"labels must be integers from 0 to {classes - 1}, "
                f"got {', '.join(map(str, unknown))}."
            )
        if labels.shape != (n,):
            raise UserError(f"labels must be {n} integers, one per image, got {labels.size}.")
        return [(labels[:, None] == np.arange(classes)).astype(np.float32)]
    if labels.shape != (n, classes):
        raise UserError(f"label vectors must be of shape {(n, classes)}, got shape {labels.shape}.")
    return [labels.astype(np.float32)]


# --- translation


def check_images(images, channels):
    """Check that `images` are uint8 or uint16, not empty, and have `channels` channels.

    Raises:
        UserError: if they are not.
    """
    if (
        images.dtype not in (np.uint8, np.uint16)
        or images.ndim not in (3, 4)
        or images.shape[-1] != channels
        or not images.size
    ):
        raise UserError(
            f"images must be uint8 (or uint16) of shape (h, w, {channels}) or "
            f"(n, h, w, {channels}), got {images.dtype} {images.shape}."
        )


def reference_translations(model):
    """Translate one random image in every direction: uint8 (n,).

    Its sides, 52 and 75, are not multiples of any network's stride.
    """
    random = np.random.default_rng(0)
    images = {
        direction: random.integers(0, 256, (52, 75, model.channels(direction)[0]), np.uint8)
        for direction in model.directions
    }
    translated = [model.translate(image, direction) for direction, image in images.items()]
    return np.concatenate([image.ravel() for image in translated])


# --- stylization


def check_image(image, name="The image", least=8):
    """Raise `UserError` unless an image is uint8 (h, w, 3) with sides of `least` pixels or more."""
    is_rgb = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    if not is_rgb or min(image.shape[:2]) < least:
        raise UserError(
            f"{name} must be uint8 (h, w, 3) with at least {least} pixels on each side, "
            f"got {image.dtype} {image.shape}."
        )


def check_styles(styles, alpha):
    """Raise `UserError` unless all styles are valid images and alpha is in [0, 1]."""
    for style in styles or ():
        check_image(style, "A style image", 32)
    if not 0.0 <= alpha <= 1.0:
        raise UserError(f"alpha must be in [0, 1], got {alpha}.")


def normalized_weights(weights, count):
    """Return the weights of `count` styles, scaled so that they add up to 1.

    Args:
        weights: a list of numbers of at least 0; equal weights if None.
        count: number of styles.

    Raises:
        UserError: a wrong number of weights, one that is negative or not finite, or only zeros.
    """
    weights = [1.0] * count if weights is None else list(weights)
    valid = count and len(weights) == count and min(weights) >= 0
    if not valid or not 0 < sum(weights) < math.inf:
        raise UserError(
            f"style_weights must have a finite number of at least 0 for each of {count} styles, "
            f"and not only zeros, got {weights}."
        )
    return [weight / sum(weights) for weight in weights]


def stylize_with_statistics(moments, paint, image, styles, alpha, style_weights, own=None):
    """Run `AdaIN.stylize` on a model or on an exported one.

    Args:
        moments: function from a uint8 image to its feature statistics, float32 (2, 1, 1, c).
        paint: function (image, its statistics, the style's statistics, alpha) -> uint8 (h, w, 3).
        image: see `AdaIN.stylize`.
        styles: see `AdaIN.stylize`.
        alpha: see `AdaIN.stylize`.
        style_weights: see `AdaIN.stylize`.
        own: see `AdaIN.stylize`.

    Returns:
        uint8 (h, w, 3).
    """
    check_image(image)
    check_styles(styles, alpha)
    weights = normalized_weights(style_weights, len(styles))
    style_statistics = sum(
        weight * np.asarray(moments(style)) for weight, style in zip(weights, styles, strict=True)
    )
    if own is None:  # the encoder needs 32 pixels on each side: enlarge smaller images
        own = moments(resize_longer_side(image, max(image.shape)))
    return np.asarray(
        paint(
            image,
            tf.constant(own),
            tf.constant(style_statistics, tf.float32),
            tf.constant(alpha, tf.float32),
        )
    )


def reference_stylizations(model):
    """Stylize a random image of 52x75 pixels (no multiple of any stride) by a model.

    Args:
        model: a `StylizationModel` or an exported one.

    Returns:
        uint8 (52, 75, 3).
    """
    random = np.random.default_rng(0)
    content, *styles = (
        random.integers(0, 256, size, np.uint8) for size in ((52, 75, 3), (40, 64, 3), (55, 39, 3))
    )
    if model.takes_styles:
        return model.stylize(content, styles, 0.75, (1.0, 2.0))
    return model.stylize(content)
