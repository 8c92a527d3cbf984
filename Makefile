# Needs Python 3.11 or newer, git and make; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

TEX := texlive-latex-recommended texlive-fonts-recommended texlive-pictures texlive-xetex texlive-lang-chinese lmodern

.PHONY: help demo test test-tex check bench docs clean

help:              ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## */\t/'

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: $(VENV)/installed  ## derive a real network, in colour, and check it
	$(BIN)/symbp derive examples/digits.symbp --form delta
	$(BIN)/symbp check examples/digits.symbp

# Formulas are read by KaTeX too, where npm is; without it those tests are skipped.
tests/katex/node_modules: tests/katex/package.json
	@if command -v npm > /dev/null; then npm ci --prefix tests/katex --silent --no-audit --no-fund || true; fi

test: $(VENV)/installed tests/katex/node_modules  ## all tests
	$(BIN)/python -m pytest -n 2

test-tex: $(VENV)/installed  ## install TeX (Debian), and compile notes and slides of every network
	@command -v xelatex > /dev/null || (apt-get update -q && apt-get install -y -q --no-install-recommends $(TEX))
	$(BIN)/python -m pytest -n 0 tests/test_tex.py

check: $(VENV)/installed tests/katex/node_modules ## formatting, lint, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2

bench: $(VENV)/installed ## measured claims: cost against depth, start-up
	$(BIN)/python benchmarks/depth.py
	$(BIN)/python benchmarks/blocks.py

docs: $(VENV)/installed  ## the documentation site, with its gallery, in build/site
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[docs]'
	$(BIN)/python docs/make_gallery.py
	$(BIN)/mkdocs build --strict --quiet
	@echo build/site/index.html

clean:             ## remove what make created
	rm -rf $(VENV) build docs/gallery tests/katex/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
