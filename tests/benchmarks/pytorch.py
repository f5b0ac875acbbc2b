"""The zoo's networks and training steps in well-written PyTorch. Used by compare.py.

Fakes are generated once and detached for D, D's weights need no gradient while G is trained, and
each player has one `torch.optim.Adam`. torch.compile is not used.

The memory layout (NCHW or channels_last), the implementation of Adam (foreach or fused) and the
number of threads (one or all cores) are the fastest ones, measured at the start. Denormal numbers
are flushed to 0, as in TensorFlow. With a GPU everything is on it. Every step reads its losses, so
it ends when the GPU has finished.
"""

import time

import torch
import torch.nn.functional as F
from torch import nn

torch.set_flush_denormal(True)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
torch.set_default_device(DEVICE)
torch.set_float32_matmul_precision("high")  # TF32 on GPUs, as TensorFlow

# --- Networks


def feature_map_sizes(size, width):
    """See `tfgan_zoo.models.blocks.feature_map_sizes`."""
    maps = []
    while size > 5:
        size = -(-size // 2)
        maps.append((size, width * min(2 ** len(maps), 8)))
    return maps


def downsample(inputs, outputs, kernel_size, before, bias=True):
    """Return a convolution from `before` to ceil(before / 2) pixels."""
    after = -(-before // 2)
    padding = next(
        p for p in range(kernel_size) if (before + 2 * p - kernel_size) // 2 + 1 == after
    )
    return nn.Conv2d(inputs, outputs, kernel_size, 2, padding, bias=bias)


def upsample(inputs, outputs, kernel_size, before, after, bias=True):
    """Return a transposed convolution, `before` -> `after` = 2 before or 2 before - 1 pixels."""
    excess = 2 * (before - 1) + kernel_size - after
    return nn.ConvTranspose2d(
        inputs,
        outputs,
        kernel_size,
        2,
        (excess + 1) // 2,
        (excess + 1) // 2 * 2 - excess,
        bias=bias,
    )


class LabelEmbedding(nn.Module):
    """Concatenate z and the embedding of a label, then apply a network."""

    def __init__(self, c, network):
        super().__init__()
        self.embedding, self.network = nn.Embedding(c.classes, c.embedding_dim), network

    def forward(self, z, labels):
        return self.network(torch.cat([z, self.embedding(labels)], 1))


class LabelPlane(nn.Module):
    """Concatenate an image and a label embedded as a plane, then apply a network."""

    def __init__(self, c, network):
        super().__init__()
        self.embedding, self.network = nn.Embedding(c.classes, c.image_size**2), network

    def forward(self, images, labels):
        return self.network(
            torch.cat([images, self.embedding(labels).view(-1, 1, *images.shape[2:])], 1)
        )


class Maxout(nn.Module):
    def __init__(self, inputs, units, pieces):
        super().__init__()
        self.linear, self.shape = nn.Linear(inputs, units * pieces), (units, pieces)

    def forward(self, x):
        return self.linear(x).view(-1, *self.shape).max(2).values


def generator_layers(inputs, c, activation, kernel_size):
    """Return the layers of DCGAN's generator, codes (n, inputs) -> images (n, c, s, s)."""
    (size, width), *inner = reversed(feature_map_sizes(c.image_size, c.width))
    layers = [
        nn.Linear(inputs, size * size * width, bias=False),
        nn.Unflatten(1, (width, size, size)),
        nn.BatchNorm2d(width),
        activation(),
    ]
    for larger, narrower in inner:
        layers += [
            upsample(width, narrower, kernel_size, size, larger, bias=False),
            nn.BatchNorm2d(narrower),
            activation(),
        ]
        size, width = larger, narrower
    return [*layers, upsample(width, c.channels, kernel_size, size, c.image_size)]


def discriminator_layers(inputs, c, first_norm):
    """Return the layers of DCGAN's discriminator before the last one, and the number of features.

    They map images (n, inputs, s, s) to (n, features).
    """
    layers, size = [], c.image_size
    for smaller, width in feature_map_sizes(c.image_size, c.width):
        norm = bool(layers) or first_norm
        layers += [
            downsample(inputs, width, c.kernel_size, size, bias=not norm),
            *([nn.BatchNorm2d(width)] if norm else []),
        ]
        layers += [nn.LeakyReLU(0.2, inplace=True)]
        inputs, size = width, smaller
    return [*layers, nn.Flatten()], inputs * size * size


def relu():
    return nn.ReLU(inplace=True)


def leaky():
    return nn.LeakyReLU(0.2, inplace=True)


def gan(c):
    pixels = c.image_size**2 * c.channels
    hidden = (nn.Linear(c.latent_dim, c.width), relu(), nn.Linear(c.width, c.width), relu())
    g = nn.Sequential(
        *hidden,
        nn.Linear(c.width, pixels),
        nn.Tanh(),
        nn.Unflatten(1, (c.channels, c.image_size, c.image_size)),
    )
    layers, inputs = [nn.Flatten()], pixels
    for _ in range(2):
        layers += [Maxout(inputs, c.maxout_units, c.maxout_pieces), nn.Dropout(c.dropout)]
        inputs = c.maxout_units
    return g, nn.Sequential(*layers, nn.Linear(inputs, 1))


def dcgan(c):
    layers, features = discriminator_layers(c.channels, c, first_norm=False)
    return nn.Sequential(
        *generator_layers(c.latent_dim, c, relu, c.kernel_size), nn.Tanh()
    ), nn.Sequential(*layers, nn.Linear(features, 1))


def cgan(c):
    layers, features = discriminator_layers(c.channels + 1, c, first_norm=False)
    g = nn.Sequential(
        *generator_layers(c.latent_dim + c.embedding_dim, c, relu, c.kernel_size), nn.Tanh()
    )
    return LabelEmbedding(c, g), LabelPlane(c, nn.Sequential(*layers, nn.Linear(features, 1)))


def vae(c):
    """Build the encoder, whose output is (mean, log variance) concatenated, and the decoder."""
    layers, features = discriminator_layers(c.channels, c, first_norm=True)
    encoder = [
        *layers,
        nn.Linear(features, c.hidden, bias=False),
        nn.BatchNorm1d(c.hidden),
        leaky(),
        nn.Linear(c.hidden, 2 * c.latent_dim),
    ]
    hidden = (nn.Linear(c.latent_dim, c.hidden, bias=False), nn.BatchNorm1d(c.hidden), leaky())
    return nn.Sequential(*encoder), nn.Sequential(
        *hidden, *generator_layers(c.hidden, c, leaky, c.kernel_size)
    )


class UNet(nn.Module):
    def __init__(self, c):
        super().__init__()
        widths = [c.width * min(2**level, 8) for level in range(c.downs)]
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        inputs = c.x_channels
        for level, width in enumerate(widths):
            layers = [nn.LeakyReLU(c.slope)] if level else []
            layers.append(nn.Conv2d(inputs, width, 4, 2, 1, bias=False))
            self.downs.append(
                nn.Sequential(
                    *layers, *([nn.BatchNorm2d(width)] if 0 < level < c.downs - 1 else [])
                )
            )
            inputs = width
        for level in range(c.downs - 1, 0, -1):
            layers = [
                nn.ReLU(),
                nn.ConvTranspose2d(inputs, widths[level - 1], 4, 2, 1, bias=False),
                nn.BatchNorm2d(widths[level - 1]),
            ]
            self.ups.append(
                nn.Sequential(
                    *layers, *([nn.Dropout(c.dropout)] if 4 <= level < c.downs - 1 else [])
                )
            )
            inputs = 2 * widths[level - 1]
        self.last = nn.Sequential(
            nn.ReLU(), nn.ConvTranspose2d(inputs, c.y_channels, 4, 2, 1), nn.Tanh()
        )

    def forward(self, x):
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
        x = skips.pop()
        for up in self.ups:
            x = torch.cat([skips.pop(), up(x)], 1)
        return self.last(x)


def patch_discriminator(c, channels, norm, bias):
    """Build a PatchGAN with a receptive field of 70 pixels."""
    layers = [nn.Conv2d(channels, c.width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
    for level, stride in ((1, 2), (2, 2), (3, 1)):
        inputs, width = c.width * 2 ** (level - 1), c.width * 2**level
        layers += [nn.Conv2d(inputs, width, 4, stride, 1, bias=bias), norm(width), leaky()]
    return nn.Sequential(*layers, nn.Conv2d(8 * c.width, 1, 4, 1, 1))


class Residual(nn.Module):
    def __init__(self, width, norm):
        super().__init__()
        first, second = (
            nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect") for _ in range(2)
        )
        self.layers = nn.Sequential(first, norm(width), relu(), second, norm(width))

    def forward(self, x):
        return x + self.layers(x)


def resnet(c):
    w, norm = c.width, nn.InstanceNorm2d
    layers = [nn.Conv2d(c.x_channels, w, 7, padding=3, padding_mode="reflect"), norm(w), relu()]
    for width in (w, 2 * w):
        layers += [nn.Conv2d(width, 2 * width, 3, 2, 1), norm(2 * width), relu()]
    layers += [Residual(4 * w, norm) for _ in range(c.blocks)]
    for width in (4 * w, 2 * w):
        layers += [nn.ConvTranspose2d(width, width // 2, 3, 2, 1, 1), norm(width // 2), relu()]
    return nn.Sequential(
        *layers, nn.Conv2d(w, c.y_channels, 7, padding=3, padding_mode="reflect"), nn.Tanh()
    )


def stylizer(c):
    def convolution(inputs, outputs, size, stride=1):
        return nn.Conv2d(inputs, outputs, size, stride, size // 2, padding_mode="reflect")

    def norm(width):
        return nn.InstanceNorm2d(width, affine=True)

    w = c.width
    layers = [convolution(3, w, 9), norm(w), relu()]
    for width in (w, 2 * w):
        layers += [convolution(width, 2 * width, 3, 2), norm(2 * width), relu()]
    layers += [Residual(4 * w, norm) for _ in range(c.blocks)]
    for width in (4 * w, 2 * w):
        layers += [
            nn.Upsample(scale_factor=2),
            convolution(width, width // 2, 3),
            norm(width // 2),
            relu(),
        ]
    return nn.Sequential(*layers, convolution(w, 3, 9), nn.Tanh())


class VGG19(nn.Module):
    """Feature extractor: images in [-1, 1] -> {layer: features}; see `tfgan_zoo.features.vgg`.

    Images are padded by reflection. Layers after the deepest requested one are left out.
    """

    def __init__(self, layers, pooling, width):
        super().__init__()
        self.layers, self.convolutions, inputs = set(layers), nn.ModuleDict(), 3
        self.pool = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}[pooling](2)
        for block, count in enumerate((2, 2, 4, 4, 4), 1):
            for i in range(1, count + 1):
                if f"block{block}_conv{i}" <= max(layers):
                    outputs = width * min(2 ** (block - 1), 8)
                    self.convolutions[f"block{block}_conv{i}"] = nn.Conv2d(
                        inputs, outputs, 3, padding=1, padding_mode="reflect"
                    )
                    inputs = outputs
        for weight in self.convolutions.parameters():
            weight.requires_grad_(False)
            if weight.ndim > 1:
                nn.init.kaiming_normal_(weight)
        self.register_buffer("mean", torch.tensor((123.68, 116.779, 103.939)).view(1, 3, 1, 1))

    def load(self, weights):
        """Load weights {layer: (kernel (h, w, in, out), bias)}."""
        for name, (kernel, bias) in weights.items():
            self.convolutions[name].weight.copy_(torch.tensor(kernel.transpose(3, 2, 0, 1)))
            self.convolutions[name].bias.copy_(torch.tensor(bias))

    def forward(self, images, layers=None):
        """Extract the features of some or all layers."""
        layers = layers or self.layers
        x, features, block = ((images + 1.0) * 127.5 - self.mean).flip(1), {}, "1"
        for name, convolution in self.convolutions.items():
            if name[5] != block:
                x, block = self.pool(x), name[5]
            x = F.relu(convolution(x))
            if name in layers:
                features[name] = x
            if len(features) == len(layers):
                return features


# --- Losses


def cross_entropy(logits, target):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def squared_error(logits, target):
    return F.mse_loss(logits, torch.full_like(logits, target))


def gram(features):
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def relative_error(x, target):
    return F.mse_loss(x, target.expand_as(x)) / target.square().mean()


def total_variation(x):
    return (x[:, :, 1:] - x[:, :, :-1]).square().mean() + (
        x[:, :, :, 1:] - x[:, :, :, :-1]
    ).square().mean()


# --- Steps. Each function returns one training step, which returns its losses, and the networks by
# player.


class Options:
    """Memory layout and optimizer, which are the same for all networks of a model."""

    def __init__(self, config, layout, adam):
        self.config, self.layout, self.adam_options = config, layout, {adam: True}

    def prepare(self, *networks):
        for network in networks:
            network.to(memory_format=self.layout).train()
        return networks

    def adam(self, *networks):
        betas = (getattr(self.config, "beta_1", 0.9), getattr(self.config, "beta_2", 0.999))
        weights = [weight for network in networks for weight in network.parameters()]
        return torch.optim.Adam(
            weights, self.config.learning_rate, betas, eps=1e-7, **self.adam_options
        )

    def images(self, array):
        return torch.tensor(array.transpose(0, 3, 1, 2)).contiguous(memory_format=self.layout)


def update(optimizer, loss):
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def set_trainable(networks, flag):
    for network in networks:
        for weight in network.parameters():
            weight.requires_grad_(flag)


def adversarial(options, kind, batch):
    c = options.config
    g, d = options.prepare(*{"GAN": gan, "DCGAN": dcgan, "CGAN": cgan}[kind](c))
    g_adam, d_adam = options.adam(g), options.adam(d)
    images, *labels = batch if kind == "CGAN" else (batch,)
    real, labels = options.images(images), [torch.tensor(label) for label in labels]
    state = [tensor.detach() for tensor in g.state_dict().values() if tensor.is_floating_point()]
    average = [tensor.clone() for tensor in state]

    def step():
        z = torch.randn(len(real), c.latent_dim)
        fake = g(z, *labels)
        set_trainable([d], True)
        d_loss = cross_entropy(d(real, *labels), 1.0 - c.label_smoothing) + cross_entropy(
            d(fake.detach(), *labels), 0.0
        )
        update(d_adam, d_loss)
        set_trainable([d], False)
        g_loss = cross_entropy(d(fake, *labels), 1.0)
        update(g_adam, g_loss)
        if c.ema_decay:
            torch._foreach_lerp_(average, state, 1.0 - c.ema_decay)
        return d_loss.item(), g_loss.item()

    return step, {"generator": [g], "discriminator": [d]}


def autoencoder(options, kind, batch):
    encoder, decoder = options.prepare(*vae(options.config))
    adam = options.adam(encoder, decoder)
    images = options.images(batch)

    def step():
        x = (images + 1.0) / 2.0
        mean, log_variance = encoder(x).chunk(2, 1)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        reconstruction = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum") / len(x)
        kl = -0.5 * (1.0 + log_variance - mean.square() - log_variance.exp()).sum() / len(x)
        loss = reconstruction + kl
        update(adam, loss)
        return loss.item(), reconstruction.item(), kl.item()

    return step, {"vae": [encoder, decoder]}


def paired(options, kind, batch):
    c = options.config
    g, d = options.prepare(
        UNet(c), patch_discriminator(c, c.x_channels + c.y_channels, nn.BatchNorm2d, bias=False)
    )
    g_adam, d_adam = options.adam(g), options.adam(d)
    x, y = map(options.images, batch)

    def step():
        fake = g(x)
        set_trainable([d], True)
        d_loss = cross_entropy(d(torch.cat([x, y], 1)), 1.0) + cross_entropy(
            d(torch.cat([x, fake.detach()], 1)), 0.0
        )
        update(d_adam, c.discriminator_weight * d_loss)
        set_trainable([d], False)
        g_loss = cross_entropy(d(torch.cat([x, fake], 1)), 1.0) + c.l1_weight * F.l1_loss(fake, y)
        update(g_adam, g_loss)
        return d_loss.item(), g_loss.item()

    return step, {"generator": [g], "discriminator": [d]}


class ImagePool:
    """History of generated images."""

    def __init__(self, size):
        self.size, self.images = size, []

    def __call__(self, image):
        if len(self.images) < self.size:
            self.images.append(image)
            return image
        if torch.rand(()) < 0.5:
            return image
        slot = int(torch.randint(self.size, ()))
        old, self.images[slot] = self.images[slot], image
        return old


def unpaired(options, kind, batch):
    c = options.config
    g, f = options.prepare(resnet(c), resnet(c))
    d_x, d_y = options.prepare(
        *(patch_discriminator(c, c.x_channels, nn.InstanceNorm2d, bias=True) for _ in range(2))
    )
    g_adam, d_adam = options.adam(g, f), options.adam(d_x, d_y)
    x, y = map(options.images, batch)
    pool_x, pool_y = ImagePool(c.pool_size), ImagePool(c.pool_size)

    def step():
        set_trainable([d_x, d_y], False)
        fake_y, fake_x = g(x), f(y)
        cycle = F.l1_loss(f(fake_y), x) + F.l1_loss(g(fake_x), y)
        identity = F.l1_loss(g(y), y) + F.l1_loss(f(x), x)
        g_loss = squared_error(d_y(fake_y), 1.0) + squared_error(d_x(fake_x), 1.0)
        g_loss = g_loss + c.cycle_weight * (cycle + c.identity_weight * identity)
        update(g_adam, g_loss)
        set_trainable([d_x, d_y], True)
        d_loss = squared_error(d_x(x), 1.0) + squared_error(d_x(pool_x(fake_x.detach())), 0.0)
        d_loss = (
            d_loss + squared_error(d_y(y), 1.0) + squared_error(d_y(pool_y(fake_y.detach())), 0.0)
        )
        update(d_adam, 0.5 * d_loss)
        return g_loss.item(), d_loss.item()

    return step, {"generator": [g, f], "discriminator": [d_x, d_y]}


def one_style(options, kind, batch):
    c = options.config
    (generator,) = options.prepare(stylizer(c))
    layers = (*c.style_layers, *c.content_layers)
    (extract_features,) = options.prepare(VGG19(layers, c.pooling, c.features_width))
    adam = options.adam(generator)
    x = options.images(batch)
    with torch.no_grad():
        style = extract_features(options.images(c.style_image), set(c.style_layers))
        targets = {layer: gram(features) for layer, features in style.items()}

    def step():
        y = generator(x)
        features = extract_features(y)
        with torch.no_grad():
            content = extract_features(x, set(c.content_layers))
        style_loss = sum(
            relative_error(gram(features[layer]), target) for layer, target in targets.items()
        ) / len(targets)
        content_loss = sum(
            relative_error(features[layer], target) for layer, target in content.items()
        ) / len(content)
        loss = (
            c.content_weight * content_loss
            + c.style_weight * style_loss
            + c.variation_weight * total_variation(y)
        )
        update(adam, loss)
        return (loss.item(),)

    return step, {"generator": [generator]}


STEPS = {
    "GAN": adversarial,
    "DCGAN": adversarial,
    "CGAN": adversarial,
    "VAE": autoencoder,
    "Pix2Pix": paired,
    "CycleGAN": unpaired,
    "FastStyle": one_style,
}
LAYOUTS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}


def make(kind, config, batch, threads=0, bfloat16=False):
    """Find the fastest variant of a training step.

    Args:
        kind: a name in `STEPS`.
        config: the fields of the zoo's config, as attributes.
        batch: float32 arrays (n, h, w, c), as for the zoo's model.
        threads: number of PyTorch's threads; 0: one or all, whichever is faster.
        bfloat16: whether to compute under autocast to bfloat16.

    Returns:
        The step, the number of parameters of each player, and a description of the variant.
    """

    def build(layout, adam, threads):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        step, networks = STEPS[kind](Options(config, LAYOUTS[layout], adam), kind, batch)

        def mixed_step():
            with torch.autocast(DEVICE, torch.bfloat16):
                return step()

        return mixed_step if bfloat16 else step, networks

    def measure(variant):
        step, _ = build(*variant)
        step()
        begin, times = time.perf_counter(), []
        while len(times) < 2 or time.perf_counter() - begin < 1.0:
            before = time.perf_counter()
            step()
            times.append(time.perf_counter() - before)
        return min(times)  # the least disturbed by other processes

    best = ("NCHW", "fused", threads or torch.get_num_threads())
    fastest = measure(best)
    for i, choice in enumerate(("channels_last", "foreach", threads or 1)):
        variant = (*best[:i], choice, *best[i + 1 :])
        if variant != best and (seconds := measure(variant)) < fastest:
            best, fastest = variant, seconds
    step, networks = build(*best)
    counts = {
        player: sum(weight.numel() for network in members for weight in network.parameters())
        for player, members in networks.items()
    }
    return step, counts, f"{best[0]}, {best[1]} Adam, {best[2]} threads, {DEVICE}"


# --- Style transfer by optimization


def gatys(config, weights, levels, optimizer, iterations, target, now=time.perf_counter):
    """Optimize an image from coarse to fine and record the loss of every evaluation at full size.

    Args:
        config: the fields of a `StyleTransferConfig`, as attributes.
        weights: weights of VGG19, {layer: (kernel, bias)}.
        levels: for each size, the last is the full size: (content, style), float32 (1, h, w, 3) and
            (1, h', w', 3) in [-1, 1].
        optimizer: "lbfgs", as in PyTorch's tutorial, or "adam".
        iterations: number of evaluations at each size; at the full size the maximum.
        target: a loss at full size at which to stop; None: never.
        now: the clock.

    Returns:
        A list of (seconds, loss).
    """
    layers = (*config.style_layers, *config.content_layers)
    extract_features = VGG19(layers, config.pooling, config.features_width)
    extract_features.load(weights)
    extract_features.to(memory_format=torch.channels_last)
    options = Options(config, torch.channels_last, "fused")
    begin, image = now(), None
    for i, (content, style) in enumerate(levels):
        content, style = options.images(content), options.images(style)
        start = content if image is None else resize_image(image, content.shape[2:])
        limit = target if i == len(levels) - 1 else None
        image, curve = gatys_at_one_size(
            config, extract_features, start, content, style, optimizer, iterations, limit, now
        )
    return [(moment - begin, loss) for moment, loss in curve]


def resize_image(image, size):
    resized = F.interpolate(image, size=size, mode="bicubic", align_corners=False)
    return resized.clamp(-1.0, 1.0)


def gatys_at_one_size(
    config, extract_features, start, content, style, optimizer, iterations, target, now
):
    """Return the image (1, 3, h, w) and a list of (moment, loss)."""
    curve = []
    with torch.no_grad():
        features = extract_features(style)
        grams = {layer: gram(features[layer]) for layer in config.style_layers}
        features = extract_features(content)
        content_features = {layer: features[layer] for layer in config.content_layers}
    # L-BFGS does not support channels_last.
    image = start.detach().contiguous().clone().requires_grad_(True)
    if optimizer == "lbfgs":
        torch_optimizer = torch.optim.LBFGS([image], max_iter=20, history_size=10)
    else:
        torch_optimizer = torch.optim.Adam([image], config.learning_rate, (0.9, 0.99), fused=True)

    def closure():
        with torch.no_grad():
            image.clamp_(-1.0, 1.0)
        torch_optimizer.zero_grad()
        features = extract_features(image.contiguous(memory_format=torch.channels_last))
        style_loss = sum(
            relative_error(gram(features[layer]), style_gram) for layer, style_gram in grams.items()
        ) / len(grams)
        content_loss = sum(
            relative_error(features[layer], x) for layer, x in content_features.items()
        ) / len(content_features)
        loss = (
            config.content_weight * content_loss
            + config.style_weight * style_loss
            + config.variation_weight * total_variation(image)
        )
        loss.backward()
        curve.append((now(), loss.item()))
        return loss

    while True:
        torch_optimizer.step(closure)
        if len(curve) >= iterations or (target is not None and curve[-1][1] <= target):
            return image.detach(), curve
