"""Events, items and splits as frozen values, and the rules by which raw rows become them."""
