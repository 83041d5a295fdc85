"""Reasoning: problems in words and numbers, one answer each."""

from .env import ReasoningEnv
from .problems import DEFAULT_FAMILIES, FAMILIES, GROUPS, Family, Problem, ProblemSource, TextFamily, sample_problem

__all__ = [
    "DEFAULT_FAMILIES",
    "FAMILIES",
    "GROUPS",
    "Family",
    "Problem",
    "ProblemSource",
    "ReasoningEnv",
    "TextFamily",
    "sample_problem",
]
