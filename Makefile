# Every verb makes what it needs first. `make help` lists them.
#
#   make test PYTHON=python3.13     another interpreter; each version has its own environment
#   make test ARGS="-k session"     further arguments for pytest

PYTHON ?= python3
ARGS ?=

FOUND := $(shell scripts/find-python $(PYTHON))
ifeq ($(FOUND),)
$(error no interpreter to work with)
endif
override PYTHON := $(FOUND)
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := .venv-$(VERSION)
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BENCH_VENV := .venv-bench
HARBOR := $(wildcard examples/harbor/requirements*.txt)
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help setup demo test check fix lint type bench bench-sockets bench-growth soak compat compat-extensions compat-programs compat-servers compat-recipes servers hostile clean browser

help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 20

setup: $(INSTALLED) ## make the environment that the other verbs use

# pip reads [dependency-groups] from version 25.1 on.
$(INSTALLED): pyproject.toml $(HARBOR)
	@echo "preparing $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP_INSTALL) --upgrade 'pip>=25.1'
	@$(BIN)/python $(PIP_INSTALL) --editable . --group dev $(addprefix -r ,$(HARBOR))
	@touch $@

demo: $(INSTALLED) ## the Harbor example with a live map on http://127.0.0.1:8000
	@$(BIN)/python examples/harbor/demo.py

# A test that hangs fails after three minutes, with the tracebacks of all threads.
test: $(INSTALLED) browser ## the whole test-suite, examples included
	$(BIN)/python -m pytest --timeout=180 $(ARGS) tests examples

browser:
	@scripts/install-browser

check: lint type $(INSTALLED) ## format, lint, types and architecture, as CI runs them
	$(BIN)/python -m pytest tests/architecture

lint: $(INSTALLED) ## format and lint, without changing anything
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

type: $(INSTALLED) ## mypy, strict
	$(BIN)/mypy

fix: $(INSTALLED) ## format, and repair what the linter can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The quick run asks for Flask and Falcon only; the whole one for all peers.
bench: $(BENCH_VENV)/$(if $(findstring --quick,$(ARGS)),.installed,.peers) ## Carboy beside its peers, in process; writes docs/benchmarks.md
	$(BENCH_VENV)/bin/python -m bench $(ARGS)

bench-sockets: $(BENCH_VENV)/.peers ## the same over a socket, one worker on one core
	$(BENCH_VENV)/bin/python -m bench.sockets $(ARGS)

bench-growth: $(BENCH_VENV)/.peers ## start-up, and growth with routes, hooks, bodies, fields
	$(BENCH_VENV)/bin/python -m bench.growth $(ARGS)

soak: $(BENCH_VENV)/.installed ## a million requests with eight threads: does anything grow?
	$(BENCH_VENV)/bin/python -m bench.soak $(ARGS)

$(BENCH_VENV)/.installed: pyproject.toml bench/requirements.txt
	@echo "preparing $(BENCH_VENV) ..."
	@test -x $(BENCH_VENV)/bin/python || $(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python $(PIP_INSTALL) --editable . -r bench/requirements.txt
	@touch $@

$(BENCH_VENV)/.peers: $(BENCH_VENV)/.installed bench/requirements-peers.txt
	@scripts/install-wrk
	@$(BENCH_VENV)/bin/python $(PIP_INSTALL) -r bench/requirements.txt -r bench/requirements-peers.txt
	@touch $@

compat: ## Flask's own test suite on Flask and on Carboy; writes docs/compat-flask-suite.md
	$(PYTHON) tests/compat/run_flask_suite.py $(ARGS)

compat-extensions: ## the suites of popular extensions on Flask and on Carboy; ARGS="--only NAME"
	$(PYTHON) tests/compat/run_extension_suites.py $(ARGS)

compat-programs: ## whole Flask programs, unmodified, on Flask and on Carboy
	$(PYTHON) tests/compat/run_programs.py $(ARGS)

compat-servers: ## one application under Gunicorn, Waitress, uWSGI, mod_wsgi and carboy run
	$(PYTHON) tests/compat/run_servers.py $(ARGS)

compat-recipes: ## Celery, RQ, Taskiq, structlog, Sentry, OpenTelemetry as documented, on both
	$(PYTHON) tests/compat/run_recipes.py $(ARGS)

servers: $(INSTALLED) ## the three doors on uvicorn, hypercorn, Gunicorn, daphne and Granian
	@$(BIN)/python $(PIP_INSTALL) --group servers
	$(BIN)/python -m pytest $(ARGS) tests/servers/test_doors.py tests/servers/test_conformance.py tests/servers/test_websockets.py

# It has an environment of its own: schemathesis brings a pytest plugin, atheris a compiler's worth.
hostile: .venv-hostile/.installed ## fuzzing, attacks, schemathesis: over an hour; writes docs/hostile.md
	.venv-hostile/bin/python tests/hostile/run_hostile.py $(ARGS)

.venv-hostile/.installed: pyproject.toml $(HARBOR)
	@echo "preparing .venv-hostile ..."
	@test -x .venv-hostile/bin/python || $(PYTHON) -m venv .venv-hostile
	@.venv-hostile/bin/python $(PIP_INSTALL) --upgrade 'pip>=25.1'
	@.venv-hostile/bin/python $(PIP_INSTALL) --editable . --group dev --group hostile $(addprefix -r ,$(HARBOR))
	@touch $@

serve-load: $(INSTALLED) ## carboy serve under load, signals and slow clients; ARGS=--write renews docs/serve.md
	$(BIN)/python tests/load/serve_load.py $(ARGS)

clean: ## remove the environments and everything else that make has made
	rm -rf .venv-* .build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
