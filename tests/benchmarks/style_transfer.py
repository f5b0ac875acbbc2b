"""How fast the weighted loss of style transfer falls: ours (L-BFGS, from coarse to fine) beside the plain recipe (Adam, learning rate 0.02,
at full size from the start), for the same time, both through the same network; not run by the tests.

    python tests/benchmarks/style_transfer.py CONTENT STYLE -o curve.png [--size 384] [--seconds 120] [--features random]

Both are measured at full size; the time for measuring does not count.
"""

import argparse
import dataclasses
import json
import pathlib
import time

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import tensorflow as tf

from tfgan_zoo import presets
from tfgan_zoo.data import transforms
from tfgan_zoo.data.builtin_images import load_style_image
from tfgan_zoo.models import style_transfer
from tfgan_zoo.models.style_transfer import (
    Objective,
    StyleTransfer,
    as_batch,
    feature_layers,
    resize_image,
    transfer_style,
)


class TimeUpError(Exception):
    pass


class Clock:
    """Seconds of work since it was made, and the losses that a picture had at them."""

    def __init__(self, judge, limit):
        self.judge, self.limit, self.begin, self.rows, self.seen = (
            judge,
            limit,
            time.time(),
            [],
            0.0,
        )

    def see(self, pixels):
        now = time.time() - self.begin
        if now - self.seen > self.limit / 60:
            height, width = self.judge.start.shape[1:3]
            losses, _ = self.judge.value_and_gradient(
                tf.constant(resize_image(pixels, height, width))
            )
            self.rows.append((now, float(losses["image"])))
            self.begin += time.time() - self.begin - now  # measuring takes no time
            self.seen = now
        if now > self.limit:
            raise TimeUpError


def run(content, style, config, clock):
    """Paints until the time is up."""
    optimize = style_transfer.optimize

    def watched(*arguments):
        for step in optimize(*arguments):
            clock.see(step[1])
            yield step

    style_transfer.optimize = watched
    try:
        transfer_style(content, [style], config)
    except TimeUpError:
        pass
    finally:
        style_transfer.optimize = optimize
    return clock.rows


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
        help="of ours at every size, a curve each",
    )
    options = parser.parse_args()
    from tfgan_zoo.data import builtin_images

    whole = (
        builtin_images.photograph(options.content)
        if options.content in builtin_images.PHOTOGRAPHS
        else load_style_image(options.content)
    )
    content, style = (
        transforms.resize_longer_side(whole, options.size),
        load_style_image(options.style),
    )
    ours = dataclasses.replace(
        presets.experiment("gatys").model, features=options.features, pooling=options.pooling
    )
    plain = dataclasses.replace(ours, optimizer="adam", iterations=10**6, smallest=options.size)
    look = ours.feature_network(feature_layers(ours))
    batch = as_batch(content)
    judge = StyleTransfer(
        Objective(ours, look),
        batch,
        [as_batch(transforms.resize_longer_side(style, options.size))],
        batch,
    )
    configs = {
        f"ours, {n} iterations at every size": dataclasses.replace(ours, iterations=n)
        for n in options.iterations
    }
    configs["plain Adam, full size"] = plain
    curves = {
        name: run(content, style, config, Clock(judge, options.seconds))
        for name, config in configs.items()
    }
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for name, rows in curves.items():
        axes.plot(*zip(*rows, strict=True), label=name)
    axes.set(yscale="log", xlabel="seconds", ylabel="weighted loss at full size")
    axes.legend()
    figure.savefig(options.output, dpi=100)
    told = {}
    for name, rows in curves.items():  # at the end, beside plain Adam at the same moment
        seconds, loss = rows[-1]
        beside = [each for time_, each in curves["plain Adam, full size"] if time_ <= seconds][-1]
        told[name] = {
            "seconds": round(seconds, 1),
            "loss": round(loss, 4),
            "plain Adam then": round(beside, 4),
        }
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
