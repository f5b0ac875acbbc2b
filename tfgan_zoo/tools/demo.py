"""Web page for trying the pretrained presets: `tfgan-zoo demo` (needs the extra demo: Gradio).

The first part of this file has the functions of the tabs, which work on arrays. The second part
lays out the page.
"""

import functools
import os
import pathlib

import numpy as np
import tensorflow as tf

from tfgan_zoo import presets
from tfgan_zoo.data import builtin_images, facades, image_file
from tfgan_zoo.data.transforms import resize_longer_side
from tfgan_zoo.errors import UserError, first_line
from tfgan_zoo.inference.latent_walk import latent_walk
from tfgan_zoo.inference.stylize import (
    STYLE_SIDE,
    composite_on_white,
    gatys_stylizer,
    network_stylizer,
)
from tfgan_zoo.saving import hub
from tfgan_zoo.saving.exported import load
from tfgan_zoo.visualize import enlarge, image_grid

GENERATORS = ("cgan_mnist", "dcgan_mnist", "dcgan_fashion_mnist", "vae_mnist", "gan_mnist")
AUTOENCODER = "vae_mnist"
TRANSLATORS = ("pix2pix_facades_synthetic", "cyclegan_facades_synthetic")
ANY_DIGIT = "any"
DIGITS = [ANY_DIGIT, *map(str, range(10))]
INTERPOLATION_STEPS = 25
FACADE_SIZE = 128  # pixels of the label map to draw on
OPTIMIZATION_PRESET = "gatys"

# Limits of the server.
MAX_PIXELS = 40_000_000  # of an uploaded image
MAX_REQUEST_BYTES = 20 * 2**20  # of an upload
MAX_STORED_BYTES = 2 * 2**30  # of all uploads that are not deleted yet
MAX_QUEUE = 50  # waiting requests; they are computed one by one
KEEP_SECONDS = 3600  # time after which uploads and results are deleted


@functools.cache
def load_cached(preset):
    return load(preset)


def available(names):
    """Return the presets that are pretrained on this machine; all if none is.

    In the second case the page opens, and its buttons show the error of `load`.
    """
    return [name for name in names if hub.pretrained_folder(name)] or list(names)


def image_sheet(images, columns=0):
    """Return an enlarged grid of small images: uint8 (n, h, w, c) -> (height, width, 3)."""
    grid = enlarge(image_grid(images, columns), images.shape[1])
    return grid if grid.ndim == 3 else np.repeat(grid[..., None], 3, axis=-1)


def generate(preset, label, count, seed):
    """Generate images, of one digit if a conditional model is asked for it.

    Args:
        preset: Name of a preset.
        label: One of DIGITS.
        count: Number of images.
        seed: Seed of the codes z.

    Returns:
        uint8 (height, width, 3), a grid.

    Raises:
        UserError: A digit is asked for, but the model is not conditional.
    """
    generator = load_cached(preset)
    if label != ANY_DIGIT and not generates_digits(generator):
        raise UserError(
            f"{preset} cannot generate a given digit: choose cgan_mnist, or {ANY_DIGIT} digit."
        )
    labels = None
    if label != ANY_DIGIT:
        labels = [int(label)]
    elif generates_digits(generator):
        labels = list(range(generator.classes))
    return image_sheet(generator.sample(int(count), seed=int(seed), labels=labels))


def generates_digits(generator):
    """Return True if the labels of a model are digits, and not clusters of images."""
    return bool(generator.classes) and not generator.clustered


@functools.lru_cache(maxsize=32)
def interpolate(preset, seed, first, last):
    """Return uint8 images (INTERPOLATION_STEPS, h, w, c); digits are for conditional models."""
    generator = load_cached(preset)
    labels = None
    if generates_digits(generator):
        labels = [int(label) for label in (first, last) if label != ANY_DIGIT] or None
    return latent_walk(generator, rows=1, steps=INTERPOLATION_STEPS, seed=int(seed), labels=labels)


def interpolation_step(preset, seed, first, last, position):
    """Return (the image at a position from 0 to 1, a grid of the whole interpolation)."""
    images = interpolate(preset, seed, first, last)
    image = images[round(float(position) * (INTERPOLATION_STEPS - 1))]
    every_third = images[:: INTERPOLATION_STEPS // 8]
    return image_sheet(image[None]), image_sheet(every_third, columns=len(every_third))


def digit_of(drawing):
    """Convert a drawing to a digit in the format of MNIST.

    The digit is 20 pixels high or wide, and its center of mass is the center of 28x28 pixels.

    Args:
        drawing: uint8 (h, w, 4), dark strokes on a white or transparent background, or None.

    Returns:
        uint8 (28, 28, 1).

    Raises:
        UserError: The drawing is empty.
    """
    paper = np.full((1, 1, 3), 255, np.uint8) if drawing is None else composite_on_white(drawing)
    ink = 255 - paper.min(axis=-1)
    rows, columns = np.flatnonzero(ink.max(axis=1)), np.flatnonzero(ink.max(axis=0))
    if not len(rows):
        raise UserError("draw a digit first.")
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, None]
    ink = resize_longer_side(ink, 20, 1)[..., 0]
    weight, corner = ink.sum() or 1, []
    for axis, length in enumerate(ink.shape):
        center = (ink.sum(axis=1 - axis) * np.arange(length)).sum() / weight
        corner.append(min(max(round(13.5 - center), 0), 28 - length))
    (top, left), (height, width) = corner, ink.shape
    digit = np.zeros((28, 28, 1), np.uint8)
    digit[top : top + height, left : left + width, 0] = ink
    return digit


def reconstruct(drawing):
    """Return (the autoencoder's input, its reconstruction) for a drawing of Gradio's editor."""
    digit = digit_of(drawing and drawing["composite"])
    reconstruction = load_cached(AUTOENCODER).reconstruct(digit[None])
    return image_sheet(digit[None]), image_sheet(reconstruction)


def facade(index):
    """Return a label map, large enough to draw on: uint8 (3 FACADE_SIZE, 3 FACADE_SIZE, 3)."""
    labels = facades.layout(int(index or 0), FACADE_SIZE)
    return enlarge_3x(facades.class_colors(labels))


def enlarge_3x(image):
    return image.repeat(3, axis=0).repeat(3, axis=1)


def translate(preset, drawing):
    """Translate a label map to a photograph; drawn pixels get the color of the nearest label."""
    labels = drawing and drawing["composite"]
    if labels is None:
        raise UserError("draw a facade first, or load another one.")
    labels = facades.nearest_classes(labels[..., :3])
    # Resize by nearest neighbors to the size of the training images.
    size = presets.experiment(preset).model.image_size
    rows, columns = (np.arange(size) * length // size for length in labels.shape)
    label_map = facades.class_colors(labels[rows][:, columns])
    return enlarge_3x(load_cached(preset).translate(label_map))


def check_upload(path, folder):
    """Check the path and the size of an uploaded image, without decoding it.

    Gradio passes on a path as the client wrote it. So it could be any file of the server.

    Args:
        path: Path of the file.
        folder: Folder of the uploaded files.

    Raises:
        UserError: The path is not that of a regular file in the folder, or the image has too many
            pixels.
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
        image = image_file.read_image(path, 4, side, max_pixels=MAX_PIXELS)
        image = image_file.to_8_bits(image)
    except image_file.ImageError:
        raise UserError(
            f"{name} cannot be read: use an image file such as JPEG, PNG, BMP, GIF or WebP, of at "
            f"most {MAX_PIXELS / 1e6:.0f} megapixels."
        ) from None
    height, width = image.shape[:2]
    if min(height, width) < 32:
        raise UserError(f"{name} must have sides of at least 32 pixels, got {width}x{height}.")
    return composite_on_white(image)


def stylize(preset, content_path, style_name, style_path, size, alpha):
    """Stylize an uploaded photograph.

    Args:
        preset: Name of a stylization preset, or OPTIMIZATION_PRESET.
        content_path: File of the photograph.
        style_name: Name of a built-in style.
        style_path: File of a style that replaces the built-in one, or None.
        size: Largest length of the longer side in pixels.
        alpha: Strength of the style in [0, 1], for models that take styles.

    Returns:
        uint8 (h, w, 3).
    """
    content = read_upload(content_path, "a photograph", int(size))
    content = resize_longer_side(content, min(int(size), max(content.shape)))
    if style_path:
        style = read_upload(style_path, "a style", STYLE_SIDE)
    else:
        style = builtin_images.style_image(style_name, 512)
    if preset == OPTIMIZATION_PRESET:
        stylizer = gatys_stylizer([style], presets.experiment(preset).model)
    else:
        network = load_cached(preset)
        options = {"styles": [style], "alpha": float(alpha)} if network.takes_styles else {}
        stylizer = network_stylizer(network, **options)
    return stylizer(content, lambda style: style)[0]


def stylizers():
    """Return the pretrained stylization presets, AdaIN first, and OPTIMIZATION_PRESET."""
    pretrained = [
        name
        for name in sorted(presets.PRESETS)
        if name.startswith(("adain", "fast")) and hub.pretrained_folder(name)
    ]
    return [*pretrained, OPTIMIZATION_PRESET]


# --- the page


def user_errors_as_dialogs(function):
    """Decorate a function so that its errors are shown on the page."""
    import gradio

    @functools.wraps(function)
    def wrapped(*arguments):
        try:
            return function(*arguments)
        except UserError as error:
            raise gradio.Error(str(error), print_exception=False) from None
        except (MemoryError, tf.errors.ResourceExhaustedError):
            raise gradio.Error("not enough memory: choose fewer pixels or images.") from None

    return wrapped


def build_page():
    """Build the page, a `gradio.Blocks`.

    Raises:
        UserError: Gradio is not installed.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio
    except ImportError as error:
        raise UserError(
            f'the demo needs the extra demo: pip install "tfgan_zoo[demo]" ({error}).'
        ) from None

    tabs = {
        "Generate": generate_tab,
        "Interpolate": interpolate_tab,
        "Reconstruct": reconstruct_tab,
        "Translate": translate_tab,
        "Stylize": stylize_tab,
    }
    delete_cache = (KEEP_SECONDS // 10, KEEP_SECONDS)
    with gradio.Blocks(
        title="tfgan_zoo", analytics_enabled=False, delete_cache=delete_cache
    ) as blocks:
        gradio.Markdown(
            "# tfgan_zoo\nClassic image-generating networks, computed by the server of this page."
        )
        for name, fill in tabs.items():
            with gradio.Tab(name):
                fill(gradio)
    return blocks


def output_image(gradio, name, **options):
    """Return an image element for a result, without a label, which would cover small images."""
    return gradio.Image(elem_id=name, format="png", interactive=False, show_label=False, **options)


def upload(gradio, label, **options):
    """Return an image element that passes on the path of the uploaded file.

    Gradio would decode the file, and show its own message if that fails.
    """
    image = gradio.Image(label=label, type="filepath", sources=["upload", "clipboard"], **options)

    def preprocess(payload):
        if payload is None or not payload.path:
            return None
        check_upload(payload.path, image.GRADIO_CACHE)
        return payload.path

    image.preprocess = user_errors_as_dialogs(preprocess)
    return image


def checked_editor(editor):
    """Return an image editor that checks the images of a drawing before it decodes them."""
    convert = editor.preprocess

    def preprocess(drawing):
        if drawing is None:
            return None
        for file in (drawing.background, drawing.composite, *drawing.layers):
            if file is not None:
                check_upload(file.path, editor.GRADIO_CACHE)
        return convert(drawing.model_copy(update={"id": None}))

    editor.preprocess = user_errors_as_dialogs(preprocess)
    # This page uploads a drawing as files. Remove Gradio's second way, which has no limits.
    editor.accept_blobs, editor.server_fns = None, []
    return editor


def generate_tab(gradio):
    names = available(GENERATORS)
    with gradio.Row():
        preset = gradio.Dropdown(names, value=names[0], label="model")
        label = gradio.Dropdown(DIGITS, value=ANY_DIGIT, label="digit (cgan_mnist)")
        count = gradio.Slider(1, 100, 20, step=1, label="number of images")
        seed = gradio.Slider(0, 1000, 0, step=1, label="seed")
    button = gradio.Button("Generate", variant="primary")
    output = output_image(gradio, "images")
    inputs = [preset, label, count, seed]
    button.click(user_errors_as_dialogs(generate), inputs, output, api_name="generate")


def interpolate_tab(gradio):
    names = available(GENERATORS)
    with gradio.Row():
        preset = gradio.Dropdown(names, value=names[0], label="model")
        seed = gradio.Slider(0, 1000, 0, step=1, label="seed")
        first = gradio.Dropdown(DIGITS, value="3", label="from digit (cgan_mnist)")
        last = gradio.Dropdown(DIGITS, value="8", label="to digit (cgan_mnist)")
    step = 1 / (INTERPOLATION_STEPS - 1)
    position = gradio.Slider(0, 1, 0.5, step=step, label="position")
    button = gradio.Button("Interpolate", variant="primary")
    outputs = [output_image(gradio, "step", height=240), output_image(gradio, "steps")]
    inputs = [preset, seed, first, last, position]
    function = user_errors_as_dialogs(interpolation_step)
    button.click(function, inputs, outputs, api_name="interpolate")
    position.change(function, inputs, outputs, show_progress="hidden", api_visibility="private")


def reconstruct_tab(gradio):
    options = {"type": "numpy", "image_mode": "RGBA", "canvas_size": (280, 280), "layers": False}
    brush = gradio.Brush(default_size=24, colors=["#000000"], color_mode="fixed")
    drawing = checked_editor(gradio.Sketchpad(label="draw a digit", brush=brush, **options))
    gradio.Markdown(
        "Choose the brush and draw. The images below are the input of the VAE and its "
        "reconstruction."
    )
    button = gradio.Button("Reconstruct", variant="primary")
    with gradio.Row():
        outputs = [
            output_image(gradio, "input", height=200),
            output_image(gradio, "reconstruction", height=200),
        ]
    button.click(user_errors_as_dialogs(reconstruct), drawing, outputs, api_name="reconstruct")


def translate_tab(gradio):
    names = available(TRANSLATORS)
    preset = gradio.Radio(names, value=names[0], label="model")
    colors = {name: "#{:02x}{:02x}{:02x}".format(*color) for name, color in facades.CLASSES.items()}
    gradio.Markdown(
        " ".join(
            f'<span style="color:{color}">&#9632;</span>&nbsp;{name}'
            for name, color in colors.items()
        )
    )
    brush = gradio.Brush(default_size=18, colors=list(colors.values()), color_mode="fixed")
    options = {"type": "numpy", "image_mode": "RGB", "layers": False}
    drawing = checked_editor(
        gradio.ImageEditor(value=facade(3), label="draw windows and doors", brush=brush, **options)
    )
    with gradio.Row():
        index = gradio.Number(4, precision=0, minimum=0, label="number of the facade")
        load_button = gradio.Button("Load facade")
    button = gradio.Button("Translate", variant="primary")
    output = output_image(gradio, "photograph")
    load_button.click(user_errors_as_dialogs(facade), index, drawing, api_name="facade")
    button.click(user_errors_as_dialogs(translate), [preset, drawing], output, api_name="translate")


def stylize_tab(gradio):
    names = stylizers()
    with gradio.Row():
        content = upload(gradio, "your photograph", height=300, elem_id="content")
        with gradio.Column():
            style = gradio.Radio(list(builtin_images.STYLES), value="mosaic", label="style")
            style_file = upload(gradio, "or your own style", height=200)
    with gradio.Row():
        label = "model (fast_...: its own style only; gatys: slow)"
        preset = gradio.Radio(names, value=names[0], label=label)
        size = gradio.Slider(128, 1024, 384, step=32, label="longer side in pixels")
        alpha = gradio.Slider(0, 1, 1, label="strength of the style (adain)")
    button = gradio.Button("Stylize", variant="primary")
    output = output_image(gradio, "stylized")
    inputs = [preset, content, style, style_file, size, alpha]
    button.click(user_errors_as_dialogs(stylize), inputs, output, api_name="stylize")


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
        size = dict(scope["headers"]).get(b"content-length", b"")
        if not size.isdigit():
            return 411, "the size of the request is missing"
        if int(size) > MAX_REQUEST_BYTES:
            return 413, f"at most {MAX_REQUEST_BYTES // 2**20} MiB are accepted"
        if scope["path"].endswith("/upload"):
            paths = [path for path in self.blocks.upload_file_set if os.path.isfile(path)]
            if sum(map(os.path.getsize, paths)) + int(size) > MAX_STORED_BYTES:
                return 507, "the server has no space for uploads: try again later"
        return None


def serve(host="127.0.0.1", port=7860):
    """Serve the page in another thread.

    Args:
        host: Address to listen at.
        port: Port to listen at.

    Returns:
        (the page, its URL). `block_thread()` of the page waits for Ctrl-C.

    Raises:
        UserError: Gradio is not installed, or the address or port cannot be used.
    """
    blocks = build_page()
    blocks.queue(max_size=MAX_QUEUE)
    from starlette.middleware import Middleware

    try:
        _, address, _ = blocks.launch(
            app_kwargs={"middleware": [Middleware(UploadLimits, blocks=blocks)]},
            max_file_size=MAX_REQUEST_BYTES,
            server_name=host,
            server_port=port,
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
