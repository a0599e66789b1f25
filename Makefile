# make book, make test: each does all of its own set-up (python3, pip and make are enough, no root).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BOOK_STAMP := $(VENV)/.installed-book
FORMS_STAMP := $(VENV)/.installed-forms
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
SITE := _build/html/index.html
WORKERS ?= 2
PORT ?= 8000

.PHONY: book test notebooks offline serve lab course bench address lock clean distclean help
.DEFAULT_GOAL := help

help:
	@echo "make book        build the book and print where to open it"
	@echo "make test        every check: style, units, doctests, notebooks, exercises, browser"
	@echo "make notebooks   run the notebooks whose source changed (ALL=1: all; NAMES='02_gaussian')"
	@echo "make offline     the book as one PDF, one EPUB and one zip, to be read with no network (needs Chromium)"
	@echo "make serve       serve the built book on http://localhost:$(PORT)"
	@echo "make lab         open the notebooks in JupyterLab"
	@echo "make course      write the exercises for a class into _build/course: students, teacher"
	@echo "make bench       measure beside other libraries and plain C"
	@echo "make address     write the repository's address, from git's remote or URL=https://github.com/…"
	@echo "make lock        pin anew what the packages named in requirements.txt bring"
	@echo "make clean       remove what was built (make distclean: the virtual environment, too)"

book: $(BOOK_STAMP)
	$(BIN)/jupyter-book build . -W -n --keep-going
	@echo
	@echo "The book is built. Open this in a browser: file://$(CURDIR)/$(SITE)"

# Style, then the book (the browser test opens it), then one pytest run for all the rest:
# units, doctests and contracts in tests/ and minigen/, and nbval on every notebook.
test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/notebooks.py --check
	$(BIN)/python tools/address.py --check
	$(BIN)/jupyter-book build . -W -n --keep-going -q
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -ra --durations 10 \
		--doctest-modules --nbval --nbval-cell-timeout 300 --ignore book/_ext minigen tests book exercises

notebooks: $(STAMP)
	$(BIN)/python tools/notebooks.py $(if $(ALL),--all) $(NAMES)

serve: $(BOOK_STAMP)
	@test -f $(SITE) || $(MAKE) book
	@echo "Serving the book on http://localhost:$(PORT) (Ctrl-C ends it)"
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

offline: $(FORMS_STAMP) book
	$(BIN)/python tools/forms.py

lab: $(STAMP)
	$(BIN)/jupyter lab

course: $(STAMP)
	$(BIN)/python tools/notebooks.py --course _build/course

bench: $(STAMP)
	@set -e; for name in audio densities flows_speed single_stream timeseries; do \
		echo "== benchmarks/$$name.py"; $(BIN)/python "benchmarks/$$name.py"; done

address: $(STAMP)
	$(BIN)/python tools/address.py --write $(URL)

lock: | $(BIN)/python
	$(PIP) install -c requirements.txt packaging
	$(BIN)/python tools/lock.py

clean:
	rm -rf _build build dist .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)

# Debian ships python3 without ensurepip unless python3-venv is installed; pip can then install
# itself into an empty environment.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "minigen needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
		"Name another: make PYTHON=python3.12"; exit 1; }
	@if $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then $(PYTHON) -m venv $(VENV); \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1 && $(PYTHON) -c 'import venv' 2>/dev/null; then \
		$(PYTHON) -m venv --without-pip $(VENV) && \
		$(PYTHON) -m pip --python $(VENV)/bin/python install -q pip; \
	else echo "$(PYTHON) has neither ensurepip nor pip, so no virtual environment can be made." \
		"Install python3-venv (Debian, Ubuntu) or pip."; exit 1; fi \
	|| { rm -rf $(VENV); echo "the virtual environment could not be made"; exit 1; }

# The book shows outputs that are stored, so that building it needs neither torch nor the library.
$(BOOK_STAMP): requirements-book.txt requirements.txt | $(BIN)/python
	@if [ -f $(STAMP) ]; then $(MAKE) $(STAMP); else $(PIP) install -r requirements-book.txt; fi
	@touch $@

$(FORMS_STAMP): requirements-forms.txt requirements.txt | $(BIN)/python
	@if [ -f $(STAMP) ]; then $(MAKE) $(STAMP); else $(PIP) install -r requirements-forms.txt; fi
	@touch $@

$(STAMP): requirements.txt pyproject.toml | $(BIN)/python
	$(PIP) install -r requirements.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ $(BOOK_STAMP)
