"""The shared recommender: a frozen encoder, trained adapters and one scoring rule."""
