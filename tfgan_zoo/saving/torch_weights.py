"""Import generators trained with the authors' PyTorch code, junyanz/pytorch-CycleGAN-and-pix2pix.

Supported are the networks unet_... and resnet_...blocks, which are the same as ours. PyTorch names
a weight by the path to its layer in nested lists, such as model.10.conv_block.1.weight. Kernels
have the shape (out, in, h, w), transposed ones (in, out, h, w).
"""

import hashlib
import json
import pathlib
import re
import warnings

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.checkpoints import CheckpointFolder
from tfgan_zoo.errors import UserError, check_choice, first_line, printable
from tfgan_zoo.files import check_output_folder, write_text
from tfgan_zoo.runs import (
    CHECKPOINTS,
    EXPERIMENT,
    IMPORTED,
    METRICS,
    build_model,
    is_run_directory,
    log,
    read_experiment,
    read_imports,
)

# Attribute of the generator in each model class, by direction.
NETWORKS = {"Pix2Pix": {"xy": "generator"}, "CycleGAN": {"xy": "g", "yx": "f"}}

# Ends of the names that the authors' code gives to the generators of a CycleGAN.
GENERATOR_NAMES = {"xy": r"(^|[._]|net)G_A$", "yx": r"(^|[._]|net)G_B$"}

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
    imports = check_imports(run, experiment, direction)
    check_output_folder(run)
    weights = read_checkpoint(checkpoint, direction)

    # Build the model, restore the generator of the other direction, and assign the weights.
    model = build_model(experiment, tf.distribute.get_strategy())
    state = tf.train.Checkpoint(model=model, epoch=tf.Variable(0, dtype=tf.int64))  # as in training
    if imports:
        CheckpointFolder(run / CHECKPOINTS).restore(state, log)
    assign_weights(getattr(model, NETWORKS[experiment.kind][direction]), weights, direction)

    # Write the run directory. experiment.json is last, since it makes the directory a run.
    sha256 = hashlib.sha256(pathlib.Path(checkpoint).read_bytes()).hexdigest()
    imports[direction] = {"checkpoint": pathlib.Path(checkpoint).name, "sha256": sha256}
    CheckpointFolder(run / CHECKPOINTS).save(state, epoch=0)
    write_text(run / IMPORTED, json.dumps(imports, indent=2))
    write_text(run / EXPERIMENT, experiment.to_json())
    return run


def check_imports(run, experiment, direction):
    """Return the earlier imports into a directory, {} for a new one.

    Raises:
        UserError: if the directory has other contents than an untrained import of the other
            direction with the same settings.
    """
    if not run.exists() or (run.is_dir() and not any(run.iterdir())):
        return {}
    imports = read_imports(run) if is_run_directory(run) else {}
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
    elif (run / METRICS).exists():
        problem = "it was trained since the import"
    else:
        return imports
    raise UserError(f"{run} is in use: {problem}. Choose another directory.")


def read_checkpoint(path, direction=None):
    """Read a generator's weights from a PyTorch checkpoint. No code in the file is run.

    Args:
        path: file.
        direction: "xy" or "yx": of several generators, read the one that the authors' code calls
            G_A or G_B.

    Returns:
        {name: float32 array}.

    Raises:
        UserError: if PyTorch is not installed, or the file is not a checkpoint with the dense
            tensors of one generator.
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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files cause many kinds of exceptions
        raise UserError(
            f"{path} is not a PyTorch checkpoint with only tensors ({refusal(error)}). "
            "Other files may run code and are not opened."
        ) from None
    networks = find_networks(checkpoint, torch.is_tensor)
    tensors = choose_network(networks, path, direction)
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
            kind = str(tensor.layout if tensor.layout != torch.strided else tensor.dtype)
            raise UserError(
                f"{path} must have dense tensors of real numbers, got {printable(name)} as "
                f"{kind}. Convert it in PyTorch first, a sparse tensor with to_dense()."
            )
    return {name: tensor.detach().float().numpy() for name, tensor in tensors.items()}


def refusal(error):
    """Say why `torch.load` refused a file, without PyTorch's advice to switch its check off."""
    text = str(error)
    found = re.search(r"GLOBAL (\S+)", text)
    if found:
        return f"it contains {printable(found[1])[:100]}"
    if "weights_only" in text:
        return "it contains other objects"
    return f"{type(error).__name__}: {first_line(error)}"


def find_networks(value, is_tensor, path=""):
    """Find the networks in a checkpoint, at any depth.

    Args:
        value: what the file contains.
        is_tensor: function that returns True for a tensor.
        path: names of the dicts that contain the value.

    Returns:
        {network: {name: tensor}}. The name of a network is the path of its dict, with the prefix
        of its weights if one dict has several networks, such as state_dict.netG_A.
    """
    networks = {}
    for key, item in value.items() if isinstance(value, dict) else ():
        if isinstance(item, dict) and path.count(".") < 10:  # a dict may contain itself
            networks |= find_networks(item, is_tensor, join_names(path, key))
        elif is_tensor(item) and not str(key).endswith("num_batches_tracked"):
            # DataParallel and torch.compile add prefixes to the names.
            name = re.sub(r"(^|\.)((module|_orig_mod)\.)+", r"\1", str(key))
            prefix, begin, rest = name.partition("model.")
            if not begin:
                prefix, rest = "", name
            network = join_names(path, prefix.removesuffix("."))
            networks.setdefault(network, {})[begin + rest] = item
    return networks


def join_names(*names):
    return ".".join(filter(None, map(str, names)))


def choose_network(networks, path, direction=None):
    """Return the weights of the only network, or of the only generator of several networks.

    Args:
        networks: {network: {name: tensor}}, see `find_networks`.
        path: file of the checkpoint.
        direction: see `read_checkpoint`.

    Raises:
        UserError: if there is none, or there are several.
    """
    chosen = networks
    if len(networks) > 1:
        chosen = {name: tensors for name, tensors in networks.items() if is_generator(tensors)}
    if len(chosen) > 1 and direction:
        ending = re.compile(GENERATOR_NAMES[direction])
        of_direction = {name: chosen[name] for name in chosen if ending.search(name)}
        chosen = of_direction if len(of_direction) == 1 else chosen
    if len(chosen) == 1:
        return next(iter(chosen.values()))
    if not networks:
        raise UserError(f"a checkpoint must have the tensors of a generator, got {path} with none.")
    names = [printable(name or "(top level)")[:60] for name in chosen or networks]
    listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    if not chosen:
        raise UserError(f"{path} has no generator of the authors' code, got networks {listed}.")
    raise UserError(
        f"{path} has several generators ({listed}). Save the state_dict of one of them alone with "
        "torch.save, and import that file."
    )


def is_generator(names):
    """Return True if the names of weights are those of a U-Net or ResNet generator."""
    return is_unet(names) or any(".conv_block." in name for name in names)


def is_unet(names):
    return "model.model.0.weight" in names


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
                f"{printable(name)} is {theirs.get(name, 'missing')} in the checkpoint and "
                f"{ours.get(name, 'missing')} in the network: {advice}"
            )
        if not np.isfinite(arrays[name]).all():
            raise UserError(f"{printable(name)} is NaN or infinite. Use an earlier checkpoint.")
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

    if not is_generator(shapes):
        return {}
    names = sorted((name for name in shapes if name.startswith("model.")), key=layer_indices)
    kernels = {name: shapes[name] for name in names if len(shapes[name]) == 4}
    size = len(kernels) // 2 if is_unet(shapes) else (len(kernels) - 6) // 2
    paths = unet_paths(size) if is_unet(shapes) else resnet_paths(size)
    if kernels.keys() != {f"{path}.{index}.weight" for path, index in paths}:
        return {}  # other layers, such as those of CUT or pix2pixHD
    first, *_, last = kernels.values()
    has_gamma = any(name.endswith(".weight") and len(shapes[name]) == 1 for name in names)
    return {
        "kind": "Pix2Pix" if is_unet(shapes) else "CycleGAN",
        "downs" if is_unet(shapes) else "blocks": size,
        "norm": "batch" if has_gamma else "instance",
        "width": first[3],
        "in": first[2],
        "out": last[2 if is_unet(shapes) else 3],
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
            "use a generator's file, such as latest_net_G.pth or latest_net_G_A.pth, of a unet_... "
            "or a resnet_...blocks with the layers of the authors' code (CUT and pix2pixHD have "
            "other layers)"
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
