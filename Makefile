# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

.DEFAULT_GOAL := help
.PHONY: help demo audit test test-unit test-sanity test-integration test-molecule proof lint bench docs clean distclean \
        environment development lab-programs test-programs peers
# One after the other, whatever -j says: targets share .venv and apt.
.NOTPARALLEL:

setup = scripts/setup.sh
bin = .venv/bin
lab = PATH="$(CURDIR)/$(bin):$$PATH" python3 extensions/lab/lab.py
export ANSIBLE_HOME = $(CURDIR)/.ansible

## Everyday
help: ## What can be made (this text)
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Lab hosts, deployed, measured and reported on (root, Debian; undone by make clean)
	@extensions/demo/run

audit: ## Audit this machine: packages and TLS listeners, read-only (AUDIT_TARGETS=host:port,... for others)
	@WITHOUT_PACKAGES=1 $(setup) venv .venv control-node
	@extensions/demo/audit

test: development lab-programs test-programs ## The tests: sanity, integration, molecule, units (about 45 minutes cold, root, Debian)
	@scripts/test.sh

proof: development lab-programs test-programs peers ## The long proofs: labs rebooted and killed, TLS against sslyze, fuzzing
	@$(bin)/python -m pytest tests/proof

clean: ## Undo what the lab did to the machine, remove what was built (keeps .venv and the lab's base trees)
	@if [ -d build/lab ] || [ -d .lab ]; then $(lab) clean; fi
	@$(setup) remove-packages
	@rm -rf build .ansible .mypy_cache .pytest_cache .ruff_cache .coverage tests/output changelogs/.plugin-cache.yaml
	@find extensions plugins scripts tests -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## Remove everything that is not in the repository
	@if [ -d .lab ]; then $(lab) distclean; fi
	@rm -rf .venv .venv-2.19 .venv-peers dist
	@$(setup) remove-python
	@rm -rf .lab

## The tests, one by one
test-unit: development ## Unit tests
	@$(bin)/python -m pytest

test-sanity: development test-programs ## ansible-test sanity, every test on every Python from 3.9 on
	@scripts/ansible_test.sh .venv sanity --color no

test-integration: development test-programs ## Integration targets against real servers (TARGETS=... for some)
	@scripts/integration.sh .venv $(TARGETS)

test-molecule: development lab-programs ## The molecule scenarios on lab hosts
	@scripts/molecule.sh test --all

## For those who change it
lint: development ## ruff, mypy, yamllint, ansible-lint, documentation and changelog checks
	@scripts/lint.sh

bench: development lab-programs peers ## Ratios against peers on this machine, in one run
	@scripts/bench.sh

docs: development ## The reference of all plugins and roles, in build/docs
	@scripts/docs.sh

# What the targets above stand on.
environment:
	@$(setup) venv .venv control-node

development:
	@$(setup) venv .venv development

lab-programs: environment
	@$(setup) packages $$($(lab) packages)

test-programs:
	@$(setup) packages openssl shellcheck
	@$(setup) optional-packages gnutls-bin nginx-light haproxy apache2 rpm gnupg dpkg-dev

peers: test-programs
	@$(setup) peers .venv-peers
	@$(setup) optional-packages testssl.sh sslscan debsums
