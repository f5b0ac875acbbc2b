"""Import and export weights of the authors' PyTorch code, junyanz/pytorch-CycleGAN-and-pix2pix.

Supported are the networks unet_... and resnet_...blocks, and the discriminators basic, n_layers and
pixel, which are the same as ours. PyTorch names a weight by the path to its layer in nested lists,
such as model.10.conv_block.1.weight. Kernels have the shape (out, in, h, w), transposed ones
(in, out, h, w).
"""

import hashlib
import io
import json
import pathlib
import re
import typing
import warnings

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.checkpoints import CheckpointFolder
from tfgan_zoo.errors import UserError, check_choice, first_line, join_names, printable
from tfgan_zoo.files import atomic_write, check_output_files, check_output_folder, write_text
from tfgan_zoo.models.base import ZooModel
from tfgan_zoo.models.blocks import RECEPTIVE_FIELDS
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
from tfgan_zoo.saving.exported import Exported, load


class Networks(typing.NamedTuple):
    """Attributes of the networks of a direction, and the ending of their names in PyTorch."""

    generator: str
    discriminator: str  # of the images that the generator makes
    ending: str


NETWORKS = {
    "Pix2Pix": {"xy": Networks("generator", "discriminator", "")},
    "CycleGAN": {"xy": Networks("g", "d_y", "_A"), "yx": Networks("f", "d_x", "_B")},
}

# Name of a network in the authors' code: G, G_A, G_B, D, D_A or D_B.
ROLE = re.compile(r"(?:^|[._]|net)([GD](?:_[AB])?)$")

# Statistics of batch norm. Old versions of PyTorch also stored them, unused, for instance norm.
STATISTICS = ("running_mean", "running_var")

WITHOUT_DISCRIMINATORS = "import without discriminators: --generators-only"


class Checkpoint(typing.NamedTuple):
    """Weights of a direction, {PyTorch's name: float32 array} for each network.

    Attributes:
        generator: weights.
        discriminator: weights, or None.
        file: the file of the generator.
    """

    generator: dict
    discriminator: dict | None
    file: pathlib.Path


# --- Import


def import_torch(checkpoint, experiment, run, direction=None, generators_only=False):
    """Create a run directory, as after epoch 0, with networks trained in PyTorch.

    All other networks have fresh initial weights. The optimizers start fresh.

    Args:
        checkpoint: path of a checkpoint, such as latest_net_G.pth, or of the authors' folder of
            checkpoints. Discriminators are imported with their generators.
        experiment: an `Experiment` of a Pix2Pix or a CycleGAN.
        run: a new directory; or for CycleGAN the directory of an import in the other direction,
            which is completed.
        direction: "xy" or, for CycleGAN, "yx". Defaults to the directions of the networks that the
            authors' code calls G_A and G_B, else to "xy".
        generators_only: if True, leave out the discriminators.

    Returns:
        {direction: `Checkpoint`}, what was imported into the run directory. `load` reads it and
        `train` continues it.

    Raises:
        UserError: if the weights do not fit, or the directory is in use. Nothing is written then.
    """
    run = pathlib.Path(run)
    check_choice("the preset's model", experiment.kind, NETWORKS)
    if direction is not None:
        check_choice("direction", direction, NETWORKS[experiment.kind])
    check_output_folder(run)
    checkpoints = read_networks(checkpoint, experiment.kind, direction, generators_only)
    imports = check_imports(run, experiment, checkpoints)

    # Build the model, restore the generator of the other direction, and assign the weights.
    model = build_model(experiment, tf.distribute.get_strategy())
    state = tf.train.Checkpoint(model=model, epoch=tf.Variable(0, dtype=tf.int64))  # as in training
    if imports:
        CheckpointFolder(run / CHECKPOINTS).restore(state, log)
    for direction, (generator, discriminator, file) in checkpoints.items():
        networks = NETWORKS[experiment.kind][direction]
        assign_weights(getattr(model, networks.generator), generator, direction)
        if discriminator:
            assign_weights(getattr(model, networks.discriminator), discriminator, direction)
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        imports[direction] = {
            "checkpoint": file.name,
            "sha256": sha256,
            "discriminator": bool(discriminator),
        }

    # Write the run directory. experiment.json is last, since it makes the directory a run.
    CheckpointFolder(run / CHECKPOINTS).save(state, epoch=0)
    write_text(run / IMPORTED, json.dumps(imports, indent=2))
    write_text(run / EXPERIMENT, experiment.to_json())
    return checkpoints


def check_imports(run, experiment, directions):
    """Return the earlier imports into a directory, {} for a new one.

    Raises:
        UserError: if the directory has other contents than an untrained import of other
            directions with the same settings.
    """
    if not run.exists() or (run.is_dir() and not any(run.iterdir())):
        return {}
    imports = read_imports(run) if is_run_directory(run) else {}
    differences = experiment.differences(read_experiment(run)) if imports else {}
    again = [direction for direction in directions if direction in imports]
    if again:
        checkpoint = imports[again[0]]["checkpoint"]
        problem = f"direction {again[0]} has been imported from {checkpoint}"
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


def read_networks(path, kind, direction=None, generators_only=False):
    """Read the weights of PyTorch checkpoints. No code in the files is run.

    Args:
        path: file, or the authors' folder of checkpoints; see `checkpoint_files`.
        kind: "Pix2Pix" or "CycleGAN".
        direction: see `import_torch`.
        generators_only: see `import_torch`.

    Returns:
        {direction: `Checkpoint`}.

    Raises:
        UserError: if PyTorch is not installed, or a file is not a checkpoint with dense tensors, or
            the generators are missing or ambiguous.
    """
    networks = {}  # (file, name) -> tensors
    for file in checkpoint_files(path):
        networks |= {(file, name): tensors for name, tensors in read_file(file).items()}
    checkpoints = {}
    chosen = choose_networks(networks, path, kind, direction)
    for name, (generator, discriminator) in chosen.items():
        discriminator = None if generators_only else discriminator
        checkpoints[name] = Checkpoint(
            to_arrays(networks[generator], generator[0]),
            discriminator and to_arrays(networks[discriminator], discriminator[0]),
            generator[0],
        )
    return checkpoints


def checkpoint_files(path):
    """Return the files of a checkpoint: the file itself, or those of the last epoch in a folder.

    The files in the authors' folder are EPOCH_net_NAME.pth, such as latest_net_G_A.pth. The last
    epoch is `latest`, or else the largest number.

    Raises:
        UserError: if such files are missing.
    """
    path = pathlib.Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"checkpoint must be a file or a folder, got {path}.")
    names = re.compile(r"(latest|\d+)_net_[GD](_[AB])?\.pth")
    matches = [match for file in path.iterdir() if (match := names.fullmatch(file.name))]
    if not matches:
        files = join_names(sorted(file.name for file in path.iterdir())) or "no files"
        raise UserError(
            f"a folder of checkpoints needs files such as latest_net_G.pth, got {files} in {path}."
        )
    epochs = {match[1] for match in matches}
    last = "latest" if "latest" in epochs else max(epochs, key=int)
    return sorted(path / match[0] for match in matches if match[1] == last)


def load_torch():
    """Import PyTorch; raise `UserError` if it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise UserError(
            f'checkpoints of PyTorch need the extra: pip install "tfgan_zoo[torch]" ({error})'
        ) from None
    return torch


def read_file(path):
    """Read the networks of a file: {name: {weight: tensor}}, see `find_networks`."""
    torch = load_torch()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files cause many kinds of exceptions
        raise UserError(
            f"{path} is not a PyTorch checkpoint with only tensors ({refusal(error)}). "
            "Other files may run code and are not opened."
        ) from None
    return find_networks(checkpoint, torch.is_tensor)


def to_arrays(tensors, path):
    """Convert PyTorch's tensors to float32 arrays.

    Raises:
        UserError: if a tensor is sparse, quantized or complex.
    """
    torch = load_torch()
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


def find_networks(value, is_tensor, path="", parents=()):
    """Find the networks in a checkpoint, at any depth.

    Args:
        value: what the file contains.
        is_tensor: function that returns True for a tensor.
        path: names of the dicts that contain the value.
        parents: these dicts; a dict may contain itself.

    Returns:
        {network: {name: tensor}}. The name of a network is the path of its dict, with the prefix
        of its weights if one dict has several networks, such as state_dict.netG_A.
    """
    networks = {}
    for key, item in value.items() if isinstance(value, dict) else ():
        if isinstance(item, dict) and len(parents) < 10:
            if not any(item is parent for parent in (*parents, value)):
                inner = find_networks(item, is_tensor, join_path(path, key), (*parents, value))
                networks |= inner
        elif is_tensor(item) and not str(key).endswith("num_batches_tracked"):
            # DataParallel and torch.compile add prefixes to the names.
            name = re.sub(r"(^|\.)((module|_orig_mod)\.)+", r"\1", str(key))
            # The list of layers is model in all networks, but net in pixel discriminators.
            begin = re.search(r"model\.", name) or re.search(r"\bnet\.(?=\d+\.)", name)
            start = begin.start() if begin else 0
            network = join_path(path, name[:start].removesuffix("."))
            networks.setdefault(network, {})[name[start:]] = item
    return networks


def join_path(*names):
    return ".".join(filter(None, map(str, names)))


def choose_networks(networks, path, kind, direction=None):
    """Choose the generators to import, and their discriminators.

    Args:
        networks: {(file, name): {weight: tensor}}, see `find_networks`.
        path: checkpoint, for error messages.
        kind: "Pix2Pix" or "CycleGAN".
        direction: see `import_torch`.

    Returns:
        {direction: (key of the generator, key of its discriminator or None)}.

    Raises:
        UserError: if a generator is missing, or there are several with other names than those of
            the authors' code.
    """
    if not networks:
        raise UserError(f"a checkpoint must have the tensors of a generator, got {path} with none.")
    # A network that is alone in its file has its name in the file's name.
    files = [file for file, _ in networks]
    role_of = {
        (file, name): ROLE.search(name)
        or (ROLE.search(pathlib.Path(file).stem) if files.count(file) == 1 else None)
        for file, name in networks
    }
    role_of = {key: match[1] if match else None for key, match in role_of.items()}
    generators = [key for key in networks if len(networks) == 1 or is_generator(networks[key])]

    # Choose by the names of the authors' code, or take the only generator.
    candidates = {
        name: [key for key in generators if role_of[key] == f"G{NETWORKS[kind][name].ending}"]
        for name in ([direction] if direction else NETWORKS[kind])
    }
    chosen = {name: keys[0] for name, keys in candidates.items() if len(keys) == 1}
    if not chosen and len(generators) == 1:
        chosen = {direction or "xy": generators[0]}
    if not chosen or any(len(keys) > 1 for keys in candidates.values()):
        names = [name or pathlib.Path(file).name for file, name in generators or networks]
        listed = join_names([printable(name)[:60] for name in names], 8)
        if not generators:
            raise UserError(f"{path} has no generator of the authors' code, got networks {listed}.")
        raise UserError(
            f"{path} has several generators ({listed}). Save the state_dict of one of them alone "
            "with torch.save, and import that file."
        )

    def discriminator_of(generator):
        role = (role_of[generator] or "G").replace("G", "D")
        keys = [key for key in networks if role_of[key] == role and key not in generators]
        return keys[0] if len(keys) == 1 else None

    return {name: (generator, discriminator_of(generator)) for name, generator in chosen.items()}


def is_generator(names):
    """Return True if the names of weights are those of a U-Net or ResNet generator."""
    return is_unet(names) or any(".conv_block." in name for name in names)


def is_unet(names):
    return "model.model.0.weight" in names


def assign_weights(network, weights, direction="xy"):
    """Copy every weight of a checkpoint to the weight of the same name of one of our networks.

    Args:
        network: a generator or a discriminator of `Pix2Pix` or `CycleGAN`.
        weights: {PyTorch's name: array}; see `read_networks`.
        direction: direction of the generator, which determines its settings for channels.

    Raises:
        UserError: if a weight is missing, left over, of another shape or not finite. The message
            has the first such weight and the settings that would fit.
    """
    if any(isinstance(layer, keras.layers.UpSampling2D) for layer in network.layers):
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
            if is_generator(ours):
                advice = suggest_settings(theirs, architecture(ours), direction)
            else:
                advice = suggest_discriminator_settings(theirs, patch_architecture(ours))
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
    """Return the weights of a network by PyTorch's names, in the order of computation.

    Returns:
        {name: variable}.
    """
    # Layers with weights form one chain, and `layers` is sorted by the distance from the output.
    convolutions = [
        layer
        for layer in network.layers
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv2DTranspose))
    ]
    if not any(isinstance(layer, keras.layers.Conv2DTranspose) for layer in convolutions):
        is_pixel = convolutions[0].kernel_size == (1, 1)
        paths = iter(patch_paths(len(convolutions), "net" if is_pixel else "model"))
    elif any(isinstance(layer, keras.layers.Concatenate) for layer in network.layers):
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


def patch_paths(count, path):
    """Return (path, index) of each of `count` convolutions of a discriminator.

    The first is followed by LeakyReLU, the others by a norm and LeakyReLU.
    """
    return [(path, 0), *((path, 3 * level - 1) for level in range(1, count))]


def layer_indices(name):
    """Return the numbers in the name of a weight, which sort names in the order of computation."""
    return [int(number) for number in re.findall(r"\d+", name)]


def norm_of(shapes):
    """Return the kind of norm, "batch" if any has a gamma."""
    has_gamma = any(name.endswith(".weight") and len(shape) == 1 for name, shape in shapes.items())
    return "batch" if has_gamma else "instance"


def architecture(shapes):
    """Infer the settings of a generator from the names and shapes of its weights.

    Args:
        shapes: {PyTorch's name: shape}, kernels as in Keras.

    Returns:
        A dict: kind, downs or blocks, norm, width, in, out; {} if it is not a generator.
    """
    if not is_generator(shapes):
        return {}
    names = sorted((name for name in shapes if name.startswith("model.")), key=layer_indices)
    kernels = {name: shapes[name] for name in names if len(shapes[name]) == 4}
    size = len(kernels) // 2 if is_unet(shapes) else (len(kernels) - 6) // 2
    if size < (2 if is_unet(shapes) else 1):
        return {}
    paths = unet_paths(size) if is_unet(shapes) else resnet_paths(size)
    if kernels.keys() != {f"{path}.{index}.weight" for path, index in paths}:
        return {}  # other layers, such as those of CUT or pix2pixHD
    first, *_, last = kernels.values()
    return {
        "kind": "Pix2Pix" if is_unet(shapes) else "CycleGAN",
        "downs" if is_unet(shapes) else "blocks": size,
        "norm": norm_of(shapes),
        "width": first[3],
        "in": first[2],
        "out": last[2 if is_unet(shapes) else 3],
    }


def patch_architecture(shapes):
    """Infer the settings of a discriminator from the names and shapes of its weights.

    Args:
        shapes: {PyTorch's name: shape}, kernels as in Keras.

    Returns:
        A dict: receptive_field, norm, width, in; {} if it is not a discriminator of ours.
    """
    kernels = {name: shape for name, shape in shapes.items() if len(shape) == 4}
    names = sorted(kernels, key=layer_indices)
    fields = {strides: field for field, strides in RECEPTIVE_FIELDS.items() if strides}
    for path, count, field in (("model", len(names), fields.get(len(names) - 2)), ("net", 3, 1)):
        paths = [f"{path}.{index}.weight" for path, index in patch_paths(count, path)]
        if field and names == paths:
            first = kernels[names[0]]
            settings = {"receptive_field": field, "norm": norm_of(shapes)}
            return {**settings, "width": first[3], "in": first[2]}
    return {}


def suggest_settings(theirs, ours, direction):
    """Say how to make our generator fit a checkpoint.

    Args:
        theirs: {PyTorch's name: shape} of the checkpoint.
        ours: `architecture` of our generator.
        direction: direction of the generator.
    """
    description, theirs = describe(theirs), architecture(theirs)
    if not theirs:
        return (
            "use a generator's file, such as latest_net_G.pth or latest_net_G_A.pth, of a unet_... "
            "or a resnet_...blocks with the layers of the authors' code (CUT and pix2pixHD have "
            f"other layers), got {description}"
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


def suggest_discriminator_settings(theirs, ours):
    """Say how to make our discriminator fit a checkpoint; see `suggest_settings`."""
    description, theirs = describe(theirs), patch_architecture(theirs)
    if not theirs:
        return (
            "the discriminator must be basic, n_layers (1 to 5) or pixel of the authors' code, got "
            f"{description}. Use another one, or {WITHOUT_DISCRIMINATORS}"
        )
    other = {name: value for name, value in theirs.items() if value != ours[name]}
    field = other.pop("receptive_field", None)
    if other:
        differences = ", ".join(
            f"{name} {value}, but {ours[name]} by the settings of its generator"
            for name, value in other.items()
        )
        return f"the discriminator has {differences}. Use another one, or {WITHOUT_DISCRIMINATORS}"
    if field:
        return f"set model.receptive_field={field}"
    return (
        f"its other layers are not supported. To use the generator alone, {WITHOUT_DISCRIMINATORS}"
    )


def describe(shapes):
    """Describe the weights of a checkpoint in a few words."""
    if not shapes:
        return "no weights"
    name, shape = next(iter(shapes.items()))
    return f"{len(shapes)} weights such as {printable(name)[:60]} {shape}"


# --- Export


def export_torch(source, folder, overwrite=False):
    """Write state dicts that the networks of the authors' code load, with their file names.

    Args:
        source: As for `load`; or a `ZooModel`. Discriminators are in run directories and .keras
            files only. Networks of a run that were neither imported nor trained are not written.
        folder: Folder of the files, such as the authors' checkpoints/NAME. It may exist.
        overwrite: Whether existing files may be replaced.

    Returns:
        A list of the paths of the files.

    Raises:
        UserError: PyTorch is not installed, a file exists, or the authors' code has no such
            network.
    """
    torch = load_torch()
    model = source if isinstance(source, ZooModel) else load(source)
    has_discriminators = not isinstance(model, Exported)
    model = model if has_discriminators else model.zoo_model
    check_authors_networks(model)
    imports = {}  # of a run that is not trained yet
    if not isinstance(source, ZooModel) and is_run_directory(source):
        run = pathlib.Path(source)
        imports = {} if (run / METRICS).exists() else read_imports(run)

    networks = {}
    for direction in model.directions:
        generator, discriminator, ending = NETWORKS[type(model).__name__][direction]
        networks[f"G{ending}"] = getattr(model, generator)
        if has_discriminators and imports.get(direction, {}).get("discriminator", True):
            networks[f"D{ending}"] = getattr(model, discriminator)
    folder = pathlib.Path(folder)
    if folder.is_file():
        raise UserError(f"the output of torch is a folder of .pth files, got the file {folder}.")
    paths = {name: folder / f"latest_net_{name}.pth" for name in networks}
    check_output_folder(folder)
    check_output_files(paths.values(), overwrite)

    folder.mkdir(parents=True, exist_ok=True)
    for name, network in networks.items():
        content = io.BytesIO()
        tensors = {key: torch.from_numpy(value) for key, value in state_dict(network).items()}
        torch.save(tensors, content)
        with atomic_write(paths[name]) as partial:
            partial.write_bytes(content.getvalue())
    return list(paths.values())


def check_authors_networks(model):
    """Raise `UserError` if the authors' code cannot build the networks of a model."""
    kind = type(model).__name__
    if kind not in NETWORKS:
        raise UserError(
            f"format torch is for {' and '.join(NETWORKS)}, got {kind}. Choose another --format, "
            "such as onnx."
        )
    config = model.config
    for name, value in (("upsampling", "transposed"), ("slope", 0.2), ("bottleneck_norm", False)):
        if getattr(config, name, value) != value:
            raise UserError(
                f"the authors' code has networks with {name}={value} only, got model.{name}="
                f"{getattr(config, name)}. Choose another --format, such as onnx."
            )


def state_dict(network):
    """Return the weights of a network as PyTorch's arrays: {name: array}."""
    arrays = {}
    for name, variable in named_weights(network).items():
        value = keras.ops.convert_to_numpy(variable)
        arrays[name] = np.transpose(value, (3, 2, 0, 1)).copy() if value.ndim == 4 else value.copy()
        if name.endswith(STATISTICS[1]):  # strict loading expects it, too
            counter = name.replace(STATISTICS[1], "num_batches_tracked")
            arrays[counter] = np.zeros((), np.int64)
    return arrays
