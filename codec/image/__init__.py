"""Image files, pixels and metadata."""
