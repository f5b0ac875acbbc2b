"""The papers. A new model is one file here, one import and one entry below."""

from tfgan_zoo.models.dcgan import DCGAN, DCGANConfig
from tfgan_zoo.models.gan import GAN, GANConfig

MODELS = {"GAN": GAN, "DCGAN": DCGAN}

__all__ = ["DCGAN", "GAN", "MODELS", "DCGANConfig", "GANConfig"]
