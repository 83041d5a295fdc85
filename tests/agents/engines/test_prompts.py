"""Prompts with one mark an image, and back; settings of an engine."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import AutoImageProcessor

from lmmr1.agents.engines.config import EngineConfig
from lmmr1.agents.engines.vllm.prompts import check_expansion, expanded, to_prompt, unexpanded
from lmmr1.agents.images import ImageEncoder
from lmmr1.agents.models import LoadedModel
from lmmr1.agents.tiny import TINY_FOLDER, build_image_processor
from lmmr1.envs.errors import UserError

from ..models import random_tiny
from .parity import picture_requests, text_requests


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return random_tiny()


def test_each_image_has_one_mark_and_the_way_back_is_exact(loaded: LoadedModel) -> None:
    mark = loaded.model.config.image_token_id
    for request in [*text_requests(loaded, 2), *picture_requests(loaded)]:
        ids = unexpanded(request.prompt_ids, request.images, mark)
        assert ids.count(mark) == len(request.images)
        assert np.array_equal(expanded(ids, request.images, mark), request.prompt_ids)


def test_images_with_nothing_between_them_keep_their_own_marks(loaded: LoadedModel) -> None:
    assert loaded.images is not None
    first, second = (loaded.images(np.zeros((side, 28, 3), np.uint8)) for side in (56, 84))
    prompt = np.array([1, *[9] * 2, *[9] * 3, 4], np.int32)
    assert unexpanded(prompt, [first, second], 9) == [1, 9, 9, 4]
    assert np.array_equal(expanded([1, 9, 9, 4], [first, second], 9), prompt)


@pytest.mark.parametrize(
    ("ids", "message"),
    [([1, 9, 4], "fewer image tokens"), ([9, 9, 1, 9], "more image tokens"), ([1, 4], "fewer image")],
)
def test_a_prompt_whose_image_tokens_do_not_fit_its_images(loaded: LoadedModel, ids: list[int], message: str) -> None:
    assert loaded.images is not None
    with pytest.raises(UserError, match=message):
        unexpanded(np.array(ids, np.int32), [loaded.images(np.zeros((56, 28, 3), np.uint8))], 9)
    with pytest.raises(UserError, match="no images"):
        unexpanded(np.array([9], np.int32), [], 9)


def test_what_vllm_is_given_and_what_it_must_report(loaded: LoadedModel) -> None:
    request = picture_requests(loaded)[1]
    prompt = to_prompt(request, loaded.images, loaded.model.config.image_token_id)
    assert [picture.size for picture in prompt["multi_modal_data"]["image"]] == [(84, 56), (28, 28)]
    assert prompt["multi_modal_uuids"]["image"] == [image.digest.hex() for image in request.images]
    check_expansion(request, request.prompt_ids.tolist())
    with pytest.raises(UserError, match="ran a prompt of 3 tokens where ours has"):
        check_expansion(request, [1, 2, 3])
    plain = text_requests(loaded, 1)[0]
    assert to_prompt(plain, None, None) == {"prompt_token_ids": plain.prompt_ids.tolist()}


@pytest.mark.parametrize("own", [True, False], ids=["pillow", "as installed"])
@pytest.mark.parametrize("size", [(100, 90), (300, 333), (84, 84), (20, 50), (700, 30)])
def test_a_shown_picture_has_the_patches_of_the_original(own: bool, size: tuple[int, int]) -> None:
    encoder = ImageEncoder(build_image_processor() if own else AutoImageProcessor.from_pretrained(TINY_FOLDER))
    image = encoder(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))
    picture = encoder.shown(image)
    assert picture.shape == (*(14 * count for count in image.grid[1:]), 3)
    again = encoder(picture)
    assert again.grid == image.grid
    # One step of a byte's 256 is 8e-3 here.
    assert np.allclose(again.patches().numpy(), image.patches().numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "sglang"}, "kind must be one of hf, vllm; not 'sglang'"),
        ({"kind": "vllm", "transfer": "disk"}, "transfer must be one of auto, memory, file, nccl, ipc; not 'disk'"),
        ({"kind": "vllm", "tensor_parallel": 0}, "tensor_parallel must be at least 1, not 0"),
        ({"kind": "vllm", "gpu_memory_utilization": 1.5}, "gpu_memory_utilization must be above 0 and at most 1"),
        ({"kind": "vllm", "kv_cache_gib": float("nan")}, "kv_cache_gib must be above 0, not nan"),
        ({"sleep": True}, "sleep has no meaning for engine.kind hf"),
        ({"kind": "vllm", "separate": True, "transfer": "memory"}, "needs vLLM in the learner's process"),
        ({"kind": "vllm", "transfer": "ipc"}, "'ipc' goes from process to process"),
        ({"kind": "vllm", "separate": True, "transfer": "nccl", "sleep": True}, "sleep is for an engine that shares"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        EngineConfig(**settings)
