"""One whole PPO iteration against TRL's GRPOTrainer on a CPU: samples per CPU-second, end to end.

32 prompts, 8 samples of each, a pass of the reference model, 2 optimizer steps, a KL penalty of 1e-3; both load the
same folder (a Qwen2.5-VL of half a million parameters with random weights) and see the same prompts and pictures; one
thread, the two in turn in one process. `text` and `image`: problems in words, or one picture in every prompt. Fixed
length: no end token, every reply has 32 tokens. `ragged`: so many ids end a reply that its mean is about 18 of at most
36 tokens.

`end_to_end_vs_trl_...`: each in the format that it is fastest in, which is float32 for TRL and bfloat16 for us, with
master weights, head, attention and optimizer in float32. `float32_vs_trl_...`: both in float32. `bf16_vs_trl_...`: both
in bfloat16, TRL under autocast. `vs_trl_bf16_...`: ours in float32, TRL in bfloat16. `vs_trl_one_update_...`: both in
float32, one optimizer step. `kernels_...`: ours alone in float32, without compiled kernels over with them.

Random weights sample different replies, so rows that are equal (which we run once) play no part; their share is
printed. Both sides include getting the pictures and preparing them: ours draws one for every sample, TRL decodes the
PNGs of its data set.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import gymnasium as gym
import numpy as np
import torch
from contest import finish, parse_arguments
from matmul_floor import matmul_rates, useful_flops

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.episode import Episode
from lmmr1.agents.models import load_model
from lmmr1.agents.networks.compiled.switch import kernels_allowed
from lmmr1.agents.networks.qwen import QwenNetwork
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import TRAINING_STREAM, derive_seed
from lmmr1.envs.compiling.kernel import has_numba
from lmmr1.envs.messages import Message, message_images
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.training.backends.process import keep_freed_memory
from lmmr1.training.collection.collect import Collected
from lmmr1.training.config import KLConfig, OptimizerConfig, PPOConfig, RolloutConfig, RunConfig, StageConfig
from lmmr1.training.ppo import PPOTrainer
from lmmr1.training.stages import PPOStage

SEED, GROUPS, GROUP_SIZE, KL, LEARNING_RATE = 0, 32, 8, 1e-3, 6e-5
NEW_TOKENS = {"fixed": 32, "ragged": 36}
# The share of sampled ids that end a reply: its mean length is then (1 - (1 - share)^36) / share = 18.
ENDING_SHARE = 0.045
# On a CPU more is slower, since activations leave the cache, and less is too, since every operation has its price.
MICROBATCH_TOKENS = 2304
SHAPES = ["triangle_perimeter", "isosceles_perimeter", "rectangle_perimeter", "triangle_angle"]
PARTS = ("rollout", "reference", "old", "update")
Seconds = dict[str, float]
Prompt = tuple[str, np.ndarray | None]


def count_digits(reply: str) -> float:
    """The reward on both sides: the share of digits. It varies within a group and costs nothing."""
    return sum(letter.isdecimal() for letter in reply) / max(len(reply), 1)


class Letters(gym.Wrapper[Any, Any, Any, Any]):
    """The questions of another world; replies are paid by `count_digits`, so that no time goes into grading."""

    def __init__(self, world: str, **kwargs: Any) -> None:
        super().__init__(gym.make(world, **kwargs))
        self.observation: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Ask the next question."""
        self.observation, info = self.env.reset(seed=seed, options=options)
        return self.observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Pay for the reply."""
        return self.observation, count_digits(action), True, False, {}


gym.register("Harness/Letters-v0", Letters, disable_env_checker=True)  # pyright: ignore[reportArgumentType]  # any callable will do


def world(kind: str) -> EnvironmentConfig:
    """Problems in words, or in pictures."""
    pictured = {"world": "LMMR1/Geometry-v0", "size": 84, "style": "slate"}
    kwargs = {"families": SHAPES, **(pictured if kind == "image" else {"world": "LMMR1/Reasoning-v0"})}
    return EnvironmentConfig("Harness/Letters-v0", kwargs, {"instructions": "brief", "reply_format": "plain"})


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        kind: "text" or "image".
        lengths: "fixed" or "ragged".
        folder: the model.
        ends: ids that end a reply.
        updates: optimizer steps in one iteration.
        groups: prompts in one iteration.
        dtype: of our weights; TRL's format is chosen apart.
    """

    kind: str
    lengths: str
    folder: Path
    ends: tuple[int, ...]
    updates: int = 2
    groups: int = GROUPS
    dtype: str = "float32"


@dataclass
class OurSide:
    """PPO as a recipe runs it, one iteration at a time, with its parts timed from outside."""

    case: Case
    iterations: int
    rows: list[Seconds] = field(default_factory=list)
    theirs: str = "float32"  # the format of those that we play against

    def __post_init__(self) -> None:
        case = self.case
        # An end id that is banned never comes, and so nothing ends.
        self.loaded = replace(load_model(str(case.folder), case.dtype), end_ids=case.ends)
        stage = StageConfig(
            kind="ppo",
            help="the benchmark",
            iterations=self.iterations,
            environments=[world(case.kind)],
            rollout=RolloutConfig(case.groups, GROUP_SIZE, NEW_TOKENS[case.lengths], max_turns=1),
            ppo=PPOConfig(minibatches=case.updates),
            # Which minibatch a row falls into is free; whole groups show each prompt and picture to one of them only.
            optimizer=OptimizerConfig(
                learning_rate=LEARNING_RATE,
                warmup=1,
                betas=(0.9, 0.999),
                minibatch_unit="group",
                microbatch_tokens=MICROBATCH_TOKENS,
            ),
            kl=KLConfig(coefficient=KL, placement="loss", estimator="k3"),
        )
        recipe = RunConfig(name="harness", help="the benchmark", seed=SEED, stages={"learn": stage})
        self.stage = PPOStage(PolicyAgent(self.loaded, Sampling(1)), recipe, "learn")
        self.episodes: list[Episode] = []
        self.seconds: Seconds = {}
        collector, trainer = self.stage.collector, self.stage.trainer
        collector.collect = self._timed("rollout", collector.collect, self._keep)
        assert isinstance(trainer, PPOTrainer)
        trainer._reference = self._timed("reference", trainer._reference)

    def _keep(self, collected: Collected) -> None:
        self.episodes = collected.episodes

    def _timed(self, part: str, work: Callable, then: Callable[[Any], None] = lambda _: None) -> Callable:
        def timed(*arguments: Any, **options: Any) -> Any:
            began = time.process_time()
            result = work(*arguments, **options)
            self.seconds[part] = self.seconds.get(part, 0.0) + time.process_time() - began
            then(result)
            return result

        return timed

    def iterate(self, iteration: int) -> None:
        """One iteration; its CPU-seconds go into `rows`."""
        # Our runs promise the same bits for the same seed; TRL's do not, and shall not pay for it.
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]  # no stub
        self.seconds = {"rollout": 0.0, "reference": 0.0, "old": 0.0}
        began = time.process_time()
        self.stage.iterate(iteration)
        whole = time.process_time() - began
        torch.use_deterministic_algorithms(False)
        tokens = float(sum(episode.num_reply_tokens for episode in self.episodes))
        self.rows.append({**self.seconds, "update": whole - sum(self.seconds.values()), "all": whole, "tokens": tokens})

    def distinct_rows(self) -> float:
        """The share of the last iteration's rows that are different from all others."""
        rows = {(e.turns[0].prompt_ids.tobytes(), e.turns[0].reply_ids.tobytes(), e.group) for e in self.episodes}
        return len(rows) / len(self.episodes)


def prompts_of(kind: str, iterations: int, groups: int) -> list[Prompt]:
    """Text and picture of every prompt that our side will play, in the order of iterations and groups."""
    env = world(kind).make()
    prompts: list[Prompt] = []
    for iteration, group in np.ndindex(iterations, groups):
        messages, _ = env.reset(seed=derive_seed(SEED, TRAINING_STREAM, 0, iteration, group))
        prompts.append(prompt_of(messages))
    env.close()
    return prompts


def prompt_of(messages: list[Message]) -> Prompt:
    """Text and picture of a question."""
    [message] = messages
    text = "".join(part["text"] for part in message["content"] if part["type"] == "text")
    return text, next(iter(message_images(message)), None)


def ending_ids(folder: Path, kind: str, lengths: str) -> tuple[int, ...]:
    """The ids that end a reply: none that can be sampled, or so many that they make up `ENDING_SHARE`."""
    loaded = load_model(str(folder))
    nothing = loaded.banned_ids[-1]
    if lengths == "fixed":
        return (nothing,)
    side = OurSide(Case(kind, "fixed", folder, (nothing,)), 1)
    side.iterate(0)
    sampled = np.concatenate([episode.turns[0].reply_ids for episode in side.episodes])
    ids, counts = np.unique(sampled, return_counts=True)
    # Any ids: those that came most rarely would have come so by chance.
    order = np.random.default_rng(SEED).permutation(len(ids))
    enough = int(np.searchsorted(np.cumsum(counts[order]) / counts.sum(), ENDING_SHARE))
    return tuple(int(ids[index]) for index in order[:enough])


def play(case: Case, warmups: int, rounds: int, bf16: bool = False) -> tuple[OurSide, dict[str, list[Seconds]]]:
    """Both sides in turn; the rows of the measured iterations by side."""
    from trl_contestant import run_trl

    iterations = warmups + rounds
    prompts = prompts_of(case.kind, iterations, case.groups)
    ours = OurSide(case, iterations, theirs="bfloat16" if bf16 else "float32")
    # As our runs do; it spares both sides the collector's walks through torch and transformers.
    gc.collect()
    gc.freeze()

    def between(iteration: int) -> None:
        ours.iterate(iteration)
        shown = [prompt_of(episode.turns[0].messages) for episode in ours.episodes[::GROUP_SIZE]]
        expected = prompts[iteration * case.groups : (iteration + 1) * case.groups]
        assert all(a[0] == b[0] and np.array_equal(a[1], b[1]) for a, b in zip(shown, expected, strict=True))  # pyright: ignore[reportArgumentType]

    theirs = run_trl(
        case.folder,
        load_model(str(case.folder)),
        prompts,
        count_digits,
        case.ends,
        group_size=GROUP_SIZE,
        groups=case.groups,
        new_tokens=NEW_TOKENS[case.lengths],
        updates=case.updates,
        kl=KL,
        learning_rate=LEARNING_RATE,
        bf16=bf16,
        between=between,
    )
    return ours, {"ours": ours.rows[warmups:], "TRL": theirs[warmups:]}


def report(case: Case, side: OurSide, rows: dict[str, list[Seconds]]) -> float:
    """Print the comparison; returns the median over rounds of our samples per CPU-second over TRL's."""
    samples = case.groups * GROUP_SIZE
    tokens = {name: statistics.mean(row["tokens"] for row in both) / samples for name, both in rows.items()}
    print(f"{case.kind}, {case.lengths}, ours in {case.dtype}, TRL in {side.theirs}:", end=" ")
    print(f"{len(rows['ours'])} rounds, {side.distinct_rows():.1%} of our rows distinct")
    network = side.loaded.network
    assert isinstance(network, QwenNetwork)
    rates = matmul_rates(network, samples, MICROBATCH_TOKENS)
    flops = useful_flops(side.episodes, side.stage.policy)
    for name, both in rows.items():
        rate = [samples / row["all"] for row in both]
        spread = f"{statistics.median(rate):7.0f} samples per CPU-second ({min(rate):.0f} to {max(rate):.0f})"
        print(f"  {name:5s} {spread}, {tokens[name]:.1f} tokens a reply")
        for part in PARTS:
            spent = statistics.median(row[part] for row in both)
            share = f", {flops[part] / spent / rates[part]:4.0%} of the matmul rate" if part in flops else ""
            print(f"        {part:10s} {1000 * spent:6.0f} ms{share if spent else ''}")
    speeds = ", ".join(f"{part} {rate / 1e9:.0f}" for part, rate in rates.items())
    print(f"        matmul rate for these shapes, GFLOP per CPU-second: {speeds}")
    return statistics.median(b["all"] / a["all"] for a, b in zip(rows["ours"], rows["TRL"], strict=True))


KINDS_OF_WORK = {
    "matrix products": "mm addmm bmm baddbmm",
    "attention by torch's own function": "scaled_dot flash_attention",
    "copies and layout": "copy cat roll index gather scatter pad fill zero clone select",
}


def print_profile(side: OurSide, iteration: int, theirs: float) -> None:
    """What our iteration is made of, and how long it might take for three times TRL's speed."""
    from torch.profiler import ProfilerActivity, profile

    before = statistics.median(row["all"] for row in side.rows)
    began = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        side.iterate(iteration)
    whole = time.perf_counter() - began
    spent = dict.fromkeys((*KINDS_OF_WORK, "other tensor operations"), 0.0)
    for event in profiler.key_averages():
        name = event.key
        if not name.startswith("aten::"):
            continue
        words = (kind for kind, parts in KINDS_OF_WORK.items() if any(part in name for part in parts.split()))
        spent[next(words, "other tensor operations")] += event.self_cpu_time_total / 1e6
    spent["Python, the autograd engine"] = whole - sum(spent.values())
    print(f"  profile of our iteration ({1000 * before:.0f} ms; three times TRL would be {1000 * theirs / 3:.0f} ms)")
    for kind, seconds in spent.items():
        print(f"        {kind:34s} {seconds / whole:4.0%}")


def compare_kernels(case: Case, warmups: int, rounds: int) -> float:
    """Our iterations without compiled kernels over those with them, in turn."""
    side = OurSide(case, 2 * (warmups + rounds))
    gc.collect()
    gc.freeze()
    for iteration in range(2 * (warmups + rounds)):
        with kernels_allowed(iteration % 2 == 1):
            side.iterate(iteration)
    plain, compiled = side.rows[2 * warmups :: 2], side.rows[2 * warmups + 1 :: 2]
    print(f"{case.kind}, {case.lengths}, CPU-ms of an iteration without and with compiled kernels:")
    for part in (*PARTS, "all"):
        without, with_them = (1000 * statistics.median(row[part] for row in rows) for rows in (plain, compiled))
        if with_them:
            print(f"        {part:10s} {without:6.0f} {with_them:6.0f}")
    return statistics.median(a["all"] / b["all"] for a, b in zip(plain, compiled, strict=True))


def main() -> None:
    """Run the contest and print it."""
    options = parse_arguments(__doc__ or "")
    torch.set_num_threads(1)
    # Our runs do this for themselves; here both sides live in one process, so both have it.
    keep_freed_memory()
    # A quick one plays half the prompts: enough to see that something broke, not to quote.
    warmups, rounds, groups = (1, 1, GROUPS // 2) if options.quick else (3, 12, GROUPS)
    figures: dict[str, float | None] = {}
    # Without torchvision TRL runs, and the processor of a vision-language model does not.
    missing = [name for name in ("trl", "torchvision") if importlib.util.find_spec(name) is None]
    found = not missing
    if missing:
        print(f"{missing[0]} is not installed here (make bench installs it): not measured")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        load_model("tiny-random").save(folder)
        for kind, lengths in (("text", "fixed"), ("text", "ragged"), ("image", "fixed"), ("image", "ragged")):
            case = Case(kind, lengths, folder, ending_ids(folder, kind, lengths), groups=groups)
            name = f"{kind}{'_ragged' if lengths == 'ragged' else ''}"
            figures[f"kernels_{name}"] = compare_kernels(case, warmups, rounds) if has_numba() else None
            figures[f"end_to_end_vs_trl_{name}"] = None
            if not found:
                continue
            half = replace(case, dtype="bfloat16")
            figures[f"end_to_end_vs_trl_{name}"] = report(half, *play(half, warmups, rounds))
            if options.quick:
                continue
            side, rows = play(case, warmups, rounds)
            figures[f"float32_vs_trl_{name}"] = report(case, side, rows)
            if name == "text":
                print_profile(side, 0, statistics.median(row["all"] for row in rows["TRL"]))
            figures[f"bf16_vs_trl_{name}"] = report(half, *play(half, warmups, rounds, bf16=True))
        if found and not options.quick:
            for kind in ("text", "image"):
                case = Case(kind, "fixed", folder, ending_ids(folder, kind, "fixed"))
                figures[f"vs_trl_bf16_{kind}"] = report(case, *play(case, warmups, rounds, bf16=True))
                print("with one optimizer step on both sides (TRL then leaves out a pass):")
                single = replace(case, updates=1)
                figures[f"vs_trl_one_update_{kind}"] = report(single, *play(single, warmups, rounds))
    finish(figures, options.json)


if __name__ == "__main__":
    main()
