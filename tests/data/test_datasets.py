"""Data sets, folders of every kind of picture, and the stream of batches as a pure function of seed, epoch and position."""

import logging

import numpy as np
import pytest
import tensorflow as tf
from helpers import SHARED
from PIL import Image

from tfgan_zoo.config import DataConfig
from tfgan_zoo.data import image_folder, pipeline, tfds, transforms
from tfgan_zoo.data.datasets import load_images
from tfgan_zoo.errors import UserError
from tfgan_zoo.training.train import train

AUGMENTED = DataConfig(flip=True, rotate=15, zoom=0.2)


@pytest.fixture(scope="module")
def digits():
    return load_images(DataConfig(), 16, 1)


def take(source, config, count, **options):
    options = {"seed": 0, "batch_size": 64, "steps_per_epoch": 28, **options}
    return [batch.numpy() for batch in pipeline.batches(source, config, **options).take(count)]


def test_digits_are_the_real_ones(digits):
    assert len(digits) == 1797
    assert digits.images.shape == (1797, 16, 16, 1) and digits.images.dtype == np.uint8
    assert digits.labels[:10].tolist() == list(range(10))
    assert digits.images.min() == 0 and digits.images.max() == 255
    native = load_images(DataConfig(), 10, 1).images[:, 1:-1, 1:-1]
    from sklearn.datasets import load_digits

    np.testing.assert_array_equal(native[..., 0], np.round(load_digits().images * 255 / 16))
    assert digits.description == "digits: 1,797 images, 10 classes, 16x16x1, in memory"


def test_limit_channels_and_splits():
    few = load_images(DataConfig(limit=5), 16, 3)
    assert few.images.shape == (5, 16, 16, 3) and len(few.labels) == 5
    np.testing.assert_array_equal(few.images[..., 0], few.images[..., 2])
    with pytest.raises(UserError, match="digits has no test split"):
        load_images(DataConfig(split="test"), 16, 1)
    with pytest.raises(UserError, match="received 1 and model.channels=4"):
        load_images(DataConfig(), 16, 4)


@pytest.mark.parametrize("config", [DataConfig(), AUGMENTED])
def test_a_stream_started_later_is_the_rest_of_the_stream(digits, config):
    whole = take(digits, config, 60)
    later = take(digits, config, 4, first_epoch=2)
    for a, b in zip(whole[56:], later, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("config", [DataConfig(), AUGMENTED])
def test_shards_are_the_global_batch(digits, config):
    whole = take(digits, config, 3)
    shards = [take(digits, config, 3, shard=i, shards=4) for i in range(4)]
    for step in range(3):
        np.testing.assert_array_equal(
            whole[step], np.concatenate([shard[step] for shard in shards])
        )


def test_an_epoch_has_every_image_once_in_an_order_of_its_own(digits):
    options = {"batch_size": 599, "steps_per_epoch": 3, "labels": True}
    labelled = list(pipeline.batches(digits, DataConfig(), 0, **options).take(6))
    epochs = [
        np.concatenate([x.numpy() for x, _ in labelled[i : i + 3]]).reshape(1797, -1)
        for i in (0, 3)
    ]
    expected = np.sort(
        transforms.to_float(digits.images).numpy().reshape(1797, -1).view("V1024").ravel()
    )
    for epoch in epochs:
        np.testing.assert_array_equal(
            np.sort(np.ascontiguousarray(epoch).view("V1024").ravel()), expected
        )
    assert (epochs[0] != epochs[1]).any(axis=1).mean() > 0.9
    other_seed = take(digits, DataConfig(), 1, seed=1, batch_size=599, steps_per_epoch=3)[0]
    assert (other_seed.reshape(599, -1) != epochs[0][:599]).any(axis=1).mean() > 0.9


def test_labels_belong_to_their_images(digits):
    known = {digits.images[i].tobytes(): label for i, label in enumerate(digits.labels)}
    images, labels = next(
        iter(pipeline.batches(digits, DataConfig(), 0, 32, steps_per_epoch=4, labels=True))
    )
    for image, label in zip(transforms.to_uint8(images).numpy(), labels.numpy(), strict=True):
        assert known[image.tobytes()] == label


def test_an_epoch_longer_than_the_data_goes_on_with_another_order():
    few = load_images(DataConfig(limit=10), 16, 1)
    batches = take(few, DataConfig(), 4, batch_size=6, steps_per_epoch=4)
    assert len({image.tobytes() for batch in batches for image in batch}) == 10


def test_batches_have_static_shapes_and_range(digits):
    dataset = pipeline.batches(digits, AUGMENTED, 0, 64, steps_per_epoch=28, shards=2)
    assert dataset.element_spec == tf.TensorSpec((32, 16, 16, 1), tf.float32)
    batch = next(iter(dataset)).numpy()
    assert -1 <= batch.min() < -0.9 and 0.9 < batch.max() <= 1


def test_fewer_images_than_a_batch_is_an_error_that_names_both():
    few = load_images(DataConfig(limit=10), 16, 1)
    with pytest.raises(
        UserError,
        match="digits has 10 images, fewer than one step takes: lower data.batch_size, received 64",
    ):
        pipeline.steps_per_epoch(few, 64)


@pytest.mark.parametrize("change", [{"flip": True}, {"rotate": 20.0}, {"zoom": 0.3}])
def test_augmentation_is_fresh_in_every_epoch(change):
    """One image, three epochs: three different pictures, the same ones when asked again."""
    one, config = load_images(DataConfig(limit=1), 16, 1), DataConfig(**change)
    epochs = take(one, config, 12, batch_size=1, steps_per_epoch=1)
    pictures = {epoch.tobytes() for epoch in epochs}
    assert len(pictures) == 2 if "flip" in change else len(pictures) == 12
    assert (
        epochs[3].tobytes()
        == take(one, config, 1, batch_size=1, steps_per_epoch=1, first_epoch=3)[0].tobytes()
    )
    assert (
        len({b.tobytes() for b in take(one, DataConfig(), 3, batch_size=1, steps_per_epoch=1)}) == 1
    )


def test_to_uint8_is_the_inverse_of_to_float():
    levels = np.arange(256, dtype=np.uint8)
    as_float = transforms.to_float(levels).numpy()
    assert as_float[0] == -1 and as_float[255] == 1
    np.testing.assert_array_equal(transforms.to_uint8(as_float), levels)
    np.testing.assert_array_equal(transforms.to_uint8([-7.0, 7.0]), [0, 255])


def test_flip_by_hand():
    x = tf.reshape(tf.range(8.0), (2, 2, 2, 1))
    flipped = transforms.random_flip(x, tf.constant([0.4, 0.6])).numpy()[..., 0]
    np.testing.assert_array_equal(flipped, [[[1, 0], [3, 2]], [[4, 5], [6, 7]]])


def test_rotation_and_zoom_by_hand():
    x = np.random.default_rng(0).uniform(-1, 1, (2, 9, 9, 1)).astype("float32")
    half = tf.fill((2, 4), 0.5)
    np.testing.assert_allclose(
        transforms.rotate_and_zoom(x, half, 90, 0), x, atol=1e-5
    )  # the middle draw is no rotation
    quarter = tf.tile([[1.0, 0.0, 0.5, 0.5]], (2, 1))
    np.testing.assert_allclose(
        transforms.rotate_and_zoom(x, quarter, 90, 0).numpy(), np.rot90(x, axes=(1, 2)), atol=1e-5
    )
    # enlarged twice about the centre: every other pixel of the middle is an old pixel
    twice = transforms.rotate_and_zoom(x, tf.tile([[0.5, 1.0, 0.5, 0.5]], (2, 1)), 0, 1).numpy()
    np.testing.assert_allclose(twice[:, ::2, ::2], x[:, 2:7, 2:7], atol=1e-5)


def test_zoom_crops_within_the_image():
    """The corners of the crop stay inside: with the extreme draws the corner of the picture stays in the corner."""
    x = np.tile(np.linspace(-1, 1, 16, dtype="float32")[None, None, :, None], (1, 16, 1, 1))
    left = transforms.rotate_and_zoom(x, tf.constant([[0.5, 1.0, 0.0, 0.5]]), 0, 0.25).numpy()
    right = transforms.rotate_and_zoom(x, tf.constant([[0.5, 1.0, 1.0, 0.5]]), 0, 0.25).numpy()
    assert left.min() == pytest.approx(-1, abs=0.05) and left.max() < 0.65
    assert right.max() == pytest.approx(1, abs=0.05) and right.min() > -0.65


def test_fit_crops_resizes_and_converts():
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, 2:6] = [255, 0, 0]
    red = transforms.crop_and_resize(wide, 4, 3).numpy()
    np.testing.assert_array_equal(red, np.broadcast_to(np.array([255, 0, 0], np.uint8), (4, 4, 3)))
    assert transforms.crop_and_resize(wide, 4, 1).numpy()[0, 0, 0] == pytest.approx(
        76, abs=1
    )  # luma of pure red, 0.299 * 255
    checker = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[..., None]
    assert (
        abs(transforms.crop_and_resize(checker, 16, 1).numpy().astype(int) - 128).max() <= 2
    )  # antialiased: no moire


@pytest.fixture
def album(tmp_path):
    """Pictures of every kind, all of them red on the left and (where there is colour) blue on the right, wider than high."""
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[:, :10], pixels[:, 10:] = (255, 0, 0), (0, 0, 255)
    picture = Image.fromarray(pixels)
    for folder, name in [
        ("a", "x.jpg"),
        ("a", "x.PNG"),
        ("b", "x.bmp"),
        ("b", "x.gif"),
        ("c", "x.webp"),
    ]:
        (tmp_path / folder).mkdir(exist_ok=True)
        picture.save(tmp_path / folder / name, **({"lossless": True} if "webp" in name else {}))
    (tmp_path / "c" / "notes.txt").write_text("not a picture")
    return tmp_path


def test_folder_reads_every_format_and_labels_by_sub_folder(album):
    found = load_images(DataConfig(dataset="folder", path=str(album)), 20, 3)
    assert len(found) == 5
    assert found.classes == ["a", "b", "c"] and found.labels.tolist() == [0, 0, 1, 1, 2]
    for image, name in zip(found.images.astype(int), found.files, strict=True):
        assert abs(image[10, 4] - [255, 0, 0]).max() < 12, name
        assert abs(image[10, 15] - [0, 0, 255]).max() < 12, name


def test_a_flat_folder_has_no_labels(tmp_path):
    Image.new("L", (9, 9)).save(tmp_path / "x.png")
    found = load_images(DataConfig(dataset="folder", path=str(tmp_path)), 8, 1)
    assert found.labels is None and found.classes == []


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_folder_reads_every_mode(mode, tmp_path):
    if mode == "I;16":
        picture = Image.fromarray(np.full((8, 8), 65535 // 2, np.uint16))
    else:
        picture = Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode)
    path = tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")
    picture.save(path)
    pixels = image_folder.decode_square(path, 8, 3)
    expected = 127 if mode == "I;16" else 255
    assert abs(pixels.astype(int) - expected).max() <= 2


def test_transparency_lies_on_white(tmp_path):
    picture = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 4, 8))
    picture.save(tmp_path / "x.png")
    assert (
        image_folder.decode_square(tmp_path / "x.png", 8, 1)[0, :, 0].tolist()
        == [0] * 4 + [255] * 4
    )


def test_pictures_are_turned_upright(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise: the top comes to the right
    Image.fromarray(pixels).save(tmp_path / "x.jpg", exif=exif, quality=95)
    decoded = image_folder.decode_square(tmp_path / "x.jpg", 8, 1)[4, :, 0]
    assert decoded[0] < 10 and decoded[7] > 245


def test_unreadable_files_are_counted_named_and_skipped(album, caplog):
    (album / "a" / "broken.jpg").write_bytes(b"not a jpeg")
    (album / "b" / "cut.png").write_bytes((album / "a" / "x.PNG").read_bytes()[:60])
    with caplog.at_level(logging.WARNING, "tfgan_zoo"):
        found = load_images(DataConfig(dataset="folder", path=str(album)), 16, 3)
    assert len(found) == 5 and found.labels.tolist() == [0, 0, 1, 1, 2]
    assert (
        "skipped 2 unreadable files" in caplog.text
        and "broken.jpg" in caplog.text
        and "cut.png" in caplog.text
    )


def test_folders_with_nothing_to_read_are_errors(tmp_path):
    for path, message in [
        ("", "must be a folder"),
        (str(tmp_path / "no"), "must be a folder"),
        (str(tmp_path), "no pictures"),
    ]:
        with pytest.raises(UserError, match=message):
            load_images(DataConfig(dataset="folder", path=path), 16, 3)
    (tmp_path / "x.jpg").write_bytes(b"")
    with pytest.raises(UserError, match="none of 1 pictures can be read"):
        load_images(DataConfig(dataset="folder", path=str(tmp_path)), 16, 3)


def test_pictures_beyond_the_memory_limit_are_decoded_on_the_way_and_are_the_same(album):
    (album / "a" / "broken.jpg").write_bytes(b"not a jpeg")
    config = DataConfig(dataset="folder", path=str(album), flip=True)
    small = DataConfig(dataset="folder", path=str(album), flip=True, cache_gb=1e-9)
    cached, lazy = load_images(config, 16, 3), load_images(small, 16, 3)
    assert cached.images is not None and lazy.images is None
    assert len(lazy) == 5 and "decoded in every epoch" in lazy.description
    for a, b in zip(
        take(cached, config, 4, batch_size=2, steps_per_epoch=2),
        take(lazy, small, 4, batch_size=2, steps_per_epoch=2),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_a_data_set_that_cannot_be_had_says_what_to_do(tmp_path, monkeypatch):
    library = tfds.import_tfds()

    def no_network(*args, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(tfds.socket, "getaddrinfo", lambda *address: [])
    monkeypatch.setattr(library.core.DatasetBuilder, "download_and_prepare", no_network)
    with pytest.raises(UserError) as error:
        load_images(DataConfig(dataset="mnist", path=str(tmp_path)), 28, 1)
    for part in (
        str(tmp_path),
        "no route to host",
        "Connect to the network",
        "tfgan-zoo data prepare mnist --from DIR",
        "train-images-idx3",
    ):
        assert part in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def prepared_here(tmp_path_factory):
    """A folder for all data sets, as users have one."""
    return tmp_path_factory.mktemp("prepared")


@pytest.mark.parametrize(("name", "mean"), [("mnist", 33.318), ("fashion_mnist", 72.940)])
def test_prepare_from_the_original_files(name, mean, prepared_here):
    """The two have files of the same names: neither may get the other's images."""
    source, tmp_path = SHARED / name, prepared_here
    if not source.is_dir():
        pytest.skip("the original files are not in ../shared/data")
    assert f"{name}: train 60,000, test 10,000" in tfds.prepare(
        name, source, str(tmp_path)
    ).replace("test 10,000, train 60,000", "train 60,000, test 10,000")
    for split, count in [("train", 60000), ("test", 10000)]:
        found = load_images(DataConfig(dataset=name, path=str(tmp_path), split=split), 28, 1)
        assert found.images.shape == (count, 28, 28, 1)
        assert len(found.classes) == 10 and np.bincount(found.labels).min() > 800
        if split == "train":
            assert abs(found.images.mean() - mean) < 1e-3  # as the original files have it
    if name == "mnist":
        assert np.bincount(found.labels).tolist() == [
            980,
            1135,
            1032,
            1010,
            982,
            892,
            958,
            1028,
            974,
            1009,
        ]


def test_prepare_refuses_what_it_cannot_use(tmp_path):
    with pytest.raises(UserError, match="did you mean mnist"):
        tfds.prepare("minst", tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"")
    with pytest.raises(UserError, match="missing in .*: train-labels-idx1-ubyte.gz, t10k-images"):
        tfds.prepare("mnist", tmp_path)


def test_prepare_refuses_damaged_files(tmp_path):
    for file in tfds.FILES["mnist"]:
        (tmp_path / file).write_bytes(b"damaged")
    with pytest.raises(UserError, match="is not the original one"):
        tfds.prepare("mnist", tmp_path, str(tmp_path / "out"))


def test_binarisation_is_by_grey_and_by_seed():
    images = np.full((1, 100, 100, 1), 51, np.uint8)  # a fifth of 255
    once, again, other = (transforms.binarize(images, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(once, again)
    assert np.any(once != other)
    assert set(np.unique(once)) == {0, 255}
    assert np.mean(once == 255) == pytest.approx(0.2, abs=0.015)
    extremes = np.array([0, 255], np.uint8).repeat(1000).reshape(2, 1000, 1, 1)
    np.testing.assert_array_equal(transforms.binarize(extremes, 0), extremes)


def test_binarised_batches_are_black_and_white_once_or_anew():
    def epochs(binarize):
        config = DataConfig(dataset="digits", batch_size=8, limit=8, binarize=binarize)
        digits = load_images(config, 16, 1)
        batches = pipeline.batches(digits, config, 0, 8, steps_per_epoch=1).take(2)
        return [
            np.sort(np.stack(batch).reshape(8, -1), axis=0) for batch in batches.as_numpy_iterator()
        ], digits

    for kind in ("static", "resampled"):
        (first, second), digits = epochs(kind)
        assert set(np.unique(first)) == {-1.0, 1.0}
        assert np.array_equal(first.sum(axis=0), second.sum(axis=0)) == (kind == "static")
        assert (len(np.unique(digits.images)) == 2) == (kind == "static")
    assert set(np.unique(epochs("none")[0][0])) > {-1.0, 1.0}


def test_resampled_binarisation_does_not_depend_on_the_shards():
    config = DataConfig(dataset="digits", batch_size=8, binarize="resampled")
    digits = load_images(config, 16, 1)
    whole = next(iter(pipeline.batches(digits, config, 0, 8, steps_per_epoch=2)))
    parts = [
        next(iter(pipeline.batches(digits, config, 0, 8, steps_per_epoch=2, shard=i, shards=2)))
        for i in range(2)
    ]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_stacked_digits_are_three_of_mnist_with_their_labels(monkeypatch):
    images = np.arange(20, dtype=np.uint8).repeat(16).reshape(20, 4, 4, 1)
    labels = np.arange(20) % 10
    monkeypatch.setattr(
        tfds, "load_arrays", lambda name, path, split: (images, labels, list("0123456789"))
    )
    stacked = load_images(DataConfig(dataset="stacked_mnist"), 4, 3)
    assert stacked.images.shape == (20, 4, 4, 3) and len(stacked.classes) == 1000
    for image, label in zip(stacked.images, stacked.labels, strict=True):
        assert label == sum(labels[image[0, 0, channel]] * 10**channel for channel in range(3))
    with pytest.raises(UserError, match="stacked_mnist has 3 channels"):
        load_images(DataConfig(dataset="stacked_mnist"), 4, 1)


def test_fit_makes_rgb_of_grey_arrays_of_the_right_size():
    grey = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(
        transforms.crop_and_resize(grey, 4, 3), np.repeat(grey, 3, axis=-1)
    )


@pytest.fixture
def labelled(tmp_path):
    """Six pictures and a labels.csv in another order, with the same grey in the first column."""
    root = tmp_path / "pictures"
    (root / "sub").mkdir(parents=True)
    lines = ["file,grey,extra"]
    for i in (3, 1, 5, 0, 2, 4):
        name = f"{'sub/' if i % 2 else ''}{i}.png"
        Image.new("L", (16, 16), 40 * i).save(root / name)
        lines.append(f"{name},{40 * i / 255:.5f},{i}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


def test_labels_csv_gives_every_picture_its_vector(labelled):
    config = DataConfig(dataset="folder", path=str(labelled), batch_size=6)
    pictures = load_images(config, 16, 1)
    assert pictures.classes == ["grey", "extra"]
    np.testing.assert_allclose(
        pictures.labels[:, 0], pictures.images.mean(axis=(1, 2, 3)) / 255, atol=1e-4
    )
    assert "2 labels an image" in pictures.description
    images, labels = next(
        iter(pipeline.batches(pictures, config, 0, 6, steps_per_epoch=1, labels=True))
    )
    np.testing.assert_allclose(
        labels[:, 0], (tf.reduce_mean(images, axis=(1, 2, 3)) + 1) / 2, atol=1e-4
    )


@pytest.mark.parametrize(
    "change, reason",
    [
        (
            lambda text: text.replace("0.png,0.00000,0", "0.png,red,0"),
            "must be a path and 2 numbers",
        ),
        (
            lambda text: text.replace("0.png,0.00000,0", "0.png,0.00000"),
            "must be a path and 2 numbers",
        ),
        (
            lambda text: text.replace("0.png,0.00000,0", "0.png,nan,0"),
            "must be a path and 2 numbers",
        ),
        (
            lambda text: text.replace("4.png", "other.png"),
            "no line for 1 pictures, the first being 4.png",
        ),
    ],
)
def test_a_labels_csv_that_does_not_fit_is_refused(labelled, change, reason):
    file = labelled / "labels.csv"
    file.write_text(change(file.read_text()))
    with pytest.raises(UserError, match=reason):
        load_images(DataConfig(dataset="folder", path=str(labelled)), 16, 1)


def test_a_run_conditional_on_vectors_from_a_folder(labelled, tmp_path):
    folder = [
        f"data.path={labelled}",
        "data.dataset=folder",
        "data.batch_size=6",
        "train.steps_per_epoch=2",
        "train.epochs=1",
    ]
    result = train(
        "cgan_tiny", *folder, "model.condition=vector", "model.classes=2", run_dir=tmp_path / "run"
    )
    assert result["metrics"]["step"] == 2
    for wrong, reason in [
        (["model.classes=2"], "use model.condition=vector"),
        (["model.condition=vector"], "2 columns, got model.classes=10"),
    ]:
        with pytest.raises(UserError, match=reason):
            train("cgan_tiny", *folder, *wrong, run_dir=tmp_path / "wrong")
    with pytest.raises(UserError, match="digits has classes: use model.condition=label"):
        train("cgan_tiny", "model.condition=vector", run_dir=tmp_path / "wrong")
