"""Environments that may break: each call ends in a checked result or a fault, here or in a process of its own."""
