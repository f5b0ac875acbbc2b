"""Built-in photographs and style images that need no file and no network connection.

Two photographs come with scikit-learn. They are under CC BY 2.0: china by danielbuechele, flower by
vultilion, both from flickr. The style images are patterns that this module draws.
"""

import pathlib

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tfgan_zoo.data import image_file
from tfgan_zoo.data.transforms import resize_longer_side
from tfgan_zoo.errors import UserError, check_choice, check_range, first_line

PHOTOGRAPHS = ("china", "flower")  # 640x427
STYLES = ("mosaic", "strokes", "hatching")
PALETTE = (  # RGB
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
    """Load one of `PHOTOGRAPHS`: uint8 (427, 640, 3)."""
    check_choice("a photograph", name, PHOTOGRAPHS)
    from sklearn.datasets import load_sample_image

    return np.ascontiguousarray(load_sample_image(f"{name}.jpg"))


def style_image(name, size=512, seed=0):
    """Draw one of `STYLES`.

    Args:
        name: mosaic (cells of colored glass in dark lead), strokes (thick brush strokes that follow
            a smooth direction field) or hatching (ink lines on paper).
        size: Pixels of a side, at least 32.
        seed: An int or a list of ints; it determines the image.

    Returns:
        uint8 (size, size, 3).
    """
    check_choice("a style", name, STYLES)
    check_range(32, 2**12, size=size)
    random = np.random.default_rng([*np.atleast_1d(seed), STYLES.index(name)])
    draw = {"mosaic": draw_mosaic, "strokes": draw_strokes, "hatching": draw_hatching}[name]
    return draw(size, random)


def smooth_noise(size, random, cells):
    """Return smooth noise: float32 (size, size) in [0, 1].

    Args:
        size: Pixels of a side.
        random: A NumPy random generator.
        cells: Random values along a side, between which the noise is interpolated.
    """
    coarse = Image.fromarray(random.random((cells + 1, cells + 1)).astype(np.float32))
    fine = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))
    return (fine - fine.min()) / np.ptp(fine)


def draw_mosaic(size, random):
    """Draw a Voronoi diagram of random points, its cells in shades of the palette."""
    num_cells = 300
    points = random.random((num_cells, 2)) * size
    colors = np.array(PALETTE)[random.integers(0, len(PALETTE), num_cells)]
    colors = colors * random.uniform(0.75, 1.15, (num_cells, 1))

    # Find the nearest point of each pixel, and the distances of the nearest two.
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    nearest = np.full((size, size), np.inf)
    second = np.full((size, size), np.inf)
    cell = np.zeros((size, size), int)
    for i, (y, x) in enumerate(points):
        distance = np.hypot(rows - y, columns - x)
        closer = distance < nearest
        second = np.where(closer, nearest, np.minimum(second, distance))
        nearest = np.where(closer, distance, nearest)
        cell = np.where(closer, i, cell)

    light = 0.85 + 0.3 * smooth_noise(size, random, 40)
    glass = np.clip((second - nearest) / size * 200, 0, 1)  # 0 in the lead between two cells
    image = colors[cell] * (light * glass)[..., None] + 22 * (1 - glass)[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)


def draw_strokes(size, random):
    """Draw 5,000 curved brush strokes that follow a smooth direction field."""
    direction = 4 * np.pi * smooth_noise(size, random, 4)
    hue = smooth_noise(size, random, 5)  # position in the palette
    image = Image.new("RGB", (size, size), PALETTE[1])
    canvas = ImageDraw.Draw(image)
    length, width, segments = size / 18, max(2, round(size / 100)), 6
    for y, x in random.random((5000, 2)) * size:
        index = min(int(hue[int(y), int(x)] * 8 + random.normal(0, 0.6)), 7) % 8
        color = np.array(PALETTE[index]) + random.normal(0, 22)
        line = []
        for _ in range(segments):
            line.append((x, y))
            angle = direction[min(max(int(y), 0), size - 1), min(max(int(x), 0), size - 1)]
            x, y = x + np.cos(angle) * length / segments, y + np.sin(angle) * length / segments
        fill = tuple(np.clip(color, 0, 255).astype(int))
        canvas.line(line, fill=fill, width=width, joint="curve")
    return np.asarray(image.filter(ImageFilter.GaussianBlur(size / 800)))


def draw_hatching(size, random):
    """Draw a smooth tone by layers of wavy ink lines: the darker, the more layers."""
    darkness = smooth_noise(size, random, 6)
    paper = 236 - 14 * smooth_noise(size, random, 60)
    rows, columns = np.mgrid[:size, :size] / size
    wobble = smooth_noise(size, random, 12) * 0.03
    ink = np.zeros((size, size))
    for slope, threshold in ((0.6, 0.25), (-0.8, 0.5), (0.05, 0.72)):
        across = (rows + slope * columns + wobble) / np.hypot(1, slope)  # distance across the lines
        lines = np.clip(1.6 - np.abs((across * 60) % 1 - 0.5) * 6, 0, 1)
        ink = np.maximum(ink, lines * np.clip((darkness - threshold) * 8, 0, 1))
    paper_color, ink_color = (1, 0.97, 0.9), np.array((38, 30, 52))
    image = paper[..., None] * (1 - ink[..., None]) * paper_color + ink_color * ink[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)


def photograph_crop(index, size, seed=0):
    """Crop a square from a photograph at a random scale and position.

    Args:
        index: Determines the photograph, in turn, and the crop.
        size: Pixels of a side of the result.
        seed: Determines the crop, with `index`.

    Returns:
        uint8 (size, size, 3).
    """
    random = np.random.default_rng([seed, index])
    photo = Image.fromarray(photograph(PHOTOGRAPHS[index % len(PHOTOGRAPHS)]))
    side = random.uniform(min(size, photo.height / 2), photo.height)
    left, top = random.random(2) * (photo.width - side, photo.height - side)
    box = (left, top, left + side, top + side)
    return np.asarray(photo.resize((size, size), Image.Resampling.BICUBIC, box))


def random_style(index, size, seed=0):
    """Draw a style image, the styles in turn by `index`: uint8 (size, size, 3)."""
    name = STYLES[index % len(STYLES)]
    return style_image(name, size, seed=[seed, index // len(STYLES)])


def load_style_image(name, longer=0):
    """Load a style image: one of `STYLES`, or an image file.

    Args:
        name: Name of a built-in style, or path of a file. A file takes precedence.
        longer: Pixels of the longer side; 0: as it is, 512 for the built-in styles.

    Returns:
        uint8 (h, w, 3), at least 32 pixels on each side.

    Raises:
        UserError: The file does not exist or cannot be read.
    """
    if name in STYLES and not pathlib.Path(name).is_file():
        return style_image(name, longer or 512)
    try:
        image = image_file.to_8_bits(image_file.read_image(name, 3, longer))
    except image_file.ImageError as error:
        raise UserError(
            f"a style must be an image file or one of {', '.join(STYLES)}, "
            f"got {name!r} ({first_line(error)})."
        ) from None
    return resize_longer_side(image, longer or max(image.shape[:2]))
