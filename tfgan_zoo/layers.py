"""Layers that several papers share. Their state lives per replica ("on_read"), so a step may move it under XLA and tf.distribute."""

import keras
import tensorflow as tf

from tfgan_zoo.config import UserError, check_at_least, check_choice


def replica_state(name, shape, dtype, initializer="zeros"):
    """A non-trainable weight of which every replica moves its own copy, also inside a compiled step; the first one's is saved."""
    placement = {"synchronization": "on_read", "aggregation": "only_first_replica"}
    return keras.Variable(keras.initializers.get(initializer), shape, dtype, trainable=False, autocast=False, name=name, **placement)


def replica_id():
    """The number of the replica this runs on, an int32 scalar; 0 outside of replicas."""
    context = tf.distribute.get_replica_context()
    return tf.cast(context.replica_id_in_sync_group if context else 0, tf.int32)


@keras.saving.register_keras_serializable("tfgan_zoo")
class Dropout(keras.layers.Layer):
    """In training zeroes each value with probability `rate`, divides the others by 1 - rate (Srivastava et al. 2014); else nothing.

    The mask is a function of (seed, number of training calls so far, replica) alone, the same under XLA. The call count is
    saved with the model: a resumed run draws on. (Keras' own drops alike on every replica and begins again on resume.)

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
        if not training or self.rate == 0.0:
            return x
        count = tf.convert_to_tensor(self.counter)
        self.counter.assign(count + 1)
        key = tf.random.stateless_uniform((2,), (self.seed, count), 0, 2**30, tf.int32) + tf.stack([0, replica_id()])
        draws = tf.random.stateless_uniform(tf.shape(x), key, 0, 2**24, tf.int32)  # XLA draws the same integers
        kept = draws >= round(self.rate * 2**24)
        return tf.where(kept, x / tf.cast(1.0 - self.rate, x.dtype), tf.zeros_like(x))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


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
        if type(layer) not in (keras.layers.Dense, keras.layers.Conv2D, keras.layers.Conv2DTranspose):
            raise UserError(f"spectral normalization is for Dense, Conv2D and Conv2DTranspose, received layer={layer!r}")
        if layer.use_bias or layer.activation is not keras.activations.linear:
            raise UserError(f"a normalized layer must have use_bias=False and no activation, received layer={layer.get_config()}")
        check_choice("data_format", getattr(layer, "data_format", "channels_last"), ("channels_last",))
        check_at_least(1, iterations=iterations)
        self.iterations, self.use_bias = iterations, use_bias

    def build(self, input_shape):
        super().build(input_shape)
        self.outputs_axis = -2 if isinstance(self.layer, keras.layers.Conv2DTranspose) else -1  # its kernel is (h, w, out, in)
        outputs = self.layer.kernel.shape[self.outputs_axis]
        self.u = replica_state("u", (outputs, 1), "float32", "random_normal")
        self.bias = self.add_weight(name="bias", shape=(outputs,), initializer="zeros") if self.use_bias else None

    def sigma(self, training=False):
        """The largest singular value of the kernel by power iteration from the stored u, a float32 scalar."""
        kernel = tf.cast(self.layer.kernel, tf.float32)
        w = tf.reshape(tf.linalg.matrix_transpose(kernel) if self.outputs_axis == -2 else kernel, (-1, self.u.shape[0]))
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
class Constant(keras.layers.Layer):
    """One number of the network's own, whatever the input: (n, ...) -> (1,) float32, trainable unless `trainable=False`."""

    def __init__(self, value, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.value = value

    def build(self, input_shape):
        self.weight = self.add_weight(name="value", shape=(1,), initializer=keras.initializers.Constant(self.value))

    def call(self, x):
        return tf.convert_to_tensor(self.weight)

    def compute_output_shape(self, input_shape):
        return (1,)

    def get_config(self):
        return {**super().get_config(), "value": self.value}


# --- DCGAN's blocks (Radford et al. 2015, arXiv 1511.06434, section 3), which later papers build on


def pyramid(image_size, width):
    """The maps from the image inwards as (size, channels): halved (and rounded up) until at most 5 pixels, channels doubled each time
    up to 8 * width; for 64 pixels and width 128: (32, 128), (16, 256), (8, 512), (4, 1024); for 28: 14, 7, 4.

    Raises:
        UserError: a size outside 16 ... 128.
    """
    if not 16 <= image_size <= 128:
        raise UserError(f"image_size must be from 16 to 128, received image_size={image_size}")
    maps, size = [], image_size
    while size > 5:
        size = -(-size // 2)
        maps.append((size, width * min(2 ** len(maps), 8)))
    return maps


def weighted(layer, *args, spectral=False, use_bias=True, **options):
    """A layer with the paper's initial weights, N(0, 0.02) (section 4), and spectral normalisation if asked for."""
    options["kernel_initializer"] = keras.initializers.RandomNormal(stddev=0.02)
    if spectral:
        return SpectralNormalization(layer(*args, use_bias=False, **options), use_bias=use_bias)
    return layer(*args, use_bias=use_bias, **options)


def batch_norm():
    gamma = keras.initializers.RandomNormal(mean=1.0, stddev=0.02)
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma)


def project(x, size, width):
    """(n, d) -> (n, size, size, width): "project and reshape" (Figure 1), no bias since a norm follows."""
    return keras.layers.Reshape((size, size, width))(weighted(keras.layers.Dense, size * size * width, use_bias=False)(x))


def transposed_convolution(x, width, kernel_size, size, use_bias=True):
    """(n, s, s, c) -> (n, size, size, width), size = 2 s or 2 s - 1."""
    odd = 2 * x.shape[1] - size
    x = weighted(keras.layers.Conv2DTranspose, width, kernel_size, strides=2, padding="same", use_bias=use_bias)(x)
    return keras.layers.Cropping2D(((0, odd), (0, odd)))(x) if odd else x


def convolution(x, width, kernel_size, norm):
    """(n, s, s, c) -> (n, s / 2, s / 2, width), with norm "batch", "none" or "spectral"."""
    options = {"strides": 2, "padding": "same", "use_bias": norm != "batch", "spectral": norm == "spectral"}
    x = weighted(keras.layers.Conv2D, width, kernel_size, **options)(x)
    return batch_norm()(x) if norm == "batch" else x
