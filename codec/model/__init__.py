"""Configuration, constants, weights files, rates and distortion of a model, which all of the codec shares."""
