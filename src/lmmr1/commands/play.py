"""`lmmr1 play ENV_ID`: be the agent, at the terminal or in a window."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from typing import Any

import gymnasium as gym

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Message, StopReason, message_text

from . import settings

_EPILOG = """\
Type an answer (Up, or its arrow key, then Enter), or a whole reply with its tags; ? asks the expert, an empty line or
q stops.
Arguments of the environment: --kwargs.NAME VALUE; of the way it is spoken to: --chat.NAME VALUE."""


# What a terminal sends for the arrow keys, in either of its modes.
_ARROWS = {
    f"\x1b{mode}{letter}": name
    for mode in "[O"
    for letter, name in zip("ABCD", ("Up", "Down", "Right", "Left"), strict=True)
}


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `play`."""
    parser = commands.add_parser("play", help="play an environment yourself", epilog=_EPILOG, allow_abbrev=False)
    parser.add_argument("id", metavar="ENV_ID", help="an id of this package or of any Gymnasium environment")
    parser.add_argument("--window", action="store_true", help="in a window, with the arrow keys and the digits")
    parser.add_argument("--seed", type=int, metavar="S", help="of the problem (default: another one each time)")
    settings.add_overrides(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Play until the player stops; the exit code."""
    if arguments.seed is not None and arguments.seed < 0:
        raise UserError(f"--seed must be at least 0, not {arguments.seed}")
    if arguments.window:
        from .window import play_in_window

        play_in_window(_make(arguments, "rgb_array"), arguments.id, arguments.seed)
    else:
        play_in_terminal(_make(arguments, "ansi"), arguments.seed)
    return 0


def _make(arguments: argparse.Namespace, render_mode: str) -> ChatEnv:
    """The environment with the render mode, where it knows that mode."""
    plain = settings.environment_from(arguments.id, arguments.override).make()
    if render_mode not in plain.unwrapped.metadata.get("render_modes", ()):
        return plain
    plain.close()
    return settings.environment_from(arguments.id, arguments.override, render_mode=render_mode).make()


def play_in_terminal(env: ChatEnv, seed: int | None) -> None:
    """Show messages, read answers from standard input, until the episode or the input ends."""
    messages, _ = env.reset(seed=seed)
    total, turn = 0.0, 0
    if sys.stdin.isatty():
        print("Type your answer, then Enter. ? asks the expert, an empty line or q stops.\n")
    while True:
        _show(env, messages)
        answer = _read(env)
        if answer is None:
            break
        reply = answer if "<" in answer else env.write_reply("", answer)
        messages, reward, terminated, truncated, info = env.step(reply)
        total, turn = total + reward, turn + 1
        parts = ", ".join(f"{name} {value:g}" for name, value in info["reward_parts"].items())
        print(f"reward {reward:g} ({parts}), in all {total:g}")
        if terminated or truncated:
            _show(env, messages)
            print(f"{outcome(info)} after {turn} turns, {total:g} in all")
            break
    env.close()


def _show(env: ChatEnv, messages: list[Message]) -> None:
    picture = env.render() if env.render_mode == "ansi" else None
    said = "\n".join(message_text(message) for message in messages)
    for message in messages:
        for part in message["content"]:
            if part["type"] == "text":
                print(_wrap(part["text"]))
            elif picture is None:
                height, width = part["image"].shape[:2]
                print(f"[a picture of {width} x {height} pixels; --window shows it]")
    if isinstance(picture, str) and picture.strip() not in said:
        print(picture)


def _wrap(text: str) -> str:
    """The text with its long lines broken between words, where a person reads it on a screen."""
    if not sys.stdout.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(textwrap.fill(line, width) if len(line) > width else line for line in text.split("\n"))


def _read(env: ChatEnv) -> str | None:
    """The next answer; None when the player stops."""
    while True:
        print("answer> ", end="", flush=True)
        answer = sys.stdin.readline().strip()
        for keys, name in _ARROWS.items():
            answer = answer.replace(keys, f"{name},")
        answer = answer.removesuffix(",")
        if not sys.stdin.isatty():
            print(answer)
        if answer in ("", "q"):
            return None
        if answer != "?":
            return answer
        try:
            solution = env.solution()
        except UserError as error:
            print(error)
        else:
            print(f"the expert: {solution.thought}\n{solution.answer}" if solution.thought else solution.answer)


def outcome(info: dict[str, Any]) -> str:
    """How an episode ended, in a word or two."""
    if info["stop_reason"] is StopReason.TASK_ENDED and info["success"] is not None:
        return "solved" if info["success"] else "not solved"
    return "ended" if info["stop_reason"] is StopReason.TASK_ENDED else f"stopped ({info['stop_reason'].value})"


def action_names(env: ChatEnv) -> tuple[str, ...]:
    """What the actions of a world with a few of them are called: their names, or their numbers.

    Raises:
        UserError: its actions are no short list.
    """
    names = env.chat_spec.action_names
    if names is not None:
        return names
    space = env.unwrapped.action_space
    if not isinstance(space, gym.spaces.Discrete):
        raise UserError("a window is for worlds with a list of actions; play this one without --window")
    return tuple(str(int(space.start) + index) for index in range(int(space.n)))
