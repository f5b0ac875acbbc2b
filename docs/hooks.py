"""Hooks of the documentation site: pages that are generated, links to the repository, formulas.

ProperDocs calls the `on_...` functions while it builds the site (see mkdocs.yml).
"""

import functools
import importlib.util
import mimetypes
import pathlib
import re
from html import unescape

import latex2mathml.converter
import nbconvert
import nbformat
from properdocs.exceptions import PluginError
from properdocs.plugins import get_plugin_logger
from properdocs.structure.files import File, InclusionLevel

log = get_plugin_logger("docs")
DOCS = pathlib.Path(__file__).resolve().parent
ROOT = DOCS.parent
TOP_PAGES = {  # page of the site: file of the repository that it shows
    "index.md": "README.md",
    "README.zh-CN.md": "README.zh-CN.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
}
LIVE_MARKER = "<!-- live pages -->"
LIVE_CARDS = """
## Try the models in your browser

<div class="grid cards live" markdown>

-   [![](live/examples/digits_3.png)
    ![](live/examples/digits_4.png)<br>**Generate**](live/digits.html)

    Choose a digit, play an interpolation.

-   [![](live/examples/digits_5.png)
    ![](live/examples/digits_6.png)<br>**Reconstruct**](live/autoencoder.html)

    Draw a digit, change its code.

-   [![](live/examples/labels_0.png)
    ![](live/examples/facades_0.png)<br>**Translate**](live/facade.html)

    Draw a house, get its photograph.

-   [![](live/examples/photographs_0.jpg)
    ![](live/examples/fast_mosaic.jpg)<br>**Stylize**](live/style.html)

    Use a photograph or your camera.

</div>

The models run on your device. No image leaves it. [All models](live/index.html),
[how to write these pages](demo.md#static-site).
"""
NO_LIVE_PAGES = """
!!! tip "Try the models in your browser"

    This copy of the documentation has no pages that run the models.
    [Write them with one command](demo.md#static-site).
"""
MARKER = re.compile(r"^<!-- generated: (\w+) -->$", re.M)
LINK = re.compile(r"(?P<before>\]\(|(?:src|href)=\")(?P<target>[^)\s\"#]+)(?P<anchor>#[^)\s\"]*)?")
BADGE = re.compile(r"\[!\[(Open in Colab)\]\([^)]*\)\]\(([^)]*)\)")  # its image is on another host
FENCE = re.compile(r"(^```.*?^```)", re.M | re.S)
INLINE_FORMULA = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.S)
FORMULA = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.S)


@functools.cache
def reference():
    """Return docs/reference.py as a module."""
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def on_config(config):
    """Read the sources again, for every build of `properdocs serve`."""
    reference.cache_clear()
    return config


def on_files(files, config):
    """Add the pages and images that are not in docs/."""
    for page, source in TOP_PAGES.items():
        files.append(
            File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8"))
        )
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        name = f"notebooks/{notebook.stem}"
        text, images = notebook_page(notebook)
        files.append(File.generated(config, f"{name}.md", content=text))
        for image, content in images.items():
            files.append(File.generated(config, f"{name}/{image}", content=content))
    for name, text in reference().api_pages().items():
        files.append(File.generated(config, name, content=text))
    for image in sorted((ROOT / "saved_models").rglob("*.[pj][np]g")):
        name = image.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(image)))
    for card in sorted((ROOT / "saved_models").glob("*/README.md")):
        name = f"saved_models/{card.parent.name}/README.md"
        page = File.generated(config, name, content=card.read_text(encoding="utf-8"))
        page.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(page)
    for name, path in live_pages(config).items():
        files.append(File.generated(config, f"live/{name}", abs_src_path=str(path)))
    return files


def live_pages(config):
    """Return the files of the static site that `extra.live` names, as {name: path}.

    Without it, the front page has a link to the instructions instead of links to these pages.
    """
    if not config.extra["live"]:
        log.info("no pages that run the models: TFGAN_ZOO_LIVE is not set, see docs/demo.md")
        return {}
    folder = pathlib.Path(config.config_file_path).parent / config.extra["live"]
    if not (folder / "site.json").is_file():
        raise PluginError(
            "TFGAN_ZOO_LIVE must be a folder that tfgan-zoo demo --static has written, "
            f"got {config.extra['live']!r}"
        )
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path for path in paths}


def notebook_page(path):
    """Return a notebook as Markdown, and its images as {name: bytes}."""
    notebook = nbformat.read(path, as_version=4)
    exporter = nbconvert.MarkdownExporter()
    text, resources = exporter.from_notebook_node(notebook)
    images, widths = resources["outputs"], image_widths(notebook)
    for image in images:
        size = f'{{ width="{widths[image]}" }}' if image in widths else ""
        text = text.replace(f"]({image})", f"]({path.stem}/{image}){size}")
    text = text.replace("<details>", '<details markdown="1">')  # else its content is raw HTML
    return BADGE.sub(r"[\1](\2)", text), images


def image_widths(notebook):
    """Return {image name of nbconvert: width on the page in pixels}, if an output states it."""
    return {
        f"output_{cell_number}_{number}{mimetypes.guess_extension(mime_type)}": options["width"]
        for cell_number, cell in enumerate(notebook.cells)
        for number, output in enumerate(cell.get("outputs", ()))
        for mime_type, options in output.get("metadata", {}).items()
        if mime_type.startswith("image/") and "width" in options
    }


def on_page_markdown(markdown, page, config, files):
    """Fill in the generated parts of a page, and translate links for the site."""
    markdown = markdown.replace(LIVE_MARKER, LIVE_CARDS if config.extra["live"] else NO_LIVE_PAGES)
    markdown = MARKER.sub(lambda match: getattr(reference(), match[1])(), markdown)
    source = TOP_PAGES.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    if page.file.src_uri.startswith(("notebooks/", "saved_models/")):
        source = page.file.src_uri
    parts = FENCE.split(markdown)
    parts[::2] = [
        LINK.sub(lambda m: site_link(m, source, page, files, config), part) for part in parts[::2]
    ]
    return "".join(parts)


def site_link(match, source, page, files, config):
    """Return a link of a repository file, as a link of the site or to the repository's host."""
    before, target, anchor = match["before"], match["target"], match["anchor"] or ""
    if re.match(r"[a-z]+:", target) or is_in_site(files, own_path(page, target)):
        return match[0]
    path = normalized(pathlib.PurePosixPath(source).parent / target)
    for name in site_names(path):
        if is_in_site(files, name):
            up = "../" * page.file.src_uri.count("/")
            return f"{before}{up}{name}{anchor}"
    if (ROOT / path).exists():
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"{before}{config.extra['repository']}/{kind}/main/{path}{anchor}"
    return match[0]  # reported by the strict build


def is_in_site(files, name):
    """Return True if the site has a file of this name; Python files of docs/ are excluded."""
    file = files.get_file_from_path(name)
    return file is not None and not file.inclusion.is_excluded()


def own_path(page, target):
    return normalized(pathlib.PurePosixPath(page.file.src_uri).parent / target)


def normalized(path):
    """Return a path as text, without `..`."""
    parts = []
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def site_names(path):
    """Return the names that a file of the repository may have in the site."""
    pages = {source: page for page, source in TOP_PAGES.items()}
    return [
        pages.get(path, path),
        path.removeprefix("docs/"),
        re.sub(r"\.ipynb$", ".md", path),
    ]


def on_page_content(html, page, config, files):
    """Convert formulas from LaTeX to MathML, which browsers show without a script."""
    html = INLINE_FORMULA.sub(lambda match: mathml(match[1], "inline"), html)
    return FORMULA.sub(lambda match: mathml(match[1], "block"), html)


def mathml(latex, display):
    return latex2mathml.converter.convert(unescape(latex).strip(), display=display)
