"""A model as a SavedModel that runs with TensorFlow alone, with a model card beside it; and `load` for everything that was trained."""

import hashlib
import pathlib
import shutil

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo import pictures, presets, published
from tfgan_zoo.card import model_card
from tfgan_zoo.config import UserError, check_choice, nearest
from tfgan_zoo.data import embedded
from tfgan_zoo.data.transforms import to_longer
from tfgan_zoo.models import MODELS
from tfgan_zoo.models.latent import check_codes, condition_of, in_batches, in_turn, latent
from tfgan_zoo.models.styling import check_picture, probe_of, stylize_by_moments
from tfgan_zoo.models.translation import DIRECTIONS, check_images, on_one_size, translations


class Exported:
    """A SavedModel of the zoo."""

    def __init__(self, path, module):
        self.path = pathlib.Path(path)
        self.module = module  # the signatures live as long as it does
        self.signatures = module.signatures

    def inputs(self, signature):
        """The specs of a signature's inputs by name."""
        return self.signatures[signature].structured_input_signature[1]

    def digest(self):
        """SHA-256 of the file of weights."""
        sha = hashlib.sha256()
        for file in sorted((self.path / "variables").iterdir()):
            sha.update(file.read_bytes())
        return sha.hexdigest()


class ExportedTranslator(Exported):
    """An exported translation model, used like the model itself: `translate`."""

    def __init__(self, path, module):
        super().__init__(path, module)
        self.directions = tuple(direction for direction in DIRECTIONS if f"translate_{direction}" in self.signatures)
        self.random = "seed" in self.inputs("translate")

    def channels(self, direction):
        """(of the input, of the output) of a direction."""
        check_choice("direction", direction, self.directions)
        signature = self.signatures[f"translate_{direction}"]
        return self.inputs(f"translate_{direction}")["images"].shape[-1], signature.structured_outputs["images"].shape[-1]

    def translate(self, images, direction="xy", seed=0):
        """Translated images; see `TranslationModel.translate`. It knows 8 bits alone."""
        images = np.asarray(images)
        check_images(images, self.channels(direction)[0])
        if images.dtype != np.uint8:
            raise UserError(f"an exported model takes uint8 images, received {images.dtype}")
        many, seeds = images[None] if images.ndim == 3 else images, {"seed": tf.constant(seed)} if self.random else {}
        signature = self.signatures[f"translate_{direction}"]
        out = [signature(images=tf.constant(many[i : i + 1]), **seeds)["images"] for i in range(len(many))]
        return out[0][0].numpy() if images.ndim == 3 else np.concatenate(out)

    def probe(self):
        return translations(self)


class ExportedGenerator(Exported):
    """An exported model of latent codes, used like the model itself: `generate`, `sample`, and for auto-encoders `encode` and
    `reconstruct`."""

    def __init__(self, path, module):
        super().__init__(path, module)
        self.latent_dim = self.inputs("serving_default")["z"].shape[1]
        self.classes = self.inputs("blend")["labels"].shape[1] if "blend" in self.signatures else 0
        self.image_shape = tuple(self.signatures["serving_default"].structured_outputs["images"].shape[1:])
        if "reconstruct" in self.signatures:
            self.encode, self.reconstruct = self._encode, self._reconstruct

    def __call__(self, z, **labels):
        """float32 z (n, latent_dim) -> uint8 images (n, h, w, c); a conditional model also takes labels=."""
        return self.signatures["serving_default"](z=tf.convert_to_tensor(z, tf.float32), **labels)["images"]

    def latent(self, n, seed):
        """n draws of z for an integer seed: float32 (n, latent_dim)."""
        return latent(n, self.latent_dim, seed)

    def generate(self, z, labels=None):
        """uint8 array (n, h, w, c) for given codes; see `LatentModel.generate`."""
        z = check_codes(z, self.latent_dim)
        if not self.classes:
            condition_of(labels, len(z), 0)  # refuses labels
            return in_batches(lambda z: self(z), z)
        (condition,) = condition_of(labels, len(z), self.classes)
        return in_batches(lambda z, y: self.signatures["blend"](z=tf.constant(z), labels=tf.constant(y))["images"], z, condition)

    def sample(self, n, seed=0, labels=None):
        """uint8 array (n, h, w, c) for an integer seed; see `LatentModel.sample`."""
        return self.generate(self.latent(n, seed), in_turn(labels, n))

    def _encode(self, images, labels=None):
        """mean and log variance of uint8 images, float32 (n, latent_dim)."""
        return np.split(self.of_images("encode", images, labels, lambda found: tf.concat([found["mean"], found["log_variance"]], 1)), 2, 1)

    def _reconstruct(self, images, labels=None):
        """uint8 images as their codes decode."""
        return self.of_images("reconstruct", images, labels, lambda found: found["images"])

    def of_images(self, signature, images, labels, output):
        condition = condition_of(labels, len(images), self.classes)
        if condition and self.inputs(signature)["labels"].dtype.is_integer:
            if np.any(np.sort(condition[0], axis=1)[:, -2:] != (0, 1)):
                raise UserError("this exported model encodes images of one class each, received vectors that are not one-hot")
            condition = [condition[0].argmax(axis=1).astype(np.int32)]
        names = ("images", "labels")[: 1 + len(condition)]
        return in_batches(lambda *parts: output(self.signatures[signature](**dict(zip(names, parts, strict=True)))), images, *condition)

    def probe(self):
        return self.sample(16, seed=1)


class ExportedStylizer(Exported):
    """An exported model of style, used like the model itself: `stylize`."""

    def __init__(self, path, module):
        super().__init__(path, module)
        self.styles_wanted = "styles" in self.inputs("stylize")

    def stylize(self, image, styles=None, alpha=1.0, style_weights=None, own=None):
        """A picture in a style; see `AdaIN.stylize`. A model of one style takes the picture alone."""
        if self.styles_wanted:
            return stylize_by_moments(self.moments, self.paint, image, styles, alpha, style_weights, own)
        check_picture(image)
        return self.signatures["stylize"](images=tf.constant(image[None]))["images"][0].numpy()

    def moments(self, image):
        """See `AdaIN.moments`."""
        check_picture(image, least=32)
        return self.signatures["moments"](image=tf.constant(image))["moments"].numpy()

    def paint(self, image, own, style, alpha):
        return self.signatures["paint"](image=tf.constant(image), own=own, style=style, alpha=alpha)["image"].numpy()

    def probe(self):
        return probe_of(self)


def load_exported(path):
    """The SavedModel of the zoo in a folder."""
    module = tf.saved_model.load(str(path))
    if "translate" in module.signatures:
        return ExportedTranslator(path, module)
    if "stylize" in module.signatures:
        return ExportedStylizer(path, module)
    if "serving_default" in module.signatures and "z" in module.signatures["serving_default"].structured_input_signature[1]:
        return ExportedGenerator(path, module)
    raise UserError(f"{path} is no SavedModel of this zoo: it has no signature with z, translate or stylize")


def load(source):
    """A trained model.

    Args:
        source: a run directory (of its last checkpoint), an exported SavedModel, or the name of a trained preset.

    Returns:
        The `ZooModel` for a run directory, an `Exported` otherwise; both have `sample(n, seed)`, or `translate(images)`.

    Raises:
        UserError: there is no such thing.
    """
    path = pathlib.Path(source)
    if presets.is_run(path):
        return load_run(path)
    if (path / "saved_model.pb").is_file():
        return load_exported(path)
    trained = published.folder(str(source))
    if trained:
        return load_exported(trained)
    if str(source) in presets.PRESETS:
        presets.experiment(str(source)).check_trains()
        raise UserError(f"the preset {source} is not trained here; train it with: tfgan-zoo train {source}")
    raise UserError(
        f"a run directory, a SavedModel or a trained preset is needed{nearest(source, presets.PRESETS)}, received {str(source)!r}"
    )


def load_that(does, source):
    """`load`, refusing a model that cannot do what is wanted: "sample", "translate" or "stylize"."""
    model = load(source)
    if not hasattr(model, does):
        others = {"sample": "makes images from nothing", "translate": "translates images", "stylize": "gives images a style"}
        other = next(verb for verb in others if hasattr(model, verb))
        raise UserError(f"this model {others[other]}: use tfgan-zoo {other}, received {str(source)!r}")
    return model


def experiment_of(source):
    """The experiment behind a source that `load` takes, or None for a SavedModel without one."""
    path = pathlib.Path(source)
    if not (path / "experiment.json").is_file():
        path = published.folder(str(source)) or path
    return presets.read_experiment(path) if (path / "experiment.json").is_file() else None


def load_run(run):
    experiment = presets.read_experiment(run)
    latest = tf.train.latest_checkpoint(str(run / "checkpoints"))
    if latest is None:
        raise UserError(f"{run} has no checkpoint yet: no epoch was finished; go on with: tfgan-zoo train {run}")
    try:
        model = MODELS[experiment.kind](experiment.model, dtype=experiment.train.precision)
    except UserError as error:  # AdaIN's encoder comes from a file
        saved = run / "saved_model"
        more = f"; {saved} has all that is needed" if (saved / "saved_model.pb").is_file() else ""
        raise UserError(f"{error}{more}") from None
    tf.train.Checkpoint(model=model).restore(latest).assert_existing_objects_matched().expect_partial()
    return model


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
    if not presets.is_run(run):
        raise UserError(f"a run directory (with experiment.json) is needed, received {str(run)!r}")
    if folder.exists() and any(folder.iterdir()):
        if not (folder / "saved_model.pb").is_file():
            raise UserError(f"{folder} exists and is no SavedModel: choose another folder")
        if not replace:
            raise UserError(f"{folder} is already there: choose another folder or remove it first")
    model = load_run(run)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    save(model, partial, compact)
    worst = difference(model, load_exported(partial))
    if worst > 1:
        shutil.rmtree(partial)
        if compact:
            raise UserError(f"with weights of float16 images change by up to {worst} levels of 255, more than 1: export it as it is")
        raise RuntimeError(f"the exported model differs from the model by {worst} levels of 255")
    save_picture(model, run, partial / "samples.png")
    (partial / "README.md").write_text(model_card(run, model, compact))
    (partial / "experiment.json").write_text(presets.read_experiment(run).to_json() + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder


def save(model, path, compact=False):
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
        pairs = [(weight, half(weight)) for weight in model.variables if weight.value.ref() in used and weight.dtype == "float32"]

        def with_halves(*args):
            with keras.StatelessScope([(weight, tf.cast(stored, tf.float32)) for weight, stored in pairs]):
                return function(*args)

        return tf.function(with_halves, input_signature=specs).get_concrete_function()

    functions = {name: graph(*signature) for name, signature in model.signatures().items()}
    module = tf.Module()
    # Only the variables that the signatures use: no discriminator, no optimizers.
    module.used = list({v.ref(): v for function in functions.values() for v in function.variables}.values())
    tf.saved_model.save(module, str(path), signatures=functions)


def difference(model, exported):
    """By how many levels of 255 the SavedModel's images differ from the model's at most."""
    return np.abs(model.probe().astype(int) - exported.probe()).max()


def save_picture(model, run, path):
    """What the model makes: samples, the embedded photographs in a style, or the run's newest page of translations, if there is one."""
    if hasattr(model, "sample"):
        columns = 2 * model.classes if 0 < model.classes <= 10 else 16
        pictures.save_grid(model.sample(4 * columns, seed=0), path, columns)
        return
    if hasattr(model, "stylize"):
        images, columns = in_styles(model)
        pictures.save_grid(images, path, columns)
        return
    pages = sorted((run / "samples").glob("epoch_*.png"))
    if pages:
        shutil.copy(pages[-1], path)


def in_styles(model):
    """The embedded photographs, and what a model of style makes of them (of any style: with the embedded ones above), (images, columns)."""
    styles = [embedded.style(name, 256) for name in embedded.STYLES] if model.styles_wanted else []
    rows = [[np.full((256, 256, 3), 255, np.uint8), *styles]] if styles else []
    for name in embedded.PHOTOGRAPHS:
        photograph = to_longer(embedded.photograph(name), 256)
        rows.append([photograph, *([model.stylize(photograph, [style]) for style in styles] or [model.stylize(photograph)])])
    return on_one_size([image for row in rows for image in row]), len(rows[0])
