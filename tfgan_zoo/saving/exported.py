"""Load exported models, and anything else that was trained."""

import hashlib
import pathlib

import numpy as np
import tensorflow as tf

from tfgan_zoo import presets
from tfgan_zoo.errors import UserError, check_choice, suggestion
from tfgan_zoo.models.latent import (
    check_codes,
    condition_inputs,
    cycle_labels,
    map_batches,
    sample_latent,
)
from tfgan_zoo.models.stylization import (
    check_image,
    reference_stylizations,
    stylize_with_statistics,
)
from tfgan_zoo.models.translation import DIRECTIONS, check_images, reference_translations
from tfgan_zoo.runs import is_run_directory, load_model, read_experiment
from tfgan_zoo.saving import hub


class Exported:
    """A SavedModel of the zoo."""

    task: str
    encodes = False  # whether it has `encode` and `reconstruct`
    has_likelihood = False  # whether it has `densities`

    def __init__(self, path, module):
        self.path = pathlib.Path(path)
        self.module = module  # the signatures live as long as it does
        self.signatures = module.signatures

    def inputs(self, signature):
        """The specs of a signature's inputs by name."""
        return self.signatures[signature].structured_input_signature[1]

    def weights_sha256(self):
        """SHA-256 of the file of weights."""
        sha = hashlib.sha256()
        for file in sorted((self.path / "variables").iterdir()):
            sha.update(file.read_bytes())
        return sha.hexdigest()


class ExportedTranslator(Exported):
    """An exported translation model, used like the model itself: `translate`."""

    task = "translate"

    def __init__(self, path, module):
        super().__init__(path, module)
        self.directions = tuple(
            direction for direction in DIRECTIONS if f"translate_{direction}" in self.signatures
        )
        self.stochastic = "seed" in self.inputs("translate")

    def channels(self, direction):
        """(of the input, of the output) of a direction."""
        check_choice("direction", direction, self.directions)
        signature = self.signatures[f"translate_{direction}"]
        return self.inputs(f"translate_{direction}")["images"].shape[
            -1
        ], signature.structured_outputs["images"].shape[-1]

    def translate(self, images, direction="xy", seed=0):
        """Translated images; see `TranslationModel.translate`. It knows 8 bits alone."""
        images = np.asarray(images)
        check_images(images, self.channels(direction)[0])
        if images.dtype != np.uint8:
            raise UserError(f"an exported model takes uint8 images, received {images.dtype}")
        many, seeds = (
            images[None] if images.ndim == 3 else images,
            {"seed": tf.constant(seed)} if self.stochastic else {},
        )
        signature = self.signatures[f"translate_{direction}"]
        out = [
            signature(images=tf.constant(many[i : i + 1]), **seeds)["images"]
            for i in range(len(many))
        ]
        return out[0][0].numpy() if images.ndim == 3 else np.concatenate(out)

    def reference_outputs(self):
        return reference_translations(self)


class ExportedGenerator(Exported):
    """An exported model of latent codes, used like the model itself: `generate`, `sample`, and for auto-encoders `encode` and
    `reconstruct`."""

    task = "generate"

    def __init__(self, path, module):
        super().__init__(path, module)
        self.latent_dim = self.inputs("serving_default")["z"].shape[1]
        self.classes = self.inputs("blend")["labels"].shape[1] if "blend" in self.signatures else 0
        self.image_shape = tuple(
            self.signatures["serving_default"].structured_outputs["images"].shape[1:]
        )
        self.encodes = "reconstruct" in self.signatures

    def __call__(self, z, **labels):
        """float32 z (n, latent_dim) -> uint8 images (n, h, w, c); a conditional model also takes labels=."""
        return self.signatures["serving_default"](z=tf.convert_to_tensor(z, tf.float32), **labels)[
            "images"
        ]

    def latent(self, n, seed):
        """n draws of z for an integer seed: float32 (n, latent_dim)."""
        return sample_latent(n, self.latent_dim, seed)

    def generate(self, z, labels=None):
        """uint8 array (n, h, w, c) for given codes; see `LatentModel.generate`."""
        z = check_codes(z, self.latent_dim)
        if not self.classes:
            condition_inputs(labels, len(z), 0)  # refuses labels
            return map_batches(lambda z: self(z), z)
        (condition,) = condition_inputs(labels, len(z), self.classes)
        return map_batches(
            lambda z, y: self.signatures["blend"](z=tf.constant(z), labels=tf.constant(y))[
                "images"
            ],
            z,
            condition,
        )

    def sample(self, n, seed=0, labels=None):
        """uint8 array (n, h, w, c) for an integer seed; see `LatentModel.sample`."""
        return self.generate(self.latent(n, seed), cycle_labels(labels, n))

    def encode(self, images, labels=None):
        """mean and log variance of uint8 images, float32 (n, latent_dim)."""
        return np.split(
            self.of_images(
                "encode",
                images,
                labels,
                lambda found: tf.concat([found["mean"], found["log_variance"]], 1),
            ),
            2,
            1,
        )

    def reconstruct(self, images, labels=None):
        """uint8 images as their codes decode."""
        return self.of_images("reconstruct", images, labels, lambda found: found["images"])

    def of_images(self, signature, images, labels, output):
        condition = condition_inputs(labels, len(images), self.classes)
        if condition and self.inputs(signature)["labels"].dtype.is_integer:
            if np.any(np.sort(condition[0], axis=1)[:, -2:] != (0, 1)):
                raise UserError(
                    "this exported model encodes images of one class each, received vectors that are not one-hot"
                )
            condition = [condition[0].argmax(axis=1).astype(np.int32)]
        names = ("images", "labels")[: 1 + len(condition)]
        return map_batches(
            lambda *parts: output(
                self.signatures[signature](**dict(zip(names, parts, strict=True)))
            ),
            images,
            *condition,
        )

    def reference_outputs(self):
        return self.sample(16, seed=1)


class ExportedStylizer(Exported):
    """An exported model of style, used like the model itself: `stylize`."""

    task = "stylize"

    def __init__(self, path, module):
        super().__init__(path, module)
        self.takes_styles = "styles" in self.inputs("stylize")

    def stylize(self, image, styles=None, alpha=1.0, style_weights=None, own=None):
        """A picture in a style; see `AdaIN.stylize`. A model of one style takes the picture alone."""
        if self.takes_styles:
            return stylize_with_statistics(
                self.moments, self.paint, image, styles, alpha, style_weights, own
            )
        check_image(image)
        return self.signatures["stylize"](images=tf.constant(image[None]))["images"][0].numpy()

    def moments(self, image):
        """See `AdaIN.moments`."""
        check_image(image, least=32)
        return self.signatures["moments"](image=tf.constant(image))["moments"].numpy()

    def paint(self, image, own, style, alpha):
        return self.signatures["paint"](
            image=tf.constant(image), own=own, style=style, alpha=alpha
        )["image"].numpy()

    def reference_outputs(self):
        return reference_stylizations(self)


def load_exported(path):
    """The SavedModel of the zoo in a folder."""
    module = tf.saved_model.load(str(path))
    if "translate" in module.signatures:
        return ExportedTranslator(path, module)
    if "stylize" in module.signatures:
        return ExportedStylizer(path, module)
    if (
        "serving_default" in module.signatures
        and "z" in module.signatures["serving_default"].structured_input_signature[1]
    ):
        return ExportedGenerator(path, module)
    raise UserError(
        f"{path} is no SavedModel of this zoo: it has no signature with z, translate or stylize"
    )


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
    if is_run_directory(path):
        return load_model(path)
    if (path / "saved_model.pb").is_file():
        return load_exported(path)
    trained = hub.find_or_download(str(source))
    if trained:
        return load_exported(trained)
    if str(source) in presets.PRESETS:
        presets.experiment(str(source)).check_trains()
        raise UserError(
            f"the preset {source} is not trained here; train it with: tfgan-zoo train {source}"
        )
    raise UserError(
        f"a run directory, a SavedModel or a trained preset is needed{suggestion(source, presets.PRESETS)}, received {str(source)!r}"
    )


COMMANDS = {  # task: what such a model does, and the command for it
    "generate": ("generates images from noise", "sample"),
    "translate": ("translates images", "translate"),
    "stylize": ("stylizes images", "stylize"),
}


def load_for_task(task, source):
    """Load a model and check its task.

    Args:
        task: "generate", "translate" or "stylize".
        source: as for `load`.

    Raises:
        UserError: as `load`, or the model has another task.
    """
    model = load(source)
    if model.task != task:
        does, command = COMMANDS[model.task]
        raise UserError(f"this model {does}: use tfgan-zoo {command}, received {str(source)!r}")
    return model


def load_experiment(source):
    """The experiment behind a source that `load` takes, or None for a SavedModel without one."""
    path = pathlib.Path(source)
    if not (path / "experiment.json").is_file():
        path = hub.find_or_download(str(source)) or path
    return read_experiment(path) if (path / "experiment.json").is_file() else None
