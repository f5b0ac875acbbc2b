"""Functions of the demo's tabs, and the page in a browser (Gradio, Playwright and Chromium)."""

import contextlib
import http.client
import importlib.metadata
import io
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import types
import urllib.error
import urllib.request

import numpy as np
import pytest
from helpers import ROOT, make
from PIL import Image

from tfgan_zoo import cli, presets, tools, train
from tfgan_zoo.data import builtin_images, facades
from tfgan_zoo.data.transforms import resize_longer_side
from tfgan_zoo.errors import UserError
from tfgan_zoo.inference.latent_walk import latent_walk
from tfgan_zoo.models import MODELS
from tfgan_zoo.models.style_transfer import pyramid_sizes
from tfgan_zoo.tools import demo
from tfgan_zoo.tools.space import write_space

TRANSLATORS = ("pix2pix_facades_synthetic", "cyclegan_facades_synthetic")
STYLE_OPTIONS = (None, 0.5, 128, 0, False)  # second style, its share, size, strength, colors


@pytest.fixture(scope="module")
def own_model(tmp_path_factory):
    """Return the path of a conditional model that is not a preset."""
    path = tmp_path_factory.mktemp("own") / "mine.keras"
    make("cgan_tiny").save(path)
    return str(path)


def difference(a, b):
    """Return the largest difference of two images, in levels of 255."""
    return np.abs(a.astype(int) - b).max()


def rgba(image):
    """Add an opaque alpha channel: uint8 (h, w, 3) -> (h, w, 4)."""
    return np.pad(image, ((0, 0), (0, 0), (0, 1)), constant_values=255)


def editor_value(image):
    """Return the value of Gradio's image editor for uint8 (h, w, 3)."""
    return {"composite": rgba(image)}


def drawn(rows, columns):
    """Return a drawing as the browser sends it: a black rectangle on opaque white."""
    drawing = np.full((280, 280, 4), 255, np.uint8)
    drawing[rows, columns, :3] = 0
    return drawing


def post(url, data, headers):
    """Return the status and the body of a POST request."""
    request = urllib.request.Request(url, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def call(address, name, *data):
    """Call a function of the page as a client does; return the text of its events."""
    body = json.dumps({"data": data}).encode()
    url = f"{address}gradio_api/call/{name}"
    _, answer = post(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(f"{url}/{json.loads(answer)['event_id']}", timeout=60) as events:
        return events.read().decode()


def test_sample_returns_a_grid_of_the_requested_images():
    model = demo.load_cached("cgan_mnist")
    sheet = demo.sample("cgan_mnist", 7, 6, 3)
    np.testing.assert_array_equal(sheet, demo.image_sheet(model.sample(6, seed=3, labels=[7] * 6)))
    assert sheet.shape == (2 * 30 * 4 + 8, 3 * 30 * 4 + 8, 3) and sheet.dtype == np.uint8
    # All classes: one in each column.
    sheet = demo.sample("cgan_mnist", demo.ALL_CLASSES, 20, 3)
    images = model.sample(20, seed=3, labels=[*range(10)] * 2)
    np.testing.assert_array_equal(sheet, demo.image_sheet(images, columns=10))
    # An unconditional model has no classes.
    images = demo.load_cached("gan_mnist").sample(4, seed=0)
    np.testing.assert_array_equal(demo.sample("gan_mnist", 7, 4, 0), demo.image_sheet(images))


def test_interpolation_equals_that_of_the_command():
    for source, labels in (("cgan_mnist", [3, 8]), ("cgan_mnist", [3]), ("dcgan_mnist", None)):
        model = demo.load_cached(source)
        images = latent_walk(model, rows=1, steps=25, seed=4, labels=labels)
        first, last = (labels or [0])[0], (labels or [0])[-1]
        for position in (0, 12, 24):
            step, steps = demo.interpolation_step(source, 4, first, last, position / 24)
            # The matrix products of other batch sizes are rounded differently.
            assert difference(step, demo.enlarge_to(demo.SIDE, images[position])) <= 1
            assert difference(steps, demo.image_sheet(images[::3], columns=9)) <= 1


def test_sliders_change_the_dimensions_with_the_largest_effect():
    model = demo.load_cached("vae_mnist")
    code = np.array(model.latent(1, 0))
    effects = []
    for dimension in range(model.latent_dim):
        ends = np.repeat(code, 2, axis=0)
        ends[:, dimension] = (-3, 3)
        low, high = model.generate(ends).astype(float)
        effects.append(np.abs(low - high).mean())
    dimensions = demo.code_dimensions("vae_mnist")
    np.testing.assert_allclose(
        [effects[i] for i in dimensions],
        sorted(effects)[: -demo.NUM_CODE_SLIDERS - 1 : -1],
        rtol=1e-3,
    )
    code[0, dimensions[1]] += 2
    np.testing.assert_array_equal(
        demo.decode("vae_mnist", 0, model.latent(1, 0), 0, 2, 0, 0),
        demo.enlarge_to(demo.SIDE, model.generate(code)[0]),
    )


def test_drawing_is_centered_like_mnist():
    digit = demo.digit_of(drawn(slice(10, 110), slice(200, 250)))
    rows, columns = np.nonzero(digit[..., 0])
    assert digit.shape == (28, 28, 1)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 23, 9, 18)
    # The center of mass of this drawing is at the top left.
    angle = drawn(slice(0, 100), slice(0, 10)) & drawn(slice(0, 10), slice(10, 100))
    rows, columns = np.nonzero(demo.digit_of(angle)[..., 0])
    assert rows.min() > 4 and columns.min() > 4 and rows.max() <= 27 and columns.max() <= 27
    for empty in (None, drawn(slice(0, 0), slice(0, 0)), np.zeros((280, 280, 4), np.uint8)):
        with pytest.raises(UserError, match="draw a digit"):
            demo.digit_of(empty)


def test_only_regular_files_in_the_upload_folder_are_accepted(tmp_path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    inside, outside = folder / "inside.png", tmp_path / "outside.png"
    for path in (inside, outside):
        Image.new("RGB", (40, 40)).save(path)
    (folder / "link.png").symlink_to(outside)
    os.mkfifo(folder / "fifo.png")
    demo.check_upload(str(inside), folder)
    for path in (outside, folder / "link.png", folder / "fifo.png", folder, folder / "gone.png"):
        with pytest.raises(UserError, match="upload it again"):
            demo.check_upload(str(path), folder)


def test_large_uploads_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    path = tmp_path / "large.png"
    Image.new("L", (1001, 1000)).save(path)
    demo.check_upload(path, tmp_path)
    monkeypatch.setattr(demo, "MAX_PIXELS", 1_000_000)
    monkeypatch.setattr(Image.Image, "load", None)
    with pytest.raises(UserError, match="at most 1 megapixels, got 1001x1000"):
        demo.check_upload(path, tmp_path)


def test_long_and_narrow_uploads_are_refused(tmp_path):
    path = tmp_path / "strip.png"
    for width, height in ((1600, 100), (100, 1600)):
        Image.new("L", (width, height)).save(path)
        demo.check_upload(path, tmp_path)
    for width, height in ((500_000, 32), (100, 1601)):
        Image.new("L", (width, height)).save(path)
        message = f"at most 16 times as long as wide, got {width}x{height}"
        with pytest.raises(UserError, match=message):
            demo.check_upload(path, tmp_path)


def test_requests_are_limited(tmp_path, monkeypatch):
    stored = tmp_path / "stored"
    stored.write_bytes(bytes(100))
    blocks = types.SimpleNamespace(upload_file_set={str(stored), str(tmp_path / "deleted")})
    monkeypatch.setattr(demo, "MAX_REQUEST_BYTES", 60)
    monkeypatch.setattr(demo, "MAX_STORED_BYTES", 150)

    def status(path, size, *other_headers):
        headers = [] if size is None else [(b"content-length", str(size).encode())]
        headers += other_headers
        scope = {"method": "POST", "path": path, "headers": headers}
        refusal = demo.UploadLimits(None, blocks).refusal(scope)
        return refusal and refusal[0]

    assert status("/gradio_api/upload", 50) is None
    assert status("/gradio_api/upload", 51) == 507
    assert status("/gradio_api/queue/join", 60) is None
    assert status("/gradio_api/queue/join", 61) == 413
    assert status("/gradio_api/upload", None) == 411
    # The server ignores the length of a request that is sent in chunks.
    assert status("/gradio_api/upload", 1, (b"transfer-encoding", b"chunked")) == 411


def test_uploads_may_be_deleted_while_they_are_counted(tmp_path, monkeypatch):
    stored, deleted = tmp_path / "stored", tmp_path / "deleted"
    for path in (stored, deleted):
        path.write_bytes(bytes(100))
    getsize = os.path.getsize

    def delete_before(path):
        deleted.unlink(missing_ok=True)
        return getsize(path)

    monkeypatch.setattr(os.path, "getsize", delete_before)
    assert demo.stored_bytes({str(stored), str(deleted)}) == 100


def test_reconstruction_of_a_stroke_is_similar_to_it():
    drawing = {"composite": drawn(slice(10, 200), slice(100, 120))}
    digit, reconstruction, _ = demo.reconstruct("vae_mnist", 0, drawing)
    assert digit.shape == reconstruction.shape
    assert np.abs(digit.astype(float) - reconstruction).mean() < 20  # the stroke is a one


@pytest.mark.parametrize(("source", "size"), zip(TRANSLATORS, (128, 64), strict=True))
def test_translate_accepts_any_size_and_uses_the_nearest_labels(source, size):
    labels, photograph = facades.pair(0, size)
    drawing = demo.example_house(source, "xy", 0)
    factor = demo.SIDE // size
    np.testing.assert_array_equal(drawing[::factor, ::factor], labels)
    noisy = np.clip(labels.astype(int) + 20, 0, 255).astype(np.uint8)
    translated, truth = demo.translate(source, "xy", editor_value(drawing))
    np.testing.assert_array_equal(demo.translate(source, "xy", editor_value(noisy))[0], translated)
    np.testing.assert_array_equal(truth[::factor, ::factor], photograph)
    assert np.abs(translated.astype(float) - truth).mean() < 25
    for empty in (None, {"composite": None}):
        with pytest.raises(UserError, match="draw or upload"):
            demo.translate(source, "xy", empty)


def test_translate_in_the_inverse_direction_finds_the_labels():
    photograph = demo.example_house(TRANSLATORS[1], "yx", 0)
    np.testing.assert_array_equal(photograph[::6, ::6], facades.pair(0, 64)[1])
    labels, truth = demo.translate(TRANSLATORS[1], "yx", editor_value(photograph))
    agreement = facades.nearest_classes(labels[::6, ::6]) == facades.layout(0, 64)
    assert truth is None and agreement.mean() > 0.7
    assert demo.direction_names(TRANSLATORS[1]) == [
        ("labels to photograph", "xy"),
        ("photograph to labels", "yx"),
    ]
    assert demo.direction_names(TRANSLATORS[0]) == [("labels to photograph", "xy")]


def test_invalid_uploads_raise(tmp_path):
    bad, tiny, empty, array, large = (
        tmp_path / name for name in ("bad.png", "tiny.png", "empty.jpg", "array.NPY", "large.png")
    )
    bad.write_text("not an image")
    empty.write_bytes(b"")
    Image.new("RGB", (31, 40)).save(tiny)
    with array.open("wb") as file:
        np.save(file, np.zeros((40, 40, 4), np.uint8))
    # More than 2**24 pixels, which are reduced when the file is read.
    Image.new("L", (542_000, 31)).save(large)
    for path, message in (
        (bad, "cannot be read"),
        (empty, "cannot be read"),
        (array, "cannot be read"),
        (tiny, "got 31x40"),
        (large, "got 542000x31"),
        (None, "choose a photograph first"),
    ):
        with pytest.raises(UserError, match=message):
            demo.read_upload(path and str(path), "a photograph", 128)
    gray = tmp_path / "gray.png"
    Image.new("LA", (40, 50), (100, 0)).save(gray)
    assert (demo.read_upload(str(gray), "a photograph") == 255).all()  # transparent: white


def test_stylize_blends_styles_and_keeps_size_and_colors(tmp_path):
    photo, style, second = (str(tmp_path / f"{name}.png") for name in ("photo", "style", "second"))
    photograph = builtin_images.photograph("china")
    Image.fromarray(photograph).save(photo)
    for path, name in ((style, "mosaic"), (second, "hatching")):
        Image.fromarray(builtin_images.style_image(name)).save(path)

    def stylize(source, second=None, share=0.5, alpha=1, keeps_colors=False):
        return demo.stylize(source, photo, style, second, share, 96, alpha, keeps_colors)

    adain = stylize("adain_folder_128")
    assert adain.shape == stylize("fast_mosaic").shape == (64, 96, 3)
    np.testing.assert_array_equal(stylize("adain_folder_128", second, share=0), adain)
    blended = stylize("adain_folder_128", second, share=0.5)
    other = stylize("adain_folder_128", second, share=1)
    assert min(difference(blended, adain), difference(blended, other)) > 20
    # The strength 0 and the colors of the photograph make the result more similar to it.
    content = resize_longer_side(photograph, 96).astype(float)
    errors = [
        np.abs(image - content).mean() for image in (adain, stylize("adain_folder_128", alpha=0))
    ]
    assert errors[1] < 0.8 * errors[0]
    ratios = [
        image.mean((0, 1))
        for image in (adain, stylize("adain_folder_128", keeps_colors=True), content)
    ]
    ratios = [mean / mean.sum() for mean in ratios]
    assert np.abs(ratios[1] - ratios[2]).max() < np.abs(ratios[0] - ratios[2]).max()


def test_progress_counts_the_pixels_of_all_sizes():
    reports = []
    config = presets.experiment("gatys").model
    report = demo.optimization_progress((128, 256), config, lambda *values: reports.append(values))
    sizes = pyramid_sizes((128, 256), config.smallest)
    assert len(sizes) == 3
    for size in sizes:
        for iteration in (30, 60):
            report(size, 60, iteration, {})
    fractions, texts = zip(*reports, strict=True)
    assert fractions[-1] == 1 and list(fractions) == sorted(fractions)
    np.testing.assert_allclose(fractions[:2], (1 / 14, 1 / 7), atol=0.005)  # areas 1, 2, 4
    assert texts[-1] == "256x128 pixels, iteration 60 of 60"


def test_own_runs_come_first(own_model):
    models = demo.find_models([own_model])
    assert models["generate"][:2] == [own_model, "cgan_mnist"]
    assert models["translate"][0] == "pix2pix_facades_synthetic"
    assert models["stylize"][-1] == "gatys"
    assert "arxiv.org/abs/1411.1784" in demo.describe(own_model)
    assert "saved_models" not in demo.describe(own_model)
    assert "saved_models/vae_mnist/README.md" in demo.describe("vae_mnist")
    with pytest.raises(UserError, match="got 'runs/missing'"):
        demo.find_models(["runs/missing"])


def test_models_of_other_channels_raise(tmp_path):
    path = str(tmp_path / "model.keras")
    make("pix2pix_tiny", "model.x_channels=4").save(path)
    with pytest.raises(UserError, match=r"4 channels. Use tfgan-zoo translate"):
        demo.find_models([path])


def test_links_of_the_page_exist():
    text = pathlib.Path(demo.__file__).with_name("demo_page.py").read_text()
    pages = re.findall(r'docs_link\(\s*"[^"]+", "([^"]+)"', text)
    files = [f"docs/{page}" for page in pages]
    files += [f"notebooks/{name}.ipynb" for name in demo.TUTORIALS.values()]
    assert len(pages) >= 3 and demo.TUTORIALS.keys() == MODELS.keys()
    assert all((ROOT / file).is_file() for file in files)


def test_command_names_the_missing_extra(monkeypatch, capsys):
    import builtins

    real = builtins.__import__

    def without_gradio(name, *args, **kwargs):
        if name == "gradio":
            raise ImportError("No module named 'gradio'")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "tfgan_zoo.tools.demo_page", raising=False)
    monkeypatch.delattr(tools, "demo_page", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_gradio)
    assert cli.main(["demo"]) == 2
    message = capsys.readouterr().err
    assert 'pip install "tfgan_zoo[demo]"' in message and "http" not in message


def test_port_in_use_raises():
    pytest.importorskip("gradio", reason="the extra demo is not installed")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match="try another --host or --port"):
            demo.serve(port=taken.getsockname()[1])


@pytest.fixture(scope="module")
def address(own_model):
    pytest.importorskip("gradio", reason="the extra demo is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    blocks, address = demo.serve([own_model], port=port)
    yield address
    blocks.close()


def test_page_hands_out_no_file_of_the_server(address, tmp_path):
    secret = tmp_path / "secret.png"
    Image.fromarray(builtin_images.photograph_crop(0, 64)).save(secret)
    uploads = {"path": str(secret)}, {"path": str(secret), "meta": {"_type": "gradio.FileData"}}
    for upload in uploads:
        drawing = {"background": upload, "layers": [upload], "composite": upload}
        for name, data in (
            ("stylize", ["adain_folder_128", upload, upload, *STYLE_OPTIONS]),
            ("reconstruct", ["vae_mnist", 0, drawing]),
            ("reconstruct", ["vae_mnist", 0, {**drawing, "composite": None, "background": None}]),
            ("translate", [TRANSLATORS[0], "xy", drawing]),
            ("sample", [str(secret), 0, 1, 0]),  # the path of a model
        ):
            events = call(address, name, *data)
            assert "event: error" in events and "event: complete" not in events, events
    # The style's own field, with an uploaded photograph.
    body = b"--b\r\nContent-Disposition: form-data; name=files; filename=a.png\r\n\r\n"
    body += secret.read_bytes() + b"\r\n--b--\r\n"
    multipart = {"Content-Type": "multipart/form-data; boundary=b"}
    _, answer = post(f"{address}gradio_api/upload", body, multipart)
    photo = {"path": json.loads(answer)[0]}
    for style, event in ((photo, "event: complete"), (uploads[0], "event: error")):
        assert event in call(address, "stylize", "adain_folder_128", photo, style, *STYLE_OPTIONS)


def test_page_refuses_large_requests(address):
    # The server answers the headers, without waiting for the body.
    too_large = {"Content-Length": demo.MAX_REQUEST_BYTES + 1}
    chunked = {"Transfer-Encoding": "chunked", "Content-Length": 1}
    for headers, status in ((too_large, 413), (chunked, 411)):
        connection = http.client.HTTPConnection(address.split("/")[2], timeout=30)
        with contextlib.closing(connection):
            connection.putrequest("POST", "/gradio_api/upload")
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            assert connection.getresponse().status == status


# --- in a browser


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        pytest.skip("Chromium is not installed")
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


class Page:
    """The page in a browser of a given width.

    Args:
        browser: A browser of Playwright.
        address: URL of the page.
        width: Pixels.
    """

    def __init__(self, browser, address, width):
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.page.set_default_timeout(120_000)
        self.width, self.hosts, self.errors = width, set(), []
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address)

    def visible(self, locator):
        return locator.locator("visible=true")

    def open_tab(self, name):
        """Open a tab and check that it fits the width."""
        self.visible(self.page.get_by_role("tab", name=name, exact=True)).click()
        assert self.page.evaluate("document.documentElement.scrollWidth") <= self.width

    def press(self, name):
        self.visible(self.page.get_by_role("button", name=name, exact=True)).click()

    def press_translate(self):
        """Press Translate and return the drawing that the page sends: uint8 (h, w, 4)."""
        with self.page.expect_request("**/queue/join*") as request:
            self.press("Translate")
        _, _, drawing = request.value.post_data_json["data"]
        with urllib.request.urlopen(drawing["composite"]["url"]) as file:
            return np.asarray(Image.open(file).convert("RGBA"))

    def choose(self, dropdown, option):
        """Choose an option of a dropdown that is named by its label or by the id of its element."""
        self.visible(self.page.locator(dropdown)).click()
        self.visible(self.page.get_by_role("option", name=option, exact=True)).click()

    def slide(self, name, key, count=1):
        """Move a slider by pressing a key, such as ArrowRight."""
        slider = self.page.locator(f"{name} input[type=range]").first
        for _ in range(count):
            slider.press(key)

    def draw(self, canvas, points):
        """Draw a line with the mouse; points are (x, y) from 0 to 1."""
        self.page.locator(f"#{canvas} [aria-label=Brush].highlight").wait_for()  # is selected
        box = self.visible(self.page.locator(f"#{canvas} canvas")).first.bounding_box()
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=10)
        self.page.mouse.up()

    def image(self, name):
        """Return the image in an element as uint8 (h, w, 3), or None."""
        image = self.page.locator(f"#{name} img")
        if not image.count():
            return None
        try:
            with urllib.request.urlopen(image.first.get_attribute("src")) as response:
                content = response.read()
        except http.client.IncompleteRead:  # Gradio is writing the file again
            return None
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))

    def wait_for_image(self, name, condition, button=None):
        """Wait until a condition holds for the image in an element, and return the image.

        A button is pressed every 3 seconds, because the page does not show when a canvas is loaded.
        """
        begin = last_press = time.monotonic()
        while time.monotonic() < begin + 120:
            image = self.image(name)
            if image is not None and condition(image):
                return image
            self.page.wait_for_timeout(100)
            if button and time.monotonic() > last_press + 3:
                self.press(button)
                last_press = time.monotonic()
        raise AssertionError(f"the image {name} is not as expected, got {image}")

    def wait_for_equal(self, name, expected):
        """Wait until an element has an image, up to differences in rounding."""
        self.wait_for_image(
            name, lambda image: image.shape == expected.shape and difference(image, expected) <= 1
        )


@pytest.fixture(scope="module")
def desktop(browser, address):
    desktop = Page(browser, address, 1280)
    yield desktop
    # There was no error, and no request to another host.
    assert desktop.hosts == {address.split("/")[2]} and not desktop.errors


def differs_from(image):
    return lambda other: difference(image, other) > 30


def is_similar_to(image, limit=25):
    return lambda other: np.abs(image.astype(float) - other).mean() < limit


def test_sample_tab(desktop, own_model):
    desktop.open_tab("Sample")
    # The page opens with images of the first model, which is the user's.
    desktop.wait_for_equal("samples", demo.sample(own_model, demo.ALL_CLASSES, 40, 0))
    desktop.choose("#sample-model input", "cgan_mnist")
    desktop.wait_for_equal("samples", demo.sample("cgan_mnist", demo.ALL_CLASSES, 40, 0))
    assert desktop.page.locator("#sample-description a[href*='arxiv.org']").count() == 1
    desktop.choose("#sample-class input", "7")
    desktop.wait_for_equal("samples", demo.sample("cgan_mnist", 7, 40, 0))
    desktop.slide("#count", "Home")
    desktop.wait_for_equal("samples", demo.sample("cgan_mnist", 7, 1, 0))
    desktop.slide("#count", "ArrowRight", 3)
    desktop.slide("#sample-seed", "ArrowRight", 2)
    before = demo.sample("cgan_mnist", 7, 4, 2)
    desktop.wait_for_equal("samples", before)
    desktop.press("New images")
    desktop.wait_for_image("samples", differs_from(before))
    seed = desktop.page.locator("#sample-seed input[type=number]").input_value()
    desktop.wait_for_equal("samples", demo.sample("cgan_mnist", 7, 4, int(seed)))
    # An unconditional model offers no classes.
    desktop.choose("#sample-model input", "dcgan_mnist")
    desktop.wait_for_equal("samples", demo.sample("dcgan_mnist", 0, 4, int(seed)))
    assert not desktop.page.locator("#sample-class").is_visible()


def test_interpolate_tab(desktop):
    desktop.open_tab("Interpolate")
    desktop.choose("#interpolate-model input", "cgan_mnist")
    step, steps = demo.interpolation_step("cgan_mnist", 0, 3, 8, 0.5)
    desktop.wait_for_equal("step", step)
    desktop.wait_for_equal("steps", steps)
    desktop.slide("#position", "End")
    desktop.wait_for_equal("step", demo.interpolation_step("cgan_mnist", 0, 3, 8, 1)[0])
    desktop.choose("#first-class input", "8")
    desktop.wait_for_equal("steps", demo.interpolation_step("cgan_mnist", 0, 8, 8, 1)[1])
    desktop.choose("#interpolate-model input", "dcgan_mnist")
    desktop.wait_for_equal("steps", demo.interpolation_step("dcgan_mnist", 0, 0, 0, 1)[1])
    assert not desktop.page.locator("#first-class").is_visible()
    desktop.slide("#interpolate-code", "End")
    step, steps = demo.interpolation_step("dcgan_mnist", 0, 0, 0, 1, 3, 0, 0, 0)
    desktop.wait_for_equal("step", step)
    desktop.wait_for_equal("steps", steps)


def test_reconstruct_tab(desktop):
    desktop.open_tab("Reconstruct")
    desktop.press("Reconstruct")
    desktop.page.get_by_text("draw a digit first").wait_for()
    desktop.draw("drawing", [(0.5, 0.2), (0.5, 0.8)])
    desktop.press("Reconstruct")
    # The browser's drawing of a stroke is read as a stroke, not as a white square.
    stroke = demo.enlarge_to(demo.SIDE, demo.digit_of(drawn(slice(26, 253), slice(128, 152))))
    image = desktop.wait_for_image("input", lambda image: image.shape == stroke.shape)
    assert np.abs(image.astype(float) - stroke).mean() < 12
    digit = image[::13, ::13, :1]
    z, _ = demo.load_cached("vae_mnist").encode(digit[None])
    desktop.wait_for_equal("reconstruction", demo.decode("vae_mnist", 0, z, 0, 0, 0, 0))
    desktop.slide("#reconstruct-code", "End")
    desktop.wait_for_equal("reconstruction", demo.decode("vae_mnist", 0, z, 3, 0, 0, 0))
    # An example replaces the drawing.
    desktop.page.locator("#drawing-examples button").nth(1).click()
    six = demo.enlarge_to(demo.SIDE, demo.digit_of(rgba(demo.example_digits()["6"])))
    assert np.abs(six.astype(float) - stroke).mean() > 25
    desktop.wait_for_image("input", is_similar_to(six, 15), "Reconstruct")


def test_translate_tab(desktop):
    desktop.open_tab("Translate")
    labels = demo.example_house(TRANSLATORS[0], "xy")
    photograph, truth = demo.translate(TRANSLATORS[0], "xy", editor_value(labels))
    desktop.press("Translate")
    desktop.wait_for_equal("translation", photograph)
    desktop.wait_for_equal("truth", truth)
    if "TFGAN_ZOO_SCREENSHOT" in os.environ:  # write the image of the documentation
        desktop.page.screenshot(path=os.environ["TFGAN_ZOO_SCREENSHOT"], type="jpeg", quality=80)
    # A stroke in the color of the sky, the first one, changes the labels along it.
    desktop.draw("house", [(0.3, 0.6), (0.9, 0.6)])
    desktop.press("Translate")
    changed = desktop.wait_for_image("truth", differs_from(truth))
    rows = np.flatnonzero(np.abs(changed.astype(int) - truth).max(axis=(1, 2)) > 30) / demo.SIDE
    assert 0.5 < rows.min() < rows.max() < 0.8
    desktop.wait_for_image("translation", is_similar_to(changed))
    # Each press shows another house with its translation.
    for _ in range(2):
        previous = desktop.image("truth")
        desktop.press("Another house")
        truth = desktop.wait_for_image("truth", differs_from(previous))
        translated = desktop.wait_for_image("translation", is_similar_to(truth))
        # Translate sends the same house, as soon as the canvas has loaded it.
        results = None
        begin = time.monotonic()
        while results is None or difference(results[1], truth):
            assert time.monotonic() < begin + 120, "the canvas has another house"
            drawing = desktop.press_translate()
            results = demo.translate(TRANSLATORS[0], "xy", {"composite": drawing})
        assert difference(results[0], translated) <= 1
    # CycleGAN has the inverse direction. The old results disappear.
    desktop.choose("#translate-model input", TRANSLATORS[1])
    desktop.page.get_by_label("photograph to labels").click()
    desktop.page.locator("#truth").wait_for(state="hidden")
    desktop.page.locator("#translation img").wait_for(state="detached")
    desktop.press("Translate")
    photograph = demo.example_house(TRANSLATORS[1], "yx")
    labels, _ = demo.translate_image(TRANSLATORS[1], "yx", photograph)
    desktop.wait_for_image("translation", is_similar_to(labels, 10), "Translate")


def test_image_of_the_documentation():
    path = ROOT / "docs/assets/demo.jpg"
    with Image.open(path) as image:
        assert image.size == (1280, 900)
    assert path.stat().st_size < 200_000


def test_stylize_tab(desktop, tmp_path):
    desktop.open_tab("Stylize")
    photo, mosaic, hatching, bad = (
        tmp_path / name for name in ("photo.png", "mosaic.png", "hatching.png", "bad.png")
    )
    Image.fromarray(builtin_images.photograph("china")).save(photo)
    for path, name in ((mosaic, "mosaic"), (hatching, "hatching")):
        Image.fromarray(builtin_images.style_image(name)).save(path)

    def stylized(source, content, style, size=160):
        return demo.stylize(source, str(content), str(style), None, 0.5, size, 1, False)

    # The page opens with a photograph and a style.
    desktop.slide("#size", "Home")
    desktop.slide("#size", "ArrowRight")
    desktop.press("Stylize")
    desktop.wait_for_equal("stylized", stylized("adain_folder_128", photo, mosaic))
    source = desktop.page.locator("#style img").get_attribute("src")
    desktop.page.locator("#style-examples button").nth(2).click()
    desktop.page.locator(f"#style img:not([src='{source}'])").wait_for()
    desktop.press("Stylize")
    desktop.wait_for_equal("stylized", stylized("adain_folder_128", photo, hatching))
    # An own photograph.
    Image.fromarray(builtin_images.photograph_crop(0, 64)).save(photo)
    desktop.page.get_by_label("Remove Image").first.click()
    desktop.press("Stylize")
    desktop.page.get_by_text("choose a photograph first").wait_for()
    desktop.page.locator("#content input[type=file]").set_input_files(photo)
    desktop.page.locator("#content img").wait_for()
    # A model of one style offers no styles.
    desktop.choose("#stylize-model input", "fast_mosaic")
    desktop.page.locator("#style").wait_for(state="hidden")
    desktop.press("Stylize")
    desktop.wait_for_equal("stylized", stylized("fast_mosaic", photo, mosaic))
    # Optimization shows its progress.
    desktop.choose("#stylize-model input", "gatys")
    desktop.page.locator("#style").wait_for()
    desktop.press("Stylize")
    desktop.page.get_by_text("64x64 pixels, iteration").first.wait_for()
    desktop.wait_for_equal("stylized", stylized("gatys", photo, hatching))
    # A file that cannot be read.
    bad.write_text("not an image")
    desktop.page.get_by_label("Remove Image").first.click()
    desktop.page.locator("#content input[type=file]").set_input_files(bad)
    desktop.page.locator("#content img").wait_for(state="attached")
    desktop.press("Stylize")
    desktop.page.get_by_text("a photograph cannot be read").wait_for()


def test_phone(browser, address):
    """All tabs fit a phone of 390 pixels, and work."""
    phone = Page(browser, address, 390)
    for tab, button, result in (
        ("Sample", "New images", "samples"),
        ("Interpolate", None, "steps"),
        ("Reconstruct", "Reconstruct", "reconstruction"),
        ("Translate", "Another house", "translation"),
        ("Stylize", "Stylize", "stylized"),
    ):
        phone.open_tab(tab)
        if tab == "Reconstruct":
            phone.draw("drawing", [(0.5, 0.2), (0.5, 0.8)])
        if button:
            phone.press(button)
        phone.wait_for_image(result, lambda image: True)
        box = phone.page.locator(f"#{result} img").bounding_box()
        assert box["x"] >= 0 and box["width"] > 100 and box["x"] + box["width"] <= 390, tab
        assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390, tab
    assert not phone.errors


# --- Hugging Face Space


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """Return the folder of a Space with a preset and a run."""
    pytest.importorskip("gradio", reason="the extra demo is not installed")
    folder = tmp_path_factory.mktemp("space")
    train("cgan_tiny", "train.epochs=1", "train.steps_per_epoch=1", run_dir=folder / "my_run")
    command = ["demo", "pix2pix_facades_synthetic", folder / "my_run", "--export-space"]
    assert cli.main([*map(str, command), str(folder / "space")]) == 0
    return folder / "space"


def test_space_has_settings_app_requirements_and_models(space):
    import gradio
    import yaml

    assert {path.name for path in space.iterdir()} == {
        "README.md",
        "app.py",
        "requirements.txt",
        "models",
    }
    _, header, _ = (space / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    settings = yaml.safe_load(header)
    assert settings["sdk"] == "gradio" and settings["sdk_version"] == gradio.__version__
    assert settings["app_file"] == "app.py" and settings["license"] == "mit"
    assert settings["python_version"] == "3.12" and len(settings["short_description"]) <= 60
    assert (space / "requirements.txt").read_text().startswith("tfgan_zoo[demo] @ git+https://")
    models = {path.name for path in (space / "models").iterdir()}
    assert models == {"pix2pix_facades_synthetic", "my_run"}
    for name in models:
        files = {path.name for path in (space / "models" / name).iterdir()}
        assert {"saved_model.pb", "variables", "experiment.json", "README.md"} <= files


def test_app_of_a_space_serves_its_models_without_a_network(space, tmp_path):
    """Run app.py of a copy, in a process that can only connect to this machine."""
    copy = shutil.copytree(space, tmp_path / "copy")
    (tmp_path / "sitecustomize.py").write_text(
        "import socket\n"
        "connect = socket.socket.connect\n"
        "def local(self, address):\n"
        "    if isinstance(address, tuple) and address[0] not in ('127.0.0.1', 'localhost'):\n"
        "        raise OSError(f'no network, got {address}')\n"
        "    return connect(self, address)\n"
        "socket.socket.connect = local\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "GRADIO_SERVER_PORT": str(port)}
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, str(copy / "app.py")], cwd="/", env=env, stdout=file, stderr=file
        )
    try:
        config = None
        while config is None and process.poll() is None:
            with contextlib.suppress(OSError):
                url = f"http://127.0.0.1:{port}/"
                with urllib.request.urlopen(f"{url}config", timeout=5) as answer:
                    config = answer.read().decode()
            time.sleep(0.2)
        assert config, log.read_text()
        assert "my_run" in config and "pix2pix_facades_synthetic" in config
        assert "vae_mnist" not in config and "gatys" not in config
        assert "complete" in call(url, "sample", "my_run", 0, 4, 1)
    finally:
        process.terminate()
        process.wait()


def test_space_needs_an_empty_folder_and_different_names(tmp_path, capsys):
    pytest.importorskip("gradio", reason="the extra demo is not installed")
    (tmp_path / "file").touch()
    new, twice = tmp_path / "new", ["dcgan_mnist", str(ROOT / "saved_models/dcgan_mnist")]
    for sources, folder, message in (
        (["dcgan_mnist"], tmp_path, "a Space is written to a new or an empty folder, got"),
        (["dcgan_mnist"], tmp_path / "file", "a Space is written to a new or an empty folder"),
        (twice, new, "got 'dcgan_mnist' twice"),
        (["dcgan_mnits"], new, "Did you mean dcgan_mnist"),
    ):
        assert cli.main(["demo", *sources, "--export-space", str(folder)]) == 2
        assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_space_without_gradio_names_the_extra(monkeypatch, tmp_path):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(UserError, match=r'pip install "tfgan_zoo\[demo\]"'):
        write_space(tmp_path / "space", ["dcgan_mnist"])
