"""Adversarial training, shared by GAN, DCGAN and CGAN: the step and the options of later papers.

Training step (Goodfellow et al. 2014, Algorithm 1, with k = `discriminator_steps`), on a batch that
is split into k equal parts:

    for each part but the last:  one optimizer step of D
    on the last part:            one optimizer step of D and one of G, from the same weights
    if ema_decay:                update the exponential moving average of G's weights

Each model's `compute_losses` has the losses of a part.
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.config import ModelConfig
from tfgan_zoo.errors import MAX_COUNT, MAX_FLOAT, UserError, check_choice, check_range
from tfgan_zoo.losses import (
    OBJECTIVES,
    WITHOUT_TARGETS,
    gradient_penalty,
    r1_penalty,
    r1_r2_penalty,
)
from tfgan_zoo.models.base import batch_size_of, cosine_decay, update_ema
from tfgan_zoo.models.diff_augment import diff_augment, policy_names
from tfgan_zoo.models.latent import LatentModel, network_inputs
from tfgan_zoo.models.replicated import dtype_policy_scope
from tfgan_zoo.optimizers import Adam


@dataclasses.dataclass(frozen=True)
class AdversarialConfig(ModelConfig):
    """Options of adversarial training. The papers' files add the options of their networks."""

    image_size: int = 64  # pixels, square
    channels: int = 3  # of the images
    latent_dim: int = 100  # of z ~ N(0, I)
    objective: str = "non_saturating"  # minimax, least_squares, hinge, wasserstein, relativistic
    label_smoothing: float = 0.0  # real images: target 1 - label_smoothing (Salimans et al. 2016)
    penalty: str = "none"  # on D: gradient (WGAN-GP), r1 (Mescheder 2018) or r1_r2 (Huang 2024)
    penalty_weight: float = 10.0  # lambda of the gradient penalty, gamma of R1 and R2
    penalty_interval: int = 1  # steps between penalties, weighted by it (Karras et al. 2020)
    discriminator_steps: int = 1  # D steps per G step, each on data.batch_size images
    discriminator_norm: str = "none"  # of D: none, batch (not GAN) or spectral (Miyato et al. 2018)
    diff_augment: str = ""  # DiffAugment (Zhao et al. 2020): any of color,translation,cutout
    frozen_layers: int = 0  # first layers of D that are not trained (FreezeD, Mo et al. 2020)
    ema_decay: float = 0.0  # highest decay of the average of G's weights, per step; 0: no average
    learning_rate: float = 2e-4  # of Adam, for both players
    discriminator_learning_rate: float = 0.0  # of Adam for D (Heusel et al. 2017); 0: learning_rate
    decay_steps: int = 0  # steps over which both rates fall to 0 along a cosine; 0: constant
    beta_1: float = 0.5  # of Adam: decay of the mean of the gradients
    beta_2: float = 0.999  # of Adam: decay of the mean of their squares

    task = "generate"

    def __post_init__(self):
        check_range(1, 256, image_size=self.image_size)
        check_range(1, 64, channels=self.channels)
        check_range(1, 10_000, latent_dim=self.latent_dim)
        check_range(1, 1000, discriminator_steps=self.discriminator_steps)
        check_range(0, MAX_FLOAT, penalty_weight=self.penalty_weight)
        check_range(1, 1000, penalty_interval=self.penalty_interval)
        check_range(0, MAX_FLOAT, learning_rate=self.learning_rate)
        check_range(0, MAX_FLOAT, discriminator_learning_rate=self.discriminator_learning_rate)
        check_range(0, MAX_COUNT, decay_steps=self.decay_steps)
        check_range(0, 64, frozen_layers=self.frozen_layers)
        check_choice("objective", self.objective, OBJECTIVES)
        check_choice("discriminator_norm", self.discriminator_norm, ("none", "batch", "spectral"))
        policy_names(self.diff_augment)  # raises for an unknown name
        check_choice("penalty", self.penalty, ("none", "gradient", "r1", "r1_r2"))
        for name in ("label_smoothing", "ema_decay", "beta_1", "beta_2"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} must be in [0, 1), got {getattr(self, name)!r}.")
        if self.label_smoothing and self.objective in WITHOUT_TARGETS:
            raise UserError(
                f"label_smoothing must be 0 with objective={self.objective}, which has no target "
                f"labels, got {self.label_smoothing}."
            )
        if self.penalty == "none" and self.penalty_interval > 1:
            raise UserError(
                f"penalty_interval={self.penalty_interval} needs a penalty: set "
                "model.penalty=gradient, r1 or r1_r2, got penalty=none."
            )
        if self.penalty != "none" and self.discriminator_norm == "batch":
            raise UserError(
                f"penalty={self.penalty} needs the gradient of each image alone, and batch norm "
                "mixes images: set model.discriminator_norm=none or spectral, got batch."
            )


class AdversarialModel(LatentModel):
    """A generator G and a discriminator D that are trained against each other.

    A subclass creates `generator` and `discriminator` in `build_networks` and defines
    `compute_losses(batch)`, which returns a loss for each of the players "generator" and
    "discriminator". In a conditional model both networks take the condition as their second input:
    G(z, y), D(x, y).
    """

    measures_overfitting = True

    def __init__(self, config=None, dtype=None, **kwargs):
        super().__init__(config, dtype, **kwargs)
        self.generator_average = None
        if self.config.ema_decay:
            with dtype_policy_scope(self.dtype_policy):
                self.generator_average = keras.models.clone_model(self.generator)
            self.generator_average.set_weights(self.generator.get_weights())

    def players(self):
        return {"generator": [self.generator], "discriminator": [self.discriminator]}

    def make_optimizer(self, player):
        config = self.config
        rate, steps = config.learning_rate, config.decay_steps
        if player == "discriminator":
            rate = config.discriminator_learning_rate or rate
            steps *= config.discriminator_steps
        return Adam(cosine_decay(rate, steps), beta_1=config.beta_1, beta_2=config.beta_2)

    @property
    def batches_per_step(self):
        """Batches of `data.batch_size` images per training step: one for every step of D."""
        return self.config.discriminator_steps

    def call(self, inputs, training=False):
        """Generate images in [-1, 1] from z, or from (z, condition)."""
        average = self.generator_average
        network = self.generator if training or average is None else average
        return network(inputs, training=training)

    def train_step(self, data):
        *earlier, last = split_batch(self.unpack_batch(data), self.config.discriminator_steps)
        for substep, batch in enumerate(earlier):
            self.descend(
                lambda batch=batch: self.compute_losses(batch),
                only=["discriminator"],
                substep=substep,
            )
        losses = self.descend(lambda: self.compute_losses(last), substep=len(earlier))
        if self.generator_average is not None:
            update_ema(
                self.generator_average, self.generator, self.config.ema_decay, self.step.value
            )
        return self.report(**losses)

    def overfitting(self, training, held_out):
        """Measure how far D memorizes its training images.

        A discriminator that overfits gives held-out real images lower logits than training images.
        In the end it treats them like generated images, and G learns to copy training images or
        diverges. The statistic is

            r = (mean D(training) - mean D(held-out)) / (mean D(training) - mean D(G(z)))

        It is about 0 without overfitting, and 1 if D treats held-out images like generated ones.
        It needs no absolute scale of the logits, so it is valid for every objective. All networks
        run with `training=False`, and no state changes.

        Args:
            training: a batch of training images, see `unpack_batch`.
            held_out: a batch of real images that are not trained on. Few images give a noisy mean.

        Returns:
            `{name: float}`: "train_logits" and "held_out_logits", the mean logits, and
            "overfitting", which is r. It has no r while D does not give training images higher
            logits than generated ones.

        Reference:
            Karras et al. 2020, Training Generative Adversarial Networks with Limited Data,
            arXiv 2006.06676, equation 1.
        """

        def mean_logits(images, *condition):
            logits = self.discriminate(images, *condition, stream="overfitting", training=False)
            return float(tf.reduce_mean(logits))

        real, *condition = self.unpack_batch(training)
        z = tf.convert_to_tensor(self.latent(batch_size_of(real), seed=0))
        fake = self.generator(network_inputs(z, *condition), training=False)
        train, test = mean_logits(real, *condition), mean_logits(*self.unpack_batch(held_out))
        generated = mean_logits(fake, *condition)
        logits = {"train_logits": train, "held_out_logits": test}
        if train <= generated:
            return logits
        return {**logits, "overfitting": (train - test) / (train - generated)}

    # --- What the papers' `compute_losses` call.

    def discriminate(self, images, *condition, stream, training=True):
        """Return D(T(images)), where T is the differentiable augmentation of the config.

        Real and generated images pass the same kind of augmentation (`diff_augment`, which is off
        by default).

        Args:
            images: float (n, s, s, c) in [-1, 1].
            *condition: float32 (n, classes), for a conditional model.
            stream: str, the name of the augmentation's random numbers. Give real and generated
                images different names.
            training: mode of D.

        Returns:
            float32 logits (n, 1).
        """
        if self.config.diff_augment:
            seed = self.seed_of(f"augment {stream}")
            images = diff_augment(images, self.config.diff_augment, seed)
        logits = self.discriminator(network_inputs(images, *condition), training=training)
        return tf.cast(logits, tf.float32)

    def adversarial_losses(self, real_logits, fake_logits):
        """Return the losses of both players by the objective of the config (see `losses.py`).

        Args:
            real_logits: D's logits for real images.
            fake_logits: D's logits for generated images.

        Returns:
            A dict: the losses "discriminator" and "generator", and the mean logits "real_logits"
            and "fake_logits".
        """
        objective = OBJECTIVES[self.config.objective]
        return {
            "discriminator": objective.discriminator(
                real_logits, fake_logits, self.config.label_smoothing
            ),
            "generator": objective.generator(real_logits, fake_logits),
            "real_logits": tf.reduce_mean(real_logits),
            "fake_logits": tf.reduce_mean(fake_logits),
        }

    def add_penalty(self, losses, real, fake, *condition, training=True):
        """Add the penalty of the config to D's loss. Without one, return the losses unchanged.

        With a `penalty_interval` of k, only the training steps 0, k, 2 k, ... compute the penalty,
        multiplied by k (lazy regularization, Karras et al. 2020, arXiv 1912.04958, section 3.1).
        Then the mean of the penalty over the steps of an epoch estimates what it is for k = 1. An
        evaluation (`training=False`) computes the penalty of every batch, unscaled. Adam's rate and
        betas are not adapted to the interval.

        Args:
            losses: as `adversarial_losses` returns them.
            real: real images (n, s, s, c).
            fake: generated images (n, s, s, c).
            *condition: float32 (n, classes), for a conditional model.
            training: mode of D.

        Returns:
            The losses, with the entry "penalty" before its weight, 0 in steps without it.
        """
        if self.config.penalty == "none":
            return losses

        def critic(images):
            return self.discriminate(images, *condition, stream="penalty", training=training)

        def compute_penalty():
            if self.config.penalty == "r1":
                return r1_penalty(critic, real)
            if self.config.penalty == "r1_r2":
                return r1_r2_penalty(critic, real, fake)
            alpha = self.noise((batch_size_of(real), 1, 1, 1), "alpha", distribution="uniform")
            return gradient_penalty(critic, real, tf.cast(fake, real.dtype), alpha)

        interval = self.config.penalty_interval
        if interval == 1 or not training:
            penalty = compute_penalty()
        else:
            penalty = tf.cond(
                tf.equal(self.step.value % interval, 0),
                lambda: interval * compute_penalty(),
                lambda: tf.constant(0.0),
            )
        discriminator = losses["discriminator"] + self.config.penalty_weight * penalty
        return {**losses, "discriminator": discriminator, "penalty": penalty}

    def diagnose(self, losses):
        """Detect a discriminator that has won, and mode collapse.

        D has won if its mean logits are more than 12 apart, a sigmoid beyond 0.997 on both sides.
        The relativistic objective has the sigmoid of the difference, which is then 1 - 6e-6. In
        mode collapse all samples are almost equal.
        """
        failures = {}
        real, fake = losses["real_logits"], losses["fake_logits"]
        # The logits of a Wasserstein critic have no scale.
        if real - fake > 12 and self.config.objective != "wasserstein":
            advice = "model.label_smoothing=0.1"
            if self.config.objective in WITHOUT_TARGETS:
                advice = "a penalty (model.penalty=r1_r2) or a larger model.penalty_weight"
            failures["saturation"] = (
                f"the discriminator has won: mean logits of {real:.1f} for real and {fake:.1f} for "
                f"generated images give the generator almost no gradient. Try {advice}, a lower "
                "model.learning_rate or model.diff_augment=translation,cutout"
            )
        # Samples of one class: the differences between classes would hide a collapse.
        labels = np.eye(1, self.classes, dtype=np.float32) if self.classes else None
        deviation = self.sample(32, labels=labels).astype("float32").std(axis=0).mean() / 127.5
        # In the first steps all samples are almost equal, because nothing is learned yet.
        if deviation < 0.02 and self.step >= 500:
            failures["collapse"] = (
                "all samples are almost equal (mode collapse). Try another train.seed, or "
                "model.discriminator_norm=spectral"
            )
        return failures


def split_batch(batch, parts):
    """Split a batch into equal parts, one for each step of D.

    Args:
        batch: a tuple of tensors with the same static first dimension.
        parts: int.

    Returns:
        A list of `parts` tuples of tensors.

    Raises:
        UserError: the batch size is unknown or not a multiple of `parts`.
    """
    if parts == 1:
        return [batch]
    size = batch[0].shape[0]
    if size is None or size % parts:
        raise UserError(
            f"the batch size must be fixed and a multiple of discriminator_steps={parts}, "
            f"got {size}."
        )
    return list(zip(*(tf.split(tensor, parts) for tensor in batch), strict=True))
