"""The solver beside plain searches, its limits, and what is made of its answers: shaping, regret, scores."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmmr1.envs.errors import UserError
from lmmr1.envs.sokoban import Level, SokobanEnv, Solver, Status, generate, parse_level, solve_level
from lmmr1.envs.sokoban.generation.backwards import Backwards, Digging
from lmmr1.envs.sokoban.solving.optimal import RoomSearch

ONE_BOX = "######\n#    #\n# @$ #\n#.   #\n######"
TWO_BOXES = "#####\n#@  #\n# $.#\n# $.#\n#   #\n#####"
HARD = Backwards(Digging("compat", (13, 13), 5, 50), 3).next()


def plain_search(level: Level, by_pushes: bool) -> int | None:
    """Breadth-first over single moves, of which only pushes cost anything if so wanted: the least cost, or None."""
    start = (level.player, frozenset(level.boxes))
    cost, queue, done = {start: 0}, deque([start]), set()
    while queue:
        state = queue.popleft()
        if state in done:
            continue
        done.add(state)
        player, boxes = state
        if boxes == frozenset(level.targets):
            return cost[state]
        for step in (-level.columns, level.columns, -1, 1):
            ahead, behind, moved, price = player + step, player + 2 * step, boxes, int(not by_pushes)
            if level.walls[ahead]:
                continue
            if ahead in boxes:
                if level.walls[behind] or behind in boxes:
                    continue
                moved, price = boxes - {ahead} | {behind}, 1
            after = (ahead, moved)
            if cost[state] + price < cost.get(after, 1 << 30):
                cost[after] = cost[state] + price
                (queue.append if price else queue.appendleft)(after)
    return None


def play(level: Level, solution: str) -> bool:
    """Whether the letters solve the level, capitals exactly where a box is pushed."""
    board = level.board()
    for letter in solution:
        outcome = board.move("udlr".index(letter.lower()))
        assert outcome.moved and outcome.pushed == letter.isupper()
    return board.solved


def small_levels(count: int) -> list[Level]:
    """Levels of one to three boxes; half of them are scrambled, so that many have no solution."""
    rng = np.random.default_rng(5)
    levels = []
    for i in range(count):
        boxes = 1 + i % 3
        level = generate(rng, (6, 6) if boxes < 3 else (5, 6), boxes, inner_walls=int(rng.integers(3)))
        levels.append(level if i % 4 < 2 else level.random_state(rng))
    return levels


def check(levels: list[Level]) -> dict[Status, int]:
    """Compares the answers for pushes and for moves with those of the plain search."""
    seen = dict.fromkeys(Status, 0)
    for level in levels:
        for metric in ("pushes", "moves"):
            answer, expected = solve_level(level, metric), plain_search(level, metric == "pushes")
            seen[answer.status] += 1
            if expected is None:
                assert answer.status is Status.UNSOLVABLE and answer.moves is None and answer.pushes is None
                continue
            assert (answer.pushes if metric == "pushes" else answer.moves) == expected, level.to_xsb()
            assert play(level, answer.solution)
    return seen


def test_it_agrees_with_a_plain_search() -> None:
    seen = check(small_levels(500))
    assert seen[Status.UNSOLVABLE] > 200 and seen[Status.SOLVED] > 400 and not seen[Status.UNKNOWN]


def test_plain_python_gives_the_same_answers() -> None:
    code = (
        "import sys\nsys.modules['numba'] = None\n"
        "from tests.envs.sokoban.test_solving import *\n"
        "check(small_levels(60))\nlevel = Backwards(Digging('fast', (10, 10), 4), 1).next()\n"
        "print(solve_level(level), solve_level(level, 'moves', node_limit=300))"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    level = Backwards(Digging("fast", (10, 10), 4), 1).next()
    # Not only the same solutions: the same number of positions, so that limits mean the same.
    assert done.stdout.strip() == f"{solve_level(level)} {solve_level(level, 'moves', node_limit=300)}", done.stderr


def test_large_rooms() -> None:
    for metric in ("pushes", "moves"):
        answer = solve_level(HARD, metric)
        assert answer.status is Status.SOLVED and play(HARD, answer.solution)
    rows = ["#" * 60, "#@" + " " * 57 + "#", "# $" + " " * 54 + ". #", "#" + " " * 58 + "#", "#" * 60]
    corridor = parse_level("\n".join(rows))
    answer = solve_level(corridor, "moves")
    assert (answer.pushes, answer.moves) == (55, 56)
    many = parse_level("#" * 12 + "\n#@" + " " * 9 + "#\n# $$$$$$$$$#\n# .........#\n#" + " " * 10 + "#\n" + "#" * 12)
    answer = solve_level(many)  # nine boxes: more than the exact assignment is made for
    assert answer.pushes == 9 and play(many, answer.solution)


def test_limits_say_unknown_and_never_a_wrong_answer() -> None:
    full = solve_level(HARD, "moves")
    for limit in (1, 10, 1000, full.expanded, full.expanded + 1):
        answer = solve_level(HARD, "moves", node_limit=limit)
        assert answer.status in (Status.UNKNOWN, Status.SOLVED)
        assert answer.expanded <= limit
        if answer.status is Status.SOLVED:
            assert answer == full
    assert solve_level(HARD, "moves", node_limit=10).status is Status.UNKNOWN
    assert solve_level(HARD, "moves", time_limit=0.0).status is Status.UNKNOWN
    began = time.monotonic()
    solve_level(Backwards(Digging("compat", (13, 11), 5, 43), 11).next(), "moves", 10_000_000, time_limit=0.3)
    assert (
        time.monotonic() - began < 60
    )  # not a measurement: without the limit it would go on for ten million positions
    with pytest.raises(UserError, match="metric is 'steps'; choose from pushes, moves"):
        solve_level(HARD, "steps")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "text",
    [
        "######\n#@   #\n# $$ #\n# $$ #\n#....#\n######",  # four boxes in a square
        "#######\n#@    #\n#     #\n#.. $$#\n#######",  # two side by side at a wall
        "########\n#@     #\n# ##   #\n# #$$  #\n#  #   #\n#  ..  #\n########",
    ],
)
def test_frozen_boxes_are_seen_at_once(text) -> None:
    level = parse_level(text)
    expected = plain_search(level, True)
    answer = solve_level(level)
    assert answer.pushes == expected
    if expected is None:
        assert answer.expanded < 60


def test_a_search_is_copied() -> None:
    search = RoomSearch(HARD)
    before = search.solve(HARD.player, HARD.boxes, "moves")
    copy = pickle.loads(pickle.dumps(search))
    assert copy.solve(HARD.player, HARD.boxes, "moves") == before == search.solve(HARD.player, HARD.boxes, "moves")
    solver = pickle.loads(pickle.dumps(Solver(HARD)))
    assert solver.moves_to_go(HARD.player, HARD.boxes) == before.moves
    assert len(solver.plan(HARD.player, HARD.boxes)) == before.moves


# ---- shaping


def best_policies(env: SokobanEnv, discount: float) -> dict[tuple[Any, ...], set[int]]:
    """Value iteration over every position that can be reached: the best actions in each by the rewards paid."""
    env.reset(seed=0)
    start = env.state()
    rows, frontier, seen = {}, [start], {start}
    while frontier:
        state = frontier.pop()
        for action in range(4):
            env.reset(options={"level": state})
            _, reward, terminated, _, _ = env.step(action)
            after = env.state()
            rows[state, action] = (reward, None if terminated else after)
            if not terminated and after not in seen:
                seen.add(after)
                frontier.append(after)
    values = dict.fromkeys(seen, 0.0)
    for _ in range(250):
        values = {
            state: max(rows[state, a][0] + discount * values.get(rows[state, a][1], 0.0) for a in range(4))
            for state in seen
        }
    best = {}
    for state in seen:
        worths = [rows[state, a][0] + discount * values.get(rows[state, a][1], 0.0) for a in range(4)]
        best[state.player, state.boxes] = {a for a, worth in enumerate(worths) if worth > max(worths) - 1e-6}
    return best


@pytest.mark.parametrize("end_when_dead", [False, True])
@pytest.mark.parametrize("level", [ONE_BOX, TWO_BOXES])
def test_potential_shaping_leaves_every_best_policy_best(level, end_when_dead) -> None:
    discount = 0.9
    plain = SokobanEnv(levels=level, observation="grid", end_when_dead=end_when_dead)
    shaped = SokobanEnv(
        levels=level,
        observation="grid",
        end_when_dead=end_when_dead,
        rewards={"potential": 0.7, "discount": discount},
    )
    expected = best_policies(plain, discount)
    assert len(expected) >= 50 and best_policies(shaped, discount) == expected
    # The difference of distances alone, paid once and for all, is not such a shaping: it changes what is best.
    other = SokobanEnv(levels=level, observation="grid", rewards={"blocked": 2.0})
    assert best_policies(other, discount) != best_policies(SokobanEnv(levels=level, observation="grid"), discount)


def test_the_shaping_rewards_add_up_to_the_start_alone() -> None:
    terms = {"step": 0, "box_on_target": 0, "box_off_target": 0, "solved": 0, "potential": 2.0}
    env = SokobanEnv((7, 7), 2, rewards=terms, max_steps=400, generation="fast")
    rng = np.random.default_rng(0)
    wins = 0
    for seed in range(6):
        env.reset(seed=seed)
        to_go, paid, over = len(env.solution().answer.split(",")), 0.0, False
        while not over:
            try:
                move = env.solution().answer.split(",")[0] if rng.random() < 0.7 else "Up"
            except UserError:  # lost
                break
            _, reward, over, _, _ = env.step(("Up", "Down", "Left", "Right").index(move))
            paid += reward
        wins += over
        if over:
            assert paid == pytest.approx(2.0 * to_go)
    assert wins > 2


# ---- regret and score


def test_regret_and_score() -> None:
    level = "#######\n#@ $ .#\n#     #\n#######"
    env = SokobanEnv(levels=level, show_regret=True, show_score=True)
    _, info = env.reset(seed=0)
    best = -0.3 + 1 + 10
    assert info["optimal"] == 3 and info["regret"] == 0 and info["score"] == pytest.approx(100 - 5 * best)
    for action in (1, 0, 3, 3):
        info = env.step(action)[4]
        assert info["regret"] == 0 and info["score"] == pytest.approx(100 - 5 * best)
    _, _, terminated, _, info = env.step(3)
    # Two moves in vain: 0.2 less than the best return, and 5 points for each.
    assert terminated and info["regret"] == pytest.approx(5 / 3) and info["score"] == pytest.approx(100 - 5 * 0.2)
    env.reset(options={"level": "#######\n#@  $##\n# .####\n#######"})
    info = env.step(3)[4]
    assert (info["optimal"], info["regret"], info["score"]) == (-1, 0.0, -math.inf)


def test_the_score_is_of_the_best_moment_and_of_gym_sokobans_rewards() -> None:
    level = "########\n#@$ .  #\n#   $. #\n#      #\n########"
    env = SokobanEnv(levels=level, show_score=True, rewards={"solved": 99.0})
    _, info = env.reset(seed=0)
    optimum = solve_level(parse_level(level), "moves").moves
    assert optimum is not None
    upper = 12 - 0.1 * optimum
    assert info["score"] == pytest.approx(100 - 5 * upper)
    env.step(3)
    gained = env.step(3)[4]["score"]  # the first box is on its target: 1 - 0.2
    assert gained == pytest.approx(100 - 5 * (upper - 0.8))
    assert env.step(3)[4]["score"] == gained  # pushed off again: what was best stays best
