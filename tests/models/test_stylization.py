"""Losses of style transfer, compared with NumPy."""

import numpy as np
import tensorflow as tf

from tfgan_zoo import losses


def test_gram_is_the_mean_of_outer_products():
    f = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype("float32")
    expected = np.mean(
        [f[:, i, j, :, None] * f[:, i, j, None, :] for i in range(3) for j in range(5)], axis=0
    )
    np.testing.assert_allclose(losses.gram_matrix(f), expected, rtol=1e-5, atol=1e-6)
    tiled = np.tile(f, (1, 2, 3, 1))  # the size does not matter
    np.testing.assert_allclose(losses.gram_matrix(tiled), expected, rtol=1e-5, atol=1e-6)
    weights = np.zeros((3, 5), "float32")
    weights[1, 2] = 1
    np.testing.assert_allclose(
        losses.gram_matrix(f, weights), f[:, 1, 2, :, None] * f[:, 1, 2, None, :], rtol=1e-5
    )


def test_the_gradient_of_gram_matrices_equals_that_of_a_plain_sum():
    f = tf.random.stateless_normal((2, 3, 4, 5), (1, 2))
    upstream = tf.random.stateless_normal((2, 5, 5), (3, 4))  # not symmetric
    gradients = []
    for gram in (losses.gram_matrix, lambda f: tf.einsum("nhwc,nhwd->ncd", f, f) / 12.0):
        with tf.GradientTape() as tape:
            tape.watch(f)
            total = tf.reduce_sum(gram(f) * upstream)
        gradients.append(tape.gradient(total, f))
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-6)


def test_relative_error_by_hand():
    assert float(losses.relative_error([1.0, 2.0], [1.0, 2.0])) == 0
    assert float(losses.relative_error([0.0, 0.0], [3.0, 4.0])) == 1
    np.testing.assert_allclose(losses.relative_error([1.0, 5.0], [3.0, 4.0]), 5 / 25)
    np.testing.assert_allclose(losses.relative_error([10.0, 50.0], [30.0, 40.0]), 5 / 25)


def test_total_variation_by_hand():
    image = np.array([[1, 4], [3, 3], [0, 7]], "float32")[None, ..., None]
    np.testing.assert_allclose(
        losses.total_variation(image), (4 + 1 + 9 + 16) / 4 + (9 + 0 + 49) / 3
    )


def test_adain_has_the_styles_moments():
    random = np.random.default_rng(0)
    x, y = random.normal(2, 3, (2, 5, 7, 4)), random.normal(-1, 0.5, (2, 6, 3, 4))
    t = adain.adain(tf.constant(x), tf.constant(y)).numpy()
    np.testing.assert_allclose(t.mean((1, 2)), y.mean((1, 2)), atol=1e-6)
    np.testing.assert_allclose(t.std((1, 2)), y.std((1, 2)), rtol=1e-4)
    wanted = (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True) * y.std(
        (1, 2), keepdims=True
    ) + y.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(t, wanted, atol=1e-4)


# --- networks


@pytest.mark.parametrize(
    ("width", "blocks", "count"), [(32, 5, 1_679_235), (16, 5, 424_899), (8, 5, 108_771)]
)
def test_johnsons_network_has_its_parameters(width, blocks, count):
    network = fast_style.generator(FastStyleConfig(width=width, blocks=blocks))
    assert sum(math.prod(v.shape) for v in network.trainable_variables) == count
    assert network(np.zeros((1, 32, 48, 3), "float32")).shape == (1, 32, 48, 3)


def test_decoder_and_vgg19_have_their_parameters():
    assert adain.decoder((64, 128, 256, 512)).count_params() == 3_505_219
    encoder = load_perceptual_network("random", adain.LAYERS, width=64).network
    assert encoder.count_params() == 3_505_728 and not encoder.trainable_variables
    assert (
        load_perceptual_network("random", ["block5_conv2"], width=64).network.count_params()
        == 15_304_768
    )  # no deeper than needed


def test_random_weights_are_always_the_same_and_keep_the_scale():
    first, again = (load_perceptual_network("random", STYLE_LAYERS, width=16) for _ in range(2))
    assert first.sha256 == again.sha256
    image = transforms.to_float(builtin_images.photograph("flower")[:64, :64])[None]
    powers = [float(tf.reduce_mean(tf.square(found))) for found in first(image).values()]
    assert max(powers) / min(powers) < 20  # He's variance neither fades nor explodes


def test_vgg19_takes_what_caffe_gave_it():
    # (128, 0, 255) in RGB 0 ... 255 is BGR less the mean of ImageNet
    image = np.array([128, 0, 255], np.float32)[None, None, None] / 127.5 - 1
    np.testing.assert_allclose(
        caffe_preprocess(image)[0, 0, 0], [255 - 103.939, 0 - 116.779, 128 - 123.68], atol=1e-4
    )


def test_vgg19_is_kerass_vgg19_but_for_the_borders(tmp_path):
    reference = keras.applications.VGG19(include_top=False, weights=None)
    reference.save_weights(tmp_path / "vgg19.weights.h5")
    ours = load_perceptual_network(tmp_path / "vgg19.weights.h5", ["block1_conv1", "block3_conv1"])
    image = np.random.default_rng(0).uniform(-1, 1, (1, 64, 80, 3)).astype("float32")
    inputs = keras.applications.vgg19.preprocess_input(np.round((image + 1) * 127.5, 4))
    for layer, found in ours(image).items():
        wanted = keras.Model(reference.input, reference.get_layer(layer).output)(inputs)
        assert found.shape == wanted.shape
        inner = (slice(None), slice(5, -5), slice(5, -5))  # where no zeros are seen
        np.testing.assert_allclose(found[inner], wanted[inner], rtol=1e-3, atol=1e-2)
        assert np.abs(found - wanted).max() > 1


def test_any_keras_model_with_the_layers_will_do(tmp_path):
    x = image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="block1_conv1")(x)
    x = keras.layers.MaxPooling2D(2, name="pool")(x)
    x = keras.layers.Conv2D(5, 3, padding="same", activation="relu", name="block2_conv1")(x)
    network = keras.Model(image, x)
    network.save(tmp_path / "net.keras")
    images = np.random.default_rng(0).uniform(-1, 1, (1, 8, 8, 3)).astype("float32")
    found = load_perceptual_network(tmp_path / "net.keras", ["block2_conv1", "block1_conv1"])(
        images
    )
    np.testing.assert_allclose(
        found["block2_conv1"], network((images + 1) / 2), rtol=1e-5
    )  # which takes [0, 1]
    averaged = load_perceptual_network(
        tmp_path / "net.keras", ["block1_conv1", "block2_conv1"], "average"
    )(images)
    np.testing.assert_allclose(averaged["block1_conv1"], found["block1_conv1"], rtol=1e-5)
    pooled = averaged["block1_conv1"].numpy().reshape(1, 4, 2, 4, 2, 4).mean((2, 4))
    np.testing.assert_allclose(
        averaged["block2_conv1"], network.layers[-1](pooled), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    ("weights", "layers", "message"),
    [
        ("random", ["block6_conv1"], "a layer must be one of"),
        (
            "nothing.h5",
            ["block1_conv1"],
            "features must be random, small, imagenet, a .keras model or a .h5 file",
        ),
        (
            "nothing.keras",
            ["block1_conv1"],
            "there is no such file of a network, received features='nothing.keras'",
        ),
    ],
)
def test_wrong_networks_are_refused(weights, layers, message):
    with pytest.raises(UserError, match=message):
        load_perceptual_network(weights, layers)


# --- the picture


def test_gradient_is_the_slope():
    start = np.clip(
        transforms.to_float(PICTURE)[None]
        + np.random.default_rng(0).normal(0, 0.3, (1, 48, 64, 3)),
        -1,
        1,
    ).astype("float32")
    config = dataclasses.replace(SMALL, pooling="average", content_weight=1.0)
    model = transfer(config=config, start=start)
    values, gradient = model.value_and_gradient(tf.constant(start))
    towards = gradient / np.linalg.norm(
        gradient
    )  # where the slope is far above the rounding errors
    step = 1e-2
    ends = [
        float(model.value_and_gradient(tf.constant(start + sign * step * towards))[0]["image"])
        for sign in (1, -1)
    ]
    np.testing.assert_allclose(
        (ends[0] - ends[1]) / (2 * step), np.sum(gradient * towards), rtol=0.02
    )
    weighed = (
        config.content_weight * values["content"]
        + config.style_weight * values["style"]
        + config.variation_weight * values["variation"]
    )
    np.testing.assert_allclose(values["image"], weighed, rtol=1e-6)


def test_losses_by_numpy():
    start = tf.clip_by_value(transforms.to_float(PICTURE)[None] + 0.2, -1, 1)
    values, _ = transfer(start=start).value_and_gradient(start)
    network = look()
    found, kept, wanted = (
        {layer: value.numpy().astype(np.float64) for layer, value in network(image).items()}
        for image in (start, transforms.to_float(PICTURE)[None], transforms.to_float(STYLE)[None])
    )

    def gram(f):
        return np.einsum("nhwi,nhwj->nij", f, f) / (f.shape[1] * f.shape[2])

    def error(a, b):
        return np.mean((a - b) ** 2) / np.mean(b**2)

    style = np.mean([error(gram(found[layer]), gram(wanted[layer])) for layer in STYLE_LAYERS])
    np.testing.assert_allclose(values["style"], style, rtol=1e-4)
    np.testing.assert_allclose(
        values["content"], error(found[CONTENT_LAYERS[0]], kept[CONTENT_LAYERS[0]]), rtol=1e-4
    )


@pytest.mark.parametrize("masked", [False, True])
def test_gradient_in_tiles_is_that_of_the_whole(masked):
    """Of a picture of several tiles, whose sides the strides do not divide."""
    content = builtin_images.photograph("china")[:230, :309]
    start = np.clip(
        transforms.to_float(content)[None]
        + np.random.default_rng(0).normal(0, 0.2, (1, 230, 309, 3)),
        -1,
        1,
    ).astype("float32")
    options = {"styles": [STYLE, builtin_images.style_image("strokes", 80)]}
    options |= (
        {"masks": [np.tri(230, 309, dtype=np.float32), 1 - np.tri(230, 309, dtype=np.float32)]}
        if masked
        else {}
    )
    whole, tiled = (transfer(content, start=start, tile=tile, **options) for tile in (0, 64))
    assert len(whole.parts) == 1 and len(tiled.parts) == 20
    (values, gradient), (values_tiled, gradient_tiled) = (
        model.value_and_gradient(tf.constant(start)) for model in (whole, tiled)
    )
    for name in values:
        np.testing.assert_allclose(values_tiled[name], values[name], rtol=1e-4)
    np.testing.assert_allclose(gradient_tiled, gradient, atol=1e-5 * np.abs(gradient).max())


def test_two_styles_pull_as_their_blend_does():
    """The gradient of the weighted sum of two styles' errors, each divided by the blend's power, is that towards the blended matrices."""
    a, b = STYLE, builtin_images.style_image("strokes", 64)
    start = transforms.to_float(PICTURE)[None]
    config = dataclasses.replace(SMALL, content_weight=0.0, variation_weight=0.0, style_weight=1.0)
    _, gradient = transfer(styles=[a, b], config=config, style_weights=[3, 1]).value_and_gradient(
        start
    )
    network = look()
    grams = [
        [
            losses.gram_matrix(network(transforms.to_float(style)[None])[layer])
            for layer in STYLE_LAYERS
        ]
        for style in (a, b)
    ]
    with tf.GradientTape() as tape:
        tape.watch(start)
        found = [losses.gram_matrix(network(start)[layer]) for layer in STYLE_LAYERS]
        total = 0.0
        for f, g, h in zip(found, *grams, strict=True):
            scale = tf.reduce_mean(tf.square(0.75 * g + 0.25 * h))
            total += (
                (0.75 * tf.reduce_mean(tf.square(f - g)) + 0.25 * tf.reduce_mean(tf.square(f - h)))
                / scale
                / len(found)
            )
    np.testing.assert_allclose(
        gradient, tape.gradient(total, start), rtol=1e-3, atol=1e-4 * np.abs(gradient).max()
    )


def test_a_mask_keeps_a_style_in_its_place():
    """Only pixels near the region feel its style."""
    masks = [np.zeros((256, 64), np.float32)]
    masks[0][:64] = 1
    content = np.ascontiguousarray(builtin_images.photograph("china")[:256, :64])
    config = dataclasses.replace(SMALL, content_weight=0.0, variation_weight=0.0)
    _, gradient = transfer(content, config=config, masks=masks).value_and_gradient(
        transforms.to_float(content)[None]
    )
    assert np.abs(gradient[0, :64]).max() > 0
    assert np.abs(gradient[0, 64 + 96 :]).max() == 0


def test_lbfgs_beats_adam_and_both_descend():
    ends = {}
    for optimizer in ("lbfgs", "adam"):
        config = dataclasses.replace(SMALL, optimizer=optimizer, iterations=30, smallest=64)
        begin = float(
            transfer(config=config).value_and_gradient(transforms.to_float(PICTURE)[None])[0][
                "image"
            ]
        )
        painting = transfer_style(PICTURE, [STYLE], config)
        ends[optimizer] = painting.losses["image"] / begin
        assert (
            painting.finished
            and painting.picture.shape == PICTURE.shape
            and painting.picture.dtype == np.uint8
        )
    assert ends["lbfgs"] < 0.8 * ends["adam"] < 0.2


def test_keras_fit_moves_the_picture_too():
    model = transfer()
    model.compile(xla="off")
    before = model.canvas.pixels.numpy()
    history = model.fit(
        tf.data.Dataset.from_tensors(0).repeat(),
        steps_per_epoch=5,
        epochs=2,
        verbose=0,
        shuffle=False,
    ).history
    assert history["image"][1] < history["image"][0]
    assert np.abs(model.canvas.pixels.numpy()).max() <= 1
    assert np.abs(model.canvas.pixels.numpy() - before).max() > 0.01


def test_sizes_grow_by_the_square_root_of_two():
    assert pyramid_sizes((300, 512), 128) == [
        (75, 128),
        (106, 181),
        (150, 256),
        (212, 362),
        (300, 512),
    ]
    assert pyramid_sizes((100, 120), 128) == [(100, 120)]
    assert pyramid_sizes((40, 512), 128) == [(40, 512)]  # no side is ever below 32


@pytest.mark.parametrize("init", ["content", "noise", "style"])
def test_painting_is_a_function_of_its_arguments(init):
    config = dataclasses.replace(SMALL, init=init)
    first, again, other = (
        transfer_style(PICTURE, [STYLE], config, seed=seed).picture for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == (init != "noise")


def test_lbfgs_finds_what_scipy_finds():
    """The lowest point of a bowl within the borders, some pixels of which would be outside."""
    random = np.random.default_rng(0)
    slopes, middle = (
        random.uniform(0.5, 50, (1, 4, 5, 3)).astype("float32"),
        random.normal(0, 1, (1, 4, 5, 3)).astype("float32"),
    )

    class Bowl:
        start = tf.zeros((1, 4, 5, 3))

        def value_and_gradient(self, x):
            away = x - middle
            return {
                "image": tf.reduce_sum(slopes * away**2 + 0.1 * away**4)
            }, slopes * 2 * away + 0.4 * away**3

    *_, (found, losses) = (step for _, step in zip(range(60), lbfgs(Bowl()), strict=False))

    def of(flat):
        values, gradient = Bowl().value_and_gradient(
            tf.constant(flat.reshape(middle.shape), tf.float32)
        )
        return float(values["image"]), np.asarray(gradient, np.float64).ravel()

    options = {"ftol": 1e-14, "gtol": 1e-10}
    wanted = scipy.optimize.minimize(
        of,
        np.zeros(60),
        jac=True,
        method="L-BFGS-B",
        bounds=scipy.optimize.Bounds(-1, 1),
        options=options,
    )
    assert np.abs(middle).max() > 1.5
    np.testing.assert_allclose(found.ravel(), wanted.x, atol=2e-3)
    np.testing.assert_allclose(losses["image"], wanted.fun, rtol=1e-5)


def test_interrupted_painting_keeps_the_best_and_goes_on(tmp_path):
    seen = []

    def interrupt(size, iterations, iteration, found):
        seen.append((size, iteration, found["image"]))
        if len(seen) == 9:
            raise KeyboardInterrupt

    painting = transfer_style(PICTURE, [STYLE], SMALL, folder=tmp_path, progress=interrupt)
    assert not painting.finished
    assert [each[:2] for each in seen[5:7]] == [((34, 45), 6), ((48, 64), 1)]
    (own,) = tmp_path.iterdir()
    assert sorted(path.name for path in own.iterdir()) == ["45x34.png", "64x48.png", "state.npz"]
    as_it_was = transforms.to_float(painting.picture)[None]  # rounded to 8 bits
    np.testing.assert_allclose(
        transfer().value_and_gradient(as_it_was)[0]["image"], painting.losses["image"], rtol=0.05
    )
    later = []
    finished = transfer_style(
        PICTURE,
        [STYLE],
        SMALL,
        folder=tmp_path,
        progress=lambda *told: later.append((told[0], told[2])),
    )
    assert (
        finished.finished
        and [each[1] for each in later] == [4, 5, 6]
        and finished.losses["image"] < painting.losses["image"]
    )
    again = transfer_style(PICTURE, [STYLE], SMALL, folder=tmp_path)  # nothing is left to do
    np.testing.assert_array_equal(again.picture, finished.picture)
    transfer_style(PICTURE[:32, :32], [STYLE], SMALL, folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2  # another painting has a folder of its own


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style_weights": [1, 2]}, "1 styles need as many weights"),
        ({"style_weights": [-1]}, "at least 0"),
        ({"style_scale": 0}, "style_scale must be between 0.05 and 20, received style_scale=0"),
        ({"tile": 100}, "a tile must be a multiple of 16 pixels, received tile=100"),
        ({"masks": []}, "every style needs a mask"),
        ({"masks": [np.ones((3, 3), np.uint8)]}, "a mask must have the content's size"),
        ({"masks": [np.zeros((48, 64), np.uint8)]}, "black all over"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        transfer_style(PICTURE, [STYLE], SMALL, **options)


# --- colours


def test_kept_colours_have_the_pictures_brightness_and_the_contents_hue():
    other = builtin_images.style_image("strokes", 64)[:48]
    kept = keep_colors(other, PICTURE)
    np.testing.assert_allclose(kept @ LUMA, other @ LUMA, atol=1.1)
    np.testing.assert_array_equal(keep_colors(PICTURE, PICTURE), PICTURE)
    red = np.full((2, 2, 3), (200, 20, 20), np.uint8)
    assert (np.diff(keep_colors(np.full((2, 2, 3), 90, np.uint8), red)[0, 0].astype(int)) < 0)[0]


def test_matched_colours_have_mean_and_covariance():
    random = np.random.default_rng(0)
    image = random.normal(120, 15, (60, 70, 3)) @ [[1, 0.2, 0], [0, 1, 0], [0.3, 0, 0.8]]
    image, target = (
        np.clip(image, 0, 255).astype(np.uint8),
        np.clip(random.normal((90, 120, 150), (10, 20, 5), (50, 50, 3)), 0, 255).astype(np.uint8),
    )
    matched = match_color_statistics(image, target).reshape(-1, 3)
    np.testing.assert_allclose(matched.mean(0), target.reshape(-1, 3).mean(0), atol=0.3)
    np.testing.assert_allclose(
        np.cov(matched, rowvar=False), np.cov(target.reshape(-1, 3), rowvar=False), atol=3
    )


def test_a_colour_profile_is_turned_into_srgb(tmp_path):
    """A linear profile: its grey of 55 is as bright as sRGB's 128."""
    linear = tmp_path / "linear.png"
    profile = linear_profile()
    Image.new("RGB", (4, 4), (55, 55, 55)).save(linear, icc_profile=profile)
    assert np.abs(image_folder.read_image(linear, 3).astype(int) - 128).max() <= 2
    Image.new("RGBA", (4, 4), (55, 55, 55, 7)).save(linear, icc_profile=profile)
    assert (
        np.abs(image_folder.read_image(linear, 4)[0, 0].astype(int) - (128, 128, 128, 7)).max() <= 2
    )
    Image.new("RGB", (4, 4), (55, 55, 55)).save(
        linear, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    )
    assert np.abs(image_folder.read_image(linear, 3).astype(int) - 55).max() <= 1
    Image.new("RGB", (4, 4), (55, 55, 55)).save(linear, icc_profile=b"no profile")
    np.testing.assert_array_equal(image_folder.read_image(linear, 3), 55)


def linear_profile():
    """An sRGB profile with its curves, where it keeps them, replaced by the straight line; it goes on to have sRGB in its name."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for i in range(int.from_bytes(profile[128:132])):
        entry = profile[132 + 12 * i : 144 + 12 * i]
        place = int.from_bytes(entry[4:8])
        if entry[:4] in (b"rTRC", b"gTRC", b"bTRC"):
            profile[place : place + 12] = b"curv" + bytes(8)
    return bytes(profile).replace(
        "sRGB built-in".encode("utf-16-be"), "sRGB linear-1".encode("utf-16-be")
    )


# --- files and the command


def negative(content, recolour):
    return 255 - content, {"told": 1}


def test_all_kinds_of_pictures_are_stylised(tmp_path):
    rgb = Image.fromarray(PICTURE)
    alpha = Image.fromarray(np.linspace(0, 255, 48 * 64).reshape(48, 64).astype(np.uint8))
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    folder = tmp_path / "in"
    folder.mkdir()
    rgb.save(folder / "a.jpg", exif=exif(6))
    rgb.convert("L").save(folder / "grey.png")
    rgba.save(folder / "alpha.png")
    rgba.convert("LA").save(folder / "grey_alpha.png")
    Image.fromarray(PICTURE[..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    rgb.convert("P").save(folder / "palette.gif")
    (folder / "broken.png").write_bytes(b"no picture")
    result = stylize(negative, [folder], tmp_path / "out")
    assert [each["input"] for each in result["failed"]] == [str(folder / "broken.png")]
    assert all(each["told"] == 1 for each in result["stylized"])
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a.jpg", "alpha.png", "deep.png", "grey.png", "grey_alpha.png", "palette.png"]
    out = {name: Image.open(tmp_path / "out" / name) for name in names}
    assert out["a.jpg"].size == (48, 64)  # turned upright
    assert {name: out[name].mode for name in names} == dict.fromkeys(names, "RGB") | {
        "alpha.png": "RGBA",
        "grey_alpha.png": "RGBA",
    }
    np.testing.assert_array_equal(np.asarray(out["alpha.png"])[..., 3], alpha)
    np.testing.assert_array_equal(np.asarray(out["deep.png"])[..., 1], 255 - PICTURE[..., 0])
    opaque = np.asarray(alpha) == 255
    np.testing.assert_array_equal(
        np.asarray(out["alpha.png"])[opaque][:, :3], 255 - PICTURE[opaque]
    )
    flat = stylize(negative, [folder / "alpha.png"], tmp_path / "flat.jpg")["stylized"][0]
    assert Image.open(flat["output"]).mode == "RGB"  # which cannot hold it


def exif(orientation):
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def test_size_and_embedded_names(tmp_path):
    result = stylize(negative, ["china"], tmp_path / "out.png", size=100)
    assert result["stylized"] == [
        {
            "input": "china",
            "output": str(tmp_path / "out.png"),
            "width": 100,
            "height": 67,
            "told": 1,
        }
    ]
    assert Image.open(tmp_path / "out.png").size == (100, 67)
    with pytest.raises(UserError, match="already there"):
        stylize(negative, ["flower"], tmp_path / "out.png")


@pytest.mark.parametrize("colour", COLOR_MODES)
def test_colours_of_files(colour, tmp_path):
    given = []

    def painter(content, recolour):
        given.append(recolour(STYLE))
        return 255 - content, {}

    Image.fromarray(PICTURE).save(tmp_path / "in.png")
    stylize(painter, [tmp_path / "in.png"], tmp_path / "out.png", colour=colour)
    out = np.asarray(Image.open(tmp_path / "out.png"))
    if colour == "keep":
        np.testing.assert_array_equal(out, keep_colors(255 - PICTURE, PICTURE))
    else:
        np.testing.assert_array_equal(out, 255 - PICTURE)
    matched = {
        "match": match_color_statistics(STYLE, PICTURE),
        "histogram": histogram_matcher([PICTURE])(STYLE),
    }
    np.testing.assert_array_equal(given[0], matched.get(colour, STYLE))


def test_styles_by_name_and_file(tmp_path):
    np.testing.assert_array_equal(
        load_style_image("strokes", 64), builtin_images.style_image("strokes", 64)
    )
    Image.fromarray(PICTURE).save(tmp_path / "p.png")
    np.testing.assert_array_equal(load_style_image(str(tmp_path / "p.png")), PICTURE)
    assert load_style_image(str(tmp_path / "p.png"), 128).shape == (96, 128, 3)
    with pytest.raises(
        UserError,
        match="a style must be a picture, or one of mosaic, strokes, hatching, received 'nothing.jpg'",
    ):
        load_style_image("nothing.jpg")


def test_command_by_optimisation(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    quick = ["--size", "48", "--iterations", "3", "--style-weight", "5"]
    assert (
        cli.main(
            [
                "stylize",
                "china",
                "--style",
                "mosaic",
                "strokes",
                "--style-weights",
                "2,1",
                *quick,
                "--json",
            ]
        )
        == 0
    )
    captured = capsys.readouterr()
    (made,) = json.loads(captured.out)["stylized"]
    assert (
        made["width"] == 48
        and made["finished"]
        and set(made["losses"]) == {"image", "style", "content", "variation"}
    )
    assert "random weights" not in captured.err and "GiB of memory" in captured.err
    assert (
        cli.main(
            [
                "stylize",
                "china",
                "--style",
                "mosaic",
                *quick,
                "--features",
                "random",
                "-o",
                "random.png",
            ]
        )
        == 0
    )
    assert (
        "random features capture little of a style: try --features small" in capsys.readouterr().err
    )
    assert Image.open("stylized.png").size == (48, 32)
    assert (
        cli.main(["stylize", "china", "--style", "mosaic", *quick, "--scores", "--overwrite"]) == 0
    )
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[:-1]]
    assert [row[1] for row in rows] == ["picture", "content", "style"]
    of_picture, of_content, of_style = (float(row[-5]) for row in rows)
    assert of_style < of_picture < of_content
    assert cli.main(["train", "gatys"]) == cli.main(["evaluate", "gatys"]) == 2
    assert (
        capsys.readouterr().err.count(
            "there is nothing to train: use tfgan-zoo stylize --preset gatys"
        )
        == 2
    )
    for wrong, message in (
        (["china"], "add --style"),
        (["china", "--style", "mosaic", "-o", "x.png", "--alpha", "0.5"], "--alpha is for adain"),
        (["china", "--style", "nothing.png", "-o", "x.png"], "a style must be a picture"),
        (["nothing.png", "--style", "mosaic", "-o", "x.png", *quick], "there is no such picture"),
        (
            ["china", "--style", "mosaic", "-o", "x.png", "--features", "no.keras", *quick],
            "there is no such file of a network",
        ),
        (
            ["china", "--preset", "dcgan_mnist", "--style", "mosaic", "-o", "x.png"],
            "generates images from noise: use tfgan-zoo sample",
        ),
        (
            ["china", "--style", "mosaic", "--preset", "dcgan_mnist", "--iterations", "3"],
            "--iterations is for --preset gatys",
        ),
    ):
        assert cli.main(["stylize", *wrong]) == 2, wrong
        assert message in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()


def test_interrupt_keeps_the_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lbfgs = style_transfer.lbfgs

    def interrupted(model):
        for i, step in enumerate(lbfgs(model)):
            if i == 2:
                raise KeyboardInterrupt
            yield step

    monkeypatch.setattr(style_transfer, "lbfgs", interrupted)
    assert (
        cli.main(["stylize", "china", "flower", "--style", "mosaic", "--size", "48", "-o", "out"])
        == 130
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == [
        "china.png"
    ]  # the other one was not begun
    stylized = np.asarray(Image.open("out/china.png")).astype(int)
    content = transforms.resize_longer_side(builtin_images.photograph("china"), 48)
    assert stylized.shape == content.shape and np.abs(stylized - content).mean() > 2


def test_masks_and_tiles_and_folders_by_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    left = np.zeros((100, 150), np.uint8)
    left[:, :75] = 255
    Image.fromarray(left).save("left.png")
    Image.fromarray(255 - left).save("right.png")
    Image.fromarray(PICTURE[:20, :20]).save("tiny.png")
    quick = [
        "--style",
        "mosaic",
        "strokes",
        "--mask",
        "left.png",
        "right.png",
        "--iterations",
        "2",
        "--tile",
        "32",
    ]
    made = [
        "stylize",
        "china",
        "tiny.png",
        "flower",
        *quick,
        "--size",
        "48",
        "--work-dir",
        "work",
        "-o",
        "out",
    ]
    Image.fromarray(PICTURE[:10, :40]).save("tiny.png")
    assert cli.main(made) == 0
    assert (
        "tiny.png was not stylized (a picture must have at least 32 pixels to each side, received 48x12)"
        in capsys.readouterr().err
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["china.png", "flower.png"]
    assert len(list((tmp_path / "work").iterdir())) == 2
    assert (
        cli.main(["stylize", "china", "--style", "mosaic", "--mask", "nothing.png", "-o", "x.png"])
        == 2
    )
    assert "--mask must be a readable image file, got nothing.png" in capsys.readouterr().err


def test_memory_grows_with_the_picture_until_it_goes_in_tiles():
    network = look()
    small, large, tiled = (
        estimate_memory([size], SMALL, network, 256)
        for size in ((128, 128), (256, 256), (2048, 2048))
    )
    whole = estimate_memory([(2048, 2048)], SMALL, network, 0)
    assert small < large < tiled < 0.6 * whole  # what is left is the history of L-BFGS


# --- trained networks


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of the tiny presets."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("fast_tiny", "adain_tiny"):
        train(
            name,
            "train.epochs=1",
            "train.evaluate_every=1",
            "train.best=style",
            run_dir=folder / name,
        )
    return folder


@pytest.mark.parametrize("name", ["fast_tiny", "adain_tiny"])
def test_networks_train_measure_export_and_stylise(name, runs, tmp_path, capsys):
    run = runs / name
    assert Image.open(run / "samples/epoch_0001.png").size[0] > 100
    assert "eval_style" in (run / "metrics.csv").read_text() and (run / "best/checkpoints").is_dir()
    card = (run / "saved_model/README.md").read_text()
    assert "tfgan-zoo stylize" in card and "CC BY 2.0" in card
    style = ["--style", "mosaic"] if name == "adain_tiny" else []
    pictures = []
    for source in (run, run / "saved_model"):
        target = tmp_path / f"{source.name}.png"
        assert (
            cli.main(
                [
                    "stylize",
                    "china",
                    "--preset",
                    str(source),
                    *style,
                    "--size",
                    "100",
                    "-o",
                    str(target),
                ]
            )
            == 0
        )
        pictures.append(np.asarray(Image.open(target)).astype(int))
    assert pictures[0].shape == (67, 100, 3) and np.abs(pictures[0] - pictures[1]).max() <= 1
    capsys.readouterr()
    assert cli.main(["evaluate", str(run), "--samples", "4", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert set(scores) == {"style", "content", "ssim"}
    assert (
        scores["style"]["baselines"]["style image"]
        < 0.5
        < scores["ssim"]["baselines"]["content image"]
        == 1
    )
    assert scores["content"]["baselines"]["content image"] == 0
    wrong = ["--style", "mosaic"] if name == "fast_tiny" else []
    assert (
        cli.main(["stylize", "china", "--preset", str(run), *wrong, "-o", str(tmp_path / "no.png")])
        == 2
    )
    assert ("has one style" if wrong else "add --style") in capsys.readouterr().err


def test_tiles_of_a_network_keep_the_size(runs, tmp_path):
    assert (
        cli.main(
            [
                "stylize",
                "china",
                "--preset",
                str(runs / "fast_tiny"),
                "--tile",
                "64",
                "--size",
                "150",
                "-o",
                str(tmp_path / "a.png"),
            ]
        )
        == 0
    )
    assert Image.open(tmp_path / "a.png").size == (150, 100)


def test_tiles_of_adain_are_normalised_alike():
    """Where a tile sees all that a value depends on, it is that of the whole."""
    model = make("adain_tiny")
    content = np.ascontiguousarray(builtin_images.photograph("flower")[:128, :256])
    whole = model.stylize(content, [STYLE])
    painter = network_stylizer(model, [STYLE], tile=160)
    tiled, _ = painter(content, lambda style: style)
    assert np.abs(tiled.astype(int) - whole).mean() < 1
    left = model.stylize(content[:, :128], [STYLE])  # by its own moments
    assert (
        np.abs(left.astype(int) - whole[:, :128]).mean()
        > np.abs(tiled[:, :128].astype(int) - whole[:, :128]).mean()
    )


def test_alpha_mixes_and_weights_choose():
    model = make("adain_tiny")
    a, b = STYLE, builtin_images.style_image("strokes", 64)
    np.testing.assert_array_equal(
        model.stylize(PICTURE, [a, b], style_weights=[1, 0]), model.stylize(PICTURE, [a])
    )
    np.testing.assert_array_equal(
        model.stylize(PICTURE, [a], alpha=0.0), model.stylize(PICTURE, [b], alpha=0.0)
    )
    assert not np.array_equal(model.stylize(PICTURE, [a]), model.stylize(PICTURE, [b]))
    for options, message in (
        ({"alpha": 1.5}, "alpha must be in"),
        ({"style_weights": [1]}, "2 styles need as many weights"),
    ):
        with pytest.raises(UserError, match=message):
            model.stylize(PICTURE, [a, b], **options)


def test_a_learning_network_comes_nearer_to_its_style():
    """In 60 steps of the tiny network the weighted loss falls by half."""
    model = make("fast_tiny", "data.limit=8")
    images = np.stack([builtin_images.photograph_crop(i, 32) for i in range(8)])
    dataset = tf.data.Dataset.from_tensors(transforms.to_float(images)).repeat()
    history = model.fit(dataset, steps_per_epoch=10, epochs=6, verbose=0, shuffle=False).history[
        "generator"
    ]
    assert history[-1] < 0.5 * history[0]


def test_scores_know_style_from_content():
    network = style_network("random", width=4)
    strokes = builtin_images.style_image("strokes", 64)[:48]
    between = np.uint8((PICTURE.astype(int) + strokes) // 2)
    pictures = {"content": PICTURE, "style": strokes, "between": between}
    of_content, of_style, mixed = style_metrics(network, pictures, PICTURE, strokes).values()
    assert of_content["content"] == 0 and of_content["ssim"] == 1 and of_style["style"] == 0
    assert 0 < mixed["style"] < of_content["style"] and 0 < mixed["content"] < of_style["content"]


def test_embedded_styles_are_drawn_alike_at_every_call():
    for name in builtin_images.STYLES:
        first = builtin_images.style_image(name, 96)
        assert first.dtype == np.uint8 and first.shape == (96, 96, 3) and first.std() > 20
        np.testing.assert_array_equal(first, builtin_images.style_image(name, 96))
        assert not np.array_equal(first, builtin_images.style_image(name, 96, seed=1))
    with pytest.raises(UserError, match="a style must be one of mosaic, strokes, hatching"):
        builtin_images.style_image("mosaik")


def test_help_needs_no_tensorflow_and_names_the_options():
    done = run_cli("stylize", "--help")
    assert done.returncode == 0 and "--style-scale" in done.stdout and "--mask" in done.stdout


def test_adain_bears_a_flat_style():
    """Its features have next to no variance, which errors are divided by."""
    model = adain.AdaIN(adain.AdaINConfig(image_size=32, features_width=4))
    x = tf.constant(np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)), tf.float32)
    losses = model.compute_losses((x, tf.ones((1, 32, 32, 3))))
    assert 0 < float(losses["decoder"]) < 1e4
