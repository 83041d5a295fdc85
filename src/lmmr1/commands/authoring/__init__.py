"""The commands of those who make environments: write one, and check it."""
