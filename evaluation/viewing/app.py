"""The HTTP side of the page. It answers to this machine alone, loads nothing from elsewhere, and shows text as text."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmr1.agents.serving.listening import LOOPBACK, host_of, is_address
from lmmr1.envs.errors import MissingExtraError, UserError

from .curves import Curves
from .episodes import IMAGE_NAME, describe_episode
from .index import EpisodeIndex, read_line
from .plays import SIDES, Order, Plays, Theatre
from .queries import Query, Searcher
from .spelling import Speller
from .subject import EVALUATIONS, METRICS, Subject

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

PURPOSE = "Viewing a run"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_MOST_BODY = 10_000
# Scripts, styles and data of this server alone, no script or style within a page, and the page in no other's frame.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class RefusalError(Exception):
    """A request that is answered with a status and one line."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Exhibit:
    """A subject, and all that is known of it."""

    subject: Subject
    curves: Curves
    index: EpisodeIndex
    searcher: Searcher
    speller: Speller

    @classmethod
    def open(cls, subject: Subject, base: Path | None = None) -> Exhibit:
        """Of a subject; `base` is the folder of the model that it began with, where that is known."""
        index = EpisodeIndex(subject.folder)
        curves = Curves(subject.folder / METRICS, subject.folder / EVALUATIONS)
        return cls(subject, curves, index, Searcher(index), Speller(subject.folder, base))


class Gallery:
    """What the page shows, as plain values; it knows nothing of HTTP.

    Args:
        exhibits: by the numbers of the page, from 0.
        theatre: who plays for comparisons.
    """

    def __init__(self, exhibits: Sequence[Exhibit], theatre: Theatre) -> None:
        self.exhibits, self.theatre = exhibits, theatre
        self.plays = Plays(theatre)
        for exhibit in exhibits:
            exhibit.index.start()

    def close(self) -> None:
        """End the threads."""
        for exhibit in self.exhibits:
            exhibit.index.close()
        self.plays.close()

    def exhibit(self, words: dict[str, str]) -> Exhibit:
        """The one that the address names; the first by default."""
        word = words.pop("run", "0")
        if not (word.isascii() and word.isdecimal() and int(word[:9]) < len(self.exhibits)):
            raise RefusalError(404, f"there is no run {word!r:.40}; there are 0 to {len(self.exhibits) - 1}")
        return self.exhibits[int(word[:9])]

    def overview(self, words: dict[str, str]) -> dict[str, Any]:
        """All subjects, in short."""
        return {"runs": [exhibit.subject.overview() for exhibit in self.exhibits]}

    def metrics(self, words: dict[str, str]) -> dict[str, Any]:
        """The figures of one that a page does not have yet."""
        exhibit = self.exhibit(words)
        keys = [key for key in words.get("keys", "").split(",") if key]
        return exhibit.curves.read(keys, _whole(words, "after"), _whole(words, "generation"))

    def episodes(self, words: dict[str, str]) -> dict[str, Any]:
        """A part of the list."""
        exhibit = self.exhibit(words)
        return exhibit.searcher.search(Query.read(words))

    def episode(self, words: dict[str, str]) -> dict[str, Any]:
        """One episode."""
        number = words.get("run", "0")
        exhibit, folder = self.exhibit(words), words.get("folder", "")
        exhibit.index.want()
        entry = exhibit.index.find(folder, _whole(words, "line"))
        if entry is None:
            raise RefusalError(404, "there is no such episode here (any more)")
        row = read_line(exhibit.subject.folder, entry)
        if row is None:
            raise RefusalError(
                409, "this episode cannot be read: its file was changed or is damaged; load the list again"
            )
        place = {"kind": entry.kind, "stage": entry.stage, "iteration": entry.iteration, "mode": entry.mode}
        return {**_described(row, exhibit.speller, {"run": number, "folder": folder}), **place}

    def choices(self, words: dict[str, str]) -> dict[str, Any]:
        """What can be compared."""
        return self.theatre.choices()

    def play(self, words: dict[str, str]) -> dict[str, Any]:
        """How far a comparison is, and both of its episodes when it is done."""
        number = words.get("number", "")
        play = self.plays.find(number)
        if play is None:
            raise RefusalError(404, "there is no such comparison (any more): start it again")
        told: dict[str, Any] = {"state": play.state, "message": play.message, "done": len(play.done)}
        if play.state == "done":
            rows = [json.loads(line) for line in _lines(play.folder / "episodes.jsonl")]
            for side, row, word in zip(SIDES, rows, play.order.checkpoints, strict=True):
                # A word begins with the number of the run, whose tokenizer it is.
                speller = self.exhibit({"run": word.partition(":")[0]}).speller
                told[side] = _described(row, speller, {"play": number})
        return told

    def picture(self, words: dict[str, str]) -> bytes:
        """A picture of an episode: of a folder that the index knows, or of a comparison."""
        name = words.get("name", "")
        play = self.plays.find(words["play"]) if "play" in words else None
        if play is not None:
            folder = play.folder
        else:
            exhibit, known = self.exhibit(words), words.get("folder", "")
            if not exhibit.index.has(known):
                raise RefusalError(404, "there is no such folder of episodes")
            folder = exhibit.subject.folder / known
        path = folder / name
        if not IMAGE_NAME.fullmatch(name) or path.resolve().parent != (folder / "images").resolve():
            raise RefusalError(404, "there is no such picture")
        try:
            return path.read_bytes()
        except OSError as error:
            raise RefusalError(404, f"the picture {name} cannot be read: {error.strerror}") from error


def _described(row: dict[str, Any], speller: Speller, address: dict[str, str]) -> dict[str, Any]:
    try:
        return describe_episode(row, speller.spell, address)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RefusalError(422, f"this episode is damaged: {error!s:.200}") from error


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def _whole(words: dict[str, str], key: str) -> int:
    text = words.get(key, "0")
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise RefusalError(400, f"{key} must be a whole number from 0 on, not {text!r:.60}")
    return int(text)


def make_app(gallery: Gallery, host: str = LOOPBACK[0]) -> Starlette:
    """The application.

    Args:
        gallery: what it shows.
        host: the address that it listens at. On this machine's own it answers to its own names alone, so that a web
            page that reached it by a name of its own sees nothing; elsewhere to addresses and to `host` as well.

    Raises:
        MissingExtraError: Starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.concurrency import run_in_threadpool
        from starlette.exceptions import HTTPException
        from starlette.responses import Response
        from starlette.routing import Route
    except ImportError as error:
        raise MissingExtraError(PURPOSE, "Starlette", "serve") from error

    files = _static_files()

    def send(content: bytes, kind: str, status: int = 200) -> Response:
        return Response(content, status, _HEADERS, kind)

    def send_json(document: dict[str, Any], status: int = 200) -> Response:
        # ASCII: text of models may hold half characters, which JSON can write and UTF-8 cannot.
        return send(json.dumps(document, allow_nan=False).encode(), "application/json", status)

    def admit(request: Request) -> None:
        named = host_of(request.headers.get("host", ""))
        if named not in (*LOOPBACK, host.lower()) and (host in LOOPBACK or not is_address(named)):
            raise RefusalError(403, f"the Host header names {named!r:.80}, which is not this server")
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
            raise RefusalError(403, f"pages of {origin:.80} may not ask this server")

    def guarded(handle: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            try:
                admit(request)
                return await handle(request)
            except RefusalError as refusal:
                return send_json({"error": str(refusal)}, refusal.status)
            except UserError as error:
                return send_json({"error": str(error)}, 400)
            except OSError as error:
                return send_json({"error": f"{error.filename}: {error.strerror}"}, 500)

        return answer

    def told(tell: Callable[[dict[str, str]], dict[str, Any]]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return send_json(await run_in_threadpool(tell, dict(request.query_params)))

        return guarded(answer)

    async def static(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in files:
            raise RefusalError(404, "there is no such file")
        content, kind = files[name]
        return send(content, kind)

    async def image(request: Request) -> Response:
        return send(await run_in_threadpool(gallery.picture, dict(request.query_params)), "image/png")

    async def order(request: Request) -> Response:
        # No form of another page can send this type, and this server allows no other page to.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RefusalError(415, "what is to be played must be sent as application/json")
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > _MOST_BODY:
                raise RefusalError(413, f"the body is longer than {_MOST_BODY:,} bytes")
        try:
            document = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise RefusalError(400, "the body is not JSON") from error
        return send_json({"number": gallery.plays.submit(Order.read(document))})

    async def nowhere(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return send_json({"error": f"there is no {request.method} {request.url.path:.200} here"}, status)

    return Starlette(
        routes=[
            Route("/", guarded(static)),
            Route("/static/{name}", guarded(static)),
            Route("/image", guarded(image)),
            Route("/api/overview", told(gallery.overview)),
            Route("/api/metrics", told(gallery.metrics)),
            Route("/api/episodes", told(gallery.episodes)),
            Route("/api/episode", told(gallery.episode)),
            Route("/api/choices", told(gallery.choices)),
            Route("/api/play", told(gallery.play)),
            Route("/api/plays", guarded(order), methods=["POST"]),
        ],
        exception_handlers={404: nowhere, 405: nowhere},
    )


def _static_files() -> dict[str, tuple[bytes, str]]:
    folder = importlib.resources.files("lmmr1.evaluation.viewing") / "static"
    kinds = {item.name: _TYPES[Path(item.name).suffix] for item in folder.iterdir() if Path(item.name).suffix in _TYPES}
    return {name: ((folder / name).read_bytes(), kind) for name, kind in kinds.items()}
