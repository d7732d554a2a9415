# Each target works alone on a fresh machine that has Python 3.11 or newer and make: it creates the
# environment and installs what it needs, once. `make help` lists the targets and their settings.

PYTHON ?= python3
VENV ?= .venv
HOST ?= localhost
PORT ?= 8501
# Set to open no browser (HEADLESS=1) and to follow edits of the pages (RELOAD=1).
HEADLESS ?=
RELOAD ?=
# More models for the dashboard: a folder of model folders, and repositories on the Hugging Face Hub.
MODELS ?=
ALLOW_HUB ?=
# Passed on to pytest, for example ARGS="tests/modules -k fuser".
ARGS ?=

PY := $(VENV)/bin/python
STREAMLIT_FLAGS := --server.address $(HOST) --server.port $(PORT) \
	$(if $(HEADLESS),--server.headless true) $(if $(RELOAD),--server.fileWatcherType auto)
APP_SETTINGS := $(if $(MODELS),--models "$(MODELS)") $(addprefix --allow-hub ,$(ALLOW_HUB))
ifneq ($(strip $(APP_SETTINGS)),)
STREAMLIT_FLAGS += -- $(APP_SETTINGS)
endif

# Stamps: written last, so that an interrupted installation starts again next time.
CREATED := $(VENV)/.created
APP := $(VENV)/.installed-app
DEV := $(VENV)/.installed-dev

.PHONY: help app test check format bench clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  Settings, with their defaults:'
	@echo '    PYTHON=$(PYTHON)    interpreter that creates the environment, 3.11 or newer'
	@echo '    VENV=$(VENV)        folder of the environment'
	@echo '    HOST=$(HOST) PORT=$(PORT)   the dashboard; HOST=0.0.0.0 opens it to the network'
	@echo '    HEADLESS=1        open no browser;  RELOAD=1  follow edits of the pages'
	@echo '    MODELS=DIR        the dashboard offers the model folders in DIR, too'
	@echo '    ALLOW_HUB="..."   and these repositories on the Hugging Face Hub: OWNER/NAME or OWNER/NAME@REVISION'
	@echo '    ARGS="..."        passed on to pytest'

app: $(APP)  ## open the dashboard in the browser
	$(PY) -m streamlit run app/main.py $(STREAMLIT_FLAGS)

# One thread per worker: several processes that all use every core slow each other down tenfold.
# Files stay whole, so that what a file sets up (a server, a browser, a model) is set up once.
test: $(DEV)  ## run the tests, except those marked slow, gpu or network
	OMP_NUM_THREADS=1 $(PY) -m pytest --numprocesses auto --dist loadfile $(ARGS)

check: $(DEV)  ## check format, lint, types and the direction of imports
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(PY) -m pyright --pythonpath $(PY)
	$(VENV)/bin/lint-imports --no-logo

format: $(DEV)  ## rewrite the code in the house format
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: $(DEV)  ## measure the speed of the dashboard and the library on this machine
	$(PY) -m benchmarks.explore
	$(PY) -m benchmarks.page

clean:  ## remove the environment and everything that was built or cached
	@if [ -e $(CREATED) ]; then echo 'rm -rf $(VENV)'; rm -rf $(VENV); fi
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache
	find . -path ./.git -prune -o -name __pycache__ -type d -exec rm -rf {} +

$(CREATED):
	@command -v $(PYTHON) >/dev/null || { \
		echo 'There is no $(PYTHON) here. Install Python 3.11 or newer,' \
			'or name one: make PYTHON=/path/to/python3.11'; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v >= (3, 11) or sys.exit( \
		f"$(PYTHON) is Python {v[0]}.{v[1]}, but 3.11 or newer is needed. " \
		"Name another one: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(APP): requirements.txt pyproject.toml $(CREATED)
	@echo 'Installing what the dashboard needs into $(VENV): once, a few minutes.'
	$(PY) -m pip install -r requirements.txt
	$(PY) -m pip install --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements-dev.txt $(APP)
	@echo 'Installing what the tests and checks need into $(VENV).'
	$(PY) -m pip install -r requirements-dev.txt
	@touch $@
