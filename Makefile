# Needs only make and Python 3.11 to 3.13. `make demo` and `make test` set up what they need themselves.

SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
ifndef PYTHON
PYTHON := $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c '$(SUITABLE)' 2>/dev/null && { echo $$name; break; }; done)
endif

VENV ?= .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.8
INSTALLED := $(VENV)/.installed

# Byte-code makes every process start a second sooner; some containers switch it off.
unexport PYTHONDONTWRITEBYTECODE

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
	--no-emit-find-links --no-header

.PHONY: setup demo test up lint types docs bench e2e soak clean lock

setup: $(INSTALLED)

# uv installs in a third of pip's time; where it can not be had, pip does the same from the same lock.
$(INSTALLED): requirements.lock pyproject.toml
	@test -x $(BIN)/python || { test -n "$(PYTHON)" && $(PYTHON) -c '$(SUITABLE)'; } || { \
		echo "Python 3.11, 3.12 or 3.13 with venv is needed. Name one: make PYTHON=/path/to/python3.12 (Debian: apt-get install python3-venv)"; \
		exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) \
		|| echo "uv can not be installed here; pip takes over, which takes longer"
	@if $(BIN)/uv --version >/dev/null 2>&1 && \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock; then :; else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock; fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	@$(BIN)/sync-pipelines demo

# Four at a time even on two cores: the tests wait for processes, quotas and the database more than they compute.
test: setup
	@$(BIN)/python -m pytest -m "not e2e" -n 4 --dist worksteal $(TESTS)

up: setup
	@$(BIN)/sync-pipelines up $(if $(SYNC_PIPELINES_CONFIG)$(wildcard accounts.yaml),,--sandbox)

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: setup
	@$(BIN)/mypy

# The reference pages, from models and tables.
docs: setup
	@$(BIN)/python -m sync_pipelines.reference

# Browser tests: Chromium on the PATH or in CHROME_BIN.
e2e: $(VENV)/.installed-e2e
	@$(BIN)/python -m pytest -m e2e $(TESTS)

bench: $(VENV)/.installed-bench
	@$(BIN)/python -m sync_pipelines_tests.bench $(BENCH)

# The fault and conformance tests at full size.
soak: setup
	@SYNC_PIPELINES_SOAK=1 $(BIN)/python -m pytest -m "not e2e" --timeout 3600 sync_pipelines_tests/faults sync_pipelines_tests/conformance $(TESTS)

# What only browser tests or benchmarks need, on top of the main lock.
$(VENV)/.installed-%: requirements-%.lock $(INSTALLED)
	@if $(BIN)/uv --version >/dev/null 2>&1 && \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r $<; then :; else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<; fi
	@touch $@

# Stops the embedded server before its data goes.
clean:
	@if test -x $(BIN)/sync-pipelines && test -d .sync_pipelines; then env -u DATABASE_URL $(BIN)/sync-pipelines db stop || true; fi
	rm -rf .sync_pipelines $(VENV) build dist artifacts *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find sync_pipelines sync_pipelines_tests -name __pycache__ -type d -prune -exec rm -rf {} +

# After a change of dependencies in pyproject.toml.
lock: setup
	$(BIN)/$(LOCK) --extra embedded --extra dev pyproject.toml -o requirements.lock
	$(BIN)/$(LOCK) --extra e2e -c requirements.lock pyproject.toml -o requirements-e2e.lock
	$(BIN)/$(LOCK) --extra bench -c requirements.lock pyproject.toml -o requirements-bench.lock
