PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow check clean

demo: .venv/.installed
	$(BIN)/gradscape demo

test: .venv/.installed-dev
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: .venv/.installed-dev
	$(BIN)/python -m pytest -n 2 -m slow

check: .venv/.installed-dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv

.venv/.installed: pyproject.toml constraints.txt
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@
