# Needs Python 3.11 or newer, git and make; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test check bench clean

help:              ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## */\t/'

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: $(VENV)/installed  ## derive a real network, in colour, and check it
	$(BIN)/symbp derive examples/digits.symbp --form delta
	$(BIN)/symbp check examples/digits.symbp

test: $(VENV)/installed  ## all tests
	$(BIN)/python -m pytest -n 2

check: $(VENV)/installed ## formatting, lint, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2

bench: $(VENV)/installed ## measured claims: cost against depth, start-up
	$(BIN)/python benchmarks/depth.py
	$(BIN)/python benchmarks/blocks.py

clean:             ## remove what make created
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
