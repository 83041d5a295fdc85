"""The page in a real browser: it draws, it goes on while a file grows, and text of a model runs nowhere."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmmr1.agents.episode import save_episodes

from .browser import CHROMIUM, Browser
from .folders import make_episode, make_row, make_run

MUST_HAVE = os.environ.get("LMMR1_REQUIRE_STACK") == "1"
pytestmark = pytest.mark.skipif(CHROMIUM is None and not MUST_HAVE, reason="Chromium is not installed")

SICK = (
    "<script>window.ran = 'script'</script><img src=x onerror=\"window.ran = 'image'\">"
    "<svg onload=\"window.ran = 'svg'\"></svg><a href=\"javascript:window.ran = 'link'\">here</a>"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run whose every name and text would like to be markup."""
    folder = make_run(tmp_path / "<b>run", sick=SICK)
    sick = make_episode(5, [SICK], [0.0], env_id=SICK, facts={SICK: SICK}, failure=SICK, learned=True)
    sick.turns[0].reward_parts = {SICK: 1.0}
    sick.turns[0].actions = [SICK]
    save_episodes(folder / "episodes" / "a<img src=x onerror=window.ran=1>", [sick])
    append(folder, {**make_row(SICK[:60], 1, 5), f"accuracy/{SICK}": 1.0, SICK: 2.0})
    with open(folder / "evaluations.jsonl", "a") as file:
        file.write(json.dumps({"stage": SICK, "tasks": {SICK: {"greedy": {"success": 0.5}}}}) + "\n")
    (folder / "recipe.yaml").write_text(f"name: '{SICK}'\n")
    (folder / "summary.json").write_text(json.dumps({"name": SICK, "versions": {SICK: SICK}}))
    return folder


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "lmmr1", "view", str(folder), "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert " at http" in line, process.stderr.read()
        yield line.rpartition(" at ")[2].split()[0]
        process.terminate()


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    with served(folder) as url:
        yield url


def append(folder: Path, row: dict) -> None:
    with open(folder / "metrics.jsonl", "a") as file:
        file.write(json.dumps(row) + "\n")


def addresses(browser: Browser) -> list[str]:
    return browser.run("performance.getEntriesByType('resource').map((one) => one.name)")


def test_nothing_that_a_model_or_a_world_wrote_runs(browser: Browser, url: str):
    browser.forget()
    seen = {
        "#/curves": "document.querySelectorAll('.chart .line').length > 5",
        "#/episodes": "document.querySelectorAll('a.row').length > 5",
        "#/episodes?text=onerror": "document.querySelectorAll('a.row').length === 2",
        "#/episode?folder=episodes/fre&line=1": "document.querySelectorAll('.reply span').length > 50",
        "#/settings": "document.querySelector('main')?.textContent.includes('onerror')",
        "#/compare": "!!document.querySelector('main .empty')",
    }
    for page, is_there in seen.items():
        browser.open(f"{url}/{page}")
        browser.wait(is_there)
        assert browser.run("window.ran === undefined"), page
        assert (
            browser.run(
                "document.querySelectorAll('main script, main a[href^=javascript], [onerror], [onload]').length"
            )
            == 0
        )
    browser.open(f"{url}/#/episodes")
    browser.wait("!!document.querySelector('a.row[href*=onerror]')")
    browser.run("document.querySelector('a.row[href*=onerror]').click()")
    shown = browser.wait(
        "document.querySelectorAll('.reply span').length > 50 && document.querySelector('main')?.textContent"
    )
    assert shown.count(SICK) >= 4
    browser.hover(".reply span:nth-child(3)")
    browser.wait("!!document.querySelector('.tip:not([hidden])')")
    assert browser.run("window.ran === undefined")
    assert browser.complaints == []
    assert all(address.startswith(url) for address in addresses(browser))


def test_the_policy_of_the_page_refuses_what_would_be_injected(browser: Browser, url: str):
    browser.forget()
    # That text is escaped is one wall; this is the other.
    browser.open(f"{url}/#/curves")
    browser.wait("!!document.querySelector('.chart')")
    browser.run(
        "document.body.insertAdjacentHTML('beforeend', `<img src='/static/none.png' onerror='window.ran = 1'>`)"
    )
    browser.run(
        "{ const s = document.createElement('script'); s.textContent = 'window.ran = 2'; document.body.append(s); }"
    )
    assert browser.run("new Promise((done) => setTimeout(() => done(window.ran === undefined), 500))")
    assert any("Content Security Policy" in complaint for complaint in browser.complaints)


def test_curves_go_on_while_the_file_grows(browser: Browser, folder: Path, url: str):
    (folder / "summary.json").unlink()
    browser.forget()
    browser.open(f"{url}/#/curves")
    browser.wait("document.querySelector('.status')?.textContent.startsWith('5 rows')")
    drawn = "document.querySelector('figure[class=chart] path.line')?.getAttribute('d')"
    for step in range(6, 9):
        append(folder, make_row("mgt", step - 5, step))
    browser.wait("document.querySelector('.status')?.textContent.startsWith('8 rows')")
    assert browser.run("[...document.querySelectorAll('.plot text')].some((one) => one.textContent.startsWith('mgt'))")
    assert browser.run(drawn)
    # A line half written draws nothing and breaks nothing; its end brings the row.
    line = json.dumps(make_row("mgt", 4, 9)) + "\n"
    with open(folder / "metrics.jsonl", "a") as file:
        file.write(line[:20])
        file.flush()
        browser.run("new Promise((done) => setTimeout(done, 2500))")
        assert browser.run("document.querySelector('.status')?.textContent").startswith("8 rows")
        file.write(line[20:])
        file.flush()
        browser.wait("document.querySelector('.status')?.textContent.startsWith('9 rows')")
    assert browser.complaints == []


def test_episodes_come_while_one_looks_and_open(browser: Browser, folder: Path, url: str):
    browser.forget()
    browser.open(f"{url}/#/episodes?kind=training&sort=reward&descending=1")
    browser.wait("document.querySelector('.count')?.textContent.startsWith('6 of 11')")
    save_episodes(folder / "episodes/fre-training/00003", [make_episode(0, ["the newest"], [9.0], learned=True)])
    browser.wait("document.querySelector('a.row')?.textContent.includes('the newest')")
    browser.run("document.querySelector('a.row').click()")
    browser.wait("document.querySelector('.reply')?.textContent === 'the newest'")
    browser.run("document.querySelector('.segments button[value=learned]').click()")
    marks = browser.run("[...document.querySelectorAll('.reply span')].slice(0, 4).map((one) => one.className)")
    assert marks == ["skipped", "learned", "learned", "skipped"]
    browser.run("document.querySelector('.segments button[value=advantage]').click()")
    marks = browser.run(
        "[...new Set([...document.querySelectorAll('.reply span')].map((one) => one.className.split(' ')[0]))]"
    )
    assert set(marks) == {"plus", "minus"}
    browser.run("[...document.querySelectorAll('button')].find((one) => one.textContent === 'Next').click()")
    browser.wait("document.querySelector('.reply')?.textContent.endsWith('says 2')")
    assert browser.complaints == []


def test_two_checkpoints_side_by_side(browser: Browser, tmp_path: Path):
    browser.forget()
    with served(make_run(tmp_path / "plain")) as url:
        browser.open(f"{url}/#/compare?task=text&seed=3&problem=2")  # as the page of a kept episode has it
        browser.wait("document.querySelectorAll('.sides .conversation').length === 2", 120)
        told = browser.run("document.querySelector('.result').textContent")
        assert "Both said the same, token by token." in told and told.count("start (tiny)") == 2
        said = browser.run("[...document.querySelectorAll('.reply')].map((one) => one.textContent)")
        assert said[0] == said[1] and "<answer>" in said[0]
        values = browser.run("[...document.querySelectorAll('input[type=number]')].map((one) => one.value)")
        assert values[:2] == ["3", "2"]
    assert browser.complaints == []


def test_a_server_that_was_stopped_is_told(browser: Browser, folder: Path):
    with served(folder) as url:
        browser.open(f"{url}/#/curves")
        browser.wait("!!document.querySelector('.chart')")
    browser.run("[...document.querySelectorAll('nav a')][1].click()")
    browser.wait("document.querySelector('.trouble:not([hidden])')?.textContent.includes('stopped?')")
