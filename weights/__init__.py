"""The trained weights, and the manifest that says how they were made."""
