# Two commands matter: `make run` (set up and start the whole chain) and `make test` (set up and run all tests).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ./data
RUN_OPTIONS ?=
TESTS ?=

.PHONY: run test lint bench fuzz soak conformance peers lock format clean

$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch $@

$(VENV)/ready-dev: requirements-dev.lock $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $@

run: $(VENV)/ready  ## set up everything and start the whole chain, encrypted, on this machine
	$(BIN)/strongroom up $(DATA) $(RUN_OPTIONS)

test: $(VENV)/ready-dev  ## set up everything and run all tests
	$(BIN)/python -m pytest $(TESTS)

lint: $(VENV)/ready-dev  ## ruff, mypy --strict on src, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/ready-dev  ## print figures as ratios; nothing is asserted
	$(BIN)/python -m benchmarks

fuzz: $(VENV)/ready-dev  ## longer hypothesis runs of every parser
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -k "fuzz or any_" tests/unit tests/contract tests/fuzz --timeout=3600

soak: $(VENV)/ready-dev  ## minutes of load, killing the servers in between
	$(BIN)/python -m pytest tests/soak --timeout=3600

conformance: $(VENV)/ready-dev  ## other projects' own tests against a chain of ours; needs go
	$(BIN)/python -m pytest tests/conformance --timeout=1800

peers:
	.ci/peers

lock:  ## renew the lock files from pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    pyproject.toml --group build -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    pyproject.toml --group build --group dev -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) .peers .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
