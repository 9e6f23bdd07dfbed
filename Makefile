# The maintainer's commands. They bring their own tools: a local environment from the lock.

PYTHON ?= python3
DEST ?= ../orders-demo
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test durations lint docs scorecard lock bench bench-delivery bench-update

help:  ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(BIN)/.locked  ## Generate a service with the default answers into DEST=../orders-demo, and bring it up
	@BIN="$(CURDIR)/$(BIN)" scripts/demo "$(CURDIR)" "$(DEST)"

# A part of the tests, by how long each took when .test_durations was recorded.
SPLIT = $(if $(SHARD),--splits $(word 2,$(subst /, ,$(SHARD))) --group $(word 1,$(subst /, ,$(SHARD))))

test: $(BIN)/.locked  ## Run all tests (ARGS="-m 'not service'" for those that need no Docker, SHARD=1/4 for a quarter)
	@PATH="$(CURDIR)/$(BIN):$$PATH"; $(if $(ARGS),pytest $(ARGS),pytest -m "not service" -n auto $(SPLIT) && pytest -m service -n 3 --dist loadfile --no-loadscope-reorder $(SPLIT))

durations: $(BIN)/.locked  ## Record how long each test takes, for SHARD
	@PATH="$(CURDIR)/$(BIN):$$PATH" pytest --store-durations --clean-durations

lint: $(BIN)/.locked  ## Check the template's own code
	@PATH="$(CURDIR)/$(BIN):$$PATH" pytest tests/test_repository.py

docs: $(BIN)/.locked  ## Write docs/questions.md from copier.yml
	@$(BIN)/python scripts/questions.py

scorecard: $(BIN)/.locked  ## Work out this template's column of docs/parity.md from a rendered service
	@$(BIN)/python scripts/scorecard.py

lock: $(BIN)/.locked  ## Compile the template's lock for every combination of answers (UPGRADE=name, UPGRADE=all)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/lock.py $(addprefix --upgrade ,$(UPGRADE))
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/reserved_names.py --locks

bench: $(BIN)/.locked  ## Measure generation, image, start and throughput, for 20 minutes (BENCH_ARGS="--quick image")
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-delivery: $(BIN)/.locked  ## Measure the way from a commit to production, for 20 minutes (BENCH_ARGS=--quick)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m benchmarks $(BENCH_ARGS) delivery

bench-update: $(BIN)/.locked  ## Measure updates beside Copier's of plain files, for 3 minutes (BENCH_ARGS=--quick)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m benchmarks $(BENCH_ARGS) updates

$(BIN)/.locked: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: say which one with make PYTHON=python3.13 …" >&2; exit 2; }
	@echo "Installing the tools into .venv …"
	@$(PYTHON) -m venv --clear .venv || { echo "Python's venv module is needed: on Debian, apt install python3-venv." >&2; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes --requirement requirements-dev.txt
	@touch $@
