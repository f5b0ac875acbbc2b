"""The contract of every model, tested on every tiny preset. Parameter counts: on all presets."""

import json
import math
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import LATENT, TINY, TRANSLATION, arrays, batches, fit, images, make

from tfgan_zoo import presets
from tfgan_zoo.models import MODELS
from tfgan_zoo.models.adversarial import AdversarialConfig
from tfgan_zoo.models.latent import network_inputs
from tfgan_zoo.saving.exported import load_exported
from tfgan_zoo.saving.saved_model import max_difference, save_signatures
from tfgan_zoo.training import distribute


def inputs_of(model, n):
    """Return n inputs of `call`."""
    if model.task == "generate":
        return network_inputs(model.latent(n, seed=0), *model.condition(None, n))
    return arrays(model, n)[0] if model.task == "translate" else arrays(model, n)


def test_call_gives_images_in_range(tiny):
    model = make(tiny)
    out = model(inputs_of(model, 3))
    config = model.config
    assert out.shape == (3, config.image_size, config.image_size, getattr(config, "channels", 3))
    assert out.dtype == tf.float32
    assert -1 <= float(tf.reduce_min(out)) < float(tf.reduce_max(out)) <= 1


@pytest.mark.parametrize(
    "name", [name for name in presets.PRESETS if presets.PRESETS[name]["parameters"]]
)
def test_parameter_counts_are_the_golden_ones(name):
    # Random weights have the same count as downloaded ones.
    downloads = presets.PRESETS[name]["model"].get("features") == "imagenet"
    overrides = ["model.features=random", "model.features_width=64"] if downloads else []
    experiment = presets.experiment(name, *overrides)
    model = MODELS[experiment.kind](experiment.model)
    counts = {
        player: sum(math.prod(v.shape) for v in variables)
        for player, variables in model.player_variables().items()
    }
    assert counts == presets.PRESETS[name]["parameters"]


def test_every_weight_of_a_player_moves_and_no_other(tiny):
    """Within three steps: a weight behind a gate that starts at zero has no gradient at first."""
    model = make(tiny)
    batch = model.unpack_batch(tf.nest.map_structure(tf.constant, arrays(model, 16)))
    players = model.player_variables()
    assert len({id(v) for variables in players.values() for v in variables}) == sum(
        map(len, players.values())
    )
    for mover in players:
        before = {name: [v.numpy() for v in variables] for name, variables in players.items()}
        for _ in range(3):
            model.descend(lambda: model.compute_losses(batch), only=[mover])
        for name, variables in players.items():
            moved = [
                not np.array_equal(old, v.numpy())
                for old, v in zip(before[name], variables, strict=True)
            ]
            assert all(moved) if name == mover else not any(moved), (mover, name)


def test_losses_are_finite_and_have_the_promised_names(tiny):
    history = fit(make(tiny))
    names = {
        "vae_tiny": {"vae", "elbo", "reconstruction", "kl", "active_units"},
        "pix2pix_tiny": {"generator", "discriminator", "adversarial", "l1"},
        "cyclegan_tiny": {"generator", "discriminator", "adversarial", "cycle", "identity"},
        "fast_tiny": {"generator", "style", "content", "variation"},
        "adain_tiny": {"decoder", "style", "content"},
        "gatys_tiny": {"image", "style", "content", "variation"},
    }
    assert history.keys() == names.get(
        tiny, {"generator", "discriminator", "real_logits", "fake_logits"}
    )
    assert np.isfinite(list(history.values())).all()


def test_reported_losses_are_means_over_the_epoch(tiny):
    model = make(tiny)
    real = batches(model)
    steps = [model.train_step(batch) for batch in real.take(4)]
    reported = fit(make(tiny))
    for name in reported:
        np.testing.assert_allclose(
            reported[name][0],
            np.mean([float(losses[name]) for losses in steps]),
            rtol=1e-4,
            atol=1e-5,
        )


def test_graph_equals_eager(tiny):
    graph, eager = make(tiny), make(tiny, run_eagerly=True)
    # One step of SGD: narrow networks with instance norm amplify rounding errors 50-fold per step.
    if tiny not in LATENT:
        for model, eagerly in ((graph, False), (eager, True)):
            sgd = {f"{player}_optimizer": keras.optimizers.SGD(1e-3) for player in model.players()}
            model.compile(xla="off", run_eagerly=eagerly, **sgd)
    steps = 1 if tiny not in LATENT else 4
    assert_close(fit(graph, steps), fit(eager, steps))
    # AdaIN divides by standard deviations, which are near 0 in dead channels. So the rounding
    # errors of its gradients are larger.
    assert_same_weights(
        graph, eager, atol=1e-4 if tiny == "adain_tiny" else 1e-6 if tiny in TRANSLATION else 1e-5
    )


def test_xla_equals_plain(tiny):
    plain, compiled = make(tiny), make(tiny, xla="on")
    assert compiled.xla and not plain.xla
    assert_close(fit(plain, steps=2), fit(compiled, steps=2))


def test_step_lowers_to_one_hlo_module_with_static_shapes(tiny):
    model = make(tiny)
    step = tf.function(model.train_step, jit_compile=True)
    hlo = step.experimental_get_compiler_ir(tf.nest.map_structure(tf.constant, arrays(model, 16)))(
        stage="hlo"
    )
    assert hlo.count("HloModule") == 1
    assert "<=" not in hlo.splitlines()[0]  # a bounded dynamic dimension is written as <=n


def test_steps_per_execution_changes_nothing(tiny):
    one, four = make(tiny), make(tiny, steps_per_execution=4)
    assert_close(fit(one, steps=8), fit(four, steps=8))
    assert one.weights_sha256() == four.weights_sha256()
    assert int(four.step.numpy()) == 8


@pytest.mark.parametrize("xla", ["off", "on"])
def test_two_replicas_equal_one(xla):
    """The same global batch and noise, plain SGD, no batch norm and no dropout."""

    def trained(replicas):
        strategy = distribute.make_strategy("mirrored", replicas)
        noise = tf.constant(np.random.default_rng(1).normal(size=(16, 8)).astype("float32"))
        with strategy.scope():
            model = make(
                "dcgan_tiny",
                "model.discriminator_norm=none",
                xla=xla,
                generator_optimizer=keras.optimizers.SGD(0.5),
                discriminator_optimizer=keras.optimizers.SGD(0.5),
            )
            # With frozen statistics batch norm does not mix images.
            for layer in model.generator.layers:
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.trainable = False
            model.compile(
                xla=xla,
                generator_optimizer=keras.optimizers.SGD(0.5),
                discriminator_optimizer=keras.optimizers.SGD(0.5),
            )

        def shared_noise(shape, stream, distribution="normal"):
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return tf.slice(noise, [tf.cast(replica, tf.int32) * shape[0], 0], [shape[0], shape[1]])

        model.noise = shared_noise
        return model, fit(model, steps=3)

    (one, history_one), (two, history_two) = trained(1), trained(2)
    assert two.distribute_strategy.num_replicas_in_sync == 2
    assert_close(history_one, history_two)
    assert_same_weights(one, two, atol=1e-5)


@pytest.mark.parametrize("xla", ["off", "on"])
def test_overflow_on_one_replica_skips_the_step_on_both(xla):
    with distribute.make_strategy("mirrored", 2).scope():
        model = make("dcgan_tiny", dtype="mixed_float16", xla=xla)
    compute_losses = model.compute_losses

    def overflowing(batch):
        losses = compute_losses(batch)
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        overflows = tf.logical_and(model.step.value == 0, tf.equal(replica, 1))
        factor = tf.where(overflows, float("inf"), 0.0)
        infinite = factor * tf.reduce_sum(model.generator.trainable_variables[0])
        return {**losses, "generator": losses["generator"] + infinite}

    model.compute_losses = overflowing
    before = model.generator.get_weights()
    fit(model, steps=1)
    trainable = {variable.path for variable in model.generator.trainable_variables}
    for weight, old in zip(model.generator.weights, before, strict=True):
        if weight.path in trainable:
            np.testing.assert_array_equal(weight.numpy(), old)
    fit(model, steps=3)
    assert all(np.isfinite(weight.numpy()).all() for weight in model.weights)


@pytest.mark.parametrize("xla", ["off", "on"])
def test_two_replicas_of_a_translator_equal_one(translation_tiny, xla):
    """Take one step of SGD. Dropout and the image pools, which differ by replica, are off."""
    fixed = ["model.norm=instance"]
    fixed += ["model.pool_size=0"] if translation_tiny == "cyclegan_tiny" else ["model.dropout=0"]
    trained = []
    for replicas in (1, 2):
        with distribute.make_strategy("mirrored", replicas).scope():
            sgd = {
                f"{player}_optimizer": keras.optimizers.SGD(1e-3)
                for player in ("generator", "discriminator")
            }
            trained.append(make(translation_tiny, *fixed, xla=xla, **sgd))
    assert_close(fit(trained[0], steps=1), fit(trained[1], steps=1))
    assert_same_weights(*trained, atol=1e-6)


@pytest.mark.parametrize("xla", ["off", "on"])
@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_mirrored_replicas_stay_equal(tiny, xla, steps_per_execution):
    strategy = distribute.make_strategy("mirrored", 2)
    with strategy.scope():
        adversarial = isinstance(presets.experiment(tiny).model, AdversarialConfig)
        ema = ["model.ema_decay=0.9"] if adversarial else []
        model = make(tiny, *ema, xla=xla, steps_per_execution=steps_per_execution)
    history = fit(model, steps=2)
    assert np.isfinite(list(history.values())).all()
    assert int(model.step.numpy()) == 2
    # Each replica of CycleGAN has its own image pools.
    pools = [model.pool_x, model.pool_y] if tiny == "cyclegan_tiny" else []
    pooled = [weight.path for pool in pools for weight in pool.weights]
    for weight in [weight for weight in model.weights if weight.path not in pooled]:
        copies = [copy.numpy() for copy in strategy.experimental_local_results(weight.value)]
        assert len(copies) == 2
        np.testing.assert_array_equal(*copies, err_msg=weight.path)


def test_noise_differs_by_replica_step_and_stream_and_repeats_by_seed():
    strategy = distribute.make_strategy("mirrored", 2)
    with strategy.scope():
        model = make("dcgan_tiny", seed=3)
    draw = tf.function(
        lambda stream: strategy.experimental_local_results(
            strategy.run(lambda: model.noise((4, 8), stream))
        )
    )
    first, second = (copy.numpy() for copy in draw("z"))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, draw("z")[0].numpy())
    assert not np.array_equal(first, draw("other")[0].numpy())
    model.step.assign(1)
    assert not np.array_equal(first, draw("z")[0].numpy())
    model.step.assign(0)
    model.seed = 4
    assert not np.array_equal(first, tf.function(lambda: model.noise((4, 8), "z"))().numpy())


def test_noise_is_standard_normal():
    model = make("dcgan_tiny")
    draws = model.noise((20000, 8), "z").numpy()
    assert abs(draws.mean()) < 0.01
    assert abs(draws.std() - 1) < 0.01
    assert abs((draws**4).mean() - 3) < 0.1
    assert abs(np.corrcoef(draws.T) - np.eye(8)).max() < 0.03


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_and_exports_float32_and_uint8(tiny, policy, tmp_path):
    model = make(tiny, dtype=policy)
    assert np.isfinite(list(fit(model).values())).all()
    assert all(variable.dtype == "float32" for variable in model.trainable_variables)
    assert model(inputs_of(model, 2)).dtype == tf.float32
    if not model.config.trains:  # each image is optimized by itself: there is no network to export
        return
    save_signatures(model, tmp_path / "saved")
    exported = load_exported(tmp_path / "saved")
    assert exported.reference_outputs().dtype == model.reference_outputs().dtype == np.uint8
    assert max_difference(model, exported) <= 1


def test_keras_file_restores_optimizers_and_training_continues_identically(tiny, tmp_path):
    model = make(tiny)
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model) and loaded.config == model.config
    for player in model.players():
        saved, restored = (getattr(m, f"{player}_optimizer").variables for m in (model, loaded))
        assert any(np.any(v.numpy()) for v in saved[2:])
        for a, b in zip(saved, restored, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    fit(model)
    fit(loaded)
    assert model.weights_sha256() == loaded.weights_sha256()


def test_experiment_goes_through_json(tiny):
    experiment = presets.experiment(tiny, "train.seed=7", "model.learning_rate=1e-3")
    assert presets.experiment_from_dict(json.loads(experiment.to_json())) == experiment


def test_saved_translator_runs_with_tensorflow_alone(translation_tiny, tmp_path):
    """In every direction, at a size that the strides do not divide."""
    model = make(translation_tiny)
    fit(model, steps=1)
    save_signatures(model, tmp_path / "saved")
    image = np.random.default_rng(0).integers(0, 256, (2, 45, 70, 3), np.uint8)
    np.save(tmp_path / "image.npy", image)
    code = f"""
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np, tensorflow as tf
model = tf.saved_model.load({str(tmp_path / "saved")!r})
image = tf.constant(np.load({str(tmp_path / "image.npy")!r}))
names = ["translate", *{[f"translate_{direction}" for direction in model.directions]!r}]
outputs = {{name: model.signatures[name](images=image)["images"].numpy() for name in names}}
np.savez({str(tmp_path / "out.npz")!r}, **outputs)
assert "tfgan_zoo" not in sys.modules
"""
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path)},
    )
    out = np.load(tmp_path / "out.npz")
    np.testing.assert_array_equal(out["translate"], out["translate_xy"])
    for direction in model.directions:
        translation = out[f"translate_{direction}"]
        assert translation.dtype == np.uint8 and translation.shape == image.shape
        assert np.abs(translation.astype(int) - model.translate(image, direction)).max() <= 1


def test_saved_model_runs_with_tensorflow_alone(latent_tiny, tmp_path):
    model = make(latent_tiny)
    fit(model, steps=1)
    save_signatures(model, tmp_path / "saved")
    z = model.latent(5, 1).numpy()
    np.save(tmp_path / "z.npy", z)
    labels, five = (
        (", labels=tf.constant([3, 8])", ", labels=tf.constant([3, 8, 3, 8, 3])")
        if model.classes
        else ("", "")
    )
    code = f"""
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np, tensorflow as tf
model = tf.saved_model.load({str(tmp_path / "saved")!r})
def sample(n, seed):
    run = model.signatures["sample"]
    return run(n=tf.constant(n), seed=tf.constant(seed){labels})["images"].numpy()
z = tf.constant(np.load({str(tmp_path / "z.npy")!r}))
images = model.signatures["serving_default"](z=z{five})["images"].numpy()
a, b, c = sample(6, 1), sample(6, 1), sample(6, 2)
np.savez({str(tmp_path / "out.npz")!r}, a=a, b=b, c=c, images=images)
assert "tfgan_zoo" not in sys.modules
"""
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path)},
    )
    out = np.load(tmp_path / "out.npz")
    chosen = [3, 8] if model.classes else None
    np.testing.assert_array_equal(out["a"], out["b"])
    assert not np.array_equal(out["a"], out["c"])
    assert out["a"].dtype == np.uint8
    assert np.abs(out["a"].astype(int) - model.sample(6, seed=1, labels=chosen)).max() <= 1
    condition = model.condition([3, 8, 3, 8, 3] if model.classes else None, 5)
    assert out["images"].shape[0] == 5
    expected = np.round((model(network_inputs(z, *condition)).numpy() + 1) * 127.5)
    assert np.abs(out["images"].astype(int) - expected).max() <= 1


def test_saved_stylizer_runs_with_tensorflow_alone(stylize_tiny, tmp_path):
    """At sizes that the strides do not divide. A batch gives the same as single images."""
    model = make(stylize_tiny)
    fit(model, steps=1)
    save_signatures(model, tmp_path / "saved")
    random = np.random.default_rng(0)
    inputs = {"images": random.integers(0, 256, (2, 45, 70, 3), np.uint8)}
    if model.takes_styles:
        styles = random.integers(0, 256, (2, 39, 50, 3), np.uint8)
        inputs |= {"styles": styles, "weights": np.float32([3, 1]), "alpha": np.float32(0.5)}
    np.savez(tmp_path / "in.npz", **inputs)
    code = f"""
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np, tensorflow as tf
model = tf.saved_model.load({str(tmp_path / "saved")!r})
inputs = np.load({str(tmp_path / "in.npz")!r})
inputs = {{name: tf.constant(inputs[name]) for name in inputs}}
np.save({str(tmp_path / "out.npy")!r}, model.signatures["stylize"](**inputs)["images"])
assert "tfgan_zoo" not in sys.modules
"""
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path)},
    )
    out = np.load(tmp_path / "out.npy")
    arguments = [list(styles), 0.5, [3, 1]] if model.takes_styles else []
    assert out.dtype == np.uint8 and out.shape == (2, 45, 70, 3)
    expected = [model.stylize(image, *arguments) for image in inputs["images"]]
    assert np.abs(out.astype(int) - expected).max() <= 1


def test_plain_keras_use_with_arrays_and_labels(tiny):
    model = make(tiny)
    x = images(model, 32)
    paired = model.config.data_kind != "images"
    y = (
        images(model, 32, seed=1)
        if paired
        else np.zeros(32, "int64")
        if model.needs_labels
        else None
    )
    history = model.fit(x, y, batch_size=16, epochs=1, verbose=0).history
    assert int(model.step.numpy()) == 2
    assert np.isfinite(list(history.values())).all()
    # Three batches of 10 and a last one of 2, with labels that an unconditional model ignores.
    labels = y if paired else np.zeros(32, "int64")
    labeled = tf.data.Dataset.from_tensor_slices((x, labels)).batch(10)
    model.fit(labeled, verbose=0, shuffle=False)
    assert int(model.step.numpy()) == 6


def test_integer_images_raise_an_error(tiny):
    model = make(tiny)
    with pytest.raises(ValueError, match=r"images must be float32 in \[-1, 1\].*uint8"):
        model.fit(
            tf.data.Dataset.from_tensors((np.zeros((4, 16, 16, 1), "uint8"), np.zeros(4, "int64"))),
            verbose=0,
            shuffle=False,
        )


def test_every_model_has_a_tiny_preset():
    assert {presets.PRESETS[name]["kind"] for name in TINY} == set(MODELS)


def assert_close(history_a, history_b):
    assert history_a.keys() == history_b.keys()
    for name in history_a:
        np.testing.assert_allclose(
            history_a[name], history_b[name], rtol=2e-4, atol=2e-4, err_msg=name
        )


def assert_same_weights(a, b, atol):
    for x, y in zip(a.weights, b.weights, strict=True):
        np.testing.assert_allclose(x.numpy(), y.numpy(), atol=atol, err_msg=x.path)
