"""Rules that turn a reply into numbers: pure functions, no model behind any of them."""
