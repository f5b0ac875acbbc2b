"""Classic image-generating networks in Keras 3 on TensorFlow.

Public names:

- `train(preset)`, `load(source)`, `evaluate(source)`: train, load and evaluate a model.
- `PRESETS`, `experiment(preset)`: the presets, and the complete description of a training run.
- `Experiment`, `DataConfig`, `TrainConfig`, `ModelConfig`: the parts of that description.
- `GAN`, `DCGAN`, `CGAN`, `VAE`, `Pix2Pix`, `CycleGAN`, `StyleTransfer`, `FastStyle`, `AdaIN`: the
  models, each with its config class such as `GANConfig`; `MODELS` maps names to classes.
- `DATASETS`: the built-in and downloadable datasets.
- `UserError`: raised for mistakes that the message explains how to fix.

Importing this package is fast. TensorFlow is imported, without its start-up messages, when a name
that needs it is first used.
"""

import importlib
import os
from typing import TYPE_CHECKING

from tfgan_zoo.presets import PRESETS as PRESETS

if TYPE_CHECKING:  # what editors and type checkers see
    from tfgan_zoo.config import DataConfig as DataConfig
    from tfgan_zoo.config import Experiment as Experiment
    from tfgan_zoo.config import ModelConfig as ModelConfig
    from tfgan_zoo.config import TrainConfig as TrainConfig
    from tfgan_zoo.data.datasets import DATASETS as DATASETS
    from tfgan_zoo.errors import UserError as UserError
    from tfgan_zoo.evaluation import evaluate as evaluate
    from tfgan_zoo.models import *  # noqa: F403 (models.__all__ lists the models and their configs)
    from tfgan_zoo.presets import experiment as experiment
    from tfgan_zoo.saving.exported import load as load
    from tfgan_zoo.training.train import train as train

os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # before anything imports keras

__version__ = "0.1.0"

_MODEL_NAMES = dict.fromkeys(preset["kind"] for preset in PRESETS.values())
_MODULES = {  # public name: the module that defines it
    **dict.fromkeys(
        ["MODELS", *_MODEL_NAMES, *(f"{name}Config" for name in _MODEL_NAMES)], "models"
    ),
    **dict.fromkeys(["DataConfig", "Experiment", "ModelConfig", "TrainConfig"], "config"),
    "PRESETS": "presets",
    "experiment": "presets",
    "DATASETS": "data.datasets",
    "UserError": "errors",
    "train": "training.train",
    "load": "saving.exported",
    "evaluate": "evaluation",
}
_WITHOUT_TENSORFLOW = ("config", "errors", "presets")
__all__ = ["__version__", *_MODULES]


def __getattr__(name):
    if name in _MODULES:
        if _MODULES[name] not in _WITHOUT_TENSORFLOW:
            importlib.import_module("tfgan_zoo.quiet").ensure_tensorflow()
        module = importlib.import_module(f"tfgan_zoo.{_MODULES[name]}")
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
