"""Adam against the paper's formulas and against Keras' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgan_zoo.optimizers import Adam


def adam_by_hand(w, gradients, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = v = np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
        w = w - rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)
    return w


@pytest.mark.parametrize("xla", [False, True])
def test_adam_follows_the_papers_formulas(xla):
    random = np.random.default_rng(0)
    start, gradients = random.normal(size=(3, 2)), random.normal(size=(5, 3, 2))
    variable, adam = tf.Variable(start, dtype=tf.float32), Adam(0.05, beta_1=0.5, beta_2=0.9)
    adam.build([variable])
    step = tf.function(lambda gradient: adam.apply([gradient], [variable]), jit_compile=xla)
    for gradient in gradients.astype("float32"):
        step(tf.constant(gradient))
    np.testing.assert_allclose(
        variable.numpy(), adam_by_hand(start, gradients, 0.05, 0.5, 0.9), atol=2e-6
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"clipnorm": 0.1},
        {"weight_decay": 0.01},
        {"use_ema": True, "ema_overwrite_frequency": 4},
        {"amsgrad": True},
        {"gradient_accumulation_steps": 2},
    ],
)
def test_adam_equals_keras(options):
    rate = keras.optimizers.schedules.InverseTimeDecay(0.1, 1, 0.5)
    gradients = np.random.default_rng(1).normal(size=(6, 4)).astype("float32")
    weights = []
    for kind in (Adam, keras.optimizers.Adam):
        variable, adam = keras.Variable(np.ones(4, "float32")), kind(rate, **options)
        adam.build([variable])
        for gradient in gradients:
            adam.apply([tf.constant(gradient)], [variable])
        adam.finalize_variable_values([variable])
        weights.append(variable.numpy())
    # 1 - 0.999 has five digits in float32. Keras computes it in float64.
    np.testing.assert_allclose(*weights, atol=1e-5)
    assert not np.allclose(weights[0], 1)


def test_sparse_gradients_equal_dense_ones():
    """Keras' own Adam squares the gradients of a repeated row before it adds them."""
    weights = []
    for dense in (False, True):
        table, adam = keras.Variable(np.ones((4, 2), "float32")), Adam(0.1)
        adam.build([table])
        for rows in ([0, 2], [2, 3], [0, 0]):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(tf.gather(table.value, rows)))
            gradients = tape.gradient(loss, [table.value])
            assert isinstance(gradients[0], tf.IndexedSlices)
            adam.apply([tf.convert_to_tensor(gradients[0])] if dense else gradients, [table])
        weights.append(table.numpy())
    np.testing.assert_array_equal(*weights)
    assert (weights[0][1] == 1).all() and (weights[0][[0, 2, 3]] != 1).all()


def test_adam_is_serialized_by_name():
    adam = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(Adam(0.1, beta_1=0.5))
    )
    assert type(adam) is Adam and adam.beta_1 == 0.5


@pytest.mark.parametrize("kind", [Adam, keras.optimizers.Adam])
def test_adam_on_replicas_skips_a_step_that_overflows(kind):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        variable = keras.Variable(np.ones(3, "float32"))
        scaled = keras.optimizers.LossScaleOptimizer(kind(0.1, beta_2=0.9), initial_scale=16.0)
        scaled.build([variable])

    @tf.function
    def step(gradient):
        strategy.run(lambda g: scaled.apply([g], [variable]), [gradient])

    for gradient in ([16.0, -8.0, 4.0], [float("nan")] * 3, [-1.0, 2.0, 3.0]):
        step(tf.constant(gradient))
    # Summed over two replicas, with the loss scale 16 and then 8.
    gradients = np.array([[2.0, -1.0, 0.5], [-1 / 4, 2 / 4, 3 / 4]])
    np.testing.assert_allclose(
        variable.numpy(), adam_by_hand(np.ones(3), gradients, 0.1, beta_2=0.9), atol=1e-5
    )
    assert int(scaled.inner_optimizer.iterations.numpy()) == 2
    assert int(scaled.dynamic_scale.numpy()) == 8
