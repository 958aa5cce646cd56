# SPDX-License-Identifier: GPL-3.0-or-later
# make demo: a disposable host with two blank disks becomes a running Agnes. make test: what each commit must pass.

PYTHON ?= python3
BIN := .venv/bin
BENCH ?= remount copy provision
LINK := .collections/ansible_collections/agnes/host
SCENARIOS := $(notdir $(patsubst %/molecule.yml,%,$(wildcard molecule/*/molecule.yml)))
# Those of make test, the longest first: a host as in the field, a rollout, a first run, moves there and back, refusals,
# today's hosts.
MAIN := field_flat fleet fresh_flat nested_to_flat refuse_disks today_two_disks flat_to_nested fresh_nested today_one_disk
export PATH := $(CURDIR)/$(BIN):$(PATH)
unexport ANSIBLE_CONFIG ANSIBLE_INVENTORY

.PHONY: help setup lab lab-torture lab-vm artifact docs releases demo demo-move demo-clean test lint unit sanity scenarios torture bench round-trips browser vm fleet own-hosts

help:
	@echo "make setup       the tools in .venv; all that your own hosts need, and it needs no root"
	@echo "make lab         a Docker engine and what test hosts are made of, where they are missing"
	@echo "make demo        a disposable host with two blank disks becomes a running Agnes"
	@echo "make demo-move   that host, nested, moves to flat under load, is killed in the middle and run again"
	@echo "make demo-clean  remove that host"
	@echo "make test        lint, unit tests, real filesystems, torture in short, the main scenarios: half an hour (make lint, make unit)"
	@echo "make scenarios   all scenarios: more than an hour"
	@echo "make vm          virtual hosts: boots of a real kernel with udev and fstab (VM_REUSE=1: the hosts of the last run)"
	@echo "make fleet       ten hosts in three deployments, moved by rollouts under writes (FLEET_KEEP=1: the hosts stay)"
	@echo "make own-hosts   what is published, on Debian 12 and 13, over SSH as a user whom sudo asks for a password: the README, step by step"
	@echo "make sanity      ansible-test sanity and units, on each release of ansible-core and each Python of a host that is here"
	@echo "make browser     the report of a rollout in a browser, which is installed where there is none; pictures in .cache/browser"
	@echo "make bench       how long clients wait for a move, and what a run takes (BENCH='remount copy provision'; also copying, by_hand and fleet)"
	@echo "make docs        the documentation as a site, from the Markdown pages and the specifications; a broken link is an error"
	@echo "make releases    what a run would make of releases of the product (RELEASE='DIR DIR', the older first); without: docs/releases.md"
	@echo "make artifact    what is published, built, and installed where nothing else is"
	@echo "make torture     a move that fails at every step in every way, and is run again; power cuts at any moment; copies of every kind; round trips"
	@echo "make round-trips 20 round trips of a test host under load, with kills at random (SEED=, TRIPS=)"

setup: .venv/stamp $(LINK)

lab: setup
	@$(PYTHON) tests/lab/engine.py

lab-torture: setup
	@$(PYTHON) tests/lab/engine.py torture

lab-vm: setup
	@$(PYTHON) tests/lab/engine.py vm

.venv/stamp: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "setup: $(PYTHON) is Python %d.%d, and 3.11 or later is needed; name one: make setup PYTHON=python3.12" % sys.version_info[:2])'
	@echo "setup: the tools in .venv (about half a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	@touch $@

$(LINK):
	@mkdir -p $(dir $@)
	@ln -sfn ../../.. $@

artifact: setup
	@$(BIN)/python tests/lab/artifact.py

docs: setup
	@$(BIN)/python tests/lab/docs.py

releases: lab
	@$(BIN)/python tests/lab/releases.py $(RELEASE)

demo: lab
	@$(BIN)/python tests/lab/images.py
	@ansible-playbook molecule/shared/create.yml molecule/shared/prepare.yml
	@ansible-playbook site.yml -e layout=flat
	@$(BIN)/python tests/lab/explore.py

demo-move: lab
	@$(BIN)/python tests/lab/images.py
	@ansible-playbook molecule/shared/create.yml molecule/shared/prepare.yml
	@ansible-playbook site.yml -e layout=nested
	@$(BIN)/python tests/lab/move_demo.py $(RECORD)

demo-clean: lab
	@ansible-playbook molecule/shared/destroy.yml

test: lab-torture
	@$(BIN)/python tests/lab/suite.py lint unit real torture $(MAIN)

torture: lab-torture
	@$(BIN)/python tests/lab/images.py
	@docker load --quiet --input $${XDG_CACHE_HOME:-$$HOME/.cache}/agnes-host/stack.tar
	@TORTURE=full $(BIN)/python tests/lab/suite.py real torture
	@$(BIN)/python tests/lab/round_trips.py

round-trips: lab
	@$(BIN)/python tests/lab/round_trips.py

bench: lab
	@$(BIN)/python tests/lab/images.py
	@set -e; for part in $(BENCH); do case $$part in \
		provision) python bench/run.py ;; copying | by_hand) python bench/$$part.py $(BENCHFLAGS) ;; fleet) python bench/fleet.py $(BENCHFLAGS) ;; *) python bench/downtime.py $$part $(BENCHFLAGS) ;; esac; done

vm: lab-vm
	@$(BIN)/pytest -v -s --durations=0 tests/vm

fleet: lab
	@$(BIN)/python tests/lab/images.py
	@$(BIN)/pytest -v -s --durations=0 tests/fleet

own-hosts: lab
	@$(BIN)/pytest -v -s -rs tests/own_hosts

lint unit: setup
	@$(BIN)/python tests/lab/suite.py $@

sanity: setup
	@$(BIN)/python tests/lab/sanity.py

scenarios: lab
	@$(BIN)/python tests/lab/suite.py $(SCENARIOS)

browser: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/browser.txt
	@$(BIN)/python tests/lab/browser.py
	@$(BIN)/python -m pytest -q -rs tests/unit/browser
