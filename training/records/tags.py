"""The names under which trackers show the keys of metrics.jsonl: those of CleanRL, where it has one."""

from __future__ import annotations

TAGS = {
    "reward": "charts/episodic_return",
    "turns": "charts/episodic_length",
    "learning_rate": "charts/learning_rate",
    "policy_loss": "losses/policy_loss",
    "value_loss": "losses/value_loss",
    "entropy": "losses/entropy",
    "approx_kl": "losses/approx_kl",
    "clip_fraction": "losses/clipfrac",
    "explained_variance": "losses/explained_variance",
    "kl": "losses/reference_kl",
    "loss": "losses/loss",
    "grad_norm": "losses/grad_norm",
}


def tag_of(key: str) -> str:
    """The tag of a key; one that CleanRL does not know stands under charts/ by its own name."""
    return TAGS.get(key, f"charts/{key}")
