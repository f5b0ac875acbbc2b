"""The command tfgan-zoo: parses, calls, prints. What a program might read goes to stdout, everything else to stderr."""

import argparse
import dataclasses
import functools
import json
import logging
import os
import pathlib
import sys

from tfgan_zoo import __version__, presets
from tfgan_zoo.config import LATENT_PATHS
from tfgan_zoo.errors import UserError, check_choice, first_line
from tfgan_zoo.quiet import start_tensorflow
from tfgan_zoo.saving import hub


def main(arguments=None):
    """Runs one command; returns the exit code: 0, 1 for a failure, 2 for wrong use, 130 after Ctrl-C."""
    options = parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        options.run(options)
    except UserError as error:
        return complain(error, 2)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone, e.g. `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("TFGAN_ZOO_TRACEBACK"):
            raise
        known = type(error).__name__ == "UnhealthyError"
        return complain(
            error
            if known
            else f"{type(error).__name__}: {error} (TFGAN_ZOO_TRACEBACK=1 shows where)",
            1,
        )
    return 0


def complain(error, code):
    print(f"tfgan-zoo: error: {' '.join(str(error).split())}", file=sys.stderr)
    return code


class Parser(argparse.ArgumentParser):
    """One line of error, and where help is."""

    def error(self, message):
        self.exit(2, f"tfgan-zoo: error: {message} (see {self.prog} --help)\n")


def parser():
    top = Parser(
        prog="tfgan-zoo", description="Classic image-generating networks: train, sample, export."
    )
    top.add_argument("--version", action="version", version=f"tfgan-zoo {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def command(name, run, summary, parent=commands):
        added = parent.add_parser(name, help=summary, description=summary)
        added.set_defaults(run=run)
        return added

    listing = command(
        "list", list_presets, "presets: model, data set, size, parameters, trained or not"
    )
    listing.add_argument("--json", action="store_true", help="one JSON array")

    show = command(
        "show",
        show_preset,
        "the complete experiment of a preset as JSON, in the form of experiment.json",
    )
    show.add_argument("preset")
    show.add_argument("overrides", nargs="*", metavar="section.field=value")

    train = command("train", train_preset, "train a preset, or go on with a run directory")
    train.add_argument(
        "preset", help="a preset (see tfgan-zoo list), or a run directory to go on with"
    )
    train.add_argument(
        "overrides",
        nargs="*",
        metavar="section.field=value",
        help="sections: model, data, train (see tfgan-zoo show PRESET)",
    )
    train.add_argument(
        "--run-dir",
        type=pathlib.Path,
        help="where everything goes (default: runs/PRESET); an existing run is resumed",
    )
    train.add_argument(
        "--dry-run", action="store_true", help="build the model, count the data, train nothing"
    )
    train.add_argument("--json", action="store_true", help="end with one JSON object on stdout")

    sample = command("sample", sample_images, "generate a grid of images")
    sample.add_argument(
        "source", help="a run directory, an exported SavedModel or a trained preset"
    )
    sample.add_argument(
        "-n", type=positive, help="how many images (default: 64; with --labels 8 a label)"
    )
    sample.add_argument(
        "--labels",
        type=labels,
        help="for a conditional model: classes such as 0-9 or 3,8; one row each",
    )
    seed_and_output(sample, "samples.png")

    interpolate = command(
        "interpolate",
        interpolate_images,
        "walk through the latent space, or from one class to another",
    )
    interpolate.add_argument(
        "source", help="a run directory, an exported SavedModel or a trained preset"
    )
    text = "between two draws (spherical, linear), along single latent dimensions, or all over a 2-D latent space (default: spherical)"
    interpolate.add_argument("--path", choices=LATENT_PATHS, default="spherical", help=text)
    interpolate.add_argument(
        "--labels",
        type=labels,
        help="for a conditional model: one class, or two to go from one to the other",
    )
    interpolate.add_argument("--rows", type=positive, default=8, help="walks (default: 8)")
    interpolate.add_argument(
        "--steps", type=positive, default=10, help="images in a walk (default: 10)"
    )
    seed_and_output(interpolate, "interpolation.png", "; .gif for an animation")

    reconstruct = command(
        "reconstruct", reconstruct_images, "images above what an auto-encoder makes of them"
    )
    reconstruct.add_argument(
        "source",
        help="a run directory, an exported SavedModel or a trained preset of an auto-encoder",
    )
    reconstruct.add_argument(
        "images",
        nargs="*",
        help="image files (default: images of the data set that it was trained on)",
    )
    reconstruct.add_argument(
        "-n", type=positive, default=32, help="how many of the data set (default: 32)"
    )
    reconstruct.add_argument(
        "--labels", type=labels, help="for a conditional model: the classes of the image files"
    )
    reconstruct.add_argument(
        "--data-dir", default="", help="where the data set is, if not where it was (data.path)"
    )
    seed_and_output(reconstruct, "reconstructions.png")

    evaluate = command(
        "evaluate",
        evaluate_model,
        "how good the images are, every score beside that of real images, or of simple ways to translate",
    )
    evaluate.add_argument(
        "source", help="a run directory, an exported SavedModel or a trained preset"
    )
    evaluate.add_argument(
        "overrides",
        nargs="*",
        metavar="data.field=value",
        help="the data to compare with, if not that of the training",
    )
    evaluate.add_argument(
        "--metrics",
        type=lambda text: text.split(","),
        help="some of them, with commas (default: all that apply)",
    )
    evaluate.add_argument(
        "--samples", type=positive, default=10_000, help="images to generate (default: 10000)"
    )
    text = "the network to look through: digits, inception, or a Keras model's path (default: digits for digits, else inception)"
    evaluate.add_argument("--features", default="auto", help=text)
    evaluate.add_argument(
        "--importance-samples",
        type=positive,
        default=200,
        help="draws an image for the likelihood (default: 200)",
    )
    evaluate.add_argument(
        "--seed", type=natural, default=0, help="of noise and every random choice (default: 0)"
    )
    text = "the folder for the scores (default: RUN/evaluation, or evaluation/NAME)"
    evaluate.add_argument("-o", "--output", type=pathlib.Path, help=text)
    evaluate.add_argument("--json", action="store_true", help="one JSON object on stdout")

    translate = command(
        "translate",
        translate_images,
        "translate pictures of any size by a trained Pix2Pix or CycleGAN",
    )
    translate.add_argument(
        "source", help="a run directory, an exported SavedModel or a trained preset"
    )
    translate.add_argument(
        "images",
        nargs="+",
        help="pictures, folders (with their sub-folders), patterns such as 'a/*.jpg', .npy arrays",
    )
    translate.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        required=True,
        help="a folder, in which names are kept; for one picture also a file",
    )
    translate.add_argument(
        "--direction",
        choices=("xy", "yx"),
        default="xy",
        help="yx: back, where the model has learnt both (default: xy)",
    )
    translate.add_argument(
        "--seed", type=natural, default=0, help="of a model with noise at test time (default: 0)"
    )
    translate.add_argument(
        "--tile",
        type=natural,
        default=1024,
        help="larger pictures go in tiles of so many pixels; 0: never (default: 1024)",
    )
    translate.add_argument(
        "--overlap",
        type=natural,
        help="pixels over which tiles fade into each other (default: an eighth of a tile)",
    )
    translate.add_argument(
        "--compare", action="store_true", help="write input and output side by side"
    )
    translate.add_argument(
        "--overwrite", action="store_true", help="replace files that are already there"
    )
    translate.add_argument("--json", action="store_true", help="one JSON object on stdout")

    stylize = command(
        "stylize",
        stylize_images,
        "give pictures the style of others: by optimisation, or by a trained network",
    )
    text = "pictures, folders, patterns such as 'a/*.jpg', or the embedded china or flower"
    stylize.add_argument("contents", nargs="+", metavar="CONTENT", help=text)
    stylize.add_argument(
        "--style",
        nargs="+",
        default=[],
        help="pictures, or mosaic, strokes or hatching, which are ours",
    )
    text = "gatys, a trained fast_... or adain_... preset, a run directory or an exported SavedModel (default: gatys)"
    stylize.add_argument("--preset", default="gatys", help=text)
    stylize.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("stylized.png"),
        help="a file, or a folder (default: stylized.png)",
    )
    stylize.add_argument(
        "--size",
        type=positive,
        default=0,
        help="pixels of the result's longer side (default: the picture's own)",
    )
    text = "keep: the content's colours; match, histogram: the style in the content's colours (default: style)"
    stylize.add_argument(
        "--colors", choices=("style", "keep", "match", "histogram"), default="style", help=text
    )
    stylize.add_argument(
        "--style-weights",
        type=numbers,
        help="how much each style counts, e.g. 3,1 (default: all alike)",
    )
    stylize.add_argument(
        "--tile",
        type=natural,
        default=1024,
        help="larger pictures go in tiles of so many pixels; 0: never (default: 1024)",
    )
    stylize.add_argument(
        "--overwrite", action="store_true", help="replace files that are already there"
    )
    stylize.add_argument("--json", action="store_true", help="one JSON object on stdout")
    stylize.add_argument(
        "--alpha",
        type=float,
        help="adain: from 0, the content, to 1, all of the style (default: 1)",
    )
    text = "also say how near the picture is to style and content, beside these themselves (through the random network)"
    stylize.add_argument("--scores", action="store_true", help=text)
    gatys = stylize.add_argument_group("by optimisation (--preset gatys)")
    gatys.add_argument(
        "--features",
        help="the network to look through: random, small, imagenet, or a file of a network (default: small)",
    )
    gatys.add_argument(
        "--content-weight", type=float, help="more keeps more of the content (default: 0.5)"
    )
    gatys.add_argument(
        "--style-weight", type=float, help="more takes more of the style (default: 10)"
    )
    gatys.add_argument("--variation-weight", type=float, help="more is smoother (default: 0.5)")
    gatys.add_argument(
        "--iterations",
        type=positive,
        help="at every size, which grows by sqrt 2 from 128 pixels (default: 60)",
    )
    gatys.add_argument("--optimizer", choices=("lbfgs", "adam"), help="default: lbfgs")
    gatys.add_argument("--pooling", choices=("average", "max"), help="default: average")
    gatys.add_argument(
        "--init",
        choices=("content", "noise", "style"),
        help="what the picture begins as (default: content)",
    )
    gatys.add_argument(
        "--style-scale",
        type=float,
        help="below 1 for finer strokes, above for coarser ones (default: 1)",
    )
    gatys.add_argument(
        "--mask",
        nargs="+",
        type=pathlib.Path,
        help="a picture for each style, white where it belongs",
    )
    gatys.add_argument(
        "--work-dir",
        type=pathlib.Path,
        help="keeps the picture at every size; an interrupted painting goes on from there",
    )
    gatys.add_argument("--seed", type=natural, default=0, help="of --init noise (default: 0)")

    benchmark = command(
        "benchmark", benchmark_presets, "how fast presets train and make images on this machine"
    )
    text = "presets, and section.field=value for all of them (default: one preset of every model)"
    benchmark.add_argument("words", nargs="*", metavar="PRESET", help=text)
    benchmark.add_argument(
        "--seconds",
        type=positive,
        default=20,
        help="of measuring a preset, besides building it (default: 20)",
    )
    benchmark.add_argument(
        "--json", action="store_true", help="one JSON object on stdout, in place of the table"
    )

    demo = command(
        "demo",
        show_demo,
        "a page in the browser to play with the trained presets (needs the extra demo)",
    )
    demo.add_argument(
        "--host",
        default="127.0.0.1",
        help="0.0.0.0 to be seen by other machines (default: 127.0.0.1)",
    )
    demo.add_argument("--port", type=positive, default=7860, help="default: 7860")

    report = command(
        "report",
        report_run,
        "one HTML page about a run: pictures over time, curves, configuration, scores",
    )
    report.add_argument("source", metavar="RUN", type=pathlib.Path, help="a run directory")
    report.add_argument("-o", "--output", type=pathlib.Path, help="default: RUN/report.html")
    report.add_argument("--json", action="store_true", help="one JSON object on stdout")

    torch = command(
        "import-torch",
        import_torch,
        "take generator weights of the authors' PyTorch code (needs the extra torch)",
    )
    torch.add_argument("checkpoint", type=pathlib.Path, help="a .pth file, e.g. latest_net_G.pth")
    torch.add_argument(
        "overrides",
        nargs="*",
        metavar="model.field=value",
        help="what the network has other than the preset",
    )
    torch.add_argument(
        "--preset", required=True, help="a Pix2Pix or CycleGAN preset with the network's form"
    )
    torch.add_argument(
        "--direction",
        choices=("xy", "yx"),
        default="xy",
        help="CycleGAN: which of the two generators (default: xy)",
    )
    torch.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        required=True,
        metavar="RUN",
        help="the run directory to make",
    )
    torch.add_argument("--json", action="store_true", help="one JSON object on stdout")

    export = command("export", export_run, "export a run as a SavedModel with a model card")
    export.add_argument("source", metavar="RUN", type=pathlib.Path, help="a run directory")
    export.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        help="default: RUN/saved_model, or RUN/model.tflite and so on",
    )
    export.add_argument(
        "--format",
        choices=("saved_model", "tflite", "onnx"),
        default="saved_model",
        help="onnx needs the extra onnx",
    )
    export.add_argument(
        "--size",
        type=size,
        metavar="HxW",
        help="of translations in tflite (default: image_size) or onnx (default: any)",
    )
    export.add_argument(
        "--direction",
        choices=("xy", "yx"),
        default="xy",
        help="of translations in onnx (default: xy)",
    )
    export.add_argument(
        "--compact",
        action="store_true",
        help="a SavedModel with weights of float16, in half the space",
    )
    export.add_argument("--json", action="store_true", help="one JSON object on stdout")

    data = commands.add_parser("data", help="prepare or check data").add_subparsers(
        metavar="COMMAND", required=True
    )
    prepare = command(
        "prepare",
        prepare_data,
        "prepare a data set for tensorflow-datasets from files that you have",
        parent=data,
    )
    prepare.add_argument("name", help="mnist, fashion_mnist or cifar10")
    prepare.add_argument(
        "--from",
        dest="source",
        type=pathlib.Path,
        required=True,
        metavar="DIR",
        help="the folder with the original files",
    )
    prepare.add_argument(
        "--data-dir",
        default="",
        help="where prepared data goes (default: that of tensorflow-datasets)",
    )
    check = command(
        "check",
        check_data,
        "look over a folder of pictures: unreadable files, duplicates, sizes, counts",
        parent=data,
    )
    check.add_argument("folder", type=pathlib.Path)
    check.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return top


def seed_and_output(command, default, more=""):
    command.add_argument(
        "--seed", type=natural, default=0, help="another seed, other images (default: 0)"
    )
    command.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        default=pathlib.Path(default),
        help=f"default: {default}{more}",
    )
    command.add_argument("--json", action="store_true", help="one JSON object on stdout")


def labels(text):
    """`0-9`, `3,8` or `1-3,7` as a list of integers."""
    found = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not (last.isdigit() and int(first) <= int(last))):
            raise argparse.ArgumentTypeError(
                f"must be classes such as 0-9 or 3,8, received {text!r}"
            )
        found.extend(range(int(first), int(last or first) + 1))
    return found


def numbers(text):
    """`3,1` as a list of numbers."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be numbers such as 3,1, received {text!r}"
        ) from None


def size(text):
    """`128x256` as (128, 256), height first."""
    height, x, width = text.partition("x")
    if not (x and height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(
            f"must be height x width such as 128x256, received {text!r}"
        )
    return int(height), int(width)


def at_least(minimum):
    def parse(text):
        if not text.isdigit() or int(text) < minimum:
            raise argparse.ArgumentTypeError(
                f"must be a whole number of at least {minimum}, received {text!r}"
            )
        return int(text)

    return parse


natural, positive = at_least(0), at_least(1)


def list_presets(options):
    rows = [
        {
            "preset": name,
            "model": preset["kind"],
            "dataset": preset["data"].get("dataset", "-"),
            "image_size": preset["model"]["image_size"],
            "channels": channels_of(preset["model"]),
            "parameters": sum(preset["parameters"].values()),
            "trained": hub.pretrained_folder(name) is not None,
        }
        for name, preset in presets.PRESETS.items()
    ]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'preset':<28}{'model':<10}{'data set':<24}{'size':<16}{'parameters':>12}  trained")
    for row in rows:
        size = "{image_size}x{image_size}x{channels}".format(**row)
        trained = "yes" if row["trained"] else "no"
        print(
            f"{row['preset']:<28}{row['model']:<10}{row['dataset']:<24}{size:<16}{row['parameters']:>12,}  {trained}"
        )


def channels_of(model):
    """1, 3, or for translation "3 to 1"."""
    return (
        model["channels"]
        if "channels" in model
        else f"{model.get('x_channels', 3)} to {model.get('y_channels', 3)}"
    )


def show_preset(options):
    check_choice(
        "preset", options.preset, presets.PRESETS
    )  # before the seconds that TensorFlow takes to start
    start_tensorflow()
    print(presets.experiment(options.preset, *options.overrides).to_json())


def train_preset(options):
    if not os.path.isdir(options.preset):
        check_choice(
            "preset", options.preset, presets.PRESETS
        )  # before the seconds that TensorFlow takes to start
    elif options.run_dir:
        raise UserError(
            f"a run directory goes on where it is, received --run-dir {options.run_dir}"
        )
    start_tensorflow()
    from tfgan_zoo.training.prepare import describe
    from tfgan_zoo.training.train import summary, train

    if options.dry_run:
        description = describe(options.preset, *options.overrides)
        print(json.dumps(description, indent=2))
        return
    result = train(options.preset, *options.overrides, run_dir=options.run_dir)
    if options.json:
        print(json.dumps(result))
    elif "metrics" in result:  # the chief
        print(summary(result))


def check_output(output):
    if output.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"):
        raise UserError(
            f"the output must be an image file such as samples.png, received -o {output}"
        )
    if not output.absolute().parent.is_dir():
        raise UserError(f"the folder of the output does not exist, received -o {output}")


def report_images(options, images, **more):
    if options.json:
        result = {
            "output": str(options.output),
            "n": len(images),
            "seed": options.seed,
            **more,
            "shape": list(images.shape),
        }
        print(json.dumps(result))
    else:
        print(f"{len(images)} images in {options.output}")


def sample_images(options):
    check_output(options.output)
    classes = options.labels
    n = options.n or (8 * len(classes) if classes else 64)
    if classes and n % len(classes):
        raise UserError(
            f"-n must be a multiple of the {len(classes)} labels, so that each has a row, received -n {n}"
        )
    start_tensorflow()
    from tfgan_zoo.saving.exported import load_for_task
    from tfgan_zoo.visualize import save_grid

    columns = n // len(classes) if classes else 0
    rows = [label for label in classes for _ in range(columns)] if classes else None
    images = load_for_task("generate", options.source).sample(n, seed=options.seed, labels=rows)
    save_grid(images, options.output, columns)
    report_images(options, images, **({"labels": classes} if classes else {}))


def interpolate_images(options):
    check_output(options.output)
    start_tensorflow()
    from tfgan_zoo.inference.latent_walk import latent_walk
    from tfgan_zoo.saving.exported import load_for_task
    from tfgan_zoo.visualize import save_grid, save_interpolation

    images = latent_walk(
        load_for_task("generate", options.source),
        options.path,
        options.rows,
        options.steps,
        options.seed,
        options.labels,
    )
    save = save_interpolation if options.output.suffix.lower() == ".gif" else save_grid
    save(images, options.output, options.steps)
    report_images(
        options,
        images,
        path="labels" if options.labels and len(options.labels) == 2 else options.path,
    )


def reconstruct_images(options):
    check_output(options.output)
    start_tensorflow()
    from tfgan_zoo.inference.latent_walk import check_encoder, reconstruct, reconstruction_images
    from tfgan_zoo.saving.exported import load
    from tfgan_zoo.visualize import save_grid

    model = load(options.source)
    check_encoder(model)
    if options.labels and not options.images:
        raise UserError("--labels says the classes of image files; those of the data set are known")
    overrides = [f"data.path={options.data_dir}"] if options.data_dir else []
    images, known = reconstruction_images(
        options.source, model, options.images, options.n, options.seed, overrides
    )
    if model.classes and known is None and not options.labels:
        raise UserError(
            "this model is conditional: say the classes of the image files with --labels"
        )
    columns = min(len(images), 16)
    both = reconstruct(model, images, options.labels if known is None else known, columns)
    save_grid(both, options.output, columns)
    report_images(options, images)


def evaluate_model(options):
    start_tensorflow()
    from tfgan_zoo.evaluation import evaluate, results_folder
    from tfgan_zoo.metrics.score import format_table

    result = evaluate(
        options.source,
        *options.overrides,
        metrics=options.metrics,
        samples=options.samples,
        seed=options.seed,
        network=options.features,
        importance_samples=options.importance_samples,
        output=options.output,
    )
    for warning in result["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    where = results_folder(options.source, options.output)
    print(
        json.dumps(result, indent=2)
        if options.json
        else f"{format_table(result)}\nstored with all details in {where}"
    )


def translate_images(options):
    start_tensorflow()
    from tfgan_zoo.inference.translate import translate
    from tfgan_zoo.saving.exported import load_for_task

    model = load_for_task("translate", options.source)
    overlap = options.tile // 8 if options.overlap is None else options.overlap
    names = ("direction", "seed", "tile", "compare", "overwrite")
    result = translate(
        model,
        options.images,
        options.output,
        progress=counted,
        overlap=overlap,
        **{name: getattr(options, name) for name in names},
    )
    finish_pictures(options, result, "translated")


def counted(done, all_of_them, path):
    """Says on a terminal which picture is at work."""
    if sys.stderr.isatty():
        print(f"\r\033[K{done}/{all_of_them} {path}", end="", file=sys.stderr, flush=True)


def finish_pictures(options, result, verb):
    """Says what became of many pictures."""
    print("\r\033[K" if sys.stderr.isatty() else "", end="", file=sys.stderr)
    for each in result["failed"]:
        print(f"warning: {each['input']} was not {verb} ({each['error']})", file=sys.stderr)
    count = len(result[verb])
    print(
        json.dumps(result)
        if options.json
        else f"{count} picture{'' if count == 1 else 's'} {verb} into {options.output}"
    )
    if not count:
        raise UserError(f"no picture could be {verb}")


def stylize_images(options):
    optimises = presets.PRESETS.get(options.preset, {}).get("kind") == "StyleTransfer"
    if optimises and not options.style:
        raise UserError(NO_STYLE)
    start_tensorflow()
    from tfgan_zoo.data.builtin_images import load_style_image
    from tfgan_zoo.evaluation.style import StyleComparison
    from tfgan_zoo.inference.stylize import stylize

    styles = [load_style_image(name) for name in options.style]
    painter = optimiser(options, styles) if optimises else trained_painter(options, styles)
    if options.scores and not styles:
        raise UserError(
            "--scores needs the style to compare with, but a network of one style takes none: use tfgan-zoo evaluate"
        )
    judge = StyleComparison(styles[0]) if options.scores else None
    result = stylize(
        painter,
        options.contents,
        options.output,
        options.size,
        options.colors,
        options.overwrite,
        counted,
        judge,
    )
    for each in result["stylized"] if judge and not options.json else ():
        for way, found in each["scores"].items():
            print(
                f"{each['input']}  {way:<14}"
                + "  ".join(f"{name} {value:.4f}" for name, value in found.items())
            )
    finish_pictures(options, result, "stylized")
    if any(not each.get("finished", True) for each in result["stylized"]):
        raise KeyboardInterrupt


NO_STYLE = "which style? Add --style and a picture, or mosaic, strokes or hatching"
GATYS = (
    "features",
    "content_weight",
    "style_weight",
    "variation_weight",
    "iterations",
    "optimizer",
    "pooling",
    "init",
)


def trained_painter(options, styles):
    """The painter of `stylize` with a trained model."""
    from tfgan_zoo.inference.stylize import network_stylizer
    from tfgan_zoo.saving.exported import load_for_task

    given = [
        name
        for name in (*GATYS, "mask", "work_dir", "style_scale")
        if getattr(options, name) is not None
    ]
    if given:
        raise UserError(
            f"--{given[0].replace('_', '-')} is for --preset gatys, received --preset {options.preset}"
        )
    model = load_for_task("stylize", options.preset)
    more = {
        name: getattr(options, name)
        for name in ("alpha", "style_weights")
        if getattr(options, name) is not None
    }
    if model.takes_styles and not styles:
        raise UserError(NO_STYLE)
    if not model.takes_styles and options.colors not in ("style", "keep"):
        raise UserError(
            f"{options.preset} has learnt one style, in its own colours: --colors style or keep, received {options.colors}"
        )
    if not model.takes_styles and (styles or more):
        raise UserError(
            f"{options.preset} has learnt one style: --style, --style-weights and --alpha are for others"
        )
    return network_stylizer(model, styles, options.tile, **more)


def optimiser(options, styles):
    """The painter of `stylize --preset gatys`."""
    from tfgan_zoo.inference.stylize import gatys_stylizer

    if options.alpha is not None:
        raise UserError(
            "--alpha is for adain presets; by optimisation --content-weight and --style-weight do the same"
        )
    given = {name: getattr(options, name) for name in GATYS if getattr(options, name) is not None}
    config = dataclasses.replace(presets.experiment(options.preset).model, **given)
    if config.features == "random":
        text = "looking through random weights; --features small, which comes with the package, or imagenet see more of a style"
        print(text, file=sys.stderr)
    masks = [mask(path) for path in options.mask] if options.mask else None

    def progress(size, iterations, iteration, losses):
        told = "  ".join(f"{name} {value:.4g}" for name, value in losses.items() if name != "image")
        line = f"{size[1]}x{size[0]}  {iteration}/{iterations}  {told}"
        if sys.stderr.isatty():
            print(
                f"\r\033[K{line}",
                end="\n" if iteration == iterations else "",
                file=sys.stderr,
                flush=True,
            )
        elif iteration == iterations:
            print(line, file=sys.stderr, flush=True)

    return gatys_stylizer(
        styles,
        config,
        say=lambda line: print(f"\r\033[K{line}" if sys.stderr.isatty() else line, file=sys.stderr),
        progress=progress,
        style_weights=options.style_weights,
        style_scale=options.style_scale or 1.0,
        masks=masks,
        tile=options.tile,
        seed=options.seed,
        folder=options.work_dir,
    )


def mask(path):
    """The brightness of a picture: uint8 (h, w)."""
    from tfgan_zoo.data import image_folder

    try:
        return image_folder.to_8_bits(image_folder.read_image(path, 1))[..., 0]
    except image_folder.UNREADABLE as error:
        raise UserError(
            f"a mask must be a picture, received --mask {path} ({first_line(error)})"
        ) from None


def report_run(options):
    start_tensorflow()
    from tfgan_zoo.tools.report import write_report

    page = write_report(options.source, options.output)
    print(json.dumps({"report": str(page)}) if options.json else f"report in {page}")


def benchmark_presets(options):
    names, overrides = (
        [word for word in options.words if ("=" in word) == wanted] for wanted in (False, True)
    )
    for name in names:
        check_choice(
            "preset", name, presets.PRESETS
        )  # before the seconds that TensorFlow takes to start
    start_tensorflow()
    from tfgan_zoo.tools import benchmark

    tell = (lambda line: None) if options.json else functools.partial(print, flush=True)
    result = benchmark.benchmark(names, overrides, options.seconds, tell, start_tensorflow)
    if options.json:
        print(json.dumps(result))
    failed = [row["preset"] for row in result["presets"] if "error" in row]
    if failed:
        raise RuntimeError(f"{', '.join(failed)} could not be measured")


def show_demo(options):
    start_tensorflow()
    from tfgan_zoo.tools import demo

    page, address = demo.serve(options.host, options.port)
    print(f"{address} until Ctrl-C", file=sys.stderr)
    page.block_thread()


def import_torch(options):
    check_choice("preset", options.preset, presets.PRESETS)
    start_tensorflow()
    from tfgan_zoo.saving import torch_weights

    run = torch_weights.import_torch(
        options.checkpoint,
        presets.experiment(options.preset, *options.overrides),
        options.output,
        options.direction,
    )
    print(
        json.dumps({"run_dir": str(run)})
        if options.json
        else f"imported the generator {options.direction} into {run}: try tfgan-zoo translate {run} IMAGE -o OUT"
    )


def check_data(options):
    start_tensorflow()  # the data layer is built on it
    from tfgan_zoo.data import check

    result = check.check_folder(options.folder)
    print(json.dumps(result, indent=2) if options.json else check.summary(result))


def export_run(options):
    start_tensorflow()
    from tfgan_zoo.saving.export_file import export_file
    from tfgan_zoo.saving.saved_model import export

    if options.format == "saved_model":
        if options.size:
            raise UserError("a SavedModel takes images of any size: --size is for tflite and onnx")
        path = export(options.source, options.output, compact=options.compact)
    elif options.compact:
        raise UserError("--compact is for SavedModels")
    else:
        output = options.output or options.source / f"model.{options.format}"
        path = export_file(options.source, output, options.format, options.size, options.direction)
    what = "SavedModel with model card" if options.format == "saved_model" else options.format
    print(json.dumps({options.format: str(path)}) if options.json else f"{what} in {path}")


def prepare_data(options):
    start_tensorflow()
    from tfgan_zoo.data import tfds

    print(tfds.prepare(options.name, options.source, options.data_dir))
