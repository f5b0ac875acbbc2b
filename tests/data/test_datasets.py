"""Data sets, image folders, and batches as a function of seed, epoch and position alone."""

import logging

import numpy as np
import pytest
import tensorflow as tf
from helpers import SHARED
from PIL import Image

from tfgan_zoo.config import DataConfig
from tfgan_zoo.data import image_file, pipeline, tfds, transforms
from tfgan_zoo.data.datasets import load_images
from tfgan_zoo.errors import UserError
from tfgan_zoo.training.train import train

AUGMENTED = DataConfig(flip=True, rotate=15, zoom=0.2)


@pytest.fixture(scope="module")
def digits():
    return load_images(DataConfig(), 16, 1)


def take(data, config, count, **options):
    options = {"seed": 0, "batch_size": 64, "steps_per_epoch": 28, **options}
    return [batch.numpy() for batch in pipeline.batches(data, config, **options).take(count)]


def test_digits_are_those_of_scikit_learn(digits):
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
    with pytest.raises(UserError, match="channels must be 1 .* or 3 .*, got 4"):
        load_images(DataConfig(), 16, 4)


@pytest.mark.parametrize("config", [DataConfig(), AUGMENTED])
def test_a_stream_can_start_at_a_later_epoch(digits, config):
    whole = take(digits, config, 60)
    later = take(digits, config, 4, first_epoch=2)
    for a, b in zip(whole[56:], later, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("config", [DataConfig(), AUGMENTED])
def test_shards_together_are_the_global_batch(digits, config):
    whole = take(digits, config, 3)
    shards = [take(digits, config, 3, shard=i, shards=4) for i in range(4)]
    for step in range(3):
        joined = np.concatenate([shard[step] for shard in shards])
        np.testing.assert_array_equal(whole[step], joined)


def test_an_epoch_has_every_image_once_in_a_new_order(digits):
    def sorted_images(images):
        return np.sort(np.ascontiguousarray(images).reshape(1797, -1).view("V1024").ravel())

    batches = take(digits, DataConfig(), 6, batch_size=599, steps_per_epoch=3)
    epochs = [np.concatenate(batches[i : i + 3]).reshape(1797, -1) for i in (0, 3)]
    expected = sorted_images(transforms.to_float(digits.images).numpy())
    for epoch in epochs:
        np.testing.assert_array_equal(sorted_images(epoch), expected)
    assert (epochs[0] != epochs[1]).any(axis=1).mean() > 0.9
    other_seed = take(digits, DataConfig(), 1, seed=1, batch_size=599, steps_per_epoch=3)[0]
    assert (other_seed.reshape(599, -1) != epochs[0][:599]).any(axis=1).mean() > 0.9


def test_labels_belong_to_their_images(digits):
    label_of = {digits.images[i].tobytes(): label for i, label in enumerate(digits.labels)}
    images, labels = next(
        iter(pipeline.batches(digits, DataConfig(), 0, 32, steps_per_epoch=4, labels=True))
    )
    for image, label in zip(transforms.to_uint8(images).numpy(), labels.numpy(), strict=True):
        assert label_of[image.tobytes()] == label


def test_an_epoch_longer_than_the_data_repeats_it_in_another_order():
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
        match="data.batch_size must be at most .* images, which is 10 for digits, got 64.",
    ):
        pipeline.steps_per_epoch(few, 64)


@pytest.mark.parametrize("change", [{"flip": True}, {"rotate": 20.0}, {"zoom": 0.3}])
def test_augmentation_is_drawn_anew_in_every_epoch(change):
    """Augmented images differ between epochs, but not between streams of the same seed."""
    one, config = load_images(DataConfig(limit=1), 16, 1), DataConfig(**change)
    epochs = take(one, config, 12, batch_size=1, steps_per_epoch=1)
    assert len({epoch.tobytes() for epoch in epochs}) == (2 if "flip" in change else 12)
    (again,) = take(one, config, 1, batch_size=1, steps_per_epoch=1, first_epoch=3)
    np.testing.assert_array_equal(again, epochs[3])
    unchanged = take(one, DataConfig(), 3, batch_size=1, steps_per_epoch=1)
    assert len({epoch.tobytes() for epoch in unchanged}) == 1


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
    # A draw of 1/2 does not rotate.
    np.testing.assert_allclose(transforms.rotate_and_zoom(x, half, 90, 0), x, atol=1e-5)
    quarter = tf.tile([[1.0, 0.0, 0.5, 0.5]], (2, 1))
    rotated = transforms.rotate_and_zoom(x, quarter, 90, 0).numpy()
    np.testing.assert_allclose(rotated, np.rot90(x, axes=(1, 2)), atol=1e-5)
    # Enlarged twice about the center, every second pixel is a pixel of the middle of the image.
    twice = transforms.rotate_and_zoom(x, tf.tile([[0.5, 1.0, 0.5, 0.5]], (2, 1)), 0, 1).numpy()
    np.testing.assert_allclose(twice[:, ::2, ::2], x[:, 2:7, 2:7], atol=1e-5)


def test_zoom_crops_within_the_image():
    """With extreme draws the corner of the crop is the corner of the image."""
    x = np.tile(np.linspace(-1, 1, 16, dtype="float32")[None, None, :, None], (1, 16, 1, 1))
    left = transforms.rotate_and_zoom(x, tf.constant([[0.5, 1.0, 0.0, 0.5]]), 0, 0.25).numpy()
    right = transforms.rotate_and_zoom(x, tf.constant([[0.5, 1.0, 1.0, 0.5]]), 0, 0.25).numpy()
    assert left.min() == pytest.approx(-1, abs=0.05) and left.max() < 0.65
    assert right.max() == pytest.approx(1, abs=0.05) and right.min() > -0.65


def test_crop_and_resize_converts_channels_and_antialiases():
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, 2:6] = [255, 0, 0]
    red = transforms.crop_and_resize(wide, 4, 3).numpy()
    np.testing.assert_array_equal(red, np.broadcast_to(np.array([255, 0, 0], np.uint8), (4, 4, 3)))
    gray = transforms.crop_and_resize(wide, 4, 1).numpy()
    assert gray[0, 0, 0] == pytest.approx(76, abs=1)  # luma of pure red, 0.299 * 255
    checker = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[..., None]
    small = transforms.crop_and_resize(checker, 16, 1).numpy().astype(int)
    assert abs(small - 128).max() <= 2  # antialiasing prevents moire


@pytest.fixture
def album(tmp_path):
    """Return a folder of images in several formats, red on the left and blue on the right."""
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[:, :10], pixels[:, 10:] = (255, 0, 0), (0, 0, 255)
    image = Image.fromarray(pixels)
    for name in ("a/x.jpg", "a/x.PNG", "b/x.bmp", "b/x.gif", "c/x.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image.save(tmp_path / name, **({"lossless": True} if "webp" in name else {}))
    (tmp_path / "c" / "notes.txt").write_text("not an image")
    return tmp_path


def test_folder_reads_every_format_and_labels_by_sub_folder(album):
    data = load_images(DataConfig(dataset="folder", path=str(album)), 20, 3)
    assert len(data) == 5
    assert data.classes == ["a", "b", "c"] and data.labels.tolist() == [0, 0, 1, 1, 2]
    for image, name in zip(data.images.astype(int), data.files, strict=True):
        assert abs(image[10, 4] - [255, 0, 0]).max() < 12, name
        assert abs(image[10, 15] - [0, 0, 255]).max() < 12, name


def test_a_flat_folder_has_no_labels(tmp_path):
    Image.new("L", (9, 9)).save(tmp_path / "x.png")
    data = load_images(DataConfig(dataset="folder", path=str(tmp_path)), 8, 1)
    assert data.labels is None and data.classes == []


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_folder_reads_every_mode(mode, tmp_path):
    if mode == "I;16":
        image = Image.fromarray(np.full((8, 8), 65535 // 2, np.uint16))
    else:
        image = Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode)
    path = tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")
    image.save(path)
    pixels = image_file.decode_square(path, 8, 3)
    expected = 127 if mode == "I;16" else 255
    assert abs(pixels.astype(int) - expected).max() <= 2


def test_transparent_images_are_composited_on_white(tmp_path):
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 4, 8))
    image.save(tmp_path / "x.png")
    row = image_file.decode_square(tmp_path / "x.png", 8, 1)[0, :, 0]
    assert row.tolist() == [0] * 4 + [255] * 4


def test_images_are_rotated_upright(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise: the top comes to the right
    Image.fromarray(pixels).save(tmp_path / "x.jpg", exif=exif, quality=95)
    decoded = image_file.decode_square(tmp_path / "x.jpg", 8, 1)[4, :, 0]
    assert decoded[0] < 10 and decoded[7] > 245


def test_unreadable_files_are_counted_named_and_skipped(album, caplog):
    (album / "a" / "broken.jpg").write_bytes(b"not a jpeg")
    (album / "b" / "cut.png").write_bytes((album / "a" / "x.PNG").read_bytes()[:60])
    with caplog.at_level(logging.WARNING, "tfgan_zoo"):
        data = load_images(DataConfig(dataset="folder", path=str(album)), 16, 3)
    assert len(data) == 5 and data.labels.tolist() == [0, 0, 1, 1, 2]
    for part in ("skipped 2 unreadable files", "broken.jpg", "cut.png"):
        assert part in caplog.text


def test_folders_without_readable_images_are_errors(tmp_path):
    for path, message in [
        ("", "must be a folder"),
        (str(tmp_path / "no"), "must be a folder"),
        (str(tmp_path), "must have images"),
    ]:
        with pytest.raises(UserError, match=message):
            load_images(DataConfig(dataset="folder", path=path), 16, 3)
    (tmp_path / "x.jpg").write_bytes(b"")
    with pytest.raises(UserError, match="none of 1 images can be read"):
        load_images(DataConfig(dataset="folder", path=str(tmp_path)), 16, 3)


def test_images_beyond_the_memory_limit_are_decoded_in_every_epoch(album):
    (album / "a" / "broken.jpg").write_bytes(b"not a jpeg")
    config = DataConfig(dataset="folder", path=str(album), flip=True)
    small = DataConfig(dataset="folder", path=str(album), flip=True, cache_gb=1e-9)
    cached, lazy = load_images(config, 16, 3), load_images(small, 16, 3)
    assert cached.images is not None and lazy.images is None
    assert len(lazy) == 5 and "decoded in every epoch" in lazy.description
    options = {"batch_size": 2, "steps_per_epoch": 2}
    np.testing.assert_array_equal(
        take(cached, config, 4, **options), take(lazy, small, 4, **options)
    )


def test_a_failed_download_names_the_alternatives(tmp_path, monkeypatch):
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
    """Return the directory in which all datasets are prepared, as for users."""
    return tmp_path_factory.mktemp("prepared")


@pytest.mark.parametrize(("name", "mean"), [("mnist", 33.318), ("fashion_mnist", 72.940)])
def test_prepare_from_the_original_files(name, mean, prepared_here):
    """Both datasets have files of the same names: neither may get the other's images."""
    source, data_dir = SHARED / name, str(prepared_here)
    if not source.is_dir():
        pytest.skip("the original files are not in ../shared/data")
    message = tfds.prepare(name, source, data_dir)
    assert message.startswith(f"{name}: ")
    assert "train 60,000" in message and "test 10,000" in message
    for split, count in [("train", 60000), ("test", 10000)]:
        data = load_images(DataConfig(dataset=name, path=data_dir, split=split), 28, 1)
        assert data.images.shape == (count, 28, 28, 1)
        assert len(data.classes) == 10 and np.bincount(data.labels).min() > 800
        if split == "train":
            assert abs(data.images.mean() - mean) < 1e-3  # of the original files
    if name == "mnist":
        counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        assert np.bincount(data.labels).tolist() == counts


def test_prepare_with_an_unknown_name_or_missing_files_is_an_error(tmp_path):
    with pytest.raises(UserError, match="Did you mean mnist"):
        tfds.prepare("minst", tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"")
    with pytest.raises(UserError, match="missing in .*: train-labels-idx1-ubyte.gz, t10k-images"):
        tfds.prepare("mnist", tmp_path)


def test_prepare_with_damaged_files_is_an_error(tmp_path):
    for file in tfds.ORIGINAL_FILES["mnist"]:
        (tmp_path / file).write_bytes(b"damaged")
    with pytest.raises(UserError, match="is not the original one"):
        tfds.prepare("mnist", tmp_path, str(tmp_path / "out"))


def test_binarization_depends_on_gray_value_and_seed():
    images = np.full((1, 100, 100, 1), 51, np.uint8)  # a fifth of 255
    once, again, other = (transforms.binarize(images, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(once, again)
    assert np.any(once != other)
    assert set(np.unique(once)) == {0, 255}
    assert np.mean(once == 255) == pytest.approx(0.2, abs=0.015)
    extremes = np.array([0, 255], np.uint8).repeat(1000).reshape(2, 1000, 1, 1)
    np.testing.assert_array_equal(transforms.binarize(extremes, 0), extremes)


def test_static_binarization_is_fixed_and_resampled_binarization_is_not():
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


def test_resampled_binarization_does_not_depend_on_the_shards():
    config = DataConfig(dataset="digits", batch_size=8, binarize="resampled")
    digits = load_images(config, 16, 1)
    whole = next(iter(pipeline.batches(digits, config, 0, 8, steps_per_epoch=2)))
    parts = [
        next(iter(pipeline.batches(digits, config, 0, 8, steps_per_epoch=2, shard=i, shards=2)))
        for i in range(2)
    ]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_stacked_mnist_has_the_labels_of_its_three_digits(monkeypatch):
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


def test_crop_and_resize_converts_gray_to_rgb_without_resizing():
    gray = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    rgb = transforms.crop_and_resize(gray, 4, 3)
    np.testing.assert_array_equal(rgb, np.repeat(gray, 3, axis=-1))


@pytest.fixture
def labeled(tmp_path):
    """Return a folder of six images and a labels.csv in another order: gray value and number."""
    root = tmp_path / "images"
    (root / "sub").mkdir(parents=True)
    lines = ["file,gray,extra"]
    for i in (3, 1, 5, 0, 2, 4):
        name = f"{'sub/' if i % 2 else ''}{i}.png"
        Image.new("L", (16, 16), 40 * i).save(root / name)
        lines.append(f"{name},{40 * i / 255:.5f},{i}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


def test_labels_csv_gives_every_image_its_vector(labeled):
    config = DataConfig(dataset="folder", path=str(labeled), batch_size=6)
    data = load_images(config, 16, 1)
    assert data.classes == ["gray", "extra"]
    assert "2 labels per image" in data.description
    grays = data.images.mean(axis=(1, 2, 3)) / 255
    np.testing.assert_allclose(data.labels[:, 0], grays, atol=1e-4)
    batches = pipeline.batches(data, config, 0, 6, steps_per_epoch=1, labels=True)
    images, labels = next(iter(batches))
    grays = (tf.reduce_mean(images, axis=(1, 2, 3)) + 1) / 2
    np.testing.assert_allclose(labels[:, 0], grays, atol=1e-4)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("0.png,0.00000,0", "0.png,red,0", "must be a path and 2 finite numbers"),
        ("0.png,0.00000,0", "0.png,0.00000", "must be a path and 2 finite numbers"),
        ("0.png,0.00000,0", "0.png,nan,0", "must be a path and 2 finite numbers"),
        ("4.png", "other.png", "no line for 1 images .first: 4.png"),
    ],
)
def test_a_wrong_labels_csv_is_an_error(labeled, old, new, message):
    file = labeled / "labels.csv"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(UserError, match=message):
        load_images(DataConfig(dataset="folder", path=str(labeled)), 16, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "first line of .*labels.csv must name a path and numbers"),
        (b"\n1,2\n", "first line of .*labels.csv must name a path and numbers"),
        (b"\xff\xfea\x00", "labels.csv must be UTF-8 text with commas"),
    ],
)
def test_a_damaged_labels_csv_is_named(labeled, content, message):
    (labeled / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_images(DataConfig(dataset="folder", path=str(labeled)), 16, 1)


def test_a_run_conditional_on_vectors_from_a_folder(labeled, tmp_path):
    folder = [
        f"data.path={labeled}",
        "data.dataset=folder",
        "data.batch_size=6",
        "train.steps_per_epoch=2",
        "train.epochs=1",
    ]
    result = train(
        "cgan_tiny", *folder, "model.condition=vector", "model.classes=2", run_dir=tmp_path / "run"
    )
    assert result["metrics"]["step"] == 2
    for overrides, message in [
        (["model.classes=2"], "model.condition must be vector"),
        (["model.condition=vector"], r"must be 2 for folder \(gray, extra\), got 10"),
    ]:
        with pytest.raises(UserError, match=message):
            train("cgan_tiny", *folder, *overrides, run_dir=tmp_path / "wrong")
    with pytest.raises(UserError, match="model.condition must be label for digits"):
        train("cgan_tiny", "model.condition=vector", run_dir=tmp_path / "wrong")
