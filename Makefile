# Every task of this repository, for people and for CI. `make help` lists them.
PYTHON ?= $(shell python3.13 --version >/dev/null 2>&1 && echo python3.13 || echo python3)
BIN := .venv/bin
READY := .venv/ready node_modules/ready

.DEFAULT_GOAL := help
.PHONY: help demo test check bench docs format clean faults fuzz load lock mutants picture proof schedules schemas snapshots

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## run everything on this machine, send traffic, and check the output (KEEP=1: keep it running)
	@$(BIN)/python -m local.demo $(if $(KEEP),--keep) $(DEMO)

# More processes than a small machine has cores, because tests of the whole stack mostly wait.
test: $(READY) .venv-checkov/ready ## run every test, including Azurite and the Event Hubs broker
	$(BIN)/pytest -n 4 --dist worksteal $(TEST)

faults: $(READY) ## try to lose or duplicate a record for a few minutes (LONG=1: 10,000 schedules, 200 kills)
	@$(BIN)/python -m tests.campaigns.faults $(if $(LONG),--long) $(FAULTS)

fuzz: $(READY) ## process a million hostile bodies and account for each
	@$(BIN)/python -m tests.campaigns.fuzz $(FUZZ)

load: $(READY) ## run two million records through the whole stack, with kills and a final audit
	@$(BIN)/python -m tests.campaigns.load $(LOAD)

mutants: $(READY) .venv-mutants/ready ## change 300 places in shared/, one at a time, and list the changes that no test notices
	.venv-mutants/bin/python -m tests.campaigns.mutants $(MUTANTS)

check: $(READY) ## run ruff, format, mypy --strict
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(READY) ## measure the cost of a record, compare other approaches, draw docs/performance.svg
	$(BIN)/python -m benchmarks --plot docs/performance.svg $(BENCH)

docs: $(READY) ## build the documentation site in site/, with search; warnings are errors
	$(BIN)/python -m sphinx -b html -W --keep-going -q docs site

picture: $(READY) ## draw docs/report.png, the report in Chromium
	$(BIN)/python -m tests.shared.report

format: $(READY) ## format the code and apply ruff's fixes
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

schedules: $(READY) ## run all schedules of the simulations, of which `test` runs a sample
	PROOF=1 $(BIN)/pytest -q -n 2 --dist worksteal tests/simulation

# Everything that takes too long for `test`: all schedules and seeds of the simulations, a week of alerts, the campaigns.
SPARK := $(if $(shell command -v java),.venv-spark/ready)
proof: $(READY) .venv-duckdb/ready $(SPARK) ## run everything that takes too long for `test`: all schedules and campaigns (SHORT=1: a shorter `faults`)
	$(MAKE) schedules
	PROOF=1 $(BIN)/pytest -q -n 2 --dist worksteal tests/shared/audit tests/shared/capture tests/shared/delta tests/infra/test_alerts.py tests/campaigns/fuzz
	$(if $(SPARK),$(BIN)/pytest -q -n 0 tests/shared/tables tests/e2e/test_parquet_readers.py -k spark)
	$(MAKE) faults $(if $(SHORT),,LONG=1)
	$(MAKE) fuzz
	$(MAKE) load
	$(MAKE) mutants $(if $(SHORT),MUTANTS='--count 30')

snapshots: $(READY) ## regenerate the snapshots of the templates in tests/infra (needs the Bicep compiler)
	tests/infra/snapshot.sh

# Each short list becomes a lock: every package with its version and hashes, for every platform.
LOCKS := requirements requirements-report requirements-dev requirements-checkov requirements-mutants requirements-duckdb requirements-spark
lock: $(READY) ## regenerate requirements*.txt from requirements*.in (LOCK=--upgrade: the newest versions)
	@for name in $(LOCKS); do $(BIN)/uv pip compile --quiet --universal --python-version 3.13 --generate-hashes \
		--custom-compile-command 'make lock' $(LOCK) $$name.in --output-file $$name.txt >/dev/null || exit 1; done

schemas: $(READY) ## regenerate docs/json and infra/grafana.json from declarations
	$(BIN)/python -m tests.shared.commands.test_documents
	$(BIN)/python -m tests.infra.grafana

clean: ## remove the output of the other targets
	rm -rf .venv .venv-checkov .venv-duckdb .venv-mutants .venv-spark node_modules site .demo .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/ready: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' || \
		{ echo "Python 3.13 is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=/path/to/python3.13" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Separate environments: these tools need other versions of the program's packages, or many packages.
.venv-%/ready: requirements-%.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/pip install --quiet --disable-pip-version-check -r requirements-$*.txt
	@touch $@

node_modules/ready: package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@
