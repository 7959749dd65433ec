"""The networks in floating point, in torch, for training."""
