"""What a reply may pay for its length and for saying the same thing again; both are off unless asked for."""

# What users hand in is checked, whatever its type says.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from lmmr1.envs.errors import UserError

MAX_LENGTH = 1 << 17  # characters that are looked at


@dataclass(frozen=True)
class Penalties:
    """How much a reply pays, at most, and for what. Tokens are the trainer's: ``correction.overlong`` counts those."""

    length: float = 0.0
    """What a reply of ``length_limit`` words or more pays; 0 for nothing."""
    length_free: int = 256
    """Words that are free; from here to the limit the penalty grows evenly."""
    length_limit: int = 1024
    """Words at which the penalty is whole."""
    repetition: float = 0.0
    """What a reply pays times the share of its runs of words that came before in it; 0 for nothing."""
    repetition_words: int = 4
    """Words in such a run."""

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            UserError: a weight is negative, or a number of words is none.
        """
        for name in ("length", "repetition"):
            value = vars(self)[name]
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                raise UserError(f"penalties.{name} must be a number of at least 0, not {value!r}: it is subtracted")
        for name, least in (("length_free", 0), ("length_limit", 1), ("repetition_words", 1)):
            value = vars(self)[name]
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UserError(f"penalties.{name} must be a whole number of at least {least}, not {value!r}")
        if self.length_free >= self.length_limit:
            raise UserError(
                f"penalties.length_free ({self.length_free}) must be below penalties.length_limit ({self.length_limit})"
            )

    @staticmethod
    def read(given: Penalties | Mapping[str, object] | None) -> Penalties:
        """Penalties from a mapping, as a recipe holds it.

        Raises:
            UserError: a key is unknown, or a value is wrong.
        """
        if given is None or isinstance(given, Penalties):
            return given or Penalties()
        known = [field.name for field in fields(Penalties)]
        if not isinstance(given, Mapping):
            raise UserError(f"penalties must be a mapping with the keys {', '.join(known)}, not {given!r}")
        for name in given:
            if name not in known:
                raise UserError(f"penalties: unknown key {name!r}; known: {', '.join(known)}")
        return Penalties(**given)  # type: ignore[arg-type]

    def parts(self, text: str) -> dict[str, float]:
        """What a reply pays: a part of the reward, not above 0, for each penalty that is on.

        Args:
            text: the whole reply; what comes after 131,072 characters counts as length only.
        """
        paid: dict[str, float] = {}
        if self.length:
            paid["length"] = -self.length * length_share(len(text.split()), self.length_free, self.length_limit)
        if self.repetition:
            paid["repetition"] = -self.repetition * repeated_share(text[:MAX_LENGTH], self.repetition_words)
        return paid


def length_share(words: int, free: int, limit: int) -> float:
    """min(max((words - free) / (limit - free), 0), 1): DAPO's soft punishment (arXiv 2503.14476, eq. 13) in words."""
    return min(max((words - free) / (limit - free), 0.0), 1.0)


def repeated_share(text: str, run: int) -> float:
    """1 - (distinct runs of ``run`` words) / (runs): 0 if none comes twice, or if there are fewer words than that."""
    words = text.casefold().split()
    runs = [tuple(words[at : at + run]) for at in range(len(words) - run + 1)]
    return 1.0 - len(set(runs)) / len(runs) if runs else 0.0
