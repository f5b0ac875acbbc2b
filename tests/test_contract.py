"""The contract of every model, tested on every tiny preset. Parameter counts: on all presets."""

import functools
import json
import math
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import TINY, TRANSLATION, arrays, batches, fit, images, make

from tfgan_zoo import presets
from tfgan_zoo.errors import UnhealthyError
from tfgan_zoo.models import MODELS
from tfgan_zoo.models.adversarial import AdversarialConfig
from tfgan_zoo.models.latent import network_inputs
from tfgan_zoo.optimizers import Adam
from tfgan_zoo.saving.exported import load_exported
from tfgan_zoo.saving.saved_model import max_difference, save_signatures
from tfgan_zoo.training import distribute


def inputs_of(model, n):
    """Return n inputs of `call`."""
    if model.task == "generate" and not model.encodes:
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
        "vae_tiny": {"loss", "vae", "elbo", "reconstruction", "kl", "active_units"},
        "pix2pix_tiny": {"generator", "discriminator", "adversarial", "l1"},
        "cyclegan_tiny": {"generator", "discriminator", "adversarial", "cycle", "identity"},
        "fast_tiny": {"loss", "generator", "style", "content", "variation"},
        "adain_tiny": {"loss", "decoder", "style", "content"},
        "gatys_tiny": {"loss", "image", "style", "content", "variation"},
    }
    assert history.keys() == names.get(
        tiny, {"generator", "discriminator", "real_logits", "fake_logits"}
    )
    assert np.isfinite(list(history.values())).all()


# Tests that compare two programs (graph and eager, XLA and plain, one replica and two) must not
# depend on how a processor rounds. Two things amplify rounding errors in a training step:
# - Adam divides a gradient by its size. The gradient of a bias in front of a normalization is
#   rounding noise, and still moves the bias by the learning rate, in either direction. `smooth`
#   uses a large epsilon, so that the update of a small gradient is proportional to it.
# - ReLU, max pooling and |x| have kinks. If rounding moves a value across a kink, the gradient
#   jumps, in the narrow tiny networks by up to 10 %. With 16 images of 32,000 activations each,
#   fast_tiny has a value within a rounding error of a kink in most steps. So translators and
#   stylizers take batches of 2 images that keep clear of kinks, and weights are compared after
#   one step. (Generative models take 16 images: they have batch norm of dense layers.)
# `test_comparisons_do_not_amplify_rounding` measures the rest. Largest differences over all
# presets: one part in 1e-7 of images and weights moves a loss by 2e-6 and an update by 6e-5, one
# part in 1e-6 by 9e-6 and 2e-4. Graph and eager, and XLA and plain, differ by 1e-6 and 6e-5, with
# oneDNN, without it, and with ONEDNN_MAX_CPU_ISA=AVX2. A perturbation of inputs does not show all
# rounding inside an operation, so keep both margins. If a change of a tiny preset brings a value
# near a kink, choose another FIRST_IMAGE, but first make sure that a kink is the cause.

FIRST_IMAGE = 2
LOSS_TOLERANCE = 1e-4  # relative to the loss, or to 1 for smaller losses
UPDATE_TOLERANCE = 1e-3  # relative to the largest change of the same player's weights


def smooth(name, *overrides, rate=1e-2, **options):
    """Return a compiled tiny model with optimizers that do not amplify small gradients."""
    return make(name, *overrides, **smooth_optimizers(name, rate), **options)


def smooth_optimizers(name, rate=1e-2):
    players = presets.PRESETS[name]["parameters"]
    return {f"{player}_optimizer": Adam(rate, epsilon=0.1) for player in players}


def comparison_batches(model, data=None):
    data = comparison_data(model) if data is None else data
    # Batch norm of a dense layer over 2 images gives -1 and 1, whose gradient is rounding noise.
    return batches(model, 16 if model.task == "generate" else 2, data)


def comparison_data(model):
    return tf.nest.map_structure(lambda x: x[FIRST_IMAGE:], arrays(model))


def train(model, steps=2, data=None):
    """Train on `comparison_batches`.

    Returns:
        The losses of every step, and the change of every weight in the first step.
    """
    before, changes = model.get_weights(), []

    def record_changes(epoch, logs):
        if epoch == 0:
            pairs = zip(model.get_weights(), before, strict=True)
            changes.extend(np.subtract(*pair, dtype="float64") for pair in pairs)

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=record_changes)]
    options = {"steps_per_epoch": 1, "shuffle": False, "verbose": 0, "callbacks": callbacks}
    return model.fit(comparison_batches(model, data), epochs=steps, **options).history, changes


def assert_same_training(model, result, expected, fraction=1.0):
    """Compare two results of `train`, to within a fraction of the tolerances."""
    assert_close(result[0], expected[0], fraction)
    changes = dict(zip(map(id, model.weights), expected[1], strict=True))
    # The scale of a weight without a player, such as a moving average, is its own change.
    scales = {key: max(1e-3, np.abs(change).max(initial=0)) for key, change in changes.items()}
    for variables in model.player_variables().values():
        largest = max(np.abs(changes[id(variable)]).max() for variable in variables)
        scales |= dict.fromkeys(map(id, variables), largest)
    for weight, a, b in zip(model.weights, result[1], expected[1], strict=True):
        atol = fraction * UPDATE_TOLERANCE * scales[id(weight)]
        np.testing.assert_allclose(a, b, rtol=0, atol=atol, err_msg=weight.path)


def test_reported_losses_are_means_over_the_epoch(tiny):
    model, fitted = smooth(tiny, rate=1e-5), smooth(tiny, rate=1e-5)
    real = comparison_batches(model)
    losses = [model.train_step(batch) for batch in real.take(3)]
    reported = fitted.fit(real, steps_per_epoch=3, shuffle=False, verbose=0).history
    if len(model.players()) == 1:
        assert reported.pop("loss") == reported[next(iter(model.players()))]
    means = {name: [np.mean([float(step[name]) for step in losses])] for name in reported}
    assert_close(reported, means)
    last = {name: [float(losses[-1][name])] for name in reported}
    with pytest.raises(AssertionError):  # the losses of the steps do differ
        assert_close(last, means, 10)


@functools.cache
def plain_training(name):
    """Return a model that was trained as a graph without XLA, and the result of `train`."""
    model = smooth(name)
    assert not model.xla and not model.run_eagerly
    return model, train(model)


def test_graph_equals_eager(tiny):
    graph, result = plain_training(tiny)
    assert_same_training(graph, result, train(smooth(tiny, run_eagerly=True)))


def test_xla_equals_plain(tiny):
    plain, result = plain_training(tiny)
    compiled = smooth(tiny, xla="on")
    assert compiled.xla
    assert_same_training(plain, train(compiled), result)


def perturbed(values, size, seed):
    """Change every number of float32 arrays by a relative `size`, up or down at random."""
    random = np.random.default_rng(seed)

    def perturb(x):
        factors = 1 + size * random.choice([-1, 1], x.shape)
        return (x * factors).astype(x.dtype) if x.dtype == np.float32 else x

    return tf.nest.map_structure(perturb, values)


def assert_well_conditioned(model, steps=2, weights=True, draws=3):
    """Perturb the images and the initial weights, and compare the results of `train`.

    One part in 1e-7 must move every number by a tenth of its tolerance at most, and one part in
    1e-6 by the tolerance at most.
    """
    optimizers = [getattr(model, f"{player}_optimizer") for player in model.players()]
    variables = [*model.weights, *(v for optimizer in optimizers for v in optimizer.variables)]
    trainable = {id(v) for player in model.player_variables().values() for v in player}
    start = [variable.numpy() for variable in variables]
    data = comparison_data(model)

    def result(size, seed):
        for i, (variable, value) in enumerate(zip(variables, start, strict=True)):
            moves = id(variable) in trainable
            variable.assign(perturbed(value, size, 1000 * seed + i) if moves else value)
        return train(model, steps, perturbed(data, size, seed))

    expected = result(0, 0)
    for size, fraction in ((1e-7, 0.1), (1e-6, 1.0)):
        for seed in range(draws):
            changed = result(size, seed)
            if weights:
                assert_same_training(model, changed, expected, fraction)
            else:
                assert_close(changed[0], expected[0], fraction)
    for variable, value in zip(variables, start, strict=True):
        variable.assign(value)


def test_comparisons_do_not_amplify_rounding(tiny):
    model = smooth(tiny)
    assert_well_conditioned(model)
    for player in model.players():
        getattr(model, f"{player}_optimizer").learning_rate = 1e-5
    assert_well_conditioned(model, steps=3, weights=False)  # reported losses


def test_comparisons_of_replicas_do_not_amplify_rounding():
    assert_well_conditioned(replicated_dcgan(1))
    assert_well_conditioned(replicated_dcgan(1, overrides=R3GAN))
    for name in TRANSLATION:
        assert_well_conditioned(replicated_translator(name, 1))


HOST_INSTRUCTIONS = re.compile(r"= \S+ (infeed|outfeed|send|recv|custom-call)\(")


# The layers choose their precision by themselves, so one model of each family shows bfloat16.
@pytest.mark.parametrize(
    ("tiny", "dtype"),
    [(name, "float32") for name in TINY]
    + [
        (name, "mixed_bfloat16")
        for name in ("vae_tiny", "pix2pix_tiny", "adain_tiny", "gatys_tiny")
    ]
    + [("dcgan_tiny", "mixed_bfloat16")],
)
def test_step_lowers_to_one_hlo_module_with_static_shapes(tiny, dtype):
    """A step is one program for a TPU: nothing in it runs on the host.

    TensorFlow cannot lower it for a TPU on another machine: experimental_get_compiler_ir with
    platform_name="TPU" refuses functions with variables.
    """
    model = make(tiny, dtype=dtype)
    step = tf.function(model.train_step, jit_compile=True)
    hlo = step.experimental_get_compiler_ir(tf.nest.map_structure(tf.constant, arrays(model, 16)))(
        stage="hlo"
    )
    assert hlo.count("HloModule") == 1
    assert "<=" not in hlo.splitlines()[0]  # a bounded dynamic dimension is written as <=n
    assert not HOST_INSTRUCTIONS.search(hlo)
    # Gatys' image and its features stay float32.
    assert ("bf16[" in hlo) == (dtype == "mixed_bfloat16" and model.config.trains)


def test_steps_per_execution_changes_nothing(tiny):
    one, four = make(tiny), make(tiny, steps_per_execution=4)
    assert_close(fit(one, steps=8), fit(four, steps=8))
    assert one.weights_sha256() == four.weights_sha256()
    assert int(four.step.numpy()) == 8


R3GAN = (  # the penalty is computed in the first of two steps
    "model.objective=relativistic",
    "model.penalty=r1_r2",
    "model.penalty_interval=2",
    "model.penalty_weight=0.5",
)


def replicated_dcgan(replicas, xla="off", overrides=()):
    """Return a DCGAN with fixed noise and without batch statistics.

    Each replica has these for itself.
    """
    noise = tf.constant(np.random.default_rng(1).normal(size=(16, 8)).astype("float32"))
    with distribute.make_strategy("mirrored", replicas).scope():
        model = make("dcgan_tiny", "model.discriminator_norm=none", *overrides)
        for layer in model.generator.layers:  # fixed statistics treat each image alone
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
        model.compile(xla=xla, **smooth_optimizers("dcgan_tiny"))

    def shared_noise(shape, stream, distribution="normal"):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return tf.slice(noise, [tf.cast(replica, tf.int32) * shape[0], 0], [shape[0], shape[1]])

    model.noise = shared_noise
    return model


@functools.cache
def one_replica(build, *arguments):
    """Return a model on one device without XLA, and the result of `train`."""
    model = build(*arguments)
    return model, train(model)


@pytest.mark.parametrize(("xla", "overrides"), [("off", ()), ("on", ()), ("on", R3GAN)])
def test_two_replicas_equal_one(xla, overrides):
    one, result = one_replica(replicated_dcgan, 1, "off", overrides)
    two = replicated_dcgan(2, xla, overrides)
    assert two.distribute_strategy.num_replicas_in_sync == 2
    assert_same_training(one, train(two), result)


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
    with pytest.raises(UnhealthyError, match=r"the loss generator became (nan|-?inf) at step 1"):
        fit(model, steps=1)
    trainable = {variable.path for variable in model.generator.trainable_variables}
    for weight, old in zip(model.generator.weights, before, strict=True):
        if weight.path in trainable:
            np.testing.assert_array_equal(weight.numpy(), old)
    fit(model, steps=3)
    assert all(np.isfinite(weight.numpy()).all() for weight in model.weights)


def replicated_translator(name, replicas, xla="off"):
    """Return a translator without batch statistics, dropout and image history.

    Each replica has these for itself.
    """
    fixed = ["model.norm=instance"]
    fixed += ["model.pool_size=0"] if name == "cyclegan_tiny" else ["model.dropout=0"]
    with distribute.make_strategy("mirrored", replicas).scope():
        return smooth(name, *fixed, xla=xla)


@pytest.mark.parametrize("xla", ["off", "on"])
def test_two_replicas_of_a_translator_equal_one(translation_tiny, xla):
    one, result = one_replica(replicated_translator, translation_tiny, 1)
    assert_same_training(one, train(replicated_translator(translation_tiny, 2, xla)), result)


# XLA and several steps per execution are in models/replicated.py, independent of the model. So two
# models show all combinations: one with weights of its own on each replica, and one without. The
# step of each model is traced for two replicas without XLA, and with both.
@pytest.mark.parametrize(
    ("tiny", "xla", "steps_per_execution"),
    [(name, *options) for name in TINY for options in (("off", 1), ("on", 2))]
    + [
        (name, *options)
        for name in ("dcgan_tiny", "cyclegan_tiny")
        for options in (("off", 2), ("on", 1))
    ],
)
def test_mirrored_replicas_stay_equal(tiny, xla, steps_per_execution):
    strategy = distribute.make_strategy("mirrored", 2)
    with strategy.scope():
        adversarial = isinstance(presets.experiment(tiny).model, AdversarialConfig)
        ema = ["model.ema_decay=0.9"] if adversarial else []
        model = make(tiny, *ema, xla=xla, steps_per_execution=steps_per_execution)
    history = fit(model, steps=2, batch_size=4)
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
    if policy == "mixed_float16" and tiny != "dcgan_tiny":  # an export is float32 by the same code
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
sys.modules["keras"] = None  # `import tensorflow` goes on without it
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
sys.modules["keras"] = None  # `import tensorflow` goes on without it
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
    expected = model.generate(z, *condition)
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
sys.modules["keras"] = None  # `import tensorflow` goes on without it
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
    with pytest.raises(ValueError, match=r"must be float32 in \[-1, 1\].*uint8"):
        model.fit(
            tf.data.Dataset.from_tensors((np.zeros((4, 16, 16, 1), "uint8"), np.zeros(4, "int64"))),
            verbose=0,
            shuffle=False,
        )


def test_every_model_has_a_tiny_preset():
    assert {presets.PRESETS[name]["kind"] for name in TINY} == set(MODELS)


def assert_close(history_a, history_b, fraction=1.0):
    assert history_a.keys() == history_b.keys()
    for name in history_a:
        errors = np.abs(np.subtract(history_a[name], history_b[name]))
        limits = fraction * LOSS_TOLERANCE * np.maximum(1, np.abs(history_b[name]))
        np.testing.assert_array_less(errors, limits, name)
