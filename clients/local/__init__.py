"""What a platform knows by itself, and how much it trusts the shared model beside that."""
