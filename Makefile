# Payesh. `make nightly` on a bare machine does everything; see README.md.
.DEFAULT_GOAL := help
.PHONY: help setup nightly test lint format up down doctor lock clean

PYTHON ?= $(shell command -v python3 || command -v python3.11 || echo python3)
BIN := .venv/bin

help: ## say what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 16

setup: ## install into .venv (once; does nothing when it is up to date)
	@$(PYTHON) infra/bootstrap/setup.py

nightly: setup ## one whole nightly run: database, sandbox, ingest, warehouse, release
	@$(BIN)/payesh nightly

test: setup ## every test that needs no container
	@$(BIN)/pytest -n 2 --dist loadfile

lint: setup ## ruff, mypy, sqlfluff, yamllint, directions of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict .
	$(BIN)/sqlfluff lint --processes 2 --disable-progress-bar --templater raw infra/postgres/migrations/sql
	$(BIN)/sqlfluff lint --processes 2 --disable-progress-bar dbt_project

format: setup ## put Python and SQL into the house's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

up: setup ## Airflow's pages, scheduler and the sandbox
	@$(BIN)/payesh up

down: setup ## stop what `make up` started
	@$(BIN)/payesh down

doctor: ## tell what is wrong with this installation, even before it is set up
	@$(PYTHON) infra/bootstrap/setup.py --check
	@if [ -x $(BIN)/payesh ]; then $(BIN)/payesh doctor; fi

lock: setup ## solve the dependencies of pyproject.toml anew into requirements.lock
	.venv/bootstrap/bin/uv pip compile pyproject.toml --group dev --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet -o requirements.lock

clean: ## remove .venv and caches; data in .payesh stays
	@if [ -x $(BIN)/payesh ]; then $(BIN)/payesh down >/dev/null 2>&1 || true; fi
	rm -rf .venv .venv.lock .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis \
	  *.egg-info dbt_project/target dbt_project/logs site
	find . -name __pycache__ -type d -not -path './.payesh/*' -prune -exec rm -rf {} +
