PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet -c constraints.txt

# OpenMP threads that spin while they wait make training several times slower on a busy machine.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help demo test test-integrations lint benchmark benchmark-quick clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

demo: $(VENV)/.train  ## train, compare and search on the data that comes with smec, about a minute
	$(BIN)/smec demo

# A process per core and one thread in each: several of both on one core wait for each other.
test: lint  ## everything that must hold before a change lands
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

test-integrations: $(VENV)/.integrations  ## smec with other projects, the real ones; some gigabytes to install
	$(BIN)/python -m pytest tests/integrations

lint: $(VENV)/.dev  ## format, style, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmark: $(VENV)/.benchmark  ## regenerate every figure of the documentation: hours; goes on where it stopped
	$(BIN)/python -m benchmarks

benchmark-quick: $(VENV)/.dev  ## the main table on the data that comes with smec, some minutes, in smec-benchmark/
	$(BIN)/python -m benchmarks --quick --results smec-benchmark --docs smec-benchmark
	$(BIN)/python -m benchmarks.check_page smec-benchmark smec-benchmark

clean:  ## remove everything that was made
	rm -rf $(VENV) build dist smec-demo smec-benchmark .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The stamps make a second run start at once; a change of the dependencies installs again.
$(VENV)/.train: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[train]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[dev]'
	touch $@ $(VENV)/.train

$(VENV)/.integrations: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[dev,integrations]'
	touch $@ $(VENV)/.dev $(VENV)/.train

$(VENV)/.benchmark: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[benchmark]'
	touch $@
