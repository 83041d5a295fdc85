"""The endpoint under many clients and under attack: every answer the right one, every attack told, the server alive."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import io
import json
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

ECHO = Path(__file__).with_name("echo.py")


class Server:
    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, str(ECHO), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        url = self.process.stdout.readline().strip()
        assert url, self.process.stderr and self.process.stderr.read()
        self.address = urlsplit(url).netloc

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address, timeout=60)

    def post(self, body, headers: dict[str, str] | None = None) -> tuple[int, dict]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with contextlib.closing(self.connect()) as connection:
            sent = {"Content-Type": "application/json"} | (headers or {})
            connection.request("POST", "/v1/chat/completions", data, sent)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def resident(self) -> int:
        """Megabytes in memory."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) // 1024
        raise AssertionError("the server is gone")

    def is_well(self) -> bool:
        return self.post(ask("still there?"))[1]["choices"][0]["message"]["content"].startswith("still there?")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    one = Server("256")
    yield one
    one.process.terminate()
    assert one.process.wait(20) is not None


def picture(seed: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def data_url(image: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def ask(text: str, *urls: str, **options) -> dict:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    content = [*parts, {"type": "text", "text": text}] if urls else text
    return {"model": "echo", "messages": [{"role": "user", "content": content}], **options}


def expected(text: str, image: np.ndarray) -> str:
    return f"{text} {hashlib.sha256(image.tobytes()).hexdigest()[:12]}"


def stream(server: Server, body: dict) -> str:
    with contextlib.closing(server.connect()) as connection:
        data = json.dumps({**body, "stream": True}).encode()
        connection.request("POST", "/v1/chat/completions", data, {"Content-Type": "application/json"})
        events = connection.getresponse().read().decode().split("\n\n")
    told = [event.removeprefix("data: ") for event in events if event.startswith("data: ")]
    assert told[-1] == "[DONE]"
    deltas = [json.loads(event)["choices"][0]["delta"] for event in told[:-1]]
    return "".join(delta.get("content", "") for delta in deltas)


def test_64_clients_with_pictures_get_their_own_answers_and_memory_stays(server: Server):
    def client(number: int) -> bool:
        image = picture(number)
        body = ask(f"client {number}", data_url(image))
        if number % 3 == 0:
            said = stream(server, body)
        else:
            status, answer = server.post(body)
            assert status == 200, answer
            said = answer["choices"][0]["message"]["content"]
        return said == expected(f"client {number}", image)

    def go_away(number: int) -> bool:
        """Asks for a stream and leaves in its midst."""
        host, port = server.address.split(":")
        body = json.dumps(ask("sleep", stream=True)).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {server.address}\r\nContent-Type: application/json\r\n"
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            connection.recv(200)
        return True

    sizes = []
    with ThreadPoolExecutor(65) as threads:
        for turn in range(5):
            left = threads.submit(go_away, turn)
            assert all(threads.map(client, range(64 * turn, 64 * turn + 64)))
            assert left.result()
            sizes.append(server.resident())
    assert sizes[-1] <= sizes[1] + 15, f"megabytes after each round: {sizes}"
    assert server.is_well()


def bomb(width: int, height: int) -> str:
    """A PNG of a few kilobytes that says it has this size, and holds that many rows of zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 + 3 * width) * min(height, 200), 9)
    file = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(file).decode()


REFUSED = {
    "malformed JSON": (b'{"model": ', 400, "not readable as JSON"),
    "a list": (b"[]", 400, "must be a JSON object"),
    "deeply nested": (b"[" * 200_000, 400, "not readable as JSON"),
    "not UTF-8": (b"\xff\xfe\xfa", 400, "not readable as JSON"),
    "no model": ({"messages": [{"role": "user", "content": "x"}]}, 400, "model is missing"),
    "an unknown model": ({**ask("x"), "model": "gpt-9"}, 404, "there is no model 'gpt-9'; this server has 'echo'"),
    "no messages": ({"model": "echo"}, 400, "messages must be a list"),
    "an unknown role": ({"model": "echo", "messages": [{"role": "king", "content": "x"}]}, 400, "needs a role"),
    "a reply to itself": ({**ask("x"), "messages": [{"role": "assistant", "content": "x"}]}, 400, "nothing to reply"),
    "half a character": (b'{"model":"echo","messages":[{"role":"user","content":"\\ud800"}]}', 400, "surrogate"),
    "a file": (ask("x", "file:///etc/passwd"), 400, "must be a data URL"),
    "a path": (ask("x", "/etc/passwd"), 400, "must be a data URL"),
    "the network": (ask("x", "http://169.254.169.254/latest/meta-data"), 400, "must be a data URL"),
    "a bomb": (ask("x", bomb(60_000, 60_000)), 400, "the picture has too many pixels"),
    "a smaller bomb": (ask("x", bomb(6000, 5000)), 400, "the image has 6000 x 5000 pixels"),
    "half an image": (ask("x", data_url(picture(1))[: 22 + 6000]), 400, "cannot be decoded"),
    "no image": (ask("x", "data:image/png;base64,aGVsbG8="), 400, "the picture is no PNG"),
    "an SVG": (ask("x", "data:image/svg+xml;base64,PHN2Zy8+"), 400, "the picture is no PNG"),
    "no base64": (ask("x", "data:image/png;base64,!!!"), 400, "no base64"),
    "no tokens": (ask("x", max_tokens=0), 400, "max_tokens must be a whole number of at least 1"),
    "a temperature of text": (ask("x", temperature="hot"), 400, "temperature must be a number from 0.0 to 2.0"),
    "not a number": (b'{"temperature":NaN,"model":"echo","messages":[{"role":"user","content":"x"}]}', 400, "temper"),
    "top_p": (ask("x", top_p=0.5), 400, "top_p is not offered"),
    "tools": (ask("x", tools=[{"type": "function"}]), 400, "tools is not offered"),
    "a thousand replies": (ask("x", n=1000), 400, "n must be a whole number from 1 to 16"),
    "an agent that breaks": (ask("break"), 500, "ZeroDivisionError: broken on purpose"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_told_and_the_server_lives(server: Server, name: str):
    body, status, message = REFUSED[name]
    got, answer = server.post(body)
    assert got == status and message in answer["error"]["message"], answer
    assert server.is_well()


def test_a_body_of_100_megabytes_is_refused_and_not_kept(server: Server):
    before = server.resident()
    status, answer = server.post(b"x" * 100_000_000)
    assert status == 413 and "longer than 4,194,304 bytes" in answer["error"]["message"]
    assert server.resident() < before + 30 and server.is_well()


def test_a_body_that_does_not_come_is_not_waited_for(server: Server):
    host, port = server.address.split(":")
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {server.address}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n{{".encode())
        assert b"408" in connection.recv(4096)
    assert server.is_well()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/chat/completions", {"Content-Type": "text/plain"}, 415),  # what a web page can send without being asked
        ("/v1/chat/completions", {"Content-Type": "application/json", "Host": "evil.example"}, 403),
        ("/v1/completions", {"Content-Type": "application/json"}, 404),
        ("/../../etc/passwd", {"Content-Type": "application/json"}, 404),
    ],
)
def test_other_ways_in_are_closed(server: Server, path, headers, status):
    with contextlib.closing(server.connect()) as connection:
        connection.request("POST", path, json.dumps(ask("x")).encode(), headers)
        assert connection.getresponse().status == status


def test_requests_that_break_take_no_others_with_them(server: Server):
    with ThreadPoolExecutor(12) as threads:
        bodies = [ask("break" if number == 5 else f"n {number}") for number in range(12)]
        answers = list(threads.map(server.post, bodies))
    assert [status for status, _ in answers] == [500 if number == 5 else 200 for number in range(12)]


def test_too_many_that_wait_are_sent_away_and_a_key_is_asked_for():
    server = Server("4", "secret")
    try:
        key = {"Authorization": "Bearer secret"}
        assert server.post(ask("x"))[0] == 401
        assert server.post(ask("x"), {"Authorization": "Bearer secrey"})[0] == 401
        with ThreadPoolExecutor(40) as threads:
            first = threads.submit(server.post, ask("sleep"), key)
            time.sleep(0.5)
            statuses = [answer[0] for answer in threads.map(lambda n: server.post(ask(f"{n}"), key), range(30))]
        assert first.result()[0] == 200
        assert 429 in statuses and set(statuses) == {200, 429}
        assert server.post(ask("x"), key)[0] == 200
    finally:
        server.process.terminate()
        server.process.wait(20)
