"""A model for lmms-eval's own process: `lmms_eval --model lmmr1 --model_args pretrained=runs/x/models/fre`.

Found by lmms-eval through the entry point of this package where both are installed in one environment. It answers as
`lmmr1 serve` does, without a server in between.
"""

import json
from typing import Any

from lmms_eval.api.model import lmms  # pyright: ignore[reportMissingImports]
from lmms_eval.models.registry_v2 import ModelManifest  # pyright: ignore[reportMissingImports]
from lmms_eval.protocol import ChatMessages  # pyright: ignore[reportMissingImports]

NAME = "lmmr1"


class LMMR1(lmms):
    """A policy of lmmr1's, asked in batches.

    Args:
        pretrained: a model folder, a hub name, or "tiny".
        batch_size: conversations that are answered together.
        max_context_tokens: of a conversation and its reply.
        max_new_tokens: of a reply; a task that asks for more gets as many.
    """

    is_simple = False

    def __init__(
        self,
        pretrained: str = "tiny",
        batch_size: Any = 64,
        max_context_tokens: Any = 16384,
        max_new_tokens: Any = 2048,
    ) -> None:
        super().__init__()
        from lmmr1.agents.policy import PolicyAgent
        from lmmr1.agents.serving.desk import Desk
        from lmmr1.agents.serving.requests import Limits

        agent = PolicyAgent.from_pretrained(pretrained, max_context_tokens=int(max_context_tokens))
        self.limits = Limits(waiting=10**9, batch=max(1, int(batch_size)), new_tokens=int(max_new_tokens))
        self.desk = Desk(agent, self.limits)

    def generate_until(self, requests: list[Any]) -> list[str]:
        """The replies to all requests, in their order; one that cannot be answered ends the evaluation."""
        from lmmr1.agents.serving.answers import check_replies

        tickets = [self.desk.submit(self._read(request, number)) for number, request in enumerate(requests)]
        replies = [ticket.future.result() for ticket in tickets]
        for reply in replies:
            check_replies(reply)
        return [reply[0].text for reply in replies]

    def _read(self, request: Any, number: int) -> Any:
        """A request as a client of the server would send it."""
        from lmmr1.agents.serving.requests import read_request

        _, doc_to_messages, options, doc_id, task, split = request.args
        said = ChatMessages(messages=doc_to_messages(self.task_dict[task][split][doc_id])).to_openai_messages()
        body = {
            "model": NAME,
            "messages": said,
            "max_tokens": int(options.get("max_new_tokens", 1024)),
            "temperature": float(options.get("temperature", 0)),
            "stop": options.get("until") or None,
            "seed": number,
        }
        return read_request(json.dumps(body).encode(), self.limits)

    def loglikelihood(self, requests: list[Any]) -> list[Any]:
        """Not offered: our policies write their answers."""
        raise NotImplementedError("lmmr1's models write their answers; choose tasks of the type generate_until")

    def generate_until_multi_round(self, requests: list[Any]) -> list[str]:
        """Not offered: games of many turns are played by lmmr1 evaluate."""
        raise NotImplementedError("conversations of many turns are played by lmmr1 evaluate")


def manifest() -> Any:
    """What the entry point names."""
    return ModelManifest(model_id=NAME, chat_class_path=f"{__name__}.LMMR1")
