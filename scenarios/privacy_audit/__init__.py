"""``hanse audit``: attacks on what a platform releases, and what they prove about its ε."""
