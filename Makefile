# The README's two commands. Both make .venv, install this project into it, and go.
PYTHON ?= python3
BIN := .venv/bin
# torch asks every core of every process for threads; two processes that do so run at a third of the speed of one
export OMP_WAIT_POLICY := PASSIVE
export GOMP_SPINCOUNT := 0

.PHONY: run test
run: .venv/installed
	$(BIN)/python run_all.py

test: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -q -rs
	$(BIN)/python run_all.py --profile smoke --force
	$(BIN)/python -m pytest -q --nbval-lax notebooks

.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@
