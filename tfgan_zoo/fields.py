"""Fields of an experiment with their defaults and meanings, read from the source code.

The meaning of a field is the comment in its line. Reading the source also avoids the import of
TensorFlow, which the files of the models need and which takes seconds.
"""

import ast
import functools
import io
import pathlib
import tokenize
import typing

from tfgan_zoo.config import parse_assignment
from tfgan_zoo.presets import PRESETS

PACKAGE = pathlib.Path(__file__).parent


class Field(typing.NamedTuple):
    """A field of a configuration."""

    default: typing.Any
    meaning: str


def preset_fields(name):
    """Return the fields of a preset: {section: {field: (value, default, meaning)}}."""
    preset = PRESETS[name]
    return {
        section: {
            field: (preset[section].get(field, default), default, meaning)
            for field, (default, meaning) in fields.items()
        }
        for section, fields in experiment_fields(preset["kind"]).items()
    }


def check_overrides(name, overrides):
    """Raise `UserError` for an override of an unknown field, without importing TensorFlow.

    Args:
        name: name of a preset.
        overrides: strings `section.field=value`. The values are not checked.
    """
    sections = experiment_fields(PRESETS[name]["kind"])
    for override in overrides:
        parse_assignment(override, sections, name)


@functools.cache
def experiment_fields(kind=None):
    """Return all fields of an experiment.

    Args:
        kind: name of the model's class, such as DCGAN. None: the fields of all models.

    Returns:
        {section: {field: `Field`}} for the sections model, data and train.
    """
    model = {}
    for name in [kind] if kind else dict.fromkeys(preset["kind"] for preset in PRESETS.values()):
        model.update(config_fields(f"{name}Config"))
    sections = {
        "model": model,
        "data": config_fields("DataConfig"),
        "train": config_fields("TrainConfig"),
    }
    return {
        section: {name: field for name, field in fields.items() if field}
        for section, fields in sections.items()
    }


def config_fields(name):
    """Return {field: `Field`} of a config class, in the order of `dataclasses.fields`.

    The values of class variables are None.
    """
    path, node = config_classes()[name]
    comments, fields = comments_of(path), {}
    for base in reversed(node.bases):
        if base.id in config_classes():
            fields.update(config_fields(base.id))
    for statement in node.body:
        if not isinstance(statement, ast.AnnAssign):
            continue
        name = statement.target.id
        if "ClassVar" in ast.unparse(statement.annotation):
            # Not a field, but a field of a subclass keeps its place in the order.
            fields.setdefault(name, None)
            continue
        lines = range(statement.lineno, statement.end_lineno + 1)
        meaning = " ".join(comments[line] for line in lines if line in comments)
        fields[name] = Field(constant(statement.value, path), meaning)
    return fields


@functools.cache
def config_classes():
    """Return {class name: (file, syntax tree)} of the configs of models, data and training."""
    paths = [PACKAGE / "config.py", *sorted((PACKAGE / "models").glob("*.py"))]
    return {
        node.name: (path, node)
        for path in paths
        for node in parse(path).body
        if isinstance(node, ast.ClassDef) and node.name.endswith("Config")
    }


@functools.cache
def parse(path):
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def comments_of(path):
    """Return {line number: text of its comment} of a file."""
    source = io.StringIO(path.read_text(encoding="utf-8"))
    return {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(source.readline)
        if token.type == tokenize.COMMENT
    }


def constant(node, path):
    """Return the value of a literal, or of a constant that a module defines or imports."""
    if not isinstance(node, ast.Name):
        return ast.literal_eval(node)
    for statement in parse(path).body:
        if isinstance(statement, ast.Assign) and statement.targets[0].id == node.id:
            return constant(statement.value, path)
        if isinstance(statement, ast.ImportFrom) and node.id in {a.name for a in statement.names}:
            module = PACKAGE.parent.joinpath(*statement.module.split(".")).with_suffix(".py")
            return constant(node, module)
    raise LookupError(f"{path} does not define {node.id}")
