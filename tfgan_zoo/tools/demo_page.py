"""Layout of the page of `tfgan-zoo demo`. The functions of its tabs are in `demo`."""

import functools
import os
import tempfile

import gradio
import numpy as np
import tensorflow as tf
from PIL import Image

from tfgan_zoo.data import builtin_images, facades
from tfgan_zoo.errors import UserError
from tfgan_zoo.tools.demo import (
    ALL_CLASSES,
    DRAWING_SIDE,
    FIRST_FACADE,
    INTERPOLATION_STEPS,
    KEEP_SECONDS,
    NUM_CODE_SLIDERS,
    OPTIMIZATION_PRESET,
    REPOSITORY,
    SIDE,
    check_upload,
    code_dimensions,
    decode,
    describe,
    direction_names,
    example_digits,
    example_house,
    find_models,
    interpolation_step,
    is_trained_on_facades,
    load_cached,
    reconstruct,
    sample,
    stylize,
    takes_labels,
    takes_styles,
    translate,
    translate_image,
)

THEME = gradio.themes.Default(primary_hue="indigo")
UPLOAD_SOURCES = ["upload", "webcam", "clipboard"]
# Keep the pixels of enlarged images, and do not cover results with their labels and buttons.
CSS = """
.result img { image-rendering: pixelated; }
.result .image-container { padding-top: 2rem; }
"""


def user_errors_as_dialogs(function):
    """Decorate a function so that its errors are shown on the page."""

    @functools.wraps(function)
    def wrapped(*arguments):
        try:
            return function(*arguments)
        except UserError as error:
            raise gradio.Error(str(error), print_exception=False) from None
        except (MemoryError, tf.errors.ResourceExhaustedError):
            raise gradio.Error("not enough memory: choose fewer pixels or images.") from None

    return wrapped


def build_page(runs=(), only_runs=False):
    """Build the page, a `gradio.Blocks`.

    Args:
        runs: Models that `load` takes, in addition to the pretrained presets.
        only_runs: True to leave out the pretrained presets and `gatys`.

    Raises:
        UserError: A run cannot be loaded.
    """
    models = find_models(runs, only_runs)
    autoencoders = [source for source in models["generate"] if load_cached(source).encodes]
    tabs = [  # (name, its models, function that fills it)
        ("Sample", models["generate"], sample_tab),
        ("Interpolate", models["generate"], interpolate_tab),
        ("Reconstruct", autoencoders, reconstruct_tab),
        ("Translate", models["translate"], translate_tab),
        ("Stylize", models["stylize"], stylize_tab),
    ]
    tabs = [tab for tab in tabs if tab[1]]
    # Open the tab of the first run.
    selected = next((name for name, sources, _ in tabs if [*runs][:1] == sources[:1]), tabs[0][0])
    delete_cache = (KEEP_SECONDS // 10, KEEP_SECONDS)
    with gradio.Blocks(
        title="tfgan_zoo", analytics_enabled=False, delete_cache=delete_cache
    ) as blocks:
        blocks.examples_folder = tempfile.TemporaryDirectory()
        gradio.Markdown(
            "# tfgan_zoo\nClassic image-generating networks, computed by the server of this page. "
            f"[Source code and documentation]({REPOSITORY})"
        )
        with gradio.Tabs(selected=selected, overflow_behavior="wrap"):
            for name, sources, fill in tabs:
                with gradio.Tab(name, id=name):
                    fill(blocks, sources)
    return blocks


def docs_link(text, page):
    """Return a link to a page of the documentation, as Markdown."""
    return f"[{text}]({REPOSITORY}/blob/main/docs/{page})"


def model_choice(sources, tab):
    """Add the choice of a model, and its description.

    Returns:
        The dropdown. Its event `input` updates the description.
    """
    source = gradio.Dropdown(
        sources, value=sources[0], label="model", filterable=False, elem_id=f"{tab}-model"
    )
    text = gradio.Markdown(describe(sources[0]), elem_id=f"{tab}-description")
    source.input(describe, source, text, show_progress="hidden", api_visibility="private")
    return source


def class_choice(source, label, with_all=False, value=0, name=None):
    """Return a choice of the classes of a model, which is hidden for an unconditional model.

    Args:
        source: Name of a model.
        label: Label of the element.
        with_all: True to offer all classes as the first choice.
        value: Class that is chosen at first.
        name: Id of the element.
    """
    model = load_cached(source)
    names = model.class_names or map(str, range(model.classes))
    choices = [(name, number) for number, name in enumerate(names)]
    value = min(value, max(model.classes - 1, 0))
    if with_all:
        choices.insert(0, ("all", ALL_CLASSES))
    return gradio.Dropdown(
        choices or [("none", value)],  # a hidden value must be a choice, too
        value=value,
        label=label,
        visible=bool(model.classes),
        filterable=False,
        elem_id=name,
    )


def code_sliders(source):
    """Return sliders that change a code; those without a dimension of the code are hidden."""
    dimensions = code_dimensions(source)
    labels = [f"change of z[{dimension}]" for dimension in dimensions]
    labels += [""] * (NUM_CODE_SLIDERS - len(dimensions))
    return [gradio.Slider(-3, 3, 0, step=0.1, label=text, visible=bool(text)) for text in labels]


def output_image(name, label, **options):
    """Return an image element for a result."""
    return gradio.Image(
        elem_id=name,
        elem_classes="result",
        format="png",
        interactive=False,
        label=label,
        buttons=["download", "fullscreen"],
        **options,
    )


def upload(label, **options):
    """Return an image element that passes on the path of the uploaded file.

    Gradio would decode the file, and show its own message if that fails.
    """
    image = gradio.Image(label=label, type="filepath", sources=UPLOAD_SOURCES, **options)

    def preprocess(payload):
        if payload is None or not payload.path:
            return None
        check_upload(payload.path, image.GRADIO_CACHE)
        return payload.path

    image.preprocess = user_errors_as_dialogs(preprocess)
    return image


def image_editor(label, side, brush, **options):
    """Return an image editor that checks the images of a drawing before it decodes them."""
    editor = gradio.ImageEditor(
        label=label,
        brush=brush,
        type="numpy",
        image_mode="RGBA",
        layers=False,
        canvas_size=(side, side),
        format="png",
        transforms=(),
        **options,
    )
    convert = editor.preprocess

    def preprocess(drawing):
        if drawing is None:
            return None
        for file in (drawing.background, drawing.composite, *drawing.layers):
            if file is not None:
                check_upload(file.path, editor.GRADIO_CACHE)
        return convert(drawing.model_copy(update={"id": None}))

    editor.preprocess = user_errors_as_dialogs(preprocess)
    # This page uploads a drawing as files. Remove Gradio's second way, which has no limits.
    editor.accept_blobs, editor.server_fns = None, []
    return editor


def example_files(blocks, images):
    """Write images to the page's folder of examples.

    Args:
        blocks: The page.
        images: {name: uint8 (h, w, 3)}.

    Returns:
        The paths of the files.
    """
    paths = []
    for name, image in images.items():
        paths.append(os.path.join(blocks.examples_folder.name, f"{name}.png"))
        Image.fromarray(image).save(paths[-1])
    return paths


def examples(component, paths):
    """Add thumbnails of image files. The component gets the file that is clicked."""
    name = f"{component.elem_id}-examples"
    gradio.Examples([[path] for path in paths], component, label="examples", elem_id=name)


def live(function, triggers, inputs, outputs, api_name=None):
    """Call a function whenever a control changes. Only the latest of several changes counts."""
    return gradio.on(
        triggers,
        user_errors_as_dialogs(function),
        inputs,
        outputs,
        trigger_mode="always_last",
        show_progress="hidden",
        **({"api_name": api_name} if api_name else {"api_visibility": "private"}),
    )


def update(event, function, inputs, outputs):
    """Call a function that changes controls after an event."""
    return event(
        user_errors_as_dialogs(function),
        inputs,
        outputs,
        show_progress="hidden",
        api_visibility="private",
    )


def sample_tab(blocks, sources):
    with gradio.Row():
        with gradio.Column():
            source = model_choice(sources, "sample")
            label = class_choice(sources[0], "class", True, ALL_CLASSES, "sample-class")
            count = gradio.Slider(1, 100, 40, step=1, label="number of images", elem_id="count")
            seed = gradio.Slider(0, 1000, 0, step=1, label="seed", elem_id="sample-seed")
            button = gradio.Button("New images", variant="primary")
            gradio.Markdown(
                "In the terminal: `tfgan-zoo sample MODEL -o images.png`, examples: "
                + docs_link("gallery", "gallery.md")
            )
        output = output_image("samples", "generated images")
    inputs = [source, label, count, seed]
    live(
        sample,
        [label.input, count.input, seed.input, blocks.load],
        inputs,
        output,
        "sample",
    )
    chosen = update(
        source.input,
        lambda source: class_choice(source, "class", True, ALL_CLASSES, "sample-class"),
        source,
        label,
    )
    new_seed = update(button.click, random_seed, None, seed)
    for event in (chosen, new_seed):
        update(event.then, sample, inputs, output)


def random_seed():
    return int(np.random.default_rng().integers(1001))


def interpolate_tab(blocks, sources):
    with gradio.Row():
        with gradio.Column():
            source = model_choice(sources, "interpolate")
            with gradio.Row():
                first = class_choice(sources[0], "first class", value=3, name="first-class")
                last = class_choice(sources[0], "last class", value=8, name="last-class")
            seed = gradio.Slider(0, 1000, 0, step=1, label="seed", elem_id="interpolate-seed")
            step = 1 / (INTERPOLATION_STEPS - 1)
            position = gradio.Slider(0, 1, 0.5, step=step, label="position", elem_id="position")
        with gradio.Column():
            outputs = [
                output_image("step", "image at the position"),
                output_image("steps", "interpolation"),
            ]
            gradio.Markdown("Change the code z in the dimensions with the largest effect:")
            with gradio.Group(elem_id="interpolate-code"):
                sliders = code_sliders(sources[0])
    gradio.Markdown(
        "In the terminal: `tfgan-zoo interpolate MODEL -o latent.gif` and, between two classes, "
        "`--labels 3,8`"
    )
    inputs = [source, seed, first, last, position, *sliders]
    controls = [control.input for control in inputs[1:]]
    live(interpolation_step, [*controls, blocks.load], inputs, outputs, "interpolate")

    def settings(source):
        return (
            class_choice(source, "first class", value=3, name="first-class"),
            class_choice(source, "last class", value=8, name="last-class"),
            *code_sliders(source),
        )

    chosen = update(source.input, settings, source, [first, last, *sliders])
    update(chosen.then, interpolation_step, inputs, outputs)


def reconstruct_tab(blocks, sources):
    with gradio.Row():
        with gradio.Column():
            source = model_choice(sources, "reconstruct")
            label = class_choice(sources[0], "class", name="reconstruct-class")
            brush = gradio.Brush(default_size=12, colors=["#000000"], color_mode="fixed")
            # With an image at first, the brush is selected.
            paper = np.full((DRAWING_SIDE, DRAWING_SIDE, 3), 255, np.uint8)
            with_uploads = any(load_cached(source).image_shape[-1] == 3 for source in sources)
            drawing = image_editor(
                "draw a digit from 0 to 9" + ", or upload an image" * with_uploads,
                DRAWING_SIDE,
                brush,
                value=paper,
                sources=UPLOAD_SOURCES if with_uploads else (),
                elem_id="drawing",
            )
            examples(drawing, example_files(blocks, example_digits()))
            button = gradio.Button("Reconstruct", variant="primary")
        with gradio.Column():
            with gradio.Row():
                outputs = [
                    output_image("input", "input"),
                    output_image("reconstruction", "reconstruction"),
                ]
            with gradio.Column(visible=False) as changes:
                gradio.Markdown("Change the code z in the dimensions with the largest effect:")
                with gradio.Group(elem_id="reconstruct-code"):
                    sliders = code_sliders(sources[0])
    gradio.Markdown("In the terminal: `tfgan-zoo reconstruct MODEL image.png -o images.png`")
    z = gradio.State()

    def run(source, label, drawing):
        return (
            *reconstruct(source, label, drawing),
            gradio.Column(visible=True),
            *code_sliders(source),
        )

    button.click(
        user_errors_as_dialogs(run),
        [source, label, drawing],
        [*outputs, z, changes, *sliders],
        api_name="reconstruct",
    )
    inputs = [source, label, z, *sliders]
    live(decode, [slider.input for slider in sliders], inputs, outputs[1])

    # The code of one model is of no use to another one.
    def settings(source):
        return (
            class_choice(source, "class", name="reconstruct-class"),
            gradio.Column(visible=False),
            None,
        )

    update(source.input, settings, source, [label, changes, z])


def translate_tab(blocks, sources):
    colors = {name: "#{:02x}{:02x}{:02x}".format(*color) for name, color in facades.CLASSES.items()}
    legend_text = "Label colors of the brush: " + " ".join(
        f'<span style="color:{color}">&#9632;</span>&nbsp;{name}' for name, color in colors.items()
    )
    source = model_choice(sources, "translate")
    names = direction_names(sources[0])
    direction = gradio.Radio(names, value=names[0][1], label="direction", visible=len(names) > 1)
    with_labels = takes_labels(sources[0], names[0][1])
    with gradio.Row():
        with gradio.Column():
            brush = gradio.Brush(default_size=10, colors=list(colors.values()))
            value = example_house(sources[0], names[0][1])
            text = "draw, or upload an image"
            drawing = image_editor(text, SIDE, brush, value=value, elem_id="house")
            legend = gradio.Markdown(legend_text, visible=with_labels)
            with gradio.Row():
                another = gradio.Button("Another house", visible=is_trained_on_facades(sources[0]))
                button = gradio.Button("Translate", variant="primary")
        with gradio.Column():
            output = output_image("translation", "translation")
        with gradio.Column(visible=with_labels) as truth_column:
            truth = output_image("truth", "for comparison: the rule of the dataset")
    gradio.Markdown(
        "In the terminal: `tfgan-zoo translate MODEL image.png -o translated.png`, guide: "
        + docs_link("image-to-image translation", "image_to_image.md")
    )

    def inputs_of(source, direction):
        """Return the controls for a direction, with an example and without old results."""
        with_labels = takes_labels(source, direction)
        return (
            example_house(source, direction),
            gradio.Markdown(visible=with_labels),
            gradio.Button(visible=is_trained_on_facades(source)),
            None,
            None,
            gradio.Column(visible=with_labels),
        )

    def settings(source):
        names = direction_names(source)
        first = names[0][1]
        radio = gradio.Radio(names, value=first, visible=len(names) > 1)
        return radio, *inputs_of(source, first)

    def another_house(source, direction):
        index = FIRST_FACADE + int(np.random.default_rng().integers(10**6))
        image = example_house(source, direction, index)
        return image, *translate_image(source, direction, image)

    controls = [drawing, legend, another, output, truth, truth_column]
    update(source.input, settings, source, [direction, *controls])
    update(direction.input, inputs_of, [source, direction], controls)
    another.click(
        user_errors_as_dialogs(another_house),
        [source, direction],
        [drawing, output, truth],
        api_visibility="private",
    )
    button.click(
        user_errors_as_dialogs(translate),
        [source, direction, drawing],
        [output, truth],
        api_name="translate",
    )


def stylize_tab(blocks, sources):
    def options_of(source):
        """Return (True if a model takes styles, True if their strength can be changed)."""
        return takes_styles(source), takes_styles(source) and source != OPTIMIZATION_PRESET

    photographs = example_files(
        blocks, {name: builtin_images.photograph(name) for name in builtin_images.PHOTOGRAPHS}
    )
    styles = example_files(
        blocks, {name: builtin_images.style_image(name) for name in builtin_images.STYLES}
    )
    with_styles, with_strength = options_of(sources[0])
    source = model_choice(sources, "stylize")
    with gradio.Row():
        with gradio.Column():
            content = upload("photograph", value=photographs[0], height=280, elem_id="content")
            examples(content, photographs)
        with gradio.Column(visible=with_styles) as style_column:
            style = upload("style", value=styles[0], height=280, elem_id="style")
            examples(style, styles)
            with gradio.Accordion("Blend with a second style", open=False):
                second = upload("second style", height=200, elem_id="second-style")
                examples(second, styles)
                share = gradio.Slider(
                    0, 1, 0.5, step=0.05, label="share of the second style", elem_id="share"
                )
        with gradio.Column():
            size = gradio.Slider(
                128, 1024, 384, step=32, label="longer side in pixels", elem_id="size"
            )
            alpha = gradio.Slider(
                0, 1, 1, step=0.05, label="strength of the style", visible=with_strength
            )
            keeps_colors = gradio.Checkbox(label="keep the colors of the photograph")
            button = gradio.Button("Stylize", variant="primary")
            output = output_image("stylized", "stylized photograph")
    gradio.Markdown(
        "In the terminal: `tfgan-zoo stylize photo.jpg --style painting.jpg -o stylized.png`, "
        "guide: " + docs_link("style transfer", "style.md")
    )

    def settings(source):
        with_styles, with_strength = options_of(source)
        return gradio.Column(visible=with_styles), gradio.Slider(visible=with_strength)

    def run(
        source,
        content,
        style,
        second,
        share,
        size,
        alpha,
        keeps_colors,
        progress=gradio.Progress(),  # noqa: B008 (Gradio fills in this default)
    ):
        def report(fraction, text):
            progress(fraction, desc=text)

        return stylize(source, content, style, second, share, size, alpha, keeps_colors, report)

    update(source.input, settings, source, [style_column, alpha])
    inputs = [source, content, style, second, share, size, alpha, keeps_colors]
    button.click(user_errors_as_dialogs(run), inputs, output, api_name="stylize")
