"""Secure aggregation without IO: bytes in, bytes out."""
