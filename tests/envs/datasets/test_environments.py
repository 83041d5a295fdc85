"""Data sets behind the environments: what is asked when, what is said, and what is shown."""

from __future__ import annotations

import collections
import copy
import json
import pickle
import subprocess
import sys
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

import lmmr1
from lmmr1.envs.datasets import POSITIONS, DatasetWarning, open_dataset
from lmmr1.envs.datasets.asking import fit
from lmmr1.envs.datasets.dataset import shuffled
from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.outcomes import Fault, Opening
from lmmr1.envs.isolation.places import reset_all
from lmmr1.envs.isolation.pool import EnvironmentPool
from lmmr1.envs.registry import EnvironmentConfig


@pytest.fixture
def text(write_lines):
    """Forty rows of text with worked solutions."""
    rows = [{"problem": f"What is {n} + {n}?", "answer": 2 * n, "solution": f"{n}+{n}={2 * n}"} for n in range(40)]
    return str(write_lines(rows, "sums.jsonl"))


@pytest.fixture
def messages(write_lines, tmp_path, picture):
    """Twelve rows as LMM-R1 writes them, each with a picture of a colour and a size of its own."""
    rows = []
    for n in range(12):
        (tmp_path / f"{n}.png").write_bytes(picture((40 + n, 30), (20 * n, 0, 0)))
        content = [
            {"type": "image", "image": f"file://{tmp_path}/{n}.png"},
            {"type": "text", "text": f"How long is {n}?"},
        ]
        message = [{"role": "system", "content": "Solve the question."}, {"role": "user", "content": content}]
        rows.append({"question": "?", "answer": f"$\\boxed{{{n}}}$", "message": json.dumps(message)})
    return str(write_lines(rows, "geo.jsonl"))


# ------------------------------------------------------------------------------------------------------------ order


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 65, 1000])
def test_a_shuffled_order_is_an_order(count):
    orders = [[shuffled(place, count, key) for place in range(count)] for key in ("0/0", "0/1", "1/0")]
    for order in orders:
        assert sorted(order) == list(range(count))
    if count > 7:
        assert len({tuple(order) for order in [*orders, list(range(count))]}) == 4


def test_shuffled_orders_are_even():
    counts = np.zeros((5, 5))
    for key in range(2_000):
        for place in range(5):
            counts[place, shuffled(place, 5, str(key))] += 1
    assert np.abs(counts / 2_000 - 0.2).max() < 0.05


def test_consecutive_seeds_ask_every_row_once_in_each_pass(text):
    dataset = open_dataset(text)
    for series in (0, 1, 2**31 - 1):
        asked = [dataset.position(series * POSITIONS + seed) for seed in range(3 * len(dataset))]
        passes = [asked[start : start + len(dataset)] for start in range(0, len(asked), len(dataset))]
        for one in passes:
            assert sorted(one) == list(range(len(dataset)))
        assert passes[0] != passes[1] != passes[2]
    assert dataset.position(0) != dataset.position(POSITIONS) or dataset.position(1) != dataset.position(POSITIONS + 1)


def test_the_row_is_a_function_of_the_seed_alone(text):
    program = (
        "import json, lmmr1\n"
        f"env = lmmr1.make_chat('LMMR1/Reasoning-v0', dataset={text!r}, split='train')\n"
        "print(json.dumps([env.reset(seed=seed)[1]['source'] for seed in (0, 1, 2, 5, 2**32, 2**40 + 3)]))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in (1, 2)
    ]
    assert said[0] == said[1] and len(set(json.loads(said[0]))) > 3


def test_random_seeds_draw_rows_evenly(text):
    dataset = open_dataset(text)
    rng = np.random.default_rng(0)
    counts = collections.Counter(dataset.position(int(seed)) for seed in rng.integers(2**32, size=8_000))
    assert len(counts) == 40 and 130 < min(counts.values()) and max(counts.values()) < 280


# ------------------------------------------------------------------------------------------------------------ asking


def test_gymnasium_finds_nothing_to_say(text, messages):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make("LMMR1/Reasoning-v0", dataset=text, disable_env_checker=True).unwrapped)
        check_env(gym.make("LMMR1/Geometry-v0", dataset=messages, disable_env_checker=True).unwrapped)


def test_a_row_is_asked_and_graded(text):
    env: Any = gym.make("LMMR1/Reasoning-v0", dataset=text)
    question, info = env.reset(seed=3)
    number = int(question.split()[2])
    assert info == {"family": "sums", "row": number, "source": f"sums.jsonl, row {number + 1}"}
    assert env.unwrapped.solution().thought == f"{number}+{number}={2 * number}"
    *_, info = env.step(f"$\\boxed{{{2 * number}}}$")
    assert info["success"] and info["verdict"] == "equal" and info["gold"] == str(2 * number)
    assert env.reset(options={"row": 17})[0] == "What is 17 + 17?"
    *_, info = env.step("35")
    assert info["success"] is False and info["verdict"] == "different"


def test_resets_without_a_seed_go_on_from_the_generator(text):
    first, second = gym.make("LMMR1/Reasoning-v0", dataset=text), gym.make("LMMR1/Reasoning-v0", dataset=text)
    said = [[env.reset(seed=9)[0], *[env.reset()[0] for _ in range(20)]] for env in (first, second)]
    assert said[0] == said[1] and len(set(said[0])) > 8


def test_long_questions_fit_the_space(write_lines):
    rows = [{"question": "x" * n, "answer": "1"} for n in (300, 3_000)]
    path = str(write_lines(rows))
    env = gym.make("LMMR1/Reasoning-v0", dataset={"path": path, "max_question_length": 3_000})
    assert repr(env.observation_space) == "Utterance(3000)"
    for row in range(2):
        assert env.reset(options={"row": row})[0] in env.observation_space
    with pytest.warns(DatasetWarning, match="long question"):
        assert len(open_dataset({"path": path, "max_question_length": 2_999})) == 1


def test_options_are_answered_by_letter_or_by_text(write_lines):
    path = str(
        write_lines([{"question": "Which is it?", "answer": "equal to", "choices": ["larger than", "equal to"]}])
    )
    env: Any = gym.make("LMMR1/Reasoning-v0", dataset=path)
    for answer, right in {
        "B": True,
        "(b)": True,
        "equal to": True,
        "B. equal to": True,
        "A": False,
        "larger than": False,
    }.items():
        question, _ = env.reset(seed=0)
        assert question == "Which is it?\n(A) larger than\n(B) equal to"
        assert env.step(answer)[4]["success"] is right, answer


@pytest.mark.parametrize(
    ("kwargs", "part"),
    [
        ({"families": ["product"]}, "families has no meaning with a dataset"),
        ({"level": 3}, "level has no meaning with a dataset"),
        ({"split": "holdout"}, "split is 'holdout'"),
        ({"dataset_split": "dev"}, "has no split 'dev'"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(kwargs, part, text):
    with pytest.raises(UserError) as caught:
        lmmr1.make_chat("LMMR1/Reasoning-v0", dataset=text, **kwargs)
    assert part in str(caught.value)


def test_a_split_without_a_data_set_is_refused():
    with pytest.raises(UserError, match="there is no dataset"):
        lmmr1.make_chat("LMMR1/Reasoning-v0", dataset_split="dev")


@pytest.mark.parametrize("options", [{"row": 40}, {"row": -1}, {"row": "3"}, {"row": True}, {"problem": 1}])
def test_wrong_options_are_refused(options, text):
    with pytest.raises(UserError):
        gym.make("LMMR1/Reasoning-v0", dataset=text).reset(options=options)


def test_each_world_asks_the_rows_that_it_can_show(write_lines, tmp_path, picture):
    (tmp_path / "a.png").write_bytes(picture())
    rows = [{"question": "Seen?", "answer": "1", "image": "a.png"}, {"question": "Read?", "answer": "1", "image": None}]
    path = str(write_lines(rows))
    with pytest.warns(DatasetWarning, match="row 1: the row has pictures; LMMR1/Geometry-v0 asks such rows"):
        assert gym.make("LMMR1/Reasoning-v0", dataset=path).reset(seed=0)[0] == "Read?"
    with pytest.warns(DatasetWarning, match="row 2: the row has no picture; LMMR1/Reasoning-v0 asks such rows"):
        assert gym.make("LMMR1/Geometry-v0", dataset=path).reset(seed=0)[0]["question"] == "Seen?"


# ------------------------------------------------------------------------------------------------------------ messages


def test_messages_reach_the_policy_with_their_pictures_in_place(messages):
    chat = lmmr1.make_chat("LMMR1/Geometry-v0", dataset=messages)
    opening, info = chat.reset(seed=4)
    number = info["row"]
    system, user = opening
    assert system == {"role": "system", "content": [{"type": "text", "text": "Solve the question."}]}
    image: Any
    image, words = user["content"]
    assert words == {"type": "text", "text": f"How long is {number}?"}
    assert image["image"].shape == (30, 40 + number, 3) and image["image"][0, 0].tolist() == [20 * number, 0, 0]
    assert opening in chat.observation_space
    final, reward, terminated, _, info = chat.step(f"<think>t</think><answer>\\boxed{{{number}}}</answer>")
    assert terminated and info["success"] and reward == 1.5
    assert [part["type"] for part in final[0]["content"]] == ["image", "text"]


def test_the_system_message_is_chosen(messages):
    ours = lmmr1.make_chat("LMMR1/Geometry-v0", dataset={"path": messages, "system": "environment"})
    opening: Any = ours.reset(seed=4)[0]
    assert [message["role"] for message in opening] == ["system", "user"]
    assert "<answer>" in opening[0]["content"][0]["text"]
    brief = lmmr1.make_chat("LMMR1/Geometry-v0", dataset=messages, chat={"instructions": "brief"})
    assert [message["role"] for message in brief.reset(seed=4)[0]] == ["user"]


def test_rows_without_a_system_message_get_the_instructions(text):
    opening: Any = lmmr1.make_chat("LMMR1/Reasoning-v0", dataset=text).reset(seed=0)[0]
    assert [message["role"] for message in opening] == ["system", "user"]
    assert "<think>" in opening[0]["content"][0]["text"]


def test_placeholders_become_pictures(write_lines, tmp_path, picture):
    (tmp_path / "a.png").write_bytes(picture((20, 20), (255, 0, 0)))
    (tmp_path / "b.png").write_bytes(picture((30, 20), (0, 255, 0)))
    rows = [{"question": "Is <image> left of <image>?", "answer": "yes", "images": ["a.png", "b.png"]}]
    chat = lmmr1.make_chat("LMMR1/Geometry-v0", dataset=str(write_lines(rows)))
    parts: list[Any] = chat.reset(seed=0)[0][1]["content"]
    assert [part["type"] for part in parts] == ["text", "image", "text", "image", "text"]
    assert [parts[1]["image"].shape, parts[3]["image"].shape] == [(20, 20, 3), (20, 30, 3)]
    native: Any = chat.env
    assert native.reset(seed=0)[0]["question"] == "Is <image> left of <image>?"


def test_native_observations_are_fitted_into_the_square(messages):
    env = gym.make("LMMR1/Geometry-v0", dataset=messages, size=84)
    observation, info = env.reset(options={"row": 5})
    assert observation in env.observation_space and observation["image"].shape == (84, 84, 3)
    assert observation["image"][42, 42].tolist() == [100, 0, 0]  # the picture in the middle, 84 wide and 56 high
    assert observation["image"][5, 42].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("sizes", "size"), [([(10, 20)], 56), ([(500, 300), (3, 400), (40, 40)], 57), ([(1, 200)], 84)]
)
def test_fitting_keeps_every_picture_and_its_aspect(sizes, size):
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    pictures = [np.full((h, w, 3), colour, np.uint8) for (h, w), colour in zip(sizes, colours, strict=False)]
    square = fit(pictures, size)
    assert square.shape == (size, size, 3) and square.dtype == np.uint8
    for (height, width), colour in zip(sizes, colours, strict=False):
        rows, columns = np.nonzero((square == colour).all(axis=2))
        shown = np.ptp(rows) + 1, np.ptp(columns) + 1
        cell = size // (1 if len(sizes) == 1 else 2)
        assert max(shown) == cell
        assert abs(shown[0] - max(1, cell * height / max(height, width))) <= 1
        assert abs(shown[1] - max(1, cell * width / max(height, width))) <= 1


def test_a_picture_that_cannot_be_decoded_is_told_by_row(write_lines, tmp_path, picture):
    (tmp_path / "a.png").write_bytes(picture((300, 300))[:-40])
    path = str(write_lines([{"question": "?", "answer": "1", "image": "a.png"}]))
    env = gym.make("LMMR1/Geometry-v0", dataset=path)
    with pytest.raises(UserError, match="data.jsonl, row 1: the picture cannot be decoded"):
        env.reset(seed=0)


# ------------------------------------------------------------------------------------------------------------ elsewhere


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_vector_environments(mode, text, messages):
    for id, path in (("LMMR1/Reasoning-v0", text), ("LMMR1/Geometry-v0", messages)):
        envs: Any = gym.make_vec(id, num_envs=2, vectorization_mode=mode, dataset=path)
        try:
            observations, infos = envs.reset(seed=[3, 4])
            assert observations in envs.observation_space
            assert infos["row"].tolist() == [gym.make(id, dataset=path).reset(seed=seed)[1]["row"] for seed in (3, 4)]
        finally:
            envs.close()


def test_a_chat_is_copied_and_pickled_while_it_asks(messages):
    chat = lmmr1.make_chat("LMMR1/Geometry-v0", dataset=messages)
    chat.reset(seed=9)
    reply = chat.write_reply("t", chat.solution().answer)
    expected: list[Any] = list(copy.deepcopy(chat).step(reply))
    assert data_equivalence(list(pickle.loads(pickle.dumps(chat)).step(reply)), expected, exact=True)
    assert data_equivalence(list(chat.step(reply)), expected, exact=True)
    assert expected[4]["success"]


def test_worker_processes_ask_the_same(messages):
    config = EnvironmentConfig("LMMR1/Geometry-v0", kwargs={"dataset": messages})
    pool = EnvironmentPool(1, step_seconds=60.0, reset_seconds=60.0)
    try:
        [answer] = reset_all([(pool.add(config), 5 * POSITIONS + 1)])
    finally:
        pool.close()
    assert not isinstance(answer, Fault) and isinstance(answer, Opening)
    assert data_equivalence(answer.messages, config.make().reset(seed=5 * POSITIONS + 1)[0], exact=True)


def test_a_config_says_whether_seeds_are_a_series(text):
    kwargs = {"dataset": text}
    assert EnvironmentConfig("LMMR1/Reasoning-v0", kwargs=kwargs).in_epochs
    assert not EnvironmentConfig("LMMR1/Reasoning-v0", kwargs=kwargs, order="random").in_epochs
    assert not EnvironmentConfig("LMMR1/Reasoning-v0").in_epochs
    assert EnvironmentConfig("LMMR1/Reasoning-v0", order="epochs").in_epochs
    with pytest.raises(UserError, match="order must be"):
        EnvironmentConfig("LMMR1/Reasoning-v0", order="shuffled")  # pyright: ignore[reportArgumentType]
