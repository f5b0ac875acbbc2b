"""Data sets and input pipelines: bytes -> uint8 images -> float32 in [-1, 1], as a `tf.data.Dataset`."""
