# The README's two commands are `make run` and `make test`; both make .venv and install this project into it.
PYTHON ?= python3
BIN := .venv/bin
# Two processes whose threads spin while they wait run at a third of the speed of one: let threads sleep instead.
export OMP_WAIT_POLICY := PASSIVE
export GOMP_SPINCOUNT := 0

.DEFAULT_GOAL := help
.PHONY: help run book test unit wheels constraints clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

run: .venv/installed  ## install, then run the notebooks of the profile quick
	$(BIN)/python run_all.py

book: .venv/installed-book  ## build the book of the reference run: outputs/book/reference/index.html
	$(BIN)/python -m book

test: .venv/installed-test  ## install, then lint, layers, types, unit tests, the chain on a tiny model, notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/ty check
	$(BIN)/python -m pytest -q -rs -n auto --dist worksteal
	$(BIN)/python run_all.py --profile smoke --force
	$(BIN)/python -m pytest -q --nbval-lax notebooks

unit: .venv/installed-test  ## the unit tests alone
	$(BIN)/python -m pytest -q -rs -n auto --dist worksteal

wheels: .venv/installed-test  ## show that every dependency has a wheel for each Python and system
	$(BIN)/python tools/wheels.py

constraints: .venv/installed-test  ## write what is installed now to constraints.txt
	$(BIN)/python tools/constraints.py

clean:  ## remove .venv; outputs/ stays
	rm -rf .venv

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-book: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[book]'
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@
