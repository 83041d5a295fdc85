"""When a run stops by itself."""

from __future__ import annotations

from dataclasses import dataclass

from .checks import at_least, fraction, positive, require


@dataclass(frozen=True)
class GuardsConfig:
    """When a run stops by itself because its training has gone wrong; a limit of none switches that guard off."""

    finite: bool = True
    """Stop at once when a loss, a gradient or a reward is NaN or infinite."""
    entropy_low: float | None = 1e-4
    """Least entropy of the policy in nats a token: below, it says one thing only."""
    entropy_rise: float | None = 3.0
    """Most that the entropy may lie above that of the stage's first iteration, in nats a token."""
    kl: float | None = 20.0
    """Most divergence from the reference, in nats a token."""
    repetition: float | None = 0.9
    """Most share of 4-grams of a reply's tokens that stood in the same reply before."""
    reward_drop: float | None = 0.5
    """Share that the task reward may lose over `window` iterations while the format rate rises by `format_rise`."""
    format_rise: float = 0.1
    """See reward_drop."""
    window: int = 20
    """Iterations that reward_drop looks at: the mean of their second half against that of their first."""
    patience: int = 3
    """Iterations in a row that entropy, KL or repetition must be beyond their limit before the run stops."""

    def __post_init__(self) -> None:
        for key in ("entropy_low", "entropy_rise", "kl", "repetition", "reward_drop"):
            if vars(self)[key] is not None:
                positive(key, vars(self)[key])
        for key in ("repetition", "reward_drop"):
            if vars(self)[key] is not None:
                fraction(key, vars(self)[key])
        fraction("format_rise", self.format_rise)
        at_least("patience", self.patience, 1)
        at_least("window", self.window, 2)
        require(self.window % 2 == 0, f"window must be even, not {self.window}: its halves are compared")
