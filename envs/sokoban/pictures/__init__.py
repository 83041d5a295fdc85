"""What a board looks like: tiles, tiny pictures, text."""
