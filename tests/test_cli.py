"""The command tfgan-zoo: its output, its errors and its exit codes.

Most commands run in this process. In a new one TensorFlow takes seconds to start.
"""

import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
from helpers import ROOT, run_cli, run_here
from PIL import Image

from tfgan_zoo import cli, presets
from tfgan_zoo.errors import UserError
from tfgan_zoo.models import MODELS
from tfgan_zoo.saving import hub
from tfgan_zoo.saving.saved_model import export

SHORT = ["train.epochs=1", "train.steps_per_epoch=20", "train.sample_count=4"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run directory of a finished training, and its completed process."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    process = run_cli(
        "train", "dcgan_tiny", *SHORT, "model.learning_rate=0.01", "--run-dir", folder, "--json"
    )
    assert process.returncode == 0, process.stderr
    return folder, process


def test_train_ends_with_one_json_object(run):
    folder, process = run
    result = json.loads(process.stdout)
    assert result["run_dir"] == str(folder)
    assert result["epochs"] == 1
    assert result["seconds"] > 0
    assert result["metrics"]["step"] == 20
    assert len(result["weights_sha256"]) == 64


def test_tensorflow_messages_are_hidden(run):
    _, process = run
    lines = process.stderr.splitlines()
    assert any(line.startswith("epoch 1/1") for line in lines)
    assert not [
        line
        for line in lines
        if "oneDNN" in line or "cuda" in line.lower() or "WARNING" in line or "absl" in line
    ], process.stderr
    assert len(lines) < 12


def test_train_prints_the_paths_of_its_results(tmp_path):
    process = run_here("train", "dcgan_tiny", *SHORT, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    for path in (
        "samples/epoch_0001.png",
        "losses.png",
        "saved_model",
        "model.keras",
        "metrics.csv",
    ):
        assert f"runs/dcgan_tiny/{path}" in process.stdout
        assert (tmp_path / "runs/dcgan_tiny" / path).exists()


def test_sample_from_a_run_and_from_its_saved_model_agree(run, tmp_path):
    folder, _ = run
    for name, source, seed, start in [
        ("a", folder, 1, run_here),
        ("b", folder / "saved_model", 1, run_cli),
        ("c", folder, 2, run_here),
    ]:
        process = start(
            "sample", source, "-n", 9, "--seed", seed, "-o", tmp_path / f"{name}.png", "--json"
        )
        assert process.returncode == 0, process.stderr
        assert json.loads(process.stdout)["n"] == 9
    a, b, c = (np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int) for name in "abc")
    assert np.abs(a - b).max() <= 1
    assert np.abs(a - c).max() > 1


def test_export_replaces_no_other_folder(run, tmp_path):
    folder, _ = run
    assert run_here("export", folder, "-o", tmp_path / "out").returncode == 0
    assert (tmp_path / "out/saved_model.pb").is_file()
    assert "tfgan-zoo train dcgan_tiny" in (tmp_path / "out/README.md").read_text()
    second = run_here("export", folder, "-o", tmp_path / "out")
    assert second.returncode == 2 and f"{tmp_path / 'out'} already exists" in second.stderr
    assert "pass --overwrite" in second.stderr
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("precious")
    third = run_here("export", folder, "-o", tmp_path / "mine")
    assert third.returncode == 2 and "SavedModel" in third.stderr
    assert (tmp_path / "mine/notes.txt").read_text() == "precious"


def test_export_over_remains_and_beside_folders_of_others(run, tmp_path):
    folder = shutil.copytree(run[0], tmp_path / "run")
    saved = folder / "saved_model"
    (folder / "saved_model.partial").mkdir()
    (folder / "saved_model.partial/notes.txt").write_text("precious")
    with pytest.raises(UserError, match=r"saved_model already exists. .* pass --overwrite"):
        export(folder)
    # As a process leaves it that is killed while it deletes the folder.
    (saved / "saved_model.pb").unlink()
    with pytest.raises(UserError, match="is not a SavedModel"):
        export(folder)
    export(folder, overwrite=True)
    assert (saved / "saved_model.pb").is_file()
    assert (folder / "saved_model.partial/notes.txt").read_text() == "precious"
    assert not list(folder.glob(".*.partial"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["sample", "no/run", "-o", "a.png"],
        ["interpolate", "no/run", "-o", "a.gif"],
        ["reconstruct", "no/run", "-o", "a.png"],
    ],
)
def test_existing_files_are_refused_before_any_work(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "a.gif"):
        (tmp_path / name).write_text("precious")
    assert cli.main(arguments) == 2
    message = f"{arguments[-1]} already exists. Choose another output, or pass --overwrite."
    assert message in capsys.readouterr().err
    assert (tmp_path / arguments[-1]).read_text() == "precious"


def test_saved_model_cli_reads_the_signatures(run):
    folder, _ = run
    program = "from tensorflow.python.tools.saved_model_cli import main; main()"
    shown = subprocess.run(
        [sys.executable, "-c", program, "show", "--dir", str(folder / "saved_model"), "--all"],
        capture_output=True,
        text=True,
    ).stdout
    assert "signature_def['serving_default']" in shown
    assert "signature_def['sample']" in shown
    assert "inputs['z'] tensor_info:\n        dtype: DT_FLOAT\n        shape: (-1, 8)" in shown
    assert "inputs['seed'] tensor_info:\n        dtype: DT_INT32\n        shape: ()" in shown
    assert "outputs['images'] tensor_info:\n        dtype: DT_UINT8" in shown


def test_list_names_every_preset_and_does_not_import_tensorflow():
    code = """
        import sys
        from tfgan_zoo.cli import main
        main(["list", "--all", "--json"])
        assert "tensorflow" not in sys.modules
    """
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    rows = json.loads(process.stdout)
    assert {row["preset"] for row in rows} == set(presets.PRESETS)
    assert all(row["parameters"] > 0 for row in rows)


def run_main(capsys, *arguments):
    """Run a command in this process; return its exit code, stdout and stderr."""
    try:
        code = cli.main([*map(str, arguments)])
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


def listed(capsys, *arguments):
    """Return the rows of `tfgan-zoo list` as {preset: row}."""
    code, out, _ = run_main(capsys, "list", *arguments, "--json")
    assert code == 0
    return {row["preset"]: row for row in json.loads(out)}


def test_list_prints_one_plain_line_per_preset():
    header, *lines = run_cli("list", env={"COLUMNS": "200"}).stdout.splitlines()
    lines = lines[: lines.index("")]
    columns = ["preset", "model", "dataset", "size", "parameters", "trained", "time", "result"]
    assert header.split() == columns
    assert {line.split()[0] for line in lines} == {
        name for name in presets.PRESETS if not name.endswith("_tiny")
    }
    assert all(line.split()[5] in ("yes", "no") and "None" not in line for line in lines)
    assert all(line.isascii() and "\x1b" not in line for line in lines)


def test_list_is_ordered_by_model_and_selects(capsys, tmp_path, monkeypatch):
    rows = listed(capsys, "--all")
    kinds = [row["model"] for row in rows.values()]
    assert kinds == sorted(kinds, key=kinds.index)
    assert list(dict.fromkeys(kinds))[:2] == ["GAN", "DCGAN"]
    assert set(kinds) == set(cli.SYSTEMS) == set(MODELS)
    trained = listed(capsys, "--trained")
    assert list(trained) == [name for name, row in rows.items() if row["trained"]]
    assert set(trained) == set(hub.checksums())
    # A folder with a SavedModel also counts as trained.
    (tmp_path / "vae_digits").mkdir()
    (tmp_path / "vae_digits/saved_model.pb").touch()
    monkeypatch.setenv("TFGAN_ZOO_SAVED_MODELS", str(tmp_path))
    assert "vae_digits" in listed(capsys, "--trained")


CARDS = sorted((ROOT / "saved_models").glob("*/README.md"))


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.parent.name)
def test_expected_results_are_those_of_the_model_card(card):
    """Compare each "metric 1.23 (baseline 4.56)" with the table of scores, after rounding."""
    expected, text = presets.EXPECTED[card.parent.name], card.read_text()
    duration = re.search(r"\| training \|.* (?:(\d+):)?(\d+):(\d+) (?:min|h)", text).groups()
    hours, minutes, seconds = (int(number or 0) for number in duration)
    assert expected.time == f"{round(60 * hours + minutes + seconds / 60)} min"
    numbers = re.findall(r"(\w+) (\d+\.\d+)[^(,]*(?:\((?:[a-z]+ )*(\d+\.\d+)\))?", expected.result)
    table = dict(re.findall(r"^\| (\w+) \| (.*) \|$", text.partition("## Evaluation")[2], re.M))
    assert numbers
    for name, *values in numbers:
        cells = [float(cell) for cell in table[name].split(" | ") if cell.strip()]
        for value in filter(None, values):
            decimals = len(value.partition(".")[2])
            assert float(value) in [round(cell, decimals) for cell in cells], (name, value)


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize(
    "command", ["list", "list --all", "show gatys", "show dcgan_mnist", *sorted(cli.COMMANDS)]
)
def test_output_fits_the_terminal(command, columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    words = command.split()
    _, out, _ = run_main(capsys, *words, *(["--help"] if words == [command] else []))
    assert out and max(map(len, out.splitlines())) <= columns


@pytest.mark.parametrize(
    "statement",
    [
        "import tfgan_zoo",
        "from tfgan_zoo import PRESETS",
        "import tfgan_zoo.cli; tfgan_zoo.cli.main(['list'])",
        "import tfgan_zoo.cli; tfgan_zoo.cli.main(['show', 'dcgan_mnist'])",
        "import tfgan_zoo.cli; assert tfgan_zoo.cli.main(['train', 'gan_mnist', 'epochs=3']) == 2",
        "import tfgan_zoo.cli; assert tfgan_zoo.cli.main(['train', 'dcgan_mnits']) == 2",
    ],
)
def test_light_imports_do_not_import_tensorflow(statement):
    heavy = ("tensorflow", "keras", "sklearn", "matplotlib")
    code = f"{statement}\nimport sys; assert not set({heavy}) & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_show_prints_experiment_json(run):
    folder, _ = run
    process = run_here("show", "dcgan_tiny", *SHORT, "model.learning_rate=0.01", "--json")
    assert json.loads(process.stdout) == json.loads((folder / "experiment.json").read_text())


def test_show_prints_value_default_and_meaning(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = run_main(capsys, "show", "dcgan_mnist", "train.epochs=3")
    assert code == 0
    lines = {line.split()[0]: " ".join(line.split()) for line in out.splitlines() if line}
    assert lines["trained"] == "trained yes" and lines["time"] == "time 83 min on 2 CPU cores"
    assert lines["model.beta_1"].startswith("model.beta_1 0.5 0.5 of Adam: decay of the mean")
    assert lines["train.epochs"] == "train.epochs 3 50 passes over the training images"
    assert lines["data.path"].startswith('data.path "" "" folder of images')
    monkeypatch.setenv("COLUMNS", "60")
    _, out, _ = run_main(capsys, "show", "dcgan_mnist")
    assert "model.learning_rate = 0.001 (default: 0.0002)\n    of Adam, for both players\n" in out


def test_dry_run_writes_nothing(tmp_path):
    process = run_here("train", "dcgan_tiny", "--dry-run", "--json", cwd=tmp_path)
    description = json.loads(process.stdout)
    assert description["parameters"] == presets.PRESETS["dcgan_tiny"]["parameters"]
    assert description["steps_per_epoch"] == 4
    assert not list(tmp_path.iterdir())


def test_dry_run_prints_text(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = run_main(
        capsys, "train", "cgan_tiny", "train.epochs=3", "data.flip=true", "--dry-run"
    )
    assert code == 0
    lines = dict(re.split(r"  +", line) for line in out.splitlines())
    assert lines["preset"] == "cgan_tiny (CGAN)" and lines["classes"].startswith("0, 1, 2")
    assert lines["steps"] == "3 epochs of 4 steps, 12 in total"
    assert lines["parameters"] == "generator 2,639, discriminator 3,709"
    changed = lines["changed"].split()
    assert "train.epochs=3" in changed and "data.flip=true" in changed
    assert presets.experiment("cgan_tiny") == presets.experiment(
        "cgan_tiny", *[word for word in changed if word not in ("train.epochs=3", "data.flip=true")]
    )


# Messages of errors before TensorFlow and after it, and of what this process cannot or must not do.
IN_A_NEW_PROCESS = (
    "Unknown command 'fly'. `tfgan-zoo --help` shows all commands.",
    "SavedModel",
    "TF_CONFIG",
    "multiple of the 3 replicas",
    "no TPU",
)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["train", "dcgan_digit"], "Did you mean dcgan_digits"),
        (["train", "dcgan_tiny", "train.epoch=3"], "Did you mean train.epochs=3?"),
        (["train", "dcgan_tiny", "trian.epochs=3"], "Did you mean train.epochs=3?"),
        (
            ["train", "dcgan_tiny", "train.epochs=many"],
            "train.epochs must be int, got 'many'",
        ),
        (
            ["train", "dcgan_tiny", "epochs"],
            "section.field=value",
        ),
        (["train", "dcgan_tiny", "train.strategy=mirored"], "Did you mean mirrored?"),
        (
            ["train", "dcgan_tiny", "data.batch_size=2000", "train.steps_per_epoch=0"],
            "data.batch_size",
        ),
        (["train", "dcgan_tiny", "data.dataset=digitz"], "Did you mean digits"),
        (["train", "dcgan_folder_64", "data.path=nowhere"], "nowhere"),
        (["train", "dcgan_tiny", "train.strategy=multiworker"], "TF_CONFIG"),
        (["train", "dcgan_tiny", "train.strategy=tpu"], "no TPU"),
        (
            ["train", "dcgan_tiny", "train.strategy=mirrored", "train.replicas=3"],
            "multiple of the 3 replicas",
        ),
        (
            ["sample", "dcgan_tiny"],
            "tfgan-zoo train dcgan_tiny",
        ),
        (
            ["sample", "no/such/thing"],
            "SavedModel",
        ),
        (["sample", "dcgan_tiny", "-n", "0"], "must be an integer between 1 and 10000, got '0'"),
        (["sample", "dcgan_tiny", "-o", "out.txt"], "must be an image file"),
        (["export", "no/such/run"], "experiment.json"),
        (["data", "prepare", "minst", "--from", "."], "mnist"),
        (["data", "prepare", "mnist", "--from", "."], "train-images-idx3-ubyte.gz"),
        (["show", "vae"], "Unknown preset 'vae'. Did you mean vae_"),
        (["fly"], "Unknown command 'fly'. `tfgan-zoo --help` shows all commands."),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, message, tmp_path):
    start = run_cli if message in IN_A_NEW_PROCESS else run_here
    process = start(*arguments, cwd=tmp_path)
    assert process.returncode == 2, process.stderr
    assert message in process.stderr
    assert process.stderr.count("\n") == 1
    assert process.stderr.startswith("tfgan-zoo: error: ")
    assert not process.stdout
    assert not list(tmp_path.iterdir())


def test_failures_are_one_line_and_exit_code_1(tmp_path):
    process = run_here(
        "train",
        "dcgan_tiny",
        *SHORT,
        "model.objective=wasserstein",
        "model.learning_rate=1e30",
        cwd=tmp_path,
    )
    assert process.returncode == 1
    assert (
        "became" in process.stderr.splitlines()[-1] and "at step" in process.stderr.splitlines()[-1]
    )
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    "command, name, values",
    [
        ("train P --run-dir R train.epochs=3", "overrides", ["train.epochs=3"]),
        ("train P a=1 --dry-run b=2 --json c=3", "overrides", ["a=1", "b=2", "c=3"]),
        ("train --dry-run P a=1", "overrides", ["a=1"]),
        ("train P", "overrides", []),
        ("show P a=1", "overrides", ["a=1"]),
        ("evaluate P --samples 10 data.limit=4", "overrides", ["data.limit=4"]),
        ("import-torch F --preset P -o r model.width=8", "overrides", ["model.width=8"]),
        ("benchmark --seconds 2 P --json a=1", "words", ["P", "a=1"]),
        ("translate P a.png -o out b.png --compare c.png", "images", ["a.png", "b.png", "c.png"]),
        ("reconstruct P --seed 1 a.png", "images", ["a.png"]),
        ("stylize a.png --style b.png --json c.png", "contents", ["a.png", "c.png"]),
    ],
)
def test_arguments_may_follow_options(command, name, values):
    assert getattr(cli.build_parser().parse_args(command.split()), name) == values


@pytest.mark.parametrize(
    "command, message",
    [
        (
            "train P --epochs 3",
            "Unknown option '--epochs'. Did you mean train.epochs=3? `tfgan-zoo train",
        ),
        ("sample P --seed 1 extra", "unrecognized arguments: extra (see"),
        ("train", "required: PRESET (see"),
        ("train --run-dir r", "required: PRESET (see"),
        ("benchmark --fast", "Unknown option '--fast'. `tfgan-zoo benchmark --help` shows all"),
        ("translate P -o out", "required: IMAGE (see"),
        ("stylize --style mosaic -o o.png", "a CONTENT image is needed, got --style mosaic."),
    ],
)
def test_wrong_arguments_are_named(command, message, capsys):
    with contextlib.suppress(SystemExit):
        assert cli.main(command.split()) == 2
    assert message in capsys.readouterr().err


def test_last_style_is_the_content_if_there_is_no_other(tmp_path, capsys):
    output = tmp_path / "o.png"
    command = "stylize --preset gatys_tiny --iterations 1 --size 64 --json --style mosaic china -o"
    assert cli.main([*command.split(), str(output)]) == 0
    (record,) = json.loads(capsys.readouterr().out)["stylized"]
    assert record["input"] == "china" and output.exists()


HINTS = {  # wrong command: beginning of the message
    "trian dcgan_mnist": "Unknown command 'trian'. Did you mean train? `tfgan-zoo --help`",
    "data chek": "Unknown command 'chek'. Did you mean check? `tfgan-zoo data --help`",
    "--verson": "Unknown option '--verson'. Did you mean --version?",
    "train dcgan_mnits": "Unknown preset 'dcgan_mnits'. Did you mean dcgan_mnist or cgan_mnist? "
    "`tfgan-zoo list` shows all presets.",
    "train dcgan_mnist --epochs=3": "Unknown option '--epochs'. Did you mean train.epochs=3?",
    "train dcgan_mnist --lr 0.1": "Unknown option '--lr'. Did you mean model.learning_rate=0.1?",
    "train dcgan_mnist --batch-size 8": "Unknown option '--batch-size'. Did you mean "
    "data.batch_size=8?",
    "train no/run --dataset mnist": "Unknown option '--dataset'. Did you mean data.dataset=mnist?",
    "train dcgan_mnist --run-dri a": "Unknown option '--run-dri'. Did you mean --run-dir?",
    "train dcgan_mnist --seed --json": "Unknown option '--seed'. Did you mean train.seed=VALUE?",
    "train dcgan_mnist --gpus 2": "Unknown option '--gpus'. `tfgan-zoo train --help` shows all",
    "evaluate r --batch-size 8": "Unknown option '--batch-size'. Did you mean data.batch_size=8?",
    "evaluate r --width 8": "Unknown option '--width'. `tfgan-zoo evaluate --help` shows all",
    "benchmark gan_tiny --epochs 8": "Unknown option '--epochs'. Did you mean train.epochs=8?",
    "sample r --sed 1": "Unknown option '--sed'. Did you mean --seed?",
    "train dcgan_mnist epochs=3": "'epochs=3' has no section. Did you mean train.epochs=3? "
    "`tfgan-zoo show dcgan_mnist` shows all fields.",
    "train dcgan_mnist train.batch_size=8": "train has no field 'batch_size'. Did you mean "
    "data.batch_size=8?",
    "show dcgan_mnist model.kernel=3": "model has no field 'kernel'. Did you mean "
    "model.kernel_size=3?",
    "show dcgan_mnist model.foo=3": "model has no field 'foo'. Fields: frozen_layers, image_size,",
    "benchmark dcgan_mnist epochs=3": "'epochs=3' has no section. Did you mean train.epochs=3?",
}


@pytest.mark.parametrize("command", HINTS)
def test_hints_come_first(command, capsys):
    code, out, error = run_main(capsys, *command.split())
    assert code == 2 and not out and error.count("\n") == 1
    assert error.startswith(f"tfgan-zoo: error: {HINTS[command]}"), error


def parsers():
    """Return {command: its parser} of all commands."""
    (subparsers,) = (a for a in cli.build_parser()._actions if isinstance(a.choices, dict))
    (data,) = (a for a in subparsers.choices["data"]._actions if isinstance(a.choices, dict))
    return subparsers.choices | {f"data {name}": parser for name, parser in data.choices.items()}


@pytest.mark.parametrize("name", parsers())
def test_help_of_every_command(name, capsys):
    parser = parsers()[name]
    code, out, _ = run_main(capsys, *name.split(), "--help")
    assert code == 0 and f"usage: tfgan-zoo {name} " in out
    assert len(parser.description) > 40 and len(parser.examples) >= 2
    assert all(text in out for text in parser.examples)
    if name not in ("data", "completion"):  # each argument is in a group
        options, *groups = (group for group in parser._action_groups if group._group_actions)
        assert groups and [action.dest for action in options._group_actions] == ["help"]


@pytest.mark.parametrize(
    "command", [text for parser in parsers().values() for text in parser.examples.values()]
)
def test_examples_of_the_help_are_valid(command):
    words = shlex.split(command.partition(" > ")[0])
    assert words[0] == "tfgan-zoo"
    options = cli.build_parser().parse_args(words[1:])
    if getattr(options, "preset", "runs/a") in presets.PRESETS:
        presets.experiment(options.preset, *getattr(options, "overrides", ()))


def test_help_lists_all_commands_in_groups(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    _, out, _ = run_main(capsys, "--help")
    titles = [f"{title}:" for title in cli.GROUPS.values()]
    lines = out.splitlines()
    assert [line for line in lines if line in titles] == titles
    for name, (group, summary, *_) in cli.COMMANDS.items():
        (index,) = (i for i, line in enumerate(lines) if line.split()[:1] == [name])
        assert lines[index].endswith(summary)
        assert [line for line in lines[:index] if line in titles][-1] == f"{cli.GROUPS[group]}:"


@pytest.mark.parametrize("group", [[], ["data"]])
def test_a_missing_command_prints_the_help_on_stderr(group, capsys):
    code, out, error = run_main(capsys, *group)
    assert code == 2 and not out
    assert error.startswith(f"usage: {' '.join(['tfgan-zoo', *group])} [-h]")


def test_environment_variables_are_documented(capsys):
    sources = "".join(path.read_text() for path in (ROOT / "tfgan_zoo").rglob("*.py"))
    used = set(
        re.findall(r"environ(?:\.get\(|\[)\"(\w+)\"|\"(\w+)\" (?:not )?in os.environ", sources)
    )
    used = {name for pair in used for name in pair if name} - {"_ARGCOMPLETE"}
    assert {"TFGAN_ZOO_TRACEBACK", "TFGAN_ZOO_URL", "TF_CONFIG", "KERAS_HOME"} <= used
    assert used <= set(cli.ENVIRONMENT)
    _, out, _ = run_main(capsys, "--help")
    assert all(name in out for name in cli.ENVIRONMENT)


COMPLETIONS = {  # typed: some of the completions, which are all if the text ends without "..."
    "tfgan-zoo tr": "train translate",
    "tfgan-zoo ": "train sample ...",
    "tfgan-zoo data ": "prepare check",
    "tfgan-zoo show vae_mnist_": "vae_mnist_perceptron ",
    "tfgan-zoo train dcgan_mnist train.ep": "train.epochs=",
    "tfgan-zoo train dcgan_mnist --d": "--dry-run ",
    "tfgan-zoo train cgan_mnist train.epochs=3 model.em": "model.ema_decay= model.embedding_dim=",
    "tfgan-zoo train ru": "runs/",
    "tfgan-zoo sample vae_": "vae_mnist ",
    "tfgan-zoo interpolate vae_mnist --path l": "linear ",
    "tfgan-zoo evaluate runs/a data.fl": "data.flip=",
}


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_bash_completes_commands_presets_and_fields(tmp_path):
    (tmp_path / "runs").mkdir()
    script = """
eval "$(tfgan-zoo completion bash)"
while IFS= read -r COMP_LINE; do
    COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMPREPLY=()
    _python_argcomplete tfgan-zoo
    (IFS="|"; echo "${COMPREPLY[*]}")
done
"""
    process = subprocess.run(
        ["bash", "-c", script],
        input="\n".join([*COMPLETIONS, ""]),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert process.returncode == 0 and not process.stderr, process.stderr
    replies = dict(zip(COMPLETIONS, process.stdout.splitlines(), strict=True))
    for typed, expected in COMPLETIONS.items():
        reply = replies[typed].split("|")
        if expected.endswith(" ..."):
            assert reply[:2] == expected.split()[:2] and set(reply) == set(cli.COMMANDS)
        else:
            assert " ".join(reply) == expected, typed


@pytest.mark.parametrize("shell", cli.SHELLS)
def test_completion_prints_a_script(shell, capsys):
    code, out, _ = run_main(capsys, "completion", shell)
    assert code == 0 and "tfgan-zoo" in out and "_ARGCOMPLETE" in out


def test_warnings_of_pillow_are_not_printed():
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert cli.main(["list"]) == 0
        with warnings.catch_warnings(record=True) as records:
            warnings.warn_explicit("Corrupt EXIF", UserWarning, "a.py", 1, "PIL.TiffImagePlugin")
    assert not records


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("tfgan-zoo 0.")


@pytest.fixture(scope="module")
def latent_runs(tmp_path_factory):
    """Folder with finished runs of a conditional GAN and of a VAE."""
    folder = tmp_path_factory.mktemp("latent")
    for preset in ("cgan_tiny", "vae_tiny"):
        process = run_here("train", preset, *SHORT, "--run-dir", folder / preset)
        assert process.returncode == 0, process.stderr
    return folder


def test_sample_labels_gives_one_row_per_class(latent_runs, tmp_path):
    process = run_here(
        "sample", latent_runs / "cgan_tiny", "--labels", "0-3,8", "-n", 10, "--json", cwd=tmp_path
    )
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["labels"] == [0, 1, 2, 3, 8]
    width, height = Image.open(tmp_path / "samples.png").size
    assert width < height  # 2 columns, 5 rows
    again = run_here(
        "sample",
        latent_runs / "cgan_tiny/saved_model",
        "--labels",
        "0-3,8",
        "-n",
        10,
        "-o",
        "b.png",
        cwd=tmp_path,
    )
    assert again.returncode == 0, again.stderr
    a, b = (
        np.asarray(Image.open(tmp_path / name)).astype(int) for name in ("samples.png", "b.png")
    )
    assert np.abs(a - b).max() <= 1


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (
            ["sample", "cgan_tiny", "--labels", "0-9", "-n", "7"],
            "-n must be a multiple of the 10 labels",
        ),
        (["sample", "cgan_tiny", "--labels", "9-0"], "must be classes such as 0-9 or 3,8"),
        (["sample", "cgan_tiny", "--labels", "12"], "integers from 0 to 9"),
        (["sample", "vae_tiny", "--labels", "1"], "not conditional"),
        (["interpolate", "vae_tiny", "--path", "manifold"], "2 dimensions"),
        (["interpolate", "vae_tiny", "--labels", "1,2"], "not conditional"),
        (["interpolate", "cgan_tiny", "--labels", "1,2,3"], "labels=[1, 2, 3]"),
        (["interpolate", "vae_tiny", "-o", "walk.txt"], "must be an image file"),
        (["reconstruct", "cgan_tiny"], "reconstruct needs an autoencoder"),
        (["reconstruct", "vae_tiny", "missing.png"], "missing.png"),
    ],
)
def test_wrong_usage_of_latent_commands(latent_runs, arguments, reason):
    process = run_here(*arguments, cwd=latent_runs)
    assert process.returncode == 2, process.stderr
    assert reason in process.stderr and "Traceback" not in process.stderr
    assert len(process.stderr.strip().splitlines()) == 1


def test_interpolate_writes_a_grid_or_an_animation(latent_runs, tmp_path):
    for path, extra in (
        ("spherical", []),
        ("linear", ["-o", "walk.gif"]),
        ("traversal", ["-o", "traversal.png"]),
    ):
        process = run_here(
            "interpolate",
            latent_runs / "vae_tiny",
            "--path",
            path,
            "--rows",
            3,
            "--steps",
            4,
            *extra,
            cwd=tmp_path,
        )
        assert process.returncode == 0, process.stderr
    grid, traversal = (
        Image.open(tmp_path / "interpolation.png"),
        Image.open(tmp_path / "traversal.png"),
    )
    assert grid.width > grid.height and traversal.size == grid.size
    with Image.open(tmp_path / "walk.gif") as animation:
        assert animation.n_frames == 6  # forward and backward
    process = run_here(
        *("interpolate", latent_runs / "cgan_tiny", "--labels", "3,8", "-o", "labels.png"),
        "--json",
        cwd=tmp_path,
    )
    assert json.loads(process.stdout)["path"] == "labels"


def test_a_full_disk_keeps_the_old_file(latent_runs, tmp_path, monkeypatch, capsys):
    walk, save = tmp_path / "walk.gif", Image.Image.save
    command = ["interpolate", str(latent_runs / "vae_tiny"), "-o", str(walk), "--overwrite"]
    walk.write_text("precious")

    def full(image, path, **options):
        save(image, path, **options)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", full)
        assert cli.main(command) == 1
    error = capsys.readouterr().err
    assert f"{walk} cannot be used: No space left on device" in error and error.count("\n") == 1
    assert walk.read_text() == "precious" and list(tmp_path.iterdir()) == [walk]
    assert cli.main(command) == 0
    assert Image.open(walk).n_frames > 1


def test_reconstruct_dataset_images_or_files(latent_runs, tmp_path):
    process = run_here("reconstruct", latent_runs / "vae_tiny", "-n", 5, "--json", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["n"] == 5
    Image.new("RGB", (40, 30), "red").save(tmp_path / "input.jpg")
    for source in ("vae_tiny", "vae_tiny/saved_model"):
        process = run_here(
            "reconstruct",
            latent_runs / source,
            tmp_path / "input.jpg",
            "-o",
            "output.png",
            "--overwrite",
            cwd=tmp_path,
        )
        assert process.returncode == 0, process.stderr
        assert "1 image in output.png" in process.stdout
    grid = Image.open(tmp_path / "output.png")
    assert grid.height > 1.8 * grid.width


def test_ranges_of_labels_keep_leading_zeros():
    assert cli.class_labels("00-02,cats") == ["00", "01", "02", "cats"]
    assert cli.class_labels("8-11") == ["8", "9", "10", "11"]


def test_files_that_begin_with_a_dash_follow_two_dashes():
    options = cli.build_parser().parse_args(
        ["translate", "RUN", "a.png", "-o", "b", "--", "-c.png"]
    )
    assert options.images == ["a.png", "-c.png"]
