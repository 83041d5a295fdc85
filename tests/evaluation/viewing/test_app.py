"""Over HTTP: what is asked for is answered, nothing else is, and text of models stays text."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from lmmr1.agents.episode import Episode
from lmmr1.envs.errors import UserError
from lmmr1.evaluation.viewing.app import Exhibit, Gallery, make_app
from lmmr1.evaluation.viewing.plays import LARGEST_SEED, MOST_WAITING, Order
from lmmr1.evaluation.viewing.subject import open_subjects

from .folders import make_episode, make_evaluation, make_run

SICK = '<script>window.ran = 1</script><img src=x onerror="window.ran = 1"> \ud83d'
HERE = {"host": "127.0.0.1:8765"}


class Stage:
    """A theatre whose checkpoints say their own name; "slow" takes its time, "broken" breaks."""

    def choices(self) -> dict[str, Any]:
        return {"checkpoints": [{"word": "0:start", "label": "start", "run": 0}], "environments": [], "problems": []}

    def play(self, checkpoint: str, order: Order) -> Episode:
        if checkpoint == "0:slow":
            time.sleep(0.4)
        if checkpoint == "0:broken":
            raise ZeroDivisionError("broken on purpose")
        if checkpoint == "0:absent":
            raise UserError("there is no checkpoint 'absent'")
        return make_episode(order.problem, [checkpoint], [float(order.greedy)], picture=order.seed)


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    folders = [make_run(tmp_path / "one", sick=SICK), make_evaluation(tmp_path / "two")]
    gallery = Gallery([Exhibit.open(subject) for subject in open_subjects(folders)], Stage())
    for exhibit in gallery.exhibits:
        exhibit.index.refresh()
    yield gallery
    gallery.close()


@pytest.fixture
def client(gallery: Gallery) -> Iterator[TestClient]:
    with TestClient(make_app(gallery), headers=HERE, raise_server_exceptions=False) as client:
        yield client


def error(client: TestClient, path: str, status: int, **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == status, answer.text
    assert "\n" not in answer.json()["error"]
    return answer.json()["error"]


def follow(client: TestClient, order: dict[str, Any]) -> dict[str, Any]:
    number = client.post("/api/plays", json=order).json()["number"]
    for _ in range(200):
        play = client.get(f"/api/play?number={number}").json()
        if play["state"] in ("done", "failed"):
            return play
        time.sleep(0.02)
    raise AssertionError("it was never played")


def order(left: str = "0:start", right: str = "0:fre", **others: Any) -> dict[str, Any]:
    return {"left": left, "right": right, "environment": "0:task:text", "seed": 3, "problem": 1, **others}


# -------------------------------------------------------------------------------------------------------------- pages


def test_the_page_loads_from_this_server_alone(client: TestClient):
    page = client.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert "http" not in policy and page.headers["x-content-type-options"] == "nosniff"
    for name in ("style.css", "pages.css", "app.js", "icon.svg"):
        assert client.get(f"/static/{name}").status_code == 200
        assert f"/static/{name}" in page.text or name == "style.css"


def test_no_file_of_the_page_names_another_host_or_writes_markup(client: TestClient):
    from lmmr1.evaluation.viewing.app import _static_files

    files = _static_files()
    assert len(files) >= 10
    for name, (content, _) in files.items():
        text = content.decode().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text, name
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert way not in text, (name, way)


def test_what_there_is(client: TestClient):
    one, two = client.get("/api/overview").json()["runs"]
    assert (one["label"], one["kind"], one["finished"]) == ("one", "run", False) and "made_up" in one["recipe"]
    assert (two["label"], two["kind"], two["finished"]) == ("two", "evaluation", True)
    assert two["tasks"]["words"]["sampled"]["success"] == 1.0


def test_metrics_and_episodes_of_each_run(client: TestClient):
    told = client.get("/api/metrics?keys=reward,kl&after=2").json()
    assert told["start"] == 2 and len(told["columns"]["reward"]) == 2 and told["rows"] == 4
    assert client.get("/api/metrics?run=1&keys=reward").json()["rows"] == 0
    assert client.get("/api/episodes").json()["total"] == 10
    found = client.get("/api/episodes?run=1&limit=1").json()
    assert (found["total"], len(found["episodes"])) == (4, 1)


# ----------------------------------------------------------------------------------------------------------- episodes


def test_an_episode_token_by_token(client: TestClient):
    told = client.get("/api/episode?folder=episodes/fre-training/00002&line=3").json()
    assert (told["kind"], told["stage"], told["iteration"], told["outcome"]) == ("training", "fre", 2, "not solved")
    [turn] = told["turns"]
    tokens = turn["tokens"]
    assert "".join(tokens["texts"]) == turn["text"] == "iteration 2 says 2"
    columns = ("ids", "logprobs", "advantages", "returns", "values", "learned")
    assert {len(tokens[key]) for key in columns} == {len(turn["text"])}
    assert tokens["learned"][:4] == [False, True, True, False] and set(tokens["values"]) == {0.5}
    assert tokens["returns"][0] == pytest.approx(tokens["advantages"][0] + 1, abs=1e-4)
    assert (turn["version"], turn["prompt_tokens"], turn["parts"]) == (2, 9, {"task": 0.2})
    assert [message["role"] for message in turn["messages"]] == ["system", "user"]


def test_an_episode_that_nobody_learned_from(client: TestClient):
    told = client.get("/api/episode?folder=episodes/start&line=2").json()
    assert told["stop"] == "turn_limit" and len(told["turns"]) == 2 and told["turns"][0]["tokens"]["advantages"] is None
    assert told["turns"][0]["tokens"]["logprobs"][0] < 0


def test_text_of_a_model_comes_as_it_is(client: TestClient):
    answer = client.get("/api/episode?folder=episodes/fre&line=1")
    assert answer.headers["content-type"] == "application/json" and answer.content.isascii()
    assert answer.json()["turns"][0]["text"] == SICK


def test_pictures(client: TestClient):
    told = client.get("/api/episode?folder=episodes/fre&line=1").json()
    [address] = [
        part["image"] for message in told["turns"][0]["messages"] for part in message["parts"] if "image" in part
    ]
    picture = client.get(address)
    assert picture.headers["content-type"] == "image/png" and picture.content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "path",
    [
        "/image?folder=episodes/fre&name=../../recipe.yaml",
        "/image?folder=episodes/fre&name=images/../episodes.jsonl",
        "/image?folder=..&name=images/000000.png",
        "/image?folder=episodes/fre/../fre&name=images/000000.png",
        "/image?folder=episodes/fre&name=images/999999.png",
        "/image?play=../..&name=images/000000.png",
        "/image",
        "/api/episode?folder=../one/episodes/fre&line=1",
        "/api/episode?folder=/etc&line=1",
        "/api/episode?folder=episodes/fre&line=99",
        "/api/episode?folder=episodes/fre&line=0",
        "/api/episodes?run=7",
        "/api/metrics?run=-1",
        "/static/../app.py",
        "/static/%2e%2e%2fapp.py",
        "/static/app.py",
        "/api/nothing",
        "/recipe.yaml",
        "/api/play?number=12",
    ],
)
def test_what_is_not_there_is_not_found(client: TestClient, path: str):
    error(client, path, 404)


def test_a_link_out_of_the_folder_is_not_followed(client: TestClient, gallery: Gallery):
    folder = gallery.exhibits[0].subject.folder / "episodes/fre/images"
    (folder / "000007.png").symlink_to("/etc/hostname")
    error(client, "/image?folder=episodes/fre&name=images/000007.png", 404)


@pytest.mark.parametrize(
    "path",
    [
        "/api/episodes?offset=-5",
        "/api/episodes?limit=lots",
        "/api/episodes?offset=99999999999999999999999999",
        "/api/episodes?sort=__class__",
        "/api/episodes?colour=red",
        "/api/metrics?after=x",
        "/api/episode?folder=episodes/fre&line=x",
    ],
)
def test_wrong_questions_are_one_line(client: TestClient, path: str):
    assert error(client, path, 400)


def test_a_huge_page_is_empty(client: TestClient):
    answer = client.get("/api/episodes?offset=99999999999999").json()
    assert answer["episodes"] == [] and answer["total"] == 10


def test_damaged_episodes_are_told(client: TestClient, gallery: Gallery):
    exhibit = gallery.exhibits[0]
    path = exhibit.subject.folder / "episodes/start/episodes.jsonl"
    row = json.loads(path.read_text().splitlines()[0])
    row["turns"][0]["reward"] = float("nan")
    row["turns"][0]["logprobs"][0] = float("inf")
    odd = {**row, "turns": [{**row["turns"][0], "messages": [{"role": "user", "content": [{"type": "image"}]}]}]}
    away = {
        **row,
        "turns": [{**row["turns"][0], "messages": [{"role": "user", "content": [{"type": "image", "image": "../x"}]}]}],
    }
    path.write_text("".join(json.dumps(one) + "\n" for one in (row, odd, away)))
    exhibit.index.refresh()
    told = client.get("/api/episode?folder=episodes/start&line=1").json()
    assert (told["reward"], told["turns"][0]["tokens"]["logprobs"][0]) == (0.0, None)
    assert "damaged" in error(client, "/api/episode?folder=episodes/start&line=2", 422)
    shown = client.get("/api/episode?folder=episodes/start&line=3").json()["turns"][0]["messages"]
    assert shown[0]["parts"] == [{"text": "[a picture outside of the folder: ../x]"}]
    path.write_text("")
    assert "was changed" in error(client, "/api/episode?folder=episodes/start&line=1", 409)


# -------------------------------------------------------------------------------------------------------------- guests


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "192.168.1.5", ""])
def test_foreign_names_of_this_machine_are_refused(client: TestClient, host: str):
    for path in ("/", "/static/app.js", "/api/episodes", "/image?folder=episodes/fre&name=images/000000.png"):
        assert "is not this server" in error(client, path, 403, host=host)


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:1", "[::1]:8765", "LOCALHOST"])
def test_its_own_names_are_answered(client: TestClient, host: str):
    assert client.get("/api/overview", headers={"host": host}).status_code == 200


def test_listening_elsewhere_it_answers_to_addresses(gallery: Gallery):
    with TestClient(make_app(gallery, "0.0.0.0")) as client:
        for host, status in (("192.168.1.5:80", 200), ("[fe80::1]:80", 200), ("evil.example", 403)):
            assert client.get("/api/overview", headers={"host": host}).status_code == status


def test_other_pages_may_not_ask(client: TestClient):
    assert "may not ask" in error(client, "/api/overview", 403, origin="http://evil.example")
    assert client.get("/api/overview", headers={"origin": "http://127.0.0.1:8765"}).status_code == 200
    sent = client.post("/api/plays", content=json.dumps(order()), headers={"content-type": "text/plain"})
    assert sent.status_code == 415


# --------------------------------------------------------------------------------------------------------------- plays


def test_two_checkpoints_on_one_seed(client: TestClient):
    play = follow(client, order(greedy=False))
    assert play["state"] == "done"
    for side, name in (("left", "0:start"), ("right", "0:fre")):
        [turn] = play[side]["turns"]
        assert turn["text"] == name and play[side]["key"][2] == 1 and play[side]["reward"] == 0.0
        assert "".join(turn["tokens"]["texts"]) == name
    [address] = [p["image"] for m in play["left"]["turns"][0]["messages"] for p in m["parts"] if "image" in p]
    assert client.get(address).content.startswith(b"\x89PNG")


def test_what_cannot_be_played_is_told_and_the_next_is_played(client: TestClient):
    assert follow(client, order("0:absent"))["message"] == "there is no checkpoint 'absent'"
    assert "ZeroDivisionError: broken on purpose" in follow(client, order("0:broken"))["message"]
    assert follow(client, order())["state"] == "done"


def test_comparisons_wait_for_each_other_and_not_without_end(client: TestClient):
    answers = [client.post("/api/plays", json=order("0:slow")) for _ in range(MOST_WAITING + 3)]
    assert [answer.status_code for answer in answers].count(200) in (MOST_WAITING, MOST_WAITING + 1)
    assert "are waiting already" in answers[-1].json()["error"]


@pytest.mark.parametrize(
    "change",
    [
        {"left": ""},
        {"right": 3},
        {"environment": None},
        {"seed": -1},
        {"seed": 1.5},
        {"problem": True},
        {"sampling": LARGEST_SEED + 1},
        {"greedy": "yes"},
    ],
)
def test_wrong_orders(client: TestClient, change: dict[str, Any]):
    answer = client.post("/api/plays", json={**order(), **change})
    assert answer.status_code == 400 and next(iter(change)) in answer.json()["error"]


def test_wrong_bodies(client: TestClient):
    headers = {"content-type": "application/json"}
    assert client.post("/api/plays", content=b"[1", headers=headers).status_code == 400
    assert client.post("/api/plays", content=b"[1]", headers=headers).status_code == 400
    assert client.post("/api/plays", content=b" " * 20_000, headers=headers).status_code == 413
    assert client.get("/api/plays").status_code == 405
