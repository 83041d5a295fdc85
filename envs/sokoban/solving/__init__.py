"""Exact answers about positions: optimal solutions, distances, lost positions, and scores made of them."""

from .optimal import Answer, Status, solve_level
from .room import Solver, is_dead, moves_to_go, optimal_moves, solve

__all__ = ["Answer", "Solver", "Status", "is_dead", "moves_to_go", "optimal_moves", "solve", "solve_level"]
