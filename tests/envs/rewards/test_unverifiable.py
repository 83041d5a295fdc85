"""An answer that cannot be verified is never paid, and its episode is masked and counted, not scored as wrong."""

from __future__ import annotations

from collections.abc import Sequence

from lmmr1.agents.base import AgentReply, Conversation
from lmmr1.agents.incidents import RolloutLog
from lmmr1.agents.playing import Seat
from lmmr1.agents.rollout import play
from lmmr1.envs.chat import make_chat
from lmmr1.envs.isolation.outcomes import Fault, run_reset, run_step
from lmmr1.envs.messages import StopReason

HOSTILE = "<think>A tower.</think><answer>9^{9^{9^9}}</answer>"


class Says:
    """Gives the same replies every time, one for each conversation."""

    name, context = "says", "conversation"

    def __init__(self, *texts: str) -> None:
        self.texts = texts

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        return [AgentReply(self.texts[conversation.key[-1]]) for conversation in conversations]


def test_the_world_pays_nothing_and_says_why() -> None:
    env = make_chat("LMMR1/Reasoning-v0")
    env.reset(seed=0)
    *_, info = env.step(HOSTILE)
    assert info["verdict"] == "unverifiable" and info["success"] is False and info["reward_parts"]["task"] == 0


def test_the_call_is_a_fault_of_its_own_kind() -> None:
    env = make_chat("LMMR1/Reasoning-v0")
    run_reset(env, 0)
    fault = run_step(env, HOSTILE)
    assert isinstance(fault, Fault) and fault.kind == "unverifiable"
    run_reset(env, 0)
    assert not isinstance(run_step(env, "<think>a</think><answer>-77</answer>"), Fault)


def test_such_an_episode_is_masked_and_counted_once() -> None:
    seats = [
        Seat(env=make_chat("LMMR1/Reasoning-v0"), label="questions", env_seed=5, key=(0, 0, index), group=0)
        for index in range(2)
    ]
    log = RolloutLog()
    wrong, hostile = play(
        Says("<think>a</think><answer>-77</answer>", HOSTILE), seats, greedy=False, retries=2, log=log
    )
    assert wrong.failure is None and wrong.success is False
    assert hostile.stop_reason is StopReason.FAILED and hostile.failure == "the answer could not be verified"
    assert log.counts["unverifiable"] == log.counts["failed"] == 1, "the same answer would come again: no retry"
