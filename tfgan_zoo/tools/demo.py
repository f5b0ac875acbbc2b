"""A page in the browser to play with the trained presets: `tfgan-zoo demo` (needs the extra demo, which is Gradio).

What a tab does is a plain function of arrays above `page`, which lays them out.
"""

import functools
import os

import numpy as np
import tensorflow as tf

from tfgan_zoo import presets
from tfgan_zoo.data import builtin_images, facades, image_folder
from tfgan_zoo.data.transforms import resize_longer_side
from tfgan_zoo.errors import UserError, first_line
from tfgan_zoo.inference.latent_walk import latent_walk
from tfgan_zoo.inference.stylize import composite_on_white, gatys_stylizer, network_stylizer
from tfgan_zoo.saving import hub
from tfgan_zoo.saving.exported import load
from tfgan_zoo.visualize import enlarge, image_grid

GENERATORS = ("cgan_mnist", "dcgan_mnist", "dcgan_fashion_mnist", "vae_mnist", "gan_mnist")
AUTO_ENCODER = "vae_mnist"
TRANSLATORS = ("pix2pix_facades_synthetic", "cyclegan_facades_synthetic")
ANY = "any"
DIGITS = [ANY, *map(str, range(10))]
STEPS = 25  # of a walk
FACADE = 128  # pixels of the label map to draw on
BY_OPTIMISATION = "gatys"


@functools.cache
def model(preset):
    return load(preset)


def available(names):
    """Those that are trained here, all where none is, so that the page can say so."""
    return [name for name in names if hub.pretrained_folder(name)] or list(names)


def image_sheet(images, columns=0):
    """Small images as one picture to look at: uint8 (n, h, w, c) -> (height, width, 3)."""
    found = enlarge(image_grid(images, columns), images.shape[1])
    return found if found.ndim == 3 else np.repeat(found[..., None], 3, axis=-1)


def generate(preset, label, count, seed):
    """So many images, of one class if a conditional model is asked for it."""
    generator = model(preset)
    if label != ANY and not generator.classes:
        raise UserError(
            f"{preset} has not learnt which digit is which: choose cgan_mnist, or {ANY} digit"
        )
    labels = (
        [int(label)]
        if label != ANY
        else list(range(generator.classes))
        if generator.classes
        else None
    )
    labels = None if labels is None else np.resize(labels, int(count))
    return image_sheet(generator.sample(int(count), seed=int(seed), labels=labels))


@functools.lru_cache(maxsize=32)
def walk(preset, seed, first, last):
    generator = model(preset)
    labels = [int(label) for label in (first, last) if label != ANY] if generator.classes else None
    return latent_walk(generator, rows=1, steps=STEPS, seed=int(seed), labels=labels or None)


def step_of_walk(preset, seed, first, last, position):
    """(the image at a position from 0 to 1, all of the way in one picture); digits are for conditional models."""
    images = walk(preset, seed, first, last)
    here = images[round(float(position) * (STEPS - 1))]
    return image_sheet(here[None]), image_sheet(
        images[:: STEPS // 8], columns=len(images[:: STEPS // 8])
    )


def digit_of(drawing):
    """A drawing as MNIST has digits: 20 pixels high or wide, its centre of mass in the middle of 28x28.

    Args:
        drawing: uint8 (h, w, 4), strokes of any colour on nothing.

    Returns:
        uint8 (28, 28, 1).

    Raises:
        UserError: an empty drawing.
    """
    ink = drawing[..., 3] if drawing is not None else np.zeros((1, 1), np.uint8)
    rows, columns = np.flatnonzero(ink.max(axis=1)), np.flatnonzero(ink.max(axis=0))
    if not len(rows):
        raise UserError("draw a digit first")
    ink = resize_longer_side(
        ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, None], 20, 1
    )[..., 0]
    weight, corner = ink.sum() or 1, []
    for axis, length in enumerate(ink.shape):
        centre = (ink.sum(axis=1 - axis) * np.arange(length)).sum() / weight
        corner.append(min(max(round(13.5 - centre), 0), 28 - length))
    digit = np.zeros((28, 28, 1), np.uint8)
    digit[corner[0] : corner[0] + ink.shape[0], corner[1] : corner[1] + ink.shape[1], 0] = ink
    return digit


def reconstruct(drawing):
    """(the drawing as the model sees it, what the auto-encoder makes of it); a drawing is what Gradio's editors give."""
    digit = digit_of(drawing and drawing["composite"])
    again = model(AUTO_ENCODER).reconstruct(digit[None])
    return image_sheet(digit[None]), image_sheet(again)


def facade(index):
    """A label map to begin with: uint8 (3 FACADE, 3 FACADE, 3), large enough to draw on."""
    return (
        facades.class_colors(facades.layout(int(index or 0), FACADE))
        .repeat(3, axis=0)
        .repeat(3, axis=1)
    )


def translate(preset, drawing):
    """The photograph of a label map; what was drawn takes the nearest label's colour."""
    labels = drawing and drawing["composite"]
    if labels is None:
        raise UserError("draw a facade first, or take another house")
    translator, labels = model(preset), facades.nearest_classes(labels[..., :3])
    size = presets.experiment(preset).model.image_size
    rows, columns = (np.arange(size) * length // size for length in labels.shape)
    return (
        translator.translate(facades.class_colors(labels[rows][:, columns]))
        .repeat(3, axis=0)
        .repeat(3, axis=1)
    )


def uploaded(path, name):
    """The picture in a file, on white: uint8 (h, w, 3).

    Raises:
        UserError: no file, or none that can be read.
    """
    if not path:
        raise UserError(f"choose {name} first")
    try:
        picture = image_folder.to_8_bits(image_folder.read_image(path, 4))
    except image_folder.UNREADABLE:
        raise UserError(
            f"{name} cannot be read: it must be a picture such as JPEG, PNG, BMP, GIF or WebP"
        ) from None
    if min(picture.shape[:2]) < 32:
        raise UserError(
            f"{name} must have at least 32 pixels to each side, received {picture.shape[1]}x{picture.shape[0]}"
        )
    return composite_on_white(picture)


def in_style(way, content, style, own_style, size, alpha):
    """A photograph in a style, at most `size` pixels to its longer side."""
    content = uploaded(content, "a photograph")
    content = resize_longer_side(content, min(int(size), max(content.shape)))
    style = uploaded(own_style, "a style") if own_style else builtin_images.style_image(style, 512)
    if way == BY_OPTIMISATION:
        return gatys_stylizer([style], presets.experiment(way).model)(content, lambda style: style)[
            0
        ]
    painter = model(way)
    more = {"styles": [style], "alpha": float(alpha)} if painter.takes_styles else {}
    return network_stylizer(painter, **more)(content, lambda style: style)[0]


def stylizers():
    """The trained networks, those for any style first, and the way without training."""
    return [
        name
        for name in sorted(presets.PRESETS)
        if name.startswith(("adain", "fast")) and hub.pretrained_folder(name)
    ] + [BY_OPTIMISATION]


def user_errors_as_dialogs(function):
    """What is wrong as a sentence on the page."""
    import gradio

    @functools.wraps(function)
    def wrapped(*arguments):
        try:
            return function(*arguments)
        except UserError as error:
            raise gradio.Error(str(error), print_exception=False) from None
        except (MemoryError, tf.errors.ResourceExhaustedError):
            raise gradio.Error(
                "there is not enough memory for this: choose fewer pixels or images"
            ) from None

    return wrapped


def build_page():
    """The page, a `gradio.Blocks`.

    Raises:
        UserError: Gradio is not installed.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio
    except ImportError as error:
        raise UserError(
            f'the demo needs the extra: pip install "tfgan_zoo[demo]" ({error})'
        ) from None

    tabs = {
        "Generate": generate_tab,
        "Walk": walk_tab,
        "Reconstruct": reconstruct_tab,
        "Translate": translate_tab,
        "Stylise": stylize_tab,
    }
    with gradio.Blocks(title="tfgan_zoo", analytics_enabled=False) as blocks:
        gradio.Markdown(
            "# tfgan_zoo\nClassic image-generating networks, at work on the machine that this page comes from."
        )
        for name, fill in tabs.items():
            with gradio.Tab(name):
                fill(gradio)
    return blocks


def picture(gradio, name, **options):
    """Where a result is shown; a label would lie upon small ones."""
    return gradio.Image(elem_id=name, format="png", interactive=False, show_label=False, **options)


def upload(gradio, label, **options):
    """Gives the path of a file as it is: Gradio would open it, and show its own words if it cannot."""
    image = gradio.Image(label=label, type="filepath", sources=["upload", "clipboard"], **options)
    image.preprocess = lambda payload: payload and payload.path
    return image


def generate_tab(gradio):
    names = available(GENERATORS)
    with gradio.Row():
        preset = gradio.Dropdown(names, value=names[0], label="model")
        label = gradio.Dropdown(DIGITS, value=ANY, label="digit (cgan_mnist)")
        count = gradio.Slider(1, 100, 20, step=1, label="how many")
        seed = gradio.Slider(0, 1000, 0, step=1, label="seed")
    button, out = gradio.Button("Generate", variant="primary"), picture(gradio, "images")
    button.click(
        user_errors_as_dialogs(generate), [preset, label, count, seed], out, api_name="generate"
    )


def walk_tab(gradio):
    names = available(GENERATORS)
    with gradio.Row():
        preset = gradio.Dropdown(names, value=names[0], label="model")
        seed = gradio.Slider(0, 1000, 0, step=1, label="seed")
        first = gradio.Dropdown(DIGITS, value="3", label="from (cgan_mnist)")
        last = gradio.Dropdown(DIGITS, value="8", label="to (cgan_mnist)")
    position = gradio.Slider(0, 1, 0.5, step=1 / (STEPS - 1), label="how far")
    button = gradio.Button("Walk", variant="primary")
    here, way = picture(gradio, "here", height=240), picture(gradio, "way")
    inputs = [preset, seed, first, last, position]
    button.click(user_errors_as_dialogs(step_of_walk), inputs, [here, way], api_name="walk")
    position.change(
        user_errors_as_dialogs(step_of_walk),
        inputs,
        [here, way],
        show_progress="hidden",
        api_visibility="private",
    )


def reconstruct_tab(gradio):
    options = {"type": "numpy", "image_mode": "RGBA", "canvas_size": (280, 280), "layers": False}
    brush = gradio.Brush(default_size=24, colors=["#000000"], color_mode="fixed")
    drawing = gradio.Sketchpad(label="draw a digit", brush=brush, **options)
    gradio.Markdown(
        "Choose the brush and draw. Below: the digit as the VAE sees it, and as it remembers it."
    )
    button = gradio.Button("Reconstruct", variant="primary")
    with gradio.Row():
        seen, again = picture(gradio, "seen", height=200), picture(gradio, "again", height=200)
    button.click(
        user_errors_as_dialogs(reconstruct), drawing, [seen, again], api_name="reconstruct"
    )


def translate_tab(gradio):
    names = available(TRANSLATORS)
    preset = gradio.Radio(names, value=names[0], label="model")
    colours = {
        name: "#{:02x}{:02x}{:02x}".format(*colour) for name, colour in facades.CLASSES.items()
    }
    gradio.Markdown(
        " ".join(
            f'<span style="color:{colour}">&#9632;</span>&nbsp;{name}'
            for name, colour in colours.items()
        )
    )
    brush = gradio.Brush(default_size=18, colors=list(colours.values()), color_mode="fixed")
    options = {"type": "numpy", "image_mode": "RGB", "layers": False}
    drawing = gradio.ImageEditor(
        value=facade(3), label="draw windows and doors", brush=brush, **options
    )
    with gradio.Row():
        index = gradio.Number(4, precision=0, minimum=0, label="house number")
        another = gradio.Button("Another house")
    button, out = gradio.Button("Translate", variant="primary"), picture(gradio, "photograph")
    another.click(user_errors_as_dialogs(facade), index, drawing, api_name="facade")
    button.click(user_errors_as_dialogs(translate), [preset, drawing], out, api_name="translate")


def stylize_tab(gradio):
    ways = stylizers()
    with gradio.Row():
        content = upload(gradio, "your photograph", height=300, elem_id="content")
        with gradio.Column():
            style = gradio.Radio(list(builtin_images.STYLES), value="mosaic", label="style")
            own = upload(gradio, "or a style of your own", height=200)
    with gradio.Row():
        way = gradio.Radio(
            ways, value=ways[0], label="by (fast_... has a style of its own, gatys takes a while)"
        )
        size = gradio.Slider(128, 1024, 384, step=32, label="pixels")
        alpha = gradio.Slider(0, 1, 1, label="how much (adain)")
    button, out = gradio.Button("Stylise", variant="primary"), picture(gradio, "picture")
    button.click(
        user_errors_as_dialogs(in_style),
        [way, content, style, own, size, alpha],
        out,
        api_name="stylize",
    )


def serve(host="127.0.0.1", port=7860):
    """Shows the page, in a thread of its own.

    Returns:
        (the page, its address); `block_thread()` of the page waits for Ctrl-C.

    Raises:
        UserError: Gradio is not installed, or there is no such place.
    """
    blocks = build_page()
    try:
        _, address, _ = blocks.launch(
            server_name=host,
            server_port=port,
            quiet=True,
            prevent_thread_lock=True,
            show_error=True,
        )
    except (OSError, OverflowError, ValueError) as error:
        raise UserError(
            f"the page cannot be shown at {host}:{port}: try another --host or --port ({first_line(error)})"
        ) from error
    return blocks, address
