"""One platform is one TOML file: its declaration, its reader and its conformance check."""
