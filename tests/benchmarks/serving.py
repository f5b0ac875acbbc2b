"""Compare the runtimes of an exported model: speed, size and agreement.

The runtimes are TensorFlow (SavedModel), LiteRT (TFLite), ONNX Runtime, and ONNX Runtime Web in
headless Chromium. This script is not a test.

    python tests/benchmarks/serving.py [SAVED_MODEL ...] [--rounds 100]
        [--web node_modules/onnxruntime-web/dist]

The files are converted as described in docs/serving.md. Every runtime has one thread and gets the
same inputs. In each round every runtime is called once. Differences are in levels of 255, from the
output of TensorFlow for 64 codes or 4 images. The script needs the extras onnx and tflite.
"""

import argparse
import functools
import http.server
import importlib.metadata
import json
import os
import pathlib
import queue
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx

from tfgan_zoo.quiet import silence_native_output
from tfgan_zoo.saving.exported import load_exported
from tfgan_zoo.saving.tflite import load_interpreter_class
from tfgan_zoo.training import distribute

SIDE = 128  # pixels of the input images
TENSORFLOW = "TensorFlow, SavedModel"  # the reference of the other runtimes
PAGE = """<!doctype html><script type="module">
const post = (path, body) => fetch(path, {method: "POST", body: JSON.stringify(body)});
try {
  const ort = await import("./ort.wasm.bundle.min.mjs");
  ort.env.wasm.numThreads = 1;
  const sessions = {};
  for (;;) {
    const job = await (await fetch("/job")).json();
    const session = sessions[job.model] ??= await ort.InferenceSession.create(job.model);
    const inputs = {};
    for (const [name, {type, dims, data}] of Object.entries(job.inputs)) {
      const array = type === "uint8" ? Uint8Array.from(data) : Float32Array.from(data);
      inputs[name] = new ort.Tensor(type, array, dims);
    }
    const begin = performance.now();
    const output = (await session.run(inputs))[session.outputNames[0]];
    const milliseconds = performance.now() - begin;
    await post("/done", {milliseconds, dims: output.dims, data: Array.from(output.data)});
  }
} catch (error) { await post("/done", {error: String(error)}); }
</script>"""


class Browser:
    """Headless Chromium with a page that runs one job at a time."""

    def __init__(self, dist, folder):
        self.jobs, self.results, self.folder = queue.Queue(), queue.Queue(), pathlib.Path(folder)
        (self.folder / "index.html").write_text(PAGE)
        for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"):
            shutil.copy(pathlib.Path(dist) / name, self.folder)
        browser = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self):
                if self.path != "/job":
                    return super().do_GET()
                body = json.dumps(browser.jobs.get()).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                browser.results.put(
                    json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                )
                self.send_response(204)
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Handler, directory=folder)
        )
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        program = shutil.which("chromium") or shutil.which("google-chrome")
        if program is None:
            raise SystemExit("--web needs chromium or google-chrome")
        flags = [
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
        ]
        flags += [
            "--disable-sync",
            f"--user-data-dir={folder}/profile",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
        ]
        address = f"http://127.0.0.1:{self.server.server_port}/index.html"
        self.process = subprocess.Popen(
            [program, *flags, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.version = (
            subprocess.run([program, "--version"], capture_output=True, text=True)
            .stdout.split(" built")[0]
            .strip()
        )

    def run(self, model, inputs):
        """Run an ONNX file of the folder; return (images, milliseconds)."""
        tensors = {
            name: {"type": array.dtype.name, "dims": array.shape, "data": array.ravel().tolist()}
            for name, array in inputs.items()
        }
        self.jobs.put({"model": model, "inputs": tensors})
        result = self.results.get(timeout=120)
        if "error" in result:
            raise RuntimeError(result["error"])
        return np.array(result["data"], np.uint8).reshape(result["dims"]), result["milliseconds"]

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.server.shutdown()


def timed(function):
    """Return a function that returns (images, milliseconds) instead of images."""

    def run(inputs):
        begin = time.perf_counter()
        images = np.asarray(function(inputs))
        return images, 1000 * (time.perf_counter() - begin)

    return run


def size_of(path):
    """Return the bytes of a file, or of the files that a SavedModel needs to run."""
    path = pathlib.Path(path)
    if path.is_file():
        return path.stat().st_size
    files = (path / "saved_model.pb", *(path / "variables").iterdir())
    return sum(file.stat().st_size for file in files)


def name_of(source):
    """Return the name of the preset or the run."""
    return source.parent.name if source.name == "saved_model" else source.name


def convert(exported, signature, folder):
    """Convert a signature to files (TFLite, ONNX); (None, None) for stylization models."""
    source, function = exported.path, exported.signatures[signature]
    lite, onnx = (
        pathlib.Path(folder) / f"{name_of(source)}.{suffix}" for suffix in ("tflite", "onnx")
    )
    if signature == "stylize":
        return None, None
    specs = list(exported.inputs(signature).values())
    names = [spec.name for spec in specs]
    renamed = tf.function(
        lambda *inputs: {"result": function(**dict(zip(names, inputs, strict=True)))["images"]},
        input_signature=specs,
    )
    with silence_native_output():
        lite.write_bytes(
            tf.lite.TFLiteConverter.from_saved_model(
                str(source), signature_keys=[signature]
            ).convert()
        )
        tf2onnx.convert.from_function(renamed, specs, output_path=str(onnx))
    return lite, onnx


def random_inputs(specs, n, random):
    """Return n random inputs of a signature, {name: array}: codes, one-hot labels, images."""
    arrays = {"weights": np.ones(1), "alpha": np.ones(())}
    for name, spec in specs.items():
        if name == "z":
            arrays[name] = random.normal(size=(n, spec.shape[1]))
        elif name == "labels":
            arrays[name] = np.eye(spec.shape[1])[np.arange(n) % spec.shape[1]]
        elif name in ("images", "styles"):
            count = n if name == "images" else 1
            arrays[name] = random.integers(0, 256, (count, SIDE, SIDE, spec.shape[-1]))
    return {name: arrays[name].astype(spec.dtype.as_numpy_dtype) for name, spec in specs.items()}


def runtimes_of(exported, signature, folder, browser):
    """Return {runtime: (bytes, function of inputs that returns (images, milliseconds))}."""

    def tensorflow(inputs):
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        return exported.signatures[signature](**tensors)["images"]

    runtimes = {TENSORFLOW: (size_of(exported.path), timed(tensorflow))}
    lite, onnx = convert(exported, signature, folder)
    if lite:
        interpreter = load_interpreter_class()(model_path=str(lite), num_threads=1)
        runner = interpreter.get_signature_runner()
        runtimes["LiteRT, TFLite"] = (
            size_of(lite),
            timed(lambda inputs: runner(**inputs)["images"]),
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        runtimes["ONNX Runtime"] = (
            size_of(onnx),
            timed(lambda inputs: session.run(None, inputs)[0]),
        )
        if browser:
            run = functools.partial(browser.run, onnx.name)
            runtimes["ONNX Runtime Web"] = (size_of(onnx), run)
    return runtimes


SIGNATURES = {"generate": "serving_default", "translate": "translate_xy", "stylize": "stylize"}


def measure(source, folder, browser, rounds):
    """Return rows {model, runtime, bytes, milliseconds: {n: (median, minimum)}, levels}."""
    exported, random = load_exported(source), np.random.default_rng(0)
    signature = SIGNATURES[exported.task]
    if "blend" in exported.signatures:  # the conditional form, with one-hot rows
        signature = "blend"
    specs = exported.inputs(signature)
    runtimes = runtimes_of(exported, signature, folder, browser)
    takes_images = "images" in specs
    example = random_inputs(specs, 4 if takes_images else 64, random)
    expected, _ = runtimes[TENSORFLOW][1](example)
    rows = {
        runtime: {"model": name_of(source), "runtime": runtime, "bytes": size, "milliseconds": {}}
        for runtime, (size, _) in runtimes.items()
    }
    for runtime, (_, run) in runtimes.items():
        rows[runtime]["levels"] = int(np.abs(run(example)[0].astype(int) - expected).max())
    for n in (1,) if takes_images else (1, 64):
        inputs, times = random_inputs(specs, n, random), {runtime: [] for runtime in runtimes}
        for i in range(-3, rounds):
            for runtime, (_, run) in runtimes.items():
                _, milliseconds = run(inputs)
                if i >= 0:  # the first calls of a batch size are slower
                    times[runtime].append(milliseconds)
        for runtime, values in times.items():
            rows[runtime]["milliseconds"][n] = (statistics.median(values), min(values))
    return list(rows.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "sources",
        nargs="*",
        type=pathlib.Path,
        help="default: saved_models/dcgan_mnist and cgan_mnist",
    )
    parser.add_argument(
        "--web",
        type=pathlib.Path,
        help="folder dist of the npm package onnxruntime-web; needs Chromium",
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    sources = options.sources or [
        pathlib.Path("saved_models") / name for name in ("dcgan_mnist", "cgan_mnist")
    ]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(options.web, folder) if options.web else None
        try:
            rows = [
                row
                for source in sources
                for row in measure(source, folder, browser, options.rounds)
            ]
        finally:
            if browser:
                browser.close()
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("onnxruntime", "tf2onnx")]
    versions += (
        [f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')}"]
        if "ai_edge_litert" in sys.modules
        else []
    )
    versions += [browser.version] if browser else []
    machine = ", ".join([distribute.describe_machine(), *versions])
    machine += f"; load {os.getloadavg()[0]:.1f} at the end"
    if options.json:
        print(json.dumps({"machine": machine, "rounds": options.rounds, "rows": rows}))
        return
    head = (
        "model",
        "runtime",
        "size, MB",
        "1 image, ms: median (minimum)",
        "64 images, ms: median (minimum)",
        "largest difference, levels of 255",
    )
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        times = [row["milliseconds"].get(n) for n in (1, 64)]
        cells = [
            row["model"],
            row["runtime"],
            f"{row['bytes'] / 1e6:.2f}",
            *(f"{values[0]:.1f} ({values[1]:.1f})" if values else "" for values in times),
            str(row["levels"]),
        ]
        print(f"| {' | '.join(cells)} |")
    print(f"\n{machine}; {options.rounds} rounds, one thread each.")


if __name__ == "__main__":
    main()
