"""The documentation site builds strictly, its links have targets, and it loads no other host."""

import html.parser
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import types
import urllib.parse

import pytest
from helpers import ROOT, module_of
from PIL import Image

from tfgan_zoo import cli, presets
from tfgan_zoo.tools import static_site

PACKAGES = ("properdocs", "material", "mkdocstrings", "nbconvert", "latex2mathml")
MISSING = [name for name in PACKAGES if not importlib.util.find_spec(name)]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"the extra docs is not installed: {', '.join(MISSING)} missing"
)
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


IMAGES = """() => [...document.querySelectorAll("article img")].map(image => {
    const {left, right} = image.getBoundingClientRect();
    return {source: image.src.slice(-80), loaded: image.naturalWidth > 0, left, right};
})"""


class Page(html.parser.HTMLParser):
    """The anchors, links and loaded files of an HTML page."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loaded = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids |= {values.get("id"), values.get("name")} - {None}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in LOADED and LOADED[tag] in values:
            self.loaded.append(values[LOADED[tag]])


def build(folder, live):
    """Build the site in strict mode, with the static site in the folder `live` or "" for none."""
    command = [sys.executable, "-m", "properdocs", "build", "--strict", "-f", "mkdocs.yml"]
    return subprocess.run(
        [*command, "-d", str(folder)],
        cwd=ROOT,
        env={**os.environ, "TFGAN_ZOO_LIVE": str(live)},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site with the pages that run in the browser, without their models."""
    folder, live = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("live")
    shutil.copytree(static_site.WEB, live, dirs_exist_ok=True)
    static_site.write_pages(live)
    (live / "site.json").write_text("{}")
    (live / "examples").mkdir()
    for name in re.findall(r"live/(examples/[\w.]+)", hooks().LIVE_CARDS):
        Image.new("RGB", (28, 28)).save(live / name)
    result = build(folder, live)
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


def hooks():
    return module_of(ROOT / "docs" / "hooks.py")


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def is_remote(address):
    return re.match(r"[a-z]+:|//", address) is not None


def test_links_and_anchors_have_targets(site, pages):
    assert len(pages) > 50
    for path, page in pages.items():
        for link in page.links + page.loaded:
            if is_remote(link):
                continue
            place, anchor = urllib.parse.urldefrag(urllib.parse.unquote(link))
            target = path if not place else path.parent / place.partition("?")[0]
            target = type(path)(os.path.normpath(target))
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), (path.name, link)
            if anchor and target in pages:
                assert anchor in pages[target].ids, (path.name, link)


def test_pages_load_no_file_of_another_host(site, pages):
    for path, page in pages.items():
        remote = [address for address in page.loaded if is_remote(address)]
        remote = [address for address in remote if not address.startswith("data:")]
        assert remote == [], path.name
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", path.read_text(encoding="utf-8")), path


def test_front_page_shows_the_pages_that_run_in_the_browser_first(site):
    index = (site / "index.html").read_text(encoding="utf-8")
    first_image = index.index("<img", index.index("<h1"))
    assert 'src="live/examples/digits_3.png"' in index[first_image:][:200]
    for template in static_site.WEB.glob("*.html.j2"):
        page = template.name.removesuffix(".j2")
        assert page == "layout.html" or f'href="live/{page}"' in index, page


def test_front_page_without_these_pages_has_no_dead_link():
    module, config = hooks(), types.SimpleNamespace(extra={"live": ""})
    files = importlib.import_module("properdocs.structure.files").Files([])
    assert module.live_pages(config) == {}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert module.LIVE_MARKER in readme
    page = types.SimpleNamespace(file=types.SimpleNamespace(src_uri="index.md"))
    text = module.on_page_markdown(module.LIVE_MARKER, page, config, files)
    assert "live/" not in text and "demo.md#static-site" in text


def test_folder_that_is_no_static_site_is_reported(tmp_path):
    result = build(tmp_path / "site", tmp_path)
    assert result.returncode == 1
    assert "TFGAN_ZOO_LIVE must be a folder that tfgan-zoo demo --static" in result.stderr


def text_of(site, name):
    return re.sub(r"<[^>]+>", "", (site / name).read_text(encoding="utf-8"))


def test_reference_is_complete(site):
    reference = text_of(site, "presets.html")
    assert [name for name in presets.PRESETS if name not in reference] == []
    fields = text_of(site, "fields.html")
    for name in ("data.batch_size", "train.epochs", "model.ema_decay", "model.cycle_weight"):
        assert name in fields
    commands = text_of(site, "command_line.html")
    for name in [*cli.COMMANDS, *(f"data {name}" for name in cli.DATA_COMMANDS)]:
        assert name == "data" or f"tfgan-zoo {name}" in commands
    api = "".join(path.read_text(encoding="utf-8") for path in (site / "api").glob("*.html"))
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "tfgan_zoo").rglob("*.py")
        if not path.name.startswith("_")
    ]
    assert [module for module in modules if f'id="{module}"' not in api] == []


def test_browser_requests_no_other_host_and_search_works_from_a_file(site):
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        pytest.skip("Chromium is not installed")
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 800})
        requests, errors = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        notebooks = [f"notebooks/{path.stem}.html" for path in (ROOT / "notebooks").glob("*.ipynb")]
        names = ["index.html", "README.zh-CN.html", "fields.html", "results.html", *notebooks]
        assert len(notebooks) == 11
        for name in names:
            page.goto((site / name).as_uri())
            page.wait_for_load_state("networkidle")
            # On a phone, wide tables and code scroll in a box of their own. Images fit.
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
            images = page.evaluate(IMAGES)
            assert images or name == "fields.html" or name == "results.html", name
            for image in images:
                assert image["loaded"] and image["left"] >= 0 and image["right"] <= 390, (
                    name,
                    image,
                )
        page.set_viewport_size({"width": 1280, "height": 800})
        page.fill(".md-search__input", "spectral")
        page.wait_for_selector(".md-search-result__link")
        browser.close()
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert errors == []
