"""Perception: charts, tables, shapes, instruments and ways, to be seen and reasoned about."""

from .env import PerceptionEnv
from .families import PERCEPTION

__all__ = ["PERCEPTION", "PerceptionEnv"]
