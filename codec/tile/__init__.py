"""Coding of tiles: latents to symbols to bytes, and back."""
