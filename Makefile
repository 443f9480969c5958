# Two commands do all the set-up: `make demo` and `make test`. `make help` lists the others.

# Airflow imports three times faster from compiled files.
unexport PYTHONDONTWRITEBYTECODE
export AIRFLOW__CORE__LOAD_EXAMPLES = False

# Airflow 2.11 needs Python below 3.13. Take the first of these that works.
PYTHON ?= $(shell for python in python3.12 python3.11 python3; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$python && break; done)

# PYTHON may be a shim or a path.
PYTHON_FOUND := $(shell $(PYTHON) -c 'import sys; print(sys.executable)' 2>/dev/null)
PYTHON_VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)

TOOLS := .venv/tools
AIRFLOW ?= 3.3
ENV := .venv/airflow-$(AIRFLOW)-py$(PYTHON_VERSION)
COMPILE := ../$(TOOLS)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet

.PHONY: python help demo ui docs screenshots test test-2.11 cluster check rules lint types layers dependencies wheel bench lock clean
.DEFAULT_GOAL := help

help: ## List the commands
	@grep -hE '^[a-z0-9.-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([^:]+):.*## (.*)/\1\t\2/' | expand -t 16

demo: $(ENV)/.ready ## Load a file of leads into the sandbox, in a real Airflow; no account needed
	@$(ENV)/bin/python -m demo

ui: $(ENV)/.ready ## Start an Airflow with its UI, the example DAGs and a sandbox
	@$(ENV)/bin/python -m demo.ui

docs: $(TOOLS)/.ready ## Build the site of docs/ in docs/_build and check its links
	rm -rf docs/_build docs/reference
	$(TOOLS)/bin/sphinx-build -W --keep-going -q -b html docs docs/_build
	$(TOOLS)/bin/python docs/check_links.py docs/_build

screenshots: $(ENV)/.ready ## Take the pictures of docs/images again, with chromium
	@$(ENV)/bin/python -m demo.screenshots

test: $(ENV)/.ready ## Run the tests (AIRFLOW=2.11 for the other generation)
	$(ENV)/bin/python -m pytest -n 3 --dist loadgroup $(ARGS)

test-2.11: ## Run the tests on Airflow 2.11
	$(MAKE) test AIRFLOW=2.11

cluster: ## Run an Airflow with Celery and two workers, and kill parts of it (about 5 minutes)
	$(MAKE) test AIRFLOW=3.3-celery ARGS="-n 0 --nothing-skipped tests/cluster $(ARGS)"

check: rules lint types layers dependencies ## Check the code without running it

rules: $(TOOLS)/.ready ## Check the words, the README's length and the size of modules and functions
	$(TOOLS)/bin/python .ci/house_rules.py

lint: $(TOOLS)/.ready
	$(TOOLS)/bin/ruff check .
	$(TOOLS)/bin/ruff format --check .

types: $(TOOLS)/.ready $(ENV)/.ready
	$(TOOLS)/bin/mypy --python-executable $(ENV)/bin/python

layers: $(TOOLS)/.ready $(ENV)/.ready
	PYTHONPATH=. $(TOOLS)/bin/lint-imports

dependencies: $(TOOLS)/.ready
	$(TOOLS)/bin/deptry .

wheel: AIRFLOWS = 3.3 2.11
wheel: $(TOOLS)/.ready ## Build the wheel, install it next to each Airflow, and check what Airflow lists
	rm -rf dist && $(TOOLS)/bin/python -m build --no-isolation --outdir dist .
	for version in $(AIRFLOWS); do .ci/installed-wheel $(TOOLS)/bin/uv $$version $(PYTHON_FOUND) || exit 1; done

bench: $(ENV)/.ready ## Measure against what users would use instead
	for file in benchmarks/bench_*.py; do $(ENV)/bin/python $$file || exit 1; done

lock: $(TOOLS)/.ready ## Pin the requirements again
	cd requirements && for version in 3.3 2.11; do $(COMPILE) ../pyproject.toml --extra openlineage --extra parquet --extra redis --extra sandbox --extra sql \
		--group ../pyproject.toml:test --constraints airflow-$$version.in --output-file airflow-$$version.txt || exit 1; done
	cd requirements && $(COMPILE) airflow-3.3.txt --group ../pyproject.toml:cluster --output-file airflow-3.3-celery.txt
	cd requirements && $(COMPILE) --group ../pyproject.toml:tools --group ../pyproject.toml:docs --output-file tools.txt

clean: ## Remove environments, the demo's state and build results
	rm -rf .venv .demo dist docs/_build .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

python:
	@test -n "$(PYTHON_VERSION)" || { echo "Python 3.11 or 3.12 is needed: make PYTHON=/path/to/python"; exit 1; }

$(TOOLS)/.ready: requirements/tools.txt | python
	$(PYTHON_FOUND) -m venv --clear $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tools.txt
	@touch $@

.venv/airflow-%-py$(PYTHON_VERSION)/.ready: requirements/airflow-%.txt $(TOOLS)/.ready pyproject.toml | python
	$(TOOLS)/bin/uv venv --quiet --clear --python $(PYTHON_FOUND) $(@D)
	@echo "Installing Airflow $* for Python $(PYTHON_VERSION) ..."
	@$(TOOLS)/bin/uv pip install --quiet --python $(@D)/bin/python --require-hashes -r $< \
		|| { $(TOOLS)/bin/python -m pip --python $(@D)/bin/python install --quiet --require-hashes -r $<; }
	@$(TOOLS)/bin/uv pip install --quiet --python $(@D)/bin/python --no-deps --no-build-isolation --editable . \
		|| $(TOOLS)/bin/python -m pip --python $(@D)/bin/python install --quiet --no-deps --no-build-isolation --editable .
	@$(@D)/bin/python -m compileall -q -j 0 $(@D)/lib airflow_provider_salesblink || true
	@touch $@
