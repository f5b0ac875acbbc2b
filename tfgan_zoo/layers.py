"""Keras layers that several papers share.

Where Keras has a layer of the same kind, this is why its own is not used:

- `Dropout`: Keras' layer drops the same values on every replica, and starts its random numbers
  anew when a run resumes.
- `SpectralNormalization`: Keras' layer overwrites the kernel, and its state cannot change inside a
  compiled step on several replicas.
- `BatchNormalization`: Keras' layer does not use TensorFlow's fused kernel in training, and cannot
  normalize each image by itself.
- `Cropping2D`: the gradient of Keras' layer runs on one core.

State that changes in a step, such as a counter, exists once per replica ("on_read"). So a step can
change it under XLA and `tf.distribute`.
"""

import contextlib
import contextvars

import keras
import tensorflow as tf

from tfgan_zoo.errors import MAX_SEED, UserError, check_choice, check_range


def replica_state(name, shape, dtype, initializer="zeros"):
    """Create a non-trainable weight with a separate value on every replica.

    A step may change it, also inside a compiled function. The value of the first replica is saved.
    """
    return keras.Variable(
        keras.initializers.get(initializer),
        shape,
        dtype,
        trainable=False,
        autocast=False,
        name=name,
        synchronization="on_read",
        aggregation="only_first_replica",
    )


def replica_id():
    """Return the number of the current replica as an int32 scalar, 0 outside of replicas."""
    context = tf.distribute.get_replica_context()
    return tf.cast(context.replica_id_in_sync_group if context else 0, tf.int32)


@keras.saving.register_keras_serializable("tfgan_zoo")
class Dropout(keras.layers.Layer):
    """Dropout (Srivastava et al. 2014).

    During training, sets each input to 0 with probability `rate` and scales the rest by
    1 / (1 - rate). At inference it does nothing, except inside `dropout_at_inference(seed)`, where
    the mask depends only on (the layer's seed, that seed).

    In training the mask depends only on (seed, number of training calls, replica), and it is the
    same under XLA. The number of calls is saved with the model, so a resumed run continues with the
    masks of an uninterrupted one.

    Args:
        rate: probability in [0, 1).
        seed: int >= 0. Give every dropout layer of a network another one. Otherwise layers of the
            same shape have the same masks.

    Raises:
        UserError: rate is outside [0, 1), or seed < 0.
    """

    def __init__(self, rate, seed, **kwargs):
        super().__init__(**kwargs)
        if not 0.0 <= rate < 1.0:
            raise UserError(f"dropout rate must be in [0, 1), got {rate!r}.")
        check_range(0, MAX_SEED, seed=seed)
        self.rate, self.seed = rate, seed
        self.supports_masking = True

    def build(self, input_shape):
        self.counter = replica_state("counter", (), "int64")

    def call(self, x, training=False):
        inference_seed = INFERENCE_SEED.get()
        if self.rate == 0.0 or (not training and inference_seed is None):
            return x
        if training:
            count = tf.convert_to_tensor(self.counter)
            self.counter.assign(count + 1)
            key = tf.random.stateless_uniform((2,), (self.seed, count), 0, 2**30, tf.int32)
            key += tf.stack([0, replica_id()])
        else:
            key = tf.stack([self.seed, tf.cast(inference_seed, tf.int32)])
        # XLA draws the same integers as the plain graph, but not the same floats.
        integers = tf.random.stateless_uniform(tf.shape(x), key, 0, 2**24, tf.int32)
        scaled = x / tf.cast(1.0 - self.rate, x.dtype)
        return tf.where(integers >= round(self.rate * 2**24), scaled, tf.zeros_like(x))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


INFERENCE_SEED = contextvars.ContextVar("inference_seed", default=None)


@contextlib.contextmanager
def dropout_at_inference(seed):
    """Keep dropout active at inference inside the context.

    Args:
        seed: an integer or an int32 scalar that determines the masks. None: dropout stays off.
    """
    token = INFERENCE_SEED.set(seed)
    try:
        yield
    finally:
        INFERENCE_SEED.reset(token)


@keras.saving.register_keras_serializable("tfgan_zoo")
class SpectralNormalization(keras.layers.Wrapper):
    """Spectral normalization of a layer: y = layer(x) / sigma + bias.

    sigma is the largest singular value of the layer's kernel W as a matrix (inputs, outputs). It is
    estimated by power iteration, v <- W u / |W u|, u <- v W / |v W|, sigma = v W u. Gradients flow
    through W in sigma, while u and v are constants. The kernel variable is never overwritten. Only
    training calls change u. sigma is float32 with every dtype policy.

    Args:
        layer: Dense, Conv2D or Conv2DTranspose (channels last) without bias and activation.
        iterations: power iterations per call.
        use_bias: if True, add a trainable bias after the division.

    Raises:
        UserError: the layer is of another kind or has a bias or an activation, or iterations < 1.

    Reference:
        Miyato et al. 2018, Spectral Normalization for Generative Adversarial Networks,
        arXiv 1802.05957, algorithm 1.
    """

    def __init__(self, layer, iterations=1, use_bias=True, **kwargs):
        super().__init__(layer, **kwargs)
        supported = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.Conv2DTranspose)
        if type(layer) not in supported:
            raise UserError(
                "spectral normalization needs a Dense, Conv2D or Conv2DTranspose layer, "
                f"got {layer!r}."
            )
        if layer.use_bias or layer.activation is not keras.activations.linear:
            raise UserError(
                "spectral normalization needs a layer with use_bias=False and no activation, "
                f"got {layer.get_config()}."
            )
        if not isinstance(layer, keras.layers.Dense):
            check_choice("data_format", layer.data_format, ("channels_last",))
        check_range(1, 1000, iterations=iterations)
        self.iterations, self.use_bias = iterations, use_bias

    def build(self, input_shape):
        super().build(input_shape)
        # The kernel of Conv2DTranspose is (h, w, outputs, inputs).
        self.outputs_axis = -2 if isinstance(self.layer, keras.layers.Conv2DTranspose) else -1
        outputs = self.layer.kernel.shape[self.outputs_axis]
        self.u = replica_state("u", (outputs, 1), "float32", "random_normal")
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(outputs,), initializer="zeros")

    def sigma(self, training=False):
        """Estimate the largest singular value of the kernel from the stored u: float32 scalar."""
        kernel = tf.cast(self.layer.kernel, tf.float32)
        if self.outputs_axis == -2:
            kernel = tf.linalg.matrix_transpose(kernel)
        w = tf.reshape(kernel, (-1, self.u.shape[0]))
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
    """A learnable scalar that does not depend on the input: (n, ...) -> float32 (1,).

    Args:
        value: the initial value.
        trainable: if False, the value stays.
    """

    def __init__(self, value, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.value = value

    def build(self, input_shape):
        initializer = keras.initializers.Constant(self.value)
        self.weight = self.add_weight(name="value", shape=(1,), initializer=initializer)

    def call(self, x):
        return tf.convert_to_tensor(self.weight)

    def compute_output_shape(self, input_shape):
        return (1,)

    def get_config(self):
        return {**super().get_config(), "value": self.value}


@keras.saving.register_keras_serializable("tfgan_zoo")
class InstanceNormalization(keras.layers.Layer):
    """Instance normalization, (x - mean) / sqrt(variance + epsilon): (n, h, w, c) -> same shape.

    Mean and variance are over the pixels of each image and channel.

    Args:
        epsilon: added to the variance.
        affine: if True, each channel has a trainable scale gamma and offset beta.

    Reference:
        Ulyanov et al. 2016, Instance Normalization: The Missing Ingredient for Fast Stylization,
        arXiv 1607.08022.
    """

    def __init__(self, epsilon=1e-5, affine=False, **kwargs):
        super().__init__(**kwargs)
        self.epsilon, self.affine = epsilon, affine

    def build(self, input_shape):
        if self.affine:
            self.gamma = self.add_weight(name="gamma", shape=input_shape[-1:], initializer="ones")
            self.beta = self.add_weight(name="beta", shape=input_shape[-1:], initializer="zeros")

    def call(self, x):
        affine = (self.gamma, self.beta) if self.affine else ()
        return normalize_per_image(x, self.epsilon, *affine)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon, "affine": self.affine}


def normalize_per_image(x, epsilon, gamma=1.0, beta=0.0):
    """Return gamma (x - mean) / sqrt(variance + epsilon) + beta, with the statistics of each image.

    Args:
        x: (n, h, w, c). Statistics are over h and w, in float32 for every dtype.
        epsilon: float.
        gamma: scalar or (c,).
        beta: scalar or (c,).

    Returns:
        Tensor of the shape and dtype of x.
    """
    n, channels = x.shape[0], x.shape[-1]
    gamma, beta = (
        tf.broadcast_to(tf.cast(parameter, tf.float32), (channels,)) for parameter in (gamma, beta)
    )
    given_statistics = IMAGE_STATISTICS.get()
    if n in range(1, 5) and given_statistics is None:
        # Batch norm of one image is instance norm. On CPU it is 1.2 to 4 times as fast as moments.
        outputs = [fused_batch_norm(image, gamma, beta, epsilon).y for image in tf.split(x, n)]
        return tf.concat(outputs, 0)
    values = tf.cast(x, tf.float32)
    mean, variance = (given_statistics or moments_per_image)(values)
    return tf.cast((values - mean) * tf.math.rsqrt(variance + epsilon) * gamma + beta, x.dtype)


def moments_per_image(x):
    """Return mean and variance over the pixels of each image: (n, h, w, c) -> (n, 1, 1, c) each."""
    return tf.nn.moments(x, (1, 2), keepdims=True)


IMAGE_STATISTICS = contextvars.ContextVar("image_statistics", default=None)


@contextlib.contextmanager
def image_statistics(function):
    """Replace the statistics of all layers that normalize each image, inside the context.

    Args:
        function: features, float32 (n, h, w, c) -> their mean and variance, which must broadcast
            to the features. It is called once per layer, in the order of computation.
    """
    token = IMAGE_STATISTICS.set(function)
    try:
        yield
    finally:
        IMAGE_STATISTICS.reset(token)


def fused_batch_norm(x, gamma, beta, epsilon):
    """Apply batch norm in training mode by one kernel.

    Args:
        x: (n, h, w, c).
        gamma: float32 (c,).
        beta: float32 (c,).
        epsilon: float.

    Returns:
        A named tuple: `y` (n, h, w, c), `batch_mean` (c,) and `batch_variance` (c,), which is
        divided by n h w - 1.
    """
    empty = tf.zeros((0,))
    return tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=gamma,
        offset=beta,
        mean=empty,
        variance=empty,
        epsilon=epsilon,
        is_training=True,
    )


@keras.saving.register_keras_serializable("tfgan_zoo")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalization, with TensorFlow's fused kernel in training.

    Inputs are (n, c) or (n, h, w, c), channels last.

    Args:
        at_test: statistics at inference. "running": the moving averages. "image": those of each
            image, as in a network that is trained one image at a time. Then the result for an
            image does not depend on the rest of the batch.
        **kwargs: as for `keras.layers.BatchNormalization`.

    Raises:
        UserError: an option that the kernel does not support (another axis, no scale, no center,
            synchronized).
    """

    def __init__(self, at_test="running", **kwargs):
        super().__init__(**kwargs)
        check_choice("at_test", at_test, ("running", "image"))
        if self.axis != -1 or not self.scale or not self.center or self.synchronized:
            raise UserError(
                "batch norm must have axis=-1, scale and center, and must not be synchronized, "
                f"got {kwargs}."
            )
        self.at_test = at_test

    def call(self, x, training=False):
        if training and self.trainable:
            return self.normalize_batch(x)
        if self.at_test == "running":
            return super().call(x, training=False)
        return normalize_per_image(x, self.epsilon, self.gamma, self.beta)

    def normalize_batch(self, x):
        """Normalize by the statistics of the batch, and update the moving averages."""
        gamma, beta = (tf.cast(parameter, tf.float32) for parameter in (self.gamma, self.beta))
        images = x if x.shape.rank == 4 else x[:, None, None, :]
        output = fused_batch_norm(images, gamma, beta, self.epsilon)
        count = tf.cast(tf.size(x), tf.float32) / x.shape[-1]
        variance = output.batch_variance * (count - 1.0) / count
        for moving, value in (
            (self.moving_mean, output.batch_mean),
            (self.moving_variance, variance),
        ):
            moving.assign(self.momentum * moving + (1.0 - self.momentum) * value)
        return output.y if x.shape.rank == 4 else output.y[:, 0, 0, :]

    def get_config(self):
        return {**super().get_config(), "at_test": self.at_test}


@keras.saving.register_keras_serializable("tfgan_zoo")
class ReflectionPadding(keras.layers.Layer):
    """Reflection padding: (n, h, w, c) -> (n, h + 2 size, w + 2 size, c).

    Mirrors `size` pixels at each border. The border itself is not repeated.
    """

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def call(self, x):
        border = (self.size, self.size)
        return tf.pad(x, ((0, 0), border, border, (0, 0)), "REFLECT")

    def compute_output_shape(self, input_shape):
        n, height, width, channels = input_shape
        return (n, height and height + 2 * self.size, width and width + 2 * self.size, channels)

    def get_config(self):
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable("tfgan_zoo")
class Upsampling(keras.layers.Layer):
    """Double the size of feature maps: (n, h, w, c) -> (n, 2 h, 2 w, c).

    `keras.layers.UpSampling2D` with bilinear interpolation needs a static size.

    Args:
        interpolation: "nearest" or "bilinear".
    """

    def __init__(self, interpolation, **kwargs):
        super().__init__(**kwargs)
        self.interpolation = interpolation

    def call(self, x, training=False):
        if self.interpolation == "nearest":  # XLA has no gradient of tf.image.resize for it
            if training:
                return tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)
            # The same values, from operators that all export formats have for images of any size.
            return tf.nn.depth_to_space(tf.concat([x, x, x, x], axis=3), 2)
        size = 2 * tf.shape(x)[1], 2 * tf.shape(x)[2]
        return tf.cast(tf.image.resize(x, size, "bilinear"), x.dtype)

    def compute_output_shape(self, input_shape):
        n, height, width, channels = input_shape
        return (n, height and 2 * height, width and 2 * width, channels)

    def get_config(self):
        return {**super().get_config(), "interpolation": self.interpolation}


@keras.saving.register_keras_serializable("tfgan_zoo")
class UpsamplingConv2DTranspose(keras.layers.Conv2DTranspose):
    """A 3x3 transposed convolution that doubles the size: (n, h, w, c) -> (n, 2 h, 2 w, filters).

    It has stride 2 and omits the first row and column. In training they are not computed. At
    inference they are cut off, because the export formats do not support such padding.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(filters, **{**kwargs, "kernel_size": 3, "strides": 2, "padding": "valid"})

    def call(self, x, training=False):
        if not training:
            return super().call(x)[:, 1:, 1:]
        n, height, width, _ = keras.ops.shape(x)
        shape, padding = (n, 2 * height, 2 * width, self.filters), ((0, 0), (1, 0), (1, 0), (0, 0))
        y = tf.nn.conv2d_transpose(x, tf.convert_to_tensor(self.kernel), shape, 2, padding)
        if self.use_bias:
            y = tf.nn.bias_add(y, tf.convert_to_tensor(self.bias))
        return self.activation(y)

    def compute_output_shape(self, input_shape):
        n, height, width, _ = input_shape
        return (n, height and 2 * height, width and 2 * width, self.filters)


@keras.saving.register_keras_serializable("tfgan_zoo")
class Cropping2D(keras.layers.Cropping2D):
    """Keras' cropping, channels last, with a faster gradient.

    Keras uses a strided slice. Its gradient runs on one core, and with two cores it takes up to 9
    times as long as the gradient of `tf.slice`.
    """

    def call(self, x):
        (top, bottom), (left, right) = self.cropping
        _, height, width, _ = keras.ops.shape(x)
        return tf.slice(x, (0, top, left, 0), (-1, height - top - bottom, width - left - right, -1))
