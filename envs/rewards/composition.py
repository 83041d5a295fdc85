"""How the parts of a reward add up.

Every part is returned already weighted, so that the reward is their plain sum and a table of parts
shows what each of them paid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from lmmr1.envs.errors import UserError

RewardMode = Literal["additive", "gated"]
REWARD_MODES: tuple[RewardMode, ...] = ("additive", "gated")
RewardRule = Literal["default", "lmmr1-paper"]
REWARD_RULES: tuple[RewardRule, ...] = ("default", "lmmr1-paper")
PAPER_FORMAT_WEIGHT = 0.5


def compose_reward(
    task: float,
    well_formed: bool,
    invalid: bool,
    *,
    mode: RewardMode = "additive",
    format_weight: float = 0.5,
    invalid_reward: float = 0.0,
    penalties: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Weigh the parts of one turn's reward.

    ``additive``: task + format_weight * [well formed] + invalid_reward * [invalid], the rule of LMM-R1
    (arXiv 2503.07536, section 3) with format_weight = 0.5. ``gated``: the same, but the task part counts
    only in a well-formed reply.

    Args:
        task: the sum of the world's own rewards in this turn.
        well_formed: whether the reply follows its format.
        invalid: whether the reply took no step in the world.
        mode: "additive" or "gated".
        format_weight: what a well-formed reply is worth.
        invalid_reward: what an invalid reply costs (zero or negative, as a rule).
        penalties: further parts, weighted already.

    Returns:
        ``{"task": ..., "format": ..., "invalid": ...}`` and the penalties, floats that sum to the reward.

    Raises:
        UserError: the mode is unknown.
    """
    if mode not in REWARD_MODES:
        raise UserError(f'reward_mode must be one of {", ".join(REWARD_MODES)}, not "{mode}"')
    return {
        "task": float(task) if mode == "additive" or well_formed else 0.0,
        "format": float(format_weight) if well_formed else 0.0,
        "invalid": float(invalid_reward) if invalid else 0.0,
        **(penalties or {}),
    }


def check_rule(rule: RewardRule, mode: RewardMode, format_weight: float) -> None:
    """Make sure that the paper's rule is not asked for together with something that it is not.

    Raises:
        UserError: the rule is unknown, or is "lmmr1-paper" with another mode or format weight than the paper's.
    """
    if rule not in REWARD_RULES:
        raise UserError(f'reward must be one of {", ".join(REWARD_RULES)}, not "{rule}"')
    if rule == "lmmr1-paper" and (mode != "additive" or format_weight != PAPER_FORMAT_WEIGHT):
        raise UserError(
            f'reward "lmmr1-paper" is additive with a format_weight of {PAPER_FORMAT_WEIGHT}: leave out reward_mode '
            'and format_weight, or use reward "default"'
        )


def total_reward(parts: Mapping[str, float]) -> float:
    """Add the parts up, rounded once (``math.fsum``), so that their order cannot matter."""
    return math.fsum(parts.values())
