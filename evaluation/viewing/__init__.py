"""A local page over run folders and evaluations: curves, episodes token by token, two checkpoints side by side."""
