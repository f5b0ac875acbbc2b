"""Command line of tfgan_zoo.

Each subcommand is a pair of functions: `add_<name>_arguments` declares its description, examples
and arguments, and `run_<name>` executes it. `COMMANDS` at the end of the file lists all of them.
`build_parser` returns the parser of all commands.

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
import shlex
import shutil
import sys
import tempfile
import textwrap
import warnings

from tfgan_zoo import __version__, fields, presets
from tfgan_zoo.command_parser import (
    CommandParser,
    complete_overrides,
    complete_presets,
    complete_runs,
    complete_sources,
    one_line,
)
from tfgan_zoo.config import LATENT_PATHS
from tfgan_zoo.errors import (
    MAX_FLOAT,
    MAX_SEED,
    FailureError,
    UserError,
    first_line,
    printable,
    shell_command,
)
from tfgan_zoo.files import check_output_files, check_output_folder, check_overwrite
from tfgan_zoo.quiet import start_tensorflow
from tfgan_zoo.saving import hub, hugging_face

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")
SOURCE_HELP = (
    "a run directory, a SavedModel, a .keras file, the name of a pretrained preset or "
    "hf://USER/MODEL"
)
IMAGES_HELP = "image files, folders (searched recursively) or patterns such as 'a/*.jpg'"
PRESET_HELP = "name of a preset (see tfgan-zoo list)"
TILE_HELP = "process larger images in overlapping tiles of this many pixels; 0: never"

DEMO_ADDRESS = ("127.0.0.1", 7860)


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
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks for completions, see run_completion
        import argcomplete

        argcomplete.autocomplete(parser, always_complete_options=False)
    try:
        options = parser.parse_args(arguments)
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


GROUPS = {  # of the commands in the help
    "train": "Train models",
    "use": "Use trained models",
    "inspect": "Inspect presets, runs and speed",
    "data": "Prepare data and weights",
    "shell": "Set up the shell",
}
ENVIRONMENT = {  # environment variables that the package reads: {name: meaning}
    "TFGAN_ZOO_SAVED_MODELS": "folder with pretrained presets, searched before ./saved_models",
    "TFGAN_ZOO_URL": "address (https:// or file://) of a folder with archives of pretrained "
    "presets, which are downloaded once",
    "TFGAN_ZOO_TRACEBACK": "1: print the Python traceback of an unexpected error",
    "TFGAN_ZOO_FAST": "1: run the notebooks with tiny models, as a test",
    "TFDS_DATA_DIR": "folder of prepared datasets (default: ~/tensorflow_datasets)",
    "HF_TOKEN": "token of the Hugging Face Hub, for push and private models",
    "HF_ENDPOINT": "address of the Hugging Face Hub (default: https://huggingface.co)",
    "GRADIO_SERVER_PORT": "port of the program that demo --export-space writes (default: 7860)",
    "KERAS_HOME": "folder of downloaded weights and presets (default: ~/.keras)",
    "TF_CONFIG": "cluster of train.strategy=multiworker, as JSON",
    "TF_NUM_INTRAOP_THREADS": "CPU threads of one operation (default: all cores)",
    "TF_CPP_MIN_LOG_LEVEL": "log messages of TensorFlow: 0 all to 3 none (default: 3)",
    "CUDA_VISIBLE_DEVICES": "GPUs that are used, such as 0,1; -1: none",
    "COLUMNS": "width of help and tables in characters (default: the terminal's)",
}


def build_parser():
    """Return the parser of the command with all of its subcommands."""
    parser = CommandParser(prog="tfgan-zoo", usage="tfgan-zoo [-h] [--version] COMMAND ...")
    parser.add_argument("--version", action="version", version=f"tfgan-zoo {__version__}")
    parser.describe(
        "Train, sample, evaluate and export classic image-generating networks.\n\n"
        + command_overview()
        + "\n\nEvery command has a --help with examples.",
        {
            "Train a model without any download": "tfgan-zoo train dcgan_digits",
            "Generate digits with a pretrained model": "tfgan-zoo sample cgan_mnist --labels 0-9",
        },
    )
    parser.epilog += "\n\nenvironment variables:\n" + format_terms(ENVIRONMENT, 22)
    # `command_overview` lists the commands in groups, which argparse cannot.
    add_subcommands(parser, COMMANDS, help=argparse.SUPPRESS, prog="tfgan-zoo")
    return parser


def add_subcommands(parser, commands, **options):
    """Add subcommands {name: (group, summary, add_arguments, run)}; `run` is None for a group."""
    parser.commands = tuple(commands)
    subparsers = parser.add_subparsers(metavar="COMMAND", **options)
    parser.set_defaults(run=lambda options: print_missing_command(parser))
    for name, (_, summary, add_arguments, run) in commands.items():
        subparser = subparsers.add_parser(name, help=summary)
        add_arguments(subparser)
        if run:
            subparser.set_defaults(run=run)


def print_missing_command(parser):
    """Print the help of a parser on stderr, and exit with code 2."""
    parser.print_help(sys.stderr)
    parser.exit(2)


def command_overview():
    """Return a text with all commands and their summaries, in groups."""
    width = max(map(len, COMMANDS))
    parts = []
    for group, title in GROUPS.items():
        names = [name for name, command in COMMANDS.items() if command[0] == group]
        summaries = {name: COMMANDS[name][1] for name in names}
        parts.append(f"{title}:\n{format_terms(summaries, width)}")
    return "\n\n".join(parts)


def format_terms(terms, width):
    """Return lines with terms, in a column of this width, and their meanings."""
    return "\n".join(f"  {term:<{width}}  {meaning}" for term, meaning in terms.items())


# --- list ---


def add_list_arguments(parser):
    parser.describe(
        """
        List the presets: named experiments that `train` runs and whose trained models the other
        commands use.

        "trained" presets come with a trained model. Time is that of the training on 2 CPU cores.
        Results are scores, with those of real images or baselines in parentheses. Narrow terminals
        show fewer columns.
        """,
        {
            "List the presets by model": "tfgan-zoo list",
            "List the presets that are ready to use": "tfgan-zoo list --trained",
            "List all presets for a program": "tfgan-zoo list --all --json",
        },
    )
    options = parser.add_argument_group("selection")
    options.add_argument(
        "--trained", action="store_true", help="list only presets with a trained model"
    )
    options.add_argument(
        "--all", action="store_true", help="list also the tiny presets, which are for tests"
    )
    add_json_argument(parser.add_argument_group("output"), "print one JSON array")


def run_list(options):
    published = hub.checksums()
    rows = [
        {
            "preset": name,
            "model": preset["kind"],
            "dataset": preset["data"].get("dataset", "-"),
            "image_size": preset["model"]["image_size"],
            "channels": format_channels(preset["model"]),
            "parameters": sum(preset["parameters"].values()),
            "trained": name in published or hub.pretrained_folder(name) is not None,
            "time": presets.EXPECTED.get(name, presets.Expected()).time,
            "result": presets.EXPECTED.get(name, presets.Expected()).result,
        }
        for name, preset in sorted(presets.PRESETS.items(), key=lambda item: system_order(*item))
        if options.all or not name.endswith("_tiny")
    ]
    rows = [row for row in rows if row["trained"] or not options.trained]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    columns = {
        "preset": [row["preset"] for row in rows],
        "model": [row["model"] for row in rows],
        "dataset": [row["dataset"] for row in rows],
        "size": ["{image_size}x{image_size}x{channels}".format(**row) for row in rows],
        "parameters": [f"{row['parameters']:,}" for row in rows],
        "trained": ["yes" if row["trained"] else "no" for row in rows],
        "time": [row["time"] for row in rows],
    }
    results = [row["result"] for row in rows]
    # Leave out columns, the least important ones first, until the results have enough space.
    for name in ("parameters", "dataset", "model", "size"):
        if table_width(columns) + 28 > terminal_width():
            del columns[name]
    if table_width(columns) + 28 <= terminal_width():
        columns["result"] = results
        print_table(columns, right_aligned=["parameters"])
    else:
        widths = {name: max(map(len, [name, *cells])) for name, cells in columns.items()}
        for *cells, result in [(*columns, ""), *zip(*columns.values(), results, strict=True)]:
            line = "  ".join(map(str.ljust, cells, widths.values())).rstrip()
            print("\n".join([line, *wrapped_lines(result, "    ")]))
    notes = (
        "Time of the training on 2 CPU cores. Scores of real images or baselines in parentheses."
    )
    print("\n".join(["", *wrapped_lines(notes)]))


SYSTEMS = (  # order of the models in lists
    *("GAN", "DCGAN", "CGAN", "VAE", "Pix2Pix", "CycleGAN"),
    *("StyleTransfer", "FastStyle", "AdaIN"),
)


def system_order(name, preset):
    """Return the sort key of a preset: the order of its model, then tiny presets last."""
    kind = preset["kind"]
    position = SYSTEMS.index(kind) if kind in SYSTEMS else len(SYSTEMS)
    return position, kind, name.endswith("_tiny")


def format_channels(model):
    """Return the number of channels, or if input and output differ a text such as "3to1"."""
    if "channels" in model:
        return model["channels"]
    x, y = model.get("x_channels", 3), model.get("y_channels", 3)
    return x if x == y else f"{x}to{y}"


# --- show ---


def add_show_arguments(parser):
    parser.describe(
        """
        Show the fields of a preset with value, default and meaning. A default is the value of the
        paper unless the model's file states otherwise.

        Every field can be changed for a training: `tfgan-zoo train PRESET section.field=value`.
        """,
        {
            "Show all fields of a preset": "tfgan-zoo show dcgan_mnist",
            "Show the experiment after a change": "tfgan-zoo show dcgan_mnist train.epochs=3",
            "Write a complete experiment.json": "tfgan-zoo show dcgan_mnist --json",
        },
    )
    experiment = parser.add_argument_group("experiment")
    add_preset_argument(experiment)
    add_overrides_argument(experiment, "changed fields")
    add_json_argument(parser.add_argument_group("output"), "print the experiment as JSON")


def run_show(options):
    presets.check_preset(options.preset)
    fields.check_overrides(options.preset, options.overrides)
    preset_fields = fields.preset_fields(options.preset)
    values = {
        section: {field: value for field, (value, *_) in section_fields.items()}
        for section, section_fields in preset_fields.items()
    }
    experiment = {"preset": options.preset, "kind": presets.PRESETS[options.preset]["kind"]}
    experiment |= values
    if options.overrides:  # check the values, which needs the classes of the models
        start_tensorflow()
        changed = presets.experiment(options.preset, *options.overrides)
        experiment = dataclasses.asdict(changed)
    if options.json:
        print(json.dumps(experiment, indent=2))
        return
    print(f"{preset_summary(options.preset)}\n")
    print_fields(
        (f"{section}.{field}", experiment[section][field], default, meaning)
        for section, section_fields in preset_fields.items()
        for field, (_, default, meaning) in section_fields.items()
    )


def preset_summary(name):
    """Return lines about a preset: model, data, parameters, trained or not, time and result."""
    preset = presets.PRESETS[name]
    size, expected = preset["model"]["image_size"], presets.EXPECTED.get(name)
    terms = {
        "preset": name,
        "model": f"{preset['kind']}, {size}x{size}x{format_channels(preset['model'])}",
        "dataset": preset["data"].get("dataset", ""),
        "parameters": format_counts(preset["parameters"]),
        "trained": "yes" if name in hub.checksums() or hub.pretrained_folder(name) else "no",
        "time": f"{expected.time} on 2 CPU cores" if expected and expected.time else "",
        "result": expected.result if expected else "",
    }
    return wrapped_terms({term: text for term, text in terms.items() if text})


def format_counts(parameters):
    """Return parameter counts {player: count} as text."""
    return ", ".join(f"{player} {count:,}" for player, count in parameters.items())


def print_fields(rows):
    """Print fields (name, value, default, meaning) as a table, or as paragraphs if it is narrow."""
    cells = [(name, format_value(v), format_value(d), meaning) for name, v, d, meaning in rows]
    if terminal_width() >= 110:
        names = ("field", "value", "default", "meaning")
        print_table(dict(zip(names, zip(*cells, strict=True), strict=True)))
        return
    for name, value, default, meaning in cells:
        line = f"{name} = {value}" + ("" if value == default else f" (default: {default})")
        print("\n".join([*wrapped_lines(line, "", "    "), *wrapped_lines(meaning, "    ")]))


def format_value(value):
    """Return the value of a field as it is typed in an override; `""` for an empty text."""
    if isinstance(value, str):
        return value or '""'
    return json.dumps(value)


# --- train ---


def add_train_arguments(parser):
    parser.describe(
        """
        Train a preset, or resume a run.

        The run directory has the settings, losses, sample grids and checkpoints, and at the end the
        exported model. A run that was interrupted is resumed by the same command.
        """,
        {
            "Train without any download": "tfgan-zoo train dcgan_digits",
            "Change fields and the run directory": "tfgan-zoo train dcgan_mnist train.epochs=10 "
            "data.batch_size=64 --run-dir runs/short",
            "Resume the run": "tfgan-zoo train runs/short",
            "Train on the images of a folder": "tfgan-zoo train dcgan_folder_64 data.path=photos",
            "Check everything, train nothing": "tfgan-zoo train dcgan_mnist --dry-run",
        },
    )
    experiment = parser.add_argument_group("experiment")
    add_preset_argument(experiment, f"{PRESET_HELP}, or a run directory", complete_runs)
    add_overrides_argument(experiment, "changed fields, see tfgan-zoo show PRESET")
    output = parser.add_argument_group("output")
    output.add_argument(
        "--run-dir",
        metavar="DIR",
        type=pathlib.Path,
        help="run directory to write; a run that is already there is resumed "
        "(default: runs/PRESET)",
    )
    output.add_argument(
        "--dry-run",
        action="store_true",
        help="print data, steps, parameter counts and changed fields; train and write nothing",
    )
    add_json_argument(output)


def run_train(options):
    if not os.path.isdir(options.preset):
        presets.check_preset(options.preset)
        fields.check_overrides(options.preset, options.overrides)
    elif options.run_dir:
        raise UserError(
            "--run-dir must be omitted when a run directory is resumed, "
            f"got --run-dir {options.run_dir}"
        )
    start_tensorflow()
    from tfgan_zoo.training.prepare import describe
    from tfgan_zoo.training.train import summary, train

    if options.dry_run:
        description = describe(options.preset, *options.overrides)
        print(json.dumps(description, indent=2) if options.json else format_dry_run(description))
        return
    result = train(options.preset, *options.overrides, run_dir=options.run_dir)
    if options.json:
        print(json.dumps(result))
    elif "metrics" in result:  # only the chief worker has metrics
        print(summary(result))


def format_dry_run(description):
    """Return the result of `training.prepare.describe` as text."""
    experiment = description["experiment"]
    train, steps = experiment["train"], description["steps_per_epoch"]
    defaults = fields.experiment_fields(experiment["kind"])
    changed = [
        f"{section}.{field}={format_value(value)}"
        for section in defaults
        for field, value in experiment[section].items()
        if json.dumps(value) != json.dumps(defaults[section][field].default)
    ]
    terms = {
        "preset": f"{experiment['preset']} ({experiment['kind']})",
        "data": description["data"],
        "classes": ", ".join(description.get("class_names", ())),
        "steps": f"{count_of(train['epochs'], 'epoch')} of {count_of(steps, 'step')}, "
        f"{train['epochs'] * steps:,} in total",
        "batch": count_of(experiment["data"]["batch_size"], "image"),
        "parameters": format_counts(description["parameters"]),
        "changed": " ".join(changed),
    }
    return wrapped_terms({term: text for term, text in terms.items() if text})


# --- sample ---


def add_sample_arguments(parser):
    parser.describe(
        """
        Generate a grid of images with a GAN, DCGAN, CGAN or VAE. The same seed gives the same
        images.
        """,
        {
            "Generate one row per digit": "tfgan-zoo sample cgan_mnist --labels 0-9 -o digits.png",
            "Generate other images of a run": "tfgan-zoo sample runs/a -n 100 --seed 1 -o more.png",
        },
    )
    images = parser.add_argument_group("images")
    add_source_argument(images)
    images.add_argument(
        "-n",
        type=number(1, 10_000),
        metavar="COUNT",
        help="number of images (default: 64; with --labels 8 per label)",
    )
    images.add_argument(
        "--labels",
        type=class_labels,
        help="classes of a conditional model, by name or number, such as cats,dogs or 0-9; "
        "one row each",
    )
    add_seed_argument(images)
    add_image_output_arguments(parser, "samples.png")


def run_sample(options):
    check_image_output(options)
    labels = options.labels
    count = options.n or (8 * len(labels) if labels else 64)
    if labels and count % len(labels):
        raise UserError(
            f"-n must be a multiple of the {len(labels)} labels (one row each), got -n {count}"
        )
    start_tensorflow()
    from tfgan_zoo.model_methods import class_numbers
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
    parser.describe(
        """
        Interpolate in the latent space of a GAN, DCGAN, CGAN or VAE, or between two classes of a
        conditional model. Each row of the grid is one interpolation.
        """,
        {
            "Write an animation": "tfgan-zoo interpolate dcgan_mnist -o latent.gif",
            "Interpolate between two classes": "tfgan-zoo interpolate cgan_mnist --labels 3,8 "
            "-o 3_8.png",
            "Change one latent dimension per row": "tfgan-zoo interpolate vae_mnist "
            "--path traversal",
        },
    )
    images = parser.add_argument_group("images")
    add_source_argument(images)
    images.add_argument(
        "--path",
        metavar="KIND",
        choices=LATENT_PATHS,
        default="spherical",
        help="spherical or linear: from one random code to another; traversal: along single "
        "latent dimensions; manifold: grid over a 2-D latent space (default: spherical)",
    )
    images.add_argument(
        "--labels",
        type=class_labels,
        help="one class of a conditional model, by name or number, or two to interpolate between",
    )
    images.add_argument(
        "--rows",
        metavar="N",
        type=number(1, 100),
        default=8,
        help="number of interpolations (default: 8)",
    )
    images.add_argument(
        "--steps",
        metavar="N",
        type=number(1, 1000),
        default=10,
        help="images per interpolation (default: 10)",
    )
    add_seed_argument(images)
    add_image_output_arguments(parser, "interpolation.png", "; .gif writes an animation")


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
    parser.describe(
        """
        Encode and decode images with an autoencoder (VAE). The grid has each image above its
        reconstruction.
        """,
        {
            "Reconstruct images of the training dataset": "tfgan-zoo reconstruct vae_mnist -n 16",
            "Reconstruct image files": "tfgan-zoo reconstruct runs/a digit.png other.png",
        },
    )
    images = parser.add_argument_group("images")
    add_source_argument(images, f"an autoencoder: {SOURCE_HELP}")
    images.add_argument(
        "images",
        nargs="*",
        default=[],
        metavar="IMAGE",
        help="image files (default: images of the training dataset)",
    )
    images.add_argument(
        "-n",
        type=number(1, 10_000),
        metavar="COUNT",
        default=32,
        help="number of images from the dataset (default: 32)",
    )
    images.add_argument(
        "--labels",
        type=class_labels,
        help="classes of the image files, by name or number, for a conditional model",
    )
    images.add_argument(
        "--data-dir",
        default="",
        help="location of the dataset (default: data.path of the experiment)",
    )
    add_seed_argument(images)
    add_image_output_arguments(parser, "reconstructions.png")


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
    parser.describe(
        """
        Compute metrics of a model. Every metric is also computed for real images, or for
        baselines, as a reference.

        Generation: frechet_distance, classifier_score, precision, recall and others of generated
        images. Translation: l1, psnr and ssim of test pairs, and frechet_distance and
        kernel_distance, which need no pairs. Stylization: style and content losses.
        """,
        {
            "Evaluate a run": "tfgan-zoo evaluate runs/a",
            "Compute one metric of fewer images": "tfgan-zoo evaluate dcgan_mnist "
            "--metrics frechet_distance --samples 2000",
            "Compare with other data": "tfgan-zoo evaluate runs/a data.path=photos data.split=test",
            "Evaluate a pretrained style": "tfgan-zoo evaluate fast_starry_night "
            "model.style=starry_night.jpg data.path=photos",
        },
    )
    model = parser.add_argument_group("model and data")
    add_source_argument(model)
    add_overrides_argument(
        model,
        "reference data (default: the training dataset); or model.style=PATH, the style image of a "
        "fast style network",
        ("data",),
    )
    metrics = parser.add_argument_group("metrics")
    metrics.add_argument(
        "--metrics",
        metavar="NAMES",
        type=lambda text: text.split(","),
        help="comma-separated metrics (default: all that apply to the model)",
    )
    metrics.add_argument(
        "--samples",
        metavar="N",
        type=number(1, 10**6),
        default=10_000,
        help="number of generated images; for translation and stylization, the maximum number "
        "of test images (default: 10000)",
    )
    metrics.add_argument(
        "--features",
        metavar="NETWORK",
        default="auto",
        help="feature extractor. Generation: digits, fashion, inception or a Keras model (default: "
        "the classifier of the dataset, otherwise inception). Translation: small (default) or the "
        "same. Stylization: random, small, medium, hed, imagenet or a file (default: that of the "
        "model)",
    )
    metrics.add_argument(
        "--importance-samples",
        metavar="N",
        type=number(1, 10**6),
        default=200,
        help="importance samples per image for the likelihood (default: 200)",
    )
    add_seed_argument(metrics)
    output = parser.add_argument_group("output")
    output.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        help="folder for the scores (default: RUN/evaluation, or evaluation/NAME)",
    )
    add_json_argument(output)


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
    parser.describe(
        """
        Translate images of any size with a Pix2Pix or CycleGAN model. Files that cannot be read
        are reported at the end.
        """,
        {
            "Translate a folder": "tfgan-zoo translate pix2pix_facades_synthetic labels -o photos",
            "Translate one image and compare": "tfgan-zoo translate runs/a image.png -o out.png "
            "--compare",
            "Invert a CycleGAN": "tfgan-zoo translate runs/a 'photos/*.jpg' -o labels "
            "--direction yx",
        },
    )
    images = parser.add_argument_group("images")
    add_source_argument(images)
    images.add_argument(
        "images", nargs="+", metavar="IMAGE", help=f"{IMAGES_HELP}; also .npy arrays"
    )
    images.add_argument(
        "--direction",
        choices=("xy", "yx"),
        default="xy",
        help="yx: the inverse mapping of a CycleGAN (default: xy)",
    )
    add_seed_argument(images, "random seed of a model with dropout at test time")
    add_tile_argument(images)
    images.add_argument(
        "--overlap",
        metavar="PIXELS",
        type=number(0, 2**16),
        help="pixels over which adjacent tiles are blended (default: an eighth of a tile)",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        required=True,
        help="folder to write to (file names are kept), or a file name for one image",
    )
    output.add_argument("--compare", action="store_true", help="write input and output in one file")
    add_overwrite_argument(output)
    add_json_argument(output)


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
    parser.describe(
        """
        Transfer the style of one image to another.

        Three methods: `--preset gatys` optimizes each image by itself. A trained `fast_...` model
        has one style, a trained `adain_...` model takes any style. Trained models need one pass.
        """,
        {
            "Optimize a built-in photograph in a built-in style": "tfgan-zoo stylize china "
            "--style mosaic -o mosaic.png",
            "Use a trained network of one style": "tfgan-zoo stylize photo.jpg "
            "--preset fast_mosaic -o fast.png",
            "Use a trained network of any style": "tfgan-zoo stylize photo.jpg "
            "--preset adain_folder_128 --style painting.jpg --alpha 0.8 -o adain.png",
        },
    )
    images = parser.add_argument_group("images and method")
    images.add_argument(
        "contents",
        nargs="*",
        default=[],
        metavar="CONTENT",
        help=f"{IMAGES_HELP}, or a built-in photograph: china, flower",
    )
    images.add_argument(
        "--style",
        nargs="+",
        default=[],
        help="image files, or built-in styles: mosaic, strokes, hatching. If no CONTENT is given, "
        "the last of several files is the CONTENT",
    )
    images.add_argument(
        "--preset",
        default="gatys",
        help="gatys (optimizes each image), or a trained fast_... or adain_... model: "
        f"{SOURCE_HELP} (default: gatys)",
    ).completer = complete_sources
    images.add_argument(
        "--size",
        metavar="PIXELS",
        type=number(1, 2**14),
        default=0,
        help="longer side of the result in pixels (default: that of the content image)",
    )
    images.add_argument(
        "--colors",
        metavar="MODE",
        choices=("style", "keep", "match", "histogram"),
        default="style",
        help="style: colors of the style; keep: colors of the content; match, histogram: "
        "recolor the style image to the content first (default: style)",
    )
    images.add_argument(
        "--style-weights",
        metavar="WEIGHTS",
        type=float_list,
        help="weight of each style, such as 3,1 (default: equal weights)",
    )
    images.add_argument(
        "--alpha",
        type=number(0, 1, float),
        help="AdaIN: style strength from 0 (content) to 1 (full style) (default: 1)",
    )
    add_tile_argument(images)
    add_gatys_arguments(parser.add_argument_group("optimization (--preset gatys)"))
    output = parser.add_argument_group("output")
    output.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("stylized.png"),
        help="image file, or folder (default: stylized.png)",
    )
    output.add_argument(
        "--scores",
        action="store_true",
        help="print the style and content errors of the result and, as a reference, those of "
        "the style image and the content image",
    )
    add_overwrite_argument(output)
    add_json_argument(output)


def add_gatys_arguments(gatys):
    gatys.add_argument(
        "--features",
        metavar="NETWORK",
        help="feature extractor: random, small, medium, hed, imagenet, or the path of a network "
        "(default: medium)",
    )
    weight = number(0, MAX_FLOAT, float)
    gatys.add_argument(
        "--content-weight", metavar="WEIGHT", type=weight, help="weight >= 0 (default: 0.8)"
    )
    gatys.add_argument(
        "--style-weight", metavar="WEIGHT", type=weight, help="weight >= 0 (default: 10)"
    )
    gatys.add_argument(
        "--variation-weight",
        metavar="WEIGHT",
        type=weight,
        help="weight >= 0 of the total variation; larger is smoother (default: 0.5)",
    )
    gatys.add_argument(
        "--iterations",
        metavar="N",
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
        metavar="SCALE",
        type=number(0.05, 20, float),
        help="relative size of the style image; below 1 gives finer strokes (default: 1)",
    )
    gatys.add_argument(
        "--mask",
        metavar="FILE",
        nargs="+",
        type=pathlib.Path,
        help="one image file per style, white where the style applies",
    )
    gatys.add_argument(
        "--work-dir",
        metavar="DIR",
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
        comparison = None
        if options.scores:
            from tfgan_zoo.evaluation.style import StyleComparison

            comparison = StyleComparison(styles[0])
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
    from tfgan_zoo.inference.gatys import gatys_stylizer

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
        progress.print("random features capture little of a style: try --features medium")
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
    parser.describe(
        """
        Measure training and inference speed on this machine, in images per second. Data that is
        not on this machine is replaced by synthetic images of the same size.
        """,
        {
            "Measure one preset per model": "tfgan-zoo benchmark",
            "Measure a preset with another batch size": "tfgan-zoo benchmark dcgan_mnist "
            "data.batch_size=128 --seconds 10",
        },
    )
    measured = parser.add_argument_group("presets")
    words = measured.add_argument(
        "words",
        nargs="*",
        default=[],
        metavar="PRESET",
        help="presets, and section.field=value for all of them (default: one preset per model)",
    )
    words.sections, words.completer = ("model", "data", "train"), complete_presets
    measured.add_argument(
        "--seconds",
        metavar="N",
        type=number(1, 86_400),
        default=20,
        help="measuring time per preset, after building the model (default: 20)",
    )
    add_json_argument(
        parser.add_argument_group("output"), "print one JSON object instead of the table"
    )


def run_benchmark(options):
    names = [word for word in options.words if "=" not in word]
    overrides = [word for word in options.words if "=" in word]
    for name in names:
        presets.check_preset(name)
        fields.check_overrides(name, overrides)
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
    parser.describe(
        """
        Serve a demo in the browser: your own models, and the pretrained models of this machine. Or
        write a static site that runs the pretrained models in the visitor's browser, or a Hugging
        Face Space that serves the demo.

        The demo needs the extra demo: pip install "tfgan_zoo[demo]". The static site needs the
        extra onnx, and npm or --runtime.
        """,
        {
            "Serve the demo on this machine": "tfgan-zoo demo",
            "Show your own models too": "tfgan-zoo demo runs/a runs/b",
            "Serve it to other machines": "tfgan-zoo demo --host 0.0.0.0 --port 8080",
            "Write a site for any static host": "tfgan-zoo demo --static live",
            "Write a Hugging Face Space": "tfgan-zoo demo dcgan_mnist runs/a --export-space space",
        },
    )
    models = parser.add_argument_group("models")
    models.add_argument(
        "runs",
        metavar="RUN",
        nargs="*",
        help="run directories, exported SavedModels, .keras files or pretrained presets",
    ).completer = complete_sources
    server = parser.add_argument_group("server")
    server.add_argument(
        "--host",
        default=DEMO_ADDRESS[0],
        help="address to listen on; 0.0.0.0: all interfaces (default: 127.0.0.1)",
    )
    server.add_argument(
        "--port",
        type=number(1, 65_535),
        default=DEMO_ADDRESS[1],
        help="port to listen on (default: 7860)",
    )
    static = parser.add_argument_group("static site")
    static.add_argument(
        "--static",
        metavar="DIR",
        help="write a site that runs the models in the visitor's browser, and serve nothing",
    )
    static.add_argument(
        "--runtime",
        metavar="DIR",
        help="folder of the npm package onnxruntime-web (default: npm downloads it)",
    )
    add_overwrite_argument(static)
    space = parser.add_argument_group("Hugging Face Space")
    space.add_argument(
        "--export-space",
        metavar="DIR",
        help="write the files of a Space with the given models (default: all pretrained models of "
        "this machine) into a new or empty folder, and serve nothing",
    )


def run_demo(options):
    if options.static and options.export_space:
        raise UserError("--static and --export-space write different sites: choose one of them.")
    written = "--static" if options.static else "--export-space" if options.export_space else ""
    if written and (options.host, options.port) != DEMO_ADDRESS:
        raise UserError(f"--host and --port are for serving the demo: leave out {written}.")
    if options.static:
        if options.runs:
            raise UserError(
                "--static writes a site of the pretrained models, without runs, got "
                f"{options.runs[0]!r}. Leave it out, or serve it without --static."
            )
        return write_static_site(options)
    if options.runtime or options.overwrite:
        raise UserError("--runtime and --overwrite are options of a static site: add --static DIR.")
    start_tensorflow()
    if options.export_space:
        from tfgan_zoo.tools.space import write_space

        names = write_space(options.export_space, options.runs)
        print(
            f"Space with {count_of(len(names), 'model')} in {options.export_space}; to upload it: "
            f"{shlex.join(['hf', 'upload', 'USER/SPACE', options.export_space])} --repo-type space"
        )
        return
    from tfgan_zoo.tools import demo

    app, address = demo.serve(options.runs, options.host, options.port)
    print(f"serving at {address}, press Ctrl-C to stop", file=sys.stderr)
    app.block_thread()


def write_static_site(options):
    check_overwrite([options.static], options.overwrite)
    check_output_folder(options.static)
    start_tensorflow()
    from tfgan_zoo.tools.static_site import build_site

    size = build_site(options.static, runtime=options.runtime, overwrite=options.overwrite)
    print(f"wrote {options.static} ({size / 1e6:.0f} MB). To see it:", file=sys.stderr)
    print(f"python -m http.server --directory {shlex.quote(options.static)}")


# --- report ---


def add_report_arguments(parser):
    parser.describe(
        """
        Write an HTML report of a run: samples, curves, configuration and scores. The file needs no
        other files.
        """,
        {
            "Write runs/a/report.html": "tfgan-zoo report runs/a",
            "Write another file": "tfgan-zoo report runs/a -o report.html --overwrite",
        },
    )
    add_run_argument(parser.add_argument_group("run"))
    output = parser.add_argument_group("output")
    output.add_argument(
        "-o", "--output", type=pathlib.Path, help="HTML file (default: RUN/report.html)"
    )
    add_overwrite_argument(output)
    add_json_argument(output)


def run_report(options):
    start_tensorflow()
    from tfgan_zoo.tools.report import write_report

    path = write_report(options.source, options.output, options.overwrite)
    print_result(options, {"report": str(path)}, f"report in {path}")


# --- import-torch ---


def add_import_torch_arguments(parser):
    parser.describe(
        """
        Import weights of the authors' PyTorch code of Pix2Pix and CycleGAN into a run directory,
        which can translate images or be trained further. Discriminators are imported with their
        generators. The optimizers start fresh.

        The import needs the extra torch: pip install "tfgan_zoo[torch]".
        """,
        {
            "Import all networks of a training": "tfgan-zoo import-torch checkpoints/horse2zebra "
            "--preset cyclegan_folder_256 -o runs/horse2zebra",
            "Import one generator of a CycleGAN": "tfgan-zoo import-torch latest_net_G_A.pth "
            "--preset cyclegan_folder_256 -o runs/horse2zebra",
            "Import its inverse mapping into the same run": "tfgan-zoo import-torch "
            "latest_net_G_B.pth --preset cyclegan_folder_256 -o runs/horse2zebra --direction yx",
        },
    )
    weights = parser.add_argument_group("weights")
    weights.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        type=pathlib.Path,
        help="a .pth file, such as latest_net_G.pth, or a folder with such files (those of its "
        "last epoch are read)",
    )
    add_overrides_argument(
        weights, "fields in which the network differs from the preset", ("model",)
    )
    weights.add_argument(
        "--preset",
        required=True,
        help="Pix2Pix or CycleGAN preset with the architecture of the checkpoint",
    ).completer = complete_presets
    weights.add_argument(
        "--direction",
        choices=("xy", "yx"),
        help="CycleGAN: generator to import (default: both if the checkpoint calls them G_A, which "
        "is xy, and G_B, which is yx; xy for another name)",
    )
    weights.add_argument(
        "--generators-only", action="store_true", help="leave out the discriminators"
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        required=True,
        metavar="RUN",
        help="run directory to write",
    )
    add_json_argument(output)


def run_import_torch(options):
    presets.check_preset(options.preset)
    fields.check_overrides(options.preset, options.overrides)
    start_tensorflow()
    from tfgan_zoo.saving import torch_weights
    from tfgan_zoo.training.distribute import resolve_precision

    experiment = resolve_precision(presets.experiment(options.preset, *options.overrides))
    checkpoints = torch_weights.import_torch(
        options.checkpoint,
        experiment,
        options.output,
        options.direction,
        options.generators_only,
    )
    imported = [
        f"{direction} with{'' if checkpoint.discriminator else 'out'} discriminator"
        for direction, checkpoint in checkpoints.items()
    ]
    option = [] if "xy" in checkpoints else ["--direction", "yx"]
    use = shell_command("translate", options.output, "IMAGE", "-o", "OUT", *option)
    train = shell_command("train", options.output)
    text = (
        f"imported generator {', '.join(imported)} into {options.output}\n"
        f"use it: {use}\n"
        f"train it further, with fresh optimizers: {train}"
    )
    record = {
        "run_dir": str(options.output),
        "imported": {name: bool(value.discriminator) for name, value in checkpoints.items()},
    }
    print_result(options, record, text)


# --- export ---


def add_export_arguments(parser):
    parser.describe(
        """
        Export a run as a SavedModel with a model card, or any trained model as TFLite, ONNX or
        OpenVINO. The exported file is loaded by the runtime of its format and compared with the
        model. The largest and the mean difference are printed, in levels of 255. The format torch
        writes the networks of Pix2Pix and CycleGAN as state dicts for the authors' PyTorch code.

        The formats need extras: pip install "tfgan_zoo[tflite,onnx,openvino,torch]".
        """,
        {
            "Export a SavedModel": "tfgan-zoo export runs/a -o my_model",
            "Export for mobile devices": "tfgan-zoo export runs/a --format tflite",
            "Export a pretrained preset": "tfgan-zoo export fast_mosaic --format onnx",
            "Export ONNX of a fixed size": "tfgan-zoo export runs/a --format onnx --size 256x256",
            "Quantize to 8 bits, calibrated on training data": "tfgan-zoo export runs/a "
            "--format tflite --precision int8",
            "Export a CycleGAN for the authors' PyTorch code": "tfgan-zoo export runs/a "
            "--format torch -o checkpoints/a",
        },
    )
    model = parser.add_argument_group("model")
    add_source_argument(model, f"{SOURCE_HELP}; a SavedModel is exported from a run directory only")
    model.add_argument(
        "--format",
        choices=("saved_model", "tflite", "onnx", "openvino", "torch"),
        metavar="FORMAT",
        default="saved_model",
        help="saved_model, tflite, onnx, openvino or torch (default: saved_model)",
    )
    model.add_argument(
        "--size",
        type=height_and_width,
        metavar="HxW",
        help="image size of a translation or stylization model in pixels, or any (default: "
        "image_size for tflite, any for onnx and openvino)",
    )
    model.add_argument(
        "--direction",
        choices=("xy", "yx"),
        default="xy",
        help="direction of a translation model in onnx and openvino (default: xy)",
    )
    model.add_argument(
        "--precision",
        choices=("float32", "float16", "int8_weights", "int8"),
        metavar="PRECISION",
        default="float32",
        help="of the weights: float32, float16 (tflite, openvino), int8_weights (tflite) or int8 "
        "(tflite, also of activations) (default: float32)",
    )
    add_overrides_argument(
        model, "images for the calibration of int8 (default: the training dataset)", ("data",)
    )
    model.add_argument(
        "--compact",
        action="store_true",
        help="store the weights of a SavedModel as float16, in half the space",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        help="path to write (default: saved_model, torch or model.SUFFIX in the run directory; for "
        "other sources NAME_torch or NAME.SUFFIX in the current folder)",
    )
    add_overwrite_argument(output)
    add_json_argument(output)


def run_export(options):
    folders = {"saved_model": "a SavedModel", "torch": "torch"}  # with all directions, any size
    target = folders.get(options.format)
    if target and options.size:
        raise UserError(
            f"--size is for tflite, onnx and openvino, got --size for {target}. Leave it out: the "
            "model takes images of any size."
        )
    if target and options.direction != "xy":
        raise UserError(
            f"--direction is for onnx and openvino, got {options.direction} for {target}. "
            "Leave it out: all directions are exported."
        )
    if target and options.precision != "float32":
        hint = " Its weights are stored as float16 with --compact."
        raise UserError(
            f"--precision is for tflite and openvino, got {options.precision} for {target}."
            f"{hint if options.format == 'saved_model' else ''}"
        )
    if options.overrides and options.precision != "int8":
        raise UserError(
            f"{options.overrides[0]} is for the calibration of --precision int8, got --precision "
            f"{options.precision}."
        )
    if options.format != "saved_model" and options.compact:
        raise UserError(f"--compact is for SavedModels, got --format {options.format}")
    start_tensorflow()
    from tfgan_zoo.saving.export_file import FORMATS, export_and_measure
    from tfgan_zoo.saving.saved_model import export
    from tfgan_zoo.saving.torch_weights import export_torch

    if options.format == "torch":
        default = default_export_path(options.source, "_torch", "torch")
        paths = export_torch(options.source, options.output or default, options.overwrite)
        names = ", ".join(path.name for path in paths)
        text = f"state dicts for the authors' PyTorch code in {paths[0].parent}: {names}"
        return print_result(options, {"torch": [str(path) for path in paths]}, text)
    if options.format == "saved_model":
        path = export(options.source, options.output, options.overwrite, options.compact)
        print_result(options, {"saved_model": str(path)}, f"SavedModel with model card in {path}")
        return
    suffix = FORMATS[options.format].suffixes[0]
    path, largest, mean = export_and_measure(
        options.source,
        options.output or default_export_path(options.source, suffix),
        options.format,
        *options.overrides,
        size=options.size,
        direction=options.direction,
        precision=options.precision,
        overwrite=options.overwrite,
    )
    record = {options.format: str(path), "max_difference": largest, "mean_difference": mean}
    differences = f"differences in levels of 255: {largest} at most, {mean:.2g} on average"
    print_result(options, record, f"{options.format} in {path} ({differences})")


def default_export_path(source, suffix, name_in_run=None):
    """Return the output of a format: RUN/model.SUFFIX or RUN/NAME_IN_RUN, else NAME.SUFFIX."""
    from tfgan_zoo.runs import is_run_directory

    if is_run_directory(source):
        return pathlib.Path(source) / (name_in_run or f"model{suffix}")
    path = pathlib.Path(source).resolve()
    name = path.stem if path.suffix == ".keras" else path.name
    return pathlib.Path(f"{name}{suffix}")


# --- push ---


def add_push_arguments(parser):
    parser.describe(
        """
        Upload a model to the Hugging Face Hub: its SavedModel, the model card and SHA256SUMS. Other
        machines use the model by its address, as the SOURCE of every command.

        It needs the extra hub and an account: pip install "tfgan_zoo[hub]", then hf auth login.
        """,
        {
            "Upload a run": "tfgan-zoo push runs/a hf://me/my_model",
            "Use it on another machine": "tfgan-zoo sample hf://me/my_model",
        },
    )
    model = parser.add_argument_group("model")
    model.add_argument(
        "source",
        metavar="SOURCE",
        help="a run directory, a SavedModel with a model card or the name of a pretrained preset",
    ).completer = complete_sources
    model.add_argument("address", metavar="ADDRESS", help="hf://USER/MODEL")
    model.add_argument(
        "--compact", action="store_true", help="upload the weights of a run as float16"
    )
    model.add_argument(
        "--private",
        action="store_true",
        help="create a private repository; an error if it exists and is public",
    )
    add_json_argument(parser.add_argument_group("output"))


def run_push(options):
    hugging_face.parse_upload_address(options.address)
    hugging_face.load_library()
    start_tensorflow()
    from tfgan_zoo.runs import is_run_directory
    from tfgan_zoo.saving.saved_model import saved_model_folder

    if options.compact and not is_run_directory(options.source):
        raise UserError(f"--compact is for run directories, got {options.source}.")
    with tempfile.TemporaryDirectory() as temporary:
        folder = saved_model_folder(options.source, temporary, options.compact)
        url = hugging_face.push(folder, options.address, options.private)
    print_result(options, {"address": options.address, "commit": url}, f"{options.address} ({url})")


# --- data ---


def add_data_arguments(parser):
    parser.describe(
        "Prepare a dataset from its original files, or check a folder of images before a training.",
        {
            "Check a folder": "tfgan-zoo data check photos",
            "Prepare MNIST without internet": "tfgan-zoo data prepare mnist --from downloads",
        },
    )
    add_subcommands(parser, DATA_COMMANDS)


def add_prepare_arguments(parser):
    parser.describe(
        """
        Prepare a dataset from its original files, on a machine without internet.
        """,
        {
            "Prepare MNIST": "tfgan-zoo data prepare mnist --from downloads",
            "Choose the folder of the prepared dataset": "tfgan-zoo data prepare cifar10 "
            "--from downloads --data-dir datasets",
        },
    )
    dataset = parser.add_argument_group("dataset")
    dataset.add_argument("name", metavar="NAME", help="mnist, fashion_mnist, cifar10 or emoji")
    dataset.add_argument(
        "--from",
        dest="source",
        type=pathlib.Path,
        required=True,
        metavar="DIR",
        help="folder with the original files",
    )
    dataset.add_argument(
        "--data-dir",
        default="",
        help="folder for the prepared dataset (default: that of tensorflow-datasets)",
    )


def run_prepare(options):
    start_tensorflow()
    from tfgan_zoo.data import datasets

    print(datasets.prepare(options.name, options.source, options.data_dir))


def add_check_arguments(parser):
    parser.describe(
        """
        Check a folder of images: unreadable files, duplicates, copies of training images in the
        test images, sizes and counts per class.
        """,
        {
            "Check a folder": "tfgan-zoo data check photos",
            "Print the result for a program": "tfgan-zoo data check photos --json",
        },
    )
    parser.add_argument_group("images").add_argument(
        "folder", metavar="FOLDER", type=pathlib.Path, help="folder of images"
    )
    add_json_argument(parser.add_argument_group("output"))


def run_check(options):
    start_tensorflow()
    from tfgan_zoo.data import check

    result = check.check_folder(options.folder)
    print(json.dumps(result, indent=2) if options.json else check.summary(result))


# --- completion ---

SHELLS = ("bash", "zsh", "fish", "powershell")


def add_completion_arguments(parser):
    parser.describe(
        """
        Print a script that completes commands, options, presets and fields when TAB is pressed.

        Bash: run `eval "$(tfgan-zoo completion bash)"` in an activated environment, or add the line
        to ~/.bashrc with the full path of tfgan-zoo. Zsh: the same with zsh, in ~/.zshrc after
        compinit. Fish: write the script to a file, see below.
        """,
        {
            "Print the script for bash": "tfgan-zoo completion bash",
            "Set up fish": "tfgan-zoo completion fish > ~/.config/fish/completions/tfgan-zoo.fish",
        },
    )
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))


def run_completion(options):
    import argcomplete

    print(argcomplete.shellcode(["tfgan-zoo"], shell=options.shell))


# --- arguments that several subcommands have ---


def add_preset_argument(parser, help=PRESET_HELP, complete=complete_presets):
    parser.add_argument("preset", metavar="PRESET", help=help).completer = complete


def add_source_argument(parser, help=SOURCE_HELP):
    parser.add_argument("source", metavar="SOURCE", help=help).completer = complete_sources


def add_run_argument(parser):
    parser.add_argument("source", metavar="RUN", type=pathlib.Path, help="a run directory")


def add_overrides_argument(parser, help, sections=("model", "data", "train")):
    """Add a list of `section.field=value` with these sections."""
    section = sections[0] if len(sections) == 1 else "SECTION"
    overrides = parser.add_argument(
        "overrides", nargs="*", default=[], metavar=f"{section}.FIELD=VALUE", help=help
    )
    overrides.sections, overrides.completer = sections, complete_overrides


def add_json_argument(parser, help="print one JSON object on stdout"):
    parser.add_argument("--json", action="store_true", help=help)


def add_seed_argument(parser, help="random seed"):
    parser.add_argument(
        "--seed",
        metavar="N",
        type=number(0, MAX_SEED),
        default=0,
        help=f"{help}, an integer >= 0 (default: 0)",
    )


def add_image_output_arguments(parser, default, more=""):
    output = parser.add_argument_group("output")
    output.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        default=pathlib.Path(default),
        help=f"image file to write{more} (default: {default})",
    )
    add_overwrite_argument(output)
    add_json_argument(output)


def add_tile_argument(parser):
    parser.add_argument(
        "--tile",
        metavar="PIXELS",
        type=number(0, 2**16),
        default=1024,
        help=f"{TILE_HELP} (default: 1024)",
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
    """Parse `128x256` into (128, 256), height first; `any` stays."""
    if text == "any":
        return text
    height, _, width = text.partition("x")
    side = number(1, 2**12)
    try:
        return side(height), side(width)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"must be any or HEIGHTxWIDTH such as 128x256, got {text!r} (each {error})"
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


def terminal_width():
    """Return the width of the terminal in characters; 200 if stdout is a file or a pipe."""
    return shutil.get_terminal_size(fallback=(200, 24)).columns


def wrapped_lines(text, begin="", indent=None):
    """Return the lines of a text that fits the terminal.

    Args:
        text: the text.
        begin: beginning of the first line.
        indent: beginning of the other lines, by default spaces of the same length.
    """
    indent = " " * len(begin) if indent is None else indent
    width = max(terminal_width(), len(indent) + 20)
    return textwrap.wrap(
        text, width, initial_indent=begin, subsequent_indent=indent, break_on_hyphens=False
    )


def wrapped_terms(terms):
    """Return {term: text} in two columns that fit the terminal."""
    width = max(map(len, terms))
    lines = [
        line for term, text in terms.items() for line in wrapped_lines(text, f"{term:<{width}}  ")
    ]
    return "\n".join(lines)


def table_width(columns):
    """Return the width of a table {name: cells} in characters, with two spaces per column."""
    return sum(max(map(len, [name, *cells])) + 2 for name, cells in columns.items())


def print_table(columns, right_aligned=()):
    """Print a table {name: cells} that fits the terminal. Its last three columns may be wrapped."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in columns:
        justify = "right" if name in right_aligned else "left"
        no_wrap = name not in list(columns)[-3:]
        table.add_column(name, justify=justify, no_wrap=no_wrap, overflow="fold")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    Console(width=terminal_width(), highlight=False, markup=False).print(table)


def print_error(error, code):
    """Print an error as one line on stderr and return the exit code."""
    print(f"tfgan-zoo: error: {one_line(error)}", file=sys.stderr)
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


COMMANDS = {  # name: (group, summary, arguments, function)
    "train": ("train", "train a preset, or resume a run", add_train_arguments, run_train),
    "sample": ("use", "generate a grid of images", add_sample_arguments, run_sample),
    "interpolate": (
        "use",
        "interpolate in the latent space, or between classes",
        add_interpolate_arguments,
        run_interpolate,
    ),
    "reconstruct": (
        "use",
        "encode and decode images with an autoencoder",
        add_reconstruct_arguments,
        run_reconstruct,
    ),
    "translate": (
        "use",
        "translate images of any size with Pix2Pix or CycleGAN",
        add_translate_arguments,
        run_translate,
    ),
    "stylize": (
        "use",
        "transfer the style of one image to another",
        add_stylize_arguments,
        run_stylize,
    ),
    "export": (
        "use",
        "export a model as a SavedModel with a model card, as TFLite, ONNX or OpenVINO",
        add_export_arguments,
        run_export,
    ),
    "push": (
        "use",
        "upload a model with its card to the Hugging Face Hub",
        add_push_arguments,
        run_push,
    ),
    "demo": (
        "use",
        "serve a demo of the pretrained models in the browser",
        add_demo_arguments,
        run_demo,
    ),
    "list": ("inspect", "list the presets", add_list_arguments, run_list),
    "show": (
        "inspect",
        "show the fields of a preset: value, default, meaning",
        add_show_arguments,
        run_show,
    ),
    "evaluate": (
        "inspect",
        "compute metrics, with real images or baselines as a reference",
        add_evaluate_arguments,
        run_evaluate,
    ),
    "report": (
        "inspect",
        "write an HTML report of a run: samples, curves, configuration, scores",
        add_report_arguments,
        run_report,
    ),
    "benchmark": (
        "inspect",
        "measure training and inference speed on this machine",
        add_benchmark_arguments,
        run_benchmark,
    ),
    "data": ("data", "check a folder of images, or prepare a dataset", add_data_arguments, None),
    "import-torch": (
        "data",
        "import generator weights of the authors' PyTorch code",
        add_import_torch_arguments,
        run_import_torch,
    ),
    "completion": (
        "shell",
        "print the script for completion in bash, zsh, fish or PowerShell",
        add_completion_arguments,
        run_completion,
    ),
}
DATA_COMMANDS = {
    "prepare": (
        "data",
        "prepare a dataset of tensorflow-datasets from its original files",
        add_prepare_arguments,
        run_prepare,
    ),
    "check": (
        "data",
        "check a folder of images: unreadable files, duplicates, leaks, sizes, counts",
        add_check_arguments,
        run_check,
    ),
}
