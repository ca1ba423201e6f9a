# Each target installs what it needs first and redoes only what changed. `make` alone shows this list.
PYTHON ?= python3
INSTALL := $(PYTHON) tools/install.py
TOOLS := .venv-tools/bin/python
TEST := .venv-test/bin/python
WORKERS ?= 2

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test unit check bench timing seals rotation mutate serve ui lock upgrade clean
MAKEFLAGS += --no-print-directory

help:  ## show this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo:  ## install, start over TLS, run a real flow through the API, show what landed
	@$(INSTALL) system run ui
	@.venv/bin/python examples/flights/demo.py

serve:  ## start the server with the UI at https://localhost:8443
	@$(INSTALL) system run ui
	@.venv/bin/sluice serve

test:  ## install everything, then the gates, all tests and the UI's tests
	@$(INSTALL) system test tools moto ui
	@$(TOOLS) -m tools.suite gates tests ui

unit:  ## the quick tests only: no servers, jail, browser or whole installation
	@$(INSTALL) test
	@$(TEST) -m pytest -q -n $(WORKERS) -m "not slow"

check:  ## the gates: lint, types, floors, bandit, semgrep, secrets, locks, waivers
	@$(INSTALL) test tools
	@$(TOOLS) -m tools.check

bench:  ## the performance suite; results go to benchmarks/results/
	@$(INSTALL) system test
	@$(TEST) -m benchmarks

timing:  ## whether the time of a refused sign-in tells who exists: 2,000 samples of each kind
	@$(INSTALL) test
	@$(TEST) -m benchmarks.timing

seals:  ## what sealing costs, and 5 GiB through every kind of seal in constant memory
	@$(INSTALL) test
	@$(TEST) -m benchmarks.seals

rotation:  ## five minutes of 100 runs a minute while keys are replaced and the server is killed: no run fails
	@$(INSTALL) test
	@SLUICE_TEST_SECONDS=300 $(TEST) -m pytest -q -s tests/crash/test_rotation_load.py

mutate:  ## change the guards one thing at a time and see it caught (MINUTES=60); writes docs/security/mutation.md
	@$(INSTALL) system test
	@$(TEST) -m tools.mutate --report --minutes $(or $(MINUTES),60)

ui:  ## build the UI into the package
	@$(INSTALL) ui

lock:  ## write the lock files anew, keeping versions that still fit
	@$(INSTALL) tools
	@$(TOOLS) -m tools.lock write

upgrade:  ## write the lock files anew with the newest versions that fit
	@$(INSTALL) tools
	@$(TOOLS) -m tools.lock write --upgrade

clean:  ## remove all that was installed, built or cached
	@rm -rf .venv .venv-test .venv-tools .venv-moto .venv-node .cache .hypothesis dist ui/node_modules src/sluicegate/web/static
	@find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
