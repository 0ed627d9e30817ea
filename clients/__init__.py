"""Runs inside a platform; raw data never leave this package's process."""
