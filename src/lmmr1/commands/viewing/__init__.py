"""The command around viewing: its words, and who plays for its comparisons."""
