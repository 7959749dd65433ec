"""The file format: bytes and integers only. FORMAT.md beside this file is its specification."""
