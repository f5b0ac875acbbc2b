"""Makes the trained presets in this folder, with their cards, from finished runs; and the archives that are published.

python saved_models/publish.py RUN...             # exports each run as saved_models/<its preset>, weights in float16
python saved_models/publish.py --archives DIR     # <preset>.zip of every preset here, and their checksums in the package
"""

import argparse
import hashlib
import json
import pathlib
import zipfile

HERE = pathlib.Path(__file__).parent


def archive(folder, path):
    """A zip of a preset's folder that is the same wherever it is made; returns its SHA-256."""
    with zipfile.ZipFile(
        path, "w", zipfile.ZIP_STORED
    ) as file:  # compression differs between versions of zlib
        for name in sorted(
            each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()
        ):
            entry = zipfile.ZipInfo(f"{folder.name}/{name}")
            entry.create_system = 3  # of Unix; Python says where it runs
            file.writestr(entry, (folder / name).read_bytes())
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="*", type=pathlib.Path)
    parser.add_argument("--archives", type=pathlib.Path, metavar="DIR")
    options = parser.parse_args()
    if options.runs:
        from tfgan_zoo.runs import read_experiment
        from tfgan_zoo.saving.saved_model import export

        for run in options.runs:
            folder = export(run, HERE / read_experiment(run).preset, replace=True, compact=True)
            print(
                f"{folder.name}: {sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 2**20:.1f} MiB"
            )
    if options.archives:
        from tfgan_zoo.saving import hub

        options.archives.mkdir(parents=True, exist_ok=True)
        folders = sorted(path.parent for path in HERE.glob("*/saved_model.pb"))
        found = {
            folder.name: archive(folder, options.archives / f"{folder.name}.zip")
            for folder in folders
        }
        hub.CHECKSUM_FILE.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
