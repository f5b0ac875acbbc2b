"""Write uint8 images as image grids and animations, and metrics as plots."""

import io
import math

import numpy as np
from PIL import Image

from tfgan_zoo.data.transforms import to_float, to_uint8
from tfgan_zoo.files import atomic_write


def pad_to_common_size(images):
    """Pad images of any size, depth and number of channels to RGB images of one size.

    Each image is placed in the top left corner of a white canvas. Of images with more than 3
    channels, the first 3 are shown; with 2 channels, the blue channel is 0.

    Args:
        images: list of uint8 or uint16 arrays (h, w, c).

    Returns:
        uint8 array (n, height, width, 3).
    """
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    canvases = np.full((len(images), height, width, 3), 255, np.uint8)
    for canvas, image in zip(canvases, images, strict=True):
        h, w, channels = image.shape
        image = to_uint8(to_float(image)).numpy()
        if channels == 1:
            canvas[:h, :w] = image
        else:
            canvas[:h, :w] = 0
            canvas[:h, :w, : min(3, channels)] = image[..., :3]
    return canvases


def image_grid(images, columns=0, pad=2):
    """Arrange images of one size in a grid.

    Args:
        images: uint8 array (n, h, w, c), c is 1 or 3.
        columns: number of columns; 0: as square as possible.
        pad: white pixels around each image.

    Returns:
        uint8 array (height, width) or (height, width, 3).
    """
    n, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    shape = (rows * (height + pad) + pad, columns * (width + pad) + pad, channels)
    grid = np.full(shape, 255, np.uint8)
    for i, image in enumerate(images):
        top, left = pad + i // columns * (height + pad), pad + i % columns * (width + pad)
        grid[top : top + height, left : left + width] = image
    return grid[..., 0] if channels == 1 else grid


def save_grid(images, path, columns=0):
    """Write an image grid to a file. Small images are enlarged by a whole factor.

    Args:
        images: uint8 array (n, h, w, c), c is 1 or 3.
        path: the image file.
        columns: number of columns; 0: as square as possible.

    Raises:
        ValueError: if the images have other than 1 or 3 channels.
    """
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"images must have 1 or 3 channels, got images of shape {images.shape}.")
    grid = Image.fromarray(enlarge(image_grid(images, columns), images.shape[1]))
    with atomic_write(path) as partial:
        grid.save(partial)


def save_animation(paths, path, seconds=6.0, frames=60):
    """Write image files as a GIF.

    Args:
        paths: list of image files, in order. Damaged ones are left out; without any other there is
            no GIF.
        path: the GIF file.
        seconds: duration, plus 2 seconds for the last frame.
        frames: maximum number of frames. If there are more files, evenly spaced ones are used.
    """
    paths = [path for path in paths if is_readable(path)]
    if not paths:
        return
    indices = np.linspace(0, len(paths) - 1, min(frames, len(paths)))
    images = [Image.open(paths[i]) for i in sorted({round(i) for i in indices})]
    milliseconds = max(40, int(1000 * seconds / len(images)))
    save_gif(images, path, [milliseconds] * (len(images) - 1) + [2000])


def is_readable(path):
    """Return True if an image file can be decoded."""
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, ValueError, SyntaxError):
        return False
    return True


def save_interpolation(images, path, columns):
    """Write latent interpolations as a GIF that shows the columns forward, then backward.

    Args:
        images: uint8 array (rows * columns, h, w, c), c is 1 or 3, row after row.
        path: the GIF file.
        columns: number of steps of the interpolation.
    """
    frames = [
        Image.fromarray(enlarge(image_grid(images[step::columns]), images.shape[1]))
        for step in range(columns)
    ]
    save_gif([*frames, *frames[-2:0:-1]], path, 100)


def save_gif(images, path, milliseconds):
    """Write PIL images as a GIF that loops; `milliseconds` is the duration of each frame."""
    frames = [image.convert("P", palette=Image.Palette.ADAPTIVE) for image in images]
    options = {"save_all": True, "append_images": frames[1:], "duration": milliseconds, "loop": 0}
    with atomic_write(path) as partial:
        frames[0].save(partial, **options)


def enlarge(grid, height):
    """Enlarge a grid by an integer factor, so that images of `height` pixels get at most 112."""
    factor = max(1, 112 // height)
    return grid.repeat(factor, axis=0).repeat(factor, axis=1)


def save_curves(rows, path, title):
    """Plot the columns of metrics.csv over the steps, losses, logits and each score in a panel.

    Args:
        rows: Rows of metrics.csv, from `runs.read_metrics`.
        path: Image file to write.
        title: Title of the figure.
    """
    figure = plot_curves(rows, curve_panels(rows))
    figure.suptitle(title)
    with atomic_write(path) as partial:
        figure.savefig(partial, dpi=110)


def curves_svg(rows, panels):
    """Plot columns of metrics.csv as SVG without a background, in the color of the page's text.

    Args:
        rows: Rows of metrics.csv, from `runs.read_metrics`.
        panels: Column names of each panel.

    Returns:
        The text of an SVG file. Equal arguments give equal text.
    """
    from matplotlib import rc_context

    text_color = "#010203"  # replaced by the page's color
    colored = ("text.", "axes.edge", "axes.label", "xtick.", "ytick.", "grid.")
    transparent = ("figure.face", "axes.face", "legend.face")
    style = {
        **{f"{name}color": text_color for name in colored},
        **{f"{name}color": "none" for name in transparent},
        "svg.fonttype": "none",  # text remains text
        "svg.hashsalt": str(panels),  # ids of clip paths depend on the panel alone
    }
    buffer = io.StringIO()
    with rc_context(style):
        plot_curves(rows, panels, width=6).savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue().replace(text_color, "currentColor")


def plot_curves(rows, panels, width=8):
    """Return a Matplotlib figure, `width` inches wide, with a panel for each list of columns."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 3 * len(panels)), layout="constrained")
    for axes, names in zip(
        np.atleast_1d(figure.subplots(len(panels), sharex=True)), panels, strict=True
    ):
        for name in names:
            steps = [int(row["step"]) for row in rows if row[name]]
            values = [float(row[name]) for row in rows if row[name]]
            marker = "o" if len(values) == 1 else None
            axes.plot(steps, values, label=name, marker=marker, gid=name)
        axes.grid(alpha=0.3)
        for text in axes.legend().get_texts():
            text.set_parse_math(False)
    axes.set_xlabel("step")
    return figure


def curve_panels(rows):
    """Group the columns of metrics.csv into panels: losses, logits, and one for each score.

    Args:
        rows: rows of metrics.csv as dicts.

    Returns:
        A list of lists of column names, without empty ones.
    """
    names = [
        name for name in rows[0] if name not in ("epoch", "step", "seconds", "images_per_second")
    ]
    scores = [name for name in names if name.startswith("eval_") or name == "overfitting"]
    logits = [name for name in names if "logits" in name]
    losses = [name for name in names if name not in scores + logits]
    return [panel for panel in (losses, logits, *([name] for name in scores)) if panel]
