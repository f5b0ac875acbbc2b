"""What the adversarial models share: the step of Goodfellow et al. 2014 (Algorithm 1) and the options that later papers added to it.

Step, on a batch of discriminator_steps equal parts:
    for every part but the last:  one step of D
    on the last part:             one step of D and one of G, both from the same point and over the same fakes
    if ema_decay:                 the average of G's weights follows G
"""

import dataclasses

import numpy as np
import tensorflow as tf

from tfgan_zoo.config import ModelConfig
from tfgan_zoo.errors import UserError, check_at_least, check_choice
from tfgan_zoo.losses import OBJECTIVES, gradient_penalty, r1_penalty
from tfgan_zoo.models.base import cosine_decay, update_ema
from tfgan_zoo.models.diff_augment import diff_augment
from tfgan_zoo.models.latent import LatentModel, network_inputs
from tfgan_zoo.models.replicated import batch_size_of
from tfgan_zoo.optimizers import Adam


@dataclasses.dataclass(frozen=True)
class AdversarialConfig(ModelConfig):
    """Everything about the game; the networks' own fields stand with the networks."""

    image_size: int = 64  # pixels, square
    channels: int = 3
    latent_dim: int = 100  # of z ~ N(0, I)
    objective: str = "non_saturating"  # or minimax, least_squares, hinge, wasserstein
    label_smoothing: float = (
        0.0  # D's target for real images is 1 - label_smoothing (Salimans et al. 2016)
    )
    penalty: str = "none"  # on D: gradient (Gulrajani et al. 2017), r1 (Mescheder et al. 2018)
    penalty_weight: float = 10.0  # lambda of the gradient penalty, gamma of R1
    discriminator_steps: int = (
        1  # steps of D for one of G, k in Goodfellow et al. 2014; each has data.batch_size images
    )
    discriminator_norm: str = (
        "none"  # what the model's file offers, and spectral (Miyato et al. 2018)
    )
    diff_augment: str = ""  # DiffAugment (Zhao et al. 2020): any of color,translation,cutout
    ema_decay: float = (
        0.0  # samples come from an average of G's weights with this decay per step; 0: from G
    )
    learning_rate: float = 2e-4  # Adam, both players
    discriminator_learning_rate: float = (
        0.0  # D's own (Heusel et al. 2017, "two time-scale update rule"); 0: the same
    )
    decay_steps: int = (
        0  # steps over which both learning rates fall to 0 along a cosine; 0: they stay
    )
    beta_1: float = 0.5
    beta_2: float = 0.999

    task = "generate"

    def __post_init__(self):
        check_at_least(
            1, image_size=self.image_size, channels=self.channels, latent_dim=self.latent_dim
        )
        check_at_least(1, discriminator_steps=self.discriminator_steps)
        check_at_least(
            0,
            penalty_weight=self.penalty_weight,
            learning_rate=self.learning_rate,
            decay_steps=self.decay_steps,
        )
        check_at_least(0, discriminator_learning_rate=self.discriminator_learning_rate)
        check_choice("objective", self.objective, OBJECTIVES)
        check_choice("penalty", self.penalty, ("none", "gradient", "r1"))
        for name in ("label_smoothing", "ema_decay", "beta_1", "beta_2"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(
                    f"{name} must be in [0, 1), received {name}={getattr(self, name)!r}"
                )
        if self.label_smoothing and self.objective in ("hinge", "wasserstein"):
            raise UserError(
                f"objective {self.objective} has no targets to smooth, received label_smoothing={self.label_smoothing}"
            )
        if self.penalty != "none" and self.discriminator_norm == "batch":
            raise UserError(
                f"a penalty needs the gradient of each image alone, which batch norm mixes: set "
                f"model.discriminator_norm=none or spectral, received penalty={self.penalty!r}"
            )


class AdversarialModel(LatentModel):
    """A generator G and a discriminator D; a subclass defines `build_generator()` and `build_discriminator()`.

    Both networks of a conditional model take the condition as their second input: G(z, y), D(x, y).
    """

    def build_networks(self):
        self.generator = (
            self.build_generator()
        )  # z (n, latent_dim) -> image (n, s, s, c) in [-1, 1]
        self.discriminator = self.build_discriminator()  # image -> logit (n, 1)
        self.generator_average = self.build_generator() if self.config.ema_decay else None
        if self.generator_average is not None:
            self.generator_average.set_weights(self.generator.get_weights())

    def players(self):
        return {"generator": [self.generator], "discriminator": [self.discriminator]}

    def make_optimizer(self, player):
        rate, updates = self.config.learning_rate, 1  # in one training step
        if player == "discriminator":
            rate, updates = (
                self.config.discriminator_learning_rate or rate,
                self.config.discriminator_steps,
            )
        rate = cosine_decay(rate, self.config.decay_steps * updates)
        return Adam(rate, beta_1=self.config.beta_1, beta_2=self.config.beta_2)

    @property
    def batches_per_step(self):
        return self.config.discriminator_steps

    def call(self, inputs, training=False):
        network = (
            self.generator if self.generator_average is None or training else self.generator_average
        )
        return network(inputs, training=training)

    def train_step(self, data):
        *earlier, last = split_batch(self.unpack_batch(data), self.config.discriminator_steps)
        for turn, batch in enumerate(earlier):
            self.descend(
                lambda batch=batch, turn=turn: self.compute_losses(batch, turn),
                only=["discriminator"],
            )
        losses = self.descend(lambda: self.compute_losses(last, turn=len(earlier)))
        if self.generator_average is not None:
            update_ema(self.generator_average, self.generator, self.config.ema_decay)
        return self.report(**losses)

    def compute_losses(self, batch, turn=0):
        config, objective = self.config, OBJECTIVES[self.config.objective]
        real, *condition = batch  # x, and y if the model is conditional
        z = self.noise((batch_size_of(real), config.latent_dim), stream=f"z {turn}")
        fake = self.generator(network_inputs(z, *condition), training=True)  # G(z)
        real_logits = self.discriminate(real, condition, f"augment real {turn}")  # D(x)
        fake_logits = self.discriminate(fake, condition, f"augment fake {turn}")  # D(G(z))
        losses = {
            "discriminator": objective.discriminator(
                real_logits, fake_logits, config.label_smoothing
            ),
            "generator": objective.generator(fake_logits),
            "real_logits": tf.reduce_mean(real_logits),
            "fake_logits": tf.reduce_mean(fake_logits),
        }
        if config.penalty != "none":
            losses["penalty"] = self.penalty(real, fake, condition, turn)
            losses["discriminator"] += config.penalty_weight * losses["penalty"]
        return losses

    def discriminate(self, images, condition, stream):
        """D(T(images)), T the augmentation that real and fake images both pass before D sees them."""
        if self.config.diff_augment:
            images = diff_augment(images, self.config.diff_augment, self.seed_of(stream))
        return tf.cast(
            self.discriminator(network_inputs(images, *condition), training=True), tf.float32
        )

    def penalty(self, real, fake, condition, turn):
        def critic(images):
            return self.discriminate(images, condition, f"augment penalty {turn}")

        if self.config.penalty == "r1":
            return r1_penalty(critic, real)
        alpha = self.noise(
            (batch_size_of(real), 1, 1, 1), stream=f"alpha {turn}", distribution="uniform"
        )
        return gradient_penalty(critic, real, tf.cast(fake, real.dtype), alpha)

    def diagnose(self, losses):
        """Warns when D has won: its logits part ways (a sigmoid beyond 0.997 on both sides), or all samples look the same."""
        found = {}
        real, fake = losses["real_logits"], losses["fake_logits"]
        if (
            real - fake > 12 and self.config.objective != "wasserstein"
        ):  # a Wasserstein critic's logits have no scale
            found["saturation"] = (
                f"the discriminator has won: mean logits of {real:.1f} for real and {fake:.1f} for generated images leave the generator "
                "little to learn from. Try model.label_smoothing=0.1, a lower model.learning_rate or model.diff_augment=translation,cutout"
            )
        one_class = (
            np.eye(1, self.classes, dtype=np.float32) if self.classes else None
        )  # classes must not hide alike images
        spread = self.sample(32, labels=one_class).astype("float32").std(axis=0).mean() / 127.5
        if (
            spread < 0.02 and self.step >= 500
        ):  # before, they all look alike because nothing is learned yet
            found["collapse"] = (
                "samples all look alike (mode collapse). Try another train.seed, or model.discriminator_norm=spectral"
            )
        return found


def split_batch(batch, parts):
    """The batch in equal parts, one for each step of D."""
    if parts == 1:
        return [batch]
    if batch[0].shape[0] is None or batch[0].shape[0] % parts:
        raise UserError(
            f"discriminator_steps={parts} needs batches of a fixed size that it divides, received a batch of {batch[0].shape[0]}"
        )
    return list(zip(*(tf.split(tensor, parts) for tensor in batch), strict=True))
