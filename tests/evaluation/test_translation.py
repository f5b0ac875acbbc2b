"""Scores against the truth and the simple ways beside them, by hand-made cases and by scikit-image."""

import json

import numpy as np
import pytest
import tensorflow as tf
from helpers import make
from PIL import Image
from skimage.exposure import match_histograms
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tfgan_zoo import cli, presets
from tfgan_zoo.data import facades
from tfgan_zoo.data.color_transfer import histogram_matcher
from tfgan_zoo.errors import UserError
from tfgan_zoo.evaluation import better_direction, evaluator_for, metric_names, translation
from tfgan_zoo.evaluation.translation import (
    MEASURES,
    TRANSLATION_METRICS,
    TranslationEvaluator,
    colour_table,
    l1_255,
    mean_image,
    paired_psnr,
    paired_ssim,
    pixel_accuracy,
)

FEW = ["data.limit=6", "model.image_size=32", "model.receptive_field=34"]


class Way:
    """A stand-in for a model, of functions of an image by direction."""

    def __init__(self, **functions):
        self.functions, self.directions, self.calls = functions, tuple(functions), []

    def translate(self, image, direction="xy", seed=0):
        self.calls.append((direction, seed))
        return self.functions[direction](image)


def knowing(evaluator, source, target):
    """The function that knows the truth of every test image."""
    table = {
        pair[source].tobytes(): pair[target]
        for pair in map(evaluator.test.evaluation_images, range(len(evaluator.test)))
    }
    return lambda image: table[image.tobytes()]


def grey(*values):
    """Values as an image of one row and one channel."""
    return np.array(values, np.uint8).reshape(1, -1, 1)


def smooth(seed, channels=3):
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, channels), np.uint8)
    return np.stack(
        [
            np.asarray(Image.fromarray(channel).resize((64, 64)))
            for channel in np.moveaxis(coarse, -1, 0)
        ],
        axis=-1,
    )


@pytest.fixture(scope="module")
def pairs():
    return TranslationEvaluator(presets.experiment("pix2pix_tiny", "data.limit=6"))


@pytest.fixture(scope="module")
def heaps():
    return TranslationEvaluator(presets.experiment("cyclegan_tiny", *FEW))


# --- measures


def test_l1_and_label_accuracy_by_hand():
    assert l1_255(grey(0, 255, 10, 20), grey(255, 0, 13, 19)) == (255 + 255 + 3 + 1) / 4
    truth = facades.class_colors(
        np.uint8([[facades.SKY, facades.DOOR, facades.SILL, facades.SHOP]])
    )
    found = truth.astype(int) + np.array(
        [[[63, 0, 0], [0, 63, 0], [0, -63, 0], [0, 0, 65]]]
    )  # the last is nearer to 255, 0, 255
    assert pixel_accuracy(truth, np.clip(found, 0, 255).astype(np.uint8)) == 0.75


def test_psnr_and_ssim_are_scikit_images():
    truth = smooth(0)
    found = np.clip(truth + np.random.default_rng(1).normal(0, 20, truth.shape), 0, 255).astype(
        np.uint8
    )
    assert paired_psnr(truth, found) == pytest.approx(
        peak_signal_noise_ratio(truth, found), abs=1e-4
    )
    wanted = [
        structural_similarity(
            truth[..., i],
            found[..., i],
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )[1][5:-5, 5:-5]
        for i in range(3)
    ]
    assert paired_ssim(truth, found) == pytest.approx(np.mean(wanted), abs=1e-4)
    assert (paired_psnr(truth, truth), paired_ssim(truth, truth), l1_255(truth, truth)) == (
        100,
        1,
        0,
    )


# --- the simple ways


def test_mean_image_by_hand():
    found = mean_image(iter([grey(0, 255, 7), grey(1, 255, 0), grey(1, 250, 0)]))
    np.testing.assert_array_equal(found, grey(1, 253, 2))
    assert found.dtype == np.uint8


def test_colours_become_the_mean_of_what_stands_in_their_place():
    x = np.uint8([[[0, 0, 0], [0, 0, 0], [255, 0, 0], [0, 255, 255]]])
    y = np.uint8([[[10, 1], [20, 2], [100, 3], [200, 4]]])
    more = np.uint8(
        [[[0, 0, 0], [15, 0, 0], [16, 0, 0], [255, 0, 0]]]
    )  # 15 is the level of 0 still, 16 the next
    table = colour_table(iter([(x, y), (more, np.uint8([[[33, 3], [37, 4], [60, 60], [101, 3]]]))]))
    np.testing.assert_array_equal(
        table(x), [[[25, 2], [25, 2], [100, 3], [200, 4]]]
    )  # (10 + 20 + 33 + 37) / 4, (1 + 2 + 3 + 4) / 4
    np.testing.assert_array_equal(table(more[:, 2:3]), [[[60, 60]]])
    unseen = np.uint8(
        [[[40, 0, 0]], [[200, 0, 0]], [[0, 250, 200]], [[255, 255, 255]]]
    )  # the nearest that was seen
    np.testing.assert_array_equal(table(unseen), [[[60, 60]], [[100, 3]], [[200, 4]], [[200, 4]]])


def test_nothing_beats_the_colour_table_pixel_by_pixel_where_it_was_made():
    x, y = smooth(0, 1), smooth(1)
    squares = lambda found: np.mean((found.astype(float) - y) ** 2)  # noqa: E731
    table = colour_table([(x, y)], levels=256)
    best = squares(table(x))
    for seed in range(5):
        other = np.random.default_rng(seed).integers(-3, 4, (256, 3))
        changed = np.clip(table(x).astype(int) + other[x[..., 0]], 0, 255)
        assert squares(changed) > best


def test_histogram_by_hand():
    match = histogram_matcher([grey(10, 20), grey(30, 40)])
    np.testing.assert_array_equal(match(grey(7, 5, 9, 6)), grey(30, 10, 40, 20))  # by rank
    np.testing.assert_array_equal(
        match(grey(5, 5, 9, 9)), grey(20, 20, 40, 40)
    )  # equal ones together, at their middle: ranks 1 and 3
    np.testing.assert_array_equal(match(grey(0, 255)), grey(20, 40))
    np.testing.assert_array_equal(match(grey(8, 8, 8)), grey(30, 30, 30))  # the median
    np.testing.assert_array_equal(
        histogram_matcher([grey(0, 255)])(grey(0, 255, 255, 0)), grey(0, 255, 255, 0)
    )


def test_histogram_of_itself_and_of_a_shifted_image():
    image = smooth(0)
    np.testing.assert_array_equal(histogram_matcher([image])(image), image)
    darker = image // 2
    np.testing.assert_array_equal(np.unique(histogram_matcher([darker])(image)), np.unique(darker))
    once, twice = histogram_matcher([image]), histogram_matcher([image, image])
    np.testing.assert_array_equal(once(smooth(1)), twice(smooth(1)))


def test_histogram_is_nearly_scikit_images():
    """It takes the end of equal levels' ranks and interpolates, we take their middle: a level's width apart, at most on average."""
    image, target = smooth(0), smooth(1)
    found, wanted = (
        histogram_matcher([target])(image),
        match_histograms(image, target, channel_axis=-1),
    )
    assert np.abs(found.astype(int) - wanted).mean() < 2.0
    assert np.abs(image - wanted.astype(float)).mean() > 10
    for channel in range(3):
        assert abs(float(found[..., channel].mean()) - target[..., channel].mean()) < 0.5
        assert abs(float(found[..., channel].std()) - target[..., channel].std()) < 0.5


# --- all together


def test_the_truth_has_full_marks_and_simple_ways_score_as_baselines(pairs):
    perfect = pairs.measure(Way(xy=knowing(pairs, 0, 1)), ["l1", "psnr", "ssim"])
    assert {name: score.value for name, score in perfect.items()} == {
        "l1": 0,
        "psnr": 100,
        "ssim": 1,
    }
    for way, translate in pairs.simple("xy").items():
        found = pairs.measure(Way(xy=translate), ["l1", "psnr", "ssim"])
        for name, score in found.items():
            assert score.value == score.baselines[way], (way, name)
            assert score.details == {"n": 6} and score.real_reference is None
    l1 = perfect["l1"].baselines
    assert list(l1) == ["copy", "mean", "colours", "histogram"]
    assert 0 < l1["colours"] < l1["mean"] < l1["histogram"] < l1["copy"]
    fixed_images = [pairs.test.evaluation_images(i) for i in range(6)]
    assert l1["copy"] == pytest.approx(
        np.mean([np.abs(x.astype(int) - y) for x, y in fixed_images])
    )
    train = [facades.pair(i, 64)[1] for i in range(6)]
    mean = np.round(np.mean(train, axis=0))
    assert l1["mean"] == pytest.approx(np.mean([np.abs(mean - y) for _, y in fixed_images]))


def test_baselines_come_from_training_images_alone(pairs):
    train, test = (
        {image.tobytes() for i in range(6) for image in data.evaluation_images(i)}
        for data in (pairs.training, pairs.test)
    )
    assert len(train) == len(test) == 12 and not train & test


def test_baselines_are_made_once(monkeypatch):
    made, measured, evaluator = (
        [],
        [],
        TranslationEvaluator(presets.experiment("pix2pix_tiny", "data.limit=2")),
    )
    monkeypatch.setattr(
        translation, "mean_image", lambda images: made.append(1) or mean_image(images)
    )
    monkeypatch.setitem(
        MEASURES, "l1", lambda truth, found: measured.append(1) or l1_255(truth, found)
    )
    first = evaluator.measure(Way(xy=lambda image: image), ["l1"])
    again = evaluator.measure(Way(xy=lambda image: 255 - image), ["l1", "psnr"])
    assert len(made) == 1 and len(measured) == 2 * (
        1 + 4 + 1
    )  # of two images: the model's, four ways', the model's again
    assert again["l1"].baselines == first["l1"].baselines and again["l1"].value != first["l1"].value


def test_label_accuracy_where_the_answer_is_labels(pairs, heaps):
    way = Way(xy=lambda image: image)
    assert pairs.names(way) == ["l1", "psnr", "ssim"]
    with pytest.raises(
        UserError, match="metric must be one of l1, psnr, ssim, got 'label_accuracy'"
    ):
        pairs.names(way, ["label_accuracy"])
    back = TranslationEvaluator(
        presets.experiment("pix2pix_tiny", "data.limit=2", "data.direction=yx")
    )
    found = back.measure(Way(xy=knowing(back, 0, 1)), back.names(way))
    assert found["label_accuracy"].value == 1 and found["l1"].value == 0
    assert (
        found["label_accuracy"].baselines["copy"]
        < 0.3
        < found["label_accuracy"].baselines["colours"]
        < 1
    )
    both = Way(xy=knowing(heaps, 0, 1), yx=knowing(heaps, 1, 0))
    assert heaps.names(both) == ["l1", "psnr", "ssim", "label_accuracy", "cycle_l1"]
    found = heaps.measure(both, heaps.names(both))
    assert list(found) == [
        *("l1", "psnr", "ssim", "cycle_l1"),
        *("l1_yx", "psnr_yx", "ssim_yx", "label_accuracy_yx", "cycle_l1_yx"),
    ]
    assert (
        found["label_accuracy_yx"].value == 1
        and found["cycle_l1"].value == found["cycle_l1_yx"].value == 0
    )
    assert all(
        key in {name + end for name in TRANSLATION_METRICS for end in ("", "_yx")} for key in found
    )


def test_both_sides_of_two_heaps_are_the_same_facades_in_the_test_alone(heaps):
    for i in range(6):
        x, y = heaps.test.evaluation_images(i)
        np.testing.assert_array_equal(facades.render(facades.nearest_classes(x)), y)
    x, y = heaps.training.evaluation_images(0)
    assert not np.array_equal(
        facades.render(facades.nearest_classes(x)), y
    )  # the model sees no pairs, the colours do
    x, y = heaps.pairs.evaluation_images(0)
    np.testing.assert_array_equal(facades.render(facades.nearest_classes(x)), y)


def test_there_and_back_by_hand(heaps):
    way = Way(
        xy=lambda image: image // 2 + 20, yx=lambda image: image - 14
    )  # there and back: half of it, and 6 more
    found = heaps.measure(way, ["cycle_l1"])
    x = np.concatenate([heaps.test.evaluation_images(i)[0] for i in range(6)]).astype(int)
    assert found["cycle_l1"].value == pytest.approx(np.mean(np.abs(x // 2 + 6 - x)))
    assert found["cycle_l1"].baselines is None and set(found) == {"cycle_l1", "cycle_l1_yx"}
    assert not heaps.measure(Way(xy=lambda image: image, yx=lambda image: image), ["cycle_l1"])[
        "cycle_l1"
    ].value


def test_the_seed_reaches_the_model():
    evaluator = TranslationEvaluator(presets.experiment("cyclegan_tiny", "data.limit=1"), seed=7)
    way = Way(xy=lambda image: image, yx=lambda image: image)
    evaluator.measure(way, ["cycle_l1"])
    assert way.calls == [("xy", 7), ("yx", 7), ("yx", 7), ("xy", 7)]


def test_samples_and_limits():
    def count(*overrides, **options):
        experiment = presets.experiment("cyclegan_tiny", *overrides)
        return len(TranslationEvaluator(experiment, **options).test)

    assert count("data.limit=0") == 100  # not one more because 10,000 are allowed
    assert count("data.limit=0", samples=10) == 10
    assert count("data.limit=16", samples=50) == 16
    with pytest.raises(UserError, match="samples must be at least 1, got 0"):
        count(samples=0)
    with pytest.raises(UserError, match="never saw, received data.split='test'"):
        count("data.split=test")


def test_settings_and_warnings(pairs):
    settings = pairs.settings(["l1"])
    assert settings["n_generated"] == settings["n_training_for_baselines"] == 6
    assert settings["direction"] == "xy" and "6 pairs" in settings["data"]
    assert pairs.warnings(["l1"]) == [
        "6 test images are few: expect the scores to change by some percent with others"
    ]
    fewer = TranslationEvaluator(
        presets.experiment("pix2pix_tiny", "data.limit=6"), samples=5
    ).settings(["l1"])
    assert fewer["images_sha256"] != settings["images_sha256"]
    assert (
        TranslationEvaluator(presets.experiment("pix2pix_tiny", "data.limit=6")).settings(["l1"])
        == settings
    )
    assert not TranslationEvaluator(presets.experiment("cyclegan_tiny", "data.limit=0")).warnings(
        ["l1"]
    )


@pytest.fixture
def folder(tmp_path):
    """Two heaps of 16 and 24 pictures with tests of 3 and 5; one channel."""
    for name, count, level in (
        ("trainA", 16, 0),
        ("trainB", 24, 100),
        ("testA", 3, 0),
        ("testB", 5, 100),
    ):
        (tmp_path / name).mkdir()
        for i in range(count):
            Image.fromarray(np.full((32, 32), level + i, np.uint8)).save(
                tmp_path / name / f"{i:02}.png"
            )
    return [
        f"data.path={tmp_path}",
        "data.dataset=folder",
        "data.limit=0",
        "model.x_channels=1",
        "model.y_channels=1",
    ]


def test_without_truth_only_there_and_back(folder):
    evaluator = TranslationEvaluator(presets.experiment("cyclegan_tiny", *folder))
    way = Way(
        xy=lambda image: image + 10, yx=lambda image: image - image % 2
    )  # even numbers come back 10 higher, odd ones 9
    assert evaluator.names(way) == ["cycle_l1"]
    with pytest.raises(UserError, match="metric must be one of cycle_l1, got 'l1'"):
        evaluator.names(way, ["l1"])
    with pytest.raises(UserError, match="no truth to compare with, and no way back"):
        evaluator.names(Way(xy=lambda image: image))
    found = evaluator.measure(way, ["cycle_l1"])
    assert found["cycle_l1"].value == pytest.approx(
        (10 + 9 + 10) / 3
    )  # each image once, though the other heap has more
    assert found["cycle_l1_yx"].value == pytest.approx((10 + 9 + 10 + 9 + 10) / 5)
    assert (found["cycle_l1"].details, found["cycle_l1_yx"].details) == ({"n": 3}, {"n": 5})
    assert evaluator.settings(["cycle_l1"])["n_training_for_baselines"] == 0
    assert (
        "there are no pairs to compare with: cycle_l1 says how well the way back is known"
        in evaluator.warnings(["cycle_l1"])[1]
    )


def test_pairs_of_a_folder_of_16_bits_and_of_their_own_sizes(folder, tmp_path):
    for name, offset in (("A", 0), ("B", 5)):
        for part, count in (("train", 4), ("test", 2)):
            for file in (tmp_path / f"{part}{name}").iterdir():
                file.unlink()
            for i in range(count):
                values = np.full((64 + 64 * i, 64), 257 * (20 * i + offset), np.uint16)
                Image.fromarray(values).save(tmp_path / f"{part}{name}" / f"{i}.png")
    experiment = presets.experiment(
        "pix2pix_tiny", *folder, "data.preprocess=none", "data.batch_size=1"
    )
    evaluator = TranslationEvaluator(experiment)
    found = evaluator.measure(Way(xy=lambda image: image + 2), ["l1", "ssim"])
    assert found["l1"].value == pytest.approx(3)  # in levels of 255
    assert (
        found["l1"].baselines["copy"] == pytest.approx(5) and found["l1"].baselines["colours"] < 5
    )
    assert set(found["l1"].baselines) == {
        "copy",
        "colours",
        "histogram",
    }  # no mean of images of different sizes


# --- the command


def test_evaluate_prints_scores_beside_baselines_and_stores_them(tmp_path, capsys):
    run = tmp_path / "run"
    checkpoint = tf.train.Checkpoint(model=make("pix2pix_tiny"))
    tf.train.CheckpointManager(checkpoint, str(run / "checkpoints"), max_to_keep=1).save(
        checkpoint_number=1
    )
    (run / "experiment.json").write_text(presets.experiment("pix2pix_tiny").to_json())
    assert cli.main(["evaluate", str(run), "--samples", "4"]) == 0
    told = capsys.readouterr()
    assert (
        told.err
        == "warning: 4 test images are few: expect the scores to change by some percent with others\n"
    )
    head, *rows = told.out.splitlines()
    assert head.split() == ["score", "translated", "copy", "mean", "colours", "histogram"]
    assert [row.split()[0] for row in rows[:3]] == ["l1", "psnr", "ssim"]
    assert "the test split; baselines from 16 training images" in told.out
    (file,) = (run / "evaluation").glob("*.json")
    stored = json.loads(file.read_text())
    assert set(stored["scores"]["l1"]["baselines"]) == {"copy", "mean", "colours", "histogram"}
    assert f"{stored['scores']['l1']['value']:.4f}" == rows[0].split()[1]
    assert cli.main(["evaluate", str(run), "--samples", "4", "--metrics", "l1", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (
        again["scores"] == {"l1": stored["scores"]["l1"]}
        and again["settings"] == stored["settings"]
    )  # to the last bit
    for arguments, message in (
        (
            ["--metrics", "frechet"],
            "metric must be one of l1, psnr, ssim, got 'frechet'",
        ),
        (["model.width=3"], "overrides of the data alone"),
        (["data.split=test"], "received data.split='test'"),
    ):
        assert cli.main(["evaluate", str(run), *arguments]) == 2
        assert message in capsys.readouterr().err
    assert list((run / "evaluation").glob("*.json")) == [file]


def test_the_evaluator_of_a_translation_model_is_this_one():
    experiment = presets.experiment("pix2pix_tiny", "data.limit=2")
    evaluator = evaluator_for(experiment, make("pix2pix_tiny"), samples=1)
    assert isinstance(evaluator, TranslationEvaluator) and len(evaluator.test) == 1
    assert metric_names("translate") == list(TRANSLATION_METRICS)
    assert better_direction("label_accuracy_yx", ["label_accuracy"], "translate") == "higher"
