"""Compare how fast the loss of style transfer falls: L-BFGS from coarse to fine, and plain Adam.

    python tests/benchmarks/style_transfer.py CONTENT STYLE -o curve.png [--size 384]
        [--seconds 120] [--features random]

Plain Adam has the learning rate 0.02 and runs at full size from the start. Both use the same
feature network and the same time. The losses are measured at full size. These measurements do not
count. Not run by the tests.
"""

import argparse
import contextlib
import dataclasses
import json
import pathlib
import time

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import tensorflow as tf

from tfgan_zoo import presets
from tfgan_zoo.data import builtin_images, transforms
from tfgan_zoo.data.builtin_images import load_style_image
from tfgan_zoo.models.style_transfer import StyleTransfer, as_batch, resize_image

PLAIN_ADAM = "plain Adam, full size"


class TimeUpError(Exception):
    """The time of a run is over."""


class LossCurve:
    """Losses at full size over the seconds of work, recorded during a descent.

    Args:
        loss_at_full_size: function of an image float32 (1, h, w, 3) -> loss.
        limit: seconds after which `TimeUpError` is raised.
    """

    def __init__(self, loss_at_full_size, limit):
        self.loss_at_full_size, self.limit = loss_at_full_size, limit
        self.begin, self.rows = time.time(), []  # rows: (seconds, loss)

    def __call__(self, state):
        seconds = time.time() - self.begin
        last = self.rows[-1][0] if self.rows else 0.0
        if seconds - last > self.limit / 60:
            self.rows.append((seconds, self.loss_at_full_size(state.image)))
            self.begin = time.time() - seconds  # do not count the measurement
        if seconds > self.limit:
            raise TimeUpError


def run(content, style, config, curve):
    """Optimize until the time is up and return the rows of the curve."""
    with contextlib.suppress(TimeUpError):
        StyleTransfer(config).stylize(content, [style], on_iteration=curve)
    return curve.rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("content")
    parser.add_argument("style")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--features", default="random")
    parser.add_argument("--pooling", default="average")
    parser.add_argument(
        "--iterations",
        type=int,
        nargs="+",
        default=[60, 240],
        help="iterations of L-BFGS at each size, one curve for each number",
    )
    options = parser.parse_args()
    if options.content in builtin_images.PHOTOGRAPHS:
        content = builtin_images.photograph(options.content)
    else:
        content = load_style_image(options.content)
    content = transforms.resize_longer_side(content, options.size)
    style = load_style_image(options.style)

    # Measure at full size.
    config = dataclasses.replace(
        presets.experiment("gatys").model, features=options.features, pooling=options.pooling
    )
    model = StyleTransfer(config)
    resized_style = transforms.resize_longer_side(style, options.size)
    targets = model.targets(as_batch(content), [as_batch(resized_style)])

    def loss_at_full_size(image):
        image = tf.constant(resize_image(image, *content.shape[:2]))
        return float(model.losses_and_gradient(image, targets)[0]["image"])

    # Run all methods.
    configs = {
        f"L-BFGS, {n} iterations at each size": dataclasses.replace(config, iterations=n)
        for n in options.iterations
    }
    configs[PLAIN_ADAM] = dataclasses.replace(
        config, optimizer="adam", iterations=10**6, smallest=options.size
    )
    curves = {
        name: run(content, style, c, LossCurve(loss_at_full_size, options.seconds))
        for name, c in configs.items()
    }

    # Draw the curves, and print the last losses with plain Adam's at the same time.
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for name, rows in curves.items():
        axes.plot(*zip(*rows, strict=True), label=name)
    axes.set(yscale="log", xlabel="seconds", ylabel="weighted loss at full size")
    axes.legend()
    figure.savefig(options.output, dpi=100)
    record = {}
    for name, rows in curves.items():
        seconds, loss = rows[-1]
        adam_losses = [loss for moment, loss in curves[PLAIN_ADAM] if moment <= seconds]
        record[name] = {
            "seconds": round(seconds, 1),
            "loss": round(loss, 4),
            "plain Adam then": round(adam_losses[-1], 4),
        }
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
