"""The runner plays the same held-out problems every time, on streams of its own, and counts what it may count."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from lmmr1.agents.base import AgentReply, Conversation
from lmmr1.agents.episode import Episode, Turn
from lmmr1.agents.rollout import EVALUATION_STREAM, TRAINING_STREAM, derive_seed
from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.places import Place
from lmmr1.envs.isolation.pool import EnvironmentPool
from lmmr1.envs.messages import StopReason
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.evaluation.runner import EvaluationTask, evaluate
from lmmr1.evaluation.scoring.figures import summarize


class Corridor(gym.Env[Any, Any]):
    """Right wins, left loses, and a start of 7 breaks; the starts come from the seed."""

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Discrete(1000)
        self.action_space = gym.spaces.Discrete(2)
        self.start = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.start = int(self.np_random.integers(1000))
        if self.start % 10 == 7:
            raise RuntimeError("this corridor is closed")
        return self.start, {"success": False}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        return self.start, float(action), True, False, {"success": bool(action)}


class Recorder:
    """Answers by a rule, and remembers what it saw."""

    def __init__(self, answers: Sequence[str] = ("1",)) -> None:
        self.name, self.context, self.answers = "recorder", "conversation", answers
        self.seen: list[tuple[str, tuple[int, ...], bool, str]] = []

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        replies = []
        for conversation in conversations:
            text = str(conversation.new_messages[-1]["content"])
            self.seen.append((text, conversation.key, greedy, self.context))
            answer = self.answers[conversation.key[-1] % len(self.answers)]
            ids = np.arange(5, dtype=np.int32)
            replies.append(AgentReply(f"<think></think><answer>{answer}</answer>", reply_ids=ids))
        return replies


class CorridorConfig(EnvironmentConfig):
    made: list[ChatEnv] = []

    def make(self) -> ChatEnv:
        env = ChatEnv(Corridor())
        self.made.append(env)
        return env


def _task(name: str = "corridor", episodes: int = 60, **options: Any) -> EvaluationTask:
    return EvaluationTask(name, "text", CorridorConfig("corridor"), episodes, **options)


def test_same_problems_in_both_modes_and_every_time() -> None:
    first, second = Recorder(), Recorder()
    results = evaluate(first, [_task()], seed=3)
    assert evaluate(second, [_task()], seed=3) == results
    assert first.seen == second.seen
    greedy = [(text, key) for text, key, is_greedy, _ in first.seen if is_greedy]
    sampled = [(text, key) for text, key, is_greedy, _ in first.seen if not is_greedy]
    assert greedy == sampled
    other = Recorder()
    evaluate(other, [_task()], seed=4)
    assert [text for text, *_ in other.seen] != [text for text, *_ in first.seen]


def test_the_streams_are_not_those_of_training() -> None:
    agent = Recorder()
    evaluate(agent, [_task()], seed=3)
    assert {key[:2] for _, key, *_ in agent.seen} == {(3, EVALUATION_STREAM)}
    assert EVALUATION_STREAM != TRAINING_STREAM


def test_figures_and_failures() -> None:
    results = evaluate(Recorder(("1", "0", "nonsense")), [_task(episodes=300, max_turns=2)], seed=0)
    json.dumps(results, allow_nan=False)
    for figures in results["corridor"].values():
        assert figures["failed"] > 10 and figures["episodes"] + figures["failed"] == 300
        # One in three is right; "nonsense" is no action, so the same is asked again until the limit of turns.
        assert figures["success"] == pytest.approx(1 / 3, abs=0.09)
        low, high = figures["interval"]
        assert low < figures["success"] < high
        assert figures["turns"] == pytest.approx(4 / 3, abs=0.1) and figures["stop_reasons"]["turn_limit"] > 70
        assert figures["reply_tokens"] == 5 and figures["format_rate"] == 1


def test_samples_are_the_first_episodes_of_the_first_mode() -> None:
    samples: dict[str, list[Episode]] = {}
    seen: list[str] = []
    tasks = [_task("one"), _task("two", episodes=3)]
    results = evaluate(
        Recorder(), tasks, seed=1, modes=("greedy",), samples=samples, num_samples=5, on_task=seen.append
    )
    assert {name: [episode.key[-1] for episode in episodes] for name, episodes in samples.items()} == {
        "one": [0, 1, 2, 3, 4],
        "two": [0, 1, 2],
    }
    assert {episode.env_id for episode in samples["two"]} == {"two"}
    assert list(results["one"]) == ["greedy"] and seen == ["one", "two"]


def test_context_of_a_task_is_lent_to_the_agent() -> None:
    agent = Recorder()
    evaluate(agent, [_task(context="turn"), _task("other", episodes=2)], seed=1, modes=("greedy",))
    assert {context for *_, context in agent.seen} == {"turn", "conversation"}
    assert agent.context == "conversation"


def test_environments_are_kept_or_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[object] = []
    monkeypatch.setattr(Corridor, "close", lambda self: closed.append(self))
    CorridorConfig.made.clear()
    kept: dict[str, list[Place]] = {}
    fresh = evaluate(Recorder(), [_task(episodes=4)], seed=1)
    assert len(CorridorConfig.made) == 4 and len(closed) == 4
    for _ in range(2):
        assert evaluate(Recorder(), [_task(episodes=4)], seed=1, environments=kept) == fresh
    assert len(kept["corridor"]) == 4 and len(CorridorConfig.made) == 8 and len(closed) == 4


def test_two_tasks_of_one_name() -> None:
    with pytest.raises(ValueError, match="different names"):
        evaluate(Recorder(), [_task(), _task()], seed=0)


def _episode(success: bool | None, *rewards: float, **options: Any) -> Episode:
    turns = [
        Turn([], "text", well_formed=index == 0, reward=reward, reply_ids=np.zeros(index + 2, np.int32))
        for index, reward in enumerate(rewards)
    ]
    return Episode("x", (0, 1, 0), 0, turns=turns, success=success, **options)


def test_summary_by_hand() -> None:
    episodes = [
        _episode(True, 1.0, 2.0),
        _episode(False, 0.5),
        _episode(None, stop_reason=StopReason.CONTEXT_LIMIT),  # never got to say anything: no success
        _episode(True, 100.0, failure="it broke", stop_reason=StopReason.FAILED),
    ]
    figures = summarize(episodes)
    assert figures["success"] == pytest.approx(1 / 3) and figures["episodes"] == 3 and figures["failed"] == 1
    assert figures["return"] == pytest.approx(3.5 / 3)
    assert figures["return_interval"][0] <= figures["return"] <= figures["return_interval"][1]
    assert figures["format_rate"] == pytest.approx(2 / 3)  # of three replies
    assert figures["reply_tokens"] == pytest.approx((2 + 3 + 2) / 3)
    assert figures["turns"] == 1
    assert figures["stop_reasons"] == {"context_limit": 1, "task_ended": 2}


def test_summary_of_what_nobody_judges_and_of_nothing() -> None:
    unjudged = summarize([_episode(None, 1.0), _episode(None, 2.0)])
    assert unjudged["success"] is None and unjudged["interval"] is None and unjudged["return"] == 1.5
    nothing = summarize([_episode(True, failure="broken", stop_reason=StopReason.FAILED)])
    assert nothing["success"] is None and nothing["return"] is None and nothing["failed"] == 1
    json.dumps(nothing, allow_nan=False)


@pytest.mark.parametrize("kind", ["hang", "die", "crash"])
def test_an_environment_that_breaks_costs_one_episode(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In worker processes even one that hangs: masked, counted and told, and the others are what they were."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "envs"))
    chat = {"instructions": "brief", "reply_format": "plain"}
    seed = derive_seed(3, EVALUATION_STREAM, 2)

    def task(**kwargs: Any) -> EvaluationTask:
        return EvaluationTask("breaks", "text", EnvironmentConfig("worlds_that_break:Breaks-v0", kwargs, chat), 6)

    whole = evaluate(Recorder(("7",)), [task(turns=2)], seed=3)["breaks"]
    with contextlib.closing(EnvironmentPool(2, 1.0, 10.0)) as pool:
        isolated = evaluate(Recorder(("7",)), [task(turns=2)], seed=3, pool=pool)["breaks"]
        broken = evaluate(Recorder(("7",)), [task(turns=2, plan={str(seed): [2, kind]})], seed=3, pool=pool)["breaks"]
    assert isolated == whole
    for mode in ("greedy", "sampled"):
        assert (broken[mode]["episodes"], broken[mode]["failed"]) == (5, 1)
        assert broken[mode]["return"] == pytest.approx(whole[mode]["return"]) and whole[mode]["return"] > 0
        [(reason, count)] = broken[mode]["failures"].items()
        assert count == 1 and {"hang": "hung", "die": "exit status 7", "crash": "boom"}[kind] in reason
        assert "failures" not in whole[mode]


def test_what_broke_in_this_process_is_made_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "envs"))
    chat, seed = {"instructions": "brief", "reply_format": "plain"}, derive_seed(3, EVALUATION_STREAM, 0)
    config = EnvironmentConfig("worlds_that_break:Breaks-v0", {"plan": {str(seed): [1, "crash"]}}, chat)
    task, kept = EvaluationTask("breaks", "text", config, 2), {}
    first = evaluate(Recorder(("7",)), [task], seed=3, environments=kept)["breaks"]
    assert [first[mode]["failed"] for mode in ("greedy", "sampled")] == [1, 1]
    once = dataclasses.replace(config, kwargs={**config.kwargs, "once": str(tmp_path)})
    retried = evaluate(Recorder(("7",)), [dataclasses.replace(task, environment=once)], seed=3, retries=1)["breaks"]
    assert [retried[mode]["failed"] for mode in ("greedy", "sampled")] == [0, 0]


def test_an_environment_that_cannot_be_made_is_told() -> None:
    with pytest.raises(UserError, match="Nowhere-v0"):
        evaluate(Recorder(), [EvaluationTask("x", "text", EnvironmentConfig("Nowhere-v0"), 1)], seed=0)
