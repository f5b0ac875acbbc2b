"""Keras' Adam with TensorFlow's fused kernel."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfgan_zoo")
class Adam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2014, arXiv 1412.6980), one kernel a variable where Keras has a dozen.

    The same formulas, arguments and state as `keras.optimizers.Adam` (`amsgrad` goes Keras' own way). On two CPU cores whole training steps
    become up to 1.7 times as fast, those of the 54 million parameters of a U-Net most of all.
    """

    def update_step(self, gradient, variable, learning_rate):
        if self.amsgrad:
            return super().update_step(gradient, variable, learning_rate)
        index, dtype = self._get_variable_index(variable), variable.dtype
        variable, m, v = (
            each.value if isinstance(each, keras.Variable) else each for each in (variable, self._momentums[index], self._velocities[index])
        )
        beta_1, beta_2 = tf.constant(self.beta_1, dtype), tf.constant(self.beta_2, dtype)
        step = tf.cast(tf.convert_to_tensor(self.iterations) + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=m.handle,
            v=v.handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.constant(self.epsilon, dtype),
            grad=tf.convert_to_tensor(tf.cast(gradient, dtype)),  # an embedding's is sparse
        )
