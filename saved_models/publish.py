"""Export finished runs as the pretrained presets of this folder, and write their archives.

python saved_models/publish.py RUN...           # export each run as saved_models/PRESET, in float16
python saved_models/publish.py --archives DIR   # write PRESET.zip of every preset and the checksums
python saved_models/publish.py --overview       # compose overview.jpg of the README
"""

import argparse
import hashlib
import json
import pathlib
import zipfile

FOLDER = pathlib.Path(__file__).parent
LICENSE = "mit"  # of the weights
OVERVIEW = FOLDER / "overview.jpg"
OVERVIEW_PARTS = ("facades.png", "style.png", "strip.png")
OVERVIEW_WIDTH = 1160  # pixels


def export_preset(run):
    """Export a run as the pretrained preset; return its folder."""
    from tfgan_zoo.files import atomic_write, write_text
    from tfgan_zoo.runs import load_model, read_experiment
    from tfgan_zoo.saving.hugging_face import contents_to_upload
    from tfgan_zoo.saving.model_card import model_card
    from tfgan_zoo.saving.saved_model import export

    folder = export(run, FOLDER / read_experiment(run).preset, overwrite=True, compact=True)
    card = model_card(run, load_model(run), compact=True, license=LICENSE)
    write_text(folder / "README.md", card.rstrip("\n"))
    for name, content in contents_to_upload(folder).items():  # without paths of this machine
        if (folder / name).read_bytes() != content:
            with atomic_write(folder / name) as partial:
                partial.write_bytes(content)
    return folder


def archive(folder, path):
    """Write a zip of a preset's folder, equal on every machine, and return its SHA-256."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    # Not compressed, because compression differs between versions of zlib.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive_file:
        for name in sorted(file.relative_to(folder).as_posix() for file in files):
            entry = zipfile.ZipInfo(f"{folder.name}/{name}")
            entry.create_system = 3  # Unix; the default is the system that runs Python
            archive_file.writestr(entry, (folder / name).read_bytes())
    return hashlib.sha256(path.read_bytes()).hexdigest()


def complete_presets():
    """Return the folders of pretrained presets, without those that a killed export left."""
    from tfgan_zoo.presets import PRESETS

    files = ("saved_model.pb", "README.md", "experiment.json")
    folders = [FOLDER / name for name in sorted(PRESETS)]
    return [folder for folder in folders if all((folder / file).is_file() for file in files)]


def write_archives(folder):
    """Write the archives of all presets into a folder, and their checksums into the package."""
    from tfgan_zoo.files import atomic_write, write_text
    from tfgan_zoo.saving.hub import CHECKSUM_FILE

    folder.mkdir(parents=True, exist_ok=True)
    sums = {}
    for preset in complete_presets():
        with atomic_write(folder / f"{preset.name}.zip") as partial:
            sums[preset.name] = archive(preset, partial)
    write_text(CHECKSUM_FILE, json.dumps(sums, indent=2))


def overview():
    """Return the pictures of translation, style and digits, one below the other."""
    from PIL import Image

    parts = []
    for name in OVERVIEW_PARTS:
        part = Image.open(FOLDER / name).convert("RGB")
        height = round(part.height * OVERVIEW_WIDTH / part.width)
        parts.append(part.resize((OVERVIEW_WIDTH, height), Image.Resampling.LANCZOS))
    whole = Image.new("RGB", (OVERVIEW_WIDTH, sum(part.height for part in parts)))
    top = 0
    for part in parts:
        whole.paste(part, (0, top))
        top += part.height
    return whole


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="*", type=pathlib.Path)
    parser.add_argument("--archives", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--overview", action="store_true")
    options = parser.parse_args()
    for run in options.runs:
        folder = export_preset(run)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"{folder.name}: {size / 2**20:.1f} MiB")
    if options.archives:
        write_archives(options.archives)
    if options.overview:
        overview().save(OVERVIEW, quality=90, subsampling=0)


if __name__ == "__main__":
    main()
