"""How long commands take and how much memory: the cold ones, a folder of 100 pictures, an evaluation of 10,000 samples.

Not run by the tests; `tfgan-zoo` is the one beside this Python, MNIST must be prepared:

    python tests/benchmarks/commands.py [--rounds 5] [--stylizer PRESET_OR_RUN]

Every command is a new process. Of a folder the seconds of one picture are taken off, so that what remains is the others' own. How far
reading and writing are hidden behind computing is shown by the seconds that they take alone.
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
PICTURES, SIZE = 100, 512


def run(*words, folder):
    """(seconds, peak memory in MiB) of a command."""
    begin = time.perf_counter()
    with open(os.devnull, "w") as nothing:
        process = subprocess.Popen(
            [str(word) for word in words], cwd=folder, stdout=nothing, stderr=subprocess.PIPE
        )
        complaint = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(map(str, words))} failed: {complaint.decode()[-500:]}")
    return time.perf_counter() - begin, usage.ru_maxrss / 1024


def cold(rounds, folder):
    for words in (
        (sys.executable, "-c", "import tfgan_zoo"),
        (COMMAND, "--help"),
        (COMMAND, "list"),
        (COMMAND, "sample", "dcgan_mnist"),
    ):
        taken = [run(*words, folder=folder)[0] for _ in range(rounds + 1)][1:]
        print(
            f"{' '.join((pathlib.Path(words[0]).name, *words[1:]))}: {statistics.median(taken):.2f} s",
            flush=True,
        )


def make_pictures(folder):
    from tfgan_zoo.data import builtin_images

    (folder / "one").mkdir()
    (folder / "many").mkdir()
    for i in range(PICTURES + 1):
        Image.fromarray(builtin_images.photograph_crop(i, SIZE)).save(
            folder / ("many" if i else "one") / f"{i:03}.png"
        )


def alone(folder):
    """Seconds of reading and writing all pictures without anything between."""
    from tfgan_zoo.data import image_folder
    from tfgan_zoo.inference import image_files

    begin = time.perf_counter()
    for path in sorted((folder / "many").iterdir()):
        image_files.write_image(image_folder.read_image(path, 3), folder / "alone.png")
    return time.perf_counter() - begin


def pictures(words, folder):
    one, _ = run(COMMAND, *words, "one", "-o", "out_one", "--overwrite", folder=folder)
    many, memory = run(COMMAND, *words, "many", "-o", "out_many", "--overwrite", folder=folder)
    print(
        f"{' '.join(words)}, {PICTURES} pictures of {SIZE}x{SIZE}: {many:.1f} s, of them {one:.1f} s for starting and the first; ",
        end="",
    )
    print(f"{PICTURES / (many - one):.2f} pictures/s, {memory:.0f} MiB", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--stylizer", default="fast_mosaic", help="a preset or a run (default: fast_mosaic)"
    )
    options = parser.parse_args()
    stylizer = (
        str(pathlib.Path(options.stylizer).resolve())
        if pathlib.Path(options.stylizer).exists()
        else options.stylizer
    )
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        cold(options.rounds, folder)
        seconds, memory = run(COMMAND, "evaluate", "dcgan_mnist", "-o", "scores", folder=folder)
        print(
            f"evaluate dcgan_mnist, 10,000 samples, all scores: {seconds:.0f} s, {memory:.0f} MiB",
            flush=True,
        )
        make_pictures(folder)
        print(f"reading and writing {PICTURES} pictures alone: {alone(folder):.1f} s", flush=True)
        pictures(("translate", "pix2pix_facades_synthetic"), folder)
        pictures(("stylize", "--preset", stylizer), folder)


if __name__ == "__main__":
    main()
