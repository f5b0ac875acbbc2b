"""TFLite, ONNX and OpenVINO files give the images of the models they were exported from."""

import functools
import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import LATENT, STYLE, TRANSLATION
from PIL import Image

from tfgan_zoo import load, presets
from tfgan_zoo.cli import default_export_path, main
from tfgan_zoo.errors import UserError
from tfgan_zoo.models import MODELS
from tfgan_zoo.runs import load_model
from tfgan_zoo.saving.export_file import FORMATS, export_and_measure, export_file, model_images
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
    assert capfd.readouterr() == ("", "")
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
            "format must be one of tflite, onnx, openvino, got 'coreml'",
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
        (
            "cyclegan_tiny",
            "model.tflite",
            "tflite",
            {"direction": "yx"},
            "TFLite file has all directions of a model: leave direction out, got yx",
        ),
        ("fast_tiny", "model.onnx", "onnx", {"size": 64}, r"must be \(height, width\).*got 64"),
        ("fast_tiny", "model.onnx", "onnx", {"size": "foo"}, r"or \"any\", got 'foo'"),
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
        images = model_images(*arguments)
        return np.where(images < 128, images + 2, images - 2)

    monkeypatch.setitem(export_file.__globals__, "model_images", shifted)
    with pytest.raises(
        RuntimeError,
        match="generate of the tflite file differs from the model by [23]/255",
    ):
        export_file(run_of("dcgan_tiny"), tmp_path / "model.tflite", "tflite")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("format", "missing"),
    [
        ("onnx", "tf2onnx"),
        ("onnx", "onnxruntime"),
        ("openvino", "openvino"),
        ("tflite", "ai_edge_litert.interpreter"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(format, missing, run_of, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    output = tmp_path / f"model{FORMATS[format].suffixes[0]}"
    with pytest.raises(UserError, match=rf'pip install "tfgan_zoo\[{format}\]"'):
        export_file(run_of("dcgan_tiny"), output, format)
    assert not list(tmp_path.iterdir())


def style_inputs(model, shape, style_shape):
    """Return inputs of a stylization file by name, and the model's arguments after the image."""
    inputs, styles = {"images": noise_image(*shape)}, ()
    if model.takes_styles:
        weights = np.arange(1, 1 + style_shape[0], dtype=np.float32)
        inputs |= {"styles": noise_image(*style_shape), "weights": weights}
        inputs |= {"alpha": np.array(0.75, np.float32)}
        styles = (list(inputs["styles"]), 0.75, weights)
    return inputs, styles


@pytest.mark.parametrize("name", STYLE)
def test_onnx_file_stylizes_any_number_and_size_of_images(name, run_of, tmp_path):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    output = export_file(run_of(name), tmp_path / "model.onnx", "onnx")
    model, session = load_model(run_of(name)), onnxruntime.InferenceSession(output)
    # Browsers and other runtimes do not support this deprecated attribute of tf2onnx.
    assert b"tf_half_pixel_for_nn" not in output.read_bytes()
    axes = {"images": ["n", "height", "width", 3]}
    if model.takes_styles:
        axes |= {"styles": ["m", "style_height", "style_width", 3], "weights": ["m"], "alpha": []}
    assert {tensor.name: tensor.shape for tensor in session.get_inputs()} == axes
    for shape, style_shape in (((1, 64, 48, 3), (1, 40, 33, 3)), ((2, 70, 129, 3), (3, 64, 32, 3))):
        inputs, styles = style_inputs(model, shape, style_shape)
        (stylized,) = session.run(["stylized"], inputs)
        expected = np.stack([model.stylize(image, *styles) for image in inputs["images"]])
        assert_same_images(stylized, expected)


def test_pretrained_presets_are_exported_without_a_run(tmp_path, monkeypatch, capsys):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    assert main(["export", "dcgan_mnist", "--format", "onnx"]) == 0
    assert capsys.readouterr().out.startswith("onnx in dcgan_mnist.onnx (differences in levels of")
    session, model = onnxruntime.InferenceSession("dcgan_mnist.onnx"), load("dcgan_mnist")
    (images,) = session.run(None, {"z": np.asarray(model.latent(3, seed=5))})
    assert_same_images(images, model.sample(3, seed=5))


def test_keras_file_is_exported(run_of, tmp_path):
    model = load_model(run_of("dcgan_tiny"))
    model.save(tmp_path / "model.keras")
    output = export_file(tmp_path / "model.keras", tmp_path / "model.tflite", "tflite")
    images = interpreter_of(output).get_signature_runner("generate")(**codes(model, 1))["images"]
    assert_same_images(images, model.generate(*codes(model, 1).values()))


@pytest.mark.parametrize("name", STYLE)
def test_tflite_file_stylizes_without_operators_of_tensorflow(name, run_of, tmp_path):
    model, side = load_model(run_of(name)), 64
    output = export_file(run_of(name), tmp_path / "fixed.tflite", "tflite", size=(side, side))
    free = export_file(run_of(name), tmp_path / "any.tflite", "tflite", size="any")
    for path, shape in (
        (output, (1, side, side, 3)),
        (free, (1, 52, 75, 3)),
        (free, (1, 64, 80, 3)),
    ):
        interpreter = interpreter_of(path)
        operators = {operator["op_name"] for operator in interpreter._get_ops_details()}
        assert "CONV_2D" in operators
        assert not [operator for operator in operators if operator.startswith("Flex")]
        inputs, styles = style_inputs(model, shape, shape)
        stylized = interpreter.get_signature_runner("stylize")(**inputs)["stylized"]
        assert_same_images(stylized[0], model.stylize(inputs["images"][0], *styles))


@pytest.mark.parametrize("name", ["cgan_tiny", "cyclegan_tiny", "fast_tiny"])
def test_openvino_files_give_the_images_of_the_model(name, run_of, tmp_path):
    openvino = pytest.importorskip("openvino")
    model = load_model(run_of(name))
    options = {"direction": "yx"} if model.task == "translate" else {}
    export_file(run_of(name), tmp_path / "model.xml", "openvino", **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "model.xml"]
    compiled = openvino.Core().compile_model(
        tmp_path / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    if model.task == "generate":
        inputs = codes(model, 3)
        return assert_same_images(compiled(inputs)["images"], model.generate(*inputs.values()))
    images = noise_image(2, 70, 129, 3)
    if model.task == "translate":
        return assert_same_images(
            compiled({"images": images})["translated"], model.translate(images, "yx")
        )
    expected = np.stack([model.stylize(image) for image in images])
    return assert_same_images(compiled({"images": images})["stylized"], expected)


@pytest.mark.parametrize("name", ["dcgan_tiny", "pix2pix_tiny"])
def test_quantized_tflite_files_are_smaller_and_their_loss_is_measured(name, run_of, tmp_path):
    run, sizes, means = run_of(name), [], []
    for precision in ("float32", "float16", "int8_weights", "int8"):
        output = tmp_path / f"{precision}.tflite"
        result = export_and_measure(run, output, "tflite", precision=precision)
        sizes.append(output.stat().st_size)
        means.append(result.mean_difference)
    assert max(sizes[1:]) < sizes[0]
    assert means[0] <= means[1] < 0.5
    # With normalization in 8 bits the difference is 31 for both models.
    assert 0 < means[2] < 4 and 0 < means[3] < 12, means
    kinds = {tensor["dtype"] for tensor in interpreter_of(output).get_tensor_details()}
    assert np.int8 in kinds


def test_a_precision_that_spoils_the_images_raises(run_of, tmp_path, monkeypatch):
    def inverted(*arguments):
        return 255 - model_images(*arguments)

    monkeypatch.setitem(export_file.__globals__, "model_images", inverted)
    with pytest.raises(UserError, match="float16 changes the images by .* levels on average"):
        export_file(run_of("dcgan_tiny"), tmp_path / "model.tflite", "tflite", precision="float16")
    assert not list(tmp_path.iterdir())


def test_calibration_needs_images(run_of, tmp_path):
    model = load_model(run_of("fast_tiny"))
    model.save(tmp_path / "model.keras")
    with pytest.raises(UserError, match="int8 is calibrated on training images"):
        export_file(tmp_path / "model.keras", tmp_path / "model.tflite", "tflite", precision="int8")


def test_int8_is_measured_on_images_that_are_not_used_for_the_calibration(
    run_of, tmp_path, monkeypatch
):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(5):
        Image.fromarray(noise_image(64, 64, 3) // (i + 1)).save(folder / f"{i}.png")
    calibration, measured = [], []

    def convert(functions, precision, inputs):
        calibration.extend(inputs["images"].tobytes() for _, inputs in inputs)
        return {".tflite": b"file"}, run_file

    def run_file(name, inputs):
        measured.append(inputs["images"].tobytes())
        return np.zeros((1, 64, 64, 3), np.uint8)

    monkeypatch.setitem(FORMATS, "tflite", FORMATS["tflite"]._replace(convert=convert))
    monkeypatch.setitem(export_file.__globals__, "model_images", lambda *_: 0)
    data = ("data.dataset=folder", f"data.path={folder}")
    export = functools.partial(export_file, run_of("fast_tiny"), tmp_path / "a.tflite", "tflite")
    export(*data, precision="int8")
    assert (len(measured), len(calibration)) == (2, 3)
    assert len({*measured, *calibration}) == 5
    for i in range(1, 5):
        (folder / f"{i}.png").unlink()
    with pytest.raises(UserError, match="another one to measure the difference, got 1"):
        export(*data, precision="int8", overwrite=True)


def test_default_names_of_files_keep_dots(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"hf://me/model-2.0": "model-2.0", "models/v1.5": "v1.5", "a.b.keras": "a.b"}
    for source, name in names.items():
        assert default_export_path(source, ".onnx").name == f"{name}.onnx"


def test_a_savedmodel_has_no_direction(run_of, tmp_path, capsys):
    run = str(run_of("cyclegan_tiny"))
    assert main(["export", run, "-o", str(tmp_path / "model"), "--direction", "yx"]) == 2
    assert "--direction is for onnx and openvino, got yx" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
