"""Functions of the demo's tabs, and the page in a browser (Gradio, Playwright and Chromium)."""

import contextlib
import json
import os
import shutil
import socket
import types
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from tfgan_zoo import cli
from tfgan_zoo.data import builtin_images, facades
from tfgan_zoo.errors import UserError
from tfgan_zoo.tools import demo


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


def test_generate_returns_a_grid_of_the_requested_images():
    sheet = demo.generate("cgan_mnist", "7", 6, 3)
    images = demo.load_cached("cgan_mnist").sample(6, seed=3, labels=[7] * 6)
    np.testing.assert_array_equal(
        sheet[8 : 8 + 28 * 4 : 4, 8 : 8 + 28 * 4 : 4, 0], images[0, :, :, 0]
    )
    assert sheet.shape == (2 * 30 * 4 + 8, 3 * 30 * 4 + 8, 3) and sheet.dtype == np.uint8
    assert demo.generate("gan_mnist", demo.ANY_DIGIT, 4, 0).shape == (248, 248, 3)
    with pytest.raises(UserError, match="choose cgan_mnist"):
        demo.generate("gan_mnist", "7", 6, 3)


def test_interpolation_goes_from_one_digit_to_the_other():
    ends = [
        demo.interpolation_step("cgan_mnist", 0, "3", "8", position)[0] for position in (0.0, 1.0)
    ]
    for end, label in zip(ends, (3, 8), strict=True):
        model = demo.load_cached("cgan_mnist")
        image = model.generate(model.latent(1, 0), [label])[0]
        np.testing.assert_array_equal(end[8 : 8 + 28 * 4 : 4, 8 : 8 + 28 * 4 : 4, 0], image[..., 0])
    step, steps = demo.interpolation_step("dcgan_mnist", 0, "3", "8", 0.5)
    assert step.shape == (128, 128, 3) and steps.shape[1] == (9 * 30 + 2) * 4


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


def test_requests_are_limited(tmp_path, monkeypatch):
    stored = tmp_path / "stored"
    stored.write_bytes(bytes(100))
    blocks = types.SimpleNamespace(upload_file_set={str(stored), str(tmp_path / "deleted")})
    monkeypatch.setattr(demo, "MAX_REQUEST_BYTES", 60)
    monkeypatch.setattr(demo, "MAX_STORED_BYTES", 150)

    def status(path, size):
        headers = [] if size is None else [(b"content-length", str(size).encode())]
        scope = {"method": "POST", "path": path, "headers": headers}
        refusal = demo.UploadLimits(None, blocks).refusal(scope)
        return refusal and refusal[0]

    assert status("/gradio_api/upload", 50) is None
    assert status("/gradio_api/upload", 51) == 507
    assert status("/gradio_api/queue/join", 60) is None
    assert status("/gradio_api/queue/join", 61) == 413
    assert status("/gradio_api/upload", None) == 411


def test_reconstruction_of_a_stroke_is_similar_to_it():
    digit, reconstruction = demo.reconstruct({"composite": drawn(slice(10, 200), slice(100, 120))})
    assert digit.shape == reconstruction.shape
    assert np.abs(digit.astype(float) - reconstruction).mean() < 20  # the stroke is a one


def test_translate_accepts_any_size_and_uses_the_nearest_labels():
    labels = demo.facade(0)
    noisy = np.clip(labels[::3, ::3].astype(int) + 20, 0, 255).astype(np.uint8)
    for preset in demo.TRANSLATORS:
        photograph = demo.translate(preset, {"composite": labels})
        np.testing.assert_array_equal(demo.translate(preset, {"composite": noisy}), photograph)
    truth = facades.render(facades.layout(0, 128)).astype(float)
    photograph = demo.translate(demo.TRANSLATORS[0], {"composite": labels})[::3, ::3]
    assert np.abs(photograph.astype(float) - truth).mean() < 20
    for empty in (None, {"composite": None}):
        with pytest.raises(UserError, match="draw a facade"):
            demo.translate(demo.TRANSLATORS[0], empty)


def test_invalid_uploads_raise(tmp_path):
    bad, tiny, empty = tmp_path / "bad.png", tmp_path / "tiny.png", tmp_path / "empty.jpg"
    bad.write_text("not an image")
    empty.write_bytes(b"")
    Image.new("RGB", (31, 40)).save(tiny)
    for path, message in (
        (bad, "cannot be read"),
        (empty, "cannot be read"),
        (tiny, "got 31x40"),
        (None, "choose a photograph first"),
    ):
        with pytest.raises(UserError, match=message):
            demo.read_upload(path and str(path), "a photograph")
    gray = tmp_path / "gray.png"
    Image.new("LA", (40, 50), (100, 0)).save(gray)
    assert (demo.read_upload(str(gray), "a photograph") == 255).all()  # transparent: white


def test_stylize_keeps_the_photographs_aspect_ratio(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(builtin_images.photograph("china")).save(path)
    stylized = {
        preset: demo.stylize(preset, str(path), "mosaic", None, 96, 1.0)
        for preset in demo.stylizers()
    }
    assert {"adain_folder_128", "fast_mosaic", "gatys"} <= set(stylized)
    assert {image.shape for image in stylized.values()} == {(64, 96, 3)}
    with_own_style = demo.stylize("adain_folder_128", str(path), "mosaic", str(path), 96, 1.0)
    assert (with_own_style != stylized["adain_folder_128"]).any()


def test_command_names_the_missing_extra(monkeypatch, capsys):
    import builtins

    real = builtins.__import__

    def without_gradio(name, *args, **kwargs):
        if name == "gradio":
            raise ImportError("No module named 'gradio'")
        return real(name, *args, **kwargs)

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
def address():
    pytest.importorskip("gradio", reason="the extra demo is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    blocks, address = demo.serve(port=port)
    yield address
    blocks.close()


def test_page_hands_out_no_file_of_the_server(address, tmp_path):
    secret = tmp_path / "secret.png"
    Image.fromarray(builtin_images.photograph_crop(0, 64)).save(secret)
    uploads = {"path": str(secret)}, {"path": str(secret), "meta": {"_type": "gradio.FileData"}}
    for upload in uploads:
        drawing = {"background": upload, "layers": [upload], "composite": upload}
        for name, data in (
            ("stylize", ["adain_folder_128", upload, "mosaic", None, 128, 0]),
            ("reconstruct", [drawing]),
            ("reconstruct", [{**drawing, "composite": None, "background": None}]),
            ("translate", [demo.TRANSLATORS[0], drawing]),
        ):
            events = call(address, name, *data)
            assert "event: error" in events and "event: complete" not in events, events
    # The style's own field, with an uploaded photograph.
    body = b"--b\r\nContent-Disposition: form-data; name=files; filename=a.png\r\n\r\n"
    body += secret.read_bytes() + b"\r\n--b--\r\n"
    multipart = {"Content-Type": "multipart/form-data; boundary=b"}
    _, answer = post(f"{address}gradio_api/upload", body, multipart)
    photo = {"path": json.loads(answer)[0]}
    arguments = ["adain_folder_128", photo, "mosaic"]
    assert "event: complete" in call(address, "stylize", *arguments, None, 128, 0)
    assert "event: error" in call(address, "stylize", *arguments, uploads[0], 128, 0)


def test_page_refuses_large_requests(address):
    body = bytes(demo.MAX_REQUEST_BYTES + 1)
    # The server may close the connection before it has received everything.
    with contextlib.suppress(ConnectionError, urllib.error.URLError):
        assert post(f"{address}gradio_api/upload", body, {})[0] == 413


@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser(address, width, tmp_path):
    """Every tab works and fits the width of a desktop and of a phone."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        pytest.skip("Chromium is not installed")
    photo, bad = tmp_path / "photo.png", tmp_path / "bad.png"
    Image.fromarray(builtin_images.photograph_crop(0, 64)).save(photo)
    bad.write_text("not an image")
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900})
        hosts, errors = set(), []
        page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)

        def tab(name):
            page.get_by_role("tab", name="Generate").wait_for()
            tabs = page.get_by_role("tab", name=name).locator("visible=true")
            if tabs.count():
                tabs.first.click()
            else:
                page.get_by_label("More tabs").click()
                page.get_by_role("button", name=name, exact=True).locator(
                    "visible=true"
                ).last.click()

        def click(name):
            page.get_by_role("button", name=name, exact=True).locator("visible=true").last.click()

        def width_of(name):
            """Wait for an image of the page and return its width."""
            image = page.locator(f"#{name} img")
            image.wait_for(timeout=120_000)
            return image.evaluate("image => image.decode().then(() => image.naturalWidth)")

        def fits():
            return page.evaluate("document.documentElement.scrollWidth") <= width

        tab("Generate")
        click("Generate")
        assert width_of("images") == 5 * 30 * 4 + 8 and fits()
        tab("Interpolate")
        click("Interpolate")
        assert width_of("step") == 32 * 4 and fits()
        tab("Reconstruct")
        page.get_by_label("Brush").locator("visible=true").click()
        box = page.locator("canvas").locator("visible=true").first.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y - 60)
        page.mouse.down()
        page.mouse.move(x, y + 60, steps=10)
        page.mouse.up()
        click("Reconstruct")
        assert width_of("reconstruction") == 32 * 4 and fits()
        # The browser's drawing of a stroke is read as a stroke, not as a white square.
        source = page.locator("#input img").get_attribute("src")
        with urllib.request.urlopen(source) as file:
            digit = np.asarray(Image.open(file).convert("L"))[8:-8, 8:-8]  # without the frame
        assert 0.05 < (digit > 127).mean() < 0.3
        tab("Translate")
        click("Translate")
        assert width_of("photograph") == 3 * 128 and fits()
        tab("Stylize")
        click("Stylize")
        page.get_by_text("choose a photograph first").wait_for()
        page.locator("#content input[type=file]").set_input_files(bad)
        page.locator("#content img").wait_for(state="attached")
        click("Stylize")
        page.get_by_text("a photograph cannot be read").wait_for()
        assert fits()
        browser.close()
    assert hosts == {address.split("/")[2]} and not errors  # no request to another host
