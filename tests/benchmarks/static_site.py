"""Measure the static site in headless Chromium: sizes, time per image, frames per second.

This script is not a test. It needs Playwright and Chromium.

    tfgan-zoo demo --static live
    python tests/benchmarks/static_site.py live [--rounds 20]

The time of an image is that of ONNX Runtime Web, without drawing it. The frame rate includes
drawing and reading the image of a fake camera, 640x480 pixels, reduced to a longer side.
"""

import argparse
import functools
import gzip
import http.server
import json
import os
import pathlib
import shutil
import statistics
import threading

from playwright.sync_api import sync_playwright

from tfgan_zoo.training import distribute

CAMERA_SIDES = (128, 192, 256)
CAMERA_SECONDS = 10
RUN = """async ([file, inputs, rounds]) => {
  const {run} = await import("./engine.js");
  for (const input of Object.values(inputs)) {
    const length = input.dims.reduce((a, b) => a * b);
    input.data = input.type === "uint8"
      ? Uint8Array.from({length}, (_, i) => i * 7919 % 256)
      : Float32Array.from({length}, (_, i) => Math.sin(i));
  }
  const times = [];
  let backend;
  for (let i = -2; i < rounds; i++) {  // the first calls are slower
    const answer = await run(file, inputs);
    if (i >= 0) times.push(answer.milliseconds);
    backend = answer.backend;
  }
  return [times, backend];
}"""


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def example_inputs(site):
    """Yield (name, file, inputs without data) of one image for every file of the site."""
    for model in site["generate"]:
        inputs = {"z": {"type": "float32", "dims": [1, model["latentDim"]]}}
        if model["classes"]:
            inputs["labels"] = {"type": "float32", "dims": [1, len(model["classes"])]}
        yield model["name"], model["file"], inputs
        if "encoder" in model:
            images = {"type": "uint8", "dims": [1, *model["shape"]]}
            yield f"{model['name']}, encoder", model["encoder"], {"images": images}
    for model in site["translate"]:
        images = {"type": "uint8", "dims": [1, model["size"], model["size"], 3]}
        yield model["name"], model["file"], {"images": images}
    for model in site["stylize"]:
        images = {"type": "uint8", "dims": [1, 192, 256, 3]}
        yield f"{model['name']}, 256x192 pixels", model["file"], {"images": images}


def sizes(paths):
    """Return the size of files, and their size with gzip, in MB."""
    contents = [path.read_bytes() for path in paths]
    compressed = sum(len(gzip.compress(content)) for content in contents)
    return sum(map(len, contents)) / 1e6, compressed / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("site", type=pathlib.Path, help="folder of tfgan-zoo demo --static")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    site = json.loads((options.site / "site.json").read_text())
    for name in ("wasm", "jspi"):
        stem = "ort-wasm-simd-threaded" + (".jspi" if name == "jspi" else "")
        files = [options.site / "runtime" / f"ort.{name}.bundle.min.mjs"]
        files.append(options.site / "runtime" / f"{stem}.wasm")
        print("runtime {}: {:.1f} MB, {:.1f} MB with gzip".format(name, *sizes(files)))
    files = [p for p in options.site.rglob("*") if p.is_file() and p.parent.name != "runtime"]
    print("other files: {:.1f} MB, {:.1f} MB with gzip".format(*sizes(files)))

    handler = functools.partial(Handler, directory=options.site)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    program = shutil.which("chromium") or shutil.which("google-chrome")
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", *camera])
        page = browser.new_context(service_workers="block").new_page()
        page.set_default_timeout(600_000)
        page.goto(f"{address}/index.html")
        for name, file, inputs in example_inputs(site):
            times, backend = page.evaluate(RUN, [file, inputs, options.rounds])
            megabytes = (options.site / file).stat().st_size / 1e6
            print(
                f"| {name} | {megabytes:.2f} | {statistics.median(times):.1f} | {min(times):.1f} |"
            )
        page.goto(f"{address}/style.html")
        page.get_by_text("ms per image").wait_for()
        for side in CAMERA_SIDES:
            page.get_by_label("Longer side").select_option(str(side))
            page.get_by_role("button", name="Start the camera").click()
            page.get_by_text("frames per second").wait_for()
            page.wait_for_timeout(1000 * CAMERA_SECONDS)
            print(f"camera, longer side {side}: {page.locator('#rate').inner_text()}")
            page.get_by_role("button", name="Stop the camera").click()
        version = browser.version
        browser.close()
    server.shutdown()
    load = f"load {os.getloadavg()[0]:.1f} at the end"
    print(f"{distribute.describe_machine()}, Chromium {version}, {backend}; {load}")


if __name__ == "__main__":
    main()
