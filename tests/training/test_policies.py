"""Loading the model of a recipe where the recipe wants it."""

from __future__ import annotations

import pytest
import torch

from lmmr1.cli import main
from lmmr1.envs.errors import UserError
from lmmr1.training.config import ModelConfig
from lmmr1.training.policies import load_policy


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_missed_before_any_work(tmp_path, capsys):
    with pytest.raises(UserError, match=r"model\.device is cuda, and this machine shows torch no GPU"):
        load_policy(ModelConfig("tiny", device="cuda"), 0)
    assert main(["train", "fre_text", "--run-dir", str(tmp_path / "run")]) == 2
    assert "model.device is cuda" in capsys.readouterr().err
