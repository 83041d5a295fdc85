"""New levels."""

from .backwards import Backwards, Digging
from .scatter import generate

__all__ = ["Backwards", "Digging", "generate"]
