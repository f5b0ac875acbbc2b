"""Facades: label maps of buildings and their photographs, drawn by rules of ours, in pairs for pix2pix and in two halves for CycleGAN.

Our own stand-in for the CMP facades of pix2pix (Isola et al. 2017): nothing in it is anybody's picture, so no licence comes with it, and
there is no end to it: any index is a building. The truth is known: `render` makes the photograph of a label map by a pure function, with
no draw in it and no position, so a translation can be compared with the one right answer, pixel by pixel, and `classes_of` reads back
the labels. Mirrored labels give the mirrored photograph and a crop of labels gives the crop, since training flips and crops pairs.
"""

import numpy as np

from tfgan_zoo.errors import check_at_least

# Of every class: its colour in label maps, then what a photograph shows, its colour and that of its detail. The first are saturated, at
# least 127 apart, and nothing like the muted photographs, so that copying the labels is a bad translation.
TABLE = {
    "sky": [(0, 0, 128), (112, 154, 196), (222, 224, 216)],  # haze
    "roof": [(128, 0, 128), (78, 82, 104), (146, 144, 152)],  # the ridge
    "plaster": [(0, 0, 255), (216, 180, 120), (188, 148, 96)],  # weathered
    "brick": [(128, 0, 255), (148, 78, 58), (190, 150, 126)],  # mortar
    "stone": [(0, 128, 255), (174, 170, 158), (122, 118, 110)],  # joints
    "window": [(0, 255, 255), (50, 70, 94), (240, 236, 224)],  # the frame
    "door": [(255, 128, 0), (104, 60, 36), (64, 36, 22)],  # panels
    "blind": [(0, 255, 0), (84, 126, 98), (46, 76, 60)],  # gaps between slats
    "balcony": [(255, 0, 255), (206, 194, 174), (46, 44, 46)],  # iron
    "cornice": [(0, 255, 128), (238, 224, 192), (206, 190, 158)],  # the underside
    "sill": [(255, 255, 0), (204, 206, 208), (168, 170, 172)],  # the underside
    "pillar": [(255, 0, 0), (210, 188, 158), (164, 140, 112)],  # the sides
    "shop": [(255, 0, 128), (184, 162, 120), (160, 44, 44)],  # the awning
}
CLASSES = {name: row[0] for name, row in TABLE.items()}
SKY, ROOF, PLASTER, BRICK, STONE, WINDOW, DOOR, BLIND, BALCONY, CORNICE, SILL, PILLAR, SHOP = range(
    len(TABLE)
)
PALETTE, COLOR, DETAIL = np.array(list(TABLE.values()), np.uint8).swapaxes(0, 1)


def class_colors(classes):
    """Class numbers (...) -> uint8 (..., 3), the label map as a picture."""
    return PALETTE[classes]


def nearest_classes(image):
    """The class of the nearest colour for every pixel: uint8 (..., 3) -> uint8 (...), the inverse of `colours`."""
    palette = PALETTE.astype(
        np.float64
    )  # matrix products of whole numbers are quick in floats only, and exact
    return np.argmin((palette**2).sum(-1) - 2 * (np.asarray(image) @ palette.T), axis=-1).astype(
        np.uint8
    )  # less |pixel|^2, common to all


def pair(index, size, seed=0):
    """One building: (labels in colours, photograph), both uint8 (size, size, 3). Arguments as of `layout`."""
    classes = layout(index, size, seed)
    return class_colors(classes), render(classes)


def layout(index, size, seed=0):
    """The label map of a building in its street, drawn from (seed, index) alone: every size shows the same building.

    Args:
        index: which one, any number from 0.
        size: pixels, at least 16; 64 and more show everything.
        seed: another seed is another town.

    Returns:
        uint8 (size, size), numbers of `CLASSES`.

    Raises:
        UserError: a negative index or seed, or a smaller size.
    """
    check_at_least(0, index=index, seed=seed)
    check_at_least(16, size=size)
    street = np.full((size, size), SKY, np.uint8)
    random = np.random.default_rng((seed, index)).random
    material = int(3 * random())
    left = 0.04 + 0.14 * random() if random() < 0.45 else 0.0
    right = 0.96 - 0.14 * random() if random() < 0.45 else 1.0
    for start, stop, other in ((left - 0.6, left, 1), (right, right + 0.6, 2)):
        neighbour, draws = random() < 0.65, np.random.default_rng((seed, index, other)).random
        if neighbour and stop > 0.0 and start < 1.0:
            build(street, draws, start, stop, PLASTER + (material + other) % 3)
    build(street, random, left, right, PLASTER + material)
    return street


def build(street, random, left, right, wall):
    """Puts one building into the street.

    Args:
        street: uint8 (size, size), changed in place.
        random: a function that draws from [0, 1).
        left, right: its sides as fractions of the size, perhaps outside of the picture.
        wall: PLASTER, BRICK or STONE.
    """
    size = len(street)

    def px(units):
        return max(
            1, round(units * size / 64)
        )  # features are given in pixels of a picture of 64, and none vanishes

    def between(low, high):
        return low + (high - low) * random()

    def box(kind, top, bottom, left, right):
        street[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = kind

    # the frame: floors and columns of whole pixels, so that one window is like the other
    floors = (2, 3, 3, 4, 4, 5, 5, 6)[int(8 * random())]
    storey = between(0.78, 1.0) * min(0.24, 0.8 / (floors + 0.4))
    columns = min(max(2, round((right - left) / (storey * between(1.05, 1.6)))), 6)
    left, right, storey = round(left * size), round(right * size), max(4, round(storey * size))
    ground = round(storey * between(1.05, 1.35))
    eaves = size - ground - (floors - 1) * storey
    pitch = (right - left) // columns
    first = left + (right - left - columns * pitch) // 2
    centres = [first + i * pitch + pitch // 2 for i in range(columns)]

    # the style, one for all of the building
    height = max(2, round(storey * between(0.54, 0.64)))
    width = max(
        2, min(round(pitch * between(0.4, 0.54)), round(height * between(0.75, 1.0)), px(12))
    )
    shutters, sills, hoods, courses = (
        random() < 0.35,
        random() < 0.7,
        random() < 0.3,
        random() < 0.45,
    )
    pillars = ("none", "none", "edges", "all")[int(4 * random())]
    balconies = ("none", "none", "middle", "chequered", "floor")[int(5 * random())]
    shops, door, dormers, chimney = (
        random() < 0.45,
        int(columns * random()),
        random() < 0.6,
        random(),
    )
    attic, balcony_floor = px(between(4, 11)), 1 + int((floors - 1) * random())
    slope = (0.0, 0.4, (right - left) / (2 * attic))[
        int(3 * random())
    ]  # of the roof's ends: none, steep, up to the middle
    overhang = px(1) if random() < 0.7 else 0

    # from the back to the front: chimney, roof, dormers, wall
    if chimney < 0.5:
        place = left + round((right - left) * between(0.15, 0.8))
        box(BRICK, eaves - attic - px(3), eaves, place, place + px(4))
        box(
            CORNICE,
            eaves - attic - px(4),
            eaves - attic - px(3),
            place - px(0.5),
            place + px(4) + px(0.5),
        )
    for row in range(attic):
        box(
            ROOF,
            eaves - row - 1,
            eaves - row,
            left + round(slope * row),
            right - round(slope * row),
        )
    if dormers and attic >= px(7) and slope < 1.0:
        for centre in centres:
            box(CORNICE, eaves - px(7), eaves - px(6), centre - px(3), centre + px(3))
            box(WINDOW, eaves - px(6), eaves - px(1), centre - px(2), centre + px(2))

    box(wall, eaves, size, left, right)
    if wall == PLASTER:
        box(STONE, size - px(2), size, left, right)
    for floor in range(1, floors if courses else 2):
        base = size - ground - (floor - 1) * storey
        box(CORNICE, base - px(1), base, left, right)
    if pillars != "none":
        inner = (
            [first + i * pitch for i in range(1, columns)]
            if pillars == "all" and not shutters
            else []
        )
        for place in [left + px(1), *inner, right - px(1)]:
            box(PILLAR, eaves, size, place - px(1), place + px(1))
    box(CORNICE, eaves - px(1), eaves + px(1), left - overhang, right + overhang)

    for floor in range(floors):
        base, tall = (size - ground - (floor - 1) * storey, storey) if floor else (size, ground)
        for column, centre in enumerate(centres):
            start, stop = centre - width // 2, centre - width // 2 + width
            top = base - tall + max(px(2), (tall - height) // 2)
            bottom = top + height + tall - storey
            if not floor and column == door:
                box(DOOR, top, base, start, stop)
                box(CORNICE, top - px(1), top, start - px(1), stop + px(1))
            elif not floor and shops:
                half = min(round(pitch * 0.4), px(8))
                box(SHOP, base - tall + px(2), base - px(1), centre - half, centre + half)
            else:
                if shutters:
                    blind = max(1, min(round(width * 0.45), (pitch - width - px(3)) // 2))
                    box(BLIND, top, bottom, start - blind, stop + blind)
                if hoods:
                    box(CORNICE, top - px(1), top, start - px(1), stop + px(1))
                box(WINDOW, top, bottom, start, stop)
                balcony = {
                    "middle": abs(2 * column - columns + 1) < 2,
                    "chequered": (floor + column) % 2,
                    "floor": floor == balcony_floor,
                }
                if floor and balcony.get(balconies):
                    extra = max(0, min(px(2), (pitch - width - px(2)) // 2))
                    box(
                        BALCONY,
                        base - max(px(3), tall // 3),
                        base - px(0.5),
                        start - extra,
                        stop + extra,
                    )
                elif sills:
                    box(SILL, bottom, bottom + px(1), start - px(1), stop + px(1))


def distance_since(mask, reach):
    """How many rows ago the mask was last true, going down, at most `reach`: int (h, w)."""
    rows = np.arange(len(mask), dtype=np.int32)[:, None]
    return np.minimum(rows - np.maximum.accumulate(np.where(mask, rows, -reach)), reach)


def grow_inside(classes, reach):
    """In which row of its class each pixel is, going down: 1 ... `reach`, (h, w). Beyond the picture all goes on as at its border."""
    return np.minimum(
        distance_since(np.diff(classes, axis=0, prepend=classes[:1]) != 0, reach) + 1, reach
    )


def apply_sideways(function, values, reach):
    """A function that goes down the columns made to go right, and left; copied, since rows and columns mix slowly."""
    return [
        np.ascontiguousarray(part.T)
        for part in (function(values.T, reach), function(values.T[::-1], reach)[::-1])
    ]


def dilate(mask, radius):
    """The mask blurred, up to twice the radius away: float (h, w) in [0, 1]; sums of whole numbers, so that mirroring is exact."""
    total = mask.astype(np.int64)
    for _ in range(4):  # a box along the columns, one along the rows, and both again
        total = np.pad(total, ((radius + 1, radius), (0, 0)), mode="edge").cumsum(axis=0)
        total = (total[2 * radius + 1 :] - total[: -2 * radius - 1]).T
    return np.ascontiguousarray(total) / (2 * radius + 1) ** 4


def render(classes):
    """The photograph of a label map: the true translation, a function of the labels alone.

    A unit is size / 64, rounded. A pixel depends on labels at most 8 units away, on whatever there is and not on where it is, and left
    and right are alike.

    Args:
        classes: uint8 (h, w), numbers of `CLASSES`.

    Returns:
        uint8 (h, w, 3).
    """
    unit = max(1, (min(classes.shape) + 32) // 64)
    thin, reach = (unit + 1) // 2, 8 * unit
    up, down = grow_inside(classes, reach), grow_inside(classes[::-1], reach)[::-1]
    left, right = apply_sideways(grow_inside, classes, reach)
    side, ends = np.minimum(left, right), np.minimum(up, down)
    rim = np.minimum(side, ends) <= thin
    fall = up / (up + down)  # from 0 at a thing's top to 1 at its bottom

    # crossbars of windows, upright in the middle and across at a third; half as strong where the place is between two pixels
    bars = np.clip((thin + 1 - np.abs(np.where(side < reach, left - right, reach))) / 2, 0, 1) * (
        left + right > 4 * unit
    )
    bars = np.maximum(
        bars, np.clip((thin + 1 - np.abs(2 * up - down)) / 2, 0, 1) * (up + down > 5 * unit)
    )

    # courses of bricks and stones begin at the rows where windows, sills and cornices begin or end somewhere to the left or right
    wall = (classes >= PLASTER) & (classes <= STONE)
    edges = np.pad(wall[1:] != wall[:-1], ((1, 0), (0, 0)))
    level = np.minimum(*apply_sideways(distance_since, edges, reach)) < reach
    course = distance_since(level, reach)

    def bond(high, long):
        upright = (
            side + course // high % 2 * (long // 2)
        ) % long < thin  # counted from the wall's sides, and lost away from them
        return np.where(
            course < reach, np.maximum(course % high < thin, upright * (1 - side / reach)), 0
        )

    awning, rail = up <= 3 * unit, (up <= thin) | (side % (2 * unit) < thin)
    parts = {  # how much of the detail's colour, and how much light
        SKY: (dilate(classes != SKY, 4 * unit) * 0.7, 1),
        ROOF: (1 - up / reach, 1 - 0.18 * (down % (2 * unit) < thin)),
        PLASTER: (up / reach * 0.5, 1),
        BRICK: (bond(2 * unit, 4 * unit) * 0.4, 1),
        STONE: (bond(4 * unit, 6 * unit) * 0.5, 1),
        WINDOW: (np.maximum(rim, 0.75 * bars), np.where(rim, 1, 0.7 + 0.9 * fall)),
        DOOR: (~rim * (1 - bars), 1.15 - 0.3 * fall),
        BLIND: (ends % (2 * thin) < thin, 1.08 - 0.16 * fall),
        BALCONY: (rail & (down > unit), np.where(down > unit, 0.65, 1)),
        CORNICE: (up > unit, 1),
        SILL: (up > unit, 1),
        PILLAR: (1 - 2 * side / (left + right), np.where(up <= 2 * unit, 1.08, 1)),
        SHOP: (
            awning,
            np.where(
                awning,
                1.25 - 0.4 * (side % (4 * unit) < 2 * unit),
                np.where(rim | (bars == 1), 0.4, 0.4 + 0.9 * fall),
            ),
        ),
    }
    detail, light = (
        np.choose(classes, [parts[kind][i] for kind in range(len(CLASSES))]) for i in (0, 1)
    )

    # shadows fall straight down and fade; corners are dim
    shadow = np.zeros(classes.shape)
    for kind, depth, length in (
        (CORNICE, 0.4, 3 * unit),
        (BALCONY, 0.45, 4 * unit),
        (SILL, 0.3, 2 * unit),
    ):
        away = distance_since(classes == kind, reach)
        shadow = np.maximum(shadow, depth * np.maximum(1 - (away - 1) / length, 0) * (away > 0))
    light = (
        light
        * np.where(classes == SKY, 1, 1 - shadow)
        * (1 - 0.35 * wall * dilate(~wall & (classes != SKY), unit))
    )
    photo = (
        (1 - detail) * COLOR.T[:, classes] + detail * DETAIL.T[:, classes]
    ) * light  # (3, h, w)
    return np.clip(np.rint(photo), 0, 255).astype(np.uint8).transpose(1, 2, 0).copy()
