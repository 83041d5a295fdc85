"""Sokoban: rules against a plain transcription, solver against a plain search, levels and their generation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import deque

import gymnasium as gym
import numpy as np
import pytest

from lmmr1.envs.errors import UserError
from lmmr1.envs.sokoban.env import SokobanEnv
from lmmr1.envs.sokoban.generation.scatter import generate
from lmmr1.envs.sokoban.levels import Level, parse_level, parse_levels
from lmmr1.envs.sokoban.rules import MOVES
from lmmr1.envs.sokoban.solving import Solver, is_dead, moves_to_go, optimal_moves, solve

STEPS = {"Up": (-1, 0), "Down": (1, 0), "Left": (0, -1), "Right": (0, 1)}
CORRIDOR = "#######\n#@ $ .#\n#######"


class PlainSokoban:
    """The rules, written down cell by cell from their description."""

    def __init__(self, level: Level):
        self.walls, self.goals, self.boxes = set(), set(), set()
        for i, symbol in enumerate(level.to_xsb().replace("\n", "")):
            cell = divmod(i, level.columns)
            if symbol == "#":
                self.walls.add(cell)
            if symbol in ".*+":
                self.goals.add(cell)
            if symbol in "$*":
                self.boxes.add(cell)
            if symbol in "@+":
                self.player = cell
        self.rows, self.columns = level.rows, level.columns

    def act(self, name, may_push):
        """Returns (reward, moved, pushed, won)."""
        covered = len(self.goals & self.boxes)
        moved = pushed = False
        if name is not None:
            dy, dx = STEPS[name]
            cell = (self.player[0] + dy, self.player[1] + dx)
            behind = (cell[0] + dy, cell[1] + dx)
            if cell in self.boxes:
                if may_push and behind not in self.walls and behind not in self.boxes:
                    self.boxes.remove(cell)
                    self.boxes.add(behind)
                    self.player, moved, pushed = cell, True, True
            elif cell not in self.walls:
                self.player, moved = cell, True
        now = len(self.goals & self.boxes)
        won = self.goals <= self.boxes
        reward = -0.1 + (1.0 if now > covered else -1.0 if now < covered else 0.0) + (10.0 if won else 0.0)
        return reward, moved, pushed, won

    def codes(self):
        grid = np.ones((self.rows, self.columns), np.uint8)
        for row in range(self.rows):
            for column in range(self.columns):
                cell = (row, column)
                if cell in self.walls:
                    grid[cell] = 0
                elif cell == self.player:
                    grid[cell] = 6 if cell in self.goals else 5
                elif cell in self.boxes:
                    grid[cell] = 3 if cell in self.goals else 4
                elif cell in self.goals:
                    grid[cell] = 2
        return grid


def plain_search(level: Level):
    """Breadth-first search over single moves: the length of the shortest solution, or None."""
    game = PlainSokoban(level)
    start = (game.player, frozenset(game.boxes))
    distance = {start: 0}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        if game.goals <= state[1]:
            return distance[state]
        for name in MOVES:
            game.player, game.boxes = state[0], set(state[1])
            game.act(name, True)
            after = (game.player, frozenset(game.boxes))
            if after not in distance:
                distance[after] = distance[state] + 1
                queue.append(after)
    return None


def play(level: Level, moves):
    board = level.board()
    for move in moves:
        assert board.move(MOVES.index(move)).moved
    return board


# ---- rules


@pytest.mark.parametrize("action_set", ["moves4", "gym9"])
@pytest.mark.parametrize(("dim_room", "num_boxes"), [((5, 5), 1), ((6, 7), 2), ((7, 6), 3)])
def test_rules_agree_with_the_plain_ones(action_set, dim_room, num_boxes):
    env = SokobanEnv(dim_room, num_boxes, 0, max_steps=80, observation="grid", action_set=action_set)
    num_actions = len(env.chat_spec.action_names or ())
    rng = np.random.default_rng(0)
    wins = timeouts = pushes = 0
    env.reset(seed=0)
    terminated = truncated = False
    for episode in range(40):
        grid, _ = env.reset()
        level = env.state()
        plain = PlainSokoban(level)
        assert (grid == plain.codes()).all()
        # Half of the episodes are played well, with some noise, so that wins and uncovered targets are seen.
        done, steps = False, 0
        while not done:
            action = int(rng.integers(num_actions))
            if episode % 2 and rng.random() < 0.8:
                best = optimal_moves(env.state())
                if best:
                    action = MOVES.index(best[0]) + (action_set == "gym9")
            if action_set == "moves4":
                order = (MOVES[action], True)
            else:
                order = (None, False) if action == 0 else (MOVES[(action - 1) % 4], action <= 4)
            grid, reward, terminated, truncated, info = env.step(action)
            expected, moved, pushed, won = plain.act(*order)
            steps += 1
            assert (grid == plain.codes()).all()
            assert reward == pytest.approx(expected)
            assert (info["moved"], info["pushed"], info["success"]) == (moved, pushed, won)
            assert info["blocked"] == (order[0] is not None and not moved)
            assert terminated == won and truncated == (steps == 80 and not won)
            done = terminated or truncated
            pushes += pushed
        wins += terminated
        timeouts += truncated
        with pytest.raises(gym.error.ResetNeeded):
            env.step(0)
    assert wins > 5 and timeouts > 5 and pushes > 30


# ---- solver


def small_levels(count):
    rng = np.random.default_rng(1)
    for i in range(count):
        num_boxes = 1 + i % 2
        level = generate(rng, (5, 6) if num_boxes == 2 else (6, 6), num_boxes, inner_walls=int(rng.integers(3)))
        yield level if i % 4 < 2 else level.random_state(rng)


def test_solver_agrees_with_plain_search():
    dead = solved = 0
    for level in small_levels(200):
        expected = plain_search(level)
        assert moves_to_go(level) == expected
        assert is_dead(level) is (expected is None)
        dead += expected is None
        if expected is None:
            assert solve(level) is None and optimal_moves(level) == []
            continue
        moves = solve(level)
        assert moves is not None and len(moves) == expected
        assert play(level, moves).solved
        solved += 1
        best = []
        for name in MOVES:
            board = level.board()
            board.move(MOVES.index(name))
            after = level.with_position(board.player, board.boxes())
            if plain_search(after) == expected - 1:
                best.append(name)
        assert optimal_moves(level) == best
    assert dead > 10 and solved > 100


def test_a_search_that_gives_up_says_so():
    level = generate(np.random.default_rng(0), (8, 8), 3, min_moves=20)
    solver = Solver(level, node_limit=2)
    assert solver.moves_to_go(level.player, level.boxes) is None
    assert solver.is_dead(level.player, level.boxes) is None
    assert solver.solve(level.player, level.boxes) is None
    assert solver.optimal_moves(level.player, level.boxes) == []


def test_solved_positions():
    for text in ("#####\n#@* #\n#####", "#####\n#@**#\n#####"):
        level = parse_level(text)
        assert moves_to_go(level) == 0 and solve(level) == [] and optimal_moves(level) == [] and is_dead(level) is False


# ---- levels


def test_text_round_trip():
    rng = np.random.default_rng(2)
    for _ in range(30):
        level = generate(rng, (7, 8), 2, 4).random_state(rng)
        assert parse_level(level.to_xsb()) == level
        assert (level.grid() == PlainSokoban(level).codes()).all()


def test_level_files(tmp_path):
    text = "; 0\n####\n#@$.###\n#-_   #\n#######\n\nTitle: two\n  #####\n ##+$ #\n #   ##\n ######\n"
    first, second = parse_levels(text)
    assert first.columns == 7 and first.walls[5:7] == b"\x01\x01"
    assert second.to_xsb() == "#######\n###+$ #\n##   ##\n#######"
    path = tmp_path / "levels.txt"
    path.write_text(text)
    env = SokobanEnv(levels=str(path), observation="grid")
    assert env.observation_space.shape == (4, 7)
    seen = {env.reset(seed=seed)[0].tobytes() for seed in range(20)}
    assert len(seen) == 2
    assert SokobanEnv(levels=path).levels == SokobanEnv(levels=text).levels
    with pytest.raises(UserError, match="there is no file"):
        SokobanEnv(levels=str(tmp_path / "none.txt"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("#####\n# $.#\n#####", "line 1: the level has no player"),
        ("; x\n#####\n#@$.#\n#@  #\n#####", "line 4: the level has a second player"),
        ("#####\n#@$ #\n#####", "boxes != targets (1 and 0)"),
        ("####\n#@ #\n####", "no box"),
        ("#####\n#@$.\n#####", "line 2, column 2: the room of this '@' is not closed"),
        ("#####\n#@$.#\n#  ##\n## ##", "not closed"),
        ("#####\n#@x.#\n#####", "line 2, column 3: 'x' is no cell"),
        ("; nothing here", "no level found"),
        (CORRIDOR + "\n\n" + CORRIDOR, "2 levels found"),
    ],
)
def test_bad_level_text(text, told):
    with pytest.raises(UserError, match=re.escape(told)):
        parse_level(text)


def test_random_states_cover_the_room():
    level = parse_level("######\n#@   #\n# $. #\n#    #\n######")
    rng = np.random.default_rng(0)
    states = [level.random_state(rng) for _ in range(2000)]
    assert all(not state.is_solved and state.targets == level.targets for state in states)
    assert {state.player for state in states} == set(level.free_cells())
    assert any(is_dead(state) for state in states) and any(not is_dead(state) for state in states)
    assert len(set(states)) == 12 * 11 - 11


@pytest.mark.parametrize(
    "kwargs",
    [
        {"dim_room": (6, 6)},
        {"dim_room": (6, 6), "inner_walls": 2, "min_moves": 4, "max_moves": 9},
        {"dim_room": (7, 7), "num_boxes": 2, "inner_walls": 3},
        {"dim_room": (7, 7), "num_boxes": 2, "min_moves": 8, "max_moves": 20},
        {"dim_room": (10, 10), "num_boxes": 3, "inner_walls": 12},
        {"dim_room": (3, 8)},
    ],
)
def test_generated_levels(kwargs):
    rng = np.random.default_rng(7)
    seen = set()
    for _ in range(15):
        level = generate(rng, **kwargs)
        assert (level.rows, level.columns) == kwargs["dim_room"]
        assert len(level.boxes) == len(level.targets) == kwargs.get("num_boxes", 1)
        assert not set(level.boxes) & set(level.targets)
        inner = sum(level.walls) - 2 * (level.rows + level.columns) + 4
        assert inner == kwargs.get("inner_walls", 0)
        assert parse_level(level.to_xsb()) == level
        moves = moves_to_go(level)
        if level.columns < 10:
            assert moves is not None
        if moves is not None:
            assert kwargs.get("min_moves", 1) <= moves <= kwargs.get("max_moves", 10**6)
        seen.add(level)
    assert len(seen) > 8


@pytest.mark.parametrize(
    ("kwargs", "told"),
    [
        ({"dim_room": (3, 4)}, "has 2 free cells"),
        ({"dim_room": (2, 9)}, "dim_room is (2, 9)"),
        ({"dim_room": (7,)}, "dim_room is (7,)"),
        ({"dim_room": (5, 5), "num_boxes": 5}, "take 11"),
        ({"num_boxes": 0}, "num_boxes is 0"),
        ({"inner_walls": -1}, "inner_walls is -1"),
        ({"min_moves": 0}, "min_moves is 0"),
        ({"min_moves": 5, "max_moves": 4}, "max_moves is 4"),
        ({"split": "dev"}, "split is 'dev'"),
        ({"dim_room": (5, 5), "min_moves": 200}, "no all level"),
    ],
)
def test_impossible_generation(kwargs, told):
    with pytest.raises(UserError, match=re.escape(told)):
        generate(np.random.default_rng(0), **kwargs)


def test_train_and_test_share_no_level():
    rng = np.random.default_rng(0)
    train = {generate(rng, (6, 6), split="train") for _ in range(5000)}
    test = {generate(rng, (6, 6), split="test") for _ in range(5000)}
    assert not train & test
    assert 0.15 < len(test) / len(train | test) < 0.25


def test_levels_are_the_same_in_another_process():
    code = (
        "import numpy as np\nfrom lmmr1.envs.sokoban import generate\nrng = np.random.default_rng(3)\n"
        "print([generate(rng, (7, 7), 1 + i % 2, 2, split='test').to_xsb() for i in range(20)])"
    )
    rng = np.random.default_rng(3)
    here = str([generate(rng, (7, 7), 1 + i % 2, 2, split="test").to_xsb() for i in range(20)])
    for salt in ("0", "77"):
        output = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": salt}, capture_output=True, text=True
        )
        assert output.stdout.strip() == here, output.stderr
