"""A model as a SavedModel that runs with TensorFlow alone, with a model card beside it; and `load` for everything that was trained."""

import inspect
import json
import pathlib
import shutil
import sys

import numpy as np
import tensorflow as tf

from tfgan_zoo import __version__, callbacks, data, pictures, presets
from tfgan_zoo.config import UserError, nearest
from tfgan_zoo.models import MODELS


class Exported:
    """A SavedModel of the zoo: `sample(n, seed)`, and calling it as its default signature."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.module = tf.saved_model.load(str(path))
        self.signatures = self.module.signatures

    def __call__(self, z):
        """float32 z (n, latent_dim) -> uint8 images (n, s, s, c)."""
        return self.signatures["serving_default"](tf.convert_to_tensor(z, tf.float32))["images"]

    def sample(self, n, seed=0):
        """uint8 array (n, s, s, c) for an integer seed."""
        return self.signatures["sample"](n=tf.constant(n, tf.int32), seed=tf.constant(seed, tf.int32))["images"].numpy()


def load(source):
    """A trained model.

    Args:
        source: a run directory (of its last checkpoint), an exported SavedModel, or the name of a trained preset.

    Returns:
        The `ZooModel` for a run directory, an `Exported` otherwise; both have `sample(n, seed)`.

    Raises:
        UserError: there is no such thing.
    """
    path = pathlib.Path(source)
    if (path / "experiment.json").is_file():
        return load_run(path)
    if (path / "saved_model.pb").is_file():
        return Exported(path)
    trained = presets.trained(str(source))
    if trained:
        return Exported(trained)
    if str(source) in presets.PRESETS:
        raise UserError(f"the preset {source} is not trained here; train it with: tfgan-zoo train {source}")
    raise UserError(
        f"a run directory, a SavedModel or a trained preset is needed{nearest(source, presets.PRESETS)}, received {str(source)!r}"
    )


def load_run(run):
    experiment = presets.read_experiment(run)
    latest = tf.train.latest_checkpoint(str(run / "checkpoints"))
    if latest is None:
        raise UserError(f"{run} has no checkpoint yet: no epoch was finished; go on with: tfgan-zoo train {run}")
    model = MODELS[experiment.kind](experiment.model, dtype=experiment.train.precision)
    tf.train.Checkpoint(model=model).restore(latest).assert_existing_objects_matched().expect_partial()
    return model


def export(run, folder=None, replace=False):
    """Exports a run's model as a SavedModel with a model card, reads it back and compares it with the model.

    Args:
        run: a run directory.
        folder: where the SavedModel goes; <run>/saved_model where it is missing.
        replace: whether a SavedModel that is already there may be replaced.

    Returns:
        The path of the SavedModel.

    Raises:
        UserError: not a run directory, or the folder is taken.
    """
    run = pathlib.Path(run)
    folder = pathlib.Path(folder or run / "saved_model")
    if not (run / "experiment.json").is_file():
        raise UserError(f"a run directory (with experiment.json) is needed, received {str(run)!r}")
    if folder.exists() and any(folder.iterdir()):
        if not (folder / "saved_model.pb").is_file():
            raise UserError(f"{folder} exists and is no SavedModel: choose another folder")
        if not replace:
            raise UserError(f"{folder} is already there: choose another folder or remove it first")
    model = load_run(run)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    save(model, partial)
    compare(model, Exported(partial))
    pictures.save_grid(model.sample(64, seed=0), partial / "samples.png", columns=16)
    (partial / "README.md").write_text(model_card(run, model))
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder


def save(model, path):
    """Writes `model.signatures()` as a SavedModel."""
    functions = {
        name: tf.function(function, input_signature=specs).get_concrete_function() for name, (function, specs) in model.signatures().items()
    }
    module = tf.Module()
    # Only the variables that the signatures use: no discriminator, no optimizers.
    module.used = list({v.ref(): v for function in functions.values() for v in function.variables}.values())
    tf.saved_model.save(module, str(path), signatures=functions)


def compare(model, exported):
    """Raises `RuntimeError` unless the SavedModel gives the model's images, to 1 level of 255."""
    worst = np.abs(model.sample(16, seed=1).astype(int) - exported.sample(16, seed=1)).max()
    if worst > 1:
        raise RuntimeError(f"the exported model differs from the model by {worst} levels of 255")


def model_card(run, model):
    """The Markdown page about a run's model: what, data, command, seed, time, machine, numbers."""
    experiment = presets.read_experiment(run)
    result = json.loads((run / "result.json").read_text()) if (run / "result.json").is_file() else {}
    changed = experiment.differences(presets.experiment(experiment.preset))
    command = " ".join(["tfgan-zoo train", experiment.preset, *(f"{name}={mine}" for name, (mine, _) in changed.items())])
    rows = callbacks.read_metrics(run / "metrics.csv")
    about = inspect.getdoc(sys.modules[type(model).__module__]).split("\n\n")
    skipped = ("epoch", "step", "seconds", "images_per_second")
    numbers = "\n".join(f"| {name} | {value} |" for name, value in rows[-1].items() if name not in skipped)
    parameters = ", ".join(
        f"{name} {sum(int(np.prod(v.shape)) for v in variables):,}" for name, variables in model.player_variables().items()
    )
    seconds = sum(float(row["seconds"]) for row in rows)
    return f"""# {experiment.preset}

{about[0]}

{about[1]}

![samples](samples.png)

| | |
|---|---|
| model | {experiment.kind}, {experiment.model.image_size}x{experiment.model.image_size}x{experiment.model.channels} |
| trainable parameters | {parameters} |
| data | {result.get("data", experiment.data.dataset)} |
| licence of the data | {data.LICENCES.get(experiment.data.dataset, "the owner's")} |
| command | `{command}` |
| seed | {experiment.train.seed} |
| training | {rows[-1]["epoch"]} epochs, {rows[-1]["step"]} steps, {callbacks.clock(seconds)} |
| machine | {result.get("machine", "unknown")} |
| weights (SHA-256) | `{model.digest()}` |
| made by | tfgan_zoo {__version__} |

Means over the last epoch (losses tell whether the game is balanced, not how good the images are):

| | |
|---|---|
{numbers}

## Use

With TensorFlow alone:

```python
import tensorflow as tf

model = tf.saved_model.load("{experiment.preset}")
images = model.signatures["sample"](n=tf.constant(64), seed=tf.constant(0))["images"]  # uint8 (64, s, s, c)
```

`serving_default` takes `z`, float32 (n, {experiment.model.latent_dim}) from N(0, 1), and gives uint8 images. With tfgan_zoo:
`tfgan-zoo sample DIRECTORY -n 64 --seed 0 -o samples.png`.

## Limits

It makes images like those it was trained on and nothing else; rare kinds of image may be missing among its samples.
"""
