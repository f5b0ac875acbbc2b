"""Paired metrics and baselines: cases computed by hand and by scikit-image."""

import json

import numpy as np
import pytest
import tensorflow as tf
from helpers import make
from PIL import Image, ImageFilter
from skimage.exposure import match_histograms
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tfgan_zoo import cli, presets
from tfgan_zoo.data import facades
from tfgan_zoo.data.color_transfer import histogram_matcher
from tfgan_zoo.errors import UserError
from tfgan_zoo.evaluation import (
    best_score,
    better_value,
    evaluator_for,
    metric_names,
    run_evaluator,
    translation,
)
from tfgan_zoo.evaluation.translation import (
    DISTANCES,
    PAIRED_METRICS,
    TRANSLATION_METRICS,
    TranslationEvaluator,
    color_table,
    mean_image,
    pair_l1,
    pair_label_accuracy,
    pair_psnr,
    pair_ssim,
)

FEW = ["data.limit=6", "model.image_size=32", "model.receptive_field=34"]


class StubModel:
    """A model that is given by a function of an image for each direction."""

    def __init__(self, **functions):
        self.functions, self.directions, self.calls = functions, tuple(functions), []

    def translate(self, image, direction="xy", seed=0):
        self.calls.append((direction, seed))
        return self.functions[direction](image)


def lookup_truth(evaluator, source, target):
    """Return the function that maps each test image to its true translation."""
    table = {
        pair[source].tobytes(): pair[target]
        for pair in map(evaluator.test.evaluation_images, range(len(evaluator.test)))
    }
    return lambda image: table[image.tobytes()]


def gray(*values):
    """Return an image of one row and one channel."""
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
def unpaired():
    return TranslationEvaluator(presets.experiment("cyclegan_tiny", *FEW))


# --- Metrics


def test_l1_and_label_accuracy_by_hand():
    assert pair_l1(gray(0, 255, 10, 20), gray(255, 0, 13, 19)) == (255 + 255 + 3 + 1) / 4
    truth = facades.class_colors(
        np.uint8([[facades.SKY, facades.DOOR, facades.SILL, facades.SHOP]])
    )
    translated = truth.astype(int) + np.array(
        [[[63, 0, 0], [0, 63, 0], [0, -63, 0], [0, 0, 65]]]
    )  # the last color is nearer to (255, 0, 255)
    assert pair_label_accuracy(truth, np.clip(translated, 0, 255).astype(np.uint8)) == 0.75


def test_psnr_and_ssim_equal_scikit_image():
    truth = smooth(0)
    translated = np.clip(
        truth + np.random.default_rng(1).normal(0, 20, truth.shape), 0, 255
    ).astype(np.uint8)
    assert pair_psnr(truth, translated) == pytest.approx(
        peak_signal_noise_ratio(truth, translated), abs=1e-4
    )
    expected = [
        structural_similarity(
            truth[..., i],
            translated[..., i],
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )[1][5:-5, 5:-5]
        for i in range(3)
    ]
    assert pair_ssim(truth, translated) == pytest.approx(np.mean(expected), abs=1e-4)
    assert (pair_psnr(truth, truth), pair_ssim(truth, truth), pair_l1(truth, truth)) == (
        100,
        1,
        0,
    )


# --- Baselines


def test_mean_image_by_hand():
    mean = mean_image(iter([gray(0, 255, 7), gray(1, 255, 0), gray(1, 250, 0)]))
    np.testing.assert_array_equal(mean, gray(1, 253, 2))
    assert mean.dtype == np.uint8


def test_color_table_maps_colors_to_the_mean_of_the_targets():
    x = np.uint8([[[0, 0, 0], [0, 0, 0], [255, 0, 0], [0, 255, 255]]])
    y = np.uint8([[[10, 1], [20, 2], [100, 3], [200, 4]]])
    more = np.uint8(
        [[[0, 0, 0], [15, 0, 0], [16, 0, 0], [255, 0, 0]]]
    )  # 15 is rounded to the level of 0, 16 to the next
    table = color_table(iter([(x, y), (more, np.uint8([[[33, 3], [37, 4], [60, 60], [101, 3]]]))]))
    np.testing.assert_array_equal(
        table(x), [[[25, 2], [25, 2], [100, 3], [200, 4]]]
    )  # (10 + 20 + 33 + 37) / 4, (1 + 2 + 3 + 4) / 4
    np.testing.assert_array_equal(table(more[:, 2:3]), [[[60, 60]]])
    unseen = np.uint8(
        [[[40, 0, 0]], [[200, 0, 0]], [[0, 250, 200]], [[255, 255, 255]]]
    )  # the nearest color of the pairs is used
    np.testing.assert_array_equal(table(unseen), [[[60, 60]], [[100, 3]], [[200, 4]], [[200, 4]]])


def test_color_table_has_the_least_squared_error_on_its_own_pairs():
    x, y = smooth(0, 1), smooth(1)

    def squared_error(translated):
        return np.mean((translated.astype(float) - y) ** 2)

    table = color_table([(x, y)], levels=256)
    best = squared_error(table(x))
    for seed in range(5):
        other = np.random.default_rng(seed).integers(-3, 4, (256, 3))
        changed = np.clip(table(x).astype(int) + other[x[..., 0]], 0, 255)
        assert squared_error(changed) > best


def test_histogram_by_hand():
    match = histogram_matcher([gray(10, 20), gray(30, 40)])
    np.testing.assert_array_equal(match(gray(7, 5, 9, 6)), gray(30, 10, 40, 20))  # by rank
    np.testing.assert_array_equal(
        match(gray(5, 5, 9, 9)), gray(20, 20, 40, 40)
    )  # equal levels get the middle of their ranks, 1 and 3
    np.testing.assert_array_equal(match(gray(0, 255)), gray(20, 40))
    np.testing.assert_array_equal(match(gray(8, 8, 8)), gray(30, 30, 30))  # the median
    np.testing.assert_array_equal(
        histogram_matcher([gray(0, 255)])(gray(0, 255, 255, 0)), gray(0, 255, 255, 0)
    )


def test_histogram_of_itself_and_of_a_shifted_image():
    image = smooth(0)
    np.testing.assert_array_equal(histogram_matcher([image])(image), image)
    darker = image // 2
    np.testing.assert_array_equal(np.unique(histogram_matcher([darker])(image)), np.unique(darker))
    once, twice = histogram_matcher([image]), histogram_matcher([image, image])
    np.testing.assert_array_equal(once(smooth(1)), twice(smooth(1)))


def test_histogram_is_close_to_scikit_image():
    """scikit-image interpolates at the last rank of equal levels; we use the middle rank."""
    image, target = smooth(0), smooth(1)
    matched = histogram_matcher([target])(image)
    expected = match_histograms(image, target, channel_axis=-1)
    assert np.abs(matched.astype(int) - expected).mean() < 2.0
    assert np.abs(image - expected.astype(float)).mean() > 10
    for channel in range(3):
        assert abs(float(matched[..., channel].mean()) - target[..., channel].mean()) < 0.5
        assert abs(float(matched[..., channel].std()) - target[..., channel].std()) < 0.5


# --- Evaluator


def test_truth_has_perfect_scores_and_baselines_score_as_models(pairs):
    perfect = pairs.measure(StubModel(xy=lookup_truth(pairs, 0, 1)), ["l1", "psnr", "ssim"])
    assert {name: score.value for name, score in perfect.items()} == {
        "l1": 0,
        "psnr": 100,
        "ssim": 1,
    }
    for baseline, translate in pairs.baselines("xy").items():
        scores = pairs.measure(StubModel(xy=translate), ["l1", "psnr", "ssim"])
        for name, score in scores.items():
            assert score.value == score.baselines[baseline], (baseline, name)
            assert score.details == {"n": 6} and score.real_reference is None
    l1 = perfect["l1"].baselines
    assert list(l1) == ["copy", "mean", "colors", "histogram"]
    assert 0 < l1["colors"] < l1["mean"] < l1["histogram"] < l1["copy"]
    fixed_images = [pairs.test.evaluation_images(i) for i in range(6)]
    assert l1["copy"] == pytest.approx(
        np.mean([np.abs(x.astype(int) - y) for x, y in fixed_images])
    )
    train = [facades.pair(i, 64)[1] for i in range(6)]
    mean = np.round(np.mean(train, axis=0))
    assert l1["mean"] == pytest.approx(np.mean([np.abs(mean - y) for _, y in fixed_images]))


def test_baselines_use_training_images_only(pairs):
    train, test = (
        {image.tobytes() for i in range(6) for image in data.evaluation_images(i)}
        for data in (pairs.training, pairs.test)
    )
    assert len(train) == len(test) == 12 and not train & test


def test_baselines_are_computed_once(monkeypatch):
    mean_calls, l1_calls = [], []
    evaluator = TranslationEvaluator(presets.experiment("pix2pix_tiny", "data.limit=2"))
    monkeypatch.setattr(
        translation, "mean_image", lambda images: mean_calls.append(1) or mean_image(images)
    )
    monkeypatch.setitem(
        PAIRED_METRICS,
        "l1",
        lambda truth, translated: l1_calls.append(1) or pair_l1(truth, translated),
    )
    first = evaluator.measure(StubModel(xy=lambda image: image), ["l1"])
    again = evaluator.measure(StubModel(xy=lambda image: 255 - image), ["l1", "psnr"])
    # For each of two images: the first model, four baselines, the second model.
    assert len(mean_calls) == 1 and len(l1_calls) == 2 * (1 + 4 + 1)
    assert again["l1"].baselines == first["l1"].baselines and again["l1"].value != first["l1"].value


def test_label_accuracy_is_for_label_maps_only(pairs, unpaired):
    copy = StubModel(xy=lambda image: image)
    assert pairs.names(copy) == ["l1", "psnr", "ssim", *DISTANCES]
    message = "metric must be one of l1, psnr, ssim, .*, got 'label_accuracy'"
    with pytest.raises(UserError, match=message):
        pairs.names(copy, ["label_accuracy"])
    back = TranslationEvaluator(
        presets.experiment("pix2pix_tiny", "data.limit=2", "data.direction=yx")
    )
    names = ["l1", "label_accuracy"]
    scores = back.measure(StubModel(xy=lookup_truth(back, 0, 1)), back.names(copy, names))
    assert scores["label_accuracy"].value == 1 and scores["l1"].value == 0
    assert (
        scores["label_accuracy"].baselines["copy"]
        < 0.3
        < scores["label_accuracy"].baselines["colors"]
        < 1
    )
    both = StubModel(xy=lookup_truth(unpaired, 0, 1), yx=lookup_truth(unpaired, 1, 0))
    names = ["l1", "psnr", "ssim", "label_accuracy", *DISTANCES, "cycle_l1"]
    assert unpaired.names(both) == names
    scores = unpaired.measure(both, names)
    without_labels = [name for name in names if name != "label_accuracy"]
    assert list(scores) == [*without_labels, *(f"{name}_yx" for name in names)]
    assert (
        scores["label_accuracy_yx"].value == 1
        and scores["cycle_l1"].value == scores["cycle_l1_yx"].value == 0
    )
    assert all(
        key in {name + end for name in TRANSLATION_METRICS for end in ("", "_yx")} for key in scores
    )


def test_only_test_images_of_unpaired_facades_are_pairs(unpaired):
    for i in range(6):
        x, y = unpaired.test.evaluation_images(i)
        np.testing.assert_array_equal(facades.render(facades.nearest_classes(x)), y)
    x, y = unpaired.training.evaluation_images(0)
    assert not np.array_equal(
        facades.render(facades.nearest_classes(x)), y
    )  # the model sees no pairs; the color table does
    x, y = unpaired.pairs.evaluation_images(0)
    np.testing.assert_array_equal(facades.render(facades.nearest_classes(x)), y)


def test_cycle_l1_by_hand(unpaired):
    model = StubModel(
        xy=lambda image: image // 2 + 20, yx=lambda image: image - 14
    )  # the cycle is x // 2 + 6
    scores = unpaired.measure(model, ["cycle_l1"])
    x = np.concatenate([unpaired.test.evaluation_images(i)[0] for i in range(6)]).astype(int)
    assert scores["cycle_l1"].value == pytest.approx(np.mean(np.abs(x // 2 + 6 - x)))
    assert scores["cycle_l1"].baselines is None and set(scores) == {"cycle_l1", "cycle_l1_yx"}
    assert not unpaired.measure(
        StubModel(xy=lambda image: image, yx=lambda image: image), ["cycle_l1"]
    )["cycle_l1"].value


def test_seed_is_passed_to_the_model():
    evaluator = TranslationEvaluator(presets.experiment("cyclegan_tiny", "data.limit=1"), seed=7)
    model = StubModel(xy=lambda image: image, yx=lambda image: image)
    evaluator.measure(model, ["cycle_l1"])
    assert model.calls == [("xy", 7), ("yx", 7), ("yx", 7), ("xy", 7)]


def test_samples_and_limits():
    def count(*overrides, **options):
        experiment = presets.experiment("cyclegan_tiny", *overrides)
        return len(TranslationEvaluator(experiment, **options).test)

    assert count("data.limit=0") == 100  # although samples allows 10,000
    assert count("data.limit=0", samples=10) == 10
    assert count("data.limit=16", samples=50) == 16
    with pytest.raises(UserError, match="samples must be between 1 and 1000000, got 0"):
        count(samples=0)
    with pytest.raises(UserError, match="data.split must be train.*got 'test'"):
        count("data.split=test")


def test_settings_and_warnings(pairs):
    settings = pairs.settings(["l1"])
    assert settings["n_generated"] == settings["n_training_for_baselines"] == 6
    assert settings["direction"] == "xy" and "6 pairs" in settings["data"]
    assert pairs.warnings(["l1"]) == [
        "6 test images are few: expect the scores to change by some percent with other images"
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
    """Write gray unpaired images: 16 and 24 training images, 3 and 5 test images."""
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


def test_without_truth_distances_and_cycle_l1_apply(folder):
    evaluator = TranslationEvaluator(presets.experiment("cyclegan_tiny", *folder))
    model = StubModel(
        xy=lambda image: image + 10, yx=lambda image: image - image % 2
    )  # the cycle adds 10 to even numbers and 9 to odd ones
    assert evaluator.names(model) == [*DISTANCES, "cycle_l1"]
    with pytest.raises(UserError, match="metric must be one of .*, cycle_l1, got 'l1'"):
        evaluator.names(model, ["l1"])
    scores = evaluator.measure(model, ["cycle_l1"])
    assert scores["cycle_l1"].value == pytest.approx(
        (10 + 9 + 10) / 3
    )  # each image once, although the other domain is larger
    assert scores["cycle_l1_yx"].value == pytest.approx((10 + 9 + 10 + 9 + 10) / 5)
    assert (scores["cycle_l1"].details, scores["cycle_l1_yx"].details) == ({"n": 3}, {"n": 5})
    assert evaluator.settings(["cycle_l1"])["n_training_for_baselines"] == 0
    assert (
        "there are no pairs to compare with: cycle_l1 measures the inverse mapping only"
        in evaluator.warnings(["cycle_l1"])[1]
    )
    distances = evaluator.measure(model, ["frechet_distance"])
    for name, counts in (
        ("frechet_distance", {"n": 3, "n_real": 5}),
        ("frechet_distance_yx", {"n": 5, "n_real": 3}),
    ):
        score = distances[name]
        assert score.details == counts and score.real_reference < score.value
        assert list(score.baselines) == ["copy", "mean", "histogram"]  # colors needs pairs
    settings = evaluator.settings(["frechet_distance"])
    assert settings["n_training_for_baselines"] == 24 and "small VGG" in str(settings["features"])


def test_without_truth_and_images_for_distances_no_metric_applies(folder):
    """Feature networks take gray or RGB images, and distances need two images or more."""
    evaluator = TranslationEvaluator(presets.experiment("cyclegan_tiny", *folder), samples=1)
    message = "no metric applies: .* got folder: 1 and 1 unpaired images"
    with pytest.raises(UserError, match=message):
        evaluator.names(StubModel(xy=lambda image: image))


def test_pairs_of_16_bits_and_different_sizes(folder, tmp_path):
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
    scores = evaluator.measure(StubModel(xy=lambda image: image + 2), ["l1", "ssim"])
    assert scores["l1"].value == pytest.approx(3)  # in levels of 0 to 255
    assert (
        scores["l1"].baselines["copy"] == pytest.approx(5) and scores["l1"].baselines["colors"] < 5
    )
    assert set(scores["l1"].baselines) == {
        "copy",
        "colors",
        "histogram",
    }  # images of different sizes have no mean


# --- Distances


@pytest.fixture(scope="module")
def facades_32():
    """Return an evaluator with 30 unpaired test images."""
    overrides = ["model.image_size=32", "model.receptive_field=34", "data.limit=30"]
    return TranslationEvaluator(presets.experiment("cyclegan_tiny", *overrides))


def test_distances_of_the_target_domain_itself_are_zero(facades_32):
    """The kernel distance is unbiased: for equal sets it is below 0, as for real images."""
    model = StubModel(xy=lookup_truth(facades_32, 0, 1), yx=lookup_truth(facades_32, 1, 0))
    scores = facades_32.measure(model, DISTANCES)
    assert list(scores) == [name + suffix for suffix in ("", "_yx") for name in DISTANCES]
    for suffix in ("", "_yx"):
        frechet, kernel = (scores[name + suffix] for name in DISTANCES)
        assert 0 <= frechet.value < 1e-3 * frechet.real_reference
        assert 3 * frechet.real_reference < frechet.baselines["copy"]
        assert kernel.value < 0 and kernel.real_reference < 0.3 * kernel.baselines["copy"]
        assert set(frechet.baselines) == {"copy", "mean", "colors", "histogram"}
        assert frechet.details == {"n": 30, "n_real": 30}
        assert kernel.details == {"n": 30, "n_real": 30, "standard_error": None}
    translations = [facades_32.test.evaluation_images(i)[1] for i in range(30)][::-1]
    permuted = StubModel(xy=lambda image: translations.pop())  # of another building each
    assert facades_32.measure(permuted, ["frechet_distance"])["frechet_distance"].value < 0.01


@pytest.mark.parametrize("kind", ["blur", "input"])
def test_distances_grow_as_translations_get_worse(facades_32, kind):
    truth = lookup_truth(facades_32, 0, 1)

    def translate(image, strength):
        if kind == "blur":
            smooth = ImageFilter.GaussianBlur(2 * strength)
            return np.asarray(Image.fromarray(truth(image)).filter(smooth))
        mixed = (1 - strength) * truth(image) + strength * image
        return np.round(mixed).astype(np.uint8)

    for name in DISTANCES:
        values = [
            facades_32.method_scores("xy", [name], lambda image, s=s: translate(image, s))[name][0]
            for s in (0.0, 0.25, 0.5, 1.0)
        ]
        assert values == sorted(values) and len(set(values)) == 4, (name, values)


def test_distances_select_the_best_epoch_of_unpaired_training():
    experiment = presets.experiment(
        "cyclegan_tiny",
        "data.limit=4",
        "train.evaluate_every=1",
        "train.evaluate_metrics=kernel_distance,frechet_distance,l1",
        "train.best=frechet_distance_yx",
    )
    assert best_score(experiment) == ("eval_frechet_distance_yx", True)
    model = make("cyclegan_tiny")
    evaluator, names = run_evaluator(experiment, model)
    assert names == ["kernel_distance", "frechet_distance", "l1"]
    scores = evaluator.measure(model, names)
    assert list(scores) == evaluator.score_names(model, names)
    assert len(scores) == 6 and all(np.isfinite(score.value) for score in scores.values())
    assert all(score.baselines is score.real_reference is None for score in scores.values())
    missing = experiment.override("train.evaluate_features=random")
    with pytest.raises(UserError, match="features must be digits.*small.*got 'random'"):
        run_evaluator(missing, model)


# --- Command line


def test_evaluate_prints_and_stores_scores_and_baselines(tmp_path, capsys):
    run = tmp_path / "run"
    checkpoint = tf.train.Checkpoint(model=make("pix2pix_tiny"))
    tf.train.CheckpointManager(checkpoint, str(run / "checkpoints"), max_to_keep=1).save(
        checkpoint_number=1
    )
    (run / "experiment.json").write_text(presets.experiment("pix2pix_tiny").to_json())
    assert cli.main(["evaluate", str(run), "--samples", "4"]) == 0
    printed = capsys.readouterr()
    assert printed.err == (
        "warning: 4 test images are few: "
        "expect the scores to change by some percent with other images\n"
        "warning: 4 test images are few for a Frechet distance: "
        "expect it to be too high by about its real reference\n"
    )
    head, *rows = printed.out.splitlines()
    assert head.split() == [
        *("metric", "translated", "real", "images", "copy", "mean", "colors", "histogram")
    ]
    assert [row.split()[0] for row in rows[:5]] == ["l1", "psnr", "ssim", *DISTANCES]
    assert "the test split; baselines from 16 training images" in printed.out
    assert "features: small VGG (distilled, width 16)" in printed.out
    assert cli.main(["evaluate", str(run), "--samples", "4", "--metrics", "l1"]) == 0
    row = capsys.readouterr().out.splitlines()[1]
    assert row.split()[:2] == rows[0].split()[:2]
    files = sorted((run / "evaluation").glob("*.json"), key=lambda path: path.stat().st_size)
    file, _ = files  # the other one, of all metrics, also records the feature network
    stored = json.loads(file.read_text())
    assert set(stored["scores"]["l1"]["baselines"]) == {"copy", "mean", "colors", "histogram"}
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
            "Unknown metric 'frechet'. Did you mean frechet_distance?",
        ),
        (["model.width=3"], "overrides of the data alone"),
        (["data.split=test"], "got 'test'"),
    ):
        assert cli.main(["evaluate", str(run), *arguments]) == 2
        assert message in capsys.readouterr().err
    assert set((run / "evaluation").glob("*.json")) == set(files)


def test_evaluator_for_a_translation_model():
    experiment = presets.experiment("pix2pix_tiny", "data.limit=2")
    evaluator = evaluator_for(experiment, make("pix2pix_tiny"), samples=1)
    assert isinstance(evaluator, TranslationEvaluator) and len(evaluator.test) == 1
    assert metric_names("translate") == list(TRANSLATION_METRICS)
    assert better_value("label_accuracy_yx", ["label_accuracy"], "translate") == "higher"
