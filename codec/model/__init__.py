"""The numbers that all of the codec shares: a model's shape, its weights, its rates, its distortion."""
