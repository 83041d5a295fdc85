"""Makes docs/experiments.md from the results of the experiments: run `lmmr1 experiment NAME` for each of them first.

python docs/making/experiments.py experiments
"""

import shutil
import sys
from pathlib import Path

from lmmr1.evaluation.experiments.experiment import experiment_names

HERE = Path(__file__).resolve().parents[1]
ORDER = ("fre", "mgt", "sft_rl", "alpha", "data_quality", "transfer", "kl", "length")
HEAD = """\
# The paper's experiments at tiny scale

Each is a file in `evaluation/experiments/` and one command, `lmmr1 experiment NAME`; `lmmr1 experiment` lists them.
The embedded model (half a million parameters) stands in for the 3-billion model of the paper, four kinds of problems
about shapes for its data sets, and 15 to 30 iterations for its training. So these say what the method does at this
scale, not whether the paper is right.

Three seeds of training. Arms are compared on the same problems (96 a task and seed, 64 of Sokoban): the mean
difference, its 95 % bootstrap interval over problems, and the difference under each seed. "Seen" is said where the
interval lies above 0 and every seed agrees; the intervals know of problems, not of seeds, and three seeds are few. In
the figures a bar is the median of the seeds, and the band around a curve goes from the lowest to the highest.

"""


def main(root: Path) -> None:
    """Write the page and copy the figures."""
    assert sorted(ORDER) == experiment_names(), "an experiment is missing in the order of this page"
    assets = HERE / "assets" / "experiments"
    assets.mkdir(parents=True, exist_ok=True)
    parts = []
    for name in ORDER:
        text = (root / name / f"{name}.md").read_text(encoding="utf-8")
        shutil.copy(root / name / f"{name}.png", assets / f"{name}.png")
        parts.append(text.replace(f"({name}.png)", f"(assets/experiments/{name}.png)"))
    (HERE / "experiments.md").write_text(HEAD + "\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
