"""Levels as values and as text."""

from .level import Level
from .text import LevelError, parse_level, parse_levels, read_levels, write_levels

__all__ = ["Level", "LevelError", "parse_level", "parse_levels", "read_levels", "write_levels"]
