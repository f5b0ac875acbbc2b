# ruff: noqa: F401, F403
"""tfgan_zoo: classic image-generating networks in Keras 3 on TensorFlow, to learn from, train and ship.

Importing this package is quick. TensorFlow is imported when a name that needs it is first used.
"""

import importlib
import os
from typing import TYPE_CHECKING

from tfgan_zoo.presets import PRESETS

if TYPE_CHECKING:  # what editors and type checkers see
    from tfgan_zoo.config import DataConfig, Experiment, ModelConfig, TrainConfig
    from tfgan_zoo.data.datasets import DATASETS
    from tfgan_zoo.errors import UserError
    from tfgan_zoo.evaluation import evaluate
    from tfgan_zoo.models import *
    from tfgan_zoo.presets import experiment
    from tfgan_zoo.saving.exported import load
    from tfgan_zoo.training.train import train

os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # before anything imports keras

__version__ = "0.1.0"

MODEL_NAMES = dict.fromkeys(preset["kind"] for preset in PRESETS.values())
MODULES = {  # public name: the module that defines it
    **dict.fromkeys(["MODELS", *MODEL_NAMES, *(f"{name}Config" for name in MODEL_NAMES)], "models"),
    **dict.fromkeys(["DataConfig", "Experiment", "ModelConfig", "TrainConfig"], "config"),
    "PRESETS": "presets",
    "experiment": "presets",
    "DATASETS": "data.datasets",
    "UserError": "errors",
    "train": "training.train",
    "load": "saving.exported",
    "evaluate": "evaluation",
}
__all__ = ["__version__", *MODULES]


def __getattr__(name):
    if name in MODULES:
        module = importlib.import_module(f"tfgan_zoo.{MODULES[name]}")
        globals()[name] = getattr(module, name)
        return globals()[name]
    try:
        return importlib.import_module(f"tfgan_zoo.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"tfgan_zoo.{name}":
            raise
    raise AttributeError(f"module 'tfgan_zoo' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
