"""Synthetic facades: label maps of buildings and their photographs, drawn by rules.

They replace the CMP facades of pix2pix (Isola et al. 2017): pairs for pix2pix, unpaired images for
CycleGAN. The images are nobody's photographs, so no license applies. Every index gives another
building.

The correct translation is known. `render` computes the photograph of a label map by a deterministic
function, so a translation can be compared with the truth pixel by pixel, and `nearest_classes`
recovers the labels. `render` commutes with mirroring and, away from the borders, with cropping,
because training mirrors and crops pairs.
"""

import numpy as np

from tfgan_zoo.errors import MAX_SEED, check_range

# For each class: its color in label maps, its color in photographs, and the color of its detail in
# photographs, which the comment names. Label colors are saturated, at least 127 apart and unlike
# the muted photographs, so that copying the labels is a bad translation.
CLASS_COLORS = {
    "sky": [(0, 0, 128), (112, 154, 196), (222, 224, 216)],  # haze
    "roof": [(128, 0, 128), (78, 82, 104), (146, 144, 152)],  # ridge
    "plaster": [(0, 0, 255), (216, 180, 120), (188, 148, 96)],  # weathering
    "brick": [(128, 0, 255), (148, 78, 58), (190, 150, 126)],  # mortar
    "stone": [(0, 128, 255), (174, 170, 158), (122, 118, 110)],  # joints
    "window": [(0, 255, 255), (50, 70, 94), (240, 236, 224)],  # frame
    "door": [(255, 128, 0), (104, 60, 36), (64, 36, 22)],  # panels
    "blind": [(0, 255, 0), (84, 126, 98), (46, 76, 60)],  # gaps between slats
    "balcony": [(255, 0, 255), (206, 194, 174), (46, 44, 46)],  # iron
    "cornice": [(0, 255, 128), (238, 224, 192), (206, 190, 158)],  # underside
    "sill": [(255, 255, 0), (204, 206, 208), (168, 170, 172)],  # underside
    "pillar": [(255, 0, 0), (210, 188, 158), (164, 140, 112)],  # sides
    "shop": [(255, 0, 128), (184, 162, 120), (160, 44, 44)],  # awning
}
CLASSES = {name: colors[0] for name, colors in CLASS_COLORS.items()}
SKY, ROOF, PLASTER, BRICK, STONE, WINDOW, DOOR, BLIND, BALCONY, CORNICE, SILL, PILLAR, SHOP = range(
    len(CLASSES)
)
PALETTE, COLOR, DETAIL = np.array(list(CLASS_COLORS.values()), np.uint8).swapaxes(0, 1)


def class_colors(classes):
    """Return the label map as an image: class numbers (...) -> uint8 (..., 3)."""
    return PALETTE[classes]


def nearest_classes(image):
    """Return the class whose label color is nearest to each pixel: the inverse of `class_colors`.

    Args:
        image: uint8 (..., 3).

    Returns:
        uint8 (...), class numbers.
    """
    # Matrix products of integers are slow in NumPy. In float64 they are fast and exact here.
    palette = PALETTE.astype(np.float64)
    # |color|^2 - 2 pixel . color is the squared distance without |pixel|^2, common to all classes.
    distances = (palette**2).sum(-1) - 2 * (np.asarray(image) @ palette.T)
    return np.argmin(distances, axis=-1).astype(np.uint8)


def pair(index, size, seed=0):
    """Return one building as (label map in colors, photograph), both uint8 (size, size, 3).

    The arguments are those of `layout`.
    """
    classes = layout(index, size, seed)
    return class_colors(classes), render(classes)


def layout(index, size, seed=0):
    """Draw the label map of a building in its street; every size shows the same building.

    Args:
        index: Number of the building, from 0. With `seed` it determines the building.
        size: Pixels of a side, at least 16; details are complete from 64.
        seed: Number of the town, from 0.

    Returns:
        uint8 (size, size), class numbers.

    Raises:
        UserError: `index` or `seed` is negative, or `size` is below 16.
    """
    check_range(0, 2**62, index=index)
    check_range(0, MAX_SEED, seed=seed)
    check_range(16, 2**14, size=size)
    street = np.full((size, size), SKY, np.uint8)
    random = np.random.default_rng((seed, index)).random
    material = int(3 * random())
    left = 0.04 + 0.14 * random() if random() < 0.45 else 0.0
    right = 0.96 - 0.14 * random() if random() < 0.45 else 1.0
    for start, stop, number in ((left - 0.6, left, 1), (right, right + 0.6, 2)):
        has_neighbor = random() < 0.65
        if has_neighbor and stop > 0.0 and start < 1.0:
            neighbor_random = np.random.default_rng((seed, index, number)).random
            wall = PLASTER + (material + number) % 3
            Building(street, neighbor_random, start, stop, wall).draw()
    Building(street, random, left, right, PLASTER + material).draw()
    return street


class Building:
    """A building with random measures and style.

    Args:
        street: Label map, uint8 (size, size); `draw` changes it in place.
        random: A function that returns a random number in [0, 1).
        left: Left side as a fraction of the size, possibly outside of the image.
        right: Right side.
        wall: PLASTER, BRICK or STONE.
    """

    def __init__(self, street, random, left, right, wall):
        self.street, self.wall = street, wall
        size = len(street)

        def between(low, high):
            return low + (high - low) * random()

        # Choose the grid of floors and columns, in whole pixels so that all windows are equal.
        self.num_floors = (2, 3, 3, 4, 4, 5, 5, 6)[int(8 * random())]
        floor_height = between(0.78, 1.0) * min(0.24, 0.8 / (self.num_floors + 0.4))
        columns = round((right - left) / (floor_height * between(1.05, 1.6)))
        self.num_columns = min(max(2, columns), 6)
        self.left, self.right = round(left * size), round(right * size)
        self.floor_height = max(4, round(floor_height * size))
        self.ground_height = round(self.floor_height * between(1.05, 1.35))
        self.eaves = size - self.ground_height - (self.num_floors - 1) * self.floor_height
        width = self.right - self.left
        self.column_width = width // self.num_columns
        self.first_column = self.left + (width - self.num_columns * self.column_width) // 2

        # Choose the style, the same one on all floors.
        self.window_height = max(2, round(self.floor_height * between(0.54, 0.64)))
        window_width = round(self.column_width * between(0.4, 0.54))
        window_width = min(
            window_width, round(self.window_height * between(0.75, 1.0)), self.px(12)
        )
        self.window_width = max(2, window_width)
        self.shutters, self.sills = random() < 0.35, random() < 0.7
        self.hoods, self.courses = random() < 0.3, random() < 0.45  # above windows, between floors
        self.pillars = ("none", "none", "edges", "all")[int(4 * random())]
        self.balconies = ("none", "none", "middle", "checkered", "floor")[int(5 * random())]
        self.shops = random() < 0.45
        self.door_column = int(self.num_columns * random())
        self.dormers = random() < 0.6
        has_chimney = random() < 0.5
        self.roof_height = self.px(between(4, 11))
        self.balcony_floor = 1 + int((self.num_floors - 1) * random())
        slopes = (0.0, 0.4, width / (2 * self.roof_height))  # of its ends: none, steep, to a point
        self.slope = slopes[int(3 * random())]
        self.overhang = self.px(1) if random() < 0.7 else 0
        self.chimney = self.left + round(width * between(0.15, 0.8)) if has_chimney else None

    def px(self, units):
        """Return a length in pixels, at least 1; a unit is a pixel of a 64x64 image."""
        return max(1, round(units * len(self.street) / 64))

    def box(self, kind, top, bottom, left, right):
        self.street[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = kind

    def draw(self):
        """Draw the building from back to front."""
        self.draw_roof()
        self.draw_wall()
        for floor in range(self.num_floors):
            for column in range(self.num_columns):
                self.draw_opening(floor, column)

    def draw_roof(self):
        px, eaves = self.px, self.eaves
        if self.chimney is not None:
            left, right = self.chimney, self.chimney + px(4)
            ridge = eaves - self.roof_height
            self.box(BRICK, ridge - px(3), eaves, left, right)
            self.box(CORNICE, ridge - px(4), ridge - px(3), left - px(0.5), right + px(0.5))
        for row in range(self.roof_height):
            inset = round(self.slope * row)
            self.box(ROOF, eaves - row - 1, eaves - row, self.left + inset, self.right - inset)
        if self.dormers and self.roof_height >= px(7) and self.slope < 1.0:
            for column in range(self.num_columns):
                center = self.center(column)
                self.box(CORNICE, eaves - px(7), eaves - px(6), center - px(3), center + px(3))
                self.box(WINDOW, eaves - px(6), eaves - px(1), center - px(2), center + px(2))

    def draw_wall(self):
        px, left, right, size = self.px, self.left, self.right, len(self.street)
        self.box(self.wall, self.eaves, size, left, right)
        if self.wall == PLASTER:
            self.box(STONE, size - px(2), size, left, right)
        for floor in range(1, self.num_floors if self.courses else 2):
            base = self.base(floor)
            self.box(CORNICE, base - px(1), base, left, right)
        if self.pillars != "none":
            centers = [left + px(1), right - px(1)]
            if self.pillars == "all" and not self.shutters:
                columns = range(1, self.num_columns)
                centers += [self.first_column + column * self.column_width for column in columns]
            for center in centers:
                self.box(PILLAR, self.eaves, size, center - px(1), center + px(1))
        top, bottom = self.eaves - px(1), self.eaves + px(1)
        self.box(CORNICE, top, bottom, left - self.overhang, right + self.overhang)

    def draw_opening(self, floor, column):
        """Draw the door, shop or window of one column of a floor; floor 0 is the ground floor."""
        px, base, center = self.px, self.base(floor), self.center(column)
        height = self.floor_height if floor else self.ground_height
        left = center - self.window_width // 2
        right = left + self.window_width
        top = base - height + max(px(2), (height - self.window_height) // 2)
        if not floor and column == self.door_column:
            self.box(DOOR, top, base, left, right)
            self.box(CORNICE, top - px(1), top, left - px(1), right + px(1))
        elif not floor and self.shops:
            half = min(round(self.column_width * 0.4), px(8))
            self.box(SHOP, base - height + px(2), base - px(1), center - half, center + half)
        else:
            bottom = top + self.window_height + height - self.floor_height
            self.draw_window(floor, column, top, bottom, left, right)

    def draw_window(self, floor, column, top, bottom, left, right):
        px, base = self.px, self.base(floor)
        gap = self.column_width - self.window_width  # between two windows
        if self.shutters:
            shutter = max(1, min(round(self.window_width * 0.45), (gap - px(3)) // 2))
            self.box(BLIND, top, bottom, left - shutter, right + shutter)
        if self.hoods:
            self.box(CORNICE, top - px(1), top, left - px(1), right + px(1))
        self.box(WINDOW, top, bottom, left, right)
        if floor and self.has_balcony(floor, column):
            extra = max(0, min(px(2), (gap - px(2)) // 2))
            top = base - max(px(3), self.floor_height // 3)
            self.box(BALCONY, top, base - px(0.5), left - extra, right + extra)
        elif self.sills:
            self.box(SILL, bottom, bottom + px(1), left - px(1), right + px(1))

    def has_balcony(self, floor, column):
        return {
            "none": False,
            "middle": abs(2 * column - self.num_columns + 1) < 2,
            "checkered": (floor + column) % 2,
            "floor": floor == self.balcony_floor,
        }[self.balconies]

    def center(self, column):
        return self.first_column + column * self.column_width + self.column_width // 2

    def base(self, floor):
        """Return the row below a floor."""
        if not floor:
            return len(self.street)
        return len(self.street) - self.ground_height - (floor - 1) * self.floor_height


def rows_since(mask, reach):
    """Return how many rows above the mask was last true, at most `reach`: int (h, w)."""
    rows = np.arange(len(mask), dtype=np.int32)[:, None]
    return np.minimum(rows - np.maximum.accumulate(np.where(mask, rows, -reach)), reach)


def row_in_region(classes, reach):
    """Return the row of each pixel in its vertical run of one class: 1 ... `reach`, (h, w).

    Runs continue beyond the border of the image.
    """
    starts = np.diff(classes, axis=0, prepend=classes[:1]) != 0
    return np.minimum(rows_since(starts, reach) + 1, reach)


def apply_sideways(function, values, reach):
    """Apply a function that scans downward to the right instead, and to the left.

    The results are copied, because arrays in row order and in column order combine slowly.
    """
    to_right = function(values.T, reach)
    to_left = function(values.T[::-1], reach)[::-1]
    return [np.ascontiguousarray(result.T) for result in (to_right, to_left)]


def blur_mask(mask, radius):
    """Blur a mask over up to twice the radius: float (h, w) in [0, 1].

    Two box filters along each axis. The sums are of integers, so that mirroring is exact.
    """
    total = mask.astype(np.int64)
    for _ in range(4):  # along columns, rows, columns, rows
        total = np.pad(total, ((radius + 1, radius), (0, 0)), mode="edge").cumsum(axis=0)
        total = (total[2 * radius + 1 :] - total[: -2 * radius - 1]).T
    return np.ascontiguousarray(total) / (2 * radius + 1) ** 4


def render(classes):
    """Render the photograph of a label map: the true translation, a function of the labels alone.

    A unit is size / 64 pixels, rounded. A pixel depends on the labels at most 8 units away but not
    on its own position. Left and right are treated equally.

    Args:
        classes: uint8 (h, w), class numbers.

    Returns:
        uint8 (h, w, 3).
    """
    unit = max(1, (min(classes.shape) + 32) // 64)
    detail, light = shade_classes(classes, unit)
    light = cast_shadows(light, classes, unit)
    photo = (1 - detail) * COLOR.T[:, classes] + detail * DETAIL.T[:, classes]  # (3, h, w)
    return np.clip(np.rint(photo * light), 0, 255).astype(np.uint8).transpose(1, 2, 0).copy()


def shade_classes(classes, unit):
    """Return the fraction of the detail color and the brightness of each pixel, both (h, w)."""
    # Measure the distances of each pixel from the borders of its region.
    thin, reach = (unit + 1) // 2, 8 * unit
    up, down = row_in_region(classes, reach), row_in_region(classes[::-1], reach)[::-1]
    left, right = apply_sideways(row_in_region, classes, reach)
    side, ends = np.minimum(left, right), np.minimum(up, down)
    rim = np.minimum(side, ends) <= thin
    fall = up / (up + down)  # from 0 at the top of a region to 1 at its bottom

    # Draw the crossbars of windows: upright in the middle, and across at a third of the height. A
    # bar that lies between two pixels has half the strength on both.
    upright = np.clip((thin + 1 - np.abs(np.where(side < reach, left - right, reach))) / 2, 0, 1)
    across = np.clip((thin + 1 - np.abs(2 * up - down)) / 2, 0, 1)
    bars = np.maximum(upright * (left + right > 4 * unit), across * (up + down > 5 * unit))

    # Lay bricks and stones in courses that begin at rows where windows, sills and cornices begin or
    # end to the left and to the right.
    wall = (classes >= PLASTER) & (classes <= STONE)
    edges = np.pad(wall[1:] != wall[:-1], ((1, 0), (0, 0)))
    level = np.minimum(*apply_sideways(rows_since, edges, reach)) < reach
    course = rows_since(level, reach)

    def joints(height, length):
        # Upright joints are counted from the sides of the wall, and fade away from them.
        offset = course // height % 2 * (length // 2)
        upright = ((side + offset) % length < thin) * (1 - side / reach)
        return np.where(course < reach, np.maximum(course % height < thin, upright), 0)

    awning, rail = up <= 3 * unit, (up <= thin) | (side % (2 * unit) < thin)
    shop_window = np.where(rim | (bars == 1), 0.4, 0.4 + 0.9 * fall)
    shading = {  # class: (fraction of the detail color, brightness)
        SKY: (blur_mask(classes != SKY, 4 * unit) * 0.7, 1),
        ROOF: (1 - up / reach, 1 - 0.18 * (down % (2 * unit) < thin)),
        PLASTER: (up / reach * 0.5, 1),
        BRICK: (joints(2 * unit, 4 * unit) * 0.4, 1),
        STONE: (joints(4 * unit, 6 * unit) * 0.5, 1),
        WINDOW: (np.maximum(rim, 0.75 * bars), np.where(rim, 1, 0.7 + 0.9 * fall)),
        DOOR: (~rim * (1 - bars), 1.15 - 0.3 * fall),
        BLIND: (ends % (2 * thin) < thin, 1.08 - 0.16 * fall),
        BALCONY: (rail & (down > unit), np.where(down > unit, 0.65, 1)),
        CORNICE: (up > unit, 1),
        SILL: (up > unit, 1),
        PILLAR: (1 - 2 * side / (left + right), np.where(up <= 2 * unit, 1.08, 1)),
        SHOP: (awning, np.where(awning, 1.25 - 0.4 * (side % (4 * unit) < 2 * unit), shop_window)),
    }
    return (np.choose(classes, [shading[kind][i] for kind in range(len(CLASSES))]) for i in (0, 1))


def cast_shadows(light, classes, unit):
    """Return the brightness (h, w) with shadows and dark corners; shadows fall straight down."""
    shadow = np.zeros(classes.shape)
    for kind, depth, length in (
        (CORNICE, 0.4, 3 * unit),
        (BALCONY, 0.45, 4 * unit),
        (SILL, 0.3, 2 * unit),
    ):
        distance = rows_since(classes == kind, 8 * unit)
        fade = np.maximum(1 - (distance - 1) / length, 0)
        shadow = np.maximum(shadow, depth * fade * (distance > 0))
    sky, wall = classes == SKY, (classes >= PLASTER) & (classes <= STONE)
    corners = 0.35 * wall * blur_mask(~wall & ~sky, unit)
    return light * np.where(sky, 1, 1 - shadow) * (1 - corners)
