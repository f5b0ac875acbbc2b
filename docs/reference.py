"""Generated parts of the documentation pages: presets, fields, scores, commands, API, gallery.

docs/hooks.py inserts the text of `NAME()` where a page has the line `<!-- generated: NAME -->`.
The sources of models are parsed and not imported, because comments state what a field means.
docs/gallery.md is part of the repository, so that its images are shown there, too:

    python docs/reference.py    # write docs/gallery.md
"""

import argparse
import ast
import json
import pathlib
import re

from tfgan_zoo.fields import comments_of, config_classes, parse
from tfgan_zoo.presets import PRESETS

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ROOT / "tfgan_zoo" / "models"
SHARED = {  # config of a family: the heading of its fields
    "AdversarialConfig": "Adversarial training",
    "ConditionConfig": "Conditional generation",
    "TranslationConfig": "Image-to-image translation",
    "StylizationConfig": "Stylization",
    "OnePassConfig": "Stylization in one pass",
}
ARXIV = (r"arXiv (\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)")
API_PAGES = {  # page: title and modules; None: the subpackage; an empty tuple: all other modules
    "models": ("Models", None),
    "layers": ("Layers", ("layers",)),
    "losses": ("Losses", ("losses",)),
    "optimizers": ("Optimizers", ("optimizers",)),
    "metrics": ("Metrics", None),
    "features": ("Feature networks", None),
    "data": ("Data", None),
    "config": ("Configuration", ("config", "presets", "errors")),
    "training": ("Training", None),
    "evaluation": ("Evaluation", None),
    "inference": ("Inference", None),
    "saving": ("Saving and export", None),
    "tools": ("Runs, tools and command line", ()),
}
GALLERY = ROOT / "docs" / "gallery.md"
GALLERY_INTRODUCTION = """# Gallery

Samples of the pretrained presets, written by `python docs/reference.py`. No image was selected by
hand: the export of a run writes the images of a fixed seed, and stylizes the built-in photographs.
"""


def assigned(module, name):
    """Return the syntax tree of the value of a module's variable."""
    (value,) = [
        node.value
        for node in module.body
        if isinstance(node, ast.Assign) and node.targets[0].id == name
    ]
    return value


def model_files():
    """Return {kind: file}, in the order of `MODELS` in models/__init__.py."""
    module = parse(MODELS / "__init__.py")
    files = {
        alias.name: MODELS / f"{node.module.rpartition('.')[2]}.py"
        for node in module.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    kinds = [
        node.id
        for node in ast.walk(assigned(module, "MODELS"))
        if isinstance(node, ast.Name) and node.id in files
    ]
    return {kind: files[kind] for kind in kinds}


CONFIGS = config_classes()


def fields_of(name):
    """Return the fields of a config: {field: (default, comment)}, without inherited ones."""
    path, node = CONFIGS[name]
    comments = comments_of(path)
    fields = {}
    for statement in node.body:
        if not isinstance(statement, ast.AnnAssign) or statement.value is None:
            continue
        if "ClassVar" in ast.unparse(statement.annotation):
            continue
        lines = range(statement.lineno, statement.end_lineno + 1)
        meaning = " ".join(comments[line] for line in lines if line in comments)
        default = ast.unparse(statement.value).replace("'", '"')
        fields[statement.target.id] = (default, meaning)
    return fields


def bases_of(name):
    """Return the configs in models/ that a config inherits fields from, nearest first."""
    _, node = CONFIGS[name]
    bases = [base.id for base in node.bases if base.id in CONFIGS]
    bases += [ancestor for base in bases for ancestor in bases_of(base)]
    return [base for base in dict.fromkeys(bases) if fields_of(base)]


def format_table(head, rows):
    cells = [
        [str(cell).replace("|", "\\|") for cell in row]
        for row in (head, ["---"] * len(head), *rows)
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def tables_of(text):
    """Return the tables of a Markdown page as {first cell: rows}; the first row is the head."""
    tables = {}
    for block in re.findall(r"(?:^\|.*\|\n)+", text, re.M):
        rows = [re.split(r" *(?<!\\)\| *", line.strip())[1:-1] for line in block.splitlines()]
        tables[rows[0][0]] = [rows[0], *rows[2:]]
    return tables


def model_titles():
    """Return {kind: (title, file)} of the models, such as "Fast style transfer" for FastStyle."""
    return {
        kind: (ast.get_docstring(parse(path)).split(":", 1)[0], path)
        for kind, path in model_files().items()
    }


def presets():
    """Return one table of presets per model."""
    return "\n\n".join(
        f"## {title}\n\n"
        + format_table(
            (
                "preset",
                "dataset",
                "epochs",
                "trainable parameters",
                "fields that differ from the defaults",
            ),
            preset_rows(kind),
        )
        for kind, (title, _) in model_titles().items()
    )


def preset_rows(kind):
    for name, preset in PRESETS.items():
        if preset["kind"] != kind:
            continue
        parameters = [f"{player} {count:,}" for player, count in preset["parameters"].items()]
        fields = [
            f"`{section}.{field}={value if isinstance(value, str) else json.dumps(value)}`"
            for section in ("model", "data", "train")
            for field, value in preset[section].items()
            if (section, field) not in (("data", "dataset"), ("train", "epochs"))
        ]
        yield (
            f"`{name}`",
            preset["data"].get("dataset", ""),
            preset["train"].get("epochs", ""),
            ", ".join(parameters),
            " ".join(fields),
        )


def fields():
    """Return the tables of all fields: data, train, each model, each family of models."""
    parts = [
        field_section("## Data", "data", "DataConfig"),
        field_section("## Train", "train", "TrainConfig"),
    ]
    for kind, (title, _) in model_titles().items():
        config = f"{kind}Config"
        bases = [SHARED[base] for base in bases_of(config)]
        text = f"Fields `model.FIELD` of {title}."
        if bases:
            links = " and ".join(
                f"[{base.lower()}](#{base.lower().replace(' ', '-')})" for base in bases
            )
            text += f" It also has the fields of {links}."
        parts.append(field_section(f"## {title}", "model", config, text))
    for base, title in SHARED.items():
        text = "Fields of several models. A model may have another default: see its own table."
        parts.append(field_section(f"## {title}", "model", base, text))
    return "\n\n".join(parts)


def field_section(heading, section, config, text=""):
    inherited = {}
    for base in reversed(bases_of(config)):
        inherited |= {field: comment for field, (_, comment) in fields_of(base).items()}
    rows = [
        (f"`{section}.{field}`", f"`{default}`", comment or inherited.get(field, ""))
        for field, (default, comment) in fields_of(config).items()
    ]
    table = format_table(("field", "default", "meaning"), rows)
    return "\n\n".join(filter(None, (heading, text, table)))


def cards():
    """Return {kind: model cards (folder, properties, score table)} of the pretrained presets."""
    cards = {}
    for file in sorted((ROOT / "saved_models").glob("*/experiment.json")):
        kind = json.loads(file.read_text(encoding="utf-8"))["kind"]
        tables = tables_of((file.parent / "README.md").read_text(encoding="utf-8"))
        entry = (file.parent.name, dict(tables["property"][1:]), tables["metric"])
        cards.setdefault(kind, []).append(entry)
    return cards


def scores():
    """Return the scores of all pretrained presets, with the commands that measured them."""
    parts = []
    for kind, (title, _) in model_titles().items():
        for name, properties, (head, *rows) in cards().get(kind, ()):
            parts.append(
                f"### {name}\n\n{title}. Training: {properties['training']}, "
                f"on {properties['machine']}.\n\n"
                f"```sh\n{commands_of(properties)}\n```\n\n{format_table(head, rows)}\n\n"
                f"[Model card](../saved_models/{name}/README.md)"
            )
    return "\n\n".join(parts)


def gallery():
    """Return docs/gallery.md: the sample grids of all pretrained presets."""
    sections = "\n\n".join(
        f"## {name}\n\n{title}: [model card](../saved_models/{name}/README.md).\n\n"
        f"![Samples of {name}](../saved_models/{name}/samples.png)"
        for kind, (title, _) in model_titles().items()
        for name, _, _ in cards().get(kind, ())
    )
    return f"{GALLERY_INTRODUCTION}\n{sections}\n"


def commands():
    """Return the arguments of all subcommands, from the parser of the command line."""
    from tfgan_zoo import cli

    return "\n\n".join(command_sections(cli.build_parser()))


def command_sections(parser):
    """Yield the section of a parser, then those of its subcommands."""
    subcommands = [
        (name, subparser)
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, subparser in action.choices.items()
    ]
    if not subcommands:
        yield command_section(parser)
    for _, subparser in subcommands:
        yield from command_sections(subparser)


def command_section(parser):
    """Return usage, description, tables of arguments and epilog of one subcommand."""
    usage = parser.format_usage().strip()
    parts = [f"## {parser.prog}", sentence(parser.description), f"```text\n{usage}\n```"]
    for group in parser._action_groups:
        rows = [
            (argument_names(action), escape(expand(parser, action)))
            for action in group._group_actions
            if action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction)
        ]
        if rows:
            title = group.title.replace("positional arguments", "arguments")
            parts += [f"**{sentence(title).rstrip('.')}**", group.description]
            parts.append(format_table(("argument", "meaning"), rows))
    if parser.epilog:
        parts.append(f"```text\n{parser.epilog.strip()}\n```")
    return "\n\n".join(filter(None, parts))


def sentence(text):
    """Return a text with a capital letter and a full stop."""
    text = (text or "").strip()
    return text and text[0].upper() + text[1:] + ("" if text.endswith((".", ":", ")")) else ".")


def argument_names(action):
    """Return an argument as in the usage line, such as `-n COUNT` or `PRESET`."""
    metavar = action.metavar or action.dest.upper()
    if not action.option_strings:
        return f"`{metavar}`"
    names = ", ".join(action.option_strings)
    if action.nargs == 0:
        return f"`{names}`"
    if action.choices and not action.metavar:
        metavar = "{" + ",".join(map(str, action.choices)) + "}"
    return f"`{names} {metavar}`"


def expand(parser, action):
    """Return the help of an argument with its default filled in."""
    return (action.help or "") % {**vars(action), "prog": parser.prog}


def escape(text):
    """Return a plain text as Markdown."""
    return re.sub(r"([*_<\[])", r"\\\1", text)


def defines_names(path):
    """Return True if a module defines functions or classes."""
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in parse(path).body)


def api_pages():
    """Return {name of the page: Markdown} of the API reference, one page per subpackage."""
    pages = {}
    listed = {name for page, (_, names) in API_PAGES.items() for name in names or (page,)}
    listed.discard("tools")
    paths = sorted(path for path in MODELS.parent.iterdir() if not path.name.startswith("_"))
    unlisted = [path.stem for path in paths if path.is_dir() or path.suffix == ".py"]
    unlisted = tuple(name for name in unlisted if name not in listed)
    for page, (title, modules) in API_PAGES.items():
        modules = unlisted if modules == () else modules
        blocks = []
        for module in modules or (page,):
            path = MODELS.parent / module
            block = f"::: tfgan_zoo.{module}"
            if path.is_dir() and not defines_names(path / "__init__.py"):
                # Its names are those of its modules, which follow.
                block += "\n    options:\n      members: false"
            blocks.append(block)
            if path.is_dir():
                names = sorted(file.stem for file in path.glob("*.py") if file.stem != "__init__")
                blocks += [f"::: tfgan_zoo.{module}.{name}" for name in names]
        pages[f"api/{page}.md"] = f"# {title}\n\n" + "\n\n".join(blocks) + "\n"
    return pages


def commands_of(properties):
    """Return the commands of a model card that train and evaluate, without backquotes."""
    train = properties["command"].strip("`")
    preset = train.split()[2]
    return f"{train}\ntfgan-zoo evaluate runs/{preset}"


if __name__ == "__main__":
    GALLERY.write_text(gallery(), encoding="utf-8")
    print(f"wrote {GALLERY.relative_to(ROOT)}")
