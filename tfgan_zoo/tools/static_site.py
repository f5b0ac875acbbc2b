"""Static site that runs the pretrained models in the visitor's browser: `tfgan-zoo demo --static`.

The site has the pages and scripts of the folder `web`, an ONNX file for each network, ONNX Runtime
Web and example images. `site.json` describes the models to the pages, `files.js` lists the files
that the service worker stores for use without a connection. The pages request no other host.
"""

import base64
import hashlib
import inspect
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

import jinja2
import numpy as np
from PIL import Image

from tfgan_zoo import __version__, presets
from tfgan_zoo.data import builtin_images, facades
from tfgan_zoo.data.transforms import resize_longer_side
from tfgan_zoo.errors import FailureError, UserError, check_choice, first_line
from tfgan_zoo.files import atomic_folder, atomic_write, write_text
from tfgan_zoo.models import MODELS
from tfgan_zoo.saving import hub
from tfgan_zoo.saving.export_file import export_file
from tfgan_zoo.saving.exported import load
from tfgan_zoo.saving.onnx import convert_to_onnx

WEB = pathlib.Path(__file__).parent / "web"
LAYOUT = "layout.html.j2"  # parts that all pages share; each other template is one page
REPOSITORY = "https://github.com/tfgan-zoo/tfgan_zoo"
RUNTIME = "onnxruntime-web@1.30.0"
RUNTIME_INTEGRITY = (
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZ"
    "ClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
RUNTIME_FILES = {  # of the npm package: {build: its files}
    "wasm": ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"),
    "jspi": ("ort.jspi.bundle.min.mjs", "ort-wasm-simd-threaded.jspi.wasm"),  # with WebGPU
}
NUM_DIRECTIONS = 6  # sliders of a latent code, at most
NUM_EXAMPLES = 8  # label maps
PHOTOGRAPH_SIDE = 480  # longer side of the example photographs, in pixels
THUMBNAIL_SIDE = 96  # longer side of the example of a style, in pixels


def build_site(folder, names=None, runtime=None, overwrite=False):
    """Write the site.

    Args:
        folder: Folder to write.
        names: Pretrained presets of the site. Default: all that are published and that the pages
            can use.
        runtime: Folder of the npm package onnxruntime-web. Default: it is downloaded with npm.
        overwrite: Whether the folder of another site may be replaced.

    Returns:
        The number of bytes of all files.

    Raises:
        UserError: An invalid argument, a missing model, or no runtime.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and not (folder / "site.json").is_file() and any(folder.iterdir()):
        raise UserError(f"only the folder of a static site is replaced, got {folder}.")
    names = usable_presets() if names is None else list(names)
    for name in names:
        check_choice("a preset of the static site", name, usable_presets())
    with atomic_folder(folder, overwrite) as site:
        shutil.copytree(WEB, site, ignore=shutil.ignore_patterns("*.j2"), dirs_exist_ok=True)
        write_pages(site)
        copy_runtime(site / "runtime", runtime)
        (site / "models").mkdir()
        (site / "examples").mkdir()
        models = {task: [] for task in DESCRIPTIONS}
        for name in names:
            task = presets.experiment(name).model.task
            models[task].append(describe(name) | DESCRIPTIONS[task](name, site))
        content = {"repository": REPOSITORY, **models}
        content["classes"] = [
            {"name": name, "color": list(color)} for name, color in facades.CLASSES.items()
        ]
        content["examples"] = write_examples(site, models)
        write_text(site / "site.json", json.dumps(content))
        write_file_list(site)
        return sum(path.stat().st_size for path in site.rglob("*") if path.is_file())


def usable_presets():
    """Return the published presets that the pages can use.

    These are all generators but those of clusters, translators of the synthetic facades from
    labels, and stylization networks of one style. A new one needs no change here.
    """
    names = []
    for name in hub.checksums():
        experiment = presets.experiment(name)
        model = experiment.model
        if model.task == "translate" and experiment.data.dataset != "facades_synthetic":
            continue
        if model.task == "stylize" and model.takes_styles:
            continue
        if getattr(model, "condition", "") == "cluster":  # 100 classes without names
            continue
        names.append(name)
    return names


# --- models


def describe(name):
    """Return what the pages say about a preset: {"name", "kind", "dataset", "paper", "arxiv"}."""
    experiment = presets.experiment(name)
    docstring = inspect.getdoc(sys.modules[MODELS[experiment.kind].__module__])
    paper = " ".join(docstring.split("\n\n")[1].split()).removeprefix("Paper: ")
    return {
        "name": name,
        "kind": experiment.kind,
        "dataset": experiment.data.dataset,
        "paper": paper.partition(", arXiv")[0],
        "arxiv": re.search(r"arXiv (\d{4}\.\d{4,5})", paper)[1],
    }


def describe_generator(name, site):
    """Write the files of a generator, or of an autoencoder, and describe them."""
    model = load(name)
    export_onnx(name, site / "models" / f"{name}.onnx")
    description = {
        "file": f"models/{name}.onnx",
        "latentDim": model.latent_dim,
        "classes": model.class_names or list(map(str, range(model.classes))),
        "shape": model.image_shape,
        "directions": latent_directions(model).tolist(),
    }
    if model.encodes:
        with atomic_write(site / "models" / f"{name}_encoder.onnx") as partial:
            partial.write_bytes(encoder_onnx(model.zoo_model))
        description["encoder"] = f"models/{name}_encoder.onnx"
    return description


def describe_translator(name, site):
    """Write the file of a translator from labels to photographs, and describe it."""
    side = presets.experiment(name).model.image_size
    export_onnx(name, site / "models" / f"{name}.onnx", size=(side, side))
    return {"file": f"models/{name}.onnx", "size": side}


def describe_stylizer(name, site):
    """Write the file of a network of one style and an example of its result, and describe it."""
    export_onnx(name, site / "models" / f"{name}.onnx")
    photograph = resize_longer_side(builtin_images.photograph("china"), 2 * THUMBNAIL_SIDE)
    stylized = load(name).stylize(photograph)
    Image.fromarray(stylized).save(site / "examples" / f"{name}.jpg", quality=85)
    return {"file": f"models/{name}.onnx", "image": f"examples/{name}.jpg"}


DESCRIPTIONS = {
    "generate": describe_generator,
    "translate": describe_translator,
    "stylize": describe_stylizer,
}


def export_onnx(name, path, **options):
    """Export a preset as an ONNX file with float16 weights."""
    export_file(name, path, "onnx", **options)
    with atomic_write(path) as partial:
        partial.write_bytes(store_as_float16(path.read_bytes()))


def encoder_onnx(model):
    """Convert the encoder of an autoencoder, from images to the means of their codes, to ONNX.

    Raises:
        RuntimeError: The file's means differ from the model's by more than 0.001.
    """
    encode, specs = model.signatures()["encode"]

    def encode_mean(images):
        return {"mean": encode(images)["mean"]}

    contents, run_file = convert_to_onnx({"encode": (encode_mean, specs)})
    images = model.sample(2)
    difference = np.abs(run_file("encode", {"images": images}) - model.encode(images)[0]).max()
    if difference > 1e-3:
        raise RuntimeError(f"the encoder's ONNX file differs from the model by {difference}.")
    return store_as_float16(contents[".onnx"])


def store_as_float16(content):
    """Store the weights of an ONNX file as float16, where this changes no value.

    The weights of published presets are float16 values. The graph converts them to float32 when it
    is loaded, so the computation stays the same.

    Args:
        content: Bytes of an ONNX file.

    Returns:
        Bytes of the smaller ONNX file.
    """
    import onnx

    model, casts = onnx.load_from_string(content), []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < 100:
            continue
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if np.array_equal(half, values):
            name = tensor.name
            tensor.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}_float16"))
            casts.append(
                onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT)
            )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model.SerializeToString()


def latent_directions(model, num_codes=16):
    """Return the directions in the latent space that change the image most.

    They are the eigenvectors of the mean of J^T J, where J is the derivative of the image by the
    code (active subspaces, Constantine 2015). Single dimensions of a long code change little.

    Args:
        model: An exported generator.
        num_codes: Number of random codes over which the mean is taken.

    Returns:
        float32 (k, latent_dim), unit vectors sorted by their effect; k is at most NUM_DIRECTIONS.
    """
    dim = model.latent_dim
    z = np.asarray(model.latent(num_codes, seed=0))
    steps = 0.5 * np.concatenate([np.eye(dim), -np.eye(dim)]).astype(np.float32)
    mean = np.zeros((dim, dim))
    for i, code in enumerate(z):
        labels = np.full(2 * dim, i % model.classes) if model.classes else None
        images = model.generate(code + steps, labels).reshape(2 * dim, -1).astype(np.float64)
        derivative = images[:dim] - images[dim:]  # (dim, pixels)
        mean += derivative @ derivative.T / num_codes
    _, vectors = np.linalg.eigh(mean)  # in the order of increasing eigenvalues
    return vectors[:, ::-1].T[:NUM_DIRECTIONS].astype(np.float32)


# --- other files


def write_pages(site):
    """Write the HTML pages."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(WEB),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    for name in environment.list_templates(extensions=["j2"]):
        if name != LAYOUT:
            page = name.removesuffix(".html.j2")
            html = environment.get_template(name).render(
                page=page, repository=REPOSITORY, version=__version__
            )
            write_text(site / f"{page}.html", html)


def write_examples(site, models):
    """Write the images that the pages start with; return their names by page."""
    images = {"labels": [], "facades": [], "digits": [], "photographs": []}
    if models["translate"]:
        model = max(models["translate"], key=lambda model: model["size"])
        labels = [facades.layout(i, model["size"]) for i in range(NUM_EXAMPLES)]
        images["labels"] = [facades.class_colors(classes) for classes in labels]
        images["facades"] = [load(model["name"]).translate(images["labels"][0])]
    digits = [model["name"] for model in models["generate"] if model["dataset"] == "mnist"]
    for name in digits[:1]:
        images["digits"] = load(name).sample(10, seed=1)[..., 0]
    if models["stylize"]:
        images["photographs"] = [
            resize_longer_side(builtin_images.photograph(name), PHOTOGRAPH_SIDE)
            for name in builtin_images.PHOTOGRAPHS
        ]
    names = {}
    for kind, arrays in images.items():
        suffix = "jpg" if kind == "photographs" else "png"
        names[kind] = [f"examples/{kind}_{i}.{suffix}" for i in range(len(arrays))]
        for name, array in zip(names[kind], arrays, strict=True):
            Image.fromarray(array).save(site / name, quality=88)
    return names


def write_file_list(site):
    """Write files.js: the files that the service worker stores, and a hash of their contents."""
    digest, files = hashlib.sha256(), []
    for path in sorted(site.rglob("*")):
        if path.is_file():
            name = path.relative_to(site).as_posix()
            digest.update(name.encode() + hashlib.sha256(path.read_bytes()).digest())
            if not name.startswith("runtime/") and path.name != "service-worker.js":
                files.append(name)
    runtime = {
        build: [f"runtime/{name}" for name in names] for build, names in RUNTIME_FILES.items()
    }
    content = {"version": digest.hexdigest()[:12], "files": files, "runtime": runtime}
    write_text(site / "files.js", f"self.SITE = {json.dumps(content, indent=1)};")


def copy_runtime(folder, source=None):
    """Copy ONNX Runtime Web into a new folder.

    Args:
        folder: Folder to create.
        source: Folder of the npm package. Default: npm downloads it.

    Raises:
        UserError: The folder lacks files, or npm is missing or fails.
    """
    folder.mkdir()
    if source is None:
        with tempfile.TemporaryDirectory() as temporary:
            return copy_runtime_files(download_runtime(pathlib.Path(temporary)), folder)
    source = pathlib.Path(source)
    dist = source / "dist" if (source / "dist").is_dir() else source
    return copy_runtime_files(dist, folder)


def copy_runtime_files(dist, folder):
    names = [name for build in RUNTIME_FILES.values() for name in build]
    missing = [name for name in names if not (dist / name).is_file()]
    if missing:
        raise UserError(
            f"the folder of {RUNTIME} lacks {', '.join(missing)}, got {dist}: "
            f"run npm install {RUNTIME} and pass node_modules/onnxruntime-web."
        )
    for name in names:
        shutil.copyfile(dist / name, folder / name)


def download_runtime(folder):
    """Download the npm package of ONNX Runtime Web; return its folder with the runtime files."""
    advice = f"or pass --runtime with the folder of the npm package {RUNTIME}"
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(f"the static site needs npm to download {RUNTIME}: install npm, {advice}.")
    result = subprocess.run([npm, "pack", RUNTIME], cwd=folder, capture_output=True, text=True)
    archives = list(folder.glob("*.tgz"))
    if result.returncode or not archives:
        raise UserError(
            f"npm cannot download {RUNTIME} ({first_line(result.stderr)}): "
            f"check the connection, {advice}."
        )
    digest = hashlib.sha512(archives[0].read_bytes()).digest()
    if f"sha512-{base64.b64encode(digest).decode()}" != RUNTIME_INTEGRITY:
        raise FailureError(f"the checksum of {RUNTIME} is wrong: the registry has another file.")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package" / "dist"
