# make run starts the server, make test checks everything; both install what they need into .venv first.
PYTHON ?= python3
VENV ?= .venv
OPTIONS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
RUNTIME := $(VENV)/.runtime-installed
DEVELOPMENT := $(VENV)/.development-installed

.PHONY: run install install-faces install-webcam install-dev system test test-slow lint bench soak soak-quick clean

run: install
	$(BIN)/python run_server.py $(OPTIONS)

install: $(RUNTIME)

$(RUNTIME): requirements/runtime.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "FLAP Live needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.11")'
	$(PIP) --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -r requirements/runtime.txt
	@touch $@

install-faces: install
	$(PIP) install --quiet -r requirements/faces.txt
	$(PIP) install --quiet --no-deps -r requirements/dev-without-dependencies.txt

install-webcam: install
	$(BIN)/python -m realtime.web.webcam_files

install-dev: $(DEVELOPMENT)

$(DEVELOPMENT): $(RUNTIME) requirements/dev.txt requirements/dev-without-dependencies.txt
	$(PIP) install --quiet -r requirements/dev.txt
	$(PIP) install --quiet --no-deps -r requirements/dev-without-dependencies.txt
	@touch $@

system:
	sh requirements/system.sh

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: system lint
	$(BIN)/python -m pytest

test-slow: install-dev
	sh requirements/system.sh foreign
	$(PIP) install --quiet -r requirements/foreign.txt
	$(BIN)/python -m pytest -m slow

bench: install
	$(BIN)/python -m benchmarks.realtime --json

soak: install-dev
	$(BIN)/python -m benchmarks.live --json --soak-minutes 60

soak-quick: install-dev
	$(BIN)/python -m benchmarks.live --json --quick --soak-minutes 5

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
