"""A run over the actors of a Ray cluster."""
