"""The model in torch: to train it, and to code by it."""
