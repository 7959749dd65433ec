"""What calculates the networks: numpy and compiled kernels, or torch; the same numbers by each."""
