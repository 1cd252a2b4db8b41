# Everything that is done with this course from a shell. Each target sets up what it needs.

PYTHON ?= python3
SCALE ?= laptop
# More arguments for pytest: make test ARGS="-k book"
ARGS ?=
# The slow tests too: make test SLOW=1
SLOW ?=

VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help book pdf offline versions serve test oldest bench format dist clean

help:  ## show this help
	@echo "usage: make TARGET [SCALE=ci|laptop|paper] [PYTHON=python3.12]"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)$$/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-10s %s\n", $$1, $$2 }'

# The mark is removed first and set last: an interrupted installation is done again. ensurepip is for a folder whose
# creation was interrupted between Python and pip.
$(VENV)/.ready: requirements.lock pyproject.toml
	@rm -f $@
	@command -v $(PYTHON) > /dev/null || { echo "$(PYTHON) is not installed; choose another: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; $(PYTHON) is %d.%d; choose another: make PYTHON=python3.12" % sys.version_info[:2])'
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || $(PYTHON) -m venv --clear $(VENV)
	@echo "installing the packages of requirements.lock into $(VENV); the first time takes minutes"
	@$(BIN)/python -m ensurepip --upgrade > /dev/null 2>&1 || true
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

book: $(VENV)/.ready  ## run the notebooks at SCALE (default: laptop) and build the book
	@$(BIN)/python tools/book.py --scale $(SCALE)

pdf: book  ## build the book, print it as one document, _build/course.pdf
	@$(BIN)/python tools/pdf.py

offline: book  ## build the book, pack it as one file that opens from a disk, _build/course-offline.zip
	@$(BIN)/python tools/offline.py

versions: book  ## build the book of every tag, too, and a page that leads to all: _build/versions
	@$(BIN)/python tools/versions.py --scale $(SCALE)

serve: book  ## build the book, serve it on this machine, open the browser
	@$(BIN)/python tools/serve.py

test: $(VENV)/.ready  ## check style, types and imports, then run the tests; all of them with SLOW=1
	@$(BIN)/python -m ruff check --quiet
	@$(BIN)/python -m ruff format --check --quiet || { echo "some files are not formatted: make format"; exit 1; }
	@output=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$output"; exit 1; }
	@$(BIN)/python -m mypy --no-error-summary src/teachlib tools & types=$$!; \
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal $(if $(SLOW),,-m "not slow") $(ARGS); tests=$$?; \
	wait $$types && exit $$tests

# No lock, and a folder of its own: with Python 3.11, the oldest too. LIGHT needs no package of the book's or the tests'.
OLDEST := _build/oldest
LIGHT := tests/test_checkpoints.py tests/test_published.py tests/nets tests/data/test_densities.py
oldest:  ## run the light tests with the oldest versions that are allowed
	@$(PYTHON) -m venv --clear $(OLDEST)
	@$(OLDEST)/bin/python -m pip install -qq --disable-pip-version-check $$($(PYTHON) tools/oldest.py)
	@$(OLDEST)/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(OLDEST)/bin/python -m pytest $(ARGS) $(LIGHT)

bench: $(VENV)/.ready  ## compare speed with peers, both in one run
	@$(BIN)/python -m benchmarks

format: $(VENV)/.ready  ## format code and notebooks, strip the notebooks' outputs
	@$(BIN)/python -m ruff check --quiet --fix-only
	@$(BIN)/python -m ruff format --quiet
	@$(BIN)/python tools/format_notebooks.py

dist: $(VENV)/.ready  ## build wheel and sdist into dist
	@$(BIN)/python tools/dist.py dist

clean:  ## remove everything that was built, the environment too
	rm -rf $(VENV) _build build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find src -name '*.egg-info' -prune -exec rm -rf {} +
