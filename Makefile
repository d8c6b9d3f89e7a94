# Everyday commands. `make` lists them.

.DEFAULT_GOAL := help
.PHONY: help build demo test lint fmt docs deny bench clean-demo

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

build: ## build the three programs (optimised)
	cargo build --release --workspace

demo: ## generate a small shop, run every job on a local cluster, show and write the results
	cargo run --release --bin emporia -- demo

test: build ## run all tests (the programs are built first: tests run them)
	cargo test --release --workspace

lint: ## formatting, clippy and rustdoc, warnings as errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --workspace --no-deps

fmt: ## format the code
	cargo fmt --all

docs: ## write the generated pages of docs/ anew
	EMPORIA_BLESS=1 cargo test --release --workspace configuration_reference

deny: ## check licences, advisories and sources (needs cargo-deny)
	cargo deny check

bench: ## compare with DuckDB, Spark, Sail and DataFusion (needs Python 3 and Java 17; installs the peers in a venv)
	benches/run

clean-demo: ## remove what the demo wrote
	rm -rf emporia-demo
