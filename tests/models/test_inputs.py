"""Wrong images and labels raise one clear error in every method that takes a batch."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from helpers import LATENT, arrays, images, make

from tfgan_zoo.errors import UnhealthyError, UserError
from tfgan_zoo.training import distribute

METHODS = {
    "fit": lambda model, x, y: model.fit(x, y, batch_size=8, verbose=0),
    "fit a dataset": lambda model, x, y: model.fit(dataset(x, y), verbose=0, shuffle=False),
    "fit a generator": lambda model, x, y: model.fit(one_batch(x, y), verbose=0),
    "evaluate": lambda model, x, y: model.evaluate(x, y, batch_size=8, verbose=0),
    "train_on_batch": lambda model, x, y: model.train_on_batch(x, y),
    "test_on_batch": lambda model, x, y: model.test_on_batch(x, y),
}


def batch(x, y):
    return x if y is None else (x, y)


def one_batch(x, y):
    yield (x,) if y is None else (x, y)


def dataset(x, y):
    return tf.data.Dataset.from_tensors(batch(x, y))


def data(model, n=8):
    """Return arrays (x, y) with y=None for unconditional models."""
    values = arrays(model, n)
    return values if isinstance(values, tuple) else (values, None)


def assert_refused(model, x, y, message, methods=METHODS):
    """Check that the error is raised and that no step was taken."""
    before = model.weights_sha256()
    for name in methods:
        with pytest.raises(UserError, match=message) as error:
            METHODS[name](model, x, y)
        assert "\n" not in str(error.value)
    assert model.weights_sha256() == before


IMAGES = {  # name: (function of right images, error message)
    "no channel axis": (
        lambda x: x[..., 0],
        r"got \([8n], \d+, \d+\): add the channel axis with x\[",
    ),
    "channels first": (lambda x: np.moveaxis(x, -1, 1), r"np.moveaxis\(x, 1, -1\)"),
    "other channels": (lambda x: x.repeat(2, -1), "convert the images to . channels"),
    "five axes": (lambda x: x[:, None], r"\([8n], 1, \d+, .*: a batch of images has 4 axes"),
    "uint8": (lambda x: (127 * x + 127).astype("uint8"), "must be float32 .*got uint8: scale"),
}

VALUES = {  # they are checked when a step runs
    "0 to 255": (
        lambda x: (255 * (x - x.min()) / np.ptp(x)).round(),
        r"image values must be in \[-1, 1\], got 0 to 255: scale them with x / 127.5 - 1",
    ),
    "standardized": (lambda x: 2.5 * x, r"image values .*, got -2.\d+ to 2.\d+: scale or clip"),
    "NaN": (lambda x: np.where(x == x.max(), np.nan, x), "got nan to nan: remove"),
}


def test_wrong_shapes_and_types_of_images(tiny):
    model = make(tiny)
    x, y = data(model)
    for function, message in IMAGES.values():
        assert_refused(model, function(x), y, message)
        if model.config.data_kind != "images":
            assert_refused(model, x, function(y), message, ["fit", "evaluate"])


def test_wrong_values_of_images(tiny):
    model = make(tiny)
    x, y = data(model)
    for function, message in VALUES.values():
        assert_refused(model, function(x), y, message, ["test_on_batch"])
    if model.config.data_kind != "images":
        assert_refused(model, x, 255 * y, "image values must be", ["test_on_batch"])


def test_one_image_without_a_batch(tiny):
    model = make(tiny)
    x, y = data(model, 1)
    y = y if y is None else y[0]
    with pytest.raises(UserError, match="batch the images with dataset.batch|add the channel axis"):
        model.fit(dataset(x[0], y), verbose=0)


@pytest.mark.parametrize("name", [*LATENT, "cyclegan_tiny", "gatys_tiny"])
def test_images_of_another_size(name):
    model = make(name)
    x, y = data(model)
    assert_refused(model, x[:, :-4], y, r"images|x|content must be \(n, .*: resize the images")


def test_sides_that_do_not_fit_the_network():
    model = make("pix2pix_tiny")
    x, y = data(model)
    message = r"sides of x must be multiples of 64, got \([8n], 60, 64, 3\): resize or crop"
    assert_refused(model, x[:, :60], y[:, :60], message)
    wide = np.concatenate([y, y], axis=2)
    assert_refused(model, x, wide, "x and y must have the same height and width, got")
    model.train_on_batch(np.concatenate([x, x], axis=2), wide)
    model = make("fast_tiny")
    message = r"sides of images must be multiples of 4, got \([8n], 32, 30, 3\)"
    assert_refused(model, data(model)[0][:, :, :30], None, message)


LABELS = {  # name: (function of integers (n,), error message)
    "float": (lambda y: y.astype("float32"), r"got float32 \([8n],\).*y.astype\("),
    "one-hot": (lambda y: np.eye(10, dtype="float32")[y], r"np.argmax\(y, -1\), or set condition"),
    "integer one-hot": (lambda y: np.eye(10, dtype="int32")[y], r"np.argmax\(y, -1\)"),
    "two labels": (lambda y: np.stack([y, y], 1), r"got int64 \([8n], 2\): give every image one"),
    "1 to 10": (lambda y: y + 3, "labels must be integers from 0 to 9, got 3 to 10"),
    "negative": (lambda y: y - 1, "labels must be integers from 0 to 9, got -1 to 6"),
}


@pytest.mark.parametrize("name", ["cgan_tiny", "vae_tiny"])
def test_wrong_labels(name):
    model = make(name, "model.classes=10")
    x = images(model, 8)
    for function, message in LABELS.values():
        assert_refused(model, x, function(np.arange(8)), message, ["train_on_batch", "evaluate"])


def test_wrong_labels_after_the_first_batch():
    model = make("cgan_tiny")
    x = images(model, 8)
    with pytest.raises(UnhealthyError, match="at step 2. Labels outside 0 to 9 are a possible"):
        model.fit(x, np.arange(8) + 3, batch_size=4, shuffle=False, verbose=0)


def test_vectors_of_another_length():
    model = make("cgan_tiny", "model.condition=vector", "model.classes=3")
    x = images(model, 8)
    message = r"labels must be numbers \(n, 3\) with condition=vector, got float32 \([8n], 4\)"
    assert_refused(model, x, np.zeros((8, 4), "float32"), message)
    assert_refused(model, x, np.zeros(8, "int64"), "labels must be numbers .*got int64")


def weights_after(model, *batches, **options):
    for values in batches:
        model.fit(values, verbose=0, shuffle=False, **options)
    return model.weights_sha256()


def test_labels_of_shape_n_1_and_of_other_integer_types_are_accepted():
    x, y = arrays(make("cgan_tiny"), 8)
    expected = weights_after(make("cgan_tiny"), dataset(x, y))
    for labels in (y[:, None], y.astype("uint8"), y[:, None].astype("int16")):
        assert weights_after(make("cgan_tiny"), dataset(x, labels)) == expected


@pytest.mark.parametrize("name", ["vae_tiny", "adain_tiny"])
def test_other_floating_point_types_are_accepted(name):
    model, double = make(name), make(name)
    x, y = data(model)
    y64 = y if y is None or y.dtype != "float32" else y.astype("float64")
    expected = weights_after(model, dataset(x, y))
    assert weights_after(double, dataset(x.astype("float64"), y64)) == expected


def unknown_shapes(x, y):
    """Return a dataset of one batch with unknown ranks."""
    values = batch(x, y)
    types = tf.nest.map_structure(lambda array: tf.as_dtype(array.dtype), values)
    return tf.data.Dataset.from_generator(lambda: iter([values]), output_types=types)


@pytest.mark.parametrize(("name", "xla"), [("gan_tiny", "off"), ("cgan_tiny", "on")])
def test_unknown_static_shapes(name, xla):
    model, unknown = make(name, xla=xla), make(name, xla=xla)
    x, y = data(model)
    unknown.fit(unknown_shapes(x, y), verbose=0)
    model.fit(dataset(x, y), verbose=0)
    # Not bit by bit: arrays of a generator may lie elsewhere in memory, and are summed in another
    # order. Adam's first step turns the sign of a gradient near 0 into a full step.
    pairs = zip(unknown.weights, model.weights, strict=True)
    errors = np.concatenate([np.ravel(np.abs(a.numpy() - b.numpy())) for a, b in pairs])
    assert np.mean(errors < 1e-6) > 0.99
    # Counters of dropout may advance before the check fails, the trained weights may not change.
    before = [weight.numpy() for weight in unknown.trainable_weights]
    with pytest.raises(UserError, match=r"must have the shape \(n, .*\), got \([8n], \d+, \d+\)\."):
        unknown.fit(unknown_shapes(x[..., 0], y), verbose=0)
    for weight, expected in zip(unknown.trainable_weights, before, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize("name", ["dcgan_tiny", "cgan_tiny"])
def test_a_dataset_of_dicts(name):
    x = images(make(name), 8)
    message = "must be a float32 tensor .*got dict.*dataset.map"
    with pytest.raises(UserError, match=message):
        make(name).fit(tf.data.Dataset.from_tensors({"image": x}), verbose=0)
    if name == "cgan_tiny":
        with pytest.raises(UserError, match="got images without labels"):
            make(name).fit(tf.data.Dataset.from_tensors((x,)), verbose=0)


def test_scalar_labels_of_unknown_shape():
    model = make("cgan_tiny")

    def pairs():
        yield images(model, 4), 1

    dataset = tf.data.Dataset.from_generator(pairs, output_types=(tf.float32, tf.int32))
    with pytest.raises(UserError, match=r"shape \(n,\), got \(\)"):
        model.fit(dataset, verbose=0)


def test_one_light_image_does_not_warn():
    model = make("pix2pix_tiny")
    x, y = data(model, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.fit(abs(x), abs(y), verbose=0)


@pytest.mark.parametrize("name", ["dcgan_tiny", "cyclegan_tiny"])
def test_values_between_0_and_1_warn(name):
    model = make(name)
    x, y = data(model)
    with pytest.warns(UserWarning, match=r"first batch are in \[0, 1\]: scale them with 2 \* x"):
        model.fit((x - x.min()) / np.ptp(x), y, epochs=2, verbose=0)


@pytest.mark.parametrize(
    "options", [{"steps_per_execution": 2}, {"xla": "on"}, {"run_eagerly": True}]
)
def test_values_in_every_setting(options):
    model = make("cgan_tiny", **options)
    x, y = data(model, 12)
    methods = ["fit", "fit a dataset", "evaluate", "train_on_batch", "test_on_batch"]
    assert_refused(model, 255 * x, y, "image values must be", methods)
    assert_refused(model, x, y + 10, "labels must be", methods)
    model.fit(x, y, batch_size=4, verbose=0)
    assert int(model.step.numpy()) == 3


@pytest.mark.parametrize("xla", ["off", "on"])
def test_values_on_two_replicas(xla):
    with distribute.make_strategy("mirrored", 2).scope():
        model = make("cgan_tiny", xla=xla)
    x, y = data(model)
    methods = ["fit", "fit a dataset", "evaluate", "train_on_batch", "test_on_batch"]
    assert_refused(model, 255 * x, y, "image values must be", methods)
    assert_refused(model, x[..., 0], y, "add the channel axis", methods)
    second_part = np.where(np.arange(len(y)) == len(y) - 1, 10, y)
    assert_refused(model, x, second_part, "labels must be", methods)
