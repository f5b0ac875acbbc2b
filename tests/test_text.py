"""Text that the package writes: UTF-8 files, and commands that can be pasted into a shell."""

import ast
import json
import pathlib
import shlex
import subprocess
import sys

import pytest
from helpers import ROOT
from PIL import Image

import tfgan_zoo
from tfgan_zoo import presets
from tfgan_zoo.errors import UserError, shell_command
from tfgan_zoo.files import write_text
from tfgan_zoo.runs import load_model, read_experiment, write_experiment
from tfgan_zoo.saving.model_card import code_span, train_arguments, train_command
from tfgan_zoo.tools.report import write_report
from tfgan_zoo.training.train import summary

ODD_NAME = 'it\'s 50 $HOME; `id` | "é" 絵'

# Runs commands, given as JSON, and turns a text file that this package opens without an encoding
# into an error.
COMMANDS = r"""
import json, sys, warnings
warnings.filterwarnings("ignore", category=EncodingWarning)
warnings.filterwarnings("error", category=EncodingWarning, module=r"tfgan_zoo(\.|$)")
from tfgan_zoo.cli import main
for command in json.loads(sys.argv[1]):
    code = main(command)
    if code:
        sys.exit(code)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Train, evaluate, export and report a run whose folders and classes have odd names."""
    root = tmp_path_factory.mktemp("text")
    data, folder = root / f"data {ODD_NAME}", root / f"run {ODD_NAME}"
    for i in range(52):
        path = data / ("絵" if i % 2 else "größe") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), 4 * i).save(path)
    overrides = (
        *("data.dataset=folder", f"data.path={data}", "data.batch_size=16", "data.flip=true"),
        *("model.classes=2", "train.epochs=1", "train.steps_per_epoch=1"),
    )
    commands = [
        ["train", "cgan_tiny", *overrides, "--run-dir", folder],
        ["evaluate", folder, "--samples", 50, "--features", "digits"],
        ["export", folder, "--overwrite"],
        ["report", folder],
        ["data", "check", data],
    ]
    commands = json.dumps([[str(word) for word in command] for command in commands])
    process = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-c", COMMANDS, commands],
        capture_output=True,
        encoding="cp1252",  # that of a pipe on Windows, which has no 絵
        env={"PATH": "", "HOME": str(root), "PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(ROOT)},
    )
    assert process.returncode == 0, process.stderr
    return folder


def test_text_files_are_utf_8(run):
    names = (
        "experiment.json",
        "result.json",
        "metrics.csv",
        "report.html",
        "saved_model/README.md",
    )
    texts = {name: (run / name).read_bytes().decode("utf-8") for name in names}
    card = texts["saved_model/README.md"]
    assert "0 größe, 1 絵" in card and 'data it\'s 50 $HOME; `id` \\| "é" 絵' in card.replace(
        "'\"'\"'", "'"
    )


def test_every_text_file_is_opened_with_an_encoding():
    files = [*(ROOT / "tfgan_zoo").rglob("*.py"), *(ROOT / "saved_models").glob("*.py")]
    problems = []
    for path in [*files, *(ROOT / "docs").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            name = node.func.id if isinstance(node.func, ast.Name) else name
            text = ast.unparse(node)
            is_text = name in ("read_text", "write_text") or (
                name == "open" and "'rb'" not in text and "'wb'" not in text
            )
            is_other = text.startswith(
                ("Image.", "PillowImage.", "os.open", "tarfile.", "write_text(")
            )
            if is_text and not is_other and "encoding=" not in text:
                problems.append(f"{path.relative_to(ROOT)}:{node.lineno} {text}")
    assert not problems


def test_names_that_are_not_utf_8_are_written_as_escapes(tmp_path):
    write_text(tmp_path / "x.txt", "a \udcff")
    assert (tmp_path / "x.txt").read_text(encoding="utf-8") == "a \\udcff\n"


def test_the_command_of_the_card_and_of_the_report_can_be_pasted(run):
    experiment = read_experiment(run)
    command = train_command(experiment)
    program, action, preset, *overrides = shlex.split(command)
    assert (program, action) == ("tfgan-zoo", "train")
    assert presets.experiment(preset, *overrides) == experiment

    card = (run / "saved_model/README.md").read_text(encoding="utf-8")
    (row,) = [line for line in card.splitlines() if line.startswith("| command |")]
    assert row.count("|") - row.count("\\|") == 3  # a table row of two cells
    assert row == f"| command | {code_span(command)} |".replace(
        command, command.replace("|", "\\|")
    )


def test_code_spans_may_have_backticks():
    assert code_span("a") == "`a`" and code_span("a `b` ``c") == "``` a `b` ``c ```"


def test_a_tuple_is_printed_as_an_override_takes_it():
    experiment = presets.experiment("gatys", 'model.style_layers=["block1_conv1", "block2_conv1"]')
    preset, *overrides = train_arguments(experiment)
    assert overrides and presets.experiment(preset, *overrides) == experiment


def test_commands_in_messages_can_be_pasted(run, tmp_path):
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    (line,) = [line for line in summary(result).splitlines() if line.startswith("more images")]
    assert shlex.split(line)[2:] == [
        *("tfgan-zoo", "sample", str(run), "-n", "100", "--seed", "1", "-o", "more.png")
    ]
    empty = tmp_path / ODD_NAME
    empty.mkdir()
    write_experiment(empty, read_experiment(run))
    for function in (load_model, write_report):
        with pytest.raises(UserError) as error:
            function(empty)
        assert str(error.value).endswith(f"with: {shell_command('train', empty)}")


def test_every_command_with_a_path_is_quoted():
    """Commands with values in braces are made by `shell_command`."""
    problems = []
    for path in pathlib.Path(tfgan_zoo.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.unparse(node) if isinstance(node, ast.JoinedStr) else ""
            for value in ("run", "path", "folder", "self.path"):
                if f"{{{value}}}" in text.partition("tfgan-zoo ")[2]:
                    problems.append(f"{path.name}:{node.lineno} {text}")
    assert not problems
