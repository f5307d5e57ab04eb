# Two commands for people: `make demo` and `make test`. For those who change the code: `make quick` (the tests without
# models and other programs, under a minute), `make lint`, `make matrix` (every other Python that is here), `make bench`,
# `make docs` (the documentation's site, warnings are errors).
PYTHON ?= python3
VENV ?= .venv
OUT ?= build/demo
PY := $(VENV)/bin/python
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test heavy quick lint matrix bench docs clean

demo: $(VENV)/.demo
	$(PY) -m qil_core.example build/poster.png
	$(VENV)/bin/qil decompose build/poster.png -o $(OUT) --layers 6 --format png,pptx,zip

test: $(VENV)/.test
	$(PY) -m pytest -m "not heavy"

heavy: $(VENV)/.test
	$(PY) -m pytest -m heavy

quick: $(VENV)/.test
	$(PY) -m pytest -m "not slow"

lint: $(VENV)/.test
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	mkdir -p build/types && ln -sfn ../.. build/types/qwen_layers  # the root is a package, whatever its folder's name
	MYPYPATH=build/types $(PY) -m mypy -p qwen_layers.nodes

matrix: $(VENV)/.test
	VENV=$(VENV) .ci/matrix

bench: $(VENV)/.test
	$(PY) -m benchmarks

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict
	@echo "Open build/site/index.html"

clean:
	rm -rf $(VENV) build *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) -e ".[text]"
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) -e ".[test,lint]"
	@touch $@ $(VENV)/.demo

$(VENV)/.docs: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) -e ".[docs]"
	@touch $@
