"""Count the modes that a GAN finds, by objective and penalty, on data whose modes are known.

    python tests/benchmarks/modes.py gaussians [--seeds 3] [--steps 10000]
    python tests/benchmarks/modes.py stacked_mnist --data-dir DIR [--seeds 1] [--epochs 10]

gaussians: 25 Gaussians on a grid in the plane, spacing 40 standard deviations. A sample within 3
standard deviations of a mode is of high quality, and a mode is found if one of 2,500 samples is
(protocol of PacGAN: Lin et al. 2018, arXiv 1712.04086).

stacked_mnist: digits in three channels, 1,000 modes, the preset dcgan_stacked_mnist without batch
norm in D, 26,000 samples, the digit classifier of the package (Metz et al. 2017, arXiv 1611.02163).
DIR is the folder of tensorflow-datasets.

KL is the divergence of the modes' frequencies from a uniform distribution, in nats. Not run by the
tests.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

LOSSES = {
    "non-saturating": {"objective": "non_saturating"},
    "non-saturating + R1": {"objective": "non_saturating", "penalty": "r1"},
    "relativistic + R1 + R2": {"objective": "relativistic", "penalty": "r1_r2"},
}
SPACING, DEVIATION = 0.4, 0.01  # of the Gaussians; the points are in [-1, 1]
SCALE = 5  # of the points in the networks, as in the paper: spacing 2, standard deviation 0.05
GRID = SPACING * np.stack(np.meshgrid(np.arange(-2, 3), np.arange(-2, 3)), axis=-1).reshape(25, 2)


def sample_gaussians(count, seed):
    """Draw points of the mixture as images of one pixel and two channels: (count, 1, 1, 2)."""
    rng = np.random.default_rng(seed)
    points = GRID[rng.integers(0, 25, count)] + rng.normal(0, DEVIATION, (count, 2))
    return points.astype(np.float32).reshape(count, 1, 1, 2)


def measure_gaussians(options, losses, seed):
    """Train two perceptrons on the Gaussians; return the scores of 2,500 samples."""
    import keras
    import tensorflow as tf

    from tfgan_zoo.metrics import kl_divergence
    from tfgan_zoo.models import GAN, GANConfig

    def perceptron(x, units):
        for _ in range(3):
            x = keras.layers.LeakyReLU(0.2)(
                keras.layers.Dense(128, kernel_initializer="he_normal")(x)
            )
        return keras.layers.Dense(units)(x)

    class PointGAN(GAN):
        """GAN with other networks, in which a point has coordinates from -4 to 4."""

        def build_networks(self):
            z = keras.Input((self.config.latent_dim,))
            points = perceptron(z, 2)
            points = keras.layers.Reshape((1, 1, 2))(keras.layers.Rescaling(1 / SCALE)(points))
            self.generator = keras.Model(z, points, name="generator")
            image = keras.Input((1, 1, 2))
            x = keras.layers.Rescaling(SCALE)(keras.layers.Flatten()(image))
            self.discriminator = keras.Model(image, perceptron(x, 1), name="discriminator")

    config = GANConfig(
        image_size=1,
        channels=2,
        latent_dim=2,
        penalty_weight=options.penalty_weight / SCALE**2,  # gradients are SCALE times as large
        learning_rate=1e-3,
        decay_steps=options.steps,
        **losses,
    )
    keras.utils.set_random_seed(seed)
    model = PointGAN(config)
    model.compile(steps_per_execution=100, seed=seed)
    data = tf.data.Dataset.from_tensor_slices(sample_gaussians(100_000, seed))
    batches = data.shuffle(100_000, seed=seed).repeat().batch(256, drop_remainder=True)
    model.fit(batches, steps_per_epoch=options.steps, shuffle=False, verbose=0)

    points = model(model.latent(2500, seed)).numpy().reshape(-1, 2)
    distances = np.linalg.norm(points[:, None] - GRID, axis=-1)
    nearest, good = distances.argmin(axis=1), distances.min(axis=1) < 3 * DEVIATION
    frequencies = np.bincount(nearest, minlength=25) / len(points)
    return {
        "modes": len(np.unique(nearest[good])),
        "KL": kl_divergence(frequencies, np.full(25, 1 / 25)),
        "high quality": float(np.mean(good)),
    }


def measure_stacked_mnist(options, losses, seed):
    """Train a DCGAN on stacked digits in a run directory; return the scores of 26,000 samples."""
    from tfgan_zoo import evaluate, train

    name = f"{options.runs}/stacked_{losses['objective']}_{losses.get('penalty', 'none')}_{seed}"
    train(
        "dcgan_stacked_mnist",
        *(f"model.{field}={value}" for field, value in losses.items()),
        *("model.discriminator_norm=none", "model.width=32", "model.ema_decay=0.999"),
        *(["model.penalty_interval=4"] if "penalty" in losses else []),
        f"model.penalty_weight={options.penalty_weight}",
        f"train.epochs={options.epochs}",
        f"train.seed={seed}",
        f"data.path={options.data_dir}",
        run_dir=name,
    )
    scores = evaluate(name, metrics=["modes", "modes_kl"], samples=26_000)["scores"]
    return {"modes": scores["modes"]["value"], "KL": scores["modes_kl"]["value"]}


MEASURES = {"gaussians": measure_gaussians, "stacked_mnist": measure_stacked_mnist}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", choices=MEASURES)
    parser.add_argument("--seeds", type=int, default=1, help="number of runs of each loss")
    parser.add_argument("--steps", type=int, default=10_000, help="for gaussians")
    parser.add_argument("--epochs", type=int, default=10, help="for stacked_mnist")
    parser.add_argument("--penalty-weight", type=float, default=0.5, help="gamma of R1 and R2")
    parser.add_argument("--data-dir", default="", help="for stacked_mnist")
    parser.add_argument("--runs", default="runs", help="folder of stacked_mnist's runs")
    options = parser.parse_args()
    for name, losses in LOSSES.items():
        for seed in range(options.seeds):
            begin = time.time()
            scores = MEASURES[options.data](options, losses, seed)
            values = "  ".join(f"{score} {value:.4g}" for score, value in scores.items())
            print(f"{name:24} seed {seed}  {values}  {time.time() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
