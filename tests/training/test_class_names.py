"""Class names: from the folders to the run, its SavedModel and the labels of samples."""

import json

import numpy as np
import pytest
from PIL import Image

import tfgan_zoo
from tfgan_zoo import cli
from tfgan_zoo.data.datasets import load_images
from tfgan_zoo.errors import FailureError, UserError
from tfgan_zoo.inference.latent_walk import latent_walk
from tfgan_zoo.model_methods import class_numbers
from tfgan_zoo.presets import experiment
from tfgan_zoo.runs import read_class_names, read_experiment, write_experiment
from tfgan_zoo.tools.report import write_report
from tfgan_zoo.training.prepare import describe
from tfgan_zoo.training.train import train

NAMES = ["cats", "dogs", "große Eulen"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train a conditional VAE on three folders; return (run, overrides, result)."""
    root = tmp_path_factory.mktemp("classes")
    for i, name in enumerate(NAMES):
        (root / "data" / name).mkdir(parents=True)
        for level in (0, 60):
            Image.new("L", (16, 16), 60 * i + level).save(root / "data" / name / f"{level}.png")
    overrides = (
        *("data.dataset=folder", f"data.path={root / 'data'}", "data.batch_size=2"),
        *("model.classes=3", "train.epochs=1", "train.steps_per_epoch=1"),
    )
    run = root / "run [1]"  # brackets, which TensorFlow takes for a pattern
    return run, overrides, train("vae_tiny", *overrides, run_dir=run)


@pytest.fixture(scope="module")
def models(trained):
    """Return the models of the run and of its SavedModel."""
    run, _, _ = trained
    return tfgan_zoo.load(run), tfgan_zoo.load(run / "saved_model")


def test_names_are_in_the_files_of_a_run(trained):
    run, _, result = trained
    assert result["class_names"] == NAMES
    for file in ("result.json", "experiment.json", "saved_model/experiment.json"):
        assert json.loads((run / file).read_text(encoding="utf-8"))["class_names"] == NAMES
    card = (run / "saved_model/README.md").read_text(encoding="utf-8")
    assert "| classes | 0 cats, 1 dogs, 2 große Eulen |" in card
    assert "--labels 'cats,dogs,große Eulen'" in card
    page = write_report(run).read_text(encoding="utf-8")
    assert "cats, dogs, gro&#223;e Eulen" in page


def test_names_are_shown_before_training(trained, capsys):
    run, overrides, _ = trained
    assert describe("vae_tiny", *overrides)["class_names"] == NAMES
    train(run)
    assert "\n3 classes: cats, dogs, große Eulen\n" in capsys.readouterr().err


def test_names_are_accepted_as_labels(models):
    for model in models:
        assert list(model.class_names) == NAMES
        by_name = model.sample(4, seed=1, labels=["dogs", "große Eulen"])
        np.testing.assert_array_equal(by_name, model.sample(4, seed=1, labels=[1, 2]))
        np.testing.assert_array_equal(
            model.reconstruct(by_name, ["dogs"] * 4), model.reconstruct(by_name, [1] * 4)
        )
        for labels, numbers in [(["cats"], [0]), (["dogs", "cats"], [1, 0])]:
            np.testing.assert_array_equal(
                latent_walk(model, rows=2, steps=2, labels=labels),
                latent_walk(model, rows=2, steps=2, labels=numbers),
            )
        with pytest.raises(UserError, match="one of cats, dogs, .*, got 'dog'. Did you mean dogs"):
            model.sample(4, labels=["dog"])


def test_names_are_accepted_by_commands(trained, tmp_path, capsys):
    run, _, _ = trained
    for source in (run, run / "saved_model"):
        out = tmp_path / source.name
        commands = [
            ["sample", source, "--labels", "dogs,0", "-n", "4", "--json", "-o", f"{out} 1.png"],
            ["interpolate", source, "--labels", "cats,dogs", "-o", f"{out} 2.png"],
            [
                "reconstruct",
                source,
                f"{out} 1.png",
                "--labels",
                "große Eulen",
                "-o",
                f"{out} 3.png",
            ],
        ]
        for i, command in enumerate(commands):
            assert cli.main([str(word) for word in command]) == 0
            output = capsys.readouterr().out
            assert i or json.loads(output)["labels"] == [1, 0]
        assert cli.main(["sample", str(source), "--labels", "horses"]) == 2
        assert "one of cats, dogs, große Eulen, got 'horses'" in capsys.readouterr().err


def test_a_model_without_names_takes_numbers(trained, tmp_path, capsys):
    run, _, _ = trained
    saved = tmp_path / "saved"
    assert cli.main(["export", str(run), "-o", str(saved)]) == 0
    write_experiment(saved, read_experiment(saved))  # as older versions wrote it
    model = tfgan_zoo.load(saved)
    assert model.class_names == () and model.sample(2, labels=[1]).shape[0] == 2
    with pytest.raises(UserError, match="must be numbers: no names are stored, got 'cats'"):
        model.sample(2, labels=["cats"])
    assert cli.main(["sample", str(saved), "--labels", "0-2", "-o", str(tmp_path / "x.png")]) == 0


@pytest.mark.parametrize("content", [b"[1]", b"\xff", b'{"class_names": 3}'])
def test_an_experiment_file_that_is_damaged_is_an_error(content, tmp_path):
    (tmp_path / "experiment.json").write_bytes(content)
    with pytest.raises(FailureError, match="experiment.json is damaged"):
        read_class_names(tmp_path)


def test_numbers_as_text_are_names_first():
    assert class_numbers(["3", "cats"], ("cats", "dogs")) == [3, 0]
    assert class_numbers(["2", "1"], ("0", "1", "2")) == [2, 1]
    assert class_numbers(["2", "1"], ("1", "2", "3")) == [1, 0]
    assert class_numbers([2, 1], ("1", "2", "3")) == [2, 1]
    for label in ("0", "10", "9" * 30):
        with pytest.raises(UserError, match=f"one of 1, 2, 3.*, got '{label}'"):
            class_numbers([label], ("1", "2", "3"))


def test_columns_of_vectors_have_names(trained, tmp_path):
    _, overrides, _ = trained
    for i in range(2):
        Image.new("L", (16, 16), 60 * i).save(tmp_path / f"{i}.png")
    (tmp_path / "labels.csv").write_text("file,gray,größe\n0.png,0,1\n1.png,1,0\n", "utf-8")
    changes = (f"data.path={tmp_path}", "model.classes=2", "model.condition=vector")
    run = tmp_path / "run"
    assert train("vae_tiny", *overrides, *changes, run_dir=run)["class_names"] == ["gray", "größe"]
    model = tfgan_zoo.load(run / "saved_model")
    np.testing.assert_array_equal(
        model.sample(2, labels=["größe"]), model.sample(2, labels=[[0.0, 1.0]])
    )


def test_built_in_datasets_have_names():
    digits = load_images(experiment("vae_tiny").data, 16, 1)
    assert digits.classes == [str(i) for i in range(10)]
    assert "class_names" not in describe("vae_tiny")
