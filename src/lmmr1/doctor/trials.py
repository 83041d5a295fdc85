"""`lmmr1 doctor --try`: starts each thing for real, each in a process (`python -m lmmr1.doctor.trials NAME`).

What is started is as small as it can be: a model of two narrow layers with random weights.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TRIALS = ("train", "vllm", "deepspeed", "ray")
# Enough for a machine that is busy: the first start of DeepSpeed compiles for minutes.
LIMIT = 600.0
_SMALL = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "vocab_size": 64,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
}


@dataclass(frozen=True)
class Trial:
    """How one went: what it says of itself, or the last line of its error, and the seconds that it took."""

    name: str
    passed: bool
    text: str
    seconds: float


def try_it(name: str, limit: float = LIMIT, command: tuple[str, ...] = (sys.executable, "-m", __name__)) -> Trial:
    """Run one trial in a process of its own, which is ended with all its children after `limit` seconds."""
    begin = time.monotonic()
    environment = {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0", **os.environ}
    process = subprocess.Popen(
        [*command, name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        out, errors = process.communicate(timeout=limit)
        passed = process.returncode == 0
        lines = [line for line in (out if passed else errors or out).splitlines() if line.strip()]
        text = lines[-1].strip() if lines else f"ended with exit code {process.returncode} and said nothing"
    except subprocess.TimeoutExpired:
        passed, text = False, f"did not end within {limit:.0f} s"
    finally:
        _end(process)
    return Trial(name, passed, text, time.monotonic() - begin)


def _end(process: subprocess.Popen[str]) -> None:
    """Take away what is left of its session: engines start processes that outlive a parent that was killed."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.communicate()


def _train() -> str:
    import torch

    import lmmr1
    from lmmr1.agents.policy import PolicyAgent
    from lmmr1.agents.rollout import rollout

    policy = PolicyAgent.from_pretrained("tiny", max_new_tokens=8)
    (episode,) = rollout(policy, lambda: lmmr1.make_chat("LMMR1/Reasoning-v0"), 1, seed=0, stream=0)
    weight = torch.nn.Parameter(torch.ones(4))
    weight.square().sum().backward()
    assert weight.grad is not None
    return f"torch {torch.__version__}: the tiny model wrote {len(episode.turns[0].reply_ids)} tokens; gradients work"


def _vllm() -> str:
    os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1", "TORCHDYNAMO_DISABLE": "1"}
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    import vllm

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(_SMALL), encoding="utf-8")
        engine = vllm.LLM(
            model=folder,
            load_format="dummy",
            skip_tokenizer_init=True,
            dtype="float32",
            enforce_eager=True,
            max_model_len=64,
            gpu_memory_utilization=0.3,
            distributed_executor_backend="uni",
            disable_log_stats=True,
        )
        sampling = vllm.SamplingParams(max_tokens=4, ignore_eos=True, detokenize=False)
        (output,) = engine.generate([[1, 2, 3]], sampling, use_tqdm=False)
    count = len(output.outputs[0].token_ids)
    assert count == 4, f"{count} tokens of 4"
    return f"vllm {vllm.__version__}: {count} tokens generated"


def _deepspeed() -> str:
    import torch

    if not torch.cuda.is_available():
        os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed

    os.environ |= {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": _port(),
    }
    deepspeed.init_distributed("nccl" if torch.cuda.is_available() else "gloo")
    model = torch.nn.Linear(8, 8)
    config = {
        "train_micro_batch_size_per_gpu": 1,
        "zero_optimization": {"stage": 2},
        "zero_allow_untested_optimizer": True,
    }
    optimizer = torch.optim.AdamW(model.parameters())
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=config)
    before = model.weight.detach().clone()
    engine.backward(engine(torch.ones(1, 8, device=engine.device)).square().sum())
    engine.step()
    assert not torch.equal(before.to(engine.device), model.weight), "the step changed no weight"
    torch.distributed.destroy_process_group()
    return f"deepspeed {deepspeed.__version__}: a step of ZeRO-2"


def _port() -> str:
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return str(server.getsockname()[1])


def _ray() -> str:
    import ray

    options = {"include_dashboard": False, "_node_ip_address": "127.0.0.1", "object_store_memory": 100 * 2**20}
    ray.init("local", num_cpus=1, **options)
    answer = ray.get(ray.remote(lambda: 6 * 7).remote())
    assert answer == 42, answer
    ray.shutdown()
    return f"ray {ray.__version__}: a task came back"


RUN: dict[str, Callable[[], str]] = {"train": _train, "vllm": _vllm, "deepspeed": _deepspeed, "ray": _ray}

if __name__ == "__main__":
    print(RUN[sys.argv[1]]())
