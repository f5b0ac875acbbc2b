"""Export every pretrained preset in every format, and write the table of docs/serving.md.

    python tests/benchmarks/formats.py [PRESET ...] [--rounds 20]

Every file is written by the function behind `tfgan-zoo export`, which compares it with the model.
Here it is loaded again by its own runtime and timed with one image: one code, or an image of the
preset's size. Rows of other presets stay as they are. The script needs the extras onnx, openvino
and tflite. It is not a test: tests/test_docs.py checks that the table has every preset and format.
"""

import argparse
import importlib.metadata
import os
import pathlib
import re
import tempfile
import time

import onnxruntime
import openvino
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from tfgan_zoo.errors import UserError
from tfgan_zoo.saving import hub
from tfgan_zoo.saving.export_file import (
    EXPORTED_FUNCTIONS,
    FORMATS,
    examples,
    export_and_measure,
    load_in_float32,
)
from tfgan_zoo.training import distribute

PAGE = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "serving.md"
TABLE = re.compile(r"(<!-- table: formats -->\n).*?(?=\n<!-- end of the table -->)", re.DOTALL)
COLUMNS = [
    "SavedModel",
    *(f"{name} {precision}" for name, form in FORMATS.items() for precision in form.precisions),
]
SIGNATURES = ("blend", "stylize", "translate", "serving_default")  # the first that exists
CALIBRATION = {  # presets that were trained on folders: built-in images take their place
    "adain_folder_128": ["data.dataset=photographs", "data.path=", "data.path_y="],
    "fast_starry_night": ["data.dataset=photographs", "data.path="],
    "fast_great_wave": ["data.dataset=photographs", "data.path="],
}


def saved_model_runner(path):
    """Return the function that runs a SavedModel on a dict of inputs."""
    model = tf.saved_model.load(str(path))
    name = next(name for name in SIGNATURES if name in model.signatures)

    def run(inputs):
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        return model.signatures[name](**tensors)

    return run


def onnx_runner(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)


def openvino_runner(path):
    return openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def tflite_runner(path):
    interpreter = Interpreter(model_path=str(path), num_threads=os.cpu_count())
    runner = interpreter.get_signature_runner(next(iter(interpreter.get_signature_list())))
    return lambda inputs: runner(**inputs)


RUNNERS = {"onnx": onnx_runner, "openvino": openvino_runner, "tflite": tflite_runner}


def cell(files, run, inputs, rounds, difference):
    """Return a cell of the table: size, shortest time of a call, largest difference."""
    times = []
    for _ in range(rounds + 2):
        begin = time.perf_counter()
        run(inputs)
        times.append(1000 * (time.perf_counter() - begin))
    megabytes = sum(file.stat().st_size for file in files) / 1e6
    return f"{megabytes:.1f} MB, {min(times[2:]):.1f} ms, {difference}"  # the first are slower


def row(preset, folder, rounds):
    """Export a preset in all formats, and return its row of the table."""
    path, model = hub.find_or_download(preset), load_in_float32(preset)
    functions = EXPORTED_FUNCTIONS[model.task](model, "tflite", None, "xy")
    _, inputs = examples(model, functions)[0]
    files = [path / "saved_model.pb", *(path / "variables").iterdir()]
    cells = [cell(files, saved_model_runner(path), inputs, rounds, 0)]
    for name, form in FORMATS.items():
        for precision in form.precisions:
            output = folder / f"{preset}_{precision}{form.suffixes[0]}"
            source, overrides = model, ()
            if precision == "int8":  # the training images are those of the experiment
                source, overrides = preset, CALIBRATION.get(preset, ())
            try:
                result = export_and_measure(source, output, name, *overrides, precision=precision)
            except UserError as error:  # a precision that spoils the images
                print(preset, name, precision, error, flush=True)
                cells.append(f"no: {re.search(r'by [0-9]+ of 255 levels', str(error))[0]}")
                continue
            difference = result.max_difference
            if precision == "int8":
                difference = f"{difference} (mean {result.mean_difference:.1f})"
            files = [output.with_suffix(suffix) for suffix in form.suffixes]
            cells.append(cell(files, RUNNERS[name](output), inputs, rounds, difference))
            print(preset, name, precision, cells[-1], flush=True)
    return f"| {preset} | {' | '.join(cells)} |"


def read_rows():
    """Return the rows of the table in docs/serving.md: {preset: row}."""
    table = TABLE.search(PAGE.read_text(encoding="utf-8"))[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines}


def write_rows(rows):
    """Write the table of docs/serving.md."""
    head = f"| preset | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}\n"
    table = head + "\n".join(rows[preset] for preset in sorted(rows))
    text = TABLE.sub(lambda match: match[1] + table, PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("presets", nargs="*", help="default: all pretrained presets")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for preset in options.presets or hub.checksums():
            new_row = row(preset, pathlib.Path(folder), options.rounds)
            write_rows(read_rows() | {preset: new_row})
    packages = ("onnxruntime", "openvino", "ai-edge-litert")
    versions = [f"{package} {importlib.metadata.version(package)}" for package in packages]
    machine = ", ".join([distribute.describe_machine(), *versions])
    print(f"{machine}; load {os.getloadavg()[0]:.1f}; {options.rounds} rounds")


if __name__ == "__main__":
    main()
