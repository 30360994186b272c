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
NGINX := /usr/sbin/nginx
VARNISH := /usr/sbin/varnishd
KUSTOMIZE := $(BIN)/kustomize
# pyvips would build itself against a libvips-dev of the system; the wheel's own is newer.
export PKG_CONFIG_LIBDIR := /nonexistent

.PHONY: help serve quick test test-slow coverage lint hostile fuzz bench bench-distributed overload scale-demo lock docs site gen warm wheel wheel-check clean
.PHONY: soak audit sbom
.PHONY: build run down scale-up scale-down push kube-up kube-down compose-check compose

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(VENV)/runtime ## start the embedded service on port 8080
	@exec $(BIN)/micropic serve

# One test process more than cores: tests wait for processes and clocks now and then.
# A file's tests stay together, because they share servers.
JOBS ?= $(shell echo $$(($$(nproc) + 1)))
PYTEST = $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile
SERVERS := $(RABBITMQ) $(REDIS) $(CHROMIUM) $(NGINX) $(VARNISH) $(KUSTOMIZE)

quick: $(VENV)/development | $(RABBITMQ) $(REDIS) ## run unit and contract tests: a minute
	$(PYTEST) tests/unit tests/contracts -m "not slow"

test: $(VENV)/development | $(SERVERS) ## run every test but the slow ones; unit tests must cover the domain
	$(PYTEST) tests/unit --quiet --cov=micropic.domain --cov-fail-under=100
	$(PYTEST) --ignore=tests/unit -m "not slow"

test-slow: $(VENV)/development | $(SERVERS) ## run the slow tests: soak, fuzzing, faults, slow clients and origins
	$(PYTEST) -m slow

coverage: $(VENV)/development | $(SERVERS) ## run every test and measure coverage, child processes included
	$(PYTEST) --cov

lint: $(VENV)/development ## check style, types, layers and generated tables
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/readme_tables.py --check

hostile: $(VENV)/development | $(RABBITMQ) ## ask every bad origin in both shapes, and print what came of it
	$(BIN)/python -m tests.hostile

FUZZ_SECONDS ?= 60
fuzz: $(VENV)/development ## look for addresses that are taken amiss, for FUZZ_SECONDS
	$(BIN)/python -m tests.fuzz.urls -max_total_time=$(FUZZ_SECONDS) -max_len=200 -seed=1

bench: $(VENV)/development ## measure, as ratios to limits of the same run
	$(BIN)/python -m benchmarks

bench-distributed: $(VENV)/development | $(RABBITMQ) ## measure the distributed shape beside the embedded one
	$(BIN)/python -m benchmarks distributed

overload: $(VENV)/development ## measure what becomes of a service that is asked for too much
	$(BIN)/python -m benchmarks overload

scale-demo: $(VENV)/development | $(RABBITMQ) ## show what five workers do that one does not
	$(BIN)/python -m benchmarks.scale_demo

SECONDS ?= 600
soak: $(VENV)/development | $(RABBITMQ) ## wear both shapes out for SECONDS, with faults of every part
	$(BIN)/python -m benchmarks.soak --seconds $(SECONDS)

audit: $(VENV)/development ## ask OSV whether a locked package has a known vulnerability
	$(BIN)/python -m scripts.audit

sbom: $(VENV)/development ## write the bill of materials of the image into dist/, as CycloneDX
	$(BIN)/python -m scripts.sbom --output dist/micropic.cdx.json

docs: $(VENV)/development ## write the tables in the documents anew from the code
	$(BIN)/python scripts/readme_tables.py

site: $(VENV)/development ## build the site of the documents into build/docs/site
	$(BIN)/python scripts/site_pages.py
	$(BIN)/zensical build --strict --config-file build/docs/zensical.toml

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
	$(BIN)/python -m build --wheel --no-isolation

wheel-check: $(BIN)/python ## try the wheel in an environment of its own
	PYTHON=$(PYTHON) scripts/wheel_check

# Docker if it runs here, else podman; looked for by those targets alone that need one.
ENGINE ?= $(or $(shell for each in docker podman; do $$each info >/dev/null 2>&1 && echo $$each && break; done),$(error It takes docker or podman, and none runs here))
COMPOSER = $(if $(filter podman,$(notdir $(ENGINE))),podman-compose,$(ENGINE) compose)
COMPOSE ?= $(or $(shell $(COMPOSER) version >/dev/null 2>&1 && echo $(COMPOSER)),$(error It takes $(COMPOSER), which is not installed)) --file deploy/compose.yaml
KUBECTL ?= $(or $(shell command -v kubectl),$(error It takes kubectl, which is not installed))
OVERLAY ?= minikube
export IMAGE ?= micropic:latest
# What podman leaves out otherwise: the health check.
export BUILDAH_FORMAT := docker

build: ## build the container image IMAGE
	$(ENGINE) build $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) $(BUILD_FLAGS) --file deploy/docker/Dockerfile --tag $(IMAGE) .

# Whatever else there is to say to compose, for scripts/compose_check.
compose:
	@$(COMPOSE) $(ARGS)

push: ## push the image, such as IMAGE=registry.example.com/micropic:0.1.0
	$(ENGINE) push $(IMAGE)

run: build ## start the distributed shape in containers, and wait until it is ready
	$(COMPOSE) up --detach
	@$(WAIT_UNTIL_READY)
	@echo "Try http://localhost:$${PORT:-8080}/fill/300/200/pictures:8080/cat.jpg"

# Of those that ask of each other, the last ones; podman-compose starts all at once.
define WAIT_UNTIL_READY
for service in previewer proxy; do \
	timeout 120 $(SHELL) -c 'until $(COMPOSE) exec -T '$$service' \
		python -m micropic.ready http://127.0.0.1:8000/readyz >/dev/null 2>&1; do sleep 1; done' || \
	{ echo "$$service is not ready after 120 s: $(COMPOSE) logs $$service" >&2; exit 1; }; \
done
endef

down: scale-down ## stop the containers; the volumes with the cache stay
	$(COMPOSE) down $(DOWN_FLAGS)

scale-up: ## run five previewers
	$(COMPOSE) up --detach --no-recreate --scale previewer=5

# By their names: podman-compose only ever adds.
scale-down: ## run one previewer again
	@more=$$($(ENGINE) ps --all --format '{{.Names}}' | \
		grep '^$(or $(COMPOSE_PROJECT_NAME),micropic)[-_]previewer[-_]' | grep -v '[-_]1$$' || true); \
	[ -z "$$more" ] || { $(ENGINE) stop --time 30 $$more && $(ENGINE) rm $$more; }

kube-up: ## start it in a Kubernetes cluster, by OVERLAY (minikube or production)
	$(KUBECTL) apply --kustomize deploy/kubernetes/overlays/$(OVERLAY)
	for what in statefulset/rabbitmq statefulset/cache deployment/previewer deployment/proxy; do \
		$(KUBECTL) --namespace micropic rollout status --timeout 300s $$what; \
	done

kube-down: ## take it out of the cluster again, with its volumes
	$(KUBECTL) delete --ignore-not-found --kustomize deploy/kubernetes/overlays/$(OVERLAY)

compose-check: $(VENV)/development ## build, start, test, scale and stop the containers
	scripts/compose_check

# `make lock UPGRADE=` keeps what is locked, and takes up what is new in pyproject.toml.
UPGRADE := --upgrade
LOCK = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-strip-extras \
	--no-header --python-version 3.11 $(UPGRADE)
COMPILE = $(LOCK) pyproject.toml
COMPILE_GROUP = $(LOCK) --group
EXTRAS := --extra distributed --extra otel --extra redis --extra s3
lock: $(VENV)/development ## renew the lock files
	$(COMPILE) -o requirements/runtime.txt
	$(COMPILE) $(EXTRAS) --constraint requirements/runtime.txt -o requirements/image.txt
	$(COMPILE) $(EXTRAS) --extra faces --constraint requirements/image.txt -o requirements/faces.txt
	$(COMPILE) $(EXTRAS) --extra faces --group dev -o requirements/development.txt
	$(COMPILE_GROUP) build --constraint requirements/development.txt -o requirements/build.txt

clean: ## remove the virtual environment and everything that was built
	rm -rf $(VENV) build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# Debian's packages: the tests start servers of their own from them. In a container the packages
# start none; elsewhere the system's own are left as the packages have them. What needs a server
# that is missing is skipped, and says so.
PACKAGE_nginx := nginx-light
PACKAGE_varnishd := varnish
PACKAGE = $(or $(PACKAGE_$(@F)),$(@F))
$(RABBITMQ) $(REDIS) $(CHROMIUM) $(NGINX) $(VARNISH):
	@if [ "$$(id -u)" = 0 ]; then \
		apt-get -qq update && \
		DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $(PACKAGE); \
	fi || true
	@[ -e $@ ] || echo "$(@F) is missing, some tests are skipped: sudo apt-get install $(PACKAGE)" >&2

# Debian has none; Go's own client checks what it fetches by its sum.
$(KUSTOMIZE): | $(VENV)/development
	@GOBIN=$(abspath $(BIN)) go install sigs.k8s.io/kustomize/kustomize/v5@v5.8.1 || \
		echo "kustomize is missing, a test is skipped: it takes Go" >&2

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "micropic needs Python 3.11 or newer, not " + sys.version.split()[0])'
	@$(PYTHON) -c 'import ensurepip' || { echo "Python's venv module is missing: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The build backends are locked, too, and come first: in isolation pip would fetch them without hashes.
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation
INSTALL_BACKENDS := $(PIP_INSTALL) --require-hashes -r requirements/build.txt
INSTALL_MICROPIC := $(PIP_INSTALL) --no-deps --editable .

$(VENV)/runtime: $(BIN)/python requirements/runtime.txt requirements/build.txt pyproject.toml
	$(INSTALL_BACKENDS)
	$(PIP_INSTALL) --require-hashes -r requirements/runtime.txt
	$(INSTALL_MICROPIC)
	@touch $@

$(VENV)/development: $(BIN)/python requirements/development.txt requirements/build.txt pyproject.toml
	$(INSTALL_BACKENDS)
	$(PIP_INSTALL) --require-hashes -r requirements/development.txt
	$(INSTALL_MICROPIC)
	@touch $@
