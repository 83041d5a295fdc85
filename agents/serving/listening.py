"""Listening at a port of this machine: whom a server answers to, and until when. The one file that imports uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable
from errno import EACCES, EADDRINUSE
from typing import TYPE_CHECKING

from lmmr1.envs.errors import MissingExtraError, UserError

if TYPE_CHECKING:
    from starlette.applications import Starlette

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def host_of(header: str) -> str:
    """What a Host header names, without the port and the brackets of an IPv6 address; in small letters."""
    return header.rsplit(":", 1)[0].strip("[]").lower() if not header.endswith("]") else header.strip("[]").lower()


def is_address(host: str) -> bool:
    """Whether it is an IP address and no name: a name can be made to lead anywhere, an address cannot."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def listen(app: Starlette, host: str, port: int, purpose: str, on_ready: Callable[[str], None] | None = None) -> None:
    """Let an application answer until interrupted.

    Args:
        app: what answers.
        host, port: where; port 0 takes any that is free.
        purpose: what it is for, as the start of a sentence ("Serving an agent").
        on_ready: called with the URL once it listens.

    Raises:
        UserError: the port is taken, or the host is none of this machine.
        MissingExtraError: uvicorn is not installed.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtraError(purpose, "uvicorn", "serve") from error

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)  # so that whoever is told the URL can connect at once
    except OSError as error:
        listener.close()
        hint = "; another --port may be free (0 takes one that is)" if error.errno in (EADDRINUSE, EACCES) else ""
        raise UserError(f"cannot listen at {host}:{port}: {error.strerror or error}{hint}") from error
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=5, access_log=False)
    shown = f"[{host}]" if ":" in host else host
    if on_ready is not None:
        on_ready(f"http://{shown}:{listener.getsockname()[1]}")
    server = uvicorn.Server(config)
    with contextlib.closing(listener), contextlib.suppress(KeyboardInterrupt):
        asyncio.run(server.serve(sockets=[listener]))
