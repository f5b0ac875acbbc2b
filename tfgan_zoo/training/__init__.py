"""Train an experiment: data preparation, the training loop, callbacks and device strategies."""
