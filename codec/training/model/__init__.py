"""The model in floating point, to be trained."""
