"""Several platforms and systems compared on one machine, and the report that says what it means."""
