"""TFLite and ONNX files give the images of the models that they were exported from."""

import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import LATENT, STYLE, TRANSLATION

from tfgan_zoo import load, presets
from tfgan_zoo.cli import main
from tfgan_zoo.errors import UserError
from tfgan_zoo.models import MODELS
from tfgan_zoo.runs import load_model
from tfgan_zoo.saving.export_file import example_inputs, export_file
from tfgan_zoo.saving.tflite import load_interpreter_class

VARIANTS = [
    *((name,) for name in (*LATENT, *TRANSLATION)),
    ("vae_tiny", "model.classes=10"),
    *((name, "model.upsampling=resize") for name in TRANSLATION),
]


@pytest.fixture(scope="module")
def run_of(tmp_path_factory):
    """Return a function (preset, *overrides) -> run directory, written once for the module.

    Its model's weights are as large as those of a trained model.
    """
    runs = {}

    def run_of(name, *overrides):
        if (name, *overrides) not in runs:
            runs[name, *overrides] = run = tmp_path_factory.mktemp(name)
            experiment = presets.experiment(name, *overrides)
            keras.utils.set_random_seed(1)
            model = MODELS[experiment.kind](experiment.model, dtype=experiment.train.precision)
            rng = np.random.default_rng(0)
            factor = 1 if model.task == "stylize" else 3
            for weight in model.trainable_variables:
                weight.assign(factor * weight + rng.normal(0, 0.05, weight.shape))
            (run / "experiment.json").write_text(experiment.to_json())
            tf.train.Checkpoint(model=model).save(str(run / "checkpoints/epoch"))
        return runs[name, *overrides]

    return run_of


def codes(model, n):
    """Return n inputs of a latent model by name; conditions are mixtures of classes."""
    rng = np.random.default_rng(7)
    weights = rng.dirichlet(np.ones(model.classes or 1), n).astype("float32")
    return {
        "z": rng.normal(size=(n, model.config.latent_dim)).astype("float32"),
        **({"labels": weights} if model.classes else {}),
    }


def noise_image(*shape):
    return np.random.default_rng(7).integers(0, 256, shape, np.uint8)


def assert_same_images(images, expected):
    assert images.dtype == np.uint8
    assert images.shape == expected.shape
    assert expected.std() > 5
    assert np.abs(images.astype(int) - expected).max() <= 1


def interpreter_of(path):
    return load_interpreter_class()(str(path))


@pytest.mark.parametrize("variant", VARIANTS, ids=" ".join)
def test_tflite_file_generates_the_models_images(variant, run_of, tmp_path, capfd):
    run = run_of(*variant)
    output = export_file(run, tmp_path / "model.tflite", "tflite")
    assert [path.name for path in tmp_path.iterdir()] == ["model.tflite"] == [output.name]
    stdout, stderr = capfd.readouterr()
    assert not stdout
    assert not stderr or ("tf.lite.Interpreter" in stderr and stderr.count("\n") == 1)
    model, interpreter = load_model(run), interpreter_of(output)
    if model.task == "translate":
        side = model.config.image_size
        assert list(interpreter.get_signature_list()) == [
            f"translate_{direction}" for direction in model.directions
        ]
        for direction in model.directions:
            images = noise_image(1, side, side, 3)
            outputs = interpreter.get_signature_runner(f"translate_{direction}")(images=images)
            assert_same_images(outputs["translated"], model.translate(images, direction))
    else:
        generate = interpreter.get_signature_runner("generate")
        assert_same_images(
            generate(**codes(model, 1))["images"], model.generate(*codes(model, 1).values())
        )


@pytest.mark.parametrize(
    ("name", "size"), [("pix2pix_tiny", (64, 128)), ("cyclegan_tiny", (36, 24))]
)
def test_tflite_file_of_another_size(name, size, run_of, tmp_path):
    output = export_file(run_of(name), tmp_path / "model.tflite", "tflite", size=size)
    translate = interpreter_of(output).get_signature_runner("translate_xy")
    assert_same_images(
        translate(images=noise_image(1, *size, 3))["translated"],
        load_model(run_of(name)).translate(noise_image(1, *size, 3)),
    )


@pytest.mark.parametrize("variant", VARIANTS, ids=" ".join)
def test_onnx_file_generates_any_number_and_size_of_the_models_images(
    variant, run_of, tmp_path, capfd
):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    run = run_of(*variant)
    output = export_file(run, tmp_path / "model.onnx", "onnx")
    assert capfd.readouterr() == ("", "")
    model, session = load_model(run), onnxruntime.InferenceSession(output)
    if model.task == "translate":
        assert session.get_inputs()[0].shape == ["n", "height", "width", 3]
        # The last shape is so small that padding mirrors it more than once.
        for shape in ((1, 64, 64, 3), (3, 70, 129, 3), (1, 7, 5, 3)):
            (translated,) = session.run(["translated"], {"images": noise_image(*shape)})
            assert_same_images(translated, model.translate(noise_image(*shape)))
    else:
        for n in (1, 5):
            (images,) = session.run(["images"], codes(model, n))
            assert_same_images(images, model.generate(*codes(model, n).values()))


def test_onnx_file_of_the_other_direction_and_of_a_fixed_size(run_of, tmp_path):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    run = run_of("cyclegan_tiny")
    output = export_file(run, tmp_path / "model.onnx", "onnx", size=(24, 36), direction="yx")
    session = onnxruntime.InferenceSession(output)
    assert session.get_inputs()[0].shape == [1, 24, 36, 3]
    (translated,) = session.run(None, {"images": noise_image(1, 24, 36, 3)})
    assert_same_images(translated, load_model(run).translate(noise_image(1, 24, 36, 3), "yx"))


@pytest.mark.parametrize(
    ("name", "precision"), [("dcgan_tiny", "mixed_bfloat16"), ("pix2pix_tiny", "mixed_float16")]
)
def test_mixed_precision_is_exported_in_float32(name, precision, run_of, tmp_path):
    float32_model = load_model(run_of(name))
    output = export_file(
        run_of(name, f"train.precision={precision}"), tmp_path / "model.tflite", "tflite"
    )
    run = interpreter_of(output).get_signature_runner()
    if name == "pix2pix_tiny":
        assert_same_images(
            run(images=noise_image(1, 64, 64, 3))["translated"],
            float32_model.translate(noise_image(1, 64, 64, 3)),
        )
    else:
        assert_same_images(
            run(**codes(float32_model, 1))["images"],
            float32_model.generate(codes(float32_model, 1)["z"]),
        )


@pytest.mark.parametrize(
    ("name", "output", "format", "options", "message"),
    [
        (
            "dcgan_tiny",
            "model.tflite",
            "coreml",
            {},
            "format must be one of tflite, onnx, got 'coreml'",
        ),
        (
            "dcgan_tiny",
            "model.onnx",
            "tflite",
            {},
            "must be a file such as model.tflite, got .*model.onnx",
        ),
        ("dcgan_tiny", "taken.tflite", "tflite", {}, "taken.tflite already exists"),
        ("dcgan_tiny", "nowhere/model.tflite", "tflite", {}, "folder of the output does not exist"),
        (
            "dcgan_tiny",
            "model.tflite",
            "tflite",
            {"size": (16, 16)},
            r"option of translation and stylization models, got size=\(16, 16\)",
        ),
        (
            "dcgan_tiny",
            "model.onnx",
            "onnx",
            {"direction": "yx"},
            "option of translation models, .*direction=yx",
        ),
        (
            "pix2pix_tiny",
            "model.tflite",
            "tflite",
            {"size": (64, 100)},
            "multiples of 64.*got 64x100.*next size is 64x128",
        ),
        (
            "pix2pix_tiny",
            "model.onnx",
            "onnx",
            {"size": (0, 64)},
            "multiples of 64.*got 0x64.*next size is 64x64",
        ),
        (
            "cyclegan_tiny",
            "model.tflite",
            "tflite",
            {"size": (4, 30)},
            "of 4, and at least 8, got 4x30. The next size is 8x32",
        ),
        ("pix2pix_tiny", "model.onnx", "onnx", {"direction": "yx"}, "direction must be one of xy"),
        (
            "cyclegan_tiny",
            "model.tflite",
            "tflite",
            {"direction": "xx"},
            "direction must be one of xy, yx",
        ),
    ],
)
def test_invalid_arguments_raise(name, output, format, options, message, run_of, tmp_path):
    (tmp_path / "taken.tflite").write_text("content")
    with pytest.raises(UserError, match=message):
        export_file(run_of(name), tmp_path / output, format, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["taken.tflite"]
    assert (tmp_path / "taken.tflite").read_text() == "content"


def test_sources_that_do_not_exist_raise(tmp_path):
    with pytest.raises(UserError, match="a run directory, a SavedModel, a .keras file or a"):
        export_file(tmp_path, tmp_path / "model.tflite", "tflite")


@pytest.mark.parametrize("format", ["tflite", "onnx"])
@pytest.mark.parametrize("override", ["model.test_dropout=true"])
def test_model_with_noise_at_test_time_raises(override, format, run_of, tmp_path):
    with pytest.raises(
        UserError, match=f"cannot be exported, got format={format}.*SavedModel.*test_dropout"
    ):
        export_file(run_of("pix2pix_tiny", override), tmp_path / f"model.{format}", format)
    assert not list(tmp_path.iterdir())


def test_disabling_test_dropout_in_experiment_json_works(run_of, tmp_path):
    run = run_of("pix2pix_tiny", "model.test_dropout=true", "model.dropout=0.4")
    settings = json.loads((run / "experiment.json").read_text())
    settings["model"]["test_dropout"] = False
    (run / "experiment.json").write_text(json.dumps(settings))
    assert export_file(run, tmp_path / "model.tflite", "tflite").is_file()


def test_file_that_differs_from_the_model_is_not_written(run_of, tmp_path, monkeypatch):
    def shifted(*arguments):
        inputs, expected = example_inputs(*arguments)
        return inputs, np.where(expected < 128, expected + 2, expected - 2)

    monkeypatch.setitem(export_file.__globals__, "example_inputs", shifted)
    with pytest.raises(
        RuntimeError,
        match="generate of the tflite file differs from the model by [23]/255",
    ):
        export_file(run_of("dcgan_tiny"), tmp_path / "model.tflite", "tflite")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["tf2onnx", "onnxruntime"])
def test_onnx_names_the_missing_package(missing, run_of, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match=r'pip install "tfgan_zoo\[onnx\]"'):
        export_file(run_of("dcgan_tiny"), tmp_path / "model.onnx", "onnx")
    assert not list(tmp_path.iterdir())


def test_tflite_without_litert_says_which_interpreter_is_used(
    run_of, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    export_file(run_of("dcgan_tiny"), tmp_path / "model.tflite", "tflite")
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "tf.lite.Interpreter" in message and 'pip install "tfgan_zoo[tflite]"' in message


@pytest.mark.parametrize("name", STYLE)
def test_onnx_file_stylizes_any_number_and_size_of_images(name, run_of, tmp_path):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    output = export_file(run_of(name), tmp_path / "model.onnx", "onnx")
    model, session = load_model(run_of(name)), onnxruntime.InferenceSession(output)
    axes = {"images": ["n", "height", "width", 3]}
    if model.takes_styles:
        axes |= {"styles": ["m", "style_height", "style_width", 3], "weights": ["m"], "alpha": []}
    assert {tensor.name: tensor.shape for tensor in session.get_inputs()} == axes
    for shape, style_shape in (((1, 64, 48, 3), (1, 40, 33, 3)), ((2, 70, 129, 3), (3, 64, 32, 3))):
        inputs, styles = {"images": noise_image(*shape)}, ()
        if model.takes_styles:
            weights = np.arange(1, 1 + style_shape[0], dtype=np.float32)
            inputs |= {"styles": noise_image(*style_shape), "weights": weights}
            inputs |= {"alpha": np.array(0.75, np.float32)}
            styles = (list(inputs["styles"]), 0.75, weights)
        (stylized,) = session.run(["stylized"], inputs)
        expected = np.stack([model.stylize(image, *styles) for image in inputs["images"]])
        assert_same_images(stylized, expected)


def test_pretrained_presets_are_exported_without_a_run(tmp_path, monkeypatch, capsys):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    assert main(["export", "dcgan_mnist", "--format", "onnx"]) == 0
    assert capsys.readouterr().out == "onnx in dcgan_mnist.onnx\n"
    session, model = onnxruntime.InferenceSession("dcgan_mnist.onnx"), load("dcgan_mnist")
    (images,) = session.run(None, {"z": np.asarray(model.latent(3, seed=5))})
    assert_same_images(images, model.sample(3, seed=5))


def test_keras_file_is_exported(run_of, tmp_path):
    model = load_model(run_of("dcgan_tiny"))
    model.save(tmp_path / "model.keras")
    output = export_file(tmp_path / "model.keras", tmp_path / "model.tflite", "tflite")
    images = interpreter_of(output).get_signature_runner("generate")(**codes(model, 1))["images"]
    assert_same_images(images, model.generate(*codes(model, 1).values()))
