# Two commands for people: `make demo` and `make test`. `make lint` and `make bench` are for those who change the code.
PYTHON ?= python3
VENV ?= .venv
OUT ?= build/demo
PY := $(VENV)/bin/python
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint bench clean

demo: $(VENV)/.demo
	$(PY) -m qil_core.example build/poster.png
	$(VENV)/bin/qil decompose build/poster.png -o $(OUT) --layers 6 --format png,pptx,zip

test: $(VENV)/.test
	$(PY) -m pytest

lint: $(VENV)/.test
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	mkdir -p build/types && ln -sfn ../.. build/types/qwen_layers  # the root is a package, whatever its folder's name
	MYPYPATH=build/types $(PY) -m mypy -p qwen_layers.nodes

bench: $(VENV)/.test
	$(PY) -m benchmarks

clean:
	rm -rf $(VENV) build *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) -e ".[test,lint]"
	@touch $@ $(VENV)/.demo
