# make run      everything on this machine, with a simulated Nexudus
# make test     all checks and all tests
# make install  only the virtual environment
# make bench    benchmarks beside the peers
# make faults   the long fault suite
# make lock     renew the pinned requirements (for maintainers; needs uv)

PYTHON ?= python3
BIN := .venv/bin
LOCK := deploy/requirements.lock
DEV_LOCK := tests/requirements.lock
# As many test processes as cores, but never fewer than two: several tests wait for processes rather than compute.
JOBS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$(( n < 2 ? 2 : n )))

.PHONY: run test check unit install bench faults lock clean

run: .venv/installed
	$(BIN)/frontdesk up --demo

install: .venv/tested

test: check unit

check: .venv/tested
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: .venv/tested
	$(BIN)/pytest -n $(JOBS)

bench: .venv/tested
	$(BIN)/python -m tests.benchmarks

faults: .venv/tested
	FRONTDESK_TEST_LONG=1 $(BIN)/pytest tests/faults -n 1

.venv/installed: $(LOCK) pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

.venv/tested: .venv/installed $(DEV_LOCK)
	$(BIN)/python -m pip install --quiet --require-hashes -r $(DEV_LOCK)
	touch $@

# --universal: one lock for Python 3.11 to 3.13 on every platform; the build backend is in it, for --no-build-isolation.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --group build -o $(LOCK) pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --group build --group dev -o $(DEV_LOCK) pyproject.toml

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
