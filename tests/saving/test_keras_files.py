"""Files of Keras' own methods: each works as Keras documents or raises one sentence."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers import TINY, arrays, make, run_cli
from PIL import Image

import tfgan_zoo
from tfgan_zoo.cli import main
from tfgan_zoo.errors import UserError
from tfgan_zoo.models.latent import network_inputs
from tfgan_zoo.visualize import save_grid


def inputs_of(model, n=3):
    """Return inputs of `call`."""
    values = arrays(model, n)
    images = values[0] if isinstance(values, tuple) else values
    if model.task == "generate":
        first = images if model.encodes else model.latent(n, 0)
        return network_inputs(tf.constant(first), *map(tf.constant, model.condition(None, n)))
    return values if model.task == "stylize" else images


def run_python(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return {path of a .keras file: SHA-256 of the weights} for all tiny models."""
    folder = tmp_path_factory.mktemp("files")
    models = {name: make(name) for name in TINY}
    for name, model in models.items():
        model.save(folder / f"{name}.keras")
    return {str(folder / f"{name}.keras"): m.weights_sha256() for name, m in models.items()}


@pytest.mark.parametrize(
    ("imports", "load"),
    [
        ("import tfgan_zoo", "tfgan_zoo.load"),
        ("import keras, tfgan_zoo.models", "keras.models.load_model"),
    ],
)
def test_a_new_process_loads_keras_files(files, imports, load):
    code = f"""
import json
{imports}
paths = {list(files)}
print(json.dumps({{path: {load}(path).weights_sha256() for path in paths}}))
"""
    assert run_python(code) == files


def test_the_command_samples_from_a_keras_file(files, tmp_path):
    path = next(path for path in files if "dcgan_tiny" in path)
    result = run_cli("sample", path, "-n", "4", "--seed", "3", "-o", tmp_path / "out.png")
    assert result.returncode == 0, result.stderr
    save_grid(tfgan_zoo.load(path).sample(4, seed=3), tmp_path / "expected.png")
    output, expected = (
        np.asarray(Image.open(tmp_path / name), int) for name in ("out.png", "expected.png")
    )
    assert np.abs(output - expected).max() <= 1


@pytest.mark.parametrize("command", ["translate", "stylize"])
def test_the_commands_of_images_take_a_keras_file(files, command, tmp_path):
    name = {"translate": "pix2pix_tiny", "stylize": "fast_tiny"}[command]
    path = next(path for path in files if name in path)
    photo = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    image, output = str(tmp_path / "photo.png"), str(tmp_path / "out.png")
    arguments = [path, image] if command == "translate" else [image, "--preset", path]
    assert main([command, *arguments, "-o", output]) == 0
    output = np.asarray(Image.open(output), int)
    model = tfgan_zoo.load(path)
    expected = model.translate(photo) if command == "translate" else model.stylize(photo)
    assert np.abs(output - expected).max() <= 1


def test_files_that_are_not_models(tmp_path):
    (tmp_path / "garbage.keras").write_bytes(b"garbage")
    make("dcgan_tiny").generator.save(tmp_path / "generator.keras")
    for name, message in (
        ("garbage", "garbage.keras cannot be loaded: "),
        ("generator", "is not a model of tfgan_zoo, got a Keras model of type Functional"),
        ("missing", "a .keras file or a pretrained preset is needed, got"),
    ):
        with pytest.raises(UserError, match=message) as error:
            tfgan_zoo.load(tmp_path / f"{name}.keras")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["dcgan_tiny", "cgan_tiny", "vae_tiny", "pix2pix_tiny", "fast_tiny", "adain_tiny"]
)
def test_export_writes_a_saved_model_of_call(name, tmp_path):
    model = make(name)
    inputs = inputs_of(model)
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(exported.serve(inputs), model(inputs), atol=1e-4)


def run_onnx(path, arrays):
    session = pytest.importorskip("onnxruntime").InferenceSession(path)
    names = [tensor.name for tensor in session.get_inputs()]
    return session.run(None, dict(zip(names, arrays, strict=True)))[0]


def run_openvino(path, arrays):
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    return pytest.importorskip("openvino").Core().compile_model(path, "CPU", hint)(arrays)[0]


def run_litert(path, arrays):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(str(path))
    runner = interpreter.get_signature_runner()
    (images,) = runner(
        **dict(zip(sorted(runner.get_input_details()), arrays, strict=True))
    ).values()
    return images


FORMATS = {  # of keras.Model.export: package, suffix, function
    "onnx": ("tf2onnx", "onnx", run_onnx),
    "openvino": ("openvino", "xml", run_openvino),
    "litert": ("ai_edge_litert", "tflite", run_litert),
}


@pytest.mark.parametrize("name", ["cgan_tiny", "vae_tiny", "pix2pix_tiny", "fast_tiny"])
@pytest.mark.parametrize("format", FORMATS)
def test_export_in_other_formats_of_keras(format, name, tmp_path):
    package, suffix, run = FORMATS[format]
    pytest.importorskip(package)
    model = make(name)
    inputs = inputs_of(model)
    path = tmp_path / f"model.{suffix}"
    model.export(path, format=format, verbose=False)
    arrays = inputs.values() if isinstance(inputs, dict) else inputs
    arrays = arrays if isinstance(inputs, (dict, tuple, list)) else [inputs]
    images = run(path, [np.asarray(array) for array in arrays])
    np.testing.assert_allclose(images, model(inputs), atol=1e-4)


def test_export_to_torch_is_that_of_another_backend(tmp_path):
    with pytest.raises(UserError, match=r'PyTorch backend only.*Choose "onnx" or, for Pix2Pix'):
        make("pix2pix_tiny").export(tmp_path / "model.pt2", format="torch")
    assert not list(tmp_path.iterdir())


def test_export_of_a_conditional_vae(tmp_path):
    model = make("vae_tiny", "model.classes=10")
    inputs = inputs_of(model)
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(exported.serve(inputs), model(inputs), atol=1e-4)


@pytest.mark.parametrize("name", ["model.h5", "model.hdf5"])
def test_save_as_hdf5_raises_an_error(tiny, name, tmp_path):
    model = make(tiny)
    with pytest.raises(UserError, match=r'save the model as "model.keras".*save_weights'):
        model.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_save_weights_and_load_weights(tiny, tmp_path):
    model, other = make(tiny), make(tiny)
    other.set_weights([weight + 1 for weight in other.get_weights()])
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    assert other.weights_sha256() == model.weights_sha256()


def test_names_of_classes_are_kept(tmp_path):
    model = make("cgan_tiny")
    model.class_names = tuple("1234567890")
    model.save(tmp_path / "model.keras")
    loaded = tfgan_zoo.load(tmp_path / "model.keras")
    assert loaded.class_names == model.class_names
    np.testing.assert_array_equal(loaded.sample(1, labels="1"), model.sample(1, labels=[0]))


@pytest.mark.parametrize("name", TINY)
def test_a_model_that_is_not_compiled_can_be_saved(name, tmp_path):
    model = type(make(name))(make(name).config)
    model.save(tmp_path / "model.keras")
    assert tfgan_zoo.load(tmp_path / "model.keras").weights_sha256() == model.weights_sha256()
