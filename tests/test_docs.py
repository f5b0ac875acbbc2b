"""Documentation pages: generated pages are current, links and commands are valid, examples run."""

import ast
import importlib.util
import re
import shlex
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
import test_project
from helpers import ROOT, images, module_of
from PIL import Image

from tfgan_zoo import cli, losses
from tfgan_zoo.config import DataConfig
from tfgan_zoo.data import datasets
from tfgan_zoo.saving import export_file, hub

PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]
LINKED = [
    *READMES,
    *PAGES,
    *sorted((ROOT / "saved_models").glob("*/README.md")),
    *sorted((ROOT / "notebooks").glob("*.py")),
]
CONTRIBUTING, SERVING = (
    (ROOT / name).read_text() for name in ("CONTRIBUTING.md", "docs/serving.md")
)


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def blocks(text, language="python"):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def test_gallery_is_current():
    reference = module_of(ROOT / "docs" / "reference.py")
    text = reference.GALLERY.read_text(encoding="utf-8")
    assert text == reference.gallery(), "out of date: run python docs/reference.py"


def test_overview_is_current():
    publish = module_of(ROOT / "saved_models" / "publish.py")
    with Image.open(publish.OVERVIEW) as file:
        difference = np.abs(np.asarray(file, np.float32) - np.asarray(publish.overview()))
    # JPEG at quality 90 changes a pixel by 2.4 levels on average. With one part moved by one pixel
    # the difference is 5.6.
    assert difference.mean() < 4, "out of date: run python saved_models/publish.py --overview"


def prose(path):
    """Text of a page without code blocks; for a notebook source its Markdown lines."""
    text = path.read_text()
    if path.suffix == ".py":
        return "\n".join(line[2:] for line in text.splitlines() if line.startswith("# "))
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def anchors(path):
    """Anchors of the headings of a Markdown page, as GitHub generates them."""
    headings = re.findall(r"^#+ (.*)$", prose(path), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", LINKED, ids=name_of)
def test_links_and_images_have_targets(path):
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(path)) + re.findall(
        r"""(?:src|href)=["']([^"']+)""", prose(path)
    )
    for target in targets:
        if re.match(r"https?:", target):
            continue
        place, _, anchor = target.partition("#")
        file = path.parent / place if place else path
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), target


def commands(text):
    """All tfgan-zoo command lines of a page, in code blocks and inline."""
    lines = [
        line for block in blocks(text, "sh") for line in block.replace("\\\n", " ").splitlines()
    ]
    inline = re.findall(r"`(tfgan-zoo [a-z-]+ [^`]+)`", text)
    return inline + [
        part for line in lines for part in re.findall(r"(?:^|/|&& )(tfgan-zoo [^&|#]+)", line)
    ]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_are_valid(path):
    for line in commands(path.read_text()):
        # The presets of some commands are placeholders, or added by the reader.
        if path.name == "CONTRIBUTING.md" or re.search(r" (PRESET|RUN)\b", line):
            cli.build_parser().parse_args(shlex.split(line)[1:])
        else:
            test_project.test_readme_commands_are_valid(line)


@pytest.mark.slow
def test_serving_examples_run(tmp_path, monkeypatch):
    """Run the examples in order, except those that need a run or packages that are missing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saved_models").symlink_to(ROOT / "saved_models")
    (convert,) = [
        line
        for line in "".join(blocks(SERVING, "sh")).splitlines()
        if line.startswith("python -m tf2onnx")
    ]
    namespace, count = {}, 0
    for code in blocks(SERVING):
        tree = ast.parse(code)
        names = {
            name.split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for name in [getattr(node, "module", None) or node.names[0].name]
        }
        if "runs/" in code or not all(importlib.util.find_spec(name) for name in names):
            continue
        if "model.onnx" in code:
            if not importlib.util.find_spec("tf2onnx"):
                continue
            subprocess.run(
                [sys.executable, *shlex.split(convert)[1:]], check=True, capture_output=True
            )
        if "cgan_mnist.xml" in code:
            assert cli.main(["export", "cgan_mnist", "--format", "openvino"]) == 0
        exec(compile(tree, "docs/serving.md", "exec"), namespace)
        if "images" in namespace:
            images = namespace["images"]
            assert images.dtype == np.uint8 and images.shape[1:] == (28, 28, 1)
        count += 1
    assert count >= 4
    assert (tmp_path / "facade.png").is_file() and (tmp_path / "model.tflite").is_file()


@pytest.mark.slow
def test_keras_guide_runs(tmp_path, monkeypatch):
    """Run all blocks of the page in order."""
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for code in blocks((ROOT / "docs" / "keras.md").read_text()):
        exec(compile(code, "docs/keras.md", "exec"), namespace)
    assert {path.name for path in tmp_path.glob("*.keras")} == {
        "model.keras",
        "generator.keras",
        "pooled.keras",
    }
    pooled = keras.models.load_model(tmp_path / "pooled.keras")
    layers = {type(layer).__name__ for layer in pooled.discriminator.layers}
    assert "AveragePooling2D" in layers


def code_and_numbers(text):
    """Return the code of a README without comments, its inline code, links and numbers."""
    code = re.findall(r"^```\w+\n(.*?)^```", text, re.M | re.S)
    code = [re.sub(r" *# .*$", "", block, flags=re.M) for block in code]
    # The comments of the code have numbers and code, too.
    inline = sorted(re.findall(r"`[^`\n]+`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)))
    links = sorted(re.findall(r"\]\(([^)\s]+)\)", text))
    links = [link for link in links if not link.startswith("README")]
    numbers = sorted(re.findall(r"\d+(?:[.,]\d+)*", text))
    return code, inline, links, numbers


def test_both_readmes_have_equal_commands_links_and_numbers():
    english, chinese = (code_and_numbers(path.read_text(encoding="utf-8")) for path in READMES)
    assert len(english[0]) >= 6 and len(english[3]) > 100
    for expected, value in zip(english, chinese, strict=True):
        assert expected == value
    lines = [len(path.read_text(encoding="utf-8").splitlines()) for path in READMES]
    assert max(lines) <= 150


def test_chinese_lines_end_with_their_paragraph():
    """A line break between two Chinese characters is shown as a space."""
    text = re.sub(r"^```.*?^```", "", READMES[1].read_text(encoding="utf-8"), flags=re.M | re.S)
    assert re.findall(r"[\u3000-\uffef]\n *[^\s|#>*-]", text) == []


def example(start):
    """Return the code block of CONTRIBUTING.md that starts with this text."""
    (block,) = [block for block in blocks(CONTRIBUTING) if block.startswith(start)]
    return block


def test_contributing_example_model_trains(tmp_path):
    (tmp_path / "gmmn.py").write_text(example('"""GMMN'))
    gmmn = module_of(tmp_path / "gmmn.py")
    presets = ast.literal_eval(example('{\n    "gmmn_digits"'))
    for preset in presets.values():
        model = gmmn.GMMN(gmmn.GMMNConfig(**preset["model"]))
        counts = {
            player: sum(int(np.prod(v.shape)) for v in variables)
            for player, variables in model.player_variables().items()
        }
        assert counts == preset["parameters"]
    model.compile()
    keras.utils.set_random_seed(0)
    history = model.fit(images(model), batch_size=32, epochs=20, verbose=0).history["generator"]
    assert 0 < history[-1] < history[0]
    equal = images(model, 8)
    assert float(gmmn.mean_kernel(equal[:1], equal[:1], 0.2)) == 1.0


def test_contributing_example_dataset_loads():
    namespace = dict(vars(datasets))
    exec(example("def load_shapes"), namespace)
    test = {
        "np": np,
        "DataConfig": DataConfig,
        "datasets": types.SimpleNamespace(load_images=namespace["load_shapes"]),
    }
    exec(example("def test_shapes"), test)
    test["test_shapes_match_their_labels"]()


def test_contributing_example_loss_matches_its_golden_values():
    namespace = dict(vars(losses))
    exec(example("def pearson"), namespace)
    logits = module_of(ROOT / "tests" / "test_losses.py")
    ((discriminator, generator),) = ast.literal_eval(example('{"pearson": (')).values()
    np.testing.assert_allclose(
        namespace["pearson_discriminator"](logits.REAL, logits.FAKE), discriminator, rtol=1e-6
    )
    np.testing.assert_allclose(
        namespace["pearson_generator"](logits.REAL, logits.FAKE), generator, rtol=1e-6
    )


TASKS = {"generate", "translate", "stylize"}


def task_dicts():
    """Return (file, name) of all module-level dicts of the package whose keys are tasks."""
    for path in sorted((ROOT / "tfgan_zoo").rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.Assign):
                continue
            keys = {getattr(key, "value", None) for key in getattr(node.value, "keys", ())}
            by_class = isinstance(node.value, ast.DictComp) and ".task" in ast.unparse(node.value)
            if "generate" in keys or by_class:
                assert by_class or keys == TASKS, (path, node.targets[0].id)
                yield path.relative_to(ROOT / "tfgan_zoo").as_posix(), node.targets[0].id


def test_contributing_lists_the_dicts_of_a_new_task():
    section = CONTRIBUTING.partition("## Add a task")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\S+)` \| `(\w+)` \|", section, re.M)) == set(task_dicts())


def test_table_of_formats_has_every_preset_and_format():
    """Run tests/benchmarks/formats.py if this fails."""
    pattern = r"<!-- table: formats -->\n(.*?)\n<!-- end of the table -->"
    table = re.search(pattern, SERVING, re.DOTALL)[1].splitlines()
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    formats = [
        f"{name} {precision}"
        for name, form in export_file.FORMATS.items()
        for precision in form.precisions
    ]
    assert head == ["preset", "SavedModel", *formats]
    assert [row[0] for row in rows] == sorted(hub.checksums())
    cell = r"\d+\.\d MB, \d+\.\d ms, \d+( \(mean \d+\.\d\))?"
    for row in rows:
        assert all(re.fullmatch(rf"{cell}|no: by \d+ of 255 levels", text) for text in row[1:]), row
        for name, text in zip(head[1:], row[1:], strict=True):
            if name == "SavedModel" or name.endswith("float32"):  # at most one level
                assert text.endswith((", 0", ", 1")), (row[0], name, text)


def test_citation_names_this_version():
    import tfgan_zoo

    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {tfgan_zoo.__version__}\n" in citation
    assert f"## [{tfgan_zoo.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
    papers = "".join(path.read_text() for path in (ROOT / "tfgan_zoo" / "models").glob("*.py"))
    cited = re.findall(r"arxiv.org/abs/(\d{4}\.\d{4,5})", citation)
    assert len(cited) == len(set(cited)) >= 9
    assert not [paper for paper in cited if f"arXiv {paper}" not in papers]
