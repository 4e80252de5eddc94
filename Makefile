# make run      the registry on http://127.0.0.1:5050, its data in ./moorage-data
# make test     every test; ARGS='-k name' selects
# make clients  the real clients that tests/wire drives (Debian 12, as root)
# make lint     ruff, mypy, import-linter
# make shape    what is long or wide: files, functions, interfaces
# make shapes   the AWS types again from botocore's models
# make bench    measurements beside a peer

# The documentation's tests run make below make.
MAKEFLAGS += --no-print-directory

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: run test clients lint shape shapes bench

run: $(READY)
	$(BIN)/moorage serve

test: $(READY)
	$(BIN)/python -m pytest $(ARGS)

clients:
	dev/clients.sh

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

shape: $(READY)
	$(BIN)/python dev/shape.py

shapes: $(READY)
	$(BIN)/python dev/shapes.py

bench: $(READY)
	$(BIN)/python -m bench

# Dependency groups came with pip 25.1; a new virtual environment may hold an older one.
$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev --editable '.[postgres]'
	touch $@
