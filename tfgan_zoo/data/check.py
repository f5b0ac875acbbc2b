"""Looks over a folder of pictures before training: unreadable files, duplicates, test pictures among the training pictures, odd ones."""

import collections
import concurrent.futures
import hashlib
import pathlib
import re

import numpy as np
from PIL import Image

from tfgan_zoo.data import image_folder
from tfgan_zoo.errors import UserError, first_line

BITS = 112  # of a fingerprint: is the next cell of an 8x8 grey version lighter, to the right (56) and below (56)?
# 256x256 paintings saved again as JPEG 60 or at half the size differ in at most 5 bits and 0.08; two different ones in 25 and 0.59
NEAR_BITS = 16  # of the fingerprints may differ
NEAR_EDGES = 0.15  # the edges, scaled to length 1, may be this far apart: two digits of MNIST that look alike are from 0.18 on
MIN_STEPS = 16  # by more than 5 grey levels from cell to cell; with fewer a picture is blank (aerial photos of the sea beside their maps
# have up to 10, digits of MNIST at least 21) and looks like any other
TINY = 32  # pixels, of the shorter side
EXAMPLES = 10  # of each finding in the summary
SPLITS = ("train", "test", "valid", "val")
DOMAIN = re.compile(r"((?:train|test|valid|val)?/?)([AB])")


def check_folder(folder):
    """What is in a folder of pictures, and what to mend before training; every file is decoded in full.

    Two pictures are near duplicates if neither is blank and both their fingerprints and their edges agree (see the constants above);
    brightness and contrast do not matter. Pairs A and B of the same name are not compared, they are meant to be alike.

    Args:
        folder: flat, with a sub-folder a class, with trainA, trainB, testA, testB, with A and B, or with train, val, test.

    Returns:
        A dict for JSON; paths are relative to the folder. files: number of pictures by suffix. groups: their number in every sub-folder.
        sizes, modes, formats: number of each, the most frequent first, sizes after rotation by EXIF. unreadable: [{path, error}].
        wrong_suffix: paths. rotated: number. ignored: paths. exact_duplicates: [[path, ...]] of the same pixels. near_duplicates: [[path,
        path, distance]], for a picture the nearest one before it. train_test_duplicates: [[train path, test path]], exact or near, for a
        test picture the nearest one. warnings: sentences.

    Raises:
        UserError: no folder, or no picture in it.
    """
    root = pathlib.Path(folder)
    if not root.is_dir():
        raise UserError(f"FOLDER must be a folder of pictures, received FOLDER={str(folder)!r}")
    names = [
        path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_file()
    ]
    pictures = [
        name for name in names if pathlib.Path(name).suffix.lower() in image_folder.SUFFIXES
    ]
    if not pictures:
        raise UserError(
            f"FOLDER has no pictures ({', '.join(image_folder.SUFFIXES)}), received FOLDER={str(folder)!r}"
        )
    with concurrent.futures.ThreadPoolExecutor() as pool:
        looks = dict(
            zip(pictures, pool.map(inspect_image, [root / name for name in pictures]), strict=True)
        )
    good = {path: found for path, found in looks.items() if "error" not in found}
    copies = collections.defaultdict(list)
    for path, found in good.items():
        copies[found["digest"]].append(path)
    near, leaks = find_near_duplicates(good, copies)
    result = {
        "folder": str(folder),
        "files": len(pictures),
        "groups": dict(
            sorted(
                collections.Counter(
                    pathlib.PurePosixPath(path).parent.as_posix() for path in looks
                ).items()
            )
        ),
        "sizes": most_frequent("x".join(map(str, found["size"])) for found in good.values()),
        "modes": most_frequent(found["mode"] for found in good.values()),
        "formats": most_frequent(found["format"] for found in good.values()),
        "unreadable": [
            {"path": path, "error": found["error"]}
            for path, found in looks.items()
            if "error" in found
        ],
        "wrong_suffix": [path for path, found in good.items() if found["wrong_suffix"]],
        "rotated": sum(found["rotated"] for found in good.values()),
        "ignored": [
            name for name in names if name not in looks and name != "labels.csv"
        ],  # .npy too: arrays are not looked at
        "exact_duplicates": [paths for paths in copies.values() if len(paths) > 1],
        "near_duplicates": near,
        "train_test_duplicates": leaks,
    }
    return {**result, "warnings": warnings_of(result, good)}


def inspect_image(path):
    """What one file is, as a dict; of its pixels only a digest and a thumbnail are kept. Has "error" if it cannot be read."""
    try:
        with Image.open(path) as picture:
            found = {
                "format": picture.format,
                "mode": picture.mode,
                "rotated": picture.getexif().get(0x0112, 1) in range(2, 9),
            }
        pixels = image_folder.read_image(path, 4)
    except image_folder.UNREADABLE as error:
        return {"error": first_line(error)}
    height, width = pixels.shape[:2]
    digest = hashlib.blake2b(f"{width}x{height} {pixels.dtype}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels))
    small = Image.fromarray(pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8))
    if pixels[..., 3].min() < np.iinfo(pixels.dtype).max:
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
    thumbnail = np.asarray(small.convert("RGB").resize((32, 32), Image.Resampling.HAMMING))
    expected = Image.registered_extensions().get(path.suffix.lower())
    kind = (
        "JPEG" if found["format"] == "MPO" else found["format"]
    )  # some cameras put a preview behind the picture in a .jpg
    found |= {
        "size": (width, height),
        "digest": digest.digest(),
        "thumbnail": thumbnail,
        "wrong_suffix": kind != expected,
    }
    return found


def find_near_duplicates(good, copies):
    """The near duplicates, and the test pictures that are also training pictures (exactly or nearly)."""
    paths, first = list(good), {}
    for path, found in good.items():
        first.setdefault((found["digest"], side_of(path)), path)
    prints = fingerprints([found["thumbnail"] for found in good.values()])
    place = {path: i for i, path in enumerate(paths) if not prints["blank"][i]}
    keys = {}  # one for a picture and its partner in the other domain
    pair = np.array([keys.setdefault(partner_key(path), len(keys)) for path in paths])
    unique = [place[same[0]] for same in copies.values() if same[0] in place]
    train, test = (
        [place[path] for (_, s), path in first.items() if s == side and path in place]
        for side in ("train", "test")
    )
    near = [
        [paths[j], paths[i], distance]
        for i, j, distance in closest_pairs(prints, pair, unique, unique, earlier=True)
    ]
    nearest = {
        paths[i]: paths[j] for i, j, _ in closest_pairs(prints, pair, test, train, earlier=False)
    }
    tests = [(path, found["digest"]) for path, found in good.items() if side_of(path) == "test"]
    twins = [
        (first.get((digest, "train")) or nearest.get(first[digest, "test"]), path)
        for path, digest in tests
    ]
    return near, [[twin, path] for twin, path in twins if twin]


def fingerprints(thumbnails):
    """uint8 thumbnails [(32, 32, 3), ...] -> bits +-1 (n, 112), edges of length 1 (n, 816), and which are blank (n,)."""
    bits, edges, blank = [], [], []
    for thumbnail in thumbnails:
        colours = thumbnail.reshape(8, 4, 8, 4, 3).mean((1, 3))
        greys = thumbnail.reshape(16, 2, 16, 2, 3).mean((1, 3, 4))
        coarse = count_steps(colours.mean(-1))
        bits.append(
            np.where(coarse > 1, 1, -1)
        )  # not 0: what is left of noise in even parts shall not count
        blank.append((abs(coarse) > 5).sum() < MIN_STEPS)
        both = np.concatenate(
            [2 * count_steps(greys), count_steps(colours)]
        )  # JPEG keeps half of the colours' resolution
        edges.append((both / max(np.linalg.norm(both), 1e-6)).astype(np.float32))
    return {"bits": np.array(bits, np.float32), "edges": np.array(edges), "blank": blank}


def count_steps(cells):
    """From every cell to the next one, to the right and below: (n, n, ...) -> one dimension."""
    return np.concatenate([np.diff(cells, axis=axis).ravel() for axis in (1, 0)])


def closest_pairs(prints, pair, rows, columns, earlier):
    """For pictures of rows the nearest of columns (with earlier: of those before it) that looks the same: (row, column, bits)."""
    rows, columns = np.array(rows, np.int64), np.array(columns, np.int64)
    bits, edges = prints["bits"], prints["edges"]
    for start in range(
        0, len(rows) if len(columns) else 0, 256
    ):  # blocks: the whole table would not fit for large folders
        block = rows[start : start + 256]
        others = columns[: start + 256] if earlier else columns
        distance = (BITS - bits[block] @ bits[others].T) / 2
        same = (
            (distance <= NEAR_BITS)
            & (pair[block][:, None] != pair[others])
            & (not earlier or others < block[:, None])
        )
        some = same.any(axis=1)
        block, distance, same = block[some], distance[some], same[some]
        same &= 2 - 2 * (edges[block] @ edges[others].T) <= NEAR_EDGES**2
        distance[~same] = np.inf
        for i in np.flatnonzero(same.any(axis=1)):
            j = distance[i].argmin()
            yield block[i], others[j], int(distance[i, j])


# --- folders: "train/cats/1.png" is on the side "train" and has the label "train/cats"


def side_of(path):
    top = path.split("/")[0].lower() if "/" in path else ""
    return "train" if top.startswith("train") else "test" if top.startswith(("test", "val")) else ""


def label_of(path):
    """The folder of its class or domain: the first one, below a folder train, test, val or valid the second."""
    parts = path.split("/")[:-1]
    return "/".join(parts[: 2 if parts and parts[0] in SPLITS else 1]) or "."


def partner_key(path):
    """The same for pictures that may be a pair by name: trainA/1.png, trainB/1.jpg."""
    domain = DOMAIN.fullmatch(label_of(path))
    return (domain[1], folder_in(path)) if domain else path


def folder_in(path):
    """The path within its class or domain, without suffix."""
    return pathlib.PurePosixPath(path).relative_to(label_of(path)).with_suffix("").as_posix()


# --- for people


def warnings_of(result, good):
    """What a user should act on: one sentence a kind, with the numbers, an example and the way out."""
    exact, said = result["exact_duplicates"], []
    labels = collections.defaultdict(list)
    for path in sorted([*good, *(bad["path"] for bad in result["unreadable"])]):
        labels[label_of(path)].append(path)

    def say(found, what, cure, total=result["files"]):
        if found:
            said.append(f"{len(found)} of {total} {what} (first: {found[0]}): {cure}")

    say(
        [bad["path"] for bad in result["unreadable"]],
        "files cannot be read",
        "replace or delete them, training skips them",
    )
    leaks = [f"{test} is {train}" for train, test in result["train_test_duplicates"]]
    tests = sum(side_of(path) == "test" for inside in labels.values() for path in inside)
    what = "test pictures can also be found, exactly or nearly, among the training pictures"
    say(leaks, what, "remove them from one side, else the scores flatter", tests)
    surplus = [f"{path} is {same[0]}" for same in exact for path in same[1:]]
    say(
        surplus,
        "pictures can be deleted, being exact copies of others",
        "copies weigh more in training",
    )
    torn = [
        same
        for same in exact
        for s in ("train", "test", "")
        if len({label_of(path) for path in same if side_of(path) == s}) > 1
    ]
    say(
        [" = ".join(format_examples(same)) for same in torn],
        "pictures can be found in several classes or domains",
        "decide for one",
    )
    near = [f"{path} is like {before}" for before, path, _ in result["near_duplicates"]]
    say(near, "pictures can hardly be told from another one", "look at them and keep one of each")
    tiny = [path for path, found in good.items() if min(found["size"]) < TINY]
    if len(result["sizes"]) > 1:  # all of one size, such as digits of 28x28, are meant to be so
        say(tiny, f"pictures measure less than {TINY} pixels", "remove them, they become blurs")
    odd = []
    for inside in labels.values():
        ratios = {
            path: good[path]["size"][0] / good[path]["size"][1] for path in inside if path in good
        }
        usual = next(iter(most_frequent(ratios.values())), 1.0)
        odd += [path for path, ratio in ratios.items() if abs(np.log(ratio / usual)) > 0.05]
    cure = "they get cut or squeezed to a square, crop them where it matters"
    say(odd, "pictures differ in shape (width to height) from most others of their folder", cure)
    if len(labels) > 1:
        cure = "move them, else they are left out, or the sub-folders are no classes"
        say(labels.pop(".", []), "pictures were found beside the sub-folders", cure)
    return said + warnings_of_labels(labels)


def warnings_of_labels(labels):
    """Domains without the other one, pairs by name without partner, very different numbers. labels: {folder: its paths}."""
    said, siblings = [], collections.defaultdict(list)
    for label, inside in labels.items():
        if domain := DOMAIN.fullmatch(label):
            other = domain[1] + {"A": "B", "B": "A"}[domain[2]]
            a, b = (
                {folder_in(path): path for path in paths}
                for paths in (inside, labels.get(other, []))
            )
            alone = sorted({**a, **b}[name] for name in a.keys() ^ b.keys())
            if not b:
                said.append(
                    f"{label} has {len(a)} pictures but {other} none: two domains are needed"
                )
            elif (
                domain[2] == "A" and alone and 2 * len(a.keys() & b.keys()) >= min(len(a), len(b))
            ):  # else they are no pairs by name
                number = f"{len(alone)} of {len(a) + len(b)} pictures in {label} and {other}"
                said.append(
                    f"{number} lack a partner of the same name (first: {alone[0]}): pairs are made without them, heaps do not mind"
                )
        if label not in SPLITS:  # these are meant to differ
            siblings[
                label.rpartition("/")[0], next((s for s in SPLITS if label.startswith(s)), "")
            ].append(label)
    for group in siblings.values():
        few, many = (pick(group, key=lambda label: len(labels[label])) for pick in (min, max))
        if len(labels[many]) > 10 * len(labels[few]):
            number = f"{many} has {len(labels[many])} pictures, {few} only {len(labels[few])}"
            said.append(
                f"{number}: even them out, else the few are hardly learnt (classes) or learnt by heart (domains)"
            )
    return said


def most_frequent(values):
    return dict(collections.Counter(values).most_common())


def summary(result):
    """The result of `check` as plain text: counts, at most ten examples of each finding, then the warnings."""
    lines = [
        f"{result['folder']}: {result['files']} picture files, {result['files'] - len(result['unreadable'])} of them readable"
    ]
    for key in ("groups", "sizes", "modes", "formats"):
        lines.append(
            f"{key}: {', '.join(format_examples([f'{name} ({number})' for name, number in result[key].items()]))}"
        )
    lines.append(f"rotated by EXIF: {result['rotated']}")
    findings = {
        "unreadable": [f"{bad['path']}: {bad['error']}" for bad in result["unreadable"]],
        "wrong suffix": result["wrong_suffix"],
        "exact duplicates": [
            " = ".join(format_examples(same)) for same in result["exact_duplicates"]
        ],
        "near duplicates": [
            f"{a} ~ {b} ({bits} of {BITS} bits differ)" for a, b, bits in result["near_duplicates"]
        ],
        "in training and in test": [
            f"{train} ~ {test}" for train, test in result["train_test_duplicates"]
        ],
        "ignored": result["ignored"],
        "warnings": result["warnings"],
    }
    for title, found in findings.items():
        if found:
            lines += [
                f"{title} ({len(found)}):",
                *(
                    f"  {line}"
                    for line in (found if title == "warnings" else format_examples(found))
                ),
            ]
    return "\n".join(lines if result["warnings"] else [*lines, "nothing to mend"])


def format_examples(items):
    return (
        [*items[:EXAMPLES], f"and {len(items) - EXAMPLES} more"]
        if len(items) > EXAMPLES
        else list(items)
    )
