"""Time, memory and quality of ways to stylise, by size; every one in a process of its own. Not run by the tests.

    python tests/benchmarks/style_methods.py CONTENT STYLE gatys RUN... [--sizes 256 512 1024] [--features random] [--pictures DIR]

Sources are `gatys`, run directories or SavedModels; a network of one style is compared with STYLE, which should be its own. Scores are
those of `tfgan-zoo stylize --scores`: relative errors of style and content, and the structural similarity to the content.
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
    """One way at one size: puts {seconds, first, gib, scores}."""
    from tfgan_zoo import export, presets, style_scores, stylize
    from tfgan_zoo.data import embedded, transforms
    from tfgan_zoo.models.styling import picture

    whole = embedded.photograph(options.content) if options.content in embedded.PHOTOGRAPHS else picture(options.content)
    content, style = transforms.to_longer(whole, size), picture(options.style)
    if source == "gatys":
        config = dataclasses.replace(presets.experiment("gatys").model, features=options.features)
        painter, repeats = stylize.by_optimisation([style], config), 0
    else:
        model = export.load_that("stylize", source)
        painter, repeats = stylize.by_network(model, [style] if model.styles_wanted else []), 5
    times = []
    for _ in range(1 + repeats):
        begin = time.time()
        made, _ = painter(content, lambda style: style)
        times.append(time.time() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if options.pictures:
        from tfgan_zoo import files

        options.pictures.mkdir(parents=True, exist_ok=True)
        files.write(made, options.pictures / f"{pathlib.Path(source).name}_{size}.png")
    judge = style_scores.Judge(style, style_scores.network(options.judge, "average"))
    found = {"seconds": statistics.median(times[1:] or times), "first": times[0], "gib": peak, "scores": judge(made, content)}
    results.put({"source": source, "size": f"{content.shape[1]}x{content.shape[0]}", **found})


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("content")
    parser.add_argument("style")
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--features", default="random", help="what gatys looks through")
    parser.add_argument("--judge", default="random", help="what the scores look through")
    parser.add_argument("--pictures", type=pathlib.Path, help="a folder for what is made")
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
