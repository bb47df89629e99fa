# A fresh clone, Python 3.11 or newer and nothing else: `make demo` and `make test` set up what they need.
# Everything lands in .venv, from requirements*.lock (exact versions and hashes; docs/adr/0004).

.DEFAULT_GOAL := help
.PHONY: help demo setup setup-dev setup-test setup-bench test check check-style check-types check-shape check-docs fix bench docs words lock

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
JOBS ?= auto
PEBBLE := v2.10.1
TESTS ?= tests
PACKAGES := -p kronborg -p kronborg_sdk -p kronborg_shop
SOURCES := $(wildcard src sdk demo tests bench docs)
PROJECTS := pyproject.toml sdk/pyproject.toml demo/shop/pyproject.toml
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-package kronborg --no-emit-package kronborg-sdk --no-emit-package kronborg-shop $(if $(UPGRADE),--upgrade)
EDITABLE := $(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation \
	--editable . --editable sdk --editable demo/shop

# uv does not read pip's settings; who names an index for pip means it for uv too.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif

# Tests start over a hundred processes: what Python compiled is kept, whatever this machine is used to.
export PYTHONDONTWRITEBYTECODE :=

help: ## show the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: setup ## start identity, gateway and the demo shop, and print where to click
	@$(BIN)/kronborg demo $(ARGS)

setup: $(VENV)/.runtime ## build .venv with what the product needs

setup-dev: $(VENV)/.dev ## ... and what checks and tests need

setup-test: setup-dev ## ... and the browser, the directory and the Node clients that the tests drive
	@.ci/system-packages chromium node npm slapd ldapadd xmlsec1
	@.ci/system-packages --optional softhsm2-util
	@$(MAKE) --no-print-directory $(patsubst %/package.json,%/node_modules/.stamp,$(wildcard tests/*/package.json)) \
	  $(VENV)/.pebble

setup-bench: setup-dev ## ... and the peers that the benchmarks compare with
	@.ci/system-packages --optional nginx node npm
	@$(UV) pip install --quiet --python $(BIN)/python --group bench
	@if command -v npm >/dev/null; then \
	  $(MAKE) --no-print-directory $(patsubst %/package.json,%/node_modules/.stamp,$(wildcard bench/*/package.json)); fi

test: setup-test ## run every test (TESTS=tests/oauth for some, JOBS=1 for one at a time)
	@$(BIN)/pytest -n $(JOBS) --maxprocesses 4 $(TESTS)

check: check-style check-types check-shape check-docs ## style, types, architecture, generated pages (-k: all that fail)

check-style: setup-dev
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

check-types: setup-dev
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/mypy $(wildcard tests bench docs/generate.py docs/words.py)

check-shape: setup-dev
	$(BIN)/lint-imports
	$(BIN)/pytest -q -p no:randomly tests/test_shape.py tests/test_locks.py tests/test_docs.py

check-docs: setup-dev
	$(BIN)/python docs/generate.py --check

fix: setup-dev ## repair what can be repaired by itself
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: setup-bench ## measure against the floor, raw Envoy and other servers
	@$(BIN)/python -m bench $(ARGS)

docs: setup-dev ## write the generated pages: spec coverage, JSON Schema, CLI reference
	$(BIN)/python docs/generate.py

words: setup-dev ## bring the catalogues of other languages up to date with the texts of the code
	$(BIN)/python docs/words.py

lock: $(VENV)/.build ## write requirements*.lock (UPGRADE=1 to move to newer versions)
	$(COMPILE) --group pyproject.toml:build -o requirements-build.lock >/dev/null
	$(COMPILE) $(PROJECTS) --group pyproject.toml:dev -o requirements-dev.lock >/dev/null
	$(COMPILE) $(PROJECTS) -c requirements-dev.lock -o requirements.lock >/dev/null

# The environment, in three steps that each leave a stamp: a second run does nothing.

$(VENV)/.build: requirements-build.lock
	@set -e; \
	for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Kronborg needs Python 3.11 or newer; found: $$(python3 --version 2>&1 || true)." >&2; \
	  echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	if ! "$$found" -c 'import venv, ensurepip' 2>/dev/null; then \
	  echo "$$found lacks the venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; \
	fi; \
	if ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  echo "· building $(VENV) with $$("$$found" --version)"; "$$found" -m venv --clear $(VENV); \
	fi; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock
	@touch $@

$(VENV)/.runtime: $(VENV)/.build requirements.lock $(PROJECTS)
	@echo "· installing what the product needs"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(EDITABLE)
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@PYTHON=$(BIN)/python .ci/system-packages cc Python.h ldap.h sasl/sasl.h
	@echo "· installing what checks and tests need"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@

# The ACME server that tests order certificates from.
$(VENV)/.pebble:
	@.ci/system-packages go
	@echo "· building the ACME server of the tests"
	@GOBIN=$(abspath $(BIN)) GOFLAGS=-modcacherw go install \
	  github.com/letsencrypt/pebble/v2/cmd/pebble@$(PEBBLE) \
	  github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv@$(PEBBLE)
	@touch $@

%/node_modules/.stamp: %/package.json %/package-lock.json
	@echo "· installing the Node packages of $*"
	@cd $* && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@
