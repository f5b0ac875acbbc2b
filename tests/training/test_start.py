"""Training that starts from trained weights, with frozen layers of the discriminator."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import TINY, make

from tfgan_zoo import presets
from tfgan_zoo.checkpoints import CheckpointFolder
from tfgan_zoo.cli import main
from tfgan_zoo.errors import UserError
from tfgan_zoo.runs import read_experiment
from tfgan_zoo.saving.exported import load
from tfgan_zoo.saving.saved_model import save_signatures
from tfgan_zoo.training.start import named_networks, start_from
from tfgan_zoo.training.train import train

TRAINABLE = [name for name in TINY if presets.experiment(name).model.trains]
SHORT = ["train.steps_per_epoch=2", "train.sample_count=4"]


def save_run(path, name, *overrides, seed=7):
    """Write the run directory of a model with random weights; return the model."""
    experiment = presets.experiment(name, *overrides)
    model = make(name, f"train.seed={seed}", *overrides)
    path.mkdir()
    (path / "experiment.json").write_text(experiment.to_json())
    CheckpointFolder(path / "checkpoints").save(tf.train.Checkpoint(model=model), 1)
    return model


def save_exported(path, name, *overrides):
    """Write the SavedModel of a model with random weights; return the model."""
    model = make(name, "train.seed=7", *overrides)
    save_signatures(model, path)
    (path / "experiment.json").write_text(presets.experiment(name, *overrides).to_json())
    return model


def weights(network):
    return [weight.numpy() for weight in network.weights]


def equal(network, other):
    pairs = zip(weights(network), weights(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", TRAINABLE)
def test_all_networks_of_a_run_are_copied(name, tmp_path):
    trained, model = save_run(tmp_path / "run", name), make(name)
    names = start_from(model, tmp_path / "run")
    sources = named_networks(trained)
    for key, network in named_networks(model).items():
        assert equal(network, sources[key]), key
        assert network.name in names
    assert int(model.step.numpy()) == 0


@pytest.mark.parametrize("name", ["dcgan_tiny", "vae_tiny", "cyclegan_tiny"])
def test_the_networks_of_a_saved_model_are_copied(name, tmp_path):
    trained, model = save_exported(tmp_path / "exported", name), make(name)
    before = {key: weights(network) for key, network in named_networks(model).items()}
    start_from(model, tmp_path / "exported")
    for key, network in named_networks(model).items():
        if key.startswith("discriminator"):  # it is not in a SavedModel
            pairs = zip(weights(network), before[key], strict=True)
            assert all(np.array_equal(a, b) for a, b in pairs)
        else:
            assert equal(network, named_networks(trained)[key]), key


def test_the_generator_and_its_average_replace_each_other(tmp_path):
    averaged = save_exported(tmp_path / "average", "dcgan_tiny", "model.ema_decay=0.9")
    averaged.generator_average.set_weights([w + 1 for w in weights(averaged.generator)])
    shutil.rmtree(tmp_path / "average")
    (tmp_path / "average").mkdir()
    save_signatures(averaged, tmp_path / "average")
    experiment = presets.experiment("dcgan_tiny", "model.ema_decay=0.9")
    (tmp_path / "average/experiment.json").write_text(experiment.to_json())
    plain = make("dcgan_tiny", "model.ema_decay=0")
    start_from(plain, tmp_path / "average")  # the SavedModel has only the average
    assert equal(plain.generator, averaged.generator_average)

    trained = save_run(tmp_path / "run", "dcgan_tiny", "model.ema_decay=0")
    model = make("dcgan_tiny", "model.ema_decay=0.9")
    start_from(model, tmp_path / "run")
    assert equal(model.generator_average, trained.generator)


def test_a_pretrained_preset_generates_the_same_images_after_the_start():
    experiment = presets.experiment("dcgan_mnist")
    model = type(make("dcgan_tiny"))(experiment.model)
    assert start_from(model, "dcgan_mnist") == ["generator"]
    difference = model.sample(4, seed=1).astype(int) - load("dcgan_mnist").sample(4, seed=1)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(
    "name, overrides, message",
    [
        ("gan_tiny", [], "must be a GAN, got .*run', a DCGAN"),
        ("dcgan_tiny", ["model.width=5"], r"model.width is \d+ there and 5 here"),
        ("dcgan_tiny", ["model.latent_dim=3"], "model.latent_dim is .* there and 3 here"),
    ],
)
def test_weights_that_do_not_fit_raise_an_error(name, overrides, message, tmp_path):
    save_run(tmp_path / "run", "dcgan_tiny")
    model = make(name, *overrides)
    before = model.weights_sha256()
    with pytest.raises(UserError, match=message) as error:
        start_from(model, tmp_path / "run")
    assert "\n" not in str(error.value) and model.weights_sha256() == before


def test_the_dry_run_checks_the_start(tmp_path, capsys):
    save_run(tmp_path / "run", "dcgan_tiny")
    start = f"train.start={tmp_path / 'run'}"
    assert main(["train", "dcgan_tiny", start, "--dry-run"]) == 0
    assert main(["train", "gan_tiny", start, "--dry-run"]) == 2
    assert main(["train", "gan_tiny", "train.start=gone", "--dry-run"]) == 2
    assert "got 'gone'" in capsys.readouterr().err


def test_a_run_with_a_start_is_resumed_without_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    trained = save_run(tmp_path / "trained", "dcgan_tiny")
    options = ["dcgan_tiny", *SHORT, "train.start=trained"]
    expected = train(*options, "train.epochs=2", run_dir="expected")
    fresh = train(*options[:-1], "train.epochs=2", run_dir="fresh")
    assert expected["weights_sha256"] not in (fresh["weights_sha256"], trained.weights_sha256())
    train(*options, "train.epochs=1", run_dir="run")
    assert "starting from the weights of" in capsys.readouterr().err
    assert read_experiment("run").train.start == str(tmp_path / "trained")
    shutil.rmtree(tmp_path / "trained")
    assert train("run", "train.epochs=2")["weights_sha256"] == expected["weights_sha256"]


@pytest.mark.parametrize("name", ["dcgan_tiny", "gan_tiny", "pix2pix_tiny"])
def test_frozen_layers_of_the_discriminator_are_not_trained(name, tmp_path):
    train(name, *SHORT, "train.epochs=1", "model.frozen_layers=1", run_dir=tmp_path / "run")
    before = make(name, "model.frozen_layers=1").discriminator
    after = load(tmp_path / "run").discriminator
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    kernels = [
        [layer.kernel.numpy() for layer in network.layers if isinstance(layer, kinds)]
        for network in (before, after)
    ]
    changed = [not np.array_equal(*pair) for pair in zip(*kernels, strict=True)]
    assert changed == [False] + [True] * (len(changed) - 1)
    loaded = keras.models.load_model(tmp_path / "run/model.keras")
    assert loaded.discriminator_optimizer.built
    assert len(loaded.discriminator.trainable_variables) == len(after.trainable_variables)


def test_too_many_frozen_layers_raise_an_error():
    with pytest.raises(UserError, match=r"model.frozen_layers must be less than \d+, .* got 60"):
        make("dcgan_tiny", "model.frozen_layers=60")
    with pytest.raises(UserError, match="has no field 'frozen_layers'"):
        presets.experiment("vae_tiny", "model.frozen_layers=1")


class AddToLogs(keras.callbacks.Callback):
    """Add a number to the logs, and stop after the second epoch."""

    def on_epoch_end(self, epoch, logs=None):
        logs["epoch_squared"] = (epoch + 1) ** 2
        self.model.stop_training = epoch == 1


def test_numbers_of_callbacks_are_written_to_the_metrics(tmp_path):
    result = train("gan_tiny", *SHORT, "train.epochs=5", run_dir=tmp_path, callbacks=[AddToLogs()])
    assert result["epochs"] == 2 and result["metrics"]["epoch_squared"] == 4
    assert train(tmp_path)["epochs"] == 5  # goes on, without the callback


def test_image_grids_are_in_the_tensorboard_logs(tmp_path):
    pytest.importorskip("tensorboard")
    options = [*SHORT, "train.epochs=2", "train.tensorboard=true"]
    train("gan_tiny", *options, run_dir=tmp_path)
    [file] = (tmp_path / "tensorboard/samples").iterdir()
    images = [
        (event.step, value.tag, tf.io.decode_png(value.tensor.string_val[2]).shape)
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    ]
    side = 2 * (presets.experiment("gan_tiny").model.image_size + 2) + 2
    assert images == [(step, "samples", (side, side, 1)) for step in (1, 2)]


def test_the_start_is_in_the_experiment_file(tmp_path):
    experiment = presets.experiment("dcgan_tiny", "train.start=dcgan_mnist")
    assert experiment.with_absolute_paths() == experiment  # a preset's name is not a path
    assert json.loads(experiment.to_json())["train"]["start"] == "dcgan_mnist"
