"""translate(model, sources, output): picture files in, translated picture files of the same sizes out.

An image larger than a tile is translated in tiles that overlap and fade into each other, so that memory does not grow with the image.
Where the network normalises each image by its own statistics, a tile's are those of the tile: colours may drift from one to the next.
"""

import glob
import pathlib

import numpy as np
from PIL import Image

from tfgan_zoo.config import UserError, check_at_least
from tfgan_zoo.data import folders

WRITABLE = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".npy")


def translate(model, sources, output, direction="xy", seed=0, tile=1024, overlap=128, compare=False, overwrite=False, progress=None):
    """Translates pictures.

    Args:
        model: a translation model, or an exported one.
        sources: paths of pictures (or .npy arrays), folders (with their sub-folders) or glob patterns.
        output: for one picture a file or a folder; for several a folder, in which names and sub-folders are kept. A name whose suffix
            cannot be written, such as .gif, gets .png.
        direction: "xy" or "yx".
        seed: of the noise, if the model has any.
        tile: pixels; images of more than tile x tile are translated in tiles. 0: always at once.
        overlap: pixels that neighbouring tiles share.
        compare: whether the file shows input and output side by side.
        overwrite: whether files that are already there may be replaced.
        progress: a function (number done, number of all, path), called before each picture.

    Returns:
        A dict: translated [{input, output, width, height}], failed [{input, error}] of files that cannot be read.

    Raises:
        UserError: nothing to translate, an output that is already there, or a direction that the model does not have.
    """
    model.channels(direction)  # refuses a direction that the model does not have
    check_at_least(0, tile=tile, overlap=overlap)
    if tile and tile <= 2 * overlap:
        raise UserError(f"a tile must be larger than twice the overlap, received tile={tile} and overlap={overlap}")
    jobs = plan(sources, pathlib.Path(output))
    taken = [target for _, target in jobs if target.exists()]
    if taken and not overwrite:
        raise UserError(f"{taken[0]} is already there ({len(taken)} of {len(jobs)} outputs): choose another output, or --overwrite")
    translated, failed = [], []
    for number, (source, target) in enumerate(jobs):
        if progress:
            progress(number, len(jobs), source)
        try:
            image = read(source, target, model.channels(direction))
        except folders.UNREADABLE as error:
            failed.append({"input": str(source), "error": str(error).splitlines()[0] if str(error) else type(error).__name__})
            continue
        out = in_tiles(lambda part: model.translate(part, direction, seed), image, tile, overlap)
        target.parent.mkdir(parents=True, exist_ok=True)
        write(side_by_side(image, out) if compare else out, target)
        translated.append({"input": str(source), "output": str(target), "width": out.shape[1], "height": out.shape[0]})
    return {"translated": translated, "failed": failed}


def plan(sources, output):
    """The pairs (file to read, file to write).

    Raises:
        UserError: no files, two inputs for one output, or an output that would replace its input.
    """
    found = []
    for source in map(str, sources):
        path = pathlib.Path(source)
        if path.is_dir():
            found += [(file, file.relative_to(path)) for file in folders.pictures_in(path)]
        elif path.is_file():
            found.append((path, pathlib.Path(path.name)))
        else:
            matches = [pathlib.Path(match) for match in sorted(glob.glob(source, recursive=True))]
            matches = [match for match in matches if match.is_file() and match.suffix.lower() in (*folders.SUFFIXES, ".npy")]
            if not matches:
                raise UserError(f"there is no such picture, folder or pattern with pictures, received {source!r}")
            found += [(match, pathlib.Path(match.name)) for match in matches]
    single = len(found) == 1 and output.suffix.lower() in WRITABLE and not output.is_dir()
    if not single and output.suffix and not output.is_dir():
        wanted = "a folder" if len(found) > 1 else f"a folder or a file ({', '.join(WRITABLE)})"
        raise UserError(f"the output of {len(found)} pictures must be {wanted}, received -o {output}")
    jobs, inputs = [], {}
    for source, name in found:
        if name.suffix.lower() not in WRITABLE:
            name = name.with_suffix(".png")
        target = output if single else output / name
        if target in inputs and inputs[target] != source:
            raise UserError(f"{inputs[target]} and {source} would both be written to {target}: translate them in two calls")
        if target.resolve() == source.resolve():
            raise UserError(f"{source} would be replaced by its translation: choose another output, received -o {output}")
        if target not in inputs:
            jobs.append((source, target))
        inputs[target] = source
    return jobs


def read(source, target, channels):
    """The picture in the depth that comes out: 16 bits only of grey pictures or arrays, into files that can hold them."""
    image = folders.read(source, channels[0])
    deep = target.suffix.lower() == ".npy" or (channels[1] == 1 and target.suffix.lower() in (".png", ".tif", ".tiff"))
    return image if image.dtype == np.uint8 or deep else np.round(image / 257).astype(np.uint8)


def write(image, path):
    """Writes a file whole or not at all.

    Raises:
        UserError: the file cannot hold so many channels.
    """
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    if path.suffix.lower() == ".npy":
        np.save(partial, image)
    else:
        if image.shape[-1] not in (1, 3, 4) or (image.shape[-1] == 4 and path.suffix.lower() in (".jpg", ".jpeg", ".bmp")):
            raise UserError(f"{path.suffix} files cannot hold {image.shape[-1]} channels: choose an output with .npy, received -o {path}")
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        picture.save(partial, **({"quality": 95} if path.suffix.lower() in (".jpg", ".jpeg", ".webp") else {}))
    partial.replace(path)


def side_by_side(image, out):
    """Input and output as one picture, 8 bits a channel: uint8 (h, 2 w, 3)."""
    from tfgan_zoo.models.translation import on_one_size

    return np.concatenate(on_one_size([image, out]), axis=1)


def in_tiles(function, image, tile, overlap):
    """A function of images over an image in tiles: (h, w, c) -> (h, w, c').

    Neighbouring tiles share at least `overlap` pixels, over which the weight of one falls linearly as the other's rises.
    """
    height, width = image.shape[:2]
    if not tile or height * width <= tile * tile:
        return function(image)
    total, weights = 0.0, np.zeros((height, width, 1), np.float32)
    for top in starts(height, tile, overlap):
        for left in starts(width, tile, overlap):
            part = image[top : top + tile, left : left + tile]
            out = function(part)
            ramps = [
                ramp(length, begin > 0, begin + length < whole, overlap)
                for length, begin, whole in zip(out.shape[:2], (top, left), (height, width), strict=True)
            ]
            weight = (ramps[0][:, None] * ramps[1][None, :])[..., None]
            if not isinstance(total, np.ndarray):
                total = np.zeros((height, width, out.shape[-1]), np.float32)
            total[top : top + tile, left : left + tile] += weight * out
            weights[top : top + tile, left : left + tile] += weight
    return np.round(total / weights).astype(image.dtype)


def starts(length, tile, overlap):
    """Where tiles begin along an axis, evenly spread, the last one ending at the end."""
    count = 1 if length <= tile else -(-(length - overlap) // (tile - overlap))
    return [round(i * (length - tile) / (count - 1)) for i in range(count)] if count > 1 else [0]


def ramp(length, before, after, overlap):
    """The weight along an axis: 1, falling to the sides that have a neighbour, never to 0."""
    rise = np.arange(1, length + 1, dtype=np.float32) / (overlap + 1)
    weight = np.ones(length, np.float32)
    weight = np.minimum(weight, rise) if before else weight
    return np.minimum(weight, rise[::-1]) if after else weight
