"""The structure of the project: import contracts, public names, README and docstring examples."""

import ast
import doctest
import importlib
import inspect
import pathlib
import re
import shlex
import subprocess
import sys

import pytest
from helpers import ROOT

import tfgan_zoo
from tfgan_zoo import cli, models, presets
from tfgan_zoo.errors import UserError
from tfgan_zoo.evaluation import check_evaluation

PACKAGE = ROOT / "tfgan_zoo"
MODULES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for path in PACKAGE.rglob("*.py")
)
README = (ROOT / "README.md").read_text()
PAGES = "".join(page.read_text() for page in sorted((ROOT / "docs").glob("*.md")))


def test_imports_follow_the_contracts_of_pyproject():
    command = pathlib.Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [command, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout


def type_checking_names():
    """Names that tfgan_zoo/__init__.py imports for editors and type checkers."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    names = {alias.asname or alias.name for node in block.body for alias in node.names}
    return (names - {"*"}) | set(models.__all__)


def test_editors_see_the_names_that_are_imported_lazily():
    assert type_checking_names() | {"__version__", "PRESETS"} == set(tfgan_zoo.__all__)
    assert len(tfgan_zoo.__all__) == len(set(tfgan_zoo.__all__))


@pytest.mark.parametrize("name", tfgan_zoo.__all__)
def test_public_names_exist(name):
    assert getattr(tfgan_zoo, name) is not None
    assert name in dir(tfgan_zoo)


@pytest.mark.parametrize("name", ["train", "load", "evaluate", "experiment"])
def test_public_functions_are_documented_and_typed(name):
    function = getattr(tfgan_zoo, name)
    parameters = inspect.signature(function).parameters.values()
    assert [p.name for p in parameters if p.annotation is p.empty] == []
    assert "return" in function.__annotations__
    assert "Args:" in function.__doc__ and "Returns:" in function.__doc__


@pytest.mark.parametrize(
    "module", [m for m in MODULES if ">>>" in (ROOT / (m.replace(".", "/") + ".py")).read_text()]
)
def test_docstring_examples(module):
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
def test_readme_commands_are_valid(line):
    words = shlex.split(line)[1:]
    options = cli.build_parser().parse_args(words)
    if "preset" in options and not options.preset.startswith("runs/"):
        presets.experiment(options.preset, *getattr(options, "overrides", ()))


OVERRIDES = re.findall(
    r"`(?:tfgan-zoo train \w+ )?((?:(?:model|data|train)\.\w+=[^\s`]* ?)+)`",
    README + (ROOT / "docs" / "training.md").read_text(),
)


def is_valid(preset, overrides):
    try:
        check_evaluation(presets.experiment(preset, *overrides))
    except UserError:
        return False
    return True


MAIN_PRESETS = (
    "dcgan_mnist",
    "cgan_mnist",
    "vae_mnist",
    "pix2pix_folder_256",
    "cyclegan_folder_256",
)


def test_overrides_of_documents_are_valid_for_some_preset():
    assert len(OVERRIDES) > 10
    for overrides in map(str.split, OVERRIDES):
        assert any(is_valid(preset, overrides) for preset in MAIN_PRESETS), overrides


def test_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_python_examples_compile_and_their_imports_exist():
    blocks = re.findall(r"^```python\n(.*?)^```", README + PAGES, re.M | re.S)
    assert len(blocks) > 3
    for block in blocks:
        if "\n!" in block or block.startswith("!"):  # shell commands of a notebook
            continue
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("tfgan_zoo"):
                for alias in node.names:
                    assert hasattr(importlib.import_module(node.module), alias.name)


def test_readme_links_have_targets():
    prose = re.sub(r"^```.*?^```", "", README, flags=re.M | re.S)
    targets = re.findall(r"\]\(([^)#]+)\)", prose)
    assert targets
    for target in targets:
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
