"""Rewards: format, accuracy, penalties, and how they add up."""
