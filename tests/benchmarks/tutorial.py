"""One training step of each model as a straightforward tutorial writes it (in the manner of keras.io and tensorflow.org, in our own words).

The networks are those of the zoo, made by its own functions from the same config, but with Keras' own layers where the zoo has faster or
other ones. One `keras.optimizers.Adam` a network. What a tutorial does not have (the history of images of CycleGAN) is not here; what the
preset asks for and a tutorial would write as a loop (the average of G's weights) is. Used by compare.py.
"""

import keras
import tensorflow as tf

from tfgan_zoo.layers import (
    BatchNormalization,
    Cropping2D,
    Dropout,
    InstanceNormalization,
    UpsamplingConv2DTranspose,
)
from tfgan_zoo.models import MODELS, fast_style, pix2pix
from tfgan_zoo.models.blocks import resnet_generator

cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
squared_error = keras.losses.MeanSquaredError()


def plain(network):
    """A copy with Keras' own layers in place of the zoo's."""

    def same(layer):
        if isinstance(layer, Dropout):
            return keras.layers.Dropout(layer.rate)
        if isinstance(layer, InstanceNormalization):
            return keras.layers.GroupNormalization(
                groups=-1, epsilon=layer.epsilon, center=layer.affine, scale=layer.affine
            )
        if isinstance(layer, BatchNormalization):
            return keras.layers.BatchNormalization(momentum=layer.momentum, epsilon=layer.epsilon)
        if isinstance(layer, UpsamplingConv2DTranspose):
            return keras.layers.Conv2DTranspose(
                layer.filters, 3, strides=2, padding="same", use_bias=layer.use_bias
            )
        if isinstance(layer, Cropping2D):
            return keras.layers.Cropping2D(layer.cropping)
        return type(layer).from_config(layer.get_config())

    return keras.models.clone_model(network, clone_function=same)


def adam(config):
    return keras.optimizers.Adam(
        config.learning_rate,
        beta_1=getattr(config, "beta_1", 0.9),
        beta_2=getattr(config, "beta_2", 0.999),
    )


class Adversarial(keras.Model):
    """Two networks that play: D learns from fakes of one pass of G, G from those of another."""

    def __init__(self, kind, config):
        super().__init__()
        zoo = MODELS[kind](config)
        self.config, self.conditional = config, zoo.needs_labels
        self.generator, self.discriminator = plain(zoo.generator), plain(zoo.discriminator)
        self.average = plain(zoo.generator) if config.ema_decay else None
        self.d_optimizer, self.g_optimizer = adam(config), adam(config)
        self.d_loss, self.g_loss = (
            keras.metrics.Mean(name="d_loss"),
            keras.metrics.Mean(name="g_loss"),
        )

    @property
    def metrics(self):
        return [self.d_loss, self.g_loss]

    def train_step(self, data):
        real, labels = data if self.conditional else (data, None)
        n = tf.shape(real)[0]
        condition = tf.one_hot(labels, self.config.classes) if self.conditional else None

        z = tf.random.normal((n, self.config.latent_dim))
        fake = self.generator((z, condition) if self.conditional else z, training=True)
        images = tf.concat([fake, real], axis=0)
        both = (images, tf.concat([condition, condition], axis=0)) if self.conditional else images
        targets = tf.concat(
            [tf.zeros((n, 1)), tf.ones((n, 1)) - self.config.label_smoothing], axis=0
        )
        with tf.GradientTape() as tape:
            d_loss = cross_entropy(targets, self.discriminator(both, training=True))
        gradients = tape.gradient(d_loss, self.discriminator.trainable_weights)
        self.d_optimizer.apply_gradients(
            zip(gradients, self.discriminator.trainable_weights, strict=True)
        )

        z = tf.random.normal((n, self.config.latent_dim))
        with tf.GradientTape() as tape:
            fake = self.generator((z, condition) if self.conditional else z, training=True)
            logits = self.discriminator(
                (fake, condition) if self.conditional else fake, training=True
            )
            g_loss = cross_entropy(tf.ones((n, 1)), logits)
        gradients = tape.gradient(g_loss, self.generator.trainable_weights)
        self.g_optimizer.apply_gradients(
            zip(gradients, self.generator.trainable_weights, strict=True)
        )

        if self.average is not None:
            for mean, weight in zip(self.average.weights, self.generator.weights, strict=True):
                mean.assign(self.config.ema_decay * mean + (1.0 - self.config.ema_decay) * weight)
        self.d_loss.update_state(d_loss)
        self.g_loss.update_state(g_loss)
        return {"d_loss": self.d_loss.result(), "g_loss": self.g_loss.result()}


class Autoencoder(keras.Model):
    """Encoder and decoder, cross-entropy of pixels behind a sigmoid, three trackers."""

    def __init__(self, kind, config):
        super().__init__()
        zoo = MODELS[kind](config)
        self.encoder, self.decoder = plain(zoo.encoder), plain(zoo.decoder)
        self.optimizer_of_both = adam(config)
        self.trackers = [
            keras.metrics.Mean(name=name) for name in ("loss", "reconstruction_loss", "kl_loss")
        ]

    @property
    def metrics(self):
        return self.trackers

    def train_step(self, data):
        x = (data + 1.0) / 2.0
        with tf.GradientTape() as tape:
            mean, log_variance = self.encoder(x, training=True)
            z = mean + tf.exp(0.5 * log_variance) * tf.random.normal(tf.shape(mean))
            reconstruction = tf.sigmoid(self.decoder(z, training=True))
            by_pixel = keras.losses.binary_crossentropy(x, reconstruction)
            reconstruction_loss = tf.reduce_mean(tf.reduce_sum(by_pixel, axis=(1, 2)))
            kl = -0.5 * (1.0 + log_variance - tf.square(mean) - tf.exp(log_variance))
            kl_loss = tf.reduce_mean(tf.reduce_sum(kl, axis=1))
            loss = reconstruction_loss + kl_loss
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer_of_both.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        for tracker, value in zip(self.trackers, (loss, reconstruction_loss, kl_loss), strict=True):
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.trackers}


def by_keras(model, networks):
    """The step of a `keras.Model`, driven as `fit` drives it, and its networks."""
    model.compile(optimizer=None, jit_compile="auto")

    def over(batch):
        iterator = iter(tf.data.Dataset.from_tensors(batch).repeat())
        model.make_train_function()
        return lambda: {
            name: float(value) for name, value in model.train_function(iterator).items()
        }

    return over, networks


def adversarial(kind, config):
    model = Adversarial(kind, config)
    return by_keras(model, {"generator": [model.generator], "discriminator": [model.discriminator]})


def autoencoder(kind, config):
    model = Autoencoder(kind, config)
    return by_keras(model, {"vae": [model.encoder, model.decoder]})


def by_function(train_step, networks):
    """The step of a `tf.function` of a batch's tensors, and its networks."""

    def over(batch):
        tensors = (
            [tf.constant(each) for each in batch]
            if isinstance(batch, tuple)
            else [tf.constant(batch)]
        )
        return lambda: [float(loss) for loss in train_step(*tensors)]

    return over, networks


def paired(kind, config):
    """One pass of G, two tapes, two updates."""
    generator, discriminator = (
        plain(pix2pix.generator(config)),
        plain(pix2pix.discriminator(config)),
    )
    g_optimizer, d_optimizer = adam(config), adam(config)

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            fake = generator(x, training=True)
            real_logits = discriminator(tf.concat([x, y], axis=-1), training=True)
            fake_logits = discriminator(tf.concat([x, fake], axis=-1), training=True)
            g_loss = cross_entropy(
                tf.ones_like(fake_logits), fake_logits
            ) + config.l1_weight * tf.reduce_mean(tf.abs(y - fake))
            d_loss = cross_entropy(tf.ones_like(real_logits), real_logits) + cross_entropy(
                tf.zeros_like(fake_logits), fake_logits
            )
            d_loss *= config.discriminator_weight
        g_gradients = g_tape.gradient(g_loss, generator.trainable_variables)
        d_gradients = d_tape.gradient(d_loss, discriminator.trainable_variables)
        g_optimizer.apply_gradients(zip(g_gradients, generator.trainable_variables, strict=True))
        d_optimizer.apply_gradients(
            zip(d_gradients, discriminator.trainable_variables, strict=True)
        )
        return g_loss, d_loss

    return by_function(train_step, {"generator": [generator], "discriminator": [discriminator]})


def unpaired(kind, config):
    """Six passes of generators and four of discriminators under one tape, four gradients, four updates."""
    g, f = (plain(resnet_generator(config)) for _ in range(2))
    zoo = MODELS[kind](config)
    d_x, d_y = plain(zoo.d_x), plain(zoo.d_y)
    optimizers = [adam(config) for _ in range(4)]

    def judged(real, fake):
        return 0.5 * (
            squared_error(tf.ones_like(real), real) + squared_error(tf.zeros_like(fake), fake)
        )

    def distance(a, b):
        return tf.reduce_mean(tf.abs(a - b))

    @tf.function
    def train_step(x, y):
        with tf.GradientTape(persistent=True) as tape:
            fake_y = g(x, training=True)
            cycled_x = f(fake_y, training=True)
            fake_x = f(y, training=True)
            cycled_y = g(fake_x, training=True)
            same_x, same_y = f(x, training=True), g(y, training=True)
            real_x_logits, real_y_logits = d_x(x, training=True), d_y(y, training=True)
            fake_x_logits, fake_y_logits = d_x(fake_x, training=True), d_y(fake_y, training=True)
            cycle = config.cycle_weight * (distance(x, cycled_x) + distance(y, cycled_y))
            identity_weight = config.cycle_weight * config.identity_weight
            g_loss = (
                squared_error(tf.ones_like(fake_y_logits), fake_y_logits)
                + cycle
                + identity_weight * distance(y, same_y)
            )
            f_loss = (
                squared_error(tf.ones_like(fake_x_logits), fake_x_logits)
                + cycle
                + identity_weight * distance(x, same_x)
            )
            d_x_loss, d_y_loss = (
                judged(real_x_logits, fake_x_logits),
                judged(real_y_logits, fake_y_logits),
            )
        losses = (g_loss, f_loss, d_x_loss, d_y_loss)
        gradients = [
            tape.gradient(loss, network.trainable_variables)
            for loss, network in zip(losses, (g, f, d_x, d_y), strict=True)
        ]
        for optimizer, found, network in zip(optimizers, gradients, (g, f, d_x, d_y), strict=True):
            optimizer.apply_gradients(zip(found, network.trainable_variables, strict=True))
        return losses

    return by_function(train_step, {"generator": [g, f], "discriminator": [d_x, d_y]})


def one_style(kind, config):
    """A pass of VGG19 for the picture that was made and one for its content; the style's Gram matrices are computed once."""
    generator, optimizer = plain(fast_style.generator(config)), adam(config)
    look = config.feature_network(fast_style.STYLE_LAYERS)

    def gram(features):
        shape = tf.shape(features)
        return tf.einsum("nhwc,nhwd->ncd", features, features) / tf.cast(
            shape[1] * shape[2], tf.float32
        )

    def error(found, target):
        return tf.reduce_mean(tf.square(found - target)) / tf.reduce_mean(tf.square(target))

    style = look(tf.constant(config.style_image()[None] / 127.5 - 1.0, tf.float32))
    targets = {layer: gram(features) for layer, features in style.items()}

    @tf.function
    def train_step(x):
        with tf.GradientTape() as tape:
            y = generator(x, training=True)
            made, content = look(y), look(x)
            style_loss = tf.add_n(
                [error(gram(made[layer]), target) for layer, target in targets.items()]
            ) / len(targets)
            content_loss = error(made[fast_style.CONTENT_LAYER], content[fast_style.CONTENT_LAYER])
            down, across = y[:, 1:] - y[:, :-1], y[:, :, 1:] - y[:, :, :-1]
            variation = tf.reduce_mean(tf.square(down)) + tf.reduce_mean(tf.square(across))
            loss = (
                config.content_weight * content_loss
                + config.style_weight * style_loss
                + config.variation_weight * variation
            )
        gradients = tape.gradient(loss, generator.trainable_variables)
        optimizer.apply_gradients(zip(gradients, generator.trainable_variables, strict=True))
        return (loss,)

    return by_function(train_step, {"generator": [generator]})


MAKERS = {
    "GAN": adversarial,
    "DCGAN": adversarial,
    "CGAN": adversarial,
    "VAE": autoencoder,
    "Pix2Pix": paired,
    "CycleGAN": unpaired,
    "FastStyle": one_style,
}


def make(kind, config, batch):
    """A function that does one step and reads its losses, and how many parameters every player has."""
    over, networks = MAKERS[kind](kind, config)
    step = over(batch)
    counts = {
        name: sum(int(tf.size(v)) for network in found for v in network.trainable_variables)
        for name, found in networks.items()
    }
    return step, counts
