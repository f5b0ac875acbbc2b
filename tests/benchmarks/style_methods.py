"""Measure time, memory and quality of stylization methods by size, each in a new process.

    python tests/benchmarks/style_methods.py CONTENT STYLE gatys RUN... [--sizes 256 512 1024]
        [--features random] [--metric-features random] [--images DIR]

Sources are `gatys`, run directories or SavedModels. A network of one style is compared with STYLE,
which should be its own. Scores are those of `tfgan-zoo stylize --scores`: relative errors of style
and content, and the structural similarity to the content. Not run by the tests.
"""

import argparse
import dataclasses
import json
import multiprocessing
import pathlib
import resource
import statistics
import time


def measure(source, size, options, results):
    """Measure one method at one size: put {source, size, seconds, first, gib, scores}."""
    from tfgan_zoo import presets
    from tfgan_zoo.data import builtin_images, transforms
    from tfgan_zoo.data.builtin_images import load_style_image
    from tfgan_zoo.evaluation.style import StyleComparison, style_network
    from tfgan_zoo.inference import image_files
    from tfgan_zoo.inference.gatys import gatys_stylizer
    from tfgan_zoo.inference.stylize import network_stylizer
    from tfgan_zoo.saving.exported import load_for_task

    # Load the images and the method.
    if options.content in builtin_images.PHOTOGRAPHS:
        content = builtin_images.photograph(options.content)
    else:
        content = load_style_image(options.content)
    content, style = transforms.resize_longer_side(content, size), load_style_image(options.style)
    if source == "gatys":
        config = dataclasses.replace(presets.experiment("gatys").model, features=options.features)
        stylizer, repeats = gatys_stylizer([style], config), 0
    else:
        model = load_for_task("stylize", source)
        stylizer, repeats = network_stylizer(model, [style] if model.takes_styles else []), 5

    # Measure. The first call includes tracing.
    times = []
    for _ in range(1 + repeats):
        begin = time.time()
        result, _ = stylizer(content, lambda style: style)
        times.append(time.time() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if options.images:
        options.images.mkdir(parents=True, exist_ok=True)
        image_files.write_image(result, options.images / f"{pathlib.Path(source).name}_{size}.png")
    comparison = StyleComparison(style, style_network(options.metric_features, "average"))
    results.put(
        {
            "source": source,
            "size": f"{content.shape[1]}x{content.shape[0]}",
            "seconds": statistics.median(times[1:] or times),
            "first": times[0],
            "gib": peak,
            "scores": comparison(result, content),
        }
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("content")
    parser.add_argument("style")
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--features", default="random", help="feature network of gatys")
    parser.add_argument("--metric-features", default="random", help="feature network of the scores")
    parser.add_argument("--images", type=pathlib.Path, help="folder for the results")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    for source in options.sources:
        for size in options.sizes:
            results = context.Queue()
            process = context.Process(target=measure, args=(source, size, options, results))
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f"{source} at {size} pixels failed")
            print(json.dumps(results.get()), flush=True)


if __name__ == "__main__":
    main()
