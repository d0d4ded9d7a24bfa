# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
CXX_FILES := $(shell find csrc benchmarks tests examples -name '*.h' -o -name '*.cpp' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help demo test lint unit-test bench format clean

help:  ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    { echo "Python 3.10 or newer is needed; name one with: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch first and alone: a later requirement that it satisfies then brings no other build of it.
$(VENV)/.torch: | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(TORCH)'
	@touch $@

$(VENV)/.demo: pyproject.toml setup.py | $(VENV)/.torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

$(VENV)/.test: pyproject.toml setup.py | $(VENV)/.torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: $(VENV)/.demo  ## Install, build cpu_adam, train on the digits data with it and with torch.
	$(BIN)/python examples/train_digits.py

test: $(VENV)/.test lint unit-test  ## Install, check the sources, run all tests.

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)
	$(BIN)/python tests/clang_tidy.py

unit-test: $(VENV)/.test
	$(BIN)/python -m pytest

bench: $(VENV)/.test  ## Measure against the peers; figures and plots go to benchmarks/results.
	$(BIN)/ascend-ops bench adam --json benchmarks/results/adam.json --plot benchmarks/results

format: $(VENV)/.test  ## Reformat all sources.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_FILES)

clean:  ## Delete the virtual environment and all that was built in this folder.
	rm -rf $(VENV) build dist op_builder/prebuilt *.egg-info compile_commands.json
