"""What all of the codec shares about a model: its configuration, constants, weights files, rates and distortion."""
