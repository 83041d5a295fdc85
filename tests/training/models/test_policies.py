"""Loading the model of a recipe where the recipe wants it."""

from __future__ import annotations

import pytest
import torch

from lmmr1.cli import main
from lmmr1.envs.errors import UserError
from lmmr1.training.config import ModelConfig
from lmmr1.training.policies import load_policy
from lmmr1.training.recipe import load_recipe


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_missed_before_any_work(tmp_path, capsys):
    with pytest.raises(UserError, match=r"model\.device is cuda, and this machine shows torch no GPU"):
        load_policy(ModelConfig("tiny", device="cuda"), 0)
    assert main(["train", "fre_text", "--run-dir", str(tmp_path / "run")]) == 2
    assert "model.device is cuda" in capsys.readouterr().err


def test_short_forms_of_what_everybody_types():
    words = {
        "engine": "vllm",
        "backend": "deepspeed",
        "launcher": "ray",
        "address": "head:6379",
        "model": "tiny-random",
    }
    recipe = load_recipe("fre_text_tiny", list(words.items()))
    assert (recipe.engine.kind, recipe.backend.kind, recipe.launcher.kind) == ("vllm", "deepspeed", "ray")
    assert (recipe.launcher.address, recipe.model.path) == ("head:6379", "tiny-random")
    with pytest.raises(UserError, match="launcher.address needs kind ray"):
        load_recipe("fre_text_tiny", [("address", "head:6379")])
