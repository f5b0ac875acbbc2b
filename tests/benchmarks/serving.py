"""What the ways to run an exported model cost, and whether they agree: TensorFlow on the SavedModel, LiteRT (TFLite), ONNX Runtime, and
ONNX Runtime Web in headless Chromium; not run by the tests.

    python tests/benchmarks/serving.py [SAVED_MODEL ...] [--web node_modules/onnxruntime-web/dist] [--rounds 100]

The files are converted as docs/serving.md says. Every way has one thread and gets the same inputs, turn by turn: a round calls each of
them once. Differences are in levels of 255, from what TensorFlow makes of 64 codes or 4 pictures. Needs the extra onnx; LiteRT is that of
the package ai-edge-litert where it is installed, else TensorFlow's own.
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
from tfgan_zoo.training import distribute

SIDE = 128  # pixels of the pictures for models that take pictures
TENSORFLOW = "TensorFlow, SavedModel"  # the way that the others are compared with
PAGE = """<!doctype html><script type="module">
const told = (place, body) => fetch(place, {method: "POST", body: JSON.stringify(body)});
try {
  const ort = await import("./ort.wasm.bundle.min.mjs");
  ort.env.wasm.numThreads = 1;
  const sessions = {};
  for (;;) {
    const job = await (await fetch("/turn")).json();
    const session = sessions[job.model] ??= await ort.InferenceSession.create(job.model);
    const inputs = {};
    for (const [name, {type, dims, data}] of Object.entries(job.inputs)) {
      inputs[name] = new ort.Tensor(type, type === "uint8" ? Uint8Array.from(data) : Float32Array.from(data), dims);
    }
    const begin = performance.now();
    const output = (await session.run(inputs))[session.outputNames[0]];
    const milliseconds = performance.now() - begin;
    await told("/done", {milliseconds, dims: output.dims, data: Array.from(output.data)});
  }
} catch (error) { await told("/done", {error: String(error)}); }
</script>"""


class Browser:
    """Headless Chromium with a page that runs what it is told to, when it is told to."""

    def __init__(self, dist, folder):
        self.turns, self.results, self.folder = queue.Queue(), queue.Queue(), pathlib.Path(folder)
        (self.folder / "index.html").write_text(PAGE)
        for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"):
            shutil.copy(pathlib.Path(dist) / name, self.folder)
        browser = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self):
                if self.path != "/turn":
                    return super().do_GET()
                body = json.dumps(browser.turns.get()).encode()
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
        """(images, milliseconds) of a file in the folder."""
        named = {
            name: {"type": array.dtype.name, "dims": array.shape, "data": array.ravel().tolist()}
            for name, array in inputs.items()
        }
        self.turns.put({"model": model, "inputs": named})
        result = self.results.get(timeout=120)
        if "error" in result:
            raise RuntimeError(result["error"])
        return np.array(result["data"], np.uint8).reshape(result["dims"]), result["milliseconds"]

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.server.shutdown()


def timed(function):
    """The same function, returning (images, milliseconds)."""

    def run(inputs):
        begin = time.perf_counter()
        images = np.asarray(function(inputs))
        return images, 1000 * (time.perf_counter() - begin)

    return run


def interpreter_of(content):
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        Interpreter = tf.lite.Interpreter
    return Interpreter(model_content=content, num_threads=1)


def size_of(path):
    """Bytes of a file, or of what a SavedModel needs to run."""
    path = pathlib.Path(path)
    if path.is_file():
        return path.stat().st_size
    return sum(
        part.stat().st_size for part in (path / "saved_model.pb", *(path / "variables").iterdir())
    )


def name_of(source):
    """That of the preset or the run."""
    return source.parent.name if source.name == "saved_model" else source.name


def convert(exported, signature, folder):
    """(TFLite, ONNX) files of a SavedModel's signature, or (None, None) for models of style."""
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


def inputs_of(specs, n, random):
    """n random inputs of a signature, {name: array}: codes, one-hot labels, pictures."""
    made = {"weights": np.ones(1), "alpha": np.ones(())}
    for name, spec in specs.items():
        if name == "z":
            made[name] = random.normal(size=(n, spec.shape[1]))
        elif name == "labels":
            made[name] = np.eye(spec.shape[1])[np.arange(n) % spec.shape[1]]
        elif name in ("images", "styles"):
            made[name] = random.integers(
                0, 256, (n if name == "images" else 1, SIDE, SIDE, spec.shape[-1])
            )
    return {name: made[name].astype(spec.dtype.as_numpy_dtype) for name, spec in specs.items()}


def ways_of(exported, signature, folder, browser):
    """{way: (bytes, a function inputs -> (images, milliseconds))}."""

    def tensorflow(given):
        return exported.signatures[signature](
            **{name: tf.constant(array) for name, array in given.items()}
        )["images"]

    ways = {TENSORFLOW: (size_of(exported.path), timed(tensorflow))}
    lite, onnx = convert(exported, signature, folder)
    if lite:
        runner = interpreter_of(lite.read_bytes()).get_signature_runner()
        ways["LiteRT, TFLite"] = (size_of(lite), timed(lambda given: runner(**given)["images"]))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        ways["ONNX Runtime"] = (size_of(onnx), timed(lambda given: session.run(None, given)[0]))
        if browser:
            ways["ONNX Runtime Web"] = (size_of(onnx), functools.partial(browser.run, onnx.name))
    return ways


def measure(source, folder, browser, rounds):
    """Rows {model, way, bytes, milliseconds: {n: (median, least)}, levels}."""
    exported, random = load_exported(source), np.random.default_rng(0)
    signature = next(
        name
        for name in ("translate_xy", "stylize", "blend", "serving_default")
        if name in exported.signatures
    )
    specs, ways = exported.inputs(signature), ways_of(exported, signature, folder, browser)
    pictures = "images" in specs
    probe = inputs_of(specs, 4 if pictures else 64, random)
    wanted, _ = ways[TENSORFLOW][1](probe)
    rows = {
        way: {"model": name_of(source), "way": way, "bytes": size, "milliseconds": {}}
        for way, (size, _) in ways.items()
    }
    for way, (_, run) in ways.items():
        rows[way]["levels"] = int(np.abs(run(probe)[0].astype(int) - wanted).max())
    for n in (1,) if pictures else (1, 64):
        given, times = inputs_of(specs, n, random), {way: [] for way in ways}
        for turn in range(-3, rounds):
            for way, (_, run) in ways.items():
                _, milliseconds = run(given)
                if turn >= 0:  # the first calls of a size are slower
                    times[way].append(milliseconds)
        for way, found in times.items():
            rows[way]["milliseconds"][n] = (statistics.median(found), min(found))
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
        help="the folder dist of the npm package onnxruntime-web; needs Chromium",
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="in place of the table")
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
    machine = f"{distribute.describe_machine()}, {', '.join(versions)}; load {os.getloadavg()[0]:.1f} at the end"
    if options.json:
        print(json.dumps({"machine": machine, "rounds": options.rounds, "rows": rows}))
        return
    print(
        "| model | way | MB | 1 image: median (least), ms | 64 images: median (least), ms | largest difference, levels |"
    )
    print("|---|---|---|---|---|---|")
    for row in rows:
        cells = [
            f"{found[0]:.1f} ({found[1]:.1f})" if found else ""
            for found in (row["milliseconds"].get(n) for n in (1, 64))
        ]
        print(
            f"| {row['model']} | {row['way']} | {row['bytes'] / 1e6:.2f} | {' | '.join(cells)} | {row['levels']} |"
        )
    print(f"\n{machine}; {options.rounds} rounds, one thread each.")


if __name__ == "__main__":
    main()
