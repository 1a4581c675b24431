# SPDX-License-Identifier: Apache-2.0
# `make` lists the targets. Each sets up what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BUILD := build/dev
BIN := $(VENV)/bin
SITE = $(shell $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
# Who is not root may still have a network of their own, where the kernel allows it. They keep their name there: pytest
# names its directory in /tmp by it.
NAMESPACE := $(shell [ $$(id -u) -eq 0 ] || ! unshare -Urn true 2>/dev/null || echo LOGNAME=$$(id -un) unshare -Urn)
# With what pyproject.toml says under [build-system] in the environment, pip need not make one of its own at each build.
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
THREADED := pipeline or workers or run or thread or interrupt or under_load or while_receiving or backpressure
PROJECT := import sys, tomllib; project = tomllib.load(open("pyproject.toml", "rb"));
BUILD_REQUIRES := $(PYTHON) -c '$(PROJECT) print(*project["build-system"]["requires"], sep="\n")'
EXTRA := $(PYTHON) -c '$(PROJECT) print(*project["project"]["optional-dependencies"][sys.argv[1]], sep="\n")'

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/ready ## system packages, .venv, the build: what is missing of them
	@tools/packages build run
	@cmake --build $(BUILD) | sed '/^ninja: no work to do/d; /Re-checking globbed/d'
	@cmake --install $(BUILD) --component module --prefix $(SITE) >/dev/null

# Installed so that src/ is what runs; what is compiled stays in $(BUILD), and only `setup` brings it up to date.
$(VENV)/ready: pyproject.toml tools/packages
	@tools/packages build run
	@[ -x $(BIN)/pip ] || $(PYTHON) -m venv $(VENV)
	@echo "Installing Python packages into $(VENV)"
	@$(BUILD_REQUIRES) >$(VENV)/build-requires.txt
	@$(PIP) install -r $(VENV)/build-requires.txt
	@echo "Building Wirepath"
	@$(PIP) install --no-build-isolation --config-settings=build-dir=$(BUILD) --editable '.[test]'
	@touch $@

.PHONY: run
run: setup ## the main job on real traffic: a private lab, or IFACE=eth0 SECONDS=10
	@$(BIN)/python -m wirepath.bench.demo $(if $(IFACE),--iface $(IFACE)) $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: test
test: setup ## pass the tests (ARGS="-k replay" chooses)
	@tools/packages test
ifeq ($(NAMESPACE),)
	@$(BIN)/python -m pytest $(ARGS)
else
	@echo "Not root: what needs a network is tested in a user namespace; what the kernel refuses there is skipped by name."
	@$(BIN)/python -m pytest tests/unit $(ARGS)
	@$(NAMESPACE) $(BIN)/python -m pytest tests/contract tests/net $(ARGS)
endif

.PHONY: kernels
kernels: setup ## real kernels and NIC drivers, in QEMU, about an hour (ARGS="--quick", "--full", "--nic igb")
	@tools/packages run test
	@$(BIN)/python -m tests.kernels matrix $(ARGS)

.PHONY: soak
soak: setup ## open and close each engine 10,000 times and look for leaks (an hour)
	@$(BIN)/python -m pytest tests/contract -k no_leak --opens 10000 $(ARGS)

.PHONY: lint
lint: setup $(VENV)/lint-ready ## what .ci/run checks: ruff, mypy, clang-format, clang-tidy
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@git ls-files -z '*.cpp' '*.hpp' '*.bpf.c' '*.bpf.h' | xargs -0 $(BIN)/clang-format --dry-run --Werror
	@tools/tidy $(BUILD) $(BIN)/clang-tidy

.PHONY: format
format: $(VENV)/lint-ready ## format the sources
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format
	@git ls-files -z '*.cpp' '*.hpp' '*.bpf.c' '*.bpf.h' | xargs -0 $(BIN)/clang-format -i

$(VENV)/%-ready: $(VENV)/ready
	@echo "Installing what '$*' needs into $(VENV)"
	@$(EXTRA) $* >$(VENV)/$*-requires.txt
	@$(PIP) install -r $(VENV)/$*-requires.txt
	@touch $@

.PHONY: asan
asan: setup ## the tests, built with AddressSanitizer and UndefinedBehaviorSanitizer
	@tools/packages test
	@tools/sanitized asan address,undefined -m pytest $(ARGS)

.PHONY: tsan
tsan: setup ## the tests that use threads, built with ThreadSanitizer
	@tools/packages test
	@tools/sanitized tsan thread -m pytest -k "$(THREADED)" $(ARGS)

.PHONY: fuzz
fuzz: ## run each fuzzer for SECONDS=60 (ARGS="pcapng" chooses)
	@tools/packages build fuzz
	@tools/fuzz $(or $(SECONDS),60) $(ARGS)

.PHONY: bench
bench: setup ## figures beside tcpdump, dumpcap, pcapy-ng, … (ARGS="--quick", "--only offline", "--record")
	@tools/packages build bench
	@$(BIN)/python -m bench $(ARGS)

.PHONY: dist
dist: $(VENV)/dist-ready ## sdist and wheel into dist/, the wheel tried in an environment of its own
	@tools/packages build
	@tools/dist $(BIN)/python

.PHONY: docs
docs: setup ## write the parts of the documentation that the code knows better
	@$(BIN)/python tools/docs
	@$(BIN)/python tools/manual

.PHONY: clean
clean: ## remove what was built; .venv stays
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis $(VENV)/ready
