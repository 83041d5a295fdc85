"""One process, or several that each hold all weights: plain torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from lmmr1.agents.networks.base import Network

from ..records.checkpoint import load_optimizer_tensors, optimizer_tensors
from .base import OptimizerShape, Ranks, Result
from .optimizer import make_optimizer


class Alone:
    """The only rank; see `Ranks`."""

    rank = 0
    size = 1

    def add_up(self, tensor: Tensor) -> Tensor:
        """The tensor itself."""
        return tensor

    def agree(self, what: str, digest: bytes) -> None:
        """There is nobody to differ from."""


class WholeModule:
    """Weights that lie whole in a module of this process; see `Holder`."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """`function` of `arguments`."""
        return function(*arguments)

    def weights(self) -> dict[str, Tensor]:
        """The module's parameters, not copied."""
        return {name: parameter.detach() for name, parameter in self.module.named_parameters()}

    @torch.no_grad()
    def load_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy them into the module."""
        for name, parameter in self.module.named_parameters():
            parameter.copy_(tensors[name])


class SingleLearner(WholeModule):
    """AdamW over a module that every rank holds whole; see `Learner`."""

    def __init__(self, module: nn.Module, shape: OptimizerShape, ranks: Ranks) -> None:
        super().__init__(module)
        self.limit, self.ranks = shape.max_grad_norm, ranks
        self.named = dict(module.named_parameters())
        self.learned = [parameter for parameter in self.named.values() if parameter.requires_grad]
        self.optimizer = make_optimizer(self.learned, shape.learning_rate, shape.betas, shape.weight_decay)

    def learned_weights(self) -> dict[str, Tensor]:
        """Those of the module's parameters that learn, not copied."""
        return {name: parameter.detach() for name, parameter in self.named.items() if parameter.requires_grad}

    def backward(self, loss: Tensor, last: bool) -> None:
        """Add gradients in place."""
        loss.backward()

    def step(self, learning_rate: float) -> float:
        """Add up what the ranks have, clip, step."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        if self.ranks.size > 1:
            for parameter in self.learned:
                gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                parameter.grad = self.ranks.add_up(gradient.cpu()).to(parameter.device)
        norm = torch.nn.utils.clip_grad_norm_(self.learned, self.limit)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return float(norm)

    def moments(self) -> dict[str, Tensor]:
        """The optimizer's own tensors, not copied."""
        return optimizer_tensors(self.optimizer, self.named)

    def load_moments(self, tensors: Mapping[str, Tensor]) -> None:
        """Copies of `tensors`."""
        load_optimizer_tensors(self.optimizer, self.named, tensors)


class SingleBackend:
    """See `Backend`."""

    def __init__(self, ranks: Ranks | None = None) -> None:
        self.ranks: Ranks = ranks or Alone()

    def learner(self, module: nn.Module, shape: OptimizerShape) -> SingleLearner:
        """The module stays as it is."""
        return SingleLearner(module, shape, self.ranks)

    def holder(self, network: Network) -> WholeModule:
        """The model stays as it is."""
        return WholeModule(network.model)
