"""The command benchmark: operation counts, the result and its table. Speeds are not tested."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import make, run_cli, run_here

from tfgan_zoo import presets
from tfgan_zoo.errors import UserError
from tfgan_zoo.tools import benchmark
from tfgan_zoo.tools.flops import flops

SPREAD = {"median", "low", "high"}


def counted(function, *shapes):
    """Return the operations of a function of float32 tensors of these shapes."""
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    return flops(tf.function(function, autograph=False).get_concrete_function(*specs))


def gradient(function, *indices):
    """Return the gradient function of the sum of squares with respect to some arguments."""

    def compute(*arguments):
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            total = tf.reduce_sum(tf.square(function(*arguments)))
        return tape.gradient(total, [arguments[i] for i in indices])

    return compute


def conv(x, kernel):
    return tf.nn.conv2d(x, kernel, 2, "SAME")


def transposed(x, kernel):
    return tf.nn.conv2d_transpose(x, kernel, (2, 10, 12, 3), 2, "SAME")


# Two for each of 2x5x6 positions and each entry of a 3x3 kernel from 3 channels to 7.
CONV = 2 * (2 * 5 * 6) * (3 * 3 * 3 * 7)
IMAGE, KERNEL, MAP = (2, 10, 12, 3), (3, 3, 3, 7), (2, 5, 6, 7)
DENSE = 2 * 4 * 5 * 6


@pytest.mark.parametrize(
    "function, shapes, golden",
    [
        (conv, (IMAGE, KERNEL), {"Conv2D": CONV}),
        (
            gradient(conv, 0, 1),
            (IMAGE, KERNEL),
            {"Conv2D": CONV, "Conv2DBackpropInput": CONV, "Conv2DBackpropFilter": CONV},
        ),
        # The other gradient is never computed, also not within a function that is called.
        (gradient(conv, 1), (IMAGE, KERNEL), {"Conv2D": CONV, "Conv2DBackpropFilter": CONV}),
        (
            gradient(tf.function(conv), 1),
            (IMAGE, KERNEL),
            {"Conv2D": CONV, "Conv2DBackpropFilter": CONV},
        ),
        (transposed, (MAP, KERNEL), {"Conv2DBackpropInput": CONV}),
        (
            gradient(transposed, 0, 1),
            (MAP, KERNEL),
            {"Conv2DBackpropInput": CONV, "Conv2D": CONV, "Conv2DBackpropFilter": CONV},
        ),
        (
            lambda x, k: tf.nn.depthwise_conv2d(x, k, (1, 1, 1, 1), "VALID"),
            ((2, 9, 9, 3), (3, 3, 3, 2)),
            2 * (2 * 7 * 7) * (3 * 3 * 6),
        ),
        (tf.matmul, ((4, 5), (5, 6)), {"MatMul": DENSE}),
        (lambda a, b: tf.matmul(a, b, transpose_a=True), ((5, 4), (5, 6)), {"MatMul": DENSE}),
        (gradient(tf.matmul, 0, 1), ((4, 5), (5, 6)), {"MatMul": 3 * DENSE}),
        (
            lambda a, b: tf.matmul(a, b, adjoint_a=True),
            ((3, 5, 4), (3, 5, 6)),
            {"BatchMatMul": 3 * DENSE},
        ),
        (
            lambda a, b: tf.cond(
                tf.reduce_sum(a) > 0, lambda: a @ b, lambda: (a @ b) @ tf.ones((6, 2))
            ),
            ((4, 5), (5, 6)),
            DENSE + 96,
        ),
        (
            lambda a, b: tf.while_loop(
                lambda x: True, lambda x: [x @ b], [a], maximum_iterations=9
            ),
            ((4, 5), (5, 5)),
            2 * 4 * 5 * 5,
        ),
        (lambda a, b: a + b, ((4, 5), (4, 5)), {}),
    ],
)
def test_counts_equal_those_computed_by_hand(function, shapes, golden):
    counts = counted(function, *shapes)
    assert counts == golden if isinstance(golden, dict) else sum(counts.values()) == golden


def test_counts_of_unknown_shapes_are_nan():
    assert np.isnan(counted(tf.matmul, (None, 5), (5, 6))["MatMul"])


def forward(network):
    """Return the operations of a network's forward pass for one image (all layers, the first)."""
    counts = []
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.Dense):
            counts.append(2 * np.prod(layer.kernel.shape))
        elif isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv2DTranspose)):
            transposed = isinstance(layer, keras.layers.Conv2DTranspose)
            positions = (layer.input if transposed else layer.output).shape[1:3]
            counts.append(2 * np.prod(positions) * np.prod(layer.kernel.shape))
    return sum(counts), counts[0]


def step_operations_per_image(model):
    """Return the operations of a GAN's training step for one image, from its layers."""
    (g, g_first), (d, d_first) = forward(model.generator), forward(model.discriminator)
    # G: the forward pass, the gradients of the weights, and the gradients of the inputs of all
    # layers but the first. D: the same for real and fake images, and the gradient of G's loss
    # through all layers down to the image.
    return (3 * g - g_first) + 2 * (3 * d - d_first) + d


def test_counts_of_a_gans_step_are_the_sum_over_its_layers():
    model = make("dcgan_tiny")
    step = tf.function(model.train_step, autograph=False).get_concrete_function(
        tf.TensorSpec((6, 16, 16, 1))
    )
    assert sum(flops(step).values()) == 6 * step_operations_per_image(model)


@pytest.fixture
def short(monkeypatch):
    """Return a very short measuring time, with few rounds."""
    monkeypatch.setattr(benchmark, "ROUNDS", 2)
    return 0.1


def test_json_of_a_tiny_preset(tmp_path):
    done = run_cli(
        "benchmark", "dcgan_tiny", "data.batch_size=8", "--seconds", 1, "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["machine"]["cores"] >= 1 and result["machine"]["threads"]["intra"] >= 1
    assert set(result["versions"]) == {"python", "tensorflow", "keras"}
    (row,) = result["presets"]
    assert (row["preset"], row["batch_size"], row["image_size"]) == ("dcgan_tiny", 8, 16)
    assert not row["synthetic"]
    for speed in (
        row["step"],
        row["fit"],
        row["pipeline"],
        row["inference"]["model"],
        row["inference"]["saved_model"],
    ):
        assert set(speed) == {"images_per_second", "ms"}
        assert all(set(values) == SPREAD for values in speed.values())
        assert 0 < speed["ms"]["low"] <= speed["ms"]["median"] <= speed["ms"]["high"]
    assert row["stall_percent"]["median"] < 100 and set(row["fraction"]) == SPREAD
    assert (row["inference"]["command"], row["inference"]["images"], row["fraction_of"]) == (
        "sample",
        64,
        "convolution",
    )
    assert row["first_step_seconds"] > 0 and row["peak_memory_mib"] > 100
    assert row["flops_per_image"] * 8 == sum(row["flops_of_step"].values())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name, reference",
    [("gan_tiny", "matrix"), ("cgan_tiny", "convolution"), ("pix2pix_tiny", "convolution")],
)
def test_other_models_have_every_number_of_the_table(name, reference, short):
    row = benchmark.measure(name, ["train.steps_per_execution=2"], short)
    assert row["fraction_of"] == reference
    assert "-" not in benchmark.cells(row)
    lines = benchmark.format_benchmark([row]).splitlines()
    assert "step images/s" in lines[0] and name in lines[-1] and len(lines) == 3


def test_two_replicas_count_the_operations_of_one(short):
    row = benchmark.measure("dcgan_tiny", ["train.strategy=mirrored", "train.replicas=2"], short)
    assert row["flops_per_image"] == step_operations_per_image(make("dcgan_tiny"))


def test_step_of_style_transfer_is_a_gradient(short):
    row = benchmark.measure(
        "gatys",
        [
            "model.iterations=1",
            "model.features=random",
            "model.features_width=2",
            "model.smallest=256",
        ],
        short,
    )
    assert row["inference"]["command"] == "stylize" and row["flops_per_image"] > 0
    assert "fit" not in row and "-" in benchmark.cells(row)


@pytest.mark.parametrize(
    "name, overrides",
    [
        ("dcgan_mnist", ["data.path={}"]),
        ("cgan_mnist", ["data.path={}", "model.condition=vector"]),
        ("dcgan_stacked_mnist", ["data.path={}", "data.limit=500"]),
        ("dcgan_folder_64", []),
        ("pix2pix_folder_128", ["data.derive=edges"]),
        ("cyclegan_horse2zebra", ["data.path={}", "model.image_size=64"]),
        ("adain_folder_256", ["model.image_size=64", "model.features=random", "data.load_size=64"]),
    ],
)
def test_missing_data_are_replaced_by_synthetic_images(name, overrides, tmp_path, capsys):
    experiment = presets.experiment(name, *(override.format(tmp_path) for override in overrides))
    images, synthetic = benchmark.load_or_synthesize(experiment)
    assert synthetic and len(images) >= experiment.data.batch_size
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "synthetic" in message and experiment.data.dataset in message
    height, *_, channels = np.shape(images.evaluation_images(0)[0])
    assert height == experiment.model.image_size
    assert channels == (experiment.model.channels if experiment.task == "generate" else 3)


def test_wrong_path_raises(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        path = tmp_path / "nowhere"
        benchmark.load_or_synthesize(presets.experiment("dcgan_folder_64", f"data.path={path}"))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["dcgan_tny"], "Did you mean dcgan_tiny"),
        (["dcgan_tiny", "train.epoch=3"], "Did you mean train.epochs=3"),
        (["dcgan_tiny", "gatys", "model.width=3"], "has no field 'width'"),
        (
            ["dcgan_tiny", "data.batch_size=4000", "train.steps_per_epoch=0"],
            "data.batch_size must be at most the number of images",
        ),
        (["dcgan_tiny", "--seconds", "0"], "between 1 and 86400"),
    ],
)
def test_invalid_arguments_print_one_line_and_exit_with_2(arguments, message, tmp_path):
    done = run_here("benchmark", *arguments, "--json", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("tfgan-zoo: error: ") and done.stderr.count("\n") == 1
    assert not done.stdout
