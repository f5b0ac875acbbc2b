"""The static site, used in headless Chromium (Playwright) from a subfolder of a plain server."""

import contextlib
import functools
import http.server
import json
import pathlib
import re
import shutil
import subprocess
import threading
import time
import types

import numpy as np
import pytest
from helpers import ROOT
from PIL import Image

from tfgan_zoo import cli
from tfgan_zoo.data import facades
from tfgan_zoo.errors import FailureError, UserError
from tfgan_zoo.saving.exported import load
from tfgan_zoo.tools import demo, static_site

PRESETS = [
    "cgan_mnist",
    "vae_mnist",
    "cyclegan_facades_synthetic",
    "pix2pix_facades_synthetic",
    "fast_mosaic",
]
PAGES = ["index", "digits", "autoencoder", "facade", "style"]
MAX_DIFFERENCE = 2  # gray levels between the browser and TensorFlow
TIMEOUT = 240_000  # milliseconds for one step; only a busy machine needs more than a few seconds


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def copyfile(self, source, output):
        with contextlib.suppress(ConnectionError):  # the page was closed
            super().copyfile(source, output)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Folder whose subfolder `some/where` is the site, with the runtime that npm downloads."""
    pytest.importorskip("tf2onnx", reason="the extra onnx is not installed")
    folder = tmp_path_factory.mktemp("root")
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    try:
        dist = static_site.download_runtime(tmp_path_factory.mktemp("npm"))
    except UserError as error:
        pytest.skip(str(error))
    size = static_site.build_site(folder / "some" / "where", PRESETS, runtime=dist.parent)
    assert size == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return folder


@pytest.fixture(scope="module")
def server(root):
    """A plain HTTP server."""
    handler = functools.partial(Handler, directory=root)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("chromium is not installed")
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", *camera])
        yield browser
        browser.close()


@pytest.fixture
def context(browser):
    context = browser.new_context(viewport={"width": 390, "height": 800}, accept_downloads=True)
    context.set_default_timeout(TIMEOUT)
    yield context
    context.close()


@pytest.fixture
def visit(server, context):
    """Return a function that opens a page; requests of other hosts and errors fail the test."""
    origin, problems = f"http://127.0.0.1:{server.server_port}/", []

    def check(request):
        if not request.url.startswith((f"{origin}some/where/", "blob:", "data:")):
            problems.append(request.url)

    context.on("request", check)
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: message.type == "error" and problems.append(message.text))

    def visit(name):
        page.goto(f"{origin}some/where/{name}.html")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        if name != "index":
            wait_until(page, "document.getElementById('status').textContent === ''")
            page.get_by_text("ms per image").wait_for()
        return page

    yield visit
    context.close()
    assert problems == []


def wait_until(page, condition):
    """Wait until a JavaScript condition, or a promise of it, is true.

    `page.wait_for_function` evaluates a string in the page, which the site's policy forbids.
    """
    end = time.monotonic() + TIMEOUT / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


def values(page, module, expression):
    """Return an array of a module of the page, as `expression` selects it."""
    script = f"import('./{module}.js').then(module => Array.from({expression}))"
    return np.array(page.evaluate(script))


def pixels(page, canvas, channels=3):
    """Return the colors of a canvas: uint8 (height, width, channels)."""
    script = """id => {
        const canvas = document.getElementById(id), {width, height} = canvas;
        const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
        return [height, width, Array.from(data)];
    }"""
    height, width, data = page.evaluate(script, canvas)
    return np.array(data, np.uint8).reshape(height, width, 4)[..., :channels]


def drag(page, canvas, start, end):
    """Drag the pointer across a canvas, between two places in fractions of its size."""
    page.locator(f"#{canvas}").scroll_into_view_if_needed()
    box = page.locator(f"#{canvas}").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=4)
    page.mouse.up()


def settle(page):
    """Wait until the networks have answered all requests."""
    wait_until(page, "import('./engine.js').then(module => module.idle())")


def assert_equal_images(actual, expected):
    difference = np.abs(np.asarray(actual, int) - np.asarray(expected, int))
    assert difference.max() <= MAX_DIFFERENCE, difference.max()


@pytest.mark.slow
def test_digits_by_class_with_sliders_and_an_interpolation(visit):
    page, model = visit("digits"), load("cgan_mnist")

    def check():
        """Compare the image with TensorFlow's for the code and the weights that the page shows."""
        settle(page)
        shown = "module.explorer.shown"
        z, weights = (values(page, "digits", f"{shown}.{name}") for name in ("z", "weights"))
        z, weights = z[None].astype(np.float32), weights[None].astype(np.float32)
        image = model.generate(z, weights)[0]
        assert_equal_images(pixels(page, "image", 1), image)
        return z[0], weights[0], image

    # Every class has a button with its image of the same code.
    z, weights, first = check()
    page.get_by_role("button", name="class 7").click()
    same_z, weights, seven = check()
    np.testing.assert_array_equal(same_z, z)
    np.testing.assert_array_equal(weights, np.eye(10)[7])
    assert page.locator("#choices [aria-pressed=true]").get_attribute("aria-label") == "class 7"
    assert np.abs(seven.astype(int) - first).mean() > 5

    # A slider sets the coordinate of z along its direction, and only this one.
    page.get_by_label("Direction 1").fill("-2.5")
    moved, _, _ = check()
    directions = values(page, "digits", "module.explorer.model.directions")
    np.testing.assert_allclose(directions @ directions.T, np.eye(len(directions)), atol=1e-5)
    coordinates, before = directions @ moved, directions @ z
    np.testing.assert_allclose(coordinates, [-2.5, *before[1:]], atol=1e-4)

    # The interpolation plays until it is paused. Halfway the weights are those of two classes.
    page.get_by_role("button", name="Play").click()
    wait_until(page, "document.getElementById('position').value > 0")
    page.get_by_role("button", name="Pause").click()
    check()
    page.get_by_label("Interpolation").fill("0.5")
    _, weights, _ = check()
    assert sorted(weights)[-1] in (0.5, 1.0) and weights.sum() == 1

    page.get_by_role("button", name="Random code").click()
    other, _, _ = check()
    assert np.abs(other - moved).max() > 0.1

    # A model without classes: other codes instead.
    page.get_by_label("Model").select_option("vae_mnist")
    page.get_by_role("button", name="Code 5").click()
    settle(page)
    z = values(page, "digits", "module.explorer.shown.z")[None].astype(np.float32)
    assert_equal_images(pixels(page, "image", 1), load("vae_mnist").generate(z)[0])


@pytest.mark.slow
def test_drawn_digit_is_reconstructed_and_walked_from(visit):
    page, model = visit("autoencoder"), load("vae_mnist")
    page.get_by_role("button", name="Clear").click()
    drag(page, "drawing", (0.5, 0.2), (0.45, 0.8))
    settle(page)
    digit = values(page, "autoencoder", "module.drawn.digit").astype(np.uint8).reshape(28, 28, 1)
    assert 40 < np.count_nonzero(digit) < 150 and digit.max() == 255
    np.testing.assert_array_equal(pixels(page, "input", 1), digit)
    reconstruction = model.reconstruct(digit[None])[0]
    assert_equal_images(pixels(page, "reconstruction", 1), reconstruction)
    assert np.abs(reconstruction.astype(int) - digit).mean() < 20  # a one is easy

    # The drawing is converted as in the other demo; only the filter of the resize differs.
    ink = pixels(page, "drawing", 4)
    ink[..., :3] = 255 - ink[..., :3]
    assert np.abs(demo.digit_of(ink).astype(int) - digit).mean() < 3

    # Walk away, and back.
    page.get_by_role("button", name="Play").click()
    wait_until(page, "document.getElementById('position').value > 0.1")
    page.get_by_role("button", name="Pause").click()
    settle(page)
    z = values(page, "autoencoder", "module.explorer.shown.z")[None].astype(np.float32)
    assert_equal_images(pixels(page, "image", 1), model.generate(z)[0])
    assert (pixels(page, "image", 1) != pixels(page, "reconstruction", 1)).any()
    page.get_by_role("button", name="Back to the drawing").click()
    settle(page)
    np.testing.assert_array_equal(pixels(page, "image", 1), pixels(page, "reconstruction", 1))
    page.get_by_role("button", name="example 8").click()
    other = f"String(module.drawn.digit) !== '{','.join(map(str, digit.ravel()))}'"
    wait_until(page, f"import('./autoencoder.js').then(module => {other})")


@pytest.mark.slow
def test_drawn_labels_are_translated(visit):
    page, model = visit("facade"), load("pix2pix_facades_synthetic")

    def check():
        settle(page)
        classes = values(page, "facade", "module.labels").reshape(128, 128)
        colors = facades.class_colors(classes)
        np.testing.assert_array_equal(pixels(page, "labels"), colors)
        assert_equal_images(pixels(page, "photograph"), model.translate(colors))
        return classes

    before = check()
    np.testing.assert_array_equal(before, facades.layout(3, 128))
    page.get_by_label("door", exact=True).check()
    drag(page, "labels", (0.25, 0.25), (0.5, 0.75))
    drawn = check()
    door = facades.DOOR
    assert (drawn[33:96, 33:64] == door).all() and (drawn != before).sum() > 1000
    assert (drawn[:30] == before[:30]).all()

    page.get_by_role("button", name="Undo").click()
    np.testing.assert_array_equal(check(), before)
    page.get_by_role("button", name="Clear").click()
    assert (check() == facades.SKY).all()
    page.get_by_label("brush", exact=True).check()
    page.get_by_label("Brush size").fill("9")
    drag(page, "labels", (0.1, 0.5), (0.9, 0.5))
    brushed = check() == door
    assert 8 <= brushed.sum(axis=0)[64] <= 10 and 105 <= brushed.sum(axis=1).max() <= 120
    page.get_by_label("fill", exact=True).check()
    page.get_by_label("brick", exact=True).check()
    drag(page, "labels", (0.5, 0.1), (0.5, 0.1))
    filled = check()
    assert ((filled == door) == brushed).all() and (filled[:50] == facades.BRICK).all()
    page.get_by_role("button", name="facade 6").click()
    expected = ",".join(map(str, facades.layout(5, 128).ravel()))
    wait_until(
        page, f"import('./facade.js').then(module => String(module.labels) === '{expected}')"
    )
    np.testing.assert_array_equal(check(), facades.layout(5, 128))
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the image").click()
    saved = np.asarray(Image.open(download.value.path()).convert("RGB"))
    np.testing.assert_array_equal(saved, pixels(page, "photograph"))

    # The CycleGAN has smaller images: the drawing is resized.
    page.get_by_label("Model").select_option("cyclegan_facades_synthetic")
    wait_until(page, "document.getElementById('photograph').width === 64")
    settle(page)
    small = facades.class_colors(facades.layout(5, 128)[::2, ::2])
    np.testing.assert_array_equal(pixels(page, "labels"), small)
    translated = load("cyclegan_facades_synthetic").translate(small)
    assert_equal_images(pixels(page, "photograph"), translated)


@pytest.mark.slow
def test_photograph_and_camera_are_stylized(visit, tmp_path):
    page, model = visit("style"), load("fast_mosaic")
    page.get_by_label("Longer side").select_option("128")

    # An uploaded image of another size than multiples of the network's strides.
    path = tmp_path / "photograph.png"
    photograph = np.random.default_rng(0).integers(0, 256, (70, 93, 3), np.uint8)
    Image.fromarray(photograph).save(path)
    page.get_by_label("Your photograph").set_input_files(path)
    wait_until(page, "document.getElementById('output').width === 93")
    settle(page)
    np.testing.assert_array_equal(pixels(page, "input"), photograph)
    assert_equal_images(pixels(page, "output"), model.stylize(photograph))

    # An invalid file is reported, and the last image stays.
    bad = tmp_path / "bad.png"
    bad.write_text("not an image")
    page.get_by_label("Your photograph").set_input_files(bad)
    page.get_by_text("bad.png is not an image").wait_for()
    np.testing.assert_array_equal(pixels(page, "input"), photograph)

    # The smallest height is 8 pixels. A lower image is reported, and the last image stays.
    for height in (7, 8):
        Image.fromarray(photograph[:height]).save(path)
        page.get_by_label("Your photograph").set_input_files(path)
        if height == 7:
            page.get_by_text("must have at least 8 pixels. The image has 93x7").wait_for()
            assert pixels(page, "input").shape == photograph.shape
    wait_until(page, "document.getElementById('output').height === 8")
    assert page.locator("#status").inner_text() == ""
    assert_equal_images(pixels(page, "output"), model.stylize(photograph[:8]))

    # The fake camera shows a moving pattern.
    page.get_by_role("button", name="Start the camera").click()
    page.get_by_text("frames per second").wait_for()
    frame = pixels(page, "output")
    assert max(frame.shape) == 128
    page.wait_for_timeout(500)
    page.get_by_role("button", name="Stop the camera").click()
    wait_until(page, "document.getElementById('rate').textContent === ''")
    settle(page)
    last = pixels(page, "output")
    assert_equal_images(last, model.stylize(pixels(page, "input")))
    assert (last != frame).any()
    page.get_by_role("button", name="photograph 2").click()
    wait_until(page, "document.getElementById('output').height === 85")


@pytest.mark.slow
def test_camera_that_cannot_be_opened_is_reported(visit):
    page = visit("style")
    page.get_by_label("Longer side").select_option("128")
    page.get_by_role("button", name="Start the camera").click()
    page.get_by_text("frames per second").wait_for()

    # Only one request at a time: the answer comes later.
    page.evaluate("""() => {
        navigator.mediaDevices.getUserMedia =
            () => new Promise((_, reject) => { window.refuse = reject; });
    }""")
    page.get_by_label("rear camera").check()
    assert page.get_by_role("button", name="Start the camera").is_disabled()
    assert page.get_by_label("rear camera").is_disabled()
    page.evaluate("refuse(new Error('it is in use'))")
    page.get_by_text("The camera cannot be used: it is in use.").wait_for()

    # The last frame stays, and no other is computed.
    assert page.get_by_role("button", name="Start the camera").is_enabled()
    settle(page)
    stylized = pixels(page, "output")
    assert max(stylized.shape) == 128
    page.evaluate("import('./style.js').then(module => { window.last = module.stylized; })")
    page.wait_for_timeout(300)
    assert page.evaluate("import('./style.js').then(module => module.stylized === last)")
    assert page.locator("#rate").inner_text() == ""


@pytest.mark.slow
def test_site_works_offline_after_the_first_load(visit, server, monkeypatch):
    page = visit("index")
    page.get_by_text("Works offline.").wait_for()
    assert page.locator("#models tr").count() == len(PRESETS)
    assert page.get_by_role("link", name="Auto-Encoding Variational Bayes").count() == 1

    monkeypatch.setattr(Handler, "do_GET", lambda handler: None)  # closes without an answer
    for name in PAGES:
        page = visit(name)
        # The service worker isolates the page, so there are threads.
        assert page.evaluate("crossOriginIsolated"), name
    page.goto(page.url.rpartition("/")[0] + "/")  # the folder's own address
    page.get_by_role("link", name="Generate").first.wait_for()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "name", "message"),
    [
        ("models/vae_mnist.onnx", "index", "Not available offline (a file could not be stored)."),
        ("site.json", "index", "Error: site.json cannot be loaded, status 404"),
        ("models/cgan_mnist.onnx", "digits", "Error: failed to load"),
        ("worker.js", "digits", "Error: the worker could not be started"),
    ],
)
def test_missing_file_is_reported(file, name, message, server, context, monkeypatch):
    send_head = Handler.send_head

    def fail(handler):
        if handler.path.partition("?")[0].endswith(f"/{file}"):
            return handler.send_error(404)
        return send_head(handler)

    monkeypatch.setattr(Handler, "send_head", fail)
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{server.server_port}/some/where/{name}.html")
    page.get_by_text(message).wait_for()
    if name != "digits":
        return

    # The choice of the model is enabled. Only the missing file is an error.
    page.get_by_label("Model").select_option("vae_mnist")
    wait_until(page, "!document.getElementById('preset').disabled")
    if file == "worker.js":
        page.get_by_text(message).wait_for()
    else:
        page.get_by_role("button", name="Code 5").wait_for()
        assert page.locator("#status.error").count() == 0


@pytest.mark.slow
def test_page_that_is_opened_as_a_file_says_what_to_do(root, context):
    page = context.new_page()
    page.goto((root / "some" / "where" / "index.html").as_uri())
    page.get_by_text("open the page over http").wait_for()


def test_weights_that_are_float16_values_are_stored_as_float16():
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    ort = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    random = np.random.default_rng(0).normal(size=(2, 40, 40)).astype(np.float32)
    half, full = random[0].astype(np.float16).astype(np.float32), random[1]
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("MatMul", ["x", "half"], ["y"]),
            onnx.helper.make_node("MatMul", ["y", "full"], ["z"]),
        ],
        "test",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 40])],
        [onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["n", 40])],
        [onnx.numpy_helper.from_array(half, "half"), onnx.numpy_helper.from_array(full, "full")],
    )
    opset = [onnx.helper.make_opsetid("", 18)]
    content = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    smaller = static_site.store_as_float16(content)
    assert 3000 < len(content) - len(smaller) <= 3200  # 2 bytes of each of 1600 weights
    x = np.random.default_rng(1).normal(size=(3, 40)).astype(np.float32)
    results = [ort.InferenceSession(c).run(None, {"x": x})[0] for c in (content, smaller)]
    np.testing.assert_array_equal(*results)


def test_directions_are_those_that_change_the_image_most():
    def generate(z, labels):
        image = 100 + 8 * z @ np.array([[0, 0, 4], [0, 1, 0], [2, 0, 0], [0, 0, 0]])
        return np.rint(image).astype(np.uint8)

    def latent(n, seed):
        return np.zeros((n, 4), np.float32)

    model = types.SimpleNamespace(latent_dim=4, classes=0, generate=generate, latent=latent)
    directions = static_site.latent_directions(model)
    np.testing.assert_allclose(np.abs(directions[:3]), np.eye(4)[[0, 2, 1]], atol=1e-6)


def test_presets_of_the_site_are_published_and_usable():
    names = static_site.usable_presets()
    assert set(PRESETS) <= set(names) and "adain_folder_128" not in names  # takes style images
    description = static_site.describe("pix2pix_facades_synthetic")
    assert description["arxiv"] == "1611.07004" and description["kind"] == "Pix2Pix"
    assert description["paper"].startswith("Isola, Zhu, Zhou, Efros")
    assert description["paper"].endswith('Adversarial Networks", 2016')


def test_command_reports_wrong_usage(tmp_path, capsys, monkeypatch):
    def message(*arguments):
        assert cli.main(["demo", *map(str, arguments)]) == 2
        return capsys.readouterr().err

    site, other = tmp_path / "site", tmp_path / "other"
    other.mkdir()
    (other / "photograph.png").touch()
    assert "add --static" in message("--overwrite")
    assert "without runs, got 'runs/a'" in message("runs/a", "--static", site)
    assert "already exists" in message("--static", other)
    assert "only the folder of a static site" in message("--static", other, "--overwrite")
    assert "lacks ort.wasm.bundle.min.mjs" in message("--static", site, "--runtime", other)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "install npm" in message("--static", site)
    assert sorted(tmp_path.iterdir()) == [other]


@pytest.mark.parametrize("failure", ["no connection", "wrong file"])
def test_failed_download_of_the_runtime_is_reported(failure, tmp_path, monkeypatch):
    def run(command, cwd, **options):
        if failure == "wrong file":
            (pathlib.Path(cwd) / "onnxruntime-web-1.30.0.tgz").write_bytes(b"other")
            return types.SimpleNamespace(returncode=0, stderr="")
        return types.SimpleNamespace(returncode=1, stderr="npm error network\nmore")

    monkeypatch.setattr(shutil, "which", lambda name: "npm")
    monkeypatch.setattr(subprocess, "run", run)
    expected = {
        "no connection": (UserError, "npm error network.*--runtime"),
        "wrong file": (FailureError, "checksum"),
    }
    error, text = expected[failure]
    with pytest.raises(error, match=text):
        static_site.download_runtime(tmp_path)


def test_site_has_the_files_that_the_documentation_shows(root):
    text = (ROOT / "docs" / "hooks.py").read_text(encoding="utf-8")
    names = re.findall(r"\(live/([\w./]+)\)", text)
    assert len(names) >= 13
    assert [name for name in names if not (root / "some" / "where" / name).is_file()] == []


def test_site_lists_its_files_for_the_service_worker(root):
    site = root / "some" / "where"
    content = (site / "files.js").read_text().removeprefix("self.SITE = ").rstrip(";\n")
    listed = json.loads(content)
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    runtime = {name for names in listed["runtime"].values() for name in names}
    assert {*listed["files"], *runtime} == files - {"files.js", "service-worker.js"}
