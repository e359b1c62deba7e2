"""Temporal primitives: one file each, the directory is the registry."""
