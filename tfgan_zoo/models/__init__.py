"""The papers. A new model is one file here, one import and one entry below."""

from tfgan_zoo.models.cgan import CGAN, CGANConfig
from tfgan_zoo.models.dcgan import DCGAN, DCGANConfig
from tfgan_zoo.models.gan import GAN, GANConfig
from tfgan_zoo.models.vae import VAE, VAEConfig

MODELS = {"GAN": GAN, "DCGAN": DCGAN, "CGAN": CGAN, "VAE": VAE}

__all__ = ["CGAN", "DCGAN", "GAN", "MODELS", "VAE", "CGANConfig", "DCGANConfig", "GANConfig", "VAEConfig"]
