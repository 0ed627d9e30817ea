"""Events, sequences, catalogues and splits: frozen values and the functions that make them."""
