"""The pages: docs/systems.md is what the code says, links lead somewhere, commands are ones that we have, and the examples run."""

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

from tfgan_zoo import cli, losses
from tfgan_zoo.config import DataConfig
from tfgan_zoo.data import datasets

PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [
    ROOT / "README.md",
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


def test_the_page_of_systems_is_what_the_code_says():
    make = module_of(ROOT / "docs" / "make.py")
    assert make.PAGE.read_text() == make.page(), "the code has changed: python docs/make.py"


def prose(path):
    """A page's text without its blocks of code; of a notebook's source the lines of Markdown."""
    text = path.read_text()
    if path.suffix == ".py":
        return "\n".join(line[2:] for line in text.splitlines() if line.startswith("# "))
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def anchors(path):
    """Of a Markdown page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(path), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", LINKED, ids=name_of)
def test_links_and_pictures_lead_somewhere(path):
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
    """Every command line of ours in a page, in blocks and in the text."""
    lines = [
        line for block in blocks(text, "sh") for line in block.replace("\\\n", " ").splitlines()
    ]
    inline = re.findall(r"`(tfgan-zoo \w+ [^`]+)`", text)
    return inline + [
        part for line in lines for part in re.findall(r"(?:^|/|&& )(tfgan-zoo [^&|#]+)", line)
    ]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_are_ones_that_we_have(path):
    for line in commands(path.read_text()):
        if (
            path.name == "CONTRIBUTING.md"
        ):  # whose walks have presets that the reader is about to write
            cli.parser().parse_args(shlex.split(line)[1:])
        else:
            test_project.test_readme_commands_are_ones_that_we_have(line)


@pytest.mark.slow
def test_the_examples_of_serving_run(tmp_path, monkeypatch):
    """In order, as a reader would; but for what needs a run, or packages that are not here."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saved_models").symlink_to(ROOT / "saved_models")
    (convert,) = [
        line
        for line in "".join(blocks(SERVING, "sh")).splitlines()
        if line.startswith("python -m tf2onnx")
    ]
    here, ran = {}, 0
    for code in blocks(SERVING):
        tree = ast.parse(code)
        found = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
        names = {
            name.split(".")[0]
            for node in found
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
        exec(compile(tree, "docs/serving.md", "exec"), here)
        if "images" in here:
            assert here["images"].dtype == np.uint8 and here["images"].shape[1:] == (28, 28, 1)
        ran += 1
    assert ran >= 4
    assert (tmp_path / "facade.png").is_file() and (tmp_path / "model.tflite").is_file()


def walk(start):
    """The block of CONTRIBUTING that begins like this."""
    (found,) = [block for block in blocks(CONTRIBUTING) if block.startswith(start)]
    return found


def test_the_model_to_add_trains(tmp_path):
    (tmp_path / "gmmn.py").write_text(walk('"""GMMN'))
    gmmn = module_of(tmp_path / "gmmn.py")
    presets = ast.literal_eval(walk('{\n    "gmmn_digits"'))
    for preset in presets.values():
        model = gmmn.GMMN(gmmn.GMMNConfig(**preset["model"]))
        counts = {
            player: sum(int(np.prod(v.shape)) for v in found)
            for player, found in model.player_variables().items()
        }
        assert counts == preset["parameters"]
    model.compile()
    keras.utils.set_random_seed(0)
    history = model.fit(images(model), batch_size=32, epochs=20, verbose=0).history["generator"]
    assert 0 < history[-1] < history[0]
    equal = images(model, 8)
    assert float(gmmn.kernel(equal[:1], equal[:1], 0.2)) == 1.0


def test_the_data_set_to_add_loads():
    here = dict(vars(datasets))
    exec(walk("def load_shapes"), here)
    test = {
        "np": np,
        "DataConfig": DataConfig,
        "data": types.SimpleNamespace(load=here["load_shapes"]),
    }
    exec(walk("def test_shapes"), test)
    test["test_shapes_are_what_their_labels_say"]()


def test_the_loss_to_add_has_its_numbers():
    here = dict(vars(losses))
    exec(walk("def pearson"), here)
    logits = module_of(ROOT / "tests" / "test_losses.py")
    ((discriminator, generator),) = ast.literal_eval(walk('{"pearson": (')).values()
    np.testing.assert_allclose(
        here["pearson_discriminator"](logits.REAL, logits.FAKE), discriminator, rtol=1e-6
    )
    np.testing.assert_allclose(here["pearson_generator"](logits.FAKE), generator, rtol=1e-6)


def test_the_browsers_page_asks_for_the_files_that_the_guide_names():
    page = (ROOT / "docs" / "browser.html").read_text()
    for name in ("model.onnx", "ort.wasm.bundle.min.mjs"):
        assert f'"{name}"' in page or f'"./{name}"' in page
        assert name in SERVING


def test_the_citation_is_of_this_version():
    import tfgan_zoo

    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {tfgan_zoo.__version__}\n" in citation
    assert f"## [{tfgan_zoo.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
    papers = "".join(path.read_text() for path in (ROOT / "tfgan_zoo" / "models").glob("*.py"))
    cited = re.findall(r"arxiv.org/abs/(\d{4}\.\d{4,5})", citation)
    assert len(cited) == len(set(cited)) >= 9
    assert not [paper for paper in cited if f"arXiv {paper}" not in papers]
