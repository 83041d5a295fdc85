"""What a backend is: it holds weights, whole or split over ranks, takes their gradients and makes optimizer steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from torch import Tensor, nn

from lmmr1.agents.networks.base import Network

Result = TypeVar("Result")


class LostError(Exception):
    """A process that a run cannot go on without has ended; its newest checkpoint can be resumed."""


@dataclass(frozen=True)
class OptimizerShape:
    """AdamW's settings that do not change from step to step."""

    learning_rate: float
    betas: tuple[float, float]
    weight_decay: float
    max_grad_norm: float


class Ranks(Protocol):
    """The processes that learn together; each runs the same program on its share of the tokens.

    Attributes:
        rank: the number of this one.
        size: how many there are.
    """

    rank: int
    size: int

    def add_up(self, tensor: Tensor) -> Tensor:
        """The sum of every rank's `tensor` (on the CPU), the same on each; may change `tensor` itself."""
        ...

    def agree(self, what: str, digest: bytes) -> None:
        """See to it that every rank has the same.

        Args:
            what: is compared, for the message.
            digest: of it, 32 bytes.

        Raises:
            UserError: one has another than the first.
        """
        ...


class Holder(Protocol):
    """Some weights. Only inside of `call` are they sure to be there."""

    def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """`function` of `arguments`; it may run the modules that hold the weights."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """All of them by name, whole; every rank must ask at the same time."""
        ...

    def load_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace them; every rank must do so at the same time, with the same."""
        ...


class Learner(Holder, Protocol):
    """Weights that learn."""

    def learned_weights(self) -> dict[str, Tensor]:
        """As `weights`, those that learn alone."""
        ...

    def backward(self, loss: Tensor, last: bool) -> None:
        """Add the gradients of one micro-batch, which the ranks' losses add up to.

        Args:
            loss: this rank's part of the sum.
            last: whether a step follows.
        """
        ...

    def step(self, learning_rate: float) -> float:
        """One optimizer step along the gradients, which are 0 again afterwards; returns their norm before clipping."""
        ...

    def moments(self) -> dict[str, Tensor]:
        """The optimizer's state as `optimizer_tensors` writes it, whole; every rank must ask at the same time."""
        ...

    def load_moments(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `moments` gave, on this or any other backend and number of ranks."""
        ...


class Backend(Protocol):
    """How weights are held and moved."""

    ranks: Ranks

    def learner(self, module: nn.Module, shape: OptimizerShape) -> Learner:
        """What moves those parameters of `module` that require a gradient; the module itself may be taken apart."""
        ...

    def holder(self, network: Network) -> Holder:
        """The weights of a network that does not learn."""
        ...
