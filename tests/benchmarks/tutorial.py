"""One training step of each model in the style of the tutorials of keras.io and tensorflow.org.

The networks are built by the zoo's functions from the same config, with Keras' layers instead of
the zoo's. Each network has one `keras.optimizers.Adam`. CycleGAN's history of images is left out,
as in the tutorials. The moving average of G's weights, which some presets use, is written as a
loop. Used by compare.py.
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


def with_keras_layers(network):
    """Copy a network with Keras' layers instead of the zoo's."""

    def convert(layer):
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

    return keras.models.clone_model(network, clone_function=convert)


def adam(config):
    fields = vars(config)
    return keras.optimizers.Adam(
        config.learning_rate, beta_1=fields.get("beta_1", 0.9), beta_2=fields.get("beta_2", 0.999)
    )


class Adversarial(keras.Model):
    """GAN whose D and G are trained on fakes of two separate passes of G."""

    def __init__(self, kind, config):
        super().__init__()
        zoo = MODELS[kind](config)
        self.config, self.conditional = config, zoo.needs_labels
        self.generator, self.discriminator = (
            with_keras_layers(zoo.generator),
            with_keras_layers(zoo.discriminator),
        )
        self.average = with_keras_layers(zoo.generator) if config.ema_decay else None
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
    """VAE with the cross-entropy of pixels after a sigmoid, and three metrics."""

    def __init__(self, kind, config):
        super().__init__()
        zoo = MODELS[kind](config)
        self.encoder, self.decoder = with_keras_layers(zoo.encoder), with_keras_layers(zoo.decoder)
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


def keras_step(model, networks):
    """Return a function batch -> training step, called as `fit` calls it, and the networks."""
    model.compile(optimizer=None, jit_compile="auto")

    def step_on(batch):
        iterator = iter(tf.data.Dataset.from_tensors(batch).repeat())
        model.make_train_function()
        return lambda: {
            name: float(value) for name, value in model.train_function(iterator).items()
        }

    return step_on, networks


def adversarial(kind, config):
    model = Adversarial(kind, config)
    return keras_step(
        model, {"generator": [model.generator], "discriminator": [model.discriminator]}
    )


def autoencoder(kind, config):
    model = Autoencoder(kind, config)
    return keras_step(model, {"vae": [model.encoder, model.decoder]})


def function_step(train_step, networks):
    """Return a function batch -> step of a `tf.function` of its tensors, and the networks."""

    def step_on(batch):
        arrays = batch if isinstance(batch, tuple) else (batch,)
        tensors = [tf.constant(array) for array in arrays]
        return lambda: [float(loss) for loss in train_step(*tensors)]

    return step_on, networks


def paired(kind, config):
    """Use one pass of G, two tapes and two updates."""
    generator, discriminator = (
        with_keras_layers(pix2pix.generator(config)),
        with_keras_layers(pix2pix.discriminator(config)),
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

    return function_step(train_step, {"generator": [generator], "discriminator": [discriminator]})


def unpaired(kind, config):
    """Use six generator and four discriminator passes on one tape, and four updates."""
    g, f = (with_keras_layers(resnet_generator(config)) for _ in range(2))
    zoo = MODELS[kind](config)
    d_x, d_y = with_keras_layers(zoo.d_x), with_keras_layers(zoo.d_y)
    optimizers = [adam(config) for _ in range(4)]

    def discriminator_loss(real, fake):
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
                discriminator_loss(real_x_logits, fake_x_logits),
                discriminator_loss(real_y_logits, fake_y_logits),
            )
        losses = (g_loss, f_loss, d_x_loss, d_y_loss)
        gradients = [
            tape.gradient(loss, network.trainable_variables)
            for loss, network in zip(losses, (g, f, d_x, d_y), strict=True)
        ]
        networks = (g, f, d_x, d_y)
        for optimizer, gradient, network in zip(optimizers, gradients, networks, strict=True):
            optimizer.apply_gradients(zip(gradient, network.trainable_variables, strict=True))
        return losses

    return function_step(train_step, {"generator": [g, f], "discriminator": [d_x, d_y]})


def one_style(kind, config):
    """Use two passes of VGG19, for the result and its content, and constant Gram matrices."""
    generator, optimizer = with_keras_layers(fast_style.generator(config)), adam(config)
    extract_features = config.feature_network(config.feature_layers)

    def gram(features):
        shape = tf.shape(features)
        return tf.einsum("nhwc,nhwd->ncd", features, features) / tf.cast(
            shape[1] * shape[2], tf.float32
        )

    def error(x, target):
        return tf.reduce_mean(tf.square(x - target)) / tf.reduce_mean(tf.square(target))

    style = extract_features(tf.constant(config.style_image()[None] / 127.5 - 1.0, tf.float32))
    targets = {layer: gram(style[layer]) for layer in config.style_layers}

    @tf.function
    def train_step(x):
        with tf.GradientTape() as tape:
            y = generator(x, training=True)
            features, content = extract_features(y), extract_features(x)
            style_loss = tf.add_n(
                [error(gram(features[layer]), target) for layer, target in targets.items()]
            ) / len(targets)
            content_loss = tf.add_n(
                [error(features[layer], content[layer]) for layer in config.content_layers]
            ) / len(config.content_layers)
            rows, columns = y[:, 1:] - y[:, :-1], y[:, :, 1:] - y[:, :, :-1]
            variation = tf.reduce_mean(tf.square(rows)) + tf.reduce_mean(tf.square(columns))
            loss = (
                config.content_weight * content_loss
                + config.style_weight * style_loss
                + config.variation_weight * variation
            )
        gradients = tape.gradient(loss, generator.trainable_variables)
        optimizer.apply_gradients(zip(gradients, generator.trainable_variables, strict=True))
        return (loss,)

    return function_step(train_step, {"generator": [generator]})


STEPS = {
    "GAN": adversarial,
    "DCGAN": adversarial,
    "CGAN": adversarial,
    "VAE": autoencoder,
    "Pix2Pix": paired,
    "CycleGAN": unpaired,
    "FastStyle": one_style,
}


def make(kind, config, batch):
    """Return a training step that returns its losses, and the number of parameters by player."""
    step_on, networks = STEPS[kind](kind, config)
    step = step_on(batch)
    counts = {
        player: sum(int(tf.size(v)) for network in members for v in network.trainable_variables)
        for player, members in networks.items()
    }
    return step, counts
