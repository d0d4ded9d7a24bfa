# `make demo` and `make test` install everything that they need.
PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
TORCH_NPU ?= torch_npu==2.13.0
# If torch_npu is installed without CANN, `import torch` fails unless this is 0.
export TORCH_DEVICE_BACKEND_AUTOLOAD := 0
BIN := $(VENV)/bin
CXX_FILES := $(shell find csrc benchmarks tests examples -name '*.h' -o -name '*.cpp' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help demo finetune test test-socs test-environment lint unit-test cross-tools bench docs format pictures clean

help:  ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    { echo "make requires Python 3.10 or newer; to choose one: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch is installed first and alone, so that later requirements do not replace its build.
# torch_npu provides headers and runs on the emulated NPU; neither requires CANN.
$(VENV)/.torch: | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(TORCH)' numpy pyyaml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps '$(TORCH_NPU)'
	@touch $@

$(VENV)/.demo: pyproject.toml setup.py | $(VENV)/.torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

$(VENV)/.test: pyproject.toml setup.py | $(VENV)/.torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,integrations]'
	@touch $@

demo: $(VENV)/.demo  ## Install, build, and train on the digits data: CPUAdam and torch; emulated NPU and CPU.
	$(BIN)/python examples/train_digits.py
	$(BIN)/python examples/train_digits_on_npu.py

finetune: $(VENV)/.test  ## Install, and train a small Llama with DeepSpeed's ZeRO-2 offload; emulated NPU.
	$(BIN)/python examples/finetune_llama.py

test: $(VENV)/.test  ## Install, check the sources, run all tests; a summary of all parts comes last.
	@$(BIN)/python tests/run_all.py

test-socs: $(VENV)/.test  ## Run the tests of the NPU ops on each emulated SoC: 910B, 910_93 and 950.
	@$(BIN)/python tests/run_all.py socs

test-environment: $(VENV)/.test  ## Install everything that the tests need, and run nothing.

lint: $(VENV)/.test  ## Check the sources only.
	@$(BIN)/python tests/run_all.py lint

unit-test: $(VENV)/.test  ## Run the tests only.
	@$(BIN)/python tests/run_all.py tests

cross-tools:  ## Install cross compilers and qemu for the tests of other CPUs (Debian, as root).
	apt-get install --yes g++-aarch64-linux-gnu g++-riscv64-linux-gnu qemu-user

bench: $(VENV)/.test  ## Compare with other implementations; results go to benchmarks/results.
	$(BIN)/ascend-ops bench adam --json benchmarks/results/adam.json --plot benchmarks/results
	$(BIN)/ascend-ops bench optimizers --json benchmarks/results/optimizers.json --plot benchmarks/results
	$(BIN)/ascend-ops bench npu --emulated --json benchmarks/results/npu.json
	$(BIN)/ascend-ops bench emulator --json benchmarks/results/emulator.json
	$(BIN)/ascend-ops bench kernels --json benchmarks/results/kernels.json

docs: $(VENV)/.test  ## Build the documentation site into build/site; a broken link is an error.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: $(VENV)/.test  ## Reformat all sources.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mdformat *.md csrc docs examples
	$(BIN)/clang-format -i $(CXX_FILES)

pictures:  ## Draw docs/pictures/*.svg from their .dot files; requires Graphviz (Debian: graphviz).
	@for source in docs/pictures/*.dot; do \
	    picture=$${source%.dot}.svg; \
	    dot -Tsvg $$source -o $$picture && \
	    echo "<!-- sha256 of the source: $$(sha256sum < $$source | cut -d' ' -f1) -->" >> $$picture && \
	    echo "drew $$picture" || exit 1; \
	done

clean:  ## Delete the virtual environment and everything built in this folder.
	rm -rf $(VENV) build dist op_builder/prebuilt *.egg-info compile_commands.json
