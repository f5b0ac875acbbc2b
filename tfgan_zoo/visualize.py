"""uint8 images to files: grids, animations, loss curves."""

import io
import math

import numpy as np
from PIL import Image

from tfgan_zoo.data.transforms import to_float, to_uint8


def pad_to_common_size(images):
    """Images of any sizes, depths and channels for looking at, in the corner of a white sheet each: uint8 (n, h, w, 3)."""
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    sheets = np.full((len(images), height, width, 3), 255, np.uint8)
    for sheet, image in zip(sheets, images, strict=True):
        image = to_uint8(to_float(image)).numpy()
        colours = np.zeros((*image.shape[:2], 3), np.uint8)
        colours[..., : min(3, image.shape[-1])] = image[..., :3]
        sheet[: image.shape[0], : image.shape[1]] = image if image.shape[-1] == 1 else colours
    return sheets


def image_grid(images, columns=0, pad=2):
    """Images side by side.

    Args:
        images: uint8 (n, h, w, c), c 1 or 3.
        columns: 0 for as square as possible.
        pad: pixels between images.

    Returns:
        uint8 (height, width) or (height, width, 3).
    """
    n, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = np.full(
        (rows * (height + pad) + pad, columns * (width + pad) + pad, channels), 255, np.uint8
    )
    for i, image in enumerate(images):
        top, left = pad + i // columns * (height + pad), pad + i % columns * (width + pad)
        sheet[top : top + height, left : left + width] = image
    return sheet[..., 0] if channels == 1 else sheet


def save_grid(images, path, columns=0):
    """Writes a grid as an image file; small images are enlarged by whole pixels so that one can see them.

    Raises:
        ValueError: images with other than 1 or 3 channels.
    """
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"a picture has 1 or 3 channels, received images of shape {images.shape}")
    picture = Image.fromarray(enlarge(image_grid(images, columns), images.shape[1]))
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    picture.save(partial)
    partial.replace(path)


def save_animation(paths, path, seconds=6.0, frames=60):
    """A GIF of picture files, thinned to at most so many frames; the last one stays for a while."""
    chosen = [
        paths[i]
        for i in sorted({round(i) for i in np.linspace(0, len(paths) - 1, min(frames, len(paths)))})
    ]
    pictures = [
        Image.open(chosen_path).convert("P", palette=Image.Palette.ADAPTIVE)
        for chosen_path in chosen
    ]
    each = max(40, int(1000 * seconds / len(pictures)))
    pictures[0].save(
        path,
        save_all=True,
        append_images=pictures[1:],
        duration=[each] * (len(pictures) - 1) + [2000],
        loop=0,
    )


def save_interpolation(images, path, columns):
    """A walk as an animation, its columns one after another and back again."""
    frames = [
        Image.fromarray(enlarge(image_grid(images[step::columns]), images.shape[1]))
        for step in range(columns)
    ]
    frames = [frame.convert("P", palette=Image.Palette.ADAPTIVE) for frame in frames]
    frames[0].save(
        path, save_all=True, append_images=[*frames[1:], *frames[-2:0:-1]], duration=100, loop=0
    )


def enlarge(sheet, height):
    """Whole pixels repeated until an image of `height` pixels has about 112."""
    factor = max(1, 112 // height)
    return sheet.repeat(factor, axis=0).repeat(factor, axis=1)


def save_curves(rows, path, title):
    """Plot the columns of metrics.csv over the steps, losses, logits and each score in a panel.

    Args:
        rows: Rows of metrics.csv, from `runs.read_metrics`.
        path: Image file to write.
        title: Title of the figure.
    """
    figure = plot_curves(rows, curve_panels(rows))
    figure.suptitle(title)
    figure.savefig(path, dpi=110)


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
    """The columns of metrics.csv that share a plot: the losses, the logits, every score for itself."""
    names = [
        name for name in rows[0] if name not in ("epoch", "step", "seconds", "images_per_second")
    ]
    scores = [name for name in names if name.startswith("eval_")]
    logits = [name for name in names if "logits" in name]
    return [
        panel
        for panel in (
            [name for name in names if name not in scores + logits],
            logits,
            *([name] for name in scores),
        )
        if panel
    ]
