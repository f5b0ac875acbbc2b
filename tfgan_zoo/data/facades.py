"""Facades: label maps of buildings and their photographs, drawn by rules of ours, in pairs for pix2pix and in two halves for CycleGAN.

Our own stand-in for the CMP facades of pix2pix (Isola et al. 2017): nothing in it is anybody's picture, so no licence comes with it, and
there is no end to it: any index is a building. The truth is known: `render` makes the photograph of a label map by a pure function, with
no draw in it and no position, so a translation can be compared with the one right answer, pixel by pixel, and `classes_of` reads back
the labels. Mirrored labels give the mirrored photograph and a crop of labels gives the crop, since training flips and crops pairs.
"""

import numpy as np

from tfgan_zoo.config import check_at_least

# saturated, at least 127 apart in RGB, and nothing like the muted photographs: copying the labels is a bad translation
CLASSES = {
    "sky": (0, 0, 128),
    "roof": (128, 0, 128),
    "plaster": (0, 0, 255),
    "brick": (128, 0, 255),
    "stone": (0, 128, 255),
    "window": (0, 255, 255),
    "door": (255, 128, 0),
    "blind": (0, 255, 0),
    "balcony": (255, 0, 255),
    "cornice": (0, 255, 128),
    "sill": (255, 255, 0),
    "pillar": (255, 0, 0),
    "shop": (255, 0, 128),
}
SKY, ROOF, PLASTER, BRICK, STONE, WINDOW, DOOR, BLIND, BALCONY, CORNICE, SILL, PILLAR, SHOP = range(len(CLASSES))
PALETTE = np.array(list(CLASSES.values()), np.uint8)

# what a photograph shows of each class: its colour, and the colour of its detail (joints, frames, slats, gaps between bars)
MATERIALS = np.array(
    [
        [(126, 164, 200), (212, 218, 216)],  # sky, haze
        [(92, 86, 92), (140, 128, 126)],  # roof, its ridge
        [(214, 178, 120), (190, 150, 96)],  # plaster, weathered
        [(146, 78, 58), (186, 148, 126)],  # brick, mortar
        [(172, 168, 156), (136, 132, 122)],  # stone, joint
        [(48, 66, 88), (236, 232, 220)],  # window, frame
        [(96, 56, 34), (62, 34, 22)],  # door, panel
        [(84, 122, 96), (48, 78, 62)],  # blind, gap between slats
        [(44, 44, 48), (126, 116, 104)],  # balcony, between its bars
        [(232, 222, 200), (206, 194, 170)],  # cornice
        [(208, 206, 202), (180, 178, 174)],  # sill
        [(206, 186, 158), (170, 148, 120)],  # pillar
        [(74, 62, 52), (150, 46, 44)],  # shop, awning
    ],
    np.float32,
)


def colours(classes):
    """Class numbers (...) -> uint8 (..., 3), the label map as a picture."""
    return PALETTE[classes]


def classes_of(image):
    """The nearest class of every pixel: uint8 (..., 3) -> uint8 (...), the inverse of `colours`."""
    pixels, palette = np.asarray(image).astype(np.int32), PALETTE.astype(np.int32)
    # |pixel - colour|^2 without |pixel|^2, which is the same for all colours
    return np.argmin((palette**2).sum(-1) - 2 * pixels @ palette.T, axis=-1).astype(np.uint8)


def pair(index, size, seed=0):
    """One building: (labels in colours, photograph), both uint8 (size, size, 3). Arguments as of `layout`."""
    classes = layout(index, size, seed)
    return colours(classes), render(classes)


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
        return max(1, round(units * size / 64))  # features are given in pixels of a picture of 64, and none vanishes

    def between(low, high):
        return low + (high - low) * random()

    def box(kind, top, bottom, left, right):
        street[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = kind

    # the frame: floors and columns of whole pixels, so that one window is like the other
    floors = 2 + int(5 * random())
    columns = 2 + int((min(6, int((right - left) / 0.13)) - 1) * random())
    left, right = round(left * size), round(right * size)
    storey = max(4, round(between(0.78, 1.0) * min(0.24, 0.8 / (floors + 0.4)) * size))
    ground = round(storey * between(1.05, 1.35))
    eaves = size - ground - (floors - 1) * storey
    pitch = (right - left) // columns
    first = left + (right - left - columns * pitch) // 2
    centres = [first + i * pitch + pitch // 2 for i in range(columns)]

    # the style, one for all of the building
    width = min(max(2, round(pitch * between(0.36, 0.5))), px(12))
    height = max(2, round(storey * between(0.5, 0.6)))
    shutters, sills, hoods, courses = random() < 0.35, random() < 0.7, random() < 0.3, random() < 0.45
    pillars = ("none", "none", "edges", "all")[int(4 * random())]
    balconies = ("none", "none", "middle", "chequered", "floor")[int(5 * random())]
    shops, door, dormers, chimney = random() < 0.45, int(columns * random()), random() < 0.6, random()
    attic, balcony_floor = px(between(4, 11)), 1 + int((floors - 1) * random())
    slope = (0.0, 0.4, 1.0)[int(3 * random())]  # of the roof's ends: none, steep, flat
    overhang = px(1) if random() < 0.7 else 0

    # the roof, row by row from the eaves, then what stands on it
    if chimney < 0.5:
        place = left + round((right - left) * between(0.15, 0.8))
        box(BRICK, eaves - attic - px(3), eaves, place, place + px(4))
        box(CORNICE, eaves - attic - px(4), eaves - attic - px(3), place - px(0.5), place + px(4) + px(0.5))
    if slope == 1.0:
        slope = 0.5 * (right - left) / attic
    for row in range(attic):
        box(ROOF, eaves - row - 1, eaves - row, left + round(slope * row), right - round(slope * row))
    if dormers and attic >= px(7) and slope < 1.0:
        for centre in centres:
            box(CORNICE, eaves - px(7), eaves - px(6), centre - px(3), centre + px(3))
            box(WINDOW, eaves - px(6), eaves - px(1), centre - px(2), centre + px(2))

    box(wall, eaves, size, left, right)
    if wall == PLASTER:
        box(STONE, size - px(2), size, left, right)
    for floor in range(1, floors) if courses else [1] if floors > 2 else []:
        box(CORNICE, size - ground - (floor - 1) * storey - px(1), size - ground - (floor - 1) * storey, left, right)
    if pillars != "none":
        inner = [first + i * pitch for i in range(1, columns)] if pillars == "all" and not shutters else []
        for place in [left + px(1), *inner, right - px(1)]:
            box(PILLAR, eaves, size, place - px(1), place + px(1))
    box(CORNICE, eaves - px(1), eaves + px(1), left - overhang, right + overhang)

    for floor in range(floors):
        base = size - (ground + (floor - 1) * storey if floor else 0)  # the first row below the floor
        tall = storey if floor else ground
        for column, centre in enumerate(centres):
            start, stop = centre - width // 2, centre - width // 2 + width
            top = base - tall + max(px(2), (tall - height) // 2)
            bottom = top + height + (0 if floor else ground - storey)
            if floor == 0 and column == door:
                bottom = size
                box(DOOR, top, bottom, start, stop)
                box(CORNICE, top - px(1), top, start - px(1), stop + px(1))
                continue
            if floor == 0 and shops:
                half = min(round(pitch * 0.4), px(8))
                box(SHOP, base - ground + px(2), size - px(1), centre - half, centre + half)
                continue
            box(WINDOW, top, bottom, start, stop)
            blind = max(1, min(round(width * 0.45), (pitch - width - 1) // 2))
            if shutters:
                box(BLIND, top, bottom, start - blind, start)
                box(BLIND, top, bottom, stop, stop + blind)
            if hoods:
                box(CORNICE, top - px(1), top, start - px(1), stop + px(1))
            if floor and (
                (balconies == "middle" and abs(2 * column - columns + 1) < 2)
                or (balconies == "chequered" and (floor + column) % 2)
                or (balconies == "floor" and floor == balcony_floor)
            ):
                extra = min(px(2), (pitch - width) // 2)
                box(BALCONY, base - max(px(3), tall // 3), base - px(0.5), start - extra, stop + extra)
            elif sills:
                box(SILL, bottom, bottom + px(1), start - px(1), stop + px(1))


def run(classes, axis, reverse, reach):
    """How many pixels of the same class lie behind each one in a direction, itself included, at most `reach`: int32 (h, w)."""
    if reverse:
        return np.flip(run(np.flip(classes, axis), axis, False, reach), axis)
    if axis:
        return run(classes.T, 0, False, reach).T
    rows = np.arange(len(classes), dtype=np.int32)[:, None]
    changed = np.zeros(classes.shape, bool)
    changed[1:] = classes[1:] != classes[:-1]
    start = np.maximum.accumulate(np.where(changed, rows, -reach), axis=0)  # outside of the picture everything goes on as at its border
    return np.minimum(rows - start + 1, reach)


def below(mask, reach):
    """How far below the nearest pixel of the mask in its column each pixel is, at most `reach`: int32 (h, w)."""
    rows = np.arange(len(mask), dtype=np.int32)[:, None]
    return np.minimum(rows - np.maximum.accumulate(np.where(mask, rows, -reach), axis=0), reach)


def spread(mask, radius):
    """The mean of the mask over the square around each pixel: float32 (h, w); sums of whole numbers, so that mirroring is exact."""
    total = mask.astype(np.int32)
    for _ in range(2):
        total = np.pad(total, ((radius + 1, radius), (0, 0)), mode="edge").cumsum(axis=0, dtype=np.int32)
        total = (total[2 * radius + 1 :] - total[: -2 * radius - 1]).T
    return total.astype(np.float32) / np.float32((2 * radius + 1) ** 2)


def render(classes):
    """The photograph of a label map: the true translation, a function of the labels alone.

    Light falls from straight above. A pixel depends on labels at most `8 * unit` away, unit = size / 64 rounded, wherever it lies.

    Args:
        classes: uint8 (h, w), numbers of `CLASSES`.

    Returns:
        uint8 (h, w, 3).
    """
    unit = max(1, (min(classes.shape) + 32) // 64)
    reach = 8 * unit
    up, down = run(classes, 0, False, reach), run(classes, 0, True, reach)
    left, right = run(classes, 1, False, reach), run(classes, 1, True, reach)
    side, ends = np.minimum(left, right), np.minimum(up, down)
    rim = np.minimum(side, ends)
    fall = up / (up + down)  # from 0 at a thing's top to 1 at its bottom
    height = (reach - up) / reach

    def bar(offset):
        return np.clip((unit + 1 - np.abs(offset)) / 2, 0, 1)  # as wide as a unit, half as strong where it falls between pixels

    upright = np.where((left + right > 4 * unit) & (side < reach), bar(left - right), 0)
    across = np.where(up + down > 5 * unit, bar(2 * up - down), 0)
    frame = np.maximum(rim <= unit, 0.8 * np.maximum(upright, across))
    course = -(-ends // (2 * unit)) if False else ends // (2 * unit)
    joint = (ends % (2 * unit) < unit) | ((side + course % 2 * 2 * unit) % (4 * unit) < unit * 0.6)
    block = ends // (4 * unit)
    ashlar = (ends % (4 * unit) < unit) | ((side + block % 2 * 3 * unit) % (6 * unit) < unit * 0.6)
    soft = ends < reach
    awning = up <= 3 * unit
    grid = {
        SKY: (spread(spread(classes != SKY, 4 * unit), 4 * unit), 1),
        ROOF: (np.maximum(height, 0) ** 2, 1 - 0.16 * (down % (2 * unit) < unit)),
        PLASTER: (0.5 - 0.5 * height, 1),
        BRICK: (0.55 * joint * soft, 1),
        STONE: (0.8 * ashlar * soft, 1),
        WINDOW: (frame, np.where(frame > 0, 1, 0.7 + 0.9 * fall)),
        DOOR: ((rim > unit) * (upright == 0) * (across == 0), 1.15 - 0.3 * fall),
        BLIND: (0.8 * (ends % (2 * unit) < unit), 1.08 - 0.16 * fall),
        BALCONY: ((up > unit) * (side % (2 * unit) < unit), np.where(down <= unit, 3.2, 1)),
        CORNICE: ((up > unit) * 1.0, 1),
        SILL: ((up > unit) * 1.0, 1),
        PILLAR: (np.maximum(0, 1 - (side - 0.5) / (left + right) * 3), np.where(up <= 2 * unit, 1.08, 1)),
        SHOP: (awning, np.where(awning, 1.2 - 0.3 * (side % (4 * unit) < 2 * unit), 0.6 + 0.8 * fall)),
    }
    detail, light = (np.choose(classes, [np.broadcast_to(grid[kind][i], classes.shape) for kind in grid]) for i in (0, 1))
    shadow = np.zeros(classes.shape)
    for kind, depth, length in ((CORNICE, 0.4, 3 * unit), (BALCONY, 0.45, 4 * unit), (SILL, 0.3, 2 * unit), (ROOF, 0.3, 3 * unit)):
        away = below(classes == kind, reach)
        shadow = np.maximum(shadow, depth * np.clip(1 - (away - 1) / length, 0, 1) * (away > 0))
    wall = (classes >= PLASTER) & (classes <= STONE)
    light = light * np.where(classes == SKY, 1, 1 - shadow) * (1 - 0.3 * wall * spread(~wall & (classes != SKY), 2 * unit))
    base, fine = MATERIALS[classes, 0], MATERIALS[classes, 1]
    photo = (base + detail[..., None] * (fine - base)) * light[..., None]
    return np.clip(np.rint(photo), 0, 255).astype(np.uint8)
