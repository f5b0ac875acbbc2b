"""Load exported models, and any other trained model by its path or name.

An exported model has the methods of the model that it was exported from. They call the signatures
of the SavedModel, and need no Keras.
"""

import functools
import hashlib
import os
import pathlib
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tfgan_zoo import presets
from tfgan_zoo.errors import FailureError, UserError, check_choice, first_line, suggestion
from tfgan_zoo.files import without_wildcards
from tfgan_zoo.model_methods import (
    DIRECTIONS,
    check_codes,
    check_image,
    check_images,
    condition_inputs,
    cycle_labels,
    map_batches,
    reference_stylizations,
    reference_translations,
    sample_latent,
    stylize_with_statistics,
)
from tfgan_zoo.runs import (
    EXPERIMENT,
    is_run_directory,
    load_model,
    read_class_names,
    read_experiment,
)
from tfgan_zoo.saving import hub

if TYPE_CHECKING:
    from tfgan_zoo.models.base import ZooModel


class Exported:
    """SavedModel of a `ZooModel`; one subclass for each task.

    Attributes:
        task: "generate", "translate" or "stylize".
        identified_by: (signature, input) that SavedModels of this task have, and no others.
        encodes: True if the model has `encode` and `reconstruct`.
        has_likelihood: True if the model has `densities`.
    """

    task: str
    identified_by: tuple[str, str]
    encodes = False
    has_likelihood = False

    def __init__(self, path, module):
        self.path = pathlib.Path(path)
        self.module = module  # the signatures are valid only as long as the module exists
        self.signatures = module.signatures

    def inputs(self, signature):
        """Return the specs of a signature's inputs: {name: tf.TensorSpec}."""
        return input_specs(self.signatures[signature])

    @functools.cached_property
    def zoo_model(self):
        """The `ZooModel` that was exported: rebuilt from experiment.json, with these weights.

        Raises:
            UserError: experiment.json is missing, or it is not that of these weights.
        """
        from tfgan_zoo.models import MODELS  # imports Keras, which is slow

        file = self.path / EXPERIMENT
        if not file.is_file():
            raise UserError(
                f"{file} is missing, so the model cannot be rebuilt. Copy it from the original "
                "SavedModel. Without it, images are processed whole (--tile 0)."
            )
        experiment = read_experiment(self.path)
        model = MODELS[experiment.kind](experiment.model, dtype=experiment.train.precision)
        functions = model.signatures()
        fits = functions.keys() == self.signatures.keys() and all(
            copy_weights(self.signatures[name].variables, model, *functions[name])
            for name in functions
            if name not in ("translate", "serving_default")  # the same functions as others
        )
        if not fits or max_difference(model, self) > 1:
            raise UserError(f"{file} is not the experiment of this SavedModel.")
        return model

    def weights_sha256(self):
        """Return the SHA-256 of the files of weights.

        It differs from `ZooModel.weights_sha256`, which is that of the values of the weights.
        """
        digest = hashlib.sha256()
        for file in sorted((self.path / "variables").iterdir()):
            digest.update(file.read_bytes())
        return digest.hexdigest()


class ExportedGenerator(Exported):
    """Exported model of latent codes, with the methods of `LatentModel`.

    Attributes:
        latent_dim: Length of a code z.
        classes: Length of the condition, 0 for an unconditional model.
        clustered: True if the labels are clusters of the training images.
        class_names: Names of the classes, or of the entries of vectors; empty if unknown.
        image_shape: (height, width, channels).
    """

    task = "generate"
    identified_by = ("serving_default", "z")

    def __init__(self, path, module):
        super().__init__(path, module)
        images = self.signatures["serving_default"].structured_outputs["images"]
        self.latent_dim = self.inputs("serving_default")["z"].shape[1]
        self.classes = self.inputs("blend")["labels"].shape[1] if "blend" in self.signatures else 0
        self.clustered = "draw_labels" in self.signatures
        self.class_names = read_class_names(path) if self.classes else ()
        self.image_shape = tuple(images.shape[1:])
        self.encodes = "reconstruct" in self.signatures

    def __call__(self, z, **labels):
        """Generate images with the default signature.

        Args:
            z: float32 (n, latent_dim).
            **labels: `labels=` for a conditional model.

        Returns:
            uint8 tensor (n, h, w, c).
        """
        z = tf.convert_to_tensor(z, tf.float32)
        return self.signatures["serving_default"](z=z, **labels)["images"]

    def latent(self, n, seed):
        """Draw n codes z from N(0, I) for an integer seed: float32 (n, latent_dim)."""
        return sample_latent(n, self.latent_dim, seed)

    def default_labels(self, n, seed=0):
        """Draw the clusters of n images; see `LatentModel.default_labels`."""
        if not self.clustered:
            return None
        return self.signatures["draw_labels"](n=tf.constant(n), seed=tf.constant(seed))["labels"]

    def generate(self, z, labels=None):
        """Generate uint8 images (n, h, w, c) from codes; see `LatentModel.generate`."""
        z = check_codes(z, self.latent_dim)
        labels = self.default_labels(len(z)) if labels is None else labels
        condition = condition_inputs(labels, len(z), self.classes, self.class_names)
        if not condition:
            return map_batches(self, z)

        def blend(z, labels):
            return self.signatures["blend"](z=z, labels=labels)["images"]

        return map_batches(blend, z, *condition)

    def sample(self, n, seed=0, labels=None):
        """Generate n uint8 images (n, h, w, c) for a seed; see `LatentModel.sample`."""
        labels = self.default_labels(n, seed) if labels is None else labels
        return self.generate(self.latent(n, seed), cycle_labels(labels, n))

    def encode(self, images, labels=None):
        """Return the mean and log variance of uint8 images' codes, each float32 (n, latent_dim)."""

        def concatenate(outputs):
            return tf.concat([outputs["mean"], outputs["log_variance"]], axis=1)

        codes = self._map_images("encode", concatenate, images, labels)
        return np.split(codes, 2, axis=1)

    def reconstruct(self, images, labels=None):
        """Encode and decode uint8 images (n, h, w, c)."""
        return self._map_images("reconstruct", lambda outputs: outputs["images"], images, labels)

    def _map_images(self, signature, select, images, labels):
        """Apply a signature to images in batches; `select` returns one tensor of its outputs."""
        arrays = {"images": images}
        condition = condition_inputs(labels, len(images), self.classes, self.class_names)
        if condition:
            arrays["labels"] = condition[0]
            if self.inputs(signature)["labels"].dtype.is_integer:
                arrays["labels"] = one_hot_to_integers(condition[0])

        def apply(*tensors):
            inputs = dict(zip(arrays, tensors, strict=True))
            return select(self.signatures[signature](**inputs))

        return map_batches(apply, *arrays.values())

    def reference_outputs(self):
        """Return fixed-seed outputs, equal to the original model's to within 1/255."""
        return self.sample(16, seed=1)


class ExportedTranslator(Exported):
    """Exported translation model, with the methods of `TranslationModel`.

    Attributes:
        directions: ("xy",) or ("xy", "yx").
        stochastic: True if translations depend on a seed.
    """

    task = "translate"
    identified_by = ("translate", "images")

    def __init__(self, path, module):
        super().__init__(path, module)
        self.directions = tuple(
            direction for direction in DIRECTIONS if f"translate_{direction}" in self.signatures
        )
        self.stochastic = "seed" in self.inputs("translate")

    def channels(self, direction):
        """Return the numbers of channels (of the input, of the output) of a direction."""
        check_choice("direction", direction, self.directions)
        signature = self.signatures[f"translate_{direction}"]
        images, translated = (
            input_specs(signature)["images"],
            signature.structured_outputs["images"],
        )
        return images.shape[-1], translated.shape[-1]

    def translate(self, images, direction="xy", seed=0):
        """Translate uint8 images, (h, w, c) or (n, h, w, c); see `TranslationModel.translate`."""
        images = np.asarray(images)
        check_images(images, self.channels(direction)[0])
        if images.dtype != np.uint8:
            raise UserError(f"an exported model takes uint8 images, got {images.dtype}.")
        signature = self.signatures[f"translate_{direction}"]
        options = {"seed": tf.constant(seed)} if self.stochastic else {}
        batch = images[None] if images.ndim == 3 else images
        outputs = [
            signature(images=tf.constant(batch[i : i + 1]), **options)["images"]
            for i in range(len(batch))
        ]
        return outputs[0][0].numpy() if images.ndim == 3 else np.concatenate(outputs)

    def reference_outputs(self):
        """Return fixed-seed outputs, equal to the original model's to within 1/255."""
        return reference_translations(self)


class ExportedStylizer(Exported):
    """Exported stylization model, with the methods of `AdaIN` or `FastStyle`.

    Attributes:
        takes_styles: True if `stylize` takes style images; False for a model of one style.
        multiple: tiles of a model that takes styles begin at multiples of this.
    """

    task = "stylize"
    identified_by = ("stylize", "images")
    multiple = 8

    def __init__(self, path, module):
        super().__init__(path, module)
        self.takes_styles = "styles" in self.inputs("stylize")

    def stylize(self, image, styles=None, alpha=1.0, style_weights=None, own=None):
        """Stylize one uint8 image (h, w, 3); see `AdaIN.stylize`.

        A model of one style ignores the other arguments.
        """
        if self.takes_styles:
            return stylize_with_statistics(
                self.moments, self.paint, image, styles, alpha, style_weights, own
            )
        check_image(image)
        return self.signatures["stylize"](images=tf.constant(image[None]))["images"][0].numpy()

    def moments(self, image):
        """Return the statistics of an image's features; see `AdaIN.moments`."""
        check_image(image, least=32)
        return self.signatures["moments"](image=tf.constant(image))["moments"].numpy()

    def paint(self, image, own, style, alpha):
        """Stylize an image with given statistics; see `AdaIN.paint`."""
        outputs = self.signatures["paint"](
            image=tf.constant(image), own=own, style=style, alpha=alpha
        )
        return outputs["image"].numpy()

    def reference_outputs(self):
        """Return fixed outputs, equal to the original model's to within 1/255."""
        return reference_stylizations(self)


EXPORTED = {cls.task: cls for cls in (ExportedGenerator, ExportedTranslator, ExportedStylizer)}


def load_exported(path):
    """Load a SavedModel that this package exported.

    Raises:
        UserError: The SavedModel was not exported by this package.
        FailureError: The SavedModel is damaged.
    """
    try:
        with without_wildcards(path) as folder:
            module = tf.saved_model.load(str(folder))
    except Exception as error:  # damaged files cause many types of errors
        raise FailureError(
            f"the SavedModel {path} cannot be loaded ({first_line(error)}). Export it again, or "
            "copy all of its files again."
        ) from error
    for exported in EXPORTED.values():
        signature, name = exported.identified_by
        if signature in module.signatures and name in input_specs(module.signatures[signature]):
            return exported(path, module)
    expected = " or ".join(
        f"{signature}({name})"
        for signature, name in (cls.identified_by for cls in EXPORTED.values())
    )
    raise UserError(
        f"{path} is not a SavedModel of tfgan_zoo: it needs a signature {expected}, "
        f"got {', '.join(module.signatures) or 'none'}."
    )


def load(source: str | os.PathLike) -> "ZooModel | Exported":
    """Load a trained model.

    Args:
        source: A run directory (its last checkpoint is loaded), the folder of an exported
            SavedModel, a .keras file, the name of a pretrained preset, or an address of the
            Hugging Face Hub such as "hf://user/model".

    Returns:
        A `ZooModel` for a run directory or a .keras file, otherwise an `Exported`. Both have
        `sample(n, seed)`, `translate(images)` or `stylize(image)`, depending on their task. A
        `ZooModel` is not compiled. To continue the training of a .keras file, load it with
        `keras.models.load_model` after `import tfgan_zoo.models`.

    Raises:
        UserError: `source` is none of these, or the download failed.
    """
    path = pathlib.Path(source)
    if is_run_directory(path):
        return load_model(path)
    if (path / "saved_model.pb").is_file():
        return load_exported(path)
    if path.suffix == ".keras" and path.is_file():
        return load_keras_file(path)
    pretrained = hub.find_or_download(str(source))
    if pretrained:
        return load_exported(pretrained)
    raise unknown_source(source, "a run directory, a SavedModel, a .keras file")


def unknown_source(source, kinds):
    """Return the `UserError` for a source that is none of the kinds and no pretrained preset."""
    if str(source) in presets.PRESETS:
        presets.experiment(str(source)).check_trains()
        return UserError(
            f"this preset is not pretrained, got {str(source)!r}. "
            f"Train it: tfgan-zoo train {source}"
        )
    hint = suggestion(source, presets.PRESETS)
    needed = f"{kinds} or a pretrained preset is needed"
    return UserError(f"{needed}, got {str(source)!r}. {hint}".rstrip())


def load_keras_file(path):
    """Load a model from a .keras file, without its optimizers.

    Raises:
        UserError: the file is damaged, or it does not hold a model of tfgan_zoo.
    """
    import keras  # slow to import

    from tfgan_zoo.models.base import ZooModel

    try:
        model = keras.models.load_model(path, compile=False)
    except UserError:
        raise
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be loaded: {first_line(error)}") from None
    if not isinstance(model, ZooModel):
        raise UserError(
            f"{path} is not a model of tfgan_zoo, got a Keras model of type "
            f"{type(model).__name__}: load it with keras.models.load_model."
        )
    return model


TASK_COMMANDS = {  # task: (what such a model does, the command for it)
    "generate": ("generates images from noise", "sample"),
    "translate": ("translates images", "translate"),
    "stylize": ("stylizes images", "stylize"),
}


def load_for_task(task, source):
    """Load a model and check its task.

    Args:
        task: "generate", "translate" or "stylize".
        source: As for `load`.

    Raises:
        UserError: As `load`, or the model has another task.
    """
    model = load(source)
    if model.task != task:
        ability, command = TASK_COMMANDS[model.task]
        raise UserError(f"this model {ability}, got {str(source)!r}. Use tfgan-zoo {command}.")
    return model


def load_experiment(source):
    """Return the experiment of a source that `load` takes; None for a SavedModel without one."""
    path = pathlib.Path(source)
    if not (path / "experiment.json").is_file():
        path = hub.find_or_download(str(source)) or path
    return read_experiment(path) if (path / "experiment.json").is_file() else None


def copy_weights(source, model, function, specs):
    """Copy the weights of an exported function to the model that has the function.

    Args:
        source: variables of the exported function, in the order of the export.
        model: `ZooModel`.
        function: the same function of the model.
        specs: its input specs.

    Returns:
        False if the variables do not fit; then nothing is copied.
    """
    concrete = trace(function, specs)
    weights = {id(weight.handle): weight for weight in concrete.variables}
    # The order is that in which the function reads them. Weights that are stored as float16 are
    # read at its beginning, in the order of the model's variables: see `write_saved_model`.
    handles = [id(tensor) for tensor in concrete.captured_inputs]
    if any(variable.dtype == tf.float16 for variable in source):
        first = [id(weight.value.handle) for weight in model.variables if weight.dtype == "float32"]
        handles = [*first, *handles]
    weights = [weights[handle] for handle in dict.fromkeys(handles) if handle in weights]
    if [weight.shape for weight in weights] != [variable.shape for variable in source]:
        return False
    for weight, variable in zip(weights, source, strict=True):
        weight.assign(tf.cast(variable, weight.dtype))
    return True


def trace(function, specs):
    """Return the concrete function of a signature: a function and its input specs."""
    return tf.function(function, input_signature=specs).get_concrete_function()


def max_difference(model, exported):
    """Return the largest difference between reference outputs, in levels of 255."""
    return np.abs(model.reference_outputs().astype(int) - exported.reference_outputs()).max()


def input_specs(signature):
    """Return the specs of a signature's inputs: {name: tf.TensorSpec}."""
    return signature.structured_input_signature[1]


def one_hot_to_integers(condition):
    """Convert one-hot rows (n, classes) to int32 (n,), for models that encode by class.

    Raises:
        UserError: A row is not one-hot.
    """
    if np.any(np.sort(condition, axis=1)[:, -2:] != (0, 1)):
        raise UserError(
            "labels must be one class per image for an exported model, got vectors that are not "
            "one-hot. Use the run directory."
        )
    return condition.argmax(axis=1).astype(np.int32)
