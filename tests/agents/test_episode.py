"""Episodes on disk: everything comes back, to the bit; what is damaged is told in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lmmr1.agents.episode import EPISODES_FILE, Episode, TokenCredit, Turn, load_episodes, save_episodes
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import StopReason, image_part, message_images, system, user

# Other scripts, an emoji, the ends of lines that only Unicode knows, control characters, half a character.
TEXTS = ("Größe λ 中 \U0001f642", "a\u2028b\u2029c\x85d\x0be\x1cf", "\x00\x1b[31m\r\n\t", "\ud800 and \udcff", "")


def picture(seed: int, height: int = 5, width: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def make_episode(index: int) -> Episode:
    rng = np.random.default_rng(index)
    turns = [
        Turn(
            messages=[system(text), user(image_part(picture(number % 2)), text)] if number == 0 else [user(text)],
            text=f"<think>{text}</think>",
            thought=text,
            answer=f"{number}",
            actions=["Up", text],
            well_formed=bool(number % 2),
            reward=0.1 + 0.2 * number,
            reward_parts={"task": 1 / 3, "format": 0.5},
            prompt_ids=rng.integers(0, 150_000, 9).astype(np.int32),
            reply_ids=rng.integers(0, 150_000, number).astype(np.int32),
            logprobs=np.log(rng.random(number, dtype=np.float32)),
        )
        for number, text in enumerate(TEXTS)
    ]
    return Episode(
        env_id="LMMR1/Sokoban-v0",
        key=(2**40, 0, index),
        group=index,
        context="turn",
        turns=turns,
        final_messages=[user(image_part(picture(index)), "the end")],
        stop_reason=StopReason.TURN_LIMIT,
        success=[None, True, False][index % 3],
        failure=None if index else "ValueError: \udfff",
    )


def assert_equal(one: Episode, other: Episode) -> None:
    plain = [{**vars(episode), "turns": None, "final_messages": None} for episode in (one, other)]
    assert plain[0] == plain[1]
    assert len(one.turns) == len(other.turns)
    for a, b in zip(one.turns, other.turns, strict=True):
        for name in ("prompt_ids", "reply_ids", "logprobs"):
            x, y = vars(a)[name], vars(b)[name]
            assert x.dtype == y.dtype and x.tobytes() == y.tobytes(), name
        assert {**vars(a), "messages": 0, "prompt_ids": 0, "reply_ids": 0, "logprobs": 0} == {
            **vars(b), "messages": 0, "prompt_ids": 0, "reply_ids": 0, "logprobs": 0
        }  # fmt: skip
    shown = [[m for t in episode.turns for m in t.messages] + episode.final_messages for episode in (one, other)]
    for a, b in zip(*shown, strict=True):
        assert a["role"] == b["role"]
        assert [p.get("text") for p in a["content"]] == [p.get("text") for p in b["content"]]
        for x, y in zip(message_images(a), message_images(b), strict=True):
            assert x.dtype == y.dtype == np.uint8 and np.array_equal(x, y)


@pytest.mark.parametrize("valued", [True, False])
def test_what_a_trainer_made_of_tokens_is_kept_to_six_digits(tmp_path: Path, valued: bool) -> None:
    episode = make_episode(0)
    plain = [turn.credit for turn in episode.turns]
    rng = np.random.default_rng(1)
    for turn in episode.turns[1:]:
        numbers = rng.normal(size=(3, len(turn.reply_ids))).astype(np.float32)
        values = numbers[2] if valued else None
        turn.credit = TokenCredit(numbers[0], numbers[1], values, numbers[0] > 0)
    save_episodes(tmp_path, [episode])
    [loaded] = load_episodes(tmp_path)
    assert plain == [None] * len(TEXTS) and loaded.turns[0].credit is None
    for turn, other in zip(episode.turns[1:], loaded.turns[1:], strict=True):
        assert turn.credit is not None and other.credit is not None
        assert other.credit.learned.dtype == bool and np.array_equal(turn.credit.learned, other.credit.learned)
        assert (other.credit.values is not None) == valued
        for name in ("advantages", "returns", *(["values"] if valued else [])):
            one, two = vars(turn.credit)[name], vars(other.credit)[name]
            assert two.dtype == np.float32 and np.allclose(one, two, rtol=1e-5, atol=0)


def test_episodes_that_nobody_learned_from_say_nothing_of_it(tmp_path: Path) -> None:
    save_episodes(tmp_path, [make_episode(0)])
    assert "credit" not in (tmp_path / EPISODES_FILE).read_text(encoding="utf-8")


def test_round_trip(tmp_path: Path) -> None:
    episodes = [make_episode(index) for index in range(3)]
    save_episodes(tmp_path, episodes)
    loaded = load_episodes(tmp_path)
    assert len(loaded) == 3
    for one, other in zip(episodes, loaded, strict=True):
        assert_equal(one, other)
    # Each different picture once, and a file that any tool reads: UTF-8, one JSON object a line.
    assert len(list((tmp_path / "images").iterdir())) == 3
    lines = (tmp_path / "episodes.jsonl").read_bytes().decode("utf-8").split("\n")
    assert [json.loads(line)["group"] for line in lines[:-1]] == [0, 1, 2]
    assert "λ" in lines[0]


def test_no_episodes(tmp_path: Path) -> None:
    save_episodes(tmp_path, [])
    assert load_episodes(tmp_path) == []
    with pytest.raises(UserError, match=r"holds no episodes \(episodes\.jsonl is missing\)"):
        load_episodes(tmp_path / "nowhere")


def test_special_log_probabilities(tmp_path: Path) -> None:
    episode = make_episode(1)
    values = np.array(
        [-0.0, -1e-45, -103.97208, np.finfo(np.float32).min, np.nextafter(np.float32(-1), -2)], np.float32
    )
    episode.turns[0].logprobs = values
    save_episodes(tmp_path, [episode])
    assert load_episodes(tmp_path)[0].turns[0].logprobs.tobytes() == values.tobytes()


def rewrite(folder: Path, change) -> None:
    path = folder / "episodes.jsonl"
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    change(rows[1])
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "images/../../secret.png", "images", "", 3, None])
def test_an_image_outside_of_the_folder_is_refused(tmp_path: Path, name: object) -> None:
    folder = tmp_path / "episodes"
    save_episodes(folder, [make_episode(0), make_episode(1)])
    Image.fromarray(picture(9)).save(tmp_path / "secret.png")

    def point_elsewhere(row: dict) -> None:
        row["final_messages"][0]["content"][0]["image"] = name

    rewrite(folder, point_elsewhere)
    with pytest.raises(UserError, match=r"episodes\.jsonl, line 2: not readable"):
        load_episodes(folder)


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "episodes"
    save_episodes(folder, [make_episode(0)])
    Image.fromarray(picture(9)).save(tmp_path / "secret.png")
    image = folder / "images" / "000000.png"
    image.unlink()
    image.symlink_to(tmp_path / "secret.png")
    with pytest.raises(UserError, match="leaves the folder"):
        load_episodes(folder)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.999])
def test_a_truncated_file(tmp_path: Path, share: float) -> None:
    save_episodes(tmp_path, [make_episode(0), make_episode(1)])
    path = tmp_path / "episodes.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError, match=r"episodes\.jsonl, line [12]: not readable as an episode: "):
        load_episodes(tmp_path)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n", b"", b"no picture", None], ids=["cut", "empty", "text", "absent"])
def test_a_damaged_image(tmp_path: Path, content: bytes | None) -> None:
    save_episodes(tmp_path, [make_episode(0)])
    image = tmp_path / "images" / "000000.png"
    if content is None:
        image.unlink()
    else:
        image.write_bytes(content)
    with pytest.raises(UserError, match="line 1: not readable as an episode"):
        load_episodes(tmp_path)
    whole = make_episode(0)
    save_episodes(tmp_path, [whole])
    image.write_bytes(image.read_bytes()[:-30])
    with pytest.raises(UserError, match="line 1: not readable as an episode"):
        load_episodes(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("turns", None),
        ("turns", [3]),
        ("stop_reason", "tired"),
        ("key", 7),
        ("final_messages", [{"role": "user"}]),
        ("final_messages", ["hello"]),
        ("surprise", 1),
        ("turns", [{"messages": [], "text": "", "prompt_ids": [2**40], "reply_ids": [], "logprobs": []}]),
    ],
)
def test_a_changed_row(tmp_path: Path, key: str, value: object) -> None:
    save_episodes(tmp_path, [make_episode(0), make_episode(1)])
    rewrite(tmp_path, lambda row: row.__setitem__(key, value))
    with pytest.raises(UserError, match="line 2: not readable as an episode"):
        load_episodes(tmp_path)


@pytest.mark.parametrize("line", [b"[1]", b"3", b"\xff\xfe", b"null", b"{}"])
def test_a_line_that_is_no_episode(tmp_path: Path, line: bytes) -> None:
    save_episodes(tmp_path, [])
    (tmp_path / "episodes.jsonl").write_bytes(line + b"\n")
    with pytest.raises(UserError, match="line 1: not readable as an episode"):
        load_episodes(tmp_path)
