"""Bounds of the numbers in every config, and parsing of overrides."""

import argparse
import dataclasses
import itertools
import math
import time

import pytest
from helpers import TINY

from tfgan_zoo import cli, fields, presets
from tfgan_zoo.config import (
    DataConfig,
    TrainConfig,
    field_suggestions,
    field_types,
    parse_assignment,
)
from tfgan_zoo.errors import UserError
from tfgan_zoo.models import MODELS

CONFIGS = {name: presets.experiment(name).model for name in [*TINY, "gatys_tiny"]}
CONFIGS["data"] = presets.experiment("dcgan_tiny").data
CONFIGS["train"] = presets.experiment("dcgan_tiny").train

NUMBERS = [
    (name, field, value)
    for name, config in CONFIGS.items()
    for field, kind in field_types(type(config)).items()
    for value in {int: (10**12, -1), float: (math.nan, math.inf, -1.0, 1e39)}.get(kind, ())
]


@pytest.mark.parametrize(("name", "field", "value"), NUMBERS)
def test_every_number_has_bounds(name, field, value):
    begin = time.time()
    with pytest.raises(UserError, match=rf"{field} must be .*, got {value!r}".replace("+", r"\+")):
        dataclasses.replace(CONFIGS[name], **{field: value})
    assert time.time() - begin < 1


@pytest.mark.parametrize(
    "override",
    [
        "model.downs=9999999999",
        f"model.width={'9' * 5000}",
        "model.width=1e3",
        f"model.learning_rate={'9' * 400}",
        "model.learning_rate=NaN",
        "model.learning_rate=-Infinity",
        f"model.norm={'[' * 10**5}",
        f"train.epochs={'[' * 10**5}",
        "train.seed=99999999999999999999",
        "data.limit=99999999999",
        f"{'x' * 5000}=1",
        f"{'x' * 5000}.a=1",
        f"model.{'x' * 5000}=1",
        f"width={'[' * 10**5}",
        "width=1\n2",
    ],
)
def test_a_wrong_value_is_reported_in_a_short_line(override):
    with pytest.raises(UserError) as error:
        presets.experiment("pix2pix_tiny", override)
    assert len(str(error.value)) < 1000 and "\n" not in str(error.value)


@pytest.mark.parametrize("kind", MODELS)
def test_fields_are_read_from_the_source(kind):
    sections = {"model": MODELS[kind].Config, "data": DataConfig, "train": TrainConfig}
    for section, section_fields in fields.experiment_fields(kind).items():
        config = sections[section]()
        defaults = {name: getattr(config, name) for name in field_types(type(config))}
        assert {name: field.default for name, field in section_fields.items()} == defaults
        assert list(section_fields) == list(defaults)
        assert all(field.meaning for field in section_fields.values())


@pytest.mark.parametrize("name", presets.PRESETS)
def test_fields_of_a_preset_equal_its_experiment(name):
    values = {
        f"{section}.{field}": value
        for section, section_fields in fields.preset_fields(name).items()
        for field, (value, *_) in section_fields.items()
    }
    experiment = presets.experiment(name).fields()
    assert {"preset": name, "kind": presets.PRESETS[name]["kind"], **values} == {
        key: list(value) if isinstance(values.get(key), list) else value
        for key, value in experiment.items()
    }


SECTIONS = fields.experiment_fields("DCGAN")


@pytest.mark.parametrize(
    ("name", "suggestions"),
    [
        ("epochs", ["train.epochs"]),
        ("train.batch_size", ["data.batch_size"]),
        ("batch-size", ["data.batch_size"]),
        ("bs", ["data.batch_size", "data.binarize_seed"]),
        ("batch", ["data.batch_size"]),
        ("lr", ["model.learning_rate"]),
        ("model.lerning_rate", ["model.learning_rate", "model.discriminator_learning_rate"]),
        ("Epochs", ["train.epochs"]),
        ("beta", ["model.beta_1", "model.beta_2"]),
        ("steps", ["train.steps_per_epoch", "train.steps_per_execution"]),
        ("decay", ["model.decay_steps"]),
        ("size", ["model.image_size", "model.kernel_size", "data.batch_size"]),
        ("nothing_like_it", []),
        ("", []),
    ],
)
def test_fields_are_suggested(name, suggestions):
    assert field_suggestions(name, SECTIONS) == suggestions


def test_a_field_of_several_sections_is_suggested_with_all_of_them():
    sections = {"model": ["seed", "width"], "data": ["width"], "train": ["seed"]}
    assert field_suggestions("width", sections) == ["model.width", "data.width"]
    with pytest.raises(UserError, match="Did you mean model.seed=1 or train.seed=1?"):
        parse_assignment("seed=1", sections)
    assert parse_assignment("data.width=a=b", sections) == ("data", "width", "a=b")


def test_messages_name_the_section():
    messages = {
        "model.downs=99": "model.downs must be between 5 and 12, got 99.",
        "data.zoom=-1": "data.zoom must be between 0 and 100, got -1.0.",
        "train.epochs=0": "train.epochs must be between 1 and 1000000000, got 0.",
        "model.objective=nope": "model.objective must be one of ",
        "model.objective=least_square": "Unknown model.objective 'least_square'. Did you mean ",
    }
    for override, message in messages.items():
        with pytest.raises(UserError) as error:
            presets.experiment("pix2pix_tiny", override)
        assert str(error.value).startswith(message)
    values = {"kind": "Pix2Pix", "model": {"image_size": 64, "downs": 99}}
    with pytest.raises(UserError, match=r"^model\.downs must be between"):
        presets.experiment_from_dict(values)


@pytest.mark.parametrize("preset", ["pix2pix_tiny", "cyclegan_tiny", "adain_tiny", "fast_tiny"])
def test_drawn_datasets_have_a_smaller_limit(preset):
    from tfgan_zoo.training.prepare import describe

    with pytest.raises(UserError, match="data.limit must be between 0 and 100000, got 1000000"):
        describe(preset, "data.limit=1000000")


def numbers_of_commands():
    """Return [(command, option, function that parses it)] of all options that are numbers."""
    parser = cli.build_parser()
    subparsers = [action for action in parser._actions if isinstance(action.choices, dict)]
    return [
        (command, action.option_strings[-1], action.type)
        for command, subparser in subparsers[0].choices.items()
        for action in subparser._actions
        if action.type and action.type.__qualname__.startswith("number")
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    itertools.product(numbers_of_commands(), ["9" * 40, "9" * 5000, "-1", "nan", "inf", "²", ""]),
)
def test_options_have_bounds(number, text):
    parse = number[2]
    with pytest.raises(argparse.ArgumentTypeError, match=r"must be (a number|an integer) between"):
        parse(text)


def test_all_numbers_of_the_command_line_are_checked():
    commands = {command for command, *_ in numbers_of_commands()}
    assert {"sample", "interpolate", "evaluate", "translate", "stylize", "benchmark"} <= commands
    parser = cli.build_parser()
    (subparsers,) = [action for action in parser._actions if isinstance(action.choices, dict)]
    for subparser in subparsers.choices.values():
        assert not [action for action in subparser._actions if action.type in (int, float)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", "x", "--labels", "0-99999999999"], "--labels: must be classes below 100000"),
        (["sample", "x", "--labels", "9" * 5000], "a pretrained preset is needed"),
        (["sample", "x", "--seed", str(2**63)], "--seed: must be an integer between 0 and"),
        (["show", "gatys", 'model.style_layers=["nope"]'], "a layer of style_layers must be one"),
        (["show", "gatys", 'model.content_layers=["a"]'], "a layer of content_layers must be one"),
        (["show", "fast_tiny", "model.content_layers=[]"], "content_layers must name at least one"),
        (["show", "dcgan_tiny", "model.diff_augment=colors"], "Did you mean color?"),
        (["export", "x", "--size", "1x99999999999"], "HEIGHTxWIDTH"),
        (["export", "x", "--size", "²x3"], "HEIGHTxWIDTH"),
        (["export", "x", "--format", "x" * 5000], "invalid choice"),
        (["x" * 5000], "Unknown command 'xxx"),
        (["show", "x" * 5000], "Unknown preset 'xxx"),
        (["stylize", "x", "--style-scale", "0"], "--style-scale: must be a number between 0.05"),
        (["stylize", "x", "--style", "mosaic", "--style-weights", "nan"], "a finite number"),
    ],
)
def test_wrong_arguments_are_reported_in_a_short_line(arguments, message, capsys):
    try:
        code = cli.main(arguments)
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and message in error and error.count("\n") == 1 and len(error) < 2000
