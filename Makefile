# Everything a newcomer needs: `make` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RABBITMQ := /usr/lib/rabbitmq/bin/rabbitmq-server
REDIS := /usr/bin/redis-server
CHROMIUM := /usr/bin/chromium
# pyvips would build itself against a libvips-dev of the system; the wheel's own is newer.
export PKG_CONFIG_LIBDIR := /nonexistent

.PHONY: help serve test lint bench bench-distributed scale-demo lock docs gen warm wheel wheel-check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(VENV)/runtime ## start the embedded service on port 8080
	@exec $(BIN)/micropic serve

test: $(VENV)/development | $(RABBITMQ) $(REDIS) $(CHROMIUM) ## run every test
	$(BIN)/python -m pytest tests/unit --quiet --cov=micropic.domain --cov-fail-under=100
	$(BIN)/python -m pytest --cov

lint: $(VENV)/development ## check style, types, layers and generated tables
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/readme_tables.py --check

bench: $(VENV)/development ## measure, as ratios to limits of the same run
	$(BIN)/python -m benchmarks

bench-distributed: $(VENV)/development | $(RABBITMQ) ## measure the distributed shape beside the embedded one
	$(BIN)/python -m benchmarks distributed

scale-demo: $(VENV)/development | $(RABBITMQ) ## show what five workers do that one does not
	$(BIN)/python -m benchmarks.scale_demo

docs: $(VENV)/development ## write the README's tables anew from the code
	$(BIN)/python scripts/readme_tables.py

gen: $(VENV)/development ## write the code of the protobuf messages anew
	rm -rf src/micropic/v1
	$(BIN)/python -m grpc_tools.protoc -I proto --python_out=src --pyi_out=src proto/micropic/v1/*.proto
	$(BIN)/python -m grpc_tools.protoc -I proto --grpc_python_out=src proto/micropic/v1/cache.proto
	@echo '"""Made by `make gen` from proto/: not to be edited."""' > src/micropic/v1/__init__.py

SOURCES ?= /dev/stdin
warm: $(VENV)/runtime ## fill the cache of a service on port 8080 with SOURCES, a file or a URL
	@$(BIN)/micropic warm $(SOURCES)

wheel: $(VENV)/development ## build the wheel into dist/
	rm -rf dist
	$(BIN)/python -m build --wheel

wheel-check: $(BIN)/python ## try the wheel in an environment of its own
	rm -rf build/wheel-check
	$(PYTHON) -m venv build/wheel-check
	build/wheel-check/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	build/wheel-check/bin/pip install --quiet --disable-pip-version-check --no-deps dist/*.whl
	build/wheel-check/bin/micropic --version
	build/wheel-check/bin/micropic render src/micropic/samples/cat.jpg --size 30x20 -o build/wheel-check/cat.jpg

lock: $(VENV)/development ## renew the lock files
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
		--no-header --python-version 3.11 --upgrade pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
		--no-header --python-version 3.11 --upgrade pyproject.toml --extra faces \
		--constraint requirements/runtime.txt -o requirements/faces.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
		--no-header --python-version 3.11 --upgrade pyproject.toml --extra redis --extra s3 --group dev \
		-o requirements/development.txt

clean: ## remove the virtual environment and everything that was built
	rm -rf $(VENV) build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# Debian's packages: the tests start servers of their own from them. In a container the packages
# start none; elsewhere the system's own are left as the packages have them. What needs a server
# that is missing is skipped, and says so.
$(RABBITMQ) $(REDIS) $(CHROMIUM):
	@if [ "$$(id -u)" = 0 ]; then \
		apt-get -qq update && \
		DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $(@F); \
	fi || true
	@[ -e $@ ] || echo "$(@F) is missing, some tests are skipped: sudo apt-get install $(@F)" >&2

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "micropic needs Python 3.11 or newer, not " + sys.version.split()[0])'
	@$(PYTHON) -c 'import ensurepip' || { echo "Python's venv module is missing: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime: $(BIN)/python requirements/runtime.txt pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/development: $(BIN)/python requirements/development.txt pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/development.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@
