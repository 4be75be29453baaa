# The few commands of this repository. `make demo` and `make test` share one fast-building profile
# and one target directory outside the checkout, so that a clean clone does not rebuild the world.

CARGO_TARGET_DIR ?= $(HOME)/.cache/tidemill/target
export CARGO_TARGET_DIR

CARGO ?= cargo
# Further arguments of the demo: EXIT=1 ends with status 0 only if all answers are right, PORTS=free
# takes ports that are free, SEED=n tells another story.
DEMO_ARGS := $(if $(EXIT),--exit) $(if $(filter free,$(PORTS)),--free-ports) $(if $(SEED),--seed $(SEED))
# `make test LINT=` leaves the linter out.
LINT ?= 1

.PHONY: demo test prove oracle lint bench bench-kafka help

help: ## Show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

demo: ## Build, start everything, send ten minutes of a shop, answer six questions [EXIT=1] [PORTS=free]
	$(CARGO) build --bin tidemill
	@"$$CARGO_TARGET_DIR/debug/tidemill" demo $(DEMO_ARGS)

test: ## Everything that must hold: unit, property and integration tests, then real clients
	$(if $(LINT),$(MAKE) lint)
	$(CARGO) build --bin tidemill
	$(CARGO) test --workspace --no-run
	scripts/with-real-kafka.sh $(CARGO) test --workspace
	TIDEMILL_BIN="$$CARGO_TARGET_DIR/debug/tidemill" scripts/with-real-kafka.sh tests/clients/run.sh

prove: ## Long: 2,000 schedules, 200 of rows, 200 power cuts, 1,000 kills, storms; prints counts [TIDEMILL_SEEDS, _ROW_SEEDS, _CUTS, _KILLS, _CYCLES, _ROUNDS=n]
	TIDEMILL_SEEDS=$${TIDEMILL_SEEDS:-2000} TIDEMILL_ROW_SEEDS=$${TIDEMILL_ROW_SEEDS:-200} $(CARGO) test --workspace --lib -- --nocapture simulation
	TIDEMILL_CUTS=$${TIDEMILL_CUTS:-200} $(CARGO) test --workspace --lib -- --nocapture power
	TIDEMILL_SEEDS=$${TIDEMILL_STORMS:-40} $(CARGO) test --workspace --lib -- --nocapture storm
	TIDEMILL_KILLS=$${TIDEMILL_KILLS:-1000} $(CARGO) test --test it -- --nocapture kills
	$(CARGO) build --bin tidemill
	TIDEMILL_CYCLES=$${TIDEMILL_CYCLES:-20} TIDEMILL_BIN="$$CARGO_TARGET_DIR/debug/tidemill" scripts/with-real-kafka.sh tests/clients/run.sh test_crash_points.py -s
	TIDEMILL_ROUNDS=$${TIDEMILL_ROUNDS:-20} TIDEMILL_KILLS=20 TIDEMILL_BROKER_ENDS=8 TIDEMILL_BIN="$$CARGO_TARGET_DIR/debug/tidemill" scripts/with-real-kafka.sh tests/clients/run.sh test_workers.py test_broker.py test_s3_faults.py -s
	scripts/seaweedfs.sh build
	TIDEMILL_BIN="$$CARGO_TARGET_DIR/debug/tidemill" tests/clients/run.sh test_s3.py

oracle: ## Our grok and search beside Vector's, on the documentation's examples and on generated ones
	$(CARGO) test --manifest-path oracle/Cargo.toml

lint: ## Formatting and lints, warnings refused
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

bench: ## Measurements, in the release profile (a long first build)
	$(CARGO) bench --workspace
	$(CARGO) test --workspace --lib replay_rate -- --ignored --nocapture

bench-kafka: ## The whole chain against raw consumption, on a real Apache Kafka (needs Java and Maven)
	scripts/bench-kafka.sh $(CARGO) bench --bench kafka
