"""The demo: what its tabs do, and the page in a browser where Gradio, Playwright and Chromium are there."""

import shutil
import socket

import numpy as np
import pytest
from PIL import Image

from tfgan_zoo import cli
from tfgan_zoo.data import builtin_images, facades
from tfgan_zoo.errors import UserError
from tfgan_zoo.tools import demo


def drawn(rows, columns):
    """A drawing on nothing, with ink in a rectangle."""
    drawing = np.zeros((280, 280, 4), np.uint8)
    drawing[rows, columns, 3] = 255
    return drawing


def test_generate_gives_a_sheet_of_what_was_asked_for():
    sheet = demo.generate("cgan_mnist", "7", 6, 3)
    images = demo.model("cgan_mnist").sample(6, seed=3, labels=[7] * 6)
    np.testing.assert_array_equal(
        sheet[8 : 8 + 28 * 4 : 4, 8 : 8 + 28 * 4 : 4, 0], images[0, :, :, 0]
    )
    assert sheet.shape == (2 * 30 * 4 + 8, 3 * 30 * 4 + 8, 3) and sheet.dtype == np.uint8
    assert demo.generate("gan_mnist", demo.ANY, 4, 0).shape == (248, 248, 3)
    with pytest.raises(UserError, match="choose cgan_mnist"):
        demo.generate("gan_mnist", "7", 6, 3)


def test_walk_goes_from_one_end_to_the_other():
    ends = [demo.step_of_walk("cgan_mnist", 0, "3", "8", position)[0] for position in (0.0, 1.0)]
    for end, label in zip(ends, (3, 8), strict=True):
        image = demo.model("cgan_mnist").generate(demo.model("cgan_mnist").latent(1, 0), [label])[0]
        np.testing.assert_array_equal(end[8 : 8 + 28 * 4 : 4, 8 : 8 + 28 * 4 : 4, 0], image[..., 0])
    here, way = demo.step_of_walk("dcgan_mnist", 0, "3", "8", 0.5)
    assert here.shape == (128, 128, 3) and way.shape[1] == (9 * 30 + 2) * 4


def test_a_drawing_is_centred_like_mnist():
    digit = demo.digit_of(drawn(slice(10, 110), slice(200, 250)))
    rows, columns = np.nonzero(digit[..., 0])
    assert digit.shape == (28, 28, 1) and (
        rows.min(),
        rows.max(),
        columns.min(),
        columns.max(),
    ) == (4, 23, 9, 18)
    heavy_top = drawn(slice(0, 100), slice(0, 10)) + drawn(
        slice(0, 10), slice(10, 100)
    )  # its mass is up and left
    rows, columns = np.nonzero(demo.digit_of(heavy_top)[..., 0])
    assert rows.min() > 4 and columns.min() > 4 and rows.max() <= 27 and columns.max() <= 27
    for nothing in (None, drawn(slice(0, 0), slice(0, 0))):
        with pytest.raises(UserError, match="draw a digit"):
            demo.digit_of(nothing)
    seen, again = demo.reconstruct({"composite": drawn(slice(10, 200), slice(100, 120))})
    assert (
        seen.shape == again.shape and np.abs(seen.astype(float) - again).mean() < 20
    )  # a stroke is a one


def test_translate_takes_any_size_and_the_nearest_labels():
    labels = demo.facade(0)
    noisy = np.clip(labels[::3, ::3].astype(int) + 20, 0, 255).astype(np.uint8)
    for preset in demo.TRANSLATORS:
        photograph = demo.translate(preset, {"composite": labels})
        np.testing.assert_array_equal(demo.translate(preset, {"composite": noisy}), photograph)
    truth = facades.render(facades.layout(0, 128)).astype(float)
    made = demo.translate(demo.TRANSLATORS[0], {"composite": labels})[::3, ::3].astype(float)
    assert np.abs(made - truth).mean() < 20
    for nothing in (None, {"composite": None}):
        with pytest.raises(UserError, match="draw a facade"):
            demo.translate(demo.TRANSLATORS[0], nothing)


def test_bad_uploads_get_a_sentence(tmp_path):
    bad, tiny, empty = tmp_path / "bad.png", tmp_path / "tiny.png", tmp_path / "empty.jpg"
    bad.write_text("not a picture")
    empty.write_bytes(b"")
    Image.new("RGB", (31, 40)).save(tiny)
    for path, said in (
        (bad, "cannot be read"),
        (empty, "cannot be read"),
        (tiny, "received 31x40"),
        (None, "choose a photograph first"),
    ):
        with pytest.raises(UserError, match=said):
            demo.uploaded(path and str(path), "a photograph")
    grey = tmp_path / "grey.png"
    Image.new("LA", (40, 50), (100, 0)).save(grey)
    assert (demo.uploaded(str(grey), "a photograph") == 255).all()  # transparent: white


def test_stylize_keeps_the_photographs_form(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(builtin_images.photograph("china")).save(path)
    made = {way: demo.in_style(way, str(path), "mosaic", None, 96, 1.0) for way in demo.stylizers()}
    assert {"adain_folder_128", "fast_mosaic", "gatys"} <= set(made) and {
        image.shape for image in made.values()
    } == {(64, 96, 3)}
    assert (
        demo.in_style("adain_folder_128", str(path), "mosaic", str(path), 96, 1.0)
        != made["adain_folder_128"]
    ).any()


def test_the_command_says_what_is_missing(monkeypatch, capsys):
    import builtins

    real = builtins.__import__

    def without_gradio(name, *args, **kwargs):
        if name == "gradio":
            raise ImportError("No module named 'gradio'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_gradio)
    assert cli.main(["demo"]) == 2
    said = capsys.readouterr().err
    assert 'pip install "tfgan_zoo[demo]"' in said and "http" not in said


def test_a_place_that_is_taken_is_refused():
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


@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser(address, width, tmp_path):
    """Every tab is reached, does what it says, and fits a desk's and a phone's width."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        pytest.skip("there is no Chromium")
    photo, bad = tmp_path / "photo.png", tmp_path / "bad.png"
    Image.fromarray(builtin_images.photograph_crop(0, 64)).save(photo)
    bad.write_text("not a picture")
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900})
        asked, wrong = set(), []
        page.on("request", lambda request: asked.add(request.url.split("/")[2]))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)

        def tab(name):
            page.get_by_role("tab", name="Generate").wait_for()
            found = page.get_by_role("tab", name=name).locator("visible=true")
            if found.count():
                found.first.click()
            else:
                page.get_by_label("More tabs").click()
                page.get_by_role("button", name=name, exact=True).locator(
                    "visible=true"
                ).last.click()

        def click(name):
            page.get_by_role("button", name=name, exact=True).locator("visible=true").last.click()

        def width_of(name):
            """Of the image in a place of the page, once it is there."""
            image = page.locator(f"#{name} img")
            image.wait_for(timeout=120_000)
            return image.evaluate("image => image.decode().then(() => image.naturalWidth)")

        def fits():
            return page.evaluate("document.documentElement.scrollWidth") <= width

        tab("Generate")
        click("Generate")
        assert width_of("images") == 5 * 30 * 4 + 8 and fits()
        tab("Walk")
        click("Walk")
        assert width_of("here") == 32 * 4 and fits()
        tab("Reconstruct")
        page.get_by_label("Brush").locator("visible=true").click()
        place = page.locator("canvas").locator("visible=true").first.bounding_box()
        x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        page.mouse.move(x, y - 60)
        page.mouse.down()
        page.mouse.move(x, y + 60, steps=10)
        page.mouse.up()
        click("Reconstruct")
        assert width_of("again") == 32 * 4 and fits()
        tab("Translate")
        click("Translate")
        assert width_of("photograph") == 3 * 128 and fits()
        tab("Stylise")
        click("Stylise")
        page.get_by_text("choose a photograph first").wait_for()
        page.locator("#content input[type=file]").set_input_files(bad)
        page.locator("#content img").wait_for(state="attached")
        click("Stylise")
        page.get_by_text("a photograph cannot be read").wait_for()
        assert fits()
        browser.close()
    assert asked == {address.split("/")[2]} and not wrong  # nothing comes from elsewhere
