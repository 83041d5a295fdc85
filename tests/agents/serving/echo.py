"""A server for the tests: its agent says what it was asked and which picture it saw, some time later."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence

from lmmr1.agents.base import AgentReply, Conversation
from lmmr1.agents.serving.app import Front, serve
from lmmr1.agents.serving.desk import Desk
from lmmr1.agents.serving.requests import Limits
from lmmr1.envs.messages import message_images, message_text


class Echo:
    """Says the last text, and a digest of the pictures; "sleep" takes two seconds, "break" breaks."""

    name, context = "echo", "conversation"

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        texts = [message_text(conversation.messages[-1]) for conversation in conversations]
        if "sleep" in texts:
            time.sleep(2)
        if "break" in texts:
            raise ZeroDivisionError("broken on purpose")
        return [AgentReply(f"{t} {digest(c)}") for t, c in zip(texts, conversations, strict=True)]


def digest(conversation: Conversation) -> str:
    pictures = [image for message in conversation.messages for image in message_images(message)]
    return " ".join(hashlib.sha256(picture.tobytes()).hexdigest()[:12] for picture in pictures)


if __name__ == "__main__":
    limits = Limits(body_bytes=4 << 20, waiting=int(sys.argv[1]), batch=16, reading_seconds=3.0)
    key = sys.argv[2] if len(sys.argv) > 2 else None
    serve(Desk(Echo(), limits), Front("echo", key), "127.0.0.1", 0, lambda url: print(url, flush=True))
