"""Layers that several papers share. Their own state lives per replica ("on_read"), so a step may move it under XLA and tf.distribute."""

import contextlib
import contextvars

import keras
import tensorflow as tf

from tfgan_zoo.errors import UserError, check_at_least, check_choice


def replica_state(name, shape, dtype, initializer="zeros"):
    """A non-trainable weight of which every replica moves its own copy, also inside a compiled step; the first one's is saved."""
    placement = {"synchronization": "on_read", "aggregation": "only_first_replica"}
    return keras.Variable(
        keras.initializers.get(initializer),
        shape,
        dtype,
        trainable=False,
        autocast=False,
        name=name,
        **placement,
    )


def replica_id():
    """The number of the replica this runs on, an int32 scalar; 0 outside of replicas."""
    context = tf.distribute.get_replica_context()
    return tf.cast(context.replica_id_in_sync_group if context else 0, tf.int32)


@keras.saving.register_keras_serializable("tfgan_zoo")
class Dropout(keras.layers.Layer):
    """In training zeroes each value with probability `rate`, divides the others by 1 - rate (Srivastava et al. 2014); else nothing.

    The mask is a function of (seed, number of training calls so far, replica) alone, the same under XLA. The call count is
    saved with the model: a resumed run draws on. (Keras' own drops alike on every replica and begins again on resume.)
    Within `dropping(draw)` it also drops outside of training, by (seed, draw) alone.

    Args:
        rate: probability in [0, 1).
        seed: int >= 0; another one for every dropout layer of a network, or equal shapes are dropped alike.

    Raises:
        UserError: rate outside [0, 1), or seed < 0.
    """

    def __init__(self, rate, seed, **kwargs):
        super().__init__(**kwargs)
        if not 0.0 <= rate < 1.0:
            raise UserError(f"the dropout rate must be in [0, 1), received rate={rate!r}")
        check_at_least(0, seed=seed)
        self.rate, self.seed = rate, seed
        self.supports_masking = True

    def build(self, input_shape):
        self.counter = replica_state("counter", (), "int64")

    def call(self, x, training=False):
        draw = DROPOUT_SEED.get()
        if self.rate == 0.0 or (not training and draw is None):
            return x
        if training:
            count = tf.convert_to_tensor(self.counter)
            self.counter.assign(count + 1)
            key = tf.random.stateless_uniform(
                (2,), (self.seed, count), 0, 2**30, tf.int32
            ) + tf.stack([0, replica_id()])
        else:
            key = tf.stack([self.seed, tf.cast(draw, tf.int32)])
        draws = tf.random.stateless_uniform(
            tf.shape(x), key, 0, 2**24, tf.int32
        )  # XLA draws the same integers
        kept = draws >= round(self.rate * 2**24)
        return tf.where(kept, x / tf.cast(1.0 - self.rate, x.dtype), tf.zeros_like(x))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


DROPOUT_SEED = contextvars.ContextVar("draw", default=None)  # of the dropout outside of training


@contextlib.contextmanager
def dropout_at_inference(draw):
    """Dropout is active within, also outside of training; equal draws (an integer or an int32 scalar) drop alike, None drops nothing."""
    token = DROPOUT_SEED.set(draw)
    try:
        yield
    finally:
        DROPOUT_SEED.reset(token)


@keras.saving.register_keras_serializable("tfgan_zoo")
class SpectralNormalization(keras.layers.Wrapper):
    """y = layer(x) / sigma + bias, sigma the largest singular value of the layer's kernel as a matrix (inputs, outputs).

    sigma = v W u with v <- W u / |W u|, u <- v W / |v W| (power iteration). Gradients flow through W in sigma, u and v are
    held constant; the kernel variable is never overwritten. Only training calls move u. sigma is float32 in every precision.

    Args:
        layer: Dense, Conv2D or Conv2DTranspose (channels last) without bias and activation.
        iterations: power iterations per call.
        use_bias: add a trainable bias of our own after the division.

    Raises:
        UserError: another kind of layer, one with a bias or an activation, or iterations < 1.

    Reference:
        Miyato et al. 2018, Spectral Normalization for Generative Adversarial Networks, arXiv 1802.05957, algorithm 1.
    """

    def __init__(self, layer, iterations=1, use_bias=True, **kwargs):
        super().__init__(layer, **kwargs)
        if type(layer) not in (
            keras.layers.Dense,
            keras.layers.Conv2D,
            keras.layers.Conv2DTranspose,
        ):
            raise UserError(
                f"spectral normalization is for Dense, Conv2D and Conv2DTranspose, received layer={layer!r}"
            )
        if layer.use_bias or layer.activation is not keras.activations.linear:
            raise UserError(
                f"a normalized layer must have use_bias=False and no activation, received layer={layer.get_config()}"
            )
        check_choice(
            "data_format", getattr(layer, "data_format", "channels_last"), ("channels_last",)
        )
        check_at_least(1, iterations=iterations)
        self.iterations, self.use_bias = iterations, use_bias

    def build(self, input_shape):
        super().build(input_shape)
        self.outputs_axis = (
            -2 if isinstance(self.layer, keras.layers.Conv2DTranspose) else -1
        )  # its kernel is (h, w, out, in)
        outputs = self.layer.kernel.shape[self.outputs_axis]
        self.u = replica_state("u", (outputs, 1), "float32", "random_normal")
        self.bias = (
            self.add_weight(name="bias", shape=(outputs,), initializer="zeros")
            if self.use_bias
            else None
        )

    def sigma(self, training=False):
        """The largest singular value of the kernel by power iteration from the stored u, a float32 scalar."""
        kernel = tf.cast(self.layer.kernel, tf.float32)
        w = tf.reshape(
            tf.linalg.matrix_transpose(kernel) if self.outputs_axis == -2 else kernel,
            (-1, self.u.shape[0]),
        )
        fixed, u = tf.stop_gradient(w), tf.convert_to_tensor(self.u)
        for _ in range(self.iterations):
            v = tf.math.l2_normalize(fixed @ u)
            u = tf.math.l2_normalize(tf.transpose(fixed) @ v)
        if training:
            self.u.assign(u)
        return tf.squeeze(tf.transpose(v) @ w @ u)

    def call(self, x, training=False):
        y = self.layer(x)
        y /= tf.cast(self.sigma(training), y.dtype)
        return y + tf.cast(self.bias, y.dtype) if self.use_bias else y

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "iterations": self.iterations, "use_bias": self.use_bias}


@keras.saving.register_keras_serializable("tfgan_zoo")
class LearnedScalar(keras.layers.Layer):
    """One number of the network's own, whatever the input: (n, ...) -> (1,) float32, trainable unless `trainable=False`."""

    def __init__(self, value, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.value = value

    def build(self, input_shape):
        self.weight = self.add_weight(
            name="value", shape=(1,), initializer=keras.initializers.Constant(self.value)
        )

    def call(self, x):
        return tf.convert_to_tensor(self.weight)

    def compute_output_shape(self, input_shape):
        return (1,)

    def get_config(self):
        return {**super().get_config(), "value": self.value}


@keras.saving.register_keras_serializable("tfgan_zoo")
class InstanceNormalization(keras.layers.Layer):
    """(x - mean) / sqrt(variance + epsilon), both over the pixels of each image and channel: (n, h, w, c) -> same.

    Args:
        epsilon: added to the variance.
        affine: whether each channel is then multiplied by a weight and shifted by another; else there are no parameters.

    Reference:
        Ulyanov et al. 2016, Instance Normalization: The Missing Ingredient for Fast Stylization, arXiv 1607.08022.
    """

    def __init__(self, epsilon=1e-5, affine=False, **kwargs):
        super().__init__(**kwargs)
        self.epsilon, self.affine = epsilon, affine

    def build(self, input_shape):
        if self.affine:
            self.gamma = self.add_weight(name="gamma", shape=input_shape[-1:], initializer="ones")
            self.beta = self.add_weight(name="beta", shape=input_shape[-1:], initializer="zeros")

    def call(self, x):
        return normalize_per_image(
            x, self.epsilon, *((self.gamma, self.beta) if self.affine else ())
        )

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon, "affine": self.affine}


def normalize_per_image(x, epsilon, gamma=1.0, beta=0.0):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, the pixels of each image and channel alone; always by float32 statistics."""
    n, channels = x.shape[0], x.shape[-1]
    gamma, beta = (
        tf.broadcast_to(tf.cast(each, tf.float32), (channels,)) for each in (gamma, beta)
    )
    if n in range(
        1, 5
    ):  # batch norm of one image is instance norm, and on CPU 1.2 to 4 times as fast as moments
        return tf.concat(
            [fused_batch_norm(each, gamma, beta, epsilon).y for each in tf.split(x, n)], 0
        )
    values = tf.cast(x, tf.float32)
    mean, variance = tf.nn.moments(values, (1, 2), keepdims=True)
    return tf.cast((values - mean) * tf.math.rsqrt(variance + epsilon) * gamma + beta, x.dtype)


def fused_batch_norm(x, gamma, beta, epsilon):
    """One kernel for all: (n, h, w, c) -> `y`, `batch_mean` and `batch_variance`, which has n h w - 1 in its denominator."""
    nothing = tf.zeros((0,))
    return tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=gamma,
        offset=beta,
        mean=nothing,
        variance=nothing,
        epsilon=epsilon,
        is_training=True,
    )


@keras.saving.register_keras_serializable("tfgan_zoo")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' own, for training with TensorFlow's fused kernel; of (n, c) and (n, h, w, c), channels last.

    With `at_test="image"` every image is normalised by its own statistics outside of training.
    That is what a network does that was trained one image at a time, and an image's result does not depend on its companions.

    Raises:
        UserError: an option of Keras' that the kernel does not have: another axis, no scale or center, synchronized.
    """

    def __init__(self, at_test="running", **kwargs):
        super().__init__(**kwargs)
        check_choice("at_test", at_test, ("running", "image"))
        if self.axis != -1 or not self.scale or not self.center or self.synchronized:
            raise UserError(
                f"batch norm here has axis=-1, scale and center, and is not synchronized, received {kwargs}"
            )
        self.at_test = at_test

    def call(self, x, training=False):
        if training and self.trainable:
            return self.learn(x)
        if self.at_test == "running":
            return super().call(x, training=False)
        return normalize_per_image(x, self.epsilon, self.gamma, self.beta)

    def learn(self, x):
        """Normalises by the batch's statistics, which the moving ones follow."""
        gamma, beta = (tf.cast(each, tf.float32) for each in (self.gamma, self.beta))
        found = fused_batch_norm(
            x if x.shape.rank == 4 else x[:, None, None, :], gamma, beta, self.epsilon
        )
        count = tf.cast(tf.size(x), tf.float32) / x.shape[-1]
        variance = found.batch_variance * (count - 1.0) / count
        for moving, value in (
            (self.moving_mean, found.batch_mean),
            (self.moving_variance, variance),
        ):
            moving.assign(self.momentum * moving + (1.0 - self.momentum) * value)
        return found.y if x.shape.rank == 4 else found.y[:, 0, 0, :]

    def get_config(self):
        return {**super().get_config(), "at_test": self.at_test}


@keras.saving.register_keras_serializable("tfgan_zoo")
class ReflectionPadding(keras.layers.Layer):
    """Mirrors `size` pixels beyond each border, the border itself not repeated: (n, h, w, c) -> (n, h + 2 size, w + 2 size, c)."""

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def call(self, x):
        return tf.pad(
            x, ((0, 0), (self.size, self.size), (self.size, self.size), (0, 0)), "REFLECT"
        )

    def compute_output_shape(self, input_shape):
        n, height, width, channels = input_shape
        return (n, height and height + 2 * self.size, width and width + 2 * self.size, channels)

    def get_config(self):
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable("tfgan_zoo")
class UpsamplingConv2DTranspose(keras.layers.Conv2DTranspose):
    """A 3x3 transposed convolution of stride 2 without the first row and column: (n, h, w, c) -> (n, 2 h, 2 w, filters).

    In training they are not computed in the first place; otherwise they are cut off, since formats for export do not know such padding.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(filters, **{**kwargs, "kernel_size": 3, "strides": 2, "padding": "valid"})

    def call(self, x, training=False):
        if not training:
            return super().call(x)[:, 1:, 1:]
        n, height, width, _ = keras.ops.shape(x)
        shape, padding = (n, 2 * height, 2 * width, self.filters), ((0, 0), (1, 0), (1, 0), (0, 0))
        y = tf.nn.conv2d_transpose(x, tf.convert_to_tensor(self.kernel), shape, 2, padding)
        return self.activation(
            tf.nn.bias_add(y, tf.convert_to_tensor(self.bias)) if self.use_bias else y
        )

    def compute_output_shape(self, input_shape):
        n, height, width, _ = input_shape
        return (n, height and 2 * height, width and 2 * width, self.filters)


@keras.saving.register_keras_serializable("tfgan_zoo")
class Cropping2D(keras.layers.Cropping2D):
    """Keras' own, channels last. The gradient of its strided slice takes one core and on two up to 9 times as long as that of a slice."""

    def call(self, x):
        (top, bottom), (left, right) = self.cropping
        _, height, width, _ = keras.ops.shape(x)
        return tf.slice(x, (0, top, left, 0), (-1, height - top - bottom, width - left - right, -1))
