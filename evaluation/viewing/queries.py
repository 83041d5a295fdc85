"""Which episodes a page wants to see: filters, an order, and a part of the list at a time."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from lmmr1.envs.errors import UserError

from .curves import number
from .index import Entry, EpisodeIndex

MOST_SHOWN = 500
DEFAULT_SHOWN = 100
_KEPT_ORDERS = 16
# What can be chosen from a list of values, and what by a least and a most.
CHOICES = ("kind", "stage", "mode", "environment", "outcome", "stop")
RANGES = ("reward", "turns", "tokens", "iteration")
SORTS = ("place", "reward", "turns", "tokens", "iteration", "stage", "environment", "outcome", "stop")
_OTHERS = ("text", "sort", "descending", "offset", "limit", "beside")


@dataclass(frozen=True)
class Query:
    """What is asked of the list.

    Attributes:
        choices: by field, the one value that is wanted.
        ranges: by field, least and most; None for no limit.
        text: must occur in a reply (or in what broke), small letters and capitals alike.
        sort: the field of the order; "place" is the order on the disk.
        descending: largest first.
        offset, limit: which part of the list.
        beside: an episode, "FOLDER#LINE", whose place in the list is asked for.
    """

    choices: tuple[tuple[str, str], ...] = ()
    ranges: tuple[tuple[str, float | None, float | None], ...] = ()
    text: str = ""
    sort: str = "place"
    descending: bool = False
    offset: int = 0
    limit: int = DEFAULT_SHOWN
    beside: str = ""

    @classmethod
    def read(cls, words: Mapping[str, str]) -> Query:
        """From the words of an address.

        Raises:
            UserError: one is unknown, or no value of its kind.
        """
        known = {*CHOICES, *_OTHERS, *(f"{end}_{key}" for key in RANGES for end in ("min", "max"))}
        for key in words:
            if key not in known:
                raise UserError(f"episodes cannot be asked for by {key!r:.60}; there are {', '.join(sorted(known))}")
        sort = words.get("sort", "place")
        if sort not in SORTS:
            raise UserError(f"sort must be one of {', '.join(SORTS)}, not {sort!r:.60}")
        limits = ((key, _limit(words, f"min_{key}"), _limit(words, f"max_{key}")) for key in RANGES)
        return cls(
            tuple((key, words[key]) for key in CHOICES if key in words),
            tuple(limit for limit in limits if limit[1:] != (None, None)),
            words.get("text", "").casefold(),
            sort,
            words.get("descending", "0") not in ("", "0", "false"),
            _count(words, "offset", 0),
            min(_count(words, "limit", DEFAULT_SHOWN), MOST_SHOWN),
            words.get("beside", ""),
        )


def _limit(words: Mapping[str, str], key: str) -> float | None:
    if not words.get(key):
        return None
    try:
        value = number(float(words[key]))
    except ValueError:
        value = None
    if value is None:
        raise UserError(f"{key} must be a number, not {words[key]!r:.60}")
    return value


def _count(words: Mapping[str, str], key: str, default: int) -> int:
    text = words.get(key, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise UserError(f"{key} must be a whole number from 0 on, not {text!r:.60}")
    return int(text)


class Searcher:
    """Answers queries over an index; the last orders are kept, so that scrolling asks for no new search."""

    def __init__(self, index: EpisodeIndex) -> None:
        self.index = index
        self._lock = threading.Lock()
        self._orders: OrderedDict[tuple[int, Query], list[Entry]] = OrderedDict()
        self._facets: tuple[int, dict[str, Any]] = (-1, {})

    def search(self, query: Query) -> dict[str, Any]:
        """A part of the list.

        Returns:
            "total" (how many match), "all" (how many there are), "episodes" (that part), "place" (of the one asked for,
            or None), "facets" (each field's values with their numbers of episodes), "building", "files", "files_read",
            "version" and "damaged".
        """
        index = self.index
        index.want()
        # The version first: what is newer than its number says is only looked up once too often.
        version, entries, damaged = index.version, index.entries, index.damaged
        with self._lock:
            order = self._order(version, entries, query)
            facets = self._count_values(version, entries)
        return {
            "version": version,
            "total": len(order),
            "all": len(entries),
            "episodes": [_row(entry) for entry in order[query.offset : query.offset + query.limit]],
            "place": _place(order, query.beside) if query.beside else None,
            "facets": facets,
            "building": index.building,
            "files": index.files,
            "files_read": index.files_read,
            "damaged": list(damaged[:20]),
            "damaged_count": len(damaged),
        }

    def _order(self, version: int, entries: Sequence[Entry], query: Query) -> list[Entry]:
        key = (version, Query(query.choices, query.ranges, query.text, query.sort, query.descending))
        order = self._orders.get(key)
        if order is None:
            order = _sort(_select(entries, query), query)
            self._orders[key] = order
            while len(self._orders) > _KEPT_ORDERS:
                self._orders.popitem(last=False)
        return order

    def _count_values(self, version: int, entries: Sequence[Entry]) -> dict[str, Any]:
        if self._facets[0] != version:
            facets: dict[str, Any] = {
                key: sorted(Counter(vars(entry)[key] for entry in entries).items()) for key in CHOICES
            }
            for key in RANGES:
                values = [vars(entry)[key] for entry in entries]
                facets[key] = [min(values), max(values)] if values else None
            self._facets = version, facets
        return self._facets[1]


def _select(entries: Sequence[Entry], query: Query) -> list[Entry]:
    found = list(entries)
    for key, wanted in query.choices:
        found = [entry for entry in found if vars(entry)[key] == wanted]
    for key, least, most in query.ranges:
        low, high = (-float("inf") if least is None else least), (float("inf") if most is None else most)
        found = [entry for entry in found if low <= vars(entry)[key] <= high]
    if query.text:
        found = [entry for entry in found if query.text in entry.text]
    return found


def _sort(found: list[Entry], query: Query) -> list[Entry]:
    if query.sort == "place":
        return found[::-1] if query.descending else found
    return sorted(found, key=attrgetter(query.sort), reverse=query.descending)


def _place(order: Sequence[Entry], beside: str) -> int | None:
    folder, _, line = beside.rpartition("#")
    places = (place for place, entry in enumerate(order) if entry.folder == folder and str(entry.line) == line)
    return next(places, None)


def _row(entry: Entry) -> dict[str, Any]:
    hidden = ("text", "offset", "length")
    return {key: value for key, value in vars(entry).items() if key not in hidden}
