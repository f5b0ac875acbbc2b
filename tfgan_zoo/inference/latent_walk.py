"""Latent interpolations, traversals and reconstructions as uint8 images, row after row."""

import numpy as np
import tensorflow as tf

from tfgan_zoo.config import LATENT_PATHS
from tfgan_zoo.data import image_file
from tfgan_zoo.data.datasets import WITH_TEST_SPLIT, load_images
from tfgan_zoo.errors import UserError, check_choice, first_line
from tfgan_zoo.model_methods import class_numbers, condition_inputs
from tfgan_zoo.saving.exported import load_experiment


def latent_walk(model, path="spherical", rows=8, steps=10, seed=0, labels=None):
    """Generate images along paths through the latent space, one path per row.

    Args:
        model: a `LatentModel` or an exported one.
        path: "spherical" or "linear" interpolation between two random codes per row; "traversal",
            one latent dimension per row from -3 to 3, for the dimensions that change the image
            most; or "manifold", for 2-D codes the whole plane at quantiles of N(0, 1).
        rows: number of rows.
        steps: number of images per row.
        seed: seed of the random codes.
        labels: for a conditional model one label, an integer or a name, or two labels to
            interpolate the condition with fixed codes. By default row i has class i, or a cluster
            that is drawn by its share of the training images.

    Returns:
        uint8 array (rows * steps, h, w, c).

    Raises:
        UserError: if the labels do not fit the model or the path, or "manifold" is used with codes
            of another dimension than 2.
    """
    check_choice("path", path, LATENT_PATHS)
    labels = class_numbers(labels, model.class_names)
    if labels is not None and len(labels) > 2:
        raise UserError(f"labels must be one or two labels, got labels={list(labels)}.")
    if labels is not None and len(labels) == 2:
        if path in ("traversal", "manifold"):
            raise UserError(f"a {path} takes one label, got labels={list(labels)}.")
        return interpolate_labels(model, rows, steps, seed, labels)
    if path == "traversal":
        z = traverse(model, rows, steps, seed, labels)
    elif path == "manifold":
        z, rows, steps = manifold(model, steps)
    else:
        z = interpolate(np.asarray(model.latent(2 * rows, seed)), steps, path)
    if labels is None and model.classes:
        row_labels = np.arange(rows) % model.classes
        if model.clustered:
            row_labels = np.asarray(model.default_labels(rows, seed))
        labels = np.repeat(row_labels, steps)
    return model.generate(z, None if labels is None else np.resize(labels, len(z)))


def interpolate_labels(model, rows, steps, seed, labels):
    """Generate images whose condition changes linearly between two labels, at fixed codes."""
    z = np.repeat(model.latent(rows, seed), steps, axis=0)
    first, last = (
        condition_inputs(np.full(rows, label), rows, model.classes)[0] for label in labels
    )
    t = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    conditions = [(1 - t) * a + t * b for a, b in zip(first, last, strict=True)]
    return model.generate(z, np.concatenate(conditions))


def interpolate(ends, steps, path):
    """Interpolate from each code of the first half to one of the second half.

    Spherical interpolation is sin((1 - t) a) / sin(a) * first + sin(t a) / sin(a) * last, where a
    is the angle between the codes (Shoemake 1985). It keeps the norm that is expected of a Gaussian
    code. Linear interpolation passes through codes with smaller norms.

    Args:
        ends: array (2 rows, d).
        steps: number of codes per row.
        path: "spherical" or "linear".

    Returns:
        Array (rows * steps, d).
    """
    first, last = np.split(ends, 2)
    t = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    if path == "linear":
        return np.concatenate([(1 - t) * a + t * b for a, b in zip(first, last, strict=True)])
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(last, axis=1)
    angles = np.arccos(np.clip(np.sum(first * last, axis=1) / norms, -1, 1))
    rows = []
    for a, b, angle in zip(first, last, angles, strict=True):
        if np.sin(angle) < 1e-3:  # parallel codes: no unique great circle connects them
            rows.append((1 - t) * a + t * b)
        else:
            rows.append((np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle))
    return np.concatenate(rows).astype(np.float32)


def traverse(model, rows, steps, seed, labels):
    """Return codes in which one dimension per row goes from -3 to 3: (rows * steps, d).

    The rows are the dimensions that change the image most, sorted by that change.
    """
    code = np.asarray(model.latent(1, seed))
    label = None if labels is None else labels[0]
    dimensions = sorted_dimensions(model, code, label)
    if rows > len(dimensions):
        raise UserError(
            f"rows must be at most the code's {len(dimensions)} dimensions, got {rows}."
        )
    z = np.repeat(code, rows * steps, axis=0)
    for row, i in enumerate(dimensions[:rows]):
        z[row * steps : (row + 1) * steps, i] = np.linspace(-3, 3, steps)
    return z


def sorted_dimensions(model, code, label=None):
    """Return the dimensions of a code, sorted by how much they change its image.

    Args:
        model: a `LatentModel` or an exported one.
        code: float32 (1, latent_dim).
        label: class of the image, for a conditional model. Default: class 0.

    Returns:
        int (latent_dim,). Between -3 and 3, the first dimension changes the image most.
    """
    count = code.shape[1]
    ends = np.repeat(code, 2 * count, axis=0)
    for i in range(count):
        ends[2 * i : 2 * i + 2, i] = (-3, 3)
    labels = np.full(2 * count, label or 0) if model.classes else None
    images = model.generate(ends, labels).astype(np.float32)
    change = np.abs(images[::2] - images[1::2]).mean(axis=(1, 2, 3))
    return np.argsort(-change)


def manifold(model, steps):
    """Return a grid of 2-D codes at quantiles of N(0, 1): (steps * steps, 2), rows, columns."""
    latent_dim = model.latent(1, 0).shape[1]
    if latent_dim != 2:
        raise UserError(f"path manifold needs codes of 2 dimensions, got latent_dim={latent_dim}.")
    quantiles = tf.math.ndtri(np.linspace(0.02, 0.98, steps)).numpy().astype(np.float32)
    horizontal, vertical = np.meshgrid(quantiles, -quantiles)
    return np.stack([horizontal.ravel(), vertical.ravel()], axis=1), steps, steps


def check_encoder(model, source):
    """Raise `UserError` unless the model, loaded from `source`, encodes images."""
    if not model.encodes:
        raise UserError(f"reconstruct needs an autoencoder such as vae_mnist, got {str(source)!r}.")


def reconstruction_grid(model, images, labels=None, columns=16):
    """Arrange images and their reconstructions in a grid, each image above its reconstruction.

    Args:
        model: a model that encodes images.
        images: uint8 (n, h, w, c).
        labels: condition of the images, for a conditional model.
        columns: number of columns of the grid. The last row is filled with white images.

    Returns:
        uint8 (m, h, w, c), alternating rows of originals and of reconstructions.
    """
    shape = images.shape[1:]
    blank = np.full((-len(images) % columns, *shape), 255, np.uint8)
    rows = [
        np.concatenate([part, blank]).reshape(-1, columns, *shape)
        for part in (images, model.reconstruct(images, labels))
    ]
    return np.stack(rows, axis=1).reshape(-1, *shape)


def reconstruction_images(source, model, paths, n, seed, overrides=()):
    """Load images to reconstruct: image files, or random images of the model's dataset.

    Args:
        source: run directory, SavedModel or pretrained preset that `model` was loaded from.
        model: a model that encodes images.
        paths: image files; if empty, images of the dataset are used (of its test split, if any).
        n: number of images of the dataset.
        seed: seed of their choice.
        overrides: strings `data.field=value`.

    Returns:
        uint8 images (n, h, w, c), and their labels (n,) or None.

    Raises:
        UserError: if a file cannot be read, or the dataset is unknown or not in memory.
    """
    size, _, channels = model.image_shape
    if paths:
        return np.stack([read_square(path, size, channels) for path in paths]), None
    experiment = load_experiment(source)
    if experiment is None:
        raise UserError(f"the dataset of the model is not known, got {source}. Pass image files.")
    split = ["data.split=test"] if experiment.data.dataset in WITH_TEST_SPLIT else []
    data = load_images(experiment.override(*overrides, *split).data, size, channels)
    if data.images is None:
        raise UserError(
            f"the dataset must fit into memory, got {data.name}. "
            "Increase data.cache_gb or pass image files."
        )
    index = np.random.default_rng(seed).permutation(len(data))[:n]
    return data.images[index], data.labels[index] if model.classes else None


def read_square(path, size, channels):
    """Return an image file as uint8 (size, size, channels).

    Raises:
        UserError: if it cannot be read.
    """
    try:
        return image_file.decode_square(path, size, channels)
    except ValueError as error:
        raise UserError(
            f"image files must be readable, got {path} ({first_line(error)})."
        ) from None
