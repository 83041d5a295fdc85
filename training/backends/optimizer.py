"""AdamW for weights of any format: what adds up over steps is float32."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class MasterAdamW(torch.optim.Optimizer):
    """AdamW (arXiv 1711.05101) over a float32 copy of each weight, which the weight itself is rounded from.

    A step of a bfloat16 weight is mostly smaller than half of its last place, and would be lost.

    Args:
        parameters: of any floating format; their gradients are summed in float32.
        lr, betas, weight_decay, eps: as in `torch.optim.AdamW`.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "eps": eps})
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad_dtype = torch.float32

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step along the gradients; parameters without one stay as they are."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad.float(), group)

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["master"] = parameter.float().clone()
            state["exp_avg"], state["exp_avg_sq"] = (torch.zeros_like(state["master"]) for _ in range(2))
        state["step"] += 1
        rate, (first, second), steps = group["lr"], group["betas"], float(state["step"])
        state["master"].mul_(1 - rate * group["weight_decay"])
        state["exp_avg"].lerp_(gradient, 1 - first)
        state["exp_avg_sq"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        scale = (state["exp_avg_sq"] / (1 - second**steps)).sqrt_().add_(group["eps"])
        state["master"].addcdiv_(state["exp_avg"], scale, value=-rate / (1 - first**steps))
        parameter.copy_(state["master"])


def make_optimizer(
    parameters: Iterable[Tensor], learning_rate: float, betas: tuple[float, float], weight_decay: float
) -> torch.optim.Optimizer:
    """AdamW; with float32 copies of the weights where some are of another format."""
    parameters = list(parameters)
    if all(parameter.dtype == torch.float32 for parameter in parameters):
        return torch.optim.AdamW(parameters, lr=learning_rate, betas=betas, weight_decay=weight_decay, fused=True)
    return MasterAdamW(parameters, learning_rate, betas, weight_decay)
