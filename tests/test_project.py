"""The house itself: who imports whom, the README's commands, the examples in docstrings."""

import ast
import doctest
import importlib
import re
import shlex

import pytest
from helpers import ROOT

from tfgan_zoo import cli, presets
from tfgan_zoo.errors import UserError
from tfgan_zoo.evaluation import check_evaluation

PACKAGE = ROOT / "tfgan_zoo"
MODULES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for path in PACKAGE.rglob("*.py")
)
README = (ROOT / "README.md").read_text()


def imports(module):
    """The names of ours that a module imports anywhere in it, as dotted paths."""
    path = ROOT / (module.replace(".", "/") + ".py")
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tfgan_zoo"):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith("tfgan_zoo")}
    return names


def imported(module, *targets):
    return {
        name
        for name in imports(module)
        for target in targets
        if name == target or name.startswith(target + ".")
    }


def test_foundations_import_nothing_but_the_config():
    for module in (
        "tfgan_zoo.losses",
        "tfgan_zoo.layers",
        "tfgan_zoo.augment",
        "tfgan_zoo.data.transforms",
    ):
        assert imports(module) == imported(module, "tfgan_zoo.config"), module
    assert not imports("tfgan_zoo.config")


def test_papers_import_no_other_paper_and_nothing_of_training():
    shared = {"base", "latent", "adversarial", "translation", "styling", "__init__"}
    papers = [
        f"tfgan_zoo.models.{path.stem}"
        for path in (PACKAGE / "models").glob("*.py")
        if path.stem not in shared
    ]
    assert len(papers) >= 2
    for paper in papers:
        others = [other for other in papers if other != paper]
        above = [
            f"tfgan_zoo.{name}"
            for name in ("training", "cli", "export", "presets", "evaluation", "data")
        ]
        assert not imported(paper, *others, *above) - imported(
            paper, "tfgan_zoo.data.transforms"
        )  # pure functions of images


def test_training_knows_no_paper_by_name():
    modules = [
        "training",
        "export",
        "callbacks",
        "distribute",
        "evaluation",
        "explore",
        "fidelity",
        "translate",
        "report",
        "style_scores",
    ]
    for module in [f"tfgan_zoo.{name}" for name in modules]:
        families = [f"tfgan_zoo.models.{name}" for name in ("latent", "translation", "styling")]
        assert imported(module, "tfgan_zoo.models") <= {"tfgan_zoo.models.MODELS"} | imported(
            module, *families
        )


def test_nobody_imports_the_command_line():
    assert [module for module in MODULES if imported(module, "tfgan_zoo.cli")] == [
        "tfgan_zoo.__main__"
    ]


@pytest.mark.parametrize(
    "module", [m for m in MODULES if ">>>" in (ROOT / (m.replace(".", "/") + ".py")).read_text()]
)
def test_examples_in_docstrings(module):
    results = doctest.testmod(
        importlib.import_module(module), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    assert results.attempted > 0
    assert results.failed == 0


def shell_lines():
    blocks = re.findall(r"^```(?:sh|bash|shell|console)\n(.*?)^```", README, re.M | re.S)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


@pytest.mark.parametrize(
    "line",
    [
        part
        for line in shell_lines()
        for part in re.findall(r"(?:^|/|&& )(tfgan-zoo [^&|#]+)", line)
    ],
)
def test_readme_commands_are_ones_that_we_have(line):
    words = shlex.split(line)[1:]
    options = cli.parser().parse_args(words)
    if "preset" in options and not options.preset.startswith("runs/"):
        presets.experiment(options.preset, *getattr(options, "overrides", ()))


SETTINGS = re.findall(
    r"`(?:tfgan-zoo train \w+ )?((?:(?:model|data|train)\.\w+=[^\s`]* ?)+)`", README
)


def refusal(preset, settings):
    try:
        check_evaluation(presets.experiment(preset, *settings))
    except UserError as error:
        return str(error)


MAIN = ("dcgan_mnist", "cgan_mnist", "vae_mnist", "pix2pix_folder_256", "cyclegan_folder_256")


def test_readme_settings_suit_some_model():
    assert len(SETTINGS) > 10
    for settings in map(str.split, SETTINGS):
        refusals = [refusal(preset, settings) for preset in MAIN]
        assert None in refusals, (settings, refusals)


def test_readme_python_examples_compile_and_import_what_exists():
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    assert blocks
    for block in blocks:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("tfgan_zoo"):
                for alias in node.names:
                    assert hasattr(importlib.import_module(node.module), alias.name)


def test_readme_links_lead_somewhere():
    prose = re.sub(r"^```.*?^```", "", README, flags=re.M | re.S)
    targets = re.findall(r"\]\(([^)#]+)\)", prose)
    assert targets
    for target in targets:
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
