"""What a turn costs in a long conversation: with and without the keys and values of the turns before it.

Twelve conversations with the world of Sokoban, twelve turns, a picture in every turn, all of it as context;
float32, one thread. Both contestants are the embedded engine and sample the same ids; one keeps what it has run, the
other runs the whole conversation again in every turn. Random moves are played in the place of what the model says, so
that every turn shows another picture.
"""

from __future__ import annotations

import os
import statistics
import time
from itertools import starmap

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from contest import finish, parse_arguments
from rollout import load_flattened

import lmmr1
from lmmr1.agents.base import Conversation
from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.engines.batch import PREFIX_BYTES
from lmmr1.agents.episode import Turn
from lmmr1.agents.models import LoadedModel
from lmmr1.agents.policy import PolicyAgent
from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.messages import assistant

CONVERSATIONS, TURNS, NEW_TOKENS = 12, 12, 24
CONTESTANTS = {"kept": PREFIX_BYTES, "run again": 0}


def main() -> None:
    """Play the contest and print it."""
    options = parse_arguments(__doc__ or "")
    torch.set_num_threads(1)
    loaded = load_flattened(heads=4)
    seconds: dict[str, list[list[float]]] = {name: [] for name in CONTESTANTS}
    played: dict[str, list[Conversation]] = {}
    for number in range((2 if options.quick else 8) + 1):
        for name, prefix_bytes in CONTESTANTS.items():
            taken, played[name] = play(loaded, prefix_bytes)
            if number > 0:  # the first round warms up
                seconds[name].append(taken)
    by_turn = {name: np.median(np.array(rounds), 0) for name, rounds in seconds.items()}
    totals = {name: [sum(taken) for taken in rounds] for name, rounds in seconds.items()}
    print_turns(played["kept"], by_turn)
    kept, again = by_turn["kept"], by_turn["run again"]
    same = all(starmap(same_ids, zip(played["kept"], played["run again"], strict=True)))
    figures: dict[str, float | None] = {
        "same_tokens": float(same),
        "vs_run_again": statistics.median(b / a for a, b in zip(*totals.values(), strict=True)),
        "vs_run_again_last_turn": float(again[-1] / kept[-1]),
        # From the second turn on, every turn brings about as many new ids as the others.
        "growth_kept": float(kept[-2:].mean() / kept[1:3].mean()),
        "growth_run_again": float(again[-2:].mean() / again[1:3].mean()),
    }
    finish(figures, options.json)


def play(loaded: LoadedModel, prefix_bytes: int) -> tuple[list[float], list[Conversation]]:
    """CPU-seconds of each turn, and the conversations."""
    policy = PolicyAgent(loaded, Sampling(NEW_TOKENS), max_context_tokens=1 << 20, prefix_bytes=prefix_bytes)
    rng = np.random.default_rng(0)
    conversations = []
    for index in range(CONVERSATIONS):
        env = lmmr1.make_chat("LMMR1/Sokoban-v0", render_mode="rgb_array")
        messages, _ = env.reset(seed=index)
        conversations.append(Conversation(env, list(messages), list(messages), (0, index)))
    taken = []
    for _ in range(TURNS):
        began = time.process_time()
        replies = policy.act(conversations, greedy=False)
        taken.append(time.process_time() - began)
        for conversation, reply in zip(conversations, replies, strict=True):
            shown = conversation.new_messages
            conversation.turns.append(
                Turn(shown, reply.text, prompt_ids=reply.prompt_ids, reply_ids=reply.reply_ids, logprobs=reply.logprobs)
            )
            conversation.new_messages = move(conversation.env, rng)
            conversation.messages += [assistant(reply.text), *conversation.new_messages]
    return taken, conversations


def move(env: ChatEnv, rng: np.random.Generator) -> list:
    """Play a random move; where the world has come to its end, another level follows."""
    names = env.chat_spec.action_names or ()
    messages, *_, info = env.step(env.write_reply("", str(rng.choice(names))))
    if info["stop_reason"] is not None:
        messages = [message for message in env.reset(seed=int(rng.integers(1 << 30)))[0] if message["role"] == "user"]
    return list(messages)


def same_ids(one: Conversation, other: Conversation) -> bool:
    """Whether the same was sampled in every turn."""
    return all(np.array_equal(a.reply_ids, b.reply_ids) for a, b in zip(one.turns, other.turns, strict=True))


def print_turns(conversations: list[Conversation], by_turn: dict[str, np.ndarray]) -> None:
    """A line for each turn: what it brings, and what it costs."""
    print("turn  ids before  new ids  reply    kept  run again  (CPU-milliseconds a conversation)")
    before = 0.0
    for turn in range(TURNS):
        new = statistics.fmean(len(conversation.turns[turn].prompt_ids) for conversation in conversations)
        reply = statistics.fmean(len(conversation.turns[turn].reply_ids) for conversation in conversations)
        kept, again = (by_turn[name][turn] / CONVERSATIONS * 1e3 for name in CONTESTANTS)
        print(f"{turn + 1:4d}  {before:10.0f}  {new:7.0f}  {reply:5.0f}  {kept:6.1f}  {again:9.1f}")
        before += new + reply


if __name__ == "__main__":
    main()
