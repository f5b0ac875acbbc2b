"""Photographs and styles that need no file and no network: two that come with scikit-learn, and patterns drawn by rules of ours.

The photographs are under CC BY 2.0: china by danielbuechele, flower by vultilion, both from flickr. The patterns are ours.
"""

import pathlib

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tfgan_zoo.data import image_folder
from tfgan_zoo.data.transforms import resize_longer_side
from tfgan_zoo.errors import UserError, check_at_least, check_choice, first_line

PHOTOGRAPHS = ("china", "flower")  # 640x427
STYLES = ("mosaic", "strokes", "hatching")
PALETTE = (
    (24, 42, 92),
    (38, 86, 158),
    (92, 150, 196),
    (232, 196, 88),
    (214, 132, 50),
    (158, 54, 44),
    (238, 228, 200),
    (46, 92, 74),
)


def photograph(name):
    """One of `PHOTOGRAPHS`: uint8 (427, 640, 3)."""
    check_choice("a photograph", name, PHOTOGRAPHS)
    from sklearn.datasets import load_sample_image

    return np.ascontiguousarray(load_sample_image(f"{name}.jpg"))


def style_image(name, size=512, seed=0):
    """One of `STYLES`, drawn anew for every seed: uint8 (size, size, 3).

    Args:
        name: mosaic, cells of coloured glass in dark lead; strokes, thick brush strokes along whirls; hatching, ink lines on paper.
        size: pixels, at least 32.
        seed: another seed (or list of them), another picture of the kind.
    """
    check_choice("a style", name, STYLES)
    check_at_least(32, size=size)
    random = np.random.default_rng([*np.atleast_1d(seed), STYLES.index(name)])
    return {"mosaic": draw_mosaic, "strokes": draw_strokes, "hatching": draw_hatching}[name](
        size, random
    )


def smooth_noise(size, random, cells):
    """Smooth noise with about so many hills along a side: float32 (size, size) in [0, 1]."""
    coarse = Image.fromarray(random.random((cells + 1, cells + 1)).astype(np.float32))
    fine = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))
    return (fine - fine.min()) / np.ptp(fine)


def draw_mosaic(size, random):
    count = 300
    points = random.random((count, 2)) * size
    shades = np.array(PALETTE)[random.integers(0, len(PALETTE), count)] * random.uniform(
        0.75, 1.15, (count, 1)
    )
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    nearest, second, which = (
        np.full((size, size), np.inf),
        np.full((size, size), np.inf),
        np.zeros((size, size), int),
    )
    for i, (y, x) in enumerate(points):
        away = np.hypot(rows - y, columns - x)
        closer = away < nearest
        second = np.where(closer, nearest, np.minimum(second, away))
        nearest, which = np.where(closer, away, nearest), np.where(closer, i, which)
    light = 0.85 + 0.3 * smooth_noise(size, random, 40)
    lead = np.clip((second - nearest) / size * 200, 0, 1)  # thin dark lines where two cells meet
    return np.clip(
        shades[which] * (light * lead)[..., None] + 22 * (1 - lead)[..., None], 0, 255
    ).astype(np.uint8)


def draw_strokes(size, random):
    angle = 4 * np.pi * smooth_noise(size, random, 4)
    place = smooth_noise(size, random, 5)
    picture = Image.new("RGB", (size, size), PALETTE[1])
    draw = ImageDraw.Draw(picture)
    length, thick = size / 18, max(2, round(size / 100))
    for y, x in random.random((5000, 2)) * size:
        row, column = int(y), int(x)
        base = np.array(PALETTE[min(int(place[row, column] * 8 + random.normal(0, 0.6)), 7) % 8])
        colour = tuple(np.clip(base + random.normal(0, 22), 0, 255).astype(int))
        line = []
        for _ in range(6):  # a stroke bends along the field
            line.append((x, y))
            direction = angle[min(max(int(y), 0), size - 1), min(max(int(x), 0), size - 1)]
            x, y = x + np.cos(direction) * length / 6, y + np.sin(direction) * length / 6
        draw.line(line, fill=colour, width=thick, joint="curve")
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(size / 800)))


def draw_hatching(size, random):
    tone = smooth_noise(size, random, 6)
    paper = 236 - 14 * smooth_noise(size, random, 60)
    rows, columns = np.mgrid[:size, :size] / size
    wobble = smooth_noise(size, random, 12) * 0.03
    ink = np.zeros((size, size))
    for slope, darker in (
        (0.6, 0.25),
        (-0.8, 0.5),
        (0.05, 0.72),
    ):  # the darker, the more layers of lines
        across = (rows + slope * columns + wobble) / np.hypot(1, slope)
        line = np.clip(1.6 - np.abs((across * 60) % 1 - 0.5) * 6, 0, 1)
        ink = np.maximum(ink, line * np.clip((tone - darker) * 8, 0, 1))
    colour = np.array((38, 30, 52))
    return np.clip(
        paper[..., None] * (1 - ink[..., None]) * (1, 0.97, 0.9) + colour * ink[..., None], 0, 255
    ).astype(np.uint8)


def photograph_crop(index, size, seed=0):
    """A square piece of a photograph, at a scale and place drawn from (seed, index): uint8 (size, size, 3)."""
    random = np.random.default_rng([seed, index])
    photo = Image.fromarray(photograph(PHOTOGRAPHS[index % len(PHOTOGRAPHS)]))
    side = random.uniform(min(size, photo.height / 2), photo.height)
    left, top = random.random(2) * (photo.width - side, photo.height - side)
    return np.asarray(
        photo.resize((size, size), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
    )


def random_style(index, size, seed=0):
    """Any of the styles, all of them in turn: uint8 (size, size, 3)."""
    return style_image(STYLES[index % len(STYLES)], size, seed=[seed, index // len(STYLES)])


def load_style_image(name, longer=0):
    """A picture to learn a style from: one of `embedded.STYLES`, or a file.

    Args:
        name: which.
        longer: pixels of its longer side; 0: as it is, 512 for those of ours.

    Returns:
        uint8 (h, w, 3), at least 32 pixels to each side.

    Raises:
        UserError: no such file, or one that cannot be read.
    """
    if name in STYLES and not pathlib.Path(name).is_file():
        return style_image(name, longer or 512)
    try:
        image = image_folder.to_8_bits(image_folder.read_image(name, 3))
    except image_folder.UNREADABLE as error:
        raise UserError(
            f"a style must be a picture, or one of {', '.join(STYLES)}, received {name!r} ({first_line(error)})"
        ) from None
    return resize_longer_side(image, longer or max(image.shape[:2]))
