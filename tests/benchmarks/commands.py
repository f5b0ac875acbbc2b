"""Measure the time and the memory of commands.

Measured are cold starts, a folder of 100 images, and an evaluation of 10,000 samples. This script
is not a test. It runs the `tfgan-zoo` of its Python's environment, and MNIST must be prepared:

    python tests/benchmarks/commands.py [--rounds 5] [--stylizer PRESET_OR_RUN]

Every command is a new process. From the time of a folder, the time of a folder with one image is
subtracted, so that the rest is the time of the other images. Reading and writing run in parallel
with the computation. The time that they take alone shows how much of it is hidden.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from PIL import Image

COMMAND = str(pathlib.Path(sys.executable).with_name("tfgan-zoo"))
NUM_IMAGES, SIZE = 100, 512


def run(*words, folder):
    """Run a command and return (seconds, peak memory in MiB)."""
    begin = time.perf_counter()
    with open(os.devnull, "w") as nothing:
        process = subprocess.Popen(
            [str(word) for word in words], cwd=folder, stdout=nothing, stderr=subprocess.PIPE
        )
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(map(str, words))} failed: {errors.decode()[-500:]}")
    return time.perf_counter() - begin, usage.ru_maxrss / 1024


def measure_cold_starts(rounds, folder):
    for words in (
        (sys.executable, "-c", "import tfgan_zoo"),
        (COMMAND, "--help"),
        (COMMAND, "list"),
        (COMMAND, "sample", "dcgan_mnist"),
    ):
        times = [run(*words, folder=folder)[0] for _ in range(rounds + 1)][1:]
        command = " ".join((pathlib.Path(words[0]).name, *words[1:]))
        print(f"{command}: {statistics.median(times):.2f} s", flush=True)


def write_images(folder):
    from tfgan_zoo.data import builtin_images

    (folder / "one").mkdir()
    (folder / "many").mkdir()
    for i in range(NUM_IMAGES + 1):
        path = folder / ("many" if i else "one") / f"{i:03}.png"
        Image.fromarray(builtin_images.photograph_crop(i, SIZE)).save(path)


def seconds_of_reading_and_writing(folder):
    """Return the seconds of reading and writing all images without any computation."""
    from tfgan_zoo.data import image_file
    from tfgan_zoo.inference import image_files

    begin = time.perf_counter()
    for path in sorted((folder / "many").iterdir()):
        image_files.write_image(image_file.read_image(path, 3), folder / "alone.png")
    return time.perf_counter() - begin


def measure_folder(words, folder):
    one, _ = run(COMMAND, *words, "one", "-o", "out_one", "--overwrite", folder=folder)
    many, memory = run(COMMAND, *words, "many", "-o", "out_many", "--overwrite", folder=folder)
    print(
        f"{' '.join(words)}, {NUM_IMAGES} images of {SIZE}x{SIZE}: {many:.1f} s, including "
        f"{one:.1f} s for the start and the first image; "
        f"{NUM_IMAGES / (many - one):.2f} images/s, {memory:.0f} MiB",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--stylizer", default="fast_mosaic", help="a preset or a run (default: fast_mosaic)"
    )
    options = parser.parse_args()
    stylizer = options.stylizer
    if pathlib.Path(stylizer).exists():  # the command runs in another folder
        stylizer = str(pathlib.Path(stylizer).resolve())
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        measure_cold_starts(options.rounds, folder)
        seconds, memory = run(COMMAND, "evaluate", "dcgan_mnist", "-o", "scores", folder=folder)
        print(
            f"evaluate dcgan_mnist, 10,000 samples, all metrics: {seconds:.0f} s, {memory:.0f} MiB",
            flush=True,
        )
        write_images(folder)
        seconds = seconds_of_reading_and_writing(folder)
        print(f"reading and writing {NUM_IMAGES} images: {seconds:.1f} s", flush=True)
        measure_folder(("translate", "pix2pix_facades_synthetic"), folder)
        measure_folder(("stylize", "--preset", stylizer), folder)


if __name__ == "__main__":
    main()
