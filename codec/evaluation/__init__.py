"""Measurement of this codec and others: metrics, curves, reports. Nothing that encodes or decodes imports it."""
