"""Datasets and input pipelines: image files -> uint8 -> `tf.data.Dataset` of [-1, 1].

- `datasets`: `DATASETS`, `load_images` and `load_for_experiment`, which load a dataset by name.
- `domains`: pairs and unpaired images of two domains, for image-to-image translation.
- `pipeline`: `batches`, which shuffles, shards and augments.
- `image_folder`, `tfds`, `builtin_images`, `facades`, `emoji`: where images come from.
- `transforms`, `tiles`, `color_transfer`: functions of images.
- `check`: find problems in a folder of images (`tfgan-zoo data check`).
"""
