"""Levels as text: every format, there and back, and what is said about bad ones."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lmmr1.envs.errors import UserError
from lmmr1.envs.sokoban import SokobanEnv, generate, parse_levels, read_levels, write_levels
from lmmr1.envs.sokoban.levels.text import FORMATS, MAX_SIDE
from lmmr1.envs.sokoban.vector.env import SokobanVectorEnv

LEVEL = "#######\n#@ $ .#\n#######"
BOXOBAN = """; 0
##########
##########
##########
######.###
##.#   ###
## # $ ###
##    $###
##.@$.$ ##
##########
##########

; 1
##########
####   ###
#### $  ##
##.$.   ##
## @ $. ##
##.  $ ###
##########
##########
##########
##########
"""
SOK = """:: A collection of two ::
Author: nobody in particular
Date of Last Change: 2020-01-01

Level one

   ####
   #.-#
####-##
#+$-_#
#-$--#
######

Solution
rrULdd

Title: packed
5#|#@$.#|5#

7#
#-@$2-.#
#.$*-3#
8#
"""


@pytest.mark.parametrize("format", FORMATS)
def test_writing_and_reading_give_the_levels_back(format, tmp_path) -> None:
    rng = np.random.default_rng(0)
    levels = [generate(rng, (5 + i % 4, 6 + i % 3), 1 + i % 3, 2).random_state(rng) for i in range(40)]
    text = write_levels(levels, format)
    assert parse_levels(text) == levels
    assert parse_levels(text.replace("\n", "\r\n")) == levels
    path = tmp_path / "levels.txt"
    path.write_text(text, encoding="utf-8-sig")
    assert read_levels(path) == levels
    assert parse_levels(write_levels(parse_levels(text), format)) == levels
    with pytest.raises(UserError, match="format is 'csv'; choose from xsb, boxoban, sok"):
        write_levels(levels, "csv")


def test_boxoban_files() -> None:
    levels = parse_levels(BOXOBAN)
    assert [(level.rows, level.columns, len(level.boxes)) for level in levels] == [(10, 10, 4)] * 2
    assert write_levels(levels, "boxoban") == BOXOBAN + "\n"


def test_sok_files() -> None:
    one, two, three = parse_levels(SOK)
    assert (one.rows, one.columns, len(one.boxes)) == (6, 7, 2)
    assert one.codes()[3 * 7 + 1] == 6  # the player on a target
    assert two.to_xsb() == "#####\n#@$.#\n#####"
    assert three.to_xsb() == "########\n# @$  .#\n#.$* ###\n########"


def test_folders(tmp_path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.sok").write_text(SOK)
    (tmp_path / "a.txt").write_text(BOXOBAN)
    (tmp_path / "notes.md").write_text("no levels")
    levels = read_levels(tmp_path)
    assert levels == [*parse_levels(BOXOBAN), *parse_levels(SOK)]
    env = SokobanEnv(levels=tmp_path, observation="grid")
    assert (env.rows, env.columns) == (10, 10) and env.levels == [level.padded(10, 10) for level in levels]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="holds no level file; they end in .txt"):
        SokobanEnv(levels=str(empty))
    (tmp_path / "c.xsb").write_text("#####\n#@$ #\n#####")
    with pytest.raises(UserError, match=re.escape("c.xsb': level 1, line 1: the level has boxes != targets")):
        read_levels(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f"{LEVEL}\n\n#####\n#@$.\n#####",
            "level 2, line 6, column 2: the room of this '@' is not closed; draw # all around",
        ),
        (f"{LEVEL}\n\n#####\n#@  #\n#####", "level 2, line 5: the level has no box; put at least one $ and one ."),
        (f"{LEVEL}\n\n#####\n#@$.#\n#  @#\n#####", "level 2, line 7: the level has a second player; keep one @"),
        (f"{LEVEL}\n\n#####\n# $.#\n#####", "level 2, line 5: the level has no player; put one @"),
        (f"{LEVEL}\n; 1\n#####\n#@$?#\n#####", "level 2, line 6, column 4: '?' is no cell; use"),
        (
            f"{LEVEL}\n\n{'#' * 101}\n#@$.#",
            f"level 2, line 5: the level is more than {MAX_SIDE} cells wide; cut it down",
        ),
        (f"{LEVEL}\n\n101#|#@$.#|5#", f"level 2, line 5: the level is more than {MAX_SIDE} cells wide"),
        (f"{LEVEL}\n\n" + "##\n" * 101, f"level 2, line 105: the level is more than {MAX_SIDE} cells high"),
        ("9999999999#", "more than 100 cells wide"),
        ("Level 1\nLevel 2", "no level found"),
        ("", "no level found"),
    ],
)
def test_what_is_wrong_is_named_with_level_and_line(text, told) -> None:
    with pytest.raises(UserError, match=re.escape(told)) as caught:
        read_levels(text + ("\n" if text else ""))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("make", [SokobanEnv, lambda **kwargs: SokobanVectorEnv(2, **kwargs)])
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"levels": f"{LEVEL}\n\n#####\n#@*+#\n#####"}, "level 2, line 6: the level has a second player"),
        ({"levels": f"{LEVEL}\n\n#####\n#@*##\n#####"}, "level 2, line 5 is solved from the start; move a box off"),
        ({"levels": [LEVEL]}, "level 1 is a str; give Level objects, a path, or XSB text"),
        (
            {"levels": f"{LEVEL}\n\n{LEVEL}", "dim_room": (3, 6)},
            "level 1, line 1 is 3 by 7, more than dim_room 3 by 6: enlarge",
        ),
        ({"levels": f"{LEVEL}\n", "num_boxes": 2}, "none of the 1 levels"),
        ({"dim_room": (5, 5), "num_boxes": 6, "inner_walls": 0}, "has 9 free cells, but 6 boxes, their targets and"),
        ({"observation": "pixels"}, "observation is 'pixels'; choose from rgb, tiny_rgb, grid, text"),
    ],
)
def test_environments_say_it_as_well(make, arguments, told) -> None:
    with pytest.raises(UserError, match=re.escape(told)):
        make(**arguments)


@pytest.mark.parametrize("kind", ["bytes", "text", "walls", "one line"])
def test_ten_megabytes_of_nonsense_are_refused(kind, tmp_path) -> None:
    rng = np.random.default_rng(0)
    size = 10_000_000
    nonsense = {
        "bytes": lambda: rng.bytes(size),
        "text": lambda: rng.integers(32, 127, size, np.uint8).tobytes().replace(b"~", b"\n"),
        "walls": lambda: rng.choice(np.frombuffer(b"# .$@*+\n", np.uint8), size).tobytes(),
        "one line": lambda: b"#" * size,
    }[kind]()
    path = tmp_path / "nonsense.txt"
    path.write_bytes(nonsense)
    with pytest.raises(UserError, match="nonsense.txt'") as caught:
        SokobanEnv(levels=path)
    assert len(str(caught.value)) < 400
