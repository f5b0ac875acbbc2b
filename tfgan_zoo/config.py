"""Configuration: frozen dataclasses, their JSON form, and `section.field=value` overrides."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import types
import typing

from tfgan_zoo.errors import (
    MAX_COUNT,
    MAX_FLOAT,
    MAX_TRAIN_SEED,
    UserError,
    check_choice,
    check_range,
    did_you_mean,
    nearest_names,
    shortened,
    suggestion,
)

# data.preprocess
PREPROCESS = ("resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none")
# tfgan-zoo interpolate --path, here because the command line needs it before TensorFlow starts
LATENT_PATHS = ("spherical", "linear", "traversal", "manifold")
# model.features; the command line needs it before TensorFlow starts (see features/vgg.py)
PERCEPTUAL_NETWORKS = ("random", "small", "medium", "hed", "imagenet")
# Fields that may name a folder or a file.
FOLDERS = ("data.path", "data.path_y")
FILES = ("model.style", "model.features", "train.evaluate_features")


def check_features(name, value, names):
    """Raise `UserError` unless a feature network is one of `names` or the path of a Keras file."""
    if not value.endswith((".keras", ".h5", ".hdf5")):
        check_choice(name, value, (*names, "FILE.keras", "FILE.h5"))


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Base class of every model's configuration, with the facts that other stages need."""

    task: typing.ClassVar[str]  # generate, translate or stylize
    data_kind: typing.ClassVar[str] = "images"  # images, pairs, or domains (unpaired images)
    classes: typing.ClassVar[int] = 0  # length of the condition; 0: unconditional
    frozen_layers: typing.ClassVar[int] = 0  # layers of the discriminator that are not trained
    trains: typing.ClassVar[bool] = True  # False: the pixels of each image are optimized instead

    # Removed fields that old experiment.json files may have: (name, the value it must have).
    retired_fields: typing.ClassVar[tuple] = ()


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Dataset, preprocessing and augmentation.

    Random augmentation is drawn again for every image in every epoch.
    """

    dataset: str = "digits"  # name of a dataset, or folder; translation: also facades_synthetic
    path: str = ""  # folder of images, or of tensorflow-datasets (empty: its default)
    split: str = "train"  # train or test; folders and translation: also val (test if missing)
    batch_size: int = 128  # images per step, over all replicas
    limit: int = 0  # maximum number of images; 0: all
    flip: bool = False  # mirror horizontally with probability 1/2
    rotate: float = 0.0  # maximum random rotation in degrees, in both directions
    zoom: float = 0.0  # maximum random enlargement as a fraction, followed by a random crop
    binarize: str = "none"  # static: binarize once; resampled: draw pixels ~ gray level, each epoch
    binarize_seed: int = 0  # seed of the static binarization
    clusters: int = 0  # k-means clusters of the images as labels, for model.condition=cluster
    path_y: str = ""  # translation: folder of the second domain, if data.path is the first one
    direction: str = "xy"  # translation: xy from the first domain (A, left, labels); yx: reversed
    derive: str = ""  # translation: compute x from images y by gray, edges, hed or lowres
    preprocess: str = "resize_and_crop"  # or crop, scale_width, scale_width_and_crop, none
    resize: str = "bicubic"  # translation: bicubic with antialias, or nearest
    load_size: int = 0  # translation: pixels before the crop; 0: 286 / 256 of image_size
    holdout: float = 0.1  # translation: fraction held out for tests if a folder has no test split
    cache_gb: float = 4.0  # maximum GiB of decoded images in memory; more are decoded every epoch

    def __post_init__(self):
        check_choice("data.split", self.split, ("train", "test", "val"))
        check_choice("data.binarize", self.binarize, ("none", "static", "resampled"))
        check_choice("data.direction", self.direction, ("xy", "yx"))
        check_choice("data.derive", self.derive, ("", "gray", "edges", "hed", "lowres"))
        check_choice("data.resize", self.resize, ("bicubic", "nearest"))
        check_choice("data.preprocess", self.preprocess, PREPROCESS)
        check_range(1, 2**16, batch_size=self.batch_size)
        check_range(0, 2**13, load_size=self.load_size)
        check_range(0, MAX_TRAIN_SEED, binarize_seed=self.binarize_seed)
        check_range(0, MAX_COUNT, limit=self.limit)
        check_range(0, 10_000, clusters=self.clusters)
        check_range(0, 360, rotate=self.rotate)
        check_range(0, 100, zoom=self.zoom)
        check_range(0, MAX_FLOAT, cache_gb=self.cache_gb)
        if not 0 <= self.holdout < 1:
            raise UserError(f"data.holdout must be in [0, 1), got {self.holdout!r}.")
        if self.binarize == "static" and (self.rotate or self.zoom):
            raise UserError(
                "rotated or enlarged pixels are not binary: use data.binarize=resampled, "
                f"got data.binarize={self.binarize}."
            )


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Length of training, devices, seed, samples and evaluation."""

    epochs: int = 50  # passes over the training images
    steps_per_epoch: int = 0  # 0: the number of whole batches in the dataset
    start: str = ""  # run, SavedModel, .keras file or preset whose weights training starts from
    seed: int = 0  # decides initial weights, data order, augmentation and noise
    xla: str = "auto"  # auto: on for GPU and TPU, off for CPU, where it is slower; on; off
    strategy: str = "auto"  # auto, cpu, mirrored, multiworker (TF_CONFIG) or tpu
    replicas: int = 0  # mirrored: number of devices, 0: all; without GPUs they are logical CPUs
    precision: str = "float32"  # mixed_bfloat16, mixed_float16; auto: bfloat16 where it is fast
    steps_per_execution: int = 1  # steps per call of the graph; more: less overhead on fast devices
    sample_every: int = 1  # epochs between sample grids
    sample_count: int = 64  # images in a sample grid
    evaluate_every: int = 0  # epochs between evaluations (eval_... in metrics.csv); 0: none
    evaluate_metrics: str = ""  # comma-separated; empty: frechet_distance, l1 or style, by task
    evaluate_samples: int = 2000  # generated images; otherwise the maximum number of images
    evaluate_features: str = "auto"  # feature extractor, as tfgan-zoo evaluate --features
    best: str = ""  # score that selects the best epoch, saved in RUN/best, e.g. frechet_distance
    patience: int = 0  # evaluations without improvement before training stops; 0: never stop
    tensorboard: bool = False  # also write TensorBoard logs (needs the extra tensorboard)

    def __post_init__(self):
        check_choice("train.xla", self.xla, ("auto", "on", "off"))
        strategies = ("auto", "cpu", "mirrored", "multiworker", "tpu")
        check_choice("train.strategy", self.strategy, strategies)
        names = ("auto", "digits", "fashion", "inception", *PERCEPTUAL_NETWORKS)
        check_features("train.evaluate_features", self.evaluate_features, names)
        if self.replicas and self.strategy not in ("auto", "mirrored"):
            raise UserError(
                "train.replicas needs train.strategy=mirrored, "
                f"got replicas={self.replicas} with strategy={self.strategy}."
            )
        policies = ("float32", "mixed_bfloat16", "mixed_float16", "auto")
        check_choice("train.precision", self.precision, policies)
        check_range(1, MAX_COUNT, epochs=self.epochs, sample_every=self.sample_every)
        check_range(0, MAX_COUNT, steps_per_epoch=self.steps_per_epoch)
        check_range(0, MAX_COUNT, evaluate_every=self.evaluate_every, patience=self.patience)
        check_range(0, MAX_TRAIN_SEED, seed=self.seed)
        check_range(0, 64, replicas=self.replicas)
        check_range(1, 10_000, steps_per_execution=self.steps_per_execution)
        check_range(1, 10_000, sample_count=self.sample_count)
        check_range(50, 10**6, evaluate_samples=self.evaluate_samples)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Complete, serializable description of a training run.

    On one machine it determines the final weights bit for bit.
    """

    preset: str  # name of the preset that it was made from
    kind: str  # name of the model's class in tfgan_zoo.models.MODELS
    model: typing.Any  # configuration of that class
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()

    @property
    def data_kind(self):
        """Kind of the training data: "images", "pairs", or "domains" (unpaired images)."""
        return self.model.data_kind

    @property
    def task(self):
        """Task of the model: "generate", "translate" or "stylize"."""
        return self.model.task

    def check_trains(self):
        """Raise `UserError` if the model is not trained."""
        if not self.model.trains:
            raise UserError(
                f"there is nothing to train: use tfgan-zoo stylize --preset {self.preset}, "
                f"got {self.preset!r}."
            )

    def to_json(self) -> str:
        """Return the experiment as indented JSON, as in experiment.json."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    def override(self, *assignments: str) -> "Experiment":
        """Return a copy with changed fields.

        Args:
            *assignments: strings `section.field=value`; section is model, data or train.

        Raises:
            UserError: an unknown section or field, or a value that is not of the field's type.

        Example:
            >>> experiment = Experiment("preset", "GAN", DataConfig())
            >>> experiment.override("data.batch_size=32", "train.xla=off").data.batch_size
            32
        """
        # Replace all fields of a section at once, since a config checks them together.
        changes = {"model": {}, "data": {}, "train": {}}
        types = {section: field_types(type(getattr(self, section))) for section in changes}
        for assignment in assignments:
            section, field, text = parse_assignment(assignment, types, self.preset)
            changes[section][field] = parse_value(text, types[section][field], assignment)
        changed = {}
        for section, values in changes.items():
            if values:
                with section_in_errors(section, types[section]):
                    changed[section] = dataclasses.replace(getattr(self, section), **values)
        return dataclasses.replace(self, **changed)

    def fields(self):
        """Return all fields as `{"section.field": value}`, with preset and kind."""
        return flatten(dataclasses.asdict(self))

    def with_absolute_paths(self):
        """Return a copy with absolute paths, which are valid in any working directory."""
        fields = self.fields()
        paths = [name for name in FOLDERS if fields[name] and "://" not in fields[name]]
        paths += [name for name in FILES if is_file_path(fields.get(name))]
        start = pathlib.Path(self.train.start)
        files = (start, start / "experiment.json", start / "saved_model.pb")
        is_name = len(start.parts) < 2 and not any(file.is_file() for file in files)
        if not is_name and "://" not in self.train.start:
            paths.append("train.start")
        return self.override(*(f"{name}={os.path.abspath(fields[name])}" for name in paths))

    def file_contents(self):
        """Return {field: SHA-256 of the file, or the value if it names no file} of the `FILES`."""
        fields = self.fields()
        return {
            name: hashlib.sha256(pathlib.Path(fields[name]).read_bytes()).hexdigest()
            if is_file_path(fields[name])
            else fields[name]
            for name in FILES
            if name in fields
        }

    def differences(self, other):
        """Return the fields that differ, as `{"section.field": (this value, other value)}`."""
        mine, theirs = self.fields(), other.fields()
        return {
            name: (mine.get(name), theirs.get(name))
            for name in {**mine, **theirs}
            if mine.get(name) != theirs.get(name)
        }


def parse_assignment(assignment, sections, preset=""):
    """Split `section.field=value` into section, field and value.

    Args:
        assignment: the string.
        sections: {section: names of its fields}.
        preset: name of a preset with these fields, for the message.

    Raises:
        UserError: another form, or an unknown section or field. The message begins with the
            assignments that may be meant.
    """
    target, equals, text = assignment.partition("=")
    section, dot, field = target.partition(".")
    if section in sections and field in sections[section] and equals:
        return section, field, text
    names = field_suggestions(target, sections)
    value = text if equals and len(text) <= 100 and text.isprintable() else "VALUE"
    hint = did_you_mean([f"{name}={value}" for name in names])
    show = f"`tfgan-zoo show {preset or 'PRESET'}` shows all fields."
    if not (equals and dot):
        problem = f"An override has the form section.field=value, got {shortened(assignment)}."
        if equals and hint:
            problem = f"{shortened(assignment)} has no section."
        raise UserError(" ".join(filter(None, (problem, hint, show))))
    if section not in sections:
        listing = f"The sections are {', '.join(sections)}."
        problem = f"Unknown section {shortened(section)}."
    else:
        listing = f"Fields: {', '.join(sections[section])}."
        problem = f"{section} has no field {shortened(field)}."
    raise UserError(f"{problem} {hint} {show}" if hint else f"{problem} {listing}")


def field_suggestions(name, sections, limit=3):
    """Return the fields that a name may mean, as "section.field", the most similar first.

    Args:
        name: a field, with or without a section, such as `epochs`, `lr`, `batch-size` or
            `train.batch_size`.
        sections: {section: names of its fields}.
        limit: maximum number of fields.

    Example:
        >>> sections = {"data": ["batch_size"], "train": ["epochs", "seed"]}
        >>> field_suggestions("train.batch-size", sections), field_suggestions("bs", sections)
        (['data.batch_size'], ['data.batch_size'])
    """
    section, _, field = name.rpartition(".")
    field = field.replace("-", "_").lower()
    fields = {f"{section}.{name}": name for section, names in sections.items() for name in names}
    words = {full: name.split("_") for full, name in fields.items()}
    similar = nearest_names(field, sections.get(section) or dict.fromkeys(fields.values()), limit)
    candidates = (
        [full for full, name in fields.items() if name == field],
        [full for full, parts in words.items() if "".join(part[:1] for part in parts) == field],
        [full for full, name in fields.items() if len(field) > 2 and name.startswith(field)],
        [full for full, parts in words.items() if field in parts],
        [full for name in similar for full in fields if fields[full] == name],
    )
    return next(filter(None, candidates), [])[:limit]


@contextlib.contextmanager
def section_in_errors(section, fields):
    """Add the section to a `UserError` whose message begins with one of its fields."""
    try:
        yield
    except UserError as error:
        begin, name = re.match(r"(Unknown )?(\w*)", str(error)).groups(default="")
        if name not in fields:
            raise
        raise UserError(f"{begin}{section}.{str(error)[len(begin) :]}") from None


def is_file_path(value):
    """Return True if a value names an existing file, and not a built-in choice such as mosaic."""
    path = pathlib.Path(value or "")
    return bool(path.suffix) and path.is_file()


def from_dict(config_class, values):
    """Create a config dataclass from its JSON form.

    Args:
        config_class: a subclass of `ModelConfig`, `DataConfig` or `TrainConfig`.
        values: `{field: value}`; missing fields get their defaults.

    Raises:
        UserError: unknown fields, or values of the wrong type.
    """
    retired = dict(config_class.retired_fields) if issubclass(config_class, ModelConfig) else {}
    for name, value in retired.items():
        if values.get(name, value) != value:
            raise UserError(
                f"{config_class.__name__}.{name} is no longer supported and must be {value!r}, "
                f"got {name}={values[name]!r}. Train the model again without it."
            )
    values = {name: value for name, value in values.items() if name not in retired}
    hints = field_types(config_class)
    unknown = [name for name in values if name not in hints]
    if unknown:
        hint = suggestion(unknown[0], hints) or f"Fields: {', '.join(hints)}."
        raise UserError(f"{config_class.__name__} has no field {shortened(unknown[0])}. {hint}")
    for name, value in values.items():
        if not matches_type(value, hints[name]):
            raise UserError(
                f"{config_class.__name__}.{name} must be {type_name(hints[name])}, "
                f"got {shortened(value)}."
            )
    tuples = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return config_class(**{**values, **tuples})


def field_types(config_class):
    """Return `{field: type}` of a config dataclass."""
    hints = typing.get_type_hints(config_class)
    return {field.name: hints[field.name] for field in dataclasses.fields(config_class)}


def parse_value(text, expected, source):
    """Parse a value of the expected type.

    Args:
        text: the value as a string: JSON, or plain text for a string. For a bool also on, off,
            yes and no.
        expected: a type.
        source: the override, for the error message.

    Raises:
        UserError: a value of another type.
    """
    if expected is str:
        return text
    words = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
    if expected is bool and text.lower() in words:
        return words[text.lower()]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # also for integers of thousands of digits
        value = text
    if isinstance(value, list):
        value = tuple(value)
    if not matches_type(value, expected):
        field = source.partition("=")[0]
        advice = " Images are cropped to squares." if field.endswith("image_size") else ""
        raise UserError(f"{field} must be {type_name(expected)}, got {shortened(text)}.{advice}")
    return float(text) if expected is float else value


def matches_type(value, expected):
    """Return True if a JSON value is of the expected type; an int is also a float."""
    origin = typing.get_origin(expected)
    if origin in (typing.Union, types.UnionType):
        return any(matches_type(value, option) for option in typing.get_args(expected))
    if origin is tuple:
        item_type, *_ = typing.get_args(expected)
        return isinstance(value, (tuple, list)) and all(
            matches_type(item, item_type) for item in value
        )
    if expected is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if expected is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, expected)


def type_name(expected):
    """Return the name of a type for error messages, such as "int" or "tuple[str, ...]"."""
    return str(expected) if typing.get_origin(expected) else expected.__name__


def flatten(nested, prefix=""):
    """Flatten a nested dict: `{"a": {"b": 1}}` -> `{"a.b": 1}`."""
    flat = {}
    for name, value in nested.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat
