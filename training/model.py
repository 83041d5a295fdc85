"""The policy (and a critic) as functions of a batch: log-probabilities, entropies and values of the reply tokens."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

from torch import Tensor, nn

from lmmr1.agents.engines.sampler import Sampler
from lmmr1.agents.networks.base import Network
from lmmr1.agents.networks.generic import GenericNetwork
from lmmr1.agents.networks.qwen import QwenNetwork
from lmmr1.envs.errors import UserError

from .batching import PackedRows
from .objectives.kl import full_kl


@dataclass(frozen=True)
class TokenOutputs:
    """What a forward pass says about m different reply tokens that occur n times in all.

    Attributes:
        source: int64 (n,), which of the m tokens each copy is.
        logprobs: float32 (n,), of the sampled ids at the sampling temperature.
        distributions: float32 (m, vocabulary), all log-probabilities.
        hidden: (m, hidden), the states that predict the tokens.
    """

    source: Tensor
    logprobs: Tensor
    distributions: Tensor
    hidden: Tensor

    def entropies(self) -> Tensor:
        """float32 (n,) entropies of the distributions, in nats."""
        return -(self.distributions.exp() * self.distributions).sum(-1)[self.source]

    def full_kl(self, reference: Tensor) -> Tensor:
        """float32 (n,) divergences of the distributions from `reference` (m, vocabulary)."""
        return full_kl(self.distributions, reference)[self.source]


def run_tokens(
    network: Network,
    sampler: Sampler,
    packed: PackedRows,
    temperature: float,
    features: dict[bytes, Tensor] | None = None,
) -> TokenOutputs:
    """Run some rows of a batch; only positions that predict a reply token reach the vocabulary."""
    hidden = network.hidden(packed.rows, features)[packed.row_index, packed.predictors]
    distributions = sampler.log_probabilities(network.logits(hidden), temperature)
    logprobs = distributions.gather(-1, packed.tokens.to(hidden.device)[:, None])[:, 0]
    source = packed.source.to(hidden.device)
    return TokenOutputs(source, logprobs[source], distributions, hidden)


class Critic(nn.Module):
    """A value for each reply token, read from the state that predicts it.

    Args:
        network: the policy's network.
        own: with a trunk of its own (a copy of the policy's, learning by itself), else a head on the policy's states.
    """

    def __init__(self, network: Network, own: bool) -> None:
        super().__init__()
        self.network = copy_network(network) if own else None
        self.trunk = self.network.model if self.network is not None else None
        self.head = nn.Linear(network.hidden_size, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, packed: PackedRows, policy_hidden: Tensor | None = None) -> Tensor:
        """float32 (n,) values at `packed.places`; a shared trunk reads `policy_hidden` (m, hidden)."""
        if self.network is None:
            assert policy_hidden is not None
            hidden = policy_hidden
        else:
            hidden = self.network.hidden(packed.rows)[packed.row_index, packed.predictors]
        return self.head(hidden.float())[:, 0][packed.source.to(hidden.device)]


def copy_network(network: Network) -> Network:
    """The same network over a deep copy of the model."""
    model = copy.deepcopy(network.model)
    return QwenNetwork(model) if isinstance(network, QwenNetwork) else GenericNetwork(model)


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Let every parameter learn but those whose names match one of `patterns`.

    Raises:
        UserError: a pattern matches nothing, or together they leave nothing to learn.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in names):
            raise UserError(f"freeze: '{pattern}' matches no parameter; names look like '{names[0]}', '{names[-1]}'")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not any(fnmatch(name, pattern) for pattern in patterns))
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError(f"freeze: {', '.join(patterns)} match every parameter; one at least must learn")


def vision_frozen(model: nn.Module) -> bool:
    """Whether the model has a vision tower and none of it learns: image features can then be kept."""
    tower = [parameter for name, parameter in model.named_parameters() if ".visual." in f".{name}"]
    return bool(tower) and not any(parameter.requires_grad for parameter in tower)
