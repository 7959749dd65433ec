"""Back ends that calculate the integer networks: numpy, compiled kernels, and torch, all with the same results."""
