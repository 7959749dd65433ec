"""From trained models to the shipped codec: integers for what training has in floating point."""
