"""Write docs/systems.md from the models' docstrings and fields, the presets and the model cards.

    python docs/make.py

A test compares the page with the output of this script. The script parses the sources and does not
import the package.
"""

import ast
import io
import json
import pathlib
import re
import tokenize

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "systems.md"
MODELS = ROOT / "tfgan_zoo" / "models"
SHARED = {  # config of a family: the heading of its fields
    "AdversarialConfig": "Adversarial training",
    "ConditionConfig": "Conditional generation",
    "TranslationConfig": "Image-to-image translation",
    "StylizationConfig": "Stylization",
}
ARXIV = (r"arXiv (\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)")
METRICS = (  # of a model card, to show on this page
    "fid",
    "frechet_distance",
    "classifier_score",
    "label_accuracy",
    "nll",
    "l1",
    "l1_yx",
    "psnr",
    "ssim",
    "style",
    "content",
)
INTRODUCTION = """# Models and presets

`python docs/make.py` writes this page from the source code: edit the code, not this page.

For each model: the objective, the deviations from the paper, the pretrained presets with their
results, all presets and all fields. The default of a field is the paper's value unless stated
otherwise. `tfgan-zoo show PRESET` prints the fields of a preset with their values.
"""
SHARED_FIELDS = """## Shared fields

Fields of several models. A model may have another default: see the table of the model.
"""


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def assigned(module, name):
    """Return the syntax tree of the value of a module's variable."""
    (value,) = [
        node.value
        for node in module.body
        if isinstance(node, ast.Assign) and node.targets[0].id == name
    ]
    return value


PRESETS = ast.literal_eval(assigned(parse(MODELS.parent / "presets.py"), "PRESETS"))


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


def config_classes():
    """Return {class name: (file, syntax tree)} of the configs in models/."""
    return {
        node.name: (path, node)
        for path in sorted(MODELS.glob("*.py"))
        for node in parse(path).body
        if isinstance(node, ast.ClassDef) and node.name.endswith("Config")
    }


CONFIGS = config_classes()


def comments_of(path):
    """Return {line number: (text of its comment, True if the line has nothing else)}."""
    source = path.read_text(encoding="utf-8")
    return {
        token.start[0]: (token.string.lstrip("# "), token.line.lstrip().startswith("#"))
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }


def fields_of(name):
    """Return the fields of a config: {field: (default, comment)}, without inherited ones."""
    path, node = CONFIGS[name]
    comments = comments_of(path)
    fields = {}
    for statement in node.body:
        if not isinstance(statement, ast.AnnAssign) or statement.value is None:
            continue
        # The comment is on the lines of the field, or else on the lines above it.
        lines = range(statement.lineno, statement.end_lineno + 1)
        texts = [comments[line][0] for line in lines if line in comments]
        line = statement.lineno - 1
        while not texts and comments.get(line, ("", False))[1]:
            texts.insert(0, comments[line][0])
            line -= 1
        default = ast.unparse(statement.value).replace("'", '"')
        fields[statement.target.id] = (default, " ".join(texts))
    return fields


def bases_of(name):
    """Return the configs in models/ that a config inherits fields from, nearest first."""
    _, node = CONFIGS[name]
    bases = [base.id for base in node.bases if base.id in CONFIGS]
    bases += [ancestor for base in bases for ancestor in bases_of(base)]
    return [base for base in dict.fromkeys(bases) if fields_of(base)]


def slug(heading):
    """Return the anchor of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def linked(text):
    """Turn the arXiv numbers of a docstring into links, except in indented formulas."""
    lines = text.split("\n")
    return "\n".join(line if line.startswith("    ") else re.sub(*ARXIV, line) for line in lines)


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


def preset_rows(kind):
    for name, preset in PRESETS.items():
        if preset["kind"] != kind:
            continue
        parameters = [f"{player} {count:,}" for player, count in preset["parameters"].items()]
        fields = [f"`{field}={json.dumps(value)}`" for field, value in preset["model"].items()]
        yield (
            f"`{name}`",
            preset["data"].get("dataset", ""),
            preset["train"].get("epochs", ""),
            ", ".join(parameters),
            ", ".join(fields),
        )


def pretrained_section(folder):
    """Return the section about a pretrained preset: image, training and scores of its card."""
    tables = tables_of((folder / "README.md").read_text(encoding="utf-8"))
    properties = dict(tables["property"][1:])
    head, *rows = tables["metric"]
    path = f"../saved_models/{folder.name}"
    scores = format_table(head, [row for row in rows if row[0] in METRICS])
    return f"""### Pretrained: {folder.name}

![Images of {folder.name}]({path}/samples.png)

Training: {properties["training"]}, on {properties["machine"]}. Scores of the
[model card]({path}/README.md), measured with `tfgan-zoo evaluate RUN` before the export:

{scores}"""


def model_section(kind, path):
    title, description = ast.get_docstring(parse(path)).split(":", 1)
    description = description.strip()
    config = f"{kind}Config"
    bases = bases_of(config)
    inherited = {}
    for base in reversed(bases):
        inherited |= {field: comment for field, (_, comment) in fields_of(base).items()}
    field_rows = [
        (f"`{field}`", f"`{default}`", comment or inherited.get(field, ""))
        for field, (default, comment) in fields_of(config).items()
    ]
    pretrained = [
        pretrained_section(file.parent)
        for file in sorted((ROOT / "saved_models").glob("*/experiment.json"))
        if json.loads(file.read_text(encoding="utf-8"))["kind"] == kind
    ]
    shared = " and ".join(f"[{SHARED[base].lower()}](#{slug(SHARED[base])})" for base in bases)
    parts = [
        f"## {title}",
        f"Class `{kind}` in [models/{path.name}](../tfgan_zoo/models/{path.name}).",
        linked(description[0].upper() + description[1:]),
        *pretrained,
        f"### {title} presets",
        "The last column lists the fields that differ from the defaults.",
        format_table(
            ("preset", "dataset", "epochs", "trainable parameters", "`model.FIELD=VALUE`"),
            preset_rows(kind),
        ),
        f"### {title} fields",
        *([f"The model also has the fields of {shared}."] if shared else []),
        format_table(("field", "default", "meaning"), field_rows),
    ]
    return "\n\n".join(parts)


def shared_section(name):
    path, _ = CONFIGS[name]
    rows = [
        (f"`{field}`", f"`{default}`", comment)
        for field, (default, comment) in fields_of(name).items()
    ]
    place = f"`{name}` in [models/{path.name}](../tfgan_zoo/models/{path.name})."
    table = format_table(("field", "default", "meaning"), rows)
    return f"### {SHARED[name]}\n\n{place}\n\n{table}"


def page():
    """Return the Markdown of docs/systems.md."""
    files = model_files()
    titles = [ast.get_docstring(parse(path)).split(":", 1)[0] for path in files.values()]
    contents = "\n".join(f"- [{title}](#{slug(title)})" for title in [*titles, "Shared fields"])
    parts = [
        INTRODUCTION.strip(),
        contents,
        *(model_section(kind, path) for kind, path in files.items()),
        SHARED_FIELDS.strip(),
        *map(shared_section, SHARED),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
