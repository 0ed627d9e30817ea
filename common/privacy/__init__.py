"""What may be spent, what was spent, and the randomness that pays for it."""
