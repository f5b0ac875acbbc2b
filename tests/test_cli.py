"""The installed command, as a user types it."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import run_cli
from PIL import Image

from tfgan_zoo import cli, presets

SHORT = ["train.epochs=1", "train.steps_per_epoch=20", "train.sample_count=4"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run, and what the command printed."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    done = run_cli(
        "train", "dcgan_tiny", *SHORT, "model.learning_rate=0.01", "--run-dir", folder, "--json"
    )
    assert done.returncode == 0, done.stderr
    return folder, done


def test_train_ends_with_one_json_object(run):
    folder, done = run
    result = json.loads(done.stdout)
    assert result["run_dir"] == str(folder)
    assert result["epochs"] == 1
    assert result["seconds"] > 0
    assert result["metrics"]["step"] == 20
    assert len(result["weights_sha256"]) == 64


def test_tensorflows_chatter_does_not_bury_ours(run):
    _, done = run
    lines = done.stderr.splitlines()
    assert any(line.startswith("epoch 1/1") for line in lines)
    assert not [
        line
        for line in lines
        if "oneDNN" in line or "cuda" in line.lower() or "WARNING" in line or "absl" in line
    ], done.stderr
    assert len(lines) < 12


def test_train_prints_where_everything_is(tmp_path):
    done = run_cli("train", "dcgan_tiny", *SHORT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for path in (
        "samples/epoch_0001.png",
        "losses.png",
        "saved_model",
        "model.keras",
        "metrics.csv",
    ):
        assert f"runs/dcgan_tiny/{path}" in done.stdout
        assert (tmp_path / "runs/dcgan_tiny" / path).exists()


def test_sample_from_a_run_and_from_its_saved_model_agree(run, tmp_path):
    folder, _ = run
    for name, source, seed in [
        ("a", folder, 1),
        ("b", folder / "saved_model", 1),
        ("c", folder, 2),
    ]:
        done = run_cli(
            "sample", source, "-n", 9, "--seed", seed, "-o", tmp_path / f"{name}.png", "--json"
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["n"] == 9
    a, b, c = (np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int) for name in "abc")
    assert np.abs(a - b).max() <= 1
    assert np.abs(a - c).max() > 1


def test_export_beside_the_run_and_never_over_something(run, tmp_path):
    folder, _ = run
    assert run_cli("export", folder, "-o", tmp_path / "out").returncode == 0
    assert (tmp_path / "out/saved_model.pb").is_file()
    assert "tfgan-zoo train dcgan_tiny" in (tmp_path / "out/README.md").read_text()
    again = run_cli("export", folder, "-o", tmp_path / "out")
    assert again.returncode == 2 and "already exists" in again.stderr
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("precious")
    taken = run_cli("export", folder, "-o", tmp_path / "mine")
    assert taken.returncode == 2 and "is no SavedModel" in taken.stderr
    assert (tmp_path / "mine/notes.txt").read_text() == "precious"


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


def test_list_names_every_preset_and_is_quick():
    begin = time.time()
    done = run_cli("list", "--json")
    assert (
        time.time() - begin < 3
    )  # TensorFlow alone takes longer to import than this on a busy machine
    rows = json.loads(done.stdout)
    assert [row["preset"] for row in rows] == list(presets.PRESETS)
    assert all(row["parameters"] > 0 for row in rows)
    assert "dcgan_mnist" in run_cli("list").stdout


@pytest.mark.parametrize(
    "statement",
    [
        "import tfgan_zoo",
        "from tfgan_zoo import PRESETS",
        "import tfgan_zoo.cli; tfgan_zoo.cli.main(['list'])",
    ],
)
def test_light_imports_leave_tensorflow_out(statement):
    code = f"{statement}\nimport sys; assert not [m for m in ('tensorflow', 'keras', 'sklearn', 'matplotlib') if m in sys.modules]"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_show_is_the_form_of_experiment_json(run):
    folder, _ = run
    done = run_cli("show", "dcgan_tiny", *SHORT, "model.learning_rate=0.01")
    assert json.loads(done.stdout) == json.loads((folder / "experiment.json").read_text())


def test_dry_run_writes_nothing(tmp_path):
    done = run_cli("train", "dcgan_tiny", "--dry-run", cwd=tmp_path)
    description = json.loads(done.stdout)
    assert description["parameters"] == presets.PRESETS["dcgan_tiny"]["parameters"]
    assert description["steps_per_epoch"] == 4
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["train", "dcgan_digit"], "did you mean dcgan_digits"),
        (["train", "dcgan_tiny", "train.epoch=3"], "did you mean epochs"),
        (["train", "dcgan_tiny", "trian.epochs=3"], "did you mean train"),
        (
            ["train", "dcgan_tiny", "train.epochs=many"],
            "a value of type int is needed, got 'train.epochs=many'",
        ),
        (
            ["train", "dcgan_tiny", "epochs"],
            "an override has the form section.field=value, got 'epochs'",
        ),
        (["train", "dcgan_tiny", "train.strategy=mirored"], "did you mean mirrored"),
        (
            ["train", "dcgan_tiny", "data.batch_size=2000", "train.steps_per_epoch=0"],
            "data.batch_size must be at most the number of images, which is 1797 for digits, got 2000",
        ),
        (["train", "dcgan_tiny", "data.dataset=digitz"], "did you mean digits"),
        (["train", "dcgan_folder_64", "data.path=nowhere"], "nowhere"),
        (["train", "dcgan_tiny", "train.strategy=multiworker"], "TF_CONFIG"),
        (["train", "dcgan_tiny", "train.strategy=tpu"], "no TPU"),
        (
            ["train", "dcgan_tiny", "train.strategy=mirrored", "train.replicas=3"],
            "multiple of the 3 replicas, got 16",
        ),
        (
            ["sample", "dcgan_tiny"],
            "is not trained here; train it with: tfgan-zoo train dcgan_tiny",
        ),
        (
            ["sample", "no/such/thing"],
            "a run directory, a SavedModel or a trained preset is needed",
        ),
        (["sample", "dcgan_tiny", "-n", "0"], "at least 1"),
        (["sample", "dcgan_tiny", "-o", "out.txt"], "must be an image file"),
        (["export", "no/such/run"], "a run directory (with experiment.json) is needed"),
        (["data", "prepare", "minst", "--from", "."], "mnist"),
        (["data", "prepare", "mnist", "--from", "."], "train-images-idx3-ubyte.gz"),
        (["show", "vae"], "preset must be one of"),
        (["fly"], "invalid choice"),
        ([], "required"),
    ],
)
def test_wrong_use_is_one_plain_line_and_exit_code_2(arguments, message, tmp_path):
    done = run_cli(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("tfgan-zoo: error: ")
    assert not done.stdout
    assert not list(tmp_path.iterdir())


def test_failures_are_one_line_and_exit_code_1(tmp_path):
    done = run_cli(
        "train",
        "dcgan_tiny",
        *SHORT,
        "model.objective=wasserstein",
        "model.learning_rate=1e30",
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "became" in done.stderr.splitlines()[-1] and "at step" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("tfgan-zoo 0.")


@pytest.fixture(scope="module")
def latent_runs(tmp_path_factory):
    """Finished runs of a conditional GAN and of a VAE."""
    folder = tmp_path_factory.mktemp("latent")
    for preset in ("cgan_tiny", "vae_tiny"):
        done = run_cli("train", preset, *SHORT, "--run-dir", folder / preset)
        assert done.returncode == 0, done.stderr
    return folder


def test_sample_labels_gives_a_row_a_class(latent_runs, tmp_path):
    done = run_cli(
        "sample", latent_runs / "cgan_tiny", "--labels", "0-3,8", "-n", 10, "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["labels"] == [0, 1, 2, 3, 8]
    width, height = Image.open(tmp_path / "samples.png").size
    assert width < height  # 2 columns, 5 rows
    again = run_cli(
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
        (["interpolate", "cgan_tiny", "--labels", "1,2,3"], "received labels=[1, 2, 3]"),
        (["interpolate", "vae_tiny", "-o", "walk.txt"], "must be an image file"),
        (["reconstruct", "cgan_tiny"], "does not encode"),
        (["reconstruct", "vae_tiny", "missing.png"], "not an image that can be read"),
    ],
)
def test_wrong_use_of_the_latent_commands(latent_runs, arguments, reason):
    done = run_cli(*arguments, cwd=latent_runs)
    assert done.returncode == 2, done.stderr
    assert reason in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_interpolate_writes_a_grid_or_an_animation(latent_runs, tmp_path):
    for path, extra in (
        ("spherical", []),
        ("linear", ["-o", "walk.gif"]),
        ("traversal", ["-o", "traversal.png"]),
    ):
        done = run_cli(
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
        assert done.returncode == 0, done.stderr
    sheet, traversal = (
        Image.open(tmp_path / "interpolation.png"),
        Image.open(tmp_path / "traversal.png"),
    )
    assert sheet.width > sheet.height and traversal.size == sheet.size
    with Image.open(tmp_path / "walk.gif") as animation:
        assert animation.n_frames == 6  # there and back
    done = run_cli(
        "interpolate", latent_runs / "cgan_tiny", "--labels", "3,8", "--json", cwd=tmp_path
    )
    assert json.loads(done.stdout)["path"] == "labels"


def test_reconstruct_the_data_set_or_files(latent_runs, tmp_path):
    done = run_cli("reconstruct", latent_runs / "vae_tiny", "-n", 5, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n"] == 5
    Image.new("RGB", (40, 30), "red").save(tmp_path / "mine.jpg")
    for source in ("vae_tiny", "vae_tiny/saved_model"):
        done = run_cli(
            "reconstruct",
            latent_runs / source,
            tmp_path / "mine.jpg",
            "-o",
            "mine.png",
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        assert "1 images in mine.png" in done.stdout
    sheet = Image.open(tmp_path / "mine.png")
    assert sheet.height > 1.8 * sheet.width
