"""Pictures of what a model has learnt: walks through its latent space, and reconstructions. Each gives uint8 images, row after row."""

import numpy as np
import tensorflow as tf

from tfgan_zoo.config import LATENT_PATHS
from tfgan_zoo.data import image_folder
from tfgan_zoo.data.datasets import WITH_TEST_SPLIT, load_images
from tfgan_zoo.errors import UserError, check_choice
from tfgan_zoo.models.latent import condition_inputs
from tfgan_zoo.saving.exported import load_experiment


def latent_walk(model, path="spherical", rows=8, steps=10, seed=0, labels=None):
    """A walk through the latent space in every row.

    Args:
        model: a `LatentModel` or an exported one.
        path: spherical or linear, from one draw of z to another; traversal, one latent dimension a row from -3 to 3, those that change
            the image most, the others fixed; manifold, for 2-D codes: the whole plane, by quantiles of N(0, 1).
        rows, steps: of the picture.
        seed: of the draws.
        labels: for a conditional model one label, or two: then z stays, and the condition goes from one to the other. Where missing,
            every row has a class of its own.

    Returns:
        uint8 (rows * steps, h, w, c).

    Raises:
        UserError: labels that do not fit, or a manifold of another dimension.
    """
    check_choice("path", path, LATENT_PATHS)
    if labels is not None and len(labels) > 2:
        raise UserError(
            f"a walk takes one label, or goes from one to another, received labels={list(labels)}"
        )
    if labels is not None and len(labels) == 2:
        if path in ("traversal", "manifold"):
            raise UserError(f"a {path} takes one label, received labels={list(labels)}")
        z = np.repeat(model.latent(rows, seed), steps, axis=0)
        first, last = (
            condition_inputs(np.full(rows, label), rows, model.classes)[0] for label in labels
        )
        share = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
        return model.generate(
            z,
            np.concatenate([(1 - share) * a + share * b for a, b in zip(first, last, strict=True)]),
        )
    if path == "traversal":
        z = traverse(model, rows, steps, seed, labels)
    elif path == "manifold":
        z, rows, steps = manifold(model, steps)
    else:
        z = interpolate(np.asarray(model.latent(2 * rows, seed)), steps, path)
    if labels is None and model.classes:
        labels = np.repeat(np.arange(rows) % model.classes, steps)
    return model.generate(z, None if labels is None else np.resize(labels, len(z)))


def interpolate(ends, steps, path):
    """From the first half of the codes to the second, `steps` each: (2 rows, d) -> (rows * steps, d).

    Spherical: sin((1 - t) a) / sin a * first + sin(t a) / sin a * last, a the angle between them (Shoemake 1985), which keeps the length
    that a Gaussian code is expected to have; linear codes in between are shorter.
    """
    first, last = np.split(ends, 2)
    t = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    if path == "linear":
        return np.concatenate([(1 - t) * a + t * b for a, b in zip(first, last, strict=True)])
    cosine = np.sum(first * last, axis=1) / (
        np.linalg.norm(first, axis=1) * np.linalg.norm(last, axis=1)
    )
    angles = np.arccos(np.clip(cosine, -1, 1))
    walks = []
    for a, b, angle in zip(first, last, angles, strict=True):
        if (
            np.sin(angle) < 1e-3
        ):  # the codes point the same way or opposite ways: there is no one circle between them
            walks.append((1 - t) * a + t * b)
        else:
            walks.append((np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle))
    return np.concatenate(walks).astype(np.float32)


def traverse(model, rows, steps, seed, labels):
    """Codes in which one dimension moves from -3 to 3, the `rows` ones that move the image most: (rows * steps, d)."""
    base = np.asarray(model.latent(1, seed))
    dimensions = base.shape[1]
    if rows > dimensions:
        raise UserError(f"the code has {dimensions} dimensions, received rows={rows}")
    ends = np.repeat(base, 2 * dimensions, axis=0)
    for i in range(dimensions):
        ends[2 * i : 2 * i + 2, i] = (-3, 3)
    label = (
        None if not model.classes else np.full(2 * dimensions, 0 if labels is None else labels[0])
    )
    images = model.generate(ends, label).astype(np.float32)
    change = np.abs(images[::2] - images[1::2]).mean(axis=(1, 2, 3))
    z = np.repeat(base, rows * steps, axis=0)
    for row, i in enumerate(np.argsort(-change)[:rows]):
        z[row * steps : (row + 1) * steps, i] = np.linspace(-3, 3, steps)
    return z


def manifold(model, steps):
    """The plane of a 2-D code at the quantiles of N(0, 1): (steps * steps, 2), steps, steps."""
    if model.latent(1, 0).shape[1] != 2:
        raise UserError(
            f"the manifold is for codes of 2 dimensions, received model.latent_dim={model.latent(1, 0).shape[1]}"
        )
    quantiles = tf.math.ndtri(np.linspace(0.02, 0.98, steps)).numpy().astype(np.float32)
    across, down = np.meshgrid(quantiles, -quantiles)
    return np.stack([across.ravel(), down.ravel()], axis=1), steps, steps


def check_encoder(model):
    if not model.encodes:
        raise UserError(
            "this model does not encode images: reconstructions are for auto-encoders such as VAE"
        )


def reconstruct(model, images, labels=None, columns=16):
    """Every image above its reconstruction: uint8 (n, h, w, c) -> uint8, rows of originals and of reconstructions in turn."""
    check_encoder(model)
    again = model.reconstruct(images, labels)
    blank = np.full((-len(images) % columns, *images.shape[1:]), 255, np.uint8)
    rows = [
        np.concatenate([part, blank]).reshape(-1, columns, *images.shape[1:])
        for part in (images, again)
    ]
    return np.stack(rows, axis=1).reshape(-1, *images.shape[1:])


def reconstruction_images(source, model, paths, n, seed, overrides=()):
    """Images to reconstruct: the given files, or n of the data set that the model was trained on (of its test split, if there is one).

    Returns:
        uint8 (n, h, w, c), labels (n,) or None.
    """
    size, _, channels = model.image_shape
    if paths:
        try:
            return np.stack(
                [image_folder.decode_square(path, size, channels) for path in paths]
            ), None
        except (OSError, ValueError, SyntaxError) as error:
            raise UserError(f"not an image that can be read: {error}") from None
    experiment = load_experiment(source)
    if experiment is None:
        raise UserError(f"{source} does not say what it was trained on: give image files")
    config = experiment.override(
        *overrides, *(["data.split=test"] if experiment.data.dataset in WITH_TEST_SPLIT else [])
    ).data
    images = load_images(config, size, channels)
    if images.images is None:
        raise UserError("the data set is not in memory: give image files")
    chosen = np.random.default_rng(seed).permutation(len(images))[:n]
    return images.images[chosen], images.labels[chosen] if model.classes else None
