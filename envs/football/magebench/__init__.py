"""Football as MageBench asks it: scenarios of its kind, its score, its way of carrying an action on.

The scenarios are our own: MageBench's files are not here, and a score on these is not a score on those.
"""

from .macro import Macro, Memory
from .positions import mini_scenarios, scenarios
from .score import MageBenchScore

__all__ = ["Macro", "MageBenchScore", "Memory", "mini_scenarios", "scenarios"]
