"""Training: data, the loop, weights from it. Nothing that encodes or decodes imports it."""
