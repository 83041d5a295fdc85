"""The policy (and a critic) as functions of a batch: log-probabilities, entropies and values of the reply tokens."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from lmmr1.agents.engines.sampler import Sampler
from lmmr1.agents.networks.base import Network
from lmmr1.agents.networks.branches import BranchedRows, Layout, run_branches
from lmmr1.agents.networks.generic import GenericNetwork
from lmmr1.agents.networks.lora import BaseNetwork, adapter_tensors, is_adapter
from lmmr1.agents.networks.operations import token_figures
from lmmr1.agents.networks.qwen import QwenNetwork
from lmmr1.envs.errors import UserError

from .batching import PackedRows
from .objectives.kl import full_kl

# Numbers that the logits of one chunk of tokens may hold (64 MB in float32; on a GPU, whose products want many rows,
# 1 GB). A vocabulary of 151,000 over a micro-batch is far more: its log-probabilities are made chunk by chunk, and made
# again in the backward pass.
LOGIT_LIMIT, DEVICE_LOGIT_LIMIT = 2**24, 2**28
# Share of the tokens that a tree of rows must save to be worth its more costly attention.
LEAST_SAVED = 0.1


@dataclass(frozen=True)
class TokenOutputs:
    """What a forward pass says about m different reply tokens that occur n times in all.

    What stands beside the tokens of a batch (n) is on the CPU, as the batch is; the rest is where the network is.

    Attributes:
        source: int64 (n,), which of the m tokens each copy is.
        logprobs: float32 (n,), of the sampled ids at the sampling temperature.
        hidden: (m, hidden), the states that predict the tokens.
        head: hidden states to all their log-probabilities.
        whole: float32 (m, vocabulary), all log-probabilities, where they were asked for and need no chunks; else None.
        spread: float32 (m,), the entropies where `whole` is None.
    """

    source: Tensor
    logprobs: Tensor
    hidden: Tensor
    head: Callable[[Tensor], Tensor]
    whole: Tensor | None
    spread: Tensor | None = None

    @property
    def distributions(self) -> Tensor:
        """float32 (m, vocabulary), all log-probabilities; made here, whole, where the forward pass went in chunks."""
        return self.head(self.hidden) if self.whole is None else self.whole

    def entropies(self) -> Tensor:
        """float32 (n,) entropies of the distributions, in nats."""
        if self.whole is not None:
            return _entropies(self.whole)[self.source].cpu()
        assert self.spread is not None
        return self.spread[self.source].cpu()

    def full_kl(self, reference: Tensor) -> Tensor:
        """float32 (n,) divergences of the distributions from `reference` (m, vocabulary)."""
        if self.whole is not None:
            return full_kl(self.whole, reference.to(self.whole.device))[self.source].cpu()

        def divergence(hidden: Tensor, reference: Tensor) -> Tensor:
            return full_kl(self.head(hidden), reference.to(hidden.device))

        length = chunk_length(reference.shape[-1], self.hidden.device)
        return in_chunks(divergence, length, self.hidden, reference)[self.source].cpu()


def run_tokens(
    network: Network,
    sampler: Sampler,
    packed: PackedRows,
    temperature: float,
    features: dict[bytes, Tensor] | None = None,
    distributions: bool = False,
) -> TokenOutputs:
    """Run some rows of a batch; only positions that predict a reply token reach the vocabulary.

    Their logits exist whole only where tokens times vocabulary stay within `logit_limit`.

    Args:
        network: what runs them.
        sampler: of the policy.
        packed: the rows.
        temperature: at which the tokens were sampled.
        features: of images, by digest, where they are known.
        distributions: whether all log-probabilities will be asked for too.
    """
    hidden = predicting_states(network, packed, features)
    source, tokens = packed.source.to(hidden.device), packed.tokens.to(hidden.device)

    def head(hidden: Tensor) -> Tensor:
        return sampler.log_probabilities(network.logits(hidden), temperature)

    def figures(hidden: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return token_figures(sampler.raise_bans(network.logits(hidden), temperature), tokens)

    whole = len(tokens) * network.vocabulary_size <= logit_limit(hidden.device)
    # Where nothing learns from it, the log-softmax is the shorter way.
    if whole and (distributions or not torch.is_grad_enabled()):
        everything = head(hidden)
        logprobs = everything.gather(-1, tokens[:, None])[:, 0]
        return TokenOutputs(source, logprobs[source].cpu(), hidden, head, everything)
    if whole:
        logprobs, entropies = figures(hidden, tokens)
    else:
        length = chunk_length(network.vocabulary_size, hidden.device)
        both = in_chunks(lambda *part: torch.stack(figures(*part), -1), length, hidden, tokens)
        logprobs, entropies = both.unbind(-1)
    return TokenOutputs(source, logprobs[source].cpu(), hidden, head, None, entropies)


def _entropies(distributions: Tensor) -> Tensor:
    probabilities = distributions.exp()
    # Where nothing learns from them, a pass over memory less.
    weighted = probabilities * distributions if torch.is_grad_enabled() else probabilities.mul_(distributions)
    return -weighted.sum(-1)


def predicting_states(network: Network, packed: PackedRows, features: dict[bytes, Tensor] | None = None) -> Tensor:
    """The states (m, hidden) that predict the reply tokens; prompts that rows share are run once where that pays."""
    rows, index, columns = packed.rows, packed.row_index, packed.predictors
    if isinstance(network, QwenNetwork) and not network.packing:
        device = str(network.model.device)
        if device not in packed.layouts:
            tree = BranchedRows.pack(network, rows, packed.splits)
            worth = tree.saved > LEAST_SAVED
            packed.layouts[device] = Layout.of(network, tree, tree.places(index, columns)) if worth else None
        layout = packed.layouts[device]
        if layout is not None:
            return run_branches(network, layout, features)
    return network.hidden(rows, features)[index, columns]


def logit_limit(device: torch.device) -> int:
    """How many logits may exist at a time on a device."""
    return LOGIT_LIMIT if device.type == "cpu" else DEVICE_LOGIT_LIMIT


def chunk_length(vocabulary: int, device: torch.device) -> int:
    """How many tokens' logits exist at a time on a device."""
    return max(1, logit_limit(device) // vocabulary)


def in_chunks(function: Callable[..., Tensor], length: int, *tensors: Tensor) -> Tensor:
    """`function` of equal parts of `tensors`, joined along the first axis; what is inside lives for one part only.

    Args:
        function: parts to a tensor of as many rows; the same when it is called again.
        length: rows of a part.
        tensors: (m, ...) each.
    """
    parts = list(zip(*(tensor.split(length) for tensor in tensors), strict=True))
    if not torch.is_grad_enabled():
        return torch.cat([function(*part) for part in parts])
    return torch.cat([checkpoint(function, *part, use_reentrant=False, preserve_rng_state=False) for part in parts])


class ValueHead(nn.Linear):
    """A linear layer that multiplies in float32, whatever its weights and its input are."""

    def forward(self, input: Tensor) -> Tensor:
        """float32 (..., out)."""
        return F.linear(input.float(), self.weight.float(), self.bias.float())


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
        self.head = ValueHead(network.hidden_size, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.head.to(network.model.device)

    def forward(self, packed: PackedRows, policy_hidden: Tensor | None = None) -> Tensor:
        """float32 (n,) values at `packed.places`; a shared trunk reads `policy_hidden` (m, hidden)."""
        if self.network is None:
            assert policy_hidden is not None
            hidden = policy_hidden
        else:
            hidden = predicting_states(self.network, packed)
        return self.head(hidden)[:, 0][packed.source.to(hidden.device)].cpu()


def reference_network(network: Network) -> Network:
    """The network as it is now, for good: a copy; one with an adapter without it, which takes no memory."""
    return BaseNetwork(network) if adapter_tensors(network.model) else copy_network(network)


def copy_network(network: Network) -> Network:
    """The same network over a deep copy of the model."""
    return with_settings(network, copy.deepcopy(network.model))


def with_settings(
    network: Network, model: PreTrainedModel, checkpointing: bool | None = None, packing: bool | None = None
) -> Network:
    """The network over `model`, computed in another way; None: as `network` does.

    Raises:
        UserError: packing is asked for where there is no fused network.
    """
    checkpointing = network.checkpointing if checkpointing is None else checkpointing
    if isinstance(network, QwenNetwork):
        return QwenNetwork(model, checkpointing, network.packing if packing is None else packing)
    if packing:
        raise UserError("model.packing needs a fused network (Qwen2, Qwen2.5-VL): set it to false for this model")
    return GenericNetwork(model, checkpointing)


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Let every parameter learn but those whose names match one of `patterns`; of a model with an adapter, its alone.

    Raises:
        UserError: a pattern matches nothing, or together they leave nothing to learn.
    """
    names = [name for name, _ in model.named_parameters()]
    adapted = any(is_adapter(name) for name in names)
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in names):
            raise UserError(f"freeze: '{pattern}' matches no parameter; names look like '{names[0]}', '{names[-1]}'")
    for name, parameter in model.named_parameters():
        learns = is_adapter(name) or not adapted
        parameter.requires_grad_(learns and not any(fnmatch(name, pattern) for pattern in patterns))
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError(f"freeze: {', '.join(patterns)} match every parameter; one at least must learn")


def vision_frozen(model: nn.Module) -> bool:
    """Whether the model has a vision tower and none of it learns: image features can then be kept."""
    tower = [parameter for name, parameter in model.named_parameters() if ".visual." in f".{name}"]
    return bool(tower) and not any(parameter.requires_grad for parameter in tower)
