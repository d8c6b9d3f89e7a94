# Everyday commands. `make` lists them.

.DEFAULT_GOAL := help
.PHONY: help build demo test test-faults test-compose services-up services-down bench-storage bench-control-plane lint fmt docs deny bench clean-demo

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

build: ## build the three programs (optimised)
	cargo build --release --workspace

demo: ## generate a small shop, run every job on a local cluster, show and write the results
	cargo run --release --bin emporia -- demo

# The comparisons wait for programs most of the time, the unit tests for the compiler.
test: build ## run all tests, against real servers (the programs are built first: tests run them)
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target units rows
	tests/services/with cargo test --release --workspace --test it

.PHONY: units
units:
	MAKEFLAGS= cargo test --profile bench --workspace

test-faults: build ## break stores, executors and jobs ten times in each way, and print what came of it
	EMPORIA_FAULT_RUNS=10 tests/services/with cargo test --release --workspace --test it -- --nocapture --include-ignored faults::executor faults::sick faults::clients faults::result storage::faults storage::hdfs_faults storage::mongodb_faults

.PHONY: test-simulation
test-simulation: ## run queries with each fault at each event of a run, in one process, and print what came of it
	EMPORIA_SIMULATION_RUNS=all cargo test --release --package emporia-scheduler --lib -- --nocapture simulation

services-up: ## start real HDFS, HBase and MongoDB-protocol servers for the tests
	tests/services/services up

services-down: ## stop them
	tests/services/services down

test-compose: ## build the images, start the stack of docker/ and break it (needs Docker; see tests/compose/run --help)
	tests/compose/run

lint: ## formatting, clippy and rustdoc, warnings as errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --workspace --no-deps

fmt: ## format the code
	cargo fmt --all

docs: ## update the generated pages of docs/
	EMPORIA_BLESS=1 cargo test --profile bench --workspace configuration_reference

deny: ## check licences, advisories and sources (needs cargo-deny)
	cargo deny check

bench: ## compare with DuckDB, Spark, Sail and DataFusion (needs Python 3 and Java 17; installs the peers in a venv)
	benches/run

bench-storage: ## compare the connectors with other clients of the same servers
	EMPORIA_SERVICES_FAST=1 tests/services/with benches/storage

bench-control-plane: ## measure how far one scheduler goes, on executors that compute nothing
	benches/control-plane

clean-demo: ## remove what the demo wrote
	rm -rf emporia-demo

.PHONY: test-helm
test-helm: ## check the Helm chart, with a real API server (needs Go and Python 3.11)
	tests/helm/run

# Where cargo puts the programs.
programs = $(or $(CARGO_TARGET_DIR),target)/release
peers = $(or $(EMPORIA_PEERS_DIR),$(HOME)/.cache/emporia/peers)

.PHONY: test-rows rows conformance differential tpc files
test-rows: build ## the small comparisons with DuckDB, and with files of other programs, that are part of the tests
	$(MAKE) --no-print-directory rows

rows:
	tests/peers/python tests/differential/compare.py --program $(programs)/emporia --sets 10 --queries 25 --no-shrink
	tests/peers/python tests/tpc/compare.py --program $(programs)/emporia --scale 0.01 --data $(peers)/data
	tests/peers/python tests/files/compare.py --program $(programs)/emporia

conformance: build ## run DataFusion's own test files on one process and on a cluster (15 minutes)
	$(programs)/conformance

differential: build ## compare 10,000 random queries with DuckDB (installs it in a venv)
	tests/peers/python tests/differential/compare.py --program $(programs)/emporia --sets 100 --queries 50

tpc: build ## compare TPC-H and TPC-DS with DuckDB at SCALE (default 1)
	tests/peers/python tests/tpc/compare.py --program $(programs)/emporia --scale $(or $(SCALE),1) --data $(peers)/data

files: build ## read files that other programs wrote, with many queries, and those of Spark if pyspark is in SPARK
	tests/peers/python tests/files/compare.py --program $(programs)/emporia --statements 5 --spark $(SPARK)

.PHONY: fuzz
fuzz: ## look for inputs that break a reader: TARGET=delimited SECONDS=600; without TARGET all, a minute each
	fuzz/run $(or $(TARGET),all) $(or $(SECONDS),60)
