"""The models, one paper per file.

A new model adds an import, an entry in `MODELS` and its two names in `__all__`.
"""

from tfgan_zoo.quiet import ensure_tensorflow

ensure_tensorflow()  # before anything imports it

from tfgan_zoo.models.adain import AdaIN, AdaINConfig
from tfgan_zoo.models.cgan import CGAN, CGANConfig
from tfgan_zoo.models.cyclegan import CycleGAN, CycleGANConfig
from tfgan_zoo.models.dcgan import DCGAN, DCGANConfig
from tfgan_zoo.models.fast_style import FastStyle, FastStyleConfig
from tfgan_zoo.models.gan import GAN, GANConfig
from tfgan_zoo.models.pix2pix import Pix2Pix, Pix2PixConfig
from tfgan_zoo.models.style_transfer import StyleTransfer, StyleTransferConfig
from tfgan_zoo.models.vae import VAE, VAEConfig

# {class name: class}. The name is `kind` in presets and in experiment.json.
MODELS = {
    model.__name__: model
    for model in (GAN, DCGAN, CGAN, VAE, Pix2Pix, CycleGAN, StyleTransfer, FastStyle, AdaIN)
}

__all__ = [
    "CGAN",
    "DCGAN",
    "GAN",
    "MODELS",
    "VAE",
    "AdaIN",
    "AdaINConfig",
    "CGANConfig",
    "CycleGAN",
    "CycleGANConfig",
    "DCGANConfig",
    "FastStyle",
    "FastStyleConfig",
    "GANConfig",
    "Pix2Pix",
    "Pix2PixConfig",
    "StyleTransfer",
    "StyleTransferConfig",
    "VAEConfig",
]
