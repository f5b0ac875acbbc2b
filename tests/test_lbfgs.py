"""L-BFGS within bounds, compared with SciPy's."""

import itertools

import numpy as np
import scipy.optimize

from tfgan_zoo.optimizers import lbfgs


def test_lbfgs_finds_the_minimum_that_scipy_finds():
    """A convex function whose unbounded minimum is outside of the bounds in some elements."""
    random = np.random.default_rng(0)
    shape = (1, 4, 5, 3)
    slopes = random.uniform(0.5, 50, shape).astype("float32")
    center = random.normal(0, 1, shape).astype("float32")
    assert np.abs(center).max() > 1.5

    def value_and_gradient(x):
        offset = x - center
        value = float(np.sum(slopes * offset**2 + 0.1 * offset**4))
        return value, slopes * 2 * offset + 0.4 * offset**3, value

    iterates = lbfgs(value_and_gradient, np.zeros(shape, "float32"))
    *_, (x, value, _) = itertools.islice(iterates, 60)

    def of_flat(flat):
        value, gradient, _ = value_and_gradient(flat.reshape(shape))
        return value, gradient.ravel()

    expected = scipy.optimize.minimize(
        of_flat,
        np.zeros(60),
        jac=True,
        method="L-BFGS-B",
        bounds=scipy.optimize.Bounds(-1, 1),
        options={"ftol": 1e-14, "gtol": 1e-10},
    )
    np.testing.assert_allclose(x.ravel(), expected.x, atol=1e-5)  # measured: 6e-7
    np.testing.assert_allclose(value, expected.fun, rtol=1e-5)
