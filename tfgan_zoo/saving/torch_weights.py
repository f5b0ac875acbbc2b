"""Generators that the authors' PyTorch code has trained (junyanz/pytorch-CycleGAN-and-pix2pix: unet_..., resnet_...blocks), as ours.

The networks are the same; their weights are named by the path to a layer in nested lists, e.g. model.10.conv_block.1.weight, and their
kernels lie (out, in, h, w), transposed ones (in, out, h, w).
"""

import hashlib
import json
import pathlib
import re

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.errors import UserError, check_choice
from tfgan_zoo.files import write_text
from tfgan_zoo.runs import build_model, is_run_directory, read_experiment

NETWORKS = {
    "Pix2Pix": {"xy": "generator"},
    "CycleGAN": {"xy": "g", "yx": "f"},
}  # our models' generators by direction
STATISTICS = (
    "running_mean",
    "running_var",
)  # of batch norm; once also of instance norm, which had no use for them


def import_torch(checkpoint, experiment, run, direction="xy"):
    """Makes a run directory, as after epoch 0, of a generator that PyTorch has trained; all other networks are fresh.

    Args:
        checkpoint: path of a generator's file, e.g. latest_net_G.pth.
        experiment: an `Experiment` of a Pix2Pix or a CycleGAN.
        run: a new directory; or that of a CycleGAN's import in the other direction, which is completed.
        direction: "xy" or, for CycleGAN, "yx".

    Returns:
        The path of the run directory, which `load` reads and `train` goes on with.

    Raises:
        UserError: weights that do not fit, or a directory that is taken; nothing is written then.
    """
    run = pathlib.Path(run)
    check_choice("the preset's model", experiment.kind, NETWORKS)
    check_choice("direction", direction, NETWORKS[experiment.kind])
    if getattr(experiment.model, "latent_dim", 0):
        raise UserError(
            f"the authors' U-Net takes no z: set model.latent_dim=0, received latent_dim={experiment.model.latent_dim}"
        )
    imported = imported_into(run, experiment, direction)
    weights = read_checkpoint(checkpoint)
    model = build_model(experiment, tf.distribute.get_strategy())
    saved = tf.train.Checkpoint(model=model, epoch=tf.Variable(0, dtype=tf.int64))  # as in training
    if imported:
        saved.restore(
            tf.train.latest_checkpoint(str(run / "checkpoints"))
        ).assert_existing_objects_matched()
    assign_weights(getattr(model, NETWORKS[experiment.kind][direction]), weights, direction)

    sha256 = hashlib.sha256(pathlib.Path(checkpoint).read_bytes()).hexdigest()
    imported[direction] = {"checkpoint": pathlib.Path(checkpoint).name, "sha256": sha256}
    tf.train.CheckpointManager(saved, str(run / "checkpoints"), max_to_keep=2).save(
        checkpoint_number=0
    )
    write_text(run / "imported.json", json.dumps(imported, indent=2))
    write_text(run / "experiment.json", experiment.to_json())  # last: now it is a run
    return run


def imported_into(run, experiment, direction):
    """What imported.json of a directory tells; refuses a directory with anything but an import of the other direction alone."""
    if not run.exists() or (run.is_dir() and not any(run.iterdir())):
        return {}
    imported = (
        json.loads((run / "imported.json").read_text())
        if is_run_directory(run) and (run / "imported.json").is_file()
        else {}
    )
    different = experiment.differences(read_experiment(run)) if imported else {}
    if direction in imported:
        problem = (
            f"direction {direction} has been imported from {imported[direction]['checkpoint']}"
        )
    elif different:
        problem = "; ".join(
            f"{name} is {theirs!r} there and {mine!r} here"
            for name, (mine, theirs) in different.items()
        )
    elif imported and not (run / "metrics.csv").exists():
        return imported
    else:
        problem = "it was trained since the import" if imported else "it is no import from PyTorch"
    raise UserError(f"{run} is taken, {problem}: choose another directory")


def read_checkpoint(path):
    """The weights in a PyTorch checkpoint: `{name: float32 array}`. No code in the file is run.

    Raises:
        UserError: no PyTorch here, or the file is no checkpoint of one dict of tensors.
    """
    if not pathlib.Path(path).is_file():
        raise UserError(f"there is no file {path}")
    try:
        import torch
    except ImportError as error:
        raise UserError(
            f'checkpoints of PyTorch need the extra: pip install "tfgan_zoo[torch]" ({error})'
        ) from None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # there are a dozen kinds
        why = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
        raise UserError(
            f"{path} is no PyTorch checkpoint of tensors alone; others may run code and are not opened ({why})"
        ) from None
    values = [found, *found.values()] if isinstance(found, dict) else []
    states = [
        value
        for value in values
        if isinstance(value, dict) and value and all(map(torch.is_tensor, value.values()))
    ]
    if len(states) != 1:
        raise UserError(
            f"one dict of tensors is needed, a generator's state_dict; {path} has {len(states)}"
        )
    tensors = {
        str(name): tensor
        for name, tensor in states[0].items()
        if not str(name).endswith("num_batches_tracked")
    }
    # The prefixes come from DataParallel and torch.compile.
    return {
        re.sub(r"^((module|_orig_mod)\.)+", "", name): tensor.detach().float().numpy()
        for name, tensor in tensors.items()
    }


def assign_weights(network, weights, direction="xy"):
    """Copies weights into a generator of ours: every weight of the checkpoint, to every weight of the network.

    Args:
        network: what `generator` of models/pix2pix.py or models/cyclegan.py makes.
        weights: `{PyTorch's name: array}`, see `read`.
        direction: of the generator; it decides which of our settings are its channels.

    Raises:
        UserError: the first weight that is missing, left over, misshapen or NaN, and the settings with which it would fit.
    """
    if not any(isinstance(layer, keras.layers.Conv2DTranspose) for layer in network.layers):
        raise UserError(
            "the authors' generators have transposed convolutions: set model.upsampling=transposed"
        )
    variables = named_weights(network)
    if any(
        name.endswith("conv_block.6.weight") and value.ndim == 4 for name, value in weights.items()
    ):
        # Trained with dropout, a layer that moves those after it.
        weights = {
            re.sub(r"(?<=conv_block\.)[67]", lambda m: str(int(m[0]) - 1), name): value
            for name, value in weights.items()
        }
    if not any(name.endswith(STATISTICS) for name in variables):
        weights = {name: value for name, value in weights.items() if not name.endswith(STATISTICS)}

    arrays = {
        name: np.transpose(value, (2, 3, 1, 0)) if value.ndim == 4 else value
        for name, value in weights.items()
    }
    given = {name: tuple(value.shape) for name, value in arrays.items()}
    wanted = {name: tuple(variable.shape) for name, variable in variables.items()}
    for name in [*wanted, *given]:
        if given.get(name) != wanted.get(name):
            problem = f"{name} is {given.get(name, 'missing')} in the checkpoint and {wanted.get(name, 'missing')} in the network"
            raise UserError(
                f"{problem}: {suggest_settings(architecture(given), architecture(wanted), direction)}"
            )
        if not np.isfinite(arrays[name]).all():
            raise UserError(f"{name} is NaN or infinite: take an earlier checkpoint")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def named_weights(network):
    """`{PyTorch's name: variable}` of a generator, in the order of computation."""
    # Layers with weights form one chain, and `layers` is sorted by the distance from the output.
    convolutions = [
        layer
        for layer in network.layers
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv2DTranspose))
    ]
    is_unet = any(isinstance(layer, keras.layers.Concatenate) for layer in network.layers)
    paths = iter(
        unet_paths(len(convolutions) // 2)
        if is_unet
        else resnet_paths((len(convolutions) - 6) // 2)
    )
    found = {}
    for layer in network.layers:
        if layer in convolutions:
            path, index = next(paths)
            found |= {
                f"{path}.{index}.weight": layer.kernel,
                **({f"{path}.{index}.bias": layer.bias} if layer.use_bias else {}),
            }
        elif isinstance(
            layer, keras.layers.BatchNormalization
        ):  # there, too, it comes right after the convolution
            values = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
            found |= {
                f"{path}.{index + 1}.{name}": value
                for name, value in zip(("weight", "bias", *STATISTICS), values, strict=True)
            }
    return found


def unet_paths(downs):
    """(path, index) of a U-Net's convolutions in the order of computation.

    Every block has the next one within: the first is [conv, block, ReLU, deconv], then [LeakyReLU, conv, norm, block, ReLU, deconv, norm],
    the last [LeakyReLU, conv, ReLU, deconv, norm].
    """
    first, *inner, last = [
        "model.model",
        *("model.model.1.model" + ".3.model" * level for level in range(downs - 1)),
    ]
    down = [(first, 0), *((block, 1) for block in [*inner, last])]
    return [*down, (last, 3), *((block, 5) for block in reversed(inner)), (first, 3)]


def resnet_paths(blocks):
    """(path, index) of a ResNet's convolutions in the order of computation."""
    residual = [
        (f"model.{10 + block}.conv_block", index) for block in range(blocks) for index in (1, 5)
    ]
    return [
        *(("model", index) for index in (1, 4, 7)),
        *residual,
        *(("model", blocks + index) for index in (10, 13, 17)),
    ]


def architecture(shapes):
    """What names and shapes (kernels as in Keras) tell of a generator; {} if it is none."""
    ours = [name for name in shapes if name.startswith("model.")]
    names = sorted(
        ours, key=lambda name: [int(number) for number in re.findall(r"\d+", name)]
    )  # the order of computation
    kernels = [shapes[name] for name in names if len(shapes[name]) == 4]
    is_unet = "model.model.0.weight" in shapes
    if not kernels or (not is_unet and not any(".conv_block." in name for name in names)):
        return {}
    return {
        "kind": "Pix2Pix" if is_unet else "CycleGAN",
        **({"downs": len(kernels) // 2} if is_unet else {"blocks": (len(kernels) - 6) // 2}),
        "norm": "batch"
        if any(name.endswith(".weight") and len(shapes[name]) == 1 for name in names)
        else "instance",
        "width": kernels[0][3],
        "in": kernels[0][2],
        "out": kernels[-1][2 if is_unet else 3],
    }


def suggest_settings(theirs, ours, direction):
    """What to do about a checkpoint of another architecture than our network's."""
    if not theirs:
        return "a generator's file is needed, such as latest_net_G.pth or latest_net_G_A.pth of a unet_... or a resnet_...blocks"
    if theirs["kind"] != ours["kind"]:
        return f"the checkpoint is of a {'U-Net' if 'downs' in theirs else 'ResNet'}: choose a preset of {theirs['kind']}"
    fields = dict(
        zip(
            ("in", "out") if direction == "xy" else ("out", "in"),
            ("x_channels", "y_channels"),
            strict=True,
        )
    )
    settings = [
        f"model.{fields.get(name, name)}={value}"
        for name, value in theirs.items()
        if value != ours[name]
    ]
    return (
        f"set {' '.join(settings)}"
        if settings
        else "nothing else than unet_... and resnet_...blocks of the authors' code is known"
    )
