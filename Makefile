# Two commands set everything up by themselves: `make demo` shows the main job, `make test` passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
VLLM_PYTHON ?= .venv-vllm/bin/python
BENCH_DIR ?= build/benchmarks
PEERS_PYTHON ?=

.PHONY: help demo test lint test-engines test-gpu bench docs clean

help:  ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	$(BIN)/python -m compileall -q ctq  # an editable install has no bytecode yet: where none may be written later, each start would compile
	touch $@

demo: $(STAMP)  ## build a small real checkpoint, quantize it with the head included, and show the result
	PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/quickstart.sh

lint: $(STAMP)  ## ruff and mypy
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: $(STAMP) lint  ## lint, then the tests (minutes on two cores)
	$(BIN)/python -m pytest -n 2 -m "not engine and not gpu" -q

test-engines: $(STAMP)  ## real vLLM, in a virtual environment of its own
	bash tests/engines/install.sh
	CTQ_VLLM_PYTHON="$(CURDIR)/$(VLLM_PYTHON)" $(BIN)/python -m pytest tests/engines -m engine -q

test-gpu: $(STAMP)  ## what needs a CUDA device; skips without one
	$(BIN)/python -m pytest -m gpu -q

bench: $(STAMP)  ## measure everything (BENCH_DIR, 30 GB; with PEERS_PYTHON the peers too) and write docs/benchmarks.md anew
	$(BIN)/python -m benchmarks.run $(BENCH_DIR) $(if $(PEERS_PYTHON),--peers-python $(PEERS_PYTHON))
	$(BIN)/python -m benchmarks.page

docs: $(STAMP)  ## write the generated pages anew
	$(BIN)/ctq rules --markdown > docs/rules.md

clean:  ## remove the virtual environments and what was built
	rm -rf .venv .venv-vllm demo build dist
