"""Kernel distance between two sets of features. With Inception's features it is the KID.

Reference: Binkowski et al. 2018, Demystifying MMD GANs, arXiv 1801.01401, section 4.
"""

import numpy as np

from tfgan_zoo.errors import UserError


def kernel_distance(real, fake, block=1000, seed=0):
    """Estimate the squared maximum mean discrepancy for the kernel (x.y / d + 1)^3.

    The estimate is unbiased, so it can be slightly negative. Both sets are shuffled and split into
    the same number of disjoint blocks. The blocks of the larger set have at most `block` rows,
    unless the smaller set has too few rows for two in each block. The estimate is the mean over the
    blocks. Its standard error is the sample standard deviation over the blocks, divided by the
    square root of their number.

    Args:
        real: features (n, d), n at least 2.
        fake: features (m, d), m at least 2.
        block: maximum number of rows in a block.
        seed: seed of the shuffle.

    Returns:
        (mean, standard error); the standard error is None for a single block.

    Raises:
        UserError: fewer than 2 rows.
    """
    real, fake = np.asarray(real), np.asarray(fake)
    smaller, larger = sorted((len(real), len(fake)))
    if smaller < 2:
        raise UserError(
            f"the kernel distance needs at least 2 rows per set, got {len(real)} and {len(fake)}."
        )
    blocks = max(1, min(-(-larger // block), smaller // 2))
    generator = np.random.default_rng(seed)
    real_blocks = np.array_split(real[generator.permutation(len(real))], blocks)
    fake_blocks = np.array_split(fake[generator.permutation(len(fake))], blocks)
    estimates = [squared_mmd(x, y) for x, y in zip(real_blocks, fake_blocks, strict=True)]
    error = float(np.std(estimates, ddof=1) / np.sqrt(blocks)) if blocks > 1 else None
    return float(np.mean(estimates)), error


def squared_mmd(x, y):
    """Compute mean k(x, x') + mean k(y, y') - 2 mean k(x, y), the first two over distinct rows."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    n, m = len(x), len(y)

    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1.0) ** 3

    k_xx, k_yy, k_xy = kernel(x, x), kernel(y, y), kernel(x, y)
    within_x = (k_xx.sum() - np.trace(k_xx)) / (n * (n - 1))
    within_y = (k_yy.sum() - np.trace(k_yy)) / (m * (m - 1))
    return within_x + within_y - 2.0 * k_xy.mean()
