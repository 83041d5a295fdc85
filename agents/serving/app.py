"""The HTTP side: an OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmmr1.envs.errors import MissingExtraError

from ..base import AgentReply
from . import answers
from .desk import Desk, Ticket
from .listening import LOOPBACK, host_of, listen
from .requests import ChatRequest, Limits, RefusalError, read_request

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

PURPOSE = "Serving an agent"
# A body that is refused is still read, so that its sender hears why; not without end.
MOST_DISCARDED = 1 << 30
HEARTBEAT = 5.0
PATIENCE = 0.5


@dataclass(frozen=True)
class Front:
    """How a server presents itself.

    Attributes:
        model: the name under which the agent is asked for.
        api_key: what clients must bring as a bearer token; None for nothing.
        hosts: what a request's Host header may name; a web page that reached this machine by a name of its own is
            turned away.
        temperature: of requests that name none.
    """

    model: str
    api_key: str | None = None
    hosts: tuple[str, ...] = LOOPBACK
    temperature: float = 1.0


def make_app(desk: Desk, front: Front) -> Starlette:
    """The application.

    Raises:
        MissingExtraError: Starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.exceptions import HTTPException
        from starlette.requests import ClientDisconnect
        from starlette.responses import JSONResponse, Response, StreamingResponse
        from starlette.routing import Route
    except ImportError as error:
        raise MissingExtraError(PURPOSE, "Starlette", "serve") from error

    limits = desk.limits
    reading = asyncio.Semaphore(8)  # bodies that are held at a time

    def refuse(refusal: RefusalError) -> Response:
        headers = {"Retry-After": "1"} if refusal.status == 429 else {}
        return JSONResponse(refusal.body(), refusal.status, headers)

    def admit(request: Request) -> None:
        host = host_of(request.headers.get("host", ""))
        if host not in front.hosts:
            raise RefusalError(403, f"the Host header names {host!r}, which is not this server")
        if front.api_key is not None:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), front.api_key.encode()):
                raise RefusalError(401, "the API key is missing or wrong", code="invalid_api_key")

    def guarded(handle: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            try:
                admit(request)
                return await handle(request)
            except RefusalError as refusal:
                return refuse(refusal)
            except ClientDisconnect:
                return Response(status_code=499)

        return answer

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def models(request: Request) -> Response:
        known = {"id": front.model, "object": "model", "created": 0, "owned_by": "lmmr1"}
        return JSONResponse({"object": "list", "data": [known]})

    async def complete(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RefusalError(415, "the body must be sent as application/json")
        async with reading:
            body = await _read_body(request, limits)
            asked = await asyncio.get_running_loop().run_in_executor(
                None, read_request, body, limits, front.temperature
            )
            del body
        if asked.model != front.model:
            message = f"there is no model {asked.model!r}; this server has {front.model!r}"
            raise RefusalError(404, message, "model", "model_not_found")
        ticket = desk.submit(asked)
        if asked.stream:
            events = _stream(desk, ticket, asked)
            return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        replies = await _wait(desk, ticket, request)
        return JSONResponse(answers.completion(answers.new_id(), asked, replies, desk.agent))

    async def nowhere(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return refuse(RefusalError(status, f"there is no {request.method} {request.url.path} here"))

    return Starlette(
        routes=[
            Route("/health", guarded(health)),
            Route("/v1/models", guarded(models)),
            Route("/v1/chat/completions", guarded(complete), methods=["POST"]),
        ],
        exception_handlers={404: nowhere, 405: nowhere},
    )


async def _read_body(request: Request, limits: Limits) -> bytes:
    """The body, as long as it may be; what is longer is read on without being kept.

    Raises:
        RefusalError: it is too long, or takes too long.
    """
    pieces: list[bytes] = []
    size = 0

    async def read() -> None:
        nonlocal size
        async for piece in request.stream():
            size += len(piece)
            if size <= limits.body_bytes:
                pieces.append(piece)
                continue
            pieces.clear()
            if size > MOST_DISCARDED:
                return

    try:
        await asyncio.wait_for(read(), limits.reading_seconds)
    except (TimeoutError, asyncio.TimeoutError) as error:
        raise RefusalError(408, f"the body did not come within {limits.reading_seconds:.0f} seconds") from error
    if size > limits.body_bytes:
        raise RefusalError(413, f"the body is longer than {limits.body_bytes:,} bytes")
    return b"".join(pieces)


async def _wait(desk: Desk, ticket: Ticket, request: Request) -> list[AgentReply]:
    """The replies; a client that has gone is waited for no longer."""
    future = asyncio.wrap_future(ticket.future)
    try:
        while not future.done():
            await asyncio.wait([future], timeout=PATIENCE)
            if not future.done() and await request.is_disconnected():
                raise RefusalError(499, "the client has gone")
        replies = future.result()
    finally:
        if not future.done():
            desk.forget(ticket)
    answers.check_replies(replies)
    return replies


async def _stream(desk: Desk, ticket: Ticket, asked: ChatRequest) -> AsyncIterator[bytes]:
    """The events of a stream; before the reply is there, comments that keep the connection alive."""
    future = asyncio.wrap_future(ticket.future)
    try:
        while not future.done():
            await asyncio.wait([future], timeout=HEARTBEAT)
            if not future.done():
                yield b": waiting\n\n"
        replies = future.result()
        answers.check_replies(replies)
        for event in answers.chunks(answers.new_id(), asked, replies, desk.agent):
            yield event
            await asyncio.sleep(0)
    except RefusalError as refusal:
        yield answers.as_event(refusal.body())
    finally:
        if not future.done():
            desk.forget(ticket)


def serve(desk: Desk, front: Front, host: str, port: int, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve until interrupted.

    Args:
        desk: who answers.
        front: how it presents itself.
        host, port: where; port 0 takes any that is free.
        on_ready: called with the URL once it listens.

    Raises:
        UserError: the port is taken, or the host is none of this machine.
        MissingExtraError: uvicorn is not installed.
    """
    listen(make_app(desk, front), host, port, PURPOSE, lambda url: on_ready(f"{url}/v1") if on_ready else None)
