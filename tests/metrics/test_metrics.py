"""Test every metric against closed forms, golden numbers and independent implementations."""

import tracemalloc

import numpy as np
import pytest
import scipy.linalg
from scipy.ndimage import correlate1d

from tfgan_zoo.errors import UserError
from tfgan_zoo.metrics import (
    classes,
    classifier_score,
    frechet,
    kernel,
    likelihood,
    memorization,
    modes,
    neighbors,
    similarity,
)
from tfgan_zoo.metrics.classifier_score import expected_for_perfect
from tfgan_zoo.metrics.score import format_details


def normal(n, d, seed=0, mean=0.0, scale=1.0):
    return np.random.default_rng(seed).normal(mean, scale, (n, d))


# --- Frechet distance


def test_frechet_distance_of_two_gaussians_in_closed_form():
    """For N(m1, diag a) and N(m2, diag b) it is |m1 - m2|^2 + sum (sqrt a - sqrt b)^2.

    Points with exactly those moments reach it exactly.
    """

    def with_moments(mean, variance):
        d = len(mean)
        points = np.concatenate([np.eye(d), -np.eye(d)]) * np.sqrt(d - 0.5)  # covariance I
        return points * np.sqrt(variance) + mean

    a = with_moments(np.array([1.0, 0, 0]), np.array([1.0, 4, 9]))
    b = with_moments(np.array([0, 2.0, 0]), np.array([4.0, 4, 1]))
    np.testing.assert_allclose(np.cov(a.T), np.diag([1.0, 4, 9]), atol=1e-12)
    assert frechet.frechet_distance(a, b) == pytest.approx(
        1 + 4 + (1 - 2) ** 2 + 0 + (3 - 1) ** 2, abs=1e-9
    )


def test_frechet_distance_known_number():
    real = np.ones((100, 2))
    real[:50, 0] = 2
    fake = np.ones((100, 2)) * 9.0
    fake[50:, 0] = 2
    assert frechet.frechet_distance(real, fake) == pytest.approx(89.0909, abs=1e-4)


@pytest.mark.parametrize("n, d", [(200, 8), (20, 64)])  # also fewer images than features
def test_frechet_distance_agrees_with_the_matrix_root(n, d):
    a, b = normal(n, d) @ normal(d, d, 1), normal(n + 7, d, 2, mean=0.3) @ normal(d, d, 3)
    product = np.cov(a.T) @ np.cov(b.T)
    root = np.sum(np.sqrt(np.maximum(scipy.linalg.eigvals(product).real, 0)))
    expected = (
        np.sum((a.mean(0) - b.mean(0)) ** 2)
        + np.trace(np.cov(a.T))
        + np.trace(np.cov(b.T))
        - 2 * root
    )
    assert frechet.frechet_distance(a, b) == pytest.approx(expected, rel=1e-5)
    assert frechet.frechet_distance(b, a) == pytest.approx(expected, rel=1e-5)


def test_mean_and_covariance_equal_numpy_for_every_chunk_size():
    x = normal(1000, 5, mean=1e3).astype(np.float32)
    for chunk in (7, 5000):
        mean, covariance = frechet.mean_and_covariance(x, chunk)
        np.testing.assert_allclose(mean, x.mean(axis=0, dtype=np.float64), rtol=1e-12)
        np.testing.assert_allclose(
            covariance, np.cov(x.T.astype(np.float64)), rtol=1e-9, atol=1e-12
        )


def test_frechet_bias_shrinks_with_n():
    """N(0, I) in 10 dimensions: known values for 100, 500 and 1000 samples."""
    distances = [
        np.mean(
            [frechet.frechet_distance(normal(n, 10, s), normal(n, 10, s + 99)) for s in range(10)]
        )
        for n in (100, 500, 1000)
    ]
    assert distances == pytest.approx([0.76, 0.15, 0.072], rel=0.15)


@pytest.mark.parametrize("bad", [np.zeros((1, 3)), np.zeros(5), np.full((5, 2), np.nan)])
def test_frechet_distance_rejects_bad_features(bad):
    with pytest.raises(UserError, match="features must be .*, got "):
        frechet.frechet_distance(bad, normal(5, 2))


# --- kernel distance


def test_kernel_distance_is_the_unbiased_estimator():
    x, y = normal(6, 3), normal(5, 3, 1, mean=0.5)

    def k(a, b):
        return (sum(a[i] * b[i] for i in range(3)) / 3 + 1) ** 3

    within_x = np.mean([k(x[i], x[j]) for i in range(6) for j in range(6) if i != j])
    within_y = np.mean([k(y[i], y[j]) for i in range(5) for j in range(5) if i != j])
    between = np.mean([k(a, b) for a in x for b in y])
    value, error = kernel.kernel_distance(x, y)
    assert value == pytest.approx(within_x + within_y - 2 * between, rel=1e-12)
    assert error is None


def test_kernel_distance_shuffles_sorted_input_by_the_seed():
    x = np.sort(normal(3000, 4), axis=0)
    y = normal(2500, 4, 1)
    value, error = kernel.kernel_distance(x, y, block=500, seed=3)
    assert (value, error) == kernel.kernel_distance(x, y, block=500, seed=3)
    assert value != kernel.kernel_distance(x, y, block=500, seed=4)[0]
    whole = kernel.squared_mmd(x, y)
    assert abs(value - whole) < 4 * error


def test_kernel_distance_is_zero_on_average_for_one_distribution():
    values = [
        kernel.kernel_distance(normal(200, 4, s), normal(200, 4, s + 500))[0] for s in range(60)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(60)
    assert min(values) < 0 < max(values)


# --- classifier score


def test_classifier_score_hand_computed():
    """p(y) = (.5, .5); KL(.9,.1 || .5,.5) = .9 ln 1.8 + .1 ln .2."""
    expected = np.exp(0.9 * np.log(1.8) + 0.1 * np.log(0.2))
    assert classifier_score([[0.9, 0.1], [0.1, 0.9]])[0] == pytest.approx(expected, rel=1e-12)
    assert classifier_score([[0.9, 0.1]] * 7)[0] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    "n, expected", [(10, 5.96), (32, 8.57), (64, 9.28), (100, 9.55), (1000, 9.95)]
)
def test_classifier_score_of_a_perfect_sampler_is_lower_for_few_images(n, expected):
    generator = np.random.default_rng(0)
    scores = [classifier_score(np.eye(10)[generator.integers(0, 10, n)])[0] for _ in range(300)]
    assert np.mean(scores) == pytest.approx(expected, abs=0.1)
    if n >= 64:
        assert expected_for_perfect(n, 10) == pytest.approx(expected, abs=0.08)


def test_classifier_score_splits():
    p = np.random.default_rng(0).dirichlet(np.full(5, 0.3), 1003)
    mean, deviation = classifier_score(p, splits=10, seed=1)
    assert (mean, deviation) == classifier_score(p, splits=10, seed=1)
    assert 0 < deviation < 1
    assert classifier_score(p)[1] == 0.0
    with pytest.raises(UserError, match="n >= 10"):
        classifier_score(p[:9], splits=10)
    with pytest.raises(UserError, match="sum to 1"):
        classifier_score(p * 2)


# --- precision, recall, density, coverage


def plain_scores(real, fake, k):
    """Compute the definitions with loops."""
    distance = lambda a, b: np.sqrt(np.sum((a - b) ** 2))  # noqa: E731
    radius = lambda x, points: np.sort([distance(x, other) for other in points])[k]  # noqa: E731
    real_radii, fake_radii = [radius(x, real) for x in real], [radius(x, fake) for x in fake]
    return {
        "precision": np.mean(
            [any(distance(f, r) <= e for r, e in zip(real, real_radii, strict=True)) for f in fake]
        ),
        "recall": np.mean(
            [any(distance(r, f) <= e for f, e in zip(fake, fake_radii, strict=True)) for r in real]
        ),
        "density": np.sum(
            [[distance(f, r) <= e for r, e in zip(real, real_radii, strict=True)] for f in fake]
        )
        / (k * len(fake)),
        "coverage": np.mean(
            [any(distance(f, r) <= e for f in fake) for r, e in zip(real, real_radii, strict=True)]
        ),
    }


@pytest.mark.parametrize("memory_mib", [0.002, 64])  # 6 to 8 rows at a time, or all rows
def test_neighbor_scores_equal_their_definitions(memory_mib):
    real, fake = normal(40, 3), normal(30, 3, 1, mean=0.5, scale=0.8)
    scores = neighbors.precision_recall_density_coverage(real, fake, 3, memory_mib)
    assert scores == pytest.approx(plain_scores(real, fake, 3), abs=1e-12)
    assert 0 < scores["recall"] < 1 and scores["precision"] != scores["recall"]


def test_narrow_fakes_have_precision_and_wide_fakes_have_recall():
    wide, narrow = normal(1000, 8), normal(1000, 8, 1, scale=0.3)
    scores = neighbors.precision_recall_density_coverage(wide, narrow)
    assert scores["precision"] > 0.8 and scores["recall"] < 0.3
    swapped = neighbors.precision_recall_density_coverage(narrow, wide)
    assert swapped["precision"] < 0.3 and swapped["recall"] > 0.8


@pytest.mark.parametrize("k, expected", [(3, 0.875), (5, 0.969)])
def test_coverage_of_one_distribution(k, expected):
    assert neighbors.precision_recall_density_coverage(normal(1500, 16), normal(1500, 16, 1), k)[
        "coverage"
    ] == pytest.approx(expected, abs=0.025)


def test_repeated_points_count_as_covered():
    same = np.full((20, 4), 3.7)
    assert neighbors.precision_recall_density_coverage(same, same, k=3) == pytest.approx(
        {"precision": 1, "recall": 1, "density": 20 / 3, "coverage": 1}
    )


def test_neighbor_scores_need_more_than_k_rows():
    with pytest.raises(UserError, match="more than 5 rows per set, got 5 and 9"):
        neighbors.precision_recall_density_coverage(normal(5, 2), normal(9, 2))
    assert neighbors.squared_radii(normal(6, 2), 5).shape == (6,)


# --- classes and modes


def test_class_histogram_and_divergence():
    np.testing.assert_allclose(classes.class_histogram([0, 2, 2, 2], 4), [0.25, 0, 0.75, 0])
    assert classes.kl_divergence([0, 1], [0.5, 0.5]) == pytest.approx(np.log(2))
    assert classes.kl_divergence([0.5, 0.5], [0, 1]) == np.inf
    assert classes.label_accuracy([[0.9, 0.1], [0.6, 0.4]], [0, 1]) == 0.5


def test_stacked_modes_of_a_perfect_sampler():
    labels = np.random.default_rng(0).integers(0, 10, (26_000, 3))
    perfect = modes.stacked_modes(labels)
    assert perfect["modes"] == 1000
    assert perfect["kl"] == pytest.approx(0.0194, abs=0.0015)
    one = modes.stacked_modes(np.array([[1, 2, 3]] * 5))
    assert one == {"modes": 1, "kl": pytest.approx(np.log(1000))}
    order = modes.stacked_modes(np.array([[1, 2, 3], [3, 2, 1]]))
    assert order["modes"] == 2


# --- similarity


def noisy(seed=0, size=32):
    generator = np.random.default_rng(seed)
    a = generator.integers(0, 256, (2, size, size, 1)).astype(np.uint8)
    b = np.clip(a + generator.normal(0, 20, a.shape), 0, 255).astype(np.uint8)
    return a, b


def test_psnr_hand_computed():
    a = np.zeros((1, 12, 12, 1), np.uint8)
    b = np.full((1, 12, 12, 1), 10, np.uint8)
    assert similarity.psnr(a, b) == pytest.approx([10 * np.log10(255**2 / 100)], abs=1e-4)


def test_ssim_equals_its_definition():
    """Wang et al.'s formula with an 11x11 Gaussian window (sigma 1.5), where the window fits."""
    a, b = noisy()
    window = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window /= window.sum()

    def blur(x):
        return correlate1d(correlate1d(x, window, axis=0), window, axis=1)[5:-5, 5:-5]

    expected = []
    for x, y in zip(a[..., 0].astype(float), b[..., 0].astype(float), strict=True):
        mx, my = blur(x), blur(y)
        vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        expected.append(
            np.mean((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
        )
    assert similarity.ssim(a, b) == pytest.approx(expected, abs=1e-4)
    assert similarity.ssim(a, a) == pytest.approx([1, 1], abs=1e-6)


def test_ssim_and_psnr_agree_with_scikit_image():
    skimage = pytest.importorskip(
        "skimage.metrics", reason="scikit-image is not installed (extra dev)"
    )
    a, b = noisy(1)
    options = {
        "data_range": 255,
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
    }
    expected = [
        skimage.structural_similarity(x[..., 0], y[..., 0], **options)
        for x, y in zip(a, b, strict=True)
    ]
    assert similarity.ssim(a, b) == pytest.approx(expected, abs=1e-4)
    expected = [
        skimage.peak_signal_noise_ratio(x, y, data_range=255) for x, y in zip(a, b, strict=True)
    ]
    assert similarity.psnr(a, b) == pytest.approx(expected, abs=1e-3)


def test_similarity_rejects_images_that_cannot_be_compared():
    a, b = noisy()
    with pytest.raises(UserError, match="of one shape, of at least 1 pixels"):
        similarity.psnr(a, a[:1])
    with pytest.raises(
        UserError, match=r"at least 11 pixels, are needed, got uint8 \(2, 8, 8, 1\)"
    ):
        similarity.ssim(a[:, :8, :8], b[:, :8, :8])


# --- memorization and likelihood


@pytest.mark.parametrize("chunk", [3, 8192])
def test_nearest_images_equals_brute_force(chunk):
    generator = np.random.default_rng(0)
    training = generator.integers(0, 256, (50, 4, 4, 1)).astype(np.uint8)
    images = generator.integers(0, 256, (9, 4, 4, 1)).astype(np.uint8)
    images[4] = training[17]
    distances, index = memorization.nearest_images(images, training, chunk=chunk)
    plain = np.sqrt(np.sum((images[:, None].astype(float) - training) ** 2, axis=(2, 3, 4))) / 255
    np.testing.assert_array_equal(index, plain.argmin(axis=1))
    np.testing.assert_allclose(distances, plain.min(axis=1), rtol=1e-12)
    assert index[4] == 17 and distances[4] == 0


def test_nearest_images_skips_the_image_itself():
    training = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 1)).astype(np.uint8)
    distances, index = memorization.nearest_images(training[:10], training, skip_self=True, chunk=7)
    assert np.all(index != np.arange(10)) and np.all(distances > 0)


def test_importance_weighted_nll():
    log_weights = normal(7, 3, mean=-90.0)
    expected = -np.log(np.mean(np.exp(log_weights + 90), axis=0)) + 90
    np.testing.assert_allclose(
        likelihood.importance_weighted_nll(log_weights), expected, rtol=1e-12
    )
    np.testing.assert_allclose(likelihood.importance_weighted_nll(log_weights[:1]), -log_weights[0])
    assert np.all(np.isfinite(likelihood.importance_weighted_nll(log_weights - 1e5)))


def test_neighbor_scores_of_many_points_need_little_memory():
    real, fake = normal(4000, 4), normal(3000, 4, 1)
    tracemalloc.start()
    neighbors.precision_recall_density_coverage(real, fake, memory_mib=4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6  # all distances at once would take 128 MB


def test_details_of_a_score_are_readable():
    details = {"k": 1000, "error": 2.5e-10, "low": -1e-9, "large": 1234.5, "small": 0.0123}
    details |= {"missing": None, "each": [1, 2], "baselines": {}, "network": "<b>", "zero": 0.0}
    assert format_details(details) == (
        "k 1,000, error below 0.0001, low above -0.0001, large 1,234, small 0.012, network <b>, "
        "zero 0"
    )
    assert format_details(None) == ""
