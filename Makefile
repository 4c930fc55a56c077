# `make` prints what there is; each target does the set-up that it needs.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint lock docs stream status sql notebook bench doctor clean

# The first Python 3.11 or newer; name another with `make setup PYTHON=/path/to/python3`.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$p" && break; done)
BIN := .venv/bin
# One command starts several Pythons; where bytecode may not be kept, each would compile the libraries anew (pandas: 2 s).
unexport PYTHONDONTWRITEBYTECODE
COMPILE = $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-annotate \
  --custom-compile-command "make lock"
INPUT ?=
LAKE ?=
ARGS ?=
# Each has a Spark session of its own (up to 4 GiB); 0 runs all tests in one process.
WORKERS ?= 2

help: ## Print this help
	@echo "Usage: make TARGET [ARGS='more arguments']"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-9s %s\n", $$1, $$2}' Makefile

setup: ## Make .venv with all that is needed; done once, then takes no time
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found: install one (apt-get install python3.11)," \
	  "or name it: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" scripts/bootstrap.py

demo: setup ## Run the whole line on made or given events: INPUT=DIR LAKE=DIR ARGS=...
	@$(BIN)/risklake demo $(if $(INPUT),--input "$(INPUT)") $(if $(LAKE),--lake "$(LAKE)") $(ARGS)

test: setup ## Run the tests, in two processes: ARGS='-k mask' WORKERS=0
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/mypy

stream: setup ## Run the streams until stopped: ARGS=--once drains the inbox
	@$(BIN)/risklake stream $(ARGS)

status: setup ## Show what lies in the lake and whether it adds up
	@$(BIN)/risklake status $(ARGS)

sql: setup ## Open a SQL shell on the lake
	@$(BIN)/risklake sql $(ARGS)

notebook: setup ## Open the notebooks in JupyterLab on 127.0.0.1
	@$(BIN)/jupyter lab --ServerApp.ip=127.0.0.1 --ServerApp.root_dir=notebooks $(ARGS)

docs: setup ## Write docs/data-dictionary.md from the declared tables
	@$(BIN)/python -m lake.dictionary

bench: setup ## Time the generator and watch its memory (three minutes): ARGS='--events 1000000'
	@$(BIN)/python -m benchmarks.generator_speed $(ARGS)

doctor: setup ## Check the machine: ARGS=--fix mends what it can
	@$(BIN)/risklake doctor $(ARGS)

lock: setup ## Pin the dependencies anew: ARGS=--upgrade takes newer versions
	@$(COMPILE) $(ARGS) requirements/bootstrap.in -o requirements/bootstrap.txt
	@$(COMPILE) $(ARGS) -c requirements/bootstrap.txt --extra dev --extra notebooks \
	  pyproject.toml requirements/bootstrap.in -o requirements/lock.txt

clean: ## Remove .venv and caches, never data
	@rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .hypothesis dbt/target dbt/logs spark-warehouse *.egg-info
	@find . -name __pycache__ -type d -not -path './data/*' -prune -exec rm -rf {} +
