"""Score stylization models on every pair of the contents and styles of two folders.

    python tests/benchmarks/style_scores.py CONTENTS STYLES SOURCE... --metric-features FILE.keras
        [--size 384] [--images DIR]

Sources are `gatys`, `gatys:FEATURES`, run directories or SavedModels. A model of one style is
scored on its own style only, which is named like `runs/a=starry_night`. Columns:

- grid: pattern of the upsampling layers above that of the content, in dB (`metrics.grid`), the mean
  and the maximum over all pairs;
- style, content: relative errors as in `tfgan-zoo stylize --scores`;
- nearest: share of the results whose Gram matrices are nearest to those of their own style, among
  all styles;
- identity: mean absolute error, of 255, of a content that is stylized by itself.

Not run by the tests.
"""

import argparse
import dataclasses
import pathlib

import numpy as np

from tfgan_zoo import presets
from tfgan_zoo.data import image_file, transforms
from tfgan_zoo.evaluation.style import style_metrics, style_network
from tfgan_zoo.inference.gatys import gatys_stylizer
from tfgan_zoo.inference.image_files import write_image
from tfgan_zoo.losses import gram_matrix, relative_error
from tfgan_zoo.metrics.grid import grid_strength
from tfgan_zoo.models.stylization import STYLE_LAYERS
from tfgan_zoo.saving.exported import load_for_task


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("contents", type=pathlib.Path)
    parser.add_argument("styles", type=pathlib.Path)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--metric-features", default="small", help="feature network of the scores")
    parser.add_argument("--size", type=int, default=384, help="longer side in pixels")
    parser.add_argument("--images", type=pathlib.Path, help="folder for the results")
    options = parser.parse_args()
    contents, styles = (read(folder, options.size) for folder in (options.contents, options.styles))
    network = style_network(options.metric_features, "average")
    grams = {name: gram_matrices(network, image) for name, image in styles.items()}
    print("source                   grid mean, max   style  content  nearest  identity")
    for source in options.sources:
        path, _, own = source.partition("=")
        stylize = load_stylizer(path)
        scores, rows = [], []
        for content_name, content in contents.items():
            row = [content]
            for style_name in [own] if own else styles:
                style = styles[style_name]
                result = stylize(content, style)
                row.append(result)
                scores.append(score(network, result, content, style, grams, style_name))
                scores[-1]["grid"] -= grid_strength(content)
                if options.images:
                    options.images.mkdir(parents=True, exist_ok=True)
                    stem = path.replace("/", "_").replace(":", "_")
                    write_image(result, options.images / f"{stem}_{content_name}_{style_name}.png")
            rows.append(row)
        identity = [np.abs(stylize(c, c).astype(float) - c).mean() for c in contents.values()]
        mean = {name: np.mean([values[name] for values in scores]) for name in scores[0]}
        worst = max(values["grid"] for values in scores)
        print(
            f"{source:<25}{mean['grid']:6.1f} {worst:6.1f}   {mean['style']:.3f}  "
            f"{mean['content']:.3f}    {mean['nearest']:.2f}     {np.mean(identity):5.1f}",
            flush=True,
        )


def read(folder, size):
    """Read the images of a folder: {name: uint8 (h, w, 3)}, with longer sides of `size` pixels."""
    images = {}
    for path in sorted(folder.iterdir()):
        image = image_file.read_image(path, 3)
        images[path.stem] = transforms.resize_longer_side(image, size)
    return images


def load_stylizer(source):
    """Return a function (content, style) -> uint8 image."""
    if source.startswith("gatys"):
        config = presets.experiment("gatys").model
        features = source.partition(":")[2] or config.features
        config = dataclasses.replace(config, features=features)
        return lambda content, style: gatys_stylizer([style], config)(content, lambda x: x)[0]
    model = load_for_task("stylize", source)
    if model.takes_styles:
        return lambda content, style: model.stylize(content, [style])
    return lambda content, style: model.stylize(content)


def gram_matrices(network, image):
    features = network(transforms.to_float(image)[None])
    return [gram_matrix(features[layer]) for layer in STYLE_LAYERS]


def score(network, result, content, style, grams, own):
    """Return the scores of one result."""
    scores = style_metrics(network, {"result": result}, content, style)["result"]
    result_grams = gram_matrices(network, result)
    distances = {
        name: np.mean([relative_error(a, b) for a, b in zip(result_grams, other, strict=True)])
        for name, other in grams.items()
    }
    nearest = min(distances, key=distances.get) == own
    return {**scores, "grid": grid_strength(result), "nearest": nearest}


if __name__ == "__main__":
    main()
