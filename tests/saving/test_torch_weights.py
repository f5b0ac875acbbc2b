"""PyTorch weights, both ways: equal images, and errors that name the settings that fit."""

import json
import os
import pathlib
import pickle
import re
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgan_zoo import cli, load, presets, train
from tfgan_zoo.errors import UserError
from tfgan_zoo.layers import Dropout
from tfgan_zoo.models import cyclegan, pix2pix
from tfgan_zoo.models.blocks import patch_discriminator, resnet_generator
from tfgan_zoo.runs import build_model, load_model, read_experiment
from tfgan_zoo.saving import export_file, saved_model, torch_weights
from tfgan_zoo.saving.exported import load_exported

NORMS = ("instance", "batch")
KINDS = ("unet", "resnet")
SMALL = {"unet": {"downs": 6, "width": 8}, "resnet": {"blocks": 3, "width": 8}}


def ours(kind, norm="batch", test_norm="running", **settings):
    """Build our generator."""
    keras.utils.set_random_seed(1)
    settings = {**SMALL[kind], **settings, "norm": norm, "test_norm": test_norm}
    if kind == "unet":
        return pix2pix.generator(pix2pix.Pix2PixConfig(**settings))
    return resnet_generator(cyclegan.CycleGANConfig(**settings, identity_weight=0.0))


def image(channels=3, height=64, width=128, seed=0):
    """Return a random image, float32 (1, h, w, c) in [-1, 1]."""
    return (
        np.random.default_rng(seed).uniform(-1, 1, (1, height, width, channels)).astype("float32")
    )


def read_generator(path, kind="Pix2Pix"):
    """Read the weights of the generator of a checkpoint."""
    return torch_weights.read_networks(path, kind)["xy"].generator


# --- The authors' networks, reimplemented without PyTorch


class Reference:
    """A generator as a function of its weights. Missing weights are drawn at random.

    norm: "instance", "running" (batch norm with running statistics) or "image" (with those of the
    image).
    """

    def __init__(self, norm, weights=None):
        self.norm, self.weights, self.rng = norm, weights or {}, np.random.default_rng(5)

    def weight(self, name, *shape, mean=0.0, deviation=0.2):
        if name not in self.weights:
            self.weights[name] = (mean + deviation * self.rng.uniform(-1, 1, shape)).astype(
                "float32"
            )
        return self.weights[name]

    def conv(self, name, x, width, size, stride=1, padding=0, bias=None):
        kernel = self.weight(f"{name}.weight", width, x.shape[-1], size, size)
        x = tf.nn.conv2d(
            tf.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0))),
            kernel.transpose(2, 3, 1, 0),
            stride,
            "VALID",
        )
        return self.add_bias(name, x, bias)

    def deconv(self, name, x, width, size, bias=None):
        """Stride 2, padding 1, and output padding that doubles the size."""
        kernel = self.weight(f"{name}.weight", x.shape[-1], width, size, size)
        n, height, columns, _ = x.shape
        shape = (n, 2 * (height - 1) + size, 2 * (columns - 1) + size, width)
        x = tf.nn.conv2d_transpose(x, kernel.transpose(2, 3, 1, 0), shape, 2, "VALID")
        return self.add_bias(name, x[:, 1 : 1 + 2 * height, 1 : 1 + 2 * columns], bias)

    def add_bias(self, name, x, bias):
        bias = self.norm == "instance" if bias is None else bias
        return x + self.weight(f"{name}.bias", x.shape[-1]) if bias else x

    def normalize(self, name, x):
        mean, variance = tf.nn.moments(x, (1, 2), keepdims=True)
        if self.norm == "instance":
            return (x - mean) / tf.sqrt(variance + 1e-5)
        gamma, beta = (
            self.weight(f"{name}.weight", x.shape[-1], mean=1.0),
            self.weight(f"{name}.bias", x.shape[-1]),
        )
        stored = (
            self.weight(f"{name}.running_mean", x.shape[-1]),
            self.weight(f"{name}.running_var", x.shape[-1], mean=1.0, deviation=0.5),
        )
        if self.norm == "running":
            mean, variance = stored
        return (x - mean) / tf.sqrt(variance + 1e-5) * gamma + beta

    def unet(self, x, downs, width, outputs=3):
        def block(path, level, x):
            """Concatenate x, from the level above, and the block's output."""
            inner, outer = (width * min(2**n, 8) for n in (level, level - 1))
            skip = tf.nn.relu(x)
            x = self.conv(f"{path}.1", tf.nn.leaky_relu(x, 0.2), inner, 4, 2, 1)
            if level == downs - 1:
                x = self.normalize(f"{path}.4", self.deconv(f"{path}.3", tf.nn.relu(x), outer, 4))
            else:
                x = block(f"{path}.3.model", level + 1, self.normalize(f"{path}.2", x))
                x = self.normalize(f"{path}.6", self.deconv(f"{path}.5", x, outer, 4))
            return tf.concat([skip, tf.nn.relu(x)], -1)

        x = block("model.model.1.model", 1, self.conv("model.model.0", x, width, 4, 2, 1))
        return tf.tanh(self.deconv("model.model.3", x, outputs, 4, bias=True))

    def resnet(self, x, blocks, width, outputs=3):
        def mirror(x, size):
            return tf.pad(x, ((0, 0), (size,) * 2, (size,) * 2, (0, 0)), "REFLECT")

        x = tf.nn.relu(self.normalize("model.2", self.conv("model.1", mirror(x, 3), width, 7)))
        x = tf.nn.relu(self.normalize("model.5", self.conv("model.4", x, 2 * width, 3, 2, 1)))
        x = tf.nn.relu(self.normalize("model.8", self.conv("model.7", x, 4 * width, 3, 2, 1)))
        for i in range(10, 10 + blocks):
            path = f"model.{i}.conv_block"
            y = tf.nn.relu(
                self.normalize(f"{path}.2", self.conv(f"{path}.1", mirror(x, 1), 4 * width, 3))
            )
            x += self.normalize(f"{path}.6", self.conv(f"{path}.5", mirror(y, 1), 4 * width, 3))
        x = tf.nn.relu(
            self.normalize(
                f"model.{11 + blocks}", self.deconv(f"model.{10 + blocks}", x, 2 * width, 3)
            )
        )
        x = tf.nn.relu(
            self.normalize(f"model.{14 + blocks}", self.deconv(f"model.{13 + blocks}", x, width, 3))
        )
        return tf.tanh(self.conv(f"model.{17 + blocks}", mirror(x, 3), outputs, 7, bias=True))


def reference(kind, norm, weights=None, x_channels=3, y_channels=3, **settings):
    """Return (weights with PyTorch's names and layout, output for `image()`)."""
    network = Reference(norm, weights)
    y = getattr(network, kind)(
        tf.constant(image(x_channels)), **{**SMALL[kind], **settings}, outputs=y_channels
    )
    return network.weights, y


def weights_of(kind, norm, **settings):
    return reference(kind, "running" if norm == "batch" else norm, **settings)[0]


@pytest.mark.parametrize("norm", ("instance", "running", "image"))
@pytest.mark.parametrize("kind", KINDS)
def test_imported_weights_give_the_same_images(kind, norm):
    network = ours(
        kind,
        "instance" if norm == "instance" else "batch",
        "running" if norm == "instance" else norm,
    )
    weights, expected = reference(kind, norm)
    torch_weights.assign_weights(network, weights)
    np.testing.assert_allclose(network(image()), expected, atol=1e-4)
    assert np.std(expected) > 0.01  # the output is not constant
    dropouts = [
        layer for layer in network.layers if isinstance(layer, Dropout)
    ]  # each has a counter
    assert len(network.weights) == len(weights) + len(dropouts)


@pytest.mark.parametrize("kind", KINDS)
def test_channels_may_differ(kind):
    network = ours(kind, x_channels=1, y_channels=2)
    weights, expected = reference(kind, "running", x_channels=1, y_channels=2)
    torch_weights.assign_weights(network, weights)
    np.testing.assert_allclose(network(image(1)), expected, atol=1e-4)


def test_weight_names_equal_those_of_checkpoints():
    unet = torch_weights.named_weights(ours("unet", downs=8))
    innermost = "model.model.1.model" + 6 * ".3.model"
    names = ("1.weight", "3.weight", "4.weight", "4.bias", "4.running_mean", "4.running_var")
    assert [name for name in unet if name.startswith(innermost)] == [
        f"{innermost}.{name}" for name in names
    ]
    assert {
        "model.model.0.weight",
        "model.model.3.bias",
        "model.model.1.model.2.running_var",
        "model.model.1.model.6.weight",
    } <= set(unet)
    resnet = torch_weights.named_weights(ours("resnet", "instance", blocks=9))
    assert list(resnet)[:2] == ["model.1.weight", "model.1.bias"]
    assert {
        "model.10.conv_block.1.weight",
        "model.18.conv_block.5.bias",
        "model.19.weight",
        "model.22.bias",
        "model.26.weight",
    } <= set(resnet)
    assert len(resnet) == 2 * 24


def test_weights_are_in_the_order_of_computation():
    assert list(torch_weights.named_weights(ours("unet", downs=5))) == list(
        weights_of("unet", "batch", downs=5)
    )
    assert list(torch_weights.named_weights(ours("resnet"))) == list(weights_of("resnet", "batch"))


@pytest.mark.parametrize(
    ("kind", "theirs", "settings", "message"),
    [
        (
            "unet",
            {"norm": "instance"},
            {},
            r"model\.2\.weight is missing .* \(16,\) in the network: set model.norm=instance$",
        ),
        (
            "unet",
            {},
            {"norm": "instance"},
            r"model\.0\.bias is missing in the checkpoint .*: set model.norm=batch$",
        ),
        (
            "resnet",
            {"norm": "instance"},
            {},
            r"model\.2\.weight is missing .*: set model.norm=instance$",
        ),
        (
            "resnet",
            {},
            {"norm": "instance"},
            r"model\.1\.bias is missing .*: set model.norm=batch$",
        ),
        ("unet", {"downs": 5}, {}, r"set model.downs=5$"),
        ("unet", {}, {"downs": 5}, r"set model.downs=6$"),
        (
            "resnet",
            {"blocks": 2},
            {},
            r"model\.12\.conv_block\.1\.weight is missing .*: set model.blocks=2$",
        ),
        ("resnet", {}, {"blocks": 2}, "set model.blocks=3$"),
        (
            "resnet",
            {"width": 4},
            {},
            r"1\.weight is \(7, 7, 3, 4\) in .* and \(7, 7, 3, 8\) in .*: set model.width=4$",
        ),
        (
            "unet",
            {"x_channels": 1},
            {},
            r"\(4, 4, 1, 8\) in .* and \(4, 4, 3, 8\) in .*: set model.x_channels=1$",
        ),
        (
            "unet",
            {"y_channels": 1},
            {},
            r"model\.model\.3\.weight is \(4, 4, 1, 16\) .*: set model.y_channels=1$",
        ),
        (
            "resnet",
            {"y_channels": 1, "width": 4, "blocks": 1},
            {},
            "set model.blocks=1 model.width=4 model.y_channels=1$",
        ),
        ("resnet", {}, {"upsampling": "resize"}, "Set model.upsampling=transposed"),
        ("unet", {}, {"upsampling": "resize"}, "Set model.upsampling=transposed"),
    ],
)
def test_other_architectures_raise_an_error_with_settings(kind, theirs, settings, message):
    network = ours(kind, **settings)
    before = [w.numpy() for w in network.weights]
    with pytest.raises(UserError, match=message):
        torch_weights.assign_weights(network, weights_of(kind, **{"norm": "batch", **theirs}))
    assert all(np.array_equal(w, old) for w, old in zip(network.weights, before, strict=True))


def test_channels_are_swapped_for_direction_yx():
    with pytest.raises(UserError, match="set model.y_channels=1$"):
        torch_weights.assign_weights(
            ours("resnet"), weights_of("resnet", "batch", x_channels=1), "yx"
        )


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_weights_raise_an_error_with_their_name(kind):
    weights = weights_of(kind, "batch")
    name = {"unet": "model.model.1.model.5.weight", "resnet": "model.10.conv_block.5.weight"}[kind]
    for change, message in (
        ({name: weights[name][:, :, 1:]}, f"{name} is "),
        ({name: weights[name].ravel()}, f"{name} is "),
        ({name: weights[name] * np.nan}, f"{name} is NaN"),
        (
            {"more.weight": weights[name]},
            r"more\.weight is \(.*\) in the checkpoint and missing in the network: only unet",
        ),
    ):
        with pytest.raises(UserError, match=message):
            torch_weights.assign_weights(ours(kind), {**weights, **change})
    del weights[name]
    with pytest.raises(UserError, match=f"{name} is missing in the checkpoint"):
        torch_weights.assign_weights(ours(kind), weights)


def test_other_networks_raise_an_error():
    with pytest.raises(UserError, match="is of a ResNet: choose a preset of CycleGAN"):
        torch_weights.assign_weights(ours("unet"), weights_of("resnet", "batch"))
    with pytest.raises(UserError, match="is of a U-Net: choose a preset of Pix2Pix"):
        torch_weights.assign_weights(ours("resnet"), weights_of("unet", "batch"))
    discriminator = {
        "model.0.weight": np.zeros((64, 3, 4, 4), "float32"),
        "model.0.bias": np.zeros(64, "float32"),
    }
    for weights in (discriminator, {}):
        with pytest.raises(UserError, match="use a generator's file, such as latest_net_G"):
            torch_weights.assign_weights(ours("resnet"), weights)


def test_other_resnets_are_not_advised_to_change_settings():
    weights = weights_of("resnet", "instance")
    # pix2pixHD has four strided convolutions, whose names are those of two more blocks.
    deeper = {f"model.{i}.weight": np.zeros((8, 8, 3, 3), "float32") for i in (40, 43)}
    # CUT resizes by filters in layers of their own, which shift the names of the others.
    filters = {
        re.sub(r"^model\.7\.", "model.8.", name): value for name, value in weights.items()
    } | {"model.7.filt": np.zeros((8, 1, 3, 3), "float32")}
    for other in ({**weights, **deeper}, filters):
        with pytest.raises(UserError, match=r"use a generator's file, .* \(CUT and pix2pixHD have"):
            torch_weights.assign_weights(ours("resnet", "instance"), other)


def test_a_file_with_several_networks_has_a_generator_for_each_direction(monkeypatch, tmp_path):
    path = tmp_path / "file.pth"
    path.touch()
    monkeypatch.setattr(torch_weights, "to_arrays", lambda tensors, path: tensors)

    def is_array(value):
        return isinstance(value, np.ndarray)

    def generator(value):
        names = ("model.1.weight", "model.10.conv_block.1.weight")
        return {f"module.{name}": np.full((1, 1, 1, 1), value) for name in names}

    discriminator = {"model.0.weight": np.zeros((1, 1, 1, 1))}
    nested = {"netG_A": generator(1), "netG_B": generator(2), "netD_A": discriminator}
    flat = {
        f"{network}.{name}": array
        for network, weights in nested.items()
        for name, array in weights.items()
    }
    for checkpoint in (nested, {"epoch": 3, "state_dict": flat}):
        monkeypatch.setattr(
            torch_weights,
            "read_file",
            lambda path, checkpoint=checkpoint: torch_weights.find_networks(checkpoint, is_array),
        )
        both = torch_weights.read_networks(path, "CycleGAN")
        assert set(both) == {"xy", "yx"}
        for direction, value in (("xy", 1), ("yx", 2)):
            chosen = torch_weights.read_networks(path, "CycleGAN", direction)
            assert set(chosen) == {direction}
            for weights in (chosen[direction].generator, both[direction].generator):
                assert weights.keys() == {"model.1.weight", "model.10.conv_block.1.weight"}
                assert all((array == value).all() for array in weights.values())
        assert both["xy"].discriminator == discriminator and both["yx"].discriminator is None
        without = torch_weights.read_networks(path, "CycleGAN", generators_only=True)
        assert without["xy"].discriminator is None
        with pytest.raises(UserError, match=r"several generators \((state_dict.)?netG_A, "):
            torch_weights.read_networks(path, "Pix2Pix")


def test_control_characters_of_names_are_escaped():
    weights = {**weights_of("resnet", "batch"), "m\x1b[2Jodel\n": np.zeros(3, "float32")}
    with pytest.raises(UserError, match=r"m\\x1b\[2Jodel\\n is \(3,\) in the checkpoint"):
        torch_weights.assign_weights(ours("resnet"), weights)


def test_statistics_of_instance_norm_are_ignored():
    weights, expected = reference("resnet", "instance")
    old = {
        f"model.2.{name}": np.full(8, 7.0, "float32") for name in ("running_mean", "running_var")
    }
    network = ours("resnet", "instance")
    torch_weights.assign_weights(network, {**weights, **old})
    np.testing.assert_allclose(network(image()), expected, atol=1e-4)


@pytest.mark.parametrize("norm", NORMS)
def test_resnet_trained_with_dropout_has_shifted_indices(norm):
    weights, expected = reference("resnet", "running" if norm == "batch" else norm)
    shifted = {
        re.sub(r"block\.([56])", lambda match: f"block.{int(match[1]) + 1}", name): value
        for name, value in weights.items()
    }
    assert shifted.keys() != weights.keys()
    network = ours("resnet", norm)
    torch_weights.assign_weights(network, shifted)
    np.testing.assert_allclose(network(image()), expected, atol=1e-4)


# --- Discriminators

FIELDS = {1: 16, 2: 34, 3: 70, 4: 142, 5: 286}  # number of layers: receptive field


def our_discriminator(layers, norm="batch", channels=3, width=8):
    """Build our discriminator; `layers` is that of the authors' n_layers, or "pixel"."""
    field = 1 if layers == "pixel" else FIELDS[layers]
    return patch_discriminator(channels, width, field, norm, "d")


def discriminator_shapes(layers, norm="batch", channels=3, width=8):
    """Return {name: shape} of the authors' NLayerDiscriminator or PixelDiscriminator."""
    if layers == "pixel":  # the last convolution has a bias only with instance norm
        convolutions = [("net.0", channels, width, 1, True), ("net.2", width, 2 * width, 1, False)]
        convolutions += [("net.5", 2 * width, 1, 1, norm == "instance")]
        norms = [("net.3", 2 * width)]
    else:
        widths = [channels, *(width * min(2**level, 8) for level in range(layers + 1))]
        convolutions = [
            (f"model.{max(3 * level - 1, 0)}", widths[level], widths[level + 1], 4, level == 0)
            for level in range(layers + 1)
        ]
        norms = [(f"model.{3 * level}", widths[level + 1]) for level in range(1, layers + 1)]
        convolutions.append((f"model.{3 * layers + 2}", widths[-1], 1, 4, True))
    shapes = {}
    for name, inputs, outputs, size, bias in convolutions:
        shapes[f"{name}.weight"] = (outputs, inputs, size, size)
        if bias or norm == "instance":
            shapes[f"{name}.bias"] = (outputs,)
    if norm == "batch":
        for name, count in norms:
            for value in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{name}.{value}"] = (count,)
    return shapes


def discriminator_weights(layers, norm="batch", **settings):
    rng = np.random.default_rng(3)
    return {
        name: rng.uniform(0.1, 0.3, shape).astype("float32")
        for name, shape in discriminator_shapes(layers, norm, **settings).items()
    }


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("layers", ["pixel", *FIELDS])
def test_names_and_shapes_of_discriminators_are_those_of_the_authors(layers, norm):
    network = our_discriminator(layers, norm)
    shapes = {
        name: value.shape
        for name, value in torch_weights.state_dict(network).items()
        if "num_batches" not in name
    }
    assert shapes == discriminator_shapes(layers, norm)
    weights = discriminator_weights(layers, norm)
    torch_weights.assign_weights(network, weights)
    for name, value in torch_weights.state_dict(network).items():
        if "num_batches" not in name:
            np.testing.assert_array_equal(value, weights[name])


def test_parameters_of_the_basic_discriminator_are_as_many_as_the_authors():
    shapes = discriminator_shapes(3, "batch", channels=6, width=64)
    counts = [np.prod(shape) for name, shape in shapes.items() if "running" not in name]
    assert sum(counts) == 2_768_705  # counted in PyTorch


@pytest.mark.parametrize(
    ("layers", "settings", "message"),
    [
        (2, {}, r"set model\.receptive_field=34$"),
        ("pixel", {}, r"set model\.receptive_field=1$"),
        (3, {"norm": "instance"}, "the discriminator has norm instance, but batch by"),
        (
            3,
            {"width": 4},
            "width 4, but 8 by the settings of its generator. Use .*--generators-only",
        ),
        (3, {"channels": 6}, "the discriminator has in 6, but 3 by"),
    ],
)
def test_other_discriminators_raise_an_error_with_settings(layers, settings, message):
    weights = discriminator_weights(layers, **settings)
    with pytest.raises(UserError, match=message):
        torch_weights.assign_weights(our_discriminator(3), weights)


def test_unknown_discriminators_are_described():
    multiscale = {f"scale0_layer0.{i}.weight": np.zeros((8, 3, 4, 4), "float32") for i in range(3)}
    message = r"or pixel of the authors' code, got 3 weights such as scale0_layer0\.0\.weight \("
    with pytest.raises(UserError, match=message):
        torch_weights.assign_weights(our_discriminator(3), multiscale)


def test_old_statistics_of_instance_norm_are_ignored_in_discriminators():
    weights = discriminator_weights(3, "instance")
    old = {f"model.3.{name}": np.ones(16, "float32") for name in ("running_mean", "running_var")}
    network = our_discriminator(3, "instance")
    torch_weights.assign_weights(network, {**weights, **old})
    np.testing.assert_array_equal(
        torch_weights.state_dict(network)["model.2.weight"], weights["model.2.weight"]
    )


# --- Run directory


@pytest.fixture
def files(monkeypatch, tmp_path):
    """Return a function that writes a file and registers it as a checkpoint, without PyTorch."""
    stored = {}

    def make(name, weights):
        (tmp_path / name).write_text(name)
        stored[tmp_path / name] = weights
        return tmp_path / name

    monkeypatch.setattr(torch_weights, "read_file", lambda path: {"": stored[path]})
    monkeypatch.setattr(torch_weights, "to_arrays", lambda tensors, path: tensors)
    return make


def test_imported_pix2pix_is_a_run(files, tmp_path):
    experiment = presets.experiment("pix2pix_tiny", "model.test_norm=running")
    weights, expected = reference("unet", "running", width=4)
    run = tmp_path / "run"
    torch_weights.import_torch(files("latest_net_G.pth", weights), experiment, run)
    np.testing.assert_allclose(load_model(run)(image()), expected, atol=1e-4)
    assert read_experiment(run) == experiment
    assert json.loads((run / "imported.json").read_text())["xy"]["checkpoint"] == "latest_net_G.pth"
    for folder in (run, tmp_path):
        with pytest.raises(UserError, match="is in use: .*. Choose another directory"):
            torch_weights.import_torch(files("latest_net_G.pth", weights), experiment, folder)


def test_imported_cyclegan_is_completed_and_can_be_trained(files, tmp_path):
    settings = (
        "model.x_channels=1",
        "model.identity_weight=0",
        "train.epochs=1",
        "train.steps_per_epoch=2",
    )
    experiment = presets.experiment("cyclegan_tiny", *settings)
    size = {"blocks": 2, "width": 4}
    xy_weights, expected_y = reference("resnet", "instance", x_channels=1, **size)
    yx_weights, expected_x = reference("resnet", "instance", y_channels=1, **size)
    g, f = files("latest_net_G_A.pth", xy_weights), files("latest_net_G_B.pth", yx_weights)
    run = tmp_path / "run"
    with pytest.raises(UserError, match="set model.x_channels=3 model.y_channels=1"):
        torch_weights.import_torch(f, experiment, run, "xy")
    assert not run.exists()

    torch_weights.import_torch(g, experiment, run)
    incomplete = load_model(run)
    for call in (
        lambda: incomplete.translate(np.zeros((8, 8, 3), np.uint8), "yx"),
        lambda: incomplete.map(image(3), "yx"),
    ):
        with pytest.raises(UserError, match=r"run has no trained generator yx \(imported: xy\)"):
            call()
    with pytest.raises(UserError, match="direction xy has been imported from latest_net_G_A.pth"):
        torch_weights.import_torch(g, experiment, run)
    with pytest.raises(UserError, match="model.beta_1 is 0.5 there and 0.6 here"):
        torch_weights.import_torch(f, experiment.override("model.beta_1=0.6"), run, "yx")
    torch_weights.import_torch(f, experiment, run)  # yx, because the file is called G_B
    model = load_model(run)
    assert model.directions == ("xy", "yx")
    np.testing.assert_allclose(model.g(image(1)), expected_y, atol=1e-4)
    np.testing.assert_allclose(model.f(image(3)), expected_x, atol=1e-4)
    assert all(
        np.array_equal(a, b) for a, b in zip(model.d_x.weights, incomplete.d_x.weights, strict=True)
    )
    assert set(json.loads((run / "imported.json").read_text())) == {"xy", "yx"}

    # Restore as `train` does.
    trained = build_model(experiment, tf.distribute.get_strategy())
    checkpoint = tf.train.Checkpoint(model=trained, epoch=tf.Variable(7, dtype=tf.int64))
    checkpoint.read(str(run / "checkpoints/ckpt-0")).assert_consumed()
    assert checkpoint.epoch == 0 and trained.step == 0
    assert trained.weights_sha256() == model.weights_sha256()


CYCLEGAN = ("cyclegan_tiny", "train.epochs=1", "train.steps_per_epoch=2")


def cyclegan_files(files):
    """Register the four files of a CycleGAN with the size of `cyclegan_tiny`, and their folder."""
    size = {"blocks": 2, "width": 4}
    weights = {
        "G_A": weights_of("resnet", "instance", **size),
        "G_B": reference("resnet", "instance", **size)[0],
        "D_A": discriminator_weights(2, "instance", width=4),
        "D_B": discriminator_weights(2, "instance", width=4),
    }
    for name, values in weights.items():  # different networks
        weights[name] = {key: value + 0.01 * ord(name[2]) for key, value in values.items()}
        folder = files(f"latest_net_{name}.pth", weights[name]).parent
        files(f"5_net_{name}.pth", {key: value * np.nan for key, value in weights[name].items()})
    files("latest_net_notes.pth", {})
    return folder, weights


def test_a_folder_of_checkpoints_has_all_networks_and_training_continues(files, tmp_path):
    folder, weights = cyclegan_files(files)
    experiment = presets.experiment(*CYCLEGAN)
    run = tmp_path / "run"
    imported = torch_weights.import_torch(folder, experiment, run)
    assert {name: value.file.name for name, value in imported.items()} == {
        "xy": "latest_net_G_A.pth",
        "yx": "latest_net_G_B.pth",
    }
    model = load_model(run)
    networks = {"G_A": model.g, "G_B": model.f, "D_A": model.d_y, "D_B": model.d_x}
    for name, network in networks.items():
        for key, value in torch_weights.state_dict(network).items():
            np.testing.assert_array_equal(value, weights[name][key])
    content = json.loads((run / "imported.json").read_text())
    assert [content[name]["discriminator"] for name in ("xy", "yx")] == [True, True]
    # The optimizers start fresh, at step 0, from the imported discriminators.
    train(run)
    trained = load_model(run)
    assert trained.step == 2
    before = networks["D_A"].get_weights()
    moved = [np.abs(a - b).max() for a, b in zip(before, trained.d_y.get_weights(), strict=True)]
    assert 0 < max(moved) < 0.002  # two steps of Adam move each weight by at most 0.0002 or so


def test_discriminators_may_be_left_out(files, tmp_path):
    folder, _ = cyclegan_files(files)
    experiment = presets.experiment(*CYCLEGAN)
    torch_weights.import_torch(folder, experiment, tmp_path / "run", "yx", generators_only=True)
    content = json.loads((tmp_path / "run/imported.json").read_text())
    assert set(content) == {"yx"} and not content["yx"]["discriminator"]
    fresh = build_model(experiment, tf.distribute.get_strategy())
    model = load_model(tmp_path / "run")
    for network in ("d_x", "d_y"):
        for a, b in zip(
            getattr(fresh, network).get_weights(),
            getattr(model, network).get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


def test_the_last_epoch_of_a_folder_is_read(tmp_path):
    for epoch in (5, 20, 100):
        for name in ("G", "D"):
            (tmp_path / f"{epoch}_net_{name}.pth").touch()
    (tmp_path / "loss_log.txt").touch()
    files = torch_weights.checkpoint_files(tmp_path)
    assert [file.name for file in files] == ["100_net_D.pth", "100_net_G.pth"]
    (tmp_path / "latest_net_G.pth").touch()
    assert [file.name for file in torch_weights.checkpoint_files(tmp_path)] == ["latest_net_G.pth"]
    (tmp_path / "more").mkdir()
    (tmp_path / "more/model.pth").touch()
    with pytest.raises(UserError, match=r"needs files such as latest_net_G.pth, got model.pth in"):
        torch_weights.checkpoint_files(tmp_path / "more")


def test_the_command_says_what_was_imported(files, tmp_path, capsys):
    folder, _ = cyclegan_files(files)
    command = ["import-torch", str(folder), "--preset", *CYCLEGAN, "-o", str(tmp_path / "run")]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    assert "imported generator xy with discriminator, yx with discriminator into" in out
    assert "train it further, with fresh optimizers: tfgan-zoo train" in out


def test_an_untrained_generator_is_not_used_or_exported(files, tmp_path, capsys):
    weights, _ = reference("resnet", "instance", blocks=2, width=4)
    experiment = presets.experiment("cyclegan_tiny", "train.epochs=1", "train.steps_per_epoch=1")
    run = tmp_path / "run"
    torch_weights.import_torch(files("latest_net_G_B.pth", weights), experiment, run, "yx")
    picture = np.random.default_rng(0).integers(0, 256, (40, 44, 3), np.uint8)
    np.save(tmp_path / "a.npy", picture)
    message = f"{run} has no trained generator xy (imported: yx)"
    for arguments in (
        ["translate", run, tmp_path / "a.npy", "-o", tmp_path / "out"],
        ["export", run, "--format", "onnx"],
    ):
        assert cli.main([str(argument) for argument in arguments]) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(UserError, match="has no trained generator xy"):
        load_model(run)(image(3))

    # Files contain the imported direction alone.
    functions = export_file.translation_functions(load_model(run), "tflite", None, "xy")
    assert list(functions) == ["translate_yx"]
    exported = load_exported(saved_model.export(run))
    assert set(exported.signatures) == {"translate", "serving_default", "translate_yx"}
    assert "translated.png --direction yx" in (run / "saved_model/README.md").read_text()
    with pytest.raises(UserError, match="direction must be one of yx"):
        exported.translate(picture)
    np.testing.assert_allclose(
        exported.translate(picture, "yx").astype(int),
        load_model(run).translate(picture, "yx"),
        atol=1,
    )

    # After training both are used.
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(model=load_model(run)), str(run / "checkpoints"), max_to_keep=2
    )
    manager.save(checkpoint_number=1)
    assert load_model(run).directions == ("xy", "yx")


def test_a_checkpoint_of_epoch_0_without_an_import_is_not_trained(tmp_path):
    experiment = presets.experiment("dcgan_tiny")
    state = tf.train.Checkpoint(model=build_model(experiment, tf.distribute.get_strategy()))
    tf.train.CheckpointManager(state, str(tmp_path / "checkpoints"), 2).save(checkpoint_number=0)
    (tmp_path / "experiment.json").write_text(experiment.to_json())
    with pytest.raises(UserError, match=r"is not trained yet. Train it with: tfgan-zoo train"):
        load_model(tmp_path)


def test_wrong_imports_raise_an_error(files, tmp_path):
    path = files("latest_net_G.pth", weights_of("unet", "batch", width=4))
    for preset, settings, direction, message in (
        ("dcgan_tiny", [], "xy", "Pix2Pix, CycleGAN"),
        ("pix2pix_tiny", [], "yx", "direction must be one of xy"),
        ("pix2pix_tiny", ["model.norm=instance"], "xy", "set model.norm=batch"),
    ):
        with pytest.raises(UserError, match=message):
            torch_weights.import_torch(
                path, presets.experiment(preset, *settings), tmp_path / "run", direction
            )
    assert not (tmp_path / "run").exists()


def test_missing_torch_error_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "latest_net_G.pth").touch()
    with pytest.raises(UserError, match=r'pip install "tfgan_zoo\[torch\]"'):
        read_generator(tmp_path / "latest_net_G.pth")


# --- With PyTorch


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def theirs(torch, kind, norm, dropout=False, inputs=3, outputs=3, seed=0, **settings):
    """Build the authors' generator with random weights and statistics."""
    nn = torch.nn
    settings = {**SMALL[kind], **settings}
    width, biased = settings["width"], norm == "instance"
    after = nn.InstanceNorm2d if norm == "instance" else nn.BatchNorm2d
    dropping = [nn.Dropout(0.5)] if dropout else []

    class Block(nn.Module):
        def __init__(self, layers, path="model"):
            super().__init__()
            self.path = path
            setattr(self, path, nn.Sequential(*layers))

        def forward(self, x):
            y = getattr(self, self.path)(x)
            return x + y if self.path == "conv_block" else torch.cat([x, y], 1)

    class Whole(nn.Module):
        def __init__(self, layers):
            super().__init__()
            self.model = nn.Sequential(*layers)

        def forward(self, x):
            return self.model(x)

    def conv(inputs, outputs, size, bias=biased, **options):
        return nn.Conv2d(inputs, outputs, size, bias=bias, **options)

    def deconv(inputs, outputs, size, bias=biased, **options):
        return nn.ConvTranspose2d(inputs, outputs, size, stride=2, padding=1, bias=bias, **options)

    if kind == "unet":
        widths = [width * min(2**level, 8) for level in range(settings["downs"])]
        block = None
        for level in reversed(range(1, settings["downs"])):
            outer, inner = widths[level - 1], widths[level]
            down = [nn.LeakyReLU(0.2, True), conv(outer, inner, 4, stride=2, padding=1)]
            if block is None:
                layers = [*down, nn.ReLU(True), deconv(inner, outer, 4), after(outer)]
            else:
                more = dropping if level >= 4 else []
                layers = [
                    *down,
                    after(inner),
                    block,
                    nn.ReLU(True),
                    deconv(2 * inner, outer, 4),
                    after(outer),
                    *more,
                ]
            block = Block(layers)
        last = deconv(2 * width, outputs, 4, bias=True)
        first = conv(inputs, width, 4, stride=2, padding=1)
        # The outermost block is not in a list, so its names begin with model.model.
        network = Whole([Whole([first, block, nn.ReLU(True), last, nn.Tanh()])])
        network.model = network.model[0]
    else:
        inner = 4 * width
        layers = [nn.ReflectionPad2d(3), conv(inputs, width, 7), after(width), nn.ReLU(True)]
        for n in (1, 2):
            layers += [
                conv(n * width, 2 * n * width, 3, stride=2, padding=1),
                after(2 * n * width),
                nn.ReLU(True),
            ]
        for _ in range(settings["blocks"]):
            half = [nn.ReflectionPad2d(1), conv(inner, inner, 3), after(inner)]
            other = [nn.ReflectionPad2d(1), conv(inner, inner, 3), after(inner)]
            layers.append(Block([*half, nn.ReLU(True), *dropping, *other], "conv_block"))
        for n in (4, 2):
            layers += [
                deconv(n * width, n * width // 2, 3, output_padding=1),
                after(n * width // 2),
                nn.ReLU(True),
            ]
        network = Whole([*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7), nn.Tanh()])

    torch.manual_seed(seed)
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            value.uniform_(-0.2, 0.2)
        elif value.ndim == 1:
            value.uniform_(0.8, 1.2).sub_(1.0 if name.endswith("bias") else 0.0)
        elif value.ndim == 4:
            value.normal_(0.0, value[0].numel() ** -0.5)
    return network


def apply_torch(torch, network, x):
    with torch.no_grad():
        y = network(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))
    return y.numpy().transpose(0, 2, 3, 1)


def max_difference(torch, path, network, ours, x):
    torch_weights.assign_weights(ours, read_generator(path))
    expected = apply_torch(torch, network, x)
    assert 0.05 < np.std(expected) < 0.9
    return np.abs(ours(x).numpy() - expected).max()


@pytest.mark.parametrize("zipped", (True, False))
@pytest.mark.parametrize("mode", ("instance", "running", "image"))
@pytest.mark.parametrize("kind", KINDS)
def test_imported_networks_equal_torch(torch, tmp_path, kind, mode, zipped):
    norm = "instance" if mode == "instance" else "batch"
    network = theirs(torch, kind, norm)
    network.train(mode == "image")  # batch norm of one image
    torch.save(network.state_dict(), tmp_path / "net.pth", _use_new_zipfile_serialization=zipped)
    difference = max_difference(
        torch,
        tmp_path / "net.pth",
        network,
        ours(kind, norm, "running" if norm == "instance" else mode),
        image(),
    )
    print(f"{kind} {mode} {difference:.1e}")
    assert difference < 1e-4


@pytest.mark.parametrize(
    ("kind", "norm", "settings", "size"),
    [
        ("unet", "batch", {"downs": 7}, (128, 256)),
        ("resnet", "instance", {"blocks": 6}, (32, 64)),
        ("resnet", "batch", {"blocks": 6}, (32, 64)),
    ],
)
def test_networks_of_full_width_equal_torch(torch, tmp_path, kind, norm, settings, size):
    network = theirs(torch, kind, norm, width=64, **settings).eval()
    count = sum(value.numel() for value in network.parameters())
    assert (
        count
        == {"unetbatch": 41_828_995, "resnetinstance": 7_837_699, "resnetbatch": 7_841_411}[
            kind + norm
        ]
    )
    torch.save(network.state_dict(), tmp_path / "net.pth")
    difference = max_difference(
        torch,
        tmp_path / "net.pth",
        network,
        ours(kind, norm, width=64, **settings),
        image(3, *size),
    )
    print(f"{kind} {norm} {settings} {difference:.1e}")
    assert difference < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_networks_with_dropout_and_other_channels_equal_torch(torch, tmp_path, kind):
    network = theirs(torch, kind, "batch", dropout=True, inputs=1, outputs=2).eval()
    torch.save(network.state_dict(), tmp_path / "net.pth")
    assert (
        max_difference(
            torch, tmp_path / "net.pth", network, ours(kind, x_channels=1, y_channels=2), image(1)
        )
        < 1e-4
    )


def test_weight_names_of_torch_equal_those_of_the_reference(torch):
    for kind in KINDS:
        for norm in NORMS:
            state = {
                name: tuple(value.shape)
                for name, value in theirs(torch, kind, norm).state_dict().items()
                if value.ndim
            }
            assert state == {name: value.shape for name, value in weights_of(kind, norm).items()}


def test_wrapped_checkpoints_are_unwrapped(torch, tmp_path):
    path = tmp_path / "net.pth"
    network = theirs(torch, "resnet", "batch").eval()
    state = network.state_dict()
    torch.save(state, path)
    plain = read_generator(path)
    assert (
        plain.keys()
        == {name for name in state if "num_batches" not in name}
        == torch_weights.named_weights(ours("resnet")).keys()
    )
    double = {name: value.double() for name, value in state.items()}
    for wrapped in (
        torch.nn.DataParallel(network).state_dict(),
        {f"module._orig_mod.{name}": value for name, value in state.items()},
        {"epoch": 7, "state_dict": state, "options": {"lr": 1e-4}, "none": {}},
        {"net": double},
        {**state, "epoch": 3},
        {"netG": state, "netD": {"model.0.weight": torch.zeros(8, 3, 4, 4)}, "step": 5},
        {"state_dict": {**prefixed(state, "netG_A"), **{"netD_A.model.0.bias": torch.zeros(3)}}},
        {"nets": {"G": state}, "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}},
    ):
        torch.save(wrapped, path)
        weights = read_generator(path)
        assert weights.keys() == plain.keys()
        assert all(
            np.array_equal(weights[name], plain[name]) and weights[name].dtype == np.float32
            for name in plain
        )
    half = {name: value.bfloat16() for name, value in state.items()}
    torch.save(half, path)
    assert read_generator(path)["model.1.weight"].dtype == np.float32


def prefixed(state, name):
    return {f"{name}.{key}": value for key, value in state.items()}


class Payload:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (exec, ("import os; os.environ['TFGAN_ZOO_TEST_PAYLOAD'] = 'ran'",))


def test_files_that_are_not_checkpoints_raise_an_error(torch, tmp_path, monkeypatch):
    monkeypatch.delenv("TFGAN_ZOO_TEST_PAYLOAD", raising=False)
    path = tmp_path / "net.pth"
    with pytest.raises(UserError, match="checkpoint must be a file"):
        read_generator(path)
    with pytest.raises(UserError, match=r"needs files such as .*, got no files in"):
        read_generator(tmp_path)
    network = theirs(torch, "resnet", "instance")
    state = network.state_dict()
    torch.save(state, path)
    whole = path.read_bytes()
    for content in (
        b"",
        b"not a checkpoint",
        whole[: len(whole) // 2],
        pickle.dumps(Payload()),
        pickle.dumps({"a": np.zeros(3)}),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match="is not a PyTorch checkpoint with only tensors"):
            read_generator(path)
    for zipped in (True, False):
        for value in (
            Payload(),
            {**state, "more": Payload()},
            {**state, "more": pathlib.PurePosixPath("x")},
        ):
            torch.save(value, path, _use_new_zipfile_serialization=zipped)
            with pytest.raises(UserError, match="is not a PyTorch checkpoint with only tensors"):
                read_generator(path)
    assert "TFGAN_ZOO_TEST_PAYLOAD" not in os.environ
    itself = {}
    itself["again"] = itself
    for value, message in (
        (torch.zeros(3), "must have the tensors of a generator, got .*net.pth with none"),
        ([state], "with none"),
        ({}, "with none"),
        ({"lr": 0.1}, "with none"),
        (itself, "with none"),
        (
            {"g": state, "\x1bf": state},
            r"has several generators \(g, \\x1bf\). Save the state_dict",
        ),
        (
            {"state_dict": {**prefixed(state, "G_A"), **prefixed(state, "G_B")}},
            r"has several generators \(state_dict.G_A, state_dict.G_B\)",
        ),
        (
            {"d": {"model.0.bias": torch.zeros(3)}, "opt": {"a": torch.zeros(1)}},
            r"has no generator of the authors' code, got networks d, opt\.$",
        ),
        ({"w": torch.eye(3).to_sparse()}, r"dense tensors .*, got w as torch.sparse_coo. Convert"),
        ({"w": torch.zeros(3, dtype=torch.complex64)}, "got w as torch.complex64"),
    ):
        torch.save(value, path)
        with pytest.raises(UserError, match=message):
            read_generator(path)


def test_a_refused_file_is_not_followed_by_advice_to_open_it_anyway(torch, tmp_path, recwarn):
    path = tmp_path / "net.pth"
    script = torch.jit.script(torch.nn.ReLU())
    for write, reason in (
        (lambda: torch.save(Payload(), path), r"it contains (\w+\.)?exec\)"),
        (lambda: torch.save(torch.nn.ReLU(), path), r"it contains torch\.nn\.modules\.\w+\.ReLU"),
        (
            lambda: path.write_bytes(b"cev\x1b[31mil\nsys\ntem\n."),
            r"it contains ev\\x1b\[31mil.sys",
        ),
        (lambda: path.write_bytes(b"not a checkpoint"), "it contains other objects"),
        (lambda: torch.jit.save(script, path), "it contains other objects"),
    ):
        write()
        with pytest.raises(UserError, match=reason) as caught:
            read_generator(path)
        assert not re.search("weights_only|Re-running|trust|\x1b", str(caught.value))


def test_imported_checkpoint_is_a_run(torch, tmp_path):
    network = theirs(torch, "unet", "batch", width=4).eval()
    torch.save(network.state_dict(), tmp_path / "latest_net_G.pth")
    experiment = presets.experiment("pix2pix_tiny", "model.test_norm=running")
    run = tmp_path / "run"
    torch_weights.import_torch(tmp_path / "latest_net_G.pth", experiment, run)
    np.testing.assert_allclose(
        load_model(run)(image()), apply_torch(torch, network, image()), atol=1e-4
    )


def their_discriminator(torch, layers, norm, channels=3, width=8):
    """Build the authors' NLayerDiscriminator, or PixelDiscriminator for "pixel"."""
    nn = torch.nn
    biased, after = norm == "instance", nn.InstanceNorm2d if norm == "instance" else nn.BatchNorm2d

    class Discriminator(nn.Module):
        def __init__(self):
            super().__init__()
            if layers == "pixel":
                self.net = nn.Sequential(
                    nn.Conv2d(channels, width, 1),
                    nn.LeakyReLU(0.2, True),
                    nn.Conv2d(width, 2 * width, 1, bias=biased),
                    after(2 * width),
                    nn.LeakyReLU(0.2, True),
                    nn.Conv2d(2 * width, 1, 1, bias=biased),
                )
                return
            sequence = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
            factor = 1
            for level in range(1, layers + 1):
                previous, factor = factor, min(2**level, 8)
                stride = 2 if level < layers else 1
                sequence += [
                    nn.Conv2d(width * previous, width * factor, 4, stride, 1, bias=biased),
                    after(width * factor),
                    nn.LeakyReLU(0.2, True),
                ]
            self.model = nn.Sequential(*sequence, nn.Conv2d(width * factor, 1, 4, 1, 1))

        def forward(self, x):
            return (self.net if layers == "pixel" else self.model)(x)

    torch.manual_seed(1)
    return Discriminator()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("layers", ["pixel", *FIELDS])
def test_discriminators_equal_torch_in_both_directions(torch, tmp_path, layers, norm):
    side = 128 if layers == 5 else 64
    network = their_discriminator(torch, layers, norm)
    network.train()
    apply_torch(torch, network, image(3, side, side, seed=4))  # running statistics
    mine = our_discriminator(layers, norm)
    arrays = {name: value.numpy() for name, value in network.state_dict().items()}
    arrays = {name: value for name, value in arrays.items() if "num_batches" not in name}
    torch_weights.assign_weights(mine, arrays)
    x = image(3, side, side)
    expected = apply_torch(torch, network.eval(), x)
    np.testing.assert_allclose(mine(x), expected, atol=1e-4)

    state = {name: torch.from_numpy(v) for name, v in torch_weights.state_dict(mine).items()}
    other = their_discriminator(torch, layers, norm)
    other.load_state_dict(state, strict=True)
    np.testing.assert_allclose(apply_torch(torch, other.eval(), x), expected, atol=1e-6)


def gray_levels(images):
    """Convert images in [-1, 1] to levels of 255, not rounded."""
    return (np.asarray(images) + 1) * 127.5


EXPORTS = {  # settings of the model: the authors' generator
    "unet": ("pix2pix_tiny", ["model.width=8", "model.test_norm=running"], "batch"),
    "unet-instance": ("pix2pix_tiny", ["model.width=8", "model.norm=instance"], "instance"),
    "unet-image": ("pix2pix_tiny", ["model.width=8"], "batch"),
    "resnet": ("cyclegan_tiny", ["model.width=8"], "instance"),
    "resnet-batch": (
        "cyclegan_tiny",
        ["model.width=8", "model.norm=batch", "model.test_norm=running"],
        "batch",
    ),
}


@pytest.mark.parametrize("name", EXPORTS)
def test_exported_files_are_loaded_strictly_and_give_the_same_images(torch, tmp_path, name):
    preset, overrides, norm = EXPORTS[name]
    experiment = presets.experiment(preset, *overrides)
    model = build_model(experiment, tf.distribute.get_strategy())
    rng = np.random.default_rng(2)
    for weight in model.weights:
        if "float" in weight.dtype:
            weight.assign(weight + rng.normal(0.0, 0.1, weight.shape))
    paths = torch_weights.export_torch(model, tmp_path / "out")
    kind = name.split("-")[0]
    generators, discriminators = (
        ({"G": model.generator}, {"D": model.discriminator})
        if kind == "unet"
        else ({"G_A": model.g, "G_B": model.f}, {"D_A": model.d_y, "D_B": model.d_x})
    )
    networks = generators | discriminators
    assert {path.name for path in paths} == {f"latest_net_{role}.pth" for role in networks}
    config = experiment.model
    size = {"downs": config.downs} if kind == "unet" else {"blocks": config.blocks}
    x = image()
    layers = {field: count for count, field in FIELDS.items()}[config.receptive_field]
    for role, network in networks.items():
        state = torch.load(tmp_path / f"out/latest_net_{role}.pth", weights_only=True)
        if role in generators:
            other = theirs(torch, kind, norm, seed=9, **size)
            inputs = x
        else:
            channels = 6 if kind == "unet" else 3
            other = their_discriminator(torch, layers, norm, channels)
            inputs = image(channels)
        other.load_state_dict(state, strict=True)
        other.train(name == "unet-image" and role == "G")  # as their test.py without --eval
        expected, ours = apply_torch(torch, other, inputs), network(inputs).numpy()
        if role in generators:
            assert np.std(gray_levels(ours)) > 5
            assert np.abs(gray_levels(ours) - gray_levels(expected)).max() < 1
        else:
            np.testing.assert_allclose(ours, expected, atol=1e-3, rtol=1e-4)


def test_exported_files_are_imported_again(torch, tmp_path, capsys):
    experiment = presets.experiment(*CYCLEGAN, "model.width=8", "model.blocks=3")
    for ending, seed in (("A", 0), ("B", 1)):
        network = theirs(torch, "resnet", "instance", seed=seed)
        path = tmp_path / f"a/latest_net_G_{ending}.pth"
        path.parent.mkdir(exist_ok=True)
        torch.save(network.state_dict(), path)
    run = tmp_path / "run"
    torch_weights.import_torch(tmp_path / "a", experiment, run)
    assert cli.main(["export", str(run), "--format", "torch"]) == 0
    out = capsys.readouterr().out
    assert "authors' PyTorch code in" in out and "latest_net_G_A.pth, latest_net_G_B.pth" in out
    # The discriminators of the import are not trained, so they are not written.
    assert sorted(path.name for path in (run / "torch").iterdir()) == [
        "latest_net_G_A.pth",
        "latest_net_G_B.pth",
    ]
    for name in ("latest_net_G_A.pth", "latest_net_G_B.pth"):
        first, second = (torch.load(path / name) for path in (tmp_path / "a", run / "torch"))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)
    assert cli.main(["export", str(run), "--format", "torch"]) == 2
    assert "already exists" in capsys.readouterr().err
    assert cli.main(["export", str(run), "--format", "torch", "--overwrite"]) == 0


def test_a_pretrained_translator_is_exported_without_discriminators(torch, tmp_path):
    paths = torch_weights.export_torch("pix2pix_facades_synthetic", tmp_path / "facades")
    assert [path.name for path in paths] == ["latest_net_G.pth"]
    config = load("pix2pix_facades_synthetic").zoo_model.config
    settings = {"downs": config.downs, "width": config.width, "inputs": config.x_channels}
    network = theirs(torch, "unet", config.norm, outputs=config.y_channels, **settings)
    network.load_state_dict(torch.load(paths[0]), strict=True)
    network.train(config.norm == "batch" and config.test_norm == "image")
    labels = np.random.default_rng(0).integers(0, 256, (128, 128, config.x_channels), np.uint8)
    ours = load("pix2pix_facades_synthetic").translate(labels)
    expected = gray_levels(apply_torch(torch, network, labels[None] / np.float32(127.5) - 1))
    assert np.abs(ours - expected[0]).max() <= 1


@pytest.mark.parametrize(
    ("preset", "overrides", "message"),
    [
        (
            "dcgan_tiny",
            [],
            "format torch is for Pix2Pix and CycleGAN, got DCGAN. Choose another",
        ),
        ("pix2pix_tiny", ["model.upsampling=resize"], "upsampling=transposed only, got model.upsa"),
        (
            "pix2pix_tiny",
            ["model.slope=0.1"],
            "slope=0.2 only, got model.slope=0.1. Choose another",
        ),
        ("pix2pix_tiny", ["model.bottleneck_norm=true"], "bottleneck_norm=False only"),
    ],
)
def test_models_that_the_authors_do_not_have_are_not_exported(
    torch, tmp_path, preset, overrides, message
):
    experiment = presets.experiment(preset, *overrides)
    model = build_model(experiment, tf.distribute.get_strategy())
    with pytest.raises(UserError, match=message):
        torch_weights.export_torch(model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "64x64"], "--size is for tflite, onnx and openvino, got --size for torch"),
        (["--direction", "yx"], "got yx for torch. Leave it out: all directions are exported"),
        (["--precision", "float16"], "got float16 for torch."),
        (["--compact"], "--compact is for SavedModels"),
    ],
)
def test_options_of_other_formats_raise(options, message, capsys):
    assert cli.main(["export", "pix2pix_facades_synthetic", "--format", "torch", *options]) == 2
    assert message in capsys.readouterr().err


def test_export_without_torch_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match=r'pip install "tfgan_zoo\[torch\]"'):
        torch_weights.export_torch("pix2pix_facades_synthetic", tmp_path / "out")


def test_dicts_that_contain_themselves_are_searched_once():
    """A foreign file must neither crash nor stall the search."""
    value = {"model.1.weight": 1.0}
    value |= {"": value, **{str(i): value for i in range(20)}}
    networks = torch_weights.find_networks(value, lambda item: isinstance(item, float))
    assert networks == {"": {"model.1.weight": 1.0}}


def test_a_network_with_too_few_layers_is_no_generator():
    shapes = {"model.model.0.weight": (4, 4, 3, 8), "model.model.1.weight": (4, 4, 8, 1)}
    assert torch_weights.architecture(shapes) == {}
