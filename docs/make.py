"""Writes docs/systems.md from what the code says: the models' docstrings and fields, the presets, the cards of saved_models.

    python docs/make.py

A test compares the page with what this script would write. It reads sources and imports nothing of them.
"""

import ast
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "systems.md"
MODELS = ROOT / "tfgan_zoo" / "models"
SHARED = {  # config: (the heading of its fields, the file)
    "AdversarialConfig": ("The adversarial game", "adversarial.py"),
    "ConditionConfig": ("Conditions", "latent.py"),
    "TranslationConfig": ("Translation", "translation.py"),
    "StyleConfig": ("Style", "styling.py"),
}
ARXIV = (r"arXiv (\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)")
SCORES = (
    "frechet_distance",
    "classifier_score",
    "label_accuracy",
    "nll",
    "l1",
    "l1_yx",
    "psnr",
    "ssim",
)  # of a card, to show here


def tree(file):
    return ast.parse((MODELS / file).read_text())


def assigned(top, name):
    """The value of a module's variable."""
    (found,) = [
        node.value
        for node in top.body
        if isinstance(node, ast.Assign) and node.targets[0].id == name
    ]
    return found


PRESETS = ast.literal_eval(assigned(tree("../presets.py"), "PRESETS"))


def kinds():
    """{kind: its file}, in the order of `MODELS`."""
    top = tree("__init__.py")
    files = {
        alias.name: node.module.rpartition(".")[2] + ".py"
        for node in top.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return {key.value: files[key.value] for key in assigned(top, "MODELS").keys}


def config(file, name):
    """The names of a config's bases, and its fields: rows (name, default, comment)."""
    (found,) = [
        node for node in tree(file).body if isinstance(node, ast.ClassDef) and node.name == name
    ]
    lines = (MODELS / file).read_text().splitlines()
    rows = []
    for node in found.body:
        if isinstance(node, ast.AnnAssign):
            comment = re.search(r"\s#\s(.*)$", lines[node.end_lineno - 1][node.end_col_offset :])
            rows.append(
                (
                    node.target.id,
                    ast.unparse(node.value).replace("'", '"'),
                    comment[1] if comment else "",
                )
            )
    return [base.id for base in found.bases], rows


def slug(heading):
    """The anchor that a heading gets."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def linked(text):
    """A docstring's text with its papers as links, but in formulas."""
    lines = text.split("\n")
    return "\n".join(line if line.startswith("    ") else re.sub(*ARXIV, line) for line in lines)


def table(head, rows):
    cells = [
        [str(cell).replace("|", "\\|") for cell in row]
        for row in (head, ["---"] * len(head), *rows)
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def preset_rows(kind):
    for name, preset in PRESETS.items():
        if preset["kind"] == kind:
            parameters = ", ".join(
                f"{player} {count:,}" for player, count in preset["parameters"].items()
            )
            changed = ", ".join(
                f"`{field}={json.dumps(value)}`" for field, value in preset["model"].items()
            )
            epochs = preset["train"].get("epochs", "")
            yield f"`{name}`", preset["data"].get("dataset", ""), epochs, parameters, changed


def card_of(folder):
    """What this page tells of a trained model: its picture, a few facts, and the scores that everybody asks for."""
    text = (folder / "README.md").read_text()
    rows = [row.split(" | ") for row in re.findall(r"^\| (.+?) ?\|$", text, re.M)]
    facts = {row[0]: row[1] for row in rows if len(row) > 1}
    (first,) = [i for i, row in enumerate(rows) if row[0] == "score"]  # above are losses
    head, *rest = rows[first:]
    scores = [row + [""] * (len(head) - len(row)) for row in rest if row[0] in SCORES]
    place = f"../saved_models/{folder.name}"
    return f"""Trained, in this repository: [{folder.name}]({place}/README.md).

![Images of {folder.name}]({place}/samples.png)

{facts["training"]}; {facts["machine"]}. From its card, scores of the run that it was exported from (`tfgan-zoo evaluate RUN`):

{table(head, scores)}
"""


def section(kind, file):
    title, about = ast.get_docstring(tree(file)).split(":", 1)
    bases, fields = config(file, f"{kind}Config")
    inherited = {
        name: comment for base in bases for name, _, comment in config(SHARED[base][1], base)[1]
    }
    cards = [
        card_of(path.parent)
        for path in sorted((ROOT / "saved_models").glob("*/experiment.json"))
        if json.loads(path.read_text())["kind"] == kind
    ]
    more = " and ".join(f"[{SHARED[base][0].lower()}](#{slug(SHARED[base][0])})" for base in bases)
    parts = [
        f"## {title}",
        f"`{kind}`, in [models/{file}](../tfgan_zoo/models/{file}).",
        linked(about.strip()[0].upper() + about.strip()[1:]),
        *(card.strip() for card in cards),
        "What the presets set other than the defaults:",
        table(
            ("preset", "data set", "epochs", "trainable parameters", "`model.` fields"),
            preset_rows(kind),
        ),
        f"Fields of its own (`model.FIELD=VALUE`){f', beside those of {more}' if more else ''}:",
        table(
            ("field", "default", "meaning"),
            [
                (f"`{name}`", f"`{default}`", comment or inherited.get(name, ""))
                for name, default, comment in fields
            ],
        ),
    ]
    return "\n\n".join(parts)


def shared(name):
    heading, file = SHARED[name]
    _, fields = config(file, name)
    rows = [(f"`{field}`", f"`{default}`", comment) for field, default, comment in fields]
    return (
        f"### {heading}\n\n`{name}`, in [models/{file}](../tfgan_zoo/models/{file}).\n\n"
        + table(("field", "default", "meaning"), rows)
    )


INTRODUCTION = """# The systems

Written by `python docs/make.py` from the code: do not edit it here.

What each model is, how it differs from its paper, its presets and its fields. A field's default is the paper's unless the text
says otherwise. `tfgan-zoo show dcgan_mnist` prints every field of a preset with its value. For results and the commands behind them
see the [README](../README.md), for the way out of Python [serving](serving.md).
"""
SHARED_FIELDS = """## Shared fields

What several models have in common stands in one file each. A model may have another default for one of these: its own table says so.
"""


def page():
    """The Markdown of docs/systems.md."""
    systems = kinds()
    titles = [ast.get_docstring(tree(file)).split(":", 1)[0] for file in systems.values()]
    contents = "\n".join(f"- [{title}](#{slug(title)})" for title in [*titles, "Shared fields"])
    sections = [section(kind, file) for kind, file in systems.items()]
    return (
        "\n\n".join(
            [INTRODUCTION.strip(), contents, *sections, SHARED_FIELDS.strip(), *map(shared, SHARED)]
        )
        + "\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"written: {PAGE.relative_to(ROOT)}")
