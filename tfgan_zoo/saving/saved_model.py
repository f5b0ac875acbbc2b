"""A model as a SavedModel that runs with TensorFlow alone, with a model card beside it; and `load` for everything that was trained."""

import pathlib
import shutil

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.data import builtin_images
from tfgan_zoo.data.transforms import resize_longer_side
from tfgan_zoo.errors import UserError
from tfgan_zoo.runs import is_run_directory, load_model, read_experiment
from tfgan_zoo.saving.exported import load_exported
from tfgan_zoo.saving.model_card import model_card
from tfgan_zoo.visualize import pad_to_common_size, save_grid


def export(run, folder=None, replace=False, compact=False):
    """Exports a run's model as a SavedModel with a model card, reads it back and compares it with the model.

    Args:
        run: a run directory.
        folder: where the SavedModel goes; <run>/saved_model where it is missing.
        replace: whether a SavedModel that is already there may be replaced.
        compact: whether weights are stored as float16, in half the space; what is computed stays float32.

    Returns:
        The path of the SavedModel.

    Raises:
        UserError: not a run directory, the folder is taken, or the model's images do not bear float16 weights.
    """
    run = pathlib.Path(run)
    folder = pathlib.Path(folder or run / "saved_model")
    if not is_run_directory(run):
        raise UserError(f"a run directory (with experiment.json) is needed, received {str(run)!r}")
    if folder.exists() and any(folder.iterdir()):
        if not (folder / "saved_model.pb").is_file():
            raise UserError(f"{folder} exists and is no SavedModel: choose another folder")
        if not replace:
            raise UserError(f"{folder} is already there: choose another folder or remove it first")
    model = load_model(run)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    save_signatures(model, partial, compact)
    worst = max_difference(model, load_exported(partial))
    if worst > 1:
        shutil.rmtree(partial)
        if compact:
            raise UserError(
                f"with weights of float16 images change by up to {worst} levels of 255, more than 1: export it as it is"
            )
        raise RuntimeError(f"the exported model differs from the model by {worst} levels of 255")
    save_sample_image(model, run, partial / "samples.png")
    (partial / "README.md").write_text(model_card(run, model, compact))
    (partial / "experiment.json").write_text(read_experiment(run).to_json() + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder


def save_signatures(model, path, compact=False):
    """Writes `model.signatures()` as a SavedModel."""
    halves = {}  # of the variables that the signatures use, as float16, by their references

    def half(weight):
        ref = weight.value.ref()
        if ref not in halves:
            halves[ref] = tf.Variable(tf.cast(weight, tf.float16), trainable=False)
        return halves[ref]

    def graph(function, specs):
        plain = tf.function(function, input_signature=specs).get_concrete_function()
        if not compact:
            return plain
        used = {variable.ref() for variable in plain.variables}
        pairs = [
            (weight, half(weight))
            for weight in model.variables
            if weight.value.ref() in used and weight.dtype == "float32"
        ]

        def with_halves(*args):
            with keras.StatelessScope(
                [(weight, tf.cast(stored, tf.float32)) for weight, stored in pairs]
            ):
                return function(*args)

        return tf.function(with_halves, input_signature=specs).get_concrete_function()

    functions = {name: graph(*signature) for name, signature in model.signatures().items()}
    module = tf.Module()
    # Only the variables that the signatures use: no discriminator, no optimizers.
    module.used = list(
        {v.ref(): v for function in functions.values() for v in function.variables}.values()
    )
    tf.saved_model.save(module, str(path), signatures=functions)


def max_difference(model, exported):
    """By how many levels of 255 the SavedModel's images differ from the model's at most."""
    return np.abs(model.reference_outputs().astype(int) - exported.reference_outputs()).max()


def save_sample_image(model, run, path):
    """What the model makes: samples, the embedded photographs in a style, or the run's newest page of translations, if there is one."""
    if model.task == "generate":
        columns = 2 * model.classes if 0 < model.classes <= 10 else 16
        save_grid(model.sample(4 * columns, seed=0), path, columns)
        return
    if model.task == "stylize":
        images, columns = style_grid(model)
        save_grid(images, path, columns)
        return
    pages = sorted((run / "samples").glob("epoch_*.png"))
    if pages:
        shutil.copy(pages[-1], path)


def style_grid(model):
    """The embedded photographs, and what a model of style makes of them (of any style: with the embedded ones above), (images, columns)."""
    styles = (
        [builtin_images.style_image(name, 256) for name in builtin_images.STYLES]
        if model.takes_styles
        else []
    )
    rows = [[np.full((256, 256, 3), 255, np.uint8), *styles]] if styles else []
    for name in builtin_images.PHOTOGRAPHS:
        photograph = resize_longer_side(builtin_images.photograph(name), 256)
        rows.append(
            [
                photograph,
                *(
                    [model.stylize(photograph, [style]) for style in styles]
                    or [model.stylize(photograph)]
                ),
            ]
        )
    return pad_to_common_size([image for row in rows for image in row]), len(rows[0])
