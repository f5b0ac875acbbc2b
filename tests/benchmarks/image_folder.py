"""Measure how fast photographs from a smartphone become batches, next to what a step needs.

    python tests/benchmarks/image_folder.py [--images 100] [--folder DIR] [--size 128]

Not run by the tests. It writes JPEG files of 12 megapixels (4032x3024, about 2.5 MB each) into a
temporary folder and measures images per second:

- decoding at the start of a training, from the disk (the files are removed from the system's cache
  before) and from the cache, as the package does it and with every file decoded whole;
- batches from memory, which every epoch is if the decoded images fit into `data.cache_gb`;
- batches that are decoded in every epoch (`data.cache_gb=0`);
- a training step of `dcgan_folder_64` with 128 pixels and width 64, alone.

Rates do not depend on the number of files, as long as the disk does not become slower.
"""

import argparse
import concurrent.futures
import os
import pathlib
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from PIL import Image

from tfgan_zoo import presets
from tfgan_zoo.data import builtin_images, image_file
from tfgan_zoo.training.prepare import prepare

WIDTH, HEIGHT = 4032, 3024
SECONDS = 5.0  # of each measurement of batches


def write_photographs(folder, count):
    """Write enlarged photographs with noise, which JPEG compresses as it does a camera's."""
    random = np.random.default_rng(0)
    for i in range(count):
        crop = Image.fromarray(builtin_images.photograph_crop(i, 400)[:300])
        pixels = np.asarray(crop.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.int16)
        noise = random.integers(-6, 7, (HEIGHT, WIDTH, 1), np.int16)
        noisy = np.clip(pixels + noise, 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{i:05}.jpg", quality=90)


def drop_from_cache(folder):
    """Remove the files from the cache of the operating system (Linux)."""
    for path in folder.iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def decoding_rate(folder, size, side):
    """Return images/s of reading, decoding and resizing with one thread per core."""
    paths = sorted(folder.iterdir())

    def decode(path):
        return image_file.to_square(image_file.read_image(path, 3, side, min), size, 3)

    begin = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(decode, paths))
    return len(paths) / (time.perf_counter() - begin)


def rate_of(call, images):
    """Return the median images/s of a call, after a warm-up."""
    for _ in range(3):
        call()
    times, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times) < 3:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return images / statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--size", type=int, default=128, help="pixels of the training images")
    parser.add_argument("--folder", help="an empty folder on the disk to measure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = pathlib.Path(name)
        write_photographs(folder, options.images)
        megabytes = sum(path.stat().st_size for path in folder.iterdir()) / 1e6 / options.images
        print(f"{options.images} JPEG files of {WIDTH}x{HEIGHT} pixels, {megabytes:.1f} MB each")
        print("| what | images/s |\n|---|---|")

        def show(what, rate):
            print(f"| {what} | {rate:,.1f} |", flush=True)

        decoding_rate(folder, options.size, options.size)  # warm-up
        for what, side in (("as the package does", options.size), ("whole", 0)):
            drop_from_cache(folder)
            show(f"decoded {what}, from the disk", decoding_rate(folder, options.size, side))
            show(f"decoded {what}, from the cache", decoding_rate(folder, options.size, side))
        overrides = (
            f"data.path={folder}",
            f"model.image_size={options.size}",
            *("model.width=64", "data.batch_size=16", "train.precision=float32"),
        )
        for what, more in (("from memory", ()), ("decoded anew", ("data.cache_gb=0",))):
            prepared = prepare(presets.experiment("dcgan_folder_64", *overrides, *more))
            stream = iter(prepared.batches())
            show(f"batches {what}", rate_of(lambda s=stream: next(s), prepared.batch_size))
            del stream
        step = prepared.model.make_train_function()
        batches = iter(prepared.batches().take(1).cache().repeat())
        show("training step", rate_of(lambda: step(batches), prepared.batch_size))


if __name__ == "__main__":
    main()
