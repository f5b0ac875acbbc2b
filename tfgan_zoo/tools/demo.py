"""Web page for trying trained models: `tfgan-zoo demo [RUN...]` (needs the extra demo: Gradio).

This file has the functions of the tabs, which work on arrays, and the server. `demo_page` lays out
the page.
"""

import contextlib
import functools
import inspect
import os
import pathlib
import re
import sys

import numpy as np
from PIL import Image

from tfgan_zoo import presets
from tfgan_zoo.data import facades, image_file
from tfgan_zoo.data.color_transfer import keep_colors
from tfgan_zoo.data.transforms import resize, resize_longer_side
from tfgan_zoo.errors import UserError, first_line
from tfgan_zoo.inference.gatys import gatys_stylizer
from tfgan_zoo.inference.latent_walk import interpolate, sorted_dimensions
from tfgan_zoo.inference.stylize import STYLE_SIDE, composite_on_white, network_stylizer
from tfgan_zoo.models import MODELS
from tfgan_zoo.models.base import ZooModel
from tfgan_zoo.models.style_transfer import pyramid_sizes
from tfgan_zoo.saving import hub
from tfgan_zoo.saving.exported import TASK_COMMANDS, load, load_experiment
from tfgan_zoo.visualize import enlarge, image_grid

REPOSITORY = "https://github.com/tfgan-zoo/tfgan_zoo"
FIRST_CHOICES = ("cgan_mnist", "pix2pix_facades_synthetic", "adain_folder_128")
OPTIMIZATION_PRESET = "gatys"
TUTORIALS = {  # class of a model: notebook
    "GAN": "01_gan",
    "DCGAN": "02_dcgan",
    "CGAN": "03_cgan",
    "VAE": "04_vae",
    "Pix2Pix": "05_pix2pix",
    "CycleGAN": "06_cyclegan",
    "StyleTransfer": "07_style_transfer",
    "FastStyle": "07_style_transfer",
    "AdaIN": "07_style_transfer",
}
FACADES = "facades_synthetic"  # the dataset of label maps, which can be drawn
ALL_CLASSES = -1
INTERPOLATION_STEPS = 25
NUM_CODE_SLIDERS = 4
SIDE = 384  # pixels of the canvas, and of small results, which are enlarged
DEFAULT_SIDE = 256  # of images for a translator whose training images have an unknown size
DRAWING_SIDE = 280  # pixels of the canvas for digits
FIRST_FACADE = 10_000  # training uses smaller numbers

# Limits of the server.
MAX_PIXELS = 40_000_000  # of an uploaded image
MAX_ASPECT = 16  # longer / shorter side of an uploaded image
MAX_REQUEST_BYTES = 20 * 2**20  # of an upload
MAX_STORED_BYTES = 2 * 2**30  # of all uploads that are not deleted yet
MAX_QUEUE = 50  # waiting requests; they are computed one by one
KEEP_SECONDS = 3600  # time after which uploads and results are deleted


# --- models


@functools.cache
def load_cached(source):
    return load(source)


@functools.cache
def experiment_of(source):
    """Return the experiment of a model; None for a SavedModel without experiment.json."""
    if source == OPTIMIZATION_PRESET:
        return presets.experiment(source)
    return load_experiment(source)


def find_models(runs=(), only_runs=False):
    """Find the models of the page and load them.

    Args:
        runs: Models that `load` takes. They come before the pretrained presets.
        only_runs: True to leave out the pretrained presets and `gatys`.

    Returns:
        {task: list of their names}. The pretrained presets are those on this machine.

    Raises:
        UserError: A run cannot be loaded, or its images cannot be shown.
    """
    pretrained = []
    if not only_runs:
        pretrained = [name for name in presets.PRESETS if hub.pretrained_folder(name)]
    pretrained.sort(key=lambda name: name not in FIRST_CHOICES)
    models = {"generate": [], "translate": [], "stylize": []}
    for source in dict.fromkeys([*map(str, runs), *pretrained]):
        model = load_cached(source)
        check_channels(source, model)
        models[model.task].append(source)
    if not only_runs:
        models["stylize"].append(OPTIMIZATION_PRESET)
    return models


def check_channels(source, model):
    """Raise `UserError` if a model's images are not gray or RGB images."""
    channels = []
    if model.task == "generate":
        channels = [model.image_shape[-1]]
    elif model.task == "translate":
        channels = [n for direction in model.directions for n in model.channels(direction)]
    if not set(channels) <= {1, 3}:
        raise UserError(
            f"the demo shows images of 1 or 3 channels, {source} has images of "
            f"{max(channels)} channels. Use tfgan-zoo {TASK_COMMANDS[model.task][1]}."
        )


def describe(source):
    """Return what a model does, its paper and its model card, as Markdown."""
    experiment, model = experiment_of(source), None
    if source != OPTIMIZATION_PRESET:
        model = load_cached(source)
    kind = type(model).__name__ if isinstance(model, ZooModel) else experiment and experiment.kind
    if not kind:
        return ""
    summary, paper, *_ = inspect.getdoc(sys.modules[MODELS[kind].__module__]).split("\n\n")
    paper = re.sub(r"arXiv (\d+\.\d+)", r"[arXiv \1](https://arxiv.org/abs/\1)", paper)
    files = {"Tutorial": f"notebooks/{TUTORIALS[kind]}.ipynb"}
    if hub.pretrained_folder(source):
        files["Model card"] = f"saved_models/{source}/README.md"
    links = [f"[{text}]({REPOSITORY}/blob/main/{file})" for text, file in files.items()]
    return " ".join(f"{summary} {paper} {', '.join(links)}.".split())


# --- generation


def image_sheet(images, columns=0):
    """Return an enlarged grid of small images: uint8 (n, h, w, c) -> (height, width, 3)."""
    grid = enlarge(image_grid(images, columns), images.shape[1])
    return grid if grid.ndim == 3 else np.repeat(grid[..., None], 3, axis=-1)


def enlarge_to(side, image):
    """Repeat the pixels of an image, so that its longer side is at most `side` pixels.

    Args:
        side: Pixels.
        image: uint8 (h, w, c), c is 1 or 3.

    Returns:
        uint8 (h', w', 3).
    """
    factor = max(1, side // max(image.shape))
    image = image.repeat(factor, axis=0).repeat(factor, axis=1)
    return np.broadcast_to(image, (*image.shape[:2], 3))


def sample(source, label, count, seed):
    """Generate images.

    Args:
        source: Name of a model.
        label: A class, or ALL_CLASSES: all classes in turn, one in each column. An unconditional
            model ignores it.
        count: Number of images.
        seed: Seed of the codes z.

    Returns:
        uint8 (height, width, 3), a grid.
    """
    model = load_cached(source)
    labels, columns = None, 0
    if model.classes and label != ALL_CLASSES:
        labels = [label]
    elif model.classes and not model.clustered:
        labels = range(model.classes)
        columns = model.classes if model.classes <= min(count, 20) else 0
    return image_sheet(model.sample(int(count), seed=int(seed), labels=labels), columns)


@functools.lru_cache(maxsize=32)
def interpolation(source, seed, first, last):
    """Interpolate between two codes, or between two classes with one code.

    Args:
        source: Name of a model.
        seed: Seed of the codes.
        first: Class of the first image. An unconditional model ignores it.
        last: Class of the last image.

    Returns:
        Codes z, float32 (INTERPOLATION_STEPS, d), and conditions, float32
        (INTERPOLATION_STEPS, classes), or None.
    """
    model = load_cached(source)
    if not model.classes or first == last:
        z = interpolate(np.asarray(model.latent(2, seed)), INTERPOLATION_STEPS, "spherical")
    else:
        z = np.repeat(model.latent(1, seed), INTERPOLATION_STEPS, axis=0)
    if not model.classes:
        return z, None
    t = np.linspace(0, 1, INTERPOLATION_STEPS, dtype=np.float32)[:, None]
    one_hot = np.eye(model.classes, dtype=np.float32)
    return z, (1 - t) * one_hot[first] + t * one_hot[last]


@functools.cache
def code_dimensions(source):
    """Return the dimensions of the code that the sliders change: those with the largest effect."""
    model = load_cached(source)
    code = np.asarray(model.latent(1, 0))
    return sorted_dimensions(model, code)[:NUM_CODE_SLIDERS].tolist()


def move_codes(source, z, offsets):
    """Add the values of the sliders to the codes (n, d), in the dimensions of the sliders."""
    z = np.array(z)
    # A short code has fewer dimensions than there are sliders.
    for dimension, offset in zip(code_dimensions(source), offsets, strict=False):
        z[:, dimension] += offset
    return z


def interpolation_step(source, seed, first, last, position, *offsets):
    """Return (the image at a position from 0 to 1, a row of images of the whole interpolation)."""
    z, conditions = interpolation(source, int(seed), first, last)
    images = load_cached(source).generate(move_codes(source, z, offsets), conditions)
    image = images[round(float(position) * (INTERPOLATION_STEPS - 1))]
    every_third = images[:: INTERPOLATION_STEPS // 8]
    return enlarge_to(SIDE, image), image_sheet(every_third, columns=len(every_third))


# --- reconstruction


def digit_of(drawing, size=28):
    """Convert a drawing to a digit in the format of MNIST.

    The digit is 20 / 28 of the size high or wide, and its center of mass is the center.

    Args:
        drawing: uint8 (h, w, 4), dark strokes on a white or transparent background, or None.
        size: Pixels of a side of the result.

    Returns:
        uint8 (size, size, 1).

    Raises:
        UserError: The drawing is empty.
    """
    paper = np.full((1, 1, 3), 255, np.uint8) if drawing is None else composite_on_white(drawing)
    ink = 255 - paper.min(axis=-1)
    rows, columns = np.flatnonzero(ink.max(axis=1)), np.flatnonzero(ink.max(axis=0))
    if not len(rows):
        raise UserError("draw a digit first.")
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, None]
    ink = resize_longer_side(ink, round(size * 20 / 28), 1)[..., 0]
    weight, corner = ink.sum() or 1, []
    for axis, length in enumerate(ink.shape):
        center = (ink.sum(axis=1 - axis) * np.arange(length)).sum() / weight
        corner.append(min(max(round((size - 1) / 2 - center), 0), size - length))
    (top, left), (height, width) = corner, ink.shape
    digit = np.zeros((size, size, 1), np.uint8)
    digit[top : top + height, left : left + width, 0] = ink
    return digit


def autoencoder_input(source, drawing):
    """Convert a drawing to an image of an autoencoder: uint8 (h, w, c).

    A model of gray images gets a digit as in MNIST, a model of RGB images the drawing itself.
    """
    size, _, channels = load_cached(source).image_shape
    drawing = drawing and drawing["composite"]
    if channels == 1:
        return digit_of(drawing, size)
    if drawing is None:
        raise UserError("draw or upload an image first.")
    (height, width), side = drawing.shape[:2], min(drawing.shape[:2])
    top, left = (height - side) // 2, (width - side) // 2
    square = drawing[top : top + side, left : left + side]
    return resize(composite_on_white(square), size, size)


def reconstruct(source, label, drawing):
    """Return (the input of the autoencoder, its reconstruction, the code z (1, d))."""
    model = load_cached(source)
    image = autoencoder_input(source, drawing)[None]
    labels = [label] if model.classes else None
    z, _ = model.encode(image, labels)
    reconstruction = model.generate(z, labels)
    return enlarge_to(SIDE, image[0]), enlarge_to(SIDE, reconstruction[0]), z


def decode(source, label, z, *offsets):
    """Return the image of a code that the sliders have changed: uint8 (h, w, 3)."""
    model = load_cached(source)
    labels = [label] if model.classes else None
    return enlarge_to(SIDE, model.generate(move_codes(source, z, offsets), labels)[0])


def example_digits():
    """Return handwritten digits of scikit-learn, dark on white: {name: uint8 (280, 280, 3)}."""
    from sklearn.datasets import load_digits

    images = load_digits().images  # float (n, 8, 8) from 0 to 16
    examples = {}
    for name, index in (("2", 2), ("6", 6), ("8", 8)):
        image = Image.fromarray(np.uint8(images[index] * 255 / 16))
        image = np.asarray(image.resize((200, 200), Image.Resampling.BICUBIC))
        examples[name] = np.repeat(255 - np.pad(image, 40)[..., None], 3, axis=-1)
    return examples


# --- translation


def takes_labels(source, direction):
    """Return True if a model translates label maps of facades in this direction."""
    experiment = experiment_of(source)
    return bool(
        experiment and experiment.data.dataset == FACADES and experiment.data.direction == direction
    )


def direction_names(source):
    """Return the directions of a model as [(text, "xy" or "yx")]."""
    names = []
    for direction in load_cached(source).directions:
        domains = direction
        if is_trained_on_facades(source):
            domains = ["labels", "photograph"]
            domains = domains if takes_labels(source, direction) else domains[::-1]
        names.append((" to ".join(domains), direction))
    return names


def is_trained_on_facades(source):
    return takes_labels(source, "xy") or takes_labels(source, "yx")


def example_house(source, direction, index=FIRST_FACADE):
    """Return a house to translate, a label map or a photograph: uint8 (SIDE, SIDE, 3).

    For a model that is not trained on facades, return None.
    """
    if not is_trained_on_facades(source):
        return None
    labels = facades.layout(index, experiment_of(source).model.image_size)
    with_labels = takes_labels(source, direction)
    return enlarge_to(SIDE, facades.class_colors(labels) if with_labels else facades.render(labels))


def translate(source, direction, drawing):
    """Translate a drawing or an uploaded image; see `translate_image`.

    Args:
        source: Name of a model.
        direction: "xy" or "yx".
        drawing: Value of Gradio's image editor.
    """
    image = drawing and drawing["composite"]
    if image is None:
        raise UserError("draw or upload an image first.")
    return translate_image(source, direction, composite_on_white(image))


def translate_image(source, direction, image):
    """Translate an image at the size of the training images.

    In a label map, pixels get the color of the nearest label.

    Args:
        source: Name of a model.
        direction: "xy" or "yx".
        image: uint8 (h, w, 3).

    Returns:
        The translation and, for label maps, the photograph by the rule of the dataset, both uint8
        (h, w, 3). Otherwise the second one is None.
    """
    model, experiment, truth = load_cached(source), experiment_of(source), None
    size = experiment.model.image_size if experiment else DEFAULT_SIDE
    if takes_labels(source, direction):
        rows, columns = (np.arange(size) * length // size for length in image.shape[:2])
        labels = facades.nearest_classes(image[rows][:, columns])
        image, truth = facades.class_colors(labels), enlarge_to(SIDE, facades.render(labels))
    else:
        image = resize_longer_side(image, size)
    if model.channels(direction)[0] == 1:
        image = np.asarray(Image.fromarray(image).convert("L"))[..., None]
    return enlarge_to(SIDE, model.translate(image, direction)), truth


# --- uploads


def check_upload(path, folder):
    """Check the path and the size of an uploaded image, without decoding it.

    Gradio passes on a path as the client wrote it. So it could be any file of the server.

    Args:
        path: Path of the file.
        folder: Folder of the uploaded files.

    Raises:
        UserError: The path is not that of a regular file in the folder, the image has too many
            pixels, or it is too long for its width.
    """
    # Only a regular file: reading a FIFO or a device would block the server.
    file, folder = pathlib.Path(os.path.realpath(path)), os.path.realpath(folder)
    if not file.is_relative_to(folder) or not file.is_file():
        raise UserError("the image is not on the server: upload it again.")
    try:
        with image_file.open_image(file) as image:
            width, height = image.size
    except image_file.ImageError:
        return  # Its reader reports it.
    if width * height > MAX_PIXELS:
        raise UserError(
            f"an image must have at most {MAX_PIXELS / 1e6:.0f} megapixels, got {width}x{height}."
        )
    # Resizing the longer side keeps at least 32 pixels of the shorter side: 500000x32 would stay.
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise UserError(
            f"an image must be at most {MAX_ASPECT} times as long as wide, got {width}x{height}."
        )


def read_upload(path, name, side=0):
    """Read an uploaded image on a white background: uint8 (h, w, 3).

    Args:
        path: Path of the file, or None.
        name: Name of the image in error messages.
        side: Pixels of the longer side to which the image will be resized, or 0.

    Raises:
        UserError: The file is missing, it cannot be read, or the image is too small.
    """
    if not path:
        raise UserError(f"choose {name} first.")
    try:
        if path.lower().endswith(".npy"):
            raise image_file.ImageError("it is an array, not an image file")
        # Check the size of the file, because `read_image` may reduce the image.
        size = image_file.read_size(path)
        if size and min(size) < 32:
            raise UserError(
                f"{name} must have sides of at least 32 pixels, got {size[0]}x{size[1]}."
            )
        image = image_file.read_image(path, 4, side, max_pixels=MAX_PIXELS)
        image = image_file.to_8_bits(image)
    except image_file.ImageError:
        raise UserError(
            f"{name} cannot be read: use an image file such as JPEG, PNG, BMP, GIF or WebP, of at "
            f"most {MAX_PIXELS / 1e6:.0f} megapixels."
        ) from None
    return composite_on_white(image)


# --- stylization


def takes_styles(source):
    """Return True if a model takes style images, False if it has learned one style."""
    return source == OPTIMIZATION_PRESET or load_cached(source).takes_styles


def stylize(
    source, content_path, style_path, second_path, share, size, alpha, keeps_colors, progress=None
):
    """Stylize an uploaded photograph.

    Args:
        source: Name of a model, or OPTIMIZATION_PRESET.
        content_path: File of the photograph.
        style_path: File of the style. A model of one style ignores it, and the next two.
        second_path: File of a second style that is blended with the first one, or None.
        share: Weight of the second style in [0, 1]. The first one has 1 - share.
        size: Largest length of the longer side in pixels. It is exceeded only where the shorter
            side would have less than 32 pixels.
        alpha: Strength of the style in [0, 1], for trained models that take styles.
        keeps_colors: True to keep the colors of the photograph.
        progress: Function (fraction of the work, text), called after every iteration of an
            optimization, or None.

    Returns:
        uint8 (h, w, 3).
    """
    content = read_upload(content_path, "a photograph", int(size))
    content = resize_longer_side(content, min(int(size), max(content.shape)))
    styles, weights = [], None
    if takes_styles(source):
        styles = [read_upload(style_path, "a style", STYLE_SIDE)]
        if second_path:
            styles.append(read_upload(second_path, "a second style", STYLE_SIDE))
            weights = [1 - float(share), float(share)]
    if source == OPTIMIZATION_PRESET:
        config = presets.experiment(source).model
        report = progress and optimization_progress(content.shape[:2], config, progress)
        stylizer = gatys_stylizer(styles, config, progress=report, style_weights=weights)
    else:
        options = {"alpha": float(alpha), "style_weights": weights} if styles else {}
        stylizer = network_stylizer(load_cached(source), styles, **options)
    result, _ = stylizer(content, lambda style: style)
    return keep_colors(result, content) if keeps_colors else result


def optimization_progress(size, config, progress):
    """Return a function for `gatys_stylizer` that reports the fraction of the pixels computed.

    Args:
        size: (h, w) of the result.
        config: A `StyleTransferConfig`.
        progress: Function (fraction, text).
    """
    areas = {sides: sides[0] * sides[1] for sides in pyramid_sizes(size, config.smallest)}

    def report(size, iterations, iteration, losses):
        done = sum(area for area in areas.values() if area < areas[tuple(size)])
        done += areas[tuple(size)] * iteration / iterations
        text = f"{size[1]}x{size[0]} pixels, iteration {iteration} of {iterations}"
        progress(done / sum(areas.values()), text)

    return report


# --- the server


def stored_bytes(paths):
    """Return the size of uploaded files in bytes. Files that are already deleted have none."""
    total = 0
    for path in list(paths):
        with contextlib.suppress(FileNotFoundError):
            total += os.path.getsize(path)
    return total


class UploadLimits:
    """ASGI middleware that refuses requests that are too large, and uploads when space is short.

    Args:
        app: The ASGI application.
        blocks: The page, which knows the uploaded files.
    """

    def __init__(self, app, blocks):
        self.app, self.blocks = app, blocks

    async def __call__(self, scope, receive, send):
        """Answer a request with an error, or pass it on."""
        refusal = self.refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            return await self.app(scope, receive, send)
        status, text = refusal
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})

    def refusal(self, scope):
        """Return (status, text) if a request is refused, otherwise None."""
        if scope["method"] != "POST":
            return None
        headers = dict(scope["headers"])
        size = headers.get(b"content-length", b"")
        if b"transfer-encoding" in headers or not size.isdigit():  # chunks have no length
            return 411, "the size of the request is missing"
        if int(size) > MAX_REQUEST_BYTES:
            return 413, f"at most {MAX_REQUEST_BYTES // 2**20} MiB are accepted"
        if scope["path"].endswith("/upload"):
            stored = stored_bytes(self.blocks.upload_file_set)
            if stored + int(size) > MAX_STORED_BYTES:
                return 507, "the server has no space for uploads: try again later"
        return None


def serve(runs=(), host="127.0.0.1", port=7860, only_runs=False):
    """Serve the page in another thread.

    Args:
        runs: Models that `load` takes, in addition to the pretrained presets.
        host: Address to listen at.
        port: Port to listen at.
        only_runs: True to leave out the pretrained presets and `gatys`.

    Returns:
        (the page, its URL). `block_thread()` of the page waits for Ctrl-C.

    Raises:
        UserError: Gradio is not installed, a run cannot be loaded, or the address or port cannot
            be used.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        from tfgan_zoo.tools import demo_page
    except ImportError as error:
        raise UserError(
            f'the demo needs the extra demo: pip install "tfgan_zoo[demo]" ({error}).'
        ) from None
    blocks = demo_page.build_page(runs, only_runs)
    blocks.queue(max_size=MAX_QUEUE)
    from starlette.middleware import Middleware

    try:
        _, address, _ = blocks.launch(
            app_kwargs={"middleware": [Middleware(UploadLimits, blocks=blocks)]},
            max_file_size=MAX_REQUEST_BYTES,
            server_name=host,
            server_port=port,
            css=demo_page.CSS,
            theme=demo_page.THEME,
            footer_links=["api", "gradio", "settings"],
            quiet=True,
            prevent_thread_lock=True,
            show_error=True,
        )
    except (OSError, OverflowError, ValueError) as error:
        raise UserError(
            f"the page cannot be served at {host}:{port}: "
            f"try another --host or --port ({first_line(error)})."
        ) from error
    return blocks, address
