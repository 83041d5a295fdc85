"""Sokoban: push every box onto a target."""

from .env import SokobanEnv
from .generation.scatter import generate
from .levels import Level, parse_level, parse_levels, read_levels, write_levels
from .rules import Board, RewardTerms
from .solving import Answer, Solver, Status, is_dead, moves_to_go, optimal_moves, solve, solve_level

__all__ = [
    "Answer",
    "Board",
    "Level",
    "RewardTerms",
    "SokobanEnv",
    "Solver",
    "Status",
    "generate",
    "is_dead",
    "moves_to_go",
    "optimal_moves",
    "parse_level",
    "parse_levels",
    "read_levels",
    "solve",
    "solve_level",
    "write_levels",
]
