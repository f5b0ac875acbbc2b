"""tfgan_zoo: classic image-generating networks in Keras 3 on TensorFlow, to learn from, train and ship.

Importing this package is quick: TensorFlow is imported when a name that needs it is first used.
"""

import importlib
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # before anything imports keras

__version__ = "0.1.0"

HOMES = {
    "tfgan_zoo.models": [
        "MODELS",
        *("GAN", "GANConfig", "DCGAN", "DCGANConfig", "CGAN", "CGANConfig", "VAE", "VAEConfig"),
        *("Pix2Pix", "Pix2PixConfig", "CycleGAN", "CycleGANConfig"),
        *("StyleTransfer", "StyleTransferConfig", "FastStyle", "FastStyleConfig", "AdaIN", "AdaINConfig"),
    ],
    "tfgan_zoo.presets": ["PRESETS", "experiment"],
    "tfgan_zoo.config": ["DataConfig", "Experiment", "TrainConfig", "UserError"],
    "tfgan_zoo.data": ["DATASETS"],
    "tfgan_zoo.training": ["train"],
    "tfgan_zoo.export": ["load"],
    "tfgan_zoo.evaluation": ["evaluate"],
}
SUBMODULES = [
    "augment",
    "benchmark",
    "card",
    "config",
    "data",
    "demo",
    "distribute",
    "evaluation",
    "explore",
    "export",
    "features",
    "fidelity",
    "flops",
    "formats",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "presets",
    "published",
    "report",
    "scores",
    "style_scores",
    "stylize",
    "torch_weights",
    "training",
    "translate",
]
__all__ = [name for names in HOMES.values() for name in names] + ["__version__"]


def __getattr__(name):
    for module, names in HOMES.items():
        if name in names:
            globals()[name] = getattr(importlib.import_module(module), name)
            return globals()[name]
    if name in SUBMODULES:
        return importlib.import_module(f"tfgan_zoo.{name}")
    raise AttributeError(f"module 'tfgan_zoo' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
