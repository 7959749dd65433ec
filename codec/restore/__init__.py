"""Restoring of degraded pictures by an analysis transform that is trained for it."""
