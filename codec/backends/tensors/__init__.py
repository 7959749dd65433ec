"""The integer networks in torch, to code by on a GPU."""
