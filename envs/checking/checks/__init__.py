"""The checks, in groups that share their episodes."""
