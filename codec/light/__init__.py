"""The model without torch: in numpy, and with its layers as kernels compiled for this CPU, which code by it."""
