PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet -c constraints.txt

# OpenMP threads that spin while they wait make training several times slower on a busy machine.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help demo test lint benchmark clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

demo: $(VENV)/.train  ## train, compare and search on the data that comes with smec, about a minute
	$(BIN)/smec demo

test: lint  ## everything that must hold before a change lands
	$(BIN)/python -m pytest

lint: $(VENV)/.dev  ## format, style, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmark: $(VENV)/.dev  ## regenerate the numbers of the README
	$(BIN)/python benchmarks/core.py --write-readme

clean:  ## remove everything that was made
	rm -rf $(VENV) build dist smec-demo .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The stamps make a second run start at once; a change of the dependencies installs again.
$(VENV)/.train: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[train]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[dev]'
	touch $@ $(VENV)/.train
