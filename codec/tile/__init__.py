"""A tile's latents to symbols to bytes, and back."""
