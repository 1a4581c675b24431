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
# With what pyproject.toml says under [build-system] in the environment, pip need not make one of its own at each build.
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
BUILD_REQUIRES = $(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")'

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/ready ## system packages, .venv, the build: what is missing of them
	@tools/packages build run
	@cmake --build $(BUILD) | sed '/^ninja: no work to do/d; /Re-checking globbed/d'
	@cmake --install $(BUILD) --prefix $(SITE) >/dev/null

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

.PHONY: test
test: setup ## pass the tests (ARGS="-k replay" chooses)
	@tools/packages test
	@$(BIN)/python -m pytest $(ARGS)

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

$(VENV)/lint-ready: $(VENV)/ready
	@echo "Installing the linters into $(VENV)"
	@$(PIP) install $$($(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["lint"])')
	@touch $@

.PHONY: clean
clean: ## remove what was built; .venv stays
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis $(VENV)/ready
