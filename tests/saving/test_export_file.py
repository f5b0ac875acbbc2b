"""TFLite and ONNX files, run by interpreters that know nothing of us, against the models they were made from."""

import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import LATENT, TRANSLATION

from tfgan_zoo import presets, saving
from tfgan_zoo.errors import UserError
from tfgan_zoo.models import MODELS
from tfgan_zoo.runs import load_model
from tfgan_zoo.saving.export_file import example_inputs, export_file

pytestmark = pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
VARIANTS = [
    *((name,) for name in (*LATENT, *TRANSLATION)),
    ("vae_tiny", "model.classes=10"),
    *((name, "model.upsampling=resize") for name in TRANSLATION),
]


@pytest.fixture(scope="module")
def run_of(tmp_path_factory):
    """A function (preset, overrides) -> run directory of a model whose weights are as large as trained ones, each written once."""
    made = {}

    def run_of(name, *overrides):
        if (name, *overrides) not in made:
            made[name, *overrides] = run = tmp_path_factory.mktemp(name)
            experiment = presets.experiment(name, *overrides)
            keras.utils.set_random_seed(1)
            model = MODELS[experiment.kind](experiment.model, dtype=experiment.train.precision)
            rng = np.random.default_rng(0)
            for weight in model.trainable_variables:
                weight.assign(3 * weight + rng.normal(0, 0.05, weight.shape))
            (run / "experiment.json").write_text(experiment.to_json())
            tf.train.Checkpoint(model=model).save(str(run / "checkpoints/epoch"))
        return made[name, *overrides]

    return run_of


def codes(model, n):
    """n inputs of a latent model by name; conditions are mixtures of classes."""
    rng = np.random.default_rng(7)
    weights = rng.dirichlet(np.ones(model.classes or 1), n).astype("float32")
    return {
        "z": rng.normal(size=(n, model.config.latent_dim)).astype("float32"),
        **({"labels": weights} if model.classes else {}),
    }


def picture(*shape):
    return np.random.default_rng(7).integers(0, 256, shape, np.uint8)


def assert_alike(found, wanted):
    assert found.dtype == np.uint8
    assert found.shape == wanted.shape
    assert wanted.std() > 5
    assert np.abs(found.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("variant", VARIANTS, ids=" ".join)
def test_a_tflite_file_gives_the_models_images(variant, run_of, tmp_path, capfd):
    run = run_of(*variant)
    output = export_file(run, tmp_path / "model.tflite", "tflite")
    assert [path.name for path in tmp_path.iterdir()] == ["model.tflite"] == [output.name]
    assert capfd.readouterr() == ("", "")
    model, interpreter = load_model(run), tf.lite.Interpreter(str(output))
    if hasattr(model, "translate"):
        side = model.config.image_size
        assert list(interpreter.get_signature_list()) == [
            f"translate_{direction}" for direction in model.directions
        ]
        for direction in model.directions:
            found = interpreter.get_signature_runner(f"translate_{direction}")(
                images=picture(1, side, side, 3)
            )
            assert_alike(found["translated"], model.translate(picture(1, side, side, 3), direction))
    else:
        generate = interpreter.get_signature_runner("generate")
        assert_alike(
            generate(**codes(model, 1))["images"], model.generate(*codes(model, 1).values())
        )


@pytest.mark.parametrize(
    ("name", "size"), [("pix2pix_tiny", (64, 128)), ("cyclegan_tiny", (36, 24))]
)
def test_a_tflite_file_of_another_size(name, size, run_of, tmp_path):
    output = export_file(run_of(name), tmp_path / "model.tflite", "tflite", size=size)
    translate = tf.lite.Interpreter(str(output)).get_signature_runner("translate_xy")
    assert_alike(
        translate(images=picture(1, *size, 3))["translated"],
        load_model(run_of(name)).translate(picture(1, *size, 3)),
    )


@pytest.mark.parametrize("variant", VARIANTS, ids=" ".join)
def test_an_onnx_file_gives_the_models_images_of_any_number_and_size(
    variant, run_of, tmp_path, capfd
):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    run = run_of(*variant)
    output = export_file(run, tmp_path / "model.onnx", "onnx")
    assert capfd.readouterr() == ("", "")
    model, session = load_model(run), onnxruntime.InferenceSession(output)
    if hasattr(model, "translate"):
        assert session.get_inputs()[0].shape == ["n", "height", "width", 3]
        for shape in (
            (1, 64, 64, 3),
            (3, 70, 129, 3),
            (1, 7, 5, 3),
        ):  # the last is mirrored more than once
            (found,) = session.run(["translated"], {"images": picture(*shape)})
            assert_alike(found, model.translate(picture(*shape)))
    else:
        for n in (1, 5):
            (found,) = session.run(["images"], codes(model, n))
            assert_alike(found, model.generate(*codes(model, n).values()))


def test_an_onnx_file_of_the_other_direction_and_of_a_fixed_size(run_of, tmp_path):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    run = run_of("cyclegan_tiny")
    output = export_file(run, tmp_path / "model.onnx", "onnx", size=(24, 36), direction="yx")
    session = onnxruntime.InferenceSession(output)
    assert session.get_inputs()[0].shape == [1, 24, 36, 3]
    (found,) = session.run(None, {"images": picture(1, 24, 36, 3)})
    assert_alike(found, load_model(run).translate(picture(1, 24, 36, 3), "yx"))


@pytest.mark.parametrize(
    ("name", "precision"), [("dcgan_tiny", "mixed_bfloat16"), ("pix2pix_tiny", "mixed_float16")]
)
def test_mixed_precision_is_exported_in_float32(name, precision, run_of, tmp_path):
    plain = load_model(run_of(name))
    output = export_file(
        run_of(name, f"train.precision={precision}"), tmp_path / "model.tflite", "tflite"
    )
    run = tf.lite.Interpreter(str(output)).get_signature_runner()
    if name == "pix2pix_tiny":
        assert_alike(
            run(images=picture(1, 64, 64, 3))["translated"], plain.translate(picture(1, 64, 64, 3))
        )
    else:
        assert_alike(run(**codes(plain, 1))["images"], plain.generate(codes(plain, 1)["z"]))


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
            "must be a file such as model.tflite, received .*model.onnx",
        ),
        ("dcgan_tiny", "taken.tflite", "tflite", {}, "taken.tflite is already there"),
        ("dcgan_tiny", "nowhere/model.tflite", "tflite", {}, "folder of the output does not exist"),
        (
            "dcgan_tiny",
            "model.tflite",
            "tflite",
            {"size": (16, 16)},
            r"models that translate images, received size=\(16, 16\)",
        ),
        (
            "dcgan_tiny",
            "model.onnx",
            "onnx",
            {"direction": "yx"},
            "models that translate images, .*direction=yx",
        ),
        (
            "pix2pix_tiny",
            "model.tflite",
            "tflite",
            {"size": (64, 100)},
            "multiples of 64.*next size is 64x128, received 64x100",
        ),
        (
            "pix2pix_tiny",
            "model.onnx",
            "onnx",
            {"size": (0, 64)},
            "multiples of 64.*next size is 64x64, received 0x64",
        ),
        (
            "cyclegan_tiny",
            "model.tflite",
            "tflite",
            {"size": (4, 30)},
            "of 4, and at least 8: the next size is 8x32, received 4x30",
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
def test_what_cannot_be_is_refused(name, output, format, options, message, run_of, tmp_path):
    (tmp_path / "taken.tflite").write_text("mine")
    with pytest.raises(UserError, match=message):
        export_file(run_of(name), tmp_path / output, format, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["taken.tflite"]
    assert (tmp_path / "taken.tflite").read_text() == "mine"


def test_only_runs_are_exported(tmp_path):
    with pytest.raises(UserError, match="a run directory"):
        export_file(tmp_path, tmp_path / "model.tflite", "tflite")


@pytest.mark.parametrize("format", ["tflite", "onnx"])
@pytest.mark.parametrize("override", ["model.test_dropout=true"])
def test_a_model_with_noise_is_refused(override, format, run_of, tmp_path):
    with pytest.raises(
        UserError, match=f"{format} has no random numbers of a seed.*SavedModel.*test_dropout"
    ):
        export_file(run_of("pix2pix_tiny", override), tmp_path / f"model.{format}", format)
    assert not list(tmp_path.iterdir())


def test_the_way_out_of_dropout_works(run_of, tmp_path):
    run = run_of("pix2pix_tiny", "model.test_dropout=true", "model.dropout=0.4")
    settings = json.loads((run / "experiment.json").read_text())
    settings["model"]["test_dropout"] = False
    (run / "experiment.json").write_text(json.dumps(settings))
    assert export_file(run, tmp_path / "model.tflite", "tflite").is_file()


def test_a_file_that_differs_gets_no_name(run_of, tmp_path, monkeypatch):
    example = example_inputs

    def shifted(*arguments):
        inputs, wanted = example(*arguments)
        return inputs, np.where(wanted < 128, wanted + 2, wanted - 2)

    monkeypatch.setattr(saving.export_file, "example_inputs", shifted)
    with pytest.raises(
        RuntimeError,
        match="generate of the tflite file differs from the model by [23] levels of 255",
    ):
        export_file(run_of("dcgan_tiny"), tmp_path / "model.tflite", "tflite")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["tf2onnx", "onnxruntime"])
def test_onnx_without_its_packages_says_what_to_install(missing, run_of, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match=r'pip install "tfgan_zoo\[onnx\]"'):
        export_file(run_of("dcgan_tiny"), tmp_path / "model.onnx", "onnx")
    assert not list(tmp_path.iterdir())
