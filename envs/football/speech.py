"""How football is spoken about: the names of the actions, the game in words, a match as text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from lmmr1.envs.chat_spec import ChatSpec
from lmmr1.envs.messages import Part, image_part, text_part

from .actions import DIRECTIONS, action_names, sticky_names
from .expert import GOAL, direction_to
from .metres import distance, distances, to_metres
from .state import ROLES, STEPS_PER_SECOND, GameMode, State

PREFIX = "action_"
QUESTION = "Your action?"
MAX_TEXT_LENGTH = 4096  # more than `write_state` ever needs
NEIGHBOURS = 5  # so many team mates and opponents are told of
MOVING = 0.08  # metres in a step: who is slower stands
RULES = (
    "You play football (soccer). You control one player of a team and see the match from above; your team attacks the "
    "goal on the right and defends the one on the left. Score, and do not lose the ball. The engine moves all other "
    "players, and when the ball goes to a team mate you control that one. A step of the game takes 0.1 s."
)
LEGENDS = {
    "view": (
        "The picture shows the pitch from above. Your team is yellow, the opponents are blue; keepers are squares, the "
        "others discs with a point in the direction they run. The red triangle and the red ring mark your player, pink "
        "rings other players of your team that are controlled like yours. The ball is white; a white ring is around "
        "its owner, white dots show the way of a free ball, and a ball in the air is larger and has a shadow. The bar "
        "above tells the score (your team first), what kind of play it is, your lasting actions (an arrow for the "
        "direction) and the steps that are left."
    ),
    "frame": (
        "The picture shows the match as on television. Your team wears yellow, and a name stands above your player; "
        "the small map below shows everybody."
    ),
}
UNITS = (
    "Places are in metres from the middle of the pitch: x from -54 (your goal) to 54 (their goal), y from -35 (the "
    "upper touch line) to 35 (the lower one). Directions are those of the picture: top is up, right is towards their "
    "goal. Players are named by their shirts, #1 is the keeper."
)
MEANINGS = {
    "idle": "do nothing new; what lasts goes on",
    "long_pass": "a long, flat pass",
    "high_pass": "a long pass through the air, over opponents",
    "short_pass": "a short pass along the ground",
    "shot": "a shot at their goal",
    "sprint": "run faster, with the ball less close; lasts",
    "release_direction": "stop running",
    "release_sprint": "end the sprint",
    "sliding": "tackle on the ground, without the ball",
    "dribble": "keep the ball closer, slower; lasts",
    "release_dribble": "end the dribble",
    "builtin_ai": "let the game's own computer player decide this step",
    "keeper_rush": "send your keeper out to the ball; lasts",
    "pressure": "press whoever has the ball; lasts",
    "team_pressure": "let a team mate press whoever has the ball; lasts",
    "switch": "control another player",
}
# By how actions are carried on.
MACROS = {
    "none": "Each action is one step.",
    "adapting": (
        "An action is one step, with two exceptions: the direction of your last action, given again, is run in for up "
        "to 10 steps, until an opponent or a line is near; and a pass or a shot is carried through until somebody has "
        "the ball again."
    ),
}


def spoken_names(action_set: str) -> tuple[str, ...]:
    """The names of a set's actions as they are answered, those of MageBench: "action_left" and so on.

    Raises:
        UserError: there is no such set.
    """
    return tuple(PREFIX + name for name in action_names(action_set))


def make_chat_spec(
    observation: str,
    action_set: str,
    look: Callable[[], State],
    *,
    seat: int = 0,
    macro: str = "none",
    max_actions: int = 1,
    words: bool = True,
) -> ChatSpec:
    """How a match is spoken about with one of its players.

    Args:
        observation: what the player is given; "view" and "frame" are shown, and everything else is told in words.
        action_set: a key of `ACTION_SETS`.
        look: the match as it is now, with the player's own team as the left one.
        seat: the player's place among the controlled ones of its team.
        macro: a key of `MACROS`.
        max_actions: how many actions one answer may hold.
        words: whether the match is told in words beside a picture.

    Raises:
        UserError: there is no such set of actions.
    """
    legend = [LEGENDS[observation]] if observation in LEGENDS else []
    if words or not legend:
        legend.append(UNITS)
    return ChatSpec(
        instructions="\n".join((RULES, *legend, _describe_actions(action_set), MACROS[macro], _order(max_actions))),
        action_names=spoken_names(action_set),
        max_actions=max_actions,
        describe=partial(_describe, look, seat, observation in LEGENDS, words),
    )


def _describe_actions(action_set: str) -> str:
    names = [name for name in action_names(action_set) if name not in DIRECTIONS]
    lines = [
        f"Actions: {', '.join(PREFIX + way for way in DIRECTIONS)}: run that way; lasts until you give another one."
    ]
    for name in names:
        meaning = MEANINGS.get(name) or f"end what {PREFIX}{name.removeprefix('release_')} began"
        lines.append(f"{PREFIX}{name}: {meaning}.")
    lines.append(
        "A pass goes to the team mate whom your player looks at, so turn first: give that direction, then the pass."
    )
    return "\n".join(lines)


def _order(max_actions: int) -> str:
    if max_actions == 1:
        return f"Answer with one action, such as {PREFIX}right."
    return (
        f"Answer with one action, such as {PREFIX}right, or with a short plan, such as "
        f"{PREFIX}top_right, {PREFIX}sprint, {PREFIX}shot."
    )


def _describe(
    look: Callable[[], State], seat: int, is_picture: bool, words: bool, observation: Any, info: dict[str, Any]
) -> list[Part]:
    parts: list[Part] = [image_part(np.asarray(observation))] if is_picture else []
    told = f"{write_state(look(), seat)}\n" if words or not is_picture else ""
    return [*parts, text_part(f"{told}{QUESTION}")]


def write_state(state: State, seat: int = 0, neighbours: int = NEIGHBOURS) -> str:
    """The match in words, a dozen short lines of ASCII, as one of its players would tell it.

    Args:
        state: with the player's own team as the left one.
        seat: the player's place among the controlled ones of its team.
        neighbours: how many team mates and opponents are told of, the nearest first.
    """
    mode = GameMode(state.game_mode)
    kind = "in play" if mode == GameMode.NORMAL else mode.name.lower().replace("_", " ")
    seconds = state.steps_left / STEPS_PER_SECOND
    lines = [f"Score {state.score[0]} - {state.score[1]}; {kind}; {state.steps_left} steps ({seconds:g} s) left."]
    me = state.left_controlled[seat]
    if me < 0:
        return "\n".join((*lines, _write_ball(state, me), "You control nobody now."))
    place = state.left.positions[me]
    lines.append(
        f"You: {_name(state, 0, me)} at {_write_place(place)}, {_write_way(state.left.directions[me])}; their goal is "
        f"{distance(place, GOAL):.0f} m {direction_to(place, GOAL)}."
    )
    on = [name for name, flag in zip(_lasting(state, seat), state.left_sticky[seat], strict=True) if flag]
    lines.append(f"On: {', '.join(PREFIX + name for name in on) or 'nothing'}.")
    lines.append(_write_ball(state, me))
    for title, team in (("Team mates", 0), ("Opponents", 1)):
        others = _nearest(state, team, me, neighbours)
        lines.append(f"{title}, the nearest first:" if others else f"{title}: none.")
        lines += [_write_other(state, team, other, place) for other in others]
    return "\n".join(lines)


def _lasting(state: State, seat: int) -> tuple[str, ...]:
    return sticky_names("full" if len(state.left_sticky[seat]) > 10 else "default")


def _nearest(state: State, team: int, me: int, count: int) -> list[int]:
    side = state.right if team else state.left
    order = np.argsort(distances(side.positions, state.left.positions[me]), kind="stable").tolist()
    others = [other for other in order if side.active[other] and (team or other != me)]
    # Their keeper matters wherever it is.
    return others[:count] if not team or 0 in others[:count] or 0 not in others else [*others[: count - 1], 0]


def _name(state: State, team: int, player: int) -> str:
    side = state.right if team else state.left
    return f"#{player + 1} {ROLES[side.roles[player]]}"


def _write_place(place: np.ndarray) -> str:
    x, y = to_metres(place).tolist()
    return f"({round(x)}, {round(y)})"


def _write_way(direction: np.ndarray) -> str:
    if np.hypot(*to_metres(direction)) < MOVING:
        return "standing"
    speed = float(np.hypot(*to_metres(direction))) * STEPS_PER_SECOND
    return f"running {direction_to(np.zeros(2), direction)} at {speed:.0f} m/s"


def _write_ball(state: State, me: int) -> str:
    place, height = state.ball[:2], float(state.ball[2])
    where = f"Ball at {_write_place(place)}" + (f", {height:.0f} m high" if height >= 1 else "")
    if state.ball_owned_team == 0:
        mine = state.ball_owned_player == me
        return f"{where}: {'you have it' if mine else 'your team has it, ' + _name(state, 0, state.ball_owned_player)}."
    if state.ball_owned_team == 1:
        return f"{where}: the opponents have it, {_name(state, 1, state.ball_owned_player)}."
    moving = _write_way(state.ball_direction[:2]).replace("running", "moving").replace("standing", "at rest")
    near = "" if me < 0 else f", {distance(place, state.left.positions[me]):.0f} m from you"
    return f"{where}: nobody has it, {moving}{near}."


def _write_other(state: State, team: int, other: int, place: np.ndarray) -> str:
    side, foes = (state.right, state.left) if team else (state.left, state.right)
    there = side.positions[other]
    text = f"- {_name(state, team, other)}: {distance(place, there):.0f} m {direction_to(place, there)}, at "
    text += f"{_write_place(there)}, {_write_way(side.directions[other])}"
    if team == 0 and foes.active.any():
        text += f", nearest opponent {distances(foes.positions[foes.active], there).min():.0f} m"
    return text
