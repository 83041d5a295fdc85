"""Agents by environments, on the same seeds."""
