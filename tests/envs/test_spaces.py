"""The spaces of texts and chats: what they hold, and that vector environments can carry them."""

from __future__ import annotations

import json
import multiprocessing
import pickle
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces.utils import is_space_dtype_shape_equiv
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from gymnasium.vector.utils import (
    batch_differing_spaces,
    batch_space,
    concatenate,
    create_empty_array,
    create_shared_memory,
    iterate,
    read_from_shared_memory,
    write_to_shared_memory,
)

from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import assistant, image_part, message_images, message_text, system, user
from lmmr1.envs.spaces import Chat, Utterance

PICTURE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
TEXTS = ["", "plain", "é λ 中 🙂", "\x00\x1f\u202e", "\ud800 alone", "x" * 100]


def test_utterance_holds_any_text_up_to_its_length() -> None:
    space = Utterance(100)
    assert all(text in space for text in TEXTS)
    assert "x" * 101 not in space
    assert 5 not in space and None not in space and b"x" not in space


@pytest.mark.parametrize("length", [0, -1, 2.5, True, "9"])
def test_utterance_refuses_a_bad_length(length: Any) -> None:
    with pytest.raises(UserError, match="max_length"):
        Utterance(length)


@pytest.mark.parametrize("space", [Utterance(5), Utterance(1000), Chat()], ids=str)
def test_samples_are_seeded_varied_and_contained(space: Any) -> None:
    space.seed(7)
    first = [space.sample() for _ in range(30)]
    space.seed(7)
    assert data_equivalence(first, [space.sample() for _ in range(30)], exact=True)
    assert all(sample in space for sample in first)
    assert len({repr(sample) for sample in first}) > 5
    space.seed(8)
    assert not data_equivalence(first, [space.sample() for _ in range(30)])
    with pytest.raises(UserError, match="mask"):
        space.sample(mask=(1, None))


def test_equality_is_by_value() -> None:
    assert Utterance(5) == Utterance(5) != Utterance(6)
    assert Chat() == Chat() != Chat(2048)
    assert Utterance(5) != gym.spaces.Text(5)


@pytest.mark.parametrize("space", [Utterance(64), Chat()], ids=str)
def test_pickle_keeps_the_space_and_its_generator(space: Any) -> None:
    space.seed(3)
    copy = pickle.loads(pickle.dumps(space))
    assert copy == space
    assert data_equivalence(copy.sample(), space.sample(), exact=True)


@pytest.mark.parametrize("space", [Utterance(64), Chat()], ids=str)
def test_json_loses_nothing(space: Any) -> None:
    space.seed(0)
    samples = [space.sample() for _ in range(20)]
    back = space.from_jsonable(json.loads(json.dumps(space.to_jsonable(samples))))
    assert data_equivalence(samples, back, exact=True)


def test_chat_holds_well_made_messages_only() -> None:
    chat = [system("rules"), user(image_part(PICTURE), "what now?"), assistant("left")]
    assert chat in Chat() and [] in Chat()
    bad: list[Any] = [
        "text",
        (user("a tuple of messages"),),
        [{"role": "user"}],
        [{"role": "robot", "content": []}],
        [{"role": "user", "content": "a string"}],
        [{"role": "user", "content": [{"type": "text", "text": 5}]}],
        [{"role": "user", "content": [{"type": "text", "text": "x", "image": PICTURE}]}],
        [{"role": "user", "content": [{"type": "image", "image": PICTURE.astype(float)}]}],
        [{"role": "user", "content": [{"type": "image", "image": PICTURE[..., :1]}]}],
        [{"role": "user", "content": [{"type": "image", "image": PICTURE[:0]}]}],
    ]
    for item in bad:
        assert item not in Chat(), item


def test_messages_copy_pictures_and_check_them() -> None:
    picture = PICTURE.copy()
    message = user("a", image_part(picture), "b")
    picture[:] = 0
    assert message_text(message) == "ab"
    np.testing.assert_array_equal(message_images(message)[0], PICTURE)
    with pytest.raises(UserError, match=r"\(2, 3\)"):
        image_part(PICTURE[..., 0])


@pytest.mark.parametrize("space", [Utterance(200), Chat(4096)], ids=str)
def test_shared_memory_is_a_live_view_and_its_copy_is_not(space: Any) -> None:
    space.seed(1)
    memory = create_shared_memory(space, n=2, ctx=multiprocessing)
    view: Any = read_from_shared_memory(space, memory, n=2)
    empty: Any = "" if isinstance(space, Utterance) else []
    assert list(view) == [empty, empty]
    first = space.sample()
    write_to_shared_memory(space, 1, first, memory)
    snapshot = deepcopy(view)
    assert isinstance(snapshot, tuple) and snapshot in batch_space(space, 2)
    assert data_equivalence(snapshot, (empty, first), exact=True)
    second = space.sample()
    write_to_shared_memory(space, 1, second, memory)
    assert data_equivalence(view[1], second, exact=True)
    assert data_equivalence(snapshot, (empty, first), exact=True)


@pytest.mark.parametrize("text", TEXTS)
def test_shared_memory_keeps_every_text(text: str) -> None:
    space = Utterance(100)
    memory = create_shared_memory(space, n=3, ctx=multiprocessing)
    write_to_shared_memory(space, 2, "🙂" * 100, memory)  # the longest there is, in bytes
    write_to_shared_memory(space, 2, text, memory)
    assert list(read_from_shared_memory(space, memory, n=3)) == ["", "", text]


def test_shared_memory_that_is_too_small_says_what_to_do() -> None:
    space = Chat(1024)
    memory = create_shared_memory(space, n=1, ctx=multiprocessing)
    with pytest.raises(UserError, match="shared_memory=False"):
        write_to_shared_memory(space, 0, [user(image_part(np.zeros((40, 40, 3), np.uint8)))], memory)


@pytest.mark.parametrize("space", [Utterance(20), Chat()], ids=str)
def test_batches(space: Any) -> None:
    space.seed(4)
    batch = batch_space(space, 3)
    samples = batch.sample()
    assert len(samples) == 3 and len({repr(sample) for sample in samples}) > 1
    assert data_equivalence(tuple(iterate(batch, samples)), samples, exact=True)
    assert data_equivalence(concatenate(space, samples, create_empty_array(space, 3)), samples, exact=True)
    assert create_empty_array(space, 3) in batch
    assert batch_differing_spaces([space, space]) == gym.spaces.Tuple((space, space))
    assert is_space_dtype_shape_equiv(space, type(space)(2048))
    assert not is_space_dtype_shape_equiv(space, gym.spaces.Discrete(2))


class Echo(gym.Env[dict[str, Any], str]):
    """Shows the text that it was last told, beside a picture of its length."""

    def __init__(self) -> None:
        picture = gym.spaces.Box(0, 255, (2, 2, 3), np.uint8)
        self.observation_space = gym.spaces.Dict(picture=picture, text=Utterance(50))
        self.action_space = Utterance(50)

    def _observe(self, text: str) -> dict[str, Any]:
        return {"picture": np.full((2, 2, 3), len(text), np.uint8), "text": text}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return self._observe(f"start {seed}"), {}

    def step(self, action: str) -> Any:
        return self._observe(action), float(len(action)), action == "end", False, {"said": action}


@pytest.mark.parametrize("make", [SyncVectorEnv, AsyncVectorEnv], ids=["sync", "async"])
@pytest.mark.parametrize("copy", [True, False])
def test_vector_environments_carry_texts(make: Any, copy: bool) -> None:
    envs = make([Echo, Echo], copy=copy)
    try:
        observations, _ = envs.reset(seed=5)
        assert list(observations["text"]) == ["start 5", "start 6"]
        assert not copy or observations in envs.observation_space
        observations, rewards, terminated, _, infos = envs.step(("🙂 left", "end"))
        assert list(observations["text"]) == ["🙂 left", "end"]
        np.testing.assert_array_equal(observations["picture"][:, 0, 0, 0], [6, 3])
        np.testing.assert_array_equal(rewards, [6, 3])
        np.testing.assert_array_equal(terminated, [False, True])
        assert list(infos["said"]) == ["🙂 left", "end"]
        observations, *_ = envs.step(envs.action_space.sample())
        assert list(observations["text"])[1] == "start None"
    finally:
        envs.close()
