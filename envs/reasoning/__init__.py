"""Reasoning: problems in words and numbers, one answer each."""

from .env import ReasoningEnv
from .problems import FAMILIES, Family, Problem, sample_problem

__all__ = ["FAMILIES", "Family", "Problem", "ReasoningEnv", "sample_problem"]
