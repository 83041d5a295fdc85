"""Sokoban: push every box onto a target."""

from .env import SokobanEnv
from .generate import generate
from .levels import Level, parse_level, parse_levels
from .rules import Board, RewardTerms
from .solver import Solver, is_dead, moves_to_go, optimal_moves, solve

__all__ = [
    "Board",
    "Level",
    "RewardTerms",
    "SokobanEnv",
    "Solver",
    "generate",
    "is_dead",
    "moves_to_go",
    "optimal_moves",
    "parse_level",
    "parse_levels",
    "solve",
]
