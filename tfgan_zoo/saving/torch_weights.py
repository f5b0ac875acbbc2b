"""Import generators trained with the authors' PyTorch code, junyanz/pytorch-CycleGAN-and-pix2pix.

Supported are the networks unet_... and resnet_...blocks, which are the same as ours. PyTorch names
a weight by the path to its layer in nested lists, such as model.10.conv_block.1.weight. Kernels
have the shape (out, in, h, w), transposed ones (in, out, h, w).
"""

import hashlib
import json
import pathlib
import re

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.checkpoints import CheckpointFolder
from tfgan_zoo.errors import UserError, check_choice
from tfgan_zoo.files import write_text
from tfgan_zoo.runs import build_model, is_run_directory, log, read_experiment

# Attribute of the generator in each model class, by direction.
NETWORKS = {"Pix2Pix": {"xy": "generator"}, "CycleGAN": {"xy": "g", "yx": "f"}}

# Statistics of batch norm. Old versions of PyTorch also stored them, unused, for instance norm.
STATISTICS = ("running_mean", "running_var")


def import_torch(checkpoint, experiment, run, direction="xy"):
    """Create a run directory, as after epoch 0, with a generator trained in PyTorch.

    All other networks have fresh initial weights.

    Args:
        checkpoint: path of a generator's checkpoint, such as latest_net_G.pth.
        experiment: an `Experiment` of a Pix2Pix or a CycleGAN.
        run: a new directory; or for CycleGAN the directory of an import in the other direction,
            which is completed.
        direction: "xy" or, for CycleGAN, "yx".

    Returns:
        The path of the run directory, which `load` reads and `train` continues.

    Raises:
        UserError: if the weights do not fit, or the directory is in use. Nothing is written then.
    """
    run = pathlib.Path(run)
    check_choice("the preset's model", experiment.kind, NETWORKS)
    check_choice("direction", direction, NETWORKS[experiment.kind])
    imports = read_imports(run, experiment, direction)
    weights = read_checkpoint(checkpoint)

    # Build the model, restore the generator of the other direction, and assign the weights.
    model = build_model(experiment, tf.distribute.get_strategy())
    state = tf.train.Checkpoint(model=model, epoch=tf.Variable(0, dtype=tf.int64))  # as in training
    if imports:
        CheckpointFolder(run / "checkpoints").restore(state, log)
    assign_weights(getattr(model, NETWORKS[experiment.kind][direction]), weights, direction)

    # Write the run directory. experiment.json is last, since it makes the directory a run.
    sha256 = hashlib.sha256(pathlib.Path(checkpoint).read_bytes()).hexdigest()
    imports[direction] = {"checkpoint": pathlib.Path(checkpoint).name, "sha256": sha256}
    CheckpointFolder(run / "checkpoints").save(state, epoch=0)
    write_text(run / "imported.json", json.dumps(imports, indent=2))
    write_text(run / "experiment.json", experiment.to_json())
    return run


def read_imports(run, experiment, direction):
    """Return what imported.json of a directory says: {} for a new directory.

    Raises:
        UserError: if the directory has other contents than an untrained import of the other
            direction with the same settings.
    """
    if not run.exists() or (run.is_dir() and not any(run.iterdir())):
        return {}
    imports = {}
    if is_run_directory(run) and (run / "imported.json").is_file():
        imports = json.loads((run / "imported.json").read_text())
    differences = experiment.differences(read_experiment(run)) if imports else {}
    if direction in imports:
        checkpoint = imports[direction]["checkpoint"]
        problem = f"direction {direction} has been imported from {checkpoint}"
    elif differences:
        problem = "; ".join(
            f"{name} is {theirs!r} there and {ours!r} here"
            for name, (ours, theirs) in differences.items()
        )
    elif not imports:
        problem = "it is not an import from PyTorch"
    elif (run / "metrics.csv").exists():
        problem = "it was trained since the import"
    else:
        return imports
    raise UserError(f"{run} is in use: {problem}. Choose another directory.")


def read_checkpoint(path):
    """Read the weights of a PyTorch checkpoint. No code in the file is run.

    Returns:
        {name: float32 array}.

    Raises:
        UserError: if PyTorch is not installed, or the file is not a checkpoint with one dict of
            tensors.
    """
    if not pathlib.Path(path).is_file():
        raise UserError(f"checkpoint must be a file, got {path}.")
    try:
        import torch
    except ImportError as error:
        raise UserError(
            f'checkpoints of PyTorch need the extra: pip install "tfgan_zoo[torch]" ({error})'
        ) from None
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files cause many kinds of exceptions
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
        raise UserError(
            f"{path} is not a PyTorch checkpoint with only tensors ({reason}). "
            "Other files may run code and are not opened."
        ) from None
    values = [checkpoint, *checkpoint.values()] if isinstance(checkpoint, dict) else []
    states = [
        value
        for value in values
        if isinstance(value, dict) and value and all(map(torch.is_tensor, value.values()))
    ]
    if len(states) != 1:
        raise UserError(
            "a checkpoint must have one dict of tensors, a generator's state_dict, "
            f"got {path} with {len(states)}."
        )
    # DataParallel and torch.compile add prefixes to the names.
    return {
        re.sub(r"^((module|_orig_mod)\.)+", "", str(name)): tensor.detach().float().numpy()
        for name, tensor in states[0].items()
        if not str(name).endswith("num_batches_tracked")
    }


def assign_weights(network, weights, direction="xy"):
    """Copy every weight of a checkpoint to the weight of the same name of one of our generators.

    Args:
        network: a generator of `Pix2Pix` or `CycleGAN`.
        weights: {PyTorch's name: array}; see `read_checkpoint`.
        direction: direction of the generator, which determines its settings for channels.

    Raises:
        UserError: if a weight is missing, left over, of another shape or not finite. The message
            has the first such weight and the settings that would fit.
    """
    if not any(isinstance(layer, keras.layers.Conv2DTranspose) for layer in network.layers):
        raise UserError(
            "the authors' generators have transposed convolutions, got upsampling=resize. "
            "Set model.upsampling=transposed."
        )
    variables = named_weights(network)
    arrays = convert_weights(weights, variables)

    theirs = {name: tuple(array.shape) for name, array in arrays.items()}
    ours = {name: tuple(variable.shape) for name, variable in variables.items()}
    for name in [*ours, *theirs]:
        if theirs.get(name) != ours.get(name):
            advice = suggest_settings(architecture(theirs), architecture(ours), direction)
            raise UserError(
                f"{name} is {theirs.get(name, 'missing')} in the checkpoint and "
                f"{ours.get(name, 'missing')} in the network: {advice}"
            )
        if not np.isfinite(arrays[name]).all():
            raise UserError(f"{name} is NaN or infinite. Use an earlier checkpoint.")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def convert_weights(weights, variables):
    """Convert a checkpoint's weights to the names of `named_weights` and to Keras' kernels."""
    trained_with_dropout = any(
        name.endswith("conv_block.6.weight") and value.ndim == 4 for name, value in weights.items()
    )
    if trained_with_dropout:  # the dropout layer shifts the indices of the layers after it
        weights = {
            re.sub(r"(?<=conv_block\.)[67]", lambda match: str(int(match[0]) - 1), name): value
            for name, value in weights.items()
        }
    if not any(name.endswith(STATISTICS) for name in variables):
        weights = {name: value for name, value in weights.items() if not name.endswith(STATISTICS)}
    return {
        name: np.transpose(value, (2, 3, 1, 0)) if value.ndim == 4 else value
        for name, value in weights.items()
    }


def named_weights(network):
    """Return the weights of a generator by PyTorch's names, in the order of computation.

    Returns:
        {name: variable}.
    """
    # Layers with weights form one chain, and `layers` is sorted by the distance from the output.
    convolutions = [
        layer
        for layer in network.layers
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv2DTranspose))
    ]
    if any(isinstance(layer, keras.layers.Concatenate) for layer in network.layers):
        paths = iter(unet_paths(len(convolutions) // 2))
    else:
        paths = iter(resnet_paths((len(convolutions) - 6) // 2))
    variables = {}
    for layer in network.layers:
        if layer in convolutions:
            path, index = next(paths)
            variables[f"{path}.{index}.weight"] = layer.kernel
            if layer.use_bias:
                variables[f"{path}.{index}.bias"] = layer.bias
        elif isinstance(layer, keras.layers.BatchNormalization):  # it follows its convolution
            values = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
            for name, value in zip(("weight", "bias", *STATISTICS), values, strict=True):
                variables[f"{path}.{index + 1}.{name}"] = value
    return variables


def unet_paths(downs):
    """Return (path, index) of each convolution of a U-Net in the order of computation.

    Every block contains the next one. The first is [conv, block, ReLU, deconv]; then
    [LeakyReLU, conv, norm, block, ReLU, deconv, norm]; the last is
    [LeakyReLU, conv, ReLU, deconv, norm].
    """
    nested = ["model.model.1.model" + ".3.model" * level for level in range(downs - 1)]
    first, *inner, last = ["model.model", *nested]
    down = [(first, 0), *((block, 1) for block in [*inner, last])]
    return [*down, (last, 3), *((block, 5) for block in reversed(inner)), (first, 3)]


def resnet_paths(blocks):
    """Return (path, index) of each convolution of a ResNet in the order of computation."""
    residual = [
        (f"model.{10 + block}.conv_block", index) for block in range(blocks) for index in (1, 5)
    ]
    first = [("model", index) for index in (1, 4, 7)]
    last = [("model", blocks + index) for index in (10, 13, 17)]
    return [*first, *residual, *last]


def architecture(shapes):
    """Infer the settings of a generator from the names and shapes of its weights.

    Args:
        shapes: {PyTorch's name: shape}, kernels as in Keras.

    Returns:
        A dict: kind, downs or blocks, norm, width, in, out; {} if it is not a generator.
    """

    def layer_indices(name):  # sorts names in the order of computation
        return [int(number) for number in re.findall(r"\d+", name)]

    names = sorted((name for name in shapes if name.startswith("model.")), key=layer_indices)
    kernels = [shapes[name] for name in names if len(shapes[name]) == 4]
    is_unet = "model.model.0.weight" in shapes
    is_resnet = any(".conv_block." in name for name in names)
    if not kernels or not (is_unet or is_resnet):
        return {}
    has_gamma = any(name.endswith(".weight") and len(shapes[name]) == 1 for name in names)
    return {
        "kind": "Pix2Pix" if is_unet else "CycleGAN",
        **({"downs": len(kernels) // 2} if is_unet else {"blocks": (len(kernels) - 6) // 2}),
        "norm": "batch" if has_gamma else "instance",
        "width": kernels[0][3],
        "in": kernels[0][2],
        "out": kernels[-1][2 if is_unet else 3],
    }


def suggest_settings(theirs, ours, direction):
    """Say how to make our network fit a checkpoint.

    Args:
        theirs: `architecture` of the checkpoint.
        ours: `architecture` of our network.
        direction: direction of the generator.
    """
    if not theirs:
        return (
            "use a generator's file, such as latest_net_G.pth or latest_net_G_A.pth, "
            "of a unet_... or a resnet_...blocks"
        )
    if theirs["kind"] != ours["kind"]:
        network = "U-Net" if theirs["kind"] == "Pix2Pix" else "ResNet"
        return f"the checkpoint is of a {network}: choose a preset of {theirs['kind']}"
    inputs, outputs = ("x", "y") if direction == "xy" else ("y", "x")
    fields = {"in": f"{inputs}_channels", "out": f"{outputs}_channels"}
    settings = [
        f"model.{fields.get(name, name)}={value}"
        for name, value in theirs.items()
        if value != ours[name]
    ]
    if settings:
        return f"set {' '.join(settings)}"
    return "only unet_... and resnet_...blocks of the authors' code are supported"
