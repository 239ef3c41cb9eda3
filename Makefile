# Every recipe is one command, and CI runs the same ones. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Where things are built. STATE is short-lived: `make clean-cluster` removes it.
BUILD := build
BIN := $(BUILD)/bin
IMAGES := $(BUILD)/images
export CLUSTER_STATE ?= $(abspath $(BUILD)/cluster)

# `make run CLUSTER=current` uses the current kubeconfig in place of the embedded Kubernetes.
CLUSTER ?= embedded
# Names of the images; with CLUSTER=current they must be in a registry that it can pull from.
IMAGE ?= pyroscope:dev
OPERATOR_IMAGE ?= pyroscope-operator:dev

# Programs in namespaces of their own need root; everything else does not.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=CLUSTER_STATE,CLUSTER_NAME,PATH,HOME)

HOST = $(shell rustc -vV | sed -n 's/^host: //p')
GO_BUILD := CGO_ENABLED=0 go build -trimpath

.PHONY: help
help: ## List the recipes
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: requirements
requirements:
	@CLUSTER=$(CLUSTER) e2e/recipes/requirements.sh

.PHONY: run
run: requirements ## Start Kubernetes, install the operator, apply a cluster, push and query a profile
	@$(MAKE) --no-print-directory $(if $(filter current,$(CLUSTER)),,embedded) quickstart
	@CLUSTER=$(CLUSTER) IMAGE=$(IMAGE) OPERATOR_IMAGE=$(OPERATOR_IMAGE) SUDO="$(SUDO)" e2e/recipes/run.sh

.PHONY: clean-cluster
clean-cluster: ## Remove the embedded Kubernetes and every trace of it
	@if [ -x $(BIN)/cluster ]; then for name in dev e2e; do $(SUDO) $(BIN)/cluster --name $$name down; done; fi
	@$(SUDO) rm -rf $(BUILD)/cluster && echo "no cluster is left"

.PHONY: test
test: requirements ## Run every test, the end-to-end tests on the embedded Kubernetes included
	@SUDO="$(SUDO)" e2e/recipes/test.sh rust go fuzz sdks stores blocks e2e

.PHONY: test-fast
test-fast: ## Run the tests that need no cluster
	@e2e/recipes/test.sh rust

.PHONY: e2e
e2e: requirements embedded ## Run the end-to-end tests, or one with TEST=name (KEEP=1 leaves the cluster up)
	@SUDO="$(SUDO)" e2e/recipes/e2e.sh $(TEST)

.PHONY: sdks
sdks: ## Profile real programs with the clients of every language (UPDATE=1 records what they send)
	@e2e/recipes/sdks.sh

.PHONY: stores
stores: ## Use buckets of real object stores, through a network that fails
	@e2e/recipes/stores.sh

.PHONY: blocks
blocks: ## Let DuckDB and pyarrow read a block, as docs/block-format.md says
	@e2e/recipes/blocks.sh

.PHONY: soak
soak: ## Run the long suites whole: simulated gossip, crashes, unwell nodes, damage of the log, properties
	SOAK_SEEDS=10000 cargo test --locked --release -p pyroscope-memberlist --test simulation -- --nocapture
	SOAK_SEEDS=10000 cargo test --locked --release -p pyroscope-gossip --test ring_simulation -- --nocapture
	SOAK_SEEDS=5000 cargo test --locked --release -p pyroscope-store --test faults -- --nocapture
	DAMAGES=100000 cargo test --locked --release -p pyroscope-store --test block_damage
	SOAK_SEEDS=1000 cargo test --locked --release -p pyroscope-server --test crash -- --nocapture
	SOAK_ITERATIONS=300 cargo test --locked --release -p pyroscope-server --test chaos -- --nocapture
	PROPTEST_CASES=5000 cargo test --locked --release -p pyroscope-memberlist -p pyroscope-ring \
		-p pyroscope-profile -p pyroscope-store
	PROPTEST_CASES=2000 cargo test --locked --release -p pyroscope-gossip
	@e2e/recipes/mixed.sh 50

# What `make bench` compares: `gossip`, with clusters of how many nodes, or `push`, with how many profiles.
BENCH ?= gossip
NODES ?= 16,64,128
PROFILES ?= 8000
RELEASE := $(or $(CARGO_TARGET_DIR),target)/release

.PHONY: bench
bench: bench-$(BENCH) ## Measure on this machine: BENCH=gossip NODES=16,64,128 or BENCH=push PROFILES=8000

.PHONY: bench-gossip
bench-gossip:
	cargo build --locked --quiet --release -p pyroscope-bench
	cd e2e/peers/bench && $(GO_BUILD) -o ../../../$(BIN)/dskit-node .
	$(RELEASE)/bench gossip --nodes $(NODES) --go $(BIN)/dskit-node --out $(BUILD)/bench

.PHONY: bench-push
bench-push:
	cargo build --locked --quiet --release -p pyroscope-bench -p pyroscope-server
	$(RELEASE)/bench push --profiles $(PROFILES) --out $(BUILD)/bench

.PHONY: fuzz
fuzz: requirements ## Let libFuzzer search every decoder for FUZZ_SECONDS each (60), or one with TARGET=name
	@e2e/recipes/fuzz.sh $(TARGET)

.PHONY: lint
lint: ## Check format, lints, licences, docs and the arrows between crates
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked -p pyroscope-fuzz --features libfuzzer --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
	cargo test --locked --quiet --workspace --test house
	@e2e/recipes/lint-go.sh
	@command -v cargo-deny >/dev/null || { echo "installing cargo-deny"; cargo install --locked --quiet cargo-deny; }
	cargo deny --log-level error check licenses bans sources

.PHONY: gen
gen: ## Write generated files again: messages, CRD and its copies, reference
	UPDATE=1 cargo test --locked --quiet -p pyroscope-proto --features client
	UPDATE=1 cargo test --locked --quiet -p pyroscope-crds
	UPDATE=1 cargo test --locked --quiet -p pyroscope-contract

.PHONY: images
images: $(BIN)/cluster ## Build the container images as OCI tars, without a container engine
	@echo "==> images"
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --quiet --profile image \
		--target $(HOST) --target-dir target/image -p pyroscope-server -p pyroscope-operator
	@for program in pyroscope pyroscope-operator; do \
		$(BIN)/cluster image build --tag $$program:dev --output $(IMAGES)/$$program.tar \
			--file target/image/$(HOST)/image/$$program=/$$program \
			$(patsubst %,--file %=/etc/ssl/certs/ca-certificates.crt,$(wildcard /etc/ssl/certs/ca-certificates.crt)) \
			-- /$$program; \
	done

.PHONY: embedded
embedded: $(BIN)/cluster $(BIN)/helm images

.PHONY: quickstart
quickstart:
	@echo "==> the quickstart's client"
	cargo build --locked --quiet --workspace --bin quickstart

VERSION := k8s.io/component-base/version
$(BIN)/cluster: $(shell find e2e/cluster -type f)
	@echo "==> Kubernetes (the first build takes about ten minutes)"
	cd e2e/cluster && version=$$(go list -m -f '{{.Version}}' k8s.io/kubernetes) && \
		minor=$${version#v1.} && $(GO_BUILD) -o ../../$(BIN)/ -ldflags "-s -w -X $(VERSION).gitVersion=$$version \
		-X $(VERSION).gitMajor=1 -X $(VERSION).gitMinor=$${minor%%.*} -X $(VERSION).gitTreeState=clean" . ./pause

$(BIN)/helm: $(shell find e2e/helm -type f)
	@echo "==> Helm"
	cd e2e/helm && $(GO_BUILD) -o ../../$(BIN)/helm -ldflags "-s -w" .
