# What one does with this checkout. `make` alone lists it. Nothing has to be prepared: each target that needs the
# virtual environment makes it, and makes it again when setup.cfg or pyproject.toml change.

# The Python to build the environment with: the first of these that is 3.11 or newer. Or: make setup PYTHON=/path/to/it
PYTHON ?= $(or $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python3.14,$(shell \
	$(name) -c 'import sys; sys.version_info < (3, 11) or print(sys.executable)' 2>/dev/null))),$(error \
	no Python 3.11 or newer found; name one: make PYTHON=/path/to/python3))
VENV ?= .venv
# What is passed on to the command behind a target: make test ARGS="tests/paxos -x"
ARGS ?=
# How many processes run the tests side by side, each file in one of them. 0: pytest alone, as for --pdb.
WORKERS ?= 2
# Where `make cell` mounts the cell; nothing: nowhere.
MOUNT ?= ls/local

BIN := $(VENV)/bin
READY := $(VENV)/.ready
CODE := chubby tests $(wildcard bench fuse_mount)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup cell test simulate hunt fuzz torture mutants prove check lint types layers proto verify-proto coverage bench\
    bench-peers profile clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## Make the virtual environment, with everything in it

$(READY): setup.cfg pyproject.toml
	test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,bench]'
	@touch $@

cell: $(READY)  ## Start the local cell: five replicas on this machine, shown as ./ls/local (MOUNT= leaves that out)
	$(BIN)/chubby cell start $(if $(MOUNT),--mount $(MOUNT)) $(ARGS)

test: $(READY)  ## Run the tests, two files at a time (WORKERS=2)
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

simulate: $(READY)  ## Run whole cells in the seeded simulator (SEEDS=50 START=0 JOBS=1, or SEED=7 TRACE=1)
	$(BIN)/python -m tests.simulation --start $(or $(START),0) --seeds $(or $(SEEDS),50) \
	    $(if $(SEED),--seed $(SEED)) $(if $(TRACE),--trace) $(if $(JOBS),--jobs $(JOBS)) $(ARGS)

hunt: $(READY)  ## Run new seeds until Ctrl-C, and keep a ledger of them in .hunt/ (JOBS=2)
	$(BIN)/python -m tests.simulation --hunt --jobs $(or $(JOBS),1) $(ARGS)

fuzz: $(READY)  ## Fuzz every door that strangers' bytes come through (MINUTES=10 TARGET=session_stream KEEP=1)
	$(BIN)/python -m tests.fuzzing $(TARGET) --minutes $(or $(MINUTES),10) $(if $(KEEP),--keep) $(ARGS)

torture: $(READY)  ## Torture five real replicas on machines of their own, with real clients (MINUTES=5 SEED=7 KEEP=dir)
	$(BIN)/python -m tests.torture --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED)) \
	    $(if $(KEEP),--keep $(KEEP)) $(ARGS)

mutants: $(READY)  ## Put each known bug into the product and see the simulator find it (NAMES= SEEDS=2000 JOBS=1)
	$(BIN)/python -m tests.mutants $(NAMES) --seeds $(or $(SEEDS),2000) --jobs $(or $(JOBS),1) $(ARGS)

prove: $(READY)  ## What each change has to pass of the proof: 300 seeds, kept plans, each mutant as recorded (JOBS=2)
	$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),300) --jobs $(or $(JOBS),2)
	$(BIN)/python -m tests.simulation --kept --jobs $(or $(JOBS),2)
	$(BIN)/python -m tests.mutants --recorded --jobs $(or $(JOBS),2)

check: lint types layers verify-proto prove test  ## All that must hold before a change lands

lint: $(READY)  ## Check style and likely bugs (ruff)
	$(BIN)/ruff check .

types: $(READY)  ## Check types (mypy, strict)
	$(BIN)/mypy $(CODE)

layers: $(READY)  ## Check that imports point down the tower (import-linter)
	$(BIN)/lint-imports

proto: $(READY)  ## Generate the stubs of the protocol anew
	$(BIN)/python -m chubby.wire.generate

verify-proto: $(READY)  ## Check that the stubs are what the protocol generates
	$(BIN)/python -m chubby.wire.generate --check

coverage: $(READY)  ## Run the tests and show which lines and branches they leave out
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage report

bench: $(READY)  ## Measure a cell alone: two minutes, a table (or others: ARGS="done_when mount simulation")
	$(BIN)/python -m bench $(ARGS)

bench-peers: $(READY)  ## Measure it beside etcd and ZooKeeper, install them if root, write docs/benchmarks.md
	$(BIN)/python -m bench.crowd
	$(BIN)/python -m bench.compare --install $(ARGS)

profile: $(READY)  ## Draw a flame graph of the master under load (ARGS="reads --in-flight 10 --of client")
	$(BIN)/python -m bench.profiling $(ARGS)

clean:  ## Remove caches and build products; the environment and the cells' data stay
	rm -rf build dist *.egg-info .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +
