"""Compiled kernels say what the operations say that they replace, and run only where they are meant to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lmmr1.agents.engines.base import Request, Sampling
from lmmr1.agents.engines.embedded import EmbeddedEngine
from lmmr1.agents.engines.sampler import BANNED, Sampler
from lmmr1.agents.networks.compiled import switch
from lmmr1.agents.networks.compiled.exponential import exponentials, highest_of, scratch
from lmmr1.agents.networks.compiled.functions import attended_newest
from lmmr1.agents.networks.compiled.halves import narrow, widen
from lmmr1.agents.networks.compiled.switch import kernels_allowed, kernels_fit
from lmmr1.agents.networks.decoding import DecodingNetwork
from lmmr1.agents.networks.operations import gated, rms_norm, token_figures
from lmmr1.agents.networks.qwen import QwenNetwork
from lmmr1.envs.compiling.kernel import has_numba

from ..models import random_tiny


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_tests_have_kernels() -> None:
    assert has_numba() and kernels_fit(torch.zeros(1))


def test_kernels_run_for_float32_on_one_thread_where_they_are_allowed_and_numba_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = torch.zeros(1)
    assert not kernels_fit(one, one.bfloat16())
    assert kernels_fit(one, one.bfloat16(), halves=True) and not kernels_fit(one.half(), halves=True)
    assert not kernels_fit(one.to("meta"))
    with kernels_allowed(False):
        assert not kernels_fit(one)
    assert kernels_fit(one)
    torch.set_num_threads(2)
    try:
        assert not kernels_fit(one)
    finally:
        torch.set_num_threads(1)
    monkeypatch.setattr(switch, "has_numba", lambda: False)
    assert not kernels_fit(one)


def test_exponentials_are_exact_to_the_last_digits() -> None:
    values = np.linspace(-200, 88, 100_003).astype(np.float32)
    found = values.copy()
    exponentials(found, len(found), *scratch(len(found)))
    expected = np.exp(values.astype(np.float64))
    normal = expected > np.finfo(np.float32).tiny
    assert np.abs(found[normal] / expected[normal] - 1).max() < 4e-7
    assert found[~normal].max() <= np.finfo(np.float32).tiny and found[values < -88].max() == 0
    odd = np.array([-np.inf, np.nan, 0, 1, 5], np.float32)
    exponentials(odd, 4, *scratch(5))
    assert odd[0] == 0 and np.isnan(odd[1]) and odd[2] == 1 and odd[4] == 5


@pytest.mark.parametrize("count", [1, 15, 16, 17, 100])
def test_the_highest_of_some_numbers(count: int) -> None:
    values = np.random.default_rng(count).standard_normal(120).astype(np.float32)
    values[count:] = 99
    assert highest_of(values, count, np.empty(16, np.float32)) == values[:count].max()


def both_ways(function: Callable[..., Tensor | tuple[Tensor, ...]], *inputs: Tensor) -> list[list[Tensor]]:
    """Outputs and gradients with kernels and without; gradients of sums with random weights."""
    results = []
    for allowed in (True, False):
        with kernels_allowed(allowed):
            leaves = [part.clone().requires_grad_() for part in inputs]
            found = function(*leaves)
            outputs = list(found) if isinstance(found, tuple) else [found]
            source = generator()
            weights = [torch.randn(output.shape, generator=source) for output in outputs]
            loss = sum((output * weight).sum() for output, weight in zip(outputs, weights, strict=True))
            assert isinstance(loss, Tensor)
            results.append([output.detach() for output in outputs] + list(torch.autograd.grad(loss, leaves)))
            with torch.no_grad():
                again = function(*inputs)
            for one, other in zip(outputs, again if isinstance(again, tuple) else [again], strict=True):
                assert torch.equal(one.detach(), other)
    return results


OPERATIONS: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "norm": (lambda hidden, weight: rms_norm(hidden, weight, 1e-6), [(3, 70, 24), (24,)]),
    "norm of a slice": (lambda hidden, weight: rms_norm(hidden[:, ::2], weight, 1e-6), [(130, 48), (24,)]),
    "gated": (gated, [(5, 131), (5, 131)]),
    "gated slices": (lambda gate, up: gated(gate[:, :100], up.mT[:, :100]), [(7, 131), (131, 7)]),
    "figures": (lambda logits: token_figures(logits * 4, torch.arange(50) % 13), [(50, 13)]),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_and_their_gradients_are_the_same(name: str) -> None:
    function, shapes = OPERATIONS[name]
    source = generator()
    compiled, plain = both_ways(function, *(torch.randn(shape, generator=source) for shape in shapes))
    for one, other in zip(compiled, plain, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_not_a_number_stays_none(name: str) -> None:
    # The guards that stop a run look for it.
    function, shapes = OPERATIONS[name]
    inputs = [torch.randn(shape, generator=generator()) for shape in shapes]
    inputs[0][..., 0] = torch.nan
    found = function(*inputs)
    for output in found if isinstance(found, tuple) else [found]:
        assert bool(output.isnan().any())


def test_bfloat16_goes_in_and_out_as_torch_rounds_it() -> None:
    # Every number there is of 16 bits, and float32 numbers at and around the middle between two of them.
    halves = torch.arange(-(1 << 15), 1 << 15).to(torch.int16)
    bits = torch.empty(len(halves), dtype=torch.int32)
    widen(halves.numpy(), bits.numpy())
    wide = halves.view(torch.bfloat16).float()
    assert torch.equal(bits.view(torch.float32).nan_to_num(7), wide.nan_to_num(7))
    for offset in (-0x8000, -1, 0, 1, 0x7FFF, 0x8000, 0x8001):
        numbers = (bits + offset).view(torch.float32)
        found = torch.empty(len(halves), dtype=torch.int16)
        narrow(numbers.view(torch.int32).numpy(), found.numpy())
        expected = numbers.bfloat16()
        assert torch.equal(found.view(torch.bfloat16).isnan(), expected.isnan())
        assert torch.equal(found[~expected.isnan()], expected.view(torch.int16)[~expected.isnan()])


@pytest.mark.parametrize("rows", [1, 8, 77])
def test_the_norm_of_bfloat16_is_rounded_once(rows: int) -> None:
    source = generator()
    inputs = [torch.randn(rows, 24, generator=source).bfloat16(), torch.rand(24, generator=source).bfloat16()]
    hidden, weight = (part.clone().requires_grad_() for part in inputs)
    grad = torch.randn(rows, 24, generator=source).bfloat16()
    out = rms_norm(hidden, weight, 1e-6)
    out.backward(grad)
    exact_hidden, exact_weight = (part.double().requires_grad_() for part in inputs)
    exact = exact_hidden * (exact_hidden.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * exact_weight
    exact.backward(grad.double())
    with torch.no_grad():
        assert torch.equal(out, rms_norm(hidden, weight, 1e-6))
    for found, expected in ((out, exact), (hidden.grad, exact_hidden.grad), (weight.grad, exact_weight.grad)):
        assert found is not None and expected is not None and found.dtype == torch.bfloat16
        torch.testing.assert_close(found.double(), expected, rtol=2**-8, atol=1e-5)
    inputs[0][0, 3] = torch.nan
    assert bool(rms_norm(inputs[0], inputs[1], 1e-6)[0].isnan().all())


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_same_tokens_are_drawn(temperature: float) -> None:
    banned = [0, 5, 46]
    sampler, source = Sampler(47, banned, "cpu"), generator()
    logits, noise = 3 * torch.randn(4000, 47, generator=source), torch.rand(4000, generator=source)
    logits[:, 0] += 50  # what is banned is not drawn, be it ever so likely
    noise[:4] = torch.tensor([0.0, 1 - 2**-24, 0.0, 1 - 2**-24])
    with kernels_allowed(False):
        expected, chances = sampler(logits, noise, temperature, False)
    tokens, logprobs = sampler(logits, noise, temperature, False)
    assert not set(tokens.tolist()) & set(banned)
    same = tokens == expected
    assert float(same.float().mean()) > 0.999  # a draw at the very edge may fall to either side
    torch.testing.assert_close(logprobs[same], chances[same], atol=1e-5, rtol=1e-5)
    everything = sampler.log_probabilities(logits, temperature)
    torch.testing.assert_close(logprobs, everything.gather(-1, tokens[:, None])[:, 0], atol=1e-5, rtol=1e-5)


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    logits = torch.tensor([0.0, 1.0, BANNED, -2.0, 0.5])
    count = 200_000
    noise = torch.rand(count, generator=generator())
    tokens, _ = Sampler(5, [2], "cpu")(logits.expand(count, -1), noise, 1.0, False)
    shares = torch.bincount(tokens, minlength=5) / count
    torch.testing.assert_close(shares, logits.softmax(-1), atol=5e-3, rtol=0)


@pytest.mark.parametrize(("heads", "kv_heads", "dim"), [(4, 4, 24), (6, 2, 8)])
def test_attention_of_the_newest_token(heads: int, kv_heads: int, dim: int) -> None:
    rows, columns, column, source = 7, 30, 21, generator()
    joined = torch.randn(rows, (heads + 2 * kv_heads) * dim, generator=source)
    turn = torch.polar(torch.ones(rows, dim // 2), torch.randn(rows, dim // 2, generator=source))
    keys, values = torch.randn(2, rows, kv_heads, columns, dim, generator=source).unbind(0)
    # Rows 1 to 3 begin as row 0 does, and their own copy of that is not looked at.
    leaders = torch.tensor([0, 0, 0, 0, 4, 5, 6])
    starts, ends = torch.tensor([2, 2, 2, 2, 0, 5, 19]), torch.tensor([9, 9, 9, 9, 8, 20, 20])
    for part in (keys, values):
        part[1:4, :, 2:9] = part[0, :, 2:9]
    hidden = torch.arange(columns) < starts[:, None]
    unseen = torch.where(hidden, -1e9, 0.0).repeat_interleave(kv_heads, 0)[:, None]
    cache: Any = SimpleNamespace(column=column, first=0, unseen=unseen)
    network: Any = SimpleNamespace(heads=heads, kv_heads=kv_heads, head_dim=dim)
    written = (keys.clone(), values.clone())
    expected = DecodingNetwork._attend(network, joined, turn[:, None], *written, cache)
    for part in (keys, values):
        part[1:4, :, 2:9] = torch.nan
    found = attended_newest(joined, turn, keys, values, (starts, ends, leaders), column)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for part, other in zip((keys, values), written, strict=True):
        torch.testing.assert_close(part[:, :, column], other[:, :, column], atol=1e-6, rtol=1e-5)


def test_an_engine_says_the_same_with_kernels_and_without() -> None:
    loaded = random_tiny(1)
    network = loaded.network
    assert isinstance(network, QwenNetwork)
    # Few of some prompts and many of others, some of which wait: rows leave, enter and lose those that they lean on.
    prompts = [np.arange(20, 20 + length, dtype=np.int32) for length in (5, 9, 9, 9, 12, 5, 5, 12, 3, 9, 9, 12)]
    requests = [Request(ids, (), (7, number)) for number, ids in enumerate(prompts)]
    ends = tuple(range(100, 120))  # so many that replies end at all lengths
    results = []
    for allowed in (True, False):
        with kernels_allowed(allowed):
            engine = EmbeddedEngine(network, loaded.banned_ids, ends, loaded.pad_id, slots=7)
            results.append(engine.generate(requests, Sampling(30)))
    assert len({len(one.ids) for one in results[0]}) > 3
    for one, other in zip(*results, strict=True):
        assert np.array_equal(one.ids, other.ids)
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-5)


def test_rows_that_lean_on_one_that_leaves_find_another() -> None:
    loaded = random_tiny(1)
    network = loaded.network
    assert isinstance(network, QwenNetwork)
    engine = EmbeddedEngine(network, loaded.banned_ids, loaded.end_ids, loaded.pad_id)
    ids = [np.arange(20, 20 + length, dtype=np.int32) for length in (6, 4, 6, 4, 6)]
    call = engine._begin([Request(one, (), (1, number)) for number, one in enumerate(ids)], Sampling(5))
    _, batch = engine._prefill(call, [0, 1, 2])
    assert batch.leaders.tolist() == [0, 1, 0]
    assert batch.starts.tolist() == [0, 2, 0] and batch.ends.tolist() == [6] * 3
    kept = batch.kept(torch.tensor([1, 2]))
    assert kept.leaders.tolist() == [0, 1]
    _, entering = engine._prefill(call, [3, 4])
    # The same prompt again, in a cache of another batch: it has moved by then, and is nobody's to lean on.
    joined = replace(kept, column=kept.column + 2).joined(entering, 5)
    assert joined.leaders.tolist() == [0, 1, 2, 3]
    assert joined.starts.tolist() == [2, 0, 4, 2] and joined.ends.tolist() == [6, 6, 8, 8]
    assert joined.column == 8


ORDERS = {
    "helper first": "exponentials(values, 100, *scratch(100)); gate_units(values, values, out)",
    "caller first": "gate_units(values, values, out); exponentials(values, 100, *scratch(100))",
}


def test_the_bits_do_not_depend_on_what_is_compiled_first(tmp_path: Path) -> None:
    found = set()
    for name, order in ORDERS.items():
        code = (
            "import numpy as np\nfrom lmmr1.agents.networks.compiled.exponential import exponentials, scratch\n"
            "from lmmr1.agents.networks.compiled.passes import gate_units\n"
            "values, out = np.linspace(-60, 60, 100).astype(np.float32), np.empty(100, np.float32)\n"
            f"{order}\n"
            "values = np.linspace(-60, 60, 100).astype(np.float32)\ngate_units(values, values, out)\n"
            "exponentials(values, 100, *scratch(100))\nprint((values.tobytes() + out.tobytes()).hex())"
        )
        folder = {"NUMBA_CACHE_DIR": str(tmp_path / name)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | folder)
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1


# Sums of many numbers, whose last bits show in what order they were added; made in the order of the arguments.
SUMS = """
import hashlib, sys
import torch
from lmmr1.agents.networks.compiled.functions import attended_newest
from lmmr1.agents.networks.operations import rms_norm, token_figures
torch.set_num_threads(1)

def norms(dtype):
    # So many rows that rounding to bfloat16 does not hide everything.
    hidden, weight = torch.randn(9000, 96).to(dtype).requires_grad_(), torch.rand(96).to(dtype).requires_grad_()
    out = rms_norm(hidden, weight, 1e-6)
    out.backward(torch.randn(9000, 96).to(dtype))
    return out, hidden.grad, weight.grad

def attention():
    keys, values = torch.randn(2, 32, 4, 54, 24).unbind(0)
    places = (torch.zeros(32, dtype=torch.long), torch.full((32,), 21), torch.arange(32) // 8 * 8)
    turn = torch.polar(torch.ones(32, 12), torch.randn(32, 12))
    return [attended_newest(torch.randn(32, 288), turn, keys, values, places, 51)]

def digest(name):
    torch.manual_seed(0)
    parts = {
        "attention": attention,
        "figures": lambda: token_figures(3 * torch.randn(2000, 74), torch.arange(2000) % 74),
        "float32": lambda: norms(torch.float32),
        "bfloat16": lambda: norms(torch.bfloat16),
    }[name]()
    return hashlib.sha256(b"".join(part.detach().view(torch.uint8).numpy().tobytes() for part in parts)).hexdigest()

print(sorted((name, digest(name)) for name in sys.argv[1:]))
"""


def test_the_bits_do_not_depend_on_who_compiled_nor_when(tmp_path: Path) -> None:
    """A process that compiles, one that reads what the first has compiled, and both again in another order."""
    found = []
    for order in ("bfloat16 attention figures float32", "float32 figures bfloat16 attention"):
        folder = tmp_path / order.split()[0]
        for _ in range(2):
            environment = os.environ | {"NUMBA_CACHE_DIR": str(folder)}
            command = [sys.executable, "-c", SUMS, *order.split()]
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            assert done.returncode == 0, done.stderr
            found.append(done.stdout)
        assert any(folder.rglob("*.nbc"))
    assert len(set(found)) == 1, "\n".join(found)
