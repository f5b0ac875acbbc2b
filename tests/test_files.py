"""Outputs on the disk: whole files and folders, whenever the process is killed."""

import ast
import json
import pathlib
import subprocess
import sys
import textwrap

import pytest

import tfgan_zoo
from tfgan_zoo.errors import UserError
from tfgan_zoo.files import atomic_folder, atomic_write, remove_leftover_folders

# Writes a folder over an old one, killed before its N-th file operation, for every N.
KILLED = """
    import json, os, pathlib, shutil, signal, sys
    from tfgan_zoo.files import atomic_folder, remove_leftover_folders

    parent = pathlib.Path(sys.argv[1]).resolve()
    target, others = parent / "model", parent / "model.partial"
    OPERATIONS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir")

    def write(text):
        with atomic_folder(target, overwrite=True) as folder:
            for name in ("a", "b"):
                (folder / name).write_text(text)

    def kill_before(number):
        count = 0

        def hook(event, arguments):
            nonlocal count
            reads = event == "open" and not arguments[2] & os.O_CREAT
            if event in OPERATIONS and not reads:
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)

    number, status, results = 0, -1, []
    while status:
        number += 1
        shutil.rmtree(parent)
        others.mkdir(parents=True)
        write("old")
        process = os.fork()
        if not process:
            kill_before(number)
            write("new")
            os._exit(0)
        status = os.waitpid(process, 0)[1]
        remove_leftover_folders(target)
        texts = [(target / name).read_text() for name in ("a", "b")]
        results.append([texts, sorted(path.name for path in parent.iterdir())])
    print(json.dumps(results))
"""


def test_a_folder_is_whole_after_a_kill_at_any_file_operation(tmp_path):
    (tmp_path / "work").mkdir()
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / "work")]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    results = json.loads(process.stdout)
    texts, names = zip(*results, strict=True)
    assert len(results) > 10 and texts[0] == ["old", "old"] and texts[-1] == ["new", "new"]
    assert all(text in (["old", "old"], ["new", "new"]) for text in texts)
    assert all(name == ["model", "model.partial"] for name in names)


def test_a_failure_keeps_the_old_folder(tmp_path):
    with atomic_folder(tmp_path / "x") as folder:
        (folder / "a").write_text("old")
    overwriting = atomic_folder(tmp_path / "x", overwrite=True)
    with pytest.raises(OSError, match="full"), overwriting as folder:
        (folder / "a").write_text("new")
        raise OSError("full")
    assert (tmp_path / "x/a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_two_writers_of_one_folder(tmp_path):
    """The first one wins, and the temporary folder of a running process is not removed."""
    target = tmp_path / "x"
    with pytest.raises(UserError, match="x already exists"), atomic_folder(target) as slow:
        (slow / "a").write_text("slow")
        with atomic_folder(target) as fast:
            (fast / "a").write_text("fast")
        remove_leftover_folders(target)
        assert (slow / "a").read_text() == "slow"
    assert (target / "a").read_text() == "fast"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_names_the_file_and_keeps_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="No space left on device.*a.txt"), atomic_write(path) as new:
        new.write_text("half")
        raise OSError(28, "No space left on device")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


WRITERS = {"write_bytes", "savez", "savez_compressed", "savefig", "imsave", "tofile", "to_csv"}


def test_files_are_written_in_atomic_write_only():
    """Outside of `files`, these calls write to the path of an `atomic_write`, or to memory."""
    package = pathlib.Path(tfgan_zoo.__file__).parent
    found = []
    for path in package.rglob("*.py"):
        if path.name == "files.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        safe = {
            node
            for block in ast.walk(tree)
            if isinstance(block, ast.With)
            and any("atomic_" in ast.unparse(item.context_expr) for item in block.items)
            for node in ast.walk(block)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or node in safe:
                continue
            name = getattr(node.func, "attr", "")
            method_of_path = name == "write_text" and isinstance(node.func, ast.Attribute)
            in_memory = node.args and ast.unparse(node.args[0]) in ("buffer", "file")
            if (name in WRITERS or method_of_path) and not in_memory:
                found.append(f"{path.relative_to(package)}:{node.lineno} {ast.unparse(node)}")
    assert not found
