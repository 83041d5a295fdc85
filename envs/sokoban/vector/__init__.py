"""Many boards at once."""
