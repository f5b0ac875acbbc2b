"""Import of PyTorch weights: equal images, and errors that name the settings that fit."""

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

from tfgan_zoo import cli, presets
from tfgan_zoo.errors import UserError
from tfgan_zoo.layers import Dropout
from tfgan_zoo.models import cyclegan, pix2pix
from tfgan_zoo.models.blocks import resnet_generator
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


def test_a_file_with_several_networks_has_a_generator_for_each_direction():
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
        networks = torch_weights.find_networks(
            checkpoint, lambda value: isinstance(value, np.ndarray)
        )
        for direction, value in (("xy", 1), ("yx", 2)):
            chosen = torch_weights.choose_network(networks, "file.pth", direction)
            assert chosen.keys() == {"model.1.weight", "model.10.conv_block.1.weight"}
            assert all((array == value).all() for array in chosen.values())
        with pytest.raises(UserError, match=r"several generators \((state_dict.)?netG_A, "):
            torch_weights.choose_network(networks, "file.pth")


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


# --- Run directory


@pytest.fixture
def files(monkeypatch, tmp_path):
    """Return a function that writes a file and registers it as a checkpoint, without PyTorch."""
    stored = {}

    def make(name, weights):
        (tmp_path / name).write_text(name)
        stored[tmp_path / name] = weights
        return tmp_path / name

    monkeypatch.setattr(torch_weights, "read_checkpoint", lambda path, direction: stored[path])
    return make


def test_imported_pix2pix_is_a_run(files, tmp_path):
    experiment = presets.experiment("pix2pix_tiny", "model.test_norm=running")
    weights, expected = reference("unet", "running", width=4)
    run = torch_weights.import_torch(
        files("latest_net_G.pth", weights), experiment, tmp_path / "run"
    )
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
        torch_weights.import_torch(f, experiment, run)
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
    torch_weights.import_torch(f, experiment, run, "yx")
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
        torch_weights.read_checkpoint(tmp_path / "latest_net_G.pth")


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
    torch_weights.assign_weights(ours, torch_weights.read_checkpoint(path))
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
    plain = torch_weights.read_checkpoint(path)
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
        weights = torch_weights.read_checkpoint(path)
        assert weights.keys() == plain.keys()
        assert all(
            np.array_equal(weights[name], plain[name]) and weights[name].dtype == np.float32
            for name in plain
        )
    half = {name: value.bfloat16() for name, value in state.items()}
    torch.save(half, path)
    assert torch_weights.read_checkpoint(path)["model.1.weight"].dtype == np.float32


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
        torch_weights.read_checkpoint(path)
    with pytest.raises(UserError, match="checkpoint must be a file"):
        torch_weights.read_checkpoint(tmp_path)
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
            torch_weights.read_checkpoint(path)
    for zipped in (True, False):
        for value in (
            Payload(),
            {**state, "more": Payload()},
            {**state, "more": pathlib.PurePosixPath("x")},
        ):
            torch.save(value, path, _use_new_zipfile_serialization=zipped)
            with pytest.raises(UserError, match="is not a PyTorch checkpoint with only tensors"):
                torch_weights.read_checkpoint(path)
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
            torch_weights.read_checkpoint(path)


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
            torch_weights.read_checkpoint(path)
        assert not re.search("weights_only|Re-running|trust|\x1b", str(caught.value))


def test_imported_checkpoint_is_a_run(torch, tmp_path):
    network = theirs(torch, "unet", "batch", width=4).eval()
    torch.save(network.state_dict(), tmp_path / "latest_net_G.pth")
    experiment = presets.experiment("pix2pix_tiny", "model.test_norm=running")
    run = torch_weights.import_torch(tmp_path / "latest_net_G.pth", experiment, tmp_path / "run")
    np.testing.assert_allclose(
        load_model(run)(image()), apply_torch(torch, network, image()), atol=1e-4
    )
