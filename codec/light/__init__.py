"""The model in numpy: to code by it where torch is not installed, or would take longer to import."""
