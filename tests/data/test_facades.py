"""Facades: layouts are reproducible, and photographs are a function of the labels alone."""

import hashlib

import numpy as np
import pytest

from tfgan_zoo.data import facades
from tfgan_zoo.errors import UserError


@pytest.fixture(scope="module")
def town():
    return np.stack([facades.layout(index, 64) for index in range(100)])


@pytest.fixture(scope="module")
def photographs(town):
    return np.stack([facades.render(classes) for classes in town])


def distances(colors):
    """Return the distances between all pairs of colors: (n, n), infinite on the diagonal."""
    colors = np.asarray(colors, np.float64)
    infinite = np.diag(np.full(len(colors), np.inf))
    return np.linalg.norm(colors[:, None] - colors, axis=-1) + infinite


def test_pairs_are_reproducible():
    labels, photograph = facades.pair(7, 64)
    digests = [hashlib.sha256(image.tobytes()).hexdigest()[:16] for image in (labels, photograph)]
    assert digests == ["819b1178d068f2fb", "aa5f1a241d89275f"]
    np.testing.assert_array_equal(labels, facades.class_colors(facades.layout(7, 64, seed=0)))
    np.testing.assert_array_equal(photograph, facades.render(facades.layout(7, 64)))
    assert np.any(facades.layout(7, 64, seed=1) != facades.layout(7, 64))
    assert np.any(facades.layout(10**12, 64) != facades.layout(10**12 + 1, 64))


@pytest.mark.parametrize("size", [16, 32, 64, 128, 143])
def test_layouts_have_the_essential_classes_at_every_size(size):
    for index in range(3):
        classes = facades.layout(index, size)
        assert classes.shape == (size, size) and classes.dtype == np.uint8
        essential = {facades.SKY, facades.WINDOW, facades.DOOR, facades.CORNICE}
        if size > 16:  # a roof may not fit above floors of 4 pixels
            essential.add(facades.ROOF)
        assert essential <= set(np.unique(classes))
        for image in facades.pair(index, size):
            assert image.shape == (size, size, 3) and image.dtype == np.uint8
            assert image.flags.c_contiguous


def test_every_size_shows_the_same_building():
    small = np.stack([facades.layout(index, 64) for index in range(30)])
    large = np.stack([facades.layout(index, 256)[2::4, 2::4] for index in range(31)])
    same, different = np.mean(small == large[:30]), np.mean(small == large[1:])
    assert same > 0.75 > 0.5 > different


def test_a_town_has_every_class_and_no_building_twice(town):
    assert len({classes.tobytes() for classes in town}) == 100
    share = np.array(
        [[np.mean(classes == kind) for kind in range(len(facades.CLASSES))] for classes in town]
    )
    assert np.all((share > 0).mean(axis=0) > 0.3), dict(
        zip(facades.CLASSES, (share > 0).mean(axis=0), strict=True)
    )
    assert np.all(share.mean(axis=0) > 0.01) and share.max() < 0.8
    # Number of floors: how often a pixel column enters a window going down, maximum over columns.
    windows = np.pad(town == facades.WINDOW, ((0, 0), (1, 0), (0, 0)))
    entries = (windows[:, 1:] & ~windows[:, :-1]).sum(axis=1).max(axis=1)
    assert len(np.unique(entries)) >= 5
    skyline = (town == facades.SKY).sum(axis=1).min(axis=1)
    assert skyline.min() < 12 and skyline.max() > 24


def test_nearest_classes_is_the_inverse_of_class_colors(town):
    assert len(facades.CLASSES) == 13 and distances(facades.PALETTE).min() > 120
    assert facades.PALETTE.tolist() == [list(color) for color in facades.CLASSES.values()]
    images = facades.class_colors(town)
    assert images.shape == (100, 64, 64, 3) and images.dtype == np.uint8
    assert facades.nearest_classes(images).dtype == np.uint8
    np.testing.assert_array_equal(facades.nearest_classes(images), town)
    noise = np.random.default_rng(0).integers(-30, 31, images.shape)
    np.testing.assert_array_equal(
        facades.nearest_classes(np.clip(images + noise, 0, 255).astype(np.uint8)), town
    )
    assert facades.nearest_classes(np.array([10, 240, 20], np.uint8)) == facades.BLIND


@pytest.mark.parametrize("size", [64, 143])
def test_mirrored_labels_give_the_mirrored_photograph(size):
    for index in range(10):
        classes = facades.layout(index, size)
        np.testing.assert_array_equal(
            facades.render(classes[:, ::-1]), facades.render(classes)[:, ::-1]
        )
    upside_down = facades.render(classes[::-1])[::-1]
    assert np.any(upside_down != facades.render(classes))  # light comes from above


@pytest.mark.parametrize("size, crop, reach", [(72, 64, 8), (143, 128, 16), (286, 256, 32)])
def test_a_crop_of_the_labels_gives_the_crop_of_the_photograph(size, crop, reach):
    for index in range(6):
        top, left = index % 3 * (size - crop) // 2, index % 2 * (size - crop)
        classes = facades.layout(index, size)
        whole = facades.render(classes)[top : top + crop, left : left + crop]
        part = facades.render(classes[top : top + crop, left : left + crop])
        inner = slice(reach, crop - reach)
        np.testing.assert_array_equal(part[inner, inner], whole[inner, inner])


def test_a_photograph_depends_on_labels_within_reach_only():
    classes = facades.layout(3, 128)
    before = facades.render(classes.copy())
    np.testing.assert_array_equal(facades.render(classes), before)
    changed = classes.copy()
    changed[60:64, 60:64] = facades.DOOR
    rows, columns = np.nonzero(np.any(facades.render(changed) != before, axis=-1))
    assert 60 - 16 <= rows.min() < 60 and 63 < rows.max() <= 63 + 16
    assert 60 - 16 <= columns.min() <= columns.max() <= 63 + 16


@pytest.mark.parametrize("kind", range(len(facades.CLASSES)))
def test_regions_continue_beyond_the_border_of_the_image(kind):
    photograph = facades.render(np.full((48, 64), kind, np.uint8))
    assert len(np.unique(photograph.reshape(-1, 3), axis=0)) == 1


def test_a_wall_is_darker_below_a_cornice_and_the_sky_is_not():
    classes = np.full((64, 64), facades.PLASTER, np.uint8)
    classes[20:22, 8:56] = facades.CORNICE
    rows = facades.render(classes)[:, 32].astype(int).sum(axis=-1)
    assert rows[22] < rows[23] < rows[24] < rows[30]
    assert rows[22] < 0.8 * rows[30] and rows[19] > rows[22]
    classes[22:] = facades.SKY
    sky = facades.render(classes)[22:, 32].astype(int).sum(axis=-1)
    assert np.all(np.diff(sky) <= 0)  # the haze is brightest at the cornice


def test_photographs_distinguish_the_classes_and_differ_from_the_labels(town, photographs):
    means = np.array(
        [photographs[town == kind].mean(axis=0) for kind in range(len(facades.CLASSES))]
    )
    assert distances(means).min() > 18
    assert np.linalg.norm(means - facades.PALETTE, axis=-1).min() > 90
    copied = np.abs(facades.class_colors(town).astype(int) - photographs).mean()
    assert copied > 60  # of 255: L1 of a translation that copies its input
    walls = photographs[town == facades.BRICK]
    assert len(np.unique(walls, axis=0)) > 20  # more than one color per class


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((-1, 64), "index must be between 0 and .*-1"),
        ((0, 64, -2), "seed must be between 0 and .*-2"),
        ((0, 15), "size must be between 16 and .*15"),
    ],
)
def test_invalid_arguments_are_errors(arguments, message):
    for function in (facades.layout, facades.pair):
        with pytest.raises(UserError, match=message):
            function(*arguments)
