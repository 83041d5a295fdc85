"""The floor under an iteration of the harness: what has to be multiplied, and how fast this machine multiplies."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import torch

from lmmr1.agents.episode import Episode
from lmmr1.agents.networks.qwen import QwenNetwork
from lmmr1.agents.policy import PolicyAgent
from lmmr1.training.batching import turn_images


def matmul_rates(network: QwenNetwork, samples: int, microbatch_tokens: int) -> dict[str, float]:
    """FLOP per CPU-second of the decoder's matrix products alone, best of 20.

    "rollout": with as many rows as are sampled at once. "reference": with a micro-batch of tokens. "update": the same
    with the two products of the backward pass.
    """
    layer = network.weights().layers[0]
    weights = [part.detach() for part in (layer.qkv, layer.out, layer.gate, layer.up, layer.down)]
    rates = {}
    for part, tokens in {"rollout": samples, "reference": microbatch_tokens, "update": microbatch_tokens}.items():
        pairs = [
            (*(torch.randn(tokens, weight.shape[axis]).to(weight.dtype) for axis in (1, 0)), weight)
            for weight in weights
        ]
        best = math.inf
        for _ in range(20):
            began = time.process_time()
            for inputs, outputs, weight in pairs:
                torch.mm(inputs, weight.t())
                if part == "update":
                    torch.mm(outputs, weight)
                    torch.mm(outputs.t(), inputs)
            best = min(best, time.process_time() - began)
        products = 3 if part == "update" else 1
        rates[part] = products * sum(2 * tokens * weight.numel() for weight in weights) / best
    return rates


def useful_flops(episodes: Sequence[Episode], policy: PolicyAgent) -> dict[str, float]:
    """What an iteration has to multiply: every token of every row once forward, and twice more backward.

    The episodes are of one turn, those of a group side by side. A rollout runs each different prompt once. Attention
    counts half of the square, the head the predicted tokens only, the vision tower each different picture once a pass.
    """
    network = policy.loaded.network
    assert isinstance(network, QwenNetwork)
    weights = network.weights()
    layers = len(weights.layers)
    layer = weights.layers[0]
    a_token = 2.0 * layers * sum(w.numel() for w in (layer.qkv, layer.out, layer.gate, layer.up, layer.down))
    head = 2.0 * weights.head.numel()
    pictures = {p.digest: p for e in episodes for p in turn_images(e.turns[0], policy)}
    vision = 0.0
    if pictures:
        tower = network.model.model.visual
        patches = sum(picture.grid[1] * picture.grid[2] for picture in pictures.values())
        vision = (
            2.0 * patches * sum(p.numel() for n, p in tower.named_parameters() if p.dim() > 1 and "merger" not in n)
        )
        vision += (
            2.0 * patches / 4 * sum(p.numel() for n, p in tower.named_parameters() if p.dim() > 1 and "merger" in n)
        )
    forward = rollout = vision
    for number, episode in enumerate(episodes):
        prompt, reply = len(episode.turns[0].prompt_ids), len(episode.turns[0].reply_ids)
        attention = 2.0 * layers * network.hidden_size
        forward += (prompt + reply) * a_token + reply * head + attention * (prompt + reply) ** 2
        rollout += reply * (a_token + head) + attention * ((prompt + reply) ** 2 - prompt**2)
        if number == 0 or episode.group != episodes[number - 1].group:
            rollout += prompt * a_token + attention * prompt**2
    return {"rollout": rollout, "reference": forward, "update": 3 * forward}
