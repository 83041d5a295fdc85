"""Sokoban: rules against a plain transcription, solver against a plain search, levels, pictures, the environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import deque

import gymnasium as gym
import numpy as np
import pytest

from lmmr1.envs.errors import MissingExtraError, UserError
from lmmr1.envs.sokoban.env import SokobanEnv
from lmmr1.envs.sokoban.generate import generate
from lmmr1.envs.sokoban.levels import Level, parse_level, parse_levels
from lmmr1.envs.sokoban.render import load_tiles, render
from lmmr1.envs.sokoban.rules import MOVES, RewardTerms
from lmmr1.envs.sokoban.solver import Solver, is_dead, moves_to_go, optimal_moves, solve

STEPS = {"Up": (-1, 0), "Down": (1, 0), "Left": (0, -1), "Right": (0, 1)}
CORRIDOR = "#######\n#@ $ .#\n#######"
DEAD_END = "######\n#    #\n# @$ #\n#.   #\n######"  # Right puts the box at a wall for good


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


def test_a_box_off_its_target_costs():
    env = SokobanEnv(levels="#######\n#@* $.#\n#######", observation="grid")
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step(3)
    assert reward == pytest.approx(-1.1) and info["pushed"] and not terminated


def test_winning_on_the_last_step_terminates():
    env = SokobanEnv(levels=CORRIDOR, max_steps=3)
    env.reset(seed=0)
    for _ in range(2):
        _, reward, terminated, truncated, _ = env.step(3)
        assert not terminated and not truncated and reward == pytest.approx(-0.1)
    _, reward, terminated, truncated, info = env.step(3)
    assert (terminated, truncated, info["success"]) == (True, False, True)
    assert reward == pytest.approx(10.9)


def test_shaping_terms():
    terms = {"step": 0, "box_on_target": 0, "box_off_target": 0, "solved": 1, "closer": 0.5, "dead": -4, "blocked": -2}
    env = SokobanEnv(levels=DEAD_END, rewards=terms)
    _, info = env.reset(seed=0)
    assert info["dead"] is False
    for action in (0, 1):  # up and back
        before = moves_to_go(env.state())
        reward = env.step(action)[1]
        after = moves_to_go(env.state())
        assert before is not None and after is not None and abs(before - after) == 1
        assert reward == 0.5 * (before - after)
    env.step(0)
    assert env.step(0)[1] == -2.0  # a wall
    env.step(1)
    _, reward, terminated, _, info = env.step(3)
    assert (reward, info["dead"], terminated) == (-4.0, True, False)
    _, reward, _, _, info = env.step(2)
    assert (reward, info["dead"]) == (0.0, True)  # once only
    ending = SokobanEnv(levels=DEAD_END, end_when_dead=True)
    ending.reset(seed=0)
    _, reward, terminated, truncated, info = ending.step(3)
    assert (terminated, truncated, info["dead"], info["success"]) == (True, False, True, False)
    assert reward == pytest.approx(-0.1)


def test_dead_is_not_asked_for_nothing():
    env = SokobanEnv(levels=DEAD_END)
    env.reset(seed=0)
    assert env.step(3)[4]["dead"] is False


def test_unknown_reward_terms():
    with pytest.raises(UserError, match="unknown term 'closser'; did you mean 'closer'"):
        SokobanEnv(rewards={"closser": 1.0})
    with pytest.raises(UserError, match="solved is 'ten'"):
        SokobanEnv(rewards={"solved": "ten"})  # pyright: ignore[reportArgumentType]
    with pytest.raises(UserError, match="step is nan"):
        RewardTerms.from_mapping({"step": float("nan")})
    assert SokobanEnv(rewards=RewardTerms(solved=2.0)).rewards.solved == 2.0


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


# ---- pictures


@pytest.mark.parametrize("tile_size", [8, 11, 14, 16, 32])
def test_tiles_are_told_apart(tile_size):
    tiles = load_tiles(tile_size).astype(int)
    assert tiles.shape == (7, tile_size, tile_size, 3)
    for i in range(7):
        for j in range(i):
            differing = (np.abs(tiles[i] - tiles[j]).sum(axis=2) > 60).mean()
            assert differing > 0.06, (i, j)


def test_render_puts_tiles_in_their_places():
    level = parse_level("#######\n#@$. *#\n# $  .#\n#######")
    picture = render(level.grid(), 14)
    assert picture.shape == (56, 98, 3) and picture.dtype == np.uint8
    for (row, column), code in np.ndenumerate(level.grid()):
        tile = picture[row * 14 : (row + 1) * 14, column * 14 : (column + 1) * 14]
        assert (tile == load_tiles(14)[code]).all()


# ---- environment


def test_observations_are_not_overwritten():
    env = SokobanEnv(levels=CORRIDOR, observation="grid")
    before, _ = env.reset(seed=0)
    kept = before.copy()
    env.step(3)
    assert (before == kept).all()


def test_starting_from_a_level():
    env = SokobanEnv(dim_room=(6, 8), observation="grid", render_mode="ansi")
    grid, _ = env.reset(options={"level": CORRIDOR})
    assert grid.shape == (6, 8) and (grid[3:] == 0).all() and (grid[:, 7] == 0).all()
    assert env.solution().answer == "Right"
    assert str(env.render()).splitlines()[1] == "#@ $ .##"
    state = env.state()
    assert (env.reset(options={"level": state})[0] == grid).all()
    with pytest.raises(UserError, match="does not fit"):
        env.reset(options={"level": "#########\n#@ $   .#\n#########"})
    with pytest.raises(UserError, match="solved from the start"):
        env.reset(options={"level": "####\n#@*#\n####"})
    with pytest.raises(UserError, match="unknown option 'room'"):
        env.reset(options={"room": 3})
    with pytest.raises(UserError, match="is a int"):
        env.reset(options={"level": 3})


def test_solutions_solve():
    for action_set, first in (("moves4", ""), ("gym9", "Push ")):
        env = SokobanEnv((6, 6), 1, action_set=action_set, show_optimal_moves=True)
        with pytest.raises(UserError, match="no level yet"):
            env.solution()
        names = list(env.chat_spec.action_names or ())
        _, info = env.reset(seed=4)
        terminated = False
        while not terminated:
            solution = env.solution()
            assert solution.answer == info["optimal_moves"][0] and solution.answer.startswith(first)
            _, _, terminated, truncated, info = env.step(names.index(solution.answer))
            assert not truncated
        assert info["success"] and info["optimal_moves"] == ()
        with pytest.raises(UserError, match="solved"):
            env.solution()


def test_thoughts_say_where_everything_is():
    env = SokobanEnv(levels="######\n#    #\n# @  #\n# .$ #\n#    #\n######")
    env.reset(seed=0)
    assert env.solution().thought == "me22 box33 goal32"
    env = SokobanEnv(levels="########\n#@ $$..#\n#      #\n########")
    env.reset(seed=0)
    with pytest.raises(UserError, match="no solution"):
        env.solution()
    env = SokobanEnv(levels="#######\n#@ $ .#\n#  $ .#\n#     #\n#######")
    env.reset(seed=0)
    assert env.solution().thought == "me11 box13,23 goal15,25"
    env = SokobanEnv(levels="############\n#@       $.#\n############")
    env.reset(seed=0)
    assert env.solution().thought == "me1.1 box1.9 goal1.10"


def test_same_seed_same_levels():
    first, second = (SokobanEnv((6, 6), split="train", observation="grid") for _ in range(2))
    one = [first.reset(seed=5)[0].tobytes(), *(first.reset()[0].tobytes() for _ in range(10))]
    two = [second.reset(seed=5)[0].tobytes(), *(second.reset()[0].tobytes() for _ in range(10))]
    assert one == two and len(set(one)) > 5


def test_what_is_said():
    env = SokobanEnv((6, 6), tile_size=14)
    observation, info = env.reset(seed=0)
    assert observation.shape == (84, 84, 3)
    assert env.chat_spec.describe is not None
    image, text = env.chat_spec.describe(observation, info)
    assert image["type"] == "image" and (image["image"] == observation).all()
    assert text["type"] == "text" and text["text"] == "Your move?"
    assert env.chat_spec.action_names == MOVES and env.chat_spec.max_actions == 1
    env = SokobanEnv(levels=CORRIDOR, observation="grid")
    assert env.chat_spec.describe is not None
    (text,) = env.chat_spec.describe(*env.reset(seed=0))
    assert text["type"] == "text" and text["text"] == f"{CORRIDOR}\nYour move?"


def test_the_window(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pytest.importorskip("pygame")
    env = SokobanEnv(levels=CORRIDOR, render_mode="human")
    env.reset(seed=0)
    env.step(3)
    env.close()
    env.close()
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(MissingExtraError, match=re.escape("lmmr1[games]")):
        env.reset()


@pytest.mark.parametrize(
    ("kwargs", "told"),
    [
        ({"observation": "tiny"}, "observation is 'tiny'"),
        ({"action_set": "moves5"}, "action_set is 'moves5'"),
        ({"render_mode": "video"}, "render_mode is 'video'"),
        ({"tile_size": 4}, "tile_size is 4"),
        ({"max_steps": 0}, "max_steps is 0"),
        ({"num_boxes": 40}, "free cells"),
        ({"levels": "####\n#@*#\n####"}, "solved from the start"),
    ],
)
def test_bad_arguments(kwargs, told):
    with pytest.raises(UserError, match=re.escape(told)):
        SokobanEnv(**kwargs)


def test_bad_actions():
    env = SokobanEnv(levels=CORRIDOR)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    for action in (-1, 4):
        with pytest.raises(UserError, match="there is no action"):
            env.step(action)
