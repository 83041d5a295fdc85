"""Episodes as tensors: what a checkpoint keeps of those that are learned from more than once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from lmmr1.agents.episode import Episode, Turn
from lmmr1.envs.messages import ImagePart, message_images, user


def slim(episode: Episode) -> Episode:
    """An episode with only what can be learned from: ids, log-probabilities, rewards, pictures, and the replies' text.

    What its messages say stands in the ids. So `unpack_episodes` gives back exactly what was packed.
    """
    turns = []
    for turn in episode.turns:
        pictures = [part for message in turn.messages for part in message["content"] if part["type"] == "image"]
        turns.append(
            Turn(
                messages=[user(*pictures)],
                text=turn.text,
                reward=turn.reward,
                prompt_ids=turn.prompt_ids,
                reply_ids=turn.reply_ids,
                logprobs=turn.logprobs,
            )
        )
    return Episode(episode.env_id, episode.key, episode.group, episode.context, turns, success=episode.success)


def pack_episodes(episodes: Sequence[Episode]) -> dict[str, Tensor]:
    """Slim episodes as tensors, each different picture once.

    Returns:
        "keys" int64 (episodes, length of a key), "groups" and "turns" int64 (episodes,), "success" int64 (-1 for
        None), "lengths" int64 (turns, 3): prompt ids, reply ids and pictures of each turn, "rewards" float64 (turns,),
        "ids" int32 and "logprobs" float32 (reply ids,), "pictures" int64: which of the different ones are shown,
        "shapes" int64 (different, 2) and "pixels" uint8, one after the other.
    """
    turns = [turn for episode in episodes for turn in episode.turns]
    shown = [[image for message in turn.messages for image in message_images(message)] for turn in turns]
    different: dict[tuple[bytes, tuple[int, ...]], int] = {}
    pictures: list[np.ndarray] = []
    order = []
    for image in (image for images in shown for image in images):
        number = different.setdefault((image.tobytes(), image.shape), len(different))
        if number == len(pictures):
            pictures.append(image)
        order.append(number)
    lengths = [
        (len(turn.prompt_ids), len(turn.reply_ids), len(images)) for turn, images in zip(turns, shown, strict=True)
    ]
    ids = [part for turn in turns for part in (turn.prompt_ids, turn.reply_ids)]
    arrays = {
        "keys": np.array([episode.key for episode in episodes], np.int64),
        "groups": np.array([episode.group for episode in episodes], np.int64),
        "turns": np.array([len(episode.turns) for episode in episodes], np.int64),
        "success": np.array([-1 if episode.success is None else episode.success for episode in episodes], np.int64),
        "lengths": np.array(lengths, np.int64),
        "rewards": np.array([turn.reward for turn in turns], np.float64),
        "ids": np.concatenate(ids).astype(np.int32),
        "logprobs": np.concatenate([turn.logprobs for turn in turns]).astype(np.float32),
        "pictures": np.array(order, np.int64),
        "shapes": np.array([image.shape[:2] for image in pictures], np.int64).reshape(-1, 2),
        "pixels": np.concatenate([np.zeros(0, np.uint8), *(image.ravel() for image in pictures)]),
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def unpack_episodes(
    tensors: dict[str, Tensor], env_id: str, context: str, decode: Callable[[np.ndarray], str]
) -> list[Episode]:
    """The slim episodes that `pack_episodes` took, all of one environment; `decode` makes a reply's text of its ids."""
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    sizes = arrays["shapes"].prod(1) * 3
    parts = np.split(arrays["pixels"], np.cumsum(sizes)[:-1]) if len(sizes) else []
    pictures = [part.reshape(*shape, 3) for part, shape in zip(parts, arrays["shapes"], strict=True)]
    ids = iter(np.split(arrays["ids"], np.cumsum(arrays["lengths"][:, :2].ravel())[:-1]))
    logprobs = iter(np.split(arrays["logprobs"], np.cumsum(arrays["lengths"][:, 1])[:-1]))
    shown = iter(arrays["pictures"].tolist())
    rows = iter(zip(arrays["lengths"].tolist(), arrays["rewards"].tolist(), strict=True))
    episodes = []
    for key, group, count, success in zip(
        *(arrays[name].tolist() for name in ("keys", "groups", "turns", "success")), strict=True
    ):
        episode = Episode(env_id, tuple(key), group, context, success=None if success < 0 else bool(success))
        for _ in range(count):
            (_, _, images), reward = next(rows)
            messages = [user(*(ImagePart(type="image", image=pictures[next(shown)]) for _ in range(images)))]
            prompt, reply = next(ids), next(ids)
            episode.turns.append(
                Turn(
                    messages,
                    decode(reply),
                    reward=reward,
                    prompt_ids=prompt,
                    reply_ids=reply,
                    logprobs=next(logprobs),
                )
            )
        episodes.append(episode)
    return episodes
