# make demo: set up and run the main job.   make test: set up and pass the tests.   make docs: the documentation as a
# site.   make wheel-demo: build the wheel, install it elsewhere, and run a recipe with it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint bench docs reference wheel-demo clean

demo: $(VENV)/.installed
	$(BIN)/automl-phys run recipes/classify-jets.yaml
	@echo "The report: runs/classify-jets/latest/report.html"

test: $(VENV)/.installed-dev lint
	$(BIN)/python -m pytest -n auto --dist worksteal
	$(BIN)/automl-phys run recipes/classify-jets.yaml --smoke --out $(VENV)/smoke-runs

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.installed-dev
	for script in overhead search quality ingest; do $(BIN)/python bench/$$script.py || exit 1; done

docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "The documentation: site/index.html"

# What is made of the code and kept: read the difference.
reference: $(VENV)/.installed-dev
	$(BIN)/automl-phys schema > $(VENV)/schema.json && mv $(VENV)/schema.json schema.json
	cd tests && for made in plan completions catalogue; do ../$(BIN)/python test_$$made.py || exit 1; done
	for bad in tests/recipes_bad/*.yaml; do COLUMNS=80 $(BIN)/automl-phys validate $$bad 2> $${bad%.yaml}.txt; done; true
	$(BIN)/python tools/make_reference.py

wheel-demo: $(VENV)/.installed-dev
	tools/try_wheel.sh $(BIN)/python

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist site *.egg-info
