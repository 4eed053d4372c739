# One command each, on a fresh clone with Python 3.11 and the package index. `make` lists them.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PORT ?= 8080
N ?= 2
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Bytecode is left to the first import, below: kept from writing it, each process would compile all it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install test pytest lint check drills demo serve stop agents report winner dashboard clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed ## create .venv and install every package at its locked version

# torch goes first and with what it needs, so that the platform's own build of it is taken. Bytecode is left to the
# first import: most of what is installed is never imported, and compiling it all is half of the work.
$(VENV)/installed: requirements.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "error: PYTHON: got '$(PYTHON)'; must be Python 3.11 or newer; install it, or set PYTHON=" >&2; exit 2; }
	@echo "installing into $(VENV) (once, a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --no-compile --constraint requirements.lock $$(grep '^torch==' requirements.lock)
	@$(PIP) install --no-compile --no-deps --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

test: install ## run every test, and lint beside them
	@$(MAKE) --no-print-directory --jobs 2 pytest lint

# Two processes a core, of a thread each, with whole files: what a module's tests share is made once.
pytest: install ## run every test, and nothing else
	@OMP_NUM_THREADS=1 python -m pytest --numprocesses auto --dist loadfile

lint: install ## check style and types
	@ruff check --quiet . && ruff format --quiet --check . && mypy --no-error-summary

check: install ## check every sweep file before anything starts
	@cola-sweep check

drills: install ## harm sweeps (kill, stop, cut off, fill disks, set clocks) and look what is lost (SEED=0, SHORT=1)
	@python -m tests.drills --seed $(or $(SEED),0) $(if $(SHORT),--short)

demo: install ## a whole sweep with agents and report: no account, no network
	@cola-sweep demo

serve: install ## start the embedded W&B server in the background and log wandb in to it (PORT=8080)
	@cola-sweep serve --background --login --port $(PORT)

stop: install ## stop the embedded server
	@cola-sweep serve --stop

agents: install ## start N agents on SWEEP (N=2 SWEEP=entity/project/id)
	@cola-sweep agents $(SWEEP) --n $(N)

report: install ## write the report of SWEEP, by default the newest sweep (GATE=1: fail unless it beats the champion)
	@cola-sweep report $(SWEEP) $(if $(GATE),--gate)

winner: install ## repeat the best configurations of SWEEP over fresh seeds and name the champion (N=2)
	@cola-sweep winner $(SWEEP) --n $(N)

dashboard: install ## show SWEEP, by default the newest, in optuna-dashboard (PORT=8081)
	@cola-sweep dashboard $(SWEEP) $(if $(filter command% environment%,$(origin PORT)),--port $(PORT))

clean: ## remove .venv and caches; data of the embedded server and reports stay
	@rm -rf $(VENV) .pytest_cache .hypothesis .mypy_cache .ruff_cache *.egg-info
