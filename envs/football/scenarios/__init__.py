"""Scenarios: who stands where, for how long, and what ends the episode."""
