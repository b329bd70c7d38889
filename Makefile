# make demo   install into .venv and run the demonstration on the shipped genomes
# make test   install with the development extra and run every check that CI runs
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test export readme docs results notebooks tutorials hooks lint clean

demo: .venv/.installed
	$(BIN)/genomic-ulmfit demo --out demo-out

test: .venv/.installed-dev
	$(BIN)/python scripts/check.py

.venv/.installed: settings.ini setup.py pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/.installed-dev: settings.ini setup.py pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch .venv/.installed $@

export: .venv/.installed-dev  ## notebooks -> genomic_ulmfit/
	$(BIN)/nbdev-export
	$(BIN)/nbdev-clean

readme: .venv/.installed-dev  ## nbs/index.ipynb -> README.md
	$(BIN)/python scripts/make_readme.py

docs: .venv/.installed-dev  ## the documentation site -> site/
	$(BIN)/python scripts/make_docs.py

results: .venv/.installed-dev  ## result files of the studies -> docs/results.md
	$(BIN)/python scripts/make_results.py

notebooks: .venv/.installed-dev  ## run the library notebooks and keep their outputs
	$(BIN)/nbdev-test --save --n-workers 2 --skip-folder-re '^([_.]|tutorials$$|studies$$)'
	$(BIN)/nbdev-clean

tutorials: .venv/.installed-dev  ## run the tutorials and keep their outputs
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/nbdev-test nbs/tutorials --save --n-workers 2
	$(BIN)/nbdev-clean

hooks: .venv/.installed-dev  ## git hooks that keep notebooks clean and mergeable
	$(BIN)/nbdev-install-hooks

lint: .venv/.installed-dev
	$(BIN)/ruff check .

clean:
	rm -rf .venv demo-out site build dist *.egg-info

study-%: .venv/.installed-dev  ## run one study and keep its outputs, e.g. make study-demo_recipe
	$(BIN)/python scripts/run_study.py $*
