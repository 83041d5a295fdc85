"""Every family's answers, worked out in another way."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lmmr1.envs.reasoning.problems import DEFAULT_FAMILIES, ProblemSource

from .ways_of_chance import CHANCE
from .ways_of_numbers import NUMBERS, read_answer
from .ways_of_words import WORDS

WAYS = {**NUMBERS, **CHANCE, **WORDS}


def test_every_family_has_another_way():
    assert set(WAYS) == set(DEFAULT_FAMILIES)


@pytest.mark.parametrize("family", WAYS)
def test_the_other_way_leads_to_the_same_answer(family):
    source, rng = ProblemSource.of([family], (1, 10)), np.random.default_rng(7)
    for _ in range(40):
        problem = source.draw(rng)
        found, answer = WAYS[family](problem), read_answer(problem.answer)
        if isinstance(found, (bool, np.bool_)):
            assert found, problem
        elif isinstance(found, tuple):
            assert tuple(map(Fraction, found)) == answer, problem
        else:
            assert found == answer, (found, problem)
