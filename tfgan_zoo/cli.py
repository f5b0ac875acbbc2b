"""Command line of tfgan_zoo.

Each subcommand is a pair of functions: `add_<name>_arguments` declares its arguments and
`run_<name>` executes it. `COMMANDS` at the end of the file lists all of them.

Results go to stdout. Progress, warnings and errors go to stderr. TensorFlow takes
seconds to import, so a subcommand first checks what it can without it, and imports it inside its
`run_` function.
"""

import argparse
import contextlib
import dataclasses
import errno
import functools
import json
import logging
import math
import os
import pathlib
import sys
import warnings

from tfgan_zoo import __version__, presets
from tfgan_zoo.config import LATENT_PATHS
from tfgan_zoo.errors import (
    MAX_FLOAT,
    MAX_SEED,
    FailureError,
    UserError,
    check_choice,
    first_line,
    printable,
    shell_command,
)
from tfgan_zoo.files import check_output_files
from tfgan_zoo.quiet import start_tensorflow
from tfgan_zoo.saving import hub

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")
SOURCE_HELP = "a run directory, a SavedModel, a .keras file or the name of a pretrained preset"
IMAGES_HELP = "image files, folders (searched recursively) or patterns such as 'a/*.jpg'"
TILE_HELP = "process larger images in overlapping tiles of this many pixels; 0: never"


def main(arguments=None):
    """Run one command.

    Args:
        arguments: list of strings, default `sys.argv[1:]`.

    Returns:
        The exit code: 0 for success, 1 for a failure, 2 for wrong usage, 130 after Ctrl-C.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    warnings.filterwarnings("ignore", module="PIL")  # of odd metadata, with lines of source
    if hasattr(sys.stdout, "reconfigure"):  # a pipe on Windows cannot hold every file name
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        options = build_parser().parse_args(arguments)
        options.run(options)
    except UserError as error:
        return print_error(error, 2)
    except FailureError as error:
        return print_error(error, 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the process that read our output has ended, for example `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("TFGAN_ZOO_TRACEBACK"):
            raise
        # The class is compared by name because importing its module would import TensorFlow.
        if type(error).__name__ == "UnhealthyError":
            return print_error(error, 1)
        if isinstance(error, OSError) and error.filename and error.strerror:
            return print_error(f"{error.filename} cannot be used: {error.strerror}", 1)
        if os.strerror(errno.ENOSPC) in str(error):  # also errors of TensorFlow
            return print_error(f"the disk is full ({first_line(error)})", 1)
        hint = "set TFGAN_ZOO_TRACEBACK=1 to see the traceback"
        return print_error(f"{type(error).__name__}: {error} ({hint})", 1)
    return 0


def build_parser():
    """Return the parser of the command with all of its subcommands."""
    parser = OneLineErrorParser(
        prog="tfgan-zoo",
        description="Train, sample, evaluate and export classic image-generating networks.",
    )
    parser.add_argument("--version", action="version", version=f"tfgan-zoo {__version__}")
    add_subcommands(parser, COMMANDS)
    return parser


def add_subcommands(parser, commands):
    """Add subcommands {name: (summary, add_arguments, run)}; `run` is None for a group."""
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (summary, add_arguments, run) in commands.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        add_arguments(subparser)
        if run:
            subparser.set_defaults(run=run)


class OneLineErrorParser(argparse.ArgumentParser):
    """ArgumentParser that reports an error in one line, and takes arguments after options.

    A list of arguments (`nargs="*"` or `"+"`) usually ends at the next option. Here the arguments
    after the option are appended to it. `parse_intermixed_args` does not support subcommands.
    """

    list_name = None  # destination of the list of arguments

    def add_argument(self, *names, **options):
        action = super().add_argument(*names, **options)
        if action.nargs in ("*", "+") and not action.option_strings:
            self.list_name = action.dest
        return action

    def parse_known_args(self, args=None, namespace=None):
        options, extras = super().parse_known_args(args, namespace)
        end = extras.index("--") if "--" in extras else len(extras)
        unknown = [extra for extra in extras[:end] if extra.startswith("-")]
        extras = extras[:end] + extras[end + 1 :]
        if unknown or not self.list_name:
            return options, unknown or extras
        setattr(options, self.list_name, [*getattr(options, self.list_name), *extras])
        return options, []

    def error(self, message):
        self.exit(print_error(f"{message} (see {self.prog} --help)", 2))


# --- list ---


def add_list_arguments(parser):
    add_json_argument(parser, "print one JSON array")


def run_list(options):
    rows = [
        {
            "preset": name,
            "model": preset["kind"],
            "dataset": preset["data"].get("dataset", "-"),
            "image_size": preset["model"]["image_size"],
            "channels": format_channels(preset["model"]),
            "parameters": sum(preset["parameters"].values()),
            "trained": hub.pretrained_folder(name) is not None,
        }
        for name, preset in presets.PRESETS.items()
    ]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print_table(
        ["preset", "model", "dataset", "size", "parameters", "pretrained"],
        [
            [
                row["preset"],
                row["model"],
                row["dataset"],
                "{image_size}x{image_size}x{channels}".format(**row),
                f"{row['parameters']:,}",
                "yes" if row["trained"] else "no",
            ]
            for row in rows
        ],
        right_aligned=["parameters"],
    )


def format_channels(model):
    """Return the number of channels, or if input and output differ a text such as "3to1"."""
    if "channels" in model:
        return model["channels"]
    x, y = model.get("x_channels", 3), model.get("y_channels", 3)
    return x if x == y else f"{x}to{y}"


# --- show ---


def add_show_arguments(parser):
    parser.add_argument("preset", metavar="PRESET", help="name of a preset (see tfgan-zoo list)")
    add_overrides_argument(parser, "SECTION.FIELD=VALUE", "changed fields")


def run_show(options):
    check_choice("preset", options.preset, presets.PRESETS)
    start_tensorflow()
    print(presets.experiment(options.preset, *options.overrides).to_json())


# --- train ---


def add_train_arguments(parser):
    parser.add_argument(
        "preset", metavar="PRESET", help="name of a preset (see tfgan-zoo list), or a run directory"
    )
    add_overrides_argument(
        parser, "SECTION.FIELD=VALUE", "changed fields of model, data or train (see tfgan-zoo show)"
    )
    parser.add_argument(
        "--run-dir",
        type=pathlib.Path,
        help="run directory to write; a run that is already there is resumed "
        "(default: runs/PRESET)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print experiment, data, steps and parameter counts; train and write nothing",
    )
    add_json_argument(parser)


def run_train(options):
    if not os.path.isdir(options.preset):
        check_choice("preset", options.preset, presets.PRESETS)
    elif options.run_dir:
        raise UserError(
            "--run-dir must be omitted when a run directory is resumed, "
            f"got --run-dir {options.run_dir}"
        )
    start_tensorflow()
    from tfgan_zoo.training.prepare import describe
    from tfgan_zoo.training.train import summary, train

    if options.dry_run:
        print(json.dumps(describe(options.preset, *options.overrides), indent=2))
        return
    result = train(options.preset, *options.overrides, run_dir=options.run_dir)
    if options.json:
        print(json.dumps(result))
    elif "metrics" in result:  # only the chief worker has metrics
        print(summary(result))


# --- sample ---


def add_sample_arguments(parser):
    parser.add_argument("source", metavar="SOURCE", help=SOURCE_HELP)
    parser.add_argument(
        "-n",
        type=number(1, 10_000),
        metavar="COUNT",
        help="number of images (default: 64; with --labels 8 per label)",
    )
    parser.add_argument(
        "--labels",
        type=class_labels,
        help="classes of a conditional model, by name or number, such as cats,dogs or 0-9; "
        "one row each",
    )
    add_seed_argument(parser)
    add_image_output_argument(parser, "samples.png")
    add_json_argument(parser)


def run_sample(options):
    check_image_output(options)
    labels = options.labels
    count = options.n or (8 * len(labels) if labels else 64)
    if labels and count % len(labels):
        raise UserError(
            f"-n must be a multiple of the {len(labels)} labels (one row each), got -n {count}"
        )
    start_tensorflow()
    from tfgan_zoo.models.latent import class_numbers
    from tfgan_zoo.saving.exported import load_for_task
    from tfgan_zoo.visualize import save_grid

    columns = count // len(labels) if labels else 0
    model = load_for_task("generate", options.source)
    labels = class_numbers(labels, model.class_names)
    image_labels = [label for label in labels for _ in range(columns)] if labels else None
    images = model.sample(count, seed=options.seed, labels=image_labels)
    save_grid(images, options.output, columns)
    print_images(options, images, **({"labels": labels} if labels else {}))


# --- interpolate ---


def add_interpolate_arguments(parser):
    parser.add_argument("source", metavar="SOURCE", help=SOURCE_HELP)
    parser.add_argument(
        "--path",
        choices=LATENT_PATHS,
        default="spherical",
        help="spherical or linear: from one random code to another; traversal: along single "
        "latent dimensions; manifold: grid over a 2-D latent space (default: spherical)",
    )
    parser.add_argument(
        "--labels",
        type=class_labels,
        help="one class of a conditional model, by name or number, or two to interpolate between",
    )
    parser.add_argument(
        "--rows", type=number(1, 100), default=8, help="number of interpolations (default: 8)"
    )
    parser.add_argument(
        "--steps", type=number(1, 1000), default=10, help="images per interpolation (default: 10)"
    )
    add_seed_argument(parser)
    add_image_output_argument(parser, "interpolation.png", "; .gif writes an animation")
    add_json_argument(parser)


def run_interpolate(options):
    check_image_output(options)
    start_tensorflow()
    from tfgan_zoo.inference.latent_walk import latent_walk
    from tfgan_zoo.saving.exported import load_for_task
    from tfgan_zoo.visualize import save_grid, save_interpolation

    model = load_for_task("generate", options.source)
    images = latent_walk(
        model, options.path, options.rows, options.steps, options.seed, options.labels
    )
    save = save_interpolation if options.output.suffix.lower() == ".gif" else save_grid
    save(images, options.output, options.steps)
    path = "labels" if options.labels and len(options.labels) == 2 else options.path
    print_images(options, images, path=path)


# --- reconstruct ---


def add_reconstruct_arguments(parser):
    parser.add_argument("source", metavar="SOURCE", help=f"an autoencoder: {SOURCE_HELP}")
    parser.add_argument(
        "images",
        nargs="*",
        default=[],
        metavar="IMAGE",
        help="image files (default: images of the training dataset)",
    )
    parser.add_argument(
        "-n",
        type=number(1, 10_000),
        metavar="COUNT",
        default=32,
        help="number of images from the dataset (default: 32)",
    )
    parser.add_argument(
        "--labels",
        type=class_labels,
        help="classes of the image files, by name or number, for a conditional model",
    )
    parser.add_argument(
        "--data-dir",
        default="",
        help="location of the dataset (default: data.path of the experiment)",
    )
    add_seed_argument(parser)
    add_image_output_argument(parser, "reconstructions.png")
    add_json_argument(parser)


def run_reconstruct(options):
    check_image_output(options)
    if options.labels and not options.images:
        labels = ",".join(options.labels)
        raise UserError(
            f"--labels is for image files, got --labels {labels} without image files. "
            "Leave it out: the images of the dataset have labels."
        )
    start_tensorflow()
    from tfgan_zoo.inference.latent_walk import (
        check_encoder,
        reconstruction_grid,
        reconstruction_images,
    )
    from tfgan_zoo.saving.exported import load
    from tfgan_zoo.visualize import save_grid

    model = load(options.source)
    check_encoder(model, options.source)
    overrides = [f"data.path={options.data_dir}"] if options.data_dir else []
    images, dataset_labels = reconstruction_images(
        options.source, model, options.images, options.n, options.seed, overrides
    )
    labels = options.labels if dataset_labels is None else dataset_labels
    if model.classes and labels is None:
        raise UserError(
            f"a conditional model needs the classes of the image files, got {options.source} "
            "without --labels. Add --labels, such as 3,8."
        )
    columns = min(len(images), 16)
    save_grid(reconstruction_grid(model, images, labels, columns), options.output, columns)
    print_images(options, images)


# --- evaluate ---


def add_evaluate_arguments(parser):
    parser.add_argument("source", metavar="SOURCE", help=SOURCE_HELP)
    add_overrides_argument(
        parser, "data.FIELD=VALUE", "reference data (default: the training dataset)"
    )
    parser.add_argument(
        "--metrics",
        type=lambda text: text.split(","),
        help="comma-separated metrics (default: all that apply to the model)",
    )
    parser.add_argument(
        "--samples",
        type=number(1, 10**6),
        default=10_000,
        help="number of generated images; for translation and stylization, the maximum number "
        "of test images (default: 10000)",
    )
    parser.add_argument(
        "--features",
        default="auto",
        help="feature extractor. Generation: digits, inception or a Keras model (default: digits "
        "for datasets of digits, otherwise inception). Stylization: random, small, imagenet or a "
        "file (default: that of the model)",
    )
    parser.add_argument(
        "--importance-samples",
        type=number(1, 10**6),
        default=200,
        help="importance samples per image for the likelihood (default: 200)",
    )
    add_seed_argument(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        help="folder for the scores (default: RUN/evaluation, or evaluation/NAME)",
    )
    add_json_argument(parser)


def run_evaluate(options):
    start_tensorflow()
    from tfgan_zoo.evaluation import evaluate, results_folder
    from tfgan_zoo.metrics.score import format_scores

    result = evaluate(
        options.source,
        *options.overrides,
        metrics=options.metrics,
        samples=options.samples,
        seed=options.seed,
        features=options.features,
        importance_samples=options.importance_samples,
        output=options.output,
    )
    for warning in result["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    if options.json:
        print(json.dumps(result, indent=2))
        return
    folder = results_folder(options.source, options.output)
    print(f"{format_scores(result)}\nall details: {folder}")


# --- translate ---


def add_translate_arguments(parser):
    parser.add_argument("source", metavar="SOURCE", help=SOURCE_HELP)
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help=f"{IMAGES_HELP}; also .npy arrays"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        required=True,
        help="folder to write to (file names are kept), or a file name for one image",
    )
    parser.add_argument(
        "--direction",
        choices=("xy", "yx"),
        default="xy",
        help="yx: the inverse mapping of a CycleGAN (default: xy)",
    )
    add_seed_argument(parser, "random seed of a model with dropout at test time")
    add_tile_argument(parser)
    parser.add_argument(
        "--overlap",
        type=number(0, 2**16),
        help="pixels over which adjacent tiles are blended (default: an eighth of a tile)",
    )
    parser.add_argument("--compare", action="store_true", help="write input and output in one file")
    add_overwrite_argument(parser)
    add_json_argument(parser)


def run_translate(options):
    start_tensorflow()
    from tfgan_zoo.inference.translate import translate
    from tfgan_zoo.saving.exported import load_for_task

    model = load_for_task("translate", options.source)
    with ImageProgress() as progress:
        result = translate(
            model,
            options.images,
            options.output,
            direction=options.direction,
            seed=options.seed,
            tile=options.tile,
            overlap=options.tile // 8 if options.overlap is None else options.overlap,
            compare=options.compare,
            overwrite=options.overwrite,
            progress=progress.show_image,
        )
    print_image_files(options, result, "translated")


# --- stylize ---

# Fields of StyleTransferConfig that are options of `stylize --preset gatys`.
GATYS_FIELDS = (
    "features",
    "content_weight",
    "style_weight",
    "variation_weight",
    "iterations",
    "optimizer",
    "pooling",
    "init",
)
GATYS_OPTIONS = (*GATYS_FIELDS, "mask", "work_dir", "style_scale")
MISSING_STYLE = "a style is needed: add --style and an image file, or mosaic, strokes or hatching"


def add_stylize_arguments(parser):
    parser.add_argument(
        "contents",
        nargs="*",
        default=[],
        metavar="CONTENT",
        help=f"{IMAGES_HELP}, or a built-in photograph: china, flower",
    )
    parser.add_argument(
        "--style",
        nargs="+",
        default=[],
        help="image files, or built-in styles: mosaic, strokes, hatching. If no CONTENT is given, "
        "the last of several files is the CONTENT",
    )
    parser.add_argument(
        "--preset",
        default="gatys",
        help="gatys (optimizes each image), or a trained fast_... or adain_... model: "
        f"{SOURCE_HELP} (default: gatys)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("stylized.png"),
        help="image file, or folder (default: stylized.png)",
    )
    parser.add_argument(
        "--size",
        type=number(1, 2**14),
        default=0,
        help="longer side of the result in pixels (default: that of the content image)",
    )
    parser.add_argument(
        "--colors",
        choices=("style", "keep", "match", "histogram"),
        default="style",
        help="style: colors of the style; keep: colors of the content; match, histogram: "
        "recolor the style image to the content first (default: style)",
    )
    parser.add_argument(
        "--style-weights",
        type=float_list,
        help="weight of each style, such as 3,1 (default: equal weights)",
    )
    add_tile_argument(parser)
    add_overwrite_argument(parser)
    add_json_argument(parser)
    parser.add_argument(
        "--alpha",
        type=number(0, 1, float),
        help="AdaIN: style strength from 0 (content) to 1 (full style) (default: 1)",
    )
    parser.add_argument(
        "--scores",
        action="store_true",
        help="print the style and content errors of the result and, as a reference, those of "
        "the style image and the content image",
    )
    gatys = parser.add_argument_group("optimization (--preset gatys)")
    gatys.add_argument(
        "--features",
        help="feature extractor: random, small, imagenet, or the path of a network "
        "(default: small)",
    )
    weight = number(0, MAX_FLOAT, float)
    gatys.add_argument("--content-weight", type=weight, help="weight >= 0 (default: 0.5)")
    gatys.add_argument("--style-weight", type=weight, help="weight >= 0 (default: 10)")
    gatys.add_argument(
        "--variation-weight",
        type=weight,
        help="weight >= 0 of the total variation; larger is smoother (default: 0.5)",
    )
    gatys.add_argument(
        "--iterations",
        type=number(1, 10**6),
        help="iterations at each size; sizes grow by sqrt(2) from 128 pixels (default: 60)",
    )
    gatys.add_argument("--optimizer", choices=("lbfgs", "adam"), help="optimizer (default: lbfgs)")
    gatys.add_argument(
        "--pooling", choices=("average", "max"), help="pooling of the features (default: average)"
    )
    gatys.add_argument(
        "--init", choices=("content", "noise", "style"), help="initial image (default: content)"
    )
    gatys.add_argument(
        "--style-scale",
        type=number(0.05, 20, float),
        help="relative size of the style image; below 1 gives finer strokes (default: 1)",
    )
    gatys.add_argument(
        "--mask",
        nargs="+",
        type=pathlib.Path,
        help="one image file per style, white where the style applies",
    )
    gatys.add_argument(
        "--work-dir",
        type=pathlib.Path,
        help="folder for the result at each size, from which an interrupted command resumes",
    )
    add_seed_argument(gatys, "random seed of --init noise")


def run_stylize(options):
    optimizes = presets.PRESETS.get(options.preset, {}).get("kind") == "StyleTransfer"
    if not options.contents and len(options.style) > 1:  # --style has taken it
        options.contents = [options.style.pop()]
    if not options.contents:
        raise UserError(
            f"a CONTENT image is needed, got --style {' '.join(options.style) or 'without files'}. "
            "Put it before the options: tfgan-zoo stylize CONTENT --style STYLE"
        )
    if optimizes and not options.style:
        raise UserError(MISSING_STYLE)
    start_tensorflow()
    from tfgan_zoo.data.builtin_images import load_style_image
    from tfgan_zoo.evaluation.style import StyleComparison
    from tfgan_zoo.inference.stylize import stylize

    styles = [load_style_image(name) for name in options.style]
    with ImageProgress() as progress:
        if optimizes:
            stylizer = build_gatys_stylizer(options, styles, progress)
        else:
            stylizer = build_network_stylizer(options, styles)
        if options.scores and not styles:
            raise UserError(
                "--scores needs --style, which a model of one style does not take, "
                f"got --preset {options.preset}. Use tfgan-zoo evaluate."
            )
        comparison = StyleComparison(styles[0]) if options.scores else None
        result = stylize(
            stylizer,
            options.contents,
            options.output,
            options.size,
            options.colors,
            options.overwrite,
            progress.show_image,
            comparison,
        )
    if comparison and not options.json:
        for record in result["stylized"]:
            for name, scores in record["scores"].items():
                values = "  ".join(f"{score} {value:.4f}" for score, value in scores.items())
                print(f"{record['input']}  {name:<14}{values}")
    print_image_files(options, result, "stylized")
    if any(not record.get("finished", True) for record in result["stylized"]):
        raise KeyboardInterrupt


def build_network_stylizer(options, styles):
    """Return the stylizer of a trained model, a function for `inference.stylize`."""
    from tfgan_zoo.inference.stylize import network_stylizer
    from tfgan_zoo.saving.exported import load_for_task

    for name in GATYS_OPTIONS:
        if getattr(options, name) is not None:
            raise UserError(
                f"--{name.replace('_', '-')} is for --preset gatys, got --preset {options.preset}"
            )
    model = load_for_task("stylize", options.preset)
    style_options = {
        name: getattr(options, name)
        for name in ("alpha", "style_weights")
        if getattr(options, name) is not None
    }
    if model.takes_styles:
        if not styles:
            raise UserError(MISSING_STYLE)
    elif options.colors not in ("style", "keep"):
        raise UserError(
            f"--colors must be style or keep for {options.preset}, which has one style, "
            f"got {options.colors}"
        )
    elif styles or style_options:
        raise UserError(
            "--style, --style-weights and --alpha are for models of any style, "
            f"got --preset {options.preset}, which has one style"
        )
    return network_stylizer(model, styles, options.tile, **style_options)


def build_gatys_stylizer(options, styles, progress):
    """Return the stylizer that optimizes each image, a function for `inference.stylize`."""
    from tfgan_zoo.inference.stylize import gatys_stylizer

    if options.alpha is not None:
        raise UserError(
            f"--alpha is for adain presets, got --preset {options.preset}: "
            "use --content-weight and --style-weight"
        )
    overrides = {
        name: getattr(options, name) for name in GATYS_FIELDS if getattr(options, name) is not None
    }
    config = dataclasses.replace(presets.experiment(options.preset).model, **overrides)
    if config.features == "random":
        progress.print("random features capture little of a style: try --features small")
    return gatys_stylizer(
        styles,
        config,
        say=progress.print,
        progress=progress.show_iteration,
        style_weights=options.style_weights,
        style_scale=1.0 if options.style_scale is None else options.style_scale,
        masks=[load_mask(path) for path in options.mask] if options.mask else None,
        tile=options.tile,
        seed=options.seed,
        folder=options.work_dir,
    )


def load_mask(path):
    """Return the brightness of an image file: uint8 (height, width)."""
    from tfgan_zoo.data import image_file

    try:
        return image_file.to_8_bits(image_file.read_image(path, 1))[..., 0]
    except image_file.ImageError as error:
        raise UserError(
            f"--mask must be a readable image file, got {path} ({first_line(error)})"
        ) from None


# --- benchmark ---


def add_benchmark_arguments(parser):
    parser.add_argument(
        "words",
        nargs="*",
        default=[],
        metavar="PRESET",
        help="presets, and section.field=value for all of them (default: one preset per model)",
    )
    parser.add_argument(
        "--seconds",
        type=number(1, 86_400),
        default=20,
        help="measuring time per preset, after building the model (default: 20)",
    )
    add_json_argument(parser, "print one JSON object instead of the table")


def run_benchmark(options):
    names = [word for word in options.words if "=" not in word]
    overrides = [word for word in options.words if "=" in word]
    for name in names:
        check_choice("preset", name, presets.PRESETS)
    start_tensorflow()
    from tfgan_zoo.tools import benchmark

    report = (lambda line: None) if options.json else functools.partial(print, flush=True)
    result = benchmark.benchmark(names, overrides, options.seconds, report, start_tensorflow)
    if options.json:
        print(json.dumps(result))
    failed = [row["preset"] for row in result["presets"] if "error" in row]
    if failed:
        raise RuntimeError(f"could not measure {', '.join(failed)}")


# --- demo ---


def add_demo_arguments(parser):
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0: all interfaces (default: 127.0.0.1)",
    )
    parser.add_argument(
        "--port", type=number(1, 65_535), default=7860, help="port to listen on (default: 7860)"
    )


def run_demo(options):
    start_tensorflow()
    from tfgan_zoo.tools import demo

    app, address = demo.serve(options.host, options.port)
    print(f"serving at {address}, press Ctrl-C to stop", file=sys.stderr)
    app.block_thread()


# --- report ---


def add_report_arguments(parser):
    parser.add_argument("source", metavar="RUN", type=pathlib.Path, help="a run directory")
    parser.add_argument(
        "-o", "--output", type=pathlib.Path, help="HTML file (default: RUN/report.html)"
    )
    add_overwrite_argument(parser)
    add_json_argument(parser)


def run_report(options):
    start_tensorflow()
    from tfgan_zoo.tools.report import write_report

    path = write_report(options.source, options.output, options.overwrite)
    print_result(options, {"report": str(path)}, f"report in {path}")


# --- import-torch ---


def add_import_torch_arguments(parser):
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        type=pathlib.Path,
        help="a .pth file, such as latest_net_G.pth",
    )
    add_overrides_argument(
        parser, "model.FIELD=VALUE", "fields in which the network differs from the preset"
    )
    parser.add_argument(
        "--preset",
        required=True,
        help="Pix2Pix or CycleGAN preset with the architecture of the checkpoint",
    )
    parser.add_argument(
        "--direction",
        choices=("xy", "yx"),
        default="xy",
        help="CycleGAN: generator to import (default: xy)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        required=True,
        metavar="RUN",
        help="run directory to write",
    )
    add_json_argument(parser)


def run_import_torch(options):
    check_choice("preset", options.preset, presets.PRESETS)
    start_tensorflow()
    from tfgan_zoo.saving import torch_weights

    experiment = presets.experiment(options.preset, *options.overrides)
    run = torch_weights.import_torch(
        options.checkpoint, experiment, options.output, options.direction
    )
    option = [] if options.direction == "xy" else ["--direction", "yx"]
    use = shell_command("translate", run, "IMAGE", "-o", "OUT", *option)
    text = f"imported generator {options.direction} into {run}; to use it: {use}"
    print_result(options, {"run_dir": str(run)}, text)


# --- export ---


def add_export_arguments(parser):
    parser.add_argument("source", metavar="RUN", type=pathlib.Path, help="a run directory")
    parser.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        help="path to write (default: RUN/saved_model, RUN/model.tflite or RUN/model.onnx)",
    )
    parser.add_argument(
        "--format",
        choices=("saved_model", "tflite", "onnx"),
        default="saved_model",
        help="onnx needs the extra onnx (default: saved_model)",
    )
    parser.add_argument(
        "--size",
        type=height_and_width,
        metavar="HxW",
        help="fixed image size of a translation model in pixels (default: image_size for tflite, "
        "any size for onnx)",
    )
    parser.add_argument(
        "--direction",
        choices=("xy", "yx"),
        default="xy",
        help="direction of a translation model in onnx (default: xy)",
    )
    parser.add_argument(
        "--compact",
        action="store_true",
        help="store the weights of a SavedModel as float16, in half the space",
    )
    add_overwrite_argument(parser)
    add_json_argument(parser)


def run_export(options):
    if options.format == "saved_model" and options.size:
        height, width = options.size
        raise UserError(
            f"--size is for tflite and onnx, got --size {height}x{width} for a SavedModel. "
            "Leave it out: a SavedModel takes images of any size."
        )
    if options.format != "saved_model" and options.compact:
        raise UserError(f"--compact is for SavedModels, got --format {options.format}")
    start_tensorflow()
    from tfgan_zoo.saving.export_file import export_file
    from tfgan_zoo.saving.saved_model import export

    if options.format == "saved_model":
        path = export(options.source, options.output, options.overwrite, options.compact)
        text = f"SavedModel with model card in {path}"
    else:
        output = options.output or options.source / f"model.{options.format}"
        path = export_file(
            options.source,
            output,
            options.format,
            options.size,
            options.direction,
            options.overwrite,
        )
        text = f"{options.format} in {path}"
    print_result(options, {options.format: str(path)}, text)


# --- data ---


def add_data_arguments(parser):
    add_subcommands(parser, DATA_COMMANDS)


def add_prepare_arguments(parser):
    parser.add_argument("name", metavar="NAME", help="mnist, fashion_mnist, cifar10 or emoji")
    parser.add_argument(
        "--from",
        dest="source",
        type=pathlib.Path,
        required=True,
        metavar="DIR",
        help="folder with the original files",
    )
    parser.add_argument(
        "--data-dir",
        default="",
        help="folder for the prepared dataset (default: that of tensorflow-datasets)",
    )


def run_prepare(options):
    start_tensorflow()
    from tfgan_zoo.data import datasets

    print(datasets.prepare(options.name, options.source, options.data_dir))


def add_check_arguments(parser):
    parser.add_argument("folder", metavar="FOLDER", type=pathlib.Path, help="folder of images")
    add_json_argument(parser)


def run_check(options):
    start_tensorflow()
    from tfgan_zoo.data import check

    result = check.check_folder(options.folder)
    print(json.dumps(result, indent=2) if options.json else check.summary(result))


# --- arguments that several subcommands have ---


def add_overrides_argument(parser, metavar, help):
    parser.add_argument("overrides", nargs="*", default=[], metavar=metavar, help=help)


def add_json_argument(parser, help="print one JSON object on stdout"):
    parser.add_argument("--json", action="store_true", help=help)


def add_seed_argument(parser, help="random seed"):
    parser.add_argument(
        "--seed", type=number(0, MAX_SEED), default=0, help=f"{help}, an integer >= 0 (default: 0)"
    )


def add_image_output_argument(parser, default, more=""):
    parser.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        default=pathlib.Path(default),
        help=f"image file to write{more} (default: {default})",
    )
    add_overwrite_argument(parser)


def add_tile_argument(parser):
    parser.add_argument(
        "--tile", type=number(0, 2**16), default=1024, help=f"{TILE_HELP} (default: 1024)"
    )


def add_overwrite_argument(parser):
    parser.add_argument("--overwrite", action="store_true", help="replace existing outputs")


def class_labels(text):
    """Parse `0-9`, `3,8` or `cats,dogs` into a list of class names or numbers, as strings."""
    labels = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        is_range = dash and first.isdecimal() and last.isdecimal()
        if not part or (is_range and int(first) > int(last)):
            raise argparse.ArgumentTypeError(
                f"must be classes such as 0-9 or 3,8 or cats,dogs, got {text!r}"
            )
        if is_range and len(last) > 5:
            raise argparse.ArgumentTypeError(f"must be classes below 100000, got {text!r}")
        numbers = range(int(first), int(last) + 1) if is_range else ()
        labels += [str(i).zfill(len(first)) for i in numbers] or [part]
    return labels


def float_list(text):
    """Parse `3,1` into a list of floats."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be numbers such as 3,1, got {text!r}") from None


def height_and_width(text):
    """Parse `128x256` into (128, 256), height first."""
    height, _, width = text.partition("x")
    side = number(1, 2**12)
    try:
        return side(height), side(width)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"must be HEIGHTxWIDTH such as 128x256, got {text!r} (each {error})"
        ) from None


def number(lower, upper, kind=int):
    """Return a function that parses an int, or a float, between two bounds."""

    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not lower <= value <= upper:
            name = "an integer" if kind is int else "a number"
            raise argparse.ArgumentTypeError(
                f"must be {name} between {lower} and {upper}, got {text!r}"
            )
        return value

    return parse


# --- output ---


def check_image_output(options):
    """Check that a grid of images can be written to `options.output`, before any work is done.

    Raises:
        UserError: the suffix is unknown, the folder does not exist, or the file exists.
    """
    path = options.output
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise UserError(f"-o must be an image file such as samples.png, got {path}")
    if not path.absolute().parent.is_dir():
        raise UserError(f"the folder of -o must exist, got {path}")
    check_output_files([path], options.overwrite)


def print_result(options, record, text):
    """Print `record` as JSON if --json was given, else `text`."""
    print(json.dumps(record) if options.json else text)


def print_images(options, images, **more):
    """Print where a grid of images was written."""
    record = {
        "output": str(options.output),
        "n": len(images),
        "seed": options.seed,
        **more,
        "shape": list(images.shape),
    }
    print_result(options, record, f"{count_of(len(images), 'image')} in {options.output}")


def print_image_files(options, result, verb):
    """Print the result of `translate` or `stylize`.

    Raises:
        FailureError: an image failed.
    """
    failed = result["failed"]
    for failure in failed:
        warning = f"{failure['input']} was not {verb} ({failure['error']})"
        print(f"warning: {printable(warning)}", file=sys.stderr)
    count = len(result[verb])
    print_result(options, result, f"{count_of(count, 'image')} {verb} into {options.output}")
    if failed:
        names = ", ".join(failure["input"] for failure in failed[:5])
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        raise FailureError(
            f"{len(failed)} of {count_of(count + len(failed), 'image')} could not be {verb}: "
            f"{names}{more}"
        )


def count_of(number, noun):
    return f"{number} {noun}{'' if number == 1 else 's'}"


def print_table(columns, rows, right_aligned=()):
    """Print a table: styled on a terminal, else plain text with two spaces between columns."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in columns:
        justify = "right" if column in right_aligned else "left"
        table.add_column(column, justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console(width=200, highlight=False).print(table)  # terminals wrap longer lines themselves


def print_error(error, code):
    """Print an error as one line on stderr and return the exit code."""
    line = printable(" ".join(str(error).split()))
    print(f"tfgan-zoo: error: {line}", file=sys.stderr)
    return code


class ImageProgress(contextlib.ExitStack):
    """Progress bar over image files on stderr. Nothing is drawn without a terminal."""

    def __enter__(self):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        super().__enter__()
        self.console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self.bar = Progress(
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.description}", markup=False),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self.enter_context(self.bar)
        self.images = self.bar.add_task("", total=None)
        self.iterations = self.bar.add_task("", total=None, visible=False)
        return self

    def show_image(self, done, total, path):
        """Show that image number `done` (from 0) of `total` is being processed."""
        self.bar.update(self.images, completed=done, total=total, description=str(path))

    def show_iteration(self, size, total, iteration, losses):
        """Show an iteration of an optimization; print a line after the last one of each size."""
        values = "  ".join(
            f"{name} {value:.4g}" for name, value in losses.items() if name != "image"
        )
        text = f"{size[1]}x{size[0]}  {values}"
        self.bar.update(
            self.iterations,
            completed=iteration,
            total=total,
            description=text,
            visible=iteration < total,
        )
        if iteration == total:
            self.print(f"{size[1]}x{size[0]}  {iteration}/{total}  {values}")

    def print(self, line):
        """Print a line above the progress bar."""
        self.console.print(line)


COMMANDS = {  # name: (summary, arguments, function)
    "list": ("list the presets", add_list_arguments, run_list),
    "show": ("print the experiment of a preset as JSON", add_show_arguments, run_show),
    "train": ("train a preset, or resume a run", add_train_arguments, run_train),
    "sample": ("generate a grid of images", add_sample_arguments, run_sample),
    "interpolate": (
        "interpolate in the latent space, or between classes",
        add_interpolate_arguments,
        run_interpolate,
    ),
    "reconstruct": (
        "encode and decode images with an autoencoder",
        add_reconstruct_arguments,
        run_reconstruct,
    ),
    "evaluate": (
        "compute metrics, with real images or baselines as a reference",
        add_evaluate_arguments,
        run_evaluate,
    ),
    "translate": (
        "translate images of any size with Pix2Pix or CycleGAN",
        add_translate_arguments,
        run_translate,
    ),
    "stylize": (
        "transfer the style of one image to another, by optimization or with a trained network",
        add_stylize_arguments,
        run_stylize,
    ),
    "benchmark": (
        "measure training and inference speed on this machine",
        add_benchmark_arguments,
        run_benchmark,
    ),
    "demo": (
        "serve a demo of the pretrained models in the browser (needs the extra demo)",
        add_demo_arguments,
        run_demo,
    ),
    "report": (
        "write an HTML report of a run: samples, curves, configuration, scores",
        add_report_arguments,
        run_report,
    ),
    "import-torch": (
        "import generator weights of the authors' PyTorch code (needs the extra torch)",
        add_import_torch_arguments,
        run_import_torch,
    ),
    "export": (
        "export a run as a SavedModel with a model card, as TFLite or as ONNX",
        add_export_arguments,
        run_export,
    ),
    "data": ("prepare or check data", add_data_arguments, None),
}
DATA_COMMANDS = {
    "prepare": (
        "prepare a dataset of tensorflow-datasets from its original files",
        add_prepare_arguments,
        run_prepare,
    ),
    "check": (
        "check a folder of images: unreadable files, duplicates, leaks, sizes, counts",
        add_check_arguments,
        run_check,
    ),
}
