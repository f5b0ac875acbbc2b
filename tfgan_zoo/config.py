"""What an experiment is made of: frozen dataclasses, their JSON form, and `section.field=value` overrides."""

import dataclasses
import json
import types
import typing

from tfgan_zoo.errors import UserError, check_at_least, check_choice, suggestion

PREPROCESS = (
    "resize_and_crop",
    "crop",
    "scale_width",
    "scale_width_and_crop",
    "none",
)  # of images for translation
LATENT_PATHS = ("spherical", "linear", "traversal", "manifold")  # walks that `explore` offers


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Base of every model's configuration: what the other stages need to know about the model."""

    task: typing.ClassVar[str]  # generate, translate or stylize
    data_kind: typing.ClassVar[str] = "images"  # or pairs, or domains (unpaired images)
    classes: typing.ClassVar[int] = 0  # length of the condition; 0: unconditional
    trains: typing.ClassVar[bool] = True  # False: each image is optimized by itself


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which images, and how they reach the model. Augmentation is drawn anew for every image in every epoch."""

    dataset: str = "digits"  # a name in tfgan_zoo.data.DATASETS; translation: facades_synthetic, folder or cycle_gan/...
    path: str = ""  # folder: the directory of images; mnist etc.: the tensorflow-datasets directory ("": its default)
    split: str = "train"  # train or test, where the data set has both; translation: also val, which is test where there is none
    batch_size: int = 128  # images per step, over all replicas together
    limit: int = 0  # use only the first so many images; 0: all
    flip: bool = False  # mirror left and right, with probability 1/2
    rotate: float = 0.0  # rotate by up to so many degrees either way
    zoom: float = 0.0  # enlarge by up to this fraction and crop at random
    binarize: str = "none"  # static: pixels become black or white once, resampled: in every epoch, each with its grey as probability
    binarize_seed: int = 0  # of the static binarisation
    path_y: str = (
        ""  # translation: the folder of the second domain, if data.path is the first alone
    )
    direction: str = (
        "xy"  # translation: xy from the first domain (A, left, labels) to the second, yx back
    )
    derive: str = ""  # translation: make x from single photographs y: grey, edges, or lowres (a quarter of the size)
    preprocess: str = (
        "resize_and_crop"  # translation: or crop, scale_width, scale_width_and_crop, none
    )
    resize: str = "bicubic"  # translation: with antialias; or nearest
    load_size: int = (
        0  # translation: pixels before the crop; 0: 286 / 256 of the model's image_size
    )
    holdout: float = (
        0.1  # translation: the share of a folder that is kept for tests if it has none of its own
    )
    cache_gb: float = 4.0  # decoded images up to this size are kept in memory; more are decoded again in every epoch

    def __post_init__(self):
        check_choice("data.split", self.split, ("train", "test", "val"))
        check_choice("data.binarize", self.binarize, ("none", "static", "resampled"))
        check_choice("data.direction", self.direction, ("xy", "yx"))
        check_choice("data.derive", self.derive, ("", "grey", "edges", "lowres"))
        check_choice("data.resize", self.resize, ("bicubic", "nearest"))
        check_choice("data.preprocess", self.preprocess, PREPROCESS)
        check_at_least(1, batch_size=self.batch_size)
        check_at_least(0, load_size=self.load_size)
        if not 0 <= self.holdout < 1:
            raise UserError(f"data.holdout must be in [0, 1), received holdout={self.holdout!r}")
        if self.binarize == "static" and (self.rotate or self.zoom):
            raise UserError(
                f"rotated or enlarged pixels are not black and white: use data.binarize=resampled, received {self.binarize!r}"
            )
        check_at_least(
            0,
            binarize_seed=self.binarize_seed,
            limit=self.limit,
            rotate=self.rotate,
            zoom=self.zoom,
            cache_gb=self.cache_gb,
        )


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How long, on what, and from which seed."""

    epochs: int = 50
    steps_per_epoch: int = 0  # 0: as many whole batches as the data set has
    seed: int = 0  # decides initial weights, data order, augmentation and noise
    xla: str = "auto"  # auto: on for GPU and TPU, off on CPU, where it is slower
    strategy: str = "auto"  # auto, cpu, mirrored, multiworker (TF_CONFIG) or tpu
    replicas: int = (
        0  # mirrored: devices to use, 0: all; on a machine without GPUs so many logical CPUs
    )
    precision: str = "float32"
    steps_per_execution: int = (
        1  # steps per call into the graph; larger saves overhead on fast devices
    )
    sample_every: int = 1  # epochs between sample grids
    sample_count: int = 64  # images in a sample grid
    evaluate_every: int = (
        0  # epochs between evaluations, whose scores go into metrics.csv as eval_...; 0: none
    )
    evaluate_metrics: str = ""  # of these metrics (see tfgan-zoo evaluate), with commas between; "": frechet, or l1 for translation
    evaluate_samples: int = 2000  # generated for an evaluation
    evaluate_features: str = (
        "auto"  # the feature network: digits, inception, or the path of a Keras model
    )
    best: str = ""  # the score by which the best epoch is kept in RUN/best, e.g. frechet_distance
    patience: int = 0  # stop after so many evaluations in a row without a better one; 0: never
    tensorboard: bool = False  # write TensorBoard logs too (needs the extra tensorboard)

    def __post_init__(self):
        check_choice("train.xla", self.xla, ("auto", "on", "off"))
        check_choice(
            "train.strategy", self.strategy, ("auto", "cpu", "mirrored", "multiworker", "tpu")
        )
        check_choice(
            "train.precision", self.precision, ("float32", "mixed_bfloat16", "mixed_float16")
        )
        check_at_least(
            0, steps_per_epoch=self.steps_per_epoch, replicas=self.replicas, seed=self.seed
        )
        check_at_least(1, epochs=self.epochs, steps_per_execution=self.steps_per_execution)
        check_at_least(0, evaluate_every=self.evaluate_every, patience=self.patience)
        check_at_least(50, evaluate_samples=self.evaluate_samples)
        check_at_least(1, sample_every=self.sample_every, sample_count=self.sample_count)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that decides a run: with the same experiment a machine ends with the same weights."""

    preset: str  # where it came from
    kind: str  # the model's class, a name in tfgan_zoo.models.MODELS
    model: typing.Any  # that class's Config
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()

    @property
    def data_kind(self):
        """What the model learns from: "images", "pairs" of images, or "domains", two heaps of images."""
        return self.model.data_kind

    @property
    def task(self):
        """What the model is for: "generate", "translate" or "stylize"."""
        return self.model.task

    def check_trains(self):
        """Refuses what is not trained."""
        if not self.model.trains:
            raise UserError(
                f"there is nothing to train: use tfgan-zoo stylize --preset {self.preset}, received {self.preset!r}"
            )

    def to_json(self):
        return json.dumps(dataclasses.asdict(self), indent=2)

    def override(self, *assignments):
        """A copy with fields changed.

        Args:
            *assignments: strings `section.field=value`, section one of model, data, train.

        Raises:
            UserError: unknown section or field, or a value that is not of the field's type.

        Example:
            >>> Experiment("p", "GAN", DataConfig()).override("data.batch_size=32", "train.xla=off").data.batch_size
            32
        """
        changes = {
            "model": {},
            "data": {},
            "train": {},
        }  # made all at once, since fields may need each other
        for assignment in assignments:
            target, equals, text = assignment.partition("=")
            section, dot, field = target.partition(".")
            if not (equals and dot):
                raise UserError(
                    f"an override has the form section.field=value, received {assignment!r}"
                )
            check_choice("section", section, changes)
            config = getattr(self, section)
            fields = {
                f.name: typing.get_type_hints(type(config))[f.name]
                for f in dataclasses.fields(config)
            }
            if field not in fields:
                raise UserError(
                    f"{section} has no field {field!r}{suggestion(field, fields)}; it has {', '.join(fields)}, received {assignment!r}"
                )
            changes[section][field] = parse_value(text, fields[field], assignment)
        changed = {
            section: dataclasses.replace(getattr(self, section), **values)
            for section, values in changes.items()
            if values
        }
        return dataclasses.replace(self, **changed)

    def differences(self, other):
        """The fields in which two experiments differ, as `{"section.field": (mine, theirs)}`."""
        mine, theirs = flatten(dataclasses.asdict(self)), flatten(dataclasses.asdict(other))
        names = [name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)]
        return {name: (mine.get(name), theirs.get(name)) for name in names}


def from_dict(config_class, values):
    """A config dataclass from its JSON form.

    Raises:
        UserError: unknown names, or values of the wrong type.
    """
    types = typing.get_type_hints(config_class)
    hints = {field.name: types[field.name] for field in dataclasses.fields(config_class)}
    unknown = [name for name in values if name not in hints]
    if unknown:
        raise UserError(
            f"{config_class.__name__} has no field {unknown[0]!r}{suggestion(unknown[0], hints)}; it has {', '.join(hints)}"
        )
    for name, value in values.items():
        if not matches_type(value, hints[name]):
            raise UserError(
                f"{config_class.__name__}.{name} must be {type_name(hints[name])}, received {name}={value!r}"
            )
    tuples = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return config_class(**{**values, **tuples})


def parse_value(text, wanted, source):
    """The value of type `wanted` that `text` spells."""
    if wanted is str:
        return text
    words = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
    try:
        value = (
            words[text.lower()] if wanted is bool and text.lower() in words else json.loads(text)
        )
    except json.JSONDecodeError:
        value = text
    if isinstance(value, list):
        value = tuple(value)
    if not matches_type(value, wanted):
        raise UserError(f"a value of type {type_name(wanted)} is needed, received {source!r}")
    return float(value) if wanted is float else value


def matches_type(value, wanted):
    origin = typing.get_origin(wanted)
    if origin in (typing.Union, types.UnionType):
        return any(matches_type(value, option) for option in typing.get_args(wanted))
    if origin is tuple:
        inner = typing.get_args(wanted)[0]
        return isinstance(value, (tuple, list)) and all(matches_type(item, inner) for item in value)
    if wanted is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, wanted)


def type_name(wanted):
    return (
        getattr(wanted, "__name__", str(wanted))
        if typing.get_origin(wanted) is None
        else str(wanted)
    )


def flatten(nested, prefix=""):
    """`{"a": {"b": 1}}` -> `{"a.b": 1}`."""
    flat = {}
    for name, value in nested.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat
