"""Ranking quality, what lies beyond accuracy, and how sure we are of either."""
