"""ZooModel: the verbs that every model of the zoo shares. It hides plumbing (tapes, XLA, replicas, loss scaling, seeds),
never the order, the terms or the weights of an algorithm; those stand in the model's own `train_step`."""

import dataclasses
import hashlib
import zlib

import keras
import tensorflow as tf

from tfgan_zoo.config import from_dict
from tfgan_zoo.errors import check_choice
from tfgan_zoo.layers import replica_id
from tfgan_zoo.models.replicated import RunningMeans, dtype_policy_scope, spread_overflow

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"tfgan_zoo needs Keras on TensorFlow: set KERAS_BACKEND=tensorflow, received KERAS_BACKEND={keras.backend.backend()}"
    )


class ZooModel(keras.Model):
    """A model that states its networks, its players and its own `train_step`.

    A subclass has a class attribute `Config` (a frozen dataclass) and defines `build_networks`, `players`, `make_optimizer`, `call`
    and `train_step`. It works with plain `compile()` and `fit(dataset)`; the data set yields float32 images in [-1, 1].

    Args:
        config: an instance of `Config`; the paper's defaults where it is missing.
        dtype: a Keras dtype policy, e.g. "mixed_bfloat16"; the global one where it is missing.
    """

    Config = None

    def __init__(self, config=None, dtype=None, **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.config = config if config is not None else self.Config()
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
        self.built = True
        self.means = RunningMeans()

    @property
    def task(self):
        """What the model is for: "generate", "translate" or "stylize"."""
        return self.config.task

    # --- the three verbs

    def noise(self, shape, stream, distribution="normal"):
        """Random numbers that depend on (seed, step, replica, stream) alone: nothing to save, different on each replica.

        Args:
            shape: of one replica's tensor; the first entry may be a scalar tensor.
            stream: a name; equal names give equal numbers within a step.
            distribution: "normal" for N(0, 1), "uniform" for U(0, 1).

        Returns:
            float32 tensor.
        """
        # Integers first: XLA draws the same ones as the plain graph, which is not so for floats.
        draws = tf.random.stateless_uniform(shape, self.seed_of(stream), 0, 2**23, tf.int32)
        uniform = (tf.cast(draws, tf.float32) + 0.5) / 2**23
        return uniform if distribution == "uniform" else tf.math.ndtri(uniform)

    def seed_of(self, stream):
        """The int32 seed of shape (2,) behind `noise`, for other stateless operations; both entries in [0, 2^31)."""
        start = zlib.crc32(f"{self.seed} {stream}".encode())
        first = (start + tf.cast(replica_id(), tf.int64) * 0x9E3779B1) % 2**31
        return tf.cast(tf.stack([first, self.step.value % 2**31]), tf.int32)

    def descend(self, losses, only=None):
        """One optimizer step for every player along its own loss, all of them from the same point.

        Args:
            losses: a closure returning `{name: scalar}`. A name that is a player's is that player's loss; others are only reported.
            only: the names of the players that move; all of them where it is missing.

        Returns:
            The losses, as the closure returned them.
        """
        players = {
            name: variables
            for name, variables in self.player_variables().items()
            if only is None or name in only
        }
        replicas = self.distribute_strategy.num_replicas_in_sync
        optimizers = {name: getattr(self, f"{name}_optimizer") for name in players}

        def values_and_gradients():
            with tf.GradientTape(persistent=True) as tape:
                values = losses()
                # Replicas' gradients are summed, so each one takes its share of the mean.
                shares = {
                    name: optimizers[name].scale_loss(values[name]) / replicas for name in players
                }
            return values, {
                name: tape.gradient(shares[name], variables) for name, variables in players.items()
            }

        if self.compiled_part == "gradients":
            values_and_gradients = tf.function(
                values_and_gradients, jit_compile=True, autograph=False
            )
        values, gradients = values_and_gradients()
        if replicas > 1 and self.dtype_policy.name == "mixed_float16":
            gradients = {name: spread_overflow(found) for name, found in gradients.items()}
        for name, variables in players.items():
            optimizers[name].apply(gradients[name], variables)
        if replicas > 1:
            self.share_statistics()
        return values

    def report(self, **losses):
        """Ends a step: counts it and returns the dict for `fit`, which shows the mean over the epoch so far."""
        self.step.assign_add(1)
        return losses

    # --- what Keras asks of a model

    def compile(self, xla="auto", steps_per_execution=1, run_eagerly=False, seed=0, **optimizers):
        """Builds an optimizer for every player.

        Args:
            xla: "auto" (on where there is a GPU or TPU), "on" or "off"; also True and False.
            steps_per_execution: training steps per call into the graph.
            run_eagerly: no graph at all, for debugging.
            seed: decides all noise.
            **optimizers: `<player>_optimizer=` a Keras optimizer to use in place of the config's.

        Raises:
            UserError: an optimizer for a player that does not exist.
        """
        xla = {True: "on", False: "off"}.get(xla, xla)
        check_choice("xla", xla, ("auto", "on", "off"))
        super().compile(
            optimizer=None,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=False,
        )
        self.seed = seed
        self.compile_arguments = {
            "xla": xla,
            "steps_per_execution": steps_per_execution,
            "run_eagerly": run_eagerly,
            "seed": seed,
        }
        strategy = self.distribute_strategy
        on_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
        self.xla = not run_eagerly and (
            xla == "on"
            or (xla == "auto" and (on_tpu or bool(tf.config.list_logical_devices("GPU"))))
        )
        if not self.xla or on_tpu:  # TPUStrategy compiles the step by itself
            self.compiled_part = "nothing"
        elif isinstance(
            strategy, (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy)
        ):
            self.compiled_part = "gradients"  # the sum over replicas must stay out of XLA's sight
        else:
            self.compiled_part = "step"
        for name in optimizers:
            check_choice("optimizer", name, [f"{player}_optimizer" for player in self.players()])
        self.scheduled = [
            player for player in self.players() if f"{player}_optimizer" not in optimizers
        ]  # others keep their rates
        with strategy.scope():
            for player, variables in self.player_variables().items():
                optimizer = optimizers.get(f"{player}_optimizer") or self.make_optimizer(player)
                if self.dtype_policy.name == "mixed_float16" and not isinstance(
                    optimizer, keras.optimizers.LossScaleOptimizer
                ):
                    optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
                optimizer.build(variables)
                # A plain attribute: in a dict tf.train.Checkpoint would miss it.
                setattr(self, f"{player}_optimizer", optimizer)

    def get_compile_config(self):
        optimizers = {
            f"{player}_optimizer": getattr(self, f"{player}_optimizer") for player in self.players()
        }
        serialized = {
            name: keras.saving.serialize_keras_object(optimizer)
            for name, optimizer in optimizers.items()
        }
        return {**self.compile_arguments, "scheduled": self.scheduled, **serialized}

    def compile_from_config(self, config):
        arguments = {name: value for name, value in config.items() if name != "scheduled"}
        self.compile(
            **{
                name: keras.saving.deserialize_keras_object(v) if isinstance(v, dict) else v
                for name, v in arguments.items()
            }
        )
        self.scheduled = config["scheduled"]

    def get_config(self):
        return {
            "config": dataclasses.asdict(self.config),
            "dtype": self.dtype_policy.name,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "config": from_dict(cls.Config, config["config"])})

    def fit(self, *args, callbacks=None, **kwargs):
        """Keras' own, with `begin_epoch` before every epoch."""
        schedule = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: self.begin_epoch(epoch)
        )
        return super().fit(*args, callbacks=[schedule, *(callbacks or [])], **kwargs)

    def begin_epoch(self, epoch):
        """What changes from epoch to epoch (0 is the first), such as learning rates; a resumed run must come to the same."""

    def check_epochs(self, epochs):
        """Refuses a number of epochs that the model's schedule does not fit."""

    def epochs_warning(self, epochs):
        """Return a sentence about a number of epochs that is too small for the schedule, or None."""
        return None

    def make_train_function(self, force=False):
        """One `tf.function` for `steps_per_execution` steps on all replicas; Keras' own fails on several (see the design notes)."""
        if self.train_function is not None and not force:
            return self.train_function
        strategy, step, repeat = self.distribute_strategy, self.train_step, self.steps_per_execution
        if self.compiled_part == "step":
            step = tf.function(self.train_step, jit_compile=True, autograph=False)
        elif strategy.num_replicas_in_sync > 1:

            def step(data):
                return tf.distribute.get_replica_context().all_reduce(
                    tf.distribute.ReduceOp.MEAN, self.train_step(data)
                )

        def one_step(iterator):
            losses = strategy.run(step, args=(next(iterator),))
            return {
                name: strategy.experimental_local_results(value)[0]
                for name, value in losses.items()
            }

        if not self.run_eagerly:
            one_step = tf.function(
                one_step, autograph=False
            )  # traced and compiled once, though several_steps calls it in two places

        def several_steps(iterator):
            def add(i, sums):
                new = one_step(iterator)
                return i + 1, {name: sums[name] + new[name] for name in sums}

            return tf.while_loop(lambda i, _: i < repeat, add, (1, one_step(iterator)))[1]

        graph = (
            one_step
            if repeat == 1
            else several_steps
            if self.run_eagerly
            else tf.function(several_steps, autograph=False)
        )

        def function(iterator):
            try:
                sums = graph(iterator)
            except tf.errors.OutOfRangeError:
                raise StopIteration from None
            return self.means.add(sums, repeat)

        self.train_function = function
        return function

    def reset_metrics(self):
        super().reset_metrics()
        self.means = RunningMeans()

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing: networks and optimizers are built up front, and Keras' own fails under MultiWorkerMirroredStrategy."""

    # --- what a model may say about itself

    encodes = False  # whether it has `encode` and `reconstruct`
    has_likelihood = False  # whether it has `densities`
    needs_labels = False  # whether batches are (images, labels)
    batches_per_step = 1  # how many batches of `data.batch_size` one training step takes

    def diagnose(self, losses):
        """What is wrong with the epoch that ended with these mean losses: `{kind: a sentence with a way out}`, mostly empty."""
        return {}

    # --- plumbing that models call

    def player_variables(self):
        """`{player: its trainable variables}`."""
        return {
            name: [v for network in networks for v in network.trainable_variables]
            for name, networks in self.players().items()
        }

    def share_statistics(self):
        """Batch norm's moving statistics are each replica's own; their mean over replicas keeps all replicas' weights equal."""
        statistics = [
            layer_weight
            for networks in self.players().values()
            for network in networks
            for layer in network._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization)
            for layer_weight in (layer.moving_mean, layer.moving_variance)
        ]
        if statistics:
            values = [
                tf.identity(variable.value) for variable in statistics
            ]  # a plain read has no device, which a cluster's reduction needs
            means = tf.distribute.get_replica_context().all_reduce(
                tf.distribute.ReduceOp.MEAN, values
            )
            for variable, mean in zip(statistics, means, strict=True):
                variable.assign(mean)

    def weights_sha256(self):
        """SHA-256 over all weights in order: equal for equal weights."""
        sha = hashlib.sha256()
        for weight in self.weights:
            sha.update(f"{weight.shape}{weight.dtype}".encode())
            sha.update(weight.numpy().tobytes())
        return sha.hexdigest()


def cosine_decay(rate, steps):
    """A learning rate that falls to 0 along half a cosine over so many steps (Loshchilov & Hutter 2016); constant for 0 steps."""
    return keras.optimizers.schedules.CosineDecay(rate, steps) if steps else rate


def update_ema(average, network, decay):
    """One step of an exponential moving average: average <- decay average + (1 - decay) network, batch norm's statistics included,
    since today's statistics do not fit the weights of some hundred steps ago."""
    for mean, variable in zip(average.weights, network.weights, strict=True):
        mean.assign(decay * mean + (1.0 - decay) * variable)
