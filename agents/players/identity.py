"""Who an agent is, in plain values: so that an evaluation knows whether it may go on with another's episodes."""

from __future__ import annotations

import hashlib
from typing import Any

import torch

from ..policy import PolicyAgent


def identify_policy(agent: PolicyAgent, name: str) -> dict[str, Any]:
    """A policy: its name, its weights' digest, and how many there are.

    Args:
        agent: whose weights.
        name: what tables call it.
    """
    digest = hashlib.sha256()
    parameters = sorted(agent.loaded.model.named_parameters())
    for key, parameter in parameters:
        digest.update(key.encode() + parameter.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    count = sum(parameter.numel() for _, parameter in parameters)
    return {"name": name, "kind": "policy", "weights_sha256": digest.hexdigest(), "parameters": count}
