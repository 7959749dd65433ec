"""Kernels in C, compiled for the instructions of this CPU, and how Python calls them."""
