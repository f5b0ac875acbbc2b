"""Stylize image files: formats, colors, resuming, the command, and trained networks."""

import dataclasses
import functools
import json

import numpy as np
import pytest
import tensorflow as tf
from helpers import make, run_cli
from PIL import Image

from tfgan_zoo import cli
from tfgan_zoo.data import builtin_images, transforms
from tfgan_zoo.data.color_transfer import (
    histogram_matcher,
    keep_colors,
    match_color_statistics,
)
from tfgan_zoo.errors import UserError
from tfgan_zoo.inference.gatys import estimate_memory, gatys_stylizer
from tfgan_zoo.inference.stylize import COLOR_MODES, network_stylizer, stylize
from tfgan_zoo.models import style_transfer
from tfgan_zoo.models.style_transfer import StyleTransferConfig
from tfgan_zoo.saving.exported import load
from tfgan_zoo.training.train import train

SMALL = StyleTransferConfig(features_width=4, iterations=6, smallest=32)
CONTENT = builtin_images.photograph("china")[100:148, 200:264]  # 48x64
STYLE = builtin_images.style_image("mosaic", 64)


def run_stylize(*arguments):
    return cli.main(["stylize", *map(str, arguments)])


# --- files


def negative(content, adapt_colors):
    """Stylizer that inverts the image."""
    return 255 - content, {"extra": 1}


def rotated_exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_all_formats_are_stylized(tmp_path):
    rgb = Image.fromarray(CONTENT)
    alpha = Image.fromarray(np.linspace(0, 255, 48 * 64).reshape(48, 64).astype(np.uint8))
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    folder = tmp_path / "in"
    folder.mkdir()
    rgb.save(folder / "a.jpg", exif=rotated_exif(6))
    rgb.convert("L").save(folder / "gray.png")
    rgba.save(folder / "alpha.png")
    rgba.convert("LA").save(folder / "gray_alpha.png")
    Image.fromarray(CONTENT[..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    rgb.convert("P").save(folder / "palette.gif")
    (folder / "broken.png").write_bytes(b"not an image")
    result = stylize(negative, [folder], tmp_path / "out")
    assert [record["input"] for record in result["failed"]] == [str(folder / "broken.png")]
    assert all(record["extra"] == 1 for record in result["stylized"])
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a.jpg", "alpha.png", "deep.png", "gray.png", "gray_alpha.png", "palette.png"]
    outputs = {name: Image.open(tmp_path / "out" / name) for name in names}
    assert outputs["a.jpg"].size == (48, 64)  # rotated as its EXIF tag says
    modes = {name: image.mode for name, image in outputs.items()}
    expected = {"alpha.png": "RGBA", "gray_alpha.png": "RGBA"}
    assert modes == dict.fromkeys(names, "RGB") | expected
    pixels = np.asarray(outputs["alpha.png"])
    np.testing.assert_array_equal(pixels[..., 3], alpha)
    opaque = np.asarray(alpha) == 255
    np.testing.assert_array_equal(pixels[opaque][:, :3], 255 - CONTENT[opaque])
    np.testing.assert_array_equal(np.asarray(outputs["deep.png"])[..., 1], 255 - CONTENT[..., 0])
    # JPEG has no alpha channel.
    record = stylize(negative, [folder / "alpha.png"], tmp_path / "flat.jpg")["stylized"][0]
    assert Image.open(record["output"]).mode == "RGB"


def test_size_and_built_in_photographs(tmp_path):
    output = tmp_path / "out.png"
    result = stylize(negative, ["china"], output, size=100)
    record = {"input": "china", "output": str(output), "width": 100, "height": 67, "extra": 1}
    assert result["stylized"] == [record]
    assert Image.open(output).size == (100, 67)
    with pytest.raises(UserError, match="already"):
        stylize(negative, ["flower"], output)


@pytest.mark.parametrize("colors", COLOR_MODES)
def test_color_modes(colors, tmp_path):
    styles = []

    def stylizer(content, adapt_colors):
        styles.append(adapt_colors(STYLE))
        return 255 - content, {}

    Image.fromarray(CONTENT).save(tmp_path / "in.png")
    stylize(stylizer, [tmp_path / "in.png"], tmp_path / "out.png", colors=colors)
    expected = keep_colors(255 - CONTENT, CONTENT) if colors == "keep" else 255 - CONTENT
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), expected)
    adapted = {
        "match": match_color_statistics(STYLE, CONTENT),
        "histogram": histogram_matcher([CONTENT])(STYLE),
    }
    np.testing.assert_array_equal(styles[0], adapted.get(colors, STYLE))


# --- optimization


def test_an_interrupted_image_keeps_the_best_and_is_resumed(tmp_path):
    calls = []

    def interrupt(size, iterations, iteration, losses):
        calls.append((size, iteration, losses["image"]))
        if len(calls) == 9:
            raise KeyboardInterrupt

    def run(content=CONTENT, progress=None):
        stylizer = gatys_stylizer([STYLE], SMALL, progress=progress, folder=tmp_path)
        return stylizer(content, lambda style: style)

    image, details = run(progress=interrupt)
    assert not details["finished"] and details["losses"]["image"] == calls[8][2]
    assert [call[:2] for call in calls[5:7]] == [((34, 45), 6), ((48, 64), 1)]
    assert image.shape == CONTENT.shape and image.dtype == np.uint8
    (folder,) = tmp_path.iterdir()
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["45x34.png", "64x48.png", "state.npz"]
    np.testing.assert_array_equal(np.asarray(Image.open(folder / "64x48.png")), image)
    # Resume, and call again when nothing is left to do.
    iterations = []
    finished, resumed = run(progress=lambda size, total, i, losses: iterations.append(i))
    assert resumed["finished"] and iterations == [4, 5, 6]
    assert resumed["losses"]["image"] < details["losses"]["image"]
    again, repeated = run()
    np.testing.assert_array_equal(again, finished)
    assert repeated["losses"] == resumed["losses"]
    run(CONTENT[:32, :32])
    assert len(list(tmp_path.iterdir())) == 2  # other arguments have their own folder


@functools.cache
def uninterrupted(config):
    return gatys_stylizer([STYLE], config)(CONTENT, lambda style: style)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("stop", [3, 6, 9])
def test_an_interrupted_image_ends_as_an_uninterrupted_one(optimizer, stop, tmp_path):
    """To the bit, if it is interrupted at one size, between two, or twice."""
    config = dataclasses.replace(SMALL, optimizer=optimizer)
    calls = []

    def interrupt(size, iterations, iteration, losses):
        calls.append(iteration)
        if len(calls) == stop:
            raise KeyboardInterrupt

    def run(folder, progress=None):
        stylizer = gatys_stylizer([STYLE], config, progress=progress, folder=folder)
        return stylizer(CONTENT, lambda style: style)

    expected, details = uninterrupted(config)
    assert not run(tmp_path, interrupt)[1]["finished"]
    if stop == 9:
        calls[:] = [0] * 8
        assert not run(tmp_path, interrupt)[1]["finished"]
    resumed, resumed_details = run(tmp_path)
    np.testing.assert_array_equal(resumed, expected)
    assert resumed_details["losses"] == details["losses"]


def test_a_damaged_state_is_replaced(tmp_path):
    lines = []
    stylizer = gatys_stylizer([STYLE], SMALL, say=lines.append, folder=tmp_path)
    expected, _ = stylizer(CONTENT, lambda style: style)
    (state,) = tmp_path.glob("*/state.npz")
    content = state.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 255
    for damaged in (b"", content[:1000], bytes(len(content)), bytes(flipped)):
        state.write_bytes(damaged)
        lines.clear()
        image, _ = stylizer(CONTENT, lambda style: style)
        np.testing.assert_array_equal(image, expected)
        assert [line for line in lines if f"{state} cannot be read" in line]
        assert state.stat().st_size == len(content)


def test_memory_grows_with_the_image_until_there_are_tiles():
    floats = SMALL.feature_network(SMALL.feature_layers).floats_per_pixel
    small, large, tiled = (
        estimate_memory([size], SMALL, floats, 256)
        for size in ((128, 128), (256, 256), (2048, 2048))
    )
    whole = estimate_memory([(2048, 2048)], SMALL, floats, 0)
    assert small < large < tiled < 0.6 * whole  # the rest is the history of L-BFGS


def test_command_with_gatys(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    quick = ["--size", "48", "--iterations", "3", "--style-weight", "5"]
    mosaic = ["china", "--style", "mosaic"]
    assert run_stylize(*mosaic, "strokes", "--style-weights", "2,1", *quick, "--json") == 0
    captured = capsys.readouterr()
    (record,) = json.loads(captured.out)["stylized"]
    assert record["width"] == 48 and record["finished"]
    assert set(record["losses"]) == {"image", "style", "content", "variation"}
    assert "--features medium" not in captured.err and "GiB of memory" in captured.err
    assert run_stylize(*mosaic, *quick, "--features", "random", "-o", "random.png") == 0
    assert "--features medium" in capsys.readouterr().err
    assert Image.open("stylized.png").size == (48, 32)
    # Scores of the image and of the baselines.
    assert run_stylize(*mosaic, *quick, "--scores", "--overwrite") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[:-1]]
    assert [row[1] for row in rows] == ["result", "content", "style"]
    of_result, of_content, of_style = (float(row[-5]) for row in rows)
    assert of_style < of_result < of_content


def test_errors_of_the_command_with_gatys(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "gatys"]) == cli.main(["evaluate", "gatys"]) == 2
    assert capsys.readouterr().err.count("tfgan-zoo stylize --preset gatys") == 2
    mosaic, output = ["china", "--style", "mosaic"], ["-o", "x.png"]
    for arguments, message in (
        (["china"], "--style"),
        ([*mosaic, *output, "--alpha", "0.5"], "adain"),
        (["china", "--style", "nothing.png", *output], "a style must be"),
        (["nothing.png", "--style", "mosaic", *output], "no such"),
        ([*mosaic, *output, "--features", "no.keras"], "path of an existing file"),
        ([*mosaic, *output, "--preset", "dcgan_mnist"], "tfgan-zoo sample"),
        ([*mosaic, "--preset", "dcgan_mnist", "--iterations", "3"], "for --preset gatys"),
    ):
        assert run_stylize(*arguments) == 2, arguments
        assert message in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()


def test_ctrl_c_writes_the_image_and_stops(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lbfgs = style_transfer.lbfgs

    def interrupted(*arguments, **options):
        for i, iterate in enumerate(lbfgs(*arguments, **options)):
            if i == 2:
                raise KeyboardInterrupt
            yield iterate

    monkeypatch.setattr(style_transfer, "lbfgs", interrupted)
    assert run_stylize("china", "flower", "--style", "mosaic", "--size", "48", "-o", "out") == 130
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["china.png"]
    stylized = np.asarray(Image.open("out/china.png")).astype(int)
    content = transforms.resize_longer_side(builtin_images.photograph("china"), 48)
    assert stylized.shape == content.shape and np.abs(stylized - content).mean() > 0.5


def test_command_with_masks_tiles_and_folders(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    left = np.zeros((100, 150), np.uint8)
    left[:, :75] = 255
    Image.fromarray(left).save("left.png")
    Image.fromarray(255 - left).save("right.png")
    Image.fromarray(CONTENT[:10, :40]).save("tiny.png")
    styles = ["--style", "mosaic", "strokes", "--mask", "left.png", "right.png"]
    quick = ["--iterations", "2", "--tile", "32", "--size", "48"]
    folders = ["--work-dir", "work", "-o", "out"]
    assert run_stylize("china", "tiny.png", "flower", *styles, *quick, *folders) == 1
    assert "at least 32 pixels on each side, got uint8 (12, 48, 3)" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["china.png", "flower.png"]
    assert len(list((tmp_path / "work").iterdir())) == 2
    missing = ["--mask", "nothing.png", "-o", "x.png"]
    assert run_stylize("china", "--style", "mosaic", *missing) == 2
    assert "got nothing.png" in capsys.readouterr().err


# --- trained networks


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folder with runs of the tiny presets."""
    folder = tmp_path_factory.mktemp("runs")
    options = ["train.epochs=1", "train.evaluate_every=1", "train.best=style"]
    for name in ("fast_tiny", "adain_tiny"):
        train(name, *options, run_dir=folder / name)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fast_tiny", "adain_tiny"])
def test_networks_train_evaluate_export_and_stylize(name, runs, tmp_path, capsys):
    run = runs / name
    assert Image.open(run / "samples/epoch_0001.png").size[0] > 100
    assert "eval_style" in (run / "metrics.csv").read_text() and (run / "best/checkpoints").is_dir()
    card = (run / "saved_model/README.md").read_text()
    assert "tfgan-zoo stylize" in card and "CC BY 2.0" in card
    # The run and its SavedModel give the same image.
    style = ["--style", "mosaic"] if name == "adain_tiny" else []
    images = []
    for source in (run, run / "saved_model"):
        target = tmp_path / f"{source.name}.png"
        options = ["--preset", source, *style, "--size", "100", "-o", target]
        assert run_stylize("china", *options) == 0
        images.append(np.asarray(Image.open(target)).astype(int))
    assert images[0].shape == (67, 100, 3) and np.abs(images[0] - images[1]).max() <= 1
    capsys.readouterr()
    # Scores and their baselines.
    assert cli.main(["evaluate", str(run), "--samples", "4", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert set(scores) == {"style", "content", "ssim"}
    assert scores["style"]["baselines"]["style image"] < 0.5
    assert scores["ssim"]["baselines"]["content image"] == 1
    assert scores["content"]["baselines"]["content image"] == 0
    # A style for a model of one style, and none for a model of any style.
    wrong_style = ["--style", "mosaic"] if name == "fast_tiny" else []
    assert run_stylize("china", "--preset", run, *wrong_style, "-o", tmp_path / "no.png") == 2
    assert ("one style" if wrong_style else "--style") in capsys.readouterr().err


@pytest.mark.parametrize("weights", ["nan", "inf", "1e308,1e308", "-1,2", "0,0", "1,2,3"])
def test_wrong_style_weights_are_refused_before_any_work(weights, runs, tmp_path, capsys):
    styles = ["mosaic", "strokes"][: weights.count(",") + 1]
    for preset in ("gatys", runs / "adain_tiny"):
        options = ["--preset", preset, f"--style-weights={weights}", "-o", tmp_path / "a.png"]
        assert run_stylize("china", "--style", *styles, *options) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1
        assert f"a finite number of at least 0 for each of {len(styles)} styles" in captured.err
    assert list(tmp_path.iterdir()) == []


def test_weights_of_an_exported_signature_are_checked(runs):
    signature = load(runs / "adain_tiny/saved_model").signatures["stylize"]
    images, styles = tf.constant(CONTENT[None]), tf.constant(np.stack([STYLE, STYLE]))

    def call(*weights):
        return signature(
            images=images, styles=styles, weights=tf.constant(weights), alpha=tf.constant(1.0)
        )

    call(1.0, 0.0)
    for weights in ((np.nan, 1.0), (np.inf, 1.0), (-1.0, 2.0), (0.0, 0.0)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="weights must be finite"):
            call(*weights)


def test_a_style_scale_of_0_is_an_error(tmp_path, capsys):
    options = ["--style", "mosaic", "--style-scale", "0", "-o", tmp_path / "a.png"]
    with pytest.raises(SystemExit, match="2"):
        run_stylize("china", *options)
    assert "--style-scale: must be a number between 0.05 and 20, got '0'" in capsys.readouterr().err


def test_images_that_fail_are_named_and_the_exit_code_is_1(runs, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/bad.png").write_text("not an image")
    Image.fromarray(CONTENT).save(tmp_path / "in/good.png")
    options = ["--preset", runs / "fast_tiny", "-o", tmp_path / "out"]
    assert run_stylize(tmp_path / "in", *options) == 1
    captured = capsys.readouterr()
    assert "1 image stylized" in captured.out and (tmp_path / "out/good.png").is_file()
    assert captured.err.endswith(
        f"error: 1 of 2 images could not be stylized: {tmp_path / 'in/bad.png'}\n"
    )


def test_an_image_in_tiles_keeps_its_size(runs, tmp_path):
    options = ["--preset", runs / "fast_tiny", "--tile", "64", "--size", "150"]
    assert run_stylize("china", *options, "-o", tmp_path / "a.png") == 0
    assert Image.open(tmp_path / "a.png").size == (150, 100)


def test_tiles_of_adain_have_the_statistics_of_the_whole_image():
    """Tiles with their own statistics would differ more from the whole image."""
    model = make("adain_tiny")
    content = np.ascontiguousarray(builtin_images.photograph("flower")[:128, :256])
    whole = model.stylize(content, [STYLE]).astype(int)
    tiled, _ = network_stylizer(model, [STYLE], tile=160)(content, lambda style: style)
    assert np.abs(tiled - whole).mean() < 1
    left = model.stylize(content[:, :128], [STYLE])
    error, tiled_error = (np.abs(image[:, :128] - whole[:, :128]).mean() for image in (left, tiled))
    assert error > tiled_error


def test_help_needs_no_tensorflow_and_names_the_options():
    process = run_cli("stylize", "--help")
    assert process.returncode == 0
    assert "--style-scale" in process.stdout and "--mask" in process.stdout
