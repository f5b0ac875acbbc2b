"""Start from trained weights: fine-tuning, as with `train.start`."""

import dataclasses
import os

from tfgan_zoo.errors import UserError
from tfgan_zoo.models.base import ZooModel
from tfgan_zoo.saving.exported import load, trace


def start_from(model: ZooModel, source: str | os.PathLike) -> list[str]:
    """Copy the weights of a trained model into a model of the same kind.

    Optimizers, learning rate schedules and the step counter begin anew. A SavedModel has only the
    networks that its signatures use: a GAN's discriminator keeps its initial weights, and a
    generator starts from the average of its weights if the SavedModel has the average. Start from a
    run directory to keep all networks.

    Args:
        model: a `ZooModel`; it may already be compiled.
        source: what `tfgan_zoo.load` takes, such as a run directory or a pretrained preset.

    Returns:
        The names of the networks that were copied.

    Raises:
        UserError: the source does not exist, has another kind of model, or weights of other shapes.
    """
    trained = load(source)
    if isinstance(trained, ZooModel):
        networks = named_networks(trained)
    else:
        trained, exported = trained.zoo_model, trained
        networks = exported_networks(trained, exported)
    if type(trained) is not type(model):
        raise UserError(
            f"the trained model to start from must be a {type(model).__name__}, "
            f"got {str(source)!r}, a {type(trained).__name__}."
        )
    targets = named_networks(model)
    # The generator and the average of its weights replace each other.
    replacements = {"generator 0": "average", "average": "generator 0"}
    pairs = []
    for name, target in targets.items():
        network = networks.get(name, networks.get(replacements.get(name)))
        if network is not None:
            pairs.append((target, network))
    for target, network in pairs:
        if [weight.shape for weight in target.weights] != [w.shape for w in network.weights]:
            raise UserError(
                f"the {target.name} of {str(source)!r} does not have the shapes of this model's. "
                f"Different settings: {describe_differences(trained.config, model.config)}."
            )
    for target, network in pairs:
        for weight, value in zip(target.weights, network.weights, strict=True):
            weight.assign(value)
    return list(dict.fromkeys(target.name for target, _ in pairs))


def named_networks(model):
    """Return {"<player> <index>" or "average": network} of the networks that are trained."""
    networks = {
        f"{player} {i}": network
        for player, networks in model.players().items()
        for i, network in enumerate(networks)
    }
    average = getattr(model, "generator_average", None)
    return networks if average is None else {**networks, "average": average}


def exported_networks(model, exported):
    """Return those of `named_networks` whose weights a SavedModel has.

    Args:
        model: the `ZooModel` that was rebuilt from the SavedModel.
        exported: the SavedModel, an `Exported`.
    """
    signatures = model.signatures()
    used = {
        id(variable.handle)
        for name in exported.signatures
        for variable in trace(*signatures[name]).variables
    }
    return {
        name: network
        for name, network in named_networks(model).items()
        if any(id(weight.value.handle) in used for weight in network.weights)
    }


def describe_differences(theirs, ours):
    """Return the fields of two configs that differ, as text."""
    theirs, ours = dataclasses.asdict(theirs), dataclasses.asdict(ours)
    differences = [
        f"model.{name} is {theirs[name]!r} there and {value!r} here"
        for name, value in ours.items()
        if theirs[name] != value
    ]
    return ", ".join(differences) or "none"
