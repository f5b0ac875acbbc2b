"""The facades: the labels say what there is, and the photograph is a pure function of them that knows no place and no side."""

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


def distances(colours):
    """Between all pairs of different colours: (n, n), infinite on the diagonal."""
    colours = np.asarray(colours, np.float64)
    return np.linalg.norm(colours[:, None] - colours, axis=-1) + np.diag(
        np.full(len(colours), np.inf)
    )


def test_a_pair_is_always_the_same_one():
    labels, photograph = facades.pair(7, 64)
    digests = [hashlib.sha256(image.tobytes()).hexdigest()[:16] for image in (labels, photograph)]
    assert digests == ["819b1178d068f2fb", "aa5f1a241d89275f"]
    np.testing.assert_array_equal(labels, facades.class_colors(facades.layout(7, 64, seed=0)))
    np.testing.assert_array_equal(photograph, facades.render(facades.layout(7, 64)))
    assert np.any(facades.layout(7, 64, seed=1) != facades.layout(7, 64))
    assert np.any(facades.layout(10**12, 64) != facades.layout(10**12 + 1, 64))


@pytest.mark.parametrize("size", [16, 32, 64, 128, 143])
def test_every_size(size):
    for index in range(3):
        classes = facades.layout(index, size)
        assert classes.shape == (size, size) and classes.dtype == np.uint8
        roof = (
            {facades.ROOF} if size > 16 else set()
        )  # a roof may not fit above storeys of 4 pixels
        assert {facades.SKY, facades.WINDOW, facades.DOOR, facades.CORNICE} | roof <= set(
            np.unique(classes)
        )
        for image in facades.pair(index, size):
            assert (
                image.shape == (size, size, 3)
                and image.dtype == np.uint8
                and image.flags.c_contiguous
            )


def test_every_size_shows_the_same_building():
    same = [
        np.mean(facades.layout(index, 64) == facades.layout(index, 256)[2::4, 2::4])
        for index in range(30)
    ]
    others = [
        np.mean(facades.layout(index, 64) == facades.layout(index + 1, 256)[2::4, 2::4])
        for index in range(30)
    ]
    assert np.mean(same) > 0.75 > 0.5 > np.mean(others)


def test_a_town_has_everything_and_no_building_twice(town):
    assert len({classes.tobytes() for classes in town}) == 100
    share = np.array(
        [[np.mean(classes == kind) for kind in range(len(facades.CLASSES))] for classes in town]
    )
    assert np.all((share > 0).mean(axis=0) > 0.3), dict(
        zip(facades.CLASSES, (share > 0).mean(axis=0), strict=True)
    )
    assert np.all(share.mean(axis=0) > 0.01) and share.max() < 0.8
    # the number of storeys: how often a column enters a window going down, at most over the columns
    windows = np.pad(town == facades.WINDOW, ((0, 0), (1, 0), (0, 0)))
    entries = (windows[:, 1:] & ~windows[:, :-1]).sum(axis=1).max(axis=1)
    assert len(np.unique(entries)) >= 5
    skyline = (town == facades.SKY).sum(axis=1).min(axis=1)
    assert skyline.min() < 12 and skyline.max() > 24


def test_labels_are_read_back_from_their_colours(town):
    assert len(facades.CLASSES) == 13 and distances(facades.PALETTE).min() > 120
    assert facades.PALETTE.tolist() == [list(colour) for colour in facades.CLASSES.values()]
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
    assert np.any(
        facades.render(classes[::-1]) != facades.render(classes)[::-1]
    )  # light comes from above


@pytest.mark.parametrize("size, crop, reach", [(72, 64, 8), (143, 128, 16), (286, 256, 32)])
def test_a_crop_of_the_labels_gives_the_crop_of_the_photograph(size, crop, reach):
    for index in range(6):
        top, left = index % 3 * (size - crop) // 2, index % 2 * (size - crop)
        classes = facades.layout(index, size)
        whole = facades.render(classes)[top : top + crop, left : left + crop]
        part = facades.render(classes[top : top + crop, left : left + crop])
        inner = slice(reach, crop - reach)
        np.testing.assert_array_equal(part[inner, inner], whole[inner, inner])


def test_a_photograph_depends_on_labels_in_reach_and_on_nothing_else():
    classes = facades.layout(3, 128)
    before = facades.render(classes.copy())
    np.testing.assert_array_equal(facades.render(classes), before)
    changed = classes.copy()
    changed[60:64, 60:64] = facades.DOOR
    rows, columns = np.nonzero(np.any(facades.render(changed) != before, axis=-1))
    assert 60 - 16 <= rows.min() < 60 and 63 < rows.max() <= 63 + 16
    assert 60 - 16 <= columns.min() <= columns.max() <= 63 + 16


@pytest.mark.parametrize("kind", range(len(facades.CLASSES)))
def test_the_border_of_the_picture_is_no_border_of_things(kind):
    assert (
        len(np.unique(facades.render(np.full((48, 64), kind, np.uint8)).reshape(-1, 3), axis=0))
        == 1
    )


def test_a_wall_is_darker_below_a_cornice_and_the_sky_is_not():
    classes = np.full((64, 64), facades.PLASTER, np.uint8)
    classes[20:22, 8:56] = facades.CORNICE
    rows = facades.render(classes)[:, 32].astype(int).sum(axis=-1)
    assert (
        rows[22] < rows[23] < rows[24] < rows[30]
        and rows[22] < 0.8 * rows[30]
        and rows[19] > rows[22]
    )
    classes[22:] = facades.SKY
    sky = facades.render(classes)[22:, 32].astype(int).sum(axis=-1)
    assert np.all(np.diff(sky) <= 0)  # the haze is brightest where it begins


def test_photographs_tell_the_classes_apart_and_are_not_the_labels(town, photographs):
    means = np.array(
        [photographs[town == kind].mean(axis=0) for kind in range(len(facades.CLASSES))]
    )
    assert distances(means).min() > 18
    assert np.linalg.norm(means - facades.PALETTE, axis=-1).min() > 90
    copied = np.abs(facades.class_colors(town).astype(int) - photographs).mean()
    assert copied > 60  # of 255: the score of a translation that copies its input
    walls = photographs[(town == facades.BRICK)]
    assert len(np.unique(walls, axis=0)) > 20  # more than a colour per class


@pytest.mark.parametrize(
    "arguments, reason", [((-1, 64), "index=-1"), ((0, 64, -2), "seed=-2"), ((0, 15), "size=15")]
)
def test_what_cannot_be_drawn_is_refused(arguments, reason):
    for function in (facades.layout, facades.pair):
        with pytest.raises(UserError, match=f"received {reason}"):
            function(*arguments)
