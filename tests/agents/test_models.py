"""Model folders: what is saved comes back, pictures become the processor's patches, errors name the part."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from lmmr1.agents import hub
from lmmr1.agents.images import ImageEncoder
from lmmr1.agents.models import load_model
from lmmr1.agents.networks.generic import GenericNetwork
from lmmr1.agents.networks.qwen import QwenNetwork
from lmmr1.agents.tiny import TINY_FOLDER, build_image_processor, build_tokenizer
from lmmr1.envs.errors import UserError

from .models import FAMILIES, random_tiny, save_family

FUSED = {"qwen2_5_vl", "qwen2"}


# --------------------------------------------------------------------------------------------------------- round trip


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_comes_back_as_it_was_saved(family: str, tmp_path: Path) -> None:
    save_family(family, tmp_path / "made")
    first = load_model(str(tmp_path / "made"))
    assert isinstance(first.network, QwenNetwork if family in FUSED else GenericNetwork)
    assert (first.images is not None) == family.endswith("vl")
    first.save(tmp_path / "saved")
    second = load_model(str(tmp_path / "saved"))
    weights, others = (dict(loaded.model.named_parameters()) for loaded in (first, second))
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert (second.end_ids, second.banned_ids, second.pad_id) == (first.end_ids, first.banned_ids, first.pad_id)
    text = "Perimeter\u4e2d <think>12</think>\n"
    assert second.tokenizer.encode(text) == first.tokenizer.encode(text)
    assert second.tokenizer.chat_template == first.tokenizer.chat_template
    # And what was saved is an ordinary folder.
    factory = AutoModelForImageTextToText if family.endswith("vl") else AutoModelForCausalLM
    theirs = factory.from_pretrained(tmp_path / "saved")
    assert all(torch.equal(parameter, weights[name]) for name, parameter in theirs.named_parameters())
    assert AutoTokenizer.from_pretrained(tmp_path / "saved").encode(text) == first.tokenizer.encode(text)


def test_what_is_saved_may_be_read_by_whom_the_folder_is_for(tmp_path: Path) -> None:
    random_tiny().save(tmp_path)
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1


def test_the_embedded_model() -> None:
    loaded = load_model("tiny")
    assert sum(parameter.numel() for parameter in loaded.model.parameters()) < 1_000_000
    assert loaded.tokenizer.decode([loaded.end_ids[0]]) == "<|im_end|>"
    assert not loaded.model.training


def test_random_weights_follow_the_seed_and_leave_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (load_model("tiny-random", seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    weights = [loaded.model.lm_head.weight for loaded in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_bfloat16(tmp_path: Path) -> None:
    save_family("qwen2_5_vl", tmp_path)
    assert {parameter.dtype for parameter in load_model(str(tmp_path), "bfloat16").model.parameters()} == {
        torch.bfloat16
    }


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(TINY_FOLDER, tmp_path / "mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_model("~/mine").images is not None


# ------------------------------------------------------------------------------------------------------------ pictures


@pytest.mark.parametrize(
    "size",
    # Of whole patches, and such that the processor has to resize: odd, too small, too large, long and narrow.
    [(28, 28), (84, 84), (56, 112), (280, 280), (84, 85), (30, 45), (10, 20), (400, 300), (13, 200), (333, 28)],
    ids=str,
)
@pytest.mark.parametrize("processor", [build_image_processor(), Qwen2VLImageProcessorPil()], ids=["tiny", "qwen2_vl"])
def test_patches_are_those_of_the_processor(processor, size: tuple[int, int]) -> None:
    image = np.random.default_rng(size).integers(0, 256, (*size, 3), dtype=np.uint8)
    expected = processor(images=[Image.fromarray(image)], return_tensors="pt")
    pixels = ImageEncoder(processor)(image)
    assert pixels.grid == tuple(expected["image_grid_thw"][0].tolist())
    assert pixels.num_tokens == int(expected["image_grid_thw"].prod()) // processor.merge_size**2
    assert torch.equal(pixels.patches(), expected["pixel_values"])


def test_every_byte_is_scaled_as_the_processor_scales_it() -> None:
    image = np.arange(28 * 28 * 3).reshape(28, 28, 3).astype(np.uint8)
    for processor in (
        build_image_processor(),
        Qwen2VLImageProcessorPil(size={"shortest_edge": 784, "longest_edge": 10**6}),
    ):
        expected = processor(images=[Image.fromarray(image)], return_tensors="pt")["pixel_values"]
        assert torch.equal(ImageEncoder(processor)(image).patches(), expected)


def test_pictures_are_remembered_by_their_content() -> None:
    encoder = ImageEncoder(build_image_processor())
    image = np.zeros((28, 56, 3), np.uint8)
    assert encoder(image) is encoder(image.copy())
    assert encoder(image).digest != encoder(image.reshape(56, 28, 3)).digest
    assert encoder(image).digest != encoder(image + np.uint8(1)).digest


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 4), (1, 28, 28, 3)], ids=str)
def test_what_is_no_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must be a \(H, W, 3\) uint8 array"):
        ImageEncoder(build_image_processor())(np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="float64"):
        ImageEncoder(build_image_processor())(np.zeros((28, 28, 3)))


# -------------------------------------------------------------------------------------------------------------- errors


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def overwritten(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content, encoding="utf-8")


def truncated(size: int) -> Callable[[Path], None]:
    def cut(folder: Path) -> None:
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:size])

    return cut


def without_a_weight(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    [name] = [name for name in tensors if name.endswith("model.norm.weight")]  # the name that is saved
    del tensors[name]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def with_other_sizes(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["text_config"]["intermediate_size"] = 128
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without("config.json"), "the folder is no model's, it has no config.json"),
        (overwritten("config.json", "{"), "cannot read config.json"),
        (overwritten("config.json", '{"model_type": "wishful"}'), "cannot read config.json: .*wishful"),
        (overwritten("config.json", '{"model_type": "llava"}'), "is a llava: it must be a qwen2_vl"),
        (without("preprocessor_config.json"), r"cannot read its image processor \(preprocessor_config.json or"),
        (overwritten("preprocessor_config.json", "[]"), "cannot read its image processor"),
        (without("tokenizer.json"), r"cannot read its tokenizer \(tokenizer.json\)"),
        (overwritten("tokenizer.json", '{"model": '), "cannot read its tokenizer"),
        (without("chat_template.jinja"), "has no chat template"),
        (without("model.safetensors"), r"cannot read its weights \(\*\.safetensors\)"),
        (truncated(100_000), "cannot read its weights"),
        (truncated(3), "cannot read its weights"),
        (truncated(0), "cannot read its weights"),
        (without_a_weight, "cannot read its weights .*: model.language_model.norm.weight is missing"),
        (with_other_sizes, "cannot read its weights .* has another shape than config.json says"),
    ],
)
def test_a_damaged_folder_is_one_line(
    damage: Callable[[Path], object], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(TINY_FOLDER, folder)
    damage(folder)
    with pytest.raises(UserError, match=message) as caught:
        load_model(str(folder))
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")  # nobody tells it a second time


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "a model needs a name or a folder"),
        ("./nowhere", "there is no folder nowhere"),
        ("/nowhere/at/all", "there is no folder /nowhere/at/all"),
        ("a/b/c", "no model on the hub can have this name"),
        ("two words", "no model on the hub can have this name"),
        (__file__, "is a file: give the folder that holds it"),
    ],
)
def test_a_place_that_holds_no_model(source: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_model(source)


def test_the_folder_of_a_run_is_no_model_but_holds_some(tmp_path: Path) -> None:
    shutil.copytree(TINY_FOLDER, tmp_path / "models" / "fre")
    with pytest.raises(UserError, match=f"did you mean {tmp_path}/models/fre"):
        load_model(str(tmp_path))


# ------------------------------------------------------------------------------------------------------------- the hub


def raising(error: Exception) -> Callable[..., None]:
    def model_info(*_: object, **__: object) -> None:
        raise error

    return model_info


def made(kind: type[HfHubHTTPError]) -> HfHubHTTPError:
    # Their constructors want a response of the HTTP library that happens to be there.
    return kind.__new__(kind, "the hub says no")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (made(RepositoryNotFoundError), "no such folder, and no such model at"),
        (made(GatedRepoError), "asks for an agreement first: accept it at"),
        (ConnectionError("no network"), r"cannot be reached \(no network\), and the local cache holds no copy"),
        (made(HfHubHTTPError), "cannot be reached"),
    ],
)
def test_what_the_hub_may_say(error: Exception, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub.HfApi, "model_info", raising(error))
    with pytest.raises(UserError, match=message):
        load_model("nobody/nothing-at-all")


def test_without_a_network_the_cache_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub.HfApi, "model_info", raising(ConnectionError("no network")))
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: "/somewhere/config.json")
    assert hub.locate_model("some/model") == ("some/model", {"local_files_only": True})
    monkeypatch.setattr(hub.HfApi, "model_info", lambda *_, **__: None)
    assert hub.locate_model("some/model") == ("some/model", {})


def test_tokenizer_reads_any_text() -> None:
    tokenizer = build_tokenizer()
    text = "Perimeter 12\u00e9\u4e2d\U0001f642\n\x00<|im_start|>"
    assert tokenizer.decode(tokenizer.encode(text), clean_up_tokenization_spaces=False) == text
