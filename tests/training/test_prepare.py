"""Test the preparation of an experiment: data, model, steps and batches."""

import pathlib

import numpy as np
import pytest

from tfgan_zoo import presets
from tfgan_zoo.data.datasets import load_for_experiment
from tfgan_zoo.errors import UserError
from tfgan_zoo.training import prepare, train
from tfgan_zoo.training.distribute import make_strategy


def test_batches_are_the_global_batch_in_parts_from_any_epoch():
    prepared = prepare.prepare(presets.experiment("cgan_tiny", "train.steps_per_epoch=3"))
    assert (prepared.batch_size, prepared.steps_per_epoch) == (16, 3)
    batches = [images.numpy() for images, _ in prepared.batches().take(4)]
    (next_epoch,) = prepared.batches(first_epoch=1).take(1)
    np.testing.assert_array_equal(next_epoch[0], batches[3])
    parts = [prepared.batches(shard=shard, shards=2) for shard in range(2)]
    parts = [next(iter(part))[0] for part in parts]
    np.testing.assert_array_equal(np.concatenate(parts), batches[0])


def test_loaded_data_is_used():
    experiment = presets.experiment("dcgan_tiny", "train.steps_per_epoch=0")
    data = load_for_experiment(experiment.override("data.limit=40"))
    prepared = prepare.prepare(experiment, data=data)
    assert prepared.data is data
    assert prepared.steps_per_epoch == 2


def test_the_batch_size_must_be_a_multiple_of_the_replicas():
    experiment = presets.experiment("dcgan_tiny", "data.batch_size=15")
    with pytest.raises(UserError, match="multiple of the 2 replicas, got 15"):
        prepare.prepare(experiment, make_strategy("mirrored", 2))


def test_dry_run_describes_what_train_would_do(tmp_path):
    description = prepare.describe("dcgan_tiny", "train.steps_per_epoch=0")
    assert description["steps_per_epoch"] == 1797 // 16
    assert description["parameters"] == presets.PRESETS["dcgan_tiny"]["parameters"]
    assert description["experiment"]["train"]["steps_per_epoch"] == 0
    with pytest.raises(UserError, match="needs train.evaluate_every"):
        prepare.describe("dcgan_tiny", "train.best=frechet_distance")
    with pytest.raises(UserError, match="multiple of the 3 replicas, got 16"):
        prepare.describe("dcgan_tiny", "train.replicas=3")


def test_automatic_precision_is_resolved_before_training(monkeypatch):
    monkeypatch.setattr(prepare.distribute, "fast_precision", lambda strategy: "mixed_bfloat16")
    assert presets.experiment("dcgan_tiny", "train.precision=auto").train.precision == "auto"
    experiment = prepare.resolve_experiment("dcgan_tiny", "train.precision=auto")
    assert experiment.train.precision == "mixed_bfloat16"
    assert prepare.resolve_experiment("dcgan_tiny").train.precision == "float32"
    with pytest.raises(UserError, match="train.precision=auto is replaced before a model is built"):
        prepare.prepare(presets.experiment("dcgan_tiny", "train.precision=auto"))


@pytest.mark.parametrize(
    ("preset", "overrides", "message"),
    [
        ("dcgan_tiny", ["model.diff_augment=colors"], "Unknown model.diff_augment 'colors'"),
        ("adain_tiny", ["model.features=nope"], "features must be one of random.*got 'nope'"),
        ("vae_tiny", ["train.evaluate_features=nope"], "train.evaluate_features.*got 'nope'"),
        ("gan_tiny", ["train.replicas=2", "train.strategy=cpu"], "needs train.strategy=mirrored"),
        (
            "vae_tiny",
            ["train.evaluate_every=1", "train.evaluate_features=nope.keras"],
            "features must be.*got 'nope.keras'",
        ),
    ],
)
def test_dry_run_refuses_what_train_refuses(preset, overrides, message):
    for function in (prepare.describe, train.train):
        with pytest.raises(UserError, match=message):
            function(preset, *overrides)


def test_too_few_epochs_for_the_learning_rate_schedule_give_a_warning(tmp_path, capsys):
    overrides = ["train.epochs=1", "train.steps_per_epoch=1"]
    train.train("pix2pix_tiny", *overrides, run_dir=tmp_path)
    assert "warning: the learning rate will not have decayed to 0" in capsys.readouterr().err


@pytest.mark.parametrize("source", ["runs/gone", "./gan_tiny", pathlib.Path("a/b")])
def test_a_missing_run_directory_raises_an_error_without_the_list_of_presets(source):
    with pytest.raises(UserError) as error:
        prepare.resolve_experiment(source)
    assert str(error.value) == f"a preset or a run directory is needed, got {str(source)!r}."


def test_the_largest_seed_trains_and_evaluates(tmp_path):
    overrides = ["train.seed=4294967295", "train.epochs=1", "train.steps_per_epoch=1"]
    overrides += ["data.limit=4", "train.evaluate_every=1", "data.binarize_seed=4294967295"]
    result = train.train("pix2pix_tiny", *overrides, run_dir=tmp_path / "run")
    assert result["metrics"]["eval_l1"] > 0
