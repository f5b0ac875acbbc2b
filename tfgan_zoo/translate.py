"""translate(model, sources, output): picture files in, translated picture files of the same sizes out.

An image larger than a tile is translated in tiles that overlap and fade into each other: what the network needs does not grow with the
image, which itself must fit in memory, once as it is and once translated. Where the network normalises each image by its own
statistics, a tile's are those of the tile: colours may drift from one to the next.
"""

import glob
import itertools
import os
import pathlib

import numpy as np
import tensorflow as tf
from PIL import Image

from tfgan_zoo.config import UserError, check_at_least, first_line
from tfgan_zoo.data import folders
from tfgan_zoo.export import ExportedTranslator
from tfgan_zoo.models.translation import on_one_size

PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}


def translate(model, sources, output, direction="xy", seed=0, tile=1024, overlap=128, compare=False, overwrite=False, progress=None):
    """Translates pictures, one after another.

    Args:
        model: a translation model, or an exported one.
        sources: paths of pictures (or .npy arrays), folders (with their sub-folders) or glob patterns.
        output: for one picture a file or a folder; for several a folder, in which names and sub-folders are kept. What is within it is
            no input. A name whose suffix cannot hold the result, such as .gif, gets .png, or .npy if it is no picture.
        direction: "xy" or "yx".
        seed: of the noise, if the model has any.
        tile: pixels; images of more than tile x tile are translated in tiles. 0: always at once.
        overlap: pixels over which neighbouring tiles fade into each other.
        compare: whether the file shows input and output side by side, as a picture of 8 bits.
        overwrite: whether files that are already there may be replaced.
        progress: a function (number done, number of all, path), called before each picture.

    Returns:
        A dict: translated [{input, output, width, height}], failed [{input, error}] of files that cannot be read, held in memory or
        held by their format.

    Raises:
        UserError: nothing to translate, an output that is already there or cannot be written, or a direction that the model lacks.
    """
    channels = model.channels(direction)  # refuses a direction that the model does not have
    check_at_least(0, seed=seed, tile=tile, overlap=overlap)
    if seed >= 2**31:
        raise UserError(f"a seed must be below 2^31, received seed={seed}")
    if tile and tile <= overlap:
        raise UserError(f"a tile must be larger than the overlap, received tile={tile} and overlap={overlap}")
    jobs = plan(sources, pathlib.Path(output), tuple(PICTURES) if compare else holders(channels[1]))
    check_targets([target for _, target in jobs], overwrite)
    translated, failed = [], []
    for number, (source, target) in enumerate(jobs):
        if progress:
            progress(number, len(jobs), source)
        try:
            # an exported model knows 8 bits alone
            image = read(source, channels[0], deep=holds_16_bits(target, channels[1]) and not isinstance(model, ExportedTranslator))
        except Exception as error:  # broken files make readers raise all sorts of things
            failed.append({"input": str(source), "error": first_line(error)})
            continue
        height, width = image.shape[:2]
        try:
            out = in_tiles(lambda part: model.translate(part, direction, seed), image, tile, overlap)
            write(np.concatenate(on_one_size([image, out]), axis=1) if compare else out, target)
            translated.append({"input": str(source), "output": str(target), "width": width, "height": height})
        except (MemoryError, tf.errors.ResourceExhaustedError):
            wanted = f"a tile below {tile}" if tile else "tiles"
            failed.append({"input": str(source), "error": f"{width}x{height} pixels need more memory than there is: choose {wanted}"})
        except UnfitError as error:
            failed.append({"input": str(source), "error": str(error)})
        except OSError as error:
            done = f"{len(translated)} of {len(jobs)} are done and kept"
            raise UserError(f"{target} cannot be written ({error.strerror}), {done}, received -o {output}") from None
        image = out = None  # not beside the next one
    return {"translated": translated, "failed": failed}


# --- which files


def holders(channels):
    """The suffixes of files that can hold so many channels, the first one being the one to choose."""
    if channels in (1, 3):
        return (*PICTURES, ".npy")
    return (".png", ".webp", ".tif", ".tiff", ".npy") if channels == 4 else (".npy",)


def holds_16_bits(path, channels):
    return path.suffix.lower() in ((".npy", ".png", ".tif", ".tiff") if channels == 1 else (".npy",))


def plan(sources, output, suffixes):
    """The pairs (file to read, file to write).

    Args:
        sources, output: see `translate`.
        suffixes: those that may be written, the first one in place of others.

    Raises:
        UserError: no files, two inputs for one output, or an output that would replace an input.
    """
    found = [pair for source in sources for pair in files_of(str(source), output)]
    single = len(found) == 1 and output.suffix.lower() in suffixes and not output.is_dir()
    known = {*folders.SUFFIXES, ".npy"}
    if not single and not output.is_dir() and (output.suffix.lower() in known if len(found) > 1 else output.suffix):
        wanted = "a folder" if len(found) > 1 else f"a folder that is there or has no dot, or a file ({', '.join(suffixes)})"
        raise UserError(f"the output of {len(found)} picture{'s'[: len(found) > 1]} must be {wanted}, received -o {output}")
    inputs, jobs = {os.path.realpath(source) for source, _ in found}, {}
    for source, name in found:
        name = name if name.suffix.lower() in suffixes else name.with_suffix(suffixes[0])
        target = output if single else output / name
        if os.path.realpath(target) in inputs:
            raise UserError(f"{target} is an input, which its translation would replace: choose another output, received -o {output}")
        if not os.path.samefile(jobs.setdefault(target, source), source):
            raise UserError(f"{jobs[target]} and {source} would both become {target}: translate them in two calls, into two outputs")
    return [(source, target) for target, source in jobs.items()]


def files_of(source, output):
    """The files that a source names, each with its name in the output: that within the folder, or within the fixed part of a pattern.

    Whatever lies in the output is left out, lest what was made is taken for an input the next time.
    """
    path = pathlib.Path(source)
    if path.is_file():
        return [(path, pathlib.Path(path.name))]
    if path.is_dir():
        root, files = path, folders.pictures_in(path)
    else:
        root = pathlib.Path(*itertools.takewhile(lambda part: not set(part) & set("*?["), path.parts))
        files = [pathlib.Path(match) for match in sorted(glob.glob(source, recursive=True))]
        files = [file for file in files if file.is_file() and file.suffix.lower() in (*folders.SUFFIXES, ".npy")]
    made = output.resolve()
    if root.resolve() in made.parents:
        files = [file for file in files if made not in ((place := file.parent.resolve()) / file.name, place, *place.parents)]
    if not files:
        raise UserError(f"there is no such picture, folder or pattern with pictures (outside of the output), received {source!r}")
    return [(file, file.relative_to(root)) for file in files]


def check_targets(targets, overwrite):
    """Raises `UserError` for outputs that are already there or cannot be written, as far as one can know before the work."""
    taken = [target for target in targets if os.path.lexists(target)]
    if taken and not overwrite:
        raise UserError(f"{taken[0]} is already there ({len(taken)} of {len(targets)} outputs): choose another output, or --overwrite")
    for target in taken:
        if target.is_dir():
            raise UserError(f"{target} is a folder, where a file must go: choose another output")
    for folder in {target.parent for target in targets}:
        there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise UserError(f"the output must go into a folder that can be written to, received {there}")


# --- their pixels


class UnfitError(Exception):
    """A picture that its file format cannot hold."""


def read(path, channels, deep):
    """The pixels of a file, of 8 bits a channel unless 16 are there and wanted (`deep`): uint8 or uint16 (h, w, channels)."""
    image = folders.read(path, channels)
    return image if deep else folders.to_8_bits(image)


def write(image, path):
    """Writes a file, and its folder, whole or not at all.

    Raises:
        UnfitError: more pixels than the format can hold.
        OSError: of the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.partial")  # short: the name itself may be as long as the disk allows
    try:
        with partial.open("wb") as file:
            if path.suffix.lower() == ".npy":
                np.save(file, image)
            else:
                picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
                kind = PICTURES[path.suffix.lower()]
                picture.save(file, format=kind, **({"quality": 95} if kind in ("JPEG", "WEBP") else {}))
        partial.replace(path)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) is None:  # Pillow's own, not the disk's
            height, width = image.shape[:2]
            raise UnfitError(f"{width}x{height} pixels do not fit into {path.name} ({error}): choose an output with .png") from None
        raise
    finally:
        partial.unlink(missing_ok=True)


def in_tiles(function, image, tile, overlap):
    """A function of images over an image in tiles: (h, w, c) -> (h, w, c').

    Args:
        function: uint8 or uint16 (h, w, c) -> the same (h, w, c').
        image: of more than tile x tile pixels; a smaller one goes through at once.
        tile: pixels, more than overlap; 0: always at once.
        overlap: pixels over which the weight of a tile falls linearly from 1 to 0, as its neighbour's rises.
    """
    height, width = image.shape[:2]
    if not tile or height * width <= tile * tile:
        return function(image)
    rows, columns = tiles(height, tile, overlap), tiles(width, tile, overlap)
    out, begun = None, np.zeros((0, 1, 1), np.float32)  # what earlier rows of tiles give to the next one: no sum of the whole is kept
    for i, (top, share) in enumerate(rows):
        parts = [function(image[top : top + tile, left : left + tile]) for left, _ in columns]
        if out is None:
            out = np.empty((height, width, parts[0].shape[-1]), parts[0].dtype)
        band = np.zeros((len(share), width, out.shape[-1]), np.float32)
        for (left, across), part in zip(columns, parts, strict=True):
            band[:, left : left + tile] += share[:, None, None] * across[:, None] * part
        band[: len(begun)] += begun
        end = rows[i + 1][0] if i + 1 < len(rows) else height
        out[top:end] = np.round(band[: end - top])
        begun = band[end - top :]
    return out


def tiles(length, tile, overlap):
    """Tiles along an axis, evenly spread from end to end: a list of (where one begins, its weights float32 (min(tile, length),)).

    The weights at a pixel add up to 1. From one tile to the next they change in the middle of what both have, away from the tiles' ends,
    where a network knows least.
    """
    count = max(1, -(-(length - overlap) // (tile - overlap)))
    tile = min(tile, length)
    begins = [round(i * (length - tile) / max(1, count - 1)) for i in range(count)]
    seams = [-np.inf, *((begin + tile + after) / 2 for begin, after in itertools.pairwise(begins)), np.inf]

    def after(seam, pixels):
        return np.clip((pixels - seam) / max(overlap, 1) + 0.5, 0, 1)

    found = []
    for begin, (left, right) in zip(begins, itertools.pairwise(seams), strict=True):
        pixels = begin + np.arange(tile) + 0.5
        found.append((begin, (after(left, pixels) - after(right, pixels)).astype(np.float32)))
    return found
