"""Use a trained model on images: translate, stylize, interpolate."""
