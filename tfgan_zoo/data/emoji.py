"""Emoji in two designs: pairs of images with known truth, drawn by two teams.

Google's Noto and Twitter's Twemoji draw the same characters. The npm packages
emoji-datasource-google and emoji-datasource-twitter have them as images of 64 pixels with equal
file names. `prepare` stores both designs in one file, `load` returns them.

All variants of an emoji are in one split: its skin tones, genders and directions. A network that
has seen a brown thumb in training would otherwise be tested with a pink one.
"""

import collections
import concurrent.futures
import dataclasses
import hashlib
import json
import os
import pathlib

import numpy as np

from tfgan_zoo.data import image_file
from tfgan_zoo.errors import UserError, join_names
from tfgan_zoo.files import atomic_write, explain_damage, write_text

SIZE = 64  # pixels of a side
PACKAGES = {"noto": "google", "twemoji": "twitter"}  # design: name of the package and its folders
LICENSES = {
    "noto": "Noto Emoji: Copyright Google LLC, Apache License 2.0",
    "twemoji": "Twemoji: Copyright Twitter, Inc and other contributors, CC BY 4.0",
}
DOWNLOAD = "npm install emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0"
FILE = "emoji/emoji.npz"  # in the directory of tensorflow-datasets
MODIFIERS = "Component"  # category of the patches of skin color, which are no emoji on their own
SPLITS = ("train", "val", "test")
TEST_FRACTION, VALIDATION_FRACTION = 0.1, 0.05  # of the groups of variants
MAX_HELD_OUT = 6  # variants of an emoji in test and val: as many as one has skin tones, with yellow

# Characters that make a variant: joiner, emoji style, skin tones, genders, facing right.
VARIANT_CODES = {"200D", "FE0F", *(f"1F3F{i}" for i in "BCDEF"), "2640", "2642", "27A1"}
# Characters that are a variant of others: of the one without a gender, or of a group of persons.
NEUTRAL_CODES = {
    **dict.fromkeys(("1F468", "1F469"), "1F9D1"),  # man, woman: person
    **dict.fromkeys(("1F466", "1F467"), "1F9D2"),  # boy, girl: child
    **dict.fromkeys(("1F474", "1F475"), "1F9D3"),  # old man, old woman: older person
    **dict.fromkeys(("1F934", "1F478"), "1FAC5"),  # prince, princess: person with crown
    **dict.fromkeys(("1F930", "1FAC3"), "1FAC4"),  # pregnant woman, man: pregnant person
    **dict.fromkeys(("1F385", "1F936"), "1F9D1-1F384"),  # Santa, Mrs. Claus: Mx. Claus
    "1F57A": "1F483",  # man dancing: woman dancing
    **dict.fromkeys(("1F46B", "1F46C", "1F46D"), "1F9D1-1F91D"),  # couples: people holding hands
    "1F491": "1F9D1-2764",  # couple with heart
    "1F48F": "1F9D1-2764-1F48B",  # kiss
    "1F46A": "1F9D1-1F9D2",  # family
}


@dataclasses.dataclass(frozen=True)
class Emoji:
    """Emoji in both designs, in a random order that is always the same.

    Attributes:
        noto: uint8 (n, 64, 64, 3), on white.
        twemoji: uint8 (n, 64, 64, 3), on white.
        labels: int64 (n,), numbers of the categories.
        classes: names of the categories.
        groups: str (n,), equal for the variants of one emoji; see `group_of`.
    """

    noto: np.ndarray
    twemoji: np.ndarray
    labels: np.ndarray
    classes: list
    groups: np.ndarray

    def select(self, index):
        """Return some of the emoji, by an index or a mask (n,)."""
        arrays = (self.noto, self.twemoji, self.labels)
        return Emoji(*(array[index] for array in arrays), self.classes, self.groups[index])

    def split(self, name):
        """Return the emoji of a split: train, val or test.

        Of a group of variants, at most MAX_HELD_OUT are tested: there are 104 of two people who
        hold hands.
        """
        counts, index = collections.Counter(), []
        for i, group in enumerate(self.groups):
            if split_of(group) == name and (name == "train" or counts[group] < MAX_HELD_OUT):
                index.append(i)
                counts[group] += 1
        return self.select(np.array(index, np.int64))

    def halves(self):
        """Return two halves that have no group in common, for unpaired training images."""
        second = np.array([group_hash(group) % 2 for group in self.groups], bool)
        return self.select(~second), self.select(second)


# --- Groups of variants


def group_of(unified):
    """Return the name of the group of variants that an emoji belongs to.

    Args:
        unified: its code points, such as "1F468-200D-1F373" (man cook).

    Returns:
        The code points without the variant, such as "1F9D1-1F373" (cook). Persons that occur
        several times are named once.

    Example:
        >>> group_of("1F469-200D-1F373") == group_of("1F468-200D-1F373")
        True
    """
    codes = [code for code in unified.split("-") if code not in VARIANT_CODES]
    neutral = "-".join(NEUTRAL_CODES.get(code, code) for code in codes or unified.split("-"))
    return "-".join(dict.fromkeys(neutral.split("-")))


def group_hash(group):
    """Return a random number of 32 bits that is a function of the group."""
    return int(hashlib.sha256(group.encode()).hexdigest()[:8], 16)


def split_of(group):
    """Return the split of a group: test for about a tenth of them, val for a twentieth."""
    position = group_hash(group) / 2**32
    if position < TEST_FRACTION:
        return "test"
    return "val" if position < TEST_FRACTION + VALIDATION_FRACTION else "train"


# --- Load


def prepared_file(data_dir=""):
    """Return the path of the prepared file.

    Args:
        data_dir: the tensorflow-datasets directory; "" for its default.
    """
    default = os.environ.get("TFDS_DATA_DIR") or pathlib.Path("~", "tensorflow_datasets")
    return pathlib.Path(data_dir or default).expanduser() / FILE


def load(data_dir="", split="train"):
    """Load a split of the prepared emoji.

    Args:
        data_dir: the tensorflow-datasets directory; "" for its default.
        split: train, val or test.

    Returns:
        `Emoji`.

    Raises:
        UserError: they are not prepared.
        FailureError: the file is damaged.
    """
    path = prepared_file(data_dir)
    if not path.is_file():
        raise UserError(
            f"emoji is not prepared in {path.parent}. Get the images with: {DOWNLOAD}, then: "
            "tfgan-zoo data prepare emoji --from node_modules."
        )
    with explain_damage(path, "Prepare the emoji again."), np.load(path) as values:
        arrays = {name: values[name] for name in values}
        emoji = Emoji(**{**arrays, "classes": arrays["classes"].tolist()})
    return emoji.split(split)


# --- Prepare


def prepare(source, data_dir=""):
    """Prepare the emoji from the two unpacked npm packages.

    Images are composited on white. The patches of skin color (category Component) are left out.

    Args:
        source: the folder that has the folders emoji-datasource-google and
            emoji-datasource-twitter.
        data_dir: the tensorflow-datasets directory; "" for its default.

    Returns:
        Lines that say what was prepared, where, and under which licenses.

    Raises:
        UserError: a package is missing or incomplete, or an image has another size.
    """
    folders = {design: package_folder(source, name) for design, name in PACKAGES.items()}
    records = {design: list_emoji(folder) for design, (folder, _) in folders.items()}
    if records["noto"] != records["twemoji"]:
        raise UserError(
            f"both packages must have the same version, got different emoji.json in {source}. "
            f"Get them again with: {DOWNLOAD}."
        )
    names, categories, groups = zip(*records["noto"], strict=True)
    images = {design: read_images(folder, names) for design, (_, folder) in folders.items()}
    classes = sorted(set(categories))
    emoji = Emoji(
        **images,
        labels=np.array([classes.index(category) for category in categories], np.int64),
        classes=classes,
        groups=np.array(groups),
    )
    path = prepared_file(data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        np.savez_compressed(partial, **vars(emoji))
    licenses = "\n".join(LICENSES.values())
    write_text(path.with_name("LICENSES.txt"), licenses)
    sizes = ", ".join(f"{split} {len(emoji.split(split).labels):,}" for split in SPLITS)
    return f"emoji: {sizes} pairs of images in {path}\n{licenses}"


def package_folder(source, name):
    """Return the folder of a package and that of its images.

    Raises:
        UserError: one of them does not exist.
    """
    folder = pathlib.Path(source, f"emoji-datasource-{name}")
    images = folder / "img" / name / str(SIZE)
    for path in (folder, images):
        if not path.is_dir():
            raise UserError(
                "emoji needs a folder with the unpacked packages emoji-datasource-google and "
                f"emoji-datasource-twitter, got {str(source)!r} without "
                f"{path.relative_to(source)}. Get them with: {DOWNLOAD}, and use node_modules."
            )
    return folder, images


def list_emoji(folder):
    """List the emoji of a package in a random order that is always the same.

    Returns:
        A list of (file name, category, group).

    Raises:
        UserError: emoji.json is missing.
        FailureError: it is damaged.
    """
    path = folder / "emoji.json"
    if not path.is_file():
        raise UserError(f"{folder} is incomplete: it has no emoji.json. Unpack the package again.")
    with explain_damage(path, "Unpack the package again."):
        records = [
            (variant["image"], entry["category"], group_of(entry["unified"]))
            for entry in json.loads(path.read_text(encoding="utf-8"))
            for variant in (entry, *entry.get("skin_variations", {}).values())
            if entry["category"] != MODIFIERS
            and all(variant[f"has_img_{name}"] for name in PACKAGES.values())
        ]
        if not records:
            raise ValueError("it lists no emoji")
    return sorted(records, key=lambda record: hashlib.sha256(record[0].encode()).digest())


def read_images(folder, names):
    """Read images of one package: uint8 (n, 64, 64, 3).

    Raises:
        UserError: an image is missing or cannot be read, or has another size.
    """
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{folder} is incomplete: it has {len(names) - len(missing)} of {len(names)} images "
            f"(missing: {join_names(missing, limit=3)}). Unpack the package again."
        )

    def read(name):
        try:
            image = image_file.read_image(folder / name, 3)
        except image_file.ImageError as error:
            raise UserError(
                f"{folder / name} cannot be read ({error}). Unpack the package again."
            ) from None
        if image.shape != (SIZE, SIZE, 3):
            raise UserError(
                f"the images must have {SIZE}x{SIZE} pixels, got {image.shape[1]}x{image.shape[0]} "
                f"in {folder / name}."
            )
        return image

    with concurrent.futures.ThreadPoolExecutor() as pool:
        return np.stack(list(pool.map(read, names)))
