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
