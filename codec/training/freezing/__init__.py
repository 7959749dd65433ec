"""Freezing of a trained model: its networks made into integers, with rate tables and probability tables."""
