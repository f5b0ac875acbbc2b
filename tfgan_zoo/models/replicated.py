"""Keras models under XLA and `tf.distribute`: how a step is compiled, replicated and reported.

`ReplicatedModel` replaces those parts of Keras 3.15 that fail with `jit_compile` on several
replicas, with `steps_per_execution > 1` under MirroredStrategy, and under
MultiWorkerMirroredStrategy. It knows nothing about losses or networks. `ZooModel` in base.py adds
the contract of the models.
"""

import contextlib
import dataclasses

import keras
import tensorflow as tf

from tfgan_zoo.config import from_dict
from tfgan_zoo.errors import check_choice


class ReplicatedModel(keras.Model):
    """A `keras.Model` that trains with several optimizers, under XLA and on several replicas.

    A subclass has a class attribute `Config` and the instance attribute `config`. It defines
    `players`, `player_variables`, `make_optimizer` and `train_step`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.means = RunningMeans()

    def compile(self, xla="auto", steps_per_execution=1, run_eagerly=False, seed=0, **optimizers):
        """Configure training. Builds an optimizer for every player.

        The model's schedule of learning rates applies only to optimizers that come from the
        config. Those players are listed in `self.scheduled`. An optimizer that is passed here
        keeps its own learning rate.

        Args:
            xla: "auto" (on if there is a GPU or TPU), "on" or "off". True and False also work.
            steps_per_execution: number of training steps per call into the graph.
            run_eagerly: if True, run without a graph, for debugging.
            seed: int. Determines all noise of the training.
            **optimizers: `<player>_optimizer=`, a Keras optimizer to use instead of the config's.

        Raises:
            UserError: `xla` is unknown, or there is an optimizer for a player that does not exist.
        """
        xla = {True: "on", False: "off"}.get(xla, xla)
        check_choice("xla", xla, ("auto", "on", "off"))
        for name in optimizers:
            check_choice("optimizer", name, [f"{player}_optimizer" for player in self.players()])
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

        # Choose what XLA compiles.
        strategy = self.distribute_strategy
        on_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
        on_accelerator = on_tpu or bool(tf.config.list_logical_devices("GPU"))
        self.xla = not run_eagerly and (xla == "on" or (xla == "auto" and on_accelerator))
        if not self.xla or on_tpu:  # TPUStrategy compiles the step by itself.
            self.compiled_part = "nothing"
        elif isinstance(
            strategy, (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy)
        ):
            self.compiled_part = "gradients"  # XLA cannot compile the sum over replicas.
        else:
            self.compiled_part = "step"

        # Build the optimizers.
        self.scheduled = [
            player for player in self.players() if f"{player}_optimizer" not in optimizers
        ]
        with strategy.scope():
            for player, variables in self.player_variables().items():
                optimizer = optimizers.get(f"{player}_optimizer") or self.make_optimizer(player)
                if self.dtype_policy.name == "mixed_float16" and not isinstance(
                    optimizer, keras.optimizers.LossScaleOptimizer
                ):
                    optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
                optimizer.build(variables)
                # A plain attribute: tf.train.Checkpoint does not track a dict of optimizers.
                setattr(self, f"{player}_optimizer", optimizer)

    def fit(self, *args, callbacks=None, **kwargs):
        """Train as `keras.Model.fit` does, and call `begin_epoch` before every epoch."""
        schedule = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: self.begin_epoch(epoch)
        )
        return super().fit(*args, callbacks=[schedule, *(callbacks or [])], **kwargs)

    def begin_epoch(self, epoch):
        """Set what changes from epoch to epoch, such as the learning rates of `self.scheduled`.

        `fit` calls it before every epoch. It must depend on `epoch` alone, so that a resumed run
        continues with the same values. The default does nothing.

        Args:
            epoch: int. The first epoch is 0.
        """

    def make_train_function(self, force=False):
        """Return the function that runs `steps_per_execution` steps on all replicas.

        `fit` calls it instead of Keras' own, which fails on several replicas.
        """
        if self.train_function is not None and not force:
            return self.train_function
        strategy, repeat = self.distribute_strategy, self.steps_per_execution

        # Define a step on one replica.
        replica_step = self.train_step
        if self.compiled_part == "step":
            replica_step = tf.function(self.train_step, jit_compile=True, autograph=False)
        elif strategy.num_replicas_in_sync > 1:

            def replica_step(data):
                return tf.distribute.get_replica_context().all_reduce(
                    tf.distribute.ReduceOp.MEAN, self.train_step(data)
                )

        # Define a step on all replicas.
        def step(iterator):
            losses = strategy.run(replica_step, args=(next(iterator),))
            return {
                name: strategy.experimental_local_results(value)[0]
                for name, value in losses.items()
            }

        # Define several steps, as a loop in the graph.
        def several_steps(iterator):
            def add_step(i, sums):
                losses = step(iterator)
                return i + 1, {name: sums[name] + losses[name] for name in sums}

            return tf.while_loop(lambda i, _: i < repeat, add_step, (1, step(iterator)))[1]

        if not self.run_eagerly:
            # A function of its own is traced and compiled once, although several_steps calls it
            # in two places.
            step = tf.function(step, autograph=False)
            several_steps = tf.function(several_steps, autograph=False)
        run_steps = step if repeat == 1 else several_steps

        def function(iterator):
            try:
                sums = run_steps(iterator)
            except tf.errors.OutOfRangeError:
                raise StopIteration from None
            return self.means.add(sums, repeat)

        self.train_function = function
        return function

    def reset_metrics(self):
        """Start the means over an epoch anew. Keras calls it at the start of every epoch."""
        super().reset_metrics()
        self.means = RunningMeans()

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Do nothing. Networks and optimizers are built already.

        Keras' own method fails under MultiWorkerMirroredStrategy.
        """

    def average_statistics(self):
        """Set batch norm's moving statistics on every replica to their mean over the replicas.

        Each replica computes statistics of its own part of the batch. Their mean keeps the weights
        of all replicas equal.
        """
        statistics = [
            weight
            for networks in self.players().values()
            for network in networks
            for layer in network._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization)
            for weight in (layer.moving_mean, layer.moving_variance)
        ]
        if not statistics:
            return
        # A plain read has no device, which the reduction over a cluster needs.
        values = [tf.identity(variable.value) for variable in statistics]
        means = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, values)
        for variable, mean in zip(statistics, means, strict=True):
            variable.assign(mean)

    def get_compile_config(self):
        """Return the arguments of `compile` for a .keras file, optimizers included."""
        optimizers = {
            f"{player}_optimizer": keras.saving.serialize_keras_object(
                getattr(self, f"{player}_optimizer")
            )
            for player in self.players()
        }
        return {**self.compile_arguments, "scheduled": self.scheduled, **optimizers}

    def compile_from_config(self, config):
        """Compile as `get_compile_config` describes."""
        arguments = {
            name: keras.saving.deserialize_keras_object(value) if isinstance(value, dict) else value
            for name, value in config.items()
            if name != "scheduled"
        }
        self.compile(**arguments)
        self.scheduled = config["scheduled"]

    def get_config(self):
        """Return the constructor's arguments as plain values."""
        return {
            "config": dataclasses.asdict(self.config),
            "dtype": self.dtype_policy.name,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        """Create the model that `get_config` describes."""
        return cls(**{**config, "config": from_dict(cls.Config, config["config"])})


class RunningMeans:
    """Means over the steps of an epoch, computed on the host in double precision."""

    def __init__(self):
        self.totals, self.steps = {}, 0

    def add(self, sums, steps):
        """Add sums over `steps` steps and return the means so far, `{name: float}`."""
        self.steps += steps
        for name, value in sums.items():
            self.totals[name] = self.totals.get(name, 0.0) + float(value)
        return {name: total / self.steps for name, total in self.totals.items()}


def spread_overflow(gradients):
    """Replace gradients by NaN on all replicas if they are not finite on one of them.

    Each replica's loss-scaling optimizer decides by its own gradients whether to skip a step. With
    this function all replicas make the same decision.
    """
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
    overflows = tf.distribute.get_replica_context().all_reduce(
        tf.distribute.ReduceOp.SUM, tf.cast(~finite, tf.float32)
    )
    return [
        tf.where(overflows > 0, tf.constant(float("nan"), gradient.dtype), gradient)
        for gradient in gradients
    ]


@contextlib.contextmanager
def dtype_policy_scope(policy):
    """Give this dtype policy to the layers that are created inside the context."""
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)
