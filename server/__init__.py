"""Runs at the coordinator; sees masked vectors, signatures and sums, never an update."""
