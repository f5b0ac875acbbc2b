"""Export a model as a SavedModel that needs TensorFlow alone, with a model card."""

import pathlib
import shutil

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.data import builtin_images
from tfgan_zoo.data.transforms import resize_longer_side
from tfgan_zoo.errors import UserError
from tfgan_zoo.files import atomic_folder, check_output_folder, check_overwrite, write_text
from tfgan_zoo.runs import (
    SAMPLES,
    SAVED_MODEL,
    is_run_directory,
    load_model,
    read_class_names,
    read_experiment,
    write_experiment,
)
from tfgan_zoo.saving import hub
from tfgan_zoo.saving.exported import load_exported, max_difference, trace, unknown_source
from tfgan_zoo.saving.model_card import model_card
from tfgan_zoo.visualize import pad_to_common_size, save_grid

STYLE_GRID_SIZE = 256  # pixels of the longer side of an image in `samples.png`


def export(run, folder=None, overwrite: bool = False, compact: bool = False) -> pathlib.Path:
    """Export a run's model as a SavedModel with a model card.

    The SavedModel is built from the run's last checkpoint. It is loaded again and its fixed-seed
    outputs are compared with those of the model before the folder gets its name.

    Args:
        run: Run directory.
        folder: Folder of the SavedModel. Defaults to RUN/saved_model.
        overwrite: Whether an existing SavedModel may be replaced.
        compact: Store the weights as float16, in half the space. The computation stays float32.

    Returns:
        The path of the SavedModel.

    Raises:
        UserError: `run` is not a run directory, `folder` already exists, or float16 weights
            change the model's images by more than 1/255.
        RuntimeError: The exported model's images differ by more than 1/255.
    """
    run = pathlib.Path(run)
    folder = pathlib.Path(folder or run / SAVED_MODEL)

    # Check the arguments.
    if not is_run_directory(run):
        raise UserError(
            f"a run directory (with experiment.json) is needed, got {str(run)!r}. A pretrained "
            "preset is a SavedModel already: choose a --format such as onnx."
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, but a SavedModel is a folder: choose another folder.")
    if folder.is_dir() and any(folder.iterdir()):
        # The run's own folder may be the remains of a process that was killed.
        is_own = overwrite and folder == run / SAVED_MODEL
        if not is_own and not (folder / "saved_model.pb").is_file():
            raise UserError(f"{folder} exists and is not a SavedModel: choose another folder.")
        check_overwrite([folder], overwrite)

    check_output_folder(folder.parent)

    model = load_model(run)
    with atomic_folder(folder, overwrite) as partial:
        save_signatures(model, partial, compact)

        # Load it again and compare it with the model.
        difference = max_difference(model, load_exported(partial))
        if difference > 1:
            if compact:
                raise UserError(
                    f"float16 weights change the images by up to {difference}/255, more than "
                    "1/255: export without --compact."
                )
            raise RuntimeError(f"the exported model differs from the model by {difference}/255.")

        # Add the sample image, the model card and the experiment.
        save_sample_image(model, run, partial / "samples.png")
        write_text(partial / "README.md", model_card(run, model, compact).rstrip("\n"))
        write_experiment(partial, read_experiment(run), read_class_names(run))
    return folder


def saved_model_folder(source, temporary, compact=False):
    """Return the folder of a SavedModel with a model card.

    Args:
        source: run directory, SavedModel, pretrained preset or address of the Hugging Face Hub.
        temporary: folder in which a run is exported.
        compact: store the weights of a run as float16.

    Raises:
        UserError: `source` is none of these.
    """
    if is_run_directory(source):
        return export(source, pathlib.Path(temporary) / SAVED_MODEL, compact=compact)
    if (pathlib.Path(source) / "saved_model.pb").is_file():
        return pathlib.Path(source)
    folder = hub.find_or_download(str(source))
    if folder is None:
        raise unknown_source(source, "a run directory, a SavedModel")
    return folder


def save_signatures(model, path, compact: bool = False):
    """Write the functions of `model.signatures()` and the weights they use as a SavedModel.

    Args:
        model: `ZooModel`.
        path: Folder of the SavedModel.
        compact: Store the weights as float16.
    """
    write_saved_model(model.signatures(), path, model.variables if compact else ())


def write_saved_model(signatures, path, half_precision=()):
    """Write functions as a SavedModel.

    Args:
        signatures: {name: (function, input specs)}.
        path: Folder of the SavedModel.
        half_precision: Keras variables that are stored as float16 if they are float32.
    """
    # keras.export.ExportArchive is not used: it tracks all variables of a model (also those of
    # the discriminators), and it cannot store a variable in another dtype than the model's.
    stored = {}  # reference of a float32 variable -> its float16 copy, shared by all signatures

    def float16_copy(weight):
        reference = weight.value.ref()
        if reference not in stored:
            stored[reference] = tf.Variable(tf.cast(weight, tf.float16), trainable=False)
        return stored[reference]

    def trace_stored(function, specs):
        concrete = trace(function, specs)
        used = {variable.ref() for variable in concrete.variables}
        pairs = [
            (weight, float16_copy(weight))
            for weight in half_precision
            if weight.value.ref() in used and weight.dtype == "float32"
        ]
        if not pairs:
            return concrete

        def function_of_copies(*args):
            weights = [(weight, tf.cast(copy, tf.float32)) for weight, copy in pairs]
            with keras.StatelessScope(weights):
                return function(*args)

        return trace(function_of_copies, specs)

    functions = {name: trace_stored(*signature) for name, signature in signatures.items()}
    variables = [variable for function in functions.values() for variable in function.variables]
    module = tf.Module()
    module.used = list({variable.ref(): variable for variable in variables}.values())
    tf.saved_model.save(module, str(path), signatures=functions)


def save_sample_image(model, run, path):
    """Write the image of a model card; nothing for a translation run without sample grids.

    Args:
        model: `ZooModel`.
        run: `pathlib.Path` of its run directory.
        path: Image file to write.
    """
    SAMPLE_IMAGES[model.task](model, run, path)


def save_generated_samples(model, run, path):
    columns = 2 * model.classes if 0 < model.classes <= 10 else 16
    save_grid(model.sample(4 * columns, seed=0), path, columns)


def save_latest_sample_grid(model, run, path):
    grids = sorted((run / SAMPLES).glob("epoch_*.png"))
    if grids:
        shutil.copy(grids[-1], path)


def save_style_grid(model, run, path):
    images, columns = style_grid(model)
    save_grid(images, path, columns)


SAMPLE_IMAGES = {
    "generate": save_generated_samples,
    "translate": save_latest_sample_grid,
    "stylize": save_style_grid,
}


def style_grid(model):
    """Stylize the built-in photographs.

    Args:
        model: Stylization model. If it takes styles, the built-in styles form the first row.

    Returns:
        (uint8 images (n, h, w, 3) row by row, number of columns).
    """
    size = STYLE_GRID_SIZE
    styles = []
    if model.takes_styles:
        styles = [builtin_images.style_image(name, size) for name in builtin_images.STYLES]
    rows = [[np.full((size, size, 3), 255, np.uint8), *styles]] if styles else []
    for name in builtin_images.PHOTOGRAPHS:
        photograph = resize_longer_side(builtin_images.photograph(name), size)
        if styles:
            stylized = [model.stylize(photograph, [style]) for style in styles]
        else:
            stylized = [model.stylize(photograph)]
        rows.append([photograph, *stylized])
    return pad_to_common_size([image for row in rows for image in row]), len(rows[0])
