"""Figures from episodes: rates, intervals, comparisons. Pure functions."""
