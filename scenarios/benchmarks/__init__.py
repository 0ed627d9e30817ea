"""What the hot paths reach on this machine, measured against what they are made of and what they replace."""
