"""The commands that show episodes: films of them, and playing them oneself."""
