"""examples/slurm/train.sbatch, with programs in the path that only write down how they were called."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "examples/slurm/train.sbatch"
PROGRAMS = {
    # Slurm's own options end at the first word without dashes; the rest is run here, as the machine it names.
    "srun": """
        echo "srun $*" >> "$LOG"
        machine=all
        while [[ "$1" == --* ]]; do
            case "$1" in --nodelist=*) machine="${1#*=}" ;; esac
            shift
        done
        MACHINE="$machine" exec "$@"
    """,
    "scontrol": 'echo "scontrol $*" >> "$LOG"; printf "%s\\n" node7 node8 node9',
    "hostname": 'echo "10.0.0.7 fe80::1"',
    "ray": """
        trap 'echo "$MACHINE: ray ended" >> "$LOG"; exit 0' TERM
        echo "$MACHINE: ray $*" >> "$LOG"
        case "$1" in
            status) [ -z "${NO_HEAD:-}" ] && [ -e "$LOG.head" ] ;;
            start)
                [[ "$*" == *--head* ]] && touch "$LOG.head"
                while :; do sleep 0.1; done ;;
        esac
    """,
    "lmmr1": """
        trap 'echo "$MACHINE: trainer asked to stop" >> "$LOG"; exit 130' TERM
        echo "$MACHINE: lmmr1 $*" >> "$LOG"
        [ "$1" = doctor ] && { echo "DeepSpeed backend  no"; exit "${DOCTOR:-0}"; }
        until [ "$(grep -c ': ray start' "$LOG")" = 3 ]; do sleep 0.1; done
        for ((i = 0; i < ${SECONDS_OF_TRAINING:-0} * 10; i++)); do sleep 0.1; done
        exit "${TRAIN:-0}"
    """,
}


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in PROGRAMS.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/usr/bin/env bash\n{text}\n", encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setenv("LMMR1_PAUSE", "0.1")
    monkeypatch.setenv("SLURM_JOB_ID", "12345")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "node[7-9]")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "64")
    monkeypatch.setenv("SLURM_GPUS_ON_NODE", "8")
    return tmp_path / "log"


def submit(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SCRIPT), *words], capture_output=True, text=True, timeout=60)


def calls(log: Path, program: str) -> list[str]:
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return [line for line in lines if f" {program} " in line and not line.startswith("srun")]


def test_ray_on_every_machine_and_the_trainer_beside_its_head(log: Path):
    done = submit("mgt_sokoban", "--model", "/data/fre text", "--backend.stage", "3")
    assert done.returncode == 0, done.stderr
    assert "scontrol show hostnames node[7-9]" in log.read_text(encoding="utf-8")
    port = 20000 + 12345
    starts = [line for line in calls(log, "ray") if "ray start" in line]
    assert starts[0].startswith("node7: ray start --block --num-cpus=64 --num-gpus=8 --head --node-ip-address=10.0.0.7")
    assert f"--port={port}" in starts[0]
    workers = [f"node{n}: ray start --block --num-cpus=64 --num-gpus=8 --address=10.0.0.7:{port}" for n in (8, 9)]
    assert sorted(starts[1:]) == workers
    (train,) = [line for line in calls(log, "lmmr1") if "lmmr1 train" in line]
    assert train == (
        "node7: lmmr1 train mgt_sokoban --resume auto --engine vllm --backend deepspeed --launcher ray "
        f"--launcher.address 10.0.0.7:{port} --model /data/fre text --backend.stage 3"
    )
    assert "all: lmmr1 doctor --need train vllm deepspeed ray" in log.read_text(encoding="utf-8")
    assert log.read_text(encoding="utf-8").count("ray ended") == 3, "Ray outlived the job"


def test_a_trainer_that_fails_fails_the_job(log: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRAIN", "2")
    assert submit("mgt_sokoban").returncode == 2
    assert log.read_text(encoding="utf-8").count("ray ended") == 3


def test_the_signal_before_the_end_reaches_the_trainer(log: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECONDS_OF_TRAINING", "60")
    job = subprocess.Popen([str(SCRIPT), "fre_text"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any("lmmr1 train" in line for line in calls(log, "lmmr1")) and time.monotonic() < deadline:
        time.sleep(0.1)
    job.send_signal(signal.SIGTERM)
    job.communicate(timeout=60)
    assert job.returncode == 130
    text = log.read_text(encoding="utf-8")
    assert "node7: trainer asked to stop" in text and text.count("ray ended") == 3


def test_nothing_is_started_where_it_would_not_work(log: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOCTOR", "1")
    done = submit("fre_text")
    assert done.returncode == 1
    assert "DeepSpeed backend  no" in done.stderr and "error: some of what this needs does not work" in done.stderr
    assert not calls(log, "ray")


def test_a_head_that_does_not_answer(log: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_HEAD", "1")
    monkeypatch.setenv("LMMR1_PAUSE", "0.01")
    done = submit("fre_text")
    assert done.returncode == 1 and "did not answer at 10.0.0.7:32345" in done.stderr
    assert not any("lmmr1 train" in line for line in calls(log, "lmmr1"))


def test_what_is_missing_is_told(log: Path, monkeypatch: pytest.MonkeyPatch):
    done = submit()
    assert done.returncode == 2 and "error: name a recipe" in done.stderr
    monkeypatch.delenv("SLURM_JOB_ID")
    done = submit("fre_text")
    assert done.returncode != 0 and "this runs inside a Slurm job" in done.stderr
