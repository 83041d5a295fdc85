"""Peak memory of a PPO update of a 3B model (the shape of Qwen2.5-VL-3B, random weights): computed, and checked.

Computed: the update's forward and backward pass run on meta tensors, which have shapes and no memory, while every
storage is counted from its birth to its death. Checked: the same accounting of a model with 1 and 2 of the 36 layers
and an eighth of the vocabulary beside the resident memory that a process really needed for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from contest import finish, parse_arguments
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from lmmr1.agents.engines.sampler import Sampler
from lmmr1.agents.networks.base import Rows
from lmmr1.agents.networks.lora import Adapter, add_adapter
from lmmr1.agents.networks.qwen import QwenNetwork
from lmmr1.training import model as policy
from lmmr1.training.backends.optimizer import make_optimizer
from lmmr1.training.batching import PackedRows
from lmmr1.training.model import freeze, run_tokens

GIB = 2**30
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Case:
    """One update: its model and its micro-batch."""

    layers: int = 36
    vocabulary: int = 151_936
    dtype: str = "bfloat16"
    checkpointing: bool = True
    rank: int = 0  # of adapters; 0: the decoder itself learns
    rows: int = 4
    length: int = 1024
    replies: int = 512  # tokens of each row that are learned from
    whole: bool = False  # all logits at once, as without chunks
    depth: int = 32  # layers of the vision tower, which is frozen and whose features are kept
    limit: int = policy.LOGIT_LIMIT  # with a GPU's, the whole is 1.3 GiB more


class Ledger(TorchDispatchMode):
    """Counts the bytes of every storage that is made while it is entered, until it dies."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.known: set[int] = set()

    def hold(self, tensor: Tensor) -> None:
        """Count a tensor's storage, unless it is counted already."""
        storage = tensor.untyped_storage()
        if id(storage) in self.known:
            return
        self.known.add(id(storage))
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._let_go, id(storage), storage.nbytes())

    def _let_go(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.live -= size

    def __torch_dispatch__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        # What goes to the CPU from a tensor without memory stays without it.
        if func is torch.ops.aten._to_copy.default and args[0].is_meta:
            kwargs["device"] = torch.device("meta")
        out = func(*args, **kwargs)
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self.hold(leaf)
        return out


def build(case: Case, device: str) -> QwenNetwork:
    """The model of a case; only its decoder, or its adapter, learns."""
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": case.vocabulary,
            "bos_token_id": None,
            "eos_token_id": None,
            "hidden_size": 2048,
            "intermediate_size": 11_008,
            "num_hidden_layers": case.layers,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
        },
        vision_config={"depth": case.depth, "hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": 2048},
        image_token_id=case.vocabulary - 1,
        video_token_id=case.vocabulary - 2,
        tie_word_embeddings=True,
    )
    with torch.device(device):
        model = Qwen2_5_VLForConditionalGeneration(config)
    model.to(DTYPES[case.dtype])  # pyright: ignore[reportArgumentType]  # its wrapper hides which parameter is `self`
    model.tie_weights()
    if case.rank:
        targets = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
        add_adapter(model, Adapter(case.rank, 32.0, targets), 0)
    freeze(model, ["model.visual.*"])
    return QwenNetwork(model, case.checkpointing)


def micro_batch(case: Case) -> PackedRows:
    """Rows of text whose last tokens are the reply; a picture's tokens weigh as much as these."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, case.vocabulary - 2, (case.rows, case.length))
    count = case.rows * case.replies
    predictors = np.tile(np.arange(case.length - case.replies - 1, case.length - 1), case.rows)
    row = np.repeat(np.arange(case.rows), case.replies)
    arrays = (row, predictors, ids[row, predictors + 1], np.arange(count), np.arange(count), np.arange(count))
    rows, splits = Rows.pack(list(ids), [[] for _ in ids], 0), [case.length - case.replies] * case.rows
    return PackedRows(rows, splits, *map(torch.from_numpy, arrays), own=count)


def update(network: QwenNetwork, case: Case, packed: PackedRows) -> None:
    """Forward and backward pass of a micro-batch, as in training."""
    sampler = Sampler(case.vocabulary, [0], network.model.device)
    policy.LOGIT_LIMIT = policy.DEVICE_LOGIT_LIMIT = 2**62 if case.whole else case.limit
    outputs = run_tokens(network, sampler, packed, 1.0)
    loss = -(outputs.logprobs.exp() * 0.1).mean() - 0.01 * outputs.entropies().mean()
    loss.backward()


def compute(case: Case) -> dict[str, float]:
    """GiB by part, from shapes alone; `activations` is the most that is needed beside what always stays."""
    network = build(case, "meta")
    parameters = list(network.model.parameters())
    learned = [parameter for parameter in parameters if parameter.requires_grad]
    optimizer = make_optimizer(learned, 1e-6, (0.9, 0.99), 0.0)
    weights = sum(parameter.numel() * parameter.element_size() for parameter in parameters)
    count = sum(parameter.numel() for parameter in learned)
    # Two moments in float32, and the master weight where the weight itself is not.
    state = count * (8 if isinstance(optimizer, torch.optim.AdamW) else 12)
    ledger = Ledger()
    for parameter in parameters:
        ledger.hold(parameter)
    packed = micro_batch(case)
    with ledger:
        update(network, case, packed)  # from here on the gradients are there
        ledger.peak = ledger.live
        update(network, case, packed)
    gradients = sum(
        parameter.grad.numel() * parameter.grad.element_size() for parameter in learned if parameter.grad is not None
    )
    # The optimizer's own temporary tensors are those of its largest weight.
    step = 3 * 4 * max(parameter.numel() for parameter in learned) if state == 12 * count else 0
    peak = max(ledger.peak, weights + gradients + step)
    parts = {
        "weights": weights,
        "gradients": gradients,
        "optimizer": state,
        "reference": 0 if case.rank else weights,
        "activations": peak - weights - gradients,
    }
    return {**{name: size / GIB for name, size in parts.items()}, "total": (sum(parts.values())) / GIB}


# ---------------------------------------------------------------------------------------------------------- measuring


def resident(key: str) -> int:
    """Bytes of this process as Linux counts them: `VmRSS` now, `VmHWM` at most so far."""
    with open("/proc/self/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith(key))
    return int(line.split()[1]) * 1024


def measure(case: Case) -> float:
    """GiB that a process needed for two updates, the reference aside (a copy of the weights, which nobody doubts)."""
    torch.set_num_threads(1)
    torch.mm(torch.ones(64, 64), torch.ones(64, 64))  # what the first product sets up is not counted
    before = resident("VmRSS")
    network = build(case, "cpu")
    optimizer = make_optimizer([p for p in network.model.parameters() if p.requires_grad], 1e-6, (0.9, 0.99), 0.0)
    packed = micro_batch(case)
    for _ in range(2):  # the second meets the gradients and the optimizer's state of the first
        update(network, case, packed)
        optimizer.step()
    return (resident("VmHWM") - before) / GIB


def measure_apart(case: Case) -> float:
    """The same in a process of its own, whose large tensors go back to the system when they die."""
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, json.dumps(vars(case))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    arguments = parse_arguments(__doc__ or "")
    figures: dict[str, float | None] = {}
    cases = {
        "full": Case(),
        "full_without_checkpointing": Case(checkpointing=False),
        "full_whole_logits": Case(whole=True),
        "lora": Case(rank=16),
    }
    print("3B, bfloat16, 4 rows of 1,024 tokens with 512 of the reply, in GiB:")
    for name, case in cases.items():
        if arguments.quick and name != "full":
            continue
        parts = compute(case)
        print(f"  {name:28s}" + "  ".join(f"{part} {size:.1f}" for part, size in parts.items()))
        figures |= {f"peak_gib_{name}": parts["total"], f"activations_gib_{name}": parts["activations"]}
    print("Computed and measured on this CPU, float32, 2 rows of 128 tokens, GiB:")
    small = {
        "vocabulary": 18_992,
        "dtype": "float32",
        "rows": 2,
        "length": 128,
        "replies": 64,
        "depth": 1,
        "limit": 2**20,
    }
    ratios = []
    for layers in (1,) if arguments.quick else (1, 2):
        for checkpointing in (True,) if arguments.quick else (True, False):
            case = Case(layers=layers, checkpointing=checkpointing, **small)
            parts = compute(case)
            expected, found = parts["total"] - parts["reference"], measure_apart(case)
            ratios.append(found / expected)
            print(f"  {layers} layers, checkpointing {checkpointing}: computed {expected:.2f}, measured {found:.2f}")
    figures["measured_over_computed_least"], figures["measured_over_computed_most"] = min(ratios), max(ratios)
    finish(figures, arguments.json)


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].startswith("{"):
        print(measure(Case(**json.loads(sys.argv[1]))))
    else:
        main()
