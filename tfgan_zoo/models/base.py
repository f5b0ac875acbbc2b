"""ZooModel: the contract of every model, and the three verbs that training steps are written in.

The verbs `noise`, `descend` and `report` hide plumbing (gradient tapes, XLA, replicas, loss
scaling, seeds). They never hide the order, the terms or the weights of an algorithm. Those are in
the model's own `compute_losses` and `train_step`.
"""

import contextvars
import hashlib
import zlib

import keras
import tensorflow as tf

from tfgan_zoo.errors import UserError
from tfgan_zoo.layers import SpectralNormalization, replica_id
from tfgan_zoo.models.inputs import check_image_range, check_on_host, parts_of
from tfgan_zoo.models.replicated import ReplicatedModel, dtype_policy_scope, spread_overflow

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "tfgan_zoo needs Keras with the TensorFlow backend: set KERAS_BACKEND=tensorflow, "
        f"got KERAS_BACKEND={keras.backend.backend()}."
    )

SUBSTEP = contextvars.ContextVar("substep", default=None)  # see `ZooModel.descend`
TEST_BATCH = contextvars.ContextVar("test_batch", default=None)  # see `ZooModel.test_step`


class ZooModel(ReplicatedModel):
    """Base class of all models.

    A model works with plain `compile()` and `fit(dataset)`. The data set yields float32 images in
    [-1, 1]. A subclass has a class attribute `Config` (a frozen dataclass) and defines:

    - `build_networks()`: create the networks as attributes;
    - `players()`: `{name: [networks]}`, where a player is a set of networks with an optimizer of
      its own;
    - `make_optimizer(player)`: return a Keras optimizer;
    - `unpack_batch(data)`: check the shapes and dtypes of a batch of the dataset, and return what
      `compute_losses` takes;
    - `compute_losses(batch, training=True)`: return `{name: scalar}`, with one loss for every
      player. With `training=False` it must not change any state;
    - `call(inputs, training=False)`: return images in [-1, 1];
    - `call_specs()`: the shapes and dtypes of the inputs of `call`.

    A model whose training step is more than one `descend` overrides `train_step(data)`.

    Args:
        config: an instance of `Config`. Default: the paper's settings.
        dtype: a Keras dtype policy, e.g. "mixed_bfloat16". Default: the global policy.
    """

    Config = None
    encodes = False  # True if the model has `encode` and `reconstruct`
    has_likelihood = False  # True if the model has `densities`
    needs_labels = False  # True if batches are (images, labels)
    measures_overfitting = False  # True if the model has `overfitting`
    clustered = False  # True if the labels are clusters of the training images
    batches_per_step = 1  # batches of `data.batch_size` images that a training step takes

    def __init__(self, config=None, dtype=None, **kwargs):
        config = self.check_config(config, **kwargs)
        super().__init__(dtype=dtype, **kwargs)
        self.config = config
        self.step = self.add_weight(
            name="step",
            shape=(),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            autocast=False,
        )
        with dtype_policy_scope(self.dtype_policy):
            self.build_networks()
        for network in self.players().get("discriminator", ()):
            freeze_first_layers(network, self.config.frozen_layers)
        self.built = True

    def check_config(self, config, name=None, trainable=True, **settings):
        """Return the config, or the default one for None.

        Raises:
            UserError: it is not a `Config`, or its fields are arguments of the model.
        """
        model, cls = type(self).__name__, self.Config
        if settings:
            fields = ", ".join(f"{field}={value!r}" for field, value in settings.items())
            raise UserError(
                f"the settings of {model} are in its config: write "
                f"{model}({cls.__name__}({fields})), got {model}({fields})."
            )
        config = cls() if config is None else config
        if not isinstance(config, cls):
            raise UserError(f"config must be a {cls.__name__}, got {config!r:.60}.")
        return config

    @property
    def task(self):
        """The model's purpose: "generate", "translate" or "stylize"."""
        return self.config.task

    # --- The three verbs.

    def noise(self, shape, stream, distribution="normal"):
        """Draw random numbers that depend only on (seed, step, replica, stream).

        The model has no random state to save. The numbers differ between replicas.

        Args:
            shape: shape on one replica. The first entry may be a scalar tensor.
            stream: str. Equal names give equal numbers within a step, except in different
                sub-steps (see `descend`).
            distribution: "normal" for N(0, 1), or "uniform" for U(0, 1).

        Returns:
            float32 tensor.
        """
        # XLA draws the same integers as the plain graph, but not the same floats.
        integers = tf.random.stateless_uniform(shape, self.seed_of(stream), 0, 2**23, tf.int32)
        uniform = (tf.cast(integers, tf.float32) + 0.5) / 2**23
        return uniform if distribution == "uniform" else tf.math.ndtri(uniform)

    def seed_of(self, stream):
        """Return the seed that `noise` uses, for other stateless random operations.

        Returns:
            int32 tensor (2,), both entries in [0, 2^31).
        """
        substep = SUBSTEP.get()
        if substep is not None:
            stream = f"{stream} {substep}"
        step, test_batch = self.step.value, TEST_BATCH.get()
        if test_batch is not None:
            step, stream = test_batch, f"test {stream}"
        start = zlib.crc32(f"{self.seed} {stream}".encode())
        # An odd constant (2^32 / golden ratio) keeps the seeds of replicas far apart.
        first = (start + tf.cast(replica_id(), tf.int64) * 0x9E3779B1) % 2**31
        return tf.cast(tf.stack([first, step % 2**31]), tf.int32)

    def descend(self, compute_losses, only=None, substep=None):
        """Take one optimizer step for every player on its own loss.

        All gradients are computed before any weight changes.

        On several replicas it does two more things. It averages batch norm's moving statistics
        over the replicas. With mixed_float16, a gradient that overflows on one replica skips the
        optimizer step on all of them.

        Args:
            compute_losses: a function without arguments that returns `{name: scalar}`. A name of
                a player is the loss of that player. Other entries are only reported.
            only: names of the players that move. Default: all players.
            substep: int, the number of this call in a training step that descends several times.
                `noise` mixes it into the name of its stream, so every call has its own noise.

        Returns:
            The losses, as `compute_losses` returned them.
        """
        players = {
            name: variables
            for name, variables in self.player_variables().items()
            if only is None or name in only
        }
        replicas = self.distribute_strategy.num_replicas_in_sync
        optimizers = {name: getattr(self, f"{name}_optimizer") for name in players}

        def losses_and_gradients():
            with tf.GradientTape(persistent=True) as tape:
                losses = compute_losses()
                # The gradients of the replicas are summed: divide, to get the gradient of the mean.
                scaled = {
                    name: optimizers[name].scale_loss(losses[name]) / replicas for name in players
                }
            return losses, {
                name: tape.gradient(scaled[name], variables) for name, variables in players.items()
            }

        if self.compiled_part == "gradients":
            losses_and_gradients = tf.function(
                losses_and_gradients, jit_compile=True, autograph=False
            )
        token = SUBSTEP.set(substep)
        try:
            losses, gradients = losses_and_gradients()
        finally:
            SUBSTEP.reset(token)
        if replicas > 1 and self.dtype_policy.name == "mixed_float16":
            gradients = {name: spread_overflow(values) for name, values in gradients.items()}
        for name, variables in players.items():
            optimizers[name].apply(gradients[name], variables)
        if replicas > 1:
            self.average_statistics()
        return losses

    def report(self, **losses):
        """Advance the step counter that all noise depends on, and return the losses for `fit`.

        Call it exactly once, at the end of `train_step`. `fit` shows the means over the epoch.
        """
        self.step.assign_add(1)
        return losses

    # --- What a model may override.

    def check_values(self, data):
        """Check the values of a batch on the host, for the first batch of every epoch.

        Args:
            data: a batch of the dataset.

        Returns:
            A list of tensors to depend on. They raise `UserError` for wrong values.
        """
        images = parts_of(data)[: 1 if self.config.data_kind == "images" else 2]
        return [
            check_on_host(check_image_range, batch)
            for batch in images
            if isinstance(batch, tf.Tensor)
        ]

    def train_step(self, data):
        """Take one optimizer step for every player, and return the losses of the batch."""
        return self.report(**self.descend(lambda: self.compute_losses(self.unpack_batch(data))))

    def test_step(self, data, index=0):
        """Return the losses of a batch as in training, but change nothing.

        The networks run with `training=False`. The noise does not depend on the training step, but
        only on the seed and on `index`. So two evaluations of the same weights on the same data are
        equal, and losses of different epochs are comparable.

        The losses of a GAN's validation images do not measure the quality of its images: use
        `tfgan_zoo.evaluate`.

        Args:
            data: a batch of the data set.
            index: int or int64 scalar, the number of the batch in the evaluation.

        Returns:
            `{name: scalar}`.
        """
        token = TEST_BATCH.set(tf.cast(index, tf.int64))
        try:
            return self.compute_losses(self.unpack_batch(data), training=False)
        finally:
            TEST_BATCH.reset(token)

    def check_epochs(self, epochs):
        """Raise `UserError` if the model's schedule does not allow this number of epochs."""

    def epochs_warning(self, epochs):
        """Return a warning if the schedule needs more epochs than this, or None."""
        return None

    def diagnose(self, losses):
        """Detect training failures, such as mode collapse, from the mean losses of an epoch.

        Args:
            losses: `{name: float}`.

        Returns:
            `{failure: advice}`, empty for a healthy epoch.
        """
        return {}

    # --- Files.

    def save(self, filepath, *args, **kwargs):
        """Save the model, its weights and its optimizers as a .keras file, as `keras.Model.save`.

        Raises:
            UserError: `filepath` is an HDF5 file, which cannot hold several networks.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise UserError(
                f'save the model as "model.keras", or its weights with save_weights('
                f'"model.weights.h5"): HDF5 files hold single networks only, got {filepath}.'
            )
        super().save(filepath, *args, **kwargs)

    def call_specs(self):
        """Return the input of `call`: a `tf.TensorSpec`, or a tuple of them."""
        raise NotImplementedError

    def export(self, filepath, format="tf_saved_model", verbose=None, input_signature=None, **kw):
        """Export `call` as `keras.Model.export` does: from float32 inputs to float32 images.

        `tfgan-zoo export` writes SavedModels with uint8 images, labels and seeds instead.

        Raises:
            UserError: format is "torch", which Keras writes with its PyTorch backend only.
        """
        if format == "torch":
            raise UserError(
                'Keras exports format="torch" with its PyTorch backend only, and tfgan_zoo needs '
                'TensorFlow. Choose "onnx" or, for Pix2Pix and CycleGAN, tfgan-zoo export --format '
                "torch."
            )
        signature = [self.call_specs()] if input_signature is None else input_signature
        # Keras' exporter for OpenVINO does not take a path object.
        super().export(str(filepath), format, verbose, signature, **kw)

    # --- Weights.

    def player_variables(self):
        """Return `{player: [trainable variables]}`."""
        return {
            name: [variable for network in networks for variable in network.trainable_variables]
            for name, networks in self.players().items()
        }

    def weights_sha256(self):
        """Return the SHA-256 of all weights, in their order, as a hexadecimal string."""
        sha = hashlib.sha256()
        for weight in self.weights:
            sha.update(f"{weight.shape}{weight.dtype}".encode())
            sha.update(weight.numpy().tobytes())
        return sha.hexdigest()


def freeze_first_layers(network, count):
    """Exclude the first convolutions and dense layers of a network from training.

    Normalization layers are trained, and use the statistics of the batch as before.

    Reference:
        Mo, Cho, Shin 2020, Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs,
        arXiv 2002.10964.

    Raises:
        UserError: the network has no more than `count` such layers.
    """
    kinds = (keras.layers.Conv2D, keras.layers.Dense, SpectralNormalization)
    layers = [layer for layer in network.layers if isinstance(layer, kinds)]
    if count >= len(layers):
        raise UserError(
            f"model.frozen_layers must be less than {len(layers)}, the number of layers of the "
            f"{network.name}, got {count}."
        )
    for layer in layers[:count]:
        layer.trainable = False


def batch_size_of(batch):
    """Return the number of examples: a Python integer if it is static, else a scalar tensor."""
    return batch.shape[0] if batch.shape[0] is not None else tf.shape(batch)[0]


def cosine_decay(rate, steps):
    """Return a learning rate that falls to 0 over `steps` steps (Loshchilov & Hutter 2016).

    It follows half a period of a cosine. With 0 steps it is constant.
    """
    return keras.optimizers.schedules.CosineDecay(rate, steps) if steps else rate


def update_ema(ema_network, network, decay, updates):
    """Update an exponential moving average of weights: ema <- d * ema + (1 - d) * network.

    With n updates before this one, d = min(decay, (1 + n) / (10 + n)). So the initial weights are
    forgotten within some ten steps, as in TensorFlow's `ExponentialMovingAverage`. With a constant
    decay of 0.999 they are still 37 % of the average after 1000 steps.

    Batch norm's statistics are averaged too. The current statistics do not fit weights that are an
    average over some hundred steps.

    Args:
        ema_network: the network with the average.
        network: the trained network, of the same structure.
        decay: float in [0, 1), the highest d.
        updates: integer tensor, n.
    """
    n = tf.cast(updates, tf.float32)
    decay = tf.minimum(decay, (1.0 + n) / (10.0 + n))
    for ema, variable in zip(ema_network.weights, network.weights, strict=True):
        ema.assign(decay * ema + (1.0 - decay) * variable)
