"""Apply trained models: translate and stylize image files, interpolate in latent space."""
