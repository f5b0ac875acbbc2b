"""Keras' methods and arguments: each works as documented by Keras or raises one sentence."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import arrays, images, make

from tfgan_zoo.errors import UnhealthyError, UserError
from tfgan_zoo.models.latent import network_inputs
from tfgan_zoo.optimizers import Adam
from tfgan_zoo.training import distribute


def data(model, n=12):
    """Return arrays (x, y) of n images, with y=None for unconditional models."""
    values = arrays(model, n)
    return values if isinstance(values, tuple) else (values, None)


def dataset(model, n=12, batch_size=4, **options):
    values = tf.data.Dataset.from_tensor_slices(arrays(model, n))
    return values.batch(batch_size, **options)


def state(model):
    optimizers = [getattr(model, f"{player}_optimizer") for player in model.players()]
    variables = [*model.variables, *(v for optimizer in optimizers for v in optimizer.variables)]
    return [variable.numpy() for variable in variables]


def assert_equal_states(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


def refuses(match, error=UserError):
    return pytest.raises(error, match=match)


# --- The table: every public method of keras.Model and every argument of `fit`.


def check_fit(model):
    x, y = data(model)
    history = model.fit(x, y, batch_size=4, epochs=2, verbose=0).history
    assert set(model.players()) <= set(history) and len(history[next(iter(history))]) == 2


def check_evaluate(model):
    x, y = data(model, 10)
    before = state(model)
    logs = model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)
    values = model.evaluate(x, y, batch_size=4, verbose=0)
    assert dict(zip(model.metrics_names, values, strict=True)) == logs
    assert_equal_states(state(model), before)
    assert ("loss" in logs) == (len(model.players()) == 1)


def check_train_on_batch(model):
    x, y = data(model, 8)
    traces, train_step = [], model.train_step
    model.train_step = lambda batch: (traces.append(1), train_step(batch))[1]
    for _ in range(2):
        logs = model.train_on_batch(x, y, return_dict=True)
        model.train_on_batch(tf.constant(x), y if y is None else tf.constant(y))
    assert len(traces) == 1 and int(model.step.numpy()) == 4
    assert set(model.players()) <= set(logs)


def check_test_on_batch(model):
    x, y = data(model, 8)
    before = state(model)
    logs = model.test_on_batch(x, y, return_dict=True)
    assert logs == model.test_on_batch(x.astype("float64"), y, return_dict=True)
    again = model.evaluate(x, y, batch_size=8, verbose=0, return_dict=True)
    assert logs == pytest.approx(again)
    assert_equal_states(state(model), before)


def check_compile(model):
    players = list(model.players())
    model.compile("adam", jit_compile=False)
    for player in players:
        assert type(getattr(model, f"{player}_optimizer")) is keras.optimizers.Adam
    first = f"{players[0]}_optimizer"
    model.compile(**{first: {"class_name": "SGD", "config": {"learning_rate": 0.5}}})
    assert float(getattr(model, first).learning_rate) == 0.5
    assert model.scheduled == players[1:]
    model.compile(**{first: keras.optimizers.SGD()}, metrics=[], loss=None, run_eagerly=True)
    for name, value in (
        ("loss", "mse"),
        ("loss_weights", [1.0]),
        ("metrics", ["accuracy"]),
        ("weighted_metrics", ["accuracy"]),
    ):
        with refuses(f"leave out {name}=, got"):
            model.compile(**{name: value})
    with refuses("must be a Keras optimizer or its name.*got 'adm'"):
        model.compile(optimizer="adm")
    with refuses("Unknown optimizer 'critic_optimizer'"):
        model.compile(critic_optimizer="adam")
    with refuses("steps_per_execution must be between 1 and 10000, got 0"):
        model.compile(steps_per_execution=0)


def check_optimizer(model):
    optimizers = [getattr(model, f"{player}_optimizer") for player in model.players()]
    if len(optimizers) == 1:
        assert model.optimizer is optimizers[0]
    else:
        assert model.optimizer.optimizers == optimizers
        with refuses("the model has 2 optimizers: use model.generator_optimizer.learning_rate"):
            model.optimizer.learning_rate = 1e-3


def check_metrics_names(model):
    assert model.metrics_names == []
    x, y = data(model, 4)
    assert len(model.test_on_batch(x, y)) == len(model.metrics_names)


def check_save(model, path):
    model.save(path / "model.keras")
    loaded = keras.models.load_model(path / "model.keras")
    assert_equal_states(state(loaded), state(model))


def check_save_weights(model, path):
    model.save_weights(path / "model.weights.h5")
    before = model.get_weights()
    model.set_weights([0 * weight for weight in before])
    model.load_weights(path / "model.weights.h5")
    assert_equal_states(before, model.get_weights())


def check_predict(model):
    x, y = data(model, 6)
    inputs = (x, y) if model.task == "stylize" and model.takes_styles else x
    if model.task == "generate" and not model.encodes:
        inputs = network_inputs(model.latent(6, 0).numpy(), *model.condition(None, 6))
    expected = model(inputs)
    for result in (model.predict(inputs, batch_size=4, verbose=0), model.predict_on_batch(inputs)):
        np.testing.assert_allclose(result, expected, atol=1e-4)
    assert "`call` and `predict`" in inspect.getdoc(type(model))


def check_summary(model):
    lines = []
    model.summary(print_fn=lambda line, **kwargs: lines.append(line))
    assert model.name in "\n".join(lines)


def check_count_params(model):
    assert model.count_params() > 0


def check_get_layer(model):
    for networks in model.players().values():
        for network in networks:
            assert model.get_layer(network.name) is network


def check_config(model):
    config = model.get_config()
    assert type(model).from_config(config).get_config() == config


def check_compile_config(model):
    config = model.get_compile_config()
    model.compile_from_config(config)
    restored = model.get_compile_config()
    names = {name for name in config if not name.endswith("_optimizer")}
    assert {name: restored[name] for name in names} == {name: config[name] for name in names}
    assert restored.keys() == config.keys()


OTHER = "inherited"  # it does not depend on training, or Keras documents it as internal
METHODS = {
    "fit": check_fit,
    "evaluate": check_evaluate,
    "train_on_batch": check_train_on_batch,
    "test_on_batch": check_test_on_batch,
    "compile": check_compile,
    "metrics_names": check_metrics_names,
    "optimizer": check_optimizer,
    "save": check_save,
    "save_weights": check_save_weights,
    "load_weights": check_save_weights,
    "get_weights": check_save_weights,
    "set_weights": check_save_weights,
    "summary": check_summary,
    "count_params": check_count_params,
    "get_layer": check_get_layer,
    "get_config": check_config,
    "from_config": check_config,
    "get_compile_config": check_compile_config,
    "compile_from_config": check_compile_config,
    "predict": check_predict,
    "predict_on_batch": check_predict,
    "predict_step": OTHER,
    "call": OTHER,
    "export": OTHER,  # see tests/saving/test_keras_files.py
    # Tested through `fit` and `evaluate`.
    "train_step": OTHER,
    "test_step": OTHER,
    "make_train_function": OTHER,
    "make_test_function": OTHER,
    "make_predict_function": OTHER,
    "reset_metrics": OTHER,
    # Not called by `fit` of these models, whose losses and metrics are those of `compute_losses`.
    **dict.fromkeys(
        (
            "add_loss",
            "add_metric",
            "compiled_loss",
            "compiled_metrics",
            "compute_loss",
            "compute_metrics",
            "get_metrics_result",
            "loss",
            "losses",
            "metrics",
            "metrics_variables",
            "stateless_call",
            "stateless_compute_loss",
        ),
        OTHER,
    ),
    # About layers, weights and graphs.
    **dict.fromkeys(
        (
            "add_variable",
            "add_weight",
            "build",
            "build_from_config",
            "compute_dtype",
            "compute_mask",
            "compute_output_shape",
            "compute_output_spec",
            "distribute_reduction_method",
            "distribute_strategy",
            "dtype",
            "dtype_policy",
            "enable_lora",
            "get_build_config",
            "get_quantization_layer_structure",
            "get_state_tree",
            "input",
            "input_dtype",
            "input_spec",
            "jit_compile",
            "layers",
            "load_own_variables",
            "non_trainable_variables",
            "non_trainable_weights",
            "output",
            "path",
            "quantization_mode",
            "quantize",
            "quantized_build",
            "quantized_call",
            "remat",
            "rematerialized_call",
            "run_eagerly",
            "save_own_variables",
            "set_state_tree",
            "supports_masking",
            "symbolic_call",
            "to_json",
            "trainable",
            "trainable_variables",
            "trainable_weights",
            "variable_dtype",
            "variables",
            "weights",
        ),
        OTHER,
    ),
}


def public_names():
    return [name for name in dir(keras.Model) if not name.startswith("_")]


def test_every_method_of_keras_is_in_the_table():
    tf_module = dir(tf.Module)
    missing = [name for name in public_names() if name not in METHODS and name not in tf_module]
    assert not missing, "add these methods of keras.Model to METHODS"


def test_methods(tiny, tmp_path):
    for check in dict.fromkeys(METHODS.values()):
        if check is not OTHER:
            takes_path = "path" in inspect.signature(check).parameters
            check(make(tiny), *([tmp_path] if takes_path else []))


FIT_ARGUMENTS = {  # name: a value, or an error message
    "x": None,
    "y": None,
    "batch_size": 4,
    "epochs": 2,
    "verbose": 0,
    "callbacks": keras.callbacks.Callback(),
    "validation_split": 0.34,
    "validation_data": "data",
    "shuffle": False,
    "class_weight": "leave out class_weight",
    "sample_weight": "leave out sample_weight",
    "initial_epoch": 1,
    "steps_per_epoch": 2,
    "validation_steps": 1,
    "validation_batch_size": 2,
    "validation_freq": 1,
}


def test_every_argument_of_fit_is_in_the_table(tiny):
    names = list(inspect.signature(keras.Model.fit).parameters)[1:]
    assert names == list(FIT_ARGUMENTS)
    assert list(inspect.signature(make(tiny).fit).parameters) == names


def test_arguments_of_fit(tiny):
    model = make(tiny)
    x, y = data(model)
    arguments = {name: v for name, v in FIT_ARGUMENTS.items() if not isinstance(v, str)}
    arguments |= {"x": x, "y": y, "validation_data": (x, y)}
    history = model.fit(**arguments).history
    assert all(len(values) == 1 and np.isfinite(values).all() for values in history.values())
    names = {name for name in history if not name.startswith("val_")}
    assert set(history) == names | {f"val_{name}" for name in names}
    assert int(model.step.numpy()) == 2
    model.fit(x, y, 4, 1, 0, [keras.callbacks.Callback()], 0.34)  # positional
    for name, value in (("class_weight", {0: 0.0}), ("sample_weight", np.zeros(12))):
        with refuses(FIT_ARGUMENTS[name]):
            model.fit(x, y, verbose=0, **{name: value})
    weighted = (x, x if y is None else y, np.zeros(12))
    with refuses("leave out sample_weight"):
        model.fit(tf.data.Dataset.from_tensors(weighted), verbose=0)
    with refuses("leave out sample_weight"):
        model.evaluate(x, y, sample_weight=np.zeros(12), verbose=0)
    with refuses("leave out sample_weight"):
        model.train_on_batch(x, y, sample_weight=np.zeros(12))


# --- Validation.


@pytest.mark.parametrize("options", [{"steps_per_execution": 2}, {"xla": "on"}])
def test_validation_is_the_same_in_every_setting(tiny, options):
    """The last batch is smaller, and the number of batches is unknown."""
    plain, model = make(tiny), make(tiny, **options)
    unknown = dataset(model, 10).filter(lambda *batch: True)
    logs = model.evaluate(unknown, verbose=0, return_dict=True)
    assert logs == pytest.approx(
        plain.evaluate(dataset(plain, 10), verbose=0, return_dict=True), rel=1e-4, abs=1e-4
    )


def test_validation_does_not_change_training(tiny):
    plain, validated = make(tiny), make(tiny)
    plain.fit(dataset(plain), epochs=2, verbose=0)
    validated.fit(dataset(validated), validation_data=dataset(validated, 6), epochs=2, verbose=0)
    assert plain.weights_sha256() == validated.weights_sha256()


def test_losses_of_a_test_are_means_over_images_with_noise_for_every_batch():
    model = make("vae_tiny")
    x = images(model, 6)
    first, second = (model.test_step(tf.constant(x[i : i + 4]), i // 4) for i in (0, 4))
    mean = (4 * float(first["elbo"]) + 2 * float(second["elbo"])) / 6
    logs = model.evaluate(x, batch_size=4, verbose=0, return_dict=True)
    assert logs["elbo"] == pytest.approx(mean, rel=1e-5)
    assert logs["loss"] == logs["vae"]
    same = [float(model.test_step(tf.constant(x), i)["elbo"]) for i in (0, 0, 1)]
    assert same[0] == same[1] != same[2]
    model.step.assign(3)
    assert float(model.test_step(tf.constant(x))["elbo"]) == same[0]


def test_spectral_normalization_average_and_image_history_do_not_move():
    for name, *overrides in (
        ("dcgan_tiny", "model.discriminator_norm=spectral", "model.ema_decay=0.9"),
        ("gan_tiny", "model.penalty=gradient", "model.diff_augment=color,translation"),
        ("cyclegan_tiny", "model.pool_size=4"),
        ("pix2pix_tiny", "model.norm=batch"),
    ):
        model = make(name, *overrides)
        before = state(model)
        model.evaluate(dataset(model, 8), verbose=0)
        assert_equal_states(state(model), before)


@pytest.mark.parametrize("xla", ["off", "on"])
def test_validation_with_two_replicas_equals_one(xla):
    with distribute.make_strategy("mirrored", 2).scope():
        two = make("pix2pix_tiny", xla=xla)
    one = make("pix2pix_tiny")
    logs = two.evaluate(dataset(two, 11), verbose=0, return_dict=True)  # batches of 4, 4 and 3
    expected = one.evaluate(dataset(one, 11), verbose=0, return_dict=True)
    assert logs == pytest.approx(expected, rel=1e-4, abs=1e-4)


# --- Callbacks and optimizers.


def test_callbacks_on_validation_losses(tmp_path):
    model = make("vae_tiny")
    x = images(model, 8)
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras", monitor="val_elbo", mode="max", save_best_only=True
    )
    stop = keras.callbacks.EarlyStopping("val_elbo", mode="max", min_delta=1e9, patience=1)
    history = model.fit(
        x, validation_split=0.5, epochs=5, verbose=0, callbacks=[checkpoint, stop]
    ).history
    assert len(history["elbo"]) == 2 and (tmp_path / "best.keras").is_file()


def test_learning_rate_callbacks(tiny):
    players = make(tiny).players()
    optimizers = {f"{player}_optimizer": Adam(1e-3) for player in players}
    model = make(tiny, **optimizers)
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2),
        keras.callbacks.ReduceLROnPlateau(
            next(iter(players)), mode="min", min_delta=1e9, patience=1
        ),
    ]
    x, y = data(model, 4)
    model.fit(x, y, epochs=2, verbose=0, callbacks=callbacks)
    for optimizer in optimizers.values():
        assert float(optimizer.learning_rate) == pytest.approx(1e-3 / 4 * 0.1)


def test_a_learning_rate_schedule_conflicts_with_reduce_on_plateau():
    model = make("pix2pix_tiny")
    x, y = data(model, 2)
    with refuses("ReduceLROnPlateau conflicts with the schedule of Pix2Pix.*generator_optimizer="):
        model.fit(x, y, verbose=0, callbacks=[keras.callbacks.ReduceLROnPlateau("l1")])


@pytest.mark.parametrize("name", ["dcgan_tiny", "vae_tiny", "adain_tiny"])
def test_optimizers_with_a_moving_average(name):
    players = make(name).players()
    optimizers = {f"{player}_optimizer": Adam(1e-1, use_ema=True) for player in players}
    callbacks = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    model = make(name, **optimizers)
    x, y = data(model, 8)
    for used in ([], [callbacks]):
        model.fit(x, y, batch_size=4, verbose=0, callbacks=used)
        for player, variables in model.player_variables().items():
            averages = getattr(model, f"{player}_optimizer")._model_variables_moving_average
            assert len(averages) == len(variables)
            for variable, average in zip(variables, averages, strict=True):
                np.testing.assert_array_equal(variable.numpy(), average.numpy())


def test_tensorboard_with_steps_per_second(tmp_path):
    pytest.importorskip("tensorboard")
    for name in ("dcgan_tiny", "vae_tiny"):
        model = make(name)
        x, y = data(model, 8)
        callback = keras.callbacks.TensorBoard(
            tmp_path / name, write_steps_per_second=True, write_graph=False
        )
        model.fit(x, y, validation_data=(x, y), batch_size=4, verbose=0, callbacks=[callback])
        assert list((tmp_path / name).rglob("events*"))


def test_optimizers_are_objects_of_their_own():
    optimizer = keras.optimizers.Adam()
    with refuses("DCGAN trains its networks with 2 optimizers: pass generator_optimizer="):
        make("dcgan_tiny", optimizer=optimizer)
    with refuses("DCGAN needs a separate optimizer for each of generator, discriminator"):
        make("dcgan_tiny", generator_optimizer=optimizer, discriminator_optimizer=optimizer)
    assert make("vae_tiny", optimizer=optimizer).optimizer is optimizer
    with refuses("built for other variables.*create a new one"):
        make("vae_tiny", optimizer=optimizer)


def test_nan_stops_fit(tiny):
    model = make(tiny)
    x, y = data(model)
    train_step = model.train_step
    model.train_step = lambda data: {name: v * np.nan for name, v in train_step(data).items()}
    saved = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: saved.append(epoch))
    with refuses("the loss .* became nan at step 1", UnhealthyError):
        model.fit(x, y, batch_size=4, verbose=0, callbacks=[callback])
    assert not saved and int(model.step.numpy()) == 1


# --- The end of the data.


@pytest.mark.parametrize("xla", ["off", "on"])
@pytest.mark.parametrize("steps_per_execution", [1, 2, 4])
@pytest.mark.parametrize("replicas", [1, 2])
def test_no_step_without_data(replicas, steps_per_execution, xla):
    name = "gan_tiny" if xla == "on" else "dcgan_tiny"  # XLA's convolutions are slow on a CPU
    expected = None
    for known in (True, False):
        with distribute.make_strategy("mirrored", replicas).scope():
            model = make(name, steps_per_execution=steps_per_execution, xla=xla)
        batches = dataset(model, 12, drop_remainder=True)
        batches = batches if known else batches.filter(lambda batch: True)
        history = model.fit(batches, epochs=2, verbose=0, shuffle=False).history
        assert int(model.step.numpy()) == 6
        assert int(model.generator_optimizer.iterations.numpy()) == 6
        result = model.weights_sha256(), history
        expected = expected or result
        assert result == expected


@pytest.mark.parametrize("name", ["gan_tiny", "vae_tiny"])
@pytest.mark.parametrize("n", [5, 7])
def test_replicas_need_equal_parts(name, n):
    with distribute.make_strategy("mirrored", 2).scope():
        model = make(name)
    x = images(model, n)  # batches of 4 and 1, or 4 and 3
    with refuses("every replica needs an equal part of each batch.*drop_remainder=True"):
        model.fit(x, batch_size=4, verbose=0)
    assert int(model.step.numpy()) == 1
    with refuses("the batch size must be a multiple of the 2 replicas, got 5"):
        model.train_on_batch(images(model, 5))
    assert np.isfinite(model.train_on_batch(images(model, 4))).all()
    assert np.isfinite(model.evaluate(images(model, 7), batch_size=4, verbose=0)).all()
    with refuses("drop_remainder=True"):
        model.evaluate(images(model, 5), batch_size=4, verbose=0)


def test_predict_on_batch_does_not_retrace():
    model = make("dcgan_tiny")
    traces, generator = [], model.generator
    model.call = lambda z, training=False: (traces.append(1), generator(z))[1]
    for _ in range(3):
        model.predict_on_batch(model.latent(4, 0).numpy())
    assert len(traces) == 1
