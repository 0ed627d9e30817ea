"""Platforms as declarations, and the experiments that compare them."""
