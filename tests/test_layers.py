"""Layers against NumPy, against Keras' own layers, and on two replicas."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import ROOT

from tfgan_zoo.errors import UserError
from tfgan_zoo.layers import (
    BatchNormalization,
    Cropping2D,
    Dropout,
    InstanceNormalization,
    SpectralNormalization,
    Upsampling,
    UpsamplingConv2DTranspose,
    replica_id,
)

WRAPPED = {
    "dense": (lambda: keras.layers.Dense(3, use_bias=False), (5, 7)),
    "conv": (lambda: keras.layers.Conv2D(3, 2, padding="same", use_bias=False), (2, 4, 4, 5)),
    "transposed": (
        lambda: keras.layers.Conv2DTranspose(3, 4, strides=2, padding="same", use_bias=False),
        (2, 4, 4, 5),
    ),
}


def normalized(kind, **options):
    keras.utils.set_random_seed(1)
    make, shape = WRAPPED[kind]
    x = tf.random.stateless_normal(shape, (1, 2))
    layer = SpectralNormalization(make(), **options)
    layer(x)
    return layer, x


def largest_singular_value(layer, kernel=None):
    kernel = np.asarray(layer.layer.kernel if kernel is None else kernel, np.float64)
    if isinstance(layer.layer, keras.layers.Conv2DTranspose):
        kernel = kernel.swapaxes(2, 3)  # (h, w, out, in) -> (h, w, in, out)
    return np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


@pytest.mark.parametrize("kind", WRAPPED)
def test_sigma_is_the_largest_singular_value_and_the_kernel_stays(kind):
    layer, x = normalized(kind)
    kernel = layer.layer.kernel.numpy()
    for _ in range(100):
        y = layer(x, training=True)
    np.testing.assert_array_equal(layer.layer.kernel, kernel)
    np.testing.assert_allclose(layer.sigma(), largest_singular_value(layer), rtol=1e-4)
    np.testing.assert_allclose(
        y, layer.layer(x) / largest_singular_value(layer), rtol=1e-3, atol=1e-5
    )
    assert layer.u.shape == (3, 1)


def test_more_iterations_are_more_accurate():
    errors = []
    for iterations in (1, 40):
        keras.utils.set_random_seed(0)
        layer = normalized("conv", iterations=iterations)[0]
        errors.append(abs(layer.sigma() - largest_singular_value(layer)))
    assert errors[1] < 1e-3 < errors[0]


def test_only_training_changes_u():
    layer, x = normalized("dense")
    u = layer.u.numpy()
    layer(x), layer(x, training=False)
    np.testing.assert_array_equal(layer.u, u)
    layer(x, training=True)
    assert np.abs(layer.u.numpy() - u).max() > 1e-3
    assert [w.name for w in layer.trainable_variables] == ["bias", "kernel"]
    assert [w.name for w in layer.non_trainable_variables] == ["u"]


@pytest.mark.parametrize("kind", WRAPPED)
def test_gradient_is_that_of_kernel_over_sigma(kind):
    # After convergence d sigma / d kernel is v u^T, and equals finite differences.
    layer, x = normalized(kind, iterations=300)
    weights = tf.random.stateless_normal(layer(x).shape, (5, 6))

    def loss(kernel):
        layer.layer.kernel.assign(kernel)
        return float(
            np.sum(np.asarray(layer.layer(x), np.float64) * weights) / largest_singular_value(layer)
        )

    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer(x) * weights)
    gradient = tape.gradient(value, layer.layer.kernel.value).numpy()
    kernel = layer.layer.kernel.numpy()
    direction = np.random.default_rng(0).normal(size=gradient.shape).astype("float32")
    numeric = (loss(kernel + 1e-3 * direction) - loss(kernel - 1e-3 * direction)) / 2e-3
    np.testing.assert_allclose(np.sum(gradient * direction), numeric, rtol=1e-2, atol=1e-3)
    # The scale of W does not matter.
    np.testing.assert_allclose(np.sum(gradient * kernel), 0.0, atol=1e-3)


def test_bias_is_optional():
    layer, x = normalized("dense")
    before = layer(x)
    layer.bias.assign([1.0, -2.0, 3.0])
    np.testing.assert_allclose(layer(x) - before, np.tile([1.0, -2.0, 3.0], (5, 1)), atol=1e-6)
    assert normalized("dense", use_bias=False)[0].bias is None


def test_unsuitable_layers_raise_an_error():
    for layer in (
        keras.layers.Flatten(),
        keras.layers.Dense(3),
        keras.layers.Dense(3, use_bias=False, activation="relu"),
        keras.layers.Conv2D(3, 2, use_bias=False, data_format="channels_first"),
    ):
        with pytest.raises(UserError, match="spectral normalization needs|data_format"):
            SpectralNormalization(layer)
    with pytest.raises(UserError, match="iterations must be between 1 and"):
        normalized("dense", iterations=0)
    with pytest.raises(UserError, match=r"dropout rate must be in \[0, 1\), got 1.0"):
        Dropout(1.0, seed=0)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_keeps_sigma_in_float32(policy):
    layer = SpectralNormalization(
        keras.layers.Conv2D(3, 2, use_bias=False, dtype=policy), dtype=policy
    )
    y = tf.function(lambda x: layer(x, training=True), jit_compile=True)(tf.ones((2, 4, 4, 5)))
    assert y.dtype == tf.as_dtype(policy[6:])
    assert layer.sigma().dtype == tf.float32 == layer.u.value.dtype
    dropped = Dropout(0.5, seed=1, dtype=policy)(tf.ones((4, 9)), training=True)
    assert dropped.dtype == y.dtype and set(np.unique(tf.cast(dropped, tf.float32))) == {0.0, 2.0}


def test_save_and_load(tmp_path):
    model = keras.Sequential(
        [keras.Input((4, 4, 5)), Dropout(0.5, seed=3), normalized("transposed", iterations=2)[0]]
    )
    x = tf.ones((2, 4, 4, 5))
    for _ in range(3):
        model(x, training=True)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    dropout, spectral = loaded.layers
    assert dropout.counter.numpy() == 3
    assert (dropout.rate, dropout.seed) == (0.5, 3)
    assert (spectral.iterations, spectral.use_bias) == (2, True)
    np.testing.assert_array_equal(loaded(x), model(x))
    # The next mask is the same.
    np.testing.assert_array_equal(loaded(x, training=True), model(x, training=True))
    np.testing.assert_array_equal(spectral.u, model.layers[1].u)


def test_dropout_rate_scale_and_masks():
    layer, x = Dropout(0.3, seed=7), tf.fill((100, 400), 7.0)
    first, second = layer(x, training=True).numpy(), layer(x, training=True).numpy()
    assert layer.counter.numpy() == 2
    np.testing.assert_allclose(np.unique(first), [0.0, 10.0], rtol=1e-6)
    np.testing.assert_allclose((first == 0).mean(), 0.3, atol=0.01)
    # The masks are independent.
    np.testing.assert_allclose(((first == 0) & (second == 0)).mean(), 0.09, atol=0.01)
    layer.counter.assign(0)
    np.testing.assert_array_equal(layer(x, training=True), first)
    np.testing.assert_array_equal(
        tf.function(lambda x: layer(x, training=True), jit_compile=True)(x), second
    )
    assert (Dropout(0.3, seed=8)(x, training=True).numpy() != first).mean() > 0.3
    assert layer.counter.numpy() == 2 and not layer.trainable_variables


def test_dropout_does_nothing_at_inference():
    layer, x = Dropout(0.9, seed=7), tf.ones((10, 10))
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layer(x, training=False), x)
    assert layer.counter.numpy() == 0
    np.testing.assert_array_equal(Dropout(0.0, seed=7)(x, training=True), x)


def test_replica_id_outside_of_replicas():
    assert replica_id().dtype == tf.int32 and replica_id().numpy() == 0
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        assert replica_id().numpy() == 0


def results_and_gradients(layer, x):
    """Return a layer's output in training, and the gradients of a weighted sum of it."""
    shape = layer.compute_output_shape(x.shape)
    # Fixed weights, because XLA draws other random numbers.
    weights = tf.reshape(tf.sin(tf.range(np.prod(shape), dtype=tf.float32)), shape)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        total = tf.reduce_sum(tf.cast(y, tf.float32) * weights)
    variables = [variable.value for variable in layer.trainable_variables]
    return [y, *tape.gradient(total, [x, *variables])]


def test_batch_norm_rejects_unsupported_options():
    for options in ({"axis": 1}, {"scale": False}, {"center": False}, {"synchronized": True}):
        with pytest.raises(UserError, match="batch norm must have axis=-1"):
            BatchNormalization(**options)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 1e-4), ("mixed_float16", 1e-2), ("mixed_bfloat16", 6e-2)]
)
@pytest.mark.parametrize("shape", [(4, 6, 5, 3), (8, 3), (1, 1, 1, 3)])
def test_fused_batch_norm_equals_keras(shape, dtype, tolerance, jit):
    x = 3.0 * tf.random.stateless_normal(shape, (1, 2)) + 1.0
    options = {
        "momentum": 0.9,
        "epsilon": 1e-5,
        "gamma_initializer": keras.initializers.RandomNormal(1.0, 0.5, seed=1),
        "dtype": dtype,
    }
    fused, reference = (
        kind(**options) for kind in (BatchNormalization, keras.layers.BatchNormalization)
    )
    for layer in (fused, reference):
        layer.build(shape)
    step = tf.function(lambda x: results_and_gradients(fused, x), jit_compile=jit, autograph=False)
    for _ in range(2):
        outputs = [*step(x), *fused.get_weights()]
        expected = [*results_and_gradients(reference, x), *reference.get_weights()]
        for a, b in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(
                tf.cast(a, tf.float32), tf.cast(b, tf.float32), rtol=tolerance, atol=tolerance
            )
    if dtype != "float32":
        return
    np.testing.assert_allclose(fused(x), reference(x), rtol=1e-5, atol=1e-5)
    assert np.abs(fused.moving_mean.numpy()).min() > 0.01
    # A frozen layer uses the moving statistics and does not change them.
    fused.trainable = reference.trainable = False
    before = fused.get_weights()
    np.testing.assert_allclose(
        fused(x, training=True), reference(x, training=True), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_array_equal(fused.moving_mean, before[-2])


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_instance_norm_of_few_and_of_many_images(dtype, jit):
    """Batches of up to 4 images use another kernel. Compare with large batches and with NumPy."""
    layer = InstanceNormalization(affine=True, dtype=dtype)
    layer.build((None, 7, 6, 3))
    layer.gamma.assign([0.5, 1.0, 2.0])
    layer.beta.assign([1.0, 0.0, -1.0])
    x = 3.0 * tf.random.stateless_normal((8, 7, 6, 3), (1, 2)) + 1.0
    call = tf.function(layer, jit_compile=jit, autograph=False)
    many, few = call(x), tf.concat([call(part) for part in tf.split(x, (1, 3, 4))], 0)
    tolerance = {"float32": 1e-5, "mixed_float16": 5e-3, "mixed_bfloat16": 4e-2}[dtype]
    np.testing.assert_allclose(
        tf.cast(few, tf.float32), tf.cast(many, tf.float32), rtol=tolerance, atol=tolerance
    )
    values = x.numpy()
    deviation = np.sqrt(values.var((1, 2), keepdims=True) + 1e-5)
    expected = (values - values.mean((1, 2), keepdims=True)) / deviation
    expected = expected * layer.gamma.numpy() + layer.beta.numpy()
    np.testing.assert_allclose(
        tf.cast(few, tf.float32), expected, rtol=2 * tolerance, atol=2 * tolerance
    )
    assert many.dtype == few.dtype == layer.compute_dtype


@pytest.mark.parametrize("use_bias", [True, False])
def test_upsampling_convolution_in_training_and_at_inference(use_bias):
    x = tf.random.stateless_normal((2, 5, 4, 3), (1, 2))
    layer = UpsamplingConv2DTranspose(6, use_bias=use_bias, bias_initializer="ones")
    inference = layer(x)
    assert inference.shape == (2, 10, 8, 6) == layer.compute_output_shape(x.shape)
    np.testing.assert_allclose(layer(x, training=True), inference, rtol=1e-4, atol=1e-5)
    sizes = [tf.TensorSpec((None, None, None, 3))]
    any_size = tf.function(lambda x: layer(x, training=True), input_signature=sizes)
    np.testing.assert_allclose(any_size(x), inference, rtol=1e-4, atol=1e-5)
    plain = keras.layers.Conv2DTranspose(6, 3, strides=2, use_bias=use_bias)
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    cropped = keras.Sequential([plain, keras.layers.Cropping2D(((1, 0), (1, 0)))])
    for a, b in zip(
        results_and_gradients(layer, x), results_and_gradients(cropped, x), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    restored = type(layer).from_config(layer.get_config())
    restored.build(x.shape)
    restored.set_weights(layer.get_weights())
    np.testing.assert_array_equal(restored(x), inference)


@pytest.mark.parametrize("cropping", [((0, 1), (0, 1)), ((2, 1), (0, 3))])
def test_cropping_equals_keras(cropping):
    x = tf.random.stateless_normal((2, 6, 7, 3), (1, 2))
    outputs, expected = (
        results_and_gradients(kind(cropping), x) for kind in (Cropping2D, keras.layers.Cropping2D)
    )
    for a, b in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(a, b)


TWO_REPLICAS = """
import keras, numpy as np, tensorflow as tf
from tfgan_zoo import layers
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
keras.utils.set_random_seed(0)
with strategy.scope():
    dropout = layers.Dropout(0.5, seed=3)
    dense = layers.SpectralNormalization(keras.layers.Dense(4, use_bias=False))
    dropout.build((1, 64)), dense.build((1, 64))

def replica():
    @tf.function(jit_compile=True)
    def compute():
        dropped = dropout(tf.ones((1, 64)), training=True)
        dense(dropped, training=True)
        return dropped, layers.replica_id()
    return compute()

@tf.function
def step():
    return strategy.run(replica)

for _ in range(80):
    dropped, ids = map(strategy.experimental_local_results, step())
assert [int(i) for i in ids] == [0, 1], ids
assert 0.2 < np.mean(dropped[0].numpy() == dropped[1].numpy()) < 0.8
assert dropout.counter.numpy() == 80, dropout.counter
u = [u.numpy() for u in strategy.experimental_local_results(dense.u.value)]
np.testing.assert_array_equal(u[0], u[1])
sigma = np.linalg.svd(dense.layer.kernel.numpy())[1][0]
np.testing.assert_allclose(dense.sigma(), sigma, rtol=1e-3)
"""


def test_state_changes_under_xla_on_two_replicas():
    done = subprocess.run(
        [sys.executable, "-c", TWO_REPLICAS], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_upsampling_doubles_the_size():
    x = np.array([0.0, 4.0, 8.0], np.float32)[None, None, :, None]
    nearest, bilinear = Upsampling("nearest")(x), Upsampling("bilinear")(x)
    np.testing.assert_array_equal(nearest[0, :, :, 0], 2 * [[0, 0, 4, 4, 8, 8]])
    np.testing.assert_allclose(bilinear[0, :, :, 0], 2 * [[0, 1, 3, 5, 7, 8]], atol=1e-6)
    features = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    inference, training = (Upsampling("nearest")(features, training=t) for t in (False, True))
    np.testing.assert_array_equal(inference, training)
