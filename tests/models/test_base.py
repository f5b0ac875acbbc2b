"""The models' and layers' own names do not collide with names of Keras."""

import ast
import importlib
import inspect
import pkgutil
import textwrap

import keras
import pytest

import tfgan_zoo
from tfgan_zoo.config import ModelConfig
from tfgan_zoo.errors import UserError
from tfgan_zoo.models import MODELS

INTENDED_OVERRIDES = {
    # of keras.layers.Layer
    "build",
    "built",
    "call",
    "compute_output_shape",
    "from_config",
    "get_config",
    "supports_masking",
    # of keras.Model
    "_maybe_symbolic_build",
    "compile",
    "compile_from_config",
    "evaluate",
    "export",
    "fit",
    "get_compile_config",
    "make_test_function",
    "make_train_function",
    "metrics_names",
    "optimizer",
    "reset_metrics",
    "save",
    "test_function",
    "test_step",
    "train_function",
    "train_step",
}


def subclasses(cls):
    for subclass in cls.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


def own_classes():
    for module in pkgutil.walk_packages(tfgan_zoo.__path__, "tfgan_zoo."):
        if not module.name.startswith(("tfgan_zoo.tools", "tfgan_zoo.cli", "tfgan_zoo.__main__")):
            importlib.import_module(module.name)
    classes = {cls for cls in subclasses(keras.layers.Layer) if is_own(cls)}
    return sorted(classes, key=lambda cls: f"{cls.__module__}.{cls.__name__}")


def is_own(cls):
    return cls.__module__.startswith("tfgan_zoo")


def defined_names(cls):
    """Return the attributes of a class body, and those that its methods assign to `self`."""
    assigned = {
        node.attr
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(cls))))
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    return {name for name in assigned | set(vars(cls)) if not name.startswith("__")}


@pytest.mark.parametrize("cls", own_classes(), ids=lambda cls: cls.__name__)
def test_no_name_shadows_one_of_keras(cls):
    keras_names = set()
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] in ("keras", "tensorflow"):
            keras_names |= defined_names(base)
    assert {"name", "weights", "losses", "metrics", "dtype_policy"} <= keras_names
    ignored = {"_self_setattr_tracking", "_obj_type"}  # set by Keras on every class or instance
    assert defined_names(cls) & keras_names <= INTENDED_OVERRIDES | ignored


@pytest.mark.parametrize("name", MODELS)
def test_settings_belong_to_the_config(name):
    model, config = MODELS[name], MODELS[name].Config.__name__
    message = rf"write {name}\({config}\(image_size=32\)\), got {name}\(image_size=32\)"
    with pytest.raises(UserError, match=message):
        model(image_size=32)
    for wrong in ({"image_size": 32}, 32, ModelConfig()):
        with pytest.raises(UserError, match=f"config must be a {config}, got "):
            model(wrong)
