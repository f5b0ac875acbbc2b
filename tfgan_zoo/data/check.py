"""Find problems in a folder of images: unreadable files, duplicates, leaked test images."""

import collections
import concurrent.futures
import hashlib
import pathlib

import numpy as np
from PIL import Image

from tfgan_zoo.data import domains, image_file, image_folder
from tfgan_zoo.errors import UserError, first_line, join_names

# A fingerprint has one bit for each cell of an 8x8 gray version: is the next cell lighter, to the
# right (56 bits) and below (56 bits)? For 256x256 paintings, copies saved as JPEG 60 or at half the
# size differ in at most 5 bits and 0.08 in their edges, two different paintings in at least 25 bits
# and 0.59.
BITS = 112
MAX_BITS = 16  # near duplicates differ in at most this number of bits
# Near duplicates have edges, scaled to length 1, of at most this distance. Two similar digits of
# MNIST have at least 0.18.
MAX_EDGE_DISTANCE = 0.15
# An image is blank, and resembles any other, if it has fewer steps of more than 5 gray levels
# between cells. Aerial photographs of the sea have at most 10 such steps, MNIST digits at least 21.
MIN_STEPS = 16
MIN_SIDE = 32  # pixels; images with a shorter side are reported
MAX_EXAMPLES = 10  # of each kind of problem in the summary


def check_folder(folder):
    """Find problems in a folder of images; every file is decoded in full.

    Two images are near duplicates if neither is blank and both their fingerprints and their edges
    agree (see the constants of this module). Brightness and contrast do not matter. The two images
    of a pair are not compared.

    Args:
        folder: A folder that is flat, has one subfolder per class, has one of the layouts of
            `domains`, or has train, val and test, each with any of these.

    Returns:
        A dict for JSON. Paths are relative to the folder.
        files: Number of images.
        layout: How training reads the folder: domains, pairs, classes, labels.csv or no labels.
        groups: Number of images in every subfolder.
        sizes, modes, formats: {value: number of images}, the most frequent first. Sizes are those
            after rotation by EXIF.
        unreadable: [{path, error}].
        wrong_suffix: Paths.
        rotated: Number of images that EXIF rotates.
        ignored: Paths of other files, and of hidden files and those of operating systems.
        exact_duplicates: [[path, ...]] with the same pixels.
        near_duplicates: [[path, path, distance]]: the nearest earlier image of an image.
        train_test_duplicates: [[train path, test path]], exact or near: the nearest training image
            of a test image.
        warnings: Sentences.

    Raises:
        UserError: The folder does not exist or has no images.
    """
    root = pathlib.Path(folder)
    if not root.is_dir():
        raise UserError(f"FOLDER must be a folder of images, got {str(folder)!r}.")
    files, system_files = image_folder.list_files(root)
    images = [path for path in files if path.suffix.lower() in image_file.SUFFIXES]
    if not images:
        suffixes = ", ".join(image_file.SUFFIXES)
        raise UserError(f"FOLDER must have images ({suffixes}), got {str(folder)!r}.")

    # Inspect all images.
    names = [path.relative_to(root).as_posix() for path in images]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        records = dict(zip(names, pool.map(inspect_image, images), strict=True))
    readable = {name: record for name, record in records.items() if "error" not in record}

    # Find duplicates.
    copies = collections.defaultdict(list)
    for name, record in readable.items():
        copies[record["digest"]].append(name)
    near_duplicates, train_test_duplicates = find_near_duplicates(readable, copies)

    groups = collections.Counter(pathlib.PurePosixPath(name).parent.as_posix() for name in names)
    ignored = [
        path.relative_to(root).as_posix() for path in sorted({*files, *system_files} - {*images})
    ]
    layout, problems = describe_layout(root, images, readable)
    result = {
        "folder": str(folder),
        "files": len(images),
        "layout": layout,
        "groups": dict(sorted(groups.items())),
        "sizes": most_frequent("x".join(map(str, record["size"])) for record in readable.values()),
        "modes": most_frequent(record["mode"] for record in readable.values()),
        "formats": most_frequent(record["format"] for record in readable.values()),
        "unreadable": [
            {"path": name, "error": record["error"]}
            for name, record in records.items()
            if "error" in record
        ],
        "wrong_suffix": [name for name, record in readable.items() if record["wrong_suffix"]],
        "rotated": sum(record["rotated"] for record in readable.values()),
        "ignored": [name for name in ignored if name != "labels.csv"],  # .npy files are not checked
        "exact_duplicates": [names for names in copies.values() if len(names) > 1],
        "near_duplicates": near_duplicates,
        "train_test_duplicates": train_test_duplicates,
    }
    return {**result, "warnings": problems + list_warnings(result, readable)}


def describe_layout(root, images, records):
    """Describe how training reads a folder.

    Args:
        root: The folder.
        images: Paths of all images.
        records: {path: record of `inspect_image`} of the readable images.

    Returns:
        (layout, [warning]). The warning is the error that training would raise.
    """
    layout = domains.find_layout(root)
    labels = {label_of(path.relative_to(root).as_posix()) for path in images} - {"."}
    if layout and all(map(domains.domain_of, labels)):  # else a and b are two of several classes
        x, y = (folder.relative_to(root).as_posix() for folder, _ in layout)
        return f"domains {x} (x) and {y} (y)", []
    pairs = domains.match_by_suffix(images)
    if pairs:
        x, y = (path.name for path in pairs[0])
        warning = domains.unmatched_warning(pairs, images)
        layout = f"{len(pairs)} pairs by suffix, such as {x} (x) and {y} (y)"
        return layout, [warning] if warning else []
    try:
        _, _, names, _ = image_folder.list_labeled_images(root)
    except UserError as error:
        return "unknown", [str(error)]
    if names:
        is_csv = any(root.glob("labels.csv")) or any(root.glob("*/labels.csv"))
        kind = "columns of labels.csv" if is_csv else "classes"
        return f"{len(names)} {kind}: {join_names(names, MAX_EXAMPLES)}", []
    wide = [domains.is_side_by_side(*record["size"]) for record in records.values()]
    if 2 * sum(wide) > len(wide):
        return "images without labels, or pairs side by side (left half x, right half y)", []
    return "images without labels", []


def inspect_image(path):
    """Return facts about an image file as a dict, with "error" alone if it cannot be read.

    Of the pixels it keeps a digest and a thumbnail.
    """
    try:
        with image_file.open_image(path) as image:
            image_format, mode = image.format, image.mode
            rotated = image_file.orientation_of(image) != 1
            animated = image_file.is_animated(image)
        pixels = image_file.read_image(path, 4)
    except Exception as error:  # broken files cause many kinds of exceptions
        return {"error": first_line(error)}
    height, width = pixels.shape[:2]
    digest = hashlib.blake2b(f"{width}x{height} {pixels.dtype}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels))

    # Shrink the image on a white background.
    small = Image.fromarray(pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8))
    if pixels.size > 4 * image_file.LARGE:
        small = small.reduce(max(1, min(small.size) // 512))
    if pixels[..., 3].min() < np.iinfo(pixels.dtype).max:
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
    thumbnail = np.asarray(small.convert("RGB").resize((32, 32), Image.Resampling.HAMMING))

    expected_format = Image.registered_extensions().get(path.suffix.lower())
    # Some cameras append a preview to a .jpg, which makes its format MPO.
    actual_format = "JPEG" if image_format == "MPO" else image_format
    return {
        "format": image_format,
        "mode": mode,
        "rotated": rotated,
        "animated": animated,
        "peak": image_file.peak_of_16_bits(pixels[..., :3]),
        "size": (width, height),
        "digest": digest.digest(),
        "thumbnail": thumbnail,
        "wrong_suffix": actual_format != expected_format,
    }


def find_near_duplicates(records, copies):
    """Find near duplicates, and test images that are also training images, exactly or nearly.

    Args:
        records: {path: record of `inspect_image`} of the readable images.
        copies: {digest: paths}.

    Returns:
        (near_duplicates, train_test_duplicates), see `check_folder`.
    """
    paths = list(records)
    prints = fingerprints([record["thumbnail"] for record in records.values()])
    index = {path: i for i, path in enumerate(paths) if not prints["blank"][i]}
    # Number the images; the images of a pair have the same number.
    numbers, partners = {}, match_by_suffix(paths)
    keys = [partners.get(path) or pair_key(path) for path in paths]
    pair_ids = np.array([numbers.setdefault(key, len(numbers)) for key in keys])

    # Compare the first image of each digest with the earlier ones.
    unique = [index[group[0]] for group in copies.values() if group[0] in index]
    near_duplicates = [
        [paths[j], paths[i], distance]
        for i, j, distance in closest_pairs(prints, pair_ids, unique, unique, earlier=True)
    ]

    # Compare test images with training images, each digest once.
    first = {}
    for path, record in records.items():
        first.setdefault((record["digest"], split_of(path)), path)
    train, test = (
        [index[path] for (_, s), path in first.items() if s == split and path in index]
        for split in ("train", "test")
    )
    nearest = {
        paths[i]: paths[j]
        for i, j, _ in closest_pairs(prints, pair_ids, test, train, earlier=False)
    }
    train_test_duplicates = []
    for path, record in records.items():
        if split_of(path) == "test":
            digest = record["digest"]
            twin = first.get((digest, "train")) or nearest.get(first[digest, "test"])
            train_test_duplicates += [[twin, path]] if twin else []
    return near_duplicates, train_test_duplicates


def fingerprints(thumbnails):
    """Compute the fingerprints that are compared to find near duplicates.

    Args:
        thumbnails: n arrays uint8 (32, 32, 3).

    Returns:
        A dict: bits +-1 (n, 112), edges of length 1 (n, 816), and whether an image is blank (n,).
    """
    bits, edges, blank = [], [], []
    for thumbnail in thumbnails:
        colors = thumbnail.reshape(8, 4, 8, 4, 3).mean((1, 3))
        grays = thumbnail.reshape(16, 2, 16, 2, 3).mean((1, 3, 4))
        steps = cell_differences(colors.mean(-1))
        bits.append(np.where(steps > 1, 1, -1))  # not > 0: ignore the noise of flat regions
        blank.append((abs(steps) > 5).sum() < MIN_STEPS)
        # Weigh grays twice, because JPEG keeps half of the resolution of colors.
        edge = np.concatenate([2 * cell_differences(grays), cell_differences(colors)])
        edges.append((edge / max(np.linalg.norm(edge), 1e-6)).astype(np.float32))
    return {"bits": np.array(bits, np.float32), "edges": np.array(edges), "blank": blank}


def cell_differences(cells):
    """Return the steps to the next cell, to the right and below: (n, n, ...) -> (m,)."""
    return np.concatenate([np.diff(cells, axis=axis).ravel() for axis in (1, 0)])


def closest_pairs(prints, pair_ids, rows, columns, earlier):
    """Find the nearest near duplicate of each image.

    Args:
        prints: `fingerprints` of all images.
        pair_ids: int (n,); images of the same number are not compared.
        rows: Indices of the images for which to find one.
        columns: Indices of the images among which to find it.
        earlier: Whether to compare an image only with those before it.

    Yields:
        (row, column, number of different bits).
    """
    rows, columns = np.array(rows, np.int64), np.array(columns, np.int64)
    bits, edges, block_size = prints["bits"], prints["edges"], 256
    # Compare in blocks: the whole matrix would not fit in memory for large folders.
    for start in range(0, len(rows) if len(columns) else 0, block_size):
        block = rows[start : start + block_size]
        candidates = columns[: start + block_size] if earlier else columns
        distance = (BITS - bits[block] @ bits[candidates].T) / 2
        is_duplicate = distance <= MAX_BITS
        is_duplicate &= pair_ids[block][:, None] != pair_ids[candidates]
        is_duplicate &= not earlier or candidates < block[:, None]
        has_candidate = is_duplicate.any(axis=1)
        block, distance, is_duplicate = (
            array[has_candidate] for array in (block, distance, is_duplicate)
        )
        is_duplicate &= 2 - 2 * (edges[block] @ edges[candidates].T) <= MAX_EDGE_DISTANCE**2
        distance[~is_duplicate] = np.inf
        for i in np.flatnonzero(is_duplicate.any(axis=1)):
            j = distance[i].argmin()
            yield block[i], candidates[j], int(distance[i, j])


# --- folders: "train/cats/1.png" has the split "train" and the label "train/cats"


def split_of(path):
    """Return train, test or "", by the name of the first folder."""
    top = path.split("/")[0].lower() if "/" in path else ""
    return "train" if top.startswith("train") else "test" if top.startswith(("test", "val")) else ""


def label_of(path):
    """Return the folder of the class or domain, with the folder of the split above it, if any."""
    parts = path.split("/")[:-1]
    return "/".join(parts[: 2 if parts and image_folder.split_of(parts[0]) else 1]) or "."


def pair_key(path):
    """Return a key that is equal for the images of a pair by name: trainA/1.png, trainB/1.jpg."""
    domain = domains.domain_of(label_of(path))
    if not domain:
        return path
    names, _, split = domain
    return names, split, name_in_label(path)


def match_by_suffix(paths):
    """Return {path: path of its partner in x} of pairs such as 1_A.png and 1_B.png."""
    pairs = domains.match_by_suffix([pathlib.PurePosixPath(path) for path in paths])
    return {str(path): str(x) for x, y in pairs for path in (x, y)}


def name_in_label(path):
    """Return the path within its class or domain, without suffix."""
    return pathlib.PurePosixPath(path).relative_to(label_of(path)).with_suffix("").as_posix()


# --- warnings and summary


def list_warnings(result, records):
    """Return a sentence for each kind of problem: the number, an example and what to do.

    Args:
        result: The result of `check_folder` so far.
        records: {path: record of `inspect_image`} of the readable images.
    """
    warnings, exact = [], result["exact_duplicates"]
    unreadable = [problem["path"] for problem in result["unreadable"]]
    labels = collections.defaultdict(list)  # label: paths
    for path in sorted([*records, *unreadable]):
        labels[label_of(path)].append(path)

    def warn(examples, problem, advice, total=result["files"]):
        if examples:
            number = f"{len(examples)} of {total}"
            warnings.append(f"{number} {problem} (first: {examples[0]}): {advice}")

    warn(unreadable, "files cannot be read", "replace or delete them, training skips them")
    warn(
        [f"{test} is {train}" for train, test in result["train_test_duplicates"]],
        "test images are also training images, exactly or nearly",
        "remove them from one split, they make scores look better than they are",
        total=sum(split_of(path) == "test" for paths in labels.values() for path in paths),
    )
    warn(
        [f"{path} is {group[0]}" for group in exact for path in group[1:]],
        "images are exact copies of others",
        "delete them, copies have more weight in training",
    )
    warn(
        [" = ".join(format_examples(group)) for group in exact if has_several_labels(group)],
        "images occur in several classes or domains",
        "keep each in one of them",
    )
    warn(
        [f"{path} is like {earlier}" for earlier, path, _ in result["near_duplicates"]],
        "images are near duplicates of others",
        "compare them and keep one of each",
    )
    if len(result["sizes"]) > 1:  # if all have one size, such as digits of 28x28, it is intended
        warn(
            [path for path, record in records.items() if min(record["size"]) < MIN_SIDE],
            f"images have a side of less than {MIN_SIDE} pixels",
            "remove them, enlarged they are blurred",
        )
    warn(
        [path for paths in labels.values() for path in unusual_ratios(paths, records)],
        "images have another aspect ratio than most in their folder",
        "they are cropped or squeezed to a square, crop them yourself if it matters",
    )
    warn(
        [path for path, record in records.items() if record["animated"]],
        "files have several frames or pages",
        "only the first is read, save the others as files",
    )
    depth = image_file.bit_depth_warning(
        max((record["peak"] for record in records.values()), default=0)
    )
    if depth:
        warnings.append(depth)
    if len(labels) > 1:
        warn(
            labels.pop(".", []),
            "images are outside of the subfolders",
            "move them, or they are ignored or the subfolders are not used as classes",
        )
    return warnings + list_domain_warnings(labels) + list_balance_warnings(labels)


def has_several_labels(paths):
    """Return whether images of one split are in several classes or domains."""
    return any(
        len({label_of(path) for path in paths if split_of(path) == split}) > 1
        for split in ("train", "test", "")
    )


def unusual_ratios(paths, records):
    """Return the paths whose aspect ratio differs from the most frequent one."""
    ratios = {
        path: records[path]["size"][0] / records[path]["size"][1]
        for path in paths
        if path in records
    }
    usual = next(iter(most_frequent(ratios.values())), 1.0)
    return [path for path, ratio in ratios.items() if abs(np.log(ratio / usual)) > 0.05]


def list_domain_warnings(labels):
    """Return warnings about missing domains and about images without a partner of the same name.

    Args:
        labels: {label: paths}. If not all are domains, they are classes: nothing is returned.
    """
    parsed = {domains.domain_of(label): label for label in labels}
    if None in parsed:
        return []
    warnings = []
    for (names, i, split), label in parsed.items():
        other = parsed.get((names, 1 - i, split))
        if not other:
            ending = label[len(label) - len(names[i]) :]
            name = names[1 - i].upper() if ending.isupper() else names[1 - i]
            warnings.append(
                f"{label} has {len(labels[label])} images and {label.removesuffix(ending)}{name} "
                "0: add the second domain"
            )
            continue
        a, b = ({name_in_label(path): path for path in labels[key]} for key in (label, other))
        single = sorted({**a, **b}[name] for name in a.keys() ^ b.keys())
        paired_by_name = 2 * len(a.keys() & b.keys()) >= min(len(a), len(b))
        if i == 0 and single and paired_by_name:
            warnings.append(
                f"{len(single)} of {len(a) + len(b)} images in {label} and {other} have no partner "
                f"of the same name (first: {single[0]}): pairs are made without them"
            )
    return warnings


def list_balance_warnings(labels):
    """Return warnings about classes or domains of very different sizes.

    Args:
        labels: {label: paths}.
    """
    warnings, siblings = [], collections.defaultdict(list)
    for label in labels:
        if not image_folder.split_of(label):  # splits may have different sizes
            siblings[label.rpartition("/")[0], split_of(f"{label}/")].append(label)
    for group in siblings.values():
        small, large = (
            extreme(group, key=lambda label: len(labels[label])) for extreme in (min, max)
        )
        if len(labels[large]) > 10 * len(labels[small]):
            warnings.append(
                f"{large} has {len(labels[large])} images, {small} only {len(labels[small])}: "
                "balance them, small classes are learned badly and small domains are memorized"
            )
    return warnings


def most_frequent(values):
    """Return {value: count}, the most frequent first."""
    return dict(collections.Counter(values).most_common())


def summary(result):
    """Format the result of `check_folder` as text: counts, examples of each problem, warnings."""
    readable = result["files"] - len(result["unreadable"])
    lines = [f"{result['folder']}: {result['files']} image files, {readable} of them readable"]
    lines.append(f"layout: {result['layout']}")
    for key in ("groups", "sizes", "modes", "formats"):
        counts = [f"{name} ({count})" for name, count in result[key].items()]
        lines.append(f"{key}: {', '.join(format_examples(counts))}")
    lines.append(f"rotated by EXIF: {result['rotated']}")
    problems = {
        "unreadable": [
            f"{problem['path']}: {problem['error']}" for problem in result["unreadable"]
        ],
        "wrong suffix": result["wrong_suffix"],
        "exact duplicates": [
            " = ".join(format_examples(group)) for group in result["exact_duplicates"]
        ],
        "near duplicates": [
            f"{a} ~ {b} ({bits} of {BITS} bits differ)" for a, b, bits in result["near_duplicates"]
        ],
        "in training and in test": [
            f"{train} ~ {test}" for train, test in result["train_test_duplicates"]
        ],
        "ignored": result["ignored"],
    }
    for title, items in problems.items():
        if items:
            lines += [f"{title} ({len(items)}):", *(f"  {item}" for item in format_examples(items))]
    if not result["warnings"]:
        return "\n".join([*lines, "no problems found"])
    lines.append(f"warnings ({len(result['warnings'])}):")
    return "\n".join([*lines, *(f"  {warning}" for warning in result["warnings"])])


def format_examples(items):
    """Return the first items, followed by "and N more" if there are others."""
    more = [f"and {len(items) - MAX_EXAMPLES} more"] if len(items) > MAX_EXAMPLES else []
    return [*items[:MAX_EXAMPLES], *more]
