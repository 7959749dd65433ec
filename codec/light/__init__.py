"""The model without torch: in numpy, and with its layers as compiled kernels, which code by it."""
