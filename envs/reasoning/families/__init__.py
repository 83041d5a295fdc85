"""The families of problems in words, a file for each area."""

from .algebra import ALGEBRA
from .arithmetic import ARITHMETIC
from .combinatorics import COMBINATORICS
from .logic import LOGIC
from .money import MONEY
from .number_theory import NUMBER_THEORY
from .probability import PROBABILITY
from .sequences import SEQUENCES
from .stories import STORIES
from .units import UNITS

TEXT_FAMILIES = (
    *ARITHMETIC,
    *ALGEBRA,
    *NUMBER_THEORY,
    *COMBINATORICS,
    *PROBABILITY,
    *SEQUENCES,
    *UNITS,
    *LOGIC,
    *MONEY,
    *STORIES,
)

__all__ = ["TEXT_FAMILIES"]
