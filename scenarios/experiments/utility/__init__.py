"""Utility against ε: the product's own training on users whose best possible ranking is known."""
