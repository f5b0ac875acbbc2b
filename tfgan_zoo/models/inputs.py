"""Checks of the batches that `fit`, `evaluate`, `train_on_batch` and `test_on_batch` receive.

Shapes and dtypes are static, so `check_images` runs when a step is traced. Values are known only
when a step runs. `check_on_host` checks them before the step, outside of what XLA compiles.
"""

import re
import warnings

import numpy as np
import tensorflow as tf

from tfgan_zoo.errors import UserError

TOLERANCE = 0.01  # by which values may exceed [-1, 1]: the rounding of bfloat16


def check_images(images, shape, name="images", multiple=1):
    """Check the type and the shape of a batch of images.

    Args:
        images: a batch of a dataset.
        shape: (h, w, c). None for a side of any length.
        name: the name of the images in error messages.
        multiple: int. Sides must be multiples of it.

    Returns:
        A float32 tensor (n, h, w, c). What `shape` states is static.

    Raises:
        UserError: `images` is not a tensor of floating-point numbers with this shape.
    """
    expected = (None, *shape)
    if not isinstance(images, tf.Tensor):
        raise UserError(
            f"{name} must be a float32 tensor {format_shape(expected)}, "
            f"got {type(images).__name__}: select the images with dataset.map."
        )
    if not images.dtype.is_floating:
        raise UserError(
            f"{name} must be float32 in [-1, 1], got {images.dtype.name}: scale values from 0 to "
            "255 with x / 127.5 - 1."
        )
    if not images.shape.is_compatible_with(expected):
        received = images.shape.as_list()
        raise UserError(
            f"{name} must be {format_shape(expected)} in [-1, 1], got {format_shape(received)}: "
            f"{shape_advice(received, shape)}."
        )
    images = with_static_shape(images, expected)
    if any(side is not None and side % multiple for side in images.shape[1:3]):
        raise UserError(
            f"the sides of {name} must be multiples of {multiple}, "
            f"got {format_shape(images.shape.as_list())}: resize or crop the images."
        )
    return tf.cast(images, tf.float32)


def with_static_shape(tensor, shape):
    """Return a tensor with a static shape; if it is unknown, check it when a step runs."""
    if tensor.shape.rank is not None and all(
        actual is not None or expected is None
        for actual, expected in zip(tensor.shape, shape, strict=True)
    ):
        return tensor
    return tf.ensure_shape(tensor, shape)


def shape_advice(received, shape):
    """Return what to do with images of another shape than the model's.

    Args:
        received: list, the shape of the batch, None for an unknown length.
        shape: (h, w, c) of the model.
    """
    height, width, channels = shape

    def fits(lengths, expected):
        return all(
            None in pair or pair[0] == pair[1] for pair in zip(lengths, expected, strict=True)
        )

    if len(received) == 3:
        if fits(received, shape) and received[-1] == channels:
            return "batch the images with dataset.batch(n), or with x[None] for one image"
        if fits(received[1:], (height, width)):
            return "add the channel axis with x[..., None]"
    if len(received) == 4:
        _, first, *middle, last = received
        if first == channels != last and fits([*middle, last], (height, width)):
            return "move the channels to the last axis with np.moveaxis(x, 1, -1)"
        if last != channels:
            return f"convert the images to {channels} channels, or create a model for {last}"
        return "resize the images, or create a model with another image_size"
    return "a batch of images has 4 axes"


def parts_of(data):
    """Return the parts of a batch as a list: [images], [images, labels] or [x, y]."""
    return list(data) if isinstance(data, (tuple, list)) else [data]


def check_pair(data, model, names, shapes, multiple=1):
    """Check a batch of two images.

    Args:
        data: a batch of a dataset.
        model: str, name of the model for error messages.
        names: the names of the two images.
        shapes: for each image (h, w, c), see `check_images`.
        multiple: see `check_images`.

    Returns:
        A tuple of two float32 tensors.

    Raises:
        UserError: the batch is not a pair, or `check_images` raises it.
    """
    parts = parts_of(data)
    if len(parts) != 2:
        raise UserError(
            f"{model} needs batches ({', '.join(names)}) of images, got {len(parts)} of the two: "
            "pass fit(x, y), or a dataset of pairs."
        )
    return tuple(
        check_images(images, shape, name, multiple)
        for images, shape, name in zip(parts, shapes, names, strict=True)
    )


def check_labels(labels, classes, condition):
    """Check the type and the shape of a batch of labels.

    Args:
        labels: a batch of a dataset.
        classes: int, the number of classes or the length of the vectors.
        condition: "label", "vector" or "cluster", see `latent.ConditionConfig`.

    Returns:
        An int32 or int64 tensor (n,), or a float32 tensor (n, classes).

    Raises:
        UserError: the labels do not fit.
    """
    if not isinstance(labels, tf.Tensor):
        raise UserError(
            f"labels must be a tensor, got {type(labels).__name__}: select them with dataset.map."
        )
    received = f"got {labels.dtype.name} {format_shape(labels.shape)}"
    if condition == "vector":
        if not labels.shape.is_compatible_with((None, classes)):
            raise UserError(
                f"labels must be numbers (n, {classes}) with condition=vector, {received}."
            )
        return tf.cast(with_static_shape(labels, (None, classes)), tf.float32)
    expected = f"labels must be integers (n,) with condition={condition}, {received}"
    if labels.shape.rank == 2 and labels.shape[1] == classes > 1:
        raise UserError(
            f"{expected}: convert one-hot vectors with np.argmax(y, -1), or set condition=vector."
        )
    if not labels.dtype.is_integer:
        raise UserError(f'{expected}: convert numbers with y.astype("int32").')
    if labels.shape.rank == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if not labels.shape.is_compatible_with((None,)):
        raise UserError(f"{expected}: give every image one label.")
    labels = with_static_shape(labels, (None,))
    return labels if labels.dtype in (tf.int32, tf.int64) else tf.cast(labels, tf.int32)


def format_shape(shape):
    """Return the shape of a batch as text. Unknown lengths are the letters of (n, h, w, c)."""
    if tf.TensorShape(shape).rank is None:
        return "of unknown shape"
    lengths = [
        letter if length is None else str(length)
        for length, letter in zip(shape, ("n", "h", "w", "c", *"?" * len(shape)), strict=False)
    ]
    return f"({', '.join(lengths)}{',' * (len(lengths) == 1)})"


def check_on_host(check, tensor):
    """Call a Python function with the values of a tensor, as a NumPy array, when a graph runs.

    Args:
        check: a function of an array. It may raise `UserError`, see `user_error`.
        tensor: any tensor.

    Returns:
        A tensor to depend on.
    """

    def call(array):
        check(array)
        return np.int64(0)

    return tf.numpy_function(call, [tensor], tf.int64)


def check_image_range(images):
    """Check that image values are in [-1, 1], and warn if they look like [0, 1].

    Raises:
        UserError: they are not.
    """
    if not images.size:
        return
    low, high = images.min(), images.max()
    received = f"image values must be in [-1, 1], got {low:g} to {high:g}"
    if not np.isfinite([low, high]).all():
        raise UserError(f"{received}: remove values that are not finite.")
    if low >= 0 and 1 + TOLERANCE < high <= 255:
        raise UserError(f"{received}: scale them with x / 127.5 - 1.")
    if low < -1 - TOLERANCE or high > 1 + TOLERANCE:
        raise UserError(f"{received}: scale or clip them.")
    if len(images) > 1 and 0 <= low < TOLERANCE and high > 0.9:  # as black and white in [0, 1]
        warnings.warn(
            "image values must be in [-1, 1], and those of the first batch are in [0, 1]: scale "
            "them with 2 * x - 1",
            stacklevel=2,
        )


def check_label_range(labels, classes):
    """Raise `UserError` unless all labels are between 0 and `classes` - 1."""
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise UserError(
            f"labels must be integers from 0 to {classes - 1}, "
            f"got {labels.min()} to {labels.max()}."
        )


def user_error(error):
    """Return the `UserError` of a check that failed while a graph ran, or None.

    Args:
        error: a `tf.errors.OpError`.
    """
    message = re.search(r"UserError: (.+)", error.message)
    if message:
        return UserError(message[1])
    # tf.ensure_shape
    shapes = re.search(
        r"Shape of tensor .*?\[(.*?)\] is not compatible with expected shape \[(.*?)\]",
        error.message,
    )
    if shapes:
        received, expected = (
            format_shape([None if n == "?" else int(n) for n in text.split(",") if n])
            for text in shapes.groups()
        )
        return UserError(f"a batch must have the shape {expected}, got {received}.")
    return None
