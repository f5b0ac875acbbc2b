"""Kernel distance (KID) between two sets of features.

Reference: Binkowski et al. 2018, Demystifying MMD GANs, arXiv 1801.01401, section 4.
"""

import numpy as np

from tfgan_zoo.errors import UserError


def kernel_distance(real, fake, block=1000, seed=0):
    """The squared maximum mean discrepancy for the kernel (x.y / d + 1)^3, unbiased, so it may be slightly negative.

    Both sets are shuffled by the seed and cut into equally many disjoint blocks, so many that the larger set's have at most `block` rows
    (unless the smaller set has too few for two each); the estimate is the mean over
    blocks, its standard error the blocks' (n - 1) deviation over the root of their number.

    Args:
        real, fake: features (n, d) and (m, d); n and m may differ, at least 2.
        block: rows in a block.
        seed: of the shuffle.

    Returns:
        (mean, standard error; None for a single block).

    Raises:
        UserError: fewer than 2 rows.
    """
    real, fake = np.asarray(real), np.asarray(fake)
    if min(len(real), len(fake)) < 2:
        raise UserError(
            f"the kernel distance needs at least 2 rows on either side, received {len(real)} and {len(fake)}"
        )
    blocks = -(-max(len(real), len(fake)) // block)
    blocks = max(1, min(blocks, min(len(real), len(fake)) // 2))
    generator = np.random.default_rng(seed)
    parts = [
        np.array_split(features[generator.permutation(len(features))], blocks)
        for features in (real, fake)
    ]
    estimates = [squared_mmd(*pair) for pair in zip(*parts, strict=True)]
    error = float(np.std(estimates, ddof=1) / np.sqrt(blocks)) if blocks > 1 else None
    return float(np.mean(estimates)), error


def squared_mmd(x, y):
    """mean k(x, x') + mean k(y, y') - 2 mean k(x, y), the first two over distinct rows."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    n, m, d = len(x), len(y), x.shape[1]
    kernel_xx, kernel_yy, kernel_xy = (
        (a @ b.T / d + 1.0) ** 3 for a, b in ((x, x), (y, y), (x, y))
    )
    within = (kernel_xx.sum() - np.trace(kernel_xx)) / (n * (n - 1)) + (
        kernel_yy.sum() - np.trace(kernel_yy)
    ) / (m * (m - 1))
    return within - 2.0 * kernel_xy.mean()
