"""Other evaluators, each in an environment of its own, and their results read back."""
