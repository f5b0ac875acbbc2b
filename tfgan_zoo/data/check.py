"""Looks over a folder of pictures before training: unreadable files, duplicates, test pictures among the training pictures, odd ones."""

import collections
import concurrent.futures
import hashlib
import pathlib
import re

import numpy as np
from PIL import Image

from tfgan_zoo.config import UserError
from tfgan_zoo.data import folders

BITS = 112  # of a fingerprint: is the next cell of an 8x8 grey version lighter, to the right (56) and below (56)?
NEAR_BITS = 16  # of the fingerprints may differ: paintings saved again differ in up to 6, different paintings in at least 24
NEAR_EDGES = 0.15  # the edges of 16x16 versions, scaled to length 1, may differ by this: saved again 0.13, two digits 1 of MNIST from 0.17
MIN_STEPS = 16  # cells that differ clearly from the next one; with fewer a picture is blank (or two blank halves) and looks like any other
SPLITS = ("train", "test", "valid", "val")
DOMAIN = re.compile(r"((?:train|test|valid|val)?/?)([AB])")


def check(folder):
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
    files = sorted(path for path in root.rglob("*") if path.is_file())
    pictures = [path for path in files if path.suffix.lower() in folders.SUFFIXES]
    if not pictures:
        raise UserError(f"FOLDER has no pictures ({', '.join(folders.SUFFIXES)}), received FOLDER={str(folder)!r}")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        looks = dict(zip((path.relative_to(root).as_posix() for path in pictures), pool.map(look, pictures), strict=True))
    good = {path: found for path, found in looks.items() if "error" not in found}
    copies = collections.defaultdict(list)
    for path, found in good.items():
        copies[found["digest"]].append(path)
    near, leaks = alike(good, copies)
    result = {
        "folder": str(folder),
        "files": len(pictures),
        "groups": dict(sorted(collections.Counter(pathlib.PurePosixPath(path).parent.as_posix() for path in looks).items())),
        **{f"{key}s": most_frequent(found[key] for found in good.values()) for key in ("size", "mode", "format")},
        "unreadable": [{"path": path, "error": found["error"]} for path, found in looks.items() if "error" in found],
        "wrong_suffix": [path for path, found in good.items() if found["wrong_suffix"]],
        "rotated": sum(found["rotated"] for found in good.values()),
        "ignored": [path.relative_to(root).as_posix() for path in files if path not in set(pictures) and path != root / "labels.csv"],
        "exact_duplicates": [paths for paths in copies.values() if len(paths) > 1],
        "near_duplicates": near,
        "train_test_duplicates": leaks,
    }
    return {**result, "warnings": warnings_of(result, list(looks), good)}


def look(path):
    """What one file is, as a dict; of its pixels only a digest and a thumbnail are kept. Has "error" if it cannot be read."""
    try:
        with Image.open(path) as picture:
            found = {"format": picture.format, "mode": picture.mode, "rotated": picture.getexif().get(0x0112, 1) in range(2, 9)}
        pixels = folders.read(path, 4)
    except folders.UNREADABLE as error:
        return {"error": str(error).splitlines()[0] if str(error) else type(error).__name__}
    height, width = pixels.shape[:2]
    digest = hashlib.blake2b(f"{width}x{height} {pixels.dtype}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels))
    small = Image.fromarray(pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8))
    if pixels[..., 3].min() < np.iinfo(pixels.dtype).max:
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
    thumbnail = np.asarray(small.convert("RGB").resize((32, 32), Image.Resampling.BOX))
    expected = Image.registered_extensions().get(path.suffix.lower())
    kind = "JPEG" if found["format"] == "MPO" else found["format"]  # some cameras put a preview behind the picture in a .jpg
    found |= {"size": f"{width}x{height}", "digest": digest.digest(), "thumbnail": thumbnail, "wrong_suffix": kind != expected}
    return found


def alike(good, copies):
    """The near duplicates, and the test pictures that are also training pictures (exactly or nearly)."""
    paths = list(good)
    side = np.array([{"train": "train"}.get(split_of(path), "test" if split_of(path) else "") for path in paths])
    first = {min(part) for same in copies.values() for part in (same, *(on_side(same, s) for s in ("train", "test"))) if part}
    keys = {}  # of a picture and its partner in the other domain
    partner = np.array([keys.setdefault(partner_key(path), len(keys)) for path in paths])
    thumbnails = np.stack([found["thumbnail"] for found in good.values()]) if good else np.zeros((0, 32, 32, 3), np.uint8)
    bits, edges, steps = fingerprints(thumbnails)
    chosen = np.array([i for i, path in enumerate(paths) if steps[i] >= MIN_STEPS and path in first], np.int64)
    unique = np.array([i for i in chosen if copies[good[paths[i]]["digest"]][0] == paths[i]], np.int64)
    near = [[paths[j], paths[i], distance] for i, j, distance in closest(bits, edges, partner, unique, unique, ordered=True)]
    train, test = chosen[side[chosen] == "train"], chosen[side[chosen] == "test"]
    matches = {paths[i]: paths[j] for i, j, _ in closest(bits, edges, partner, test, train, ordered=False)}
    leaks = []
    for path in (path for path, where in zip(paths, side, strict=True) if where == "test"):
        same = copies[good[path]["digest"]]
        exact, twin = on_side(same, "train"), min(on_side(same, "test"))
        if exact or twin in matches:
            leaks.append([exact[0] if exact else matches[twin], path])
    return near, leaks
