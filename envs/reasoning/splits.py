"""Which problems are for training, which for choosing, which for the final judgement.

A split is a function of the content alone, by the BLAKE2b hash of ``family:numbers``: the same on every machine, at
every level, in words and in pictures. Names and phrasing are no part of it: no problem is in two splits in other words.
"""

from __future__ import annotations

from hashlib import blake2b

from .family import Numbers
from .primer import WORDS
from .shapes import SHAPES

SPLITS = ("all", "train", "validation", "test")
# These were trained on before there was a third split, when all but the test problems were for training. Their training
# stream stays what it was, so nothing is left of which "validation" could be made.
TWO_WAY = frozenset(family.name for family in (*SHAPES, *WORDS))


def _hash_class(family: str, numbers: Numbers) -> int:
    text = f"{family}:{','.join(map(str, numbers))}"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") % 10


def split_of(family: str, numbers: Numbers) -> str:
    """Names the one split that a problem belongs to: "train", "validation" or "test".

    One problem in ten is "test" and one "validation". The families in ``TWO_WAY`` have no "validation": there nine in
    ten are "train".
    """
    number = _hash_class(family, numbers)
    if number == 0:
        return "test"
    return "validation" if number == 1 and family not in TWO_WAY else "train"


def is_test(family: str, numbers: Numbers) -> bool:
    """Tells whether a problem is held out for testing: one in ten, by a hash of its content."""
    return split_of(family, numbers) == "test"
