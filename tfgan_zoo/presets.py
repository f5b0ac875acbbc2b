"""Presets: named experiments.

A preset states the image size and what differs from the defaults in the model's file, which are
those of the paper. `parameters` are the numbers of trainable parameters. A test builds every preset
and compares them. `EXPECTED` has the measured time and result.
"""

import typing

from tfgan_zoo.config import (
    DataConfig,
    Experiment,
    TrainConfig,
    field_types,
    from_dict,
    section_in_errors,
)
from tfgan_zoo.errors import UserError, check_choice, shortened

# Fast style transfer for a CPU, without a download.
FAST_STYLE = {
    "image_size": 128,
    "features": "medium",
    "pooling": "average",
    # Those of Gatys et al.: block2_conv2 of this network is nearly constant.
    "style_layers": [f"block{i}_conv1" for i in range(1, 6)],
    "content_layers": ["block2_conv1", "block4_conv2"],
    "content_weight": 6.0,
    "output_scale": 0.05,
    "upsampling": "bilinear",
    "jitter": 8,
}
FAST_STYLE_TRAINING = {"steps_per_epoch": 200, "sample_every": 2, "sample_count": 8}
PHOTOGRAPHS = {"dataset": "folder", "batch_size": 4, "flip": True, "load_size": 256}

PRESETS = {
    "adain_folder_256": {
        "kind": "AdaIN",
        "model": {"image_size": 256, "features": "imagenet"},
        "data": {
            "dataset": "folder",
            "batch_size": 8,
            "flip": True,
            "load_size": 512,
            "preprocess": "scale_width_and_crop",
        },
        "train": {"epochs": 100, "sample_count": 8},
        "parameters": {"decoder": 3_505_219},
    },
    "adain_folder_128": {  # for a CPU, without a download
        "kind": "AdaIN",
        "model": {
            "image_size": 128,
            "features": "small",
            "pooling": "average",
            "learning_rate": 1e-3,
            "style_weight": 3.0,
        },
        "data": {"dataset": "folder", "batch_size": 8, "flip": True, "load_size": 160},
        "train": {"epochs": 30, "steps_per_epoch": 100, "sample_count": 8, "sample_every": 5},
        "parameters": {"decoder": 219_667},
    },
    "adain_photographs": {
        "kind": "AdaIN",
        "model": {
            "image_size": 128,
            "features": "small",
            "pooling": "average",
            "learning_rate": 1e-3,
        },
        "data": {"dataset": "photographs", "batch_size": 8, "flip": True},
        "train": {"epochs": 100, "sample_count": 8, "sample_every": 10},
        "parameters": {"decoder": 219_667},
    },
    "adain_tiny": {
        "kind": "AdaIN",
        "model": {"image_size": 32, "features_width": 4},
        "data": {"dataset": "photographs", "batch_size": 4, "limit": 8},
        "train": {"epochs": 2, "steps_per_epoch": 2, "sample_count": 4},
        "parameters": {"decoder": 13_879},
    },
    "fast_folder_256": {
        "kind": "FastStyle",
        "model": {"image_size": 256, "features": "imagenet", "output_scale": 0.05},
        "data": {"dataset": "folder", "batch_size": 4, "flip": True},
        "train": {"epochs": 2, "sample_count": 8},
        "parameters": {"generator": 1_679_235},
    },
    "fast_mosaic": {
        "kind": "FastStyle",
        "model": {
            "image_size": 128,
            "width": 16,
            "features": "small",
            "pooling": "average",
            "style": "mosaic",
        },
        "data": {"dataset": "photographs", "batch_size": 4, "flip": True},
        "train": {"epochs": 20, "sample_count": 8},
        "parameters": {"generator": 424_899},
    },
    "fast_starry_night": {  # the path of the painting is model.style, of photographs data.path
        "kind": "FastStyle",
        "model": {**FAST_STYLE, "style": "starry_night.jpg", "decay_steps": 4000},
        "data": PHOTOGRAPHS,
        "train": {**FAST_STYLE_TRAINING, "epochs": 20},
        "parameters": {"generator": 1_679_235},
    },
    "fast_great_wave": {
        "kind": "FastStyle",
        "model": {**FAST_STYLE, "style": "great_wave_hokusai.jpg", "decay_steps": 1800},
        "data": PHOTOGRAPHS,
        "train": {**FAST_STYLE_TRAINING, "epochs": 9},
        "parameters": {"generator": 1_679_235},
    },
    "fast_tiny": {
        "kind": "FastStyle",
        "model": {
            "image_size": 32,
            "features_width": 4,
            "width": 4,
            "blocks": 1,
            "style_size": 64,
            "output_scale": 0.05,
        },
        "data": {"dataset": "photographs", "batch_size": 4, "limit": 16, "flip": True},
        "train": {"epochs": 2, "steps_per_epoch": 4, "sample_count": 4},
        "parameters": {"generator": 9_651},
    },
    "gatys": {
        "kind": "StyleTransfer",
        # Two content layers: block4_conv2 alone loses the outlines.
        "model": {
            "image_size": 512,
            "features": "medium",
            "content_layers": ["block2_conv1", "block4_conv2"],
            "content_weight": 0.8,
        },
        "data": {},
        "train": {},
        "parameters": {"image": 786_432},
    },
    "gatys_tiny": {
        "kind": "StyleTransfer",
        "model": {"image_size": 32, "features_width": 4, "iterations": 6, "smallest": 32},
        "data": {},
        "train": {},
        "parameters": {"image": 3_072},
    },
    "gan_digits": {
        "kind": "GAN",
        "model": {"image_size": 16, "channels": 1, "width": 256, "maxout_units": 64},
        "data": {"dataset": "digits", "batch_size": 64},
        "train": {"epochs": 600, "sample_every": 20},
        "parameters": {"generator": 157_440, "discriminator": 103_105},
    },
    "gan_mnist": {
        "kind": "GAN",
        "model": {
            "image_size": 28,
            "channels": 1,
            "width": 512,
            "maxout_units": 128,
            "label_smoothing": 0.1,
            "ema_decay": 0.999,
            "learning_rate": 5e-4,
        },
        "data": {"dataset": "mnist", "batch_size": 64},
        "train": {"epochs": 60},
        "parameters": {"generator": 716_560, "discriminator": 585_089},
    },
    "gan_tiny": {
        "kind": "GAN",
        "model": {
            "image_size": 16,
            "channels": 1,
            "latent_dim": 8,
            "width": 16,
            "maxout_units": 8,
            "maxout_pieces": 2,
        },
        "data": {"dataset": "digits", "batch_size": 16},
        "train": {"epochs": 2, "steps_per_epoch": 4, "sample_count": 16},
        "parameters": {"generator": 4_768, "discriminator": 4_265},
    },
    "dcgan_digits": {
        "kind": "DCGAN",
        "model": {"image_size": 32, "channels": 1, "width": 24, "ema_decay": 0.995},
        "data": {"dataset": "digits", "batch_size": 32},
        "train": {"epochs": 120, "sample_every": 4},
        "parameters": {"generator": 298_537, "discriminator": 146_449},
    },
    "dcgan_mnist": {
        "kind": "DCGAN",
        "model": {
            "image_size": 28,
            "channels": 1,
            "width": 64,
            "learning_rate": 1e-3,
            "decay_steps": 22_500,
            "ema_decay": 0.999,
        },
        "data": {"dataset": "mnist", "batch_size": 32},
        "train": {"epochs": 12},
        "parameters": {"generator": 1_436_097, "discriminator": 1_030_529},
    },
    "r3gan_mnist": {
        "kind": "DCGAN",
        "model": {
            "image_size": 28,
            "channels": 1,
            "latent_dim": 64,
            "width": 32,
            "objective": "relativistic",
            "penalty": "r1_r2",
            "penalty_weight": 0.5,
            "penalty_interval": 8,
            "discriminator_norm": "none",
            "learning_rate": 1e-3,
            "decay_steps": 23_425,
            "ema_decay": 0.999,
        },
        "data": {"dataset": "mnist", "batch_size": 64},
        "train": {"epochs": 25},
        "parameters": {"generator": 388_321, "discriminator": 259_073},
    },
    "dcgan_fashion_mnist": {
        "kind": "DCGAN",
        "model": {
            "image_size": 28,
            "channels": 1,
            "width": 32,
            "learning_rate": 1e-3,
            "ema_decay": 0.999,
        },
        "data": {"dataset": "fashion_mnist", "batch_size": 64, "flip": True},
        "train": {"epochs": 15, "sample_every": 3},
        "parameters": {"generator": 462_049, "discriminator": 259_265},
    },
    "dcgan_stacked_mnist": {
        "kind": "DCGAN",
        "model": {"image_size": 28, "channels": 3, "width": 64},
        "data": {"dataset": "stacked_mnist"},
        "train": {"epochs": 50},
        "parameters": {"generator": 1_439_299, "discriminator": 1_033_729},
    },
    "dcgan_cifar10": {
        "kind": "DCGAN",
        "model": {"image_size": 32, "channels": 3, "width": 64},
        "data": {"dataset": "cifar10", "flip": True},
        "train": {"epochs": 100},
        "parameters": {"generator": 1_439_299, "discriminator": 1_033_729},
    },
    "dcgan_folder_64": {
        "kind": "DCGAN",
        "model": {"image_size": 64, "channels": 3},
        "data": {"dataset": "folder", "flip": True, "zoom": 0.1},
        "train": {"epochs": 100},
        "parameters": {"generator": 18_855_043, "discriminator": 17_232_897},
    },
    "dcgan_tiny": {
        "kind": "DCGAN",
        "model": {"image_size": 16, "channels": 1, "latent_dim": 8, "width": 4},
        "data": {"dataset": "digits", "batch_size": 16},
        "train": {"epochs": 2, "steps_per_epoch": 4, "sample_count": 16},
        "parameters": {"generator": 1_949, "discriminator": 1_049},
    },
    "cgan_digits": {
        "kind": "CGAN",
        "model": {"image_size": 32, "channels": 1, "width": 24, "ema_decay": 0.995},
        "data": {"dataset": "digits", "batch_size": 32},
        "train": {"epochs": 120, "sample_every": 4, "sample_count": 100},
        "parameters": {"generator": 375_837, "discriminator": 157_289},
    },
    "cgan_mnist": {
        "kind": "CGAN",
        "model": {
            "image_size": 28,
            "channels": 1,
            "width": 32,
            "learning_rate": 1e-3,
            "ema_decay": 0.999,
        },
        "data": {"dataset": "mnist", "batch_size": 64},
        "train": {"epochs": 12, "sample_count": 100},
        "parameters": {"generator": 564_949, "discriminator": 267_905},
    },
    "cgan_mnist_clusters": {
        "kind": "CGAN",
        "model": {
            "image_size": 28,
            "channels": 1,
            "latent_dim": 64,
            "classes": 100,
            "condition": "cluster",
            "discriminator_condition": "projection",
            "width": 32,
            "learning_rate": 1e-3,
            "decay_steps": 18_740,
            "ema_decay": 0.999,
        },
        "data": {"dataset": "mnist", "batch_size": 64, "clusters": 100},
        "train": {"epochs": 20, "sample_count": 100},
        "parameters": {"generator": 495_721, "discriminator": 464_065},
    },
    "cgan_fashion_mnist": {
        "kind": "CGAN",
        "model": {
            "image_size": 28,
            "channels": 1,
            "width": 32,
            "learning_rate": 1e-3,
            "ema_decay": 0.999,
        },
        "data": {"dataset": "fashion_mnist", "batch_size": 64, "flip": True},
        "train": {"epochs": 25, "sample_count": 100},
        "parameters": {"generator": 564_949, "discriminator": 267_905},
    },
    "cgan_emoji": {
        "kind": "CGAN",
        "model": {
            "image_size": 64,
            "channels": 3,
            "classes": 9,
            "width": 32,
            "diff_augment": "color,translation,cutout",
            "ema_decay": 0.999,
        },
        "data": {"dataset": "emoji/twemoji", "batch_size": 64},
        "train": {"epochs": 200, "sample_every": 10, "sample_count": 90},
        "parameters": {"generator": 1_693_413, "discriminator": 1_120_289},
    },
    "cgan_tiny": {
        "kind": "CGAN",
        "model": {"image_size": 16, "channels": 1, "latent_dim": 8, "width": 4, "embedding_dim": 5},
        "data": {"dataset": "digits", "batch_size": 16},
        "train": {"epochs": 2, "steps_per_epoch": 4, "sample_count": 20},
        "parameters": {"generator": 2_639, "discriminator": 3_709},
    },
    "cyclegan_emoji": {
        "kind": "CycleGAN",
        "model": {
            "image_size": 64,
            "width": 32,
            "blocks": 6,
            "receptive_field": 34,
            "constant_epochs": 10,
            "decay_epochs": 10,
        },
        "data": {"dataset": "emoji", "batch_size": 1, "flip": True},
        "train": {"epochs": 20, "sample_count": 8},
        "parameters": {"generator": 3_930_118, "discriminator": 335_298},
    },
    "cyclegan_facades_synthetic": {
        "kind": "CycleGAN",
        "model": {
            "image_size": 64,
            "width": 32,
            "blocks": 6,
            "receptive_field": 34,
            "constant_epochs": 20,
            "decay_epochs": 20,
        },
        "data": {"dataset": "facades_synthetic", "batch_size": 1, "flip": True},
        "train": {"epochs": 40, "sample_count": 8},
        "parameters": {"generator": 3_930_118, "discriminator": 335_298},
    },
    "cyclegan_folder_256": {
        "kind": "CycleGAN",
        "model": {"image_size": 256},
        "data": {"dataset": "folder", "batch_size": 1, "flip": True},
        "train": {"epochs": 200, "sample_count": 8},
        "parameters": {"generator": 22_756_358, "discriminator": 5_529_474},
    },
    "cyclegan_horse2zebra": {
        "kind": "CycleGAN",
        "model": {"image_size": 256},
        "data": {"dataset": "cycle_gan/horse2zebra", "batch_size": 1, "flip": True},
        "train": {"epochs": 200, "sample_count": 8},
        "parameters": {"generator": 22_756_358, "discriminator": 5_529_474},
    },
    "cyclegan_tiny": {
        "kind": "CycleGAN",
        "model": {
            "image_size": 32,
            "width": 4,
            "blocks": 2,
            "receptive_field": 34,
            "pool_size": 20,
            "constant_epochs": 1,
            "decay_epochs": 1,
        },
        "data": {"dataset": "facades_synthetic", "batch_size": 4, "limit": 16, "flip": True},
        "train": {"epochs": 2, "steps_per_epoch": 4, "sample_count": 4},
        "parameters": {"generator": 26_758, "discriminator": 6_074},
    },
    "pix2pix_emoji": {
        "kind": "Pix2Pix",
        "model": {
            "image_size": 64,
            "downs": 6,
            "width": 32,
            "receptive_field": 34,
            "constant_epochs": 5,
            "decay_epochs": 5,
        },
        "data": {"dataset": "emoji", "batch_size": 1, "flip": True},
        "train": {"epochs": 10, "sample_count": 8, "evaluate_every": 1, "best": "l1"},
        "parameters": {"generator": 7_314_755, "discriminator": 169_377},
    },
    "pix2pix_facades_synthetic": {
        "kind": "Pix2Pix",
        "model": {
            "image_size": 128,
            "downs": 7,
            "width": 16,
            "constant_epochs": 8,
            "decay_epochs": 8,
        },
        "data": {"dataset": "facades_synthetic", "batch_size": 1, "limit": 2000, "flip": True},
        "train": {"epochs": 16, "sample_count": 8, "evaluate_every": 1, "best": "l1"},
        "parameters": {"generator": 2_617_507, "discriminator": 176_081},
    },
    # The first command of the README: good images within minutes on a CPU.
    "pix2pix_facades_quick": {
        "kind": "Pix2Pix",
        "model": {
            "image_size": 128,
            "downs": 7,
            "width": 16,
            "learning_rate": 5e-4,
            "constant_epochs": 5,
            "decay_epochs": 5,
        },
        "data": {"dataset": "facades_synthetic", "batch_size": 4, "limit": 1000, "flip": True},
        "train": {"epochs": 10, "sample_count": 8},
        "parameters": {"generator": 2_617_507, "discriminator": 176_081},
    },
    "pix2pix_folder_128": {
        "kind": "Pix2Pix",
        "model": {
            "image_size": 128,
            "downs": 7,
            "width": 32,
            "constant_epochs": 50,
            "decay_epochs": 50,
        },
        "data": {"dataset": "folder", "batch_size": 1, "flip": True},
        "train": {"epochs": 100, "sample_count": 8, "evaluate_every": 1, "best": "l1"},
        "parameters": {"generator": 10_461_507, "discriminator": 696_225},
    },
    "pix2pix_folder_256": {
        "kind": "Pix2Pix",
        "model": {"image_size": 256},
        "data": {"dataset": "folder", "batch_size": 1, "flip": True},
        "train": {"epochs": 200, "sample_count": 8, "evaluate_every": 1, "best": "l1"},
        "parameters": {"generator": 54_413_955, "discriminator": 2_768_705},
    },
    # For comparison: the choices of TensorFlow's tutorial, except for its leaky ReLU in the skip
    # connections and the dropout in one more block.
    "pix2pix_tutorial_128": {
        "kind": "Pix2Pix",
        "model": {
            "image_size": 128,
            "downs": 7,
            "width": 32,
            "discriminator_weight": 1.0,
            "slope": 0.3,
            "bottleneck_norm": True,
            "test_dropout": True,
            "constant_epochs": 100,
            "decay_epochs": 0,
        },
        "data": {"dataset": "folder", "batch_size": 1, "flip": True, "resize": "nearest"},
        "train": {"epochs": 100, "sample_count": 8, "evaluate_every": 1, "best": "l1"},
        "parameters": {"generator": 10_462_019, "discriminator": 696_225},
    },
    "pix2pix_tiny": {
        "kind": "Pix2Pix",
        "model": {
            "image_size": 64,
            "downs": 6,
            "width": 4,
            "receptive_field": 34,
            "constant_epochs": 1,
            "decay_epochs": 1,
        },
        "data": {"dataset": "facades_synthetic", "batch_size": 4, "limit": 16, "flip": True},
        "train": {"epochs": 2, "steps_per_epoch": 4, "sample_count": 4},
        "parameters": {"generator": 115_115, "discriminator": 3_253},
    },
    "vae_digits": {
        "kind": "VAE",
        "model": {"image_size": 32, "channels": 1, "latent_dim": 16, "width": 16, "hidden": 128},
        "data": {"dataset": "digits", "batch_size": 32, "binarize": "resampled"},
        "train": {"epochs": 120, "sample_every": 4},
        "parameters": {"vae": 351_713},
    },
    "vae_fashion_mnist": {
        "kind": "VAE",
        "model": {"image_size": 28, "channels": 1, "likelihood": "gaussian"},
        "data": {"dataset": "fashion_mnist", "flip": True},
        "train": {"epochs": 30},
        "parameters": {"vae": 2_017_682},
    },
    "vae_mnist": {
        "kind": "VAE",
        "model": {"image_size": 28, "channels": 1, "decay_steps": 28_080},
        "data": {"dataset": "mnist", "binarize": "resampled"},
        "train": {"epochs": 60},
        "parameters": {"vae": 2_017_681},
    },
    "vae_mnist_perceptron": {
        "kind": "VAE",
        "model": {"image_size": 28, "channels": 1, "network": "perceptron", "decay_steps": 150_000},
        "data": {"dataset": "mnist", "binarize": "resampled", "batch_size": 100},
        "train": {"epochs": 250, "sample_every": 10},
        "parameters": {"vae": 676_864},
    },
    "vae_tiny": {
        "kind": "VAE",
        "model": {"image_size": 16, "channels": 1, "latent_dim": 8, "width": 4, "hidden": 16},
        "data": {"dataset": "digits", "batch_size": 16, "binarize": "resampled"},
        "train": {"epochs": 2, "steps_per_epoch": 4, "sample_count": 16},
        "parameters": {"vae": 5_761},
    },
}


class Expected(typing.NamedTuple):
    """Measured time and result of a preset. An empty text is not measured."""

    time: str = ""  # of the training on 2 CPU cores
    result: str = ""  # scores, with those of real images or of baselines in parentheses


# From the model cards in saved_models/ and the tables in docs/. Other machines need another time.
EXPECTED = {
    "gan_digits": Expected("", "readable digits after 24 s on 2 CPU cores"),
    "gan_mnist": Expected(
        "6 min", "classifier_score 7.45 (real images 9.80), frechet_distance 10.9 (0.06)"
    ),
    "dcgan_digits": Expected("", "readable digits after 92 s on 2 CPU cores"),
    "dcgan_mnist": Expected(
        "83 min", "classifier_score 8.76 (real images 9.80), frechet_distance 0.53 (0.06)"
    ),
    "dcgan_fashion_mnist": Expected(
        "9 min", "classifier_score 7.30 (real images 8.49), frechet_distance 0.53 (0.03)"
    ),
    "cgan_mnist": Expected("9 min", "label_accuracy 0.990 (real images 0.994)"),
    "cgan_mnist_clusters": Expected(
        "34 min", "classifier_score 9.62 (real images 9.80), frechet_distance 0.09 (0.06)"
    ),
    "vae_mnist": Expected("19 min", "nll 85.07 nats"),
    "vae_mnist_perceptron": Expected("11 min", "nll 89.90 nats"),
    "pix2pix_facades_quick": Expected("1.5 min", "l1 12.9 of 255 (best baseline 20.3)"),
    "pix2pix_facades_synthetic": Expected("15 min", "l1 11.4 of 255 (best baseline 20.3)"),
    "pix2pix_folder_128": Expected("32 min", "240 maps: l1 9.6 of 255 (best baseline 11.6)"),
    "pix2pix_tutorial_128": Expected("30 min", "240 maps: l1 10.6 of 255 (best baseline 11.6)"),
    "cyclegan_facades_synthetic": Expected("45 min", "l1 17.0 of 255 (best baseline 20.1)"),
    "gatys": Expected("", "no training; 22 s per image of 384 pixels on 2 CPU cores"),
    "fast_mosaic": Expected("5 min", "style 0.012 (photographs 0.34), content 0.56"),
    "fast_starry_night": Expected("42 min", "style 0.187 (photographs 1.02), content 0.530"),
    "fast_great_wave": Expected("17 min", "style 0.146 (photographs 1.31), content 0.502"),
    "adain_folder_128": Expected(
        "8 min", "135 paintings: style 0.064 (photographs 0.51), content 0.45"
    ),
}


def experiment(name: str, *overrides: str) -> Experiment:
    """Return the complete experiment of a preset.

    Args:
        name: a key of `PRESETS`.
        *overrides: strings `section.field=value`.

    Returns:
        `tfgan_zoo.config.Experiment`.

    Raises:
        UserError: an unknown preset, field or value. The message suggests the nearest names.
    """
    check_preset(name)
    values = {key: PRESETS[name][key] for key in ("kind", "model", "data", "train")}
    return experiment_from_dict({"preset": name, **values}).override(*overrides)


def check_preset(name):
    """Raise `UserError` with the nearest names unless `name` is a preset."""
    check_choice("preset", name, PRESETS, "`tfgan-zoo list` shows all presets.")


def experiment_from_dict(values: dict) -> Experiment:
    """Create an `Experiment` from the dict form of experiment.json; missing fields get defaults.

    Raises:
        UserError: an unknown kind of model, an unknown field, or a value of the wrong type.
    """
    from tfgan_zoo.models import MODELS  # here, because it imports TensorFlow

    values = {"preset": "", "kind": "", "model": {}, "data": {}, "train": {}, **values}
    types = {"preset": str, "kind": str, "model": dict, "data": dict, "train": dict}
    for name, expected in types.items():
        if not isinstance(values[name], expected):
            raise UserError(f"{name} must be {expected.__name__}, got {shortened(values[name])}.")
    check_choice("kind", values["kind"], MODELS)
    configs = {"model": MODELS[values["kind"]].Config, "data": DataConfig, "train": TrainConfig}
    sections = {}
    for section, config_class in configs.items():
        with section_in_errors(section, field_types(config_class)):
            sections[section] = from_dict(config_class, values[section])
    return Experiment(preset=values["preset"], kind=values["kind"], **sections)
