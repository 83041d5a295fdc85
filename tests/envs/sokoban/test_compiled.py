"""Numba where it is installed, plain Python where it is not, and neither where it is not needed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from lmmr1.envs.compiling.kernel import buffer, has_numba, kernel


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_tests_have_numba() -> None:
    # CI installs the extra: otherwise half of the tests of the engines would test one engine twice.
    assert has_numba() and isinstance(buffer([1, 2]), np.ndarray)


def test_a_single_environment_does_without_numba() -> None:
    code = (
        "import sys, gymnasium, lmmr1\nenv = gymnasium.make('LMMR1/Sokoban-v0')\nenv.reset(seed=0)\n"
        "for _ in range(50): env.step(env.action_space.sample())\nchat = lmmr1.ChatEnv(env)\n"
        "chat.reset(seed=1); chat.solution()\nprint('numba' in sys.modules)"
    )
    assert run(code) == "False"


def test_all_of_it_runs_without_numba() -> None:
    code = (
        "import sys\nsys.modules['numba'] = None\nimport gymnasium, lmmr1\n"
        "from lmmr1.envs.sokoban.speech.presets import PRESETS, preset\n"
        "for name in ('small-v0', 'magebench-global', 'vagen'):\n"
        "    chat = preset(name).make(); chat.reset(seed=0); chat.solution()\n"
        "envs = gymnasium.make_vec('LMMR1/Sokoban-v0', num_envs=3, num_boxes=2, generation='fast', pool=5)\n"
        "envs.reset(seed=0); envs.step(envs.action_space.sample())\nprint(envs.engine)"
    )
    assert run(code) == "numpy"


def test_a_kernel_that_cannot_be_cached_is_compiled_all_the_same() -> None:
    namespace: dict = {}
    exec(compile("def add(x, y):\n    return x + y", "<no file>", "exec"), namespace)
    add = kernel(namespace["add"])
    assert add is not namespace["add"] and add(2, 3) == 5


@pytest.mark.parametrize("values", [[1, 2, 3], np.arange(6).reshape(2, 3)])
def test_lists_stand_for_arrays_in_plain_python(values) -> None:
    code = (
        "import sys\nsys.modules['numba'] = None\nimport numpy as np\n"
        "from lmmr1.envs.compiling.kernel import buffer, kernel\n"
        f"print(buffer(np.array({np.asarray(values).tolist()})), kernel(len) is len)"
    )
    assert run(code) == f"{np.asarray(values).ravel().tolist()} True"
