"""Weights split over ranks by DeepSpeed's ZeRO (arXiv 1910.02054); the one file that imports it.

Stage 1 splits the optimizer's state, stage 2 the gradients too, stage 3 the weights as well. Checkpoints hold
everything whole and by name, so that a run goes on with any other stage, number of ranks, or without DeepSpeed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

from lmmr1.agents.networks.base import Network
from lmmr1.envs.errors import UserError

from .base import OptimizerShape, Ranks, Result
from .single import WholeModule

MOMENTS = ("exp_avg", "exp_avg_sq")


class ProcessRanks:
    """The processes of a torch process group; see `Ranks`."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        # Flat tensors over tokens lie on the CPU; where the weights' own group needs a GPU they go through another.
        on_cpu = torch.distributed.get_backend() == "gloo"
        self._group = None if on_cpu else torch.distributed.new_group(backend="gloo")

    def add_up(self, tensor: Tensor) -> Tensor:
        """The sum over ranks, in place."""
        torch.distributed.all_reduce(tensor, group=self._group)
        return tensor

    def agree(self, what: str, digest: bytes) -> None:
        """Compare digests with those of the other ranks."""
        mine = torch.tensor(list(digest), dtype=torch.uint8)
        every = [torch.zeros_like(mine) for _ in range(self.size)]
        torch.distributed.all_gather(every, mine, group=self._group)
        other = [rank for rank, theirs in enumerate(every) if not torch.equal(theirs, every[0])]
        if other:
            raise UserError(
                f"rank {other[0]} has other {what} than rank 0: every rank must run the same recipe and code on the "
                "same data; see that all machines have the same version of lmmr1 and its packages"
            )


class _Root(nn.Module):
    """What DeepSpeed wraps: a module whose forward is whatever is to be done with the modules inside it.

    Weights that are split are fetched by the modules that hold them; that this starts and ends in the outermost one's
    forward is what DeepSpeed asks for. It looks for tensors in what goes in and comes out, and knows few types.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.work: Callable[[], None] | None = None

    def forward(self) -> None:
        assert self.work is not None
        self.work()


class _SplitModule:
    """A module in DeepSpeed's hands; see `Holder`."""

    def __init__(self, module: nn.Module, stage: int, config: dict[str, Any], optimizer: Any = None) -> None:
        import deepspeed

        self.module, self.stage = module, stage
        self.named = dict(module.named_parameters())
        # Frozen weights have no part in any step, but stage 3 splits them too.
        self._root = _Root(module)
        wrapped = deepspeed.initialize(model=self._root, optimizer=optimizer, config=config)
        self.engine: Any = wrapped[0]
        self.engine.eval()  # our policies know no dropout: what learns is what sampled

    def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """`function` of `arguments`, inside the outermost forward."""
        results: list[Result] = []
        self._root.work = lambda: results.append(function(*arguments))
        self.engine()
        self._root.work = None
        return results[0]

    def _whole(self, named: Mapping[str, nn.Parameter]) -> Iterator[tuple[str, Tensor]]:
        import deepspeed

        for name, parameter in named.items():
            if self.stage < 3:
                yield name, parameter.detach()
                continue
            with deepspeed.zero.GatheredParameters([parameter], modifier_rank=None):
                yield name, parameter.detach()

    def weights(self) -> dict[str, Tensor]:
        """Copies on the CPU; with stage 3 one weight after the other is brought together for it."""
        return {name: tensor.to("cpu", copy=True) for name, tensor in self._whole(self.named)}

    @torch.no_grad()
    def load_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy them in."""
        import deepspeed

        for name, parameter in self.named.items():
            if self.stage < 3:
                parameter.copy_(tensors[name])
            else:
                with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0):
                    parameter.copy_(tensors[name])


class DeepSpeedLearner(_SplitModule):
    """AdamW over a module, split; see `Learner`."""

    def __init__(self, module: nn.Module, shape: OptimizerShape, ranks: Ranks, settings: Mapping[str, Any]) -> None:
        self.ranks, self.steps = ranks, 0
        self.learned = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.low = any(parameter.dtype != torch.float32 for parameter in self.learned.values())
        config = {
            **_config(self.low, settings),
            "gradient_clipping": shape.max_grad_norm,
            "train_micro_batch_size_per_gpu": 1,
            "gradient_accumulation_steps": 1,
        }
        # The plain one, since DeepSpeed's own are compiled on first use and would be no other arithmetic.
        optimizer = torch.optim.AdamW(
            self.learned.values(), lr=shape.learning_rate, betas=shape.betas, weight_decay=shape.weight_decay
        )
        super().__init__(module, settings["stage"], config, optimizer)

    def learned_weights(self) -> dict[str, Tensor]:
        """As `weights`, those that learn alone."""
        return {name: tensor.to("cpu", copy=True) for name, tensor in self._whole(self.learned)}

    def backward(self, loss: Tensor, last: bool) -> None:
        """Add gradients; DeepSpeed averages over ranks where our losses add up."""
        self.engine.set_gradient_accumulation_boundary(last)
        self.engine.backward(loss * self.ranks.size)

    def step(self, learning_rate: float) -> float:
        """Clip by the norm over all ranks, step."""
        for group in self.engine.optimizer.param_groups:
            group["lr"] = learning_rate
        self.engine.step()
        self.steps += 1
        return float(self.engine.get_global_grad_norm())

    def moments(self) -> dict[str, Tensor]:
        """Whole, on the CPU; where weights are of another format, their float32 copies too, as of `MasterAdamW`."""
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        if not self.steps:
            return {}
        tensors: dict[str, Tensor] = {}
        for name, parameter in self.learned.items():
            tensors[f"{name}/step"] = torch.tensor(float(self.steps))
            for key in MOMENTS:
                tensors[f"{name}/{key}"] = _copied(safe_get_full_optimizer_state(parameter, key))
            if self.low:
                tensors[f"{name}/master"] = _copied(safe_get_full_fp32_param(parameter))
        return tensors

    @torch.no_grad()
    def load_moments(self, tensors: Mapping[str, Tensor]) -> None:
        """Each rank takes its part of what is whole."""
        if not tensors:
            return
        steps = {name.rpartition("/")[0]: float(tensor) for name, tensor in tensors.items() if name.endswith("/step")}
        if sorted(steps) != sorted(self.learned):
            raise UserError("the checkpoint holds the optimizer's state of other weights than learn here")
        self.steps = round(max(steps.values()))
        zero = self.engine.optimizer
        # With stage 3 the optimizer is shown one of them after the other, and only while it steps.
        groups = zero.optimizer.param_groups
        flats = zero.fp32_partitioned_groups_flat if self.stage == 3 else [p for g in groups for p in g["params"]]
        for flat in flats:
            zero.optimizer.state[flat] = {
                "step": torch.tensor(float(self.steps)),
                **{key: torch.zeros_like(flat) for key in MOMENTS},
            }
        if self.stage < 3:
            # It ties the parameters to the parts of the flat state when it steps for the first time, which is now.
            zero._lazy_init_hp_params_optimizer_state()
        for name, parameter in self.learned.items():
            for key in MOMENTS:
                self._put(parameter, tensors[f"{name}/{key}"], key)
            if self.low and f"{name}/master" in tensors:
                self._put(parameter, tensors[f"{name}/master"], None)

    def load_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy them in, and into the float32 copies that steps are made on."""
        super().load_weights(tensors)
        for name, parameter in self.learned.items():
            self._put(parameter, tensors[name].float(), None)

    def _put(self, parameter: nn.Parameter, whole: Tensor, key: str | None) -> None:
        from deepspeed import utils

        if self.stage < 3:
            whole = whole.to(parameter.device)
            if key is None:
                utils.safe_set_full_fp32_param(parameter, whole)
            else:
                utils.safe_set_full_optimizer_state(parameter, whole, key)
            return
        # Parts are equally long; the last ones are filled up.
        length = utils.safe_get_local_fp32_param(parameter).numel()
        padded = torch.zeros(length * self.ranks.size)
        padded[: whole.numel()] = whole.flatten()
        part = padded[length * self.ranks.rank : length * (self.ranks.rank + 1)].to(parameter.device)
        if key is None:
            utils.safe_set_local_fp32_param(parameter, part)
        else:
            utils.safe_set_local_optimizer_state(parameter, part, key)


class DeepSpeedBackend:
    """See `Backend`.

    Args:
        ranks: all of them.
        stage: 1, 2 or 3.
        offload: whether the optimizer's state (and with stage 3 the weights) wait on the CPU.
    """

    def __init__(self, ranks: Ranks, stage: int, offload: bool) -> None:
        self.ranks, self.stage = ranks, stage
        self.settings = {"stage": stage, "offload": offload, "size": ranks.size}

    def learner(self, module: nn.Module, shape: OptimizerShape) -> DeepSpeedLearner:
        """Split what learns."""
        return DeepSpeedLearner(module, shape, self.ranks, self.settings)

    def holder(self, network: Network) -> WholeModule | _SplitModule:
        """Only stage 3 splits what does not learn."""
        if self.stage < 3:
            return WholeModule(network.model)
        network.model.requires_grad_(False)
        low = any(parameter.dtype != torch.float32 for parameter in network.model.parameters())
        return _SplitModule(network.model, 3, {**_config(low, self.settings), "train_micro_batch_size_per_gpu": 1})


def _copied(tensor: Any) -> Tensor:
    return tensor.to("cpu", copy=True)


def _config(low: bool, settings: Mapping[str, Any]) -> dict[str, Any]:
    stage, offload = settings["stage"], settings["offload"]
    zero: dict[str, Any] = {"stage": stage, "contiguous_gradients": True, "overlap_comm": torch.cuda.is_available()}
    if offload:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    if offload and stage == 3:
        zero["offload_param"] = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    return {
        "zero_optimization": zero,
        "bf16": {"enabled": low},
        "data_types": {"grad_accum_dtype": "fp32"},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 10**9,
    }


def join_ranks(rank: int, size: int, address: str, device: str) -> ProcessRanks:
    """Meet the other ranks.

    Args:
        rank, size: this one's number, and how many there are.
        address: where they meet, as torch has it: "file:///folder/file" or "tcp://host:port".
        device: "cpu" or "cuda".

    Raises:
        UserError: DeepSpeed is missing.
    """
    os.environ.setdefault("DS_ACCELERATOR", device)
    os.environ.setdefault("DS_LOG_LEVEL", "warning")
    # Where these are unset it looks for the ranks of a cluster's scheduler by itself.
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(size), LOCAL_RANK=os.environ.get("LOCAL_RANK", str(rank)))
    try:
        import deepspeed
    except ModuleNotFoundError as error:
        raise UserError(
            "backend.kind deepspeed needs DeepSpeed: run pip install 'lmmr1[deepspeed]', or set it to single"
        ) from error
    kind = "nccl" if device == "cuda" else "gloo"
    torch.distributed.init_process_group(kind, init_method=address, rank=rank, world_size=size)
    if device == "cpu":
        # It would compile a faster sum for ranks that share memory: minutes at first, for nothing that matters here.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(dist_backend=kind, auto_mpi_discovery=False, verbose=False)
    return ProcessRanks(rank, size)
