"""Pretrained feature networks: VGG for perceptual losses, classifiers for metrics."""
