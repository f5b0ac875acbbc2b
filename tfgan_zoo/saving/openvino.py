"""Convert a function to the two files of OpenVINO's intermediate representation."""

import pathlib
import tempfile

from tfgan_zoo.errors import UserError
from tfgan_zoo.quiet import silence_native_output
from tfgan_zoo.saving.saved_model import write_saved_model

OPENVINO_SUFFIXES = (".xml", ".bin")  # the graph, which programs load, and its weights


def convert_to_openvino(functions, precision="float32", calibration=()):
    """Convert a function to a model of OpenVINO.

    Args:
        functions: {name: (function, input specs)} with one entry.
        precision: "float32", or "float16" for weights of half the size. The computation has the
            precision that the program asks for when it loads the file.
        calibration: not used.

    Returns:
        (files, run): {suffix: content} of the files, and the function `run(name, inputs)` that
        runs them on a dict of arrays with a computation in float32.

    Raises:
        UserError: openvino is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise UserError(
            f'OpenVINO needs the extra openvino: pip install "tfgan_zoo[openvino]" ({error}).'
        ) from None

    with tempfile.TemporaryDirectory() as folder, silence_native_output():
        folder = pathlib.Path(folder)
        write_saved_model(functions, folder / "saved_model")
        model = openvino.convert_model(folder / "saved_model")
        openvino.save_model(model, folder / "model.xml", compress_to_fp16=precision == "float16")
        files = {suffix: (folder / f"model{suffix}").read_bytes() for suffix in OPENVINO_SUFFIXES}
        # CPUs with AVX512_BF16 or AMX would compute in bfloat16 by default.
        compiled = openvino.Core().compile_model(
            folder / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
        )
    return files, lambda name, inputs: compiled(inputs)[0]
