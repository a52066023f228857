PYTHON ?= python3
BIN := .venv/bin
# Commands that tests start compile the package once. Files go to the two processes in their order, so that no long one is
# left for the end.
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-all test-reference test-zoo test-zoo-tenth test-wild test-wild-tenth aborts fuzz kill leaks check clean

demo: .venv/.installed
	$(BIN)/gradscape demo

test: .venv/.installed-dev
	$(PYTEST)

test-all: .venv/.installed-dev
	$(PYTEST) -m "not zoo and not wild and not reference"

test-reference: .venv/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m reference tests/landscape

test-zoo: .venv/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m zoo tests/models/test_zoo.py

test-zoo-tenth: .venv/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m tenth tests/models/test_zoo.py

test-wild: .venv/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m wild tests/wild

test-wild-tenth: .venv/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m tenth tests/wild

# Campaigns, which go on where they stopped and add to docs/robustness.md: N aborted calls in all, N damaged inputs of a
# seed (make fuzz N=100000 SEED=1), N kills more.
aborts: .venv/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.aborts.campaign $(or $(N),10000)

fuzz: .venv/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --inputs $(or $(N),2000) --seed $(or $(SEED),1)

kill: .venv/.installed-dev
	$(BIN)/python -m tests.kill $(or $(N),100)

leaks: .venv/.installed-dev
	OMP_NUM_THREADS=1 GRADSCAPE_LEAK_CALLS=300 $(BIN)/python -m pytest -n 2 -m slow tests/aborts/test_leaks.py

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
