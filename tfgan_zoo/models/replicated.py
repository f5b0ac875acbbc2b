"""Keras models under XLA and `tf.distribute`: how a step is compiled, replicated and reported.

`ReplicatedModel` replaces those parts of Keras 3.15 that fail with `jit_compile` on several
replicas, with `steps_per_execution > 1` under MirroredStrategy, and under
MultiWorkerMirroredStrategy. It knows nothing about losses or networks. `ZooModel` in base.py adds
the contract of the models.
"""

import contextlib
import dataclasses
import functools
import inspect
import math

import keras
import tensorflow as tf

from tfgan_zoo.config import from_dict
from tfgan_zoo.errors import UnhealthyError, UserError, check_choice, check_range
from tfgan_zoo.keras_settings import check_keras_settings
from tfgan_zoo.models.inputs import user_error

UNEVEN_BATCH = (
    "every replica needs an equal part of each batch, but the last batch cannot be divided: use "
    "dataset.batch(n, drop_remainder=True), with n a multiple of the number of replicas."
)


class ReplicatedModel(keras.Model):
    """A `keras.Model` that trains with several optimizers, under XLA and on several replicas.

    A subclass has a class attribute `Config` and the instance attribute `config`. It defines
    `players`, `player_variables`, `make_optimizer`, `check_values` and `train_step`.
    """

    nan_cause = ""  # end of the message about a loss that is not finite

    def __init__(self, **kwargs):
        check_keras_settings()
        super().__init__(**kwargs)
        self.means = RunningMeans()

    def compile(
        self,
        optimizer=None,
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile=None,
        auto_scale_loss=True,
        xla="auto",
        seed=0,
        **optimizers,
    ):
        """Configure training. Builds an optimizer for every player.

        The model's schedule of learning rates applies only to optimizers that come from the
        config. Those players are listed in `self.scheduled`. An optimizer that is passed here
        keeps its own learning rate.

        An optimizer is a Keras optimizer, its name such as "adam", or its config.

        Args:
            optimizer: the optimizer to use instead of the config's. A model with several players
                builds one for each of them from a name or a config, and does not take an object.
            loss: not supported. The losses are part of the model.
            loss_weights: not supported.
            metrics: not supported. `fit` reports the model's own losses.
            weighted_metrics: not supported.
            run_eagerly: if True, run without a graph, for debugging.
            steps_per_execution: number of training steps per call into the graph.
            jit_compile: Keras' name for `xla`.
            auto_scale_loss: if True, mixed_float16 wraps every optimizer in a
                `keras.optimizers.LossScaleOptimizer`.
            xla: "auto" (on if there is a GPU or TPU), "on" or "off". True and False also work.
            seed: int. Determines all noise of the training.
            **optimizers: `<player>_optimizer=`, the optimizer of one player.

        Raises:
            UserError: an argument is unknown or not supported, or an optimizer does not fit.
        """
        check_keras_settings()
        if jit_compile is not None:
            xla = jit_compile
        xla = {True: "on", False: "off"}.get(xla, xla)
        check_choice("xla", xla, ("auto", "on", "off"))
        check_range(1, 10_000, steps_per_execution=steps_per_execution)
        self.check_losses(loss, loss_weights, metrics, weighted_metrics)
        optimizers = self.optimizers_of(optimizer, optimizers)
        super().compile(
            optimizer=None,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=False,
            auto_scale_loss=False,
        )
        self.seed = seed
        self.compile_arguments = {
            "xla": xla,
            "steps_per_execution": steps_per_execution,
            "run_eagerly": run_eagerly,
            "auto_scale_loss": auto_scale_loss,
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
        self.scheduled = [player for player in self.players() if player not in optimizers]
        scales_loss = auto_scale_loss and self.dtype_policy.name == "mixed_float16"
        with strategy.scope():
            for player, variables in self.player_variables().items():
                optimizer = optimizers.get(player) or self.make_optimizer(player)
                if scales_loss and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
                    optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
                optimizer.build(variables)
                # A plain attribute: tf.train.Checkpoint does not track a dict of optimizers.
                setattr(self, f"{player}_optimizer", optimizer)

    def check_losses(self, loss, loss_weights, metrics, weighted_metrics):
        """Raise `UserError` for arguments of Keras' `compile` that these models do not have."""
        name = type(self).__name__
        for argument, value in (("loss", loss), ("loss_weights", loss_weights)):
            if value:
                raise UserError(
                    f"the losses are part of {name}, with options in {name}Config: leave out "
                    f"{argument}=, got {value!r}."
                )
        for argument, value in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if value:
                raise UserError(
                    f"fit and evaluate report the losses of {name}, and tfgan_zoo.evaluate "
                    f"measures its images: leave out {argument}=, got {value!r}."
                )

    def optimizers_of(self, optimizer, optimizers):
        """Return the optimizers that were passed to `compile`: `{player: optimizer}`.

        Raises:
            UserError: an argument is not `<player>_optimizer`, or an optimizer does not fit.
        """
        players = list(self.players())
        for name in optimizers:
            check_choice("optimizer", name, [f"{player}_optimizer" for player in players])
        specs = {name.removesuffix("_optimizer"): value for name, value in optimizers.items()}
        if optimizer is not None:
            if len(players) > 1 and isinstance(optimizer, keras.optimizers.Optimizer):
                names = " and ".join(f"{player}_optimizer=" for player in players)
                raise UserError(
                    f"{type(self).__name__} trains its networks with {len(players)} optimizers: "
                    f"pass {names}, got one optimizer for all."
                )
            specs = {player: optimizer for player in players} | specs
        specs = {player: spec for player, spec in specs.items() if spec is not None}
        objects = [id(spec) for spec in specs.values() if not isinstance(spec, (str, dict))]
        if len(set(objects)) < len(objects):
            raise UserError(
                f"{type(self).__name__} needs a separate optimizer for each of "
                f"{', '.join(players)}, got the same object twice."
            )
        variables = self.player_variables()
        return {player: find_optimizer(spec, variables[player]) for player, spec in specs.items()}

    @property
    def optimizer(self):
        """The optimizer of a model with one player, or the `PlayerOptimizers` of several.

        None before `compile`.
        """
        if not self.compiled:
            return None
        optimizers = {
            f"{player}_optimizer": getattr(self, f"{player}_optimizer", None)
            for player in self.players()
        }
        if len(optimizers) == 1:
            return next(iter(optimizers.values()))
        return PlayerOptimizers(optimizers, iterations=self.step)

    @optimizer.setter
    def optimizer(self, value):
        """Do nothing. Keras' `compile` sets it to None."""

    def __dir__(self):
        """List the attributes without `optimizer`, because Keras saves what is listed.

        A saved model has each optimizer once, under its player's name.
        """
        return [name for name in super().__dir__() if name != "optimizer"]

    @functools.wraps(keras.Model.fit, assigned=())
    def fit(self, *args, **kwargs):
        """Train as `keras.Model.fit` does, and call `begin_epoch` before every epoch.

        The logs have the mean losses over the steps of an epoch. A model with one player also
        reports that player's loss as `loss`. With validation data they have the same losses as
        `val_<name>`, see `test_step`.

        Optimizers with `use_ema=True` set the weights to their average at the end.

        Raises:
            UnhealthyError: a loss became NaN or infinite.
            UserError: images or labels of another shape, dtype or range than the model's (the
                range is checked in the first batch of every epoch, before the training step), an
                argument that these models do not support (`class_weight`, `sample_weight`), or a
                callback that does not fit.
        """
        arguments = inspect.signature(keras.Model.fit).bind(self, *args, **kwargs).arguments
        del arguments["self"]
        self.check_no_sample_weights(**arguments)
        callbacks = arguments.pop("callbacks", None)
        schedule = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: self.begin_epoch(epoch),
            on_train_end=lambda logs: self.average_weights(),
        )
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.append(schedule)
        else:
            callbacks = [schedule, *tf.nest.flatten(callbacks or [])]
            self.check_callbacks(callbacks)
        return super().fit(**arguments, callbacks=callbacks)

    @functools.wraps(keras.Model.evaluate, assigned=())
    def evaluate(self, *args, **kwargs):
        """Return the mean losses over the images of a dataset, as `keras.Model.evaluate` does.

        They are the losses of training, see `test_step`, in the order of `metrics_names`. To
        measure the quality of a model's images, use `tfgan_zoo.evaluate`.

        Raises:
            UserError: `sample_weight` is given, or the data does not fit the model, see `fit`.
        """
        arguments = inspect.signature(keras.Model.evaluate).bind(self, *args, **kwargs).arguments
        self.check_no_sample_weights(sample_weight=arguments.get("sample_weight"))
        return super().evaluate(*args, **kwargs)

    def check_no_sample_weights(self, class_weight=None, sample_weight=None, **other):
        """Raise `UserError` for class or sample weights, which the losses do not have."""
        for name, value in (("class_weight", class_weight), ("sample_weight", sample_weight)):
            if value is not None:
                raise UserError(
                    f"{type(self).__name__} weights all images equally: leave out {name}. To show "
                    "some images more often, repeat them in the dataset."
                )

    def check_callbacks(self, callbacks):
        """Raise `UserError` for a callback whose learning rates `begin_epoch` would overwrite."""
        has_schedule = type(self).begin_epoch is not ReplicatedModel.begin_epoch
        plateau = any(isinstance(c, keras.callbacks.ReduceLROnPlateau) for c in callbacks)
        if has_schedule and self.scheduled and plateau:
            names = " and ".join(f"{player}_optimizer=" for player in self.scheduled)
            raise UserError(
                f"ReduceLROnPlateau conflicts with the schedule of {type(self).__name__}, which "
                f"sets the learning rate in every epoch: pass {names} to compile."
            )

    def average_weights(self):
        """Set the weights to their moving average, for optimizers with `use_ema=True`."""
        for player, variables in self.player_variables().items():
            getattr(self, f"{player}_optimizer").finalize_variable_values(variables)

    def begin_epoch(self, epoch):
        """Set what changes from epoch to epoch, such as the learning rates of `self.scheduled`.

        `fit` calls it before every epoch. It must depend on `epoch` alone, so that a resumed run
        continues with the same values. The default does nothing.

        Args:
            epoch: int. The first epoch is 0.
        """

    def make_train_function(self, force=False):
        """Return the function that runs `steps_per_execution` steps on all replicas.

        `fit` calls it instead of Keras' own, which fails on several replicas. Its results are the
        mean losses since the start of the epoch.
        """
        if self.train_function is None or force:
            strategy, train_step = self.distribute_strategy, self.train_step
            if self.compiled_part == "step":
                train_step = tf.function(self.train_step, jit_compile=True, autograph=False)

            def replica_step(data, index):
                losses = train_step(data)
                if strategy.num_replicas_in_sync > 1:
                    losses = tf.distribute.get_replica_context().all_reduce(
                        tf.distribute.ReduceOp.MEAN, losses
                    )
                return losses, tf.constant(1.0)

            run_steps = self.steps_function(replica_step, equal_parts=True)

            def train_function(iterator):
                means = self.means.add(*run_steps(iterator))
                for name, value in means.items():
                    if not math.isfinite(value):
                        step = int(self.step.numpy())
                        raise UnhealthyError(
                            f"the loss {name} became {value} at step {step}{self.nan_cause}"
                        )
                return self.with_total(means)

            self.train_function = train_function
        return self.train_function

    def make_test_function(self, force=False):
        """Return the function that evaluates `steps_per_execution` batches on all replicas.

        Its results are the mean losses over the images since the start of the evaluation.
        """
        if self.test_function is None or force:
            strategy, test_step = self.distribute_strategy, self.test_step
            if self.compiled_part != "nothing":
                test_step = tf.function(self.test_step, jit_compile=True, autograph=False)

            def replica_step(data, index):
                count = tf.cast(tf.shape(tf.nest.flatten(data)[0])[0], tf.float32)
                losses = test_step(data, index)
                results = {name: count * value for name, value in losses.items()}, count
                if strategy.num_replicas_in_sync > 1:
                    results = tf.distribute.get_replica_context().all_reduce(
                        tf.distribute.ReduceOp.SUM, results
                    )
                return results

            run_steps = self.steps_function(replica_step, equal_parts=False)
            self.test_function = lambda iterator: self.with_total(
                self.means.add(*run_steps(iterator))
            )
        return self.test_function

    def steps_function(self, replica_step, equal_parts):
        """Return a function that runs up to `steps_per_execution` steps on all replicas.

        Args:
            replica_step: function (batch, index of the batch) on one replica, which returns
                `{name: scalar}` and their weight, equal on all replicas.
            equal_parts: True if the replicas need equal parts of a batch, False if every replica
                needs at least one image.

        Returns:
            A function of an iterator, which returns the sums of `replica_step` over the steps. It
            raises `StopIteration` if no batch is left.
        """
        strategy, repeat = self.distribute_strategy, self.steps_per_execution

        # Define a step on one replica. Nothing in it may run before there is a batch: a counter
        # must not move when the dataset ends.
        def replica_step_on_batch(data, index):
            with tf.control_dependencies([index, *tf.nest.flatten(data)]):
                return replica_step(data, index)

        # Define a step on all replicas. No step uses a first batch whose values are wrong. On a TPU
        # the values are not checked: the batch is on the device, and Python is not.
        def check_first(data, index, first):
            if isinstance(strategy, tf.distribute.TPUStrategy):
                return index
            leaves = map(strategy.experimental_local_results, tf.nest.flatten(data))
            parts = [tf.nest.pack_sequence_as(data, part) for part in zip(*leaves, strict=True)]

            def check():
                checks = [check for part in parts for check in self.check_values(part)]
                with tf.control_dependencies(checks):
                    return tf.identity(index)

            return tf.cond(first, check, lambda: index)

        def step(data, index, first):
            data = self.without_sample_weights(data)
            index = check_parts(strategy, data, index, equal_parts)
            index = check_first(data, index, first)
            results = strategy.run(replica_step_on_batch, args=(data, index))
            return tf.nest.map_structure(
                lambda value: strategy.experimental_local_results(value)[0], results
            )

        def one_step(iterator, index):
            return step(next(iterator), index, tf.equal(index, 0))

        # Define several steps, as a loop in the graph that stops when the dataset ends.
        def several_steps(iterator, index):
            def add_step(i, sums, _):
                batch = iterator.get_next_as_optional()

                def add():
                    results = step(batch.get_value(), index + i, tf.constant(False))
                    return i + 1, tf.nest.map_structure(tf.add, sums, results), True

                return tf.cond(batch.has_value(), add, lambda: (i, sums, False))

            start = (tf.constant(1, tf.int64), one_step(iterator, index), True)
            return tf.while_loop(lambda i, _, more: more & (i < repeat), add_step, start)[1]

        if not self.run_eagerly:
            # A function of its own is traced and compiled once, although several_steps calls it
            # in two places.
            step = tf.function(step, autograph=False)
            one_step = tf.function(one_step, autograph=False)
            several_steps = tf.function(several_steps, autograph=False)
        run_steps = one_step if repeat == 1 else several_steps

        def function(iterator):
            index = tf.constant(self.means.batches, tf.int64)
            self.means.batches += repeat
            try:
                if isinstance(iterator, (tf.data.Iterator, tf.distribute.DistributedIterator)):
                    return run_steps(iterator, index)
                # `train_on_batch` and `test_on_batch` pass a generator of one batch.
                batch = split_over_replicas(strategy, batch_of_arrays(next(iterator)))
                return step(batch, index, tf.constant(True))
            except tf.errors.OutOfRangeError:
                raise StopIteration from None
            except tf.errors.InvalidArgumentError as error:
                if UNEVEN_BATCH in str(error):
                    raise UserError(UNEVEN_BATCH) from None
                mistake = user_error(error)
                if mistake is None:
                    raise
                raise mistake from None

        return function

    def without_sample_weights(self, data):
        """Return a batch without a third element, which must be None.

        Raises:
            UserError: the batch has sample weights.
        """
        if not isinstance(data, (tuple, list)) or len(data) != 3:
            return data
        self.check_no_sample_weights(sample_weight=data[2])
        return data[:2]

    def with_total(self, means):
        """Return the losses, and as `loss` the loss of a model with one player.

        The sum of the losses of several players has no meaning.
        """
        names = list(self.players())
        return {"loss": means[names[0]], **means} if len(names) == 1 else means

    @property
    def metrics_names(self):
        """Names of the values that `evaluate` and `train_on_batch` return, in their order."""
        names = self.with_total(self.means.totals) if self.means.totals else {}
        return sorted(names, key=lambda name: (name != "loss", name))

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
        """Return the arguments of `compile` for a .keras file, or None if it was not called."""
        if not self.compiled:
            return None
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
    """Weighted means over the steps of an epoch, computed on the host in double precision."""

    def __init__(self):
        self.totals, self.weight, self.batches = {}, 0.0, 0

    def add(self, sums, weight):
        """Add sums over some steps and return the means so far, `{name: float}`."""
        self.weight += float(weight)
        for name, value in sums.items():
            self.totals[name] = self.totals.get(name, 0.0) + float(value)
        return {name: total / self.weight for name, total in self.totals.items()}


class PlayerOptimizers:
    """The optimizers of a model with several players, in the form that Keras' callbacks take.

    Callbacks that change the learning rate, swap averaged weights or log to TensorBoard use every
    one of `optimizers`.

    Args:
        optimizers: `{"<player>_optimizer": optimizer}`.
        iterations: the model's step counter.
    """

    built = True

    def __init__(self, optimizers, iterations):
        self.names, self.optimizers = list(optimizers), list(optimizers.values())
        self.iterations = iterations

    @property
    def variables(self):
        """The state of all optimizers, which `summary` counts."""
        return [variable for optimizer in self.optimizers for variable in optimizer.variables]

    @property
    def learning_rate(self):
        """Not supported: every optimizer has its own.

        Raises:
            UserError: always.
        """
        names = " or ".join(f"model.{name}.learning_rate" for name in self.names)
        raise UserError(f"the model has {len(self.names)} optimizers: use {names}.")

    @learning_rate.setter
    def learning_rate(self, value):
        return self.learning_rate


def find_optimizer(spec, variables):
    """Return a Keras optimizer for these variables.

    Args:
        spec: a Keras optimizer, its name or its config.
        variables: the variables that it will update.

    Raises:
        UserError: there is no such optimizer, or it was built for other variables.
    """
    try:
        optimizer = keras.optimizers.get(spec)
    except (ValueError, TypeError):
        optimizer = None
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise UserError(
            f'an optimizer must be a Keras optimizer or its name, such as "adam", got {spec!r}.'
        )
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if inner.built:
        known = {id(variable) for variable in inner._trainable_variables}
        if known != {id(variable) for variable in variables}:
            raise UserError(
                f"the optimizer {optimizer.name} was built for other variables, such as those of "
                "another model: create a new one."
            )
    return optimizer


def batch_of_arrays(data):
    """Return the batch (x, y, sample_weight) of `train_on_batch` as `fit` gets it from a dataset.

    Float64 becomes float32, as for the arrays of `fit`.
    """

    def tensor(array):
        values = tf.convert_to_tensor(array)
        return tf.cast(values, tf.float32) if values.dtype == tf.float64 else values

    parts = list(data)
    while parts[-1] is None:
        parts.pop()
    parts = [part if part is None else tf.nest.map_structure(tensor, part) for part in parts]
    return parts[0] if len(parts) == 1 else tuple(parts)


def split_over_replicas(strategy, batch):
    """Give every replica an equal part of a batch.

    Raises:
        UserError: the batch size is not a multiple of the number of replicas.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return batch
    size = tf.nest.flatten(batch)[0].shape[0]
    if size % replicas:
        raise UserError(
            f"the batch size must be a multiple of the {replicas} replicas, got {size}."
        )

    def part(context):
        return tf.nest.map_structure(
            lambda tensor: tf.split(tensor, replicas)[context.replica_id_in_sync_group], batch
        )

    return strategy.experimental_distribute_values_from_function(part)


def check_parts(strategy, data, index, equal):
    """Check that the replicas of this process have equal parts of a batch.

    Args:
        strategy: a `tf.distribute.Strategy`.
        data: a batch, distributed over the replicas.
        index: scalar tensor.
        equal: if False, it is enough that no part is empty.

    Returns:
        `index`, which in a graph depends on the check.

    Raises:
        UserError: the parts are not equal. A graph raises `tf.errors.InvalidArgumentError` when it
            runs.
    """
    if strategy.num_replicas_in_sync == 1:
        return index
    parts = strategy.experimental_local_results(tf.nest.flatten(data)[0])
    sizes = [part.shape[0] for part in parts]
    if None not in sizes:
        if min(sizes) == 0 or (equal and len(set(sizes)) > 1):
            raise UserError(UNEVEN_BATCH)
        return index
    sizes = tf.stack([tf.shape(part)[0] for part in parts])
    smallest = tf.reduce_max(sizes) if equal else 1
    check = tf.debugging.Assert(tf.reduce_min(sizes) >= smallest, [UNEVEN_BATCH])
    with tf.control_dependencies([check]):
        return tf.identity(index)


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
