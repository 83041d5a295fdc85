"""Episodes are found as files come, grow, change and go; what is damaged is named; a query gets what it asks for."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from lmmr1.agents.episode import EPISODES_FILE, save_episodes
from lmmr1.envs.errors import UserError
from lmmr1.evaluation.viewing.index import EpisodeIndex, place_of, read_line
from lmmr1.evaluation.viewing.queries import Query, Searcher

from .folders import make_episode, make_evaluation, make_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


@pytest.fixture
def index(folder: Path) -> EpisodeIndex:
    index = EpisodeIndex(folder)
    index.refresh()
    return index


def search(index: EpisodeIndex, **words: str) -> dict:
    return Searcher(index).search(Query.read(words))


def numbers(found: dict) -> list[tuple[str, int]]:
    return [(row["folder"].removeprefix("episodes/"), row["line"]) for row in found["episodes"]]


def test_where_episodes_are_of():
    assert place_of("episodes/start") == ("evaluation", "start", 0, "")
    assert place_of("episodes/fre-training/00020") == ("training", "fre", 20, "")
    assert place_of("episodes/words/greedy/0003") == ("evaluation", "", 0, "greedy")
    assert place_of("evaluations/tiny-1a2b/episodes/words/sampled/0000") == ("evaluation", "tiny-1a2b", 0, "sampled")


def test_everything_in_a_run_is_found(index: EpisodeIndex, folder: Path):
    assert len(index.entries) == 10 and not index.building and index.damaged == ()
    entry = index.find("episodes/start", 2)
    assert entry is not None
    assert (entry.outcome, entry.reward, entry.turns, entry.stop) == ("not solved", -0.5, 2, "turn_limit")
    assert (entry.tokens, entry.excerpt) == (len("Perhaps eleven?No idea"), "No idea")
    row = read_line(folder, entry)
    assert row is not None and row["key"] == [3, 1, 1]
    [learned] = [e for e in index.entries if e.iteration == 2 and e.line == 3]
    assert (learned.kind, learned.stage, round(learned.reward, 6)) == ("training", "fre", 0.2)
    assert index.find("episodes/start", 3) is None and index.find("../run/episodes/start", 1) is None


def test_an_evaluation_and_those_within_a_run(tmp_path: Path, folder: Path):
    index = EpisodeIndex(make_evaluation(tmp_path / "evaluation"))
    index.refresh()
    assert [(e.mode, e.kind) for e in index.entries] == [("sampled", "evaluation")] * 4
    make_evaluation(folder / "evaluations/tiny-1a2b")
    inside = EpisodeIndex(folder)
    inside.refresh()
    assert {e.stage for e in inside.entries} == {"start", "fre", "tiny-1a2b"}


def test_new_files_and_new_lines_are_read_and_nothing_else(index: EpisodeIndex, folder: Path, monkeypatch):
    version, before = index.version, index.entries
    index.refresh()
    assert (index.version, index.entries) == (version, before)
    save_episodes(folder / "episodes/fre-training/00003", [make_episode(0, ["new"], [0.0])])
    reading: list[str] = []
    opened = open
    monkeypatch.setattr(
        "builtins.open", lambda path, *more, **named: reading.append(str(path)) or opened(path, *more, **named)
    )
    index.refresh()
    assert index.version == version + 1 and len(index.entries) == len(before) + 1
    assert [Path(path).parent.name for path in reading] == ["00003"]


def test_an_evaluation_made_again_replaces_the_former(index: EpisodeIndex, folder: Path):
    shutil.rmtree(folder / "episodes/start")
    save_episodes(folder / "episodes/start", [make_episode(7, ["quite another reply"], [1.0])])
    index.refresh()
    assert [e.excerpt for e in index.entries if e.stage == "start"] == ["quite another reply"]
    stale = index.find("episodes/start", 1)
    path = folder / "episodes/start" / EPISODES_FILE
    shorter = path.read_text().replace("quite another reply", "same line, less")
    path.write_text(shorter)  # the same inode
    index.refresh()
    assert [e.excerpt for e in index.entries if e.stage == "start"] == ["same line, less"]
    assert stale is not None and read_line(folder, stale) is None or stale != index.find("episodes/start", 1)
    shutil.rmtree(folder / "episodes/start")
    index.refresh()
    assert not [e for e in index.entries if e.stage == "start"] and not index.has("episodes/start")


def test_damage_is_named_and_the_rest_is_shown(index: EpisodeIndex, folder: Path):
    path = folder / "episodes/start" / EPISODES_FILE
    lines = path.read_text().splitlines(keepends=True)
    broken = [
        "{not json\n",
        '{"turns": 5, "env_id": "x"}\n',
        "[]\n",
        '{"env_id": "x", "turns": [{"text": "a", "reply_ids": 5}]}\n',
    ]
    path.write_text("".join([*broken, lines[0], lines[1][:50]]))
    index.refresh()
    assert [f"line {n}: not readable" in message for n, message in enumerate(index.damaged, 1)] == [True] * 4
    assert [e.line for e in index.entries if e.stage == "start"] == [5]
    # The half of a line at the end is waited for, and given up when nobody has written for long.
    os.utime(path, (1, 1))
    index.refresh()
    assert "line 6: not readable" in index.damaged[-1]
    told = search(index)
    assert told["damaged_count"] == 5 and told["total"] == 9


def test_an_empty_folder_has_no_episodes(tmp_path: Path):
    index = EpisodeIndex(tmp_path)
    index.refresh()
    found = search(index)
    assert (found["total"], found["all"], found["episodes"], found["building"]) == (0, 0, [], False)


def test_filters(index: EpisodeIndex):
    assert search(index)["total"] == 10
    assert numbers(search(index, outcome="failed")) == [("fre", 2)]
    assert numbers(search(index, kind="evaluation", outcome="ended")) == [("fre", 1)]
    assert search(index, stage="fre", kind="training", min_iteration="2")["total"] == 3
    assert numbers(search(index, stop="turn_limit")) == [("start", 2)]
    assert numbers(search(index, environment="sokoban")) == [("fre", 1), ("fre", 2)]
    assert numbers(search(index, min_reward="0.2", max_reward="0.3", kind="evaluation")) == [("fre", 1)]
    assert numbers(search(index, min_turns="2")) == [("start", 2)]
    assert numbers(search(index, text="GRÜSSE")) == numbers(search(index, text="🙂")) == [("fre", 1)]
    assert numbers(search(index, text="the world broke")) == [("fre", 2)]
    assert search(index, text="absent")["total"] == 0


def test_orders_and_parts(index: EpisodeIndex):
    rising = [row["reward"] for row in search(index, sort="reward")["episodes"]]
    assert rising == sorted(rising) and rising[0] == -0.5
    falling = search(index, sort="reward", descending="1")["episodes"]
    assert [row["reward"] for row in falling] == rising[::-1]
    part = search(index, sort="reward", offset="4", limit="3")
    assert ([row["reward"] for row in part["episodes"]], part["total"]) == (rising[4:7], 10)
    assert search(index, offset="999999999999999")["episodes"] == []
    assert len(search(index, limit="0")["episodes"]) == 0


def test_facets_count_all_values(index: EpisodeIndex):
    facets = search(index, outcome="failed")["facets"]
    assert facets["kind"] == [("evaluation", 4), ("training", 6)]
    assert dict(facets["outcome"]) == {"solved": 1, "not solved": 7, "ended": 1, "failed": 1}
    assert facets["reward"] == [-0.5, 1.0] and facets["iteration"] == [0, 2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"colour": "red"}, "cannot be asked for by 'colour'"),
        ({"sort": "text"}, "sort must be one of place"),
        ({"min_reward": "much"}, "min_reward must be a number, not 'much'"),
        ({"max_reward": "nan"}, "max_reward must be a number"),
        ({"offset": "-1"}, "offset must be a whole number from 0 on"),
        ({"limit": "1e9"}, "limit must be a whole number"),
        ({"offset": "9" * 400}, "offset must be a whole number"),
    ],
)
def test_wrong_questions_are_told(words: dict[str, str], message: str):
    with pytest.raises(UserError, match=message):
        Query.read(words)


def test_replies_that_look_like_lists_of_numbers_are_found_all_the_same(tmp_path: Path):
    said = 'it wrote "logprobs": [1, 2] and \\"values\\": [3]'
    save_episodes(tmp_path / "episodes/start", [make_episode(0, [said], [0.0], learned=True, facts={"values": [4.0]})])
    index = EpisodeIndex(tmp_path)
    index.refresh()
    assert [entry.excerpt for entry in index.entries] == [said]
    assert search(index, text='"logprobs": [1, 2]')["total"] == 1
    assert index.entries[0].tokens == len(said)


def test_kept_lines_survive_odd_text(tmp_path: Path):
    save_episodes(tmp_path / "episodes/start", [make_episode(0, ["half \ud83d a character"], [0.0])])
    index = EpisodeIndex(tmp_path)
    index.refresh()
    [entry] = index.entries
    row = read_line(tmp_path, entry)
    assert row is not None and "\ud83d" in row["turns"][0]["text"]
    json.dumps(row)
