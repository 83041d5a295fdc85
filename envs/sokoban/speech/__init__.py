"""How Sokoban is spoken about."""
