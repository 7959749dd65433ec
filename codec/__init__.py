"""The codec: pixels to latents to bytes, and back."""
