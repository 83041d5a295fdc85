"""Floor 1: the worlds, and what it takes to speak to them. Never imports torch."""
