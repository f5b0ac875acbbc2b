"""Style transfer by L-BFGS from coarse to fine: seconds to the same loss, ours and PyTorch's.

    PYTHONPATH=. python tests/benchmarks/style_pyramid.py [--sizes 256 512] [--rounds 3]

Not run by the tests. Both optimize with the schedule of `StyleTransfer.stylize`: the same sizes,
the same number of evaluations at each (60), the same network with random weights, no margin. Both
are measured in turn, each in its own process. The loss that must be reached at full size is the
higher of both final losses. The memory is the peak of each process in the run.
"""

import argparse
import dataclasses
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from compare import Worker, quartiles

from tfgan_zoo.tools.benchmark import peak_memory


def make_setup(size):
    """Return (config, content, style) of a comparison."""
    from tfgan_zoo import presets
    from tfgan_zoo.data import builtin_images, transforms

    config = dataclasses.replace(presets.experiment("gatys").model, features="random", margin=0)
    content = transforms.resize_longer_side(builtin_images.photograph("china"), size)
    style = transforms.resize_longer_side(builtin_images.style_image("mosaic", 512), size)
    return config, content, style


def work_ours(connection, size):
    """Send (VGG's weights, levels), then ([(seconds, loss at full size)], MiB) per request."""
    import time

    from tfgan_zoo.data.transforms import resize, resize_longer_side
    from tfgan_zoo.models.style_transfer import StyleTransfer, as_batch, pyramid_sizes

    config, content, style = make_setup(size)
    model = StyleTransfer(config)
    layers = model.extract_features.network.layers
    weights = {layer.name: layer.get_weights() for layer in layers if layer.weights}
    levels = [
        tuple(
            np.asarray(as_batch(image))
            for image in (resize(content, *sides), resize_longer_side(style, max(sides)))
        )
        for sides in pyramid_sizes(content.shape[:2], config.smallest)
    ]
    connection.send((dataclasses.asdict(config), weights, levels))
    while connection.recv():
        seen, begin = [], time.perf_counter()
        model.stylize(
            content,
            [style],
            on_iteration=lambda state, seen=seen: seen.append(
                (time.perf_counter(), state.losses["image"], state.image.shape[1:3])
            ),
        )
        full = [(moment - begin, loss) for moment, loss, size in seen if size == content.shape[:2]]
        connection.send((full, peak_memory()))


def work_pytorch(connection, values, weights, levels):
    """Send ([(seconds, loss at full size)], MiB) for every request."""
    import types

    import pytorch

    config = types.SimpleNamespace(**values)
    pytorch.gatys(config, weights, levels[:1], "lbfgs", 2, None)
    connection.send(None)
    while connection.recv():
        curve = pytorch.gatys(config, weights, levels, "lbfgs", config.iterations, None)
        connection.send((curve, peak_memory()))


def compare(size, rounds):
    """Return a row of the table."""
    ours = Worker("ours", work_ours, size)
    pytorch = Worker("PyTorch", work_pytorch, *ours.remark)
    seconds = {"ours": [], "pytorch": []}
    for i in range(rounds + 1):
        curves, memory = zip(*(worker.ask(True) for worker in (ours, pytorch)), strict=True)
        if i == 0:  # ours traces its graphs
            first = curves[0][-1][0]
            continue
        target = max(min(loss for _, loss in curve) for curve in curves)
        for form, curve in zip(seconds, curves, strict=True):
            seconds[form].append(next(moment for moment, loss in curve if loss <= target))
    for worker in (ours, pytorch):
        worker.end()
    ratio = quartiles(np.divide(seconds["pytorch"], seconds["ours"]))
    cells = [
        f"{size} pixels, until loss {target:.3f}",
        f"{np.median(seconds['ours']):.1f} s",
        f"{ratio['median']:.2f} ({ratio['lower']:.2f} to {ratio['upper']:.2f})",
        f"{first:.1f} s",
        *(f"{peak} MiB" for peak in memory),
    ]
    return f"| {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("| size | ours | PyTorch / ours | ours, first image | memory, ours | memory, PyTorch |")
    print("|---|---|---|---|---|---|")
    for size in options.sizes:
        print(compare(size, options.rounds), flush=True)


if __name__ == "__main__":
    main()
